"""What the scores of a network are worth, and how it does, on windows of which everything is known."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression

from batpam.detection.measure import measure_calls
from batpam.models.calibration import Calibration, about_knee, standing_out
from batpam.models.decode import decode, weigh
from batpam.models.files import Taxon
from batpam.models.network import CallNetwork
from batpam.models.sequence import SPAN_S, name_in_sequence
from batpam.models.settings import CALL_TYPES, ECHO, TIME_STRIDE
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes
from batpam.tables import NO_BAT
from batpam.training.dataset import FAINT_SNR, Examples, centres, is_lost, rises, to_row

MIN_SCORE = 0.02
"""Detections below this are not looked at."""

SNR_EDGES = (12, 16, 20, 25, 30, 40, 100)
"""Bins of the signal-to-noise ratio, dB."""


def match_examples(
    network: CallNetwork, examples: Examples, species: int, settings: ScalogramSettings, calibration: Calibration
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Detections and calls of examples, and which belongs to which.

    A detection belongs to a call that it overlaps in time and frequency; of several, to that whose centre is nearest, and
    to a faint one only where there is no other.

    Returns
    -------
    detections : DataFrame
        ``example``, ``time`` (s, of the centre), ``score``, ``rise`` (dB, as of
        :func:`~batpam.models.calibration.standing_out`), ``classes`` (probabilities, arrays), ``call_type``, ``bat``
        (True, False, or missing where the call is too faint to say, or not all of the window is labelled: where nothing
        can be wrong, what is right says nothing of probabilities), ``node`` of the call (-1:
        none).
    calls : DataFrame
        Calls that are loud enough and whose centre is in the window: ``example``, ``node``, ``call_type``, ``snr``,
        ``detection`` (row of the best one, -1: missed).
    """
    network.eval()
    frame = TIME_STRIDE * settings.hop
    detections: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    with torch.inference_mode():
        for i in range(len(examples)):
            power = from_bytes(np.asarray(examples.power[i]))
            prediction = network(torch.from_numpy(power).unsqueeze(0))
            found = decode(prediction, calibration.least(MIN_SCORE), calibration.temperature)[0]
            measured = measure_calls(found, power, 0, np.inf, settings)
            rise = standing_out(measured["snr_db"], measured["duration_ms"] / 1e3)
            found = weigh(found, rise, calibration)
            classes = name_in_sequence(found.classes, found.score, found.call_type, found.centre * frame, calibration)
            events, known = examples.events[i], examples.exhaustive[i]
            bats = events[(events["node"] < species) | (events["node"] >= species + len(NO_BAT))]
            bats = bats[~is_lost(rises(bats))]
            low, high = to_row(bats["low"], settings), to_row(bats["high"], settings)
            centre = centres(bats)
            near = (found.start[:, None] * frame < bats["end"]) & (found.end[:, None] * frame > bats["start"])
            near &= (found.low[:, None] < high + 0.5) & (found.high[:, None] > low - 0.5)
            loud = rises(bats) >= FAINT_SNR
            distance = np.where(near, np.abs(found.centre[:, None] * frame - centre) + ~loud * 1.0, np.inf)
            first = len(detections)
            for k in range(len(found)):
                best = int(distance[k].argmin()) if near[k].any() else -1
                detections.append(
                    {
                        "example": i, "time": found.centre[k] * frame, "score": found.score[k], "rise": rise[k],
                        "classes": classes[k], "call_type": found.call_type[k],
                        "bat": (bool(loud[best]) or None if best >= 0 else False) if known else None,
                        "node": int(bats["node"][best]) if best >= 0 else -1,
                    }
                )  # fmt: skip
            for j in np.flatnonzero(loud & (centre > 0) & (centre < len(power) * settings.hop)):
                of = np.flatnonzero(near[:, j])
                best = first + int(of[found.score[of].argmax()]) if len(of) else -1
                calls.append(
                    {
                        "example": i, "node": int(bats["node"][j]), "call_type": int(bats["call_type"][j]),
                        "snr": float(bats["snr"][j]), "detection": best,
                    }
                )  # fmt: skip
    names = ["example", "time", "score", "rise", "classes", "call_type", "bat", "node"]
    return pd.DataFrame(detections, columns=names), pd.DataFrame(
        calls, columns=["example", "node", "call_type", "snr", "detection"]
    )


