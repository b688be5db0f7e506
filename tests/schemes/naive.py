"""BaPA told a second time, token by token in plain Python: what the vectorised rule is checked against."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]


def shared_positions(
    feature: Sequence[bool], spans: Sequence[Span], distance: float | str = 1, start: int = 0
) -> list[float]:
    """Positions of an unpadded row of tokens.

    ``feature``: which tokens carry picture features. ``spans``: first column and past-the-last of each image; tokens
    inside a span that carry no features are tags, and count on as text.
    """
    cursor: float = start  # where text goes next
    found: list[float] = []
    for column, shown in enumerate(feature):
        span = next((s for s in spans if s[0] <= column < s[1]), None)
        if span is not None and column == span[0]:
            shared = cursor
        if not shown:
            found.append(cursor)
            cursor += 1
        else:
            found.append(shared)
            if distance == "native":
                cursor += 1
            elif column == span[0]:
                cursor += float(distance)
    return found
