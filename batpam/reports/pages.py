"""Pages of a report: tables in, one HTML file out that needs nothing else to be read.

The same tables give the same bytes. Every text that comes from a table or a setting is escaped: by jinja2 in the page,
by :func:`batpam.reports.figures.safe` in figures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from batpam.activity.passes import BUZZ_CALLS, SOCIAL_CALLS
from batpam.activity.summary import COUNTS, FAILED, PASS_COUNTS, nights_told
from batpam.files import write_text
from batpam.models.files import ModelCard
from batpam.recordings.health import REASONS as HEALTH_REASONS
from batpam.recordings.health import STATES as HEALTH_STATES
from batpam.recordings.ledger import REASONS
from batpam.reports import figures
from batpam.survey import Deployment, zone
from batpam.tables import NOISE_COLUMNS, read_origin, read_table

LISTED = 200
"""Excluded stretches that a page lists; the CSV has them all."""

CALENDAR_LIMIT = 400
"""Nights that a figure shows with the gaps between them; a clock that was set wrongly can put years between two."""

SITES_PER_TABLE = 8
"""Columns of sites side by side, so that a table fits on paper."""

FEW_CALLS = 5
"""A pass with fewer calls is offered for checking only where the taxon has none with more."""

RANKS = {
    "species": "Species",
    "group": "Named to a group of similar species only",
    "family": "Named to a family only",
    "order": "Bats that were not identified",
}
SCHEDULES = {
    "log": "by the recorder's log",
    "sheet": "by the site sheet",
    "inferred": "by its own other nights, for nobody said",
}
PASS_COLUMNS = ("site", "night", "taxon", "group", "rank", "start_utc")
EXCLUDED_COLUMNS = ("site", "recording", "path", "reason", "detail", "start_s", "duration_s")
CLOCK_COLUMNS = ("site", "night", "state", "start_utc", "duration_s")
EFFORT = ("files", "files_excluded", "recorded_h", "analysed_h", "excluded_h")
QUARTER_US = 15 * 60 * 1_000_000
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtons": [["toImage"]],
               "toImageButtonOptions": {"scale": 2}}  # fmt: skip


@dataclass(frozen=True)
class _Tables:
    passes: pd.DataFrame
    activity: pd.DataFrame
    nights: pd.DataFrame
    excluded: pd.DataFrame
    health: pd.DataFrame
    origin: dict[str, Any]


def report_site(
    activity: Path, ledger: Path, health: Path, deployment: Deployment, card: ModelCard, output: Path, *, title: str
) -> None:
    """Write the page of one site.

    Parameters
    ----------
    activity
        Folder with ``passes.parquet``, ``activity.parquet`` and ``nights.parquet`` of the site.
    ledger
        Ledger of the site.
    health
        State of the site's recorders, of the schema RECORDER_NIGHTS.
    deployment
        A row of the site, for its position and time zone.
    card
        Of the model that made the detections: names and order of the taxa.
    output
        HTML file; the survey's page is taken to be ``../index.html`` and the CSV files to be in ``../../activity/SITE``
        and ``../../coverage``.
    title
        Of the survey.

    Raises
    ------
    UserError
        A table is missing or is not one.
    """
    tables = _read(activity, ledger, health, None)
    styles = _styles(tables, card)
    nights = _calendar(tables.nights)
    states = _night_states(tables, [deployment.site], nights)
    sun = _sun(tables.nights, deployment.timezone)
    dated, effort = _on_the_clock(tables, ledger, [deployment])
    recorder_nights = _dated(tables.health)
    plots = {}
    if recorder_nights[list(NOISE_COLUMNS)].notna().any(axis=None):
        shown = recorder_nights[recorder_nights["night"].isin(nights)]
        plots["noise"] = _plot("noise", figures.noise_figure(shown, nights), columns=len(nights), column_px=110)
    if len(dated):
        nightly = figures.nightly_figure(_dated(tables.activity), states, styles, per_hour=False)
        clock = figures.clock_figure(dated, effort, nights, sun, quarters=1)
        plots["nightly"] = _plot("nightly", nightly, columns=len(nights), column_px=110)
        plots["clock"] = _plot("clock", clock, columns=60)
        plots["taxa_clock"] = _plot("taxa-clock", figures.taxa_clock_figure(dated, effort, styles), columns=24)
    page = _common(tables, styles, [deployment.site], nights, card, title) | {
        "heading": f"Bat activity at {deployment.site}",
        "show_site": False,
        "deployment": deployment,
        "recorders": sorted(set(read_table(ledger, ["recorder"])["recorder"])) or [deployment.recorder],
        "night_rows": _night_rows(tables, states, sun),
        "recorder_rows": _recorder_rows(tables.health),
        "not_valid": _not_valid(tables.health),
        "best": _best_passes(tables.passes, styles, deployment.timezone),
        "few_calls": FEW_CALLS,
        "silence_left_out": bool((tables.health["untriggered_h"] > 0).any()),
        "plots": plots,
        "csv": f"../../activity/{quote(deployment.site)}",
        "coverage": "../../coverage",
    }
    write_text(output, _render("site.html", page))


def report_survey(
    activity: Path,
    ledger: Path,
    health: Path,
    deployments: Sequence[Deployment],
    card: ModelCard,
    output: Path,
    *,
    title: str,
) -> None:
    """Write the page of the whole survey.

    As :func:`report_site`, with the tables and the ledger of all sites, and the whole site sheet. The sites' pages are
    taken to be ``sites/SITE.html``, the CSV files to be in ``../activity`` and ``../coverage``.
    """
    tables = _read(activity, ledger, health, PASS_COLUMNS)
    sites = list(dict.fromkeys([*(d.site for d in deployments), *sorted(set(tables.nights["site"]))]))
    styles = _styles(tables, card)
    nights = _calendar(tables.nights)
    states = _night_states(tables, sites, nights)
    rates = _rates(tables, styles, sites)
    site_rows = _site_rows(tables, sites, deployments)
    dated, effort = _on_the_clock(tables, ledger, deployments)
    plots = {}
    placed = pd.DataFrame([row for row in site_rows if row["latitude"] is not None])
    if len(placed):
        plots["map"] = _plot("map", figures.map_figure(placed))
    if nights:
        effort_figure = figures.effort_figure(states, sites, nights)
        plots["effort"] = _plot("effort", effort_figure, columns=len(nights), column_px=90)
    if len(rates):
        plots["taxa"] = _plot("taxa", figures.taxa_figure(rates, styles, sites), columns=len(sites), column_px=130)
    if len(dated):
        worked = _dated(tables.activity[tables.activity["state"] != FAILED])
        nightly = figures.nightly_figure(worked, _over_sites(states), styles, per_hour=True)
        no_sun = pd.DataFrame(columns=["night", "sunset", "sunrise"])
        clock = figures.clock_figure(dated, effort, nights, no_sun, quarters=4)
        plots["nightly"] = _plot("nightly", nightly, columns=len(nights), column_px=110)
        plots["clock"] = _plot("clock", clock, columns=60)
    page = _common(tables, styles, sites, nights, card, title) | {
        "heading": title,
        "show_site": True,
        "site_rows": site_rows,
        "unplaced": [row["site"] for row in site_rows if row["latitude"] is None],
        "zones": sorted({d.timezone for d in deployments}),
        "rate_tables": _rate_tables(rates, styles, sites),
        "plots": plots,
        "csv": "../activity",
        "coverage": "../coverage",
    }
    write_text(output, _render("survey.html", page))


def _read(activity: Path, ledger: Path, health: Path, pass_columns: Sequence[str] | None) -> _Tables:
    # most of a ledger is analysed: it is read whole in parts only, see _clock_effort
    excluded = read_table(ledger, EXCLUDED_COLUMNS, filters=[("state", "==", "excluded")])
    return _Tables(
        passes=read_table(activity / "passes.parquet", pass_columns),
        activity=read_table(activity / "activity.parquet"),
        nights=read_table(activity / "nights.parquet"),
        excluded=excluded.sort_values(["site", "path", "recording", "start_s"], kind="stable", ignore_index=True),
        health=read_table(health).sort_values(["site", "night", "recorder"], ignore_index=True),
        origin=read_origin(activity / "activity.parquet"),
    )


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["night"].notna()]


def _styles(tables: _Tables, card: ModelCard) -> pd.DataFrame:
    return figures.taxon_styles(card.taxa, pd.concat([t[["taxon", "rank"]] for t in (tables.activity, tables.passes)]))


def _calendar(nights: pd.DataFrame) -> list[str]:
    """Every night from the first to the last; only those with a recording where they are too far apart."""
    recorded = sorted(set(nights["night"].dropna()))
    if not recorded or _span(recorded) > CALENDAR_LIMIT:
        return recorded
    first = date.fromisoformat(recorded[0])
    return [(first + timedelta(days=day)).isoformat() for day in range(_span(recorded))]


def _span(nights: Sequence[str]) -> int:
    return (date.fromisoformat(nights[-1]) - date.fromisoformat(nights[0])).days + 1 if nights else 0


def _night_states(tables: _Tables, sites: Sequence[str], nights: Sequence[str]) -> pd.DataFrame:
    """One row per site and night of the calendar: its state (see :data:`batpam.reports.figures.STATES`) and effort."""
    grid = pd.MultiIndex.from_product([sites, nights], names=["site", "night"])
    passes = _dated(tables.activity).groupby(["site", "night"])["passes"].sum().reindex(grid, fill_value=0)
    dated = _dated(tables.nights).set_index(["site", "night"])
    effort = dated[list(EFFORT)].reindex(grid, fill_value=0)
    said = {"health": dated["state"].reindex(grid), "why": dated["reasons"].map(reason_text).reindex(grid)}
    working = dated["analysed_h"].where(dated["state"] != FAILED, 0.0).reindex(grid, fill_value=0)
    quiet = (dated["files"] == 0).reindex(grid, fill_value=False)
    rows = effort.assign(passes=passes.astype("int64"), working_h=working, quiet=quiet, **said)
    return _with_state(rows.reset_index())


def _over_sites(states: pd.DataFrame) -> pd.DataFrame:
    """One row per night: passes and effort of all sites, and the best that any of them can say.

    What was analysed or found where the recorders had failed is left out, as it is of every rate.
    """
    passes = states["passes"].where(states["health"] != FAILED, 0)
    kept = states.assign(analysed_h=states["working_h"], passes=passes)
    return _with_state(kept.groupby("night", as_index=False)[[*EFFORT, "passes", "working_h", "quiet"]].sum())


def _with_state(rows: pd.DataFrame) -> pd.DataFrame:
    # a night on which a recorder listened and nothing triggered it is a zero without an hour of audio
    listened = rows["working_h"] + rows["quiet"]
    return rows.assign(state=figures.states_of(rows["passes"], listened, rows["files"]))


def _after_noon(when: pd.Series, timezone: str) -> pd.Series:
    """Local time in hours after noon, 0 to 24."""
    local = when.dt.tz_convert(zone(timezone)).dt
    return (local.hour + local.minute / 60 + local.second / 3600 + 12) % 24


def _on_the_clock(
    tables: _Tables, ledger: Path, deployments: Sequence[Deployment]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Passes and effort that tell their time, with ``quarter``: of an hour after noon at their site, 0 to 95."""
    zones = {d.site: d.timezone for d in deployments}
    effort = _clock_effort(ledger)
    silent = tables.nights[(tables.nights["state"] == FAILED)].merge(tables.passes, on=["site", "night"], how="left")
    silent = pd.MultiIndex.from_frame(silent.loc[silent["taxon"].isna(), ["site", "night"]])
    of = pd.MultiIndex.from_frame(effort[["site", "night"]])
    effort["minutes"] = effort["minutes"].where(~of.isin(silent), 0.0)  # nobody listened then
    told = []
    for rows in (tables.passes, effort):
        rows = rows[rows["night"].notna() & rows["start_utc"].notna()]
        quarter = pd.Series(0, index=rows.index)
        for site, part in rows.groupby("site"):
            quarter[part.index] = (_after_noon(part["start_utc"], zones.get(str(site), "UTC")) * 4).astype(int)
        told.append(rows.assign(quarter=quarter))
    return told[0], told[1]


