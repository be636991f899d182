"""Calls as CSV, one row each."""

import os
from pathlib import Path

import pandas as pd

from batpam.errors import UserError
from batpam.files import written_whole
from batpam.tables import DETECTIONS, read_table


def export_csv(results: Path, output: Path, *, min_score: float = 0.0, relative_to: Path | None = None) -> int:
    """Write all calls of a survey into one CSV.

    Parameters
    ----------
    results
        Folder of the results: the detections of the shards that the index names.
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
    index = results / "index" / "shards.tsv"
    if not index.is_file():
        raise UserError(f"{index} is not there; run the workflow first, or name its results with --results")
    shards = pd.read_csv(index, sep="\t", dtype=str)["shard"]
    accepted = [("det_score", ">=", min_score)]
    tables = [read_table(results / "detections" / f"{shard}.parquet", filters=accepted) for shard in shards]
    calls = pd.concat(tables, ignore_index=True) if tables else DETECTIONS.empty_table().to_pandas()
    files = calls["path"] if relative_to is None else calls["path"].map(lambda p: os.path.relpath(p, relative_to))
    calls.insert(0, "file", files)
    with written_whole(output) as temporary:
        calls.drop(columns="path").to_csv(
            temporary, index=False, float_format="%.9g", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
        )
    return len(calls)
