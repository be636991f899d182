"""Logs of recorders: when they were to record and when they were on, in true time, for the recorders that they are of."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batpam.recordings.index import index
from batpam.recordings.logs import read_log
from batpam.survey import EACH_CHANNEL, Deployment
from batpam.tables import read_table

MakeWav = Callable[..., Path]
CONFIG = """Device ID                       : 24A04F08604F5C9A
Firmware                        : AudioMoth-Firmware-Basic (1.9.0)
Time zone                       : UTC+1
Sleep duration (s)              : {sleep}
Recording duration (s)          : {record}
Active recording periods        : 1
Recording period 1              : 21:00 - 05:00 (UTC+1)
First recording date            : ----------
Last recording date             : ----------
"""
SUMMARY = """DATE,TIME,LAT,NS,LON,EW,POWER(V),TEMP(C),#ACFILES
2024-Jun-01,21:00:00,51.50000,N,2.40000,W,4.1,25.1,0
2024-Jun-01,21:01:00,51.50000,N,2.40000,W,4.1,25.1,0
2024-Jun-01,21:02:00,51.50000,N,2.40000,W,4.1,25.1,0
2024-Jun-02,03:00:00,51.50000,N,2.40000,W,4.1,25.1,0
"""


def _config(sleep: str = "-", record: str = "-") -> str:
    return CONFIG.format(sleep=sleep, record=record)


def _site(folder: Path | str = "/rec", site: str = "orchard", **what: Any) -> Deployment:
    return Deployment(site, None, None, "Europe/London", str(folder), **what)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def _windows(
    tmp_path: Path,
    name: str,
    text: str,
    nights: tuple[str | None, str | None] = ("2024-06-01", "2024-06-02"),
    **sheet: Any,
) -> list[tuple[datetime, datetime]]:
    (tmp_path / name).write_text(text)
    return [(row["start_utc"], row["end_utc"]) for row in read_log(tmp_path / name, _site(tmp_path, **sheet), *nights)]


def test_settings_tell_when_it_was_to_record(tmp_path: Path) -> None:
    (tmp_path / "CONFIG.TXT").write_text(_config("60", "180"))
    rows = read_log(tmp_path / "CONFIG.TXT", _site(tmp_path), "2024-06-01", "2024-06-02")
    assert rows == [
        {
            "path": str(tmp_path / "CONFIG.TXT"), "kind": "scheduled", "share": 0.75,
            "start_utc": _utc(2024, 6, day, 20), "end_utc": _utc(2024, 6, day + 1, 4),
        }
        for day in (1, 2)
    ]  # fmt: skip


def test_summary_tells_when_it_was_on(tmp_path: Path) -> None:
    (tmp_path / "SM4_Summary.txt").write_text(SUMMARY)
    rows = read_log(tmp_path / "SM4_Summary.txt", _site(tmp_path), None, None)
    assert [(row["kind"], row["share"]) for row in rows] == [("running", 1.0)] * 2
    assert [(row["start_utc"], row["end_utc"]) for row in rows] == [
        (_utc(2024, 6, 1, 20), _utc(2024, 6, 1, 20, 3)),
        (_utc(2024, 6, 2, 2), _utc(2024, 6, 2, 2, 1)),
    ]


@pytest.mark.parametrize(
    ("sheet", "first"),
    [
        ({}, _utc(2024, 6, 1, 20)),
        ({"clock": "UTC"}, _utc(2024, 6, 1, 21)),
        ({"clock": "+02:00"}, _utc(2024, 6, 1, 19)),
        ({"clock_offset": 3600.0}, _utc(2024, 6, 1, 21)),
        ({"clock": "UTC", "clock_offset": -86_400.0}, _utc(2024, 5, 31, 21)),
        ({"clock_drift": 10.0, "first_night": "2024-05-22"}, _utc(2024, 6, 1, 19, 58, 16, 250_000)),
    ],
)
def test_log_is_by_the_clock_that_the_recordings_are_by(tmp_path: Path, sheet: dict[str, Any], first: datetime) -> None:
    assert _windows(tmp_path, "a_Summary.txt", SUMMARY, **sheet)[0][0] == first


@pytest.mark.parametrize("days", [0, 1, -1, 8000])
def test_schedule_of_a_clock_that_was_off_is_that_of_the_true_nights(tmp_path: Path, days: int) -> None:
    assert _windows(tmp_path, "CONFIG.TXT", _config(), clock_offset=days * 86_400 + 600.0) == [
        (_utc(2024, 6, 1, 20, 10), _utc(2024, 6, 2, 4, 10)),
        (_utc(2024, 6, 2, 20, 10), _utc(2024, 6, 3, 4, 10)),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CONFIG.TXT", ""),
        ("CONFIG.TXT", "[server]\nport = 80\n"),
        ("config.txt", "\x00\xff" * 100),
        ("a_Summary.txt", "what happened this summer"),
        ("a_Summary.txt", ""),
        ("a_Summary.txt", _config()),
        ("CONFIG.TXT", SUMMARY),
    ],
)
def test_file_that_is_no_log_tells_nothing(tmp_path: Path, name: str, text: str) -> None:
    assert _windows(tmp_path, name, text) == []


@pytest.mark.parametrize("offset", [1e10, -1e10])
def test_clock_of_another_age_does_no_harm(tmp_path: Path, offset: float) -> None:
    assert len(_windows(tmp_path, "a_Summary.txt", SUMMARY, clock_offset=offset)) == 2
    assert _windows(tmp_path, "CONFIG.TXT", _config(), clock_offset=offset) == []


def test_settings_without_recordings_tell_nothing(tmp_path: Path) -> None:
    assert _windows(tmp_path, "CONFIG.TXT", _config(), (None, None)) == []


def test_log_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_log(tmp_path / "\x1b[2J_Summary.txt", _site(tmp_path), None, None) == []
    told = capsys.readouterr().err.strip()
    assert "_Summary.txt" in told
    assert told.isprintable()


# in the index


def _logs(tmp_path: Path, *sites: Deployment) -> pd.DataFrame:
    index(sites, tmp_path / "out", shard_hours=24, min_sample_rate=90_000, min_duration=0)
    tables = [read_table(path) for path in sorted((tmp_path / "out/logs").iterdir())]
    return pd.concat(tables).assign(night=lambda rows: rows["start_utc"].dt.strftime("%m-%d"))


def _noise(seed: int, channels: int = 1) -> np.ndarray:
    samples = np.random.default_rng(seed).integers(-1000, 1000, (500, channels)).astype(np.int16)
    return samples if channels > 1 else samples[:, 0]


def test_settings_are_of_the_nights_of_the_recordings_in_their_folder(tmp_path: Path, make_wav: MakeWav) -> None:
    for seed, name in enumerate(
        ("1/20240601_230000", "1/deep/20240602_230000", "2/20240610_230000", "2/20240612_230000", "20240620_230000")
    ):
        make_wav(tmp_path / f"rec/{name}.WAV", _noise(seed))
    for folder in ("1", "2", "settings"):
        (tmp_path / "rec" / folder).mkdir(exist_ok=True)
        (tmp_path / f"rec/{folder}/CONFIG.TXT").write_text(_config())
    rows = _logs(tmp_path, _site(tmp_path / "rec"))
    nights = rows.groupby("path")["night"].apply(list)
    assert nights[str(tmp_path / "rec/1/CONFIG.TXT")] == ["06-01", "06-02"]
    assert nights[str(tmp_path / "rec/2/CONFIG.TXT")] == ["06-10", "06-11", "06-12"]
    # where there are none, of all that are the recorder's
    assert len(nights[str(tmp_path / "rec/settings/CONFIG.TXT")]) == 20


def test_clock_that_was_wrong_once_makes_no_nights_of_a_hundred_years(tmp_path: Path, make_wav: MakeWav) -> None:
    names = [
        "20240601_230000",
        "20240602_230000",
        "20240603_230000",
        "20010601_230000",
        "20990601_230000",
        "19700101_000000",
    ]
    for seed, name in enumerate(names):
        make_wav(tmp_path / f"rec/{name}.WAV", _noise(seed))
    (tmp_path / "rec/CONFIG.TXT").write_text(_config())
    assert _logs(tmp_path, _site(tmp_path / "rec"))["night"].tolist() == ["06-01", "06-02", "06-03"]


def test_logs_are_of_the_recorder_in_whose_folder_they_lie(tmp_path: Path, make_wav: MakeWav) -> None:
    for number, recorder in enumerate("AB", 1):
        make_wav(tmp_path / f"{recorder}/2024060{number}_230000.WAV", _noise(number))
        (tmp_path / f"{recorder}/CONFIG.TXT").write_text(_config())
    rows = _logs(tmp_path, *(_site(tmp_path / recorder, recorder=recorder) for recorder in "AB"))
    assert list(zip(rows["site"], rows["recorder"], rows["night"], strict=True)) == [
        ("orchard", "A", "06-01"), ("orchard", "B", "06-02"),
    ]  # fmt: skip


def test_log_of_a_recorder_is_of_each_of_its_channels_and_of_no_other(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "A/20240601_230000.wav", _noise(1, 2))
    make_wav(tmp_path / "chapel/20240601_230000.wav", _noise(2))
    (tmp_path / "A/A_Summary.txt").write_text(SUMMARY)
    rows = _logs(
        tmp_path,
        _site(tmp_path / "A", recorder="A", channel=EACH_CHANNEL),
        _site(tmp_path / "chapel", recorder="A-chapel"),
    )
    assert rows.groupby("recorder").size().to_dict() == {"A-ch1": 2, "A-ch2": 2}
    assert set(rows["kind"]) == {"running"}
