"""Hold what was found in the demo survey against its truth: passes per species, and calls by how loud they were.

    python benchmarks/demo_truth.py [RESULTS]

RESULTS is the folder of results, `results` if not given; run the demo survey first (`make run`). Passes of calls that were
named to no more than a group, a family or "Chiroptera" stand in rows of their own, which the truth has none of.
"""

import sys
from pathlib import Path

import pandas as pd

from batpam.models.settings import ECHO
from batpam.simulate.survey import truth_passes
from batpam.tables import DETECTIONS, concat_tables, read_origin, read_table

AUDIBLE_DB = 10.0
"""Simulated calls below this signal-to-noise ratio (``batpam.simulate.soundscapes.Heard.snr``) are not expected to be found."""


def passes_by_species(results: Path) -> pd.DataFrame:
    """Passes in the truth and passes found, per site and species or coarser taxon."""
    rule = read_origin(results / "activity" / "passes.parquet")
    truth = read_table(results / "demo" / "truth.parquet")
    wanted = truth_passes(truth, min_snr_db=AUDIBLE_DB, gap=rule["gap"], min_calls=rule["min_calls"])
    found = read_table(results / "activity" / "passes.parquet")
    table = pd.DataFrame(
        {
            "simulated": wanted.groupby(["site", "species"]).size(),
            "detected": found.rename(columns={"taxon": "species"}).groupby(["site", "species"]).size(),
        }
    )
    return table.fillna(0).astype(int)


def calls_by_level(results: Path) -> pd.DataFrame:
    """Share of simulated calls that a detection overlaps in time and frequency, and whether its best class is right."""
    min_score = read_origin(results / "activity" / "passes.parquet")["min_score"]
    calls = concat_tables(sorted((results / "detections").glob("*.parquet")), DETECTIONS)
    calls = calls[(calls["det_score"] >= min_score) & (calls["call_type"] != ECHO)]
    truth = read_table(results / "demo" / "truth.parquet")
    rows = []
    for path, part in truth.groupby("path"):
        own = calls[calls["path"] == path]
        for call in part.itertuples():
            near = own[(own["start_s"] < call.end_s) & (own["end_s"] > call.start_s)]
            near = near[(near["low_hz"] < call.high_hz * 1.05) & (near["high_hz"] > call.low_hz / 1.05)]
            best = near.loc[near["det_score"].idxmax(), "species"] if len(near) else None
            rows.append((call.snr_db, len(near) > 0, best == call.species if best else None))
    table = pd.DataFrame(rows, columns=["snr_db", "found", "right"])
    bins = pd.cut(table["snr_db"], [-200, 5, 15, 25, 35, 200], labels=["< 5", "5-15", "15-25", "25-35", "> 35"])
    return table.groupby(bins, observed=False).agg(
        calls=("found", "size"), found=("found", "mean"), species_right=("right", lambda right: right.dropna().mean())
    )


def main() -> None:
    """Print both tables."""
    results = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    print(passes_by_species(results).to_string(), "\n")
    print(calls_by_level(results).round(3).to_string())


if __name__ == "__main__":
    main()
