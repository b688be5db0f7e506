"""An exported checkpoint is written whole or not at all, and its card says what it is."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText
from typer.testing import CliRunner

import bapa
from bapa import files
from bapa.checkpoints import Loaded, load
from bapa.checkpoints.card import Measured, card
from bapa.checkpoints.export import export, names_our_code
from bapa.cli.app import app
from bapa.errors import RunError
from bapa.schemes import parse
from tests.attach.checks import TWO_IMAGES, logits, same
from tests.tiny import FAMILIES
from tests.tune.processors import processor

LLAVA = FAMILIES["llava"]


def model() -> Loaded:
    return Loaded(LLAVA.build(), processor("llava"), "llava", "")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_loads_under_its_scheme(tmp_path: Path) -> None:
    export(model(), tmp_path / "deep" / "out", "bapa:distance=3")
    loaded, inputs = load(str(tmp_path / "deep" / "out")), LLAVA.inputs(TWO_IMAGES)
    same(logits(loaded.model, inputs), logits(bapa.balance(LLAVA.build(), distance=3), inputs))
    assert not [name for name in left(tmp_path / "deep" / "out") if name.startswith(".") or name.endswith(".py")]


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        export(model(), tmp_path, "bapa")
    with pytest.raises(RunError, match=r"notes\.txt is a file"):
        export(model(), tmp_path / "notes.txt", "bapa")
    assert left(tmp_path) == ["notes.txt"]


def test_an_empty_folder_is_filled_and_not_replaced(tmp_path: Path) -> None:
    """So it may be a mount point, which cannot be replaced."""
    out = tmp_path / "out"
    (out / "lost+found").mkdir(parents=True)
    before = out.stat().st_ino
    export(model(), out, "bapa")
    assert out.stat().st_ino == before
    assert {"config.json", "lost+found", "model.safetensors"} <= set(left(out))
    assert not {".part"} & set(left(out))


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left")])
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_is_one_line_and_nothing_is_left(
    error: Exception, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = model(), tmp_path / "out"

    def full(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(given.model, "save_pretrained", full)
    if there:
        out.mkdir()
    with pytest.raises(RunError, match=r"cannot write .*out: No space left.*; nothing was kept"):
        export(given, out, "bapa")
    assert left(tmp_path) == (["out"] if there else [])
    assert not there or left(out) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file/out: Not a directory"):
        export(model(), tmp_path / "file" / "out", "bapa")


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files.alone(out), pytest.raises(RunError, match=r"another process writes .*out; wait for it"):
        export(model(), out, "bapa")
    export(model(), out, "bapa")


def test_an_export_that_was_killed_is_done_again(tmp_path: Path) -> None:
    """Killed while it wrote, and killed while it moved what it had written."""
    out = tmp_path / "out"
    (out / ".part").mkdir(parents=True)
    (out / ".part" / "config.json").write_text("half")
    (out / "model.safetensors").write_bytes(b"of the first try")
    export(model(), out, "bapa")
    assert bapa.scheme_of(bapa.from_pretrained(out)) is not None
    with pytest.raises(RunError, match="is not empty"):
        export(model(), out, "bapa")


def test_a_mistyped_run_is_said_before_a_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("bapa.checkpoints.load", never)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for options in (
        ["--out", str(tmp_path / "out"), "--run", str(tmp_path / "rnu")],
        ["--out", str(tmp_path / "full")],
    ):
        found = CliRunner().invoke(app, ["export", "reference:bottom", *options])
        assert found.exit_code == 2, found.output
    assert left(tmp_path) == ["full"]


def test_the_card_names_scheme_origin_and_command(tmp_path: Path) -> None:
    export(model(), tmp_path / "out", "bapa:distance=3", self_contained=True)
    told = (tmp_path / "out" / "README.md").read_text()
    assert "**`bapa:distance=3`**" in told
    assert "Made from**: `llava`" in told
    assert "Not measured" in told
    assert "the package's own files" in told
    assert json.loads((tmp_path / "out" / "config.json").read_text())["bapa"]["options"] == {"distance": 3}


POSITIONS = "where the tokens of an image stand"
MASKS = "which image tokens see each other"
FEATURES = "image features on their way into the language model"


@pytest.mark.parametrize(
    ("scheme", "concerns", "stays"),
    [
        ("bapa", POSITIONS, "weights, masks, image features and token order"),
        ("sofa", MASKS, "weights, positions, image features and token order"),
        ("native:image_attention=bidirectional", MASKS, "weights, positions, image features and token order"),
        ("agci", FEATURES, "weights, positions, masks and token order"),
        ("restore", "added to attention scores", "weights, positions, masks, image features and token order"),
        ("anchored", "from where tokens look", "weights, masks, image features and token order"),
    ],
)
def test_the_card_says_what_its_scheme_concerns(scheme: str, concerns: str, stays: str) -> None:
    told = " ".join(card(model(), parse(scheme), None, False).split())
    assert concerns in told
    assert f"; {stays} are those of the checkpoint's own class. It is recorded in `config.json`" in told
    assert [one for one in (POSITIONS, MASKS, FEATURES) if one in told] == [
        one for one in (POSITIONS, MASKS, FEATURES) if one == concerns
    ]
    assert "Loaded with plain transformers the model runs **without** the scheme and its answers differ." in told


def test_the_card_of_a_native_model_promises_no_difference(tmp_path: Path) -> None:
    told = " ".join(card(model(), parse("native"), None, False).split())
    assert "The scheme changes nothing; weights, positions, masks, image features and token order are those of" in told
    assert "`config.json` names no scheme." in told
    assert "plain transformers" not in told
    export(model(), tmp_path / "out", "native")
    assert "bapa" not in json.loads((tmp_path / "out" / "config.json").read_text())


def test_figures_of_other_weights_do_not_enter_the_card(tmp_path: Path) -> None:
    its = Loaded(LLAVA.build(), processor("llava"), "llava", "2-aaaa-bfloat16")
    of_another, own = (Measured("| a |", "bapa measure", "other", f"2-{one}-float32") for one in ("bbbb", "aaaa"))
    with pytest.raises(RunError, match="the run measured other, whose weights are not those of llava"):
        export(its, tmp_path / "out", "bapa", measured=of_another)
    assert not (tmp_path / "out").exists()
    export(its, tmp_path / "out", "bapa", measured=own)
    assert "| a |" in (tmp_path / "out" / "README.md").read_text()


def test_an_export_of_an_export_names_no_code_that_is_not_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    export(model(), first, "bapa", self_contained=True)
    assert "auto_map" in json.loads((first / "config.json").read_text())
    assert names_our_code(load(str(first)).model.config)
    assert not names_our_code(LLAVA.build().config)
    export(load(str(first)), second)
    assert "auto_map" not in json.loads((second / "config.json").read_text())
    plain = AutoModelForImageTextToText.from_pretrained(second, trust_remote_code=True)
    assert type(plain).__module__.startswith("transformers.")
