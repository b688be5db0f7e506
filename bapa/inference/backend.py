"""What a model must offer to be asked, whatever runs it; the back ends are :mod:`~bapa.inference.hf` and
:mod:`~bapa.inference.vllm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from bapa.checkpoints.chat import Chat
from bapa.errors import ConfigError
from bapa.inference.answers import AnswerSet
from bapa.inference.block import Asker
from bapa.inference.plan import Plan, plan
from bapa.inference.prompts import Prompts, check_takes_clips
from bapa.probe import Probe
from bapa.probe.design import SMALLEST
from bapa.schemes import Scheme


class Addressed(Protocol):
    """What questions are put to: a processor, and how to address the model."""

    @property
    def processor(self) -> Any: ...
    @property
    def chat(self) -> Chat: ...


class Backend(Protocol):
    """A model that can be asked.

    ``fingerprint``: of its weights. ``chat``: how it is addressed. ``identity``: what decides its answers, for the
    record. ``module``: the model in this process, None where it runs in others. ``scheme``:
    what its config records. ``config``: of transformers. ``numerics``: what may change answers, for the record.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def processor(self) -> Any: ...
    @property
    def chat(self) -> Chat: ...
    @property
    def identity(self) -> dict[str, Any]: ...
    @property
    def module(self) -> nn.Module | None: ...
    @property
    def scheme(self) -> Scheme | None: ...
    @property
    def config(self) -> Any: ...
    @property
    def numerics(self) -> dict[str, Any]: ...

    def check(self, label: str) -> None:
        """Raise UnsupportedModelError or SchemeError where the model cannot run under a scheme."""

    def asker(
        self, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int = 0, audit: int = 0
    ) -> AbstractContextManager[Asker]:
        """What asks the blocks of ``plan`` under the schemes ``labels``; see :class:`~bapa.inference.block.Asker`."""


def prompts_of(model: Addressed, probe: Probe) -> Prompts:
    """Prompts for the canvases of ``probe``, question and image in its order, as ``model`` is to be addressed; where it
    has no opening of its own, its turn begins with that of the probe.
    """
    first = probe.design.order == "question-first"
    size = (probe.height, probe.width)
    chat = replace(model.chat, opening=model.chat.opening or probe.design.opening or "")
    return Prompts(model.processor, size, question_first=first, slots=probe.slots, chat=chat)


def check_slots(processor: Any, probe: Probe) -> None:
    """Raise ModelError where a processor takes no clips, and ``probe`` shows them."""
    if probe.slots.kind == "frames":
        check_takes_clips(processor)


def fitting_plan(model: Any, config: Any, probe: Probe, prompts: Prompts, items: int, batch_size: int) -> Plan:
    """The plan over the first ``items`` items of ``probe``, for a model with ``config`` whose name is ``model``.

    Raises ConfigError where a prompt is longer than the model has positions for.
    """
    made = plan(probe, prompts, items, batch_size)
    there = getattr(config.get_text_config(), "max_position_embeddings", None)
    if there and made.longest > there:
        smaller = _smaller(probe)
        cells = f", or smaller cells (bapa probe SOURCE --cell {smaller})" if smaller else ""
        raise ConfigError(
            f"a prompt of this probe has {made.longest} tokens, and {model} was made for {there} positions; "
            f"build the probe with shorter captions{cells}"
        )
    return made


def _smaller(probe: Probe) -> int:
    """Half the side of the probe's cells in whole patches, pixels; 0 where cells cannot be so small."""
    half = probe.cell_px // 2
    half -= half % (probe.design.patch or 1)
    return half if half >= SMALLEST else 0


def item_count(probe: Probe, items: int | None) -> int:
    """``items``, or all of the probe's where it is None.

    Raises ConfigError where the probe has not so many.
    """
    wanted = len(probe.items) if items is None else items
    if not 1 <= wanted <= len(probe.items):
        raise ConfigError(f"items = {wanted}: the probe has {len(probe.items)}; use 1 to {len(probe.items)}")
    return wanted


def check_outside(out: Path, probe: Probe) -> None:
    """Raise ConfigError where a folder of results would lie in the folder of ``probe``."""
    if out.resolve().is_relative_to(probe.path.resolve()):
        raise ConfigError(f"{out} lies in the probe {probe.path}; name a folder outside: --out FOLDER")


def check_choices(processor: Any, probe: Probe, otherwise: str) -> None:
    """Raise ConfigError, with what to do ``otherwise``, where the probe asks for free answers, and ModelError where a
    choice is not one token.
    """
    answers = AnswerSet(processor.tokenizer)
    for question in probe.questions(probe.items[0], 0):
        if not question.choices:
            raise ConfigError(f"this probe asks for free answers; {otherwise}")
        if not question.name:  # those are looked at one by one where a run is planned
            answers.tokens(question.choices)
