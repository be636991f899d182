import h5py
import numpy as np
import pandas as pd
import pytest

from batpam.errors import UserError
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import Shard, from_bytes, scalogram, to_bytes
from batpam.scalograms.transform import wavelet_power
from batpam.simulate.survey import write_wav
from batpam.tables import MANIFEST, SEGMENTS, write_table

TRANSFORM = ScalogramSettings(voices=16)


@pytest.fixture
def shard_of(tmp_path):
    """Write a recording, its manifest and segments, and compute the shard."""

    def make(segments, seconds=0.5, rate=256_000):
        samples = np.random.default_rng(0).normal(0, 0.05, int(seconds * rate))
        pcm = (samples * 32767).astype(np.int16)
        write_wav(tmp_path / "a.wav", pcm, rate)
        row = dict.fromkeys(MANIFEST.names) | {
            "recording": "0123456789abcdef", "path": str(tmp_path / "a.wav"), "sample_rate_hz": rate, "channel": 1,
            "samples": len(pcm), "readable_samples": len(pcm), "start_utc": pd.Timestamp("2024-06-01T22:00", tz="UTC"),
        }  # fmt: skip
        write_table([row], MANIFEST, tmp_path / "m.parquet", {})
        rows = [
            {"recording": "0123456789abcdef", "first_hop": a, "last_hop": b, "start_s": a * 0.0005, "end_s": b * 0.0005,
             "read_samples": len(pcm)}
            for a, b in segments
        ]  # fmt: skip
        write_table(pd.DataFrame(rows, columns=SEGMENTS.names), SEGMENTS, tmp_path / "s.parquet", {})
        scalogram(tmp_path / "m.parquet", tmp_path / "s.parquet", tmp_path / "x.h5", settings=TRANSFORM, workers=2)
        return tmp_path / "x.h5", pcm / 32768, rate

    return make


def test_shard_holds_the_transform_of_each_segment(shard_of):
    segments = [(10, 300), (301, 302), (900, 1000)]
    path, samples, rate = shard_of(segments)
    whole = np.maximum(wavelet_power(samples, rate, TRANSFORM), -127.5)
    with h5py.File(path) as file:
        shard = Shard(file, path)
        assert shard.settings == TRANSFORM
        assert [(s.first_hop, s.first_hop + s.hops) for s in shard.segments] == segments
        for segment, (a, b) in zip(shard.segments, segments, strict=True):
            np.testing.assert_allclose(shard.power(segment, 0, b - a), whole[a:b], atol=0.3)
            # as anybody reads it who has h5py and nothing else
            plain = from_bytes(file["power"][segment.row : segment.row + segment.hops])
            np.testing.assert_array_equal(shard.power(segment, 0, b - a), plain)
        np.testing.assert_allclose(file["frequency"], TRANSFORM.frequencies())
        assert [name.decode() for name in file["segment/path"]] == [str(path.with_name("a.wav"))] * 3
        assert file["segment/start_utc"][1].decode() == "2024-06-01T22:00:00.150500+00:00"


def test_segments_of_many_chunks_lie_one_below_the_other(shard_of):
    segments = [(3, 1500), (1600, 1601), (1700, 9999)]
    path, samples, rate = shard_of(segments, seconds=5)
    whole = np.maximum(wavelet_power(samples, rate, TRANSFORM), -127.5)
    with h5py.File(path) as file:
        expected = np.concatenate([whole[a:b] for a, b in segments])
        np.testing.assert_allclose(from_bytes(file["power"][:]), expected, atol=0.3)
        shard = Shard(file, path)
        np.testing.assert_allclose(shard.power(shard.segments[2], 1000, 3000), whole[2700:4700], atol=0.3)


def test_shard_without_segments_is_whole(shard_of):
    path, _, _ = shard_of([])
    with h5py.File(path) as file:
        assert Shard(file, path).segments == []


def test_shard_is_the_same_to_the_byte_with_any_number_of_workers(shard_of, tmp_path):
    path, _, _ = shard_of([(0, 1000)])
    scalogram(tmp_path / "m.parquet", tmp_path / "s.parquet", tmp_path / "y.h5", settings=TRANSFORM, workers=1)
    with h5py.File(path) as a, h5py.File(tmp_path / "y.h5") as b:
        np.testing.assert_array_equal(a["power"][:], b["power"][:])


def test_nothing_is_left_when_the_recording_is_gone(shard_of, tmp_path):
    path, _, _ = shard_of([(0, 100)])
    path.unlink()
    (tmp_path / "a.wav").unlink()
    with pytest.raises(Exception, match=r"a\.wav"):
        scalogram(tmp_path / "m.parquet", tmp_path / "s.parquet", path, settings=TRANSFORM)
    assert not path.exists()
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))


def test_shard_that_was_packed_anew_in_another_way_is_refused(shard_of):
    path, _, _ = shard_of([(0, 100)])
    with h5py.File(path, "a") as file:
        power = file["power"][:]
        del file["power"]
        file.create_dataset("power", data=power, compression="lzf")
    with h5py.File(path) as file, pytest.raises(UserError, match="gzip"):
        Shard(file, path)


def test_cuda_that_is_not_there_is_one_line(shard_of, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    shard_of([(0, 100)])
    with pytest.raises(UserError, match="none is there"):
        scalogram(tmp_path / "m.parquet", tmp_path / "s.parquet", tmp_path / "y.h5", settings=TRANSFORM, device="cuda")


def test_other_hdf5_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    with h5py.File(tmp_path / "other.h5") as file, pytest.raises(UserError, match="not a shard"):
        Shard(file, tmp_path / "other.h5")


def test_bytes_keep_power_to_a_quarter_of_a_decibel():
    power = np.linspace(-127, 0, 1000)
    assert np.abs(from_bytes(to_bytes(power)) - power).max() <= 0.25 + 1e-5
    assert (from_bytes(to_bytes(np.array([-300.0, 12.0]))) == [-127.5, 0.0]).all()
