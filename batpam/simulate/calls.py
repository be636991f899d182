"""Bat calls as bats make them: frequency curves, sequences, feeding buzzes, social calls and their spread.

One latent variable, *clutter*, moves duration, bandwidth, frequency and interval together, from open air (0) to
close to vegetation (1). Around it lie the differences between bats and between the calls of one bat. The means
and spreads are in ``calls.tsv`` and ``social.tsv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from batpam.simulate.parameters import parameters
from batpam.simulate.propagation import SPEED_OF_SOUND

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
    call_type
        ``echolocation``, ``buzz`` or ``social``.
    turn
        Of the head, away from the direction of flight in the plane of the flight and the microphone, rad.
    """

    start: float
    duration: float
    frequency: np.ndarray
    envelope: np.ndarray
    harmonics: tuple[tuple[float, float], ...]
    level: float
    call_type: str = "echolocation"
    turn: float = 0.0


STEPS = 64
"""Points of a frequency curve."""

SWEEPS = {"fm": (0.8, 3.0), "fm-steep": (0.2, 1.2), "fm-linear": (0.0, 0.8), "fm-convex": (-0.5, 0.2)}
"""How far sweeps bend: 0 is a straight line, one less than the ratio of start and end a hyperbola (its period grows evenly), and what
is less than 0 falls faster and faster."""

APPROACHES = 0.25
"""Share of sequences in which a bat approaches something: prey, a branch, a wall."""

BUZZES = 0.65
"""Share of approaches that end in a feeding buzz."""

BUZZ_INTERVAL = 15 * MS
"""Calls that follow each other faster belong to a buzz, s (approach: 100 to 10-15 ms; Ratcliffe et al. 2013)."""

MOST_BEATS = 6
"""Wing beats from call to call, at most: bats call with the beat of their wings, and skip some where they look far (Holderied &
von Helversen 2003, doi 10.1098/rspb.2003.2487; how many: general knowledge)."""

TURN = np.deg2rad(25.0)
"""Standard deviation of the turns of a head, rad: bats scan with their beam, often by more than could be measured (Seibert et al.
2013, doi 10.1371/journal.pone.0060752; how far: general knowledge)."""

TAPER = 0.75
"""Median of the power that the envelopes of a bat are raised to: some calls are as loud for most of their length, others swell and fade
(general knowledge)."""

ALTERNATING = {"Nnoc": 0.6, "Nlei": 0.6, "Bbar": 0.95}
"""How likely the other type of call follows in species that alternate between two, not by clutter: the barbastelle does so call by
call (PMC4564259), noctules not as strictly (general knowledge)."""


def call_types() -> pd.DataFrame:
    """The table of call types, one row per species and type; frequencies in kHz, times in ms, levels in dB."""
    return parameters("calls")


def social_types() -> pd.DataFrame:
    """The table of social calls, one row per species and type; units as in :func:`call_types`."""
    return parameters("social")


