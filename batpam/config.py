"""The settings: their types, defaults, limits and meaning, in one place.

``workflow/schemas/config.schema.json`` is made from here; a test keeps the two in step.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from batpam.errors import UserError
from batpam.scalograms.settings import ScalogramSettings

_DEFAULT = ScalogramSettings()
Settings = TypeVar("Settings", bound=BaseModel)


class Section(BaseModel):
    """A group of settings; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)


class IndexConfig(Section):
    """How recordings are found and put into shards."""

    shard_hours: float = Field(
        24.0, gt=0, le=24, description="Recordings that begin in the same stretch of this length make a shard, h."
    )
    min_sample_rate: float = Field(
        90_000, ge=1000, description="Recordings below this real sample rate are excluded: no bat would be in them, Hz."
    )
    min_duration: float = Field(
        0.05, ge=0, le=60, description="Shorter recordings are excluded: nothing can be told from noise in them, s."
    )
    follow_links: bool = Field(
        False, description="Whether links that lead out of the folders of the site sheet are followed."
    )


class SegmentConfig(Section):
    """The gate that decides what is worth a scalogram."""

    f_min: float = Field(10_000, gt=0, description="Lowest frequency that is looked at, Hz.")
    threshold_db: float = Field(
        7.0, gt=0, le=60, description="How far sound must rise above the noise of its frequency to be kept, dB."
    )
    padding: float = Field(0.2, ge=0, le=10, description="What is kept before and after, s.")


class ScalogramConfig(Section):
    """The wavelet transform; must be that of the model."""

    wavelet: str = Field(_DEFAULT.wavelet, description="A complex wavelet as PyWavelets names it.")
    f_min: float = Field(_DEFAULT.f_min, gt=0, description="Centre of the lowest voice, Hz.")
    f_max: float = Field(_DEFAULT.f_max, gt=0, description="Centre of the highest voice, Hz.")
    voices: int = Field(_DEFAULT.voices, ge=8, le=1024, multiple_of=8, description="Number of voices.")
    spacing: Literal["log", "linear"] = Field(
        _DEFAULT.spacing, description="What the voices are spaced evenly in: the logarithm of frequency, or frequency."
    )
    hop: float = Field(_DEFAULT.hop, ge=1e-5, le=0.1, description="Time that power is pooled over, s.")

    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the transform runs.")

    @model_validator(mode="after")
    def _ordered(self) -> "ScalogramConfig":
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min ({self.f_min:g} Hz) must be below f_max ({self.f_max:g} Hz)")
        return self


class DetectConfig(Section):
    """The network."""

    model: str = Field("", description="Model file (safetensors); empty for the one that comes with batpam.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the network runs.")
    min_score: float = Field(0.1, gt=0, lt=1, description="Detections of a lower score are not written.")
    species_list: str = Field(
        "", description="Table with a column `code` of the species that may occur; empty: all that the model knows."
    )


class ActivityConfig(Section):
    """Which calls count, and what a pass is."""

    min_score: float = Field(
        0.5, ge=0, le=1, description="Probability of being the call of a bat from which a call counts."
    )
    min_taxon_score: float = Field(
        0.5, ge=0, le=1,
        description="Probability from which a call is named to a species; else to a group or a family that has it, else 'Chiroptera'.",
    )  # fmt: skip
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description="Probability that a species, group or family of this name needs instead."
    )
    gap: float = Field(1.0, gt=0, le=60, description="Longest time from call to call within a pass, start to start, s.")
    min_calls: int = Field(2, ge=1, le=100, description="Fewest calls in a pass.")

    @field_validator("thresholds", mode="before")
    @classmethod
    def _no_thresholds(cls, raw: Any) -> Any:
        """What is named and left empty has no entry."""
        return {} if raw is None else raw


