"""The summary that a Song Meter writes on its card, ``<Recorder>_Summary.txt``: when it was on, and how it was.

Sources: user guides of the Micro 2 and the SM5 (wildlifeacoustics.com); for SM2 and SM4, programs in public
repositories that read their files. Columns, as far as they are known: SM5 ``DATE,TIME,LAT,NS,LON,EW,POWER(V),TEMP(C)``
and ``#ACFILES``, ``#FS1FILES``, ``#ZC1FILES``, ``#SCRUB1``; SM4 ``#FILES``, ``#SCRUBBED``, ``MIC0 TYPE``, also without
names over the letters of the hemispheres; Micro 2 ``#FILES``, without temperature. The SM2 has no header, and blanks
between date, time and temperature.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median_low

from batpam.recordings.formats.fields import NOWHERE, TEMPERATURES_C, VOLTAGES, Position, note, place, signed

LINE_S = 60
"""A line is written every minute that a Song Meter is awake; every ten seconds while it keeps to the clock of GPS."""

JOIN_S = 90
"""Lines this far apart are of one stretch: one line may be missing half a minute, not a whole one."""

YEARS = range(2001, 2101)
"""A line of another year was written by a clock that was not set."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class SummaryLog:
    """What the summary of a Song Meter says; None where it says nothing.

    Attributes
    ----------
    running
        Stretches that the recorder was on, UTC, first to last. Each line stands for the time to the next one, the last
        of a stretch for as long as lines usually do, so a stretch may be a minute too long.
    reboots
        How often it started anew after the first time: each writes the header again.
    battery_min_v
        Least voltage, V.
    temperature_min_c, temperature_max_c
        Inside the recorder, degrees Celsius.
    latitude, longitude
        The position in most lines, degrees, WGS84.
    files
        Recordings of samples that it finished; zero-crossing files are not counted.
    problems
        What could not be understood, each a short text for a person.
    """

    running: tuple[tuple[datetime, datetime], ...]
    reboots: int
    battery_min_v: float | None
    temperature_min_c: float | None
    temperature_max_c: float | None
    latitude: float | None
    longitude: float | None
    files: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Where in a line things stand, the date first; -1 for what is not there."""

    time: int = 1
    place: int = -1
    power: int = -1
    temperature: int = -1
    files: tuple[int, ...] = ()


_DATE_AND_TIME = _Columns()
_SM2 = _Columns(temperature=2)


def read_summary(text: bytes, offset_zone: tzinfo) -> SummaryLog | None:
    """Read the summary of a Song Meter.

    Parameters
    ----------
    text
        The file.
    offset_zone
        What the clock of the recorder was set to. A Song Meter keeps one offset from UTC a whole deployment, so this is
        best a fixed one; of a zone with summer time the offset at the start of a stretch counts for all of it.

    Returns
    -------
    SummaryLog or None
        None where there is neither a header nor a line that can be read.
    """
    columns: _Columns | None = None
    headers = broken = unset = files = 0
    moments: set[int] = set()
    places: Counter[tuple[str, ...]] = Counter()
    volts: set[str] = set()
    degrees: set[str] = set()
    days: dict[str, int | None] = {}
    seconds: dict[str, int | None] = {}
    for line in text.decode("utf-8-sig", "replace").replace("\0", "").splitlines():
        cells = line.split(",") if "," in line else line.split()
        if not cells:
            continue
        if not line[0].isdigit() and cells[0].strip().upper() == "DATE" and "TIME" in line.upper():
            headers += 1
            columns = _columns(cells)
            continue
        where = columns or (_DATE_AND_TIME if "," in line else _SM2)
        count = len(cells)
        if count <= where.time:
            broken += 1
            continue
        date, time = cells[0], cells[where.time]
        if date not in days:
            days[date] = _day(date)
        if time not in seconds:
            seconds[time] = _second(time)
        day, second = days[date], seconds[time]
        if day is None or second is None:
            broken += 1
            continue
        if day < 0:
            unset += 1
            continue
        moments.add(day + second)
        if 0 <= where.place < count - 3:
            places[tuple(cells[where.place : where.place + 4])] += 1
        if 0 <= where.power < count:
            volts.add(cells[where.power])
        if 0 <= where.temperature < count:
            degrees.add(cells[where.temperature])
        for column in where.files:
            if column < count and cells[column] != "0":
                files += _count(cells[column])
    if not headers and not moments:
        return None
    problems: list[str] = []
    if broken:
        note(problems, f"{broken} lines are not understood")
    if unset:
        note(problems, f"{unset} lines are of a clock that was not set")
    power, temperatures = _within(volts, VOLTAGES), _within(degrees, TEMPERATURES_C)
    latitude, longitude = _place(places, problems)
    return SummaryLog(
        running=_stretches(sorted(moments), offset_zone),
        reboots=max(headers - 1, 0),
        battery_min_v=min((value for value in power if value > 0), default=None),
        temperature_min_c=min(temperatures, default=None),
        temperature_max_c=max(temperatures, default=None),
        latitude=latitude,
        longitude=longitude,
        files=files,
        problems=tuple(problems),
    )


def _columns(cells: Sequence[str]) -> _Columns:
    names = [cell.strip().upper() for cell in cells]

    def find(name: str) -> int:
        return names.index(name) if name in names else -1

    # the letters of the hemispheres stand behind the numbers, whether their columns have a name or not
    latitude, longitude = find("LAT"), find("LON")
    placed = latitude >= 0 and longitude == latitude + 2
    counts = [i for i, name in enumerate(names) if name.startswith("#") and name.endswith("FILES") and "ZC" not in name]
    return _Columns(
        time=max(find("TIME"), 1),
        place=latitude if placed else -1,
        power=find("POWER(V)"),
        temperature=find("TEMP(C)"),
        files=tuple(counts[:20]),
    )


def _day(text: str) -> int | None:
    """Seconds from 1970 to the start of a day, by the recorder's clock; negative where the clock was not set.

    Examples
    --------
    >>> _day("2026-Jan-20"), _day("2026-01-20"), _day("1999-Dec-31") < 0, _day("2026-Feb-30")
    (1768867200, 1768867200, True, None)
    """
    parts = text.strip().split("-")
    try:
        year, month, day = parts
        number = _MONTHS.get(month[:3].lower()) or int(month)
        date = datetime(int(year), number, int(day))
    except (ValueError, OverflowError):
        return None
    return int((date - _EPOCH).total_seconds()) if date.year in YEARS else -1


def _second(text: str) -> int | None:
    try:
        hours, minutes, seconds = map(int, text.split(":"))
    except ValueError:
        return None
    second = hours * 3600 + minutes * 60 + seconds
    return second if 0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds <= 60 else None


def _count(text: str) -> int:
    text = text.strip()
    return int(text) if len(text) < 7 and text.isascii() and text.isdigit() else 0


def _within(texts: set[str], limits: tuple[float, float]) -> list[float]:
    """Numbers that can be true; a degree sign may stand behind them."""
    numbers = []
    for text in texts:
        try:
            value = float(text.strip(" °º\ufffdÂCV")) if len(text) < 20 else None
        except ValueError:
            continue
        if value is not None and limits[0] <= value <= limits[1]:
            numbers.append(value)
    return numbers


def _place(places: Counter[tuple[str, ...]], problems: list[str]) -> Position:
    """The position in most lines."""
    told: list[str] = []
    for cells, _ in places.most_common(10):
        latitude, north, longitude, east = (cell.strip().upper()[:20] for cell in cells)
        if not latitude and not longitude:
            continue
        text = ",".join(cells)
        try:
            degrees = signed(float(latitude), _letter(north, "NS")), signed(float(longitude), _letter(east, "EW"))
        except ValueError:
            note(told, "position is not understood", text)
            continue
        position = place(*degrees, text, "position", told)
        if position != NOWHERE:
            return position
    problems += told[:1]
    return NOWHERE


def _letter(text: str, letters: str) -> str:
    """The letter of a hemisphere; raises ValueError where it is none."""
    if len(text) != 1 or text not in letters:
        raise ValueError(text)
    return text


def _stretches(moments: list[int], zone: tzinfo) -> tuple[tuple[datetime, datetime], ...]:
    """Stretches between gaps, from times of lines in order, seconds by the recorder's clock."""
    if not moments:
        return ()
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    last_line = timedelta(seconds=min(median_low(gaps) if gaps else LINE_S, LINE_S))
    starts = [0, *(i for i, gap in enumerate(gaps, 1) if gap > JOIN_S)]
    stretches = []
    for first, behind in zip(starts, [*starts[1:], len(moments)], strict=True):
        start = (_EPOCH + timedelta(seconds=moments[first])).replace(tzinfo=zone).astimezone(UTC)
        # the clock of a recorder does not jump when summer time begins or ends
        stretches.append((start, start + timedelta(seconds=moments[behind - 1] - moments[first]) + last_line))
    return tuple(stretches)
