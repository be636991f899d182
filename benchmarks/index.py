"""Time of the index: many small files as an AudioMoth names and labels them, first and again.

    python benchmarks/index.py --files 100000 --workers 2

Each run is a process of its own; the files have just been written, so the disk is warm.
"""

import argparse
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

SAMPLES = 4096
RATE = 384_000


def make_files(folder: Path, files: int, recorders: int) -> None:
    """Files of some 10 ms with the comment, the GUANO and the name of firmware 1.11, a folder per recorder."""
    noise = np.random.default_rng(1).integers(-200, 200, SAMPLES + files, np.int16).astype("<i2")
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    for recorder in range(recorders):
        place = folder / f"am{recorder:03d}"
        place.mkdir(parents=True)
        serial = f"24F3190361{recorder:06X}"
        for number in range(recorder, files, recorders):
            start = datetime(2024, 6, 1, 20) + timedelta(seconds=12 * (number // recorders))
            text = (
                f"Recorded at {start:%H:%M:%S %d/%m/%Y} (UTC) by AudioMoth {serial} at medium gain while battery was 4.5V "
                "and temperature was 14.2C."
            )
            comment = struct.pack("<4sI", b"ICMT", 384) + text.encode().ljust(384, b"\0")
            artist = struct.pack("<4sI", b"IART", 32) + f"AudioMoth {serial}".encode().ljust(32, b"\0")
            info = b"INFO" + comment + artist
            guano = (
                f"GUANO|Version:1.0\nMake:Open Acoustic Devices\nModel:AudioMoth\nSerial:{serial}\n"
                f"Firmware Version:AudioMoth-Firmware-Basic (1.11.1)\nTimestamp:{start:%Y-%m-%dT%H:%M:%S}Z\n"
                f"OAD|Recording Settings:384000 GAIN 2\nOAD|Battery Voltage:4.5\nTemperature Int:14.2"
            ).encode()
            guano += b" " * (len(guano) % 2)
            data = noise[number : number + SAMPLES].tobytes()
            body = b"WAVE" + header
            for name, content in ((b"LIST", info), (b"data", data), (b"guan", guano)):
                body += struct.pack("<4sI", name, len(content)) + content
            (place / f"{start:%Y%m%d_%H%M%S}.WAV").write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)


def run(sheet: Path, output: Path, workers: int) -> tuple[float, float]:
    """Seconds and MB of the largest process of one index."""
    command = [sys.executable, "-m", "batpam", "index", "--sites", str(sheet), "--output", str(output)]
    began = time.perf_counter()
    subprocess.run([*command, "--min-duration", "0", "--workers", str(workers)], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--recorders", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the files are made, and left if given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "cards").is_dir():
            make_files(folder / "cards", options.files, options.recorders)
        sheet = folder / "sites.tsv"
        rows = [f"site{i:03d}\t51.4\t-2.4\tEurope/London\t{folder}/cards/am{i:03d}" for i in range(options.recorders)]
        sheet.write_text("\n".join(["site\tlatitude\tlongitude\ttimezone\trecordings", *rows]) + "\n")
        shutil.rmtree(folder / "index", ignore_errors=True)
        for what in ("first", "again", "again"):
            seconds, memory = run(sheet, folder / "index", options.workers)
            print(f"{what}: {options.files} files in {seconds:.1f} s, {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
