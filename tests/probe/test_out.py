"""Where a probe may be written, and how much of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bapa.errors import ConfigError
from bapa.probe import Design, Probe, build

from .conftest import SMALL, picture, table, write


def test_a_folder_that_cannot_be_replaced_is_filled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mounted one: it can be written to, neither removed nor renamed."""
    (tmp_path / "P").mkdir()
    inode = (tmp_path / "P").stat().st_ino
    remove = Path.rmdir

    def busy(self: Path) -> None:
        if self == tmp_path / "P":
            raise OSError(16, "Device or resource busy")
        remove(self)

    monkeypatch.setattr(Path, "rmdir", busy)
    probe = build(str(folder), tmp_path / "P", SMALL)
    assert (tmp_path / "P").stat().st_ino == inode
    assert sorted(path.name for path in probe.path.iterdir()) == sorted(
        ["README.md", "contact_sheet.png", "items.parquet", "probe.json", "tiles.parquet"]
    )


def test_two_builds_into_one_folder(folder: Path, tmp_path: Path) -> None:
    """The second is refused in one line while the first goes on."""
    for number in range(300):
        picture(100 + number).resize((400, 300)).save(folder / f"more{number}.png")
    more = [{"file_name": f"more{number}.png", "caption": f"thing {number}"} for number in range(300)]
    write(folder, table(folder) + more)
    for target in (tmp_path / "new", tmp_path / "there"):
        if target.name == "there":
            target.mkdir()
        command = [sys.executable, "-m", "bapa", "probe", str(folder), "--cell", "200", "--out", str(target)]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        part = target / ".part" if target.exists() else tmp_path / f".{target.name}.part"
        while not (part / "tiles.parquet").exists():
            assert first.poll() is None
            time.sleep(0.01)
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert first.wait() == 0
        assert second.returncode == 2, second.stdout
        assert "another process is writing to" in second.stderr
        assert "Traceback" not in second.stderr
        assert len(Probe.load(target).items) == 324


@pytest.mark.parametrize("inside", ["source", "probe"])
def test_a_probe_inside_its_source_or_another_probe_is_refused(folder: Path, tmp_path: Path, inside: str) -> None:
    home = folder if inside == "source" else build(str(folder), tmp_path / "P", SMALL).path
    before = sorted(home.iterdir())
    with pytest.raises(ConfigError, match=r"choose a folder beside it: --out FOLDER"):
        build(str(folder) if inside == "source" else "digits", home / "deep" / "Q", SMALL)
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("design", [Design(items=10**9), Design(items=2, rows=12, cols=12, cell=2048)])
def test_numbers_are_checked_against_the_memory_first(
    tmp_path: Path, design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**32})())
    with pytest.raises(ConfigError, match=r"GiB of memory, 4\.0 GiB are free; ask for fewer"):
        build("digits", tmp_path / "P", design)
    assert not [*tmp_path.iterdir()]
