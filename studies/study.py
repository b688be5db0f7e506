"""A study: what it found is kept in a record, and the record fills its blocks of the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[1]

Blocks = Mapping[str, Mapping[str, str]]  # page, relative to the repository -> name of the block -> its text


@dataclass(frozen=True)
class Study:
    """``name``: of its folder in ``studies``; ``blocks``: from the record to the texts in the pages."""

    name: str
    blocks: Callable[[Any], Blocks]

    @property
    def path(self) -> Path:
        """Where the record is kept."""
        return ROOT / "studies" / self.name / "record.json"

    def record(self) -> Any:
        """What was found; an empty dictionary before the first run."""
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def keep(self, found: Any) -> None:
        """Make ``found`` the record."""
        self.path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def filled(self, record: Any) -> dict[Path, str]:
        """The pages of the study with its blocks written anew."""
        return {
            ROOT / page: filled((ROOT / page).read_text("utf-8"), page, blocks)
            for page, blocks in self.blocks(record).items()
        }

    def write(self) -> None:
        """Write the blocks of the record into the pages."""
        if not self.path.exists():
            raise typer.BadParameter(f"nothing measured yet: python -m studies.{self.name} run")
        for page, text in self.filled(self.record()).items():
            page.write_text(text, "utf-8")
            typer.echo(page.relative_to(ROOT))


def filled(text: str, page: str, blocks: Mapping[str, str]) -> str:
    """``text`` with each block between its two marks, ``<!-- NAME: ... -->`` and ``<!-- end of NAME -->``."""
    for name, block in blocks.items():
        marks = re.compile(rf"(<!-- {name}: [^\n]*? -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if len(marks.findall(text)) != 1:
            raise ValueError(f"{page} must hold the two marks of {name!r} once")
        text = marks.sub(partial(_between, block.strip()), text)
    return text


def _between(block: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}\n{block}\n\n{marks[2]}"


def commands(study: Study, run: Callable[..., None]) -> typer.Typer:
    """``run`` and ``write`` as the commands of ``python -m studies.NAME``."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, help=run.__doc__)
    app.command("run")(run)
    app.command("write", help="Write the figures of the record into the pages.")(study.write)
    return app


def slug(model: str) -> str:
    """What a model is called in records and pages: ``bottom-1`` for ``reference:bottom``, else its folder's name."""
    return f"{model.partition(':')[2]}-1" if model.startswith("reference:") else Path(model).name


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; nothing where it has no rows."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) if rows else ""


def missing(wanted: list[str], there: list[str]) -> str:
    """A line that says which models a table lacks, where it lacks any."""
    left = [name for name in wanted if name not in there]
    return f"\n\nNot measured yet: {', '.join(left)}." if left else ""
