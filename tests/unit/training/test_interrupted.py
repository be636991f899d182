"""Trainings that are stopped, moved, killed in parts or started wrongly."""

import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from batpam.errors import UserError
from batpam.models.files import Taxon, load_model
from batpam.scalograms.settings import ScalogramSettings
from batpam.simulate.soundscapes import Recorder, self_noise
from batpam.training import fit
from batpam.training.dataset import simulate_examples
from batpam.training.examples import Scenes
from batpam.training.fit import Kept, NextEpoch, averaged, train
from batpam.training.own import noise_files
from batpam.training.settings import TrainingSettings

TAXA = (
    Taxon("Ppip", "Ppip", "", "Pipistrellus", "Vespertilionidae"),
    Taxon("Rhip", "Rhip", "", "Rhinolophus", "Rhinolophidae"),
)


def settings(**others: object) -> TrainingSettings:
    told = {
        "taxa": "", "windows": 24, "window": 0.4, "epochs": 4, "batch": 4, "width": 2, "context_width": 8, "patience": 4,
        "device": "cpu", "scalogram": {"voices": 48},
    }  # fmt: skip
    return TrainingSettings.model_validate(told | others)


def with_labels(folder: Path) -> dict[str, object]:
    """Own data whose windows are drawn by weight."""
    rows = ["file,start_s,end_s,label,exhaustive"]
    for i in range(8):
        noise = self_noise(128_000, Recorder(sample_rate=256_000), np.random.default_rng(i))
        soundfile.write(folder / f"r{i}.wav", noise, 256_000)
        rows.append(f"r{i}.wav,0.2,0.21,Ppip,yes")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return {"own": [{"annotations": str(folder / "labels.csv")}]}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_a_training_that_was_stopped_and_moved_ends_as_if_it_had_not(tmp_path, monkeypatch, weighted):
    told = settings(**(with_labels(tmp_path) if weighted else {}))
    straight, stopped = tmp_path / "straight" / "m.safetensors", tmp_path / "stopped" / "m.safetensors"
    train(TAXA, told, straight)
    begin = NextEpoch.on_train_epoch_start

    def stop_in_the_third(callback, trainer, module):
        begin(callback, trainer, module)
        if trainer.current_epoch == 2:
            raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(NextEpoch, "on_train_epoch_start", stop_in_the_third)
        train(TAXA, told, stopped)
    moved = stopped.parent.rename(tmp_path / "moved") / stopped.name
    torch.rand(7)  # the process that goes on is another one
    assert train(TAXA, told, moved).training["epochs_run"] == 4
    assert moved.read_bytes() == straight.read_bytes()
    ends = [torch.load(next(m.parent.glob("m-training/run-*/last.ckpt")), weights_only=True) for m in (straight, moved)]
    assert all(torch.equal(value, ends[1]["state_dict"][name]) for name, value in ends[0]["state_dict"].items())


def test_half_of_the_mean_of_the_weights_is_of_the_last_fifth_of_the_steps():
    mean = torch.zeros(2000)
    for step in range(2000):
        weights = torch.zeros(2000)
        weights[step] = 1.0
        mean = weights if step == 0 else averaged(mean, weights, torch.tensor(step))
    share = mean.numpy()
    assert share.sum() == pytest.approx(1, abs=1e-4) and (np.diff(share) > 0).all()
    assert share[1600:].sum() == pytest.approx(1 - 0.8**3, abs=0.002)


def test_counts_and_masks_have_no_mean():
    for now in (torch.tensor(7), torch.tensor([True, False])):
        assert averaged(torch.zeros_like(now), now, torch.tensor(5)) is now


def test_the_weights_that_are_kept_are_the_mean(tmp_path):
    train(TAXA, settings(epochs=2), tmp_path / "m.safetensors")
    last = torch.load(next(tmp_path.glob("m-training/run-*/last.ckpt")), weights_only=True)
    mean, fitted = last["state_dict"], last["current_model_state"]
    assert last["averaging_state"]["n_averaged"] == 2 * 24 // 4
    assert not torch.equal(mean["network.heads.weight"], fitted["network.heads.weight"])
    best = torch.load(next(tmp_path.glob("m-training/run-*/best.ckpt")), weights_only=True)["state_dict"]
    kept, _ = load_model(tmp_path / "m.safetensors")
    assert torch.equal(kept.state_dict()["heads.weight"], best["network.heads.weight"])


def test_the_best_checkpoint_is_known_where_its_folder_has_moved(tmp_path):
    was = Kept(tmp_path / "was", filename="best", monitor="held_out_loss")
    was.best_model_path = was.kth_best_model_path = str(tmp_path / "was" / "best.ckpt")
    was.best_model_score = was.kth_value = torch.tensor(0.5)
    was.best_k_models = {was.best_model_path: was.best_model_score}
    now = Kept(tmp_path / "now", filename="best", monitor="held_out_loss")
    now.load_state_dict(was.state_dict())
    assert now.best_model_score == now.kth_value == 0.5
    assert (
        set(now.best_k_models)
        == {now.best_model_path}
        == {now.kth_best_model_path}
        == {str(tmp_path / "now" / "best.ckpt")}
    )


@pytest.mark.slow
def test_a_simulation_whose_worker_is_killed_ends_and_goes_on(tmp_path):
    def make(count: int) -> int:
        return len(
            simulate_examples(count, Scenes(("Ppip",)), ScalogramSettings(voices=48), 0.4, seed=1, folder=tmp_path)
        )

    def kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(UserError, match="ended from outside"):
        make(400)
    killer.join()
    assert make(2) == 2


def test_recordings_of_noise_that_break_off_are_named_and_left_out(tmp_path, capsys):
    noise = self_noise(256_000, Recorder(sample_rate=256_000), np.random.default_rng(0))
    for name in ("whole.flac", "broken.flac"):
        soundfile.write(tmp_path / name, noise, 256_000)
    content = (tmp_path / "broken.flac").read_bytes()
    (tmp_path / "broken.flac").write_bytes(content[: len(content) // 2])
    assert noise_files([str(tmp_path)]) == [tmp_path / "whole.flac"]
    assert f"noises: {tmp_path / 'broken.flac'}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "told", "message"),
    [
        ({"SLURM_STEP_NUM_TASKS": "2"}, {}, "was started several times at once"),
        ({"TORCHELASTIC_RUN_ID": "none"}, {}, "was started several times at once"),
        ({}, {"start": "nowhere.safetensors"}, "there is no card nowhere.json"),
        ({}, {"start": "shipped"}, "europe.safetensors was trained on another transform"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_simulated(tmp_path, monkeypatch, environment, told, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        train(TAXA, settings(**told), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_more_gpus_than_there_are_is_said_before_anything_is_simulated(tmp_path, monkeypatch):
    monkeypatch.setattr(fit.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(fit.torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="devices: 4 GPUs were asked for, 2 are there"):
        train(TAXA, settings(device="auto", devices=4), tmp_path / "m.safetensors")
