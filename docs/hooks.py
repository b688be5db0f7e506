"""What mkdocs is told beyond mkdocs.yml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_config(config: Any) -> Any:
    """Leaves pages out of the navigation that are not written."""
    docs = Path(config.docs_dir)

    def written(entries: list[Any]) -> list[Any]:
        kept = []
        for entry in entries:
            ((title, target),) = entry.items()
            if isinstance(target, list):
                kept.append({title: written(target)})
            elif (docs / target).exists():
                kept.append(entry)
        return kept

    config.nav = written(config.nav)
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Files of the repository have no place on the site: of links to them only the words stay."""
    return OUTSIDE.sub(r"\1", markdown)
