"""The whole workflow over real recordings."""

import subprocess
import sys

import pandas as pd
import pytest
from test_workflow import snakemake

pytestmark = pytest.mark.slow


def test_every_file_is_accounted_for_and_the_scorer_can_be_fed(real_recordings, real_deployments, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("title: Real recordings\n")
    lines = ["site\tlatitude\tlongitude\ttimezone\trecordings\trecorder\ttime_expansion\tchannel"]
    for site, rows in real_deployments.items():
        for number, (place, expansion, channel) in enumerate(rows, 1):
            lines.append(f"{site}\t\t\tEurope/Paris\t{real_recordings / place}\t{number}\t{expansion}\t{channel}")
    (tmp_path / "config" / "sites.tsv").write_text("\n".join(lines) + "\n")
    result = snakemake(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr

    ledger = pd.read_csv(tmp_path / "results" / "coverage" / "ledger.csv", keep_default_na=False)
    there = {
        str(path) for folder in ("labelled", "field", "formats", "unreadable")
        for path in (real_recordings / folder).rglob("*") if path.is_file()
    }  # fmt: skip
    assert set(ledger["path"]) == there
    analysed = set(ledger.loc[ledger["state"] == "analysed", "path"])
    short = {p for p in there if "Z1-FLO_0_20140408_013528_599" in p or "Col_de_Roncevaux" in p}  # 0.7 and 1.2 ms
    assert {p for p in there if "/labelled/" in p or "/field/" in p} - short == analysed
    assert set(ledger.loc[ledger["reason"] == "too_short", "path"]) == {
        *short,
        *(p for p in there if "stereo.wav" in p),
    }
    labels = pd.read_csv(real_recordings / "labels.csv").set_index("file")
    for row in ledger[ledger["state"] == "analysed"].itertuples():
        wanted = labels.at[str(row.path).removeprefix(f"{real_recordings}/"), "duration_s"]
        assert row.duration_s == pytest.approx(float(wanted), abs=0.06)

    csv = tmp_path / "calls.csv"
    subprocess.run(
        [sys.executable, "-m", "batpam", "export", "--format", "csv", "--output", str(csv),
         "--relative-to", str(real_recordings), "--results", str(tmp_path / "results")], check=True,
    )  # fmt: skip
    score = subprocess.run(
        [sys.executable, str(real_recordings / "score.py"), str(csv)], capture_output=True, text=True, check=True
    )
    assert "events at 0.5: recall" in score.stdout
    print(score.stdout)
