"""Detection: the network over a shard of scalograms, one row per call.

A segment is read in windows that overlap by the reach of the network; a call counts in the window in whose core its
centre lies. So a call is found once, and what is said of it does not depend on the windows.
"""

import ctypes
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from batpam.detection.measure import measure_calls
from batpam.errors import UserError
from batpam.models.calibration import standing_out
from batpam.models.decode import DecodedCalls, decode, weigh
from batpam.models.files import ModelCard, allowed_species, check_model, load_model, model_hash
from batpam.models.network import CallNetwork, ready_to_predict
from batpam.models.sequence import name_in_sequence
from batpam.models.settings import CALL_TYPES, GRID_HOPS, TIME_STRIDE
from batpam.parallel import in_order
from batpam.progress import Progress
from batpam.scalograms.shards import Segment, Shard
from batpam.tables import NO_BAT, detections_schema, provenance, read_table, stream_table

CORE_HOPS = 32_768
"""Hops of a window in which calls count."""

GROUP_HOPS = 40_000
"""Hops, at least, of the segments whose calls are computed and written at a time."""


def detect(
    shard: Path,
    manifest: Path,
    model: Path,
    output: Path,
    *,
    min_score: float,
    species_list: Path | None = None,
    device: str = "auto",
    workers: int = 1,
) -> None:
    """Find and classify the calls of a shard.

    Parameters
    ----------
    shard
        HDF5 shard of scalograms.
    manifest
        Table of the schema MANIFEST of the same shard.
    model
        Model file.
    output
        Table to write, of the schema DETECTIONS with a column ``score_CODE`` per class.
    min_score
        Detections below this score are dropped.
    species_list
        Table with a column ``code`` of the species that may occur; all that the model knows if None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Threads on the CPU.

    Raises
    ------
    UserError
        The shard was made with another transform than the model was trained on, or there is no such device.
    """
    import h5py

    network, card = load_model(model)
    allowed = allowed_species(card, species_list)
    on = pick_device(device)
    network = ready_to_predict(network).to(on)
    recordings = read_table(manifest).set_index("recording")
    try:
        file = h5py.File(shard, "r")
    except OSError as error:
        raise UserError(f"{shard}: cannot be read as HDF5; delete it and run again") from error
    with file:
        opened = Shard(file, shard)
        check_model(model, opened.settings)
        total = sum(segment.hops for segment in opened.segments) * opened.settings.hop
        scored = 0

        def run(group: list[Segment]) -> pd.DataFrame:
            return _calls_of(opened, group, network, card, recordings, min_score=min_score, allowed=allowed, device=on)

        def rows() -> Iterator[pd.DataFrame]:
            nonlocal scored
            groups = list(_group(opened.segments))
            # a group a thread: threads within each operation of the network wait for one another, and for whatever
            # else the machine does, longer than they work
            found = in_order(run, groups, workers, begin=lambda: torch.set_num_threads(1))
            with Progress(f"detecting {manifest.stem}", total, "s of scalogram") as progress:
                for group, calls in zip(groups, found, strict=True):
                    yield calls
                    scored += sum(segment.hops for segment in group)
                    progress.at(scored * opened.settings.hop)
                    _return_memory()

        def origin() -> dict[str, Any]:
            made_with = {"model": card.name, "model_hash": model_hash(model), "min_score": min_score}
            if allowed is not None:
                made_with["species"] = [t.code for t, here in zip(card.taxa, allowed, strict=True) if here]
            return provenance("detect", **made_with, hops_scored=scored)

        count = stream_table(rows(), detections_schema([taxon.code for taxon in card.taxa]), output, origin)
    print(f"{count} calls and echoes in {total:.1f} s of scalogram", file=sys.stderr)


def _return_memory() -> None:
    """Give what is free back to the system.

    Windows are of many lengths; glibc keeps the holes that each leaves, some 500 MB after a few hours of scalograms.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def pick_device(device: str) -> torch.device:
    """Return the device to run on.

    Raises
    ------
    UserError
        CUDA was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for and none is there; use auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def _group(segments: list[Segment]) -> Iterator[list[Segment]]:
    """Consecutive segments that make a task, and a row group of the table."""
    group: list[Segment] = []
    for segment in segments:
        group.append(segment)
        if sum(member.hops for member in group) >= GROUP_HOPS:
            yield group
            group = []
    if group:
        yield group


