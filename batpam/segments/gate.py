"""The activity gate.

A short-time spectrum is smoothed over patches of a few milliseconds by a few kilohertz and held against the noise of
its own frequency in the same chunk of the recording. What rises above it anywhere is kept, with padding. To miss a call
is worse than to keep noise, so the gate asks for very little; it is there to drop silence.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from batpam.errors import AudioError, UserError, printable
from batpam.parallel import in_order
from batpam.progress import Progress
from batpam.recordings.audio import open_recording
from batpam.recordings.containers import open_file
from batpam.recordings.find import LATEST_NS
from batpam.recordings.formats.audiomoth import MAKE
from batpam.scalograms.settings import hop_grid
from batpam.segments.sound import ChunkSound, measure_chunk, sum_up
from batpam.segments.spectra import Spectra, chunk_spectra, loudest_patches
from batpam.tables import BANDS_HZ, COVERAGE, SEGMENTS, SOUND, provenance, read_table, write_table

CHUNK_S = 2.0
"""Length of a chunk, of which the noise is estimated, s."""


def segment(
    manifest: Path,
    segments: Path,
    coverage: Path,
    sound: Path,
    *,
    hop: float,
    f_min: float,
    threshold_db: float,
    padding: float,
    workers: int = 1,
) -> None:
    """Find the segments of all recordings of a shard, and measure their sound.

    Parameters
    ----------
    manifest
        Table of the schema MANIFEST.
    segments, coverage, sound
        Tables to write, of the schemas SEGMENTS, COVERAGE and SOUND.
    hop
        Of the scalogram, s; segments begin and end on it.
    f_min, threshold_db, padding
        See :class:`batpam.config.SegmentConfig`.
    workers
        Threads; one more reads.

    Raises
    ------
    UserError
        A file could not be read and is no longer there, or not as the manifest has it.
    """
    recordings = read_table(manifest)
    found: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    kept = 0.0
    seconds = recordings["readable_samples"] / recordings["sample_rate_hz"]
    with Progress(f"segmenting {manifest.stem}", float(seconds.sum()), "s of audio") as progress:
        for row, flagged, samples, detail, measures in screen_recordings(
            recordings.itertuples(),
            f_min=f_min,
            threshold_db=threshold_db,
            workers=workers,
            progress=progress.at,
        ):
            read.append({"recording": row.recording, "read_samples": samples, "detail": detail})
            measured.append({"recording": row.recording, **measures})
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
    write_table(measured, SOUND, sound, provenance("segment", **settings))
    write_table(found, SEGMENTS, segments, provenance("segment", **settings))
    print(f"kept {kept:.1f} of {seconds.sum():.1f} s in {len(found)} segments", file=sys.stderr)


def screen_recordings(
    rows: Iterable[Any],
    *,
    f_min: float,
    threshold_db: float,
    workers: int = 1,
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[tuple[Any, list[tuple[float, float]], int, str, dict[str, Any]]]:
    """Flag what is loud in the recordings of a manifest, and measure their sound.

    This thread reads, ``workers`` others look at the chunks, of one recording or of several.

    Parameters
    ----------
    progress
        Called with the seconds done of all recordings.

    Yields
    ------
    row : Any
        The row of the manifest.
    flagged : list of (start, end)
        s, in order.
    samples : int
        How many samples could be read.
    detail : str
        Why no more could be, else empty.
    measures : dict
        See :func:`batpam.segments.sound.sum_up`.

    Raises
    ------
    UserError
        A file could not be read and is no longer there, or not as the manifest has it.
    """

    def look(chunk: _Chunk) -> tuple[_Chunk, list[tuple[float, float]], list[ChunkSound]]:
        if len(chunk.samples) == 0:
            return chunk, [], []
        begins = chunk.start / chunk.row.sample_rate_hz
        spectra = chunk_spectra(chunk.samples, chunk.row.sample_rate_hz, min(f_min, BANDS_HZ[0][0]))
        loud = loud_stretches(spectra, f_min=f_min, threshold_db=threshold_db)
        heard = measure_chunk(chunk.samples, spectra, untriggered=skips_silence(chunk.row))
        return chunk, [(begins + start, begins + end) for start, end in loud], [heard]

    flagged: list[tuple[float, float]] = []
    measured: list[ChunkSound] = []
    before = 0.0
    for chunk, stretches, heard in in_order(look, _read(rows), workers):
        flagged += stretches
        measured += heard
        end = chunk.start + len(chunk.samples)
        progress(before + end / chunk.row.sample_rate_hz)
        if chunk.last:
            yield chunk.row, flagged, end, chunk.detail, sum_up(measured)
            flagged, measured, before = [], [], before + end / chunk.row.sample_rate_hz


def skips_silence(row: Any) -> bool:
    """Whether exact zeros in a recording stand for silence in which nothing passed a trigger.

    So they do in what an AudioMoth leaves out, and in the files that AudioMoth-Utils expands: these say no more than that
    the recorder had a trigger.

    Parameters
    ----------
    row
        Of the schema MANIFEST.
    """
    return row.untriggered_s > 0 or (row.make == MAKE and isinstance(row.trigger, str) and row.trigger != "")


@dataclass(frozen=True)
class _Chunk:
    """A stretch of a recording; the last one, which may be empty, says in ``detail`` why it could not be read further."""

    row: Any
    start: int
    samples: np.ndarray
    last: bool = False
    detail: str = ""


def _read(rows: Iterable[Any]) -> Iterator[_Chunk]:
    for row in rows:
        done, detail = 0, ""
        try:
            for samples in chunks(
                Path(row.path), row.channel, row.readable_samples, round(CHUNK_S * row.sample_rate_hz)
            ):
                yield _Chunk(row, done, samples)
                done += len(samples)
        except AudioError as error:
            _check_unchanged(row)
            detail = str(error)
        yield _Chunk(row, done, np.empty(0, np.float32), last=True, detail=detail)


def _check_unchanged(row: Any) -> None:
    """Look whether a file that could not be read is the one that the index listed.

    If so, it is bad and stays so. If not, a disk may be away for a moment, and what was written of its files now would
    stand for good: nothing of them changes when it comes back.
    """
    try:
        file = open_file(row.path)
        try:
            status = os.fstat(file)
        finally:
            os.close(file)
    except (AudioError, OSError) as error:
        raise UserError(
            f"{printable(row.path)} can no longer be opened ({error}); bring its disk back and run again"
        ) from error
    if (status.st_size, min(status.st_mtime_ns, LATEST_NS)) != (row.size_bytes, row.modified_ns):
        raise UserError(f"{printable(row.path)} was changed since it was listed; run again, so that it is listed anew")


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


def loud_stretches(spectra: Spectra, *, f_min: float, threshold_db: float) -> list[tuple[float, float]]:
    """Where a chunk rises above its own noise, as (start, end) in s from its start.

    Parameters
    ----------
    f_min
        Lowest frequency that is looked at, Hz.
    threshold_db
        Above the mean power of noise, dB.
    """
    count = len(spectra.power)
    noise = spectra.noise[spectra.column(f_min) :]
    if len(noise) == 0:
        return []
    loud = np.flatnonzero(loudest_patches(spectra.power, noise) > 10 ** (threshold_db / 10))
    if count < 8:  # too short to tell noise from call: keep it
        loud = np.arange(count)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1) if len(loud) else []
    step = spectra.size // 2
    return [(run[0] * step / spectra.rate, (run[-1] * step + spectra.size) / spectra.rate) for run in runs]


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
