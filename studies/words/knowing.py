"""From what a model knows of neighbours to the endpoints of PLAN-2.md. The picture is the unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapa.calibrate.words.learn import RELATIONS
from studies.words.ask import RULES
from studies.words.neighbours import FORMS
from studies.words.reading import RESAMPLES, estimate

CHANCE = 0.5
Array = NDArray[np.float64]


def figures(answers: pd.DataFrame, rules: Sequence[str] = RULES) -> dict[str, Any]:
    """By form and rule: of each relation the AUC, and what is kept of native's beyond chance, where native's interval
    lies above chance. ``answers``: columns ``scheme``, ``form``, ``picture``, ``relation``, ``auc``;
    ``rules``: their order.
    """
    found: dict[str, Any] = {}
    for form, rows in answers.groupby("form"):
        table = rows.pivot(index="picture", columns=["scheme", "relation"], values="auc").astype(float)
        counts = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
        again = {name: counts @ table[name].to_numpy() / len(table) for name in table}
        of = found[FORMS[int(str(form))][1]] = {}
        for rule in sorted(rows["scheme"].unique(), key=rules.index):
            its = of[rule] = {}
            for relation in RELATIONS:
                mine, base = (rule, relation), ("native", relation)
                its[relation] = {"auc": estimate(table[mine].mean(), again[mine])}
                if rule != "native" and np.quantile(again[base], 0.025) > CHANCE:
                    kept = [(one[mine] - CHANCE) / (one[base] - CHANCE) for one in (table.mean(), again)]
                    its[relation]["kept"] = estimate(*kept)
    return found
