"""Teaching: LoRA on the language model alone, the loss on the words that say where a thing stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, set_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bapa.checkpoints import load
from bapa.checkpoints.adapter import Base, new_adapter, save_adapter
from bapa.checkpoints.weights import of_checkpoint
from bapa.families.anatomy import find
from bapa.files import replacing, write_json
from bapa.progress import progress
from studies.aligned.ask import Reader
from studies.pretrained.scenes import mask, positions
from studies.taught.lessons import Lesson, Subject, lesson, stream

STATE = "learning.safetensors"


@dataclass(frozen=True)
class Teaching:
    """``steps``: at most so many, of ``batch`` pictures; ``every``: steps from one trial to the next, of ``tried``
    pictures; ``enough``: the share right at which teaching ends, all forms together.
    """

    steps: int = 160
    batch: int = 4
    rank: int = 8
    rate: float = 1e-3
    warm_up: int = 10
    every: int = 20
    tried: int = 24
    enough: float = 0.8


class Pupil:
    """A model with an adapter that is taught. The adapter is in float32, the language model in bfloat16 where the
    processor multiplies that, else in float32. ``begun``: the folder of an adapter that it goes on from.
    """

    def __init__(
        self, reader: Reader, subject: Subject, teaching: Teaching, seed: int, begun: Path | None = None
    ) -> None:
        self.reader, self.subject, self.teaching, self.seed = reader, subject, teaching, seed
        self.model: Any = load(reader.loaded.name, device="cpu", dtype=reader.bench.dtype).model
        self.model.requires_grad_(False)
        anatomy = find(self.model)
        name = next(name for name, part in self.model.named_modules() if part is anatomy.decoder)
        leaves = {name.rpartition(".")[2] for name, part in anatomy.decoder.named_modules() if _linear(part)}
        torch.manual_seed(seed)
        targets = rf"{re.escape(name)}\..*\.({'|'.join(sorted(leaves))})"
        config = LoraConfig(r=teaching.rank, lora_alpha=2 * teaching.rank, target_modules=targets)
        self.tuned = new_adapter(self.model, config)
        if begun is not None:
            set_peft_model_state_dict(self.tuned, load_file(begun / SAFETENSORS_WEIGHTS_NAME))
        self.decoder: Any = anatomy.decoder
        self.words: Any = anatomy.model.get_input_embeddings()
        self.learned = {name: one for name, one in self.tuned.named_parameters() if one.requires_grad}
        self.optimizer = torch.optim.AdamW(self.learned.values(), lr=teaching.rate, weight_decay=0.0)
        self.step = 0

    def logits(self, one: Lesson) -> Tensor:
        """Of the next word where an answer is to be predicted, (questions, vocabulary) float32."""
        rows, start = one.rows, len(self.reader.bench.asker.prefix)
        embedded = self.words(rows.ids)
        image = one.image.to(embedded.dtype)
        embedded = torch.cat([embedded[:, :start], image, embedded[:, start + image.shape[1] :]], 1)
        placed = positions(rows, start, self.subject.scheme)
        hidden = self.decoder(
            inputs_embeds=embedded, attention_mask=mask(rows), position_ids=placed, use_cache=False
        ).last_hidden_state[rows.row, rows.at]
        found: Tensor = (hidden @ self.words.weight.T).float()
        return found

    def draw(self, count: int, generator: torch.Generator) -> Lesson:
        """What is learned from in a step, ``count`` pictures."""
        return lesson(self.reader, self.subject, count, generator)

    def trial(self, count: int, generator: torch.Generator) -> Lesson:
        """What is tried: what is learned from, drawn anew."""
        return self.draw(count, generator)

    def loss(self, one: Lesson) -> Tensor:
        """Cross-entropy of the tokens that tell where a thing stands."""
        return F.cross_entropy(self.logits(one)[one.telling], one.rows.target[one.telling])

    def take(self) -> float:
        """Take a step; its loss."""
        loss = self.loss(self.draw(self.teaching.batch, stream(self.seed, self.step)))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned.values(), 1.0)
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.teaching.rate * min(1.0, self.step / self.teaching.warm_up)
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def right(self, tried: Sequence[Lesson]) -> float:
        """Share of questions answered right: of each token of the answer, among those that may stand there."""
        right = []
        for one in tried:
            picked = self.logits(one).gather(1, one.among).argmax(1, keepdim=True)
            wrong = one.among.gather(1, picked)[:, 0] != one.rows.target
            right.append(torch.bincount(one.question, wrong) == 0)
        return float(torch.cat(right).float().mean())

    def save(self, path: Path, tried: Sequence[Mapping[str, float]]) -> None:
        """Keep everything that the next step needs, and what was ``tried``: in one file, so neither is ever newer."""
        kept = {name: one.detach() for name, one in self.learned.items()}
        for name, one in self.learned.items():
            kept |= {f"{name}|{part}": value for part, value in self.optimizer.state[one].items()}
        with replacing(path) as part:
            save_file(kept, part, metadata={"tried": json.dumps(tried)})

    def resume(self, path: Path) -> list[dict[str, float]]:
        """Go on from what was kept; what was tried before."""
        with safe_open(path, "pt") as file:
            tried: list[dict[str, float]] = json.loads(file.metadata()["tried"])
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        for name, one in self.learned.items():
            one.data.copy_(kept[name])
            self.optimizer.state[one] = {part: kept[f"{name}|{part}"] for part in ("step", "exp_avg", "exp_avg_sq")}
        self.step = int(next(iter(self.optimizer.state.values()))["step"])
        return tried


def teach(
    reader: Reader,
    out: Path,
    seed: int,
    subject: Subject | None = None,
    teaching: Teaching | None = None,
    begun: Path | None = None,
    pupils: type[Pupil] = Pupil,
) -> Path:
    """``out``, the folder of the adapter of this seed, made where it is missing; the same command goes on. ``begun``:
    the folder of an adapter that teaching starts from; ``pupils``: what is learned, and how.
    """
    if out.is_dir():
        return out
    teaching, subject = teaching or Teaching(), subject or Subject()
    pupil = pupils(reader, subject, teaching, seed, begun)
    state, curve = out.with_name(f"{out.name}.{STATE}"), out.with_name(f"{out.name}.json")
    tried = [pupil.trial(teaching.batch, stream(seed, -1 - n)) for n in range(teaching.tried // teaching.batch)]
    found: list[dict[str, float]] = []
    if state.is_file():
        found = pupil.resume(state)
    lost: list[float] = []
    with progress(f"steps of teaching {out.name}", teaching.steps) as step:
        for _ in range(pupil.step):
            step()
        while pupil.step < teaching.steps and not (found and found[-1]["right"] >= teaching.enough):
            lost.append(pupil.take())
            step()
            if pupil.step % teaching.every == 0:
                right, loss = pupil.right(tried), sum(lost) / len(lost)
                found.append({"step": pupil.step, "loss": round(loss, 4), "right": round(right, 4)})
                lost = []
                pupil.save(state, found)
    partial = out.with_name(f"{out.name}.partial")
    save_adapter(pupil.tuned, partial, base=Base(reader.loaded.name, of_checkpoint(reader.loaded.fingerprint)))
    write_json(curve, {"tried": found})
    partial.rename(out)
    state.unlink(missing_ok=True)
    return out


def _linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear)
