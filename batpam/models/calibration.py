"""What the scores of a network are worth, as probabilities."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

KNEE_DB, LOUD_DB = 12.0, 40.0
"""By how much a call stands out says much up to the first and little up to the second; above, nothing more."""

LONG = 5e-3
"""Calls longer than this stand out more than their signal-to-noise ratio says, s."""


def standing_out(snr: np.ndarray, length: np.ndarray) -> np.ndarray:
    """By how much calls stand out of the noise, dB: their signal-to-noise ratio, and of long ones more.

    The mean power of noise over n times as long a stretch spreads by the root of n less, and as much fainter may be what
    is told from it: 5 log10(n) dB.

    Parameters
    ----------
    snr
        dB, shape (n,).
    length
        s, shape (n,).
    """
    return snr + 5 * np.log10(np.maximum(length / LONG, 1.0))


def about_knee(rise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of what a call stands out by lies below :data:`KNEE_DB`, and how much from there to :data:`LOUD_DB`, dB."""
    return np.clip(rise, 0.0, KNEE_DB), np.clip(rise, KNEE_DB, LOUD_DB) - KNEE_DB


@dataclass(frozen=True)
class Calibration:
    """From the outputs of a network to probabilities.

    Attributes
    ----------
    temperature
        What the logits of the classes are divided by (Guo et al. 2017).
    odds_weight, snr_below, snr_above, odds_offset
        How what a call stands out by takes part in its detection score: the logarithm of its odds is weighted, and a value
        for every dB up to :data:`KNEE_DB` and another from there to :data:`LOUD_DB` are added (logistic regression).
    scores, probabilities
        Points of the rising line from that to the share of detections that are bat calls (isotonic regression).
    same_bat, sequence_weight, sequence_temperature
        How calls take part in the names of their neighbours (:func:`batpam.models.sequence.name_in_sequence`); not at all
        with a weight of 0.
    """

    temperature: float = 1.0
    odds_weight: float = 1.0
    snr_below: float = 0.0
    snr_above: float = 0.0
    odds_offset: float = 0.0
    scores: tuple[float, ...] = (0.0, 1.0)
    probabilities: tuple[float, ...] = (0.0, 1.0)
    same_bat: float = 0.0
    sequence_weight: float = 0.0
    sequence_temperature: float = 1.0

    def heard(self, score: np.ndarray, rise: np.ndarray) -> np.ndarray:
        """Detection score of a call that stands out by so many dB, by logistic regression, shape (n,)."""
        return expit(self.odds_weight * logit(np.clip(score, 1e-9, 1 - 1e-9)) + self._worth(rise))

    def probability(self, score: np.ndarray, rise: np.ndarray) -> np.ndarray:
        """Probability of a bat call.

        Parameters
        ----------
        score
            Of the network, shape (n,).
        rise
            As of :func:`standing_out`, dB, shape (n,).
        """
        return np.interp(self.heard(score, rise), self.scores, self.probabilities)

    def least(self, probability: float) -> float:
        """Score of the network that can be worth a probability, if the call is loud; a little less where several are."""
        first = int(np.searchsorted(self.probabilities, probability))
        if first == 0:
            return 0.0
        heard = self.scores[-1]
        if first < len(self.probabilities):
            below, above = self.probabilities[first - 1], self.probabilities[first]
            share = (probability - below) / (above - below)
            heard = self.scores[first - 1] + share * (self.scores[first] - self.scores[first - 1])
        odds = (logit(np.clip(heard, 1e-9, 1 - 1e-9)) - self._worth(np.array(LOUD_DB))) / self.odds_weight
        return max(float(expit(odds)) - 1e-9, 0.0)

    def _worth(self, rise: np.ndarray) -> np.ndarray:
        below, above = about_knee(rise)
        return self.odds_offset + self.snr_below * below + self.snr_above * above
