"""The one reader of generated answers: what a text says, read as a person reads it.

Of several choices, the one that an "answer is ..." names last counts; else the one the text begins with; else the first
that is named. A text that names none, or offers several ("A or B"), is not read: the answer is missing, and says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from bapa.inference.answers import UNREAD, Answer
from bapa.inference.pointing import Unit, pointed
from bapa.probe import Question
from bapa.probe.questions import YES_NO
from bapa.probe.region import Region

THOUGHT = "<think>"  # how one begins
_SHOWN = 80  # characters of a text in a message

# Where thoughts end and begin: in tags, or as Gemma and gpt-oss (with and without its special tokens) write it.
_TAG = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_THOUGHT = re.compile(
    rf"[<◁\[]/{_TAG}[>▷\]]|<unused95>|<\|channel\|>final<\|message\|>|(?<=\w|[.!?])assistantfinal", re.I
)
_THINKS = re.compile(rf"[<◁\[]{_TAG}[>▷\]]|<unused94>|<\|channel\|>analysis|^analysis(?=[A-Z])", re.I)
_MARKED = (
    re.compile(r"<answer>(.*?)(?:</answer>|$)", re.I | re.S),
    re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|$)", re.S),
    re.compile(r"\\boxed\{(?:\\text\{)?([^{}]*)\}"),
)
_MARKDOWN = re.compile(r"[*`#$]+|(?<!\w)_+|_+(?!\w)|^\s*>\s*", re.M)
_IDIOMS = re.compile(
    r"\bno (?:doubt|question|wonder|problem|idea|matter|worries|offen[cs]e)\b(?:about it)?"
    r"|\b(?:that|you)(?: is| are|['’](?:s|re)) right\b|\ball right\b",
    re.I,
)
_NEGATED = re.compile(r"(?:\bnot\b|\bcannot\b|\bnor\b|n['’]t\b)[^,.;:!?\n]*?(?=\bbut\b|[,.;:!?\n]|$)", re.I)
_DENIED = re.compile(
    r"\b(?:no|not|nor|never|without|cannot|\w+n['’]t)\b(?! only)[^,.;:!?\n]*?(?=\bbut\b|[,.;:!?\n]|$)", re.I
)
_ANSWER_IS = (
    r"(?:\banswer(?:\s+(?:is|would be|should be|must be))?|\b(?:choose|pick|select)"
    r"|答案(?:是|为|為)?|答え(?:は)?|정답(?:은)?)\s*[:：=]?\s*"
)
_BEFORE = r"(?:the\s+)?(?:(?:option|choice|letter|word)\s+)?[\"'“‘(\[「]*"
_OR = r"[\"'”’)\]」]*\s*(?:\bor\b|\band\b|/|\bund\b|或|と)\s*[\"'“‘(\[「]*"

# Behind a letter: not the article A, nor the pronoun I.
_NO_WORD = r"(?!(?<=A)\s+(?!(?:is|was|would|seems|because|since|or|and)\b)[a-z])(?!(?<=I)(?:\s+[a-z]|['’]))"

# What else says yes or no, where neither word stands in the text. Whatever is read as one has its mirror image in the
# other: answers must not go missing by what they say.
_PICTURE = r"\b(?:images?|pictures?|photos?|text)"
_VERB = r"(?:contain|show|have|include|depict|match)"
_VERBS = r"(?:contains|shows|has|includes|depicts|matches)"
_BEGINS = r"(?:^|[.!?:;,\n])\W*"  # a clause
_ENDS = r"(?=\s*(?:[.!;\n]|$))"
_THEY = r"(?:there|it|they|that|this|he|she|we|i|one(?: of (?:the )?[a-z-]+)?)"
_BE = r"(?:is|are|does|do|was)"
_HERE = r"(?:there|here|present|visible|shown|in\s+(?:the|this)\s+(?:image|picture|photo))"
_ITSELF = r"(?:it|one|them|this|that|these|those)(?: of them)?"
_NO = re.compile(
    r"\b(?:nope|nah|false|incorrect|negative|none(?! other)|neither)\b|\bnothing matches\b"
    r"|\b(?:definitely|certainly|absolutely|of course|indeed|sure|surely) not\b"
    r"|\bnot (?:true|correct|right|really|at all)\b|\b(?:that|it|this)(?: is|['’]s) (?:wrong|untrue)\b"
    rf"|\b{_THEY}(?:\s+{_BE}\s+not|(?:\s+{_BE})n['’]t)\b"
    rf"|{_PICTURE}\s+(?:(?:does\s+not|doesn['’]t)\s+{_VERB}|lacks)\b"
    r"|不是|没有|沒有|不存在|不对|不對|不正确|不正確|否|^不"
    r"|いいえ|いない|いません|ありません|違|아니[요오]|아닙|지 않|없",
    re.I,
)
_YES = re.compile(
    r"^\W*(?:yep|yeah|yup|sure|true|correct|indeed|affirmative|of course|definitely|certainly|absolutely)\b"
    r"|\b(?:that|it|this)(?: is|['’]s) (?:true|correct|right)\b|\banswer(?: is|:) (?:true|correct|affirmative)\b"
    rf"|{_BEGINS}{_THEY}\s+{_BE}(?: indeed)?{_ENDS}|{_BEGINS}{_THEY}\s+{_BE}\s+{_HERE}\b"
    rf"|(?:{_PICTURE}|{_BEGINS}{_THEY})\s+(?:match(?:es)?|do(?:es)? match)\b|{_BEGINS}something matches\b"
    rf"|{_PICTURE}\s+(?:{_VERBS}|does {_VERB})\s+{_ITSELF}{_ENDS}|{_BEGINS}(?:i (?:can )?see|there is) {_ITSELF}{_ENDS}"
    r"|是|有|存在|对|對|正确|正確|没错|はい|^うん|います|あります|そうです|^네|^예|그렇|맞|있",
    re.I,
)
# A sentence about what there is says yes where that is what was asked about; else it only describes the picture.
_THERE_IS = re.compile(
    rf"(?:{_BEGINS}(?:there\s+(?:is|are)|i (?:can )?see)|{_PICTURE}\s+(?:{_VERBS}|does {_VERB}))\s+([^.!?:;,\n]+)", re.I
)
_WITHIN = re.compile(r"\s+(?:(?:somewhere\s+)?in\s+(?:the|this)\s+(?:image|picture|photo)|here|there)\b", re.I)
_UNSURE = re.compile(r"\b(?:can(?:not|['’]t| not)|unable|impossible|not sure|unsure|don['’]t know|do not know)\b", re.I)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_WORDS = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    r"|(?<![\w.,:])[-−]?\d+(?:[.,:]\d+)*[^\W\d_]*"
    r"|[^\W\d_][^\W_]*(?:[-'’][^\W_]+)*"
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_ARTICLES = ("a", "an", "the")


def from_text(text: str, question: Question, unit: Unit | None = None) -> Answer:
    """The answer that a generated text gives to ``question``.

    Asked to point: right if the centre of the box or point that it names lies in the target's cell; ``unit`` is what
    the model's numbers count, as for :func:`~bapa.inference.pointing.pointed`. The answer is the centre, as shares.

    Asked what it sees: yes if it names it, alone or as one of several.

    With choices: the one it names. Without: right if it holds the expected words, case, punctuation, articles and the
    spelling of numbers aside, and does not deny them.
    """
    said = _said(text)
    if said is None:
        return Answer(error=f"{UNREAD}the model was still thinking; let it write more tokens: --generate 512")
    if not said:
        return Answer(error=f"{UNREAD}the model wrote nothing")
    if question.kind == "point" and (region := Region.read(question.answer)):
        place = pointed(said, region.width, region.height, unit)
        if place is None:
            return Answer(error=f"{UNREAD}it names no place in the picture: {said[:_SHOWN]!r}")
        return Answer("{:.4f},{:.4f}".format(*place.centre), place.within(region.shares))
    if question.name:
        kept = _DENIED.sub(" ", said)
        answer = "yes" if any(_holds(kept, form) for form in (question.name, f"{question.name}s")) else "no"
        return Answer(answer, answer == question.answer)
    if not question.choices:
        return Answer(said, _holds(said, question.answer))
    chosen = (
        _letter(said, question.choices) if _letters(question.choices) else _word(said, question.choices, question.text)
    )
    if chosen is None:
        return Answer(error=f"{UNREAD}it names none of {', '.join(question.choices)}, or several: {said[:_SHOWN]!r}")
    return Answer(chosen, chosen == question.answer)


def _said(text: str) -> str | None:
    """A text without its thoughts and its markup; None where it ends among them."""
    *_, said = _THOUGHT.split(text)
    if _THINKS.search(said):
        return None
    for mark in _MARKED:
        if found := mark.findall(said):
            said = found[-1]
    return _MARKDOWN.sub("", unicodedata.normalize("NFKC", said)).strip()


def _letters(choices: Sequence[str]) -> bool:
    return all(len(choice) == 1 and choice.isascii() and choice.isalpha() for choice in choices)


def _letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter a text names. ``A`` before a word is an article, ``I`` a pronoun."""
    alone = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if alone and alone[1].upper() in choices:
        return alone[1].upper()
    one = f"[{''.join(choices)}]"
    letter = rf"(?<![A-Za-z0-9_'’])({one})(?![A-Za-z0-9_'’]|-\w)"
    kept = _NEGATED.sub(" ", text)
    if answers := list(re.finditer(rf"(?i:{_ANSWER_IS}{_BEFORE}){letter}{_NO_WORD}", kept)):
        return None if re.match(rf"{_OR}{letter}", kept[answers[-1].end() :]) else answers[-1][1]
    if first := re.match(rf"[\"'“‘(\[]*({one})(?:[\"'”’)\].:,](?!\w)|\s*$|\s*\n)", text):
        return first[1]
    return _first(kept, letter + _NO_WORD, {choice: choice for choice in choices})


