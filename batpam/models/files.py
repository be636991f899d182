"""Model files: weights as safetensors, everything else as a JSON card beside them.

Neither can run code when it is read.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batpam.errors import UserError
from batpam.files import write_text, written_whole
from batpam.models.calibration import Calibration
from batpam.models.settings import NetworkSettings
from batpam.scalograms.settings import ScalogramSettings
from batpam.tables import NO_BAT

if TYPE_CHECKING:
    import pandas as pd

    from batpam.models.network import CallNetwork

SHIPPED = "europe"


@dataclass(frozen=True)
class Taxon:
    """A species of the network: short code, scientific and English name, the group it is confused in, its family.

    ``encounters`` is how often a bat of it is drawn in simulated scenes, re the other species.
    """

    code: str
    species: str
    english: str
    group: str
    family: str
    encounters: float = 1.0


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model file.

    Attributes
    ----------
    name
        Name of the model.
    taxa
        The species, in the order of the network's outputs; insect and noise follow them there.
    scalogram
        The transform that the network was trained on.
    network
        Its size.
    calibration
        What its scores are worth.
    training, metrics
        How it was trained and how it did on held-out data, for people to read.
    weights_sha256
        Of the file of the weights: a card beside those of another training would give names and probabilities that are
        wrong. :func:`write_model` fills it in.
    """

    name: str
    taxa: tuple[Taxon, ...]
    scalogram: ScalogramSettings
    network: NetworkSettings
    calibration: Calibration
    training: dict[str, Any]
    metrics: dict[str, Any]
    weights_sha256: str = ""


def shipped_model() -> Path:
    """Path of the model that comes with batpam."""
    return Path(str(files("batpam.models") / f"{SHIPPED}.safetensors"))


def read_card(model: Path) -> ModelCard:
    """Read the card of a model file.

    Raises
    ------
    UserError
        The card is missing or is not one.
    """
    path = model.with_suffix(".json")
    try:
        raw = json.loads(path.read_text())
        calibration: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in raw["calibration"].items()
        }
        return ModelCard(
            name=raw["name"],
            taxa=tuple(Taxon(**taxon) for taxon in raw["taxa"]),
            scalogram=ScalogramSettings(**raw["scalogram"]),
            network=NetworkSettings(**raw["network"]),
            calibration=Calibration(**calibration),
            training=raw["training"],
            metrics=raw["metrics"],
            weights_sha256=raw["weights_sha256"],
        )
    except FileNotFoundError as error:
        raise UserError(f"model {model}: there is no card {path.name} beside it; `batpam train` writes both") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"model card {path}: not a card of this version of batpam ({error}); take the batpam that it was made with, or train again"
        ) from error


def write_model(network: "CallNetwork", card: ModelCard, path: Path) -> None:
    """Write weights and card side by side."""
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    weights = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    data = save(weights)
    card = replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    write_text(path.with_suffix(".json"), json.dumps(asdict(card), indent=2) + "\n")
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def load_model(path: Path) -> tuple["CallNetwork", ModelCard]:
    """Load a network, ready to predict, and its card."""
    from safetensors.torch import load

    from batpam.models.network import CallNetwork

    card = read_card(path)
    network = CallNetwork(card.network)
    try:
        missing, unexpected = network.load_state_dict(load(_read_weights(path, card)), strict=False)
    except RuntimeError as error:
        raise _other_sizes(path) from error
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise UserError(f"model {path}: the weights do not fit the card; take both from the same training")
    return network.eval(), card


def _other_sizes(path: Path) -> UserError:
    return UserError(
        f"model {path}: the weights are those of a network of other sizes; take them and the card from the same "
        "training, the batpam that it was made with (training.batpam in the card), or train it again"
    )


