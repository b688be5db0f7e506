"""Rules fitted to the models whose image tokens carry places, with rows, columns and boxes in the loss: PLAN-2.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studies.aligned.ask import Reader
from studies.coded.codes import codes
from studies.taught.fit import Way, fit
from studies.taught.lessons import BOX

FITS = Path(__file__).parent / "rules.json"  # by seed and way, labels
_ASKED = ("row", "column", BOX)
WAYS: Mapping[str, Way] = {
    "fitted with places": Way("bapa", "words", _ASKED),
    "reverse with places": Way("reverse", "reverse", _ASKED),
}


def fitted_to(taught: Reader, work: Path, way: str, seed: int) -> str:
    """The label of the rule fitted in this ``way`` to the ``taught`` model of ``seed``; it goes on from what ``work``
    holds.
    """
    return fit(taught, WAYS[way], seed, work / f"shares-{seed}-{way}.safetensors", codes(taught.named))
