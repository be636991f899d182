"""Reading audio: what a file holds, and its samples."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from batpam.errors import AudioError

MAX_TEXT_CHUNK = 1 << 20
"""Longest chunk of text that is read, bytes."""

LOUDEST = 8.0
"""Samples of a float file beyond this are cut to it, re full scale: one of 1e30 would drown all that is near it."""

UNKNOWN_LENGTH = 1 << 62
"""libsndfile gives more samples than this where a FLAC file does not say how many it holds."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says.

    Attributes
    ----------
    rate
        Sample rate on paper, Hz.
    channels
        Number of channels.
    samples
        Samples per channel that the header promises.
    readable
        Samples per channel that are there; fewer where the file was cut off.
    chunks
        Text chunks of a RIFF file by name (``guan``, ``ICMT``), as bytes.
    """

    rate: int
    channels: int
    samples: int
    readable: int
    chunks: dict[str, bytes]


def probe(path: Path) -> AudioInfo:
    """Read the header of a file.

    Raises
    ------
    AudioError
        It is not audio that can be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate, channels, readable = file.samplerate, file.channels, file.frames
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        message = getattr(error, "error_string", None) or str(error)
        raise AudioError(message.strip().rstrip(".").lower() or "unreadable") from error
    except OSError as error:
        raise AudioError(error.strerror or "input/output error") from error
    if readable > UNKNOWN_LENGTH:
        raise AudioError("does not say how many samples it holds")
    declared, chunks = _riff_chunks(path)
    return AudioInfo(rate, channels, max(declared or 0, readable), readable, chunks)


def _riff_chunks(path: Path) -> tuple[int | None, dict[str, bytes]]:
    """Samples that the ``data`` chunk of a RIFF file promises (None if it does not say), and its text chunks."""
    chunks: dict[str, bytes] = {}
    declared = None
    block_align = 0
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
            return None, chunks
        long_size = 0
        end = file.seek(0, 2)
        completed = struct.unpack("<I", head[4:8])[0] + 8 >= end
        position = 12
        while position + 8 <= end:
            file.seek(position)
            name, size = struct.unpack("<4sI", file.read(8))
            if name == b"fmt " and size >= 16:
                code, _, _, _, block_align = struct.unpack("<HHIIH", file.read(14))
                if code not in (1, 3, 0xFFFE):  # compressed: a sample has no fixed number of bytes
                    block_align = 0
            elif name == b"ds64" and size >= 16:
                long_size = struct.unpack("<QQ", file.read(16))[1]
            elif name == b"data" and block_align:
                if head[:4] == b"RF64" and long_size:
                    size = long_size
                if size == 0 and not completed:  # as a recorder leaves it that died before it did
                    size = end - position - 8
                if size < 0xFFFF_FF00 or head[:4] == b"RF64":
                    declared = size // block_align
            elif name == b"guan" and size <= MAX_TEXT_CHUNK:
                chunks["guan"] = file.read(size)
            elif name == b"LIST" and size <= MAX_TEXT_CHUNK and file.read(4) == b"INFO":
                chunks.update(_info_list(file.read(size - 4)))
            position += 8 + size + size % 2
    return declared, chunks


def _info_list(content: bytes) -> dict[str, bytes]:
    entries, position = {}, 0
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        entries[name.decode("latin-1")] = content[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    return entries


class Recording:
    """The samples of one channel of an open file.

    Parameters
    ----------
    file
        The open file.
    channel
        Channel, from 1.
    samples
        Samples that are to be read at most.
    """

    def __init__(self, file: soundfile.SoundFile, channel: int, samples: int) -> None:
        self._file, self._channel, self.samples = file, channel, samples

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop - 1``, shape (n,), float32, full scale 1; zeros outside the recording.

        Raises
        ------
        AudioError
            The file breaks off or cannot be decoded there.
        """
        out = np.zeros(stop - start, np.float32)
        first, last = max(start, 0), min(stop, self.samples)
        if first < last:
            whole = self._file.subtype == "PCM_16"  # libsndfile is slow at making floats of them
            try:
                if self._file.tell() != first:
                    self._file.seek(first)
                block = self._file.read(last - first, dtype="int16" if whole else "float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError) as error:
                raise AudioError(f"cannot be decoded after sample {first}: {error}") from error
            if len(block) < last - first:
                raise AudioError(f"ends at sample {first + len(block)} of {self.samples}")
            samples, inside = block[:, self._channel - 1], out[first - start : last - start]
            if whole:
                np.multiply(samples, np.float32(1 / 32768), out=inside)
            elif self._file.subtype in ("FLOAT", "DOUBLE"):
                inside[:] = np.clip(np.nan_to_num(samples, posinf=0, neginf=0), -LOUDEST, LOUDEST)
            else:
                inside[:] = samples
        return out


@contextmanager
def open_recording(path: Path, channel: int, samples: int) -> Iterator[Recording]:
    """Open a file for reading.

    Raises
    ------
    AudioError
        It cannot be opened.
    """
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        raise AudioError(f"{path} cannot be opened: {error}") from error
    with file:
        yield Recording(file, channel, samples)