def calibrate(network: CallNetwork, examples: Examples, species: int, settings: ScalogramSettings) -> Calibration:
    """Fit what scores are worth on held-out examples.

    The temperature of the classes is that of the highest likelihood of the species of found calls; detection scores
    and signal-to-noise ratio make a probability by logistic regression on whether a detection is a call, and isotonic
    regression on what comes of it; last, again by the likelihood of the species, how much neighbours say
    (:func:`batpam.models.sequence.name_in_sequence`).
    """
    detections, calls = match_examples(network, examples, species, settings, Calibration())
    found = _no_echoes(calls[(calls["detection"] >= 0) & (calls["node"] < species)])
    temperature = 1.0
    if len(found):
        logits = np.log(np.maximum(_stack(detections)[found["detection"], :species], 1e-12))
        true = found["node"].to_numpy()

        def surprise(log_temperature: float) -> float:
            scaled = logits / np.exp(log_temperature)
            return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(true)), true]))

        temperature = float(np.exp(minimize_scalar(surprise, bounds=(-2.0, 3.0), method="bounded").x))
    # the temperature also moves what insect and noise take away from the score
    warm = Calibration(temperature)
    detections, _ = match_examples(network, examples, species, settings, warm)
    told = detections[detections["bat"].notna()]
    if told["bat"].nunique() < 2:
        return warm
    score, rise, right = (told[name].to_numpy(float) for name in ("score", "rise", "bat"))
    weighted = _fit_loudness(score, rise, right, warm)
    rising = IsotonicRegression(y_min=0.001, y_max=0.999, out_of_bounds="clip")
    rising.fit(weighted.heard(score, rise), right)
    # points between which straight lines are drawn; they always rise a little, so that scores keep their order
    points = np.unique(np.concatenate([np.linspace(0, 1, 51), np.linspace(0, 0.1, 21)]))
    values = np.maximum.accumulate(rising.predict(points)) + 1e-6 * np.arange(len(points))
    values[0] = 0.0
    line = tuple(points.round(6).tolist()), tuple(np.minimum(values, 1.0).round(7).tolist())
    alone = replace(weighted, scores=line[0], probabilities=line[1])
    detections, calls = match_examples(network, examples, species, settings, alone)
    return _fit_sequence(detections, calls, species, alone)


def _fit_loudness(score: np.ndarray, rise: np.ndarray, right: np.ndarray, warm: Calibration) -> Calibration:
    """Add to a calibration what it says by how much detections stand out (dB), from whether they are calls, shape (n,)."""
    odds = logit(score.clip(1e-9, 1 - 1e-9))
    columns = np.stack([odds, *about_knee(rise), np.ones(len(odds))], axis=1)

    def surprise(numbers: np.ndarray) -> float:
        z = columns @ numbers
        return float(np.mean(np.logaddexp(0, z) - right * z)) + 1e-4 * float(np.sum(numbers[:3] ** 2))

    # bounded, for probabilities to rise with the score and with the ratio, whatever a few detections say
    bounds = [(0.2, 3.0), (0.0, 1.0), (0.0, 1.0), (-20.0, 20.0)]
    numbers = minimize(surprise, [1.0, 0.0, 0.0, 0.0], method="L-BFGS-B", bounds=bounds).x.round(4).tolist()
    names = ("odds_weight", "snr_below", "snr_above", "odds_offset")
    return replace(warm, **dict(zip(names, numbers, strict=True)))


def _fit_sequence(detections: pd.DataFrame, calls: pd.DataFrame, species: int, alone: Calibration) -> Calibration:
    """Add to a calibration how much neighbours say, from detections and calls of :func:`match_examples`."""
    found = _no_echoes(calls[(calls["detection"] >= 0) & (calls["node"] < species)])
    if not len(found):
        return alone
    classes, score = _stack(detections), detections["score"].to_numpy(float)
    kind = detections["call_type"].to_numpy(int)
    time = (detections["time"] + detections["example"] * 100 * SPAN_S).to_numpy(float)  # examples far apart
    rows, true = found["detection"].to_numpy(), found["node"].to_numpy()

    def of(numbers: np.ndarray) -> Calibration:
        same, weight, temperature = 0.999 / (1 + np.exp(-numbers[0])), np.exp(numbers[1]), np.exp(numbers[2])
        return replace(
            alone, same_bat=round(float(same), 4), sequence_weight=round(float(weight), 4),
            sequence_temperature=round(float(temperature), 4),
        )  # fmt: skip

    def surprise(numbers: np.ndarray) -> float:
        named = name_in_sequence(classes, score, kind, time, of(numbers))
        return float(-np.mean(np.log(np.maximum(named[rows, true] / score[rows], 1e-12))))

    # bounded, for a few calls that are all named right would let the temperature fall to nothing; the first steps are wide, for
    # SciPy's own, a quarter of a thousandth from 0, take the noise of a flat place for the best
    start, bounds = np.array([1.7, 0.0, 0.0]), [(-4.0, 7.0), (-5.0, 2.0), (-1.5, 1.5)]
    options = {
        "maxiter": 100,
        "initial_simplex": np.vstack([start, start + 0.8 * np.eye(3)]),
        "xatol": 0.01,
        "fatol": 1e-5,
    }
    return of(minimize(surprise, start, method="Nelder-Mead", bounds=bounds, options=options).x)


