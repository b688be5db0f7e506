"""Generated pages list what the code lists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.models.test_matrix import CHECKS
from tests.tiny import FAMILIES
from tests.tiny.older import FAILS, LEFT_OUT
from tests.tiny.unsupported import UNSUPPORTED

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "families.md").read_text(encoding="utf-8")


def test_the_families_page_is_up_to_date() -> None:
    rows = re.findall(r"^\| (\w+) \| [13] \|(.*)$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(FAMILIES), "run: make families"
    assert all(len(marks.split("|")) - 1 == len(CHECKS) + 1 for _, marks in rows)
    assert "✗ |" not in PAGE
    assert all(f"- **{name}**" in PAGE for name in UNSUPPORTED)
    assert sum(line.count("**n**") for line in PAGE.splitlines() if line.startswith("| ")) == sum(
        check.__name__ in family.skip for family in FAMILIES.values() for check in CHECKS
    )


def test_the_integrations_page_names_the_sets_and_commands_there_are() -> None:
    from typer.main import get_command

    from bapa.cli import app
    from bapa.integrations.lmms_eval.bench import SETS

    page = (DOCS / "integrations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", page, re.MULTILINE)
    assert {name: tuple(re.findall(r"\w+", tasks)) for name, tasks in rows} == SETS
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    for verb, rest in re.findall(r"^(?:bapa|accelerate .*\n  )\s*(\w+) (.*)$", page, re.MULTILINE):
        known = {name for parameter in verbs[verb].params for name in (*parameter.opts, *parameter.secondary_opts)}
        own = rest.partition(" -- ")[0]
        assert set(re.findall(r"--[a-z-]+", own)) <= known, f"bapa {verb} {rest}"


def test_the_page_of_transformers_4_lists_families_that_pass() -> None:
    page = (DOCS / "families-457.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| [13] \|(.*)$", page, re.MULTILINE)
    assert "with transformers 4.57" in page
    assert {name for name, _ in rows} <= set(FAMILIES) - set(LEFT_OUT)
    assert not [name for name, marks in rows if "✗" in marks]
    assert {name for name, marks in rows if "**n**" in marks} <= set(FAILS) | {
        name for name, family in FAMILIES.items() if family.skip
    }
    assert all(f"- **{name}**" in page for name in LEFT_OUT)
