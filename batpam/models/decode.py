"""From the network's grid to calls with probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numba
import numpy as np
import torch
from torch.nn import functional

from batpam.models.calibration import Calibration
from batpam.models.network import Prediction, extents
from batpam.models.settings import CALL_TYPES, ECHO
from batpam.tables import NO_BAT

SAME_CALL = 0.4
"""Two boxes that share more than this of the smaller one are one call."""

ECHO_FROM = 0.25
"""A sound of a bat with this probability of being an echo counts as one. Of the sounds found in the windows that
the shipped model is calibrated on, fewer are of the wrong type with 0.15 to 0.3 than with the likeliest type: what is told by a
call before it is seldom sure."""


@dataclass(frozen=True)
class DecodedCalls:
    """Calls of one scalogram, in order of time, n of them.

    Attributes
    ----------
    score
        Of a bat call by the network, or its probability (:func:`weigh`), shape (n,).
    classes
        Probability of every species, of insect and of noise, shape (n, classes); each row sums to 1, its species to
        ``score``.
    call_type
        Place of the likeliest in :data:`~batpam.models.settings.CALL_TYPES`, or of the echo from :data:`ECHO_FROM` on, shape
        (n,).
    centre, start, end
        In output frames from the start of the scalogram, shape (n,).
    row, low, high
        Row of the loudest frequency and the lowest and highest row, shape (n,), row 0 starts at the lowest voice.
    """

    score: np.ndarray
    classes: np.ndarray
    call_type: np.ndarray
    centre: np.ndarray
    start: np.ndarray
    end: np.ndarray
    row: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, keep: np.ndarray) -> "DecodedCalls":
        return DecodedCalls(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def decode(
    prediction: Prediction, min_score: float, temperature: float, allowed: Sequence[bool] | None = None
) -> list[DecodedCalls]:
    """Peaks of the call score, one list entry per item of the batch.

    Parameters
    ----------
    min_score
        Score of the network below which a peak is dropped (:meth:`batpam.models.calibration.Calibration.least`).
    temperature
        Of the classes.
    allowed
        Which species may occur, one bool each; all if None. The others get no probability.
    """
    raw = torch.sigmoid(prediction.call.float())
    highest = functional.max_pool2d(raw.unsqueeze(1), 3, 1, 1).squeeze(1)
    peaks = (raw >= min_score) & (raw == highest)
    decoded, echo = [], CALL_TYPES.index(ECHO)
    for item in range(len(raw)):
        row, frame = torch.nonzero(peaks[item], as_tuple=True)
        logits = prediction.classes[item, :, row, frame].float().T / temperature
        if allowed is not None:
            absent = [not here for here in allowed] + [False] * len(NO_BAT)
            logits[:, torch.tensor(absent, device=logits.device)] = -torch.inf
        shares = torch.softmax(logits.double(), 1).cpu().numpy()
        species, others = shares[:, : -len(NO_BAT)], shares[:, -len(NO_BAT) :]
        bat = species.sum(axis=1)
        score = np.minimum(raw[item, row, frame].cpu().numpy() * bat, 1 - 1e-6)
        species *= (score / bat)[:, None]
        others *= ((1 - score) / others.sum(axis=1))[:, None]
        extent = extents(prediction.extent[item, :, row, frame]).cpu().numpy()
        kinds = torch.softmax(prediction.call_type[item, :, row, frame].float(), 0).cpu().numpy()
        centre = frame.cpu().numpy() + 0.5
        middle = row.cpu().numpy() + 0.5
        calls = DecodedCalls(
            score=score,
            classes=shares,
            call_type=np.where(kinds[echo] >= ECHO_FROM, echo, kinds.argmax(0)),
            centre=centre,
            start=centre - extent[0],
            end=centre + extent[1],
            row=middle,
            low=middle - extent[2],
            high=middle + extent[3],
        )
        calls = calls[score >= min_score]
        calls = calls[_best_of_overlapping(calls)]
        decoded.append(calls[np.argsort(calls.centre, kind="stable")])
    return decoded


def weigh(calls: DecodedCalls, rise: np.ndarray, calibration: Calibration) -> DecodedCalls:
    """Calls with probabilities in place of scores.

    Parameters
    ----------
    rise
        As of :func:`~batpam.models.calibration.standing_out`, dB, shape (n,).
    """
    score = calibration.probability(calls.score, rise)
    classes, bats = calls.classes.copy(), slice(None, -len(NO_BAT))
    classes[:, bats] *= (score / calls.score)[:, None]
    classes[:, -len(NO_BAT) :] *= ((1 - score) / (1 - calls.score))[:, None]
    return replace(calls, score=score, classes=classes)


def _best_of_overlapping(calls: DecodedCalls) -> np.ndarray:
    """Indices of the calls that no higher-scored call covers."""
    order = np.lexsort((calls.row, calls.centre, -calls.score))
    boxes = np.stack([calls.start, calls.end, calls.low, calls.high], axis=1)[order].astype(np.float64)
    return order[_not_covered(boxes)]


@numba.njit(cache=True, nogil=True)
def _not_covered(boxes):  # type: ignore[no-untyped-def]
    """Which boxes (start, end, low, high), best first, share too little with every better one that is kept."""
    kept = np.zeros(len(boxes), np.bool_)
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    for i in range(len(boxes)):
        kept[i] = True
        for j in range(i):
            if kept[j]:
                time = min(boxes[i, 1], boxes[j, 1]) - max(boxes[i, 0], boxes[j, 0])
                rows = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 2], boxes[j, 2])
                shared = time * rows if time > 0 and rows > 0 else 0.0
                if shared > SAME_CALL * max(min(area[i], area[j]), 1e-6):
                    kept[i] = False
                    break
    return kept
