from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.layout import Grid
from bapa.report import profiles
from bapa.schemes import make, names


def test_a_picture_of_every_rule_and_its_distances(tmp_path: Path) -> None:
    target = tmp_path / "rules.png"
    result = CliRunner().invoke(app, ["schemes", "--grid", "3x4", "--picture", str(target)])
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in names())
    assert "5.196" in result.output, "PTD of the raster on 3 x 4 with eight text tokens"
    assert Image.open(target).size[0] > 1000


def test_rules_that_are_flat_are_drawn_flat() -> None:
    lines = list(profiles.shown([make("bapa"), make("circle"), make("native")], Grid(6, 6)))
    shades = [ax.images[0].norm(ax.images[0].get_array()) for ax in profiles.draw(lines).axes if ax.images]
    assert [bool(shade.max() - shade.min() < 1e-3) for shade in shades] == [True, True, False]


def test_all_rules_are_drawn_on_one_scale_that_has_a_bar() -> None:
    drawn = profiles.draw(list(profiles.shown([make("bapa"), make("native")], Grid(6, 6))))
    scales = {ax.images[0].get_clim() for ax in drawn.axes if ax.images}
    assert scales == {(0, 36)}
    assert any("positions" in ax.get_xlabel() for ax in drawn.axes)


def test_a_rule_that_a_grid_cannot_carry_is_left_out() -> None:
    found = [line.scheme.name for line in profiles.shown([make("circle"), make("bapa")], Grid(1, 1))]
    assert found == ["bapa"]


@pytest.mark.parametrize("grid", ["3", "0x4", "axb", "3x"])
def test_a_grid_that_is_none(grid: str) -> None:
    result = CliRunner().invoke(app, ["schemes", "--grid", grid])
    assert result.exit_code == 2
    assert "rows x columns are accepted" in result.output
