"""Words in captions and prompts that a model does not read as text."""

from __future__ import annotations

import re

# Words that processors and chat templates read as a picture, another medium or the end of a turn, not as text.
_MARK = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<[^<>\s]{0,40}(?:image|img|video|audio|vision|media|im_patch|im_start|im_end)[^<>\s]{0,40}>"
    r"|</?(?:s|bos|eos|pad|unk)>|\[/?(?:IMG|INST)[^\]\s]{0,20}\]",
    re.IGNORECASE,
)


def mark(text: str) -> str | None:
    """The first word of ``text`` that models do not read as text, such as ``<image>``; None where all is text."""
    found = _MARK.search(text)
    return found[0] if found else None
