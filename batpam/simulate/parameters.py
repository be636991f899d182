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


def draw(quantity: str, rng: np.random.Generator, *, table: str = "scenes", most: float = np.inf) -> float:
    """A value of a quantity of a table with a low and a high end, and none above ``most``."""
    return float(draw_many(quantity, rng, None, table=table, most=most))


def draw_many(
    quantity: str, rng: np.random.Generator, size: int | None, *, table: str = "scenes", most: float = np.inf
) -> np.ndarray:
    """Values as of :func:`draw`, shape (size,)."""
    row = rows_of(table)[quantity]
    low, high = row["low"], min(row["high"], most)
    if row["scale"] == "whole":
        return np.asarray(rng.integers(int(low), int(high) + 1, size))
    if row["scale"] == "log":
        return np.exp(rng.uniform(np.log(low), np.log(high), size))
    return np.asarray(rng.uniform(low, high, size))
