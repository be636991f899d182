"""What the storage of scalograms costs: codecs for the power, what its coding loses, and the stage that writes it.

    pip install -r benchmarks/requirements.txt
    python benchmarks/shards.py [--quick] [--only codecs] [--memory] [--folder FOLDER]

Codecs: the power of a simulated minute is written to HDF5 and read back in every way worth trying, on one thread and
in turn, in a file that is in memory where the system has /dev/shm. Network: the shipped model on power as computed
and as stored. Stage: `batpam scalogram` on a recording all of which is kept, each run in a process of its own; with
--memory also on recordings of up to an hour, 2.8 GB, which is written to FOLDER and deleted.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.pool import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd
import soundfile
from isal import isal_zlib
from night import BATS, RATE, RECORDER

from batpam.models.calibration import Calibration
from batpam.models.files import load_model, shipped_model
from batpam.models.settings import GRID_HOPS, TIME_STRIDE
from batpam.scalograms.settings import ScalogramSettings, hop_grid
from batpam.scalograms.shards import CHUNK_ROWS, PIECE_ROWS, from_bytes, scalogram, to_bytes
from batpam.scalograms.transform import wavelet_power
from batpam.simulate import confusers, soundscapes
from batpam.simulate.calls import call_sequence, loudest_frequency
from batpam.simulate.propagation import piston_radius
from batpam.simulate.soundscapes import Flight, hear_call
from batpam.tables import MANIFEST, NO_BAT, SEGMENTS, write_table

if TYPE_CHECKING:
    from batpam.models.network import CallNetwork, Prediction

SETTINGS = ScalogramSettings()
ROWS = PIECE_ROWS["cpu"]
MIN_SCORE = 0.5

CODEC_COLUMNS = """\
kB/s: size of the file per second of audio, kB = 1000 bytes. write, read: ms per second of audio, medians; ISA-L is
read as batpam reads it. h5py: reading by h5py with no plugin in the process, 'no' where it cannot. w + r: write and
read over the transform, round by round."""

NETWORK_COLUMNS = """\
Probabilities at the cells of the calls found in the power as computed, float32. call: of a call of a bat. class: of
what was then the best species. relabelled: calls whose best species is another. gone, new: calls with no other in the
same cell or one next to it."""

STAGE_COLUMNS = """\
x real time: seconds of audio per second, the process already running and its modules loaded. cpu: processor time of
all threads; two workers that take as long as this on the clock had one core between them. MB: most memory that the
process has held; before: what it held of this before the stage began."""


# The sound


def simulate(seconds: int) -> np.ndarray:
    """A recording, 16 bit: noise, each bat of the simulated nights passing once, and a bush-cricket for a quarter."""
    rng = np.random.default_rng(11)
    samples = np.zeros(seconds * RATE)
    floor = RECORDER.noise - RECORDER.full_scale + 30
    cricket = samples[len(samples) // 2 : len(samples) * 3 // 4]  # a view: it sings into the recording
    confusers.add_insect(cricket, "Pholidoptera griseoaptera", floor + 15, RECORDER, rng)
    stay = min(4.0, seconds / len(BATS))
    for number, bat in enumerate(BATS):
        begins = number * seconds / len(BATS)
        calls = call_sequence(bat, stay, rng)
        beam = piston_radius(np.deg2rad(30), loudest_frequency(calls))
        flight = Flight(closest=rng.uniform(2.5, 12), at=begins + stay / 2, speed=rng.uniform(3, 8), beam=beam)
        for call in calls:
            hear_call(samples, replace(call, start=begins + call.start), flight, RECORDER, rng)
    samples += soundscapes.self_noise(len(samples), RECORDER, rng)
    return soundscapes.to_pcm16(samples)


def as_float(pcm: np.ndarray) -> np.ndarray:
    """Samples as batpam reads them."""
    return pcm * np.float32(1 / 32768)


# Codecs


@dataclass(frozen=True)
class Codec:
    """A way to store rows in HDF5.

    Attributes
    ----------
    name
        For the table.
    options
        Of h5py's ``create_dataset``.
    level
        Level of ISA-L's deflate, which makes the chunks past HDF5's filter; None where HDF5's own filters do.
    rows
        Rows of a chunk.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    level: int | None = None
    rows: int = CHUNK_ROWS


