"""What mkdocs is told beyond mkdocs.yml."""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Files of the repository have no place on the site: of links to them only the words stay."""
    return OUTSIDE.sub(r"\1", markdown)
