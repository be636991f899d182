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
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import scipy.fft

from batpam.scalograms.plan import Plan
from batpam.scalograms.settings import ScalogramSettings, hop_grid

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
    engine = _engine(plan, device, threading.get_ident())
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

    For looking closely at a call: it takes 8 bytes per voice and sample, 0.3 GB for a second of the default voices.

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


@lru_cache(maxsize=16)
def _plan(settings: ScalogramSettings, sample_rate: float) -> Plan:
    return Plan(settings, sample_rate)


@lru_cache(maxsize=64)
def _engine(plan: Plan, device: str, thread: int) -> Any:
    """Engine of a thread: engines own buffers, so threads do not share them."""
    from batpam.scalograms.engines import CpuEngine, TorchEngine  # numba and FFTW, for those who compute

    return CpuEngine(plan) if device == "cpu" else TorchEngine(plan, device)
