"""The tables of what is not a call: every row can be drawn, and what is drawn lies where the table says."""

import numpy as np
import pytest

from batpam.simulate.parameters import draw, parameters, rows_of


@pytest.mark.parametrize("quantity", parameters("scenes")["quantity"])
def test_what_is_drawn_lies_in_its_range(quantity: str) -> None:
    row = rows_of("scenes")[quantity]
    rng = np.random.default_rng(1)
    values = np.array([draw(quantity, rng) for _ in range(400)])
    assert row["low"] < row["high"] and row["scale"] in ("linear", "log")
    assert (values >= row["low"]).all() and (values <= row["high"]).all()
    middle = np.sqrt(row["low"] * row["high"]) if row["scale"] == "log" else (row["low"] + row["high"]) / 2
    assert np.mean(values < middle) == pytest.approx(0.5, abs=0.1)


def test_shares_are_shares_and_limits_are_in_order() -> None:
    assert parameters("birds")["share"].sum() == pytest.approx(1.0)
    assert parameters("confusers")["share"].between(0, 1).all()
    for name in ("birds", "confusers"):
        table = parameters(name)
        for low in [column for column in table if column.endswith("_min")]:
            assert (table[low] <= table[low.replace("_min", "_max")]).all(), (name, low)
    rodents = parameters("rodents")
    assert (rodents["low"] < rodents["high"]).all() and (rodents["short"] < rodents["long"]).all()
    assert rodents["high"].max() <= 110
