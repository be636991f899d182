"""Selection tables of Raven (Cornell Lab): tabs, one line per selection and view.

Sources: documentation of the R package Rraven (``imp_raven``), which keeps the views of spectrograms only, and programs in
public repositories that write and read such tables. A selection stands there once for each view (``Waveform 1``,
``Spectrogram 1``), always with the same number. ``Begin Time (s)`` counts over all files that were opened together, ``File
Offset (s)`` from the start of ``Begin File``. Raven is taken to know no time expansion: its times are those of the file as
it plays.
"""

from collections import Counter
from math import isnan
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import Event, Recording, make_event, shown
from batpam.training.annotations.text import (
    Table,
    column,
    delimiter_of,
    head,
    in_hertz,
    need,
    number,
    plain_name,
    read_table,
)

BEGIN = ("Begin Time (s)", "Begin Time")
END = ("End Time (s)", "End Time")
LABELS = (
    "Annotation",
    "Species",
    "Label",
    "Species Code",
    "Common Name",
    "Scientific Name",
    "Class",
    "Tag",
    "Tags",
    "ID",
)
CALL_TYPES = ("Call Type", "Type", "Event")
ENDINGS = (".selections.txt", ".selections.tsv", ".raven.txt")


def is_raven(path: Path) -> bool:
    """Whether a file is a selection table, by its name or its first line."""
    text = head(path).lstrip("\ufeff\r\n")
    first = text.splitlines()[0] if text.strip() else ""
    names = [plain_name(name) for name in first.split("\t")]
    return path.name.lower().endswith(ENDINGS) or ("begin time (s)" in names and "selection" in names)


def read_raven(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read a selection table.

    Raises
    ------
    UserError
        A column is missing, a time cannot be, or a recording has labels in several channels.
    """
    table = read_table(path, "\t" if "\t" in head(path) else delimiter_of(head(path)))
    begin, end = need(table, BEGIN, "the start"), need(table, END, "the end")
    label = need(table, LABELS, "the label")
    file, offset = column(table.columns, ("Begin File", "Begin Path")), column(table.columns, ("File Offset (s)",))
    low, high = (
        column(table.columns, ("Low Freq (Hz)", "Low Freq")),
        column(table.columns, ("High Freq (Hz)", "High Freq")),
    )
    call_type = column([name for name in table.columns if name != label], CALL_TYPES)
    channel = column(table.columns, ("Channel",))
    several = len({row[file] for _, row in table.rows}) > 1 if file else False
    if several and not offset:
        raise UserError(
            f"{printable(path)}: of several recordings, without a column 'File Offset (s)'; add that measurement in Raven "
            "and save the table again"
        )
    events: list[Event] = []
    recordings: dict[str, Recording] = {}
    channels: dict[str, Counter[int]] = {}
    if not file:
        found, exists = finder.find(_own_recording(path), path, printable(path))
        recordings[found] = Recording(found, exists, printable(path), clock="header")
    view = column(table.columns, ("View",))
    for line, row in _one_view(table, [begin, end, *filter(None, [file, offset])]):
        where = table.where(line)
        if file:
            found, exists = finder.find(row[file] or _own_recording(path), path, where)
            recordings.setdefault(found, Recording(found, exists, where, clock="header"))
        start_s, end_s = number(row[begin], begin, where), number(row[end], end, where)
        if isnan(start_s) or isnan(end_s):
            raise UserError(
                f"{where}: {begin} {shown(row[begin])} and {end} {shown(row[end])} are no stretch; correct them"
            )
        in_file_s = number(row[offset], offset, where) if offset else start_s
        if not isnan(in_file_s):
            start_s, end_s = in_file_s, in_file_s + (end_s - start_s)
        seen = not (view and row[view].casefold().startswith("waveform"))  # which has no frequencies of its own
        channels.setdefault(found, Counter())[_channel(row[channel] if channel else "", where)] += 1
        events.append(
            make_event(
                found,
                row[label],
                where,
                start_s=start_s,
                end_s=end_s,
                low_hz=number(row[low], low, where) * in_hertz(low) if low and seen else float("nan"),
                high_hz=number(row[high], high, where) * in_hertz(high) if high and seen else float("nan"),
                call_type=row[call_type] if call_type else "",
            )
        )
    for found, counted in channels.items():
        if len(counted) > 1:
            raise UserError(
                f"{printable(path)}: selections of {printable(found)} lie in several channels "
                f"({', '.join(str(side + 1) for side in sorted(counted))}); keep those of one channel"
            )
        old = recordings[found]
        recordings[found] = Recording(found, old.exists, old.where, channel=next(iter(counted)), clock="header")
    return events, list(recordings.values())


def _one_view(table: Table, same: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Each selection once: of the views, a spectrogram rather than a waveform."""
    view = column(table.columns, ("View",))
    if not view:
        return table.rows
    told = [*filter(None, [column(table.columns, ("Selection",)), column(table.columns, ("Channel",))]), *same]
    kept: dict[tuple[str, ...], tuple[int, dict[str, str]]] = {}
    for line, row in table.rows:
        key = tuple(row[name] for name in told)
        if key not in kept or (_is_spectrogram(row[view]) and not _is_spectrogram(kept[key][1][view])):
            kept[key] = (line, row)
    return sorted(kept.values(), key=lambda numbered: numbered[0])


def _is_spectrogram(view: str) -> bool:
    return view.casefold().startswith("spectrogram")


def _channel(text: str, where: str) -> int:
    value = number(text, "Channel", where)
    if isnan(value):
        return 0
    if value < 1 or value != int(value):
        raise UserError(f"{where}: channel {shown(text)} is not a whole number from 1; correct it")
    return int(value) - 1


def _own_recording(path: Path) -> str:
    """Name of the recording of a table that does not name any: ``a.Table.1.selections.txt`` belongs to ``a``.

    Examples
    --------
    >>> _own_recording(Path("night/a.Table.1.selections.txt")), _own_recording(Path("b.wav.txt"))
    ('a', 'b.wav')
    """
    name = path.name
    for ending in (*ENDINGS, ".txt", ".tsv", ".csv"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    stem, table, number_of = name.rpartition(".Table.")
    return stem if table and number_of.isdigit() else name
