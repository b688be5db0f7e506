"""How a command ends that cannot end well: stopped, on a full disk, in a console without the characters."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.probe import Probe

MEASURE = ["measure", "reference:bottom", "--probe", "p", "--out", "r"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Makes every command that opens a probe end with an error."""

    def with_error(error: BaseException) -> None:
        def load(_: object) -> None:
            raise error

        monkeypatch.setattr(Probe, "load", load)
        monkeypatch.setattr(sys, "argv", ["bapa", *MEASURE])

    return with_error


def test_one_who_stops_a_command_is_told_how_to_go_on(failing) -> None:
    failing(KeyboardInterrupt())
    ended = CliRunner().invoke(app, MEASURE)
    assert ended.exit_code == 130
    assert ended.stderr.splitlines() == [
        "bapa: stopped; nothing finished is lost. To go on, type the same again: bapa " + " ".join(MEASURE)
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the disk is full"),
        (RuntimeError("SafetensorError: I/O error: No space left on device (os error 28)"), "the disk is full"),
        (MemoryError(), "the memory is too small for this"),
        (torch.OutOfMemoryError("CUDA out of memory"), "the memory is too small for this"),
    ],
)
def test_a_machine_that_has_too_little_is_one_line(failing, error: Exception, told: str) -> None:
    failing(error)
    ended = CliRunner().invoke(app, MEASURE)
    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"bapa: {told}; nothing finished is lost.")
    assert ("--dtype bf16" in line) == ("memory" in told)
    assert line.endswith(" ".join(MEASURE))


def test_other_errors_stay_what_they_are(failing) -> None:
    failing(ZeroDivisionError("a fault of ours"))
    assert isinstance(CliRunner().invoke(app, MEASURE).exception, ZeroDivisionError)


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "cp437"])
def test_a_console_without_a_character_shows_another(encoding: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from bapa.cli.console import out, err; out.print('1–9 × 3'); err.print('−1')"],
        check=True, capture_output=True, cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert said.stdout.decode(encoding).split()[-1] == "3"
    assert said.stderr.decode(encoding).strip().endswith("1")


@pytest.mark.parametrize("option", ["--resamples", "--seed"])
def test_a_command_of_an_older_version_is_told_what_went(failing, option: str) -> None:
    failing(KeyboardInterrupt())
    ended = CliRunner().invoke(app, [*MEASURE, option, "20"])
    assert ended.stderr.splitlines()[0] == f"bapa: {option} is not used any more: intervals need no bootstrap draws"
    assert option not in CliRunner().invoke(app, ["measure", "--help"]).output
