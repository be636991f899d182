"""batpam: large-scale passive acoustic monitoring of bats."""

__version__ = "0.1.0"

STAGE_VERSIONS = {
    "simulate": 11,
    "index": 4,
    "segment": 4,
    "scalogram": 2,
    "detect": 6,
    "ledger": 1,
    "health": 2,
    "activity": 5,
    "report": 4,
    "train": 11,
}
"""Counted up when the result of a stage changes for the same input; the workflow reruns the stage then."""
