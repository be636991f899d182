"""What a scalogram is made with; apart from the transform, so that reading the settings loads nothing heavy."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np


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
        Number of voices.
    hop
        Time that one column stands for, s.
    spacing
        ``log`` or ``linear``: in what the voices are spaced evenly, the logarithm of frequency or frequency.
    """

    wavelet: str = "cmor4-4"
    f_min: float = 10_000.0
    f_max: float = 150_000.0
    voices: int = 96
    hop: float = 0.0005
    spacing: Literal["log", "linear"] = "log"

    def frequencies(self) -> np.ndarray:
        """Centre frequencies of the voices, shape (voices,), Hz, ascending."""
        space = np.linspace if self.spacing == "linear" else np.geomspace
        return space(self.f_min, self.f_max, self.voices)


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
