"""When a recording began: GUANO, the AudioMoth comment, the file name, in this order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePath

from batpam.survey import local_to_utc, zone

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""A clock before this was never set."""

MAX_EXPANSION = 1000.0
"""A time expansion above this is none."""

_NAME = re.compile(
    r"(?<!\d)(?P<date>\d{4}-?\d{2}-?\d{2})[T_ $-](?P<time>\d{2}[-]?\d{2}[-]?\d{2})(?P<offset>Z|[+-]\d{4})?"
    r"(?:_(?P<ms>\d{3})(?!\d))?(?!\d)"
)
_RUN_TOGETHER = re.compile(r"(?<!\d)(?P<date>\d{8})(?P<time>\d{6})(?P<offset>(?!))?(?P<ms>(?!))?(?!\d)")
_HEX_NAME = re.compile(r"[0-9A-F]{8}")
_AUDIOMOTH = re.compile(r"Recorded at (\d\d:\d\d:\d\d \d\d/\d\d/\d{4}) \(UTC(?:([+-])(\d{1,2})?(?::(\d\d))?)?\)")


@dataclass(frozen=True)
class Clock:
    """Start of a recording: UTC, the offset of local time (minutes) and where it is from."""

    start: datetime
    offset_min: float
    source: str


@dataclass(frozen=True)
class Guano:
    """What GUANO says that batpam uses so far: time stamp and time expansion."""

    timestamp: datetime | None
    time_expansion: float


def read_guano(chunk: bytes) -> Guano:
    """Read the time stamp and the time expansion of a GUANO chunk, whatever else is wrong with it."""
    fields: dict[str, str] = {}
    for line in chunk.decode("utf-8", "replace").replace("\x00", "\n").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    try:
        timestamp = datetime.fromisoformat(fields.get("Timestamp", ""))
    except ValueError:
        timestamp = None
    try:
        expansion = float(fields.get("TE", 1))
    except ValueError:
        expansion = 1.0
    return Guano(timestamp, expansion if 1 <= expansion <= MAX_EXPANSION else 1.0)


def start_of(path: PurePath, chunks: Mapping[str, bytes], guano: Guano | None, site_zone: str) -> Clock | None:
    """When a recording began, by the best source that tells.

    Parameters
    ----------
    chunks
        Text chunks of the file, see :class:`batpam.recordings.audio.AudioInfo`.
    site_zone
        Time zone of sources that name none.

    Returns
    -------
    Clock or None
        None where no source tells, or none that could be true.
    """
    candidates = (
        ("guano", guano.timestamp if guano else None),
        ("audiomoth", _audiomoth_time(chunks.get("ICMT", b""))),
        ("name", _name_time(path.stem)),
    )
    for source, when in candidates:
        if when is None:
            continue
        try:
            start = local_to_utc(when, site_zone) if when.tzinfo is None else when.astimezone(UTC)
            local = start.astimezone(zone(site_zone))
        except (OverflowError, ValueError):
            continue
        if start >= EARLIEST:
            return Clock(start, (local.utcoffset() or timedelta()).total_seconds() / 60, source)
    return None


def _audiomoth_time(comment: bytes) -> datetime | None:
    found = _AUDIOMOTH.search(comment.decode("latin-1"))
    if not found:
        return None
    text, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        return datetime.strptime(text, "%H:%M:%S %d/%m/%Y").replace(tzinfo=timezone(offset))
    except ValueError:
        return None


def _name_time(stem: str) -> datetime | None:
    """Time in a file name, with an offset only where the name has one.

    Examples
    --------
    >>> _name_time("Car340319-2015-Pass1-G2-16701_0_20150718_031633_453")
    datetime.datetime(2015, 7, 18, 3, 16, 33, 453000)
    >>> _name_time("2023-05-20 03-07-37")
    datetime.datetime(2023, 5, 20, 3, 7, 37)
    >>> _name_time("5A3C2F80").isoformat()
    '2017-12-21T22:02:40+00:00'
    """
    if _HEX_NAME.fullmatch(stem) and not stem.isdigit():
        return datetime.fromtimestamp(int(stem, 16), UTC)
    matches = (found for pattern in (_NAME, _RUN_TOGETHER) for found in pattern.finditer(stem))
    return next((when for when in map(_time_of, matches) if when), None)


def _time_of(found: re.Match[str]) -> datetime | None:
    digits = re.sub(r"\D", "", found["date"]) + re.sub(r"\D", "", found["time"])
    try:
        when = datetime.strptime(digits, "%Y%m%d%H%M%S")
        if found["offset"]:
            when = when.replace(tzinfo=datetime.strptime(found["offset"], "%z").tzinfo)
    except ValueError:
        return None
    return when + timedelta(milliseconds=int(found["ms"] or 0))
