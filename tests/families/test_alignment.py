"""Cells of whole image tokens, for a given model."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import (
    AutoConfig,
    CLIPImageProcessor,
    FastVlmConfig,
    Gemma3Config,
    InternVLConfig,
    LlavaConfig,
    LlavaNextConfig,
    Qwen2_5_VLConfig,
)
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.errors import ConfigError, ModelError
from bapa.families.alignment import Tokens, tokens
from bapa.probe import Probe
from bapa.reference import path
from tests.tiny.base import OLDER


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LlavaConfig(), Tokens(14, 336)),
        (Gemma3Config(mm_tokens_per_image=256), None),  # its default tower has another size than its checkpoints
        (InternVLConfig(), Tokens(28, 448)),
        (Qwen2_5_VLConfig(), Tokens(28, None)),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_tokens_of_published_configs(config: object, expected: Tokens | None) -> None:
    if expected is None:
        config.vision_config.image_size, config.vision_config.patch_size = 896, 14  # type: ignore[attr-defined]
        expected = Tokens(56, 896)
    assert tokens(config) == expected


@pytest.mark.skipif(OLDER, reason="reference models need transformers 5")
def test_the_reference_sees_nine_by_nine() -> None:
    assert tokens(AutoConfig.from_pretrained(path("bottom"))) == Tokens(8, 72)


def test_a_family_that_resizes_before_it_cuts_is_refused() -> None:
    with pytest.raises(ModelError, match="--patch"):
        tokens(LlavaNextConfig())


@pytest.mark.parametrize(
    ("images", "side"),
    [
        (CLIPImageProcessor(size={"height": 288, "width": 288}, do_center_crop=False), 288),
        (CLIPImageProcessor(size={"shortest_edge": 300}, crop_size={"height": 288, "width": 288}), 288),
        (CLIPImageProcessor(size={"shortest_edge": 288}, do_center_crop=False), None),
        (CLIPImageProcessor(size={"height": 288, "width": 144}, do_center_crop=False), None),
        (None, None),
    ],
    ids=["resized", "cropped", "any shape", "no square", "none"],
)
def test_where_the_config_tells_no_size_the_processor_may(images: object, side: int | None) -> None:
    config = FastVlmConfig(image_seq_length=81)
    if side is None:
        with pytest.raises(ModelError, match="--patch"):
            tokens(config, images)
    else:
        assert tokens(config, images) == Tokens(32, 288)


def test_a_fixed_square_decides_the_cell() -> None:
    llava = Tokens(14, 336)
    assert llava.cell(3, 3, None) == 112
    assert llava.cell(4, 4, 84) == 84
    with pytest.raises(ConfigError, match="--cell 112"):
        llava.cell(3, 3, 280)
    for rows, cols in ((5, 5), (3, 4)):
        with pytest.raises(ConfigError, match="2, 3, 4, 6, 8, 12"):
            llava.cell(rows, cols, None)


@pytest.mark.skipif(OLDER, reason="reference models need transformers 5")
def test_the_command_aligns(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["probe", "digits", "--out", str(tmp_path / "p"), "--items", "4", "--align", "reference"]
    )
    assert done.exit_code == 0, done.output
    design = Probe.load(tmp_path / "p").design
    assert (design.cell, design.patch) == (24, 8)
    wrong = CliRunner().invoke(
        app, ["probe", "digits", "--out", str(tmp_path / "q"), "--rows", "4", "--cols", "4", "--align", "reference"]
    )
    assert wrong.exit_code == 2
    assert not (tmp_path / "q").exists()
