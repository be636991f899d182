"""The page of an evaluation: one HTML file that needs nothing else to be read.

Every text that comes from outside is escaped: by jinja2 in the page, by :func:`safe` in figures, for plotly reads some HTML.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from batpam.models.files import Taxon
from batpam.reports.figures import FONT, safe
from batpam.training.evaluation.finding import BAT, GIVEN_BAT, SPECIES
from batpam.training.evaluation.naming import MISSED, NOT_A_BAT, NOT_NAMED, RIGHT, TOO_HIGH, WRONG

FEW_EVENTS = 10
"""A taxon with fewer events is named among the limits."""

FEW_RECORDINGS = 5
"""An interval over fewer recordings says little."""

LISTED = 50
"""Rows that a list on the page has at most; the CSV has them all."""

INK, SOFT, GRID = "#1a1a1a", "#767676", "#e5e5e5"
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of Okabe and Ito's palette, which people with any kind of colour blindness can tell apart."""

SCALE = [[0.0, "#ffffff"], [0.02, "#e6f0f8"], [0.5, "#4b93c4"], [1.0, "#08306b"]]
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtons": [["toImage"]],
               "toImageButtonOptions": {"scale": 2}}  # fmt: skip
KINDS = {
    RIGHT: ("right", BLUE, ""),
    TOO_HIGH: ("right, but coarser than the label", "#56B4E9", "/"),
    NOT_NAMED: ("not named", "#c4c4c4", ""),
    WRONG: ("wrong", ORANGE, "x"),
}
"""What a name can be: words, colour and pattern."""

DIAGRAMS = {
    BAT: "Detection score: is it a bat?",
    SPECIES: "Class score: is it a bat of this species?",
    GIVEN_BAT: "Class score over detection score: of the bats, is it this species?",
}
"""Reliability diagrams: the probability and the question it answers."""

CSV_FILES = {
    "events": "every annotated event: whether it was found, by which detection, and what it was taken for",
    "detections": "every detection in exhaustively annotated recordings, and the event that it is of",
    "thresholds": "precision, recall and F1 at each threshold, of all bats, groups and species",
    "operating_points": "recall at the precision asked for, and the best F1",
    "average_precision": "average precision of all bats, groups and species, and the means",
    "confusion": "what events were taken for, by species and by group",
    "names": "how many names are right, too coarse and wrong",
    "files": "labels of each file, and the species and group that its detections sum up to",
    "presence": "whether the highest score in a file tells that a taxon is there",
    "calibration": "the bins of the reliability diagrams",
    "snr": "recall and species by signal-to-noise ratio",
    "call_types": "feeding buzzes and social calls",
}
"""What each table beside the page holds."""


