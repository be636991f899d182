"""What recordings say against each other: the same audio twice, two at the same time, a clock that jumped.

What comes out twice is excluded only when every sample is the same; everything else is a warning, for no one can say from
two times which of them is wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from batpam.errors import printable
from batpam.progress import Progress
from batpam.recordings.audio import same_audio

CROSS_WARNINGS = ("clock_jump", "overlap", "same_time")
"""Warnings that depend on other recordings."""

OVERLAP_S = 1.0
"""Recordings of one recorder may overlap by this: names are cut to the second."""

JUMP_S = 366 * 86_400.0

TEXTS = ("state", "reason", "detail", "warnings", "warning_detail")
"""Columns that are set anew."""

Changes = dict[str, dict[int, str]]
"""Texts that are no longer those of the table, by column and row."""


def mark_conflicts(table: pa.Table, unchanged: np.ndarray) -> pa.Table:
    """Mark duplicates, overlaps and jumps of the clock.

    Parameters
    ----------
    table
        With the columns of the schema RECORDINGS, in the order in which the first of several copies is the one that is kept.
    unchanged
        Which rows are as an earlier index left them: copies that it found need not be compared again.

    Returns
    -------
    Table with the columns ``state``, ``reason``, ``detail``, ``warnings`` and ``warning_detail`` set anew
    """
    changes: Changes = {name: {} for name in TEXTS}
    copies = _where(pc.equal(table.column("reason"), "duplicate"))
    before = {int(row): table.column("detail")[row].as_py() for row in copies if unchanged[row]}
    for row in copies:
        changes["state"][row], changes["reason"][row], changes["detail"][row] = "indexed", "", ""
    _forget_warnings(table, changes)
    rows = _numbers(table, copies)
    _mark_copies(table, rows, changes, before, unchanged)
    _mark_times(table, rows, changes)
    for name in TEXTS:
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(name), _replaced(table.column(name), changes[name]))
    return table


def _where(condition: pa.ChunkedArray) -> np.ndarray:
    return np.flatnonzero(condition.fill_null(False).to_numpy())


def _numbers(table: pa.Table, copies: np.ndarray) -> pd.DataFrame:
    """What recordings are held against each other by, texts as numbers: a million of them would fill the memory.

    ``indexed`` is whether a recording is analysed as far as it alone can say; ``unit`` tells recorders apart, by their serial
    numbers where they have some, ``recorder`` by the site sheet alone.
    """
    rows = pd.DataFrame(
        {name: table.column(name).to_numpy() for name in ("channel", "samples", "readable_samples", "duration_s")}
    )
    rows["triggered"] = pc.greater(table.column("untriggered_s"), 0).fill_null(False).to_numpy()
    rows["start"] = table.column("start_utc").cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6
    for name in ("site", "recorder", "serial", "digest"):
        codes = pc.dictionary_encode(table.column(name).cast(pa.string())).combine_chunks()
        codes = codes.chunk(0) if isinstance(codes, pa.ChunkedArray) else codes
        rows[name] = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        if name == "digest":
            rows.loc[pc.equal(table.column(name), "").to_numpy(), name] = -1
    rows["indexed"] = pc.equal(table.column("state"), "indexed").to_numpy()
    rows.loc[copies, "indexed"] = True
    rows["recorder"] = rows.groupby(["site", "recorder"]).ngroup()
    rows["unit"] = rows.groupby(["recorder", "serial"]).ngroup()
    return rows.drop(columns=["site", "serial"])


def _replaced(column: pa.ChunkedArray, changes: dict[int, str]) -> pa.ChunkedArray:
    if not changes:
        return column
    mask = np.zeros(len(column), bool)
    mask[list(changes)] = True
    return pc.replace_with_mask(
        column, pa.array(mask), pa.array([changes[row] for row in sorted(changes)], pa.string())
    )


def _text(table: pa.Table, changes: Changes, name: str, row: int) -> str:
    return changes[name].get(row, table.column(name)[row].as_py())


def _forget_warnings(table: pa.Table, changes: Changes) -> None:
    for row in _where(pc.match_substring_regex(table.column("warnings"), "|".join(CROSS_WARNINGS))):
        lines = table.column("warning_detail")[row].as_py().split("\n")
        lines = [line for line in lines if line.split(":")[0] not in CROSS_WARNINGS]
        changes["warning_detail"][row] = "\n".join(lines)
        changes["warnings"][row] = ",".join(line.split(":")[0] for line in lines)


def _warn(table: pa.Table, changes: Changes, row: int, code: str, text: str) -> None:
    codes = [told for told in _text(table, changes, "warnings", row).split(",") if told]
    if code not in codes:
        lines = [line for line in _text(table, changes, "warning_detail", row).split("\n") if line]
        changes["warnings"][row] = ",".join([*codes, code])
        changes["warning_detail"][row] = "\n".join([*lines, f"{code}: {text}"])


def _mark_copies(
    table: pa.Table, rows: pd.DataFrame, changes: Changes, before: dict[int, str], unchanged: np.ndarray
) -> None:
    """Exclude copies of the same audio; warn of other audio from the same recorder and time."""
    known = rows[rows["indexed"] & (rows["digest"] >= 0)]
    alike = known[known.duplicated(["digest", "channel"], keep=False)]
    dated = rows[rows["indexed"] & rows["start"].notna()]
    moment = ["recorder", "channel", "start"]  # without the serial number: a copy may have lost it
    at_once = dated[dated.duplicated(moment, keep=False)]
    if alike.empty and at_once.empty:
        return

    def path(row: int) -> str:
        return table.column("path")[row].as_py()

    def is_copy(row: int, first: int) -> bool:
        if before.get(row) == _copy_of(path(first)) and unchanged[first]:
            return True
        channel, samples = int(rows.at[row, "channel"]), int(rows.at[row, "readable_samples"])
        return same_audio(Path(path(first)), Path(path(row)), channel, samples)

    with Progress("comparing", len(alike) + len(at_once), "recordings that look alike") as progress:
        done = 0
        for groups, warn in (
            (alike.groupby(["digest", "channel"], sort=False), False),
            (at_once.groupby(moment, sort=False), True),
        ):
            for members in groups.groups.values():
                kept = _Kept()
                for row in members:
                    if not rows.at[row, "indexed"]:
                        continue
                    length = (rows.at[row, "samples"], rows.at[row, "readable_samples"])
                    kind = table.column("format")[row].as_py()
                    if rows.at[row, "triggered"]:  # its digest is of other bytes than that of what it expands to
                        kind = f"{kind} triggered"
                    what = length, kind, rows.at[row, "digest"]
                    first = next((other for other in kept.like(*what) if is_copy(row, other)), None)
                    if first is None:
                        kept.add(row, *what)
                    else:
                        rows.at[row, "indexed"] = False
                        changes["state"][row], changes["reason"][row] = "excluded", "duplicate"
                        changes["detail"][row] = _copy_of(path(first))
                for row in kept.rows if warn else ():
                    same = (
                        other for other in kept.rows if other != row and rows.at[other, "unit"] == rows.at[row, "unit"]
                    )
                    other = next(same, None)
                    if other is not None:
                        _warn(table, changes, row, "same_time", printable(path(other)))
                done += len(members)
                progress.at(done)


class _Kept:
    """Recordings of which none is a copy of another, and those of them that one more may be a copy of."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self._by_format: dict[tuple[int, int], dict[str, list[int]]] = {}
        self._by_digest: dict[tuple[tuple[int, int], str, int], list[int]] = {}

    def add(self, row: int, length: tuple[int, int], kind: str, digest: int) -> None:
        self.rows.append(row)
        self._by_format.setdefault(length, {}).setdefault(kind, []).append(row)
        self._by_digest.setdefault((length, kind, digest), []).append(row)

    def like(self, length: tuple[int, int], kind: str, digest: int) -> Iterator[int]:
        """Those of the same length, and of those in the same format the ones with the same digest where that decides."""
        for other, rows in self._by_format.get(length, {}).items():
            decides = other == kind and _is_linear(kind)
            yield from self._by_digest.get((length, kind, digest), ()) if decides else rows


