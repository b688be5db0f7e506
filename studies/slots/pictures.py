"""Draws the pictures of docs/slots.md: an item of every kind, and maps of planted bias.

python -m studies.slots.pictures
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bapa.measure import measure
from bapa.probe import Design, build
from bapa.report import figures
from studies.slots.run import SCHEMES, planted
from studies.slots.scripted import Scripted
from studies.study import ROOT

ITEMS: dict[str, dict[str, Any]] = {
    "grid": {},
    "images": {"slots": "images:8"},
    "frames": {"slots": "frames:10"},
    "page": {"slots": "page"},
    "scene": {"slots": "scene", "cell": 96},
    "crop": {"slots": "crop", "cell": 96},
    "sizes": {"slots": "sizes:5"},
    "aspects": {"slots": "aspects:5"},
}
MAPS = ("images", "page", "sizes")
_CARD = (48, 168, 1592, 592)  # px of a contact sheet: the first of its items
_WIDTH = 1100


def draw(docs: Path) -> None:
    """Write the pictures into ``docs``."""
    with tempfile.TemporaryDirectory() as folder:
        for name, options in ITEMS.items():
            probe = build("digits", Path(folder) / name, Design(**options, items=40))
            with Image.open(probe.path / "contact_sheet.png") as sheet:
                card = sheet.crop(_CARD)
            card = card.resize((_WIDTH, round(card.height * _WIDTH / card.width)), Image.Resampling.LANCZOS)
            card.quantize(96).save(docs / f"slots-{name}.png", optimize=True)
            if name in MAPS:
                script = Scripted(planted(probe.cells, "steep"), 2)
                run = measure(script, probe, SCHEMES, Path(folder) / f"{name}-run", audit=0, batch_size=90)
                for theme in ("light", "dark"):
                    figure = figures.heatmaps([("a script", run.bias)], dark=theme == "dark")
                    figures.save(figure, docs / f"slots-{name}-{theme}.svg", "svg")


if __name__ == "__main__":
    draw(ROOT / "docs")