def _clock_effort(ledger: Path) -> pd.DataFrame:
    """Minutes analysed at each site in each quarter of an hour: ``site``, ``night``, ``start_utc``, ``minutes``.

    A quarter without a row was not recorded. A file of which nothing can be read has no length and yet a row.
    """
    parts = [_in_quarters(part.to_pandas()) for part in pq.ParquetFile(ledger).iter_batches(columns=CLOCK_COLUMNS)]
    if not parts:
        return pd.DataFrame(columns=["site", "night", "start_utc", "minutes"])
    return pd.concat(parts).groupby(["site", "night", "start_utc"], as_index=False)["minutes"].sum()


def _in_quarters(stretches: pd.DataFrame) -> pd.DataFrame:
    """Stretches of a ledger, cut at every quarter of an hour.

    Every time zone in use is a whole number of quarters from UTC, so that these are quarters of the local hour, too.
    """
    rows = stretches[stretches["night"].notna() & stretches["start_utc"].notna()]
    begin = rows["start_utc"].dt.as_unit("us").astype("int64").to_numpy()
    end = begin + (rows["duration_s"].to_numpy() * 1e6).round().astype("int64")
    first = begin // QUARTER_US
    count = np.maximum(-(-end // QUARTER_US) - first, 1)
    which = np.repeat(np.arange(len(rows)), count)
    at = (first[which] + np.arange(len(which)) - (count.cumsum() - count)[which]) * QUARTER_US
    length = np.minimum(end[which], at + QUARTER_US) - np.maximum(begin[which], at)
    part = rows[["site", "night"]].iloc[which]
    minutes = np.where(rows["state"].eq("analysed").to_numpy()[which], length / 60e6, 0.0)
    return part.assign(start_utc=pd.to_datetime(at, unit="us", utc=True), minutes=minutes)


def _sun(nights: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """Sunset and sunrise of dated nights in hours after noon, local time."""
    table = _dated(nights).sort_values("night")
    hours = {name: _after_noon(table[f"{name}_utc"], timezone) for name in ("sunset", "sunrise")}
    return table[["night"]].assign(**hours)


def _common(
    tables: _Tables, styles: pd.DataFrame, sites: Sequence[str], nights: Sequence[str], card: ModelCard, title: str
) -> dict[str, Any]:
    """What both kinds of page show."""
    excluded, undated = tables.excluded, tables.nights[tables.nights["night"].isna()].sort_values("site")
    dated = _dated(tables.nights)
    undated_passes = tables.passes[tables.passes["night"].isna()].groupby("site").size()
    taxa = _taxa_rows(tables, styles)
    worked = tables.nights[tables.nights["state"] != FAILED]
    working_h = worked["analysed_h"].sum()
    reasons = excluded.groupby("reason").agg(
        files=("recording", "nunique"), stretches=("recording", "size"), seconds=("duration_s", "sum")
    )
    return {
        "title": title,
        "taxa": [
            (heading, rows) for rank, heading in RANKS.items() if (rows := [row for row in taxa if row["rank"] == rank])
        ],
        "total": {
            "sites": len(sites),
            "sites_recorded": tables.nights["site"].nunique(),
            "sites_worked": worked.loc[worked["analysed_h"] > 0, "site"].nunique(),
            "first": nights[0] if nights else None,
            "last": nights[-1] if nights else None,
            "nights": dated["night"].nunique(),
            "site_nights": len(dated),
            "site_nights_analysed": int((nights_told(dated)["state"] != FAILED).sum()),
            **{name: tables.nights[name].sum() for name in EFFORT},
            "told": bool(len(tables.passes)) or bool(working_h > 0),
            "why_nothing": "the recorders had failed" if tables.nights["analysed_h"].sum() > 0 else "nothing analysed",
            "failed_nights": int((tables.health["state"] == FAILED).sum()),
            "passes": len(tables.passes),
            "species": sum(row["rank"] == "species" and row["passes"] > 0 for row in taxa),
            "named": sum(row["passes"] for row in taxa if row["rank"] == "species"),
        },
        "left_out": _span(nights) > len(nights),
        "reasons": [row | {"reason": REASONS.get(name, name)} for name, row in reasons.to_dict("index").items()],
        "stretches": excluded.assign(reason=excluded["reason"].replace(REASONS)).head(LISTED).to_dict("records"),
        "copies": bool((excluded["reason"] == "duplicate").any()),
        "stretches_more": max(len(excluded) - LISTED, 0),
        "undated": [row | {"passes": int(undated_passes.get(row["site"], 0))} for row in undated.to_dict("records")],
        "method": tables.origin | {"training": card.training.get("data", "simulated calls"), "classes": len(card.taxa)},
        "buzz_calls": BUZZ_CALLS,
        "social_calls": SOCIAL_CALLS,
        "plotlyjs": Markup(get_plotlyjs()),
    }


def _taxa_rows(tables: _Tables, styles: pd.DataFrame) -> list[dict[str, Any]]:
    """What was found of every taxon: one row each, in the order of the styles.

    Nights, median and maximum are over dated nights that were analysed and on which the recorders had not failed, with those
    on which the taxon was not found; so are sites and the rate, with undated ones. Sums are over everything.
    """
    worked = tables.nights[tables.nights["state"] != FAILED]
    hours = worked["analysed_h"].sum()
    dated = _dated(worked)
    analysed = pd.MultiIndex.from_frame(nights_told(dated)[["site", "night"]])
    rows = []
    # counts that are not known make the whole column one of floats; those of what was found are known
    called = tables.activity[tables.activity["calls"] > 0].astype(dict.fromkeys(COUNTS, "int64"))
    for taxon in styles.index.intersection(called["taxon"], sort=False):
        part = called[called["taxon"] == taxon]
        working = part[part["state"] != FAILED]
        nightly = _dated(part).set_index(["site", "night"])["passes"].reindex(analysed, fill_value=0)
        rows.append(
            {
                **styles.loc[taxon].to_dict(),
                **part[["calls", *PASS_COUNTS, "minutes"]].sum().to_dict(),
                "sites": working.loc[working["passes"] > 0, "site"].nunique(),
                "nights_present": (nightly > 0).sum(),
                "nights_analysed": len(nightly),
                "median": nightly.median() if len(nightly) else None,
                "max": nightly.max() if len(nightly) else None,
                "rate": working["passes"].sum() / hours if hours else None,
            }
        )
    return rows


def _rates(tables: _Tables, styles: pd.DataFrame, sites: Sequence[str]) -> pd.DataFrame:
    """Passes per analysed hour of every taxon that has a pass, at every site; missing where nothing was analysed."""
    worked = tables.activity[tables.activity["state"] != FAILED]
    counts = worked.groupby(["taxon", "site"])["passes"].sum().astype("int64")
    taxa = styles.index.intersection(counts[counts > 0].index.unique("taxon"), sort=False)
    grid = pd.MultiIndex.from_product([taxa, sites], names=["taxon", "site"])
    table = counts.reindex(grid, fill_value=0).reset_index()
    hours = tables.nights[tables.nights["state"] != FAILED].groupby("site")["analysed_h"].sum()
    table["analysed_h"] = table["site"].map(hours).fillna(0.0)
    return table.assign(passes_per_h=table["passes"] / table["analysed_h"].where(table["analysed_h"] > 0))


def _rate_tables(rates: pd.DataFrame, styles: pd.DataFrame, sites: Sequence[str]) -> list[dict[str, Any]]:
    """The rates as tables of a few sites each: ``sites``, their ``hours``, and ``rows`` of a label and cells."""
    cells = rates.set_index(["taxon", "site"]).to_dict("index")
    taxa = rates["taxon"].unique()
    blocks = [sites[start : start + SITES_PER_TABLE] for start in range(0, len(sites), SITES_PER_TABLE)]
    return [
        {
            "sites": block,
            "hours": [cells[taxa[0], site]["analysed_h"] for site in block],
            "rows": [(styles.at[taxon, "label"], [cells[taxon, site] for site in block]) for taxon in taxa],
        }
        for block in blocks
        if len(taxa)
    ]


def _site_rows(tables: _Tables, sites: Sequence[str], deployments: Sequence[Deployment]) -> list[dict[str, Any]]:
    dated, worked = _dated(tables.nights), tables.activity[tables.activity["state"] != FAILED]
    counts = {
        "nights": dated.groupby("site").size(),
        "nights_analysed": nights_told(dated[dated["state"] != FAILED]).groupby("site").size(),
        "passes": tables.passes.groupby("site").size(),
        "working_h": tables.nights[tables.nights["state"] != FAILED].groupby("site")["analysed_h"].sum(),
        "working_passes": worked.groupby("site")["passes"].sum().astype("int64"),
        **{state: (tables.health["state"] == state).groupby(tables.health["site"]).sum() for state in HEALTH_STATES},
        **{name: tables.nights.groupby("site")[name].sum() for name in EFFORT},
    }
    rows = []
    for site in sites:
        known = [d for d in deployments if d.site == site]
        placed = bool(known) and None not in (known[0].latitude, known[0].longitude)
        row: dict[str, Any] = {name: count.get(site, 0) for name, count in counts.items()}
        row |= {
            "site": site,
            "link": f"sites/{quote(site)}.html",
            "recorders": len(known),
            "latitude": known[0].latitude if placed else None,
            "longitude": known[0].longitude if placed else None,
            "timezone": known[0].timezone if known else "",
            "rate": row["working_passes"] / row["working_h"] if row["working_h"] else None,
            "note": f"{number_text(row['working_passes'], 'pass', 'passes')} in {hours_text(row['working_h'])} analysed",
        }
        rows.append(row)
    return rows


def _night_rows(tables: _Tables, states: pd.DataFrame, sun: pd.DataFrame) -> list[dict[str, Any]]:
    """The nights of a site with the sun in local time; nights without a recording are rows, too."""
    dark = _dated(tables.nights)[["night", "dark_h", "analysed_dark_h"]]
    rows = states.merge(sun, how="left", on="night").merge(dark, how="left", on="night").to_dict("records")
    for row in rows:
        for column in ("sunset", "sunrise"):
            row[column] = None if math.isnan(row[column]) else figures.clock_text(row[column])
    return rows


def _recorder_rows(health: pd.DataFrame) -> list[dict[str, Any]]:
    """How the nights of every recorder went: one row each."""
    rows = []
    for recorder, part in health.groupby("recorder"):
        hours = part[["scheduled_dark_h", "recorded_dark_h", "usable_dark_h"]].sum(min_count=1)
        rows.append(
            {
                "recorder": recorder,
                **{state: int((part["state"] == state).sum()) for state in HEALTH_STATES},
                **hours.to_dict(),
                "schedule": ", ".join(SCHEDULES[source] for source in part["schedule_source"].dropna().unique()),
                **part[["click_h", "insect_h"]].sum().to_dict(),
                "battery": part["battery_min_v"].min(),
                "coldest": part["temperature_min_c"].min(),
                "warmest": part["temperature_max_c"].max(),
            }
        )
    return rows


def _not_valid(health: pd.DataFrame) -> dict[str, Any]:
    """Nights of recorders that are not valid, the first of them as rows, and how many more there are."""
    rows = health[health["state"] != "valid"]
    shown = rows.head(LISTED).assign(why=rows["reasons"].map(reason_text))
    return {"rows": shown.to_dict("records"), "more": max(len(rows) - LISTED, 0)}


def reason_text(codes: str) -> str:
    """Why a night is not valid, in words.

    Examples
    --------
    >>> reason_text("no_recording")
    'no recording'
    """
    return ", ".join(HEALTH_REASONS.get(code, code) for code in str(codes).split(",") if code)


def _best_passes(passes: pd.DataFrame, styles: pd.DataFrame, timezone: str) -> list[dict[str, Any]]:
    """The pass of each taxon that is best worth a look at the recording: long enough, and of the highest mean score."""
    ranked = passes.assign(long=passes["calls"] >= FEW_CALLS).sort_values(
        ["long", "mean_score", "calls", "best_path", "best_start_s"], ascending=[False, False, False, True, True]
    )
    best = ranked.drop_duplicates("taxon").set_index("taxon")
    best["time"] = best["start_utc"].dt.tz_convert(zone(timezone)).dt.strftime("%H:%M:%S")
    return styles.join(best.drop(columns="rank"), how="inner").to_dict("records")


def _plot(name: str, figure: go.Figure, *, columns: int = 0, column_px: int = 0) -> Markup:
    """A figure as HTML, as wide as the page.

    ``columns`` of cells need not be wider than ``column_px``; where they are very many, the figure is wider than the page,
    in a box that scrolls. The id follows from the name, so that the same tables give the same page.
    """
    drawn = figure.to_dict()
    parts = (drawn["data"], drawn["layout"], PLOT_CONFIG)
    arguments = ",".join([f'"plot-{name}"', *(to_json_plotly(part, engine="json") for part in parts)])
    least = min(max(columns * 7 + 220, 600), 4000) if columns else 320
    most = f"max-width:{max(columns * column_px + 420, least)}px" if columns and column_px else ""
    return Markup(
        f'<div class="scroll drawing"><div id="plot-{name}" class="plot" '
        f'style="height:{figure.layout.height}px;min-width:{least}px;{most}"></div></div>\n'
        f"<script>Plotly.newPlot({arguments});</script>"
    )


def _render(template: str, page: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("batpam.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        count=number_text, hours=hours_text, decimal=decimal_text, rate=figures.rate_text, seconds=seconds_text,
        plain=plain_text, place=time_text, night=partial(figures.night_text, month="%B"),
    )  # fmt: skip
    return environment.get_template(template).render(page) + "\n"


def number_text(number: int, one: str, many: str | None = None) -> str:
    """A number and its noun.

    Examples
    --------
    >>> number_text(1, "site"), number_text(12345, "pass", "passes")
    ('1 site', '12,345 passes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def hours_text(hours: float) -> str:
    r"""A duration in the unit that suits it; what is not nothing never reads as nothing.

    Examples
    --------
    >>> [hours_text(h) for h in (0, 0.001, 0.5, 1234.56)]
    ['0\xa0h', '3.6\xa0s', '30.0\xa0min', '1,234.6\xa0h']
    """
    if hours == 0:
        return "0\xa0h"
    if hours >= 1:
        return f"{hours:,.1f}\xa0h"
    return f"{hours * 60:.1f}\xa0min" if hours * 60 >= 1 else seconds_text(hours * 3600)


def seconds_text(seconds: float) -> str:
    r"""A duration in seconds.

    Examples
    --------
    >>> [seconds_text(s) for s in (0, 0.01, 5400)]
    ['0\xa0s', '<0.1\xa0s', '5,400.0\xa0s']
    """
    return f"{decimal_text(seconds, 1)}\xa0s"


def decimal_text(number: float | None, digits: int = 2) -> str:
    """A number; what is not nothing never reads as nothing.

    Examples
    --------
    >>> decimal_text(0), decimal_text(0.001), decimal_text(8.5), decimal_text(None)
    ('0', '<0.01', '8.50', '–')
    """
    if number is None or math.isnan(number):
        return "–"
    if number == 0:
        return "0"
    least = 10**-digits
    return f"<{least:g}" if number < least / 2 else f"{number:,.{digits}f}"


def plain_text(number: float | None) -> str:
    """A number that may be below nothing.

    Examples
    --------
    >>> plain_text(-3.25), plain_text(float("nan"))
    ('-3.2', '–')
    """
    return "–" if number is None or math.isnan(number) else f"{number:.1f}"


def time_text(seconds: float) -> str:
    """A place in a file.

    Examples
    --------
    >>> time_text(0.25), time_text(3725.04)
    ('0:00.2', '1:02:05.0')
    """
    tenths = int(seconds * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    text = f"{rest / 10:04.1f}"
    return f"{minutes // 60}:{minutes % 60:02d}:{text}" if minutes >= 60 else f"{minutes}:{text}"
