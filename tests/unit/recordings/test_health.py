"""Recorder health: every night is in one state, for reasons that can be read, and a silent bat is not a dead recorder."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batpam.config import HealthConfig
from batpam.recordings.health import LONGEST_GAP, REASONS, STATES, health
from batpam.sun import sun_times
from batpam.survey import Deployment
from batpam.tables import (
    LEDGER,
    LOGS,
    NOISE_COLUMNS,
    RECORDER_NIGHTS,
    RECORDINGS,
    SOUND,
    provenance,
    read_origin,
    read_table,
    write_table,
)

ORCHARD = Deployment("orchard", 51.42, -2.41, "Europe/London", "/data")
NOWHERE = replace(ORCHARD, latitude=None, longitude=None)
SETTINGS = HealthConfig().model_dump()
RATE = 250_000.0
FIRST, SECOND, THIRD = "2024-06-01", "2024-06-02", "2024-06-03"
NIGHTS = [f"2024-06-{day:02d}" for day in range(1, 13)]
NOISE = dict.fromkeys(NOISE_COLUMNS, -110.0)


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _sun(night: str, deployment: Deployment = ORCHARD) -> tuple[pd.Timestamp, pd.Timestamp]:
    sunset, sunrise = sun_times(
        date.fromisoformat(night), deployment.latitude, deployment.longitude, deployment.timezone
    )
    return pd.Timestamp(sunset), pd.Timestamp(sunrise)


def _utc(time: str | pd.Timestamp) -> pd.Timestamp:
    return pd.Timestamp(time, tz="UTC") if isinstance(time, str) else time


class Site:
    """What index, segment and ledger would have written of a site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[dict[str, Any]] = []
        self.sound: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []

    def file(
        self,
        night: str | None,
        start: str | pd.Timestamp | None,
        hours: float,
        *,
        recorder: str = "1",
        reason: str = "",
        read: float = 1.0,
        sound: dict[str, float] | None = None,
        noise: float = -110.0,
        **known: Any,
    ) -> None:
        """Add a recording; of one with a reason nothing was analysed, else the share that was read."""
        recording = f"{len(self.files):016d}"
        begins = None if start is None else _utc(start).to_pydatetime()
        shared = {
            "recording": recording, "site": "orchard", "recorder": recorder, "night": night,
            "path": known.pop("path", f"/data/{recording}.wav"), "start_utc": begins,
        }  # fmt: skip
        self.files.append(
            dict.fromkeys(RECORDINGS.names)
            | shared
            | {
                "duration_s": hours * 3600, "sample_rate_hz": RATE, "untriggered_s": 0.0, "trigger": "", "warnings": "",
                "serial": "A", "gain": "high", "state": "excluded" if reason else "indexed", "reason": reason,
                "shard": None if reason else f"orchard_{night}",
            }
            | known
        )  # fmt: skip
        seconds = 0.0 if reason else read * hours * 3600
        for state, why, first, last in (
            ("analysed", "", 0.0, seconds),
            ("excluded", reason or "truncated", seconds, hours * 3600),
        ):
            if last > first or (reason and state == "excluded"):
                self.ledger.append(
                    dict.fromkeys(LEDGER.names)
                    | shared
                    | {
                        "state": state, "reason": why, "detail": "", "start_sample": round(first * RATE),
                        "samples": round((last - first) * RATE), "start_s": first, "duration_s": last - first,
                        "start_utc": None if begins is None else begins + pd.Timedelta(first, "s"), "size_bytes": 1,
                    }
                )  # fmt: skip
        if not reason:
            nothing = dict.fromkeys(("clipped_samples", "offset", "flat_s", "click_s", "insect_s"), 0)
            levels = dict.fromkeys(NOISE_COLUMNS, noise)
            self.sound.append({"recording": recording, "read_s": seconds} | nothing | levels | (sound or {}))

    def whole_night(self, night: str, share: float = 1.0, deployment: Deployment = ORCHARD, **more: Any) -> None:
        """Add a file of the first share of the dark."""
        sunset, sunrise = _sun(night, deployment)
        self.file(night, sunset, share * (sunrise - sunset).total_seconds() / 3600, **more)

    def log(
        self, kind: str, start: str | pd.Timestamp, end: str | pd.Timestamp, share: float = 1.0, **more: Any
    ) -> None:
        times = {"start_utc": _utc(start), "end_utc": _utc(end)}
        row = {"site": "orchard", "recorder": "1", "path": "/data/CONFIG.TXT", "kind": kind, "share": share}
        self.logs.append(row | times | more)

    def assess(self, *deployments: Deployment, **settings: float) -> pd.DataFrame:
        write_table(self.files, RECORDINGS, self.folder / "recordings.parquet", provenance("index"))
        write_table(self.logs, LOGS, self.folder / "logs.parquet", provenance("index"))
        write_table(self.ledger, LEDGER, self.folder / "ledger.parquet", provenance("ledger"))
        for shard in {file["shard"] for file in self.files} - {None}:
            names = {file["recording"] for file in self.files if file["shard"] == shard}
            rows = [row for row in self.sound if row["recording"] in names]
            write_table(rows, SOUND, self.folder / f"segments/{shard}.sound.parquet", provenance("segment"))
        inputs = (self.folder / name for name in ("recordings.parquet", "logs.parquet", "segments", "ledger.parquet"))
        output = self.folder / "health.parquet"
        table = health("orchard", *inputs, deployments or (ORCHARD,), output, **{**SETTINGS, **settings})
        written = read_table(output)
        assert list(table.columns) == list(written.columns) == RECORDER_NIGHTS.names
        assert written["state"].isin(STATES).all()
        for row in written.itertuples():
            codes = row.reasons.split(",") if row.reasons else []
            assert codes == [code for code in REASONS if code in codes]
            assert (row.state == "valid") == (not codes)
            assert row.detail
        return written


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _night(table: pd.DataFrame, night: str | None = FIRST, recorder: str = "1") -> dict[str, Any]:
    rows = table[
        (table["night"].isna() if night is None else table["night"] == night) & (table["recorder"] == recorder)
    ]
    (row,) = rows.to_dict("records")
    return {str(name): value for name, value in row.items()}


