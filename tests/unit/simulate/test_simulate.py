from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import soundfile

from batpam.recordings.audio import probe
from batpam.recordings.formats.guano import read_guano
from batpam.simulate import soundscapes
from batpam.simulate.calls import SWEEPS, Call, call_curve, call_sequence, call_types, compensated, species_names
from batpam.simulate.confusers import add_insect, insect_songs
from batpam.simulate.parameters import rows_of
from batpam.simulate.propagation import (
    SPEED_OF_SOUND,
    absorption,
    beam_loss,
    fly_past,
    hearing_range,
    piston_radius,
    transmission_loss,
)
from batpam.simulate.soundscapes import (
    APART,
    FOLDED_SNR,
    Flight,
    Recorder,
    hear_call,
    noise_level,
    reverberation,
    self_noise,
    sensitivity,
    through_microphone,
)
from batpam.simulate.survey import simulate, truth_passes
from batpam.tables import read_table

# ISO 9613-1 at 15 C, 80 % and at 25 C, 50 %, dB/m
ABSORPTION = {(15, 80): {20: 0.44, 45: 1.42, 80: 2.64, 110: 3.73}, (25, 50): {20: 0.46, 45: 1.63, 80: 3.15, 110: 4.40}}


def test_absorption_is_that_of_iso_9613():
    for (temperature, humidity), values in ABSORPTION.items():
        for khz, wanted in values.items():
            assert absorption(khz * 1e3, temperature, humidity) == pytest.approx(wanted, abs=0.006)


def test_loss_doubles_distance_by_6_db_and_more_for_high_frequencies():
    low, high = transmission_loss(np.array([20e3, 100e3]), 10.0) - transmission_loss(np.array([20e3, 100e3]), 5.0)
    assert low == pytest.approx(6.02 + 5 * 0.44, abs=0.1)
    assert high > low + 10


def test_bat_that_comes_nearer_sounds_higher():
    distance, angle, doppler = fly_past(np.array([0.0, 2.0, 4.0]), 3.0, 6.0, 2.0)
    assert distance[1] == pytest.approx(3.0) and distance[0] == distance[2] > 12
    assert doppler[0] > 1.015 and doppler[1] == pytest.approx(1.0) and doppler[2] < 0.985
    assert angle[0] < np.pi / 2 < angle[2]


def test_beam_is_that_of_a_piston_without_gaps():
    # M. daubentonii in the field: half the amplitude at 25 degrees for 40 kHz, at 14 for 75 (Surlykke et al. 2009)
    radius = piston_radius(np.deg2rad(25), 40e3)
    assert beam_loss(40e3, np.deg2rad(25), radius) == pytest.approx(6.02, abs=0.01)
    assert beam_loss(75e3, np.deg2rad(14), radius) == pytest.approx(6.02, abs=0.6)
    angle = np.linspace(0.05, 1.4, 200)
    x = 2 * np.pi * 40e3 * radius / SPEED_OF_SOUND * np.sin(angle)
    piston = -20 * np.log10(np.abs(2 * scipy.special.j1(x) / x))
    here = np.array([float(beam_loss(40e3, a, radius)) for a in angle])
    assert np.abs(here - piston)[x < 2.5].max() < 0.6 and (here < piston + 2).all()
    behind = [float(beam_loss(40e3, a, radius)) for a in np.deg2rad([60, 120, 180])]
    assert behind == sorted(behind) and behind[-1] < 30
    assert beam_loss(40e3, -0.5, radius) == beam_loss(40e3, 0.5, radius)


def test_bat_that_turns_away_is_weaker_and_its_harmonic_more_so():
    call = Call(0.05, 5e-3, np.full(64, 3e4), np.ones(64), ((2.0, 0.0),), 120.0)
    flight = Flight(
        closest=0.01, at=50, speed=0.1, beam=piston_radius(np.deg2rad(30), 3e4)
    )  # it comes straight on, from 5 m
    levels = []
    for turn in (0.0, np.deg2rad(-30.0)):
        samples = np.zeros(96_000)
        hear_call(samples, replace(call, turn=turn), flight, Recorder(), np.random.default_rng(1), echoes=0)
        spectrum, f = np.abs(np.fft.rfft(samples)), np.fft.rfftfreq(len(samples), 1 / 384_000)
        levels.append([20 * np.log10(spectrum[abs(f - of) < 3e3].max()) for of in (3e4, 6e4)])
    lost = np.subtract(*levels)
    assert lost[0] == pytest.approx(6, abs=1.5) and lost[1] == pytest.approx(14, abs=2)


