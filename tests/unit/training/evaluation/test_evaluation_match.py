import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from batpam.training.evaluation.match import (
    PAD_S,
    POSITION_S,
    Pairs,
    best_partner,
    is_in,
    one_to_one,
    overlapping,
    time_iou,
)


def table(rows: list[tuple[int, float, float]], **more: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["recording", "start_s", "end_s"]).astype({"start_s": float, "end_s": float})
    return frame.astype({"recording": int}).assign(**more)


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.event.tolist(), pairs.detection.tolist(), strict=True))


intervals = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 12)).map(
        lambda row: (row[0], row[1] / 1000, (row[1] + row[2]) / 1000)
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(intervals, intervals, st.data())
def test_pairs_are_those_of_the_plain_rule(events, calls, data):
    start_only = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    events = [(r, a, np.nan if alone else b) for (r, a, b), alone in zip(events, start_only, strict=True)]
    wanted = set()
    for i, (r, a, b) in enumerate(events):
        begin, stop = (a - POSITION_S, a + POSITION_S) if np.isnan(b) else (a - PAD_S, b + PAD_S)
        wanted |= {(i, j) for j, (q, c, d) in enumerate(calls) if q == r and c < stop and d > begin}
    pairs = overlapping(table(events), table(calls))
    assert as_set(pairs) == wanted
    assert len(pairs.event) == len(wanted)


def test_an_event_may_be_5_ms_away_and_no_more():
    events = table([(0, 0.100, 0.110)])
    assert len(overlapping(events, table([(0, 0.1149, 0.12)])).event) == 1
    assert len(overlapping(events, table([(0, 0.1151, 0.12)])).event) == 0


def test_a_start_alone_is_covered_to_10_ms():
    events = table([(0, 0.1, np.nan)])
    assert len(overlapping(events, table([(0, 0.1099, 0.12)])).event) == 1
    assert len(overlapping(events, table([(0, 0.1101, 0.12)])).event) == 0
    assert len(overlapping(events, table([(0, 0.05, 0.5)])).event) == 1


def test_frequency_counts_only_when_asked_for_and_known():
    events = table([(0, 0.1, 0.11)], low_hz=[40e3], high_hz=[50e3])
    calls = table([(0, 0.1, 0.11)] * 3, low_hz=[60e3, 45e3, np.nan], high_hz=[70e3, 90e3, np.nan])
    assert as_set(overlapping(events, calls)) == {(0, 0), (0, 1), (0, 2)}
    assert as_set(overlapping(events, calls, frequency=True)) == {(0, 1), (0, 2)}


def test_an_event_that_ends_before_it_starts_is_no_error():
    assert len(overlapping(table([(0, 5.0, 1.0)]), table([(0, 2.0, 2.1)])).event) == 0


def test_iou():
    events, calls = table([(0, 0.0, 0.010), (0, 0.0, np.nan)]), table([(0, 0.005, 0.015), (0, 0.2, 0.3)])
    pairs = Pairs(np.array([0, 0, 1]), np.array([0, 1, 0]))
    np.testing.assert_allclose(time_iou(events, calls, pairs), [1 / 3, 0, 0])


def test_the_surer_detection_takes_the_event_and_the_other_takes_another():
    pairs = Pairs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    iou, score = np.array([0.9, 0.8, 0.5, 0.6]), np.array([0.7, 0.9, 0.7, 0.9])
    kept = one_to_one(pairs, iou, score)
    assert {(int(pairs.event[k]), int(pairs.detection[k])) for k in kept} == {(0, 1), (1, 0)}


def test_less_than_the_least_iou_is_no_match():
    assert len(one_to_one(Pairs(np.array([0]), np.array([0])), np.array([0.29]), np.array([1.0]))) == 0
    assert len(one_to_one(Pairs(np.array([0]), np.array([0])), np.array([0.30]), np.array([1.0]))) == 1


def test_partners_of_nobody():
    nobody = np.empty(0, int)
    assert best_partner(nobody, nobody, np.empty(0), 2).tolist() == [-1, -1]
    assert is_in(nobody, 2).tolist() == [False, False]
