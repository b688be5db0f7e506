"""The shared position in one part of a model at a time: what it does to evenness, rows and order."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bapa.checkpoints import Loaded
from bapa.families.anatomy import find
from studies.where.asking import asked, margins, of_rule, probes
from studies.where.rules import KNOWING, TASKS, one_at_a_time

ITEMS, SEED = 24, 611


def maps(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """The shared position in one place at a time. Rows and order are asked of models alone that know rows natively: of
    the others, what is kept means nothing.
    """
    layers, waves, length, heads = sizes(model)
    parts = {"native": "native", **one_at_a_time(layers, len(waves), heads)}
    about = probes(work, ITEMS, SEED)
    native = asked(model, {"where": about["where"]}, ["native"], folder / "knowing")["where"]
    if native.bias["schemes"]["native"]["overall"]["hit"]["value"] < KNOWING:
        about = {task: probe for task, probe in about.items() if task not in TASKS}
    runs = asked(model, about, list(dict.fromkeys(parts.values())), folder / "parts")
    match = dict(iter(runs["match"].answers().groupby("scheme")))
    cells = {rule: len(its["cells"]) for rule, its in runs["match"].bias["schemes"].items()}
    told = {
        part: {**asdict(of_rule(rule, runs)), "margins": margins(match[rule], cells[rule])}
        for part, rule in parts.items()
    }
    return {"parts": told, "waves": [float(wave / length) for wave in waves]}


def sizes(model: Loaded) -> tuple[int, Any, int, int]:
    """Layers, wavelengths of the rotary pairs in positions, tokens of an image, key-value heads."""
    config: Any = model.model.config
    anatomy = find(model.model)
    rotary: Any = anatomy.rotaries[0]
    waves = 2 * np.pi / rotary.inv_freq.double().cpu().numpy()
    return len(anatomy.layers), waves, int(config.image_seq_length), config.get_text_config().num_key_value_heads
