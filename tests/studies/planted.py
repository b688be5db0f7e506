"""Planted maps: how uneven they are is known."""

from __future__ import annotations

import numpy as np
import pandas as pd


def by_rows(slope: float, pictures: int, rng: np.random.Generator) -> pd.DataFrame:
    """Shares of so many pictures, best in the first row of cells by ``slope`` above the last: columns ``picture``,
    ``cell``, ``share``.
    """
    share = 0.5 + slope * np.repeat([1, 0.5, 0], 3) + rng.normal(0, 0.02, (pictures, 9))
    table = pd.DataFrame(share).rename_axis("picture").melt(ignore_index=False, var_name="cell", value_name="share")
    return table.reset_index()