# effort


def test_night_that_was_recorded_from_sunset_to_sunrise_is_valid(site: Site) -> None:
    for night in NIGHTS[:4]:
        site.whole_night(night)
    table = site.assess()
    assert table["state"].tolist() == ["valid"] * 4
    row = _night(table)
    sunset, sunrise = _sun(FIRST)
    hours = (sunrise - sunset).total_seconds() / 3600
    for name in ("scheduled_dark_h", "recorded_dark_h", "usable_dark_h", "recorded_h", "analysed_h"):
        assert row[name] == pytest.approx(hours, abs=1e-5), name
    assert (row["sunset_utc"], row["sunrise_utc"], row["schedule_source"]) == (sunset, sunrise, "inferred")
    assert (row["files"], row["files_excluded"], row["reasons"]) == (1, 0, "")
    assert row["detail"] == f"usable {hours:.1f} of {hours:.1f} h"
    assert read_origin(site.folder / "health.parquet").items() >= {"stage": "health", "min_valid_share": 0.9}.items()


@pytest.mark.parametrize(
    ("share", "state", "reasons"),
    [(1.0, "valid", ""), (0.91, "valid", ""), (0.89, "partial", "coverage"), (0.11, "partial", "coverage"),
     (0.09, "failed", "coverage")],
)  # fmt: skip
def test_share_of_the_schedule_makes_the_state(site: Site, share: float, state: str, reasons: str) -> None:
    for night in NIGHTS[:4]:
        site.whole_night(night, share if night == SECOND else 1.0)
    row = _night(site.assess(), SECOND)
    assert (row["state"], row["reasons"]) == (state, reasons)
    assert row["usable_dark_h"] == pytest.approx(share * row["scheduled_dark_h"])


def test_shares_are_settings(site: Site) -> None:
    for night in NIGHTS[:4]:
        site.whole_night(night, 0.5 if night == SECOND else 1.0)
    assert _night(site.assess(min_valid_share=0.4), SECOND)["state"] == "valid"
    assert _night(site.assess(min_partial_share=0.6), SECOND)["state"] == "failed"


def test_what_overlaps_counts_once_and_day_not_at_all(site: Site) -> None:
    sunset, sunrise = _sun(FIRST)
    hour = pd.Timedelta("1h")
    for start, hours in ((sunset - 2 * hour, 3), (sunset + 0.5 * hour, 1), (sunset + 5 * hour, 1), (sunrise - hour, 3)):
        site.file(FIRST, start, hours)
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert row["recorded_dark_h"] == pytest.approx(1.5 + 1 + 1)
    assert row["usable_dark_h"] == pytest.approx(3.5)
    assert row["recorded_h"] == pytest.approx(8)


def test_duplicate_counts_nowhere(site: Site) -> None:
    site.whole_night(FIRST, 0.5)
    site.file(FIRST, _sun(FIRST)[0] + pd.Timedelta("5h"), 2, reason="duplicate")
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert row["recorded_dark_h"] == pytest.approx(0.5 * row["scheduled_dark_h"])
    assert (row["files"], row["files_excluded"], row["excluded_h"]) == (2, 1, 0.0)


def test_what_was_not_analysed_is_recorded_and_not_usable(site: Site) -> None:
    sunset, _ = _sun(FIRST)
    site.file(FIRST, sunset, 2)
    site.file(FIRST, sunset + pd.Timedelta("2h"), 2, reason="sample_rate")
    site.file(FIRST, sunset + pd.Timedelta("4h"), 2, read=0.25)  # the rest is what its header promised
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert row["recorded_dark_h"] == pytest.approx(4.5)
    assert row["usable_dark_h"] == pytest.approx(2.5)
    assert (row["analysed_h"], row["excluded_h"]) == (2.5, 3.5)


