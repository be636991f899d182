"""Where the samples lie: headers that are wrong, incomplete or of another kind lose none of them and invent none."""

import io
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from batpam.errors import AudioError
from batpam.recordings.audio import LONGEST_S, AudioInfo, open_recording, probe
from batpam.recordings.containers import LONGEST, MAX_CHUNKS, MAX_TEXT_CHUNK, RATES_HZ, SLACK_BYTES
from batpam.survey import SUFFIXES

RATE = 250_000
RAMP = (np.arange(-800, 1200) * 16).astype(np.int16)
NOISE = np.random.default_rng(3).integers(-30_000, 30_000, (5000, 2)).astype(np.int16)
GUANO = b"GUANO|Version: 1.0\nTimestamp: 2024-06-01T22:00:00+01:00\n"
AUDIO_AT = 44
"""First byte of the samples in a WAV file with nothing before them."""

INCOMPLETE, WRONG = ("header_incomplete",), ("size_wrong",)

BuildWav = Callable[..., bytes]
MakeWav = Callable[..., Path]


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _read(path: Path, start: int = 0, stop: int | None = None, channel: int = 1) -> np.ndarray:
    info = probe(path)
    with open_recording(path, channel, info.readable) as recording:
        return recording.read(start, info.readable if stop is None else stop)


def _lengths(info: AudioInfo) -> tuple[int, int, tuple[str, ...]]:
    return info.samples, info.readable, info.warnings


def _is_ramp(path: Path, warnings: tuple[str, ...] = ()) -> None:
    assert _lengths(probe(path)) == (2000, 2000, warnings)
    np.testing.assert_array_equal(_read(path), RAMP / np.float32(32768))


def _written(samples: np.ndarray, container: str, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, subtype=subtype, format=container)
    return buffer.getvalue()


def _patched(content: bytes, at: int, number: int, form: str = "<I") -> bytes:
    put = struct.pack(form, number)
    return content[:at] + put + content[at + len(put) :]


def _format(code: int, channels: int, bits: int, *, rate: int = RATE, align: int | None = None) -> bytes:
    align = channels * bits // 8 if align is None else align
    return struct.pack("<HHIIHH", code, channels, rate, rate * align % 2**32, align, bits)


def _riff(form: bytes, data: bytes, name: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", name, len(body)) + body


def _rf64(data_size: int, frames: int, *, name: bytes = b"RF64", told: int = 0xFFFF_FFFF) -> bytes:
    """Header of a RF64 file, as EBU Tech 3306 has it."""
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, data_size + 72, data_size, frames, 0)
    form = _format(1, 1, 16)
    return (
        struct.pack("<4sI4s", name, 0xFFFF_FFFF, b"WAVE") + ds64
        + struct.pack("<4sI", b"fmt ", 16) + form + struct.pack("<4sI", b"data", told)
    )  # fmt: skip


def _w64(data_size: int, rate: int = RATE) -> bytes:
    """Header of a Wave64 file."""
    tail = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
    form = _format(1, 1, 16, rate=rate)
    return (
        b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + struct.pack("<Q", 40 + 40 + 24 + data_size)
        + b"wave" + tail + b"fmt " + tail + struct.pack("<Q", 40) + form
        + b"data" + tail + struct.pack("<Q", 24 + data_size)
    )  # fmt: skip


def _sparse(path: Path, header: bytes, size: int, tail: bytes) -> Path:
    """A file of a header, a hole, and a tail that ends at ``size`` bytes."""
    path.write_bytes(header)
    os.truncate(path, size)
    if path.stat().st_blocks * 512 > 1 << 20:
        path.unlink()
        pytest.skip("the file system has no sparse files")
    with path.open("r+b") as file:
        file.seek(size - len(tail))
        file.write(tail)
    return path


# kinds of WAV


@pytest.mark.parametrize("name", [b"bext", b"junk", b"JUNK", b"FLLR", b"iXML", b"LIST", b"\0\0\0\0", b"guan", b"ds64"])
@pytest.mark.parametrize("size", [0, 1, 602, 20_001])
def test_chunks_before_the_samples(tmp_path: Path, make_wav: MakeWav, name: bytes, size: int) -> None:
    _is_ramp(make_wav(tmp_path / "a.wav", RAMP, RATE, before=[(name, b"x" * size), (b"fact", bytes(4))]))