def page(summary: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], curve: pd.DataFrame, taxa: Sequence[Taxon]) -> str:  # fmt: skip
    """The page of an evaluation.

    Parameters
    ----------
    summary, tables
        As :func:`batpam.training.evaluation.evaluate.evaluate` writes them.
    curve
        ``threshold``, ``precision`` and ``recall`` of any bat.
    taxa
        The classes of the model.
    """
    least = summary["settings"]["min_score"]
    overall = tables["thresholds"].query("rank == 'order'")
    at_score = tables["thresholds"][tables["thresholds"]["threshold"] == least].set_index("taxon")
    taxon_rows = _taxon_rows(tables, at_score)
    confused = {rank: _matrix(tables["confusion"], rank) for rank in ("species", "group")}
    plots = {}
    if len(curve) and summary["data"]["bat_events"] and curve["precision"].notna().any():
        plots["finding"] = _plot("finding", finding_figure(curve, overall))
    with_ap = [row for row in taxon_rows if not math.isnan(row["average_precision"])]
    if with_ap:
        plots["taxa"] = _plot("taxa", taxa_figure(with_ap))
    for rank, matrix in confused.items():
        if matrix.to_numpy().any():
            plots[rank] = _plot(f"confusion-{rank}", confusion_figure(matrix))
    named = tables["names"][tables["names"]["found"] > 0]
    if len(named):
        plots["names"] = _plot("names", names_figure(named))
    if tables["calibration"]["number"].any():
        plots["calibration"] = _plot("calibration", calibration_figure(tables["calibration"]))
    snr = tables["snr"]
    if snr["low_db"].notna().any():
        plots["snr"] = _plot("snr", snr_figure(snr[snr["low_db"].notna()]))
    counts = summary["data"]["events_by_species"]
    wrong = tables["files"].query("species_right == 'wrong' or group_right == 'wrong'")
    context = {
        **summary,
        "few_events": FEW_EVENTS,
        "few_recordings": FEW_RECORDINGS,
        "overall": overall.to_dict("records"),
        "taxon_rows": taxon_rows,
        "confusions": _confusions(tables["confusion"]),
        "named": named.to_dict("records"),
        "kinds": {kind: words for kind, (words, _, _) in KINDS.items()},
        "wrong_files": wrong.head(LISTED).to_dict("records"),
        "wrong_files_more": max(len(wrong) - LISTED, 0),
        "presence": tables["presence"].query("present > 0").to_dict("records"),
        "diagrams": DIAGRAMS,
        "snr": snr.to_dict("records"),
        "call_types": tables["call_types"].to_dict("records"),
        "without_events": [taxon.species for taxon in taxa if not counts[taxon.species]],
        "with_few_events": [(name, number) for name, number in counts.items() if 0 < number < FEW_EVENTS],
        "csv_files": CSV_FILES,
        "listed": LISTED,
        "plots": plots,
        "plotlyjs": Markup(get_plotlyjs()),
    }
    text = _template().render(context) + "\n"
    # a file name can hold what is no Unicode
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("batpam.training.evaluation", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(share=share_text, estimate=estimate_text, number=number_text, decibels=decibel_text)
    return environment.get_template("evaluation.html.j2")


def _taxon_rows(tables: Mapping[str, pd.DataFrame], at_score: pd.DataFrame) -> list[dict[str, Any]]:
    """Groups and species that have an event or a claim, groups first: measures of all kinds side by side."""
    average = tables["average_precision"].rename(
        columns={"recordings": "recordings_matched", "events": "events_matched"}
    )
    average = average[average["taxon"] != ""].drop(columns=["rank", "classes"]).set_index("taxon")
    points = tables["operating_points"].set_index("taxon")
    columns = [name for name in points if name not in at_score]
    rows = at_score.join(points[columns]).join(average).reset_index()
    rows = rows[(rows["rank"] != "order") & ((rows["events"] > 0) | (rows["detections"] > 0))]
    return rows.to_dict("records")


def _matrix(confusion: pd.DataFrame, rank: str) -> pd.DataFrame:
    """Counts of a rank, true in rows, without taxa that neither are there nor are claimed."""
    part = confusion[confusion["rank"] == rank]
    rows, columns = (list(dict.fromkeys(part[name])) for name in ("true", "predicted"))
    table = part.pivot(index="true", columns="predicted", values="number").reindex(index=rows, columns=columns)
    table = table.fillna(0).astype(int)
    used = [name for name in rows if name != NOT_A_BAT and (table.loc[name].sum() or table[name].sum())]
    return table.loc[[*used, NOT_A_BAT], [*used, MISSED]]


def _confusions(confusion: pd.DataFrame) -> list[dict[str, Any]]:
    """The pairs of species that are confused most often."""
    part = confusion[(confusion["rank"] == "species") & (confusion["true"] != confusion["predicted"])]
    part = part[(part["predicted"] != MISSED) & (part["true"] != NOT_A_BAT) & (part["number"] > 0)]
    of = (
        confusion[(confusion["rank"] == "species") & (confusion["predicted"] != MISSED)].groupby("true")["number"].sum()
    )
    rows = part.sort_values("number", ascending=False, kind="stable").head(10)
    return rows.assign(found=rows["true"].map(of)).to_dict("records")


def finding_figure(curve: pd.DataFrame, overall: pd.DataFrame) -> go.Figure:
    """Precision over recall, and both over the threshold, with intervals at some thresholds."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    there = curve.dropna()
    line = go.Scatter(
        x=_numbers(there["recall"]), y=_numbers(there["precision"]), mode="lines", line={"color": INK, "width": 2},
        showlegend=False, hoverinfo="text",
        hovertext=[f"score {row.threshold:.2f}: recall {row.recall:.3f}, precision {row.precision:.3f}" for row in there.itertuples()],
    )  # fmt: skip
    figure.add_trace(line, row=1, col=1)
    points = go.Scatter(
        x=_numbers(overall["recall"]), y=_numbers(overall["precision"]), mode="markers+text", showlegend=False,
        text=[f"{at:g}" for at in overall["threshold"]], textposition="bottom left", hoverinfo="skip", cliponaxis=False,
        marker={"color": INK, "size": 8},
    )  # fmt: skip
    figure.add_trace(points, row=1, col=1)
    for name, colour, dash in (("recall", BLUE, "solid"), ("precision", ORANGE, "dash")):
        lines = go.Scatter(
            x=_numbers(curve["threshold"]), y=_numbers(curve[name]), mode="lines", name=name, hoverinfo="skip",
            line={"color": colour, "width": 2, "dash": dash},
        )  # fmt: skip
        figure.add_trace(lines, row=1, col=2)
        shift = -0.004 if name == "recall" else 0.004
        marks = _with_interval(overall["threshold"] + shift, overall, name, colour, name)
        figure.add_trace(marks, row=1, col=2)
    figure.update_layout(_layout(400), legend={"x": 0.56, "y": 0.05, "yanchor": "bottom", "bgcolor": "rgba(255,255,255,0.8)"})  # fmt: skip
    figure.update_xaxes(range=[-0.01, 1.02], gridcolor=GRID, zeroline=False)
    figure.update_yaxes(range=[-0.02, 1.03], gridcolor=GRID, zeroline=False)
    figure.update_xaxes(title="Recall", row=1, col=1).update_yaxes(title="Precision", row=1, col=1)
    return figure.update_xaxes(title="Detection score from which a call counts", row=1, col=2)


def _with_interval(x: pd.Series, rows: pd.DataFrame, name: str, colour: str, words: str, symbol: str = "circle") -> go.Scatter:  # fmt: skip
    """Marks with the interval of a measure."""
    value, low, high = (rows[column].to_numpy(float) for column in (name, f"{name}_low", f"{name}_high"))
    return go.Scatter(
        x=_numbers(x), y=_numbers(value), mode="markers", showlegend=False, name=words, hoverinfo="text",
        marker={"color": colour, "size": 8, "symbol": symbol},
        hovertext=[f"{words} {estimate_text({'value': v, 'low': a, 'high': b})}" for v, a, b in zip(value, low, high, strict=True)],
        error_y=_bars(value, low, high, colour),
    )  # fmt: skip


def _bars(value: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> dict[str, Any]:
    up, down = (np.nan_to_num(np.maximum(part, 0)) for part in (high - value, value - low))
    return {"type": "data", "symmetric": False, "array": up.round(4).tolist(), "arrayminus": down.round(4).tolist(),
            "color": colour, "thickness": 1.5, "width": 4}  # fmt: skip


def taxa_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Average precision of each group and species, with its interval; a hollow mark has few recordings."""
    table = pd.DataFrame(rows)[::-1].reset_index(drop=True)
    figure = go.Figure()
    value, low, high = (table[f"average_precision{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    few = (table["recordings_matched"] < FEW_RECORDINGS).to_numpy()
    for rank, tint in (("group", ORANGE), ("species", BLUE)):
        own = (table["rank"] == rank).to_numpy()
        if not own.any():
            continue
        figure.add_trace(
            go.Scatter(
                x=_numbers(value[own]), y=np.flatnonzero(own).tolist(), mode="markers", name=rank, hoverinfo="text",
                hovertext=[
                    f"{safe(row.taxon)}: {estimate_text({'value': row.average_precision, 'low': row.average_precision_low, 'high': row.average_precision_high})}"
                    f"<br>{row.events_matched} events in {row.recordings_matched} recordings" for row in table[own].itertuples()
                ],
                error_x=_bars(value[own], low[own], high[own], tint), cliponaxis=False,
                marker={"size": 9, "symbol": "square" if rank == "group" else "circle", "line": {"color": tint, "width": 2},
                        "color": ["white" if hollow else tint for hollow in few[own]]},
            )
        )  # fmt: skip
    labels = [f"{safe(row.taxon)} ({row.events_matched})" for row in table.itertuples()]
    figure.update_layout(
        _layout(110 + 24 * len(table)), margin={"l": 235, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        xaxis={"title": "Average precision (one to one)", "range": [-0.02, 1.02], "gridcolor": GRID, "zeroline": False},
        yaxis={"tickvals": list(range(len(table))), "ticktext": labels, "range": [-0.7, len(table) - 0.3],
               "gridcolor": "#f3f3f3", "zeroline": False},
    )  # fmt: skip
    return figure


def confusion_figure(matrix: pd.DataFrame) -> go.Figure:
    """Counts, coloured by their share of the row; the row of false detections has no share of events."""
    counts = matrix.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, columns = ([safe(name) for name in names] for names in (matrix.index, matrix.columns))
    hover = [
        [f"true: {safe(true)}<br>predicted: {safe(taken)}<br>{counts[y, x]} ({share[y, x]:.0%} of the row)"
         for x, taken in enumerate(matrix.columns)] for y, true in enumerate(matrix.index)
    ]  # fmt: skip
    heat = go.Heatmap(
        z=share.round(4).tolist(), x=list(range(len(columns))), y=list(range(len(rows))), zmin=0, zmax=1, xgap=1, ygap=1,
        colorscale=SCALE, hoverinfo="text", hovertext=hover, text=[[str(n) if n else "" for n in line] for line in counts],
        texttemplate="%{text}", textfont={"size": 11},
        colorbar={"title": {"text": "share of the row", "side": "right"}, "thickness": 12, "outlinewidth": 0, "tickformat": ".0%"},
    )  # fmt: skip
    figure = go.Figure(heat)
    line = {"color": SOFT, "width": 1.5}
    figure.add_shape(type="line", x0=-0.5, x1=len(columns) - 0.5, y0=len(rows) - 1.5, y1=len(rows) - 1.5, line=line)
    figure.add_shape(type="line", x0=len(columns) - 1.5, x1=len(columns) - 1.5, y0=-0.5, y1=len(rows) - 0.5, line=line)
    plain = {"showgrid": False, "zeroline": False, "automargin": True}
    return figure.update_layout(
        _layout(210 + 26 * max(len(rows), 4)), margin={"l": 60, "r": 20, "t": 20, "b": 60}, plot_bgcolor="#f4f4f4",
        xaxis={**plain, "title": {"text": "Taken for", "standoff": 12}, "tickvals": list(range(len(columns))), "ticktext": columns, "tickangle": -50},
        yaxis={**plain, "title": {"text": "Annotated", "standoff": 12}, "tickvals": list(range(len(rows))), "ticktext": rows,
               "range": [len(rows) - 0.5, -0.5]},
    )  # fmt: skip


def names_figure(named: pd.DataFrame) -> go.Figure:
    """Shares of names that are right, too coarse, wrong or none, by annotated taxon."""
    table = named[::-1].reset_index(drop=True)
    labels = [f"{safe(row.taxon or 'All bats')} ({row.found})" for row in table.itertuples()]
    figure = go.Figure()
    for kind, (words, colour, pattern) in KINDS.items():
        share = table[f"{kind}_share"].to_numpy(float)
        bars = go.Bar(
            x=_numbers(share), y=list(range(len(table))), orientation="h", name=words, hoverinfo="text",
            hovertext=[f"{label}<br>{words}: {n} ({s:.0%})" for label, n, s in zip(labels, table[kind], share, strict=True)],
            marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "white", "size": 6, "solidity": 0.2, "fillmode": "overlay"}},
        )  # fmt: skip
        figure.add_trace(bars)
    return figure.update_layout(
        _layout(120 + 24 * len(table)), barmode="stack", bargap=0.25, margin={"l": 235, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"title": "Share of the calls that were found", "range": [0, 1], "tickformat": ".0%", "gridcolor": GRID, "zeroline": False},
        yaxis={"tickvals": list(range(len(table))), "ticktext": labels, "range": [-0.6, len(table) - 0.4], "showgrid": False},
    )  # fmt: skip


def calibration_figure(calibration: pd.DataFrame) -> go.Figure:
    """Reliability diagrams side by side, above the number of detections in each bin."""
    figure = make_subplots(
        rows=2, cols=len(DIAGRAMS), row_heights=[0.75, 0.25], vertical_spacing=0.06, horizontal_spacing=0.06,
        shared_xaxes=True,
    )  # fmt: skip
    for column, name in enumerate(DIAGRAMS, start=1):
        rows = calibration[(calibration["probability"] == name) & (calibration["number"] > 0)]
        ideal = go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": SOFT, "dash": "dot", "width": 1.5},
                           hoverinfo="skip", showlegend=False)  # fmt: skip
        figure.add_trace(ideal, row=1, col=column)
        value, low, high = (rows[part].to_numpy(float) for part in ("share", "share_low", "share_high"))
        marks = go.Scatter(
            x=_numbers(rows["mean_score"]), y=_numbers(value), mode="lines+markers", showlegend=False, cliponaxis=False,
            line={"color": BLUE, "width": 1.5}, marker={"size": 7}, error_y=_bars(value, low, high, BLUE), hoverinfo="text",
            hovertext=[f"mean score {row.mean_score:.2f}<br>came true {row.share:.2f} ({row.share_low:.2f} to {row.share_high:.2f})"
                       f"<br>{row.number} detections" for row in rows.itertuples()],
        )  # fmt: skip
        figure.add_trace(marks, row=1, col=column)
        bars = go.Bar(x=_numbers((rows["low"] + rows["high"]) / 2), y=rows["number"].tolist(), width=0.094, hoverinfo="y",
                      marker={"color": "#8a97a8"}, showlegend=False)  # fmt: skip
        figure.add_trace(bars, row=2, col=column)
    figure.update_layout(_layout(430), margin={"l": 70, "r": 20, "t": 20, "b": 55})
    figure.update_xaxes(range=[-0.02, 1.02], gridcolor=GRID, zeroline=False)
    figure.update_yaxes(range=[-0.02, 1.04], gridcolor=GRID, zeroline=False, row=1)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, nticks=3, rangemode="tozero", row=2)
    for column, words in enumerate(("Detection score", "Class score", "Class / detection score"), start=1):
        figure.update_xaxes(title=words, row=2, col=column)
    return figure.update_yaxes(title="Came true", row=1, col=1).update_yaxes(title="Number", row=2, col=1)


