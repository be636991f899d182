"""The plan of a transform: all of it that does not depend on the samples. What it is for: :mod:`batpam.scalograms.transform`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil, log2

import numpy as np
import pywt
import scipy.fft

from batpam.errors import UserError
from batpam.scalograms.settings import ScalogramSettings, hop_grid

SKIRT = 1e-6
"""A voice's spectrum counts as zero where it is below this share of its maximum."""

FASTER = 1e-3
"""Share of the beats in a voice's power that may be faster than those its rate is chosen for."""

BLOCK_SAMPLES = 36_000
"""Samples of an FFT block, at least: its spectrum stays in the cache of a core."""

MAX_STEP = 64
"""Hops after which one begins on a sample again, at most; odder sample rates are off by half a sample at most."""


def scale_of(frequency: np.ndarray, sample_rate: float, wavelet: str) -> np.ndarray:
    """Scale, in samples, at which a wavelet is centred on a frequency (Hz): ``C * sample_rate / frequency``."""
    return _wavelet(wavelet).center_frequency * sample_rate / np.asarray(frequency)


def _wavelet(name: str) -> pywt.ContinuousWavelet:
    try:
        wavelet = pywt.ContinuousWavelet(name)
    except ValueError as error:
        raise UserError(f"scalogram.wavelet: {name!r} is no wavelet; name one as PyWavelets does, cmor4-4") from error
    if not name.startswith(("cmor", "shan", "fbsp")):
        raise UserError(f"scalogram.wavelet: {name!r} is not one of those batpam takes: cmorB-C, shanB-C, fbspM-B-C")
    return wavelet


