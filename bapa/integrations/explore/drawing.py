"""The right half of the explorer as HTML: one card for each scheme, with one colour scale for all."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from PIL import Image

from bapa.integrations.explore.explorer import Shown
from bapa.probe.compose import Pixels
from bapa.probe.questions import YES_NO
from bapa.probe.slots import Slots
from bapa.report.scale import Scale

_SIDE = 100  # units of the drawings that a cell takes
_DARKEST = 0.85  # of the veil over what gets no attention
_SURE = 0.5  # mass of yes and no below which a margin says little


def cards(shown: Sequence[Shown], canvas: Pixels, cell: int, slots: Slots) -> str:
    """HTML of ``shown``, about ``canvas`` with the picture at ``cell``; whatever the model wrote is escaped."""
    most = max(1e-6, *(abs(margin) for each in shown for margin in each.margins))
    scale = Scale("PuOr", -most, most)
    template = _environment().get_template("cards.html.j2")
    wide, high = _picture(slots, canvas)
    return template.render(
        cards=[_card(each, cell, slots, scale, (wide, high)) for each in shown],
        picture=_data_uri(canvas),
        width=slots.cols * _SIDE,
        height=slots.rows * _SIDE,
        wide=wide,
        high=high,
        words=slots.words,
        word=slots.word,
        asked=f"at every {slots.word}" if slots.varied else "wherever the picture could stand",
        stops=scale.stops(),
        most=most,
        sure=_SURE,
    )


def _picture(slots: Slots, canvas: Pixels) -> tuple[int, int]:
    """Width and height at which ``canvas`` is drawn: as wide as its cells, or as one picture, in its own shape."""
    wide = _SIDE * (3 if slots.varied else slots.cols)
    return wide, round(wide * canvas.shape[0] / canvas.shape[1])


def _card(shown: Shown, cell: int, slots: Slots, scale: Scale, picture: tuple[int, int]) -> dict[str, object]:
    cols = slots.cols
    cells = [
        {
            "x": place % cols * _SIDE,
            "y": place // cols * _SIDE,
            "text": _signed(margin, 1),
            "fill": scale.fill(margin),
            "ink": scale.ink(margin),
            "here": place == cell,
            "name": f"{slots.name(place)}: margin {_signed(margin, 2)}",
        }
        for place, margin in enumerate(shown.margins)
    ]
    patches = []
    if shown.attention is not None:
        high, wide = shown.attention.shape
        across, down = picture
        share = shown.attention / shown.attention.sum()
        veil = _DARKEST * (1 - np.sqrt(share / share.max()))  # the root lets one see the weak ones too
        patches = [
            {
                "x": col * across / wide,
                "y": row * down / high,
                "width": across / wide,
                "height": down / high,
                "opacity": f"{veil[row, col]:.3f}",
                "name": f"{100 * share[row, col]:.1f} % of the attention to the image",
            }
            for row in range(high)
            for col in range(wide)
        ]
    margins = shown.margins
    first = shown.text.lower().partition(" ")[0].strip(".,!")
    return {
        "shown": shown,
        "margin": _signed(margins[cell], 2),
        "range": f"{max(margins) - min(margins):.2f}",
        "says": first if first in YES_NO else "more",
        "cells": cells,
        "patches": patches,
    }


def _signed(number: float, places: int) -> str:
    return f"{number:+.{places}f}".replace("-", "−")


def _data_uri(canvas: Pixels) -> str:
    picture = io.BytesIO()
    Image.fromarray(canvas).save(picture, "PNG")
    return f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"


def _environment() -> Environment:
    loader = PackageLoader("bapa.integrations.explore", "templates")
    return Environment(loader=loader, autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True)
