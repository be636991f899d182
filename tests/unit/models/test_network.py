import numpy as np
import pytest
import torch

from batpam.models.calibration import KNEE_DB, LOUD_DB, Calibration, standing_out
from batpam.models.decode import ECHO_FROM, decode, weigh
from batpam.models.network import CallNetwork, Prediction, extents, moving_mean, ready_to_predict
from batpam.models.settings import CALL_TYPES, ECHO, GRID_HOPS, TIME_STRIDE, NetworkSettings

SMALL = NetworkSettings(classes=5, voices=32, width=4, context_width=16, context_layers=2)


def test_shapes():
    prediction = CallNetwork(SMALL)(torch.full((2, 6 * GRID_HOPS, 32), -90.0))
    frames = 6 * GRID_HOPS // TIME_STRIDE
    assert prediction.call.shape == (2, 4, frames)
    assert prediction.classes.shape == (2, 5, 4, frames)
    assert prediction.call_type.shape == (2, len(CALL_TYPES), 4, frames)
    assert prediction.extent.shape == (2, 4, 4, frames)
    assert (extents(prediction.extent) >= 0).all()


def test_nothing_beyond_its_reach_changes_a_prediction():
    torch.manual_seed(0)
    network = CallNetwork(SMALL).eval()
    power = torch.randn(1, 1600, 32) * 10 - 80
    other = power.clone()
    centre, reach = 800, SMALL.reach
    other[:, : centre - reach] = -20.0
    other[:, centre + reach :] = -120.0
    frame = centre // TIME_STRIDE
    near = frame - reach // TIME_STRIDE - 12
    with torch.inference_mode():
        torch.testing.assert_close(network(power).call[..., frame], network(other).call[..., frame])
        assert not torch.equal(network(power).call[..., near], network(other).call[..., near])


def prediction_with(calls, rows=12, frames=100, classes=5):
    """A prediction with a peak per (row, frame, score, class, extents)."""
    call = torch.full((1, rows, frames), -9.0)
    of_classes = torch.zeros(1, classes, rows, frames)
    extent = torch.zeros(1, 4, rows, frames)
    call_type = torch.zeros(1, len(CALL_TYPES), rows, frames)
    for row, frame, score, kind, reach in calls:
        call[0, row, frame] = float(np.log(score / (1 - score)))
        of_classes[0, kind, row, frame] = 12.0
        call_type[0, kind % len(CALL_TYPES), row, frame] = 5.0
        extent[0, :, row, frame] = torch.log(torch.expm1(torch.tensor(reach)))
    return Prediction(call, of_classes, call_type, extent)


