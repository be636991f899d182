"""How true batpam's wavelet transform is, and PyWavelets' own, against a float64 transform at the full rate.

python benchmarks/fidelity.py [--quick]
"""

import argparse

import numpy as np
import pandas as pd
import pywt
import scipy.fft
from scipy.fft import fft, ifft, next_fast_len
from scipy.interpolate import CubicSpline
from transform import RATE, parameters, show, sweeps

from batpam.scalograms.plan import scale_of
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.transform import wavelet_power

OWN_ERRORS = """\
batpam from the definition, which is the sum over samples of signal times wavelet: relative L2 error of power, of all
voices together and voice by voice, and error in dB, median over what is within 80 dB of a voice's top. 'positive:' is
against the wavelet's spectrum from zero to the Nyquist frequency, which is something else where the wavelet reaches
beyond."""

OTHER_ERRORS = """\
PyWavelets from that sum at 384 kHz. It multiplies the signal with the wavelet integrated over each sample, as if
samples were held for their duration, and so multiplies the spectrum by sinc(frequency / rate). 'released' are signals
divided by this beforehand. What remains are the steps of its table of the wavelet, finer with every precision (its
default is 12 since version 1.9): they let a loud call into voices that are almost silent, hence the large numbers."""


def psi(wavelet: str, t: np.ndarray) -> np.ndarray:
    """The wavelet by its formula."""
    kind, values = wavelet[:4], parameters(wavelet)
    centre = values[-1]
    if kind == "cmor":
        envelope = np.exp(-(t**2) / values[0]) / np.sqrt(np.pi * values[0])
    elif kind == "shan":
        envelope = np.sqrt(values[0]) * np.sinc(values[0] * t)
    else:
        order, bandwidth = values[:2]
        envelope = np.sqrt(bandwidth) * np.sinc(bandwidth * t / order) ** order
    return envelope * np.exp(2j * np.pi * centre * t)


