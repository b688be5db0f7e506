"""Checks of a model's real weights, written down with their date."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from bapa import __version__
from bapa.checkpoints.load import Expected, Loaded, expect, load, size_of
from bapa.checkpoints.weights import of_checkpoint
from bapa.errors import BapaError, ModelError
from bapa.files import read_json, write_json

GIB = 1 << 30
# Of the spread of the logits, which are compared in float32.
_CLOSE = {"float64": 1e-3, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}
_LONGEST = 100  # characters of a model's name in the name of its record


def verify(
    names: Sequence[str], records: Path, memory: float | None = None, loading: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, str]]:
    """Check each model and write ``NAME-DIGEST.json`` into the folder ``records``; yields name and outcome.

    A model whose record is there, of these weights, this dtype and these options of loading, is passed over, so that
    the same command goes on; records of others stay. ``memory``: GiB of weights beyond which a model is left alone,
    without a record. One that cannot be loaded gets no record either. ``loading``: further arguments of
    :func:`~bapa.checkpoints.load.load`, ``chat`` aside.
    """
    records.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            expected = expect(name, **(loading or {}))
            if expected and (found := _kept(records, name, expected)):
                path, there = found
                yield name, f"{_outcome(there['checks'])} (on {there['date']}, {path})"
                continue
            size = size_of(name)
            if memory is not None and size > memory * GIB:
                yield name, f"left alone: {size / GIB:.1f} GiB of weights, --memory {memory:g}"
                continue
            loaded = load(name, **(loading or {}))
            setting = _setting(loaded)
            after = expect(name, **(loading or {}))  # of a model that had to be fetched only now
            asked = after.asked if after else {"dtype": setting["dtype"], **loaded.options}
            began = time.monotonic()
            done = dict(checks(loaded))
        except BapaError as error:
            yield name, f"not checked: {error}"
            continue
        path = _path(records, name, Expected(of_checkpoint(loaded.fingerprint), asked))
        seconds = round(time.monotonic() - began, 1)
        write_json(path, {**setting, "asked": dict(asked), "seconds": seconds, "checks": done})
        yield name, f"{_outcome(done)} ({path})"


def _kept(records: Path, name: str, expected: Expected) -> tuple[Path, dict[str, Any]] | None:
    """The record of this model, its path first; None where there is none.

    Raises RunError where a file in its place is no record.
    """
    written = set(records.iterdir())
    for path in (_path(records, name, expected), records / f"{_short(name)}.json"):  # the latter: of earlier releases
        if path in written:
            there = read_json(path, "checks", "date", "model", "dtype", "fingerprint", mend="move it away")
            asked = there.get("asked", {"dtype": there["dtype"]})  # those told no options: taken for none
            its = (there["model"], of_checkpoint(str(there["fingerprint"])), asked)
            if its == (name, expected.fingerprint, expected.asked):
                return path, there
    return None


def _path(records: Path, name: str, expected: Expected) -> Path:
    """The file of a record; another model, other weights or another way to load them have another."""
    told = json.dumps([name, expected.fingerprint, expected.asked], sort_keys=True)
    return records / f"{_short(name)[:_LONGEST]}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.json"


def _short(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def checks(loaded: Loaded) -> Iterator[tuple[str, dict[str, Any]]]:
    """What holds for one question about a blank picture: the check, whether it ``held``, and the figure behind it.

    Raises UnsupportedModelError where the model cannot be balanced.
    """
    from bapa.attach import balanced, positions
    from bapa.checkpoints.examine import shown
    from bapa.families.anatomy import find

    model, inputs = loaded.model, shown(loaded).to(loaded.model.device)
    image = torch.isin(inputs["input_ids"][0].cpu(), find(model).tokens)
    if not bool(image.any()):
        raise ModelError(f"{loaded.name}: no image tokens in its prompt, of those that its config names")
    with torch.inference_mode():
        before, native = model(**inputs).logits, positions(model, **inputs)[:, 0].cpu()
        with balanced(model, "bapa"):
            placed = positions(model, **inputs)[:, 0].cpu()
            cached, alone = (_logits(model, inputs, use_cache) for use_cache in (True, False))
        after = model(**inputs).logits
    places = len(placed[:, image].unique(dim=1).T)
    yield "one position for the picture", {"held": places == 1, "positions": places, "tokens": int(image.sum())}
    first = int(image.nonzero()[0])
    same = torch.equal(placed[:, :first], native[:, :first])
    yield "text before the picture is untouched", {"held": same, "tokens": first}
    yield "cached equals recomputed", _near(cached, alone, _CLOSE[str(model.dtype).removeprefix("torch.")])
    yield "restored, bit for bit", {"held": torch.equal(_bits(before), _bits(after))}


def _near(cached: torch.Tensor, alone: torch.Tensor, close: float) -> dict[str, Any]:
    """Whether two sets of logits are alike, to the share ``close`` of their spread; with why not, where they have no
    spread to tell by.
    """
    apart = float((cached - alone).abs().max() / alone.std())
    if math.isfinite(apart):
        return {"held": apart <= close, "apart": apart, "at most": close}
    numbers = bool(cached.isfinite().all() and alone.isfinite().all())
    overflow = "logits overflow; another --dtype, such as float32, may hold them"
    reason = "all logits are the same, so nothing can be told by them" if numbers else overflow
    return {"held": False, "apart": None, "at most": close, "reason": reason}


def _bits(logits: torch.Tensor) -> torch.Tensor:
    """The bytes of ``logits``: as numbers, those that overflowed would not equal themselves."""
    return logits.contiguous().view(torch.uint8)


def _logits(model: Any, inputs: Any, use_cache: bool) -> torch.Tensor:
    """Logits of the second written token, float32 (1, vocabulary): the first that a cache can change."""
    found = model.generate(
        **inputs,
        max_new_tokens=2,
        min_new_tokens=2,
        do_sample=False,
        use_cache=use_cache,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return found.logits[1].float()


def _setting(loaded: Loaded) -> dict[str, Any]:
    import transformers

    return {
        "model": loaded.name,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "fingerprint": loaded.fingerprint,
        "bapa": __version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "device": str(loaded.model.device),
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
    }


def _outcome(found: dict[str, dict[str, Any]]) -> str:
    reasons = {name: f" ({its['reason']})" if "reason" in its else "" for name, its in found.items()}
    failed = [f"{name}{reasons[name]}" for name, its in found.items() if not its["held"]]
    return f"FAILED: {', '.join(failed)}" if failed else f"{len(found)} of {len(found)} checks hold"
