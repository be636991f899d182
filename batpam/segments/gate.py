"""The activity gate.

A short-time spectrum is smoothed over patches of a few milliseconds by a few kilohertz and held against the noise of
its own frequency in the same chunk of the recording. What rises above it anywhere is kept, with padding. To miss a call
is worse than to keep noise, so the gate asks for very little; it is there to drop silence.
"""

import sys
from collections.abc import Callable, Iterator
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from batpam.errors import AudioError
from batpam.progress import Progress
from batpam.recordings.audio import open_recording
from batpam.scalograms.settings import hop_grid
from batpam.segments.spectra import frame_size, loudest_patches, short_time_power
from batpam.tables import COVERAGE, SEGMENTS, provenance, read_table, write_table

CHUNK_S = 2.0
"""Length of a chunk, of which the noise is estimated, s."""

FRAME_S = 0.00133
"""Length of a spectrum, s: long enough for 750 Hz, short enough for the shortest call."""

NOISE_QUANTILE = 0.25
"""Of the power of a frequency over a chunk: below the level of calls even where these fill half of the time."""

NOISE_SPECTRA = 700
"""Spectra of a chunk, at least, of which that is taken; more cost time and move it by less than 0.3 dB."""

_QUANTILE_TO_MEAN = -1 / np.log(1 - NOISE_QUANTILE)
"""Mean over that quantile, for the exponentially distributed power of noise."""


def segment(
    manifest: Path,
    segments: Path,
    coverage: Path,
    *,
    hop: float,
    f_min: float,
    threshold_db: float,
    padding: float,
) -> None:
    """Find the segments of all recordings of a shard.

    Parameters
    ----------
    manifest
        Table of the schema MANIFEST.
    segments, coverage
        Tables to write, of the schemas SEGMENTS and COVERAGE.
    hop
        Of the scalogram, s; segments begin and end on it.
    f_min, threshold_db, padding
        See :class:`batpam.config.SegmentConfig`.
    """
    recordings = read_table(manifest)
    found: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []
    kept = 0.0
    seconds = recordings["readable_samples"] / recordings["sample_rate_hz"]
    with Progress(f"segmenting {manifest.stem}", float(seconds.sum()), "s of audio") as progress:
        for before, row in zip(seconds.cumsum() - seconds, recordings.itertuples(), strict=True):
            flagged, samples, detail = screen_recording(
                row,
                f_min=f_min,
                threshold_db=threshold_db,
                progress=lambda done, before=before: progress.at(before + done),  # type: ignore[misc]
            )
            read.append({"recording": row.recording, "read_samples": samples, "detail": detail})
            for first, last in to_segments(flagged, row.sample_rate_hz, samples, hop=hop, padding=padding):
                start, end = first * hop, min(last * hop, samples / row.sample_rate_hz)
                kept += end - start
                found.append(
                    {
                        "recording": row.recording, "first_hop": first, "last_hop": last, "start_s": start, "end_s": end,
                        "read_samples": samples,
                    }
                )  # fmt: skip
    settings = {"hop": hop, "f_min": f_min, "threshold_db": threshold_db, "padding": padding}
    write_table(read, COVERAGE, coverage, provenance("segment", **settings))
    write_table(found, SEGMENTS, segments, provenance("segment", **settings))
    print(f"kept {kept:.1f} of {seconds.sum():.1f} s in {len(found)} segments", file=sys.stderr)


def screen_recording(
    row: Any, *, f_min: float, threshold_db: float, progress: Callable[[float], None] = lambda done: None
) -> tuple[list[tuple[float, float]], int, str]:
    """Flag what is loud in one recording of a manifest.

    Parameters
    ----------
    row
        A row of the schema MANIFEST.
    progress
        Called with the seconds done.

    Returns
    -------
    flagged : list of (start, end)
        s, in order.
    samples : int
        How many samples could be read.
    detail : str
        Why no more could be, else empty.
    """
    flagged: list[tuple[float, float]] = []
    done, rate = 0, row.sample_rate_hz
    try:
        for chunk in chunks(Path(row.path), row.channel, row.readable_samples, round(CHUNK_S * rate)):
            flagged += [
                (done / rate + start, done / rate + end)
                for start, end in loud_stretches(chunk, rate, f_min=f_min, threshold_db=threshold_db)
            ]
            done += len(chunk)
            progress(done / rate)
    except AudioError as error:
        return flagged, done, str(error)
    return flagged, done, ""


def chunks(path: Path, channel: int, samples: int, length: int) -> Iterator[np.ndarray]:
    """Read a recording in blocks; one that breaks off is given as far as it goes before the error is raised.

    Parameters
    ----------
    channel
        From 1.
    samples
        Samples that should be there.
    length
        Samples in a block.
    """
    with open_recording(path, channel, samples) as recording:
        for start in range(0, samples, length):
            stop = min(start + length, samples)
            try:
                yield recording.read(start, stop)
            except AudioError:
                readable = _readable_until(path, channel, start, stop)
                if readable > start:
                    with open_recording(path, channel, samples) as again:
                        yield again.read(start, readable)
                raise


def _readable_until(path: Path, channel: int, start: int, stop: int) -> int:
    """First sample after ``start`` that cannot be read, by halving; a decoder that failed once must be opened anew."""
    whole = start
    while stop - whole > 1:
        middle = (whole + stop) // 2
        try:
            with open_recording(path, channel, middle) as recording:
                recording.read(start, middle)
            whole = middle
        except AudioError:
            stop = middle
    return whole


def loud_stretches(samples: np.ndarray, rate: float, *, f_min: float, threshold_db: float) -> list[tuple[float, float]]:
    """Where a chunk rises above its own noise, as (start, end) in s from its start.

    Parameters
    ----------
    samples
        Shape (n,).
    rate
        Hz.
    f_min
        Lowest frequency that is looked at, Hz.
    threshold_db
        Above the mean power of noise, dB.
    """
    size = frame_size(rate, FRAME_S)
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    step = size // 2
    # without the bin at the Nyquist frequency: it is real, its noise spreads wider than that of the others
    power = short_time_power(np.asarray(samples, np.float32), size, max(ceil(f_min * size / rate), 1), (size - 1) // 2)
    if power.shape[1] == 0:
        return []
    some = np.ascontiguousarray(power[:: max(len(power) // NOISE_SPECTRA, 1)].T)
    rank = int(NOISE_QUANTILE * some.shape[1])
    noise = np.partition(some, rank, axis=1)[:, rank] * np.float32(_QUANTILE_TO_MEAN)
    loudest = loudest_patches(power, noise)
    loud = np.flatnonzero(loudest > 10 ** (threshold_db / 10))
    if len(power) < 8:  # too short to tell noise from call: keep it
        loud = np.arange(len(power))
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1) if len(loud) else []
    return [(run[0] * step / rate, (run[-1] * step + size) / rate) for run in runs]


def to_segments(
    flagged: list[tuple[float, float]], rate: float, samples: int, *, hop: float, padding: float
) -> list[tuple[int, int]]:
    """Pad, merge and align to hops.

    Returns
    -------
    list of (first_hop, last_hop)
        In order, apart from each other, ``first_hop <= hop < last_hop``, within the recording.
    """
    total = ceil(samples / hop_grid(rate, hop))
    merged: list[tuple[int, int]] = []
    for start, end in flagged:
        first, last = max(floor((start - padding) / hop), 0), min(ceil((end + padding) / hop), total)
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        elif first < last:
            merged.append((first, last))
    return merged
