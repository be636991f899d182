"""Where in a file the samples lie: WAV in all its kinds (RIFF, RF64, Wave64), and what AIFF and FLAC files promise.

Recorders die, cards fill up, and software writes wrong sizes. What a header claims and what is there are kept apart, and
samples are never given up because a size is wrong.

Sources: Microsoft, "Multiple channel audio data and WAVE files" (EXTENSIBLE); EBU Tech 3306 (RF64); Sony, "Wave64";
RFC 9639 (FLAC).
"""

import codecs
import os
import stat
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from batpam.errors import AudioError
from batpam.recordings.formats.pettersson import METADATA_BYTES

HEAD_BYTES = 16_384
"""Read at once from the start of a file: headers and the first samples."""

MAX_TEXT_CHUNK = 1 << 20
"""Longest chunk of text that is read, bytes."""

MAX_CHUNKS = 1000
"""Chunks that are looked at; no recorder writes more."""

LONGEST = 1 << 44
"""A claim of more bytes is no claim."""

RATES_HZ = (100, 10_000_000)
"""Rates on paper outside of these are those of no recorder: a chunk of two seconds of more would fill the memory."""

SLACK_BYTES = 4096
"""What lies behind the samples and is no more than this is not looked at: padding to whole blocks."""

TEXT_CHUNKS = frozenset((b"guan", b"wamd"))
_KNOWN_CHUNKS = TEXT_CHUNKS | {b"LIST", b"bext", b"iXML", b"cue ", b"fact", b"junk", b"JUNK", b"PAD ", b"id3 ", b"data"}

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_LINEAR = {
    (_PCM, 1): "u1",
    (_PCM, 2): "<i2",
    (_PCM, 3): "<i3",
    (_PCM, 4): "<i4",
    (_FLOAT, 4): "<f4",
    (_FLOAT, 8): "<f8",
}
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_UNKNOWN = (range(0x7FFF_F000, 0x8000_1000), range(0xFFFF_F000, 1 << 32))
"""Sizes that software writes that does not know the size as yet."""


@dataclass(frozen=True)
class Layout:
    """What the header of a file says, and where its samples are.

    Attributes
    ----------
    container
        ``WAV``, ``RF64``, ``W64``, ``AIFF`` or ``FLAC``.
    encoding
        How a sample lies in the file, as a numpy type or ``<i3`` for 24 bits; "" where a decoder must tell.
    rate
        Sample rate on paper, Hz; 0 where a decoder must tell.
    channels
        Number of channels.
    offset
        First byte of the samples.
    frame_bytes
        Bytes of one sample of all channels; 0 where a decoder must tell.
    declared, readable
        Samples per channel that the header promises, and that are there; 0 where a decoder must tell.
    chunks
        Text chunks by name (``guan``, ``wamd``, ``ICMT``, ``IART``, ``d500x``), as bytes.
    warnings
        What is wrong with the sizes: ``header_incomplete``, ``size_wrong``.
    """

    container: str
    encoding: str
    rate: int
    channels: int
    offset: int
    frame_bytes: int
    declared: int
    readable: int
    chunks: dict[str, bytes]
    warnings: tuple[str, ...] = ()


class Bytes:
    """The bytes of an open file, its first ones read once.

    Parameters
    ----------
    file
        A descriptor.
    """

    def __init__(self, file: int) -> None:
        self.file, self.size = file, os.fstat(file).st_size
        self.head = os.pread(file, HEAD_BYTES, 0)

    def at(self, position: int, count: int) -> bytes:
        """Bytes from a position on; fewer at the end of the file."""
        if position + count <= len(self.head):
            return self.head[position : position + count]
        return os.pread(self.file, count, position) if 0 <= position < self.size else b""


def find_layout(source: Bytes) -> Layout | None:
    """Find the samples of a file, or what its header promises; None where only a decoder can tell.

    Raises
    ------
    AudioError
        It is no audio, and why.
    """
    head = source.head
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(source, _riff_chunks(source), "WAV" if head[:4] == b"RIFF" else "RF64")
    if head[:16] == _W64_RIFF and head[24:28] == b"wave":
        return _wave(source, _w64_chunks(source), "W64")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(source)
    if head[:4] == b"fLaC":
        return _flac(source)
    _refuse_what_is_no_audio(source)
    return None


def _refuse_what_is_no_audio(source: Bytes) -> None:
    head = source.head
    if not head:
        raise AudioError("no byte in it")
    if not head.strip(b"\0") and all(not piece.strip(b"\0") for piece in _pieces(source)):
        raise AudioError(f"{source.size} zero bytes, as a recorder leaves a file whose battery died")
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"FORM") and len(head) < 12:
        raise AudioError("ends within its header")
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut in two
    except UnicodeDecodeError:
        return
    if text.isprintable() or all(letter.isprintable() or letter.isspace() for letter in text):
        first = " ".join(text.split())[:60]
        raise AudioError(f"text, not audio: {first!r}")


