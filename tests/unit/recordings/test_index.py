"""The index: every file is a row, belongs to one night and one shard, is opened once and is never written to."""

import json
import os
import random
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from batpam import STAGE_VERSIONS
from batpam.cli import app
from batpam.errors import AudioError, UserError
from batpam.recordings import describe
from batpam.recordings.index import assign_shards, index, list_recordings
from batpam.recordings.metadata import WARNINGS
from batpam.survey import EACH_CHANNEL, UNDATED, Deployment, night_of
from batpam.tables import MANIFEST, RECORDINGS, read_table

LONDON = "Europe/London"
MakeWav = Callable[..., Path]
BY = "by AudioMoth 24A04F08604F5C9A at medium gain while battery was 4.2V and temperature was 11.3C."


def _site(folder: Path | str, site: str = "orchard", **what: object) -> Deployment:
    return Deployment(site, None, None, str(what.pop("timezone", LONDON)), str(folder), **what)  # type: ignore[arg-type]


def _index(*sites: Deployment, output: Path, **settings: object) -> pd.DataFrame:
    given = {"shard_hours": 24.0, "min_sample_rate": 90_000, "min_duration": 0.0} | settings
    return index(sites, output, **given).cast(RECORDINGS).to_pandas()  # type: ignore[arg-type]


def _noise(seed: int, samples: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, samples).astype(np.int16)


def _row(rows: pd.DataFrame, name: str) -> pd.Series:
    (position,) = np.flatnonzero([Path(path).name == name for path in rows["path"]])
    return rows.iloc[position]


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# what is written


