"""HDF5 shards: the scalograms of all segments of a shard, one below the other.

====================  ==================  ==========================================================
dataset               shape, type         meaning
====================  ==================  ==========================================================
``power``             (hops, voices) u1   power in dB re a full-scale sine: ``offset_db + step_db * value``
``frequency``         (voices,) f8        centre of each voice, Hz
``segment/recording`` (segments,) text    recording that the segment is of
``segment/path``      (segments,) text    its file
``segment/start_utc`` (segments,) text    when the segment begins, ISO 8601; empty if nobody knows
``segment/first_hop`` (segments,) i8      first hop, counted from the start of the recording
``segment/hops``      (segments,) i8      number of hops
``segment/row``       (segments,) i8      row of ``power`` at which the segment begins
``segment/rate``      (segments,) f8      real sample rate, Hz
====================  ==================  ==========================================================

The attributes name the transform (``wavelet``, ``hop``), the coding (``step_db``, ``offset_db``) and the origin.

Chunks are gzip streams, so plain h5py reads them and no plugin is needed. They are made and read here with ISA-L's
deflate, past HDF5's own filter: that takes four times as long to write, and compresses in one thread.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from batpam.errors import UserError
from batpam.files import written_whole
from batpam.progress import Progress
from batpam.recordings.audio import open_recording
from batpam.scalograms.settings import ScalogramSettings
from batpam.tables import provenance, read_table

QUANTUM_DB = 0.5
LOWEST_DB = -127.5

CHUNK_ROWS = 1024
"""Rows of an HDF5 chunk."""

PIECE_ROWS = {"cpu": 4 * CHUNK_ROWS, "cuda": 64 * CHUNK_ROWS}
"""Rows that one dask task computes, whole chunks."""

BATCH_TASKS = 256
"""Tasks that dask is given at a time: its graph does not grow with the shard."""


def to_bytes(power: np.ndarray) -> np.ndarray:
    """Power in dB re full scale as bytes: steps of 0.5 dB from -127.5 to 0 dB; what lies outside is clipped.

    Examples
    --------
    >>> from_bytes(to_bytes(np.array([-200.0, -60.2, -0.1])))
    array([-127.5,  -60. ,    0. ], dtype=float32)
    """
    return np.clip(np.rint((power - LOWEST_DB) / QUANTUM_DB), 0, 255).astype(np.uint8)


def from_bytes(stored: np.ndarray) -> np.ndarray:
    """Power in dB re full scale, float32."""
    return stored.astype(np.float32) * np.float32(QUANTUM_DB) + np.float32(LOWEST_DB)


def scalogram(
    manifest: Path,
    segments: Path,
    output: Path,
    *,
    settings: ScalogramSettings,
    device: str = "cpu",
    workers: int = 1,
) -> None:
    """Compute the scalograms of all segments of a shard into one HDF5 file.

    Dask runs in threads: each reads a stretch of audio, transforms and compresses it, and writes it while the others go on; one
    writes at a time.

    Parameters
    ----------
    manifest, segments
        Tables of the schemas MANIFEST and SEGMENTS.
    output
        HDF5 file, see the head of this module.
    settings
        The transform.
    device
        ``cpu`` or ``cuda``.
    workers
        Threads.

    Raises
    ------
    UserError
        CUDA was asked for and there is none.
    """
    import dask
    import h5py

    if device == "cuda":
        _check_cuda()
    sources = _lay_out(read_table(manifest), read_table(segments), settings.hop)
    starts = np.array([source.segment.row for source in sources], np.int64)
    total = sum(source.segment.hops for source in sources)
    writing, row_done = threading.Lock(), 0
    with written_whole(output) as temporary, _disk_errors(output), h5py.File(temporary, "w") as file:
        power = file.create_dataset(
            "power", (total, settings.voices), np.uint8, maxshape=(None, settings.voices),
            chunks=(CHUNK_ROWS, settings.voices), compression="gzip",
        )  # fmt: skip
        _describe(file, settings, sources)
        with Progress(f"transforming {manifest.stem}", total * settings.hop, "s of audio") as progress:

            def fill(first: int) -> None:
                nonlocal row_done
                last = min(first + PIECE_ROWS[device], total)
                begin, end = np.searchsorted(starts, first, "right") - 1, np.searchsorted(starts, last)
                chunks = _compress(_compute_rows(sources[begin:end], first, last, settings, device))
                with writing:
                    for number, chunk in enumerate(chunks):
                        power.id.write_direct_chunk((first + number * CHUNK_ROWS, 0), chunk)
                    row_done += last - first
                    progress.at(row_done * settings.hop)

            pieces = range(0, total, PIECE_ROWS[device])
            for begin in range(0, len(pieces), BATCH_TASKS):
                tasks = [dask.delayed(fill)(first) for first in pieces[begin : begin + BATCH_TASKS]]
                dask.compute(*tasks, scheduler="threads", num_workers=workers)
    print(f"{output}: {total} hops, {output.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


@dataclass(frozen=True)
class Segment:
    """One segment of a shard; ``row`` and ``hops`` say where it lies in ``power``."""

    recording: str
    first_hop: int
    hops: int
    row: int
    rate: float


def _check_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise UserError("scalogram.device: cuda was asked for and none is there; use cpu")


@dataclass(frozen=True)
class _Source:
    """A segment and where its sound is."""

    segment: Segment
    path: str
    channel: int
    samples: int
    start_utc: str


def _lay_out(recordings: Any, parts: Any, hop: float) -> list[_Source]:
    """Segments one below the other."""
    import pandas as pd

    recordings = recordings.set_index("recording")
    found, row = [], 0
    for part in parts.itertuples():
        of = recordings.loc[part.recording]
        hops = int(part.last_hop - part.first_hop)
        segment = Segment(part.recording, int(part.first_hop), hops, row, float(of["sample_rate_hz"]))
        begins = of["start_utc"]
        start_utc = "" if pd.isna(begins) else (begins + timedelta(seconds=segment.first_hop * hop)).isoformat()
        found.append(_Source(segment, of["path"], int(of["channel"]), int(part.read_samples), start_utc))
        row += hops
    return found


def _describe(file: Any, settings: ScalogramSettings, sources: list[_Source]) -> None:
    """Write everything but the power."""
    import h5py

    file["frequency"] = settings.frequencies()
    index = file.create_group("segment")
    index["recording"] = np.array([source.segment.recording for source in sources], "S16")
    for name in ("path", "start_utc"):
        texts = np.array([getattr(source, name) for source in sources], object)
        index.create_dataset(name, data=texts, dtype=h5py.string_dtype())
    for name, kind in (("first_hop", np.int64), ("hops", np.int64), ("row", np.int64), ("rate", np.float64)):
        index[name] = np.array([getattr(source.segment, name) for source in sources], kind)
    for name, value in asdict(settings).items():
        file.attrs[name] = value
    file.attrs["step_db"], file.attrs["offset_db"] = QUANTUM_DB, LOWEST_DB
    file.attrs["batpam"] = json.dumps(provenance("scalogram", **asdict(settings)), sort_keys=True)


def _compute_rows(
    sources: list[_Source], first: int, last: int, settings: ScalogramSettings, device: str
) -> np.ndarray:
    """Rows ``first`` to ``last - 1`` of the shard as bytes, from the segments that they are of."""
    from batpam.scalograms.transform import read_power  # not for those who only read a shard

    rows = np.empty((last - first, settings.voices), np.uint8)
    for source in sources:
        begin = source.segment.row
        low, high = max(begin, first), min(begin + source.segment.hops, last)
        hops = source.segment.first_hop + low - begin, source.segment.first_hop + high - begin
        with open_recording(Path(source.path), source.channel, source.samples) as recording:
            power = read_power(recording.read, source.segment.rate, *hops, settings, device=device)
        rows[low - first : high - first] = to_bytes(power)
    return rows


def _compress(rows: np.ndarray) -> list[bytes]:
    """Rows as chunks of the file; the last one is filled up, as HDF5 wants it."""
    from isal import isal_zlib

    missing = -len(rows) % CHUNK_ROWS
    padded = np.pad(rows, ((0, missing), (0, 0))) if missing else rows
    return [isal_zlib.compress(padded[i : i + CHUNK_ROWS], 1) for i in range(0, len(padded), CHUNK_ROWS)]


@contextmanager
def _disk_errors(output: Path) -> Iterator[None]:
    """Raise what HDF5 says of the disk while it flushes or closes as the OSError it is."""
    try:
        yield
    except RuntimeError as error:
        number = re.search(r"errno = (\d+)", str(error))
        if not number:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(output)) from error


class Shard:
    """A shard that is open for reading: its settings, its segments and their power."""

    def __init__(self, file: Any, path: Path) -> None:
        try:
            attributes = file.attrs
            self.settings = ScalogramSettings(
                wavelet=str(attributes["wavelet"]),
                f_min=float(attributes["f_min"]),
                f_max=float(attributes["f_max"]),
                voices=int(attributes["voices"]),
                hop=float(attributes["hop"]),
                spacing=attributes["spacing"],
            )
            index = file["segment"]
            columns = [index[name][:] for name in ("recording", "first_hop", "hops", "row", "rate")]
            self._power = file["power"]
        except KeyError as error:
            raise UserError(f"{path}: not a shard of scalograms ({error}); delete it and run again") from error
        if self._power.compression != "gzip":
            raise UserError(f"{path}: its power is not in gzip chunks; delete it and run again")
        self.segments = [
            Segment(recording.decode(), int(first), int(hops), int(row), float(rate))
            for recording, first, hops, row, rate in zip(*columns, strict=True)
        ]

    def power(self, segment: Segment, first: int, last: int) -> np.ndarray:
        """Power of the hops ``first`` to ``last - 1`` of a segment, shape (hops, voices), dB re full scale."""
        from isal import isal_zlib

        first, last = segment.row + first, segment.row + last
        rows, voices = self._power.chunks
        begin = first // rows * rows
        chunks = [
            isal_zlib.decompress(self._power.id.read_direct_chunk((row, 0))[1]) for row in range(begin, last, rows)
        ]
        stored = np.frombuffer(b"".join(chunks), np.uint8).reshape(-1, voices)
        return from_bytes(stored[first - begin : last - begin])
