"""How good a model is on annotated recordings: tables, a summary and a page."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.csv import write_csv

from batpam import __version__
from batpam.errors import UserError
from batpam.files import write_text, written_whole
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT
from batpam.tables import without_formulas
from batpam.training.evaluation import finding, naming, whole_files
from batpam.training.evaluation.inputs import Inputs, read_inputs
from batpam.training.evaluation.metrics import FLOOR, PRECISION
from batpam.training.evaluation.page import page

if TYPE_CHECKING:
    from batpam.training.annotations.read import Annotations


DIGITS = 6
"""Decimals in tables and summary."""


def evaluate(
    annotations: "Annotations",
    detections: pd.DataFrame,
    taxa: Sequence[Taxon],
    output: Path,
    *,
    title: str,
    thresholds: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    min_score: float = 0.5,
    min_taxon_score: float = 0.5,
    frequency: bool = False,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """Hold detections against annotations, and write what comes of it into a folder.

    Parameters
    ----------
    annotations
        What is known of the recordings.
    detections
        One row per detection, down to a score of 0.02: ``recording``, ``start_s``, ``end_s`` (s), ``low_hz``, ``high_hz``,
        ``peak_hz`` (Hz), ``snr_db`` (dB), ``det_score`` (probability of a bat call), ``species`` (the best), ``class_score``
        (its probability), ``score_CODE`` of each species, which sum to ``det_score``, and, where the model tells it,
        ``call_type``. A recording without a row has no detection.
    taxa
        The classes of the model.
    output
        Folder, made if need be, for ``evaluation.html``, ``summary.json`` and the tables as CSV.
    title
        What was evaluated, as the heading of the page.
    thresholds
        Scores at which precision and recall are given.
    min_score
        Detections count from this ``det_score`` on wherever one threshold is needed.
    min_taxon_score
        A call is named after the lowest taxon of at least this probability.
    frequency
        Ask for overlap in frequency as well as in time, where event and detection both have a band.
    resamples, seed
        Of the bootstrap over recordings that gives the intervals.

    Returns
    -------
    dict
        What is written as ``summary.json``.

    Raises
    ------
    UserError
        A column is missing, a score is no probability, or a detection is of a species that is none of the taxa.
    """
    levels = sorted({*map(float, thresholds), float(min_score)})
    if not all(FLOOR <= level <= 1 for level in levels):
        raise UserError(f"thresholds and min_score lie between {FLOOR} and 1; detections below are not looked at")
    if resamples < 1:
        raise UserError("resamples must be 1 or more")
    if not taxa:
        raise UserError("the model has no taxa")
    data = read_inputs(annotations, detections, taxa, frequency=frequency, resamples=resamples, seed=seed)
    claims = finding.rankings(data)
    matched = naming.matches(data, min_score)
    named = naming.names(data, matched, min_taxon_score)
    outcome = naming.outcomes(data, matched, named)
    files = whole_files.file_rows(data, min_score)
    calibrated = finding.calibration_tables(data, claims[ANY_BAT])
    tables = {
        "events": naming.event_rows(data, matched, named, outcome),
        "detections": finding.detection_rows(data),
        "thresholds": finding.threshold_rows(data, claims, levels),
        "operating_points": finding.operating_rows(data, claims, levels),
        "average_precision": finding.average_precision_rows(data),
        "confusion": naming.confusion_rows(data, matched, min_score),
        "names": naming.name_rows(data, outcome),
        "files": files.drop(columns=["number", "without_bats"]),
        "presence": whole_files.presence_rows(data),
        "calibration": pd.concat(
            [table.assign(probability=name) for name, table in calibrated.items()], ignore_index=True
        ),
        "snr": finding.snr_rows(data, matched, naming.species_right(data, matched)),
        "call_types": finding.call_type_rows(data, matched, min_score),
    }
    settings = {"thresholds": levels, "min_score": min_score, "min_taxon_score": min_taxon_score,
                "frequency": frequency, "resamples": resamples, "seed": seed}  # fmt: skip
    summary = {
        "title": title,
        "batpam": __version__,
        "settings": settings,
        "data": _inventory(data, len(taxa)),
        "finding": _found(tables, min_score) | {"false_alarms": finding.false_alarms(data, min_score)},
        "naming": naming.shares_right(data, matched, outcome),
        "files": whole_files.file_shares(data, files),
        "calibration": {name: dict(table.attrs) for name, table in calibrated.items()},
    }
    summary = _plain(summary)
    for name, table in tables.items():
        with written_whole(output / f"{name}.csv") as temporary:
            # pandas would take longer to write these than all the rest takes
            rows = without_formulas(_strings(table.round(DIGITS)))
            write_csv(pa.Table.from_pandas(rows, preserve_index=False), temporary)
    write_text(output / "summary.json", json.dumps(summary, indent=2) + "\n")
    write_text(output / "evaluation.html", page(summary, tables, finding.curve_rows(data, claims[ANY_BAT]), taxa))
    return summary


def _strings(table: pd.DataFrame) -> pd.DataFrame:
    """Categories as the text they stand for."""
    return table.astype({name: object for name in table.select_dtypes("category")})


def _inventory(data: Inputs, classes: int) -> dict[str, Any]:
    """What there was to evaluate on."""
    events, bats = data.events, data.bats
    start_only = events["end_s"].isna().to_numpy()
    per_species = events["taxon"].value_counts().reindex(data.tree.of_rank("species"))
    return {
        "recordings": len(data.recordings),
        "recordings_exhaustive": int(data.exhaustive.sum()),
        "recordings_with_bat_events": len(np.unique(data.event_recording[bats])),
        "recordings_with_file_labels": int(data.labels["recording"].nunique()),
        "hours": float(data.recordings["hours"].sum(min_count=1)),
        "bat_events": int(bats.sum()),
        "bat_events_start_only": int((bats & start_only).sum()),
        "other_events": int((~bats & ~data.open_to).sum()),
        "events_not_known": int(data.open_to.sum()),
        "detections": len(data.detections),
        "classes": classes,
        "events_by_species": per_species.to_dict(),
        **data.left_out,
    }


def _found(tables: Mapping[str, pd.DataFrame], min_score: float) -> dict[str, Any]:
    """The headline numbers of finding calls, each with its interval."""
    levels = tables["thresholds"]
    row = levels[(levels["taxon"] == ANY_BAT) & (levels["threshold"] == min_score)].iloc[0]
    point = tables["operating_points"].iloc[0]
    average = tables["average_precision"]
    return {
        "at_min_score": {name: _estimate(row, name) for name in ("recall", "precision", "f1")}
        | {name: int(row[name]) for name in ("events", "found", "detections", "right")},
        "average_precision": _estimate(average.iloc[0], "average_precision")
        | {"recordings": average.at[0, "recordings"]},
        **{
            f"mean_average_precision_{rank}": _estimate(mean, "average_precision") | {"classes": int(mean["classes"])}
            for rank in ("group", "species")
            for _, mean in average[average["rank"] == f"mean over {rank}"].iterrows()
        },
        **{
            name: _estimate(point, name) | {"threshold": point[f"{name}_threshold"]}
            for name in ("recall_at_precision", "best_f1")
        },
        "precision_asked": PRECISION,
    }


def _estimate(row: pd.Series, name: str) -> dict[str, Any]:
    return {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


def _plain(value: Any) -> Any:
    """The same as JSON has it: no NumPy numbers, and null for what is missing."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return round(float(value), DIGITS) if math.isfinite(value) else None
    return value
