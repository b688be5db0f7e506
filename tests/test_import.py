"""`import bapa` is light, and its public names are the ones people type."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bapa

HEAVY = ("torch", "transformers", "datasets", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "jinja2")


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import bapa", "import bapa.errors", "import bapa.cli", "import bapa.probe"])
def test_import_is_light(statement: str) -> None:
    assert modules_after(statement).isdisjoint(HEAVY)


def test_a_public_name_brings_torch() -> None:
    # Shows that the test above can fail.
    assert "torch" in modules_after("import bapa; bapa.balance")


def test_import_takes_less_than_half_a_second() -> None:
    # Time of the processor, not of the wall: other tests run at the same time.
    clock = "import time; t = time.process_time(); import bapa; print(time.process_time() - t)"
    assert float(subprocess.run([sys.executable, "-c", clock], capture_output=True, text=True, check=True).stdout) < 0.5


def test_public_names() -> None:
    promised = {"balance", "balanced", "from_pretrained", "positions", "restore", "scheme_of", "__version__"}
    assert set(bapa.__all__) == promised == set(dir(bapa))
    assert all(getattr(bapa, name) for name in bapa.__all__)
    with pytest.raises(AttributeError, match="no attribute 'blance'"):
        bapa.blance  # noqa: B018


def test_changelog_tells_of_this_version() -> None:
    changelog = Path(__file__).parents[1] / "CHANGELOG.md"
    newest = re.search(r"^## (\S+)", changelog.read_text("utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == bapa.__version__


def test_errors_are_drawn_as_they_are() -> None:
    from bapa import errors

    drawn = errors.__doc__ or ""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(found) > 5
    for kind in found:
        assert issubclass(kind, errors.BapaError)
        line = next(line for line in drawn.splitlines() if kind.__name__ in line.split())
        # Each step down the tree is drawn four characters further in.
        assert line.index(kind.__name__) == 4 * (len(kind.__mro__) - len(errors.BapaError.__mro__))
