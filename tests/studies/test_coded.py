"""Models whose image tokens carry places: the codes tell them, and the endpoints are what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from studies.coded import ask, page, reading, run
from studies.coded.ask import CHANCE, CODED, OWN
from studies.coded.codes import SIZE, codes
from studies.coded.reading import FITTED, REVERSED
from studies.pretrained.build import GRID
from studies.taught.ask import TAUGHT
from studies.words.ask import cell_of_token

PICTURES, PLACED = 120, 45
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def added() -> torch.Tensor:
    embedding = torch.randn(50, 576, generator=torch.Generator().manual_seed(0)) + 1
    named: Any = SimpleNamespace(embedding=embedding)
    found = codes(named)
    wanted = SIZE * (embedding - embedding.mean(0)).norm(dim=1).mean()
    assert found.shape == (GRID * GRID, 576)
    assert torch.allclose(found.mean(0), torch.zeros(576), atol=1e-5)
    assert torch.allclose(found.norm(dim=1).mean(), wanted)
    return found


def test_a_code_tells_its_row_and_its_column_and_nothing_else_does(added: torch.Tensor) -> None:
    by_row, by_column = added.view(GRID, GRID, 2, -1).unbind(2)
    assert torch.allclose(by_row, by_row[:, :1].expand_as(by_row), atol=1e-6)
    assert torch.allclose(by_column, by_column[:1].expand_as(by_column), atol=1e-6)
    assert torch.pdist(by_row[:, 0]).min() > 0.01
    assert torch.pdist(by_column[0]).min() > 0.01


def test_moved_codes_tell_the_cell_that_is_asked_for(added: torch.Tensor) -> None:
    cells, moved = cell_of_token(GRID), ask.rolled(added)
    for cell, coded in enumerate(CODED.tolist()):
        assert torch.equal(moved[cells == cell], added[cells == coded])
        assert cell // 3 != coded // 3
        assert cell % 3 != coded % 3


def answered(cell: Array) -> dict[str, Array]:
    """Log-probabilities of a model that tells ``cell`` of the thing in each cell, (9,), and prefers the last answer of
    all.
    """
    liking = np.array([0.0, 0.0, 9.0])
    row, column = (np.eye(3)[of] + liking for of in (cell // 3, cell % 3))
    behind = np.stack([row + 5, row - 7, row], 1)  # whatever the left side was
    boxes = np.concatenate([column[:, None], behind], 1).reshape(36, 3)
    other = np.eye(9)[cell] + np.linspace(0, 4, 9)
    each = {"row": row, "column": column, "box": boxes, "place": other}
    return {form: np.repeat(logs[None], 4, 0) for form, logs in each.items()}


@pytest.mark.parametrize("told", [OWN, CODED])
def test_an_answer_is_right_by_the_cell_it_tells(told: Array) -> None:
    own, coded = ask.right(answered(told)), ask.right(answered(told), CODED)
    assert set(own) == set(CHANCE)
    for what in CHANCE:
        assert own[what] == pytest.approx(float(np.array_equal(told, OWN)))
        assert coded[what] == pytest.approx(float(np.array_equal(told, CODED)))


def test_a_box_whose_side_is_wrong_is_wrong() -> None:
    logs = answered(OWN)
    shifted = answered(np.roll(OWN.reshape(3, 3), 1, 1).flatten())
    assert ask.right({**logs, "box": shifted["box"]})["box"] == pytest.approx(0.0)


def uneven(slope: float, seed: int) -> Array:
    cells = 0.8 - slope * np.linspace(0, 1, 9)
    found: Array = np.clip(cells + np.random.default_rng(seed).normal(0, 0.1, (PICTURES, 9)), 0, 1)
    return found


def maps(slopes: dict[str, float]) -> pd.DataFrame:
    tables = []
    for number, (rule, slope) in enumerate(slopes.items()):
        picture, cell = np.indices((PICTURES, 9)).reshape(2, -1)
        shares = uneven(slope, number).ravel()
        tables.append(pd.DataFrame({"picture": picture, "cell": cell, "share": shares}).assign(rule=rule))
    return pd.concat(tables, ignore_index=True).assign(wording=0)


def placed(skills: dict[str, float], chances: Mapping[str, float]) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    tables = [
        pd.DataFrame({"picture": np.arange(PLACED), "what": what, "rule": rule}).assign(
            right=np.clip(chance + part * (1 - chance) + rng.normal(0, 0.02, PLACED), 0, 1)
        )
        for rule, part in skills.items()
        for what, chance in chances.items()
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    slopes = dict.fromkeys(ask.ALL, 0.3) | {"cross": 0.05, FITTED: 0.05, REVERSED: 0.25}
    skills = dict.fromkeys(ask.ALL, 0.5) | {"bapa": 0.4, "native": 0.8, FITTED: 0.75}
    known = placed({"native": 0.5, "bapa": 0.05, "blend": 0.5, "cross": 0.5}, ask.places.CHANCE).assign(model=TAUGHT)
    moved = [
        placed({rule: 0.7 if of == wins else 0.0}, CHANCE).assign(of=of)
        for rule, wins in (("native", "stands"), ("bapa", "coded"))
        for of in ("stands", "coded")
    ]
    return reading.figures((maps({"native": 0.4}), known), (maps(slopes), placed(skills, CHANCE), pd.concat(moved)))


def test_what_codes_spare_is_what_is_kept_beyond_that_without_them(found: dict[str, Any]) -> None:
    assert found["places"]["bapa"]["row"]["kept"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["places"]["bapa"]["box"]["kept"]["value"] == pytest.approx(0.5, abs=0.05)
    spared = found["spared"]["bapa"]["row"]
    assert spared["low"] < 0.4 < spared["high"]
    assert found["codes"]["change"]["row"]["value"] == pytest.approx(0.2, abs=0.03)
    assert found["codes"]["change"]["range"]["value"] == pytest.approx(-0.1, abs=0.06)


def test_the_goals_and_the_control_are_judged_by_the_range(found: dict[str, Any]) -> None:
    assert found["goals"]["quarter"]["cross"]["value"] < found["goals"]["quarter"]["bapa"]["value"]
    assert found["goals"]["half"]["cross"]["high"] < 0 < found["goals"]["half"]["bapa"]["low"]
    assert found["control"]["range"]["high"] < 0


def test_the_fitted_rule_is_held_against_others(found: dict[str, Any]) -> None:
    assert found["fits"][f"{FITTED}, not {REVERSED}"]["range"]["high"] < 0
    assert found["fits"][f"{FITTED}, not {REVERSED}"]["box"]["low"] > 0
    its = found["fits"][f"{FITTED}, not blend"]
    assert its["range"]["high"] < 0
    assert its["box"]["value"] == pytest.approx(0.25 * 8 / 9, abs=0.03)
    assert found["places"][FITTED]["box"]["kept"]["value"] == pytest.approx(0.75 / 0.8, abs=0.05)


def test_it_is_told_whose_place_a_model_tells(found: dict[str, Any]) -> None:
    assert found["whose"]["native"]["box"]["codes ahead"]["high"] < 0
    assert found["whose"]["bapa"]["box"]["codes ahead"]["low"] > 0


def test_the_tables_of_the_page_hold_every_rule(found: dict[str, Any]) -> None:
    curves = {"natively-1": [{"step": 20, "right": 0.25}, {"step": 40, "right": 0.5}]}
    both = {"1": found, "2": found}
    texts = page.blocks({"models": both, "together": reading.together(both), "teaching": curves})[
        "docs/studies/coded.md"
    ]
    for rule in ask.ALL:
        assert f"| {rule} |" in texts["rules"]
        assert f"| {rule} |" in texts["places"]
        assert texts["models"].count(f"| {rule} |") == 2
    assert "cross, less cross of reverse" in texts["rules"]
    assert texts["whose"].count("| box |") == 2
    assert "| natively | 1 | 25.0 | 50.0 |" in texts["teaching"]
    assert all(text == "" for text in page.blocks({})["docs/studies/coded.md"].values())


def test_the_record_is_that_of_the_answers() -> None:
    record = page.STUDY.record()
    told = run.found(*(pd.read_parquet(path) for path in run.FILES))
    assert {**told, "teaching": record["teaching"]} == record
    assert {name.rpartition("-")[0] for name in record["teaching"]} == {*ask.ARMS}
