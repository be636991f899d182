"""Reading audio: what a file holds, and its samples.

Samples of WAV files that are not compressed are read from where they lie, so that a wrong size in a header loses none;
libsndfile decodes everything else.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soundfile

from batpam.errors import AudioError
from batpam.recordings.containers import Bytes, Layout, check_plausible, find_layout, open_file
from batpam.recordings.formats.triggered import Expansion, expand, scan

LOUDEST = 8.0
"""Samples of a float file beyond this are cut to it, re full scale: one of 1e30 would drown all that is near it."""

DENSEST = 512
"""Samples per byte of a file, FLAC of digital silence has 300. Where it is said to hold more, or libsndfile is not told, they
are counted."""

LONGEST_S = 31 * 86_400
"""A file that is said to hold so many seconds more than it does was written with a wrong size."""

DIGEST_BYTES = 4096
"""First and last bytes of the samples that a digest is made of."""

COUNT_BLOCK = 4096
"""Samples that are decoded at a time to count them, a frame of FLAC: those of the last one may not all be counted."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says.

    Attributes
    ----------
    format
        Container and encoding, as in ``WAV PCM_16``.
    rate
        Sample rate on paper, Hz.
    channels
        Number of channels.
    samples
        Samples per channel that the header promises, those included that an AudioMoth left out of a triggered recording.
    readable
        Samples per channel that are there; fewer where the file was cut off.
    untriggered
        Samples that an AudioMoth left out: it listened, and nothing passed its trigger.
    chunks
        Text chunks by name (``guan``, ``wamd``, ``ICMT``, ``IART``, ``d500x``), as bytes.
    warnings
        What is wrong with the file and was mended, see :class:`batpam.recordings.containers.Layout`.
    digest
        Same for files that hold the same samples in the same form; "" where all that was looked at is one value.
    """

    format: str
    rate: int
    channels: int
    samples: int
    readable: int
    untriggered: int
    chunks: dict[str, bytes]
    warnings: tuple[str, ...]
    digest: str


def probe(path: Path) -> AudioInfo:
    """Read the header of a file.

    Raises
    ------
    AudioError
        It is not audio that can be read.
    """
    file = open_file(path)
    try:
        source = Bytes(file)
        layout = find_layout(source)
        if layout is None or not layout.encoding:
            info = _probe_decoded(path, layout, source)
        else:
            info = _probe_linear(path, layout, source)
    except OSError as error:
        raise AudioError(error.strerror or "input/output error") from error
    except struct.error as error:
        raise AudioError("became shorter while it was read") from error
    finally:
        os.close(file)
    if info.samples - info.readable > LONGEST_S * info.rate:
        return replace(info, samples=info.readable, warnings=(*info.warnings, "size_wrong"))
    return info


def _probe_linear(path: Path, layout: Layout, source: Bytes) -> AudioInfo:
    expansion = _expansion(path, layout, source.file)
    more = expansion.samples - layout.readable if expansion else 0
    kinds = {"u": "PCM_U8", "i": f"PCM_{8 * int(layout.encoding[-1])}", "f": "FLOAT"}
    encoding = "DOUBLE" if layout.encoding == "<f8" else kinds[layout.encoding.strip("<")[0]]
    return AudioInfo(
        f"{layout.container} {encoding}", layout.rate, layout.channels, layout.declared + more, layout.readable + more,
        more, layout.chunks, layout.warnings,
        _digest(source, layout.offset, layout.readable * layout.frame_bytes, layout.frame_bytes),
    )  # fmt: skip


def _probe_decoded(path: Path, layout: Layout | None, source: Bytes) -> AudioInfo:
    with _decoder(path) as file:
        kind, rate, channels, readable = f"{file.format} {file.subtype}", file.samplerate, file.channels, file.frames
        if readable > DENSEST * source.size:
            readable = _count(file)
        chunks = dict(layout.chunks) if layout else {}
        if layout is None or layout.container != "WAV":
            for name, text in (("ICMT", file.comment), ("IART", file.artist)):
                if text and name not in chunks:
                    chunks[name] = text.encode("utf-8", "replace")
    declared = max(layout.declared if layout else 0, readable)
    warnings = layout.warnings if layout and declared == readable else ()
    digest = _digest(source, 0, source.size, 1)
    return AudioInfo(kind, rate, channels, declared, readable, 0, chunks, warnings, digest)


def _count(file: soundfile.SoundFile) -> int:
    """Samples of a file that does not say how many it holds, as far as it can be decoded."""
    count = 0
    while True:
        try:
            block = len(file.read(COUNT_BLOCK, dtype="int16", always_2d=True))
        except soundfile.LibsndfileError:
            return count
        if not block:
            return count
        count += block


def _digest(source: Bytes, start: int, count: int, frame_bytes: int) -> str:
    first = source.at(start, min(count, DIGEST_BYTES))
    last = source.at(start + max(count - DIGEST_BYTES, 0), min(count, DIGEST_BYTES))
    if not (first + last).replace(first[:frame_bytes], b""):  # silence is silence, whenever it was recorded
        return ""
    return hashlib.blake2b(b"%d " % count + first + last, digest_size=10).hexdigest()


class _Decoder(soundfile.SoundFile):
    """An open file that does not seek after every read: at the end of a FLAC file that does not tell its length that fails."""

    def seekable(self) -> bool:
        return False


@contextmanager
def _decoder(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        file = _Decoder(path)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        message = getattr(error, "error_string", None) or str(error)
        raise AudioError(message.strip().rstrip(".").lower() or "unreadable") from error
    except OSError as error:
        raise AudioError(error.strerror or "input/output error") from error
    with file:
        if not soundfile.SoundFile.seekable(file):
            raise AudioError(f"{file.subtype} can be read from its beginning only")
        check_plausible(file.channels, file.samplerate)
        yield file


def _expansion(path: Path, layout: Layout, file: int) -> Expansion | None:
    """Map of a triggered recording of an AudioMoth; None for every other file."""
    named = path.stem[-1:] in "Tt"
    told = b"threshold" in layout.chunks.get("ICMT", b"") or b" AMP " in layout.chunks.get("guan", b"")
    if not (named or told) or layout.encoding != "<i2" or layout.channels != 1:
        return None
    status = os.fstat(file)
    return _scan(os.fspath(path), status.st_size, status.st_mtime_ns, layout.offset, layout.readable)


@lru_cache(maxsize=16)
def _scan(path: str, size: int, modified_ns: int, offset: int, samples: int) -> Expansion | None:
    """Look through a file for the blocks that stand for silence, once, however often it is opened."""
    file = open_file(path)
    try:

        def read(start: int, stop: int) -> np.ndarray:
            return np.frombuffer(os.pread(file, 2 * (stop - start), offset + 2 * start), "<i2")

        return scan(read, samples, -offset % 512 // 2)
    finally:
        os.close(file)


class Recording:
    """The samples of one channel of an open file.

    Parameters
    ----------
    frames
        ``frames(start, stop)`` gives samples that are there, shape (n,), float32; fewer where the file breaks off.
    samples
        Samples that are to be read at most.
    levels
        Steps from silence to full scale; 0 for floating point and where the encoding has none.
    """

    def __init__(self, frames: Callable[[int, int], np.ndarray], samples: int, levels: int) -> None:
        self._frames, self.samples, self.levels = frames, samples, levels

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop - 1``, shape (n,), float32, full scale 1; zeros outside the recording.

        Raises
        ------
        AudioError
            The file breaks off or cannot be decoded there.
        """
        first, last = max(start, 0), min(stop, self.samples)
        if first >= last:
            return np.zeros(stop - start, np.float32)
        try:
            block = self._frames(first, last)
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError(f"cannot be decoded after sample {first}: {error}") from error
        if len(block) < last - first:
            raise AudioError(f"ends at sample {first + len(block)} of {self.samples}")
        if last - first == stop - start:
            return block
        out = np.zeros(stop - start, np.float32)
        out[first - start : last - start] = block
        return out


