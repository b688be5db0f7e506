"""Quantities of spatial bias as functions of item weights.

A weight says how often an item counts: all ones give the estimate, zeros and ones leave clusters out, the counts of a
bootstrap resample give one draw of its sampling distribution; all answers of an item stay together. Everything is a
ratio of weighted sums, so thousands of resamples are a few matrix products. Shapes below: ``weights`` (resamples,
items) float64; results (resamples,) or (resamples, cells) float64, NaN where a quantity does not exist (no absent
questions, say).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from bapa.stats.trials import Array, Trials

CELL_QUANTITIES = ("hit", "false_alarm", "balanced_accuracy", "auc", "d_prime", "criterion", "margin")
MAPS = ("auc", "hit")  # whose range and worst cell are reported, the criterion-free one first


def predictors(rows: int, cols: int, question_first: bool = False) -> dict[str, Array]:
    """What the hit rate may slope on, each (cells,) float64: row, column, ring about the centre, raster index, and the
    number of cells read between the target and the question.
    """
    row, col = (axis.ravel().astype(float) for axis in np.mgrid[:rows, :cols])
    raster = np.arange(rows * cols, dtype=float)
    ring = np.maximum(abs(row - (rows - 1) / 2), abs(col - (cols - 1) / 2))
    distance = raster if question_first else raster[::-1].copy()
    return {"row": row, "col": col, "ring": ring, "raster": raster, "text_distance": distance}


def rates(trials: Trials, weights: Array, places: dict[str, Array]) -> dict[str, Array]:
    """All smooth quantities. Per cell: :data:`CELL_QUANTITIES`. Over cells, under ``overall.``: their means, and what
    compares cells. Under ``slopes.``: change of the hit rate per step of each predictor.
    """
    cells = by_cell(trials, weights)
    overall = {name: average(values) for name, values in cells.items()} | comparable(trials, weights)
    overall["near_miss"] = average(mean(trials.near, weights))
    overall["absent"] = average(mean(trials.absent, weights))
    overall["mass"] = average(mean(trials.mass, weights))
    overall["variance_corrected"] = corrected_variance(trials.hits, weights)
    overall["flip_rate"] = mean_of_items(flips(trials.hits), weights)
    slopes = {f"slopes.{name}": cells["hit"] @ _contrast(x) for name, x in places.items()}
    masses = {"mass": mean(trials.mass, weights)}
    return {**cells, **masses, **{f"overall.{name}": values for name, values in overall.items()}, **slopes}


def by_cell(trials: Trials, weights: Array) -> dict[str, Array]:
    """:data:`CELL_QUANTITIES`, each (resamples, cells)."""
    hit, alarm = mean(trials.hits, weights), mean(trials.alarms, weights)
    z_hit, z_alarm = _z(trials.hits, weights), _z(trials.alarms, weights)
    return {
        "hit": hit,
        "false_alarm": alarm,
        "balanced_accuracy": (hit + 1 - alarm) / 2,
        "auc": auc(trials.signal, trials.noise, weights),
        "d_prime": z_hit - z_alarm,
        "criterion": -(z_hit + z_alarm) / 2,
        "margin": mean(trials.signal, weights),
    }


def comparable(trials: Trials, weights: Array) -> dict[str, Array]:
    """The quantities over cells that are shown wherever rules are compared, each (resamples,)."""
    hit, alarm = mean(trials.hits, weights), mean(trials.alarms, weights)
    return {
        "hit": average(hit),
        "false_alarm": average(alarm),
        "balanced_accuracy": average((hit + 1 - alarm) / 2),
        "consistency": mean_of_items(consistent(trials.hits), weights),
    }


def mean(values: Array, weights: Array) -> Array:
    """Weighted mean over items and questions, per cell: (items, cells, questions) -> (resamples, cells)."""
    total, count = sums(values, weights)
    return ratio(total, count)


def sums(values: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted sum of the answers of each cell and their weighted number, each (resamples, cells)."""
    return weights @ np.nansum(values, -1), weights @ np.isfinite(values).sum(-1).astype(float)


