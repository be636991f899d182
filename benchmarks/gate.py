"""The activity gate: what it costs, how many calls it keeps and how much silence it drops.

    python benchmarks/gate.py [--quick] [--only speed | simulated | real]

Speed: simulated recordings are screened and transformed, in turn. Simulated: passes of bats at levels from far below
the noise to far above it, alone, with the song of a bush-cricket and with clicks, at several thresholds. Real: the
labelled recordings in FOLDER, ../shared/recordings beside the repository if not given; skipped where it is absent.

Levels of simulated calls are their peak (``Heard.level``) over the recorder's nominal self-noise in a band of 1 kHz, the
same for every frequency and scene. They are not ``Heard.snr``, which is over the noise that is really there, in a band
that grows with the frequency, less what a steep sweep loses in it: the gate is asked what it keeps of calls as loud as
these, sweeps and all.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from night import BATS, RATE, RECORDER

from batpam.config import SegmentConfig
from batpam.recordings.audio import open_recording, probe
from batpam.scalograms.settings import ScalogramSettings, hop_grid
from batpam.scalograms.transform import read_power
from batpam.segments.gate import CHUNK_S, chunks, screen_recordings, to_segments
from batpam.simulate import confusers, soundscapes
from batpam.simulate.calls import call_sequence, loudest_frequency, species_names
from batpam.simulate.propagation import piston_radius
from batpam.simulate.soundscapes import Flight, Heard, hear_call
from batpam.simulate.survey import write_wav

SETTINGS = ScalogramSettings()
GATE = SegmentConfig()
THRESHOLDS = (5.0, 6.0, 7.0, 9.0, 12.0)
CODES = (*BATS, "Bbar", "Nlei", "Rfer")

RECORDING_S = 20.0
PASSES = 3
PASS_S = 2.0
LEVELS = (-5.0, 40.0)
"""Median of the calls of a pass over the self-noise in a band of 1 kHz, dB; drawn evenly."""

AUDIBLE_DB = 5.0
"""Time near calls of at least this level does not count as silence."""

EDGES = [-np.inf, 5, 10, 15, 20, 25, 35, np.inf]
BINS = ["< 5", "5-10", "10-15", "15-20", "20-25", "25-35", "> 35"]
FLOOR = RECORDER.noise - RECORDER.full_scale + 30
"""Self-noise in a band of 1 kHz, dB re full scale."""

LABEL_S = 0.005
"""Of a label that gives a position and no end: the call counts as within this of it, s."""

SPEED_COLUMNS = """\
ms/s: wall clock per second of audio, median of the rounds. x real time: its inverse. cores: how many it kept busy.
per core: seconds of audio per second of processor time. The gate reads in one thread and screens in one or two more,
which take turns where there are fewer cores."""

SIMULATED_COLUMNS = """\
dB: the threshold. padding: {padding:g} s as by default, with which a call is kept if its middle is; or none, with which
it is kept if the gate itself flagged any part of it. Levels: share of calls kept, %, by their level over the nominal
self-noise in a band of 1 kHz. What noise there is in the recordings lies {low:.0f} to {high:.0f} dB above that, so a
call of 10 dB stands {least:.0f} to {most:.0f} dB above it; song and clicks come on top of it. silence: share dropped, %,
of the time farther than {padding:g} s from every call of {audible:g} dB or more."""

REAL_COLUMNS = """\
labels: 'events' are all that can be heard, bats, insects and noise, so what remains is empty; 'positions' are those of
some calls; 'file' only says which bat is in it. Columns with numbers: thresholds, dB; shares in %. Remaining is the
time farther than {padding:g} s from every label; where the labels are of files, it is all of the file, calls and all."""


@dataclass(frozen=True)
class Row:
    """What the gate wants to know of a recording; the rate is the real one, Hz."""

    path: Path
    sample_rate_hz: float
    readable_samples: int
    channel: int = 1
    untriggered_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Duration in real time, s."""
        return self.readable_samples / self.sample_rate_hz


