"""The settings of a training: their types, defaults, limits and meaning."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from batpam.config import ScalogramConfig, Section, check_settings, read_yaml
from batpam.models.settings import GRID_HOPS


class OwnData(Section):
    """Recordings of one's own with labels."""

    annotations: str = Field(description="File or folder of annotations (docs/annotations.md).")
    recordings: str = Field("", description="Folder of the recordings; empty: beside the annotations.")
    format: str = Field("auto", description="Format of the annotations.")
    names: dict[str, str] = Field(
        default_factory=dict, description="What labels mean, LABEL: MEANING; an empty meaning leaves the label out."
    )
    time_expansion: float = Field(
        1.0, ge=1, le=100, description="Time expansion of the recordings of which the annotations do not tell it."
    )
    weight: float = Field(1.0, gt=0, le=1000, description="How often its windows are drawn, re those simulated.")


class TrainingSettings(Section):
    """How a network is made."""

    taxa: str = Field("config/taxa/europe.tsv", description="Species of the model, a tab-separated table.")
    start: str = Field(
        "", description="Model to start from ('shipped' for the one that comes with batpam); empty: from nothing."
    )
    windows: int = Field(12_000, ge=20, description="Simulated windows; a tenth as many more are held out.")
    window: float = Field(1.0, ge=0.2, le=10, description="Length of a window, s.")
    echoes: bool = Field(True, description="Whether simulated calls echo.")
    insects: bool = Field(True, description="Whether insects sing in simulated windows.")
    noises: list[str] = Field(
        default_factory=list,
        description="Folders of recordings without bats: mixed into simulated windows, and searched for what the model takes for bats.",
    )
    own: list[OwnData] = Field(default_factory=list, description="Labelled recordings to train on as well.")
    width: int = Field(8, ge=2, le=64, description="Size of the network: channels are multiples of it.")
    context_width: int = Field(96, ge=8, le=512, description="Channels of the context over time.")
    epochs: int = Field(12, ge=1, description="Times that the windows are learnt, at most.")
    batch: int = Field(16, ge=1, description="Windows per step.")
    rate: float = Field(3e-3, gt=0, le=0.1, description="Highest learning rate of the one-cycle schedule.")
    patience: int = Field(4, ge=1, description="Epochs without a better loss on held-out windows after which it ends.")
    seed: int = Field(1, ge=0, description="Of windows, first weights and order.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the network is fitted.")
    devices: int = Field(1, ge=1, description="Number of GPUs.")
    scalogram: ScalogramConfig = Field(default_factory=ScalogramConfig, description="The transform.")

    @model_validator(mode="after")
    def _whole_grid(self) -> "TrainingSettings":
        grid = GRID_HOPS * self.scalogram.hop
        if abs(self.window / grid - round(self.window / grid)) > 1e-6:
            raise ValueError(f"window ({self.window:g} s) must be a multiple of {grid:g} s: {GRID_HOPS} hops")
        return self


def read_training_settings(path: Path) -> TrainingSettings:
    """Read and check the settings of a training.

    Raises
    ------
    UserError
        It cannot be read, a key is not known or a value is out of range; names the key.
    """
    return check_settings(TrainingSettings, read_yaml(path), str(path), keys_in="docs/training.md")
