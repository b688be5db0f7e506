"""What a candidate is picked by: one score per item, from its answers under that candidate.

All go by the answers that the figures go by: beside questions by yes and no, not those of where something stands.
``accuracy`` needs to know the right answers. The others do not, and are there to be compared with it: which of them
can be trusted, and where they fail, is told in docs/studies/calibration.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy

from bapa.stats import trials
from bapa.stats.trials import Array

Criterion = Callable[[pd.DataFrame, int], Array]


def accuracy(answers: pd.DataFrame, cells: int) -> Array:
    """Balanced accuracy of each item: the mean of its hit rate and its rate of right refusals, over all cells.

    ``answers``: rows of one candidate with the columns of ``answers.parquet``; ``cells``: their number. Returns
    (items,), float64, in the order in which the items first stand in ``answers``. Of an item without questions about
    what is absent it is the hit rate.
    """
    (found,) = trials.read(answers, cells).values()
    return _balanced(found.hits, 1 - found.alarms)


def confidence(answers: pd.DataFrame, cells: int) -> Array:
    """The same with the probability of the right answer, of yes and no, in place of right and wrong.

    It tells candidates apart when all their few answers are right, so successive halving goes by it.
    """
    (found,) = trials.read(answers, cells).values()
    return _balanced(expit(found.signal), 1 - expit(found.noise))


def evenness(answers: pd.DataFrame, cells: int) -> Array:
    """The same less its standard deviation over the cells: a rule that is right everywhere alike scores most, one that
    is wrong everywhere alike nothing.

    A search under a promise goes by it while the items are too few for a range of AUC.
    """
    (found,) = trials.read(answers, cells).values()
    by_cell = np.nanmean(expit(found.signal), 2)
    return confidence(answers, cells) - by_cell.std(1)


def margin(answers: pd.DataFrame, cells: int) -> Array:
    """Size of the margin, in logits: how far the answers lie from the threshold."""
    answers = trials.counted(answers)
    return _by_item(answers, answers["margin"].abs().to_numpy())


def certainty(answers: pd.DataFrame, cells: int) -> Array:
    """One minus the mean entropy of yes and no, in bits."""
    answers = trials.counted(answers)
    return _by_item(answers, 1 - _entropy(expit(answers["margin"].to_numpy(float))))


def agreement(answers: pd.DataFrame, cells: int) -> Array:
    """Share of an item's questions that get one and the same answer in all cells."""
    same = trials.counted(answers).groupby(["item", "question"], sort=False)["answer"].nunique().eq(1)
    return same.groupby("item", sort=False).mean().to_numpy(float)


def information(answers: pd.DataFrame, cells: int) -> Array:
    """Bits that an answer tells about its question: entropy of the mean answer minus the mean entropy.

    A model that is sure and says the same to everything scores nothing (Bridle et al. 1991, "unsupervised
    classifiers, mutual information and phantom targets"). The mean answer is that of all items, so the items' scores
    are not independent.
    """
    answers = trials.counted(answers)
    yes = expit(answers["margin"].to_numpy(float))
    mean = float(np.nanmean(yes))
    surprise = -(xlogy(yes, mean) + xlogy(1 - yes, 1 - mean)) / np.log(2)
    return _by_item(answers, surprise - _entropy(yes))


CRITERIA: dict[str, Criterion] = {
    "accuracy": accuracy,
    "margin": margin,
    "certainty": certainty,
    "agreement": agreement,
    "information": information,
}
READ_BY_YES = ("match", "evidence", "name")  # tasks whose margins do not know the right answer
LABEL_FREE = tuple(name for name in CRITERIA if name != "accuracy")
PACE: dict[str, Criterion] = {**CRITERIA, "accuracy": confidence}  # what halving goes by, for each criterion


def _balanced(right: Array, refused: Array) -> Array:
    """Mean of both means of each item, (items,), from (items, cells, questions) each."""
    both = np.array(np.nanmean(right, (1, 2)))
    asked = np.isfinite(refused).any((1, 2))  # of an item without questions about what is absent, the hits are all
    both[asked] = (both[asked] + np.nanmean(refused[asked], (1, 2))) / 2
    return both


def _entropy(yes: Array) -> Array:
    return -(xlogy(yes, yes) + xlogy(1 - yes, 1 - yes)) / np.log(2)


def _by_item(answers: pd.DataFrame, values: Array) -> Array:
    return pd.Series(values).groupby(answers["item"].to_numpy(), sort=False).mean().to_numpy(float)
