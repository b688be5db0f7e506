"""Asks tiny models of every family in vLLM's CPU engine and in transformers: needs the environment of ``make
test-vllm``.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from studies.serving.page import STUDY

CHOSEN = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Families to run again; else all without a result.")] = None,
) -> None:
    """Run every family without a result, and keep each result in the record as it comes."""
    os.environ.update(CHOSEN)
    import transformers
    import vllm

    from tests.integrations.vllm.every import CHECKPOINTS

    versions = {"vllm": vllm.__version__, "transformers": transformers.__version__}
    record = STUDY.record()
    if {name: record.get(name) for name in versions} != versions:
        record = {**versions, "ran": {}, "stopped": {}}
    for checkpoint in CHECKPOINTS:
        known = checkpoint.name in record["ran"] or checkpoint.name in record["stopped"]
        if checkpoint.name not in names if names else known:
            continue
        typer.echo(checkpoint.name)
        record["ran"].pop(checkpoint.name, None)
        record["stopped"].pop(checkpoint.name, None)
        with tempfile.TemporaryDirectory() as folder:
            try:
                record["ran"][checkpoint.name] = asked(checkpoint, Path(folder))
            except Exception as error:  # vLLM raises what its parts raise
                record["stopped"][checkpoint.name] = reason(error)
        for part in ("ran", "stopped"):
            order = [each.name for each in CHECKPOINTS if each.name in record[part]]
            record[part] = {name: record[part][name] for name in order}
        STUDY.keep(record)


def asked(checkpoint: Any, folder: Path) -> dict[str, Any]:
    """What one family's engine does under each scheme, named by its requests."""
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    from bapa.errors import UnsupportedModelError
    from bapa.integrations.vllm import engine as engines
    from bapa.integrations.vllm import worker
    from bapa.integrations.vllm.architectures import ARCHITECTURES
    from bapa.integrations.vllm.checkpoint import readable
    from tests.integrations.vllm import recorder
    from tests.integrations.vllm.compare import SCHEMES, Case
    from tests.integrations.vllm.conftest import SMALL

    worker.NAME = recorder.NAME
    case = Case(checkpoint, checkpoint.save(folder / "model"))
    options = {**SMALL, "distributed_executor_backend": type("InProcess", (UniProcExecutor,), {}), **checkpoint.engine}
    rules = checkpoint.model_class in ARCHITECTURES
    engine = engines.start(readable(folder / "model", folder / "cache"), "native", options, rules=rules)
    try:
        if not rules:  # how far vLLM itself comes
            own = case.compare(engine, "native")
            raise UnsupportedModelError(
                f"vLLM runs it natively, {own.tokens} of {own.prompts} with equal tokens; no balanced class"
            )
        found = {scheme: case.compare(engine, scheme, scheme) for scheme in SCHEMES}
    finally:
        engines.stop(engine)
    for scheme, one in found.items():
        if one.moved != (0 if scheme == "native" else one.shown):
            raise AssertionError(f"{scheme} moved {one.moved} of {one.shown} prompts with pictures")
    return {
        "axes": case.axes,
        "dtype": case.dtype,
        "prompts": found["native"].prompts,
        **{
            name: {scheme: getattr(one, name) for scheme, one in found.items()}
            for name in ("tokens", "positions", "cached")
        },
        "batch": max(one.batch for one in found.values()),
        "chunked": all(one.chunked for one in found.values()),
    }


def reason(error: Exception) -> str:
    """An error and what it came from, in its own words."""
    told = error.__cause__ or error
    where = traceback.extract_tb(told.__traceback__)[-1]
    said = str(told) or f"{Path(where.filename).name}: {where.line}"
    return f"{type(told).__name__}: {' '.join(said.split())[:300]}"
