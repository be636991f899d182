"""Measures of a model and how sure they are.

Everything is a sum over recordings: detections that are right, events that are found, errors squared. An interval comes from
drawing recordings again, with replacement: calls of one recording are alike, so that drawing calls or windows would claim too
much. The sums of all draws are one product of matrices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT, RANKS

FLOOR = 0.02
"""Scores below this claim nothing: tables of detections end here."""

PRECISION = 0.92
"""Precision at which recall is asked for."""

BINS = 10
"""Bins of a reliability diagram, of equal width."""

STEPS = 160
"""Score steps, about, in which an interval follows a curve; the curve itself is exact."""

MOST_SCORES = 256
"""Up to so many different scores, intervals are exact, too."""


@dataclass(frozen=True)
class Tree:
    """What a call can be named: species, groups, families and, above them, any bat.

    Attributes
    ----------
    lineage
        Of every node: itself and all above it, lowest first.
    rank
        Of every node, one of :data:`RANKS`.
    members
        Of every node: the positions of its species.
    group
        Of every species and every group: the group.
    """

    lineage: Mapping[str, tuple[str, ...]]
    rank: Mapping[str, str]
    members: Mapping[str, tuple[int, ...]]
    group: Mapping[str, str]

    def covers(self, node: str, taxon: str) -> bool:
        """Whether a taxon is a node or lies below it."""
        return node in self.lineage.get(taxon, ())

    def above(self, node: str, taxon: str) -> bool:
        """Whether a taxon lies above a node, so that it may or may not be it."""
        return taxon in self.lineage[node][1:]

    def of_rank(self, rank: str) -> list[str]:
        """Nodes of a rank, in the order of the species."""
        return [node for node, own in self.rank.items() if own == rank]

    @property
    def nodes(self) -> list[str]:
        """What claims are looked at of: any bat, groups, species."""
        return [ANY_BAT, *self.of_rank("group"), *self.of_rank("species")]


def taxon_tree(taxa: Sequence[Taxon]) -> Tree:
    """Arrange the classes of a model.

    A name that stands for two ranks, as that of a group with one species may, belongs to the lower one.

    Examples
    --------
    >>> tree = taxon_tree([Taxon("Mmyo", "Myotis myotis", "", "Myotis", "Vespertilionidae")])
    >>> tree.lineage["Myotis"], tree.rank["Myotis"]
    (('Myotis', 'Vespertilionidae', 'Chiroptera'), 'group')
    """
    lineage: dict[str, tuple[str, ...]] = {}
    rank: dict[str, str] = {}
    members: dict[str, list[int]] = {}
    paths = [(taxon.species, taxon.group, taxon.family, ANY_BAT) for taxon in taxa]
    for level, name in enumerate(RANKS):
        for path in paths:
            lineage.setdefault(path[level], tuple(dict.fromkeys(path[level:])))
            rank.setdefault(path[level], name)
    for position, path in enumerate(paths):
        for node in dict.fromkeys(path):
            members.setdefault(node, []).append(position)
    group = {taxon.group: taxon.group for taxon in taxa} | {taxon.species: taxon.group for taxon in taxa}
    return Tree(lineage, rank, {node: tuple(own) for node, own in members.items()}, group)


def draws(kinds: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each recording is drawn in each resample: shape (recordings, resamples).

    Recordings are drawn within their kind, so that every resample has as many of each kind as there are.

    Examples
    --------
    >>> draws(np.array([0, 0, 1]), 2, seed=1).sum(axis=0).tolist()
    [3.0, 3.0]
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((len(kinds), resamples), np.float32)
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        drawn = rng.integers(len(own), size=(len(own), resamples)) * resamples + np.arange(resamples)
        weights[own] = np.bincount(drawn.ravel(), minlength=resamples * len(own)).reshape(-1, resamples)
    return weights


def totals(
    weights: np.ndarray, recording: np.ndarray, cell: np.ndarray, cells: int, amount: np.ndarray | None = None
) -> np.ndarray:
    """Sum over rows by cell, in each resample: shape (resamples, cells).

    Parameters
    ----------
    weights
        See :func:`draws`; a single column of ones gives the sums themselves.
    recording, cell
        Of each row; whole numbers.
    amount
        What a row adds; 1 if left out.

    Examples
    --------
    >>> totals(np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 2.0], [2.0, 2.0]]
    """
    values = np.ones(len(cell), weights.dtype) if amount is None else amount.astype(weights.dtype)
    return (csr_array((values, (cell, recording)), shape=(cells, len(weights))) @ weights).T


def once(weights: np.ndarray) -> np.ndarray:
    """Weights by which each recording counts once."""
    return np.ones((len(weights), 1))


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the middle 95 % of resamples, along the first axis; missing where no resample has a value.

    Examples
    --------
    >>> [limit.tolist() for limit in interval(np.array([[0.0], [0.5], [1.0]]))]
    [[0.025], [0.975]]
    """
    some = ~np.isnan(values).all(axis=0)
    low, high = (np.full(values.shape[1:], np.nan) for _ in range(2))
    if some.any():
        low[some], high[some] = np.nanpercentile(values[:, some], [2.5, 97.5], axis=0)
    return low, high


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Quotient; missing where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=np.asarray(whole) > 0)