def _word(text: str, choices: Sequence[str], asked: str) -> str | None:
    """The word, number or phrase of ``choices`` a text names. ``asked``: the question."""
    spelled = {form: choice for choice in choices for form in _spellings(choice)}
    word = f"({'|'.join(_bounded(form) for form in sorted(spelled, key=len, reverse=True))})"
    kept = _NEGATED.sub(" ", _IDIOMS.sub(" ", text))
    if answers := list(re.finditer(rf"{_ANSWER_IS}{_BEFORE}{word}", kept, re.I)):
        offered = re.match(rf"{_OR}{word}", kept[answers[-1].end() :], re.I)
        return None if offered else _choice(answers[-1][1], spelled)
    found = _first(kept, word, spelled)
    return found or (_meant(text, asked) if choices == YES_NO and not re.search(word, kept, re.I) else None)


def _first(text: str, pattern: str, spelled: dict[str, str]) -> str | None:
    """The first choice that is named; None where another one is offered beside it."""
    named = re.search(pattern, text, re.I if any(len(form) > 1 for form in spelled) else 0)
    if named is None:
        return None
    flags = re.I if any(len(form) > 1 for form in spelled) else 0
    if re.match(rf"{_OR}{pattern}", text[named.end() :], flags):
        return None
    return _choice(named[1], spelled)


