"""A table of replies as models give them, and what a person reads in each."""

from __future__ import annotations

import pytest

from bapa.inference.answers import UNREAD
from bapa.inference.reading import from_text
from bapa.probe import Question

YES_NO = ("yes", "no")
PLACES = ("left", "middle", "right")
COUNT = ("one", "two", "three", "four", "five")


def read(text, choices, answer):
    return from_text(text, Question("q", "present", "?", answer, tuple(choices)))


@pytest.mark.parametrize(
    ("text", "choices", "answer"),
    [
        # yes and no
        ("Yes, there is.", YES_NO, "yes"),
        ("no", YES_NO, "no"),
        ("I say NO, not yes", YES_NO, "no"),
        ("yesterday, no", YES_NO, "no"),
        ("There is no doubt: yes.", YES_NO, "yes"),
        ("No question about it, the answer is yes.", YES_NO, "yes"),
        ("There is no red 7 in the picture.", YES_NO, "no"),
        ("**yes_**", YES_NO, "yes"),
        ("**Answer:** `No`", YES_NO, "no"),
        ("> Yes", YES_NO, "yes"),
        ("Answer: yes", YES_NO, "yes"),
        ("No cat is visible, and no dog either. Answer: no", YES_NO, "no"),
        ("Yes. There is no other one like it.", YES_NO, "yes"),
        ("Not yes but no.", YES_NO, "no"),
        ("There isn't a dog in this picture.", YES_NO, "no"),
        ("It is not there.", YES_NO, "no"),
        ("Nope.", YES_NO, "no"),
        ("Absolutely!", YES_NO, "yes"),
        ("Definitely not.", YES_NO, "no"),
        ("<think>Is it? No ... wait.</think>Yes", YES_NO, "yes"),
        ("it could be no</think>\n\nyes", YES_NO, "yes"),
        ("◁think▷no no◁/think▷Yes.", YES_NO, "yes"),
        ("<answer>no</answer>", YES_NO, "no"),
        ("So we get \\boxed{\\text{yes}}.", YES_NO, "yes"),
        ("The digit is there. <|begin_of_box|>yes<|end_of_box|>", YES_NO, "yes"),
        ("是的。", YES_NO, "yes"),
        ("没有", YES_NO, "no"),
        ("不是", YES_NO, "no"),
        ("はい", YES_NO, "yes"),
        ("いいえ、ありません。", YES_NO, "no"),
        ("네", YES_NO, "yes"),
        ("아니요", YES_NO, "no"),
        ("ｙｅｓ", YES_NO, "yes"),
        ("[THINK]no no[/THINK]Yes", YES_NO, "yes"),
        ("<seed:think>no</seed:think>yes", YES_NO, "yes"),
        ("<unused94>thought\nno, there is none<unused95>Yes.", YES_NO, "yes"),
        (
            "<|channel|>analysis<|message|>maybe no<|end|><|start|>assistant<|channel|>final<|message|>Yes",
            YES_NO,
            "yes",
        ),
        ("analysisNo dog? There is.assistantfinalYes", YES_NO, "yes"),
        ("The image does not contain a dog.", YES_NO, "no"),
        # letters
        ("Answer: A) or B)", "ABCD", None),
        ("A cat sits on the mat, so the answer is B.", "ABCD", "B"),
        ("I think it is C.", "ABCDEFGHI", "C"),
        ("Not A or C, but D.", "ABCD", "D"),
        ("B", "ABCD", "B"),
        ("b.", "ABCD", "B"),
        ("(C) the blue one", "ABCD", "C"),
        ("**D**", "ABCD", "D"),
        ("B. The option A is wrong.", "ABCD", "B"),
        ("A. a cat\nB. a dog\nThe answer is B because there is a dog.", "ABCD", "B"),
        ("The answer is A because it is red.", "ABCD", "A"),
        ("A is correct.", "ABCD", "A"),
        ("The correct answer is option C.", "ABCD", "C"),
        ("Between A and D I choose D.", "ABCD", "D"),
        ("I'd say B.", "ABCDEFGHI", "B"),
        ("答案是B", "ABCD", "B"),
        ("答案：Ｃ", "ABCD", "C"),
        ("Answer: A", "AB", "A"),
        # words and numbers
        ("It is on the right.", PLACES, "right"),
        ("That's right, left.", PLACES, "left"),
        ("It is in the Top-left corner", ("top left", "top right"), "top left"),
        ("Top  Left", ("Top-left", "Top-right"), "Top-left"),
        ("The answer is: middle.", PLACES, "middle"),
        ("Not left, right.", PLACES, "right"),
        ("There are 3.", COUNT, "three"),
        ("Three digits.", COUNT, "three"),
        ("twenty-two", COUNT, None),
        ("3.5", COUNT, None),
        ("10:30", ("1", "2", "10"), None),
        ("-5", ("5", "6"), None),
        ("There are five of them", ("4", "5"), "5"),
        ("top left", ("left", "top left"), "top left"),
        # what cannot be an answer is none
        ("perhaps", YES_NO, None),
        ("I cannot tell from the picture.", YES_NO, None),
        ("yes or no?", YES_NO, None),
        ("Yes/No", YES_NO, None),
        ("A or B", "ABCD", None),
        ("I have no idea.", YES_NO, None),
        ("a dog", "AB", None),
        ("A dog.", "AB", None),
        ("<think>It may be yes, or", YES_NO, None),
        (" \n", YES_NO, None),
        ("It is red.", YES_NO, None),
    ],
)
def test_choices(text, choices, answer):
    found = read(text, choices, choices[0])
    assert found.answer == answer, found
    assert (found.error is None) == (answer is not None)
    if answer is None:
        assert found.error.startswith(UNREAD)
        assert found.correct is None
    else:
        assert found.correct == (answer == choices[0])


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        ("There are two dogs.", "two dogs", True),
        ("There are 2 dogs.", "two dogs", True),
        ("There are twenty-two dogsleds.", "two dogs", False),
        ("It is THE cat!", "a cat", True),
        ("3.5", "35", False),
        ("-5", "5", False),
        ("10:30", "1030", False),
        ("1,000", "1000", True),
        ("five", "5", True),
        ("3.50", "3.5", True),
        ("100", "1", False),
        ("Answer: A", "A", True),
        ("A cat", "A", False),
        ("The", "A", False),
        ("猫。", "猫", True),
        ("这是一只猫", "猫", True),
        ("这是一只狗", "猫", False),
        ("it is a “dog”", "dog", True),
        ("dog/cat", "dog", True),
        ("**Dog**", "dog", True),
        ("There is no dog.", "dog", False),
        ("not a dog, a cat", "dog", False),
        ("not a dog, a cat", "cat", True),
        ("<think>a dog?</think> A cat.", "dog", False),
        ("a hot-dog", "dog", False),
        ("Paris, France", "paris", True),
    ],
)
def test_free_answers(text, expected, right):
    assert read(text, (), expected).correct is right


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("It does.", "It doesn't."),
        ("It does.", "It does not."),
        ("There is one.", "There isn’t one."),
        ("I see one.", "I do not see one."),
        ("There is.", "There isn't."),
        ("There are.", "There are not."),
        ("They do.", "They don't."),
        ("It is.", "It isn't."),
        ("It is there.", "It is not there."),
        ("It is in the image.", "It isn't in the image."),
        ("It is visible.", "It is not visible."),
        ("I do.", "I don't."),
        ("I see it.", "I don't see it."),
        ("One of them matches.", "None of them matches."),
        ("One of the sub-images matches the text.", "None of the sub-images match the text."),
        ("The text matches.", "The text does not match."),
        ("A sub-image matches.", "The sub-image doesn’t match."),
        ("It matches.", "It does not match."),
        ("It does match.", "It doesn't match."),
        ("Something matches.", "Nothing matches."),
        ("The image contains it.", "The image does not contain it."),
        ("The picture shows a red two.", "The picture doesn't show a red two."),
        ("The picture shows the red 2.", "The picture does not show the red 2."),
        ("There is a red two in the picture.", "There isn't a red two in the picture."),
        ("I can see a red two.", "I don't see a red two."),
        ("That is true.", "That is not true."),
        ("That is correct.", "That is incorrect."),
        ("It is true.", "It is false."),
        ("That's right.", "That's wrong."),
        ("True.", "False."),
        ("True.", "Not true."),
        ("Correct!", "Incorrect!"),
        ("Of course.", "Of course not."),
        ("Indeed.", "Indeed not."),
        ("Certainly.", "Certainly not."),
        ("Affirmative.", "Negative."),
        ("Yep.", "Nope."),
        ("Yeah", "Nah"),
        ("The answer is true.", "The answer is false."),
        ("One of them does.", "One of them does not."),
        ("One of them does.", "Neither."),
        ("存在", "不存在"),
        ("有", "没有"),
        ("正确", "不正确"),
        ("对", "不对"),
        ("是", "不是"),
        ("います", "いません"),
        ("あります", "ありません"),
        ("そうです", "違います"),
        ("있습니다", "없습니다"),
        ("맞습니다", "맞지 않습니다"),
        ("그렇습니다", "아닙니다"),
        ("네", "아니요"),
    ],
)
def test_what_says_yes_is_read_as_well_as_what_says_no(yes, no):
    asked = Question("q", "present", "Is there a red two in the image? Answer yes or no.", "yes", YES_NO)
    assert (from_text(yes, asked).answer, from_text(no, asked).answer) == ("yes", "no")


@pytest.mark.parametrize(
    "text",
    [
        "The image shows a cat.",
        "The image shows a grid of digits.",
        "There is a two.",
        "There is an image.",
        "I see a blue five.",
        "It is, I think, a cat.",
        "If it does, I do not know.",
    ],
)
def test_a_description_of_something_else_says_neither(text):
    asked = Question("q", "present", "Is there a red two in the image? Answer yes or no.", "yes", YES_NO)
    assert from_text(text, asked).answer is None
