"""What a file is said to have in it, as a whole."""

from typing import Any

import numpy as np
import pandas as pd

from batpam.models.taxonomy import ANY_BAT
from batpam.training.evaluation import metrics
from batpam.training.evaluation.inputs import NOT_BATS, Inputs


def _labels(data: Inputs) -> pd.DataFrame:
    """``recording`` and ``taxon``: labels of whole files and those of the events in them."""
    return pd.concat(
        [data.labels, data.events[["recording", "taxon"]].drop_duplicates()], ignore_index=True
    ).drop_duplicates()


def file_rows(data: Inputs, min_score: float) -> pd.DataFrame:
    """Taxa of each file, and the species and group of the highest sum of scores.

    As many ecologists read a file: the class scores of its calls from some detection score on are summed by best species, and by
    the group of it, and the highest sum names the file.

    Returns
    -------
    DataFrame
        One row per recording that has a label or is annotated exhaustively. ``species_right`` and ``group_right`` are "right",
        "wrong", or "" where the labels do not say: they name no species, or the best one may be what a label means that names
        only its group.
    """
    tree, species = data.tree, data.tree.of_rank("species")
    groups = list(dict.fromkeys(tree.group[name] for name in species))
    counts = data.det_score >= min_score
    calls, recording = data.detections[counts], data.detection_recording[counts]
    best = {
        "species": _most(calls, recording, species, calls["species"], len(data.recordings)),
        "group": _most(calls, recording, groups, calls["species"].astype(object).map(tree.group), len(data.recordings)),
    }
    labels = _labels(data)
    told = labels.astype({"taxon": object}).groupby("recording")["taxon"].agg(set)
    number = np.bincount(recording, minlength=len(data.recordings))
    rows = []
    for at, row in enumerate(data.recordings.itertuples()):
        true: set[str] = told.get(at, set())
        if not (true or row.exhaustive):
            continue
        bats = [name for name in tree.lineage if name in true]
        others = [name for name in NOT_BATS if name in true]
        out: dict[str, Any] = {"recording": row.recording, "exhaustive": row.exhaustive, "taxa": "; ".join([*bats, *others]),
                               "calls": number[at]}  # fmt: skip
        for rank, (names, sums) in best.items():
            out |= {f"top_{rank}": names[at], f"top_{rank}_sum": sums[at]}
            own = {tree.group[name] for name in bats if name in tree.group} if rank == "group" else {*bats} & {*species}
            out[f"{rank}_right"] = _verdict(data, own, true, names[at])
        rows.append(out | {"without_bats": not bats and "" not in true, "number": at})
    columns = ["recording", "exhaustive", "taxa", "calls", "top_species", "top_species_sum", "species_right",
               "top_group", "top_group_sum", "group_right", "without_bats", "number"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _most(
    calls: pd.DataFrame, recording: np.ndarray, names: list[str], own: pd.Series, recordings: int
) -> tuple[np.ndarray, np.ndarray]:
    """Name of the highest sum in each recording, "" where there is no call, and the sum."""
    sums = np.zeros((recordings, len(names)))
    at = pd.Index(names).get_indexer(own)
    np.add.at(sums, (recording, at), calls["class_score"].to_numpy(float))
    any_call = np.isin(np.arange(recordings), recording)
    return np.where(any_call, np.array(names, object)[sums.argmax(axis=1)], ""), sums.max(axis=1)


def _verdict(data: Inputs, own: set[str], true: set[str], name: str) -> str:
    if not own:
        return ""
    if name in own:
        return "right"
    # a label that fits nothing, or names only what lies above, may mean this very taxon
    return "" if name and ("" in true or any(data.tree.above(name, label) for label in true)) else "wrong"


def file_shares(data: Inputs, files: pd.DataFrame) -> dict[str, Any]:
    """How many files are named right, and how many of those without bats are free of detections."""
    summary: dict[str, Any] = {}
    for rank in ("species", "group"):
        judged = files[files[f"{rank}_right"] != ""]
        right = (judged[f"{rank}_right"] == "right").to_numpy()
        share = metrics.shares(data.weights, judged["number"].to_numpy(int), np.zeros(len(judged), int), 1, right).iloc[
            0
        ]
        summary[f"top_{rank}"] = {"value": share["share"], "low": share["low"], "high": share["high"],
                                  "right": int(share["sum"]), "recordings": int(share["number"])}  # fmt: skip
    silent = files[files["without_bats"].astype(bool)]
    summary["without_bats"] = {
        "recordings": len(silent),
        "with_detections": int((silent["calls"] > 0).sum()),
        "detections": int(silent["calls"].sum()),
    }
    return summary


def presence_rows(data: Inputs) -> pd.DataFrame:
    """Whether the highest score in a file tells that a taxon is there: one row per species and group.

    Over files that are labelled as a whole or annotated exhaustively; their labels are taken to be all that is in them. A file whose
    label may or may not mean the taxon is left out for it.
    """
    labels = _labels(data)
    size = len(data.recordings)
    whole = data.exhaustive | np.isin(np.arange(size), data.labels["recording"])
    rows = []
    for node in data.tree.nodes:
        if node == ANY_BAT:
            continue
        own, maybe = data.judges(labels["taxon"], node)
        there = np.isin(np.arange(size), labels.loc[own, "recording"])
        files = np.flatnonzero(whole & (there | ~np.isin(np.arange(size), labels.loc[maybe, "recording"])))
        best = np.zeros(size)
        np.maximum.at(best, data.detection_recording, data.score_of(node))
        measured = metrics.presence(data.weights, files, best[files], there[files])
        row: dict[str, Any] = {
            "taxon": node,
            "rank": data.tree.rank[node],
            "files": len(files),
            "present": int(there[files].sum()),
        }
        for name, value in measured.items():
            row |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        rows.append(row)
    return pd.DataFrame(rows)
