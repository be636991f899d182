import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from batpam.config import Config, scalogram_settings
from batpam.errors import UserError
from batpam.models.calibration import Calibration
from batpam.models.files import (
    ModelCard,
    Taxon,
    allowed_species,
    check_model,
    load_model,
    model_hash,
    read_card,
    read_taxa,
    shipped_model,
    write_model,
)
from batpam.models.network import CallNetwork
from batpam.models.settings import NetworkSettings
from batpam.models.taxonomy import nodes
from batpam.scalograms.settings import ScalogramSettings
from batpam.simulate.calls import species_names
from batpam.training.settings import read_training_settings

REPO = Path(__file__).parents[3]

CARD = ModelCard(
    name="small",
    taxa=(Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus high", "Vespertilionidae"),),
    scalogram=ScalogramSettings(voices=16),
    network=NetworkSettings(classes=3, voices=16, width=4, context_width=8, context_layers=1),
    calibration=Calibration(1.5, (0.0, 0.4, 1.0), (0.0, 0.7, 1.0)),
    training={},
    metrics={},
)


@pytest.fixture
def small_model(tmp_path):
    torch.manual_seed(0)
    write_model(CallNetwork(CARD.network), CARD, tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_model_comes_back_as_it_was_written(small_model):
    torch.manual_seed(0)
    written, (network, card) = CallNetwork(CARD.network).eval(), load_model(small_model)
    power = torch.full((1, 64, 16), -80.0)
    assert replace(card, weights_sha256="") == CARD
    torch.testing.assert_close(network(power).call, written(power).call)


def test_hash_changes_with_the_card(small_model):
    before = model_hash(small_model)
    card = small_model.with_suffix(".json")
    card.write_text(card.read_text().replace("small", "other"))
    assert model_hash(small_model) != before


@pytest.fixture(params=["loaded", "checked"])
def read(request):
    """Both ways to read a model: to detect with it, and to look whether a run could."""
    return load_model if request.param == "loaded" else lambda path: check_model(path, CARD.scalogram)


def test_a_pickle_is_not_loaded(small_model, read):
    torch.save({"a": torch.zeros(1)}, small_model)
    with pytest.raises(UserError, match="not those that the card"):
        read(small_model)


def test_weights_of_another_training_are_refused(small_model, read):
    torch.manual_seed(1)
    write_model(CallNetwork(CARD.network), CARD, small_model.with_name("other.safetensors"))
    read(small_model)
    small_model.with_name("other.safetensors").replace(small_model)
    with pytest.raises(UserError, match="not those that the card"):
        read(small_model)


def test_a_model_of_fewer_call_types_is_refused(small_model, read):
    weights = load_file(small_model)
    save_file({name: value[:-1] if name.startswith("heads") else value for name, value in weights.items()}, small_model)
    card = json.loads(small_model.with_suffix(".json").read_text())
    card["weights_sha256"] = hashlib.sha256(small_model.read_bytes()).hexdigest()
    small_model.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="other sizes"):
        read(small_model)


def test_missing_card_is_named(small_model):
    small_model.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"small\.json"):
        load_model(small_model)


def test_weights_of_another_network_are_refused(small_model):
    card = json.loads(small_model.with_suffix(".json").read_text())
    card["network"]["width"] = 8
    small_model.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="weights"):
        load_model(small_model)


def test_shipped_model_fits_the_default_settings():
    card = read_card(shipped_model())
    assert scalogram_settings(Config()) == card.scalogram
    assert shipped_model().stat().st_size <= 5_000_000
    assert {taxon.code for taxon in card.taxa} <= set(species_names())


def test_shipped_model_is_what_the_documented_settings_make():
    told = read_training_settings(REPO / "config" / "training.yaml")
    settings = told.model_dump(exclude={"device", "scalogram", "width", "context_width"})
    card = read_card(shipped_model())
    assert {name: card.training[name] for name in settings} == settings
    assert list(card.taxa) == read_taxa(REPO / told.taxa)
    network = card.network
    assert (network.width, network.context_width) == (told.width, told.context_width)
    assert asdict(card.scalogram) == told.scalogram.model_dump(exclude={"device"})


def test_taxa_are_checked(tmp_path):
    sheet = tmp_path / "taxa.tsv"
    sheet.write_text("code\tspecies\tenglish\tgroup\tfamily\nPpip\ta\tb\tc\td\nPpip\ta\tb\tc\td\n")
    with pytest.raises(UserError, match="Ppip"):
        read_taxa(sheet)
    sheet.write_text("code\tspecies\tenglish\nPpip\ta\tb\n")
    with pytest.raises(UserError, match="group"):
        read_taxa(sheet)
    assert len(read_taxa(shipped_taxa())) == 29
    sheet.write_text("code\tspecies\tenglish\tgroup\tfamily\tencounters\nA\ta\ta\tg\tf\t0.5\nB\tb\tb\tg\tf\toften\n")
    with pytest.raises(UserError, match="encounters of B is 'often'"):
        read_taxa(sheet)
    sheet.write_text(sheet.read_text().replace("often", "2"))
    assert [taxon.encounters for taxon in read_taxa(sheet)] == [0.5, 2.0]


def test_species_that_may_occur_are_those_of_the_list(tmp_path):
    sheet = tmp_path / "list.tsv"
    sheet.write_text("code\nPpip\nXxxx\n")
    assert allowed_species(CARD, sheet) == [True] and allowed_species(CARD, None) is None
    sheet.write_text("code\nXxxx\n")
    with pytest.raises(UserError, match="names no species of the model small"):
        allowed_species(CARD, sheet)
    sheet.write_text("code\n\t\n")
    with pytest.raises(UserError):
        allowed_species(CARD, sheet)


def test_the_tree_has_each_set_of_species_below_its_node():
    tree = nodes(read_taxa(shipped_taxa()))
    assert tree["Chiroptera"] == tuple(range(29)) and tree["insect"] == (29,) and tree["noise"] == (30,)
    assert set(tree["Myotis"]) < set(tree["Vespertilionidae"]) < set(tree["Chiroptera"])
    assert tree["Miniopterus"] == tree["Miniopterus schreibersii"]


def shipped_taxa():
    return Path(__file__).parents[3] / "config" / "taxa" / "europe.tsv"
