"""Models of several arms and seeds in one batch: their forward, their loss, their state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor, FastVlmForConditionalGeneration

import bapa
from studies.pretrained import build, scenes
from studies.pretrained.arms import ARMS, Arm
from studies.pretrained.group import SCALE, Added, Projector, Whole
from studies.pretrained.parts import TRAINED, atlas
from studies.pretrained.scenes import KINDS, MATCH, TOKENS, Asker, Rows

Name = tuple[str, int]  # arm, seed
_RIDGE = 30.0


class Bench:
    """What all models share: drawings, encoder, words, the projector's start.

    ``home``: the base model's folder; by default that of the first language model.
    """

    def __init__(self, parts: Path, device: str, home: Path | None = None) -> None:
        self.home = home or build.base(parts)
        self.device = device
        self.dtype = torch.bfloat16 if device.startswith("cuda") or multiplies_bfloat16() else torch.float32
        pixels, self.there, self.things = atlas(parts)
        self.atlas = pixels.to(device)
        self.model: FastVlmForConditionalGeneration = AutoModelForImageTextToText.from_pretrained(
            self.home, dtype=torch.float32
        ).eval()
        self.model.requires_grad_(False)
        self.processor = AutoProcessor.from_pretrained(self.home)
        self.asker = Asker(self.processor, [thing.caption for thing in self.things])
        self.tower = self.model.model.vision_tower.to(device, memory_format=torch.channels_last)

    @torch.no_grad()
    def encode(self, drawn: scenes.Scenes, generator: torch.Generator, plain: bool = False) -> Tensor:
        """Features of scenes, (pictures, 81, 1280) in the bench's dtype."""
        pictures = scenes.paint(drawn, self.atlas, generator, plain)
        return torch.cat([build.encode(self.model, some) for some in pictures.split(64)]).to(self.dtype)

    @torch.no_grad()
    def projection(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (1280, width) and bias (width,) that turn a cell's mean feature into the mean of its name's words:
        ridge regression over the drawings of the hands trained on.
        """
        names = [self.asker.tokenizer.encode(f" {thing.caption}", add_special_tokens=False) for thing in self.things]
        wanted = torch.stack([embeddings[name].float().mean(0) for name in names]).double()
        generator = torch.Generator().manual_seed(0)
        x, y = [], []
        for hand in range(len(TRAINED)):
            drawn = self.there[hand].nonzero()[:, 0]
            drawn = drawn[torch.randperm(len(drawn), generator=generator)][: len(drawn) // 9 * 9].view(-1, 9)
            none = torch.zeros(len(drawn), dtype=torch.long)
            shown = scenes.Scenes(drawn, torch.full_like(drawn, hand), none, none + 9)
            seen = self.encode(shown, generator).double().cpu()
            x.append(seen.view(-1, 3, 3, 3, 3, seen.shape[-1]).mean((2, 4)).flatten(0, 2))
            y.append(wanted[drawn.flatten()])
        features, targets = torch.cat(x), torch.cat(y)
        middle, level = features.mean(0), targets.mean(0)
        features, targets = features - middle, targets - level
        inner = features.T @ features + _RIDGE * torch.eye(features.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(inner, features.T @ targets)
        return weight, level - middle @ weight


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware: 8 times as fast as float32 with AMX, 2.3 times
    with AVX-512 alone (measured in training).
    """
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags.read_text().split())


@dataclass
class Batch:
    """``rows``: of all models one after the other, ``order``: for each row the picture it is about, (rows,) long."""

    rows: Rows
    order: Tensor


