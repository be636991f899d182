"""The index: every file of every site, its night, and the shards that jobs are made of.

A file is opened once. The table of a site is the memory of the index: a row whose file has the same size and time is taken
from it, as long as the rows of the site sheet and the settings are those it was made with.
"""

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batpam.errors import UserError, printable
from batpam.files import write_if_changed, write_text
from batpam.progress import Progress
from batpam.recordings.conflicts import mark_conflicts
from batpam.recordings.describe import describe
from batpam.recordings.find import Found, Search, check_any
from batpam.recordings.logs import read_log
from batpam.recordings.metadata import ASSUMED
from batpam.survey import EACH_CHANNEL, UNDATED, Deployment
from batpam.tables import LOGS, MANIFEST, RECORDINGS, STAGE_VERSIONS, provenance, read_origin, stream_table, table_bytes

BATCH = 2000
"""Files that are described at a time; then they are rows of a table, which is ten times smaller. Fewer are not worth a process."""

COMMON_TEXTS = (
    "site", "recorder", "night", "clock_source", "format", "make", "model", "serial", "firmware", "gain", "trigger",
    "stop_reason", "sources", "shard",
)  # fmt: skip
"""Columns in which few texts stand many times."""

PIECE = 250
"""Files that a process describes at a time."""

Files = Sequence[tuple[Deployment, Found]]
ToRows = Callable[[Deployment, Found], Iterable[dict[str, Any]]]


def index(
    deployments: Sequence[Deployment],
    output: Path,
    *,
    shard_hours: float,
    min_sample_rate: float,
    min_duration: float,
    follow_links: bool = False,
    workers: int = 1,
) -> pa.Table:
    """Index the recordings of a survey.

    Writes ``recordings.parquet``, ``shards.tsv``, ``sites/SITE.parquet``, ``logs/SITE.parquet`` and
    ``manifests/SHARD.parquet`` into ``output``. What did not change is left alone, so that nothing is done for it again.

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
    min_duration
        Shorter recordings are excluded, s.
    follow_links
        Whether links that lead out of the folders are followed.
    workers
        Processes that read headers, where there are many files.

    Returns
    -------
    Table of the schema RECORDINGS

    Raises
    ------
    UserError
        A folder is missing, one that held recordings is empty, or there is no recording at all.
    """
    table, logs = _list(
        deployments, output, shard_hours=shard_hours, min_sample_rate=min_sample_rate, min_duration=min_duration,
        follow_links=follow_links, workers=workers,
    )  # fmt: skip
    settings = {
        "shard_hours": shard_hours, "min_sample_rate": min_sample_rate, "min_duration": min_duration,
        "follow_links": follow_links,
    }  # fmt: skip
    _write(table, logs, deployments, output, settings)
    return table.cast(RECORDINGS)


def list_recordings(
    deployments: Sequence[Deployment],
    *,
    shard_hours: float,
    min_sample_rate: float,
    min_duration: float,
    follow_links: bool = False,
    workers: int = 1,
) -> pa.Table:
    """Find and describe the recordings of a survey, with the shards they belong to, and write nothing.

    Parameters, table and errors are those of :func:`index`.
    """
    return _list(
        deployments, None, shard_hours=shard_hours, min_sample_rate=min_sample_rate, min_duration=min_duration,
        follow_links=follow_links, workers=workers,
    )[0].cast(RECORDINGS)  # fmt: skip