@pytest.mark.parametrize(
    ("code", "subformat", "bits", "valid", "kind"),
    [
        (0xFFFE, 1, 16, 16, "<i2"),
        (0xFFFE, 1, 16, 12, "<i2"),
        (0xFFFE, 1, 32, 24, "<i4"),
        (0xFFFE, 1, 32, 32, "<i4"),
        (0xFFFE, 3, 32, 32, "<f4"),
        (0xFFFE, 3, 64, 64, "<f8"),
    ],
)
def test_extensible(tmp_path: Path, code: int, subformat: int, bits: int, valid: int, kind: str) -> None:
    guid = struct.pack("<H", subformat) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    form = _format(code, 2, bits) + struct.pack("<HHI", 22, valid, 3) + guid
    wanted = np.round(np.random.default_rng(1).uniform(-1, 1, (500, 2)) * 2 ** (valid - 1)) * 2.0 ** (bits - valid)
    if subformat == 3:
        wanted = wanted / 2.0 ** (bits - 1)
    path = _put(tmp_path / "a.wav", _riff(form, wanted.astype(kind).tobytes()))
    assert _lengths(probe(path)) == (500, 500, ())
    scale = 1 if subformat == 3 else 2.0 ** (1 - bits)
    for channel in (1, 2):
        np.testing.assert_allclose(_read(path, channel=channel), wanted[:, channel - 1] * scale, rtol=2**-23)


def test_sample_narrower_than_its_place_is_left_aligned(tmp_path: Path) -> None:
    samples = (NOISE[:, 0].astype("<i4") << 16).tobytes()
    path = _put(tmp_path / "a.wav", _riff(_format(1, 1, 24, align=4), samples))
    np.testing.assert_array_equal(_read(path), NOISE[:, 0] / np.float32(32768))


@pytest.mark.parametrize("align", [0, 1, 3])
def test_size_of_a_frame_that_cannot_be(tmp_path: Path, align: int) -> None:
    path = _put(tmp_path / "a.wav", _riff(_format(1, 2, 16, align=align), NOISE.tobytes()))
    assert _lengths(probe(path)) == (5000, 5000, ())
    np.testing.assert_array_equal(_read(path, channel=2), NOISE[:, 1] / np.float32(32768))


@pytest.mark.parametrize(
    ("channels", "rate"), [(0, RATE), (1025, RATE), (1, 0), (1, RATES_HZ[0] - 1), (1, RATES_HZ[1] + 1), (1, 2**32 - 1)]
)
def test_what_no_recorder_writes_is_refused(tmp_path: Path, channels: int, rate: int) -> None:
    path = _put(tmp_path / "a.wav", _riff(_format(1, channels, 16, rate=rate, align=2), bytes(range(1, 200))))
    with pytest.raises(AudioError, match=f"{channels} channels at {rate} Hz"):
        probe(path)


# more than 4 GB

