"""Progress where there is no terminal: a line now and then, with the time that is left."""

from __future__ import annotations

import pytest

from bapa.inference.progress import EVERY, FIRST, Lines, duration, progress


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
