"""What the audio itself says of the recorder and the weather: noise, clipping, offset, stuck samples, rain and insects.

It is measured in chunks, on the spectra that the gate makes of them anyway, and put together per recording. The
thresholds were chosen on simulated rain, song and calls; the tests hold them to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from batpam.segments.spectra import SILENCE, Spectra, mean_noise
from batpam.tables import BANDS_HZ, NOISE_COLUMNS

STRETCH_S = 0.25
"""Length of the stretches of a chunk of which each is stuck or not, and has a click or not, s."""

CLIPPED = 0.995
"""Level from which a sample counts as clipped, re full scale."""

FEWEST_VALUES = 8
"""A stretch of fewer different values is stuck: its noise is less than a step of the converter."""

MOST_EQUAL = 0.9
"""Share of samples equal to the next one from which a stretch is stuck."""

ZERO_RUN = 128
"""Exact zeros in a row that a recorder put in place of silence, if it says that it did so; noise has a few in a row."""

FEWEST_SPECTRA = 30
"""Spectra that a chunk needs (20 ms), or its noise cannot be told."""

ON_DB = 4.0
"""A patch of one spectrum by three bins (2.3 kHz) is on from here, over the mean power of noise, dB."""

CLICK_HZ, CLICK_LOW_HZ = (10_000.0, 100_000.0), (5_000.0, 15_000.0)
CLICK_SHARE = 0.6
"""Share of the patches, of either band, that is on in a click; what sweeps the first has nothing in the second."""

CLICK_FLAT_DB = 13.0
"""Patches count that are within this of the mean of CLICK_HZ, dB: the rest of a loud call or song is far below its peak."""

CLICK_S = 0.003
"""Length of a click at most, s."""

CLICK_STRETCHES = 3
"""Stretches of a chunk that have a click in rain, at least; fewer are a switch, a step, a twig."""

RAIN_SHARE = 0.05
"""In rain nothing but clicks fills a band for more of the time, or it does so less than :data:`SONG_PER_CLICK`."""

SONG_HZ = (8_000.0, 50_000.0)
SONG_SHARE = 0.15
"""Share of the time that song fills its band at once; bats, which sweep or hold a frequency, fill one for up to 0.11."""

SONG_PER_CLICK = 1.25
"""Loud song is full of clicks, and fills a band for at least twice the time of these; rain for up to 0.9 of it."""

SONG_DB = 15.0
"""How far song without a pause stands out of the noise below and above its band, dB; resonances of microphones do by 12."""

SONG_S = 1.0
"""Chunks below tell no song, s: a short one that was triggered by a bat is full of it."""

_SONG_BINS = 12
"""Bins that song fills at once (9 kHz), four patches side by side. A tone, of a bat or of a circuit, fills five."""

_BELOW_SONG, _ABOVE_SONG = 20, 40
"""Bins in which the noise beside song is looked for (15 and 30 kHz)."""


@dataclass(frozen=True)
class ChunkSound:
    """Measures of a chunk.

    Attributes
    ----------
    samples
        How many were measured.
    seconds, flat_s, click_s, insect_s
        Measured, and of that stuck, with clicks, with song, s.
    clipped
        Samples.
    total
        Sum of the samples, re full scale.
    noise
        Power density in each of :data:`batpam.tables.BANDS_HZ`, re full scale squared per Hz; NaN where not known.
    """

    samples: int
    seconds: float
    clipped: int
    total: float
    flat_s: float
    click_s: float
    insect_s: float
    noise: tuple[float, ...]


def measure_chunk(samples: np.ndarray, spectra: Spectra, *, untriggered: bool = False) -> ChunkSound:
    """Measure a chunk.

    Parameters
    ----------
    samples
        Shape (n,), float32, full scale 1.
    spectra
        Of them, from the lowest of :data:`batpam.tables.BANDS_HZ` on.
    untriggered
        Whether the recorder skipped silence, which is exact zeros here: these are left out of all measures.
    """
    heard = ~_zero_runs(samples) if untriggered else None
    if heard is not None and heard.all():
        heard = None
    count, clipped, total, stuck = 0, 0, 0.0, 0
    length = round(STRETCH_S * spectra.rate)
    for start in range(0, len(samples), length):
        part = samples[start : start + length]
        if heard is not None:
            part = part[heard[start : start + length]]
        if len(part):
            added, over, equal = _tally(part, np.float32(CLIPPED))
            count, clipped, total = count + len(part), clipped + int(over), total + float(added)
            few = len(part) < length // 10  # of the last samples of a recording all may be alike
            if not few and (equal > MOST_EQUAL * len(part) or _has_fewer_values(part, FEWEST_VALUES)):
                stuck += len(part)
    seconds = count / spectra.rate
    noise, click_s, song = (np.nan,) * len(BANDS_HZ), 0.0, False
    spectra, rows = _heard_only(spectra, heard)
    if len(rows) >= FEWEST_SPECTRA and not stuck:
        noise = band_noise(spectra)
        click, filled = find_clicks(spectra)
        of_clicks = SONG_PER_CLICK * click.mean()
        song = seconds >= SONG_S and (filled > max(SONG_SHARE, of_clicks) or stands_out(spectra))
        stretches = np.unique(rows[click] * (spectra.size // 2) // length)
        if len(stretches) >= CLICK_STRETCHES and not song and filled <= max(RAIN_SHARE, of_clicks):
            click_s = min(STRETCH_S * len(stretches), seconds)
    return ChunkSound(count, seconds, clipped, total, stuck / spectra.rate, click_s, seconds if song else 0.0, noise)


def sum_up(chunks: Sequence[ChunkSound]) -> dict[str, Any]:
    """Measures of a recording: a row of the schema SOUND, but for its name.

    Noise is the median of the chunks, offset the mean of the samples; None where there is nothing to tell it from.
    """
    samples = sum(chunk.samples for chunk in chunks)
    total = sum(chunk.total for chunk in chunks)
    row = {
        "read_s": float(sum(chunk.seconds for chunk in chunks)),
        "clipped_samples": sum(chunk.clipped for chunk in chunks),
        # a thousandth of a step of 16 bits: what is beyond depends on the order that a processor adds in
        "offset": round(total / samples, 8) if samples else None,
        **{name: float(sum(getattr(chunk, name) for chunk in chunks)) for name in ("flat_s", "click_s", "insect_s")},
    }
    # the short end of a recording would count as much as any other chunk
    half = 0.5 * max((chunk.seconds for chunk in chunks), default=0.0)
    densities = np.array([chunk.noise for chunk in chunks if chunk.seconds >= half]).reshape(-1, len(BANDS_HZ))
    for name, column in zip(NOISE_COLUMNS, densities.T, strict=True):
        known = column[column > 0]
        row[name] = float(10 * np.log10(np.median(known))) if len(known) else None
    return row


def band_noise(spectra: Spectra) -> tuple[float, ...]:
    """Power density of the noise in each of BANDS_HZ, re full scale squared per Hz.

    The density of a bin is ``2 |X|^2 / (rate * sum(w^2))``, of one side (Welch 1967). NaN where less than half of a band
    lies below the Nyquist frequency.
    """
    window = np.hanning(spectra.size)
    scale = 2 / (spectra.rate * (window @ window))
    found: list[float] = []
    for low, high in BANDS_HZ:
        noise = spectra.noise[spectra.column(low) : spectra.column(high)]
        if len(noise) and (low + high) / 2 <= spectra.rate / 2:
            found.append(float(scale * (noise.mean(dtype=float) - SILENCE * spectra.size)))
        else:
            found.append(np.nan)
    return tuple(found)


def find_clicks(spectra: Spectra) -> tuple[np.ndarray, float]:
    """Spectra that a click is in, and how much of the time something else fills a band.

    Returns
    -------
    click : ndarray of shape (spectra,), bool
    filled : float
        Share of the spectra that are on in :data:`_SONG_BINS` side by side and hold no click, at most of any in SONG_HZ.
    """
    low, high, deep, deep_end = (spectra.column(frequency) for frequency in (*CLICK_HZ, *CLICK_LOW_HZ))
    weight = 1 / (3 * spectra.noise)
    limit = np.float32(10 ** (ON_DB / 10))
    wide, bottom, filled = _count_patches(spectra.power, weight, limit, low, high, deep, deep_end)
    click = (wide >= max(CLICK_SHARE * (high - low), 1)) & (bottom >= CLICK_SHARE * (deep_end - deep))
    if click.any():
        ratio = spectra.power[click] * weight
        patches = (ratio[:, :-2] + ratio[:, 1:-1] + ratio[:, 2:])[:, low:high]
        near = patches > np.maximum(limit, patches.mean(axis=1, keepdims=True) / 10 ** (CLICK_FLAT_DB / 10))
        click[click] = near.mean(axis=1) >= CLICK_SHARE
        # a click of no length is in two frames or three
        click = _short_runs(click, round(CLICK_S * spectra.rate / (spectra.size / 2)) + 2)
        filled -= _count_patches(spectra.power[click], weight, limit, low, high, deep, deep_end)[2]
    return click, float(filled[_song_columns(spectra)].max(initial=0) / len(spectra.power))


def stands_out(spectra: Spectra) -> bool:
    """Whether the noise has a hump that an insect which never stops would make."""
    columns = _song_columns(spectra)
    noise = spectra.noise.astype(float)
    patches = noise[:-2] + noise[1:-1] + noise[2:]
    band = np.min([patches[columns + place] for place in range(0, _SONG_BINS, 3)], axis=0)
    # the least of the patches that end below the band and of those that begin above it; nothing where there are none
    padded = np.pad(patches, (_BELOW_SONG + 2, _ABOVE_SONG + _SONG_BINS), constant_values=np.inf)
    below = sliding_window_view(padded, _BELOW_SONG).min(axis=1)[columns]
    above = sliding_window_view(padded, _ABOVE_SONG).min(axis=1)[columns + _BELOW_SONG + 2 + _SONG_BINS]
    return bool((band > 10 ** (SONG_DB / 10) * np.maximum(below, above)).any())


def _song_columns(spectra: Spectra) -> np.ndarray:
    """Columns at which a band of song can begin."""
    return np.arange(spectra.column(SONG_HZ[0]), spectra.column(SONG_HZ[1]) - _SONG_BINS + 1)


@numba.njit(cache=True, nogil=True)
def _zero_runs(samples):  # type: ignore[no-untyped-def]
    """Samples in runs of at least ZERO_RUN exact zeros, shape (n,), bool."""
    found = np.zeros(len(samples), np.bool_)
    run = 0
    for i in range(len(samples)):
        run = run + 1 if samples[i] == 0 else 0
        if run == ZERO_RUN:
            found[i - run + 1 : i] = True
        if run >= ZERO_RUN:
            found[i] = True
    return found


def _heard_only(spectra: Spectra, heard: np.ndarray | None) -> tuple[Spectra, np.ndarray]:
    """Spectra of frames that were heard to the last sample, with the noise in these, and which rows they are."""
    rows = np.arange(len(spectra.power))
    if heard is None:
        return spectra, rows
    skipped = np.concatenate([[0], np.cumsum(~heard)])
    starts = rows * (spectra.size // 2)
    rows = rows[(starts + spectra.size <= len(heard))]
    rows = rows[skipped[starts[rows] + spectra.size] == skipped[starts[rows]]]
    power = spectra.power[rows]
    noise = mean_noise(power) if len(power) else spectra.noise
    return Spectra(power, noise, spectra.size, spectra.first, spectra.rate), rows


def _short_runs(on: np.ndarray, longest: int) -> np.ndarray:
    """Which are on in runs of at most so many, shape (n,), bool."""
    edges = np.diff(np.concatenate([[0], on, [0]]).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    short = on.copy()
    short[on] = np.repeat(ends - begins <= longest, ends - begins)
    return short


# fastmath and counts that are float: else the loops are not SIMD. Counts are exact up to 2^24, samples are finite
@numba.njit(cache=True, nogil=True, fastmath=True)
def _tally(samples, clipped):  # type: ignore[no-untyped-def]
    """Sum of the samples, how many are at least ``clipped``, and how many equal the next one."""
    total, over, equal = np.float32(0), np.float32(0), np.float32(0)
    for i in range(len(samples) - 1):
        sample = samples[i]
        total += sample
        over += np.float32(1) if abs(sample) >= clipped else np.float32(0)
        equal += np.float32(1) if sample == samples[i + 1] else np.float32(0)
    last = samples[len(samples) - 1]
    return total + last, over + (1 if abs(last) >= clipped else 0), equal


@numba.njit(cache=True, nogil=True)
def _has_fewer_values(samples, values):  # type: ignore[no-untyped-def]
    """Whether there are fewer different values than so many; done as soon as there are not."""
    seen = np.empty(values, np.float32)
    count = 0
    for sample in samples:
        known = False
        for i in range(count):
            known |= seen[i] == sample
        if not known:
            seen[count] = sample
            count += 1
            if count == values:
                return False
    return True


@numba.njit(cache=True, nogil=True, fastmath=True)
def _count_patches(power, weight, limit, low, high, deep, deep_end):  # type: ignore[no-untyped-def]
    """Count patches of three bins whose power, times the weight, adds up to more than the limit.

    Parameters
    ----------
    power
        Shape (spectra, bins), float32.
    weight
        Shape (bins,), float32.
    low, high, deep, deep_end
        First column and that behind the last of two bands.

    Returns
    -------
    wide, bottom : ndarray of shape (spectra,), float32
        Of the patches that begin in either band.
    filled : ndarray of shape (bins,), float32
        Spectra in which the four patches of the twelve bins from each on are on.
    """
    count, width = power.shape
    wide, bottom = np.zeros((2, count), np.float32)
    filled = np.zeros(width, np.float32)
    # with room behind the last bin, where nothing is on
    ratio, on = np.zeros((2, width + 9), np.float32)
    ratio_1, ratio_2, on_3, on_6, on_9 = ratio[1:], ratio[2:], on[3:], on[6:], on[9:]
    for row in range(count):
        line = power[row]
        for i in range(width):
            ratio[i] = line[i] * weight[i]
        for i in range(width - 2):
            on[i] = np.float32(1) if ratio[i] + ratio_1[i] + ratio_2[i] > limit else np.float32(0)
        number = np.float32(0)
        for one in on[low:high]:
            number += one
        wide[row] = number
        number = np.float32(0)
        for one in on[deep:deep_end]:
            number += one
        bottom[row] = number
        for i in range(width):
            filled[i] += on[i] * on_3[i] * on_6[i] * on_9[i]
    return wide, bottom, filled
