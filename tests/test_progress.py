"""Progress where there is no terminal: a line now and then, with the time that is left."""

from __future__ import annotations

import pytest

from bapa.progress import EVERY, FIRST, Lines, counted, duration, progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_now_and_then_and_tell_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("measuring", total=100, done=40, clock=clock)
    for _ in range(59):
        clock.now += 4
        lines.step()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "measuring: 43 of 100, about 3 min 50 s left"
    assert len(told) == 1 + int((59 * 4 - FIRST) // EVERY)
    clock.now += EVERY
    lines.step()
    assert capsys.readouterr().err == "", "the last step needs no line"


def test_what_is_soon_done_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("measuring", 3) as step:
        for _ in range(3):
            step()
    assert capsys.readouterr().err == ""


def test_a_note_stands_beside_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("tuning", total=40, done=0, clock=clock)
    clock.now += 20
    lines.step("loss 3.125")
    assert capsys.readouterr().err == "tuning: 1 of 40, loss 3.125, about 13 min left\n"


def test_more_steps_than_foreseen_leave_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("reading pictures", total=1, done=0, clock=clock)
    lines.step()
    clock.now += 20
    lines.step()
    assert capsys.readouterr().err == "reading pictures: 2 of 1, about 0 s left\n"


def test_steps_are_counted_as_they_are_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bapa.progress.FIRST", -1)
    monkeypatch.setattr("bapa.progress.EVERY", -1)
    assert list(counted("abc", 3, "writing canvases")) == ["a", "b", "c"]
    assert [line.split(", about")[0] for line in capsys.readouterr().err.splitlines()] == [
        "writing canvases: 1 of 3",
        "writing canvases: 2 of 3",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "1 min 30 s"),
        (119, "2 min"),
        (594, "9 min 50 s"),
        (599, "10 min"),
        (3600, "60 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
