"""How fast batpam's wavelet transform is, against PyWavelets, fCWT and ssqueezepy.

    pip install -r benchmarks/requirements.txt
    python benchmarks/transform.py [--quick] [--no-peers]

The peers are first tried in every way in which they can be called, then each is run at its fastest, in turn with
batpam, every program in a process of its own and on one thread. All of them end with the same table, the power of every
voice pooled to hops, in dB. What the peers need for pooling is timed on its own. All of it takes some six minutes.
"""

import argparse
import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pywt

from batpam.scalograms.plan import scale_of
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.transform import wavelet_power

RATE = 384_000
"""Sample rate of the audio that speed is measured on, Hz."""

LENGTHS = (0.25, 1.0, 4.0)
"""Lengths of a signal that is transformed as a whole, s."""

AUDIO = 1.0
"""Audio that is cut into blocks, at least, s."""

SPOILT = 1e-3
"""Where a wavelet is above this share of its maximum, the edge of a block spoils the transform of that block."""

SETTINGS = {
    "128 voices, 1 ms": ScalogramSettings(voices=128, hop=0.001),
    "128 voices, 0.5 ms": ScalogramSettings(voices=128, hop=0.0005),
    "as shipped": ScalogramSettings(),
}

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "SSQ_PARALLEL": "0",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
"""One thread; and (glibc) memory that was freed is kept, so that no program pays for new pages but in its first run."""

COLUMNS = """\
transform, pooling and their sum ms/s: ms per second of audio, medians (batpam pools while it transforms). x batpam:
ms/s over that of batpam for its longest signal, round by round; unpooled: transform over that. off by: relative L2
difference from batpam's power after a factor per voice, median of the voices. MB: most memory beyond imports and audio.
cores: processor time over time on the clock; below 1 where other programs kept the machine busy."""

LIMITS = """\
Wavelets: PyWavelets has the same ones as batpam. fCWT and ssqueezepy have the Morlet wavelet, which is cmorB-C
(fCWT's bandwidth is C sqrt(B / 2), ssqueezepy's mu is 2 pi C sqrt(B / 2)); neither has shan or fbsp. fCWT takes voices
evenly spaced in frequency, its logarithm or scale; the others take any."""


# Speed: the ways to call a program


@dataclass(frozen=True)
class Call:
    """A way to call a program.

    Attributes
    ----------
    program
        Name of the package.
    how
        What is special about the call, as the functions that start with ``prepare_`` understand it.
    block
        Samples per call, 0 to give the signal as a whole.
    batch
        Blocks per call.
    seconds
        Length of the signal, at least, s.
    """

    program: str
    how: str = ""
    block: int = 0
    batch: int = 1
    seconds: float = AUDIO


def calls_to_try(program: str, support: int, quick: bool) -> list[Call]:
    """Every way worth trying, or (quick) the one that was found the best.

    ``support`` is the length of the longest wavelet in samples.

    PyWavelets pads a signal and a wavelet to a power of two, fCWT a signal, so blocks are cut to fit.
    """
    if program == "PyWavelets":
        best = Call(program, "fft", 2**15 - support, batch=16)
        others = [Call(program, "fft", seconds=seconds) for seconds in LENGTHS]
        others += [Call(program, "conv", 2**13, seconds=0.02)]
        others += [Call(program, "fft", 2**14 - support, batch=n) for n in (1, 4, 16, 64)]
        others += [Call(program, "fft", 2**15 - support, batch=n) for n in (4, 8)]
        others += [Call(program, "fft", 2**n - support, batch=16) for n in (13, 17)]
    elif program == "fcwt":
        best = Call(program, "planned", 2**14)
        others = [Call(program, seconds=seconds) for seconds in LENGTHS]
        others += [Call(program, "", 2**n) for n in (13, 14, 15, 16)]
        others += [Call(program, "planned", 2**n) for n in (16, 15, 13)]  # plans are made from short to long
    else:
        best, *others = (Call(program, seconds=seconds) for seconds in LENGTHS)
        others += [Call(program, "", 2**n) for n in (13, 14, 15, 16, 17)]
        if find_spec("pyfftw"):
            others += [Call(program, "planned", 2**n) for n in (13, 14, 15, 16)]
    return [best] if quick else [*others, best]


