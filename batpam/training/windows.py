"""The windows of a training: simulated ones, own ones, and what of them is held out."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from batpam import STAGE_VERSIONS, __version__
from batpam.errors import UserError
from batpam.models.files import Taxon
from batpam.parallel import is_first
from batpam.progress import Progress
from batpam.scalograms.settings import ScalogramSettings
from batpam.simulate.calls import species_names
from batpam.simulate.soundscapes import FOLDED_SNR
from batpam.training.dataset import Examples, simulate_examples
from batpam.training.examples import Scenes
from batpam.training.own import hard_negatives, join, noise_files, own_examples, read_own
from batpam.training.settings import TrainingSettings

NOISES_ASIDE = 5
"""Of as many recordings of noise, one lies under held-out windows alone."""


FEWEST = 10
"""Windows of a taxon below which it is not drawn more often for being rare."""


@dataclass(frozen=True)
class Windows:
    """What a network is fitted on and held against.

    Attributes
    ----------
    train, weights
        Windows to learn, and how often each is drawn re a simulated one.
    checked
        Held out: they say when to stop and what scores are worth.
    tested
        Held out: they say how good the model is.
    """

    train: Examples
    weights: list[float]
    checked: Examples
    tested: Examples
    recordings: list[Path]


def gather_windows(
    taxa: Sequence[Taxon], scalogram: ScalogramSettings, settings: TrainingSettings, folder: Path, *, workers: int
) -> Windows:
    """Simulate windows and cut own ones out of recordings; what can be kept is kept in ``folder``.

    Raises
    ------
    UserError
        There are no calls of a species, or labels or recordings cannot be read.
    """
    known = species_names()
    unknown = [taxon.code for taxon in taxa if taxon.code not in known]
    if unknown and (not settings.own or len(unknown) == len(taxa)):
        raise UserError(f"taxa: the simulator has no calls of {unknown[0]!r}; it knows {', '.join(known)}")
    noises = noise_files(settings.noises)
    codes, encounters = zip(*((taxon.code, taxon.encounters) for taxon in taxa), strict=True)
    scenes = Scenes(codes, settings.echoes, settings.insects, tuple(noises), encounters)
    labelled = read_own(settings.own, taxa)
    noises_aside = noises[::NOISES_ASIDE] if len(noises) > 1 else noises  # one alone has to do for both
    noises_learnt = [path for path in noises if path not in noises_aside] or noises
    simulated, held_out = _simulate(scenes, noises_learnt, noises_aside, scalogram, settings, folder, workers)
    mined = hard_negatives(noises_learnt, scalogram, settings, workers)
    parts, weights = [simulated, mined], [1.0] * (len(simulated) + len(mined))
    checked, tested = [held_out.every(2, 0)], [held_out.every(2, 1)]
    for number, (own, annotations) in enumerate(zip(settings.own, labelled, strict=True), start=1):
        kept = folder / f"held-out-{number}.csv"
        mine, *aside = own_examples(annotations, own.annotations, taxa, scalogram, settings, kept, workers)
        parts.append(mine)
        weights += (own.weight * len(simulated) * balanced(mine.events)).tolist()
        checked.append(aside[0])
        tested.append(aside[1])
    train = join(parts)
    learnt = {int(node) for events in train.events for node in np.unique(events["node"][events["snr"] > FOLDED_SNR])}
    never = [taxon.code for number, taxon in enumerate(taxa) if taxon.code in unknown and number not in learnt]
    if never:
        raise UserError(
            f"taxa: neither the simulator nor what is learnt of the own data has calls of {never[0]!r}; leave it out, or "
            "add recordings (a fifth of them is held out)"
        )
    recordings = [Path(name) for read in labelled for name in read.recordings.query("exists")["recording"]]
    return Windows(train, weights, join(checked), join(tested), recordings)


def balanced(events: Sequence[np.ndarray]) -> np.ndarray:
    """How often to draw labelled windows, shape (windows,), 1 in all: by the root of how rare the rarest taxon in each is.

    So a species with a hundredth of the windows of another has a tenth of its draws: it is learnt, and is still the rarer one.
    One of less than :data:`FEWEST` windows counts as one of so many, lest a single label be learnt by heart.
    """
    taxa = [np.unique(here["node"][here["snr"] > FOLDED_SNR]) for here in events]
    windows_of = np.bincount(np.concatenate(taxa)) if taxa else np.zeros(0)
    fewest = np.array([windows_of[found].min() if len(found) else len(events) for found in taxa])
    rarity = 1 / np.sqrt(np.maximum(fewest, FEWEST))
    return rarity / rarity.sum()


def _simulate(
    scenes: Scenes,
    noises_learnt: Sequence[Path],
    noises_aside: Sequence[Path],
    scalogram: ScalogramSettings,
    settings: TrainingSettings,
    folder: Path,
    workers: int,
) -> tuple[Examples, Examples]:
    """Windows to fit on and to hold out, each over its own noises."""
    held_out = max(settings.windows // 10, 2)
    of = str(scenes), state_of(scenes.noises), asdict(scalogram), settings.window, settings.seed
    into = folder / f"windows-{digest(*of)}"
    if not is_first():  # the first has made them
        workers = 1
    with Progress("simulating", settings.windows + held_out, "windows") as progress:
        made = [
            simulate_examples(
                count, replace(scenes, noises=tuple(noises)), scalogram, settings.window, seed=seed, folder=into,
                workers=workers, progress=lambda done, before=before: progress.at(before + done),  # type: ignore[misc]
            )
            for count, noises, seed, before in (
                (settings.windows, noises_learnt, 2 * settings.seed, 0),
                (held_out, noises_aside, 2 * settings.seed + 1, settings.windows),
            )
        ]  # fmt: skip
    return made[0], made[1]


def state_of(paths: Iterable[Path]) -> list[Any]:
    """What changes when files, or those in folders at any depth, do: their names, sizes and times."""
    within = [p for path in paths for p in ([path] if path.is_file() else sorted(path.rglob("*"))) if p.is_file()]
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in within]


def digest(*of: Any) -> str:
    """Ten digits that change with what a part of a training is made of, and with the code that makes it."""
    made = [*of, __version__, STAGE_VERSIONS["simulate"], STAGE_VERSIONS["train"]]
    return hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()[:10]
