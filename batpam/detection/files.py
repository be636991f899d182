"""Detection in recordings by themselves, without a survey: for evaluation, training and trying out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from batpam.detection.detect import calls_of, pick_device, windows
from batpam.models.files import allowed_species, load_model
from batpam.models.network import ready_to_predict
from batpam.parallel import in_order
from batpam.progress import Progress
from batpam.recordings.audio import AudioError, open_recording, probe
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
        try:
            info = probe(file.path)
        except AudioError as error:
            return pd.DataFrame(columns=["recording"]), about | {"error": str(error)}
        rate, settings = info.rate * file.time_expansion, card.scalogram
        hops = math.ceil(info.readable / rate / settings.hop)

        def stretch() -> Iterator[tuple[np.ndarray, int, int, int]]:
            """As a shard would hold it, as far as it can be read."""
            try:
                with open_recording(file.path, file.channel, info.readable) as recording:
                    for first, last, low, high in windows(0, hops, network.settings.reach):
                        power = from_bytes(to_bytes(read_power(recording.read, rate, low, high, settings)))
                        about["duration_s"], about["rate_hz"] = last * settings.hop, rate
                        yield power, first, last, low
            except AudioError as error:
                about["error"] = str(error)

        calls = calls_of(
            stretch(), network, card, first_hop=0, rate=rate, min_score=min_score, allowed=allowed, device=on
        )
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
