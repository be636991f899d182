"""Which calls were found, and which detections are bats, or the bats that they are said to be."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batpam.models.taxonomy import ANY_BAT
from batpam.training.evaluation import metrics
from batpam.training.evaluation.inputs import Inputs, where
from batpam.training.evaluation.match import Pairs, best_partner, is_in, one_to_one
from batpam.training.evaluation.metrics import FLOOR, Ranking

SNR_STEP = 5
"""Width of a bin of the signal-to-noise ratio, dB."""

BAT, SPECIES, GIVEN_BAT = "bat", "species", "species of a bat"
"""Probabilities that are held against what came true."""


def rankings(data: Inputs) -> dict[str, Ranking]:
    """What is claimed of every node, by overlap: one claim may find several events, several claims one."""
    return {node: _ranking(data, node) for node in data.tree.nodes}


def _ranking(data: Inputs, node: str) -> Ranking:
    score, (own, maybe), (event, call) = data.score_of(node), data.judges(data.events["taxon"], node), data.pairs
    best = np.zeros(len(own))
    np.maximum.at(best, event, score[call])
    right, unsure = is_in(call[own[event]], len(score)), is_in(call[maybe[event]], len(score))
    return _judged(data, score, right, unsure, best[own], data.event_recording[own])


def _strict_ranking(data: Inputs, node: str) -> Ranking:
    """What is claimed of a node, each event matched with one claim; only where everything is annotated."""
    score, (own, maybe), (event, call) = data.score_of(node), data.judges(data.events["taxon"], node), data.pairs
    start_only = own & data.events["end_s"].isna().to_numpy()
    own = own & ~start_only & data.exhaustive[data.event_recording]
    near = own[event] & (score[call] >= FLOOR)
    pairs = Pairs(event[near], call[near])
    kept = one_to_one(pairs, data.iou[near], score[pairs.detection])
    best = np.zeros(len(own))
    best[pairs.event[kept]] = score[pairs.detection[kept]]
    right = is_in(pairs.detection[kept], len(score))
    unsure = is_in(call[(maybe | start_only)[event]], len(score))
    return _judged(data, score, right, unsure, best[own], data.event_recording[own])


def _judged(
    data: Inputs, score: np.ndarray, right: np.ndarray, unsure: np.ndarray, best: np.ndarray, recording: np.ndarray
) -> Ranking:
    claim = (score >= FLOOR) & data.exhaustive[data.detection_recording] & (right | ~unsure)
    return Ranking(score[claim], right[claim], data.detection_recording[claim], best, recording)


def threshold_rows(data: Inputs, claims: Mapping[str, Ranking], thresholds: Sequence[float]) -> pd.DataFrame:
    """Precision, recall and F1 of every node at every threshold."""
    tables = []
    at = np.array(thresholds)
    for node, ranking in claims.items():
        counts = metrics.curve(ranking, at, metrics.once(data.weights))
        drawn = metrics.curve(ranking, at, data.weights)
        columns: dict[str, Any] = {
            "taxon": node,
            "rank": data.tree.rank[node],
            "threshold": at,
            "events": int(counts.events[0, 0]),
            "found": counts.found[0].astype(int),
            "detections": counts.claimed[0].astype(int),
            "right": counts.right[0].astype(int),
        }
        for name in ("recall", "precision", "f1"):
            low, high = metrics.interval(getattr(drawn, name))
            columns |= {name: getattr(counts, name)[0], f"{name}_low": low, f"{name}_high": high}
        tables.append(pd.DataFrame(columns | _recordings(data, ranking)))
    return pd.concat(tables, ignore_index=True)


def _recordings(data: Inputs, ranking: Ranking) -> dict[str, int]:
    """How many recordings recall and precision rest on."""
    return {
        "recordings_with_events": len(np.unique(ranking.event_recording)),
        "recordings_exhaustive": int(data.exhaustive.sum()),
    }


def operating_rows(data: Inputs, claims: Mapping[str, Ranking], thresholds: Sequence[float]) -> pd.DataFrame:
    """Recall at a precision that a report can live with, and the best F1, of every node."""
    rows = []
    for node, ranking in claims.items():
        exact = ranking.scores
        counts = metrics.curve(ranking, exact, metrics.once(data.weights))
        drawn = metrics.curve(ranking, metrics.steps(ranking, thresholds), data.weights)
        row: dict[str, Any] = {"taxon": node, "rank": data.tree.rank[node], "events": int(counts.events[0, 0])}
        for name, choose in (("recall_at_precision", metrics.at_precision), ("best_f1", metrics.best_f1)):
            value, at = (part[0] for part in choose(counts))
            low, high = metrics.interval(choose(drawn)[0][:, None])
            row |= {name: value, f"{name}_low": low[0], f"{name}_high": high[0]}
            row[f"{name}_threshold"] = exact[at] if at >= 0 else math.nan
        rows.append(row | _recordings(data, ranking))
    return pd.DataFrame(rows)


def average_precision_rows(data: Inputs) -> pd.DataFrame:
    """Average precision of every node, and its means over the groups and the species that have an event."""
    rows, resampled = [], {}
    for node in data.tree.nodes:
        ranking = _strict_ranking(data, node)
        exact = metrics.curve(ranking, ranking.scores, metrics.once(data.weights))
        resampled[node] = metrics.average_precision(metrics.curve(ranking, metrics.steps(ranking, ()), data.weights))
        value = metrics.average_precision(exact)[0]
        row = metrics.estimate(value, resampled[node], len(np.unique(ranking.event_recording)))
        events = len(ranking.event_recording)
        rows.append({"taxon": node, "rank": data.tree.rank[node], "events": events, "classes": 1} | row)
    table = pd.DataFrame(rows)
    means = [_mean(table, resampled, rank) for rank in ("group", "species")]
    return pd.concat([table, pd.DataFrame(means)], ignore_index=True).rename(
        columns={"value": "average_precision", "low": "average_precision_low", "high": "average_precision_high"}
    )


def _mean(table: pd.DataFrame, resampled: Mapping[str, np.ndarray], rank: str) -> dict[str, Any]:
    """Mean over nodes of a rank; in a resample, over those that were drawn."""
    part = table[(table["rank"] == rank) & (table["events"] > 0)]
    drawn = np.array([resampled[node] for node in part["taxon"]]).reshape(len(part), len(resampled[ANY_BAT]))
    means = metrics.divide(np.nansum(drawn, axis=0), (~np.isnan(drawn)).sum(axis=0))
    row = {"taxon": "", "rank": f"mean over {rank}", "events": int(part["events"].sum()), "classes": len(part)}
    return row | metrics.estimate(part["value"].mean(), means, int(table.at[0, "recordings"]))


def curve_rows(data: Inputs, ranking: Ranking) -> pd.DataFrame:
    """Precision and recall over thresholds, in as many points as a plot needs."""
    at = metrics.steps(ranking, ())
    counts = metrics.curve(ranking, at, metrics.once(data.weights))
    columns = {"threshold": at, "precision": counts.precision[0], "recall": counts.recall[0], "f1": counts.f1[0]}
    return pd.DataFrame(columns)


def calibration_tables(data: Inputs, bats: Ranking) -> dict[str, pd.DataFrame]:
    """Probabilities held against what came true; see :func:`batpam.training.evaluation.metrics.calibration`.

    Of a bat and of the best species, over all detections where everything is annotated; and of the best species, given
    that it is a bat, over all detections of events whose species is known, in all recordings.
    """
    right, unsure, known = _species_truth(data)
    own, recording = data.detections["class_score"].to_numpy(float), data.detection_recording
    judged = data.exhaustive[recording] & (right | ~unsure)
    heard = known & (right | ~unsure)
    share = np.minimum(own / np.maximum(data.det_score, FLOOR), 1.0)
    return {
        BAT: metrics.calibration(data.weights, bats.claim_recording, bats.claim_score, bats.claim_right),
        SPECIES: metrics.calibration(data.weights, recording[judged], own[judged], right[judged]),
        GIVEN_BAT: metrics.calibration(data.weights, recording[heard], share[heard], right[heard]),
    }


def _species_truth(data: Inputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which detections overlap an event of their species, one that may be, and one whose species is known."""
    event, call = data.pairs
    claims, taxa = data.detections["species"].cat, data.events["taxon"].cat
    claimed, true = claims.codes.to_numpy()[call], taxa.codes.to_numpy()[event]
    is_same = np.array([[name == taxon for taxon in taxa.categories] for name in claims.categories])
    is_open = np.array(
        [[not taxon or data.tree.above(name, taxon) for taxon in taxa.categories] for name in claims.categories]
    )
    same, maybe = is_same[claimed, true], is_open[claimed, true]
    species = where(data.events["taxon"], lambda name: data.tree.rank.get(name) == "species")[event]
    size = len(data.detections)
    return is_in(call[same], size), is_in(call[maybe], size), is_in(call[species], size)


