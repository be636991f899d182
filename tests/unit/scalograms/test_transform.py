import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.scalograms.transform import (
    FLOOR_DB,
    ScalogramSettings,
    hop_grid,
    pad_read,
    read_power,
    scale_of,
    wavelet_power,
)

SMALL = ScalogramSettings(voices=24)


def chirp_in_noise(rate, seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(int(rate * seconds)) / rate
    wave = np.sin(2 * np.pi * (70e3 * t - 4e5 * t**2)) * np.exp(-0.5 * ((t - seconds / 2) / 0.006) ** 2)
    return (0.5 * wave + rng.normal(0, 0.005, len(t))).astype(np.float32)


def power_by_definition(samples, rate, transform):
    """Pooled |W|**2 from the sum that defines the transform, float64, whole numbers of samples per hop only."""
    wavelet = pywt.ContinuousWavelet(transform.wavelet)
    hop = int(hop_grid(rate, transform.hop))
    pooled = []
    for scale in scale_of(transform.frequencies(), rate, transform.wavelet):
        half = int(8 * scale)
        k = np.arange(-half, half + 1) / scale
        b, c = wavelet.bandwidth_frequency, wavelet.center_frequency
        psi = np.exp(2j * np.pi * c * k - k**2 / b) / np.sqrt(np.pi * b)
        w = np.convolve(samples.astype(float), np.conj(psi)[::-1])[half : half + len(samples)] / np.sqrt(scale)
        pooled.append((np.abs(w) ** 2).reshape(-1, hop).mean(axis=1))
    return np.array(pooled).T


def power_of(samples, rate, transform):
    """What the module says, as |W|**2: decibels undone."""
    wavelet = pywt.ContinuousWavelet(transform.wavelet)
    scales = scale_of(transform.frequencies(), rate, transform.wavelet)
    peak = np.abs(np.sum(wavelet.wavefun(level=12)[0] * np.exp(-2j * np.pi * 4 * wavelet.wavefun(level=12)[1])))
    peak *= np.diff(wavelet.wavefun(level=12)[1])[0]
    return 10 ** (wavelet_power(samples, rate, transform).astype(float) / 10) * scales * (peak / 2) ** 2


def test_agrees_with_the_sum_that_defines_it():
    rate = 384_000
    samples = chirp_in_noise(rate, 0.03)
    wanted, found = power_by_definition(samples, rate, SMALL), power_of(samples, rate, SMALL)
    assert np.linalg.norm(found - wanted) < 2e-3 * np.linalg.norm(wanted)
    assert np.median(np.abs(10 * np.log10(found / wanted))) < 0.05


def test_agrees_with_pywt_where_pywt_has_converged():
    # pywt integrates the wavelet and differentiates the result, which damps frequencies that come near the sample rate:
    # it is held to below a tenth of it, and to the pooled power, not the phase
    transform = ScalogramSettings(f_min=10_000, f_max=38_000, voices=12)
    rate = 500_000
    samples = chirp_in_noise(rate, 0.06, seed=3)
    scales = scale_of(transform.frequencies(), rate, transform.wavelet)
    w, frequencies = pywt.cwt(samples, scales, transform.wavelet, 1 / rate, precision=14)
    np.testing.assert_allclose(frequencies, transform.frequencies(), rtol=1e-3)
    wanted = (np.abs(w) ** 2).reshape(len(scales), -1, 250).mean(axis=2).T
    found = power_of(samples, rate, transform)
    assert np.linalg.norm(found - wanted) < 0.03 * np.linalg.norm(wanted)


def test_full_scale_sine_is_0_db_at_its_voice():
    transform = ScalogramSettings()
    for voice in (5, 40, 80):
        f = transform.frequencies()[voice]
        samples = np.sin(2 * np.pi * f * np.arange(19_200) / 384_000)
        power = wavelet_power(samples, 384_000, transform)
        assert abs(power[20:30, voice].mean()) < 0.05
        assert power[25].argmax() == voice


@pytest.mark.parametrize("rate", [192_000, 250_000, 312_500, 383_999, 441_000, 500_000])
def test_level_does_not_depend_on_the_sample_rate(rate):
    transform = ScalogramSettings()
    f = transform.frequencies()[60]
    samples = np.sin(2 * np.pi * f * np.arange(rate // 20) / rate)
    assert abs(wavelet_power(samples, rate, transform)[40:60, 60].mean()) < 0.1


def test_voices_above_nyquist_are_silent():
    transform = ScalogramSettings()
    power = wavelet_power(np.random.default_rng(0).normal(0, 0.1, 9_600), 192_000, transform)
    assert (power[:, transform.frequencies() > 96_000] == FLOOR_DB).all()
    assert (power[:, transform.frequencies() < 90_000] > -100).all()


@settings(max_examples=15, deadline=None)
@given(first=st.integers(0, 900), length=st.integers(1, 700), rate=st.sampled_from([384_000, 441_000, 250_000]))
def test_a_stretch_is_the_same_wherever_it_is_cut(first, length, rate):
    samples = chirp_in_noise(rate, 0.8, seed=1)

    def read(start, stop):
        return pad_read(lambda a, b: samples[a:b], len(samples), start, stop)

    whole = wavelet_power(samples, rate, SMALL)
    last = min(first + length, len(whole))
    part = read_power(read, rate, first, last, SMALL)
    loud = whole[first:last] > -110
    np.testing.assert_allclose(part[loud], whole[first:last][loud], atol=0.05)


def test_block_covers_any_length_of_signal():
    for n in (1, 191, 192, 193, 50_000):
        assert wavelet_power(np.ones(n), 384_000, SMALL).shape == (-(-n // 192), 24)


def test_silence_gives_the_floor():
    assert (wavelet_power(np.zeros(1_920), 384_000, SMALL) == FLOOR_DB).all()


@pytest.mark.parametrize("name", ["nonsense", "mexh", "db4"])
def test_wavelet_that_cannot_be_used_is_named(name):
    with pytest.raises(UserError, match=name):
        wavelet_power(np.zeros(1_920), 384_000, ScalogramSettings(wavelet=name))
