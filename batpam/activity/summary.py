"""Tables of activity and effort, per site and for the survey."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from batpam.activity.passes import find_passes, name_calls
from batpam.files import write_text
from batpam.models.files import ModelCard
from batpam.sun import sun_times
from batpam.survey import Deployment
from batpam.tables import (
    ACTIVITY,
    LEDGER,
    NIGHTS,
    PASSES,
    RECORDER_NIGHTS,
    concat_tables,
    detections_schema,
    provenance,
    read_origin,
    read_table,
    write_csv,
    write_table,
)

COUNTS, RATES = ("calls", "passes", "minutes", "files_with_taxon"), ("passes_per_h", "minutes_per_h")
FAILED = "failed"
"""State of a night of which nothing can be said but what was found."""

SITE_TABLES = {"passes": PASSES, "activity": ACTIVITY, "nights": NIGHTS}


def activity(
    recordings: Path,
    detections: Path,
    ledger: Path,
    health: Path,
    deployment: Deployment,
    card: ModelCard,
    output: Path,
    *,
    min_score: float,
    min_species_score: float,
    gap: float,
    min_calls: int,
) -> None:
    """Passes, activity and effort of one site.

    Parameters
    ----------
    recordings
        Table of the schema RECORDINGS, of the site.
    detections
        Folder of ``SHARD.parquet``.
    ledger
        The site's ledger.
    health
        State of the site's recorders, of the schema RECORDER_NIGHTS.
    deployment
        A row of the site, for its position.
    card
        Of the model that made the detections.
    output
        Folder that gets ``passes``, ``activity`` and ``nights`` as Parquet and CSV.
    min_score, min_species_score, gap, min_calls
        See :class:`batpam.config.ActivityConfig`.
    """
    files = read_table(recordings)
    schema = detections_schema([taxon.code for taxon in card.taxa])
    accepted = [("det_score", ">=", min_score)]
    tables = [
        read_table(detections / f"{shard}.parquet", schema.names, filters=accepted)
        for shard in sorted(files["shard"].dropna().unique())
    ]
    calls = name_calls(
        pd.concat([schema.empty_table().to_pandas(), *tables], ignore_index=True),
        card.taxa,
        min_species_score=min_species_score,
    )
    passes = find_passes(calls, gap=gap, min_calls=min_calls)
    nights = effort(read_table(ledger), read_table(health), deployment)
    site_activity = count_activity(passes, calls, nights)
    settings = {"min_score": min_score, "min_species_score": min_species_score, "gap": gap, "min_calls": min_calls}
    origin = provenance("activity", model=card.name, **settings)
    for name, rows in (("passes", passes), ("activity", site_activity), ("nights", nights)):
        write_table(rows, SITE_TABLES[name], output / f"{name}.parquet", origin)
        write_csv(rows, SITE_TABLES[name], output / f"{name}.csv")
    print(f"{deployment.site}: {len(passes)} passes of {passes['taxon'].nunique()} taxa", file=sys.stderr)


def effort(ledger: pd.DataFrame, health: pd.DataFrame, deployment: Deployment) -> pd.DataFrame:
    """What was recorded and analysed in every night of a site, and how much of it between sunset and sunrise.

    Files without a time share a row whose night is missing. A night is valid where it is for all recorders of the site,
    failed where it has failed for all, else partial.
    """
    rows = []
    recorders = {night: part for night, part in health.groupby(health["night"].fillna(""))}
    for night, part in ledger.groupby("night", dropna=False):
        dated = isinstance(night, str)
        sunset, sunrise = (
            sun_times(date.fromisoformat(night), deployment.latitude, deployment.longitude) if dated else (None, None)
        )
        hours = part.groupby("state")["duration_s"].sum() / 3600
        dark = None
        if sunset and sunrise:
            begins = part["start_utc"]
            ends = begins + pd.to_timedelta(part["duration_s"], "s")
            overlap = (
                ends.clip(upper=pd.Timestamp(sunrise)) - begins.clip(lower=pd.Timestamp(sunset))
            ).dt.total_seconds()
            dark = float(overlap[part["state"] == "analysed"].clip(lower=0).sum() / 3600)
        state, reasons, scheduled, usable = _state_of(recorders.get(night if dated else "", health[:0]))
        rows.append(
            {
                "site": deployment.site,
                "night": night if dated else None,
                "state": state,
                "reasons": reasons,
                "sunset_utc": sunset,
                "sunrise_utc": sunrise,
                "files": part["recording"].nunique(),
                "files_excluded": part.groupby("recording")["state"].agg(lambda s: (s == "excluded").all()).sum(),
                "recorded_h": float(part["duration_s"].sum() / 3600),
                "analysed_h": float(hours.get("analysed", 0.0)),
                "excluded_h": float(hours.get("excluded", 0.0)),
                "dark_h": (sunrise - sunset).total_seconds() / 3600 if sunset and sunrise else None,
                "analysed_dark_h": dark,
                "scheduled_dark_h": scheduled,
                "usable_dark_h": usable,
            }
        )
    return pd.DataFrame(rows, columns=NIGHTS.names)


def _state_of(recorders: pd.DataFrame) -> tuple[str, str, float | None, float | None]:
    """State, reasons, scheduled and usable dark hours of a night, of those of its recorders."""
    states = set(recorders["state"])
    state = states.pop() if len(states) == 1 else "partial"
    reasons = dict.fromkeys(code for codes in recorders["reasons"] for code in codes.split(",") if code)
    hours = [recorders[name].sum(min_count=1) for name in ("scheduled_dark_h", "usable_dark_h")]
    return state, ",".join(reasons), hours[0], hours[1]


def count_activity(passes: pd.DataFrame, calls: pd.DataFrame, nights: pd.DataFrame) -> pd.DataFrame:
    """Passes, calls and minutes per night and taxon, with zeros for nights that were analysed and had none.

    Where the recorders have failed, what was not found is not a zero: nothing is known, and nothing is said.

    ``calls`` and ``files_with_taxon`` count every accepted call, part of a pass or not; ``minutes`` counts the minutes of
    the clock in which one begins.
    """
    # a minute of each recorder counts: the hours it is held against are those of all recorders
    dated = calls["recorder"] + "\0" + calls["start_utc"].dt.floor("min").astype(str)
    undated = calls["recording"] + "\0" + (calls["start_s"] // 60).astype(str)
    minute = dated.where(calls["start_utc"].notna(), undated)
    calls = calls.assign(night=calls["night"].fillna(""), minute=minute)
    passes = passes.assign(night=passes["night"].fillna(""))
    taxa = calls[["taxon", "group", "rank"]].drop_duplicates().sort_values("taxon")
    per = calls.groupby(["night", "taxon"]).agg(
        calls=("recording", "size"), minutes=("minute", "nunique"), files_with_taxon=("recording", "nunique")
    )
    pass_counts = passes.groupby(["night", "taxon"]).size()
    analysed = nights[nights["analysed_h"] > 0]
    rows = []
    for night in analysed.itertuples():
        name = night.night if isinstance(night.night, str) else ""
        for taxon in taxa.itertuples():
            key = (name, taxon.taxon)
            if night.state == FAILED and key not in per.index:
                rows.append(_unknown(night, taxon, name))
                continue
            counts = per.loc[key] if key in per.index else {"calls": 0, "minutes": 0, "files_with_taxon": 0}
            count = int(pass_counts.get(key, 0))
            rows.append(
                {
                    "site": night.site,
                    "night": name or None,
                    "state": night.state,
                    "taxon": taxon.taxon,
                    "group": taxon.group,
                    "rank": taxon.rank,
                    "calls": int(counts["calls"]),
                    "passes": count,
                    "minutes": int(counts["minutes"]),
                    "files_with_taxon": int(counts["files_with_taxon"]),
                    "analysed_h": night.analysed_h,
                    "passes_per_h": count / night.analysed_h,
                    "minutes_per_h": int(counts["minutes"]) / night.analysed_h,
                }
            )
    return pd.DataFrame(rows, columns=ACTIVITY.names).astype(dict.fromkeys(COUNTS, "Int64"))


def _unknown(night: Any, taxon: Any, name: str) -> dict[str, Any]:
    return {
        "site": night.site, "night": name or None, "state": night.state, "taxon": taxon.taxon, "group": taxon.group,
        "rank": taxon.rank, "analysed_h": night.analysed_h,
    }  # fmt: skip


def fill_zeros(activity: pd.DataFrame, nights: pd.DataFrame) -> pd.DataFrame:
    """Add rows of zeros for what one site had and another, analysed, had not.

    Parameters
    ----------
    activity, nights
        Of the schemas ACTIVITY and NIGHTS, of all sites.
    """
    taxa = activity[["taxon", "group", "rank"]].drop_duplicates("taxon")
    analysed = nights.loc[nights["analysed_h"] > 0, ["site", "night", "state", "analysed_h"]]
    counts = activity.drop(columns=["group", "rank", "analysed_h", "state"]).astype(dict.fromkeys(COUNTS, "Int64"))
    full = analysed.merge(taxa, how="cross").merge(counts, how="left", on=["site", "night", "taxon"])
    known, columns = full["state"] != FAILED, [*COUNTS, *RATES]
    full.loc[known, columns] = full.loc[known, columns].fillna(0)
    return full.sort_values(["site", "night", "taxon"], ignore_index=True)[ACTIVITY.names]


def gather(sites: Sequence[str], activity: Path, coverage: Path, health: Path) -> None:
    """Put the tables of all sites one below the other.

    Parameters
    ----------
    sites
        Names of the sites.
    activity
        Folder in which every site has a folder of tables; ``passes``, ``activity`` and ``nights`` of the survey are
        written there, as Parquet and CSV.
    coverage
        Folder of the ledgers, ``sites/SITE.parquet``; gets ``ledger`` (every stretch of every file) and ``total`` (files,
        samples and seconds by state and reason) and ``nights`` (state, health and effort of every recorder and night).
    health
        Folder of ``SITE.parquet`` of the schema RECORDER_NIGHTS.
    """
    for name, schema in SITE_TABLES.items():
        rows = concat_tables([activity / site / f"{name}.parquet" for site in sites], schema)
        if name == "activity":
            nights = concat_tables([activity / site / "nights.parquet" for site in sites], NIGHTS)
            rows = fill_zeros(rows, nights)
        write_table(rows, schema, activity / f"{name}.parquet", read_origin(activity / sites[0] / f"{name}.parquet"))
        write_csv(rows, schema, activity / f"{name}.csv")
    rows = concat_tables([coverage / "sites" / f"{site}.parquet" for site in sites], LEDGER)
    write_table(rows, LEDGER, coverage / "ledger.parquet", provenance("ledger"))
    write_csv(rows, LEDGER, coverage / "ledger.csv")
    # a file of which a part is analysed is lost to nobody
    state = rows["state"].where(rows["state"] == "analysed")
    whole = state.groupby(rows["recording"]).transform("first").isna() | (rows["state"] == "analysed")
    total = (
        rows.assign(whole=rows["recording"].where(whole))
        .groupby(["state", "reason"], as_index=False)
        .agg(
            files=("recording", "nunique"), whole_files=("whole", "nunique"), samples=("samples", "sum"),
            seconds=("duration_s", "sum"),
        )
    )  # fmt: skip
    write_text(coverage / "total.csv", total.to_csv(index=False))
    health_rows = concat_tables([health / f"{site}.parquet" for site in sites], RECORDER_NIGHTS)
    write_table(health_rows, RECORDER_NIGHTS, coverage / "nights.parquet", read_origin(health / f"{sites[0]}.parquet"))
    write_csv(health_rows, RECORDER_NIGHTS, coverage / "nights.csv")