@pytest.mark.parametrize("code", list(species_names()))
def test_calls_are_those_of_the_table(code):
    rng = np.random.default_rng(1)
    types = call_types()[call_types()["code"] == code]
    calls = [call for _ in range(30) for call in call_sequence(code, 2.0, rng, clutter=0.5)]
    calls = [c for c in calls if c.duration > 0.4e-3 * types["duration"].min()]  # without the ends of feeding buzzes
    loudest = np.median([c.frequency[c.envelope.argmax()] for c in calls])
    low, high = (types["peak"] - 3 * types["peak_sd"]).min() * 1e3, (types["peak"] + 3 * types["peak_sd"]).max() * 1e3
    assert low < loudest < high
    assert all(0 <= c.start < 2.0 and c.duration > 0 for c in calls)
    assert all(len(c.frequency) == len(c.envelope) and c.envelope.max() == pytest.approx(1, abs=0.01) for c in calls)


def test_clutter_shortens_and_raises_calls():
    rng = np.random.default_rng(2)

    def median(clutter):
        calls = [c for _ in range(40) for c in call_sequence("Mdau", 1.0, rng, clutter=clutter)]
        return np.median([c.duration for c in calls]), np.median([c.frequency[0] for c in calls])

    (open_duration, open_start), (near_duration, near_start) = median(0.0), median(1.0)
    assert near_duration < 0.75 * open_duration and near_start > open_start + 5_000


def test_bats_in_the_open_skip_wing_beats():
    def beats(clutter):
        counts = []
        for seed in range(40):
            calls = call_sequence("Mdau", 2.0, np.random.default_rng(seed), clutter=clutter)
            starts = np.array([call.start for call in calls if call.call_type == "echolocation"])
            gaps = np.diff(starts)
            counts += (gaps / np.median(gaps)).round().tolist()
        return np.bincount(np.array(counts, int), minlength=7) / len(counts)

    far, near = beats(0.0), beats(1.0)
    assert far[2] > far[3] > far[4] > 0 and far[2:].sum() > 0.1
    assert near[2:].sum() < 0.5 * far[2:].sum()


def test_noctules_call_at_some_of_their_wing_beats():
    gaps = []
    for seed in range(60):
        calls = call_sequence("Nnoc", 3.0, np.random.default_rng(seed), clutter=0.3)
        starts = np.array([call.start for call in calls if call.call_type == "echolocation"])
        gaps += np.diff(starts).tolist()
    gaps = np.array(gaps)
    assert 0.11 < np.percentile(gaps, 20) < 0.18  # one beat
    assert np.mean(gaps) == pytest.approx(0.3, rel=0.3) and np.percentile(gaps, 90) > 0.4


@pytest.mark.parametrize("curve", ["qcf", "fm-qcf"])
def test_calls_that_end_flat_are_loudest_at_their_peak(curve):
    rng = np.random.default_rng(1)
    for _ in range(50):
        frequency, envelope = call_curve(curve, 45e3, 23e3, 24e3, rng)
        assert frequency[envelope.argmax()] == pytest.approx(24e3, abs=1500)
        assert frequency[0] == pytest.approx(45e3) and frequency[-1] == pytest.approx(23e3)
        assert (np.diff(frequency) < 0).all()


def bend(frequency: np.ndarray) -> float:
    """How far a sweep bends: k of f = end + (start - end) (1 - u) / (1 + k u)."""
    middle = np.interp(0.5, np.linspace(0, 1, len(frequency)), frequency)
    return float(np.ptp(frequency) / (middle - frequency.min()) - 2)


@pytest.mark.parametrize(("curve", "least", "most"), [(curve, *bends) for curve, bends in SWEEPS.items()])
def test_sweeps_bend_as_far_as_said(curve, least, most):
    rng = np.random.default_rng(1)
    for _ in range(50):
        frequency, _ = call_curve(curve, 50e3, 20e3, 30e3, rng)
        assert frequency[0] == pytest.approx(50e3) and frequency[-1] == pytest.approx(20e3)
        assert (np.diff(frequency) < 0).all()
        assert least - 0.01 < bend(frequency) < most + 0.01


