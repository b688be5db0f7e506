"""The shared position in one part of the pretrained language model at a time: figures are those that were planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bapa.calibrate.words.learn import RELATIONS
from bapa.schemes import parse
from bapa.stats.text import interval, percent
from studies.words import page, parts, run, sites
from tests.studies.planted import by_rows
from tests.studies.test_sentences import page as read

PICTURES = 30
EVEN, BLIND = "layer 16", "pairs: all"


@pytest.fixture(scope="module")
def answers() -> sites.Tables:
    """Uneven by rows of cells but in two parts; neighbours are told but in one."""
    rng = np.random.default_rng(0)
    shares, known = [], []
    for part in sites.PARTS:
        slope = 0 if part in (EVEN, BLIND) else 0.3
        shares.append(by_rows(slope, PICTURES, rng).assign(scheme=part, wording=0))
        for relation in RELATIONS:
            auc = (0.5 if part == BLIND else 0.9) + rng.normal(0, 0.05, PICTURES)
            known.append(pd.DataFrame({"picture": range(PICTURES), "relation": relation, "auc": auc}))
            known[-1] = known[-1].assign(scheme=part, form=0)
    return pd.concat(shares, ignore_index=True), pd.concat(known, ignore_index=True)


def test_a_part_that_evens_and_one_that_loses_neighbours_are_told(answers: sites.Tables) -> None:
    its = sites.record(*answers)
    assert its[EVEN]["change"]["range"]["high"] < -0.2
    assert its[EVEN]["right"]["kept"]["low"] > 0.9
    assert its[BLIND]["right"]["kept"]["high"] < 0.1
    assert abs(its["layer 3"]["change"]["range"]["value"]) < 0.05


def test_every_part_is_another_rule_and_single_heads_come_last() -> None:
    assert len(set(sites.PARTS.values())) == len(sites.PARTS) == 1 + 3 + 30 + 32 + 4 + 3 + 90
    assert {parse(rule).label for rule in sites.PARTS.values()} == set(sites.PARTS.values())
    heads = [", head" in part for part in sites.PARTS]
    assert heads == sorted(heads)


def test_parts_that_were_not_asked_are_left_out(answers: sites.Tables) -> None:
    shares, known = (table[~table["scheme"].str.contains(", head")] for table in answers)
    assert list(sites.record(shares, known)) == [part for part in sites.PARTS if ", head" not in part]


def test_wavelengths_are_those_of_the_model() -> None:
    assert sites.wavelength("rotary pair 0") == pytest.approx(2 * np.pi / 81)
    assert sites.wavelength("rotary pair 16") == pytest.approx(2 * np.pi * 100_000**0.5 / 81)
    assert sites.wavelength("layer 3") is None


def test_the_page_and_the_picture_have_every_part(answers: sites.Tables) -> None:
    its = sites.record(*answers)
    told = page.blocks({"sites": its})["docs/studies/words.md"]["parts"]
    assert [line.split(" | ")[0] for line in told.splitlines()[2:]] == [f"| {part}" for part in sites.PARTS]
    for dark in (False, True):
        above = parts.parts(its, dark=dark).axes[0]
        drawn = above.containers[0].lines[0].get_ydata().tolist()
        assert drawn == pytest.approx([100 * its[f"layer {n}"]["change"]["range"]["value"] for n in range(30)])
        assert len(above.containers) == 1


def test_the_rule_read_off_the_map_is_of_its_layers(answers: sites.Tables) -> None:
    """Its seven layers are those of one run whose values all lower the range."""
    assert parse(sites.PICKED["layers 14-20"]).label == parse("calibrated:distance=1x,layers=14-20").label
    assert sites.FRESH[1] != sites.ONE_BY_ONE[1]
    shares, known = (table[table["scheme"].isin(("native", EVEN))].copy() for table in answers)
    for table in (shares, known):
        table["scheme"] = table["scheme"].replace(EVEN, "layers 14-20")
    assert list(sites.record(shares, known)) == ["native", "layers 14-20"]


@pytest.mark.parametrize(("paths", "name"), [(run.SITES, "sites"), (run.PICKED, "picked layers")])
def test_the_record_is_that_of_the_answers(paths: tuple[Path, Path], name: str) -> None:
    tables = [pd.read_parquet(path) for path in paths]
    assert sites.record(*tables) == page.STUDY.record()[name]
    assert set(tables[1]["form"]) == {0}


def test_what_the_page_says_of_the_parts_is_in_the_record() -> None:
    its, said = page.STUDY.record()["sites"], read("docs/studies/words.md")
    native = its["native"]["range"]
    assert f"Natively it is {percent(native['value'], 1)} points {interval(native, 1)}" in said
    single = {part: one["change"]["range"] for part, one in its.items() if part.startswith(("layer", "rotary"))}
    lower = [part for part, one in single.items() if one["high"] < 0]
    assert lower == ["layer 14", "layer 16", "layer 19", "layer 20"]
    assert min(single, key=lambda part: single[part]["value"]) == "layer 16"
    best = single["layer 16"]
    ends = f"[{percent(-best['high'], 1)}, {percent(-best['low'], 1)}]"
    assert f"by {percent(-best['value'], 1)} points {ends}" in said
    kept = {part: one["right"]["kept"]["value"] for part, one in its.items() if part.startswith("layer")}
    assert percent(min(kept.values())) == "93"
    assert f"leave {percent(its['pairs: all']['right']['kept']['value'])} %" in said
    for part in ("band wave<0.6x", "pairs: cross"):
        one = its[part]
        assert one["change"]["range"]["high"] < 0
        assert f"{percent(one['range']['value'], 1)} points {interval(one['range'], 1)}, " in said
        assert f"{percent(one['row']['kept']['value'])} % " in said
        assert interval(one["right"]["kept"]) in said


def test_what_the_page_says_of_groups_of_heads_is_in_the_record() -> None:
    its, said = page.STUDY.record()["sites"], read("docs/studies/words.md")
    first, second, third = (its[f"key-value head {head}"] for head in range(sites.HEADS))
    assert f"{percent(first['range']['value'], 1)} points are left {interval(first['range'], 1)}" in said
    assert f"in the second {percent(second['range']['value'], 1)} {interval(second['range'], 1)}" in said
    for one in (first, second):
        assert one["change"]["range"]["high"] < 0
        kept = one["right"]["kept"]
        assert f"{percent(kept['value'])} % " in said
        assert interval(kept) in said
    assert third["change"]["range"]["low"] < 0 < third["change"]["range"]["high"]
    assert f"with {len(its) - 1} parts the best" in said


def test_what_the_page_says_of_the_rule_is_in_the_record() -> None:
    its, said = page.STUDY.record()["picked layers"], read("docs/studies/words.md")
    before, after = its["native"]["range"]["value"], its["layers 14-20"]
    assert f"from {percent(before, 1)} to {percent(after['range']['value'], 1)} points" in said
    assert interval(after["range"], 1) in said
    assert after["right"]["kept"]["high"] < 0.9  # which the plan counts against the rule
    kept = after["right"]["kept"]
    assert f"{percent(kept['value'])} % of right-hand neighbours {interval(kept)}" in said
    blend = its["blend"]
    assert blend["range"]["high"] < before / 2
    assert blend["right"]["kept"]["low"] > 0.9
    assert blend["row"]["kept"]["low"] > 0.9
    assert blend["change"]["worst"]["low"] > 0
    assert f"{percent(before, 1)} to {percent(blend['range']['value'], 1)} points {interval(blend['range'], 1)}" in said
    assert f"right {percent(blend['right']['kept']['value'])} % {interval(blend['right']['kept'])}" in said
