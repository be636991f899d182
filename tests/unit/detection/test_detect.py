import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import batpam.detection.detect as detect_module
import batpam.detection.files as files_module
from batpam.config import ActivityConfig
from batpam.detection.detect import CORE_HOPS, detect, windows
from batpam.detection.files import AudioFile, detect_files
from batpam.errors import UserError
from batpam.models.files import read_card, shipped_model
from batpam.models.settings import CALL_TYPES, GRID_HOPS
from batpam.recordings.audio import AudioError
from batpam.scalograms.shards import scalogram
from batpam.scalograms.transform import read_power
from batpam.simulate.calls import call_sequence
from batpam.simulate.soundscapes import Flight, Recorder, hear_call, self_noise, to_pcm16
from batpam.simulate.survey import write_wav
from batpam.tables import MANIFEST, SEGMENTS, read_origin, read_table, write_table

RATE = 384_000


@pytest.fixture(scope="module")
def pass_by():
    """Three seconds of a pipistrelle that flies past, and when it called."""
    rng = np.random.default_rng(6)
    recorder = Recorder(sample_rate=RATE, noise=-10)
    samples = np.zeros(3 * RATE)
    heard = [
        hear_call(samples, call, Flight(closest=4, at=1.5, speed=5), recorder, rng, echoes=0.2)
        for call in call_sequence("Ppip", 3.0, rng, clutter=0.4)
    ]
    samples += self_noise(len(samples), recorder, rng)
    return to_pcm16(samples), [h for h in heard if h is not None]


def detect_in(folder, pcm, cuts, rate=RATE, model=None, species_list=None):
    """Calls found in a recording whose segments are the hops between ``cuts``."""
    write_wav(folder / "a.wav", pcm, rate)
    row = dict.fromkeys(MANIFEST.names) | {
        "recording": "0123456789abcdef", "site": "s", "recorder": "1", "path": str(folder / "a.wav"), "channel": 1,
        "sample_rate_hz": rate, "samples": len(pcm), "readable_samples": len(pcm),
        "start_utc": pd.Timestamp("2024-06-01T22:00:00Z"), "night": "2024-06-01",
    }  # fmt: skip
    write_table([row], MANIFEST, folder / "m.parquet", {})
    rows = [
        {
            "recording": "0123456789abcdef",
            "first_hop": a,
            "last_hop": b,
            "start_s": 0,
            "end_s": 0,
            "read_samples": len(pcm),
        }
        for a, b in cuts
    ]
    write_table(pd.DataFrame(rows, columns=SEGMENTS.names), SEGMENTS, folder / "s.parquet", {})
    model = model or shipped_model()
    scalogram(
        folder / "m.parquet", folder / "s.parquet", folder / "x.h5", settings=read_card(shipped_model()).scalogram
    )
    detect(
        folder / "x.h5", folder / "m.parquet", model, folder / "d.parquet",
        min_score=0.3, device="cpu", species_list=species_list,
    )  # fmt: skip
    return read_table(folder / "d.parquet")


def test_calls_of_a_pass_are_found_once_each_where_they_are(tmp_path, pass_by):
    pcm, heard = pass_by
    calls = detect_in(tmp_path, pcm, [(0, 6000)])
    loud = [h for h in heard if h.snr > 25]
    assert len(loud) > 10
    found = [
        calls[(calls["start_s"] < h.end) & (calls["end_s"] > h.start) & (abs(calls["peak_hz"] - h.peak) < 4_000)]
        for h in loud
    ]
    assert sum(len(f) == 1 for f in found) >= 0.9 * len(loud)
    assert (calls["species"] == "Pipistrellus pipistrellus").mean() > 0.8


def test_every_column_is_filled_and_in_its_range(tmp_path, pass_by):
    calls = detect_in(tmp_path, pass_by[0], [(0, 6000)])
    scores = calls[[name for name in calls if name.startswith("score_")]]
    species = scores.drop(columns=["score_insect", "score_noise"])
    assert species.shape[1] == len(read_card(shipped_model()).taxa)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-3)
    np.testing.assert_allclose(species.sum(axis=1), calls["det_score"], rtol=1e-3)
    np.testing.assert_allclose(species.max(axis=1), calls["class_score"], rtol=1e-5)
    assert set(calls["call_type"]) <= set(CALL_TYPES)
    assert (calls["low_hz"] <= calls["high_hz"]).all() and (calls["high_hz"] <= RATE / 2).all()
    assert (calls["start_s"] < calls["end_s"]).all() and calls["det_score"].between(0.3, 1).all()
    assert (calls["start_utc"] - pd.Timestamp("2024-06-01T22:00:00Z")).dt.total_seconds().sub(
        calls["start_s"]
    ).abs().max() < 1e-5
    assert read_origin(tmp_path / "d.parquet")["hops_scored"] == 6000


