"""Checks of a model's real weights, written down with their date."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bapa import __version__
from bapa.errors import BapaError, ModelError
from bapa.files import read_json, write_json

if TYPE_CHECKING:
    import torch

    from bapa.checkpoints.load import Loaded

GIB = 1 << 30
_CLOSE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}  # of the spread of the logits


def verify(
    names: Sequence[str], records: Path, memory: float | None = None, loading: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, str]]:
    """Check each model and write ``NAME.json`` into the folder ``records``; yields name and outcome.

    A model whose record is there is passed over, so that the same command goes on. ``memory``: GiB of weights beyond
    which a model is left alone, without a record. One that cannot be loaded gets no record either. ``loading``: further
    arguments of :func:`~bapa.checkpoints.load.load`.
    """
    from bapa.checkpoints.load import load, size_of

    records.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = records / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}.json"
        if path.exists():
            there = read_json(path, "checks", "date")
            yield name, f"{_outcome(there['checks'])} (on {there['date']}, {path})"
            continue
        try:
            size = size_of(name)
            if memory is not None and size > memory * GIB:
                yield name, f"left alone: {size / GIB:.1f} GiB of weights, --memory {memory:g}"
                continue
            loaded = load(name, **(loading or {}))
            began = time.monotonic()
            found = dict(checks(loaded))
        except BapaError as error:
            yield name, f"not checked: {error}"
            continue
        write_json(path, {**_setting(loaded), "seconds": round(time.monotonic() - began, 1), "checks": found})
        yield name, f"{_outcome(found)} ({path})"


def checks(loaded: Loaded) -> Iterator[tuple[str, dict[str, Any]]]:
    """What holds for one question about a blank picture: the check, whether it ``held``, and the figure behind it.

    Raises UnsupportedModelError where the model cannot be balanced.
    """
    import torch

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
    apart = float((cached - alone).abs().max() / alone.std())
    close = _CLOSE[str(model.dtype).removeprefix("torch.")]
    yield "cached equals recomputed", {"held": apart <= close, "apart": apart, "at most": close}
    yield "restored, bit for bit", {"held": torch.equal(before, after)}


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
    import torch
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
    failed = [name for name, its in found.items() if not its["held"]]
    return f"FAILED: {', '.join(failed)}" if failed else f"{len(found)} of {len(found)} checks hold"