@lru_cache(maxsize=256)
def _rows(table: str, code: str) -> tuple[dict[str, Any], ...]:
    rows = (call_types() if table == "calls" else social_types()).query("code == @code")
    return tuple(rows.to_dict("records"))


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
        ``qcf``, ``fm-qcf``, ``fm``, ``fm-steep``, ``fm-linear``, ``fm-convex``, ``fm-knee`` (flatter around the peak), ``convex``,
        ``arch`` (up and down) or ``cf``.
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
        loudest = rng.uniform(0.5, 0.75) if curve == "fm-qcf" else rng.uniform(0.4, 0.7)
        tau = rng.uniform(0.06, 0.2) if curve == "fm-qcf" else rng.uniform(0.15, 0.35)
        linear = rng.uniform(0.02, 0.12) if curve == "fm-qcf" else rng.uniform(0.1, 0.35)
        before, behind = np.minimum(u / loudest, 1), np.maximum(u - loudest, 0) / (1 - loudest)
        sweep = (np.exp(-before / tau) - np.exp(-1 / tau)) / (1 - np.exp(-1 / tau))
        f = peak + (start - peak) * ((1 - linear) * sweep + linear * (1 - before))
        f -= (peak - end) * behind ** rng.uniform(1, 3)
    elif curve == "fm-knee":
        knee = rng.uniform(0.45, 0.7)
        places = [0, 0.5 * knee, knee, knee + 0.6 * (1 - knee), 1]
        heights = [
            start,
            peak + rng.uniform(0.3, 0.42) * (start - peak),
            peak + rng.uniform(0.02, 0.08) * (start - peak),
            peak - rng.uniform(0.2, 0.4) * (peak - end),
            end,
        ]
        f = PchipInterpolator(places, heights)(u)
        loudest = knee
    elif curve == "arch":
        top = rng.uniform(0.25, 0.6)
        f = np.where(u < top, start, end) + (peak - np.where(u < top, start, end)) * np.sin(
            0.5 * np.pi * np.where(u < top, u / top, (1 - u) / (1 - top))
        )
        loudest = top
    elif curve == "convex":
        f = start - (start - end) * u ** rng.uniform(1.6, 2.6)
        loudest = float(np.interp(-peak, -f, u))
    else:
        f = end + (start - end) * (1 - u) / (1 + rng.uniform(*SWEEPS[curve]) * u)
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
    types, songs = _rows("calls", code), _rows("social", code)
    bat = _Bat(code, float(rng.beta(1.3, 1.3)) if clutter is None else clutter, rng)
    type_now = int(rng.random() < bat.clutter) if len(types) > 1 else 0
    if len(types) > 2 and rng.random() < bat.clutter**2:
        type_now = 2  # and nothing else for as long as it is there
    approach_at = rng.uniform(0.0, 1.0) * duration if rng.random() < APPROACHES else np.inf
    song = songs[int(rng.integers(len(songs)))] if songs else None
    song_at = rng.uniform(0.0, 1.0) * duration if song and rng.random() < song["share"] else np.inf
    calls: list[Call] = []
    time = rng.uniform(0, 1) * float(types[type_now]["interval"]) * MS
    while time < duration:
        if time > song_at and song:
            calls += bat.sing(song, time)
            time, song_at = calls[-1].start + rng.uniform(0.03, 0.15), time + rng.exponential(0.6)
            continue
        if time > approach_at:
            calls += bat.approach(types[-1], time, buzz=rng.random() < BUZZES)
            time, approach_at = calls[-1].start + rng.uniform(0.12, 0.27), np.inf
            continue
        calls.append(bat.call(types[type_now], time, type_now))
        time += max(bat.interval(types[type_now]), calls[-1].duration * 1.15)
        if type_now < 2 <= len(types) and rng.random() < ALTERNATING.get(code, 0.1):
            type_now = 1 - type_now if code in ALTERNATING else int(rng.random() < bat.clutter)
    return [call for call in calls if call.start < duration]


def loudest_frequency(calls: Sequence[Call]) -> float:
    """Frequency (Hz) at which most of some calls are loudest, by the median."""
    return float(np.median([call.frequency[call.envelope.argmax()] for call in calls]))


def compensated(code: str, calls: Sequence[Call], speed: float) -> list[Call]:
    """Calls of a bat that flies with a speed (m/s), which horseshoe bats lower by the Doppler shifts of the way to what lies ahead and back.

    So its echoes have the frequency that they hear best (Schnitzler 1968).
    """
    if _rows("calls", code)[0]["curve"] != "cf":
        return list(calls)
    return [replace(call, frequency=call.frequency / (1 + 2 * speed / SPEED_OF_SOUND)) for call in calls]


