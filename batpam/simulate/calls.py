"""Bat calls as bats make them: frequency curves, sequences and their spread.

One latent variable, *clutter*, moves duration, bandwidth, frequency and interval together, from open air (0) to
close to vegetation (1). Around it lie the differences between bats and between the calls of one bat. The means
and spreads are in ``calls.tsv``.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd

KHZ, MS = 1e3, 1e-3


@dataclass(frozen=True)
class Call:
    """One call at the mouth of the bat.

    Attributes
    ----------
    start
        Time of emission, s.
    duration
        s.
    frequency
        Curve of the fundamental (of the CF harmonic for horseshoe bats), Hz, at equal steps of time.
    envelope
        Amplitude at the same steps, 1 at its maximum.
    harmonics
        Pairs of (multiple of the curve, level in dB re the curve).
    level
        Source level, dB peSPL at 10 cm.
    """

    start: float
    duration: float
    frequency: np.ndarray
    envelope: np.ndarray
    harmonics: tuple[tuple[float, float], ...]
    level: float


STEPS = 64
"""Points of a frequency curve."""

BUZZES = 0.12
"""Share of sequences with a feeding buzz."""


@lru_cache(maxsize=1)
def call_types() -> pd.DataFrame:
    """The table of call types, one row per species and type; frequencies in kHz, times in ms, levels in dB."""
    with (files("batpam.simulate") / "calls.tsv").open() as table:
        return pd.read_csv(table, sep="\t", comment="#")


def species_names() -> dict[str, str]:
    """Scientific name of each code, in the order of the table."""
    table = call_types()
    return dict(zip(table["code"], table["species"], strict=True))


def call_curve(
    curve: str, start: float, end: float, peak: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frequency over time and the amplitude that goes with it.

    Parameters
    ----------
    curve
        ``qcf``, ``fm-qcf``, ``fm``, ``fm-steep``, ``fm-linear``, ``convex`` or ``cf``.
    start, end, peak
        Frequencies at the start, at the end and of most energy, Hz.

    Returns
    -------
    frequency, envelope : ndarray of shape (STEPS,)
    """
    u = np.linspace(0, 1, STEPS)
    if curve == "cf":
        rise, fall = rng.uniform(0.03, 0.1), rng.uniform(0.05, 0.15)
        f = peak - (peak - start) * np.clip(1 - u / rise, 0, 1) ** 1.5
        f -= (peak - end) * np.clip((u - 1 + fall) / fall, 0, 1) ** 1.5
        envelope = np.clip(u / (2 * rise), 0, 1) ** 0.7 * np.clip((1 - u) / fall, 0, 1) ** 0.7
        return f, envelope * (1 - rng.uniform(0, 0.3) * (1 - u))
    if curve in ("qcf", "fm-qcf"):
        tau = rng.uniform(0.06, 0.2) if curve == "fm-qcf" else rng.uniform(0.15, 0.35)
        linear = rng.uniform(0.02, 0.12) if curve == "fm-qcf" else rng.uniform(0.1, 0.35)
        sweep = (np.exp(-u / tau) - np.exp(-1 / tau)) / (1 - np.exp(-1 / tau))
        f = peak + (start - peak) * ((1 - linear) * sweep + linear * (1 - u)) - (peak - end) * u ** rng.uniform(2, 6)
        loudest = rng.uniform(0.5, 0.75) if curve == "fm-qcf" else rng.uniform(0.35, 0.65)
    elif curve == "convex":
        f = start - (start - end) * u ** rng.uniform(1.6, 2.6)
        loudest = float(np.interp(-peak, -f, u))
    else:
        bend = {"fm": (0.8, 3.0), "fm-steep": (0.2, 1.2), "fm-linear": (0.1, 0.8)}[curve]
        k = rng.uniform(*bend)
        f = end + (start - end) * (1 / (1 + k * u) - 1 / (1 + k)) / (1 - 1 / (1 + k))
        loudest = float(np.interp(-peak, -f, u))
    loudest = float(np.clip(loudest, 0.15, 0.85))
    width = rng.uniform(0.6, 1.6)
    a, b = width * loudest / min(loudest, 1 - loudest), width * (1 - loudest) / min(loudest, 1 - loudest)
    envelope = u**a * (1 - u) ** b
    return f, envelope / envelope.max()


