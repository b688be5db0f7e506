"""Checkpoints that carry their scheme, with bapa and without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

import bapa
from bapa.checkpoints import Loaded, load
from bapa.checkpoints.export import export
from bapa.errors import RunError, SchemeError
from tests.attach.checks import ROWS, TWO_IMAGES, generate, logits, same
from tests.tiny import FAMILIES, Family
from tests.tune.processors import NAMES, processor

# What is asked of a self-contained model and of the hook: batches padded left, several images, images side by side, a
# chat that goes on behind its cache, a second image behind a cache, a cache cropped back, beams, sampled sequences.
ABUTTING = [["t2", "image", "image", "t3"]]


def exported(name: str, folder: Path, scheme: str = "bapa") -> Family:
    family = FAMILIES[name]
    export(Loaded(family.build(), processor(name), name, ""), folder, scheme, self_contained=True)
    return family


def remote(folder: Path) -> torch.nn.Module:
    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True, attn_implementation="sdpa")
    return model.eval()


RULES = ["bapa", "bapa:distance=2.5", "bapa:distance=native", "bapa:distance=62"]
CALIBRATED = [
    "calibrated:distance=6",
    "calibrated:distance=5,delta=0.3",
    "calibrated:distance=41,delta=0.3,about=start",
    "calibrated:distance=1.6x",
    "calibrated:distance=0.7x,delta=0.25,about=start",
    "calibrated:distance=native,delta=1",
]


@pytest.mark.parametrize("scheme", RULES + CALIBRATED)
@pytest.mark.parametrize("name", NAMES)
def test_a_self_contained_model_equals_the_hook_bit_for_bit(name: str, scheme: str, tmp_path: Path) -> None:
    family = exported(name, tmp_path / "out", scheme)
    alone, hooked = remote(tmp_path / "out"), bapa.balance(family.build(), scheme)
    assert type(alone).__module__.startswith("transformers_modules.")
    text = [["t5"], ["t3"]]
    for prompts in (TWO_IMAGES, ROWS, text, *([ABUTTING] if name == "llava" else [])):
        inputs = family.inputs(prompts)
        same(logits(alone, inputs), logits(hooked, inputs))
    for options in ({}, {"num_beams": 3}):
        inputs = family.inputs(ROWS)
        found, right = (generate(model, family, inputs, **options) for model in (alone, hooked))
        same(found.sequences, right.sequences)
        for one, two in zip(found.logits, right.logits, strict=True):
            same(one, two)
    native = torch.equal(logits(hooked, family.inputs(TWO_IMAGES)), logits(family.build(), family.inputs(TWO_IMAGES)))
    assert native == (scheme == "calibrated:distance=native,delta=1"), "all but the native point change something"


@pytest.mark.parametrize("scheme", ["bapa", CALIBRATED[1], CALIBRATED[4]])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_caches_go_on_as_under_the_hook(name: str, scheme: str, tmp_path: Path) -> None:
    family = exported(name, tmp_path / "out", scheme)
    for crop in (0, 3):
        seen = []
        for model in (remote(tmp_path / "out"), bapa.balance(family.build(), scheme)):
            first, more = family.inputs(TWO_IMAGES), family.inputs([["t2", "image", "t3"]])
            with torch.no_grad():
                cache = model(**first, use_cache=True).past_key_values
                if crop:
                    cache.crop(-crop)
                more.pop("attention_mask")
                image = model(**more, past_key_values=cache, use_cache=True)
                text = model(input_ids=torch.tensor([[5, 6, 7]]), past_key_values=image.past_key_values)
            seen.append((image.logits, text.logits))
        same(seen[0][0], seen[1][0])
        same(seen[0][1], seen[1][1])


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("llava", "bapa:distance=62"), ("qwen2_5_vl", CALIBRATED[2]), ("gemma3", CALIBRATED[4]), ("llava", CALIBRATED[1])],
)
def test_it_loads_and_generates_where_bapa_cannot_be_imported(name: str, scheme: str, tmp_path: Path) -> None:
    family = exported(name, tmp_path / "out", scheme)
    inputs = family.inputs(ROWS)
    torch.save(inputs, tmp_path / "inputs.pt")
    script = """
import sys
sys.modules["bapa"] = None
import torch
from transformers import AutoModelForImageTextToText
model = AutoModelForImageTextToText.from_pretrained("out", trust_remote_code=True, attn_implementation="sdpa").eval()
inputs = torch.load("inputs.pt")
with torch.no_grad():
    logits = model(**inputs).logits
    tokens = model.generate(**inputs, max_new_tokens=4, do_sample=False, suppress_tokens=list(range(100, 128)))
