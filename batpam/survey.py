"""The words of the domain: site, deployment, night, shard.

A *site* is a place with a position and a time zone. A *deployment* is one recorder at a site, one row of the site
sheet. A *night* is named by the date of its evening: local time minus twelve hours. A *shard* is one site, one
night, at most so many hours of audio: the work of one job.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batpam.errors import UserError

UNDATED = "undated"
"""Stands for the night in names of shards whose recordings tell no time."""

SUFFIXES = frozenset(
    (".wav", ".wave", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".aifc", ".au", ".caf", ".mp3", ".ogg", ".oga", ".opus",
     ".raw", ".w4v", ".wac", ".zc")
)  # fmt: skip
"""Endings of files that are counted as recordings, whether batpam can read them or not."""

_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_NEEDED = ("site", "latitude", "longitude", "timezone", "recordings")
_OPTIONAL = ("recorder", "time_expansion", "channel")


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
        Channel to analyse, from 1.
    """

    site: str
    latitude: float | None
    longitude: float | None
    timezone: str
    recordings: str
    recorder: str = "1"
    time_expansion: float = 1.0
    channel: int = 1


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
    if Path(row["site"]).suffix in (".csv", ".parquet", ".html"):
        raise UserError(f"{where}: site {row['site']!r}: leave out the ending, files of that name are made")
    position = []
    for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
        value = _number(row[name], name, where) if row[name] else None
        if value is not None and not abs(value) <= limit:
            raise UserError(f"{where}: {name} {row[name]} is outside -{limit:.0f} to {limit:.0f} degrees")
        position.append(value)
    if (position[0] is None) != (position[1] is None):
        raise UserError(f"{where}: latitude and longitude go together; give both or neither")
    _check_zone(row["timezone"], where)
    if not row["recordings"]:
        raise UserError(f"{where}: recordings is empty; name the folder of the site's recordings")
    expansion = _number(row.get("time_expansion") or "1", "time_expansion", where)
    if not 1 <= expansion <= 1000:
        raise UserError(f"{where}: time_expansion {expansion:g} is not between 1 and 1000")
    channel = _number(row.get("channel") or "1", "channel", where)
    if not (1 <= channel <= 1000 and channel.is_integer()):
        raise UserError(f"{where}: channel {row['channel']} is not a whole number from 1")
    return Deployment(
        row["site"], position[0], position[1], row["timezone"], row["recordings"], row.get("recorder") or "",
        expansion, int(channel),
    )  # fmt: skip


def _check_zone(name: str, where: str) -> None:
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


def sites_of_folder(folder: Path, timezone: str) -> list[Deployment]:
    """One site per sub-folder; the folder itself is a site where it has none.

    Raises
    ------
    UserError
        The folder does not exist, holds files beside sub-folders, or the time zone is not known.
    """
    if not folder.is_dir():
        raise UserError(f"recordings: {folder} is not a folder; give the folder that holds one sub-folder per site")
    _check_zone(timezone, "timezone")
    subfolders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    beside = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if subfolders and beside:
        raise UserError(f"recordings: {folder / beside[0]} lies beside the sub-folders; move it into that of its site")
    deployments = []
    for sub in subfolders or [folder.resolve()]:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", sub.name).strip("-.") or "site"
        deployments.append(Deployment(name, None, None, timezone, str(sub)))
    names = [d.site.lower() for d in deployments]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"recordings: two sub-folders of {folder} would both be site {name!r}; rename one")
    return deployments


def night_of(local: datetime) -> date:
    """Date of the evening that a local time belongs to.

    Examples
    --------
    >>> night_of(datetime(2024, 6, 2, 3, 7)).isoformat()
    '2024-06-01'
    """
    return (local.replace(tzinfo=None) - timedelta(hours=12)).date()


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Time zone by IANA name."""
    return ZoneInfo(name)


def local_to_utc(local: datetime, timezone: str) -> datetime:
    """UTC of a local time without offset; the earlier of two in an autumn's doubled hour."""
    return local.replace(tzinfo=zone(timezone)).astimezone(UTC)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
