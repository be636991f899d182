"""Figures of a report: data frames in, plotly figures out.

Nights and sites stand on axes of whole numbers with text at the ticks, so that a bar, a cell and a mark for the same
night always meet, and no name of a site is taken for a number or a date. Plotly reads some HTML in labels; every text
that comes from outside goes through :func:`safe`.
"""

import colorsys
import html
import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from batpam.activity.passes import ANY_BAT
from batpam.models.files import Taxon

GAP, FAILED, ZERO, BATS = "gap", "failed", "zero", "bats"
STATES = {
    GAP: "no recording",
    FAILED: "recorded, nothing could be analysed",
    ZERO: "analysed, no bat pass",
    BATS: "analysed, bats passed",
}
"""What a night at a site can be; the first three must never look alike."""

HUES = ("#332288", "#CC6677", "#44AA99", "#999933", "#AA4499", "#88CCEE", "#DDCC77", "#882255", "#117733")
"""Paul Tol's "muted" scheme, which people with any kind of colour blindness can tell apart."""

UNKNOWN_COLOUR = "#767676"
GAP_COLOUR, FAILED_COLOUR, INK = "#c4c4c4", "#d55e00", "#1a1a1a"
SCALE = [[0.0, "#e6f0f8"], [0.5, "#4b93c4"], [1.0, "#08306b"]]
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
HOURS_PER_NIGHT = 24


def safe(text: object) -> str:
    """Text that plotly shows as it is.

    Examples
    --------
    >>> safe("<b>A & B</b>")
    '&lt;b&gt;A &amp; B&lt;/b&gt;'
    """
    return html.escape(str(text), quote=False)


