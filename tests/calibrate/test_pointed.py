"""Pointing beside a calibration: it judges the rules and picks none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from bapa.calibrate import Calibration, calibrate, pointed
from bapa.checkpoints import load
from bapa.errors import ConfigError
from bapa.inference import reading
from bapa.inference.pointing import Pointed
from bapa.inference.store import Store
from bapa.probe import Design, Probe, build
from bapa.probe.region import Region
from bapa.report import calibration as page
from bapa.stats import Settings

FEW: dict[str, Any] = {"items": 4, "held_out": 4, "statistics": Settings()}
RULES = ("native", "bapa", "imccd", "cmpc", "calibrated:distance=1.5x")


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Probe]:
    folder = tmp_path_factory.mktemp("probes")
    designs = {
        "match": Design(items=8, seed=5),
        "where": Design(task="where", lines=("row",), items=12, seed=6),
        "point": Design(task="point", items=6, seed=7),
    }
    return {name: build("digits", folder / name, design) for name, design in designs.items()}


def written(probe: Probe, right: dict[str, float], unread: bool = False) -> pd.DataFrame:
    """Answers to ``probe``: by rule, the share of cells, first ones first, whose middle is pointed at. In the others
    the top left corner of the next cell is, or nothing that could be read.
    """
    rows = []
    for rule, share in right.items():
        for item in probe.items:
            for cell in range(probe.cells):
                (question,) = probe.questions(item, cell)
                hits = cell < share * probe.cells
                where = cell if hits else (cell + 1) % probe.cells
                left, top, far, low = Region.of(probe.design, where).shares
                place = None if unread and not hits else f"{(left + far) / 2:.4f},{(top + low) / 2:.4f}"
                correct = pd.NA if place is None else hits
                about = {"item": item.item, "cell": cell, "scheme": rule, "question": "point", "kind": "point"}
                rows.append({**about, "expected": question.answer, "answer": place, "correct": correct})
    return pd.DataFrame(rows).assign(margin=float("nan"))


class Writer:
    """In the place of a measurement: a model that points natively and gets lost under every other rule."""

    def __init__(self, native: float = 1.0, ruled: float = 0.0, unread: bool = False) -> None:
        self.native, self.ruled, self.unread, self.asked = native, ruled, unread, list[tuple[str, ...]]()

    def __call__(self, model: Any, probe: Probe, rules: Sequence[str], folder: Path, **how: Any) -> Any:
        assert how["generate"] == pointed.TOKENS
        self.asked.append(tuple(rules))
        right = {rule: self.native if rule == "native" else self.ruled for rule in rules}
        answers = written(probe, right, self.unread)
        return SimpleNamespace(answers=answers.copy)


def told(probe: Probe, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(pointed, "measure", writer)
    how: Any = {"promised": True}
    return pointed.pointed(None, probe, probe, Path("run"), ["native", "bapa"], 9, Settings(), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("unread", [False, True])
def test_what_a_rule_keeps_of_pointing(probes: dict[str, Probe], unread: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply without a place is as wrong as a place elsewhere."""
    found = told(probes["point"], Writer(1.0, 4 / 9, unread), monkeypatch)
    native, bapa = found["rules"]
    assert [native["candidate"], bapa["candidate"]] == ["native", "bapa"]
    assert (native["hit"]["value"], bapa["hit"]["value"]) == (1, pytest.approx(4 / 9))
    assert (native["kept"]["value"], bapa["kept"]["value"]) == (1, pytest.approx(4 / 9))
    assert (native["unread"], bapa["unread"]) == (0, pytest.approx(5 / 9 if unread else 0))
    assert (found["tells"], found["chance"], found["others"]) == (True, pytest.approx(1 / 9), True)


