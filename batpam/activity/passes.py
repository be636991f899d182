"""Passes: calls of one taxon at one recorder, none further than a gap from the last.

Passes are built on absolute time, not per file, so that recordings of five seconds and of one hour give the same
counts. Recordings that tell no time are each a time of their own.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from batpam.models.files import Taxon
from batpam.tables import PASSES

ANY_BAT = "Chiroptera"


def name_calls(detections: pd.DataFrame, taxa: Sequence[Taxon], *, min_species_score: float) -> pd.DataFrame:
    """Give every call a taxon: its species where that is sure enough, else its group, else only "Chiroptera".

    Parameters
    ----------
    detections
        Of the schema DETECTIONS with ``score_CODE`` per class.
    min_species_score
        A species, and a group by the sum over its species, needs this score.

    Returns
    -------
    DataFrame
        The detections with ``taxon``, ``group`` and ``rank`` (``species``, ``group`` or ``order``).
    """
    scores = detections[[f"score_{taxon.code}" for taxon in taxa]].to_numpy(float)
    species = np.array([taxon.species for taxon in taxa], object)
    group_of = np.array([taxon.group for taxon in taxa], object)
    groups = np.unique(group_of)
    group_scores = scores @ (group_of[:, None] == groups).astype(float)
    best, best_group = scores.argmax(axis=1), group_scores.argmax(axis=1)
    by_species = scores.max(axis=1) >= min_species_score
    by_group = group_scores.max(axis=1) >= min_species_score
    return detections.assign(
        taxon=np.select([by_species, by_group], [species[best], groups[best_group]], ANY_BAT),
        group=np.select([by_species, by_group], [group_of[best], groups[best_group]], ANY_BAT),
        rank=np.select([by_species, by_group], ["species", "group"], "order"),
    )


def find_passes(calls: pd.DataFrame, *, gap: float, min_calls: int) -> pd.DataFrame:
    """Group named calls into passes.

    Parameters
    ----------
    calls
        As :func:`name_calls` gives them.
    gap
        Longest time from the start of a call to the start of the next, s.
    min_calls
        Fewer calls make no pass.

    Returns
    -------
    DataFrame of the schema PASSES
        The night is that of the first call's recording.
    """
    undated = calls["start_utc"].isna()
    # whole microseconds: seconds since 1970 as floating point are too coarse to say whether a gap is exceeded
    clock = calls["start_utc"].astype("datetime64[us, UTC]").astype("int64")
    own_clock = (calls["start_s"] * 1e6).round().astype("int64")
    calls = calls.assign(
        own_time=np.where(undated, calls["recording"], ""), microseconds=np.where(undated, own_clock, clock)
    )
    keys = ["site", "recorder", "own_time", "taxon"]
    calls = calls.sort_values([*keys, "microseconds"], ignore_index=True)
    new = (calls["microseconds"].diff() > round(gap * 1e6)) | (calls[keys] != calls[keys].shift()).any(axis=1)
    rows = []
    for _, part in calls.groupby(new.cumsum()):
        if len(part) < min_calls:
            continue
        first, best = part.iloc[0], part.loc[part["det_score"].idxmax()]
        ends = (part["microseconds"] - first["microseconds"]) / 1e6 + part["end_s"] - part["start_s"]
        rows.append(
            {
                **{name: first[name] for name in ("site", "recorder", "night", "taxon", "group", "rank", "start_utc")},
                "duration_s": float(ends.max()),
                "calls": len(part),
                "files": part["recording"].nunique(),
                "mean_peak_hz": float(part["peak_hz"].mean()),
                "mean_score": float(part["det_score"].mean()),
                "best_path": best["path"],
                "best_start_s": float(best["start_s"]),
            }
        )
    return pd.DataFrame(rows, columns=PASSES.names)
