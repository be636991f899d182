"""HDF5 shards: the scalograms of all segments of a shard, one below the other.

====================  ==================  ==========================================================
dataset               shape, type         meaning
====================  ==================  ==========================================================
``power``             (hops, voices) u1   power in dB re a full-scale sine: ``offset_db + step_db * value``
``frequency``         (voices,) f8        centre of each voice, Hz
``segment/recording`` (segments,) text    recording that the segment is of
``segment/first_hop`` (segments,) i8      first hop, counted from the start of the recording
``segment/hops``      (segments,) i8      number of hops
``segment/row``       (segments,) i8      row of ``power`` at which the segment begins
``segment/rate``      (segments,) f8      real sample rate, Hz
====================  ==================  ==========================================================

The attributes name the transform (``wavelet``, ``hop``), the coding (``step_db``, ``offset_db``) and the origin.
Plain h5py reads it; no plugin is needed.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from batpam.errors import UserError
from batpam.files import written_whole
from batpam.progress import Progress
from batpam.recordings.audio import open_recording
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.transform import read_power
from batpam.tables import provenance, read_table

QUANTUM_DB = 0.5
LOWEST_DB = -127.5

PIECE_HOPS = 4096
"""Hops that one dask task computes."""

CHUNK_ROWS = 1024
"""Rows of an HDF5 chunk."""


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


@dataclass(frozen=True)
class _Piece:
    path: str
    channel: int
    samples: int
    rate: float
    first_hop: int
    last_hop: int


def scalogram(manifest: Path, segments: Path, output: Path, *, settings: ScalogramSettings, workers: int = 1) -> None:
    """Compute the scalograms of all segments of a shard into one HDF5 file.

    Dask computes pieces of segments in threads; this thread alone writes, in order, and never holds more than a few
    pieces.

    Parameters
    ----------
    manifest, segments
        Tables of the schemas MANIFEST and SEGMENTS.
    output
        HDF5 file, see the head of this module.
    settings
        The transform.
    workers
        Threads.
    """
    import dask
    import h5py

    recordings = read_table(manifest).set_index("recording")
    parts = read_table(segments)
    lengths = (parts["last_hop"] - parts["first_hop"]).to_numpy(np.int64)
    rates = recordings["sample_rate_hz"].reindex(parts["recording"]).to_numpy(float)
    pieces = _pieces(recordings, parts)
    compute = dask.delayed(_compute, pure=False)
    with written_whole(output) as temporary, _disk_errors(output), h5py.File(temporary, "w") as file:
        power = file.create_dataset(
            "power", (int(lengths.sum()), settings.voices), np.uint8, maxshape=(None, settings.voices),
            chunks=(CHUNK_ROWS, settings.voices), compression="gzip", compression_opts=1, shuffle=True,
        )  # fmt: skip
        file["frequency"] = settings.frequencies()
        index = file.create_group("segment")
        index["recording"] = parts["recording"].to_numpy(object).astype("S16")
        index["first_hop"] = parts["first_hop"].to_numpy(np.int64)
        index["hops"] = lengths
        index["row"] = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
        index["rate"] = rates
        for name, value in asdict(settings).items():
            file.attrs[name] = value
        file.attrs["step_db"], file.attrs["offset_db"] = QUANTUM_DB, LOWEST_DB
        file.attrs["batpam"] = json.dumps(provenance("scalogram", **asdict(settings)), sort_keys=True)
        row = 0
        with Progress(f"transforming {manifest.stem}", float(lengths.sum()) * settings.hop, "s of audio") as progress:
            while batch := list(islice(pieces, 4 * workers)):
                tasks = [compute(piece, settings) for piece in batch]
                for block in dask.compute(*tasks, scheduler="threads", num_workers=workers):
                    power[row : row + len(block)] = block
                    row += len(block)
                progress.at(row * settings.hop)
    print(f"{output}: {row} hops, {output.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


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


def _pieces(recordings: Any, parts: Any) -> Iterator[_Piece]:
    for part in parts.itertuples():
        of = recordings.loc[part.recording]
        for first in range(part.first_hop, part.last_hop, PIECE_HOPS):
            last = min(first + PIECE_HOPS, part.last_hop)
            yield _Piece(of["path"], int(of["channel"]), part.read_samples, of["sample_rate_hz"], first, last)


def _compute(piece: _Piece, settings: ScalogramSettings) -> np.ndarray:
    with open_recording(Path(piece.path), piece.channel, piece.samples) as recording:
        power = read_power(recording.read, piece.rate, piece.first_hop, piece.last_hop, settings)
    return to_bytes(power)


@dataclass(frozen=True)
class Segment:
    """One segment of an open shard; ``row`` and ``hops`` say where it lies in ``power``."""

    recording: str
    first_hop: int
    hops: int
    row: int
    rate: float


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
        self.segments = [
            Segment(recording.decode(), int(first), int(hops), int(row), float(rate))
            for recording, first, hops, row, rate in zip(*columns, strict=True)
        ]

    def power(self, segment: Segment, first: int, last: int) -> np.ndarray:
        """Power of the hops ``first`` to ``last - 1`` of a segment, shape (hops, voices), dB re full scale."""
        return from_bytes(self._power[segment.row + first : segment.row + last])
