"""The jobs that `batpam plan` counts are those that Snakemake counts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(folder, module, *arguments):
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def snakemake(folder, *arguments):
    result = run(folder, "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *arguments)
    return result.stdout + result.stderr


def test_snakemake_counts_the_same_jobs(tmp_path, make_wav):
    for name in ("oak/20240601_220000", "oak/20240602_220000", "oak/20240602_230000", "mill/20240601_220000", "pond/x"):
        make_wav(tmp_path / "rec" / f"{name}.wav")
    (tmp_path / "rec/pond/x.wav").write_bytes(b"")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("recordings: rec\nindex: {min_duration: 0}\n")
    planned = json.loads(run(tmp_path, "batpam", "plan", "--cores", "1", "--json").stdout)
    assert (planned["sites"], planned["shards"]) == (3, 3)
    # before the index is there, Snakemake cannot know the shards
    snakemake(tmp_path, "results/index/shards.tsv")
    counted = re.search(r"^total +(\d+)$", snakemake(tmp_path, "--dry-run"), re.MULTILINE)
    assert planned["jobs"] == int(counted.group(1)) + 1
