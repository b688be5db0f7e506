"""BaPA told a second time, token by token in plain Python: what the vectorised rule is checked against."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]


def shared_positions(length: int, spans: Sequence[Span], distance: float | str = 1, start: int = 0) -> list[float]:
    """Positions of an unpadded row of ``length`` tokens; images stand at ``spans`` (first column, past the last)."""
    position: float = start
    found: list[float] = []
    for column in range(length):
        span = next((s for s in spans if s[0] <= column < s[1]), None)
        found.append(position)
        if span is None:
            position += 1
        elif column == span[1] - 1:
            position += span[1] - span[0] if distance == "native" else float(distance)
    return found