def own_codecs(item_bytes: int) -> list[Codec]:
    """What h5py reads with no plugin."""
    found = [Codec("none")]
    for level in (1, 4):
        gzip = {"compression": "gzip", "compression_opts": level}
        found += [Codec(f"gzip {level}", gzip), Codec(f"gzip {level}, shuffle", gzip | {"shuffle": True})]
    for shuffle in (False, True)[:item_bytes]:  # nothing is shuffled where a number is one byte
        title = ", shuffle" if shuffle else ""
        found.append(Codec(f"LZF{title}", {"compression": "lzf", "shuffle": shuffle}))
        for level in (1, 2):
            found.append(Codec(f"ISA-L {level}{title}", {"compression": "gzip", "shuffle": shuffle}, level))
    return found


def plugin_codecs(item_bytes: int) -> list[Codec]:
    """What hdf5plugin adds."""
    import hdf5plugin

    shuffles = {"": 0, ", shuffle": 1, ", bit shuffle": 2}
    if item_bytes == 1:
        del shuffles[", shuffle"]
    found = []
    for name, level in (("LZ4", 5), ("Zstd", 1), ("Zstd", 3), ("Zstd", 5)):
        for title, shuffle in shuffles.items():
            options = hdf5plugin.Blosc(cname=name.lower(), clevel=level, shuffle=shuffle)
            found.append(Codec(f"Blosc {name} {level}{title}", dict(options)))
    found += [Codec(f"Zstd {level}", dict(hdf5plugin.Zstd(clevel=level))) for level in (1, 3)]
    return [*found, Codec("Bitshuffle, Zstd 1", dict(hdf5plugin.Bitshuffle(cname="zstd", clevel=1)))]


def codecs(item_bytes: int) -> list[Codec]:
    """All of them, and the chosen one with smaller and larger chunks."""
    found = own_codecs(item_bytes)
    if find_spec("hdf5plugin"):
        found += plugin_codecs(item_bytes)
    if item_bytes == 1:
        found += [Codec("ISA-L 1", {"compression": "gzip"}, 1, rows) for rows in (256, 4096)]
    return found


def write(path: Path, data: np.ndarray, codec: Codec) -> None:
    """Write a file that holds ``data``, as many rows at a time as batpam computes."""
    with h5py.File(path, "w") as file:
        chunks = (codec.rows, data.shape[1])
        stored = file.create_dataset("power", data.shape, data.dtype, chunks=chunks, **codec.options)
        if codec.level is None:
            for first in range(0, len(data), ROWS):
                stored[first : first + ROWS] = data[first : first + ROWS]
            return
        for first in range(0, len(data), codec.rows):
            chunk = data[first : first + codec.rows]
            chunk = np.pad(chunk, ((0, codec.rows - len(chunk)), (0, 0)))
            content = by_place(chunk) if stored.shuffle else chunk
            stored.id.write_direct_chunk((first, 0), isal_zlib.compress(content, codec.level))


def read(path: Path, codec: Codec) -> None:
    """Read a file as batpam would."""
    if codec.level is None:
        read_by_h5py(path)
        return
    with h5py.File(path) as file:
        stored = file["power"]
        size = stored.dtype.itemsize
        for first in range(0, len(stored), codec.rows):
            content = np.frombuffer(isal_zlib.decompress(stored.id.read_direct_chunk((first, 0))[1]), np.uint8)
            if stored.shuffle:
                content = np.ascontiguousarray(content.reshape(size, -1).T)
            content.view(stored.dtype).reshape(stored.chunks)


def by_place(chunk: np.ndarray) -> np.ndarray:
    """What HDF5's shuffle makes of a chunk: first bytes of all numbers, then their second bytes."""
    return np.ascontiguousarray(chunk.view(np.uint8).reshape(-1, chunk.itemsize).T)


def read_by_h5py(path: Path) -> None:
    """Read a file as anybody would."""
    with h5py.File(path) as file:
        stored = file["power"]
        for first in range(0, len(stored), ROWS):
            stored[first : first + ROWS]


def reads_as(path: Path) -> float | None:
    """Sum of what a file holds; None where this process has no filter for it."""
    try:
        with h5py.File(path) as file:
            return float(file["power"][:].sum(dtype=np.float64))
    except OSError:
        return None