def simulate(seed: int) -> tuple[np.ndarray, list[tuple[str, Heard]]]:
    """A recording with three passes in known places: samples of full scale 1, and species and truth of each call."""
    rng = np.random.default_rng([11, seed])
    samples = soundscapes.self_noise(int(RECORDING_S * RATE), RECORDER, rng).astype(float)
    part = RECORDING_S / PASSES
    truth = []
    for number in range(PASSES):
        code = str(rng.choice(CODES))
        begins = number * part + rng.uniform(0, part - PASS_S)
        truth += [(code, heard) for heard in add_pass(samples, code, begins, rng.uniform(*LEVELS), rng)]
    return samples, truth


def add_pass(samples: np.ndarray, code: str, begins: float, level: float, rng: np.random.Generator) -> list[Heard]:
    """Add a pass whose calls have a median of ``level`` dB over the self-noise; calls spread around it as bats do."""
    calls = [replace(call, start=begins + call.start) for call in call_sequence(code, PASS_S, rng)]
    flight = Flight(
        closest=float(np.exp(rng.uniform(np.log(2.5), np.log(12)))),
        at=begins + PASS_S / 2,
        speed=rng.uniform(3, 8),
        beam=piston_radius(np.deg2rad(30), loudest_frequency(calls)),
    )
    rehearsal = np.zeros_like(samples)
    tried = [hear_call(rehearsal, call, flight, RECORDER, rng, echoes=0) for call in calls]
    offset = level - np.median([over_nominal(heard) for heard in tried if heard] or [level])
    louder = (replace(call, level=call.level + offset) for call in calls)
    heard = [hear_call(samples, call, flight, RECORDER, rng, echoes=0.5) for call in louder]
    return [one for one in heard if one]


def over_nominal(heard: Heard) -> float:
    """Level of a call over the nominal self-noise in a band of 1 kHz, dB."""
    return heard.level - FLOOR


def plain(samples: np.ndarray, seed: int) -> None:
    """Leave the recording as it is."""


def add_song(samples: np.ndarray, seed: int) -> None:
    """One bush-cricket, its pulses peaking 20 to 50 dB over the self-noise in 1 kHz: from hardly audible to near."""
    rng = np.random.default_rng([12, seed])
    species = str(rng.choice(confusers.insect_songs()["species"]))
    confusers.add_insect(samples, species, FLOOR + rng.uniform(20, 50), RECORDER, rng)


def add_clicks(samples: np.ndarray, seed: int) -> None:
    """A click every 1 to 10 s, 10 to 30 dB over the self-noise."""
    rng = np.random.default_rng([13, seed])
    confusers.add_clicks(samples, rng.uniform(0.1, 1), FLOOR + rng.uniform(10, 30), RATE, rng)


SCENES: dict[str, Callable[[np.ndarray, int], None]] = {
    "bats in self-noise": plain,
    "with bush-cricket song": add_song,
    "with clicks": add_clicks,
}


def write(folder: Path, name: str, samples: np.ndarray) -> Row:
    """Write a recording as a recorder would."""
    path = folder / f"{name}.wav"
    write_wav(path, soundscapes.to_pcm16(samples), RATE)
    return Row(path, RATE, len(samples))


def spans(row: Row, threshold: float) -> Iterator[tuple[str, np.ndarray]]:
    """What is kept of a recording, with padding and without: arrays of (start, end) in s."""
    ((_, flagged, samples, _, _),) = screen_recordings([row], f_min=GATE.f_min, threshold_db=threshold)
    padded = to_segments(flagged, row.sample_rate_hz, samples, hop=SETTINGS.hop, padding=GATE.padding)
    yield f"{GATE.padding:g} s", np.array(padded, float).reshape(-1, 2) * SETTINGS.hop
    yield "none", np.array(flagged, float).reshape(-1, 2)


def overlapped(kept: np.ndarray, start: float, end: float) -> bool:
    """Whether any stretch that is kept overlaps that time."""
    return bool(((kept[:, 0] <= end) & (kept[:, 1] >= start)).any())


def holds(kept: np.ndarray, padding: str, start: float, end: float) -> bool:
    """Whether a call counts as kept: its middle with padding, any part of it without."""
    return overlapped(kept, start, end) if padding == "none" else overlapped(kept, *[(start + end) / 2] * 2)


