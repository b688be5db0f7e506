"""``bapa fit``: fits a rule to a model on grids of words, then on pictures where there are some, judges it on others,
and writes a folder that records it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bapa
from bapa.calibrate import folder
from bapa.calibrate.space import BLEND
from bapa.calibrate.words import guards as side_effects
from bapa.calibrate.words import pictures
from bapa.calibrate.words.judge import judged
from bapa.calibrate.words.learn import MORE, STEPS, check, fitted, fitted_before
from bapa.calibrate.words.reader import reader
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.files import RunFolder, command, read_json, write_json
from bapa.inference.backend import check_outside
from bapa.probe import Probe
from bapa.schemes import parse
from bapa.stats import Settings

VERSION, RECORD = 2, "fit/fit.json"  # 1 knew no pictures
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
    probe: Probe | None = None,
    guards: Sequence[Probe] = (),
    steps: int = STEPS,
    picture_steps: int = MORE,
    grids: int = 48,
    seed: int = 0,
    level: float = 0.95,
) -> Fit:
    """Fit how much of a shared position (``bapa``) each attention head of ``model`` takes, rotary pair by rotary pair,
    on grids of words in the place of image tokens, and make ``out`` the model under that rule.

    With a ``probe`` it goes on with that probe's pictures of half of the names, and is judged on the others. A model
    that stands under a fitted rule begins with that one, and with a probe leaves the words out. Repeated after an
    interruption it goes on from the last tenth step, or the last judged rule; repeated after the end it returns what is
    there.

    Args:
        model: from :func:`bapa.checkpoints.load`; its image tokens must form one grid.
        out: folder of the fitted model: weights linked, ``config.bapa`` the rule; ``out/fit/fit.json`` is what was
            measured.
        probe: of 3 x 3 cells, with sixty or more captions that name one thing in one token, such as ``a cat``. What it
            asks does not matter: its pictures are laid out anew.
        guards: probes of what the model must still be able to tell, e.g. of task ``where``; they need ``probe``. In the
            fit on pictures, right answers to the first half of their items stand in the place of neighbours; the other
            half judges.
        steps: of the fit on words.
        picture_steps: of the fit on pictures.
        grids: other grids that judge the rule beside native positions, ``bapa`` and the blend.
        seed: of the grids.
        level: of the intervals.

    Raises:
        ConfigError: an option out of range, a model that is an adapter, a probe of other things, or guards that have
            too few items or nothing to tell.
        UnsupportedModelError, ModelError: a model that cannot be shown words.
        SchemeError: layers that do not hold their heads alike, or attention that cannot mix scores.
        RunError: ``out`` holds something else, or another process writes to it.
    """
    if hasattr(model.model, "peft_config"):
        raise ConfigError(
            f"{model.name} is an adapter, and a fitted folder is a whole model; merge it first: "
            f"bapa export {shlex.quote(model.name)} --out MERGED, then bapa fit MERGED"
        )
    if min(steps, picture_steps) < 1 or grids < 6:
        raise ConfigError(
            f"steps = {steps}, picture_steps = {picture_steps}, grids = {grids}: 1 step and 6 grids, or more, are "
            "accepted"
        )
    if guards and probe is None:
        raise ConfigError(
            "side-effect probes are guarded in the fit on pictures, and no pictures are named; add --probe PROBE, "
            "whose captions name single things"
        )
    side_effects.check(model, guards)
    begun = fitted_before(model.model)
    asked: dict[str, Any] = {"steps": steps, "grids": grids, "seed": seed, "level": level, "begun": begun}
    if probe is not None:
        for one in (probe, *guards):
            check_outside(Path(out), one)
        asked |= {"probe": probe.fingerprint, "picture_steps": picture_steps}
        asked |= {"guards": [one.fingerprint for one in guards]} if guards else {}
    words, seen = reader(model), None if probe is None else pictures.readers(model, probe)
    check(words)
    config = {"model": model.identity, "fit": asked}
    with RunFolder(Path(out), config, kind="fit", record=RECORD, work="shares-*[ns]") as here:
        found = here.open()
        if found is None:
            home = here.record.parent
            fits = {} if begun is None else {"before": begun}
            if begun is None or seen is None:
                learn = partial(fitted, words, seed=seed, steps=steps, start=begun)
                fits["words"] = begun = _kept(home, "words", learn)
            if seen is not None:
                guard = side_effects.Guards.of(model, guards, home) if guards else None
                how: dict[str, Any] = {"seed": seed, "steps": picture_steps, "pictures": seen[1], "guard": guard}
                learn = partial(fitted, seen[0], start=begun, **how)
                fits["pictures"] = begun = _kept(home, "pictures", learn)
            rules = [*BESIDE, *fits.values()]
            told = {"names": len(words.names), "rules": judged(words, rules, grids, seed, level, home)}
            if seen is not None and probe is not None:
                others = seen[1].others()
                its = judged(others, rules, grids, seed, level, home, "pictures")
                told["pictures"] = {"probe": str(probe.path), "names": len(others.names), "rules": its}
                if guards:
                    settings = Settings(level=level, seed=seed)
                    told["guards"] = side_effects.judged(model, guards, rules, home, settings)
            folder.write(model, parse(begun), Path(out))
            head = {"version": VERSION, "command": command(), "bapa": bapa.__version__, "rule": begun, "fits": fits}
            here.seal({**head, **told})
            found = read_json(here.record, "rule")
    return Fit(Path(out), found)


def _kept(home: Path, seen: str, learn: Callable[..., str]) -> str:
    """The rule fitted on what was ``seen``; fitted, and kept in ``home``, where it is not there."""
    rule = home / f"shares-{seen}.json"
    if not rule.is_file():
        write_json(rule, {"rule": learn(kept=home / f"shares-{seen}.safetensors")})
    return str(read_json(rule, "rule")["rule"])
