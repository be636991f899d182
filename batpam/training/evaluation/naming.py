"""Which of the calls that were found got the right name."""

from typing import Any

import numpy as np
import pandas as pd

from batpam.models.taxonomy import ANY_BAT
from batpam.training.evaluation import metrics
from batpam.training.evaluation.finding import event_scores
from batpam.training.evaluation.inputs import EVENT_COLUMNS, Inputs
from batpam.training.evaluation.match import best_partner, is_in

NOT_A_BAT, MISSED = "not a bat", "missed"
RIGHT, TOO_HIGH, WRONG, NOT_NAMED = OUTCOMES = ("right", "too_high", "wrong", "not_named")


def matches(data: Inputs, min_score: float) -> np.ndarray:
    """The detection that names each event, -1 where it is missed: of those that count, the surest of its species."""
    event, call = data.pairs
    counts = data.det_score[call] >= min_score
    event, call = event[counts], call[counts]
    return best_partner(event, call, data.detections["class_score"].to_numpy(float)[call], len(data.events))


def names(data: Inputs, matched: np.ndarray, least: float) -> np.ndarray:
    """Lowest taxon of at least some probability, of the detection of each event; "" where there is none."""
    found = matched[matched >= 0]
    named = np.full(len(found), "", object)
    for rank in metrics.RANKS:
        nodes = np.array(data.tree.of_rank(rank), object)
        if len(nodes):
            score = np.stack([data.score_of(node, found) for node in nodes], axis=1)
            sure = (named == "") & (score.max(axis=1) >= least)
            named[sure] = nodes[score.argmax(axis=1)[sure]]
    every = np.full(len(matched), "", object)
    every[matched >= 0] = named
    return every


def species_right(data: Inputs, matched: np.ndarray) -> np.ndarray:
    """Of each event, "right" or "wrong"; "" where it was missed or its species is not known."""
    return _right(data, matched, _as_rank(data, "species"))


def group_right(data: Inputs, matched: np.ndarray) -> np.ndarray:
    """Of each event, "right" or "wrong"; "" where it was missed or its group is not known."""
    return _right(data, matched, _as_rank(data, "group"))


def _as_rank(data: Inputs, rank: str) -> dict[str, str]:
    """The species, or group, that a taxon is of, as far as that is known."""
    if rank == "group":
        return dict(data.tree.group)
    return {name: name for name in data.tree.of_rank("species")}


def _lifted(taxa: pd.Series, up: dict[str, str]) -> np.ndarray:
    return np.array([up.get(taxon, "") for taxon in taxa.cat.categories], object)[taxa.cat.codes]


def _right(data: Inputs, matched: np.ndarray, up: dict[str, str]) -> np.ndarray:
    true = _lifted(data.events["taxon"], up)
    known = (true != "") & (matched >= 0)
    taken = _lifted(data.detections["species"].iloc[matched[known]], up)
    right = np.full(len(true), "", object)
    right[known] = np.where(taken == true[known], "right", "wrong")
    return right


def outcomes(data: Inputs, matched: np.ndarray, named: np.ndarray) -> np.ndarray:
    """What the name of each event is: one of :data:`OUTCOMES`; "" where it was missed, is no bat or is not known.

    A name below what the annotation says, as a species where only the group is annotated, cannot be wrong as far as anybody
    knows and counts as right.
    """
    taxa, code = data.events["taxon"].cat.categories, data.events["taxon"].cat.codes.to_numpy()
    name, names_ = pd.factorize(named)
    kinds = np.array([[_outcome(data, taxon, given) for given in names_] for taxon in taxa], object)
    return np.where(matched >= 0, kinds[code, name], "")


def _outcome(data: Inputs, taxon: str, name: str) -> str:
    if not data.tree.covers(ANY_BAT, taxon):
        return ""
    if not name:
        return NOT_NAMED
    if data.tree.covers(taxon, name):
        return RIGHT
    return TOO_HIGH if data.tree.covers(name, taxon) else WRONG