def within(stretches: np.ndarray, seconds: float) -> np.ndarray:
    """Hops that lie in any of the stretches."""
    mask = np.zeros(max(round(seconds / SETTINGS.hop), 1), bool)
    for start, end in stretches:
        mask[max(int(start / SETTINGS.hop), 0) : max(ceil(end / SETTINGS.hop), 0)] = True
    return mask


def measure(row: Row, events: np.ndarray, audible: np.ndarray, **names: object) -> tuple[list[dict], list[dict]]:
    """Screen a recording at all thresholds: one row per event, and one per threshold of the time without events.

    Parameters
    ----------
    events
        Start and end of each call, s, shape (n, 2).
    audible
        Which of them, padded, do not count as remaining time.
    names
        Columns that both get.
    """
    rest = ~within(events[audible] + np.array([-GATE.padding, GATE.padding]), row.seconds)
    kept_rows, time_rows = [], []
    for threshold in THRESHOLDS:
        for padding, kept in spans(row, threshold):
            columns = {**names, "dB": threshold, "padding": padding}
            for number, (start, end) in enumerate(events):
                kept_rows.append({**columns, "event": number, "kept": holds(kept, padding, start, end)})
            dropped = rest & ~within(kept, row.seconds)
            time_rows.append({**columns, "rest": rest.sum() * SETTINGS.hop, "dropped": dropped.sum() * SETTINGS.hop})
    return kept_rows, time_rows


