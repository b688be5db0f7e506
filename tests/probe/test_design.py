from __future__ import annotations

import pytest

from bapa.errors import ConfigError
from bapa.probe import Design


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rows": 13}, "rows = 13: input should be less than or equal to 12"),
        ({"rows": 1, "cols": 1}, "use at least two cells"),
        ({"placement": "shuffle"}, "'swap', 'latin' or 'insertion'"),
        ({"cell": 100, "patch": 14}, "use a cell of 98 or 112 px"),
        ({"colour": "red"}, "unknown design option 'colour'; known: rows"),
        ({"prompts": ("Is it there?",)}, "must hold {caption}"),
        ({"prompts": ("Is {caption} {size}?",)}, "no other field"),
        ({"prompts": ("Is {caption there?",)}, "write a brace as"),
        ({"prompts": ("Is {caption:d} there?",)}, "write a field as its name in braces"),
        ({"prompts": ("Is {caption!z} there?",)}, "write a field as its name in braces"),
        ({"prompts": ("Is {caption:{caption}} there?",)}, "write a field as its name in braces"),
        ({"task": "vqa", "prompts": ("Is {caption} there?",)}, "must hold {question}, optionally {caption}"),
        ({"seed": -1}, "seed = -1"),
        (
            {"task": "where", "rows": 1, "lines": ("row",)},
            "with one row only columns can be asked about: drop --line row",
        ),
        ({"task": "evidence", "rows": 1, "lines": ("row",)}, "drop --line row"),
        ({"task": "where", "cols": 1, "lines": ("column",)}, "only rows can be asked about: drop --line column"),
        ({"task": "evidence", "cols": 1, "lines": ("column", "column"), "slots": "page"}, "drop --line column"),
    ],
)
def test_bad_options_are_one_clear_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Design(**options)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", ["where", "evidence"])
@pytest.mark.parametrize("shape", [{"rows": 1}, {"cols": 1}])
def test_one_line_leaves_the_other_to_be_asked_about(task: str, shape: dict[str, int]) -> None:
    for lines in (("column",) if "rows" in shape else ("row",), ("row", "column")):
        assert Design(task=task, lines=lines, **shape).lines == lines


def test_what_was_chosen_wins_over_what_suits_the_source() -> None:
    design = Design(cell=48).filled(cell=24, background="grey", items=240)
    assert (design.cell, design.background, design.items) == (48, "grey", 240)


def test_whole_patches_are_checked_once_the_cell_is_known() -> None:
    with pytest.raises(ConfigError, match="use a cell of 14 or 28 px"):
        Design(patch=14).filled(cell=24)
