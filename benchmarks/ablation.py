"""What matters in the model: small networks, each trained with one thing other than as shipped, on the same scenes.

    python benchmarks/ablation.py [--variants baseline stft hop-1ms] [--repeats 3]
    python benchmarks/ablation.py --annotations events.csv --recordings FOLDER

Every variant gets the same simulated scenes, the same network, the same steps and the same first weights, and is measured
on the same held-out scenes of the full simulator, with echoes and insects also where it was trained without. A repeat has
other training scenes, weights and order; held-out scenes stay. With annotations it is also held against real recordings,
all of every one looked at, as `batpam evaluate` does.

What differs beyond what the name says: with a hop of 1 ms a window has half the hops, and so the network half the work,
frames of 4 ms where the others have 2 ms, and twice the reach in time. Without echoes or insects the random numbers of a
scene go on from another place, so that its bats are others than in the full one of the same seed, of the same kinds; and what was
trained without echoes misses those of the held-out scenes, which are events as calls are. In `stft`, frequencies below some 35 kHz lie closer than the bins of its 1 ms, and neighbouring bands there tell the same.

The defaults, 1500 windows and 5 epochs of a network of the shipped size, take about 5 minutes a variant on two cores: far
from all that it can learn, enough to see what matters much. A difference below the spread of the repeats is none. Tables go
to stdout and FOLDER/ablation.csv, progress to stderr. What is made lies in FOLDER (build/ablation if not given), some 1.3 GB
of scenes a repeat, of which those without echoes and those without insects have their own: run again, it goes on with what
is missing; what was made by other settings or another state of the code is not used and may be deleted.
"""

import argparse
import dataclasses
import hashlib
import inspect
import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.fft
import scipy.signal
from threadpoolctl import threadpool_limits

import batpam
from batpam.files import written_whole
from batpam.models.calibration import Calibration
from batpam.models.files import ModelCard, Taxon, load_model, read_card, read_taxa, write_model
from batpam.models.settings import GRID_HOPS, NetworkSettings
from batpam.progress import Progress
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes, to_bytes
from batpam.scalograms.transform import FLOOR_DB, Read, pad_read, read_power
from batpam.tables import NO_BAT
from batpam.training.examples import MARGIN, Scenes, simulate_scene

if TYPE_CHECKING:
    from batpam.models.network import CallNetwork
    from batpam.training.annotations.read import Annotations
    from batpam.training.dataset import Examples

STFT = "stft"
STFT_S = 0.001
"""Length of the window of the STFT: 256 samples at 256 kHz."""

LONGEST_HOP = 0.001
CHUNK = 50
"""Scenes to a file."""

HELD_OUT_SEED = 1
TIMED = 24
"""Held-out scenes that the transforms are timed on."""

SNR_BINS = {"12-16": (12, 16), "16-30": (16, 30), "30+": (30, math.inf)}
PRECISION = 0.92
"""Precision at which recall is asked for, as in an evaluation."""

MIN_SCORE = 0.02
RESAMPLES = 200


@dataclass(frozen=True)
class Variant:
    """What is done otherwise than as shipped.

    Attributes
    ----------
    about
        For the table.
    scalogram
        The transform; the wavelet ``stft`` is the STFT pooled into the same bands.
    echoes, insects
        Of the scenes to train on.
    augment
        Whether windows are mixed, coloured and blanked in training.
    network
        Settings of the network that differ.
    """

    about: str
    scalogram: ScalogramSettings = field(default_factory=ScalogramSettings)
    echoes: bool = True
    insects: bool = True
    augment: bool = True
    network: dict[str, int] = field(default_factory=dict)