@lru_cache(maxsize=4)
def _spectrum(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Fourier transform of the wavelet at scale 1: frequencies (cycles per unit of time) and values.

    The wavelets are conjugate-symmetric in time, so their transforms are real. On so fine an axis that straight lines do
    between its points: coarser ones would have echoes of the wavelet in time.
    """
    psi, t = _wavelet(name).wavefun(level=11)
    step = t[1] - t[0]
    length = 1 << 19
    frequency = scipy.fft.fftshift(scipy.fft.fftfreq(length, step))
    if _wavelet(name).center_frequency > 0.5 * frequency[-1]:
        raise UserError(f"scalogram.wavelet: {name!r} has too high a centre C, beyond {0.5 * frequency[-1]:.0f}")
    values = scipy.fft.fftshift(scipy.fft.fft(psi, length)) * step * np.exp(-2j * np.pi * frequency * t[0])
    return frequency, values.real


def _on_line(axis: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values on straight lines between points of an even axis; :func:`numpy.interp` searches it for each."""
    place = (np.asarray(at) - axis[0]) / (axis[1] - axis[0])
    before = np.clip(place.astype(np.int64), 0, len(axis) - 2)
    return values[before] + (place - before) * (values[before + 1] - values[before])


@dataclass(frozen=True)
class Group:
    """Voices that share a rate.

    Attributes
    ----------
    voices
        Their numbers, consecutive.
    rate
        Coarse samples per hop.
    low
        First bin of each voice, shape (voices,); below 0 and above half the block the spectrum goes on as its mirror image.
    filters
        What the bins from ``low`` on are multiplied with, shape (voices, widest), float32; zero beyond a voice's last.
    width
        Bins of each voice, shape (voices,).
    """

    voices: np.ndarray
    rate: int
    low: np.ndarray
    filters: np.ndarray
    width: np.ndarray


class Plan:
    """Everything about a transform that does not depend on the samples: block sizes, bins and filters.

    A block covers ``hops`` hops, of which ``guard`` at either end are spoilt by the wrap-around of the FFT.
    """

    def __init__(self, settings: ScalogramSettings, sample_rate: float) -> None:
        wavelet = _wavelet(settings.wavelet)
        frequencies = settings.frequencies()
        scales = scale_of(frequencies, sample_rate, settings.wavelet)
        self.voices = settings.voices
        self.grid = hop_grid(sample_rate, settings.hop)
        # blocks begin on whole samples: every ``step`` hops; to the nearest one where that would make them huge
        self.step = self.grid.denominator if self.grid.denominator <= MAX_STEP else 1
        half_support = max(-wavelet.lower_bound, wavelet.upper_bound)
        # one hop more than the wavelet reaches, for the correction at the ends of a hop
        self.guard = _round_up(ceil(half_support * scales[0] / self.grid) + 1, self.step)
        least = max(ceil(BLOCK_SAMPLES / self.grid), 12 * self.guard)
        # times a power of two, for which FFTs are fastest
        self.hops = self.step * 2 ** ceil(log2(least / self.step))
        self.useful_hops = self.hops - 2 * self.guard
        self.samples = round(self.hops * self.grid)
        axis, values = _spectrum(settings.wavelet)
        spectrum = partial(_on_line, axis, values)
        # power of a full-scale sine at the centre of a voice: half its amplitude lies at the positive frequency
        self.reference = (scales * (spectrum(wavelet.center_frequency) / 2) ** 2).astype(np.float32)
        reached = np.flatnonzero(frequencies < sample_rate / 2)
        rates = _rates(axis, values, scales[reached], float(self.grid))
        skirts = axis[np.abs(values) > SKIRT * np.abs(values).max()][[0, -1]]
        self.groups = [
            self._group(reached[rates == rate], int(rate), scales, skirts, spectrum) for rate in np.unique(rates)
        ]

    def _group(
        self,
        voices: np.ndarray,
        rate: int,
        scales: np.ndarray,
        skirts: np.ndarray,
        spectrum: Callable[[np.ndarray], np.ndarray],
    ) -> Group:
        # from half the sample rate below zero to half of it above the Nyquist frequency, should a wavelet be so wide
        low = np.ceil(np.maximum(skirts[0] / scales[voices], -0.49) * self.samples).astype(np.int64)
        high = (np.minimum(skirts[1] / scales[voices], 0.99) * self.samples).astype(np.int64)
        width = high - low + 1
        filters = np.zeros((len(voices), width.max()), np.float32)
        for row, voice in enumerate(voices):
            f = np.arange(low[row], high[row] + 1) / self.samples
            filters[row, : width[row]] = np.sqrt(scales[voice]) * spectrum(f * scales[voice]) / self.samples
        return Group(voices, rate, low, filters, width)

    def begin(self, first_hop: int) -> int:
        """First sample of the block whose useful hops begin with ``first_hop``."""
        return round((first_hop - self.guard) * self.grid)

    def lag(self, rate: int) -> float:
        """How far a hop's end lies before its first coarse sample, in coarse samples: half a sample.

        A hop's samples stand for the time from half a sample before the first to half a sample after the last.
        """
        return 0.5 * rate / float(self.grid)


def _rates(axis: np.ndarray, values: np.ndarray, scales: np.ndarray, hop: float) -> np.ndarray:
    """Coarse samples per hop for each voice.

    The power of noise in a voice beats with the autocorrelation of the voice's energy spectrum. What is sampled at a
    rate ``R`` takes a beat at ``R - f`` for one at ``f``, so the rate must stay clear of the beats that there are, and
    by two hop rates, within which a mean over a hop lets them pass.

    Parameters
    ----------
    axis, values
        Spectrum of the wavelet at scale 1.
    scales, hop
        In samples.
    """
    axis, energy = axis[::16], values[::16] ** 2
    beats = scipy.fft.irfft(np.abs(scipy.fft.rfft(energy, 2 * len(energy))) ** 2)[: len(energy)].cumsum()
    fastest = axis[np.searchsorted(beats, (1 - FASTER) * beats[-1])] - axis[0]
    least = 5 / 3 * fastest / scales * hop + 2
    # 2**k and 5 * 2**k: FFTs of sizes with a factor of 3 take longer than those of the next size without
    power = 2 ** np.ceil(np.log2(np.maximum(least, 4))).astype(np.int64)
    five = power // 8 * 5
    return np.where(least <= five, five, power)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