def test_tables_on_disk_are_what_is_returned(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(3):
        make_wav(tmp_path / f"rec/2024060{number + 1}_220000.wav", _noise(number))
    (tmp_path / "rec/broken.wav").write_bytes(b"no audio")
    rows = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert list(rows.columns) == RECORDINGS.names
    stored = read_table(tmp_path / "out/recordings.parquet")
    pd.testing.assert_frame_equal(stored, rows)
    pd.testing.assert_frame_equal(read_table(tmp_path / "out/sites/orchard.parquet"), stored)
    manifests = [read_table(path) for path in sorted((tmp_path / "out/manifests").iterdir())]
    pd.testing.assert_frame_equal(
        pd.concat(manifests, ignore_index=True),
        stored[stored["state"] == "indexed"][MANIFEST.names].reset_index(drop=True),
    )


def test_listing_writes_nothing_and_is_the_same(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav")
    before = sorted(tmp_path.rglob("*"))
    table = list_recordings([_site(tmp_path / "rec")], shard_hours=24, min_sample_rate=90_000, min_duration=0)
    assert sorted(tmp_path.rglob("*")) == before
    indexed = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    pd.testing.assert_frame_equal(table.cast(RECORDINGS).to_pandas(), indexed)


def test_list_of_shards_says_what_is_in_them(tmp_path: Path, make_wav: MakeWav) -> None:
    for number, name in enumerate(("20240601_220000", "20240602_010000", "20240602_220000", "no time")):
        make_wav(tmp_path / f"rec/{name}.wav", _noise(number, 250_000))
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    shards = pd.read_csv(tmp_path / "out/shards.tsv", sep="\t", dtype=str)
    assert shards.to_dict("list") == {
        "shard": ["orchard_2024-06-01_1-00", "orchard_2024-06-02_1-00", "orchard_undated_1-00"],
        "site": ["orchard"] * 3,
        "night": ["2024-06-01", "2024-06-02", UNDATED],
        "recordings": ["2", "1", "1"],
        "hours": ["0.000556", "0.000278", "0.000278"],
    }
    assert sorted(p.name for p in (tmp_path / "out/manifests").iterdir()) == [f"{s}.parquet" for s in shards["shard"]]


def test_number_of_workers_changes_nothing(tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batpam.recordings.index.BATCH", 10)  # so that there are enough files for processes
    for number in range(60):
        make_wav(tmp_path / f"rec/20240601_2200{number:02d}.wav", guano="Timestamp:2024-06-01T22:00:00Z\n")
    for workers in (1, 5):
        _index(_site(tmp_path / "rec"), output=tmp_path / f"out{workers}", workers=workers)
    assert _contents(tmp_path / "out1") == _contents(tmp_path / "out5")
    assert len(_contents(tmp_path / "out1")) == 5


def test_survey_without_a_recording_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        _index(_site(tmp_path / "empty"), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_site_without_a_recording_has_an_empty_table(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "full/a.wav")
    (tmp_path / "empty").mkdir()
    _index(_site(tmp_path / "full"), _site(tmp_path / "empty", "dead"), output=tmp_path / "out")
    for folder in ("sites", "logs"):
        assert sorted(path.name for path in (tmp_path / "out" / folder).iterdir()) == [
            "dead.parquet",
            "orchard.parquet",
        ]
    assert read_table(tmp_path / "out/sites/dead.parquet").empty


def test_survey_of_which_nothing_can_be_analysed_is_listed_all_the_same(tmp_path: Path) -> None:
    for site in ("A", "B"):
        (tmp_path / site).mkdir()
        (tmp_path / site / "20240601_220000.wav").touch()
    rows = _index(_site(tmp_path / "A", "A"), _site(tmp_path / "B", "B"), output=tmp_path / "out")
    assert rows["reason"].tolist() == ["empty"] * 2
    assert list((tmp_path / "out/manifests").iterdir()) == []
    assert (tmp_path / "out/shards.tsv").read_text() == "shard\tsite\tnight\trecordings\thours\n"


@pytest.mark.parametrize("second", ["rec", "rec/a", "rec/*/*.wav"])
def test_file_of_two_rows_is_a_mistake_and_nothing_is_written(tmp_path: Path, make_wav: MakeWav, second: str) -> None:
    make_wav(tmp_path / "rec/a/1.wav")
    with pytest.raises(UserError, match=r"orchard.*barn|barn.*orchard"):
        _index(_site(tmp_path / "rec"), _site(tmp_path / second, "barn"), output=tmp_path / "out")
    assert not (tmp_path / "out/recordings.parquet").exists()


# what is known of a file


def test_good_file(tmp_path: Path, make_wav: MakeWav) -> None:
    comment = f"Recorded at 23:30:00 01/06/2024 (UTC+1) {BY} Recording stopped due to switch position change."
    samples = np.stack([_noise(1, 5000), _noise(2, 5000)], axis=1)
    path = make_wav(
        tmp_path / "rec/20240601_233000.WAV", samples, 384_000, comment=comment, guano="Loc Position:51.5 -2.4\nTE:1\n"
    )
    rows = _index(_site(path.parent, recorder="B", channel=2), output=tmp_path / "out")
    row = rows.iloc[0].to_dict()
    assert len(rows) == 1
    assert len(row.pop("recording")) == 16
    assert len(row.pop("digest")) == 20
    assert json.loads(row.pop("sources")) == {
        "position": "guano", "time_expansion": "guano", "make": "audiomoth", "model": "audiomoth", "serial": "audiomoth",
        "gain": "audiomoth", "trigger": "audiomoth", "temperature_c": "audiomoth", "battery_v": "audiomoth",
        "stop_reason": "audiomoth", "start": "audiomoth",
    }  # fmt: skip
    assert row.pop("start_utc") == datetime(2024, 6, 1, 22, 30, tzinfo=UTC)
    assert row.pop("warnings") == "metadata"
    assert row.pop("warning_detail") == "metadata: guano: GUANO|Version is missing"
    assert row == {
        "site": "orchard", "recorder": "B", "path": str(path), "size_bytes": path.stat().st_size,
        "modified_ns": path.stat().st_mtime_ns, "sidecar_ns": 0, "night": "2024-06-01",
        "start_local": "2024-06-01T23:30:00.000+01:00", "utc_offset_min": 60.0, "clock_source": "audiomoth",
        "format": "WAV PCM_16", "header_rate_hz": 384_000.0, "sample_rate_hz": 384_000.0, "time_expansion": 1.0,
        "channel": 2, "channels": 2, "samples": 5000, "readable_samples": 5000, "duration_s": 5000 / 384_000,
        "untriggered_s": 0.0, "make": "Open Acoustic Devices", "model": "AudioMoth", "serial": "24A04F08604F5C9A",
        "firmware": None, "gain": "medium", "trigger": "", "latitude": 51.5, "longitude": -2.4, "temperature_c": 11.3,
        "battery_v": 4.2, "stop_reason": "switch position change", "state": "indexed", "reason": "", "detail": "",
        "shard": "orchard_2024-06-01_b-00",
    }  # fmt: skip


def test_file_of_which_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    row = _index(_site(tmp_path), output=tmp_path / "out").iloc[0].dropna().to_dict()
    assert row | {"recording": "", "modified_ns": 0} == {
        "recording": "", "modified_ns": 0, "site": "orchard", "recorder": "1", "path": str(tmp_path / "a.wav"),
        "size_bytes": 0, "sidecar_ns": 0, "clock_source": "none", "time_expansion": 1.0, "channel": 1, "samples": 0,
        "readable_samples": 0, "duration_s": 0.0, "untriggered_s": 0.0, "sources": "{}", "warnings": "",
        "warning_detail": "", "digest": "", "state": "excluded", "reason": "empty", "detail": "no byte in it",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("guano", "sheet", "factor"), [("TE:10\n", 1.0, 10.0), ("", 10.0, 10.0), ("TE:8\n", 10.0, 10.0)]
)
def test_time_expansion_gives_the_real_rate(
    tmp_path: Path, make_wav: MakeWav, guano: str, sheet: float, factor: float
) -> None:
    make_wav(tmp_path / "rec/a.wav", _noise(1, 50_000), 38_400, guano=f"GUANO|Version:1.0\n{guano}")
    row = _index(_site(tmp_path / "rec", time_expansion=sheet), output=tmp_path / "out").iloc[0]
    assert (row["state"], row["sample_rate_hz"], row["time_expansion"]) == ("indexed", 38_400 * factor, factor)
    assert (row["header_rate_hz"], row["duration_s"]) == (38_400, pytest.approx(50_000 / 384_000))


def test_wamd_tells_that_a_file_was_slowed_down(tmp_path: Path, make_wav: MakeWav) -> None:
    wamd = struct.pack("<HIH HIH", 0, 2, 1, 0x0F, 2, 10)
    make_wav(tmp_path / "rec/a.wav", _noise(1), 38_400, after=[(b"wamd", wamd)])
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert (row["sample_rate_hz"], json.loads(row["sources"])) == (384_000, {"time_expansion": "wamd"})


def test_bad_files_are_rows_with_a_reason(tmp_path: Path, make_wav: MakeWav, wav_bytes: Callable[..., bytes]) -> None:
    rec = tmp_path / "rec"
    stereo = np.stack([_noise(1, 50_000), _noise(2, 50_000)], axis=1)
    make_wav(rec / "good.wav", stereo)
    make_wav(rec / "mono.wav", _noise(3, 50_000))
    make_wav(rec / "slow.wav", stereo, 48_000)
    make_wav(rec / "short.wav", stereo[:12_499])
    make_wav(rec / "just long enough.wav", stereo[:12_500])
    make_wav(rec / "short and slow.wav", stereo[:100], 48_000)
    make_wav(rec / "no samples.wav", stereo[:0])
    whole = wav_bytes(stereo[::-1])
    (rec / "cut.wav").write_bytes(whole[: 44 + 4 * 20_000])
    (rec / "cut to nearly nothing.wav").write_bytes(whole[: 44 + 4 * 1000])
    (rec / "cut to nothing.wav").write_bytes(whole[:44])
    (rec / "zero.wav").write_bytes(b"")
    (rec / "zeros.wav").write_bytes(bytes(100_000))
    (rec / "pointer_20240601_220000.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 5\n")
    (rec / "lost.wav").symlink_to(rec / "nowhere")
    (rec / "out.wav").symlink_to(make_wav(tmp_path / "elsewhere.wav", stereo))
    os.mkfifo(rec / "pipe.wav")
    rows = _index(_site(rec, channel=2), output=tmp_path / "out", min_duration=0.05)
    found = {
        Path(row.path).name: (row.state, row.reason, row.samples, row.readable_samples) for row in rows.itertuples()
    }
    assert found == {
        "good.wav": ("indexed", "", 50_000, 50_000),
        "just long enough.wav": ("indexed", "", 12_500, 12_500),
        "cut.wav": ("indexed", "", 50_000, 20_000),
        "mono.wav": ("excluded", "channel", 50_000, 50_000),
        "slow.wav": ("excluded", "sample_rate", 50_000, 50_000),
        "short.wav": ("excluded", "too_short", 12_499, 12_499),
        "short and slow.wav": ("excluded", "too_short", 100, 100),
        "no samples.wav": ("excluded", "empty", 0, 0),
        "cut to nearly nothing.wav": ("excluded", "truncated", 50_000, 1000),
        "cut to nothing.wav": ("excluded", "truncated", 50_000, 0),
        "zero.wav": ("excluded", "empty", 0, 0),
        "zeros.wav": ("excluded", "unreadable", 0, 0),
        "pointer_20240601_220000.wav": ("excluded", "unreadable", 0, 0),
        "lost.wav": ("excluded", "unreadable", 0, 0),
        "out.wav": ("excluded", "link", 0, 0),
        "pipe.wav": ("excluded", "empty", 0, 0),
    }
    assert (rows["shard"].notna() == (rows["state"] == "indexed")).all()
    assert (rows["detail"] != "").tolist() == (rows["state"] == "excluded").tolist()
    # its name still tells in which night something went wrong
    assert _row(rows, "pointer_20240601_220000.wav")["night"] == "2024-06-01"
    assert "text" in _row(rows, "pointer_20240601_220000.wav")["detail"]
    assert "zero bytes" in _row(rows, "zeros.wav")["detail"]
    assert "time_expansion" in _row(rows, "slow.wav")["detail"]


def test_link_is_followed_when_told_to(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "elsewhere/b.wav", _noise(1))
    make_wav(tmp_path / "rec/a.wav", _noise(2))
    (tmp_path / "rec/out").symlink_to(tmp_path / "elsewhere")
    states = [
        _index(_site(tmp_path / "rec"), output=tmp_path / "out", follow_links=follow)["state"].tolist()
        for follow in (False, True, False)
    ]
    assert states == [["indexed", "excluded"], ["indexed", "indexed"], ["indexed", "excluded"]]


@pytest.mark.parametrize(
    "guano", ["TE:inf", "TE:" + "9" * 400, "Timestamp:2024-06-01T22:00:00+99999999999999", "Timestamp:x", "no colon"]
)
def test_broken_metadata_are_no_reason_to_fail(tmp_path: Path, make_wav: MakeWav, guano: str) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", guano=f"GUANO|Version:1.0\n{guano}\n")
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert (row["night"], row["state"], row["duration_s"]) == ("2024-06-01", "indexed", pytest.approx(500 / 250_000))


@pytest.mark.parametrize(
    ("channel", "recorders", "reasons", "warned"),
    [
        (1, ["A"], [""], "channels_unused"),
        (2, ["A"], [""], ""),
        (4, ["A"], ["channel"], ""),
        (EACH_CHANNEL, ["A-ch1", "A-ch2", "A-ch3"], ["", "", ""], ""),
    ],
)
def test_many_channels(
    tmp_path: Path, make_wav: MakeWav, channel: int, recorders: list[str], reasons: list[str], warned: str
) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1, 1500).reshape(500, 3))
    rows = _index(_site(tmp_path / "rec", recorder="A", channel=channel), output=tmp_path / "out")
    assert rows["recorder"].tolist() == recorders
    assert rows["reason"].tolist() == reasons
    assert set(rows["warnings"]) == {warned}
    assert rows["recording"].is_unique
    assert rows["shard"].nunique() == len(recorders) - len([reason for reason in reasons if reason])


def test_files_of_one_channel_or_none_are_the_first_of_each(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1, 1000).reshape(500, 2))
    make_wav(tmp_path / "rec/20240601_230000.wav", _noise(2))
    (tmp_path / "rec/broken.wav").write_bytes(b"no audio")
    rows = _index(_site(tmp_path / "rec", recorder="A", channel=EACH_CHANNEL), output=tmp_path / "out")
    assert rows["recorder"].tolist() == ["A-ch1", "A-ch1", "A-ch1", "A-ch2"]


@pytest.mark.parametrize(
    ("name", "days_later", "told"),
    [
        ("20240601_220000.wav", 0, False),
        ("20240601_220000.wav", 300, False),
        ("20240601_220000.wav", -1, False),  # cards keep local time
        ("20240601_220000.wav", -2, True),
        ("20990601_220000.wav", None, True),
    ],
)
def test_recording_later_than_its_file_is_told(
    tmp_path: Path, make_wav: MakeWav, name: str, days_later: int | None, told: bool
) -> None:
    path = make_wav(tmp_path / "rec" / name)
    if days_later is not None:
        written = (datetime(2024, 6, 1, 21, tzinfo=UTC) + timedelta(days=days_later)).timestamp()
        os.utime(path, (written, written))
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert row["warnings"] == ("clock_future" if told else "")
    assert row["night"] == f"{name[:4]}-06-01"


def test_what_is_wrong_with_a_header_is_told(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1, 5000), promised=0)
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert (row["warnings"], row["warning_detail"], row["samples"]) == (
        "header_incomplete",
        "header_incomplete: ",
        5000,
    )


