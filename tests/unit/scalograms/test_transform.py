import tracemalloc
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import pywt
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.scalograms import plan as planning
from batpam.scalograms import transform as module
from batpam.scalograms.engines import CpuEngine, TorchEngine
from batpam.scalograms.plan import scale_of
from batpam.scalograms.settings import ScalogramSettings, hop_grid
from batpam.scalograms.transform import FLOOR_DB, pad_read, read_power, wavelet_coefficients, wavelet_power

SMALL = ScalogramSettings(voices=24)
RATE = 384_000
SIGNALS = ("noise", "calls", "a quiet call beside a loud one")


def sweep(n, rate, at, low, high, duration, level):
    """An FM call: from ``high`` down to ``low`` Hz in ``duration`` s."""
    t = np.arange(n) / rate - at
    inside = (t > 0) & (t < duration)
    phase = high * t + (low - high) * t**2 / (2 * duration)
    return np.where(inside, level * np.sin(2 * np.pi * phase) * np.sin(np.pi * t / duration) ** 2, 0.0)


def make_signal(name, n=76_800, rate=RATE):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1e-3, n)
    if name == "noise":
        return noise
    if name == "calls":
        starts, tops = rng.uniform(0.01, 0.9 * n / rate, 12), rng.uniform(40e3, 150e3, 12)
        return noise + sum(
            sweep(n, rate, at, top * rng.uniform(0.3, 0.9), top, rng.uniform(0.002, 0.01), 0.3)
            for at, top in zip(starts, tops, strict=True)
        )
    loud, quiet = sweep(n, rate, 0.05, 35e3, 60e3, 0.008, 0.9), sweep(n, rate, 0.054, 80e3, 110e3, 0.004, 0.003)
    return 1e-2 * noise + loud + quiet


@lru_cache(maxsize=2)
def spectrum_of(wavelet):
    """Spectrum at scale 1 on so fine an axis that straight lines between its points do."""
    psi, t = pywt.ContinuousWavelet(wavelet).wavefun(level=13)
    step, length = t[1] - t[0], 1 << 22
    f = scipy.fft.fftshift(scipy.fft.fftfreq(length, step))
    spectrum = (scipy.fft.fftshift(scipy.fft.fft(psi, length)) * step * np.exp(-2j * np.pi * f * t[0])).real
    keep = np.abs(f) < 40
    return f[keep], spectrum[keep]


def coefficients_in_float64(samples, rate, transform):
    """The transform at every sample, float64, over the whole signal at once: FFT, wavelet's spectrum, inverse FFT.

    The sum over samples makes the wavelet's spectrum repeat itself with the sample rate.
    """
    wavelet = pywt.ContinuousWavelet(transform.wavelet)
    axis, spectrum = spectrum_of(transform.wavelet)
    scales = scale_of(transform.frequencies(), rate, transform.wavelet)
    length = scipy.fft.next_fast_len(len(samples) + int(2 * wavelet.upper_bound * scales[0]))
    x = scipy.fft.fft(samples.astype(float), length)
    k = scipy.fft.fftfreq(length)
    for scale in scales:
        gain = sum(np.interp((k + repeat) * scale, axis, spectrum, left=0, right=0) for repeat in (-1, 0, 1, 2))
        yield np.sqrt(scale) * scipy.fft.ifft(x * gain)[: len(samples)]


def power_in_float64(samples, rate, transform):
    hop = int(hop_grid(rate, transform.hop))
    w = coefficients_in_float64(samples, rate, transform)
    return np.array([(np.abs(voice) ** 2).reshape(-1, hop).mean(axis=1) for voice in w]).T


def power_of(samples, rate, transform, **options):
    """What the module says, as |W|**2: decibels undone."""
    wavelet = pywt.ContinuousWavelet(transform.wavelet)
    psi, t = wavelet.wavefun(level=12)
    peak = np.abs(np.sum(psi * np.exp(-2j * np.pi * wavelet.center_frequency * t))) * (t[1] - t[0])
    scales = scale_of(transform.frequencies(), rate, transform.wavelet)
    return 10 ** (wavelet_power(samples, rate, transform, **options).astype(float) / 10) * scales * (peak / 2) ** 2


