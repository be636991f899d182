"""Real Snakemake on a small simulated survey."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import batpam
from batpam.simulate.survey import simulate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def snakemake_command(folder, *arguments):
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder),
        "--cores", "2", *arguments,
    ]  # fmt: skip


def snakemake(folder, *arguments):
    return subprocess.run(
        snakemake_command(folder, *arguments), capture_output=True, text=True, env=ENVIRONMENT, check=False
    )


def jobs(result):
    """What was done, in the words of the rules' messages."""
    assert result.returncode == 0, result.stdout + result.stderr
    return sorted(re.findall(r"^Job \d+: (.+)$", result.stdout + result.stderr, re.MULTILINE))


def prepare(folder):
    """A survey of two sites, two nights, and its settings."""
    simulate(folder / "survey", nights=2, minutes=2.0, sample_rate=192_000, seed=1, workers=2)
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("title: Test survey\n")
    rows = [f"{site}\t52.0\t-2.0\tEurope/London\tsurvey/recordings/{site}" for site in ("orchard", "riverside")]
    (folder / "config" / "sites.tsv").write_text(
        "\n".join(["site\tlatitude\tlongitude\ttimezone\trecordings", *rows]) + "\n"
    )


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey that has been run once."""
    folder = tmp_path_factory.mktemp("survey")
    prepare(folder)
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_the_run_ends_with_reports_and_a_ledger_that_reconciles(survey):
    results = survey / "results"
    for page in ("index.html", "sites/orchard.html", "sites/riverside.html"):
        assert (results / "report" / page).stat().st_size > 10_000
    ledger = pd.read_csv(results / "coverage" / "ledger.csv")
    recordings = pd.read_parquet(results / "index" / "recordings.parquet")
    assert ledger["samples"].sum() == recordings["samples"].sum()
    assert set(ledger["path"]) == {str(p.relative_to(survey)) for p in (survey / "survey/recordings").rglob("*.wav")}
    assert set(ledger.loc[ledger["state"] == "excluded", "reason"]) == {"empty", "truncated"}
    activity = pd.read_csv(results / "activity" / "activity.csv")
    truth = pd.read_parquet(survey / "survey" / "truth.parquet")
    common = truth[truth["snr_db"] > 30]["species"].value_counts().idxmax()
    assert activity.loc[activity["taxon"] == common, "passes"].sum() > 0
    assert set(pd.read_csv(results / "activity" / "nights.csv")["night"]) == {"2024-06-01", "2024-06-02"}


def test_a_second_run_has_nothing_to_do(survey):
    result = snakemake(survey)
    assert "Nothing to be done" in result.stdout + result.stderr


def test_progress_is_in_the_log_of_every_stage(survey):
    shard = "orchard_2024-06-01_1-00"
    for rule, word in (
        ("segment_recordings", "segmenting"), ("compute_scalograms", "transforming"), ("detect_calls", "detecting"),
    ):  # fmt: skip
        assert word in (survey / "logs" / rule / f"{shard}.log").read_text()


def test_a_new_recording_leads_to_its_shard_and_what_depends_on_it(survey):
    recordings = survey / "survey" / "recordings" / "orchard"
    template = sorted(recordings.glob("20240602_*.wav"))[0]
    content = bytearray(template.read_bytes())
    content[1000:3000] = content[1000:3000][::-1]  # else it would be a copy
    (recordings / "20240602_231500.wav").write_bytes(content[: content.index(b"guan")])
    assert jobs(snakemake(survey)) == sorted(
        [
            "Indexing the recordings",
            "Finding ultrasonic activity in orchard_2024-06-02_1-00",
            "Computing scalograms of orchard_2024-06-02_1-00",
            "Detecting bat calls in orchard_2024-06-02_1-00",
            "Accounting for every second of orchard",
            "State of the recorders at orchard",
            "Passes and activity of orchard",
            "Gathering the tables of all sites",
            "Looking whether enough could be analysed",
            "Writing the report of orchard",
            "Writing the report of the survey",
        ]
    )
    ledger = pd.read_csv(survey / "results" / "coverage" / "ledger.csv")
    assert ledger["path"].str.endswith("20240602_231500.wav").sum() >= 1


def test_a_changed_setting_reruns_what_depends_on_it(survey):
    activity = "activity:\n  min_score: 0.45\n  thresholds: {Nnoc: 0.9, Pipistrellus high: 0.6}\n"
    (survey / "config" / "config.yaml").write_text(f"title: Test survey\n{activity}")
    assert jobs(snakemake(survey)) == sorted(
        [
            f"{what} of {site}"
            for what in ("Passes and activity", "Writing the report")
            for site in ("orchard", "riverside")
        ]
        + [
            "Gathering the tables of all sites",
            "Looking whether enough could be analysed",
            "Writing the report of the survey",
        ]
    )
    (survey / "config" / "config.yaml").write_text(f"title: Another title\n{activity}")
    assert jobs(snakemake(survey)) == sorted(
        ["Writing the report of orchard", "Writing the report of riverside", "Writing the report of the survey"]
    )


def test_a_changed_position_touches_its_site_only(survey):
    sheet = survey / "config" / "sites.tsv"
    lines = sheet.read_text().splitlines()
    sheet.write_text("\n".join([lines[0], lines[1].replace("52.0", "52.5"), lines[2]]) + "\n")
    done = jobs(snakemake(survey))
    assert "Passes and activity of orchard" in done
    assert not [job for job in done if "riverside" in job or "Detecting" in job]


def test_killed_and_run_again_it_gives_the_same(survey, tmp_path):
    """Killed without a chance to tidy up while a job runs, a second run goes on and ends with the same tables."""
    shutil.copytree(survey / "survey", tmp_path / "survey", copy_function=shutil.copy2)
    shutil.copytree(survey / "config", tmp_path / "config")
    process = subprocess.Popen(
        snakemake_command(tmp_path), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "results" / "scalograms").glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert snakemake(tmp_path, "--unlock").returncode == 0
    result = snakemake(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    for table in ("activity/activity.csv", "activity/passes.csv", "coverage/ledger.csv"):
        assert (tmp_path / "results" / table).read_bytes() == (survey / "results" / table).read_bytes()


def test_a_folder_alone_is_enough(survey, tmp_path):
    recording = sorted((survey / "survey" / "recordings" / "orchard").glob("20240601_*.wav"))[0]
    for site in ("my garden", "the pond"):
        (tmp_path / "rec" / site).mkdir(parents=True)
    shutil.copy(recording, tmp_path / "rec" / "my garden")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("{}\n")
    result = snakemake(tmp_path, "--config", "recordings=rec", "timezone=Europe/London")
    assert result.returncode == 0, result.stdout + result.stderr
    nights = pd.read_csv(tmp_path / "results" / "activity" / "nights.csv")
    assert nights[["site", "night", "files"]].values.tolist() == [["my-garden", "2024-06-01", 1]]
    assert (tmp_path / "results" / "report" / "sites" / "the-pond.html").is_file()


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("bogus: 1\n", "bogus"),
        ("activity:\n  gapp: 1\n", "activity.gap"),
        ("activity:\n  gap: -1\n", "activity.gap"),
        ("sites: nowhere.tsv\n", "nowhere.tsv"),
        ("recordings: nowhere\n", "nowhere"),
    ],
)
def test_bad_settings_end_the_run_with_one_line(tmp_path, config, named):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(config)
    result = snakemake(tmp_path)
    said = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert result.returncode != 0
    assert len(said) == 1 and said[0].startswith("batpam: ") and named in said[0]
    assert not (tmp_path / "results").exists()


def test_ledger_that_does_not_reconcile_fails_and_names_the_file(survey, tmp_path):
    shutil.copytree(survey / "results", tmp_path / "results")
    table = tmp_path / "results" / "segments" / "orchard_2024-06-01_1-00.coverage.parquet"
    coverage = pd.read_parquet(table)
    coverage.loc[0, "read_samples"] += 1
    coverage.to_parquet(table)
    index = tmp_path / "results" / "index" / "sites" / "orchard.parquet"
    result = subprocess.run(
        [sys.executable, "-m", "batpam", "ledger", "--site", "orchard", "--index", str(index), "--output", "l.parquet"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    path = pd.read_parquet(index).set_index("recording").at[coverage.at[0, "recording"], "path"]
    assert result.returncode == 1 and path in result.stderr and not (tmp_path / "l.parquet").exists()


def test_versions_of_the_stages_are_those_of_the_package():
    text = (ROOT / "workflow" / "rules" / "common.smk").read_text()
    table = re.search(r"STAGE_VERSIONS = (\{.*?\})", text, re.DOTALL).group(1)
    assert json.loads(re.sub(r",\s*\}", "}", table)) == batpam.STAGE_VERSIONS
