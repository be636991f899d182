"""Reading annotations of others, whatever program wrote them."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path

import pandas as pd

from batpam.errors import UserError, printable
from batpam.models.files import Taxon
from batpam.training.annotations.aoef import is_aoef, read_aoef
from batpam.training.annotations.audacity import is_audacity, read_audacity
from batpam.training.annotations.batdetect2 import is_batdetect2, read_batdetect2
from batpam.training.annotations.folders import is_folders, read_folders
from batpam.training.annotations.kaleidoscope import is_kaleidoscope, read_kaleidoscope
from batpam.training.annotations.locate import Finder, files_in
from batpam.training.annotations.names import (
    INSECT,
    NOISE,
    call_type_of,
    is_ignored,
    nearest_label,
    resolve_label,
    split_label,
)
from batpam.training.annotations.plain import is_plain, read_plain
from batpam.training.annotations.positions import BATML_CLASSES, is_positions, read_positions
from batpam.training.annotations.raven import is_raven, read_raven
from batpam.training.annotations.rows import Event, Recording
from batpam.training.annotations.tadarida import ENDINGS, is_vigie_chiro, read_tadarida, read_vigie_chiro
from batpam.training.annotations.text import delimiter_of, head, read_json

Reader = Callable[[Path, Finder], tuple[list[Event], list[Recording]]]

READERS: Mapping[str, Reader] = {
    "raven": read_raven,
    "audacity": read_audacity,
    "batdetect2": read_batdetect2,
    "aoef": read_aoef,
    "kaleidoscope": read_kaleidoscope,
    "tadarida": read_tadarida,
    "vigie-chiro": read_vigie_chiro,
    "positions": read_positions,
    "csv": read_plain,
    "folders": lambda path, _: read_folders(path),
}
FORMATS = (*READERS, "auto")

_FILES = {
    "raven": (".txt", ".tsv"),
    "audacity": (".txt", ".labels"),
    "batdetect2": (".json",),
    "aoef": (".json", ".aoef"),
    "kaleidoscope": (".csv",),
    "vigie-chiro": (".csv",),
    "positions": (".npz",),
    "csv": (".csv", ".tsv"),
}
"""Files of a format that lie in a folder."""

LONGER_S = 0.1
"""By so much a recording may be longer than its annotations say, s."""

MAX_GUESSES = 200
"""Labels for which the nearest known one is looked for."""

EVENT_COLUMNS = {
    "recording": str, "start_s": float, "end_s": float, "low_hz": float, "high_hz": float, "label": str, "taxon": str,
    "call_type": str, "extent": str, "split": str, "where": str,
}  # fmt: skip
RECORDING_COLUMNS = {
    "recording": str, "duration_s": float, "time_expansion": float, "channel": int, "exhaustive": bool, "split": str,
    "exists": bool, "clock": str,
}  # fmt: skip
UNKNOWN_COLUMNS = {"label": str, "count": int, "where": str, "nearest": str}


@dataclass(frozen=True)
class Annotations:
    """What people said of recordings.

    Attributes
    ----------
    events
        One row per labelled stretch: ``recording`` (path), ``start_s``, ``end_s`` (s, NaN where not told), ``low_hz``, ``high_hz``
        (Hz, NaN where not told), ``label`` (text as written), ``taxon`` (species, group, family, "Chiroptera", "insect" or
        "noise"; "" where the label fits nothing), ``call_type`` ("echolocation", "buzz", "social", "echo" or "", of bats only),
        ``extent`` ("event"; "position": start known, end not; "file": somewhere in the recording, or between start and
        end where they are told), ``split`` ("", "train", "test"), ``where`` (file and line, or item).
    recordings
        One row per annotated recording: ``recording``, ``duration_s`` (s, NaN where not told), ``time_expansion`` (NaN where not
        told), ``channel`` (from 0), ``exhaustive`` (every event of it is annotated), ``split``, ``exists``, ``clock`` ("real": times,
        duration and frequencies are real; "header": as the file plays at the rate of its header, so that with a time
        expansion times are longer and frequencies lower).
    unknown
        One row per label that fits nothing: ``label``, ``count``, ``where`` (the first), ``nearest`` (known label, or "").
    """

    events: pd.DataFrame
    recordings: pd.DataFrame
    unknown: pd.DataFrame


def in_real_time(annotations: Annotations, time_expansion: float = 1.0) -> Annotations:
    """Annotations with the time expansion of their recordings undone, and told of each of them.

    Parameters
    ----------
    time_expansion
        Of the recordings of which the annotations do not tell it.
    """
    recordings = annotations.recordings
    expanded = recordings["time_expansion"].fillna(time_expansion)
    slowed = expanded.where(recordings["clock"] == "header", 1.0)
    factor = annotations.events["recording"].map(dict(zip(recordings["recording"], slowed, strict=True))).fillna(1.0)
    events = annotations.events.assign(
        **{name: annotations.events[name] / factor for name in ("start_s", "end_s")},
        **{name: annotations.events[name] * factor for name in ("low_hz", "high_hz")},
    )
    recordings = recordings.assign(time_expansion=expanded, duration_s=recordings["duration_s"] / slowed, clock="real")
    return replace(annotations, events=events, recordings=recordings)


def exhaustive_as_far(annotations: Annotations, lasted: pd.Series) -> Annotations:
    """Annotations that take no recording for exhaustively annotated that is longer than they say; those are named.

    Parameters
    ----------
    annotations
        In real time.
    lasted
        How long each of the recordings is, s; missing where nobody knows.
    """
    recordings = annotations.recordings
    longer = recordings["exhaustive"] & (lasted > recordings["duration_s"] + LONGER_S)
    for row in recordings.assign(lasted=lasted)[longer].itertuples():
        print(
            f"{printable(row.recording)}: is {row.lasted:.2f} s long, {row.duration_s:.2f} s by its annotations; "
            "what else it holds is taken for not annotated",
            file=sys.stderr,
        )
    return replace(annotations, recordings=recordings.assign(exhaustive=recordings["exhaustive"] & ~longer))


def read_annotations(
    path: Path,
    taxa: Sequence[Taxon],
    *,
    recordings: Path | None = None,
    format: str = "auto",
    names: Mapping[str, str] | None = None,
) -> Annotations:
    """Read annotations.

    Parameters
    ----------
    path
        File, or folder with files of one format or a folder for each species.
    taxa
        Species of the model.
    recordings
        Folder with the recordings, at any depth; beside the annotations when None.
    format
        One of :data:`FORMATS`.
    names
        The user's own: label and what it stands for.

    Raises
    ------
    UserError
        What it is cannot be told, or something in it is wrong; names file and line, or item.
    """
    if format not in FORMATS:
        raise UserError(f"--format: {format!r} is none of {', '.join(FORMATS)}")
    if not path.exists():
        raise UserError(f"{printable(path)}: does not exist")
    finder = Finder(recordings)
    events: list[Event] = []
    looked_at: list[Recording] = []
    for form, file in _files(path, format):
        more = READERS[form](file, finder)
        events += more[0]
        looked_at += more[1]
    merged = _merged(looked_at)
    rows, unknown = _named(events, merged, taxa, names, numbered=path.suffix.lower() == ".npz" or format == "positions")
    return Annotations(
        _frame(rows, EVENT_COLUMNS),
        _frame([_recording_row(recording) for recording in merged.values()], RECORDING_COLUMNS),
        _frame(unknown, UNKNOWN_COLUMNS),
    )


def _files(path: Path, format: str) -> list[tuple[str, Path]]:
    """Files to be read, and the format of each."""
    if format == "folders" and not path.is_dir():
        raise UserError(f"{printable(path)}: is no folder; 'folders' reads one with a folder for each species")
    if format in ("folders", "tadarida") or (format != "auto" and not path.is_dir()):
        return [(format, path)]
    if not path.is_dir():
        found = recognise(path)
        if found is None:
            raise UserError(
                f"{printable(path)}: no known annotations (tried {', '.join(READERS)}); name the format with --format"
            )
        return [(found, path)]
    if format != "auto":
        files = [(format, file) for file in files_in(path, _FILES[format])]
        if not files:
            raise UserError(
                f"{printable(path)}: no files {' or '.join(_FILES[format])} in it; name another format or folder"
            )
        return files
    if files_in(path, ENDINGS[:1]) or files_in(path, ENDINGS[2:]):
        return [("tadarida", path)]
    endings = tuple(dict.fromkeys(ending for ending in (end for ends in _FILES.values() for end in ends)))
    # recorders leave texts and tables beside recordings; what is no annotation by its look is none
    recognised = [(form, file) for form, file in ((recognise(file), file) for file in files_in(path, endings)) if form]
    forms = sorted({form for form, _ in recognised})
    if len(forms) > 1:
        raise UserError(
            f"{printable(path)}: annotations of several formats ({', '.join(forms)}); name one with --format"
        )
    if recognised:
        return recognised
    if is_folders(path):
        return [("folders", path)]
    raise UserError(
        f"{printable(path)}: no known annotations in it (tried {', '.join(READERS)}); name the format with --format"
    )


def recognise(path: Path) -> str | None:
    """Tell the format of a file by its name and beginning; None where it is none."""
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return "tadarida"
    if ending == ".npz":
        return "positions" if is_positions(path) else None
    text = head(path)
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and ending in (".json", ".aoef", ""):
        content = read_json(path)
        return "aoef" if is_aoef(content) else "batdetect2" if is_batdetect2(content) else None
    if is_raven(path):
        return "raven"
    first = next((line for line in text.lstrip("\ufeff").splitlines() if line.strip()), "")
    columns = [name.strip(' "\t') for name in first.split(delimiter_of(first))]
    if is_kaleidoscope(columns):
        return "kaleidoscope"
    if is_vigie_chiro(columns):
        return "vigie-chiro"
    if is_plain(columns):
        return "csv"
    return "audacity" if is_audacity(path) else None


def _merged(looked_at: Iterable[Recording]) -> dict[str, Recording]:
    """One row per recording, of what several lines and files say of it."""
    merged: dict[str, Recording] = {}
    for one in looked_at:
        old = merged.setdefault(one.recording, one)
        if old is one:
            continue
        for name, first, second in (
            ("time expansion", old.time_expansion, one.time_expansion),
            ("channel", old.channel, one.channel),
            ("split", old.split, one.split),
            ("clock", old.clock, one.clock),
        ):
            if _told(first) and _told(second) and first != second:
                raise UserError(
                    f"{one.where}: {name} of {printable(one.recording)} is {second}, but {first} at {old.where}; make them one"
                )
        merged[one.recording] = replace(
            old,
            duration_s=one.duration_s if isnan(old.duration_s) else old.duration_s,
            time_expansion=one.time_expansion if isnan(old.time_expansion) else old.time_expansion,
            channel=one.channel if old.channel is None else old.channel,
            split=old.split or one.split,
            exhaustive=one.exhaustive if old.exhaustive is None else old.exhaustive and one.exhaustive is not False,
        )
    return merged


def _told(value: object) -> bool:
    return value not in (None, "") and value == value


def _named(
    events: Iterable[Event],
    recordings: Mapping[str, Recording],
    taxa: Sequence[Taxon],
    names: Mapping[str, str] | None,
    *,
    numbered: bool,
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Rows of events with their taxa, and of the labels that fit nothing."""
    meanings: dict[str, list[tuple[str, str]]] = {}
    types: dict[str, str] = {}
    rows: list[tuple[object, ...]] = []
    unknown: dict[str, list[object]] = {}
    for event in events:
        said = event.taxon or event.label
        if said not in meanings:
            parts = split_label(said, taxa, names)
            meanings[said] = [(part, resolve_label(part, taxa, names)) for part in parts]
        for text in (event.call_type, event.label):
            if text not in types:
                types[text] = call_type_of(text)
        # a label is parted only where the file does not say itself for what the whole stands
        for part, taxon in meanings[said]:
            label = event.label if event.taxon else part
            call_type = types[event.call_type] or types[event.label] if taxon not in (INSECT, NOISE) else ""
            split = event.split or recordings[event.recording].split
            rows.append(
                (
                    event.recording, event.start_s, event.end_s, event.low_hz, event.high_hz, label, taxon, call_type,
                    event.extent, split, event.where,
                )
            )  # fmt: skip
            if not taxon and not is_ignored(label, names):
                entry = unknown.setdefault(label, [0, event.where])
                entry[0] = int(str(entry[0])) + 1
    guesses = []
    for number, (label, (count, where)) in enumerate(unknown.items()):
        nearest = nearest_label(label, taxa) if number < MAX_GUESSES else ""
        if numbered and label.isdecimal() and len(label) == 1 and int(label) < len(BATML_CLASSES):
            nearest = BATML_CLASSES[int(label)]
        guesses.append((label, count, where, nearest))
    return rows, sorted(guesses, key=lambda guess: -int(str(guess[1])))


def _recording_row(recording: Recording) -> tuple[object, ...]:
    return (
        recording.recording,
        recording.duration_s,
        recording.time_expansion,
        recording.channel or 0,
        bool(recording.exhaustive),
        recording.split,
        recording.exists,
        recording.clock,
    )


def _frame(rows: Sequence[tuple[object, ...]], columns: Mapping[str, type]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype({name: object if kind is str else kind for name, kind in columns.items()})
