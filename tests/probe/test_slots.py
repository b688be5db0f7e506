"""Kinds of slots: images of a prompt, frames of a clip, regions of a page, places of a scene, sizes, aspect ratios."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Columns, Design, Probe, build, fonts, render
from bapa.probe.compose import over, scaled
from bapa.probe.slots import Slots
from tests.probe.conftest import write_folder

KINDS = ("images:4", "frames:3", "page", "scene", "crop", "sizes:4", "aspects:3")


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Probe]:
    folder = tmp_path_factory.mktemp("slots")
    made = {kind: build("digits", folder / kind.replace(":", ""), Design(slots=kind, items=5)) for kind in KINDS}
    return {**made, "grid": build("digits", folder / "grid", Design(items=5))}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"slots": "images"}, "slots = 'images': accepted are grid, page, scene and crop, and with N from 2 to 12"),
        ({"slots": "sizes"}, "sizes:N"),
        ({"slots": "crop:3"}, "accepted are"),
        ({"slots": "sizes:4", "task": "where"}, "with sizes:4 the target stays in its place; use match, choice or vqa"),
        ({"slots": "aspects:3", "distractors": "source"}, "a picture of aspects:3 shows the target alone"),
        ({"slots": "crop", "background": "white"}, "with crop the window moves over a natural picture"),
        ({"slots": "images:1"}, "2 to 12"),
        ({"slots": "images:13"}, "2 to 12"),
        ({"slots": "page:9"}, "accepted are"),
        ({"slots": "images:4", "rows": 2}, "images:4 stand in one line of 4: drop --rows and --cols"),
        ({"slots": "scene", "distractors": "similar"}, "a scene shows the target alone"),
        ({"slots": "page", "task": "count"}, "nothing can be counted on a page"),
        ({"slots": "frames:4", "task": "evidence"}, "with frames:4 use match or where"),
    ],
)
def test_slots_that_cannot_be_are_one_clear_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Design(**options)
    assert says in str(error.value)


def test_a_probe_of_a_grid_is_what_it_was_before_there_were_others(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "P", Design(items=3, slots="grid"))
    assert "slots" not in json.loads((probe.path / "probe.json").read_text())["design"]
    assert probe.slots == Slots("grid", 3, 3)
    assert build("digits", probe.path, Design(items=3)).fingerprint == probe.fingerprint, "the same probe"
    # The fingerprint of this probe before slots were named: python -m bapa probe digits --items 3, at f5fb8c0.
    assert probe.fingerprint == "f936242eebed6739204cddeb600da70aead8ce6975f06f39cf4ae71752d45736"


@pytest.mark.parametrize("kind", ["images:4", "frames:3"])
def test_the_target_goes_through_the_pictures_and_the_others_stay(probes: dict[str, Probe], kind: str) -> None:
    probe = Probe.load(probes[kind].path)
    count = probe.slots.count
    assert (probe.rows, probe.cols, probe.slots.label) == (1, count, kind)
    for item in probe.items:
        target = probe.tile(item.target)
        for slot in range(count):
            pictures = probe.cut(probe.compose(item, slot))
            assert [picture.shape for picture in pictures] == [(24, 24, 3)] * count
            assert [np.array_equal(picture, target) for picture in pictures] == [k == slot for k in range(count)]
            others = sorted(picture.tobytes() for k, picture in enumerate(pictures) if k != slot)
            assert others == sorted(probe.tile(tile).tobytes() for tile in item.layout if tile != item.target)


def test_one_picture_is_not_cut(probes: dict[str, Probe]) -> None:
    for kind in ("grid", "page", "scene", "crop"):
        canvas = probes[kind].compose(probes[kind].items[0], 4)
        (only,) = probes[kind].cut(canvas)
        assert only is canvas


@pytest.mark.parametrize(
    ("slots", "answers", "choices"),
    [
        ("images:4", None, ("1", "2", "3", "4")),
        ("images:4", "letters", ("A", "B", "C", "D")),
        ("images:4", "words", ("one", "two", "three", "four")),
        ("frames:10", None, tuple("ABCDEFGHIJ")),  # 10 is several tokens to many tokenizers
    ],
)
def test_which_image_is_answered_by_its_index(
    folder: Path, tmp_path: Path, slots: str, answers: str | None, choices: tuple[str, ...]
) -> None:
    probe = build(str(folder), tmp_path / "P", Design(slots=slots, task="where", answers=answers, cell=16, items=3))
    word = slots.split("s:")[0]
    for slot in range(probe.cells):
        (question,) = probe.questions(probe.items[0], slot)
        assert (question.kind, question.answer, question.choices) == (f"where_{word}", choices[slot], choices)
        assert f"The first is {choices[0]}, the last is {choices[-1]}." in question.text
        assert probe.items[0].caption in question.text


def test_reference_models_are_asked_in_words_they_know(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "P", Design(slots="images:2", task="where", items=3))
    (question,) = probe.questions(probe.items[0], 1)
    assert question.text == f"In which image is {probe.items[0].caption}? Answer with one word."
    assert (question.answer, question.choices) == ("two", ("one", "two"))


def test_words_of_each_kind(folder: Path, tmp_path: Path) -> None:
    said = {}
    for kind in ("grid", *KINDS):
        design = Design(slots=kind, cell=48, items=2, **({"rows": 2, "cols": 2} if ":" not in kind else {}))
        probe = build(str(folder), tmp_path / kind.replace(":", ""), design)
        said[kind] = probe.questions(probe.items[0], 0)[0].text.splitlines()[0]
    assert said["grid"] == "Does any of the sub-images in this image match the following text?"
    assert said["images:4"] == "Does any of these images match the following text?"
    assert said["frames:3"] == "Does any of the frames of this video match the following text?"
    assert said["page"] == "Does any of the sentences on this page match the following text?"
    assert said["scene"] == "Does any of the objects in this image match the following text?"


def test_a_page_is_a_sheet_of_filler_with_captions_in_its_regions(probes: dict[str, Probe]) -> None:
    probe = probes["page"]
    assert (probe.width, probe.height) == (840, 1188), "A4 at 100 dots an inch"
    assert probe.source["font"] == fonts.name()
    item, tall = probe.items[0], probe.design.tall
    sheet = probe.tile(item.background)
    for slot in (0, 4, 8):
        page = probe.compose(item, slot)
        strip = probe.tile(item.target)
        row, col = divmod(slot, 3)
        top = row * tall + (tall - len(strip)) // 2
        assert np.array_equal(page[top : top + len(strip), col * 280 : (col + 1) * 280], strip)
        assert strip.min() < 80, "there is ink on it"
        under = sheet[top : top + len(strip), col * 280 : (col + 1) * 280]
        assert under.min() == 255, "filler leaves room for it"
        assert np.array_equal(page[:top:7], probe.compose(item, 0)[:top:7]) or slot, "the rest is the same page"
    assert (sheet < 128).mean() > 0.02, "and the page is full of text"
    assert len({probe.tile(tile).tobytes() for tile in range(probe.tiles)}) == probe.tiles


def test_what_the_font_cannot_write_or_does_not_fit_is_left_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows[0]["caption"] = "a cat called \U000f0000"
    rows[1]["caption"] = "very " * 200 + "long"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    probe = build(str(folder), tmp_path / "P", Design(slots="page", cell=120))
    reasons = sorted(entry.reason for entry in probe.left_out)
    assert len(reasons) == 2, reasons
    assert reasons[0].startswith("its 1004 letters do not fit a region of 120 x")
    assert reasons[1] == f"the font {fonts.name()} has no '\\U000f0000'"


def test_evidence_asks_for_the_answer_and_for_the_region(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "P", Design(slots="page", task="evidence", items=3))
    kinds = {question.kind: question for question in probe.questions(probe.items[0], 5)}
    assert list(kinds) == ["present", "absent", "lure", "where_row", "where_col"]
    assert (kinds["where_row"].answer, kinds["where_col"].answer) == ("middle", "right")
    assert kinds["where_row"].text == f"In which row is {probe.items[0].caption}? Answer with one word."


def test_a_scene_is_a_photograph_with_one_thing_in_it(probes: dict[str, Probe]) -> None:
    probe = probes["scene"]
    item = probe.items[0]
    photo, ink = probe.tile(item.background), probe.tile(item.target)
    assert ink.shape == (24, 24, 4)
    for slot in range(9):
        scene = probe.compose(item, slot)
        row, col = divmod(slot, 3)
        inside = np.zeros(scene.shape[:2], bool)
        inside[row * 24 : row * 24 + 24, col * 24 : col * 24 + 24] = True
        assert np.array_equal(scene[~inside], photo[~inside]), "the true background"
        cell = scene[inside].reshape(24, 24, 3)
        clear, solid = ink[..., 3] == 0, ink[..., 3] == 255
        assert np.array_equal(cell[clear], photo[inside].reshape(24, 24, 3)[clear]), "and it shows around the ink"
        assert np.array_equal(cell[solid], ink[..., :3][solid])
        assert clear.any()
        assert solid.any()


def test_scenes_of_photographs_set_some_aside(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", Design(slots="scene", cell=32, items=4))
    aside = {item.background for item in probe.items}
    assert min(aside) == probe.tiles - 8
    assert all(set(item.layout) == {-1, item.target} for item in probe.items)


def test_a_crop_moves_a_window_over_one_scene(probes: dict[str, Probe]) -> None:
    probe = probes["crop"]
    item = probe.items[0]
    photo = probe.tile(item.background)
    assert photo.shape == (5 * 24, 5 * 24, 3)
    for other in range(9):
        row, col = divmod(other, 3)
        whole = photo.copy()  # with the target where the window puts it
        top, left = 48, 48
        whole[top : top + 24, left : left + 24] = over(photo[top : top + 24, left : left + 24], probe.tile(item.target))
        window = whole[(2 - row) * 24 :, (2 - col) * 24 :][:72, :72]
        assert np.array_equal(probe.compose(item, other), window), "all around the target moves with it"


def test_a_crop_of_a_photograph_keeps_its_own_background(folder: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    noise = np.random.default_rng(0).integers(0, 256, (24, 300, 400, 3), dtype=np.uint8)
    boxes: list[object] = [[150 + n, 120, 64, 32] for n in range(24)]
    boxes[:3] = [[150, 120, 300, 32], "somewhere", [20, 120, 64, 32]]
    for row, pixels, box in zip(rows, noise, boxes, strict=True):
        Image.fromarray(pixels).save(folder / row["file_name"])
        row["box"] = box
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    design = Design(slots="crop", rows=2, cols=2, cell=32)
    probe = build(str(folder), tmp_path / "P", design, columns=Columns(box="box"))
    reasons = sorted(entry.reason for entry in probe.left_out)
    assert len(probe.items) == 21
    assert reasons == [
        "a window in which its box visits every place needs 44 px more of the picture than there are",
        "its box [150, 120, 300, 32] does not lie in its 400 x 300 px",
        "its box is 'somewhere'; write [left, top, width, height] in pixels",
    ]
    wide = Design(slots="crop", rows=2, cols=2, cell=280)
    with pytest.raises(ProbeError, match=r"needs \d+ px more .* there are; take cells of fewer than 280 px: --cell N"):
        build(str(folder), tmp_path / "wide", wide, columns=Columns(box="box"))
    item = next(item for item in probe.items if item.caption == rows[10]["caption"])
    left, top, width, height = boxes[10]  # type: ignore[misc]
    x, y = left + width / 2, top + height / 2  # a box of 64 px becomes a cell of 32: half the size
    for slot in range(4):
        row_, col = divmod(slot, 2)
        shown = probe.compose(item, slot)
        start = (x - 32 - 64 * col, y - 32 - 64 * row_)
        own = Image.fromarray(noise[10]).resize(
            (64, 64), Image.Resampling.LANCZOS, (*start, start[0] + 128, start[1] + 128)
        )
        assert shown.shape == (64, 64, 3)
        assert np.abs(shown[4:-4, 4:-4].astype(int) - np.asarray(own)[4:-4, 4:-4]).max() <= 1
    with pytest.raises(ConfigError, match="--slots crop"):
        build(str(folder), tmp_path / "Q", Design(cell=32), columns=Columns(box="box"))


@pytest.mark.parametrize("kind", ["sizes:4", "aspects:3"])
def test_a_target_changes_in_the_middle_of_one_picture(probes: dict[str, Probe], kind: str) -> None:
    probe = Probe.load(probes[kind].path)
    assert (probe.height, probe.width, probe.rows, probe.cols) == (72, 72, 1, int(kind[-1]))
    item, sizes = probe.items[0], []
    for slot in range(probe.cells):
        canvas = probe.compose(item, slot)
        assert canvas.shape == (72, 72, 3)
        assert probe.cut(canvas) == [canvas]
        rows, cols = (np.flatnonzero((canvas != probe.colour).any(-1).any(axis)) for axis in (1, 0))
        left, top, wide, high = (72 * share for share in probe.slots.box(slot))
        sizes.append((wide, high))
        assert top - 1 <= rows[0]
        assert rows[-1] < top + high + 1
        assert left - 1 <= cols[0]
        assert cols[-1] < left + wide + 1
        tile = probe.tile(item.target)
        inner = canvas[(72 - round(high)) // 2 :, (72 - round(wide)) // 2 :][: round(high), : round(wide)]
        assert np.abs(inner.mean((0, 1)) - tile.mean((0, 1))).max() < 1, "the same content"
    if kind == "sizes:4":
        assert np.allclose([wide for wide, _ in sizes], 72 * 0.25 ** np.array([1, 2 / 3, 1 / 3, 0]))
        assert np.array_equal(probe.compose(item, 3), probe.tile(item.target)), "the largest is as large as the picture"
    else:
        assert np.allclose([wide / high for wide, high in sizes], [0.5, 1, 2])
        assert np.allclose([wide * high for wide, high in sizes], 72**2 / 2), "and no larger"


@pytest.mark.parametrize("size", [(7, 5), (20, 20), (13, 31)])
def test_scaling_takes_the_mean_of_the_area_that_a_pixel_covers(size: tuple[int, int]) -> None:
    tile = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    width, height = size
    fine = tile.repeat(height, 0).repeat(width, 1).astype(float)  # every pixel of both is whole
    means = fine.reshape(height, 20, width, 20, 3).mean((1, 3))
    assert np.abs(scaled(tile, width, height) - means).max() <= 0.5 + 1e-9


def test_mixing_is_exact_at_both_ends() -> None:
    below = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tile = np.full((16, 16, 4), 200, np.uint8)
    for opacity, expected in ((0, below), (255, tile[..., :3])):
        tile[..., 3] = opacity
        assert np.array_equal(over(below, tile), expected)
    tile[..., 3] = 128
    exact = (200 * 128 + below.astype(float) * 127) / 255
    assert np.abs(over(below, tile) - exact).max() <= 0.5


def test_rendering_writes_pictures_of_their_own(probes: dict[str, Probe], tmp_path: Path) -> None:
    out = render(probes["images:4"], tmp_path / "out")
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert len(lines) == 5 * 4
    assert lines[2]["files"] == [f"000000_002_{k:02}.png" for k in range(4)]
    assert lines[2]["file_name"] == "000000_002_02.png"
    assert len(list(out.glob("*.png"))) == 5 * 4 * 4


def test_who_needs_one_picture_says_so_beforehand(probes: dict[str, Probe], tmp_path: Path) -> None:
    from bapa.integrations.lmms_eval.task import write_task
    from bapa.origin.options import check_slots

    with pytest.raises(
        ConfigError, match=r"frames of one clip, and bapa origin .*grid \(or page, scene, crop, images:8"
    ):
        check_slots(probes["frames:3"])
    check_slots(probes["images:4"])
    with pytest.raises(
        ConfigError, match=r"frames of one clip, and a task of lmms-eval .*grid \(or page, scene, crop\)"
    ):
        write_task(probes["frames:3"], tmp_path / "task")
    assert not (tmp_path / "task").exists()
    check_slots(probes["page"])
    check_slots(probes["scene"])
    check_slots(probes["crop"])
    with pytest.raises(ConfigError, match=r"are sizes in one place, and bapa origin exchanges .* --slots grid"):
        check_slots(probes["sizes:4"])


@pytest.mark.parametrize(
    ("slots", "name", "where", "said"),
    [
        (Slots("grid", 3, 3), "row 2, column 3", "at the middle right", "the worst cell of all cells"),
        (Slots("images", 1, 8), "image 6", "in image 6", "the worst image of all images"),
        (Slots("frames", 1, 8), "frame 6", "in frame 6", "the worst frame of all frames"),
        (Slots("page", 3, 3), "row 2, column 3", "at the middle right", "the worst region of all regions"),
        (Slots("scene", 3, 3), "row 2, column 3", "at the middle right", "the worst place of all places"),
        (Slots("crop", 3, 3), "row 2, column 3", "at the middle right", "the worst place of all places"),
        (Slots("sizes", 1, 6), "size 100 %", "at size 100 %", "the worst size of all sizes"),
        (
            Slots("aspects", 1, 6),
            "aspect ratio 2:1",
            "at aspect ratio 2:1",
            "the worst aspect ratio of all aspect ratios",
        ),
    ],
)
def test_what_people_call_a_slot(slots: Slots, name: str, where: str, said: str) -> None:
    assert slots.name(5) == name
    assert slots.where(5) == where
    assert slots.say("the worst cell of all cells") == said
    assert slots.say("the place matters") == f"the {slots.word if slots.varied else 'place'} matters"
    assert slots.say("Cells cancel") == f"{slots.words.capitalize()} cancel"
    assert Slots.of({"rows": slots.rows, "cols": slots.cols, **slots.record}) == slots


def test_the_middle_of_nine_is_the_very_centre() -> None:
    assert Slots("grid", 3, 3).where(4) == "at the very centre"
    assert Slots("grid", 5, 5).where(4) == "in row 1, column 5"
    assert Slots("grid", 1, 3).where(0) == "at the left"