def test_every_warning_can_be_explained(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20241027_013000.wav", _noise(1, 1000).reshape(500, 2), guano="TE:x\nLength:9\n")
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    codes = row["warnings"].split(",")
    assert set(codes) == {"metadata", "length_disagrees", "clock_ambiguous", "channels_unused"} <= set(WARNINGS)
    assert [line.partition(": ")[0] for line in row["warning_detail"].split("\n")] == codes


# names


ODD = [
    "with blank 20240601_220000.wav", "br[ack]ets* ?.wav", "quotes ' \" `.wav", "new\nline.wav", "tab\t.wav",
    "\x1b[2J.wav", "Zürich コウモリ.wav", "e\u0301 decomposed.wav", "-rf.wav", "#%20;&|$(x).wav", "back\\slash.wav", " .wav",
    "a" * 251 + ".wav", "Case.wav", "case.wav", "CASE.WAV", "\u202egnp.wav",
]  # fmt: skip


def test_files_with_odd_names_are_files_like_others(tmp_path: Path, make_wav: MakeWav) -> None:
    for seed, name in enumerate(ODD):
        make_wav(tmp_path / "rec" / name, _noise(seed))
    for _ in range(2):  # the second time from memory
        rows = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
        assert sorted(Path(path).name for path in rows["path"]) == sorted(ODD)
        assert set(rows["state"]) == {"indexed"}
        assert rows["recording"].is_unique
    stored = read_table(tmp_path / "out/recordings.parquet")
    assert all(Path(path).is_file() for path in stored["path"])
    assert len(pd.read_csv(tmp_path / "out/shards.tsv", sep="\t")) == rows["shard"].nunique()


def test_name_that_is_not_utf8_is_a_row_with_a_reason(tmp_path: Path, make_wav: MakeWav) -> None:
    good = make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1))
    odd = os.fsencode(good.parent) + b"/Z\xfcrich_20240602_220000.wav"
    Path(os.fsdecode(odd)).write_bytes(good.read_bytes())
    # what is shown of the one is the name of the other
    double = make_wav(good.parent / "Z\\xfcrich_20240602_220000.wav", _noise(2))
    for _ in range(2):
        rows = _index(_site(good.parent), output=tmp_path / "out")
        assert rows["path"].tolist() == [str(good), str(double), str(double)]
        assert sorted(rows["reason"]) == ["", "", "name"]
        assert rows["recording"].is_unique
        (bad,) = rows[rows["reason"] == "name"].to_dict("records")
        assert (bad["state"], bad["night"]) == ("excluded", "2024-06-02")
        assert read_table(tmp_path / "out/recordings.parquet")["path"].tolist() == rows["path"].tolist()