def test_stuck_and_rainy_hours_are_not_usable(site: Site) -> None:
    sunset, _ = _sun(FIRST)
    site.file(FIRST, sunset - pd.Timedelta("2h"), 4, sound={"click_s": 3600.0})  # half of it in the dark
    site.file(FIRST, sunset + pd.Timedelta("2h"), 4, sound={"flat_s": 900.0, "insect_s": 7200.0})
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert row["recorded_dark_h"] == pytest.approx(6)
    assert row["usable_dark_h"] == pytest.approx(6 - 0.5 - 0.25)
    assert (row["click_h"], row["flat_h"], row["insect_h"]) == (1.0, 0.25, 2.0)


def test_night_that_was_recorded_by_day_only_has_failed(site: Site) -> None:
    site.file(FIRST, "2024-06-01T13:00", 3)
    row = _night(site.assess())
    assert (row["state"], row["reasons"], row["usable_dark_h"]) == ("failed", "coverage", 0.0)
    assert row["detail"] == "nothing recorded between sunset and sunrise"


def test_end_of_a_file_behind_noon_is_no_night(site: Site) -> None:
    site.whole_night(FIRST)
    site.file(FIRST, "2024-06-02T10:30", 1)
    site.whole_night(THIRD)
    assert _night(site.assess(), SECOND)["reasons"] == "no_recording"


def test_file_of_several_nights_counts_in_each(site: Site) -> None:
    site.file(FIRST, "2024-06-01T18:00:00", 48)
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise", first_night=FIRST, last_night=SECOND))
    assert _night(table, FIRST)["state"] == "valid"
    second = _night(table, SECOND)
    assert (second["state"], second["files"]) == ("valid", 0)
    assert pd.isna(second["logged_h"])
    assert second["usable_dark_h"] == pytest.approx(second["scheduled_dark_h"])


def test_two_recorders_have_states_of_their_own(site: Site) -> None:
    for night in NIGHTS[:4]:
        site.whole_night(night, recorder="A")
        site.whole_night(night, 0.5 if night == THIRD else 1.0, recorder="B")
    table = site.assess(replace(ORCHARD, recorder="A"), replace(ORCHARD, recorder="B", recordings="/b"))
    assert table["recorder"].tolist() == ["A"] * 4 + ["B"] * 4
    assert _night(table, THIRD, "A")["state"] == "valid"
    assert _night(table, THIRD, "B")["reasons"] == "coverage"


def test_channels_that_are_recorders_belong_to_their_row_of_the_sheet(site: Site) -> None:
    for channel in (1, 2):
        site.whole_night(FIRST, recorder=f"1-ch{channel}")
    table = site.assess(replace(ORCHARD, channel=0, schedule="sunset-sunrise", first_night=FIRST, last_night=SECOND))
    assert table["recorder"].tolist() == ["1-ch1"] * 2 + ["1-ch2"] * 2
    assert table["state"].tolist() == ["valid", "failed"] * 2


# nights without a recording


def test_nights_between_two_with_recordings_have_failed(site: Site) -> None:
    site.whole_night(NIGHTS[0])
    site.whole_night(NIGHTS[3])
    table = site.assess()
    assert table["night"].tolist() == NIGHTS[:4]
    row = _night(table, SECOND)
    assert (row["state"], row["reasons"], row["files"], row["recorded_dark_h"]) == ("failed", "no_recording", 0, 0.0)
    assert [row[f"{name}_h"] for name in ("recorded", "analysed", "excluded", "untriggered")] == [0.0] * 4
    assert pd.isna(row["click_h"])  # nothing was heard that could tell
    assert "no recording" in row["detail"]


def test_nights_of_the_sheet_have_rows(site: Site) -> None:
    site.whole_night(NIGHTS[3])
    table = site.assess(replace(ORCHARD, first_night=NIGHTS[1], last_night=NIGHTS[5]))
    assert table["night"].tolist() == NIGHTS[1:6]
    assert table["state"].tolist() == ["failed", "failed", "valid", "failed", "failed"]


def test_recorder_of_the_sheet_without_any_recording_has_failed_in_all_nights(site: Site) -> None:
    site.whole_night(FIRST)
    lost = replace(ORCHARD, recorder="2", recordings="/b", first_night=FIRST, last_night=THIRD)
    table = site.assess(ORCHARD, lost)
    assert table.loc[table["recorder"] == "2", "reasons"].tolist() == ["no_recording"] * 3


def test_recorder_of_which_only_the_first_night_is_known_stood_there_as_long_as_the_others(site: Site) -> None:
    for night in NIGHTS[:6]:
        site.whole_night(night)
    for night in NIGHTS[:3]:
        site.whole_night(night, recorder="2")
    rows = [replace(ORCHARD, recorder=name, recordings=name, first_night=FIRST) for name in ("1", "2", "3")]
    table = site.assess(*rows)
    assert table.loc[table["recorder"] == "1", "state"].tolist() == ["valid"] * 6
    assert table.loc[table["recorder"] == "2", "state"].tolist() == ["valid"] * 3 + ["failed"] * 3
    assert table.loc[table["recorder"] == "3", "reasons"].tolist() == ["no_recording"] * 6