def call_sequence(code: str, duration: float, rng: np.random.Generator, *, clutter: float | None = None) -> list[Call]:
    """The calls of one bat over a stretch of time.

    Parameters
    ----------
    code
        A code of ``calls.tsv``.
    duration
        Length of the stretch, s.
    clutter
        0 (open) to 1 (close to vegetation); drawn when None.

    Returns
    -------
    list of Call
        In order of time, ``0 <= start < duration``.
    """
    types = call_types()[call_types()["code"] == code].reset_index(drop=True)
    clutter = float(rng.beta(1.3, 1.3)) if clutter is None else clutter
    bat = {name: 0.5 * rng.normal() for name in ("start", "end", "peak", "duration", "interval")}
    level_offset = rng.normal(0, 2.5)
    type_now = int(rng.random() < clutter) if len(types) > 1 else 0
    alternating = code in ("Nnoc", "Nlei", "Bbar")
    buzz_at = rng.uniform(0.2, 1.0) * duration if rng.random() < BUZZES and types["curve"][0] != "cf" else np.inf
    calls: list[Call] = []
    time = rng.uniform(0, 1) * float(types["interval"][type_now]) * MS
    while time < duration:
        if time > buzz_at:
            buzz = _buzz(types.iloc[len(types) - 1], time, bat, level_offset, rng)
            calls += [call for call in buzz if call.start < duration]
            time = calls[-1].start + rng.uniform(0.12, 0.27)
            buzz_at = np.inf
            continue
        row = types.iloc[type_now]
        calls.append(_one_call(row, time, clutter, bat, level_offset, rng))
        interval = _draw(row, "interval", -0.8 * (2 * clutter - 1) + bat["interval"], 0.35, rng) * MS
        skipped = rng.random() < 0.12 * (1 - clutter)
        time += max(interval * (2 if skipped else 1), calls[-1].duration * 1.15)
        if len(types) > 1:
            switch = 0.6 if alternating else 0.1
            if rng.random() < switch:
                type_now = 1 - type_now if alternating else int(rng.random() < clutter)
    return calls


def _draw(row: pd.Series, name: str, offset: float, jitter: float, rng: np.random.Generator) -> float:
    """A value ``offset`` standard deviations from the mean, with the spread from call to call round it."""
    z = np.clip(offset + jitter * rng.normal(), -2.2, 2.2)
    return max(float(row[name] + row[f"{name}_sd"] * z), 0.3 * float(row[name]))


def _one_call(
    row: pd.Series, time: float, clutter: float, bat: dict[str, float], level_offset: float, rng: np.random.Generator
) -> Call:
    tilt = 2 * clutter - 1
    duration = _draw(row, "duration", -1.1 * tilt + bat["duration"], 0.25, rng) * MS
    start = _draw(row, "start", 1.1 * tilt + bat["start"], 0.25, rng) * KHZ
    end = _draw(row, "end", 0.4 * tilt + bat["end"], 0.2, rng) * KHZ
    peak = _draw(row, "peak", (0.0 if row["curve"] == "cf" else 0.5 * tilt) + bat["peak"], 0.2, rng) * KHZ
    if row["curve"] == "cf":
        harmonics: tuple[tuple[float, float], ...] = ((0.5, rng.uniform(-50, -30)), (1.5, rng.uniform(-55, -35)))
    else:
        end = min(end, peak - 300.0)
        start = max(start, peak + 300.0)
        second = row["second_harmonic_db"] + rng.normal(0, 5)
        harmonics = ((2.0, second), (3.0, second - 12)) if row["code"] in ("Paur", "Paus") else ((2.0, second),)
    frequency, envelope = call_curve(row["curve"], start, end, peak, rng)
    level = row["level"] + level_offset + rng.normal(0, 2) - 4 * tilt
    return Call(time, duration, frequency, envelope, harmonics, level)


def _buzz(
    row: pd.Series, time: float, bat: dict[str, float], level_offset: float, rng: np.random.Generator
) -> list[Call]:
    """A feeding buzz: intervals fall from about 60 to 6 ms, calls shorten to 0.7 ms and sink in level and frequency."""
    calls = []
    count = int(rng.integers(20, 50))
    for i in range(count):
        share = i / count
        call = _one_call(row, time, 1.0, bat, level_offset, rng)
        sink = 1 - 0.3 * max(0.0, share - 0.6) / 0.4
        calls.append(
            Call(
                time,
                max(call.duration * (1 - share) * 0.8, 0.7 * MS),
                call.frequency * sink,
                call.envelope,
                call.harmonics,
                call.level - 15 * share,
            )
        )
        time += max(60 * MS * (1 - share) ** 2, 5.5 * MS)
    return calls
