"""Generated pages list what the code lists."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from studies.pages import beds
from studies.pages import page as reference
from tests.attach.checks import eager_equals_sdpa
from tests.attach.test_matrix import CHECKS
from tests.tiny import CLASSIFIERS, FAMILIES
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
    assert re.findall(r"^- \*\*(\w+)\*\* \(\w+\): [✓*]", PAGE, re.MULTILINE) == list(CLASSIFIERS), "run: make families"
    assert "✗ " not in PAGE.partition("classifiers: ")[2]
    assert sum(line.count("**n**") for line in PAGE.splitlines() if line.startswith("| ")) == sum(
        check.__name__ in family.skip for family in FAMILIES.values() for check in [*CHECKS, eager_equals_sdpa]
    )


def test_the_integrations_page_names_the_sets_and_commands_there_are() -> None:
    from typer.main import get_command

    from bapa.cli.app import app
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


@pytest.mark.parametrize("name", reference.PAGES)
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    assert (DOCS / "reference" / name).read_text("utf-8") == reference.page(name), "run: make pages"


def test_the_table_of_runs_is_what_the_scripts_say() -> None:
    assert (DOCS / "reproduce.md").read_text("utf-8") == reference.reproduce(), "run: make pages"


def test_the_table_of_models_that_nobody_biased_is_what_the_records_say() -> None:
    for path, text in beds.written().items():
        assert path.read_text("utf-8") == text, "run: make pages"


def test_a_changed_code_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the tests above can fail."""
    before = reference.page("schemes.md")
    monkeypatch.delitem(reference.SCHEMES, "null")
    assert reference.page("schemes.md") != before


def test_every_column_of_the_answers_is_explained() -> None:
    assert list(reference.COLUMNS) == reference.SCHEMA.names


def test_every_page_is_in_the_navigation_and_links_lead_somewhere() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert written <= named
    for path in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize(
    ("page", "link", "kept"),
    [("studies/where.md", "../check.md#what-it-costs", True), ("serve.md", "../runs/probe.sh", False)],
)
def test_the_site_keeps_links_within_docs(page: str, link: str, kept: bool) -> None:
    hook = runpy.run_path(str(DOCS / "hooks.py"))["on_page_markdown"]
    written = hook(f"see [this]({link}).", page=SimpleNamespace(file=SimpleNamespace(src_uri=page)))
    assert written == (f"see [this]({link})." if kept else "see this.")


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings", reason="needs mkdocs: pip install 'bapa[docs]'")
    pytest.importorskip("material")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        fetched = re.findall(
            r"<(?:script|link|img|iframe|source)\b[^>]+(?:src|href)=\"?(https?:[^\">\s]+)", page.read_text("utf-8")
        )
        assert fetched == [], page.name