def test_clock_that_is_wrong_does_not_say_how_long_a_recorder_stood_there(site: Site) -> None:
    site.whole_night(FIRST)
    site.whole_night("2025-06-01", warnings="clock_future")
    table = site.assess(ORCHARD, replace(ORCHARD, recorder="2", recordings="/b", first_night=FIRST))
    assert table.loc[table["recorder"] == "2", "night"].tolist() == [FIRST]


@pytest.mark.parametrize("end", ["first_night", "last_night"])
def test_recorder_that_never_recorded_has_failed_in_the_one_night_that_is_known(site: Site, end: str) -> None:
    table = site.assess(replace(ORCHARD, **{end: FIRST}))
    assert table[["night", "reasons"]].values.tolist() == [[FIRST, "no_recording"]]


@pytest.mark.parametrize("end", ["first_night", "last_night"])
def test_one_end_of_the_sheet_is_enough(site: Site, end: str) -> None:
    site.whole_night(NIGHTS[3])
    site.whole_night(NIGHTS[5])
    table = site.assess(replace(ORCHARD, **{end: NIGHTS[1] if end == "first_night" else NIGHTS[7]}))
    assert table["night"].tolist() == (NIGHTS[1:6] if end == "first_night" else NIGHTS[3:8])


def test_long_gap_is_not_a_row_of_failures_unless_the_sheet_says_so(site: Site) -> None:
    for night in ("2023-06-01", "2024-06-01"):
        site.whole_night(night)
    assert site.assess()["night"].tolist() == ["2023-06-01", "2024-06-01"]
    assert len(site.assess(replace(ORCHARD, first_night="2023-06-01", last_night="2024-06-01"))) == 367
    assert LONGEST_GAP < 365


@pytest.mark.parametrize("code", ["clock_jump", "clock_future", "clock_unset"])
def test_clock_that_is_wrong_makes_no_nights_around_it(site: Site, code: str) -> None:
    for night in NIGHTS[:3]:
        site.whole_night(night)
    site.whole_night("2024-06-20", warnings=f"overlap,{code}")
    table = site.assess()
    assert table["night"].tolist() == [*NIGHTS[:3], "2024-06-20"]
    assert _night(table, "2024-06-20")["reasons"] == "clock"


def test_site_without_files_or_nights_has_no_row(site: Site) -> None:
    assert site.assess().empty


def test_recordings_without_a_time_are_one_row_of_each_recorder(site: Site) -> None:
    site.whole_night(FIRST)
    site.file(None, None, 1, sound={"clipped_samples": 1_000_000_000})
    site.file(None, None, 2)
    site.file(None, None, 3, recorder="2")
    table = site.assess()
    assert table[["recorder", "night"]].values.tolist() == [["1", FIRST], ["1", None], ["2", None]]
    row = _night(table, None)
    assert (row["state"], row["reasons"], row["recorded_h"]) == ("partial", "clipping,clock", 3.0)
    for name in ("scheduled_dark_h", "recorded_dark_h", "usable_dark_h", "sunset_utc"):
        assert pd.isna(row[name])
    assert pd.isna(row["schedule_source"])


# what was to be recorded


@pytest.mark.parametrize(
    ("schedule", "dark"),
    [
        ("sunset-sunrise", 1.0), ("sunset-30-sunrise+30", 1.0), ("12:00-12:00", 1.0), ("00:00-24:00", 1.0),
        ("sunset+60-sunrise-60", "-2h"), ("22:00-02:00", "4h"), ("23:00-23:30", "0.5h"), ("01:00-03:00", "2h"),
        ("sunset-00:00", "after"), ("00:00-sunrise", "before"), ("06:00-18:00", "0h"),
    ],
)  # fmt: skip
def test_schedule_of_the_sheet_is_cut_with_the_dark(site: Site, schedule: str, dark: float | str) -> None:
    site.whole_night(FIRST)
    row = _night(site.assess(replace(ORCHARD, schedule=schedule)))
    sunset, sunrise = _sun(FIRST)
    midnight = pd.Timestamp("2024-06-02", tz="Europe/London")
    wanted = {
        1.0: sunrise - sunset, "-2h": sunrise - sunset - pd.Timedelta("2h"), "4h": pd.Timedelta("4h"),
        "0.5h": pd.Timedelta("30min"), "2h": pd.Timedelta("2h"), "after": midnight - sunset, "before": sunrise - midnight,
        "0h": pd.Timedelta(0),
    }[dark]  # fmt: skip
    assert row["scheduled_dark_h"] == pytest.approx(wanted.total_seconds() / 3600)
    assert row["schedule_source"] == "sheet"
    assert row["state"] == ("failed" if dark == "0h" else "valid")


