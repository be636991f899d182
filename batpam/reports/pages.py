"""Pages of a report: tables in, one HTML file out that needs nothing else to be read.

The same tables give the same bytes. Every text that comes from a table or a setting is escaped: by jinja2 in the page,
by :func:`batpam.reports.figures.safe` in figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from batpam import __version__
from batpam.files import write_text
from batpam.models.files import ModelCard
from batpam.recordings.ledger import REASONS
from batpam.reports import figures
from batpam.reports.figures import BATS, FAILED, GAP, ZERO
from batpam.survey import Deployment, zone
from batpam.tables import read_origin, read_table

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
    "order": "Bats that were not identified",
}
PASS_COLUMNS = ("site", "night", "taxon", "group", "rank", "start_utc")
LEDGER_COLUMNS = ("site", "recorder", "recording", "path", "state", "reason", "detail", "start_s", "duration_s")
PLOT_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"scale": 2},
}


@dataclass(frozen=True)
class _Tables:
    passes: pd.DataFrame
    activity: pd.DataFrame
    nights: pd.DataFrame
    excluded: pd.DataFrame
    recorders: tuple[str, ...]
    origin: dict[str, Any]


def report_site(
    activity: Path, ledger: Path, deployment: Deployment, card: ModelCard, output: Path, *, title: str
) -> None:
    """Write the page of one site.

    Parameters
    ----------
    activity
        Folder with ``passes.parquet``, ``activity.parquet`` and ``nights.parquet`` of the site.
    ledger
        Ledger of the site.
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
    tables = _read(activity, ledger, None)
    styles = figures.taxon_styles(card.taxa, _found(tables))
    nights, left_out = _calendar(tables.nights)
    states = _night_states(tables, [deployment.site], nights).assign(sites=1)
    dated = _on_the_clock(tables.passes, [deployment])
    plots = {}
    if len(dated):
        per_night, sun = _per_night(tables.activity), _sun(tables.nights, deployment.timezone)
        nightly = figures.nightly_figure(per_night, states, styles, nights, per_hour=False)
        clock = figures.clock_figure(dated, states, nights, sun, bin_h=0.25, per="")
        plots["nightly"] = _plot("nightly", nightly, columns=len(nights), column_px=110)
        plots["clock"] = _plot("clock", clock, columns=60)
        plots["taxa_clock"] = _plot("taxa-clock", figures.taxa_clock_figure(dated, styles), columns=24)
    page = _common(tables, styles, [deployment.site], card, title, show_site=False) | {
        "heading": f"Bat activity at {deployment.site}",
        "deployment": deployment,
        "recorders": tables.recorders or (deployment.recorder,),
        "night_rows": _night_rows(tables, deployment.timezone),
        "best": _best_passes(tables.passes, styles, deployment.timezone),
        "few_calls": FEW_CALLS,
        "plots": plots,
        "left_out": left_out,
        "csv": f"../../activity/{quote(deployment.site)}",
        "coverage": "../../coverage",
    }
    write_text(output, _render("site.html", page))


def report_survey(
    activity: Path, ledger: Path, deployments: Sequence[Deployment], card: ModelCard, output: Path, *, title: str
) -> None:
    """Write the page of the whole survey.

    Parameters
    ----------
    activity
        Folder with ``passes.parquet``, ``activity.parquet`` and ``nights.parquet`` of all sites.
    ledger
        Ledger of all sites.
    deployments
        The site sheet.
    card
        Of the model that made the detections: names and order of the taxa.
    output
        HTML file; the sites' pages are taken to be ``sites/SITE.html`` and the CSV files to be in ``../activity`` and
        ``../coverage``.
    title
        Of the survey.

    Raises
    ------
    UserError
        A table is missing or is not one.
    """
    tables = _read(activity, ledger, PASS_COLUMNS)
    sites = list(dict.fromkeys([*(d.site for d in deployments), *sorted(set(tables.nights["site"]))]))
    styles = figures.taxon_styles(card.taxa, _found(tables))
    nights, left_out = _calendar(tables.nights)
    states = _night_states(tables, sites, nights)
    rates = _rates(tables, sites)
    site_rows = _site_rows(tables, sites, deployments)
    dated = _on_the_clock(tables.passes, deployments)
    plots = {}
    placed = pd.DataFrame([row for row in site_rows if row["latitude"] is not None])
    if len(placed):
        plots["map"] = _plot("map", figures.map_figure(placed))
    if nights:
        effort = figures.effort_figure(states, sites, nights)
        plots["effort"] = _plot("effort", effort, columns=len(nights), column_px=90)
    if len(rates):
        plots["taxa"] = _plot("taxa", figures.taxa_figure(rates, styles, sites), columns=len(sites), column_px=130)
    if len(dated):
        per_night, by_night = _per_night(tables.activity), _over_sites(states)
        nightly = figures.nightly_figure(per_night, by_night, styles, nights, per_hour=True)
        clock = figures.clock_figure(dated, by_night, nights, pd.DataFrame(), bin_h=1.0, per=" per analysed site")
        plots["nightly"] = _plot("nightly", nightly, columns=len(nights), column_px=110)
        plots["clock"] = _plot("clock", clock, columns=60)
    page = _common(tables, styles, sites, card, title, show_site=True) | {
        "heading": title,
        "site_rows": site_rows,
        "unplaced": [row["site"] for row in site_rows if row["latitude"] is None],
        "zones": sorted({d.timezone for d in deployments}),
        "rate_tables": _rate_tables(rates, styles, sites),
        "plots": plots,
        "left_out": left_out,
        "csv": "../activity",
        "coverage": "../coverage",
    }
    write_text(output, _render("survey.html", page))