VARIANTS = {
    "baseline": Variant("as shipped: cmor4-4, 96 voices, 0.5 ms"),
    "stft": Variant("power of an STFT of 1 ms (Hann), pooled into the same bands", ScalogramSettings(wavelet=STFT)),
    "hop-1ms": Variant("hop of 1 ms, half the hops to a window", ScalogramSettings(hop=LONGEST_HOP)),
    "cmor1.5-4": Variant("voices 1.6 times as wide", ScalogramSettings(wavelet="cmor1.5-4")),
    "cmor8-4": Variant("voices 0.7 times as wide", ScalogramSettings(wavelet="cmor8-4")),
    "cmor16-4": Variant("voices half as wide, with gaps between", ScalogramSettings(wavelet="cmor16-4")),
    "linear": Variant("voices evenly spaced in Hz", ScalogramSettings(spacing="linear")),
    "no-echoes": Variant("trained without echoes", echoes=False),
    "no-insects": Variant("trained without insects", insects=False),
    "no-augmentation": Variant("windows as simulated, epoch by epoch", augment=False),
    "no-context": Variant("context of 8 ms in the network, not half a second", network={"context_layers": 0}),
}

COLUMNS = """\
Held-out windows, at a calibrated probability of 0.5: recall of calls of 8 dB and above (signal-to-noise ratio of the simulation),
precision, and of the calls found the shares with the right species and group. recall at 92 %: recall where precision is 0.92.
ms: processor time of the transform, per window."""

REAL_COLUMNS = """\
Real recordings: recall of annotated bat events where precision is 0.92, average precision of detection (one to one, by
overlap in time), and of the events found at a probability of 0.3 the share with the right group."""

SPREAD = "±: half the range of {repeats} repeats."


# Transforms


def power_of(read: Read, sample_rate: float, first_hop: int, last_hop: int, settings: ScalogramSettings) -> np.ndarray:
    """Power of a stretch of a recording by a variant's transform; see :func:`batpam.scalograms.transform.read_power`."""
    transform = stft_power if settings.wavelet == STFT else read_power
    return np.maximum(transform(read, sample_rate, first_hop, last_hop, settings), FLOOR_DB)


def stft_power(
    read: Read, sample_rate: float, first_hop: int, last_hop: int, settings: ScalogramSettings
) -> np.ndarray:
    """Power of one frame around the middle of each hop, pooled into bands; arguments and result as of the wavelets."""
    window, bands = stft_bands(settings, sample_rate)
    middle = (np.arange(first_hop, last_hop) + 0.5) * settings.hop * sample_rate
    begins = np.rint(middle - len(window) / 2).astype(np.int64)
    samples = read(int(begins[0]), int(begins[-1]) + len(window))
    frames = samples[(begins - begins[0])[:, None] + np.arange(len(window))]
    spectrum = scipy.fft.rfft(frames * window)
    power = (spectrum.real**2 + spectrum.imag**2) @ bands
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


