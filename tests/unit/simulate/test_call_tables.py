from pathlib import Path

import pandas as pd
import pytest

from batpam.simulate.calls import call_types
from batpam.simulate.confusers import insect_songs

ROOT = Path(__file__).parents[3]
TAXA = sorted((ROOT / "config/taxa").glob("*.tsv"))
CURVES = {"qcf", "fm-qcf", "fm", "fm-steep", "fm-linear", "fm-convex", "fm-knee", "convex", "cf"}
VALUES = ["start", "end", "peak", "duration", "interval"]


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", comment="#")


@pytest.fixture(scope="module")
def social() -> pd.DataFrame:
    return _read(ROOT / "batpam/simulate/social.tsv")


def test_calls_of_europe_and_north_america_are_there() -> None:
    codes = pd.Series(call_types()["code"].unique())
    assert codes[~codes.str.isupper()].nunique() >= 33
    assert {"EPFU", "LACI", "LANO", "MYLU", "TABR", "LABO", "PESU", "PAHE", "MYSE"} <= set(codes)


def test_a_species_has_one_name_and_few_types_of_call() -> None:
    calls = call_types()
    assert not calls.duplicated(["code", "type"]).any() and not calls.isna().any().any()
    assert calls.groupby("code").size().max() == 3  # in the open, close to vegetation, and closer still
    assert (calls.groupby("code")["species"].nunique() == 1).all() and calls["species"].nunique() == calls[
        "code"
    ].nunique()
    assert set(calls["curve"]) == CURVES


def test_values_of_calls_are_those_of_bats() -> None:
    calls = call_types()
    for name, low, high in [
        ("start", 14, 150),
        ("end", 9, 95),
        ("peak", 10, 112),
        ("duration", 2, 46),
        ("level", 94, 131),
    ]:
        assert calls[name].between(low, high).all(), name
    assert calls["interval"].between(40, 600).all() and calls["second_harmonic_db"].between(-40, -3).all()
    for name in VALUES:
        assert calls[f"{name}_sd"].between(0.005 * calls[name], 0.4 * calls[name]).all(), name
    assert (calls["duration"] < 0.7 * calls["interval"]).all()
    beat = calls["interval"] / calls["beats"]
    assert calls["beats"].isin([1, 2, 3]).all() and beat.between(40, 200).all()


def test_sweeps_fall_through_their_peak() -> None:
    calls = call_types()
    sweeps = calls[calls["curve"] != "cf"]
    assert (sweeps["end"] < sweeps["peak"]).all() and (sweeps["peak"] < sweeps["start"]).all()
    tails = calls[calls["curve"] == "cf"]
    assert (tails["end"] < tails["start"]).all() and (tails["start"] < tails["peak"]).all()


def test_second_type_is_the_shorter_and_higher_one() -> None:
    calls = call_types()
    calls = calls[calls["code"] != "Bbar"]  # it alternates: neither is the open one
    pairs = calls[calls.duplicated("code", keep=False)].groupby("code")[VALUES]
    first, second = pairs.first(), pairs.last()
    assert (second["duration"] < first["duration"]).all() and (second["interval"] < first["interval"]).all()
    assert (second["start"] > first["start"]).all() and (second["peak"] > first["peak"]).all()


@pytest.mark.parametrize("path", TAXA, ids=lambda path: path.stem)
def test_lists_of_taxa_are_taxa_that_have_calls(path: Path) -> None:
    taxa = _read(path)
    needed, given = ["code", "species", "english", "group", "family"], list(taxa.columns)
    assert given in (needed, [*needed, "encounters"])
    assert not taxa.isna().any().any() and not taxa["code"].duplicated().any()
    names = call_types().drop_duplicates("code").set_index("code")["species"]
    assert taxa["species"].tolist() == names[taxa["code"]].tolist()
    families = {"Rhinolophus": "Rhinolophidae", "Miniopterus": "Miniopteridae", "Tadarida": "Molossidae"}
    genus = taxa["species"].str.split().str[0]
    assert taxa["family"].tolist() == [families.get(name, "Vespertilionidae") for name in genus]


def test_lists_of_taxa_are_as_long_as_they_should_be() -> None:
    europe, britain, america = (
        _read(ROOT / f"config/taxa/{name}.tsv") for name in ("europe", "britain", "north-america")
    )
    assert (len(europe), len(britain)) == (29, 18) and len(america) >= 9
    same = europe[europe["code"].isin(britain["code"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(britain, same[britain.columns])
    assert not set(america["code"]) & set(europe["code"])


def test_social_calls_are_of_known_species_and_lower_than_their_echolocation(social: pd.DataFrame) -> None:
    calls = call_types()
    assert set(social["code"]) <= set(calls["code"]) and not social.duplicated(["code", "type"]).any()
    assert not social.isna().any().any() and set(social["curve"]) <= CURVES | {"arch"}
    ends = calls.groupby("code")["peak"].max()
    assert (social["end"] < ends[social["code"]].to_numpy()).all()
    levels = calls.groupby("code")["level"].max()
    assert (social["level"] - levels[social["code"]].to_numpy()).between(-16, 12).all()


def test_values_of_social_calls_are_plausible(social: pd.DataFrame) -> None:
    for name, low, high in [("start", 12, 80), ("end", 9, 35), ("duration", 3, 100), ("share", 0.01, 0.15)]:
        assert social[name].between(low, high).all(), name
    assert (social["end"] < social["start"]).all() and (social["duration"] < social["period"]).all()
    assert (social["parts_min"] >= 1).all() and (social["parts_min"] <= social["parts_max"]).all()
    for name in ("start", "end", "duration", "period"):
        assert social[f"{name}_sd"].between(0.04 * social[name], 0.35 * social[name]).all(), name
    pygmaeus, pipistrellus = (social[social["code"] == code].iloc[0] for code in ("Ppyg", "Ppip"))
    assert pygmaeus["end"] > pipistrellus["end"] and pygmaeus["parts_max"] < pipistrellus["parts_max"]


def test_songs_of_insects_are_plausible() -> None:
    songs = insect_songs()
    assert len(songs) >= 18 and not songs["species"].duplicated().any() and not songs.isna().any().any()
    assert set(songs["region"]) == {"Europe", "North America"}
    assert (songs["low"] < songs["peak"]).all() and (songs["peak"] < songs["high"]).all()
    assert (songs["pulse"] < songs["period"]).all() and (songs["quiet"] < songs["pulses"]).all()
    paused = songs[songs["echeme_period"] > 0]
    assert (paused["pulses"] * paused["period"] < paused["echeme_period"] + paused["period"]).all()
