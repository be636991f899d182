"""Figures of a report: data frames in, plotly figures out.

Nights and sites stand on axes of whole numbers with text at the ticks, so that a bar, a cell and a mark for the same
night always meet, and no name of a site is taken for a number or a date. Plotly reads some HTML in labels; every text
that comes from outside goes through :func:`safe`.
"""

import colorsys
import html
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from batpam.activity.names import nodes_of
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT
from batpam.tables import BANDS_HZ, NOISE_COLUMNS

GAP, FAILED, ZERO, BATS = "gap", "failed", "zero", "bats"
STATES = {
    GAP: "no recording",
    FAILED: "recorded, not usable",
    ZERO: "analysed, no bat pass",
    BATS: "analysed, bats passed",
}
"""What a night at a site, or a part of one, can be; the first three must never look alike."""

HUES = ("#332288", "#CC6677", "#44AA99", "#999933", "#AA4499", "#88CCEE", "#DDCC77", "#882255", "#117733")
"""Paul Tol's "muted" scheme, which people with any kind of colour blindness can tell apart."""

UNKNOWN_COLOUR, FAMILY_COLOUR = "#767676", "#5f7a99"
GAP_COLOUR, FAILED_COLOUR, INK = "#c4c4c4", "#d55e00", "#1a1a1a"
SCALE = [[0.0, "#e6f0f8"], [0.5, "#4b93c4"], [1.0, "#08306b"]]
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
QUARTERS_PER_NIGHT = 96
DASHES = ("solid", "dash", "dot", "dashdot")
LONGEST_LABEL = 28


def safe(text: object) -> str:
    """Text that plotly shows as it is.

    Examples
    --------
    >>> safe("<b>A & B</b>")
    '&lt;b&gt;A &amp; B&lt;/b&gt;'
    """
    return html.escape(str(text), quote=False)


def states_of(passes: Any, analysed: Any, recorded: Any) -> np.ndarray:
    """State (see :data:`STATES`) of everything that has so many passes, was analysed for so long and was recorded at all.

    What was analysed of a recorder that had failed is not to be counted.

    Examples
    --------
    >>> states_of(np.array([2, 0, 0, 0]), np.array([1.5, 1.5, 0, 0]), np.array([1, 1, 1, 0])).tolist()
    ['bats', 'zero', 'failed', 'gap']
    """
    return np.select([passes > 0, analysed > 0, recorded > 0], [BATS, ZERO, FAILED], GAP)


