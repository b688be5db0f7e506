"""What happens beside the training steps: measuring on a probe, marking checkpoints, showing how far it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainerCallback

from bapa.attach import balanced
from bapa.checkpoints import Loaded, weights
from bapa.checkpoints.adapter import Base, mark
from bapa.errors import RunError
from bapa.files import sync_files
from bapa.inference.backend import check_choices, item_count
from bapa.measure import Run, load_run, measure
from bapa.probe import Probe
from bapa.progress import progress
from bapa.schemes import Scheme

QUANTITIES = ("hit", "range", "consistency", "false_alarm", "balanced_accuracy", "auc")


def check(model: Loaded, probe: Probe, schemes: Sequence[str], items: int | None) -> None:
    """An error now rather than when the first measurement begins.

    Raises:
        ConfigError: more items than the probe has, or it asks for free answers.
        SchemeError, UnsupportedModelError: a scheme that does not go with the model.
    """
    item_count(probe, items)
    check_choices(model.processor, probe, "leave out --probe, and run bapa measure --generate afterwards")
    for label in schemes:
        with balanced(model.model, label):
            pass


class Evaluation(TrainerCallback):
    """Measures ``model`` on ``probe`` under ``schemes`` before training, every ``every`` steps and after the last.

    Each measurement is a run of its own in ``folder``. It changes neither the weights nor the random numbers that
    training draws.
    """

    def __init__(
        self, model: Loaded, probe: Probe, schemes: Sequence[str], folder: Path, every: int, items: int | None
    ) -> None:
        self.model = model
        self.probe = probe
        self.schemes = schemes
        self.folder = folder
        self.every = every
        self.items = items

    def results(self, last: int) -> list[dict[str, Any]]:
        """The overall figures and the hits by cell of the measurements of a training of ``last`` steps, in their order.
        What a process measured that was killed in a longer one, of fewer processes, is none of it.
        """
        due = {step: self.folder / f"step-{step}" for step in range(last + 1) if self._due(step, last)}
        return [_summary(step, load_run(path)) for step, path in due.items() if path.is_dir()]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._due(state.global_step, state.max_steps):
            self._measure(state.global_step)

    def _due(self, step: int, last: int) -> bool:
        return step in (0, last) or bool(self.every and step % self.every == 0)

    def _measure(self, step: int) -> None:
        model = self.model.model
        training = {module: module.training for module in model.modules()}
        model.eval()
        with torch.random.fork_rng():
            name = f"{self.model.name} after {step} steps"
            now = replace(self.model, model=model, name=name, fingerprint=weights.of_model(model))
            out = self.folder / f"step-{step}"
            ask = partial(measure, now, self.probe, self.schemes, out, items=self.items, audit=0)
            try:
                ask()
            except RunError:
                # Of a process that was killed behind its last checkpoint: what is trained again may come out otherwise.
                if PartialState().is_main_process:
                    shutil.rmtree(out, ignore_errors=True)
                PartialState().wait_for_everyone()
                ask()
        for module, mode in training.items():
            module.training = mode


def _summary(step: int, run: Run) -> dict[str, Any]:
    schemes = {
        label: {
            "overall": {name: found["overall"][name] for name in QUANTITIES},
            "hits": [cell["hit"]["value"] for cell in found["cells"]],
        }
        for label, found in run.bias["schemes"].items()
    }
    return {"step": step, "items": run.bias["probe"]["items"], "schemes": schemes}


class Marker(TrainerCallback):
    """Writes the scheme into every checkpoint, so that none can be loaded under another unnoticed. It is the last that
    is written of one, when the rest is on the disk: a checkpoint without it is not whole.
    """

    def __init__(self, scheme: Scheme, base: Base) -> None:
        self.scheme = scheme
        self.base = base

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            sync_files(checkpoint)
            mark(checkpoint, self.scheme, self.base)


class Bar(ExitStack, TrainerCallback):
    """Steps done, loss and time left, in a terminal or a log file. A context, at whose end it leaves the terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        shown = progress("tuning", state.max_steps, state.global_step, shown=state.is_world_process_zero)
        self.step = self.enter_context(shown)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self.loss = f"loss {logs['loss']:.3f}"

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step(self.loss)
