"""The stages, run on a sample of the recordings on this machine."""

import io
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from batpam.config import Config, scalogram_settings
from batpam.errors import AudioError
from batpam.recordings.audio import open_recording
from batpam.tables import MANIFEST, SEGMENTS, read_table, write_table

THREADS = {"index_recordings": 2, "segment_recordings": 2, "compute_scalograms": 2, "detect_calls": 2}
"""Threads of the rules whose time is told, as workflow/rules/*.smk give them; a run with fewer cores gives fewer."""

STRETCHES = 15
"""Stretches of audio in the sample, at most."""

STRETCH_S = 4.0
"""Length of one, s: two of the chunks whose noise the gate estimates, cut where the gate would cut them."""

WARM_UP_S = 0.5
"""What is run first and not counted, s: filters and networks are made on first use."""


def threads_of(rule: str, cores: int) -> int:
    """Threads that a job of a rule is given in a run with so many cores."""
    return min(THREADS[rule], cores)


def choose_stretches(seconds: np.ndarray) -> list[tuple[int, float]]:
    """Stretches that are spread evenly over the audio: the place of the recording and the start in it, s.

    Parameters
    ----------
    seconds
        Length of each recording, s.

    Examples
    --------
    >>> choose_stretches(np.array([1.0, 3.0]))
    [(0, 0.0), (1, 0.0)]
    >>> len(choose_stretches(np.array([36_000.0, 5.0])))
    15
    """
    if not len(seconds):
        return []
    begins = np.cumsum([0.0, *seconds])
    found = []
    for at in (np.arange(STRETCHES) + 0.5) / STRETCHES * begins[-1]:
        place = int(np.searchsorted(begins[:-1], at, side="right")) - 1
        into = min(at - begins[place], np.nextafter(seconds[place], 0))
        found.append((place, float(into // STRETCH_S * STRETCH_S)))
    return list(dict.fromkeys(found))  # in a short survey some are the same


def cut_sample(indexed: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Copy stretches of the recordings into files of their own, as quick to read: rows of the schema MANIFEST.

    They are read as the stages read them: what an AudioMoth left out is there, and a wrong size in a header loses nothing.
    """
    rows = []
    seconds = (indexed["readable_samples"] / indexed["sample_rate_hz"]).to_numpy(float)
    for number, (place, begins) in enumerate(choose_stretches(seconds)):
        recording = indexed.iloc[place]
        row = recording[MANIFEST.names].to_dict()
        start = round(begins * row["sample_rate_hz"])
        stop = min(round((begins + STRETCH_S) * row["sample_rate_hz"]), row["readable_samples"])
        try:
            with open_recording(Path(row["path"]), row["channel"], row["readable_samples"]) as file:
                block = file.read(start, stop)
        except AudioError:  # the ledger of the run will say so
            continue
        if len(block) == 0:
            continue
        container, _, encoding = recording["format"].partition(" ")
        ending = "flac" if container == "FLAC" else "wav"
        subtype = encoding if ending == "flac" or encoding == "PCM_16" else "FLOAT"
        # whole numbers stay what they are: of floats libsndfile would make others
        written = block if subtype == "FLOAT" else (block * np.float32(2.0**31)).astype(np.int32)
        rate = round(row["sample_rate_hz"] / row["time_expansion"])
        encoded = io.BytesIO()
        soundfile.write(encoded, written, rate, format=ending, subtype=subtype)
        path = folder / f"{number}.{ending}"
        path.write_bytes(encoded.getvalue())
        rows.append(
            row
            | {
                "recording": f"{number:016d}", "path": str(path), "channel": 1, "samples": len(block),
                "readable_samples": len(block),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=MANIFEST.names)


@dataclass(frozen=True)
class SampleRun:
    """What the stages did to a sample; seconds and bytes are those per second of audio that a stage was given."""

    sampled_s: float
    share_kept: float
    seconds: dict[str, float]
    scalogram_bytes: float
    detection_bytes: float
    on: str


def run_sample(sample: pd.DataFrame, folder: Path, settings: Config, model: Path, cores: int) -> SampleRun:
    """Run the stages on the sample as the rules would, after a warm-up on a little of every sample rate."""
    short = sample.drop_duplicates("sample_rate_hz")
    most = (short["sample_rate_hz"] * WARM_UP_S).round().astype(int)
    short = short.assign(readable_samples=short["readable_samples"].clip(upper=most))
    print(f"timing the stages on {len(sample)} stretches of the recordings", file=sys.stderr, flush=True)
    with redirect_stderr(io.StringIO()):  # what the stages say of their progress
        _run_stages(short, folder, settings, model, cores, keep_all=True)
        run = _run_stages(sample, folder, settings, model, cores)
        if run.share_kept == 0:  # what a second costs is still of use: for the most that may be needed
            run = replace(_run_stages(sample, folder, settings, model, cores, keep_all=True), share_kept=0.0)
    return run


def _run_stages(
    sample: pd.DataFrame, folder: Path, settings: Config, model: Path, cores: int, *, keep_all: bool = False
) -> SampleRun:
    from batpam.detection.detect import detect, pick_device
    from batpam.scalograms.shards import scalogram
    from batpam.segments.gate import segment

    manifest, segments = folder / "m.parquet", folder / "s.parquet"
    shard, detections = folder / "shard.h5", folder / "d.parquet"
    # where cuda is asked for and this machine has none, the time of the CPU is better than none
    device = "cpu" if settings.detect.device == "cpu" else "auto"
    write_table(sample, MANIFEST, manifest, {})
    sampled = float((sample["readable_samples"] / sample["sample_rate_hz"]).sum())
    spent = {
        "segment_recordings": _seconds(
            lambda: segment(
                manifest,
                segments,
                folder / "c.parquet",
                folder / "n.parquet",
                hop=settings.scalogram.hop,
                **settings.segment.model_dump(),
                workers=threads_of("segment_recordings", cores),
            )
        )
    }
    if keep_all:
        write_table(_whole_segments(sample, settings.scalogram.hop), SEGMENTS, segments, {})
    found = read_table(segments)
    kept = float((found["last_hop"] - found["first_hop"]).sum()) * settings.scalogram.hop
    spent["compute_scalograms"] = _seconds(
        lambda: scalogram(
            manifest, segments, shard, settings=scalogram_settings(settings),
            workers=threads_of("compute_scalograms", cores),
        )
    )  # fmt: skip
    spent["detect_calls"] = _seconds(
        lambda: detect(
            shard, manifest, model, detections, min_score=settings.detect.min_score, device=device,
            workers=threads_of("detect_calls", cores),
        )
    )  # fmt: skip
    given = kept or np.inf
    return SampleRun(
        sampled_s=sampled,
        share_kept=min(kept / sampled, 1.0),
        seconds={rule: s / (sampled if rule == "segment_recordings" else given) for rule, s in spent.items()},
        scalogram_bytes=shard.stat().st_size / given,
        detection_bytes=detections.stat().st_size / given,
        on=pick_device(device).type,
    )


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _whole_segments(sample: pd.DataFrame, hop: float) -> list[dict[str, Any]]:
    """Segments that keep all of every recording."""
    rows = []
    for row in sample.itertuples():
        length = row.readable_samples / row.sample_rate_hz
        rows.append(
            {
                "recording": row.recording, "first_hop": 0, "last_hop": ceil(length / hop), "start_s": 0.0,
                "end_s": length, "read_samples": row.readable_samples,
            }
        )  # fmt: skip
    return rows
