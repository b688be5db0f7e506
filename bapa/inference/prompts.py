"""Questions about a canvas as token ids, through the model's own processor and chat template.

The processor turns a picture's placeholder into as many tokens as the picture takes. That expansion is the same for
all canvases of a probe (they have one size), so it is read off one prompt and spliced into the others, which then
cost no picture processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bapa.errors import ModelError

Ids = list[int]


@dataclass(frozen=True)
class Prompt:
    """``ids``: the tokens of a question about one canvas.

    ``types``: what the processor writes beside them, by name, one value per token.
    """

    ids: Ids
    types: dict[str, Ids]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class _Splice:
    """``short``: a placeholder as the tokenizer writes it.

    ``long``: what the processor makes of it. ``end``: where it ends there.
    """

    short: Ids
    long: Prompt
    end: int


class Prompts:
    """Prompts of one processor for canvases of one size.

    ``size``: (height, width) of a canvas in pixels. ``question_first``: the question stands before the image.
    ``unknown``: the token that stands for words the tokenizer does not know; -1 where it knows them all.
    """

    def __init__(self, processor: Any, size: tuple[int, int], *, question_first: bool = False) -> None:
        if getattr(processor, "chat_template", None) is None:
            raise ModelError(
                f"{type(processor).__name__} has no chat template; add chat_template.jinja to the model's folder"
            )
        self.processor = processor
        self.question_first = question_first
        unknown: int | None = getattr(processor.tokenizer, "unk_token_id", None)
        self.unknown = -1 if unknown is None else unknown
        self._blank = np.full((*size, 3), 128, np.uint8)
        self._splice: _Splice | None = None
        self._marks = _marks(processor)
        self._lock = Lock()  # a fast tokenizer serves one thread at a time

    def learn(self, texts: Sequence[str]) -> int | None:
        """Read the image's expansion off the first text, and keep it if it gives the processor's own tokens for all
        ``texts``.

        Returns how many tokens the first prompt has up to the end of its image; None where the expansion cannot be
        read off.
        """
        self._splice = None
        whole = [self(text) for text in texts]
        splice = self._splice = _difference(self.unexpanded(texts[0]), whole[0])
        if any(self(text) != right for text, right in zip(texts, whole, strict=True)):
            self._splice = None
            return None
        return splice.end

    def __call__(self, text: str) -> Prompt:
        """The prompt that asks ``text``."""
        if self._splice is None:
            inputs = self.inputs([self._blank], text)
            types = token_types(inputs)
            return Prompt(inputs["input_ids"][0].tolist(), {name: inputs[name][0].tolist() for name in types})
        ids, short, long = self.unexpanded(text), self._splice.short, self._splice.long
        start = next((i for i in range(len(ids)) if ids[i : i + len(short)] == short), None)
        if start is None:
            raise ModelError(f"the prompt {text!r} has lost its image; write it without the image's own tokens")
        end = start + len(short)
        return Prompt(
            ids[:start] + long.ids + ids[end:],
            {name: [0] * start + values + [0] * (len(ids) - end) for name, values in long.types.items()},
        )

    def inputs(self, canvases: Sequence[NDArray[np.uint8]], text: str) -> dict[str, Any]:
        """What the processor makes of canvases, uint8 (height, width, 3), with one question: a forward's arguments."""
        pictures = [[Image.fromarray(canvas)] for canvas in canvases]
        with self._lock:
            texts = [self._written(text)] * len(canvases)
            special = special_tokens(self.processor.tokenizer, texts[0])
            return dict(self.processor(images=pictures, text=texts, return_tensors="pt", **special))

    def unexpanded(self, text: str) -> Ids:
        """The tokens of the prompt with the image's placeholder as the tokenizer writes it."""
        with self._lock:
            written = self._written(text)
            tokenizer = self.processor.tokenizer
            return tokenizer(written, **special_tokens(tokenizer, written))["input_ids"]

    def _written(self, text: str) -> str:
        if mark := next((mark for mark in self._marks if mark in text), None):
            raise ModelError(
                f"the question {text[:80]!r} contains {mark}, which is no word but a token of "
                f"{type(self.processor).__name__}'s own; build the probe with other captions, or another --prompt"
            )
        parts = [{"type": "image"}, {"type": "text", "text": text}]
        chat = [{"role": "user", "content": parts[::-1] if self.question_first else parts}]
        return self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


def _marks(processor: Any) -> list[str]:
    """What the tokenizer reads as a token of its own wherever it stands: placeholders of images, ends of turns."""
    tokenizer = processor.tokenizer
    unknown = getattr(tokenizer, "unk_token", None)
    marks = {*getattr(tokenizer, "all_special_tokens", ()), getattr(processor, "image_token", None)}
    return sorted(str(mark) for mark in marks if mark and str(mark) != unknown)


def special_tokens(tokenizer: Any, written: str) -> dict[str, bool]:
    """What to tell a processor about special tokens of a prompt that its chat template has written."""
    # A template may write the first token itself, as transformers' own apply_chat_template checks.
    bos = tokenizer.bos_token
    return {"add_special_tokens": not (bos and written.startswith(bos))}


def token_types(inputs: dict[str, Any]) -> list[str]:
    """Names of the inputs that hold one value per token, other than the tokens and their mask."""
    shape = inputs["input_ids"].shape
    return [
        name
        for name, value in inputs.items()
        if isinstance(value, Tensor) and value.shape == shape and name not in ("input_ids", "attention_mask")
    ]


def _difference(short: Ids, long: Prompt) -> _Splice:
    head = common(short, long.ids)
    tail = min(common(short[::-1], long.ids[::-1]), len(short) - head)
    head -= head + tail == len(short)  # a placeholder that is itself the repeated token
    end = len(long) - tail
    return _Splice(
        short[head : len(short) - tail],
        Prompt(long.ids[head:end], {name: values[head:end] for name, values in long.types.items()}),
        end,
    )


def common(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
