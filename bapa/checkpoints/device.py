"""Where a model runs and in which precision: what people type, and what is chosen where they type nothing."""

from __future__ import annotations

import os
from difflib import get_close_matches

import torch
from torch import nn

from bapa.errors import ConfigError

SMALL = 1 << 30  # bytes of weights below which memory is no reason to round them
FEW = 20_000_000  # parameters below which further threads cost more than they bring: benchmarks/threads.py
_THREADS = torch.get_num_threads()
_DTYPES = {
    "auto": "auto",
    **dict.fromkeys(("float32", "fp32", "float"), torch.float32),
    **dict.fromkeys(("bfloat16", "bf16"), torch.bfloat16),
    **dict.fromkeys(("float16", "fp16", "half"), torch.float16),
    **dict.fromkeys(("float64", "fp64", "double"), torch.float64),
}


def device_of(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is a GPU where there is one, else the CPU.

    Raises ConfigError where there is no such device here.
    """
    here = _here()
    if name == "auto":  # of processes that a launcher started, each takes a GPU of its own
        rank = os.environ.get("LOCAL_RANK", "0")
        return torch.device(f"cuda:{rank}" if here[0] == "cuda" and rank != "0" else here[0])
    try:
        found = torch.device(name)
    except (RuntimeError, TypeError):
        raise ConfigError(f"--device {name}: no such kind of device{_meant(name)}; {_accepted(here)}") from None
    count = torch.cuda.device_count() if found.type == "cuda" and "cuda" in here else 1
    if found.type not in here or (found.index or 0) >= count:
        raise ConfigError(f"--device {name}: torch finds none here; {_accepted(here)}")
    return found


def dtype_of(name: torch.dtype | str | None, device: torch.device, size: int) -> torch.dtype | str:
    """The dtype called ``name``; ``auto``: the checkpoint's own.

    None: float32 on the CPU; on a GPU that computes in bfloat16, this for a checkpoint of ``size`` bytes that is not
    :data:`SMALL`; else the checkpoint's own. Raises ConfigError where there is no such dtype.
    """
    if isinstance(name, torch.dtype):
        return name
    if name is None:
        if device.type == "cpu":
            return torch.float32
        rounds = device.type == "cuda" and size > SMALL and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if rounds else "auto"
    found = _DTYPES.get(name.lower().removeprefix("torch."))
    if found is None:
        raise ConfigError(
            f"--dtype {name}: accepted are float32 (fp32), bfloat16 (bf16), float16 (fp16), float64 (fp64), and auto, "
            "the checkpoint's own"
        )
    return found  # type: ignore[return-value]  # a str or a dtype


def choose_threads(model: nn.Module, device: torch.device) -> None:
    """Give a small model on the CPU one thread: beside other work a second one costs it more than it brings.

    ``OMP_NUM_THREADS``, where it is set, is obeyed.
    """
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        small = sum(parameter.numel() for parameter in model.parameters()) < FEW
        torch.set_num_threads(1 if small else _THREADS)


def _here() -> list[str]:
    """The kinds of devices there are, the best first."""
    gpus = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())]
    return [*(name for name, there in gpus if there), "cpu"]


def _accepted(here: list[str]) -> str:
    numbered = [f"{kind}:N" for kind in here if kind == "cuda"]
    return f"accepted here: {', '.join(['auto', *here, *numbered])}"


def _meant(name: str) -> str:
    close = ["cuda"] if name.lower() == "gpu" else get_close_matches(name.lower(), ["cpu", "cuda", "mps", "auto"], n=1)
    return f" (did you mean {close[0]}?)" if close else ""
