"""The rules that the study asks about, besides what the search picks."""

from __future__ import annotations

from bapa.schemes import names, parse
from bapa.schemes.registry import table

TASKS = ("where", "order")
KNOWING = 0.5  # rows right natively, from which a model is said to know them
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
_MASKED = [f"{row.name}:image_attention={row.attention}" for row in table() if row.attention != "native"]
_OTHERS = ("anchored:rule=edvt", "native:image_attention=soft:0.5", "bapa:distance=native", SHARED, *TRIED)
# Every rule by name, then those with the mask that their paper pairs them with, then other forms and the picked ones.
WHOLE = tuple(dict.fromkeys(parse(text).label for text in (*NAMED, *names(), *_MASKED, *_OTHERS)))
BANDS = ("wave<0.6x", "0.6x-1.8x", "1.8x-5.8x", "wave>5.8x")  # of rotary pairs; edges are those of the search


def one_at_a_time(layers: int, pairs: int, heads: int) -> dict[str, str]:
    """Where the shared position is switched on, and the rule: one layer, one head of a layer, one rotary pair, one band
    of rotary pairs, one kind of token pairs.
    """
    found = {f"layer {n}": f"{SHARED},layers={n}" for n in range(layers)}
    one = ["0" * n + "f" + "0" * (heads - n - 1) for n in range(heads)]
    found |= {f"layer {n}, head {h}": f"{SHARED},shares={n}:{one[h]}" for n in range(layers) for h in range(heads)}
    found |= {f"rotary pair {n}": f"{SHARED},channels={n}" for n in range(pairs)}
    found |= {f"band {band}": f"{SHARED},channels={band}" for band in BANDS}
    kinds = ("text-to-image", "cross", "all")
    found |= {f"pairs: {kind}": f"{SHARED},pairs={kind}" for kind in kinds}
    return {part: parse(text).label for part, text in found.items()}
