"""``bapa tune`` and ``bapa export`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bapa
from bapa.checkpoints import load
from bapa.cli.app import app
from bapa.errors import ModelError
from tests.tune.processors import picture, saved


@pytest.mark.parametrize(
    ("given", "rank", "loaded"),
    [("cuda", "1", "cuda:1"), ("cuda", None, "cuda"), ("cuda:0", "1", "cuda:0"), ("cpu", "1", "cpu")],
)
def test_every_process_loads_onto_a_gpu_of_its_own(
    given: str, rank: str | None, loaded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str, device: str, **more: object) -> None:
        raise ModelError(f"loads onto {device}")

    monkeypatch.setattr("bapa.checkpoints.load", stop)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    chat = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hi."}]
    (tmp_path / "chats.json").write_text(json.dumps([{"conversations": chat}]))
    tune = ("tune", "m", "--data", tmp_path / "chats.json", "--out", tmp_path / "out", "--device", given)
    assert f"loads onto {loaded}\n" in run(*tune, code=2)


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.output


def test_tune_then_export(tmp_path: Path) -> None:
    saved("llava", tmp_path / "base")
    picture(0).save(tmp_path / "a.png")
    good = {
        "image": "a.png",
        "conversations": [{"from": "human", "value": "<image>\nw10"}, {"from": "gpt", "value": "yes"}],
    }
    chats = tmp_path / "chats.json"
    chats.write_text(json.dumps([good, {**good, "image": "b.png"}, good]))
    tune = ("tune", tmp_path / "base", "--data", chats, "--out", tmp_path / "tuned", "--scheme", "bapa:distance=native")

    said = run(*tune, code=2)
    assert "row 2: image b.png in" in said
    assert "no such file" in said
    assert "Traceback" not in said
    assert "rows with pictures are padded" in run(*tune, "--trl", "packing=true", code=2)
    assert "--full trains no adapter, so --rank 4 says nothing" in run(*tune, "--full", "--rank", "4", code=2)
    assert not (tmp_path / "tuned").exists(), "nothing half-written is left"

    said = run(*tune, "--skip-bad", "--batch", "2", "--trl", "weight_decay=0.1")
    assert "left out: row 2" in said
    record = json.loads((tmp_path / "tuned" / "tune.json").read_text())
    assert record["config"]["settings"]["options"] == {"weight_decay": 0.1}
    assert record["config"]["data"]["rows"] == 2
    assert not (tmp_path / "tuned" / "checkpoints").exists()

    run("export", tmp_path / "tuned", "--out", tmp_path / "shipped", "--self-contained")
    card = (tmp_path / "shipped" / "README.md").read_text()
    assert "**`bapa:distance=native`**" in card
    assert record["command"] in card
    model = load(str(tmp_path / "shipped")).model
    assert bapa.scheme_of(model).label == "bapa:distance=native"
    assert "tuned under bapa:distance=native" in run(
        "export", tmp_path / "tuned", "--out", tmp_path / "other", "--scheme", "native", code=2
    )
    assert "is an adapter already" in run(
        "tune", tmp_path / "tuned", "--data", chats, "--out", tmp_path / "again", "--skip-bad", code=2
    )
