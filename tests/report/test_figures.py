from __future__ import annotations

import copy
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from bapa.report.figures import differences, heatmaps, save
from tests.report.fakes import FLAT, SKEWED, fake_bias


@pytest.fixture(scope="module")
def runs() -> list:
    return [("one", fake_bias({"native": SKEWED, "bapa": FLAT})), ("two", fake_bias({"native": SKEWED}))]


def test_a_map_for_every_run_and_scheme(runs: list, tmp_path: Path) -> None:
    figure = heatmaps(runs)
    written = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    cells = runs[0][1]["schemes"]["native"]["cells"]
    assert [f"{100 * cell['auc']['value']:.0f}" for cell in cells] == written[0][:9]
    assert written[3] == []  # the second run was not measured under bapa
    for name in ("map.png", "map.svg"):
        save(figure, tmp_path / name, name[-3:])
    assert Image.open(tmp_path / "map.png").width > 600
    assert ElementTree.parse(tmp_path / "map.svg").getroot().tag.endswith("svg")


def test_differences_leave_out_the_base(runs: list) -> None:
    figure = differences(runs)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles.count("bapa") == 1
    assert "native" not in titles
    first = runs[0][1]["schemes"]
    change = first["bapa"]["cells"][0]["auc"]["value"] - first["native"]["cells"][0]["auc"]["value"]
    assert figure.axes[0].texts[0].get_text().replace("−", "-") == f"{100 * change:+.0f}"


def test_the_same_run_gives_the_same_bytes(runs: list, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg", "a.png", "b.png", "a.pdf", "b.pdf"):
        save(heatmaps(runs), tmp_path / name, name[-3:])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_dark_differs_in_ground_only(runs: list, tmp_path: Path) -> None:
    for name, dark in (("light.png", False), ("dark.png", True)):
        save(heatmaps(runs, dark=dark), tmp_path / name, "png")
    light, dark_picture = (Image.open(tmp_path / name).convert("L") for name in ("light.png", "dark.png"))
    assert light.size == dark_picture.size
    assert light.getpixel((2, 2)) > 200
    assert dark_picture.getpixel((2, 2)) < 50


@pytest.mark.parametrize("name", ["cost$5_$9", "a/very" + "-long" * 40 + "-name"])
def test_any_name_of_a_model_leaves_the_maps_their_room(runs: list, name: str, tmp_path: Path) -> None:
    figure, plain = heatmaps([(name, runs[0][1])]), heatmaps([("one", runs[0][1])])
    for kind, drawn in (("named.svg", figure), ("plain.svg", plain)):
        save(drawn, tmp_path / kind, "svg")
    one, two = (drawn.axes[0].get_position().bounds for drawn in (figure, plain))
    assert one == pytest.approx(two)
    (title,) = [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"][-1:]
    assert title == name or (title.startswith("…") and name.endswith(title[1:]))


def test_names_stand_inside_the_picture_and_on_nothing_else(runs: list, tmp_path: Path) -> None:
    figure = heatmaps(runs)
    save(figure, tmp_path / "map.png", "png")  # lays it out
    renderer = figure.canvas.get_renderer()
    boxes = [(text, text.get_window_extent(renderer)) for ax in figure.axes for text in ax.texts if text.get_text()]
    names = [(text, box) for text, box in boxes if text.get_text() in ("one", "two")]
    assert len(names) == 2
    for name, box in names:
        assert box.y1 <= figure.bbox.y1
        others = [other for text, other in boxes if text is not name and text.get_alpha() != 0]
        assert not any(box.overlaps(other) for other in others)


def test_a_run_that_read_no_answer_has_empty_maps(runs: list, tmp_path: Path) -> None:
    silent = copy.deepcopy(runs[0][1])
    for scheme in silent["schemes"].values():
        for figure in (*scheme["cells"], scheme["overall"]):
            for name, its in figure.items():
                if isinstance(its, dict) and "value" in its:
                    figure[name] = {**its, "value": None, "low": None, "high": None}
    for draw in (heatmaps, differences):
        figure = draw([("silent", silent)])
        assert not any(text.get_text().isdigit() for ax in figure.axes for text in ax.texts)
        save(figure, tmp_path / "map.svg", "svg")
    both = heatmaps([("silent", silent), runs[1]])
    assert any(text.get_text().isdigit() for ax in both.axes for text in ax.texts)