def _choice(form: str, spelled: dict[str, str]) -> str:
    """The choice that a form stands for: ``Top-left`` is top left."""
    known = {_joined(one): choice for one, choice in spelled.items()}
    return spelled.get(form) or spelled.get(form.lower()) or known[_joined(form)]


def _joined(form: str) -> str:
    return re.sub(r"[\s-]+", " ", form.lower())


def _meant(text: str, asked: str) -> str | None:
    """Yes or no of a text that holds neither word, in reply to the question ``asked``."""
    if _UNSURE.search(text):
        return None
    if _NO.search(text):
        return "no"
    return "yes" if _YES.search(text) or any(_names(found[1], asked) for found in _THERE_IS.finditer(text)) else None


def _names(thing: str, asked: str) -> bool:
    """Whether a question is about ``thing``, articles alike: a red two, not a two where a red two was asked about. One
    word alone may be one of the wording, such as "text".
    """
    said, whole = (_alike(_WITHIN.sub(" ", text)) for text in (thing, asked))
    return " " in said and f" {said} " in f" {whole} "


def _alike(text: str) -> str:
    words = (_number(word) for word in _WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))
    return " ".join("a" if word in _ARTICLES else word for word in words)


@lru_cache(256)
def _spellings(choice: str) -> tuple[str, ...]:
    form = choice.lower()
    other = _DIGITS.get(form) or (_NUMBERS[int(form)] if form.isdecimal() and int(form) < len(_NUMBERS) else None)
    return (form, other) if other else (form,)


def _bounded(form: str) -> str:
    """A pattern for a choice as a word of its own: not ``two`` in twenty-two, not ``3`` in 3.5."""
    if _CJK.search(form):
        return re.escape(form)
    if form.isdecimal():
        return rf"(?<![\w.,:−-]){form}(?![\w]|[.,:]\d)"
    spaced = r"[\s-]+".join(map(re.escape, re.split(r"(?<=\w)[\s-]+(?=\w)", form)))
    return rf"(?<!\w)(?<!\w-){spaced}(?!\w)(?!-\w)"


def _holds(text: str, expected: str) -> bool:
    """Whether a free answer holds the expected words in their order, not denied."""
    if len(expected.strip()) == 1 and expected.strip().isascii() and expected.strip().isalpha():
        letter = expected.strip().upper()
        return _letter(text, [letter]) == letter
    wanted, words = _plain(expected), _plain(text)
    places = (start for start in range(len(words)) if words[start : start + len(wanted)] == wanted)
    return bool(wanted) and any(not _denied(words[:start]) for start in places)


def _denied(before: Sequence[str]) -> bool:
    return bool(before) and (before[-1] in ("no", "not", "without", "never") or before[-1].endswith(("n't", "n’t")))


def _plain(text: str) -> list[str]:
    """The words of a text, numbers as digits, without articles unless it holds nothing else."""
    words = [_number(word) for word in _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())]
    return [word for word in words if word not in _ARTICLES] or words


def _number(word: str) -> str:
    word = _DIGITS.get(word, word).replace("−", "-")
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+", word):
        word = word.replace(",", "")
    return word.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", word) else word
