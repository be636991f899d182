"""Cards as they come out of the field, through the whole workflow: nothing is lost, and nothing passes for what it is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from test_workflow import snakemake

from batpam.simulate.survey import simulate

pytestmark = pytest.mark.slow

RATE = 192_000
ODD = ["with blank 20240601_221000.wav", "br[ack]ets {x} 20240601_222000.wav", "new\nline 20240601_223000.wav"]


@pytest.fixture(scope="module")
def cards(tmp_path_factory, wav_bytes):
    """Four recorders: one good card with all that can be wrong with a file, one dead, one stereo, one triggered."""
    folder = tmp_path_factory.mktemp("cards")
    simulate(folder / "simulated", nights=1, minutes=1.0, sample_rate=RATE, seed=3, workers=2)
    paths = sorted((folder / "simulated/recordings").rglob("*.wav"))
    heard = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in paths if path.stat().st_size])
    bats = np.split(heard[: len(heard) // 6 * 6], 6)
    cards = folder / "cards"
    good = cards / "oak"
    good.mkdir(parents=True)
    for number, samples in enumerate(bats):
        (good / f"20240601_21{number:02d}00.wav").write_bytes(wav_bytes(samples, RATE))
    whole = wav_bytes(bats[0][::-1].copy(), RATE)
    for name in ODD:
        (good / name).write_bytes(wav_bytes(np.roll(bats[1], len(name) * 1000), RATE))
    (good / ("x" * 240 + "20240601.wav")).write_bytes(wav_bytes(np.roll(bats[2], 7000), RATE))
    (good / "A.wav").write_bytes(wav_bytes(np.roll(bats[2], 9000), RATE))
    (good / "a.WAV").write_bytes(wav_bytes(np.roll(bats[2], 11000), RATE))
    (good / "20240601_230000.wav").write_bytes(whole[: len(whole) // 2])  # cut off
    (good / "20240601_231000.wav").write_bytes(b"")
    (good / "20240601_232000.wav").write_bytes(bytes(131_072))  # the stub of an empty battery
    (good / "20240601_233000.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (good / "20240601_234000.wav").write_bytes(wav_bytes(bats[0][:1000], RATE))  # 5 ms
    (good / "20240601_235000.wav").write_bytes(wav_bytes(bats[3], 16_000))
    (good / "copy").mkdir()
    shutil.copy(good / "20240601_210000.wav", good / "copy/20240601_210000.wav")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/20240601_210000.wav").write_bytes(whole)
    (good / "link.wav").symlink_to(folder / "elsewhere/20240601_210000.wav")
    dead = cards / "dead"
    dead.mkdir()
    for number in range(3):
        stuck = (np.arange(4 * RATE) % 2).astype(np.int16) + np.int16(number)
        (dead / f"20240601_22{number:02d}00.wav").write_bytes(wav_bytes(stuck, RATE))
    stereo = cards / "stereo"
    stereo.mkdir()
    (stereo / "20240601_220000.wav").write_bytes(wav_bytes(np.stack([bats[4], bats[5]], axis=1), RATE))
    triggered = cards / "triggered"
    triggered.mkdir()
    (triggered / "20240601_220000T.WAV").write_bytes(wav_bytes(_triggered(bats[2]), RATE))
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text("title: Cards\n")
    header = "site\tlatitude\tlongitude\ttimezone\trecordings\trecorder\tchannel\tschedule"
    rows = [
        "oak\t52.0\t-2.0\tEurope/London\tcards/oak\t1\t1\t",
        "ash\t52.0\t-2.0\tEurope/London\tcards/dead\tdead\t1\t",
        "elm\t52.0\t-2.0\tEurope/London\tcards/stereo\tsm\teach\t",
        "yew\t52.0\t-2.0\tEurope/London\tcards/triggered\tam\t1\t",
    ]
    (folder / "config/sites.tsv").write_text("\n".join([header, *rows]) + "\n")
    before = _state(cards)
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert _state(cards) == before, "originals were touched"
    return folder


def _triggered(samples: np.ndarray) -> np.ndarray:
    """Samples of a T.WAV whose header has 44 bytes: a second, ten seconds that were left out, the rest."""
    first = (512 - 44) // 2
    block = np.zeros(256, np.int16)
    block[:32] = [1 if (10 * RATE // 256) >> bit & 1 else -1 for bit in range(32)]
    at = first + RATE // 256 * 256
    return np.concatenate([samples[:at], block, samples[at:]])


def _state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        os.fsdecode(path): (path.lstat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_every_file_of_the_cards_is_in_the_ledger_in_its_state(cards):
    ledger = pd.read_parquet(cards / "results/coverage/ledger.parquet")
    there = {str(p.relative_to(cards)) for p in (cards / "cards").rglob("*") if not p.is_dir() or p.is_symlink()}
    assert set(ledger["path"]) == there
    oak = ledger[ledger["site"] == "oak"]
    reasons = (
        oak[oak["state"] == "excluded"].groupby("reason")["path"].agg(lambda paths: sorted(Path(p).name for p in paths))
    )
    assert reasons.to_dict() == {
        "duplicate": ["20240601_210000.wav"],
        "empty": ["20240601_231000.wav"],
        "link": ["link.wav"],
        "sample_rate": ["20240601_235000.wav"],
        "too_short": ["20240601_234000.wav"],
        "truncated": ["20240601_230000.wav"],
        "unreadable": ["20240601_232000.wav", "20240601_233000.wav"],
    }
    analysed = {Path(path).name for path in oak.loc[oak["state"] == "analysed", "path"]}
    assert {*ODD, "A.wav", "a.WAV", "x" * 240 + "20240601.wav", "20240601_230000.wav"} <= analysed


def test_the_totals_are_what_is_on_disk_to_the_sample(cards):
    recordings = pd.read_parquet(cards / "results/index/recordings.parquet")
    total = pd.read_csv(cards / "results/coverage/total.csv")
    assert total["samples"].sum() == recordings["samples"].sum()
    read = recordings[recordings["readable_samples"] > 0]
    for row in read[read["untriggered_s"] == 0].itertuples():
        data = Path(cards, row.path).stat().st_size - 44
        assert row.readable_samples == data // (2 * row.channels)


def test_a_dead_microphone_does_not_pass_for_a_night_without_bats(cards):
    nights = pd.read_csv(cards / "results/coverage/nights.csv", keep_default_na=False).set_index("site")
    assert nights.loc["ash", "state"] == "failed"
    assert "flat" in nights.loc["ash", "reasons"].split(",")
    activity = pd.read_csv(cards / "results/activity/activity.csv")
    dead = activity[activity["site"] == "ash"]
    assert len(dead) and dead["passes"].isna().all()
    assert "stuck samples" in (cards / "results/report/sites/ash.html").read_text()


def test_each_channel_is_a_recorder(cards):
    detections = pd.read_parquet(cards / "results/coverage/ledger.parquet")
    elm = detections[(detections["site"] == "elm") & (detections["state"] == "analysed")]
    assert sorted(elm["recorder"]) == ["sm-ch1", "sm-ch2"]


def test_a_triggered_recording_has_its_true_length_and_its_calls_their_true_time(cards):
    recordings = pd.read_parquet(cards / "results/index/recordings.parquet")
    row = recordings[recordings["site"] == "yew"].iloc[0]
    assert row["untriggered_s"] == pytest.approx(10, abs=0.01)
    plain = recordings[recordings["path"] == "cards/oak/20240601_210200.wav"].iloc[0]
    assert row["duration_s"] == pytest.approx(plain["duration_s"] + 10, abs=0.01)
    calls = {
        of["path"]: pd.read_parquet(cards / f"results/detections/{of['shard']}.parquet").query("path == @of['path']")
        for of in (row, plain)
    }
    late, early = (calls[of["path"]].query("det_score > 0.6")["start_s"] for of in (row, plain))
    expected = early.where(early < 1.0, early + 10)
    found = [np.abs(late - when).min() < 0.02 for when in expected]
    assert len(expected) and np.mean(found) > 0.8


def test_too_much_left_out_fails_the_run_and_leaves_the_tables(cards):
    result = snakemake(cards, "--config", "coverage={max_excluded_fraction: 0.1}")
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "coverage.max_excluded_fraction" in said and "unreadable 2 files" in said
    assert (cards / "results/coverage/ledger.csv").is_file()
    assert (cards / "results/report/index.html").is_file()