def seconds_of(work: Callable[..., object], *arguments: object) -> float:
    """Time that a call takes, s."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def is_plain(path: Path, data: np.ndarray, plain: Pool) -> bool:
    """Whether a process that has only h5py reads the file, and reads the right thing."""
    found = plain.apply(reads_as, (path,))
    if found is not None and found != data.sum(dtype=np.float64):
        raise AssertionError(f"{path} holds something else than was written")
    return found is not None


def compare_codecs(samples: np.ndarray, power: np.ndarray, repeat: int, folder: Path) -> pd.DataFrame:
    """Write and read with every codec, in turn and ``repeat`` times; one row each."""
    per_second = 1000 / (len(samples) / RATE)
    codings = {"uint8": to_bytes(power), "float16": power.astype(np.float16)}
    runs = [(name, data, codec) for name, data in codings.items() for codec in codecs(data.itemsize)]
    times = np.zeros((repeat, len(runs), 3))
    transform = np.zeros(repeat)
    sizes, plain = [0] * len(runs), [False] * len(runs)
    path = folder / "power.h5"
    with get_context("spawn").Pool(1) as other:
        for turn in range(repeat):
            transform[turn] = seconds_of(wavelet_power, samples, RATE, SETTINGS)
            for number, (_, data, codec) in enumerate(runs):
                times[turn, number, 0] = seconds_of(write, path, data, codec)
                times[turn, number, 1] = seconds_of(read, path, codec)
                times[turn, number, 2] = seconds_of(read_by_h5py, path)
                if turn == 0:
                    sizes[number], plain[number] = path.stat().st_size, is_plain(path, data, other)
    ms = np.median(times, axis=0) * per_second
    share = np.median(times[..., :2].sum(axis=2) / transform[:, None], axis=0)
    print(f"transform: {np.median(transform) * per_second:.2f} ms per second of audio")
    for name, work in (("uint8", lambda: to_bytes(power)), ("float16", lambda: power.astype(np.float16))):
        coding = np.median([seconds_of(work) for _ in range(repeat)]) * per_second
        print(f"float32 to {name}: {coding:.2f} ms, in none of the times below")
    return pd.DataFrame(
        {
            "power": name,
            "codec": codec.name,
            "chunk rows": codec.rows,
            "kB/s": sizes[number] * per_second / 1e6,
            "write": ms[number, 0],
            "read": ms[number, 1],
            "h5py": f"{ms[number, 2]:.2f}" if plain[number] else "no",
            "w + r": share[number],
        }
        for number, (name, _, codec) in enumerate(runs)
    )


def codec_table(seconds: int, repeat: int) -> None:
    """Print what codecs take."""
    samples = as_float(simulate(seconds))
    power = wavelet_power(samples, RATE, SETTINGS)
    in_memory = Path("/dev/shm")
    print(f"Codecs, {seconds} s of audio, median of {repeat}\n\n{CODEC_COLUMNS}\n")
    if not find_spec("hdf5plugin"):
        print("without hdf5plugin, so without Blosc, Zstd and Bitshuffle: pip install -r benchmarks/requirements.txt")
    with TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        table = compare_codecs(samples, power, repeat, Path(folder))
    print("\n" + show(table, {"kB/s": 1, "write": 2, "read": 2, "w + r": 2}) + "\n", flush=True)


# What coding loses


def quantise(power: np.ndarray, step: float, lowest: float, bits: int = 8) -> np.ndarray:
    """Power in steps of ``step`` dB from ``lowest``, as far as so many bits reach."""
    return (lowest + step * np.clip(np.rint((power - lowest) / step), 0, 2**bits - 1)).astype(np.float32)


def stored_powers(power: np.ndarray) -> dict[str, tuple[np.ndarray, float]]:
    """Power as it comes back from every coding, and the lowest power that the coding has."""
    return {
        "float32": (power, -np.inf),
        "float16": (power.astype(np.float16).astype(np.float32), -np.inf),
        "uint8, 0.5 dB": (from_bytes(to_bytes(power)), -127.5),
        "uint8, 1 dB": (quantise(power, 1, -255), -255),
        "uint8, 0.25 dB": (quantise(power, 0.25, -63.75), -63.75),
        "uint16, 0.25 dB": (quantise(power, 0.25, -200, bits=16), -200),
    }


@dataclass(frozen=True)
class Found:
    """Calls of a window.

    Attributes
    ----------
    row, frame
        The cells that they are in, shape (n,).
    call
        Probability of a bat call in every cell, shape (rows, frames).
    classes
        Probability of every species in every cell, which sum to ``call``, shape (species, rows, frames).
    """

    row: np.ndarray
    frame: np.ndarray
    call: np.ndarray
    classes: np.ndarray


def probabilities(prediction: "Prediction", calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Of a bat call and of every species in every cell, as detection gives them where it finds a call of 20 dB."""
    import torch  # not in the processes whose memory is measured

    raw = torch.sigmoid(prediction.call[0]).numpy()
    species = torch.softmax(prediction.classes[0] / calibration.temperature, 0).numpy()[: -len(NO_BAT)]
    bat = species.sum(axis=0)
    call = calibration.probability(raw * bat, np.array(20.0))
    return call, species * (call / bat)


