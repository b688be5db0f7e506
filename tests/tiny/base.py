"""What every tiny family has in common: the model from its config, and inputs as the family's processor writes them.

A *prompt* is a list of words: ``"t3"`` stands for three text tokens, any other word names one of the family's
pictures (``"image"`` everywhere; ``"wide"`` and ``"video"`` where the family knows them).
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

Prompt = Sequence[str]
Span = tuple[int, int]

# The vocabulary of every tiny model: 0 pad, 1 bos, 2 eos, text, then special tokens.
VOCABULARY = 128
FIRST_TEXT, LAST_TEXT = 3, 99
IMAGE, VIDEO, START, END, NEWLINE, FAKE, GLOBAL, BREAK = range(100, 108)
TAGS = range(108, 120)  # tile and row tags

HIDDEN = 64


OLDER = int(transformers.__version__.split(".")[0]) < 5


def older(arguments: dict[str, Any]) -> dict[str, Any]:
    """Config arguments in the words of transformers 4, where those of 5 differ."""
    said = {key: older(value) if isinstance(value, dict) else value for key, value in arguments.items()}
    if rope := said.pop("rope_parameters", None):
        said["rope_theta"] = rope.pop("rope_theta", 10000.0)
        said |= {key: rope.pop(key) for key in ("partial_rotary_factor",) if key in rope}
        said["rope_scaling"] = rope
    return said


def text(**changes: Any) -> dict[str, Any]:
    """Arguments of a text config: two layers, four heads of 16 channels on two key heads."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **changes,
    }


def vision(model_type: str, **changes: Any) -> dict[str, Any]:
    """Arguments of a vision config in CLIP's words: two layers, pictures of 12 x 12 pixels in 3 x 3 patches."""
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 12,
        "patch_size": 4,
        **changes,
    }


@dataclass(frozen=True)
class Picture:
    """One image or video of a prompt.

    ``ids``: the tokens the processor writes for it. ``tensors``: what goes with them; a shape stands for random
    pixels. ``types``: token types, where they differ from "1 on image tokens". ``parts``: first and last-plus-one
    token, within ``ids``, of each image that must count as one; by default from the first feature token to the last.
    ``grid``: rows and columns of the feature tokens, where they fill one rectangle.
    """

    ids: tuple[int, ...]
    tensors: Mapping[str, tuple[int, ...] | Tensor]
    types: tuple[int, ...] | None = None
    parts: tuple[Span, ...] | None = None
    grid: tuple[int, int] | None = None


Tensors = dict[str, Tensor]


def flat(rows: list[list[Tensors]]) -> Tensors:
    """All images of the batch in reading order, joined along the first dimension; smaller ones padded with zeros."""
    images = [image for row in rows for image in row]
    names = dict.fromkeys(name for image in images for name in image)
    return {name: join([image[name] for image in images if name in image]) for name in names}


def join(tensors: list[Tensor]) -> Tensor:
    """Concatenation along the first dimension; further dimensions are padded with zeros to the largest."""
    sizes = [max(sizes) for sizes in zip(*(t.shape[1:] for t in tensors), strict=True)]
    padded = [torch.nn.functional.pad(t, _margins(t.shape[1:], sizes)) for t in tensors]
    return torch.cat(padded)


def by_row(rows: list[list[Tensors]]) -> Tensors:
    """One line per row of the batch: its images joined, then padded with zeros to the row with most."""
    lines = [{name: value[None] for name, value in flat([row]).items()} for row in rows if row]
    return flat([lines])


