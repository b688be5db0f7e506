"""Gemma joined to the encoder by a projector alone, as in the aligned study, and asked about pictures: PLAN-2.md."""

from __future__ import annotations

from pathlib import Path

from bapa.schemes import parse
from studies.aligned.ask import Language
from studies.aligned.run import FETCHED, Parts, Seeds, Work, gathered
from studies.gemma.ask import CANDIDATES
from studies.gemma.build import base
from studies.gemma.page import STUDY

HERE = Path(__file__).parent
FILES = HERE / "pictures.parquet", HERE / "pictures-neighbours.parquet"
_BLEND, _CROSS = CANDIDATES[0], CANDIDATES[2]
_RULES = (
    "native",
    "bapa",
    "reverse",
    "reverse:image_attention=ranked",
    "native:image_attention=bidirectional",
    "bapa:image_attention=bidirectional",
    _BLEND,
    _CROSS,
)
GEMMA = Language("gemma", base, tuple(parse(rule).label for rule in _RULES), ("native", "bapa", _BLEND, _CROSS), 2)


def pictures(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = Path("build/gemma-pictures")) -> None:
    """Join Gemma 3 270M to the encoder by a projector alone, and ask about pictures (needs npm)."""
    STUDY.keep({**STUDY.record(), "pictures": gathered(GEMMA, seeds, parts, work, FILES)})
