"""Folders that one command fills: taken by one process, gone on with, refused where they are another's."""

from __future__ import annotations

import errno
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import bapa
from bapa import files
from bapa.errors import RunError
from bapa.files import RunFolder, alone, command, read_json, replacing, write_json

CONFIG = {
    "model": {"name": "m", "fingerprint": "f" * 64},
    "probe": {"path": "p", "fingerprint": "e" * 64},
    "schemes": ["a"],
}


def folder(path: Path, config: dict[str, Any] = CONFIG, **options: Any) -> RunFolder:
    options = {"kind": "run", "record": "run.json", "work": "progress/answers-*", "kept": ("answers-*",), **options}
    return RunFolder(path, config, **options)


def begin(path: Path, config: dict[str, Any] = CONFIG, **options: Any) -> None:
    """Start, do some work, and stop as if killed."""
    with folder(path, config, **options) as here:
        assert here.open() is None
        (here.progress / "answers-0").write_text("done\n")


def test_it_goes_on_and_is_finished_once(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    with folder(tmp_path / "run") as here:
        assert here.open() is None
        assert (here.progress / "answers-0").read_text() == "done\n"
        here.seal({"answers": 1})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    with folder(tmp_path / "run") as again:
        assert again.open() == {"version": 1, "config": CONFIG, "answers": 1}


@pytest.mark.parametrize("finished", [False, True])
def test_another_config_is_refused_with_the_difference(tmp_path: Path, finished: bool) -> None:
    begin(tmp_path)
    if finished:
        with folder(tmp_path) as here:
            here.open()
            here.seal({})
    other = {**CONFIG, "probe": {"path": "p", "fingerprint": "d" * 64}, "schemes": ["b"]}
    with pytest.raises(RunError, match=r"schemes: \['a'\] there, \['b'\] now") as refused:
        folder(tmp_path, other).open()
    assert f"probe.fingerprint: {'e' * 12} there, {'d' * 12} now" in str(refused.value)


def test_what_a_fingerprint_ends_with_is_told() -> None:
    told = {key: f"2-{'a' * 40}-{key}" for key in ("float32", "bfloat16")}
    for key, value in told.items():
        assert files._told("model.fingerprint", {"model.fingerprint": value}) == f"2-{'a' * 10}-{key}"


def test_names_of_the_same_things_may_differ(tmp_path: Path) -> None:
    """A trailing slash, a folder that was moved: the fingerprints tell."""
    begin(tmp_path)
    other = {**CONFIG, "model": {**CONFIG["model"], "name": "./m/"}, "probe": {**CONFIG["probe"], "path": "/p"}}  # type: ignore[dict-item]
    with folder(tmp_path, other) as here:
        assert here.open() is None


def test_what_was_never_begun_binds_nobody(tmp_path: Path) -> None:
    with folder(tmp_path) as here:
        here.open()
    with folder(tmp_path, {"other": 1}) as here:
        assert here.open() is None


def test_free_keys_go_on_as_they_began(tmp_path: Path) -> None:
    begin(tmp_path, free=("schemes",))
    with folder(tmp_path, {**CONFIG, "schemes": ["b"]}, free=("schemes",)) as here:
        assert here.open() is None
        assert here.config["schemes"] == ["a"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="not empty and holds no run"):
        folder(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("record", ["run.json", "inner/run.json"])
@pytest.mark.parametrize(
    "theirs",
    ["progress/notes.txt", "progress/answers-0", "probe/probe.json", "inner/notes.txt", "inner/progress/a.txt"],
)
def test_a_folder_is_not_ours_for_the_names_of_what_stands_in_it(tmp_path: Path, record: str, theirs: str) -> None:
    file = tmp_path / theirs
    file.parent.mkdir(parents=True)
    file.write_text("somebody's")
    with pytest.raises(RunError, match="not empty and holds no run"):
        folder(tmp_path, record=record, made=("probe", "inner")).open()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize("record", ["run.json", "inner/run.json"])
def test_the_folder_of_another_command_is_left_alone(tmp_path: Path, record: str) -> None:
    begin(tmp_path)
    with pytest.raises(RunError, match="not empty and holds no check"):
        folder(tmp_path, kind="check", record=record).open()
    with folder(tmp_path) as here:
        assert here.open() is None
        assert (here.progress / "answers-0").read_text() == "done\n"


def test_what_the_work_makes_is_its_own_beside_its_config(tmp_path: Path) -> None:
    with folder(tmp_path, made=("probe",)) as here:
        here.open()
        (tmp_path / "probe").mkdir()
        (tmp_path / "run.json.part").touch()
    with folder(tmp_path, made=("probe",)) as here:
        assert here.open() is None


@pytest.mark.parametrize("record", ["run.json", "inner/run.json"])
@pytest.mark.parametrize("left", [(), ("lock",), ("lock", "config.json.part")])
def test_a_process_killed_before_its_config_is_there_takes_nothing(
    tmp_path: Path, record: str, left: tuple[str, ...]
) -> None:
    progress = (tmp_path / record).parent / "progress"
    progress.mkdir(parents=True)
    for name in left:
        (progress / name).touch()
    with folder(tmp_path, record=record) as here:
        assert here.open() is None


def test_a_config_of_an_earlier_release_does_not_tell_its_kind(tmp_path: Path) -> None:
    begin(tmp_path)
    write_json(tmp_path / "progress" / "config.json", CONFIG)
    with folder(tmp_path) as here:
        assert here.open() is None
    write_json(tmp_path / "progress" / "config.json", {"their": "settings"})
    with pytest.raises(RunError, match="not empty and holds no run"):
        folder(tmp_path).open()


def test_only_what_is_ours_is_tidied_away(tmp_path: Path) -> None:
    begin(tmp_path)
    with folder(tmp_path) as here:
        here.open()
        (here.progress / "notes.txt").write_text("somebody's")
        here.seal({})
    assert [path.name for path in (tmp_path / "progress").iterdir()] == ["notes.txt"]
    write_json(tmp_path / "progress" / "config.json", {"their": "settings"})
    with folder(tmp_path) as here:
        assert here.open() is not None
    assert len(list((tmp_path / "progress").iterdir())) == 2


def test_killed_while_it_tidied_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "config.json":
            raise Killed
        kept(path, missing_ok)

    begin(tmp_path)
    kept = Path.unlink
    with folder(tmp_path) as here:
        here.open()
        monkeypatch.setattr(Path, "unlink", unlink)
        with pytest.raises(Killed):
            here.seal({})
        monkeypatch.setattr(Path, "unlink", kept)
    with folder(tmp_path) as here:
        assert here.open() is not None
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with folder(tmp_path) as here:
        here.open()
        with pytest.raises(RunError, match="another process writes to"):
            folder(tmp_path).open()
    with folder(tmp_path) as here:
        here.open()


def test_one_page_is_written_by_one_process(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with alone(page), pytest.raises(RunError, match="another process writes"), alone(page):
        pass
    with alone(page):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with suppress(ZeroDivisionError), replacing(tmp_path / "a.json") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with folder(tmp_path) as here:
        here.open()
        monkeypatch.setattr(files.os, "fsync", full)
        with pytest.raises(RunError, match="No space left on device; nothing finished is lost"):
            here.seal({})
        monkeypatch.undo()
    with folder(tmp_path) as here:
        assert here.open() is None, "the work is still there"
        assert (here.progress / "answers-0").is_file()


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_file_that_holds_no_object_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RunError, match="JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/usr/bin/bapa", "measure", "a b"], "bapa measure 'a b'"),
        ([str(Path(bapa.__file__).with_name("__main__.py")), "demo"], "bapa demo"),
        (["/lib/pytest/__main__.py", "-q"], "/lib/pytest/__main__.py -q"),
        (["study.py", "--all"], "study.py --all"),
    ],
)
def test_a_command_is_told_as_it_was_typed(argv: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command() == told


def test_a_process_that_is_not_bapa_says_so() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from bapa.files import command; print(command())", "measure"],
        check=True, capture_output=True, text=True, cwd=Path(bapa.__file__).parents[1],
    ).stdout  # fmt: skip
    assert told.strip() == "-c measure"


