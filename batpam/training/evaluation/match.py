"""Which detection belongs to which annotated event.

Two rules, for two questions. *Overlap* asks what a user asks: was this call heard, is this detection a bat? One detection
may answer for several events and several detections for one, for people and programs split calls at different places.
*One to one* asks what a benchmark asks: how well does the list of detections stand for the list of events?
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

PAD_S = 0.005
"""An event is wider by this on each side when overlap is asked for, s."""

POSITION_S = 0.010
"""An event of which only the start is known is found by a detection that covers the start to this, s."""

MIN_IOU = 0.3
"""Least intersection over union in time of a pair that is matched one to one."""


class Pairs(NamedTuple):
    """Pairs of an event and a detection, as positions in their tables, in order of events, then detections."""

    event: np.ndarray
    detection: np.ndarray


def overlapping(events: pd.DataFrame, detections: pd.DataFrame, *, frequency: bool = False) -> Pairs:
    """All pairs that overlap in time.

    The time needed grows with the number of events, detections and pairs, not with events times detections.

    Parameters
    ----------
    events
        Columns ``recording`` (a whole number), ``start_s`` and ``end_s`` (s; missing where only the start is known).
        One with a start and an end is wider by :data:`PAD_S` on each side, one with a start alone by
        :data:`POSITION_S`; one without a start overlaps nothing.
    detections
        Columns ``recording``, ``start_s`` and ``end_s`` (s).
    frequency
        Leave out pairs whose bands, ``low_hz`` to ``high_hz`` (Hz), do not meet; a band that is missing meets every one.

    Examples
    --------
    >>> events = pd.DataFrame({"recording": [0, 0], "start_s": [0.1, 0.5], "end_s": [0.11, np.nan]})
    >>> calls = pd.DataFrame({"recording": [0, 0, 1], "start_s": [0.112, 0.52, 0.1], "end_s": [0.12, 0.53, 0.2]})
    >>> [pair.tolist() for pair in overlapping(events, calls)]
    [[0], [0]]
    """
    start, end = events["start_s"].to_numpy(float), events["end_s"].to_numpy(float)
    pad = np.where(np.isnan(end), POSITION_S, PAD_S)
    begin, stop = start - pad, np.where(np.isnan(end), start, end) + pad
    first, last = detections["start_s"].to_numpy(float), detections["end_s"].to_numpy(float)
    found = [
        (own[event], calls[call])
        for own, calls in _same_recording(events["recording"], detections["recording"])
        for event, call in _meeting(begin[own], stop[own], first[calls], last[calls])
    ]
    event = np.concatenate([part for part, _ in found] or [np.empty(0, int)])
    call = np.concatenate([part for _, part in found] or [np.empty(0, int)])
    near = (first[call] < stop[event]) & (last[call] > begin[event])
    if frequency:
        low, high = events["low_hz"].to_numpy(float)[event], events["high_hz"].to_numpy(float)[event]
        bottom, top = detections["low_hz"].to_numpy(float)[call], detections["high_hz"].to_numpy(float)[call]
        near &= ~((low > top) | (high < bottom))
    event, call = event[near], call[near]
    order = np.lexsort((call, event))
    return Pairs(event[order], call[order])


def _same_recording(events: pd.Series, detections: pd.Series) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions of the events and of the detections of every recording that has both."""
    own, calls = (table.groupby(table.to_numpy()).indices for table in (events, detections))
    return [(own[name], calls[name]) for name in own.keys() & calls.keys()]


def _meeting(
    begin: np.ndarray, stop: np.ndarray, first: np.ndarray, last: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of intervals of which one begins in the other: each pair that overlaps, once."""
    return [_beginning_in(begin, stop, first, "left"), _beginning_in(first, last, begin, "right")[::-1]]


def _beginning_in(begin: np.ndarray, stop: np.ndarray, points: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of an interval and a point in it; ``side`` says whether a point at the very begin counts."""
    order = np.argsort(points, kind="stable")
    low = np.searchsorted(points[order], begin, side)  # type: ignore[call-overload]
    count = np.maximum(np.searchsorted(points[order], stop, "left") - low, 0)
    count[np.isnan(begin)] = 0
    interval = np.repeat(np.arange(len(begin)), count)
    offset = np.arange(len(interval)) - np.repeat(count.cumsum() - count, count)
    return interval, order[low[interval] + offset]


def time_iou(events: pd.DataFrame, detections: pd.DataFrame, pairs: Pairs) -> np.ndarray:
    """Intersection over union in time of each pair; 0 where an end is not known.

    Examples
    --------
    >>> events = pd.DataFrame({"start_s": [0.0], "end_s": [2.0]})
    >>> calls = pd.DataFrame({"start_s": [1.0], "end_s": [4.0]})
    >>> time_iou(events, calls, Pairs(np.array([0]), np.array([0]))).tolist()
    [0.25]
    """
    start, end = (events[name].to_numpy(float)[pairs.event] for name in ("start_s", "end_s"))
    first, last = (detections[name].to_numpy(float)[pairs.detection] for name in ("start_s", "end_s"))
    both = np.maximum(np.minimum(end, last) - np.maximum(start, first), 0)
    either = np.maximum(end, last) - np.minimum(start, first)
    # what has no length at all is itself: two points at one place are the same
    share = np.where(either == 0, 1.0, both / np.where(either == 0, 1.0, either))
    return np.nan_to_num(share, nan=0.0)


def one_to_one(pairs: Pairs, iou: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Positions in ``pairs`` of those matched one to one, greedily by score.

    The detection of the highest score takes the free event that it overlaps most, then the next detection, and so on.

    Parameters
    ----------
    pairs
        Candidates; those below :data:`MIN_IOU` are passed over.
    iou
        Of each pair.
    score
        Of each pair's detection.

    Examples
    --------
    >>> pairs = Pairs(np.array([0, 0, 1]), np.array([0, 1, 1]))
    >>> one_to_one(pairs, np.array([0.9, 0.5, 0.4]), np.array([0.8, 0.9, 0.9])).tolist()
    [1]
    """
    order = np.lexsort((pairs.event, -iou, pairs.detection, -score))
    order = order[iou[order] >= MIN_IOU]
    events, calls = pairs.event[order].tolist(), pairs.detection[order].tolist()
    taken: set[int] = set()
    used: set[int] = set()
    kept = []
    for at, event, call in zip(order.tolist(), events, calls, strict=True):
        if event not in taken and call not in used:
            taken.add(event)
            used.add(call)
            kept.append(at)
    return np.array(kept, int)


def best_partner(of: np.ndarray, partner: np.ndarray, worth: np.ndarray, size: int) -> np.ndarray:
    """For each of ``size`` things, the partner of the highest worth among its pairs; -1 where there is no pair.

    Examples
    --------
    >>> best_partner(np.array([0, 0, 2]), np.array([5, 6, 7]), np.array([0.1, 0.2, 0.3]), 3).tolist()
    [6, -1, 7]
    """
    order = np.lexsort((partner, -worth, of))
    own, first = np.unique(of[order], return_index=True)
    best = np.full(size, -1)
    best[own] = partner[order][first]
    return best


def is_in(positions: np.ndarray, size: int) -> np.ndarray:
    """Which of ``size`` things are among some positions."""
    there = np.zeros(size, bool)
    there[positions] = True
    return there
