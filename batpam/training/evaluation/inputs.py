"""The inputs of an evaluation: checked, what cannot be used left out, and the rest in one order.

The order of rows in the inputs changes nothing after this.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from batpam.errors import UserError, printable
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT
from batpam.training.annotations.read import Annotations, in_real_time
from batpam.training.evaluation.match import Pairs, overlapping, time_iou
from batpam.training.evaluation.metrics import FLOOR, Tree, draws, taxon_tree

NOT_BATS = ("insect", "noise")
RECORDING_COLUMNS = ("recording", "exhaustive")
EVENT_COLUMNS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "taxon", "call_type", "extent")
DETECTION_COLUMNS = (
    "recording", "start_s", "end_s", "low_hz", "high_hz", "peak_hz", "snr_db", "det_score", "species", "class_score",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Annotations and detections of some recordings; recordings, events and detections go by their position.

    Attributes
    ----------
    tree
        What a call can be named.
    recordings
        ``recording``, ``hours`` and ``exhaustive`` (every call in it is annotated with its time).
    events
        Events with a time, of every taxon; ``end_s`` is missing where only the start is known.
    labels
        ``recording`` and ``taxon`` of labels of whole files. ``taxon`` is categorical here and in ``events``.
    detections, scores
        Detections and their score of each species, shape (detections, species); ``species`` is categorical.
    pairs, iou
        Events and detections that overlap, and by how much.
    weights
        See :func:`batpam.training.evaluation.metrics.draws`.
    left_out
        What could not be used: counts and names.
    """

    tree: Tree
    recordings: pd.DataFrame
    events: pd.DataFrame
    labels: pd.DataFrame
    detections: pd.DataFrame
    scores: np.ndarray
    pairs: Pairs
    iou: np.ndarray
    weights: np.ndarray
    left_out: dict[str, Any]

    @property
    def exhaustive(self) -> np.ndarray:
        """Of each recording."""
        return self.recordings["exhaustive"].to_numpy(bool)

    @property
    def event_recording(self) -> np.ndarray:
        """Of each event."""
        return self.events["recording"].to_numpy(int)

    @property
    def detection_recording(self) -> np.ndarray:
        """Of each detection."""
        return self.detections["recording"].to_numpy(int)

    @property
    def det_score(self) -> np.ndarray:
        """Of each detection."""
        return self.detections["det_score"].to_numpy(float)

    @property
    def bats(self) -> np.ndarray:
        """Which events are bats."""
        return where(self.events["taxon"], lambda taxon: self.tree.covers(ANY_BAT, taxon))

    @property
    def open_to(self) -> np.ndarray:
        """Of which events nobody knows whether they are bats."""
        return where(self.events["taxon"], lambda taxon: taxon == "")

    def judges(self, taxon: pd.Series, node: str) -> tuple[np.ndarray, np.ndarray]:
        """Which of some taxa are a node or below it, and of which nobody knows whether they are."""
        own = where(taxon, lambda name: self.tree.covers(node, name))
        return own, where(taxon, lambda name: not name or self.tree.above(node, name))

    def score_of(self, node: str, rows: Any = slice(None)) -> np.ndarray:
        """Probability of a node, of each detection or of some."""
        if node == ANY_BAT:
            return self.det_score[rows]
        return self.scores[:, list(self.tree.members[node])].sum(axis=1, dtype=float)[rows]


def where(taxon: pd.Series, holds: Callable[[str], bool]) -> np.ndarray:
    """Where something holds of a categorical column; asked once of each category.

    Examples
    --------
    >>> where(pd.Series(["a", "b", "a"], dtype="category"), lambda taxon: taxon == "a").tolist()
    [True, False, True]
    """
    return np.array([holds(name) for name in taxon.cat.categories], bool)[taxon.cat.codes]


def text(values: pd.Series) -> pd.Series:
    """What a file of text can hold: no missing values, and codes for bytes that are no Unicode."""
    values = values.fillna("").astype(str)
    return values.map({value: value.encode("utf-8", "backslashreplace").decode() for value in values.unique()})


