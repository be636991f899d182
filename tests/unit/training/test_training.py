import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from batpam.errors import UserError
from batpam.models.calibration import Calibration
from batpam.models.decode import decode
from batpam.models.files import ModelCard, Taxon, load_model, read_taxa, write_model
from batpam.models.network import CallNetwork, Prediction
from batpam.models.sequence import name_in_sequence
from batpam.models.settings import CALL_TYPES, ECHO, TIME_STRIDE, NetworkSettings
from batpam.models.taxonomy import membership, nodes
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import from_bytes
from batpam.simulate.soundscapes import FOLDED_SNR, Heard, Recorder, hear_call, self_noise
from batpam.training import windows
from batpam.training.dataset import (
    CENTRE_LAG,
    CERTAIN_SNR,
    FAINT_SNR,
    LOST_SNR,
    CallDataset,
    Examples,
    centres,
    rises,
    simulate_examples,
    to_row,
)
from batpam.training.examples import EVENT, MARGIN, SPARE, Scenes, _cut, _drowned, simulate_example, simulate_scene
from batpam.training.fit import StopsEarly, _network, call_losses, has_bfloat16, train
from batpam.training.measure import _fit_loudness, _fit_sequence, calibrate, match_examples, measure
from batpam.training.own import _sites, _with_found_calls, hard_negatives, own_examples, read_own, split
from batpam.training.settings import TrainingSettings, read_training_settings

TRANSFORM = ScalogramSettings(voices=48)
CODES = ("Ppip", "Rhip", "Nnoc")
GROUPS = ("Pipistrellus", "Rhinolophus", "Nyctaloid")
FAMILIES = ("Vespertilionidae", "Rhinolophidae", "Vespertilionidae")
TAXA = tuple(Taxon(c, c, c, g, f) for c, g, f in zip(CODES, GROUPS, FAMILIES, strict=True))
FRAME = TIME_STRIDE * TRANSFORM.hop
WINDOW = 0.4


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return simulate_examples(24, Scenes(CODES), TRANSFORM, WINDOW, seed=1, folder=folder, workers=2)


