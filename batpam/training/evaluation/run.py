"""A model held against annotated recordings."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from batpam.detection.files import AudioFile, detect_files
from batpam.errors import UserError, printable
from batpam.models.files import read_card
from batpam.training.annotations.read import exhaustive_as_far, in_real_time, read_annotations
from batpam.training.evaluation.evaluate import evaluate
from batpam.training.evaluation.metrics import FLOOR


def evaluate_model(
    annotations: Path,
    model: Path,
    output: Path,
    *,
    recordings: Path | None = None,
    format: str = "auto",
    names: Mapping[str, str] | None = None,
    time_expansion: float = 1.0,
    min_score: float = 0.5,
    species_list: Path | None = None,
    title: str = "Evaluation",
    device: str = "auto",
    workers: int = 1,
) -> dict[str, Any]:
    """Find the calls in annotated recordings and hold them against the annotations.

    Recordings are looked at as a whole, without the activity gate of the workflow.

    Parameters
    ----------
    annotations, recordings, format, names
        See :func:`batpam.training.annotations.read.read_annotations`.
    time_expansion
        Of the recordings of which the annotations do not tell it.
    min_score
        Probability from which a detection counts where one threshold is needed.
    output
        Folder for the page and its tables.
    species_list, device, workers
        See :func:`batpam.detection.detect.detect`.

    Raises
    ------
    UserError
        The annotations cannot be read, or none of their recordings is there.
    """
    if not FLOOR <= min_score <= 1:
        raise UserError(
            f"--min-score {min_score:g}: give a probability from {FLOOR} to 1; no detection below is looked at"
        )
    card = read_card(model)
    told = read_annotations(annotations, card.taxa, recordings=recordings, format=format, names=names)
    truth = in_real_time(told, time_expansion)
    for row in truth.unknown.itertuples():
        print(f"{row.where}: label {row.label!r} fits no taxon ({row.count} times); it takes no part", file=sys.stderr)
    there = truth.recordings[truth.recordings["exists"]]
    missing = len(truth.recordings) - len(there)
    if not len(there):
        raise UserError(f"{annotations}: none of its recordings is there; name their folder with --recordings")
    if missing:
        print(f"{annotations}: {missing} of {len(truth.recordings)} recordings are not there", file=sys.stderr)
    files = [AudioFile(Path(r.recording), float(r.time_expansion), int(r.channel) + 1) for r in there.itertuples()]
    calls, read = detect_files(files, model, min_score=FLOOR, species_list=species_list, device=device, workers=workers)
    for row in read[read["error"] != ""].itertuples():
        print(f"{printable(row.recording)}: {row.error}; it takes no part", file=sys.stderr)
    of = read.set_index("recording")
    lasted, broken = (truth.recordings["recording"].map(of[name]) for name in ("duration_s", "error"))
    whole = truth.recordings["exists"] & broken.fillna("").eq("")
    truth = replace(truth, recordings=truth.recordings.assign(exists=whole))
    truth = exhaustive_as_far(truth, lasted)
    truth = replace(truth, recordings=truth.recordings.assign(duration_s=truth.recordings["duration_s"].fillna(lasted)))
    return evaluate(truth, calls, card.taxa, output, title=title, min_score=min_score)


def headline(summary: dict[str, Any]) -> str:
    """Say in a line what comes of an evaluation; shares in %, with their intervals."""
    at = summary["finding"]["at_min_score"]

    def share(name: str, of: dict[str, Any]) -> str:
        known = of[name]
        if known["value"] is None:
            return f"{name.replace('_', ' ')} unknown"
        return f"{name.replace('_', ' ')} {100 * known['value']:.0f} % ({100 * known['low']:.0f} to {100 * known['high']:.0f})"

    return f"at {summary['settings']['min_score']:g}: " + ", ".join(
        [
            share("recall", at),
            share("precision", at),
            share("group_right", summary["naming"]),
            share("species_right", summary["naming"]),
        ]
    )
