"""What recorders wrote down of their work: when they were to record, and when they were on."""

import sys
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from batpam.errors import printable
from batpam.recordings.formats.audiomoth import duty_share, read_config, scheduled_windows
from batpam.recordings.formats.songmeter import read_summary
from batpam.recordings.metadata import correction_of
from batpam.survey import Deployment, zone

MAX_LOG = 1 << 28
"""Longest log that is read, bytes: ten years of minutes."""


def read_log(
    path: Path, deployment: Deployment, first_night: str | None, last_night: str | None
) -> list[dict[str, Any]]:
    """Read a log or the settings of a recorder.

    Parameters
    ----------
    path
        ``CONFIG.TXT`` of an AudioMoth or ``NAME_Summary.txt`` of a Song Meter.
    deployment
        That it lies in.
    first_night, last_night
        Of its recordings, ISO 8601: what the settings say of the nights is told for these; None where there is none.

    Returns
    -------
    list of dict
        Rows of the schema LOGS without site and recorder, the corrections of the site sheet applied; none where the file
        tells nothing that can be understood.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_LOG)
    except OSError as error:
        print(f"{printable(path)}: {error.strerror}; it is passed over", file=sys.stderr)
        return []
    if path.name.lower() == "config.txt":
        config = read_config(text)
        if config is None or not first_night or not last_night:
            return []
        first, last = (_by_clock(date.fromisoformat(night), deployment) for night in (first_night, last_night))
        windows = scheduled_windows(config, first, last)
        kind, share = "scheduled", duty_share(config)
    else:
        log = read_summary(text, zone(deployment.clock or deployment.timezone))
        if log is None:
            return []
        windows, kind, share = list(log.running), "running", 1.0
    rows = []
    for start, end in windows:
        with suppress(OverflowError):  # by a clock of another age
            start, end = (moment + correction_of(moment, deployment) for moment in (start, end))
            rows.append({"path": printable(path), "kind": kind, "share": share, "start_utc": start, "end_utc": end})
    return rows


def _by_clock(night: date, deployment: Deployment) -> date:
    """The night that the recorder took a night for, by its own clock."""
    evening = datetime.combine(night, time(18), zone(deployment.timezone))
    try:
        return night - timedelta(days=round(correction_of(evening, deployment) / timedelta(days=1)))
    except OverflowError:
        return night