@pytest.mark.parametrize(("night", "hours"), [("2024-10-26", 7.0), ("2024-03-30", 5.0), ("2024-10-25", 6.0)])
def test_night_in_which_the_clocks_change_is_as_long_as_it_is(site: Site, night: str, hours: float) -> None:
    site.whole_night(night)
    row = _night(site.assess(replace(ORCHARD, schedule="23:00-05:00")), night)
    assert row["scheduled_dark_h"] == pytest.approx(hours)
    assert _night(site.assess(replace(ORCHARD, schedule="12:00-12:00")), night)["state"] == "valid"


@pytest.mark.parametrize(("night", "hours"), [("2024-10-26", 25.0), ("2024-03-30", 23.0), (FIRST, 24.0)])
def test_night_without_a_sun_is_from_noon_to_noon(site: Site, night: str, hours: float) -> None:
    noon = pd.Timestamp(f"{night} 12:00", tz="Europe/London").tz_convert("UTC")
    site.file(night, noon, hours)
    row = _night(site.assess(replace(NOWHERE, schedule="12:00-12:00")), night)
    assert row["state"] == "valid"
    assert f"usable {hours:.1f} of {hours:.1f} h, dark or not" in row["detail"]
    assert pd.isna(row["scheduled_dark_h"])


def test_schedule_is_that_of_the_deployment_that_the_night_is_in(site: Site) -> None:
    for night in (FIRST, SECOND):
        site.whole_night(night)
    early = replace(ORCHARD, schedule="22:00-23:00", last_night=FIRST)
    late = replace(ORCHARD, schedule="22:00-02:00", first_night=SECOND, recordings="/b")
    assert site.assess(early, late)["scheduled_dark_h"].tolist() == pytest.approx([1.0, 4.0])


def test_log_goes_before_the_sheet_and_knows_of_breaks(site: Site) -> None:
    site.whole_night(FIRST)
    site.log("scheduled", "2024-06-01T22:00", "2024-06-02T00:00", share=0.5)
    site.log("scheduled", "2024-06-02T02:00", "2024-06-02T12:00", share=0.5)
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    left = (_sun(FIRST)[1] - pd.Timestamp("2024-06-02T02:00", tz="UTC")).total_seconds() / 3600
    assert row["scheduled_dark_h"] == pytest.approx(0.5 * (2 + left))
    assert row["schedule_source"] == "log"


def test_settings_that_lie_beside_the_recordings_of_a_night_are_those_of_it(site: Site) -> None:
    for night, card in ((FIRST, "a"), (SECOND, "b")):
        site.whole_night(night, path=f"/data/{card}/DATA/x.wav")
        for day in ("2024-06-01", "2024-06-02"):
            end = "23:00" if card == "a" else "22:30"
            site.log("scheduled", f"{day}T22:00", f"{day}T{end}", path=f"/data/{card}/CONFIG.TXT")
    site.whole_night(THIRD, path="/data/c/x.wav")
    table = site.assess(replace(ORCHARD, schedule="22:00-02:00"))
    assert table["scheduled_dark_h"].tolist() == pytest.approx([1.0, 0.5, 4.0])
    assert table["schedule_source"].tolist() == ["log", "log", "sheet"]


def test_night_of_which_only_the_log_knows_was_missed(site: Site) -> None:
    site.whole_night(FIRST)
    site.whole_night(THIRD)
    for day in (1, 2, 3):
        site.log("scheduled", f"2024-06-0{day}T22:00", f"2024-06-0{day + 1}T02:00")
    row = _night(site.assess(), SECOND)
    assert (row["reasons"], row["scheduled_dark_h"]) == ("no_recording", 4.0)
    assert row["detail"] == "no recording, 4.0 h were scheduled"


def test_schedule_is_inferred_from_the_other_nights(site: Site) -> None:
    for night in NIGHTS[:8]:
        site.file(night, f"{night}T21:30", 1 if night == SECOND else 4)
    table = site.assess()
    assert table["scheduled_dark_h"].between(3.9, 4.1).all()
    assert (table["schedule_source"] == "inferred").all()
    assert table["state"].tolist() == ["valid", "partial", *["valid"] * 6]


def test_nobody_is_scheduled_for_more_than_the_dark(site: Site) -> None:
    site.whole_night(FIRST)
    site.log("scheduled", "2024-06-01T11:00", "2024-06-02T11:00")
    row = _night(site.assess())
    assert row["scheduled_dark_h"] == pytest.approx(row["recorded_dark_h"])


def test_polar_summer_is_judged_by_the_whole_night(site: Site) -> None:
    north = Deployment("orchard", 69.65, 18.95, "Europe/Oslo", "/data")
    for night in NIGHTS[:4]:
        site.file(night, f"{night}T20:00", 2 if night == SECOND else 6)
    table = site.assess(north)
    assert table["state"].tolist() == ["valid", "partial", "valid", "valid"]
    for name in ("scheduled_dark_h", "recorded_dark_h", "usable_dark_h", "sunset_utc"):
        assert table[name].isna().all()
    assert _night(table, SECOND)["detail"] == "usable 2.0 of 6.0 h, dark or not"
    assert _night(site.assess(replace(north, schedule="22:00-02:00")))["state"] == "valid"


