"""The calls of a survey as one CSV: every call of the shards in the index, named as far as it is sure."""

from pathlib import Path

import pandas as pd
import pytest

from batpam.errors import UserError
from batpam.exports.csv import export_csv
from batpam.models.calibration import Calibration
from batpam.models.files import ModelCard, Taxon, model_hash, shipped_model, write_model
from batpam.models.network import CallNetwork
from batpam.models.settings import NetworkSettings
from batpam.scalograms.settings import ScalogramSettings
from batpam.tables import detections_schema, read_origin, read_table, write_table

TAXA = (
    Taxon("Mdau", "Myotis daubentonii", "", "Myotis", "Vespertilionidae"),
    Taxon("Mnat", "Myotis nattereri", "", "Myotis", "Vespertilionidae"),
    Taxon("Nnoc", "Nyctalus noctula", "", "Nyctaloid", "Vespertilionidae"),
)
CARD = ModelCard("three", TAXA, ScalogramSettings(), NetworkSettings(classes=5), Calibration(), {}, {})
SCORES = [(0.9, 0.02, 0.01), (0.45, 0.4, 0.05), (0.3, 0.3, 0.35), (0.1, 0.05, 0.05)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two shards of two calls each, and one that the index does not name."""
    write_model(CallNetwork(CARD.network), CARD, tmp_path / "three.safetensors")
    origin = {"model": CARD.name, "model_hash": model_hash(tmp_path / "three.safetensors")}
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "shards.tsv").write_text("shard\na\nb\n")
    for number, shard in enumerate("abc"):
        rows = [
            {
                "path": f"/data/oak/{shard}.wav", "start_s": 1.0, "end_s": 1.1, "det_score": sum(scores),
                "species": TAXA[scores.index(max(scores))].species, "class_score": max(scores),
                **{f"score_{taxon.code}": score for taxon, score in zip(TAXA, scores, strict=True)},
            }
            for scores in (SCORES[2 * number : 2 * number + 2] or SCORES[:1])
        ]  # fmt: skip
        schema = detections_schema([taxon.code for taxon in TAXA])
        (tmp_path / "detections").mkdir(exist_ok=True)
        write_table(rows, schema, tmp_path / "detections" / f"{shard}.parquet", origin)
    return tmp_path


def test_a_call_has_the_lowest_taxon_that_is_sure_enough(results: Path) -> None:
    assert export_csv(results, results / "calls.csv", results / "three.safetensors", relative_to=Path("/data")) == 4
    calls = pd.read_csv(results / "calls.csv")
    assert calls["file"].tolist() == ["oak/a.wav", "oak/a.wav", "oak/b.wav", "oak/b.wav"]
    assert calls["taxon"].tolist() == ["Myotis daubentonii", "Myotis", "Myotis", "Chiroptera"]
    assert calls["rank"].tolist() == ["species", "group", "group", "order"]
    assert calls["species"].tolist()[2] == "Nyctalus noctula"  # the likeliest, and still less likely than the group


def test_a_file_name_is_no_formula(results: Path) -> None:
    export_csv(results, results / "calls.csv", results / "three.safetensors", relative_to=Path("/data/oak"))
    assert pd.read_csv(results / "calls.csv")["file"].tolist()[0] == "a.wav"
    for shard in "ab":
        path = results / "detections" / f"{shard}.parquet"
        rows = read_table(path).assign(path=f"/data/oak/=cmd {shard}.wav")
        write_table(rows, detections_schema([taxon.code for taxon in TAXA]), path, read_origin(path))
    export_csv(results, results / "calls.csv", results / "three.safetensors", relative_to=Path("/data/oak"))
    assert set(pd.read_csv(results / "calls.csv")["file"]) == {"'=cmd a.wav", "'=cmd b.wav"}


def test_thresholds_and_least_score_are_asked_of_every_call(results: Path) -> None:
    export_csv(
        results,
        results / "calls.csv",
        results / "three.safetensors",
        min_score=0.5,
        thresholds={"Mdau": 0.95, "Myotis": 0.8},
    )
    calls = pd.read_csv(results / "calls.csv")
    assert calls["taxon"].tolist() == ["Myotis", "Myotis", "Vespertilionidae"]
    with pytest.raises(UserError, match="Myotsi"):
        export_csv(results, results / "calls.csv", results / "three.safetensors", thresholds={"Myotsi": 0.5})


def test_detections_of_another_model_are_refused(results: Path) -> None:
    """Its species would be missing without a word."""
    with pytest.raises(UserError, match=r"made with the model 'three'.*--model"):
        export_csv(results, results / "calls.csv", shipped_model())
    assert not (results / "calls.csv").exists()
