"""What a scheme is: a rule that says where the tokens of ONE image go and where the text resumes.

Everything that all rules share (several images, batches, padding, tags inside an image, decoding) is written once, in
:mod:`bapa.schemes.assign`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from bapa.errors import SchemeError
from bapa.layout import Grid, Image
from bapa.schemes.effects import Attention, Effects
from bapa.schemes.part import CHANNELS, EVERYWHERE, LAYERS, PAIRS, Pairs, Part, read_channels, read_layers
from bapa.schemes.shares import SHARES, read_shares

Scope = Literal["image", "tile", "frame", "global"]

FURTHEST = 1_000_000  # positions a number of an option may mean: float32, in which they turn, tells them apart
_DEEPEST = 128  # layers; no decoder that sees pictures has more


@dataclass(frozen=True)
class Placement:
    """Where one image goes, counted from the position ``b`` its first token would take.

    ``offsets``: Tensor (axes, tokens), long or float: token i of the image takes ``b + offsets[:, i]``. One axis
    stands for all. ``resume``: Tensor (tokens,): after the first i + 1 tokens of the image the text goes on at ``b +
    resume[i]``. The last entry places the text behind the image; the earlier ones matter only where tags stand inside
    an image, or where a prompt is fed in chunks.
    """

    offsets: Tensor
    resume: Tensor

    @classmethod
    def after_last(cls, offsets: Tensor) -> Placement:
        """The usual rule for the text: one after the largest position of the image so far, on any axis."""
        return cls(offsets, offsets.amax(0).cummax(0).values + 1)


_MASKS = (*get_args(Attention), "soft:SIGMA")


@dataclass(frozen=True)
class Scheme(ABC):
    """A position rule for images in a rotary language model.

    Subclasses are frozen dataclasses whose fields are the options. ``axes``: rotary axes a model must have (3: M-RoPE);
    1-axis rules put the same position on every axis. ``sets``: position sets dealt in turn over the rotary channels
    (VRoPE: 4). ``absolute``: whether :meth:`place` reads ``b``. ``attention``: the mask inside the image that the paper
    pairs with the rule (``ranked``: a patch sees those at its own and at lower positions); nothing sets it silently.

    Every scheme has these options. ``scope``, what counts as one image: ``image`` a picture with all its tiles,
    ``tile`` each tile of it, or
    unbroken block of its tokens, ``frame`` each frame of a video, ``global`` all of a prompt at once.
    ``image_attention``, the mask inside an image, apart from the positions: the model's own, ``bidirectional``,
    ``ranked``, where a token sees those at its own and at lower positions, or ``soft:sigma`` (SoFA), where image tokens
    see later ones too, with ``sigma`` of their weight. ``pairs``, ``layers``, ``channels``, ``blend``, or
    ``shares`` in place of the last three: to which part of the model all this applies; see :mod:`bapa.schemes.part`.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    axes: ClassVar[int] = 1
    sets: ClassVar[int] = 1
    absolute: ClassVar[bool] = False
    attention: ClassVar[Attention] = "native"

    scope: Scope = field(default="image", kw_only=True, metadata={"accepts": " | ".join(get_args(Scope))})
    image_attention: Attention | str = field(default="native", kw_only=True, metadata={"accepts": " | ".join(_MASKS)})
    pairs: Pairs = field(default="all", kw_only=True, metadata={"accepts": " | ".join(PAIRS)})
    layers: str = field(default="all", kw_only=True, metadata={"accepts": LAYERS})
    channels: str = field(default="all", kw_only=True, metadata={"accepts": CHANNELS})
    blend: float = field(default=1, kw_only=True, metadata={"accepts": "from 0 (native scores) to 1 (the rule's)"})
    shares: str = field(default="all", kw_only=True, metadata={"accepts": SHARES})

    def __post_init__(self) -> None:
        for option in ("layers", "channels", "shares"):  # 3 and "0-3,5" are other ways to write "3" and "0-3+5"
            object.__setattr__(self, option, str(getattr(self, option)).replace(" ", "").replace(",", "+"))
        self.require("scope", self.scope in get_args(Scope), f"one of {', '.join(get_args(Scope))}")
        known = self.image_attention in get_args(Attention) or _sigma(self.image_attention) is not None
        self.require("image_attention", known, f"one of {', '.join(_MASKS)} with 0 < SIGMA <= 1")
        self.require("pairs", self.pairs in PAIRS, f"one of {', '.join(PAIRS)}")
        self.require("layers", read_layers(self.layers) is not None, LAYERS)
        self.require("channels", read_channels(self.channels) is not None, CHANNELS)
        self.require("blend", is_number(self.blend, 0) and self.blend <= 1, "a number from 0 to 1")
        self.require("shares", read_shares(self.shares) is not None, SHARES)
        if self.shares != "all" and (both := {"layers", "channels", "blend"} & set(self.options)):
            raise SchemeError(f"shares say for each layer, head and rotary pair how much; leave out {min(both)}")

    def require(self, option: str, valid: bool, accepted: str) -> None:
        """Raise SchemeError, naming what is ``accepted``, where the value of ``option`` is not ``valid``."""
        if not valid:
            value = getattr(self, option)
            large = isinstance(value, int | float) and abs(value) > FURTHEST
            found = f"{value!r:.40}{'...' if len(repr(value)) > 40 else ''}"
            raise SchemeError(f"{option}={found}: {accepted}{f', {FURTHEST} at most,' if large else ''} is accepted")

    @abstractmethod
    def place(self, image: Image, b: float = 0) -> Placement:
        """Positions of the tokens of ``image`` and of the text behind it, relative to ``b``.

        ``b`` is the position the image's first token takes natively. Rules shift with it, so it is given as 0 unless
        the scheme is ``absolute``. Raises SchemeError where the rule needs a patch grid and the image has none.
        """

    @property
    def effects(self) -> Effects:
        """All that the scheme changes in a model; a scheme that does more than place tokens adds to this."""
        sigma = _sigma(self.image_attention)
        mask: Any = "soft" if sigma is not None else self.image_attention
        return Effects(mask=mask, sigma=sigma or 1, part=self.part)

    @property
    def part(self) -> Part:
        """The options ``pairs``, ``layers``, ``channels``, ``blend`` and ``shares``, read."""
        layers, channels, shares = read_layers(self.layers), read_channels(self.channels), read_shares(self.shares)
        if layers is None or channels is None or shares is None:
            raise SchemeError(f"{self} has options that cannot be read")
        return Part(PAIRS[self.pairs], layers, channels, self.blend, shares)

    def check(self) -> None:
        """Raise SchemeError where an option has nothing to apply to, in any model."""
        effects = self.effects
        given = [name for name in ("pairs", "layers", "channels", "blend", "shares") if name in self.options]
        if effects.positions or effects.looks:
            return
        accepted = ["layers"] * (effects.mask != "native") + ["layers", "pairs", "blend"] * (effects.bias is not None)
        if wrong := [name for name in given if effects.features or name not in accepted]:
            raise SchemeError(f"{self}: {wrong[0]} has nothing to apply to; {self.name!r} leaves positions as they are")

    @property
    def positions_only(self) -> bool:
        """Whether one set of positions, for all layers and channels, is all there is to the scheme."""
        effects = self.effects
        alike = self.sets == 1 and len({self.at_layer(i, _DEEPEST) for i in range(_DEEPEST)}) == 1
        whole = effects.part == EVERYWHERE
        return alike and whole and not effects.attends and effects.features is None and effects.mask == "native"

    def at_layer(self, layer: int, layers: int) -> Scheme:
        """The rule of decoder layer ``layer`` of ``layers``; the same on every layer unless a scheme says otherwise."""
        return self

    def on_axes(self, axes: int) -> Scheme:
        """The rule for a model with ``axes`` rotary axes; the same unless a scheme says otherwise."""
        return self

    @property
    def shift(self) -> int:
        """A constant added to all positions, text included; a control, since rotary attention cannot see it."""
        return 0

    @property
    def options(self) -> dict[str, object]:
        """The options that differ from their defaults."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    @property
    def label(self) -> str:
        """The scheme in text form: its name and the options that differ from their defaults; ``parse`` reads it
        back.
        """
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    def __str__(self) -> str:
        return self.label

    def grid(self, image: Image) -> Grid:
        """The patch grid of ``image``, where this rule needs one; SchemeError where it is not known."""
        if image.grid is None:
            hint = "; each tile of a picture has one: scope=tile" if self.scope == "image" else ""
            raise SchemeError(
                f"scheme {self.name!r} needs the patch grid of an image; none is known for {len(image)} tokens{hint}"
            )
        self.require_all(image)
        if len(image) > image.grid.rows * image.grid.cols:
            raise SchemeError(f"{len(image)} image tokens do not fit on {image.grid.rows} x {image.grid.cols} patches")
        return image.grid

    def require_all(self, image: Image) -> None:
        """Raise SchemeError where a mask hides tokens of ``image``, so that the others do not fill its grid."""
        if image.thinned:
            raise SchemeError(
                f"scheme {self.name!r} needs every patch of an image; the attention mask hides all but {len(image)}"
            )

    def count(self, image: Image) -> int:
        """Patches of the whole ``image``; where its grid is not known, the tokens it has brought so far."""
        if image.grid is None:
            return len(image)
        grid = self.grid(image)
        return grid.rows * grid.cols


class GridScheme(Scheme):
    """A rule told patch by patch on the grid; the text resumes one after the largest position on any axis."""

    @property
    def effects(self) -> Effects:
        return replace(super().effects, grid=True)

    @abstractmethod
    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        """What to add to ``b`` for every patch in raster order: Tensor (axes, rows * cols), long or float."""

    def place(self, image: Image, b: float = 0) -> Placement:
        return Placement.after_last(self.offsets(self.grid(image), b)[:, : len(image)])


def patches(grid: Grid) -> tuple[Tensor, Tensor]:
    """Row and column of every patch in raster order: two LongTensors (rows * cols,)."""
    i = torch.arange(grid.rows * grid.cols, dtype=torch.long, device="cpu")
    return i // grid.cols, i % grid.cols


def rings(grid: Grid) -> Tensor:
    """Ring of every patch in raster order, LongTensor (rows * cols,): 0 on the border, growing to the centre."""
    r, c = patches(grid)
    return torch.stack([r, grid.rows - 1 - r, c, grid.cols - 1 - c]).amin(0)


def _sigma(attention: str) -> float | None:
    """SIGMA of ``soft:SIGMA``; None where it is something else or out of range."""
    kind, _, number = str(attention).partition(":")
    if kind != "soft" or not re.fullmatch(r"\d+\.?\d*|\.\d+", number):
        return None
    return float(number) if 0 < float(number) <= 1 else None


def is_number(value: object, least: float = -math.inf) -> bool:
    """Whether an option is a number from ``least`` to ``FURTHEST``, on either side of 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value and abs(value) <= FURTHEST


def is_whole(value: object, least: float = -math.inf) -> bool:
    """The same of whole numbers."""
    return isinstance(value, int) and is_number(value, least)
