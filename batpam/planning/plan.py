"""What a run would take: hours, files, shards, jobs, disk and time, said before anything starts.

Counts come from the headers of the recordings, read as the index reads them. How much the gate keeps, how large it gets and
how long it takes come from a sample of the recordings, on which the stages themselves are run on this machine. Nothing
is written but a temporary folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from batpam.config import Config
from batpam.errors import UserError
from batpam.planning.sample import cut_sample, run_sample, threads_of
from batpam.recordings.index import list_recordings
from batpam.survey import Deployment

PER_SHARD = ("segment_recordings", "compute_scalograms", "detect_calls")
PER_SITE = ("reconcile_ledger", "assess_recorders", "summarise_activity", "report_site")
ONCE = ("index_recordings", "gather_survey", "check_coverage", "report_survey", "all")
"""The rules of a whole run, by how often they run; Snakemake counts the target `all` as a job too."""

DEMO = "results/demo"
"""Where the workflow simulates the demo survey, as workflow/rules/common.smk says."""

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
        **settings.index.model_dump(),
        workers=threads_of("index_recordings", cores),
    ).to_pandas()
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
        sample = cut_sample(indexed, folder)
        if sample.empty:
            return None
        run = run_sample(sample, folder, settings, model, cores)
    start_up = {rule: _seconds_to_load(modules) for rule, modules in NEEDS.items()}
    audio = float(shards.sum())
    stages = {"index": Stage(1, 1, start_up["report_site"], None, start_up["report_site"] + index_s)}
    for name, rule in zip(("segment", "scalogram", "detect"), PER_SHARD, strict=True):
        # jobs on a GPU wait for one another there, however many cores there are
        at_once = 1 if rule == "detect_calls" and run.on == "cuda" else cores // threads_of(rule, cores)
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
