"""The fast spectra and patches are those that scipy gives."""

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage

from batpam.segments.spectra import frame_size, loudest_patches, short_time_power


def spectra_by_scipy(samples, size):
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), size)[:: size // 2]
    return np.abs(scipy.fft.rfft(frames * np.hanning(size), axis=1)) ** 2


@pytest.mark.parametrize(
    ("samples", "size"), [(512, 512), (767, 512), (768, 512), (30_000, 512), (33_333, 320), (20_000, 400)]
)
def test_power_of_every_frame_and_bin(samples, size):
    signal = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    expected = spectra_by_scipy(signal, size)[:, 5 : size // 2]
    np.testing.assert_allclose(short_time_power(signal, size, 5, size // 2), expected, rtol=1e-4, atol=1e-6)


def test_loud_frame_does_not_leak_into_the_one_it_is_transformed_with():
    signal = np.zeros(512 * 4, np.float32)
    signal[-200:] = np.random.default_rng(0).normal(0, 1, 200)
    power = short_time_power(signal, 512, 5, 256)
    assert power[:6].max() < 1e-8 < power[-1].min()


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 50])
def test_patches_are_the_means_around_each_frame(frames):
    power = np.random.default_rng(frames).exponential(1, (frames, 40)).astype(np.float32)
    noise = np.random.default_rng(1).uniform(0.5, 2, 40).astype(np.float32)
    ratio = (power / noise).astype(float)
    expected = np.maximum(
        *(scipy.ndimage.uniform_filter(ratio, patch, mode="constant").max(axis=1) for patch in ((4, 2), (2, 5)))
    )
    np.testing.assert_allclose(loudest_patches(power, noise), expected, rtol=1e-5)


@pytest.mark.parametrize("rate", [96_000, 192_000, 250_000, 300_000, 384_000, 441_000, 500_000, 1_000_000])
def test_frames_are_about_as_long_at_every_sample_rate(rate):
    assert 0.85 < frame_size(rate, 0.00133) / (rate * 0.00133) < 1.18