def screen_simulated(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a recording and screen it in every scene; calls and time as of :func:`measure`."""
    quiet, truth = simulate(seed)
    events = np.array([(heard.start, heard.end) for _, heard in truth]).reshape(-1, 2)
    level = np.array([over_nominal(heard) for _, heard in truth])
    calls, times = [], []
    with TemporaryDirectory() as folder:
        for scene, add in SCENES.items():
            samples = quiet.copy()
            add(samples, seed)
            row = write(Path(folder), "recording", samples)
            kept, rest = measure(row, events, level >= AUDIBLE_DB, scene=scene)
            calls, times = calls + kept, times + rest
    table = pd.DataFrame(calls)
    table["level_db"] = level[table["event"]]
    table["species"] = np.array([species_names()[code] for code, _ in truth])[table["event"]]
    return table, pd.DataFrame(times)


def noise_over_nominal() -> tuple[float, float]:
    """Noise of a recording over its nominal level: least and most of the bands of 1 kHz from 10 to 120 kHz, dB."""
    noise = soundscapes.self_noise(4 * RATE, RECORDER, np.random.default_rng(0)).astype(float)
    power = 2 * np.abs(np.fft.rfft(noise)[: 120 * 4000]) ** 2 / len(noise) ** 2  # mean square
    bands = 10 * np.log10(2 * power.reshape(120, 4000).sum(axis=1)[10:])  # re a sine of full scale
    return float(bands.min() - FLOOR), float(bands.max() - FLOOR)


def simulated(recordings: int, cores: int) -> None:
    """Print what is kept of simulated calls and dropped of silence."""
    with get_context("spawn").Pool(cores) as pool:
        parts = pool.map(screen_simulated, range(recordings), chunksize=1)
    calls, times = (pd.concat(tables) for tables in zip(*parts, strict=True))
    calls["level"] = pd.cut(calls["level_db"], EDGES, labels=BINS, right=False)
    seconds = times["rest"].sum() / (len(SCENES) * len(THRESHOLDS) * 2)
    print(f"Simulated: {recordings} recordings of {RECORDING_S:g} s, {seconds:.0f} s of silence in them.")
    low, high = noise_over_nominal()
    print(
        SIMULATED_COLUMNS.format(
            padding=GATE.padding, audible=AUDIBLE_DB, low=low, high=high, least=10 - high, most=10 - low
        ),
        "\n",
    )
    for scene in SCENES:
        own = calls[calls["scene"] == scene]
        table = shares(own, ["padding", "dB"], "level")
        time_rows = times[times["scene"] == scene].groupby(["padding", "dB"])[["dropped", "rest"]].sum()
        table["silence"] = 100 * time_rows["dropped"] / time_rows["rest"]
        print(f"{scene}\n{show(table)}\n")
    one = calls[(calls["dB"] == GATE.threshold_db) & (calls["scene"] == next(iter(SCENES)))]
    alone = one[one["padding"] == "none"]
    count = alone["level"].value_counts().reindex(BINS)
    print("Calls in these columns:", ", ".join(f"{level}: {n}" for level, n in count.items()), "\n")
    print(f"By species, {next(iter(SCENES))}, {GATE.threshold_db:g} dB, without padding")
    print(show(shares(alone, ["species"], "level").assign(calls=alone.groupby("species").size().astype(str))), "\n")


def shares(calls: pd.DataFrame, rows: list[str], columns: str) -> pd.DataFrame:
    """Share of calls that are kept, %."""
    return 100 * calls.pivot_table("kept", rows, columns, aggfunc="mean", observed=False)


def show(table: pd.DataFrame) -> str:
    """Table as text, one decimal."""
    table.columns.name = None
    table = table.rename_axis(columns=None).reset_index()
    shown = {name: "{:g}".format for name in ("dB",) if name in table}
    return table.to_string(index=False, float_format="{:.1f}".format, na_rep="-", formatters=shown)


def labelled_rows(folder: Path) -> Iterator[tuple[str, str, Row, pd.DataFrame]]:
    """The labelled recordings: set, kind of label, recording at its real rate, and its events."""
    labels = pd.read_csv(folder / "labels.csv", keep_default_na=False)
    events = pd.read_csv(folder / "events.csv")
    for label in labels[labels["file"].str.startswith("labelled/")].itertuples():
        info = probe(folder / label.file)
        kind = {"events, exhaustive": "events", "call positions, not exhaustive": "positions"}.get(label.kind, "file")
        kind = "no bats" if label.species == "(no bat)" else kind
        # of the stereo ones the bats are in channel 2
        row = Row(folder / label.file, info.rate * float(label.time_expansion), info.readable, info.channels)
        yield Path(label.file).parts[1], kind, row, events[events["file"] == label.file]


def real(folder: Path) -> None:
    """Print what is kept of labelled events and dropped of the remaining time."""
    if not (folder / "labels.csv").is_file():
        print(f"Real recordings: skipped, there is no labels.csv in {folder}")
        return
    others = {*confusers.insect_songs()["species"], "noise"}
    kept, times, files = [], [], []
    for name, kind, row, events in labelled_rows(folder):
        names = {"set": name, "labels": kind}
        start, end = events["start_s"].to_numpy(), events["end_s"].to_numpy()
        stretches = np.column_stack([start - LABEL_S * np.isnan(end), np.where(np.isnan(end), start + LABEL_S, end)])
        bat = ~events["species"].isin(others).to_numpy()
        own, rest = measure(row, stretches, np.ones(len(events), bool), **names)
        kept += [{**one, "what": "bats" if bat[one["event"]] else "insects, noise"} for one in own]
        times += rest
        files.append({**names, "seconds": row.seconds})
    print_real(pd.DataFrame(kept), pd.DataFrame(times), pd.DataFrame(files))


def print_real(kept: pd.DataFrame, times: pd.DataFrame, files: pd.DataFrame) -> None:
    """Print the tables of the real recordings, thresholds side by side."""
    print(f"Real recordings: {len(files)} files, {files['seconds'].sum():.0f} s.")
    print(REAL_COLUMNS.format(padding=GATE.padding), "\n")
    events = shares(kept, ["set", "what", "padding"], "dB")
    count = kept.groupby(["set", "what", "padding"]).size() // len(THRESHOLDS)
    events.columns = [f"{column:g}" for column in events.columns]
    events.insert(0, "events", count.astype(str))
    print(f"Events kept\n{show(events)}\n")
    total = times.groupby(["set", "labels", "padding", "dB"])[["dropped", "rest"]].sum().unstack("dB")
    rest = 100 * total["dropped"] / total["rest"]
    rest.columns = [f"{column:g}" for column in rest.columns]
    group = [rest.index.get_level_values(level) for level in ("set", "labels")]
    seconds = files.groupby(["set", "labels"])["seconds"].agg(["size", "sum"])
    rest.insert(0, "files", [str(seconds.at[key, "size"]) for key in zip(*group, strict=True)])
    rest.insert(1, "s", [f"{seconds.at[key, 'sum']:.1f}" for key in zip(*group, strict=True)])
    rest.insert(2, "remaining", [f"{value:.1f}" for value in total["rest"].iloc[:, 0]])
    print(f"Remaining time dropped\n{show(rest)}\n")


def read_all(row: Row) -> None:
    """Read a recording in chunks as the gate does."""
    for _ in chunks(row.path, row.channel, row.readable_samples, round(CHUNK_S * row.sample_rate_hz)):
        pass


def screen(rows: list[Row], workers: int) -> None:
    """Read and screen recordings."""
    for _ in screen_recordings(rows, f_min=GATE.f_min, threshold_db=GATE.threshold_db, workers=workers):
        pass


def transform(row: Row) -> None:
    """Read and transform a whole recording."""
    hops = ceil(row.readable_samples / hop_grid(row.sample_rate_hz, SETTINGS.hop))
    with open_recording(row.path, row.channel, row.readable_samples) as recording:
        read_power(recording.read, row.sample_rate_hz, 0, hops, SETTINGS)


def in_threads(run: Callable[[Row], None], rows: list[Row], workers: int) -> None:
    """Run over recordings in threads."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, rows))


def speed(recordings: int, rounds: int) -> None:
    """Print what the gate costs, and the transform."""
    with TemporaryDirectory() as folder:
        rows = [write(Path(folder), str(seed), simulate(seed)[0]) for seed in range(recordings)]
        few = rows[:4]
        ways: dict[str, tuple[list[Row], Callable[[], object]]] = {
            "reading": (rows, lambda: in_threads(read_all, rows, 1)),
            "gate, 1 worker": (rows, lambda: screen(rows, 1)),
            "gate, 2 workers": (rows, lambda: screen(rows, 2)),
            "transform, 1 thread": (few, lambda: in_threads(transform, few, 1)),
            "transform, 2 threads": (few, lambda: in_threads(transform, few, 2)),
        }
        for _, run in ways.values():  # compiles, plans, and fetches the files
            run()
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        given = []
        for _ in range(rounds):  # in turn, so that a noisy machine is so to all
            for name, (_, run) in ways.items():
                times[name].append(clock(run))
            wall, cpu = clock(hash_in_two_threads)
            given.append(cpu / wall)
    table = []
    for name, (own, _) in ways.items():
        audio = sum(row.seconds for row in own)
        wall, cpu = np.median(times[name], axis=0)
        table.append(
            {
                "what": name, "ms/s": f"{1000 * wall / audio:.2f}", "x real time": f"{audio / wall:.0f}",
                "cores": f"{cpu / wall:.2f}", "per core": f"{audio / cpu:.0f}",
            }
        )  # fmt: skip
    print(f"Speed: {recordings} recordings of {RECORDING_S:g} s at {RATE / 1000:g} kHz, {rounds} rounds.")
    print(f"{SPEED_COLUMNS}\n\n{pd.DataFrame(table).to_string(index=False)}\n")
    print(f"Two threads that share nothing were given {np.median(given):.2f} cores by the machine in between.")
    cost = [float(table[line]["ms/s"]) for line in (1, 3)]
    print(f"The gate costs {100 * cost[0] / cost[1]:.0f} % of the transform: it pays once it drops more than that.\n")


def hash_in_two_threads() -> None:
    """Something that keeps two cores busy if there are two to be had."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda content: sha256(content).digest(), [bytes(200_000_000)] * 2))


def clock(run: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and processor time of a call, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few recordings, three rounds")
    parser.add_argument("--only", choices=("speed", "simulated", "real"))
    parser.add_argument("--cores", type=int, default=2, help="processes that simulate")
    parser.add_argument(
        "--recordings", type=Path, metavar="FOLDER", default=Path(__file__).parents[1] / "../shared/recordings"
    )
    options = parser.parse_args()
    if options.only in (None, "speed"):
        speed(4 if options.quick else 12, 3 if options.quick else 9)
    if options.only in (None, "simulated"):
        simulated(6 if options.quick else 60, options.cores)
    if options.only in (None, "real"):
        real(options.recordings)


if __name__ == "__main__":
    main()