@pytest.mark.parametrize("name", ["99991231_235959.wav", "23000101_000000.wav", "FFFFFFFF.wav"])
def test_clock_far_in_the_future_does_no_harm(tmp_path: Path, make_wav: MakeWav, name: str) -> None:
    make_wav(tmp_path / "rec" / name, _noise(1))
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(2))
    rows = _index(_site(tmp_path / "rec", timezone="Pacific/Auckland"), output=tmp_path / "out")
    assert len(rows) == 2
    assert _row(rows, "20240601_220000.wav")["night"] == "2024-06-01"


def test_clock_that_was_never_set_gives_no_night(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/19700101_000000.wav", _noise(1))
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert (row["night"], row["clock_source"], row["warnings"]) == (None, "none", "clock_unset")
    assert row["shard"] == "orchard_undated_1-00"


# originals


def _frozen(folder: Path) -> dict[Path, tuple[bytes, int, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in files}


def test_originals_are_never_written_to(tmp_path: Path, make_wav: MakeWav) -> None:
    for seed, name in enumerate(ODD):
        make_wav(tmp_path / "rec" / name, _noise(seed), promised=seed % 2 * 100, guano="TE:x")
    make_wav(tmp_path / "rec/copy.wav", _noise(0))
    (tmp_path / "rec/copy.xml").write_text("<BatRecord/>")
    (tmp_path / "rec/CONFIG.TXT").write_text("Device ID : 24A04F08604F5C9A\n")
    (tmp_path / "rec/cut.wav").write_bytes((tmp_path / "rec/copy.wav").read_bytes()[:100])
    before = _frozen(tmp_path / "rec")
    for path in (tmp_path / "rec").iterdir():
        path.chmod(0o444)
    (tmp_path / "rec").chmod(0o555)
    frozen = _frozen(tmp_path / "rec")
    try:
        for _ in range(2):
            rows = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    finally:
        (tmp_path / "rec").chmod(0o755)
    assert len(rows) == len(ODD) + 2
    assert _frozen(tmp_path / "rec") == frozen
    assert {path: told[:2] for path, told in frozen.items()} == {path: told[:2] for path, told in before.items()}


# nights and shards


def test_night_is_that_of_the_clock_at_the_site(tmp_path: Path, make_wav: MakeWav) -> None:
    for site, timezone in (("west", "America/Los_Angeles"), ("east", "Asia/Tokyo")):
        make_wav(tmp_path / site / "a.wav", guano="GUANO|Version:1.0\nTimestamp:2024-06-02T06:00:00Z\n")
        rows = _index(_site(tmp_path / site, timezone=timezone), output=tmp_path / "out")
        # 23:00 of the first of June in the west, 15:00 of the second in the east
        assert rows["night"].tolist() == ["2024-06-01" if site == "west" else "2024-06-02"]


def test_night_of_a_recorder_left_in_utc(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_043000.wav")
    site = {"timezone": "America/Los_Angeles"}
    rows = [_index(_site(tmp_path / "rec", **site, clock=clock), output=tmp_path / "out") for clock in ("", "UTC")]
    assert [row["start_local"][0] for row in rows] == ["2024-06-01T04:30:00.000-07:00", "2024-05-31T21:30:00.000-07:00"]
    assert [row["night"][0] for row in rows] == ["2024-05-31", "2024-05-31"]


@pytest.mark.parametrize(
    ("stamp", "zone", "offset"),
    [
        ("2024-06-01T22:00:00Z", LONDON, 60),
        ("2024-12-01T22:00:00+01:00", LONDON, 0),
        ("2024-06-01T22:00:00+02:00", "America/St_Johns", -150),
        ("2024-06-01T22:00:00", "Asia/Kathmandu", 345),
        ("2024-10-27T01:30:00+00:00", LONDON, 0),
    ],
)
def test_offset_is_that_of_the_site_whatever_the_recorder_was_set_to(
    tmp_path: Path, make_wav: MakeWav, stamp: str, zone: str, offset: float
) -> None:
    make_wav(tmp_path / "rec/a.wav", guano=f"GUANO|Version:1.0\nTimestamp:{stamp}\n")
    row = _index(_site(tmp_path / "rec", timezone=zone), output=tmp_path / "out").iloc[0]
    assert row["utc_offset_min"] == offset
    assert datetime.fromisoformat(row["start_local"]) == row["start_utc"]


def test_recorders_of_a_site_have_their_own_shards(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "A/20240601_220000.wav")
    make_wav(tmp_path / "B/20240601_220000.wav")
    rows = _index(_site(tmp_path / "A", recorder="A"), _site(tmp_path / "B", recorder="B"), output=tmp_path / "out")
    assert rows["shard"].nunique() == 2
    assert rows["recording"].nunique() == 2


def _recordings(starts: list[datetime], timezone: str) -> pa.Table:
    local = [start.astimezone(ZoneInfo(timezone)) for start in starts]
    columns = {
        "site": ["a"] * len(starts),
        "recorder": ["1"] * len(starts),
        "state": ["indexed"] * len(starts),
        "night": [night_of(when).isoformat() for when in local],
        "start_utc": starts,
        "utc_offset_min": [(when.utcoffset() or timedelta()) / timedelta(minutes=1) for when in local],
        "duration_s": [3600.0] * len(starts),
    }
    schema = pa.schema([RECORDINGS.field(name) for name in columns])
    return pa.table(columns, schema)


MOMENTS = st.datetimes(datetime(2024, 10, 24), datetime(2024, 10, 30), timezones=st.just(UTC))
ZONES = st.sampled_from([LONDON, "UTC", "America/St_Johns", "Pacific/Auckland"])


@given(st.lists(MOMENTS, min_size=2, max_size=12), ZONES, st.sampled_from([0.25, 1, 5, 12, 24, 100]))
def test_shard_is_one_night_and_so_many_hours(starts: list[datetime], timezone: str, hours: float) -> None:
    table = _recordings(starts, timezone)
    rows = table.to_pandas().assign(shard=assign_shards(table, hours))
    assert rows["shard"].notna().all()
    for shard, part in rows.groupby("shard"):
        assert part["night"].nunique() == 1
        assert str(shard).split("_")[1] == part["night"].iloc[0]
        # one hour more in the night in which the clocks go back
        longest = timedelta(hours=min(hours, 24) + 1)
        assert part["start_utc"].max() - part["start_utc"].min() < longest


@given(st.lists(MOMENTS, min_size=1, max_size=8), MOMENTS, ZONES, st.sampled_from([0.25, 1, 5, 24]), st.integers(0, 8))
def test_one_more_recording_moves_no_other(
    starts: list[datetime], added: datetime, timezone: str, hours: float, place: int
) -> None:
    before = assign_shards(_recordings(starts, timezone), hours)
    place = min(place, len(starts))
    after = assign_shards(_recordings([*starts[:place], added, *starts[place:]], timezone), hours)
    assert after[:place] + after[place + 1 :] == before


def test_recordings_without_a_time_are_cut_into_shards_too(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(10):
        make_wav(tmp_path / f"rec/REC{number:04d}.wav", _noise(number, 90_000), 90_000)  # 1 s
    rows = _index(_site(tmp_path / "rec"), output=tmp_path / "out", shard_hours=2.5 / 3600)
    assert rows["night"].isna().all()
    # a recording belongs to the shard in which it begins
    assert rows.groupby("shard")["duration_s"].sum().tolist() == [3.0, 2.0, 3.0, 2.0]
    assert rows["shard"].is_monotonic_increasing
    assert rows["shard"].str.startswith("orchard_undated_1-").all()


# the second time


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were opened, in any order."""
    names: list[str] = []
    probe = describe.probe

    def watch(path: Path) -> object:
        names.append(path.name)
        return probe(path)

    monkeypatch.setattr(describe, "probe", watch)
    return names


def _again(tmp_path: Path, opened: list[str], *sites: Deployment, **settings: object) -> list[str]:
    """Which files another index opens; what it writes is what one without memory would write."""
    opened.clear()
    _index(*sites, output=tmp_path / "out", **settings)
    names = sorted(opened)
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    _index(*sites, output=tmp_path / "fresh", **settings)
    assert _contents(tmp_path / "out") == _contents(tmp_path / "fresh")
    return names


def test_nothing_is_touched_when_nothing_changed(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("20240601_220000", "20240602_220000", "x"):
        make_wav(tmp_path / f"rec/{name}.wav")
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    before = [_state(tmp_path / "out" / name) for name in ("manifests", "sites", "logs")]
    contents = _contents(tmp_path / "out")
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert [_state(tmp_path / "out" / name) for name in ("manifests", "sites", "logs")] == before
    assert _contents(tmp_path / "out") == contents


def test_one_more_recording_touches_one_manifest(tmp_path: Path, make_wav: MakeWav) -> None:
    for site in ("orchard", "barn"):
        for name in ("20240601_220000", "20240602_030000", "20240602_220000", "20240603_220000"):
            make_wav(tmp_path / f"{site}/{name}.wav")
    deployments = [_site(tmp_path / site, site) for site in ("orchard", "barn")]
    _index(*deployments, output=tmp_path / "out")
    manifests, sites = _state(tmp_path / "out/manifests"), _state(tmp_path / "out/sites")
    make_wav(tmp_path / "orchard/20240602_000000.wav")
    _index(*deployments, output=tmp_path / "out")
    changed = dict(_state(tmp_path / "out/manifests").items() - manifests.items())
    assert set(changed) == {"orchard_2024-06-01_1-00.parquet"}
    assert set(_state(tmp_path / "out/manifests")) == set(manifests)
    assert set(dict(_state(tmp_path / "out/sites").items() - sites.items())) == {"orchard.parquet"}


def test_one_more_recorder_touches_no_manifest_of_the_others(tmp_path: Path, make_wav: MakeWav) -> None:
    sites = []
    for number, name in enumerate(("North wall/ 2", "B", "A")):
        make_wav(tmp_path / f"{number}/2024060{number + 1}_220000.wav", _noise(number))
        sites.append(_site(tmp_path / str(number), recorder=name))
    first, second, third = sites
    _index(first, second, output=tmp_path / "out")
    before = _state(tmp_path / "out/manifests")
    assert "orchard_2024-06-02_b-00.parquet" in before
    _index(third, first, second, output=tmp_path / "out")
    after = _state(tmp_path / "out/manifests")
    assert len(after) == 3 and before.items() < after.items()
    assert all(re.fullmatch(r"orchard_2024-06-0\d_[a-z0-9]+-00\.parquet", name) for name in after)


def test_recording_that_changed_changes_its_manifest(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("20240601_220000", "20240602_220000"):
        make_wav(tmp_path / f"rec/{name}.wav")
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    before = _state(tmp_path / "out/manifests")
    path = make_wav(tmp_path / "rec/20240601_220000.wav", np.ones(500, np.int16))
    os.utime(path, ns=(2 * 10**18, 2 * 10**18))
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    changed = dict(_state(tmp_path / "out/manifests").items() - before.items())
    assert set(changed) == {"orchard_2024-06-01_1-00.parquet"}


def test_recording_that_is_gone_takes_its_manifest_with_it(tmp_path: Path, make_wav: MakeWav) -> None:
    for site in ("orchard", "barn"):
        make_wav(tmp_path / f"{site}/20240601_220000.wav")
        make_wav(tmp_path / f"{site}/20240602_220000.wav")
    _index(_site(tmp_path / "orchard"), _site(tmp_path / "barn", "barn"), output=tmp_path / "out")
    (tmp_path / "orchard/20240602_220000.wav").unlink()
    _index(_site(tmp_path / "orchard"), output=tmp_path / "out")
    assert set(_state(tmp_path / "out/manifests")) == {"orchard_2024-06-01_1-00.parquet"}
    assert set(_state(tmp_path / "out/sites")) == {"orchard.parquet"}


@pytest.mark.parametrize("place", ["south", "south*", "*"])
@pytest.mark.parametrize("change", [{}, {"clock": "UTC"}])
def test_folder_that_held_recordings_and_is_empty_ends_the_index(
    tmp_path: Path, make_wav: MakeWav, place: str, change: dict[str, str]
) -> None:
    """As a mount point is with nothing mounted; what was known of its recordings stays."""
    for number, folder in enumerate(("north", "north", "south", "south")):
        make_wav(tmp_path / f"rec/{folder}/2024060{number + 1}_220000.wav", _noise(number))
    south = _site(tmp_path / "rec" / place, recorder="south")
    sites = [south] if place == "*" else [_site(tmp_path / "rec/north", recorder="north"), south]
    out = tmp_path / "out"
    _index(*sites, output=out)
    before = _contents(out)
    (tmp_path / "rec/south").rename(tmp_path / "disk")
    (tmp_path / "rec/south").mkdir()
    sites = [replace(site, **change) for site in sites]
    with pytest.raises(UserError, match=r"south: 2 recordings .*bring its disk back.*orchard\.parquet") as error:
        _index(*sites, output=out)
    assert "\n" not in str(error.value)
    assert _contents(out) == before
    (tmp_path / "rec/south").rmdir()
    (tmp_path / "disk").rename(tmp_path / "rec/south")
    assert len(_index(*sites, output=out)) == 4


def test_a_site_whose_folder_is_gone_ends_the_index(tmp_path: Path, make_wav: MakeWav) -> None:
    """Without a site sheet nothing but an earlier index knows of it."""
    rec, out = tmp_path / "rec", tmp_path / "out"
    command = ["index", "--recordings", str(rec), "--output", str(out)]
    for number, folder in enumerate(("north", "south")):
        make_wav(rec / folder / "20240601_220000.wav", _noise(number, 40_000))
    (rec / "empty").mkdir()
    assert CliRunner().invoke(app, command).exit_code == 0
    before = _contents(out)
    for folder in ("south", "empty"):
        (rec / folder).rename(tmp_path / folder)
    with pytest.raises(UserError, match=r"south: 1 recordings .*bring its disk back.*south\.parquet") as error:
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert "\n" not in str(error.value)
    assert _contents(out) == before
    # of another folder nothing was known
    assert (
        CliRunner().invoke(app, ["index", "--recordings", str(tmp_path / "south"), "--output", str(out)]).exit_code == 0
    )


def test_a_site_that_was_taken_away_on_purpose_can_be_left_out(tmp_path: Path, make_wav: MakeWav) -> None:
    rec, out = tmp_path / "rec", tmp_path / "out"
    command = ["index", "--recordings", str(rec), "--output", str(out)]
    for number, folder in enumerate(("north", "south")):
        make_wav(rec / folder / "20240601_220000.wav", _noise(number, 40_000))
    assert CliRunner().invoke(app, command).exit_code == 0
    shutil.rmtree(rec / "south")
    (out / "sites/south.parquet").unlink()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert set(_state(out / "sites")) == {"north.parquet"}


@pytest.mark.parametrize("way", ["sheet", "table"])
def test_recordings_that_were_taken_away_on_purpose_can_be_left_out(
    tmp_path: Path, make_wav: MakeWav, way: str
) -> None:
    sites = [_site(tmp_path / folder, recorder=folder) for folder in ("north", "south")]
    for number, folder in enumerate(("north", "south")):
        make_wav(tmp_path / folder / "20240601_220000.wav", _noise(number))
    _index(*sites, output=tmp_path / "out")
    (tmp_path / "south/20240601_220000.wav").unlink()
    if way == "table":
        (tmp_path / "out/sites/orchard.parquet").unlink()
    rows = _index(*(sites if way == "table" else sites[:1]), output=tmp_path / "out")
    assert rows["recorder"].tolist() == ["north"]


def test_folder_that_was_empty_from_the_start_stays_so(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "north/20240601_220000.wav")
    (tmp_path / "south").mkdir()
    (tmp_path / "south/elsewhere").symlink_to(tmp_path / "nowhere")
    sites = [_site(tmp_path / folder, recorder=folder) for folder in ("north", "south")]
    assert [len(_index(*sites, output=tmp_path / "out")) for _ in range(2)] == [2, 2]


def test_only_files_that_changed_are_opened(tmp_path: Path, make_wav: MakeWav, opened: list[str]) -> None:
    for number in range(5):
        make_wav(tmp_path / f"rec/2024060{number + 1}_220000.wav", _noise(number))
    make_wav(tmp_path / "rec/copy.wav", _noise(0))
    make_wav(tmp_path / "rec/slow.wav", _noise(9), 16_000)
    site = _site(tmp_path / "rec")
    assert len(_again(tmp_path, opened, site)) == 7
    assert _again(tmp_path, opened, site) == []
    longer = make_wav(tmp_path / "rec/20240601_220000.wav", _noise(0, 600))
    assert _again(tmp_path, opened, site) == [longer.name]
    os.utime(longer, ns=(2 * 10**18, 2 * 10**18))
    assert _again(tmp_path, opened, site) == [longer.name]
    make_wav(tmp_path / "rec/new.wav", _noise(2))
    assert _again(tmp_path, opened, site) == ["new.wav"]
    longer.unlink()
    assert _again(tmp_path, opened, site) == []
    assert _again(tmp_path, opened, site, workers=4, shard_hours=1.0) == []


def test_each_channel_is_remembered(tmp_path: Path, make_wav: MakeWav, opened: list[str]) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1, 1000).reshape(500, 2))
    site = _site(tmp_path / "rec", channel=EACH_CHANNEL)
    assert len(_again(tmp_path, opened, site)) == 1
    assert _again(tmp_path, opened, site) == []


def test_sidecar_that_changed_is_read_again(tmp_path: Path, make_wav: MakeWav, opened: list[str]) -> None:
    make_wav(tmp_path / "rec/12340001.wav")
    make_wav(tmp_path / "rec/12340002.wav")
    sidecar, site = tmp_path / "rec/12340001.xml", _site(tmp_path / "rec")

    def start() -> object:
        return _row(read_table(tmp_path / "out/recordings.parquet"), "12340001.wav")["start_local"]

    _again(tmp_path, opened, site)
    assert start() is None
    for number in (1, 2):
        sidecar.write_text(f"<BatRecord><DateTime>0{number}.06.2024 22:00:00</DateTime></BatRecord>")
        os.utime(sidecar, (1.7e9 + number, 1.7e9 + number))
        assert _again(tmp_path, opened, site) == ["12340001.wav"]
        assert start() == f"2024-06-0{number}T22:00:00.000+01:00"
    sidecar.unlink()
    assert _again(tmp_path, opened, site) == ["12340001.wav"]
    assert start() is None


@pytest.mark.parametrize(
    "change", [{"timezone": "Asia/Tokyo"}, {"clock": "UTC"}, {"clock_offset": 90.0}, {"time_expansion": 10.0},
               {"recorder": "B"}, {"channel": EACH_CHANNEL}],
)  # fmt: skip
def test_row_of_the_sheet_that_changed_opens_its_site_again(
    tmp_path: Path, make_wav: MakeWav, opened: list[str], change: dict[str, object]
) -> None:
    for site in ("A", "B"):
        make_wav(tmp_path / site / f"{site}_20240601_220000.wav", _noise(ord(site)))
    barn = _site(tmp_path / "B", "B")
    _again(tmp_path, opened, _site(tmp_path / "A", "A"), barn)
    assert _again(tmp_path, opened, _site(tmp_path / "A", "A", **change), barn) == ["A_20240601_220000.wav"]


@pytest.mark.parametrize("limits", [{"min_duration": 0.01}, {"min_sample_rate": 300_000}])
def test_limits_that_changed_are_held_to_every_file(
    tmp_path: Path, make_wav: MakeWav, opened: list[str], limits: dict[str, float]
) -> None:
    make_wav(tmp_path / "rec/a.wav")
    _again(tmp_path, opened, _site(tmp_path / "rec"))
    assert _again(tmp_path, opened, _site(tmp_path / "rec"), **limits) == ["a.wav"]
    assert read_table(tmp_path / "out/recordings.parquet")["state"].tolist() == ["excluded"]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "turned", "folder of another stage", "another version"])
def test_memory_that_is_damaged_is_made_anew(
    tmp_path: Path, make_wav: MakeWav, opened: list[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_wav(tmp_path / f"rec/{number}.wav", _noise(number))
    site = _site(tmp_path / "rec")
    _again(tmp_path, opened, site)
    memory = tmp_path / "out/sites/orchard.parquet"
    content = memory.read_bytes()
    if damage == "another version":
        monkeypatch.setitem(STAGE_VERSIONS, "index", 10_000)
    elif damage == "folder of another stage":
        shutil.copy(next((tmp_path / "out/manifests").iterdir()), memory)
    else:
        damaged = {"cut": content[:-200], "empty": b"", "text": b"no table", "turned": content[::-1]}
        memory.write_bytes(damaged[damage])
    assert len(_again(tmp_path, opened, site)) == 3


def test_memory_that_is_damaged_anywhere_is_not_believed(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(30):
        make_wav(tmp_path / f"rec/{number}.wav", _noise(number))
    whole = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    memory = tmp_path / "out/sites/orchard.parquet"
    content = memory.read_bytes()
    chance = random.Random(1)
    for _ in range(25):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        memory.write_bytes(damaged)
        pd.testing.assert_frame_equal(_index(_site(tmp_path / "rec"), output=tmp_path / "out"), whole)


def test_file_that_could_not_be_read_is_tried_again(
    tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wav(tmp_path / "rec/a.wav")
    with monkeypatch.context() as locked:

        def refuse(path: Path) -> None:
            raise AudioError("permission denied")

        locked.setattr(describe, "probe", refuse)
        rows = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert rows["reason"].tolist() == ["unreadable"]
    assert _index(_site(tmp_path / "rec"), output=tmp_path / "out")["reason"].tolist() == [""]


def test_however_a_survey_grows_its_index_is_that_of_a_new_one(
    tmp_path: Path, make_wav: MakeWav, opened: list[str]
) -> None:
    chance = random.Random(7)
    rec = tmp_path / "rec"
    site, other = _site(rec / "A", "A"), _site(rec / "B", "B", channel=EACH_CHANNEL)
    make_wav(rec / "A/x.wav")
    make_wav(rec / "B/x.wav")
    for step in range(12):
        files = sorted(path for path in rec.rglob("*.wav"))
        name = f"{chance.choice('AB')}/{chance.choice(['', 'deep/'])}202406{chance.randrange(1, 4):02d}_22000{step % 3}.wav"
        path = rec / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match chance.randrange(6):
            case 0 | 1:
                make_wav(path, _noise(chance.randrange(4), 500 * chance.randrange(1, 4)))
            case 2:
                shutil.copy2(chance.choice(files), path.with_name(f"copy{step}.wav"))
            case 3 if len(files) > 3:
                chance.choice(files).unlink()
            case 4:
                make_wav(path, _noise(step, 1000).reshape(500, 2), guano="Timestamp:2019-06-01T22:00:00Z")
            case _:
                chance.choice(files).with_suffix(".xml").write_text("<BatRecord><SN>7</SN></BatRecord>")
        _again(tmp_path, opened, site, other)
