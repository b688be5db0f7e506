"""The candidates: which rules are tried. Distances first, then what lies around the best of them."""

from __future__ import annotations

from bapa.schemes import make, parse

PAPER = make("bapa").label  # distance 1, delta 0
NATIVE = make("native").label  # a candidate too: it stays unless something beats it
STEPS = 24  # distances tried besides the paper's; with fewer a peak can fall between two
STRIDES = (0.05, 0.15, 0.3)


def distances(steps: int = STEPS) -> list[str]:
    """Labels of the paper's rule and of ``steps`` distances, equally far apart, up to twice the native one.

    At the native distance the text stands where the image's middle stood natively, at twice that distance where its
    first token stood: what a model can have learned lies between.
    """
    return [PAPER, *(_label(2 * k / steps) for k in range(1, steps + 1))]


def around(candidate: str, steps: int = STEPS) -> list[str]:
    """Labels half a step nearer and farther than ``candidate``, and with some of the image's own order kept.

    There are none around the paper's rule: no distance is shorter, the next longer one is a candidate already, and the
    image's own order would reach into a text that close.
    """
    multiple: float | None = getattr(parse(candidate), "multiple", None)
    if multiple is None:
        return []
    near, far = multiple - 1 / steps, multiple + 1 / steps
    kept = [_label(multiple, delta) for delta in STRIDES if delta < multiple]
    return [_label(near), *([_label(far)] if far < 2 else []), *kept]


def _label(multiple: float, delta: float = 0) -> str:
    return make("calibrated", distance=f"{multiple:.4g}x", delta=delta).label
