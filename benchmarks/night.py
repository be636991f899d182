"""Time the whole way from WAV to report on simulated nights, a tenth of whose audio holds bats.

    python benchmarks/night.py                     one hour of audio
    python benchmarks/night.py --minutes 10 60 240 is the cost linear?

Prints a table of the wall clock of the workflow with all start-up, of the largest process in it, and of the time its
rules took. The nights are made in FOLDER (build/nights if not given) and kept there, 2.8 GB an hour; results are not.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from batpam.simulate import confusers, soundscapes
from batpam.simulate.calls import call_sequence, loudest_frequency
from batpam.simulate.propagation import piston_radius
from batpam.simulate.soundscapes import Flight, Recorder, hear_call
from batpam.simulate.survey import write_wav

RATE = 384_000
FILE_S = 60
SHARE_WITH_BATS = 0.1
PASS_S = 4.0
EVENING = datetime(2024, 6, 1, 21, 30)
BATS = ("Ppip", "Ppyg", "Nnoc", "Eser", "Mdau", "Mnat", "Paur", "Rhip")
RECORDER = Recorder(sample_rate=RATE, full_scale=96.0, noise=-8.0, roll_off=80_000)


def make_night(folder: Path, minutes: int) -> Path:
    """Write a night of one site, if it is not there: ``minutes`` files of a minute each."""
    site = folder / f"{minutes}min" / "meadow"
    site.mkdir(parents=True, exist_ok=True)
    missing = [(site, number) for number in range(minutes) if not _path(site, number).exists()]
    with multiprocessing.get_context("spawn").Pool() as pool:
        pool.starmap(_make_file, missing, chunksize=1)
    return site.parent


def _path(site: Path, number: int) -> Path:
    return site / f"{EVENING + timedelta(minutes=number):%Y%m%d_%H%M%S}.wav"


def _make_file(site: Path, number: int) -> None:
    """A minute: noise, bats for a tenth of it on average, a bush-cricket in one of four, clicks in one of ten."""
    rng = np.random.default_rng([7, number])
    samples = np.zeros(FILE_S * RATE)
    floor = RECORDER.noise - RECORDER.full_scale + 30
    if rng.random() < 0.25:
        confusers.add_insect(samples, "Pholidoptera griseoaptera", floor + rng.uniform(5, 20), RECORDER, rng)
    if rng.random() < 0.1:
        confusers.add_clicks(samples, rng.uniform(0.1, 1), floor + rng.uniform(10, 30), RATE, rng)
    for _ in range(rng.poisson(SHARE_WITH_BATS * FILE_S / PASS_S)):
        begins = rng.uniform(0, FILE_S - PASS_S)
        calls = call_sequence(rng.choice(BATS), PASS_S, rng)
        flight = Flight(
            closest=float(np.exp(rng.uniform(np.log(2.5), np.log(12)))),
            at=begins + PASS_S / 2,
            speed=rng.uniform(3, 8),
            beam=piston_radius(np.deg2rad(30), loudest_frequency(calls)),
        )
        for call in calls:
            hear_call(samples, replace(call, start=begins + call.start), flight, RECORDER, rng, echoes=0.5)
    samples += soundscapes.self_noise(len(samples), RECORDER, rng)
    write_wav(_path(site, number), soundscapes.to_pcm16(samples), RATE)


def run_workflow(recordings: Path, work: Path, cores: int) -> tuple[float, float, pd.DataFrame]:
    """Run the workflow in an empty folder: wall clock (s), memory of its largest process (MB), and time per rule."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [
        "snakemake", "--cores", str(cores), "--snakefile", str(Path(__file__).parents[1] / "Snakefile"),
        "--directory", str(work),
    ]  # fmt: skip
    (work / "config").mkdir()
    (work / "config" / "config.yaml").write_text(f"recordings: {recordings}\ntimezone: Europe/London\n")
    # in a process of its own, so that its largest descendant can be told from those of other runs
    began = time.perf_counter()
    with (work / "snakemake.log").open("w") as log:
        child = os.fork()
        if child == 0:
            done = subprocess.run(command, stdout=log, stderr=log)
            (work / "peak").write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3))
            os._exit(done.returncode)
    status = os.waitpid(child, 0)[1]
    wall = time.perf_counter() - began
    if status:
        sys.exit(f"the workflow failed, see {work / 'snakemake.log'}")
    rows = [
        {"rule": table.parent.name, **pd.read_csv(table, sep="\t").iloc[0][["s", "max_rss"]]}
        for table in sorted((work / "benchmarks").glob("*/*.tsv"))
    ]
    rules = pd.DataFrame(rows).groupby("rule").agg(jobs=("s", "size"), seconds=("s", "sum"), max_mb=("max_rss", "max"))
    return wall, float((work / "peak").read_text()), rules


def main() -> None:
    """Make the nights, run the workflow on each, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, nargs="+", default=[60])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/nights"))
    options = parser.parse_args()
    nights = {minutes: make_night(options.folder.absolute(), minutes) for minutes in options.minutes}
    walls: dict[int, list[float]] = {minutes: [] for minutes in nights}
    for turn in range(options.repeat):  # lengths take turns, so that a noisy machine is so to all
        for minutes, recordings in nights.items():
            work = options.folder.absolute() / "work"
            wall, peak, rules = run_workflow(recordings, work, options.cores)
            walls[minutes].append(wall)
            print(f"{minutes} min, run {turn + 1}: {wall:.1f} s, largest process {peak:.0f} MB", flush=True)
            if turn == 0:
                print(rules.round(1).to_string(), "\n", flush=True)
    print(f"{'audio':>8} {'wall (median)':>14} {'x real time':>12}   {options.cores} cores, {options.repeat} runs")
    for minutes, times in walls.items():
        print(f"{minutes:>6}min {np.median(times):>13.1f}s {minutes * 60 / np.median(times):>12.0f}")


if __name__ == "__main__":
    main()
