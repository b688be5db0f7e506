"""A finished run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.errors import RunError
from bapa.files import read_json
from bapa.inference.store import ANSWERS, BIAS, RUN, read_answers
from bapa.stats.clusters import Cluster
from bapa.stats.text import with_interval


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. ``config``: what ``run.json`` holds; ``bias``: what ``bias.json`` holds."""

    path: Path
    config: dict[str, Any]
    bias: dict[str, Any]

    def __repr__(self) -> str:
        """What it is in a line, and one for each scheme."""
        about = self.bias["probe"]
        lines = [f"{self.bias['model']['name']} on {about['source']}, {about['items']} items: {self.path}"]
        for label, scheme in self.bias["schemes"].items():
            told = [
                f"{name} {with_interval(scheme['overall'][key], 1)}"
                for key, name in (("auc", "AUC"), ("auc_range", "its range"), ("hit", "hits"), ("range", "their range"))
                if scheme["overall"][key]["value"] is not None
            ]
            lines.append(f"  {label}: {', '.join(told)}")
        return "\n".join(lines)

    @property
    def cluster(self) -> Cluster:
        """What it was asked to count as one observation."""
        return _cluster(self.config)

    def answers(self) -> pd.DataFrame:
        """All answers, one row per item, cell, question and scheme: the columns of ``answers.parquet``.

        Raises RunError where the file is damaged.
        """
        return read_answers(self.path).to_pandas()


def load_run(path: str | Path) -> Run:
    """The run in a folder.

    Statistics of an older version are made anew from its answers. Raises RunError where there is no run, it is not
    finished, it is damaged, or its statistics are of an unknown version.
    """
    path = Path(path)
    if (path / "progress").is_dir() and not (path / RUN).exists():
        raise RunError(f"the run in {path} is not finished; run the same bapa measure command again")
    missing = [name for name in (RUN, BIAS, ANSWERS) if not (path / name).is_file()]
    if missing:
        raise RunError(
            f"no run in {path} ({missing[0]} is missing); make one: bapa measure MODEL --probe PROBE --out {path}"
        )
    config = read_json(path / RUN, "config", "command")
    return Run(path, config, _statistics(path, _cluster(config)))


def _cluster(config: Mapping[str, Any]) -> Cluster:
    """The unit that ``run.json`` names; that of the first runs, which name none, was chosen as ``auto`` does."""
    told: Cluster = config["config"].get("statistics", {}).get("cluster", "auto")
    return told


def _statistics(path: Path, cluster: Cluster) -> dict[str, Any]:
    """What ``bias.json`` holds; of an older run, the same answers with today's statistics. Nothing is written."""
    from bapa.stats.bias import VERSION, Settings, bias

    found = read_json(path / BIAS, "version", "level", "model", "probe", "schemes")
    if found.get("version") == VERSION:
        return found
    if found.get("version") != 1:
        raise RunError(
            f"{path / BIAS} has version {found.get('version')}, this bapa reads 1 and {VERSION}; measure again into a "
            "new folder"
        )
    about: dict[str, Any] = {
        name: found[name] for name in ("model", "probe", "geometry", "prompts", "written") if name in found
    }
    answers = read_answers(path).to_pandas()
    settings = Settings(level=found["level"], cluster=cluster)
    rows, cols = about["probe"]["rows"], about["probe"]["cols"]
    first = _question_first(found["schemes"])
    return {**bias(answers, rows=rows, cols=cols, question_first=first, settings=settings), **about}


def _question_first(schemes: Mapping[str, Any]) -> bool:
    """Whether the question stood before the image, which an older record tells by its slopes alone: then the way to it
    is as long as the way from the first cell, else the other way round.
    """
    slopes = [found.get("slopes", {}) for found in schemes.values()]
    return all("raster" in its and its["raster"] == its.get("text_distance") for its in slopes)
