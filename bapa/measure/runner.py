"""Running a model over a probe."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference import store as stores
from bapa.inference.asking import ask, check_failures
from bapa.inference.backend import (
    Backend,
    check_choices,
    check_outside,
    check_slots,
    fitting_plan,
    item_count,
    prompts_of,
)
from bapa.inference.block import Asker
from bapa.inference.hf import ModelBackend
from bapa.inference.processes import Processes
from bapa.inference.store import Store
from bapa.measure import record, together
from bapa.measure.run import Run, load_run
from bapa.probe import Probe
from bapa.schemes import Scheme, parse
from bapa.stats.bias import UNUSED, Settings, bias


def measure(
    model: Loaded | Backend,
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

    Repeated after an interruption, it goes on where it was; at most one batch is lost. Repeated with further schemes,
    it asks those and adds them; nothing is asked twice. Started by ``accelerate launch``, the processes share the work
    and one writes the result.

    Args:
        model: from :func:`bapa.checkpoints.load`, or :func:`bapa.integrations.vllm.loading.load_engine` for vLLM.
        probe: from :func:`bapa.probe.build` or ``Probe.load``.
        schemes: in text form or as schemes, each once; None for native and the one that the model's config records,
            BaPA where it records none.
        out: new, empty, or holding the same run.
        batch_size: canvases per forward.
        items: only the first so many items.
        generate: let the model write so many tokens and read the answer from the text; 0 reads it from the logits of
            the next token.
        audit: how many canvases, spread over the run, are asked again one question at a time with nothing shared, and
            answered in words beside the logits.
        fail_on_error: how many answers may fail: a count, or a fraction below 1.
        statistics: level, and what counts as one observation; nothing is drawn by its seed.

    Raises:
        ConfigError: an option out of range.
        SchemeError, UnsupportedModelError, ModelError: a scheme that does not exist, or does not go with the model.
        RunError: ``out`` holds something else, the disk is full, or more answers failed than ``fail_on_error`` allows.
    """
    backend = ModelBackend(model) if isinstance(model, Loaded) else model
    labels = _labels(("native", backend.scheme or "bapa") if schemes is None else schemes)
    items = _checked(probe, Path(out), batch_size, items, generate, audit, fail_on_error)
    check_slots(backend.processor, probe)
    if not generate:
        check_choices(backend.processor, probe, "let the model write them: --generate 16")
    for label in labels:  # an error now rather than after the first batch
        backend.check(label)
    settings = statistics or Settings()
    processes = Processes(backend.module)
    config = {
        "model": backend.identity,
        "probe": {"fingerprint": probe.fingerprint, "items": items},
        "schemes": labels,
        "run": {"batch_size": batch_size, "generate": generate, "audit": audit, **backend.numerics},
        "statistics": vars(settings),
    }
    with closing(Store(out, config, process=processes.index, free=("schemes", *UNUSED))) as store:
        while asked := processes.first(lambda: store.next(labels)):
            prompts = prompts_of(backend, probe)
            if not generate and prompts.thinks(probe.questions(probe.items[0], 0)[0].text):
                raise ConfigError(
                    "the prompt ends within a thought, so the next token is no answer; answer without: "
                    "--thinking off, or let the model write its thought: --generate 512"
                )
            plan = fitting_plan(backend.name, backend.config, probe, prompts, items, batch_size)
            with backend.asker(prompts, probe, plan, asked, generate=generate, audit=audit) as asker:
                ask(asker, store, "measuring", processes=processes, fail_on_error=fail_on_error)
            processes.wait()
            if processes.main:
                _seal(asker, store, settings, fail_on_error, backend.config)
            processes.wait()
    return load_run(out)


def _seal(asker: Asker, store: Store, settings: Settings, fail_on_error: float, model: Any) -> None:
    """Write the answers, beside those that a finished run holds already, and what follows from them. ``model``: its
    config.
    """
    blocks = store.blocks()
    failed = [error for _, block in sorted(blocks.items()) for error in stores.errors(block)]
    check_failures(failed, asker, fail_on_error)
    before = load_run(store.path) if store.record.is_file() else None
    probe = asker.probe
    answers = stores.with_units(stores.table(blocks), probe)
    there = before.config["config"]["schemes"] if before else []
    if before is not None:
        answers = stores.beside(store.answers(), there, answers, asker.labels)
        store.config["schemes"] = [*there, *asker.labels]
    first = probe.design.order == "question-first"
    frame = answers.to_pandas()
    found = bias(frame, rows=probe.rows, cols=probe.cols, question_first=first, settings=settings)
    both = together.statistics(frame, probe.slots, settings, question_first=first)
    found |= {"together": both} if both else {}
    about = record.about(asker, store.config, model)
    written = before.bias.get("written", {}) if before else {}
    about["written"] = {label: its for label, its in written.items() if label in there} | record.written(blocks)
    told = record.told(asker, blocks, failed)
    if before is not None:
        told = record.added(before.config, told, asker.labels)
    store.seal_answers(answers, {**found, **about}, {**about, "schemes": store.config["schemes"], **told})


def _labels(schemes: Sequence[str | Scheme]) -> list[str]:
    labels = [parse(scheme).label for scheme in schemes]
    if not labels or len(set(labels)) < len(labels):
        raise ConfigError(f"schemes {', '.join(labels) or '(none)'}: name at least one, and each once")
    return labels


def _checked(
    probe: Probe, out: Path, batch_size: int, items: int | None, generate: int, audit: int, fail_on_error: float
) -> int:
    """How many items are asked about."""
    wanted = item_count(probe, items)
    for name, value, least in (("batch_size", batch_size, 1), ("generate", generate, 0), ("audit", audit, 0)):
        if value < least:
            raise ConfigError(f"{name} = {value}: use {least} or more")
    if not fail_on_error >= 0 or (isinstance(fail_on_error, float) and fail_on_error >= 1):
        raise ConfigError(f"fail_on_error = {fail_on_error}: use a count (0, 10) or a fraction below 1 (0.01)")
    check_outside(out, probe)
    return wanted