def test_two_bats_at_once_are_two_calls():
    prediction = prediction_with([(2, 50, 0.9, 0, (3.0, 3.0, 0.5, 0.5)), (8, 51, 0.8, 1, (3.0, 3.0, 0.5, 0.5))])
    calls = decode(prediction, 0.3, 1.0)[0]
    assert calls.classes.argmax(axis=1).tolist() == [0, 1]
    assert calls.call_type.tolist() == [0, 1]
    np.testing.assert_allclose(calls.classes.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(calls.classes[:, :3].sum(axis=1), calls.score, rtol=1e-5)
    np.testing.assert_allclose(calls.start, [47.5, 48.5], rtol=1e-5)
    np.testing.assert_allclose(calls.end, [53.5, 54.5], rtol=1e-5)


@pytest.mark.parametrize(("echo", "kind"), [(ECHO_FROM - 0.02, "social"), (ECHO_FROM + 0.02, "echo")])
def test_what_may_well_be_an_echo_is_one(echo: float, kind: str):
    prediction = prediction_with([(4, 50, 0.9, 2, (3.0, 3.0, 0.5, 0.5))])
    rest = (1 - echo) / 3
    shares = torch.tensor([echo if name == ECHO else rest + 0.05 * (name == "social") for name in CALL_TYPES])
    prediction.call_type[0, :, 4, 50] = torch.log(shares / shares.sum())
    assert CALL_TYPES[decode(prediction, 0.3, 1.0)[0].call_type[0]] == kind


def test_two_peaks_of_one_call_are_one():
    prediction = prediction_with([(4, 50, 0.9, 0, (4.0, 4.0, 2.0, 4.0)), (7, 49, 0.6, 1, (4.0, 4.0, 5.0, 1.0))])
    calls = decode(prediction, 0.3, 1.0)[0]
    assert len(calls) == 1
    np.testing.assert_allclose(calls.score, 0.9, rtol=1e-3)


def test_score_below_the_minimum_is_dropped():
    assert len(decode(prediction_with([(4, 50, 0.2, 0, (1.0, 1.0, 1.0, 1.0))]), 0.3, 1.0)[0]) == 0


def test_what_the_classes_take_for_an_insect_is_no_bat():
    prediction = prediction_with([(4, 50, 0.9, 3, (1.0, 1.0, 1.0, 1.0))])
    assert len(decode(prediction, 0.1, 1.0)[0]) == 0
    prediction.classes[0, 0, 4, 50] = 11.0  # a bat after all, with a quarter of the probability
    calls = decode(prediction, 0.1, 1.0)[0]
    assert len(calls) == 1 and 0.2 < calls.score[0] < 0.3 and calls.classes[0].argmax() == 3


def test_species_that_may_not_occur_get_no_probability():
    prediction = prediction_with([(4, 50, 0.9, 0, (1.0, 1.0, 1.0, 1.0))])
    prediction.classes[0, 2, 4, 50] = 6.0
    calls = decode(prediction, 0.3, 1.0, [False, True, True])[0]
    assert calls.classes[0, 0] == 0 and calls.classes[0].argmax() == 2
    np.testing.assert_allclose(calls.classes[0].sum(), 1, rtol=1e-5)


LINE = (0.0, 0.2, 0.5, 1.0), (0.0, 0.05, 0.8, 0.99)


def test_calibration_rises_and_its_inverse_gives_the_score_back():
    calibration = Calibration(2.0, 0.9, 0.1, 0.05, -2.0, *LINE)
    loud = np.array([LOUD_DB])
    for probability in (0.01, 0.05, 0.4, 0.8, 0.95):
        least = np.array([calibration.least(probability)])
        assert calibration.probability(least, loud)[0] == pytest.approx(probability, abs=1e-5)
    assert calibration.least(0.0) == 0.0 and calibration.least(0.999) > 0.999


def test_a_call_that_rises_further_is_as_likely_or_more():
    calibration = Calibration(1.0, 0.9, 0.1, 0.05, -2.0)
    snr = np.array([-5.0, 0.0, 6.0, KNEE_DB, 20.0, LOUD_DB, 90.0])
    probability = calibration.probability(np.full(len(snr), 0.6), snr)
    assert (np.diff(probability) >= 0).all()
    assert probability[0] == probability[1] < probability[2] < probability[4] < probability[5] == probability[6]
    odds = 0.9 * np.log(0.6 / 0.4) - 2.0 + 0.1 * KNEE_DB + 0.05 * (20 - KNEE_DB)
    assert probability[4] == pytest.approx(1 / (1 + np.exp(-odds)))


def test_long_calls_stand_out_more_than_their_ratio_says():
    length = np.array([1e-3, 5e-3, 20e-3, 50e-3])
    rise = standing_out(np.full(4, 10.0), length)
    # the mean of n times as many values of noise spreads by the root of n less
    noise = np.random.default_rng(0).exponential(size=(4000, 40))
    spread = [10 * np.log10(noise[:, :n].mean(axis=1).std()) for n in (4, 16)]
    assert rise[2] - rise[1] == pytest.approx(spread[0] - spread[1], abs=0.2)
    np.testing.assert_allclose(rise, [10, 10, 10 + 5 * np.log10(4), 15])


def test_a_calibration_does_not_change_which_call_is_the_best():
    places = [(2, 20, 0.9, 0, (3.0, 3.0, 0.5, 0.5)), (8, 60, 0.6, 1, (3.0, 3.0, 0.5, 0.5))]
    plain = decode(prediction_with(places), 0.1, 1.0)[0]
    stern = weigh(
        decode(prediction_with(places), 0.1, 3.0)[0], np.full(2, 10.0), Calibration(3.0, 0.8, 0.1, 0.1, -2.0, *LINE)
    )
    assert (plain.score > stern.score).all() and plain.score.argsort().tolist() == stern.score.argsort().tolist()
    assert (plain.classes[:, :3].argmax(1) == stern.classes[:, :3].argmax(1)).all()
    np.testing.assert_allclose(stern.classes.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(stern.classes[:, :3].sum(axis=1), stern.score, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 5, 129])
@pytest.mark.parametrize("size", [3, 64, 400])
def test_moving_mean_is_the_mean_of_what_is_there(length, size):
    x = torch.randn(2, size, 3, dtype=torch.float64)
    before = length // 2
    expected = torch.stack([x[:, max(i - before, 0) : i + before + 1].mean(1) for i in range(size)], 1)
    torch.testing.assert_close(moving_mean(x, length), expected)


def test_moving_mean_is_the_same_anywhere_in_a_long_window():
    x = torch.randint(0, 256, (1, 5000, 1)).float() * 0.5 - 127.5
    whole, part = moving_mean(x, 129), moving_mean(x[:, 3000:], 129)
    assert torch.equal(whole[:, 3100:], part[:, 100:])


def test_network_that_is_ready_to_predict_says_the_same():
    torch.manual_seed(1)
    network = CallNetwork(NetworkSettings(classes=6))
    for module in network.modules():  # as after training: neither 0 nor 1
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    network.eval()
    ready = ready_to_predict(network)
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in ready.modules())
    assert any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())
    power = torch.randn(2, 320, 96) * 8 - 80
    with torch.inference_mode():
        for name in ("call", "classes", "call_type", "extent"):
            torch.testing.assert_close(getattr(ready(power), name), getattr(network(power), name), rtol=1e-3, atol=1e-3)
