"""Names: the lowest node of the tree that is likely enough, and settings that name its nodes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.activity.names import name_calls, needed_scores, nodes_of
from batpam.errors import UserError
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT, RANKS

VESPERS, BENT_WINGS, FREE_TAILS = "Vespertilionidae", "Miniopteridae", "Molossidae"
TAXA = (
    Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus", VESPERS),
    Taxon("Ppyg", "Pipistrellus pygmaeus", "Soprano pipistrelle", "Pipistrellus", VESPERS),
    Taxon("Nnoc", "Nyctalus noctula", "Noctule", "Nyctaloid", VESPERS),
    Taxon("Eser", "Eptesicus serotinus", "Serotine", "Nyctaloid", VESPERS),
    Taxon("Msch", "Miniopterus schreibersii", "Schreibers' bat", "Miniopterus", BENT_WINGS),
)
PIP, NOCTULE, SEROTINE, BENT_WING = (TAXA[at].species for at in (0, 2, 3, 4))


def _scored(*scores: tuple[float, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        np.array(scores, float).reshape(-1, len(TAXA)), columns=[f"score_{taxon.code}" for taxon in TAXA]
    )


def _name(*scores: float, **thresholds: float) -> list[str]:
    named = name_calls(_scored(scores), TAXA, min_taxon_score=0.5, thresholds=thresholds)
    return [named.at[0, column] for column in ("taxon", "group", "rank")]


@pytest.mark.parametrize(
    ("scores", "named"),
    [
        ((0.9, 0.1, 0.0, 0.0, 0.0), [PIP, "Pipistrellus", "species"]),
        ((0.5, 0.3, 0.2, 0.0, 0.0), [PIP, "Pipistrellus", "species"]),
        ((0.0, 0.0, 0.1, 0.9, 0.0), [SEROTINE, "Nyctaloid", "species"]),
        ((0.4, 0.4, 0.1, 0.1, 0.0), ["Pipistrellus", "Pipistrellus", "group"]),
        ((0.1, 0.1, 0.3, 0.3, 0.2), ["Nyctaloid", "Nyctaloid", "group"]),
        # the group by its sum, though the likeliest species is of another
        ((0.49, 0.0, 0.26, 0.25, 0.0), ["Nyctaloid", "Nyctaloid", "group"]),
        ((0.2, 0.2, 0.1, 0.1, 0.4), [VESPERS, VESPERS, "family"]),
        # of the rest it is not sure that it is a bat at all
        ((0.1, 0.1, 0.1, 0.1, 0.4), [ANY_BAT, ANY_BAT, "order"]),
        ((0.0, 0.0, 0.0, 0.0, 0.0), [ANY_BAT, ANY_BAT, "order"]),
        # a group and a family of one species say no more than the species
        ((0.0, 0.0, 0.1, 0.0, 0.6), [BENT_WING, "Miniopterus", "species"]),
    ],
)
def test_call_is_named_as_far_as_it_is_sure(scores: tuple[float, ...], named: list[str]) -> None:
    assert _name(*scores) == named


@given(st.lists(st.tuples(*[st.floats(0, 0.2)] * 5), max_size=10), st.floats(0.01, 1))
def test_every_call_has_one_name_and_stays(scores: list[tuple[float, ...]], sure: float) -> None:
    table = _scored(*scores)
    named = name_calls(table, TAXA, min_taxon_score=sure, thresholds={})
    pd.testing.assert_frame_equal(named[table.columns], table)
    nodes = {node.name: node for node in nodes_of(TAXA)}
    for row in named.to_dict("records"):
        likely = {name: sum(row[f"score_{TAXA[at].code}"] for at in node.classes) for name, node in nodes.items()}
        enough = [node for node in nodes.values() if likely[node.name] >= sure or node.name == ANY_BAT]
        lowest = min(RANKS.index(node.rank) for node in enough)
        best = max(likely[node.name] for node in enough if RANKS.index(node.rank) == lowest)
        assert (RANKS.index(row["rank"]), likely[row["taxon"]]) == (lowest, best)


def test_name_of_a_call_does_not_depend_on_the_others() -> None:
    scores = np.random.default_rng(1).dirichlet(np.full(5, 0.3), 300).astype(np.float32)
    table = _scored(*scores)
    table = pd.concat([table] * 7, ignore_index=True)
    thresholds = {"Nyctaloid": float(scores[0, 2] + scores[0, 3]), VESPERS: float(scores[1, :4].sum(dtype=np.float64))}
    whole = name_calls(table, TAXA, min_taxon_score=0.5, thresholds=thresholds)["taxon"]
    for at in range(0, len(table), 61):
        alone = name_calls(table[at : at + 1], TAXA, min_taxon_score=0.5, thresholds=thresholds)["taxon"]
        assert alone.tolist() == [whole[at]]


def test_calls_of_no_file_can_be_named_too() -> None:
    named = name_calls(_scored(), TAXA, min_taxon_score=0.5, thresholds={})
    assert len(named) == 0
    assert {"taxon", "group", "rank"} <= set(named.columns)


# thresholds


def test_node_with_a_threshold_needs_that() -> None:
    scores = (0.0, 0.0, 0.6, 0.3, 0.0)
    assert _name(*scores) == [NOCTULE, "Nyctaloid", "species"]
    for name in ("Nnoc", NOCTULE):
        assert _name(*scores, **{name: 0.6}) == [NOCTULE, "Nyctaloid", "species"]
        assert _name(*scores, **{name: 0.61}) == ["Nyctaloid", "Nyctaloid", "group"]
    assert _name(*scores, Nnoc=0.7, Nyctaloid=0.95)[2] == "family"
    assert _name(*scores, Nnoc=0.7, Nyctaloid=0.95, Vespertilionidae=1)[2] == "order"
    # and one that needs less is named where another is likelier
    assert _name(0.45, 0.0, 0.4, 0.0, 0.0, Nnoc=0.4)[0] == NOCTULE


@pytest.mark.parametrize("name", ["Msch", BENT_WING, "Miniopterus", BENT_WINGS])
def test_group_and_family_of_one_species_stand_for_it(name: str) -> None:
    assert _name(0.0, 0.0, 0.0, 0.0, 0.7, **{name: 0.8}) == [ANY_BAT, ANY_BAT, "order"]
    assert _name(0.0, 0.0, 0.0, 0.0, 0.8, **{name: 0.8}) == [BENT_WING, "Miniopterus", "species"]


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"Pipistrelus": 0.5}, "'Pipistrelus' is no species.*did you mean 'Pipistrellus'"),
        ({"Nnoc": 0.5, "Nyctalus noctul": 0.5}, "did you mean 'Nyctalus noctula'"),
        ({"zzz": 0.5}, "'zzz' is no species, code, group or family of the model"),
        ({ANY_BAT: 0.5}, "activity.min_score"),
        ({"Msch": 0.5, "Miniopterus": 0.6}, "'Msch' and 'Miniopterus' are the same"),
    ],
)
def test_threshold_that_cannot_be_is_named(thresholds: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        needed_scores(nodes_of(TAXA), 0.5, thresholds)


def test_two_names_of_a_node_may_say_the_same() -> None:
    assert needed_scores(nodes_of(TAXA), 0.5, {"Msch": 0.7, BENT_WINGS: 0.7})[4] == 0.7


# the tree


def _named(taxa: list[Taxon], rank: str) -> dict[str, list[str]]:
    return {node.name: [taxa[at].code for at in node.classes] for node in nodes_of(taxa) if node.rank == rank}


def test_names_of_two_ranks_do_not_clash() -> None:
    taxa = [
        Taxon("A", "a", "", FREE_TAILS, FREE_TAILS), Taxon("B", "b", "", FREE_TAILS, FREE_TAILS),
        Taxon("C", "c", "", "a", FREE_TAILS), Taxon("D", "d", "", "a", FREE_TAILS),
        Taxon("E", "e", "", ANY_BAT, "f"), Taxon("F", "f", "", ANY_BAT, "f"), Taxon("G", "g", "", "g", "f"),
    ]  # fmt: skip
    assert _named(taxa, "species") == {code.lower(): [code] for code in "ABCDEFG"}
    assert _named(taxa, "group") == {FREE_TAILS: ["A", "B"], "a (group)": ["C", "D"], "Chiroptera (group)": ["E", "F"]}
    assert _named(taxa, "family") == {f"{FREE_TAILS} (family)": ["A", "B", "C", "D"], "f (family)": ["E", "F", "G"]}
    assert _named(taxa, "order") == {ANY_BAT: list("ABCDEFG")}
    nodes = nodes_of(taxa)
    needed = dict(zip([node.name for node in nodes], needed_scores(nodes, 0.5, {FREE_TAILS: 0.9}), strict=True))
    assert needed[FREE_TAILS] == needed[f"{FREE_TAILS} (family)"] == 0.9
    needed = dict(zip([node.name for node in nodes], needed_scores(nodes, 0.5, {"a (group)": 0.8}), strict=True))
    assert (needed["a"], needed["a (group)"]) == (0.5, 0.8)


def test_group_across_families_is_part_of_none() -> None:
    taxa = [
        Taxon("LACI", "Lasiurus cinereus", "", "Low", VESPERS),
        Taxon("TABR", "Tadarida brasiliensis", "", "Low", FREE_TAILS),
        Taxon("MYLU", "Myotis lucifugus", "", "Myotis", VESPERS),
    ]
    assert _named(taxa, "group") == {"Low": ["LACI", "TABR"]}
    assert _named(taxa, "family") == {VESPERS: ["LACI", "MYLU"]}


@pytest.mark.parametrize("taxa", [[], [Taxon("A", "A", "A", "A", "A")]])
def test_model_of_no_or_one_species_has_nodes(taxa: list[Taxon]) -> None:
    assert [node.name for node in nodes_of(taxa)] == [*(taxon.species for taxon in taxa), ANY_BAT]


def test_calls_of_a_species_with_two_codes_are_one() -> None:
    taxa: Any = [
        Taxon("Ppip", PIP, "", "P", VESPERS), Taxon("PpipX", PIP, "", "P", VESPERS), Taxon("N", "n", "", "N", VESPERS),
    ]  # fmt: skip
    table = pd.DataFrame([[0.3, 0.3, 0.4]], columns=[f"score_{taxon.code}" for taxon in taxa])
    assert name_calls(table, taxa, min_taxon_score=0.5, thresholds={"PpipX": 0.6})["taxon"].tolist() == [PIP]