def _list(
    deployments: Sequence[Deployment],
    output: Path | None,
    *,
    shard_hours: float,
    min_sample_rate: float,
    min_duration: float,
    follow_links: bool,
    workers: int,
) -> tuple[pa.Table, list[dict[str, Any]]]:
    search = Search(deployments, follow_links=follow_links)
    to_rows = partial(describe, min_sample_rate=min_sample_rate, min_duration=min_duration)
    limits = {"min_sample_rate": min_sample_rate, "min_duration": min_duration}
    tables, unchanged = [], []
    with _describer(to_rows, workers) as describe_all, Progress("indexing", 0, "files") as progress:
        for site in sorted({deployment.site for deployment in deployments}):
            rows = [deployment for deployment in deployments if deployment.site == site]
            memory = output / "sites" / f"{site}.parquet" if output else None
            table, kept = _list_site(rows, search, describe_all, memory, _context(rows, limits), progress)
            order = pc.sort_indices(table, [("recorder", "ascending"), ("path", "ascending")])
            tables.append(_compact(table.take(order)))
            unchanged.append(kept[order.to_numpy()])
    table = pa.concat_tables(tables)
    if not len(table):
        check_any(deployments)  # says that there is nothing
    table = mark_conflicts(table, np.concatenate(unchanged))
    shards = pa.array(assign_shards(table, shard_hours), pa.string()).dictionary_encode()
    table = table.set_column(table.schema.get_field_index("shard"), "shard", shards)
    return table, _all_logs(search, table)


def _compact(table: pa.Table) -> pa.Table:
    """A table with each text that many rows have in common held once: half of the memory."""
    for name in COMMON_TEXTS:
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, table.column(name).dictionary_encode())
    return table


def _list_site(
    deployments: Sequence[Deployment],
    search: Search,
    describe_all: Callable[[Files], list[pa.RecordBatch]],
    memory: Path | None,
    context: Mapping[str, Any],
    progress: Progress,
) -> tuple[pa.Table, np.ndarray]:
    """Rows of a site in any order, and which of them come from the table of an earlier index."""
    before, origin = _remember(memory)
    remembered = before if origin == _origin(context) else RECORDINGS.empty_table()
    places = _places(remembered)
    sizes, times, sidecars = (
        remembered.column(name).to_numpy() for name in ("size_bytes", "modified_ns", "sidecar_ns")
    )
    known: list[int] = []
    fresh: list[pa.RecordBatch] = []
    found = ((deployment, file) for deployment in deployments for file in search.recordings(deployment))
    while batch := list(islice(found, BATCH)):
        unknown = []
        for deployment, file in batch:
            rows = places.get(file.path, ())
            state = (file.size, file.modified_ns, file.sidecar_ns)
            if rows and not file.reason and all((sizes[row], times[row], sidecars[row]) == state for row in rows):
                known += rows
            else:
                unknown.append((deployment, file))
        fresh += describe_all(unknown)
        progress.at(progress.done + len(batch))
    table = pa.Table.from_batches(fresh, RECORDINGS)
    kept = np.arange(len(table) + len(known)) < len(known)
    table = pa.concat_tables([remembered.take(pa.array(known, pa.int64())), table])
    for deployment in deployments:
        _check_none_emptied(search.folders(deployment), before, table, memory)
    return table, kept


def _check_none_emptied(folders: Iterable[str], before: pa.Table, now: pa.Table, memory: Path | None) -> None:
    """Look whether a folder in which files were found still holds one.

    A disk that is not mounted leaves an empty folder behind, which looks like a recorder that never recorded.
    """
    there, listed = (
        table.column("path").filter(pc.not_equal(table.column("reason"), "link")) for table in (now, before)
    )
    gone = listed.filter(pc.invert(pc.is_in(listed, there.combine_chunks())))
    if not len(gone):
        return
    for folder in folders:
        below = os.fsencode(os.path.join(folder, "")).decode("utf-8", "backslashreplace")  # noqa: PTH118 (ends in a slash)
        count = pc.sum(pc.starts_with(gone, below)).as_py()
        if count and not pc.any(pc.starts_with(there, below)).as_py():
            raise UserError(
                f"{printable(folder)}: {count} recordings were found here before and now there is none; bring its disk back."
                " If they were taken away on purpose, take the folder out of the site sheet or delete"
                f" {printable(memory or '')}, and run again"
            )