def name_rows(data: Inputs, outcome: np.ndarray) -> pd.DataFrame:
    """Shares of names that are right, too high and wrong, of all events that were found and by annotated taxon."""
    judged = outcome != ""
    taxon, recording = data.events["taxon"].to_numpy(object)[judged], data.event_recording[judged]
    annotated = set(taxon)
    rows = []
    for node in ("", *(node for node in data.tree.lineage if node in annotated)):
        own = (taxon == node) | (node == "")
        cell = np.zeros(own.sum(), int)
        row: dict[str, Any] = {"taxon": node, "rank": data.tree.rank.get(node, "all"), "found": int(own.sum())}
        for name in OUTCOMES:
            share = metrics.shares(data.weights, recording[own], cell, 1, outcome[judged][own] == name).iloc[0]
            row |= {name: int(share["sum"]), f"{name}_share": share["share"]}
            row |= {f"{name}_low": share["low"], f"{name}_high": share["high"]}
        rows.append(row | {"recordings": len(np.unique(recording[own]))})
    return pd.DataFrame(rows)


def confusion_rows(data: Inputs, matched: np.ndarray, min_score: float) -> pd.DataFrame:
    """What events were taken for, by species and by group: every cell, zeros too.

    Rows of "not a bat" are false detections where everything is annotated.
    """
    event, call = data.pairs
    counts = (data.det_score >= min_score) & data.exhaustive[data.detection_recording]
    false = counts & ~is_in(call[(data.bats | data.open_to)[event]], len(counts))
    claimed = data.detections["species"]
    tables = []
    for rank in ("species", "group"):
        up = _as_rank(data, rank)
        true = _lifted(data.events["taxon"], up)
        taken = np.full(len(true), MISSED, object)
        taken[matched >= 0] = _lifted(claimed.iloc[matched[matched >= 0]], up)
        known = true != ""
        pairs = pd.DataFrame(
            {
                "true": np.concatenate([true[known], np.full(int(false.sum()), NOT_A_BAT, object)]),
                "predicted": np.concatenate([taken[known], _lifted(claimed[false], up)]),
            }
        )
        nodes = list(dict.fromkeys(up[name] for name in data.tree.of_rank("species")))
        grid = pd.MultiIndex.from_product([[*nodes, NOT_A_BAT], [*nodes, MISSED]], names=["true", "predicted"])
        table = pairs.value_counts().reindex(grid, fill_value=0).rename("number").reset_index()
        tables.append(table[(table["true"] != NOT_A_BAT) | (table["predicted"] != MISSED)].assign(rank=rank))
    return pd.concat(tables, ignore_index=True)[["rank", "true", "predicted", "number"]]


def event_rows(data: Inputs, matched: np.ndarray, named: np.ndarray, outcome: np.ndarray) -> pd.DataFrame:
    """Every event with a time: whether it was found, by which detection, and what it was taken for."""
    rows = data.events[list(EVENT_COLUMNS)].assign(
        recording=data.recordings["recording"].to_numpy()[data.event_recording],
        found=np.where(matched >= 0, "yes", "no"),
        best_det_score=event_scores(data),
    )
    of = data.detections.reindex(matched).reset_index(drop=True)  # -1 is no row's label
    for name in ("start_s", "end_s", "det_score", "species", "class_score", "snr_db"):
        rows[f"detection_{name}"] = of[name]
    rows["named"], rows["name_is"] = named, outcome
    rows["species_right"], rows["group_right"] = species_right(data, matched), group_right(data, matched)
    rows.insert(0, "event", np.arange(1, len(rows) + 1))
    return rows


def shares_right(data: Inputs, matched: np.ndarray, outcome: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of the events that were found: how many species and groups are right, and how many names."""
    summary: dict[str, dict[str, Any]] = {}
    judgements = {"species_right": species_right(data, matched), "group_right": group_right(data, matched)}
    for name, judged in (judgements | {f"name_{kind}": outcome for kind in OUTCOMES}).items():
        known = judged != ""
        wanted = name.removeprefix("name_") if name.startswith("name_") else "right"
        cell = np.zeros(known.sum(), int)
        share = metrics.shares(data.weights, data.event_recording[known], cell, 1, judged[known] == wanted).iloc[0]
        summary[name] = {"value": share["share"], "low": share["low"], "high": share["high"],
                         "events": int(share["number"]), "recordings": int(share["recordings"])}  # fmt: skip
    return summary
