"""The command line: every verb has help, errors are one line, nothing heavy is imported to say so."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import bapa
from bapa.checkpoints import load
from bapa.cli.app import app
from bapa.errors import BapaError, ModelError, ProbeError

VERBS = {
    "check",
    "demo",
    "probe",
    "measure",
    "calibrate",
    "fit",
    "origin",
    "report",
    "schemes",
    "doctor",
    "tune",
    "export",
    "serve",
    "bench",
    "explore",
    "run",
}


def bapa_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bapa", *arguments], capture_output=True, text=True, check=False)


def children_seconds() -> float:
    """Processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick_and_names_every_verb() -> None:
    took = []
    for _ in range(3):  # the quickest counts: the first reads files, and other tests run at the same time
        before = children_seconds()
        shown = bapa_command("--help")
        took.append(children_seconds() - before)
    assert min(took) < 1
    assert shown.returncode == 0
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == VERBS
    assert all(verb in shown.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f" {verb} [OPTIONS]" in shown.output


def shown_help(verb: str) -> str:
    """The help of a verb on a terminal as wide as it needs, frames and breaks left out."""
    shown = CliRunner(env={"COLUMNS": "400"}).invoke(app, [verb, "--help"], terminal_width=400)
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", shown.output).split())


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_shows_every_word_of_it(verb: str) -> None:
    """Brackets in a help text are read as markup and eaten; a default in words goes into show_default."""
    text = shown_help(verb)
    for parameter in app_options(verb):
        if getattr(parameter, "hidden", False):
            continue
        said = getattr(parameter, "help", None) or ""
        assert "[" not in said, f"{verb} {parameter.name}: {said}"
        assert " ".join(said.split()) in text, f"{verb} {parameter.name}"
        if isinstance(default := getattr(parameter, "show_default", None), str):
            assert f"[default: ({default})]" in text, f"{verb} {parameter.name}"


def test_a_bracket_in_a_help_text_is_eaten() -> None:
    """Shows that the test above can fail."""
    other = typer.Typer()

    @other.command()
    def verb(page: Annotated[str, typer.Option(help="The page [default: here].")] = "") -> None: ...

    assert "default: here" not in CliRunner().invoke(other, ["--help"]).output


def test_version() -> None:
    assert bapa_command("--version").stdout.strip() == bapa.__version__


def test_an_error_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    failed = bapa_command("report", str(tmp_path / "none"))
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("bapa: ")
    assert failed.stderr.count("\n") == 1
    assert str(tmp_path / "none") in failed.stderr


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    failed = bapa_command("--debug", "report", str(tmp_path / "none"))
    assert failed.returncode != 0
    assert "Traceback" in failed.stderr


def test_an_error_is_shown_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ProbeError("row [bold]3[/bold] of reference:top:\n  no caption")

    monkeypatch.setattr("bapa.schemes.table", fail)
    failed = CliRunner().invoke(app, ["schemes"])
    assert failed.exit_code == 2
    assert failed.stderr == "bapa: row [bold]3[/bold] of reference:top: no caption\n"


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bapa.schemes.table", fail)
    assert not issubclass(ZeroDivisionError, BapaError)
    assert isinstance(CliRunner().invoke(app, ["schemes"]).exception, ZeroDivisionError)


def test_schemes_lists_every_scheme() -> None:
    from bapa.schemes import names

    shown = CliRunner().invoke(app, ["schemes"])
    assert shown.exit_code == 0
    assert all(name in shown.output for name in names())


def test_probe_options_are_those_of_the_design(tmp_path: Path) -> None:
    from bapa.probe import Design, Probe

    arguments = [
        "probe",
        "digits",
        "--out",
        str(tmp_path / "p"),
        "--rows",
        "2",
        "--cols",
        "2",
        "--items",
        "4",
        "--no-absent",
    ]
    built = CliRunner().invoke(app, arguments)
    assert built.exit_code == 0, built.output
    design = Probe.load(tmp_path / "p").design
    assert (design.rows, design.cols, design.items, design.absent, design.near_miss) == (2, 2, 4, False, True)
    refused = CliRunner().invoke(app, ["probe", "digits", "--out", str(tmp_path / "q"), "--rows", "99"])
    assert refused.exit_code == 2
    assert "rows" in refused.stderr
    assert not (tmp_path / "q").exists()
    given = {parameter.name for parameter in app_options("probe")}
    assert set(Design.model_fields) <= given


def app_options(verb: str) -> list:
    from typer.main import get_command

    return get_command(app).commands[verb].params  # type: ignore[attr-defined]


def test_doctor_finds_a_package_in_a_distribution_of_another_name(tmp_path: Path, monkeypatch) -> None:
    from bapa.checkpoints.examine import _version

    assert _version("no-such-part") == "not installed"
    info = tmp_path / "no_such_part_cpu-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: no-such-part-cpu\nVersion: 1.2\n")
    (info / "top_level.txt").write_text("no_such_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert _version("no-such-part") == "1.2 (no-such-part-cpu)"


def test_doctor_tells_positions_in_short() -> None:
    from bapa.checkpoints.examine import spell

    assert spell([*range(5), *[5] * 81, *range(6, 12)]) == "0–4, 5 × 81, 6–11"
    assert spell([0, 1, 1.5, 2.5]) == "0–1, 1.5–2.5"
    assert spell([0, 0, 1, 1, 2, 2], parts=2) == "0 × 2, 1 × 2, …"


def test_doctor_tells_the_scheme_a_folder_records(tmp_path: Path) -> None:
    from bapa.checkpoints.examine import examine

    loaded = load("reference")
    bapa.balance(loaded.model, "bapa", distance=2).save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    said = dict(examine(str(tmp_path)))
    assert said["recorded scheme"].startswith("bapa:distance=2; plain transformers ignores it")
    assert said["can be balanced"] == "yes"
    assert "recorded scheme" not in dict(examine("reference"))


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("doctor", []),
        ("explore", []),
        ("bench", ["--tasks", "pope", "--scheme", "native", "--out", "out"]),
        ("tune", ["--data", "chats.json", "--out", "out"]),
    ],
)
def test_verbs_that_load_a_model_take_the_options_of_loading(verb: str, options: list[str], tmp_path: Path) -> None:
    """A name that is none of them is refused before anything is loaded; a model takes those that are."""
    pytest.importorskip({"explore": "gradio", "tune": "trl", "bench": "lmms_eval"}.get(verb, "torch"))
    chat = {"image": "a.png", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "yes"}]}
    (tmp_path / "chats.json").write_text(json.dumps([chat]))
    Image.new("RGB", (24, 24)).save(tmp_path / "a.png")
    options = [str(tmp_path / text) if text in ("out", "chats.json") else text for text in options]
    failed = CliRunner().invoke(app, [verb, "reference", *options, "--load", "pixels=3"])
    assert failed.exit_code == 2
    assert "--load pixels: accepted are attention, revision" in " ".join(failed.output.split())