def _margins(shape: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [margin for have, want in reversed(list(zip(shape, sizes, strict=True))) for margin in (0, want - have)]


@dataclass(frozen=True)
class Family:
    """A tiny model of one family, with random weights, and prompts for it.

    ``config``: arguments of the model's config class. ``pictures``: the words a prompt may use. ``crowded``: how the
    same words read in a row of several images, where that differs. ``collate``: how the tensors of a batch are joined,
    by row and image. ``types``: the argument that carries token types, if the model reads one; generated tokens are of
    ``suffix_type``. ``derive``: further inputs made from the others. ``mrope``: three rotary axes. ``start_index``:
    native position of the first token. ``bidirectional``: image tokens see each other both ways. ``eager_tower``: the
    vision tower knows no sdpa. ``gain``: factor on the random weights, so that positions show in the logits.
    ``skip``: checks that the model fails natively, with the reason. ``config_class``: where it is not the model class's
    own.
    """

    name: str
    model_class: str
    config: Mapping[str, Any]
    pictures: Mapping[str, Picture]
    crowded: Mapping[str, Picture] = field(default_factory=dict)
    collate: Callable[[list[list[Tensors]]], Tensors] = flat
    image_token_id: int = IMAGE
    video_token_id: int | None = None
    types: str | None = None
    suffix_type: int = 0
    derive: Callable[[Tensors], Tensors] = lambda inputs: {}
    mrope: bool = False
    start_index: int = 0
    bidirectional: bool = False
    eager_tower: bool = False
    gain: float = 4.0
    skip: Mapping[str, str] = field(default_factory=dict)
    config_class: str = ""

    def build(self, attn: Literal["sdpa", "eager"] = "sdpa", seed: int = 0) -> PreTrainedModel:
        """A fresh model in eval mode, float32."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            model_class = getattr(transformers, self.model_class)
            arguments = copy.deepcopy(dict(self.config))
            kind = getattr(transformers, self.config_class) if self.config_class else model_class.config_class
            config = kind(**(older(arguments) if OLDER else arguments))
            implementation = {"": "eager", "text_config": attn} if self.eager_tower else attn
            model = model_class._from_config(config, attn_implementation=implementation)
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    weights = parameter if parameter.any() else parameter.normal_(std=0.02)  # some start at zero
                    weights.mul_(self.gain)
        # A sampled image token has no features: recomputing without a cache would fail natively.
        features = [token for token in (self.image_token_id, self.video_token_id) if token is not None]
        model.generation_config = transformers.GenerationConfig(
            pad_token_id=0, eos_token_id=None, do_sample=False, suppress_tokens=features
        )
        return model.eval()

    def inputs(self, prompt: Prompt | Sequence[Prompt], padding: Literal["left", "right"] = "left") -> Tensors:
        """What the family's processor would hand to ``forward`` for one row or a batch of rows.

        Text and pixels depend on the row's words alone, so a row reads the same in every batch.
        """
        rows = [prompt] if isinstance(prompt[0], str) else prompt
        ids, types, tensors = zip(*(self._row(row) for row in rows), strict=True)
        inputs = {
            "input_ids": _pad(ids, padding),
            "attention_mask": _pad([[1] * len(row) for row in ids], padding),
            **(self.collate(list(tensors)) if any(tensors) else {}),
        }
        if self._typed:
            inputs[self.types] = _pad(types, padding)
        return inputs | self.derive(inputs)

    def extend(self, inputs: Tensors, tokens: Tensor) -> Tensors:
        """``inputs`` with generated text tokens, a LongTensor (rows, tokens), at the end of every row."""
        ends = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if self._typed:
            ends[self.types] = torch.full_like(tokens, self.suffix_type)
        longer = inputs | {name: torch.cat([inputs[name], end], 1) for name, end in ends.items()}
        return longer | self.derive(longer)

    @property
    def _typed(self) -> bool:
        return self.types is not None and not (OLDER and self.types == "mm_token_type_ids")

    def image_mask(self, input_ids: Tensor) -> Tensor:
        """BoolTensor (rows, columns): True on tokens that carry picture features."""
        video = -1 if self.video_token_id is None else self.video_token_id
        return (input_ids == self.image_token_id) | (input_ids == video)

    def spans(self, input_ids: Tensor) -> list[list[Span]]:
        """For each row, the first and last-plus-one column of every image, as the processor wrote them.

        Feature tokens inside a span are those of ``image_mask``; the rest are tags or breaks within the image.
        """
        return [self._spans(tuple(row)) for row in input_ids.tolist()]

    def _spans(self, row: tuple[int, ...]) -> list[Span]:
        known = {p.ids: p for p in (*self.crowded.values(), *self.pictures.values())}
        longest_first = sorted(known.values(), key=lambda picture: -len(picture.ids))
        found: list[Span] = []
        column = 0
        while column < len(row):
            here = next((p for p in longest_first if row[column : column + len(p.ids)] == p.ids), None)
            if here is not None:
                found += [(column + start, column + end) for start, end in here.parts or self._extent(here)]
            column += len(here.ids) if here else 1
        return found

    def _extent(self, picture: Picture) -> tuple[Span]:
        features = self.image_mask(torch.tensor(picture.ids)).nonzero().flatten().tolist()
        return ((features[0], features[-1] + 1),)

    def _row(self, words: Prompt) -> tuple[list[int], list[int], list[Tensors]]:
        generator = torch.Generator().manual_seed(zlib.crc32(" ".join(words).encode()))
        crowd = sum(word in self.crowded for word in words) > 1
        ids: list[int] = []
        types: list[int] = []
        tensors: list[Tensors] = []
        for word in words:
            if word not in self.pictures:
                count = int(word.removeprefix("t"))
                ids += torch.randint(FIRST_TEXT, LAST_TEXT, (count,), generator=generator).tolist()
                types += [0] * count
                continue
            picture = self.crowded.get(word, self.pictures[word]) if crowd else self.pictures[word]
            ids += picture.ids
            types += picture.types or self.image_mask(torch.tensor(picture.ids)).long().tolist()
            tensors.append(
                {
                    name: torch.randn(value, generator=generator) if isinstance(value, tuple) else value
                    for name, value in picture.tensors.items()
                }
            )
        return ids, types, tensors


def _pad(rows: Sequence[Sequence[int]], padding: str) -> Tensor:
    longest = max(map(len, rows))
    gaps = [[0] * (longest - len(row)) for row in rows]
    left = padding == "left"
    return torch.tensor([[*gap, *row] if left else [*row, *gap] for row, gap in zip(rows, gaps, strict=True)])
