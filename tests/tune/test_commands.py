"""``bapa tune`` and ``bapa export`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

import bapa
from bapa.cli import app
from bapa.models import load
from tests.tune.processors import picture, saved


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
    assert "row 2: image b.png does not exist" in said
    assert "Traceback" not in said
    assert "rows with pictures are padded" in run(*tune, "--trl", "packing=true", code=2)
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
