"""The candidates of a search under a promise: which part of a model takes the shared position, and how far it goes.

Rotary pairs are told by wavelength in lengths of the image, so that one set of candidates serves every head size, base
and image. What carries the sense of place is not known beforehand: bands of pairs that stay native are tried at several
edges, from a third of the image's length to six of them.
"""

from __future__ import annotations

from bapa.schemes import Scheme, make, parse

NAMED = ("native", "bapa", "imccd", "cmpc")  # in every search, and named in the picture
KEPT_FROM, KEPT_TO = (0.3, 0.6, 1.05), (1.8, 3.3, 5.8)  # edges of the band that stays native, in image lengths
PAIRS = ("all", "cross", "text-to-image")
BLENDS = (0.3, 0.5, 0.7)
DELTAS = (0.3, 0.5, 0.8)
DISTANCES = (0.5, 1.5, 2.0)
LATE = (("20%-100%", 0.6), ("30%-100%", 0.7))  # layers, told by depth, and the blend
BLEND = make("bapa", layers=LATE[0][0], blend=LATE[0][1]).label  # even and knowing on pretrained language models
FINER = (0.5, 0.75, 1.25, 1.5, 2.0)


def space(layers: int) -> list[str]:
    """Labels of the candidates for a decoder with so many ``layers``: those of :data:`NAMED` first, then one option at
    a time, then bands of rotary pairs with each kind of token pairs, last three rules under which a pretrained language
    model stayed able to tell neighbours (docs/studies/words.md).
    """
    half = max(1, layers // 2)
    parts: list[dict[str, object]] = [{"pairs": pairs} for pairs in PAIRS]
    parts += [{"pairs": pairs, "blend": blend} for pairs in PAIRS for blend in BLENDS]
    parts += [{"delta": delta} for delta in DELTAS]
    parts += [{"layers": f"0-{half - 1}"}, {"layers": f"{half}--1"}] if layers > 1 else []
    parts += [{"channels": band} for band in ("wave<0.6x", "0.3x-0.6x", "wave<3.3x", "wave>3.3x")]
    parts += [
        {"pairs": pairs, "channels": f"wave<{low}x+wave>{high}x"}
        for pairs in PAIRS
        for low in KEPT_FROM
        for high in KEPT_TO
    ]
    found = [_rule("1x", **part) for part in parts] + [_rule(f"{factor:g}x") for factor in DISTANCES]
    found.append(make("bapa", pairs="cross"))
    if layers > 1:
        found += [make("bapa", layers=depths, blend=blend) for depths, blend in LATE]
    return list(dict.fromkeys([*(make(name).label for name in NAMED), *(rule.label for rule in found)]))


def near(candidate: str, layers: int) -> list[str]:
    """Labels of what lies around ``candidate``: other distances, some of the image's own order kept, mixed scores, or
    half of the layers.
    """
    rule = parse(candidate)
    multiple: float | None = getattr(rule, "multiple", None)
    if multiple is None or "shares" in rule.options:
        return []
    delta, blend = rule.options.get("delta", 0), rule.options.get("blend", 1)
    changes: list[dict[str, object]] = [{"distance": f"{factor:g}x"} for factor in FINER if delta == 0]
    changes += [{"delta": kept} for kept in (0.15, 0.5) if delta == 0 and kept < multiple]
    changes += [{"blend": share} for share in (0.5, 0.7, 0.85) if blend == 1]
    if layers > 1 and "layers" not in rule.options:
        changes.append({"layers": f"0-{max(1, layers // 2) - 1}"})
    found = [make(rule.name, **{**rule.options, **change}).label for change in changes]
    return [label for label in dict.fromkeys(found) if label != candidate]


def _rule(distance: str, **part: object) -> Scheme:
    return make("calibrated", distance=distance, **part)
