"""What labels stand for."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.models.files import Taxon, read_taxa
from batpam.training.annotations.names import (
    call_type_of,
    nearest_label,
    resolve_label,
    split_label,
)

TAXA = read_taxa(Path(__file__).parents[4] / "config" / "taxa" / "europe.tsv")
NODES = {"", "Chiroptera", "insect", "noise"} | {
    node for taxon in TAXA for node in (taxon.species, taxon.group, taxon.family)
}


@pytest.mark.parametrize(
    ("label", "node"),
    [
        # codes: of the model, Tadarida and Kaleidoscope, SonoBat and NABat
        ("Ppip", "Pipistrellus pipistrellus"),
        ("ppip", "Pipistrellus pipistrellus"),
        ("Pippip", "Pipistrellus pipistrellus"),
        ("PIPPIP", "Pipistrellus pipistrellus"),
        ("MYOMYS", "Myotis mystacinus"),
        ("Rhihip", "Rhinolophus hipposideros"),
        ("EPTFUS", "Nyctaloid"),
        ("EPFU", "Nyctaloid"),
        ("TABR", "Tadarida"),
        ("LANO", "Vespertilionidae"),
        ("MYMY", "Myotis"),
        # names
        ("Myotis daubentonii", "Myotis daubentonii"),
        ("myotis_daubentonii", "Myotis daubentonii"),
        ("M. daubentonii", "Myotis daubentonii"),
        ("Daubenton's bat", "Myotis daubentonii"),
        ("Daubenton’s", "Myotis daubentonii"),
        ("Nathusius' pipistrelle", "Pipistrellus nathusii"),
        # shorthand
        ("45 pip", "Pipistrellus pipistrellus"),
        ("55kHz pip", "Pipistrellus pygmaeus"),
        ("soprano", "Pipistrellus pygmaeus"),
        ("noctule", "Nyctalus noctula"),
        ("BLE", "Plecotus auritus"),
        ("GHS", "Rhinolophus ferrumequinum"),
        ("NSL", "Nyctaloid"),
        ("big bat", "Nyctaloid"),
        ("Mmysbra", "Myotis"),
        ("WAB", "Myotis"),
        ("pip", "Vespertilionidae"),
        # nodes above species
        ("Pipistrellus high", "Pipistrellus high"),
        ("Vespertilionidae", "Vespertilionidae"),
        ("Myotis", "Myotis"),
        ("Myotis sp.", "Myotis"),
        ("Myosp", "Myotis"),
        ("Nyctalus", "Nyctaloid"),
        ("Pipistrellus", "Vespertilionidae"),
        ("Hypsugo", "Pipistrellus low"),
        ("Bat", "Chiroptera"),
        ("unknown bat", "Chiroptera"),
        ("Bat, unknown", "Chiroptera"),
        ("Chiroptera (unspecified)", "Chiroptera"),
        # species that the model does not have
        ("Myotis escalerai", "Myotis"),
        ("Rhinolophus mehelyi", "Rhinolophus"),
        ("Rousettus aegyptiacus", "Chiroptera"),
        # several
        ("Ppip/Ppyg", "Pipistrellus high"),
        ("Ppip/Pnat", "Vespertilionidae"),
        ("Ppip/Rfer", "Chiroptera"),
        ("Myotis mystacinus/brandtii", "Myotis"),
        ("M. mystacinus / brandtii", "Myotis"),
        ("Mmys/bra", "Myotis"),
        ("MYOMYS/BRA", "Myotis"),
        ("whiskered/Brandt's", "Myotis"),
        ("Plecotus auritus/sp.", "Plecotus"),
        ("Plecotus auritus or austriacus", "Plecotus"),
        ("Nyctalus/Eptesicus", "Nyctaloid"),
        ("Ppip/noise", ""),
        # groups of batML
        ("Pip35", "Pipistrellus low"),
        ("Pip50", "Pipistrellus high"),
        ("Envsp", "Nyctaloid"),
        ("Barbarg", "Barbastella"),
        ("Rhisp", "Rhinolophus"),
        # insects
        ("Plaint", "insect"),
        ("Leppun", "insect"),
        ("Tetvir", "insect"),
        ("Tettigonia viridissima (insect)", "insect"),
        ("bush-cricket", "insect"),
        # everything else
        ("noise", "noise"),
        ("Not Bat", "noise"),
        ("(no bat)", "noise"),
        ("rain", "noise"),
        ("bird", "noise"),
        ("piaf", "noise"),
        ("Ratnor", "noise"),
        ("empty", "noise"),
        # types of calls
        ("Ppip buzz", "Pipistrellus pipistrellus"),
        ("Noctule social call", "Nyctalus noctula"),
        ("social", "Chiroptera"),
        ("feeding buzz", "Chiroptera"),
        # nothing
        ("", ""),
        ("Unknown", ""),
        ("NoID", ""),
        ("Ppip?", ""),
        ("song", ""),
        ("Mist", ""),
        ("x" * 100_000, ""),
    ],
)
def test_label(label: str, node: str) -> None:
    assert resolve_label(label, TAXA) == node


@pytest.mark.parametrize("taxon", TAXA, ids=lambda taxon: taxon.code)
def test_every_species_by_all_its_names(taxon: Taxon) -> None:
    genus, epithet = taxon.species.split()
    six = genus[:3] + epithet[:3]
    for label in (
        taxon.code,
        taxon.species,
        taxon.english,
        six,
        six.upper(),
        f"{genus[0]}. {epithet}",
        taxon.code + " buzz",
    ):
        assert resolve_label(label, TAXA) == taxon.species
    assert resolve_label(taxon.group, TAXA) == taxon.group
    assert resolve_label(taxon.family, TAXA) == taxon.family


def test_only_nodes_of_the_model_are_given() -> None:
    few = [taxon for taxon in TAXA if taxon.code in ("Ppip", "Rfer")]
    assert resolve_label("Mdau", few) == "Vespertilionidae"
    assert resolve_label("Tadarida teniotis", few) == "Chiroptera"
    assert resolve_label("Rhip", few) == "Rhinolophus"
    assert resolve_label("Ppyg", few) == "Pipistrellus high"
    assert resolve_label("Ppip", []) == "Chiroptera"
    assert resolve_label("Leppun", []) == "insect"


def test_group_of_several_families() -> None:
    taxa = [
        Taxon("Aaaa", "Aus albus", "White bat", "Mixed", "Aidae"),
        Taxon("Bbbb", "Bus bruneus", "Brown bat", "Mixed", "Bidae"),
    ]
    assert resolve_label("Aaaa/Bbbb", taxa) == "Mixed"


def test_own_names_go_first() -> None:
    names = {"Ppip": "Ppyg", "my bat": "Myotis sp.", "4": "Pip35", "junk": ""}
    assert resolve_label("Ppip", TAXA, names) == "Pipistrellus pygmaeus"
    assert resolve_label("My_Bat", TAXA, names) == "Myotis"
    assert resolve_label("4", TAXA, names) == "Pipistrellus low"
    assert resolve_label("junk", TAXA, names) == ""
    with pytest.raises(UserError, match="'Unicornis', for which 'x' is to stand, fits no taxon"):
        resolve_label("x", TAXA, {"x": "Unicornis"})


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("Ppip; Ppyg", ["Ppip", "Ppyg"]),
        ("Ppip + Nnoc", ["Ppip", "Nnoc"]),
        ("Ppip, Ppip, Nnoc", ["Ppip", "Nnoc"]),
        (
            "Platycleis intermedia (insect); Eptesicus serotinus",
            ["Platycleis intermedia (insect)", "Eptesicus serotinus"],
        ),
        ("Ppip/Ppyg", ["Ppip/Ppyg"]),
        ("whiskered and Brandts", ["whiskered and Brandts"]),
        ("Ppip; Mist", ["Ppip; Mist"]),
        ("Bat, unknown", ["Bat, unknown"]),
        ("", [""]),
    ],
)
def test_several_animals(label: str, parts: list[str]) -> None:
    assert split_label(label, TAXA) == parts


@pytest.mark.parametrize(
    ("text", "call_type"),
    [
        ("Echolocation", "echolocation"),
        ("echolo", "echolocation"),
        ("Ppip echo", "echolocation"),
        ("echo", "echo"),
        ("Ppip echoes", "echo"),
        ("search phase", "echolocation"),
        ("Feeding", "buzz"),
        ("Ppip feeding buzz", "buzz"),
        ("Social", "social"),
        ("Nnoc_social_call", "social"),
        ("Ppip (social)", "social"),
        ("Pipistrellus pipistrellus [feeding buzz]", "buzz"),
        ("mec", ""),
        ("Ppip", ""),
        ("Unknown", ""),
    ],
)
def test_type_of_call(text: str, call_type: str) -> None:
    assert call_type_of(text) == call_type


def test_nearest() -> None:
    assert nearest_label("Pipistrelus pipistrelus", TAXA) == "Pipistrellus pipistrellus"
    assert nearest_label("Ppip?", TAXA) == "Ppip"
    assert nearest_label("NoID", TAXA) == ""
    assert nearest_label("zzzzzzzz", TAXA) == ""


def test_table_of_the_documentation(repository: Path) -> None:
    text = (repository / "docs" / "annotations.md").read_text(encoding="utf-8")
    lines = text.split("| Label | Taxon |")[1].split("\n\n")[0].splitlines()[2:]
    for line in lines:
        _, labels, taxon, _ = line.split("|")
        node = taxon.split(",")[0].strip().replace("none", "")
        for label in re.findall("`([^`]+)`", labels):
            assert resolve_label(label, TAXA) == node, label
    assert len(lines) > 5


@given(st.text())
def test_any_text_gives_a_node(label: str) -> None:
    assert resolve_label(label, TAXA) in NODES
    assert "".join(split_label(label, TAXA))[:1] in label