def check_none_gone(recordings: Path, deployments: Sequence[Deployment], output: Path) -> None:
    """Look whether a folder that was a site by being in ``recordings`` is still there.

    A site sheet names its sites; without one, a disk that is not mounted would take its site out of the survey.

    Parameters
    ----------
    recordings
        The folder of which each sub-folder is a site.
    deployments
        Those sub-folders, as they are now.
    output
        Folder of an earlier index.

    Raises
    ------
    UserError
        A sub-folder in which recordings were found is gone.
    """
    now = {f"{deployment.site}.parquet" for deployment in deployments}
    for memory in sorted((output / "sites").glob("*.parquet")):
        if memory.name in now:
            continue
        before, origin = _remember(memory)
        if not len(before):
            continue
        was = Path(origin["deployments"][0]["recordings"])
        if was.parent == recordings and not was.exists():
            raise UserError(
                f"{printable(was)}: {len(before)} recordings were found here before and now the folder is gone; bring its"
                f" disk back. If it was taken away on purpose, delete {printable(memory)} and run again"
            )


@contextmanager
def _describer(to_rows: ToRows, workers: int) -> Iterator[Callable[[Files], list[pa.RecordBatch]]]:
    """Give a function that describes files, many of them in processes: parsing holds Python's lock, threads would wait."""
    with ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None

        def describe_all(files: Files) -> list[pa.RecordBatch]:
            nonlocal pool
            if workers == 1 or len(files) < BATCH:
                return [_rows_of(files, to_rows)] if files else []
            if pool is None:
                # afresh: a fork of a process with threads may wait for ever
                pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
            pieces = [files[start : start + PIECE] for start in range(0, len(files), PIECE)]
            return list(pool.map(partial(_rows_of, to_rows=to_rows), pieces))

        yield describe_all


def _rows_of(files: Files, to_rows: ToRows) -> pa.RecordBatch:
    rows = [row for deployment, file in files for row in to_rows(deployment, file)]
    return pa.RecordBatch.from_pylist(rows, RECORDINGS)


def _context(deployments: Sequence[Deployment], limits: Mapping[str, Any]) -> dict[str, Any]:
    """What the rows of a site depend on beside its files."""
    return {"deployments": [asdict(deployment) for deployment in deployments], **limits}


def _origin(context: Mapping[str, Any]) -> dict[str, Any]:
    # without the version of batpam: these say what is to be done, and that did not change with it
    return {"stage": "index", "stage_version": STAGE_VERSIONS["index"], **json.loads(json.dumps(context))}


def _remember(memory: Path | None) -> tuple[pa.Table, dict[str, Any]]:
    """The table of a site as an earlier index left it, and what it was made with; empty where it is no longer whole."""
    nothing: tuple[pa.Table, dict[str, Any]] = RECORDINGS.empty_table(), {}
    if memory is None or not memory.is_file():
        return nothing
    try:
        origin = read_origin(memory)
        table = pq.read_table(memory, partitioning=None, page_checksum_verification=True)
    except (UserError, pa.ArrowException, OSError, ValueError):
        return nothing
    table = table.replace_schema_metadata(None)
    return (table, origin) if table.schema == RECORDINGS else nothing


def _places(table: pa.Table) -> dict[str, tuple[int, ...]]:
    """Rows of every path of a table, but for those that are read again each time.

    Paths with names that are not UTF-8 stand for no file, and a file that was unreadable may be so no longer: neither the
    right to read it nor a mended disk changes its time.
    """
    places: dict[str, tuple[int, ...]] = {}
    paths, reasons = (table.column(name).to_pylist() for name in ("path", "reason"))
    for row, (path, reason) in enumerate(zip(paths, reasons, strict=True)):
        if reason not in ("name", "unreadable"):
            places[path] = (*places.get(path, ()), row)
    return places


