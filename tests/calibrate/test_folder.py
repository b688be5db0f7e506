"""The folder that carries a choice: the files of the model it was made for, and what is said of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import bapa
from bapa.calibrate import folder
from bapa.checkpoints import load
from bapa.checkpoints.locate import folder_of, locate
from bapa.schemes import parse


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that knows neither hard nor symbolic links."""

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    monkeypatch.setattr("os.symlink", refuse)


def test_where_links_are_not_to_be_had_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    folder.write(load("reference:top"), parse("bapa"), tmp_path / "linked")
    assert (tmp_path / "linked" / "model.safetensors").is_symlink()
    monkeypatch.setattr("os.symlink", refuse)
    folder.write(load("reference:top"), parse("bapa"), tmp_path / "copied")
    assert not (tmp_path / "copied" / "model.safetensors").is_symlink()
    assert bapa.scheme_of(bapa.from_pretrained(tmp_path / "copied")) == parse("bapa")


@pytest.mark.usefixtures("without_links")
def test_a_copy_that_is_broken_off_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copy2", killed)
    model = load("reference:top")
    with pytest.raises(KeyboardInterrupt):
        folder.write(model, parse("bapa"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("without_links")
def test_a_copy_that_an_earlier_release_broke_off_is_made_anew(tmp_path: Path) -> None:
    model = load("reference:top")
    (tmp_path / "model.safetensors").write_bytes(b"broken off")
    folder.write(model, parse("bapa"), tmp_path)
    whole = folder_of(locate("reference:top")) / "model.safetensors"
    assert (tmp_path / "model.safetensors").read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_sub_folders_of_the_model_come_along_and_what_stands_beside_it_does_not(tmp_path: Path) -> None:
    source, out = tmp_path / "model", tmp_path / "model" / "calibrated"
    shutil.copytree(folder_of(locate("reference:top")), source)
    for name in (
        *("additional_chat_templates/rag.jinja", "decoder_tokenizer/config.json", "decoder_tokenizer/more/README.md"),
        *("calibration/calibration.json", "fit/fit.json", "checkpoint-20/model.safetensors", ".git/HEAD"),
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    for _ in range(2):
        folder.write(load(str(source)), parse("bapa"), out)
        assert (out / "additional_chat_templates" / "rag.jinja").samefile(
            source / "additional_chat_templates/rag.jinja"
        )
        assert (out / "decoder_tokenizer" / "config.json").read_text() == "decoder_tokenizer/config.json"
        assert (out / "decoder_tokenizer" / "more" / "README.md").is_file()
        assert {path.name for path in out.iterdir() if path.is_dir()} == {
            "additional_chat_templates",
            "decoder_tokenizer",
        }
    assert load(str(out)).files.keys() == load(str(source)).files.keys() >= {"rag.jinja"}


def test_the_card_of_the_weights_stays_theirs(tmp_path: Path) -> None:
    source = shutil.copytree(folder_of(locate("reference:top")), tmp_path / "model")
    (source / "README.md").write_text("of the weights")
    folder.write(load(str(source)), parse("bapa"), tmp_path / "first")
    for _ in range(2):
        folder.write(load(str(tmp_path / "first")), parse("native"), tmp_path / "second")
        assert (tmp_path / "second" / "README-of-the-weights.md").read_text() == "of the weights"


def test_the_weights_are_those_of_the_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    found = folder.folder_of
    monkeypatch.setattr(folder, "folder_of", lambda place: asked.append(place.revision) or found(place))
    folder.write(replace(load("reference:top"), options={"revision": "v2"}), parse("bapa"), tmp_path / "out")
    assert asked == ["v2"]


def test_the_card_of_a_calibrated_folder_names_its_rule(tmp_path: Path) -> None:
    folder.write(load("reference:top"), parse("calibrated:distance=1.5x"), tmp_path / "out")
    told = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert told.startswith("# reference:top under `calibrated:distance=1.5x`")
