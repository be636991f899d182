"""Time of the states of recorders: tables of one site with many files, as the stages before would have written them.

python benchmarks/health.py --nights 100 --files 1000
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from batpam.config import HealthConfig
from batpam.recordings.health import health
from batpam.survey import Deployment
from batpam.tables import LEDGER, LOGS, NOISE_COLUMNS, RECORDINGS, SOUND, provenance, write_table

RATE = 384_000.0


def make_tables(folder: Path, nights: int, files: int) -> None:
    """A recorder that was on from 21:00 to 5:00 UTC, its files one behind the other."""
    count = nights * files
    length = 8 * 3600 / files
    first = pd.Timestamp("2024-05-01T21:00", tz="UTC")
    night, number = np.divmod(np.arange(count), files)
    starts = first + pd.to_timedelta(night, "D") + pd.to_timedelta(number * length, "s")
    names = [f"{i:016x}" for i in range(count)]
    dates = (first.tz_localize(None) + pd.to_timedelta(night, "D")).strftime("%Y-%m-%d")
    common = {"site": "oak", "recorder": "1", "night": dates, "recording": names, "path": [f"oak/{n}.wav" for n in names],
              "start_utc": starts, "duration_s": length, "samples": int(length * RATE), "size_bytes": 1, "detail": "",
              "reason": ""}  # fmt: skip
    files_table = pd.DataFrame(common | {"state": "indexed", "sample_rate_hz": RATE, "untriggered_s": 0.0, "warnings": "",
                                         "trigger": "", "shard": [f"oak_{d}_1-00" for d in dates], "serial": "24F",
                                         "battery_v": 4.2, "temperature_c": 12.0}).reindex(columns=RECORDINGS.names)  # fmt: skip
    ledger = pd.DataFrame(common | {"state": "analysed", "start_sample": 0, "start_s": 0.0}).reindex(
        columns=LEDGER.names
    )
    noise = np.random.default_rng(1).normal(-110, 1, (count, len(NOISE_COLUMNS)))
    sound = pd.DataFrame(noise, columns=list(NOISE_COLUMNS)).assign(
        recording=names, read_s=length, clipped_samples=0, offset=0.0, flat_s=0.0, click_s=0.0, insect_s=0.0
    )
    origin = provenance("segment")
    write_table(files_table, RECORDINGS, folder / "recordings.parquet", origin)
    write_table(ledger, LEDGER, folder / "ledger.parquet", origin)
    write_table([], LOGS, folder / "logs.parquet", origin)
    for shard, rows in sound.groupby(files_table["shard"]):
        write_table(rows[SOUND.names], SOUND, folder / f"{shard}.sound.parquet", origin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=100)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    oak = Deployment("oak", 51.4, -2.4, "Europe/London", "oak")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_tables(folder, options.nights, options.files)
        took = []
        for _ in range(options.rounds):
            began = time.perf_counter()
            health(
                "oak", folder / "recordings.parquet", folder / "logs.parquet", folder, folder / "ledger.parquet", [oak],
                folder / "health.parquet", **HealthConfig().model_dump(),
            )  # fmt: skip
            took.append(time.perf_counter() - began)
    print(f"{options.nights} nights of {options.files} files: {statistics.median(took):.2f} s, median of {len(took)}")


if __name__ == "__main__":
    main()
