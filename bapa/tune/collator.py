"""From chats to a padded batch: the processor's own tokens, with the loss on the answers only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from bapa.errors import ModelError
from bapa.tune.chat import Message

IGNORED = -100  # what cross entropy leaves out
Span = tuple[int, int]


class Collator:
    """Makes a batch of rows with the columns ``messages`` and ``images``.

    ``open`` turns a reference of ``images`` into a picture. The batch is what the model's ``processor`` makes of it,
    padded on the right, and ``labels``, LongTensor (rows, columns): the token where an answer is written, its end
    included, and -100 elsewhere.
    """

    def __init__(self, processor: Any, open: Callable[[str], Image.Image]) -> None:
        if getattr(processor, "chat_template", None) is None:
            raise ModelError(
                f"{type(processor).__name__} has no chat template; add chat_template.jinja to the model's folder"
            )
        self.processor = _padding(processor)
        self.open = open

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        chats = [[_plain(message) for message in row["messages"]] for row in rows]
        written = [self._written(chat) for chat in chats]
        texts = [text for text, _ in written]
        images = [[self.open(reference) for reference in row["images"]] for row in rows]
        special = self._special(texts[0])
        batch = dict(
            self.processor(
                text=texts,
                images=images if any(images) else None,
                padding=True,
                padding_side="right",
                return_tensors="pt",
                **special,
            )
        )
        labels = batch["input_ids"].new_full(batch["input_ids"].shape, IGNORED)
        for row, (text, spans) in enumerate(written):
            length = int(batch["attention_mask"][row].sum())
            ids = batch["input_ids"][row, :length]
            where = self._answered(text, spans, ids.tolist(), special)
            labels[row, where] = ids[where]
        return {**batch, "labels": labels}

    def _written(self, chat: list[Message]) -> tuple[str, list[Span]]:
        """The chat in the words of the template, and from where to where in it its answers stand."""
        whole = self._rendered(chat)
        spans: list[Span] = []
        for turn, message in enumerate(chat):
            if message["role"] != "assistant":
                continue
            before, after = self._rendered(chat[:turn], asking=True), self._rendered(chat[: turn + 1])
            if not (whole.startswith(before) and whole.startswith(after.rstrip())):
                raise ModelError(
                    f"the chat template of {type(self.processor).__name__} writes an answer differently when more "
                    "follows it, so it cannot be told where answers stand; use chats of one answer"
                )
            spans.append((len(before), len(after) if whole.startswith(after) else len(after.rstrip())))
        return whole, spans

    def _rendered(self, chat: list[Message], asking: bool = False) -> str:
        return self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=asking)

    def _special(self, text: str) -> dict[str, bool]:
        # A template may write the first token itself, as transformers' own apply_chat_template checks.
        bos = self.processor.tokenizer.bos_token
        return {"add_special_tokens": not (bos and text.startswith(bos))}

    def _answered(self, text: str, spans: Sequence[Span], ids: list[int], special: dict[str, bool]) -> list[int]:
        """The columns of ``ids`` that write the answers of ``text``.

        ``ids`` is the text with each image mark replaced by as many tokens as the picture takes. What is left when
        those are taken out is the plain text's tokens, in order; an answer's tokens are found where reading from the
        left and reading from the right agree.
        """
        plain = self.processor.tokenizer(text, return_offsets_mapping=True, **special)
        short, offsets = plain["input_ids"], plain["offset_mapping"]
        left = _embed(short, ids)
        right = [len(ids) - 1 - place for place in reversed(_embed(short[::-1], ids[::-1]))]
        wanted = [
            n
            for n, (start, end) in enumerate(offsets)
            if start < end and any(first <= start and end <= last for first, last in spans)
        ]
        if len(left) < len(short) or not wanted or any(left[n] != right[n] for n in wanted):
            raise ModelError(
                f"it cannot be told which tokens of {type(self.processor).__name__} write the answer in {text!r}"
            )
        return [left[n] for n in wanted]


def _padding(processor: Any) -> Any:
    """The processor, or where its tokenizer has no token to pad with, a copy that pads with one that it has: padding is
    masked, so any does.
    """
    tokenizer = processor.tokenizer
    if tokenizer.pad_token_id is not None:
        return processor
    processor = copy.deepcopy(processor)  # the model's own is saved as it came
    processor.tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return processor


def _plain(message: Message) -> Message:
    parts = [
        {"type": "image"} if part["type"] == "image" else {"type": "text", "text": part["text"]}
        for part in message["content"]
    ]
    return {"role": message["role"], "content": parts}


def _embed(short: Sequence[int], long: Sequence[int]) -> list[int]:
    """Places of ``short`` within ``long``, each as early as it can be; fewer where it is not contained."""
    places: list[int] = []
    for place, token in enumerate(long):
        if len(places) < len(short) and token == short[len(places)]:
            places.append(place)
    return places