def find(network: "CallNetwork", calibration: Calibration, power: np.ndarray) -> list[Found]:
    """Calls of every window, as detection finds them."""
    import torch  # not in the processes whose memory is measured

    from batpam.detection.detect import windows
    from batpam.models.decode import decode

    found = []
    for first, last, low, high in windows(0, len(power), network.settings.reach):
        padded = np.pad(power[low:high], ((0, (low - high) % GRID_HOPS), (0, 0)), mode="edge")
        with torch.inference_mode():
            prediction = network(torch.from_numpy(padded).unsqueeze(0))
        calls = decode(prediction, calibration.least(MIN_SCORE), calibration.temperature)[0]
        centre = calls.centre * TIME_STRIDE + low
        calls = calls[(centre >= first) & (centre < last)]
        cells = (calls.row - 0.5).astype(int), (calls.centre - 0.5).astype(int)
        found.append(Found(*cells, *probabilities(prediction, calibration)))
    return found


def unmatched(these: Found, those: Found) -> int:
    """How many calls of ``these`` have none of ``those`` in the same cell or next to it."""
    near = (abs(these.row[:, None] - those.row) <= 1) & (abs(these.frame[:, None] - those.frame) <= 1)
    return int((~near.any(axis=1)).sum())


def losses(reference: list[Found], found: list[Found]) -> dict[str, float]:
    """How far the network's answers are from those of the power as computed."""
    call, best, relabelled = [], [], 0
    for before, after in zip(reference, found, strict=True):
        cells = before.row, before.frame
        old, new = before.classes[:, *cells], after.classes[:, *cells]
        top = old.argmax(axis=0)
        each = np.arange(len(top))
        call.append(abs(after.call[cells] - before.call[cells]))
        best.append(abs(new[top, each] - old[top, each]))
        relabelled += int((new.argmax(axis=0) != top).sum())
    calls, classes = np.concatenate(call), np.concatenate(best)
    return {
        "call max": calls.max(initial=0),
        "call mean": calls.mean(),
        "class max": classes.max(initial=0),
        "class mean": classes.mean(),
        "calls": sum(len(window.row) for window in found),
        "gone": sum(unmatched(*pair) for pair in zip(reference, found, strict=True)),
        "new": sum(unmatched(*pair) for pair in zip(found, reference, strict=True)),
        "relabelled": relabelled,
    }


def network_table(seconds: int) -> None:
    """Print what coding loses of what the network needs."""
    power = wavelet_power(as_float(simulate(seconds)), RATE, SETTINGS)
    from batpam.models.network import ready_to_predict

    network, card = load_model(shipped_model())
    network = ready_to_predict(network)
    reference = find(network, card.calibration, power)
    rows = []
    for name, (stored, lowest) in stored_powers(power).items():
        found = losses(reference, find(network, card.calibration, stored))
        rows.append({"power": name, "lowest, dB": lowest, "clipped, %": 100 * (power < lowest).mean(), **found})
    print(f"What coding loses, {seconds} s of audio, calls of score {MIN_SCORE:g} and above\n\n{NETWORK_COLUMNS}")
    print(f"Power, dB re full scale: median {np.median(power):.1f}, {power.min():.1f} to {power.max():.1f}\n")
    digits = {"lowest, dB": 2, "clipped, %": 2} | dict.fromkeys(("call max", "call mean", "class max", "class mean"), 5)
    print(show(pd.DataFrame(rows), digits) + "\n", flush=True)


# The stage


def write_recording(folder: Path, minutes: int, minute: np.ndarray, settings: ScalogramSettings = SETTINGS) -> None:
    """Write a recording that is the same minute again and again, its manifest, and one segment that is all of it."""
    with soundfile.SoundFile(folder / "audio.wav", "w", RATE, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)
    samples = minutes * len(minute)
    row = dict.fromkeys(MANIFEST.names) | {
        "recording": "0123456789abcdef", "path": str(folder / "audio.wav"), "sample_rate_hz": RATE, "channel": 1,
        "samples": samples, "readable_samples": samples,
    }  # fmt: skip
    write_table([row], MANIFEST, folder / "manifest.parquet", {})
    hops = int(samples / hop_grid(RATE, settings.hop))
    segment = {
        "recording": row["recording"], "first_hop": 0, "last_hop": hops, "start_s": 0.0, "end_s": hops * settings.hop,
        "read_samples": samples,
    }  # fmt: skip
    write_table([segment], SEGMENTS, folder / "segments.parquet", {})