def _read(activity: Path, ledger: Path, pass_columns: Sequence[str] | None) -> _Tables:
    stretches = read_table(ledger, LEDGER_COLUMNS)
    excluded = stretches[stretches["state"] == "excluded"]
    return _Tables(
        passes=read_table(activity / "passes.parquet", pass_columns),
        activity=read_table(activity / "activity.parquet"),
        nights=read_table(activity / "nights.parquet"),
        excluded=excluded.sort_values(["site", "path", "recording", "start_s"], kind="stable", ignore_index=True),
        recorders=tuple(sorted(set(stretches["recorder"]))),
        origin=read_origin(activity / "activity.parquet"),
    )


def _found(tables: _Tables) -> pd.DataFrame:
    columns = ["taxon", "group", "rank"]
    return pd.concat([tables.activity[columns], tables.passes[columns]]).drop_duplicates()


def _calendar(nights: pd.DataFrame) -> tuple[list[str], bool]:
    """Every night from the first to the last, and whether nights without a recording had to be left out."""
    recorded = sorted(set(nights["night"].dropna()))
    if not recorded:
        return [], False
    first, last = date.fromisoformat(recorded[0]), date.fromisoformat(recorded[-1])
    if (last - first).days >= CALENDAR_LIMIT:
        return recorded, True
    return [(first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1)], False


def _night_states(tables: _Tables, sites: Sequence[str], nights: Sequence[str]) -> pd.DataFrame:
    """One row per site and night of the calendar: its state (see :data:`batpam.reports.figures.STATES`) and effort."""
    keys = ["site", "night"]
    grid = pd.MultiIndex.from_product([sites, nights], names=keys)
    effort = tables.nights[tables.nights["night"].notna()].set_index(keys)[
        ["files", "recorded_h", "analysed_h", "excluded_h"]
    ]
    passes = tables.activity[tables.activity["night"].notna()].groupby(keys)["passes"].sum()
    there = grid.isin(effort.index)
    states = effort.reindex(grid, fill_value=0).assign(passes=passes.reindex(grid, fill_value=0))
    states["state"] = GAP
    states.loc[there & (states["analysed_h"] <= 0), "state"] = FAILED
    states.loc[there & (states["analysed_h"] > 0), "state"] = ZERO
    states.loc[there & (states["analysed_h"] > 0) & (states["passes"] > 0), "state"] = BATS
    return states.reset_index()


def _over_sites(states: pd.DataFrame) -> pd.DataFrame:
    """One row per night: the best that any site can say of it, and the effort of all."""
    best = pd.Categorical(states["state"], [GAP, FAILED, ZERO, BATS], ordered=True)
    table = states.assign(best=best.codes, sites=states["state"].isin([ZERO, BATS]))
    totals = {name: (name, "sum") for name in ("files", "recorded_h", "analysed_h", "excluded_h", "passes", "sites")}
    table = table.groupby("night", as_index=False).agg(best=("best", "max"), **totals)
    return table.assign(state=[best.categories[code] for code in table["best"]])


def _per_night(activity: pd.DataFrame) -> pd.DataFrame:
    return activity[activity["night"].notna()].groupby(["night", "taxon"], as_index=False)["passes"].sum()


