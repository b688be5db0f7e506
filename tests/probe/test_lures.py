"""What is asked about without being shown: bound to the target's cell, or not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bapa.errors import ConfigError
from bapa.probe import Design, Probe, build
from bapa.probe.store import fingerprint


def test_lures_are_bound_to_the_cell_by_default(tmp_path):
    """What is asked about without being shown is like the target, and like nothing else on the canvas."""
    probe = build("digits", tmp_path / "probe", Design(items=20))
    assert probe.design.lures == "cell"
    others = 0
    for item in probe.items:
        kinds = {question.kind: question for question in probe.questions(item, 4)}
        assert set(kinds) == {"present", "absent", "lure"}
        digit = item.caption.split()[-1]
        assert kinds["lure"].text.split(" in the image")[0].endswith(digit)
        shown = [probe.attributes(tile)["digit"] for tile in item.layout]
        assert shown.count(digit) == 1
        others += len(shown) - 1
    assert others == 160


def test_lures_of_captions_without_groups_share_fewer_words_with_the_others(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    names = [f"a {colour} {thing}" for colour in ("red", "blue", "green") for thing in ("cat", "dog", "cup", "hat")]
    rng = np.random.default_rng(0)
    for number in range(len(names)):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(pictures / f"{number}.png")
    lines = [json.dumps({"file_name": f"{n}.png", "caption": name}) for n, name in enumerate(names)]
    (pictures / "metadata.jsonl").write_text("\n".join(lines))
    probe = build(str(pictures), tmp_path / "probe", Design(rows=1, cols=3, cell=16))
    for item in probe.items:
        lure = set(item.near_miss.split()) - {"a"}
        assert lure & set(item.caption.split())
        at_target = len(lure & set(item.caption.split()))
        assert any(question.kind == "lure" for question in probe.questions(item, 0))
        assert at_target >= 1


def test_lures_anywhere_on_the_canvas_are_near_misses(tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=8, lures="canvas"))
    assert {q.kind for item in probe.items for q in probe.questions(item, 0)} == {"present", "absent", "near_miss"}
    with pytest.raises(ConfigError, match="use --lures canvas or other distractors"):
        Design(lures="cell", distractors="similar")
    similar = build("digits", tmp_path / "similar", Design(items=8, distractors="similar"))
    assert similar.design.lures == "canvas"


def test_an_older_probe_has_near_misses(tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=8, lures="canvas"))
    manifest = json.loads((probe.path / "probe.json").read_text())
    del manifest["design"]["lures"]
    manifest["fingerprint"] = fingerprint(manifest, probe.items)
    (probe.path / "probe.json").write_text(json.dumps(manifest))
    assert Probe.load(probe.path).design.lures == "canvas"
    assert {q.kind for q in Probe.load(probe.path).questions(probe.items[0], 0)} == {"present", "absent", "near_miss"}