def relative_error(found, wanted, axis=None):
    return np.linalg.norm(found - wanted, axis=axis) / np.linalg.norm(wanted, axis=axis)


@pytest.mark.parametrize("hop", [0.0005, 0.001])
@pytest.mark.parametrize("wavelet", ["cmor4-4", "cmor1.5-1.0", "shan0.5-4", "fbsp2-0.5-4"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_pooled_power_is_that_of_the_transform_in_float64(signal, wavelet, hop):
    transform = ScalogramSettings(wavelet=wavelet, voices=16, hop=hop)
    samples = make_signal(signal)
    wanted, found = power_in_float64(samples, RATE, transform), power_of(samples, RATE, transform)
    assert relative_error(found, wanted) < 2e-3
    # only where there is sound: of what a loud call leaves of a far frequency, float32 keeps 100 dB
    sound = wanted > 1e-8 * wanted.max()
    assert np.median(np.abs(10 * np.log10(found[sound] / wanted[sound]))) < 0.03
    if signal == "noise":  # every voice has as much in it
        assert relative_error(found, wanted, axis=0).max() < 6e-3
        assert np.median(np.abs(10 * np.log10(found / wanted)), axis=0).max() < 0.03


@pytest.mark.parametrize("rate", [192_000, 250_000, 500_000])
def test_each_voice_is_right_at_other_sample_rates_and_linear_spacing(rate):
    transform = ScalogramSettings(f_max=90_000, voices=16, spacing="linear")
    np.testing.assert_allclose(np.diff(transform.frequencies()), 80_000 / 15)
    samples = make_signal("noise", rate // 5, rate)
    wanted, found = power_in_float64(samples, rate, transform), power_of(samples, rate, transform)
    assert relative_error(found, wanted, axis=0).max() < 6e-3


def test_agrees_with_pywt_where_pywt_has_converged():
    # pywt takes each sample to be held until the next: of each frequency it sees sinc(f / rate). Divided out before,
    # nothing else is between the two
    transform = ScalogramSettings(f_min=15_000, f_max=130_000, voices=8)
    samples = make_signal("noise", 38_400)  # pywt looks its wavelet up in a table, which rattles in quiet voices
    spectrum = scipy.fft.rfft(samples)
    held = scipy.fft.irfft(spectrum / np.sinc(scipy.fft.rfftfreq(len(samples))), len(samples))
    scales = scale_of(transform.frequencies(), RATE, transform.wavelet)
    w, frequencies = pywt.cwt(held, scales, transform.wavelet, 1 / RATE, precision=16, method="fft")
    np.testing.assert_allclose(frequencies, transform.frequencies(), rtol=1e-3)
    wanted = (np.abs(w) ** 2).reshape(len(scales), -1, 192).mean(axis=2).T
    # within the signal: pywt's centre is up to half a sample off, and dividing rings at the ends
    found, wanted = power_of(samples, RATE, transform)[4:-4], wanted[4:-4]
    assert relative_error(found, wanted) < 5e-3
    assert relative_error(found, wanted, axis=0).max() < 1e-2


@pytest.mark.parametrize("wavelet", ["cmor4-4", "cmor1.5-1.0", "shan0.5-4"])
def test_complex_coefficients_are_those_of_the_transform_in_float64(wavelet):
    transform = ScalogramSettings(wavelet=wavelet, voices=6)
    samples = make_signal("calls", 50_001)
    wanted = np.array(list(coefficients_in_float64(samples, RATE, transform)))
    found = wavelet_coefficients(samples, RATE, transform)
    assert relative_error(found, wanted) < 5e-5


@pytest.mark.parametrize("rate", [RATE, 441_000])
def test_torch_carries_out_the_same_plan(rate):
    plan = planning.Plan(SMALL, rate)
    samples = make_signal("calls", 2 * plan.samples, rate).astype(np.float32)
    blocks = [samples[: plan.samples], samples[plan.samples :]]
    expected = CpuEngine(plan)(blocks)
    np.testing.assert_allclose(TorchEngine(plan, "cpu")(blocks), expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_full_scale_sine_is_0_db_at_its_voice():
    transform = ScalogramSettings()
    for voice in (5, 40, 80):
        f = transform.frequencies()[voice]
        samples = np.sin(2 * np.pi * f * np.arange(19_200) / RATE)
        power = wavelet_power(samples, RATE, transform)
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


def test_sample_rate_that_no_voice_is_below_gives_the_floor():
    transform = ScalogramSettings(f_min=60_000, voices=8)
    power = wavelet_power(np.random.default_rng(0).normal(0, 0.1, 9_600), 96_000, transform)
    assert power.shape == (200, 8)
    assert (power == FLOOR_DB).all()


@settings(max_examples=20, deadline=None)
@given(first=st.integers(0, 900), length=st.integers(1, 700), rate=st.sampled_from([RATE, 441_000, 250_000]))
def test_a_stretch_is_the_same_wherever_it_is_cut(first, length, rate):
    samples = make_signal("calls", int(0.8 * rate), rate).astype(np.float32)

    def read(start, stop):
        return pad_read(lambda a, b: samples[a:b], len(samples), start, stop)

    whole = wavelet_power(samples, rate, SMALL)
    last = min(first + length, len(whole))
    part = read_power(read, rate, first, last, SMALL)
    assert_equal_to_rounding(part, whole[first:last], 10 ** (whole.max() / 10))


@pytest.mark.parametrize("samples_of_block", [100_000, 400_000])
@pytest.mark.parametrize("wavelet", ["cmor4-4", "cmor1.5-1.0", "fbsp2-0.5-4"])
def test_the_length_of_a_block_does_not_matter(samples_of_block, wavelet, monkeypatch):
    transform = replace(SMALL, wavelet=wavelet)
    samples = make_signal("a quiet call beside a loud one")
    expected = wavelet_power(samples, RATE, transform)
    monkeypatch.setattr(planning, "BLOCK_SAMPLES", samples_of_block)
    module._plan.cache_clear()
    found = wavelet_power(samples, RATE, transform)
    module._plan.cache_clear()
    assert not np.array_equal(found, expected)  # another block length was at work
    assert_equal_to_rounding(found, expected, 10 ** (expected.max() / 10))


def assert_equal_to_rounding(found, expected, loudest):
    """Amplitudes equal to within the rounding of float32, 6e-8 of the loudest sound, and what FFT and filter add to it."""
    np.testing.assert_allclose(10 ** (found / 20.0), 10 ** (expected / 20.0), rtol=2e-5, atol=3e-6 * loudest**0.5)


def test_block_covers_any_length_of_signal():
    for n in (1, 191, 192, 193, 50_000):
        assert wavelet_power(np.ones(n), RATE, SMALL).shape == (-(-n // 192), 24)


def test_silence_gives_the_floor():
    assert (wavelet_power(np.zeros(1_920), RATE, SMALL) == FLOOR_DB).all()


def test_memory_does_not_grow_with_the_recording():
    def read(start, stop):
        return np.ones(stop - start, np.float32)

    def peak(hops):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for first in range(0, hops, 4096):
            read_power(read, RATE, first, first + 4096, SMALL)
        return tracemalloc.get_traced_memory()[1] - before

    read_power(read, RATE, 0, 4096, SMALL)
    tracemalloc.start()
    try:
        short, long = peak(2 * 4096), peak(30 * 4096)
    finally:
        tracemalloc.stop()
    assert long < 1.05 * short
    assert long < 50e6


@pytest.mark.parametrize("name", ["nonsense", "mexh", "db4", "cgau2", "cmor4-100"])
def test_wavelet_that_cannot_be_used_is_named(name):
    with pytest.raises(UserError, match=name):
        wavelet_power(np.zeros(1_920), RATE, ScalogramSettings(wavelet=name))
