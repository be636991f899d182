"""The schema of every table on disk, and how tables are written and read.

Tables are Parquet. Their metadata carry, under the key ``batpam``, what they were made with.
``docs/data-dictionary.md`` says what each column means; a test keeps it in step.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from batpam import STAGE_VERSIONS, __version__
from batpam.errors import UserError
from batpam.files import written_whole

_text, _whole, _number, _instant = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC")

RECORDINGS = pa.schema(
    [
        ("recording", _text), ("site", _text), ("recorder", _text), ("path", _text), ("size_bytes", _whole),
        ("modified_ns", _whole), ("sidecar_ns", _whole), ("night", _text), ("start_utc", _instant), ("start_local", _text),
        ("utc_offset_min", _number), ("clock_source", _text), ("format", _text), ("header_rate_hz", _number),
        ("sample_rate_hz", _number), ("time_expansion", _number), ("channel", _whole), ("channels", _whole),
        ("samples", _whole), ("readable_samples", _whole), ("duration_s", _number), ("untriggered_s", _number),
        ("make", _text), ("model", _text), ("serial", _text), ("firmware", _text), ("gain", _text), ("trigger", _text),
        ("latitude", _number), ("longitude", _number), ("temperature_c", _number), ("battery_v", _number),
        ("stop_reason", _text), ("sources", _text), ("warnings", _text), ("warning_detail", _text), ("digest", _text),
        ("state", _text), ("reason", _text), ("detail", _text), ("shard", _text),
    ]
)  # fmt: skip
"""Every file that was found, one row each."""

MANIFEST = pa.schema(
    [
        RECORDINGS.field(name)
        for name in (
            "recording", "site", "recorder", "path", "size_bytes", "modified_ns", "night", "start_utc", "sample_rate_hz",
            "time_expansion", "channel", "samples", "readable_samples", "untriggered_s", "make", "trigger",
        )
    ]
)  # fmt: skip
"""The recordings of one shard, with all that a job needs to know of them."""

SEGMENTS = pa.schema(
    [
        ("recording", _text), ("first_hop", _whole), ("last_hop", _whole), ("start_s", _number), ("end_s", _number),
        ("read_samples", _whole),
    ]
)  # fmt: skip
"""Where in each recording something ultrasonic happens."""

COVERAGE = pa.schema([("recording", _text), ("read_samples", _whole), ("detail", _text)])
"""How far each recording of a shard could be read."""

BANDS_HZ = ((5_000, 15_000), (15_000, 30_000), (30_000, 60_000), (60_000, 120_000))
"""Bands that the noise of a recorder is followed in, Hz."""

NOISE_COLUMNS = tuple(f"noise_{low // 1000}_{high // 1000}_db" for low, high in BANDS_HZ)

SOUND = pa.schema(
    [
        ("recording", _text), ("read_s", _number), ("clipped_samples", _whole), ("offset", _number), ("flat_s", _number),
        ("click_s", _number), ("insect_s", _number), *((name, _number) for name in NOISE_COLUMNS),
    ]
)  # fmt: skip
"""What the audio of each recording of a shard says of the recorder and the weather."""

LOGS = pa.schema(
    [
        ("site", _text), ("recorder", _text), ("path", _text), ("kind", _text), ("share", _number),
        ("start_utc", _instant), ("end_utc", _instant),
    ]
)  # fmt: skip
"""When a recorder was to record (``scheduled``) or was on (``running``), by its own log, and what share of that time."""

RECORDER_NIGHTS = pa.schema(
    [
        ("site", _text), ("recorder", _text), ("night", _text), ("state", _text), ("reasons", _text), ("detail", _text),
        ("sunset_utc", _instant), ("sunrise_utc", _instant), ("schedule_source", _text), ("scheduled_dark_h", _number),
        ("recorded_dark_h", _number), ("usable_dark_h", _number), ("recorded_h", _number), ("analysed_h", _number),
        ("excluded_h", _number), ("untriggered_h", _number), ("logged_h", _number), ("files", _whole),
        ("files_excluded", _whole), *((name, _number) for name in NOISE_COLUMNS), ("noise_change_db", _number),
        ("clipped_share", _number), ("offset", _number), ("flat_h", _number), ("click_h", _number), ("insect_h", _number),
        ("temperature_min_c", _number), ("temperature_max_c", _number), ("battery_min_v", _number),
        ("stop_reasons", _text), ("warnings", _text),
    ]
)  # fmt: skip
"""State, health and effort: one row per recorder and night, those without a recording too."""

DETECTIONS = pa.schema(
    [
        ("site", _text), ("recorder", _text), ("night", _text), ("recording", _text), ("path", _text),
        ("start_s", _number), ("end_s", _number), ("start_utc", _instant), ("duration_ms", _number), ("peak_hz", _number),
        ("low_hz", _number), ("high_hz", _number), ("snr_db", _number), ("det_score", _number), ("species", _text),
        ("class_score", _number), ("call_type", _text),
    ]
)  # fmt: skip
"""One row per call; behind these, ``score_CODE`` for every class of the model."""

NO_BAT = ("insect", "noise")
"""What a detection may be that is no bat call."""


def detections_schema(codes: Iterable[str]) -> pa.Schema:
    """Schema of the detections of a model with species of these codes."""
    return pa.schema([*DETECTIONS, *((f"score_{code}", pa.float32()) for code in (*codes, *NO_BAT))])


LEDGER = pa.schema(
    [
        ("site", _text), ("recorder", _text), ("night", _text), ("recording", _text), ("path", _text), ("state", _text),
        ("reason", _text), ("detail", _text), ("start_sample", _whole), ("samples", _whole), ("start_s", _number),
        ("duration_s", _number), ("start_utc", _instant), ("size_bytes", _whole),
    ]
)  # fmt: skip
"""Every stretch of every file and what became of it."""

NIGHTS = pa.schema(
    [
        ("site", _text), ("night", _text), ("state", _text), ("reasons", _text), ("sunset_utc", _instant),
        ("sunrise_utc", _instant), ("files", _whole), ("files_excluded", _whole), ("recorded_h", _number),
        ("analysed_h", _number), ("excluded_h", _number), ("dark_h", _number), ("analysed_dark_h", _number),
        ("scheduled_dark_h", _number), ("usable_dark_h", _number),
    ]
)  # fmt: skip
"""Effort: one row per site and night that has a file, or on which a triggered recorder listened."""

PASSES = pa.schema(
    [
        ("site", _text), ("recorder", _text), ("night", _text), ("taxon", _text), ("group", _text), ("rank", _text),
        ("start_utc", _instant), ("duration_s", _number), ("calls", _whole), ("named_calls", _whole),
        ("buzz_calls", _whole), ("social_calls", _whole), ("files", _whole), ("mean_peak_hz", _number),
        ("mean_score", _number), ("best_path", _text), ("best_start_s", _number),
        ("best_file_s", _number),
    ]
)  # fmt: skip
"""One row per pass."""

ACTIVITY = pa.schema(
    [
        ("site", _text), ("night", _text), ("state", _text), ("taxon", _text), ("group", _text), ("rank", _text),
        ("calls", _whole), ("passes", _whole), ("passes_with_buzz", _whole), ("passes_with_social", _whole),
        ("minutes", _whole), ("files_with_taxon", _whole), ("analysed_h", _number), ("passes_per_h", _number),
        ("minutes_per_h", _number),
    ]
)  # fmt: skip
"""Activity per site, night and taxon; zeros are nights on which the recorders worked and the taxon was not found."""

TRUTH = pa.schema(
    [
        ("site", _text), ("night", _text), ("path", _text), ("species", _text), ("bat", _whole), ("start_s", _number),
        ("end_s", _number), ("start_utc", _instant), ("low_hz", _number), ("high_hz", _number), ("peak_hz", _number),
        ("snr_db", _number),
    ]
)  # fmt: skip
"""The calls in a simulated survey."""


def provenance(stage: str, **made_with: Any) -> dict[str, Any]:
    """What a table says of its origin: stage, versions, settings, model."""
    return {"stage": stage, "stage_version": STAGE_VERSIONS[stage], "batpam": __version__, **made_with}


def write_table(
    rows: pd.DataFrame | Iterable[Mapping[str, Any]], schema: pa.Schema, path: Path, origin: Mapping[str, Any]
) -> None:
    """Write a table whole, its columns in the order of the schema."""
    with written_whole(path) as temporary:
        temporary.write_bytes(table_bytes(rows, schema, origin))


def stream_table(
    parts: Iterable[pd.DataFrame | pa.Table], schema: pa.Schema, path: Path, origin: Callable[[], Mapping[str, Any]]
) -> int:
    """Write a table whole, part by part, so that it need not fit into memory.

    Parameters
    ----------
    origin
        Asked when the last part is written.

    Returns
    -------
    int
        Number of rows.
    """
    rows = 0
    with written_whole(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(_arrow(part, schema))
            rows += len(part)
        writer.add_key_value_metadata({"batpam": json.dumps(dict(origin()), sort_keys=True)})
    return rows


def table_bytes(
    rows: pd.DataFrame | pa.Table | Iterable[Mapping[str, Any]], schema: pa.Schema, origin: Mapping[str, Any]
) -> bytes:
    """A table as the bytes of a Parquet file; the same rows give the same bytes."""
    table = _arrow(rows, schema).replace_schema_metadata({"batpam": json.dumps(dict(origin), sort_keys=True)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _arrow(rows: pd.DataFrame | pa.Table | Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    if isinstance(rows, pd.DataFrame):
        return pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    if isinstance(rows, pa.Table):
        return rows.cast(schema)
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def read_table(path: Path, columns: Sequence[str] | None = None, *, filters: Any = None) -> pd.DataFrame:
    """Read a table that batpam wrote.

    Parameters
    ----------
    columns
        Only these.
    filters
        Only these rows, as for :func:`pyarrow.parquet.read_table`.

    Raises
    ------
    UserError
        It is missing, or is no Parquet file.
    """
    wanted = list(columns) if columns else None
    return _open(lambda: pq.read_table(path, columns=wanted, filters=filters), path).to_pandas()


def _open(read: Callable[[], Any], path: Path) -> Any:
    try:
        return read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such table; run the stage that makes it first") from error
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a table of batpam's ({reason}); delete it and run again") from error


def read_origin(path: Path) -> dict[str, Any]:
    """What a table was made with."""
    metadata = _open(lambda: pq.read_metadata(path), path).metadata or {}
    return json.loads(metadata.get(b"batpam", b"{}"))


_FORMULA = re.compile(r"[=@\t\r]|[+-](?!(?:[0-9]+(?:\.[0-9]*)?|[0-9]{1,2}:[0-9]{2})\Z)")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A table for a CSV: text that a spreadsheet would carry out as a formula begins with an apostrophe.

    What a file says of itself, and its name, is written by others; so is what they may want a spreadsheet to do. A carriage
    return becomes a blank, for it would begin a row of its own: not every version of Python writes it in quotes.

    Examples
    --------
    >>> without_formulas(pd.DataFrame({"text": ["=1+2", "-1+2", "@sum", "-12.5", "+02:00", "a=b", None]}))["text"].tolist()
    ["'=1+2", "'-1+2", "'@sum", '-12.5', '+02:00', 'a=b', None]
    """
    table = table.copy()
    for name in table.select_dtypes("object"):
        texts = [text for text in table[name].unique() if isinstance(text, str)]  # of millions of cells most are alike
        harmless = {text: ("'" if _FORMULA.match(text) else "") + text.replace("\r", " ") for text in texts}
        if any(text != instead for text, instead in harmless.items()):
            table[name] = table[name].map(lambda text, harmless=harmless: harmless.get(text, text))
    return table


def write_csv(rows: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write a table as CSV, times in ISO 8601, no text a formula (:func:`without_formulas`)."""
    table = without_formulas(rows[[name for name in schema.names if name in rows]])
    for column in table.select_dtypes(include=["datetimetz"]):
        table[column] = table[column].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")


def concat_tables(paths: Iterable[Path], schema: pa.Schema) -> pd.DataFrame:
    """Read tables of one schema and put them one below the other."""

    def read(path: Path) -> pa.Table:
        return _open(lambda: pq.read_table(path), path).select(schema.names).cast(schema)

    tables = [schema.empty_table(), *map(read, paths)]
    return pa.concat_tables(tables).to_pandas()
