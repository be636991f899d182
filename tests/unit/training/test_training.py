import numpy as np
import pytest
import torch

from batpam.errors import UserError
from batpam.models.decode import decode
from batpam.models.files import Taxon, load_model
from batpam.models.network import Prediction
from batpam.scalograms.settings import ScalogramSettings
from batpam.training.dataset import CallDataset, simulate_examples
from batpam.training.examples import FAINT_SNR, simulate_example
from batpam.training.fit import TrainingSettings, call_losses, train

TRANSFORM = ScalogramSettings(voices=48)
CODES = ("Ppip", "Rhip", "Nnoc")
TAXA = tuple(Taxon(code, code, code, code) for code in CODES)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return simulate_examples(12, CODES, TRANSFORM, 0.3, seed=3, folder=tmp_path_factory.mktemp("examples"), workers=2)


def test_examples_depend_on_the_seed_alone(examples, tmp_path):
    again = simulate_examples(12, CODES, TRANSFORM, 0.3, seed=3, folder=tmp_path, workers=1)
    np.testing.assert_array_equal(examples.power, again.power)
    assert examples.calls == again.calls


def test_loud_calls_of_an_example_stand_out_where_they_are():
    frequencies = TRANSFORM.frequencies()
    seen = 0
    for i in range(40):
        power, calls = simulate_example(("Ppip",), TRANSFORM, 0.3, np.random.default_rng([9, i]))
        for _, heard in calls:
            if heard.snr < 35 or not 0.01 < heard.start < 0.28:
                continue
            box = power[int(heard.start / 0.0005) : int(heard.end / 0.0005) + 1]
            band = (frequencies > 0.95 * heard.low) & (frequencies < 1.05 * heard.high)
            assert box[:, band].max() > np.median(power[:, band]) + 12
            seen += 1
    assert seen > 5


def test_a_network_that_repeats_the_targets_finds_the_calls(examples):
    data = CallDataset(examples, CODES, TRANSFORM)
    total = again = 0
    for i in range(len(data)):
        item = data[i]
        species = torch.nn.functional.one_hot(item["species"].clamp(min=0), len(CODES)).permute(2, 0, 1) * 9.0
        call = torch.logit(item["heat"].clamp(1e-4, 1 - 1e-4))
        calls = decode(Prediction(call[None], species[None], item["extent"][None]), 0.9)[0]
        wanted = [c for c in examples.calls[i] if c[1].snr >= FAINT_SNR and 0.005 < (c[1].start + c[1].end) / 2 < 0.295]
        for code, heard in wanted:
            near = (abs(calls.start * 0.001 - heard.start) < 0.002) & (abs(calls.end * 0.001 - heard.end) < 0.002)
            near &= calls.species.argmax(axis=1) == CODES.index(code)
            total += 1
            again += near.any()
    assert total > 20
    assert again >= 0.95 * total  # calls of two bats in one cell become one


def test_loss_is_least_for_the_targets_and_ignores_what_has_no_weight(examples):
    item = {name: value[None] for name, value in CallDataset(examples, CODES, TRANSFORM)[0].items()}
    right = torch.logit(item["heat"].clamp(1e-4, 1 - 1e-4))
    species = torch.zeros(1, len(CODES), *right.shape[1:])
    at_targets = call_losses(Prediction(right, species, item["extent"]), item)
    off = call_losses(Prediction(-right, species, item["extent"] + 3), item)
    assert at_targets["call"] < off["call"] and at_targets["extent"] < off["extent"]
    item["weight"].zero_()
    assert call_losses(Prediction(-right, species, item["extent"]), item)["call"] == 0


def test_augmentation_differs_between_epochs_and_repeats_within_one(examples):
    data = CallDataset(examples, CODES, TRANSFORM, augment_seed=1)
    first = data[0]["power"]
    assert torch.equal(first, data[0]["power"])
    data.epoch = 1
    assert not torch.equal(first, data[0]["power"])


def test_species_that_the_simulator_does_not_know_is_named(tmp_path):
    with pytest.raises(UserError, match="Xxxx"):
        train((Taxon("Xxxx", "a", "b", "c"),), TRANSFORM, TrainingSettings(), tmp_path / "m.safetensors")


@pytest.mark.slow
def test_training_learns_and_writes_a_model(tmp_path):
    settings = TrainingSettings(examples=160, window=0.3, epochs=6, batch=16, width=8, rate=6e-3, seed=2)
    card = train(TAXA, TRANSFORM, settings, tmp_path / "m.safetensors", device="cpu", workers=2)
    network, read = load_model(tmp_path / "m.safetensors")
    assert read == card and [taxon.code for taxon in read.taxa] == list(CODES)
    losses = np.genfromtxt(tmp_path / "m-log" / "metrics.csv", delimiter=",", names=True)["loss"]
    assert losses[-1] < 0.6 * losses[0]
    # three species that an octave divides: what it finds it must name
    found = [simulate_example(CODES[:1], TRANSFORM, 0.3, np.random.default_rng([77, i])) for i in range(30)]
    named = []
    with torch.inference_mode():
        for power, calls in found:
            if calls:
                decoded = decode(network(torch.from_numpy(power)[None]), 0.2)[0]
                named += decoded.species.argmax(axis=1).tolist()
    assert len(named) > 5 and np.mean(np.array(named) == 0) > 0.7
