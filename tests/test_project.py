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


def commands_of(path: str) -> list[str]:
    """The commands of a script, or those that a workflow's steps run."""
    text = (ROOT / path).read_text("utf-8")
    if path.endswith(".yml"):
        return re.findall(r"^ +(?:- )?run: (.+)$", text, re.MULTILINE)
    return [line for line in text.splitlines() if line and not line.startswith(("#", "set", "cd"))]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert commands_of(".ci/run") == ["make test"]
    assert commands_of(".github/workflows/ci.yml") == [".ci/run"]
    assert re.search(r"^make test ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def test_make_test_checks_lint_format_types_and_arrows() -> None:
    made = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ran = [line.split("/")[-1] for line in made.splitlines() if line.startswith(".venv/bin/")]
    assert ran[-4:] == ["ruff check .", "ruff format --check .", "mypy", 'pytest -n 2 -m "not slow"']
    assert (ROOT / "tests" / "test_house.py").exists()


def test_workflows_run_on_the_pythons_that_are_pinned_for() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert re.findall(r'"(3\.\d+)"', text) == ["3.10", "3.11", "3.13"]
    made = re.findall(r"make ([a-z-]+)", "\n".join(commands_of(".github/workflows/release.yml")))
    assert made == ["test", "test-wheel", "build"]


def test_no_file_names_a_package_registry() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    host = re.compile(r"(?:pypi|pythonhosted|registry)[\w.-]*\.(?:org|com|io)\b|download\.pytorch\.")
    texts = {name: (ROOT / name).read_bytes().decode("utf-8", "ignore") for name in tracked if (ROOT / name).is_file()}
    assert [name for name, text in texts.items() if host.search(text)] == []


def test_the_install_lines_of_the_readme_name_this_version_and_real_extras() -> None:
    import bapa

    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"bapa-{bapa.__version__}-py3-none-any.whl" in readme
    extras = {str(Requirement(text).marker) for text in requires("bapa") or () if "extra ==" in text}
    for extra in re.findall(r"bapa\[(\w+)\]", readme):
        assert any(f'"{extra}"' in marker for marker in extras), extra


def test_citation_names_this_version() -> None:
    import bapa

    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.+)$", cited, re.MULTILINE) == [bapa.__version__]


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = re.findall(r"entry: \.venv/bin/(\w+ ?\w*)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    checked = re.findall(r"^\t\$\(BIN\)/(ruff \w+|mypy)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"ruff check", "ruff format", "mypy"} <= {hook.strip() for hook in hooks} & set(checked)