# triggered recorders


def _trigger(site: Site, nights: list[str], **known: Any) -> None:
    for night in nights:
        for place in range(10):
            site.file(night, f"{night}T22:{place:02d}:00", (2 + place) / 3600, **{"trigger": "18 dB", **known})


def test_triggered_recorder_without_a_log_is_partial_at_best(site: Site) -> None:
    _trigger(site, NIGHTS[:3])
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise"))
    assert table["reasons"].tolist() == ["effort_unknown"] * 3
    assert table["logged_h"].isna().all()
    row = _night(table)
    assert row["recorded_dark_h"] == pytest.approx(65 / 3600)
    assert row["scheduled_dark_h"] > 7
    assert site.assess()["schedule_source"].isna().all()


def test_triggered_recorder_without_a_log_may_have_listened_in_a_night_without_a_recording(site: Site) -> None:
    _trigger(site, [NIGHTS[1], NIGHTS[3]])
    site.file(None, None, 0.1, trigger="18 dB")
    table = site.assess(replace(ORCHARD, first_night=NIGHTS[0], last_night=NIGHTS[4]))
    assert table["night"].tolist() == [*NIGHTS[:5], None]
    assert table["state"].tolist() == ["failed", "partial", "partial", "partial", "failed", "partial"]
    # before it first recorded and after it last did, it may as well have been dead
    assert table["reasons"].tolist() == ["no_recording", *["effort_unknown"] * 3, "no_recording", "clock"]
    assert _night(table, THIRD)["detail"] == "no recording, and nobody knows whether it listened"


def test_log_says_how_long_a_triggered_recorder_listened(site: Site) -> None:
    _trigger(site, [FIRST, THIRD], sound={"click_s": 1.0})
    for night in NIGHTS[:3]:
        sunset, sunrise = _sun(night)
        end = sunset + 0.5 * (sunrise - sunset) if night == THIRD else sunrise
        site.log("running", sunset - pd.Timedelta("1h"), end, path="/data/A_Summary.txt")
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise"))
    assert table["state"].tolist() == ["valid", "valid", "partial"]
    row = _night(table)
    assert row["recorded_dark_h"] == pytest.approx(row["scheduled_dark_h"])
    assert row["usable_dark_h"] == pytest.approx(row["recorded_dark_h"] - 10 / 3600)
    # a night in which it listened and nothing came is no gap
    assert _night(table, SECOND)["files"] == 0
    sunset, sunrise = _sun(SECOND)
    assert _night(table, SECOND)["logged_h"] == pytest.approx((sunrise - sunset).total_seconds() / 3600 + 1)
    assert _night(table, THIRD)["reasons"] == "coverage"


def test_log_of_other_nights_says_nothing_of_this_one(site: Site) -> None:
    _trigger(site, [FIRST, THIRD])
    sunset, sunrise = _sun(FIRST)
    site.log("running", sunset, sunrise, path="/data/A_Summary.txt")
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise"))
    assert table["reasons"].tolist() == ["", "effort_unknown", "effort_unknown"]


def test_log_of_a_recorder_that_was_on_and_wrote_nothing_does_not_hide_it(site: Site) -> None:
    for night in (FIRST, THIRD):
        site.whole_night(night)
    for night in NIGHTS[:3]:
        site.log("running", *_sun(night), path="/data/A_Summary.txt")
    assert site.assess()["reasons"].tolist() == ["", "no_recording", ""]


def test_expanded_files_count_with_the_silence_that_was_listened_to(site: Site) -> None:
    for night in NIGHTS[:3]:
        hours = (_sun(night)[1] - _sun(night)[0]).total_seconds()
        site.whole_night(night, trigger="Amplitude threshold was 1%", untriggered_s=0.9 * hours)
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise"))
    assert table["state"].tolist() == ["valid"] * 3
    assert table["untriggered_h"].tolist() == pytest.approx((0.9 * table["recorded_h"]).tolist())


@pytest.mark.parametrize(
    ("lengths", "triggered"),
    [
        ([15.0] * 30, False), ([15.0] * 29 + [8.0], False), ([2 + 0.3 * place for place in range(30)], True),
        ([2 + 0.3 * place for place in range(15)], False), ([600 + 5.0 * place for place in range(30)], False),
    ],
)  # fmt: skip
def test_many_short_files_of_varying_length_are_those_of_a_trigger(
    site: Site, lengths: list[float], triggered: bool
) -> None:
    start = pd.Timestamp("2024-06-01T21:00", tz="UTC")
    for place, length in enumerate(lengths):
        site.file(FIRST, start + pd.Timedelta(place * 12, "min"), length / 3600, trigger=None)
    assert ("effort_unknown" in _night(site.assess())["reasons"]) == triggered


def test_recorder_that_says_that_it_does_not_wait_is_believed(site: Site) -> None:
    for place in range(40):
        site.file(FIRST, f"2024-06-01T22:{place:02d}", (2 + place) / 3600, trigger="")
    assert _night(site.assess())["reasons"] == ""


