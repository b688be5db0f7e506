"""The house: rooms import downwards only, no module goes in circles, schemes are known by what they declare.

CONTRIBUTING.md, "where things live", says the same in words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 350  # lines of a module

# From the ground up. A room may import the rooms of the lines above its own; two rooms of one line know nothing of each
# other. `reference` stands low: it says where the shipped weights lie, and nothing else; so does `stats`: it needs only
# answers, and its words for figures serve every sentence.
ORDER = (
    ("errors",),
    ("files", "progress"),
    ("layout", "reference", "stats"),
    ("schemes",),
    ("families",),
    ("attach",),
    ("checkpoints",),
    ("probe",),
    ("inference",),
    ("measure",),
    ("origin", "calibrate", "tune", "doctor"),
    ("check",),
    ("report",),
    ("integrations",),
    ("cli",),
    ("__main__",),
)
LEVELS = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
FRONT = "bapa"  # hands out names of attach and checkpoints, so it stands beside them; anyone may take its version
LEVELS[FRONT] = LEVELS["checkpoints"]
OUTSIDE = ("studies", "tests", "docs", "benchmarks")  # what the package must not know of


@dataclass(frozen=True)
class Arrow:
    """``source`` imports ``names`` from ``target``, both dotted module names."""

    source: str
    target: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


def modules(root: Path, package: str = "bapa") -> dict[str, Path]:
    """Every module of ``package`` below ``root``, by its dotted name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / package).rglob("*.py"))
    }


@cache
def tree_of(text: str) -> ast.Module:
    """A module as a syntax tree."""
    return ast.parse(text)


