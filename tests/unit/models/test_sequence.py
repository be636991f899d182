"""Calls of a sequence name each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batpam.models.calibration import Calibration
from batpam.models.sequence import SPAN_S, name_in_sequence
from batpam.models.settings import CALL_TYPES

SPECIES = 4
SEARCH, BUZZ, SOCIAL = (CALL_TYPES.index(name) for name in ("echolocation", "buzz", "social"))
TOGETHER = Calibration(same_bat=0.9, sequence_weight=1.0)


def calls(*shares, score=0.9):
    """Probabilities of calls whose species share the score as given."""
    species = np.array(shares, float)
    species *= score / species.sum(axis=1, keepdims=True)
    return np.hstack([species, np.full((len(shares), 2), (1 - score) / 2)]), np.full(len(shares), score)


def test_search_calls_name_the_buzz_behind_them_and_it_names_none():
    classes, score = calls([8, 1, 1, 1], [8, 1, 1, 1], [1, 3, 1, 1], [1, 3, 1, 1], [1, 3, 1, 1])
    time = np.array([0.0, 0.1, 0.15, 0.16, 0.17])
    kinds = np.array([SEARCH, SEARCH, BUZZ, BUZZ, SOCIAL])
    named = name_in_sequence(classes, score, kinds, time, TOGETHER)
    assert named[:, :SPECIES].argmax(axis=1).tolist() == [0] * 5
    alone = name_in_sequence(classes[:2], score[:2], kinds[:2], time[:2], TOGETHER)
    np.testing.assert_allclose(named[:2], alone, rtol=1e-9)


def test_calls_far_apart_are_named_by_themselves():
    classes, score = calls([8, 1, 1, 1], [1, 5, 1, 1])
    named = name_in_sequence(classes, score, np.array([SEARCH, SEARCH]), np.array([0.0, 1.01 * SPAN_S]), TOGETHER)
    np.testing.assert_allclose(named, classes, rtol=1e-9)


def test_a_call_that_is_sure_stays_itself_among_those_of_another_bat():
    classes, score = calls([1e-4, 1, 1e-4, 1e-4], *[[1, 1e-4, 1e-4, 1e-4]] * 6)
    named = name_in_sequence(classes, score, np.full(7, SEARCH), 0.1 * np.arange(7), TOGETHER)
    assert named[0, 1] > 0.8 * score[0]


@given(
    classes=arrays(np.float64, (6, SPECIES + 2), elements=st.floats(0.001, 1.0)),
    time=arrays(np.float64, 6, elements=st.floats(0, 3)),
    kinds=arrays(np.int64, 6, elements=st.integers(0, 2)),
    same=st.floats(0.05, 0.99),
    weight=st.floats(0.0, 2.0),
)
def test_what_is_a_bat_stays_one_and_absent_species_stay_absent(classes, time, kinds, same, weight):
    classes[:, 2] = 0.0
    classes /= classes.sum(axis=1, keepdims=True)
    score = classes[:, :SPECIES].sum(axis=1)
    calibration = Calibration(same_bat=same, sequence_weight=weight, sequence_temperature=1.2)
    named = name_in_sequence(classes, score, kinds, time, calibration)
    assert np.isfinite(named).all() and (named[:, 2] == 0).all()
    np.testing.assert_allclose(named[:, :SPECIES].sum(axis=1), score, rtol=1e-9)
    assert (named[:, SPECIES:] == classes[:, SPECIES:]).all()
    order = np.random.default_rng(0).permutation(6)
    again = name_in_sequence(classes[order], score[order], kinds[order], time[order], calibration)
    np.testing.assert_allclose(again, named[order], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("count", [0, 1])
def test_of_no_or_one_call_nothing_changes(count):
    classes, score = calls([3, 1, 1, 1])
    named = name_in_sequence(classes[:count], score[:count], np.zeros(count, int), np.zeros(count), TOGETHER)
    np.testing.assert_allclose(named, classes[:count], rtol=1e-12)
