"""The whole way, from a model and a probe to a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from bapa.checkpoints import Loaded, load
from bapa.cli.app import app
from bapa.errors import ConfigError, RunError
from bapa.measure import load_run, measure
from bapa.origin import Options, explain, load_origin
from bapa.origin.moves import Mover
from bapa.probe import Design, Probe, build
from bapa.report.origin import _command, part, write
from bapa.stats import Settings
from studies.reference.build import tile_of_patch

QUICK = Options(closely=1, mask=36, statistics=Settings(resamples=20))


@pytest.fixture(scope="module")
def explained(model_path: Path, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    origin = explain(load(str(model_path)), probe, tmp_path_factory.mktemp("origin") / "run", QUICK)
    write(origin, probe)
    return origin.path


def test_everything_is_written_and_read_back(explained: Path) -> None:
    found = load_origin(explained).found
    assert found["verdict"]["cause"] in ("none", "unknown")  # random weights
    assert found["not_done"] == {}
    assert found["clusters"] == {"by": "item", "number": found["probe"]["items"]}  # too few of a class
    assert {"features/1", "patch/0", "order/0", "positions/1"} <= set(
        pd.read_parquet(explained / "origin" / "answers" / "answers.parquet")["scheme"]
    )
    for name in ("attribution", "rules", "encoder", "occlusion", "flow", "flow_cells"):
        assert len(pd.read_csv(explained / "origin" / f"{name}.csv"))
    for name in ("encoder", "occlusion", "flow", "overlay"):
        for dark in ("", "-dark"):
            assert "<svg" in (explained / "origin" / f"{name}{dark}.svg").read_text()
    assert found["text_first"]["order"] == "question-first"
    assert found["control"]["attributed"] == 0


def test_finished_parts_are_not_done_again(
    explained: Path, model_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads((explained / "origin.json").read_text())

    def asked(*_: object) -> None:
        pytest.fail("asked again")

    monkeypatch.setattr(Mover, "ask", asked)
    monkeypatch.setattr("bapa.origin.encoder.study", asked)
    monkeypatch.setattr("bapa.origin.flow.study", asked)
    assert explain(load(str(model_path)), probe, explained, QUICK).found == before
    assert not (explained / "origin" / "progress").exists()


def test_a_killed_run_goes_on(
    explained: Path, model_path: Path, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Mover.ask

    def killed(self: Mover, number: int, prepared: object) -> object:
        if number == 1:
            raise KeyboardInterrupt
        return whole(self, number, prepared)

    some = Options(parts=(), batch_size=9, statistics=QUICK.statistics)
    with monkeypatch.context() as patch:
        patch.setattr(Mover, "ask", killed)
        with pytest.raises(KeyboardInterrupt):
            explain(load(str(model_path)), probe, tmp_path, some)
    asked = []
    monkeypatch.setattr(Mover, "ask", lambda self, n, prepared: (asked.append(n), whole(self, n, prepared))[1])
    explain(load(str(model_path)), probe, tmp_path, some)
    assert asked[0] == 1
    one, two = (pd.read_parquet(path / "origin/answers/answers.parquet") for path in (explained, tmp_path))
    assert one["scheme"].tolist() == two["scheme"].tolist()
    assert two["margin"].to_numpy() == pytest.approx(one["margin"].to_numpy(), abs=1e-3)


def test_it_stands_beside_a_run(tiny: Loaded, probe: Probe, tmp_path: Path) -> None:
    some = Options(items=2, parts=("flow",), closely=2, draws=1, statistics=QUICK.statistics)
    measure(tiny, probe, ["native"], tmp_path / "one", items=2, audit=0, statistics=QUICK.statistics)
    for name in ("one", "two"):
        write(explain(tiny, probe, tmp_path / name, some), probe)
    measure(tiny, probe, ["native"], tmp_path / "two", items=2, audit=0, statistics=QUICK.statistics)
    for name in ("one", "two"):
        run, origin = load_run(tmp_path / name), load_origin(tmp_path / name)
        answers = run.answers()
        hits = answers[answers["kind"] == "present"].groupby("cell")["correct"].mean()
        assert origin.found["map"]["hit"] == pytest.approx(hits.tolist())
        shown = part(run)
        assert shown is not None
        assert shown.body[0] == origin.verdict["sentence"]
        assert any("Under other position rules" in block for block in shown.body)
        assert any('alt="One canvas of the probe, and over it' in block for block in shown.body)
        (command,) = shown.commands
        assert command.startswith(f"bapa origin {tiny.name} --probe {probe.path} --out {run.path} --items 2 --draws 1")
        assert "--part flow" in command
    told = json.loads((tmp_path / "two" / "origin.json").read_text())
    told["model"]["fingerprint"] = "another model"
    (tmp_path / "two" / "origin.json").write_text(json.dumps(told))
    assert part(load_run(tmp_path / "two")) is None


def test_another_probe_s_answers_are_refused(explained: Path, tiny: Loaded, probe: Probe) -> None:
    with pytest.raises(RunError, match="holds another run"):
        explain(tiny, probe, explained, Options(items=2, parts=()))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"items": 9}, "the probe has 4"),
        ({"parts": ("taste",)}, "taste"),
        ({"mask": 0}, "mask = 0: 1 or more"),
        ({"stride": -1}, "stride = -1: 1 or more"),
        ({"draws": 0}, "draws = 0: 1 or more"),
        ({"mask": 999}, "masks of 999 px every 999 px do not fit"),
        ({"fill": "puce"}, "fill 'puce': accepted are mean"),
    ],
)
def test_options_out_of_range_before_anything_is_asked(
    tiny: Loaded, probe: Probe, tmp_path: Path, options: dict, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        explain(tiny, probe, tmp_path / "run", Options(**options))
    assert not (tmp_path / "run").exists()


def test_cells_that_are_no_whole_patches_leave_the_moves_out(tiny: Loaded, tmp_path: Path) -> None:
    uneven = build("digits", tmp_path / "probe", Design(items=2, rows=2, cols=2))  # 9 x 9 patches
    found = explain(tiny, uneven, tmp_path / "run", Options(parts=(), statistics=QUICK.statistics)).found
    assert "moves" in found["not_done"]
    assert "--rows 3 --cols 3" in found["not_done"]["moves"]
    assert found["attribution"]["hit"] == {}
    assert found["verdict"]["cause"] in ("unknown", "none")
    assert found["rules"]["hit"]["reverse"]


def test_the_verb(model_path: Path, probe: Probe, tmp_path: Path) -> None:
    command = ["origin", str(model_path), "--probe", str(probe.path), "--out", str(tmp_path / "run"), "--items", "2"]
    result = CliRunner().invoke(app, [*command, "--part", "none", "--draws", "1", "--resamples", "10"])
    assert result.exit_code == 0, result.output
    assert "rotary position" in result.stdout
    assert load_origin(tmp_path / "run").verdict["sentence"].split()[0] in result.stdout
    wrong = CliRunner().invoke(app, [*command, "--part", "taste"])
    assert wrong.exit_code == 2
    assert len(wrong.stderr.strip().splitlines()) == 1


def test_the_command_of_the_page_is_accepted(model_path: Path, probe: Probe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = ["origin", str(model_path), "--probe", str(probe.path), "--out", str(folder), "--items", "2"]
    command += ["--part", "none", "--draws", "1", "--resamples", "10", "--device", "cpu", "--dtype", "bf16"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert load_origin(folder).found["run"] == {"device": "cpu", "dtype": "bfloat16"}
    _, *again = _command(load_origin(folder).found, folder)
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0, result.output


def planted_encoder_bias() -> Loaded:
    """The unbiased reference, its encoder's positions weakened outside the bottom row: it reads there only."""
    loaded = load("reference:uniform")
    positions = loaded.model.model.vision_tower.embeddings.position_embedding.weight
    with torch.no_grad():
        positions[1:][tile_of_patch() < 6, 4:] *= 0.3
    return Loaded(loaded.model, loaded.processor, "planted", "planted")


@pytest.mark.slow
def test_causes_of_the_references_and_of_a_planted_encoder_bias(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=40))
    options = Options(parts=(), statistics=Settings(resamples=200))
    causes = {}
    for model in (load("reference:bottom"), load("reference:uniform"), planted_encoder_bias()):
        origin = explain(model, probe, tmp_path / model.name.replace(":", "-"), options)
        causes[model.name] = (origin.verdict["cause"], origin.verdict["detail"])
        assert origin.found["control"]["attributed"] == 0
    assert causes == {
        "reference:bottom": ("language model", "position"),
        "reference:uniform": ("none", None),
        "planted": ("encoder", None),
    }
