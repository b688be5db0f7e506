"""How a model is addressed: system prompts, thinking switched on and off, and what its turn begins with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat, is_thought, opens_thought
from bapa.checkpoints.options import LoadOptions
from bapa.errors import ConfigError, ModelError
from bapa.inference.opening import EMPTY, addressed, begun
from bapa.inference.prompts import Prompts
from bapa.measure import measure
from bapa.probe import Probe
from tests.measure.conftest import model_path, probe, tiny  # noqa: F401

TEXT = "is there a red seven ?"
SWITCH = (
    "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }} "
    "{% endfor %}\n{% endfor %}answer:{% if enable_thinking is defined and not enable_thinking %} off{% endif %}"
)
ALWAYS = SWITCH.partition("answer:")[0] + "answer: <think>\n"


def prompts(loaded: Loaded, chat: Chat, template: str | None = SWITCH) -> Prompts:
    if template is not None:
        loaded.processor.chat_template = template
    return Prompts(loaded.processor, (72, 72), chat=chat)


def test_a_system_prompt_comes_first(tiny: Loaded) -> None:  # noqa: F811
    written = prompts(tiny, Chat(system="look at the picture"))._written(TEXT)
    assert written.index("system: look at the picture") < written.index(TEXT)


def test_a_template_without_system_prompts_is_an_error(tiny: Loaded) -> None:  # noqa: F811
    for template in (
        SWITCH.replace("{{ m.role }}: {%", "{{ m.role }}: {% if m.role == 'user' %}{%").replace(
            "{% endfor %}\n", "{% endfor %}{% endif %}\n", 1
        ),
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + SWITCH,
    ):
        with pytest.raises(ModelError, match="system"):
            prompts(tiny, Chat(system="look"), template)._written(TEXT)


def test_thinking_is_switched_where_the_template_has_a_switch(tiny: Loaded) -> None:  # noqa: F811
    assert prompts(tiny, Chat(thinking=False))._written(TEXT).endswith("answer: off")
    assert prompts(tiny, Chat(thinking=True))._written(TEXT).endswith("answer:")
    with pytest.raises(ModelError, match="no switch"):
        prompts(tiny, Chat(thinking=True), SWITCH.partition("{% if enable")[0])._written(TEXT)


def test_a_thought_that_the_template_opens_is_closed_where_there_is_to_be_none(tiny: Loaded) -> None:  # noqa: F811
    left = prompts(tiny, Chat(), ALWAYS)
    assert left.thinks(TEXT)
    closed = prompts(tiny, Chat(thinking=False), ALWAYS)
    assert closed._written(TEXT).endswith("<think>\n\n</think>\n\n")
    assert not closed.thinks(TEXT)


def test_logits_behind_an_open_thought_are_refused(tiny: Loaded, probe: Probe, tmp_path: Any) -> None:  # noqa: F811
    tiny.processor.chat_template = ALWAYS
    with pytest.raises(ConfigError, match="--thinking off"):
        measure(tiny, probe, ["native"], tmp_path / "run")


def test_an_opening_stands_behind_the_prompt_in_every_form_of_it(tiny: Loaded) -> None:  # noqa: F811
    plain, behind = prompts(tiny, Chat()), prompts(tiny, Chat(opening="yes no"))
    more = behind.opening(TEXT)
    assert len(more) >= 2
    assert behind.unexpanded(TEXT) == [*plain.unexpanded(TEXT), *more]
    assert behind(TEXT).ids == [*plain(TEXT).ids, *more]
    behind.learn([TEXT])
    assert behind(TEXT).ids == [*plain(TEXT).ids, *more]
    inputs = behind.inputs([behind._blank] * 2, TEXT)
    assert inputs["input_ids"].tolist() == [behind(TEXT).ids] * 2
    assert inputs["attention_mask"].shape == inputs["input_ids"].shape


def test_most_answers_decide_what_stands_before_them() -> None:
    assert begun([[5, 1], [5, 2], [5, 1], [7, 7]], {1, 2}) == [5]
    assert begun([[1], [2], [1], [5, 1]], {1, 2}) == []
    assert begun([[5, 1], [6, 1], [5, 2], [6, 2]], {1, 2}) == []
    assert begun([[9, 9], [9, 9]], {1, 2}) == []


def says(loaded: Loaded, *ids: int) -> Loaded:
    """``loaded`` as a model that always begins its turn with ``ids``."""

    def generate(input_ids: torch.Tensor, max_new_tokens: int, **rest: Any) -> torch.Tensor:
        told = torch.tensor([ids[:max_new_tokens]]).repeat(len(input_ids), 1)
        return torch.cat([input_ids, told], 1)

    loaded.model.generate = generate  # type: ignore[assignment]
    return loaded


def test_what_a_model_begins_its_turn_with_goes_into_the_prompt(tiny: Loaded, probe: Probe) -> None:  # noqa: F811
    number = tiny.processor.tokenizer.convert_tokens_to_ids
    assert addressed(says(tiny, number("yes")), probe) == Chat()
    found = addressed(says(tiny, number("there"), number("no"), number("there")), probe)
    assert found.opening.strip() == "there"
    asked = Chat(opening="is")
    assert addressed(replace(tiny, chat=asked), probe) == asked  # what was asked for stays


def test_thinking_is_switched_off_where_the_next_token_is_to_be_the_answer(tiny: Loaded, probe: Probe) -> None:  # noqa: F811
    tiny.processor.chat_template = SWITCH
    yes = tiny.processor.tokenizer.convert_tokens_to_ids("yes")
    assert addressed(says(tiny, yes), probe).thinking is False


def test_what_marks_a_thought() -> None:
    assert all(map(is_thought, ("<think>", "</think>", "◁think▷", "◁/think▷")))
    assert not any(map(is_thought, ("think", "<s>", "<|end|>", "")))
    assert opens_thought("assistant\n<think>\n")
    assert not opens_thought(f"assistant\n{EMPTY}")


def test_options_of_loading() -> None:
    assert LoadOptions.read({"attention": "eager"}).of_model("cpu") == {"attn_implementation": "eager"}
    with pytest.raises(ConfigError, match="max_pixels"):
        LoadOptions.read({"pixels": 3})
    with pytest.raises(ConfigError, match="4bit"):
        LoadOptions(quantization="2bit")
    with pytest.raises(ConfigError, match="revisions"):
        LoadOptions(revision="main").of_hub(".")
    kept = SimpleNamespace(image_processor=SimpleNamespace(size={"shortest_edge": 4, "longest_edge": 8}))
    LoadOptions(min_pixels=4, max_pixels=8).check(kept)
    with pytest.raises(ModelError, match="keeps no max_pixels"):
        LoadOptions(max_pixels=9).check(kept)
