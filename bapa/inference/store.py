"""A run on disk: shards of answers while it goes on, three files when it is finished.

``progress/config.json``     what is being measured
``progress/answers-N.jsonl`` the answers of process N, one line a block, appended and synced before the next block
``answers.parquet``          all answers, in the order of the probe
``bias.json``                the statistics
``run.json``                 config, versions, fingerprints, command; written last: it marks the run finished
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bapa.errors import RunError
from bapa.files import RunFolder, replacing, sync_folder, write_json, writing
from bapa.inference.answers import UNREAD
from bapa.probe import Probe

ANSWERS, BIAS, RUN = "answers.parquet", "bias.json", "run.json"
BESIDE = ("origin", "origin.json")  # what may stand in a run's folder before the run
PARTS = ("block", "rank", "answers", "audit")  # of a block
SCHEMA = pa.schema(
    [
        ("item", pa.int32()),
        ("cell", pa.int16()),
        ("row", pa.int16()),
        ("col", pa.int16()),
        ("question", pa.string()),
        ("kind", pa.string()),
        ("scheme", pa.string()),
        ("expected", pa.string()),
        ("answer", pa.string()),
        ("correct", pa.bool_()),
        ("margin", pa.float64()),
        ("mass", pa.float64()),
        ("top", pa.string()),
        ("error", pa.string()),
    ]
)
Block = Mapping[str, Any]  # "block": its number, "rank": place of each row in the run, "answers": columns, "audit"


class Store(RunFolder):
    """The folder of one run. Only one process opens it; the others join when it has.

    ``process``: the number of this one. The other arguments are those of :class:`~bapa.files.RunFolder`.
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], *, process: int = 0, free: tuple[str, ...] = ()
    ) -> None:
        work = "progress/answers-*.jsonl"
        super().__init__(
            path, config, kind="run", record=RUN, work=work, beside=BESIDE, kept=("answers-*.jsonl",), free=free
        )
        self.shard = self.progress / f"answers-{process}.jsonl"

    def next(self, schemes: Sequence[str]) -> list[str]:
        """Take the folder for those of ``schemes`` that it lacks, and say which are to be asked now; none: all are
        there. Those that an interrupted run had begun with come first, together.

        Raises RunError where the folder holds something else, or another process is writing to it.
        """
        self.close()  # of the schemes before
        found = self.finished()
        there = [] if found is None else found["config"]["schemes"]
        if found is not None and self._sealed(there):
            self.tidy()
        self.config["schemes"] = [scheme for scheme in schemes if scheme not in there]
        if not self.config["schemes"]:
            return []
        self.take()
        return list(self.config["schemes"])

    def _sealed(self, there: Sequence[str]) -> bool:
        """Whether what stands in progress is in a finished run under the schemes ``there``: of a process killed between
        sealing and tidying up, which may have removed the config and not yet the answers.
        """
        if not self.started.is_file():
            return self._begun()
        before = self.before()
        return before is not None and "schemes" in before and set(before["schemes"]) <= {*there}

    def append(self, block: Block) -> None:
        """Add a finished block; when this returns, it is on the disk."""
        with writing(self.shard):
            new = not self.shard.exists()
            with self.shard.open("ab") as shard:
                shard.write(json.dumps(block).encode() + b"\n")
                shard.flush()
                os.fsync(shard.fileno())
            if new:
                sync_folder(self.progress)

    def mend(self) -> None:
        """Cut off what this process had half written when it was killed."""
        if self.shard.exists():
            with self.shard.open("rb+") as shard:
                shard.truncate(shard.read().rfind(b"\n") + 1)

    def blocks(self) -> dict[int, Block]:
        """The finished blocks of all processes by number; of one that was repeated, the one with fewer errors."""
        found: dict[int, Block] = {}
        for block in self._lines():
            before = found.get(block["block"])
            if before is None or len(errors(block)) <= len(errors(before)):
                found[block["block"]] = block
        return found

    def answers(self) -> pa.Table:
        """The answers of the finished run, as :func:`read_answers` gives them."""
        return read_answers(self.path)

    def seal_answers(self, answers: pa.Table, bias: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Turn the shards into the finished run."""
        with writing(self.path):
            with replacing(self.path / ANSWERS) as path:
                pq.write_table(answers, path, compression="zstd")
            write_json(self.path / BIAS, bias)
        self.seal(record)

    def _lines(self) -> Iterator[Block]:
        for shard in sorted(self.progress.glob("answers-*.jsonl")):
            with shard.open("rb") as lines:
                yield from (_block(line, shard, at) for at, line in enumerate(lines, 1) if line.endswith(b"\n"))


def _block(line: bytes, shard: Path, number: int) -> Block:
    """The block that a whole line of a shard holds. ``number``: of the line.

    Raises RunError where it holds none. What a killed process leaves is no whole line, so the disk or a hand did that.
    """
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found.keys() >= {*PARTS}:
        removing = shlex.join(["sed", "-i", f"{number}d", str(shard)])
        raise RunError(
            f"{shard}, line {number}, is damaged; delete the line ({removing}) or the whole file, and run the same "
            "command again: what was in it is asked again"
        )
    return found


def read_answers(folder: Path) -> pa.Table:
    """The answers of a finished run: the columns of :data:`SCHEMA`, and what items have in common.

    Raises RunError where the file cannot be read.
    """
    path = folder / ANSWERS
    try:
        return pq.read_table(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
        reason = " ".join(str(error).split())
        raise RunError(f"{path} cannot be read ({reason}); make it again in a new folder: --out FOLDER") from None


def table(blocks: Mapping[int, Block]) -> pa.Table:
    """The answers of all blocks in the order of the probe, with the columns of :data:`SCHEMA`."""
    parts = [
        pa.table(_filled(block["answers"]), SCHEMA).append_column("rank", pa.array(block["rank"], pa.int64()))
        for block in blocks.values()
    ]
    return pa.concat_tables(parts).sort_by("rank").drop_columns("rank")


def _filled(answers: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns of a block; null where it was written before there was such a column."""
    return {name: answers.get(name, [None] * len(answers["item"])) for name in SCHEMA.names}


def beside(one: pa.Table, first: Sequence[str], two: pa.Table, then: Sequence[str]) -> pa.Table:
    """The answers of two tables to the same questions, under the schemes ``first`` and under the schemes ``then``, in
    the order of the probe. ``one`` may hold answers under other schemes, which are left out: of a process that was
    stopped while it added them.
    """
    one = one.filter(pc.is_in(one["scheme"], pa.array(first)))
    both = len(first) + len(then)
    rows, more = np.arange(one.num_rows), np.arange(two.num_rows)
    places = (
        rows // len(first) * both + rows % len(first),
        more // len(then) * both + len(first) + more % len(then),
    )
    return pa.concat_tables([one, two], promote_options="default").take(np.argsort(np.concatenate(places)))


def errors(block: Block) -> list[str]:
    """What failed in a block, one line an answer: which, and why."""
    return [told for told, error in _without_answer(block) if not error.startswith(UNREAD)]


def unread(block: Block) -> list[str]:
    """What the model answered and nobody can read, one line an answer: which, and what it wrote."""
    return [told for told, error in _without_answer(block) if error.startswith(UNREAD)]


def _without_answer(block: Block) -> Iterator[tuple[str, str]]:
    answers = block["answers"]
    named = zip(*(answers[name] for name in ("item", "cell", "question", "scheme", "error")), strict=True)
    for item, cell, question, scheme, error in named:
        if error is not None:
            yield f"item {item}, cell {cell}, {question}, {scheme}: {error}", error


def with_units(answers: pa.Table, probe: Probe) -> pa.Table:
    """``answers`` with what items may have in common: ``caption``, ``group`` (class) and source ``picture`` of the
    target, strings, null where the source does not say.
    """
    found = {item.item: probe.unit(item) for item in probe.items}
    numbers = answers["item"].to_pylist()
    for name in ("caption", "group", "picture"):
        column = pa.array([found[number].get(name) for number in numbers], pa.string())
        answers = answers.append_column(name, column)
    return answers
