"""The same picture in every cell of a canvas: does a model see it everywhere? For VLMEvalKit's ``vlmeval/dataset/``.

``BapaProbe.tsv`` lies in LMUData: bapa.integrations.vlmeval.write_tsv makes it from a probe of any pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from vlmeval.dataset.image_base import ImageBaseDataset
from vlmeval.smp import LMUDataRoot, dump, get_intermediate_file_path, load


class BapaProbe(ImageBaseDataset):
    """Questions with yes or no. Columns: ``index``, ``image``, ``question``, ``answer``, ``row``, ``col``, ``item``."""

    TYPE = "Y/N"
    DATASET_URL = {"BapaProbe": ""}
    DATASET_MD5 = {"BapaProbe": ""}

    def load_data(self, dataset: str) -> pd.DataFrame:
        return load(str(Path(LMUDataRoot()) / f"{dataset}.tsv"))

    @classmethod
    def evaluate(cls, eval_file: str, **judge_kwargs: Any) -> pd.DataFrame:
        """Hits in percent, over all cells and in each, their range, and false alarms. What names neither yes nor no, or
        both, is no hit and no false alarm; ``unread`` counts it.
        """
        data = load(eval_file)
        words = data["prediction"].astype(str).str.lower().str.findall(r"\b(yes|no)\b").map(set)
        said = words.map(lambda found: next(iter(found)) if len(found) == 1 else "")
        yes, there = said == "yes", data["answer"].str.lower() == "yes"
        hits = 100 * yes[there].groupby([data["row"], data["col"]]).mean()
        found = {
            "hits": 100 * yes[there].mean(),
            **{f"hits row {row} column {col}": hit for (row, col), hit in hits.items()},
            "range": hits.max() - hits.min(),
            "false alarms": 100 * yes[~there].mean(),
            "unread": 100 * (said == "").mean(),
        }
        table = pd.DataFrame([found])
        dump(table, get_intermediate_file_path(eval_file, "_acc", "csv"))
        return table