def peak_memory() -> float:
    """Most memory that this process has held, MB.

    Not by getrusage on Linux: there a process that was started by a larger one counts that one's memory too.
    """
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if os.uname().sysname == "Darwin" else 1e3)


def run_stage(folder: Path, workers: int, pipe: Connection) -> None:
    """Body of a process: compute the shard once, say how long it took and how much memory it had before and after."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import dask.threaded  # noqa: F401  # loaded before the clock starts

    before = peak_memory()
    files = folder / "manifest.parquet", folder / "segments.parquet", folder / "shard.h5"
    cpu = time.process_time()
    took = seconds_of(lambda: scalogram(*files, settings=SETTINGS, workers=workers))
    pipe.send({"s": took, "cpu": time.process_time() - cpu, "before": before, "MB": peak_memory()})


def stage(folder: Path, workers: int) -> dict[str, float]:
    """Run the stage in a fresh process; return what it says of itself."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_stage, args=(folder, workers, there))
    process.start()
    there.close()
    try:
        answer = here.recv()
    except EOFError:
        raise SystemExit("the stage failed") from None
    finally:
        process.join()
    return answer


def time_stage(minutes: int, minute: np.ndarray, workers: tuple[int, ...], repeat: int, folder: Path) -> list[dict]:
    """Run the stage on a recording of so many minutes, with each number of workers in turn; one row for each."""
    with TemporaryDirectory(dir=folder) as place:
        write_recording(Path(place), minutes, minute)
        seconds = minutes * len(minute) / RATE
        answers = {count: [] for count in workers}
        for _ in range(repeat):
            for count in workers:
                answers[count].append(stage(Path(place), count))
        size = (Path(place) / "shard.h5").stat().st_size
    rows = []
    for count, runs in answers.items():
        took = np.median([run["s"] for run in runs])
        row = {"audio, min": minutes, "workers": count, "s": took, "x real time": seconds / took}
        cpu = np.median([run["cpu"] for run in runs])
        row |= {"ms/s": 1000 * took / seconds, "cpu ms/s": 1000 * cpu / seconds, "shard, kB/s": size / seconds / 1e3}
        rows.append(row | {name: max(run[name] for run in runs) for name in ("before", "MB")})
    return rows


def stage_table(quick: bool, memory: bool, folder: Path | None) -> None:
    """Print how fast the stage is and, if asked, how it grows with the recording."""
    minute = simulate(60)
    repeat = 1 if quick else 3
    digits = {"s": 2, "x real time": 0, "ms/s": 2, "cpu ms/s": 2, "shard, kB/s": 1, "before": 0, "MB": 0}
    rows = time_stage(1 if quick else 5, minute, (1, 2), repeat, folder)
    print(f"The stage, one recording and all of it kept, median of {repeat}\n\n{STAGE_COLUMNS}\n")
    print(show(pd.DataFrame(rows), digits) + "\n", flush=True)
    if memory:
        lengths = (1, 2, 4) if quick else (2, 8, 60)
        rows = [row for length in lengths for row in time_stage(length, minute, (2,), 1, folder)]
        print("The stage on longer recordings, one run each\n")
        print(show(pd.DataFrame(rows), digits) + "\n", flush=True)


def show(table: pd.DataFrame, digits: dict[str, int]) -> str:
    """Table as text, columns with so many digits behind the point."""
    formatters = {name: f"{{:.{count}f}}".format for name, count in digits.items()}
    return table.to_string(index=False, formatters=formatters)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less audio, fewer repetitions")
    parser.add_argument("--only", choices=("codecs", "network", "stage"), help="one table")
    parser.add_argument("--memory", action="store_true", help="the stage on recordings of up to an hour (2.8 GB), too")
    parser.add_argument("--folder", type=Path, help="where recordings are written, the system's temporary folder")
    options = parser.parse_args()
    os.environ["BLOSC_NTHREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    seconds = 16 if options.quick else 60
    if options.only in (None, "codecs"):
        codec_table(seconds, 3 if options.quick else 5)
    if options.only in (None, "network"):
        network_table(seconds)
    if options.only in (None, "stage"):
        stage_table(options.quick, options.memory, options.folder)


if __name__ == "__main__":
    main()