WITH = {**CONFIG, "model": {**CONFIG["model"], "processor": {"chat_template.jinja": "aaaa"}, "trust_remote_code": True}}  # type: ignore[dict-item]


def test_another_processor_is_refused_by_the_name_of_its_file(tmp_path: Path) -> None:
    begin(tmp_path, WITH)
    other = {**WITH, "model": {**WITH["model"], "processor": {"chat_template.jinja": "bbbb"}}}  # type: ignore[dict-item]
    with pytest.raises(RunError, match=r"model\.processor\.chat_template\.jinja: aaaa there, bbbb now"):
        folder(tmp_path, other).open()


@pytest.mark.parametrize("finished", [False, True])
def test_what_an_earlier_release_did_not_tell_goes_on_and_stays_untold(tmp_path: Path, finished: bool) -> None:
    begin(tmp_path)
    if finished:
        with folder(tmp_path) as here:
            here.open()
            here.seal({})
    with folder(tmp_path, WITH) as here:
        assert (here.open() is not None) == finished
        assert here.config == CONFIG


def test_what_a_file_lacks_is_said(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert read_json(tmp_path / "a.json", "b") == {"b": 1}
    with pytest.raises(RunError, match=r"a\.json does not tell its c, d"):
        read_json(tmp_path / "a.json", "b", "c", "d")