def test_a_bend_of_one_less_than_the_ratio_is_a_hyperbola(monkeypatch):
    monkeypatch.setitem(SWEEPS, "fm", (1.5, 1.5))
    frequency, _ = call_curve("fm", 50e3, 20e3, 30e3, np.random.default_rng(1))
    assert 1 / frequency == pytest.approx(np.linspace(1 / 50e3, 1 / 20e3, len(frequency)))


def test_calls_end_a_little_below_where_they_are_loudest():
    rng = np.random.default_rng(1)
    calls = [call for _ in range(60) for call in call_sequence("Ppip", 1.0, rng, clutter=0.2)]
    droop = [
        c.frequency[c.envelope.argmax()] - c.frequency[-1]
        for c in calls
        if c.call_type == "echolocation" and c.duration > 4e-3
    ]
    assert 300 < np.median(droop) < 2000 and np.percentile(droop, 90) < 3000 and np.percentile(droop, 95) < 5000


def test_some_bats_call_as_loud_for_most_of_a_call_and_some_swell_and_fade():
    rng = np.random.default_rng(1)
    bats = [call_sequence("Mdau", 1.0, rng, clutter=0.5) for _ in range(80)]
    loud = [[np.mean(call.envelope > 10**-0.5) for call in calls if call.call_type != "social"] for calls in bats]
    loud = [shares for shares in loud if len(shares) > 4]
    typical = [np.median(shares) for shares in loud]
    assert np.percentile(typical, 10) < 0.65 and np.percentile(typical, 90) > 0.85
    assert np.std(typical) > 0.8 * np.median([np.std(shares) for shares in loud])


def test_a_barbastelle_alternates_call_by_call():
    rng = np.random.default_rng(3)
    changes = []
    for _ in range(60):
        calls = [c for c in call_sequence("Bbar", 2.0, rng, clutter=0.0) if c.call_type == "echolocation"]
        high = np.array([c.frequency[0] > 39e3 for c in calls])
        changes += (high[1:] != high[:-1]).tolist()
    assert np.mean(changes) > 0.8


def test_an_approach_without_a_buzz_has_none(monkeypatch):
    monkeypatch.setattr("batpam.simulate.calls.APPROACHES", 1.0)
    monkeypatch.setattr("batpam.simulate.calls.BUZZES", 0.0)
    rng = np.random.default_rng(2)
    sequences = [call_sequence("Ppip", 2.0, rng, clutter=0.5) for _ in range(30)]
    assert not any(call.call_type == "buzz" for calls in sequences for call in calls)
    bats = [call_sequence("Rhip", 2.0, rng, clutter=0.5) for _ in range(30)]
    assert not any(call.call_type == "buzz" for calls in bats for call in calls)
    quickest = [np.diff([c.start for c in calls if c.call_type == "echolocation"]).min() for calls in sequences]
    assert 0.02 < np.median(quickest) < 0.06


@pytest.mark.parametrize(("code", "curve"), [("Ppip", "fm"), ("Paur", "fm"), ("Bbar", "fm-convex")])
def test_barbastelles_alone_approach_with_convex_calls(code, curve, monkeypatch):
    monkeypatch.setattr("batpam.simulate.calls.APPROACHES", 1.0)
    monkeypatch.setattr("batpam.simulate.calls.BUZZES", 1.0)
    rng = np.random.default_rng(4)
    bends = [
        bend(call.frequency) for _ in range(10) for call in call_sequence(code, 2.0, rng) if call.call_type == "buzz"
    ]
    least, most = SWEEPS[curve]
    assert len(bends) > 50 and least - 0.01 < min(bends) and max(bends) < most + 0.01


def test_horseshoe_bats_compensate_for_the_echoes_of_what_lies_ahead():
    calls = call_sequence("Rhip", 0.5, np.random.default_rng(1), clutter=0.5)
    slow = compensated("Rhip", calls, 6.0)
    assert len(slow) == len(calls)
    ahead = SPEED_OF_SOUND / (SPEED_OF_SOUND - 6.0)  # on the way to a microphone, and as much again on the way back
    assert slow[0].frequency * ahead**2 == pytest.approx(calls[0].frequency, rel=2e-3)
    pipistrelle = call_sequence("Ppip", 0.5, np.random.default_rng(1), clutter=0.5)
    assert compensated("Ppip", pipistrelle, 6.0) == pipistrelle


