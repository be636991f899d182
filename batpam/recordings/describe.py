"""What is known of one file: its rows of the recordings table."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from batpam.errors import AudioError, printable
from batpam.recordings.audio import AudioInfo, probe
from batpam.recordings.find import Found
from batpam.recordings.metadata import Known, merge, read_sources
from batpam.survey import EACH_CHANNEL, Deployment, night_of, zone

MAX_SIDECAR = 1 << 20
"""Longest sidecar that is read, bytes."""

WRITTEN_LATE = timedelta(hours=26)
"""A file's own time is that of the recorder's clock or of a later copy; cards keep local time, so it may be most of a day off."""


def describe(
    deployment: Deployment, found: Found, *, min_sample_rate: float, min_duration: float
) -> Iterator[dict[str, Any]]:
    """Describe a file.

    Parameters
    ----------
    min_sample_rate
        Lower real sample rates are excluded, Hz.
    min_duration
        Shorter recordings are excluded, s.

    Yields
    ------
    dict
        Rows of the schema RECORDINGS, without a shard: one, or one per channel where each is a recorder of its own.
    """
    name = os.fsencode(found.path)
    path = Path(found.path)
    row: dict[str, Any] = {
        "site": deployment.site,
        "recorder": deployment.recorder,
        "path": name.decode("utf-8", "backslashreplace"),
        "size_bytes": found.size,
        "modified_ns": found.modified_ns,
        "sidecar_ns": found.sidecar_ns,
        "channel": max(deployment.channel, 1),
        "samples": 0,
        "readable_samples": 0,
        "duration_s": 0.0,
        "untriggered_s": 0.0,
        "digest": "",
    }
    info, reason, detail = None, found.reason, found.detail
    if not reason:
        info, reason, detail = _open(path, name, found.size)
    known = merge(
        read_sources(path, info.chunks if info else {}, read_sidecar(found.sidecar)),
        deployment,
        info.rate if info else 0,
        info.samples / info.rate if info else 0.0,
    )
    if info:
        row |= _audio(info, known)
        if not reason:
            expandable = not known.warnings.keys().isdisjoint(("looks_expanded", "expansion_disagrees"))
            reason, detail = _unfit(row, info, deployment, min_sample_rate, min_duration, expandable=expandable)
        known.warnings |= {code: "" for code in info.warnings}
        if info.channels > 1 and deployment.channel == 1:
            known.warnings["channels_unused"] = (
                f"1 of {info.channels} is analysed; the site sheet may name another, or each"
            )
    _doubt_clock(known, found)
    row |= _metadata(known, deployment)
    row |= {"state": "excluded" if reason else "indexed", "reason": reason, "detail": printable(detail)}
    if deployment.channel == EACH_CHANNEL:
        for channel in range(1, (info.channels if info else 1) + 1):
            yield _named(row | {"channel": channel, "recorder": f"{deployment.recorder}-ch{channel}"}, name)
    else:
        yield _named(row, name)


def _named(row: dict[str, Any], name: bytes) -> dict[str, Any]:
    # by the bytes of the name: what is shown of one that is not UTF-8 may be the name of another file
    identity = f"{row['site']}\0{row['recorder']}\0".encode() + name
    return row | {"recording": hashlib.sha256(identity).hexdigest()[:16]}


def _open(path: Path, name: bytes, size: int) -> tuple[AudioInfo | None, str, str]:
    """What the header says, or why there is nothing to say: info, reason, detail."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return None, "name", "the file name is not valid UTF-8; rename the file"
    if size == 0:
        return None, "empty", "no byte in it"
    try:
        return probe(path), "", ""
    except AudioError as error:
        return None, "unreadable", str(error)


def read_sidecar(path: str) -> bytes | None:
    """Content of a sidecar; None where there is none or it cannot be read."""
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_SIDECAR)
    except OSError:
        return None


def _audio(info: AudioInfo, known: Known) -> dict[str, Any]:
    rate = info.rate * known.time_expansion
    return {
        "format": info.format,
        "header_rate_hz": float(info.rate),
        "sample_rate_hz": rate,
        "channels": info.channels,
        "samples": info.samples,
        "readable_samples": info.readable,
        "duration_s": info.samples / rate,
        "untriggered_s": info.untriggered / rate,
        "digest": info.digest,
    }


def _unfit(
    row: dict[str, Any],
    info: AudioInfo,
    deployment: Deployment,
    min_sample_rate: float,
    min_duration: float,
    *,
    expandable: bool,
) -> tuple[str, str]:
    """Why a recording is not analysed: reason and detail, "" where it is."""
    rate = row["sample_rate_hz"]
    if info.samples == 0:
        return "empty", "no sample in it"
    if info.readable == 0:
        return "truncated", "ends where its samples would begin"
    if info.readable / rate < min_duration:
        reason = "too_short" if info.samples / rate < min_duration else "truncated"
        return reason, f"{info.readable / rate * 1000:.3g} ms is below {min_duration * 1000:g} ms"
    if deployment.channel > info.channels:
        return "channel", f"channel {deployment.channel} of {info.channels}"
    if rate < min_sample_rate:
        mend = "; if it was slowed down, give time_expansion in the site sheet" if expandable else ""
        return "sample_rate", f"{rate:g} Hz is below {min_sample_rate:g} Hz{mend}"
    return "", ""


def _doubt_clock(known: Known, found: Found) -> None:
    if known.start and found.modified_ns:
        written = datetime.fromtimestamp(found.modified_ns // 1_000_000_000, UTC)
        if known.start > written + WRITTEN_LATE:
            known.warnings["clock_future"] = f"file of {written:%Y-%m-%d}, recording of {known.start:%Y-%m-%d}"


def _metadata(known: Known, deployment: Deployment) -> dict[str, Any]:
    row: dict[str, Any] = {
        "time_expansion": known.time_expansion,
        "latitude": known.latitude,
        "longitude": known.longitude,
        "sources": json.dumps(known.sources, sort_keys=True),
        "warnings": ",".join(known.warnings),
        "warning_detail": "\n".join(f"{code}: {printable(text)}" for code, text in known.warnings.items()),
        "clock_source": known.sources.get("start", "none"),
        **known.values,
    }
    if known.start:
        local = known.start.astimezone(zone(deployment.timezone))
        row |= {
            "night": night_of(local).isoformat(),
            "start_utc": known.start,
            "start_local": local.isoformat(timespec="milliseconds"),
            "utc_offset_min": (local.utcoffset() or timedelta()).total_seconds() / 60,
        }
    return row