# reasons


@pytest.mark.parametrize(
    ("sound", "state", "reasons"),
    [
        ({"flat_s": 0.11}, "failed", "flat,coverage"),
        ({"flat_s": 0.09}, "valid", ""),
        ({"clipped_samples": 0.0011 * RATE}, "partial", "clipping"),
        ({"clipped_samples": 0.0009 * RATE}, "valid", ""),
        ({"offset": 0.021}, "partial", "offset"),
        ({"offset": -0.021}, "partial", "offset"),
        ({"offset": 0.019}, "valid", ""),
        ({"click_s": 0.51}, "partial", "coverage,clicks"),
        ({"click_s": 0.49}, "partial", "coverage"),
        ({"click_s": 0.95}, "failed", "coverage,clicks"),
        ({"insect_s": 1.0}, "valid", ""),
        ({"flat_s": 0.5, "clipped_samples": RATE, "offset": 1.0}, "failed", "flat,coverage,clipping,offset"),
    ],
)
def test_sound_of_a_night_makes_its_state(site: Site, sound: dict[str, float], state: str, reasons: str) -> None:
    for night in NIGHTS[:4]:
        seconds = (_sun(night)[1] - _sun(night)[0]).total_seconds()
        scaled = {name: value if name == "offset" else value * seconds for name, value in sound.items()}
        site.whole_night(night, sound=scaled if night == SECOND else None)
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")), SECOND)
    assert (row["state"], row["reasons"]) == (state, reasons)


def test_numbers_stand_in_the_detail(site: Site) -> None:
    site.whole_night(FIRST, 0.4, sound={"clipped_samples": 0.004 * 0.4 * 27_000 * RATE}, stop_reason="low voltage")
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert row["detail"].startswith(f"usable {row['usable_dark_h']:.1f} of {row['scheduled_dark_h']:.1f} h; clipped 0.")
    assert row["detail"].endswith("stopped: low voltage")
    assert row["clipped_share"] == pytest.approx(0.004, rel=0.05)


def test_night_of_which_every_file_was_excluded_has_failed(site: Site) -> None:
    for reason in ("empty", "unreadable", "sample_rate"):
        site.file(FIRST, "2024-06-01T22:00", 0 if reason == "empty" else 1, reason=reason)
    row = _night(site.assess())
    assert (row["state"], row["reasons"], row["files"], row["files_excluded"]) == ("failed", "excluded", 3, 3)
    assert row["detail"] == "all 3 files were excluded"


@pytest.mark.parametrize(
    ("share", "stop", "reasons"),
    [
        (0.5, "low voltage", "coverage,stopped"), (0.5, "microphone change", "coverage,stopped"),
        (0.5, "SD card write error", "coverage,stopped"), (0.5, "switch position change", "coverage,stopped"),
        (0.5, "file size limit", "coverage"), (1.0, "low voltage", ""), (0.05, "low voltage", "coverage,stopped"),
    ],
)  # fmt: skip
def test_recorder_that_stopped_is_named_where_hours_are_lost(site: Site, share: float, stop: str, reasons: str) -> None:
    site.whole_night(FIRST, share, stop_reason=stop)
    row = _night(site.assess(replace(ORCHARD, schedule="sunset-sunrise")))
    assert (row["reasons"], row["stop_reasons"]) == (reasons, stop)


def test_clock_that_cannot_be_trusted_makes_a_night_partial(site: Site) -> None:
    site.whole_night(FIRST, 0.5, warnings="metadata")
    site.file(FIRST, _sun(FIRST)[0] + pd.Timedelta("3h"), 6, warnings="clock_disagrees,metadata")
    row = _night(site.assess())
    assert (row["state"], row["reasons"]) == ("partial", "clock")
    assert row["warnings"] == "clock_disagrees,metadata"
    assert "clock_disagrees" in row["detail"]


# sensitivity


def _nights_of_noise(site: Site, levels: list[float], **more: Any) -> None:
    for night, level in zip(NIGHTS, levels, strict=False):
        site.whole_night(night, noise=level, **more)


def test_noise_that_falls_makes_partial_and_then_failed(site: Site) -> None:
    _nights_of_noise(site, [-110, -111, -109, -110, -115.9, -116.1, -118, -119, -110, -117])
    table = site.assess()
    assert table["state"].tolist() == [*["valid"] * 5, "partial", "partial", "failed", "valid", "partial"]
    assert set(table["reasons"]) == {"", "sensitivity"}
    assert table["noise_change_db"].isna().tolist() == [True] * 3 + [False] * 7
    assert table["noise_change_db"].tolist()[3:] == pytest.approx([0, -5.9, -6.1, -8, -9, 0, -7])
    assert _night(table, NIGHTS[7])["detail"].endswith("9.0 dB below its first nights, night 3 in a row")
    assert (site.assess(failed_after=1)["state"] == "failed").sum() == 4
    assert (site.assess(max_sensitivity_change=5.5)["state"] == "failed").sum() == 2
    assert site.assess(reference_nights=1)["noise_change_db"].isna().sum() == 1