def _calls_of(
    shard: Shard,
    group: list[Segment],
    network: CallNetwork,
    card: ModelCard,
    recordings: pd.DataFrame,
    *,
    min_score: float,
    allowed: list[bool] | None,
    device: torch.device,
) -> pd.DataFrame:
    """Calls of some segments, a table of the detections' schema; times in s from the start of the recording."""
    tables = []
    for segment in group:
        stretch = (
            (shard.power(segment, low, high), first, last, low)
            for first, last, low, high in windows(segment.first_hop, segment.hops, network.settings.reach)
        )
        tables.append(
            calls_of(
                stretch, network, card, first_hop=segment.first_hop, rate=segment.rate, min_score=min_score,
                allowed=allowed, device=device,
            )
        )  # fmt: skip
    number = np.repeat(np.arange(len(group)), [len(table) for table in tables])
    table = pd.concat(tables, ignore_index=True)
    of = recordings.loc[[group[i].recording for i in number]].reset_index()
    after = np.rint(table["start_s"] * 1e6).astype("timedelta64[us]")
    about = of[["site", "recorder", "night", "recording", "path"]].assign(start_utc=of["start_utc"] + after)
    return pd.concat([about, table], axis=1)[detections_schema([taxon.code for taxon in card.taxa]).names]


def calls_of(
    stretch: Iterable[tuple[np.ndarray, int, int, int]],
    network: CallNetwork,
    card: ModelCard,
    *,
    first_hop: int,
    rate: float,
    min_score: float,
    allowed: list[bool] | None,
    device: torch.device,
) -> pd.DataFrame:
    """Calls of a stretch of recording, named together.

    Parameters
    ----------
    stretch
        Windows (:func:`windows`): power, shape (hops, voices), dB re full scale; the hops of the stretch at which the core
        begins and ends, and the power begins.
    first_hop
        Of the recording, at which the stretch begins.
    rate
        Real sample rate, Hz.

    Returns
    -------
    DataFrame
        In order of time: the columns of the schema DETECTIONS from ``start_s`` on, with ``score_CODE``; times in s from the
        start of the recording. No columns if there are no windows.
    """
    parts = []
    for power, first, last, low in stretch:
        calls = find_calls(network, power, card, min_score=min_score, allowed=allowed, device=device)
        centre = calls.centre * TIME_STRIDE + low
        calls = calls[(centre >= first) & (centre < last)]
        measured = measure_calls(calls, power, first_hop + low, rate, card.scalogram)
        rise = standing_out(measured["snr_db"], measured["duration_ms"] / 1e3)
        calls = weigh(calls, rise, card.calibration)
        own = {
            "centre": calls.centre * TIME_STRIDE + low, "score": calls.score, "classes": calls.classes,
            "call_type": calls.call_type,
        }  # fmt: skip
        parts.append({name: values[calls.score >= min_score] for name, values in (measured | own).items()})
    if not parts:
        return pd.DataFrame()
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    centre, score, classes, call_type = (found.pop(name) for name in ("centre", "score", "classes", "call_type"))
    classes = name_in_sequence(classes, score, call_type, centre * card.scalogram.hop, card.calibration)
    best = classes[:, : len(card.taxa)].argmax(axis=1)
    species = np.array([taxon.species for taxon in card.taxa], object)
    table = pd.DataFrame(
        {
            **found,
            "det_score": score.astype(float),
            "species": species[best],
            "class_score": classes[np.arange(len(classes)), best].astype(float),
            "call_type": np.array(CALL_TYPES, object)[call_type],
            **{f"score_{name}": classes[:, k] for k, name in enumerate([*(t.code for t in card.taxa), *NO_BAT])},
        }
    )
    return table.sort_values("start_s", kind="stable", ignore_index=True)


def find_calls(
    network: CallNetwork,
    power: np.ndarray,
    card: ModelCard,
    *,
    min_score: float,
    allowed: list[bool] | None,
    device: torch.device,
) -> DecodedCalls:
    """Calls of a stretch of scalogram, shape (hops, voices), dB re full scale, that may be worth ``min_score``."""
    padded = np.pad(power, ((0, -len(power) % GRID_HOPS), (0, 0)), mode="edge")
    with torch.inference_mode():
        prediction = network(torch.from_numpy(padded).unsqueeze(0).to(device))
    return decode(prediction, card.calibration.least(min_score), card.calibration.temperature, allowed)[0]


def windows(first_hop: int, hops: int, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows of a segment: core ``first`` to ``last`` and what is read for it, ``low`` to ``high``, in its hops.

    Cores end on a grid of the recording, and each window begins on a whole step of the network's context in it.
    """
    first = 0
    while first < hops:
        last = min(first + CORE_HOPS - (first_hop + first) % CORE_HOPS, hops)
        low = max(first - reach, 0)
        low += -(first_hop + low) % GRID_HOPS
        yield first, last, min(low, hops - 1), min(last + reach, hops)
        first = last
