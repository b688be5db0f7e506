"""Options: their text form, what they accept, the grid a rule needs, the table of all schemes."""

from __future__ import annotations

import json

import pytest
import torch

from bapa.errors import SchemeError
from bapa.layout import Grid, Image
from bapa.schemes import SCHEMES, make, names, parse, table
from bapa.schemes.base import GridScheme
from bapa.schemes.null import Null
from bapa.schemes.part import read_layers
from tests.schemes.placing import EVERY, GRID, placed


@pytest.mark.parametrize("scheme", EVERY)
def test_labels_round_trip(scheme: str) -> None:
    rule = parse(scheme)
    assert parse(rule.label) == rule
    assert parse(rule.label).label == rule.label
    assert {k: type(v) for k, v in parse(rule.label).options.items()} == {k: type(v) for k, v in rule.options.items()}


def test_a_label_that_drops_an_option_is_caught() -> None:
    assert parse(Null(k=-3).label.partition(":")[0]) != Null(k=-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stride:delta=0", "delta=0: a number from 1e-6 on"),
        ("stride:delta=nan", "delta=nan"),
        ("stride:delta=true", "delta=True"),
        ("bapa:distance=true", "distance=True: a positive number"),
        ("concentric:merged=-1", "merged=-1: a whole number from 0 on"),
        ("pyramid:interval=0", "interval=0: a whole number of layers from 1 on"),
        ("pyramid:interval=1.5", "interval=1.5"),
        ("circle:radius=0", 'radius=0: a positive number or "auto"'),
        ("circle:radius=wide", "radius='wide'"),
        ("circle:alpha=1.1", "alpha=1.1: a number from 0 to 1"),
        ("circle:alternate=odd", "alternate='odd': one of even, first, last, all"),
        ("shuffle:seed=-1", "seed=-1: a whole number from 0 on"),
        ("null:k=0.5", "k=0.5: a whole number"),
        ("vrope:scope=row", "scope='row': one of image, tile, frame, global"),
        ("stride:delta=1,delta=2", "'delta' stands twice"),
    ],
)
def test_options_out_of_range(text: str, message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        parse(text)


ON_A_GRID = [name for name, kind in SCHEMES.items() if issubclass(kind, GridScheme)]


@pytest.mark.parametrize("scheme", ON_A_GRID)
def test_rules_on_a_grid_need_one_that_fits(scheme: str) -> None:
    with pytest.raises(SchemeError, match=f"{scheme!r} needs the patch grid of an image; none is known for 12 tokens"):
        parse(scheme).place(Image(torch.arange(12)))
    with pytest.raises(SchemeError, match="13 image tokens do not fit on 3 x 4 patches"):
        parse(scheme).place(Image(torch.arange(13), GRID))


@pytest.mark.parametrize("grid", [Grid(1, 6), Grid(6, 1), Grid(1, 1)])
def test_circle_refuses_grids_without_directions(grid: Grid) -> None:
    with pytest.raises(SchemeError, match="needs two rows and two columns"):
        placed("circle", grid)


def test_the_table_lists_every_scheme_as_its_class_declares_it() -> None:
    rows = {row.name: row for row in table()}
    assert list(rows) == names()
    assert {name for name, row in rows.items() if row.axes == 3} == {"mrope", "spatial_reset", "diagonal", "circle"}
    ranked = {"concentric", "manhattan", "pyramid", "reverse"}
    assert {name for name, row in rows.items() if row.attention == "ranked"} == ranked
    options = {o.name: (o.accepts, o.default) for o in rows["circle"].options}
    assert options["radius"] == ("float | auto", 10)
    assert options["alternate"] == ("even | first | last | all", "even")
    assert all(row.summary.endswith(".") and "`" not in row.summary for row in rows.values())
    assert all("arXiv" in row.paper for name, row in rows.items() if name not in ("native", "shuffle", "null"))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("bapa:layers=0-5,-1", "bapa:layers=0-5+-1"),
        ("bapa:layers=0-5+-1", "bapa:layers=0-5+-1"),
        ("bapa:layers=3", "bapa:layers=3"),
        ("bapa:layers=-4--1,pairs=cross", "bapa:pairs=cross,layers=-4--1"),
        ("bapa:channels=0-3,8-15,distance=native", "bapa:channels=0-3+8-15,distance=native"),
        ("bapa:channels=wave<0.75x,wave>4.5x", "bapa:channels=wave<0.75x+wave>4.5x"),
        ("bapa:channels=1x-4x,layers=even,blend=0.25", "bapa:layers=even,channels=1x-4x,blend=0.25"),
        ("native:image_attention=soft:0.5,layers=0-3", "native:image_attention=soft:0.5,layers=0-3"),
        ("bapa:shares=0:0f,3:a0", "bapa:shares=0:0f+3:a0"),
        ("imccd:layers=all", "imccd:layers=all"),
        ("imccd:blend=0.2", "imccd"),
    ],
)
def test_lists_may_hold_commas_and_labels_hold_none(text: str, label: str) -> None:
    assert parse(text).label == label
    assert parse(label) == parse(text)
    record = parse(text).options
    assert make(parse(text).name, **json.loads(json.dumps(record))) == parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bapa:layers=5-2", "layers='5-2': all, none, even, odd, or numbers"),
        ("bapa:layers=-1-3", "layers='-1-3'"),
        ("bapa:layers=some", "layers='some'"),
        ("bapa:channels=wave<x", "channels='wave<x': all, none, or numbers and wavelengths"),
        ("bapa:channels=-1", "channels='-1'"),
        ("bapa:channels=4x-1x", "channels='4x-1x'"),
        ("bapa:distance=2,8-15", "'8-15' in scheme"),
        ("bapa:pairs=text", "pairs='text': one of all, cross, text-to-image"),
        ("bapa:blend=1.5", "blend=1.5: a number from 0 to 1"),
        ("bapa:blend=true", "blend=True"),
        ("bapa:shares=0", "shares='0': all, or LAYER:DIGITS"),
        ("bapa:shares=0:f0+0:0f", "shares='0:f0\\+0:0f'"),
        ("bapa:shares=0:f0,blend=0.5", "leave out blend"),
        ("bapa:image_attention=soft:0", "image_attention='soft:0': one of native, ranked, bidirectional, soft:SIGMA"),
        ("bapa:image_attention=soft:2", "image_attention='soft:2'"),
        ("cmpc:s=0.5", "s=0.5: a number from 1 on"),
        ("restore:c=1", "c=1: a number above 1"),
        ("sofa:sigma=0", "sigma=0: a number above 0 up to 1"),
    ],
)
def test_parts_out_of_range(text: str, message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "layers", "of"),
    [
        ("all", [0, 1, 2, 3, 4], 5),
        ("none", [], 5),
        ("even", [0, 2, 4], 5),
        ("odd", [1, 3], 5),
        ("0-5", [0, 1, 2], 3),
        ("-2--1", [3, 4], 5),
        ("1--2", [1, 2, 3], 5),
        ("0+-1", [0, 4], 5),
        ("7", [], 5),
        ("-9", [], 5),
        ("20%-100%", [*range(6, 30)], 30),
        ("20%-100%", [*range(4, 18)], 18),
        ("30%-100%", [*range(5, 18)], 18),
        ("20%-100%", [1, 2, 3], 4),
        ("0%-50%", [0, 1], 4),
        ("0%-50%+-1", [0, 1, 4], 5),
        ("0%-100%", [0], 1),
    ],
)
def test_layers_are_counted_from_either_end(text: str, layers: list[int], of: int) -> None:
    read = read_layers(text)
    assert read is not None
    assert sorted(read.of(of)) == layers


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30])
def test_depths_that_meet_share_no_layer_and_leave_none_out(count: int) -> None:
    parts = [read_layers(text) for text in ("0%-20%", "20%-65%", "65%-100%")]
    found = [layer for part in parts if part for layer in part.of(count)]
    assert sorted(found) == list(range(count))


@pytest.mark.parametrize("text", ["50%-20%", "20%-20%", "20%-101%", "20%", "20%--1", "%-100%"])
def test_depths_out_of_range(text: str) -> None:
    with pytest.raises(SchemeError, match="20%-100%"):
        parse(f"bapa:layers={text}")
