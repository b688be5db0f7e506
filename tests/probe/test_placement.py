from __future__ import annotations

from collections import Counter

import pytest

from bapa.probe.placement import EMPTY, PLACEMENTS, arrange

GRIDS = [(3, 3), (1, 4), (2, 5), (12, 12)]


def moves(cells: int, home: int, placement: str) -> list[list[int]]:
    layout = list(range(100, 100 + cells))
    return [arrange(layout, home, cell, placement) for cell in range(cells)]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(("rows", "cols"), GRIDS)
def test_key_goes_through_all_cells_and_no_tile_is_lost(rows: int, cols: int, placement: str) -> None:
    for home in {0, 1, rows * cols - 1}:
        for cell, tiles in enumerate(moves(rows * cols, home, placement)):
            assert tiles[cell] == 100 + home
            assert sorted(tiles) == list(range(100, 100 + rows * cols))


def test_swap_moves_only_the_key_and_the_tile_it_meets() -> None:
    base = list(range(100, 109))
    for cell, tiles in enumerate(moves(9, 4, "swap")):
        assert {place for place in range(9) if tiles[place] != base[place]} == ({4, cell} if cell != 4 else set())


def test_latin_sends_each_tile_to_each_cell_once() -> None:
    for place in range(9):
        assert Counter(tiles[place] for tiles in moves(9, 4, "latin")) == Counter(range(100, 109))


def test_insertion_keeps_the_order_of_the_others() -> None:
    for tiles in moves(9, 4, "insertion"):
        assert [tile for tile in tiles if tile != 104] == [100, 101, 102, 103, 105, 106, 107, 108]


def test_empty_cells_stay_empty() -> None:
    assert arrange([EMPTY, 7, EMPTY, EMPTY], 1, 3, "swap") == [EMPTY, EMPTY, EMPTY, 7]
