"""How a chat model is addressed: its system prompt, with or without thinking, and what its turn begins with.

Templates switch thinking by a variable: ``enable_thinking`` in those of Qwen3, GLM and SmolLM3, ``thinking`` in those
of DeepSeek and Granite. Some open a thought whatever they are told; it is then closed at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from bapa.errors import ModelError

_SWITCHES = ("enable_thinking", "thinking")
_OPEN = re.compile(r"(?P<left><|◁)(?P<name>think|thinking|thought|reasoning)(?P<right>>|▷)\s*$", re.I)


@dataclass(frozen=True)
class Chat:
    """``system``: a system prompt. ``thinking``: whether the model is to think first; None leaves that to its template.
    ``opening``: text that the model's turn begins with, so that its answer is what follows.
    """

    system: str | None = None
    thinking: bool | None = None
    opening: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """What differs from asking plainly."""
        return {name: value for name, value in vars(self).items() if value not in (None, "")}

    def written(self, processor: Any, content: Sequence[Mapping[str, Any]]) -> str:
        """The prompt whose user says ``content``, up to where the model's turn begins, without the ``opening``.

        Raises ModelError where the chat template cannot say it so.
        """
        system = [{"role": "system", "content": [{"type": "text", "text": self.system}]}] if self.system else []
        messages = [*system, {"role": "user", "content": list(content)}]
        text = self._rendered(processor, messages, self.thinking)
        if self.system and self.system.strip() not in text:
            raise ModelError(f"the chat template of {_name(processor)} takes no system prompt; leave --system out")
        if self.thinking and not opens_thought(text) and text == self._rendered(processor, messages, False):
            raise ModelError(f"the chat template of {_name(processor)} has no switch for thinking; leave it out")
        if self.thinking is False and (mark := _OPEN.search(text)):
            text = f"{text.rstrip()}\n\n{mark['left']}/{mark['name']}{mark['right']}\n\n"
        return text

    def _rendered(self, processor: Any, messages: Sequence[Mapping[str, Any]], thinking: bool | None) -> str:
        template = str(processor.chat_template)  # others take what they do not know for options of the processor
        switch = (
            {} if thinking is None else {name: thinking for name in _SWITCHES if re.search(rf"\b{name}\b", template)}
        )
        try:
            text: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **switch)
        except TemplateError as error:
            raise ModelError(f"the chat template of {_name(processor)} refuses the prompt: {error}") from error
        return text


def opens_thought(written: str) -> bool:
    """Whether a prompt ends within a thought, so that the model goes on thinking."""
    return _OPEN.search(written) is not None


def is_thought(token: str) -> bool:
    """Whether a token begins or ends a thought."""
    return _OPEN.search(token.replace("/", "", 1)) is not None


def _name(processor: Any) -> str:
    return type(processor).__name__
