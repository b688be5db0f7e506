"""Training: all models asked for side by side, resumable, each kept at the first checkpoint that is good enough."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

from studies.pretrained import scenes
from studies.pretrained.arms import ARMS, FEW, FULL, MANY, Recipe
from studies.pretrained.group import Whole, clip
from studies.pretrained.learner import Batch, Bench, Group, Name
from studies.pretrained.parts import TRAINED

VALID_PICTURES, VALID_QUESTIONS, VALID_SEED = 64, 8, 2509
KEEP = 300  # seconds from one saved state of training to the next: the most that a kill costs
STATE = "training.safetensors"


@dataclass
class Step:
    """The pictures of a step, and what is asked about them."""

    drawn: scenes.Scenes
    rows: scenes.Rows


class Stream(Dataset[Step]):
    """The pictures and questions of every step: those of a seed and a placement are the same in whatever company."""

    def __init__(self, bench: Bench, streams: Sequence[tuple[int, scenes.Placement]], recipe: Recipe) -> None:
        self.there, self.asker, self.streams, self.recipe = bench.there, bench.asker, list(streams), recipe

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Step:
        drawn, asked = [], []
        for seed, placement in self.streams:
            number = self.recipe.first + step
            generator = torch.Generator().manual_seed(seed * 1_000_003 + number * 11 + (placement == "photo"))
            things = FEW if step < self.recipe.few else MANY
            some = scenes.draw(self.there, self.recipe.batch, things, placement, generator)
            asked += self.asker.blocks(some, self.recipe.questions, placement, generator)
            drawn.append(some)
        joined = (torch.cat([getattr(one, part) for one in drawn]) for part in ("thing", "hand", "main", "shown"))
        return Step(scenes.Scenes(*joined), self.asker.pack(asked))


class Trainer:
    """``names``: the models trained side by side; ``work``: where their states are kept; ``learned``: where the models
    lie that those of an arm with a ``start`` go on from; ``compiled``: one compiled layer for all layers.
    """

    def __init__(
        self, bench: Bench, names: Sequence[Name], recipe: Recipe, work: Path, learned: Path, compiled: bool = False
    ) -> None:
        self.bench, self.recipe, self.work = bench, recipe, work
        torch.manual_seed(0)
        self.group = Group(bench, names).to(bench.device)
        if any(arm.start for arm in self.group.arms):
            self.group.start(learned)
        if compiled:
            for layer in self.group.body.layers:
                layer.compile(dynamic=True)
        wanted = [(seed, ARMS[arm].placement) for arm, seed in names]
        self.streams = list(dict.fromkeys(wanted))
        self.reads = [self.streams.index(one) for one in wanted]
        projector, layers = list(self.group.projector.parameters()), []
        for layer in self.group.grouped().values():
            layers += list(layer.parameters())
        whole = any(isinstance(layer, Whole) for layer in self.group.grouped().values())
        rate = recipe.whole_rate if whole else recipe.rate
        self.optimizer = torch.optim.AdamW(
            [{"params": projector, "lr": recipe.projector_rate}, {"params": layers, "lr": rate}],
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=bench.device.startswith("cuda"),
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._level)
        self.step, self.seconds = 0, 0.0
        self.curve: list[dict[str, object]] = []
        self.reached: dict[str, dict[str, object]] = {}
        work.mkdir(parents=True, exist_ok=True)
        self.valid = self._validation("held-out", FULL, len(TRAINED))

    def _level(self, step: int) -> float:
        recipe = self.recipe
        if step < recipe.warm_up:
            return (step + 1) / recipe.warm_up
        done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
        return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def _validation(self, label: str, things: tuple[int, int], hand: int) -> tuple[scenes.Rows, torch.Tensor]:
        """Pictures by one hand, as the probe lays them out, and questions about them."""
        generator = torch.Generator().manual_seed(VALID_SEED)
        drawn = scenes.draw(self.bench.there, VALID_PICTURES, things, "uniform", generator, (hand,))
        asked = self.bench.asker.blocks(drawn, VALID_QUESTIONS, "uniform", generator)
        return self.bench.asker.pack([row[1:] for row in asked]), self.bench.encode(drawn, generator, plain=True)

    def run(self, seconds: float = math.inf, workers: int = 0) -> None:
        """Go on until all models are good enough, the steps are done, or the time is up."""
        self._resume()
        started = saved = time.monotonic()
        before = self.seconds
        loader = DataLoader(
            _From(Stream(self.bench, self.streams, self.recipe), self.step),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
        for step in loader:
            if self.done() or time.monotonic() - started > seconds:
                break
            losses = self._take(step)
            self.step += 1
            self.seconds = before + time.monotonic() - started
            if self.step % self.recipe.every == 0 or self.step == self.recipe.steps:
                self._check(losses)
            if time.monotonic() - saved > KEEP:
                self._save()
                saved = time.monotonic()
        self._save()

    def done(self) -> bool:
        return self.step >= self.recipe.steps or len(self.reached) == len(self.group.names)

    def _take(self, step: Step) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.step)
        features = self.bench.encode(step.drawn, generator)
        batch: Batch = self.group.batch(step.rows, self.reads, self.recipe.batch)
        losses = self.group.loss(batch, features, generator)
        self.optimizer.zero_grad(set_to_none=True)
        weight = losses.new_tensor([1.0, 1.0, self.recipe.places])  # of the KINDS of questions
        (weight[:, None] * losses).sum().backward()
        clip([parameter for some in self.optimizer.param_groups for parameter in some["params"]])
        self.optimizer.step()
        self.schedule.step()
        return losses.detach()

    def _check(self, losses: torch.Tensor) -> None:
        found = self.group.auc(*self.valid, VALID_SEED)
        for number, ((arm, seed), auc) in enumerate(zip(self.group.names, found, strict=True)):
            key = f"{arm}-{seed}"
            if auc >= self.recipe.enough and key not in self.reached:
                self.reached[key] = {"step": self.step, "auc": auc, "seconds": self.seconds}
                save_file(self.group.state(number), self.work / f"{key}.safetensors")
            lost = dict(zip(("answers", "captions", "places"), losses[:, number].tolist(), strict=True))
            self.curve.append({"model": key, "step": self.step, "auc": auc, **lost})
        first = ", ".join(f"{a}-{s} {auc:.3f}" for (a, s), auc in zip(self.group.names, found, strict=True))
        print(
            f"step {self.step} of {self.recipe.steps} ({self.seconds:.0f} s), captions {losses[1].mean():.2f}, places "
            f"{losses[2].mean():.2f}: {first}",
            flush=True,
        )

    def finish(self, learned: Path) -> None:
        """Put each model as it was at its checkpoint, or as it is now, into ``learned``, with what is known of it."""
        learned.mkdir(parents=True, exist_ok=True)
        apart = self.apart()
        for number, (arm, seed) in enumerate(self.group.names):
            key = f"{arm}-{seed}"
            kept = self.work / f"{key}.safetensors"
            if key not in self.reached:
                save_file(self.group.state(number), kept)
            kept.replace(learned / kept.name)
            record = {
                "model": key,
                "reached": self.reached.get(key),
                "steps": self.step,
                "seconds": self.seconds,
                "side by side": len(self.group.names),
                "at the end": apart[key],
                "curve": [point for point in self.curve if point["model"] == key],
                "recipe": asdict(self.recipe),
            }
            (learned / f"{key}.json").write_text(json.dumps(record, indent=1) + "\n")

    def apart(self) -> dict[str, dict[str, float]]:
        """AUC at the end with drawings and layouts held out apart from each other, by model."""
        kinds = {
            "drawings and layout seen": (MANY, 0),
            "layout held out": (FULL, 0),
            "drawings held out": (MANY, len(TRAINED)),
            "both held out": (FULL, len(TRAINED)),
        }
        found: dict[str, dict[str, float]] = {f"{arm}-{seed}": {} for arm, seed in self.group.names}
        for label, (things, hand) in kinds.items():
            for key, auc in zip(found, self.group.auc(*self._validation(label, things, hand), VALID_SEED), strict=True):
                found[key][label] = auc
        return found

    def _save(self) -> None:
        kept = {}
        for name, parameter in self.group.named_parameters():
            state = self.optimizer.state.get(parameter, {})
            kept[name] = parameter.detach().cpu()
            kept |= {f"{name}|{key}": value.detach().cpu() for key, value in state.items()}
        at = {"step": self.step, "seconds": self.seconds, "reached": self.reached, "curve": self.curve}
        partial = self.work / "training.partial"
        save_file(kept, partial, metadata={"state": json.dumps(at | {"schedule": self.schedule.last_epoch})})
        partial.replace(self.work / STATE)  # weights and counts in one file: neither is ever newer than the other

    def _resume(self) -> None:
        if not (self.work / STATE).is_file():
            return
        with safe_open(self.work / STATE, "pt", device=str(self.bench.device)) as file:
            at = json.loads(file.metadata()["state"])
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        for name, parameter in self.group.named_parameters():
            parameter.data.copy_(kept[name])
            if f"{name}|step" in kept:
                parts = ("step", "exp_avg", "exp_avg_sq")
                self.optimizer.state[parameter] = {part: kept[f"{name}|{part}"] for part in parts}
        self.step, self.seconds = at["step"], at["seconds"]
        self.reached, self.curve = at["reached"], at["curve"]
        self.schedule.last_epoch = at["schedule"]
        for some, level in zip(self.optimizer.param_groups, self.schedule.get_lr(), strict=True):
            some["lr"] = level


class _From(Dataset[Step]):
    """A stream from one step on."""

    def __init__(self, stream: Stream, first: int) -> None:
        self.stream, self.first = stream, first

    def __len__(self) -> int:
        return len(self.stream) - self.first

    def __getitem__(self, index: int) -> Step:
        if index >= len(self):
            raise IndexError
        return self.stream[self.first + index]


def names(arms: Sequence[str], seeds: Sequence[int]) -> Iterator[Name]:
    """All models of some arms and seeds."""
    for arm in arms:
        for seed in seeds:
            yield arm, seed
