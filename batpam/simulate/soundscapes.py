"""Calls, insects and noise mixed into what a recorder would have written.

Levels are sound pressure levels until the microphone: a recorder is described by the level that drives it to
full scale and by its own noise, and turns pressure into samples.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd
import scipy.fft
import scipy.signal

from batpam.simulate.calls import Call
from batpam.simulate.propagation import beam_loss, fly_past, microphone_gain, transmission_loss

VISIBLE_DB = 26.0
"""The part of a call that is within this of its loudest instant counts as the call."""


@dataclass(frozen=True)
class Recorder:
    """A recorder.

    Attributes
    ----------
    sample_rate
        Hz.
    full_scale
        Level of a sine that just clips, dB SPL.
    noise
        Self-noise in a band of 1 Hz, dB SPL.
    roll_off
        Frequency at which the microphone begins to fall, Hz.
    resonance
        Resonance of the microphone, Hz.
    """

    sample_rate: int = 384_000
    full_scale: float = 95.0
    noise: float = -20.0
    roll_off: float = 70_000.0
    resonance: float = 24_000.0


@dataclass(frozen=True)
class Flight:
    """A straight flight past the microphone: closest distance (m), its time (s), speed (m/s), and the weather."""

    closest: float = 8.0
    at: float = 0.0
    speed: float = 6.0
    temperature: float = 15.0
    humidity: float = 80.0


@dataclass(frozen=True)
class Heard:
    """A call as it arrived: the truth that a detector is held against.

    Attributes
    ----------
    start, end
        Of the part within :data:`VISIBLE_DB` of the loudest instant, s.
    low, high, peak
        Lowest and highest frequency of that part and the frequency of its loudest instant, Hz.
    level
        Peak amplitude of a sine at the loudest instant, dB re full scale.
    snr
        ``level`` over the self-noise in a band of 1 kHz, dB.
    """

    start: float
    end: float
    low: float
    high: float
    peak: float
    level: float
    snr: float


def hear_call(
    samples: np.ndarray,
    call: Call,
    flight: Flight,
    recorder: Recorder,
    rng: np.random.Generator,
    *,
    echoes: float = 0.5,
) -> Heard | None:
    """Add a call to a recording as the recorder hears it.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1; changed in place.
    echoes
        0 (none) to 1: how much ground and vegetation give back.

    Returns
    -------
    Heard or None
        None where nothing of it lies inside the recording or below the Nyquist frequency.
    """
    rate = recorder.sample_rate
    distance, angle, doppler = (
        float(v[0]) for v in fly_past(np.array([call.start]), flight.closest, flight.speed, flight.at)
    )
    duration = call.duration / doppler
    count = max(int(duration * rate), 8)
    u = np.linspace(0, 1, count)
    steps = np.linspace(0, 1, len(call.frequency))
    curve = np.interp(u, steps, call.frequency) * doppler
    envelope = np.interp(u, steps, call.envelope)
    phase = 2 * np.pi * np.cumsum(curve) / rate

    def received(multiple: float, level: float) -> np.ndarray:
        frequency = curve * multiple
        loss = transmission_loss(frequency, distance, temperature=flight.temperature, humidity=flight.humidity)
        gain = call.level - 20 + level - loss - beam_loss(frequency, angle) - recorder.full_scale
        gain += microphone_gain(frequency, recorder.resonance, recorder.roll_off)
        gain[frequency > 0.49 * rate] = -200.0
        return envelope * 10 ** (gain / 20)

    amplitude = received(1.0, 0.0)
    wave = amplitude * np.sin(phase)
    for multiple, level in call.harmonics:
        wave += received(multiple, level) * np.sin(multiple * phase)
    begin = int((call.start + distance / 343.0) * rate)
    _add(samples, wave, begin)
    if echoes > 0:
        _add_echoes(samples, wave, begin, rate, echoes, rng)
    visible = np.flatnonzero(amplitude > amplitude.max() * 10 ** (-VISIBLE_DB / 20))
    first, last = begin + visible[0], begin + visible[-1] + 1
    loudest = int(amplitude.argmax())
    if amplitude[loudest] < 1e-9 or first < 0 or last > len(samples):
        return None
    level = 20 * np.log10(amplitude[loudest])
    noise = recorder.noise - recorder.full_scale + 30
    shown = curve[visible]
    return Heard(
        first / rate, last / rate, float(shown.min()), float(shown.max()), float(curve[loudest]), float(level),
        float(level - noise),
    )  # fmt: skip


def _add(samples: np.ndarray, wave: np.ndarray, begin: int) -> None:
    first, last = max(begin, 0), min(begin + len(wave), len(samples))
    if first < last:
        samples[first:last] += wave[first - begin : last - begin]


def _add_echoes(
    samples: np.ndarray, wave: np.ndarray, begin: int, rate: int, strength: float, rng: np.random.Generator
) -> None:
    """A ground echo of 0.5 to 10 ms and a cloud of weaker ones, all duller than the call."""
    dull = scipy.signal.lfilter([0.35, 0.3, 0.2, 0.15], [1.0], wave)
    if rng.random() < strength:
        _add(samples, dull * 10 ** (rng.uniform(-26, -8) / 20), begin + int(rng.uniform(0.5e-3, 10e-3) * rate))
    if rng.random() < 0.5 * strength:
        decay = rng.uniform(1e-3, 6e-3)
        for delay in rng.exponential(decay, int(rng.integers(4, 12))):
            gain = rng.normal() * 10 ** (rng.uniform(-34, -18) / 20) * np.exp(-delay / (2 * decay))
            _add(samples, dull * gain, begin + int((0.3e-3 + delay) * rate))


def self_noise(length: int, recorder: Recorder, rng: np.random.Generator, *, wind: float = 0.0) -> np.ndarray:
    """Noise of the microphone and of the wind, shape (length,), full scale 1.

    Parameters
    ----------
    wind
        dB by which wind rises above the self-noise at 8 kHz; it falls with the square of the frequency, above 1 kHz.
    """
    white = rng.standard_normal(length, np.float32)
    spectrum = scipy.fft.rfft(white)
    f = scipy.fft.rfftfreq(length, 1 / recorder.sample_rate)[1:]
    shape = 10 ** (microphone_gain(f, recorder.resonance, recorder.roll_off) / 20) * 0.7 + 0.5
    shape = shape * np.sqrt(1 + 3_000.0 / f) + 10 ** (wind / 20) * (8_000.0 / np.maximum(f, 1_000.0)) ** 2 * (wind > 0)
    spectrum[1:] *= shape.astype(np.float32)
    spectrum[0] = 0
    density = 10 ** ((recorder.noise - recorder.full_scale) / 20)
    return scipy.fft.irfft(spectrum, length).astype(np.float32) * np.float32(
        density * np.sqrt(recorder.sample_rate / 2)
    )


@lru_cache(maxsize=1)
def insect_songs() -> pd.DataFrame:
    """The table of insect songs; frequencies in kHz, times in ms."""
    with (files("batpam.simulate") / "insects.tsv").open() as table:
        return pd.read_csv(table, sep="\t", comment="#")


def add_insect(samples: np.ndarray, species: str, level: float, recorder: Recorder, rng: np.random.Generator) -> None:
    """Add the song of one insect.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1; changed in place.
    species
        A species of ``insects.tsv``.
    level
        Peak level of a pulse, dB re full scale.
    """
    song = insect_songs().set_index("species").loc[species]
    rate = recorder.sample_rate
    warm = rng.uniform(0.75, 1.35)
    pulse, period = song["pulse"] * 1e-3 / warm, song["period"] * 1e-3 / warm
    count = max(int(pulse * rate), 16)
    f = scipy.fft.rfftfreq(4 * count, 1 / rate)
    peak, low, high = (float(song[name]) * 1e3 * rng.uniform(0.93, 1.07) for name in ("peak", "low", "high"))
    width = 0.5 * np.where(f < peak, float(np.log(peak / low)), float(np.log(high / peak)))
    colour = np.exp(-0.5 * (np.log(np.maximum(f, 1) / peak) / width) ** 2) + 0.03 * (f > low)
    envelope = np.sin(np.pi * np.linspace(0, 1, count)) ** rng.uniform(0.5, 1.5)
    if rng.random() < 0.5:  # many songs are a run of tooth impacts, decaying one by one
        teeth = rng.uniform(6, 30)
        envelope = envelope * np.exp(-4 * (np.linspace(0, teeth, count) % 1))
    gain = 10 ** (level / 20)
    pulses = max(int(song["pulses"] + rng.integers(-1, 2)), 1) if song["pulses"] > 1 else 1
    echeme = float(song["echeme_period"]) * 1e-3 / warm or pulses * period
    time = float(rng.uniform(-1, 1) * echeme)
    while time < len(samples) / rate:
        for i in range(pulses):
            noise = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(4 * count)) * colour)[:count]
            wave = noise / (np.abs(noise).max() + 1e-12) * envelope * gain * rng.uniform(0.6, 1)
            _add(samples, wave, int((time + i * period) * rate))
        time += max(echeme * rng.normal(1, 0.04), pulses * period)


def add_clicks(samples: np.ndarray, per_second: float, level: float, rate: int, rng: np.random.Generator) -> None:
    """Add short broadband clicks, as of rain, of steps and of jangling keys; ``level`` in dB re full scale."""
    for _ in range(rng.poisson(per_second * len(samples) / rate)):
        count = max(int(rng.uniform(0.05e-3, 3e-3) * rate), 16)
        wave = rng.standard_normal(count) * np.exp(-np.linspace(0, rng.uniform(3, 8), count))
        if rng.random() < 0.6:  # resonant: a drop on a case, a key on a ring
            f = rng.uniform(5e3, 0.45 * rate)
            wave = np.sin(2 * np.pi * f * np.arange(count) / rate + rng.uniform(0, 6)) * np.abs(wave)
        gain = 10 ** ((level + rng.normal(0, 5)) / 20)
        _add(samples, wave * gain, int(rng.uniform(0, len(samples))))


def add_tone(samples: np.ndarray, frequency: float, level: float, rate: int, rng: np.random.Generator) -> None:
    """Add an electrical line, steady or switched on and off; ``level`` in dB re full scale."""
    t = np.arange(len(samples)) / rate
    wave = np.sin(2 * np.pi * frequency * t + rng.uniform(0, 6)) * 10 ** (level / 20)
    if rng.random() < 0.4:
        on = rng.uniform(2e-3, 80e-3)
        wave *= ((t + rng.uniform(0, 1)) % (on * rng.uniform(1.2, 10))) < on
    samples += wave.astype(samples.dtype)


def add_bird(samples: np.ndarray, level: float, rate: int, rng: np.random.Generator) -> None:
    """Add a few slow whistles of 5 to 14 kHz with harmonics, as of birds and rodents; ``level`` in dB re full scale."""
    for _ in range(int(rng.integers(1, 5))):
        count = int(rng.uniform(15e-3, 150e-3) * rate)
        u = np.linspace(0, 1, count)
        f = rng.uniform(5e3, 14e3) * (1 + rng.uniform(-0.2, 0.2) * u + 0.05 * np.sin(2 * np.pi * rng.uniform(1, 8) * u))
        phase = 2 * np.pi * np.cumsum(f) / rate
        wave = sum(10 ** (-rng.uniform(6, 20) * n / 20) * np.sin((n + 1) * phase) for n in range(4))
        _add(
            samples, wave * np.sin(np.pi * u) * 10 ** (level / 20), int(rng.uniform(-0.02, len(samples) / rate) * rate)
        )


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Samples as a 16-bit recorder writes them, clipped at full scale."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