Transform = Callable[[np.ndarray], np.ndarray]
"""From blocks, shape (blocks, n), to coefficients, shape (voices, blocks, n), highest or lowest voice first."""


def prepare_pywavelets(call: Call, settings: ScalogramSettings, samples: int) -> Transform:
    """``pywt.cwt``. Blocks of a batch share the FFT of the wavelet, and numpy's preparation of the FFT.

    It keeps nothing from one call to the next, so nothing can be prepared.
    """
    scales = scale_of(settings.frequencies()[::-1], RATE, settings.wavelet)

    def transform(blocks: np.ndarray) -> np.ndarray:
        data = blocks if len(blocks) > 1 else blocks[0]
        out = pywt.cwt(data, scales, settings.wavelet, method=call.how)[0]
        return out.reshape(len(scales), len(blocks), -1)

    return transform


def import_fcwt():
    """Import fCWT; where the system has no FFTW, with the copy that its wheel for Linux brings but does not load."""
    try:
        import fcwt
    except ImportError:
        folder = Path(find_spec("fcwt").origin).parent
        for name in ("libfftw3fl.so", "libfftw3f_ompl.so"):
            ctypes.CDLL(str(folder / name), ctypes.RTLD_GLOBAL)
        import fcwt
    return fcwt


def prepare_fcwt(call: Call, settings: ScalogramSettings, samples: int) -> Transform:
    """The C++ object of fCWT, writing to memory that is there already; no norm, as it costs one more pass.

    ``planned``: with FFTW's patient plans, made once and kept in files in the working directory.
    """
    fcwt = import_fcwt()
    morlet = fcwt.Morlet(omega0(settings.wavelet) / (2 * np.pi))
    scales = fcwt.Scales(morlet, fcwt.FCWT_LOGSCALES, RATE, settings.f_min, settings.f_max, settings.voices)
    planned = call.how == "planned"
    program = fcwt.FCWT(morlet, 1, planned, False)
    program.keep = morlet  # the C++ object only points to it
    if planned and not Path(f"n{samples}_t1.wis").exists():
        program.create_FFT_optimization_plan(samples, "FFTW_PATIENT")
    out = aligned((settings.voices, samples))

    def transform(blocks: np.ndarray) -> np.ndarray:
        program.cwt(blocks[0], scales, out)
        return out[:, None]

    return transform


def prepare_ssqueezepy(call: Call, settings: ScalogramSettings, samples: int) -> Transform:
    """``ssqueezepy.cwt`` with the wavelet as an object that keeps its spectra; no padding, no check for NaN.

    The L1 norm is the faster one: for the L2 norm it multiplies once more. ``planned``: with pyFFTW and its plans kept.
    """
    from ssqueezepy import Wavelet, cwt
    from ssqueezepy.utils.fft_utils import FFT_GLOBAL

    mu = omega0(settings.wavelet)
    scales = (mu / (2 * np.pi) * RATE / settings.frequencies()[::-1]).astype(np.float32)
    wavelet = Wavelet(("morlet", {"mu": mu}), N=samples, dtype="float32")
    patience = 0
    if call.how == "planned":
        patience = (1, 20.0)
        FFT_GLOBAL.cache_fft_objects, FFT_GLOBAL.verbose = True, 0
        FFT_GLOBAL._wisdom32_path, FFT_GLOBAL._wisdom64_path = "wisdom32", "wisdom64"
        FFT_GLOBAL.load_wisdom()

    def transform(blocks: np.ndarray) -> np.ndarray:
        out = cwt(blocks[0], wavelet, scales=scales, padtype=None, nan_checks=False, patience=patience)[0]
        return out[:, None]

    return transform


