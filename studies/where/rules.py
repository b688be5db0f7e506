"""The rules that the study asks about, besides what the search picks."""

from __future__ import annotations

from bapa.schemes import parse

SHARED = "calibrated:distance=1x"
_TRIED = (  # picked by hand on 24 items that are in no probe of the study, the first two on the maps
    f"{SHARED},channels=0.3x-0.6x",
    f"{SHARED},channels=0.3x-0.6x+wave>3.3x",
    f"{SHARED},channels=wave<0.6x+wave>3.3x",
    f"{SHARED},pairs=text-to-image,channels=wave<0.6x+wave>3.3x",
    f"{SHARED},pairs=text-to-image,channels=wave<0.6x+wave>5.8x",
    f"{SHARED},pairs=text-to-image,channels=wave<0.6x+wave>5.8x,blend=0.7",
    f"{SHARED},pairs=text-to-image,blend=0.3",
)
TRIED = tuple(parse(text).label for text in _TRIED)
BEST = TRIED[4]
CHANNELS, BLEND = TRIED[2], TRIED[6]  # one by rotary pairs, one by token pairs and a mix of scores
NAMED = ("native", "bapa", "imccd", "cmpc", "restore", "sofa")
OLD = ("stride", "concentric", "manhattan", "pyramid", "vrope", "anchored", "agci", "reverse", "shuffle", "null")
LEADS = ("native", "bapa", SHARED, CHANNELS, BLEND)  # looked at closely
EVERY = tuple(dict.fromkeys([*NAMED, SHARED, *OLD, BEST, CHANNELS]))  # asked of every model


def one_at_a_time(layers: int, pairs: int, heads: int) -> dict[str, str]:
    """Where the shared position is switched on, and the rule: one layer, one head of a layer, one rotary pair, one kind
    of token pairs.
    """
    found = {f"layer {n}": f"{SHARED},layers={n}" for n in range(layers)}
    one = ["0" * n + "f" + "0" * (heads - n - 1) for n in range(heads)]
    found |= {f"layer {n}, head {h}": f"{SHARED},shares={n}:{one[h]}" for n in range(layers) for h in range(heads)}
    found |= {f"rotary pair {n}": f"{SHARED},channels={n}" for n in range(pairs)}
    kinds = ("text-to-image", "cross", "all")
    found |= {f"pairs: {kind}": f"{SHARED},pairs={kind}" for kind in kinds}
    return {part: parse(text).label for part, text in found.items()}
