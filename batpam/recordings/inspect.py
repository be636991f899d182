"""What batpam knows of single files, for a person who wonders about them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from batpam.errors import AudioError, printable
from batpam.recordings.audio import probe
from batpam.recordings.describe import describe, read_sidecar
from batpam.recordings.find import Found
from batpam.recordings.formats.guano import guano_fields
from batpam.recordings.formats.wamd import wamd_fields
from batpam.recordings.ledger import REASONS
from batpam.recordings.metadata import WARNINGS, read_sources
from batpam.survey import Deployment


def inspect(path: Path, timezone: str, *, min_sample_rate: float, min_duration: float) -> dict[str, Any]:
    """Tell all that a file says of itself and what batpam makes of it.

    Parameters
    ----------
    timezone
        Zone of clocks that name none, IANA.
    min_sample_rate, min_duration
        See :class:`batpam.config.IndexConfig`.

    Returns
    -------
    dict
        ``recording``: the row of the recordings table; ``sources``: what each source says, in their order; ``chunks``: the
        text of its GUANO and WAMD chunks and comments as written. JSON can hold all of it.
    """
    deployment = Deployment("site", None, None, timezone, str(path.parent))
    found = _find(path)
    (row,) = describe(deployment, found, min_sample_rate=min_sample_rate, min_duration=min_duration)
    chunks: dict[str, bytes] = {}
    if not row["reason"] or row["samples"]:
        try:
            chunks = probe(path).chunks
        except AudioError as error:
            row["detail"] = str(error)
    for name in ("site", "recorder", "recording", "sidecar_ns", "digest"):
        row.pop(name)
    row["sources"] = json.loads(row["sources"])
    row["warnings"] = dict(line.split(": ", 1) for line in row.pop("warning_detail").split("\n") if line)
    sources = read_sources(path, chunks, read_sidecar(found.sidecar))
    return {
        "recording": _plain(row),
        "sources": [_plain({k: v for k, v in asdict(facts).items() if v not in (None, ())}) for facts in sources],
        "chunks": {name: _text(name, content) for name, content in chunks.items() if name != "d500x"},
    }


def _find(path: Path) -> Found:
    try:
        status = path.stat()
    except OSError as error:
        return Found(str(path), reason="unreadable", detail=(error.strerror or "").lower())
    stem = str(path).rpartition(".")[0]
    sidecar = next((f"{stem}{ending}" for ending in (".xml", ".XML") if Path(f"{stem}{ending}").is_file()), "")
    return Found(str(path), status.st_size, status.st_mtime_ns, sidecar)


def _text(name: str, content: bytes) -> Any:
    if name == "guan":
        return guano_fields(content)
    if name == "wamd":
        return wamd_fields(content)
    return content.partition(b"\0")[0].decode("utf-8", "replace")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def show(told: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print what :func:`inspect` tells of files, for a person or as JSON."""
    if as_json:
        json.dump(list(told), sys.stdout, indent=2, allow_nan=False)  # in ASCII: no name can act upon a terminal
        print()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if isinstance(sys.stdout, TextIOWrapper):  # a terminal need not know all letters
        sys.stdout.reconfigure(errors="backslashreplace")
    # a pipe has no width: what is told of a file must not be cut there
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, emoji=False)
    for one in told:
        row = one["recording"]
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(style="dim")
        for name, value, source in _lines(row):
            table.add_row(name, escape(printable(str(value))), source)
        console.print(f"[bold]{escape(printable(row['path']))}[/bold]")
        console.print(table)
        for code, text in row["warnings"].items():
            console.print(
                f"[yellow]{code}[/yellow]  {WARNINGS.get(code, code)}" + (f": {escape(text)}" if text else "")
            )
        for source in one["sources"]:
            told_by = ", ".join(f"{k} {v}" for k, v in source.items() if k not in ("source", "problems") and v != "")
            console.print(f"[dim]{source['source']} says[/dim] {escape(printable(told_by)) or 'nothing'}")
        console.print()


def _lines(row: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and source of what a person wants to know."""
    sources = row["sources"]
    lines = [("state", "would be analysed", "")]
    if row["reason"]:
        lines = [("state", f"excluded, {REASONS[row['reason']]}: {row['detail']}", "")]
    elif row["readable_samples"] < row["samples"]:
        cut = row["duration_s"] * row["readable_samples"] / row["samples"]
        lines = [("state", f"would be analysed as far as it goes, {cut:.3f} of {row['duration_s']:.3f} s", "")]
    if row["samples"]:
        expanded = f", slowed down {row['time_expansion']:g} times" if row["time_expansion"] != 1 else ""
        channels = f"{row['channels']} channels" if row["channels"] > 1 else "1 channel"
        lines += [
            ("audio", f"{row['format']}, {channels}, {row['samples']} samples", ""),
            ("rate", f"{row['sample_rate_hz']:g} Hz{expanded}", sources["time_expansion"] if expanded else "header"),
            ("length", f"{row['duration_s']:.3f} s", ""),
        ]
        if row["untriggered_s"]:
            lines.append(("untriggered", f"{row['untriggered_s']:.3f} s of it, left out by the recorder's trigger", ""))
    if row.get("start_utc"):
        lines += [("start", f"{row['start_local']} (UTC {row['start_utc'][:19]}Z)", sources.get("start", ""))]
        lines += [("night", row["night"], "")]
    else:
        lines += [("start", "not known", "")]
    if row["latitude"] is not None:
        lines.append(("position", f"{row['latitude']:.5f} {row['longitude']:.5f}", sources.get("position", "")))
    units = {"temperature_c": " °C", "battery_v": " V"}
    for name in ("make", "model", "serial", "firmware", "gain", "trigger", "temperature_c", "battery_v", "stop_reason"):
        if row.get(name) not in (None, ""):
            label = name.removesuffix("_c").removesuffix("_v").replace("_", " ")
            lines.append((label, f"{row[name]}{units.get(name, '')}", sources.get(name, "")))
    return lines
