"""What must hold for any family under any scheme. Each check raises AssertionError; the mutation tests rely on that."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


def padded_answers_equal_alone(family: Family, attn: str) -> None:
    """Of a classifier, whose logits are (rows, answers), read off the last token."""
    model = family.build(attn=attn)
    bapa.balance(model)
    together = logits(model, family.inputs(ROWS, padding="left"))
    for row, parts in enumerate(ROWS):
        close(together[row], logits(model, family.inputs([parts]))[0])


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
                p.grad
                for n, p in model.named_parameters()
                if any(part in n for part in ("q_proj", "q_b_proj", "qkv_proj", "query_key")) and _decoder(n)
            ).clone()
        )
    assert gradients[0].abs().max() > 0
    close(gradients[0], gradients[1])


def _decoder(name: str) -> bool:
    return not any(part in name for part in ("vision", "visual", "tower", "encoder", "image_embed", "audio_embed"))


def eager_equals_sdpa(family: Family) -> None:
    inputs = family.inputs(TWO_IMAGES)
    close(*(logits(bapa.balance(family.build(attn=attn)), inputs) for attn in ("sdpa", "eager")))
