"""What `bapa origin` says of the models with a trained projector is kept, and comes to the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bapa.stats.text import interval, percent
from studies.aligned import causes, page
from studies.aligned.reading import together
from tests.studies.test_sentences import page as read

LAYERS, HEADS = 6, 2


def found(position: float) -> dict[str, Any]:
    """What a run finds in which the first layers are more even under the rule and the last ones less."""
    balance = np.full((LAYERS, HEADS, 2), 0.5)  # of the question and the answer
    ruled = balance.copy()
    ruled[: LAYERS // 3, :, 1] += 0.2
    ruled[-LAYERS // 3 :, :, 1] -= 0.1
    ruled[:, :, 0] = 0.9  # what the question attends to does not count
    share = {"value": position, "low": position - 0.1, "high": position + 0.1}
    return {
        "verdict": {"sentence": "It is the positions.", "quantity": "margin"},
        "options": {"items": 60},
        "attribution": {"margin": dict.fromkeys(causes.FACTORS, share), "hit": {}},
        "flow": {"schemes": {"native": {"balance": balance.tolist()}, "bapa": {"balance": ruled.tolist()}}},
    }


def test_attention_of_the_answer_is_averaged_over_heads_and_some_of_the_layers() -> None:
    change = causes.one(found(0.6), found(0.6))["attention"][causes.CHANGE]
    assert [change[part]["value"] for part in causes.THIRDS] == pytest.approx([0.1 / 3, 0.2, -0.1])


def test_all_three_runs_are_needed(tmp_path: Path) -> None:
    (tmp_path / "origin-1").mkdir()
    (tmp_path / "origin-1" / "origin.json").write_text("{}")
    assert causes.causes(tmp_path) == {}


def test_the_page_tells_shares_and_attention_of_each_model_and_of_all() -> None:
    models = {str(seed): causes.one(found(0.5 + seed / 10), found(0.5)) for seed in (1, 2, 3)}
    record = {"models": models, "together": together(models)}
    told = page.blocks({"origin": record})["docs/studies/aligned.md"]
    assert "| projector 3 | 80.0 <sub>[70.0, 90.0]</sub> |" in told["origin"]
    assert "| all three (t) | 70.0 <sub>[45.2, 94.8]</sub> |" in told["origin"]
    assert "| projector 1 | first third | 50.0 | 70.0 | 20.0 |" in told["attention"]
    assert told["attention"].count("all three (t)") == len(causes.THIRDS)


def test_pages_say_what_the_record_has() -> None:
    its = page.STUDY.record()["origin"]["together"]
    study, paper, bench = map(read, ("docs/studies/aligned.md", "docs/paper.md", "docs/studies/pretrained.md"))
    shares, attention = its["shares"], its["attention"]
    for factor in ("position", "order", "encoder"):
        assert f"{percent(shares[factor]['value'], 1)} %" in study
        assert interval(shares[factor], 1) in study
    assert shares["position"]["low"] < 0.5 < shares["position"]["high"]  # so half cannot be told
    assert shares["encoder"]["low"] < 0.1 < shares["encoder"]["high"]
    for text in (paper, bench):
        assert f"{percent(shares['position']['value'])} % of the spread {interval(shares['position'])}" in text
    told = (f"{percent(shares[factor]['value'])} % {interval(shares[factor])}" for factor in ("position", "order"))
    assert " and ".join(told) in paper
    more = attention[causes.CHANGE]["all layers"]
    assert more["low"] > 0
    for text in (study, paper, bench):
        assert f"+{percent(more['value'], 1)} points" in text
        assert interval(more, 1) in text
    native, ruled = (percent(attention[rule]["all layers"]["value"], 1) for rule in causes.RULES)
    assert f"goes from {native} % of the largest possible natively to {ruled} %" in paper
