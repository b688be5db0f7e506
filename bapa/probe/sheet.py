"""The contact sheet of a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING
from PIL import Image

if TYPE_CHECKING:
    from bapa.probe.store import Probe


def contact_sheet(probe: Probe) -> Image.Image:
    return Image.fromarray(probe.compose(probe.items[0], 0))
