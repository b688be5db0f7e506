"""The loop that asks all blocks of a run, whatever asks and whatever it is for."""

from __future__ import annotations

from collections.abc import Sequence

from bapa.errors import RunError
from bapa.inference import store as stores
from bapa.inference.block import Asker
from bapa.inference.plan import ahead
from bapa.inference.processes import Processes
from bapa.inference.store import Store
from bapa.progress import progress


def ask(
    asker: Asker,
    store: Store,
    what: str,
    *,
    processes: Processes | None = None,
    fail_on_error: int | float | None = None,
) -> None:
    """Ask all blocks of this process that ``store`` lacks; those with failures are asked again.

    ``what``: the name of the work, for the progress line. ``fail_on_error``: how many answers may fail, as of
    :func:`bapa.measure.measure`; None: none, and the command has no such option.

    Raises RunError where more fail.
    """
    index, count = (0, 1) if processes is None else (processes.index, processes.count)
    done = {number for number, block in store.blocks().items() if not stores.errors(block)}
    todo = [number for number in range(index, len(asker), count) if number not in done]
    failed: list[str] = []
    store.mend()
    if todo:
        asker.settle(asker.probe.questions(asker.probe.items[0], 0))
    with progress(what, len(asker), len(asker) - len(todo), shown=processes is None or processes.main) as step:
        for number, prepared in ahead(asker.prepare_block, todo):
            block = asker.ask(number, prepared)
            store.append(block)
            failed += stores.errors(block)
            check_failures(failed, asker, fail_on_error)
            step()


def check_failures(failed: Sequence[str], asker: Asker, fail_on_error: int | float | None) -> None:
    """Raise RunError where more answers failed than may. ``failed``: one line for each."""
    total = asker.plan.questions * len(asker.labels)
    allowed = int(fail_on_error * total if isinstance(fail_on_error, float) else fail_on_error or 0)
    if len(failed) > allowed:
        more = "" if fail_on_error is None else ", or allow more: --fail-on-error 0.01"
        raise RunError(
            f"{len(failed)} of {total} answers failed so far, {allowed} may; the first: {failed[0]}. "
            f"Mend it and run the same command again{more}"
        )
