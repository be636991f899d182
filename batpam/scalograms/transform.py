"""The continuous wavelet transform, pooled to a hop.

The transform is that of :func:`pywt.cwt`: ``W(s, b) = s**-0.5 * sum_n x[n] conj(psi((n - b) / s))`` with the scale
``s`` in samples and the wavelet taken from :class:`pywt.ContinuousWavelet`. It is computed in the frequency
domain, block by block: one real FFT of a block, and for each voice an inverse FFT of only those bins that the
voice occupies, at a rate that is a whole multiple of the hop rate. Power is the mean of ``|W|**2`` over a hop.

Everything is laid out on a grid of hops that starts at the first sample of a recording, so the result depends
neither on the length of a block nor on where a segment was cut out of its recording.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
import pywt
import scipy.fft

from batpam.errors import UserError

REACH = 1e-4
"""A voice's spectrum counts as zero where it is below this share of its maximum."""

BLOCK_HOPS = 512
"""Hops that one FFT block yields, before they are rounded to a whole number of samples."""

FLOOR_DB = -200.0
"""What is written for silence, and for voices that the sample rate does not reach."""


@dataclass(frozen=True)
class ScalogramSettings:
    """What a scalogram is made with.

    Attributes
    ----------
    wavelet
        A complex wavelet as PyWavelets names it, ``cmorB-C``, ``shanB-C`` or ``fbspM-B-C``.
    f_min, f_max
        Centre frequencies of the lowest and the highest voice, Hz.
    voices
        Number of voices, spaced evenly in the logarithm of frequency.
    hop
        Time that one column stands for, s.
    """

    wavelet: str = "cmor4-4"
    f_min: float = 10_000.0
    f_max: float = 150_000.0
    voices: int = 96
    hop: float = 0.0005

    def frequencies(self) -> np.ndarray:
        """Centre frequencies of the voices, shape (voices,), Hz, ascending."""
        return np.geomspace(self.f_min, self.f_max, self.voices)


def hop_grid(sample_rate: float, hop: float) -> Fraction:
    """Return the samples of one hop as a fraction ``p/q``: every ``q`` hops a hop begins on a sample.

    Examples
    --------
    >>> hop_grid(384_000, 0.0005)
    Fraction(192, 1)
    >>> hop_grid(441_000, 0.0005)
    Fraction(441, 2)
    """
    return (Fraction(sample_rate).limit_denominator(1000) * Fraction(hop).limit_denominator(10**6)).limit_denominator(
        4000
    )