def _pieces(source: Bytes) -> Iterator[bytes]:
    for position in range(len(source.head), source.size, 1 << 20):
        yield source.at(position, 1 << 20)


Chunks = Generator[tuple[bytes, int, int], int | None, None]
"""Name of a chunk, first byte of its content and its claimed size; is sent the true size where that differs."""


_Data = tuple[int, int, int, tuple[str, ...]]
"""Where samples begin, bytes that are claimed and that are there, what is wrong with the claim."""


def _riff_chunks(source: Bytes) -> Chunks:
    position = 12
    while position + 8 <= source.size:
        name, size = struct.unpack("<4sI", source.at(position, 8))
        found = yield name, position + 8, size
        size = size if found is None else found
        position += 8 + size
        if size % 2 and (_is_chunk(source, position + 1) or not _is_chunk(source, position)):
            position += 1  # the pad byte, which some leave out


def _w64_chunks(source: Bytes) -> Chunks:
    position = 40
    while position + 24 <= source.size:
        name, size = struct.unpack("<16sQ", source.at(position, 24))
        size = max(size, 24) - 24
        found = yield name[:4] if name[4:] == _W64_TAIL else b"", position + 24, size
        size = size if found is None else found
        position += 24 + size + -size % 8


def _is_chunk(source: Bytes, position: int) -> bool:
    """Whether a chunk of a RIFF file begins there: a known one, or a name and a size that there is room for."""
    head = source.at(position, 8)
    if len(head) < 8:
        return False
    name, size = struct.unpack("<4sI", head)
    return name in _KNOWN_CHUNKS or (_is_text(name) and position + 8 + size <= source.size)


def _is_text(content: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in content)


def _wave(source: Bytes, chunks: Chunks, container: str) -> Layout:
    """Layout of a WAV file."""
    texts: dict[str, bytes] = {}
    form: tuple[str, int, int, int] | None = None
    data: _Data | None = None
    long_size = in_fact = 0
    told: int | None = None
    for _ in range(MAX_CHUNKS):
        try:
            name, start, size = chunks.send(told)
        except StopIteration:
            break
        told = None
        if name == b"fmt " and form is None:
            form = _format(source.at(start, min(size, 40)))
        elif name == b"ds64" and size >= 16:
            long_size = struct.unpack("<Q", source.at(start + 8, 8).ljust(8, b"\0"))[0]
        elif name == b"fact" and size >= 4:
            in_fact = struct.unpack("<I", source.at(start, 4).ljust(4, b"\0"))[0]
        elif name == b"data" and data is None:
            if form is None:
                raise AudioError("its samples come before their format is told")
            data = _data(source, start, size, long_size, container)
            told = data[2]
        elif name in TEXT_CHUNKS and size <= MAX_TEXT_CHUNK:
            texts.setdefault(name.decode(), source.at(start, size))
        elif name == b"LIST" and 4 <= size <= MAX_TEXT_CHUNK and source.at(start, 4) == b"INFO":
            texts.update(_info(source.at(start + 4, size - 4)))
    if form is None:
        raise AudioError("ends within its header" if source.size < 44 else "its format is not told")
    if data is None and container != "W64":
        data = _hidden_data(source, long_size, container)
    if data is None:
        raise AudioError("ends within its header" if source.size < 44 else "no samples in it, only a header")
    encoding, rate, channels, frame_bytes = form
    start, claimed, there, warnings = data
    if encoding and source.head[0xF0:0xF5] == b"D500X":
        # the D500X puts its own header in front of the samples and counts it as such
        texts["d500x"] = source.at(0, 0x400)
        start, claimed, there = start + METADATA_BYTES, *(max(n - METADATA_BYTES, 0) for n in (claimed, there))
    # of what is compressed, the decoder tells how much is there
    declared = claimed // frame_bytes if frame_bytes else in_fact if there < claimed else 0
    readable = there // frame_bytes if frame_bytes else 0
    return Layout(container, encoding, rate, channels, start, frame_bytes, declared, readable, texts, warnings)


def _data(source: Bytes, start: int, size: int, long_size: int, container: str) -> _Data:
    claimed = long_size if container == "RF64" and size in _UNKNOWN[1] else size
    claimed, warnings = _true_size(source, start, claimed, container)
    return start, claimed, min(claimed, source.size - start), warnings


def _hidden_data(source: Bytes, long_size: int, container: str) -> _Data | None:
    """Samples that a wrong size of a chunk before them hid."""
    at = source.head.find(b"data", 12, -4)
    while at >= 0:
        size = struct.unpack_from("<I", source.head, at + 4)[0]
        if at + 8 + size <= source.size or any(size in sizes for sizes in _UNKNOWN):
            return *_data(source, at + 8, size, long_size, container)[:3], ("size_wrong",)
        at = source.head.find(b"data", at + 1, -4)
    return None