class _Bat:
    """One bat: what stays the same from call to call, and how its calls are drawn."""

    def __init__(self, code: str, clutter: float, rng: np.random.Generator) -> None:
        self.code, self.clutter, self.rng = code, clutter, rng
        names = ("start", "end", "peak", "duration", "interval", "harmonic", "droop")
        # now and then a bat is far from what is typical; the published ranges, from which the spreads are, leave it out
        self.own = {name: float(np.clip(0.65 * rng.standard_t(5), -2.6, 2.6)) for name in names}
        self.own_level = rng.normal(0, 2.5)
        # close to vegetation, from a clutter that differs between bats, calls that end flat elsewhere become short sweeps;
        # where these, and those of an approach, are loudest differs between bats too
        self.sweeps_from, self.loudest_re_end = rng.uniform(0.6, 1.2), rng.uniform(1.05, 1.35)
        self.skips = rng.beta(0.8, 2.2)
        self.turn = TURN * rng.normal()
        self.taper = TAPER * np.exp(0.5 * rng.normal())
        # the two types of the barbastelle leave through mouth and nose, some 70 degrees apart (PMC4564259): from one
        # place one of them is often weak
        self.type_level = (rng.uniform(-12, 0), rng.uniform(-18, 0), 0.0) if code == "Bbar" else (0.0,) * 3

    def draw(self, row: dict[str, Any], name: str, offset: float, jitter: float) -> float:
        """A value ``offset`` standard deviations from the mean, with the spread from call to call round it."""
        z = np.clip(offset + jitter * self.rng.normal(), -3.0, 3.0)
        return max(float(row[name] + row[f"{name}_sd"] * z), 0.3 * float(row[name]))

    def interval(self, row: dict[str, Any]) -> float:
        """Time to the next call, s: some wing beats, of which more are skipped in the open, by some bats most of them."""
        beat = (
            self.draw(row, "interval", -0.8 * (2 * self.clutter - 1) + self.own["interval"], 0.35) * MS / row["beats"]
        )
        return beat * min(self.rng.geometric((1 - self.skips * (1 - self.clutter)) / row["beats"]), MOST_BEATS)

    def call(self, row: dict[str, Any], time: float, number: int = 0) -> Call:
        """A search call."""
        rng = self.rng
        self.clutter = float(np.clip(self.clutter + 0.04 * rng.normal(), 0, 1))
        self.turn = 0.7 * self.turn + 0.7 * TURN * rng.normal()
        tilt, cf = 2 * self.clutter - 1, row["curve"] == "cf"
        duration = self.draw(row, "duration", -1.1 * tilt + self.own["duration"], 0.25) * MS
        start = self.draw(row, "start", 1.1 * tilt + self.own["start"], 0.25) * KHZ
        end = self.draw(row, "end", 0.4 * tilt + self.own["end"], 0.2) * KHZ
        peak = self.draw(row, "peak", (0.0 if cf else 0.5 * tilt) + self.own["peak"], 0.05 if cf else 0.2) * KHZ
        curve = row["curve"]
        if curve in ("qcf", "fm-qcf"):  # what ends flat is loudest a little above its end
            end = peak - (row["peak"] - row["end"]) * KHZ * np.exp(0.5 * self.own["droop"] + 0.2 * rng.normal())
        if curve == "fm-qcf" and self.clutter > self.sweeps_from:
            curve, duration, start, peak = "fm", 0.6 * duration, 1.1 * start, self.loudest_re_end * end
        if not cf and curve != "arch":
            end = min(end, peak - 300.0)
            start = max(start, peak + 300.0)
        frequency, envelope = call_curve(curve, start, end, peak, rng)
        level = row["level"] + self.own_level + self.type_level[number] + rng.normal(0, 1.5) - 4 * tilt
        return Call(time, duration, frequency, self.swell(envelope), self.harmonics(row), level, turn=self.turn)

    def swell(self, envelope: np.ndarray) -> np.ndarray:
        """An envelope as far tapered as those of this bat, with slow changes of loudness within the call, some 2 dB."""
        slow = np.interp(np.linspace(0, 5, STEPS), np.arange(6), self.rng.normal(0, 2, 6))
        swollen = envelope**self.taper * 10 ** (slow / 20)
        return swollen / swollen.max()

    def harmonics(self, row: dict[str, Any]) -> tuple[tuple[float, float], ...]:
        """Pairs of multiple and level of a call."""
        rng = self.rng
        if row["curve"] == "cf":
            # the CF is the second harmonic; the fundamental is weak, but the air absorbs less of it
            return (0.5, rng.uniform(-50, -20)), (1.5, rng.uniform(-55, -35))
        second = row["second_harmonic_db"] + 5 * self.own["harmonic"] + rng.normal(0, 3)
        return ((2.0, second), (3.0, second - rng.normal(12, 4))) if second > -20 else ((2.0, second),)

    def approach(self, row: dict[str, Any], time: float, *, buzz: bool) -> list[Call]:
        """Approach and, at will, feeding buzz.

        Intervals fall from some 70 to 12 ms, then to 5 to 7 ms (without a buzz to 25 to 50 ms, before something that is not caught); calls shorten to half a millisecond, sweep wider and then,
        in the second part of the buzz, sink to some 0.7 of their frequency, and lose 10 to 20 dB (Ratcliffe et al. 2013;
        P. pipistrellus: 0.8 ms calls every 5.3 ms, 37.5 kHz where search calls have 49.5, Tadarida's sample). Horseshoe bats
        keep their frequency and shorten their calls.
        """
        rng, cf = self.rng, row["curve"] == "cf"
        approach, final = int(rng.integers(4, 13)), int(rng.integers(5, 20) if cf else rng.integers(10, 55))
        final *= buzz
        shortest = rng.uniform(12e-3, 20e-3) if cf else rng.uniform(5e-3, 7.5e-3)
        closest = 10 * MS if buzz else rng.uniform(25 * MS, 50 * MS)  # a branch is not caught
        sink, weak, wide = rng.uniform(0.2, 0.4), rng.uniform(8, 22), rng.uniform(1.0, 1.5)
        calls = []
        for i in range(approach + final):
            near = min((i + 1) / approach, 1.0)  # 0 to 1 over the approach
            late = max(i - approach, 0) / max(final, 1)  # 0 to 1 over the buzz
            call = self.call(row, time)
            interval = 70 * MS * (closest / (70 * MS)) ** near if late == 0 else max(10 * MS * (1 - 3 * late), shortest)
            interval *= rng.uniform(0.93, 1.07)
            frequency = call.frequency
            if not cf:
                low, high = float(frequency.min()), float(frequency.max())
                high += near * max(wide * low * 1.55 - high, 0.0)  # quasi-constant calls become sweeps
                fall = 1 - sink * np.clip((late - 0.3) / 0.4, 0, 1)
                if row["curve"] in ("fm", "fm-convex") or near > rng.uniform(0.2, 0.7):
                    # a barbastelle's leave through its nose, as its convex type does (PMC4564259)
                    curve = "fm-convex" if row["curve"] == "fm-convex" else "fm"
                    frequency, envelope = call_curve(
                        curve, high * fall, low * fall * (1 - 0.06 * near), low * fall * self.loudest_re_end, rng
                    )
                    call = replace(call, frequency=frequency, envelope=self.swell(envelope))
            shorter = max(
                call.duration * (1 - near) + near * (2.2 * MS if late == 0 else (1.6 - 1.0 * late) * MS), 0.5 * MS
            )
            duration = min(call.duration, 0.6 * interval) if cf else min(shorter, 0.6 * interval)
            fast = interval < (2 * BUZZ_INTERVAL if cf else BUZZ_INTERVAL)
            call_type = "buzz" if buzz and fast else "echolocation"
            level = call.level - weak * (0.4 * near + 0.6 * late)
            calls.append(replace(call, duration=duration, level=level, call_type=call_type))
            time += interval
        return calls

    def sing(self, row: dict[str, Any], time: float) -> list[Call]:
        """A social call of one or more parts."""
        rng = self.rng
        parts = int(rng.integers(row["parts_min"], row["parts_max"] + 1))
        level = row["level"] + self.own_level + rng.normal(0, 4)
        period = self.draw(row, "period", self.own["interval"], 0.0) * MS
        calls = []
        for i in range(parts):
            duration = self.draw(row, "duration", self.own["duration"], 0.3) * MS
            start = self.draw(row, "start", self.own["start"], 0.3) * KHZ
            end = self.draw(row, "end", self.own["end"], 0.3) * KHZ
            peak = rng.uniform(1.1, 1.5) * max(start, end) if row["curve"] == "arch" else end + 0.25 * (start - end)
            frequency, envelope = call_curve(row["curve"], start, end, peak, rng)
            loud = level + rng.normal(0, 1.5) - 1.5 * abs(i - 0.5 * parts)
            harmonics = self.harmonics(row)
            calls.append(Call(time, duration, frequency, self.swell(envelope), harmonics, loud, "social", self.turn))
            time += max(period * rng.normal(1, 0.06), 1.05 * duration)
        return calls
