"""The probe as a task of lmms-eval: every question about every canvas is a document, canvases are composed when asked.

A task is a folder of two files, for ``--include_path``: ``bapa_probe.yaml``, and ``questions.parquet`` beside it.
"""

from __future__ import annotations

from ast import literal_eval
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from bapa.errors import ConfigError
from bapa.probe import Probe
from bapa.probe.questions import YES_NO
from bapa.stats.trials import ABSENT

NAME = "bapa_probe"


def write_task(probe: Probe, folder: str | Path) -> Path:
    """Write ``probe`` as the task ``bapa_probe`` into ``folder`` and return it; a task that is there is replaced.

    Raises ConfigError for a probe whose answers cannot be scored by likelihood, or with the question before the image.
    """
    from datasets import Dataset

    _asks_choices(probe)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(list(_documents(probe))).to_parquet(folder / "questions.parquet")
    cells = [f"hit_row{row}_col{col}" for row in range(probe.rows) for col in range(probe.cols)]
    means = {**dict.fromkeys(("score", "hit", *cells), True), "false_alarm": False}
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": good} for name, good in means.items()]
    metrics.append({"metric": "range", "aggregation": _Function("spread"), "higher_is_better": False})
    task = {
        "task": NAME,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"test": "questions.parquet"}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_visual": _Function("visual"),
        "doc_to_text": "text",
        "doc_to_target": "answer",
        "doc_to_choice": "choices",
        "target_delimiter": "",
        "process_results": _Function("results"),
        "metric_list": metrics,
        "cluster_key": "item",
        "metadata": {"version": 1, "probe": probe.fingerprint},
    }
    (folder / f"{NAME}.yaml").write_text(yaml.dump(task, Dumper=_Dumper, sort_keys=False), "utf-8")
    return folder


def write_questions(probe: Probe, path: str | Path) -> Path:
    """Write the yes/no questions of ``probe`` with their canvases, for the task in ``upstream/lmms_eval``, as parquet.

    Columns: ``image``, ``text``, ``answer``, ``row``, ``col``, ``item``. Raises ConfigError as :func:`write_task` does.
    """
    from datasets import Dataset

    _asks_choices(probe)
    rows = [
        {"image": visual(doc)[0], **{name: doc[name] for name in ("text", "answer", "row", "col", "item")}}
        for doc in _documents(probe)
        if doc["choices"] == list(YES_NO)
    ]
    Dataset.from_list(rows).to_parquet(path)
    return Path(path)


class _Function(str):
    """A function of this module, by name, in lmms-eval's way of writing it."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Function, lambda to, name: to.represent_scalar("!function", f"{__name__}.{name}"))


def _asks_choices(probe: Probe) -> None:
    if probe.design.written or probe.design.order == "question-first":
        raise ConfigError(
            f"the probe in {probe.path} asks {probe.design.task}, {probe.design.order}; as a task of lmms-eval it must "
            "ask questions with choices, image first"
        )
    probe.needs_questions("a task of lmms-eval scores choices")
    probe.needs_one_picture("a task of lmms-eval shows one picture a question")


def _documents(probe: Probe) -> Iterator[dict[str, Any]]:
    for index, item in enumerate(probe.items):
        for cell in range(probe.cells):
            row, col = divmod(cell, probe.cols)
            for question in probe.questions(item, cell):
                yield {
                    "probe": str(probe.path.resolve()),
                    "index": index,
                    "item": item.item,
                    "cell": cell,
                    "row": row,
                    "col": col,
                    "question": question.question_id,
                    "kind": question.kind,
                    "text": question.text,
                    "answer": question.answer,
                    "choices": list(question.choices),
                }


@lru_cache(4)
def _probe(path: str) -> Probe:
    return Probe.load(path)


def visual(doc: dict[str, Any]) -> list[Image.Image]:
    """The canvas of a document."""
    probe = _probe(doc["probe"])
    return [Image.fromarray(probe.compose(probe.items[doc["index"]], doc["cell"]))]


def results(doc: dict[str, Any], found: Sequence[tuple[float, bool] | str]) -> dict[str, Any]:
    """The metrics that a document counts for.

    ``found``: for each choice its loss and whether it would be written, as a pair or, from lmms-eval's cache, as its
    text. ``score`` counts every question; ``hit``, over all cells and for each, those about what is in the picture,
    from which :func:`spread` makes the ``range``; ``false_alarm`` the others. Questions of one item belong together.
    """
    losses = [(literal_eval(pair) if isinstance(pair, str) else pair)[0] for pair in found]
    right = float(doc["choices"][losses.index(min(losses))] == doc["answer"])
    always = {"item": doc["item"], "score": right}
    if doc["kind"] in ABSENT:
        return {**always, "false_alarm": 1 - right}
    cell = f"row{doc['row']}_col{doc['col']}"
    return {**always, "hit": right, f"hit_{cell}": right, "range": (cell, right)}


def spread(hits: Sequence[tuple[str, float]]) -> float:
    """Best less worst cell of the hit rate, on the items that picked them: larger than the range of a report."""
    cells: dict[str, list[float]] = defaultdict(list)
    for cell, right in hits:
        cells[cell].append(right)
    rates = [sum(each) / len(each) for each in cells.values()]
    return max(rates) - min(rates)