def _format(content: bytes) -> tuple[str, int, int, int]:
    """Encoding, rate, channels and bytes of a frame, of the content of ``fmt``."""
    if len(content) < 14:
        raise AudioError("ends within its header")
    code, channels, rate, _, align = struct.unpack_from("<HHIIH", content)
    bits = struct.unpack_from("<H", content, 14)[0] if len(content) >= 16 else 0
    if code == _EXTENSIBLE and len(content) >= 26:
        code = struct.unpack_from("<H", content, 24)[0]
    check_plausible(channels, rate)
    width = align // channels if align and align % channels == 0 else 0
    if width * 8 < bits:  # the size of a frame is wrong: that of a sample tells it
        width = (bits + 7) // 8
    encoding = _LINEAR.get((code, width), "") if bits else ""
    return encoding, rate, channels, width * channels if encoding or code in (6, 7) else 0


def check_plausible(channels: int, rate: int) -> None:
    """Look whether there can be a recording of so many channels at such a rate, Hz.

    Raises
    ------
    AudioError
        There cannot.
    """
    if not (1 <= channels <= 1024 and RATES_HZ[0] <= rate <= RATES_HZ[1]):
        raise AudioError(f"its header says {channels} channels at {rate} Hz")


def _true_size(source: Bytes, start: int, claimed: int, container: str) -> tuple[int, tuple[str, ...]]:
    """Bytes of samples that the file should hold, where what ``data`` claims cannot be."""
    there = source.size - start
    if claimed == 0 and there > 0 and not _is_followed(source, start):
        return there, ("header_incomplete",)  # as a recorder leaves it that died before it did
    unknown = container == "WAV" and any(claimed in sizes for sizes in _UNKNOWN)
    if (unknown and there < claimed) or claimed >= LONGEST:
        return there, ("header_incomplete",)  # as software leaves it that wrote into a pipe
    true = claimed
    if container == "WAV" and there > claimed:
        true += (there - claimed) >> 32 << 32  # 32 bits were not enough
    if there - true > SLACK_BYTES and not _is_followed(source, start + true) and not _is_padding(source, start + true):
        true = there  # the samples go on
    return true, () if true == claimed else ("size_wrong",)


def _is_followed(source: Bytes, end: int) -> bool:
    """Whether another chunk follows on the samples, or text."""
    after = source.at(end, 64)
    if source.head[:4] == b"riff":
        return _W64_TAIL in after
    return _is_chunk(source, end) or _is_chunk(source, end + 1) or (len(after) == 64 and _is_text(after))


def _is_padding(source: Bytes, end: int) -> bool:
    """Whether it is one byte over and over that lies behind the samples, as far as its first and its last part say."""
    first, last = source.at(end, SLACK_BYTES), source.at(source.size - SLACK_BYTES, SLACK_BYTES)
    return len(set(first + last)) == 1


def _info(content: bytes) -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    position = 0
    while position + 8 <= len(content) and len(entries) < MAX_CHUNKS:
        name, size = struct.unpack_from("<4sI", content, position)
        if name in (b"ICMT", b"IART"):
            entries[name.decode()] = content[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    return entries


def _aiff(source: Bytes) -> Layout | None:
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > source.size:
            return None
        name, size = struct.unpack(">4sI", source.at(position, 8))
        if name == b"COMM" and size >= 6:
            channels, frames = struct.unpack(">HI", source.at(position + 8, 6).ljust(6, b"\0"))
            return Layout("AIFF", "", 0, channels, 0, 0, frames, 0, {})
        position += 8 + size + size % 2
    return None


def _flac(source: Bytes) -> Layout | None:
    """Samples that a FLAC file promises, and the chunks of the WAV file it was made of (``--keep-foreign-metadata``)."""
    position, texts, frames, channels = 4, {}, 0, 0
    for _ in range(MAX_CHUNKS):
        head = source.at(position, 4)
        if len(head) < 4 or head[0] == 0xFF:
            break
        kind, size = head[0] & 127, int.from_bytes(head[1:], "big")
        if kind == 0 and size >= 18:
            packed = int.from_bytes(source.at(position + 14, 8).ljust(8, b"\0"), "big")
            channels, frames = (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
        elif kind == 2 and 12 <= size <= MAX_TEXT_CHUNK and source.at(position + 4, 4) == b"riff":
            content = source.at(position + 8, size - 4)
            if content[:4] in TEXT_CHUNKS:
                texts[content[:4].decode()] = content[8:]
            elif content[:4] == b"LIST" and content[8:12] == b"INFO":
                texts.update(_info(content[12:]))
        if head[0] & 128:
            break
        position += 4 + size
    return Layout("FLAC", "", 0, channels, 0, 0, frames, 0, texts)


def open_file(path: Path | str) -> int:
    """Open a regular file for reading; the caller closes the descriptor.

    Raises
    ------
    AudioError
        It is a pipe, a device or the like, or cannot be opened.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for a writer
    except (OSError, ValueError) as error:
        raise AudioError(getattr(error, "strerror", None) or str(error)) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise AudioError("not a regular file")
    return file
