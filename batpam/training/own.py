"""Windows of recordings of one's own: labelled ones, and hard negatives from those without bats."""

import hashlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from batpam.detection.files import AudioFile, detect_files
from batpam.errors import UserError, printable
from batpam.models.files import Taxon, shipped_model
from batpam.models.settings import CALL_TYPES, ECHO
from batpam.models.taxonomy import nodes
from batpam.parallel import is_first
from batpam.progress import Progress
from batpam.recordings.audio import AudioError, open_recording, probe
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import to_bytes
from batpam.scalograms.transform import read_power
from batpam.simulate.soundscapes import FOLDED_SNR
from batpam.tables import NO_BAT
from batpam.training.annotations.names import resolve_label
from batpam.training.annotations.read import Annotations, exhaustive_as_far, in_real_time, read_annotations
from batpam.training.annotations.show import write_plain
from batpam.training.dataset import CERTAIN_SNR, Examples, centres
from batpam.training.examples import EVENT
from batpam.training.settings import OwnData, TrainingSettings

HELD_OUT = 0.2
"""Share of the sites, or of the recordings where there are few sites, that is held out."""

FEW_SITES = 5
"""With fewer sites than this, recordings are held out and not whole sites."""

SURE = 0.5
"""Probability from which a detection in a recording with one label is taken for a call of it."""

HARD = 0.1
"""Probability from which a detection in a recording without bats is worth learning from."""

ENDINGS = {".wav", ".flac", ".w64"}

READ = 1 << 22
"""Samples of a recording of noise that are read at a time."""

POSITION_S = 0.02
"""From a position so far on, a call is looked for, s."""


def noise_files(folders: Sequence[str]) -> list[Path]:
    """Recordings in folders, in order of name.

    Raises
    ------
    UserError
        A folder holds none.
    """
    found: list[Path] = []
    for folder in folders:
        here = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in ENDINGS and _is_sound(path)]
        if not here:
            raise UserError(f"noises: {folder} holds no recording that can be read ({', '.join(sorted(ENDINGS))})")
        found += here
    return found


def _is_sound(path: Path) -> bool:
    """Whether a recording can be read to its end: later any stretch of it may be."""
    try:
        info = probe(path)
        with open_recording(path, 1, info.readable) as recording:
            for first in range(0, info.readable, READ):
                recording.read(first, min(first + READ, info.readable))
        return info.readable > 0
    except AudioError as error:
        print(f"noises: {path}: {error}; left out", file=sys.stderr)
        return False


def join(parts: Sequence[Examples]) -> Examples:
    """Examples one behind the other."""
    return Examples(
        [power for part in parts for power in part.power],
        [events for part in parts for events in part.events],
        [known for part in parts for known in part.exhaustive],
    )