def _all_logs(search: Search, table: pa.Table) -> list[dict[str, Any]]:
    """What the logs of all recorders tell, for every recorder of the deployment that they lie in."""
    rows = []
    for deployment, paths in search.logs.items():
        if not paths:
            continue
        mine = table.filter(pc.equal(table.column("site"), deployment.site))
        recorders = [deployment.recorder]
        if deployment.channel == EACH_CHANNEL:
            channels = {
                f"{deployment.recorder}-ch{channel}" for channel in pc.unique(mine.column("channel")).to_pylist()
            }
            recorders = sorted(channels.intersection(mine.column("recorder").to_pylist()))
        mine = mine.filter(pc.is_in(mine.column("recorder"), pa.array(recorders, pa.string())))
        # a clock that was wrong for once must not make nights of a hundred years
        mine = mine.filter(pc.invert(pc.match_substring_regex(mine.column("warnings"), "clock_jump|clock_future")))
        for path in paths:
            folder = os.fsencode(path).decode("utf-8", "backslashreplace").rpartition("/")[0]
            below = mine.filter(pc.starts_with(mine.column("path"), f"{folder}/"))
            nights = pc.min_max((below if len(below) else mine).column("night").cast(pa.string())).as_py()
            told = read_log(Path(path), deployment, nights["min"], nights["max"])
            rows += [{"site": deployment.site, "recorder": recorder, **row} for recorder in recorders for row in told]
    return rows


def assign_shards(table: pa.Table, shard_hours: float) -> list[str | None]:
    """Name the shard of every recording that is to be analysed: ``SITE_NIGHT_RECORDER-PART``.

    A part is a stretch of ``shard_hours`` of the clock from noon on, so that one more recording changes one shard, and one more
    recorder none. Recordings without a time are taken in the order of their paths, so many hours at a time.

    Parameters
    ----------
    table
        Of the schema RECORDINGS, in the order of site, recorder and path.
    """
    columns = ["site", "recorder", "night", "start_utc", "utc_offset_min", "duration_s", "state"]
    rows = table.select(columns).to_pandas(strings_to_categorical=True)
    after_noon = (rows["start_utc"].astype("int64") / 1e6 + rows["utc_offset_min"] * 60 - 12 * 3600) % 86_400
    before = rows["duration_s"].where(rows["night"].isna() & (rows["state"] == "indexed"), 0.0)
    before = before.groupby([rows["site"], rows["recorder"]], observed=True).cumsum() - before
    recorder = rows["recorder"].map({name: recorder_in_shard(name) for name in rows["recorder"].unique()})
    part = (after_noon.where(rows["night"].notna(), before) // (3600 * shard_hours)).fillna(0).astype("int64")
    night = rows["night"].astype(object).fillna(UNDATED)
    return [
        f"{site}_{night}_{recorder}-{part:02d}" if state == "indexed" else None
        for site, night, recorder, part, state in zip(rows["site"], night, recorder, part, rows["state"], strict=True)
    ]


def recorder_in_shard(recorder: str) -> str:
    """Stands for a recorder in the names of files: its name in small letters or, of a longer one or one with other characters, a digest.

    Examples
    --------
    >>> recorder_in_shard("2-ch1"), recorder_in_shard("24F319055FDF2F5B"), recorder_in_shard("by the pond")
    ('2-ch1', '24f319055fdf2f5b', 'd48cc8da')
    """
    small = recorder.lower()  # no two recorders of a site differ in case alone
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,23}", small):
        return small
    return hashlib.sha256(recorder.encode()).hexdigest()[:8]


