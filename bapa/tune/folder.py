"""The folder of a tuning run.

``progress.json``  what is being trained, while it goes on
``checkpoints/``   the trainer's own, for going on after an interruption
``evaluations/``   a run of ``bapa measure`` for every evaluation: step-0, ...
``tune.json``      settings, loss curve, evaluations; written last: it marks the run finished
``tuning.html``    the same to look at, where :func:`bapa.report.tuning.write` was called
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bapa
from bapa.errors import RunError
from bapa.files import read_json, write_json

CHECKPOINTS, EVALUATIONS, PROGRESS, TUNE = "checkpoints", "evaluations", "progress.json", "tune.json"
CURVE = ("step", "epoch", "loss", "learning_rate", "grad_norm", "mean_token_accuracy")


class Folder:
    """The folder of one run. ``config`` decides what is trained: a folder that holds anything else is refused."""

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path = path
        self.config = json.loads(json.dumps(config))  # as it reads back

    def open(self) -> bool:
        """Take the folder for this run; True if the run is finished already.

        Raises RunError where the folder holds something else.
        """
        for name in (TUNE, PROGRESS):
            if (self.path / name).is_file():
                self._compare(read_json(self.path / name)["config"])
                return name == TUNE
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no tuning run; name a new folder: --out FOLDER")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / PROGRESS, {"config": self.config})
        return False

    def leave(self) -> None:
        """Give the folder up, where nothing was trained yet."""
        if not any((self.path / CHECKPOINTS).glob("*")):
            shutil.rmtree(self.path)

    def seal(
        self,
        history: Sequence[Mapping[str, Any]],
        evaluations: Sequence[Mapping[str, Any]],
        left_out: Sequence[str],
        processes: int,
        distributed: str,
    ) -> None:
        """Drop the checkpoints and mark the run finished.

        ``history``: what the trainer logged, one entry a step. ``evaluations``: as :class:`Evaluation` gives them.
        ``distributed``: how accelerate spread the work, e.g. NO, MULTI_GPU, FSDP.
        """
        command = ["bapa", *sys.argv[1:]] if Path(sys.argv[0]).name in ("bapa", "__main__.py") else sys.argv
        record = {
            "version": 1,
            "config": self.config,
            "command": shlex.join(command),
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
        write_json(self.path / TUNE, record)
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)
        (self.path / PROGRESS).unlink()

    def _compare(self, there: Any) -> None:
        changed = [name for name in {**there, **self.config} if there.get(name) != self.config.get(name)]
        if changed:
            was, now = there.get(changed[0]), self.config.get(changed[0])
            raise RunError(
                f"{self.path} holds another run ({changed[0]}: {was} there, {now} now); name a new folder: --out FOLDER"
            )