@contextmanager
def open_recording(path: Path, channel: int, samples: int) -> Iterator[Recording]:
    """Open a file for reading.

    Parameters
    ----------
    channel
        From 1.
    samples
        Samples that are to be read at most.

    Raises
    ------
    AudioError
        It cannot be opened.
    """
    with ExitStack() as stack:
        try:
            recording = _open(stack, path, channel, samples)
        except (AudioError, OSError, struct.error) as error:
            raise AudioError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
        yield recording


def _open(stack: ExitStack, path: Path, channel: int, samples: int) -> Recording:
    file = open_file(path)
    stack.callback(os.close, file)
    layout = find_layout(Bytes(file))
    if layout is None or not layout.encoding:
        decoder = stack.enter_context(_decoder(path))
        _check_channel(channel, decoder.channels)
        return Recording(_Decoded(decoder, channel), samples, _levels(decoder.subtype))
    _check_channel(channel, layout.channels)
    read = partial(_read_linear, file, layout, channel)
    expansion = _expansion(path, layout, file)
    levels = 0 if "f" in layout.encoding else 1 << 8 * int(layout.encoding[-1]) - 1
    return Recording(partial(_read_expanded, expansion, read) if expansion else read, samples, levels)


def _check_channel(channel: int, channels: int) -> None:
    if not 1 <= channel <= channels:
        raise AudioError(f"it has no channel {channel}")


