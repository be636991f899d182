from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal

from batpam.simulate import confusers
from batpam.simulate.confusers import SHORTEST, SWITCHING, add_insect, insect_songs
from batpam.simulate.soundscapes import Heard, Recorder, to_pcm16

RATE = 384_000
FLAT = Recorder(sample_rate=RATE, roll_off=1e9, resonance=1e3)
SONGS = insect_songs().set_index("species")

Adder = Callable[[np.ndarray, np.random.Generator], list[Heard]]

ADDERS: dict[str, Adder] = {
    "bush-cricket": lambda samples, rng: add_insect(samples, "Metrioptera brachyptera", -20, FLAT, rng),
    "cricket": lambda samples, rng: add_insect(samples, "Gryllus campestris", -20, FLAT, rng),
    "clicks": lambda samples, rng: confusers.add_clicks(samples, 40, -20, RATE, rng),
    "keys": lambda samples, rng: confusers.add_keys(samples, -20, RATE, rng),
    "tone": lambda samples, rng: confusers.add_tone(samples, rng.uniform(10e3, 180e3), -20, RATE, rng),
    "bird": lambda samples, rng: confusers.add_bird(samples, -20, RATE, rng),
    "rodent": lambda samples, rng: confusers.add_rodent(samples, -20, RATE, rng),
    **{
        kind: lambda samples, rng, kind=kind: confusers.add_switching(samples, -20, RATE, rng, kind=kind)  # type: ignore[misc]
        for kind in SWITCHING
    },
}


def _sing(species: str, seconds: float, seed: int, level: float = -20) -> tuple[np.ndarray, list[Heard]]:
    samples = np.zeros(round(seconds * RATE))
    return samples, add_insect(samples, species, level, FLAT, np.random.default_rng(seed))


def _peak_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(samples).max()))


@pytest.mark.parametrize("species", SONGS.index)
def test_insects_sing_in_the_band_of_the_table(species: str) -> None:
    samples, _ = _sing(species, 4, 1)
    power = np.abs(np.fft.rfft(samples)) ** 2
    khz = np.fft.rfftfreq(len(samples), 1e3 / RATE)
    low, high = SONGS.loc[species, ["low", "high"]]
    assert power[(khz > 0.85 * low) & (khz < 1.15 * high)].sum() > 0.9 * power.sum() > 0


@pytest.mark.parametrize("species", SONGS.index[SONGS["echeme_period"] == 0])
def test_songs_without_pause_have_the_rate_of_the_table(species: str) -> None:
    for seed in range(4):
        _, heard = _sing(species, 2, seed)
        pulses = np.sort([h.start for h in heard if h.level > -23])
        assert 0.74 < SONGS.loc[species, "period"] * 1e-3 / np.median(np.diff(pulses)) < 1.36  # cold or warm
        assert np.std(np.diff(pulses)) < 0.2 * np.median(np.diff(pulses))


@pytest.mark.parametrize("species", ["Leptophyes punctatissima", "Platycleis intermedia", "Barbitistes serricauda"])
def test_echemes_have_the_pulses_of_the_table(species: str) -> None:
    song = SONGS.loc[species]
    _, heard = _sing(species, 20, 1)
    gaps = np.diff([h.start for h in heard])
    assert np.isclose(np.median(gaps), song["period"] * 1e-3, rtol=0.37)
    echemes = 1 + (gaps > 2.5 * song["period"] * 1e-3).sum()
    assert abs(len(heard) / echemes - song["pulses"]) <= 1.2


def test_pulses_as_short_as_calls_stay_short() -> None:
    _, heard = _sing("Leptophyes punctatissima", 20, 2)
    assert 0.2e-3 < np.median([h.end - h.start for h in heard]) < 1.5e-3
    assert all(28e3 < h.peak < 44e3 for h in heard)