def test_calls_do_not_depend_on_how_segments_are_cut(tmp_path, pass_by):
    whole = detect_in(tmp_path, pass_by[0], [(0, 6000)])
    inner = detect_in(tmp_path, pass_by[0], [(201, 5800)])
    card = read_card(shipped_model())
    safe = card.network.reach * card.scalogram.hop  # away from the ends the network sees the same
    a = whole[whole["start_s"].between(0.1005 + safe, 2.9 - safe)].reset_index(drop=True)
    b = inner[inner["start_s"].between(0.1005 + safe, 2.9 - safe)].reset_index(drop=True)
    assert len(a) > 5
    pd.testing.assert_frame_equal(a.drop(columns="start_utc"), b.drop(columns="start_utc"), atol=2e-3, rtol=2e-3)


def test_silence_has_no_calls(tmp_path):
    noise = (np.random.default_rng(0).normal(0, 30, 2 * RATE)).astype(np.int16)
    assert len(detect_in(tmp_path, noise, [(0, 4000)])) == 0


def test_silence_has_no_calls_that_count(tmp_path):
    noise = (np.random.default_rng(0).normal(0, 30, 20 * RATE)).astype(np.int16)
    calls = detect_in(tmp_path, noise, [(0, 40_000)])
    assert len(calls) <= 1 and (calls["det_score"] < ActivityConfig().min_score).all()


def test_shard_without_segments_gives_an_empty_table(tmp_path):
    calls = detect_in(tmp_path, np.zeros(RATE, np.int16), [])
    assert len(calls) == 0 and "score_Ppip" in calls


def test_shard_of_another_transform_is_refused(tmp_path):
    detect_in(tmp_path, np.zeros(RATE, np.int16), [(0, 100)])
    card = read_card(shipped_model())
    import dataclasses

    scalogram(
        tmp_path / "m.parquet", tmp_path / "s.parquet", tmp_path / "x.h5",
        settings=dataclasses.replace(card.scalogram, voices=64),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"scalogram\.voices is 64"):
        detect(tmp_path / "x.h5", tmp_path / "m.parquet", shipped_model(), tmp_path / "d.parquet", min_score=0.3)


def test_species_that_are_switched_off_are_not_named(tmp_path, pass_by):
    sheet = tmp_path / "list.tsv"
    sheet.write_text("code\nMdau\nEser\n")
    calls = detect_in(tmp_path, pass_by[0], [(0, 6000)], species_list=sheet)
    assert set(calls["species"]) <= {"Myotis daubentonii", "Eptesicus serotinus"} and (calls["score_Ppip"] == 0).all()
    assert read_origin(tmp_path / "d.parquet")["species"] == ["Eser", "Mdau"]


def test_recordings_by_themselves_have_the_calls_of_their_shard(tmp_path, pass_by):
    in_shard = detect_in(tmp_path, pass_by[0], [(0, 6000)])
    missing = AudioFile(tmp_path / "none.wav")
    calls, read = detect_files([AudioFile(tmp_path / "a.wav"), missing], shipped_model(), min_score=0.3, device="cpu")
    assert read["error"].ne("").tolist() == [False, True] and read["duration_s"][0] == pytest.approx(3.0)
    shared = [name for name in in_shard.columns if name in calls and name not in ("recording",)]
    pd.testing.assert_frame_equal(calls[shared], in_shard[shared], check_dtype=False, rtol=1e-4, atol=1e-4)


def test_what_could_be_read_of_a_broken_file_counts(pass_by, tmp_path, monkeypatch):
    pcm, _ = pass_by
    write_wav(tmp_path / "a.wav", pcm, RATE)
    whole, _ = detect_files([AudioFile(tmp_path / "a.wav")], shipped_model(), min_score=0.3, device="cpu")
    core = 3200
    monkeypatch.setattr(detect_module, "CORE_HOPS", core)
    reads = []

    def breaks(*arguments):
        reads.append(arguments)
        if len(reads) > 1:
            raise AudioError("the disk is gone")
        return read_power(*arguments)

    monkeypatch.setattr(files_module, "read_power", breaks)
    calls, read = detect_files([AudioFile(tmp_path / "a.wav")], shipped_model(), min_score=0.3, device="cpu")
    assert read["error"].tolist() == ["the disk is gone"] and read["duration_s"].tolist() == [pytest.approx(1.6)]
    expected = whole[whole["end_s"] < 1.55]
    np.testing.assert_allclose(calls["start_s"][: len(expected)], expected["start_s"], atol=1e-6)
    assert len(expected) > 3 and (calls["start_s"] < 1.6).all()


@given(first_hop=st.integers(0, 20_000), hops=st.integers(1, 40_000), reach=st.integers(0, 1500))
def test_windows_cover_a_segment_once(first_hop, hops, reach):
    cores = list(windows(first_hop, hops, reach))
    assert [c[0] for c in cores] == [0] + [c[1] for c in cores[:-1]] and cores[-1][1] == hops
    for first, last, low, high in cores:
        assert low < first + GRID_HOPS and first < last <= high <= hops
        assert (first_hop + low) % GRID_HOPS == 0 or low == hops - 1
        assert last == hops or (first_hop + last) % CORE_HOPS == 0
        assert high == min(last + reach, hops)