class Group(nn.Module):
    """Models trained side by side; either all start from the pretrained language model or none does."""

    def __init__(self, bench: Bench, names: Sequence[Name]) -> None:
        super().__init__()
        self.names = list(names)
        self.arms: list[Arm] = [ARMS[arm] for arm, _ in names]
        self.asker, self.dtype = bench.asker, bench.dtype
        whole = {arm.language for arm in self.arms} == {"random"}
        language = bench.model.model.language_model
        if whole:
            starts = []
            for _, seed in names:
                fresh = copy.deepcopy(bench.model)
                build.forget(fresh, seed)
                starts.append(fresh.model.language_model)
        else:
            starts = [language]
        self.words = nn.Buffer(
            torch.stack([start.embed_tokens.weight.detach() for start in starts]).to(self.dtype), persistent=False
        )
        projections = [bench.projection(start.embed_tokens.weight.detach()) for start in starts]
        self.projector = Projector(*projections[0], len(names))
        if whole:
            for row, (weight, bias) in enumerate(projections):
                self.projector.weight.data[row] = weight.float()
                self.projector.bias.data[row] = bias.float()
        body = copy.deepcopy(starts[0])
        places = [name for name, layer in body.layers.named_modules() if isinstance(layer, nn.Linear)]
        seeds = [seed * 1000 + number for number, (_, seed) in enumerate(names)]
        for name in places:
            holder, _, child = name.rpartition(".")
            linears = [start.layers.get_submodule(name) for start in starts]
            if whole:
                new: nn.Module = Whole([linear.weight.detach() for linear in linears])
            else:
                new = Added(linears[0].to(self.dtype), [seed + len(child) for seed in seeds])
            setattr(body.layers.get_submodule(holder), child, new)
        body.embed_tokens = None
        for layer in body.modules():
            if "RMSNorm" in type(layer).__name__:
                layer.to(self.dtype)
        self.body = body

    def grouped(self) -> dict[str, Added | Whole]:
        """The layers trained, by their name in the language model."""
        return {name: layer for name, layer in self.body.layers.named_modules() if isinstance(layer, (Added, Whole))}

    def batch(self, rows: Rows, streams: Sequence[int], pictures: int) -> Batch:
        """The rows of each model, given the stream of ``pictures`` rows that each one reads."""
        order = torch.cat([torch.arange(pictures) + stream * pictures for stream in streams])
        row, at, target, kind = [], [], [], []
        for number, stream in enumerate(streams):
            own = (rows.row // pictures) == stream
            row.append(rows.row[own] % pictures + number * pictures)
            at.append(rows.at[own])
            target.append(rows.target[own])
            kind.append(rows.kind[own])
        return Batch(
            Rows(
                *(value[order] for value in (rows.ids, rows.block, rows.offset)),
                *(torch.cat(values) for values in (row, at, target, kind)),
            ),
            order,
        )

    def forward(self, batch: Batch, features: Tensor, generator: torch.Generator) -> Tensor:
        """Last hidden states where an answer is to be predicted, (answers, width). ``features``: of all streams."""
        rows, device = batch.rows, self.words.device
        each = len(rows.ids) // len(self.names)
        seen = features[batch.order.to(device)]
        if any(arm.shuffled for arm in self.arms):
            keep = torch.tensor([arm.shuffled for arm in self.arms]).repeat_interleave(each)[:, None]
            drawn = torch.rand(len(rows.ids), TOKENS, generator=generator).argsort(1)
            mixed = torch.where(keep, drawn, torch.arange(TOKENS)).to(device)
            seen = seen.gather(1, mixed[..., None].expand_as(seen))
        model = torch.arange(len(self.names)).repeat_interleave(each)[:, None]
        offset = model * self.words.shape[1] if len(self.words) > 1 else 0
        embedded = self.words.flatten(0, 1)[(rows.ids + offset).to(device)]
        start = len(self.asker.prefix)
        embedded = torch.cat([embedded[:, :start], self.projector(seen), embedded[:, start + TOKENS :]], 1)
        placed = torch.cat(
            [
                scenes.positions(_part(rows, slice(n * each, (n + 1) * each)), start, arm.scheme)
                for n, arm in enumerate(self.arms)
            ]
        )
        here = replace(rows, block=rows.block.to(device), ids=rows.ids.to(device))
        hidden = self.body(
            inputs_embeds=embedded, attention_mask=scenes.mask(here), position_ids=placed.to(device), use_cache=False
        ).last_hidden_state
        return hidden[rows.row.to(device), rows.at.to(device)]

    def logits(self, hidden: Tensor, row: Tensor, each: int) -> Tensor:
        """Over the vocabulary, (answers, vocabulary)."""
        if len(self.words) == 1:
            return hidden @ self.words[0].T
        model = (row // each).tolist()
        counts = [model.count(number) for number in range(len(self.words))]
        return torch.cat([some @ words.T for some, words in zip(hidden.split(counts), self.words, strict=True)])

    def loss(self, batch: Batch, features: Tensor, generator: torch.Generator) -> Tensor:
        """For each model the mean loss of each of the ``KINDS`` of questions, (kinds, models)."""
        rows, each = batch.rows, len(batch.rows.ids) // len(self.names)
        hidden = self(batch, features, generator)
        of = torch.stack([rows.kind, rows.row // each]).to(hidden.device)
        lost = F.cross_entropy(
            self.logits(hidden, rows.row, each).float(), rows.target.to(hidden.device), reduction="none"
        )
        total = torch.zeros(len(KINDS), len(self.names), device=hidden.device)
        number = total.clone()
        index = of[0] * len(self.names) + of[1]
        total = total.flatten().index_add(0, index, lost)
        number = number.flatten().index_add(0, index, torch.ones_like(lost))
        return (total / number.clamp(min=1)).view(len(KINDS), -1)

    @torch.no_grad()
    def auc(self, rows: Rows, features: Tensor, seed: int, chunk: int = 16) -> list[float]:
        """For each model the AUC of yes against no over all questions whether something is there, of ``rows``, about
        ``features``'s pictures.
        """
        generator = torch.Generator().manual_seed(seed)
        margins: list[Tensor] = []
        truth: list[Tensor] = []
        for start in range(0, len(rows.ids), chunk):
            some = _part(rows, slice(start, start + chunk))
            batch = self.batch(some, [0] * len(self.names), len(some.ids))
            asked = some.kind == MATCH
            hidden = self(batch, features[start : start + chunk], generator)[
                asked.repeat(len(self.names)).to(features.device)
            ]
            logits = self.logits(hidden, batch.rows.row[batch.rows.kind == MATCH], len(some.ids))
            margin = (logits[:, self.asker.yes].float() - logits[:, self.asker.no].float()).cpu()
            margins.append(margin.view(len(self.names), -1))
            truth.append(some.target[some.kind == MATCH] == self.asker.yes)
        found, right = torch.cat(margins, 1), torch.cat(truth)
        return [float(roc_auc_score(right.numpy(), margin.numpy())) for margin in found]

    @torch.no_grad()
    def start(self, learned: Path) -> None:
        """Let every model begin as the judged one of its arm's ``start`` and of its seed. ``learned``: their folder."""
        own = dict(self.named_parameters())
        for number, (arm, (_, seed)) in enumerate(zip(self.arms, self.names, strict=True)):
            kept = load_file(learned / f"{arm.start}-{seed}.safetensors")
            for name, value in kept.items():
                holder = "" if name.startswith("projector") else "body.layers."
                own[f"{holder}{name}"][number] = value.to(self.words.device).float()

    def state(self, model: int) -> dict[str, Tensor]:
        """What one model has learned: its projector and every language layer, as what is added or as a whole."""
        kept = {"projector.weight": self.projector.weight[model], "projector.bias": self.projector.bias[model]}
        for name, layer in self.grouped().items():
            if isinstance(layer, Added):
                kept |= {f"{name}.a": layer.a[model], f"{name}.b": layer.b[model]}
            else:
                kept[f"{name}.weight"] = layer.weight[model]
        return {name: value.detach().to(torch.float16).cpu().clone().contiguous() for name, value in kept.items()}


def _part(rows: Rows, part: slice) -> Rows:
    """Some of the rows, with their answers."""
    start, stop, _ = part.indices(len(rows.ids))
    own = (rows.row >= start) & (rows.row < stop)
    ids, block, offset = (value[part] for value in (rows.ids, rows.block, rows.offset))
    return Rows(ids, block, offset, rows.row[own] - start, rows.at[own], rows.target[own], rows.kind[own])


def folder(bench_home: Path, learned: Path, name: Name, out: Path) -> Path:
    """An ordinary model folder of what :meth:`Group.state` kept in ``learned``."""
    arm, seed = name
    model = AutoModelForImageTextToText.from_pretrained(bench_home, dtype=torch.float32)
    if ARMS[arm].language == "random":
        build.forget(model, seed)
    kept = load_file(learned)
    with torch.no_grad():
        projector = model.model.multi_modal_projector
        projector.linear_1.weight = nn.Parameter(kept.pop("projector.weight").float().T.contiguous())
        projector.linear_1.bias = nn.Parameter(kept.pop("projector.bias").float().flatten())
        layers = model.model.language_model.layers
        for key in {key.rpartition(".")[0] for key in kept}:
            weight = layers.get_submodule(key).weight
            if f"{key}.weight" in kept:
                weight.copy_(kept[f"{key}.weight"].float().T)
            else:
                weight += SCALE * (kept[f"{key}.a"].float() @ kept[f"{key}.b"].float()).T
    if ARMS[arm].scheme != "native":
        bapa.balance(model, ARMS[arm].scheme)
    model.save_pretrained(out)
    AutoProcessor.from_pretrained(bench_home).save_pretrained(out)
    return out