def _read_weights(path: Path, card: ModelCard) -> bytes:
    """Content of the file of the weights that a card tells of."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"model {path}: the weights cannot be read ({error.strerror}); copy them again") from error
    if hashlib.sha256(data).hexdigest() != card.weights_sha256:
        raise UserError(
            f"model {path}: the weights are not those that the card beside them tells of; copy both again, from the "
            "same training, or run `batpam train` again to its end"
        )
    return data


def check_model(path: Path, scalogram: ScalogramSettings) -> None:
    """Look whether a model is whole and was trained on this transform, without loading it.

    Raises
    ------
    UserError
        A file is missing, the weights cannot be read or are of another network, or a setting of the transform is
        another; names it.
    """
    from safetensors.numpy import load

    if path.suffix != ".safetensors":
        raise UserError(f"detect.model: {path} is no model file; name the *.safetensors, its card lies beside it")
    if not path.is_file():
        raise UserError(f"detect.model: {path} does not exist; `batpam train` makes one")
    card = read_card(path)
    if len(load(_read_weights(path, card))["heads.weight"]) != sum(card.network.outputs):
        raise _other_sizes(path)
    wanted = asdict(card.scalogram)
    for key, value in asdict(scalogram).items():
        if value != wanted[key]:
            raise UserError(
                f"scalogram.{key} is {value}, the model {path.name} was trained with {wanted[key]}; "
                "set that, or name another model in detect.model"
            )


def model_hash(path: Path) -> str:
    """First 12 digits of the SHA-256 of weights and card."""
    digest = hashlib.sha256(path.read_bytes())
    digest.update(path.with_suffix(".json").read_bytes())
    return digest.hexdigest()[:12]


def read_taxa(path: Path) -> list[Taxon]:
    """Read the classes of a model to be: a tab-separated table of ``code``, ``species``, ``english``, ``group``, ``family``.

    A column ``encounters`` may follow; without it, all are 1.

    Raises
    ------
    UserError
        A column is missing, a code or a species stands twice, a name is one of those of what is no bat, or
        ``encounters`` is no number above 0.
    """
    columns = ["code", "species", "english", "group", "family"]
    table = _read_sheet(path, columns)
    for column in ("code", "species"):
        twice = table[column][table[column].duplicated()]
        if len(twice):
            raise UserError(f"{path}: {column} {twice.iloc[0]!r} stands twice")
    taken = set(table[["species", "group", "family"]].to_numpy().ravel()) & set(NO_BAT)
    if taken:
        raise UserError(
            f"{path}: {min(taken)!r} stands for what is no bat; give the species, group or family another name"
        )
    encounters = [1.0] * len(table)
    if "encounters" in table:
        for number, value in enumerate(table["encounters"]):
            try:
                encounters[number] = float(value)
            except ValueError:
                encounters[number] = math.nan
            if not 0 < encounters[number] < math.inf:
                raise UserError(f"{path}: encounters of {table['code'][number]} is {value!r}; give a number above 0")
    rows = table[columns].to_dict("records")
    return [Taxon(**row, encounters=often) for row, often in zip(rows, encounters, strict=True)]


def read_codes(path: Path) -> list[str]:
    """Read a list of species: the column ``code`` of a tab-separated table."""
    return _read_sheet(path, ["code"])["code"].tolist()


def allowed_species(card: ModelCard, species_list: Path | None) -> list[bool] | None:
    """Which species of a model stand in a list, one bool each; None without a list.

    Raises
    ------
    UserError
        The list cannot be read, or names none of the model's species.
    """
    if species_list is None:
        return None
    codes = set(read_codes(species_list))
    allowed = [taxon.code in codes for taxon in card.taxa]
    if not any(allowed):
        known = ", ".join(taxon.code for taxon in card.taxa)
        raise UserError(
            f"detect.species_list: {species_list} names no species of the model {card.name}; it knows {known}"
        )
    return allowed


def _read_sheet(path: Path, columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", dtype=str, comment="#")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path}: cannot be read as a table of taxa ({error})") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; a table of taxa needs {', '.join(columns)}")
    blank = table[columns].isna().any(axis=1)
    if blank.any():
        raise UserError(f"{path}: row {int(blank.argmax()) + 1} lacks a value of {', '.join(columns)}")
    return table
