"""Prompts by the tokenizers and chat templates of published models: system prompts, thinking, and where the answer is
read. ``make tokenizers`` fetches them; nothing of theirs is in the repository.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat
from bapa.errors import ModelError
from bapa.inference.opening import addressed
from bapa.inference.prompts import Prompts
from bapa.measure import load_run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings

FOLDER = Path(__file__).parents[2] / "build" / "tokenizers"
NAMES = ("qwen3", "gemma3", "llama3")
IMAGE = "<image>"
# A template of a text model takes texts only: content in parts is written out for it.
PARTS = (
    "{% set told = namespace(all=[]) %}{% for m in messages %}{% set said = namespace(text='') %}"
    "{% for part in m.content %}{% set said.text = said.text + ('"
    + IMAGE
    + "' if part.type == 'image' else part.text) %}"
    "{% endfor %}{% set told.all = told.all + [{'role': m.role, 'content': said.text}] %}{% endfor %}"
    "{% set messages = told.all %}"
)
QUESTION = "Is there a red seven in this picture? Answer yes or no."


def there(name: str) -> Path:
    folder = FOLDER / name
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"{folder} is not there: make tokenizers")
    return folder


@cache
def processor(name: str) -> LlavaProcessor:
    from studies.reference import build as reference

    folder = there(name)
    told = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    kept = {key: told[key] for key in ("bos_token", "eos_token", "pad_token", "unk_token") if told.get(key)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), padding_side="left", **kept)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.image_token, tokenizer.image_token_id = IMAGE, tokenizer.convert_tokens_to_ids(IMAGE)
    own = reference.processor()
    return LlavaProcessor(
        image_processor=own.image_processor,
        tokenizer=tokenizer,
        patch_size=own.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=PARTS + told["chat_template"],
    )


def loaded(name: str) -> Loaded:
    """A tiny model with random weights behind a real tokenizer."""
    from studies.reference import build as reference

    made = processor(name)
    config: dict[str, Any] = reference.model().config.to_dict()
    text = config["text_config"] | {"vocab_size": len(made.tokenizer), "hidden_size": 32, "intermediate_size": 32}
    text |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config |= {"text_config": text, "image_token_index": made.tokenizer.image_token_id, "image_token_id": None}
    config = {key: value for key, value in config.items() if value is not None}
    config["image_token_id"] = config["image_token_index"]
    return Loaded(LlavaForConditionalGeneration(LlavaConfig(**config)).eval(), made, name, name)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("probes") / "digits", Design(items=4, rows=1, cols=2))


def prompts(name: str, chat: Chat) -> Prompts:
    return Prompts(processor(name), (72, 72), chat=chat)


@pytest.mark.parametrize("name", NAMES)
def test_a_system_prompt_is_in_the_prompt(name: str) -> None:
    written = prompts(name, Chat(system="Look closely."))._written(QUESTION)
    assert written.index("Look closely.") < written.index(QUESTION)


def test_qwen3_thinks_or_not() -> None:
    made = prompts("qwen3", Chat(thinking=False))
    assert made._written(QUESTION).endswith("<think>\n\n</think>\n\n")
    assert not made.thinks(QUESTION)
    assert prompts("qwen3", Chat())._written(QUESTION).endswith("assistant\n")
    assert prompts("qwen3", Chat(thinking=True)).unexpanded(QUESTION) == prompts("qwen3", Chat()).unexpanded(QUESTION)


@pytest.mark.parametrize("name", ["gemma3", "llama3"])
def test_others_have_no_switch(name: str) -> None:
    with pytest.raises(ModelError, match="no switch"):
        prompts(name, Chat(thinking=True))._written(QUESTION)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("opening", ["\n", "\n\n", "The answer is:", " "])
def test_an_opening_is_tokens_of_its_own_behind_the_prompt(name: str, opening: str) -> None:
    plain, behind = prompts(name, Chat()), prompts(name, Chat(opening=opening))
    more = behind.opening(QUESTION)
    assert behind.processor.tokenizer.decode(more) == opening
    assert behind.unexpanded(QUESTION) == [*plain.unexpanded(QUESTION), *more]
    behind.learn([QUESTION])
    assert behind(QUESTION).ids == [*plain(QUESTION).ids, *more]


@pytest.mark.parametrize(("name", "head"), [("qwen3", "Sure"), ("gemma3", "Sure"), ("llama3", "\n")])
def test_a_model_that_opens_with_something_is_read_behind_it(
    name: str, head: str, probe: Probe, tmp_path: Path
) -> None:
    model = loaded(name)
    tokenizer = model.processor.tokenizer
    first, no = (tokenizer(text, add_special_tokens=False)["input_ids"][-1] for text in (head, "No"))
    assert tokenizer.decode([first]) == head

    def head_first(module: Any, given: Any, inputs: dict[str, Any], out: Any) -> None:
        kept = inputs.get("logits_to_keep", 0)
        ids = inputs["input_ids"]
        ids = ids[:, -kept:] if isinstance(kept, int) else ids[:, kept]
        out.logits[..., first] += 50.0
        out.logits[..., no] += 100.0 * (ids == first)

    model.model.register_forward_hook(head_first, with_kwargs=True)
    chat = addressed(model, probe)
    assert chat.opening == head
    assert chat.thinking is (False if name == "qwen3" else None)
    quick = {"audit": 0, "statistics": Settings(resamples=50)}
    measure(model, probe, ["native"], tmp_path / "plain", **quick)
    measure(replace(model, chat=chat), probe, ["native"], tmp_path / "behind", **quick)
    masses = [load_run(tmp_path / run).answers()["mass"].median() for run in ("plain", "behind")]
    assert masses[0] < 0.01
    assert masses[1] > 0.9
    assert load_run(tmp_path / "behind").config["config"]["model"]["opening"] == head
