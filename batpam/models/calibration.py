"""What the scores of a network are worth, as probabilities."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """From the outputs of a network to probabilities.

    Attributes
    ----------
    temperature
        What the logits of the classes are divided by (Guo et al. 2017).
    scores, probabilities
        Points of the rising line from detection score to the share of detections with it that are bat calls (isotonic
        regression).
    same_bat, sequence_weight, sequence_temperature
        How calls take part in the names of their neighbours (:func:`batpam.models.sequence.name_in_sequence`); not at all
        with a weight of 0.
    """

    temperature: float = 1.0
    scores: tuple[float, ...] = (0.0, 1.0)
    probabilities: tuple[float, ...] = (0.0, 1.0)
    same_bat: float = 0.0
    sequence_weight: float = 0.0
    sequence_temperature: float = 1.0

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Probability of a bat call for detection scores, shape kept."""
        return np.interp(score, self.scores, self.probabilities)

    def raw(self, probability: float) -> float:
        """Detection score that is worth a probability; a little less where several are."""
        first = int(np.searchsorted(self.probabilities, probability))
        if first == 0:
            return 0.0
        if first == len(self.probabilities):
            return float(self.scores[-1])
        below, above = self.probabilities[first - 1], self.probabilities[first]
        share = (probability - below) / (above - below)
        return float(self.scores[first - 1] + share * (self.scores[first] - self.scores[first - 1]) - 1e-9)