LONG = (1 << 32) + 2 * 1_000_000
"""Bytes of samples that 32 bits cannot count."""


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_rf64_of_more_than_4_gb(tmp_path: Path, name: bytes) -> None:
    header = _rf64(LONG, LONG // 2, name=name)
    path = _sparse(tmp_path / "a.wav", header, len(header) + LONG, RAMP.tobytes())
    assert _lengths(probe(path)) == (LONG // 2, LONG // 2, ())
    np.testing.assert_array_equal(_read(path, LONG // 2 - 2000), RAMP / np.float32(32768))
    os.truncate(path, len(header) + LONG - 2000)
    assert _lengths(probe(path)) == (LONG // 2, LONG // 2 - 1000, ())
    np.testing.assert_array_equal(_read(path, LONG // 2 - 2000), RAMP[:1000] / np.float32(32768))


def test_w64_of_more_than_4_gb(tmp_path: Path) -> None:
    header = _w64(LONG)
    path = _sparse(tmp_path / "a.w64", header, len(header) + LONG, RAMP.tobytes())
    assert _lengths(probe(path)) == (LONG // 2, LONG // 2, ())
    np.testing.assert_array_equal(_read(path, LONG // 2 - 2000), RAMP / np.float32(32768))


@pytest.mark.parametrize("wraps", [1, 3])
@pytest.mark.parametrize("rest", [0, 2, 100, 2_000_000, 3_000_000_000])
def test_riff_whose_size_ran_over(tmp_path: Path, rest: int, wraps: int) -> None:
    size = wraps * (1 << 32) + rest
    guano = struct.pack("<4sI", b"guan", len(GUANO)) + GUANO
    header = _riff(_format(1, 1, 16), b"")[:-4] + struct.pack("<I", rest)
    path = _sparse(tmp_path / "a.wav", header, AUDIO_AT + size, RAMP.tobytes())
    info = probe(path)
    assert _lengths(info) == (size // 2, size // 2, WRONG if rest else INCOMPLETE)
    np.testing.assert_array_equal(_read(path, size // 2 - 2000), RAMP / np.float32(32768))
    if rest:
        with path.open("ab") as file:
            file.write(guano)
        assert (probe(path).samples, probe(path).chunks) == (size // 2, {"guan": GUANO})


@pytest.mark.parametrize("size", [2_500_000_000, 4_000_000_000])
def test_cut_file_of_more_than_2_gb_lacks_what_was_cut(tmp_path: Path, size: int) -> None:
    header = _riff(_format(1, 1, 16), b"")[:-4] + struct.pack("<I", size)
    path = _sparse(tmp_path / "a.wav", header, AUDIO_AT + size - 1_000_000_000, b"")
    assert _lengths(probe(path)) == (size // 2, size // 2 - 500_000_000, ())


@pytest.mark.parametrize("told", [0xFFFF_FFFF, 0])
def test_file_of_more_than_4_gb_whose_header_was_never_completed(tmp_path: Path, told: int) -> None:
    header = _riff(_format(1, 1, 16), b"")[:-4] + struct.pack("<I", told)
    size = 2 * LONG + 5000
    path = _sparse(tmp_path / "a.wav", header, AUDIO_AT + size, RAMP.tobytes())
    info = probe(path)
    assert (info.samples, info.readable) == (size // 2, size // 2)
    assert info.warnings


# sizes that are wrong


def test_file_that_was_cut_off(tmp_path: Path, wav_bytes: BuildWav) -> None:
    path = _put(tmp_path / "a.wav", wav_bytes(RAMP, RATE)[: AUDIO_AT + 2 * 700])
    assert _lengths(probe(path)) == (2000, 700, ())
    np.testing.assert_array_equal(_read(path), RAMP[:700] / np.float32(32768))


@pytest.mark.parametrize("rest", [0, 1, 2, 3, 4, 5, 401])
def test_sample_that_was_cut_in_two_is_not_there(tmp_path: Path, wav_bytes: BuildWav, rest: int) -> None:
    path = _put(tmp_path / "a.wav", wav_bytes(NOISE, RATE)[: AUDIO_AT + rest])
    assert _lengths(probe(path)) == (5000, rest // 4, ())


def test_header_that_promises_more_than_there_is(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, promised=2 * 9000)
    assert _lengths(probe(path)) == (9000, 2000, ())


@pytest.mark.parametrize(
    "told", [0, 0xFFFF_FFFF, 0xFFFF_FFFF - 36, 0x7FFF_FFFF, 0x8000_0000, 0x7FFF_F000, 0x7FFF_FFFF - 36]
)
@pytest.mark.parametrize("riff_size", [0, 8, 36, 0xFFFF_FFFF, None])
def test_header_that_was_never_completed_hides_no_samples(
    tmp_path: Path, wav_bytes: BuildWav, told: int, riff_size: int | None
) -> None:
    # the battery died, or a pipe was written into: the sizes still stand as they did at the beginning
    content = wav_bytes(RAMP, RATE, promised=told)
    if riff_size is not None:
        content = _patched(content, 4, riff_size)
    _is_ramp(_put(tmp_path / "a.wav", content), INCOMPLETE)


@pytest.mark.parametrize("header", [_rf64(0, 0), _rf64(0, 0, told=0), _w64(0), _w64(-24), _w64(LONGEST)])
def test_other_headers_that_were_never_completed(tmp_path: Path, header: bytes) -> None:
    _is_ramp(_put(tmp_path / "a.wav", header + RAMP.tobytes()), INCOMPLETE)


@pytest.mark.parametrize("told", [2, 100, 999, 10_000, 15_000])
@pytest.mark.parametrize("after", [b"", b"guan" + struct.pack("<I", len(GUANO)) + GUANO])
def test_samples_go_on_behind_a_size_that_is_too_small(
    tmp_path: Path, wav_bytes: BuildWav, told: int, after: bytes
) -> None:
    path = _put(tmp_path / "a.wav", wav_bytes(NOISE, RATE, promised=told) + after)
    info = probe(path)
    assert info.warnings == WRONG
    assert info.samples == info.readable == (20_000 + len(after)) // 4
    np.testing.assert_array_equal(_read(path, 0, 5000), NOISE[:, 0] / np.float32(32768))


@given(told=st.integers(0, 21_000) | st.integers(0, 2**32 - 1))
def test_no_size_loses_more_than_padding_could_be(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, told: int
) -> None:
    info = probe(_put(tmp_path_factory.getbasetemp() / "told.wav", wav_bytes(NOISE, RATE, promised=told)))
    if told < 20_000 - SLACK_BYTES:
        assert _lengths(info) == (5000, 5000, WRONG if told else INCOMPLETE)
    elif told <= 20_000:
        assert _lengths(info) == (told // 4, told // 4, ())
    else:
        assert info.readable == 5000
        assert info.samples == 5000 if info.warnings else info.samples == told // 4


def test_last_minute_of_a_header_that_was_written_every_minute(tmp_path: Path) -> None:
    told = 100 * 60 * RATE * 2
    header = _riff(_format(1, 1, 16), b"")[:-4] + struct.pack("<I", told)
    noise = NOISE.tobytes() * 10
    path = _sparse(tmp_path / "a.wav", header, AUDIO_AT + told, b"")
    with path.open("ab") as file:
        file.write(noise)
    assert _lengths(probe(path)) == ((told + len(noise)) // 2, (told + len(noise)) // 2, WRONG)


@pytest.mark.parametrize(
    "padding", [b"\0" * 100_000, b"\xff" * 100_000, b"\0" * 3, b"\0" * 4095, b"note: windy night\r\n" * 900]
)
def test_what_lies_behind_the_samples_is_none_of_them(tmp_path: Path, wav_bytes: BuildWav, padding: bytes) -> None:
    _is_ramp(_put(tmp_path / "a.wav", wav_bytes(RAMP, RATE) + padding))
    path = _put(tmp_path / "b.wav", wav_bytes(RAMP, RATE, guano=GUANO.decode()) + padding)
    _is_ramp(path)
    assert probe(path).chunks["guan"].strip() == GUANO.strip()


@pytest.mark.parametrize("size", [8000, 200_000])
@pytest.mark.parametrize("name", [b"guan", b"LIST", b"xyz1"])
def test_long_chunk_behind_the_samples_is_none_of_them(
    tmp_path: Path, make_wav: MakeWav, name: bytes, size: int
) -> None:
    _is_ramp(make_wav(tmp_path / "a.wav", RAMP, RATE, after=[(name, bytes(range(256)) * (size // 256))]))


def test_empty_recording_with_metadata_behind_it_is_empty(tmp_path: Path, make_wav: MakeWav) -> None:
    info = probe(make_wav(tmp_path / "a.wav", RAMP[:0], RATE, after=[(b"guan", GUANO)]))
    assert _lengths(info) == (0, 0, ())
    assert info.chunks == {"guan": GUANO}


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_bytes_that_make_no_whole_sample_are_not_counted(tmp_path: Path, wav_bytes: BuildWav, odd: int) -> None:
    content = _patched(wav_bytes(NOISE, RATE), 40, 4 * 5000 + odd) + bytes(odd + odd % 2)
    assert _lengths(probe(_put(tmp_path / "a.wav", content))) == (5000, 5000, ())


@pytest.mark.parametrize("kind", ["RF64", "W64", "AIFF"])
def test_other_containers_tell_of_what_was_cut_off_too(tmp_path: Path, kind: str) -> None:
    content = _written(RAMP, kind)
    whole = _put(tmp_path / "whole", content)
    assert _lengths(probe(whole)) == (2000, 2000, ())
    end = content.index(RAMP.tobytes()[:100].ljust(100)) if kind != "AIFF" else content.index(RAMP.byteswap().tobytes())
    cut = _put(tmp_path / "cut", content[: end + 2000])
    assert _lengths(probe(cut)) == (2000, 1000, ())
    np.testing.assert_array_equal(_read(cut), RAMP[:1000] / np.float32(32768))


@pytest.mark.parametrize("rate", [8000, RATE])
def test_claim_of_years_is_no_claim(tmp_path: Path, rate: int) -> None:
    for seconds, wanted in ((LONGEST_S + 1, (2000, 2000, WRONG)), (LONGEST_S, (2000 + LONGEST_S * rate, 2000, ()))):
        content = _w64(4000 + 2 * rate * seconds, rate) + RAMP.tobytes()
        assert _lengths(probe(_put(tmp_path / "a.w64", content))) == wanted


# chunks


@pytest.mark.parametrize("samples", [RAMP[:3], RAMP[:4], np.linspace(-0.5, 0.5, 7), np.linspace(-0.5, 0.5, 8)])
def test_metadata_behind_samples_of_any_size(tmp_path: Path, make_wav: MakeWav, samples: np.ndarray) -> None:
    path = make_wav(tmp_path / "a.wav", samples, RATE, subtype="PCM_24", guano=GUANO.decode(), comment="Recorded at")
    info = probe(path)
    assert _lengths(info) == (len(samples), len(samples), ())
    assert info.chunks["guan"].decode().strip() == GUANO.decode().strip()
    assert info.chunks["ICMT"].rstrip(b"\0") == b"Recorded at"


@pytest.mark.parametrize("pad", [b"", b"\0", b" ", b"x"])
@pytest.mark.parametrize("length", [0x20, 0x40, 0x7E, 300])
def test_chunk_of_odd_size_with_and_without_its_pad_byte(
    tmp_path: Path, wav_bytes: BuildWav, pad: bytes, length: int
) -> None:
    content = wav_bytes(np.linspace(-1, 1, 7), RATE, subtype="PCM_U8", promised=7)[: AUDIO_AT + 7]
    text = GUANO.ljust(length)[:length]
    for name, chunk in ((b"guan", text), (b"junk", b"abc"), (b"wamd", b"\1\0\2\0\0\0ab")):
        content += pad * (len(content) % 2)
        content += struct.pack("<4sI", name, len(chunk)) + chunk
    info = probe(_put(tmp_path / "a.wav", content))
    assert _lengths(info) == (7, 7, ())
    assert info.chunks == {"guan": text, "wamd": b"\1\0\2\0\0\0ab"}


def test_chunks_may_stand_anywhere(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(
        tmp_path / "a.wav",
        RAMP,
        RATE,
        before=[(b"junk", b"x" * 333), (b"guan", GUANO), (b"LIST", b"adtl")],
        after=[(b"wamd", b"\1\0"), (b"LIST", b"INFO" + struct.pack("<4sI", b"IART", 3) + b"Me\0\0"), (b"bext", b"")],
    )
    _is_ramp(path)
    assert probe(path).chunks == {"guan": GUANO, "wamd": b"\1\0", "IART": b"Me\0"}


def test_chunks_of_w64(tmp_path: Path) -> None:
    tail = _w64(0)[28:40]
    text = b"guan" + tail + struct.pack("<Q", 24 + len(GUANO)) + GUANO
    path = _put(tmp_path / "a.w64", _w64(4000) + RAMP.tobytes() + text + b"\0" * (-len(text) % 8) + b"junk" + tail)
    _is_ramp(path)
    assert probe(path).chunks == {"guan": GUANO}


def test_metadata_that_cannot_be_any_is_not_read(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, after=[(b"guan", b"G" * (MAX_TEXT_CHUNK + 2))])
    assert probe(path).chunks == {}
    assert probe(path).samples == 2000


@pytest.mark.parametrize(
    "content", [b"", b"I", b"INF", b"INFO", b"INFOI", b"INFOICMT\xff\xff\xff\xff", b"INFOICMT\4\0\0\0ab"]
)
@pytest.mark.parametrize("far", [0, 20_000])
def test_list_that_is_too_short_does_no_harm(tmp_path: Path, make_wav: MakeWav, content: bytes, far: int) -> None:
    after = [(b"junk", bytes(far)), (b"LIST", content), (b"guan", GUANO)]
    assert probe(make_wav(tmp_path / "a.wav", RAMP, RATE, after=after)).chunks["guan"] == GUANO


def test_list_whose_size_is_less_than_its_name(tmp_path: Path, wav_bytes: BuildWav) -> None:
    for far in (0, 20_000):
        content = wav_bytes(RAMP, RATE, after=[(b"junk", bytes(far))]) + struct.pack("<4sI", b"LIST", 2) + b"INFO" * 9
        _is_ramp(_put(tmp_path / "a.wav", content))


@pytest.mark.parametrize("chunk", [struct.pack("<4sI", b"junk", 0), bytes(8)])
def test_chunks_without_end_are_given_up(tmp_path: Path, wav_bytes: BuildWav, chunk: bytes) -> None:
    content = wav_bytes(RAMP, RATE)
    begun = perf_counter()
    with pytest.raises(AudioError, match="no samples"):
        probe(_put(tmp_path / "a.wav", content[:36] + chunk * 1_000_000 + content[36:]))
    _is_ramp(_put(tmp_path / "a.wav", content[:36] + chunk * (MAX_CHUNKS - 10) + content[36:]))
    _is_ramp(_put(tmp_path / "a.wav", content + chunk * 1_000_000))
    assert perf_counter() - begun < 2


@pytest.mark.parametrize("size", [0, 2, 80, 600, 0x7FFF, 100_000, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("name", [b"junk", b"LIST"])
def test_samples_behind_a_chunk_of_a_wrong_size(tmp_path: Path, wav_bytes: BuildWav, name: bytes, size: int) -> None:
    content = wav_bytes(RAMP, RATE, before=[(name, b"some data, or not".ljust(500))], after=[(b"guan", GUANO)])
    _is_ramp(_put(tmp_path / "a.wav", _patched(content, 40, size)), WRONG)


def test_name_of_a_chunk_in_a_text_is_no_chunk(tmp_path: Path, wav_bytes: BuildWav) -> None:
    content = wav_bytes(RAMP, RATE, before=[(b"junk", b"data logger 4, all data saved")])
    with pytest.raises(AudioError, match="no samples"):
        probe(_put(tmp_path / "a.wav", content[: content.rindex(b"data")]))


# other containers


def test_d500x_header_is_not_taken_for_samples(tmp_path: Path, d500x_bytes: Callable[..., bytes]) -> None:
    content = d500x_bytes(RAMP)
    path = _put(tmp_path / "a.wav", content)
    _is_ramp(path)
    assert probe(path).chunks["d500x"][0xF0:0xF5] == b"D500X"
    assert _lengths(probe(_put(path, content[:-200]))) == (2000, 1900, ())
    assert _lengths(probe(_put(path, content[:0x300]))) == (2000, 0, ())
    _is_ramp(_put(path, _patched(content, 40, 0)), INCOMPLETE)


def test_flac_that_was_cut_off_promises_what_it_should_have_held(tmp_path: Path) -> None:
    content = _written(np.tile(NOISE[:, 0], 10), "FLAC")
    path = _put(tmp_path / "a.flac", content[: len(content) // 2])
    assert probe(path).samples == 50_000
    with open_recording(path, 1, 50_000) as recording:
        np.testing.assert_array_equal(recording.read(0, 5000), NOISE[:, 0] / np.float32(32768))
        with pytest.raises(AudioError):
            recording.read(5000, 50_000)


@pytest.mark.parametrize("samples", [5000, 4096, 8192, 100_000])
def test_flac_that_knows_no_length_is_counted(tmp_path: Path, samples: int) -> None:
    # as written to a pipe: the total of samples in STREAMINFO is 0
    noise = np.resize(NOISE, (samples, 2))
    content = bytearray(_written(noise, "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path = _put(tmp_path / "a.flac", bytes(content))
    assert _lengths(probe(path)) == (samples, samples, ())
    np.testing.assert_array_equal(_read(path, channel=2), noise[:, 1] / np.float32(32768))
    for start in (samples - 10, 5, samples // 2):
        np.testing.assert_array_equal(_read(path, start, start + 5), noise[start : start + 5, 0] / np.float32(32768))
    cut = probe(_put(path, bytes(content[:-300])))
    assert samples - 4096 - 1 <= cut.readable < samples
    np.testing.assert_array_equal(_read(path), noise[: cut.readable, 0] / np.float32(32768))


def test_flac_that_promises_more_than_its_bytes_can_hold_is_counted(tmp_path: Path) -> None:
    content = bytearray(_written(NOISE, "FLAC"))
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path = _put(tmp_path / "a.flac", bytes(content))
    assert (probe(path).samples, probe(path).readable) == (2**36 - 1, 5000)


def test_metadata_of_the_wav_file_that_a_flac_was_made_of(tmp_path: Path) -> None:
    content = _written(RAMP, "FLAC")
    blocks = b""
    comment = b"INFO" + struct.pack("<4sI", b"ICMT", 11) + b"Recorded at\0"
    for name, chunk in ((b"fmt ", _format(1, 1, 16)), (b"LIST", comment), (b"guan", GUANO)):
        block = b"riff" + struct.pack("<4sI", name, len(chunk)) + chunk
        blocks += bytes([2]) + len(block).to_bytes(3, "big") + block
    path = _put(tmp_path / "a.flac", content[:42] + blocks + content[42:])
    _is_ramp(path)
    assert probe(path).chunks == {"guan": GUANO, "ICMT": b"Recorded at"}


def test_truncated_adpcm_is_told_by_its_fact(tmp_path: Path) -> None:
    content = _written(NOISE, "WAV", "MS_ADPCM")
    path = _put(tmp_path / "a.wav", content)
    info = probe(path)
    assert info.samples == info.readable >= 5000
    info = probe(_put(path, content[: len(content) // 2]))
    assert info.samples == 5000
    assert info.readable <= 2500


# what is no audio


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


# a file that ends in .au needs no header: libsndfile takes any bytes for 8 kHz speech
@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".au"}))
@pytest.mark.parametrize(
    "content", [b"", POINTER, b"\0" * 4096, b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC", b"\xff" * 20_000]
)
def test_what_is_no_audio_is_an_audio_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = _put(tmp_path / f"a{suffix}", content)
    with pytest.raises(AudioError) as error:
        probe(path)
    assert str(error.value).strip()
    with pytest.raises(AudioError), open_recording(path, 1, 100) as recording:
        recording.read(0, 100)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (POINTER, "text, not audio: 'version https://git-lfs"),
        ("café ".encode() * 4000, "text, not audio: 'café"),
        (b"\0" * 3_000_000, "3000000 zero bytes, as a recorder leaves"),
        (b"RIFF\0", "ends within its header"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "ends within its header"),
    ],
)
def test_error_says_what_the_file_is(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(AudioError, match=why):
        probe(_put(tmp_path / "a.wav", content))


@pytest.mark.parametrize("end", [b"x", b"\xff" + b"\0" * 20_000])
def test_zeros_with_something_behind_them_are_not_called_zeros(tmp_path: Path, end: bytes) -> None:
    with pytest.raises(AudioError) as error:
        probe(_put(tmp_path / "a.wav", bytes(2_000_000) + end))
    assert "zero bytes" not in str(error.value)


def test_what_is_no_file_is_an_audio_error_and_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to(tmp_path / "link.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.wav")
    places = [tmp_path / f"{name}.wav" for name in ("pipe", "folder", "link", "socket", "lost")]
    begun = perf_counter()
    for path in (*places, Path("/dev/zero"), Path("/dev/null"), Path("a\0b.wav")):
        with pytest.raises(AudioError):
            probe(path)
        with pytest.raises(AudioError), open_recording(path, 1, 100):
            pass
    assert perf_counter() - begun < 1


@given(cut=st.integers(0, 200))
def test_wav_cut_anywhere_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, cut: int
) -> None:
    content = wav_bytes(NOISE[:20], RATE, before=[(b"junk", b"abc")], after=[(b"guan", GUANO)])
    samples_at = content.index(b"data") + 8
    path = _put(tmp_path_factory.getbasetemp() / "cut.wav", content[:cut])
    if cut < samples_at:
        with pytest.raises(AudioError):
            probe(path)
    else:
        assert _lengths(probe(path)) == (20, min((cut - samples_at) // 4, 20), ())
