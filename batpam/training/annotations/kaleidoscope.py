"""Results of Kaleidoscope (Wildlife Acoustics): ``id.csv``, ``meta.csv`` and cluster tables, by the names of columns.

Source: user guide of Kaleidoscope Pro 5, section on .csv files; which columns there are is the user's choice. ``MANUAL ID`` goes
before ``AUTO ID``. A line stands for a recording, or for a part of it where Kaleidoscope was told to split: the species is
somewhere in it, so the label is that of a file. ``NoID`` means sound that was given no species: it stands for nothing.
"""

import re
from math import isnan, nan
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import Event, Recording, make_event, shown
from batpam.training.annotations.text import column, need, number, plain_name, read_table

AUTO, MANUAL = ("AUTO ID", "AUTOID"), ("MANUAL ID", "MANUALID")

_SEVERAL = re.compile(r"[,;/+&|]")


def is_kaleidoscope(columns: list[str]) -> bool:
    """Whether a table has these columns."""
    names = {plain_name(name) for name in columns}
    return "in file" in names and bool(names & {"auto id", "manual id", "autoid", "manualid"})


def read_kaleidoscope(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read a table; a manual label that names several species gives one each.

    Raises
    ------
    UserError
        A column is missing, or a value cannot be.
    """
    table = read_table(path)
    name = need(table, ("IN FILE",), "the recording")
    auto, manual = column(table.columns, AUTO), column(table.columns, MANUAL)
    if not auto and not manual:
        need(table, (*MANUAL, *AUTO), "the species")
    folder, offset = column(table.columns, ("FOLDER",)), column(table.columns, ("OFFSET",))
    duration, channel = column(table.columns, ("DURATION",)), column(table.columns, ("CHANNEL",))
    events: list[Event] = []
    recordings: dict[str, Recording] = {}
    for line, row in table.rows:
        where = table.where(line)
        inside = f"{row[folder]}/{row[name]}" if folder and row[folder] and row[name] else row[name]
        found, exists = finder.find(inside, path, where)
        side = number(row[channel], "CHANNEL", where) if channel else nan
        if side < 0 or (not isnan(side) and side != int(side)):
            raise UserError(f"{where}: CHANNEL {shown(row[channel])} is not a whole number from 0; correct it")
        recording = Recording(found, exists, where, channel=None if isnan(side) else int(side))
        if recordings.setdefault(found, recording).channel != recording.channel:
            raise UserError(
                f"{printable(path)}: labels of {printable(found)} lie in several channels; keep those of one channel"
            )
        start_s = number(row[offset], "OFFSET", where) if offset else nan
        length_s = number(row[duration], "DURATION", where) if duration else nan
        for label in _species(row[manual] if manual else "", row[auto] if auto else ""):
            events.append(
                make_event(
                    found,
                    label,
                    where,
                    start_s=start_s,
                    end_s=start_s + length_s if length_s > 0 else nan,
                    extent="file",
                )
            )
    return events, list(recordings.values())


def _species(manual: str, auto: str) -> list[str]:
    """Species of a line: what a person said, else what Kaleidoscope did.

    Examples
    --------
    >>> _species("PIPPIP, NYCNOC", "NoID"), _species("", "MYODAU"), _species("", "")
    (['PIPPIP', 'NYCNOC'], ['MYODAU'], [])
    """
    parts = [part.strip() for part in _SEVERAL.split(manual)] if manual.strip() else [auto.strip()]
    return list(dict.fromkeys(filter(None, parts)))
