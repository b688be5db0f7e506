"""Killed at any moment, a run goes on where it was and ends as if nothing had happened."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bapa.inference.store import ANSWERS, RUN
from tests.measure import noting, victim


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.measure.victim"])
    return context


@pytest.fixture(scope="module")
def undisturbed(processes, model_path, probe, tmp_path_factory):
    """The answers of a run that nobody disturbed, and how long it took."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(processes, model_path, probe, out)  # starts the fork server
    start = time.perf_counter()
    finish(processes, model_path, probe, out.with_name("again"))
    assert read(out) == read(out.with_name("again"))
    return read(out), time.perf_counter() - start


def finish(processes, model_path, probe, out):
    process = processes.Process(target=victim.run, args=(model_path, probe.path, out))
    process.start()
    process.join()
    assert process.exitcode == 0


def read(out):
    return pq.read_table(out / ANSWERS)


def blocks_done(out):
    with suppress(FileNotFoundError):  # sealed this moment
        return sum(shard.read_bytes().count(b"\n") for shard in out.glob("progress/*.jsonl"))
    return 0


def until(condition):
    while not condition():
        time.sleep(0.005)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments(kills, processes, model_path, probe, undisturbed, tmp_path):
    answers, seconds = undisturbed
    moments = random.Random(kills)
    stopped_in_the_middle = 0
    for kill in range(kills):
        out = tmp_path / f"run-{kill // 2}"  # each run is killed twice
        before = blocks_done(out)
        process = processes.Process(target=victim.run, args=(model_path, probe.path, out))
        process.start()
        if moments.random() < 0.8:  # else while it starts
            until(lambda out=out, before=before: blocks_done(out) > before or (out / RUN).exists())
        process.join(moments.uniform(0, 0.3) * seconds)
        process.kill()
        process.join()
        after = blocks_done(out)
        assert after >= before or (out / RUN).exists(), "finished work was lost"
        stopped_in_the_middle += after > before
    assert stopped_in_the_middle
    for out in tmp_path.iterdir():
        finish(processes, model_path, probe, out)
        assert read(out) == answers
        assert sorted(path.name for path in out.iterdir()) == ["answers.parquet", "bias.json", "run.json"]


def test_a_line_half_written_is_cut_off_and_asked_again(processes, model_path, probe, undisturbed, tmp_path):
    out = tmp_path / "run"
    process = processes.Process(target=victim.run, args=(model_path, probe.path, out))
    process.start()
    until(lambda: blocks_done(out) >= 3)
    process.kill()
    process.join()
    shard = out / "progress" / "answers-0.jsonl"
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    finish(processes, model_path, probe, out)
    assert read(out) == undisturbed[0]


def test_two_processes_answer_as_one(processes, model_path, probe, undisturbed, tmp_path):
    out = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = [
        processes.Process(target=victim.run, args=(model_path, probe.path, out, (2, index, port))) for index in range(2)
    ]
    for process in group:
        process.start()
    shards, most = set(), 0
    while any(process.is_alive() for process in group):
        shards |= {path.name for path in out.glob("progress/*.jsonl")}
        most = max(most, blocks_done(out))
        time.sleep(0.01)
    assert [process.exitcode for process in group] == [0, 0]
    assert shards == {"answers-0.jsonl", "answers-1.jsonl"}, "both must have worked"
    assert most <= len(probe.items) * 9 // 2, "no block must be asked twice"
    assert read(out) == undisturbed[0]
    assert json.loads((out / RUN).read_text())["audit"]["answers"] == 4 * 3 * 2


@pytest.mark.slow
def test_torchrun(model_path, probe, tmp_path):
    """Which ``accelerate launch`` calls on GPUs; on CPUs it starts one process whatever it is asked for."""
    out, notes = tmp_path / "run", tmp_path / "notes"
    notes.mkdir()
    command = ["measure", model_path, "--probe", probe.path, "--scheme", "native", "--audit", "0", "--batch-size", "2"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", noting.__file__]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    options = {"check": True, "timeout": 300, "capture_output": True, "text": True, "env": environment}
    both = subprocess.run([*launch, notes, *command, "--out", out], **options)
    assert both.stdout.count("AUC by cell") == 1, "one table, whichever process prints it"
    subprocess.run([sys.executable, "-m", "bapa", *command, "--out", tmp_path / "one"], **options)
    assert read(out) == read(tmp_path / "one")
    one, two = noting.processes(notes).values()
    assert one
    assert two
    assert not one & two
