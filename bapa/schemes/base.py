"""What a scheme is: a rule that says where the tokens of ONE image go and where the text resumes.

Everything that all rules share (several images, batches, padding, tags inside an image, decoding) is written once, in
:mod:`bapa.schemes.assign`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

from torch import Tensor

from bapa.layout import Image


@dataclass(frozen=True)
class Placement:
    """Where one image goes, counted from the position ``b`` its first token would take.

    ``offsets``: Tensor (axes, tokens), long or float: token i of the image takes ``b + offsets[:, i]``. ``resume``:
    Tensor (tokens,): after the first i + 1 tokens of the image the text goes on at ``b + resume[i]``. The last entry
    places the text behind the image; the earlier ones matter only where tags stand inside an image, or where a prompt
    is fed in chunks.
    """

    offsets: Tensor
    resume: Tensor


@dataclass(frozen=True)
class Scheme(ABC):
    """A position rule for images in a rotary language model. Subclasses are frozen dataclasses whose fields are the
    options.
    """

    name: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def place(self, image: Image) -> Placement:
        """Positions of the tokens of ``image`` and of the text that follows, relative to its first token's native
        position.
        """

    @property
    def options(self) -> dict[str, object]:
        """The options that differ from their defaults."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    @property
    def label(self) -> str:
        """The scheme in text form: its name, then the options that differ from their defaults; ``parse(label)`` gives
        it back.
        """
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    def __str__(self) -> str:
        return self.label