def snr_rows(data: Inputs, matched: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """Recall, and share of species that are right, by signal-to-noise ratio.

    Parameters
    ----------
    matched
        The detection of each event, -1 where it was missed.
    right
        Of each event: "right", "wrong" or "", see :func:`batpam.training.evaluation.naming.species_right`.

    Returns
    -------
    DataFrame
        One row per bin that has an event, and a last one, without limits, for events whose ratio nobody knows. ``snr_from``
        says whether the ratio is that of the annotations or, where these have none, of the event's best detection.
    """
    event, call = data.pairs
    told = "snr_db" in data.events and bool(data.events["snr_db"].notna().any())
    if told:
        snr = data.events["snr_db"].to_numpy(float)
    else:
        best = best_partner(event, call, data.det_score[call], len(data.events))
        snr = np.full(len(best), np.nan)
        snr[best >= 0] = data.detections["snr_db"].to_numpy(float)[best[best >= 0]]
    bats, recording = data.bats, data.event_recording
    step = np.where(np.isfinite(snr), np.floor(np.where(np.isfinite(snr), snr, 0) / SNR_STEP), np.inf)
    levels, cell = np.unique(step[bats], return_inverse=True)
    found = metrics.shares(data.weights, recording[bats], cell, len(levels), matched[bats] >= 0)
    judged = right[bats] != ""
    named = metrics.shares(
        data.weights, recording[bats][judged], cell[judged], len(levels), right[bats][judged] == "right"
    )
    low = np.where(np.isinf(levels), np.nan, levels * SNR_STEP)
    rows = pd.DataFrame({"snr_from": "event" if told else "detection", "low_db": low, "high_db": low + SNR_STEP})
    names = {"number": "events", "sum": "found", "share": "recall", "low": "recall_low", "high": "recall_high"}
    species = {"number": "species_known", "sum": "species_right", "share": "species_right_share",
               "low": "species_right_low", "high": "species_right_high", "recordings": "recordings_named"}  # fmt: skip
    return pd.concat([rows, found.rename(columns=names), named.rename(columns=species)], axis=1)


def call_type_rows(data: Inputs, matched: np.ndarray, min_score: float) -> pd.DataFrame:
    """Whether feeding buzzes and social calls are told from others.

    Recall of a type is over all bat events annotated with it, missed ones too; precision over detections that are given
    the type and overlap a bat event whose type is annotated.
    """
    columns = ["call_type", *(f"{a}{b}" for a in ("recall", "precision") for b in ("", "_low", "_high"))]
    types = [name for name in data.events.loc[data.bats, "call_type"].unique() if name]
    if "call_type" not in data.detections or not types:
        return pd.DataFrame(columns=[*columns, "events", "flagged", "detections", "right"])
    event, call = data.pairs
    given = data.detections["call_type"].fillna("").astype(str).to_numpy(object)
    true = data.events["call_type"].to_numpy(object)
    annotated = data.bats & (true != "")
    rows = []
    for name in sorted(types):
        own = annotated & (true == name)
        flagged = (matched[own] >= 0) & (given[matched[own]] == name if len(given) else False)
        recall = metrics.shares(data.weights, data.event_recording[own], np.zeros(own.sum(), int), 1, flagged).iloc[0]
        right = is_in(call[own[event]], len(given))
        claim = (given == name) & (data.det_score >= min_score) & is_in(call[annotated[event]], len(given))
        precision = metrics.shares(
            data.weights, data.detection_recording[claim], np.zeros(claim.sum(), int), 1, right[claim]
        ).iloc[0]
        row = {"call_type": name, "events": int(recall["number"]), "flagged": int(recall["sum"]),
               "detections": int(precision["number"]), "right": int(precision["sum"])}  # fmt: skip
        for measure, share in (("recall", recall), ("precision", precision)):
            row |= {measure: share["share"], f"{measure}_low": share["low"], f"{measure}_high": share["high"]}
        rows.append(row | {"recordings": int(recall["recordings"])})
    return pd.DataFrame(rows)


def false_alarms(data: Inputs, min_score: float) -> dict[str, Any]:
    """Detections that are no bat, per hour of exhaustive recordings, and what they are as far as somebody marked it."""
    event, call = data.pairs
    counted = (data.det_score >= min_score) & data.exhaustive[data.detection_recording]
    false = counted & ~is_in(call[(data.bats | data.open_to)[event]], len(counted))
    hours = float(data.recordings.loc[data.exhaustive, "hours"].sum(min_count=1))
    marked = {
        name: int((false & is_in(call[data.events["taxon"].eq(name).to_numpy()[event]], len(false))).sum())
        for name in ("insect", "noise")
    }
    return {
        "false": int(false.sum()),
        "false_per_h": false.sum() / hours if hours else math.nan,
        "hours": hours,
    } | marked


def event_scores(data: Inputs) -> np.ndarray:
    """Highest detection score of all that overlap an event, 0 where none does."""
    event, call = data.pairs
    best = np.zeros(len(data.events))
    np.maximum.at(best, event, data.det_score[call])
    return best


def detection_rows(data: Inputs) -> pd.DataFrame:
    """Every detection where everything is annotated, and the event that it is of.

    Returns
    -------
    DataFrame
        With ``is``: "bat", "not known" (it overlaps only what nobody could name) or "false"; ``event``, the number of the
        event in ``events.csv``, and its taxon.
    """
    event, call = data.pairs
    # an event that is a bat comes before one that nobody could name, and that before an insect
    worth = np.select([data.bats, data.open_to], [4.0, 2.0], 0.0)[event] + data.iou
    best = best_partner(call, event, worth, len(data.detections))
    hit = best >= 0
    is_bat, is_open = np.zeros(len(best), bool), np.zeros(len(best), bool)
    is_bat[hit], is_open[hit] = data.bats[best[hit]], data.open_to[best[hit]]
    taxon = np.full(len(best), "", object)
    taxon[hit] = data.events["taxon"].to_numpy(object)[best[hit]]
    rows = data.detections.assign(recording=data.recordings["recording"].to_numpy()[data.detection_recording])
    rows["is"] = np.select([is_bat, is_open], ["bat", "not known"], "false")
    rows["event"] = pd.Series(best + 1, dtype="Int64").where(hit)
    rows["event_taxon"] = taxon
    return rows[data.exhaustive[data.detection_recording]]