def spectrum(wavelet: str) -> CubicSpline:
    """Fourier transform of the wavelet, cut off where PyWavelets cuts it off; to some 1e-8 of its maximum."""
    half, reach = 2**14, pywt.ContinuousWavelet(wavelet).upper_bound
    step = reach / half
    values = psi(wavelet, np.arange(-half, half + 1) * step)
    values[[0, -1]] /= 2
    size = 2**20
    frequency = np.arange(size // 8) / (size * step)
    transform = fft(values, size)[: size // 8] * step * np.exp(2j * np.pi * frequency * reach)
    return CubicSpline(frequency, transform.real)


def per_hop(power: np.ndarray, hop: float) -> np.ndarray:
    """Mean over each hop along the last axis; a hop that ends inside a sample takes its share of it."""
    total = np.concatenate([np.zeros((*power.shape[:-1], 1)), power.cumsum(axis=-1)], axis=-1)
    edges = np.arange(int(power.shape[-1] / hop + 1e-9) + 1) * hop
    index = np.minimum(edges.astype(int), power.shape[-1] - 1)
    at_edges = total[..., index] + (edges - index) * power[..., index]
    return np.diff(at_edges, axis=-1) / hop


def exact(
    signals: np.ndarray, rate: float, wavelet: str, frequencies: np.ndarray, hop: float, by_sum: bool
) -> np.ndarray:
    """Power of signals, shape (signals, n), at the full rate in float64; shape (signals, hops, voices).

    Parameters
    ----------
    by_sum
        Whether to take the transform as the sum over samples of the signal times samples of the wavelet. If not,
        the wavelet's spectrum between zero and the Nyquist frequency is applied.
    """
    shape, samples = spectrum(wavelet), signals.shape[1]
    reach = pywt.ContinuousWavelet(wavelet).upper_bound
    peak = shape(parameters(wavelet)[-1])
    scales = scale_of(frequencies, rate, wavelet)
    size = next_fast_len(samples + 2 * int(reach * scales.max()) + 2)
    forward = fft(signals, size)
    out = []
    for scale in scales:
        if by_sum:
            n = np.arange(-int(reach * scale), int(reach * scale) + 1)
            kernel = np.zeros(size, complex)
            kernel[n] = psi(wavelet, n / scale) / np.sqrt(scale)
            gain = np.conj(fft(kernel))
        else:
            gain = np.zeros(size)
            half = size // 2 + 1
            gain[:half] = np.sqrt(scale) * shape(np.arange(half) / size * scale)
        coefficients = ifft(forward * gain)[:, :samples]
        out.append(per_hop(np.abs(coefficients) ** 2, hop * rate) / (scale * (peak / 2) ** 2))
    return np.stack(out, axis=-1)


def trial_signals(rate: float, samples: int) -> dict[str, np.ndarray]:
    """Signals that ask different things of a transform, full scale 1."""
    generator = np.random.default_rng(1)
    t = np.arange(samples) / rate
    inside = (t > 0.100) & (t < 0.106)
    window = np.where(inside, np.sin(np.pi * (t - 0.100) / 0.006) ** 2, 0)
    loud = 0.5 * np.sin(2 * np.pi * (60_000 * t - 0.5 * 2e6 * (t - 0.100) ** 2))
    quiet = 0.0005 * np.sin(2 * np.pi * (90_000 * t - 0.5 * 5e5 * (t - 0.100) ** 2))
    impulse = np.zeros(samples)
    impulse[samples // 2] = 0.5
    signals = {
        "noise": 0.1 * generator.standard_normal(samples),
        "sweeps": sweeps(rate, samples, noise=0.001),
        "quiet by loud": window * (loud + quiet) + 1e-5 * generator.standard_normal(samples),
        "impulse": impulse,
    }
    return {name: signal.astype(np.float32).astype(float) for name, signal in signals.items()}


def errors(power: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Relative L2 error of power, shape (hops, voices), and its error in dB where the truth is within 80 dB of its top."""
    difference = np.linalg.norm(power - truth, axis=0) / np.linalg.norm(truth, axis=0)
    counts = truth > truth.max(axis=0) * 1e-8
    decibel = np.abs(10 * np.log10(np.where(counts, power, 1) / np.where(counts, truth, 1)))
    per_voice = [np.median(decibel[counts[:, v], v]) for v in range(truth.shape[1])]
    return {
        "all": float(np.linalg.norm(power - truth) / np.linalg.norm(truth)),
        "median voice": float(np.median(difference)),
        "worst voice": float(difference.max()),
        "dB": float(np.median(decibel[counts])),
        "dB worst voice": float(max(per_voice)),
    }


def held(signals: np.ndarray) -> np.ndarray:
    """Signals that, once each sample is held for its whole duration, are what they were before."""
    return scipy.fft.irfft(scipy.fft.rfft(signals) / np.sinc(scipy.fft.rfftfreq(signals.shape[-1])), signals.shape[-1])


def pywavelets(
    signals: np.ndarray, rate: float, wavelet: str, frequencies: np.ndarray, hop: float, precision: int, release: bool
) -> np.ndarray:
    """``|pywt.cwt|**2`` per hop, shape (signals, hops, voices); ``release`` takes out that it holds samples."""
    edge = 10 * round(hop * rate)
    padded = np.pad(signals, ((0, 0), (edge, edge)))
    data = held(padded) if release else padded
    scales = scale_of(frequencies, rate, wavelet)
    coefficients = pywt.cwt(data, scales, wavelet, method="fft", precision=precision)[0][..., edge:-edge]
    peak = spectrum(wavelet)(parameters(wavelet)[-1])
    power = per_hop(np.abs(coefficients) ** 2, hop * rate) / (scales * (peak / 2) ** 2)[:, None, None]
    return np.moveaxis(power, 0, -1)


def fidelity(quick: bool) -> None:
    """Print how far batpam and PyWavelets are from a float64 transform."""
    own_rows, other_rows = [], []
    for rate in (384_000,) if quick else (384_000, 250_000, 441_000):
        for wavelet in ("cmor4-4", "cmor1.5-1.0", "shan0.5-4", "fbsp2-0.5-4"):
            settings = ScalogramSettings(wavelet=wavelet, f_max=min(150_000, 0.42 * rate), voices=24 if quick else 48)
            signals = trial_signals(rate, rate // 4)
            stack, frequencies = np.stack(list(signals.values())), settings.frequencies()
            where = (stack, rate, wavelet, frequencies, settings.hop)
            spectral, summed = exact(*where, by_sum=False), exact(*where, by_sum=True)
            for i, (name, signal) in enumerate(signals.items()):
                decibel = wavelet_power(signal.astype(np.float32), rate, settings).astype(float)
                own = 10 ** (decibel[: summed.shape[1]] / 10)
                row = {"kHz": rate / 1000, "wavelet": wavelet, "signal": name, **errors(own, summed[i])}
                analytic = errors(own, spectral[i])
                row |= {"positive: " + key: analytic[key] for key in ("median voice", "worst voice")}
                own_rows.append(row)
            if rate != 384_000:
                continue
            for precision in (12,) if quick else (10, 12, 14, 16):
                raw, released = (pywavelets(*where, precision, release) for release in (False, True))
                for i, name in enumerate(signals):
                    row = {"wavelet": wavelet, "signal": name, "precision": precision}
                    for title, power in (("", raw), ("released: ", released)):
                        found = errors(power[i], summed[i])
                        row |= {title + key: found[key] for key in ("median voice", "worst voice", "dB")}
                    other_rows.append(row)
    print(OWN_ERRORS + "\n")
    print(show(pd.DataFrame(own_rows)), "\n")
    print(OTHER_ERRORS + "\n")
    print(show(pd.DataFrame(other_rows)), "\n")


def holding(quick: bool) -> None:
    """Print what holding samples does to single voices of PyWavelets."""
    frequencies, wavelet, hop = np.array([20e3, 40e3, 80e3, 120e3]), "cmor4-4", 0.0005
    signals = trial_signals(RATE, RATE // 4)["noise"][None]
    where = (signals, RATE, wavelet, frequencies, hop)
    truth = exact(*where, by_sum=True)[0]
    rows = []
    for precision in (12,) if quick else (10, 12, 16):
        raw, released = (pywavelets(*where, precision, release)[0] for release in (False, True))
        for v, frequency in enumerate(frequencies):
            first, second = (errors(power[:, [v]], truth[:, [v]]) for power in (raw, released))
            row = {"kHz": frequency / 1000, "precision": precision}
            row["sinc, dB"] = 20 * np.log10(np.sinc(frequency / RATE))
            row["PyWavelets, dB"] = np.median(10 * np.log10(raw[:, v] / truth[:, v]))
            row |= {"L2": first["all"], "released, dB": np.median(10 * np.log10(released[:, v] / truth[:, v]))}
            row["released, L2"] = second["all"]
            rows.append(row)
    print(f"Level of PyWavelets' voices of noise, {wavelet} at {RATE / 1000:g} kHz:\n")
    print(show(pd.DataFrame(rows)))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one sample rate, fewer voices")
    options = parser.parse_args()
    fidelity(options.quick)
    holding(options.quick)


if __name__ == "__main__":
    main()