def test_band_that_fell_most_counts(site: Site) -> None:
    for night in NIGHTS[:5]:
        fallen = {NOISE_COLUMNS[2]: -118.0, NOISE_COLUMNS[0]: -90.0} if night == NIGHTS[4] else {}
        site.whole_night(night, sound=fallen)
    row = _night(site.assess(), NIGHTS[4])
    assert row["noise_change_db"] == pytest.approx(-8)
    assert "noise at 30-60 kHz 8.0 dB below" in row["detail"]


def test_noise_that_rises_is_no_loss(site: Site) -> None:
    _nights_of_noise(site, [-110] * 3 + [-90] * 3)
    assert set(site.assess()["state"]) == {"valid"}


def test_few_nights_are_held_to_nothing(site: Site) -> None:
    _nights_of_noise(site, [-110, -150, -150])
    table = site.assess()
    assert table["noise_change_db"].isna().all()
    assert set(table["state"]) == {"valid"}


def test_failed_and_noisy_nights_are_no_reference(site: Site) -> None:
    for place, night in enumerate(NIGHTS[:8]):
        seconds = (_sun(night)[1] - _sun(night)[0]).total_seconds()
        spoilt = ({"flat_s": seconds}, {"insect_s": 0.8 * seconds}, {"click_s": 0.8 * seconds})
        site.whole_night(night, noise=-90 if place < 3 else -110, sound=spoilt[place] if place < 3 else None)
    table = site.assess(replace(ORCHARD, schedule="sunset-sunrise"))
    assert table["state"].tolist()[3:] == ["valid"] * 5
    assert table["noise_change_db"].isna().tolist() == [False] * 3 + [True] * 3 + [False] * 2


def test_missing_night_does_not_end_a_row_of_them(site: Site) -> None:
    for night, level in zip(NIGHTS, [-110, -110, -110, -120, -120, 0, -120], strict=False):
        if level:
            site.whole_night(night, noise=level)
    table = site.assess()
    assert table["reasons"].tolist()[3:] == ["sensitivity", "sensitivity", "no_recording", "sensitivity"]
    assert _night(table, NIGHTS[6])["state"] == "failed"


@pytest.mark.parametrize("changed", [{"serial": "B"}, {"gain": "low"}, {"sample_rate_hz": 384_000.0}])
def test_other_recorder_gain_or_rate_is_held_to_its_own_nights(site: Site, changed: dict[str, Any]) -> None:
    for place, night in enumerate(NIGHTS[:10]):
        site.whole_night(night, noise=-110 if place < 4 else -125, **(changed if place >= 4 else {}))
    table = site.assess()
    assert set(table["state"]) == {"valid"}
    assert table["noise_change_db"].isna().sum() == 6


def test_noise_that_is_not_known_is_not_a_fall(site: Site) -> None:
    for place, night in enumerate(NIGHTS[:6]):
        unknown: dict[str, Any] = dict.fromkeys(NOISE_COLUMNS if place == 4 else NOISE_COLUMNS[3:])
        site.whole_night(night, sound=unknown)
    table = site.assess()
    assert set(table["state"]) == {"valid"}
    assert table["noise_change_db"].isna().tolist() == [True, True, True, False, True, False]
    assert table[NOISE_COLUMNS[3]].isna().all()


# warnings


def test_battery_and_temperature_are_told_and_change_no_state(site: Site) -> None:
    for place, night in enumerate(NIGHTS[:4]):
        site.whole_night(night, battery_v=3.7 - 0.1 * place, temperature_c=15.0 + place, warnings="overlap")
        site.file(night, _sun(night)[0], 1, battery_v=4.2, temperature_c=60.0 if place == 3 else 10.0)
    table = site.assess()
    assert table["warnings"].tolist() == ["overlap", "overlap", "overlap,battery", "overlap,battery,temperature"]
    assert set(table["state"]) == {"valid"}
    row = _night(table, SECOND)
    assert (row["temperature_min_c"], row["temperature_max_c"]) == (10.0, 16.0)
    assert row["battery_min_v"] == pytest.approx(3.6)
    assert set(site.assess(min_battery_v=5.0)["warnings"].str.contains("battery")) == {True}


@pytest.mark.parametrize(("nights", "warned"), [(2, False), (3, True)])
def test_temperature_that_never_changes_is_not_believed(site: Site, nights: int, warned: bool) -> None:
    for night in NIGHTS[:nights]:
        site.whole_night(night, temperature_c=20.0)
    assert set(site.assess()["warnings"] == "temperature") == {warned}


def test_summary_is_one_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.whole_night(FIRST)
    site.whole_night(THIRD)
    site.assess()
    assert capsys.readouterr().err == "orchard: 3 nights of 1 recorder: 2 valid, 0 partial, 1 failed\n"


def test_setting_that_is_not_known_is_an_error(site: Site) -> None:
    with pytest.raises(ValueError, match="min_share"):
        site.assess(min_share=0.5)
