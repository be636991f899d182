"""Tables and JSON of any encoding, read so that what is wrong is a message with file and line."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf, nan
from pathlib import Path
from typing import Any

from batpam.errors import UserError, printable
from batpam.training.annotations.rows import shown

MAX_BYTES = 1 << 30
"""A longer file is no table of annotations."""

NOTHING = ("", "na", "n/a", "nan", "none", "null", "-", "?")
"""Numbers that were not told."""

_KILO = re.compile(r"\bk ?hz\b")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    path
        File.
    columns
        Names as written.
    rows
        Number of the line in the file, and the values by the name of the column.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]

    def where(self, line: int) -> str:
        """Name of a line for messages."""
        return f"{printable(self.path)}:{line}"


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Read a file whole."""
    try:
        if path.stat().st_size > most:
            raise UserError(f"{printable(path)}: more than {most >> 20} MiB, too long for annotations; cut it up")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{printable(path)}: cannot be read ({printable(str(error))})") from error


def read_text(path: Path) -> str:
    """Read a text: UTF-8 or UTF-16, with or without a mark, else Latin-1.

    Raises
    ------
    UserError
        It cannot be read or is no text.
    """
    data = read_bytes(path)
    text = _decoded(data)
    if text is None or "\0" in text:
        raise UserError(f"{printable(path)}: is no text; save it as UTF-8")
    return text


def _decoded(data: bytes) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    start = data[:200]
    for order, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if 2 * zeros.count(0) > len(zeros) and 0 not in letters:  # UTF-16 without its mark
            return data.decode(order, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    UserError
        It is none, or is nested too deeply.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise UserError(f"{printable(path)}: nested too deeply for annotations") from error
    except ValueError as error:
        raise UserError(f"{printable(path)}: is no whole JSON ({error}); export it again") from error


def head(path: Path, most: int = 1 << 16) -> str:
    """Read the beginning of a text; "" where it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            text = _decoded(file.read(most))
    except (OSError, ValueError):
        return ""
    return "" if text is None or "\0" in text else text


def delimiter_of(text: str) -> str:
    """Tell what parts the columns: what stands most often in the first line.

    Examples
    --------
    >>> delimiter_of("file;start, s;end, s;label")
    ';'
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max("\t;,", key=first.count)


def read_table(path: Path, delimiter: str = "") -> Table:
    """Read a table with its names in the first line.

    Parameters
    ----------
    delimiter
        What parts the columns; found out where "".

    Raises
    ------
    UserError
        It is empty, a name stands twice, or a line has more values than there are names.
    """
    text = read_text(path)
    delimiter = delimiter or delimiter_of(text)
    columns, rows = _rows(text, path, delimiter)
    if not columns:
        raise UserError(f"{printable(path)}: is empty; a table begins with the names of its columns")
    return Table(path, columns, rows)


def _rows(text: str, path: Path, delimiter: str) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    # programs that write tabs do not quote, and a label may hold a quote
    lines = io.StringIO(text, newline="")
    reader = (
        csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        if delimiter == "\t"
        else csv.reader(lines, delimiter=delimiter)
    )
    columns: tuple[str, ...] = ()
    rows = []
    try:
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if not columns:
                columns = tuple(value.strip() for value in values)
                while columns and not columns[-1]:
                    columns = columns[:-1]
                twice = [name for name in columns if name and columns.count(name) > 1]
                if twice:
                    raise UserError(f"{printable(path)}: column {shown(twice[0])} stands twice; rename one")
                continue
            if any(value.strip() for value in values[len(columns) :]):
                raise UserError(
                    f"{printable(path)}:{reader.line_num}: {len(values)} values for {len(columns)} columns; "
                    "put text that holds a separator into quotes"
                )
            row = dict.fromkeys(columns, "")
            row.update((name, value.strip()) for name, value in zip(columns, values, strict=False))
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise UserError(f"{printable(path)}:{reader.line_num}: {error}; a quote may be left open") from error
    return columns, rows


def plain_name(name: str) -> str:
    """Name of a column as it is compared: small letters, blanks for underlines.

    Examples
    --------
    >>> plain_name(" Begin_Time (s)"), plain_name("AUTO ID*")
    ('begin time (s)', 'auto id')
    """
    return " ".join(name.replace("_", " ").casefold().strip(" *\ufeff\"'").split())


def column(columns: Sequence[str], names: Sequence[str]) -> str:
    """Find the first of several names among the columns; "" where there is none."""
    known = {plain_name(name): name for name in reversed(columns)}
    return next((known[name] for name in map(plain_name, names) if name in known), "")


def need(table: Table, names: Sequence[str], what: str) -> str:
    """Find a column that cannot be missing.

    Raises
    ------
    UserError
        Names the file, what is missing, and what is there.
    """
    found = column(table.columns, names)
    if not found:
        there = ", ".join(shown(name) for name in table.columns[:20])
        raise UserError(
            f"{printable(table.path)}: no column for {what}; name one {' or '.join(map(repr, names[:4]))} (there are {there})"
        )
    return found


def number(text: str, what: str, where: str) -> float:
    """Read a number; NaN where there is none. A comma may stand for the point.

    Raises
    ------
    UserError
        It is no number.

    Examples
    --------
    >>> number("0,25", "start", "a.csv:2"), number("NA", "end", "a.csv:2")
    (0.25, nan)
    """
    bare = text.strip().strip('"')
    if bare.casefold() in NOTHING:
        return nan
    try:
        value = float(bare.replace(",", "."))
    except ValueError:
        raise UserError(f"{where}: {what} {shown(bare)} is no number; correct it or leave it empty") from None
    if isinf(value):
        raise UserError(f"{where}: {what} {shown(bare)} cannot be; correct it")
    return value


def json_number(value: object, what: str, where: str) -> float:
    """Read a number from JSON; NaN where it is null or missing."""
    if value is None:
        return nan
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UserError(f"{where}: {what} {shown(str(value))} is no number; correct it")
    try:
        return number(str(value), what, where)
    except ValueError:  # a whole number of thousands of digits
        raise UserError(f"{where}: {what} cannot be; correct it") from None


def in_hertz(name: str) -> float:
    """Factor to Hz of a column of frequencies, by its name.

    Examples
    --------
    >>> in_hertz("low_khz"), in_hertz("Low Freq (Hz)")
    (1000.0, 1.0)
    """
    return 1000.0 if _KILO.search(plain_name(name)) else 1.0
