"""Running a model over a probe."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

import bapa
from bapa.attach import balanced, scheme_of
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, RunError
from bapa.inference import store as stores
from bapa.inference.answers import AnswerSet
from bapa.inference.block import Asker
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker
from bapa.inference.plan import Plan, ahead, plan
from bapa.inference.processes import Processes
from bapa.inference.prompts import Prompts
from bapa.inference.store import Store
from bapa.inference.vllm import EngineAsker, EngineModel
from bapa.measure.run import Run, load_run
from bapa.probe import Probe
from bapa.schemes import Scheme, parse
from bapa.stats.bias import Settings, bias


def measure(
    model: Loaded | EngineModel,
    probe: Probe,
    schemes: Sequence[str | Scheme] | None,
    out: str | Path,
    *,
    batch_size: int = 18,
    items: int | None = None,
    generate: int = 0,
    audit: int = 16,
    fail_on_error: int | float = 0,
    statistics: Settings | None = None,
) -> Run:
    """Ask ``model`` every question of ``probe`` under every scheme, and write the run to the folder ``out``.

    Repeated after an interruption, it goes on where it was; at most one batch is lost. Started by ``accelerate
    launch``, the processes share the work and one writes the result.

    Args:
        model: from :func:`bapa.checkpoints.load`, or :func:`bapa.measure.load_engine` for vLLM.
        probe: from :func:`bapa.probe.build` or ``Probe.load``.
        schemes: in text form or as schemes, each once; None for native and the one that the model's config records,
            BaPA where it records none.
        out: new, empty, or holding the same run.
        batch_size: canvases per forward.
        items: only the first so many items.
        generate: let the model write so many tokens and read the answer from the text; 0 reads it from the logits of
            the next token.
        audit: how many canvases, spread over the run, are asked again one question at a time with nothing shared.
        fail_on_error: how many answers may fail: a count, or a fraction below 1.
        statistics: level, seed, and what counts as one observation.

    Raises:
        ConfigError: an option out of range.
        SchemeError, UnsupportedModelError, ModelError: a scheme that does not exist, or does not go with the model.
        RunError: ``out`` holds something else, the disk is full, or more answers failed than ``fail_on_error`` allows.
    """
    labels = _labels(("native", _recorded(model) or "bapa") if schemes is None else schemes)
    items = _checked(probe, batch_size, items, generate, fail_on_error)
    if not generate:
        _check_answers(model.processor, probe)
    _check_schemes(model, labels)
    settings = statistics or Settings()
    processes = Processes(model.model if isinstance(model, Loaded) else None)
    config = {
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "probe": {"fingerprint": probe.fingerprint, "items": items},
        "schemes": labels,
        "run": {"batch_size": batch_size, "generate": generate, "audit": audit, **_numerics(model, processes)},
        "statistics": vars(settings),
    }
    with closing(Store(Path(out), config, process=processes.index)) as store:
        if processes.first(store.open):
            prompts = Prompts(
                model.processor, (probe.height, probe.width), question_first=probe.design.order == "question-first"
            )
            cut = plan(probe, prompts, items, batch_size)
            with _asker(model, prompts, probe, cut, labels, generate, audit) as asker:
                _answer(asker, store, processes, fail_on_error)
            processes.wait()
            if processes.main:
                _seal(asker, store, settings, fail_on_error)
            processes.wait()
    return load_run(out)


@contextmanager
def _asker(
    model: Loaded | EngineModel,
    prompts: Prompts,
    probe: Probe,
    cut: Plan,
    labels: list[str],
    generate: int,
    audit: int,
) -> Iterator[Asker]:
    """What asks ``model``, through the back end it was loaded for."""
    if isinstance(model, EngineModel):
        with closing(EngineAsker(model, prompts, probe, cut, labels, generate=generate, audit=audit)) as engines:
            yield engines
        return
    forward = Forward(model.model, prompts, 0 if generate else cut.shared)
    asker = ModelAsker(forward, probe, cut, labels, generate=generate, audit=audit)
    if forward.shared and not asker.sharing_holds():
        forward.shared = 0
    yield asker


def _answer(asker: Asker, store: Store, processes: Processes, fail_on_error: float) -> None:
    """Ask all blocks of this process that are not answered yet; those with failures are asked again."""
    done = {number for number, block in store.blocks().items() if not stores.errors(block)}
    todo = [number for number in range(processes.index, len(asker), processes.count) if number not in done]
    failed: list[str] = []
    store.mend()
    with _progress(len(asker), len(asker) - len(todo), shown=processes.main) as advance:
        for number, prepared in ahead(lambda number: asker.prepare(asker.cut.block(asker.part(number)[0])), todo):
            block = asker.ask(number, prepared)
            store.append(block)
            failed += stores.errors(block)
            _check(failed, asker, fail_on_error)
            advance()


def with_units(answers: pa.Table, probe: Probe) -> pa.Table:
    """``answers`` with what items may have in common: ``caption``, ``group`` (class) and source ``picture`` of the
    target, strings, null where the source does not say.
    """
    found = {item.item: probe.unit(item) for item in probe.items}
    numbers = answers["item"].to_pylist()
    for name in ("caption", "group", "picture"):
        column = pa.array([found[number].get(name) for number in numbers], pa.string())
        answers = answers.append_column(name, column)
    return answers


def _check(failed: Sequence[str], asker: Asker, fail_on_error: float) -> None:
    total = asker.cut.questions * len(asker.labels)
    allowed = int(fail_on_error * total if isinstance(fail_on_error, float) else fail_on_error)
    if len(failed) > allowed:
        raise RunError(
            f"{len(failed)} of {total} answers failed so far, {allowed} may; the first: {failed[0]}. "
            "Mend it and run the same command again, or allow more: --fail-on-error 0.01"
        )


def _seal(asker: Asker, store: Store, settings: Settings, fail_on_error: float) -> None:
    blocks = store.blocks()
    failed = [error for _, block in sorted(blocks.items()) for error in stores.errors(block)]
    _check(failed, asker, fail_on_error)
    probe = asker.probe
    answers = with_units(stores.table(blocks), probe)
    first = probe.design.order == "question-first"
    found = bias(answers.to_pandas(), rows=probe.rows, cols=probe.cols, question_first=first, settings=settings)
    about = {
        "model": store.config["model"],
        "probe": {
            **store.config["probe"],
            "rows": probe.rows,
            "cols": probe.cols,
            "source": probe.source["name"],
            "path": str(probe.path),
        },
        "prompts": {"tokens": asker.cut.tokens, "unknown": asker.cut.unknown},
    }
    command = ["bapa", *sys.argv[1:]] if Path(sys.argv[0]).name in ("bapa", "__main__.py") else sys.argv
    record = {
        **about,
        "schemes": asker.labels,
        "command": shlex.join(command),
        "versions": {
            "bapa": bapa.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy", "scipy")},
            **asker.versions,
        },
        "prefill": asker.prefill,
        "answers": answers.num_rows,
        "failed": len(failed),
        "audit": _audit([entry for block in blocks.values() for entry in block["audit"]]),
    }
    store.seal(answers, {**found, **about}, record)


def _audit(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How far asking in batches changed the answers: every flip, and the largest difference of a margin."""
    margins = [(entry["margin"], entry["alone"]["margin"]) for entry in entries]
    return {
        "answers": len(entries),
        "flips": [entry for entry in entries if entry["answer"] != entry["alone"]["answer"]],
        "largest_margin_difference": max((abs(a - b) for a, b in margins if None not in (a, b)), default=None),
    }


