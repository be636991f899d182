"""Reading audio: the samples of the channel that was asked for, whatever they are stored as, however they are read."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from batpam.errors import AudioError
from batpam.recordings import audio
from batpam.recordings.audio import open_recording, probe, same_audio

RATE = 250_000
RAMP = (np.arange(-800, 1200) * 16).astype(np.int16)
NOISE = np.random.default_rng(3).integers(-30_000, 30_000, (5000, 2)).astype(np.int16)
GUANO = "GUANO|Version:1.0\nTimestamp:2024-06-01T22:00:00+01:00\n"

LINEAR = [
    (container, subtype)
    for container in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC")
    for subtype in ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    if soundfile.check_format(container, subtype)
]
CODED = [
    ("WAV", "ALAW"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("W64", "ULAW"), ("RF64", "ALAW"),
    ("AIFF", "ULAW"), ("AIFF", "IMA_ADPCM"), ("CAF", "ALAC_16"), ("OGG", "VORBIS"),
]  # fmt: skip

BuildWav = Callable[..., bytes]
BuildTriggered = Callable[..., tuple[bytes, np.ndarray]]
MakeWav = Callable[..., Path]


def _read(path: Path, channel: int = 1) -> np.ndarray:
    info = probe(path)
    with open_recording(path, channel, info.readable) as recording:
        return recording.read(0, info.readable)


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _written(path: Path, samples: np.ndarray, container: str, subtype: str, rate: int = RATE) -> Path:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype=subtype, format=container)
    return _put(path, buffer.getvalue())


# the samples


@pytest.mark.parametrize("channel", [1, 2])
def test_channel_that_was_asked_for(tmp_path: Path, make_wav: MakeWav, channel: int) -> None:
    path = make_wav(tmp_path / "a.wav", NOISE, RATE)
    info = probe(path)
    assert (info.format, info.rate, info.channels, info.samples, info.readable) == ("WAV PCM_16", RATE, 2, 5000, 5000)
    samples = _read(path, channel)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, NOISE[:, channel - 1] / np.float32(32768))


@pytest.mark.parametrize(("container", "subtype"), LINEAR)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_linear_samples_are_those_of_libsndfile(tmp_path: Path, container: str, subtype: str, channels: int) -> None:
    wanted = np.random.default_rng(1).uniform(-1, 1, (1000, channels))
    path = _written(tmp_path / "a", wanted, container, subtype)
    info = probe(path)
    assert info.format.split() == [container.replace("WAVEX", "WAV"), subtype]
    assert (info.rate, info.channels, info.samples, info.readable, info.warnings) == (RATE, channels, 1000, 1000, ())
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0]
    for channel in range(channels):
        got = _read(path, channel + 1)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, whole[:, channel])
        np.testing.assert_allclose(got, wanted[:, channel], atol=2**-7 if "8" in subtype else 2**-15)


@pytest.mark.parametrize(("container", "subtype"), CODED)
def test_coded_samples_are_those_of_libsndfile_from_any_place(tmp_path: Path, container: str, subtype: str) -> None:
    tone = 0.4 * np.sin(0.1 * np.arange(100_000)) + np.random.default_rng(1).uniform(-0.1, 0.1, 100_000)
    path = _written(tmp_path / "a", np.stack([tone, -tone], axis=1), container, subtype, 96_000)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 1]
    info = probe(path)
    assert (info.rate, info.channels, info.samples, info.readable) == (96_000, 2, len(whole), len(whole))
    with open_recording(path, 2, len(whole)) as recording:
        for start in (50_000, 50_400, 1, 77_777, len(whole) - 400, 4096, 0):  # forth and back
            np.testing.assert_array_equal(recording.read(start, start + 400), whole[start : start + 400], str(start))
    np.testing.assert_array_equal(_read(path, 2), whole)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 192_000, 256_000, 384_000, 500_000, 768_000, 1_000_000])
def test_rates_of_all_recorders(tmp_path: Path, rate: int) -> None:
    for container in ("WAV", "RF64", "W64", "AIFF", *(["FLAC"] if rate <= 655_350 else [])):  # libFLAC writes no more
        info = probe(_written(tmp_path / "a", RAMP, container, "PCM_16", rate))
        assert (info.rate, info.samples, info.readable) == (rate, 2000, 2000), container


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", range(1, 9))
def test_each_of_many_channels(tmp_path: Path, make_wav: MakeWav, channels: int, subtype: str) -> None:
    wanted = np.outer(np.linspace(-0.9, 0.9, 300), np.arange(1, channels + 1)) / channels
    path = make_wav(tmp_path / "a.wav", wanted, RATE, subtype=subtype)
    assert (probe(path).channels, probe(path).samples) == (channels, 300)
    for channel in range(1, channels + 1):
        np.testing.assert_allclose(_read(path, channel), wanted[:, channel - 1], atol=2**-7)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
@pytest.mark.parametrize("channel", [0, 3, -1])
def test_channel_that_is_not_there_is_an_error(tmp_path: Path, container: str, channel: int) -> None:
    path = _written(tmp_path / "a", NOISE, container, "PCM_16")
    with pytest.raises(AudioError, match=f"no channel {channel}"), open_recording(path, channel, 5000):
        pass


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_what_is_no_sound_is_none(tmp_path: Path, container: str, subtype: str) -> None:
    samples = np.full(100, 0.25)
    samples[10:14] = np.nan, np.inf, -np.inf, 1e30
    got = _read(_written(tmp_path / "a", samples, container, subtype))
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got[10:14], [0, 0, 0, audio.LOUDEST])
    assert (np.delete(got, range(10, 14)) == 0.25).all()


def test_encoding_that_can_only_be_read_from_its_beginning_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.wav", RAMP, "WAV", "GSM610", 8000)
    with pytest.raises(AudioError, match="from its beginning only"):
        probe(path)


# blocks


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


@pytest.mark.parametrize(
    "kind", ["WAV PCM_16", "WAV PCM_24", "WAV DOUBLE", "W64 PCM_16", "FLAC PCM_24", "AIFF PCM_16", "T"]
)
@given(cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_pieces_of_any_length_make_up_the_recording(
    tmp_path_factory: pytest.TempPathFactory, triggered_bytes: BuildTriggered, kind: str, cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"pieces {kind}.wav"
    if not path.exists() and kind == "T":
        parts = [NOISE[:524, 0], 7, NOISE[:256, 1], 5, NOISE[:892, 1]]
        path.write_bytes(triggered_bytes(parts, RATE)[0])
    elif not path.exists():
        _written(path, NOISE, *kind.split())
    whole = _read(path)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    with open_recording(path, 1, len(whole)) as recording:
        pieces = [recording.read(start, stop) for start, stop in pairwise(edges)]
        assert [len(piece) for piece in pieces] == np.diff(edges).tolist()
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        for start, stop in list(pairwise(edges))[::-1]:  # and from the end to the beginning
            np.testing.assert_array_equal(recording.read(start, stop), whole[start:stop])


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
def test_block_that_breaks_off_is_an_error_and_not_silence(tmp_path: Path, container: str) -> None:
    path = _written(tmp_path / "a", RAMP, container, "PCM_16")
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


READER = """
import resource, sys
from pathlib import Path
from batpam.recordings.audio import open_recording, probe
path = Path(sys.argv[1])
with open_recording(path, 1, probe(path).readable) as recording:
    for start in range(0, recording.samples, 768_000):
        recording.read(start, min(start + 768_000, recording.samples))
