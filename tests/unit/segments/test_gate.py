"""The gate: calls are kept, silence and noise are dropped, and what is kept is laid out on the hops of the recording."""

import io
import os
import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.segments.gate import CHUNK_S, loud_stretches, screen_recordings, segment, to_segments
from batpam.segments.spectra import chunk_spectra
from batpam.tables import MANIFEST, provenance, read_origin, read_table, write_table

SETTINGS = {"f_min": 10_000.0, "threshold_db": 9.0}
HOP, PADDING = 0.0005, 0.2
RATE = 250_000
NOISE = 0.003
MakeWav = Callable[..., Path]


def _noise(seconds: float, rate: int = RATE, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, NOISE, round(seconds * rate)).astype(np.float32)


def _call(kind: str, rate: int = RATE) -> np.ndarray:
    """A call of amplitude 1: a steep sweep, a sweep with a flat end, or a long tone."""
    duration, curve = {
        "fm": (0.003, lambda u: 90e3 - 50e3 * u),
        "fm-qcf": (0.006, lambda u: 46e3 + 40e3 * np.exp(-u / 0.12)),
        "cf": (0.05, lambda u: 82e3 + 0 * u),
        "qcf": (0.018, lambda u: 22e3 - 2e3 * u),
    }[kind]
    u = np.arange(round(duration * rate)) / round(duration * rate)
    phase = 2 * np.pi * np.cumsum(curve(u)) / rate
    return (np.sin(phase) * np.hanning(len(u))).astype(np.float32)


def _add(samples: np.ndarray, call: np.ndarray, at: float, snr_db: float, rate: int = RATE) -> tuple[float, float]:
    """Add a call; ``snr_db`` is its loudest instant over the noise in a band of 1 kHz."""
    amplitude = np.sqrt(2 * NOISE**2 * 1000 / (rate / 2) * 10 ** (snr_db / 10))
    start = round(at * rate)
    samples[start : start + len(call)] += amplitude * call
    return start / rate, (start + len(call)) / rate


def _kept(
    samples: np.ndarray, rate: float = RATE, *, padding: float = 0.0, **settings: float
) -> list[tuple[float, float]]:
    """Seconds that are kept of a chunk."""
    settings = {**SETTINGS, **settings}
    flagged = loud_stretches(chunk_spectra(samples, rate, min(settings["f_min"], 5000.0)), **settings)
    return [(a * HOP, b * HOP) for a, b in to_segments(flagged, rate, len(samples), hop=HOP, padding=padding)]


def _share(kept: list[tuple[float, float]], start: float, end: float) -> float:
    """Which share of a stretch is kept."""
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in kept) / (end - start)


