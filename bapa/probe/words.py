"""From the values of a table to text that a model can be asked about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from bapa.probe.marks import mark
from bapa.probe.picture import UnusableError
from bapa.probe.questions import bare
from bapa.probe.tile import caption_key


def texts(value: Any) -> list[str]:
    """What a value says: nothing, one text, or several of which each is true; the one to use stands first.

    Of several, that is the one most often given. None, not-a-number and blanks say nothing.

    Raises:
        UnusableError: the value is no text, or text that cannot be written or asked about.
    """
    if isinstance(value, list | tuple):
        given = [one for entry in value for one in _one(entry)]
        return [text for text, _ in Counter(given).most_common()]
    return list(_one(value))


def _one(value: Any) -> Iterable[str]:
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return
    if isinstance(value, Integral) and not isinstance(value, bool):
        yield str(value)
        return
    if isinstance(value, float) and math.isfinite(value):
        # Tables keep whole numbers as fractions where some are missing.
        yield str(int(value)) if value.is_integer() else str(value)
        return
    if not isinstance(value, str):
        raise UnusableError(f"is {shown(value)}, which is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnusableError(f"holds half a character: {shown(value)}") from None
    if found := mark(value):
        raise UnusableError(f"holds {found}, which models do not read as text")
    if value.strip():
        yield value.strip()


def check_caption(caption: str, task: str) -> None:
    """Raise UnusableError where a caption says nothing that a task could ask about: dots alone, or for names neither a
    letter nor a numeral.
    """
    said = bare(caption_key(caption))
    if task == "name" and not any(map(str.isalnum, said)):
        raise UnusableError(f"its caption {caption!r} holds no name")
    if not said:
        raise UnusableError(f"its caption {caption!r} holds no word")


def shown(value: object) -> str:
    """A value in a message: short, and in characters that can be written."""
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