@lru_cache(maxsize=32)
def stft_bands(settings: ScalogramSettings, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Window, shape (samples,), and what each bin gives to each band, shape (bins, voices), float32.

    A band is the mean of the power between the middles to its neighbours, on straight lines between bins, so that one
    narrower than a bin is a point between two. A sine of full scale at its centre is 0 dB; a band whose centre lies
    beyond the Nyquist frequency is silent.
    """
    window = scipy.signal.windows.hann(round(STFT_S * sample_rate), sym=False).astype(np.float32)
    bins = scipy.fft.rfftfreq(len(window), 1 / sample_rate)
    voices = settings.frequencies()
    step = voices[1] / voices[0]
    edges = np.concatenate([[voices[0] / step**0.5], np.sqrt(voices[1:] * voices[:-1]), [voices[-1] * step**0.5]])
    points = np.linspace(0, 1, 33)
    places = edges[:-1, None] * (1 - points) + edges[1:, None] * points
    # what each bin alone would give, one row each
    bands = np.stack(
        [np.interp(places.ravel(), bins, one).reshape(places.shape).mean(axis=1) for one in np.eye(len(bins))]
    )
    tones = np.exp(2j * np.pi * voices[:, None] * np.arange(len(window)) / sample_rate)
    loudness = (
        np.abs(scipy.fft.fft(tones * window)[:, : len(bins)] / 2) ** 2
    )  # half a sine is at its positive frequency
    bands /= np.einsum("vb,bv->v", loudness, bands)
    bands[:, voices >= sample_rate / 2] = 0
    return window, bands.astype(np.float32)


def reader(samples: np.ndarray) -> Read:
    """Read from samples as from a recording, zeros on both sides."""
    return partial(pad_read, lambda first, last: samples[first:last], len(samples))


# Scenes


@dataclass(frozen=True)
class SceneSet:
    """Scenes, some to a file: samples of 16 bits as a recorder writes them, and what is in them.

    Attributes
    ----------
    folder
        Where they lie.
    scenes
        What they are made of.
    seed
        Of all of them.
    count
        Number of them.
    duration
        Length of a window, s.
    code
        Digest of the code that makes them.
    """

    folder: Path
    scenes: Scenes
    seed: tuple[int, ...]
    count: int
    duration: float
    code: str

    def chunks(self) -> list[tuple["SceneSet", int]]:
        """Each file, by its first scene."""
        return [(self, first) for first in range(0, self.count, CHUNK)]

    def path(self, first: int) -> Path:
        """File of some scenes; its name says what they are."""
        what = digest(dataclasses.asdict(self.scenes), self.seed, self.duration, self.code)
        return self.folder / f"{what}-{first:06d}-{min(first + CHUNK, self.count):06d}.npz"

    def read(self, first: int) -> Iterator[tuple[np.ndarray, float, np.ndarray]]:
        """Samples, rate in Hz and events of the scenes of a file."""
        with np.load(self.path(first)) as packed:
            samples, rates, events = packed["samples"], packed["rates"], packed["events"]
            ends, event_ends = packed["ends"], packed["event_ends"]
        for part, rate, own in zip(np.split(samples, ends[:-1]), rates, np.split(events, event_ends[:-1]), strict=True):
            yield part.astype(np.float32) / 32768, float(rate), own


def simulate_chunk(chunk: tuple[SceneSet, int]) -> int:
    """Write a file of scenes; how many."""
    scenes, first = chunk
    path, last = scenes.path(first), min(first + CHUNK, scenes.count)
    made = [
        simulate_scene(scenes.scenes, scenes.duration, np.random.default_rng([*scenes.seed, number]))
        for number in range(first, last)
    ]
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            # back to what the recorder wrote: one step is 1 / 32768 here and 1 / 32767 there
            samples=np.concatenate([np.rint(samples * 32768).astype(np.int16) for samples, _, _ in made]),
            ends=np.cumsum([len(samples) for samples, _, _ in made]),
            rates=[rate for _, rate, _ in made],
            events=np.concatenate([events for _, _, events in made]),
            event_ends=np.cumsum([len(events) for _, _, events in made]),
        )
    return last - first


def simulate(scenes: SceneSet, pool: Pool) -> None:
    """Make what is not there."""
    missing = [chunk for chunk in scenes.chunks() if not scenes.path(chunk[1]).exists()]
    if not missing:
        return
    done = scenes.count - sum(min(first + CHUNK, scenes.count) - first for _, first in missing)
    with Progress("simulating", scenes.count, "scenes") as progress:
        for made in pool.imap_unordered(simulate_chunk, missing):
            done += made
            progress.at(done)


def transform_chunk(scenes: SceneSet, settings: ScalogramSettings, first: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Windows of a file of scenes as bytes, shape (scenes, hops, voices), and their events."""
    hops, lead = round(scenes.duration / settings.hop), round(MARGIN / settings.hop)
    power, found = [], []
    for samples, rate, events in scenes.read(first):
        power.append(to_bytes(power_of(reader(samples), rate, lead, lead + hops, settings)))
        found.append(events)
    return np.stack(power), found


def transform(scenes: SceneSet, settings: ScalogramSettings, pool: Pool) -> "Examples":
    """Windows to learn from or to be measured on."""
    from batpam.training.dataset import Examples  # torch, not in the processes that simulate

    power: list[np.ndarray] = []
    events: list[np.ndarray] = []
    with Progress("transforming", scenes.count, "scenes") as progress:
        for windows, found in pool.imap(partial(transform_chunk, scenes, settings), range(0, scenes.count, CHUNK)):
            power += list(windows)
            events += found
            progress.at(len(power))
    return Examples(power, events, [True] * len(power))


def time_transform(scenes: SceneSet, settings: ScalogramSettings) -> float:
    """Processor time of a window, ms: mean over some held-out scenes of the best of three."""
    hops, lead = round(scenes.duration / settings.hop), round(MARGIN / settings.hop)
    took: list[float] = []
    with threadpool_limits(1):
        for samples, rate, _ in islice(scenes.read(0), TIMED):
            runs = [0.0] * 4
            for run in range(len(runs)):
                began = time.thread_time()
                power_of(reader(samples), rate, lead, lead + hops, settings)
                runs[run] = time.thread_time() - began
            took.append(min(runs[1:]))  # the first makes the plan for this rate
    return 1000 * float(np.mean(took))


# Training and measuring


def fit(variant: Variant, examples: "Examples", taxa: Sequence[Taxon], seed: int, options: argparse.Namespace) -> Any:
    """Train a network as `batpam train` does, for so many epochs and without a look at held-out windows."""
    import pytorch_lightning as lightning
    import torch
    from torch.utils.data import DataLoader

    from batpam.models.network import CallNetwork
    from batpam.training.dataset import CallDataset
    from batpam.training.fit import CallModule, NextEpoch, has_bfloat16

    # it gives hints, and asks for held-out windows and for processes that load
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    lightning.seed_everything(seed, verbose=False)
    torch.set_num_threads(options.workers)
    size = NetworkSettings(
        classes=len(taxa) + len(NO_BAT), voices=variant.scalogram.voices, width=options.width,
        context_width=options.context_width,
    )  # fmt: skip
    network = CallNetwork(dataclasses.replace(size, **variant.network))
    data = CallDataset(examples, len(taxa), variant.scalogram, augment_seed=seed if variant.augment else None)
    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(data, options.batch, shuffle=True, drop_last=len(data) > options.batch, generator=order)
    module = CallModule(network, taxa, rate=options.rate, steps=options.epochs * len(loader))
    on_gpu = options.device != "cpu" and torch.cuda.is_available()
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        precision="bf16-mixed" if has_bfloat16(options.device) else "32-true",
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        callbacks=[NextEpoch(data, torch.Generator()), _progress(options.epochs * len(loader))],
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=2.0,
    )
    trainer.fit(module, loader)
    return module.network.float().cpu().eval()


