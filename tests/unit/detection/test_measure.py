import numpy as np
import pytest

from batpam.detection.measure import BACKGROUND_S, measure_calls
from batpam.models.decode import DecodedCalls
from batpam.models.settings import TIME_STRIDE, VOICE_STRIDE
from batpam.scalograms.settings import ScalogramSettings

SETTINGS = ScalogramSettings()
HOP = SETTINGS.hop
NOISE_DB = -80.0
PEAK = 40
"""Voice of the call."""

BEGINS, ENDS = 400, 412
"""Hops of the call."""


def calls(*begins: int) -> DecodedCalls:
    """Calls as long as that of :func:`scene`, two rows high, from these hops on."""
    start = np.array(begins, float) / TIME_STRIDE
    row = np.full(len(start), (PEAK + 0.5) / VOICE_STRIDE)
    end = start + (ENDS - BEGINS) / TIME_STRIDE
    return DecodedCalls(
        score=np.full(len(start), 0.9), classes=np.zeros((len(start), 3)), call_type=np.zeros(len(start), int),
        centre=(start + end) / 2, start=start, end=end, row=row, low=row - 1, high=row + 1,
    )  # fmt: skip


def scene(rng: np.random.Generator, *, fall: float | None = None, over: float = 30.0, hops: int = 1000) -> np.ndarray:
    """Noise, a call of 40 dB over it and, unless ``fall`` (dB a hop) is None, its reverberation, which starts ``over`` dB above it.

    Both are of many sources: their power is exponentially distributed, and alike in neighbouring hops and voices.
    """

    def rough(*shape: int) -> np.ndarray:
        pair = rng.normal(size=(2, shape[0] + 1, shape[1] + 1))
        pair = pair[:, 1:] + pair[:, :-1]
        pair = pair[:, :, 1:] + pair[:, :, :-1]
        return (pair**2).sum(0) / 8

    voices = np.arange(SETTINGS.voices)
    power = rough(hops, SETTINGS.voices)
    power[BEGINS:ENDS] += 10 ** (4 - 0.2 * abs(voices - PEAK))
    if fall is not None:
        fades = over - fall * np.arange(hops - ENDS)
        power[ENDS:] += rough(hops - ENDS, SETTINGS.voices) * 10 ** (fades[:, None] / 10 - 0.1 * abs(voices - PEAK))
    return (10 * np.log10(power) + NOISE_DB).astype(np.float32)


def measured(power: np.ndarray, found: DecodedCalls, first_hop: int = 0) -> dict[str, np.ndarray]:
    return measure_calls(found, power, first_hop, 384_000, SETTINGS)


def test_call_and_nothing_behind_it_ends_where_the_network_says():
    late = []
    for seed in range(200):
        of = measured(scene(np.random.default_rng(seed)), calls(BEGINS))
        assert of["duration_ms"][0] == pytest.approx((ENDS - BEGINS) * HOP * 1e3)
        assert of["start_s"][0] == pytest.approx(BEGINS * HOP)
        late.append(of["end_s"][0] - ENDS * HOP)
    assert np.median(late) == 0 and np.quantile(late, 0.9) < 3e-3 and min(late) >= 0


@pytest.mark.parametrize("fall", [0.4, 0.8, 1.6])
def test_reverberation_belongs_to_the_call_until_it_is_in_the_noise(fall: float):
    """It is as loud as the noise when it has fallen by ``over`` dB; the two together are then 3 dB above the noise.

    A long one is cut a little short, for it takes part in what it is held against.
    """
    errors = []
    for seed in range(100):
        of = measured(scene(np.random.default_rng(seed), fall=fall), calls(BEGINS))
        assert of["duration_ms"][0] == pytest.approx((ENDS - BEGINS) * HOP * 1e3)
        errors.append(of["end_s"][0] - (ENDS + 30 / fall) * HOP)
    assert abs(np.median(errors)) < 0.2 * 30 / fall * HOP
    assert np.quantile(np.abs(errors), 0.9) < 0.3 * 30 / fall * HOP


def test_reverberation_ends_at_the_next_call():
    for seed in range(50):
        power = scene(np.random.default_rng(seed), fall=0.4)
        power[ENDS + 30 : ENDS + 42] = np.maximum(power[ENDS + 30 : ENDS + 42], power[BEGINS:ENDS])
        ends = measured(power, calls(BEGINS, ENDS + 30))["end_s"] / HOP
        assert ends[0] <= ENDS + 31
        assert ends[1] >= ENDS + 42


def test_reverberation_is_followed_no_further_than_the_background_and_the_scalogram():
    long = scene(np.random.default_rng(1), fall=0.2)  # as loud as the noise after 75 ms
    assert ENDS * HOP + 0.03 < measured(long, calls(BEGINS))["end_s"][0] <= ENDS * HOP + BACKGROUND_S
    cut = long[: ENDS + 20]
    assert ENDS * HOP < measured(cut, calls(BEGINS))["end_s"][0] <= len(cut) * HOP


def test_what_is_measured_does_not_depend_on_where_the_scalogram_begins():
    power = scene(np.random.default_rng(3), fall=0.8)
    whole, part = measured(power, calls(BEGINS)), measured(power[160:], calls(BEGINS - 160), 160)
    for name, values in whole.items():
        np.testing.assert_allclose(part[name], values, rtol=1e-12, err_msg=name)


def test_no_calls():
    assert all(len(values) == 0 for values in measured(scene(np.random.default_rng(4)), calls()).values())
