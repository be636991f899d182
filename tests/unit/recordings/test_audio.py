"""Reading audio: the samples of the channel that was asked for, and what a file lacks of what its header says."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.errors import AudioError
from batpam.recordings.audio import MAX_TEXT_CHUNK, open_recording, probe
from batpam.survey import SUFFIXES

RATE = 250_000
RAMP = (np.arange(-800, 1200) * 16).astype(np.int16)
NOISE = np.random.default_rng(3).integers(-30_000, 30_000, (5000, 2)).astype(np.int16)
GUANO = "GUANO|Version:1.0\nTimestamp:2024-06-01T22:00:00+01:00\n"

BuildWav = Callable[..., bytes]
MakeWav = Callable[..., Path]


def _read(path: Path, channel: int = 1) -> np.ndarray:
    info = probe(path)
    with open_recording(path, channel, info.readable) as recording:
        return recording.read(0, info.readable)


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# the samples


@pytest.mark.parametrize("channel", [1, 2])
def test_channel_that_was_asked_for(tmp_path: Path, make_wav: MakeWav, channel: int) -> None:
    path = make_wav(tmp_path / "a.wav", NOISE, RATE)
    info = probe(path)
    assert (info.rate, info.channels, info.samples, info.readable) == (RATE, 2, 5000, 5000)
    samples = _read(path, channel)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, NOISE[:, channel - 1] / np.float32(32768))


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-24),
        ("FLOAT", 2**-24),
        ("DOUBLE", 2**-24),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_full_scale_is_one_whatever_the_samples_are_stored_as(
    tmp_path: Path, make_wav: MakeWav, subtype: str, step: float, channels: int
) -> None:
    wanted = np.random.default_rng(1).uniform(-1, 1 - 2 * step, (999, channels))
    path = make_wav(tmp_path / "a.wav", wanted, RATE, subtype=subtype)
    assert (probe(path).samples, probe(path).readable, probe(path).channels) == (999, 999, channels)
    for channel in range(channels):
        np.testing.assert_allclose(_read(path, channel + 1), wanted[:, channel], atol=step)


def test_flac_holds_the_same_samples_as_wav(tmp_path: Path, make_wav: MakeWav) -> None:
    soundfile.write(tmp_path / "a.flac", NOISE, RATE, subtype="PCM_16")
    flac, wav = tmp_path / "a.flac", make_wav(tmp_path / "a.wav", NOISE, RATE)
    assert (probe(flac).rate, probe(flac).channels, probe(flac).samples, probe(flac).readable) == (RATE, 2, 5000, 5000)
    np.testing.assert_array_equal(_read(flac, 2), _read(wav, 2))


def test_what_is_no_number_becomes_silence(tmp_path: Path, make_wav: MakeWav) -> None:
    samples = np.full(100, 0.25, np.float32)
    samples[10] = np.nan
    got = _read(make_wav(tmp_path / "a.wav", samples, RATE, subtype="FLOAT"))
    assert np.isfinite(got).all()
    assert got[10] == 0
    assert (np.delete(got, 10) == 0.25).all()


@given(start=st.integers(-3000, 3000), length=st.integers(0, 6000), there=st.integers(0, len(RAMP)))
def test_outside_the_recording_there_is_silence(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, start: int, length: int, there: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "ramp.wav"
    if not path.exists():
        path.write_bytes(wav_bytes(RAMP, RATE))
    wanted = np.zeros(14_000, np.float32)
    wanted[5000 : 5000 + there] = RAMP[:there] / np.float32(32768)
    with open_recording(path, 1, there) as recording:
        got = recording.read(start, start + length)
    np.testing.assert_array_equal(got, wanted[5000 + start : 5000 + start + length])


@pytest.mark.parametrize("length", [7, 333, 1999, 2000, 10**6])
def test_pieces_of_any_length_make_up_the_recording(tmp_path: Path, make_wav: MakeWav, length: int) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE)
    with open_recording(path, 1, 2000) as recording:
        pieces = [recording.read(start, min(start + length, 2000)) for start in range(0, 2000, length)]
    np.testing.assert_array_equal(np.concatenate(pieces), RAMP / np.float32(32768))


def test_block_that_breaks_off_is_an_error_and_not_silence(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE)
    with open_recording(path, 1, 3000) as recording:
        assert len(recording.read(1000, 2000)) == 1000
        with pytest.raises(AudioError, match="2000 of 3000"):
            recording.read(1000, 2001)


def test_originals_are_left_alone(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, guano=GUANO)
    os.utime(path, ns=(10**18, 10**18))
    before = path.read_bytes()
    _read(path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == 10**18
    assert list(tmp_path.iterdir()) == [path]


# what a header promises


def test_file_that_was_cut_off(tmp_path: Path, wav_bytes: BuildWav) -> None:
    path = _put(tmp_path / "a.wav", wav_bytes(RAMP, RATE)[: 44 + 2 * 700])
    assert (probe(path).samples, probe(path).readable) == (2000, 700)
    np.testing.assert_array_equal(_read(path), RAMP[:700] / np.float32(32768))


@pytest.mark.parametrize("rest", [0, 1, 2, 3, 4, 5, 401])
def test_sample_that_was_cut_in_two_is_not_there(tmp_path: Path, wav_bytes: BuildWav, rest: int) -> None:
    path = _put(tmp_path / "a.wav", wav_bytes(NOISE, RATE)[: 44 + rest])
    assert (probe(path).samples, probe(path).readable) == (5000, rest // 4)


def test_header_that_promises_more_than_there_is(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, promised=2 * 9000)
    assert (probe(path).samples, probe(path).readable) == (9000, 2000)


def test_header_that_knows_no_length(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, promised=0xFFFF_FFFF)
    assert (probe(path).samples, probe(path).readable) == (2000, 2000)


@pytest.mark.parametrize("riff_size", [0, 8, 36])
def test_header_that_was_never_completed_hides_no_samples(tmp_path: Path, wav_bytes: BuildWav, riff_size: int) -> None:
    # the battery died: the sizes still stand as they did when the recorder began
    content = bytearray(wav_bytes(RAMP, RATE, promised=0))
    content[4:8] = struct.pack("<I", riff_size)
    path = _put(tmp_path / "a.wav", bytes(content))
    assert probe(path).samples == 2000


def test_empty_recording_with_metadata_behind_it_is_empty(tmp_path: Path, wav_bytes: BuildWav) -> None:
    content = bytearray(wav_bytes(RAMP[:0], RATE))
    content += struct.pack("<4sI", b"guan", 20) + b"GUANO|Version: 1.0\n\n"
    content[4:8] = struct.pack("<I", len(content) - 8)
    info = probe(_put(tmp_path / "a.wav", bytes(content)))
    assert (info.samples, info.readable) == (0, 0)
    assert info.chunks["guan"].startswith(b"GUANO")


@pytest.mark.parametrize("kind", ["RF64"])
def test_other_containers_tell_of_what_was_cut_off_too(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, RAMP, RATE, subtype="PCM_16", format=kind)
    content = buffer.getvalue()
    whole = _put(tmp_path / f"whole.{kind.lower()}", content)
    assert (probe(whole).samples, probe(whole).readable) == (2000, 2000)
    cut = _put(tmp_path / f"cut.{kind.lower()}", content[:-2000])
    assert (probe(cut).samples, probe(cut).readable) == (2000, 1000)


def test_flac_that_was_cut_off_promises_what_it_should_have_held(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, NOISE[:, 0], RATE, format="FLAC")
    path = _put(tmp_path / "a.flac", buffer.getvalue()[:-3000])
    assert probe(path).samples == 5000


def test_flac_that_knows_no_length_promises_none(tmp_path: Path) -> None:
    # as written to a pipe: the total of samples in STREAMINFO is 0
    buffer = io.BytesIO()
    soundfile.write(buffer, NOISE[:, 0], RATE, format="FLAC")
    content = bytearray(buffer.getvalue())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path = _put(tmp_path / "a.flac", bytes(content))
    try:
        assert probe(path).samples == 5000
    except AudioError as error:
        assert str(error)


# chunks


@pytest.mark.parametrize("samples", [RAMP[:3], RAMP[:4], np.linspace(-0.5, 0.5, 7), np.linspace(-0.5, 0.5, 8)])
def test_metadata_behind_samples_of_any_size(tmp_path: Path, make_wav: MakeWav, samples: np.ndarray) -> None:
    path = make_wav(tmp_path / "a.wav", samples, RATE, subtype="PCM_24", guano=GUANO, comment="Recorded at")
    info = probe(path)
    assert (info.samples, info.readable) == (len(samples), len(samples))
    assert info.chunks["guan"].decode().strip() == GUANO.strip()
    assert info.chunks["ICMT"].rstrip(b"\0") == b"Recorded at"


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_bytes_that_make_no_whole_sample_are_not_counted(tmp_path: Path, wav_bytes: BuildWav, odd: int) -> None:
    content = wav_bytes(NOISE, RATE)
    content = content[:40] + struct.pack("<I", 4 * 5000 + odd) + content[44:] + bytes(odd + odd % 2)
    path = _put(tmp_path / "a.wav", content)
    assert (probe(path).samples, probe(path).readable) == (5000, 5000)


def test_chunks_may_stand_anywhere(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(
        tmp_path / "a.wav",
        RAMP,
        RATE,
        before=[(b"junk", b"x" * 333), (b"guan", GUANO.encode()), (b"LIST", b"adtl")],
        after=[(b"wamd", b"\1\0"), (b"LIST", b"INFO" + struct.pack("<4sI", b"IART", 3) + b"Me\0\0"), (b"bext", b"")],
    )
    info = probe(path)
    assert (info.samples, info.readable) == (2000, 2000)
    assert info.chunks == {"guan": GUANO.encode(), "IART": b"Me\0"}
    np.testing.assert_array_equal(_read(path), RAMP / np.float32(32768))


def test_metadata_that_cannot_be_any_is_not_read(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, after=[(b"guan", b"G" * (MAX_TEXT_CHUNK + 2))])
    assert probe(path).chunks == {}
    assert probe(path).samples == 2000


@pytest.mark.parametrize(
    "content", [b"", b"I", b"INF", b"INFO", b"INFOI", b"INFOICMT\xff\xff\xff\xff", b"INFOICMT\4\0\0\0ab"]
)
def test_list_that_is_too_short_does_no_harm(tmp_path: Path, make_wav: MakeWav, content: bytes) -> None:
    path = make_wav(tmp_path / "a.wav", RAMP, RATE, after=[(b"LIST", content), (b"guan", GUANO.encode())])
    assert probe(path).chunks["guan"] == GUANO.encode()


# what is no audio


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


# a file that ends in .au needs no header: libsndfile takes any bytes for 8 kHz speech
@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".au"}))
@pytest.mark.parametrize("content", [b"", POINTER, b"\0" * 4096, b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC"])
def test_what_is_no_audio_is_an_audio_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = _put(tmp_path / f"a{suffix}", content)
    with pytest.raises(AudioError) as error:
        probe(path)
    assert str(error.value).strip()
    with pytest.raises(AudioError), open_recording(path, 1, 100) as recording:
        recording.read(0, 100)


def test_file_that_is_not_there_is_an_audio_error(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    for path in (tmp_path / "lost.wav", tmp_path / "folder.wav"):
        with pytest.raises(AudioError):
            probe(path)
        with pytest.raises(AudioError), open_recording(path, 1, 100):
            pass


SMALL = (np.arange(-60, 60) * 200).astype(np.int16).reshape(-1, 2)


def _small(wav_bytes: BuildWav) -> bytes:
    return wav_bytes(SMALL, RATE, before=[(b"junk", b"abc")], guano=GUANO, comment="Recorded at 22:00:00")


def _accounts(path: Path) -> None:
    """Nothing but an AudioError comes of a file, and no more is readable than there should be."""
    try:
        info = probe(path)
    except AudioError:
        return
    assert 0 <= info.readable <= info.samples
    assert info.channels >= 1
    with open_recording(path, 1, info.readable) as recording:
        try:
            assert len(recording.read(0, min(info.readable, 1000))) == min(info.readable, 1000)
        except AudioError:
            return


@given(share=st.floats(0, 1))
@example(share=0.0)
@example(share=1.0)
def test_wav_cut_anywhere_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, share: float
) -> None:
    content = _small(wav_bytes)
    samples_at = content.index(b"data") + 8
    length = round(share * len(content))
    path = _put(tmp_path_factory.getbasetemp() / "cut.wav", content[:length])
    _accounts(path)
    if length >= samples_at:
        info = probe(path)
        assert (info.samples, info.readable) == (60, min((length - samples_at) // 4, 60))


@given(st.data())
def test_wav_with_wrong_bytes_in_it_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, data: st.DataObject
) -> None:
    content = bytearray(_small(wav_bytes))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        wrong = data.draw(st.binary(min_size=1, max_size=4))
        content[position : position + len(wrong)] = wrong
    _accounts(_put(tmp_path_factory.getbasetemp() / "wrong.wav", bytes(content)))


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_header_are_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, wav_bytes: BuildWav, rest: bytes
) -> None:
    _accounts(_put(tmp_path_factory.getbasetemp() / "any.wav", wav_bytes(SMALL, RATE)[:36] + rest))


# real files


def test_every_container_of_the_real_recordings_is_read(real_recordings: Path) -> None:
    paths = sorted((real_recordings / "formats").iterdir())
    assert len(paths) > 20
    for path in paths:
        info = probe(path)
        assert info.samples == info.readable > 0, path.name
        samples = _read(path)
        assert len(samples) == info.readable, path.name
        assert 1e-4 < np.abs(samples).max() <= 1.5, path.name


def test_no_real_file_that_lies_is_taken_for_a_good_one(real_recordings: Path) -> None:
    paths = sorted((real_recordings / "unreadable").iterdir())
    assert paths
    for path in paths:
        try:
            info = probe(path)
        except AudioError:
            continue
        assert info.readable * info.channels * 2 <= path.stat().st_size, path.name
        assert len(_read(path)) == info.readable, path.name
