"""VLMEvalKit's own ``run.py`` with the files of ``upstream/vlmevalkit`` in its tree and its lists.

python vlmeval_with_upstream.py MODEL [SCHEME ...] -- arguments of run.py; MODEL is a folder, a hub id or
``reference:NAME``, and its entries are called m-SCHEME.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import vlmeval.config
import vlmeval.dataset

from bapa.checkpoints.locate import locate

UPSTREAM = Path(__file__).parents[2] / "upstream" / "vlmevalkit"


def taken_in(name: str) -> ModuleType:
    """The file ``vlm/bapa.py`` as ``vlmeval.vlm.bapa``."""
    where = importlib.util.spec_from_file_location(f"vlmeval.{name}", UPSTREAM / f"{name.replace('.', '/')}.py")
    made = importlib.util.module_from_spec(where)
    sys.modules[where.name] = made
    where.loader.exec_module(made)
    return made


if __name__ == "__main__":
    split = sys.argv.index("--")
    model, *schemes = sys.argv[1:split]
    wrapper, model = taken_in("vlm.bapa").Bapa, locate(model).path
    for scheme in schemes:
        vlmeval.config.supported_VLM[f"m-{scheme}"] = partial(wrapper, model, scheme, max_new_tokens=4)
    vlmeval.dataset.DATASET_CLASSES.append(taken_in("dataset.bapa_probe").BapaProbe)
    sys.argv = ["run.py", *sys.argv[split + 1 :]]
    runpy.run_module("vlmeval.run", run_name="__main__")
