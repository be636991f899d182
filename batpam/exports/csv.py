"""Calls as CSV, one row each."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from batpam.errors import UserError
from batpam.files import written_whole
from batpam.tables import read_table


def export_csv(detections: Sequence[Path], output: Path, *, min_score: float = 0.0, relative_to: Path | None = None) -> int:
    """Write the calls of several tables of detections into one CSV.

    Parameters
    ----------
    detections
        Tables, or folders that hold them.
    output
        CSV with a column ``file`` first and then those of the tables.
    min_score
        Calls with a lower detection score are left out.
    relative_to
        Folder that ``file`` is given relative to; as found when None.

    Returns
    -------
    int
        Number of calls written.
    """
    paths = [p for path in detections for p in (sorted(path.glob("*.parquet")) if path.is_dir() else [path])]
    if not paths:
        raise UserError(f"no detections in {', '.join(map(str, detections))}; run the workflow first")
    calls = pd.concat([read_table(path) for path in paths], ignore_index=True)
    calls = calls[calls["det_score"] >= min_score]
    files = calls["path"] if relative_to is None else calls["path"].map(lambda p: os.path.relpath(p, relative_to))
    calls.insert(0, "file", files)
    with written_whole(output) as temporary:
        calls.drop(columns="path").to_csv(temporary, index=False, float_format="%.6g", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    return len(calls)
