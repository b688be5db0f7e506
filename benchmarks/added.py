"""What balancing adds to a forward, measured by itself rather than as a small difference of two large times.

``time_added``: seconds spent where balancing can spend any, in the hooks of the outer module and in the rotary
embedding with its hooks, under BaPA less natively. ``ops_added``: every operation of a balanced forward beyond those
of the native one, and whether any native one is missing or done at another size.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import bapa
from bapa.families.anatomy import find


@dataclass
class Clock:
    """Seconds of this thread's processor between the starts and stops."""

    seconds: float = 0.0
    started: float = field(default=0.0, repr=False)

    def start(self, *_: Any) -> None:
        self.started = time.thread_time()

    def stop(self, *_: Any) -> None:
        self.seconds += time.thread_time() - self.started


@contextmanager
def clocked(model: nn.Module) -> Iterator[Clock]:
    """A clock around all hooks of the outer module, and around the rotary embedding and all of its hooks."""
    anatomy, clock = find(model), Clock()
    handles = [
        anatomy.outer.register_forward_pre_hook(clock.start, prepend=True),
        anatomy.outer.register_forward_pre_hook(clock.stop),
        anatomy.outer.register_forward_hook(clock.start, prepend=True),
        anatomy.outer.register_forward_hook(clock.stop),
    ]
    for rotary in anatomy.rotaries:
        handles.append(rotary.register_forward_pre_hook(clock.start, prepend=True))
        handles.append(rotary.register_forward_hook(clock.stop))
    try:
        yield clock
    finally:
        for handle in handles:
            handle.remove()


def time_added(model: nn.Module, step: Callable[[], Callable[[], Any]], rounds: int) -> float:
    """Median seconds that BaPA adds to a step. ``step`` prepares one under the scheme in force."""
    found: dict[str, list[float]] = {"native": [], "bapa": []}
    for _ in range(rounds):
        for scheme in found:
            bapa.balance(model, scheme)
            run = step()
            with clocked(model) as clock:
                run()
            found[scheme].append(clock.seconds)
    native, balanced = (torch.tensor(seconds).median().item() for seconds in found.values())
    return balanced - native


class Recorder(TorchDispatchMode):
    """Counts operations by name and by the number of elements they make."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, int]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        first = made[0] if isinstance(made, tuple | list) and made else made
        self.counts[str(func.overloadpacket), first.numel() if isinstance(first, Tensor) else 0] += 1
        return made


@dataclass(frozen=True)
class Operations:
    """``native``: how many a native forward takes. ``added`` and ``missing``: by name, how many and the most elements
    that one of them makes.
    """

    native: int
    added: dict[str, tuple[int, int]]
    missing: dict[str, tuple[int, int]]

    def __str__(self) -> str:
        def told(side: dict[str, tuple[int, int]]) -> str:
            names = sorted(side.items(), key=lambda item: -item[1][0])
            return ", ".join(f"{name.removeprefix('aten.')} {count}" for name, (count, _) in names) or "none"

        counts, sizes = zip(*self.added.values(), strict=True) if self.added else ((0,), (0,))
        return (
            f"{self.native} operations natively; missing: {told(self.missing)}; "
            f"added: {sum(counts)}, of {max(sizes)} elements at most ({told(self.added)})"
        )


def ops_added(model: nn.Module, step: Callable[[], Callable[[], Any]]) -> Operations:
    """Operations of a balanced step beyond those of the native one. Where both do the same at another size (cosines for
    every row instead of one for all), it counts as missing and added.
    """
    counts = []
    for scheme in ("native", "bapa"):
        bapa.balance(model, scheme)
        run = step()
        with Recorder() as recorder:
            run()
        counts.append(recorder.counts)
    native, balanced = counts
    return Operations(native.total(), _by_name(balanced - native), _by_name(native - balanced))


def _by_name(counts: Counter[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for (name, size), count in counts.items():
        before, largest = found.get(name, (0, 0))
        found[name] = before + count, max(largest, size)
    return found
