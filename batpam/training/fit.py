"""Fitting the network with PyTorch Lightning."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from batpam import __version__
from batpam.errors import UserError
from batpam.models.decode import decode
from batpam.models.files import ModelCard, Taxon, write_model
from batpam.models.network import TIME_STRIDE, CallNetwork, NetworkSettings, Prediction
from batpam.progress import Progress
from batpam.scalograms.settings import ScalogramSettings
from batpam.simulate.calls import species_names
from batpam.training.dataset import CallDataset, Examples, simulate_examples, to_row
from batpam.training.examples import FAINT_SNR

SCORE = 0.5
"""Detection score at which the metrics of the card are taken."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is fitted.

    Attributes
    ----------
    examples
        Simulated windows to train on; a tenth as many more are held out.
    window
        Length of a window, s.
    epochs
        Times that every window is seen.
    batch
        Windows per step.
    rate
        Highest learning rate of the one-cycle schedule.
    width
        See :class:`batpam.models.network.NetworkSettings`.
    seed
        Of examples, weights and order.
    """

    examples: int = 20_000
    window: float = 0.4
    epochs: int = 6
    batch: int = 32
    rate: float = 4e-3
    width: int = 12
    seed: int = 1


def train(
    taxa: Sequence[Taxon],
    scalogram: ScalogramSettings,
    settings: TrainingSettings,
    output: Path,
    *,
    device: str = "auto",
    workers: int = 1,
) -> ModelCard:
    """Simulate examples, fit the network and write the model file and its card.

    Parameters
    ----------
    taxa
        The classes; their codes must be in the simulator's table of calls.
    output
        Path of the weights, ``*.safetensors``; the card goes beside it.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Processes that simulate, and threads that fit on the CPU.

    Raises
    ------
    UserError
        The simulator has no calls of a class.
    """
    began = time.monotonic()
    codes = [taxon.code for taxon in taxa]
    unknown = [code for code in codes if code not in species_names()]
    if unknown:
        raise UserError(f"taxa: the simulator has no calls of {unknown[0]!r}; it knows {', '.join(species_names())}")
    lightning.seed_everything(settings.seed, verbose=False)
    torch.set_num_threads(workers)
    held_out = max(settings.examples // 10, 1)
    with TemporaryDirectory(prefix="batpam-train-") as folder:
        with Progress("simulating", settings.examples + held_out, "windows") as progress:
            train_set, test_set = (
                simulate_examples(
                    count, codes, scalogram, settings.window, seed=seed, folder=Path(folder), workers=workers,
                    progress=lambda done, before=before: progress.at(before + done),  # type: ignore[misc]
                )
                for count, seed, before in (
                    (settings.examples, 2 * settings.seed, 0),
                    (held_out, 2 * settings.seed + 1, settings.examples),
                )
            )  # fmt: skip
        network = NetworkSettings(classes=len(taxa), voices=scalogram.voices, width=settings.width)
        data = CallDataset(train_set, codes, scalogram, augment_seed=settings.seed)
        loader = DataLoader(data, settings.batch, shuffle=True, drop_last=len(data) > settings.batch)
        module = CallModule(network, rate=settings.rate, steps=settings.epochs * len(loader))
        trainer = lightning.Trainer(
            max_epochs=settings.epochs,
            precision="bf16-mixed",
            accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device],
            devices=1,
            logger=CSVLogger(output.parent, name=f"{output.stem}-log", version=""),
            callbacks=[TQDMProgressBar(refresh_rate=50), NextEpoch(data)],
            enable_checkpointing=False,
            enable_model_summary=False,
            gradient_clip_val=2.0,
            log_every_n_steps=20,
        )
        trainer.fit(module, loader)
        metrics = measure(module.network.float().cpu(), test_set, codes, scalogram)
    card = ModelCard(
        name=output.stem,
        taxa=tuple(taxa),
        scalogram=scalogram,
        network=network,
        training={
            "data": "simulated calls and soundscapes only (batpam.simulate)",
            "batpam": __version__,
            **asdict(settings),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "device": str(trainer.strategy.root_device.type),
            "torch": torch.__version__,
        },
        metrics=metrics,
    )
    write_model(module.network, card, output)
    return card


class NextEpoch(Callback):
    """Tells the data set the epoch, so that augmentation differs from one to the next."""

    def __init__(self, data: CallDataset) -> None:
        self.data = data

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Pass the epoch on."""
        self.data.epoch = trainer.current_epoch


