"""Times real time of detection on one core, from the shard to the table of calls, and where the time goes.

    python benchmarks/detection.py [--seconds 300] [--rounds 7] [--model europe.safetensors]

A recording is simulated, all of it is kept, and its shard is written once. Then `batpam detect` runs on it again and
again with one worker, in a process of its own that may use one core and no other; start-up and a first round, which
loads and compiles, are left out.
"""

import argparse
import contextlib
import functools
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from night import RATE
from shards import show, simulate, write_recording

from batpam.models.files import load_model, read_card, shipped_model
from batpam.models.settings import GRID_HOPS
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import scalogram
from batpam.tables import read_table

MIN_SCORE = 0.1
"""As by default in a survey."""

READING, NETWORK, CALLS, REST = "reading the shard", "network", "calls and their measures", "model, table, writing"
PARTS = (READING, NETWORK, CALLS, REST)

COLUMNS = """\
ms/s: per second of audio, median of the rounds, on the clock; parts are medians of their own and need not add up. x real
time: seconds of audio per second. network: its layers, and the edges they are given. calls: from the network's grid to
calls with times, frequencies, levels and scores. model, table, writing: all that is left."""


def make_shard(folder: Path, seconds: int, minutes: int, settings: ScalogramSettings) -> float:
    """Write a recording of so many times so many seconds, and its shard; return seconds of audio."""
    write_recording(folder, minutes, simulate(seconds), settings)
    files = folder / "manifest.parquet", folder / "segments.parquet", folder / "shard.h5"
    with silent():
        scalogram(*files, settings=settings, workers=os.cpu_count() or 1)
    return float(read_table(folder / "segments.parquet")["end_s"].sum())


@contextlib.contextmanager
def silent() -> Any:
    """Drop what is said of progress."""
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stderr(nothing):
        yield


class Clock:
    """Time spent in functions, by part; what one part spends in another counts for the other."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.inside: list[float] = []

    def times(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        @functools.wraps(work)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.inside.append(0.0)
            began = time.perf_counter()
            try:
                return work(*arguments, **options)
            finally:
                took = time.perf_counter() - began
                self.spent[part] += took - self.inside.pop()
                if self.inside:
                    self.inside[-1] += took

        return timed


def run_rounds(folder: Path, model: Path, rounds: int, core: int | None, pipe: Connection) -> None:
    """Body of a process: detect on one core; send for every round its time, and that of the parts, s."""
    if core is not None:
        os.sched_setaffinity(0, {core})  # before torch counts the cores
    from batpam.detection import detect
    from batpam.scalograms.shards import Shard

    clock = Clock()
    Shard.power = clock.times(READING, Shard.power)  # type: ignore[method-assign]
    detect.find_calls = clock.times(NETWORK, detect.find_calls)
    for name in ("decode", "measure_calls"):  # the first is called by find_calls
        setattr(detect, name, clock.times(CALLS, getattr(detect, name)))
    files = folder / "shard.h5", folder / "manifest.parquet", model, folder / "calls.parquet"
    with silent():
        for turn in range(rounds + 1):
            clock.spent = dict.fromkeys(PARTS, 0.0)
            began, cpu = time.perf_counter(), time.process_time()
            detect.detect(*files, min_score=MIN_SCORE, device="cpu", workers=1)
            whole = time.perf_counter() - began
            clock.spent[REST] = whole - sum(clock.spent.values())
            if turn:
                pipe.send({"whole": whole, "cpu": time.process_time() - cpu, **clock.spent})
    pipe.send(None)


def detect_on_one_core(folder: Path, model: Path, rounds: int, core: int | None) -> pd.DataFrame:
    """Time of every round in a fresh process, s."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_rounds, args=(folder, model, rounds, core, there))
    process.start()
    there.close()
    try:
        answers = list(iter(here.recv, None))
    except EOFError:
        raise SystemExit("detection failed") from None
    finally:
        process.join()
    return pd.DataFrame(answers)


def size_of(model: Path) -> tuple[int, float]:
    """Parameters of a network, and millions of multiplications and additions per second of audio."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network, card = load_model(model)
    hops = 100 * GRID_HOPS
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, hops, card.scalogram.voices))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2e6 / (hops * card.scalogram.hop)


def main() -> None:
    """Make the shard, detect on one core, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="audio of the shard, s; whole minutes beyond one")
    parser.add_argument("--rounds", type=int, default=7, help="how often it runs on it")
    parser.add_argument("--model", type=Path, default=shipped_model(), help="model file, the shipped one if not given")
    parser.add_argument("--core", type=int, help="number of the core; the last of those that may be used if not given")
    options = parser.parse_args()
    core = options.core
    if core is None and hasattr(os, "sched_getaffinity"):
        core = max(os.sched_getaffinity(0))
    settings = read_card(options.model).scalogram
    with TemporaryDirectory() as place:
        # a minute again and again: simulating takes longer than all the rest
        times = max(round(options.seconds / 60), 1)
        audio = make_shard(Path(place), min(options.seconds, 60), times, settings)
        took = detect_on_one_core(Path(place), options.model, options.rounds, core)
        calls = len(read_table(Path(place) / "calls.parquet"))
    per_second = 1000 / audio
    median = took.median()
    rows = [
        {"what": "whole", "ms/s": per_second * median["whole"], "x real time": f"{audio / median['whole']:.0f}"},
        *({"what": part, "ms/s": per_second * median[part], "x real time": ""} for part in PARTS),
    ]
    parameters, operations = size_of(options.model)
    where = "not held to one core: this system has no means" if core is None else f"core {core}"
    print(
        f"Detection: {audio:.0f} s of audio at {RATE / 1000:g} kHz, all kept; {calls} calls of {MIN_SCORE:g} and above,"
    )
    print(f"{calls / audio:.1f} a second; median of {options.rounds} rounds, {where}.\n{COLUMNS}\n")
    print(show(pd.DataFrame(rows), {"ms/s": 2}))
    least, most = per_second * took["whole"].min(), per_second * took["whole"].max()
    share, cpu = np.median(took["cpu"] / took["whole"]), per_second * median["cpu"]
    print(f"\nRounds took {least:.2f} to {most:.2f} ms/s; the machine gave {share:.2f} of the core.")
    print(f"Processor time: {cpu:.2f} ms/s, {1000 / cpu:.0f} x real time.")
    print(f"Network: {parameters} parameters, {operations:.0f} million multiply-adds per second of audio.")


if __name__ == "__main__":
    main()