def hard_negatives(
    files: Sequence[Path], scalogram: ScalogramSettings, settings: TrainingSettings, workers: int = 1
) -> Examples:
    """Windows of recordings without bats in which a model finds some."""
    if not files:
        return Examples([], [], [])
    calls, read = detect_files(
        [AudioFile(path) for path in files], start_model(settings),
        min_score=HARD, device=settings.device, workers=workers,
    )  # fmt: skip
    for row in read[read["error"] != ""].itertuples():
        print(f"noises: {row.recording}: {row.error}; the rest is left out", file=sys.stderr)
    places = (calls["start_s"] // settings.window).astype(int) if len(calls) else pd.Series(dtype=int)
    wanted = sorted(set(zip(calls.get("recording", []), places, strict=True)))
    power = [
        window
        for path, place in wanted
        for window in _windows(AudioFile(Path(path)), [place], scalogram, settings.window)
    ]
    print(f"noises: {len(power)} windows in which the model found bats are learnt as noise", file=sys.stderr)
    return Examples(power, [np.empty(0, EVENT)] * len(power), [True] * len(power))


def read_own(entries: Sequence[OwnData], taxa: Sequence[Taxon]) -> list[Annotations]:
    """Read the labels of own recordings, in real time; say what of them takes no part.

    Raises
    ------
    UserError
        They cannot be read, or two entries name the same recording.
    """
    read, seen = [], dict[str, str]()
    for own in entries:
        annotations = read_annotations(
            Path(own.annotations), taxa, recordings=Path(own.recordings) if own.recordings else None, format=own.format,
            names=own.names,
        )  # fmt: skip
        for row in annotations.unknown.itertuples():
            print(
                f"{row.where}: label {row.label!r} fits no taxon ({row.count} times); left out of training",
                file=sys.stderr,
            )
        recordings = annotations.recordings
        for name in recordings.loc[~recordings["exists"], "recording"]:
            print(f"{own.annotations}: recording {printable(name)} is not there; left out", file=sys.stderr)
        for name in recordings.loc[recordings["exists"], "recording"]:
            if name in seen:  # it might be learnt by the labels of one and held out by those of the other
                raise UserError(
                    f"own: {printable(name)} has labels in {seen[name]} and in {own.annotations}; "
                    "put the labels of a recording into one entry"
                )
            seen[name] = own.annotations
        read.append(_known_whole(in_real_time(annotations, own.time_expansion)))
    return read


def _known_whole(annotations: Annotations) -> Annotations:
    """Annotations that are of every call only of recordings that are as long as they say."""
    there = annotations.recordings[annotations.recordings["exists"] & annotations.recordings["exhaustive"]]
    lasted = annotations.recordings["recording"].map({
        row.recording: _length(Path(row.recording), float(row.time_expansion)) for row in there.itertuples()
    })  # fmt: skip
    return exhaustive_as_far(annotations, lasted)


def _length(path: Path, time_expansion: float) -> float:
    try:
        info = probe(path)
    except AudioError:
        return np.nan  # said where it is read
    return info.readable / (info.rate * time_expansion)


def own_examples(
    annotations: Annotations,
    of: str,
    taxa: Sequence[Taxon],
    scalogram: ScalogramSettings,
    settings: TrainingSettings,
    kept: Path,
    workers: int = 1,
) -> tuple[Examples, Examples, Examples]:
    """Windows of labelled recordings: to fit on, held out to check, held out to test (:func:`split`).

    Parameters
    ----------
    annotations
        One of :func:`read_own`.
    of
        What they were read from, for messages.
    kept
        CSV that the annotations of what is held out are written to, for ``batpam evaluate``.

    Raises
    ------
    UserError
        They fit no window.
    """
    recordings = annotations.recordings
    recordings = recordings[recordings["exists"]]
    # a file that is said to have a bat, but of which no call is marked, tells nothing of the rest of it
    bats = annotations.events[~annotations.events["taxon"].isin(NO_BAT)]
    whole = bats["extent"] == "file"
    told, marked = (recordings["recording"].isin(bats.loc[of, "recording"]) for of in (whole, ~whole))
    sure = recordings["exhaustive"] & ~(told & ~marked)
    recordings = recordings.assign(exhaustive=sure)
    part_of = split(recordings.assign(site=_sites(recordings["recording"], annotations.events, taxa)), settings.seed)
    out = set(recordings.loc[part_of > 0, "recording"])
    held = annotations.recordings["recording"].isin(out), annotations.events["recording"].isin(out)
    if is_first():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_plain(
            replace(annotations, recordings=annotations.recordings[held[0]], events=annotations.events[held[1]]), kept
        )
    print(f"{of}: {len(out)} of {len(recordings)} recordings are held out: {kept}", file=sys.stderr)
    by_recording = dict(list(_with_found_calls(annotations, taxa, settings, workers).groupby("recording")))
    parts: tuple[list[Examples], ...] = ([], [], [])
    with Progress("reading labelled recordings", len(recordings), "recordings") as progress:
        for number, (row, part) in enumerate(zip(recordings.itertuples(), part_of, strict=True), start=1):
            own_events = by_recording.get(row.recording, annotations.events[:0])
            try:
                parts[part].append(_examples_of(row, own_events, taxa, scalogram, settings.window))
            except AudioError as error:
                print(f"{printable(row.recording)}: {error}; left out", file=sys.stderr)
            progress.at(number)
    made = join(parts[0]), join(parts[1]), join(parts[2])
    if not len(made[0]):
        raise UserError(f"own: no window of {of} can be trained on; `batpam annotations` shows what is in it")
    return made


def split(recordings: pd.DataFrame, seed: int) -> np.ndarray:
    """Part recordings, by site or by recording: 0 to fit on, 1 held out to check, 2 held out to test.

    Held out is what the annotations say, else :data:`HELD_OUT` of the sites, or of the recordings where there are
    few sites; whole sites or recordings are to check and to test by turns.

    Parameters
    ----------
    recordings
        With the columns ``recording``, ``split`` and ``site``, which is "" where nobody knows it.

    Returns
    -------
    ndarray of int, shape (recordings,)
    """
    sited = recordings["site"] != ""
    by_site = recordings.loc[sited, "site"].nunique() >= FEW_SITES
    units = recordings["site"].where(sited & by_site, recordings["recording"])
    names = sorted(units.unique(), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    told = recordings["split"].eq("test")
    out = told if told.any() else units.isin(names[: round(HELD_OUT * len(names))])
    held = set(units[out])
    turns = {name: 1 + turn % 2 for turn, name in enumerate(name for name in names if name in held)}
    return np.where(out, units.map(turns).fillna(0), 0).astype(int)


def _sites(recordings: pd.Series, events: pd.DataFrame, taxa: Sequence[Taxon]) -> list[str]:
    """Site of recordings: the first folder below the one that all of them lie in, but for those named like all labels in them."""
    folders = [Path(path).absolute().parent for path in recordings]
    shared = len(Path(os.path.commonpath(folders)).parts) if folders else 0
    below = [folder.parts[shared:] for folder in folders]
    labels: dict[str, set[tuple[str, str]]] = {name: set() for names in below for name in names}
    told = {path: set(zip(of["label"], of["taxon"], strict=True)) for path, of in events.groupby("recording")}
    for path, names in zip(recordings, below, strict=True):
        for name in names:
            labels[name] |= told.get(path, set())
    meant = {name: resolve_label(name, taxa) for name in labels}
    said = {
        name
        for name, of in labels.items()
        if (of or meant[name]) and all(name == label or meant[name] == taxon for label, taxon in of)
    }
    return [next((name for name in names if name not in said), "") for names in below]


def start_model(settings: TrainingSettings) -> Path:
    """The model that a training starts from; the shipped one where it starts from nothing."""
    return shipped_model() if settings.start in ("", "shipped") else Path(settings.start)


def _with_found_calls(
    annotations: Annotations, taxa: Sequence[Taxon], settings: TrainingSettings, workers: int
) -> pd.DataFrame:
    """Events; in place of the one label of a recording, or of a part, the calls that the model finds there."""
    events = annotations.events
    whole = events[(events["extent"] == "file") & events["taxon"].isin(list(nodes(taxa)))]
    events = events[events["extent"] != "file"]
    about = annotations.recordings.set_index("recording")
    # a recording of noise alone: what the model finds there is learnt as wrong
    silent = whole["taxon"].isin(NO_BAT) & whole["recording"].map(about["exhaustive"])
    whole = whole[~silent]
    one = whole.groupby("recording").agg(nunique=("taxon", "nunique"))
    one = one[about.loc[one.index, "exists"].to_numpy(bool)]
    several, timed = one["nunique"] > 1, one.index.isin(events.loc[~events["taxon"].isin(NO_BAT), "recording"])
    _say_left_out(one.index[several], "labels of whole files of several taxa")
    _say_left_out(one.index[timed & ~several], "labels of whole files beside labels with times")
    one = one[~several & ~timed]
    if not len(one):
        return events
    files = [
        AudioFile(Path(name), float(about.at[name, "time_expansion"]), int(about.at[name, "channel"]) + 1)
        for name in one.index
    ]
    calls, _ = detect_files(files, start_model(settings), min_score=SURE, device=settings.device, workers=workers)
    _say_left_out(one.index.difference(calls.get("recording", [])), "labels of whole files in which no call was found")
    if not len(calls):
        return events
    calls = calls.rename(columns={"call_type": "found_type"}).reset_index(names="call")
    labels = whole[["recording", "taxon", "call_type", "start_s", "end_s"]]
    found = calls.merge(labels, on="recording", suffixes=("", "_told"))
    # a stretch not told is all of it
    inside = ~(found["end_s"] < found["start_s_told"]) & ~(found["start_s"] > found["end_s_told"])
    found = found[inside].drop_duplicates("call")
    kind = found["call_type"].where(found["found_type"] != ECHO, ECHO)
    found = found.assign(call_type=kind, extent="event")
    return pd.concat([events, found[[c for c in events.columns if c in found]]], ignore_index=True)


def _say_left_out(recordings: Sequence[str], what: str) -> None:
    if len(recordings):
        print(
            f"own: {what}: {len(recordings)}, {printable(recordings[0])} for example; left out of training",
            file=sys.stderr,
        )


def _examples_of(
    row: object, events: pd.DataFrame, taxa: Sequence[Taxon], scalogram: ScalogramSettings, window: float
) -> Examples:
    """Windows of a recording that hold an event; all of them where every event is known."""
    file = AudioFile(Path(row.recording), float(row.time_expansion), int(row.channel) + 1)  # type: ignore[attr-defined]
    exhaustive = bool(row.exhaustive)  # type: ignore[attr-defined]
    info = probe(file.path)
    lasts = info.readable / (info.rate * file.time_expansion)
    count = max(math.ceil(lasts / window - 1e-9), 1)
    centre = centres(events.assign(end=events["end_s"].fillna(events["start_s"])).rename(columns={"start_s": "start"}))
    beyond = int((centre > lasts).sum())
    if beyond:
        print(
            f"own: {printable(file.path)}: {beyond} labels lie beyond its {lasts:.2f} s; left out of training",
            file=sys.stderr,
        )
    places = range(count) if exhaustive else sorted(set((centre // window).astype(int)) & set(range(count)))
    power = list(_windows(file, places, scalogram, window))
    found = [
        _events(events, place * window, power_here, taxa, scalogram, lasts - place * window)
        for place, power_here in zip(places, power, strict=True)
    ]
    return Examples(power, found, [exhaustive] * len(power))


def _windows(
    file: AudioFile, places: Sequence[int] | range, settings: ScalogramSettings, window: float
) -> Iterator[np.ndarray]:
    info = probe(file.path)
    hops = round(window / settings.hop)
    with open_recording(file.path, file.channel, info.readable) as recording:
        for place in places:
            rate = info.rate * file.time_expansion
            yield to_bytes(read_power(recording.read, rate, place * hops, (place + 1) * hops, settings))


def _events(
    events: pd.DataFrame,
    begin: float,
    stored: np.ndarray,
    taxa: Sequence[Taxon],
    settings: ScalogramSettings,
    left: float,
) -> np.ndarray:
    """Events in a window that begins at ``begin`` (s), of a recording of which ``left`` (s) are left from there.

    What the labels do not tell is taken from the scalogram.
    """
    duration = len(stored) * settings.hop
    starts, ends = events["start_s"] - begin, events["end_s"].fillna(events["start_s"] + POSITION_S) - begin
    here = events[(ends > 0) & (starts < duration)]
    places = {name: i for i, name in enumerate(nodes(taxa))}
    above = stored.astype(np.float32) - _background(stored, left, here["start_s"] - begin, ends[here.index], settings)
    frequencies = settings.frequencies()
    found = np.zeros(len(here), EVENT)
    for i, event in enumerate(here.itertuples()):
        known = event.taxon in places
        start, end = float(event.start_s) - begin, float(event.end_s) - begin
        if np.isnan(end):  # a position: the call is what is loudest from there, if the window has all of that
            known &= 0 <= start <= duration - POSITION_S
            first = max(int(start / settings.hop), 0)
            loudest = first + int(
                above[first : first + round(POSITION_S / settings.hop)].max(axis=1, initial=0).argmax()
            )
            start, end = (loudest - 6) * settings.hop, (loudest + 6) * settings.hop
        box = above[max(int(start / settings.hop), 0) : max(int(np.ceil(end / settings.hop)), 1)]
        loud = box.max(axis=0, initial=0)
        told = np.isfinite(event.low_hz) and np.isfinite(event.high_hz)
        inside = (frequencies >= event.low_hz) & (frequencies <= event.high_hz) if told else np.ones(len(loud), bool)
        if not inside.any():  # narrower than from voice to voice
            inside[np.abs(frequencies - (event.low_hz + event.high_hz) / 2).argmin()] = True
        peak = int(np.where(inside, loud, -1).argmax())
        seen = frequencies[loud > max(0.4 * loud[peak], 1)] if not told else np.array([event.low_hz, event.high_hz])
        call_type = CALL_TYPES.index(event.call_type) if event.call_type in CALL_TYPES else -1
        found[i] = (
            places.get(event.taxon, 0), call_type, start, end, seen.min(initial=frequencies[peak]),
            seen.max(initial=frequencies[peak]), frequencies[peak], CERTAIN_SNR if known else FOLDED_SNR,
        )  # fmt: skip
    # what runs on from a call of another window is not without a label
    centre = centres(found)
    found["snr"][(centre < 0) | (centre >= duration)] = FOLDED_SNR
    return found


def _background(
    stored: np.ndarray, left: float, starts: pd.Series, ends: pd.Series, settings: ScalogramSettings
) -> np.ndarray:
    """Power of each voice where no label is, of a window of which ``left`` (s) are recorded; one for all where labels cover it."""
    within = stored[: max(math.ceil(left / settings.hop), 1)]  # behind the end there is nothing
    time = (np.arange(len(within)) + 0.5) * settings.hop
    labelled = ((time >= starts.to_numpy()[:, None]) & (time <= ends.to_numpy()[:, None])).any(axis=0)
    if labelled.all():
        return np.full(stored.shape[1], np.median(within.min(axis=0)))
    return np.median(within[~labelled], axis=0)
