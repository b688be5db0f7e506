"""Answers of a study as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

_TYPES = {"seed": "int8", "wording": "int8", "form": "int8", "picture": "int16", "cell": "int8", "grid": "int16"}
_TYPES |= dict.fromkeys(("share", "auc", "right", "present", "absent"), "float32")


def written(path: Path, new: pd.DataFrame, about: Sequence[str] = ()) -> pd.DataFrame:
    """What ``path`` holds once the ``new`` answers are written into it: numbers lose digits on the way. What it holds
    ``about`` something not asked anew, such as other models, stays; without ``about`` nothing does.
    """
    small: pd.DataFrame = new.astype({column: kind for column, kind in _TYPES.items() if column in new})
    if about:
        small = merged(pd.read_parquet(path) if path.is_file() else small, small, list(about))
    small.to_parquet(path, compression="zstd", index=False)
    return pd.read_parquet(path)


def merged(kept: pd.DataFrame, new: pd.DataFrame, about: list[str]) -> pd.DataFrame:
    """The ``new`` answers, and those ``kept`` that are ``about`` something not asked anew, such as other rules."""
    again = pd.MultiIndex.from_frame(kept[about]).isin(pd.MultiIndex.from_frame(new[about]))
    return pd.concat([kept[~again], new], ignore_index=True).sort_values(about, kind="stable", ignore_index=True)
