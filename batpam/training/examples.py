"""Simulated windows to train on: scalograms and the calls in them."""

from collections.abc import Sequence

import numpy as np

from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.transform import FLOOR_DB, wavelet_power
from batpam.simulate import soundscapes
from batpam.simulate.calls import call_sequence
from batpam.simulate.soundscapes import Flight, Heard, Recorder, hear_call

SAMPLE_RATES = (192_000, 250_000, 256_000, 288_000, 300_000, 384_000, 441_000, 500_000)
FAINT_SNR = 8.0
"""Calls below this level over the noise in 1 kHz, dB, are neither right nor wrong to find."""

ExampleCalls = list[tuple[str, Heard]]


def simulate_example(
    codes: Sequence[str], settings: ScalogramSettings, duration: float, rng: np.random.Generator
) -> tuple[np.ndarray, ExampleCalls]:
    """One window of a made-up night.

    Parameters
    ----------
    codes
        Species to draw from, codes of ``calls.tsv``.
    settings
        The transform.
    duration
        Length of the window, s.

    Returns
    -------
    power : ndarray of shape (hops, voices), float32
        dB re a full-scale sine.
    calls : list of (code, Heard)
        Times from the start of the window; calls fainter than :data:`FAINT_SNR` are in it too.
    """
    margin = 0.01
    rate = int(rng.choice(SAMPLE_RATES))
    recorder = Recorder(
        sample_rate=rate,
        full_scale=rng.uniform(85, 115),
        noise=rng.uniform(-28, 5),
        roll_off=rng.uniform(40e3, 140e3),
        resonance=rng.uniform(18e3, 45e3),
    )
    samples = np.zeros(int((duration + 2 * margin) * rate), np.float64)
    floor = recorder.noise - recorder.full_scale + 30  # of a band of 1 kHz, dB re full scale
    _add_confusers(samples, recorder, floor, rng)
    found: ExampleCalls = []
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.22, 0.52, 0.2, 0.06]))):
        code = str(rng.choice(codes))
        # the level is set by the signal-to-noise ratio that is wanted, the colour by a distance
        flight = Flight(
            closest=float(np.exp(rng.uniform(np.log(1.5), np.log(35)))),
            at=rng.uniform(-1, 1.5),
            speed=rng.uniform(0, 9),
            temperature=rng.uniform(3, 28),
            humidity=rng.uniform(40, 98),
        )
        calls = call_sequence(code, duration + 2 * margin, rng)
        wanted, shift = rng.uniform(0, 48), None
        for call in calls:
            if shift is None:
                trial = hear_call(np.zeros(len(samples)), call, flight, recorder, rng, echoes=0)
                if trial is None:
                    continue
                shift = wanted - trial.snr
            louder = type(call)(
                call.start, call.duration, call.frequency, call.envelope, call.harmonics, call.level + shift
            )
            heard = hear_call(samples, louder, flight, recorder, rng, echoes=rng.uniform(0, 1))
            if heard is not None:
                found.append((code, heard))
    samples += soundscapes.self_noise(
        len(samples), recorder, rng, wind=rng.uniform(0, 30) if rng.random() < 0.3 else 0.0
    )
    samples = soundscapes.to_pcm16(samples).astype(np.float32) / 32768
    hops, lead = round(duration / settings.hop), round(margin / settings.hop)
    power = wavelet_power(samples, rate, settings)[lead : lead + hops]
    shifted = [
        (code, Heard(h.start - margin, h.end - margin, h.low, h.high, h.peak, h.level, h.snr)) for code, h in found
    ]
    return np.maximum(power, FLOOR_DB), [c for c in shifted if c[1].end > 0 and c[1].start < duration]


def _add_confusers(samples: np.ndarray, recorder: Recorder, floor: float, rng: np.random.Generator) -> None:
    """Everything that is not a bat; levels relative to the noise floor of 1 kHz (dB re full scale)."""
    rate = recorder.sample_rate
    if rng.random() < 0.45:
        songs = soundscapes.insect_songs()["species"].tolist()
        for species in rng.choice(songs, int(rng.integers(1, 3)), replace=False):
            soundscapes.add_insect(samples, str(species), floor + rng.uniform(5, 50), recorder, rng)
    if rng.random() < 0.3:
        soundscapes.add_clicks(
            samples, float(np.exp(rng.uniform(0, np.log(200)))), floor + rng.uniform(5, 45), rate, rng
        )
    if rng.random() < 0.25:
        for _ in range(int(rng.integers(1, 4))):
            soundscapes.add_tone(samples, rng.uniform(10e3, 0.45 * rate), floor + rng.uniform(-12, 25), rate, rng)
    if rng.random() < 0.2:
        soundscapes.add_bird(samples, floor + rng.uniform(5, 45), rate, rng)