def measure(
    network: CallNetwork,
    examples: Examples,
    taxa: Sequence[Taxon],
    settings: ScalogramSettings,
    calibration: Calibration,
) -> dict[str, Any]:
    """How a network does on held-out examples, at a probability of 0.5: see the model card for what is in it.

    Echoes take part in the precision, and in what is told by type and by probability; all else is of calls.
    """
    detections, calls = match_examples(network, examples, len(taxa), settings, calibration)
    told = detections[detections["bat"].notna() & (detections["score"] >= 0.5)]
    best = detections.reindex(calls["detection"]).reset_index(drop=True)
    found = (best["score"] >= 0.5).to_numpy()
    kind = calls["call_type"].to_numpy()
    kinds = [(name, kind == k) for k, name in enumerate(CALL_TYPES) if (kind == k).any()]
    types = {
        "recall_by_call_type": {name: _share(found[these]) for name, these in kinds},
        "call_type_right": {
            name: _share(best["call_type"][these & found] == CALL_TYPES.index(name)) for name, these in kinds
        },
    }
    no_echo = kind != CALL_TYPES.index(ECHO)
    calls, best, found = calls[no_echo].assign(found=found[no_echo]), best[no_echo], found[no_echo]
    hit, chosen = calls[found & (calls["node"] < len(taxa))], best[found & (calls["node"] < len(taxa)).to_numpy()]
    if not len(hit):
        nothing = {"windows": len(examples), "calls": len(calls), "species_right": None}
        return nothing | {"recall": _share(found), "precision": _share(told["bat"])}
    classes = _stack(chosen)[:, : len(taxa)]
    guess, true = classes.argmax(1), hit["node"].to_numpy()
    group = np.array([taxon.group for taxon in taxa])
    confusion = pd.crosstab(
        pd.Categorical.from_codes(true, [t.code for t in taxa]), pd.Categorical.from_codes(guess, [t.code for t in taxa]),
        dropna=False,
    )  # fmt: skip
    return {
        "windows": len(examples),
        "calls": len(calls),
        "recall": _share(found),
        "precision": _share(told["bat"]),
        "species_right": _share(guess == true),
        "group_right": _share(group[guess] == group[true]),
        **types,
        "recall_by_snr_db": {
            f"{low}-{high}": _share(calls["found"][calls["snr"].between(low, high, inclusive="left")])
            for low, high in pairwise(SNR_EDGES)
        },
        "species_right_by_code": {t.code: _share((guess == true)[true == k]) for k, t in enumerate(taxa) if (true == k).any()},
        **_reliability(detections, group),
        "confusion": confusion.to_numpy().tolist(),
    }  # fmt: skip


def _no_echoes(calls: pd.DataFrame) -> pd.DataFrame:
    """Calls of :func:`match_examples` without echoes, which are always beside their call and so easily named."""
    return calls[calls["call_type"] != CALL_TYPES.index(ECHO)]


def _reliability(detections: pd.DataFrame, group: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """What was stated of detections, and what was right: that it is a bat, of the group, of the species.

    Parameters
    ----------
    group
        Of each species.
    """
    seen = detections[detections["bat"].notna()]
    named = seen[seen["node"] < len(group)]  # of the others only the group is known
    species, true, bat = _stack(named)[:, : len(group)], named["node"].to_numpy(), named["bat"].to_numpy(bool)
    names, of_group = np.unique(group, return_inverse=True)
    groups = species @ np.eye(len(names))[of_group]
    return {
        "detection_probability": _bins(seen["score"].to_numpy(float), seen["bat"].to_numpy(float)),
        "group_probability": _bins(groups.max(1), bat & (groups.argmax(1) == of_group[true])),
        "species_probability": _bins(species.max(1), bat & (species.argmax(1) == true)),
    }


def _bins(probability: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """By the probability in steps of 0.1."""
    bins = np.clip((probability * 10).astype(int), 0, 9)
    return [
        {
            "probability": round(float(probability[bins == b].mean()), 3), "right": _share(right[bins == b]),
            "detections": int((bins == b).sum()),
        }
        for b in np.unique(bins)
    ]  # fmt: skip


def _stack(detections: pd.DataFrame) -> np.ndarray:
    """Probabilities of detections, shape (n, classes)."""
    return np.stack(detections["classes"].to_list())


def _share(values: Any) -> float | None:
    """Mean, None of nothing: JSON knows no NaN."""
    values = np.asarray(values, float)
    return round(float(values.mean()), 4) if len(values) else None
