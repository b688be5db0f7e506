"""Every benchmark finds what it imports: none but two run in a test, and what they use moves."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_it_imports_is_there(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(script.parent))
    before = set(sys.modules)
    try:
        assert "main" in runpy.run_path(str(script)) or script.stem == "added"
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        pytest.skip("needs vLLM")
    finally:
        for name in {one.stem for one in SCRIPTS} - before:
            sys.modules.pop(name, None)