def mean_of_items(values: Array, weights: Array) -> Array:
    """Weighted mean of one value per item, NaN left out: (items,) -> (resamples,)."""
    there = np.isfinite(values)
    return ratio(weights @ np.where(there, values, 0), weights @ there)


def ratio(total: Array, count: Array) -> Array:
    """``total / count``, NaN where nothing was counted."""
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def average(values: Array) -> Array:
    """Mean over the cells that have a value."""
    there = np.isfinite(values)
    return ratio(np.where(there, values, 0).sum(-1), there.sum(-1).astype(float))


def _z(values: Array, weights: Array) -> Array:
    # The log-linear rule (Hautus 1995, Behavior Research Methods 27) keeps rates of 0 and 1 finite.
    total, count = sums(values, weights)
    return np.where(count > 0, ndtri((total + 0.5) / (count + 1)), np.nan)


def auc(signal: Array, noise: Array, weights: Array) -> Array:
    """Area under the ROC curve of the margins, per cell; ties count half.

    Equals ``sklearn.metrics.roc_auc_score`` with sample weights.
    """
    cells = signal.shape[1]
    areas = np.full((len(weights), cells), np.nan)
    for cell in range(cells):
        (item_p, _), (item_n, _) = (np.nonzero(np.isfinite(margins[:, cell])) for margins in (signal, noise))
        if not len(item_p) or not len(item_n):
            continue
        positive, negative = (margins[:, cell][np.isfinite(margins[:, cell])] for margins in (signal, noise))
        order = np.argsort(negative, kind="stable")
        ranked = negative[order]
        below = np.cumsum(weights[:, item_n[order]], axis=1)
        below = np.concatenate([np.zeros((len(weights), 1)), below], axis=1)  # [:, k]: weight of the k lowest negatives
        lower = (
            below[:, np.searchsorted(ranked, positive, "left")] + below[:, np.searchsorted(ranked, positive, "right")]
        )
        won = weights[:, item_p]
        areas[:, cell] = ratio((won * lower).sum(-1) / 2, won.sum(-1) * below[:, -1])
    return areas


def corrected_variance(hits: Array, weights: Array) -> Array:
    """Variance of the hit rate over cells without what sampling the items adds.

    The variance component of the cell in a two-way layout items x cells: variance of the cell means minus the
    interaction mean square over the number of items (Searle, Casella, McCulloch 1992, Variance Components, ch. 4).
    Unbiased, so it can be negative.
    """
    table = _by_item(hits)
    weights = weights[:, np.isfinite(table).all(-1)]
    table = table[np.isfinite(table).all(-1)]
    count = weights.sum(-1)
    means = ratio(weights @ table, np.broadcast_to(count[:, None], (len(weights), table.shape[1])))
    between = ((means - means.mean(-1, keepdims=True)) ** 2).sum(-1)
    within = weights @ ((table - table.mean(-1, keepdims=True)) ** 2).sum(-1)
    freedom = table.shape[1] - 1
    interaction = ratio(within - count * between, freedom * (count - 1))
    return between / freedom - ratio(interaction, count)


def consistent(hits: Array) -> Array:
    """Per item, the share of its questions that get the same answer in all cells: (items,), NaN where a cell has no
    answer.
    """
    return _over_questions((hits.min(1) == hits.max(1)).astype(float), hits)


def flips(hits: Array) -> Array:
    """Per item, the chance that moving the target from one cell to another flips the answer: (items,), NaN where a cell
    has no answer.
    """
    cells = hits.shape[1]
    right = hits.sum(1)
    return _over_questions(2 * right * (cells - right) / (cells * (cells - 1)) if cells > 1 else right * 0, hits)


def _over_questions(values: Array, hits: Array) -> Array:
    complete = np.isfinite(hits).all(1)
    return ratio(np.where(complete, values, 0).sum(-1), complete.sum(-1).astype(float))


def _by_item(hits: Array) -> Array:
    there = np.isfinite(hits)
    return ratio(np.where(there, hits, 0).sum(-1), there.sum(-1).astype(float))


def _contrast(x: Array) -> Array:
    # Least squares: slope = sum of contrast times value. A predictor that does not vary has no slope.
    centred = x - x.mean()
    return centred / (centred @ centred) if np.ptp(x) else np.full_like(x, np.nan)
