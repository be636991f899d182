"""Passes: the same whatever files the recordings were cut into, and exactly as the rule says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.activity.names import nodes_of
from batpam.activity.passes import find_passes, join_calls
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT, RANKS
from batpam.tables import PASSES

EVENING = pd.Timestamp("2024-06-01T21:00:00Z")
FILE_INDEPENDENT = [name for name in PASSES.names if name not in ("files", "best_path", "best_start_s", "best_file_s")]
TAXA = (
    Taxon("Ppip", "Ppip", "", "Pip", "Vesper"),
    Taxon("Ppyg", "Ppyg", "", "Pip", "Vesper"),
    Taxon("Nnoc", "Nnoc", "", "Noc", "Vesper"),
    Taxon("Eser", "Eser", "", "Noc", "Vesper"),
    Taxon("Rfer", "Rfer", "", "Rhino", "Rhino"),
    Taxon("Rhip", "Rhip", "", "Rhino", "Rhino"),
)
NODES = {node.name: node for node in nodes_of(TAXA)}


@dataclass(frozen=True)
class Heard:
    """A call: microseconds since the evening began, its taxon, its score."""

    at: int
    taxon: str = "Ppip"
    score: float = 0.5
    duration: int = 5000
    kind: str = "echolocation"


def _calls(heard: list[Heard], cuts: tuple[int, ...] = (), **same: Any) -> pd.DataFrame:
    """Calls as the stages before give them, in recordings that begin at the evening and at each cut (in microseconds)."""
    begins = [0, *sorted(cuts)]
    rows = []
    for call in heard:
        file = max(number for number, begin in enumerate(begins) if begin <= call.at)
        start = (call.at - begins[file]) / 1e6
        rows.append(
            {
                "site": "orchard", "recorder": "1", "night": "2024-06-01", "recording": f"r{file}", "path": f"{file}.wav",
                "start_s": start, "end_s": start + call.duration / 1e6,
                "start_utc": EVENING + pd.Timedelta(call.at, "us"), "peak_hz": 45_000.0 + call.at % 1000,
                "det_score": call.score, "call_type": call.kind, "taxon": call.taxon, "group": NODES[call.taxon].group,
                "rank": NODES[call.taxon].rank, "joined": False, "time_expansion": 1.0,
            } | same
        )  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["start_utc"] = pd.Series(columns["start_utc"], dtype="datetime64[us, UTC]")
    return pd.DataFrame(columns)


def _summary(passes: pd.DataFrame) -> list[tuple[Any, ...]]:
    return sorted(zip(passes["taxon"], passes["start_utc"], passes["calls"], strict=True))


HEARD = st.lists(
    st.builds(
        Heard,
        # on a grid of 50 ms, so that gaps of exactly the limit come up
        st.integers(0, 400).map(lambda steps: steps * 50_000),
        st.sampled_from(["Ppip", "Nnoc"]),
        st.floats(0.1, 1),
        st.integers(1000, 60_000),
    ),
    min_size=1,
    max_size=30,
)


@given(HEARD, st.lists(st.integers(1, 20_000_000), max_size=6), st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, 3))
def test_recordings_may_be_cut_anywhere(heard: list[Heard], cuts: list[int], gap: float, min_calls: int) -> None:
    one = find_passes(_calls(heard), gap=gap, min_calls=min_calls)
    many = find_passes(_calls(heard, tuple(cuts)), gap=gap, min_calls=min_calls)
    pd.testing.assert_frame_equal(one[FILE_INDEPENDENT], many[FILE_INDEPENDENT], rtol=0, atol=1e-6)
    assert (many["files"] >= one["files"]).all()


@given(HEARD, st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, 4))
def test_passes_are_what_the_rule_says(heard: list[Heard], gap: float, min_calls: int) -> None:
    wanted = []
    for taxon in ("Ppip", "Nnoc"):
        runs: list[list[int]] = []
        for at in sorted(call.at for call in heard if call.taxon == taxon):
            if runs and at - runs[-1][-1] <= gap * 1e6:
                runs[-1].append(at)
            else:
                runs.append([at])
        wanted += [(taxon, EVENING + pd.Timedelta(run[0], "us"), len(run)) for run in runs if len(run) >= min_calls]
    passes = find_passes(_calls(heard), gap=gap, min_calls=min_calls)
    assert _summary(passes) == sorted(wanted)
    assert list(passes.columns) == PASSES.names


@given(HEARD, st.randoms(use_true_random=False))
def test_order_of_the_rows_is_no_matter(heard: list[Heard], random: Any) -> None:
    table = _calls(heard, (5_000_000,))
    order = list(range(len(table)))
    random.shuffle(order)
    passes = find_passes(table, gap=1.0, min_calls=1)
    shuffled = find_passes(table.iloc[order], gap=1.0, min_calls=1)
    pd.testing.assert_frame_equal(passes[FILE_INDEPENDENT], shuffled[FILE_INDEPENDENT], rtol=0, atol=1e-9)
    assert passes["files"].tolist() == shuffled["files"].tolist()


@pytest.mark.parametrize("gap", [0.1, 0.3, 0.7, 1.0, 1.5, 60.0])
def test_gap_itself_is_still_one_pass_and_more_is_not(gap: float) -> None:
    # wherever in a second the calls are
    for at in range(0, 1_000_000, 19_937):
        same = _calls([Heard(at), Heard(at + round(gap * 1e6))])
        assert find_passes(same, gap=gap, min_calls=1)["calls"].tolist() == [2], at
        apart = _calls([Heard(at), Heard(at + round(gap * 1e6) + 2)])
        assert find_passes(apart, gap=gap, min_calls=1)["calls"].tolist() == [1, 1], at


def test_gap_counts_from_start_to_start() -> None:
    long = [Heard(0, duration=900_000), Heard(1_000_001)]
    assert find_passes(_calls(long), gap=1.0, min_calls=1)["calls"].tolist() == [1, 1]


@pytest.mark.parametrize(("min_calls", "passes"), [(1, [3, 1, 2]), (2, [3, 2]), (3, [3]), (4, [])])
def test_fewest_calls(min_calls: int, passes: list[int]) -> None:
    heard = [Heard(second * 1_000_000) for second in (0, 1, 2, 10, 20, 21)]
    assert find_passes(_calls(heard), gap=1.0, min_calls=min_calls)["calls"].tolist() == passes


@pytest.mark.parametrize("column", ["site", "recorder", "taxon"])
def test_calls_of_another_taxon_recorder_or_site_are_another_pass(column: str) -> None:
    heard = [Heard(200_000), Heard(700_000)]
    both = pd.concat([_calls([Heard(0), Heard(500_000)]), _calls(heard, **{column: "Nnoc"})])
    passes = find_passes(join_calls(both, TAXA, gap=1.0), gap=1.0, min_calls=1)
    assert passes["calls"].tolist() == [2, 2]
    assert passes[column].nunique() == 2


def test_pass_says_where_and_what_it_is() -> None:
    heard = [
        Heard(0, score=0.4), Heard(800_000, score=0.9, kind="buzz"), Heard(1_500_000, score=0.5, duration=20_000),
        Heard(1_510_000, "Pip", score=1.0, kind="social"),
    ]  # fmt: skip
    calls = join_calls(_calls(heard, (600_000,), time_expansion=10.0), TAXA, gap=1.0)
    (found,) = find_passes(calls, gap=1.0, min_calls=2).to_dict("records")
    # the call that is offered for checking is the best that has the name, not the best of all
    assert found == {
        "site": "orchard", "recorder": "1", "night": "2024-06-01", "taxon": "Ppip", "group": "Pip", "rank": "species",
        "start_utc": EVENING, "duration_s": pytest.approx(1.52), "calls": 4, "named_calls": 3, "buzz_calls": 1,
        "social_calls": 1, "files": 2, "mean_peak_hz": 45_000.0, "mean_score": pytest.approx(0.7), "best_path": "1.wav",
        "best_start_s": pytest.approx(0.2), "best_file_s": pytest.approx(2.0),
    }  # fmt: skip


def test_pass_ends_with_the_call_that_ends_last() -> None:
    (found,) = find_passes(_calls([Heard(0, duration=900_000), Heard(100_000)]), gap=1.0, min_calls=1).to_dict(
        "records"
    )
    assert found["duration_s"] == pytest.approx(0.9)


def test_pass_across_midnight_and_the_change_of_the_clocks_is_one() -> None:
    midnight, change = 3 * 3600 * 1_000_000, pd.Timestamp("2024-10-27T01:00:00Z")
    assert len(find_passes(_calls([Heard(midnight - 400_000), Heard(midnight + 400_000)]), gap=1.0, min_calls=2)) == 1
    table = _calls([Heard(0), Heard(1)])
    table["start_utc"] = pd.Series([change - pd.Timedelta("0.4s"), change + pd.Timedelta("0.4s")]).dt.as_unit("us")
    assert len(find_passes(table, gap=1.0, min_calls=2)) == 1


def test_recordings_without_a_time_are_each_a_time_of_their_own() -> None:
    # the same seconds of two recordings, and of one that has a time
    heard = [Heard(0), Heard(400_000)]
    undated = [_calls(heard, recording=name, path=f"{name}.wav", night=None) for name in ("u", "v")]
    for table in undated:
        table["start_utc"] = pd.NaT
    tables = pd.concat([*undated, _calls(heard)], ignore_index=True)
    tables["start_utc"] = tables["start_utc"].astype("datetime64[us, UTC]")
    passes = find_passes(tables, gap=1.0, min_calls=2)
    assert sorted(passes["best_path"]) == ["0.wav", "u.wav", "v.wav"]
    assert passes["calls"].tolist() == [2, 2, 2]
    assert passes["start_utc"].isna().sum() == passes["night"].isna().sum() == 2
    assert passes["duration_s"].tolist() == pytest.approx([0.405] * 3)


def test_gap_holds_within_a_recording_without_a_time() -> None:
    table = _calls([Heard(0), Heard(1_000_000), Heard(2_100_000)], night=None)
    table["start_utc"] = pd.Series([pd.NaT] * 3, dtype="datetime64[us, UTC]")
    assert sorted(find_passes(table, gap=1.0, min_calls=1)["calls"]) == [1, 2]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_unit_that_times_are_held_in_is_no_matter(unit: str) -> None:
    table = _calls([Heard(0), Heard(900_000), Heard(2_000_000)])
    table["start_utc"] = table["start_utc"].dt.as_unit(unit)
    assert find_passes(table, gap=1.0, min_calls=1)["calls"].tolist() == [2, 1]


def test_no_calls_make_no_pass() -> None:
    passes = find_passes(_calls([Heard(0)])[:0], gap=1.0, min_calls=1)
    assert (len(passes), list(passes.columns)) == (0, PASSES.names)


def test_night_is_that_of_the_recording_of_the_first_call() -> None:
    noon = datetime(2024, 6, 2, 11)
    table = _calls([Heard(0), Heard(500_000)])
    table["start_utc"] = pd.Series([noon, noon + pd.Timedelta("0.5s")]).dt.tz_localize("UTC").dt.as_unit("us")
    table["night"] = ["2024-06-01", "2024-06-02"]
    assert find_passes(table, gap=1.0, min_calls=2)["night"].tolist() == ["2024-06-01"]


# calls that are named to little


def _counted(heard: list[Heard], gap: float = 1.0, cuts: tuple[int, ...] = ()) -> list[str]:
    """Taxon that each call counts under."""
    return join_calls(_calls(heard, cuts), TAXA, gap=gap)["taxon"].tolist()


def _at(*calls: tuple[float, str]) -> list[Heard]:
    """Calls at so many seconds."""
    return [Heard(round(second * 1e6), taxon) for second, taxon in calls]


@pytest.mark.parametrize("unclear", ["Pip", "Vesper", ANY_BAT])
def test_bat_whose_calls_are_partly_unclear_is_one_pass(unclear: str) -> None:
    heard = _at((0, unclear), (0.5, "Ppip"), (1.2, unclear), (2.2, "Ppip"), (3.1, unclear))
    assert _counted(heard) == ["Ppip"] * 5
    passes = find_passes(join_calls(_calls(heard), TAXA, gap=1.0), gap=1.0, min_calls=2)
    # the clear calls alone would be two, of one call each
    assert passes[["taxon", "calls", "named_calls"]].to_numpy().tolist() == [["Ppip", 5, 2]]


def test_two_species_at_once_are_two_passes() -> None:
    heard = _at((0, "Ppip"), (0.1, "Nnoc"), (0.4, "Ppip"), (0.6, "Nnoc"), (0.8, "Ppip"), (1, "Nnoc"))
    heard += _at((0.2, "Pip"), (0.3, "Noc"))
    passes = find_passes(join_calls(_calls(heard), TAXA, gap=1.0), gap=1.0, min_calls=2)
    assert passes[["taxon", "calls"]].to_numpy().tolist() == [["Nnoc", 4], ["Ppip", 4]]


@pytest.mark.parametrize(
    ("unclear", "near", "counted"),
    [
        ("Pip", "Ppyg", "Ppyg"),
        ("Pip", "Nnoc", "Pip"),
        ("Vesper", "Noc", "Noc"),
        ("Vesper", "Rfer", "Vesper"),
        ("Vesper", "Rhino", "Vesper"),
        ("Rhino", "Rhip", "Rhip"),
        (ANY_BAT, "Rhino", "Rhino"),
        (ANY_BAT, "Vesper", "Vesper"),
        ("Pip", "Vesper", "Pip"),
    ],
)
def test_call_joins_only_what_it_may_be(unclear: str, near: str, counted: str) -> None:
    joined = _counted(_at((0, unclear), (0.2, near)))
    assert joined[0] == counted
    # what is named to less joins the other way round
    assert joined[1] == (unclear if (unclear, near) == ("Pip", "Vesper") else near)


@pytest.mark.parametrize(
    ("before", "after", "counted"), [(0.3, 0.4, "Ppyg"), (0.4, 0.3, "Ppip"), (0.4, 0.4, "Ppip"), (0, 0.3, "Ppyg")]
)
def test_of_several_the_nearest_counts_and_of_equals_the_first_by_name(
    before: float, after: float, counted: str
) -> None:
    assert _counted(_at((1 - before, "Ppyg"), (1, "Pip"), (1 + after, "Ppip")))[1] == counted
    assert _counted(_at((1 - before, "Ppyg"), (1 - before, "Ppip"), (1, "Pip")))[2] == "Ppip"
    assert _counted(_at((1 + after, "Ppyg"), (1 + after, "Ppip"), (1, "Pip")))[2] == "Ppip"


def test_call_is_reached_over_others_like_it_and_not_over_a_gap() -> None:
    heard = _at((0, "Ppip"), *((0.9 * n, "Pip") for n in range(1, 20)))
    assert _counted(heard) == ["Ppip"] * 20
    del heard[7]
    assert _counted(heard) == ["Ppip"] * 7 + ["Pip"] * 12


def test_call_is_reached_over_one_that_joined() -> None:
    # nothing but the unclear call in the middle is within the gap of both
    assert _counted(_at((0, "Ppip"), (0.9, ANY_BAT), (1.8, "Pip"))) == ["Ppip"] * 3
    assert _counted(_at((0, "Ppip"), (0.9, ANY_BAT), (1.8, "Pip"), (2.7, ANY_BAT), (3.6, "Vesper"))) == ["Ppip"] * 5


@pytest.mark.parametrize("column", ["site", "recorder"])
def test_calls_join_none_of_another_recorder(column: str) -> None:
    both = pd.concat([_calls([Heard(0)]), _calls([Heard(100_000, "Pip")], **{column: "other"})])
    assert join_calls(both, TAXA, gap=1.0)["taxon"].tolist() == ["Ppip", "Pip"]


def test_calls_join_none_of_another_recording_without_a_time() -> None:
    tables = [_calls([Heard(0, taxon)], recording=name) for name, taxon in (("u", "Ppip"), ("v", "Pip"), ("u", "Pip"))]
    calls = pd.concat(tables, ignore_index=True)
    calls["start_utc"] = pd.Series([pd.NaT] * 3, dtype="datetime64[us, UTC]")
    assert join_calls(calls, TAXA, gap=1.0)["taxon"].tolist() == ["Ppip", "Pip", "Ppip"]


def test_nothing_joins_where_there_is_nothing() -> None:
    joined = join_calls(_calls([Heard(0)])[:0], TAXA, gap=1.0)
    assert len(joined) == 0
    assert joined.columns.is_unique


MIXED = st.lists(
    st.builds(Heard, st.integers(0, 100).map(lambda steps: steps * 100_000), st.sampled_from(sorted(NODES))),
    min_size=1,
    max_size=25,
)


def _contains(high: str, low: str) -> bool:
    return (
        RANKS.index(NODES[high].rank) > RANKS.index(NODES[low].rank)
        and {*NODES[high].classes} >= {*NODES[low].classes}
    )  # fmt: skip


@given(MIXED, st.sampled_from([0.1, 0.5, 1.0]))
def test_calls_count_under_what_they_may_be_and_no_two_passes_could_be_one(heard: list[Heard], gap: float) -> None:
    counted = _counted(heard, gap)
    for call, taxon in zip(heard, counted, strict=True):
        assert taxon == call.taxon or _contains(call.taxon, taxon)
    for one, high in zip(heard, counted, strict=True):
        for other, low in zip(heard, counted, strict=True):
            assert not (_contains(high, low) and abs(one.at - other.at) <= gap * 1e6)


@given(MIXED, st.sampled_from([0.1, 0.5, 1.0]))
def test_joined_calls_are_in_one_stretch_with_a_call_of_that_name(heard: list[Heard], gap: float) -> None:
    joined = join_calls(_calls(heard), TAXA, gap=gap)
    passes = find_passes(joined, gap=gap, min_calls=1)
    assert (passes["named_calls"] >= 1).all()
    assert passes["calls"].sum() == len(heard)
    assert passes["named_calls"].sum() == (~joined["joined"]).sum()


@given(MIXED, st.lists(st.integers(1, 10_000_000), max_size=6), st.randoms(use_true_random=False))
def test_joining_depends_neither_on_files_nor_on_the_order_of_rows(
    heard: list[Heard], cuts: list[int], random: Any
) -> None:
    whole = _counted(heard)
    assert _counted(heard, cuts=tuple(cuts)) == whole
    order = list(range(len(heard)))
    random.shuffle(order)
    assert _counted([heard[at] for at in order]) == [whole[at] for at in order]