def _progress(steps: int) -> Any:
    """Progress of a training as that of all stages, in place of Lightning's."""
    from pytorch_lightning.callbacks import Callback

    class Told(Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.progress = Progress("training", steps, "steps").__enter__()

        def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
            self.progress.at(trainer.global_step)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.progress.__exit__(None, None, None)

    return Told()


def held_out_metrics(
    network: "CallNetwork", examples: "Examples", taxa: Sequence[Taxon], settings: ScalogramSettings
) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate on one half of the windows, measure on the other: the package's metrics, and those by level."""
    from batpam.training.measure import calibrate, match_examples, measure

    checked, tested = examples.every(2, 0), examples.every(2, 1)
    calibration = calibrate(network, checked, len(taxa), settings)
    metrics = measure(network, tested, taxa, settings, calibration)
    detections, calls = match_examples(network, tested, len(taxa), settings, calibration)
    return calibration, metrics | by_level(detections, calls, taxa) | {
        "recall_at_precision": recall_at(detections, calls, PRECISION)
    }


def by_level(detections: pd.DataFrame, calls: pd.DataFrame, taxa: Sequence[Taxon]) -> dict[str, float]:
    """Recall, and shares of the found with the right species and group, of every bin of :data:`SNR_BINS`."""
    best = detections.reindex(calls["detection"])
    found = best["score"].to_numpy(float) >= 0.5
    named = found & (calls["node"] < len(taxa)).to_numpy()
    group = np.array([taxon.group for taxon in taxa])
    guess = np.full(len(calls), -1)
    if named.any():
        guess[named] = np.stack(best["classes"][named].to_list())[:, : len(taxa)].argmax(1)
    true = calls["node"].to_numpy(int)
    row = {}
    for name, (low, high) in SNR_BINS.items():
        here = ((calls["snr"] >= low) & (calls["snr"] < high)).to_numpy()
        of = here & named
        row[f"recall {name}"] = share(found[here])
        row[f"species right {name}"] = share(guess[of] == true[of])
        row[f"group right {name}"] = share(group[guess[of]] == group[true[of]])
    return row


def recall_at(detections: pd.DataFrame, calls: pd.DataFrame, precision: float) -> float:
    """Highest recall of all thresholds from which on so many detections are calls; 0 where there is none."""
    told = detections[detections["bat"].notna()]
    score, right = told["score"].to_numpy(float), told["bat"].to_numpy(bool)
    best = np.nan_to_num(detections["score"].reindex(calls["detection"]).to_numpy(float), nan=-1.0)
    thresholds = np.unique(score)
    return max(
        (float((best >= least).mean()) for least in thresholds if right[score >= least].mean() >= precision),
        default=0.0,
    )


def share(true: np.ndarray) -> float:
    """Share that is true; NaN of none."""
    return float(np.mean(true)) if len(true) else math.nan


# Real recordings


def detect_recordings(annotations: "Annotations", network: "CallNetwork", card: ModelCard) -> pd.DataFrame:
    """Calls of all recordings, as :func:`batpam.detection.files.detect_files` finds them, by the variant's transform."""
    import torch

    from batpam.detection.detect import calls_of, windows
    from batpam.models.network import ready_to_predict
    from batpam.recordings.audio import AudioError, open_recording, probe

    network, settings, parts = ready_to_predict(network), card.scalogram, []
    there = annotations.recordings[annotations.recordings["exists"]]
    with Progress("detecting", len(there), "recordings") as progress:
        for number, row in enumerate(there.itertuples(), start=1):
            try:
                info = probe(Path(row.recording))
                rate = info.rate * float(row.time_expansion)
                hops = math.ceil(info.readable / rate / settings.hop)
                with open_recording(Path(row.recording), int(row.channel) + 1, info.readable) as recording:
                    stretch = (
                        (from_bytes(to_bytes(power_of(recording.read, rate, low, high, settings))), first, last, low)
                        for first, last, low, high in windows(0, hops, network.settings.reach)
                    )
                    calls = calls_of(
                        stretch, network, card, first_hop=0, rate=rate, min_score=MIN_SCORE, allowed=None,
                        device=torch.device("cpu"),
                    )  # fmt: skip
                    parts.append(calls.assign(recording=row.recording))
            except AudioError as error:
                print(f"{row.recording}: {error}; it takes no part", file=sys.stderr)
            progress.at(number)
    return pd.concat(parts or [pd.DataFrame()], ignore_index=True)


def real_metrics(model: Path, annotations: "Annotations", output: Path, title: str) -> dict[str, float]:
    """Hold a variant against annotated recordings; the page and the tables of the evaluation go into a folder."""
    from batpam.training.evaluation.evaluate import evaluate

    summary_file = output / "summary.json"  # written last but for the page
    if (output / "evaluation.html").exists():
        summary = json.loads(summary_file.read_text())
    else:
        network, card = load_model(model)
        calls = detect_recordings(annotations, network, card)
        summary = evaluate(annotations, calls, card.taxa, output, title=title, resamples=RESAMPLES)
    finding = summary["finding"]
    values = {
        "real recall at 92 %": finding["recall_at_precision"]["value"],
        "real average precision": finding["average_precision"]["value"],
        "real group right": summary["naming"]["group_right"]["value"],
    }
    return {name: math.nan if value is None else float(value) for name, value in values.items()}


# The whole


def digest(*of: Any) -> str:
    """Short name for what something was made with."""
    return hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:10]