@pytest.mark.parametrize("species", SONGS.index)
def test_pulses_of_a_song_are_alike_in_level(species: str) -> None:
    samples, heard = _sing(species, 6, 3, level=-30)
    levels = np.array([h.level for h in heard])
    assert -33 < levels.max() <= -30 and abs(_peak_db(samples) - levels.max()) < 3
    loud = levels[levels > -32.5]  # without opening hemisyllables and the quiet beginning
    assert len(loud) >= 2 and np.std(loud) < 1.5


def test_far_songs_are_duller() -> None:
    def dull(seed: int) -> float:
        samples, _ = _sing("Conocephalus fuscus", 0.5, seed)
        power = np.abs(np.fft.rfft(samples)) ** 2
        return float(power[: len(power) // 6].sum() / power[len(power) // 6 :].sum())  # either side of 32 kHz

    shares = [dull(seed) for seed in range(12)]
    assert max(shares) > 4 * min(shares)


@pytest.mark.parametrize("name", ADDERS)
def test_what_is_told_is_what_was_added(name: str) -> None:
    told = 0
    for seed in range(6):
        samples = np.zeros(RATE)
        heard = ADDERS[name](samples, np.random.default_rng(seed))
        told += len(heard)
        f, t, power = scipy.signal.spectrogram(samples, RATE, nperseg=512, noverlap=384)
        boxes = np.zeros(power.shape, bool)
        for h in heard:
            boxes[np.ix_((f > h.low - 1e3) & (f < h.high + 1e3), (t > h.start - 1e-3) & (t < h.end + 1e-3))] = True
        assert power[boxes].sum() >= 0.85 * power.sum()
        for h in heard:
            assert 0 <= h.start < h.end <= 1.0 and h.end - h.start >= (SHORTEST - 0.5) / RATE
            assert h.low <= h.peak <= h.high and h.peak < RATE / 2 and np.isnan(h.snr)
            assert h.level < -20 + 25  # clicks spread by 5 dB
    assert told > 5


@pytest.mark.parametrize("name", ADDERS)
def test_same_seed_same_sounds(name: str) -> None:
    def made(seed: int) -> tuple[bytes, str]:
        samples = np.zeros(RATE // 2)
        heard = ADDERS[name](samples, np.random.default_rng(seed))
        return samples.tobytes(), repr(heard)

    assert made(4) == made(4)
    assert len({made(seed) for seed in range(5)}) == 5


@pytest.mark.parametrize("name", ["keys", "tone", "bird", "rodent", *SWITCHING])
def test_loudest_sound_has_the_level(name: str) -> None:
    loudest = []
    for seed in range(8):
        samples = np.zeros(RATE)
        ADDERS[name](samples, np.random.default_rng(seed))
        loudest.append(_peak_db(samples + 1e-9))
    assert -25 < np.median(loudest) < -16


@pytest.mark.parametrize("rate", [96_000, 192_000])
def test_nothing_is_folded_back_at_the_nyquist_frequency(rate: int) -> None:
    recorder = Recorder(sample_rate=rate)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        samples = np.zeros(rate, np.float32)
        heard = [
            *add_insect(samples, "Conocephalus fuscus", -20, recorder, rng),
            *confusers.add_keys(samples, -20, rate, rng),
            *confusers.add_bird(samples, -20, rate, rng),
            *confusers.add_rodent(samples, -20, rate, rng),
            *confusers.add_switching(samples, -20, rate, rng),
            *confusers.add_tone(samples, 0.4 * rate, -20, rate, rng),
        ]
        assert samples.dtype == np.float32 and np.isfinite(samples).all()
        assert all(h.peak < rate / 2 for h in heard)


def test_clicks_come_as_often_as_asked() -> None:
    samples = np.zeros(10 * RATE)
    assert confusers.add_clicks(samples, 0, -20, RATE, np.random.default_rng(0)) == []
    heard = confusers.add_clicks(samples, 50, -20, RATE, np.random.default_rng(0))
    assert 400 < len(heard) < 600
    assert np.median([h.level for h in heard]) == pytest.approx(-20, abs=1)
    assert np.median([h.high - h.low for h in heard]) > 30e3


def test_keys_ring_at_high_frequencies() -> None:
    for seed in range(5):
        heard = confusers.add_keys(np.zeros(RATE), -20, RATE, np.random.default_rng(seed))
        assert all(h.low > 8e3 and h.high < 103e3 for h in heard)
        assert np.median([h.high - h.low for h in heard]) > 20e3


def test_sensors_pulse_at_one_frequency_and_equal_intervals() -> None:
    for seed in range(8):
        heard = confusers.add_switching(np.zeros(4 * RATE), -20, RATE, np.random.default_rng(seed), kind="sensor")
        every = np.diff([h.start for h in heard])[1:]
        assert len(every) > 2 and np.std(every) < 1e-3
        assert all(19e3 < h.peak < 60e3 and h.high - h.low < 5e3 for h in heard)
        assert np.ptp([h.peak for h in heard]) == 0


def test_supply_is_a_comb() -> None:
    heard = confusers.add_switching(np.zeros(RATE), -20, RATE, np.random.default_rng(2), kind="supply")
    peaks = np.array([h.peak for h in heard])
    assert len(peaks) > 1 and np.allclose(peaks / peaks[0], np.arange(1, len(peaks) + 1))
    assert all(h.start == 0 and h.end == 1 for h in heard)


def test_unknown_electronics_are_refused() -> None:
    with pytest.raises(ValueError, match="supply, bursts, sensor, trigger"):
        confusers.add_switching(np.zeros(RATE), -20, RATE, np.random.default_rng(0), kind="toaster")


def test_lines_are_where_they_are_asked_for() -> None:
    for seed in range(8):
        samples = np.zeros(RATE)
        heard = confusers.add_tone(samples, 40e3, -20, RATE, np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(samples * np.hanning(RATE))) ** 2
        assert power.argmax() == pytest.approx(40e3, rel=0.03)
        assert min(h.peak for h in heard) == 40e3


def test_rodents_call_between_20_and_100_khz() -> None:
    heard = [
        h for seed in range(30) for h in confusers.add_rodent(np.zeros(RATE), -20, RATE, np.random.default_rng(seed))
    ]
    peaks = np.array([h.peak for h in heard])
    assert 14e3 < peaks.min() < 30e3 and 70e3 < peaks.max() < 111e3
    assert all(3e-3 < h.end - h.start < 0.16 for h in heard if h.start > 0.01 and h.end < 0.99)


def test_birds_are_low_but_chips_have_harmonics() -> None:
    heard = [
        h for seed in range(30) for h in confusers.add_bird(np.zeros(RATE), -20, RATE, np.random.default_rng(seed))
    ]
    assert np.median([h.peak for h in heard]) < 14e3
    assert 30e3 < max(h.high for h in heard) < 120e3


def test_wind_is_low_until_it_overdrives_the_recorder() -> None:
    def high_share(level: float) -> float:
        samples = np.zeros(RATE)
        confusers.add_wind(samples, level, RATE, np.random.default_rng(1))
        power = np.abs(np.fft.rfft(to_pcm16(samples) * np.hanning(RATE))) ** 2
        return float(power[10_000:].sum() / power.sum())

    assert high_share(-6) < 1e-5
    assert high_share(20) > 5 * high_share(-6)


def test_rain_is_as_dense_as_asked_and_grows_into_noise() -> None:
    def rain(per_second: float) -> np.ndarray:
        samples = np.zeros(RATE // 2)
        confusers.add_rain(samples, per_second, -30, RATE, np.random.default_rng(4))
        return samples

    assert not rain(0).any()
    light, heavy = rain(20), rain(20_000)
    quiet = [np.mean(np.abs(samples) < 1e-4) for samples in (light, heavy)]
    assert quiet[0] > 0.5 > 0.05 > quiet[1]
    assert -45 < _peak_db(light) < 0
