"""The tables of the simulator: tab-separated, their units and sources in comments at the top."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd


@lru_cache(maxsize=16)
def parameters(name: str) -> pd.DataFrame:
    """A table of this folder, by its name without the ending."""
    with (files("batpam.simulate") / f"{name}.tsv").open() as table:
        return pd.read_csv(table, sep="\t", comment="#")


@lru_cache(maxsize=16)
def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """The rows of a table by their first column."""
    table = parameters(name)
    return dict(zip(table.iloc[:, 0], table.to_dict("records"), strict=True))


def draw(quantity: str, rng: np.random.Generator) -> float:
    """A value of a quantity of ``scenes.tsv``."""
    row = rows_of("scenes")[quantity]
    if row["scale"] == "log":
        return float(np.exp(rng.uniform(np.log(row["low"]), np.log(row["high"]))))
    return float(rng.uniform(row["low"], row["high"]))
