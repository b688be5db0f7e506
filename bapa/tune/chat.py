"""One training row: a chat whose pictures stand at marks in its text.

Two spellings are read: LLaVA's (``{"from": "human", "value": "<image>\\nWhat is this?"}``) and that of chat templates
(``{"role": "user", "content": ...}``, the content a text with marks or a list of parts).
"""

from __future__ import annotations

from typing import Any

from bapa.probe.marks import mark

MARK = "<image>"
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
}
Part = dict[str, str | None]  # {"type": "text", "text": ...} or {"type": "image", "text": None}
Message = dict[str, Any]  # {"role": ..., "content": list[Part]}


class BadRow(Exception):
    """What is wrong with a row, to be told together with where it stands."""


def read(turns: object, pictures: int) -> list[Message]:
    """The messages of a row that comes with ``pictures`` pictures.

    Raises BadRow where its form is not known, it has no answer to learn, or its marks do not fit its pictures.
    """
    if not isinstance(turns, list) or not turns:
        raise BadRow("its conversation is not a list of turns")
    messages = [_message(turn) for turn in turns]
    for part in (part for message in messages for part in message["content"] if part["type"] == "text"):
        _check_text(part["text"] or "")
    if messages[-1]["role"] != "assistant" or not messages[-1]["content"]:
        raise BadRow("its last turn is no answer, so there is nothing to learn")
    if any(part["type"] == "image" for m in messages if m["role"] == "assistant" for part in m["content"]):
        raise BadRow(f"an answer holds {MARK}; pictures stand in questions")
    marks = sum(part["type"] == "image" for message in messages for part in message["content"])
    if pictures and not marks:
        raise BadRow(f"it has {pictures} image{'s' * (pictures > 1)} and no {MARK} in its text to say where")
    if marks != pictures:
        raise BadRow(f"its text holds {marks} {MARK}, it comes with {pictures} images")
    return messages


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRow(f"its text holds half a character: {ascii(text)[:60]}") from None
    if found := mark(text):
        raise BadRow(
            f"its text holds {found}, which models do not read as text; pictures stand where {MARK} does, and only "
            "pictures are trained on"
        )


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise BadRow(f"a turn is {turn!r}, not an object with from and value, or role and content")
    speaker = turn.get("from", turn.get("role"))
    content = turn.get("value", turn.get("content"))
    if speaker not in ROLES:
        raise BadRow(f"a turn is by {speaker!r}; known are {', '.join(ROLES)}")
    if isinstance(content, str):
        return {"role": ROLES[speaker], "content": _split(content)}
    if isinstance(content, list):
        return {"role": ROLES[speaker], "content": [part for entry in content for part in _part(entry)]}
    raise BadRow(f"a turn's text is {content!r}")


def _split(text: str) -> list[Part]:
    """A text with marks as parts. The line break that LLaVA writes beside a mark is the chat template's to write."""
    parts: list[Part] = []
    for number, piece in enumerate(text.split(MARK)):
        if number:
            parts.append({"type": "image", "text": None})
        if piece := piece.strip():
            parts.append({"type": "text", "text": piece})
    return parts


def _part(entry: Any) -> list[Part]:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "image":
        return [{"type": "image", "text": None}]
    if kind == "text" and isinstance(entry.get("text"), str):
        return [{"type": "text", "text": entry["text"]}]
    raise BadRow(f"a part of a turn is {entry!r}; text and image parts are read")
