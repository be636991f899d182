"""The plan: it counts what the index counts, estimates from the recordings themselves, and touches nothing."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from batpam import cli
from batpam.cli import app
from batpam.config import Config
from batpam.errors import UserError
from batpam.models.files import shipped_model
from batpam.planning import plan as module
from batpam.planning.plan import DEMO, ONCE, PER_SHARD, PER_SITE, Plan, plan
from batpam.planning.sample import STRETCH_S, STRETCHES, THREADS, choose_stretches, cut_sample
from batpam.planning.show import show
from batpam.recordings.index import index, list_recordings
from batpam.survey import Deployment

MakeWav = Callable[..., Path]
RATE = 250_000


def _noise(seconds: float, calls: bool, seed: int = 1) -> np.ndarray:
    """Noise, and in its second half, if wanted, a short sweep every tenth of a second."""
    samples = np.random.default_rng(seed).normal(0, 0.002, int(seconds * RATE))
    if calls:
        t = np.arange(1250) / RATE
        sweep = 0.3 * np.sin(2 * np.pi * (80_000 * t - 4e6 * t**2)) * np.hanning(len(t))
        for start in range(len(samples) // 2, len(samples) - len(t), RATE // 10):
            samples[start : start + len(t)] += sweep
    return samples


def _site(folder: Path, site: str) -> Deployment:
    return Deployment(site, 52.0, -2.0, "Europe/London", str(folder / site))


def _plan(*deployments: Deployment, results: Path, cores: int = 1) -> Plan:
    return plan(Config(), deployments, shipped_model(), cores=cores, results=results)


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory, make_wav: MakeWav) -> Path:
    """Two sites: 16 s that can be analysed, calls in 5 s of them, and a file each of the sorts that go wrong."""
    folder = tmp_path_factory.mktemp("survey")
    make_wav(folder / "rec/orchard/20240601_220000.wav", _noise(6, calls=True))
    make_wav(folder / "rec/orchard/20240602_220000.wav", _noise(4, calls=False))
    make_wav(folder / "rec/orchard/20240602_230000.wav", _noise(4, calls=True))
    make_wav(folder / "rec/orchard/20240603_220000.wav", _noise(1, calls=False), 22_050)
    make_wav(folder / "rec/orchard/20240602_233000.wav", _noise(1, calls=False), promised=4 * RATE)
    make_wav(folder / "rec/pond/no time.wav", _noise(1, calls=False))
    (folder / "rec/pond/broken.wav").write_bytes(b"no audio")
    (folder / "rec/pond/[red]\n\x1b[31m.wav").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def found(survey: Path) -> Plan:
    return _plan(_site(survey / "rec", "orchard"), _site(survey / "rec", "pond"), results=survey / "results")


def test_it_counts_what_the_index_counts(survey: Path, found: Plan, tmp_path: Path) -> None:
    sites = [_site(survey / "rec", site) for site in ("orchard", "pond")]
    table = index(sites, tmp_path, shard_hours=24, min_sample_rate=90_000, min_duration=0.05).to_pandas()
    shards = pd.read_csv(tmp_path / "shards.tsv", sep="\t")
    assert (found.sites, found.recorders, found.files, found.shards) == (2, 2, len(table), len(shards))
    assert found.nights == 3 and found.undated == 3
    assert found.hours == pytest.approx(table["duration_s"].sum() / 3600)


def test_every_hour_is_analysed_or_excluded(found: Plan) -> None:
    assert found.hours_to_analyse * 3600 == pytest.approx(16)
    assert {reason: of.files for reason, of in found.excluded.items()} == {
        "empty": 1, "sample_rate": 1, "truncated": 1, "unreadable": 1,
    }  # fmt: skip
    assert found.hours == pytest.approx(found.hours_to_analyse + sum(of.hours for of in found.excluded.values()))


def test_what_the_gate_keeps_is_that_of_the_recordings(found: Plan) -> None:
    estimate = found.estimate
    assert estimate is not None
    assert estimate.sampled_s == pytest.approx(16)
    assert 0.25 < estimate.share_kept < 0.6
    assert 0 < estimate.scalogram_bytes < estimate.most_bytes
    assert estimate.wall_s == pytest.approx(sum(stage.wall_s for stage in estimate.stages.values()))
    assert all(stage.at_once == 1 for stage in estimate.stages.values())


def test_nothing_is_written_and_the_recordings_are_not_touched(survey: Path) -> None:
    before = _state(survey)
    _plan(_site(survey / "rec", "pond"), results=survey / "results")
    assert _state(survey) == before


def test_it_is_printed_without_anything_that_a_terminal_obeys(found: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    show(replace(found, results="re\x1b[31m[bold]\nsults"))
    said = capsys.readouterr()
    assert not re.search(r"[^\n -~]", said.out) and not said.err
    assert "about" in said.out and "estimates" in said.out and " \n" not in said.out
    for word in ("holds no audio", "sample rate too low", "ends before", "cannot be decoded", "jobs", "disk needed"):
        assert word in said.out


def test_a_silent_survey_needs_nothing_and_still_says_how_much_at_most(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "pond/20240601_220000.wav", np.zeros(4 * RATE, np.int16))
    estimate = _plan(_site(tmp_path, "pond"), results=tmp_path / "results").estimate
    assert estimate is not None
    assert estimate.share_kept == estimate.scalogram_bytes == 0
    assert estimate.most_bytes > 0 and np.isfinite(estimate.wall_s)


def test_with_nothing_to_analyse_there_is_no_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pond").mkdir()
    (tmp_path / "pond/20240601_220000.wav").touch()
    found = _plan(_site(tmp_path, "pond"), results=tmp_path)
    assert found.estimate is None and found.shards == 0 and not found.bytes_missing
    show(found)
    assert "no telling" in capsys.readouterr().out


def test_what_lies_there_already_needs_no_room(
    survey: Path, found: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_bytes_free", lambda folder: 0)
    monkeypatch.setattr(module, "_estimate", lambda *_: found.estimate)
    site = _site(survey / "rec", "orchard")
    missing = _plan(site, results=tmp_path).bytes_missing
    assert missing > 0
    (tmp_path / "scalograms").mkdir()
    (tmp_path / "scalograms/orchard_2024-06-01_1-00.h5").write_bytes(bytes(100))
    (tmp_path / "scalograms/orchard_2020-01-01_1-00.h5").write_bytes(b"of another survey")
    again = _plan(site, results=tmp_path)
    assert again.bytes_there == 100 and again.bytes_missing == pytest.approx(missing - 100)


def test_a_disk_that_is_too_small_is_one_line_and_exit_status_3(
    survey: Path, found: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("{}\n")
    monkeypatch.setattr(cli, "_survey", lambda settings: (shipped_model(), []))
    for missing, status in ((0.0, 0), (2.5e12, 3)):
        monkeypatch.setattr(module, "plan", lambda *_, missing=missing, **__: replace(found, bytes_missing=missing))
        result = CliRunner().invoke(app, ["plan", "--config", str(tmp_path / "c.yaml"), "--json"])
        assert result.exit_code == status
        assert json.loads(result.stdout)["jobs"] == found.jobs
        warned = result.stderr.splitlines()
        assert len(warned) == (status == 3)
        assert all(line.startswith("warning: ") and "2.5 TB" in line for line in warned)


def test_the_demo_that_is_not_there_yet_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo = Deployment("orchard", None, None, "UTC", f"{DEMO}/recordings/orchard")
    with pytest.raises(UserError, match="snakemake --cores all"):
        _plan(demo, results=tmp_path)


# the sample


@given(st.lists(st.floats(0.001, 50_000), max_size=40))
def test_stretches_lie_in_the_recordings_and_apart(seconds: list[float]) -> None:
    chosen = choose_stretches(np.array(seconds))
    assert min(len(seconds), 1) <= len(chosen) <= STRETCHES
    assert len(set(chosen)) == len(chosen)
    for place, start in chosen:
        assert 0 <= start < seconds[place] and start % STRETCH_S == 0


def test_stretches_are_spread_over_the_audio() -> None:
    assert [place for place, _ in choose_stretches(np.full(STRETCHES, 60.0))] == list(range(STRETCHES))
    starts = [start for _, start in choose_stretches(np.array([36_000.0]))]
    assert np.allclose(np.diff(starts), 36_000 / STRETCHES, atol=STRETCH_S)


@pytest.mark.parametrize(
    ("name", "subtype", "kept_as"),
    [("a.wav", "PCM_16", "PCM_16"), ("a.flac", "PCM_24", "PCM_24"), ("a.wav", "FLOAT", "FLOAT"), ("a.aiff", "PCM_S8", "FLOAT")],
)  # fmt: skip
def test_a_stretch_is_the_recording_sample_by_sample(tmp_path: Path, name: str, subtype: str, kept_as: str) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (9 * 25_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / name, noise, 25_000, subtype=subtype)
    recorder = Deployment("oak", None, None, "UTC", str(tmp_path), time_expansion=10.0, channel=2)
    table = list_recordings([recorder], shard_hours=24, min_sample_rate=90_000, min_duration=0.05).to_pandas()
    sample = cut_sample(table, tmp_path)
    assert sample["sample_rate_hz"].tolist() == [250_000.0]  # 0.9 s in truth
    row = sample.iloc[0]
    assert soundfile.info(row["path"]).subtype == kept_as and row["channel"] == 1
    np.testing.assert_array_equal(soundfile.read(row["path"])[0], soundfile.read(tmp_path / name)[0][:, 1])


def _list(folder: Path) -> pd.DataFrame:
    return list_recordings(
        [_site(folder.parent, folder.name)], shard_hours=24, min_sample_rate=90_000, min_duration=0.05
    ).to_pandas()


def test_what_an_audiomoth_left_out_is_in_the_sample(
    tmp_path: Path, triggered_bytes: Callable[..., tuple[bytes, np.ndarray]]
) -> None:
    loud = np.random.default_rng(1).integers(-9000, 9000, 12 + 256 * 400).astype(np.int16)
    content, meant = triggered_bytes([loud, 10_000, loud[12:], 4_000], RATE)
    (tmp_path / "20240601_220000T.WAV").write_bytes(content)
    copies = tmp_path / "copies"
    copies.mkdir()
    sample = cut_sample(_list(tmp_path), copies)
    assert sample["readable_samples"].sum() == len(meant)
    found = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in sample["path"]])
    np.testing.assert_array_equal(found, meant)


@pytest.mark.parametrize("promised", [0, 2**32 - 1])
def test_a_recording_with_a_wrong_size_is_in_the_sample(tmp_path: Path, make_wav: MakeWav, promised: int) -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 2 * RATE).astype(np.int16)
    make_wav(tmp_path / "rec/a.wav", noise, promised=promised)
    sample = cut_sample(_list(tmp_path / "rec"), tmp_path)
    np.testing.assert_array_equal(soundfile.read(sample["path"][0], dtype="int16")[0], noise)


def test_a_recording_that_breaks_off_is_left_out_of_the_sample(tmp_path: Path, make_wav: MakeWav) -> None:
    for number in range(2):
        make_wav(tmp_path / f"{number}.wav", np.zeros(4 * RATE, np.int16))
    table = _list(tmp_path)
    (tmp_path / "0.wav").write_bytes(b"gone meanwhile")
    copies = tmp_path / "copies"
    copies.mkdir()
    assert len(cut_sample(table, copies)) == 1


# what it says of the workflow


def test_rules_and_threads_are_those_of_the_workflow(repository: Path) -> None:
    rules, threads = {}, {}
    for path in (repository / "workflow/rules").glob("*.smk"):
        for name, body in re.findall(
            r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", path.read_text(), re.MULTILINE
        ):
            output = re.search(r"    output:\n((?:        .*\n)+)", body)
            assert output
            per = re.search(r"\{+(shard|site|model)\}", output[1])
            rules[name] = per[1] if per else ""
            threads[name] = int(re.search(r"    threads: (\d+)", body)[1])  # type: ignore[index]
    run = {
        name: per for name, per in rules.items() if name not in ("simulate_survey", "get_first_model", "train_model")
    }
    assert {name for name, per in run.items() if per == "shard"} == set(PER_SHARD)
    assert {name for name, per in run.items() if per == "site"} == set(PER_SITE)
    assert {name for name, per in run.items() if not per} == set(ONCE) - {"all"}
    assert {name: threads[name] for name in THREADS} == THREADS
    assert all(count == 1 for name, count in threads.items() if name in (*PER_SITE, *ONCE) and name not in THREADS)


def test_the_demo_lies_where_the_workflow_simulates_it(repository: Path) -> None:
    assert f'DEMO = "{DEMO}"' in (repository / "workflow/rules/common.smk").read_text()
