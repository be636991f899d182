"""What the name of a file says: when the recording began, and with some recorders by which and where.

A name without an offset gives the time of the recorder's clock. Sources of the patterns: manuals of the recorders,
AudioMoth firmware 1.0 to 1.11 and AudioMoth-Utils.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from batpam.recordings.facts import Facts

TRIGGERED = "T.WAV"
"""What :class:`Facts` gives as the trigger of a recording that an AudioMoth has named ``...T.WAV``."""

HEX_FROM, HEX_TO = datetime(2014, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""A hexadecimal name outside is no time: there were no AudioMoths before."""

MAX_OFFSET_MIN = 14 * 60
"""No clock on Earth is further from UTC."""

_TIMES = (
    # a blank is Anabat's, $ stands for _ in an SM3 whose clock GPS has set, six digits of a fraction are SMART's
    re.compile(
        r"(?<![0-9])(?P<date>[0-9]{4}-?[0-9]{2}-?[0-9]{2})[T_ $-](?P<time>[0-9]{2}-?[0-9]{2}-?[0-9]{2})"
        r"(?P<offset>Z|[+-][0-9]{4})?(?:_(?P<fraction>[0-9]{3}|[0-9]{6})(?![0-9]))?(?![0-9])"
    ),
    re.compile(r"(?<![0-9])(?P<date>[0-9]{8})(?P<time>[0-9]{6})(?P<offset>(?!))?(?P<fraction>(?!))?(?![0-9])"),
)
_ENDING = re.compile(r"[A-Za-z][A-Za-z0-9]{0,4}")
_HEX = re.compile(r"[0-9A-F]{8}")
_EIGHT_DIGITS = re.compile(r"[0-9]{8}")
_AUDIOMOTH_ID = re.compile(r"(?:^|_)([0-9A-F]{16})_(?=[0-9]{8}_[0-9]{6})")
_TIME_OF_DAY = re.compile(r"([0-9]{6})T?")
_POSITIONS = (
    re.compile(r"(?:^|_)(-?[0-9]{1,2}~[0-9]{1,9})\+(-?[0-9]{1,3}~[0-9]{1,9})_"),  # BTO Acoustic Pipeline
    re.compile(r"[\[_](-?[0-9]{1,2}\.[0-9]{1,9}) (-?[0-9]{1,3}\.[0-9]{1,9})[\]_]"),  # Frontier Labs; _ for brackets
)


def read_name(name: str, folder: str = "") -> Facts | None:
    """Read what a file name tells.

    Parameters
    ----------
    name
        Of the file, with its ending.
    folder
        In which it lies; an AudioMoth may name it by the day and the file by the time of day alone.

    Returns
    -------
    Facts or None
        None where the name tells nothing. ``start`` has an offset only where the name has one, or is the
        hexadecimal UTC of the first AudioMoths. ``serial`` of an AudioMoth is that of the recorder or, if it was
        given one by the acoustic chime, the deployment's: the name does not tell which.

    Examples
    --------
    >>> read_name("Car340319-2015-Pass1-G2-16701_0_20150718_031633_453.wav").start
    datetime.datetime(2015, 7, 18, 3, 16, 33, 453000)
    >>> read_name("5A3C2F80.WAV").start.isoformat()
    '2017-12-21T22:02:40+00:00'
    >>> read_name("12340001.wav").serial
    '1234'
    """
    stem, ending = _split(name)
    start = _hex_time(stem, ending) or _time_in(stem) or _time_by_folder(stem, ending, folder)
    problems: list[str] = []
    latitude, longitude = _position(stem, problems)
    facts = Facts(
        "name",
        start=start,
        latitude=latitude,
        longitude=longitude,
        serial=_serial(stem, ending, start),
        trigger=TRIGGERED if start and re.search(r"[0-9]{6}T$", stem) else None,
        problems=tuple(problems),
    )
    return None if facts == Facts("name") else facts


def _split(name: str) -> tuple[str, str]:
    """Stem and ending; a position in brackets has a dot too."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if dot and _ENDING.fullmatch(ending) else (name, "")


def _hex_time(stem: str, ending: str) -> datetime | None:
    """Time of an AudioMoth before firmware 1.2.0: Unix time in hexadecimal."""
    if not _HEX.fullmatch(stem):
        return None
    # without a letter it may be a Batlogger's number, whose ending is small; a date would be a time before HEX_FROM
    if stem.isdigit() and ending != ".WAV":
        return None
    when = datetime.fromtimestamp(int(stem, 16), UTC)
    return when if HEX_FROM <= when < HEX_TO else None


def _is_date(digits: str) -> bool:
    when = _parse(digits, "000000")
    return when is not None and 2000 <= when.year <= 2100


def _time_in(stem: str) -> datetime | None:
    """First time in a stem that can be one."""
    matches = (found for pattern in _TIMES for found in pattern.finditer(stem))
    return next((when for when in map(_time_of, matches) if when), None)


def _time_of(found: re.Match[str]) -> datetime | None:
    when = _parse(found["date"].replace("-", ""), found["time"].replace("-", ""))
    if when is None:
        return None
    when += timedelta(microseconds=int((found["fraction"] or "0").ljust(6, "0")))
    return when.replace(tzinfo=_offset(found["offset"] or ""))


def _parse(date: str, time: str) -> datetime | None:
    try:
        return datetime.strptime(date + time, "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _offset(text: str) -> timezone | None:
    """Offset as in ``Z`` or ``-0330``; None where it is none, as ``-0001``, which is a counter."""
    if not text:
        return None
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if minutes > MAX_OFFSET_MIN or minutes % 15:
        return None
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _time_by_folder(stem: str, ending: str, folder: str) -> datetime | None:
    day = re.split(r"[/\\]", folder.rstrip("/\\"))[-1]
    found = _TIME_OF_DAY.fullmatch(stem)
    if not found or ending != ".WAV" or not _EIGHT_DIGITS.fullmatch(day):
        return None
    return _parse(day, found[1])


def _serial(stem: str, ending: str, start: datetime | None) -> str | None:
    found = _AUDIOMOTH_ID.search(stem)
    if found:
        return found[1]
    # Batlogger: four digits of the device, four of a counter
    if start is None and ending == ".wav" and _EIGHT_DIGITS.fullmatch(stem) and not _is_date(stem):
        return stem[:4]
    return None


def _position(stem: str, problems: list[str]) -> tuple[float | None, float | None]:
    """Latitude and longitude, degrees."""
    found = next((found for pattern in _POSITIONS if (found := pattern.search(stem))), None)
    if not found:
        return None, None
    latitude, longitude = (float(text.replace("~", ".")) for text in found.groups())
    if abs(latitude) > 90 or abs(longitude) > 180:
        problems.append(f"no such position: {latitude} {longitude}")
        return None, None
    return latitude, longitude
