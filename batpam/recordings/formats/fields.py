"""Numbers, times and positions as recorders write them into text: what cannot be understood is told, never raised."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone

MAX_PROBLEMS = 5
"""Problems that are told of one source."""

PROBLEM_LENGTH = 99
"""Longest problem, characters."""

MAX_VALUE = 80
"""A number, time or position in more characters is none."""

YEARS = range(1970, 2101)
"""Years that a clock may show; whether it was ever set, :mod:`batpam.recordings.metadata` decides."""

RATES_HZ = (1000.0, 10_000_000.0)
EXPANSIONS = (1.0, 1000.0)
TEMPERATURES_C = (-100.0, 150.0)
VOLTAGES = (0.0, 100.0)
DURATIONS_S = (0.0, 10_000_000.0)

HERTZ: Mapping[str, float] = {"": 1, "hz": 1, "khz": 1000}
SECONDS: Mapping[str, float] = {"": 1, "s": 1, "sec": 1, "ms": 0.001}
CELSIUS: Mapping[str, float] = {"": 1, "c": 1}
VOLTS: Mapping[str, float] = {"": 1, "v": 1, "mv": 0.001}
NO_UNIT: Mapping[str, float] = {"": 1}

Position = tuple[float | None, float | None]
NOWHERE: Position = (None, None)

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T ]([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
    r" ?(?:(Z|z|UTC)|([+-])(?:([0-9]{1,2}):([0-9]{2})|([0-9]{2})([0-9]{2})?))?"
)
_FARTHEST = timedelta(hours=14)
"""No clock on Earth is farther from UTC."""


def clean(text: str) -> str:
    """Text without control characters, blanks run together where there were any."""
    if text.isprintable():
        return text.strip()
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def words(text: str | None, longest: int = 100) -> str | None:
    """Clean text, cut to a length; None where there is none."""
    return (clean(text)[:longest].strip() or None) if text else None


def note(problems: list[str], problem: str, text: str = "") -> None:
    """Add a problem, with the text that it is about, unless enough have been told."""
    if len(problems) < MAX_PROBLEMS:
        problems.append((f"{problem}: {clean(text[:200])[:40]!r}" if text else problem)[:PROBLEM_LENGTH])


def number(
    text: str | None, what: str, limits: tuple[float, float], problems: list[str], units: Mapping[str, float] = NO_UNIT
) -> float | None:
    """Read a number, with its unit where it has one.

    Parameters
    ----------
    text
        As in ``12.3C`` or ``312500 Hz``.
    what
        Names it in a problem.
    limits
        Least and greatest value that can be true.
    units
        Factor by unit, in lower case; the empty unit stands for none.

    Examples
    --------
    >>> number("312.5 kHz", "Samplerate", RATES_HZ, [], HERTZ)
    312500.0
    >>> problems = []
    >>> number("54.1F", "Temperature", TEMPERATURES_C, problems, CELSIUS), problems
    (None, ["Temperature is not understood: '54.1F'"])
    """
    if not text:
        return None
    value = None
    if len(text) <= MAX_VALUE:
        try:
            value = float(text)
        except ValueError:
            found = _NUMBER.match(text)
            # a degree sign comes in any encoding
            unit = text[found.end() :].strip(" \t°º\ufffdÂ.").lower() if found else ""
            if found and unit in units:
                value = float(found[0]) * units[unit]
    if value is None:
        note(problems, f"{what} is not understood", text)
    elif not limits[0] <= value <= limits[1]:
        note(problems, f"{what} cannot be true", text)
        value = None
    return value


def time_stamp(text: str | None, what: str, problems: list[str]) -> datetime | None:
    """Read a time in ISO 8601, with an offset only where the text has one.

    A blank may stand in place of the ``T``, a fraction may have any number of digits, and the hour of an offset one, as
    a Song Meter Mini writes it.

    Examples
    --------
    >>> time_stamp("2020-10-17 13:05:00+1:00", "Timestamp", []).isoformat()
    '2020-10-17T13:05:00+01:00'
    """
    if not text:
        return None
    found = _TIME.fullmatch(text.strip()) if len(text) <= MAX_VALUE else None
    if found is None:
        note(problems, f"{what} is not understood", text)
        return None
    *date_and_time, fraction, utc, sign, hours, minutes, run_together, rest = found.groups()
    when = None
    with suppress(ValueError):
        year, month, day, hour, minute, second = map(int, date_and_time)
        when = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")[:6]))
    ahead = timedelta(hours=int(hours or run_together or 0), minutes=int(minutes or rest or 0))
    offset = -ahead if sign == "-" else ahead
    if when is None or when.year not in YEARS or abs(offset) > _FARTHEST:
        note(problems, f"{what} cannot be true", text)
        return None
    return when.replace(tzinfo=timezone(offset)) if utc or sign else when


def position(text: str | None, what: str, problems: list[str]) -> Position:
    """Read a position in degrees: ``47.05 8.25``, with a comma between, with signs or with letters.

    Returns
    -------
    tuple
        Latitude and longitude, both None where either is not understood, and for 0 0, which recorders write that have
        no position.

    Examples
    --------
    >>> position("47.056358 N 8.251432 W", "Position", [])
    (47.056358, -8.251432)
    >>> problems = []
    >>> position("661752/212022", "Position", problems), problems
    ((None, None), ["Position is not in degrees: '661752/212022'"])
    """
    if not text:
        return NOWHERE
    if len(text) <= MAX_VALUE:
        numbers = [float(degrees) for degrees in _DEGREES.findall(text)]
        letters = "".join(letter for letter in _DEGREES.sub("", text).upper() if letter not in " ,;\t°º\ufffdÂ")
        if len(numbers) == 2 and (not letters or letters in ("NE", "NW", "SE", "SW")):
            return place(signed(numbers[0], letters[:1]), signed(numbers[1], letters[1:]), text, what, problems)
    note(problems, f"{what} is not in degrees", text)
    return NOWHERE


def signed(degrees: float, hemisphere: str) -> float | None:
    """Degrees with the sign of a hemisphere; None where ``N`` or ``E`` stands beside a minus sign."""
    if hemisphere in ("S", "W"):
        return -abs(degrees)
    return None if hemisphere and degrees < 0 else degrees


def place(latitude: float | None, longitude: float | None, text: str, what: str, problems: list[str]) -> Position:
    """A position where it can be one, see :func:`position`."""
    if latitude is None or longitude is None or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        note(problems, f"{what} is not in degrees", text)
        return NOWHERE
    return (latitude, longitude) if latitude or longitude else NOWHERE
