"""Imported by every Python that ``bapa run`` starts, because its folder stands first on PYTHONPATH.

Waits for ``transformers.modeling_utils`` to be imported and hands it to :mod:`bapa.integrations.launcher`. Most
Pythons of a command never get there, so nothing but the standard library is imported here.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

WATCHED = "transformers.modeling_utils"


class _Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:  # type: ignore[no-untyped-def]
        if name != WATCHED:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_watch(module) -> None:  # type: ignore[no-untyped-def]
            run(module)
            try:
                from bapa.integrations.launcher import watch
            except ImportError as error:
                raise ImportError(
                    f"bapa run: {sys.executable} cannot import bapa ({error}); install it there"
                ) from None
            watch(module.PreTrainedModel)

        spec.loader.exec_module = run_and_watch  # type: ignore[method-assign]
        return spec


def _run_the_other() -> None:
    """Run the sitecustomize that this one stands before, if there is one."""
    here = Path(__file__).parent
    spec = PathFinder.find_spec(
        "sitecustomize", [folder for folder in sys.path if Path(folder or ".").resolve() != here]
    )
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


sys.meta_path.insert(0, _Watch())
_run_the_other()