def snr_figure(snr: pd.DataFrame) -> go.Figure:
    """Recall and share of species that are right by signal-to-noise ratio, above the number of events."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06)
    middle = (snr["low_db"] + snr["high_db"]) / 2
    for name, words, colour, symbol, shift in (
        ("recall", "found", BLUE, "circle", -0.25), ("species_right_share", "species right, of those found", ORANGE, "diamond", 0.25),
    ):  # fmt: skip
        part = snr.rename(columns={f"species_right{end}": f"species_right_share{end}" for end in ("_low", "_high")})
        marks = _with_interval(middle + shift, part, name, colour, words, symbol)
        marks.update(mode="lines+markers", showlegend=True, line={"color": colour, "width": 1})
        figure.add_trace(marks, row=1, col=1)
    bars = go.Bar(x=_numbers(middle), y=snr["events"].tolist(), width=4.6, marker={"color": "#8a97a8"}, showlegend=False,
                  hoverinfo="y")  # fmt: skip
    figure.add_trace(bars, row=2, col=1)
    figure.update_layout(_layout(400), margin={"l": 70, "r": 20, "t": 40, "b": 55}, legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, zeroline=False, dtick=5)
    figure.update_xaxes(title="Signal-to-noise ratio (dB)", row=2, col=1)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(range=[-0.03, 1.04], title="Share", row=1, col=1)
    return figure.update_yaxes(title="Events", rangemode="tozero", nticks=4, row=2, col=1)


def _numbers(values: Any) -> list[float | None]:
    """Numbers as a figure takes them: rounded, and none where there is none."""
    return [None if math.isnan(value) else round(float(value), 4) for value in values]


def _layout(height: int) -> dict[str, Any]:
    font = {"family": FONT, "size": 13, "color": INK}
    return {
        "template": "none", "height": height, "autosize": True, "hovermode": "closest", "dragmode": False, "font": font,
        "paper_bgcolor": "white", "hoverlabel": {"bgcolor": "white", "font": font},
        "margin": {"l": 70, "r": 20, "t": 20, "b": 60},
    }  # fmt: skip


def _plot(name: str, figure: go.Figure) -> Markup:
    """A figure as HTML, as wide as the page; its id follows from its name, so that the same tables give the same page."""
    drawn = figure.to_dict()
    parts = (drawn["data"], drawn["layout"], PLOT_CONFIG)
    arguments = ",".join([f'"plot-{name}"', *(to_json_plotly(part, engine="json") for part in parts)])
    return Markup(
        f'<div id="plot-{name}" class="plot" style="height:{figure.layout.height}px"></div>\n'
        f"<script>Plotly.newPlot({arguments});</script>"
    )


def share_text(value: float | None) -> str:
    """A share; what is neither nothing nor all never reads as such.

    Examples
    --------
    >>> [share_text(v) for v in (None, 0, 0.0001, 0.877, 0.9999, 1)]
    ['–', '0', '<0.001', '0.877', '>0.999', '1']
    """
    if value is None or math.isnan(value):
        return "–"
    if round(value, 9) in (0, 1):
        return f"{value:.0f}"
    return "<0.001" if value < 0.0005 else ">0.999" if value >= 0.9995 else f"{value:.3f}"


def estimate_text(row: Mapping[str, Any], name: str = "") -> str:
    """A share with its interval.

    Parameters
    ----------
    name
        Of the columns ``name``, ``name_low`` and ``name_high``; of ``value``, ``low`` and ``high`` if left out.

    Examples
    --------
    >>> estimate_text({"value": 0.5, "low": 0.25, "high": 0.75}), estimate_text({"value": None, "low": None, "high": None})
    ('0.500 (0.250 to 0.750)', '–')
    """
    value, low, high = (
        row[key] for key in ((name, f"{name}_low", f"{name}_high") if name else ("value", "low", "high"))
    )
    text = share_text(value)
    return (
        text if text == "–" or low is None or math.isnan(low) else f"{text} ({share_text(low)} to {share_text(high)})"
    )


def number_text(number: int, one: str, many: str | None = None) -> str:
    """A number and its noun.

    Examples
    --------
    >>> number_text(1, "recording"), number_text(12345, "species", "species")
    ('1 recording', '12,345 species')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def decibel_text(row: Mapping[str, Any]) -> str:
    """Limits of a bin.

    Examples
    --------
    >>> decibel_text({"low_db": -5.0, "high_db": 0.0}), decibel_text({"low_db": float("nan"), "high_db": 0})
    ('−5 to 0 dB', 'not known')
    """
    text = f"{row['low_db']:g} to {row['high_db']:g} dB"
    return "not known" if math.isnan(row["low_db"]) else text.replace("-", "−")
