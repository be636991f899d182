"""The index: every file of every site, its night, and the shards that jobs are made of."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from batpam.errors import AudioError, UserError
from batpam.files import write_if_changed, write_text
from batpam.progress import Progress
from batpam.recordings.audio import probe
from batpam.recordings.clocks import read_guano, start_of
from batpam.survey import SUFFIXES, UNDATED, Deployment, night_of, zone
from batpam.tables import MANIFEST, RECORDINGS, STAGE_VERSIONS, provenance, table_bytes, write_table


def index(
    deployments: Sequence[Deployment],
    output: Path,
    *,
    shard_hours: float,
    min_sample_rate: float,
    workers: int = 1,
) -> pd.DataFrame:
    """Index the recordings of a survey.

    Writes ``recordings.parquet``, ``shards.tsv``, ``sites/SITE.parquet`` and ``manifests/SHARD.parquet`` into
    ``output``. The table of a site and the manifest of a shard whose recordings did not change are left alone, so
    that nothing is done for them again.

    Parameters
    ----------
    deployments
        Rows of the site sheet.
    output
        Folder.
    shard_hours
        Recordings of one recorder that begin in the same stretch of so many hours, counted from noon, make a shard.
    min_sample_rate
        Recordings of a lower real sample rate are excluded, Hz.
    workers
        Files read at the same time.

    Returns
    -------
    DataFrame of the schema RECORDINGS

    Raises
    ------
    UserError
        A folder is missing or there is no recording at all.
    """
    table = list_recordings(deployments, shard_hours=shard_hours, min_sample_rate=min_sample_rate, workers=workers)
    _write(table, sorted({d.site for d in deployments}), output, shard_hours, min_sample_rate)
    return table


def list_recordings(
    deployments: Sequence[Deployment], *, shard_hours: float, min_sample_rate: float, workers: int = 1
) -> pd.DataFrame:
    """Find and describe the recordings of a survey, with the shards they belong to, and write nothing.

    Parameters, table and errors are those of :func:`index`.
    """
    check_any(deployments)
    found = [(deployment, path) for deployment in deployments for path in find_recordings(deployment)]
    _check_found_once(found)
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(workers) as pool, Progress("indexing", len(found), "files") as progress:
        jobs = iter(found)
        # so many files at a time that the pool is busy and the list of waiting ones stays short
        while batch := list(islice(jobs, 2000)):
            rows += pool.map(lambda item: describe(*item, min_sample_rate=min_sample_rate), batch)
            progress.at(len(rows))
    table = pd.DataFrame(rows, columns=RECORDINGS.names)
    table["shard"] = assign_shards(table, {d.site: d.timezone for d in deployments}, shard_hours)
    return table.sort_values(["site", "recorder", "path"], ignore_index=True)


def folders_of(deployment: Deployment, *, may_miss: str = "") -> list[str]:
    """Folders that a deployment's recordings lie in, for a workflow to watch.

    Parameters
    ----------
    may_miss
        A folder below which one may be missing as yet.

    Raises
    ------
    UserError
        The folder does not exist, or nothing fits the pattern.
    """
    place = deployment.recordings
    if may_miss and Path(place).is_relative_to(may_miss):
        return [place]
    tops = _tops(deployment)
    return sorted({str(top if top.is_dir() else top.parent) for top in tops})


def _tops(deployment: Deployment) -> list[Path]:
    place = deployment.recordings
    if Path(place).exists():
        return [Path(place)]
    matches = glob(place, recursive=True) if has_magic(place) else []  # noqa: PTH207 (the pattern may be absolute)
    # by where they really lie: a link in the folder may lead round to itself
    tops = list({os.path.realpath(match): Path(match) for match in sorted(matches, reverse=True)}.values())[::-1]
    if not tops:
        raise UserError(
            f"site {deployment.site}: {place} does not exist; mend the column 'recordings' of the site sheet"
        )
    return tops


def find_recordings(deployment: Deployment) -> Iterator[Path]:
    """Files of a deployment that are named as audio, in order; links to folders are not followed.

    Raises
    ------
    UserError
        The folder does not exist, or nothing fits the pattern.
    """
    tops = _tops(deployment)
    seen: set[str] = set()
    for top in tops:
        if top.is_file():
            files: Iterable[Path] = [top]
        else:
            files = (Path(folder, name) for folder, names in _folders(top) for name in names)
        for path in files:
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("._"):
                continue
            if len(tops) > 1:  # a pattern may match a folder and what is in it, or a link to it
                real = os.path.realpath(path)
                if real in seen:
                    continue
                seen.add(real)
            yield path


def _folders(top: Path) -> Iterator[tuple[str, list[str]]]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}; a folder that cannot be read would be lost in silence")

    for folder, subfolders, names in os.walk(top, onerror=refuse):
        subfolders.sort()
        yield folder, sorted(names)


def check_any(deployments: Sequence[Deployment]) -> None:
    """Look whether there is any recording.

    Raises
    ------
    UserError
        There is none.
    """
    if not any(True for deployment in deployments for _ in find_recordings(deployment)):
        places = ", ".join(sorted({d.recordings for d in deployments})[:3])
        raise UserError(f"no recordings found in {places}; name the folder that holds WAV or FLAC files")


def _check_found_once(found: Iterable[tuple[Deployment, Path]]) -> None:
    owner: dict[str, Deployment] = {}
    for deployment, path in found:
        first = owner.setdefault(os.path.realpath(path), deployment)
        if first is not deployment:
            raise UserError(
                f"{path} belongs to site {first.site} (recorder {first.recorder}) and to site {deployment.site} (recorder "
                f"{deployment.recorder}); let no two rows share a folder"
            )


def describe(deployment: Deployment, path: Path, *, min_sample_rate: float) -> dict[str, Any]:
    """What is known of one file: a row of the recordings table, its shard not yet set."""
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    row: dict[str, Any] = {
        "recording": hashlib.sha256(f"{deployment.site}\0{deployment.recorder}\0{shown}".encode()).hexdigest()[:16],
        "site": deployment.site,
        "recorder": deployment.recorder,
        "path": shown,
        "channel": deployment.channel,
        "time_expansion": deployment.time_expansion,
        "samples": 0,
        "readable_samples": 0,
        "duration_s": 0.0,
        "state": "excluded",
        "reason": "",
        "detail": "",
    }
    row |= _clock(deployment, path, {}, None)
    try:
        status = path.stat()
    except OSError as error:
        return row | {"reason": "unreadable", "detail": error.strerror or "", "size_bytes": 0, "modified_ns": 0}
    row |= {"size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    if shown.encode() != os.fsencode(path):
        return row | {"reason": "name", "detail": "the file name is not valid UTF-8"}
    if status.st_size == 0:
        return row | {"reason": "empty", "detail": "no byte in it"}
    try:
        info = probe(path)
    except AudioError as error:
        return row | {"reason": "unreadable", "detail": str(error)}
    guano = read_guano(info.chunks["guan"]) if "guan" in info.chunks else None
    expansion = deployment.time_expansion
    if expansion == 1 and guano:
        expansion = guano.time_expansion
    rate = info.rate * expansion
    row |= _clock(deployment, path, info.chunks, guano)
    row |= {
        "sample_rate_hz": rate,
        "time_expansion": expansion,
        "channels": info.channels,
        "samples": info.samples,
        "readable_samples": info.readable,
        "duration_s": info.samples / rate,
    }
    if info.samples == 0:
        return row | {"reason": "empty", "detail": "no sample in it"}
    if rate < min_sample_rate:
        return row | {"reason": "sample_rate", "detail": f"{rate:g} Hz is below {min_sample_rate:g} Hz"}
    if deployment.channel > info.channels:
        return row | {"reason": "channel", "detail": f"channel {deployment.channel} of {info.channels}"}
    if info.readable == 0:
        return row | {"reason": "truncated", "detail": "its header was never completed"}
    return row | {"state": "indexed"}


def _clock(deployment: Deployment, path: Path, chunks: dict[str, bytes], guano: Any) -> dict[str, Any]:
    clock = start_of(path, chunks, guano, deployment.timezone)
    if clock is None:
        return {"night": None, "start_utc": None, "utc_offset_min": None, "clock_source": "none"}
    local = clock.start.astimezone(zone(deployment.timezone))
    return {
        "night": night_of(local).isoformat(),
        "start_utc": clock.start,
        "utc_offset_min": clock.offset_min,
        "clock_source": clock.source,
    }


def assign_shards(table: pd.DataFrame, zones: dict[str, str], shard_hours: float) -> list[str | None]:
    """Name the shard of every recording that is to be analysed: ``SITE_NIGHT_RECORDER-PART``.

    A part is a stretch of ``shard_hours`` of the clock from noon on, so that one more recording changes one shard.
    Recordings without a time are taken in the order of their paths, so many hours at a time.
    """
    recorders = {
        site: {name: i for i, name in enumerate(sorted(set(names)), 1)}
        for site, names in table.groupby("site")["recorder"]
    }
    shards: list[str | None] = [None] * len(table)
    undated_hours: dict[tuple[str, str], float] = {}
    table = table.reset_index(drop=True)
    for row in table[table["state"] == "indexed"].sort_values(["site", "recorder", "path"]).itertuples():
        recorder = recorders[row.site][row.recorder]
        if row.night is None:
            key = (row.site, row.recorder)
            part = int(undated_hours.get(key, 0.0) // shard_hours)
            undated_hours[key] = undated_hours.get(key, 0.0) + row.duration_s / 3600
            shards[row.Index] = f"{row.site}_{UNDATED}_{recorder}-{part:02d}"
            continue
        start: datetime = pd.Timestamp(row.start_utc).to_pydatetime()
        local = start.astimezone(zone(zones[row.site])).replace(tzinfo=None)
        since_noon = local - timedelta(hours=12) - datetime.combine(night_of(local), datetime.min.time())
        part = int(since_noon / timedelta(hours=shard_hours))
        shards[row.Index] = f"{row.site}_{row.night}_{recorder}-{part:02d}"
    return shards


def _write(table: pd.DataFrame, sites: Sequence[str], output: Path, shard_hours: float, min_sample_rate: float) -> None:
    # without the version of batpam: these say what is to be done, and that did not change with it
    origin = {"stage": "index", "stage_version": STAGE_VERSIONS["index"]}
    by_site = dict(list(table.groupby("site")))
    _write_folder(
        output / "sites", {site: table_bytes(by_site.get(site, table[:0]), RECORDINGS, origin) for site in sites}
    )
    indexed = table[table["shard"].notna()]
    manifests = {shard: rows[MANIFEST.names] for shard, rows in indexed.groupby("shard")}
    _write_folder(
        output / "manifests", {shard: table_bytes(rows, MANIFEST, origin) for shard, rows in manifests.items()}
    )
    shards = indexed.groupby("shard", as_index=False).agg(
        site=("site", "first"), night=("night", "first"), recordings=("path", "size"), seconds=("duration_s", "sum")
    )
    shards["hours"] = (shards.pop("seconds") / 3600).map("{:.6f}".format)
    shards["night"] = shards["night"].fillna(UNDATED)
    write_text(output / "shards.tsv", shards.to_csv(sep="\t", index=False))
    settings = {"shard_hours": shard_hours, "min_sample_rate": min_sample_rate}
    write_table(table, RECORDINGS, output / "recordings.parquet", provenance("index", **settings))
    print(
        f"{len(table)} files of {len(sites)} sites, {table['duration_s'].sum() / 3600:.2f} h, in {len(shards)} shards; "
        f"{(table['state'] == 'excluded').sum()} files excluded; {table['night'].isna().sum()} without a time",
        file=sys.stderr,
    )


def _write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder hold these tables and no others, touching only what changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_if_changed(folder / f"{name}.parquet", content)
    for stale in folder.iterdir():
        if stale.name.removesuffix(".parquet") not in contents:
            stale.unlink()
