import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from batpam.models.files import Taxon
from batpam.training.evaluation import metrics
from batpam.training.evaluation.metrics import Ranking

ONE = np.ones((1, 1))


def ranking(scores, right, missed=0):
    scores, right = np.array(scores, float), np.array(right, bool)
    found = np.concatenate([scores[right], np.zeros(missed)])
    return Ranking(scores, right, np.zeros(len(scores), int), found, np.zeros(len(found), int))


def curve_of(rank):
    return metrics.curve(rank, rank.scores, ONE)


def test_average_precision_by_hand():
    # recall goes 1/4, 1/4, 2/4, 2/4, 3/4 at precision 1, 1/2, 2/3, 1/2, 3/5; one of four events is never found
    rank = ranking([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1], missed=1)
    assert metrics.average_precision(curve_of(rank))[0] == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)


def test_average_precision_is_interpolated():
    # precision 1/2 at the first event is lifted to the 2/3 that is reached later
    rank = ranking([0.9, 0.8, 0.7], [0, 1, 1])
    assert metrics.average_precision(curve_of(rank))[0] == pytest.approx(2 / 3)


def test_equal_scores_count_together():
    rank, turned = ranking([0.5, 0.5], [1, 0]), ranking([0.5, 0.5], [0, 1])
    assert metrics.average_precision(curve_of(rank))[0] == metrics.average_precision(curve_of(turned))[0] == 0.5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 99), st.booleans()), min_size=1, max_size=40))
def test_interpolation_never_lowers_average_precision(claims):
    scores, right = (np.array(part) for part in zip(*claims, strict=True))
    if right.any():
        plain = average_precision_score(right, scores / 100)
        assert metrics.average_precision(curve_of(ranking(scores / 100, right)))[0] >= plain - 1e-12


def test_operating_points_by_hand():
    rank = ranking([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1], missed=1)
    counts = curve_of(rank)
    recall, at = metrics.at_precision(counts)
    assert (recall[0], rank.scores[at[0]]) == (0.5, 0.8)
    f1, at = metrics.best_f1(counts)
    assert (f1[0], rank.scores[at[0]]) == (pytest.approx(0.75), 0.6)


def test_precision_that_is_never_reached():
    recall, at = metrics.at_precision(curve_of(ranking([0.9, 0.8], [0, 1])))
    assert (recall[0], at[0]) == (0.0, -1)


def test_nothing_claimed_and_nothing_there():
    nothing = curve_of(ranking([], [], missed=2))
    assert metrics.average_precision(nothing)[0] == 0
    assert metrics.at_precision(nothing)[0][0] == metrics.best_f1(nothing)[0][0] == 0
    nobody = curve_of(ranking([0.5], [0]))
    for values in (metrics.average_precision(nobody), metrics.at_precision(nobody)[0], metrics.best_f1(nobody)[0]):
        assert np.isnan(values[0])


def test_draws_are_seeded_and_keep_each_kind():
    kinds = np.array([0, 1, 0, 2, 1, 0])
    weights = metrics.draws(kinds, 50, seed=3)
    assert (weights == metrics.draws(kinds, 50, seed=3)).all()
    assert (weights != metrics.draws(kinds, 50, seed=4)).any()
    for kind, number in ((0, 3), (1, 2), (2, 1)):
        assert (weights[kinds == kind].sum(axis=0) == number).all()


def test_an_interval_is_that_of_drawing_recordings():
    # 2 of 4 right in one recording, none of 4 in the other: draws give 1/2, 1/4, 1/4 or 0
    weights = metrics.draws(np.zeros(2, int), 4000, seed=1)
    recording, value = np.repeat([0, 1], 4), np.array([1, 1, 0, 0, 0, 0, 0, 0])
    row = metrics.shares(weights, recording, np.zeros(8, int), 1, value).iloc[0]
    assert (row["share"], row["low"], row["high"], row["recordings"]) == (0.25, 0.0, 0.5, 2)


