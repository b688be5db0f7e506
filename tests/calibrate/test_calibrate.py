"""Calibration of a shipped model from end to end, on a few items."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import bapa
from bapa.calibrate import calibrate, load_calibration, promise, session
from bapa.calibrate.pace import Pace
from bapa.calibrate.session import Session
from bapa.checkpoints import load
from bapa.checkpoints.locate import folder_of, locate
from bapa.cli.app import app
from bapa.errors import ConfigError, RunError
from bapa.inference.store import Store
from bapa.probe import Design, Probe, build
from bapa.probe.design import Task
from bapa.report import calibration as page
from bapa.report import write as report
from bapa.schemes import parse
from bapa.stats import Settings
from bapa.stats.clusters import clusters

FEW: dict[str, Any] = {"items": 4, "held_out": 4, "steps": 4, "statistics": Settings(resamples=20)}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("probe") / "digits", Design(items=8, seed=5))


@pytest.fixture(scope="module")
def done(probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibrated") / "top"
    page.write(calibrate(load("reference:top"), probe, out, **FEW, guards=[probe]).found, out / "calibration")
    return out


def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "calibration" / "calibration.json").read_text())


def test_a_model_that_looks_far_away_gets_a_far_text(done: Path) -> None:
    found = record(done)
    rule = parse(found["chosen"])
    assert rule.multiple > 1  # type: ignore[attr-defined]
    chosen, paper = (found["held_out"][label]["balanced_accuracy"]["value"] for label in (found["chosen"], "bapa"))
    assert chosen > paper
    assert list(found["held_out"]) == ["native", "bapa", found["chosen"]]


def test_the_report_of_a_calibrated_folder_is_the_page_of_its_search(done: Path, tmp_path: Path) -> None:
    written = done / "calibration" / "calibration.html"
    before = written.read_bytes()
    written.unlink()
    assert report([done]) == written
    assert written.read_bytes() == before
    for folders, more in (([done, done], {}), ([done], {"page": tmp_path / "page.html"})):
        with pytest.raises(RunError, match=f"bapa report {done}"):
            report(folders, **more)


def test_items_that_choose_and_items_that_judge_are_disjoint(done: Path, probe: Probe) -> None:
    judged = {*bapa_answers(done)["item"]}
    assert judged == {item.item for item in probe.items[4:]}
    asked = [json.loads(line) for line in sorted((done / "calibration" / "rounds").rglob("*.jsonl")) for line in
             line.read_text().splitlines()]  # fmt: skip
    chose = {item for block in asked for item in block["answers"]["item"]}
    assert chose == {item.item for item in probe.items[:4]}


def bapa_answers(out: Path) -> Any:
    from bapa.measure import load_run

    return load_run(out / "calibration" / "held-out").answers()


def test_native_positions_are_told_beside_the_curve(done: Path) -> None:
    (native,) = record(done)["native"]
    assert (native["candidate"], native["items"]) == ("native", max(point["items"] for point in record(done)["curve"]))
    assert "native" not in {point["candidate"] for point in record(done)["curve"]}


def test_dials_leave_early_but_the_papers_stays(done: Path) -> None:
    items = {point["candidate"]: point["items"] for point in record(done)["curve"]}
    assert items["bapa"] == items[record(done)["chosen"]] == 4
    assert min(items.values()) == 2


def test_the_folder_is_the_model_under_its_choice(done: Path) -> None:
    chosen = parse(record(done)["chosen"])
    loaded = load(str(done))
    assert bapa.scheme_of(loaded.model) == chosen
    assert loaded.fingerprint == load("reference:top").fingerprint
    weights = done / "model.safetensors"
    assert weights.samefile(folder_of(locate("reference:top")) / "model.safetensors")
    assert "bapa" not in json.loads((folder_of(locate("reference:top")) / "config.json").read_text())


def test_the_choice_survives_saving(done: Path, tmp_path: Path) -> None:
    model = bapa.from_pretrained(done)
    model.save_pretrained(tmp_path)
    assert bapa.scheme_of(bapa.from_pretrained(tmp_path)) == parse(record(done)["chosen"])


def test_the_page_tells_the_outcome_and_reads_nothing_from_outside(done: Path) -> None:
    html = (done / "calibration" / "calibration.html").read_text()
    assert record(done)["chosen"] in html
    assert "default-src 'none'" in html
    assert "http" not in html.split("</style>")[1].replace("http-equiv", "")
    lines = (done / "calibration" / "curve.csv").read_text().splitlines()
    assert len(lines) == 1 + len(record(done)["curve"])


def test_that_few_items_judged_is_said_on_the_page_and_in_the_terminal(done: Path) -> None:
    says = "Only 4 items stand behind intervals and tests"
    found = load_calibration(done).found
    assert found["clusters"] == {"by": "item", "number": 4}
    assert any(sentence.startswith(says) for sentence in page.sentences(found))
    assert says in (done / "calibration" / "calibration.html").read_text()
    enough = {**found, "clusters": {"by": "item", "number": 40}}
    assert not any(sentence.startswith("Only") for sentence in page.sentences(enough))


def test_a_model_that_does_not_answer_gets_no_verdict(done: Path) -> None:
    found = record(done)
    assert not any(sentence.startswith("No verdict") for sentence in page.sentences(found))
    native = found["answering"]["schemes"]["native"]
    native["overall"]["mass"] = {"value": 0.03, "low": 0.02, "high": 0.04}
    native["wanted"] = [{"token": " The", "share": 0.9}]
    says = "No verdict on native: only 3.0 % of the model's probability falls on the answers it may choose from"
    (told,) = [sentence for sentence in page.sentences(found) if sentence.startswith(says)]
    assert "' The' (90 %)" in told


def test_the_same_again_asks_nothing(done: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.Session, "__init__", lambda *_: pytest.fail("asked again"))
    other = {**FEW, "statistics": Settings(resamples=30, seed=5)}  # nothing is drawn by them
    again = calibrate(load("reference:top"), probe, done, **other, guards=[probe])
    assert again.found == record(done)
    with pytest.raises(RunError, match="another calibration"):
        calibrate(load("reference:top"), probe, done, **{**FEW, "steps": 5}, guards=[probe])


def test_an_interrupted_calibration_goes_on(probe: Probe, done: Path, tmp_path: Path) -> None:
    """Without its end and half of a round: what is on disk is not asked again, and the outcome is the same."""
    out = tmp_path / "again"
    shutil.copytree(done, out)
    begun = {"kind": "calibration", **record(done)["config"]}
    for path in (out / "calibration" / "calibration.json", out / "config.json"):
        path.unlink()
    (out / "calibration" / "progress").mkdir()
    (out / "calibration" / "progress" / "config.json").write_text(json.dumps(begun))
    (shard,) = (out / "calibration" / "rounds" / "distance-1").rglob("*.jsonl")
    shard.write_text(shard.read_text()[:-30])
    append, asked = Store.append, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "append", lambda self, block: (asked.append(self.path.name), append(self, block)))
        again = calibrate(load("reference:top"), probe, out, **FEW, guards=[probe])
    assert asked == ["distance-1"]
    before = record(done)
    assert {key: again.found[key] for key in ("chosen", "curve", "held_out")} == {
        key: before[key] for key in ("chosen", "curve", "held_out")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": 3}, "3 items to calibrate on"),
        ({"items": 6, "held_out": 4}, "the probe has 8"),
        ({"criterion": "beauty"}, "criterion 'beauty': accepted are accuracy, margin"),
        ({"steps": 1}, "steps = 1"),
    ],
)
def test_options_out_of_range(probe: Probe, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        calibrate(load("reference:top"), probe, tmp_path / "out", **{**FEW, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", ["where", "count", "choice", "order"])
def test_without_labels_only_answers_by_yes_and_no_are_judged(task: Task, tmp_path: Path) -> None:
    """The margins of other answers are those of the right one, which nobody would know."""
    labelled = build("digits", tmp_path / "labelled", Design(task=task, items=8))
    with pytest.raises(ConfigError, match=f"of task '{task}'; use: --criterion accuracy"):
        calibrate(load("reference:top"), labelled, tmp_path / "out", **FEW, criterion="information")
    assert not (tmp_path / "out").exists()


def test_answers_of_a_search_say_what_counts_as_one_observation(probe: Probe, tmp_path: Path) -> None:
    """As those of the run that judges do; else intervals of the search would be by item, silently."""
    session = Session(load("reference:top"), probe, tmp_path / "rounds", 18)
    rows = session.ask("one", 2, 6, ["native"])
    captions = {item.item: item.caption for item in probe.items}
    assert rows["caption"].tolist() == [captions[number] for number in rows["item"]]
    assert clusters(rows, "caption").count == len({captions[n] for n in rows["item"]})
    again = Session(load("reference:top"), probe, tmp_path / "rounds", 18).ask("one", 2, 6, ["native"])
    pd.testing.assert_frame_equal(rows, again)


def test_a_pace_that_was_cut_off_is_timed_anew(probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk is not asked again, and took no time."""
    (tmp_path / "pace").mkdir()
    (tmp_path / "pace" / "left").touch()

    def timed(*_: Any) -> Pace:
        assert not (tmp_path / "pace").exists()
        return Pace(1.0, 2.0, 3)

    monkeypatch.setattr(promise, "pace", timed)
    monkeypatch.setattr(promise, "_paced", lambda _: ("native", "null", "bapa"))
    assert promise._pace(load("reference:top"), probe, tmp_path, 18).rule == 2.0
    monkeypatch.setattr(promise, "pace", lambda *_: pytest.fail("timed again"))
    assert promise._pace(load("reference:top"), probe, tmp_path, 18).rule == 2.0


