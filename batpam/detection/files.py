"""Detection in recordings by themselves, without a survey: for evaluation, training and trying out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from batpam.detection.detect import find_calls, measure_calls, pick_device, windows
from batpam.models.decode import DecodedCalls
from batpam.models.files import ModelCard, allowed_species, load_model
from batpam.models.network import CallNetwork, ready_to_predict
from batpam.models.settings import TIME_STRIDE
from batpam.parallel import in_order
from batpam.progress import Progress
from batpam.recordings.audio import AudioError, open_recording, probe
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes, to_bytes
from batpam.scalograms.transform import read_power


@dataclass(frozen=True)
class AudioFile:
    """A recording: its path, how often its time was expanded, and which channel counts, from 1."""

    path: Path
    time_expansion: float = 1.0
    channel: int = 1


def detect_files(
    files: list[AudioFile],
    model: Path,
    *,
    min_score: float,
    species_list: Path | None = None,
    device: str = "auto",
    workers: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the calls of recordings, every second of them looked at.

    Parameters
    ----------
    min_score, species_list, device, workers
        See :func:`batpam.detection.detect.detect`.

    Returns
    -------
    calls : DataFrame
        ``recording`` (the path as given) and the columns of the schema DETECTIONS from ``start_s`` on, with
        ``score_CODE``; times in real seconds.
    read : DataFrame
        One row per recording: ``recording``, ``duration_s`` (real), ``rate_hz`` (real), ``error`` ("" where it was read).
    """
    network, card = load_model(model)
    allowed = allowed_species(card, species_list)
    on = pick_device(device)
    network = ready_to_predict(network).to(on)

    def run(file: AudioFile) -> tuple[pd.DataFrame, dict[str, object]]:
        about: dict[str, object] = {"recording": str(file.path), "duration_s": 0.0, "rate_hz": 0.0, "error": ""}
        parts = []
        try:
            for power, first, last, low, rate in stretches(file, card.scalogram, network.settings.reach):
                about["duration_s"], about["rate_hz"] = last * card.scalogram.hop, rate
                parts.append(_calls(network, power, card, (first, last, low), rate, min_score, allowed, on))
        except AudioError as error:
            about["error"] = str(error)
        calls = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        return calls.assign(recording=str(file.path)), about

    found, read = [], []
    with Progress("detecting", len(files), "recordings") as progress:
        for number, (calls, about) in enumerate(
            in_order(run, files, workers, begin=lambda: torch.set_num_threads(1)), start=1
        ):
            found.append(calls)
            read.append(about)
            progress.at(number)
    return pd.concat(found, ignore_index=True), pd.DataFrame(read)


def stretches(
    file: AudioFile, settings: ScalogramSettings, reach: int
) -> Iterator[tuple[np.ndarray, int, int, int, float]]:
    """Scalograms of a recording as a shard would hold them, in windows of which the cores follow each other.

    Yields
    ------
    power : ndarray of shape (hops, voices), float32
        dB re full scale.
    first, last, low : int
        Hops of the recording at which the core begins and ends, and the power begins.
    rate : float
        Real sample rate, Hz.
    """
    info = probe(file.path)
    rate = info.rate * file.time_expansion
    hops = math.ceil(info.readable / rate / settings.hop)
    with open_recording(file.path, file.channel, info.readable) as recording:
        for first, last, low, high in windows(0, hops, reach):
            power = read_power(recording.read, rate, low, high, settings)
            yield from_bytes(to_bytes(power)), first, last, low, rate


def _calls(
    network: CallNetwork,
    power: np.ndarray,
    card: ModelCard,
    window: tuple[int, int, int],
    rate: float,
    min_score: float,
    allowed: list[bool] | None,
    device: torch.device,
) -> pd.DataFrame:
    first, last, low = window
    calls: DecodedCalls = find_calls(network, power, card, min_score=min_score, allowed=allowed, device=device)
    centre = calls.centre * TIME_STRIDE + low
    calls = calls[(centre >= first) & (centre < last)]
    columns = measure_calls(calls, power, low, rate, card)
    return pd.DataFrame(columns).sort_values("start_s", kind="stable")