def test_intervals_of_calls_that_are_alike_are_wide():
    rng = np.random.default_rng(0)
    weights = metrics.draws(np.zeros(30, int), 500, seed=1)
    recording, cell = np.repeat(np.arange(30), 100), np.zeros(3000, int)
    alike, free = np.repeat(rng.random(30) < 0.5, 100), rng.random(3000) < 0.5
    widths = [
        (row["high"] - row["low"]).item()
        for row in (metrics.shares(weights, recording, cell, 1, v) for v in (alike, free))
    ]
    assert widths[0] > 4 * widths[1]


def test_steps_follow_many_scores_closely():
    rng = np.random.default_rng(1)
    right = rng.random(5000) < 0.6
    rank = ranking(np.clip(np.where(right, rng.beta(4, 2, 5000), rng.beta(2, 4, 5000)), 0.02, 1), right, missed=100)
    steps = metrics.steps(rank, (0.3, 0.7))
    assert {0.3, 0.7} <= set(steps) and len(steps) < metrics.MOST_SCORES
    exact, coarse = (
        metrics.average_precision(curve_of(rank)),
        metrics.average_precision(metrics.curve(rank, steps, ONE)),
    )
    assert coarse[0] == pytest.approx(exact[0], abs=0.005)


def test_calibration_by_hand():
    score, right = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, True, True, True])
    table = metrics.calibration(np.ones((1, 3), np.float32), np.zeros(4, int), score, right)
    assert table["number"].tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (table["share"].iloc[0], table["share"].iloc[-1]) == (0.5, 1.0)
    assert table.attrs["ece"]["value"] == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert table.attrs["brier"]["value"] == pytest.approx((0.05**2 + 3 * 0.0025 + 0.95**2 - 0.0025) / 4)


def test_a_score_of_1_is_in_the_last_bin():
    table = metrics.calibration(ONE, np.zeros(1, int), np.ones(1), np.ones(1, bool))
    assert table["number"].iloc[-1] == 1 and table.attrs["ece"]["value"] == 0


def test_presence_is_that_of_scikit_learn_and_resamples_agree():
    rng = np.random.default_rng(2)
    there = rng.random(60) < 0.4
    score = np.round(np.clip(there * 0.3 + rng.random(60) * 0.7, 0.02, 1), 2)
    once = np.ones((60, 3), np.float32)
    found = metrics.presence(once, np.arange(60), score, there)
    for name, value in (("roc_auc", roc_auc_score), ("average_precision", average_precision_score)):
        assert found[name]["value"] == pytest.approx(value(there, score))
        assert found[name]["low"] == pytest.approx(found[name]["value"], abs=1e-5)
    alone = metrics.presence(once, np.arange(60), score, np.ones(60, bool))
    assert np.isnan(alone["roc_auc"]["value"]) and np.isnan(alone["average_precision"]["low"])


def test_tree_of_a_group_that_has_the_name_of_its_species():
    tree = metrics.taxon_tree([Taxon("Bbar", "Barbastella", "", "Barbastella", "Vespertilionidae")])
    assert tree.lineage["Barbastella"] == ("Barbastella", "Vespertilionidae", "Chiroptera")
    assert (tree.rank["Barbastella"], tree.group["Barbastella"]) == ("species", "Barbastella")
    assert tree.nodes == ["Chiroptera", "Barbastella"]


def test_tree():
    tree = metrics.taxon_tree(
        [Taxon("Mmyo", "Myotis myotis", "", "Myotis", "V"), Taxon("Mnat", "Myotis nattereri", "", "Myotis", "V")]
    )
    assert tree.members["Myotis"] == tree.members["Chiroptera"] == (0, 1)
    assert tree.covers("Myotis", "Myotis nattereri") and tree.covers("Myotis", "Myotis")
    assert not tree.covers("Myotis nattereri", "Myotis") and not tree.covers("Myotis", "insect")
    assert tree.above("Myotis nattereri", "Myotis") and not tree.above("Myotis", "Myotis")
