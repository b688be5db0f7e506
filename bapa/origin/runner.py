"""From a model and a probe to ``origin.json``.

``RUN/origin.json``           everything found, with the verdict
``RUN/origin/answers/``       the answers under every condition: resumable, as a run of :mod:`bapa.measure`
``RUN/origin/text-first/``    the same with question and image in the other order
``RUN/origin/encoder.json``   and ``occlusion.json``, ``flow.json``: the other parts, kept as they are finished

Tables and figures beside these are drawn by :func:`bapa.report.origin.write`.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import bapa
from bapa.attach import balanced
from bapa.checkpoints import Loaded
from bapa.errors import ModelError, RunError
from bapa.files import RunFolder, command, read_json, write_json, writing
from bapa.inference.backend import check_outside
from bapa.inference.hf import ModelBackend
from bapa.origin import attribution, encoder, flow, occlusion, verdict
from bapa.origin.attribution import Answers
from bapa.origin.options import FILE, FOLDER, PARTS, VERSION, Options, check_slots
from bapa.origin.study import Study
from bapa.probe import Probe
from bapa.probe.slots import Slots
from bapa.progress import progress
from bapa.stats.bias import Settings
from bapa.stats.clusters import Clusters

QUANTITIES = ("hit", "margin")
TURNS = (1, 2)  # ways to call the three factors by each other's names
CONTROLS = 20  # shuffles of the cells that must find nothing


@dataclass(frozen=True)
class Example:
    """One picture, and how the answer attends to it.

    ``cell``: where the target of the probe's first item stands. ``attention``: by scheme, that of each image token,
    mean over heads and layers. ``places``: where each looks, (tokens, 2), fractions of height and width; None for one
    that shows no part of the picture.
    """

    cell: int
    attention: dict[str, list[float]]
    places: list[list[float] | None]


@dataclass(frozen=True)
class Origin:
    """What was found. ``found``: what ``origin.json`` holds; ``example``: None where attention was not read."""

    path: Path
    found: dict[str, Any]
    example: Example | None = None

    @property
    def verdict(self) -> dict[str, Any]:
        """``cause``, ``detail`` and ``sentence``."""
        return dict(self.found["verdict"])


def load_origin(path: str | Path) -> Origin:
    """What :func:`explain` wrote into a run folder.

    Raises RunError where it has not.
    """
    path = Path(path)
    if not (path / FILE).is_file():
        raise RunError(f"no {FILE} in {path}; make it: bapa origin MODEL --probe PROBE --out {path}")
    flow_file = path / FOLDER / "flow.json"
    example = read_json(flow_file).get("example") if flow_file.is_file() else None
    return Origin(
        path, read_json(path / FILE, "verdict", "model", "probe", "options"), Example(**example) if example else None
    )


def explain(model: Loaded, probe: Probe, out: str | Path, options: Options | None = None) -> Origin:
    """Ask ``model`` about ``probe`` under every intervention and say where its spatial bias comes from.

    Repeated after an interruption, it goes on where it was. ``out`` may hold a run of ``bapa measure`` already.

    Raises:
        ConfigError: an option out of range, or a probe whose questions are not yes/no or multiple choice.
        ModelError, UnsupportedModelError: a model that cannot be moved around in.
        RunError: ``out`` holds the answers of something else, or answers failed.
    """
    options = options or Options()
    check_slots(probe)
    check_outside(Path(out), probe)
    study = Study(model, probe, Path(out), options)
    side = options.mask or max(1, probe.cell_px // 3)
    masks = occlusion.Masks(side, options.stride or side, options.fill).checked(*study.size)
    with _alone(study.out):
        answers = Answers.read(study.ask(), probe.cells, study.wanted, options.draws, options.statistics.cluster)
        found = {
            "version": VERSION,
            "level": options.statistics.level,
            "command": command(),
            "model": model.identity,
            "run": ModelBackend(model).numerics,
            "probe": {
                "fingerprint": probe.fingerprint,
                "rows": probe.rows,
                "cols": probe.cols,
                **probe.slots.record,
                "items": study.items,
                "source": probe.source["name"],
                "path": str(probe.path),
            },
            "versions": {"bapa": bapa.__version__, "python": platform.python_version(), "torch": version("torch")},
            "options": asdict(options),
            "clusters": {"by": answers.over.by, "number": answers.over.count},
            **_causes(answers, options.statistics, probe.slots),
            "text_first": study.text_first(),
            **_parts(study, masks, answers.over),
            "not_done": study.left_out,
        }
        with writing(study.out):
            write_json(study.out / FILE, found)
    return load_origin(study.out)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other processes from explaining into the same folder."""
    folder = RunFolder(out, {}, kind="origin", record=f"{FOLDER}/lock", work="")
    with writing(out), folder:
        folder.lock()
        try:
            yield
        finally:
            folder.tidy()


