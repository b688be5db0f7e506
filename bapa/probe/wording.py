"""The standard wording of each question, in the words of each kind of slots."""

from __future__ import annotations

from dataclasses import dataclass

from bapa.probe.slots import Kind


@dataclass(frozen=True)
class _Shown:
    """``thing``, ``things``: what stands in a slot and may match a text. ``all``: the things of one prompt.
    ``whole``: where they are. ``layout``: how they stand, in front of a question about lines. ``reading``: likewise, of
    one about order.
    """

    thing: str
    things: str
    all: str
    whole: str = "this image"
    layout: str = ""
    reading: str = "Take the {things} in their order. "


_OBJECT = _Shown("object", "objects", "the objects in this image", layout="Divide the image into a grid. Its")
_KINDS: dict[Kind, _Shown] = {
    "grid": _Shown(
        "sub-image",
        "sub-images",
        "the sub-images in this image",
        "this image",
        "The sub-images form a grid. Its",
        "Read the sub-images like a page: row by row, from left to right. ",
    ),
    "images": _Shown("image", "images", "these images", "these images"),
    "frames": _Shown("frame", "frames", "the frames of this video", "this video"),
    "page": _Shown(
        "sentence", "sentences", "the sentences on this page", layout="Divide the page into a grid of equal blocks. Its"
    ),
    "scene": _OBJECT,
    "crop": _OBJECT,
    "sizes": _OBJECT,
    "aspects": _OBJECT,
}

OPENING = "There is a"  # of an answer that names something
WHERE_IN_WORDS = "In which {line} is {caption}? Answer with one word."

# The yes/no question is that of the probe of arXiv 2509.21984: does a sub-image match the text, answered by yes or no.
_MATCH = "Does any of {all} match the following text?\nText: {{caption}}\nAnswer yes or no."
_WHICH = (
    "Which of {all} matches the following text? The first is {{start}}, the last is {{last}}.\nText: {{caption}}\n"
    "Answer with the {{sign}} only."
)
_PROMPTS: dict[str, str] = {
    "match": _MATCH,
    "evidence": _MATCH,
    "choice": "Which of these texts matches one of {all}?\n{{options}}\nAnswer with the letter only.",
    "where": "{layout} {{line}}s are lettered from A ({{start}}) to {{last}} ({{end}}). "
    "In which {{line}} is the {thing} that matches this text?\nText: {{caption}}\nAnswer with the letter only.",
    "order": "{reading}Does the {thing} that matches the first text come before the one that matches the second?\n"
    "First: {{caption}}\nSecond: {{other}}\nAnswer yes or no.",
    "count": "How many of the {things} show this: {{group}}?\nAnswer with the number only.",
    "point": "Where is the {thing} that matches this text?\nText: {{caption}}\nAnswer with its bounding box only.",
    "name": "What is in {whole}?",
    "vqa": "Look at the {thing} that matches this text: {{caption}}\n{{question}}\n"
    "Answer with a word or a short phrase.",
}


# The same where answers are words: a model that is told to write a letter gives words none of its probability.
_IN_WORDS: dict[str, str] = {
    "where": "{layout} {{line}}s run from {{start}} to {{end}}. In which {{line}} is the {thing} that matches this "
    "text?\nText: {{caption}}\nAnswer with one word, such as {{start}}.",
    "count": "How many of the {things} show this: {{group}}?\nAnswer with one word, such as one.",
}


def standard(task: str, kind: Kind = "grid", answers: str | None = None) -> str:
    """The wording of a task, with the fields that a question fills in braces. ``answers``: ``words``, or ``letters``
    (and numerals), which None means too.
    """
    shown = _KINDS[kind]
    prompts = {**_PROMPTS, **_IN_WORDS} if answers == "words" else _PROMPTS
    text = _WHICH if task == "where" and not shown.layout else prompts[task]
    words = vars(shown)
    return text.format(**{**words, "reading": shown.reading.format(**words)})
