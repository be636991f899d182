"""Calls as CSV, one row each."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from batpam.activity.names import name_calls
from batpam.errors import UserError
from batpam.files import written_whole
from batpam.models.files import model_hash, read_card
from batpam.tables import detections_schema, read_origin, read_table, without_formulas


def export_csv(
    results: Path,
    output: Path,
    model: Path,
    *,
    min_score: float = 0.0,
    min_taxon_score: float = 0.5,
    thresholds: Mapping[str, float] | None = None,
    relative_to: Path | None = None,
) -> int:
    """Write all calls of a survey into one CSV.

    Parameters
    ----------
    results
        Folder of the results: the detections of the shards that the index names.
    output
        CSV with a column ``file`` first and then those of the tables; behind ``class_score`` the ``taxon``, ``group`` and
        ``rank`` of the lowest node of the tree that is sure enough. See :func:`batpam.tables.without_formulas`.
    model
        The one that made the detections.
    min_score
        Calls with a lower detection score are left out.
    min_taxon_score, thresholds
        See :class:`batpam.config.ActivityConfig`.
    relative_to
        Folder that ``file`` is given relative to; as found when None.

    Returns
    -------
    int
        Number of calls written.

    Raises
    ------
    UserError
        There are no results, or another model made the detections.
    """
    index = results / "index" / "shards.tsv"
    if not index.is_file():
        raise UserError(f"{index} is not there; run the workflow first, or name its results with --results")
    paths = [results / "detections" / f"{shard}.parquet" for shard in pd.read_csv(index, sep="\t", dtype=str)["shard"]]
    card, made_by = read_card(model), model_hash(model)
    for path in paths:
        origin = read_origin(path)
        if origin.get("model_hash") != made_by:
            raise UserError(
                f"{path} was made with the model {origin.get('model')!r} ({origin.get('model_hash')}), not with "
                f"{card.name!r} ({made_by}); name it with --model"
            )
    accepted = [("det_score", ">=", min_score)]
    schema = detections_schema([taxon.code for taxon in card.taxa])
    tables = [read_table(path, schema.names, filters=accepted) for path in paths]
    found = pd.concat([schema.empty_table().to_pandas(), *tables], ignore_index=True)
    calls = name_calls(found, card.taxa, min_taxon_score=min_taxon_score, thresholds=thresholds or {})
    for place, name in enumerate(("taxon", "group", "rank"), calls.columns.get_loc("class_score") + 1):
        calls.insert(place, name, calls.pop(name))
    files = calls["path"] if relative_to is None else calls["path"].map(lambda p: os.path.relpath(p, relative_to))
    calls.insert(0, "file", files)
    with written_whole(output) as temporary:
        without_formulas(calls.drop(columns="path")).to_csv(
            temporary, index=False, float_format="%.9g", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
        )
    return len(calls)
