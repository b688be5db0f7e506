"""Files of a Python package made into files that stand beside a checkpoint.

transformers loads a checkpoint's code as one file and its siblings: what stands in packages here stands side by side
there, ``bapa/attach/hooks.py`` as ``bapa_attach_hooks.py``, with relative imports. Nothing else is changed.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from bapa.errors import SchemeError

_PROVIDED = {*sys.stdlib_module_names, "torch", "transformers", "numpy"}  # what there is wherever a model is loaded


def bundle(source: str, packages: Collection[str], name: str) -> dict[str, str]:
    """Every file that ``source`` needs of ``packages`` (top-level names), by file name; itself as ``name``.py.

    Raises SchemeError where one of them imports what may be missing where the checkpoint is loaded.
    """
    found = {name: _rewritten(source, name, packages)}
    todo = sorted(_needed(source, name, packages))
    while todo:
        module = todo.pop()
        if flat(module) not in found:
            text = _source(module)
            found[flat(module)] = _rewritten(text, module, packages)
            todo += sorted(_needed(text, module, packages))
    # transformers 4 brings along only what the first file names itself.
    named = [f"from .{other} import __name__ as _{number}" for number, other in enumerate(sorted({*found} - {name}))]
    found[name] += "\n# Every file that is needed, so that transformers brings them along.\n" + "\n".join(named) + "\n"
    return {f"{file}.py": text for file, text in found.items()}


def flat(module: str) -> str:
    """The name of a module beside a checkpoint."""
    return module.replace(".", "_")


def _needed(source: str, module: str, packages: Collection[str]) -> set[str]:
    """The modules of ``packages`` that a source imports when it runs."""
    return {origin for node in _imports(source, module) for origin, _, _ in _origins(node, module, packages) if origin}


def _rewritten(source: str, module: str, packages: Collection[str]) -> str:
    """``source`` with imports from ``packages`` made relative, and without what only type checkers read."""
    lines = source.splitlines()
    changes: list[tuple[ast.stmt, list[str]]] = [(node, []) for node in _for_types(ast.parse(source))]
    for node in _imports(source, module):
        told = list(_origins(node, module, packages))
        if any(origin for origin, _, _ in told):
            changes.append((node, _lines(told)))
    for old, new in sorted(changes, key=lambda change: -change[0].lineno):
        lines[old.lineno - 1 : old.end_lineno] = [" " * old.col_offset + line for line in new]
    return "\n".join(lines) + "\n"


def _lines(told: list[tuple[str, str, str]]) -> list[str]:
    """The imports of what :func:`_origins` found, one line a module."""
    lines: dict[str, list[str]] = {}
    for origin, name, alias in told:
        known = "" if alias == name else f" as {alias}"
        source = f"from .{flat(origin)}" if name else "from ."  # a module
        lines.setdefault(source, []).append((name or flat(origin)) + known)
    return [f"{source} import {', '.join(names)}" for source, names in lines.items()]


def _imports(source: str, module: str) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a source that run, wherever they stand in it."""
    tree = ast.parse(source)
    skipped = {id(part) for block in _for_types(tree) for part in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in skipped:
            yield node


def _for_types(tree: ast.Module) -> list[ast.If]:
    """The blocks that only type checkers read."""
    return [
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]


def _origins(
    node: ast.Import | ast.ImportFrom, module: str, packages: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Where each name of an import comes from: the module of ``packages``, the name in it (none: the module itself),
    and the name it gets. The module is empty where it is of another package.
    """
    if isinstance(node, ast.Import):
        for part in node.names:
            if part.name.split(".")[0] in packages:
                raise SchemeError(f"{module} says import {part.name}; a file that is exported must say from ... import")
            _provided(part.name, module)
            yield "", "", ""
        return
    source = _absolute(node, module)
    for part in node.names:
        if source.split(".")[0] not in packages:
            _provided(source, module)
            yield "", "", ""
        else:
            yield *_origin(source, part.name), part.asname or part.name


def _absolute(node: ast.ImportFrom, module: str) -> str:
    """The module that an import of names in ``module`` takes them from."""
    return importlib.util.resolve_name("." * node.level + (node.module or ""), _package(module))


def _provided(name: str, module: str) -> None:
    if name.split(".")[0] not in _PROVIDED:
        raise SchemeError(
            f"{module} imports {name}, which may be missing where the checkpoint is loaded; "
            "export it without --self-contained and load it with bapa.from_pretrained"
        )


def _origin(module: str, name: str) -> tuple[str, str]:
    """The module that defines ``name``, seen through packages that only hand it out, and the name in it; no name where
    it is a module itself.
    """
    if _spec(f"{module}.{name}"):
        return f"{module}.{name}", ""
    if _is_package(module):
        for node in _imports(_source(module), module):
            for part in node.names if isinstance(node, ast.ImportFrom) else ():
                if isinstance(node, ast.ImportFrom) and (part.asname or part.name) == name:
                    return _origin(_absolute(node, module), part.name)
    return module, name


def _package(module: str) -> str:
    return module if _is_package(module) else module.rpartition(".")[0]


def _is_package(module: str) -> bool:
    return (_spec(module) or Path()).name == "__init__.py"


@cache
def _spec(module: str) -> Path | None:
    """The file of a module; None where there is no such module."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # its parent is no package
        return None
    return Path(found.origin) if found and found.origin else None


def _source(module: str) -> str:
    path = _spec(module)
    if path is None:
        raise SchemeError(f"{module} is not in a file, so it cannot be exported; write the scheme into a module")
    return path.read_text("utf-8")
