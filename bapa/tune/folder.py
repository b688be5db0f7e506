"""The folder of a tuning run.

``progress/``      what is being trained, while it goes on; at the end the result, until it is whole
``checkpoints/``   the trainer's own, for going on after an interruption
``evaluations/``   a run of ``bapa measure`` for every evaluation: step-0, ...
``tune.json``      settings, loss curve, evaluations; written last: it marks the run finished
``tuning.html``    the same to look at, where :func:`bapa.report.tuning.write` was called
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bapa
from bapa.checkpoints.adapter import FILE
from bapa.errors import RunError
from bapa.files import RunFolder, command, disk_is_full, writing

CHECKPOINTS, EVALUATIONS, TUNE = "checkpoints", "evaluations", "tune.json"
MADE, RESULT = (CHECKPOINTS, EVALUATIONS), "result"
CURVE = ("step", "epoch", "loss", "learning_rate", "grad_norm", "mean_token_accuracy")
_STATE = "trainer_state.json"  # the last that the trainer writes of a checkpoint


class Folder(RunFolder):
    """The folder of one run. ``config`` decides what is trained: a folder that holds anything else is refused."""

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        super().__init__(
            path,
            config,
            kind="tuning run",
            record=TUNE,
            work=f"{CHECKPOINTS}/checkpoint-*/{FILE}",
            made=MADE,
            kept=(RESULT,),
        )
        self.result = self.progress / RESULT

    def _begun(self) -> bool:
        # A process that was killed while it moved its result here has trained to the end.
        return self.result.is_dir() or super()._begun()

    def clear(self) -> None:
        """Remove what another config evaluated, and checkpoints that it began to write: its steps are not these."""
        for name in MADE:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def leave(self) -> None:
        """Give the folder up, where there is nothing in it yet."""
        self.close()
        with suppress(OSError):  # there is something in it, or it was not made yet
            (self.path / CHECKPOINTS).rmdir()
        if not self._begun() and [*self.path.iterdir()] == [self.progress]:
            self.tidy()
            with suppress(OSError):  # somebody else's in progress
                self.path.rmdir()

    def last_checkpoint(self) -> Path | None:
        """The last checkpoint that is whole; what a process left that was killed while it wrote one does not count."""
        whole = [
            mark.parent
            for mark in (self.path / CHECKPOINTS).glob(f"checkpoint-*/{FILE}")
            if mark.stat().st_size and (mark.parent / _STATE).is_file()
        ]
        return max(whole, key=_step, default=None)

    def drop_parts(self) -> None:
        """Remove checkpoints that are not whole."""
        last = self.last_checkpoint()
        for folder in (self.path / CHECKPOINTS).glob("checkpoint-*"):
            if last is None or _step(folder) > _step(last):
                shutil.rmtree(folder)

    def seal_run(
        self,
        history: Sequence[Mapping[str, Any]],
        evaluations: Sequence[Mapping[str, Any]],
        left_out: Sequence[str],
        processes: int,
        distributed: str,
    ) -> None:
        """Put the result in its place, mark the run finished, and drop the checkpoints.

        ``history``: what the trainer logged, one entry a step. ``evaluations``: as :class:`Evaluation` gives them.
        ``distributed``: how accelerate spread the work, e.g. NO, MULTI_GPU, FSDP.
        """
        for path in self.result.iterdir():
            path.replace(self.path / path.name)
        self.seal(
            {
                "command": command(),
                "processes": processes,
                "distributed": distributed,
                "left_out": list(left_out),
                "versions": {
                    "bapa": bapa.__version__,
                    **{name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")},
                },
                "loss": [{name: entry[name] for name in CURVE if name in entry} for entry in history],
                "evaluations": list(evaluations),
            }
        )
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    @contextmanager
    def on_disk(self) -> Iterator[None]:
        """Whatever says that the disk is full, as a RunError of one line."""
        try:
            with writing(self.path):
                yield
        except RunError:
            raise
        except Exception as error:
            if not disk_is_full(error):
                raise
            free = shutil.disk_usage(self.path).free
            raise RunError(
                f"cannot write {self.path} ({free / 2**20:.0f} MiB are free): {' '.join(str(error).split())}; nothing "
                "finished is lost, make room and run the same command again"
            ) from error


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
