"""The tiny models as transformers made them: what holds without bapa, and what natively does not (``skip``)."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.tiny import FAMILIES, Family

TOLERANCE = 1e-4  # float32 logits of order 1; a wrong position shows with 5e-2 and more
ONE = ["t3", "image", "t4"]
TWO = ["t2", "image", "t3", "image", "t2"]


def families(*checks: str) -> list[object]:
    """Every family; those known to fail one of ``checks`` natively must fail it."""
    return [
        pytest.param(
            family,
            id=name,
            marks=[pytest.mark.xfail(strict=True, reason=family.skip[c]) for c in checks if c in family.skip],
        )
        for name, family in FAMILIES.items()
    ]


@functools.cache
def model_of(name: str, attn: str = "sdpa") -> PreTrainedModel:
    return FAMILIES[name].build(attn)


@torch.no_grad()
def logits(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    return model(**inputs).logits


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("family", families("pictures"))
def test_pictures_reach_the_answer(family: Family) -> None:
    model = model_of(family.name)
    for word in family.pictures:
        inputs = family.inputs(["t3", word, "t4"])
        plain = logits(model, inputs)[:, -1]
        assert plain.isfinite().all()
        pixels = next(name for name in inputs if name.startswith(("pixel_values", "image_patches")))
        other = logits(model, inputs | {pixels: inputs[pixels].flip(-1)})[:, -1]
        assert (plain - other).abs().max() > 1e-3, word


@pytest.mark.parametrize("family", families("positions"))
def test_positions_show_in_the_logits(family: Family) -> None:
    model = family.build()
    inputs = family.inputs(ONE)
    plain = logits(model, inputs)
    for rotary in text_rotaries(model):
        rotary.register_forward_pre_hook(stretched, with_kwargs=True)
    assert (plain - logits(model, inputs)).abs().max() > 0.05


def stretched(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    if "position_ids" in kwargs:
        return args, kwargs | {"position_ids": kwargs["position_ids"] * 2}
    return (args[0], args[1] * 2, *args[2:]), kwargs


@pytest.mark.parametrize("family", families("eager_equals_sdpa"))
def test_sdpa_equals_eager(family: Family) -> None:
    inputs = family.inputs([ONE, TWO])
    seen = inputs["attention_mask"].bool()
    close(logits(model_of(family.name), inputs)[seen], logits(model_of(family.name, "eager"), inputs)[seen])


@pytest.mark.parametrize("family", families("cached_equals_recompute"))
def test_cached_decode_equals_recompute(family: Family) -> None:
    model = model_of(family.name)
    inputs = family.inputs(TWO)
    out = model.generate(**inputs, max_new_tokens=5, output_logits=True, return_dict_in_generate=True)
    prompt = inputs["input_ids"].shape[1]
    whole = logits(model, family.extend(inputs, out.sequences[:, prompt:]))
    close(torch.stack(out.logits, 1), whole[:, prompt - 1 : -1])


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("family", families("native_rows_alone"))
def test_padded_batch_equals_rows_alone(family: Family, padding: str) -> None:
    model = model_of(family.name)
    batch = family.inputs([ONE, TWO], padding)
    together = logits(model, batch)
    for row, words in enumerate([ONE, TWO]):
        close(together[row, batch["attention_mask"][row].bool()], logits(model, family.inputs(words))[0])


@pytest.mark.parametrize("family", families("native_rows_alone"))
def test_left_padded_generation_equals_rows_alone(family: Family) -> None:
    model = model_of(family.name)
    options = {"max_new_tokens": 4, "output_logits": True, "return_dict_in_generate": True}
    together = torch.stack(model.generate(**family.inputs([ONE, TWO]), **options).logits, 1)
    for row, words in enumerate([ONE, TWO]):
        close(together[row], torch.stack(model.generate(**family.inputs(words), **options).logits, 1)[0])


@pytest.mark.parametrize("family", families("padded_positions_equal_alone"))
def test_generation_counts_without_padding(family: Family) -> None:
    batch = family.inputs([ONE, TWO])
    together = positions(family, batch)
    kept = batch["attention_mask"][0].bool()
    assert torch.equal(together[:, 0][:, kept], positions(family, family.inputs(ONE))[:, 0])
    assert (together[:, 0][:, kept][:, 0] == family.start_index).all()


def positions(family: Family, inputs: dict[str, Tensor]) -> Tensor:
    """What the rotary embedding sees of the prompt: LongTensor (axes, rows, tokens)."""
    seen: list[Tensor] = []
    rotary = text_rotaries(model_of(family.name))[0]
    handle = rotary.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["position_ids"] if "position_ids" in kwargs else args[1]),
        with_kwargs=True,
    )
    model_of(family.name).generate(**inputs, max_new_tokens=1)
    handle.remove()
    rows = seen[0] if seen[0].dim() == 3 else seen[0][None]
    return rows.expand(-1, len(inputs["input_ids"]), -1)


def text_rotaries(model: PreTrainedModel) -> list[torch.nn.Module]:
    return [m for name, m in model.named_modules() if "Rotary" in type(m).__name__ and "vis" not in name]


@pytest.mark.parametrize("family", families("no_mask_equals_ones", "native_no_mask"))
def test_no_mask_equals_ones(family: Family) -> None:
    model = model_of(family.name)
    inputs = family.inputs(TWO)
    close(logits(model, inputs | {"attention_mask": None}), logits(model, inputs))


@pytest.mark.parametrize("family", families("beams_need_no_cache"))
def test_cached_beams_equal_recompute(family: Family) -> None:
    model = model_of(family.name)
    options = {"num_beams": 2, "max_new_tokens": 4, "output_scores": True, "return_dict_in_generate": True}
    inputs = family.inputs([ONE, TWO])
    cached, recomputed = (model.generate(**inputs, **options, use_cache=use) for use in (True, False))
    assert torch.equal(cached.sequences, recomputed.sequences)
    close(torch.stack(cached.scores), torch.stack(recomputed.scores))


@pytest.mark.parametrize("family", families("two_images"))
def test_spans_find_the_images(family: Family) -> None:
    words = ["t2", "image", "t3", "image", "t2"]
    ids = family.inputs(words)["input_ids"]
    spans = family.spans(ids)[0]
    assert len(spans) == 2
    mask = family.image_mask(ids)[0]
    covered = torch.zeros_like(mask)
    for start, end in spans:
        assert mask[start]
        assert mask[end - 1]
        covered[start:end] = True
    assert not (mask & ~covered).any()