@lru_cache(maxsize=8)
def source(*folders: str) -> str:
    """Digest of the code and tables in some folders of the package."""
    base = Path(batpam.__file__).parent
    paths = sorted(path for name in folders for path in (base / name).glob("*") if path.suffix in (".py", ".tsv"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:10]


def result(
    name: str, repeat: int, taxa: tuple[Taxon, ...], held_out: SceneSet, options: argparse.Namespace, pool: Pool
) -> Path:
    """Train and measure a variant, if that is not done: the model file, with the metrics in its card."""
    variant = VARIANTS[name]
    scenes = dataclasses.replace(
        held_out,
        scenes=dataclasses.replace(held_out.scenes, echoes=variant.echoes, insects=variant.insects),
        seed=(options.seed + repeat, 2),
        count=options.windows,
    )
    budget = {key: getattr(options, key) for key in ("windows", "held_out", "epochs", "batch", "rate", "width", "context_width", "seed")}  # fmt: skip
    own = [inspect.getsource(work) for work in (stft_power, stft_bands, fit, held_out_metrics, by_level, recall_at)]
    code = source("simulate", "scalograms", "models", "training"), own
    made_with = dataclasses.asdict(variant), dataclasses.asdict(held_out.scenes), held_out.duration, budget, taxa, code
    model = options.folder / f"{name}-{repeat + 1}-{digest(made_with)}.safetensors"
    if model.exists():
        return model
    print(f"{name}, repeat {repeat + 1} of {options.repeats}: {variant.about}", file=sys.stderr)
    simulate(held_out, pool)
    simulate(scenes, pool)
    took = time_transform(held_out, variant.scalogram)
    examples = transform(scenes, variant.scalogram, pool)
    began = time.monotonic()
    network = fit(variant, examples, taxa, options.seed + repeat, options)
    minutes = (time.monotonic() - began) / 60
    tested = transform(held_out, variant.scalogram, pool)
    calibration, metrics = held_out_metrics(network, tested, taxa, variant.scalogram)
    training = {"data": "benchmarks/ablation.py", "variant": name, **budget, "minutes": round(minutes, 1)}
    metrics["transform_ms"] = took
    write_model(
        network, ModelCard(name, taxa, variant.scalogram, network.settings, calibration, training, metrics), model
    )
    return model


def rows_of(options: argparse.Namespace, pool: Pool) -> Iterator[dict[str, Any]]:
    """One row per variant and repeat."""
    taxa = tuple(read_taxa(options.taxa))
    grid = GRID_HOPS * LONGEST_HOP
    duration = round(math.ceil(options.window / grid - 1e-9) * grid, 6)
    full = Scenes(tuple(taxon.code for taxon in taxa), encounters=tuple(taxon.encounters for taxon in taxa))
    held_out = SceneSet(
        options.folder / "scenes", full, (HELD_OUT_SEED, 1), options.held_out, duration, source("simulate", "training")
    )
    annotations, name_of_real = None, ""
    if options.annotations:
        from batpam.training.annotations.read import read_annotations

        annotations = read_annotations(options.annotations, taxa, recordings=options.recordings)
        if not annotations.recordings["exists"].any():
            raise SystemExit(f"{options.annotations}: none of its recordings is there; name their folder")
        name_of_real = digest(
            annotations.events.to_csv(), annotations.recordings.to_csv(), source("detection", "training/evaluation")
        )
    for repeat in range(options.repeats):
        for name in options.variants:
            model = result(name, repeat, taxa, held_out, options, pool)
            card = read_card(model)
            chosen = {
                "recall": "recall", "precision": "precision", "recall at 92 %": "recall_at_precision",
                "species right": "species_right", "group right": "group_right",
                **{f"{what} {level}": f"{what} {level}"
                   for what in ("recall", "species right", "group right") for level in SNR_BINS},
                "ms": "transform_ms",
            }  # fmt: skip
            row = {"variant": name, "repeat": repeat + 1}
            row |= {column: card.metrics.get(key, math.nan) for column, key in chosen.items()}
            if annotations is not None:
                evaluation = options.folder / f"{model.stem}-real-{name_of_real}"
                row |= real_metrics(model, annotations, evaluation, f"{name}, repeat {repeat + 1}")
            yield row | {"training min": card.training["minutes"], "windows tested": card.metrics["windows"], "calls tested": card.metrics["calls"]}  # fmt: skip


def markdown(rows: pd.DataFrame, columns: dict[str, str]) -> str:
    """Table of the variants: means over the repeats, and their spread where there are several."""
    lines = ["| variant | | " + " | ".join(columns.values()) + " |", "|---|---|" + "---|" * len(columns)]
    for name in dict.fromkeys(rows["variant"]):
        own = rows[rows["variant"] == name]
        cells = [cell(own[column].to_numpy(float), 1 if column == "ms" else 3) for column in columns]
        lines.append(f"| {name} | {VARIANTS[name].about} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values: np.ndarray, digits: int) -> str:
    """Mean and half the range."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "-"
    text = f"{values.mean():.{digits}f}"
    return text + (f" ± {np.ptp(values) / 2:.{digits}f}" if len(values) > 1 else "")


def print_tables(rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Print all tables as Markdown."""
    first = rows.iloc[0]
    print(
        f"{options.windows} windows, {options.epochs} epochs, {options.repeats} repeats; measured on "
        f"{first['windows tested']} held-out windows with {first['calls tested']} calls.\n{COLUMNS}"
    )
    if options.repeats > 1:
        print(SPREAD.format(repeats=options.repeats))
    overall = ("recall", "precision", "recall at 92 %", "species right", "group right", "ms")
    print("\n" + markdown(rows, {name: name for name in overall}) + "\n")
    levels = [f"{what} {level}" for what in ("recall", "species right", "group right") for level in SNR_BINS]
    print("The same by signal-to-noise ratio, dB\n\n" + markdown(rows, {name: name for name in levels}) + "\n")
    real = [name for name in rows if name.startswith("real ")]
    if real:
        print(f"{REAL_COLUMNS}\n\n" + markdown(rows, {name: name.removeprefix("real ") for name in real}) + "\n")


def main() -> None:
    """Train and measure, print the tables, write them as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="\n".join(f"{name}: {variant.about}" for name, variant in VARIANTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add: Callable[..., Any] = parser.add_argument
    add(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        metavar="NAME",
        help="which; all if not given",
    )
    add("--repeats", type=int, default=1, help="trainings of each variant, with other scenes and weights")
    add("--windows", type=int, default=1500, help="simulated windows to train on")
    add("--held-out", type=int, default=400, help="windows held out: half to calibrate, half to measure")
    add("--window", type=float, default=1.0, help="length of a window, s; rounded up to whole 16 ms")
    add("--epochs", type=int, default=5)
    add("--batch", type=int, default=16, help="windows per step")
    add("--rate", type=float, default=3e-3, help="highest learning rate")
    add("--width", type=int, default=8, help="size of the network: its channels are multiples of it")
    add("--context-width", type=int, default=96, help="channels of the network's context")
    add("--seed", type=int, default=1)
    add("--taxa", type=Path, default=Path(__file__).parents[1] / "config/taxa/europe.tsv", help="species to tell apart")
    add("--annotations", type=Path, help="annotated recordings to measure on as well: file or folder")
    add("--recordings", type=Path, help="their folder; beside the annotations if not given")
    add("--workers", type=int, default=2, help="processes that simulate, threads that train")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it trains")
    add("--folder", type=Path, default=Path("build/ablation"), help="where results and scenes (0.7 MB each) are kept")
    add("--csv", type=Path, help="table of all repeats; ablation.csv in the folder if not given")
    options = parser.parse_args()
    if options.held_out < 4 or options.windows < 1 or options.repeats < 1:
        parser.error("--held-out is 4 or more, --windows and --repeats 1 or more")
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "scenes").mkdir(exist_ok=True)
    csv = options.csv or options.folder / "ablation.csv"
    rows: list[dict[str, Any]] = []
    with get_context("spawn").Pool(options.workers) as pool:
        for row in rows_of(options, pool):
            rows.append(row)
            with written_whole(csv) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.5g")
    print_tables(pd.DataFrame(rows), options)


if __name__ == "__main__":
    main()
