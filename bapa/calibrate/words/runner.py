"""``bapa fit``: fits a rule to a model on grids of words, judges it on others, and writes a folder that records it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bapa
from bapa.calibrate import folder
from bapa.calibrate.space import BLEND
from bapa.calibrate.words.judge import judged
from bapa.calibrate.words.learn import STEPS, fitted
from bapa.calibrate.words.reader import reader
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.files import RunFolder, command, read_json, write_json
from bapa.schemes import parse

VERSION, RECORD = 1, "fit/fit.json"
BESIDE = ("native", "bapa", BLEND)  # what the fitted rule is judged beside


@dataclass(frozen=True)
class Fit:
    """A finished fit. ``path``: of the model folder; ``found``: what ``fit/fit.json`` holds."""

    path: Path
    found: dict[str, Any]

    @property
    def rule(self) -> str:
        """The label of the fitted rule."""
        return str(self.found["rule"])


def fit(
    model: Loaded,
    out: str | Path,
    *,
    steps: int = STEPS,
    grids: int = 48,
    seed: int = 0,
    level: float = 0.95,
) -> Fit:
    """Fit how much of a shared position (``bapa``) each attention head of ``model`` takes, rotary pair by rotary pair,
    on grids of words in the place of image tokens, and make ``out`` the model under that rule.

    Repeated after an interruption it goes on from the last tenth step, or the last judged rule; repeated after the end
    it returns what is there.

    Args:
        model: from :func:`bapa.checkpoints.load`; its image tokens must form one grid.
        out: folder of the fitted model: weights linked, ``config.bapa`` the rule; ``out/fit/fit.json`` is what was
            measured.
        steps: of the fit.
        grids: other grids, of all names, that judge the rule beside native positions, ``bapa`` and the blend.
        seed: of the grids.
        level: of the intervals.

    Raises:
        ConfigError: an option out of range, or a model that is an adapter.
        UnsupportedModelError, ModelError: a model that cannot be shown words.
        SchemeError: layers that do not hold their heads alike, or attention that cannot mix scores.
        RunError: ``out`` holds something else, or another process writes to it.
    """
    if hasattr(model.model, "peft_config"):
        raise ConfigError(
            f"{model.name} is an adapter, and a fitted folder is a whole model; merge it first: "
            f"bapa export {shlex.quote(model.name)} --out MERGED, then bapa fit MERGED"
        )
    if steps < 1 or grids < 6:
        raise ConfigError(f"steps = {steps}, grids = {grids}: 1 step and 6 grids, or more, are accepted")
    config = {"model": model.identity, "fit": {"steps": steps, "grids": grids, "seed": seed, "level": level}}
    with RunFolder(Path(out), config, kind="fit", record=RECORD, work="shares*") as here:
        found = here.open()
        if found is None:
            words = reader(model)
            home = here.record.parent
            rule = home / "shares.json"
            if not rule.is_file():
                label = fitted(words, seed=seed, steps=steps, kept=home / "shares.safetensors")
                write_json(rule, {"rule": label})
            label = str(read_json(rule)["rule"])
            told = judged(words, [*BESIDE, label], grids, seed, level, home)
            folder.write(model.name, parse(label), Path(out))
            found = {"version": VERSION, "command": command(), "bapa": bapa.__version__, "rule": label}
            here.seal({**found, "names": len(words.names), "rules": told})
            found = read_json(here.record)
    return Fit(Path(out), found)
