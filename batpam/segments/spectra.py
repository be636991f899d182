"""Short-time spectra of a chunk, and what is loudest in each: the part of the gate that must be fast.

FFTW transforms a batch of frames at a time; the loops around it are compiled, so that each batch stays in the cache of a core.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numba
import numpy as np
import pyfftw

BATCH = 64
"""Frames that are transformed at a time, two in one complex FFT: one is its real part, the other its imaginary part."""

SILENCE = 1e-12
"""Power per sample that every spectrum has at least, re full scale: digital silence would divide by nothing."""

FRAME_S = 0.00133
"""Length of a spectrum, s: long enough for 750 Hz, short enough for the shortest call."""

NOISE_QUANTILE = 0.25
"""Of the power of a frequency over a chunk: below the level of calls even where these fill half of the time."""

NOISE_SPECTRA = 700
"""Spectra of a chunk, at least, of which that is taken; more cost time and move it by less than 0.3 dB."""

_QUANTILE_TO_MEAN = -1 / np.log(1 - NOISE_QUANTILE)
"""Mean over that quantile, for the exponentially distributed power of noise."""


@dataclass(frozen=True)
class Spectra:
    """Spectra of a chunk and the noise in them.

    Attributes
    ----------
    power
        Shape (spectra, bins), float32; of the frame that begins at sample ``i * size / 2`` in row i.
    noise
        Mean power of the noise in each bin, shape (bins,), float32.
    size
        Samples of a frame.
    first
        Bin that the first column is.
    rate
        Hz.
    """

    power: np.ndarray
    noise: np.ndarray
    size: int
    first: int
    rate: float

    def column(self, frequency: float) -> int:
        """First column at or above a frequency, Hz; that behind the last where it lies above all of them."""
        return min(max(bin_of(frequency, self.size, self.rate) - self.first, 0), self.power.shape[1])


def bin_of(frequency: float, size: int, rate: float) -> int:
    """First bin at or above a frequency (Hz), but for the one of the mean."""
    return max(ceil(frequency * size / rate), 1)


def chunk_spectra(samples: np.ndarray, rate: float, f_min: float) -> Spectra:
    """Spectra of a chunk, from f_min (Hz) to below the Nyquist frequency.

    Parameters
    ----------
    samples
        Shape (n,).
    rate
        Hz.
    """
    size = frame_size(rate, FRAME_S)
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    first = bin_of(f_min, size, rate)
    # without the bin at the Nyquist frequency: it is real, its noise spreads wider than that of the others
    power = short_time_power(np.asarray(samples, np.float32), size, first, (size - 1) // 2)
    return Spectra(power, mean_noise(power), size, first, rate)


def mean_noise(power: np.ndarray) -> np.ndarray:
    """Mean power of the noise in each bin, from a quantile that calls leave alone, shape (bins,), float32.

    Parameters
    ----------
    power
        Shape (spectra, bins), float32, at least one spectrum.
    """
    some = np.ascontiguousarray(power[:: max(len(power) // NOISE_SPECTRA, 1)].T)
    rank = int(NOISE_QUANTILE * some.shape[1])
    return np.partition(some, rank, axis=1)[:, rank] * np.float32(_QUANTILE_TO_MEAN)


def frame_size(rate: float, duration: float) -> int:
    """Samples of a frame of about that duration (s): of the sizes that FFTW is fast at, the nearest one.

    Examples
    --------
    >>> frame_size(384_000, 0.00133), frame_size(250_000, 0.00133), frame_size(192_000, 0.00133)
    (512, 320, 256)
    """
    sizes = [factor << power for factor in (1, 5, 25) for power in range(4, 24)]
    return min(sizes, key=lambda size: abs(np.log(size / (duration * rate))))


def short_time_power(samples: np.ndarray, size: int, first: int, last: int) -> np.ndarray:
    """Power of overlapping frames, a Hann window of ``size`` samples every half of it.

    Parameters
    ----------
    samples
        Shape (n,), at least ``size``, float32.
    first, last
        Bins, ``0 < first <= bin < last < size / 2``.

    Returns
    -------
    ndarray of shape (frames, last - first), float32
    """
    pairs, spectra, transform, window = _batch(size, threading.get_ident())
    step = size // 2
    count = (len(samples) - size) // step + 1
    power = np.empty((count, max(last - first, 0)), np.float32)
    for begin in range(0, count, BATCH):
        part = power[begin : begin + BATCH]
        _cut_frames(samples[begin * step :], window, step, len(part), pairs)
        transform.execute()
        _power(spectra, first, np.float32(SILENCE * size), part)
    return power


@lru_cache(maxsize=64)
def _batch(size: int, thread: int) -> tuple[np.ndarray, np.ndarray, pyfftw.FFTW, np.ndarray]:
    """Buffers and plan of one thread for frames of a size; estimated, so that every run rounds alike."""
    pairs = pyfftw.zeros_aligned((BATCH // 2, size), np.complex64)
    spectra = pyfftw.zeros_aligned((BATCH // 2, size), np.complex64)
    transform = pyfftw.FFTW(pairs, spectra, axes=(1,), flags=("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT"))
    return pairs, spectra, transform, np.hanning(size).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def _cut_frames(samples, window, step, count, pairs):  # type: ignore[no-untyped-def]
    """Windowed frames, two by two; in place of one that is missing the frame before it."""
    size = len(window)
    for pair in range((count + 1) // 2):
        one = samples[2 * pair * step : 2 * pair * step + size]
        start = min(2 * pair + 1, count - 1) * step
        other = samples[start : start + size]
        out = pairs[pair]
        for i in range(size):
            out[i] = complex(one[i] * window[i], other[i] * window[i])


@numba.njit(cache=True, nogil=True)
def _power(spectra, first, least, power):  # type: ignore[no-untyped-def]
    """Power of the bins from ``first`` on of each frame, taken out of the pairs: ``X[k] = (Z[k] + conj(Z[-k])) / 2``."""
    size, width = spectra.shape[1], power.shape[1]
    quarter = np.float32(0.25)
    for pair in range((len(power) + 1) // 2):
        up = spectra[pair, first : first + width]
        down = spectra[pair, size - first - width + 1 : size - first + 1][::-1]
        one, other = power[2 * pair], power[min(2 * pair + 1, len(power) - 1)]
        for i in range(width):
            real, imaginary = up[i].imag + down[i].imag, down[i].real - up[i].real
            other[i] = quarter * (real * real + imaginary * imaginary) + least
        for i in range(width):
            real, imaginary = up[i].real + down[i].real, up[i].imag - down[i].imag
            one[i] = quarter * (real * real + imaginary * imaginary) + least


# fastmath: else the maxima are not SIMD. Power is finite, samples are made so when they are read
@numba.njit(cache=True, nogil=True, fastmath=True)
def loudest_patches(power, noise):  # type: ignore[no-untyped-def]
    """How far the loudest patch around each spectrum is above the noise, as a ratio of power.

    A patch is 4 spectra by 2 bins, for calls that hold a frequency, or 2 spectra by 5 bins, for sweeps; half of its
    spectra lie before the one that it counts for. What lies outside of the chunk counts as nothing.

    Parameters
    ----------
    power
        Shape (spectra, bins), float32.
    noise
        Of each bin, shape (bins,), float32; where it has fewer, it is that of the last ones, and only they are looked at.

    Returns
    -------
    ndarray of shape (spectra,), float32
    """
    count, width = len(power), len(noise)
    below = power.shape[1] - width
    loudest = np.zeros(count, np.float32)
    weight = np.float32(1) / noise
    # two bins of nothing on either side
    last, two, two_before, two_long_before = np.zeros((4, width + 4), np.float32)
    for row in range(count + 1):
        two_long_before, two_before, two = two_before, two, two_long_before
        now, pair = last[2 : 2 + width], two[2 : 2 + width]
        if row < count:
            line = power[row, below:]
            for i in range(width):
                ratio = line[i] * weight[i]
                pair[i] = now[i] + ratio
                now[i] = ratio
        else:
            pair[:] = now
        steady = np.float32(0)
        for i in range(1, width + 2):
            steady = max(steady, (two[i] + two_long_before[i]) + (two[i + 1] + two_long_before[i + 1]))
        if row > 0:
            loudest[row - 1] = max(loudest[row - 1], steady / np.float32(8))
        if row < count:
            sweep = np.float32(0)
            for i in range(width):
                sweep = max(sweep, two[i] + two[i + 1] + two[i + 2] + two[i + 3] + two[i + 4])
            loudest[row] = sweep / np.float32(10)
    return loudest