torch.save((logits, tokens), "found.pt")
assert not [name for name in sys.modules if name.startswith("bapa.")]
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=240)
    found, tokens = torch.load(tmp_path / "found.pt")
    hooked = bapa.balance(family.build(), scheme)
    same(found, logits(hooked, inputs))
    same(tokens, generate(hooked, family, inputs).sequences)


def test_bapa_takes_a_self_contained_model_over(tmp_path: Path) -> None:
    family = exported("llava", tmp_path / "out", "bapa:distance=5")
    inputs = family.inputs(TWO_IMAGES)
    model = remote(tmp_path / "out")
    assert bapa.scheme_of(model).label == "bapa:distance=5"
    balanced = logits(model, inputs)
    same(logits(bapa.balance(model, "bapa:distance=5"), inputs), balanced)
    same(logits(bapa.restore(model), inputs), logits(family.build(), inputs))
    for trust in (False, True):
        same(logits(load(str(tmp_path / "out"), trust_remote_code=trust).model, inputs), balanced)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("number is not None or past < known", "False"),
        ("if len(lengths) <= runs", "if True"),
        ("before += len(columns) - ", "before += 1 + len(columns) - "),
        ("DELTA * own", "0 * own"),
        ("DELTA * middle + distance", "distance + 0 * middle"),
    ],
)
def test_the_comparison_sees_a_broken_file(right: str, wrong: str, tmp_path: Path) -> None:
    scheme = CALIBRATED[1] if "DELTA" in right else "bapa:distance=native"
    family = exported("llava", tmp_path / "out", scheme)
    code = tmp_path / "out" / "modeling_bapa.py"
    text = code.read_text()
    assert right in text
    code.write_text(text.replace(right, wrong))
    assert not _agrees(remote(tmp_path / "out"), bapa.balance(family.build(), scheme), family)


def _agrees(alone: torch.nn.Module, hooked: torch.nn.Module, family: Family) -> bool:
    """Whether two models give the same for images side by side, two in a row, and one behind a cache."""
    found = []
    for model in (alone, hooked):
        inputs = family.inputs(TWO_IMAGES)
        pixels = inputs["pixel_values"]
        more = family.inputs([["t2", "image", "t3"]])["input_ids"]
        try:
            with torch.no_grad():
                cache = model(**inputs, use_cache=True).past_key_values
                later = model(input_ids=more, pixel_values=pixels[:1], past_key_values=cache).logits
            found.append((logits(model, family.inputs(ABUTTING)), logits(model, inputs), later))
        except (RuntimeError, IndexError):
            return False
    return all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_what_a_self_contained_checkpoint_cannot_hold_is_refused(tmp_path: Path) -> None:
    for name, scheme, reason in (
        ("llava", "concentric", "rules bapa and calibrated with their distances only, not concentric"),
        ("llava", "bapa:scope=global", "not bapa:scope=global"),
        ("idefics3", "bapa", "writes an image in several pieces"),
    ):
        model = Loaded(FAMILIES[name].build(), processor("llava"), name, "")
        with pytest.raises(SchemeError, match=reason):
            export(model, tmp_path / "out", scheme, self_contained=True)
    assert not any(tmp_path.iterdir()), "nothing half-written is left"


@pytest.mark.parametrize(
    ("name", "prompt", "scheme", "reason"),
    [
        ("qwen2_5_vl", [["t2", "video", "t2"]], CALIBRATED[4], "videos and pieces have no grid"),
        ("llava", TWO_IMAGES, "calibrated:distance=1,delta=1", "text would stand inside"),
    ],
)
def test_what_the_rule_cannot_place_is_an_error_there_too(
    name: str, prompt: list[list[str]], scheme: str, reason: str, tmp_path: Path
) -> None:
    family = exported(name, tmp_path / "out", scheme)
    inputs = family.inputs(prompt)
    with pytest.raises(SchemeError):
        logits(bapa.balance(family.build(), scheme), inputs)
    with pytest.raises(ValueError, match=reason):
        logits(remote(tmp_path / "out"), inputs)


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        export(Loaded(FAMILIES["llava"].build(), processor("llava"), "llava", ""), tmp_path, "bapa")


def test_the_card_names_scheme_origin_and_command(tmp_path: Path) -> None:
    exported("llava", tmp_path / "out", "bapa:distance=3")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "**`bapa:distance=3`**" in card
    assert "Made from**: `llava`" in card
    assert "Not measured" in card
    assert json.loads((tmp_path / "out" / "config.json").read_text())["bapa"]["options"] == {"distance": 3}
