import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs

from batpam.errors import UserError
from batpam.models.files import Taxon, shipped_model
from batpam.training.annotations.read import EVENT_COLUMNS, Annotations
from batpam.training.evaluation import finding, naming
from batpam.training.evaluation.evaluate import evaluate
from batpam.training.evaluation.inputs import read_inputs
from batpam.training.evaluation.page import CSV_FILES
from batpam.training.evaluation.run import evaluate_model

MYOTIS, NATTERERI, NOCTULA, HIPPO = TAXA = (
    Taxon("Mmyo", "Myotis myotis", "Greater mouse-eared bat", "Myotis", "Vespertilionidae"),
    Taxon("Mnat", "Myotis nattereri", "Natterer's bat", "Myotis", "Vespertilionidae"),
    Taxon("Nnoc", "Nyctalus noctula", "Common noctule", "Nyctaloid", "Vespertilionidae"),
    Taxon("Rhip", "Rhinolophus hipposideros", "Lesser horseshoe bat", "Rhinolophus", "Rhinolophidae"),
)
SPECIES = [taxon.species for taxon in TAXA]


def event(recording, start, taxon=MYOTIS.species, *, extent="event", length=0.005, **more):
    row = {
        "recording": recording, "start_s": start, "end_s": start + length if extent == "event" else np.nan,
        "low_hz": np.nan, "high_hz": np.nan, "label": taxon, "taxon": taxon, "call_type": "", "extent": extent,
        "split": "test", "where": "",
    }  # fmt: skip
    return row | more


def call(recording, start, scores, *, length=0.005, **more):
    """A detection with the scores of species, by code; its own score is their sum."""
    each = {f"score_{taxon.code}": scores.get(taxon.code, 0.0) for taxon in TAXA}
    best = max(TAXA, key=lambda taxon: each[f"score_{taxon.code}"])
    row = {
        "recording": recording, "start_s": start, "end_s": start + length, "low_hz": 30e3, "high_hz": 60e3,
        "peak_hz": 45e3, "snr_db": 20.0, "det_score": sum(scores.values()), "call_type": "echolocation",
        "species": best.species, "class_score": each[f"score_{best.code}"],
    }  # fmt: skip
    return row | each | more


def annotated(events, exhaustive=("a",), others=(), **more):
    names = [*exhaustive, *others]
    recordings = pd.DataFrame(
        {
            "recording": names, "duration_s": 1.0, "time_expansion": 1.0, "channel": 0, "split": "test", "exists": True,
            "exhaustive": [name in exhaustive for name in names], "clock": "real",
        }
    ).assign(**more)  # fmt: skip
    events = pd.DataFrame(events) if len(events) else pd.DataFrame(columns=list(EVENT_COLUMNS)).astype(EVENT_COLUMNS)
    return Annotations(events, recordings, pd.DataFrame())


def measure(annotations, calls, output, **more):
    options = {"title": "Test", "resamples": 20, "min_score": 0.3} | more
    summary = evaluate(annotations, pd.DataFrame(calls), TAXA, output, **options)
    assert json.loads((output / "summary.json").read_text()) == summary
    return summary


def read(output, name):
    return pd.read_csv(output / f"{name}.csv", keep_default_na=False)


def row_of(output, name, **keys):
    table = pd.read_csv(output / f"{name}.csv", keep_default_na=False)
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(autouse=True)
def draw_no_page(request, monkeypatch):
    """Drawing takes longer than all the rest; only tests that look at the page have it drawn."""
    if "page" not in request.fixturenames:
        monkeypatch.setattr("batpam.training.evaluation.evaluate.page", lambda *_: "")
    monkeypatch.setattr("batpam.training.evaluation.page.get_plotlyjs", lambda: "/* plotly */")


@pytest.fixture
def page():
    """The words of the page, without scripts and styles."""

    def visible(output):
        text = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", (output / "evaluation.html").read_text())
        return " ".join(re.sub(r"<[^>]+>", " ", text).replace("&#39;", "'").split())

    return visible


THREE = [event("a", 0.1), event("a", 0.2), event("a", 0.3)]
FOUR = [call("a", 0.1, {"Mmyo": 0.9}), call("a", 0.2, {"Mmyo": 0.6}), call("a", 0.5, {"Mmyo": 0.8}), call("a", 0.7, {"Mmyo": 0.2})]  # fmt: skip