def shares(weights: np.ndarray, recording: np.ndarray, cell: np.ndarray, cells: int, value: np.ndarray) -> pd.DataFrame:
    """Mean of a value by cell, with its interval.

    Returns
    -------
    DataFrame
        One row per cell: ``number`` of rows, ``sum``, ``share``, ``low``, ``high`` and ``recordings`` that have a row.
    """
    value = value.astype(float)
    number, total = (totals(once(weights), recording, cell, cells, amount)[0] for amount in (None, value))
    resampled = divide(totals(weights, recording, cell, cells, value), totals(weights, recording, cell, cells))
    low, high = interval(resampled)
    table = {"number": number.astype(int), "sum": total, "share": divide(total, number), "low": low, "high": high}
    return pd.DataFrame(table | {"recordings": recordings_of(recording, cell, cells, len(weights))})


def recordings_of(recording: np.ndarray, cell: np.ndarray, cells: int, recordings: int) -> np.ndarray:
    """How many of the recordings have a row, by cell."""
    there = np.zeros((cells, recordings), bool)
    there[cell, recording] = True
    return there.sum(axis=1)


class Ranking(NamedTuple):
    """What a model claims of a taxon, and what there is of it.

    Attributes
    ----------
    claim_score, claim_right, claim_recording
        Of each detection that claims the taxon, in recordings where everything is annotated.
    event_score, event_recording
        Of each event of the taxon: the best score of a claim that found it, 0 if none did.
    """

    claim_score: np.ndarray
    claim_right: np.ndarray
    claim_recording: np.ndarray
    event_score: np.ndarray
    event_recording: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """All different scores that claim something, rising."""
        scores = np.unique(np.concatenate([self.claim_score, self.event_score]))
        return scores[scores >= FLOOR]


class Curve(NamedTuple):
    """Counts from each threshold on, shape (resamples, thresholds), and how many events there are, (resamples, 1)."""

    right: np.ndarray
    claimed: np.ndarray
    found: np.ndarray
    events: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Share of claims that are right; missing where nothing is claimed."""
        return divide(self.right, self.claimed)

    @property
    def recall(self) -> np.ndarray:
        """Share of events that are found; missing where there is none."""
        return divide(self.found, self.events)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall; 0 where nothing is claimed of what there is."""
        precision, recall = np.nan_to_num(self.precision), self.recall
        return np.where(np.isnan(recall), np.nan, np.nan_to_num(divide(2 * precision * recall, precision + recall)))


def curve(ranking: Ranking, thresholds: np.ndarray, weights: np.ndarray) -> Curve:
    """Counts of a ranking from each of some rising thresholds on."""

    def from_each(score: np.ndarray, recording: np.ndarray) -> np.ndarray:
        step = np.searchsorted(thresholds, score, "right") - 1
        kept = step >= 0
        sums = totals(weights, recording[kept], step[kept], len(thresholds))
        return sums[:, ::-1].cumsum(axis=1)[:, ::-1]

    right = ranking.claim_right
    return Curve(
        right=from_each(ranking.claim_score[right], ranking.claim_recording[right]),
        claimed=from_each(ranking.claim_score, ranking.claim_recording),
        found=from_each(ranking.event_score, ranking.event_recording),
        events=totals(weights, ranking.event_recording, np.zeros(len(ranking.event_recording), int), 1),
    )