def test_a_probe_that_anybody_passes_is_no_guard(probe: Probe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"of task match, is no side-effect probe: .* --task where --out WHERE"):
        calibrate(load("reference:top"), probe, tmp_path / "out", **FEW, guards=[probe], keep=0.9)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [None, 0.9])
def test_a_probe_of_evidence_is_no_guard(probe: Probe, tmp_path: Path, keep: float | None) -> None:
    """Its hits are those of *is it there?*: a rule that loses every row kept all of them."""
    evidence = build("digits", tmp_path / "evidence", Design(task="evidence", items=8))
    with pytest.raises(ConfigError, match=r"of task evidence, is no side-effect probe: .* --task where --out WHERE"):
        calibrate(load("reference:top"), probe, tmp_path / "out", items=4, held_out=4, guards=[evidence], keep=keep)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"criterion": "information"}, "--criterion"),
        ({"steps": 4}, "--steps"),
        ({"full": True}, "--full"),
        ({"steps": 4, "full": True}, "--steps and --full"),
    ],
)
def test_a_promise_takes_no_options_of_the_plain_search(
    probe: Probe, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    where = build("digits", tmp_path / "where", Design(task="where", items=8))
    with pytest.raises(ConfigError, match=f"so {named} would change nothing; leave out {named}, or --keep"):
        calibrate(
            load("reference:top"), probe, tmp_path / "out", items=4, held_out=4, guards=[where], keep=0.9, **options
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty and holds no calibration"):
        calibrate(load("reference:top"), probe, tmp_path, **FEW)


def test_the_command(probe: Probe, done: Path) -> None:
    arguments = ["calibrate", "reference:top", "--probe", str(probe.path), "--out", str(done)]
    options = ["--items", "4", "--held-out", "4", "--steps", "4", "--resamples", "20", "--guard", str(probe.path)]
    shown = CliRunner().invoke(app, arguments + options)
    assert shown.exit_code == 0, shown.output
    assert f"Chosen: {record(done)['chosen']}." in shown.output


def test_a_record_of_version_1_is_read(tmp_path: Path) -> None:
    """Candidates were called dials then."""
    point = {"dial": "bapa", "distance": 0, "delta": 0, "items": 4}
    old = {
        "version": 1,
        "chosen": "bapa",
        "curve": [point],
        "held_out": {},
        "guards": [{"chance": 0.5, "rules": [point]}],
    }
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "calibration.json").write_text(json.dumps(old))
    found = load_calibration(tmp_path)
    assert [found.curve[0]["candidate"], found.guards[0]["rules"][0]["candidate"]] == ["bapa", "bapa"]
    assert "dial" not in json.dumps(found.found)
    with pytest.raises(RunError, match="no finished calibration"):
        load_calibration(tmp_path / "elsewhere")
