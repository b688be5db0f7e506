"""Judging a trained model: the package's own verbs on its folder; answers and what they found come back small.

``judge`` builds the folder, lets ``bapa calibrate`` pick a rule on a probe of its own, asks the 200 items under every
rule, and lets ``bapa origin`` say where what remains comes from.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bapa.calibrate import calibrate
from bapa.checkpoints import Loaded, load
from bapa.measure import measure
from bapa.origin import Options, explain
from bapa.probe import Design, Probe, build
from bapa.stats import Settings
from studies.pretrained.arms import ARMS
from studies.pretrained.learner import folder
from studies.pretrained.parts import CELL_PX, HELD_OUT, package_folder
from studies.pretrained.scenes import PROMPT

ITEMS, PICKING, ORIGIN_ITEMS = 200, 48, 60
RULES = ("native", "bapa", "bapa:distance=native", "anchored")
EXPLAINED = ("A", "E")
EXPLAINING = ("native", "bapa", "bapa:distance=native", "reverse")


def probes(parts: Path, work: Path) -> tuple[Probe, Probe]:
    """The probe that judges and the one that rules are picked on: the held-out hand, full grids."""
    source = str(package_folder(parts, HELD_OUT))
    plan = {"cell": CELL_PX, "near_miss": False, "prompts": (PROMPT,)}
    test = build(source, work / "probe", Design(items=ITEMS, seed=1, **plan))
    return test, build(source, work / "probe-pick", Design(items=PICKING, seed=2, **plan))


def judge(parts: Path, work: Path, name: str, device: str, batch: int) -> None:
    """Everything about one model, e.g. ``A-1``, in the folder of its name in ``work``; what is there is not redone."""
    out = work / name
    arm, seed = name.split("-")
    test, pick = probes(parts, work)
    home = out / "model"
    if not home.is_dir():
        folder(parts / "base", work / "learned" / f"{name}.safetensors", (arm, int(seed)), home)
    model = load(str(home), device=device, dtype=torch.float32)
    if ARMS[arm].shuffled:
        shuffle(model.model)
    _ask(model, test, RULES, out, "test", batch)
    _ask(model, pick, RULES, out, "pick", batch)
    if arm in EXPLAINED:
        options = Options(items=ORIGIN_ITEMS, rules=EXPLAINING, parts=(), batch_size=batch)
        found = explain(model, test, out / "origin-run", options).found
        (out / "origin.json").write_text(json.dumps(found, default=str) + "\n")
    chosen = calibrate(model, pick, out / "calibrated", items=32, held_out=PICKING - 32, batch_size=batch).chosen
    _ask(model, test, (chosen,), out, "test-calibrated", batch)
    _ask(model, pick, (chosen,), out, "pick-calibrated", batch)
    if ARMS[arm].shuffled:  # as it was trained is above; in the order of the picture, for comparison
        plain = load(str(home), device=device, dtype=torch.float32)
        _ask(plain, test, ("native",), out, "ordered", batch)


def _ask(model: Loaded, probe: Probe, rules: Sequence[str], out: Path, label: str, batch: int) -> None:
    """The answers under some rules, as ``LABEL.parquet``; the page takes its figures from these."""
    run = measure(model, probe, rules, out / label, batch_size=batch, statistics=Settings(resamples=100))
    shutil.copy(run.path / "answers.parquet", out / f"{label}.parquet")


def shuffle(model: Any) -> None:
    """Put the image tokens of every picture in an order drawn from the picture itself, as arm D was trained."""
    inner = model.model
    encode = inner.get_image_features

    def shuffled(pixel_values: Tensor, **options: Any) -> Any:
        seen = encode(pixel_values=pixel_values, **options)
        features = seen.pooler_output
        for row, picture in enumerate(pixel_values):
            digest = hashlib.sha256(picture.float().cpu().numpy().tobytes()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
            order = torch.randperm(features.shape[1], generator=generator).to(features.device)
            features[row] = features[row][order].clone()
        return seen

    inner.get_image_features = shuffled
