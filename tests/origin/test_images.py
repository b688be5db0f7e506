"""Images of one prompt exchanged inside running models of four families, and explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bapa.checkpoints import Loaded, load
from bapa.errors import ModelError
from bapa.families.anatomy import find
from bapa.inference.prompts import Prompts
from bapa.origin import Options, explain, geometry
from bapa.origin.rewire import rewired
from bapa.probe import Design, build
from bapa.probe.slots import Slots
from bapa.report.origin import write
from tests.inference.test_slots import COUNT, IMAGES, SIDE, TEXTS, canvases, processor
from tests.integrations.vllm.checkpoints import BY_NAME

ONE, TWO = 0, 2  # the images that change places


@pytest.fixture(scope="module", params=[name for name in IMAGES if name != "llava_onevision"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Prompts]:
    made = BY_NAME[request.param]
    loaded = load(str(made.save(tmp_path_factory.mktemp("model") / made.name)))
    return loaded, Prompts(processor(made), (SIDE, COUNT * SIDE), slots=Slots("images", 1, COUNT))


def test_images_exchanged_inside_the_model_are_the_prompt_in_the_other_order(family: tuple[Loaded, Prompts]) -> None:
    loaded, prompts = family
    model, anatomy = loaded.model, find(loaded.model)
    (canvas,) = canvases(1)
    pictures = np.split(canvas, COUNT, 1)
    pictures[ONE], pictures[TWO] = pictures[TWO], pictures[ONE]
    cells = geometry.cells(geometry.trace(anatomy, prompts, (SIDE, COUNT * SIDE), TEXTS[0]), 1, COUNT)
    assert cells.blocks is not None
    assert [set(cells.of[block].tolist()) for block in cells.blocks] == [{0}, {1}, {2}]
    exchanged = torch.arange(len(cells.of))
    exchanged[cells.blocks[ONE]], exchanged[cells.blocks[TWO]] = cells.blocks[TWO], cells.blocks[ONE]
    exchanged = exchanged[None]

    def asked(pixels: np.ndarray, features: torch.Tensor | None, positions: torch.Tensor | None) -> torch.Tensor:
        inputs = prompts.inputs([pixels], TEXTS[0])
        with torch.no_grad(), rewired(model, features, positions):
            return model(**inputs).logits[0, -1]

    turned = np.concatenate(pictures, 1)
    plain, other = asked(canvas, None, None), asked(turned, None, None)
    close = 1e-4 * float(plain.abs().max())
    torch.testing.assert_close(asked(canvas, exchanged, None), other, atol=close, rtol=0)
    torch.testing.assert_close(asked(canvas, exchanged, exchanged), asked(turned, None, exchanged), atol=close, rtol=0)
    assert float((plain - other).abs().max()) > 10 * close, "the order of the images matters to these weights"


def test_a_family_whose_tokens_cannot_be_told_is_refused_by_name(tmp_path: Path) -> None:
    made = BY_NAME["llava_onevision"]
    loaded = load(str(made.save(tmp_path / made.name)))
    prompts = Prompts(processor(made), (SIDE, COUNT * SIDE), slots=Slots("images", 1, COUNT))
    with pytest.raises(ModelError, match=r"LlavaOnevision.*which token shows what is not known for this family"):
        geometry.trace(find(loaded.model), prompts, (SIDE, COUNT * SIDE), TEXTS[0])


def test_what_is_said_of_images_is_said_in_their_words(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(slots="images:2", items=8))
    options = Options(items=2, draws=1, rules=("native",), closely=1)
    origin = explain(load("reference:bottom"), probe, tmp_path / "run", options)
    write(origin, probe)
    assert origin.found["not_done"] == {}
    assert origin.found["probe"]["slots"] == "images:2"
    assert set(origin.found["attribution"]["margin"]) >= {"encoder", "order", "position"}
    assert len(origin.found["text_first"]["map"]) == 2
    assert "answered in every image" in origin.verdict["sentence"]
    assert all(
        (tmp_path / "run" / "origin" / f"{name}.svg").stat().st_size for name in ("flow", "occlusion", "overlay")
    )