def taxon_styles(taxa: Sequence[Taxon], found: pd.DataFrame) -> pd.DataFrame:
    """Names, order and colour of everything that a pass can be assigned to.

    A group of similar species has one hue and its species are shades of it. Both follow from the order of the model's
    classes alone, so that a taxon has the same colour in every figure of every page. What is not named to species is
    hatched.

    Parameters
    ----------
    taxa
        The classes of the model.
    found
        Columns ``taxon``, ``group`` and ``rank``; taxa that the model does not know come last, in grey.

    Returns
    -------
    DataFrame
        Index ``taxon``; columns ``rank``, ``label`` (for a figure), ``english``, ``scientific``, ``note``, ``colour``
        and ``pattern``. Species first, then groups, then bats of unknown species.
    """
    groups = list(dict.fromkeys(taxon.group for taxon in taxa))
    rows: dict[str, dict[str, str]] = {}
    for taxon in taxa:
        members = [other.species for other in taxa if other.group == taxon.group]
        rows[taxon.species] = {
            "rank": "species",
            "label": taxon.english or taxon.species,
            "english": taxon.english,
            "scientific": taxon.species,
            "note": "",
            "colour": _shade(HUES[groups.index(taxon.group) % len(HUES)], members.index(taxon.species), len(members)),
            "pattern": "",
        }
    for number, group in enumerate(groups):
        names = [taxon.english or taxon.species for taxon in taxa if taxon.group == group]
        rows.setdefault(
            group,
            {
                "rank": "group",
                "label": f"{group} (group)",
                "english": f"{group} group",
                "scientific": "",
                "note": f"not told apart: {', '.join(names)}",
                "colour": HUES[number % len(HUES)],
                "pattern": "/",
            },
        )
    rows[ANY_BAT] = {
        "rank": "order",
        "label": "Bat, not identified",
        "english": "Bat, not identified",
        "scientific": ANY_BAT,
        "note": "a bat, but neither species nor group is sure enough",
        "colour": UNKNOWN_COLOUR,
        "pattern": "x",
    }
    strangers = found[~found["taxon"].isin(list(rows))].drop_duplicates("taxon").sort_values("taxon")
    for stranger in strangers.itertuples():
        rows[str(stranger.taxon)] = {
            "rank": str(stranger.rank),
            "label": str(stranger.taxon),
            "english": "",
            "scientific": str(stranger.taxon),
            "note": "not a class of this model",
            "colour": UNKNOWN_COLOUR,
            "pattern": ".",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("taxon")


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
    left, bottom = (
        float(longitude.min() + longitude.max() - width) / 2,
        float(latitude.min() + latitude.max() - height) / 2,
    )
    figure = go.Figure(
        go.Scatter(
            x=longitude.tolist(), y=latitude.tolist(), mode="markers+text" if len(sites) <= 30 else "markers",
            text=[safe(site) for site in sites["site"]], textposition=_label_sides(longitude * shrink, latitude),
            textfont={"size": 12}, hoverinfo="text", cliponaxis=False,
            hovertext=[f"{safe(row.site)}<br>{safe(row.note)}" for row in sites.itertuples()],
            marker={"size": 10, "color": HUES[0], "line": {"color": "white", "width": 1}},
        )
    )  # fmt: skip
    _add_scale_bar(figure, left, bottom, width, shrink)
    figure.update_layout(_layout(460, margin={"l": 80, "r": 20, "t": 30, "b": 50}, showlegend=False))
    look = {
        "nticks": 5, "zeroline": False, "gridcolor": "#e5e5e5", "linecolor": "#888", "mirror": True, "showline": True,
        "constrain": "domain",
    }  # fmt: skip
    figure.update_xaxes(look, title="Longitude (°)", range=[left, left + width])
    figure.update_yaxes(
        look, title="Latitude (°)", range=[bottom, bottom + height], scaleanchor="x", scaleratio=1 / shrink
    )
    return figure


def _label_sides(east: np.ndarray, north: np.ndarray) -> list[str]:
    """Where the label of each place stands: on the side away from the nearest other one."""
    sides = []
    for x, y in zip(east, north, strict=True):
        distance = np.hypot(east - x, north - y)
        distance[distance == 0] = np.inf
        nearest = int(distance.argmin())
        if not np.isfinite(distance[nearest]):
            sides.append("top center")
        elif abs(east[nearest] - x) > 2 * abs(north[nearest] - y):
            sides.append("middle left" if east[nearest] > x else "middle right")
        else:
            sides.append("bottom center" if north[nearest] > y else "top center")
    return sides


def _add_scale_bar(figure: go.Figure, left: float, bottom: float, width: float, shrink: float) -> None:
    km_per_degree = 111.32 * shrink
    length = _nice_below(width * km_per_degree / 4)
    x, y = left + width * 0.03, bottom + width * shrink * 0.03
    figure.add_shape(type="line", x0=x, x1=x + length / km_per_degree, y0=y, y1=y, line={"color": INK, "width": 3})
    text = f"{length:g} km" if length >= 1 else f"{length * 1000:g} m"
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor="left", yanchor="bottom", yshift=2)


