"""The configuration's and the tables' documentation says what the code does: no more, no less, and the same values."""

import json
import re
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from batpam import tables
from batpam.activity.names import needed_scores, nodes_of
from batpam.config import Config, check_config, known_keys
from batpam.models.calibration import Calibration
from batpam.models.files import Taxon, read_taxa
from batpam.models.settings import NetworkSettings
from batpam.models.taxonomy import RANKS
from batpam.recordings.health import REASONS as HEALTH_REASONS
from batpam.recordings.index import index
from batpam.recordings.ledger import REASONS
from batpam.recordings.metadata import WARNINGS
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.shards import scalogram
from batpam.simulate.calls import species_names
from batpam.survey import SUFFIXES, Deployment, read_sites
from batpam.tables import MANIFEST, NO_BAT, SEGMENTS, write_table
from batpam.training.settings import OwnData, TrainingSettings, read_training_settings

ROOT = Path(__file__).parents[2]
STAGES = {"index", "segment", "scalogram", "detect", "health", "activity", "coverage", "report"}
TYPES = {"string": "text", "int64": "whole number", "double": "number", "timestamp[us, tz=UTC]": "time"}
UNITS = {
    "_c": "°C",
    "_v": "V",
    "_per_h": "1/h",
    "_hz": "Hz",
    "_s": "s",
    "_h": "h",
    "_db": "dB",
    "_bytes": "bytes",
    "_ns": "ns since 1970",
}
SCHEMAS = {
    name.replace("_", " ").title(): schema for name, schema in vars(tables).items() if isinstance(schema, pa.Schema)
}
NO_PARQUET = {"Shards", "Totals"}


class Table(NamedTuple):
    """A table of a page: the heading it stands under and its rows, each by the names of the columns."""

    heading: str
    columns: list[str]
    rows: list[dict[str, str]]


class Page:
    """A page in Markdown, parsed."""

    def __init__(self, path: Path) -> None:
        self.tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text())
        self.tables: list[Table] = []
        heading, lines = "", [[""]]
        for position, token in enumerate(self.tokens):
            if token.type == "heading_open":
                heading = _plain(self.tokens[position + 1])
            elif token.type == "table_open":
                lines = []
            elif token.type == "tr_open":
                lines.append([])
            elif token.type in ("th_open", "td_open"):
                lines[-1].append(_plain(self.tokens[position + 1]))
            elif token.type == "table_close":
                columns, *rows = lines
                self.tables.append(Table(heading, columns, [dict(zip(columns, row, strict=True)) for row in rows]))

    def starting(self, first_column: str) -> list[Table]:
        """Tables whose first column has this name."""
        return [table for table in self.tables if table.columns[0] == first_column]

    def only(self, first_column: str) -> dict[str, dict[str, str]]:
        """Rows of the one table whose first column has this name, by what stands in it."""
        (table,) = self.starting(first_column)
        return _by_first(table)

    def fence(self, language: str) -> str:
        """Text of the one code block of a language."""
        (block,) = [token.content for token in self.tokens if token.type == "fence" and token.info == language]
        return block

    def code(self) -> set[str]:
        """All that is written as code within a line."""
        return {t.content for token in self.tokens for t in token.children or () if t.type == "code_inline"}


def _plain(token: Token) -> str:
    return "".join(part.content for part in token.children or ())


def _by_first(table: Table) -> dict[str, dict[str, str]]:
    first = table.columns[0]
    assert len({row[first] for row in table.rows}) == len(table.rows), f"{table.heading}: a row stands twice"
    return {row[first]: row for row in table.rows}


@pytest.fixture(scope="module")
def readme() -> Page:
    return Page(ROOT / "config" / "README.md")


@pytest.fixture(scope="module")
def dictionary() -> Page:
    return Page(ROOT / "docs" / "data-dictionary.md")


@pytest.fixture(scope="module")
def training() -> Page:
    return Page(ROOT / "docs" / "training.md")


