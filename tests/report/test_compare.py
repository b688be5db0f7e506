from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bapa.measure import load_run
from bapa.probe import Design, build
from bapa.report import write
from bapa.report.between import between
from bapa.report.compare import Change, changes, others
from bapa.stats import Settings
from bapa.stats.bias import bias as statistics
from bapa.stats.clusters import Cluster
from bapa.stats.text import interval
from tests.report.fakes import FLAT, LOW, SKEWED, fake_answers, fake_bias, fake_run


@pytest.fixture(scope="module")
def bias() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


def test_changes_are_scheme_minus_base(bias: dict) -> None:
    overall = {scheme: found["overall"] for scheme, found in bias["schemes"].items()}
    for scheme in others(bias):
        found = {change.quantity: change for change in changes(bias, scheme) if change.cell is None}
        for quantity in ("hit", "range", "auc_range", "consistency"):
            expected = overall[scheme][quantity]["value"] - overall["native"][quantity]["value"]
            assert found[quantity].value == pytest.approx(expected)


def test_only_the_corrected_test_gives_a_direction() -> None:
    assert Change("hit", None, 0.1, 0.05, 0.2, 0.01, True).direction(0.95) == 1
    assert Change("hit", None, -0.1, -0.2, -0.05, 0.01, True).direction(0.95) == -1
    assert Change("hit", None, 0.1, 0.05, 0.2, 0.06, True).direction(0.95) == 0
    assert Change("hit", None, 0.1, None, None, None, True).direction(0.95) == 0


def classed(table: list[list[float]], told: bool = True) -> pd.DataFrame:
    """Answers about 24 items of twelve classes; older runs do not tell them."""
    answers = fake_answers({"native": table}, 24)
    return answers.assign(group=(answers["item"] // 2).map("class {}".format)) if told else answers


@pytest.mark.parametrize(
    ("clusters", "told", "unit", "over"),
    [
        (("item", "item"), True, "item", "items"),
        (("group", "group"), True, "group", "12 classes of 24 items"),
        (("auto", "auto"), True, "group", "12 classes of 24 items"),
        (("item", "group"), True, "group", "12 classes of 24 items, the coarser unit: one counts items, two classes"),
        (("item", "group"), False, "group", "12 classes of 24 items, the coarser unit: one counts items, two classes"),
    ],
)
def test_runs_are_compared_over_what_they_count(
    clusters: tuple[str, str], told: bool, unit: Cluster, over: str, tmp_path: Path
) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=24, seed=3))
    tables, folders = {"one": SKEWED, "two": FLAT}, []
    for (name, table), cluster in zip(tables.items(), clusters, strict=True):
        found = fake_bias({"native": table}, model=name, items=24)
        folders.append(fake_run(tmp_path / name, found, classed(table, told or name == "two"), probe))
        record = json.loads((folders[-1] / "run.json").read_text())
        record["config"]["statistics"]["cluster"] = cluster
        (folders[-1] / "run.json").write_text(json.dumps(record))
    (pair,) = between([(folder.name, load_run(folder)) for folder in folders])
    assert pair.over == over
    both = pd.concat([classed(table).assign(scheme=name) for name, table in tables.items()], ignore_index=True)
    expected = statistics(both, rows=3, cols=3, settings=Settings(cluster=unit))["comparisons"]
    (hits,) = (row["difference"] for row in expected if row["quantity"] == "hit" and row.get("cell") is None)
    assert next(row.interval for row in pair.rows if row.quantity == "Mean hit rate") == interval(hits, 1)
    assert f"paired; intervals over {over}; p corrected" in write(folders, tmp_path / "page.html").read_text("utf-8")