def steps(ranking: Ranking, thresholds: Sequence[float]) -> np.ndarray:
    """Thresholds for the intervals of a ranking: those asked for and, between, where scores are."""
    scores = ranking.scores
    if len(scores) > MOST_SCORES:
        even = np.linspace(FLOOR, 1, STEPS // 2)
        found = ranking.event_score[ranking.event_score >= FLOOR]
        dense = np.quantile(found if len(found) else scores, np.linspace(0, 1, STEPS // 2))
        scores = np.concatenate([even, dense])
    return np.unique(np.concatenate([scores, thresholds]))


def average_precision(counts: Curve) -> np.ndarray:
    """Area under the all-point interpolated curve of precision over recall, of each resample.

    Interpolated: at each recall, the highest precision at that recall or above (Everingham et al. 2010,
    doi:10.1007/s11263-009-0275-4). Each event must be found by one claim only, so that ``right`` counts events.
    """
    recall = divide(counts.right, counts.events)
    best = np.maximum.accumulate(np.nan_to_num(counts.precision), axis=1)
    gained = recall - np.concatenate([recall[:, 1:], np.zeros((len(recall), 1))], axis=1)
    return np.where(counts.events[:, 0] > 0, (gained * best).sum(axis=1), np.nan)


def at_precision(counts: Curve, least: float = PRECISION) -> tuple[np.ndarray, np.ndarray]:
    """Highest recall at some precision and the column it is reached in; recall 0 and column -1 where it never is."""
    reached = np.nan_to_num(counts.precision, nan=-1.0) >= least
    recall = np.where(reached, np.nan_to_num(counts.recall), -1.0)
    # of columns with one recall, the highest threshold claims least
    at = recall.shape[1] - 1 - recall[:, ::-1].argmax(axis=1) if recall.shape[1] else np.zeros(len(recall), int)
    ever = reached.any(axis=1)
    best = np.where(ever, recall.max(axis=1, initial=0.0), 0.0)
    return np.where(counts.events[:, 0] > 0, best, np.nan), np.where(ever, at, -1)


def best_f1(counts: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Highest F1 and the column it is reached in; -1 where it is 0 or there is no event."""
    f1 = np.nan_to_num(counts.f1, nan=0.0)
    at = f1.shape[1] - 1 - f1[:, ::-1].argmax(axis=1) if f1.shape[1] else np.zeros(len(f1), int)
    best = f1.max(axis=1, initial=0.0)
    return np.where(counts.events[:, 0] > 0, best, np.nan), np.where(best > 0, at, -1)


def calibration(weights: np.ndarray, recording: np.ndarray, score: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """Reliability diagram as a table, with the errors that it sums up to.

    Parameters
    ----------
    score, right
        Probability given to each detection, 0 to 1, and whether it came true.

    Returns
    -------
    DataFrame
        A row for each bin: ``low``, ``high``, ``number``, ``mean_score``, ``share`` that came true and ``share_low``,
        ``share_high``. Its ``attrs`` hold ``ece`` (expected calibration error: the mean distance of score and share, weighted by
        number) and ``brier`` (mean squared distance of score and what came true), each with value, low and high.
    """
    cell = np.minimum((score * BINS).astype(int), BINS - 1)
    true, square = right.astype(float), (score - right) ** 2
    number, sums, came, squares = (
        totals(once(weights), recording, cell, BINS, amount)[0] for amount in (None, score, true, square)
    )
    drawn, drawn_sums, drawn_came, drawn_squares = (
        totals(weights, recording, cell, BINS, amount) for amount in (None, score, true, square)
    )
    low, high = interval(divide(drawn_came, drawn))
    edges = np.arange(BINS + 1) / BINS
    table = pd.DataFrame(
        {
            "low": edges[:-1], "high": edges[1:], "number": number.astype(int), "mean_score": divide(sums, number),
            "share": divide(came, number), "share_low": low, "share_high": high,
            "recordings": recordings_of(recording, cell, BINS, len(weights)),
        }
    )  # fmt: skip
    ece = divide(np.abs(sums - came).sum(), number.sum())
    brier = divide(squares.sum(), number.sum())
    drawn_ece = divide(np.abs(drawn_sums - drawn_came).sum(axis=1), drawn.sum(axis=1))
    drawn_brier = divide(drawn_squares.sum(axis=1), drawn.sum(axis=1))
    recordings = len(np.unique(recording))
    table.attrs = {
        name: estimate(float(value), resampled, recordings)
        for name, value, resampled in (("ece", ece, drawn_ece), ("brier", brier, drawn_brier))
    }
    return table


def presence(
    weights: np.ndarray, recording: np.ndarray, score: np.ndarray, there: np.ndarray
) -> dict[str, dict[str, float]]:
    """Whether the best score of a file tells that a taxon is in it: area under the ROC and average precision.

    Parameters
    ----------
    recording, score, there
        Of each file: its number, the best score of the taxon in it, and whether the taxon is there. Scores below
        :data:`FLOOR` are one: nothing was claimed.

    Notes
    -----
    Average precision is not interpolated here, as :func:`sklearn.metrics.average_precision_score` has it.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    score = np.where(score < FLOOR, 0.0, score)
    distinct = np.unique(score)
    levels = distinct if len(distinct) <= MOST_SCORES else np.unique(np.quantile(score, np.linspace(0, 1, MOST_SCORES)))
    step = np.searchsorted(levels, score, "right") - 1
    yes = totals(weights, recording[there], step[there], len(levels))
    no = totals(weights, recording[~there], step[~there], len(levels))
    all_yes, all_no = yes.sum(axis=1), no.sum(axis=1)
    below = no.cumsum(axis=1) - no / 2
    roc = divide((yes * below).sum(axis=1), all_yes * all_no)
    right, claimed = (part[:, ::-1].cumsum(axis=1)[:, ::-1] for part in (yes, yes + no))
    precision = np.nan_to_num(divide(right, claimed))
    area = divide((precision * yes).sum(axis=1), all_yes)
    area = np.where(all_no > 0, area, np.nan)
    both = there.any() and not there.all()
    values = (roc_auc_score(there, score), average_precision_score(there, score)) if both else (np.nan, np.nan)
    return {
        name: estimate(float(value), drawn, int(there.sum()))
        for name, value, drawn in zip(("roc_auc", "average_precision"), values, (roc, area), strict=True)
    }


def estimate(value: float, resampled: np.ndarray, recordings: int) -> dict[str, float]:
    """A number with its interval and the number of recordings that it rests on."""
    low, high = (float(limit[0]) for limit in interval(resampled[:, None]))
    return {"value": value, "low": low, "high": high, "recordings": recordings}
