"""Tables on disk: the same rows give the same bytes, come back as they were and say what they were made with."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam import STAGE_VERSIONS, __version__, tables
from batpam.errors import UserError
from batpam.tables import (
    COVERAGE,
    LEDGER,
    MANIFEST,
    PASSES,
    RECORDINGS,
    concat_tables,
    provenance,
    read_origin,
    read_table,
    stream_table,
    table_bytes,
    write_csv,
    write_table,
)

SCHEMAS = {name: value for name, value in vars(tables).items() if isinstance(value, pa.Schema)}
ORIGIN = {"stage": "index", "stage_version": 1}


def _row(schema: pa.Schema, number: int) -> dict[str, Any]:
    """A row in which every column has its own value."""
    values: dict[str, Any] = {}
    for place, field in enumerate(schema):
        if pa.types.is_string(field.type):
            values[field.name] = f"{field.name} {number} ü\n\"'"
        elif pa.types.is_timestamp(field.type):
            values[field.name] = datetime(2024, 6, 1, 23, 59, 59, 123_000 + number, UTC)
        elif pa.types.is_integer(field.type):
            values[field.name] = 2**53 + 1 + number + place  # more than a float could hold
        else:
            values[field.name] = (number + 1) / (place + 3)
    return values


def test_all_schemas_are_looked_at() -> None:
    assert {"RECORDINGS", "MANIFEST", "SEGMENTS", "COVERAGE", "DETECTIONS", "LEDGER", "NIGHTS", "PASSES"} <= set(
        SCHEMAS
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_rows_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    schema, path = SCHEMAS[name], tmp_path / "table.parquet"
    rows = [_row(schema, number) for number in range(3)]
    write_table(rows, schema, path, ORIGIN)
    assert read_table(path).to_dict("records") == rows
    assert list(read_table(path).columns) == schema.names


@pytest.mark.parametrize("name", SCHEMAS)
def test_missing_values_come_back_missing(tmp_path: Path, name: str) -> None:
    schema, path = SCHEMAS[name], tmp_path / "table.parquet"
    write_table([dict.fromkeys(schema.names), _row(schema, 1)], schema, path, ORIGIN)
    assert read_table(path).isna().sum(axis=1).tolist() == [len(schema), 0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_same_rows_give_the_same_bytes(name: str) -> None:
    schema = SCHEMAS[name]
    rows = [_row(schema, number) for number in range(3)]
    frame = pd.DataFrame(rows)
    first = table_bytes(rows, schema, ORIGIN)
    # neither what held the rows, nor the order of columns and keys, nor an index is part of the table
    assert table_bytes((dict(reversed(row.items())) for row in rows), schema, ORIGIN) == first
    assert table_bytes(frame, schema, dict(reversed(ORIGIN.items()))) == first
    assert table_bytes(frame[frame.columns[::-1]].set_index([[7, 5, 3]]), schema, ORIGIN) == first
    assert table_bytes(rows[:2], schema, ORIGIN) != first
    assert table_bytes(rows, schema, ORIGIN | {"stage_version": 2}) != first


def test_reading_and_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table([_row(PASSES, number) for number in range(5)], PASSES, path, ORIGIN)
    assert table_bytes(read_table(path), PASSES, read_origin(path)) == path.read_bytes()


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    content = table_bytes([{"recording": text, "read_samples": 1, "detail": text}], COVERAGE, ORIGIN)
    assert pq.read_table(io.BytesIO(content)).to_pylist() == [{"recording": text, "read_samples": 1, "detail": text}]


def test_what_does_not_fit_a_column_is_an_error_and_no_table(tmp_path: Path) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_table([{"recording": "a", "read_samples": "many", "detail": ""}], COVERAGE, tmp_path / "t", ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_origin_says_stage_version_and_settings(tmp_path: Path) -> None:
    origin = provenance("segment", hop=0.0005, model="Größe")
    write_table([], COVERAGE, tmp_path / "t.parquet", origin)
    assert read_origin(tmp_path / "t.parquet") == {
        "stage": "segment",
        "stage_version": STAGE_VERSIONS["segment"],
        "batpam": __version__,
        "hop": 0.0005,
        "model": "Größe",
    }


def test_origin_of_an_unknown_stage_is_refused() -> None:
    with pytest.raises(KeyError):
        provenance("nothing")


def test_columns_that_were_asked_for(tmp_path: Path) -> None:
    write_table([_row(LEDGER, 1)], LEDGER, tmp_path / "t.parquet", ORIGIN)
    assert list(read_table(tmp_path / "t.parquet", ["samples", "state"]).columns) == ["samples", "state"]


@pytest.mark.parametrize("content", [None, b"", b"no table", b"PAR1 cut off"])
def test_table_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lost.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"lost\.parquet"):
        read_table(path)


def test_table_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    write_table([_row(LEDGER, number) for number in range(9)], LEDGER, path, ORIGIN)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"cut\.parquet"):
        read_table(path)


def test_tables_one_below_the_other(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    rows = [[_row(LEDGER, 10 * table + number) for number in range(table)] for table in range(3)]
    for path, part in zip(paths, rows, strict=True):
        write_table(part, LEDGER, path, ORIGIN)
    assert concat_tables(paths, LEDGER).to_dict("records") == [row for part in rows for row in part]


def test_no_tables_make_an_empty_one_with_all_columns() -> None:
    table = concat_tables([], LEDGER)
    assert (len(table), list(table.columns)) == (0, LEDGER.names)


def test_table_in_parts_is_the_table_in_one(tmp_path: Path) -> None:
    rows = pd.DataFrame([_row(PASSES, number) for number in range(7)])
    said: list[int] = []

    def parts() -> Iterator[pd.DataFrame]:
        for start, stop in ((0, 3), (3, 3), (3, 7)):
            said.append(stop)
            yield rows[start:stop]

    # the origin may tell what is known only when the last part is written
    written = stream_table(parts(), PASSES, tmp_path / "t.parquet", lambda: ORIGIN | {"last": said[-1]})
    assert written == 7
    assert read_table(tmp_path / "t.parquet").to_dict("records") == rows.to_dict("records")
    assert read_origin(tmp_path / "t.parquet") == ORIGIN | {"last": 7}


def test_table_whose_parts_break_off_is_not_there(tmp_path: Path) -> None:
    def parts() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame([_row(PASSES, 1)])
        raise UserError("the shard is broken")

    with pytest.raises(UserError, match="the shard is broken"):
        stream_table(parts(), PASSES, tmp_path / "t.parquet", lambda: ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_were_asked_for(tmp_path: Path) -> None:
    rows = [_row(COVERAGE, number) for number in range(5)]
    write_table(rows, COVERAGE, tmp_path / "t.parquet", ORIGIN)
    limit = rows[2]["read_samples"]
    found = read_table(tmp_path / "t.parquet", filters=[("read_samples", ">=", limit)])
    assert found.to_dict("records") == rows[2:]


def test_manifest_is_a_part_of_the_recordings() -> None:
    assert all(RECORDINGS.field(field.name) == field for field in MANIFEST)


def test_csv_has_iso_times_and_blanks_for_what_is_missing(tmp_path: Path) -> None:
    rows = pd.DataFrame([_row(PASSES, 1), _row(PASSES, 2)])
    rows.loc[1, "start_utc"] = pd.NaT
    rows.loc[1, "night"] = None
    write_csv(rows[rows.columns[::-1]], PASSES, tmp_path / "passes.csv")
    table = pd.read_csv(tmp_path / "passes.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == PASSES.names
    assert table["start_utc"].tolist() == ["2024-06-01T23:59:59.123001Z", ""]
    assert table["night"].tolist() == [rows.loc[0, "night"], ""]
    assert table["calls"].tolist() == [str(rows.loc[0, "calls"]), str(rows.loc[1, "calls"])]


@pytest.mark.parametrize(
    "text", ["=1+2", "@sum(a)", "\t=1", "\r=1", "=1\r-2", "-2+3+cmd|' /C calc'!A0", "+a", "-", "-1.5\n"]
)
def test_no_text_in_a_csv_is_a_formula(tmp_path: Path, text: str) -> None:
    rows = pd.DataFrame([_row(LEDGER, 1) | {"detail": text}, _row(LEDGER, 2) | {"detail": None}])
    write_csv(rows, LEDGER, tmp_path / "ledger.csv")
    with (tmp_path / "ledger.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [row["detail"] for row in table] == ["'" + text.replace("\r", " "), ""]
    assert rows["detail"].tolist()[0] == text  # the table itself stays as it is


@pytest.mark.parametrize("text", ["-12.5", "+3", "+02:00", "-9:30", "a=b", "12-13", " =1", ""])
def test_text_that_is_no_formula_is_left_alone_in_a_csv(tmp_path: Path, text: str) -> None:
    write_csv(pd.DataFrame([_row(LEDGER, 1) | {"detail": text}]), LEDGER, tmp_path / "ledger.csv")
    assert pd.read_csv(tmp_path / "ledger.csv", dtype=str, keep_default_na=False)["detail"].tolist() == [text]


def test_csv_tells_where_in_an_hour_a_call_is(tmp_path: Path) -> None:
    row = _row(PASSES, 1) | {"best_start_s": 3599.1234}
    write_csv(pd.DataFrame([row]), PASSES, tmp_path / "passes.csv")
    # a call lasts 5 ms: to find it one needs its time to the millisecond
    assert pd.read_csv(tmp_path / "passes.csv")["best_start_s"][0] == pytest.approx(3599.1234, abs=0.001)
