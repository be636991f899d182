"""Passes: calls of one taxon at one recorder, none further than a gap from the last.

Passes are built on absolute time, not per file, so that recordings of five seconds and of one hour give the same
counts. Recordings that tell no time are each a time of their own.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from batpam.activity.names import Node, names_at, nodes_of
from batpam.models.files import Taxon
from batpam.models.taxonomy import RANKS
from batpam.tables import PASSES

BUZZ_CALLS = 3
"""Calls of a feeding buzz from which a pass has one.

A buzz is many short calls 5 to 15 ms apart (Ratcliffe et al. 2013, 10.1098/rsbl.2012.1031), and of a faint one some are
heard. One or two short calls prove nothing: they can be echoes, or clutter that a bat flew past.
"""

SOCIAL_CALLS = 2
"""Social calls from which a pass has them.

Each component is a call in the tables, and the social calls of pipistrelles, the most frequent ones, mostly have three to
five; a single call may as well be an odd one for orientation.
"""

PLACE = ["site", "recorder", "own_time"]


def join_calls(calls: pd.DataFrame, taxa: Sequence[Taxon], *, gap: float) -> pd.DataFrame:
    """Count calls that are named to little with the better named calls around them.

    A call named to a group, a family or "Chiroptera" joins a call of a taxon below, at the same recorder, that lies within
    the gap or is reached over others like itself, none further than the gap from the last. Where that is so of several, the
    nearest in time counts, of equally near ones the first by name. Groups go first, then families, then "Chiroptera"; what
    has joined is a call of its new taxon for all that follows, and this is done until no call changes. So no two passes lie
    within the gap of each other of which one could be a part of the other, and one bat whose calls are partly unclear is one
    pass.

    Parameters
    ----------
    calls
        As :func:`batpam.activity.names.name_calls` gives them.
    gap
        Longest time from the start of a call to the start of the next, s.

    Returns
    -------
    DataFrame
        The calls; ``taxon``, ``group`` and ``rank`` are those that a call counts under, and ``joined`` is true where that is
        not what it was named.
    """
    nodes = nodes_of(taxa)
    # numbers in the order of the names: the lower of two is the first by name
    nodes.sort(key=lambda node: node.name)
    number_of = {node.name: number for number, node in enumerate(nodes)}
    named = calls["taxon"].map(number_of).to_numpy(np.int64)
    on_clock = _on_clock(calls)
    place = on_clock.groupby(PLACE, sort=False).ngroup().to_numpy()
    at = on_clock["microseconds"].to_numpy()
    levels = [(number, _below(nodes, rank)) for number, rank in enumerate(RANKS) if number]
    rank_of = np.array([RANKS.index(node.rank) for node in nodes])
    counted, before = named, None
    while before is None or (counted != before).any():
        before = counted
        for level, above in levels:
            counted = _join(counted, above, rank_of == level, place, at, _microseconds(gap))
    return calls.assign(**names_at(nodes, counted), joined=counted != named)


def _below(nodes: Sequence[Node], rank: str) -> np.ndarray:
    """Number of the node of a rank that each node is, or lies below; -1 where there is none."""
    above = np.full(len(nodes), -1)
    for number, node in enumerate(nodes):
        if node.rank == rank:
            for other, candidate in enumerate(nodes):
                lower = RANKS.index(candidate.rank) < RANKS.index(rank)
                if other == number or (lower and set(candidate.classes) <= set(node.classes)):
                    above[other] = number
    return above


def _join(
    counted: np.ndarray, above: np.ndarray, coarse_nodes: np.ndarray, place: np.ndarray, at: np.ndarray, gap: int
) -> np.ndarray:
    """Let calls of the nodes of one rank join calls of the nodes below them.

    Parameters
    ----------
    counted
        Number of the node that each call counts under.
    above
        Of each node, see :func:`_below`.
    coarse_nodes
        Which nodes are of the rank.
    place, at
        Of each call: where it was recorded, and when, µs.
    gap
        µs.

    Returns
    -------
    ndarray
        As ``counted``.
    """
    coarse = coarse_nodes[counted]
    if not coarse.any():
        return counted
    rows = np.flatnonzero(above[counted] >= 0)
    order = np.lexsort((counted[rows], coarse[rows], at[rows], above[counted[rows]], place[rows]))
    rows = rows[order]
    # of better named calls at the same instant, the first by name stands for all
    alike = _same(place[rows], above[counted[rows]], at[rows])
    rows = rows[~(alike & ~coarse[rows])]
    when, coarse, count = at[rows], coarse[rows], len(rows)
    together = _same(place[rows], above[counted[rows]]) & (np.diff(when, prepend=when[:1]) <= gap)
    stretch = np.cumsum(~together)
    position = np.arange(count)
    last = np.maximum.accumulate(np.where(coarse, 0, position))
    following = np.minimum.accumulate(np.where(coarse, count - 1, position)[::-1])[::-1]
    never = np.iinfo(np.int64).max
    distance = [
        np.where((stretch[near] == stretch) & ~coarse[near], np.abs(when - when[near]), never)
        for near in (last, following)
    ]
    forward = (distance[1] < distance[0]) | (
        (distance[1] == distance[0]) & (counted[rows[following]] < counted[rows[last]])
    )
    joins = coarse & (np.minimum(*distance) < never)
    joined = counted.copy()
    joined[rows[joins]] = counted[rows[np.where(forward, following, last)[joins]]]
    return joined


def _same(*columns: np.ndarray) -> np.ndarray:
    """Whether each row is like the one before in all columns; the first is not."""
    same = np.ones(len(columns[0]), bool)
    same[:1] = False
    for column in columns:
        same[1:] &= column[1:] == column[:-1]
    return same


def find_passes(calls: pd.DataFrame, *, gap: float, min_calls: int) -> pd.DataFrame:
    """Group calls into passes.

    Parameters
    ----------
    calls
        As :func:`join_calls` gives them, with the ``time_expansion`` of their recordings.
    gap
        Longest time from the start of a call to the start of the next, s.
    min_calls
        Fewer calls make no pass; those that joined count.

    Returns
    -------
    DataFrame of the schema PASSES
        The night is that of the first call's recording.
    """
    keys = [*PLACE, "taxon"]
    calls = _on_clock(calls).sort_values([*keys, "microseconds", "path", "start_s", "peak_hz"], ignore_index=True)
    step = calls["microseconds"].diff() > _microseconds(gap)
    new = step | (calls[keys] != calls[keys].shift()).any(axis=1)
    calls["number"] = new.cumsum()
    first = calls[new].set_index("number")
    starts = first["microseconds"].reindex(calls["number"]).to_numpy()
    calls["until"] = (calls["microseconds"] - starts) / 1e6 + calls["end_s"] - calls["start_s"]
    kinds = {f"{kind}_calls": calls["call_type"] == kind for kind in ("buzz", "social")}
    parts = calls.assign(named=~calls["joined"].astype(bool), **kinds).groupby("number")
    # what the pass is called must be heard in the call that is offered for checking
    best = calls.sort_values(["number", "joined", "det_score"], ascending=[True, True, False], kind="stable")
    best = best.drop_duplicates("number").set_index("number")
    passes = first[["site", "recorder", "night", "taxon", "group", "rank", "start_utc"]].assign(
        duration_s=parts["until"].max(),
        calls=parts.size(),
        named_calls=parts["named"].sum(),
        buzz_calls=parts["buzz_calls"].sum(),
        social_calls=parts["social_calls"].sum(),
        files=parts["recording"].nunique(),
        mean_peak_hz=parts["peak_hz"].mean(),
        mean_score=parts["det_score"].mean(),
        best_path=best["path"],
        best_start_s=best["start_s"],
        best_file_s=best["start_s"] * best["time_expansion"],
    )
    return passes.loc[passes["calls"] >= min_calls, PASSES.names].reset_index(drop=True)


def _on_clock(calls: pd.DataFrame) -> pd.DataFrame:
    """Add ``microseconds``, when a call begins, and ``own_time``, the recording whose time that is if nobody knows it."""
    undated = calls["start_utc"].isna()
    # whole microseconds: seconds since 1970 as floating point are too coarse to say whether a gap is exceeded
    clock = calls["start_utc"].astype("datetime64[us, UTC]").astype("int64")
    own_clock = (calls["start_s"] * 1e6).round().astype("int64")
    return calls.assign(
        own_time=np.where(undated, calls["recording"], ""), microseconds=np.where(undated, own_clock, clock)
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
