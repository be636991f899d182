"""What is measured of the sound is what was put into it; rain, song and bats are told apart; the gate hears as before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batpam.recordings.formats.audiomoth import MAKE
from batpam.segments.gate import CHUNK_S, loud_stretches, screen_recordings, segment
from batpam.segments.sound import measure_chunk, sum_up
from batpam.segments.spectra import Spectra, chunk_spectra, frame_size, mean_noise, short_time_power
from batpam.simulate import confusers, soundscapes
from batpam.simulate.calls import call_sequence
from batpam.simulate.soundscapes import Flight, Recorder, hear_call
from batpam.tables import BANDS_HZ, MANIFEST, NOISE_COLUMNS, SOUND, provenance, read_table, write_table

RATE = 384_000
RECORDER = Recorder(sample_rate=RATE, full_scale=96.0, noise=-8.0, roll_off=80_000)
FLOOR = RECORDER.noise - RECORDER.full_scale + 30
"""Self-noise in a band of 1 kHz, dB re full scale."""

GATE = {"f_min": 10_000.0, "threshold_db": 7.0}
MakeWav = Callable[..., Path]


def _white(seconds: float, rate: float = RATE, level: float = 0.003, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def _measure(
    samples: np.ndarray, rate: float = RATE, *, f_min: float = 5000.0, untriggered: bool = False
) -> dict[str, Any]:
    """Measure a recording, chunk by chunk."""
    samples, length = np.asarray(samples, np.float32), round(CHUNK_S * rate)
    parts = [samples[start : start + length] for start in range(0, len(samples), length)]
    return sum_up([measure_chunk(part, chunk_spectra(part, rate, f_min), untriggered=untriggered) for part in parts])


def _noise(measures: dict[str, Any]) -> list[float | None]:
    return [measures[name] for name in NOISE_COLUMNS]


# noise


@pytest.mark.parametrize("rate", [192_000, 250_000, 256_000, 384_000, 441_000, 500_000])
@pytest.mark.parametrize("level", [0.0005, 0.05])
def test_white_noise_has_its_density_in_every_band(rate: int, level: float) -> None:
    wanted = 10 * np.log10(2 * level**2 / rate)
    assert _noise(_measure(_white(4, rate, level), rate)) == pytest.approx([wanted] * 4, abs=0.5)


def test_each_band_has_its_own_density() -> None:
    spectrum = np.fft.rfft(_white(4).astype(float))
    f = np.fft.rfftfreq(4 * RATE, 1 / RATE)
    levels = [0, -4, 3, -6]
    for (low, high), level in zip(BANDS_HZ, levels, strict=True):
        spectrum[(f >= low) & (f < high)] *= 10 ** (level / 20)
    density = 10 * np.log10(2 * 0.003**2 / RATE)
    found = _noise(_measure(np.fft.irfft(spectrum)))
    assert found == pytest.approx([density + level for level in levels], abs=0.5)


@pytest.mark.parametrize(("rate", "known"), [(48_000, 2), (96_000, 3), (160_000, 3), (192_000, 4)])
def test_band_that_lies_above_nyquist_has_no_noise(rate: int, known: int) -> None:
    found = _noise(_measure(_white(2, rate), rate))
    assert [level is not None for level in found] == [True] * known + [False] * (4 - known)


def test_noise_is_that_below_calls_and_of_most_of_the_time() -> None:
    samples = _white(10)
    quiet = _noise(_measure(samples))
    for at in np.arange(0.1, 9.9, 0.1):  # 5 ms of sound in every 100 ms
        start = round(at * RATE)
        samples[start : start + RATE // 200] += 0.1 * np.sin(np.arange(RATE // 200))
    samples[: 2 * RATE] *= 10  # and a gust
    assert _noise(_measure(samples)) == pytest.approx(quiet, abs=0.5)


def test_quiet_recorder_is_measured_below_the_step_of_its_converter() -> None:
    step = 1 / 32768
    samples = np.round(_white(2, level=2 * step) / step) * step
    measures = _measure(samples)
    wanted = 10 * np.log10(2 * (2 * step) ** 2 * (1 + 1 / 48) / RATE)  # its own noise and that of rounding
    assert _noise(measures) == pytest.approx([wanted] * 4, abs=0.5)
    assert measures["flat_s"] == 0


@pytest.mark.parametrize("seconds", [2.02, 2.5])
def test_short_end_of_a_recording_does_not_count_as_much_as_the_rest(seconds: float) -> None:
    samples = _white(seconds)
    samples[2 * RATE :] *= 100
    assert _noise(_measure(samples)) == pytest.approx(_noise(_measure(samples[: 2 * RATE])))


def test_lowest_frequency_of_the_gate_leaves_the_noise_alone() -> None:
    samples = _white(2)
    for f_min in (3000.0, 5000.0):
        assert _noise(_measure(samples, f_min=f_min)) == pytest.approx(_noise(_measure(samples)))


@pytest.mark.parametrize("length", [1, 7, 300, 700, 5000])
def test_recording_too_short_for_noise_is_measured_all_the_same(length: int) -> None:
    measures = _measure(_white(1)[:length])
    assert measures["read_s"] == pytest.approx(length / RATE)
    assert _noise(measures) == [None] * 4
    assert (measures["flat_s"], measures["click_s"], measures["insect_s"]) == (0, 0, 0)


# samples


@pytest.mark.parametrize("clipped", [0, 1, 1234])
def test_clipped_samples_are_counted(clipped: int) -> None:
    samples = _white(5)
    places = np.random.default_rng(2).choice(len(samples), clipped, replace=False)
    samples[places] = np.random.default_rng(3).choice([-1.0, 0.995, 0.99997], clipped)
    samples[np.setdiff1d([0, 5, len(samples) - 1], places)] = 0.994
    assert _measure(samples)["clipped_samples"] == clipped


@pytest.mark.parametrize("offset", [-0.1, -0.021, 0.0, 0.021])
def test_offset_is_the_mean(offset: float) -> None:
    assert _measure(_white(5) + np.float32(offset))["offset"] == pytest.approx(offset, abs=1e-5)


@pytest.mark.parametrize(
    "stuck",
    [
        lambda n: np.zeros(n),
        lambda n: np.full(n, -1.0),
        lambda n: np.random.default_rng(1).integers(-3, 4, n) / 32768,  # seven values
        lambda n: np.repeat(_white(1)[: n // 20 + 1], 20)[:n],  # each of them twenty times
    ],
)
def test_stuck_samples_are_flat_and_have_no_noise(stuck: Callable[[int], np.ndarray]) -> None:
    samples = _white(8)
    samples[2 * RATE : 4 * RATE + RATE // 2] = stuck(5 * RATE // 2)
    measures = _measure(samples)
    assert measures["flat_s"] == pytest.approx(2.5)
    assert _noise(measures) == pytest.approx(_noise(_measure(samples[: 2 * RATE])), abs=0.2)
    assert measures["click_s"] == measures["insect_s"] == 0
    assert _noise(_measure(stuck(4 * RATE))) == [None] * 4


@pytest.mark.parametrize("steps", [1.5, 3, 10])
def test_quiet_noise_is_not_stuck(steps: float) -> None:
    samples = np.round(_white(4, level=steps / 32768) * 32768) / 32768
    assert _measure(samples)["flat_s"] == 0


# rain, insects, bats


def _self_noise(seconds: float, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return soundscapes.self_noise(round(seconds * RATE), RECORDER, rng).astype(float), rng


def _pcm(samples: np.ndarray) -> np.ndarray:
    return soundscapes.to_pcm16(samples) / np.float32(32768)


@pytest.mark.parametrize(("per_second", "most", "least"), [(0.2, 0.1, 0), (5, 1, 0.4), (30, 1, 0.9), (150, 1, 0.9)])
@pytest.mark.parametrize("level", [50, 60])
def test_rain_is_told_from_a_click_now_and_then(per_second: float, most: float, least: float, level: float) -> None:
    samples, rng = _self_noise(10, 1)
    confusers.add_clicks(samples, per_second, FLOOR + level, RATE, rng)
    measures = _measure(_pcm(samples))
    assert least <= measures["click_s"] / measures["read_s"] <= most
    assert measures["insect_s"] == 0


def test_one_loud_click_is_no_rain() -> None:
    samples, _ = _self_noise(2, 1)
    samples[RATE : RATE + 50] += 0.9
    assert _measure(_pcm(samples))["click_s"] == 0


@pytest.mark.parametrize("species", ["Conocephalus fuscus", "Ruspolia nitidula", "Tettigonia viridissima"])
@pytest.mark.parametrize("level", [50, 60])
def test_insects_that_sing_on_and_on_are_heard(species: str, level: float) -> None:
    sung, clicked = 0.0, 0.0
    for seed in range(8):
        samples, rng = _self_noise(2, seed)
        confusers.add_insect(samples, species, FLOOR + level, RECORDER, rng)
        measures = _measure(_pcm(samples))
        sung, clicked = sung + measures["insect_s"] / 16, clicked + measures["click_s"] / 16
    assert sung >= 0.6
    assert clicked <= 0.3


def test_song_that_never_stops_is_heard() -> None:
    samples = _white(4).astype(float)
    spectrum = np.fft.rfft(samples)
    f = np.fft.rfftfreq(len(samples), 1 / RATE)
    song = np.fft.irfft(spectrum * ((f > 14_000) & (f < 26_000)))
    assert _measure(samples + 9 * song)["insect_s"] == 4
    assert _measure(samples + 2 * song)["insect_s"] == 0  # 9 dB: a resonance of the microphone


@pytest.mark.parametrize(
    "code", ["Ppip", "Pkuh", "Nnoc", "Nlei", "Eser", "Mnat", "Mdau", "Paur", "Bbar", "Rfer", "Tten"]
)
@pytest.mark.parametrize("bats", [1, 3])
def test_bats_are_neither_rain_nor_insects(code: str, bats: int) -> None:
    samples, rng = _self_noise(4, 1)
    for _ in range(bats):
        flight = Flight(closest=rng.uniform(3, 6), at=2, speed=5)
        for call in call_sequence(code, 4, rng):
            hear_call(samples, replace(call, start=call.start), flight, RECORDER, rng)
    assert np.abs(samples).max() > 0.01  # loud: hundreds of times the step of the converter
    measures = _measure(_pcm(samples))
    assert (measures["click_s"], measures["insect_s"]) == (0, 0)


@pytest.mark.parametrize("level", [20, 40])
@pytest.mark.parametrize("seed", range(4))
def test_lines_whistles_and_wind_are_neither(level: float, seed: int) -> None:
    for add in (
        lambda samples, rng: confusers.add_tone(samples, rng.uniform(10e3, 60e3), FLOOR + level, RATE, rng),
        lambda samples, rng: confusers.add_bird(samples, FLOOR + level, RATE, rng),
        lambda samples, rng: np.add(samples, soundscapes.self_noise(len(samples), RECORDER, rng, wind=level), samples),
    ):
        samples, rng = _self_noise(2, seed)
        add(samples, rng)
        measures = _measure(_pcm(samples))
        assert (measures["click_s"], measures["insect_s"]) == (0, 0)


def test_short_call_of_a_bat_fills_no_recording_with_song() -> None:
    samples, rng = _self_noise(0.25, 1)
    confusers.add_insect(samples, "Ruspolia nitidula", FLOOR + 60, RECORDER, rng)
    assert _measure(_pcm(samples))["insect_s"] == 0


# silence that a recorder skipped


def _with_gaps(samples: np.ndarray, gaps: Sequence[tuple[float, float]]) -> np.ndarray:
    """Samples with zeros put in: at so many seconds of the samples, so many seconds of them."""
    parts, last = [], 0
    for at, length in gaps:
        parts += [samples[last : round(at * RATE)], np.zeros(round(length * RATE))]
        last = round(at * RATE)
    return np.concatenate([*parts, samples[last:]])


def test_silence_that_was_skipped_is_left_out_of_all_measures() -> None:
    samples = np.round(_white(6, level=0.002) * 32768) / 32768 + 0.01
    samples[1000:1100] = 1.0
    whole = _measure(samples)
    gaps = [(0.0, 3.0), (0.5, 1.3), (0.51, 0.4), (4.0, 10.0)]
    measures = _measure(_with_gaps(samples, gaps), untriggered=True)
    assert measures["read_s"] == pytest.approx(6)
    assert measures["offset"] == pytest.approx(whole["offset"])
    assert measures["clipped_samples"] == 100
    assert measures["flat_s"] == measures["click_s"] == measures["insect_s"] == 0
    assert _noise(measures) == pytest.approx(_noise(whole), abs=0.5)
    assert _measure(_with_gaps(samples, gaps))["flat_s"] > 9  # where nobody says that they were skipped


def test_recording_of_skipped_silence_alone_has_nothing_to_measure() -> None:
    measures = _measure(np.zeros(3 * RATE), untriggered=True)
    assert (measures["read_s"], measures["flat_s"], measures["offset"]) == (0, 0, None)
    assert _noise(measures) == [None] * 4


def test_rain_between_skipped_silence_is_rain() -> None:
    samples, rng = _self_noise(2, 1)
    confusers.add_clicks(samples, 100, FLOOR + 60, RATE, rng)
    measures = _measure(_with_gaps(_pcm(samples), [(0.5, 0.3), (1.5, 0.4)]), untriggered=True)
    assert measures["read_s"] == pytest.approx(2)
    assert measures["click_s"] > 1.5


# the pass of the gate


def _row(path: Path, samples: int, rate: float = RATE, **more: Any) -> dict[str, Any]:
    status = path.stat()
    return {
        "recording": path.stem, "site": "a", "recorder": "1", "path": str(path), "size_bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "night": None, "start_utc": None, "sample_rate_hz": rate, "time_expansion": 1.0, "channel": 1,
        "samples": samples, "readable_samples": samples, "untriggered_s": 0.0, "make": None, "trigger": None, **more,
    }  # fmt: skip


def _busy(seconds: float, seed: int) -> np.ndarray:
    samples, rng = _self_noise(seconds, seed)
    for call in call_sequence("Ppip", seconds, rng):
        hear_call(samples, call, Flight(closest=8, at=seconds / 2), RECORDER, rng)
    confusers.add_clicks(samples, 5, FLOOR + 40, RATE, rng)
    confusers.add_insect(samples, "Tettigonia viridissima", FLOOR + 30, RECORDER, rng)
    return samples


@pytest.mark.parametrize("rate", [192_000, 250_000, 384_000, 500_000])
@pytest.mark.parametrize("f_min", [4_000.0, 10_000.0, 20_000.0])
def test_flags_are_those_of_spectra_from_the_lowest_frequency_on(rate: int, f_min: float) -> None:
    samples = _busy(2, 1).astype(np.float32)
    size = frame_size(rate, 0.00133)
    first = max(ceil(f_min * size / rate), 1)
    power = short_time_power(samples, size, first, (size - 1) // 2)
    alone = Spectra(power, mean_noise(power), size, first, rate)
    shared = chunk_spectra(samples, rate, min(f_min, 5000.0))
    for threshold in (5.0, 7.0, 9.0):
        wanted = loud_stretches(alone, f_min=f_min, threshold_db=threshold)
        assert loud_stretches(shared, f_min=f_min, threshold_db=threshold) == wanted != []


def test_table_has_a_row_per_recording_whatever_the_number_of_threads(tmp_path: Path, make_wav: MakeWav) -> None:
    rows = []
    for seed, seconds in enumerate((4.5, 0.7, 2.0, 3.1)):
        samples = _busy(seconds, seed)
        rows.append(_row(make_wav(tmp_path / f"{seed}.wav", soundscapes.to_pcm16(samples), RATE), len(samples)))
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    rows.append(_row(tmp_path / "bad.wav", RATE))
    write_table(rows, MANIFEST, tmp_path / "m.parquet", provenance("index"))
    tables = []
    for workers in (1, 4):
        paths = [tmp_path / f"{name}{workers}.parquet" for name in ("segments", "coverage", "sound")]
        segment(tmp_path / "m.parquet", *paths, hop=0.0005, padding=0.2, **GATE, workers=workers)
        tables.append(read_table(paths[2]))
    pd.testing.assert_frame_equal(*tables)
    assert list(tables[0].columns) == SOUND.names
    assert tables[0]["recording"].tolist() == ["0", "1", "2", "3", "bad"]
    assert tables[0]["read_s"].tolist() == pytest.approx([4.5, 0.7, 2.0, 3.1, 0.0])
    bad = tables[0].iloc[4]
    assert bad[["offset", *NOISE_COLUMNS]].isna().all()
    assert (bad["clipped_samples"], bad["flat_s"]) == (0, 0.0)


def test_manifest_says_where_silence_was_skipped(tmp_path: Path, make_wav: MakeWav) -> None:
    samples = _with_gaps(_white(3), [(1.0, 5.0)])
    path = make_wav(tmp_path / "a.wav", samples, RATE)
    told = "Amplitude threshold was 1% with 1s minimum trigger duration"
    for make, trigger, untriggered, read in (
        (None, None, 5.0, 3), (None, None, 0.0, 8), (None, None, float("nan"), 8),
        (MAKE, told, 0.0, 3), (MAKE, "", 0.0, 8), (MAKE, None, 0.0, 8), (MAKE, float("nan"), 0.0, 8), ("Elekon", told, 0.0, 8),
    ):  # fmt: skip
        rows = pd.DataFrame([_row(path, len(samples), untriggered_s=untriggered, make=make, trigger=trigger)])
        ((_, _, done, _, measures),) = screen_recordings(rows.itertuples(), **GATE)
        assert (done, measures["read_s"]) == (len(samples), pytest.approx(read))
        assert (measures["flat_s"] == 0) == (read == 3)
