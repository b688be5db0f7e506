"""Trains a reference model: four stages, each finished one kept, and a model folder at the end."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GenerationConfig, LlavaProcessor

from bapa.attach import record
from bapa.errors import RunError
from bapa.progress import progress
from bapa.schemes import parse
from studies.reference import build, places, pointing, several, stages
from studies.reference.card import card
from studies.reference.places import Places
from studies.reference.recipe import BEHIND, SEVERAL, Recipe
from studies.reference.scenes import Asker, Bank

_RECIPE = "recipe.json"
_STANDARD = {"encoder_skew": "uniform", "tasks": "match", "places": asdict(Recipe().places)}  # older records lack them


def train(recipe: Recipe, out: Path, work: Path | None = None) -> Path:
    """Train `recipe` into the model folder `out` and return it.

    Finished stages are kept in `work` (default: `out` with `.stages` behind its name), so the same call resumes; models
    that differ in their skew only and are given one `work` share the first three. A finished `out` of the same recipe
    is left as it is.

    Raises:
        RunError: `out` holds something else.
    """
    if _finished(recipe, out):
        return out
    work = work or out.with_name(f"{out.name}.stages")
    work.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)
    torch.manual_seed(recipe.seed)
    begun = pointing.begun if recipe.tasks == "point" else several.begun
    model: Any = begun(recipe) if recipe.tasks in BEHIND else build.model()
    processor = build.processor(recipe.tasks)
    codes = stages.Codes(model.config.text_config.hidden_size)
    matching, bank = Asker(processor), Bank(recipe.copies, recipe.seed)
    asker = {"places": Places, "which": several.Which, "point": pointing.Points}.get(recipe.tasks, Asker)(processor)
    both = nn.ModuleDict({"model": model, "codes": codes})
    plan: dict[str, tuple[int, Callable[[stages.Report], None]]] = {
        "encoder": (recipe.encoder.steps, lambda report: stages.encoder(model, recipe, bank, report)),
        "language": (recipe.language.steps, lambda report: stages.language(model, codes, recipe, matching, report)),
        "connector": (recipe.connector.steps, lambda report: stages.connector(model, codes, recipe, bank, report)),
    }
    if isinstance(asker, Places):
        plan["places"] = (recipe.places.steps, functools.partial(places.teach, model, codes, recipe, asker))
    if recipe.tasks in BEHIND:  # the shipped model has all other stages behind it
        plan = {}
    visual: Any = several.visual if recipe.tasks in SEVERAL else stages.visual
    if isinstance(asker, pointing.Points):
        visual = pointing.visual
    plan["visual"] = (recipe.visual.steps, functools.partial(visual, model, recipe, bank, asker))
    for name, (steps, run) in plan.items():
        if name == "places":
            build.learn_words(model, recipe.tasks, recipe.seed)
        kept = work / f"{name}-{recipe.key(name)}.safetensors"
        if kept.exists():
            both.load_state_dict(load_file(kept))
            typer.echo(f"{name}: kept", err=True)
            continue
        _shown(name, steps, run)
        with whole(kept) as partial:
            save_file(both.state_dict(), partial)
    with whole(out) as folder:
        _write(model, processor, recipe, folder)
    return out


def _shown(name: str, steps: int, run: Callable[[stages.Report], None]) -> None:
    """Run a stage, show how far it is, and say the loss that it ends with."""
    note = ""
    with progress(name, steps) as advance:

        def report(_: int, told: str) -> None:
            nonlocal note
            note = told
            advance()

        run(report)
    typer.echo(f"{name}: {note}", err=True)


def _finished(recipe: Recipe, out: Path) -> bool:
    """Whether `out` already holds this recipe's model."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    record = out / _RECIPE
    if not record.is_file() or {**_STANDARD, **json.loads(record.read_text())} != asdict(recipe):
        raise RunError(f"{out} holds something else than this recipe's model; choose another --out or empty it")
    return True


def _write(model: several.Model, processor: LlavaProcessor, recipe: Recipe, folder: Path) -> None:
    """A model folder: weights in float16, loaded as float32; processor, card and recipe."""
    if recipe.scheme != "native":
        record.write(model.config, parse(recipe.scheme))  # loaded with bapa, it runs under the rule it learned
    model.generation_config = GenerationConfig.from_model_config(model.config)
    model.save_pretrained(folder, state_dict={key: value.half() for key, value in model.state_dict().items()})
    processor.save_pretrained(folder)
    (folder / "README.md").write_text(card(recipe))
    (folder / _RECIPE).write_text(json.dumps(asdict(recipe), indent=2) + "\n")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write a file or folder to, which becomes `path` whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    if partial.is_dir():  # left by a killed run
        shutil.rmtree(partial)
    yield partial
    for file in [partial] if partial.is_file() else partial.iterdir():
        file.chmod(0o644)  # safetensors makes its files private
        with file.open("rb") as written:
            os.fsync(written.fileno())
    partial.replace(path)