def test_doctor_loads_as_it_is_told() -> None:
    from bapa.checkpoints.examine import examine
    from bapa.checkpoints.options import LoadOptions

    with pytest.raises(ModelError, match="keeps no max_pixels"):
        dict(examine("reference", options=LoadOptions(max_pixels=9)))


def test_of_several_processes_one_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert bapa_command("schemes").stdout == ""
    monkeypatch.setenv("RANK", "0")
    assert "bapa" in bapa_command("schemes").stdout


def test_a_mistyped_probe_does_not_wait_for_the_model(tmp_path: Path) -> None:
    options = ["--probe", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    failed = CliRunner().invoke(app, ["measure", "reference", *options])
    assert failed.exit_code == 2
    assert "no probe in" in failed.stderr


def test_a_probe_as_plain_pictures(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    options = ["--out", str(tmp_path / "probe"), "--items", "2", "--render", str(pictures)]
    result = CliRunner().invoke(app, ["probe", "digits", *options])
    assert result.exit_code == 0, result.output
    assert len(list(pictures.glob("**/*.png"))) == 2 * 9
    assert (pictures / "metadata.jsonl").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp932"])
def test_a_console_that_cannot_show_a_character_gets_another(encoding: str) -> None:
    command = [sys.executable, "-m", "bapa", "schemes"]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["foo.xyz", "foo", "nowhere/foo.png"])
def test_a_picture_of_schemes_that_cannot_be_drawn(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schemes", "--grid", "4x4", "--picture", str(tmp_path / name)])
    assert done.exit_code == 2
    assert "a .png, .svg, .pdf in a folder that is there is accepted" in " ".join(done.output.split())


@pytest.mark.parametrize("grid", ["24", "0x4", "4x1025", "99999x99999"])
def test_a_grid_that_is_none_or_too_large_is_refused(grid: str) -> None:
    done = CliRunner().invoke(app, ["schemes", "--grid", grid])
    assert done.exit_code == 2
    assert "rows x columns are accepted, each up to 1024" in " ".join(done.output.split())


def test_a_picture_of_schemes_is_one_of_a_grid(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schemes", "--picture", str(tmp_path / "a.png")])
    assert done.exit_code == 2
    assert "name it: --grid 24x24" in " ".join(done.output.split())
