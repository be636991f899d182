"""Fitting the network with PyTorch Lightning."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, WeightedRandomSampler

from batpam import __version__
from batpam.detection.detect import pick_device
from batpam.errors import UserError
from batpam.files import written_whole
from batpam.models.files import ModelCard, Taxon, load_model, write_model
from batpam.models.network import CallNetwork, Prediction, extents
from batpam.models.settings import NetworkSettings
from batpam.models.taxonomy import membership
from batpam.scalograms.settings import ScalogramSettings
from batpam.tables import NO_BAT
from batpam.training.dataset import CallDataset
from batpam.training.measure import calibrate, measure
from batpam.training.own import start_model
from batpam.training.settings import TrainingSettings
from batpam.training.windows import Windows, digest, gather_windows, state_of

NO_BAT_WEIGHT = 0.2
"""Weight of a pulse of an insect or of noise in the loss of the classes, re a call."""


def train(taxa: Sequence[Taxon], settings: TrainingSettings, output: Path, *, workers: int = 1) -> ModelCard:
    """Simulate windows, fit the network and write the model file and its card.

    What is made on the way (windows, checkpoints, logs) lies in the folder ``NAME-training`` beside the model. Run again
    after it was stopped, it goes on from there; other settings begin anew.

    Parameters
    ----------
    taxa
        The species; their codes must be in the simulator's table of calls, unless there are own data of them.
    output
        Path of the weights, ``*.safetensors``; the card goes beside it.
    workers
        Processes that simulate, and threads that fit on the CPU.

    Raises
    ------
    UserError
        There are no calls of a species, labels or recordings cannot be read, the model to start from is none or is of
        another transform, or there are fewer GPUs than asked for.
    """
    began = time.monotonic()
    _check_machine(settings)
    scalogram = ScalogramSettings(**settings.scalogram.model_dump(exclude={"device"}))
    if settings.start:
        _read_start(settings)
    folder = output.parent / f"{output.stem}-training"
    lightning.seed_everything(settings.seed, verbose=False)
    torch.set_num_threads(workers)
    windows = gather_windows(taxa, scalogram, settings, folder, workers=workers)
    network, trainer = _fit(taxa, scalogram, settings, windows, folder)
    calibration = calibrate(network, windows.checked, len(taxa), scalogram)
    card = ModelCard(
        name=output.stem,
        taxa=tuple(taxa),
        scalogram=scalogram,
        network=network.settings,
        calibration=calibration,
        training={
            "data": "simulated calls and soundscapes (batpam.simulate)"
            + (", noise of own recordings" if settings.noises else "")
            + (", labelled own recordings" if settings.own else ""),
            "batpam": __version__,
            **settings.model_dump(exclude={"scalogram", "width", "context_width"}),
            "epochs_run": trainer.current_epoch,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "device": str(trainer.strategy.root_device.type),
            "torch": torch.__version__,
        },
        metrics=measure(network, windows.tested, taxa, scalogram, calibration),
    )
    if trainer.is_global_zero:
        write_model(network, card, output)
        print(f"{output}: written; {folder} may be deleted", file=sys.stderr)
    return card


def _check_machine(settings: TrainingSettings) -> None:
    """Look whether the devices are there and this is the process that starts the others."""
    gpus = torch.cuda.device_count() if pick_device(settings.device).type == "cuda" else None
    if gpus is not None and settings.devices > gpus:
        raise UserError(f"devices: {settings.devices} GPUs were asked for, {gpus} are there")
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        raise UserError(
            "batpam train was started several times at once (srun, torchrun); start it once, it starts a process for each "
            "of its `devices` itself"
        )


def _read_start(settings: TrainingSettings) -> tuple[CallNetwork, ModelCard]:
    """The model to start from."""
    path = start_model(settings)
    network, card = load_model(path)
    if asdict(card.scalogram) != settings.scalogram.model_dump(exclude={"device"}):
        raise UserError(f"start: {path.name} was trained on another transform; take its settings for `scalogram`")
    return network, card


def _fit(
    taxa: Sequence[Taxon], scalogram: ScalogramSettings, settings: TrainingSettings, windows: Windows, folder: Path
) -> tuple[CallNetwork, lightning.Trainer]:
    """Fit a network, or go on with it, and return it as it was at its best."""
    data = CallDataset(windows.train, len(taxa), scalogram, augment_seed=settings.seed)
    order: dict[str, Any] = {"shuffle": True}
    drawn, generator = len(data), torch.Generator().manual_seed(settings.seed)
    if len(set(windows.weights)) > 1:
        drawn = settings.windows
        order = {"sampler": WeightedRandomSampler(windows.weights, settings.windows, generator=generator)}
    loader = DataLoader(data, settings.batch, drop_last=drawn >= settings.batch * settings.devices, **order)
    checks = DataLoader(CallDataset(windows.checked, len(taxa), scalogram), settings.batch)
    steps = settings.epochs * -(-len(loader) // settings.devices)
    module = CallModule(_network(taxa, settings), taxa, rate=settings.rate, steps=steps)
    of = settings.model_dump(), [asdict(t) for t in taxa], _state_of(settings, windows.recordings)
    run = folder / f"run-{digest(*of)}"
    trainer = lightning.Trainer(
        max_epochs=settings.epochs,
        precision="bf16-mixed" if has_bfloat16(settings.device) else "32-true",
        accelerator="gpu" if pick_device(settings.device).type == "cuda" else "cpu",
        devices=settings.devices,
        # the others read own recordings while the first waits
        strategy=DDPStrategy(timeout=timedelta(days=1)) if settings.devices > 1 else "auto",
        logger=[CSVLogger(run, name="log", version=""), TensorBoardLogger(run, name="tensorboard", version="")],
        callbacks=[
            TQDMProgressBar(refresh_rate=50), NextEpoch(data, generator), WeightAveraging(avg_fn=averaged),
            Kept(run, filename="best", monitor="held_out_loss", enable_version_counter=False),
            Kept(run, filename="last", enable_version_counter=False),
            StopsEarly("held_out_loss", patience=settings.patience),
        ],
        # within a job of Slurm too, the processes for further GPUs are started here
        plugins=[WholeCheckpoints(), LightningEnvironment()],
        enable_model_summary=False,
        gradient_clip_val=2.0,
        log_every_n_steps=20,
        num_sanity_val_steps=0,
    )  # fmt: skip
    last = run / "last.ckpt"  # after a kill
    trainer.fit(module, loader, checks, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    module.load_state_dict(torch.load(run / "best.ckpt", weights_only=True, map_location="cpu")["state_dict"])
    return module.network.float().cpu().eval(), trainer


def has_bfloat16(device: str) -> bool:
    """Whether products of matrices in bfloat16 are faster: on GPUs, and on CPUs that have instructions for them."""
    can = torch.cpu.get_capabilities()
    return (device != "cpu" and torch.cuda.is_available()) or bool(can.get("amx_bf16") or can.get("avx512_bf16"))


def _network(taxa: Sequence[Taxon], settings: TrainingSettings) -> CallNetwork:
    """A new network, or that of a model with the weights of the species that both know."""
    size = NetworkSettings(
        classes=len(taxa) + len(NO_BAT),
        voices=settings.scalogram.voices,
        width=settings.width,
        context_width=settings.context_width,
    )
    if not settings.start:
        return CallNetwork(size)
    old, card = _read_start(settings)
    size = NetworkSettings(**{**asdict(card.network), "classes": size.classes})
    network = CallNetwork(size)
    state, heads = old.state_dict(), network.state_dict()
    mine = [taxon.code for taxon in card.taxa]
    rows = [0]
    for taxon in taxa:
        same = [i for i, other in enumerate(card.taxa) if other.code == taxon.code]
        # a new species begins as one of its group, and is told from it by what is learnt
        near = same or [i for i, other in enumerate(card.taxa) if other.group == taxon.group] or [0]
        rows.append(1 + near[0])
    rows += list(range(1 + len(mine), len(state["heads.bias"])))
    for name in ("heads.weight", "heads.bias"):
        state[name] = state[name][rows]
    heads.update(state)
    network.load_state_dict(heads)
    return network


def _state_of(settings: TrainingSettings, recordings: Sequence[Path]) -> list[Any]:
    """What changes when own data or the model to start from do."""
    named = [own.annotations for own in settings.own] + settings.noises
    return state_of([*map(Path, named), *recordings, *([start_model(settings)] if settings.start else [])])


def averaged(mean: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
    """Mean of the weights of all steps, of which later ones count more, by the square of their number.

    The polynomial-decay averaging of Shamir & Zhang 2013 (arXiv 1212.1824), with eta = 2: half of it is of the last fifth
    of the steps so far, however many these are.

    Parameters
    ----------
    mean, weights
        The mean so far and what is added to it; counts and masks are taken as they are.
    steps
        How many steps the mean is of.
    """
    if not mean.is_floating_point():
        return weights
    return mean + (weights - mean) * 3 / (steps + 3)


class StopsEarly(EarlyStopping):
    """Stopping that is not forgotten when a training that ended by it is run again."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop before another epoch."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class Kept(ModelCheckpoint):
    """A checkpoint that is still known when its folder has moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Look for it in the folder of now."""
        was, now = state_dict["dirpath"], str(self.dirpath)
        moved = {name: value.replace(was, now, 1) for name, value in state_dict.items() if isinstance(value, str)}
        models = {path.replace(was, now, 1): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": models})


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are there as a whole or not at all, wherever a training is killed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside the place, then move."""
        with written_whole(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class NextEpoch(Callback):
    """Makes epochs differ, and those after a kill the ones that would have been.

    Tells the data set the epoch, for augmentation, and keeps the state of what the order of windows is drawn from.
    """

    def __init__(self, data: CallDataset, generator: torch.Generator) -> None:
        self.data, self.generator = data, generator

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Pass the epoch on."""
        self.data.epoch = trainer.current_epoch

    def state_dict(self) -> dict[str, Any]:
        """Keep what comes next."""
        return {"shuffle": torch.get_rng_state(), "weighted": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        torch.set_rng_state(state_dict["shuffle"])
        self.generator.set_state(state_dict["weighted"])


class CallModule(lightning.LightningModule):
    """The network with its loss and optimiser."""

    def __init__(self, network: CallNetwork, taxa: Sequence[Taxon], *, rate: float, steps: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.register_buffer("below", torch.from_numpy(membership(taxa)), persistent=False)
        self.rate = rate
        self.steps = steps

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        losses = call_losses(self.network(batch["power"]), batch, self.below)  # type: ignore[arg-type]
        self.log_dict(losses, prog_bar=True)
        return losses["loss"]

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """Loss of one batch that is held out."""
        losses = call_losses(self.network(batch["power"]), batch, self.below)  # type: ignore[arg-type]
        named = {f"held_out_{name}": value for name, value in losses.items()}
        self.log_dict(named, prog_bar=True, sync_dist=True, batch_size=len(batch["power"]))

    def configure_optimizers(self) -> Any:
        """AdamW on a one-cycle schedule."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=self.steps + 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def call_losses(prediction: Prediction, target: dict[str, Tensor], below: Tensor) -> dict[str, Tensor]:
    """Losses of the heads, and their sum as ``loss``.

    The call map takes the penalty-reduced focal loss of CornerNet (Law & Deng 2018, eq. 1; alpha 2, beta 4). The classes
    take the negative log of the probability of the labelled node, which is the sum over the classes below it: a call
    known to be a *Myotis* teaches that, and not which. Extents take a smooth L1 on their square roots. All but the
    first are learnt round the centres of events only, of every event as much, however many cells it has.

    Parameters
    ----------
    below
        Which class lies below which node, bool of shape (nodes, classes).
    """
    heat, weight = target["heat"], target["weight"]
    p = torch.sigmoid(prediction.call.float()).clamp(1e-5, 1 - 1e-5)
    centre = heat == 1
    positive = -((1 - p) ** 2) * torch.log(p) * centre
    negative = -((1 - heat) ** 4) * p**2 * torch.log(1 - p) * ~centre
    losses = {"call": ((positive + negative) * weight).sum() / centre.sum().clamp(min=1)}
    known = target["node"] >= 0
    node, share = target["node"][known], target["share"][known]
    logits = prediction.classes.float().permute(0, 2, 3, 1)[known]
    surprise = logits.logsumexp(1) - logits.masked_fill(~below[node], -torch.inf).logsumexp(1)
    is_bat = ~below[node, -len(NO_BAT) :].any(1)
    losses["classes"] = _mean(surprise, share * torch.where(is_bat, 1.0, NO_BAT_WEIGHT))
    typed = target["call_type"] >= 0
    kinds = prediction.call_type.float().permute(0, 2, 3, 1)[typed]
    surprise = functional.cross_entropy(kinds, target["call_type"][typed], reduction="none")
    losses["call_type"] = _mean(surprise, target["share"][typed])
    found = extents(prediction.extent).permute(0, 2, 3, 1)[known][is_bat]
    wanted = target["extent"].permute(0, 2, 3, 1)[known][is_bat]
    apart = functional.smooth_l1_loss(torch.sqrt(found + 1e-3), torch.sqrt(wanted + 1e-3), reduction="none")
    losses["extent"] = _mean(apart.mean(1), share[is_bat])
    losses["loss"] = losses["call"] + losses["classes"] + 0.3 * losses["call_type"] + 0.2 * losses["extent"]
    return losses


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean, 0 of nothing."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def describe(card: ModelCard) -> str:
    """Return the card's metrics as one line of JSON, for a log."""
    return json.dumps({key: card.metrics[key] for key in ("recall", "precision", "species_right")})
