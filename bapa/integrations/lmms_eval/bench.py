"""``bapa bench``: tasks of lmms-eval under several schemes, compared document by document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bapa.checkpoints import weights
from bapa.checkpoints.adapter import PEFT_FILE, adapter_base
from bapa.checkpoints.locate import folder_of, locate
from bapa.errors import ConfigError, IntegrationError, RunError
from bapa.files import alone, read_json, write_json
from bapa.integrations.lmms_eval.compare import Compared, compare
from bapa.integrations.lmms_eval.task import NAME, write_task
from bapa.probe import Probe
from bapa.schemes import parse
from bapa.stats import Settings

PROBE = "probe:"  # how a task begins that is the probe in a folder
SETS = {
    # Those of the paper's tables; HallusionBench's own figures ask a judge, so it has no interval.
    "paper": ("scienceqa_img", "crpe_relation", "hallusion_bench_image", "mmmu_pro_standard", "mmmu_pro_vision", "mme"),
    "hallucination": ("pope", "coco_cap_chair"),
    "layout": ("chartqa", "docvqa_val", "textvqa_val"),  # where reading a place is the task: what balance may cost
}


_LONGEST, _SHOWN = 255, 64  # bytes of a folder's name; those shown of a label that is too long for one
_KEPT_OUT = ("doc", "arguments", "input_media", "resps", "token_counts", "doc_hash")  # of what lmms-eval logs


def bench(
    model: str, tasks: Sequence[str], schemes: Sequence[str], out: str | Path, *, settings: Settings, **options: Any
) -> list[Compared]:
    """Run ``tasks`` of lmms-eval on ``model`` under each scheme, and compare every scheme with the first.

    ``tasks``: names of tasks, of the sets in :data:`SETS`, or one ``probe:FOLDER``; a name that is repeated counts
    once. ``options``: ``limit`` (documents of each task) and the model arguments of
    :class:`~bapa.integrations.lmms_eval.model.Bapa`. Each task is on the disk, in ``out``, before the next begins;
    repeated, what is there is not asked again. What is returned is in ``bench.json``.

    Raises ConfigError for an unknown task or scheme or a second probe, IntegrationError for a task whose data cannot be
    loaded, RunError where ``out`` holds something else, other weights of the model among it.
    """
    if find_spec("lmms_eval") is None:
        raise IntegrationError("lmms-eval is not installed; type: pip install 'bapa[lmms]'")
    from lmms_eval.tasks import TaskManager
    from loguru import logger

    out, labels = Path(out), list(dict.fromkeys(parse(scheme).label for scheme in schemes))
    entries = list(dict.fromkeys(entry for task in tasks for entry in SETS.get(task, (task,))))
    asking = [entry for entry in entries if entry.startswith(PROBE)]
    if len(asking) > 1:
        raise ConfigError(
            f"{', '.join(asking)}: one probe is accepted in --tasks; name the other in a command of its own, with "
            "another --out FOLDER"
        )
    probes = [Probe.load(entry.removeprefix(PROBE)) for entry in asking]
    names = list(dict.fromkeys(NAME if entry.startswith(PROBE) else entry for entry in entries))
    asked = {"model": model.rstrip("/"), **options}
    of_task = dict.fromkeys(names, asked)
    if probes:
        of_task[NAME] = asked | {"probe": probes[-1].fingerprint}
    files = {(label, name): out / _folder(label) / f"{name}.json" for label in labels for name in names}
    with alone(out):
        found_there = any(file.is_file() for file in files.values())
        known = _fingerprint(model, options) if found_there else None
        missing = [key for key, file in files.items() if not _finished(file, of_task[key[1]] | {"weights": known})]
        for probe in probes:
            write_task(probe, out / "tasks")
        manager = TaskManager(model_name="bapa", include_path=[str(out / "tasks")])
        for name in names:
            if name not in manager.all_subtasks:
                close = get_close_matches(name, [*SETS, *manager.all_subtasks], 1)
                meant = f" (did you mean {close[0]!r}?)" if close else ""
                raise ConfigError(f"lmms-eval has no task {name!r}{meant}; sets are {', '.join(SETS)}; or probe:FOLDER")
        loaded = {name: _load(manager, name) for name in dict.fromkeys(name for _, name in missing)}
        for label in labels:
            lm = None
            for name in (name for scheme, name in missing if scheme == label):
                if lm is None:
                    lm = _model(model, label, options)
                    known = _same(known, _fingerprint(model, options), model)  # those of the hub are here only now
                run = _run(lm, loaded[name], name, options.get("limit"))
                files[label, name].parent.mkdir(parents=True, exist_ok=True)
                write_json(files[label, name], {"asked": of_task[name] | {"weights": known}, **run})
        rows = []
        logger.disable("")  # a task may log at every figure it makes, and a bootstrap makes thousands
        for name in names:
            found = {label: read_json(files[label, name], "figures", "documents") for label in labels}
            rows += compare(name, found, _metrics(manager, name), settings)
        logger.enable("")
        told = asked | {"weights": known}
        write_json(out / "bench.json", {"asked": told, "compared": [asdict(row) for row in rows]})
        return rows


def _finished(file: Path, asked: Mapping[str, Any]) -> bool:
    if not file.is_file():
        return False
    there = read_json(file, "asked")["asked"]
    # Earlier releases did not tell the weights.
    wanted = {name: value for name, value in asked.items() if name != "weights" or name in there}
    if there != wanted:
        raise RunError(f"{file} was made with {there}, asked is {wanted}; name a new folder: --out FOLDER")
    return True


def _folder(label: str) -> str:
    """The name of a rule's folder. Of a fitted rule, whose label has thousands of characters, it is the beginning and a
    hash of the whole.
    """
    name = label.replace(":", "_")
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{name.encode()[:_SHOWN].decode(errors='ignore')}-{hashlib.sha256(label.encode()).hexdigest()[:16]}"


def _fingerprint(model: str, options: Mapping[str, Any]) -> str:
    """What identifies the weights of ``model``, in any dtype; those of the hub are looked up in its cache."""
    place = replace(locate(model), revision=options.get("revision"))
    if (Path(place.path) / PEFT_FILE).is_file():
        base = _fingerprint(adapter_base(place.path).name, options)
        return weights.fingerprint(Path(place.path), base=base)
    return weights.fingerprint(folder_of(place))


def _same(known: str | None, now: str, model: str) -> str:
    """The fingerprint ``now``; RunError where it is not the one that was ``known`` when the work began."""
    if known not in (None, now):
        raise RunError(f"{model} has other weights than when this work began; name a new folder: --out FOLDER")
    return now


def _load(manager: Any, name: str) -> Any:
    from lmms_eval.tasks import get_task_dict
    from tenacity import RetryError

    try:
        return get_task_dict([name], manager, "simple")[name]
    except Exception as error:  # of whatever library the task's data come through
        cause = error.last_attempt.exception() if isinstance(error, RetryError) else error
        reason = " ".join(str(cause).split())[:300]
        raise IntegrationError(f"the data of task {name} cannot be loaded ({reason})") from error


def _model(model: str, label: str, options: Mapping[str, Any]) -> Any:
    from bapa.integrations.lmms_eval.model import Bapa

    return Bapa(model, label, **{name: value for name, value in options.items() if name != "limit"})


def _run(lm: Any, task: Any, name: str, limit: int | None) -> dict[str, Any]:
    """``figures``: by metric; ``documents``: what lmms-eval logged of each, and the ``cluster`` it belongs to."""
    from lmms_eval.evaluator import simple_evaluate

    # A seed at every task: a run that is resumed is the run that was not interrupted.
    found = simple_evaluate(model=lm, tasks=[task], limit=limit, batch_size=lm.batch_size, bootstrap_iters=0)
    key = task.config.cluster_key
    documents = [
        {"cluster": each.get(key, each["doc_id"]), **{n: v for n, v in each.items() if n not in _KEPT_OUT}}
        for each in found["samples"][name]
    ]
    figures = {metric.partition(",")[0]: value for metric, value in found["results"][name].items() if "," in metric}
    run = {"figures": {n: v for n, v in figures.items() if n in task.aggregation()}, "documents": documents}
    return json.loads(json.dumps(run, default=str), parse_constant=lambda _: None)


def _metrics(manager: Any, name: str) -> dict[str, Callable[..., Any]]:
    """How a task makes its figures, by metric; its data are not needed for that."""
    from lmms_eval.api.registry import get_aggregation
    from lmms_eval.utils import load_yaml_config

    config = load_yaml_config(manager.task_index[name]["yaml_path"], mode="full")
    made = {metric["metric"]: metric.get("aggregation", "mean") for metric in config["metric_list"]}
    return {metric: get_aggregation(make) if isinstance(make, str) else make for metric, make in made.items()}
