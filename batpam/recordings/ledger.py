"""The ledger: every second of every file is analysed, or excluded with a reason, and the totals reconcile."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from batpam.errors import UserError, printable
from batpam.files import write_text
from batpam.tables import COVERAGE, LEDGER, concat_tables, provenance, read_origin, read_table, write_table

REASONS = {
    "unreadable": "cannot be decoded",
    "empty": "holds no audio",
    "truncated": "ends before its header says",
    "too_short": "too short to tell a call from noise",
    "sample_rate": "sample rate too low for bats",
    "channel": "lacks the channel that was asked for",
    "duplicate": "same audio as another file",
    "link": "a link that leads out of the given folders",
    "name": "file name is not valid UTF-8",
}
"""Why a stretch of a file is excluded, in the words of a report."""


def ledger(site: str, recordings: Path, segments: Path, detections: Path, output: Path) -> pd.DataFrame:
    """Reconcile what was found on disk with what every stage says it did, for one site.

    A stretch counts as analysed when the gate has screened it and every segment that the gate kept was scored by the
    network.

    Parameters
    ----------
    site
        Its name, for messages.
    recordings
        Table of the schema RECORDINGS, of the site.
    segments
        Folder of ``SHARD.parquet`` and ``SHARD.coverage.parquet``.
    detections
        Folder of ``SHARD.parquet``.
    output
        Table to write, of the schema LEDGER.

    Raises
    ------
    UserError
        The totals do not reconcile; names the file.
    """
    files = read_table(recordings)
    shards = sorted(files["shard"].dropna().unique())
    for shard in shards:
        _check_scored(segments / f"{shard}.parquet", detections / f"{shard}.parquet")
    read = concat_tables((segments / f"{shard}.coverage.parquet" for shard in shards), COVERAGE).set_index("recording")
    unknown = read.index.difference(files["recording"])
    twice = read.index[read.index.duplicated()]
    if len(twice):
        raise UserError(f"site {site}: recording {twice[0]} was analysed twice; delete results/segments and run again")
    if len(unknown):
        raise UserError(
            f"site {site}: recording {unknown[0]} was analysed and is not in the index; run the index again"
        )
    rows: list[dict[str, Any]] = []
    for file in files.to_dict("records"):
        stretches = _stretches(file, read)
        counted = sum(stretch["samples"] for stretch in stretches)
        if counted != file["samples"] or any(stretch["samples"] < 0 for stretch in stretches):
            raise UserError(
                f"ledger: {printable(file['path'])} has {file['samples']} samples and {counted} are accounted for; "
                "delete its shard under results/segments and run again"
            )
        rows += stretches
    origin = provenance("ledger", site=site)
    write_table(rows, LEDGER, output, origin)
    table = pd.DataFrame(rows, columns=LEDGER.names)
    hours = table.groupby("state")["duration_s"].sum() / 3600
    print(
        f"{site}: {len(files)} files reconciled, {hours.get('analysed', 0.0):.3f} h analysed, "
        f"{hours.get('excluded', 0.0):.3f} h excluded",
        file=sys.stderr,
    )
    return table


def _check_scored(segments: Path, detections: Path) -> None:
    table = read_table(segments, ["first_hop", "last_hop"])
    kept = int((table["last_hop"] - table["first_hop"]).sum())
    scored = read_origin(detections).get("hops_scored")
    if scored != kept:
        raise UserError(f"ledger: {detections} scored {scored} hops of {kept} in {segments}; delete it and run again")


def _stretches(file: dict[str, Any], read: pd.DataFrame) -> list[dict[str, Any]]:
    """What became of one file: one row per stretch, at least one."""

    def row(state: str, reason: str, detail: str, start: int, stop: int) -> dict[str, Any]:
        rate = file["sample_rate_hz"]
        begins = None if pd.isna(file["start_utc"]) else file["start_utc"]
        return {
            **{name: file[name] for name in ("site", "recorder", "night", "recording", "path", "size_bytes")},
            "state": state,
            "reason": reason,
            "detail": detail,
            "start_sample": start,
            "samples": stop - start,
            "start_s": start / rate if start else 0.0,
            "duration_s": (stop - start) / rate if stop > start else 0.0,
            "start_utc": begins + pd.Timedelta(start / rate, "s") if begins and start else begins,
        }

    total, there = file["samples"], file["readable_samples"]
    if file["state"] == "excluded":
        return [row("excluded", file["reason"], file["detail"], 0, total)]
    if file["recording"] not in read.index:
        raise UserError(f"ledger: {printable(file['path'])} was indexed and never read; run again")
    done, detail = int(read.at[file["recording"], "read_samples"]), str(read.at[file["recording"], "detail"])
    rows = [row("analysed", "", "", 0, done)] if done else []
    if done < there:
        rows.append(row("excluded", "unreadable", detail, done, there))
    if there < total:
        rows.append(row("excluded", "truncated", f"{there} of {total} samples are there", there, total))
    return rows


def check_coverage(total: Path, output: Path, *, max_excluded_fraction: float) -> None:
    """Look whether enough of a survey could be analysed, and write down the verdict.

    Held against the limit are the share of the files of which nothing could be analysed and the share of the seconds
    that are excluded, whichever is larger. Duplicates count in neither: nothing is lost by them.

    Parameters
    ----------
    total
        ``results/coverage/total.csv``.
    output
        Text file.

    Raises
    ------
    UserError
        More is excluded; names the reasons.
    """
    table = pd.read_csv(total, keep_default_na=False)
    table = table[table["reason"] != "duplicate"]
    lost = table[table["state"] == "excluded"]
    shares = {
        "files": lost["whole_files"].sum() / max(table["whole_files"].sum(), 1),
        "seconds": lost["seconds"].sum() / max(table["seconds"].sum(), 1e-9),
    }
    worst = max(shares, key=lambda name: shares[name])
    told = ", ".join(
        f"{row.reason} {row.whole_files} files and {row.seconds:.1f} s"
        for row in lost.sort_values("seconds", ascending=False).itertuples()
    )
    verdict = f"{shares['files']:.1%} of the files and {shares['seconds']:.1%} of the seconds are excluded"
    if shares[worst] > max_excluded_fraction:
        raise UserError(
            f"{verdict}, more than coverage.max_excluded_fraction ({max_excluded_fraction:.1%}): {told}; "
            "results/coverage/ledger.csv names every file, `batpam inspect FILE` says what is wrong with it"
        )
    write_text(output, f"{verdict}; at most {max_excluded_fraction:.1%} may be\n")
    print(verdict, file=sys.stderr)