def arrows(known: dict[str, Path]) -> Iterator[Arrow]:
    """Every import of the modules, those inside functions and ``TYPE_CHECKING`` too."""
    for module, path in known.items():
        for node in ast.walk(tree_of(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (Arrow(module, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = absolute(module, path, node)
                for name in node.names:
                    whole = f"{base}.{name.name}"
                    yield Arrow(module, whole) if whole in known else Arrow(module, base, (name.name,))


def absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    """The module that a from-import names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    parts = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def room(module: str) -> str:
    """The room of a module of bapa."""
    return module.split(".")[1] if "." in module else FRONT


def upward(known: dict[str, Path]) -> list[str]:
    """Imports against the order, and imports of what is not part of the package."""
    found = []
    for arrow in arrows(known):
        top = arrow.target.split(".")[0]
        if top in OUTSIDE:
            found.append(str(arrow))
        if top != "bapa" or room(arrow.source) in (FRONT, room(arrow.target)) or arrow.names == ("__version__",):
            continue
        if LEVELS[room(arrow.target)] >= LEVELS[room(arrow.source)]:
            found.append(str(arrow))
    return sorted({*found})


def cycles(known: dict[str, Path]) -> list[str]:
    """Modules that import each other, directly or over others; the front door, which leads everywhere, left out."""
    graph: dict[str, set[str]] = {module: set() for module in known if module != FRONT}
    for arrow in arrows(known):
        if arrow.source in graph and arrow.target in graph:
            graph[arrow.source].add(arrow.target)
    far = {module: closure(graph, graph[module]) for module in graph}
    circles = {frozenset(other for other in far[module] if module in far[other]) for module in graph}
    return sorted(" <-> ".join(sorted(circle)) for circle in circles if circle)


def closure(graph: dict[str, set[str]], start: Iterable[str]) -> set[str]:
    """Everything that ``start`` leads to, itself included."""
    found: set[str] = set()
    waiting = [*start]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph.get(module, ())
    return found


def scheme_classes(known: dict[str, Path]) -> set[str]:
    """Names of all classes of ``bapa.schemes`` but those of the module that says what a scheme is."""
    return {
        node.name
        for module, path in known.items()
        if room(module) == "schemes" and module != "bapa.schemes.base"
        for node in ast.walk(tree_of(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }


def knowing(known: dict[str, Path]) -> list[str]:
    """Places outside ``bapa.schemes`` that ask whether something is of a scheme's class."""
    classes, found = scheme_classes(known), []
    for module, path in known.items():
        if room(module) == "schemes":
            continue
        tree = tree_of(path.read_text("utf-8"))
        taken = {
            name.asname or name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and absolute(module, path, node).startswith("bapa.schemes")
            for name in node.names
            if name.name in classes
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                asked = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            elif isinstance(node, ast.MatchClass):
                asked = {n.id for n in ast.walk(node.cls) if isinstance(n, ast.Name)}
            elif isinstance(node, ast.Compare):  # type(scheme) is Bapa
                asked = {n.id for n in node.comparators if isinstance(n, ast.Name)}
            else:
                continue
            found += [f"{module}: {name}" for name in sorted(asked & taken)]
    return sorted({*found})


def reached(known: dict[str, Path], start: str) -> set[str]:
    """Every module, foreign ones too, that importing all of the room ``start`` can lead to."""
    graph: dict[str, set[str]] = {}
    for arrow in arrows(known):
        graph.setdefault(arrow.source, set()).add(arrow.target)
    graph.pop(FRONT, None)  # leads everywhere, but only when a name is taken from it
    return closure(graph, [module for module in known if room(module) == start])


def long(paths: list[Path]) -> list[str]:
    """Files longer than a person keeps in mind."""
    return sorted(
        f"{path.name}: {lines}" for path in paths if (lines := len(path.read_text("utf-8").splitlines())) > LONGEST
    )


HERE = modules(ROOT)


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(module) for module in HERE} - {FRONT} <= set(LEVELS)


def test_contributing_tells_the_same_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Where things live")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)`", row)) for row in rows] == [rooms for rooms in ORDER if rooms != ("__main__",)]


def test_imports_go_downwards() -> None:
    assert upward(HERE) == []


def test_no_module_goes_in_circles() -> None:
    assert cycles(HERE) == []


def test_schemes_are_known_by_what_they_declare() -> None:
    assert knowing(HERE) == []


def test_statistics_need_no_torch() -> None:
    heavy = {name for name in reached(HERE, "stats") if name.split(".")[0] in ("torch", "transformers")}
    assert heavy == set()


def test_no_module_is_too_long() -> None:
    files = [
        path for folder in ("bapa", "studies", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")
    ]
    assert long(files) == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A package with a scheme, a room that imports it, and statistics."""
    for name, text in {
        "__init__": "__version__ = '1'",
        "errors": "",
        "schemes/__init__": "",
        "schemes/base": "class Scheme: ...",
        "schemes/rows": "from bapa.schemes.base import Scheme\nclass Rows(Scheme): ...",
        "attach/__init__": "from bapa import __version__\nfrom ..schemes.rows import Rows",
        "stats/__init__": "import numpy",
    }.items():
        path = tmp_path / "bapa" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", "utf-8")
    return tmp_path


def test_a_sound_house_passes(small: Path) -> None:
    known = modules(small)
    assert upward(known) == cycles(known) == knowing(known) == []
    assert "torch" not in reached(known, "stats")


@pytest.mark.parametrize(
    ("file", "line", "seen"),
    [
        ("schemes/rows", "def f():\n    from bapa.attach import g", "bapa.schemes.rows -> bapa.attach"),
        ("schemes/rows", "if TYPE_CHECKING:\n    import bapa.attach", "bapa.schemes.rows -> bapa.attach"),
        ("schemes/rows", "from ..attach import g", "bapa.schemes.rows -> bapa.attach"),
        ("attach/__init__", "import bapa", "bapa.attach -> bapa"),
        ("attach/__init__", "import studies.tuning", "bapa.attach -> studies.tuning"),
    ],
)
def test_an_upward_import_is_seen(small: Path, file: str, line: str, seen: str) -> None:
    with (small / "bapa" / f"{file}.py").open("a") as module:
        module.write(line + "\n")
    assert upward(modules(small)) == [seen]


def test_a_circle_is_seen(small: Path) -> None:
    (small / "bapa" / "schemes" / "base.py").write_text("def f():\n    from bapa.schemes import rows\n")
    assert cycles(modules(small)) == ["bapa.schemes.base <-> bapa.schemes.rows"]


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(scheme, Rows)",
        "issubclass(kind, (int, Rows))",
        "type(scheme) is Rows",
        "match scheme:\n    case Rows(): ...",
    ],
)
def test_asking_for_the_class_of_a_scheme_is_seen(small: Path, line: str) -> None:
    with (small / "bapa" / "attach" / "__init__.py").open("a") as module:
        module.write(line + "\n")
    assert knowing(modules(small)) == ["bapa.attach: Rows"]


def test_torch_behind_statistics_is_seen(small: Path) -> None:
    (small / "bapa" / "errors.py").write_text("def f():\n    import torch\n")
    (small / "bapa" / "stats" / "__init__.py").write_text("from bapa import errors\n")
    assert "torch" in reached(modules(small), "stats")


def test_a_long_module_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = 1\n" * (LONGEST + 1))
    assert long([path]) == ["long.py: 351"]
