"""What a person can choose, and where the results go."""

from __future__ import annotations

from dataclasses import dataclass, field

from bapa.errors import ConfigError
from bapa.origin.moves import RULES
from bapa.probe import Probe
from bapa.stats.bias import Settings

VERSION = 1
FILE, FOLDER = "origin.json", "origin"
PARTS = ("encoder", "occlusion", "flow")


@dataclass(frozen=True)
class Options:
    """``items``: only the first so many. ``batch_size``: canvases per forward, rounded to whole items. ``draws``: how
    often each item makes each move. ``rules``: position rules and masks tried. ``parts``: what is done beside the
    interventions. ``closely``: items looked at in occlusion and information flow, which cost more for each. ``mask``
    and ``stride``: side of an occluding square and distance to the next, in pixels; by default a third of a cell.
    ``fill``: what is shown in its place. ``flow_schemes``: rules under which attention is read. ``statistics``:
    bootstrap and level. Raises ConfigError for parts that do not exist, and for numbers below 1.
    """

    items: int | None = None
    batch_size: int = 18
    draws: int = 2
    rules: tuple[str, ...] = RULES
    parts: tuple[str, ...] = PARTS
    closely: int = 12
    mask: int | None = None
    stride: int | None = None
    fill: str = "mean"
    flow_schemes: tuple[str, ...] = ("native", "bapa")
    statistics: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if unknown := set(self.parts) - set(PARTS):
            raise ConfigError(f"parts {', '.join(sorted(unknown))}: accepted are {', '.join(PARTS)}")
        for name in ("items", "batch_size", "draws", "closely", "mask", "stride"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise ConfigError(f"{name} = {given}: 1 or more is accepted")


def check_slots(probe: Probe) -> None:
    """Raise ConfigError where the slots of ``probe`` are neither places in one picture nor images of one prompt."""
    slots = probe.slots
    # An encoder may see several frames at once.
    of = "of one clip" if slots.kind == "frames" else "in one place" if slots.varied else ""
    if of:
        raise ConfigError(
            f"the slots of the probe in {probe.path} are {slots.words} {of}, and bapa origin exchanges what a model "
            "sees in one place with what it sees in another, token by token; take a probe whose slots are places: "
            "bapa probe SOURCE --slots grid (or page, scene, crop, images:8)"
        )
