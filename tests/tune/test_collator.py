"""Batches as the processors of three families write them, and the positions every row of them gets."""

from __future__ import annotations

import pytest
import torch

import bapa
from bapa.errors import ModelError
from bapa.tune.collator import Collator
from tests.tiny import FAMILIES
from tests.tune.processors import NAMES, picture, processor, row

MIXED = [
    row("w10", "w11", "w12"),
    row("image", "w20", "w21", answer="no w30"),
    row("w40", "image", "w41", "image", "w42"),
    row("image", "w50"),
]


def collator(name: str) -> Collator:
    return Collator(processor(name), lambda reference: picture(int(reference)))


@pytest.mark.parametrize("scheme", ["bapa", "bapa:distance=native", "native"])
@pytest.mark.parametrize("name", NAMES)
def test_each_row_of_a_mixed_batch_gets_the_positions_it_has_alone(name: str, scheme: str) -> None:
    model, collate = bapa.balance(FAMILIES[name].build(), scheme), collator(name)
    together = _without_labels(collate(MIXED))
    positions = bapa.positions(model, **together)
    for number, alone in enumerate(MIXED):
        own = _without_labels(collate([alone]))
        length = own["input_ids"].shape[1]
        assert torch.equal(together["input_ids"][number, :length], own["input_ids"][0])
        assert torch.equal(positions[:, number, :length], bapa.positions(model, **own)[:, 0]), f"row {number}"
    if scheme == "bapa":  # not vacuous: the two pictures of the third row take one position each
        image = FAMILIES[name].image_mask(together["input_ids"])[2]
        assert len(positions[0, 2, image].unique()) == 2


@pytest.mark.parametrize("name", NAMES)
def test_mixed_batches_give_the_logits_of_their_rows(name: str) -> None:
    model, collate = bapa.balance(FAMILIES[name].build()), collator(name)
    with torch.no_grad():
        together = model(**_without_labels(collate(MIXED))).logits
        for number, alone in enumerate(MIXED):
            own = model(**_without_labels(collate([alone]))).logits[0]
            torch.testing.assert_close(together[number, : len(own)], own, atol=1e-4 * float(own.abs().max()), rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_on_the_answers(name: str) -> None:
    collate = collator(name)
    chat = row("image", "w20")
    more = row("w21", "image", "w22", answer="no w33")
    chat = {"messages": chat["messages"] + more["messages"], "images": ["0", "1"]}
    words = collate.processor.tokenizer
    for batch in (collate([chat]), collate([chat, MIXED[0]])):
        learned = batch["labels"][0][batch["labels"][0] != -100].tolist()
        assert words.convert_ids_to_tokens(learned) == ["yes", "</s>", "no", "w33", "</s>"]
        assert batch["input_ids"][0][batch["labels"][0] != -100].tolist() == learned


def test_a_template_that_rewrites_answers_is_refused() -> None:
    collate = collator("llava")
    collate.processor.chat_template = (
        "{% for m in messages %}{{ m['role'] }} {{ 'last' if loop.last else 'first' }} {% endfor %}"
    )
    chat = {"messages": row("w20")["messages"] + row("w21")["messages"], "images": []}
    with pytest.raises(ModelError, match="writes an answer differently when more follows"):
        collate([chat])


def test_an_answer_that_cannot_be_told_apart_is_an_error() -> None:
    collate = collator("gemma3")
    tokenizer = collate.processor.tokenizer
    collate.processor.full_image_sequence = "<start>" + "<image>" * 9 + "<end> assistant : yes </s>"
    assert tokenizer.convert_tokens_to_ids("yes") == 6
    with pytest.raises(ModelError, match="cannot be told which tokens"):
        collate([row("image")])


def _without_labels(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in batch.items() if name != "labels"}
