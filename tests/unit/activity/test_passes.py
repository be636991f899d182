"""Passes: the same whatever files the recordings were cut into, and exactly as the rule says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.activity.passes import ANY_BAT, find_passes, name_calls
from batpam.models.files import Taxon
from batpam.tables import PASSES

EVENING = pd.Timestamp("2024-06-01T21:00:00Z")
FILE_INDEPENDENT = [name for name in PASSES.names if name not in ("files", "best_path", "best_start_s")]
TAXA = (
    Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus"),
    Taxon("Ppyg", "Pipistrellus pygmaeus", "Soprano pipistrelle", "Pipistrellus"),
    Taxon("Nnoc", "Nyctalus noctula", "Noctule", "Nyctaloid"),
    Taxon("Eser", "Eptesicus serotinus", "Serotine", "Nyctaloid"),
)


@dataclass(frozen=True)
class Heard:
    """A call: microseconds since the evening began, its taxon, its score."""

    at: int
    taxon: str = "Ppip"
    score: float = 0.5
    duration: int = 5000


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
                "det_score": call.score, "taxon": call.taxon, "group": "G" + call.taxon, "rank": "species",
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
    both = pd.concat(
        [_calls([Heard(0), Heard(500_000)]), _calls([Heard(200_000), Heard(700_000)], **{column: "other"})]
    )
    passes = find_passes(both, gap=1.0, min_calls=1)
    assert passes["calls"].tolist() == [2, 2]
    assert passes[column].nunique() == 2


def test_pass_says_where_and_what_it_is() -> None:
    heard = [Heard(0, score=0.4), Heard(800_000, score=0.9), Heard(1_500_000, score=0.5, duration=20_000)]
    (found,) = find_passes(_calls(heard, (600_000,)), gap=1.0, min_calls=2).to_dict("records")
    assert found == {
        "site": "orchard", "recorder": "1", "night": "2024-06-01", "taxon": "Ppip", "group": "GPpip", "rank": "species",
        "start_utc": EVENING, "duration_s": pytest.approx(1.52), "calls": 3, "files": 2, "mean_peak_hz": 45_000.0,
        "mean_score": pytest.approx(0.6), "best_path": "1.wav", "best_start_s": pytest.approx(0.2),
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


# names


def _scored(*scores: tuple[float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(np.array(scores).reshape(-1, 4), columns=[f"score_{taxon.code}" for taxon in TAXA])


@pytest.mark.parametrize(
    ("scores", "taxon", "group", "rank"),
    [
        ((0.9, 0.1, 0.0, 0.0), "Pipistrellus pipistrellus", "Pipistrellus", "species"),
        ((0.5, 0.3, 0.2, 0.0), "Pipistrellus pipistrellus", "Pipistrellus", "species"),
        ((0.0, 0.0, 0.1, 0.9), "Eptesicus serotinus", "Nyctaloid", "species"),
        ((0.4, 0.4, 0.1, 0.1), "Pipistrellus", "Pipistrellus", "group"),
        ((0.1, 0.1, 0.4, 0.4), "Nyctaloid", "Nyctaloid", "group"),
        # the group by its sum, though the likeliest species is of another
        ((0.49, 0.0, 0.26, 0.25), "Nyctaloid", "Nyctaloid", "group"),
        ((0.2, 0.2, 0.2, 0.2), ANY_BAT, ANY_BAT, "order"),
        ((0.0, 0.0, 0.0, 0.0), ANY_BAT, ANY_BAT, "order"),
    ],
)
def test_call_is_named_as_far_as_it_is_sure(
    scores: tuple[float, float, float, float], taxon: str, group: str, rank: str
) -> None:
    named = name_calls(_scored(scores), TAXA, min_species_score=0.5)
    assert named[["taxon", "group", "rank"]].to_numpy().tolist() == [[taxon, group, rank]]


@given(st.lists(st.tuples(*[st.floats(0, 0.25)] * 4), max_size=10), st.floats(0.01, 1))
def test_every_call_has_one_name_and_stays(scores: list[tuple[float, float, float, float]], sure: float) -> None:
    table = _scored(*scores)
    named = name_calls(table, TAXA, min_species_score=sure)
    pd.testing.assert_frame_equal(named[table.columns], table)
    names = {taxon.species for taxon in TAXA} | {taxon.group for taxon in TAXA} | {ANY_BAT}
    assert set(named["taxon"]) <= names
    for row in named.itertuples():
        values = {taxon.species: getattr(row, f"score_{taxon.code}") for taxon in TAXA}
        if row.rank == "species":
            assert values[row.taxon] == max(values.values()) >= sure
        else:
            assert max(values.values()) < sure


def test_calls_of_no_file_can_be_named_too() -> None:
    named = name_calls(_scored(), TAXA, min_species_score=0.5)
    assert len(named) == 0
    assert {"taxon", "group", "rank"} <= set(named.columns)


def test_night_is_that_of_the_recording_of_the_first_call() -> None:
    noon = datetime(2024, 6, 2, 11)
    table = _calls([Heard(0), Heard(500_000)])
    table["start_utc"] = pd.Series([noon, noon + pd.Timedelta("0.5s")]).dt.tz_localize("UTC").dt.as_unit("us")
    table["night"] = ["2024-06-01", "2024-06-02"]
    assert find_passes(table, gap=1.0, min_calls=2)["night"].tolist() == ["2024-06-01"]
