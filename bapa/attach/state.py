"""What a generation must remember between forwards. It lives on the generation's key-value cache, never on the
model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from bapa.errors import ModelError
from bapa.layout import Layout
from bapa.schemes import Scheme

SLOT = "_bapa"


@dataclass(frozen=True)
class State:
    """The state of one generation after its last prefill.

    ``scheme``: the scheme it runs under. ``layout``: every column up to that prefill; columns decoded since are text.
    ``origin``: (rows,), raster position minus column. ``offset``: (rules, rows), for each rule of the scheme the
    model's own position of the next text token minus its balanced one; of fixed shape, so that a compiled decode step
    is one graph. ``positions``: (axes, rows, columns), the model's own, where the scheme looks back at them.
    """

    scheme: Scheme
    layout: Layout
    origin: Tensor
    offset: Tensor
    positions: Tensor | None = None

    def rows(self, rows: int) -> State:
        """The state for a batch of ``rows``: each row repeated where a cache was expanded (beams, several return
        sequences).
        """
        have = self.layout.rows
        if rows == have:
            return self
        if rows % have:
            raise ModelError(f"the cache was filled with a batch of {have}, this call has {rows} rows; prefill again")
        times = rows // have
        return replace(
            self,
            layout=self.layout.repeat(times),
            origin=self.origin.repeat_interleave(times, 0),
            offset=self.offset.repeat_interleave(times, 1),
            positions=None if self.positions is None else self.positions.repeat_interleave(times, 1),
        )


def of(cache: Any) -> State | None:
    """The state a cache carries."""
    return getattr(cache, SLOT, None)


def keep(cache: Any, state: State) -> None:
    """Put ``state`` on ``cache``."""
    setattr(cache, SLOT, state)
