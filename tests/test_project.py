"""What stands around the package: pins, make targets, the README's marks."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TESTED = ("base", "dev", "browser", "deepspeed", "docs", "explore", "lmms")


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def holds(requirement: Requirement, python: str, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python, "extra": extra})


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.13"])
def test_every_dependency_has_one_pin_that_it_accepts(python: str) -> None:
    pinned: dict[str, str] = {}
    for pin in filter(lambda pin: holds(pin, python), pins()):
        assert pin.url is None
        assert pin.name not in pinned, f"{pin.name} is pinned twice for Python {python}"
        (only,) = pin.specifier
        assert only.operator in ("==", "===")
        pinned[pin.name] = only.version
    for text in requires("bapa") or ():
        wanted = Requirement(text)
        if any(holds(wanted, python, extra) for extra in TESTED):
            assert wanted.specifier.contains(pinned[wanted.name]), text


def test_torch_and_torchvision_are_the_very_builds() -> None:
    exact = {pin.name: str(pin.specifier) for pin in pins() if str(pin.specifier).startswith("===")}
    assert set(exact) == {"torch", "torchvision"}


def test_make_help_has_a_line_for_every_target() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"make (\S+) +\S", shown) == targets
    assert {"demo", "test", "check", "slow", "figures", "reference"} <= set(targets)


def test_readme_names_real_targets_and_files() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`?make ([a-z0-9-]+)\b", readme)) <= set(targets)
    for file in re.findall(r'(?:src|srcset)="([^"]+)"', readme) + re.findall(r"\]\((?!http)([^)]+)\)", readme):
        assert (ROOT / file.partition("#")[0]).exists(), file


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    commands = [
        line for line in script.read_text("utf-8").splitlines() if line and not line.startswith(("#", "set", "cd"))
    ]
    assert commands == ["make test"]
    assert re.search(r"^make test ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def test_citation_names_this_version() -> None:
    import bapa

    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.+)$", cited, re.MULTILINE) == [bapa.__version__]


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = re.findall(r"entry: \.venv/bin/(\w+ ?\w*)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    checked = re.findall(r"^\t\$\(BIN\)/(ruff \w+|mypy)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"ruff check", "ruff format", "mypy"} <= {hook.strip() for hook in hooks} & set(checked)
