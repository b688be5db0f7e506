"""The drawings of an installed emoji-datasource package as a source; the package here is a tiny one of our own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Design, build
from bapa.probe.emoji import caption, things


def package(folder: Path, count: int = 24) -> Path:
    """A package with ``count`` animals, one clock face and one flag."""
    drawn = folder / "img" / folder.name.removeprefix("emoji-datasource-") / "64"
    drawn.mkdir(parents=True)
    hand = f"has_img_{folder.name.removeprefix('emoji-datasource-')}"
    names = [f"ANIMAL{number:02}" for number in range(count)] + ["CLOCK FACE ONE OCLOCK", "FLAG"]
    listed = []
    for number, name in enumerate(names):
        category = "Flags" if name == "FLAG" else "Animals & Nature"
        listed.append(
            {"name": name, "unified": f"{number:04X}", "image": f"{number:04x}.png", "short_name": name.lower()}
            | {"category": category, "subcategory": f"group-{number % 2}", hand: True}
        )
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[8:56, 8:56] = (number * 9, 255 - number * 9, 60, 255)
        Image.fromarray(pixels).save(drawn / f"{number:04x}.png")
    (folder / "emoji.json").write_text(json.dumps(listed))
    return folder


def test_a_package_is_a_source(tmp_path: Path) -> None:
    probe = build(str(package(tmp_path / "emoji-datasource-google")), tmp_path / "P", Design(items=10))
    assert len(probe.items) == 10
    assert all(item.caption.startswith("an animal") for item in probe.items)
    corner = probe.compose(probe.items[0], 0)[0, 0]
    assert corner.tolist() == [255, 255, 255]  # what is transparent shows white


def test_clock_faces_and_flags_are_left_out(tmp_path: Path) -> None:
    found = things(package(tmp_path / "emoji-datasource-google"))
    assert len(found) == 24
    assert {thing.group for thing in found} == {"group-0", "group-1"}


def test_older_packages_know_categories_alone(tmp_path: Path) -> None:
    old = package(tmp_path / "emoji-datasource-google")
    listed = json.loads((old / "emoji.json").read_text())
    for entry in listed:
        del entry["subcategory"]
    (old / "emoji.json").write_text(json.dumps(listed))
    assert {thing.group for thing in things(old)} == {"Animals & Nature"}


def test_emoji_finds_the_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    package(tmp_path / "node_modules" / "emoji-datasource-google")
    assert build("emoji", tmp_path / "P", Design(items=9)).source["name"] == "emoji-datasource-google"
    package(tmp_path / "node_modules" / "emoji-datasource-twitter")
    with pytest.raises(ConfigError, match="emoji-datasource-twitter; name the folder of one"):
        build("emoji", tmp_path / "Q", Design(items=9))


def test_a_package_without_pictures_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "emoji-datasource-google"
    folder.mkdir()
    (folder / "emoji.json").write_text("[]")
    with pytest.raises(ProbeError, match="no folder img/google/64 with pictures"):
        build(str(folder), tmp_path / "P")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DOVE", "a dove"),
        ("OWL", "an owl"),
        ("GRAPES", "grapes"),
        ("BUS", "a bus"),
        ("EAR OF MAIZE", "an ear of maize"),
        ("SUN BEHIND CLOUD", "a sun behind cloud"),
        ("RESCUE WORKER\u2019S HELMET", "a rescue worker's helmet"),
    ],
)
def test_captions(name: str, said: str) -> None:
    assert caption(name) == said