def read_inputs(
    annotations: Annotations,
    detections: pd.DataFrame,
    taxa: Sequence[Taxon],
    *,
    frequency: bool,
    resamples: int,
    seed: int,
) -> Inputs:
    """Put annotations and detections in order; see :func:`batpam.training.evaluation.evaluate.evaluate`."""
    tree = taxon_tree(taxa)
    annotations = in_real_time(annotations)
    recordings, missing = _recordings(annotations.recordings)
    number = pd.Series(recordings.index, index=recordings["recording"])
    events, homeless = _numbered(_frame(annotations.events, EVENT_COLUMNS, "events of the annotations"), number)
    for name in ("label", "taxon", "call_type", "extent"):
        events[name] = text(events[name])
    known = [*tree.lineage, *NOT_BATS, ""]
    events["taxon"] = pd.Categorical(events["taxon"].where(events["taxon"].isin(known), ""), known)
    events["end_s"] = events["end_s"].where(events["extent"] != "position")
    timed = (events["extent"] != "file") & events["start_s"].notna()
    labels = events.loc[~timed, ["recording", "taxon"]].drop_duplicates()
    order = ["recording", "start_s", "end_s", "low_hz", "high_hz", "taxon", "label", "call_type"]
    unfit = sorted(map(printable, set(events.loc[events["taxon"] == "", "label"])))
    events = events[timed].sort_values(order, ignore_index=True)

    codes = [f"score_{taxon.code}" for taxon in taxa]
    calls, elsewhere = _numbered(_frame(detections, (*DETECTION_COLUMNS, *codes), "detections"), number)
    _check(calls, ["det_score", "class_score", *codes], taxa)
    order = ["recording", "start_s", "end_s", "low_hz", "high_hz", "det_score", "class_score", "species"]
    calls = calls[calls["det_score"] >= FLOOR].sort_values(order, ignore_index=True)
    calls["species"] = pd.Categorical(calls["species"], tree.of_rank("species"))
    if "call_type" in calls:
        calls["call_type"] = text(calls["call_type"])

    # a file that is said to have a bat, but of which no call is marked, tells nothing of single detections
    bats = set(events.loc[events["taxon"].isin(list(tree.lineage)), "recording"])
    unmarked = set(labels.loc[~labels["taxon"].isin(NOT_BATS), "recording"]) - bats
    said = recordings["exhaustive"].to_numpy(bool)
    exhaustive = said & ~recordings.index.isin(list(unmarked))
    kinds = np.select([exhaustive, recordings.index.isin(events["recording"])], [0, 1], 2)
    pairs = overlapping(events, calls, frequency=frequency)
    return Inputs(
        tree=tree,
        recordings=recordings.assign(exhaustive=exhaustive, recording=text(recordings["recording"])),
        events=events,
        labels=labels.sort_values(["recording", "taxon"], ignore_index=True),
        detections=calls.drop(columns=codes),
        scores=calls[codes].to_numpy(np.float32),
        pairs=pairs,
        iou=time_iou(events, calls, pairs),
        weights=draws(kinds, resamples, seed),
        left_out={
            "missing_recordings": missing,
            "events_without_recording": homeless,
            "detections_elsewhere": elsewhere,
            "labels_that_fit_nothing": unfit,
            "exhaustive_without_times": int((said & ~exhaustive).sum()),
        },
    )


def _recordings(known: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Recordings that are there, by name, and the names of those that are not."""
    known = _frame(known, RECORDING_COLUMNS, "recordings of the annotations")
    there = known["exists"].astype(bool) if "exists" in known else pd.Series(True, index=known.index)
    recordings = known[there].assign(recording=known["recording"].astype(str)).drop_duplicates("recording")
    recordings = recordings.sort_values("recording", ignore_index=True)
    hours = pd.to_numeric(recordings["duration_s"]) / 3600 if "duration_s" in recordings else math.nan
    exhaustive = recordings["exhaustive"].eq(True)
    missing = sorted(set(known.loc[~there, "recording"].astype(str).map(printable)))
    return recordings[["recording"]].assign(exhaustive=exhaustive, hours=hours), missing


def _numbered(table: pd.DataFrame, number: pd.Series) -> tuple[pd.DataFrame, int]:
    """Rows of the recordings that are there, by their number, and how many are of others."""
    own = table["recording"].astype(str).map(number)
    return table[own.notna()].assign(recording=own[own.notna()].astype(int)), int(own.isna().sum())


def _frame(table: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """A table that has these columns; one without a row may lack them."""
    if not len(table):
        table = pd.DataFrame(columns=list(dict.fromkeys([*columns, *table.columns])))
        return table.astype({name: float for name in columns if name.endswith(("_s", "_hz", "_db")) or "score" in name})
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(f"{what}: column {missing[0]!r} is missing")
    return table


def _check(calls: pd.DataFrame, scores: Iterable[str], taxa: Sequence[Taxon]) -> None:
    for name in scores:
        if not calls[name].between(0, 1 + 1e-5).all():
            raise UserError(f"detections: {name} holds a value that is no probability")
    if calls[["start_s", "end_s"]].isna().any(axis=None):
        raise UserError("detections: start_s or end_s is empty in a row")
    strange = set(calls["species"]) - {taxon.species for taxon in taxa}
    if strange:
        raise UserError(f"detections: {sorted(map(str, strange))[0]!r} is none of the model's species")