def test_names_and_labels_of_others_are_no_formulas_in_the_tables(tmp_path):
    trick = "=HYPERLINK(1).wav"
    measure(
        annotated([event(trick, 0.1, label="@sum")], exhaustive=(trick,)), [call(trick, 0.1, {"Mmyo": 0.9})], tmp_path
    )
    for name in ("events", "detections", "files"):
        assert read(tmp_path, name)["recording"].tolist() == [f"'{trick}"], name
    assert read(tmp_path, "events")["label"].tolist() == ["'@sum"]


def test_a_case_worked_out_by_hand(tmp_path):
    summary = measure(annotated(THREE), FOUR, tmp_path)
    for threshold, found, right, claimed in ((0.1, 2, 2, 4), (0.3, 2, 2, 3), (0.7, 1, 1, 2), (0.9, 1, 1, 1)):
        row = row_of(tmp_path, "thresholds", taxon="Chiroptera", threshold=threshold)
        assert (row["events"], row["found"], row["right"], row["detections"]) == (3, found, right, claimed)
        assert float(row["recall"]) == pytest.approx(found / 3, abs=1e-6)
        assert float(row["precision"]) == pytest.approx(right / claimed, abs=1e-6)
    # .9 right, .8 false, .6 right, .2 false
    average = summary["finding"]["average_precision"]
    assert average["value"] == pytest.approx((1 + 2 / 3) / 3, abs=1e-6)
    assert summary["finding"]["recall_at_precision"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert summary["finding"]["recall_at_precision"]["threshold"] == 0.9
    assert summary["finding"]["best_f1"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert summary["finding"]["best_f1"]["threshold"] == 0.6
    assert summary["finding"]["false_alarms"] == {
        "false": 1,
        "false_per_h": 3600,
        "hours": 0.000278,
        "insect": 0,
        "noise": 0,
    }
    assert read(tmp_path, "events")["found"].tolist() == ["yes", "yes", "no"]
    assert read(tmp_path, "detections")["is"].tolist() == ["bat", "bat", "false", "false"]
    assert read(tmp_path, "detections")["event"].tolist() == ["1", "2", "", ""]


def test_one_detection_may_cover_split_events_but_matches_one(tmp_path):
    events = [event("a", 0.100), event("a", 0.106)]
    summary = measure(annotated(events), [call("a", 0.100, {"Mmyo": 0.9}, length=0.011)], tmp_path)
    assert summary["finding"]["at_min_score"]["recall"]["value"] == 1
    assert summary["finding"]["average_precision"]["value"] == 0.5


def test_recall_is_of_all_recordings_and_precision_of_exhaustive_ones(tmp_path):
    events = [event("a", 0.1), event("b", 0.1), event("b", 0.5)]
    calls = [call("a", 0.1, {"Mmyo": 0.9}), call("b", 0.1, {"Mmyo": 0.9}), call("b", 0.8, {"Mmyo": 0.9})]
    found = measure(annotated(events, others=["b"]), calls, tmp_path)["finding"]["at_min_score"]
    assert (found["found"], found["events"], found["right"], found["detections"]) == (2, 3, 1, 1)
    assert set(read(tmp_path, "detections")["recording"]) == {"a"}


def test_a_label_that_fits_nothing_counts_neither_way(tmp_path):
    events = [event("a", 0.1), event("a", 0.5, "", label="Bat?"), event("a", 0.7, "Pteropus", label="fox")]
    calls = [call("a", at, {"Mmyo": 0.9}) for at in (0.1, 0.5, 0.7, 0.9)]
    summary = measure(annotated(events), calls, tmp_path)
    found = summary["finding"]["at_min_score"]
    assert (found["events"], found["right"], found["detections"]) == (1, 1, 2)
    assert summary["data"]["labels_that_fit_nothing"] == ["Bat?", "fox"]
    assert read(tmp_path, "detections")["is"].tolist() == ["bat", "not known", "not known", "false"]
    assert (
        summary["finding"]["average_precision"]["value"] == 0.5 or summary["finding"]["average_precision"]["value"] == 1
    )


def test_insects_and_noise_are_no_bats(tmp_path):
    events = [event("a", 0.1, "insect"), event("a", 0.3, "noise")]
    summary = measure(annotated(events), [call("a", 0.1, {"Mmyo": 0.9}), call("a", 0.3, {"Mmyo": 0.9})], tmp_path)
    assert summary["finding"]["at_min_score"]["precision"]["value"] == 0
    assert (summary["finding"]["false_alarms"]["insect"], summary["finding"]["false_alarms"]["noise"]) == (1, 1)
    assert summary["files"]["without_bats"] == {"recordings": 1, "with_detections": 1, "detections": 2}


def test_a_group_label_is_not_held_against_a_species(tmp_path):
    events = [event("a", 0.1, "Myotis"), event("a", 0.3, NATTERERI.species)]
    calls = [call("a", 0.1, {"Mnat": 0.9}), call("a", 0.3, {"Mnat": 0.8, "Mmyo": 0.1})]
    measure(annotated(events), calls, tmp_path)
    row = row_of(tmp_path, "thresholds", taxon=NATTERERI.species, threshold=0.3)
    assert (row["events"], row["found"], row["right"], row["detections"]) == (1, 1, 1, 1)
    row = row_of(tmp_path, "thresholds", taxon="Myotis", threshold=0.3)
    assert (row["events"], row["found"], row["right"], row["detections"]) == (2, 2, 2, 2)
    assert read(tmp_path, "events")["species_right"].tolist() == ["", "right"]
    assert read(tmp_path, "events")["group_right"].tolist() == ["right", "right"]


def test_average_precision_by_species(tmp_path):
    events = [event("a", 0.1), event("a", 0.2), event("a", 0.3, NOCTULA.species)]
    calls = [
        call("a", 0.1, {"Mmyo": 0.5, "Nnoc": 0.4}),
        call("a", 0.2, {"Mmyo": 0.8}),
        call("a", 0.3, {"Nnoc": 0.2, "Mmyo": 0.6}),
    ]
    summary = measure(annotated(events), calls, tmp_path)
    # of M. myotis: .8 right, .6 false, .5 right; of N. noctula: .4 false, .2 right
    wanted = {MYOTIS.species: (1 + 2 / 3) / 2, NOCTULA.species: 1 / 2}
    for species, value in wanted.items():
        row = row_of(tmp_path, "average_precision", taxon=species)
        assert float(row["average_precision"]) == pytest.approx(value, abs=1e-6)
    mean = summary["finding"]["mean_average_precision_species"]
    assert (mean["value"], mean["classes"]) == (pytest.approx(sum(wanted.values()) / 2, abs=1e-6), 2)


def test_names_right_too_high_and_wrong(tmp_path):
    events = [event("a", at) for at in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)] + [event("a", 0.7, "Myotis")]
    calls = [
        call("a", 0.1, {"Mmyo": 0.9}),  # right
        call("a", 0.2, {"Mmyo": 0.4, "Mnat": 0.4}),  # group
        call("a", 0.3, {"Mmyo": 0.3, "Nnoc": 0.3}),  # family
        call("a", 0.4, {"Rhip": 0.3, "Nnoc": 0.3}),  # any bat
        call("a", 0.5, {"Nnoc": 0.8}),  # wrong
        call("a", 0.6, {"Nnoc": 0.4}),  # nothing is sure
        call("a", 0.7, {"Mnat": 0.9}),  # finer than the label
    ]
    summary = measure(annotated(events), calls, tmp_path)
    rows = read(tmp_path, "events")
    assert rows["named"].tolist() == [MYOTIS.species, "Myotis", "Vespertilionidae", "Chiroptera", NOCTULA.species, "", NATTERERI.species]  # fmt: skip
    assert rows["name_is"].tolist() == ["right", "too_high", "too_high", "too_high", "wrong", "not_named", "right"]
    row = row_of(tmp_path, "names", taxon=MYOTIS.species)
    assert (row["found"], row["right"], row["too_high"], row["wrong"], row["not_named"]) == (6, 1, 3, 1, 1)
    assert summary["naming"]["name_too_high"]["value"] == pytest.approx(3 / 7, abs=1e-6)


def test_confusion(tmp_path):
    events = [event("a", 0.1), event("a", 0.2), event("a", 0.3), event("a", 0.4, "Myotis")]
    calls = [call("a", 0.1, {"Mmyo": 0.9}), call("a", 0.2, {"Mnat": 0.9}), call("a", 0.4, {"Nnoc": 0.9}), call("a", 0.8, {"Rhip": 0.9})]  # fmt: skip
    measure(annotated(events), calls, tmp_path)
    table = read(tmp_path, "confusion").query("number > 0").set_index(["rank", "true", "predicted"])["number"].to_dict()
    assert table == {
        ("species", MYOTIS.species, MYOTIS.species): 1,
        ("species", MYOTIS.species, NATTERERI.species): 1,
        ("species", MYOTIS.species, "missed"): 1,
        ("species", "not a bat", HIPPO.species): 1,
        ("group", "Myotis", "Myotis"): 2,
        ("group", "Myotis", "missed"): 1,
        ("group", "Myotis", "Nyctaloid"): 1,
        ("group", "not a bat", "Rhinolophus"): 1,
    }
    assert len(read(tmp_path, "confusion")) == (5 * 5 - 1) + (4 * 4 - 1)


def test_whole_files(tmp_path):
    labels = [
        event("right", np.nan, extent="file"),
        event("two", np.nan, extent="file"), event("two", np.nan, NOCTULA.species, extent="file"),
        event("group", np.nan, "Myotis", extent="file"),
        event("wrong", np.nan, HIPPO.species, extent="file"),
        event("silent", np.nan, HIPPO.species, extent="file"),
        event("wind", np.nan, "noise", extent="file"),
        event("partly", np.nan, NOCTULA.species, extent="file"), event("partly", np.nan, "Myotis", extent="file"),
    ]  # fmt: skip
    names = ["right", "two", "group", "wrong", "silent", "wind", "partly"]
    calls = [
        # two calls of 0.4 outweigh one of 0.7; what is below 0.3 does not count
        *(call("right", at, {"Mmyo": 0.4}) for at in (0.1, 0.2)), call("right", 0.3, {"Nnoc": 0.7}),
        *(call("right", at, {"Nnoc": 0.29}) for at in (0.5, 0.6)),
        call("two", 0.1, {"Nnoc": 0.9}), call("group", 0.1, {"Mnat": 0.9}), call("wrong", 0.1, {"Nnoc": 0.9}),
        call("partly", 0.1, {"Mnat": 0.9}),
    ]  # fmt: skip
    summary = measure(annotated(labels, exhaustive=["empty"], others=names), calls, tmp_path)
    rows = read(tmp_path, "files").set_index("recording")
    assert rows["species_right"].to_dict() == {
        "empty": "", "group": "", "partly": "", "right": "right", "silent": "wrong", "two": "right", "wind": "", "wrong": "wrong",
    }  # fmt: skip
    assert rows["group_right"].to_dict() == {
        "empty": "", "group": "right", "partly": "right", "right": "right", "silent": "wrong", "two": "right", "wind": "",
        "wrong": "wrong",
    }  # fmt: skip
    assert rows.at["silent", "top_species"] == "" and rows.at["two", "taxa"] == f"{MYOTIS.species}; {NOCTULA.species}"
    assert (summary["files"]["top_species"]["right"], summary["files"]["top_species"]["recordings"]) == (2, 4)
    assert summary["files"]["without_bats"] == {"recordings": 2, "with_detections": 0, "detections": 0}
    assert summary["finding"]["at_min_score"]["recall"]["value"] is None
    noctule = row_of(tmp_path, "presence", taxon=NOCTULA.species)
    # there: two .9, partly 0; not there: right .7, wrong .9, and four without a call; ties count half
    assert (noctule["present"], noctule["files"]) == (2, 8)
    assert float(noctule["roc_auc"]) == pytest.approx((0.5 + 5 + 0 + 0 + 0.5 * 4) / 12, abs=1e-6)


def test_a_file_label_alone_says_nothing_of_single_detections(tmp_path):
    labels = [event("a", np.nan, extent="file")]
    summary = measure(annotated(labels), [call("a", 0.1, {"Mmyo": 0.9})], tmp_path)
    assert summary["finding"]["at_min_score"]["precision"]["value"] is None
    assert summary["data"]["exhaustive_without_times"] == 1
    assert summary["files"]["top_species"]["value"] == 1


def test_starts_without_ends(tmp_path):
    events = [event("a", 0.1, extent="position"), event("a", 0.5, extent="position")]
    summary = measure(annotated(events), [call("a", 0.108, {"Mmyo": 0.9}), call("a", 0.52, {"Mmyo": 0.9})], tmp_path)
    found = summary["finding"]["at_min_score"]
    assert (found["found"], found["right"], found["detections"]) == (1, 1, 2)
    assert summary["finding"]["average_precision"]["value"] is None
    assert summary["data"]["bat_events_start_only"] == 2


def test_times_as_the_file_plays_are_made_real(tmp_path):
    events = [event("a", 1.0, length=0.05, low_hz=4e3, high_hz=6e3)]
    annotations = annotated(events, time_expansion=10.0, clock="header", duration_s=36.0)
    summary = measure(annotations, [call("a", 0.1, {"Mmyo": 0.9})], tmp_path, frequency=True)
    assert (
        summary["finding"]["at_min_score"]["recall"]["value"] == summary["finding"]["average_precision"]["value"] == 1
    )
    assert summary["data"]["hours"] == 0.001


def test_signal_to_noise_of_annotations(tmp_path):
    events = [event("a", 0.1, snr_db=12.0), event("a", 0.2, snr_db=14.9), event("a", 0.3, snr_db=15.0), event("a", 0.4)]
    calls = [call("a", 0.1, {"Mmyo": 0.9}, snr_db=40.0), call("a", 0.3, {"Nnoc": 0.9})]
    measure(annotated(events), calls, tmp_path)
    rows = pd.read_csv(tmp_path / "snr.csv")
    assert rows[["low_db", "events", "found"]].fillna(-1).to_numpy().tolist() == [[10, 2, 1], [15, 1, 1], [-1, 1, 0]]
    assert rows["species_right"].tolist() == [1, 0, 0] and set(rows["snr_from"]) == {"event"}


def test_signal_to_noise_of_detections(tmp_path, page):
    calls = [call("a", 0.1, {"Mmyo": 0.9}, snr_db=-3.0), call("a", 0.2, {"Mmyo": 0.1}, snr_db=-1.0)]
    measure(annotated(THREE), calls, tmp_path)
    rows = pd.read_csv(tmp_path / "snr.csv")
    assert rows[["low_db", "events", "found"]].fillna(99).to_numpy().tolist() == [[-5, 2, 1], [99, 1, 0]]
    assert "recall is too high here" in page(tmp_path)


def test_call_types(tmp_path):
    events = [event("a", 0.1, call_type="buzz"), event("a", 0.2, call_type="buzz"), event("a", 0.3, call_type="echolocation"), event("a", 0.4)]  # fmt: skip
    calls = [call("a", at, {"Mmyo": 0.9}, call_type=kind) for at, kind in ((0.1, "buzz"), (0.3, "buzz"), (0.4, "buzz"))]
    measure(annotated(events), calls, tmp_path)
    buzz = row_of(tmp_path, "call_types", call_type="buzz")
    assert (buzz["events"], buzz["flagged"], buzz["detections"], buzz["right"]) == (2, 1, 2, 1)
    other = row_of(tmp_path, "call_types", call_type="echolocation")
    assert (other["events"], other["flagged"], other["detections"]) == (1, 0, 0)


def test_calibration_of_perfect_and_of_too_sure_scores(tmp_path):
    events = [event("a", 0.1 * at) for at in range(1, 5)]
    calls = [call("a", 0.1 * at, {"Mmyo": 1.0}) for at in range(1, 9)]
    summary = measure(annotated(events), calls, tmp_path)
    assert summary["calibration"]["bat"]["ece"]["value"] == summary["calibration"]["bat"]["brier"]["value"] == 0.5
    assert summary["calibration"]["species of a bat"]["ece"]["value"] == 0
    assert len(pd.read_csv(tmp_path / "calibration.csv")) == 30


def surveyed(seed, recordings=12):
    """A small random survey, three recordings of four annotated exhaustively."""
    rng = np.random.default_rng(seed)
    events, calls = [], []
    for number in range(recordings):
        name = f"r{number:02}"
        for at in np.sort(rng.choice(np.arange(5, 95), 12, replace=False)) / 100:
            species = TAXA[rng.integers(4)]
            taxon = rng.choice([species.species, species.species, species.group, "Chiroptera", "insect"])
            events.append(event(name, at, str(taxon), call_type=str(rng.choice(["", "buzz", "social"]))))
            if rng.random() < 0.8:
                given = TAXA[rng.integers(4)] if rng.random() < 0.3 else species
                score = rng.random() * 0.97 + 0.02
                share = rng.random()
                calls.append(
                    call(name, at + rng.normal(0, 0.003), {given.code: score * share, "Nnoc": score * (1 - share)})
                )
        calls += [call(name, rng.random(), {TAXA[rng.integers(4)].code: rng.beta(1, 2) * 0.9 + 0.02}) for _ in range(4)]
    names = sorted({row["recording"] for row in events})
    return annotated(events, [n for i, n in enumerate(names) if i % 4], names[::4]), pd.DataFrame(calls)


def plainly(annotations, calls, threshold):
    """Recall, precision and groups right by the plain rule of overlap within 5 ms, on exhaustive recordings."""
    group = {taxon.species: taxon.group for taxon in TAXA}
    bats = annotations.events[annotations.events.taxon.isin(SPECIES)]
    kept = calls[calls.det_score >= threshold]
    found = agree = inside = 0
    for one in bats.itertuples():
        near = kept[
            (kept.recording == one.recording) & (kept.start_s - 0.005 < one.end_s) & (kept.end_s + 0.005 > one.start_s)
        ]
        if len(near):
            found += 1
            agree += group[near.loc[near.class_score.idxmax(), "species"]] == group[one.taxon]
    for one in kept.itertuples():
        own = bats[bats.recording == one.recording]
        inside += bool(((own.start_s - 0.005 < one.end_s) & (own.end_s + 0.005 > one.start_s)).any())
    return len(bats), found, len(kept), inside, agree


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_same_as_the_plain_rule(tmp_path, threshold):
    annotations, calls = surveyed(5)
    annotations.recordings["exhaustive"] = True
    annotations = replace(annotations, events=annotations.events[annotations.events.taxon.isin([*SPECIES, "insect"])])
    bats, found, kept, inside, agree = plainly(annotations, calls, threshold)
    summary = measure(annotations, calls, tmp_path, min_score=threshold)
    at = summary["finding"]["at_min_score"]
    assert (at["events"], at["found"], at["detections"], at["right"]) == (bats, found, kept, inside)
    assert summary["naming"]["group_right"]["value"] == pytest.approx(agree / found, abs=1e-6)


def test_the_order_of_rows_and_the_seed(tmp_path, page):
    annotations, calls = surveyed(7)
    calls = pd.concat([calls, calls.head(3)])  # equal rows, too
    measure(annotations, calls, tmp_path / "first")
    shuffled = Annotations(
        annotations.events.sample(frac=1, random_state=1),
        annotations.recordings.sample(frac=1, random_state=2),
        annotations.unknown,
    )
    measure(shuffled, calls.sample(frac=1, random_state=3), tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    other = measure(annotations, calls, tmp_path / "third", seed=2)
    first = json.loads((tmp_path / "first" / "summary.json").read_text())
    assert other["finding"]["at_min_score"]["recall"]["value"] == first["finding"]["at_min_score"]["recall"]["value"]
    assert other["finding"]["at_min_score"]["recall"]["low"] != first["finding"]["at_min_score"]["recall"]["low"]


times = st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True)


def inputs(events, calls):
    return read_inputs(annotated(events), pd.DataFrame(calls), TAXA, frequency=False, resamples=3, seed=1)


@settings(max_examples=15, deadline=None)
@given(times, st.data())
def test_perfect_detections_are_perfect(at, data):
    taxa = [TAXA[data.draw(st.integers(0, 3))] for _ in at]
    events = [event("a", t / 50, taxon.species) for t, taxon in zip(at, taxa, strict=True)]
    calls = [call("a", t / 50, {taxon.code: data.draw(st.floats(0.5, 1.0))}) for t, taxon in zip(at, taxa, strict=True)]
    perfect = inputs(events, calls)
    row = finding.threshold_rows(perfect, finding.rankings(perfect), [0.5]).iloc[0]
    assert row["recall"] == row["precision"] == row["f1"] == 1
    average = finding.average_precision_rows(perfect)
    np.testing.assert_allclose(average.loc[average["events"] > 0, "average_precision"], 1)
    assert set(naming.species_right(perfect, naming.matches(perfect, 0.3))) == {"right"}


@settings(max_examples=15, deadline=None)
@given(times, times, st.lists(st.floats(0.02, 1.0), min_size=12, max_size=12))
def test_false_detections_never_raise_precision_or_change_recall(at, false, scores):
    events = [event("a", t / 50) for t in at]
    calls = [call("a", t / 50, {"Mmyo": score}) for t, score in zip(at, scores[::-1], strict=False)]
    more = calls + [call("a", 2 + t / 50, {"Mmyo": score}) for t, score in zip(false, scores, strict=False)]
    tables = []
    for rows in (calls, more):
        data = inputs(events, rows)
        tables.append(
            (
                finding.threshold_rows(data, finding.rankings(data), [0.1, 0.5]).head(2),
                finding.average_precision_rows(data).iloc[0],
            )
        )
    (before, average), (after, lower) = tables
    assert (after["recall"] == before["recall"]).all()
    assert (after["precision"].fillna(0) <= before["precision"].fillna(1)).all()
    assert lower["average_precision"] <= average["average_precision"] + 1e-12


EDGES = {
    "no detections": lambda: (annotated(THREE), []),
    "no bats": lambda: (annotated([event("a", 0.1, "noise")]), FOUR),
    "no annotations at all": lambda: (annotated([]), FOUR),
    "only file labels": lambda: (annotated([event("b", np.nan, extent="file")], [], ["b"]), [call("b", 0.1, {"Mmyo": 0.9})]),
    "no recordings": lambda: (annotated([], [], []), []),
    "all recordings missing": lambda: (annotated(THREE, exists=False), FOUR),
    "nothing fits": lambda: (annotated([event("a", 0.1, "")]), FOUR),
    "nothing that counts": lambda: (annotated(THREE), [call("a", 0.1, {"Mmyo": 0.01})]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges(tmp_path, page, name):
    annotations, calls = EDGES[name]()
    summary = measure(annotations, calls, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{table}.csv" for table in CSV_FILES), "summary.json", "evaluation.html",
    }  # fmt: skip
    for table in CSV_FILES:
        assert len(pd.read_csv(tmp_path / f"{table}.csv").columns) > 3
    text = page(tmp_path)
    assert "nan" not in re.findall(r"\w+", text) and "None" not in text
    if name == "no detections":
        assert summary["finding"]["at_min_score"]["recall"]["value"] == 0 and "detected nothing" in text
        assert summary["finding"]["average_precision"]["value"] == 0
    if name == "all recordings missing":
        assert summary["data"]["missing_recordings"] == ["a"] and "missing, and left out" in text


def test_one_class(tmp_path):
    calls = pd.DataFrame(FOUR).drop(columns=["score_Mnat", "score_Nnoc", "score_Rhip"])
    summary = evaluate(annotated(THREE), calls, TAXA[:1], tmp_path, title="One", resamples=5)
    assert summary["naming"]["species_right"]["value"] == 1


def test_what_comes_from_outside_is_escaped(tmp_path, page):
    evil = "<script>alert('x')</script>"
    taxa = [Taxon("Evil", f"{evil} & co", evil, f"{evil} group", f"{evil} family")]
    name = f"{evil}\udcff.wav"
    calls = [
        {k: v for k, v in call(name, at, {"Mmyo": 0.9}).items() if not k.startswith("score_")} for at in (0.1, 0.2)
    ]
    calls = pd.DataFrame(calls).assign(score_Evil=0.9, species=taxa[0].species, call_type=evil)
    events = [
        event(name, 0.1, taxa[0].species, call_type=evil), event(name, 0.5, "", label=f"{evil}\udcfe"),
        event("missing" + evil, 0.2, "", label="x"), event("b" + evil, np.nan, taxa[0].species, extent="file"),
    ]  # fmt: skip
    annotations = annotated(events, [name], ["b" + evil, "missing" + evil])
    annotations.recordings.loc[2, "exists"] = False
    evaluate(annotations, calls, taxa, tmp_path, title=evil, resamples=5)
    html = (tmp_path / "evaluation.html").read_text()
    assert "alert(" in html and evil not in html
    assert html.count("<script>") == html.count("</script>")
    figures = re.findall(r"Plotly\.newPlot\((.*)\);</script>", html)
    assert figures and not any("<" in figure or "\\u003cscript" in figure for figure in figures)
    # plotly reads HTML in labels, so there it is escaped, too
    assert any("&lt;script&gt;" in figure for figure in figures)
    for table in CSV_FILES:
        pd.read_csv(tmp_path / f"{table}.csv")
    assert read(tmp_path, "events")["recording"][0] == evil + "\\udcff.wav"


def test_the_page_needs_nothing_else(tmp_path, page, monkeypatch):
    monkeypatch.setattr("batpam.training.evaluation.page.get_plotlyjs", get_plotlyjs)
    measure(annotated(THREE), FOUR, tmp_path)
    html = (tmp_path / "evaluation.html").read_text()
    assert get_plotlyjs() in html
    rest = html.replace(get_plotlyjs(), "")
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', rest)) == {f"{name}.csv" for name in CSV_FILES} | {"summary.json"}


def test_few_recordings_are_marked(tmp_path, page):
    measure(annotated(THREE), FOUR, tmp_path)
    assert "Recall 0.667 †" in page(tmp_path) and "rest on 1 recording" in page(tmp_path)


def test_classes_with_few_or_no_events_are_named(tmp_path, page):
    measure(annotated(THREE), FOUR, tmp_path)
    text = page(tmp_path)
    assert "Fewer than 10 calls are annotated of Myotis myotis (3)" in text
    assert "No call is annotated of 3 of the model's 4 species" in text


def test_rows_of_other_recordings_are_counted_and_left_out(tmp_path):
    summary = measure(annotated([*THREE, event("z", 0.1)]), [*FOUR, call("y", 0.1, {"Mmyo": 0.9})], tmp_path)
    assert (summary["data"]["events_without_recording"], summary["data"]["detections_elsewhere"]) == (1, 1)
    assert summary["data"]["detections"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda calls: calls.drop(columns="score_Nnoc"), "score_Nnoc"),
        (lambda calls: calls.assign(det_score=1.5), "det_score"),
        (lambda calls: calls.assign(score_Mmyo=np.nan), "score_Mmyo"),
        (lambda calls: calls.assign(species="Myotis escalerai"), "Myotis escalerai"),
        (lambda calls: calls.assign(end_s=np.nan), "end_s"),
    ],
)
def test_wrong_detections_are_refused(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        evaluate(annotated(THREE), change(pd.DataFrame(FOUR)), TAXA, tmp_path, title="x")


@pytest.mark.parametrize("options", [{"thresholds": (0.001,)}, {"min_score": 2.0}, {"resamples": 0}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(UserError):
        measure(annotated(THREE), FOUR, tmp_path, **options)
    assert not list(Path(tmp_path).iterdir())


def test_calls_of_a_recording_that_cannot_be_read_are_not_missed(tmp_path, capsys):
    soundfile.write(tmp_path / "ok.wav", np.random.default_rng(0).normal(0, 1e-3, 128_000), 256_000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF no sound")
    (tmp_path / "labels.csv").write_text(
        "file,start_s,end_s,label,exhaustive\nok.wav,0.1,0.11,Ppip,yes\nbad.wav,0.1,0.11,Ppip,yes\nbad.wav,0.2,0.21,Ppip,yes\n"
    )
    summary = evaluate_model(tmp_path / "labels.csv", shipped_model(), tmp_path / "out")
    assert "bad.wav" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "out" / "events.csv")) == 1
    assert summary["finding"]["at_min_score"]["recall"]["value"] == 0
    with pytest.raises(UserError, match=r"--min-score 0\.01: give a probability from 0\.02 to 1"):
        evaluate_model(tmp_path / "labels.csv", shipped_model(), tmp_path / "out", min_score=0.01)
