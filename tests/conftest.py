"""What the tests share: WAV files made byte by byte, and the real recordings."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("batpam", deadline=None)
settings.load_profile("batpam")

Chunk = tuple[bytes, bytes]


def _sample_bytes(samples: np.ndarray, subtype: str) -> tuple[bytes, int, int]:
    """Samples of full scale 1 as they lie in a file: bytes, bits per sample, format code."""
    if samples.dtype == np.int16:
        return samples.astype("<i2").tobytes(), 16, 1
    if subtype in ("FLOAT", "DOUBLE"):
        kind = "<f4" if subtype == "FLOAT" else "<f8"
        return samples.astype(kind).tobytes(), 32 if subtype == "FLOAT" else 64, 3
    bits = int(subtype.removeprefix("PCM_U").removeprefix("PCM_"))
    whole = np.round(samples * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype("<i4")
    if bits == 8:
        return (whole + 128).astype("u1").tobytes(), 8, 1
    return whole.reshape(-1, 1).view("u1").reshape(-1, 4)[:, : bits // 8].tobytes(), bits, 1


def _chunk(name: bytes, content: bytes, promised: int | None = None) -> bytes:
    size = len(content) if promised is None else promised
    return struct.pack("<4sI", name, size) + content + b"\0" * (len(content) % 2)


def build_wav(
    samples: np.ndarray,
    rate: int = 250_000,
    *,
    subtype: str = "PCM_16",
    guano: str = "",
    comment: str = "",
    before: Sequence[Chunk] = (),
    after: Sequence[Chunk] = (),
    promised: int | None = None,
) -> bytes:
    """Make a WAV file of int16 samples, or of samples of full scale 1, shape (n,) or (n, channels).

    ``promised`` is what the header says of the size of the samples, in bytes, if it is not to be the truth.
    """
    content, bits, code = _sample_bytes(np.ascontiguousarray(samples), subtype)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    align = channels * bits // 8
    body = _chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits))
    body += b"".join(_chunk(*chunk) for chunk in before)
    body += _chunk(b"data", content, promised)
    body += b"".join(_chunk(*chunk) for chunk in after)
    if comment:
        body += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode("latin-1") + b"\0"))
    if guano:
        text = guano.encode()
        body += _chunk(b"guan", text + b" " * (len(text) % 2))
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WAVE") + body


def build_d500x(samples: np.ndarray, rate: int = 500_000) -> bytes:
    """Make a recording of a Pettersson D500X: int16 samples behind 980 bytes of its own header in the same chunk."""
    header = bytearray(0x400 - 0x2C)
    for at, text in ((0xE0, b"140523 22:31:05"), (0xF0, b"D500X V2.1.3"), (0x200, b"LAT: 51 12 33.0 N")):
        header[at - 0x2C : at - 0x2C + len(text)] = text
    return build_wav(np.concatenate([np.frombuffer(header, "<i2"), samples.astype("<i2")]), rate)


def build_triggered(parts: Sequence[np.ndarray | int], rate: int = 250_000) -> tuple[bytes, np.ndarray]:
    """Make a triggered recording of an AudioMoth, and the samples for which it stands.

    ``parts`` are int16 samples, and the numbers of blocks of 256 samples that it left out. The header has 488 bytes: 12
    samples and whole blocks of 256 lie before each number.
    """
    written, meant = [], []
    for part in parts:
        if isinstance(part, int):
            block = np.zeros(256, np.int16)
            block[:32] = [1 if part >> bit & 1 else -1 for bit in range(32)]
            written.append(block)
            meant.append(np.zeros(256 * part, np.int16))
        else:
            written.append(part)
            meant.append(part)
    comment = b"ICMT" + struct.pack("<I", 424) + b"Recorded by AudioMoth with amplitude threshold".ljust(424, b"\0")
    content = build_wav(np.concatenate(written), rate, before=[(b"LIST", b"INFO" + comment)])
    assert content.index(b"data") + 8 == 488
    return content, np.concatenate(meant)


def _write_wav(path: Path, samples: np.ndarray | None = None, rate: int = 250_000, **what: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build_wav(np.zeros(500, np.int16) if samples is None else samples, rate, **what))  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="session")
def wav_bytes() -> Callable[..., bytes]:
    return build_wav


@pytest.fixture(scope="session")
def d500x_bytes() -> Callable[..., bytes]:
    return build_d500x


@pytest.fixture(scope="session")
def triggered_bytes() -> Callable[..., tuple[bytes, np.ndarray]]:
    return build_triggered


@pytest.fixture(scope="session")
def make_wav() -> Callable[..., Path]:
    """``make_wav(path, samples, rate, ...)`` writes what :func:`build_wav` makes; 2 ms of silence without samples."""
    return _write_wav


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_recordings(repository: Path) -> Path:
    folder = repository / "../shared/recordings"
    if not folder.is_dir():
        pytest.skip("the real recordings are not on this machine")
    return folder.resolve()


@pytest.fixture(scope="session")
def real_deployments() -> dict[str, list[tuple[str, int, int]]]:
    """Sites of the real recordings: folder or pattern, time expansion, channel, which no file says of itself."""
    return {
        "batogram": [("labelled/batogram", 1, 1)],
        "dpg": [("labelled/dpg", 1, 1)],
        "paddygoat": [("labelled/paddygoat", 1, 1)],
        "soundclass": [("labelled/soundclass/2017*.wav", 1, 1), ("labelled/soundclass/*00?.wav", 10, 2)],
        "tadarida": [("labelled/tadarida", 10, 1)],
        "field-m500": [("field/m500", 1, 1)],
        "field-tadarida": [("field/tadarida", 10, 1)],
        "formats": [("formats", 1, 1)],
        "unreadable": [("unreadable", 1, 1)],
    }
