"""What must hold for any family under any scheme. Each check raises AssertionError; the mutation tests rely on that."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bapa
from bapa.families.anatomy import find
from tests.schemes.naive import shared_positions
from tests.tiny import Family

TOLERANCE = 2e-5  # float32, logits of order 1 to 10
TWO_IMAGES = [["t3", "image", "t4", "image", "t2"]]
ROWS = [["t2", "image", "t5"], ["t4", "image", "t2", "image", "t3"], ["t6"]]
STEPS = 4
SPECIAL = list(range(100, 128))  # tokens a decoded answer must not hold


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=TOLERANCE * max(1.0, float(b.abs().max())), rtol=0)


def same(a: Tensor, b: Tensor) -> None:
    assert torch.equal(a, b), f"differ by up to {(a - b).abs().max():.1e}"


@torch.no_grad()
def logits(model: nn.Module, inputs: dict[str, Any]) -> Tensor:
    return model(**inputs).logits


@contextmanager
def seen(model: nn.Module) -> Iterator[list[Tensor]]:
    """The positions that reach the rotary embedding, one (axes, rows, columns) tensor a forward, scheme included."""
    record: list[Tensor] = []
    calls: list[Tensor] = []  # some families call the rotary embedding once for each layer type

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs["position_ids"] if "position_ids" in kwargs else args[1]
        calls.append((ids if ids.dim() == 3 else ids[None]).clone())

    def collect(*_: Any) -> None:
        assert all(torch.equal(call, calls[0]) for call in calls)
        record.append(calls[0])
        calls.clear()

    anatomy = find(model)
    handles = [
        *(rotary.register_forward_pre_hook(keep, with_kwargs=True) for rotary in anatomy.rotaries),
        anatomy.outer.register_forward_hook(collect),
    ]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()


def generate(model: nn.Module, family: Family, inputs: dict[str, Any], **options: Any) -> Any:
    """Greedy decoding that cannot sample an image token."""
    options = {"max_new_tokens": STEPS, "do_sample": False, "suppress_tokens": SPECIAL, **options}
    return model.generate(**inputs, **options, output_logits=True, return_dict_in_generate=True)


def expected(family: Family, ids: Tensor, distance: float | str = 1) -> list[list[float]]:
    """What BaPA says about every row of unpadded ``ids``, from the family's hand-written image spans."""
    return [
        shared_positions(feature, spans, distance, family.start_index)
        for feature, spans in zip(family.image_mask(ids).tolist(), family.spans(ids), strict=True)
    ]


def left_where_it_was(family: Family, ids: Tensor, native: Tensor) -> Tensor:
    """BaPA with the text where ``native``, (axes, rows, columns), puts it: LongTensor (rows, columns)."""
    wanted = native.amax(0).expand(len(ids), -1).clone()
    for row, spans in enumerate(family.spans(ids)):
        for start, end in spans:
            shown = family.image_mask(ids)[row, start:end]
            wanted[row, start:end][shown] = native[0].expand(len(ids), -1)[row, start]
    return wanted


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


def native_is_bit_identical(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    before = logits(model, inputs)
    hooks = hook_count(model)
    bapa.balance(model, "native")
    same(logits(model, inputs), before)
    bapa.balance(model, "bapa")
    moved = logits(model, inputs)
    assert (moved - before).abs().max() > 1e-3, "balancing changed nothing: the check could not fail"
    bapa.restore(model)
    same(logits(model, inputs), before)
    assert hook_count(model) == hooks
    assert not hasattr(model.config, "bapa")


def hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())


