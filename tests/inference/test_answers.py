"""Which tokens say yes."""

from __future__ import annotations

import math

import pytest
import torch

from bapa.errors import ModelError
from bapa.inference.answers import AnswerSet
from bapa.probe import Question


class Tokenizer:
    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens

    def get_vocab(self):
        return {token: number for number, token in enumerate(self.tokens)}

    def convert_ids_to_tokens(self, ids):
        return [self.tokens[number] for number in ids]


def question(answer="yes", choices=("yes", "no")):
    return Question("present", "present", "?", answer, choices)


def test_all_forms_of_a_word_are_found():
    answers = AnswerSet(Tokenizer("yes", "▁Yes", "Ġyes", "YES", "no", "▁no", "yesterday", "yesyes", "##no"))
    assert [ids.tolist() for ids in answers.tokens(("yes", "no"))] == [[0, 1, 2, 3], [4, 5]]


def test_a_letter_counts_in_its_own_case_only():
    answers = AnswerSet(Tokenizer("A", "▁A", "a", "▁a", "B"))
    assert [ids.tolist() for ids in answers.tokens(("A", "B"))] == [[0, 1], [4]]


def test_an_answer_without_a_token_is_an_error():
    with pytest.raises(ModelError, match=r"no single token for the answer 'bottom left'.*--generate"):
        AnswerSet(Tokenizer("bottom", "left")).tokens(("bottom left",))


def test_answers_that_share_a_token_are_an_error():
    with pytest.raises(ModelError, match="share tokens"):
        AnswerSet(Tokenizer("yes")).tokens(("yes", "Yes"))


def test_a_margin_is_the_log_odds_over_all_forms():
    answers = AnswerSet(Tokenizer("yes", "Yes", "no", "other"))
    logits = torch.tensor([[1.0, 2.0, 2.5, 9.0], [0.0, 0.0, 3.0, 0.0]])
    yes, no = answers.read(logits, [question(), question("no")])
    probability = logits.double().softmax(-1)
    assert yes.margin == pytest.approx(math.log(probability[0, :2].sum() / probability[0, 2]))
    assert yes.mass == pytest.approx(float(probability[0, :3].sum()))
    assert (yes.top, no.top) == ("other", "no"), "what the model would have said"
    assert yes.margin < 0, "both forms of yes together stay below no"
    assert (yes.answer, yes.correct, no.answer, no.correct) == ("no", False, "no", True)
    assert no.margin < 0, "yes minus no, whatever is expected"


def test_the_margin_of_a_choice_is_that_of_the_expected_one():
    answers = AnswerSet(Tokenizer("A", "B", "C"))
    one, two = answers.read(torch.tensor([[1.0, 3.0, 2.5]]).repeat(2, 1), [question(x, ("A", "B", "C")) for x in "BC"])
    assert (one.answer, one.correct, one.margin) == ("B", True, pytest.approx(0.5))
    assert (two.answer, two.correct, two.margin) == ("B", False, pytest.approx(-0.5))


def test_questions_with_other_choices_may_stand_in_one_batch():
    answers = AnswerSet(Tokenizer("yes", "no", "A", "B"))
    logits = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    read = answers.read(logits, [question(), question("A", ("A", "B")), question()])
    assert [answer.answer for answer in read] == ["no", "B", "yes"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_no_answer(bad):
    (answer,) = AnswerSet(Tokenizer("yes", "no")).read(torch.tensor([[bad, 0.0]]), [question()])
    assert answer.error == "the logits are not finite"
    assert answer.answer is None
