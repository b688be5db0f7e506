from __future__ import annotations

import json
import os
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Columns, Design, Probe, build
from bapa.probe.placement import EMPTY
from bapa.probe.tile import caption_key

from .conftest import picture, write_folder

SMALL = Design(rows=2, cols=2, cell=32)


def captions(probe: Probe) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(probe.path / "tiles.parquet", columns=["caption"])["caption"].to_pylist()


@pytest.mark.parametrize("distractors", ["source", "similar", "none"])
@pytest.mark.parametrize("group", [None, "noun"])
def test_target_is_the_only_right_answer(folder: Path, tmp_path: Path, distractors: str, group: str | None) -> None:
    design = Design(rows=3, cols=3, cell=32, distractors=distractors)
    probe = build(str(folder), tmp_path / "P", design, columns=Columns(group=group))
    names = captions(probe)
    assert sorted(item.target for item in probe.items) == list(range(24))
    for item in probe.items:
        shown = [names[tile] for tile in item.layout if tile != EMPTY]
        assert len(shown) == (1 if distractors == "none" else 9) == len(set(shown))
        assert item.layout[item.home] == item.target
        assert names[item.target] == item.caption
        assert not {item.absent, item.near_miss} & set(shown)
        assert item.absent != item.near_miss


def test_each_caption_is_asked_about_as_often_absent_as_present(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", SMALL)
    present, absent = (Counter(getattr(item, kind) for item in probe.items) for kind in ("caption", "absent"))
    assert sum((present - absent).values()) <= 1  # the last item may find no partner left
    homes = Counter(item.home for item in probe.items)
    assert set(homes.values()) == {6}


def test_near_miss_shares_the_group_or_else_a_word(folder: Path, tmp_path: Path) -> None:
    grouped = build(str(folder), tmp_path / "G", SMALL, columns=Columns(group="noun"))
    assert all(item.near_miss.split()[-1] == item.caption.split()[-1] for item in grouped.items)
    worded = build(str(folder), tmp_path / "W", SMALL)
    assert all(set(item.near_miss.split()[4:]) & set(item.caption.split()[4:]) for item in worded.items)
    # Where the group is known, what is plainly absent is of another.
    assert all(item.absent.split()[-1] != item.caption.split()[-1] for item in grouped.items)


@pytest.mark.parametrize("placement", ["swap", "latin", "insertion"])
def test_canvas_is_the_pictures_pasted_by_hand(folder: Path, tmp_path: Path, placement: str) -> None:
    import pyarrow.parquet as pq

    probe = build(str(folder), tmp_path / "P", Design(rows=2, cols=3, cell=32, placement=placement))
    names = pq.read_table(probe.path / "tiles.parquet", columns=["where"])["where"].to_pylist()
    paths = [tmp_path / name for name in names]
    item = probe.items[3]
    for cell in range(6):
        order = [tile for tile in item.layout if tile != item.target]
        if placement == "insertion":
            order.insert(cell, item.target)
        elif placement == "swap":
            order = list(item.layout)
            order[item.home], order[cell] = order[cell], item.target
        else:
            order = np.roll(item.layout, cell - item.home).tolist()
        canvas = Image.new("RGB", (96, 64), "white")
        for place, tile in enumerate(order):
            fitted = ImageOps.contain(Image.open(paths[tile]), (32, 32), Image.Resampling.LANCZOS)
            row, col = divmod(place, 3)
            canvas.paste(fitted, (32 * col + (32 - fitted.width) // 2, 32 * row + (32 - fitted.height) // 2))
        np.testing.assert_array_equal(probe.compose(item, cell), np.asarray(canvas))


def test_same_seed_same_probe_other_seed_another(folder: Path, tmp_path: Path) -> None:
    first, again = (build(str(folder), tmp_path / name, SMALL) for name in "AB")
    other = build(str(folder), tmp_path / "C", Design(rows=2, cols=2, cell=32, seed=1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert list(first.items) == list(again.items)
    np.testing.assert_array_equal(first.compose(first.items[5], 2), again.compose(again.items[5], 2))


def test_other_options_leave_targets_and_homes_as_they_were(folder: Path, tmp_path: Path) -> None:
    plain = build(str(folder), tmp_path / "A", SMALL)
    changed = build(
        str(folder), tmp_path / "B", SMALL.model_copy(update={"near_miss": False, "distractors": "similar"})
    )
    assert [(i.target, i.home) for i in plain.items] == [(i.target, i.home) for i in changed.items]


def spoil(folder: Path) -> None:
    """One of each fault."""
    (folder / "00.png").write_bytes((folder / "00.png").read_bytes()[:200])
    (folder / "01.png").write_text("not a picture")
    (folder / "02.png").unlink()
    picture(4).save(folder / "03.png")  # the same as 04.png
    picture(99).save(folder / "99.png")  # without a caption
    picture(98).save(folder.parent / "outside.png")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows[5]["caption"] = "  "
    rows[6]["file_name"] = "../outside.png"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_unusable_pictures_are_listed_and_left_out(folder: Path, tmp_path: Path) -> None:
    spoil(folder)
    probe = build(str(folder), tmp_path / "P", SMALL)
    reasons = {Path(entry.where).name: entry.reason for entry in Probe.load(tmp_path / "P").left_out}
    twin = (reasons.keys() & {"03.png", "04.png"}).pop()
    assert reasons.pop(twin).startswith("the same picture as")
    assert reasons.pop("00.png").startswith("not a readable picture")
    assert reasons == {
        "01.png": "not a readable picture: unknown format",
        "02.png": "no such file",
        "05.png": "no caption",
        "06.png": "no caption",  # no row names it any more
        "outside.png": "leads out of its folder",
        "99.png": "no caption",
    }
    assert len(probe.items) == 24 - 6


def test_strict_makes_them_an_error_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    spoil(folder)
    with pytest.raises(ProbeError, match=r"8 pictures cannot be used, the first: .*\.png: "):
        build(str(folder), tmp_path / "P", SMALL, strict=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside.png", "pictures"]


@pytest.mark.parametrize(
    ("design", "says"),
    [
        (Design(rows=5, cols=5, cell=16), "needs 27 (25 to show, 2 to ask about without showing)"),
        (Design(rows=2, cols=2, cell=16, task="choice", choices=26), "needs 29"),
        (Design(rows=2, cols=2, cell=16, items=25), "25 items asked, the source has 24 pictures"),
    ],
)
def test_too_few_pictures_is_an_error_before_anything_is_written(
    folder: Path, tmp_path: Path, design: Design, says: str
) -> None:
    with pytest.raises(ProbeError) as error:
        build(str(folder), tmp_path / "P", design)
    assert says in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_the_same_call_returns_what_is_there(folder: Path, tmp_path: Path) -> None:
    first = build(str(folder), tmp_path / "P", SMALL)
    written = {path.name: path.stat().st_mtime_ns for path in first.path.iterdir()}
    again = build(str(folder), tmp_path / "P", SMALL)
    assert again.fingerprint == first.fingerprint
    assert {path.name: path.stat().st_mtime_ns for path in again.path.iterdir()} == written


def test_another_config_or_changed_pictures_in_the_same_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    build(str(folder), tmp_path / "P", SMALL)
    with pytest.raises(ConfigError, match=r"design.seed: 0 there, 7 asked"):
        build(str(folder), tmp_path / "P", SMALL.model_copy(update={"seed": 7}))
    (folder / "23.png").write_bytes((folder / "22.png").read_bytes())
    with pytest.raises(ConfigError, match=r"source.stamp"):
        build(str(folder), tmp_path / "P", SMALL)


def test_a_folder_that_holds_anything_else_is_not_touched(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "P").mkdir()
    (tmp_path / "P" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="is not empty and holds no probe"):
        build(str(folder), tmp_path / "P", SMALL)
    assert (tmp_path / "P" / "thesis.txt").read_text() == "years of work"


def test_what_a_killed_build_left_is_cleared(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".P.part").mkdir()
    (tmp_path / ".P.part" / "tiles.parquet").write_text("half")
    build(str(folder), tmp_path / "P", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["P", "pictures"]


def test_unwritable_place_is_one_clear_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProbeError, match=r"cannot write .*P: No space left on device"):
        build(str(folder), tmp_path / "P", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


@pytest.mark.parametrize(("background", "colour"), [("white", (255, 255, 255)), ("grey", (128, 128, 128))])
def test_empty_cells_show_the_background(
    folder: Path, tmp_path: Path, background: str, colour: tuple[int, int, int]
) -> None:
    design = Design(rows=2, cols=2, cell=32, background=background, distractors="none")
    probe = build(str(folder), tmp_path / "P", design)
    item = probe.items[0]
    canvas = probe.compose(item, 3)
    assert (canvas[:32] == colour).all()
    assert (canvas[32:, :32] == colour).all()
    assert (canvas[32:, 32:] != colour).any()


def test_mean_background_is_the_mean_of_the_pictures(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", Design(rows=2, cols=2, cell=32, background="mean"))
    means = [probe.tile(tile).mean((0, 1)) for tile in range(probe.tiles)]
    np.testing.assert_allclose(probe.colour, np.mean(means, axis=0), atol=0.5)


def test_natural_background_is_a_picture_that_is_never_asked_about(folder: Path, tmp_path: Path) -> None:
    design = Design(rows=2, cols=2, cell=32, background="natural", distractors="none")
    probe = build(str(folder), tmp_path / "P", design)
    names = captions(probe)
    backdrops = {item.background for item in probe.items}
    assert len(probe.items) == 24 - 8
    assert backdrops == set(range(16, 24))
    asked = {text for item in probe.items for text in (item.caption, item.absent, item.near_miss)}
    assert not {names[tile] for tile in backdrops} & asked
    item = probe.items[0]
    np.testing.assert_array_equal(probe.compose(item, 3)[:32], probe.tile(item.background)[:32])


def test_damage_and_foreign_folders_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"no probe in .* \(probe.json is missing\)"):
        Probe.load(folder)
    path = build(str(folder), tmp_path / "P", SMALL).path
    whole = shutil.copytree(path, tmp_path / "whole")
    manifest = json.loads((path / "probe.json").read_text())
    manifest["design"]["seed"] = 5
    (path / "probe.json").write_text(json.dumps(manifest))
    with pytest.raises(ProbeError, match="was changed after it was made"):
        Probe.load(path)
    manifest["version"] = 99
    (path / "probe.json").write_text(json.dumps(manifest))
    with pytest.raises(ProbeError, match="version 99"):
        Probe.load(path)
    for name in ("tiles.parquet", "items.parquet"):
        (path / name).write_text("x")
        with pytest.raises(ProbeError, match="cannot be read"):
            Probe.load(path)
        (path / name).unlink()
        with pytest.raises(ProbeError, match=rf"no probe in .* \({name} is missing\)"):
            Probe.load(path)
        shutil.copy(whole / name, path / name)


def test_probe_travels_to_other_processes(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", SMALL)
    copy = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(copy.compose(copy.items[2], 1), probe.compose(probe.items[2], 1))


def test_tiles_cannot_be_written_through_a_canvas(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", SMALL)
    canvas = probe.compose(probe.items[0], 0)
    before = canvas.copy()
    canvas[:] = 0
    np.testing.assert_array_equal(probe.compose(probe.items[0], 0), before)
    with pytest.raises(ValueError, match="read-only"):
        probe.tile(0)[0, 0] = 0


def test_captions_differing_in_case_and_spacing_are_the_same(tmp_path: Path) -> None:
    assert caption_key(" A  Red\tCat ") == caption_key("a red cat") != caption_key("a red bat")
    folder = write_folder(tmp_path / "pictures")
    text = (folder / "metadata.jsonl").read_text().replace("an ivory cat", "AN AMBER  CAT")
    (folder / "metadata.jsonl").write_text(text)
    probe = build(str(folder), tmp_path / "P", Design(rows=3, cols=7, cell=16))
    names = [caption_key(name) for name in captions(probe)]
    assert all(len({names[tile] for tile in item.layout}) == 21 for item in probe.items)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [("[]", r"probe\.json is not a JSON object"), ("{", "cannot be read"), (None, "does not tell its fingerprint")],
)
def test_a_damaged_manifest_is_one_line(folder: Path, tmp_path: Path, manifest: str | None, message: str) -> None:
    path = build(str(folder), tmp_path / "P", SMALL).path / "probe.json"
    whole = json.loads(path.read_text("utf-8"))
    path.write_text(manifest or json.dumps({name: told for name, told in whole.items() if name != "fingerprint"}))
    with pytest.raises(ProbeError, match=message) as error:
        Probe.load(path.parent)
    assert "\n" not in str(error.value)
