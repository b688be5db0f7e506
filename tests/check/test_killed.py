"""A check that is killed at every step, and within them, decides the same in the end and asks nothing twice."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import pytest

from bapa.calibrate import promise, promised
from bapa.calibrate.pace import Pace
from bapa.check import check, estimate, load_check, runner
from bapa.check import work as steps
from bapa.check.estimate import WarmUp
from bapa.checkpoints import Loaded
from bapa.inference.store import Block, Store

FEWER = {"STEPS": 2, "PICK": 4, "TRACED": 2, "LEAST": 4}
ITEMS, SEED = 4, 0
# Where a command is killed: behind the n-th block that it asks, or behind a step.
FEW = ("measure", 3)
ALL = (1, "measure", 1, "origin", 1, 4, "calibrate", 1, 3, "keep")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that are forked after torch is loaded")


@pytest.fixture(autouse=True)
def all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small check that takes every step, whatever the answers of a model with random weights say."""
    for module in (runner, steps, estimate):
        for name, value in FEWER.items():
            monkeypatch.setattr(module, name, value, raising=False)
    monkeypatch.setattr(runner, "settled", lambda evidence: False)
    monkeypatch.setattr(estimate, "warm_up", lambda *given: WarmUp(Pace(0.1, 0.1, 0), 1.0, 0.1))
    monkeypatch.setattr(promise, "space", lambda layers: ["native", "bapa", "calibrated:distance=1x"])
    monkeypatch.setattr(promised, "near", lambda candidate, layers: [])


def work(tiny: Loaded, out: Path, log: Path, kill: int | str | None) -> None:
    """One command in a process of its own; each block that is on the disk goes into ``log``."""

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    append, asked = Store.append, 0

    def logged(store: Store, block: Block) -> None:
        nonlocal asked
        append(store, block)
        if "warm-up" in store.path.parts:
            return
        asked += 1
        with log.open("a") as lines:
            print(store.path.relative_to(out), store.config.get("schemes"), block["block"], file=lines)
        if asked == kill:
            killed()

    def behind(step: str) -> None:
        taken = getattr(steps.Work, step)

        def and_then(self: runner.Work, *given: object) -> object:
            taken(self, *given)
            return killed()

        setattr(steps.Work, step, and_then)

    Store.append = logged  # type: ignore[method-assign]
    if isinstance(kill, str):
        behind(kill)
    check(tiny, out, items=ITEMS, seed=SEED)


def run(tiny: Loaded, out: Path, log: Path, kill: int | str | None) -> int | None:
    process = get_context("fork").Process(target=work, args=(tiny, out, log, kill))
    process.start()
    process.join(280)
    return process.exitcode


@pytest.mark.parametrize("kills", [FEW, pytest.param(ALL, marks=pytest.mark.slow)], ids=["few", "all"])
def test_killed_and_repeated_it_decides_the_same_and_asks_nothing_twice(
    tiny: Loaded, tmp_path: Path, kills: tuple[int | str, ...]
) -> None:
    whole, cut, log = tmp_path / "whole", tmp_path / "cut", tmp_path / "log"
    assert run(tiny, whole, tmp_path / "log-of-whole", None) == 0
    for kill in kills:
        assert run(tiny, cut, log, kill) == -signal.SIGKILL, f"{kill} was never reached"
        assert not (cut / runner.RECORD).exists()
    assert run(tiny, cut, log, None) == 0
    one, two = load_check(whole), load_check(cut)
    assert two.evidence == one.evidence
    assert two.decision == one.decision
    assert two.took is None  # what the killed commands took is not known
    assert one.took is not None
    asked, once = (Counter(file.read_text().splitlines()) for file in (log, tmp_path / "log-of-whole"))
    assert asked == once
    assert set(asked.values()) == {1}
