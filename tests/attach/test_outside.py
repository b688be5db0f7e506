"""Whoever declares an effect has it: schemes of a package outside bapa, and no scheme's name in what attaches them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

import bapa
from bapa.errors import SchemeError
from bapa.families.anatomy import find
from bapa.integrations.vllm import overrides
from bapa.schemes import SCHEMES, names, parse, table
from tests.attach import checks
from tests.attach.checks import TWO_IMAGES, close, logits, same
from tests.attach.test_anchored import by_hand
from tests.attach.test_masks import enriched
from tests.tiny import FAMILIES

ROOT = Path(__file__).parents[2]
OUTSIDE = ("halved", "farther", "dimmed", "mutual")
FAMILY = FAMILIES["llava"]


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """The schemes of the outside package, known by name while a test runs."""
    before = dict(SCHEMES)
    for name in OUTSIDE:
        kind = getattr(import_module(f"tests.outside.{name}"), name.capitalize())
        SCHEMES[name] = kind
    yield
    SCHEMES.clear()
    SCHEMES.update(before)


def found(scheme: str, attn: str = "sdpa") -> Tensor:
    return logits(bapa.balance(FAMILY.build(attn=attn), scheme), FAMILY.inputs(TWO_IMAGES))


@pytest.mark.parametrize("scheme", OUTSIDE)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_each_effect_holds_what_every_scheme_promises(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before, hooks = logits(model, inputs), checks.hook_count(model)
    bapa.balance(model, scheme)
    assert (logits(model, inputs) - before).abs().max() > 1e-3
    assert bapa.scheme_of(model) == parse(scheme)
    same(logits(bapa.restore(model), inputs), before)
    assert checks.hook_count(model) == hooks
    checks.cached_equals_recompute(family, "sdpa", scheme)
    checks.padded_equals_alone(family, "eager", scheme)
    assert next(row for row in table() if row.name == scheme).summary


def test_positions_from_outside() -> None:
    model = bapa.balance(FAMILY.build(), "halved")
    shown = bapa.positions(model, **FAMILY.inputs([["t2", "image", "t3"]]))[0, 0]
    image = FAMILY.image_mask(FAMILY.inputs([["t2", "image", "t3"]])["input_ids"])[0]
    assert (shown[image] - shown[image][0]).tolist() == [i // 2 for i in range(int(image.sum()))]


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
def test_attention_from_outside(attn: str) -> None:
    """Written out pair by pair: text stands five positions further on where it looks at image tokens."""
    seen = found("farther", attn)
    model, inputs = FAMILY.build(attn=attn), FAMILY.inputs(TWO_IMAGES)
    image = FAMILY.image_mask(inputs["input_ids"])[0]
    position = torch.arange(len(image))
    apart = position[:, None] - position + 5 * (~image[:, None] & image)
    anatomy = find(model)
    frequency = anatomy.rotaries[0].inv_freq
    for layer in anatomy.layers:
        layer.self_attn.forward = by_hand(layer.self_attn, frequency, apart.expand(len(frequency), -1, -1).float())
    close(logits(model, {**inputs, "use_cache": False}), seen)


def test_features_and_mask_from_outside() -> None:
    model, inputs = FAMILY.build(), FAMILY.inputs(TWO_IMAGES)
    with torch.no_grad():
        features = model.get_image_features(pixel_values=inputs["pixel_values"])
        features = getattr(features, "pooler_output", features)
    embeds = model.get_input_embeddings()(inputs["input_ids"]).detach()
    embeds[FAMILY.image_mask(inputs["input_ids"])] = torch.cat([0.5 * image for image in features])
    close(logits(model, {"inputs_embeds": embeds, "attention_mask": inputs["attention_mask"]}), found("dimmed"))
    assert (enriched(features[0], 0.5) - 0.5 * features[0]).abs().max() > 1e-3  # not what agci does
    same(found("mutual"), found("native:image_attention=bidirectional"))


@pytest.mark.parametrize("scheme", ["farther", "dimmed", "mutual", "anchored", "agci"])
def test_what_vllm_cannot_do_is_refused_by_effect(scheme: str) -> None:
    with pytest.raises(SchemeError, match="use --backend hf"):
        overrides.check(parse(scheme), 1)
    overrides.check(parse("halved"), 1)


def imported(source: str) -> list[str]:
    """Modules of single schemes that ``source`` imports."""
    seen = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = [alias.name for alias in node.names] if node.module == "bapa.schemes" else []
            seen += [name for name in names() if node.module == f"bapa.schemes.{name}" or name in inside]
    return seen


PENDING = {"bapa/checkpoints/export.py"}  # knows the rules that its own copy of them holds


def test_only_schemes_import_a_scheme() -> None:
    files = [file for file in (ROOT / "bapa").rglob("*.py") if file.parent.name != "schemes"]
    assert len(files) > 100
    seen = {str(file.relative_to(ROOT)): imported(file.read_text("utf-8")) for file in files}
    assert {file for file, schemes in seen.items() if schemes} <= PENDING


@pytest.mark.parametrize("line", ["from bapa.schemes.native import Native", "from bapa.schemes import bapa"])
def test_an_imported_scheme_is_seen(line: str) -> None:
    assert imported(line)


def test_importing_bapa_registers_nothing_with_transformers() -> None:
    code = (
        "import bapa; bapa.balance\n"
        "from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as a\n"
        "print([name for name in a if 'bapa' in name])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
