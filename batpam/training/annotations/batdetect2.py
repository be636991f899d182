"""JSON of BatDetect2 and its annotation tool: a file per recording, or a list of them in one file.

Sources: macaodha/batdetect2 (``convert_results``, ``load_anns``, ``load_audio_file``) and macaodha/batdetect2_GUI
(``create_blank_annotation_file``, ``config.py``). The recording is played at ``time_exp`` times the rate of its header
before anything is looked at, so times and frequencies are real: s and Hz in the field.

``annotated`` is set when a person has saved the file in the tool, ``issues`` where that person was unsure: every call of a
recording is annotated where the one is true and the other is not, and BatDetect2 trains on such files only. What
BatDetect2 itself has found has the same form, with ``annotated`` false. ``class_name`` stands for the file as a whole; it
is not read, for of its own results BatDetect2 writes there what it believes.
"""

from math import isnan, nan
from pathlib import Path
from typing import Any

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import Event, Recording, make_event
from batpam.training.annotations.text import json_number, read_json


def is_batdetect2(content: Any) -> bool:
    """Whether JSON has this form."""
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and isinstance(first.get("annotation"), list)


def read_batdetect2(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read annotations.

    Raises
    ------
    UserError
        The file has another form; names the place.
    """
    content = read_json(path)
    items = content if isinstance(content, list) else [content]
    events: list[Event] = []
    recordings = []
    for number, item in enumerate(items, 1):
        where = printable(path) if item is content else f"{printable(path)}: file {number}"
        if not is_batdetect2(item) or not isinstance(item, dict):
            raise UserError(f"{where}: is no annotation of BatDetect2, which has a list 'annotation'")
        name = item.get("id")
        if not isinstance(name, str) or not name.strip():
            if item is not content:
                raise UserError(f"{where}: 'id', the name of the recording, is missing; fill it in")
            name = path.name.removesuffix(".json")
        found, exists = finder.find(name, path, where)
        duration_s = json_number(item.get("duration"), "duration", where)
        expansion = json_number(item.get("time_exp"), "time_exp", where)
        recordings.append(
            Recording(
                found,
                exists,
                where,
                duration_s=duration_s if duration_s > 0 else nan,  # the tool begins with -1
                time_expansion=expansion,
                exhaustive=item.get("annotated") is True and item.get("issues") is not True,
            )
        )
        events += [
            _event(call, found, f"{where}, annotation {position}")
            for position, call in enumerate(item["annotation"], 1)
        ]
    return events, recordings


def _event(call: Any, recording: str, where: str) -> Event:
    if not isinstance(call, dict):
        raise UserError(f"{where}: is no annotation; export it again")
    start_s, end_s, low_hz, high_hz = (
        json_number(call.get(key), key, where) for key in ("start_time", "end_time", "low_freq", "high_freq")
    )
    if isnan(start_s):
        raise UserError(f"{where}: 'start_time' is missing; fill it in")
    return make_event(
        recording,
        str(call.get("class") or ""),
        where,
        start_s=start_s,
        end_s=end_s,
        low_hz=low_hz,
        high_hz=high_hz,
        call_type=str(call.get("event") or ""),
    )
