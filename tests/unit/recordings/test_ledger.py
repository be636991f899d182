"""The ledger: every sample of every file is analysed or excluded with a reason, or the run fails and names the file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batpam.errors import UserError
from batpam.recordings.index import index
from batpam.recordings.ledger import REASONS, check_coverage, ledger
from batpam.survey import Deployment
from batpam.tables import COVERAGE, DETECTIONS, LEDGER, SEGMENTS, provenance, read_table, write_table

MakeWav = Callable[..., Path]
CUT = "20240601_220000.wav"
WHOLE = "20240601_223000.wav"


class Survey:
    """An indexed site, and what the stages behind the index would have written about it."""

    def __init__(self, folder: Path, recordings: Path, *, min_duration: float = 0.0) -> None:
        self.folder = folder
        site = Deployment("orchard", None, None, "Europe/London", str(recordings))
        table = index([site], folder / "index", shard_hours=24, min_sample_rate=90_000, min_duration=min_duration)
        self.files = table.to_pandas().astype({"shard": object})
        for shard, part in self.files[self.files["shard"].notna()].groupby("shard"):
            self.cover(
                str(shard),
                [
                    {"recording": row.recording, "read_samples": row.readable_samples, "detail": ""}
                    for row in part.itertuples()
                ],
            )
            kept = [{"recording": r, "first_hop": 4, "last_hop": 20, "read_samples": 500} for r in part["recording"]]
            write_table(kept, SEGMENTS, folder / f"segments/{shard}.parquet", provenance("segment"))
            self.score(str(shard), 16 * len(kept))

    def shards(self) -> list[str]:
        return sorted(self.files["shard"].dropna().unique())

    def coverage(self, shard: str) -> Path:
        return self.folder / f"segments/{shard}.coverage.parquet"

    def cover(self, shard: str, rows: list[dict[str, Any]]) -> None:
        write_table(rows, COVERAGE, self.coverage(shard), provenance("segment"))

    def score(self, shard: str, hops: int) -> None:
        write_table([], DETECTIONS, self.folder / f"detections/{shard}.parquet", provenance("detect", hops_scored=hops))

    def recording(self, name: str) -> str:
        (found,) = (row.recording for row in self.files.itertuples() if Path(row.path).name == name)
        return str(found)

    def reconcile(self) -> pd.DataFrame:
        return ledger(
            "orchard",
            self.folder / "index/sites/orchard.parquet",
            self.folder / "segments",
            self.folder / "detections",
            self.folder / "ledger.parquet",
        )


@pytest.fixture
def survey(tmp_path: Path, make_wav: MakeWav, wav_bytes: Callable[..., bytes]) -> Survey:
    rec = tmp_path / "rec"
    for name in (WHOLE, "20240602_220000.wav", "no time.wav"):
        make_wav(rec / name, np.zeros(500, np.int16))
    (rec / CUT).write_bytes(wav_bytes(np.zeros(500, np.int16))[: 44 + 2 * 300])
    make_wav(rec / "20240601_230000 slow.wav", np.zeros(400, np.int16), 44_100)
    (rec / "20240601_233000.wav").write_bytes(b"")
    (rec / "20240601_234500.wav").write_bytes(b"no audio at all")
    (rec / os.fsdecode(b"\xff_20240603_220000.wav")).write_bytes(wav_bytes(np.zeros(500, np.int16)))
    return Survey(tmp_path, rec)


def _check_totals(rows: pd.DataFrame, files: pd.DataFrame) -> None:
    """What must hold of any ledger: all files, all samples, no overlap, a known reason for all that is excluded."""
    assert set(rows["recording"]) == set(files["recording"])
    for file in files.itertuples():
        part = rows[rows["recording"] == file.recording].sort_values("start_sample")
        assert part["samples"].sum() == file.samples, file.path
        assert (part["samples"] >= 0).all()
        ends = part["start_sample"] + part["samples"]
        assert part["start_sample"].tolist() == [0, *ends.tolist()[:-1]], file.path
    assert set(rows["state"]) <= {"analysed", "excluded"}
    excluded = rows["state"] == "excluded"
    assert set(rows.loc[excluded, "reason"]) <= set(REASONS)
    assert (rows.loc[~excluded, "reason"] == "").all()
    rate = rows.merge(files[["recording", "sample_rate_hz"]], on="recording")["sample_rate_hz"].to_numpy(float)
    for column, samples in (("start_s", "start_sample"), ("duration_s", "samples")):
        np.testing.assert_allclose(rows[column] * np.nan_to_num(rate), rows[samples] * np.isfinite(rate), atol=1e-6)


def test_stretch_begins_when_its_samples_were_recorded(survey: Survey) -> None:
    rows = survey.reconcile().set_index(["recording", "start_sample"])
    begins = pd.Timestamp("2024-06-01T21:00:00Z")
    assert rows.loc[(survey.recording(CUT), 0), "start_utc"] == begins
    assert rows.loc[(survey.recording(CUT), 300), "start_utc"] == begins + pd.Timedelta(300 / 250_000, "s")
    assert pd.isna(rows.loc[(survey.recording("no time.wav"), 0), "start_utc"])


def test_every_sample_is_accounted_for(survey: Survey) -> None:
    rows = survey.reconcile()
    _check_totals(rows, survey.files)
    found = sorted(
        (Path(row.path).name, row.state, row.reason, row.start_sample, row.samples) for row in rows.itertuples()
    )
    assert found == [
        (CUT, "analysed", "", 0, 300),
        (CUT, "excluded", "truncated", 300, 200),
        (WHOLE, "analysed", "", 0, 500),
        ("20240601_230000 slow.wav", "excluded", "sample_rate", 0, 400),
        ("20240601_233000.wav", "excluded", "empty", 0, 0),
        ("20240601_234500.wav", "excluded", "unreadable", 0, 0),
        ("20240602_220000.wav", "analysed", "", 0, 500),
        ("\\xff_20240603_220000.wav", "excluded", "name", 0, 0),
        ("no time.wav", "analysed", "", 0, 500),
    ]


def test_ledger_on_disk_is_what_is_returned(survey: Survey) -> None:
    rows = survey.reconcile()
    stored = read_table(survey.folder / "ledger.parquet")
    assert list(stored.columns) == LEDGER.names
    assert stored["samples"].tolist() == rows["samples"].tolist()
    assert stored["night"].fillna("").tolist() == rows["night"].fillna("").tolist()


def test_night_stays_with_what_was_excluded(survey: Survey) -> None:
    rows = survey.reconcile()
    nights = dict(zip((Path(path).name for path in rows["path"]), rows["night"].fillna("-"), strict=True))
    assert nights["20240601_234500.wav"] == "2024-06-01"
    assert nights["\\xff_20240603_220000.wav"] == "2024-06-03"
    assert nights["no time.wav"] == "-"


@pytest.mark.parametrize("read", [0, 1, 299])
def test_what_could_not_be_decoded_is_excluded_from_there_on(survey: Survey, read: int) -> None:
    shard = survey.shards()[0]
    rows = read_table(survey.coverage(shard)).to_dict("records")
    for row in rows:
        if row["recording"] == survey.recording(CUT):
            row |= {"read_samples": read, "detail": "lost sync"}
    survey.cover(shard, rows)
    table = survey.reconcile()
    _check_totals(table, survey.files)
    part = table[table["recording"] == survey.recording(CUT)]
    stretches = list(zip(part["state"], part["reason"], part["start_sample"], part["samples"], strict=True))
    assert stretches[-2:] == [("excluded", "unreadable", read, 300 - read), ("excluded", "truncated", 300, 200)]
    assert stretches[:-2] == ([("analysed", "", 0, read)] if read else [])
    assert "lost sync" in part["detail"].tolist()


@pytest.mark.parametrize("read", [301, 500, 501, 10**12, -1])
def test_coverage_that_cannot_be_fails_and_names_the_file(survey: Survey, read: int) -> None:
    shard = survey.shards()[0]
    rows = read_table(survey.coverage(shard)).to_dict("records")
    for row in rows:
        if row["recording"] == survey.recording(CUT):
            row["read_samples"] = read
    survey.cover(shard, rows)
    with pytest.raises(UserError, match=CUT):
        survey.reconcile()
    assert not (survey.folder / "ledger.parquet").exists()


def test_recording_that_was_never_read_fails_and_is_named(survey: Survey) -> None:
    shard = survey.shards()[0]
    rows = read_table(survey.coverage(shard)).to_dict("records")
    survey.cover(shard, [row for row in rows if row["recording"] != survey.recording(WHOLE)])
    with pytest.raises(UserError, match=WHOLE):
        survey.reconcile()


def test_recording_that_was_read_twice_fails_and_is_named(survey: Survey) -> None:
    shard = survey.shards()[0]
    rows = read_table(survey.coverage(shard)).to_dict("records")
    survey.cover(shard, [*rows, {"recording": survey.recording(WHOLE), "read_samples": 500, "detail": ""}])
    with pytest.raises(UserError, match=rf"{WHOLE}|{survey.recording(WHOLE)}"):
        survey.reconcile()


def test_recording_that_is_not_in_the_index_fails_and_is_named(survey: Survey) -> None:
    shard = survey.shards()[0]
    rows = read_table(survey.coverage(shard)).to_dict("records")
    survey.cover(shard, [*rows, {"recording": "feedfeedfeedfeed", "read_samples": 500, "detail": ""}])
    with pytest.raises(UserError, match="feedfeedfeedfeed"):
        survey.reconcile()


@pytest.mark.parametrize("hops", [0, 31, 33])
def test_segments_that_were_not_all_scored_fail(survey: Survey, hops: int) -> None:
    shard = survey.shards()[0]
    survey.score(shard, hops)
    with pytest.raises(UserError, match=shard):
        survey.reconcile()


@pytest.mark.parametrize("lost", ["segments/{}.parquet", "segments/{}.coverage.parquet", "detections/{}.parquet"])
def test_stage_that_wrote_nothing_fails_and_its_table_is_named(survey: Survey, lost: str) -> None:
    path = survey.folder / lost.format(survey.shards()[0])
    path.unlink()
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
        survey.reconcile()


@pytest.mark.parametrize("broken", ["segments/{}.parquet", "segments/{}.coverage.parquet", "detections/{}.parquet"])
def test_table_that_is_broken_fails_and_is_named(survey: Survey, broken: str) -> None:
    path = survey.folder / broken.format(survey.shards()[0])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
        survey.reconcile()


def test_site_without_any_file_has_an_empty_ledger(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "other/a.wav")
    (tmp_path / "dead").mkdir()
    sites = [Deployment(name, None, None, "UTC", str(tmp_path / name)) for name in ("other", "dead")]
    index(sites, tmp_path / "index", shard_hours=24, min_sample_rate=90_000, min_duration=0)
    where = tmp_path / "segments", tmp_path / "detections", tmp_path / "ledger.parquet"
    assert ledger("dead", tmp_path / "index/sites/dead.parquet", *where).empty
    assert read_table(tmp_path / "ledger.parquet").empty


def test_every_real_file_has_a_row(tmp_path: Path, real_recordings: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in real_recordings.rglob("*")}
    survey = Survey(tmp_path, real_recordings)
    rows = survey.reconcile()
    _check_totals(rows, survey.files)
    audio = {".wav", ".flac", ".aiff", ".mp3", ".ogg"}
    wanted = {str(path) for path in real_recordings.rglob("*") if path.suffix.lower() in audio}
    assert len(wanted) > 60
    assert set(rows["path"]) == wanted
    unreadable = rows[rows["path"].str.contains("/unreadable/")]
    assert (unreadable["state"] == "excluded").all()
    assert {path: path.stat().st_mtime_ns for path in real_recordings.rglob("*")} == before


# how much may be excluded


Row = tuple[str, str, int, float]
GOOD: Row = ("analysed", "", 90, 900.0)


def _totals(tmp_path: Path, *rows: Row) -> Path:
    lines = [
        f"{state},{reason},{files},{files},{seconds * 1000:.0f},{seconds}" for state, reason, files, seconds in rows
    ]
    path = tmp_path / "total.csv"
    path.write_text("\n".join(["state,reason,files,whole_files,samples,seconds", *lines]) + "\n")
    return path


def _verdict(tmp_path: Path, limit: float, *rows: Row) -> str:
    output = tmp_path / "verdict.txt"
    check_coverage(_totals(tmp_path, *rows), output, max_excluded_fraction=limit)
    return output.read_text()


@pytest.mark.parametrize(
    ("rows", "limit", "verdict"),
    [
        ([GOOD], 0.0, "0.0% of the files and 0.0% of the seconds"),
        ([GOOD, ("excluded", "truncated", 10, 100.0)], 0.1, "10.0% of the files and 10.0% of the seconds"),
        ([GOOD, ("excluded", "unreadable", 10, 0.0)], 0.1, "10.0% of the files and 0.0% of the seconds"),
        # of a file that is analysed in part, the rest counts in the seconds
        ([GOOD, ("excluded", "truncated", 0, 100.0)], 0.1, "0.0% of the files and 10.0% of the seconds"),
        # nothing is lost by a copy
        ([GOOD, ("excluded", "duplicate", 900, 9000.0)], 0.0, "0.0% of the files and 0.0% of the seconds"),
        ([("excluded", "unreadable", 3, 0.0)], 1.0, "100.0% of the files and 0.0% of the seconds"),
        ([("excluded", "sample_rate", 3, 0.3)], 1.0, "100.0% of the files and 100.0% of the seconds"),
        ([], 0.0, "0.0% of the files and 0.0% of the seconds"),
    ],
)
def test_survey_of_which_enough_is_analysed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[Row], limit: float, verdict: str
) -> None:
    assert verdict in _verdict(tmp_path, limit, *rows)
    assert verdict in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        ([GOOD, ("excluded", "truncated", 11, 0.0)], 0.1),
        ([GOOD, ("excluded", "truncated", 0, 100.1)], 0.1),
        ([GOOD, ("excluded", "unreadable", 1, 0.0)], 0.0),
        ([("excluded", "unreadable", 3, 0.0)], 0.99),
        ([GOOD, ("excluded", "link", 200, 0.0), ("excluded", "duplicate", 9000, 9e5)], 0.5),
    ],
)
def test_survey_of_which_too_much_is_excluded_fails(tmp_path: Path, rows: list[Row], limit: float) -> None:
    with pytest.raises(UserError, match=r"coverage\.max_excluded_fraction"):
        _verdict(tmp_path, limit, *rows)
    assert not (tmp_path / "verdict.txt").exists()


def test_failure_says_why_the_greatest_loss_first(tmp_path: Path) -> None:
    rows = (
        GOOD,
        ("excluded", "unreadable", 7, 0.0),
        ("excluded", "sample_rate", 80, 5000.0),
        ("excluded", "too_short", 9, 0.2),
    )
    with pytest.raises(UserError) as error:
        _verdict(tmp_path, 0.5, *rows)
    told = str(error.value)
    assert told.index("sample_rate 80 files") < told.index("too_short 9 files") < told.index("unreadable 7 files")
    assert "84.7% of the seconds" in told
    assert "50.0%" in told
    assert told.isprintable()
