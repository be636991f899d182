"""The STFT that the ablation holds the wavelets against is a fair one."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from batpam.scalograms.settings import ScalogramSettings

ABLATION = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "ablation.py"))
SETTINGS = ScalogramSettings()


@pytest.mark.parametrize("sample_rate", [250_000, 384_000])
@pytest.mark.parametrize("voice", [30, 60, 80])
def test_a_sine_of_full_scale_is_0_db_in_its_band_and_faint_far_from_it(voice: int, sample_rate: int) -> None:
    frequency = SETTINGS.frequencies()[voice]
    samples = np.sin(2 * np.pi * frequency * np.arange(sample_rate // 10) / sample_rate).astype(np.float32)
    power = ABLATION["stft_power"](ABLATION["reader"](samples), sample_rate, 40, 160, SETTINGS)
    assert power.shape == (120, SETTINGS.voices)
    assert power[:, voice] == pytest.approx(0, abs=0.3)
    far = np.abs(np.log2(SETTINGS.frequencies() / frequency)) > 1
    assert power[:, far].max() < -40