def _parts(study: Study, masks: occlusion.Masks, over: Clusters) -> dict[str, Any]:
    """Encoder, occlusion and information flow; those that the model does not allow are None and in ``left_out``."""
    options, probe = study.options, study.probe
    some = probe.items[: min(options.closely, study.items)]
    work: dict[str, Callable[[Callable[[], None]], Any]] = {
        "encoder": lambda step: encoder.study(
            study.anatomy,
            study.forward,
            probe,
            probe.items[: study.items],
            study.cells,
            over.of,
            options.statistics,
            step,
        ),
        "occlusion": lambda step: occlusion.study(study.forward, probe, some, masks, step),
        "flow": lambda step: _flow(study, some, step),
    }
    steps = {"encoder": study.items, "occlusion": len(some), "flow": len(some) * len(options.flow_schemes)}
    how = {
        "encoder": {**vars(options.statistics), "by": over.by},
        "occlusion": vars(masks),
        "flow": list(options.flow_schemes),
    }
    found: dict[str, Any] = dict.fromkeys(PARTS)
    for name in options.parts:
        if name != "encoder" and probe.design.task == "name":
            study.left_out[name] = "it follows the answers to questions, and this probe asks for names"
            continue
        asked = {
            "model": study.model.fingerprint,
            "probe": probe.fingerprint,
            "items": len(some) if name != "encoder" else study.items,
            "how": how[name],
        }
        kept = study.out / FOLDER / f"{name}.json"
        if kept.is_file() and (before := read_json(kept, "asked", "found"))["asked"] == asked:
            found[name] = before["found"]
            continue
        try:
            # The folder of the model may record a rule; what needs others takes them itself.
            with balanced(study.model.model, "native"), progress(name, steps[name]) as step:
                found[name] = work[name](step)
        except ModelError as error:
            study.left_out[name] = str(error)
            continue
        kept_too = {"example": _example(study, found[name])} if name == "flow" else {}
        with writing(kept):
            write_json(kept, {"asked": asked, "found": found[name], **kept_too})
    return found


def _flow(study: Study, items: Any, step: Callable[[], None]) -> dict[str, Any]:
    if study.places is None:
        raise ModelError(study.cells.reason or "which token shows what is not known")
    return flow.study(study.forward, study.probe, items, study.cells, study.options.flow_schemes, step)


def _example(study: Study, told: Mapping[str, Any]) -> dict[str, Any]:
    """The attention to the first item's last canvas, taken out of what ``told`` says by scheme."""
    cell = study.probe.cells - 1
    places = [] if study.places is None else study.places.double().tolist()
    return asdict(
        Example(
            cell,
            {scheme: one.pop("example")[cell] for scheme, one in told["schemes"].items()},
            [place if math.isfinite(place[0]) else None for place in places],
        )
    )


def _causes(answers: Answers, settings: Settings, slots: Slots) -> dict[str, Any]:
    """The attribution, its control, and the verdict in the words of ``slots``."""
    spread = {quantity: answers.differ(quantity, settings.seed) for quantity in QUANTITIES}
    shares = {quantity: attribution.shares(answers, quantity, "features", settings) for quantity in QUANTITIES}
    patched = {quantity: attribution.shares(answers, quantity, "patch", settings) for quantity in QUANTITIES}
    whole = np.isfinite(answers.trials["native"].signal).all((1, 2))
    seen = (len(np.unique(answers.over.of[whole])), answers.over.by)
    hits = verdict.decide(shares["hit"], spread["hit"], settings.level, *seen)
    about = verdict.quantity(hits, spread["margin"], attribution.materiality(answers), settings.level)
    penalty = attribution.penalties(answers, settings)
    agreed = verdict.agree(
        verdict.decide(shares[about], spread[about], settings.level, *seen),
        verdict.decide(patched[about], spread[about], settings.level, *seen),
        about,
    )
    control = _control(answers, settings, about)
    told = verdict.followed(verdict.tolerated(agreed, penalty), control)
    told = verdict.answered(told, _mass(answers))
    return {
        "verdict": {**told, "sentence": slots.say(told["sentence"])},
        "penalty": penalty,
        "spread": spread,
        "map": {quantity: np.nanmean(answers.response(quantity, "native"), 0).tolist() for quantity in QUANTITIES},
        "attribution": shares,
        "attribution_by_patching": patched,
        "rules": {quantity: attribution.left_by_rules(answers, quantity, settings) for quantity in QUANTITIES},
        "control": control,
    }


def _mass(answers: Answers) -> float | None:
    """The mean probability of the answers to choose from, natively; None where it is not known, as of names."""
    found = answers.trials["native"].mass
    return float(np.nanmean(found)) if np.isfinite(found).any() else None


def _control(answers: Answers, settings: Settings, quantity: str) -> dict[str, Any]:
    """Two controls. With the cells of every cluster shuffled, nothing may be found. With the factors called by each
    other's names, which keeps the spread, each share must go with its name.
    """
    rng = np.random.default_rng(settings.seed)
    quick = Settings(min(settings.resamples, 200), settings.level, settings.seed)
    causes = []
    for _ in range(CONTROLS):
        mixed = answers.shuffled(rng)
        spread = mixed.differ(quantity, settings.seed)
        shares = attribution.shares(mixed, quantity, "features", quick)
        causes.append(verdict.decide(shares, spread, settings.level)["cause"])
    attributed = sum(cause not in ("none", "unknown") for cause in causes)
    told = attribution.shares(answers, quantity, "features", quick)
    turned = [attribution.shares(answers.relabelled(turns), quantity, "features", quick) for turns in TURNS]
    follow = sum(attribution.follows(told, found, turns) for turns, found in zip(TURNS, turned, strict=True))
    return {
        **{"shuffles": CONTROLS, "attributed": attributed, "causes": causes},
        **{"relabelled": len(TURNS), "followed": follow},
    }
