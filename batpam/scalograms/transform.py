"""The continuous wavelet transform, pooled to a hop.

The transform is that of :func:`pywt.cwt`: ``W(s, b) = s**-0.5 * sum_n x[n] conj(psi((n - b) / s))`` with the scale
``s`` in samples and the wavelet taken from :class:`pywt.ContinuousWavelet`. Power is the mean of ``|W|**2`` over the
samples of a hop. A sum over samples means that near the Nyquist frequency a voice also hears the mirror image of what
lies beyond it, as the samples themselves do; cutting its spectrum off there instead would make it ring on for ever.

It is computed in the frequency domain, block by block: one real FFT of a block, and for each voice an inverse FFT of
only those bins that the voice occupies, at a rate that is a whole multiple ``r`` of the hop rate. That rate is lower
than the width of the voice's spectrum, so its skirts fold over; what folds beats against the rest at frequencies that
the mean over a hop removes. The mean itself is the trapezoidal rule over the ``r`` parts of a hop with a correction at
its ends, of Gregory's kind (Davis & Rabinowitz 1984, Methods of Numerical Integration, 2.9).

Everything is laid out on a grid of hops that starts at the first sample of a recording, so the result depends
neither on the length of a block nor on where a segment was cut out of its recording.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil, log2
from typing import Any

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

BATCH_BLOCKS = 16
"""Blocks that are read and transformed at a time."""

FLOOR_DB = -200.0
"""What is written for silence, and for voices that the sample rate does not reach."""

Read = Callable[[int, int], np.ndarray]


def read_power(
    read: Read, sample_rate: float, first_hop: int, last_hop: int, settings: ScalogramSettings, *, device: str = "cpu"
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
    device
        ``cpu``: one thread, which is the caller's; else a device of torch, ``cuda``.

    Returns
    -------
    ndarray of shape (last_hop - first_hop, voices), float32
        0 dB is a sine of amplitude 1 at the centre of the voice. :data:`FLOOR_DB` where the voice lies above the
        Nyquist frequency.
    """
    plan = _plan(settings, float(sample_rate))
    engine = _engine(plan, device)
    power = np.empty((last_hop - first_hop, settings.voices), np.float32)
    done = first_hop
    while done < last_hop:
        start = (done // plan.step) * plan.step
        count = min(-(-(last_hop - start) // plan.useful_hops), BATCH_BLOCKS)
        stop = min(start + count * plan.useful_hops, last_hop)
        begin = plan.begin(start)
        samples = read(begin, plan.begin(start + (count - 1) * plan.useful_hops) + plan.samples)
        offsets = [plan.begin(start + i * plan.useful_hops) - begin for i in range(count)]
        blocks = engine([samples[offset : offset + plan.samples] for offset in offsets])
        power[done - first_hop : stop - first_hop] = blocks.reshape(-1, settings.voices)[done - start : stop - start]
        done = stop
    power /= plan.reference
    np.maximum(power, 10 ** (FLOOR_DB / 10), out=power)
    np.log10(power, out=power)
    power *= 10
    return power


def wavelet_power(
    samples: np.ndarray, sample_rate: float, settings: ScalogramSettings, *, device: str = "cpu"
) -> np.ndarray:
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
    read = _reader(samples)
    hops = ceil(len(samples) / hop_grid(sample_rate, settings.hop))
    return read_power(read, sample_rate, 0, hops, settings, device=device)


def wavelet_coefficients(samples: np.ndarray, sample_rate: float, settings: ScalogramSettings) -> np.ndarray:
    """Complex coefficients ``W`` of a whole signal at every sample, as :func:`pywt.cwt` gives them.

    For looking closely at a call: it takes 8 bytes per voice and sample, 0.4 GB for a second of the default voices.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1; zeros are assumed on both sides of it.

    Returns
    -------
    ndarray of shape (voices, n), complex64
        Not divided by the full-scale reference; zero for voices above the Nyquist frequency.

    Examples
    --------
    >>> import numpy as np
    >>> settings = ScalogramSettings(voices=8)
    >>> w = wavelet_coefficients(np.ones(1000), 384_000, settings)
    >>> w.shape, w.dtype
    ((8, 1000), dtype('complex64'))
    """
    plan = _plan(settings, float(sample_rate))
    read = _reader(samples)
    guard = ceil(plan.guard * plan.grid)
    useful = plan.samples - 2 * guard
    out = np.zeros((settings.voices, len(samples)), np.complex64)
    for start in range(0, len(samples), useful):
        stop = min(start + useful, len(samples))
        spectrum = scipy.fft.fft(read(start - guard, start - guard + plan.samples))
        for group in plan.groups:
            for voice, low, gain in zip(group.voices, group.low, group.filters, strict=True):
                bins = np.zeros(plan.samples, np.complex64)
                np.add.at(bins, (low + np.arange(len(gain))) % plan.samples, gain)
                bins *= spectrum
                out[voice, start:stop] = scipy.fft.ifft(bins, norm="forward")[guard : guard + stop - start]
    return out


def pad_read(read: Read, length: int, start: int, stop: int) -> np.ndarray:
    """Samples ``start`` to ``stop - 1`` of a recording of ``length`` samples, zeros where it has none."""
    out = np.zeros(stop - start, np.float32)
    first, last = max(start, 0), min(stop, length)
    if first < last:
        out[first - start : last - start] = read(first, last)
    return out


def _reader(samples: np.ndarray) -> Read:
    samples = np.asarray(samples, np.float32)
    return lambda start, stop: pad_read(lambda a, b: samples[a:b], len(samples), start, stop)


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


@lru_cache(maxsize=16)
def _plan(settings: ScalogramSettings, sample_rate: float) -> Plan:
    return Plan(settings, sample_rate)


_engines = threading.local()


def _engine(plan: Plan, device: str) -> Any:
    """The engine of this thread; engines own buffers, so threads do not share them."""
    known = _engines.__dict__.setdefault("known", {})
    if (plan, device) not in known:
        from batpam.scalograms.engines import CpuEngine, TorchEngine

        if len(known) >= 16:
            known.clear()
        known[plan, device] = CpuEngine(plan) if device == "cpu" else TorchEngine(plan, device)
    return known[plan, device]


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
