"""What must hold for the positions of any family, whatever a prompt looks like and whoever runs the model. Each check
raises AssertionError; the mutation tests rely on that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bapa
from bapa.families.anatomy import find
from tests.attach.checks import TWO_IMAGES, close, generate, logits, same, seen, watch
from tests.schemes.naive import shared_positions
from tests.tiny import Family
from tests.tiny.base import OLDER


def spelt(family: Family, words: list[str]) -> list[tuple[int, int]]:
    """The spans of the images of one row of ``words``, picture by picture."""
    crowd = sum(word in family.crowded for word in words) > 1
    found, column = [], 0
    for word in words:
        if word not in family.pictures:
            column += int(word.removeprefix("t"))
            continue
        picture = family.crowded.get(word, family.pictures[word]) if crowd else family.pictures[word]
        feature = family.image_mask(torch.tensor(picture.ids)).nonzero().flatten().tolist()
        parts = picture.parts or ((feature[0], feature[-1] + 1),)
        found += [(column + start, column + end) for start, end in parts]
        column += len(picture.ids)
    return found


def gaps_count_for_nothing(family: Family, attn: str) -> None:
    """Turns padded one by one leave gaps in the rows; positions in prefill and decode are those of each row alone."""
    model = bapa.balance(family.build(attn=attn))
    rows, further = [["t5", "image", "t4"], ["t2", "image", "t1"]], torch.tensor([[5, 6, 7], [0, 8, 9]])
    first = family.inputs(rows)
    both = family.extend(first, further)
    both["attention_mask"][:, -3:] = further > 0
    with seen(model) as record:
        generate(model, family, both, max_new_tokens=2)
    for row, words in enumerate(rows):
        kept = both["attention_mask"][row].bool()
        single = family.extend(family.inputs([words]), further[row][further[row] > 0][None])
        with seen(model) as alone:
            generate(model, family, single, max_new_tokens=2)
        same(record[0].expand(-1, len(rows), -1)[:, row][:, kept], alone[0][:, 0])
        same(record[1].expand(-1, len(rows), -1)[:, row], alone[1][:, 0])
    assert not bool(both["attention_mask"][1].all()), "there is no gap: the check could not fail"


def chunks_of_every_size(family: Family, attn: str, schemes: tuple[str, ...] = ("bapa", "reverse")) -> None:
    """A prompt that generation feeds in chunks is placed as the whole one, wherever the cuts fall; also under a rule
    that asks how many tokens the whole image has.
    """
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    columns = inputs["input_ids"].shape[1]
    try:
        generate(model, family, inputs, max_new_tokens=2, prefill_chunk_size=5)
    except (ValueError, RuntimeError, LookupError, TypeError) as error:  # of transformers: nothing is balanced yet
        pytest.skip(f"native quirk: {str(error)[:80]}")
    for scheme in schemes:
        bapa.balance(model, scheme)
        with seen(model) as whole:
            generate(model, family, inputs, max_new_tokens=2)
        for size in sorted({*range(1, 9), 11, columns - 1}) if scheme == schemes[0] else (3, 7):
            with seen(model) as chunks:
                generate(model, family, inputs, max_new_tokens=2, prefill_chunk_size=size)
                # Transformers 4 feeds the last token by itself.
                assert len(chunks) >= -(-columns // size) + 1, "the prompt was not cut: the check could not fail"
            found = torch.cat([chunk.expand(len(whole[0]), 1, -1) for chunk in chunks], -1)
            same(found, torch.cat([step.expand(len(whole[0]), 1, -1) for step in whole], -1))
    rows = family.inputs([["t5", "image", "t4"], ["t2", "image", "t1"]])  # the first chunks of one are all padding
    kept = torch.nn.functional.pad(rows["attention_mask"].bool(), (0, 1), value=True)
    for scheme in ("native", schemes[0]):
        found = []
        for options in ({}, {"prefill_chunk_size": 2}):
            with seen(bapa.balance(model, scheme)) as record:
                generate(model, family, rows, max_new_tokens=2, **options)
            found.append(torch.cat([step.expand(-1, len(kept), -1) for step in record], -1)[:, kept])
        if scheme == "native" and not torch.equal(*found):
            assert OLDER  # transformers 4 numbers the rows of a padded batch in chunks as if they were not padded
            return
        same(*found)


def touching_pictures_are_two(family: Family, attn: str) -> None:
    """Pictures side by side are images of their own, the same in a forward and in generation."""
    model = family.build(attn=attn)
    others = [word for word in ("wide", "video") if word in family.pictures]
    for words in (["t2", "image", "image", "t3"], *(["t2", "image", other, "t3"] for other in others)):
        inputs = family.inputs([words])
        try:
            logits(bapa.restore(model), inputs)
        except ValueError:  # of transformers: GLM takes the frames of a video for images
            assert words[2] == "video"
            continue
        bapa.balance(model)
        feature = family.image_mask(inputs["input_ids"])[0].tolist()
        wanted = torch.tensor(shared_positions(feature, spelt(family, words), 1, family.start_index))
        for found in (watch(model, inputs), _prefill(model, family, inputs)):
            assert (found.double() == wanted.double()).all(), f"{words}: {found[0].tolist()} is not {wanted.tolist()}"


def _prefill(model: nn.Module, family: Family, inputs: dict[str, Any]) -> Tensor:
    with seen(model) as record:
        generate(model, family, inputs, max_new_tokens=1)
    return record[0]


def an_image_at_the_end(family: Family, attn: str) -> None:
    """Behind a prompt that ends with an image, decoding goes on where recomputing puts the text, on all axes."""
    model, inputs = family.build(attn=attn), family.inputs([["t3", "image"]])
    stop = int(family.image_mask(inputs["input_ids"])[0].nonzero().max()) + 1  # nothing behind it, no tag either
    inputs |= {
        key: value[:, :stop] for key, value in inputs.items() if key in ("input_ids", "attention_mask", family.types)
    }
    inputs |= family.derive(inputs)
    tokens = torch.tensor([[5, 6, 7]])
    for scheme in ("bapa", "bapa:distance=native", "calibrated:distance=4"):
        bapa.balance(model, scheme)
        with seen(model) as record:
            generate(model, family, inputs)
        whole = watch(model, family.extend(inputs, tokens))
        for step, place in zip(record[1:], whole.split(1, -1)[-3:], strict=True):
            assert (step == place.amax()).all(), (
                f"{scheme}: {step.flatten().tolist()} is not {place.flatten().tolist()}"
            )


def compiled_before_it_is_balanced(family: Family, attn: str) -> None:
    """What torch.compile has run natively runs under the scheme when the model is balanced, and natively again."""
    torch._dynamo.reset()
    model, inputs = family.build(attn=attn), family.inputs([["t2", "image", "t3"]])
    compiled = torch.compile(find(model).decoder.forward, backend="eager")
    find(model).decoder.forward = compiled
    native = logits(model, inputs)
    balanced = logits(bapa.balance(model), inputs)
    close(balanced, logits(bapa.balance(family.build(attn=attn)), inputs))
    assert (balanced - native).abs().max() > 1e-3, "balancing changed nothing: the check could not fail"
    close(logits(bapa.restore(model), inputs), native)


def threads_do_not_meet(family: Family, attn: str) -> None:
    """Two threads with prompts of their own, and one that only looks at positions."""
    model = bapa.balance(family.build(attn=attn))
    prompts = [family.inputs([words]) for words in (["t3", "image", "t4"], ["t6", "image", "t1", "image", "t2"])]
    wanted = [logits(model, inputs) for inputs in prompts]
    places = bapa.positions(model, **prompts[0])
    failures: list[BaseException] = []

    def work(turn: Callable[[], None]) -> None:
        try:
            for _ in range(3):
                turn()
        except BaseException as failure:  # of whatever kind: a thread must not die unseen
            failures.append(failure)

    turns = [
        *(lambda k=k: close(logits(model, prompts[k]), wanted[k]) for k in (0, 1)),
        lambda: same(bapa.positions(model, **prompts[0]), places),
    ]
    threads = [threading.Thread(target=work, args=(turn,)) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