@pytest.mark.parametrize("rate", [192_000, 384_000])
def test_echoes_are_as_dull_at_every_rate(rate, monkeypatch):
    monkeypatch.setattr(soundscapes, "draw", lambda name, rng: {"echo_level": -6.0}.get(name, 1.0))
    call = Call(0.05, 5e-3, np.full(64, 45e3), np.ones(64), (), 120.0)
    heard = hear_call(
        np.zeros(rate), call, Flight(closest=3, speed=0.1, detour=5.0, beam=1e-4), Recorder(sample_rate=rate, noise=-60),
        np.random.default_rng(1), echoes=1,
    )  # fmt: skip
    (echo,) = [echo for echo in heard.echoes if echo.start > heard.start + 0.01]
    spread = 20 * np.log10(8 / 3) + 5 * absorption(45e3)
    assert echo.level - heard.level == pytest.approx(-6 - spread - 10 * np.log10(1 + (45 / 40) ** 2), abs=1.0)


def test_bats_are_heard_as_far_as_published():
    # 15 degrees, 80 %, 40 dB SPL on the axis
    for level, frequency, metres in ((125, 20e3, 66), (125, 46e3, 26), (108, 110e3, 9)):
        assert hearing_range(level, frequency, 40.0) == pytest.approx(metres, rel=0.05)
    assert hearing_range(125, 46e3, 60.0) < 16


def test_what_sounds_goes_through_the_microphone():
    recorder = Recorder(roll_off=50e3, roll_off_order=2.0, response=(0.0, 3.0, 0.0, -5.0, 2.0, 0.0), high_pass=15e3)
    t = np.arange(38_400) / 384_000
    for frequency in (8e3, 24e3, 48e3, 120e3):
        heard = through_microphone(np.sin(2 * np.pi * frequency * t), recorder)
        level = 20 * np.log10(np.sqrt(2 * np.mean(heard[5000:-5000] ** 2)))
        assert level == pytest.approx(float(sensitivity(frequency, recorder)), abs=0.2)
    assert sensitivity(5e3, recorder) < sensitivity(20e3, recorder) - 15


def test_calls_that_end_flat_become_sweeps_close_to_vegetation():
    def sweeps(clutter):
        first = [call_sequence("Eser", 0.6, np.random.default_rng([1, i]), clutter=clutter)[0] for i in range(40)]
        search = [call.frequency for call in first if call.call_type == "echolocation"]
        return np.mean([np.mean(f < 1.15 * f.min()) < 0.3 for f in search])  # little of the call is near its end

    assert sweeps(0.0) < 0.2 and sweeps(1.0) > 0.5


def test_some_calls_are_followed_by_copies_hardly_weaker():
    call = call_sequence("Mdau", 0.1, np.random.default_rng(3), clutter=0.5)[0]
    flight, recorder = Flight(closest=5, speed=0.1), Recorder(noise=-60)
    alone = hear_call(np.zeros(96_000), call, flight, recorder, np.random.default_rng(7), echoes=0)
    first, last = int(alone.start * 384_000), int(alone.end * 384_000) + 40

    def behind(echoes, i):
        """Loudest instant between the end of the call by itself and 4 ms later, re that of the call."""
        samples = np.zeros(96_000)
        hear_call(samples, call, flight, recorder, np.random.default_rng([7, i]), echoes=echoes)
        return np.abs(samples[last : last + 1536]).max() / np.abs(samples[first:last]).max()

    # the echo of the ground is 6 dB weaker at least
    strong = np.mean([behind(1.0, i) > 10 ** (-5 / 20) for i in range(60)])
    assert 0.03 < strong < 0.5 and max(behind(0.0, i) for i in range(20)) < 0.05


def test_call_is_heard_where_and_how_loud_the_truth_says():
    rng = np.random.default_rng(3)
    recorder = Recorder(noise=-40)
    samples = np.zeros(192_000)
    call = call_sequence("Ppip", 0.1, rng, clutter=0.2)[0]
    heard = hear_call(samples, call, Flight(closest=5, at=0, speed=0.1), recorder, rng, echoes=0)
    inside = samples[int(heard.start * 384_000) : int(heard.end * 384_000)]
    assert np.abs(inside).max() == pytest.approx(10 ** (heard.level / 20), rel=0.15)
    assert np.abs(samples[: int(heard.start * 384_000) - 400]).max() < 0.1 * np.abs(inside).max()
    spectrum = np.abs(np.fft.rfft(inside))
    strongest = np.fft.rfftfreq(len(inside), 1 / 384_000)[spectrum.argmax()]
    assert heard.low - 1_000 < strongest < heard.high + 1_000