def effort_figure(states: pd.DataFrame, sites: Sequence[str], nights: Sequence[str]) -> go.Figure:
    """Hours analysed per site and night, with gaps, failures and zeros each in a look of their own.

    Parameters
    ----------
    states
        One row per site and night: ``site``, ``night``, ``state`` (see :data:`STATES`), ``files``, ``passes``,
        ``recorded_h`` and ``analysed_h`` (h).
    sites, nights
        The order of rows and columns.
    """
    rows = {name: number for number, name in enumerate(sites)}
    columns = {name: number for number, name in enumerate(nights)}
    hours: list[list[float | None]] = [[None] * len(nights) for _ in sites]
    failed: list[list[int | None]] = [[None] * len(nights) for _ in sites]
    hover = [[""] * len(nights) for _ in sites]
    marks: dict[str, list[tuple[int, int]]] = {FAILED: [], ZERO: []}
    for cell in states.to_dict("records"):
        y, x = rows[cell["site"]], columns[cell["night"]]
        hover[y][x] = f"{safe(cell['site'])}, {night_text(cell['night'])}<br>{_state_text(cell)}"
        if cell["state"] in (ZERO, BATS):
            hours[y][x] = round(float(cell["analysed_h"]), 3)
        if cell["state"] == FAILED:
            failed[y][x] = 1
        if cell["state"] in marks:
            marks[cell["state"]].append((y, x))
    row_height = 26 if len(sites) <= 20 else 15
    most = max((value for row in hours for value in row if value is not None), default=0.0)
    figure = go.Figure(
        [
            go.Heatmap(
                z=hours, zmin=0, zmax=most or 1, colorscale=SCALE, hovertext=hover, hoverinfo="text", xgap=1, ygap=1,
                colorbar=_colour_bar("h analysed"), showscale=most > 0, name="hours",
            ),
            _plain_cells(failed, FAILED_COLOUR, hover, name="failed", xgap=1, ygap=1),
        ]
    )  # fmt: skip
    size = max(5, min(9, 700 // max(len(nights), 1)))
    for trace in _state_marks(marks, size):
        figure.add_trace(trace)
    figure.update_layout(
        _layout(
            max(270, 150 + row_height * len(sites)),
            margin=_room_for(sites),
            plot_bgcolor=GAP_COLOUR,
            legend=_legend_above(),
        )
    )
    figure.update_xaxes(_night_ticks(nights), range=[-0.5, len(nights) - 0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(_name_ticks(sites), range=[len(sites) - 0.5, -0.5], showgrid=False, zeroline=False)
    return figure


def taxa_figure(rates: pd.DataFrame, styles: pd.DataFrame, sites: Sequence[str]) -> go.Figure:
    """Passes per analysed hour of each taxon at each site, on a logarithmic scale of colour.

    Parameters
    ----------
    rates
        One row per taxon and site: ``taxon``, ``site``, ``passes``, ``analysed_h`` (h) and ``passes_per_h`` (missing
        where nothing was analysed).
    styles
        See :func:`taxon_styles`.
    sites
        The order of the columns.
    """
    found = set(rates["taxon"])
    taxa = [taxon for taxon in styles.index if taxon in found]
    rows, columns = ({name: number for number, name in enumerate(names)} for names in (taxa, sites))
    logs: list[list[float | None]] = [[None] * len(sites) for _ in taxa]
    zeros: list[list[int | None]] = [[None] * len(sites) for _ in taxa]
    hover, text = ([[""] * len(sites) for _ in taxa] for _ in range(2))
    for cell in rates.to_dict("records"):
        y, x = rows[cell["taxon"]], columns[cell["site"]]
        where = f"{safe(styles.at[cell['taxon'], 'label'])}<br>{safe(cell['site'])}: "
        if pd.isna(cell["passes_per_h"]):
            hover[y][x] = where + "nothing analysed"
        elif cell["passes"] == 0:
            zeros[y][x], hover[y][x] = 1, f"{where}no pass in {cell['analysed_h']:.2f} h"
        else:
            logs[y][x] = round(math.log10(cell["passes_per_h"]), 4)
            text[y][x] = safe(rate_text(cell["passes_per_h"]))
            hover[y][x] = (
                f"{where}{cell['passes']} passes in {cell['analysed_h']:.2f} h, {safe(rate_text(cell['passes_per_h']))} per h"
            )
    low = math.floor(min((value for row in logs for value in row if value is not None), default=0.0))
    high = max(math.ceil(max((value for row in logs for value in row if value is not None), default=0.0)), low + 1)
    decades = list(range(low, high + 1))
    figure = go.Figure(
        [
            _plain_cells(zeros, "white", hover, name="zero", xgap=1, ygap=1),
            go.Heatmap(
                z=logs, zmin=low, zmax=high, colorscale=SCALE, hovertext=hover, hoverinfo="text", hoverongaps=False, xgap=1,
                ygap=1, text=text, texttemplate="%{text}" if len(sites) <= 15 else "", textfont={"size": 11}, name="rate",
                colorbar=_colour_bar("passes per h (log scale)", decades, [f"{10.0**decade:g}" for decade in decades]),
            ),
            _legend_entry("analysed, not found", "square", "white"),
            _legend_entry("nothing analysed", "square", GAP_COLOUR),
        ]
    )  # fmt: skip
    labels = [str(styles.at[taxon, "label"]) for taxon in taxa]
    longest = max((len(site) for site in sites), default=0)
    slanted = len(sites) * longest >= 80
    height = 90 + max(24 * len(taxa), 130) + (20 + 6 * min(longest, 28) if slanted else 20)
    figure.update_layout(_layout(height, margin=_room_for(labels), plot_bgcolor=GAP_COLOUR, legend=_legend_above()))
    figure.update_xaxes(
        _name_ticks(sites), range=[-0.5, len(sites) - 0.5], showgrid=False, zeroline=False,
        tickangle=-60 if slanted else 0, automargin=True,
    )  # fmt: skip
    figure.update_yaxes(_name_ticks(labels), range=[len(taxa) - 0.5, -0.5], showgrid=False, zeroline=False)
    return figure


def nightly_figure(
    activity: pd.DataFrame, states: pd.DataFrame, styles: pd.DataFrame, nights: Sequence[str], *, per_hour: bool
) -> go.Figure:
    """Passes night by night, stacked by taxon, above the hours that were analysed.

    Parameters
    ----------
    activity
        Columns ``night``, ``taxon`` and ``passes``, at most one row per night and taxon.
    states
        One row per night: ``night``, ``state``, ``files``, ``recorded_h``, ``analysed_h`` (h) and ``passes``.
    styles
        See :func:`taxon_styles`.
    nights
        The order of the nights.
    per_hour
        Draw passes per analysed hour, not passes.
    """
    by_night = states.set_index("night").reindex(list(nights))
    width = 0.9 if len(nights) > 6 else 0.6
    hours = by_night["analysed_h"].to_numpy(float)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05)
    x = list(range(len(nights)))
    counts = activity.pivot_table(index="taxon", columns="night", values="passes", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=list(nights), fill_value=0)
    drawn = [taxon for taxon in styles.index if taxon in counts.index and counts.loc[taxon].sum() > 0]
    for taxon in drawn:
        passes = counts.loc[taxon].to_numpy(int)
        height = (
            np.divide(passes, hours, out=np.zeros(len(nights)), where=hours > 0) if per_hour else passes.astype(float)
        )
        label = safe(styles.at[taxon, "label"])
        hover = [
            f"{label}<br>{night_text(night)}: {count} passes in {hour:.2f} h"
            for night, count, hour in zip(nights, passes, hours, strict=True)
        ]
        figure.add_trace(
            go.Bar(
                x=x, y=[round(float(value), 4) for value in height], name=label, hovertext=hover, hoverinfo="text",
                marker=_bar_marker(styles, taxon), width=width,
            ),
            row=1, col=1,
        )  # fmt: skip
    figure.add_trace(
        go.Bar(
            x=x, y=[round(float(value), 3) for value in hours], name="hours analysed", showlegend=False, width=width,
            hovertext=[f"{night_text(row.Index)}<br>{_state_text(row._asdict())}" for row in by_night.itertuples()],
            hoverinfo="text", marker={"color": "#8a97a8"},
        ),
        row=2, col=1,
    )  # fmt: skip
    state = by_night["state"].tolist()
    marks = {name: [(0, at) for at in x if state[at] == name] for name in (FAILED, ZERO)}
    for trace in _state_marks(marks, max(5, min(10, 700 // max(len(nights), 1))), gap=GAP in state):
        figure.add_trace(trace, row=1, col=1)
    for first, last in _runs([value == GAP for value in state]):
        figure.add_shape(
            type="rect", x0=first - 0.5, x1=last + 0.5, y0=0, y1=1, xref="x", yref="paper", line={"width": 0},
            fillcolor=GAP_COLOUR, layer="below", name=GAP,
        )  # fmt: skip
    figure.update_layout(
        _layout(
            max(430, 130 + 21 * (len(drawn) + 3)), margin={"l": 70, "r": 20, "t": 20, "b": 60}, barmode="stack",
            legend={"traceorder": "normal", "font": {"size": 12}},
        )
    )  # fmt: skip
    figure.update_xaxes(range=[-0.5, len(nights) - 0.5], showgrid=False, zeroline=False)
    figure.update_xaxes(_night_ticks(nights), row=2, col=1)
    figure.update_yaxes(gridcolor="#e5e5e5", rangemode="tozero", zerolinecolor="#888")
    figure.update_yaxes(title="Passes per analysed hour" if per_hour else "Passes", row=1, col=1)
    figure.update_yaxes(title="h analysed", nticks=4, row=2, col=1)
    return figure


def clock_figure(
    passes: pd.DataFrame, states: pd.DataFrame, nights: Sequence[str], sun: pd.DataFrame, *, bin_h: float, per: str
) -> go.Figure:
    """Passes by time of night, one row per night from noon to noon.

    The tables tell how long a night was recorded, not from when to when. So a cell without a pass is white, whatever the
    reason, and only whole nights are told apart: no recording is grey, a failed night orange.

    Parameters
    ----------
    passes
        Columns ``night`` and ``hour``, the local time of a pass in hours after noon, 0 to 24.
    states
        One row per night: ``night``, ``state`` and ``sites``, how many were analysed: passes are divided by it.
    nights
        The order of the rows.
    sun
        Columns ``night``, ``sunset`` and ``sunrise``, hours after noon; may have no row.
    bin_h
        Width of a cell, h.
    per
        What passes are divided by, in words; empty for one site.
    """
    bins = round(HOURS_PER_NIGHT / bin_h)
    row = {night: number for number, night in enumerate(nights)}
    counts = np.zeros((len(nights), bins), int)
    known = passes[passes["night"].isin(list(row))]
    np.add.at(
        counts,
        (
            known["night"].map(row).to_numpy(int),
            np.clip(known["hour"].to_numpy(float) / bin_h, 0, bins - 1).astype(int),
        ),
        1,
    )
    by_night = states.set_index("night").reindex(list(nights))
    analysed = by_night["state"].isin([ZERO, BATS]).to_numpy()
    shares = counts / np.maximum(by_night["sites"].to_numpy(float), 1)[:, None]
    # the root keeps single passes visible beside the busiest quarter of an hour
    roots = [[round(math.sqrt(v), 4) if v else None for v in line] for line in shares]
    blank = [[None if v or not ok else 1 for v in line] for line, ok in zip(counts, analysed, strict=True)]
    state = by_night["state"].tolist()
    failed = [[1 if state[y] == FAILED else None] * bins for y in range(len(nights))]
    x = [(b + 0.5) * bin_h for b in range(bins)]
    hover = [
        [
            f"{night_text(night)}, {clock_text(b * bin_h)} to {clock_text((b + 1) * bin_h)}<br>"
            + (f"{counts[y, b] or 'no'} passes" if analysed[y] else STATES[str(by_night["state"].iloc[y])])
            for b in range(bins)
        ]
        for y, night in enumerate(nights)
    ]
    most = float(shares.max(initial=0))
    ticks = _nice_ticks(most)
    row_height = max(4, min(26, 1100 // max(len(nights), 1)))
    gap = 1 if row_height > 8 else 0
    figure = go.Figure(
        [
            _plain_cells(blank, "white", hover, name="blank", x=x, ygap=gap),
            _plain_cells(failed, FAILED_COLOUR, hover, name="failed", x=x, ygap=gap),
            go.Heatmap(
                x=x, z=roots, zmin=0, zmax=math.sqrt(most) or 1, colorscale=SCALE, hovertext=hover, hoverinfo="text",
                hoverongaps=False, ygap=gap, name="passes", showscale=most > 0,
                colorbar=_colour_bar(f"passes{per}", [math.sqrt(tick) for tick in ticks], [f"{tick:g}" for tick in ticks]),
            ),
        ]
    )  # fmt: skip
    marks = {name: [(y, 0) for y in range(len(nights)) if state[y] == name] for name in (FAILED, ZERO)}
    for trace in _state_marks(marks, max(4, min(9, row_height - 2)), x=0.35, gap=GAP in state):
        figure.add_trace(trace)
    figure.add_trace(_legend_entry("no pass, or not recorded then", "square", "white"))
    for name, dash in (("sunset", "solid"), ("sunrise", "dot")):
        known_sun = sun[sun[name].notna() & sun["night"].isin(list(row))] if len(sun) else sun
        if len(known_sun):
            # from edge to edge of each row, so that a single night has a line too
            edges = [row[night] + half for night in known_sun["night"] for half in (-0.5, 0.5)]
            hours = known_sun[name].round(3).repeat(2).tolist()
            figure.add_trace(
                go.Scatter(
                    x=hours, y=edges, mode="lines", line={"color": INK, "width": 1.5, "dash": dash}, name=name,
                    hoverinfo="text", hovertext=[f"{name} {clock_text(hour)}" for hour in hours],
                )
            )  # fmt: skip
    figure.update_layout(
        _layout(max(290, 150 + row_height * len(nights)), margin={"l": 100, "r": 20, "t": 40, "b": 50}, plot_bgcolor=GAP_COLOUR,
                legend=_legend_above())
    )  # fmt: skip
    hours = list(range(0, HOURS_PER_NIGHT + 1, 3))
    figure.update_xaxes(
        title="Local time", range=[0, HOURS_PER_NIGHT], tickvals=hours, ticktext=[clock_text(h) for h in hours],
        showgrid=False, zeroline=False, ticks="outside",
    )  # fmt: skip
    figure.update_yaxes(
        _night_ticks(nights, 40), title=None, range=[len(nights) - 0.5, -0.5], showgrid=False, zeroline=False,
    )  # fmt: skip
    return figure


def taxa_clock_figure(passes: pd.DataFrame, styles: pd.DataFrame) -> go.Figure:
    """Passes in each hour of the night, all nights together, stacked by taxon.

    Parameters
    ----------
    passes
        Columns ``taxon`` and ``hour``, the local time of a pass in hours after noon, 0 to 24.
    styles
        See :func:`taxon_styles`.
    """
    bins = passes["hour"].astype(int).clip(0, HOURS_PER_NIGHT - 1)
    counts = pd.crosstab(passes["taxon"], bins).reindex(columns=range(HOURS_PER_NIGHT), fill_value=0)
    drawn = [taxon for taxon in styles.index if taxon in counts.index]
    figure = go.Figure(
        [
            go.Bar(
                x=[hour + 0.5 for hour in range(HOURS_PER_NIGHT)], y=counts.loc[taxon].tolist(), width=0.92,
                name=safe(styles.at[taxon, "label"]), marker=_bar_marker(styles, taxon), hoverinfo="text",
                hovertext=[
                    f"{safe(styles.at[taxon, 'label'])}<br>{clock_text(hour)} to {clock_text(hour + 1)}: {count} passes"
                    for hour, count in counts.loc[taxon].items()
                ],
            )
            for taxon in drawn
        ]
    )  # fmt: skip
    figure.update_layout(
        _layout(
            max(360, 110 + 21 * len(drawn)), margin={"l": 70, "r": 20, "t": 20, "b": 50}, barmode="stack",
            legend={"traceorder": "normal", "font": {"size": 12}},
        )
    )  # fmt: skip
    hours = list(range(0, HOURS_PER_NIGHT + 1, 3))
    figure.update_xaxes(
        title="Local time", range=[0, HOURS_PER_NIGHT], tickvals=hours, ticktext=[clock_text(h) for h in hours],
        showgrid=False, zeroline=False, ticks="outside",
    )  # fmt: skip
    figure.update_yaxes(title="Passes", gridcolor="#e5e5e5", rangemode="tozero", zerolinecolor="#888")
    return figure


def night_text(night: str) -> str:
    """A night for people.

    Examples
    --------
    >>> night_text("2024-06-01")
    '1 Jun 2024'
    """
    day = date.fromisoformat(night)
    return f"{day.day} {day:%b} {day.year}"


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


def _plain_cells(
    cells: list[list[int | None]], colour: str, hover: list[list[str]], *, name: str, **more: Any
) -> go.Heatmap:
    """Cells of one colour where there is a number, nothing elsewhere."""
    return go.Heatmap(
        z=cells, colorscale=[[0, colour], [1, colour]], showscale=False, hovertext=hover, hoverinfo="text",
        hoverongaps=False, name=name, **more,
    )  # fmt: skip


def _colour_bar(title: str, at: Sequence[float] | None = None, text: Sequence[str] | None = None) -> dict[str, Any]:
    return {
        "title": {"text": title, "side": "right", "font": {"size": 12}}, "thickness": 12, "outlinewidth": 0,
        "tickvals": at, "ticktext": text,
    }  # fmt: skip


def _state_text(cell: dict[Any, Any]) -> str:
    if cell["state"] == GAP:
        return STATES[GAP]
    return (
        f"{STATES[cell['state']]}<br>{int(cell['files'])} files, {cell['recorded_h']:.2f} h recorded, "
        f"{cell['analysed_h']:.2f} h analysed, {int(cell['passes'])} passes"
    )


def _state_marks(
    marks: dict[str, list[tuple[int, int]]], size: int, *, x: float | None = None, gap: bool = True
) -> list[go.Scatter]:
    """Marks at (row, column) for failed and zero nights, and the words for them and for gaps."""
    looks = {
        FAILED: ("square-x", FAILED_COLOUR, "white"),
        ZERO: ("circle", "white", INK),
    }
    traces = [
        go.Scatter(
            x=[column if x is None else x for _, column in places], y=[line for line, _ in places], mode="markers",
            marker={"symbol": looks[state][0], "color": looks[state][1], "size": size, "line": {"color": looks[state][2], "width": 1.2}},
            name=STATES[state], hoverinfo="skip", cliponaxis=False,
        )
        for state, places in marks.items()
        if places
    ]  # fmt: skip
    return [*traces, _legend_entry(STATES[GAP], "square", GAP_COLOUR)] if gap else traces


def _legend_entry(name: str, symbol: str, colour: str) -> go.Scatter:
    """A line of the legend for what is no trace: the colour of empty cells."""
    marker = {"symbol": symbol, "color": colour, "size": 11, "line": {"color": "#888", "width": 1}}
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip")


def _bar_marker(styles: pd.DataFrame, taxon: str) -> dict[str, Any]:
    marker: dict[str, Any] = {"color": styles.at[taxon, "colour"], "line": {"color": "white", "width": 0.5}}
    if styles.at[taxon, "pattern"]:
        marker["pattern"] = {
            "shape": styles.at[taxon, "pattern"], "size": 6, "fgcolor": "white", "solidity": 0.25, "fillmode": "overlay",
        }  # fmt: skip
    return marker


def _layout(height: int, **more: Any) -> dict[str, Any]:
    return {
        "template": "none", "height": height, "autosize": True, "hovermode": "closest", "dragmode": False, "showlegend": True,
        "font": {"family": FONT, "size": 13, "color": INK}, "paper_bgcolor": "white",
        "hoverlabel": {"bgcolor": "white", "font": {"family": FONT, "size": 13, "color": INK}}, "bargap": 0.1, **more,
    }  # fmt: skip


def _legend_above() -> dict[str, Any]:
    return {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left", "font": {"size": 12}}


def _room_for(labels: Sequence[str]) -> dict[str, int]:
    return {"l": min(max((len(label) for label in labels), default=0), 28) * 7 + 24, "r": 20, "t": 50, "b": 60}


def _name_ticks(names: Sequence[str]) -> dict[str, Any]:
    short = [name if len(name) <= 28 else name[:27] + "…" for name in names]
    return {"tickvals": list(range(len(names))), "ticktext": [safe(name) for name in short]}


def _night_ticks(nights: Sequence[str], most: int = 14) -> dict[str, Any]:
    """Ticks at evenly spaced nights; the year stands in the title where all have the same."""
    step = -(-len(nights) // most) or 1
    years = sorted({night[:4] for night in nights})
    shown = [night_text(night) for night in nights[::step]]
    if len(years) == 1:
        shown = [text.rsplit(" ", 1)[0] for text in shown]
    return {
        "tickvals": list(range(0, len(nights), step)), "ticktext": shown,
        "ticks": "outside", "automargin": True,
        "title": f"Night (date of the evening), {years[0]}" if len(years) == 1 else "Night (date of the evening)",
    }  # fmt: skip


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of every run of true.

    Examples
    --------
    >>> _runs([True, False, True, True])
    [(0, 0), (2, 3)]
    """
    runs: list[tuple[int, int]] = []
    for at, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == at - 1:
            runs[-1] = (runs[-1][0], at)
        elif flag:
            runs.append((at, at))
    return runs


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
    if most <= 0:
        return [0.0]
    ticks = {_nice_below(most * share) for share in (0.07, 0.25, 0.57, 1.0)}
    return [0.0, *sorted(ticks)]