def _setting(key: str, model: Any = Config) -> tuple[Any, str]:
    """Default and limits of a setting, limits as the README writes them."""
    *sections, name = key.split(".")
    for section in sections:
        model = model.model_fields[section].annotation
    field = model.model_fields[name]
    default = "needed" if field.is_required() else field.get_default(call_default_factory=True)
    if get_origin(field.annotation) is Literal:
        return default, ", ".join(get_args(field.annotation))
    of_values = get_args(get_args(field.annotation)[1])[1:] if get_origin(field.annotation) is dict else ()
    metadata = of_values[0] if of_values else field
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    limits = [
        f"{sign} {getattr(limit, attribute):g}"
        for attribute, sign in signs.items()
        for limit in metadata.metadata
        if getattr(limit, attribute, None) is not None
    ]
    return default, ", ".join(limits) or "–"


def _same(written: str, value: Any) -> bool:
    if isinstance(value, str | dict | list):
        return written == (value or "empty")
    return written == str(value) if isinstance(value, bool) else float(written) == value


def test_every_setting_is_in_the_readme_and_no_other(readme: Page) -> None:
    assert list(readme.only("Key")) == known_keys()


@pytest.mark.parametrize("key", known_keys())
def test_a_setting_has_the_default_and_the_limits_of_the_code(readme: Page, key: str) -> None:
    row, (default, limits) = readme.only("Key")[key], _setting(key)
    assert _same(row["Default"], default)
    assert row["Limits"] == limits
    assert row["Reruns from"] in STAGES


def test_every_column_of_the_site_sheet_is_in_the_readme(readme: Page) -> None:
    rows = readme.only("Column")
    assert list(rows) == [field.name for field in fields(Deployment)]
    for field in fields(Deployment):
        needed = field.default is MISSING
        assert rows[field.name]["Needed"] == ("yes" if needed else "no")
        assert needed or _same(rows[field.name]["If empty"], field.default)


def test_the_examples_of_the_readme_work(readme: Page, tmp_path: Path) -> None:
    sheet = tmp_path / "sites.tsv"
    sheet.write_text(readme.fence("tsv"))
    assert {(d.site, d.recorder, d.time_expansion) for d in read_sites(sheet)} == {
        ("oak", "north", 1), ("oak", "south", 1), ("mill", "1", 10),
    }  # fmt: skip
    assert check_config(yaml.safe_load(readme.fence("yaml"))).title == "Oak and mill 2024"
    thresholds = check_config(yaml.safe_load(readme.fence("yml"))).activity.thresholds
    assert len(needed_scores(nodes_of(read_taxa(ROOT / "config/taxa/europe.tsv")), 0.5, thresholds)) > 28


def test_the_readme_names_the_endings_of_recordings(readme: Page) -> None:
    assert {text for text in readme.code() if re.fullmatch(r"\.[a-z0-9]+", text)} == SUFFIXES


def test_the_readme_names_the_lists_of_species_and_their_columns(readme: Page) -> None:
    lists = readme.only("List")
    assert {f"taxa/{path.name}" for path in (ROOT / "config" / "taxa").iterdir()} == set(lists)
    for name, row in lists.items():
        taxa = read_taxa(ROOT / "config" / name)
        assert str(len(taxa)) in row["Species"]
        assert {taxon.code for taxon in taxa} <= species_names().keys()
        columns = list(pd.read_csv(ROOT / "config" / name, sep="\t", comment="#", nrows=0).columns)
        assert columns == list(readme.only("Field"))[: len(columns)]


def test_every_setting_of_a_training_is_documented_and_no_other(training: Page) -> None:
    assert list(training.only("Key")) == known_keys(TrainingSettings)
    assert list(training.only("Key of own")) == list(OwnData.model_fields)


@pytest.mark.parametrize("key", known_keys(TrainingSettings))
def test_a_setting_of_a_training_has_the_default_and_the_limits_of_the_code(training: Page, key: str) -> None:
    row, (default, limits) = training.only("Key")[key], _setting(key, TrainingSettings)
    assert _same(row["Default"], default)
    assert row["Limits"] == limits


@pytest.mark.parametrize("key", OwnData.model_fields)
def test_a_setting_of_own_data_has_the_default_and_the_limits_of_the_code(training: Page, key: str) -> None:
    row, (default, limits) = training.only("Key of own")[key], _setting(key, OwnData)
    assert _same(row["Default"], default)
    assert row["Limits"] == limits


