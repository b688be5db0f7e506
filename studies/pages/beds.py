"""One table of all models that nobody biased, from the records of their studies, for README.md and docs/unbiased.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bapa.stats.text import signed
from studies.aligned.page import STUDY as ALIGNED
from studies.gemma import ask as gemma_asked
from studies.gemma.page import STUDY as GEMMA
from studies.study import ROOT, filled, table
from studies.text import bounded
from studies.words import ask as words_asked
from studies.words.page import STUDY as WORDS

PAGES = {
    ROOT / "README.md": "docs/studies/",
    ROOT / "docs/unbiased.md": "studies/",
}  # where the studies lie, from there
_ALL = "all wordings"


@dataclass(frozen=True)
class Bed:
    """``page``: of its study. ``rules``: by label the figures of each rule; ``known``: by form of the question what is
    known of neighbours; ``blend``: the label of the rule in part.
    """

    name: str
    page: str
    rules: Mapping[str, Any]
    known: Mapping[str, Any]
    blend: str

    def row(self, studies: str) -> list[str]:
        """The bed's row of a table on a page from which the studies lie at ``studies``."""
        native, whole, part = (self.rules[rule] for rule in ("native", "bapa", self.blend))
        return [
            f"[{self.name}]({studies}{self.page})",
            bounded(native["range"]),
            f"{bounded(whole['range'])}, mean {_mean(whole)}",
            f"{bounded(part['range'])}, mean {_mean(part)}",
            f"{_kept(self.known, 'bapa')} → {_kept(self.known, self.blend)}",
        ]


def beds() -> list[Bed]:
    """All of which the rule in part was asked."""
    words, gemma, aligned = WORDS.record(), GEMMA.record(), ALIGNED.record()["together"]
    smol, late = words_asked.CANDIDATES[0], gemma_asked.CANDIDATES[0]
    pictures = gemma["pictures"]["together"]
    return [
        Bed("SmolLM2 135M, words", "words.md", words["9"][_ALL]["rules"], words["neighbours"]["9"], smol),
        Bed("Gemma 3 270M, words", "gemma.md", gemma[_ALL]["rules"], gemma["neighbours"], late),
        Bed("encoder and SmolLM2, drawings", "aligned.md", aligned["rules"], aligned["known"], smol),
        Bed("encoder and Gemma, drawings", "gemma.md#with-pictures", pictures["rules"], pictures["known"], late),
    ]


def written() -> dict[Path, str]:
    """The pages with the table written anew."""
    head = ["model", "range natively", "`bapa`: range, change of the mean", "the rule in part", "kept under each"]
    return {
        path: filled(path.read_text("utf-8"), path.name, {"beds": table(head, [bed.row(studies) for bed in beds()])})
        for path, studies in PAGES.items()
    }


def _mean(rule: Mapping[str, Any]) -> str:
    return signed(rule["change"]["mean"]["value"], 1)


def _kept(known: Mapping[str, Any], rule: str) -> str:
    """Of what stands to the right, by form of the question; a dash where the model natively knows nothing of it."""
    told = [its[rule]["right"]["kept"]["value"] for its in known.values() if "kept" in its[rule]["right"]]
    return " and ".join(f"{100 * one:.0f}" for one in told) + " %" if told else "–"