class HealthConfig(Section):
    """What makes the night of a recorder valid, partial or failed."""

    min_valid_share: float = Field(
        0.9, ge=0, le=1, description="Share of the scheduled dark hours that a valid night has at least usable."
    )
    min_partial_share: float = Field(0.1, ge=0, le=1, description="Share below which a night has failed.")
    max_flat_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of a night's audio with stuck samples or next to none from which it has failed.",
    )
    max_clipped_share: float = Field(
        0.001, ge=0, le=1, description="Share of clipped samples from which it is partial."
    )
    max_offset: float = Field(
        0.02, ge=0, le=1, description="Mean of the samples from which it is partial, re full scale."
    )
    max_click_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of a night's audio with rain or other broadband clicks from which it is partial.",
    )
    max_sensitivity_change: float = Field(
        6.0, gt=0, le=60,
        description="Fall of the noise in any band, from the recorder's own first nights, from which it is partial, dB.",
    )  # fmt: skip
    reference_nights: int = Field(
        3, ge=1, le=60, description="First nights of a recorder that the later ones are held to."
    )
    failed_after: int = Field(
        3, ge=1, le=60, description="From this night in a row on, a fall of the noise makes it failed."
    )
    min_battery_v: float = Field(3.6, ge=0, le=100, description="Voltage below which the battery is named low, V.")

    @model_validator(mode="after")
    def _ordered(self) -> "HealthConfig":
        if self.min_partial_share > self.min_valid_share:
            raise ValueError(
                f"min_partial_share ({self.min_partial_share:g}) must not be above min_valid_share ({self.min_valid_share:g})"
            )
        return self


class CoverageConfig(Section):
    """What the ledger must say for a run to end well."""

    max_excluded_fraction: float = Field(
        0.5, ge=0, le=1,
        description="Share of the files, and of the seconds, that may be excluded; above it the run fails. Duplicates do not count.",
    )  # fmt: skip


class Config(Section):
    """Settings of a survey."""

    title: str = Field("Bat survey", description="Title of the report.")
    sites: str = Field("config/sites.tsv", description="The site sheet, a tab-separated table.")
    recordings: str = Field(
        "", description="A folder with one sub-folder per site; if given, there is no need of a site sheet."
    )
    timezone: str = Field("UTC", description="IANA time zone of the sites that `recordings` makes.")
    index: IndexConfig = Field(default_factory=IndexConfig)
    segment: SegmentConfig = Field(default_factory=SegmentConfig)
    scalogram: ScalogramConfig = Field(default_factory=ScalogramConfig)
    detect: DetectConfig = Field(default_factory=DetectConfig)
    health: HealthConfig = Field(default_factory=HealthConfig)
    activity: ActivityConfig = Field(default_factory=ActivityConfig)
    coverage: CoverageConfig = Field(default_factory=CoverageConfig)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, raw: Any) -> Any:
        """A section that is named and left empty has its defaults."""
        return {key: {} if value is None else value for key, value in raw.items()} if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _audible(self) -> "Config":
        if self.segment.f_min >= self.index.min_sample_rate / 2:
            raise ValueError(
                f"segment.f_min ({self.segment.f_min:g} Hz) must be below half of index.min_sample_rate "
                f"({self.index.min_sample_rate:g} Hz), or recordings would count as analysed and nothing be looked at"
            )
        return self


def read_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises
    ------
    UserError
        It cannot be read, a key is not known or a value is out of range; names the key.
    """
    return check_config(read_yaml(path), str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """What a YAML file says; nothing where it is empty."""
    try:
        return yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the configuration cannot be read ({error.__class__.__name__})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


def check_config(raw: dict[str, Any], where: str = "configuration") -> Config:
    """Check settings that came from YAML or from Snakemake's ``--config``."""
    return check_settings(Config, raw, where)


def check_settings(
    model: type[Settings], raw: dict[str, Any], where: str, *, keys_in: str = "config/README.md"
) -> Settings:
    """Check settings of any kind; the first fault is named with its key and a mend."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = known_keys(model) if "." in key else list(model.model_fields)
            near = difflib.get_close_matches(key, known, 1)
            mend = f"did you mean {near[0]!r}?" if near else f"{keys_in} lists the keys"
            raise UserError(f"{where}: unknown key {key!r}; {mend}") from None
        said = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
        named = f"{where}: {key}" if key else where
        raise UserError(f"{named}: {said[0].lower()}{said[1:]}{given}") from None


def scalogram_settings(config: Config) -> ScalogramSettings:
    """Transform that the settings ask for."""
    return ScalogramSettings(**config.scalogram.model_dump(exclude={"device"}))


def known_keys(model: type[BaseModel] = Config) -> list[str]:
    """Every key, with dots between section and key."""
    keys = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            keys += [f"{name}.{key}" for key in section.model_fields]
        else:
            keys.append(name)
    return keys