def test_examples_depend_on_the_seed_alone(examples, tmp_path):
    again = simulate_examples(24, Scenes(CODES), TRANSFORM, WINDOW, seed=1, folder=tmp_path, workers=1)
    for one, other in zip(examples.power, again.power, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(examples.events, again.events, strict=True):
        np.testing.assert_array_equal(one, other)


def test_examples_that_are_there_are_not_made_again(examples, tmp_path):
    simulate_examples(3, Scenes(CODES), TRANSFORM, WINDOW, seed=6, folder=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    simulate_examples(3, Scenes(CODES), TRANSFORM, WINDOW, seed=6, folder=tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} and before


def test_loud_calls_of_an_example_stand_out_where_they_are():
    frequencies = TRANSFORM.frequencies()
    seen = 0
    for i in range(40):
        power, events = simulate_example(Scenes(("Ppip",)), TRANSFORM, 0.3, np.random.default_rng([9, i]))
        for event in events[events["node"] == 0]:
            if event["snr"] < 35 or not 0.01 < event["start"] < 0.28:
                continue
            box = power[int(event["start"] / 0.0005) : int(event["end"] / 0.0005) + 1]
            band = (frequencies > 0.95 * event["low"]) & (frequencies < 1.05 * event["high"])
            assert box[:, band].max() > np.median(power[:, band]) + 12
            seen += 1
    assert seen > 5


def test_scenes_without_insects_have_none_and_own_noise_is_mixed_in(tmp_path):
    def nodes_of(scenes):
        made = [simulate_scene(scenes, 0.2, np.random.default_rng([1, i]))[2]["node"] for i in range(25)]
        return set(np.concatenate(made))

    assert 1 in nodes_of(Scenes(("Ppip",))) and 1 not in nodes_of(Scenes(("Ppip",), insects=False))
    rate = 256_000
    hum = 0.01 * np.sin(2 * np.pi * 33_000 * np.arange(rate) / rate)
    hum += self_noise(rate, Recorder(sample_rate=rate), np.random.default_rng(0))
    soundfile.write(tmp_path / "hum.wav", hum, rate)
    shares = []
    for i in range(12):
        samples, rate, _ = simulate_scene(
            Scenes(("Ppip",), noises=(tmp_path / "hum.wav",)), 0.2, np.random.default_rng([2, i])
        )
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        f = np.fft.rfftfreq(len(samples), 1 / rate)
        shares.append(spectrum[abs(f - 33_000) < 200].max() / np.median(spectrum[abs(f - 33_000) < 3_000]))
    assert np.median(np.sort(shares)[-5:]) > 100 * np.median(np.sort(shares)[:4])


def test_species_are_drawn_as_often_as_they_are_met():
    scenes = Scenes(("Ppip", "Rhip"), insects=False, encounters=(9.0, 1.0))
    drawn = [simulate_scene(scenes, 0.2, np.random.default_rng([4, i]))[2]["node"] for i in range(60)]
    windows = [sum(species in nodes for nodes in drawn) for species in (0, 1)]
    assert windows[0] > 3 * windows[1] > 0


def test_recordings_begin_and_end_within_calls(monkeypatch):
    """What lies beyond the end of a recording is silent, and a call that crosses it begins or ends there."""
    monkeypatch.setattr("batpam.training.examples.TRIGGERED", 1.0)
    crossing, offsets = {"start": 0, "end": 0}, 0
    for i in range(150):
        samples, rate, events = simulate_scene(Scenes(("Nnoc",), insects=False), 0.3, np.random.default_rng([6, i]))
        margin, calls = round(MARGIN * rate), events[(events["node"] == 0) & (events["snr"] >= FAINT_SNR)]
        assert abs(len(samples) - (0.3 + 2 * MARGIN) * rate) < 2
        offsets += abs(np.median(samples[margin:-margin])) > 0.01
        if not samples[:margin].any():
            crossing["start"] += int((calls["start"] == 0).sum())
        if not samples[len(samples) - margin :].any():
            crossing["end"] += int((abs(calls["end"] - 0.3) < 1e-4).sum())
    assert crossing["start"] >= 4 and crossing["end"] >= 1
    assert 3 < offsets < 30  # of a quarter that is cut, half has one, most of them too small for this


def test_a_call_that_is_cut_is_what_is_left_of_it(monkeypatch):
    """A sweep from 80 to 30 kHz, ones in the samples, between two that are far from the ends."""
    monkeypatch.setattr("batpam.training.examples.TRIGGERED", 1.0)
    rate, ends = 250_000, 0
    count = int((0.3 + 2 * MARGIN) * rate)
    for seed in range(40):
        events, samples = [], np.zeros(count + round(SPARE * rate))
        for start, end in ((MARGIN + after, MARGIN + after + 0.01) for after in (0.02, 0.17, 0.35)):
            u = np.linspace(0, 1, 21)
            track = np.stack([start + 0.01 * u, 80e3 - 50e3 * u, -20 - 5 * u, 30 - 5 * u], axis=1)
            events.append((0, 0, Heard(start, end, 30e3, 80e3, 80e3, -20.0, 30.0, track)))
            samples[round(start * rate) : round(end * rate)] = 1.0
        kept, left = _cut(samples, events, rate, np.random.default_rng(seed))
        assert len(kept) == count
        sounds = np.zeros(count)
        for _, _, heard in left:
            sounds[max(round(heard.start * rate), 0) : max(round(heard.end * rate), 0)] = 1.0
            lasts = heard.end - heard.start
            if lasts < 0.0099:
                ends += 1
                assert lasts > 0.005 - 1e-4 and heard.snr > 20
                first = 80e3 - 5e6 * (0.01 - lasts) if heard.start < MARGIN + 0.07 else 80e3
                assert heard.peak == heard.high == pytest.approx(first, abs=3e3)
                assert heard.low == pytest.approx(first - 5e6 * lasts, abs=3e3)
        np.testing.assert_allclose(np.flatnonzero(sounds), np.flatnonzero(kept), atol=2)
    assert ends >= 36  # of some next to nothing is lost


def test_a_label_of_a_whole_window_is_one_centre():
    event = np.zeros(1, EVENT)
    event["snr"], event["low"], event["high"], event["peak"], event["end"] = 30.0, 15e3, 90e3, 40e3, WINDOW
    silence = np.zeros((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), np.uint8)
    item = CallDataset(Examples([silence], [event], [True]), len(CODES), TRANSFORM)[0]
    assert (item["heat"] == 1).sum() == 1 and (item["node"] >= 0).float().mean() < 0.2
    assert item["share"].sum() == pytest.approx(1)


def test_echoes_are_events_of_their_own_unless_there_are_none():
    def echoes(scenes):
        scenes = [simulate_scene(scenes, WINDOW, np.random.default_rng([8, i]))[2] for i in range(40)]
        return np.concatenate([events[events["call_type"] == CALL_TYPES.index("echo")] for events in scenes])

    assert len(echoes(Scenes(CODES))) > 3
    assert not len(echoes(Scenes(CODES, echoes=False)))


def test_an_echo_in_the_tail_of_a_call_is_faint():
    rate, rng = 384_000, np.random.default_rng(1)
    echo = Heard(0.01, 0.012, 40e3, 50e3, 45e3, -40.0, 30.0)
    assert _drowned(echo, np.zeros(rate // 10), rate) == echo
    loud = _drowned(echo, 10 ** (-30 / 20) * rng.standard_normal(rate // 10), rate)
    assert loud.snr < FAINT_SNR and replace(loud, snr=30.0) == echo


def repeat_targets(item, classes):
    """A prediction that says what the targets say."""
    of_classes = torch.nn.functional.one_hot(item["node"].clamp(min=0), classes).permute(2, 0, 1) * 9.0
    call = torch.logit(item["heat"].clamp(1e-4, 1 - 1e-4))
    call_type = torch.nn.functional.one_hot(item["call_type"].clamp(min=0), len(CALL_TYPES)).permute(2, 0, 1) * 9.0
    extent = torch.log(torch.expm1(item["extent"].clamp(min=1e-3)))
    return Prediction(call[None], of_classes[None], call_type[None], extent[None])


def test_a_network_that_repeats_the_targets_finds_the_calls(examples):
    data = CallDataset(examples, len(CODES), TRANSFORM)
    total = again = 0
    for i in range(len(data)):
        calls = decode(repeat_targets(data[i], len(CODES) + 2), 0.5, 1.0)[0]
        for event in examples.events[i]:
            if event["node"] >= len(CODES) or event["snr"] < FAINT_SNR:
                continue
            if not 0.005 < (event["start"] + event["end"]) / 2 < WINDOW - 0.005:
                continue
            bats = examples.events[i][examples.events[i]["node"] < len(CODES)]
            others = bats[bats != event]
            if ((others["start"] < event["end"]) & (others["end"] > event["start"])).any():
                continue  # all scores are the same here, so of two that share a cell either may be kept
            near = (abs(calls.start * FRAME - event["start"]) < 0.003) & (abs(calls.end * FRAME - event["end"]) < 0.003)
            near &= (calls.classes.argmax(axis=1) == event["node"]) & (calls.call_type == event["call_type"])
            total += 1
            again += near.any()
    assert total > 20
    assert again >= 0.95 * total


def test_a_cell_belongs_to_the_call_whose_centre_is_nearest():
    """The louder of two bats, a row away, does not take the centre of the other."""
    events = np.zeros(2, EVENT)
    frequencies = TRANSFORM.frequencies()
    for event, row, frame, node, snr in zip(events, (3, 4), (40, 40), (0, 1), (20.0, 40.0), strict=True):
        low, high = frequencies[8 * row + 2], frequencies[8 * row + 6]
        event["node"], event["snr"], event["low"], event["high"] = node, snr, low, high
        event["peak"] = frequencies[8 * row + 4]
        event["start"], event["end"] = (frame - 1) * FRAME, (frame + 2) * FRAME
    silence = np.zeros((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), np.uint8)
    item = CallDataset(Examples([silence], [events], [True]), len(CODES), TRANSFORM)[0]
    for row, frame, node in ((3, 40, 0), (4, 40, 1), (3, 39, 0), (4, 41, 1)):
        assert item["node"][row, frame] == node
    assert item["heat"][3, 40] == item["heat"][4, 40] == 1


def test_a_long_call_may_be_found_further_from_its_centre():
    events = np.zeros(2, EVENT)
    for event, centre, length in zip(events, (50.5, 140.5), (2, 20), strict=True):
        event["snr"], event["low"], event["high"], event["peak"] = 30.0, 24e3, 26e3, 25e3
        event["start"] = centre * FRAME - min(length / 2 * FRAME, CENTRE_LAG)
        event["end"] = event["start"] + length * FRAME
    silence = np.zeros((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), np.uint8)
    item = CallDataset(Examples([silence], [events], [True]), len(CODES), TRANSFORM)[0]
    row = int(item["heat"][:, 50].argmax())
    short, long = item["heat"][row, 50:56], item["heat"][row, 140:146]
    assert short[0] == long[0] == 1
    assert (long[1:] > short[1:]).all() and long[2] > 0.5 > short[2]


def one_call(snr, frames=2):
    """Events of a window: one call of so many dB, found at frame 52."""
    events = np.zeros(1, EVENT)
    events["snr"], events["low"], events["high"], events["peak"] = snr, 24e3, 26e3, 25e3
    first = 52 - min(frames / 2, 2)
    events["start"], events["end"] = first * FRAME, (first + frames) * FRAME
    return events


@pytest.mark.parametrize(
    ("snr", "frames", "heat", "weight"),
    [
        (FAINT_SNR, 2, 1, 1),
        (FAINT_SNR - 1, 2, 0, 0),
        (LOST_SNR, 2, 0, 0),
        (LOST_SNR - 1, 2, 0, 1),
        (-20.0, 2, 0, 1),
        (FOLDED_SNR, 2, 0, 0),
        # four times as long as what nothing is added to: 3 dB
        (FAINT_SNR - 2.9, 10, 1, 1),
        (FAINT_SNR - 3.1, 10, 0, 0),
        (LOST_SNR - 3.1, 10, 0, 1),
        (FOLDED_SNR, 10, 0, 0),
    ],
)
def test_faint_calls_may_be_found_lost_ones_not_and_of_others_nobody_can_tell(snr, frames, heat, weight):
    silence = np.zeros((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), np.uint8)
    item = CallDataset(Examples([silence], [one_call(snr, frames)], [True]), len(CODES), TRANSFORM)[0]
    here = (int(to_row(25e3, TRANSFORM)), 52)
    assert (item["heat"][here], item["weight"][here]) == (heat, weight)


def test_what_is_mixed_in_is_not_lost_as_long_as_it_may_be_heard():
    silence, loud = (np.full((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), level, np.uint8) for level in (0, 100))
    for snr in (10.0, 14.0, FOLDED_SNR):
        data = CallDataset(
            Examples([silence, loud], [one_call(50.0), one_call(snr)], [True] * 2), len(CODES), TRANSFORM
        )
        mixed = []
        for i in range(200):
            _, events = data._augment(from_bytes(silence), one_call(50.0), np.random.default_rng(i), mix=True)
            mixed += events["snr"][1:][events["snr"][1:] < 25].tolist()
        assert len(mixed) > 5
        if snr == FOLDED_SNR:
            assert set(mixed) == {FOLDED_SNR}
        else:
            # at the same level as before it may be heard; 15 dB below that it may not
            assert min(mixed) < LOST_SNR <= max(mixed) <= max(snr - 6, LOST_SNR)


def test_a_labelled_call_under_another_soundscape_is_neither_right_nor_wrong():
    silence = np.zeros((round(WINDOW / TRANSFORM.hop), TRANSFORM.voices), np.uint8)
    data = CallDataset(Examples([silence], [one_call(CERTAIN_SNR)], [True]), len(CODES), TRANSFORM)
    found = [
        data._augment(from_bytes(silence), one_call(50.0), np.random.default_rng(i), mix=True)[1] for i in range(40)
    ]
    assert {float(events["snr"][1]) for events in found if len(events) > 1} == {FOLDED_SNR}


def test_loss_is_least_for_the_targets_and_ignores_what_has_no_weight(examples):
    data = CallDataset(examples, len(CODES), TRANSFORM)
    item = max((data[i] for i in range(len(data))), key=lambda item: int((item["heat"] > 0.99).sum()))
    batch = {name: value[None] for name, value in item.items()}
    below = torch.from_numpy(membership(TAXA))
    right = repeat_targets(item, len(CODES) + 2)
    wrong = Prediction(-right.call, -right.classes, -right.call_type, right.extent + 3)
    best, worst = call_losses(right, batch, below), call_losses(wrong, batch, below)
    for name in best:
        assert best[name] < worst[name]
    batch["weight"].zero_()
    assert call_losses(wrong, batch, below)["call"] == 0


def test_a_label_of_a_group_teaches_the_group_and_not_which_species():
    below = torch.from_numpy(membership(TAXA))
    family = list(nodes(TAXA)).index("Vespertilionidae")
    maps = {
        "heat": torch.zeros(1, 2, 4), "weight": torch.ones(1, 2, 4), "node": torch.full((1, 2, 4), -1),
        "call_type": torch.full((1, 2, 4), -1), "extent": torch.zeros(1, 4, 2, 4), "share": torch.ones(1, 2, 4),
    }  # fmt: skip
    maps["heat"][0, 1, 2], maps["node"][0, 1, 2] = 1.0, family

    def loss(of):
        classes = torch.zeros(1, 5, 2, 4)
        classes[0, of, 1, 2] = 6.0
        nothing = torch.zeros(1, 2, 4), classes, torch.zeros(1, 3, 2, 4), torch.zeros(1, 4, 2, 4)
        return float(call_losses(Prediction(*nothing), maps, below)["classes"])

    assert loss([0]) == pytest.approx(loss([2])) and loss([0]) < 0.02 < 1 < loss([1])


def test_augmentation_differs_between_epochs_and_repeats_within_one(examples):
    data = CallDataset(examples, len(CODES), TRANSFORM, augment_seed=1)
    first = data[0]["power"]
    assert torch.equal(first, data[0]["power"])
    data.epoch = 1
    assert not torch.equal(first, data[0]["power"])


def test_what_is_not_labelled_in_a_recording_is_neither_right_nor_wrong(examples):
    partly = Examples(examples.power, examples.events, [False] * 12)
    item = CallDataset(partly, len(CODES), TRANSFORM)[0]
    assert ((item["weight"] > 0) <= (item["node"] >= 0)).all()


def test_species_that_the_simulator_does_not_know_is_named(tmp_path):
    with pytest.raises(UserError, match="Xxxx"):
        train((Taxon("Xxxx", "a", "b", "c", "d"),), TrainingSettings(), tmp_path / "m.safetensors")


def test_settings_of_a_training_are_checked(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("windows: 100\nepoch: 3\n")
    with pytest.raises(UserError, match="unknown key 'epoch'; did you mean 'epochs'"):
        read_training_settings(path)
    path.write_text("window: 0.3\n")
    with pytest.raises(UserError, match=r"window \(0\.3 s\) must be a multiple of 0\.008 s"):
        read_training_settings(path)
    path.write_text("own:\n  - annotations: a.csv\n    weight: 2\n")
    assert read_training_settings(path).own[0].weight == 2


NOTHING_SAID = pd.DataFrame(columns=["recording", "label", "taxon"])


def sited(*paths, labels=()):
    """Recordings with a label each: (label as written, taxon)."""
    said = pd.DataFrame(list(labels), columns=["label", "taxon"]).assign(recording=list(paths)[: len(labels)])
    return pd.DataFrame({"recording": paths, "split": "", "site": _sites(pd.Series(paths), said, TAXA)})


def test_recordings_are_held_out_by_site_and_never_in_parts():
    many = sited(*[f"survey/site{i % 10}/night{i % 3}/{i}.wav" for i in range(100)])
    part = split(many, 1)
    sites = many["recording"].str.split("/").str[1]
    assert [set(sites[part == k]) & set(sites[part == m]) for k, m in ((0, 1), (0, 2), (1, 2))] == [set()] * 3
    assert np.bincount(part).tolist() == [80, 10, 10]
    few = sited(*[f"site/{i}.wav" for i in range(20)])
    assert np.bincount(split(few, 1)).tolist() == [16, 2, 2] and (split(few, 1) == split(few, 1)).all()
    told = few.assign(split=["test"] * 3 + ["train"] * 17)
    assert sorted(split(told, 1)[:3]) in ([1, 1, 2], [1, 2, 2]) and not split(told, 1)[3:].any()


def test_recordings_beside_the_folders_of_few_sites_are_no_sites():
    loose = sited(*[f"survey/site{i % 2}/{i}.wav" for i in range(20)], *[f"survey/{i}.wav" for i in range(5)])
    assert np.bincount(split(loose, 1)).tolist() == [20, 3, 2]


@pytest.mark.parametrize(
    ("folders", "written"),
    [(("ppip", "Rhip", "NNOC"), "x"), (("ppip", "Rhip", "NNOC"), ""), (("a", "b", "c", "d", "e"), "")],
)
def test_of_folders_of_species_no_species_is_held_out_as_a_whole(folders, written):
    meant = {"ppip": "Ppip", "NNOC": "Nnoc"}  # of a, of b: by the names of the settings, Ppip
    known = [(written or name, meant.get(name, name if name in CODES else "Ppip")) for name in folders]
    labels = [label for label in known for _ in range(40)]
    many = sited(*[f"top/{name}/{i}.wav" for name in folders for i in range(40)], labels=labels)
    part = split(many, 1)
    assert (part > 0).sum() == 8 * len(folders)
    assert set(many["recording"][part == 0].str.split("/").str[1]) == set(folders)
    sites = sited(*[f"top/{name}/site{i % 5}/{i}.wav" for name in folders for i in range(40)], labels=labels)
    part = split(sites, 1)
    assert (part > 0).sum() == 8 * len(folders)
    assert sites["recording"][part > 0].str.split("/").str[2].nunique() == 1


def test_sites_of_recordings_of_which_some_are_named_in_full():
    here = Path.cwd()
    assert _sites(pd.Series(["a/site1/x.wav", str(here / "a/site2/y.wav")]), NOTHING_SAID, TAXA) == [
        "site1",
        "site2",
    ]
    assert _sites(pd.Series([], dtype=str), NOTHING_SAID, TAXA) == []


def test_a_site_that_is_named_like_a_taxon_is_one_where_others_are_heard():
    labels = [("Ppip", "Ppip"), ("Nnoc", "Nnoc"), ("Rhip", "Rhip")]
    assert list(sited("a/nnoc/x.wav", "a/nnoc/y.wav", "a/rhip/z.wav", labels=labels)["site"]) == ["nnoc", "nnoc", ""]


class Oracle(torch.nn.Module):
    """Says of examples what is in them, but of each third species call another name, and now and then a call too many."""

    def __init__(self, examples):
        super().__init__()
        self.data, self.turn = CallDataset(examples, len(CODES), TRANSFORM), 0

    def forward(self, power):
        number = self.turn % len(self.data)
        self.turn += 1
        rng, item = np.random.default_rng(number), self.data[number]
        right = repeat_targets(item, len(CODES) + 2)
        right.call.clamp_(max=4.0)
        for row, frame in torch.nonzero(item["heat"] > 0.99):
            if rng.random() < 0.33:
                around = right.classes[0, :3, max(row - 1, 0) : row + 2, max(frame - 1, 0) : frame + 2]
                around.copy_(around.roll(1, 0))
            if rng.random() < 0.3:
                right.call[0, row, frame] = 0.4
        for row, frame in torch.nonzero(item["heat"] == 0)[:: rng.integers(150, 250)]:
            right.call[0, row, frame], right.classes[0, 0, row, frame] = 0.4, 9.0
        return right


def test_calibration_makes_probabilities_of_scores(examples):
    calibration = calibrate(Oracle(examples), examples, len(CODES), TRANSFORM)
    assert calibration.temperature > 1.5  # it was surer than it was right
    metrics = measure(Oracle(examples), examples, TAXA, TRANSFORM, calibration)
    assert 0.3 < metrics["species_right"] < 0.9 and metrics["recall"] > 0.5
    events = np.concatenate(examples.events)
    events = events[(events["node"] < len(CODES)) & (rises(events) >= FAINT_SNR)]
    events = events[(centres(events) > 0) & (centres(events) < WINDOW)]
    called = events["call_type"] != CALL_TYPES.index(ECHO)
    assert metrics["calls"] == called.sum() < len(events)
    assert set(metrics["recall_by_call_type"]) == {CALL_TYPES[kind] for kind in np.unique(events["call_type"])}
    right = metrics["call_type_right"]  # an echo next to a call may be matched with it
    assert min(right[kind] for kind in right if kind != ECHO) > 0.9 and right[ECHO] > 0.5

    shares = []
    for of in ("detection", "group", "species"):
        bins = metrics[f"{of}_probability"]
        weights = [b["detections"] for b in bins]
        stated, right = (np.average([b[name] for b in bins], weights=weights) for name in ("probability", "right"))
        assert stated == pytest.approx(right, abs=0.05 if of == "detection" else 0.1)
        shares.append(right)
    assert 0.9 > shares[0] > shares[1] >= shares[2] > 0.1


def test_where_nothing_can_be_wrong_what_is_right_says_nothing_of_probabilities(examples):
    part = Examples(examples.power, examples.events, [False] * len(examples))
    oracle = Oracle(examples)
    detections, calls = match_examples(oracle, part, len(CODES), TRANSFORM, Calibration())
    assert len(detections) and detections["bat"].isna().all() and (calls["detection"] >= 0).any()
    assert calibrate(Oracle(examples), part, len(CODES), TRANSFORM).scores == Calibration().scores


def test_calibration_finds_what_the_signal_to_noise_ratio_says():
    rng = np.random.default_rng(0)
    score, snr = rng.uniform(0.02, 0.98, 20_000), rng.uniform(-5, 60, 20_000)
    true = Calibration(1.0, 0.8, 0.2, 0.05, -2.0)
    right = (rng.random(len(score)) < true.heard(score, snr)).astype(float)
    fitted = _fit_loudness(score, snr, right, Calibration(1.7))
    assert fitted.temperature == 1.7
    for name, tolerance in (("odds_weight", 0.1), ("snr_below", 0.02), ("snr_above", 0.01), ("odds_offset", 0.2)):
        assert getattr(fitted, name) == pytest.approx(getattr(true, name), abs=tolerance), name
    unlike = _fit_loudness(score, -snr, right, Calibration())
    assert unlike.snr_below == unlike.snr_above == 0  # louder calls are never worth less


def small(**changes):
    fixed = {"windows": 160, "window": WINDOW, "epochs": 5, "batch": 8, "rate": 6e-3, "seed": 2, "device": "cpu"}
    return TrainingSettings(**fixed, scalogram={"voices": TRANSFORM.voices}, **changes)


@pytest.mark.parametrize(("seed", "sure", "plain", "alike"), [(0, 4.0, 1.5, 1.0), (2, 1.0, 2.0, 0.5)])
def test_neighbours_weigh_what_is_likeliest(seed: int, sure: float, plain: float, alike: float):
    """Sequences of ten species whose calls err together, the more with ``alike``: no other weight says more of them."""
    rng = np.random.default_rng(seed)
    rows, calls = [], []
    for example in range(100):
        true, bat = int(rng.integers(10)), rng.normal(size=10)
        for k in range(8):
            logits = sure * (plain * (np.arange(10) == true) + alike * bat + rng.normal(size=10))
            classes = np.append(0.98 * np.exp(logits) / np.exp(logits).sum(), [0.01, 0.01])
            rows.append({"example": example, "time": 0.1 * k, "score": 0.98, "classes": classes, "call_type": 0})
            calls.append({"node": true, "call_type": 0, "detection": len(rows) - 1})
    detections, calls = pd.DataFrame(rows), pd.DataFrame(calls)
    time = (detections["time"] + 100 * detections["example"]).to_numpy()
    columns = np.stack(detections["classes"]), detections["score"].to_numpy(), detections["call_type"].to_numpy(), time

    def surprise(calibration):
        named = name_in_sequence(*columns, calibration)
        return -np.mean(np.log(named[np.arange(len(calls)), calls["node"]] / 0.98))

    fitted = _fit_sequence(detections, calls, 10, Calibration())
    others = [
        Calibration(same_bat=same, sequence_weight=weight, sequence_temperature=temperature)
        for same in (0.2, 0.5, 0.8, 0.95) for weight in (0.3, 1, 2, 4, 7) for temperature in (0.5, 1, 2, 4)
    ]  # fmt: skip
    assert surprise(fitted) < min(surprise(other) for other in others) + 0.003


def test_calibration_lets_search_calls_name_a_buzz_and_no_more_than_they_know():
    """Calls of one bat: search calls are named right four times in five, calls of the buzz by chance."""
    rng = np.random.default_rng(0)
    rows, calls = [], []
    for example in range(60):
        true = int(rng.integers(3))
        for k in range(12):
            buzz = k > 5
            guess = true if rng.random() < (1 / 3 if buzz else 0.8) else int(rng.integers(3))
            classes = np.append(np.where(np.arange(3) == guess, 0.6, 0.15), [0.05, 0.05])
            classes *= 1 / classes.sum()
            score = classes[:3].sum()
            rows.append(
                {"example": example, "time": 0.08 * k, "score": score, "classes": classes, "call_type": int(buzz)}
            )
            calls.append({"node": true, "call_type": int(buzz), "detection": len(rows) - 1})
    detections, calls = pd.DataFrame(rows), pd.DataFrame(calls)
    fitted = _fit_sequence(detections, calls, 3, Calibration())
    assert fitted.sequence_weight > 0.3 and fitted.same_bat > 0.5
    right = []
    for _, part in detections.groupby("example"):
        columns = (np.stack(part["classes"]), *(part[name].to_numpy() for name in ("score", "call_type", "time")))
        right += list(name_in_sequence(*columns, fitted)[:, :3].argmax(1) == calls["node"][part.index])
    buzz = calls["call_type"] == 1
    assert np.mean(np.array(right)[buzz]) > 0.9


@pytest.mark.parametrize("told", [{"amx_bf16": True}, {"avx512_bf16": True}, {"avx512_f": True}, {}])
def test_bfloat16_is_for_cpus_with_instructions_for_it(told, monkeypatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: told)
    assert has_bfloat16("cpu") == any("bf16" in name for name in told)


@pytest.mark.slow
def test_training_learns_writes_a_model_goes_on_and_can_be_trained_further(tmp_path):
    output = tmp_path / "m.safetensors"
    card = train(TAXA, small(), output, workers=2)
    _, read = load_model(output)
    assert json.dumps(read.metrics) == json.dumps(card.metrics) and [t.code for t in read.taxa] == list(CODES)
    run = next((tmp_path / "m-training").glob("run-*"))
    log = pd.read_csv(run / "log" / "metrics.csv")
    losses = log["held_out_loss"].dropna().to_numpy()
    assert losses[-1] < 0.8 * losses[0] and list((run / "tensorboard").glob("events*"))
    assert card.training["epochs_run"] == 5
    # the same again finds its last checkpoint and has nothing left to do
    assert train(TAXA, small(), output, workers=2).metrics == card.metrics
    # a new species begins as one of its group, the others as they were
    more = (*TAXA, Taxon("Ppyg", "Ppyg", "", "Pipistrellus", "Vespertilionidae"))
    further = train(more, small(start=str(output)), tmp_path / "more.safetensors", workers=2)
    assert [t.code for t in further.taxa] == [*CODES, "Ppyg"]
    assert further.training["start"] == str(output)


@pytest.mark.slow
def test_several_processes_train_one_model(tmp_path):
    rows = ["file,start_s,end_s,label,exhaustive"]
    for i in range(8):
        soundfile.write(
            tmp_path / f"r{i}.wav",
            self_noise(128_000, Recorder(sample_rate=256_000), np.random.default_rng(i)),
            256_000,
        )
        rows.append(f"r{i}.wav,0.2,0.21,Ppip,yes")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    taxa = ["code\tspecies\tenglish\tgroup\tfamily"] + [
        "\t".join((t.code, t.species, t.english, t.group, t.family)) for t in TAXA
    ]
    (tmp_path / "taxa.tsv").write_text("\n".join(taxa) + "\n")
    told = {
        "taxa": "taxa.tsv", "windows": 24, "window": WINDOW, "epochs": 1, "batch": 4, "width": 2, "context_width": 8,
        "device": "cpu", "devices": 3, "scalogram": {"voices": 48}, "own": [{"annotations": "labels.csv"}],
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(json.dumps(told))
    command = [sys.executable, "-m", "batpam", "train", "--config", "c.yaml", "--output", "m.safetensors"]
    # in a job of Slurm, whose tasks Lightning would take for the processes, and wait for none
    job = {
        "SLURM_NTASKS": "1",
        "SLURM_JOB_NAME": "train",
        "SLURM_JOB_ID": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
    }
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ | job)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "MEMBER: 3/3" in run.stderr
    assert run.stdout.count('"recall"') == 1 and set(json.loads(run.stdout.splitlines()[-1])) > {"recall"}
    assert load_model(tmp_path / "m.safetensors")[1].training["devices"] == 3
    assert (tmp_path / "m-training" / "held-out-1.csv").read_text().count(".wav") == 2


@pytest.mark.slow
def test_own_recordings_with_labels_are_trained_on(tmp_path):
    rows, rate = ["file,start_s,end_s,low_hz,high_hz,label,exhaustive"], 256_000
    for i in range(6):
        rng = np.random.default_rng(i)
        samples = self_noise(rate, Recorder(sample_rate=rate), rng).astype(float)
        for start in (0.2, 0.5, 0.8):
            t = np.arange(int(0.005 * rate)) / rate
            samples[int(start * rate) :][: len(t)] += (
                0.1 * np.sin(2 * np.pi * (90e3 * t - 0.5 * 8e6 * t**2)) * np.hanning(len(t))
            )
            rows.append(f"r{i}.wav,{start},{start + 0.005},50000,90000,{'Ppip' if i % 2 else 'Blarb'},true")
        soundfile.write(tmp_path / f"r{i}.wav", samples, rate)
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    kept = tmp_path / "held-out.csv"
    mine, checked, tested = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, kept)
    assert "r" in kept.read_text()
    assert len(checked) and len(mine) + len(checked) + len(tested) == 6 * 3
    events = np.concatenate(mine.events)
    assert events.dtype == EVENT and set(events["node"]) == {0}
    assert (events["snr"] > FAINT_SNR).any() and (events["snr"] < FAINT_SNR).any()  # labels that fit nothing
    with pytest.raises(UserError, match=r"r0\.wav has labels in .* and in .*; put the labels of a recording into one"):
        read_own(settings.own * 2, TAXA)


@pytest.mark.parametrize("exhaustive", ["yes", "no"])
def test_a_label_is_learnt_where_its_call_is_found_and_what_runs_on_is_not_without_one(tmp_path, exhaustive):
    soundfile.write(tmp_path / "r.wav", np.zeros(204_800), 256_000)  # two windows long
    # found 4 ms behind its start, in the first window; its middle lies in the second
    (tmp_path / "labels.csv").write_text(f"file,start_s,end_s,label,exhaustive\nr.wav,0.394,0.42,Ppip,{exhaustive}\n")
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    data = CallDataset(mine, len(CODES), TRANSFORM)
    assert data[0]["heat"].max() == 1
    assert len(mine) == (2 if exhaustive == "yes" else 1)
    if exhaustive == "yes":
        beside = data[1]
        assert beside["heat"].max() == 0 and (beside["weight"][:, :9].min(dim=1).values == 0).any()
        assert beside["weight"][:, 12:].min() == 1


def test_calls_that_are_found_in_parts_of_a_recording_get_the_label_of_their_part(tmp_path):
    noise = self_noise(256_000, Recorder(sample_rate=256_000), np.random.default_rng(0))
    soundfile.write(tmp_path / "r.wav", noise, 256_000)
    (tmp_path / "labels.csv").write_text(
        "file,start_s,end_s,label,call_type,extent\nr.wav,0.05,0.2,Ppip,echolocation,file\nr.wav,0.8,0.9,Ppip,social,file\n"
    )
    settings = small(
        own=[{"annotations": str(tmp_path / "labels.csv")}], start=str(a_network_that_finds(tmp_path, 9.0))
    )
    (labels,) = read_own(settings.own, TAXA)
    found = _with_found_calls(labels, TAXA, settings, 1)
    early = found["end_s"].between(0.05, 0.3) & (found["start_s"] <= 0.2)
    late = (found["end_s"] >= 0.8) & (found["start_s"] <= 0.9)
    assert early.any() and late.any() and (early | late).all()
    assert set(found["call_type"][early]) - {ECHO} <= {"echolocation"}
    assert set(found["call_type"][late]) - {ECHO} <= {"social"}


def test_a_position_is_learnt_in_a_window_that_has_all_of_its_call(tmp_path):
    samples = np.random.default_rng(0).normal(0, 1e-3, 204_800)
    samples[int(0.386 * 256_000) :][:1000] += 0.3 * np.sin(2 * np.pi * 45e3 / 256e3 * np.arange(1000))
    soundfile.write(tmp_path / "r.wav", samples, 256_000)
    certain = {}
    for start in (0.375, 0.385):
        (tmp_path / "labels.csv").write_text(f"file,start_s,label,exhaustive\nr.wav,{start},Ppip,yes\n")
        settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
        (labels,) = read_own(settings.own, TAXA)
        mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
        certain[start] = [(events["snr"] == CERTAIN_SNR).tolist() for events in mine.events]
    assert certain == {0.375: [[True], []], 0.385: [[False], [False]]}  # the second reaches into the next window


def test_a_long_call_at_the_end_of_a_window_is_told():
    ends = []
    for i in range(40):
        _, _, events = simulate_scene(Scenes(("Rfer",), insects=False), 0.3, np.random.default_rng([5, i]))
        bats = events[(events["node"] == 0) & (events["call_type"] == 0) & (events["snr"] > 20)]
        ends += bats["end"].tolist()
    assert any(end > 0.335 for end in ends)  # begun within the window, ended behind it


def test_the_same_surfaces_return_all_calls_of_a_bat(monkeypatch):
    drawn = []

    def heard(samples, call, flight, recorder, rng, **how):
        if how["echoes"] > 0:
            drawn.append((flight, str(rng.bit_generator.state)))
        return hear_call(samples, call, flight, recorder, rng, **how)

    monkeypatch.setattr("batpam.training.examples.hear_call", heard)
    for i in range(4):
        simulate_scene(Scenes(CODES), 0.5, np.random.default_rng([7, i]))
    assert len(set(drawn)) == len({flight for flight, _ in drawn}) < len(drawn) / 3


def test_what_labels_do_not_tell_is_taken_from_a_recording_shorter_than_the_window(tmp_path):
    rng, t = np.random.default_rng(0), np.arange(1000) / 256e3
    samples = rng.normal(0, 1e-3, 30_720) + 0.05 * np.sin(2 * np.pi * 12e3 * np.arange(30_720) / 256e3)  # a hum
    samples[10_000:11_000] += 0.03 * np.sin(2 * np.pi * 45e3 * t)
    soundfile.write(tmp_path / "r.wav", samples, 256_000)
    (tmp_path / "labels.csv").write_text("file,start_s,end_s,label\nr.wav,0.038,0.044,Ppip\n")
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    (event,) = mine.events[0]
    assert event["peak"] == pytest.approx(45e3, rel=0.03)
    assert event["low"] > 30e3 and event["high"] < 70e3


def test_windows_of_rare_species_are_drawn_more_often():
    def window(*nodes, snr=CERTAIN_SNR):
        return np.array([(node, 0, 0.1, 0.11, 4e4, 5e4, 45e3, snr) for node in nodes], EVENT)

    shares = windows.balanced([window(0)] * 80 + [window(1), window(0, 1)] * 10 + [window()] * 2 + [window(2, snr=-99)])
    assert shares.sum() == pytest.approx(1)
    assert shares[80] / shares[0] == pytest.approx(np.sqrt(90 / 20)) and shares[81] == shares[80]
    assert shares[100] == shares[102] < shares[0]
    single = windows.balanced([window(0)] * 40 + [window(1)])
    assert single[40] / single[0] == pytest.approx(2)  # as one of ten
    assert windows.balanced([window()]).tolist() == [1]


def test_a_call_that_fills_its_recording_is_learnt_where_it_is(tmp_path):
    t = np.arange(int(0.012 * 256_000)) / 256e3
    samples = 0.1 * np.sin(2 * np.pi * 45e3 * t) + np.random.default_rng(0).normal(0, 1e-3, len(t))
    soundfile.write(tmp_path / "r.wav", samples, 256_000)
    (tmp_path / "labels.csv").write_text("file,start_s,end_s,label\nr.wav,0,0.012,Ppip\n")
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    assert mine.events[0]["peak"][0] == pytest.approx(45e3, rel=0.03)


@pytest.mark.parametrize("khz", [45.0, 83.1])
def test_a_label_narrower_than_a_voice_is_learnt_at_its_frequency(tmp_path, khz):
    soundfile.write(tmp_path / "r.wav", np.random.default_rng(0).normal(0, 1e-3, 102_400), 256_000)
    (tmp_path / "labels.csv").write_text(
        f"file,start_s,end_s,low_hz,high_hz,label\nr.wav,0.1,0.11,{khz * 1e3},{khz * 1e3},Ppip\n"
    )
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    (event,) = mine.events[0]
    assert [event[name] for name in ("low", "peak", "high")] == pytest.approx([khz * 1e3] * 3, rel=0.03)


def test_recordings_of_noise_alone_teach_that_there_is_no_call(tmp_path):
    noise = self_noise(204_800, Recorder(sample_rate=256_000), np.random.default_rng(0))
    soundfile.write(tmp_path / "r.wav", noise, 256_000)
    (tmp_path / "labels.csv").write_text("file,label,exhaustive\nr.wav,noise,yes\n")
    settings = small(
        own=[{"annotations": str(tmp_path / "labels.csv")}], start=str(a_network_that_finds(tmp_path, 9.0))
    )
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    assert mine.exhaustive == [True, True] and not any(len(events) for events in mine.events)


def test_a_species_that_only_a_label_that_fits_nothing_could_mean_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "simulate_examples", lambda *_, **__: Examples([], [], []))
    soundfile.write(tmp_path / "r.wav", np.zeros(64_000), 256_000)
    (tmp_path / "labels.csv").write_text("file,start_s,end_s,label\nr.wav,0.1,0.11,Xyxz\nr.wav,0.2,0.21,Ppip\n")
    unknown = Taxon("Xxxx", "Xus xus", "bat", "Xus", "Vespertilionidae")
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    with pytest.raises(UserError, match="neither the simulator nor what is learnt of the own data has calls of 'Xxxx'"):
        windows.gather_windows((unknown, *TAXA), TRANSFORM, settings, tmp_path, workers=1)


@pytest.mark.parametrize(("waited", "stops"), [(0, False), (3, False), (4, True), (5, True)])
def test_a_training_that_ended_early_does_not_go_on(waited, stops):
    early, trainer = StopsEarly("held_out_loss", patience=4), SimpleNamespace(should_stop=False)
    early.load_state_dict({**early.state_dict(), "wait_count": waited})
    early.on_train_start(trainer, None)
    assert trainer.should_stop is stops


def test_windows_are_made_anew_over_other_noise_of_the_same_name(tmp_path, monkeypatch):
    into = []
    monkeypatch.setattr(
        windows, "simulate_examples", lambda *_, folder, **__: into.append(folder) or Examples([], [], [])
    )
    monkeypatch.setattr(windows, "hard_negatives", lambda *_: Examples([], [], []))
    for seconds in (1, 1, 2):
        if not into or seconds == 2:
            soundfile.write(tmp_path / "rain.wav", np.zeros(seconds * 256_000), 256_000)
        windows.gather_windows(TAXA, TRANSFORM, small(noises=[str(tmp_path)]), tmp_path, workers=1)
    first, again, other = into[::2]
    assert first == again != other


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Ppyg\tPpip\tbat\tPipistrellus\tVespertilionidae", "species 'Ppip' stands twice"),
        ("Xxx\tnoise\tbat\tPipistrellus\tVespertilionidae", "'noise' stands for what is no bat"),
    ],
)
def test_taxa_that_cannot_be_told_apart_are_named(tmp_path, row, message):
    (tmp_path / "t.tsv").write_text(
        f"code\tspecies\tenglish\tgroup\tfamily\nPpip\tPpip\tbat\tPipistrellus\tVespertilionidae\n{row}\n"
    )
    with pytest.raises(UserError, match=message):
        read_taxa(tmp_path / "t.tsv")


def test_labels_beyond_a_recording_and_of_several_taxa_are_counted(tmp_path, capsys):
    soundfile.write(tmp_path / "r.wav", np.zeros(64_000), 256_000)
    soundfile.write(tmp_path / "s.wav", np.zeros(64_000), 256_000)
    (tmp_path / "labels.csv").write_text(
        "file,start_s,end_s,label\nr.wav,0.1,0.11,Ppip\nr.wav,7.1,7.11,Ppip\ns.wav,,,Ppip\ns.wav,,,Nnoc\n"
    )
    settings = small(own=[{"annotations": str(tmp_path / "labels.csv")}])
    (labels,) = read_own(settings.own, TAXA)
    own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    said = capsys.readouterr().err
    assert "r.wav: 1 labels lie beyond its 0.25 s" in said
    assert "labels of whole files of several taxa: 1, " in said and "s.wav for example" in said


def test_a_bat_of_a_whole_file_beside_marked_rain_may_be_anywhere(tmp_path):
    noise = self_noise(204_800, Recorder(sample_rate=256_000), np.random.default_rng(0))
    soundfile.write(tmp_path / "r.wav", noise, 256_000)
    (tmp_path / "labels.csv").write_text(
        "file,start_s,end_s,label,exhaustive\nr.wav,,,Ppip,yes\nr.wav,0.1,0.3,rain,yes\n"
    )
    settings = small(
        own=[{"annotations": str(tmp_path / "labels.csv")}], start=str(a_network_that_finds(tmp_path, 9.0))
    )
    (labels,) = read_own(settings.own, TAXA)
    mine, *_ = own_examples(labels, "labels.csv", TAXA, TRANSFORM, settings, tmp_path / "held-out.csv")
    assert not any(mine.exhaustive)  # what nobody marked is not learnt as noise
    taught = set(np.concatenate(mine.events)["node"])
    assert {0, len(CODES) + 1} <= taught  # what is found as the bat of the file, and the rain


def a_network_that_finds(tmp_path, bias):
    """A model of random weights that finds a call everywhere, or nowhere."""
    torch.manual_seed(0)
    network = CallNetwork(NetworkSettings(classes=len(CODES) + 2, voices=TRANSFORM.voices, width=2, context_width=8))
    torch.nn.init.constant_(network.heads.bias[:1], bias)
    model = tmp_path / "some.safetensors"
    write_model(network, ModelCard("some", TAXA, TRANSFORM, network.settings, Calibration(), {}, {}), model)
    return model


@pytest.mark.parametrize(("bias", "windows"), [(9.0, 3), (-30.0, 0)])
def test_hard_negatives_are_windows_in_which_the_model_finds_bats(tmp_path, bias, windows):
    noise = self_noise(256_000, Recorder(sample_rate=256_000), np.random.default_rng(0))
    soundfile.write(tmp_path / "rain.wav", noise, 256_000)
    found = hard_negatives(
        [tmp_path / "rain.wav"],
        TRANSFORM,
        small(start=str(a_network_that_finds(tmp_path, bias)), noises=[str(tmp_path)]),
    )
    assert len(found) == windows and all(found.exhaustive) and not any(len(events) for events in found.events)
    assert all(power.shape == (round(WINDOW / TRANSFORM.hop), TRANSFORM.voices) for power in found.power)


def test_a_new_species_begins_as_the_first_of_its_group(tmp_path):
    model = a_network_that_finds(tmp_path, 0.0)
    old = load_model(model)[0].heads
    new = Taxon("Nlei", "Nyctalus leisleri", "", "Nyctaloid", "Vespertilionidae")
    other = Taxon("Tten", "Tadarida teniotis", "", "Tadarida", "Molossidae")
    heads = _network((other, TAXA[2], new, TAXA[0]), small(start=str(model))).heads
    for name in ("weight", "bias"):
        was, now = getattr(old, name), getattr(heads, name)
        # call; Tten as the first of all, Nnoc, Nlei as Nnoc, Ppip; insect, noise, types and extents
        assert torch.equal(now, was[[0, 1, 3, 3, 1, *range(4, len(was))]])


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on(tmp_path):
    settings, output = tmp_path / "t.yaml", tmp_path / "m.safetensors"
    (tmp_path / "taxa.tsv").write_text(
        "code\tspecies\tenglish\tgroup\tfamily\n" + "".join(f"{c}\t{c}\t{c}\tG\tF\n" for c in CODES)
    )
    settings.write_text(
        f"taxa: {tmp_path / 'taxa.tsv'}\nwindows: 60\nwindow: 0.4\nepochs: 40\npatience: 40\nbatch: 4\n"
        "device: cpu\nscalogram: {voices: 48}\n"
    )
    command = [sys.executable, "-m", "batpam", "train", "--config", str(settings), "--output", str(output)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = None
    while last is None and first.poll() is None:
        time.sleep(0.05)
        last = next((tmp_path / "m-training").glob("run-*/last.ckpt"), None)
    first.kill()
    first.wait()
    assert last is not None and not output.exists()
    subprocess.run(command, capture_output=True, check=True)
    assert output.exists()
    log = pd.read_csv(last.parent / "log" / "metrics.csv")
    assert log["epoch"].min() >= 1 and log["epoch"].max() == 39