def read_power(
    read: Callable[[int, int], np.ndarray],
    sample_rate: float,
    first_hop: int,
    last_hop: int,
    settings: ScalogramSettings,
) -> np.ndarray:
    """Wavelet power of a stretch of a recording, in dB re a full-scale sine.

    Parameters
    ----------
    read
        ``read(start, stop)`` gives the samples ``start`` to ``stop - 1`` of the recording, shape (stop - start,),
        full scale 1; outside the recording it gives zeros.
    sample_rate
        Real sample rate, Hz (time expansion undone).
    first_hop, last_hop
        The stretch, in hops since the start of the recording: ``first_hop <= hop < last_hop``.
    settings
        The transform.

    Returns
    -------
    ndarray of shape (last_hop - first_hop, voices), float32
        0 dB is a sine of amplitude 1 at the centre of the voice. :data:`FLOOR_DB` where the voice lies above the
        Nyquist frequency.
    """
    plan = _plan(settings, float(sample_rate))
    power = np.empty((last_hop - first_hop, settings.voices), np.float32)
    done = first_hop
    while done < last_hop:
        start = (done // plan.grid.denominator) * plan.grid.denominator
        stop = min(start + plan.useful_hops, last_hop)
        block = plan.power(read(*plan.span(start)))
        power[done - first_hop : stop - first_hop] = block[done - start : stop - start]
        done = stop
    return plan.decibel(power)


def wavelet_power(samples: np.ndarray, sample_rate: float, settings: ScalogramSettings) -> np.ndarray:
    """Wavelet power of a whole signal, in dB re a full-scale sine; zeros are assumed on both sides of it.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1.

    Returns
    -------
    ndarray of shape (hops, voices), float32
        The last hop may be partly filled.

    Examples
    --------
    >>> import numpy as np
    >>> rate, settings = 256_000, ScalogramSettings()
    >>> tone = np.sin(2 * np.pi * 45_000 * np.arange(rate // 10) / rate)
    >>> power = wavelet_power(tone, rate, settings)
    >>> power.shape, bool(abs(settings.frequencies()[power[100].argmax()] - 45_000) < 1500)
    ((200, 96), True)
    """
    samples = np.asarray(samples, np.float32)

    def read(start: int, stop: int) -> np.ndarray:
        return pad_read(lambda a, b: samples[a:b], len(samples), start, stop)

    hops = ceil(len(samples) / hop_grid(sample_rate, settings.hop))
    return read_power(read, sample_rate, 0, hops, settings)


def pad_read(read: Callable[[int, int], np.ndarray], length: int, start: int, stop: int) -> np.ndarray:
    """Samples ``start`` to ``stop - 1`` of a recording of ``length`` samples, zeros where it has none."""
    out = np.zeros(stop - start, np.float32)
    first, last = max(start, 0), min(stop, length)
    if first < last:
        out[first - start : last - start] = read(first, last)
    return out


def scale_of(frequency: np.ndarray, sample_rate: float, wavelet: str) -> np.ndarray:
    """Scale, in samples, at which a wavelet is centred on a frequency (Hz): ``C * sample_rate / frequency``."""
    return _wavelet(wavelet).center_frequency * sample_rate / np.asarray(frequency)


@lru_cache(maxsize=16)
def _plan(settings: ScalogramSettings, sample_rate: float) -> "_Plan":
    return _Plan(settings, sample_rate)


def _wavelet(name: str) -> pywt.ContinuousWavelet:
    try:
        wavelet = pywt.ContinuousWavelet(name)
    except ValueError as error:
        raise UserError(f"scalogram.wavelet: {name!r} is no wavelet; name one as PyWavelets does, cmor4-4") from error
    if not wavelet.complex_cwt:
        raise UserError(f"scalogram.wavelet: {name!r} is real; take a complex one (cmorB-C, shanB-C, fbspM-B-C)")
    return wavelet


@lru_cache(maxsize=4)
def _spectrum(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Fourier transform of the wavelet at scale 1: frequencies (cycles per unit of time) and values.

    PyWavelets' sampled wavelet is symmetric about zero, so its transform is real.
    """
    psi, t = _wavelet(name).wavefun(level=14)
    step = t[1] - t[0]
    length = scipy.fft.next_fast_len(16 * len(psi))
    frequency = scipy.fft.fftfreq(length, step)
    values = scipy.fft.fft(psi, length) * step * np.exp(-2j * np.pi * frequency * t[0])
    keep = slice(0, length // 2)
    return frequency[keep], values[keep].real


class _Plan:
    """Everything about a transform that does not depend on the samples: block sizes, bins and filters.

    A block covers ``hops`` hops, of which ``guard`` at either end are spoilt by the wrap-around of the FFT.
    """

    def __init__(self, settings: ScalogramSettings, sample_rate: float) -> None:
        self.grid = hop_grid(sample_rate, settings.hop)
        hop = float(self.grid) / sample_rate
        frequencies = settings.frequencies()
        scales = scale_of(frequencies, sample_rate, settings.wavelet)
        half_support = max(
            abs(b) for b in (_wavelet(settings.wavelet).lower_bound, _wavelet(settings.wavelet).upper_bound)
        )
        step = self.grid.denominator
        self.guard = _round_up(ceil(half_support * scales[0] / self.grid) + 1, step)
        self.hops = _fast_multiple(BLOCK_HOPS + 2 * self.guard, step)
        self.useful_hops = self.hops - 2 * self.guard
        self.samples = int(self.hops * self.grid)
        self.voices = settings.voices
        axis, values = _spectrum(settings.wavelet)
        peak = np.abs(values).max()
        occupied = axis[np.abs(values) > REACH * peak]
        # power of a full-scale sine at the centre of a voice: half its amplitude lies at the positive frequency
        self._reference = scales * (peak / 2) ** 2
        self._groups: list[tuple[np.ndarray, int, np.ndarray, np.ndarray]] = []
        by_rate: dict[int, list[int]] = {}
        for voice in np.flatnonzero(frequencies < sample_rate / 2).tolist():
            bandwidth = (occupied[-1] - occupied[0]) / scales[voice] * sample_rate
            by_rate.setdefault(_fast_multiple(ceil(bandwidth * hop), 1), []).append(voice)
        for rate, members in by_rate.items():
            size = self.hops * rate
            # instants of the coarse samples: the middles of rate equal parts of a hop, against the middles of its samples
            shift = (float(self.grid) / rate - 1) / 2
            bins = np.empty((len(members), size), np.int64)
            filters = np.zeros((len(members), size), np.complex64)
            for row, voice in enumerate(members):
                low = ceil(occupied[0] / scales[voice] * self.samples)
                k = low + np.arange(size)
                f = k / self.samples
                gain = np.interp(f * scales[voice], axis, values, left=0, right=0)
                gain[(f < 0) | (f > 0.5)] = 0
                bins[row] = np.clip(k, 0, self.samples // 2)
                filters[row] = np.sqrt(scales[voice]) * gain * np.exp(2j * np.pi * f * shift) / self.samples * size
            self._groups.append((np.array(members), rate, bins, filters))

    def span(self, first_hop: int) -> tuple[int, int]:
        """Samples that a block needs whose first useful hop is ``first_hop``."""
        start = int((first_hop - self.guard) * self.grid)
        return start, start + self.samples

    def power(self, block: np.ndarray) -> np.ndarray:
        """Pooled power ``|W|**2`` of the useful hops of a block, shape (useful_hops, voices)."""
        spectrum = scipy.fft.rfft(np.asarray(block, np.float32))
        out = np.zeros((self.hops, self.voices), np.float32)
        for members, rate, bins, filters in self._groups:
            w = scipy.fft.ifft(spectrum[bins] * filters, axis=1, overwrite_x=True)
            squared = w.real**2 + w.imag**2
            out[:, members] = squared.reshape(len(members), self.hops, rate).mean(axis=2).T
        return out[self.guard : self.guard + self.useful_hops]

    def decibel(self, power: np.ndarray) -> np.ndarray:
        """Power in dB re a full-scale sine, in place."""
        power /= self._reference.astype(np.float32)
        np.maximum(power, 10 ** (FLOOR_DB / 10), out=power)
        np.log10(power, out=power)
        power *= 10
        return power


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _fast_multiple(value: int, step: int) -> int:
    """Smallest multiple of ``step`` that is at least ``value`` and ``step`` times a 5-smooth number."""
    return step * scipy.fft.next_fast_len(-(-value // step), real=True)
