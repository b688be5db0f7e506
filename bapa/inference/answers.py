"""The answer set: which tokens stand for each answer, and what their logits say."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bapa.errors import ModelError
from bapa.probe import Question
from bapa.probe.questions import YES_NO

UNREAD = "unread: "  # how the ``error`` of an answer begins that was given, and that nobody can read

_SPACES = str.maketrans(
    {"▁": " ", "Ġ": " "}
)  # how SentencePiece and byte-level tokenizers write a space in their tokens


@dataclass(frozen=True)
class Answer:
    """What a model answered, or why it did not.

    ``answer``: one of the choices, or the text of a free answer; None where there is an ``error``. ``margin``: logit
    of yes minus logit of no; with other choices, logit of the expected one minus the best other one; of a name, its
    log probability less its usual one. ``mass``: probability of the answer set as the next token; near zero, the model
    meant to say something else; None for names. ``top``: the likeliest token of all, where the back end gives it. All
    three are None for generated text.
    """

    answer: str | None = None
    correct: bool | None = None
    margin: float | None = None
    mass: float | None = None
    top: str | None = None
    error: str | None = None


class AnswerSet:
    """The answers a tokenizer can give in one token."""

    def __init__(self, tokenizer: Any) -> None:
        self._ids: dict[str, list[int]] = defaultdict(list)
        self._tokenizer = tokenizer
        for token, number in tokenizer.get_vocab().items():
            self._ids[token.translate(_SPACES).strip()].append(number)

    def tokens(self, choices: Sequence[str]) -> list[Tensor]:
        """For each choice the ids of all tokens that say it, LongTensor (tokens,): with and without a space; words in
        any case.

        Raises ModelError where a choice has no token of its own.
        """
        found = []
        for choice in choices:
            forms = {choice, choice.lower(), choice.capitalize(), choice.upper()} if len(choice) > 1 else {choice}
            ids = sorted({number for form in forms for number in self._ids.get(form, ())})
            if not ids:
                raise ModelError(
                    f"the tokenizer has no single token for the answer {choice!r} (looked for "
                    f"{', '.join(sorted(forms))}); ask for answers of one token, such as yes and no or letters, or let "
                    "the model write: --generate 16"
                )
            found.append(torch.tensor(ids))
        if len(torch.cat(found).unique()) < sum(map(len, found)):
            raise ModelError(
                f"the answers {', '.join(choices)} share tokens; use answers that differ by more than case"
            )
        return found

    def read(self, logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
        """The answers to questions. ``logits``: (questions, vocabulary), of the token that follows each.

        The logit of a choice is the log of the summed exponentials of its tokens' logits, so that the margin is a log
        odds ratio.
        """
        logits = logits.float()
        alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, question in enumerate(questions):
            alike[question.choices].append(index)
        found: dict[int, Answer] = {}
        for choices, rows in alike.items():
            scores = torch.stack([logits[rows][:, ids].logsumexp(-1) for ids in self.tokens(choices)], -1)
            mass = (scores.logsumexp(-1) - logits[rows].logsumexp(-1)).exp()
            tops = self._tokenizer.convert_ids_to_tokens(logits[rows].argmax(-1).tolist())
            for index, score, share, top in zip(rows, scores.tolist(), mass.tolist(), tops, strict=True):
                found[index] = _chosen(dict(zip(choices, score, strict=True)), share, questions[index].answer, top)
        return [found[index] for index in range(len(questions))]

    def read_name(self, logits: Tensor, question: Question, token: int, usual: Tensor) -> Answer:
        """Yes where a name is likelier than usual. ``logits``: (vocabulary,), of the token that follows ``question``;
        ``token``: that the name begins with; ``usual``: log probabilities, (vocabulary,).
        """
        margin = float(logits.float().log_softmax(-1)[token] - usual[token])
        if not math.isfinite(margin):
            return Answer(error="the logits are not finite")
        said = "yes" if margin > 0 else "no"
        (top,) = self._tokenizer.convert_ids_to_tokens([int(logits.argmax())])
        return Answer(said, said == question.answer, margin, top=top)

    def read_logprobs(self, logprobs: Sequence[Mapping[int, float]], questions: Sequence[Question]) -> list[Answer]:
        """The same from the log probabilities, over the whole vocabulary, of the answers' tokens alone.

        ``logprobs``: for each question, by token id, what follows it.
        """
        found = []
        for given, question in zip(logprobs, questions, strict=True):
            scores = torch.stack(
                [torch.tensor([given[i] for i in ids.tolist()]).logsumexp(-1) for ids in self.tokens(question.choices)]
            )
            mass = float(scores.logsumexp(-1).exp())
            found.append(_chosen(dict(zip(question.choices, scores.tolist(), strict=True)), mass, question.answer))
        return found


def _chosen(scores: dict[str, float], mass: float, expected: str, top: str | None = None) -> Answer:
    if not all(map(math.isfinite, (*scores.values(), mass))):
        return Answer(error="the logits are not finite")
    best = max(scores, key=scores.__getitem__)
    for_, against = ("yes", "no") if tuple(scores) == YES_NO else (expected, None)
    rest = scores[against] if against else max(score for choice, score in scores.items() if choice != expected)
    return Answer(best, best == expected, scores[for_] - rest, mass, top)
