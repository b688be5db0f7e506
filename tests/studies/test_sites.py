"""The shared position in one part of the taught models at a time: figures are those that were planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bapa.schemes import parse
from bapa.stats.text import interval, percent
from studies.taught import page, run, sites
from tests.studies.planted import by_rows
from tests.studies.test_sentences import page as read

PICTURES = 30
EVEN, BLIND = "layers 10-19", "pairs: all"


@pytest.fixture(scope="module")
def answers() -> sites.Tables:
    """Uneven by rows of cells but in two parts; rows are told but in one."""
    rng = np.random.default_rng(0)
    shares, rows = [], []
    for seed in (1, 2):
        for part in sites.PARTS:
            slope = 0 if part in (EVEN, BLIND) else 0.3
            shares.append(by_rows(slope, PICTURES, rng).assign(seed=seed, part=part, wording=0))
            right = rng.binomial(9, 1 / 3 if part == BLIND else 0.8, PICTURES) / 9
            rows.append(pd.DataFrame({"picture": range(PICTURES), "right": right, "seed": seed, "part": part}))
    return pd.concat(shares, ignore_index=True), pd.concat(rows, ignore_index=True)


def test_a_part_that_evens_and_one_that_loses_rows_are_told(answers: sites.Tables) -> None:
    for its in sites.record(*answers)["models"].values():
        assert its[EVEN]["change"]["range"]["high"] < -0.2
        assert its[EVEN]["kept"]["low"] > 0.7
        assert its[BLIND]["kept"]["high"] < 0.3
        assert abs(its["layers 0-9"]["change"]["range"]["value"]) < 0.05


def test_right_rows_are_those_of_the_cells() -> None:
    logs = np.zeros((2, 9, 3))
    logs[0, np.arange(9), np.arange(9) // 3] = 1
    logs[1, :, 0] = 1
    logs[..., 2] += 5  # said of all things alike
    assert sites.told(logs).tolist() == pytest.approx([1, 1 / 3])


def test_every_part_is_another_rule_and_the_layers_are_all() -> None:
    assert len(set(sites.PARTS.values())) == len(sites.PARTS)
    assert {parse(rule).label for rule in sites.PARTS.values()} == set(sites.PARTS.values())
    covered = [n for some in sites.LAYERS for n in range(int(some.split("-")[0]), int(some.split("-")[1]) + 1)]
    assert covered == list(range(30))


def test_the_page_has_a_row_for_every_part(answers: sites.Tables) -> None:
    told = page.blocks({"sites": sites.record(*answers)})["docs/studies/taught.md"]["sites"]
    assert [line.split(" | ")[0] for line in told.splitlines()[2:]] == [f"| {part}" for part in sites.PARTS]


def test_what_the_page_says_of_the_parts_is_in_the_record() -> None:
    its, said = page.STUDY.record()["sites"]["together"], read("docs/studies/taught.md")
    changes = {part: one["change"]["range"] for part, one in its.items() if part != "native"}
    assert min(one["high"] for one in changes.values()) > 0  # under none can a smaller range be told
    assert its["layers 20-29"]["kept"]["low"] == 1
    last, long = changes["layers 20-29"], changes["band wave>5.8x"]
    assert last["low"] > 0
    assert f"by {percent(last['value'], 1)} points {interval(last, 1)}" in said
    assert f"(+{percent(long['value'], 1)} {interval(long, 1)}" in said
    some = {part: one for part, one in its.items() if "kept" in one and one["kept"]["value"] >= 2 / 3}
    lowest = sorted(some, key=lambda part: some[part]["range"]["value"])[:2]
    assert {*lowest} == {"layers 10-19", "band wave<0.6x"}
    assert {percent(some[part]["range"]["value"], 1) for part in lowest} == {"17.8"}
    for part in ("layers 0-9", "layers 10-19"):
        assert f"{percent(its[part]['kept']['value'])} % {interval(its[part]['kept'])}" in said


def test_the_record_is_that_of_the_answers() -> None:
    told = sites.record(*(pd.read_parquet(path) for path in run.SITES))
    assert told == page.STUDY.record()["sites"]