def taxon_styles(taxa: Sequence[Taxon], found: pd.DataFrame) -> pd.DataFrame:
    """Names, order and colour of everything that a pass can be assigned to.

    A group of similar species has one hue and its species are shades of it; families are shades of blue grey. All follows
    from the order of the model's classes alone, so that a taxon has the same colour in every figure of every page. What
    is not named to species is hatched.

    Parameters
    ----------
    taxa
        The classes of the model.
    found
        Columns ``taxon`` and ``rank``; taxa that the model does not know come last, in grey.

    Returns
    -------
    DataFrame
        Index ``taxon``; columns ``rank``, ``label`` (for a figure), ``english``, ``scientific``, ``note``, ``colour``
        and ``pattern``. Species first, then groups, then families, then bats of unknown species.
    """
    groups: dict[str, list[Taxon]] = {}
    for taxon in taxa:
        groups.setdefault(taxon.group, []).append(taxon)
    hues = {group: HUES[number % len(HUES)] for number, group in enumerate(groups)}
    nodes = nodes_of(taxa)
    families = [node.name for node in nodes if node.rank == "family"]
    rows: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        members = [taxa[number] for number in node.classes]
        taxon, plain, name = members[0], node.name.removesuffix(f" ({node.rank})"), node.name
        if node.rank == "species":
            siblings = groups[taxon.group]
            colour = _shade(hues[taxon.group], siblings.index(taxon), len(siblings))
            rows[name] = ("species", taxon.english or name, taxon.english, name, "", colour, "")
        elif node.rank == "group":
            note = "not told apart: " + ", ".join(member.english or member.species for member in members)
            rows[name] = ("group", f"{plain} (group)", f"{plain} group", "", note, hues[taxon.group], "/")
        elif node.rank == "family":
            note = "not told apart further"
            colour = _shade(FAMILY_COLOUR, families.index(name), len(families))
            rows[name] = ("family", f"{plain} (family)", f"{plain} family", "", note, colour, "\\")
    bat, note = "Bat, not identified", "a bat, but no species, group or family is likely enough"
    rows[ANY_BAT] = ("order", bat, bat, ANY_BAT, note, UNKNOWN_COLOUR, "x")
    for name, rank in sorted(set(zip(found["taxon"], found["rank"], strict=True))):
        rows.setdefault(name, (rank, name, "", name, "not a class of this model", UNKNOWN_COLOUR, "."))
    columns = ["rank", "label", "english", "scientific", "note", "colour", "pattern"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("taxon")


def _shade(colour: str, number: int, count: int) -> str:
    """Shade ``number`` of ``count`` of a colour, from dark to light."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if count > 1:
        lightness = float(np.interp(number, [0, count - 1], [max(0.22, lightness - 0.22), min(0.82, lightness + 0.22)]))
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))


def map_figure(sites: pd.DataFrame) -> go.Figure:
    """Sites in the plane, drawn to scale, without a background.

    Parameters
    ----------
    sites
        Columns ``site``, ``latitude``, ``longitude`` (degrees, none missing) and ``note`` (one line for the reader).
    """
    latitude, longitude = sites["latitude"].to_numpy(float), sites["longitude"].to_numpy(float)
    shrink = max(math.cos(math.radians(float(latitude.mean()))), 0.05)  # a degree east is shorter than one north
    # as wide as it is high to three times that; a kilometre of ground where there is but one site
    height = max(float(np.ptp(latitude)), float(np.ptp(longitude)) * shrink / 3, 0.006) * 1.4
    width = max(float(np.ptp(longitude)) * 1.4, height / shrink)
    left, bottom = (float(v.min() + v.max() - size) / 2 for v, size in ((longitude, width), (latitude, height)))
    figure = go.Figure(
        go.Scatter(
            x=longitude.tolist(), y=latitude.tolist(), mode="markers+text" if len(sites) <= 30 else "markers",
            text=[safe(site) for site in sites["site"]], textposition=_label_sides(longitude * shrink, latitude),
            textfont={"size": 12}, hoverinfo="text", cliponaxis=False,
            hovertext=[f"{safe(row.site)}<br>{safe(row.note)}" for row in sites.itertuples()],
            marker={"size": 10, "color": HUES[0], "line": {"color": "white", "width": 1}},
        )
    )  # fmt: skip
    km_per_degree = 111.32 * shrink
    bar = _nice_below(width * km_per_degree / 4)
    x, y = left + width * 0.03, bottom + width * shrink * 0.03
    figure.add_shape(type="line", x0=x, x1=x + bar / km_per_degree, y0=y, y1=y, line={"color": INK, "width": 3})
    text = f"{bar:g} km" if bar >= 1 else f"{bar * 1000:g} m"
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor="left", yanchor="bottom", yshift=2)
    look = {"nticks": 5, "zeroline": False, "gridcolor": "#e5e5e5", "linecolor": "#888", "mirror": True,
            "showline": True, "constrain": "domain"}  # fmt: skip
    figure.update_layout(
        _layout(460), margin={"l": 80, "r": 20, "t": 30, "b": 50}, showlegend=False,
        xaxis={**look, "title": "Longitude (°)", "range": [left, left + width]},
        yaxis={**look, "title": "Latitude (°)", "range": [bottom, bottom + height], "scaleanchor": "x",
               "scaleratio": 1 / shrink},
    )  # fmt: skip
    return figure


def _label_sides(east: np.ndarray, north: np.ndarray) -> list[str]:
    """Where the label of each place stands: on the side away from the nearest other one."""
    sides = []
    for x, y in zip(east, north, strict=True):
        distance = np.hypot(east - x, north - y)
        nearest = int(np.where(distance > 0, distance, np.inf).argmin())
        if abs(east[nearest] - x) > 2 * abs(north[nearest] - y):
            sides.append("middle left" if east[nearest] > x else "middle right")
        else:
            sides.append("bottom center" if north[nearest] > y else "top center")
    return sides


def effort_figure(states: pd.DataFrame, sites: Sequence[str], nights: Sequence[str]) -> go.Figure:
    """Hours analysed per site and night, with gaps, failures and zeros each in a look of their own.

    Parameters
    ----------
    states
        One row per site and night, sites in their order and for each the nights in theirs: ``site``, ``night``,
        ``state`` (see :data:`STATES`), ``files``, ``passes``, ``recorded_h`` and ``analysed_h`` (h).
    sites, nights
        The rows and columns.
    """
    shape = len(sites), len(nights)
    state = states["state"].to_numpy(str).reshape(shape)
    hours = states["analysed_h"].to_numpy(float).reshape(shape)
    hover = [f"{safe(cell['site'])}, {effort_text(cell)}" for cell in states.to_dict("records")]
    return _grid(
        np.where(np.isin(state, [ZERO, BATS]), hours, np.nan), state, np.reshape(np.array(hover, object), shape),
        name="hours", labels=sites, xaxis=_night_ticks(nights), yaxis=_name_ticks(sites), gap=1,
        height=max(270, 150 + (26 if len(sites) <= 20 else 15) * len(sites)),
        mark=max(5, min(9, 700 // len(nights))), bar=_colour_bar("h analysed"), zmax=hours.max() or 1,
    )  # fmt: skip


def noise_figure(health: pd.DataFrame, nights: Sequence[str]) -> go.Figure:
    """Noise of every recorder by band and night: a microphone that fails falls out of its own line.

    Parameters
    ----------
    health
        Table of the schema RECORDER_NIGHTS, nights with a date.
    nights
        The columns.
    """
    figure = go.Figure()
    at = {night: number for number, night in enumerate(nights)}
    recorders = sorted(health["recorder"].unique())
    for number, recorder in enumerate(recorders):
        rows = health[health["recorder"] == recorder].sort_values("night")
        for band, (low, high) in enumerate(BANDS_HZ):
            level = rows[NOISE_COLUMNS[band]]
            label = f"{low // 1000}–{high // 1000} kHz" + (f", {safe(recorder)}" if len(recorders) > 1 else "")
            line = go.Scatter(
                x=[at[night] for night in rows["night"]], y=[None if math.isnan(v) else round(v, 2) for v in level],
                name=label, mode="lines+markers", connectgaps=False, hoverinfo="text",
                line={"color": HUES[band], "width": 1.5, "dash": DASHES[number % len(DASHES)]}, marker={"size": 5},
                hovertext=[f"{label}<br>{night_text(night)}: {v:.1f} dB" for night, v in zip(rows["night"], level, strict=True)],
            )  # fmt: skip
            figure.add_trace(line)
    figure.update_layout(
        _layout(max(320, 130 + 21 * len(figure.data))), margin={"l": 70, "r": 20, "t": 20, "b": 60},
        legend={"traceorder": "normal", "font": {"size": 12}},
    )  # fmt: skip
    figure.update_xaxes(_night_ticks(nights), range=[-0.5, len(nights) - 0.5], showgrid=False, zeroline=False)
    levels = health[list(NOISE_COLUMNS)].to_numpy(float)
    low, high = np.nanmin(levels), np.nanmax(levels)
    room = max(2.0, (20 - (high - low)) / 2)  # what changes by a decibel must not look like a fall
    return figure.update_yaxes(
        gridcolor="#e5e5e5", zeroline=False, title="Noise (dB re full scale²/Hz)", range=[float(low - room), float(high + room)]
    )  # fmt: skip


def taxa_figure(rates: pd.DataFrame, styles: pd.DataFrame, sites: Sequence[str]) -> go.Figure:
    """Passes per analysed hour of each taxon at each site, on a logarithmic scale of colour.

    Parameters
    ----------
    rates
        One row per taxon and site, sites in their order within each taxon: ``taxon``, ``site``, ``passes``,
        ``analysed_h`` (h) and ``passes_per_h`` (missing where nothing was analysed).
    styles
        See :func:`taxon_styles`.
    sites
        The columns.
    """
    shape = -1, len(sites)
    rate = rates["passes_per_h"].to_numpy(float).reshape(shape)
    logs = np.log10(rate, out=np.full(rate.shape, np.nan), where=rate > 0)
    hover, text = [], []
    for cell in rates.itertuples():
        analysed, found = not math.isnan(cell.passes_per_h), cell.passes > 0
        text.append(rate_text(cell.passes_per_h) if found else "")
        hover.append(
            f"{safe(styles.at[cell.taxon, 'label'])}<br>{safe(cell.site)}: "
            + (f"{cell.passes or 'no'} passes in {cell.analysed_h:.2f} h" if analysed else "nothing analysed")
            + (f", {safe(text[-1])} per h" if found else "")
        )
    low = math.floor(np.nanmin(logs))
    high = max(math.ceil(np.nanmax(logs)), low + 1)
    decades = range(low, high + 1)
    labels = [str(styles.at[taxon, "label"]) for taxon in rates["taxon"].unique()]
    longest = max(len(site) for site in sites)
    slanted = len(sites) * longest >= 80
    figure = _grid(
        logs, np.select([np.isnan(rate), rate == 0], [GAP, ZERO], BATS), np.reshape(np.array(hover, object), shape),
        name="rate", labels=labels, xaxis=_name_ticks(sites), yaxis=_name_ticks(labels), gap=1,
        height=110 + max(24 * len(labels), 130) + (6 * min(longest, 28) if slanted else 0),
        words={ZERO: "analysed, not found", GAP: "nothing analysed"}, zmin=low, zmax=high,
        bar=_colour_bar("passes per h (log scale)", decades, [f"{10.0**decade:g}" for decade in decades]),
        text=[[safe(t) for t in line] for line in np.reshape(np.array(text, object), shape)],
        texttemplate="%{text}" if len(sites) <= 15 else "", textfont={"size": 11},
    )  # fmt: skip
    return figure.update_xaxes(tickangle=-60 if slanted else 0, automargin=True)


def nightly_figure(activity: pd.DataFrame, states: pd.DataFrame, styles: pd.DataFrame, *, per_hour: bool) -> go.Figure:
    """Passes night by night, stacked by taxon, above the hours that were analysed.

    Parameters
    ----------
    activity
        Columns ``night``, ``taxon`` and ``passes``.
    states
        One row per night: ``night``, ``state``, ``files``, ``recorded_h``, ``analysed_h`` (h) and ``passes``.
    styles
        See :func:`taxon_styles`.
    per_hour
        Draw passes per analysed hour, not passes; neither may then be of recorders that had failed.
    """
    nights = states["night"].tolist()
    counts = activity.pivot_table(index="taxon", columns="night", values="passes", aggfunc="sum")
    return _stacked(
        counts.reindex(columns=nights).fillna(0), states, styles, [night_text(night) for night in nights],
        [effort_text(night) for night in states.to_dict("records")], _night_ticks(nights), per_hour=per_hour,
    )  # fmt: skip


def taxa_clock_figure(passes: pd.DataFrame, effort: pd.DataFrame, styles: pd.DataFrame) -> go.Figure:
    """Passes in each hour of the night, all nights together, stacked by taxon, above the hours that were analysed.

    Parameters
    ----------
    passes
        Columns ``taxon`` and ``quarter``, see :func:`clock_figure`.
    effort
        See :func:`clock_figure`.
    styles
        See :func:`taxon_styles`.
    """
    hours = range(24)
    counts = pd.crosstab(passes["taxon"], passes["quarter"] // 4).reindex(columns=hours, fill_value=0)
    there = effort.groupby(effort["quarter"] // 4)["minutes"].agg(["size", "sum"]).reindex(hours, fill_value=0)
    states = pd.DataFrame({"analysed_h": there["sum"] / 60})
    states["state"] = states_of(counts.sum(), there["sum"], there["size"])
    names = [f"{clock_text(hour)} to {clock_text(hour + 1)}" for hour in hours]
    hover = [f"{name}<br>{STATES[row.state]}<br>{row.analysed_h:.2f} h analysed"
             for name, row in zip(names, states.itertuples(), strict=True)]  # fmt: skip
    return _stacked(counts, states, styles, names, hover, _clock_ticks(-0.5), per_hour=False)


def _stacked(
    counts: pd.DataFrame, states: pd.DataFrame, styles: pd.DataFrame, names: Sequence[str], hover: Sequence[str],
    ticks: dict[str, Any], *, per_hour: bool,
) -> go.Figure:  # fmt: skip
    """Bars of passes above bars of analysed hours; ``counts`` has a row per taxon and a column per row of ``states``."""
    x = list(range(len(states)))
    hours, state = states["analysed_h"].to_numpy(float), states["state"].to_numpy(str)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05)
    width = 0.9 if len(x) > 6 else 0.6
    drawn = [taxon for taxon in styles.index if taxon in counts.index and counts.loc[taxon].sum() > 0]
    for taxon in drawn:
        passes, label = counts.loc[taxon].to_numpy(int), safe(styles.at[taxon, "label"])
        height = np.divide(passes, hours, out=np.zeros(len(x)), where=hours > 0) if per_hour else passes.astype(float)
        marker = {"color": styles.at[taxon, "colour"], "line": {"color": "white", "width": 0.5}}
        if shape := styles.at[taxon, "pattern"]:
            look = {"size": 6, "fgcolor": "white", "solidity": 0.25, "fillmode": "overlay"}
            marker["pattern"] = {"shape": shape, **look}
        bars = go.Bar(
            x=x, y=height.round(4).tolist(), name=label, width=width, marker=marker, hoverinfo="text",
            hovertext=[f"{label}<br>{name}: {count} passes in {hour:.2f} h"
                       for name, count, hour in zip(names, passes, hours, strict=True)],
        )  # fmt: skip
        figure.add_trace(bars, row=1, col=1)
    effort = go.Bar(
        x=x, y=hours.round(3).tolist(), name="hours analysed", showlegend=False, width=width, hovertext=hover,
        hoverinfo="text", marker={"color": "#8a97a8"},
    )  # fmt: skip
    figure.add_trace(effort, row=2, col=1)
    for name in (FAILED, ZERO):
        if at := np.flatnonzero(state == name).tolist():
            figure.add_trace(_marks(name, at, [0] * len(at), max(5, min(10, 700 // len(x)))), row=1, col=1)
    edges = np.flatnonzero(np.diff(state == GAP, prepend=False, append=False)).tolist()
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        figure.add_shape(
            type="rect", x0=first - 0.5, x1=end - 0.5, y0=0, y1=1, xref="x", yref="paper", line={"width": 0},
            fillcolor=GAP_COLOUR, layer="below",
        )  # fmt: skip
    if edges:
        figure.add_trace(_legend_entry(STATES[GAP], GAP_COLOUR), row=1, col=1)
    figure.update_layout(
        _layout(max(430, 130 + 21 * (len(drawn) + 3))), margin={"l": 70, "r": 20, "t": 20, "b": 60}, barmode="stack",
        bargap=0.1, legend={"traceorder": "normal", "font": {"size": 12}},
    )  # fmt: skip
    figure.update_xaxes(range=[-0.5, len(x) - 0.5], showgrid=False, zeroline=False)
    figure.update_xaxes(ticks, row=2, col=1)
    figure.update_yaxes(gridcolor="#e5e5e5", rangemode="tozero", zerolinecolor="#888")
    figure.update_yaxes(title="Passes per analysed hour" if per_hour else "Passes", row=1, col=1)
    figure.update_yaxes(title="h analysed", nticks=4, row=2, col=1)
    return figure


def clock_figure(
    passes: pd.DataFrame, effort: pd.DataFrame, nights: Sequence[str], sun: pd.DataFrame, *, quarters: int
) -> go.Figure:
    """Passes per analysed hour by time of night, one row per night from noon to noon.

    The scale of colour is for rates, so that a cell recorded for a part of its time, or by several recorders, compares
    with the others. Less than one analysed minute counts as one: a single pass in a few seconds would outshine all else.

    Parameters
    ----------
    passes
        Columns ``night`` and ``quarter``, the local time of a pass in whole quarters of an hour after noon, 0 to 95.
    effort
        Columns ``night``, ``quarter`` and ``minutes`` analysed in it (min); a quarter without a row was not recorded.
    nights
        The rows.
    sun
        Columns ``night``, ``sunset`` and ``sunrise``, hours after noon; may have no row.
    quarters
        Width of a cell, in quarters of an hour.
    """
    row = {night: number for number, night in enumerate(nights)}
    bins, bin_h = QUARTERS_PER_NIGHT // quarters, quarters / 4

    def cells(rows: pd.DataFrame, amount: Any) -> np.ndarray:
        total = np.zeros((len(nights), bins))
        np.add.at(total, (rows["night"].map(row).to_numpy(int), rows["quarter"].to_numpy(int) // quarters), amount)
        return total

    counts, minutes = cells(passes, 1), cells(effort, effort["minutes"].to_numpy(float))
    state = states_of(counts, minutes, cells(effort, 1))
    rates = np.where(counts > 0, 60 * counts / np.maximum(minutes, 1), np.nan)
    hover = np.empty(state.shape, object)
    for (y, b), name in np.ndenumerate(state):
        hover[y, b] = (
            f"{night_text(nights[y])}, {clock_text(b * bin_h)} to {clock_text((b + 1) * bin_h)}<br>{STATES[name]}"
        )
        if name in (ZERO, BATS):
            hover[y, b] += f"<br>{safe(rate_text(float(minutes[y, b])))} min analysed, {counts[y, b]:.0f} passes"
    most = float(np.nanmax(rates))
    ticks = _nice_ticks(most)
    row_height = max(4, min(26, 1100 // len(nights)))
    figure = _grid(
        np.sqrt(rates),  # the root keeps single passes visible beside the busiest quarter of an hour
        state, hover, name="passes", labels=["00 Jun 0000"], x=[(b + 0.5) * bin_h for b in range(bins)],
        xaxis=_clock_ticks() | {"range": [0, 24]}, yaxis=_night_ticks(nights, 40) | {"title": None},
        gap=1 if row_height > 8 else 0, height=max(290, 150 + row_height * len(nights)),
        mark=max(3, min(7, row_height - 2)), zmax=math.sqrt(most),
        bar=_colour_bar("passes per analysed h", [math.sqrt(tick) for tick in ticks], [f"{tick:g}" for tick in ticks]),
    )  # fmt: skip
    for name, dash in (("sunset", "solid"), ("sunrise", "dot")):
        known = sun.dropna(subset=name)
        if len(known):
            # from edge to edge of each row, so that a single night has a line too
            hours = known[name].round(3).repeat(2).tolist()
            line = go.Scatter(
                x=hours, y=[row[night] + half for night in known["night"] for half in (-0.5, 0.5)], mode="lines",
                line={"color": INK, "width": 1.5, "dash": dash}, name=name, hoverinfo="text",
                hovertext=[f"{name} {clock_text(hour)}" for hour in hours],
            )  # fmt: skip
            figure.add_trace(line)
    return figure


def _grid(
    values: np.ndarray, states: np.ndarray, hover: np.ndarray, *, name: str, labels: Sequence[str],
    xaxis: dict[str, Any], yaxis: dict[str, Any], height: int, gap: int, bar: dict[str, Any], zmax: float,
    zmin: float = 0, mark: int = 5, x: Sequence[float] | None = None, words: Mapping[str, str] = STATES, **look: Any,
) -> go.Figure:  # fmt: skip
    """A grid of cells: a value has a colour of the scale; gap, failure and zero each have a look of their own.

    Parameters
    ----------
    values
        NaN where there is none. A zero without a value is a white cell, one with a value has a white dot.
    states, hover
        State and words of each cell, of the shape of ``values``.
    labels
        Of the rows: room is left for them.
    gap
        Between rows, and between columns if they stand on whole numbers, px.
    mark
        Size of marks, px.
    x
        Middles of the columns, if not whole numbers.
    words
        What the legend calls the states.
    """
    space = {"xgap": 0 if x else gap, "ygap": gap}
    x = x or list(range(states.shape[1]))
    there = ~np.isnan(values)
    zero, failed, lost = (states == ZERO) & ~there, states == FAILED, states == GAP
    figure = go.Figure()
    for state, cells, colour in ((ZERO, zero, "white"), (FAILED, failed, FAILED_COLOUR)):
        plain = {"colorscale": [[0, colour], [1, colour]], "showscale": False, "hoverinfo": "skip"}
        ones = [[1 if cell else None for cell in line] for line in cells]
        figure.add_trace(go.Heatmap(x=x, z=ones, name=state, **space, **plain))
    numbers = [[None if math.isnan(value) else round(float(value), 4) for value in line] for line in values]
    heat = go.Heatmap(
        x=x, z=numbers, zmin=zmin, zmax=zmax, colorscale=SCALE, colorbar=bar, showscale=bool(there.any()), name=name,
        hovertext=hover.tolist(), hoverinfo="text", **space, **look,
    )  # fmt: skip
    figure.add_trace(heat)
    for state, cells in ((FAILED, failed), (ZERO, (states == ZERO) & there)):
        if cells.any():
            rows, columns = (at.tolist() for at in np.nonzero(cells))
            figure.add_trace(_marks(state, [x[column] for column in columns], rows, mark))
    for state, cells, colour in ((ZERO, zero, "white"), (GAP, lost, GAP_COLOUR)):
        if cells.any():
            figure.add_trace(_legend_entry(words[state], colour))
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left", "font": {"size": 12}}
    margin = {"l": min(max(len(label) for label in labels), LONGEST_LABEL) * 7 + 24, "r": 20, "t": 50, "b": 60}
    plain = {"showgrid": False, "zeroline": False}
    return figure.update_layout(
        _layout(height), margin=margin, plot_bgcolor=GAP_COLOUR, legend=legend,
        xaxis={"range": [-0.5, len(x) - 0.5], **xaxis, **plain},
        yaxis={"range": [len(states) - 0.5, -0.5], **yaxis, **plain},
    )  # fmt: skip


def night_text(night: str, month: str = "%b") -> str:
    """A night for people.

    Examples
    --------
    >>> night_text("2024-06-01")
    '1 Jun 2024'
    """
    day = date.fromisoformat(night)
    return f"{day.day} {day:{month}} {day.year}"


def effort_text(night: Mapping[Any, Any]) -> str:
    """A night, its state and its effort."""
    text = f"{night_text(night['night'])}<br>{STATES[night['state']]}"
    if night["state"] == GAP:
        return text
    if night.get("quiet") and not night["files"]:
        return f"{text}<br>the recorder listened and nothing triggered it"
    if night.get("health") not in (None, "", "valid"):
        text += f"<br>recorder {safe(night['health'])}: {safe(night['why'])}"
    return (
        f"{text}<br>{night['files']} files, {night['recorded_h']:.2f} h recorded, {night['analysed_h']:.2f} h analysed, "
        f"{night['passes']} passes"
    )


def rate_text(rate: float | None) -> str:
    """A rate; what is not nothing never reads as nothing.

    Examples
    --------
    >>> [rate_text(r) for r in (None, 0, 0.0001, 0.0123, 0.1234, 12.34, 1234.0)]
    ['–', '0', '<0.001', '0.012', '0.12', '12.3', '1,234']
    """
    if rate is None or math.isnan(rate):
        return "–"
    if rate == 0:
        return "0"
    if rate < 0.001:
        return "<0.001"
    digits = 3 if rate < 0.1 else 2 if rate < 10 else 1 if rate < 100 else 0
    return f"{rate:,.{digits}f}"


def clock_text(hours_after_noon: float) -> str:
    """Time of day.

    Examples
    --------
    >>> clock_text(9.5), clock_text(24)
    ('21:30', '12:00')
    """
    minutes = round(hours_after_noon * 60 + 12 * 60) % (24 * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _colour_bar(title: str, at: Sequence[float] | None = None, text: Sequence[str] | None = None) -> dict[str, Any]:
    words = {"text": title, "side": "right", "font": {"size": 12}}
    return {"title": words, "thickness": 12, "outlinewidth": 0, "tickvals": at and list(at), "ticktext": text}


def _marks(state: str, x: Sequence[float], y: Sequence[float], size: int) -> go.Scatter:
    """Marks for failures and zeros, which must be told apart without colour, too."""
    symbol, colour, line = ("square-x", FAILED_COLOUR, "white") if state == FAILED else ("circle", "white", INK)
    marker = {"symbol": symbol, "color": colour, "size": size, "line": {"color": line, "width": 1.2}}
    return go.Scatter(x=x, y=y, mode="markers", marker=marker, name=STATES[state], hoverinfo="skip", cliponaxis=False)


def _legend_entry(name: str, colour: str) -> go.Scatter:
    """A line of the legend for what is no trace: the colour of empty cells."""
    marker = {"symbol": "square", "color": colour, "size": 11, "line": {"color": "#888", "width": 1}}
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip")


def _layout(height: int) -> dict[str, Any]:
    font = {"family": FONT, "size": 13, "color": INK}
    return {
        "template": "none", "height": height, "autosize": True, "hovermode": "closest", "dragmode": False,
        "showlegend": True, "font": font, "paper_bgcolor": "white", "hoverlabel": {"bgcolor": "white", "font": font},
    }  # fmt: skip


def _name_ticks(names: Sequence[str]) -> dict[str, Any]:
    short = [name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…" for name in names]
    return {"tickvals": list(range(len(names))), "ticktext": [safe(name) for name in short]}


def _clock_ticks(shift: float = 0) -> dict[str, Any]:
    hours = range(0, 25, 3)
    text = [clock_text(hour) for hour in hours]
    return {"title": "Local time", "tickvals": [hour + shift for hour in hours], "ticktext": text, "ticks": "outside"}


def _night_ticks(nights: Sequence[str], most: int = 14) -> dict[str, Any]:
    """Ticks at evenly spaced nights; the year stands in the title where all have the same."""
    step = -(-len(nights) // most)
    shown, title = [night_text(night) for night in nights[::step]], "Night (date of the evening)"
    if nights[0][:4] == nights[-1][:4]:
        shown, title = [text.rsplit(" ", 1)[0] for text in shown], f"{title}, {nights[0][:4]}"
    at = list(range(0, len(nights), step))
    return {"tickvals": at, "ticktext": shown, "ticks": "outside", "automargin": True, "title": title}


def _nice_below(value: float) -> float:
    """Greatest of 1, 2, 5 times a power of ten that is not above a value.

    Examples
    --------
    >>> _nice_below(7.3), _nice_below(0.04)
    (5.0, 0.02)
    """
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= value * (1 + 1e-9))


def _nice_ticks(most: float) -> list[float]:
    """Zero and up to four round numbers up to the greatest value, even after taking roots.

    Examples
    --------
    >>> _nice_ticks(100)
    [0.0, 5.0, 20.0, 50.0, 100.0]
    """
    ticks = {_nice_below(most * share) for share in (0.07, 0.25, 0.57, 1.0)}
    return [0.0, *sorted(ticks)]