class Shard:
    """Recordings, their manifest, and what the gate makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, list[dict[str, Any]]()

    def add(self, path: Path, samples: int, rate: float = RATE, channel: int = 1) -> str:
        recording, status = path.stem, path.stat()
        self.rows.append(
            {
                "recording": recording, "site": "a", "recorder": "1", "path": str(path),
                "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns,
                "night": None, "start_utc": None, "sample_rate_hz": rate, "time_expansion": 1.0, "channel": channel,
                "samples": samples, "readable_samples": samples, "untriggered_s": 0.0,
                "make": None, "trigger": None,
            }
        )  # fmt: skip
        return recording

    def run(self, **settings: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        manifest = self.folder / "manifest.parquet"
        write_table(self.rows, MANIFEST, manifest, provenance("index"))
        paths = [self.folder / f"{name}.parquet" for name in ("segments", "coverage", "sound")]
        segment(manifest, *paths, **{"hop": HOP, "padding": PADDING, **SETTINGS, **settings})
        return read_table(paths[0]), read_table(paths[1])


# calls are kept


@pytest.mark.parametrize(
    ("kind", "snr_db"),
    [
        *[(kind, snr) for kind in ("fm", "fm-qcf", "cf", "qcf") for snr in (26, 30, 40, 60)],
        # the less of the spectrum a call sweeps, the fainter it may be
        ("fm-qcf", 20),
        ("qcf", 18),
        ("cf", 16),
    ],
)
@pytest.mark.parametrize("rate", [192_000, 384_000, 500_000])
def test_call_is_kept(kind: str, snr_db: float, rate: int) -> None:
    samples = _noise(CHUNK_S, rate)
    start, end = _add(samples, _call(kind, rate), 0.7123, snr_db, rate)
    middle = (start + end) / 2
    assert _share(_kept(samples, rate), middle - 0.001, middle + 0.001) > 0.9
    # with the padding of the default, all of it
    assert _share(_kept(samples, rate, padding=PADDING), start, end) == pytest.approx(1)


@pytest.mark.parametrize("at", [0.0, 0.0003, CHUNK_S - 0.0031, CHUNK_S - 0.004])
def test_call_at_the_edge_of_a_chunk_is_kept(at: float) -> None:
    samples = _noise(CHUNK_S)
    start, end = _add(samples, _call("fm"), at, 30)
    assert _share(_kept(samples, padding=PADDING), start, end) == pytest.approx(1)


@pytest.mark.parametrize("before", [0.0005, 0.0015, 0.0025])
def test_call_across_two_chunks_is_kept(tmp_path: Path, make_wav: MakeWav, before: float) -> None:
    samples = _noise(2 * CHUNK_S)
    start, end = _add(samples, _call("fm"), CHUNK_S - before, 30)
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "a.wav", samples, subtype="FLOAT"), len(samples))
    segments, _ = shard.run()
    assert _share(list(zip(segments["start_s"], segments["end_s"], strict=True)), start, end) == pytest.approx(1)


def test_calls_that_fill_half_of_the_time_are_all_kept() -> None:
    # a horseshoe bat that hangs beside the microphone: even tones of 60 ms
    samples = _noise(CHUNK_S)
    tone = np.sin(2 * np.pi * 82e3 * np.arange(round(0.06 * RATE)) / RATE).astype(np.float32)
    calls = [_add(samples, tone, at, 40) for at in np.arange(0, CHUNK_S - 0.06, 0.11)]
    kept = _kept(samples)
    assert sum(end - start for start, end in calls) > 0.5 * CHUNK_S
    assert min(_share(kept, start + 0.001, end - 0.001) for start, end in calls) == pytest.approx(1)


def test_call_is_kept_where_it_is_in_a_long_recording(tmp_path: Path, make_wav: MakeWav) -> None:
    samples = np.zeros(round(3.5 * CHUNK_S * RATE), np.float32)
    calls = [_add(samples, _call("fm-qcf"), at, 40) for at in (0.5, 2.7, 6.9)]
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "a.wav", samples, subtype="FLOAT"), len(samples))
    segments, _ = shard.run(padding=0.1)
    for (start, end), found in zip(calls, segments.itertuples(), strict=True):
        assert start - 0.11 < found.start_s < start - 0.09
        assert end + 0.09 < found.end_s < end + 0.11
    assert segments["first_hop"].tolist() == [round(start / HOP) for start in segments["start_s"]]


def test_faint_call_beside_a_loud_one_is_kept() -> None:
    samples = _noise(CHUNK_S)
    _add(samples, _call("qcf"), 0.5, 80)
    start, end = _add(samples, _call("fm-qcf"), 1.5, 22)
    assert _share(_kept(samples, padding=0.01), start, end) == pytest.approx(1)


def test_call_in_digital_silence_is_kept() -> None:
    samples = np.zeros(round(CHUNK_S * RATE), np.float32)
    start, end = _add(samples, _call("fm-qcf"), 1.0, 20)
    assert _share(_kept(samples, padding=0.01), start, end) == pytest.approx(1)


@pytest.mark.parametrize("length", [1, 10, 300, 700, 1200])
def test_recording_too_short_to_tell_is_kept(length: int) -> None:
    (kept,) = _kept(_noise(1)[:length], padding=PADDING)
    assert kept[0] == 0
    assert kept[1] * RATE >= length


# silence and noise are dropped


@pytest.mark.parametrize("seconds", [0.1, 1, CHUNK_S])
def test_silence_gives_nothing_and_no_warning(seconds: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _kept(np.zeros(round(seconds * RATE), np.float32)) == []


@pytest.mark.parametrize("rate", [192_000, 250_000, 256_000, 312_500, 384_000, 441_000, 500_000])
def test_noise_is_mostly_dropped(rate: int) -> None:
    kept = [_kept(_noise(CHUNK_S, rate, seed), rate, padding=PADDING) for seed in range(3)]
    assert sum(_share(chunk, 0, CHUNK_S) for chunk in kept) / 3 < 0.25


def test_noise_that_falls_with_frequency_is_mostly_dropped() -> None:
    rate, kept = 500_000, []
    falls = 1 / (1 + np.fft.rfftfreq(round(CHUNK_S * rate), 1 / rate) / 20_000) ** 2
    for seed in range(3):
        samples = np.fft.irfft(np.fft.rfft(_noise(CHUNK_S, rate, seed)) * falls).astype(np.float32)
        kept.append(_share(_kept(samples, rate, padding=PADDING), 0, CHUNK_S))
    assert sum(kept) / 3 < 0.25


def test_what_is_below_the_lowest_frequency_is_not_looked_at() -> None:
    rate = 500_000
    samples = _noise(CHUNK_S, rate)
    start, end = _add(samples, _call("qcf", rate), 1.0, 40, rate)
    assert _share(_kept(samples, rate, padding=0.01), start, end) == pytest.approx(1)
    assert _share(_kept(samples, rate, padding=0.01, f_min=30_000), start, end) == 0


def test_lowest_frequency_above_all_there_is_keeps_nothing() -> None:
    assert _kept(_noise(0.5), f_min=RATE) == []


def test_higher_threshold_keeps_less() -> None:
    samples = _noise(CHUNK_S)
    for place, snr in enumerate((18, 24, 30, 36, 42)):
        _add(samples, _call("fm-qcf"), 0.3 + 0.3 * place, snr)
    kept = [sum(b - a for a, b in _kept(samples, threshold_db=threshold)) for threshold in (6, 9, 15, 20, 25)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < kept[0]


# what the result does not depend on


def _busy(seconds: float, seed: int = 1) -> np.ndarray:
    samples = _noise(seconds, seed=seed)
    for place, at in enumerate(np.arange(0.3, seconds - 0.2, 0.7)):
        _add(samples, _call(("fm", "fm-qcf", "qcf")[place % 3]), at, 25)
    return samples


@pytest.mark.parametrize("gain", [2.0**-2, 2.0**3])
def test_gain_of_the_recorder_changes_nothing(gain: float) -> None:
    samples = _busy(CHUNK_S)
    assert _kept(samples * np.float32(gain)) == _kept(samples) != []


def test_one_chunk_says_nothing_about_another(tmp_path: Path, make_wav: MakeWav) -> None:
    first, second = _busy(CHUNK_S), _busy(CHUNK_S, 2)
    loud = np.concatenate([first, second + 0.5 * np.sin(np.arange(len(second)))]).astype(np.float32)
    flagged = []
    for name, samples in (("quiet", np.concatenate([first, second])), ("loud", loud)):
        shard = Shard(tmp_path)
        shard.add(make_wav(tmp_path / f"{name}.wav", samples, subtype="FLOAT"), len(samples))
        ((_, stretches, done, detail, _),) = screen_recordings([pd.Series(shard.rows[0])], **SETTINGS)
        assert (done, detail) == (len(samples), "")
        flagged.append([stretch for stretch in stretches if stretch[0] < CHUNK_S])
    assert flagged[0] == flagged[1] != []


def test_format_channel_and_neighbours_change_nothing(tmp_path: Path, make_wav: MakeWav) -> None:
    samples = np.round(_busy(3.3) * 32768) / 32768
    stereo = np.stack([_noise(3.3, seed=9).astype(float), samples], axis=1)
    soundfile.write(tmp_path / "flac.flac", samples, RATE, subtype="PCM_24")
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "int16.wav", samples), len(samples))
    shard.add(make_wav(tmp_path / "float.wav", samples, subtype="FLOAT"), len(samples))
    shard.add(make_wav(tmp_path / "second.wav", stereo, subtype="PCM_24"), len(samples), channel=2)
    # slowed down ten times, as its header tells
    shard.add(make_wav(tmp_path / "slow.wav", samples, RATE // 10), len(samples))
    shard.add(tmp_path / "flac.flac", len(samples))
    segments, coverage = shard.run()
    assert coverage["read_samples"].tolist() == [len(samples)] * 5
    alone = Shard(tmp_path)
    alone.rows = shard.rows[:1]
    wanted = alone.run()[0].drop(columns="recording").to_numpy().tolist()
    assert wanted
    for _, part in segments.groupby("recording"):
        assert part.drop(columns="recording").to_numpy().tolist() == wanted
    assert segments["recording"].nunique() == 5


def test_file_that_was_cut_off_keeps_what_its_head_keeps(tmp_path: Path, make_wav: MakeWav) -> None:
    samples = _busy(5)
    there = round(3.1 * RATE)
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "head.wav", samples[:there], subtype="FLOAT"), there)
    # its header lies, so that it breaks off while it is read
    shard.add(make_wav(tmp_path / "lies.wav", samples[:there], subtype="FLOAT"), len(samples))
    segments, coverage = shard.run()
    assert coverage["read_samples"].tolist() == [there, there]
    assert coverage["detail"][0] == ""
    assert str(there) in coverage["detail"][1]
    parts = [part.drop(columns="recording").to_numpy().tolist() for _, part in segments.groupby("recording")]
    assert parts[0] == parts[1] != []


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_flac_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, share: float) -> None:
    samples = _busy(5)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_16")
    content = buffer.getvalue()
    (tmp_path / "a.flac").write_bytes(content[: round(share * len(content))])
    shard = Shard(tmp_path)
    shard.add(tmp_path / "a.flac", len(samples))
    segments, coverage = shard.run()
    # a frame of FLAC has 4096 samples; it breaks off in the middle of one
    assert coverage["read_samples"][0] == pytest.approx(share * len(samples), abs=3 * 4096)
    assert coverage["detail"][0] != ""
    assert segments["read_samples"].tolist() == coverage["read_samples"].tolist() * len(segments)


@pytest.mark.parametrize("content", [b"", b"no audio"])
def test_file_that_is_bad_is_a_row_of_the_coverage(tmp_path: Path, make_wav: MakeWav, content: bytes) -> None:
    shard = Shard(tmp_path)
    (tmp_path / "bad.wav").write_bytes(content)
    shard.add(tmp_path / "bad.wav", 500)
    good = _busy(1)
    shard.add(make_wav(tmp_path / "good.wav", good), len(good))
    segments, coverage = shard.run()
    assert coverage["recording"].tolist() == ["bad", "good"]
    assert coverage["read_samples"].tolist() == [0, len(good)]
    assert (coverage["detail"] != "").tolist() == [True, False]
    assert set(segments["recording"]) == {"good"}


@pytest.mark.parametrize("fate", ["gone", "folder gone", "shorter", "no audio of the same size"])
def test_file_that_is_not_as_it_was_listed_ends_the_job(tmp_path: Path, make_wav: MakeWav, fate: str) -> None:
    """Nothing is written: when the disk is back, the files on it are as they were, and no one would look again."""
    shard = Shard(tmp_path)
    path = make_wav(tmp_path / "card/a.wav", _busy(1))
    shard.add(path, RATE)
    if fate == "gone":
        path.unlink()
    elif fate == "folder gone":
        path.parent.rename(tmp_path / "elsewhere")
    else:
        path.write_bytes(path.read_bytes()[:1000] if fate == "shorter" else bytes(path.stat().st_size))
        os.utime(path, ns=(1, shard.rows[0]["modified_ns"] + (fate != "shorter")))
    with pytest.raises(UserError, match=r"card/a\.wav .*run again"):
        shard.run()
    assert not list(tmp_path.glob("coverage*"))


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, 1e30])
def test_sample_that_is_no_number_hides_no_call(tmp_path: Path, make_wav: MakeWav, wrong: float) -> None:
    samples = _noise(CHUNK_S)
    start, end = _add(samples, _call("fm-qcf"), 1.5, 30)
    samples[1000] = wrong
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "a.wav", samples, subtype="FLOAT"), len(samples))
    segments, coverage = shard.run(padding=0.01)
    assert coverage["read_samples"].tolist() == [len(samples)]
    assert _share(list(zip(segments["start_s"], segments["end_s"], strict=True)), start, end) == pytest.approx(1)


def test_recording_of_which_nothing_is_kept_is_covered(tmp_path: Path, make_wav: MakeWav) -> None:
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "a.wav", np.zeros(RATE, np.int16)), RATE)
    segments, coverage = shard.run()
    assert segments.empty
    assert coverage.to_dict("records") == [{"recording": "a", "read_samples": RATE, "detail": ""}]


def test_tables_say_what_they_were_made_with(tmp_path: Path, make_wav: MakeWav) -> None:
    shard = Shard(tmp_path)
    shard.add(make_wav(tmp_path / "a.wav", np.zeros(RATE, np.int16)), RATE)
    shard.run(threshold_db=12.0)
    for name in ("segments", "coverage", "sound"):
        origin = read_origin(tmp_path / f"{name}.parquet")
        assert origin.items() >= {"stage": "segment", "threshold_db": 12.0, "padding": PADDING, "hop": HOP}.items()


# segments


@st.composite
def _flagged(draw: st.DrawFn) -> tuple[float, int, list[tuple[float, float]]]:
    rate = draw(st.sampled_from([192_000, 250_000, 256_000, 312_500, 384_000, 441_000, 500_000]))
    samples = draw(st.integers(1, 5 * rate))
    flagged, time = [], 0.0
    for _ in range(draw(st.integers(0, 8))):
        # in whole milliseconds, so that stretches come up that touch each other
        start = time + draw(st.integers(0, 1000)) / 1000
        time = start + draw(st.integers(1, 300)) / 1000
        if start >= samples / rate:
            break
        flagged.append((start, time))  # the last may reach beyond the end: a spectrum that was filled up with zeros
    return rate, samples, flagged


@given(_flagged(), st.sampled_from([0.0005, 0.001, 0.002]), st.floats(0, 1))
@example((441_000, 441_000, [(0.0, 0.001), (0.9999, 1.001)]), 0.0005, 0.0)
@example((250_000, 250_000, [(0.125, 0.25), (0.25, 0.375), (0.625, 0.75)]), 0.0005, 0.125)
def test_segments_are_in_order_apart_and_cover_what_was_flagged(
    case: tuple[float, int, list[tuple[float, float]]], hop: float, padding: float
) -> None:
    rate, samples, flagged = case
    segments = to_segments(flagged, rate, samples, hop=hop, padding=padding)
    total = ceil(samples / (Fraction(rate) * Fraction(str(hop))))
    assert all(0 <= first < last <= total for first, last in segments)
    assert all(before[1] < after[0] for before, after in pairwise(segments))
    wanted = [(max(start - padding, 0), min(end + padding, samples / rate)) for start, end in flagged]
    for start, end in wanted:
        assert any(first * hop <= start + 1e-9 and last * hop >= end - 1e-9 for first, last in segments)
    for first, last in segments:  # and nothing more, but for whole hops
        inside = [w for w in wanted if w[1] > first * hop - 1e-9 and w[0] < last * hop + 1e-9]
        assert first * hop > inside[0][0] - hop - 1e-9
        assert last * hop < max(end for _, end in inside) + hop + 1e-9


def test_nothing_flagged_gives_no_segment() -> None:
    assert to_segments([], RATE, RATE, hop=HOP, padding=1.0) == []


def test_any_number_of_threads_gives_the_same_tables(tmp_path: Path, make_wav: MakeWav) -> None:
    shard = Shard(tmp_path)
    for number in range(5):
        samples = _busy(1.1 + number, seed=number)
        shard.add(make_wav(tmp_path / f"{number}.wav", samples), len(samples))
    alone, together = shard.run(workers=1), shard.run(workers=4)
    assert len(alone[0]) > 5
    for one, other in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(one, other)
