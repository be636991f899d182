"""What a run would take: hours, files, shards, jobs, disk and time, said before anything starts.

Counts come from the headers of the recordings, read as the index reads them. How much the gate keeps, how large it gets and
how long it takes come from a sample of the recordings, on which the stages themselves are run on this machine. Nothing
is written but a temporary folder.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from batpam.config import Config, scalogram_settings
from batpam.errors import UserError
from batpam.recordings.index import list_recordings
from batpam.recordings.ledger import REASONS
from batpam.survey import Deployment
from batpam.tables import MANIFEST, SEGMENTS, read_table, write_table

THREADS = {"index_recordings": 2, "segment_recordings": 2, "compute_scalograms": 2, "detect_calls": 2}
"""Threads of the rules whose time is told, as workflow/rules/*.smk give them; a run with fewer cores gives fewer."""

PER_SHARD = ("segment_recordings", "compute_scalograms", "detect_calls")
PER_SITE = ("reconcile_ledger", "summarise_activity", "report_site")
ONCE = ("index_recordings", "gather_survey", "report_survey", "all")
"""The rules of a whole run, by how often they run; Snakemake counts the target `all` as a job too."""

DEMO = "results/demo"
"""Where the workflow simulates the demo survey, as workflow/rules/common.smk says."""

STRETCHES = 15
"""Stretches of audio in the sample, at most."""

STRETCH_S = 4.0
"""Length of one, s: two of the chunks whose noise the gate estimates, cut where the gate would cut them."""

WARM_UP_S = 0.5
"""What is run first and not counted, s: filters and networks are made on first use."""

NEEDS = {
    "segment_recordings": "batpam.segments.gate",
    "compute_scalograms": "batpam.scalograms.shards, dask, h5py",
    "detect_calls": "batpam.detection.detect, h5py",
    "report_site": "batpam.reports.pages",
}
"""What a job of each rule loads before it does anything."""


@dataclass(frozen=True)
class Excluded:
    """Files that are not analysed, or not to their end: how many, and h of audio in what is left out."""

    files: int
    hours: float


@dataclass(frozen=True)
class Stage:
    """What a stage of a run takes.

    Attributes
    ----------
    jobs
        Jobs of it.
    at_once
        Jobs that run at a time.
    start_up_s
        What a job takes before it does anything, s.
    speed
        Seconds of audio that one job does in a second; None for work that does not grow with the audio.
    wall_s
        Time of all its jobs, s.
    """

    jobs: int
    at_once: int
    start_up_s: float
    speed: float | None
    wall_s: float


@dataclass(frozen=True)
class Estimate:
    """What the sample says of the survey.

    Attributes
    ----------
    stretches, sampled_s
        How many stretches were sampled, and how long they are together, s.
    share_kept
        Share of the audio that the gate kept.
    scalogram_bytes, detection_bytes
        Of the whole survey.
    most_bytes
        Of both, were all of the audio kept.
    detected_on
        ``cpu`` or ``cuda``.
    stages
        By name, in the order of the data.
    wall_s
        Of the run, one stage after the other, s.
    """

    stretches: int
    sampled_s: float
    share_kept: float
    scalogram_bytes: float
    detection_bytes: float
    most_bytes: float
    detected_on: str
    stages: dict[str, Stage]
    wall_s: float


@dataclass(frozen=True)
class Plan:
    """What a run on a survey would take.

    Attributes
    ----------
    sites, recorders, nights, files
        How many there are; files with those that are excluded.
    undated
        Files that do not tell when they began.
    hours, hours_to_analyse
        Audio in all files, and in what would be analysed, h.
    excluded
        What is left out, by reason. A file that was cut off is among them and analysed as far as it goes.
    shards, longest_shard_hours
        How many, and audio in the longest, h.
    jobs
        Of a run that starts with nothing.
    cores
        That the time is told for.
    results
        Folder of the results.
    bytes_there
        Scalograms and detections of these shards that lie there already.
    bytes_free
        On the disk of the results.
    bytes_missing
        By which that is too little; 0 if it will do.
    estimate
        None if there is nothing to analyse.
    """

    sites: int
    recorders: int
    nights: int
    files: int
    undated: int
    hours: float
    hours_to_analyse: float
    excluded: dict[str, Excluded]
    shards: int
    longest_shard_hours: float
    jobs: int
    cores: int
    results: str
    bytes_there: int
    bytes_free: int
    bytes_missing: float
    estimate: Estimate | None


def plan(
    settings: Config, deployments: Sequence[Deployment], model: Path, *, cores: int | None = None, results: Path
) -> Plan:
    """Look at the recordings of a survey, run the stages on a sample of them, and say what a run would take.

    Parameters
    ----------
    settings
        The settings of the run.
    deployments
        Rows of the site sheet.
    model
        Model file.
    cores
        Cores of the run; all of this machine if not given.
    results
        Folder that the results would be written to.

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        A folder is missing, or there is no recording at all.
    """
    _check_no_demo(deployments)
    cores = cores or _all_cores()
    began = time.perf_counter()
    table = list_recordings(
        deployments,
        shard_hours=settings.index.shard_hours,
        min_sample_rate=settings.index.min_sample_rate,
        workers=_threads("index_recordings", cores),
    )
    index_s = time.perf_counter() - began
    indexed = table[table["state"] == "indexed"]
    seconds = indexed["readable_samples"] / indexed["sample_rate_hz"]
    shards = seconds.groupby(indexed["shard"]).sum()
    sites = len({d.site for d in deployments})
    estimate = _estimate(indexed, shards, sites, index_s, settings, model, cores)
    there, free = _bytes_there(results, shards.index), _bytes_free(results)
    needed = estimate.scalogram_bytes + estimate.detection_bytes - there if estimate else 0.0
    return Plan(
        sites=sites,
        recorders=len({(d.site, d.recorder) for d in deployments}),
        nights=table["night"].nunique(),
        files=len(table),
        undated=int(table["night"].isna().sum()),
        hours=float(table["duration_s"].sum()) / 3600,
        hours_to_analyse=float(seconds.sum()) / 3600,
        excluded=_excluded(table),
        shards=len(shards),
        longest_shard_hours=float(shards.max()) / 3600 if len(shards) else 0.0,
        jobs=len(PER_SHARD) * len(shards) + len(PER_SITE) * sites + len(ONCE),
        cores=cores,
        results=str(results),
        bytes_there=there,
        bytes_free=free,
        bytes_missing=max(needed - free, 0.0),
        estimate=estimate,
    )


def _check_no_demo(deployments: Sequence[Deployment]) -> None:
    for d in deployments:
        if Path(d.recordings).is_relative_to(DEMO) and not Path(d.recordings).exists():
            raise UserError(
                "the recordings of the demo survey are not there yet, `snakemake --cores all` simulates them; "
                "to plan for your own, name their site sheet or folder in the configuration (config/README.md)"
            )


def _all_cores() -> int:
    """Cores that `snakemake --cores all` would take."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(rule: str, cores: int) -> int:
    return min(THREADS[rule], cores)


def _excluded(table: pd.DataFrame) -> dict[str, Excluded]:
    """What is left out by reason, the ends that are missing of files that were cut off among it."""
    lost = table["samples"].where(table["state"] == "excluded", table["samples"] - table["readable_samples"])
    reason = table["reason"].where(table["state"] == "excluded", "truncated")
    left_out = pd.DataFrame({"reason": reason, "hours": (lost / table["sample_rate_hz"]).fillna(0.0) / 3600})
    left_out = left_out[(table["state"] == "excluded") | (lost > 0)]
    return {str(name): Excluded(len(of), float(of.sum())) for name, of in left_out.groupby("reason")["hours"]}


def _bytes_there(results: Path, shards: Iterable[str]) -> int:
    places = [results / "scalograms" / f"{shard}.h5" for shard in shards]
    places += [results / "detections" / f"{place.stem}.parquet" for place in places]
    return sum(place.stat().st_size for place in places if place.is_file())


def _bytes_free(folder: Path) -> int:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _estimate(
    indexed: pd.DataFrame, shards: pd.Series, sites: int, index_s: float, settings: Config, model: Path, cores: int
) -> Estimate | None:
    """Run the stages on a sample and put what it takes to the size of the survey."""
    with tempfile.TemporaryDirectory(prefix="batpam-plan-") as temporary:
        folder = Path(temporary)
        sample = _cut_sample(indexed, folder)
        if sample.empty:
            return None
        run = _run_sample(sample, folder, settings, model, cores)
    start_up = {rule: _seconds_to_load(modules) for rule, modules in NEEDS.items()}
    audio = float(shards.sum())
    stages = {"index": Stage(1, 1, start_up["report_site"], None, start_up["report_site"] + index_s)}
    for name, rule in zip(("segment", "scalogram", "detect"), PER_SHARD, strict=True):
        # jobs on a GPU wait for one another there, however many cores there are
        at_once = 1 if rule == "detect_calls" and run.on == "cuda" else cores // _threads(rule, cores)
        at_once = min(at_once, len(shards))
        share = 1.0 if name == "segment" else run.share_kept
        jobs = start_up[rule] + shards.to_numpy() * share * run.seconds[rule]
        stages[name] = Stage(len(shards), at_once, start_up[rule], 1 / run.seconds[rule], _wall(jobs, at_once))
    per_site = np.full(sites, len(PER_SITE) * start_up["report_site"])
    once = 2 * start_up["report_site"]  # gather_survey, report_survey
    at_once = min(cores, sites)
    stages["tables and pages"] = Stage(
        len(PER_SITE) * sites + 2, at_once, start_up["report_site"], None, _wall(per_site, at_once) + once
    )
    return Estimate(
        stretches=len(sample),
        sampled_s=run.sampled_s,
        share_kept=run.share_kept,
        scalogram_bytes=audio * run.share_kept * run.scalogram_bytes,
        detection_bytes=audio * run.share_kept * run.detection_bytes,
        most_bytes=audio * (run.scalogram_bytes + run.detection_bytes),
        detected_on=run.on,
        stages=stages,
        wall_s=sum(stage.wall_s for stage in stages.values()),
    )


def _wall(jobs: np.ndarray, at_once: int) -> float:
    """Time that jobs of these lengths take, so many at a time, s: never less than the longest.

    Examples
    --------
    >>> _wall(np.array([4.0, 4.0, 4.0]), 2), _wall(np.array([9.0, 1.0]), 2), _wall(np.array([]), 2)
    (6.0, 9.0, 0.0)
    """
    return float(max(jobs.sum() / at_once, jobs.max(initial=0.0)))


def _seconds_to_load(modules: str) -> float:
    """Time for a new process to load modules, s."""
    began = time.perf_counter()
    # -P: a file of that name in the folder of the survey is not to be loaded
    subprocess.run([sys.executable, "-P", "-c", f"import {modules}"], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def _choose_stretches(seconds: np.ndarray) -> list[tuple[int, float]]:
    """Stretches that are spread evenly over the audio: the place of the recording and the start in it, s.

    Parameters
    ----------
    seconds
        Length of each recording, s.

    Examples
    --------
    >>> _choose_stretches(np.array([1.0, 3.0]))
    [(0, 0.0), (1, 0.0)]
    >>> len(_choose_stretches(np.array([36_000.0, 5.0])))
    15
    """
    if not len(seconds):
        return []
    begins = np.cumsum([0.0, *seconds])
    found = []
    for at in (np.arange(STRETCHES) + 0.5) / STRETCHES * begins[-1]:
        place = int(np.searchsorted(begins[:-1], at, side="right")) - 1
        into = min(at - begins[place], np.nextafter(seconds[place], 0))
        found.append((place, float(into // STRETCH_S * STRETCH_S)))
    return list(dict.fromkeys(found))  # in a short survey some are the same


def _cut_sample(indexed: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Copy stretches of the recordings into files of their own, as quick to read: rows of the schema MANIFEST."""
    rows = []
    seconds = (indexed["readable_samples"] / indexed["sample_rate_hz"]).to_numpy(float)
    for number, (place, begins) in enumerate(_choose_stretches(seconds)):
        row = indexed.iloc[place][MANIFEST.names].to_dict()
        start = round(begins * row["sample_rate_hz"])
        stop = min(round((begins + STRETCH_S) * row["sample_rate_hz"]), row["readable_samples"])
        try:
            with soundfile.SoundFile(row["path"]) as file:
                ending = "flac" if file.format == "FLAC" else "wav"
                subtype = file.subtype if ending == "flac" or file.subtype == "PCM_16" else "FLOAT"
                rate = file.samplerate
                file.seek(start)
                block = file.read(stop - start, dtype="float32" if subtype == "FLOAT" else "int32", always_2d=True)
        except (soundfile.LibsndfileError, OSError):  # the ledger of the run will say so
            continue
        if len(block) == 0:
            continue
        encoded = io.BytesIO()
        soundfile.write(encoded, block, rate, format=ending, subtype=subtype)
        path = folder / f"{number}.{ending}"
        path.write_bytes(encoded.getvalue())
        rows.append(
            row
            | {"recording": f"{number:016d}", "path": str(path), "samples": len(block), "readable_samples": len(block)}
        )
    return pd.DataFrame(rows, columns=MANIFEST.names)


@dataclass(frozen=True)
class _Run:
    """What the stages did to a sample; seconds and bytes are those per second of audio that a stage was given."""

    sampled_s: float
    share_kept: float
    seconds: dict[str, float]
    scalogram_bytes: float
    detection_bytes: float
    on: str


def _run_sample(sample: pd.DataFrame, folder: Path, settings: Config, model: Path, cores: int) -> _Run:
    """Run the stages on the sample as the rules would, after a warm-up on a little of every sample rate."""
    short = sample.drop_duplicates("sample_rate_hz")
    most = (short["sample_rate_hz"] * WARM_UP_S).round().astype(int)
    short = short.assign(readable_samples=short["readable_samples"].clip(upper=most))
    print(f"timing the stages on {len(sample)} stretches of the recordings", file=sys.stderr, flush=True)
    with redirect_stderr(io.StringIO()):  # what the stages say of their progress
        _run_stages(short, folder, settings, model, cores, keep_all=True)
        run = _run_stages(sample, folder, settings, model, cores)
        if run.share_kept == 0:  # what a second costs is still of use: for the most that may be needed
            run = replace(_run_stages(sample, folder, settings, model, cores, keep_all=True), share_kept=0.0)
    return run


def _run_stages(
    sample: pd.DataFrame, folder: Path, settings: Config, model: Path, cores: int, *, keep_all: bool = False
) -> _Run:
    from batpam.detection.detect import detect, pick_device
    from batpam.scalograms.shards import scalogram
    from batpam.segments.gate import segment

    manifest, segments, coverage = folder / "m.parquet", folder / "s.parquet", folder / "c.parquet"
    shard, detections = folder / "shard.h5", folder / "d.parquet"
    # where cuda is asked for and this machine has none, the time of the CPU is better than none
    device = "cpu" if settings.detect.device == "cpu" else "auto"
    write_table(sample, MANIFEST, manifest, {})
    sampled = float((sample["readable_samples"] / sample["sample_rate_hz"]).sum())
    spent = {
        "segment_recordings": _seconds(
            lambda: segment(
                manifest,
                segments,
                coverage,
                hop=settings.scalogram.hop,
                **settings.segment.model_dump(),
                workers=_threads("segment_recordings", cores),
            )
        )
    }
    if keep_all:
        write_table(_whole_segments(sample, settings.scalogram.hop), SEGMENTS, segments, {})
    found = read_table(segments)
    kept = float((found["last_hop"] - found["first_hop"]).sum()) * settings.scalogram.hop
    spent["compute_scalograms"] = _seconds(
        lambda: scalogram(
            manifest, segments, shard, settings=scalogram_settings(settings),
            workers=_threads("compute_scalograms", cores),
        )
    )  # fmt: skip
    spent["detect_calls"] = _seconds(
        lambda: detect(
            shard, manifest, model, detections, min_score=settings.detect.min_score, device=device,
            workers=_threads("detect_calls", cores),
        )
    )  # fmt: skip
    given = kept or np.inf
    return _Run(
        sampled_s=sampled,
        share_kept=min(kept / sampled, 1.0),
        seconds={rule: s / (sampled if rule == "segment_recordings" else given) for rule, s in spent.items()},
        scalogram_bytes=shard.stat().st_size / given,
        detection_bytes=detections.stat().st_size / given,
        on=pick_device(device).type,
    )


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _whole_segments(sample: pd.DataFrame, hop: float) -> list[dict[str, Any]]:
    """Segments that keep all of every recording."""
    rows = []
    for row in sample.itertuples():
        length = row.readable_samples / row.sample_rate_hz
        rows.append(
            {
                "recording": row.recording, "first_hop": 0, "last_hop": ceil(length / hop), "start_s": 0.0,
                "end_s": length, "read_samples": row.readable_samples,
            }
        )  # fmt: skip
    return rows


def show(found: Plan, *, as_json: bool = False) -> None:
    """Print a plan: a table on a terminal, aligned text elsewhere, or JSON; a disk that will not do on standard error."""
    if as_json:
        print(json.dumps(asdict(found)))
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for rows in (_facts(found), _stages(found)):
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            for row in rows:
                print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
            print()
        print(_remarks(found))
    if found.bytes_missing:
        print(
            f"warning: the disk of {found.results!r} is too small by about {_bytes(found.bytes_missing)}; free so much, "
            f"or let {found.results!r} be a link to a folder on a larger disk",
            file=sys.stderr,
        )


def _print_table(found: Plan) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    facts = Table(show_header=False, box=None, pad_edge=False)
    for row in _facts(found):
        facts.add_row(*map(Text, row))
    head, *stages = _stages(found) or [()]
    table = Table(*head, box=None, pad_edge=False)
    for stage in stages:
        table.add_row(*map(Text, stage))
    console.print(facts, "", *([table, ""] if stages else []), Text(_remarks(found)), sep="\n")


def _facts(found: Plan) -> list[tuple[str, str]]:
    rows = [
        ("audio", f"{_hours(found.hours)} in {_count(found.files, 'file')}"),
        (
            "recorded by",
            f"{_count(found.sites, 'site')}, {_count(found.recorders, 'recorder')}, {_count(found.nights, 'night')}"
            + (f"; {_count(found.undated, 'file')} without a time" if found.undated else ""),
        ),
        *(
            ("excluded", f"{_count(of.files, 'file')}, {_hours(of.hours)}: {REASONS[reason]}")
            for reason, of in found.excluded.items()
        ),
        ("to analyse", _hours(found.hours_to_analyse)),
        ("shards", f"{found.shards}" + (f", the longest {_hours(found.longest_shard_hours)}" if found.shards else "")),
        (
            "jobs",
            f"{found.jobs} ({len(PER_SHARD)} a shard, {len(PER_SITE)} a site, {len(ONCE)} for the survey) if nothing is done yet",
        ),
    ]
    there = f", where {_bytes(found.bytes_there)} of that lie already" if found.bytes_there else ""
    free = ("disk free", f"{_bytes(found.bytes_free)} on the disk of {found.results!r}{there}")
    if found.estimate is None:
        return [*rows, free]
    estimate = found.estimate
    return [
        *rows,
        (
            "kept by the gate",
            f"about {estimate.share_kept:.0%} (of {estimate.sampled_s:.0f} s that were sampled in "
            f"{_count(estimate.stretches, 'stretch', 'stretches')})",
        ),
        (
            "disk needed",
            f"about {_bytes(estimate.scalogram_bytes)} for scalograms, {_bytes(estimate.detection_bytes)} for detections; "
            f"{_bytes(estimate.most_bytes)} at most, if all were kept",
        ),
        free,
        ("time", f"about {_time(estimate.wall_s)} with {_count(found.cores, 'core')}"),
    ]


def _stages(found: Plan) -> list[tuple[str, ...]]:
    if found.estimate is None:
        return []
    head = ("stage", "jobs", "at once", "start-up", "speed of a job", "time")
    return [
        head,
        *(
            (
                name,
                str(stage.jobs),
                str(stage.at_once),
                f"{stage.start_up_s:.1f} s",
                "" if stage.speed is None else f"{stage.speed:.3g} x real time",
                _time(stage.wall_s),
            )
            for name, stage in found.estimate.stages.items()
        ),
    ]


def _remarks(found: Plan) -> str:
    if found.estimate is None:
        return "No audio could be sampled, so there is no telling how long a run takes or how much disk it needs."
    on_gpu = "Detection was timed on the GPU, where one job runs at a time. "
    return (
        "Times and sizes are estimates, from running the stages on the sample on this machine. They hold one stage after "
        "the other and jobs that do not slow each other down; a slow disk takes longer. "
        f"{on_gpu if found.estimate.detected_on == 'cuda' else ''}"
        "The speed of scalogram and detect is by the audio that was kept; tables and pages count as their start-up."
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _bytes(number: float) -> str:
    """Bytes for people.

    Examples
    --------
    >>> _bytes(999), _bytes(19_234_567), _bytes(2.5e12)
    ('999 B', '19.2 MB', '2.5 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.{0 if unit == 'B' else 1}f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _time(seconds: float) -> str:
    """A time for people.

    Examples
    --------
    >>> _time(42), _time(600), _time(9000), _time(400_000)
    ('42 s', '10.0 min', '2.5 h', '4.6 days')
    """
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
