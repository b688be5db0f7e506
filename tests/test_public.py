"""What each room offers to others: its names, typed, documented, and nothing by accident."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISED = {
    "bapa": {"__version__", "balance", "balanced", "from_pretrained", "positions", "restore", "scheme_of"},
    "bapa.attach": {"balance", "balanced", "positions", "restore", "scheme_of"},
    "bapa.checkpoints": {"Loaded", "from_pretrained", "load"},
    "bapa.stats": {"Settings"},
    "bapa.probe": {"Columns", "Design", "Item", "LeftOut", "Probe", "Question", "Tile", "build", "render"},
    "bapa.measure": {"Run", "load_run", "measure"},
    "bapa.schemes": {"Placement", "Scheme", "make", "names", "parse", "profile", "ptd", "register", "table"},
    "bapa.origin": {"Options", "Origin", "explain", "load_origin"},
    "bapa.calibrate": {"Calibration", "calibrate", "load_calibration"},
    "bapa.tune": {"Data", "Settings", "read", "tune"},
    "bapa.report": {"write"},
}
TYPED = """
from pathlib import Path
from typing import assert_type

import bapa
from bapa.measure import Run, load_run
from bapa.probe import Probe
from bapa.report import write
from bapa.schemes import Scheme, make, names
from torch import Tensor
from torch.nn import Linear

assert_type(bapa.balance(Linear(1, 1)), Linear)
assert_type(bapa.scheme_of(Linear(1, 1)), Scheme | None)
assert_type(bapa.positions(Linear(1, 1)), Tensor)
assert_type(make("bapa"), Scheme)
assert_type(names(), list[str])
assert_type(load_run("x"), Run)
assert_type(Probe.load("x"), Probe)
assert_type(write([Path("x")]), Path)
"""


@pytest.mark.parametrize("room", PROMISED)
def test_promised_names_are_there_and_documented(room: str) -> None:
    module = import_module(room)
    assert PROMISED[room] <= set(module.__all__)
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert inspect.getdoc(found), f"{room}.{name}"


@pytest.mark.parametrize("room", PROMISED)
def test_functions_are_annotated(room: str) -> None:
    module = import_module(room)
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isfunction(found):
            bare = [p.name for p in inspect.signature(found).parameters.values() if p.annotation is p.empty]
            assert not bare, f"{room}.{name}: {bare}"
            assert inspect.signature(found).return_annotation is not inspect.Signature.empty


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True])
def test_types_reach_those_who_use_it(tmp_path: Path, wrong: bool) -> None:
    text = TYPED.replace("assert_type(names(), list[str])", "assert_type(names(), int)") if wrong else TYPED
    (tmp_path / "use.py").write_text(text, "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-version", "3.11", str(tmp_path / "use.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode != 0) is wrong, checked.stdout
    if wrong:
        assert 'Expression is of type "list[str]", not "int"' in checked.stdout
