"""The items of a probe: which picture is asked about, and what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import overload

import pyarrow as pa


@dataclass(frozen=True)
class Item:
    """One target picture and what surrounds it.

    ``layout`` holds tile ids row by row (-1: empty) with the target standing at ``home``; ``background`` is the tile id
    of a natural background; ``options`` are the captions of a multiple choice in the order of their letters, or the
    other caption of a question about reading order; ``question`` and ``answer`` belong to free VQA, or name what is
    counted and its number.
    """

    item: int
    target: int
    caption: str
    home: int
    layout: tuple[int, ...]
    background: int | None = None
    absent: str | None = None
    near_miss: str | None = None
    options: tuple[str, ...] = ()
    question: str = ""
    answer: str = ""


ITEMS = pa.schema(
    [
        ("item", pa.int32()),
        ("target", pa.int32()),
        ("caption", pa.string()),
        ("home", pa.int16()),
        ("layout", pa.list_(pa.int32())),
        ("background", pa.int32()),
        ("absent", pa.string()),
        ("near_miss", pa.string()),
        ("options", pa.list_(pa.string())),
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)


class Items(Sequence[Item]):
    """The items of a probe, made from their table when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Items: ...
    def __getitem__(self, index: int | slice) -> Item | Items:
        if isinstance(index, slice):
            return Items(self.table.take([*range(len(self))[index]]))
        row = self.table.slice(range(len(self))[index], 1).to_pylist()[0]
        return Item(**{**row, "layout": tuple(row["layout"]), "options": tuple(row["options"])})

    @classmethod
    def of(cls, items: Sequence[Item]) -> Items:
        """Items in a table of their own."""
        rows = [{f.name: getattr(item, f.name) for f in fields(Item)} for item in items]
        return cls(pa.Table.from_pylist(rows, schema=ITEMS))
