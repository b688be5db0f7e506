"""``bapa doctor --server``: a served model put to the test from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bapa.doctor.client import Client, Reply, data_url, shares
from bapa.doctor.faults import FAULTS
from bapa.doctor.local import Local
from bapa.doctor.questions import Asked, Sheet
from bapa.doctor.verdict import LIKE, Compared, Kind, Shares, Verdict, judge
from bapa.inference.reading import from_text

SECONDS = 240  # in which questions are begun
_SAME = 1e-6


@dataclass(frozen=True)
class Examination:
    """What was found. ``asked``: questions that were answered, of ``planned``. ``with_logprobs``: of how many of them
    the server gave probabilities. ``example``: an answer that could not be read. ``left_out``: fields of a request that
    the server does not take, though the same prompt would need them. ``seconds``: the server's part.
    """

    url: str
    model: str
    verdict: Verdict
    asked: int
    planned: int
    with_logprobs: int
    seconds: float
    example: str = ""
    left_out: tuple[str, ...] = ()


def examine_server(
    client: Client,
    sheet: Sheet,
    local: Local | None = None,
    *,
    at_once: int = 4,
    seconds: float = SECONDS,
    note: Callable[[str], None] = lambda text: None,
) -> Examination:
    """Ask the server what is on ``sheet``, compare, judge.

    ``local``: the model in this process, asked the same. ``note`` is told what goes on.

    Raises IntegrationError where there is no server, no chat API, or one that takes no pictures.
    """
    name = client.name()
    if local:
        client.offered = local.extra
    pictures = [data_url(canvas) for canvas in sheet.canvases]
    note(f"asking {name} {len(sheet.asked)} questions")
    began = time.monotonic()
    replies = client.ask_all([(pictures[one.canvas], one.question.text) for one in sheet.asked], at_once, seconds)
    took = time.monotonic() - began
    asked = sheet.asked[: len(replies)]
    answers = table(asked, replies)
    verdict = _compared(local, asked, answers, note) if local else judge(asked, answers)
    unread = next((r.text for r, row in zip(replies, answers, strict=True) if np.isnan(row).any()), "")
    told = sum(shares(reply.logprobs, a.question.choices) is not None for a, reply in zip(asked, replies, strict=True))
    left_out = tuple(client.left_out())
    return Examination(client.url, name, verdict, len(asked), len(sheet.asked), told, took, unread, left_out)


def _compared(local: Local, asked: Sequence[Asked], answers: Shares, note: Callable[[str], None]) -> Verdict:
    note("asking transformers the same")
    native = Compared("its own positions", "in use", local.shares())
    first = judge(asked, answers, native)
    if first.kind == "in use" and first.likeness[0].distance <= LIKE:
        return first
    wrong = []
    for fault in FAULTS:
        note(f"asking it again, with {fault.says}")
        found = local.shares(fault)
        if np.abs(found - native.shares).max() > _SAME:  # else this is what the model does anyway
            kind: Kind = fault.verdict  # type: ignore[assignment]  # FAULTS holds these only
            wrong.append(Compared(fault.says, kind, found))
    return judge(asked, answers, native, wrong)


def table(asked: Sequence[Asked], replies: Sequence[Reply]) -> Shares:
    """The probability of each choice, float64 (questions, 3): from the log probabilities of the first token, else 1 for
    what the text names, nan where it names nothing.
    """
    found = np.zeros((len(asked), 3))
    for number, (one, reply) in enumerate(zip(asked, replies, strict=True)):
        choices = one.question.choices
        told = shares(reply.logprobs, choices)
        if told is None:
            answer = from_text(reply.text, one.question).answer
            told = [np.nan] * 3 if answer is None else [float(choice == answer) for choice in choices]
        found[number, : len(told)] = told
    return found
