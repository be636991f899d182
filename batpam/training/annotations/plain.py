"""Plain tables: a recording and a label in each line, with times and frequencies where they are known.

Columns, of which only the first two are needed: ``file``, ``label``, ``start_s``, ``end_s``, ``low_hz``, ``high_hz``, ``call_type``,
``split`` (train or test), ``exhaustive`` (yes or no: every event of the recording is in the table), ``duration_s`` and
``time_expansion`` of the recording, ``channel`` (from 1), ``extent``, ``clock``, ``taxon`` (in place of the label where both are
there). Other usual names of columns are known; see :data:`NAMES`. A duration is that of the stretch in a table with a
start and no end. A line without label and times only says that the recording was looked at.
"""

from math import isnan, nan
from pathlib import Path

from batpam.errors import UserError
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import CLOCKS, Event, Recording, make_event, shown
from batpam.training.annotations.text import column, in_hertz, need, number, read_table

NAMES = {
    "file": (
        "file", "filename", "file name", "path", "filepath", "file path", "recording", "wav", "audio", "audio file",
        "audio filename", "sound file", "soundfile", "recording file name", "original file name", "recording name", "in file",
        "begin file", "fichier",
    ),
    "label": (
        "label", "species", "class", "annotation", "taxon", "scientific name", "scientificname", "species code", "code", "name",
        "common name", "english name", "sp", "manual id", "espece", "tag", "category",
    ),
    "start": ("start s", "start", "start time", "start time s", "start (s)", "start time (s)", "begin", "begin time",
              "begin time (s)", "begin s", "onset", "onset s", "start sec", "start seconds", "starttime", "t start", "tmin"),
    "end": ("end s", "end", "end time", "end time s", "end (s)", "end time (s)", "stop", "stop time", "offset", "offset s",
            "end sec", "end seconds", "endtime", "t end", "tmax"),
    "low": ("low hz", "low freq", "low frequency", "low freq (hz)", "lowfreq", "freq low", "min freq", "min frequency",
            "low khz", "low freq (khz)", "fmin hz", "fmin khz", "low f", "f low"),
    "high": ("high hz", "high freq", "high frequency", "high freq (hz)", "highfreq", "freq high", "max freq", "max frequency",
             "high khz", "high freq (khz)", "fmax hz", "fmax khz", "high f", "f high"),
    "call_type": ("call type", "calltype", "type", "event", "event type", "behaviour", "behavior"),
    "split": ("split", "set", "subset", "partition"),
    "exhaustive": ("exhaustive", "annotated", "complete"),
    "duration": ("duration s", "duration", "recording duration", "file duration", "length s", "length", "dur"),
    "time_expansion": ("time expansion", "time exp", "expansion"),
    "channel": ("channel",),
    "extent": ("extent",),
    "clock": ("clock",),
}  # fmt: skip
"""Names of each column, the first of them counts."""

YES, NO = ("yes", "true", "y", "t", "1", "1.0"), ("no", "false", "n", "f", "0", "0.0")
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "evaluation": "test",
    "eval": "test",
}


def is_plain(columns: list[str]) -> bool:
    """Whether a table names recordings and labels."""
    return bool(column(columns, NAMES["file"]) and column(columns, NAMES["label"]))


def read_plain(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read a table.

    Raises
    ------
    UserError
        The recording or the label has no column, or a value cannot be; names file and line.
    """
    table = read_table(path)
    need(table, NAMES["file"], "the recording")
    need(table, NAMES["label"], "the label")
    columns = {what: column(table.columns, names) for what, names in NAMES.items()}
    taxon = column(table.columns, ("taxon",))
    events: list[Event] = []
    recordings: list[Recording] = []
    said: set[tuple[object, ...]] = set()
    for line, row in table.rows:
        where = table.where(line)
        values = {what: row[name] if name else "" for what, name in columns.items()}
        found, exists = finder.find(values["file"], path, where)
        start_s, end_s = number(values["start"], "start", where), number(values["end"], "end", where)
        duration_s = number(values["duration"], "duration", where)
        if columns["start"] and not columns["end"]:
            end_s, duration_s = start_s + duration_s, nan
        elif duration_s < end_s:
            duration_s = nan  # that of the stretch, again
        recording = _recording(found, exists, values, duration_s, where)
        label = values["label"]
        if label or not isnan(start_s) or not isnan(end_s):
            events.append(
                make_event(
                    found,
                    label,
                    where,
                    start_s=start_s,
                    end_s=end_s,
                    low_hz=_hertz(columns["low"], values["low"], where),
                    high_hz=_hertz(columns["high"], values["high"], where),
                    call_type=values["call_type"],
                    extent=values["extent"],
                    split=recording.split,
                    taxon=row[taxon] if taxon and taxon != columns["label"] else "",
                )
            )
        facts = (
            found, str(recording.duration_s), str(recording.time_expansion), recording.channel, recording.exhaustive,
            recording.split, recording.clock,
        )  # fmt: skip
        if facts not in said:
            said.add(facts)
            recordings.append(recording)
    return events, recordings


def _hertz(name: str, text: str, where: str) -> float:
    return number(text, name, where) * in_hertz(name) if name else nan


def _recording(found: str, exists: bool, values: dict[str, str], duration_s: float, where: str) -> Recording:
    channel = number(values["channel"], "channel", where)
    if not isnan(channel) and (channel < 1 or channel != int(channel)):
        raise UserError(f"{where}: channel {shown(values['channel'])} is not a whole number from 1; correct it")
    exhaustive = values["exhaustive"].casefold()
    if exhaustive not in ("", *YES, *NO):
        raise UserError(f"{where}: exhaustive {shown(exhaustive)} is neither yes nor no; correct it")
    split = values["split"].casefold()
    if split and split not in SPLITS:
        raise UserError(f"{where}: split {shown(split)} is neither train nor test; correct it or leave it empty")
    clock = values["clock"] or "real"
    if clock not in CLOCKS:
        raise UserError(f"{where}: clock {shown(clock)} is neither real nor header; leave it empty for real time")
    return Recording(
        found,
        exists,
        where,
        duration_s=duration_s,
        time_expansion=number(values["time_expansion"], "time expansion", where),
        channel=None if isnan(channel) else int(channel) - 1,
        exhaustive=exhaustive in YES if exhaustive else None,
        split=SPLITS.get(split, ""),
        clock=clock,
    )
