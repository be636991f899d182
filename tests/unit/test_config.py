"""Settings: what is wrong is named, and the schema that Snakemake checks against is made from them."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from batpam.config import Config, check_config, known_keys, read_config, scalogram_settings
from batpam.errors import UserError
from batpam.scalograms.settings import ScalogramSettings
from batpam.survey import sites_of_folder

REGENERATE = (
    'python -c "import json; from batpam.config import Config; '
    'print(json.dumps(Config.model_json_schema(), indent=2))" > workflow/schemas/config.schema.json'
)


def _nested(key: str, value: Any) -> dict[str, Any]:
    section, _, rest = key.partition(".")
    return {section: _nested(rest, value) if rest else value}


def _value(config: Config, key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


def test_schema_is_that_of_the_settings(repository: Path) -> None:
    path = repository / "workflow/schemas/config.schema.json"
    wanted = json.dumps(Config.model_json_schema(), indent=2) + "\n"
    there = path.read_text() if path.is_file() else ""
    assert there == wanted, f"{path.name} is not in step with batpam/config.py; make it anew: {REGENERATE}"


def test_schema_refuses_unknown_keys_everywhere() -> None:
    schema = Config.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    assert len(sections) > 1
    assert all(section["additionalProperties"] is False for section in sections)


def test_every_setting_says_what_it_is() -> None:
    for section in [Config, *(field.annotation for field in Config.model_fields.values())]:
        if isinstance(section, type) and issubclass(section, BaseModel):
            for name, field in section.model_fields.items():
                is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
                assert is_section or field.description, f"{section.__name__}.{name}"


def test_scalogram_defaults_are_those_of_the_transform() -> None:
    assert scalogram_settings(Config()) == ScalogramSettings()


def test_shipped_configuration_is_valid(repository: Path) -> None:
    assert isinstance(read_config(repository / "config/config.yaml"), Config)


def test_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# nothing\n")
    assert read_config(tmp_path / "config.yaml") == Config()


def test_values_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("title: Fledermäuse\nsegment:\n  padding: 1\nactivity: {gap: 2.5, min_calls: 3}\n")
    config = read_config(path)
    assert (config.title, config.segment.padding, config.activity.gap) == ("Fledermäuse", 1.0, 2.5)
    assert config.activity.min_calls == 3
    assert config.segment.threshold_db == Config().segment.threshold_db


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("titel", "title"),
        ("site", "sites"),
        ("timezon", "timezone"),
        ("segment.treshold_db", "segment.threshold_db"),
        ("activity.gap_s", "activity.gap"),
        ("detect.minscore", "detect.min_score"),
        ("index.min_durations", "index.min_duration"),
        ("coverage.max_excluded", "coverage.max_excluded_fraction"),
        ("health.min_valid", "health.min_valid_share"),
        ("segmnt", "segment"),
        ("scalograms", "scalogram"),
    ],
)
def test_unknown_key_is_named_and_the_one_that_was_meant(key: str, meant: str) -> None:
    with pytest.raises(UserError) as error:
        check_config(_nested(key, {} if meant in Config.model_fields else 1), "my.yaml")
    assert "my.yaml" in str(error.value)
    assert repr(key) in str(error.value)
    assert f"did you mean {meant!r}?" in str(error.value)


def test_unknown_key_that_is_like_no_other_is_named() -> None:
    with pytest.raises(UserError, match=r"'zzz'.*README"):
        check_config({"zzz": 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("index.shard_hours", 0),
        ("index.shard_hours", -1),
        ("index.shard_hours", 25),
        ("index.min_sample_rate", 999),
        ("index.min_sample_rate", float("inf")),
        ("index.min_duration", -0.1),
        ("index.min_duration", 61),
        ("index.follow_links", "perhaps"),
        ("coverage.max_excluded_fraction", -0.1),
        ("coverage.max_excluded_fraction", 1.1),
        ("coverage.max_excluded_fraction", float("nan")),
        ("health.min_valid_share", 1.1),
        ("health.min_partial_share", -0.1),
        ("health.max_flat_share", 2),
        ("health.max_clipped_share", float("nan")),
        ("health.max_offset", -0.1),
        ("health.max_click_share", 1.1),
        ("health.max_sensitivity_change", 0),
        ("health.reference_nights", 0),
        ("health.reference_nights", 1.5),
        ("health.failed_after", 0),
        ("health.min_battery_v", -1),
        ("segment.f_min", 0),
        ("segment.f_min", float("inf")),
        ("segment.threshold_db", 0),
        ("segment.threshold_db", 61),
        ("segment.threshold_db", float("nan")),
        ("segment.padding", -0.1),
        ("segment.padding", 11),
        ("scalogram.f_min", -1),
        ("scalogram.f_max", 0),
        ("scalogram.f_max", float("inf")),
        ("scalogram.voices", 7),
        ("scalogram.voices", 96.5),
        ("scalogram.voices", 100),
        ("scalogram.hop", 0),
        ("scalogram.hop", 0.2),
        ("detect.device", "gpu"),
        ("detect.min_score", 0),
        ("detect.min_score", 1),
        ("activity.min_score", -0.1),
        ("activity.min_score", 1.1),
        ("activity.min_taxon_score", 2),
        ("activity.thresholds", 0.5),
        ("activity.thresholds.Myotis", 1.1),
        ("activity.thresholds.Myotis", "often"),
        ("activity.thresholds.Myotis", float("nan")),
        ("activity.gap", 0),
        ("activity.gap", 61),
        ("activity.gap", "long"),
        ("activity.min_calls", 0),
        ("activity.min_calls", 1.5),
        ("activity", 3),
        ("title", ["a"]),
    ],
)
def test_value_that_cannot_be_is_named_with_its_key(key: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        check_config(_nested(key, value), "my.yaml")
    assert f"my.yaml: {key}: " in str(error.value)
    assert str(value) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("index.shard_hours", 24),
        ("index.min_duration", 0),
        ("index.min_duration", 60),
        ("index.follow_links", True),
        ("coverage.max_excluded_fraction", 0),
        ("coverage.max_excluded_fraction", 1),
        ("health.min_valid_share", 1),
        ("health.max_sensitivity_change", 60),
        ("health.failed_after", 1),
        ("segment.threshold_db", 60),
        ("segment.padding", 0),
        ("segment.padding", 10),
        ("scalogram.voices", 8),
        ("scalogram.hop", 0.1),
        ("detect.min_score", 0.999),
        ("activity.min_score", 0),
        ("activity.min_score", 1),
        ("activity.gap", 60),
        ("activity.min_calls", 1),
        ("activity.min_calls", 100),
    ],
)
def test_limits_themselves_are_allowed(key: str, value: float) -> None:
    assert _value(check_config(_nested(key, value)), key) == value


def test_section_left_empty_has_its_defaults() -> None:
    assert check_config({"activity": None}).activity == check_config({}).activity
    assert check_config({"activity": {"thresholds": None}}).activity.thresholds == {}


def test_number_may_stand_where_text_is_wanted() -> None:
    assert check_config({"title": 2025, "recordings": 2024}).recordings == "2024"


def test_gate_must_look_at_what_recordings_can_hold() -> None:
    low = {"index": {"min_sample_rate": 1000}, "segment": {"f_min": 499}}
    assert check_config(low).index.min_sample_rate == 1000
    low["segment"]["f_min"] = 500
    with pytest.raises(UserError, match=r"segment\.f_min"):
        check_config(low)


def test_lowest_voice_must_lie_below_the_highest() -> None:
    with pytest.raises(UserError, match=r"f_m(in|ax)"):
        check_config({"scalogram": {"f_min": 200_000, "f_max": 150_000}})


def test_unknown_time_zone_is_named_before_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Mars/Phobos"):
        sites_of_folder(tmp_path, check_config({"recordings": str(tmp_path), "timezone": "Mars/Phobos"}).timezone)


@pytest.mark.parametrize("content", [b"title: [", b"a: b: c", b"\xff\xfe", b"- a\n- b\n", b"just text"])
def test_file_that_is_no_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.yaml") as error:
        read_config(path)
    assert "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        read_config(tmp_path / "nowhere.yaml")


def test_known_keys_are_those_of_the_settings() -> None:
    def keys(values: dict[str, Any], before: str = "") -> set[str]:
        found: set[str] = set()
        for name, value in values.items():
            found |= keys(value, f"{name}.") if isinstance(value, dict) else {before + name}
        return found

    assert keys(Config().model_dump()) <= set(known_keys())