PREPARE = {"PyWavelets": prepare_pywavelets, "fcwt": prepare_fcwt, "ssqueezepy": prepare_ssqueezepy}
IMPORT = {
    "batpam": lambda: wavelet_power(np.zeros(1, np.float32), RATE, ScalogramSettings(voices=2)),
    "PyWavelets": lambda: pywt,
    "fcwt": import_fcwt,
    "ssqueezepy": lambda: import_module("ssqueezepy"),
}
MODULES = {"PyWavelets": "pywt", "fcwt": "fcwt", "ssqueezepy": "ssqueezepy"}


def omega0(wavelet: str) -> float:
    """Centre frequency of ``cmorB-C`` in radians per standard deviation of its envelope."""
    bandwidth, centre = parameters(wavelet)
    return 2 * np.pi * centre * np.sqrt(bandwidth / 2)


def parameters(wavelet: str) -> list[float]:
    """The numbers in the name of a wavelet."""
    return [float(value) for value in wavelet[4:].split("-")]


def aligned(shape: tuple[int, int]) -> np.ndarray:
    """Zeros, complex64, beginning where a line of the cache does."""
    size = shape[0] * shape[1] * 8
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(np.complex64).reshape(shape)


def pool(coefficients: np.ndarray, start: int, useful: int, hop: int) -> np.ndarray:
    """Power in dB, shape (blocks * hops, voices): one pass over the coefficients, without a copy."""
    parts = coefficients.view(np.float32)[..., 2 * start : 2 * (start + useful)]
    parts = parts.reshape(*parts.shape[:2], useful // hop, 2 * hop)
    power = np.einsum("vbhk,vbhk->vbh", parts, parts)
    decibel = 10 * np.log10(power / np.float32(hop) + np.float32(1e-20))
    return decibel.reshape(len(coefficients), -1).T


def sweeps(rate: float, samples: int, noise: float) -> np.ndarray:
    """A bat-like downward sweep of 5 ms every 40 ms, in noise."""
    start, stop, duration = 95_000.0, 35_000.0, 0.005
    t = np.arange(int(duration * rate)) / rate
    log = np.log(stop / start) / duration
    call = 0.3 * np.hanning(len(t)) * np.sin(2 * np.pi * start * np.expm1(log * t) / log)
    out = noise * np.random.default_rng(0).standard_normal(samples)
    for first in range(int(0.01 * rate), samples - len(call), int(0.04 * rate)):
        out[first : first + len(call)] += call
    return out


class Runner:
    """A program ready to run: a way to call it, and the audio cut for that."""

    def __init__(self, call: Call, settings: list[ScalogramSettings]) -> None:
        self.call, self.settings = call, settings
        self.hops = [round(s.hop * RATE) for s in settings]
        step = max(self.hops)
        self.margin, self.useful, blocks = 0, int(call.seconds * RATE) // step * step, 1
        if call.block:
            longest = scale_of(settings[0].f_min, RATE, settings[0].wavelet)
            bandwidth = parameters(settings[0].wavelet)[0]
            self.margin = int(np.ceil(np.sqrt(bandwidth * np.log(1 / SPOILT)) * longest))
            self.useful = (call.block - 2 * self.margin) // step * step
            blocks = -(-int(call.seconds * RATE) // (self.useful * call.batch)) * call.batch
        self.samples = sweeps(RATE, blocks * self.useful, noise=0.01).astype(np.float32)
        length = call.block or self.useful
        padded = np.pad(self.samples, (self.margin, length))
        cut = np.stack([padded[i * self.useful : i * self.useful + length] for i in range(blocks)])
        self.batches = [cut[i : i + call.batch] for i in range(0, blocks, call.batch)]
        self.repeats = 1
        IMPORT[call.program]()
        self.memory = peak_memory(restart=True)
        self.power: list[np.ndarray] = []
        if call.program != "batpam":
            self.transform = PREPARE[call.program](call, settings[0], length)

    def run(self) -> dict:
        """Transform once and pool to each hop; return what it took, ms per second of audio, and of how many cores."""
        wall, cpu = time.perf_counter(), time.process_time()
        if self.call.program == "batpam":
            for _ in range(self.repeats):
                self.power = [wavelet_power(self.samples, RATE, self.settings[0])]
            transform, pooling = (time.perf_counter() - wall) / self.repeats, [0.0]
            self.repeats = max(1, round(0.2 / transform))  # exposed to other load for as long as the peers
        else:
            transform, pooling = self._run_peer()
        cores = (time.process_time() - cpu) / (time.perf_counter() - wall)
        scale = 1000 / (len(self.samples) / RATE)
        return {"transform": transform * scale, "pooling": [p * scale for p in pooling], "cores": cores}

    def _run_peer(self) -> tuple[float, list[float]]:
        transform, pooling = 0.0, [0.0] * len(self.hops)
        power: list[list[np.ndarray]] = [[] for _ in self.hops]
        for batch in self.batches:
            start = time.perf_counter()
            coefficients = self.transform(batch)
            transform += time.perf_counter() - start
            for i, hop in enumerate(self.hops):
                start = time.perf_counter()
                power[i].append(pool(coefficients, self.margin, self.useful, hop))
                pooling[i] += time.perf_counter() - start
            del coefficients  # before the next are made
        self.power = [np.concatenate(parts)[:, ::-1] for parts in power]
        return transform, pooling

    def finish(self) -> dict:
        """Return the audio, the power of the last run, and the memory needed beyond imports and audio, MB."""
        return {"samples": self.samples, "power": self.power, "memory": peak_memory() - self.memory}


def peak_memory(restart: bool = False) -> float:
    """Most memory that this process has held, MB, since the last restart; nan where there is no /proc to say so."""
    try:
        if restart:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def serve(pipe: Connection, folder: str) -> None:
    """Body of a process that runs a program on request; what the program prints is dropped."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    runner = None
    while request := pipe.recv():
        if request[0] == "load":
            runner = Runner(*request[1:])
        pipe.send(getattr(runner, "run" if request[0] == "load" else request[0])())


class Worker:
    """A program in a process of its own."""

    def __init__(self, folder: str) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, folder))
        self.process.start()
        other.close()

    def ask(self, *request: object) -> dict:
        """Send a request and wait for the answer."""
        self.pipe.send(request)
        return self.pipe.recv()

    def stop(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


def try_calls(programs: list[str], settings: ScalogramSettings, folder: str, quick: bool) -> tuple[pd.DataFrame, dict]:
    """Run every way to call a program; return all of them as a table, and the fastest call of each program."""
    support = int(16 * scale_of(settings.f_min, RATE, settings.wavelet)) + 2
    rows, fastest = [], {}
    for program in programs:
        times = {}
        for call in calls_to_try(program, support, quick):
            worker = Worker(folder)
            first = worker.ask("load", call, [settings])["transform"]
            repetitions = 1 if first * call.seconds > 3000 else 3
            times[call] = min(worker.ask("run")["transform"] for _ in range(repetitions))
            worker.stop()
            rows.append({**describe(call), "ms/s": times[call]})
        fastest[program] = min(times, key=times.__getitem__)
    return pd.DataFrame(rows), fastest


def describe(call: Call) -> dict:
    """Row of a table that says how a program is called."""
    per_call = f"{call.batch} x {call.block}" if call.block else "whole"
    return {"program": call.program, "how": call.how, "block": per_call, "signal s": call.seconds}


def race(settings: dict[str, ScalogramSettings], fastest: dict, folder: str, quick: bool) -> pd.DataFrame:
    """Run batpam on whole signals and every peer at its fastest, in turn.

    The settings differ only in their hop, so that the peers need to transform only once for all of them.
    """
    runs = [
        (Call("batpam", seconds=seconds), {name: one})
        for name, one in settings.items()
        for seconds in ((1.0,) if quick else LENGTHS)
    ] + [(call, settings) for call in fastest.values()]
    workers = [Worker(folder) for _ in runs]
    for worker, (call, wanted) in zip(workers, runs, strict=True):
        worker.ask("load", call, list(wanted.values()))
    rounds = [[worker.ask("run") for worker in workers] for _ in range(3 if quick else 7)]
    rows = []
    for i, (call, wanted) in enumerate(runs):
        end = workers[i].ask("finish")
        for j, (name, one) in enumerate(wanted.items()):
            total = np.array([answers[i]["transform"] + answers[i]["pooling"][j] for answers in rounds])
            rival = max(k for k, (other, own) in enumerate(runs) if other.program == "batpam" and name in own)
            batpam = np.array([answers[rival]["transform"] for answers in rounds])
            row = {"settings": name, **describe(call)}
            row["transform"] = np.median([answers[i]["transform"] for answers in rounds])
            row["pooling"] = np.median([answers[i]["pooling"][j] for answers in rounds])
            row["ms/s"] = np.median(total)
            row["x real time"] = 1000 / np.median(total)
            row["x batpam"] = np.median(total / batpam)
            row["unpooled"] = np.median([answers[i]["transform"] for answers in rounds] / batpam)
            row["off by"], row["worst voice"] = (
                (0.0, 0.0) if call.program == "batpam" else differ(end["power"][j], end["samples"], one)
            )
            row["MB"] = end["memory"]
            row["cores"] = np.median([answers[i]["cores"] for answers in rounds])
            rows.append(row)
    for worker in workers:
        worker.stop()
    return pd.DataFrame(rows).sort_values("settings", key=lambda name: name.map(list(SETTINGS).index), kind="stable")


def differ(decibel: np.ndarray, samples: np.ndarray, settings: ScalogramSettings) -> tuple[float, float]:
    """Relative difference of a peer's power from batpam's, median and largest of the voices.

    A constant factor per voice is taken out first, and the ends are left out, where programs pad differently.
    """
    edge = int(np.ceil(0.02 / settings.hop))
    own = 10 ** (wavelet_power(samples, RATE, settings)[edge:-edge].astype(float) / 10)
    peer = 10 ** (decibel[edge:-edge].astype(float) / 10)
    factor = (own * peer).sum(axis=0) / (peer**2).sum(axis=0)
    error = np.linalg.norm(own - factor * peer, axis=0) / np.linalg.norm(own, axis=0)
    return float(np.median(error)), float(error.max())


def speed(quick: bool, peers: bool) -> None:
    """Print the ways to call the peers, and the race."""
    os.environ.update(ENVIRONMENT)
    present = [name for name, module in MODULES.items() if find_spec(module)] if peers else []
    for missing in sorted(set(MODULES) - set(present)) if peers else []:
        print(f"{missing} is not installed: pip install -r benchmarks/requirements.txt")
    packages = ["numpy", "scipy", *present]
    print(", ".join(f"{name} {version(name)}" for name in packages), "\n")
    with TemporaryDirectory() as folder:
        shipped = SETTINGS["as shipped"]
        fastest: dict[str, Call] = {}
        if present:
            table, fastest = try_calls(present, replace(shipped, voices=128), folder, quick)
            print("Ways to call the peers, 128 voices, without pooling, best of 3:\n")
            print(show(table), "\n\n" + LIMITS, "\n")
        by_voices: dict[int, dict[str, ScalogramSettings]] = {}
        for name, settings in SETTINGS.items():
            by_voices.setdefault(settings.voices, {})[name] = settings
        tables = [race(group, fastest, folder, quick) for group in by_voices.values()]
    span = f"{shipped.f_min / 1000:g} to {shipped.f_max / 1000:g} kHz"
    print(f"The race: {shipped.wavelet} from {span}, audio at {RATE / 1000:g} kHz.\n{COLUMNS}\n")
    print(show(pd.concat(tables)), "\n")


def show(table: pd.DataFrame) -> str:
    """Table as text; small numbers keep two digits."""
    text = {column: number for column in table.select_dtypes("number")}
    return table.to_string(index=False, formatters=text)


def number(value: float) -> str:
    """Number with about three digits."""
    if value == 0 or not np.isfinite(value):
        return "-"
    if not 0.001 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one length, three repetitions")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="run the peers too")
    options = parser.parse_args()
    speed(options.quick, options.peers)


if __name__ == "__main__":
    main()