def _levels(subtype: str) -> int:
    bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype, 0)
    return 1 << bits - 1 if bits else 0


def _read_linear(file: int, layout: Layout, channel: int, first: int, last: int) -> np.ndarray:
    size = layout.frame_bytes
    content = os.pread(file, (last - first) * size, layout.offset + first * size)
    width = size // layout.channels
    content = content[: len(content) // size * size]
    if layout.encoding == "<i3":
        octets = np.frombuffer(content, np.uint8).reshape(-1, layout.channels, 3)[:, channel - 1]
        whole = np.zeros((len(octets), 4), np.uint8)
        whole[:, 1:] = octets
        return np.multiply(whole.view("<i4")[:, 0], np.float32(2.0**-31), dtype=np.float32)
    samples = np.frombuffer(content, layout.encoding).reshape(-1, layout.channels)[:, channel - 1]
    if layout.encoding == "u1":
        return (samples.astype(np.float32) - 128) * np.float32(1 / 128)
    if "f" in layout.encoding:
        return _tame(samples)
    return np.multiply(samples, np.float32(2.0 ** (1 - 8 * width)), dtype=np.float32)


def _read_expanded(expansion: Expansion, read: Callable[[int, int], np.ndarray], first: int, last: int) -> np.ndarray:
    return expand(expansion, read, first, min(last, expansion.samples))


class _Decoded:
    """Samples of one channel as libsndfile decodes them."""

    def __init__(self, file: soundfile.SoundFile, channel: int) -> None:
        self.file, self.channel, self.position = file, channel, 0

    def __call__(self, first: int, last: int) -> np.ndarray:
        if first != self.position:
            if self.file.subtype == "VORBIS":  # from where it is, libsndfile 1.2.2 seeks to the wrong place
                self.file.seek(0)
            self.file.seek(first)
        self.position = -1  # known again when the read has not failed
        whole = self.file.subtype == "PCM_16"  # libsndfile is slow at making floats of them
        block = self.file.read(last - first, dtype="int16" if whole else "float32", always_2d=True)
        self.position = first + len(block)
        block = block[:, self.channel - 1]
        if whole:
            return np.multiply(block, np.float32(1 / 32768), dtype=np.float32)
        return np.ascontiguousarray(block) if self.file.subtype.startswith("PCM") else _tame(block)


def _tame(samples: np.ndarray) -> np.ndarray:
    """Samples of a float file as float32, without what is no number and what is no sound."""
    return np.clip(np.nan_to_num(samples, posinf=0, neginf=0), -LOUDEST, LOUDEST).astype(np.float32)


def same_audio(one: Path, other: Path, channel: int, samples: int, *, block: int = 1 << 20) -> bool:
    """Whether a channel of two files holds the same samples, to the last one, and more than silence.

    Parameters
    ----------
    channel
        From 1.
    samples
        How many there are in both.
    block
        Samples that are compared at a time.
    """
    try:
        with open_recording(one, channel, samples) as a, open_recording(other, channel, samples) as b:
            alive = False
            for start in range(0, samples, block):
                stop = min(start + block, samples)
                one_block, other_block = a.read(start, stop), b.read(start, stop)
                if not np.array_equal(one_block, other_block):
                    return False
                alive = alive or bool(np.ptp(one_block))
            return alive
    except AudioError:
        return False