def test_the_examples_of_a_training_work(training: Page, tmp_path: Path) -> None:
    settings, taxa = tmp_path / "mine.yaml", tmp_path / "mine.tsv"
    settings.write_text(training.fence("yaml"))
    assert [own.weight for own in read_training_settings(settings).own] == [1, 0.5]
    taxa.write_text(training.fence("tsv"))
    codes = [taxon.code for taxon in read_taxa(taxa)]
    assert codes[0] in species_names() and codes[1] not in species_names()
    assert check_config(yaml.safe_load(training.fence("yml"))).detect.model
    assert read_training_settings(ROOT / "config" / "training.yaml").taxa == "config/taxa/europe.tsv"


def test_every_table_has_its_place_in_the_dictionary_and_no_other(dictionary: Page) -> None:
    documented = [table.heading for table in dictionary.starting("Column")]
    assert sorted(documented) == sorted(SCHEMAS.keys() | NO_PARQUET)
    assert sorted(dictionary.only("Table")) == sorted([*documented, "Scalograms"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_is_documented_as_its_schema(dictionary: Page, name: str) -> None:
    (table,) = [table for table in dictionary.starting("Column") if table.heading == name]
    rows, schema = _by_first(table), SCHEMAS[name]
    behind = ["score_CODE", *(f"score_{name}" for name in NO_BAT)] if name == "Detections" else []
    assert list(rows) == [*schema.names, *behind]
    for field in schema:
        row = rows[field.name]
        assert row["Type"] == TYPES[str(field.type)], field.name
        assert row["Meaning"], field.name
        unit = next((unit for suffix, unit in UNITS.items() if field.name.endswith(suffix)), row["Unit"])
        assert row["Unit"] == unit, field.name


def test_the_list_of_shards_is_documented(dictionary: Page, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "20240601_213000.wav", np.zeros(100), 200_000)
    output = tmp_path / "index"
    index(
        [Deployment("oak", None, None, "UTC", str(tmp_path))],
        output,
        shard_hours=24,
        min_sample_rate=90_000,
        min_duration=0,
    )
    written = pd.read_csv(output / "shards.tsv", sep="\t")
    (table,) = [table for table in dictionary.starting("Column") if table.heading == "Shards"]
    assert list(_by_first(table)) == list(written.columns)


def test_the_file_of_scalograms_is_documented(dictionary: Page, tmp_path: Path) -> None:
    manifest, segments, shard = tmp_path / "m.parquet", tmp_path / "s.parquet", tmp_path / "s.h5"
    write_table([], MANIFEST, manifest, {})
    write_table([], SEGMENTS, segments, {})
    scalogram(manifest, segments, shard, settings=ScalogramSettings())
    found: list[str] = []
    with h5py.File(shard) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(dictionary.only("Dataset")) == sorted(found)
        assert sorted(dictionary.only("Attribute")) == sorted(file.attrs)


def test_states_and_reasons_are_documented(dictionary: Page) -> None:
    assert set(dictionary.only("State")) == {"indexed", "analysed", "excluded"}
    assert set(dictionary.only("Reason")) == set(REASONS)
    assert set(dictionary.only("Warning")) == set(WARNINGS)
    assert set(dictionary.only("Why")) == set(HEALTH_REASONS)
    assert set(dictionary.only("Rank")) == set(RANKS)


def test_the_settings_in_a_card_are_documented(dictionary: Page) -> None:
    documented = list(dictionary.only("Field"))
    for section, kind in {
        "taxa": Taxon, "scalogram": ScalogramSettings, "network": NetworkSettings, "calibration": Calibration,
    }.items():  # fmt: skip
        named = [key.removeprefix(f"{section}.") for key in documented if key.startswith(f"{section}.")]
        assert sorted(named) == sorted(field.name for field in fields(kind))
    assert {
        f"training.{key}" for key in TrainingSettings.model_fields.keys() - {"scalogram", "width", "context_width"}
    } <= set(documented)


def test_the_card_of_a_model_is_documented(dictionary: Page) -> None:
    for card in files("batpam.models").iterdir():
        if not card.name.endswith(".json"):
            continue
        found = []
        for name, value in json.loads(card.read_text()).items():
            inner = value[0] if isinstance(value, list) else value
            found += [f"{name}.{key}" for key in inner] if isinstance(inner, dict) else [name]
        assert sorted(dictionary.only("Field")) == sorted(found)
