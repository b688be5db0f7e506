"""``bapa fit`` from a model folder to another: what it writes, what it resumes, whom it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import bapa
from bapa.calibrate.words import fit, judge, learn
from bapa.calibrate.words import reader as words_reader
from bapa.calibrate.words.names import NAMES
from bapa.calibrate.words.reader import _instead, reader
from bapa.checkpoints import load
from bapa.checkpoints.chat import Chat
from bapa.cli.app import app
from bapa.errors import RunError, SchemeError, UnsupportedModelError
from bapa.files import read_json
from tests.inference.test_forward import CANVASES, TEXTS, forward_of
from tests.tiny import FAMILIES

SMALL = {"steps": 2, "grids": 6}


@pytest.fixture(scope="module")
def done(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted") / "out"
    fit(load(str(home)), out, **SMALL)
    return out


def test_the_folder_is_the_model_under_the_rule(home: Path, done: Path) -> None:
    found = read_json(done / "fit" / "fit.json")
    assert [*found["rules"]] == ["native", "bapa", "bapa:layers=20%-100%,blend=0.6", found["rule"]]
    scheme = bapa.scheme_of(bapa.from_pretrained(done))
    assert scheme is not None
    assert scheme.label == found["rule"]
    assert (done / "model.safetensors").read_bytes() == (home / "model.safetensors").read_bytes()


def test_the_second_run_asks_nothing(home: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "_answered", lambda *_: pytest.fail("asked again"))
    assert fit(load(str(home)), done, **SMALL).rule == read_json(done / "fit" / "fit.json")["rule"]
    with pytest.raises(RunError):
        fit(load(str(home)), done, steps=3, grids=6)


def test_stopped_while_it_judges_it_goes_on(
    home: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked = judge._answered, []

    def stopped(*given: object) -> object:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(given[1])
        return ask(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(judge, "_answered", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(load(str(home)), tmp_path / "out", **SMALL)
    asked.clear()
    found = fit(load(str(home)), tmp_path / "out", **SMALL).found
    assert len(asked) == 2, "two of four rules were judged before"
    assert found["rules"] == read_json(done / "fit" / "fit.json")["rules"]


def test_the_command_says_what_it_found_and_what_it_does_not_say(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["fit", str(home), "--out", str(out), "--steps", "1", "--grids", "6"]
    shown = CliRunner().invoke(app, arguments, terminal_width=10_000)
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.stdout.split())
    assert "hardly tells words that are there from others" in said
    assert f"bapa measure {out} --probe probe --out run" in said
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("mine", "utf-8")
    refused = CliRunner().invoke(app, [*arguments[:3], str(tmp_path / "taken"), *arguments[4:]])
    assert refused.exit_code == 2
    assert "is not empty" in refused.stderr
    missing = CliRunner().invoke(app, ["fit", str(tmp_path / "nowhere"), "--out", str(out)])
    assert missing.exit_code == 2


def test_a_folder_without_its_weights_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    refused = CliRunner().invoke(app, ["fit", str(tmp_path / "bare"), "--out", str(tmp_path / "out")])
    assert refused.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_words_stand_where_their_cells_are(home: Path) -> None:
    """Nine words in nine cells: the embedding layer's rows, in the order of a picture that is read row by row."""
    words = reader(load(str(home)))
    placed = words.drawn(torch.arange(9)[None])[0]
    side = int(len(placed) ** 0.5)
    placed = placed.unflatten(0, (side, side))
    table = words.model.get_input_embeddings().weight[words.token]
    for cell in range(9):
        row, col = (side * (2 * place + 1) // 6 for place in divmod(cell, 3))
        assert torch.equal(placed[row, col], table[cell])
    assert {*NAMES[:80]} <= {*words.names} <= {*NAMES}


def test_an_opening_stands_before_the_words(home: Path) -> None:
    loaded = replace(load(str(home)), chat=Chat(opening="answer :"))
    tokenizer = loaded.processor.tokenizer
    written = tokenizer.decode(reader(loaded).prompt(("What is there?", "There is a")).ids)
    assert "".join(written.split()).endswith("answer:thereisa")
    assert written.split()[-4:] == [":", "there", "is", "a"]


def test_models_that_cannot_be_shown_words_are_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(str(home))
    monkeypatch.setattr(words_reader.Forward, "features", lambda *_: None)
    with pytest.raises(UnsupportedModelError, match="no image features from outside"):
        reader(loaded)
    monkeypatch.setattr(words_reader, "token_grid", lambda *_: None)
    with pytest.raises(UnsupportedModelError, match="one grid of 3 x 3 cells"):
        reader(loaded)


def test_where_no_shares_can_be_fitted_nothing_is_written(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "sizes", lambda model: ([0, 1, 2, 3], 3, 16))
    with pytest.raises(SchemeError, match="shares have 3 digits"):
        fit(load(str(home)), tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["llava", "gemma3", "qwen2_vl", "qwen2_5_vl", "idefics3", "smolvlm"])
def test_what_stands_in_the_place_of_features_is_read_as_they_are(name: str) -> None:
    """A model that is given its encoder's own output as words answers as it does to the pictures."""
    forward = forward_of(FAMILIES[name])
    seen = forward.see(forward.prepare(CANVASES, TEXTS))
    features = seen.inputs["mm_encoder_outputs"]["image"]
    pooled = features.pooler_output
    rows = pooled if isinstance(pooled, torch.Tensor) else torch.cat([one.flatten(0, -2) for one in pooled])
    image = rows.reshape(len(CANVASES), -1, rows.shape[-1])
    natively = forward.logits(seen)
    seen.inputs["mm_encoder_outputs"] = {"image": _instead(features, image)}
    assert torch.equal(forward.logits(seen), natively)
    seen.inputs["mm_encoder_outputs"] = {"image": _instead(features, image.flip(1))}
    assert not forward.agrees(forward.logits(seen), natively)
    with pytest.raises(UnsupportedModelError, match="token by token"):
        _instead(features, image[:, 1:])


def test_nothing_of_a_picture_goes_to_deeper_layers() -> None:
    """Words in Qwen3-VL: what its encoder gives to deeper layers is zero, so two pictures are read alike."""
    forward = forward_of(FAMILIES["qwen3_vl"])
    seen = forward.see(forward.prepare(CANVASES, TEXTS[:1] * len(CANVASES)))
    features = seen.inputs["mm_encoder_outputs"]["image"]
    rows = torch.cat([*features.pooler_output])
    same = rows[: len(rows) // len(CANVASES)].expand(len(CANVASES), -1, -1)
    seen.inputs["mm_encoder_outputs"] = {"image": _instead(features, same)}
    logits = forward.logits(seen)
    assert forward.agrees(logits[0], logits[1])
    assert not forward.agrees(logits[0, 0], logits[0, 1])