def _write(
    table: pa.Table,
    logs: Sequence[Mapping[str, Any]],
    deployments: Sequence[Deployment],
    output: Path,
    settings: Mapping[str, Any],
) -> None:
    sites = sorted({deployment.site for deployment in deployments})
    by_site = _split(table, "site")
    limits = {name: settings[name] for name in ("min_sample_rate", "min_duration")}
    shards: list[dict[str, Any]] = []

    def rows_of(site: str) -> pa.Table:
        return by_site[site].cast(RECORDINGS) if site in by_site else RECORDINGS.empty_table()

    def site_tables() -> Iterator[tuple[str, bytes]]:
        for site in sites:
            context = _context([deployment for deployment in deployments if deployment.site == site], limits)
            yield site, table_bytes(rows_of(site), RECORDINGS, _origin(context))

    def manifests() -> Iterator[tuple[str, bytes]]:
        for site in sites:
            rows = rows_of(site)
            rows = rows.filter(pc.is_valid(rows.column("shard"))).sort_by("shard")
            for shard, part in _split(rows, "shard").items():
                hours = pc.sum(part.column("duration_s")).as_py() / 3600
                night = part.column("night")[0].as_py() or UNDATED
                shards.append(
                    {"shard": shard, "site": site, "night": night, "recordings": len(part), "hours": f"{hours:.6f}"}
                )
                yield shard, table_bytes(part.select(MANIFEST.names), MANIFEST, _origin({}))

    logs_by_site: dict[str, list[Mapping[str, Any]]] = {site: [] for site in sites}
    for row in logs:
        logs_by_site[row["site"]].append(row)
    _write_folder(output / "sites", site_tables())
    _write_folder(
        output / "logs", ((site, table_bytes(rows, LOGS, _origin({}))) for site, rows in logs_by_site.items())
    )
    _write_folder(output / "manifests", manifests())
    columns = ["shard", "site", "night", "recordings", "hours"]
    listed = pd.DataFrame(sorted(shards, key=lambda shard: shard["shard"]), columns=columns)
    write_text(output / "shards.tsv", listed.to_csv(sep="\t", index=False))
    origin = provenance("index", **settings)
    stream_table(map(rows_of, sites), RECORDINGS, output / "recordings.parquet", lambda: origin)
    _say(table, len(sites), len(shards))


def _split(table: pa.Table, name: str) -> dict[str, pa.Table]:
    """Stretches of a table that is sorted by a column, by what stands in it."""
    values = pa.array(table.column(name).cast(pa.string()).to_pandas(strings_to_categorical=True))
    codes = values.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = [*starts[1:], len(codes)] if len(starts) else []
    return {values.dictionary[int(codes[a])].as_py(): table.slice(a, b - a) for a, b in zip(starts, ends, strict=True)}


def _say(table: pa.Table, sites: int, shards: int) -> None:
    hours = (pc.sum(table.column("duration_s")).as_py() or 0) / 3600
    excluded, warnings = Counter[str](), Counter[str]()
    for name, counts in (("reason", excluded), ("warnings", warnings)):
        for told in pc.value_counts(table.column(name)).to_pylist():
            counts.update({code: told["counts"] for code in told["values"].split(",") if code})
    files = pc.count_distinct(table.column("path")).as_py()
    print(f"{files} files of {sites} sites, {hours:.2f} h, in {shards} shards", file=sys.stderr)
    for what, counts in (("excluded", excluded), ("warnings", warnings)):
        if counts:
            told = ", ".join(f"{code} {count}" for code, count in counts.most_common())
            print(f"{what}: {told}", file=sys.stderr)
    assumed = pc.sum(pc.match_substring(table.column("sources").cast(pa.string()), f'"zone": "{ASSUMED}"')).as_py()
    if assumed:
        print(
            f"{assumed} recordings tell no time zone, that of their site is taken; if a recorder's clock was on another "
            "(UTC, winter time), name it in the column 'clock' of the site sheet",
            file=sys.stderr,
        )


def _write_folder(folder: Path, contents: Iterator[tuple[str, bytes]]) -> None:
    """Make a folder hold these tables and no others, touching only what changed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = set()
    for name, content in contents:
        write_if_changed(folder / f"{name}.parquet", content)
        names.add(f"{name}.parquet")
    for stale in os.scandir(folder):
        if stale.name not in names:
            Path(stale.path).unlink()