def _on_the_clock(passes: pd.DataFrame, deployments: Sequence[Deployment]) -> pd.DataFrame:
    """Passes that tell their time, with ``hour``: local time at their site in hours after noon."""
    zones = {d.site: d.timezone for d in deployments}
    passes = passes[passes["night"].notna() & passes["start_utc"].notna()]
    hour = pd.Series(math.nan, index=passes.index, dtype=float)
    for site, part in passes.groupby("site"):
        local = part["start_utc"].dt.tz_convert(zone(zones.get(str(site), "UTC"))).dt
        hour[part.index] = (local.hour + local.minute / 60 + local.second / 3600 + 12) % 24
    return passes.assign(hour=hour)


def _sun(nights: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """Sunset and sunrise of dated nights in hours after noon, local time."""
    table = nights[nights["night"].notna()].sort_values("night")
    hours = {"night": table["night"].tolist()}
    for column in ("sunset", "sunrise"):
        local = table[f"{column}_utc"].dt.tz_convert(zone(timezone)).dt
        hours[column] = ((local.hour + local.minute / 60 + local.second / 3600 + 12) % 24).tolist()
    return pd.DataFrame(hours)


def _common(
    tables: _Tables, styles: pd.DataFrame, sites: Sequence[str], card: ModelCard, title: str, *, show_site: bool
) -> dict[str, Any]:
    """What both kinds of page show."""
    nights, excluded = tables.nights, tables.excluded
    dated = nights[nights["night"].notna()]
    taxa = _taxa_rows(tables, styles)
    recorded = sorted(set(dated["night"]))
    return {
        "title": title,
        "taxa": [
            (heading, rows) for rank, heading in RANKS.items() if (rows := [row for row in taxa if row["rank"] == rank])
        ],
        "total": {
            "sites": len(sites),
            "sites_recorded": nights["site"].nunique(),
            "first": recorded[0] if recorded else None,
            "last": recorded[-1] if recorded else None,
            "nights": len(recorded),
            "site_nights": len(dated),
            "site_nights_analysed": int((dated["analysed_h"] > 0).sum()),
            "files": int(nights["files"].sum()),
            "files_excluded": int(nights["files_excluded"].sum()),
            **{name: float(nights[name].sum()) for name in ("recorded_h", "analysed_h", "excluded_h")},
            "passes": len(tables.passes),
            "species": sum(row["rank"] == "species" and row["passes"] > 0 for row in taxa),
            "named": sum(row["passes"] for row in taxa if row["rank"] == "species"),
        },
        "reasons": _reason_rows(excluded),
        "stretches": [
            {
                "site": row.site,
                "path": row.path,
                "reason": REASONS.get(row.reason, row.reason),
                "detail": row.detail,
                "start": time_text(row.start_s),
                "seconds": row.duration_s,
            }
            for row in excluded.head(LISTED).itertuples()
        ],
        "stretches_more": max(len(excluded) - LISTED, 0),
        "undated": _undated_rows(tables),
        "method": _method(tables.origin, card),
        "plotlyjs": Markup(_plotlyjs()),
        "show_site": show_site,
    }


def _method(origin: dict[str, Any], card: ModelCard) -> dict[str, Any]:
    gap, min_calls = origin.get("gap"), origin.get("min_calls")
    rule = None
    if gap is not None and min_calls is not None:
        rule = f"Pass {gap:g} s gap, at least {number_text(min_calls, 'call')}"
    return {
        "batpam": origin.get("batpam", __version__),
        "model": origin.get("model", card.name),
        "training": str(card.training.get("data", "simulated calls")),
        "classes": len(card.taxa),
        "min_score": origin.get("min_score"),
        "min_species_score": origin.get("min_species_score"),
        "gap": gap,
        "min_calls": min_calls,
        "rule": rule,
    }


def _taxa_rows(tables: _Tables, styles: pd.DataFrame) -> list[dict[str, Any]]:
    """What was found of every taxon: one row each, species first, then groups, then bats of unknown species.

    Nights, median and maximum are over dated nights that were analysed, with those on which the taxon was not found;
    sums are over everything.
    """
    hours = float(tables.nights["analysed_h"].sum())
    dated = tables.nights[tables.nights["night"].notna() & (tables.nights["analysed_h"] > 0)]
    analysed = pd.MultiIndex.from_frame(dated[["site", "night"]])
    rows = []
    parts = dict(list(tables.activity.groupby("taxon")))
    for taxon in styles.index:
        part = parts.get(taxon)
        if part is None or not part["calls"].sum():
            continue
        nightly = part[part["night"].notna()].set_index(["site", "night"])["passes"].reindex(analysed, fill_value=0)
        passes = int(part["passes"].sum())
        rows.append(
            {
                **styles.loc[taxon].to_dict(),
                "calls": int(part["calls"].sum()),
                "passes": passes,
                "minutes": int(part["minutes"].sum()),
                "sites": int(part[part["passes"] > 0]["site"].nunique()),
                "nights_present": int((nightly > 0).sum()),
                "nights_analysed": len(nightly),
                "median": float(nightly.median()) if len(nightly) else None,
                "max": int(nightly.max()) if len(nightly) else None,
                "rate": passes / hours if hours else None,
            }
        )
    return rows


def _rates(tables: _Tables, sites: Sequence[str]) -> pd.DataFrame:
    """Passes per analysed hour of every taxon that has a pass, at every site; missing where nothing was analysed."""
    counts = tables.activity.groupby(["taxon", "site"])["passes"].sum()
    taxa = sorted(counts[counts > 0].index.unique("taxon"))
    grid = pd.MultiIndex.from_product([taxa, sites], names=["taxon", "site"])
    table = counts.reindex(grid, fill_value=0).reset_index()
    hours = tables.nights.groupby("site")["analysed_h"].sum()
    table["analysed_h"] = table["site"].map(hours).fillna(0.0)
    return table.assign(passes_per_h=table["passes"] / table["analysed_h"].where(table["analysed_h"] > 0))


def _rate_tables(rates: pd.DataFrame, styles: pd.DataFrame, sites: Sequence[str]) -> list[dict[str, Any]]:
    """The rates as tables of a few sites each: ``sites``, their ``hours``, and ``rows`` of ``label`` and ``cells``."""
    cells = rates.set_index(["taxon", "site"])
    found = set(rates["taxon"])
    taxa = [taxon for taxon in styles.index if taxon in found]
    hours = dict(zip(rates["site"], rates["analysed_h"], strict=True))
    blocks = [sites[start : start + SITES_PER_TABLE] for start in range(0, len(sites), SITES_PER_TABLE)]
    return [
        {
            "sites": block,
            "hours": [hours[site] for site in block],
            "rows": [
                {
                    **styles.loc[taxon].to_dict(),
                    "cells": [
                        {
                            "rate": cells.at[(taxon, site), "passes_per_h"],
                            "passes": int(cells.at[(taxon, site), "passes"]),
                        }
                        for site in block
                    ],
                }
                for taxon in taxa
            ],
        }
        for block in blocks
        if taxa
    ]


def _site_rows(tables: _Tables, sites: Sequence[str], deployments: Sequence[Deployment]) -> list[dict[str, Any]]:
    effort = tables.nights.groupby("site")[["files", "recorded_h", "analysed_h", "excluded_h"]].sum()
    dated = tables.nights[tables.nights["night"].notna()]
    nights = dated.groupby("site").size()
    analysed = dated[dated["analysed_h"] > 0].groupby("site").size()
    passes = tables.passes.groupby("site").size()
    rows = []
    for site in sites:
        known = [d for d in deployments if d.site == site]
        row: dict[str, Any] = {
            "site": site,
            "link": f"sites/{quote(site)}.html",
            "recorders": len(known),
            "latitude": known[0].latitude if known and known[0].longitude is not None else None,
            "longitude": known[0].longitude if known and known[0].latitude is not None else None,
            "timezone": known[0].timezone if known else "",
            "nights": int(nights.get(site, 0)),
            "nights_analysed": int(analysed.get(site, 0)),
            "passes": int(passes.get(site, 0)),
            **{name: float(effort[name].get(site, 0.0)) for name in effort.columns},
        }
        row["rate"] = row["passes"] / row["analysed_h"] if row["analysed_h"] else None
        row["note"] = f"{number_text(row['passes'], 'pass', 'passes')} in {hours_text(row['analysed_h'])} analysed"
        rows.append(row)
    return rows


def _night_rows(tables: _Tables, timezone: str) -> list[dict[str, Any]]:
    """The dated nights of a site with the sun in local time; nights between them without a recording are rows too."""
    recorded = tables.nights[tables.nights["night"].notna()].set_index("night")
    passes = tables.activity[tables.activity["night"].notna()].groupby("night")["passes"].sum()
    rows: list[dict[str, Any]] = []
    for night in _calendar(tables.nights)[0]:
        if night not in recorded.index:
            rows.append({"night": night, "state": GAP})
            continue
        row = recorded.loc[night].to_dict()
        count = int(passes.get(night, 0))
        state = FAILED if row["analysed_h"] <= 0 else BATS if count else ZERO
        for column in ("sunset", "sunrise"):
            when = row[f"{column}_utc"]
            row[column] = None if pd.isna(when) else when.tz_convert(zone(timezone)).strftime("%H:%M")
        dark = (
            None
            if pd.isna(row["dark_h"]) or pd.isna(row["analysed_dark_h"])
            else (row["analysed_dark_h"], row["dark_h"])
        )
        rows.append(row | {"night": night, "state": state, "passes": count, "dark": dark})
    return rows


def _best_passes(passes: pd.DataFrame, styles: pd.DataFrame, timezone: str) -> list[dict[str, Any]]:
    """The pass of each taxon that is best worth a look at the recording: long enough, and of the highest mean score."""
    ranked = passes.assign(long=passes["calls"] >= FEW_CALLS).sort_values(
        ["long", "mean_score", "calls", "best_path", "best_start_s"], ascending=[False, False, False, True, True]
    )
    rows = []
    first = ranked.drop_duplicates("taxon").set_index("taxon")
    for taxon in styles.index.intersection(first.index, sort=False):
        row = first.loc[taxon]
        when = row["start_utc"]
        rows.append(
            {
                **styles.loc[taxon].to_dict(),
                **row[["night", "calls", "mean_peak_hz", "mean_score", "best_path"]].to_dict(),
                "time": None if pd.isna(when) else when.tz_convert(zone(timezone)).strftime("%H:%M:%S"),
                "at": time_text(row["best_start_s"]),
            }
        )
    return rows


def _reason_rows(excluded: pd.DataFrame) -> list[dict[str, Any]]:
    table = excluded.groupby("reason").agg(
        files=("recording", "nunique"), stretches=("recording", "size"), seconds=("duration_s", "sum")
    )
    return [{"reason": REASONS.get(str(reason), str(reason)), **row} for reason, row in table.to_dict("index").items()]


def _undated_rows(tables: _Tables) -> list[dict[str, Any]]:
    nights = tables.nights[tables.nights["night"].isna()].sort_values("site")
    passes = tables.passes[tables.passes["night"].isna()].groupby("site").size()
    columns = ["site", "files", "files_excluded", "recorded_h", "analysed_h"]
    return [row | {"passes": int(passes.get(row["site"], 0))} for row in nights[columns].to_dict("records")]


def _plot(name: str, figure: go.Figure, *, columns: int = 0, column_px: int = 0) -> Markup:
    """A figure as HTML, as wide as the page.

    Parameters
    ----------
    name
        Id of the element; fixed, so that the same tables give the same page.
    columns
        How many there are; where they are very many the figure is wider than the page, in a box that scrolls.
    column_px
        A column need not be wider.
    """
    drawn = figure.to_dict()
    data, layout, config = (
        to_json_plotly(part, engine="json") for part in (drawn["data"], drawn["layout"], PLOT_CONFIG)
    )
    least = min(max(columns * 7 + 220, 600), 4000) if columns else 320
    most = f"max-width:{max(columns * column_px + 420, least)}px" if columns and column_px else ""
    return Markup(
        f'<div class="scroll drawing"><div id="plot-{name}" class="plot" '
        f'style="height:{figure.layout.height}px;min-width:{least}px;{most}"></div></div>\n'
        f'<script>Plotly.newPlot("plot-{name}",{data},{layout},{config});</script>'
    )


@lru_cache(maxsize=1)
def _plotlyjs() -> str:
    return str(get_plotlyjs())


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("batpam.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=number_text,
        hours=hours_text,
        decimal=decimal_text,
        rate=figures.rate_text,
        seconds=seconds_text,
        night=long_night_text,
    )
    return environment


def _render(template: str, page: dict[str, Any]) -> str:
    return _environment().get_template(template).render(page) + "\n"


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
    if seconds == 0:
        return "0\xa0s"
    return "<0.1\xa0s" if seconds < 0.1 else f"{seconds:,.1f}\xa0s"


def decimal_text(number: float | None) -> str:
    """Two decimals; what is not nothing never reads as nothing.

    Examples
    --------
    >>> decimal_text(0), decimal_text(0.001), decimal_text(8.5), decimal_text(None)
    ('0', '<0.01', '8.50', '–')
    """
    if number is None or math.isnan(number):
        return "–"
    if number == 0:
        return "0"
    return "<0.01" if number < 0.005 else f"{number:,.2f}"


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


def long_night_text(night: str) -> str:
    """A night for people.

    Examples
    --------
    >>> long_night_text("2024-06-01")
    '1 June 2024'
    """
    day = date.fromisoformat(night)
    return f"{day.day} {day:%B} {day.year}"
