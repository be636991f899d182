"""Showing annotations, and writing them as a plain table."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from batpam.errors import printable
from batpam.files import written_whole
from batpam.training.annotations.read import Annotations

MAX_LINES = 20
"""Missing recordings and labels that fit nothing that are shown."""


def summarise(annotations: Annotations) -> str:
    """Tell in a few lines what there is: recordings, taxa and types of calls, and what fits nothing."""
    events, recordings, unknown = annotations.events, annotations.recordings, annotations.unknown
    missing = recordings[~recordings["exists"]]
    lines = [
        f"recordings: {len(recordings)}, found {len(recordings) - len(missing)}, missing {len(missing)}, "
        f"exhaustively annotated {int(recordings['exhaustive'].sum())}",
        f"labels: {len(events)} ({_counted(events, 'extent')})",
    ]
    splits = {split: len(part) for split, part in recordings.groupby("split") if split}
    if splits:
        lines.append("split: " + ", ".join(f"{split} {count}" for split, count in splits.items()) + " recordings")
    if len(events):
        lines += ["", *_table(_by_taxon(events))]
    if len(unknown):
        lines += ["", "labels that fit nothing:"]
        rows = [
            (printable(label) or "(empty)", str(count), where, f"perhaps {nearest}" if nearest else "")
            for label, count, where, nearest in unknown.itertuples(index=False)
        ]
        lines += [f"  {line}" for line in _table([("label", "count", "first", ""), *rows[:MAX_LINES]])]
        lines += _more(len(rows))
    if len(missing):
        lines += ["", "recordings that are missing:"]
        lines += [f"  {printable(recording)}" for recording in missing["recording"][:MAX_LINES]]
        lines += _more(len(missing))
    return "\n".join(lines) + "\n"


def write_plain(annotations: Annotations, output: Path) -> None:
    """Write annotations as a plain table, which reads back as the same; recordings without a label have a line too."""
    events = annotations.events.drop(columns="where")
    recordings = annotations.recordings.drop(columns="exists").set_index("recording")
    silent = recordings.index[~recordings.index.isin(events["recording"])]
    rows = pd.concat([events, pd.DataFrame({"recording": silent})], ignore_index=True)
    rows = rows.drop(columns="split").join(recordings, on="recording")
    rows["file"] = [os.path.abspath(recording) for recording in rows["recording"]]  # noqa: PTH100 (keeps links)
    # a label of the whole file says so by having no times
    rows["extent"] = rows["extent"].where((rows["extent"] == "file") & rows["start_s"].notna(), "")
    rows["channel"] = rows["channel"] + 1
    rows["exhaustive"] = rows["exhaustive"].map({True: "yes", False: "no"})
    order = [
        "file", "label", "start_s", "end_s", "low_hz", "high_hz", "call_type", "split", "exhaustive", "taxon", "extent",
        "duration_s", "time_expansion", "channel", "clock",
    ]  # fmt: skip
    with written_whole(output) as temporary:
        rows[order].to_csv(temporary, index=False, encoding="utf-8")


def _by_taxon(events: pd.DataFrame) -> list[tuple[str, ...]]:
    counts = events.groupby([events["taxon"].replace("", "(nothing)"), "call_type"]).size().unstack(fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    names = [name or "type not told" for name in counts.columns]
    header = ("taxon", "labels", *names)
    return [header, *((taxon, str(sum(row)), *map(str, row)) for taxon, *row in counts.itertuples())]


def _counted(table: pd.DataFrame, column: str) -> str:
    return ", ".join(f"{name} {count}" for name, count in table[column].value_counts().items()) or "none"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines; numbers to the right."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if number and rows[-1][number].isdecimal() else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _more(count: int) -> list[str]:
    return [f"  and {count - MAX_LINES} more"] if count > MAX_LINES else []
