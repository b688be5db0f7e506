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
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers.video_utils import VideoMetadata

from bapa.checkpoints.chat import Chat, opens_thought
from bapa.errors import ModelError
from bapa.probe.slots import Slots

Ids = list[int]
FPS = 1.0  # of a clip, as its metadata tell processors that write time stamps


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
    ``slots``: what a canvas is: one picture, or the images or the frames of a clip that stand side by side on it.
    ``chat``: how the model is addressed.
    ``unknown``: the token that stands for words the tokenizer does not know; -1 where it knows them all.
    """

    def __init__(
        self,
        processor: Any,
        size: tuple[int, int],
        *,
        question_first: bool = False,
        slots: Slots | None = None,
        chat: Chat | None = None,
    ) -> None:
        if getattr(processor, "chat_template", None) is None:
            raise ModelError(
                f"{type(processor).__name__} has no chat template; add chat_template.jinja to the model's folder"
            )
        self.processor = processor
        self.question_first = question_first
        self.slots = slots or Slots("grid", 1, 1)
        self.chat = chat or Chat()
        if self.slots.kind == "frames":
            check_takes_clips(processor)
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
        shown = self._shown(canvases)
        with self._lock:
            texts = [self._written(text)] * len(canvases)
            special = special_tokens(self.processor.tokenizer, texts[0])
            made = dict(self.processor(**shown, text=texts, return_tensors="pt", **special))
            return _longer(made, self._opening(texts[0]))

    def unexpanded(self, text: str) -> Ids:
        """The tokens of the prompt with the image's placeholder as the tokenizer writes it."""
        with self._lock:
            written = self._written(text)
            return [*self._ids(written), *self._opening(written)]

    def thinks(self, text: str) -> bool:
        """Whether the prompt that asks ``text`` ends within a thought."""
        return opens_thought(self._written(text) + self.chat.opening)

    def opening(self, text: str) -> Ids:
        """The tokens that the model's turn begins with behind the prompt that asks ``text``."""
        with self._lock:
            return self._opening(self._written(text))

    def begins(self, text: str, name: str) -> int:
        """The token that ``name`` begins with behind the prompt that asks ``text``.

        Raises ModelError where the tokenizer does not know it, merges it with what stands before, or begins it with
        less than a letter, such as a space.
        """
        with self._lock:
            written = self._written(text)
            before = [*self._ids(written), *self._opening(written)]
            whole = self._ids(f"{written}{self.chat.opening} {name}")
        found = whole[len(before) :]
        begun = self.processor.tokenizer.decode(found[:1]).strip()
        if whole[: len(before)] != before or not begun or not name.casefold().startswith(begun.casefold()):
            raise ModelError(
                f"{type(self.processor).__name__} cannot go on from {self.chat.opening!r} with the name {name!r}, "
                "token by token; ask by yes and no: bapa probe SOURCE --task match"
            )
        return found[0]

    def _ids(self, written: str) -> Ids:
        tokenizer = self.processor.tokenizer
        return list(tokenizer(written, **special_tokens(tokenizer, written))["input_ids"])

    def _opening(self, written: str) -> Ids:
        """The tokens that the model's turn begins with: as behind the prompt where they begin anew there, else as of a
        text of their own, which is how a model writes them.
        """
        if not self.chat.opening:
            return []
        before, whole = self._ids(written), self._ids(written + self.chat.opening)
        if whole[: len(before)] == before:
            return whole[len(before) :]
        return list(self.processor.tokenizer(self.chat.opening, add_special_tokens=False)["input_ids"])

    def _shown(self, canvases: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """Canvases as arguments of the processor."""
        if self.slots.kind == "frames":
            clips = [clip(canvas, self.slots.cols, held(self.processor)) for canvas in canvases]
            told = [VideoMetadata(len(one), fps=FPS, frames_indices=list(range(len(one)))) for one in clips]
            return {"videos": clips, "video_metadata": told, "do_sample_frames": False}
        cut = self.slots.cols if self.slots.apart else 1
        return {"images": [[Image.fromarray(part) for part in np.split(canvas, cut, 1)] for canvas in canvases]}

    def _written(self, text: str) -> str:
        if mark := next((mark for mark in self._marks if mark in text), None):
            raise ModelError(
                f"the question {text[:80]!r} contains {mark}, which is no word but a token of "
                f"{type(self.processor).__name__}'s own; build the probe with other captions, or another --prompt"
            )
        count = self.slots.cols if self.slots.kind == "images" else 1
        shown = [{"type": "video" if self.slots.kind == "frames" else "image"}] * count
        parts = [*shown, {"type": "text", "text": text}]
        return self.chat.written(self.processor, [parts[-1], *shown] if self.question_first else parts)


def clip(canvas: NDArray[np.uint8], count: int, hold: int) -> NDArray[np.uint8]:
    """The stills side by side on a canvas, uint8 (height, count * width, 3), as a clip, (count * hold, height, width,
    3), each shown ``hold`` times.
    """
    return np.stack(np.split(canvas, count, 1)).repeat(hold, 0)


def held(processor: Any) -> int:
    """For how many frames a still is shown: as many as the model makes one of, so that none shares its tokens."""
    return int(getattr(processor.video_processor, "temporal_patch_size", 1) or 1)


def check_takes_clips(processor: Any) -> None:
    """Raise ModelError where a processor takes no videos."""
    if getattr(processor, "video_processor", None) is None:
        raise ModelError(
            f"{type(processor).__name__} takes no videos, and the slots of this probe are frames of a clip; ask about "
            "images of a prompt: bapa probe SOURCE --slots images:8"
        )


def _longer(inputs: dict[str, Any], more: Ids) -> dict[str, Any]:
    """A processor's inputs, all rows alike, with ``more`` tokens of text behind each row."""
    if not more:
        return inputs
    rows = len(inputs["input_ids"])
    behind = {name: [0] * len(more) for name in token_types(inputs)} | {"input_ids": more}
    if "attention_mask" in inputs:
        behind["attention_mask"] = [1] * len(more)
    added = {
        name: torch.cat([inputs[name], torch.tensor(values, dtype=inputs[name].dtype).repeat(rows, 1)], 1)
        for name, values in behind.items()
    }
    return {**inputs, **added}


def _marks(processor: Any) -> list[str]:
    """What the tokenizer reads as a token of its own wherever it stands: placeholders of images, ends of turns."""
    tokenizer = processor.tokenizer
    unknown = getattr(tokenizer, "unk_token", None)
    own = (getattr(processor, name, None) for name in ("image_token", "video_token"))
    marks = {*getattr(tokenizer, "all_special_tokens", ()), *own}
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
    while 0 < tail < len(long) and long.ids[-tail] == long.ids[-tail - 1]:
        tail -= 1  # likewise of the last of several pictures: it ends behind all tokens of its placeholder
    if shown := [index for values in long.types.values() for index, value in enumerate(values) if value]:
        head, tail = min(head, *shown), min(tail, len(long) - 1 - max(shown))  # types begin and end within it
    end = len(long) - tail
    return _Splice(
        short[head : len(short) - tail],
        Prompt(long.ids[head:end], {name: values[head:end] for name, values in long.types.items()}),
        end,
    )


def common(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
