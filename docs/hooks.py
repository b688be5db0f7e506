"""What mkdocs is told beyond mkdocs.yml."""

from __future__ import annotations

import posixpath
import re
from functools import partial
from typing import Any

UPWARDS = re.compile(r"!?\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Files of the repository outside docs have no place on the site: of links to them only the words stay."""
    return UPWARDS.sub(partial(_kept, posixpath.dirname(page.file.src_uri)), markdown)


def _kept(folder: str, link: re.Match[str]) -> str:
    outside = posixpath.normpath(posixpath.join(folder, link[2])).startswith("..")
    return link[1] if outside else link[0]