def _recorded(model: Loaded | EngineModel) -> Scheme | None:
    return scheme_of(model.model) if isinstance(model, Loaded) else model.scheme


def _labels(schemes: Sequence[str | Scheme]) -> list[str]:
    labels = [parse(scheme).label for scheme in schemes]
    if not labels or len(set(labels)) < len(labels):
        raise ConfigError(f"schemes {', '.join(labels) or '(none)'}: name at least one, and each once")
    return labels


def _checked(probe: Probe, batch_size: int, items: int | None, generate: int, fail_on_error: float) -> int:
    wanted = len(probe.items) if items is None else items
    if not 1 <= wanted <= len(probe.items):
        raise ConfigError(f"items = {wanted}: the probe has {len(probe.items)}; use 1 to {len(probe.items)}")
    if batch_size < 1:
        raise ConfigError(f"batch_size = {batch_size}: use 1 or more")
    if fail_on_error < 0 or (isinstance(fail_on_error, float) and fail_on_error >= 1):
        raise ConfigError(f"fail_on_error = {fail_on_error}: use a count (0, 10) or a fraction below 1 (0.01)")
    return wanted


def _check_schemes(model: Loaded | EngineModel, labels: Sequence[str]) -> None:
    """An error now rather than after the first batch."""
    for label in labels:
        if isinstance(model, EngineModel):
            model.check(label)
        else:
            with balanced(model.model, label):
                pass


def _numerics(model: Loaded | EngineModel, processes: Processes) -> dict[str, Any]:
    return model.numerics if isinstance(model, EngineModel) else processes.numerics


def _check_answers(processor: Any, probe: Probe) -> None:
    answers = AnswerSet(processor.tokenizer)
    for question in probe.questions(probe.items[0], 0):
        if not question.choices:
            raise ConfigError("this probe asks for free answers; let the model write them: --generate 16")
        answers.tokens(question.choices)


@contextmanager
def _progress(total: int, done: int, *, shown: bool) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("measuring", total=total, completed=done)
        yield lambda: bar.advance(task)
