"""Examples on disk, and the targets a network learns from."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np
import torch
from torch.utils.data import Dataset

from batpam.errors import UserError
from batpam.files import written_whole
from batpam.models.calibration import standing_out
from batpam.models.settings import EXTENTS, TIME_STRIDE, VOICE_STRIDE
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes, to_bytes
from batpam.simulate.soundscapes import FOLDED_SNR
from batpam.training.examples import Scenes, simulate_example

CENTRE_LAG = 4e-3
"""The centre of a call lies in its middle, and at most so far behind its start, s: where a long call ends behind its
echoes nobody can tell, where it starts everybody can."""

FAINT_SNR = 12.0
"""Calls that stand out (:func:`~batpam.models.calibration.standing_out`) by less, dB, are neither right nor wrong to find:
within the length and band of a call noise alone rises by some 6 dB, in one of ten by 8, and whoever labels recordings
leaves out what does not stand out."""

LOST_SNR = 8.0
"""Calls that stand out by less than this, dB, are to be left out."""

CERTAIN_SNR = 99.0
"""Of labelled calls, which somebody has seen, however loud they are, dB."""

CENTRE_SPREAD = 0.15
"""How far beside its centre a call may be found, re its length and its band: where a call rises out of the noise is
uncertain, and so is where a wide sweep is loudest."""

FURTHEST = 5.0
"""The same in frames and rows, at most: long labels are of a sequence, not of a call."""

LEARNT = 0.2
"""Cells about as near to a centre as this heat says learn what the call is."""

CHUNK = 100
"""Examples to a file."""


@dataclass(frozen=True)
class Examples:
    """Windows to learn from.

    Attributes
    ----------
    power
        One scalogram each, shape (hops, voices), as bytes (:func:`batpam.scalograms.shards.to_bytes`).
    events
        What is in each, arrays of :data:`~batpam.training.examples.EVENT`.
    exhaustive
        Whether what no event covers is known to hold no bat, one each.
    """

    power: Sequence[np.ndarray]
    events: Sequence[np.ndarray]
    exhaustive: Sequence[bool]

    def __len__(self) -> int:
        return len(self.power)

    def every(self, step: int, first: int) -> "Examples":
        """One in ``step`` of them, from the ``first`` on."""
        some = slice(first, None, step)
        return Examples(self.power[some], self.events[some], self.exhaustive[some])


def simulate_examples(
    count: int,
    scenes: Scenes,
    settings: ScalogramSettings,
    duration: float,
    *,
    seed: int,
    folder: Path,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Examples:
    """Make examples; the same arguments make the same examples, whatever the number of workers.

    Parameters
    ----------
    duration
        Length of a window, s.
    folder
        Where they are kept, 190 kB a second; what is there already is not made again.
    progress
        Called with the number of examples done.

    Raises
    ------
    UserError
        A worker was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (scenes, settings, duration, seed, first, min(first + CHUNK, count), folder) for first in range(0, count, CHUNK)
    ]
    missing = [job for job in jobs if not _chunk_paths(job)[1].exists()]
    done = count - sum(job[5] - job[4] for job in missing)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            for made in as_completed([pool.submit(_simulate_chunk, job) for job in missing]):
                done += made.result()
                progress(done)
        except BrokenProcessPool as error:
            raise UserError(
                "a process that simulated was ended from outside, as the system does when memory is short; run again with "
                "fewer --workers: what is simulated is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    power: list[np.ndarray] = []
    events: list[np.ndarray] = []
    for job in jobs:
        windows, table = _chunk_paths(job)
        power += list(np.load(windows, mmap_mode="r"))
        packed = np.load(table)
        events += np.split(packed["events"], packed["ends"])[: job[5] - job[4]]
    return Examples(power, events, [True] * count)


_Job = tuple[Scenes, ScalogramSettings, float, int, int, int, Path]


def _chunk_paths(job: _Job) -> tuple[Path, Path]:
    name = f"{job[3]}-{job[4]:07d}-{job[5]:07d}"
    return job[6] / f"{name}.npy", job[6] / f"{name}.npz"


def _simulate_chunk(job: _Job) -> int:
    scenes, settings, duration, seed, first, last, _ = job
    made = [simulate_example(scenes, settings, duration, np.random.default_rng([seed, i])) for i in range(first, last)]
    windows, table = _chunk_paths(job)
    with written_whole(windows) as temporary, temporary.open("wb") as file:
        np.save(file, np.stack([to_bytes(power) for power, _ in made]))
    with written_whole(table) as temporary, temporary.open("wb") as file:
        events = [events for _, events in made]
        np.savez(file, events=np.concatenate(events), ends=np.cumsum([len(part) for part in events]))
    return last - first


class CallDataset(Dataset):
    """Examples with their targets on the network's grid.

    Each item is a dict of ``power`` (hops, voices) in dB and the maps ``heat`` (rows, frames) of call centres,
    ``weight`` (rows, frames), 0 where nothing is to be learnt, ``node`` and ``call_type`` (rows, frames), -1 where none
    is to be learnt, ``extent`` (4, rows, frames), and ``share`` (rows, frames), of what is learnt of a call, in that cell.

    Parameters
    ----------
    species
        Number of species; nodes from here on, but for the two behind them, are bats too.
    augment_seed
        Without it, examples are as they are.
    """

    def __init__(
        self, examples: Examples, species: int, settings: ScalogramSettings, *, augment_seed: int | None = None
    ) -> None:
        self.examples = examples
        self.species = species
        self.settings = settings
        self.augment_seed = augment_seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        power, events = from_bytes(np.asarray(self.examples.power[item])), self.examples.events[item]
        if self.augment_seed is not None:
            rng = np.random.default_rng([self.augment_seed, self.epoch, item])
            power, events = self._augment(power, events, rng, mix=self.examples.exhaustive[item])
        rows, frames = power.shape[1] // VOICE_STRIDE, len(power) // TIME_STRIDE
        maps = {
            "heat": np.zeros((rows, frames), np.float32),
            "weight": np.full((rows, frames), float(self.examples.exhaustive[item]), np.float32),
            "node": np.full((rows, frames), -1, np.int64),
            "call_type": np.full((rows, frames), -1, np.int64),
            "extent": np.zeros((EXTENTS, rows, frames), np.float32),
            "share": np.zeros((rows, frames), np.float32),
        }
        rise = rises(events)
        _draw_targets(_boxes(events, self.settings), rise, is_lost(rise), _is_bat(events, self.species), events["node"].astype(np.int64), events["call_type"].astype(np.int64), **maps)  # fmt: skip
        return {"power": torch.from_numpy(power), **{name: torch.from_numpy(values) for name, values in maps.items()}}

    def _augment(
        self, power: np.ndarray, events: np.ndarray, rng: np.random.Generator, *, mix: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Another soundscape on top, another gain and colour, a band of frequencies and a stretch of time blanked."""
        if mix and rng.random() < 0.2:
            other = int(rng.integers(len(self)))
            gain = rng.uniform(-15, 0)
            added = from_bytes(np.asarray(self.examples.power[other])) + np.float32(gain)
            if self.examples.exhaustive[other] and added.shape == power.shape:
                power = np.maximum(power, added)  # within 3 dB of the sum, and far faster
                extra = self.examples.events[other].copy()
                # what it is drowned in is not known: some 6 dB less, but no call that may be heard is lost
                rise, left = rises(extra), extra["snr"] + gain
                less = np.maximum(left - 6, np.minimum(left, LOST_SNR - (rise - extra["snr"])))
                # how loud labelled calls are is not known, and so neither whether they can still be heard
                known = (extra["snr"] > FOLDED_SNR) & (extra["snr"] < CERTAIN_SNR)
                extra["snr"] = np.where(known, less, FOLDED_SNR)
                events = np.concatenate([events, extra])
        voices = power.shape[1]
        tilt = np.interp(np.linspace(0, 3, voices), np.arange(4), rng.normal(0, 3, 4))
        power += (tilt + rng.uniform(-12, 12)).astype(np.float32)
        if rng.random() < 0.15:
            first = int(rng.integers(0, voices - 6))
            power[:, first : first + int(rng.integers(2, 7))] = power.min()
        if rng.random() < 0.1:
            first = int(rng.integers(0, len(power) - 20))
            power[first : first + int(rng.integers(10, 60))] = power.min(axis=0)
        return power, events


def _is_bat(events: np.ndarray, species: int) -> np.ndarray:
    return (events["node"] < species) | (events["node"] >= species + 2)


def rises(events: np.ndarray) -> np.ndarray:
    """By how much events stand out of the noise, dB; :data:`~batpam.simulate.soundscapes.FOLDED_SNR` of what nobody can tell."""
    rise = standing_out(events["snr"], events["end"] - events["start"])
    return np.where(events["snr"] > FOLDED_SNR, rise, FOLDED_SNR)


def is_lost(rise: np.ndarray) -> np.ndarray:
    """Whether calls that stand out by this (dB) are too faint for anybody; of those that nobody can tell: False."""
    return (rise > FOLDED_SNR) & (rise < LOST_SNR)


def centres(events: np.ndarray) -> np.ndarray:
    """Times at which events are to be found, s: their middle, :data:`CENTRE_LAG` behind their start at most."""
    return np.minimum((events["start"] + events["end"]) / 2, events["start"] + CENTRE_LAG)


def _boxes(events: np.ndarray, settings: ScalogramSettings) -> np.ndarray:
    """Start, end, centre, low, high and peak of events on the grid, in frames and rows, shape (n, 6)."""
    frame = TIME_STRIDE * settings.hop
    columns = [
        *(time / frame for time in (events["start"], events["end"], centres(events))),
        *(to_row(events[f], settings) for f in ("low", "high", "peak")),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def to_row(frequency: np.ndarray | float, settings: ScalogramSettings) -> np.ndarray:
    """Place of frequencies (Hz) on the network's grid, in rows; that of the lowest or highest voice beyond them."""
    log_voices = _log_voices(settings)
    return np.interp(np.log(np.maximum(frequency, 1.0)), log_voices, np.arange(len(log_voices))) / VOICE_STRIDE


@lru_cache(maxsize=8)
def _log_voices(settings: ScalogramSettings) -> np.ndarray:
    return np.log(settings.frequencies())


@numba.njit(cache=True, nogil=True)
def _draw_targets(boxes, rise, lost, bat, nodes, call_types, heat, weight, node, call_type, extent, share):  # type: ignore[no-untyped-def]
    """Draw events into the maps of :class:`CallDataset`, the loudest last, but for faint calls and what is lost."""
    rows, frames = heat.shape
    owner = np.full(heat.shape, -1)
    for i in np.argsort(rise):
        start, end, centre, low, high, peak = boxes[i]
        if bat[i] and rise[i] < FAINT_SNR:
            if lost[i]:
                continue
            for row in range(max(int(low - 0.5), 0), min(int(high + 1.5), rows)):
                for frame in range(max(int(start - 1), 0), min(int(end + 2), frames)):
                    weight[row, frame] = 0
            continue
        if not 0 <= centre < frames:
            continue
        row, frame = min(max(int(peak), 0), rows - 1), int(centre)
        if not bat[i]:
            if rise[i] > FAINT_SNR and heat[row, frame] < 0.1:
                node[row, frame], owner[row, frame] = nodes[i], i
            continue
        tall = max(0.6, min(CENTRE_SPREAD * (high - low), FURTHEST))
        wide = max(0.7, min(CENTRE_SPREAD * (end - start), FURTHEST))
        for r in range(max(row - int(3 * tall + 1), 0), min(row + int(3 * tall + 2), rows)):
            for f in range(max(frame - int(3 * wide + 1), 0), min(frame + int(3 * wide + 2), frames)):
                bump = np.exp(-0.5 * (((r - row) / tall) ** 2 + ((f - frame) / wide) ** 2))
                if bump < heat[r, f]:
                    continue  # nearer to another call; of two as near, the louder one comes later and takes it
                heat[r, f] = bump
                if bump > LEARNT:
                    weight[r, f] = 1
                    node[r, f], owner[r, f] = nodes[i], i
                    call_type[r, f] = call_types[i]
                    extent[0, r, f] = max(f + 0.5 - start, 0.0)
                    extent[1, r, f] = max(end - f - 0.5, 0.0)
                    extent[2, r, f] = max(r + 0.5 - low, 0.0)
                    extent[3, r, f] = max(high - r - 0.5, 0.0)
    cells = np.zeros(len(boxes))
    for i in owner.ravel():
        if i >= 0:
            cells[i] += 1
    for r in range(rows):
        for f in range(frames):
            if owner[r, f] >= 0:
                share[r, f] = 1 / cells[owner[r, f]]