def positions_are_the_papers(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    native = bapa.positions(model, **inputs)
    floating = native.is_floating_point()  # Qwen3-Omni's own are
    for distance in (1, 3, 2.5, "native"):
        bapa.balance(model, "bapa", distance=distance)
        wanted = torch.tensor(expected(family, inputs["input_ids"], distance))
        if family.mrope and distance == "native":
            wanted = left_where_it_was(family, inputs["input_ids"], native)
        for found in (bapa.positions(model, **inputs), watch(model, inputs)):
            assert found.shape[1:] == wanted.shape
            assert (found.double() == wanted.double()).all(), f"{found.tolist()} is not {wanted.tolist()}"
        assert found.is_floating_point() == (floating or distance == 2.5)


def watch(model: nn.Module, inputs: dict[str, Any]) -> Tensor:
    with seen(model) as record:
        logits(model, inputs)
    return record[0]


def decoding_counts_on(family: Family, attn: str) -> None:
    """Positions of a generation, as integers: the prompt, then one more for each token."""
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    bapa.balance(model)
    with seen(model) as record:
        generate(model, family, inputs)
    steps = [wanted[-1] + 1 + k for wanted in expected(family, inputs["input_ids"]) for k in range(STEPS - 1)]
    assert record[0][0].tolist() == expected(family, inputs["input_ids"])
    assert [step[0, 0, 0].item() for step in record[1:]] == steps
    assert all((step == step[0]).all() for step in record)


def cached_equals_recompute(family: Family, attn: str, scheme: str = "bapa") -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    bapa.balance(model, scheme)
    answer = generate(model, family, inputs)
    prompt = inputs["input_ids"].shape[1]
    whole = logits(model, family.extend(inputs, answer.sequences[:, prompt:]))
    for step, stepwise in enumerate(answer.logits):
        close(stepwise, whole[:, prompt - 1 + step].float())


def padded_equals_alone(family: Family, attn: str, scheme: str = "bapa") -> None:
    model = family.build(attn=attn)
    bapa.balance(model, scheme)
    alone = [family.inputs([row]) for row in ROWS]
    for side in ("left", "right"):
        batch = family.inputs(ROWS, padding=side)
        together = logits(model, batch)
        for row, single in enumerate(alone):
            kept = batch["attention_mask"][row].bool()
            close(together[row][kept], logits(model, single)[0])


def padded_positions_equal_alone(family: Family, attn: str) -> None:
    """In generation, where every family counts without padding: the integers it has alone, in prefill and decode."""
    model = family.build(attn=attn)
    bapa.balance(model)
    batch = family.inputs(ROWS, padding="left")
    with seen(model) as record:
        generate(model, family, batch)
    for row, parts in enumerate(ROWS):
        single = family.inputs([parts])
        with seen(model) as reference:
            generate(model, family, single)
        kept = batch["attention_mask"][row].bool()
        same(record[0].expand(-1, len(ROWS), -1)[:, row][:, kept], reference[0].expand(-1, 1, -1)[:, 0])
        for step, wanted in zip(record[1:], reference[1:], strict=True):
            same(step.expand(-1, len(ROWS), -1)[:, row], wanted.expand(-1, 1, -1)[:, 0])


def no_mask_equals_ones(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    bapa.balance(model)
    ones = logits(model, inputs)
    bare = {key: value for key, value in inputs.items() if key != "attention_mask"}
    for use_cache in (True, False):
        close(logits(model, {**bare, "use_cache": use_cache}), ones)


def text_is_untouched(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs([["t7"]])
    before = logits(model, inputs)
    bapa.balance(model, "bapa", distance=2.5)
    same(logits(model, inputs), before)


def beams_need_no_cache(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs(ROWS[:2], padding="left")
    bapa.balance(model)
    kept, afresh = (
        generate(model, family, inputs, num_beams=3, output_scores=True, use_cache=cache) for cache in (True, False)
    )
    same(kept.sequences, afresh.sequences)
    close(kept.sequences_scores, afresh.sequences_scores)


def copies_are_independent(family: Family, attn: str) -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    before = logits(model, inputs)
    bapa.balance(model)
    balanced = logits(model, inputs)
    twin = copy.deepcopy(model)
    bapa.restore(model)
    same(logits(twin, inputs), balanced)
    same(logits(model, inputs), before)
    bapa.restore(twin)
    same(logits(twin, inputs), before)


def checkpointing_gives_the_same_gradients(family: Family, attn: str, scheme: str = "bapa") -> None:
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    bapa.balance(model, scheme)
    model.train()
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        torch.manual_seed(0)
        model.zero_grad()
        model(**inputs, use_cache=False).logits.square().mean().backward()
        gradients.append(
            next(
                p.grad for n, p in model.named_parameters() if ("q_proj" in n or "query_key" in n) and _decoder(n)
            ).clone()
        )
    assert gradients[0].abs().max() > 0
    close(gradients[0], gradients[1])


def _decoder(name: str) -> bool:
    return not any(part in name for part in ("vision", "visual", "tower", "encoder"))


def eager_equals_sdpa(family: Family) -> None:
    inputs = family.inputs(TWO_IMAGES)
    close(*(logits(bapa.balance(family.build(attn=attn)), inputs) for attn in ("sdpa", "eager")))


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
            assert len(chunks) == -(-columns // size) + 1, "the prompt was not cut: the check could not fail"
            found = torch.cat([chunk.expand(len(whole[0]), 1, -1) for chunk in chunks], -1)
            same(found, torch.cat([step.expand(len(whole[0]), 1, -1) for step in whole], -1))


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
