"""A whole survey of known truth: two sites, recordings as a recorder leaves them, and the calls that are in them."""

import io
import multiprocessing
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from guano import GuanoFile

from batpam.files import written_whole
from batpam.progress import Progress
from batpam.simulate import confusers, soundscapes
from batpam.simulate.calls import call_sequence, compensated, loudest_frequency, species_names
from batpam.simulate.parameters import draw
from batpam.simulate.propagation import piston_radius
from batpam.simulate.soundscapes import Flight, Recorder, hear_call
from batpam.survey import night_of, zone
from batpam.tables import TRUTH, provenance, write_table

FILE_S = 15.0
"""Length of a file, s."""

FILES_PER_VISIT = 2
"""Files that follow each other without a gap."""

FIRST_NIGHT = date(2024, 6, 1)
TIMEZONE = "Europe/London"


@dataclass(frozen=True)
class SimulatedSite:
    """A site of the made-up survey: its position, its bats (code: flights per minute) and its insects."""

    name: str
    latitude: float
    longitude: float
    bats: dict[str, float]
    insects: tuple[str, ...]


SITES = (
    SimulatedSite(
        "orchard", 51.42, -2.41,
        {"Ppip": 1.6, "Nnoc": 0.7, "Eser": 0.6, "Bbar": 0.4, "Paur": 0.3, "Rfer": 0.3},
        ("Tettigonia viridissima", "Pholidoptera griseoaptera"),
    ),
    SimulatedSite(
        "riverside", 52.09, -2.12,
        {"Ppyg": 1.6, "Mdau": 1.2, "Ppip": 0.5, "Pnat": 0.3, "Mnat": 0.3, "Rhip": 0.3},
        ("Conocephalus fuscus",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Visit:
    """Files of one site that follow each other without a gap."""

    site: SimulatedSite
    number: int
    start: datetime
    files: int
    sample_rate: int
    seed: int
    folder: Path
    last_of_survey: bool


def simulate(
    output: Path, *, nights: int = 2, minutes: float = 10.0, sample_rate: int = 384_000, seed: int = 1, workers: int = 1
) -> None:
    """Write a survey: ``recordings/SITE/*.wav`` and ``truth.parquet``.

    As in the field, one file was cut off by a dying battery and one holds no byte.

    Parameters
    ----------
    output
        Folder.
    nights
        Nights at each site.
    minutes
        Minutes of audio in all, rounded up to whole files.
    sample_rate
        Hz.
    seed
        The same seed gives the same files to the byte.
    workers
        Processes.
    """
    visits = list(_visits(output, nights, minutes, sample_rate, seed))
    truth: list[dict[str, Any]] = []
    with (
        multiprocessing.get_context("spawn").Pool(workers) as pool,
        Progress("simulating", len(visits), "stretches") as progress,
    ):
        for done, calls in enumerate(pool.imap(_simulate_visit, visits), 1):
            truth += calls
            progress.at(done)
    stub = output / "recordings" / SITES[0].name / f"{FIRST_NIGHT + timedelta(days=nights):%Y%m%d}_043000.wav"
    stub.touch()
    write_table(truth, TRUTH, output / "truth.parquet", provenance("simulate", seed=seed))


def _visits(output: Path, nights: int, minutes: float, sample_rate: int, seed: int) -> Iterator[_Visit]:
    """Stretches of recording, spread over the nights from half past nine in the evening on."""
    files = -(-minutes * 60 // (FILE_S * nights * len(SITES)))
    starts = range(0, int(files), FILES_PER_VISIT)
    for site in SITES:
        for night in range(nights):
            evening = datetime.combine(FIRST_NIGHT + timedelta(days=night), datetime.min.time(), zone(TIMEZONE))
            for number, first in enumerate(starts):
                yield _Visit(
                    site=site,
                    number=night * len(starts) + number,
                    start=evening + timedelta(hours=21.5) + number * timedelta(hours=6.5) / max(len(starts), 1),
                    files=min(FILES_PER_VISIT, int(files) - first),
                    sample_rate=sample_rate,
                    seed=seed,
                    folder=output / "recordings" / site.name,
                    last_of_survey=(site, night, number) == (SITES[-1], nights - 1, len(starts) - 1),
                )


def _simulate_visit(visit: _Visit) -> list[dict[str, Any]]:
    """Write the files of a visit; return the rows of the truth."""
    rng = np.random.default_rng([visit.seed, SITES.index(visit.site), visit.number])
    recorder = Recorder(sample_rate=visit.sample_rate, full_scale=96.0, noise=-8.0, roll_off=80_000)
    duration = visit.files * FILE_S
    samples = np.zeros(int(duration * visit.sample_rate))
    floor = recorder.noise - recorder.full_scale + 30
    for species in visit.site.insects:
        if rng.random() < 0.6:
            confusers.add_insect(samples, species, floor + rng.uniform(5, 30), recorder, rng)
    if rng.random() < 0.2:
        confusers.add_clicks(samples, rng.uniform(0.5, 5), floor + rng.uniform(10, 30), visit.sample_rate, rng)
    rows = []
    names = species_names()
    flights = [code for code, rate in visit.site.bats.items() for _ in range(rng.poisson(rate * duration / 60))]
    for bat, code in enumerate(flights):
        length = rng.uniform(1.5, 4.0)
        begins = rng.uniform(-0.5, duration - 0.5)
        speed = rng.uniform(3, 8)
        calls = compensated(code, call_sequence(code, length, rng), speed)
        flight = Flight(
            closest=float(np.exp(rng.uniform(np.log(2.5), np.log(12)))),
            at=begins + length / 2,
            speed=speed,
            detour=draw("detour", rng),
            beam=piston_radius(np.deg2rad(30), loudest_frequency(calls)),
            temperature=13.0,
            humidity=80.0,
        )
        for call in calls:
            moved = replace(call, start=begins + call.start)
            heard = hear_call(samples, moved, flight, recorder, rng, echoes=0.5)
            if heard is None:
                continue
            file = int(heard.start // FILE_S)
            rows.append(
                {
                    "site": visit.site.name,
                    "night": night_of(visit.start).isoformat(),
                    "path": str(_file(visit, file)),
                    "species": names[code],
                    "bat": visit.number * 1000 + bat,
                    "start_s": heard.start - file * FILE_S,
                    "end_s": heard.end - file * FILE_S,
                    "start_utc": visit.start + timedelta(seconds=heard.start),
                    "low_hz": heard.low,
                    "high_hz": heard.high,
                    "peak_hz": heard.peak,
                    "snr_db": heard.snr,
                }
            )
    samples += soundscapes.self_noise(len(samples), recorder, rng)
    pcm = soundscapes.to_pcm16(samples)
    length_of_file = int(FILE_S * visit.sample_rate)
    for file in range(visit.files):
        path = _file(visit, file)
        write_wav(
            path, pcm[file * length_of_file : (file + 1) * length_of_file], visit.sample_rate, _guano(visit, file)
        )
        if visit.last_of_survey and file == visit.files - 1:
            with path.open("rb+") as cut:
                cut.truncate(path.stat().st_size * 2 // 3)
    return rows


def _file(visit: _Visit, number: int) -> Path:
    return visit.folder / f"{visit.start + timedelta(seconds=number * FILE_S):%Y%m%d_%H%M%S}.wav"


def _guano(visit: _Visit, number: int) -> GuanoFile:
    fields = GuanoFile()
    fields["GUANO|Version"] = 1.0
    fields["Make"], fields["Model"] = "batpam", "simulated recorder"
    fields["Timestamp"] = visit.start + timedelta(seconds=number * FILE_S)
    fields["Samplerate"] = visit.sample_rate
    fields["Loc Position"] = (visit.site.latitude, visit.site.longitude)
    return fields


def write_wav(path: Path, pcm: np.ndarray, sample_rate: int, guano: GuanoFile | None = None) -> None:
    """Write 16-bit samples, shape (n,), as WAV, with a GUANO chunk behind them."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, subtype="PCM_16", format="WAV")
    content = buffer.getvalue()
    if guano is not None:
        text = bytes(guano.serialize())
        content += struct.pack("<4sI", b"guan", len(text)) + text
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def truth_passes(truth: pd.DataFrame, *, min_snr_db: float, gap: float, min_calls: int) -> pd.DataFrame:
    """Passes that the truth holds, by the rule that detections are put together by.

    Parameters
    ----------
    truth
        Of the schema TRUTH.
    min_snr_db
        Fainter calls count as not there, dB.

    Returns
    -------
    DataFrame
        One row per pass: ``site``, ``species``, ``start_utc``, ``calls``.
    """
    calls = truth[truth["snr_db"] >= min_snr_db].sort_values(["site", "species", "start_utc"])
    apart = calls["start_utc"].diff().dt.total_seconds() > gap
    new = apart | (calls[["site", "species"]] != calls[["site", "species"]].shift()).any(axis=1)
    passes = calls.groupby(new.cumsum()).agg(
        site=("site", "first"), species=("species", "first"), start_utc=("start_utc", "first"), calls=("path", "size")
    )
    return passes[passes["calls"] >= min_calls].reset_index(drop=True)
