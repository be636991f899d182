import numpy as np
import pytest
import torch

from batpam.models.decode import decode
from batpam.models.files import load_model, shipped_model
from batpam.models.network import CallNetwork, NetworkSettings, Prediction, moving_mean, ready_to_predict

SMALL = NetworkSettings(classes=3, voices=32, width=4, context_layers=2)


def test_shapes():
    prediction = CallNetwork(SMALL)(torch.full((2, 100, 32), -90.0))
    assert prediction.call.shape == (2, 4, 50)
    assert prediction.species.shape == (2, 3, 4, 50)
    assert prediction.extent.shape == (2, 4, 4, 50)
    assert (prediction.extent >= 0).all()


def test_nothing_beyond_its_reach_changes_a_prediction():
    torch.manual_seed(0)
    network = CallNetwork(SMALL).eval()
    power = torch.randn(1, 1200, 32) * 10 - 80
    other = power.clone()
    centre, reach = 600, SMALL.reach
    other[:, : centre - reach] = -20.0
    other[:, centre + reach :] = -120.0
    frame = centre // 2
    with torch.inference_mode():
        torch.testing.assert_close(network(power).call[..., frame], network(other).call[..., frame])
        assert not torch.equal(
            network(power).call[..., frame - reach // 2 - 5], network(other).call[..., frame - reach // 2 - 5]
        )


def prediction_with(calls, rows=12, frames=100, classes=3):
    """A prediction with a peak per (row, frame, score, species, extents)."""
    call = torch.full((1, rows, frames), -9.0)
    species = torch.zeros(1, classes, rows, frames)
    extent = torch.zeros(1, 4, rows, frames)
    for row, frame, score, kind, reach in calls:
        call[0, row, frame] = float(np.log(score / (1 - score)))
        species[0, kind, row, frame] = 5.0
        extent[0, :, row, frame] = torch.tensor(reach)
    return Prediction(call, species, extent)


def test_two_bats_at_once_are_two_calls():
    prediction = prediction_with([(2, 50, 0.9, 0, (3.0, 3.0, 0.5, 0.5)), (8, 51, 0.8, 1, (3.0, 3.0, 0.5, 0.5))])
    calls = decode(prediction, 0.3)[0]
    assert calls.species.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(calls.species.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(calls.start, [47.5, 48.5])
    np.testing.assert_allclose(calls.end, [53.5, 54.5])


def test_two_peaks_of_one_call_are_one():
    prediction = prediction_with([(4, 50, 0.9, 0, (4.0, 4.0, 2.0, 4.0)), (7, 49, 0.6, 1, (4.0, 4.0, 5.0, 1.0))])
    calls = decode(prediction, 0.3)[0]
    assert len(calls) == 1
    np.testing.assert_allclose(calls.score, 0.9, rtol=1e-5)


def test_score_below_the_minimum_is_dropped():
    assert len(decode(prediction_with([(4, 50, 0.2, 0, (1.0, 1.0, 1.0, 1.0))]), 0.3)[0]) == 0


@pytest.mark.parametrize("length", [1, 5, 129])
@pytest.mark.parametrize("size", [3, 64, 400])
def test_moving_mean_is_the_mean_of_what_is_there(length, size):
    x = torch.randn(2, 1, 3, size, dtype=torch.float64)
    before = length // 2
    expected = torch.stack([x[..., max(i - before, 0) : i + before + 1].mean(-1) for i in range(size)], -1)
    torch.testing.assert_close(moving_mean(x, length), expected)


def test_moving_mean_of_stored_power_is_exact_anywhere_in_a_long_window():
    x = torch.randint(0, 256, (1, 5000)).float() * 0.5 - 127.5
    whole, part = moving_mean(x, 129), moving_mean(x[:, 3000:], 129)
    assert torch.equal(whole[:, 3100:], part[:, 100:])


def test_network_that_is_ready_to_predict_says_the_same():
    network, _ = load_model(shipped_model())
    ready = ready_to_predict(network)
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in ready.modules())
    assert any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())
    power = torch.randn(2, 300, 96) * 8 - 80
    with torch.inference_mode():
        for name in ("call", "species", "extent"):
            torch.testing.assert_close(getattr(ready(power), name), getattr(network(power), name), rtol=1e-4, atol=1e-4)
