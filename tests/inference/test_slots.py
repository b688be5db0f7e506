"""Several images and clips in one prompt, through the real processors of five families with tiny random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import bapa
from bapa.checkpoints import Loaded, load
from bapa.errors import ModelError
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import Forward
from bapa.inference.prompts import Prompt, Prompts, _difference, clip, held
from bapa.probe import Question
from bapa.probe.slots import Slots
from tests.attach.checks import seen
from tests.integrations.vllm.checkpoints import BY_NAME, Checkpoint, tokenizer
from tests.schemes.naive import shared_positions
from tests.tiny.base import OLDER

SIDE, COUNT = 24, 3
IMAGES = ("llava", "qwen2_5_vl", "llava_onevision", "internvl", "gemma3")
CLIPS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision", "internvl")
CASES = [*(("images", name) for name in IMAGES), *(("frames", name) for name in CLIPS)]
# Natively, text behind a clip counts on from its height and width in a forward, and from its stretched time on a cache:
# found out before a run, and asked separately.
UNSHAREABLE = {("frames", "qwen2_5_vl", "native")}
# With transformers 4, of these no answer on a shared cache is that of a whole prompt, with a rule or without.
UNSHAREABLE_OLDER = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
TEXTS = ["w1 w2 w3", "w4 w5 w6 w7"]
# A question about pictures through the family's own placeholders.
TEMPLATE = (
    "{{% for m in messages %}}{{% for part in m['content'] %}}"
    "{{% if part['type'] == 'image' %}}{image} {{% elif part['type'] == 'video' %}}{video} "
    "{{% else %}}{{{{ part['text'] }}}} {{% endif %}}{{% endfor %}}{{% endfor %}}w8"
)


def processor(made: Checkpoint) -> Any:
    found = made.processor(tokenizer(made.tokens, **made.named))
    video = getattr(found, "video_token", "")
    shown = made.picture.replace("<|image_pad|>", video) if "pad" in made.picture else video
    # Words of the tiny tokenizer are parted by blanks.
    spaced = [text.replace("><", "> <") for text in (made.picture, str(shown))]
    found.chat_template = TEMPLATE.format(image=spaced[0], video=spaced[1])
    return found


@cache
def _saved(name: str, root: Path) -> Path:
    return BY_NAME[name].save(root / name)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request: pytest.FixtureRequest, root: Path) -> tuple[Loaded, Prompts]:
    kind, name = request.param
    loaded = load(str(_saved(name, root)))
    return loaded, Prompts(processor(BY_NAME[name]), (SIDE, COUNT * SIDE), slots=Slots(kind, 1, COUNT))


def canvases(count: int = 2) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, SIDE, COUNT * SIDE, 3), dtype=np.uint8))


def features(loaded: Loaded, ids: Tensor) -> list[bool]:
    from bapa.families.anatomy import find

    return torch.isin(ids, find(loaded.model).tokens).tolist()


def runs(shown: list[bool]) -> list[tuple[int, int]]:
    """Unbroken runs of feature tokens: first column and past the last."""
    edges = np.flatnonzero(np.diff([0, *map(int, shown), 0]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def spans(kind: str, name: str, scope: str, shown: list[bool]) -> list[tuple[int, int]]:
    """What the rule counts as one image, told by hand for each family."""
    found = runs(shown)
    if scope == "global":
        return [(found[0][0], found[-1][1])]
    if kind == "images":
        if len(found) < COUNT:  # nothing stands between the pictures: equally many tokens each
            (start, stop), each = found[0], (found[0][1] - found[0][0]) // COUNT
            return [(k, k + each) for k in range(start, stop, each)]
        return found
    if len(found) == 1 and scope == "frame":
        (start, stop), each = found[0], (found[0][1] - found[0][0]) // COUNT
        begins = [start + k * each for k in range(COUNT)]
        return list(zip(begins, [*begins[1:], stop], strict=True))  # the last keeps what stands behind it
    return found  # one run: the clip; or each frame behind its own words


@pytest.mark.parametrize("scope", ["image", "frame", "global"])
def test_positions_of_several_pictures(case: tuple[Loaded, Prompts], scope: str, request: Any) -> None:
    loaded, prompts = case
    kind, name = request.node.callspec.params["case"]
    inputs = prompts.inputs(canvases(1), TEXTS[0])
    shown = features(loaded, inputs["input_ids"][0])
    wanted = shared_positions(shown, spans(kind, name, scope, shown), 1)
    with bapa.balanced(loaded.model, f"bapa:scope={scope}"), seen(loaded.model) as record, torch.no_grad():
        loaded.model(**inputs)
    found = record[0][:, 0]
    assert found.dtype == torch.long
    assert found.unique(dim=0).shape[0] == 1, "the same on every axis"
    assert found[0].tolist() == wanted
    count = len({position for position, feature in zip(wanted, shown, strict=True) if feature})
    assert count == {"global": 1}.get(scope, len(spans(kind, name, scope, shown)))


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:scope=frame", "bapa:scope=global"])
def test_cached_answers_are_those_of_a_whole_prompt(case: tuple[Loaded, Prompts], scheme: str, request: Any) -> None:
    """Encoder once, prefill once, and decoding on the cache: the logits are those of one question asked alone."""
    loaded, prompts = case
    shared = prompts.learn(TEXTS)
    assert shared is not None, "the expansion of the pictures was read off"
    forward = Forward(loaded.model, prompts, shared)
    shown = canvases()
    seen_once = forward.see(forward.prepare(shown, [TEXTS, TEXTS]))
    with bapa.balanced(loaded.model, scheme):
        alone = torch.stack([torch.stack([forward.alone(one, text) for text in TEXTS]) for one in shown])
        together = forward.agrees(forward.logits(seen_once), alone)
        kind, name = request.node.callspec.params["case"]
        assert together == ((kind, name, scheme) not in UNSHAREABLE and not (OLDER and name in UNSHAREABLE_OLDER))
        forward.shared = 0
        assert forward.agrees(forward.logits(seen_once), alone)
        inputs = prompts.inputs(shown[:1], TEXTS[0])
        written = loaded.model.generate(**inputs, max_new_tokens=3, do_sample=False, suppress_tokens=_special(loaded))
        again = loaded.model.generate(
            **inputs, max_new_tokens=3, do_sample=False, suppress_tokens=_special(loaded), use_cache=False
        )
    assert torch.equal(written, again) or not together
    assert not forward.agrees(alone[0], alone[1]), "the pictures matter"
    assert not forward.agrees(alone[:, 0], alone[:, 1]), "the questions matter"


def _special(loaded: Loaded) -> list[int]:
    """No picture can be written."""
    return [*range(4), *range(94, loaded.model.get_input_embeddings().num_embeddings)]


def test_one_forward_answers_all_choices(case: tuple[Loaded, Prompts]) -> None:
    loaded, prompts = case
    shared = prompts.learn(TEXTS)
    forward = Forward(loaded.model, prompts, shared or 0)
    calls: list[int] = []
    handle = loaded.model.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        logits = forward.logits(forward.see(forward.prepare(canvases(), [TEXTS[:1], TEXTS[:1]])))
    finally:
        handle.remove()
    choices = ("w11", "w12", "w13")
    asked = [Question("where_image", "where_image", TEXTS[0], "w12", choices)] * 2
    answers = AnswerSet(prompts.processor.tokenizer).read(logits[:, 0], asked)
    assert len(calls) == 2, "the pictures, then what is asked; not one forward a choice"
    best = logits[:, 0][:, [prompts.processor.tokenizer.get_vocab()[choice] for choice in choices]].argmax(-1)
    assert [answer.answer for answer in answers] == [choices[k] for k in best.tolist()]


def test_the_slot_that_changes_is_the_one_that_is_seen(case: tuple[Loaded, Prompts]) -> None:
    """Another picture in one slot changes what is encoded there, and nowhere else."""
    loaded, prompts = case
    prompts.learn(TEXTS)
    forward = Forward(loaded.model, prompts, 0)
    one = canvases(1)[0]
    for slot in range(COUNT):
        two = one.copy()
        two[:, slot * SIDE : (slot + 1) * SIDE] //= 2
        pair = prompts.inputs([one, two], TEXTS[0])
        pixels = next(value for name, value in pair.items() if name.startswith("pixel_values"))
        rows = pixels.reshape(2, COUNT, -1)
        assert [not torch.equal(rows[0, k], rows[1, k]) for k in range(COUNT)] == [k == slot for k in range(COUNT)]
    assert forward.encode is not None


def test_a_still_fills_whole_frames() -> None:
    canvas = canvases(1)[0]
    made = clip(canvas, COUNT, 2)
    assert made.shape == (2 * COUNT, SIDE, SIDE, 3)
    for k in range(COUNT):
        assert np.array_equal(made[2 * k], canvas[:, k * SIDE : (k + 1) * SIDE])
        assert np.array_equal(made[2 * k], made[2 * k + 1])
    assert [held(processor(BY_NAME[name])) for name in CLIPS] == [2, 2, 2, 1, 1]


def test_a_model_without_videos_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"LlavaProcessor takes no videos.*--slots images:8"):
        Prompts(processor(BY_NAME["llava"]), (SIDE, COUNT * SIDE), slots=Slots("frames", 1, COUNT))


def test_the_end_of_several_pictures_is_behind_the_last_one() -> None:
    """Where a placeholder is itself the token that is repeated, and nothing else tells where pictures are."""
    start, shown, end, text = 1, 9, 2, 5
    short = [start, shown, end, start, shown, end, text]
    whole = [start, shown, shown, shown, end, start, shown, shown, shown, end, text]
    splice = _difference(short, Prompt(whole, {}))
    assert whole[splice.end :] == [end, text]
    head = len(short) - len(splice.short) - 2
    assert [*short[:head], *splice.long.ids, *short[-2:]] == whole