class CallModule(lightning.LightningModule):
    """The network with its loss and optimiser."""

    def __init__(self, settings: NetworkSettings, *, rate: float, steps: int) -> None:
        super().__init__()
        self.network = CallNetwork(settings)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.rate = rate
        self.steps = steps

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        losses = call_losses(self.network(batch["power"]), batch)
        total = losses["call"] + losses["species"] + 0.2 * losses["extent"]
        self.log_dict({**losses, "loss": total}, prog_bar=True)
        return total

    def configure_optimizers(self) -> Any:
        """AdamW on a one-cycle schedule."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=self.steps + 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def call_losses(prediction: Prediction, target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses of the three heads.

    The call map takes the penalty-reduced focal loss of CornerNet (Law & Deng 2018, eq. 1; alpha 2, beta 4), the
    species cross-entropy and the extents a smooth L1 on their square roots, both at call centres only.
    """
    heat, weight = target["heat"], target["weight"]
    p = torch.sigmoid(prediction.call.float()).clamp(1e-5, 1 - 1e-5)
    centre = heat > 0.99
    positive = -((1 - p) ** 2) * torch.log(p) * centre
    negative = -((1 - heat) ** 4) * p**2 * torch.log(1 - p) * ~centre
    centres = centre.sum().clamp(min=1)
    near = target["species"] >= 0
    call = ((positive + negative) * weight).sum() / centres
    if not near.any():
        nothing = prediction.species.sum() * 0 + prediction.extent.sum() * 0
        return {"call": call, "species": nothing, "extent": nothing}
    logits = prediction.species.float().permute(0, 2, 3, 1)[near]
    found = prediction.extent.float().permute(0, 2, 3, 1)[near]
    wanted = target["extent"].permute(0, 2, 3, 1)[near]
    return {
        "call": call,
        "species": functional.cross_entropy(logits, target["species"][near], label_smoothing=0.05),
        "extent": functional.smooth_l1_loss(torch.sqrt(found + 1e-3), torch.sqrt(wanted + 1e-3)),
    }


def measure(
    network: CallNetwork, examples: Examples, codes: Sequence[str], scalogram: ScalogramSettings
) -> dict[str, Any]:
    """Recall, precision and species accuracy on simulated examples, and recall by signal-to-noise ratio.

    A call is found when a detection of score 0.5 overlaps it in time and frequency; calls too faint to count are
    neither missed nor found.
    """
    network.eval()
    data = CallDataset(examples, codes, scalogram)
    frame = TIME_STRIDE * scalogram.hop
    wanted, found, right, detections, true = Counter[str](), Counter[str](), Counter[str](), 0, 0
    by_snr: dict[int, list[int]] = {}
    with torch.inference_mode():
        for i in range(len(data)):
            power = data[i]["power"]
            calls = decode(network(power.unsqueeze(0)), SCORE)[0]
            truth = examples.calls[i]
            hit = np.zeros(len(calls), bool)
            for code, heard in truth:
                low, high = to_row(heard.low, scalogram), to_row(heard.high, scalogram)
                near = (calls.start * frame < heard.end) & (calls.end * frame > heard.start)
                near &= (calls.low < high + 0.5) & (calls.high > low - 0.5)
                hit |= near
                if heard.snr < FAINT_SNR or not 0 < (heard.start + heard.end) / 2 < len(power) * scalogram.hop:
                    continue
                wanted[code] += 1
                bucket = by_snr.setdefault(int(min(heard.snr, 40) // 10 * 10), [0, 0])
                bucket[1] += 1
                if near.any():
                    bucket[0] += 1
                    found[code] += 1
                    best = np.flatnonzero(near)[calls.score[near].argmax()]
                    right[code] += codes[int(calls.species[best].argmax())] == code
            detections += len(calls)
            true += int(hit.sum())
    return {
        "windows": len(data),
        "calls": wanted.total(),
        "recall": round(found.total() / max(wanted.total(), 1), 4),
        "precision": round(true / max(detections, 1), 4),
        "species_right": round(right.total() / max(found.total(), 1), 4),
        "recall_by_snr_db": {str(k): round(v[0] / v[1], 4) for k, v in sorted(by_snr.items())},
        "species_right_by_code": {code: round(right[code] / found[code], 3) for code in codes if found[code]},
    }


def describe(card: ModelCard) -> str:
    """Return the card's metrics as one line of JSON, for a log."""
    return json.dumps({key: card.metrics[key] for key in ("recall", "precision", "species_right")})