def test_call_above_nyquist_folds_back_as_far_as_the_recorder_lets_it():
    calls = (call_sequence("Rhip", 0.1, np.random.default_rng(i))[0] for i in range(50))
    high = next(call for call in calls if call.frequency.min() > 97_000)
    call = replace(high, harmonics=())  # the fundamental is below it

    def heard(rejection):
        samples = np.zeros(20_000)
        recorder = Recorder(sample_rate=192_000, alias_rejection=rejection)
        folded = hear_call(samples, call, Flight(closest=2, speed=0.1), recorder, np.random.default_rng(3), echoes=0)
        assert folded.snr == FOLDED_SNR and folded.low <= folded.peak <= folded.high < 96_000
        return samples

    open_ended, shut = heard(0.0), heard(60.0)
    assert np.abs(shut).max() < 0.05 * np.abs(open_ended).max()
    strongest = np.abs(np.fft.rfft(open_ended)).argmax() * 192_000 / 20_000
    assert strongest == pytest.approx(192_000 - np.median(call.frequency), abs=3_000)


def test_reverberation_follows_the_call_has_its_energy_and_loses_high_frequencies_first():
    rate, rng = 384_000, np.random.default_rng(1)
    calls = np.zeros(rate // 4)
    calls[10_000:10_400] = rng.normal(0, 0.1, 400)  # 1 ms of noise of all frequencies
    tail = np.mean([reverberation(calls, rate, -10, np.random.default_rng(i)) ** 2 for i in range(20)], axis=0)
    assert tail[:9_990].max() < 1e-12
    assert 10 * np.log10(tail.sum() / (calls**2).sum()) == pytest.approx(-10, abs=1.5)
    one = reverberation(calls, rate, -10, np.random.default_rng(3))

    def low_share(first, last):
        spectrum, f = np.abs(np.fft.rfft(one[first:last])) ** 2, np.fft.rfftfreq(last - first, 1 / rate)
        return spectrum[(f > 1e4) & (f < 4e4)].sum() / spectrum[(f > 8e4) & (f < 1.6e5)].sum()

    assert low_share(14_000, 18_000) > 3 * low_share(10_400, 12_000)


def test_noise_level_is_that_of_the_noise():
    recorder = Recorder(noise=-10, noise_colour=(0, 0, 10, 0, -10, 0), roll_off=60_000)
    noise = self_noise(384_000, recorder, np.random.default_rng(0), wind=20)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2 / len(noise) / 384_000 * 2
    for f in (15_000, 24_000, 50_000, 100_000):
        band = spectrum[int(f * 0.97) : int(f * 1.03)]
        level = 10 * np.log10(band.mean() * 0.05 * f) + 3.01  # re a sine of amplitude 1
        assert level == pytest.approx(float(noise_level(f, recorder, 20)), abs=0.5)


def test_signal_to_noise_ratio_of_a_steady_call_is_that_in_its_band():
    recorder = Recorder(noise=-20)
    call = call_sequence("Rfer", 0.2, np.random.default_rng(3), clutter=0.0)[0]
    heard = hear_call(
        np.zeros(192_000), call, Flight(closest=5, speed=0.1), recorder, np.random.default_rng(3), echoes=0
    )
    assert heard.snr == pytest.approx(heard.level - float(noise_level(heard.peak, recorder)), abs=1.0)


def test_feeding_buzz_quickens_shortens_and_sinks():
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(60):
        calls = call_sequence("Ppip", 2.0, rng, clutter=0.5)
        buzz = [c for c in calls if c.call_type == "buzz"]
        if len(buzz) < 15 or buzz[-1].start > 1.9:  # or it is cut off
            continue
        seen += 1
        search = [c for c in calls if c.call_type == "echolocation"][:1]
        gaps = np.diff([c.start for c in buzz])
        assert gaps.max() < 0.02 and 0.0045 < np.median(gaps[-8:]) < 0.009
        assert buzz[-1].duration < 2.5e-3 and buzz[-1].level < buzz[0].level + 5
        assert buzz[-1].frequency.min() < 0.9 * search[0].frequency.min() if search else True
    assert seen > 2


def test_social_calls_are_those_of_the_table():
    rng = np.random.default_rng(5)
    calls = [c for _ in range(150) for c in call_sequence("Ppip", 1.0, rng) if c.call_type == "social"]
    assert len(calls) > 10
    assert 12e3 < np.median([c.frequency.min() for c in calls]) < 30e3


def test_noise_has_the_level_it_is_given():
    recorder = Recorder(noise=-20, full_scale=100, roll_off=1e9, resonance=1e3)
    noise = self_noise(384_000, recorder, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(noise)) ** 2 / len(noise) / 384_000 * 2
    density = 10 * np.log10(spectrum[40_000:60_000].mean() * 384_000 / 384_000)
    assert density == pytest.approx(-120, abs=2.5)


@pytest.mark.parametrize("species", insect_songs()["species"])
def test_insects_sing_in_their_band(species):
    samples = np.zeros(384_000)
    add_insect(samples, species, -20, Recorder(), np.random.default_rng(1))
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    f = np.fft.rfftfreq(len(samples), 1 / 384_000) / 1e3
    song = insect_songs().set_index("species").loc[species]
    band = spectrum[(f > 0.7 * song["low"]) & (f < 1.4 * song["high"])].sum()
    assert band > 0.5 * spectrum.sum() > 0


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    simulate(folder, nights=1, minutes=1.0, sample_rate=192_000, seed=1, workers=2)
    return folder


def test_survey_is_recordings_with_guano_and_truth(survey):
    files = sorted((survey / "recordings").rglob("*.wav"))
    assert len(files) == 5 and sum(f.stat().st_size == 0 for f in files) == 1
    whole = [probe(f) for f in files if f.stat().st_size]
    assert {info.rate for info in whole} == {192_000}
    assert sum(info.readable < info.samples for info in whole) == 1
    assert all(read_guano(info.chunks["guan"]).start for info in whole if info.readable == info.samples)
    truth = read_table(survey / "truth.parquet")
    assert set(truth["path"]) <= {str(f) for f in files} and len(truth) > 20
    assert truth["start_s"].between(0, 15).all()


def test_same_seed_same_survey_with_any_number_of_workers(survey, tmp_path):
    simulate(tmp_path, nights=1, minutes=1.0, sample_rate=192_000, seed=1, workers=1)
    for path in sorted((survey / "recordings").rglob("*.wav")):
        assert path.read_bytes() == (tmp_path / path.relative_to(survey)).read_bytes()
    simulate(tmp_path / "other", nights=1, minutes=1.0, sample_rate=192_000, seed=5, workers=1)
    name = "recordings/orchard/20240601_213000.wav"
    assert (survey / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_loud_calls_of_the_truth_are_in_the_samples(survey):
    truth = read_table(survey / "truth.parquet")
    loud = truth[(truth["snr_db"] > 25) & (truth["end_s"] < 9)]
    assert len(loud)
    for call in loud.head(20).itertuples():
        samples, rate = soundfile.read(call.path)
        here = samples[int(call.start_s * rate) : int(call.end_s * rate) + 64]
        spectrum = np.abs(np.fft.rfft(here * np.hanning(len(here)))) ** 2
        f = np.fft.rfftfreq(len(here), 1 / rate)
        band = (f > call.low_hz - 3e3) & (f < call.high_hz + 3e3)
        assert spectrum[band].max() > 10 * np.median(spectrum[(f > 12e3) & ~band])


def test_passes_of_the_truth(survey):
    truth = read_table(survey / "truth.parquet")
    passes = truth_passes(truth, min_snr_db=10, gap=1.0, min_calls=2)
    assert passes["calls"].sum() <= len(truth)
    assert set(passes["species"]) <= set(truth["species"])
    assert len(truth_passes(truth, min_snr_db=10, gap=1.0, min_calls=10_000)) == 0


def test_an_echo_that_runs_on_from_a_call_is_part_of_it_and_one_behind_a_gap_is_not():
    call = replace(call_sequence("Ppip", 0.1, np.random.default_rng(3), clutter=0.2)[0], start=0.02)
    flight, recorder = Flight(closest=3, speed=0.1), Recorder(noise=-40.0)
    alone = hear_call(np.zeros(50_000), call, flight, recorder, np.random.default_rng(1), echoes=0)
    ends = np.array(
        [
            hear_call(np.zeros(50_000), call, flight, recorder, np.random.default_rng(seed), echoes=1).end
            for seed in range(40)
        ]
    )
    assert (ends >= alone.end).all() and np.mean(ends > alone.end + 0.5e-3) > 0.3
    assert (ends <= alone.end + rows_of("scenes")["copy_delay"]["high"]).all()
    short = replace(call, duration=1e-4)  # every echo lies behind a gap
    begins = hear_call(np.zeros(50_000), short, flight, recorder, np.random.default_rng(0), echoes=0)
    louder = 0
    for seed in range(20):
        samples = np.zeros(50_000)
        heard = hear_call(samples, short, flight, recorder, np.random.default_rng(seed), echoes=1)
        louder += np.abs(samples[int(begins.end * 384_000) + 40 :]).max() > 0
        assert heard.end == begins.end
        assert heard.echoes and all(echo.start > heard.end for echo in heard.echoes)
    assert louder > 15  # there were echoes


def test_echoes_of_a_surface_come_after_the_detour_and_weaker_and_duller():
    call = replace(call_sequence("Mmyo", 0.5, np.random.default_rng(3), clutter=0.5)[0], start=0.02)
    flight, recorder = Flight(closest=3, speed=0.1, detour=5.0), Recorder(noise=-40.0)
    rows, echoes = rows_of("scenes"), []
    for seed in range(40):
        heard = hear_call(np.zeros(50_000), call, flight, recorder, np.random.default_rng(seed), echoes=1)
        for echo in heard.echoes:
            if echo.start > heard.start + 1.5 * rows["copy_delay"]["high"]:  # no copy of something nearby
                echoes.append(echo)
                assert echo.start - heard.start == pytest.approx(5.0 / SPEED_OF_SOUND, abs=3e-3)
                assert echo.level - heard.level < rows["echo_level"]["high"] - 20 * np.log10((3.0 + 5.0) / 3.0) + 1
                assert echo.snr < heard.snr
    assert len(echoes) > 20 and np.mean([echo.high for echo in echoes]) < 0.9 * heard.high


def hear_with(monkeypatch, copies, *, noise=-60.0, duration=2e-3):
    """A call with echoes after so many ms, so many dB weaker."""
    echoes = [(int(ms * 384), lambda curve, db=db: np.full(len(curve), float(db))) for ms, db in copies]
    monkeypatch.setattr(
        soundscapes, "_add_echoes", lambda samples, wave, curve, *_: [(delay, gain(curve)) for delay, gain in echoes]
    )
    call = call_sequence("Ppip", 0.1, np.random.default_rng(3), clutter=0.5)[0]
    flight, recorder = Flight(closest=3, speed=0.1), Recorder(noise=noise)
    return hear_call(
        np.zeros(50_000), replace(call, start=0.02, duration=duration), flight, recorder, np.random.default_rng(1)
    )


def test_echoes_that_nobody_can_part_are_one(monkeypatch):
    alone = hear_with(monkeypatch, [])
    assert not alone.echoes
    heard = hear_with(monkeypatch, [(21.5, -3), (8, -15), (9, -4), (20, -10)])
    assert replace(heard, echoes=()) == alone and len(heard.echoes) == 2
    first, second = heard.echoes
    assert first.start - alone.start == pytest.approx(8e-3, abs=1e-4)
    assert first.end - alone.end == pytest.approx(9e-3, abs=1e-4)
    assert first.level - alone.level == pytest.approx(-4, abs=0.1)  # of the louder one
    assert second.level - alone.level == pytest.approx(-3, abs=0.1)


def test_an_echo_soon_behind_a_call_is_neither_right_nor_wrong_to_find(monkeypatch):
    (soon,) = hear_with(monkeypatch, [(1e3 * APART - 0.5, -3)]).echoes
    (later,) = hear_with(monkeypatch, [(1e3 * APART + 0.5, -3)]).echoes
    assert soon.snr == FOLDED_SNR and later.snr > 20


def test_an_echo_in_the_noise_neither_makes_a_call_longer_nor_is_one(monkeypatch):
    loud, faint = ({"noise": noise, "duration": 6e-3} for noise in (-60.0, 20.0))
    assert hear_with(monkeypatch, [(3, -20)], **loud).end > hear_with(monkeypatch, [], **loud).end + 1e-3
    alone = hear_with(monkeypatch, [], **faint)
    assert 5 < alone.snr < 22
    assert hear_with(monkeypatch, [(3, -20), (15, -20)], **faint) == alone
    assert not hear_with(monkeypatch, [(3, -20), (15, -20)], **faint).echoes
