"""Where the answer stands in a model's turn: some begin it with a newline, an empty thought or a phrase, and say yes or
no behind it. What they all begin with is put into the prompt, so that the next token is the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch

from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat, opens_thought
from bapa.inference.answers import AnswerSet
from bapa.inference.backend import prompts_of
from bapa.inference.forward import Forward
from bapa.probe import Probe

ITEMS, WRITTEN = 8, 12  # items asked about; tokens that each answer may have
MOST = 0.75  # of the answers must begin alike
EMPTY = "<think>\n\n</think>\n\n"


def addressed(model: Loaded, probe: Probe) -> Chat:
    """How to address ``model`` so that its answers to ``probe`` are the next token: without thinking, where its
    template has a switch for that, and behind what its turn begins with. What was asked for stays.
    """
    chat = model.chat
    if chat.thinking is None:
        text = probe.questions(probe.items[0], 0)[0].text
        off = replace(chat, thinking=False)
        ways = [prompts_of(replace(model, chat=way), probe).unexpanded(text) for way in (chat, off)]
        chat = off if ways[0] != ways[1] else chat
    if chat.opening or probe.design.opening:
        return chat
    found = replace(chat, opening=_opening(replace(model, chat=chat), probe))
    return found if found.opening else chat


def begun(rows: Sequence[Sequence[int]], answers: Collection[int]) -> list[int]:
    """The tokens that stand before the answer in most ``rows``; none where it comes first, or they do not agree."""
    heads = [_head(row, answers) for row in rows]
    likely = max((head for head in heads if head is not None), key=heads.count, default=())
    return list(likely) if heads.count(likely) >= MOST * len(rows) else []


def _head(row: Sequence[int], answers: Collection[int]) -> tuple[int, ...] | None:
    place = next((place for place, token in enumerate(row) if token in answers), None)
    return None if place is None else tuple(row[:place])


def _opening(model: Loaded, probe: Probe) -> str:
    tokenizer, prompts = model.processor.tokenizer, prompts_of(model, probe)
    forward, rows = Forward(model.model, prompts, shared=0), []
    asked = [(item, probe.questions(item, 0)[0]) for item in list(probe.items)[:ITEMS]]
    answers = {int(token) for ids in AnswerSet(tokenizer).tokens(asked[0][1].choices) for token in ids}

    def wrote(tokens: int) -> list[list[int]]:
        found = []
        for item, question in asked:
            inputs = forward.here(prompts.inputs([probe.compose(item, 0)], question.text))
            with torch.inference_mode():
                ids = forward.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
            found.append(ids[0, inputs["input_ids"].shape[1] :].tolist())
        return found

    if sum(row[0] in answers for row in wrote(1)) >= MOST * len(asked):
        return ""
    rows = wrote(WRITTEN)
    thoughts = [tokenizer.decode(row[:1]) for row in rows]
    if sum(map(opens_thought, thoughts)) >= MOST * len(rows):
        return EMPTY
    head = begun(rows, answers)
    text: str = tokenizer.decode(head)
    told = prompts_of(replace(model, chat=replace(model.chat, opening=text)), probe)
    return text if head and told.opening(asked[0][1].text) == head else ""