def _is_linear(kind: str) -> bool:
    """Whether a digest is of the samples and of nothing else, so that another digest means other audio."""
    container, _, encoding = kind.partition(" ")
    return container in ("WAV", "RF64", "W64") and encoding.startswith(("PCM_", "FLOAT", "DOUBLE"))


def _copy_of(path: str) -> str:
    return f"same audio as {printable(path)}"


def _mark_times(table: pa.Table, rows: pd.DataFrame, changes: Changes) -> None:
    """Warn of recordings that begin before an earlier one of the recorder has ended, and of clocks that jumped."""
    times = rows.loc[rows["indexed"] & rows["start"].notna(), ["unit", "start"]]
    here = rows.loc[times.index]
    share = (here["readable_samples"] / here["samples"].where(here["samples"] > 0)).fillna(0)
    times["end"] = times["start"] + here["duration_s"] * share
    times = times.sort_values(["unit", "start"], kind="stable")
    by_unit = times.groupby("unit", sort=False)
    latest = by_unit["end"].cummax().groupby(times["unit"], sort=False).shift()
    over = latest - times["start"]
    same = times["start"] == by_unit["start"].shift()
    for row in times.index[(over > OVERLAP_S) & ~same]:
        _warn(table, changes, row, "overlap", f"begins {over[row]:.0f} s before the one before it ends")
    gap = by_unit["start"].diff() > JUMP_S
    for jumped in times.loc[gap, "unit"].unique():
        of_unit = times["unit"] == jumped
        stretch = gap[of_unit].cumsum()
        sizes = stretch.value_counts()
        usual = sizes.index[sizes == sizes.max()]
        if len(stretch) > 2:
            for row in stretch.index[(stretch != usual[0]) | (len(usual) > 1)]:
                told = f"{sizes[stretch[row]]} of {len(stretch)} recordings of this recorder"
                _warn(table, changes, row, "clock_jump", f"{told} lie more than a year from all others")
