"""What recordings say against each other: nothing is counted twice, and nothing is given up that is not a copy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from batpam.recordings.index import index
from batpam.survey import Deployment

MakeWav = Callable[..., Path]
RATE = 250_000
BY = "by AudioMoth 24A04F08604F5C9A at medium gain while battery was 4.2V and temperature was 11.3C."


def _noise(seed: int, seconds: float = 0.02, channels: int = 1) -> np.ndarray:
    shape = (round(seconds * RATE), channels) if channels > 1 else round(seconds * RATE)
    return np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)


def _site(folder: Path, site: str = "orchard", **what: object) -> Deployment:
    return Deployment(site, None, None, "Europe/London", str(folder), **what)  # type: ignore[arg-type]


def _index(tmp_path: Path, *sites: Deployment) -> pd.DataFrame:
    table = index(
        sites or [_site(tmp_path / "rec")], tmp_path / "out", shard_hours=24, min_sample_rate=90_000, min_duration=0
    )
    return table.to_pandas().astype({"path": str}).assign(name=lambda rows: [Path(path).name for path in rows["path"]])


def _copies(rows: pd.DataFrame) -> dict[str, str]:
    """Copies, and of what."""
    copies = rows[rows["reason"] == "duplicate"]
    assert copies["shard"].isna().all()
    return {
        row.name_: Path(row.detail.removeprefix("same audio as ")).name
        for row in copies.rename(columns={"name": "name_"}).itertuples()
    }


def _warned(rows: pd.DataFrame, code: str) -> list[str]:
    return sorted(row["name"] for _, row in rows.iterrows() if code in row["warnings"].split(","))


# the same audio twice


def test_copy_is_excluded_and_names_the_one_that_is_kept(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("a/20240601_220000.wav", "b/20240601_220000 (1).wav", "b/no time.wav"):
        make_wav(tmp_path / "rec" / name, _noise(1))
    make_wav(tmp_path / "rec/b/20240601_230000.wav", _noise(2))
    rows = _index(tmp_path)
    assert _copies(rows) == {"20240601_220000 (1).wav": "20240601_220000.wav", "no time.wav": "20240601_220000.wav"}
    assert rows.loc[rows["state"] == "indexed", "name"].tolist() == ["20240601_220000.wav", "20240601_230000.wav"]
    assert (rows["warnings"] == "").all()


def test_copy_at_another_site_is_a_copy(tmp_path: Path, make_wav: MakeWav) -> None:
    for site in ("barn", "orchard"):
        make_wav(tmp_path / site / "20240601_220000.wav", _noise(1))
    rows = _index(tmp_path, *(_site(tmp_path / site, site) for site in ("orchard", "barn")))
    assert rows.set_index("site")["state"].to_dict() == {"barn": "indexed", "orchard": "excluded"}


COPIES = {
    "edited metadata": lambda audio, path, make: make(path, audio, guano="Note:a bat\nTimestamp:2024-06-01T22:00:00"),
    "another comment": lambda audio, path, make: make(path, audio, comment=f"Recorded at 21:00:00 01/06/2024 (UTC) {BY}"),
    "another chunk before": lambda audio, path, make: make(path, audio, before=[(b"junk", bytes(1000))]),
    "wrong size": lambda audio, path, make: make(path, audio, promised=0),
    "FLAC": lambda audio, path, make: soundfile.write(path.with_suffix(".flac"), audio, RATE),
    "AIFF": lambda audio, path, make: soundfile.write(path.with_suffix(".aiff"), audio, RATE),
    "W64": lambda audio, path, make: soundfile.write(path.with_suffix(".w64"), audio, RATE, subtype="PCM_16"),
    "32 bits": lambda audio, path, make: soundfile.write(path, audio.astype(np.int32) << 16, RATE, subtype="PCM_32"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COPIES)
def test_copy_in_another_form_is_a_copy(tmp_path: Path, make_wav: MakeWav, kind: str) -> None:
    audio = _noise(1, 0.1)
    make_wav(tmp_path / "rec/a/20240601_220000.wav", audio, comment=f"Recorded at 21:00:00 01/06/2024 (UTC) {BY}")
    copy = tmp_path / "rec/b/20240601_220000.wav"
    copy.parent.mkdir()
    COPIES[kind](audio, copy, make_wav)
    rows = _index(tmp_path)
    assert len(rows) == 2
    assert rows["reason"].tolist() == ["", "duplicate"]


NO_COPIES = {
    "one sample differs": lambda audio: np.concatenate([audio[:20_000], [audio[20_000] ^ 1], audio[20_001:]]).astype(
        np.int16
    ),
    "one sample more": lambda audio: np.append(audio, audio[-1:]),
    "longer in the middle": lambda audio: np.insert(audio, 20_000, audio[20_000]),
    "louder": lambda audio: (2 * audio).astype(np.int16),
    "other ends": lambda audio: audio[::-1].copy(),
}


@pytest.mark.parametrize("kind", NO_COPIES)
@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_what_differs_in_one_sample_is_no_copy(tmp_path: Path, make_wav: MakeWav, kind: str, ending: str) -> None:
    audio = _noise(1, 0.2)
    make_wav(tmp_path / "rec/20240601_220000.wav", audio)
    soundfile.write(tmp_path / f"rec/20240601_220000 (1){ending}", NO_COPIES[kind](audio), RATE, subtype="PCM_16")
    rows = _index(tmp_path)
    assert rows["state"].tolist() == ["indexed"] * 2
    assert _warned(rows, "same_time") == sorted(rows["name"])


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(5000, np.int16),
        np.full(5000, -7, np.int16),
        np.concatenate([np.zeros(400_000), np.zeros(400_000)]).astype(np.int16),
        np.zeros(5000, np.float32),
    ],
    ids=["silence", "one value", "long silence", "silence in floating point"],
)
def test_silence_is_no_copy_of_silence(tmp_path: Path, make_wav: MakeWav, audio: np.ndarray) -> None:
    for name in ("20240601_220000.wav", "20240601_223000.wav", "20240601_223000 (1).wav"):
        make_wav(tmp_path / "rec" / name, audio, subtype="FLOAT")
    rows = _index(tmp_path)
    assert _copies(rows) == {}
    assert _warned(rows, "same_time") == ["20240601_223000 (1).wav", "20240601_223000.wav"]


def test_audio_between_stretches_of_silence_is_compared(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in (1, 2):
        audio = np.concatenate([np.zeros(5000), _noise(number), np.zeros(5000)]).astype(np.int16)
        for copy in ("", " (1)"):
            make_wav(tmp_path / f"rec/20240601_22000{number}{copy}.wav", audio)
    rows = _index(tmp_path)
    assert _copies(rows) == {
        "20240601_220001.wav": "20240601_220001 (1).wav", "20240601_220002.wav": "20240601_220002 (1).wav",
    }  # fmt: skip


@pytest.mark.parametrize("differs", [False, True])
def test_triggered_recording_and_what_it_expands_to_are_one(
    tmp_path: Path, make_wav: MakeWav, triggered_bytes: Callable[..., tuple[bytes, np.ndarray]], differs: bool
) -> None:
    audio = _noise(1, 0.1)[: 12 + 256 * 40]
    content, meant = triggered_bytes([audio, 1000, audio[12:], 500], RATE)
    meant[20] += differs
    make_wav(tmp_path / "rec/20240601_220000.WAV", meant)
    (tmp_path / "rec/20240601_220000T.WAV").write_bytes(content)
    rows = _index(tmp_path)
    assert rows["samples"].nunique() == 1
    assert _copies(rows) == ({} if differs else {"20240601_220000T.WAV": "20240601_220000.WAV"})


def test_file_that_was_cut_off_is_no_copy(tmp_path: Path, make_wav: MakeWav) -> None:
    whole = make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1, 0.1))
    (tmp_path / "rec/20240601_220000 (1).wav").write_bytes(whole.read_bytes()[:20_000])
    rows = _index(tmp_path)
    assert _copies(rows) == {}
    assert len(_warned(rows, "same_time")) == 2


def test_channels_of_one_file_are_no_copies_of_each_other(tmp_path: Path, make_wav: MakeWav) -> None:
    mono = _noise(1)
    for name in ("20240601_220000.wav", "copy.wav"):
        make_wav(tmp_path / "rec" / name, np.stack([mono, mono], axis=1))
    make_wav(tmp_path / "rec/20240601_230000.wav", _noise(2))
    rows = _index(tmp_path, _site(tmp_path / "rec", recorder="SM4", channel=0))
    found = list(zip(rows["name"], rows["recorder"], rows["channel"], rows["reason"], strict=True))
    assert found == [
        ("20240601_220000.wav", "SM4-ch1", 1, ""), ("20240601_230000.wav", "SM4-ch1", 1, ""),
        ("copy.wav", "SM4-ch1", 1, "duplicate"),
        ("20240601_220000.wav", "SM4-ch2", 2, ""), ("copy.wav", "SM4-ch2", 2, "duplicate"),
    ]  # fmt: skip
    assert (rows["warnings"] == "").all()
    assert rows["recording"].is_unique
    assert rows["shard"].nunique() == 2


def test_two_channels_of_a_file_at_two_sites_are_both_analysed(tmp_path: Path, make_wav: MakeWav) -> None:
    for site in ("A", "B"):
        make_wav(tmp_path / site / "20240601_220000.wav", _noise(1, channels=2))
    rows = _index(tmp_path, _site(tmp_path / "A", "A", channel=1), _site(tmp_path / "B", "B", channel=2))
    assert rows["state"].tolist() == ["indexed"] * 2


def test_what_is_excluded_anyway_is_no_original(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/a.wav", _noise(1), 48_000)
    make_wav(tmp_path / "rec/b.wav", _noise(1))
    assert _index(tmp_path).set_index("name")["reason"].to_dict() == {"a.wav": "sample_rate", "b.wav": ""}


def test_copy_of_a_file_that_is_gone_is_analysed(tmp_path: Path, make_wav: MakeWav) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        make_wav(tmp_path / "rec" / name, _noise(1))
    assert _copies(_index(tmp_path)) == {"b.wav": "a.wav", "c.wav": "a.wav"}
    (tmp_path / "rec/a.wav").unlink()
    assert _copies(_index(tmp_path)) == {"c.wav": "b.wav"}
    make_wav(tmp_path / "rec/b.wav", _noise(2, 0.03))
    rows = _index(tmp_path)
    assert _copies(rows) == {}
    assert rows["shard"].notna().all()


def test_comparison_is_made_once(tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.wav", "b.wav"):
        make_wav(tmp_path / "rec" / name, _noise(1))
    first = _index(tmp_path)
    monkeypatch.setattr("batpam.recordings.conflicts.same_audio", None)
    pd.testing.assert_frame_equal(_index(tmp_path), first)


def test_many_recordings_of_one_time_take_no_long_time(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(400):  # a clock that stood still
        make_wav(tmp_path / f"rec/{number:03d}.wav", _noise(number, 0.002), guano="Timestamp:2024-06-01T22:00:00Z")
    rows = _index(tmp_path)
    assert _copies(rows) == {}
    assert len(_warned(rows, "same_time")) == 400


# times that cannot both be right


@pytest.mark.parametrize(
    ("starts", "seconds", "overlapping"),
    [
        ([0, 10, 20], 10.0, []),
        ([0, 9, 20], 10.0, []),  # names are cut to the second
        ([0, 8, 20], 10.0, [8]),
        ([0, 1, 20, 25], 10.0, [1, 25]),
        ([0, 5, 9], 10.0, [5, 9]),
    ],
)
def test_overlap_is_told(
    tmp_path: Path, make_wav: MakeWav, starts: list[int], seconds: float, overlapping: list[int]
) -> None:
    for seed, start in enumerate(starts):
        # 100 times slowed down: long files of few samples
        make_wav(tmp_path / f"rec/20240601_2200{start:02d}.wav", _noise(seed, seconds / 100), 2500)
    rows = index(
        [_site(tmp_path / "rec")], tmp_path / "out", shard_hours=24, min_sample_rate=1000, min_duration=0
    ).to_pandas()  # fmt: skip
    rows["name"] = [Path(path).name for path in rows["path"]]
    assert _warned(rows, "overlap") == [f"20240601_2200{start:02d}.wav" for start in overlapping]
    assert set(rows["state"]) == {"indexed"}


def test_long_recording_overlaps_all_that_begin_in_it(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(0, 30), RATE)
    for number in (5, 10, 28, 40):
        make_wav(tmp_path / f"rec/20240601_2200{number:02d}.wav", _noise(number, 0.1))
    rows = _index(tmp_path)
    assert _warned(rows, "overlap") == ["20240601_220005.wav", "20240601_220010.wav", "20240601_220028.wav"]
    assert "begins 25 s before the one before it ends" in rows["warning_detail"].str.cat()


def test_recording_that_was_cut_off_ends_where_it_does(tmp_path: Path, make_wav: MakeWav) -> None:
    cut = make_wav(tmp_path / "rec/20240601_220000.wav", _noise(0, 10))
    cut.write_bytes(cut.read_bytes()[: 44 + 2 * RATE])
    make_wav(tmp_path / "rec/20240601_220002.wav", _noise(1))
    assert _warned(_index(tmp_path), "overlap") == []


@pytest.mark.parametrize("guano", [None, ("Serial:A", "Serial:B")])
def test_two_recorders_may_record_at_the_same_time(
    tmp_path: Path, make_wav: MakeWav, guano: tuple[str, str] | None
) -> None:
    for number, folder in enumerate("AB"):
        for second in range(2):
            told = guano[number] if guano else ""
            make_wav(
                tmp_path / f"{folder}/{folder}_20240601_22000{second}.wav", _noise(2 * number + second, 3), guano=told
            )
    sites = [_site(tmp_path / folder, recorder=folder) for folder in "AB"]
    rows = _index(tmp_path, *([_site(tmp_path / "[AB]")] if guano else sites))
    assert _warned(rows, "same_time") == []
    assert _warned(rows, "overlap") == ["A_20240601_220001.wav", "B_20240601_220001.wav"]


def test_pair_of_the_same_time_is_told_with_the_other_ones_name(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "rec/20240601_220000.wav", _noise(1))
    make_wav(tmp_path / "rec/20240601_220000\x1b[2J\n.wav", _noise(2, 0.03))
    rows = _index(tmp_path)
    (detail,) = rows.loc[rows["name"] == "20240601_220000.wav", "warning_detail"]
    assert detail == f"same_time: {tmp_path}/rec/20240601_220000\\x1b[2J\\n.wav"
    assert all(line.isprintable() for text in rows["warning_detail"] for line in text.split("\n"))


@pytest.mark.parametrize(
    ("days", "jumped"),
    [
        ({"2024": 5}, []),
        ({"2024": 5, "2021": 2}, ["2021"]),
        ({"2024": 5, "2021": 2, "2027": 1}, ["2021", "2027"]),
        ({"2024": 5, "2023": 2}, []),
        ({"2024": 3, "2021": 3}, ["2021", "2024"]),  # nobody can say which
        ({"2024": 1, "2021": 1}, []),
    ],
)
def test_clock_that_jumped_is_told(tmp_path: Path, make_wav: MakeWav, days: dict[str, int], jumped: list[str]) -> None:
    seed = 0
    for year, count in days.items():
        for day in range(1, count + 1):
            make_wav(tmp_path / f"rec/{year}06{day:02d}_220000.wav", _noise(seed := seed + 1))
    assert sorted({name[:4] for name in _warned(_index(tmp_path), "clock_jump")}) == jumped


def test_recorder_that_works_for_years_has_not_jumped(tmp_path: Path, make_wav: MakeWav) -> None:
    for year in range(2015, 2025):
        for month in (5, 9):
            make_wav(tmp_path / f"rec/{year}{month:02d}01_220000.wav", _noise(year * 20 + month))
    assert _warned(_index(tmp_path), "clock_jump") == []


def test_warnings_go_when_their_reason_goes(tmp_path: Path, make_wav: MakeWav) -> None:
    guano = "Timestamp:2024-06-01T22:00:00\nTE:x"
    make_wav(tmp_path / "rec/a.wav", _noise(1, 3), guano=guano)
    other = make_wav(tmp_path / "rec/b.wav", _noise(2, 3), guano=guano)
    late = make_wav(tmp_path / "rec/20240601_220001.wav", _noise(3))
    old = [make_wav(tmp_path / f"rec/2020060{day}_220000.wav", _noise(10 + day)) for day in range(1, 5)]
    rows = _index(tmp_path).set_index("name")
    assert rows.at["a.wav", "warnings"] == "metadata,same_time,clock_jump"
    assert rows.at["20240601_220001.wav", "warnings"] == "overlap,clock_jump"
    for path in (other, *old):
        path.unlink()
    rows = _index(tmp_path).set_index("name")
    assert rows["warnings"].to_dict() == {"a.wav": "metadata", "20240601_220001.wav": "overlap"}
    assert rows.at["a.wav", "warning_detail"].count("\n") == 0
    late.unlink()
    assert _index(tmp_path)["warnings"].tolist() == ["metadata"]


def test_batloggers_of_one_site_are_told_apart_by_their_numbers(tmp_path: Path, make_wav: MakeWav) -> None:
    xml = "<BatRecord><DateTime>01.06.2024 22:00:00</DateTime><SN>{}</SN></BatRecord>"
    for name in ("12340001", "56780001", "56780002"):
        make_wav(tmp_path / f"rec/{name}.wav", _noise(int(name)))
        (tmp_path / f"rec/{name}.xml").write_text(xml.format(name[:4]))
    assert _warned(_index(tmp_path), "same_time") == ["56780001.wav", "56780002.wav"]
