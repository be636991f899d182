"""The words of the domain: site, deployment, night, shard.

A *site* is a place with a position and a time zone. A *deployment* is one recorder at a site, one row of the site
sheet. A *night* is named by the date of its evening: local time minus twelve hours. A *shard* is one site, one
night, at most so many hours of audio: the work of one job.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batpam.errors import UserError, printable

UNDATED = "undated"
"""Stands for the night in names of shards whose recordings tell no time."""

SUFFIXES = frozenset(
    (".wav", ".wave", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".aifc", ".au", ".caf", ".mp3", ".ogg", ".oga", ".opus",
     ".raw", ".w4v", ".wac", ".zc")
)  # fmt: skip
"""Endings of files that are counted as recordings, whether batpam can read them or not."""

SYSTEM_FOLDERS = r"\$recycle\.bin|system volume information|lost\+found|\.trash.*"
"""Names of folders, in any case, in which systems keep what was thrown away or is their own; no recordings are looked for in them."""

_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")

_MADE = (".csv", ".parquet", ".html")
"""Endings of files that are named after a site."""

_NEEDED = ("site", "latitude", "longitude", "timezone", "recordings")
_OPTIONAL = (
    "recorder", "time_expansion", "channel", "clock", "clock_offset", "clock_drift", "schedule", "first_night",
    "last_night",
)  # fmt: skip
_OFFSET = re.compile(r"(?:UTC)?([+-])([0-9]|0[0-9]|1[0-4])(?::?([0-5][0-9]))?")
_SCHEDULE = re.compile(r"(?:(\d\d):(\d\d)|sunset([+-]\d+)?)-(?:(\d\d):(\d\d)|sunrise([+-]\d+)?)")
EACH_CHANNEL = 0
"""Stands for the channel of a deployment whose channels are recorders of their own."""


@dataclass(frozen=True)
class Deployment:
    """One recorder at a site: a row of the site sheet.

    Attributes
    ----------
    site
        Letters, digits, dots and hyphens; names files and folders.
    latitude, longitude
        Degrees, WGS84; None where not known.
    timezone
        An IANA name.
    recordings
        Folder, or a pattern such as ``cards/*_T.WAV``.
    recorder
        Tells recorders at one site apart.
    time_expansion
        Factor by which the recordings were slowed down, 1 if they were not.
    channel
        Channel to analyse, from 1; :data:`EACH_CHANNEL` makes each a recorder of its own.
    clock
        Zone that the recorder's clock showed where a source names none: an IANA name or an offset such as ``+02:00``;
        empty for the zone of the site.
    clock_offset
        What is added to the recorder's clock, s: 90 for one that was a minute and a half behind.
    clock_drift
        What the clock gained in a day, from noon of ``first_night`` on, s.
    schedule
        When it was to record in every night, local time: ``21:00-05:30``, ``sunset-sunrise``, ``sunset-30-sunrise+30``
        (minutes); empty where nobody said.
    first_night, last_night
        Of the deployment, ISO 8601; empty where nobody said.
    """

    site: str
    latitude: float | None
    longitude: float | None
    timezone: str
    recordings: str
    recorder: str = "1"
    time_expansion: float = 1.0
    channel: int = 1
    clock: str = ""
    clock_offset: float = 0.0
    clock_drift: float = 0.0
    schedule: str = ""
    first_night: str = ""
    last_night: str = ""


def read_sites(path: Path) -> list[Deployment]:
    """Read and check a site sheet (tab-separated).

    Raises
    ------
    UserError
        Anything is missing or wrong; names the column and the line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a tab-separated site sheet ({_first_line(error)})") from error
    cells = [
        (number, [cell.strip() for cell in next(csv.reader([line.rstrip()], delimiter="\t"))])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    header = cells[0][1] if cells else []
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; a site sheet needs {', '.join(_NEEDED)}")
    strange = [name for name in header if name not in _NEEDED + _OPTIONAL or header.count(name) > 1]
    if strange:
        raise UserError(f"{path}: column {strange[0]!r} is not known or stands twice; optional: {', '.join(_OPTIONAL)}")
    if len(cells) == 1:
        raise UserError(f"{path}: no site in it; add a row per recorder")
    deployments = []
    for number, row in cells[1:]:
        where = f"{path}, line {number}"
        if len(row) > len(header):
            raise UserError(f"{where}: {len(row)} cells under {len(header)} columns; separate cells by single tabs")
        deployments.append(_deployment(dict(zip(header, row + [""] * (len(header) - len(row)), strict=True)), where))
    _check_together(deployments, path)
    return _name_recorders(deployments)


def _deployment(row: dict[str, str], where: str) -> Deployment:
    if not _SITE_NAME.fullmatch(row["site"]):
        raise UserError(f"{where}: site {row['site']!r}: use letters, digits, dots and hyphens only")
    if Path(row["site"]).suffix in _MADE:
        raise UserError(f"{where}: site {row['site']!r}: leave out the ending, files of that name are made")
    position = []
    for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
        value = _number(row[name], name, where) if row[name] else None
        if value is not None and not abs(value) <= limit:
            raise UserError(f"{where}: {name} {row[name]} is outside -{limit:.0f} to {limit:.0f} degrees")
        position.append(value)
    if (position[0] is None) != (position[1] is None):
        raise UserError(f"{where}: latitude and longitude go together; give both or neither")
    check_zone(row["timezone"], where)
    if not row["recordings"]:
        raise UserError(f"{where}: recordings is empty; name the folder of the site's recordings")
    expansion = _number(row.get("time_expansion") or "1", "time_expansion", where)
    if not 1 <= expansion <= 1000:
        raise UserError(f"{where}: time_expansion {expansion:g} is not between 1 and 1000")
    if (row.get("channel") or "").lower() == "each":
        channel = float(EACH_CHANNEL)
    else:
        channel = _number(row.get("channel") or "1", "channel", where)
        if not (1 <= channel <= 1000 and channel.is_integer()):
            raise UserError(f"{where}: channel {row['channel']} is not a whole number from 1, nor 'each'")
    if row.get("clock") and not _OFFSET.fullmatch(row["clock"]):
        check_zone(row["clock"], where)
    offset, drift = (_number(row.get(name) or "0", name, where) for name in ("clock_offset", "clock_drift"))
    if not (abs(offset) <= 1e10 and abs(drift) <= 3600):
        raise UserError(f"{where}: clock_offset is in s, clock_drift in s per day and at most an hour")
    if row.get("schedule") and schedule_of(row["schedule"]) is None:
        raise UserError(
            f"{where}: schedule {row['schedule']!r}: write 21:00-05:30, sunset-sunrise or sunset-30-sunrise+30"
        )
    if drift and not row.get("first_night"):
        raise UserError(f"{where}: clock_drift needs first_night, the night from which on the clock drifted")
    nights = []
    for name in ("first_night", "last_night"):
        try:
            nights.append(date.fromisoformat(row[name]).isoformat() if row.get(name) else "")
        except ValueError:
            raise UserError(f"{where}: {name} {row[name]!r} is not a date such as 2024-06-01") from None
    if all(nights) and nights[0] > nights[1]:
        raise UserError(f"{where}: last_night {nights[1]} is before first_night {nights[0]}")
    return Deployment(
        row["site"], position[0], position[1], row["timezone"], row["recordings"], row.get("recorder") or "",
        expansion, int(channel), row.get("clock") or "", offset, drift, row.get("schedule") or "",
        *nights,
    )  # fmt: skip


def check_zone(name: str, where: str) -> None:
    """Look whether a time zone is known.

    Raises
    ------
    UserError
        It is not.
    """
    try:
        if not name:
            raise ZoneInfoNotFoundError
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"{where}: time zone {name!r} is not known; use an IANA name such as Europe/London") from None


def _name_recorders(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Number the recorders of a site that have no name, so that no two are taken for one."""
    taken = {(d.site, d.recorder) for d in deployments}
    named = []
    for deployment in deployments:
        number = 1
        while not deployment.recorder:
            if (deployment.site, str(number)) not in taken:
                deployment = replace(deployment, recorder=str(number))
                taken.add((deployment.site, deployment.recorder))
            number += 1
        named.append(deployment)
    return named


def _number(text: str, name: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: {name} {text!r} is not a number") from None


def _check_together(deployments: Sequence[Deployment], path: Path) -> None:
    first: dict[str, Deployment] = {}
    for d in deployments:
        same = first.setdefault(d.site, d)
        if (same.latitude, same.longitude, same.timezone) != (d.latitude, d.longitude, d.timezone):
            raise UserError(f"{path}: site {d.site} has two positions or time zones; give its rows the same ones")
    lowered: dict[str, str] = {}
    for name in first:
        if lowered.setdefault(name.lower(), name) != name:
            raise UserError(f"{path}: sites {lowered[name.lower()]} and {name} differ only in case; rename one")
    recorders: dict[tuple[str, str], str] = {}
    for d in deployments:
        alike = recorders.setdefault((d.site, d.recorder.lower()), d.recorder)
        if alike != d.recorder:
            raise UserError(f"{path}: recorders {alike} and {d.recorder} of {d.site} differ only in case; rename one")


def is_system_folder(name: str) -> bool:
    """Whether a folder is named as one in which a system keeps what was thrown away or is its own.

    Examples
    --------
    >>> is_system_folder("$Recycle.Bin"), is_system_folder(".Trash-1000"), is_system_folder("found")
    (True, True, False)
    """
    return re.fullmatch(SYSTEM_FOLDERS, name, re.IGNORECASE | re.DOTALL) is not None


def sites_of_folder(folder: Path, timezone: str) -> list[Deployment]:
    """One site per sub-folder; the folder itself is a site where it has none.

    Raises
    ------
    UserError
        The folder does not exist, holds files beside sub-folders, or the time zone is not known.
    """
    if not folder.is_dir():
        raise UserError(
            f"recordings: {printable(folder)} is not a folder; give the folder that holds one sub-folder per site"
        )
    check_zone(timezone, "timezone")
    subfolders = sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and not is_system_folder(p.name)
    )
    beside = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if subfolders and beside:
        raise UserError(
            f"recordings: {printable(folder / beside[0])} lies beside the sub-folders; move it into that of its site"
        )
    deployments = []
    for sub in subfolders or [folder.resolve()]:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", sub.name).strip("-.") or "site"
        name = name.replace(".", "-") if Path(name).suffix in _MADE else name
        deployments.append(Deployment(name, None, None, timezone, str(sub)))
    names = [d.site.lower() for d in deployments]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"recordings: two sub-folders of {printable(folder)} would both be site {name!r}; rename one"
            )
    return deployments


def night_of(local: datetime) -> date:
    """Date of the evening that a local time belongs to.

    Examples
    --------
    >>> night_of(datetime(2024, 6, 2, 3, 7)).isoformat()
    '2024-06-01'
    """
    return (local.replace(tzinfo=None) - timedelta(hours=12)).date()


@dataclass(frozen=True)
class NightlySchedule:
    """When a recorder was to record in every night; minutes after local midnight, or minutes from the sun's."""

    start_min: int
    end_min: int
    from_sunset: bool
    to_sunrise: bool


def schedule_of(text: str) -> NightlySchedule | None:
    """A schedule of the site sheet; None if it is not one.

    Examples
    --------
    >>> schedule_of("21:00-sunrise+30")
    NightlySchedule(start_min=1260, end_min=30, from_sunset=False, to_sunrise=True)
    """
    found = _SCHEDULE.fullmatch(text.replace(" ", ""))
    if not found:
        return None
    hour, minute, after_sunset, end_hour, end_minute, after_sunrise = found.groups()
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(end_hour or 0) > 24 or int(end_minute or 0) > 59:
        return None
    return NightlySchedule(
        int(hour) * 60 + int(minute) if hour else int(after_sunset or 0),
        int(end_hour) * 60 + int(end_minute) if end_hour else int(after_sunrise or 0),
        hour is None,
        end_hour is None,
    )


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Time zone by IANA name, or by an offset such as ``+02:00``."""
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    return ZoneInfo(name)


def local_to_utc(local: datetime, timezone: str) -> datetime:
    """UTC of a local time without offset; the earlier of two in an autumn's doubled hour."""
    return local.replace(tzinfo=zone(timezone)).astimezone(UTC)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