def test_a_model_that_does_not_point_is_asked_under_no_rule(
    probes: dict[str, Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(1 / 9, 1.0)
    found = told(probes["point"], writer, monkeypatch)
    assert not found["tells"]
    assert writer.asked == [("native",)]
    assert [rule["candidate"] for rule in found["rules"]] == ["native"]


def calibrated(probes: dict[str, Probe], out: Path, guards: Sequence[str], **how: Any) -> Calibration:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bapa.calibrate.promise.space", lambda _: list(RULES))
        patch.setattr("bapa.calibrate.promise.near", lambda *_: [])
        patch.setattr("bapa.calibrate.promised.near", lambda *_: [])
        model, asked = load("reference:top"), [probes[name] for name in guards]
        found = calibrate(model, probes["match"], out, guards=asked, **FEW, **how)
    page.write(found.found, out / "calibration")
    return found


def test_a_promise_that_the_choice_breaks_in_writing_is_said(
    probes: dict[str, Probe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointed, "measure", Writer())
    found = calibrated(probes, tmp_path / "out", ["where", "point"], keep=0.1)
    assert found.chosen != "native"
    assert found.frontier is not None
    assert "point" not in {task for one in found.frontier.points for task in one.kept}
    where, point = found.guards
    assert (where.get("written"), point["written"], point["others"]) == (None, True, True)
    assert {rule["items"] for rule in point["rules"]} == {4}
    (said,) = [one for one in page.sentences(found.found) if one.startswith("point on other items")]
    assert "0.0 % [0.0" in said
    assert "the promise is broken. The search could not look at it" in said
    assert "the promise is broken" in (tmp_path / "out" / "calibration" / "calibration.html").read_text("utf-8")


def test_without_a_promise_pointing_stands_beside_the_curve(
    probes: dict[str, Probe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointed, "measure", Writer())
    found = calibrated(probes, tmp_path / "out", ["point"], steps=4)
    (guard,) = found.guards
    assert "kept" not in guard["rules"][0]
    assert {rule["hit"]["value"] for rule in guard["rules"] if rule["candidate"] != "native"} == {0}
    (said,) = [one for one in page.sentences(found.found) if one.startswith("Side-effect probe point")]
    assert "(chance 11 %): native 100.0 %" in said
    assert "bapa 0.0 %" in said


def test_a_reference_model_writes_no_places_and_that_is_said(probes: dict[str, Probe], tmp_path: Path) -> None:
    """With its own words, and not a stand-in's."""
    found = calibrated(probes, tmp_path / "out", ["point"], steps=4)
    (guard,) = found.guards
    assert [(rule["candidate"], rule["unread"]) for rule in guard["rules"]] == [("native", 1)]
    says = "Side-effect probe point: the model cannot do this natively"
    assert any(one.startswith(says) for one in page.sentences(found.found))


def test_an_interrupted_judgement_of_pointing_goes_on(
    probes: dict[str, Probe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the record is there: nothing is asked again, and the outcome is the same."""
    monkeypatch.setattr(reading, "pointed", lambda *given: Pointed((0.5, 0.5, 0.5, 0.5), "two numbers"))
    monkeypatch.setattr("bapa.calibrate.curve.chance", lambda probe: 0.0)  # so that one cell of nine tells something
    out = tmp_path / "out"
    before = calibrated(probes, out, ["point"], steps=4)
    assert len(before.guards[0]["rules"]) > 1
    begun = {"kind": "calibration", **before.found["config"]}
    for name in ("calibration/calibration.json", "config.json"):
        (out / name).unlink()
    (out / "calibration" / "progress").mkdir()
    (out / "calibration" / "progress" / "config.json").write_text(json.dumps(begun))
    monkeypatch.setattr(Store, "append", lambda *_: pytest.fail("asked again"))
    assert calibrated(probes, out, ["point"], steps=4).guards == before.guards


def test_pointing_alone_cannot_guide_a_search(probes: dict[str, Probe], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can judge the choice, not guide it; .* name it too: --guard WHERE"):
        calibrated(probes, tmp_path / "out", ["point"], keep=0.9)
    assert not (tmp_path / "out").exists()


def test_two_probes_of_a_task_are_both_judged(probes: dict[str, Probe], tmp_path: Path) -> None:
    found = calibrated(probes, tmp_path / "out", ["where", "point", "where"], keep=0.1)
    tasks = found.found["promise"]["tasks"]
    assert set(tasks) <= {"where-1", "where-2"}
    record = {**found.found, "chosen": "bapa"}
    record["promise"] = {**record["promise"], "chosen": "bapa", "tasks": ["where-1", "where-2"]}
    judged = [one.split(" on ")[0] for one in page.sentences(record) if "the promise is" in one]
    assert judged == ["where-1", "where-2"]
