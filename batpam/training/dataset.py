"""Simulated examples on disk, and the targets a network learns from."""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from batpam.models.network import EXTENTS, TIME_STRIDE, VOICE_STRIDE
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes, to_bytes
from batpam.simulate.soundscapes import Heard
from batpam.training.examples import FAINT_SNR, ExampleCalls, simulate_example


@dataclass(frozen=True)
class Examples:
    """Scalograms, shape (n, hops, voices), as bytes in a file, and the calls in each."""

    power: np.ndarray
    calls: list[ExampleCalls]


def simulate_examples(
    count: int,
    codes: Sequence[str],
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
        Where the scalograms are put (100 kB each), as ``examples-SEED.npy``.
    progress
        Called with the number of examples done.
    """
    hops = round(duration / settings.hop)
    power = np.lib.format.open_memmap(
        folder / f"examples-{seed}.npy", mode="w+", dtype=np.uint8, shape=(count, hops, settings.voices)
    )
    jobs = [(seed, i, tuple(codes), settings, duration) for i in range(count)]
    calls: list[ExampleCalls] = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for i, (example, heard) in enumerate(pool.imap(_simulate_one, jobs, chunksize=16)):
            power[i] = example
            calls.append(heard)
            progress(i + 1)
    return Examples(power, calls)


def _simulate_one(job: tuple[int, int, tuple[str, ...], ScalogramSettings, float]) -> tuple[np.ndarray, ExampleCalls]:
    seed, index, codes, settings, duration = job
    power, calls = simulate_example(codes, settings, duration, np.random.default_rng([seed, index]))
    return to_bytes(power), calls


class CallDataset(Dataset):
    """Examples with their target maps on the network's grid.

    Each item is a dict of ``power`` (hops, voices) in dB and the maps ``heat`` (rows, frames) of call centres,
    ``weight`` (rows, frames), 0 where nothing is to be learnt, ``species`` (rows, frames), -1 but at centres, and
    ``extent`` (4, rows, frames).
    """

    def __init__(
        self, examples: Examples, codes: Sequence[str], settings: ScalogramSettings, *, augment_seed: int | None = None
    ) -> None:
        self.examples = examples
        self.index = {code: i for i, code in enumerate(codes)}
        self.settings = settings
        self.augment_seed = augment_seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.examples.calls)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        power, calls = from_bytes(self.examples.power[item]), self.examples.calls[item]
        if self.augment_seed is not None:
            rng = np.random.default_rng([self.augment_seed, self.epoch, item])
            power, calls = self._augment(power, calls, rng)
        return {"power": torch.from_numpy(power), **self._targets(calls, len(power))}

    def _augment(
        self, power: np.ndarray, calls: ExampleCalls, rng: np.random.Generator
    ) -> tuple[np.ndarray, ExampleCalls]:
        """Another soundscape on top, another gain, a band of frequencies blanked."""
        if rng.random() < 0.25:
            other = int(rng.integers(len(self)))
            gain = rng.uniform(-15, 0)
            added = from_bytes(self.examples.power[other]) + gain
            power = (np.logaddexp(power * (np.log(10) / 10), added * (np.log(10) / 10)) * (10 / np.log(10))).astype(
                np.float32
            )
            # what the other one is drowned in is not known: its calls count as faint
            calls = calls + [(code, _fainter(heard, 12.0)) for code, heard in self.examples.calls[other]]
        power = power + np.float32(rng.uniform(-12, 12))
        if rng.random() < 0.2:
            first = int(rng.integers(0, power.shape[1] - 6))
            power[:, first : first + int(rng.integers(2, 7))] = power.min()
        return power, calls

    def _targets(self, calls: ExampleCalls, hops: int) -> dict[str, torch.Tensor]:
        rows, frames = self.settings.voices // VOICE_STRIDE, hops // TIME_STRIDE
        heat = np.zeros((rows, frames), np.float32)
        weight = np.ones((rows, frames), np.float32)
        species = np.full((rows, frames), -1, np.int64)
        extent = np.zeros((EXTENTS, rows, frames), np.float32)
        frame_s = TIME_STRIDE * self.settings.hop
        row_axis, frame_axis = np.arange(rows)[:, None] + 0.5, np.arange(frames)[None, :] + 0.5
        for code, heard in sorted(calls, key=lambda call: call[1].snr):
            low, high, peak = (to_row(f, self.settings) for f in (heard.low, heard.high, heard.peak))
            start, end = heard.start / frame_s, heard.end / frame_s
            centre = (start + end) / 2
            if heard.snr < FAINT_SNR or not 0 <= centre < frames:
                inside = (
                    (row_axis > low - 1) & (row_axis < high + 1) & (frame_axis > start - 1) & (frame_axis < end + 1)
                )
                weight[inside] = 0
                continue
            row = int(np.clip(peak, 0, rows - 1))
            frame = int(centre)
            bump = np.exp(-0.5 * (((row_axis - 0.5 - row) / 0.6) ** 2 + ((frame_axis - 0.5 - frame) / 1.2) ** 2))
            heat = np.maximum(heat, bump.astype(np.float32))
            near = bump > 0.45
            weight[near] = 1
            species[near] = self.index[code]
            here = np.broadcast_to(frame_axis, heat.shape)[near]
            there = np.broadcast_to(row_axis, heat.shape)[near]
            extent[:, near] = np.maximum([here - start, end - here, there - low, high - there], 0.0)
        arrays = {"heat": heat, "weight": weight, "species": species, "extent": extent}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def to_row(frequency: float, settings: ScalogramSettings) -> float:
    """Place of a frequency (Hz) on the network's grid, in rows; that of the lowest or highest voice beyond them."""
    log_voices = np.log(settings.frequencies())
    return float(np.interp(np.log(frequency), log_voices, np.arange(len(log_voices)))) / VOICE_STRIDE


def _fainter(heard: Heard, by: float) -> Heard:
    return Heard(heard.start, heard.end, heard.low, heard.high, heard.peak, heard.level - by, heard.snr - by)
