"""Activity and effort: a night without bats is a zero, a night without a recorder is no row, and hours add up."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batpam.activity.passes import find_passes
from batpam.activity.summary import COUNTS, RATES, activity, count_activity, gather
from batpam.models.calibration import Calibration
from batpam.models.files import ModelCard, Taxon
from batpam.models.settings import NetworkSettings
from batpam.scalograms.settings import ScalogramSettings
from batpam.sun import sun_times
from batpam.survey import Deployment
from batpam.tables import (
    ACTIVITY,
    LEDGER,
    NIGHTS,
    PASSES,
    RECORDER_NIGHTS,
    RECORDINGS,
    detections_schema,
    provenance,
    read_origin,
    read_table,
    write_table,
)

ORCHARD = Deployment("orchard", 51.42, -2.41, "Europe/London", "/data/orchard")
CARD = ModelCard(
    name="two species",
    taxa=(
        Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus", "Vespertilionidae"),
        Taxon("Nnoc", "Nyctalus noctula", "Noctule", "Nyctaloid", "Vespertilionidae"),
    ),
    scalogram=ScalogramSettings(),
    network=NetworkSettings(classes=4),
    calibration=Calibration(),
    training={},
    metrics={},
)
RULE = {"min_score": 0.3, "min_taxon_score": 0.5, "thresholds": {}, "gap": 1.0, "min_calls": 2}
RATE = 250_000.0
FIRST, SECOND, THIRD = "2024-06-01", "2024-06-02", "2024-06-03"


class Site:
    """What index, ledger and detection would have written of a site."""

    def __init__(self, name: str = "orchard") -> None:
        self.name = name
        self.recordings: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []
        self.states: dict[tuple[str, str | None], tuple[str, str]] = {}
        self.logged: dict[tuple[str, str | None], float | None] = {}

    def state(
        self, night: str | None, state: str, reasons: str = "", *, recorder: str = "1", logged: float | None = None
    ) -> None:
        """Say how the night of a recorder went; it was valid, and not by a log, if nothing is said."""
        self.states[recorder, night] = state, reasons
        self.logged[recorder, night] = logged

    def file(
        self,
        start: str | None,
        night: str | None,
        hours: float,
        *,
        read: float = 1.0,
        recorder: str = "1",
        reason: str = "",
        expansion: float = 1.0,
    ) -> str:
        """Add a recording of which a share could be read; with a reason, none of it."""
        recording = f"{self.name}{len(self.recordings)}"
        samples, rate = round(hours * 3600 * RATE), RATE
        begins = None if start is None else pd.Timestamp(start, tz="UTC").to_pydatetime()
        known = {
            "recording": recording,
            "site": self.name,
            "recorder": recorder,
            "night": night,
            "path": f"{recording}.wav",
        }
        self.recordings.append(
            dict.fromkeys(RECORDINGS.names)
            | known
            | {"start_utc": begins, "samples": samples, "sample_rate_hz": rate, "shard": None if reason else "s"}
            | {"time_expansion": expansion}
        )
        there = 0 if reason else round(read * samples)
        stretches = [("analysed", "", 0, there), ("excluded", reason or "truncated", there, samples)]
        for state, why, first, last in stretches:
            if last > first or (reason and state == "excluded"):
                begins_here = None if begins is None else begins + pd.Timedelta(first / rate, "s")
                row = {"state": state, "reason": why, "detail": why, "start_sample": first, "samples": last - first}
                row |= {"start_s": first / rate, "duration_s": (last - first) / rate, "size_bytes": 2 * samples}
                self.ledger.append(
                    {name: (known | row | {"start_utc": begins_here}).get(name) for name in LEDGER.names}
                )
        return recording

    def call(
        self,
        recording: str,
        second: float,
        code: str = "Ppip",
        *,
        det_score: float = 0.9,
        sure: float = 1.0,
        kind: str = "echolocation",
    ) -> None:
        (file,) = (row for row in self.recordings if row["recording"] == recording)
        begins = file["start_utc"]
        self.detections.append(
            {name: file.get(name) for name in ("site", "recorder", "night", "recording", "path")}
            | {
                "start_s": second, "end_s": second + 0.005, "peak_hz": 45e3, "low_hz": 42e3, "high_hz": 80e3, "snr_db": 20.0,
                "start_utc": None if begins is None else begins + pd.Timedelta(second, "s"),
                "det_score": det_score, "species": "x", "class_score": sure, "call_type": kind,
            }
            | {f"score_{taxon.code}": sure if taxon.code == code else 0.0 for taxon in CARD.taxa}
        )  # fmt: skip

    def calls(self, recording: str, second: float, number: int, code: str = "Ppip") -> None:
        for place in range(number):
            self.call(recording, second + 0.1 * place, code)

    def write(self, folder: Path) -> None:
        write_table(self.recordings, RECORDINGS, folder / f"{self.name}.parquet", provenance("index"))
        write_table(self.ledger, LEDGER, folder / f"coverage/sites/{self.name}.parquet", provenance("ledger"))
        schema = detections_schema([taxon.code for taxon in CARD.taxa])
        write_table(self.detections, schema, folder / f"{self.name}/s.parquet", provenance("detect"))
        nights = {(row["recorder"], row["night"]): ("valid", "") for row in self.recordings} | self.states
        health = [
            dict.fromkeys(RECORDER_NIGHTS.names)
            | {"site": self.name, "recorder": recorder, "night": night, "state": state, "reasons": reasons}
            | {"logged_h": self.logged.get((recorder, night))}
            for (recorder, night), (state, reasons) in nights.items()
        ]
        write_table(health, RECORDER_NIGHTS, folder / f"health/{self.name}.parquet", provenance("health"))

    def run(self, folder: Path, deployment: Deployment = ORCHARD) -> dict[str, pd.DataFrame]:
        """Tables of the site by name."""
        self.write(folder)
        name = f"{self.name}.parquet"
        paths = folder / name, folder / self.name, folder / "coverage/sites" / name, folder / "health" / name
        deployment = replace(deployment, site=self.name)
        output = folder / "activity" / self.name
        activity(*paths, deployment, CARD, output, **RULE)  # type: ignore[arg-type]
        return {name: read_table(output / f"{name}.parquet") for name in ("passes", "activity", "nights")}


def _row(table: pd.DataFrame, **where: str | None) -> dict[str, Any]:
    for name, value in where.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    (row,) = table.to_dict("records")
    return {str(name): value for name, value in row.items()}


# activity


def test_echoes_count_neither_as_calls_nor_in_passes(tmp_path: Path) -> None:
    site = Site()
    file = site.file("2024-06-01T21:00:00", FIRST, 0.25)
    site.calls(file, 10, 3)
    for place in range(3):
        site.call(file, 10.02 + 0.1 * place, "Nnoc" if place else "Ppip", kind="echo")
    site.call(file, 100.0, kind="echo")
    tables = site.run(tmp_path)
    assert tables["passes"]["calls"].tolist() == [3] and tables["passes"]["duration_s"].iloc[0] < 0.21
    row = _row(tables["activity"], taxon="Pipistrellus pipistrellus")
    assert (row["calls"], row["passes"], row["minutes"]) == (3, 1, 1)
    assert "Nyctalus noctula" not in set(tables["activity"]["taxon"])


def test_counts_of_a_night(tmp_path: Path) -> None:
    site = Site()
    first, second = (site.file(f"2024-06-01T21:{minute}:00", FIRST, 0.25) for minute in ("00", "15"))
    site.calls(first, 10, 3)
    site.calls(first, 14, 2)
    site.call(first, 59.99)  # alone: a call and a minute, no pass
    site.call(first, 899.95)
    site.call(second, 0.2)
    site.calls(second, 60, 2, "Nnoc")
    tables = site.run(tmp_path)
    assert list(tables["activity"].columns) == ACTIVITY.names
    row = _row(tables["activity"], taxon="Pipistrellus pipistrellus")
    assert row == {
        "site": "orchard", "night": FIRST, "state": "valid", "taxon": "Pipistrellus pipistrellus", "group": "Pipistrellus",
        "rank": "species", "calls": 8, "passes": 3, "passes_with_buzz": 0, "passes_with_social": 0, "minutes": 3,
        "files_with_taxon": 2, "analysed_h": 0.5, "passes_per_h": 6.0, "minutes_per_h": 6.0,
    }  # fmt: skip
    assert _row(tables["activity"], taxon="Nyctalus noctula")["passes"] == 1
    assert tables["passes"]["files"].tolist().count(2) == 1


def test_calls_below_the_score_count_nowhere(tmp_path: Path) -> None:
    site = Site()
    file = site.file("2024-06-01T21:00:00", FIRST, 1)
    for second, score in ((1, 0.3), (1.5, 0.299), (2, 0.3)):
        site.call(file, second, det_score=score)
    site.calls(file, 100, 5)
    site.call(file, 200, "Nnoc", det_score=0.1)
    tables = site.run(tmp_path)
    assert tables["activity"]["taxon"].tolist() == ["Pipistrellus pipistrellus"]
    assert _row(tables["activity"], night=FIRST)["calls"] == 7


def test_call_that_is_not_sure_counts_as_a_bat(tmp_path: Path) -> None:
    site = Site()
    file = site.file("2024-06-01T21:00:00", FIRST, 1)
    site.call(file, 1, sure=0.4)
    row = _row(site.run(tmp_path)["activity"], taxon="Chiroptera")
    assert (row["rank"], row["calls"], row["passes"]) == ("order", 1, 0)


def test_unclear_calls_of_a_pass_count_with_it(tmp_path: Path) -> None:
    site = Site()
    first, second = (site.file(f"2024-06-01T21:{minute}:00", FIRST, 0.25) for minute in ("00", "15"))
    site.call(first, 899.5)
    site.call(second, 0.2, sure=0.4)
    site.call(second, 100, sure=0.4)  # alone
    tables = site.run(tmp_path)
    row = _row(tables["activity"], taxon="Pipistrellus pipistrellus")
    assert [row[name] for name in ("calls", "passes", "minutes", "files_with_taxon")] == [2, 1, 2, 2]
    assert _row(tables["activity"], taxon="Chiroptera")["calls"] == 1
    assert tables["passes"][["calls", "named_calls"]].to_numpy().tolist() == [[2, 1]]


def test_passes_with_buzzes_and_social_calls_are_counted(tmp_path: Path) -> None:
    site = Site()
    file = site.file("2024-06-01T21:00:00", FIRST, 1)
    for second, kind, number in (
        (10, "buzz", 2),
        (20, "buzz", 3),
        (30, "social", 1),
        (40, "social", 2),
        (50, "buzz", 9),
    ):
        site.calls(file, second, 2)
        for place in range(number):
            site.call(file, second + 0.5 + 0.01 * place, kind=kind)
    site.file("2024-06-02T21:00:00", SECOND, 1)
    tables = site.run(tmp_path)
    assert tables["passes"]["buzz_calls"].tolist() == [2, 3, 0, 0, 9]
    assert tables["passes"]["social_calls"].tolist() == [0, 0, 1, 2, 0]
    counts = tables["activity"][["passes", "passes_with_buzz", "passes_with_social"]].to_numpy().tolist()
    assert counts == [[5, 2, 1], [0, 0, 0]]


def test_analysed_night_without_the_taxon_is_a_zero_and_a_failed_night_is_no_row(tmp_path: Path) -> None:
    site = Site()
    site.calls(site.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    site.file("2024-06-02T21:00:00", SECOND, 2)
    site.file("2024-06-03T21:00:00", THIRD, 1, reason="unreadable")
    site.file("2024-06-04T21:00:00", "2024-06-04", 0, reason="empty")
    tables = site.run(tmp_path)
    assert tables["activity"]["night"].tolist() == [FIRST, SECOND]
    zero = _row(tables["activity"], night=SECOND)
    assert [zero[name] for name in (*COUNTS, *RATES)] == [0] * 8
    assert zero["analysed_h"] == 2.0
    # the night that failed is told of, with no effort
    assert tables["nights"]["night"].tolist() == [FIRST, SECOND, THIRD, "2024-06-04"]
    assert tables["nights"]["analysed_h"].tolist() == [1, 2, 0, 0]


def test_night_on_which_a_recorder_listened_and_nothing_came_is_a_zero(tmp_path: Path) -> None:
    triggered, other = Site("orchard"), Site("barn")
    triggered.calls(triggered.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    triggered.file(None, None, 1)
    triggered.state(SECOND, "valid", logged=8.0)
    triggered.state(THIRD, "failed", "no_recording", logged=0.0)
    triggered.state("2024-06-04", "partial", "effort_unknown")
    other.calls(other.file("2024-06-01T21:00:00", FIRST, 1), 10, 3, "Nnoc")
    tables = triggered.run(tmp_path)
    other.run(tmp_path)
    assert tables["nights"]["night"].tolist() == [FIRST, SECOND, None]
    night = _row(tables["nights"], night=SECOND)
    assert [night[name] for name in ("state", "files", "files_excluded", "recorded_h", "analysed_h")] == [
        "valid",
        0,
        0,
        0,
        0,
    ]
    assert night["dark_h"] > 7
    zero = _row(tables["activity"], night=SECOND)
    assert [zero[name] for name in (*COUNTS, *RATES)] == [0] * 8
    gather(["orchard", "barn"], tmp_path / "activity", tmp_path / "coverage", tmp_path / "health")
    whole = read_table(tmp_path / "activity/activity.parquet")
    assert whole.loc[whole["night"] == SECOND, "passes"].tolist() == [0, 0]


def test_what_was_not_found_by_a_recorder_that_failed_is_not_a_zero(tmp_path: Path) -> None:
    site = Site()
    for night, start in ((FIRST, "2024-06-01T21:00:00"), (SECOND, "2024-06-02T21:00:00")):
        site.calls(site.file(start, night, 1), 10, 3)
    site.calls(site.file("2024-06-01T23:00:00", FIRST, 1), 10, 3, "Nnoc")
    site.state(SECOND, "failed", "flat")
    tables = site.run(tmp_path)
    lost = _row(tables["activity"], night=SECOND, taxon="Nyctalus noctula")
    assert all(pd.isna(lost[name]) for name in (*COUNTS, *RATES))
    # what it did find was there
    assert _row(tables["activity"], night=SECOND, taxon="Pipistrellus pipistrellus")["passes"] == 1
    assert tables["nights"][["state", "reasons"]].to_numpy().tolist() == [["valid", ""], ["failed", "flat"]]
    csv = pd.read_csv(tmp_path / "activity/orchard/activity.csv", dtype=str, keep_default_na=False)
    assert _row(csv, night=SECOND, taxon="Nyctalus noctula")["passes"] == ""


def test_night_of_a_site_is_as_good_as_its_recorders(tmp_path: Path) -> None:
    site = Site()
    for recorder in ("A", "B"):
        for night, start in ((FIRST, "2024-06-01T21:00:00"), (SECOND, "2024-06-02T21:00:00")):
            site.calls(site.file(start, night, 1, recorder=recorder), 10, 3)
    site.state(FIRST, "failed", "flat", recorder="A")
    site.state(SECOND, "failed", "flat,coverage", recorder="A")
    site.state(SECOND, "failed", "coverage", recorder="B")
    nights = site.run(tmp_path)["nights"].set_index("night")
    assert nights["state"].to_dict() == {FIRST: "partial", SECOND: "failed"}
    assert nights["reasons"].to_dict() == {FIRST: "flat", SECOND: "flat,coverage"}


def test_survey_keeps_what_is_not_known_unknown(tmp_path: Path) -> None:
    orchard, barn = Site("orchard"), Site("barn")
    orchard.calls(orchard.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    barn.file("2024-06-01T21:00:00", FIRST, 1)
    barn.state(FIRST, "failed", "sensitivity")
    for site in (orchard, barn):
        site.run(tmp_path)
    gather(["orchard", "barn"], tmp_path / "activity", tmp_path / "coverage", tmp_path / "health")
    table = read_table(tmp_path / "activity/activity.parquet").set_index("site")
    assert table.loc["orchard", "passes"] == 1
    assert pd.isna(table.loc["barn", "passes"])
    states = pd.read_csv(tmp_path / "coverage/nights.csv")
    assert states[["site", "state"]].to_numpy().tolist() == [["orchard", "valid"], ["barn", "failed"]]


def test_every_analysed_night_has_every_taxon(tmp_path: Path) -> None:
    site = Site()
    files = [site.file(f"2024-06-0{day}T21:00:00", f"2024-06-0{day}", 1) for day in range(1, 6)]
    site.calls(files[0], 10, 3)
    site.calls(files[4], 10, 3, "Nnoc")
    site.call(files[2], 10, sure=0.1)
    table = site.run(tmp_path)["activity"]
    assert len(table) == 5 * 3
    assert (table.groupby("night")["taxon"].nunique() == 3).all()
    assert table["passes"].sum() == 2
    assert table["calls"].sum() == 7


def test_recordings_without_a_time_are_a_night_of_their_own(tmp_path: Path) -> None:
    site = Site()
    dated, undated, other = (
        site.file("2024-06-01T21:00:00", FIRST, 1),
        site.file(None, None, 0.5),
        site.file(None, None, 0.5),
    )
    site.calls(dated, 10, 2)
    site.calls(undated, 10, 2)
    site.calls(undated, 70, 2)
    site.calls(other, 10, 2)
    tables = site.run(tmp_path)
    row = _row(tables["activity"], night=None)
    assert (row["passes"], row["calls"], row["minutes"], row["files_with_taxon"]) == (3, 6, 3, 2)
    assert (row["analysed_h"], row["passes_per_h"]) == (1.0, 3.0)
    assert _row(tables["activity"], night=FIRST)["passes"] == 1
    night = _row(tables["nights"], night=None)
    assert (night["files"], night["recorded_h"]) == (2, 1.0)
    assert pd.isna(night["sunset_utc"])
    assert pd.isna(night["dark_h"])


def test_pass_that_goes_on_in_the_next_file_counts_once(tmp_path: Path) -> None:
    site = Site()
    files = [site.file(f"2024-06-01T21:00:{second:02d}", FIRST, 5 / 3600) for second in (0, 5, 10)]
    for file in files:
        for place in range(10):
            site.call(file, 0.25 + 0.5 * place)
    row = _row(site.run(tmp_path)["activity"], night=FIRST)
    assert (row["passes"], row["calls"], row["files_with_taxon"], row["minutes"]) == (1, 30, 3, 1)


def test_call_of_a_slowed_down_file_lies_later_in_it(tmp_path: Path) -> None:
    site = Site()
    site.calls(site.file("2024-06-01T21:00:00", FIRST, 1, expansion=10.0), 12.5, 2)
    site.calls(site.file("2024-06-01T22:00:00", FIRST, 1), 12.5, 2)
    passes = site.run(tmp_path)["passes"]
    assert passes["best_start_s"].tolist() == [12.5, 12.5]
    assert passes["best_file_s"].tolist() == [125.0, 12.5]


def test_minutes_are_those_of_the_clock() -> None:
    site = Site()
    file = site.file("2024-06-01T21:00:30", FIRST, 1)
    for second in (0, 29.9, 30, 89.9, 3000):  # 21:00, 21:00, 21:01, 21:01, 21:50
        site.call(file, second)
    named = pd.DataFrame(site.detections).assign(taxon="P", group="P", rank="species", joined=False, time_expansion=1.0)
    nights = pd.DataFrame([{"site": "orchard", "night": FIRST, "state": "valid", "files": 1, "analysed_h": 1.0}])
    passes = find_passes(named.assign(start_utc=named["start_utc"].dt.as_unit("us")), gap=1.0, min_calls=2)
    row = _row(count_activity(passes, named, nights), night=FIRST)
    assert (row["minutes"], row["calls"], row["passes"]) == (3, 5, 1)


def test_tables_are_csv_too_and_say_what_they_were_made_with(tmp_path: Path) -> None:
    site = Site()
    site.calls(site.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    site.file("2024-06-02T21:00:00", SECOND, 1)
    tables = site.run(tmp_path)
    for name, table in tables.items():
        csv = pd.read_csv(tmp_path / f"activity/orchard/{name}.csv")
        assert list(csv.columns) == list(table.columns)
        assert len(csv) == len(table) > 0
        origin = read_origin(tmp_path / f"activity/orchard/{name}.parquet")
        assert origin.items() >= {"stage": "activity", "model": "two species", **RULE}.items()
    csv = pd.read_csv(tmp_path / "activity/orchard/activity.csv")
    assert csv["passes"].tolist() == tables["activity"]["passes"].tolist() == [1, 0]


@pytest.mark.parametrize("reason", ["", "unreadable"])
def test_site_whose_files_hold_nothing_has_tables(tmp_path: Path, reason: str) -> None:
    site = Site()
    if reason:
        site.file("2024-06-01T21:00:00", FIRST, 1, reason=reason)
    tables = site.run(tmp_path)
    for name, schema in (("passes", PASSES), ("activity", ACTIVITY), ("nights", NIGHTS)):
        assert list(tables[name].columns) == schema.names
    assert tables["passes"].empty
    assert len(tables["nights"]) == len(site.recordings)


# effort


def test_hours_of_a_night_add_up(tmp_path: Path) -> None:
    site = Site()
    site.file("2024-06-01T21:00:00", FIRST, 1)
    site.file("2024-06-01T22:00:00", FIRST, 2, read=0.25)
    site.file("2024-06-02T00:00:00", FIRST, 0.5, reason="sample_rate")
    site.file("2024-06-02T01:00:00", FIRST, 0, reason="unreadable")
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert (row["files"], row["files_excluded"]) == (4, 2)
    assert (row["recorded_h"], row["analysed_h"], row["excluded_h"]) == (3.5, 1.5, 2.0)


def test_copy_is_a_file_and_no_effort(tmp_path: Path) -> None:
    site = Site()
    site.file("2024-06-01T21:00:00", FIRST, 2)
    site.file("2024-06-01T21:00:00", FIRST, 2, reason="duplicate")
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert (row["files"], row["files_excluded"]) == (2, 1)
    assert (row["recorded_h"], row["analysed_h"], row["excluded_h"]) == (2.0, 2.0, 0.0)


def test_dark_hours_are_those_between_sunset_and_sunrise(tmp_path: Path) -> None:
    sunset, sunrise = sun_times(date(2024, 6, 1), ORCHARD.latitude, ORCHARD.longitude, ORCHARD.timezone)
    assert sunset is not None
    assert sunrise is not None
    site = Site()
    quarter = pd.Timedelta("15min")
    for begin in (sunset - quarter, sunset - 4 * quarter, sunrise - quarter, sunrise + quarter):
        site.file(f"{begin:%Y-%m-%dT%H:%M:%S.%f}", FIRST, 0.5)
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert row["analysed_h"] == 2.0
    # half of the file at sunset, none before it, half of the one at sunrise, none after it
    assert row["analysed_dark_h"] == pytest.approx(0.5, abs=1e-6)
    assert row["dark_h"] == pytest.approx((sunrise - sunset).total_seconds() / 3600)
    assert (row["sunset_utc"], row["sunrise_utc"]) == (sunset, sunrise)


def test_only_what_was_analysed_is_dark_effort(tmp_path: Path) -> None:
    site = Site()
    site.file("2024-06-01T22:00:00", FIRST, 2, read=0.25)
    site.file("2024-06-02T00:30:00", FIRST, 1, reason="unreadable")
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert row["analysed_dark_h"] == pytest.approx(0.5)


def test_whole_night_in_one_file_has_the_dark_hours_of_the_night(tmp_path: Path) -> None:
    site = Site()
    site.file("2024-06-01T18:00:00", FIRST, 12)
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert row["analysed_dark_h"] == pytest.approx(row["dark_h"])
    assert row["analysed_h"] == 12


def test_two_recorders_give_twice_the_effort(tmp_path: Path) -> None:
    site = Site()
    for recorder in ("A", "B"):
        site.file("2024-06-01T22:00:00", FIRST, 1, recorder=recorder)
    row = _row(site.run(tmp_path)["nights"], night=FIRST)
    assert (row["analysed_h"], row["files"]) == (2.0, 2)
    assert row["analysed_dark_h"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "deployment",
    [Deployment("orchard", None, None, "UTC", ""), Deployment("orchard", 69.65, 18.95, "Europe/Oslo", "")],
)
def test_without_position_or_sunset_dark_hours_are_missing_and_not_zero(tmp_path: Path, deployment: Deployment) -> None:
    site = Site()
    site.file("2024-06-15T22:00:00", "2024-06-15", 1)
    row = _row(site.run(tmp_path, deployment)["nights"], night="2024-06-15")
    assert row["analysed_h"] == 1.0
    assert all(pd.isna(row[name]) for name in ("sunset_utc", "sunrise_utc", "dark_h", "analysed_dark_h"))


def test_file_without_a_time_is_effort_too(tmp_path: Path) -> None:
    site = Site()
    site.file(None, None, 1)
    site.file("2024-06-01T22:00:00", FIRST, 1)
    nights = site.run(tmp_path)["nights"]
    assert len(nights) == 2
    row = _row(nights, night=None)
    assert (row["files"], row["analysed_h"]) == (1, 1.0)
    assert pd.isna(row["analysed_dark_h"])


# the survey


def _two_sites(folder: Path) -> list[str]:
    orchard, barn = Site("orchard"), Site("barn")
    orchard.calls(orchard.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    barn.calls(barn.file("2024-06-01T21:00:00", FIRST, 1, read=0.5), 10, 3, "Nnoc")
    barn.file(None, None, 0, reason="unreadable")
    for site in (orchard, barn):
        site.run(folder)
    gather(["orchard", "barn"], folder / "activity", folder / "coverage", folder / "health")
    return ["orchard", "barn"]


def test_survey_is_its_sites_one_below_the_other(tmp_path: Path) -> None:
    sites = _two_sites(tmp_path)
    for name in ("passes", "nights"):
        whole = read_table(tmp_path / f"activity/{name}.parquet")
        parts = [read_table(tmp_path / f"activity/{site}/{name}.parquet") for site in sites]
        assert whole["site"].tolist() == [site for part in parts for site in part["site"]]
        assert len(pd.read_csv(tmp_path / f"activity/{name}.csv")) == len(whole)
    assert read_table(tmp_path / "activity/passes.parquet")["calls"].tolist() == [3, 3]


def test_totals_are_those_of_the_ledgers(tmp_path: Path) -> None:
    _two_sites(tmp_path)
    total = pd.read_csv(tmp_path / "coverage/total.csv", keep_default_na=False).set_index(["state", "reason"])
    assert total["files"].to_dict() == {
        ("analysed", ""): 2,
        ("excluded", "truncated"): 1,
        ("excluded", "unreadable"): 1,
    }
    # the truncated one is analysed in part
    assert total["whole_files"].to_dict() == {
        ("analysed", ""): 2,
        ("excluded", "truncated"): 0,
        ("excluded", "unreadable"): 1,
    }
    assert total["samples"].sum() == 2 * 3600 * RATE
    assert total.loc[("analysed", ""), "seconds"] == 1.5 * 3600
    assert len(read_table(tmp_path / "coverage/ledger.parquet")) == 4


def test_taxon_of_one_site_is_a_zero_at_the_others_that_were_recorded(tmp_path: Path) -> None:
    _two_sites(tmp_path)
    table = read_table(tmp_path / "activity/activity.parquet")
    assert _row(table, site="orchard", taxon="Pipistrellus pipistrellus")["passes"] == 1
    assert _row(table, site="barn", taxon="Pipistrellus pipistrellus")["passes"] == 0
    assert _row(table, site="orchard", taxon="Nyctalus noctula")["passes"] == 0


def test_site_without_bats_is_not_like_one_without_a_recorder(tmp_path: Path) -> None:
    busy, silent, dead = (Site(name) for name in ("busy", "silent", "dead"))
    busy.calls(busy.file("2024-06-01T21:00:00", FIRST, 1), 10, 3)
    silent.file("2024-06-01T21:00:00", FIRST, 1)
    dead.file("2024-06-01T21:00:00", FIRST, 1, reason="unreadable")
    for site in (busy, silent, dead):
        site.run(tmp_path)
    gather(["busy", "silent", "dead"], tmp_path / "activity", tmp_path / "coverage", tmp_path / "health")
    table = read_table(tmp_path / "activity/activity.parquet")
    assert dict(zip(table["site"], table["passes"], strict=True)) == {"busy": 1, "silent": 0}
    nights = read_table(tmp_path / "activity/nights.parquet").set_index("site")
    assert nights["analysed_h"].to_dict() == {"busy": 1, "silent": 1, "dead": 0}


def test_survey_loses_no_count_of_its_sites(tmp_path: Path) -> None:
    orchard, barn = Site("orchard"), Site("barn")
    for site, codes in ((orchard, ("Ppip", "Nnoc")), (barn, ("Ppip",))):
        for start, night in (("2024-06-01T21:00:00", FIRST), ("2024-06-02T21:00:00", SECOND), (None, None)):
            file = site.file(start, night, 1)
            for place, code in enumerate(codes):
                site.calls(file, 10 * place, 3, code)
                site.call(file, 100 + place, code, sure=0.2)
    tables = [site.run(tmp_path)["activity"] for site in (orchard, barn)]
    gather(["orchard", "barn"], tmp_path / "activity", tmp_path / "coverage", tmp_path / "health")
    whole = read_table(tmp_path / "activity/activity.parquet")
    assert len(whole) == 2 * 3 * 3
    for table in tables:
        for row in table.to_dict("records"):
            assert _row(whole, site=row["site"], night=row["night"], taxon=row["taxon"]) == row
    assert whole["calls"].sum() == sum(table["calls"].sum() for table in tables) == 3 * (2 * 3 + 2 + 3 + 1)
