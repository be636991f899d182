"""The index: every file is a row, belongs to one night and to one shard, and one more recording touches one shard."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.recordings.index import assign_shards, check_any, find_recordings, folders_of, index
from batpam.survey import UNDATED, Deployment, night_of
from batpam.tables import MANIFEST, RECORDINGS, read_table

LONDON = "Europe/London"
MakeWav = Callable[..., Path]


def _site(folder: Path | str, site: str = "orchard", **what: object) -> Deployment:
    return Deployment(site, None, None, str(what.pop("timezone", LONDON)), str(folder), **what)  # type: ignore[arg-type]


def _index(*deployments: Deployment, output: Path, shard_hours: float = 24.0, workers: int = 1) -> pd.DataFrame:
    return index(deployments, output, shard_hours=shard_hours, min_sample_rate=90_000, workers=workers)


def _row(table: pd.DataFrame, name: str) -> pd.Series:
    (position,) = np.flatnonzero([Path(path).name == name for path in table["path"]])
    return table.iloc[position]


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


# what is found


def test_every_file_that_is_named_as_audio_is_a_row(tmp_path: Path, make_wav: MakeWav) -> None:
    wanted = {"a.wav", "b.WAV", "deep/er/c.Wav", "d.flac", "e.mp3", "f.w4v", "x.wav/g.wav"}
    for name in wanted:
        make_wav(tmp_path / "rec" / name)
    for name in ("notes.txt", "SUMMARY.CSV", "wav", "h.wav.tmp", "._a.wav", "deep/._c.wav"):
        make_wav(tmp_path / "rec" / name)
    table = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert {str(Path(path).relative_to(tmp_path / "rec")) for path in table["path"]} == wanted
    assert table["recording"].is_unique


def test_tables_on_disk_are_what_is_returned(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(3):
        make_wav(tmp_path / f"rec/2024060{number + 1}_220000.wav")
    (tmp_path / "rec/broken.wav").write_bytes(b"no audio")
    table = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert list(table.columns) == RECORDINGS.names
    stored = read_table(tmp_path / "out/recordings.parquet")
    for column in ("recording", "path", "state", "reason", "samples", "readable_samples", "sample_rate_hz"):
        assert stored[column].fillna(-1).tolist() == table[column].fillna(-1).tolist()
    pd.testing.assert_frame_equal(read_table(tmp_path / "out/sites/orchard.parquet"), stored)
    manifests = [read_table(path) for path in sorted((tmp_path / "out/manifests").iterdir())]
    pd.testing.assert_frame_equal(
        pd.concat(manifests, ignore_index=True),
        stored[stored["state"] == "indexed"][MANIFEST.names].reset_index(drop=True),
    )


def test_list_of_shards_says_what_is_in_them(tmp_path: Path, make_wav: MakeWav) -> None:
    second = np.zeros(250_000, np.int16)
    for name in ("20240601_220000", "20240602_010000", "20240602_220000", "no time"):
        make_wav(tmp_path / f"rec/{name}.wav", second)
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


def test_number_of_workers_changes_nothing(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(20):
        make_wav(tmp_path / f"rec/20240601_2200{number:02d}.wav", guano="Timestamp:2024-06-01T22:00:00Z\n")
    for workers in (1, 5):
        _index(_site(tmp_path / "rec"), output=tmp_path / f"out{workers}", workers=workers)
    one, five = tmp_path / "out1", tmp_path / "out5"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 4
    assert [(one / path).read_bytes() for path in files] == [(five / path).read_bytes() for path in files]


def test_pattern_in_place_of_a_folder(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("a/20240601_220000T.WAV", "a/20240601_220000.WAV", "b/20240602_220000T.WAV", "b/deep/x_T.WAV"):
        make_wav(tmp_path / name)
    found = [path.relative_to(tmp_path) for path in find_recordings(_site(tmp_path / "*" / "*T.WAV"))]
    assert found == [Path("a/20240601_220000T.WAV"), Path("b/20240602_220000T.WAV")]
    assert [path.name for path in find_recordings(_site(tmp_path / "b*"))] == ["20240602_220000T.WAV", "x_T.WAV"]


def test_pattern_that_fits_a_folder_and_what_is_in_it_finds_every_file_once(tmp_path: Path, make_wav: MakeWav) -> None:
    wanted = [make_wav(tmp_path / name) for name in ("rec/a/20240601_220000.wav", "rec/b/c/20240602_220000.wav")]
    assert sorted(find_recordings(_site(tmp_path / "rec" / "**"))) == wanted


def test_folder_that_looks_like_a_pattern_is_a_folder(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "REC [-27.3866 152.8761]*?" / "a.wav")
    assert list(find_recordings(_site(path.parent))) == [path]


def test_folders_are_found_in_one_order_whatever_the_disk_says(tmp_path: Path, make_wav: MakeWav) -> None:
    names = ["b/z.wav", "b/a.wav", "a.wav", "a/b.wav", "c/c/c.wav"]
    for name in names:
        make_wav(tmp_path / name)
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(_site(tmp_path))]
    assert found == ["a.wav", "a/b.wav", "b/a.wav", "b/z.wav", "c/c/c.wav"]


def test_links_to_folders_are_not_followed(tmp_path: Path, make_wav: MakeWav) -> None:
    inside, outside = make_wav(tmp_path / "rec/a.wav"), make_wav(tmp_path / "elsewhere/b.wav")
    (tmp_path / "rec/round").symlink_to(tmp_path / "rec")
    (tmp_path / "rec/out").symlink_to(outside.parent)
    (tmp_path / "rec/c.wav").symlink_to(outside)
    assert list(find_recordings(_site(tmp_path / "rec"))) == [inside, tmp_path / "rec/c.wav"]


def test_pattern_finds_no_file_by_two_ways(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "rec/a/20240601_220000.wav")
    (tmp_path / "rec/round").symlink_to(tmp_path / "rec")
    assert list(find_recordings(_site(tmp_path / "rec" / "**"))) == [path]


def test_site_whose_folder_is_itself_a_link(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "disk/a.wav")
    (tmp_path / "rec").symlink_to(tmp_path / "disk")
    assert [path.name for path in find_recordings(_site(tmp_path / "rec"))] == ["a.wav"]


def test_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wav(tmp_path / "rec/good/a.wav")
    make_wav(tmp_path / "rec/locked/b.wav")
    scandir = os.scandir

    def refuse(path: object = ".") -> object:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises((UserError, PermissionError), match="locked"):
        list(find_recordings(_site(tmp_path / "rec")))


@pytest.mark.parametrize("place", ["nowhere", "no*where", "file.txt/x"])
def test_folder_that_is_not_there_is_named(tmp_path: Path, make_wav: MakeWav, place: str) -> None:
    make_wav(tmp_path / "a/b.wav")
    (tmp_path / "file.txt").touch()
    for ask in (folders_of, lambda deployment: list(find_recordings(deployment))):
        with pytest.raises(UserError, match="orchard") as error:
            ask(_site(tmp_path / place))
        assert str(tmp_path / place) in str(error.value)


def test_survey_without_a_recording_is_a_mistake(tmp_path: Path, make_wav: MakeWav) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").touch()
    with pytest.raises(UserError, match="empty"):
        _index(_site(tmp_path / "empty"), output=tmp_path / "out")
    make_wav(tmp_path / "full/a.wav")
    check_any([_site(tmp_path / "empty"), _site(tmp_path / "full", "other")])


def test_site_without_a_recording_has_an_empty_table(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "full/a.wav")
    (tmp_path / "empty").mkdir()
    _index(_site(tmp_path / "full"), _site(tmp_path / "empty", "dead"), output=tmp_path / "out")
    dead = read_table(tmp_path / "out/sites/dead.parquet")
    assert (len(dead), list(dead.columns)) == (0, RECORDINGS.names)


@pytest.mark.parametrize("second", ["rec", "rec/a", "rec/../rec", "link", "rec/*"])
def test_same_file_in_two_rows_is_a_mistake(tmp_path: Path, make_wav: MakeWav, second: str) -> None:
    make_wav(tmp_path / "rec/a/20240601_220000.wav")
    (tmp_path / "link").symlink_to(tmp_path / "rec")
    with pytest.raises(
        UserError, match=r"20240601_220000\.wav belongs to site orchard \(recorder 1\) and to site barn"
    ):
        _index(_site(tmp_path / "rec"), _site(tmp_path / second, "barn"), output=tmp_path / "out")
    assert not (tmp_path / "out/recordings.parquet").exists()


# what is known of a file


def test_good_file(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "rec/SM4_20240601_233000.wav", np.zeros((5000, 2), np.int16), 384_000)
    table = _index(_site(path.parent, recorder="B", channel=2), output=tmp_path / "out")
    row = table.iloc[0].to_dict()
    assert len(table) == 1
    assert len(row.pop("recording")) == 16
    assert row.pop("start_utc") == datetime(2024, 6, 1, 22, 30, tzinfo=UTC)
    assert row == {
        "site": "orchard", "recorder": "B", "path": str(path), "size_bytes": 20_044,
        "modified_ns": path.stat().st_mtime_ns, "night": "2024-06-01", "utc_offset_min": 60.0, "clock_source": "name",
        "sample_rate_hz": 384_000.0, "time_expansion": 1.0, "channel": 2, "channels": 2, "samples": 5000,
        "readable_samples": 5000, "duration_s": 5000 / 384_000, "state": "indexed", "reason": "", "detail": "",
        "shard": "orchard_2024-06-01_1-00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("guano", "sheet", "factor"), [("TE:10\n", 1.0, 10.0), ("", 10.0, 10.0), ("TE:8\n", 10.0, 10.0)]
)
def test_time_expansion_gives_the_real_rate(
    tmp_path: Path, make_wav: MakeWav, guano: str, sheet: float, factor: float
) -> None:
    make_wav(tmp_path / "rec/a.wav", np.zeros(50_000, np.int16), 38_400, guano=f"GUANO|Version:1.0\n{guano}")
    row = _index(_site(tmp_path / "rec", time_expansion=sheet), output=tmp_path / "out").iloc[0]
    assert (row["state"], row["sample_rate_hz"], row["time_expansion"]) == ("indexed", 38_400 * factor, factor)
    assert row["duration_s"] == pytest.approx(50_000 / 384_000)


def test_bad_files_are_rows_with_a_reason(tmp_path: Path, make_wav: MakeWav, wav_bytes: Callable[..., bytes]) -> None:
    rec = tmp_path / "rec"
    make_wav(rec / "good.wav", np.zeros((5000, 2), np.int16))
    make_wav(rec / "mono.wav", np.zeros(5000, np.int16))
    make_wav(rec / "slow.wav", np.zeros((5000, 2), np.int16), 48_000)
    make_wav(rec / "no samples.wav", np.zeros((0, 2), np.int16))
    whole = wav_bytes(np.zeros((5000, 2), np.int16))
    (rec / "cut.wav").write_bytes(whole[: 44 + 4 * 1000])
    (rec / "header.wav").write_bytes(whole[:44])
    (rec / "zero.wav").write_bytes(b"")
    (rec / "pointer_20240601_220000.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 5\n")
    (rec / "lost.wav").symlink_to(rec / "nowhere")
    table = _index(_site(rec, channel=2), output=tmp_path / "out")
    found = {
        Path(row.path).name: (row.state, row.reason, row.samples, row.readable_samples) for row in table.itertuples()
    }
    assert found == {
        "good.wav": ("indexed", "", 5000, 5000),
        "cut.wav": ("indexed", "", 5000, 1000),
        "mono.wav": ("excluded", "channel", 5000, 5000),
        "slow.wav": ("excluded", "sample_rate", 5000, 5000),
        "no samples.wav": ("excluded", "empty", 0, 0),
        "header.wav": ("excluded", "truncated", 5000, 0),
        "zero.wav": ("excluded", "empty", 0, 0),
        "pointer_20240601_220000.wav": ("excluded", "unreadable", 0, 0),
        "lost.wav": ("excluded", "unreadable", 0, 0),
    }
    assert (table["shard"].notna() == (table["state"] == "indexed")).all()
    assert (table["detail"] != "").tolist() == (table["state"] == "excluded").tolist()
    # its name still tells in which night something went wrong
    assert _row(table, "pointer_20240601_220000.wav")["night"] == "2024-06-01"


@pytest.mark.parametrize(
    "guano", ["TE:inf", "TE:" + "9" * 400, "Timestamp:2024-06-01T22:00:00+99999999999999", "Timestamp:x", "no colon"]
)
def test_broken_metadata_are_no_reason_to_fail(tmp_path: Path, make_wav: MakeWav, guano: str) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", guano=f"GUANO|Version:1.0\n{guano}\n")
    row = _index(_site(tmp_path / "rec"), output=tmp_path / "out").iloc[0]
    assert row["night"] == "2024-06-01"
    assert row["state"] == "excluded" or row["duration_s"] == pytest.approx(500 / 250_000)


ODD = [
    "with blank 20240601_220000.wav",
    "br[ack]ets* ?.wav",
    "quotes ' \" `.wav",
    "new\nline.wav",
    "tab\t.wav",
    "Zürich コウモリ.wav",
    "e\u0301 decomposed.wav",
    "-rf.wav",
    "#%20;&|$(x).wav",
    "back\\slash.wav",
    " .wav",
    "a" * 240 + ".wav",
]


def test_files_with_odd_names_are_files_like_others(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ODD:
        make_wav(tmp_path / "rec" / name)
    table = _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert sorted(Path(path).name for path in table["path"]) == sorted(ODD)
    assert set(table["state"]) == {"indexed"}
    stored = read_table(tmp_path / "out/recordings.parquet")
    assert all(Path(path).is_file() for path in stored["path"])
    assert len(pd.read_csv(tmp_path / "out/shards.tsv", sep="\t")) == table["shard"].nunique()


def test_name_that_is_not_utf8_is_a_row_with_a_reason(tmp_path: Path, make_wav: MakeWav) -> None:
    good = make_wav(tmp_path / "rec/20240601_220000.wav")
    odd = os.fsencode(good.parent) + b"/Z\xfcrich_20240602_220000.wav"
    Path(os.fsdecode(odd)).write_bytes(good.read_bytes())
    table = _index(_site(good.parent), output=tmp_path / "out")
    (bad,) = table[table["path"] != str(good)].to_dict("records")
    assert (bad["state"], bad["reason"], bad["night"]) == ("excluded", "name", "2024-06-02")
    assert "Z\\xfcrich" in bad["path"]
    assert read_table(tmp_path / "out/recordings.parquet")["path"].tolist() == table["path"].tolist()


@pytest.mark.parametrize("name", ["99991231_235959.wav", "23000101_000000.wav", "FFFFFFFF.wav"])
def test_clock_far_in_the_future_does_no_harm(tmp_path: Path, make_wav: MakeWav, name: str) -> None:
    make_wav(tmp_path / "rec" / name)
    make_wav(tmp_path / "rec/20240601_220000.wav")
    table = _index(_site(tmp_path / "rec", timezone="Pacific/Auckland"), output=tmp_path / "out")
    assert len(table) == 2
    assert _row(table, "20240601_220000.wav")["night"] == "2024-06-01"


# nights and shards


def test_night_is_that_of_the_clock_at_the_site(tmp_path: Path, make_wav: MakeWav) -> None:
    for site, timezone in (("west", "America/Los_Angeles"), ("east", "Asia/Tokyo")):
        make_wav(tmp_path / site / "a.wav", guano="GUANO|Version:1.0\nTimestamp:2024-06-02T06:00:00Z\n")
        table = _index(_site(tmp_path / site, timezone=timezone), output=tmp_path / "out")
        # 23:00 of the first of June in the west, 15:00 of the second in the east
        assert table["night"].tolist() == ["2024-06-01" if site == "west" else "2024-06-02"]


def test_recorders_of_a_site_have_their_own_shards(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "A/20240601_220000.wav")
    make_wav(tmp_path / "B/20240601_220000.wav")
    table = _index(_site(tmp_path / "A", recorder="A"), _site(tmp_path / "B", recorder="B"), output=tmp_path / "out")
    assert table["shard"].nunique() == 2
    assert table["recording"].nunique() == 2


def test_nothing_is_touched_when_nothing_changed(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("20240601_220000", "20240602_220000", "x"):
        make_wav(tmp_path / f"rec/{name}.wav")
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    before = [_state(tmp_path / "out" / name) for name in ("manifests", "sites")]
    contents = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    assert [_state(tmp_path / "out" / name) for name in ("manifests", "sites")] == before
    assert {path: path.read_bytes() for path in contents} == contents


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


def test_recording_that_changed_changes_its_manifest(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("20240601_220000", "20240602_220000"):
        make_wav(tmp_path / f"rec/{name}.wav")
    _index(_site(tmp_path / "rec"), output=tmp_path / "out")
    before = _state(tmp_path / "out/manifests")
    path = make_wav(tmp_path / "rec/20240601_220000.wav", np.ones(500, np.int16))
    os.utime(path, ns=(10**18, 10**18))
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


def _recordings(starts: list[datetime], timezone: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "site": "a",
            "recorder": "1",
            "path": [f"{start:%Y%m%d_%H%M%S}_{number}.wav" for number, start in enumerate(starts)],
            "state": "indexed",
            "night": [night_of(start.astimezone(ZoneInfo(timezone))).isoformat() for start in starts],
            "start_utc": starts,
            "duration_s": 3600.0,
        }
    )


MOMENTS = st.datetimes(datetime(2024, 10, 24), datetime(2024, 10, 30), timezones=st.just(UTC))
ZONES = st.sampled_from([LONDON, "UTC", "America/St_Johns", "Pacific/Auckland"])


@given(st.lists(MOMENTS, min_size=2, max_size=12), ZONES, st.sampled_from([0.25, 1, 5, 12, 24, 100]))
def test_shard_is_one_night_and_so_many_hours(starts: list[datetime], timezone: str, hours: float) -> None:
    table = _recordings(starts, timezone)
    table["shard"] = assign_shards(table, {"a": timezone}, hours)
    assert table["shard"].notna().all()
    for shard, part in table.groupby("shard"):
        assert part["night"].nunique() == 1
        assert str(shard).split("_")[1] == part["night"].iloc[0]
        # one hour more in the night in which the clocks go back
        longest = timedelta(hours=min(hours, 24) + 1)
        assert part["start_utc"].max() - part["start_utc"].min() < longest


@given(st.lists(MOMENTS, min_size=1, max_size=8), MOMENTS, ZONES, st.sampled_from([0.25, 1, 5, 24]), st.integers(0, 8))
def test_one_more_recording_moves_no_other(
    starts: list[datetime], added: datetime, timezone: str, hours: float, place: int
) -> None:
    before = assign_shards(_recordings(starts, timezone), {"a": timezone}, hours)
    place = min(place, len(starts))
    after = assign_shards(_recordings([*starts[:place], added, *starts[place:]], timezone), {"a": timezone}, hours)
    assert after[:place] + after[place + 1 :] == before


def test_recordings_without_a_time_are_cut_into_shards_too(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(10):
        make_wav(tmp_path / f"rec/REC{number:04d}.wav", np.zeros(90_000, np.int16), 90_000)  # 1 s
    table = _index(_site(tmp_path / "rec"), output=tmp_path / "out", shard_hours=2.5 / 3600)
    assert table["night"].isna().all()
    # a recording belongs to the shard in which it begins
    assert table.groupby("shard")["duration_s"].sum().tolist() == [3.0, 2.0, 3.0, 2.0]
    assert table["shard"].is_monotonic_increasing
    assert table["shard"].str.startswith("orchard_undated_1-").all()
