"""What the calls around a call say of its species: bats call in sequences."""

import numpy as np

from batpam.models.calibration import Calibration
from batpam.models.settings import CALL_TYPES
from batpam.tables import NO_BAT

SPAN_S = 1.0
"""Search calls within this time of a call take part."""

OWN_WEIGHT = 0.3
"""A call keeps to itself with this weight, re that of a certain call beside it: one neighbour says less than many."""


def name_in_sequence(
    classes: np.ndarray, score: np.ndarray, call_type: np.ndarray, time: np.ndarray, calibration: Calibration
) -> np.ndarray:
    """Let the search calls of a sequence take part in the species of every call in it.

    A neighbour with the probabilities p says ``log(a p + (1 - a) / K)`` of the K species, where a is how likely it is that
    both calls are of one species. What the neighbours within :data:`SPAN_S` say is averaged by their scores, weighted, and
    added to the logarithm of the call's own probabilities. Calls of buzzes, social calls and echoes are named by the others
    and name none, as in identification by eye: they are alike in many species. ``a``, the weight and a temperature are fitted
    on held-out windows (:func:`batpam.training.measure.calibrate`).

    Parameters
    ----------
    classes
        Probabilities of the species and, behind them, of insect and noise, shape (n, classes). Each row sums to 1, its
        species to ``score``.
    score
        Probability of a bat call, shape (n,).
    call_type
        Place in :data:`~batpam.models.settings.CALL_TYPES`, shape (n,).
    time
        Of the calls, s, shape (n,), in any order.

    Returns
    -------
    ndarray of the shape of ``classes``
        What insect and noise have, and the sums over the species, stay.

    Examples
    --------
    >>> classes = np.array([[0.9, 0.0, 0.05, 0.05], [0.4, 0.5, 0.05, 0.05]])  # two species, insect, noise
    >>> named = name_in_sequence(classes, np.full(2, 0.9), np.array([0, 1]), np.array([0.0, 0.1]), Calibration(same_bat=0.9, sequence_weight=1.0))
    >>> named[1].argmax()  # a call of a buzz, behind a search call
    np.int64(0)
    """
    if calibration.sequence_weight == 0 or not len(classes):
        return classes
    order = np.argsort(time, kind="stable")
    when, own = time[order], classes[order, : -len(NO_BAT)] / score[order, None]
    speaks = np.where(call_type[order] == CALL_TYPES.index("echolocation"), score[order], 0.0)
    a = calibration.same_bat
    said = np.log(a * own + (1 - a) / own.shape[1]) * speaks[:, None]
    first, last = np.searchsorted(when, when - SPAN_S, "left"), np.searchsorted(when, when + SPAN_S, "right")
    neighbours = _sums(said, first, last) - said
    weight = _sums(speaks, first, last) - speaks + OWN_WEIGHT
    with np.errstate(divide="ignore"):  # a species that may not occur has no probability, whatever is said of it
        logits = np.log(own) + calibration.sequence_weight * neighbours / weight[:, None]
    shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / calibration.sequence_temperature)
    shares *= (score[order] / shares.sum(axis=1))[:, None]
    named = classes.copy()
    named[order, : -len(NO_BAT)] = shares
    return named


def _sums(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Sums over rows from ``first`` to before ``last``."""
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    return sums[last] - sums[first]
