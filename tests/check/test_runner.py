"""A check from end to end on a model with random weights, and what stops it early."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bapa.calibrate.candidates import STRIDES
from bapa.calibrate.pace import Pace
from bapa.check import Check, check, load_check, pointing
from bapa.check.decide import ORDERLESS, Decision
from bapa.check.estimate import ITEMS, MEASURED, PICK, STEPS, WarmUp, estimate, fitted
from bapa.check.evidence import Evidence
from bapa.check.work import Work
from bapa.checkpoints import Loaded, load
from bapa.checkpoints.chat import Chat
from bapa.errors import BapaError, ConfigError, RunError
from bapa.files import read_json
from bapa.inference import reading
from bapa.inference.pointing import Pointed
from bapa.probe import Design, Probe, build
from bapa.progress import duration
from bapa.report import check as page
from bapa.report import write as report
from tests.inference.test_usual import WORDS
from tests.tiny.unsupported import UNSUPPORTED

FEW = 8


@pytest.fixture(scope="module")
def folder(model_path: Path, tmp_path_factory) -> Path:
    """A finished check; its tests may run in several processes, so each makes its own."""
    out = tmp_path_factory.mktemp("check") / "out"
    check(load(str(model_path)), out, items=FEW)
    return out


def test_a_model_that_knows_nothing_is_not_judged(tiny: Loaded, tmp_path: Path):
    told, folder = [], tmp_path / "out"
    found = check(tiny, folder, items=FEW, tell=told.append)
    assert found.decision.kind == "untold"
    assert found.decision.reason in ("content-unknown", "no-answer")
    assert found.evidence.items == FEW
    assert [one.items for one in told] == [FEW]
    assert not (folder / "model").exists()  # later steps could not change it


def test_the_same_call_asks_nothing_again(tiny: Loaded, folder: Path):
    before = (folder / "run" / "answers.parquet").stat().st_mtime_ns
    again = check(tiny, folder, items=FEW)
    assert again.decision == load_check(folder).decision
    assert (folder / "run" / "answers.parquet").stat().st_mtime_ns == before


def test_another_check_is_refused(tiny: Loaded, folder: Path):
    with pytest.raises(RunError, match="--out"):
        check(tiny, folder, items=FEW + 1)


def test_it_stops_where_it_is_told(tiny: Loaded, tmp_path: Path):
    found = check(tiny, tmp_path / "out", items=FEW, until="estimate")
    assert found.decision is None
    assert not (tmp_path / "out" / "run").exists()
    assert "same command" in page.lines(found)[0]
    goes_on = check(tiny, tmp_path / "out", items=FEW)
    assert goes_on.decision is not None


def test_a_model_without_rotary_image_positions_is_told_in_one_line(tmp_path: Path):
    found = check(Loaded(UNSUPPORTED["mllama"].build(), None, "mllama", "0"), tmp_path / "out")
    assert found.decision.reason == "refused"
    assert page.lines(found)[0].startswith("Cannot be told: ")
    assert "\n" not in page.lines(found)[0]


def test_names_are_asked_for_where_the_task_says_so(tiny: Loaded, tmp_path: Path):
    pictures = folder_of_pictures(tmp_path / "pictures", 45)
    rows = [json.loads(line) for line in (pictures / "metadata.jsonl").read_text().splitlines()]
    told = [{**row, "caption": f"a {WORDS[n % len(WORDS)]} {n}"} for n, row in enumerate(rows)]
    (pictures / "metadata.jsonl").write_text("\n".join(map(json.dumps, told)))
    asked = {"pictures": str(pictures), "task": "name", "items": FEW}
    found = check(replace(tiny, chat=Chat(opening="there is a")), tmp_path / "out", **asked)
    assert found.decision.reason == "content-unknown"  # its weights are random
    probe = Probe.load(tmp_path / "out" / "probe")
    assert (probe.design.task, probe.design.near_miss, probe.design.patch) == ("name", False, 8)
    assert found.evidence.mass is None
    assert WarmUp.read(read_json(tmp_path / "out" / "warm-up" / "pace.json")).pace.usual > 0


@pytest.mark.parametrize(
    ("cause", "tried"), [("position", False), ("order", True), ("several", True), ("unknown", True)]
)
def test_the_rule_without_an_order_is_tried_where_the_order_may_carry_it(tiny: Loaded, tmp_path, cause, tried):
    work = Work(tiny, tmp_path, "digits", "match", None, "train", 9, 0)
    assert work._also(Evidence("tiny", cause=cause)) == ([ORDERLESS] if tried else [])


def test_options_out_of_range(tiny: Loaded, tmp_path: Path):
    for options in ({"items": 1}, {"until": "tomorrow"}, {"task": "where"}):
        with pytest.raises(ConfigError):
            check(tiny, tmp_path / "out", **options)


def test_as_many_items_as_fit_the_budget():
    pace = WarmUp(Pace(once=0.1, rule=0.1, memory=0), moves=0.9, alone=0.01)
    whole = estimate(pace, ITEMS[0]).most
    assert fitted(pace, whole).items == ITEMS[0]
    assert fitted(pace, whole - 1).items == ITEMS[1]
    with pytest.raises(ConfigError, match="--budget"):
        fitted(pace, 1)


def test_what_a_model_says_anyway_is_in_the_estimate_once_for_each_rule():
    pace = WarmUp(Pace(once=0.1, rule=0.1, memory=0), moves=0.9, alone=0.01)
    told, plain = estimate(replace(pace, pace=replace(pace.pace, usual=2.0)), 60), estimate(pace, 60)
    assert told.measure == pytest.approx(plain.measure + 2 * len(MEASURED))
    assert told.calibrate == pytest.approx(plain.calibrate + 2 * (STEPS + 2 + 2 + len(STRIDES) + 2))
    assert told.origin == pytest.approx(plain.origin + 4)  # with the image first and with the question first


def test_the_search_for_a_rule_that_keeps_places_is_in_the_estimate_and_the_first_to_go():
    pace = WarmUp(Pace(once=0.1, rule=0.1, memory=0), moves=0.9, alone=0.01)
    longer = replace(pace, keep=300.0)
    assert estimate(longer, 60).most == pytest.approx(estimate(pace, 60).most + 300)
    least = estimate(longer, ITEMS[-1]).most
    assert fitted(longer, least).keep is not None
    without = fitted(longer, least - 1)
    assert without.keep is None
    assert without.most <= least - 1


def test_the_estimate_says_first_what_surely_runs_and_then_what_is_added():
    """The search for a rule that keeps places seldom runs: it must not hide in the figure of what surely does."""
    pace = WarmUp(Pace(once=0.1, rule=0.1, memory=2 * 10**9), moves=0.9, alone=0.01, keep=3600.0)
    found = estimate(pace, 60)
    assert found.of(["measure"]) == found.measure
    assert found.most == pytest.approx(found.measure + found.origin + found.calibrate + found.keep)
    first, even, *added, loses = page.estimated(found)
    assert "60 items" in first
    assert "2.0 GB" in first
    assert even.split(" to ")[0].strip() == duration(found.measure)
    assert [one.split(" more ")[0].strip() for one in added] == [duration(found.origin), duration(found.calibrate)]
    assert loses.split(" more ")[0].strip() == f"up to {duration(found.keep)}"
    assert page.estimated(replace(found, keep=None))[-1].endswith("it does not fit the budget")


def test_what_it_took_stands_beside_what_was_estimated_of_the_same_steps(folder: Path):
    found = load_check(folder)
    assert list(found.took) == ["measure"]  # so the estimate of the other steps does not count
    told = page.took(found)
    assert duration(found.took["measure"]) in told
    assert f"(estimated: {duration(found.estimate.measure)})" in told
    assert f"{found.memory / 1e9:.1f} GB" in told
    assert told in page.lines(found)
    assert page.took(replace(found, took=None)) is None


def test_a_model_that_writes_no_places_is_not_asked_to_point(tiny: Loaded, tmp_path: Path):
    points = build("digits", tmp_path / "probe", Design(task="point", items=1))
    assert pointing.tried(tiny, points, tmp_path / "run", 9) == 0


def test_a_model_that_writes_places_is_a_guard_of_its_own(tiny: Loaded, tmp_path: Path, monkeypatch):
    """Each reply names the middle of the picture, so one cell of nine is right."""
    monkeypatch.setattr(reading, "pointed", lambda *given: Pointed((0.5, 0.5, 0.5, 0.5), "two numbers"))
    points = build("digits", tmp_path / "probe", Design(task="point", items=1))
    assert pointing.tried(tiny, points, tmp_path / "tried", 9) > 0
    found = pointing.guard(pointing.asked(tiny, points, ["native", "bapa"], tmp_path / "run", 9), points)
    assert (found.native.value, found.rules["bapa"].value) == (pytest.approx(1 / 9), pytest.approx(1 / 9))
    assert found.chance == pytest.approx(1 / 9)


def test_the_page_says_the_decision_first_and_escapes_names(tiny: Loaded, folder: Path):
    found = load_check(folder)
    html = page.write([found], folder / page.PAGE).read_text("utf-8")
    body = html[html.index("<body>") :]
    assert body.index(page.WORDS["untold"]) < body.index("<svg")
    named = type(found)(found.path, type(found.evidence)("<b>$x</b>", refusal="none"), found.decision, None)
    assert "<b>$x" not in page.write([named], folder / "named.html").read_text("utf-8")


def test_the_folder_carries_the_rule_of_the_decision(tmp_path: Path):
    from bapa.attach import scheme_of
    from bapa.check.runner import _sealed
    from bapa.checkpoints import from_pretrained
    from bapa.files import RunFolder
    from tests.check.test_decide import BIASED

    evidence = Evidence(**{**vars(BIASED), "model": "reference:top"})
    with RunFolder(tmp_path / "out", {}, kind="check", record="check.json", work="*/*") as folder:
        folder.open()
        found = _sealed(folder, load("reference:top"), evidence)
    assert found.decision.rule == "bapa"
    assert scheme_of(from_pretrained(found.model_folder)).label == "bapa"


def test_the_report_of_a_check_says_where_its_pages_are(folder: Path):
    with pytest.raises(RunError, match=f"bapa report {folder / 'run'}"):
        report([folder])


def test_what_to_type_next_names_each_search(tmp_path: Path):
    found = Check(tmp_path, Evidence("tiny"), Decision("leave", "loses"), None)
    for name in ("run", "calibrated", "kept"):
        (tmp_path / name).mkdir()
    assert [line.split("    # ")[0] for line in page.steps(found)] == [
        f"bapa report {tmp_path / name}" for name in ("run", "calibrated", "kept")
    ]


def test_tuning_is_the_next_step_only_where_it_can_reach_the_cause(tmp_path: Path):
    """bapa tune leaves the encoder as it is."""
    for reason, named in (("no-rule-helps", True), ("encoder", False)):
        found = Check(tmp_path, Evidence("tiny"), Decision("tune", reason), None)
        assert any("bapa tune" in line for line in page.steps(found)) == named


def test_a_folder_without_a_check(tmp_path: Path):
    with pytest.raises(RunError, match="bapa check MODEL"):
        load_check(tmp_path)


def folder_of_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    rng, lines = np.random.default_rng(0), []
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        lines.append(json.dumps({"file_name": f"{number}.png", "caption": f"thing {number}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_a_mistyped_command_leaves_nothing_in_the_way_of_the_right_one(tiny: Loaded, tmp_path: Path):
    few = folder_of_pictures(tmp_path / "few", 12)
    for options in ({"budget": 1e-3}, {"pictures": str(tmp_path / "nowhere")}, {"pictures": str(few)}):
        with pytest.raises(BapaError):
            check(tiny, tmp_path / "out", **{"items": None, **options})
    assert check(tiny, tmp_path / "out", items=FEW).decision is not None


@pytest.mark.parametrize("name", ["probe", "warm-up"])
def test_a_probe_of_somebody_else_is_left_alone(tiny: Loaded, tmp_path: Path, name: str):
    theirs = build("digits", tmp_path / "out" / name, Design(items=3))
    with pytest.raises(RunError, match="is not empty and holds no check"):
        check(tiny, tmp_path / "out", items=FEW)
    assert Probe.load(tmp_path / "out" / name).fingerprint == theirs.fingerprint


def test_killed_while_its_probe_is_built_it_goes_on(tiny: Loaded, tmp_path: Path):
    assert check(tiny, tmp_path / "out", items=FEW, until="estimate").decision is None
    (tmp_path / "out" / ".probe.part").mkdir()
    (tmp_path / "out" / ".probe.part" / "tiles.parquet").write_bytes(b"half")
    assert check(tiny, tmp_path / "out", items=FEW).decision is not None


def test_a_small_source_gives_what_it_has(tiny: Loaded, tmp_path: Path):
    pictures = folder_of_pictures(tmp_path / "pictures", 45)
    found = check(tiny, tmp_path / "out", pictures=str(pictures), items=40)
    assert found.evidence.items == 45 - PICK
    assert check(tiny, tmp_path / "out", pictures=str(pictures), items=40).decision == found.decision
    with pytest.raises(ConfigError, match=f"a check needs {PICK + FEW}"):
        check(tiny, tmp_path / "two", pictures=str(folder_of_pictures(tmp_path / "fewer", 30)), items=40)
