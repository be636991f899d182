"""Tables of activity and effort, per site and for the survey."""

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from batpam.activity.names import name_calls
from batpam.activity.passes import BUZZ_CALLS, SOCIAL_CALLS, find_passes, join_calls
from batpam.files import write_text
from batpam.models.files import ModelCard
from batpam.models.settings import ECHO
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

PASS_COUNTS = ("passes", "passes_with_buzz", "passes_with_social")
COUNTS, RATES = ("calls", *PASS_COUNTS, "minutes", "files_with_taxon"), ("passes_per_h", "minutes_per_h")
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
    min_taxon_score: float,
    thresholds: Mapping[str, float],
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
    min_score, min_taxon_score, thresholds, gap, min_calls
        See :class:`batpam.config.ActivityConfig`.
    """
    files = read_table(recordings)
    schema = detections_schema([taxon.code for taxon in card.taxa])
    accepted = [("det_score", ">=", min_score), ("call_type", "!=", ECHO)]
    shards = sorted(files["shard"].dropna().unique())
    tables = (read_table(detections / f"{shard}.parquet", schema.names, filters=accepted) for shard in shards)
    # named one by one, for the scores of a season to take no memory
    scores = [f"score_{taxon.code}" for taxon in card.taxa]
    named = pd.concat(
        [
            name_calls(table, card.taxa, min_taxon_score=min_taxon_score, thresholds=thresholds).drop(columns=scores)
            for table in chain([schema.empty_table().to_pandas()], tables)
        ],
        ignore_index=True,
    )
    named["time_expansion"] = named["recording"].map(files.set_index("recording")["time_expansion"])
    calls = join_calls(named, card.taxa, gap=gap)
    passes = find_passes(calls, gap=gap, min_calls=min_calls)
    nights = effort(read_table(ledger), read_table(health), deployment)
    site_activity = count_activity(passes, calls, nights)
    settings = {"min_score": min_score, "min_taxon_score": min_taxon_score, "thresholds": dict(thresholds)}
    origin = provenance("activity", model=card.name, **settings, gap=gap, min_calls=min_calls)
    for name, rows in (("passes", passes), ("activity", site_activity), ("nights", nights)):
        write_table(rows, SITE_TABLES[name], output / f"{name}.parquet", origin)
        write_csv(rows, SITE_TABLES[name], output / f"{name}.csv")
    print(f"{deployment.site}: {len(passes)} passes of {passes['taxon'].nunique()} taxa", file=sys.stderr)


def effort(ledger: pd.DataFrame, health: pd.DataFrame, deployment: Deployment) -> pd.DataFrame:
    """What was recorded and analysed in every night of a site, and how much of it between sunset and sunrise.

    Files without a time share a row whose night is missing. Copies count as files and in no hours: their audio was analysed
    in the file that they are copies of. A night on which a triggered recorder listened and nothing came has a row without a
    file. A night is valid where it is for all recorders of the site, failed where it has failed for all, else partial.
    """
    rows = []
    recorders = {night: part for night, part in health.groupby(health["night"].fillna(""))}
    quiet = ((night, ledger[:0]) for night in _quiet_nights(ledger, health))
    for night, part in chain(ledger.groupby("night", dropna=False), quiet):
        dated = isinstance(night, str)
        sunset, sunrise = (
            sun_times(date.fromisoformat(night), deployment.latitude, deployment.longitude, deployment.timezone)
            if dated
            else (None, None)
        )
        hours = part[part["reason"] != "duplicate"].groupby("state")["duration_s"].sum() / 3600
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
                "recorded_h": float(hours.sum()),
                "analysed_h": float(hours.get("analysed", 0.0)),
                "excluded_h": float(hours.get("excluded", 0.0)),
                "dark_h": (sunrise - sunset).total_seconds() / 3600 if sunset and sunrise else None,
                "analysed_dark_h": dark,
                "scheduled_dark_h": scheduled,
                "usable_dark_h": usable,
            }
        )
    return pd.DataFrame(rows, columns=NIGHTS.names).sort_values("night", ignore_index=True)


def _quiet_nights(ledger: pd.DataFrame, health: pd.DataFrame) -> list[str]:
    """Nights without a file on which a triggered recorder listened, by its log."""
    listened = health[(health["logged_h"] > 0) & (health["state"] != FAILED)]
    return sorted(set(listened["night"].dropna()) - set(ledger["night"].dropna()))


def nights_told(nights: pd.DataFrame) -> pd.DataFrame:
    """Nights of which activity can tell: something was analysed, or a recorder listened and nothing triggered it.

    Parameters
    ----------
    nights
        Of the schema NIGHTS.
    """
    return nights[(nights["analysed_h"] > 0) | (nights["files"] == 0)]


def _state_of(recorders: pd.DataFrame) -> tuple[str, str, float | None, float | None]:
    """State, reasons, scheduled and usable dark hours of a night, of those of its recorders."""
    states = set(recorders["state"])
    state = states.pop() if len(states) == 1 else "partial"
    reasons = dict.fromkeys(code for codes in recorders["reasons"] for code in codes.split(",") if code)
    hours = [recorders[name].sum(min_count=1) for name in ("scheduled_dark_h", "usable_dark_h")]
    return state, ",".join(reasons), hours[0], hours[1]


def count_activity(passes: pd.DataFrame, calls: pd.DataFrame, nights: pd.DataFrame) -> pd.DataFrame:
    """Passes, calls and minutes per night and taxon, with zeros for nights that were analysed and had none.

    A night on which a triggered recorder listened and nothing came is one of zeros, too, and so are its rates.
    Where the recorders have failed, what was not found is not a zero: nothing is known, and nothing is said.

    ``calls`` and ``files_with_taxon`` count every accepted call, part of a pass or not, with the taxon that it counts under
    (see :func:`batpam.activity.passes.join_calls`); ``minutes`` counts the minutes of the clock in which one begins.
    """
    # a minute of each recorder counts: the hours it is held against are those of all recorders
    dated = calls["start_utc"].notna()
    calls = calls.assign(
        night=calls["night"].fillna(""),
        clock=calls["recorder"].where(dated, calls["recording"]),
        minute=calls["start_utc"].dt.floor("min"),
        own_minute=(calls["start_s"] // 60).where(~dated),
    )
    keys = ["night", "taxon"]
    minutes = calls[[*keys, "clock", "minute", "own_minute"]].drop_duplicates().groupby(keys).size()
    passes = passes.assign(night=passes["night"].fillna(""))
    taxa = calls[["taxon", "group", "rank"]].drop_duplicates().sort_values("taxon")
    per = calls.groupby(keys).agg(calls=("recording", "size"), files_with_taxon=("recording", "nunique"))
    flags = {
        "passes_with_buzz": passes["buzz_calls"] >= BUZZ_CALLS,
        "passes_with_social": passes["social_calls"] >= SOCIAL_CALLS,
    }
    per_pass = passes.assign(passes=1, **flags).groupby(keys)[list(PASS_COUNTS)].sum()
    counts = per.assign(minutes=minutes).join(per_pass).fillna(0).astype("int64").to_dict("index")
    rows = []
    for night in nights_told(nights).itertuples():
        name = night.night if isinstance(night.night, str) else ""
        for taxon in taxa.itertuples():
            key = (name, taxon.taxon)
            row: dict[str, Any] = {
                "site": night.site, "night": name or None, "state": night.state, "taxon": taxon.taxon,
                "group": taxon.group, "rank": taxon.rank, "analysed_h": night.analysed_h,
            }  # fmt: skip
            if night.state != FAILED or key in counts:
                row |= counts.get(key, dict.fromkeys(COUNTS, 0))
                hours = night.analysed_h or 1.0  # a night without a file has no call
                row |= {f"{what}_per_h": row[what] / hours for what in ("passes", "minutes")}
            rows.append(row)
    return pd.DataFrame(rows, columns=ACTIVITY.names).astype(dict.fromkeys(COUNTS, "Int64"))


def fill_zeros(activity: pd.DataFrame, nights: pd.DataFrame) -> pd.DataFrame:
    """Add rows of zeros for what one site had and another, analysed, had not.

    Parameters
    ----------
    activity, nights
        Of the schemas ACTIVITY and NIGHTS, of all sites.
    """
    taxa = activity[["taxon", "group", "rank"]].drop_duplicates("taxon")
    analysed = nights_told(nights)[["site", "night", "state", "analysed_h"]]
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
