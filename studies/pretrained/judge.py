"""Judging a trained model: the package's own verbs on its folder; answers and what they found come back small.

``judge`` builds the folder, asks whether things are there and where they are under every rule, lets ``bapa origin`` say
where what remains comes from, and lets ``bapa calibrate`` look for a rule that evens and still tells places.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bapa.calibrate import calibrate
from bapa.checkpoints import Loaded, load
from bapa.measure import measure
from bapa.origin import Options, explain
from bapa.probe import Design, Probe, build
from bapa.probe.design import Task
from bapa.stats import Settings
from studies.pretrained.arms import ARMS
from studies.pretrained.learner import folder, multiplies_bfloat16
from studies.pretrained.parts import CELL_PX, known
from studies.pretrained.scenes import ORDER, PROMPT, WHERE
from studies.where.rules import BLEND, CHANNELS

ITEMS, PICKING, GUARDED, ORIGIN_ITEMS = 200, 48, 60, 60
SEARCHED, JUDGES, KEEP = 16, 32, 0.9  # items that pick a rule under a promise, items that judge it, what must be kept
RULES = ("native", "bapa", "bapa:distance=native", "anchored", "imccd", "cmpc", CHANNELS, BLEND)
FEWER = {"D": RULES[:1], "F": RULES[:2], "G": RULES[:2]}  # the other arms are asked under every rule
EXPLAINED, PROMISED = ("A", "E"), ("A", "E")
EXPLAINING = ("native", "bapa", "bapa:distance=native", "reverse")
PROMPTS = {"match": PROMPT, "where": WHERE, "order": ORDER}


def probe(parts: Path, work: Path, task: Task, items: int, seed: int) -> Probe:
    """Full grids of things trained on, in the held-out hand; asked in the words of training."""
    design = Design(
        task=task, items=items, seed=seed, cell=CELL_PX, near_miss=False, prompts=(PROMPTS[task],), answers="words"
    )
    return build(str(known(parts)), work / f"probe-{task}-{seed}", design)


def probes(parts: Path, work: Path) -> dict[str, Probe]:
    """The probes that judge, by task, and under ``pick`` and the like those that rules are picked on."""
    judging: dict[Task, int] = {"match": ITEMS, "where": GUARDED, "order": GUARDED}
    found = {task: probe(parts, work, task, items, 1) for task, items in judging.items()}
    return found | {f"pick {task}": probe(parts, work, task, PICKING, 2) for task in judging}


@dataclass(frozen=True)
class Judging:
    """What is judged: some ``parts`` of PARTS, ``rules`` (none: those of the arm), at most ``items`` of matches and
    ``guarded`` of questions about places; and where: ``device``, ``batch`` canvases a forward.
    """

    parts: Sequence[str]
    rules: Sequence[str] = ()
    items: int = ITEMS
    guarded: int = GUARDED
    device: str = "cpu"
    batch: int = 18


def judge(parts: Path, work: Path, name: str, judging: Judging) -> None:
    """One model, e.g. ``A-1``, in the folder of its name in ``work``; what is there is kept.

    On a processor that multiplies bfloat16 in hardware the model runs in bfloat16, its last layer in float32.
    """
    whole = judging.device == "cpu" and multiplies_bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=whole):
        _judge(parts, work, name, judging, whole)


def _judge(parts: Path, work: Path, name: str, judging: Judging, halved: bool) -> None:
    doing, device, batch = judging.parts, judging.device, judging.batch
    out = work / name
    arm, seed = name.split("-")
    about = probes(parts, work)
    home = out / "model"
    if not home.is_dir():
        folder(parts / "base", work / "learned" / f"{name}.safetensors", (arm, int(seed)), home)
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    model = load(str(home), device=device, dtype=torch.float32)
    if halved:
        _last_in_float32(model.model)
    if ARMS[arm].shuffled:
        shuffle(model.model)
    rules = judging.rules or FEWER.get(arm, RULES)
    if "test" in doing:
        _ask(model, about["match"], rules, out, "match", batch, judging.items)
    if "guards" in doing:
        for task in ("where", "order"):
            _ask(model, about[task], rules, out, task, batch, judging.guarded)
    if "test" in doing and ARMS[arm].shuffled:  # as it was trained is above; in the order of the picture, beside it
        plain = load(str(home), device=device, dtype=torch.float32)
        _ask(plain, about["match"], RULES[:1], out, "ordered", batch)
    if "origin" in doing and arm in EXPLAINED:
        options = Options(items=min(ORIGIN_ITEMS, judging.items), rules=EXPLAINING, parts=(), batch_size=batch)
        found = explain(model, about["match"], out / "origin-run", options).found
        (out / "origin.json").write_text(json.dumps(found, default=str) + "\n")
    if "search" in doing and arm in PROMISED:
        guards = [about["pick where"], about["pick order"]]
        sizes: dict[str, Any] = {"items": SEARCHED, "held_out": min(JUDGES, judging.items), "batch_size": batch}
        told = calibrate(model, about["pick match"], out / "promised", guards=guards, keep=KEEP, **sizes)
        if told.chosen not in rules:
            _ask(model, about["match"], ("native", told.chosen), out, "match-promised", batch, judging.items)
            for task in ("where", "order"):
                _ask(model, about[task], ("native", told.chosen), out, f"{task}-promised", batch, judging.guarded)
        (out / "promised.json").write_text(json.dumps(told.found, default=str) + "\n")


def _ask(
    model: Loaded, about: Probe, rules: Sequence[str], out: Path, label: str, batch: int, items: int | None = None
) -> None:
    """The answers under some rules, as ``LABEL.parquet``; the page takes its figures from these."""
    settings: dict[str, Any] = {"batch_size": batch, "items": items, "audit": 0, "statistics": Settings(resamples=100)}
    run = measure(model, about, rules, out / label, **settings)
    shutil.copy(run.path / "answers.parquet", out / f"{label}.parquet")


def _last_in_float32(model: Any) -> None:
    """Let the layer that gives logits stay out of bfloat16, whose eight bits would make margins equal that are not."""
    last = model.lm_head

    def exact(hidden: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return torch.nn.functional.linear(hidden.float(), last.weight)

    last.forward = exact


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
