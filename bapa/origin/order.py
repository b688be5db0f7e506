"""The image behind the question instead of before it."""

from __future__ import annotations

from bapa.errors import ModelError
from bapa.inference.prompts import Prompts

_MARK = "question here"


class Turned(Prompts):
    """Prompts with image and question in the other order than :class:`~bapa.inference.prompts.Prompts` would write
    them, also where the chat template knows only one order: there the image's placeholder is moved in the written
    prompt.
    """

    def _written(self, text: str) -> str:
        written = super()._written(text)
        if self.question_first == (written.find(text) < self._image_at(written, text)):
            return written
        image = self._image(text)
        if not image or written.count(image) != 1:
            raise ModelError(
                f"the chat template of {type(self.processor).__name__} writes no image placeholder that can be moved"
            )
        rest = written.replace(image, "", 1)
        start = rest.index(text)
        end = start + len(text)
        return f"{rest[:end]} {image}{rest[end:]}" if self.question_first else f"{rest[:start]}{image}{rest[start:]}"

    def _image_at(self, written: str, text: str) -> int:
        image = self._image(text)
        return written.find(image) if image else -1

    def _image(self, text: str) -> str:
        """What the template writes for an image."""
        template = self.processor.apply_chat_template
        message = {"role": "user", "content": [{"type": "text", "text": text}]}
        plain = template([message], tokenize=False, add_generation_prompt=True)
        written = super()._written(text)
        head = next((i for i, (a, b) in enumerate(zip(plain, written, strict=False)) if a != b), len(plain))
        return written[head : head + len(written) - len(plain)]
