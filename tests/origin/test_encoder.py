"""Linear probes, invariance and similarity on planted states; reading real towers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bapa.families.anatomy import find
from bapa.origin import encoder, tower
from bapa.origin.geometry import Cells
from bapa.stats import Settings
from tests.tiny import FAMILIES

ITEMS, CELLS, WIDTH, CLASSES = 60, 4, 24, 3


def states(kind: str) -> tuple[torch.Tensor, np.ndarray]:
    """Content in the same direction everywhere (``alike``), in a direction of its own in every cell (``own``), or
    nowhere but in cell 0 (``one``).
    """
    rng = np.random.default_rng(0)
    classes = np.arange(ITEMS) % CLASSES
    codes = rng.normal(0, 1, (CELLS, CLASSES, WIDTH))
    if kind != "own":
        codes[:] = codes[0]
    values = codes[:, classes].swapaxes(0, 1)
    if kind == "one":
        values[:, 1:] = 0
    return torch.from_numpy(values + rng.normal(0, 0.3, values.shape)).float(), classes


@pytest.mark.parametrize(
    ("kind", "transfer", "everywhere"),
    [("alike", [1, 1, 1, 1], [1, 1, 1, 1]), ("own", None, [1, 1, 1, 1]), ("one", None, [1, None, None, None])],
)
def test_probes_tell_content_that_is_alike_from_content_that_is_written_differently(
    kind: str, transfer: list[float] | None, everywhere: list[float | None]
) -> None:
    right = encoder.probes(*states(kind), seed=0)
    chance = 1 / CLASSES
    found = right["transfer"].mean(0)
    if transfer:
        assert found == pytest.approx(transfer, abs=0.05)
    else:
        assert found.max() < 0.75, "what is read in one cell says little about another"
    for value, wanted in zip(right["everywhere"].mean(0), everywhere, strict=True):
        assert value == pytest.approx(wanted if wanted is not None else chance, abs=0.25)


def test_probes_know_nothing_of_the_items_they_are_tried_on() -> None:
    """With labels that mean nothing, a probe that had seen its test items would beat chance."""
    values, _ = states("alike")
    mixed = np.random.default_rng(1).permutation(np.arange(ITEMS) % CLASSES)
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
    assert encoder.probes(noise, mixed, seed=0)["everywhere"].mean() == pytest.approx(1 / CLASSES, abs=0.15)


@pytest.mark.parametrize("single", [False, True])
def test_the_record_tells_whether_items_were_held_out(single: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    values, classes = states("alike")
    told = np.arange(ITEMS) if single else classes
    read = encoder.Read(["encoder 1"], [values], None, None)
    monkeypatch.setattr(encoder, "read", lambda *_: read)
    monkeypatch.setattr(encoder, "labels", lambda *_: {"name": told})
    monkeypatch.setattr(encoder, "_accuracy", lambda right, *_: right.mean())
    args: tuple[Any, ...] = (None, None, None, range(ITEMS), None, np.arange(ITEMS), Settings(), lambda: None)
    found = encoder.study(*args)["probes"]["name"]
    assert found["held_out"] is not single
    assert ("everywhere" in found["layers"][0]) is not single


def test_invariance_of_tokens_that_do_not_change_with_the_cell() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(30, 1, 5, WIDTH, generator=generator).expand(-1, CELLS, -1, -1)
    found = encoder.invariance(tokens)
    assert np.allclose(found["same"], 1, atol=1e-5)
    assert np.abs(found["other"]).max() < 0.2
    apart = encoder.invariance(torch.randn(30, CELLS, 5, WIDTH, generator=generator))["same"]
    assert np.abs(np.array(apart)[~np.eye(CELLS, dtype=bool)]).max() < 0.1


def test_the_max_pooled_similarity_is_blind_to_place_and_the_other_is_not() -> None:
    of = torch.arange(8) // 2
    word = torch.zeros(1, WIDTH)
    word[0, 0] = 1
    image = 0.1 * torch.randn(5, CELLS, 8, WIDTH, generator=torch.Generator().manual_seed(0))
    for cell in range(CELLS):
        image[:, cell, 2 * cell, 0] = 5
    found = encoder.similarity(image, [word] * 5, Cells(of, None))
    assert found["in_target"].all()
    turned = encoder.similarity(image.flip(2), [word] * 5, Cells(of, None))
    assert np.allclose(turned["max_pooled"], found["max_pooled"], atol=1e-6)
    assert not turned["in_target"].any()


@pytest.mark.parametrize("name", ["llava", "llava_next", "qwen2_5_vl", "gemma3", "internvl"])
def test_towers_are_read_layer_by_layer(name: str) -> None:
    family = FAMILIES[name]
    anatomy = find(family.build())
    inputs = family.inputs([["image", "t2"], ["image", "t2"]])

    def encode(given: dict) -> object:
        kept = {n: v for n, v in given.items() if n.startswith(("pixel", "image_"))}
        return anatomy.outer.get_image_features(**kept, return_dict=True)

    with torch.no_grad():
        found = tower.layers(anatomy, encode, inputs, 2)
    assert len(found) == 1 + 2 + 1  # the entrance, two blocks, the projection
    assert all(len(part) == 2 for part in found)
    assert found[-1].shape[1] == int(family.image_mask(inputs["input_ids"])[0].sum())
    assert torch.isfinite(found[-1]).all()


def test_tokens_are_given_to_the_cell_that_moves_them() -> None:
    entering = torch.zeros(3, 4, 2)  # grey, noise in cell 0, noise in cell 1
    entering[1, 2] = entering[2, 0] = 1  # token 2 sees cell 0, token 0 sees cell 1
    entering[1:, 3] = 1  # token 3 straddles; token 1 is a class token
    assert tower.sees(entering).tolist() == [1, -1, 0, -1]
    means = tower.pooled(torch.arange(8.0).view(1, 4, 2), torch.tensor([1, -1, 0, 0]), 2)
    assert means.tolist() == [[[5, 6], [0, 1]]]