print(recording.samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_two_hours_cost_the_memory_of_a_minute(tmp_path: Path, make_wav: MakeWav) -> None:
    memory = {}
    for minutes in (1, 120):
        count = minutes * 60 * 384_000
        path = make_wav(tmp_path / f"{minutes}.wav", RAMP[:0], 384_000, promised=2 * count % 2**32)
        os.truncate(path, 44 + 2 * count)
        if path.stat().st_blocks * 512 > 1 << 20:
            pytest.skip("the file system has no sparse files")
        done = subprocess.run([sys.executable, "-c", READER, path], capture_output=True, text=True, check=True)
        samples, memory[minutes] = map(int, done.stdout.split())
        assert samples == count
    assert memory[120] - memory[1] < 30_000


# triggered recordings of an AudioMoth


@pytest.fixture
def triggered(tmp_path: Path, triggered_bytes: BuildTriggered) -> tuple[Path, np.ndarray]:
    parts = [NOISE[:524, 0], 40, NOISE[:256, 1], 1, 3, NOISE[:512, 1], 900]
    content, truth = triggered_bytes(parts, RATE)
    return _put(tmp_path / "20240601_220000T.WAV", content), truth


def test_triggered_recording_has_its_true_length(triggered: tuple[Path, np.ndarray]) -> None:
    path, truth = triggered
    info = probe(path)
    written = (path.stat().st_size - 488) // 2
    assert (info.samples, info.readable, info.untriggered) == (len(truth), len(truth), len(truth) - written)
    np.testing.assert_array_equal(_read(path), truth / np.float32(32768))


@given(start=st.integers(-600, 14_000), length=st.integers(0, 14_000))
def test_any_part_of_a_triggered_recording(
    tmp_path_factory: pytest.TempPathFactory, triggered_bytes: BuildTriggered, start: int, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "partT.WAV"
    content, truth = triggered_bytes([NOISE[:524, 0], 40, NOISE[:256, 1], 1, 7, NOISE[:100, 1]], RATE)
    if not path.exists():
        path.write_bytes(content)
    wanted = np.zeros(40_000, np.float32)
    wanted[5000 : 5000 + len(truth)] = truth / np.float32(32768)
    with open_recording(path, 1, len(truth)) as recording:
        np.testing.assert_array_equal(
            recording.read(start, start + length), wanted[5000 + start : 5000 + start + length]
        )


def test_triggered_recording_that_was_renamed_is_known_by_its_comment(triggered: tuple[Path, np.ndarray]) -> None:
    path, truth = triggered
    assert probe(path.rename(path.with_name("a.wav"))).samples == len(truth)


def test_recording_named_as_triggered_in_which_nothing_was_left_out(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "20240601_220000T.WAV", NOISE[:, 0], RATE)
    assert (probe(path).samples, probe(path).readable, probe(path).untriggered) == (5000, 5000, 0)
    np.testing.assert_array_equal(_read(path), NOISE[:, 0] / np.float32(32768))


def test_triggered_recording_that_was_cut_off_lacks_what_was_cut(triggered: tuple[Path, np.ndarray]) -> None:
    path, truth = triggered
    os.truncate(path, path.stat().st_size - 2 * (256 + 100))  # the block that stands for 900, and 100 samples
    info = probe(path)
    assert info.readable == len(truth) - 900 * 256 - 100
    assert info.samples == info.readable + 356
    np.testing.assert_array_equal(_read(path), truth[: info.readable] / np.float32(32768))


def test_triggered_recording_that_was_cut_off_after_it_was_indexed_is_an_error(
    triggered: tuple[Path, np.ndarray],
) -> None:
    path, truth = triggered
    os.truncate(path, 488 + 2 * 524)
    with open_recording(path, 1, len(truth)) as recording:
        assert len(recording.read(0, 524)) == 524
        with pytest.raises(AudioError, match="ends at sample 524"):
            recording.read(0, 525)


def test_triggered_recording_is_looked_through_once(
    triggered: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, truth = triggered
    scans = []
    scan = audio.scan
    monkeypatch.setattr(audio, "scan", lambda *given: scans.append(1) or scan(*given))
    for _ in range(50):
        assert probe(path).samples == len(truth)
        with open_recording(path, 1, len(truth)) as recording:
            recording.read(0, 10)
    assert len(scans) == 1
    os.utime(path, ns=(1, 1))  # another file, for all that is known
    probe(path)
    assert len(scans) == 2


# the same audio


def test_copy_in_another_container_is_the_same_audio(tmp_path: Path) -> None:
    one = _written(tmp_path / "a.wav", NOISE, "WAV", "PCM_16")
    other = _written(tmp_path / "a.flac", NOISE, "FLAC", "PCM_16")
    assert same_audio(one, other, 2, 5000)
    assert same_audio(one, other, 2, 5000, block=77)


@pytest.mark.parametrize("at", [0, 2500, 4999])
def test_one_sample_makes_another_recording(tmp_path: Path, at: int) -> None:
    changed = NOISE.copy()
    changed[at, 0] += 1
    one, other = (_written(tmp_path / f"{i}", samples, "WAV", "PCM_16") for i, samples in enumerate((NOISE, changed)))
    assert not same_audio(one, other, 1, 5000, block=1000)
    assert same_audio(one, other, 2, 5000, block=1000)


def test_silence_and_what_cannot_be_read_are_the_same_as_nothing(tmp_path: Path) -> None:
    silent = _written(tmp_path / "a.wav", np.full(1000, 7, np.int16), "WAV", "PCM_16")
    assert not same_audio(silent, silent, 1, 1000)
    noise = _written(tmp_path / "b.wav", NOISE, "WAV", "PCM_16")
    assert not same_audio(noise, noise, 1, 5001)
    assert not same_audio(noise, noise, 3, 5000)
    assert not same_audio(noise, tmp_path / "lost.wav", 1, 5000)


def test_digest_tells_the_samples_and_not_the_metadata(tmp_path: Path, make_wav: MakeWav) -> None:
    plain = probe(make_wav(tmp_path / "a.wav", NOISE, RATE)).digest
    assert plain
    assert probe(make_wav(tmp_path / "b.wav", NOISE, RATE, guano=GUANO, before=[(b"junk", b"123")])).digest == plain
    assert probe(make_wav(tmp_path / "c.wav", NOISE[:-1], RATE)).digest != plain
    assert probe(make_wav(tmp_path / "d.wav", NOISE + np.int16(1), RATE)).digest != plain
    assert probe(make_wav(tmp_path / "e.wav", np.full(5000, 3, np.int16), RATE)).digest == ""


# real files


def test_every_container_of_the_real_recordings_is_read(real_recordings: Path) -> None:
    paths = sorted((real_recordings / "formats").iterdir())
    assert len(paths) > 20
    for path in paths:
        info = probe(path)
        assert info.samples == info.readable > 0, path.name
        whole, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert (info.rate, info.channels, info.readable) == (rate, whole.shape[1], len(whole)), path.name
        np.testing.assert_allclose(_read(path), whole[:, 0], atol=1e-6, err_msg=path.name)  # MP3 rounds as it likes


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
