"""The wheel: small, whole, and working where nothing else of the repository is."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from bapa import reference

ROOT = Path(__file__).parents[1]
LIMIT = 20_000_000  # bytes


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--no-build-isolation"]  # hatchling of this environment: no network
    subprocess.run([*pip, "--wheel-dir", str(out), str(ROOT)], check=True)
    (built,) = out.glob("bapa-*.whl")
    return built


def test_it_is_small_and_holds_what_the_package_reads(wheel: Path) -> None:
    assert wheel.stat().st_size < LIMIT
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {f"bapa/reference/weights/{skew}/model.safetensors" for skew in reference.NAMES} <= held
    assert {"bapa/py.typed", "bapa/report/templates/page.html.j2", "bapa/report/templates/page.css"} <= held
    assert not [name for name in held if not name.startswith(("bapa/", "bapa-"))]
    tracked = subprocess.run(["git", "ls-files", "bapa"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= held


def test_it_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """A new environment that holds the wheel; what it stands on is read from this one through a path file."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    # Plain path lines: the editable install's own .pth file in that folder is not read, so bapa is the wheel's.
    (site / "below.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = "import bapa; print(bapa.__file__)"
    assert Path(run(str(python), "-c", code).strip()).is_relative_to(site)
    run(str(python.with_name("bapa")), "check", "reference:uniform", "--items", "8", "--out", "demo")
    page = (tmp_path / "demo" / "check.html").read_text("utf-8")
    assert "reference:uniform" in page
