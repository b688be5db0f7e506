"""Generated pages list what the code lists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.models.test_matrix import CHECKS
from tests.tiny import FAMILIES
from tests.tiny.unsupported import UNSUPPORTED

PAGE = (Path(__file__).parents[1] / "docs" / "families.md").read_text(encoding="utf-8")


def test_the_families_page_is_up_to_date() -> None:
    rows = re.findall(r"^\| (\w+) \| [13] \|(.*)$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(FAMILIES), "run: make families"
    assert all(len(marks.split("|")) - 1 == len(CHECKS) + 1 for _, marks in rows)
    assert "✗ |" not in PAGE
    assert all(f"- **{name}**" in PAGE for name in UNSUPPORTED)
    assert sum(line.count("**n**") for line in PAGE.splitlines() if line.startswith("| ")) == sum(
        check.__name__ in family.skip for family in FAMILIES.values() for check in CHECKS
    )
