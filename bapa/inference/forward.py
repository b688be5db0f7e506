"""One block of canvases through the model: the vision encoder once for all schemes, the picture once for all its
questions.

Two ways lead to the same logits. *Shared*: the tokens that all prompts have in common, the image among them, are
prefilled once per canvas; its questions continue from copies of the cache, padded on the right, where padding cannot
be seen. *Separate*: the n-th questions of all canvases form a batch of whole prompts, padded on the left, answered by
``generate``. The shared way needs the image before the question and a model whose cached attention equals its plain
one (not so where a prompt attends both ways, as in PaliGemma); whether it holds is tried out on the first block.
:meth:`Forward.alone` is what both are audited against.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.checkpoints.chat import is_thought
from bapa.errors import ModelError
from bapa.families.anatomy import PICTURES, find
from bapa.inference.prompts import Prompt, Prompts, token_types

Inputs = dict[str, Any]
Known = Callable[[str, Iterable[str]], Mapping[str, Tensor]]  # as Usual.of
# How far logits of the same question may lie apart, as a share of the largest: arithmetic in another order.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass
class Asked:
    """Canvases and their questions, ready for the model.

    ``inputs``: what the processor made of the canvases, each with the same question; later the encoder's output in
    place of the pictures. ``prompts``: for each canvas its questions, equally many.
    """

    inputs: Inputs
    prompts: list[list[Prompt]]


class Forward:
    """Next-token logits and texts of one model.

    ``shared``: number of tokens that all prompts begin with; 0 to ask every question separately. ``usual``: where a
    probe asks for names, what they are compared with (:meth:`bapa.inference.usual.Usual.of`).
    """

    def __init__(self, model: Any, prompts: Prompts, shared: int) -> None:
        self.model = model
        self.prompts = prompts
        self.shared = shared
        self.usual: Known | None = None
        self.pad = prompts.processor.tokenizer.pad_token_id or 0
        top = find(model).model
        self.encode = getattr(top.base_model, "get_image_features", None)
        self.encode_clips = getattr(top.base_model, "get_video_features", None)
        self.takes_features = "mm_encoder_outputs" in inspect.signature(top.forward).parameters
        self.device = next(top.parameters()).device
        self.dtype = next(top.parameters()).dtype

    def prepare(self, canvases: Sequence[NDArray], texts: Sequence[Sequence[str]]) -> Asked:
        """The questions ``texts`` about ``canvases``; needs the processor only, not the model.

        Where a canvas has fewer questions than others, its last one is repeated.
        """
        inputs = self.prompts.inputs(canvases, texts[0][0])  # one text, so no row is padded
        written = {text: self.prompts(text) for text in dict.fromkeys(text for asked in texts for text in asked)}
        prompts = [[written[text] for text in asked] for asked in texts]
        head = inputs["input_ids"][0, : self.shared].tolist()
        if any(prompt.ids[: self.shared] != head for prompt in written.values()):
            raise ModelError("a prompt does not begin like the others; this is an error of bapa, please report it")
        most = max(map(len, prompts))
        return Asked(inputs, [row + row[-1:] * (most - len(row)) for row in prompts])

    @torch.no_grad()
    def see(self, asked: Asked) -> Asked:
        """The same with the vision encoder's output in place of the pictures, for models that take it (transformers
        5).
        """
        inputs = self.here(asked.inputs)
        pictures = [name for name in inputs if PICTURES.match(name)]
        kind = "video" if any("video" in name for name in pictures) else "image"
        if self.takes_features and pictures and (features := self.features(inputs, kind)) is not None:
            inputs = {name: value for name, value in inputs.items() if name not in pictures}
            inputs["mm_encoder_outputs"] = {kind: features}
        return Asked(inputs, asked.prompts)

    @torch.no_grad()
    def features(self, inputs: Inputs, kind: str = "image") -> Any:
        """The vision encoder's output for the pictures in ``inputs``, ``image`` or ``video``; None where the model does
        not give it alone.
        """
        encode = self.encode if kind == "image" else self.encode_clips
        if encode is None:
            return None
        wanted = inspect.signature(encode).parameters
        here = self.here(inputs)
        return encode(**{name: value for name, value in here.items() if name in wanted}, return_dict=True)

    @torch.inference_mode()
    def logits(self, asked: Asked) -> Tensor:
        """Logits of the token that follows each question, (canvases, questions, vocabulary), under the model's
        present scheme.
        """
        return self.continued(asked) if self.shared else self._separate(asked)

    @torch.inference_mode()
    def texts(self, asked: Asked, tokens: int) -> list[list[str]]:
        """What the model writes to each question, at most ``tokens`` tokens, greedily: for each canvas its answers."""
        columns = []
        for inputs in self.whole(asked):
            written = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
            columns.append([self._decoded(row) for row in written[:, inputs["input_ids"].shape[1] :]])
        return [list(row) for row in zip(*columns, strict=True)]

    def _decoded(self, ids: Tensor) -> str:
        """The text of ``ids`` without special tokens, save those that mark a thought."""
        tokenizer = self.prompts.processor.tokenizer
        special = {number for number in tokenizer.all_special_ids if not is_thought(tokenizer.decode([number]))}
        text: str = tokenizer.decode([number for number in ids.tolist() if number not in special])
        return text

    @torch.inference_mode()
    def alone(self, canvas: NDArray, text: str) -> Tensor:
        """Logits of the token that follows one question about one canvas, (vocabulary,): a plain forward that shares
        nothing.
        """
        inputs = self.here(self.prompts.inputs([canvas], text))
        return self.model(**inputs, logits_to_keep=1).logits[0, -1]

    def agrees(self, one: Tensor, two: Tensor) -> bool:
        """Whether two logits differ by no more than arithmetic. Tokens that the model rules out do not count."""
        there = two > torch.finfo(two.dtype).min / 2
        tolerance = _TOLERANCE.get(self.dtype, 1e-2)
        return bool(there.any() and (one - two)[there].abs().max() <= tolerance * two[there].abs().max())

    def continued(self, asked: Asked) -> Tensor:
        """What :meth:`logits` gives where all prompts begin alike: the picture once, its questions from the cache.
        Gradients flow through both.
        """
        canvases, questions = len(asked.prompts), len(asked.prompts[0])
        types = token_types(asked.inputs)
        cut = {
            n: v[:, : self.shared] if n in (*types, "input_ids", "attention_mask") else v
            for n, v in asked.inputs.items()
        }
        cache = self.model(**fresh(cut), use_cache=True, logits_to_keep=1).past_key_values
        cache.reorder_cache(torch.arange(canvases, device=self.device).repeat_interleave(questions))
        rest = [torch.tensor(prompt.ids[self.shared :]) for row in asked.prompts for prompt in row]
        last = torch.tensor([len(ids) - 1 for ids in rest])
        kept, place = last.unique(return_inverse=True)
        ids = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True, padding_value=self.pad)
        out = self.model(
            input_ids=ids.to(self.device), past_key_values=cache, use_cache=True, logits_to_keep=kept.to(self.device)
        )
        return out.logits[torch.arange(len(rest)), place].unflatten(0, (canvases, questions))

    def _separate(self, asked: Asked) -> Tensor:
        columns = []
        for inputs in self.whole(asked):
            out = self.model.generate(
                **inputs, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
            )
            columns.append(out.logits[0])
        return torch.stack(columns, 1)

    def whole(self, asked: Asked) -> list[Inputs]:
        """For each question number a batch of whole prompts, padded on the left."""
        rest = {
            n: v
            for n, v in self.here(asked.inputs).items()
            if n not in (*token_types(asked.inputs), "input_ids", "attention_mask")
        }
        batches = []
        for column in zip(*asked.prompts, strict=True):
            rows = {name: [prompt.types[name] for prompt in column] for name in column[0].types}
            batches.append(
                {
                    **fresh(rest),
                    "input_ids": self._pad([prompt.ids for prompt in column], self.pad),
                    "attention_mask": self._pad([[1] * len(prompt) for prompt in column], 0),
                    **{name: self._pad(values, 0) for name, values in rows.items()},
                }
            )
        return batches

    def _pad(self, rows: list[list[int]], value: int) -> Tensor:
        tensors = [torch.tensor(row) for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value, padding_side="left")
        return padded.to(self.device)

    def here(self, inputs: Inputs) -> Inputs:
        """``inputs`` on the model's device, floating point in its dtype."""

        def move(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(self.device, self.dtype if value.is_floating_point() else None)

        return {name: move(value) for name, value in inputs.items()}


def fresh(inputs: Inputs) -> Inputs:
    """``inputs`` for one forward, which may fill in the dictionary of encoder outputs that it is given."""
    features = inputs.get("mm_encoder_outputs")
    return {**inputs, "mm_encoder_outputs": dict(features)} if features else inputs
