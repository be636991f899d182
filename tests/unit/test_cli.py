import subprocess
import sys
import time
from pathlib import Path

import pytest

from batpam import STAGE_VERSIONS

ROOT = Path(__file__).parents[2]


def batpam(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "batpam", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_help_lists_every_stage_and_loads_nothing_heavy():
    result = batpam("--help")
    assert result.returncode == 0
    for stage in STAGE_VERSIONS:
        assert f" {stage} " in result.stdout
    heavy = "import batpam.cli, sys; print({'torch', 'dask', 'h5py', 'pandas', 'scipy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", heavy], text=True).strip() == "set()"


def test_every_command_has_help_with_an_example():
    for stage in [*STAGE_VERSIONS, "gather", "export", "check", "plan"]:
        result = batpam(stage, "--help")
        assert result.returncode == 0 and "Example: batpam" in " ".join(result.stdout.split())


OF_SITE = ["--site", "oak", "--index", "i", "--ledger", "l", "--health", "h", "--output", "o"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["index", "--output", "x"], "--sites"),
        (["index", "--output", "x", "--recordings", "nowhere"], "nowhere"),
        (["index", "--output", "x", "--sites", "nowhere.tsv"], "nowhere.tsv"),
        (["check", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["check", "--override", '{"bogus": 1}'], "bogus"),
        (["plan", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["segment", "--manifest", "m", "--output", "s", "--coverage", "c", "--sound", "n"], "m: no such table"),
        (["detect", "--shard", "x", "--manifest", "m", "--output", "o", "--model", "n.safetensors"], "n.json"),
        (["check", "--override", '{"detect": {"model": "m.json"}, "recordings": "."}'], "detect.model"),
        (["check", "--override", '{"scalogram": {"voices": 64}, "recordings": "."}'], "scalogram.voices is 64"),
        (["check", "--override", '{"activity": {"thresholds": {"Myotys": 0.8}}, "recordings": "."}'], "'Myotis'"),
        (["scalogram", "--manifest", "m", "--segments", "s", "--output", "o", "--hop", "0"], "scalogram.hop"),
        (
            ["segment", "--manifest", "m", "--output", "s", "--coverage", "c", "--sound", "n", "--padding", "-5"],
            "segment.padding",
        ),
        (["detect", "--shard", "x", "--manifest", "m", "--output", "o", "--device", "tpu"], "detect.device"),
        (["activity", *OF_SITE, "--threshold", "Myotis"], "NAME=PROBABILITY"),
        (["activity", *OF_SITE, "--threshold", "Myotis=0.8", "--threshold", "Ppip=8"], "activity.thresholds.Ppip"),
        (["export", "--output", "x.csv"], "shards.tsv"),
        (["export", "--output", "x.csv", "--format", "xls"], "xls"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, arguments, named):
    result = batpam(*arguments, cwd=tmp_path)
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1
    assert named in result.stderr and result.stderr.startswith("batpam: ")
    assert not list(tmp_path.rglob("*"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    yield disk
    for _ in range(20):
        if subprocess.run(["umount", str(disk)], check=False).returncode == 0:
            return
        time.sleep(0.1)


def test_full_disk_is_one_line_and_leaves_nothing_half_written(small_disk):
    result = batpam("simulate", "--output", small_disk, "--minutes", "1", "--nights", "1", "--sample-rate", "192000")
    assert result.returncode != 0
    assert "no space left" in result.stderr and "Traceback" not in result.stderr
    assert not [path for path in small_disk.rglob("*") if path.is_file()]
