import json
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from batpam.activity.passes import BUZZ_CALLS, SOCIAL_CALLS
from batpam.errors import UserError
from batpam.models.calibration import Calibration
from batpam.models.files import ModelCard, Taxon
from batpam.models.settings import NetworkSettings
from batpam.reports.figures import taxon_styles
from batpam.reports.pages import report_site, report_survey
from batpam.scalograms.settings import ScalogramSettings
from batpam.survey import Deployment
from batpam.tables import ACTIVITY, LEDGER, NIGHTS, PASSES, RECORDER_NIGHTS, provenance, read_table, write_table

PLOTLYJS = get_plotlyjs()
TAXA = (
    Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus high", "Vespertilionidae"),
    Taxon("Ppyg", "Pipistrellus pygmaeus", "Soprano pipistrelle", "Pipistrellus high", "Vespertilionidae"),
    Taxon("Nnoc", "Nyctalus noctula", "Common noctule", "Nyctaloid", "Vespertilionidae"),
    Taxon("Mdau", "Myotis daubentonii", "Daubenton's bat", "Myotis", "Vespertilionidae"),
    Taxon("Mnat", "Myotis nattereri", "Natterer's bat", "Myotis", "Vespertilionidae"),
    Taxon("Rhip", "Rhinolophus hipposideros", "Lesser horseshoe bat", "Rhinolophus", "Rhinolophidae"),
)
RANKS = {name: (group, rank) for group, rank, name in (
    *((t.group, "species", t.species) for t in TAXA), *((t.group, "group", t.group) for t in TAXA),
    *((t.family, "family", t.family) for t in TAXA),
)}  # fmt: skip
CARD = ModelCard(
    "europe",
    TAXA,
    ScalogramSettings(),
    NetworkSettings(classes=8),
    Calibration(),
    {"data": "simulated calls and soundscapes only"},
    {},
)
SETTINGS = {
    "model": "europe",
    "min_score": 0.3,
    "min_taxon_score": 0.5,
    "thresholds": {"Myotis": 0.8},
    "gap": 1.0,
    "min_calls": 2,
}
ORCHARD = Deployment("orchard", 51.5, -2.6, "Europe/London", "data/orchard")
POND = Deployment("pond", 47.4, 8.5, "Europe/Zurich", "data/pond", recorder="A")


def night_row(site: str, night: str | None, analysed: float, excluded: float = 0.0, files: int = 4) -> dict[str, Any]:
    sun = night and {"sunset_utc": f"{night}T20:15:00Z", "sunrise_utc": f"{night}T23:59:00Z"}
    return {
        **dict.fromkeys(NIGHTS.names),
        **({name: pd.Timestamp(when) for name, when in sun.items()} if sun else {}),
        "site": site,
        "night": night,
        "state": "valid" if analysed else "failed",
        "reasons": "" if analysed else "excluded",
        "files": files,
        "files_excluded": 0 if analysed else files,
        "recorded_h": analysed + excluded,
        "analysed_h": analysed,
        "excluded_h": excluded,
        "dark_h": 7.5 if sun else None,
        "analysed_dark_h": min(analysed, 7.5) if sun else None,
    }


def pass_row(
    site: str, night: str | None, start: str | None, taxon: str, path: str = "a.wav", **more: Any
) -> dict[str, Any]:
    group, rank = RANKS.get(taxon, (taxon, "order"))
    return {
        "site": site,
        "recorder": "1",
        "night": night,
        "taxon": taxon,
        "group": group,
        "rank": rank,
        "start_utc": pd.Timestamp(start) if start else None,
        "duration_s": 1.0,
        "calls": 6,
        "named_calls": 6,
        "buzz_calls": 0,
        "social_calls": 0,
        "files": 1,
        "mean_peak_hz": 46_000.0,
        "mean_score": 0.8,
        "best_path": path,
        "best_start_s": 61.25,
        "best_file_s": 61.25,
        **more,
    }


def excluded_row(
    site: str, path: str, reason: str = "unreadable", detail: str = "", seconds: float = 0.0, **more: Any
) -> dict[str, Any]:
    return {
        "site": site,
        "recorder": "1",
        "night": None,
        "recording": path,
        "path": path,
        "state": "excluded",
        "reason": reason,
        "detail": detail,
        "start_sample": 0,
        "samples": 0,
        "start_s": 0.0,
        "duration_s": seconds,
        "size_bytes": 1,
        **more,
    }


def stretch(
    site: str, night: str, start: str, hours: float, state: str = "analysed", recorder: str = "1"
) -> dict[str, Any]:
    """A stretch of the ledger that tells its time."""
    more = {"night": night, "start_utc": pd.Timestamp(start), "state": state, "recorder": recorder}
    return excluded_row(site, f"{recorder}_{start}.wav", seconds=hours * 3600, **more)


def activity_rows(nights: Sequence[dict[str, Any]], passes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the activity stage makes of passes: a row per analysed night and taxon of the site, zeros too.

    Where the recorder had failed, what was not found is missing and no zero.
    """
    rows = []
    for night in nights:
        here = [p for p in passes if p["site"] == night["site"]]
        for taxon in sorted({p["taxon"] for p in here}):
            example = next(p for p in here if p["taxon"] == taxon)
            found = [p for p in here if p["taxon"] == taxon and p["night"] == night["night"]]
            if night["analysed_h"]:
                row = {name: example[name] for name in ("site", "taxon", "group", "rank")}
                row |= {name: night[name] for name in ("night", "state", "analysed_h")}
                known = night["state"] != "failed" or found
                counts = (
                    {
                        "calls": sum(p["calls"] for p in found),
                        "passes": len(found),
                        "passes_with_buzz": sum(p["buzz_calls"] >= BUZZ_CALLS for p in found),
                        "passes_with_social": sum(p["social_calls"] >= SOCIAL_CALLS for p in found),
                        "minutes": len(found),
                        "files_with_taxon": len(found),
                        "passes_per_h": len(found) / night["analysed_h"],
                        "minutes_per_h": len(found) / night["analysed_h"],
                    }
                    if known
                    else {}
                )
                rows.append(row | counts)
    return rows


class Survey:
    """Tables of a small survey on disk."""

    def __init__(
        self,
        folder: Path,
        nights: Sequence[dict[str, Any]] = (),
        passes: Sequence[dict[str, Any]] = (),
        excluded: Sequence[dict[str, Any]] = (),
        recorded: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        origin = provenance("activity", **SETTINGS)
        if recorded is None:
            dated = [row for row in nights if row["night"] and row["analysed_h"]]
            recorded = [
                stretch(row["site"], row["night"], f"{row['night']}T20:00:00Z", row["analysed_h"]) for row in dated
            ]
        self.activity, self.ledger, self.folder = folder / "activity", folder / "ledger.parquet", folder
        write_table(nights, NIGHTS, self.activity / "nights.parquet", origin)
        write_table(passes, PASSES, self.activity / "passes.parquet", origin)
        write_table(activity_rows(nights, passes), ACTIVITY, self.activity / "activity.parquet", origin)
        write_table([*recorded, *excluded], LEDGER, self.ledger, origin)
        self.health = folder / "health.parquet"
        health = [
            dict.fromkeys(RECORDER_NIGHTS.names)
            | {
                "recorder": "1",
                "detail": "",
                "noise_15_30_db": -110.0 + number,
                "usable_dark_h": row["analysed_dark_h"],
            }
            | {name: row[name] for name in ("site", "night", "state", "reasons", "analysed_h")}
            for number, row in enumerate(nights)
        ]
        write_table(health, RECORDER_NIGHTS, self.health, origin)

    def survey_page(self, *deployments: Deployment, title: str = "Valley", card: ModelCard = CARD) -> str:
        output = self.folder / "report" / "index.html"
        report_survey(self.activity, self.ledger, self.health, deployments, card, output, title=title)
        return output.read_text()

    def site_page(self, deployment: Deployment = ORCHARD, title: str = "Valley") -> str:
        output = self.folder / "report" / "sites" / f"{deployment.recorder}.html"
        report_site(self.activity, self.ledger, self.health, deployment, CARD, output, title=title)
        return output.read_text()


class Page(HTMLParser):
    """Tags, resources and text of a page, without its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.resources: list[str] = []
        self.words: list[str] = []
        self.feed(page.replace(PLOTLYJS, ""))
        self.text = " ".join(" ".join(self.words).replace("\xa0", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.resources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words.append(data)


def figure(page: str, name: str) -> dict[str, Any]:
    """Traces by name, and the layout, of a figure in a page."""
    head = f'Plotly.newPlot("plot-{name}",'
    data, end = json.JSONDecoder().raw_decode(page, page.index(head) + len(head))
    layout, _ = json.JSONDecoder().raw_decode(page, end + 1)
    return {"layout": layout, **{trace["name"]: trace for trace in data if "name" in trace}}


def quarters(row: Sequence[float | None]) -> list[int]:
    """Places of cells that are drawn."""
    return [at for at, value in enumerate(row) if value is not None]


@pytest.fixture
def valley(tmp_path: Path) -> Survey:
    """Nights with bats, without bats, failed and not recorded; undated and excluded files."""
    nights = [
        night_row("orchard", "2024-06-01", 8.0),
        night_row("orchard", "2024-06-02", 4.0, 2.0),
        night_row("orchard", "2024-06-04", 0.0, 3.0),
        night_row("pond", "2024-06-03", 6.0),
        night_row("pond", None, 0.5, 0.25, files=3),
    ]
    passes = [
        pass_row("orchard", "2024-06-01", "2024-06-01T21:31:00Z", "Pipistrellus pipistrellus"),
        pass_row(
            "orchard", "2024-06-01", "2024-06-02T00:05:00Z", "Pipistrellus pipistrellus", "b.wav", mean_score=0.95
        ),
        pass_row("orchard", "2024-06-01", "2024-06-01T22:10:00Z", "Myotis"),
        pass_row("pond", "2024-06-03", "2024-06-03T21:31:00Z", "Nyctalus noctula"),
        pass_row("pond", None, None, "Chiroptera"),
    ]
    excluded = [
        excluded_row("orchard", "data/orchard/x.wav", "truncated", "10 of 20 samples are there", 7200.0),
        excluded_row("pond", "data/pond/y.wav", "unreadable", "Format not recognised.", 900.0),
        excluded_row("pond", "data/pond/z.wav", "something new"),
    ]
    return Survey(tmp_path, nights, passes, excluded)


def test_a_survey_page_tells_the_key_figures(valley: Survey) -> None:
    text = Page(valley.survey_page(ORCHARD, POND)).text
    assert "From 1 June 2024 to 4 June 2024, 2 sites recorded 23.8 h in 19 files on 4 site-nights" in text
    assert "18.5 h were analysed and 5.2 h excluded" in text
    assert "5 bat passes were found, 3 of them named to 2 species automatically" in text
    assert "Passes are not individuals" in text
    assert "Passes are held against all analysed hours, those of daylight included" in text
    assert "Pass 1 s gap, at least 2 calls" in text
    assert "Score of a name at least 0.5 ( min_taxon_score ); Myotis 0.8" in text
    assert "of calls with 0.8, eight in ten were right there" in text
    assert "no person has checked them" in text
    assert "simulated calls and soundscapes only" in text
    assert "Made by batpam" in text
    assert "model europe" in text


def test_gap_failure_and_zero_never_look_alike(valley: Survey) -> None:
    effort = figure(valley.survey_page(ORCHARD, POND), "effort")
    hours, failed = effort["hours"]["z"], effort["failed"]["z"]
    # nights 1 to 4 June; orchard: bats, no bats, gap, failed; pond: gap, gap, bats, gap
    assert hours == [[8.0, 4.0, None, None], [None, None, 6.0, None]]
    assert failed == [[None, None, None, 1], [None, None, None, None]]
    zeros, failures = effort["analysed, no bat pass"], effort["recorded, not usable"]
    assert list(zip(zeros["x"], zeros["y"], strict=True)) == [(1, 0)]
    assert list(zip(failures["x"], failures["y"], strict=True)) == [(3, 0)]
    assert zeros["marker"]["symbol"] != failures["marker"]["symbol"]
    background = effort["layout"]["plot_bgcolor"]
    assert background not in [colour for _, colour in effort["hours"]["colorscale"] + effort["failed"]["colorscale"]]
    assert effort["no recording"]["marker"]["color"] == background


def test_the_nights_of_a_site_keep_gap_failure_and_zero_apart_too(tmp_path: Path) -> None:
    nights = [night_row("orchard", f"2024-06-0{day}", hours) for day, hours in ((1, 8.0), (2, 4.0), (4, 0.0))]
    passes = [pass_row("orchard", "2024-06-01", "2024-06-01T21:31:00Z", "Nyctalus noctula")]
    failed = excluded_row("orchard", "x.wav", night="2024-06-04", start_utc=pd.Timestamp("2024-06-04T21:10:00Z"))
    page = Survey(tmp_path, nights, passes, [failed]).site_page()
    nightly = figure(page, "nightly")
    assert nightly["Common noctule"]["y"] == [1.0, 0.0, 0.0, 0.0]
    assert nightly["hours analysed"]["y"] == [8.0, 4.0, 0.0, 0.0]
    assert nightly["analysed, no bat pass"]["x"] == [1]
    assert nightly["recorded, not usable"]["x"] == [3]
    assert [(s["x0"], s["x1"]) for s in nightly["layout"]["shapes"]] == [(1.5, 2.5)]
    clock = figure(page, "clock")
    # recorded from 21:00 local time, which is quarter 36 of the night, for 8 and for 4 h; a pass at 22:31
    assert [quarters(row) for row in clock["zero"]["z"]] == [
        [*range(36, 42), *range(43, 68)], list(range(36, 52)), [], [],
    ]  # fmt: skip
    assert [quarters(row) for row in clock["passes"]["z"]] == [[42], [], [], []]
    # a file that cannot be read has no length, and is no gap all the same
    assert [quarters(row) for row in clock["failed"]["z"]] == [[], [], [], [40]]
    text = Page(page).text
    assert "3 June 2024 no recording" in text
    assert "not usable (all of its files were excluded)" in text


def test_a_site_not_analysed_is_no_zero_in_the_rates(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 2.0), night_row("pond", "2024-06-01", 0.0, 1.0)]
    nights.append(night_row("hill", "2024-06-01", 4.0))
    passes = [pass_row("orchard", "2024-06-01", "2024-06-01T21:31:00Z", "Nyctalus noctula")] * 3
    page = Survey(tmp_path, nights, passes).survey_page(ORCHARD, POND)
    taxa = figure(page, "taxa")
    assert taxa["rate"]["z"] == [[0.1761, None, None]]  # 3 passes in 2 h: log10 1.5
    assert taxa["zero"]["z"] == [[None, None, 1]]
    assert "Common noctule 1.50 (3) – 0" in Page(page).text


def test_times_are_local_to_the_site(valley: Survey) -> None:
    z = figure(valley.survey_page(ORCHARD, POND), "clock")["passes"]["z"]
    # 21:31 UTC is 22:31 in London and 23:31 in Zurich; columns are hours from noon
    assert z[0][10] == 1.0
    assert z[2][11] == 1.0
    assert z[2][10] is None


HOUR = [
    night_row("orchard", "2024-06-01", 1.0),
    night_row("orchard", "2024-06-02", 8.0),
]
PASS = pass_row("orchard", "2024-06-02", "2024-06-02T20:31:00Z", "Nyctalus noctula")


def test_a_night_of_one_hour_is_zero_in_it_and_a_gap_outside(tmp_path: Path) -> None:
    recorded = [
        stretch("orchard", "2024-06-01", "2024-06-01T21:00:00Z", 1.0),  # 22:00 to 23:00 local time
        stretch("orchard", "2024-06-02", "2024-06-02T20:00:00Z", 8.0),
    ]
    survey = Survey(tmp_path, HOUR, [PASS], recorded=recorded)
    clock = figure(survey.site_page(), "clock")
    assert quarters(clock["zero"]["z"][0]) == [40, 41, 42, 43]
    assert quarters(clock["passes"]["z"][0]) == []
    assert (
        clock["passes"]["hovertext"][0][40]
        == "1 Jun 2024, 22:00 to 22:15<br>analysed, no bat pass<br>15.0 min analysed, 0 passes"
    )
    assert clock["passes"]["hovertext"][0][39] == "1 Jun 2024, 21:45 to 22:00<br>no recording"
    assert clock["layout"]["plot_bgcolor"] == clock["no recording"]["marker"]["color"] != "white"
    clock = figure(survey.survey_page(ORCHARD), "clock")
    assert quarters(clock["zero"]["z"][0]) == [10]
    taxa = figure(survey.site_page(), "taxa-clock")
    assert taxa["hours analysed"]["y"] == [0.0] * 9 + [1.0, 2.0] + [1.0] * 6 + [0.0] * 7
    assert taxa["Common noctule"]["y"][9] == 1.0
    assert taxa["analysed, no bat pass"]["x"] == list(range(10, 17))
    assert [(s["x0"], s["x1"]) for s in taxa["layout"]["shapes"]] == [(-0.5, 8.5), (16.5, 23.5)]


def test_a_part_of_a_cell_is_held_against_what_was_analysed_in_it(tmp_path: Path) -> None:
    recorded = [
        # 21:25 to 21:35 local time: 5 min in each of two quarters, of which the second has the pass
        stretch("orchard", "2024-06-02", "2024-06-02T20:25:00Z", 1 / 6),
        # another recorder, from 21:30 for 2.5 min; then it cannot be read until 21:50
        stretch("orchard", "2024-06-02", "2024-06-02T20:30:00Z", 2.5 / 60, recorder="2"),
        stretch("orchard", "2024-06-02", "2024-06-02T20:32:30Z", 17.5 / 60, "excluded", recorder="2"),
    ]
    clock = figure(Survey(tmp_path, HOUR[1:], [PASS], recorded=recorded).site_page(), "clock")
    assert quarters(clock["zero"]["z"][0]) == [37]
    assert quarters(clock["failed"]["z"][0]) == [39]
    assert clock["recorded, not usable"]["x"] == [9.875]
    assert clock["passes"]["z"][0][38] == 2.8284  # 1 pass in 7.5 min: root of 8 per hour
    assert [clock["passes"]["hovertext"][0][at].split("<br>", 1)[1] for at in (37, 38, 39, 40)] == [
        "analysed, no bat pass<br>5.00 min analysed, 0 passes",
        "analysed, bats passed<br>7.50 min analysed, 1 passes",
        "recorded, not usable",
        "no recording",
    ]


def test_a_pass_in_a_few_seconds_does_not_outshine_the_rest(tmp_path: Path) -> None:
    recorded = [stretch("orchard", "2024-06-02", "2024-06-02T20:31:00Z", 2 / 3600)]
    clock = figure(Survey(tmp_path, HOUR[1:], [PASS], recorded=recorded).site_page(), "clock")
    assert clock["passes"]["z"][0][38] == 7.746  # as if in one minute: root of 60 per hour
    assert "0.033 min analysed, 1 passes" in clock["passes"]["hovertext"][0][38]


def test_the_same_hour_is_of_the_night_and_the_zone_of_its_site(tmp_path: Path) -> None:
    adelaide = Deployment("orchard", -34.9, 138.6, "Australia/Adelaide", "data/orchard")
    recorded = [stretch("orchard", "2024-06-02", "2024-06-02T12:30:00Z", 1.0)]  # 22:00 to 23:00, 9.5 h from UTC
    late = PASS | {"start_utc": pd.Timestamp("2024-06-02T12:59:59.9Z")}
    survey = Survey(tmp_path, HOUR[1:], [late], recorded=recorded)
    clock = figure(survey.site_page(adelaide), "clock")
    assert quarters(clock["zero"]["z"][0]) == [40, 42, 43]
    assert quarters(clock["passes"]["z"][0]) == [41]
    clock = figure(survey.survey_page(adelaide), "clock")
    assert quarters(clock["passes"]["z"][0]) == [10]
    assert quarters(clock["zero"]["z"][0]) == []


def test_undated_recordings_are_told_and_not_plotted(valley: Survey) -> None:
    page = valley.survey_page(ORCHARD, POND)
    assert "pond 3 0 0.75 0.50 1" in Page(page).text
    nightly = figure(page, "nightly")
    assert "Bat, not identified" not in nightly
    assert len(nightly["hours analysed"]["x"]) == 4
    assert sum(value is not None for row in figure(page, "clock")["passes"]["z"] for value in row) == 4


def test_species_come_first_and_groups_are_marked(valley: Survey) -> None:
    text = Page(valley.survey_page(ORCHARD, POND)).text
    places = [
        text.index(words)
        for words in (
            "Common pipistrelle Pipistrellus pipistrellus 2 12",
            "Common noctule Nyctalus noctula 1 6",
            "Named to a group of similar species only",
            "Myotis group not told apart: Daubenton's bat, Natterer's bat 1 6",
            "Bats that were not identified",
            "Bat, not identified Chiroptera 1 6",
        )
    ]
    assert places == sorted(places)


def test_bats_named_to_a_family_stand_between_groups_and_those_not_identified(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    found = [
        pass_row("orchard", "2024-06-01", f"2024-06-01T2{hour}:00:00Z", taxon)
        for hour, taxon in enumerate(("Chiroptera", "Vespertilionidae", "Myotis", "Rhinolophus hipposideros"))
    ]
    survey = Survey(tmp_path, nights, found)
    for page in (survey.survey_page(ORCHARD), survey.site_page()):
        text = Page(page).text
        places = [
            text.index(words)
            for words in (
                "Lesser horseshoe bat Rhinolophus hipposideros",
                "Myotis group not told apart",
                "Named to a family only Vespertilionidae family not told apart further",
                "Bats that were not identified",
            )
        ]
        assert places == sorted(places)
        look = figure(page, "nightly")["Vespertilionidae (family)"]["marker"]
        others = [figure(page, "nightly")[name]["marker"] for name in ("Myotis (group)", "Bat, not identified")]
        assert look["pattern"]["shape"] not in [other["pattern"]["shape"] for other in others]
        assert look["color"] not in [other["color"] for other in others]


def test_passes_with_buzzes_and_social_calls_are_told_with_what_they_mean(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    kinds = ((3, 0), (20, 2), (2, 1), (0, 0))
    found = [
        pass_row(
            "orchard", "2024-06-01", f"2024-06-01T2{hour}:00:00Z", "Nyctalus noctula", buzz_calls=buzz, social_calls=social
        )
        for hour, (buzz, social) in enumerate(kinds)
    ]  # fmt: skip
    found.append(pass_row("orchard", "2024-06-01", "2024-06-02T01:00:00Z", "Myotis"))
    survey = Survey(tmp_path, nights, found)
    text = Page(survey.survey_page(ORCHARD)).text
    # passes, calls, with buzzes, with social calls
    assert "Common noctule Nyctalus noctula 4 24 2 (0.50) 1 (0.25)" in text
    assert "Natterer's bat 1 6 0 0 0.12" in text
    for page in (text, Page(survey.site_page()).text):
        assert (
            "A buzz is an attempt at a capture, not a catch: of 137 attacks that were checked on video, 51.8 %" in page
        )
        assert "if at least 3 of its calls are of one, and social calls if at least 2 are" in page
    assert "24 4 2 (0.50) 1 (0.25)" in Page(survey.site_page()).text


def test_what_is_excluded_is_told_in_words(valley: Survey) -> None:
    text = Page(valley.survey_page(ORCHARD, POND)).text
    assert "ends before its header says 1 1 2.0 h 7,200.0" in text
    assert "cannot be decoded 1 1 15.0 min 900.0" in text
    assert "something new" in text
    assert "data/pond/y.wav cannot be decoded Format not recognised." in text


def test_copies_are_listed_and_are_no_time_without_data(tmp_path: Path) -> None:
    copy = excluded_row("orchard", "copy.wav", "duplicate", "a.wav", 7200.0)
    text = Page(Survey(tmp_path, [night_row("orchard", "2024-06-01", 2.0)], (), [copy]).site_page()).text
    assert "same audio as another file 1 1 2.0 h 7,200.0" in text
    assert "0 h of 2.0 h could not be analysed. A copy of another file is listed here" in text
    assert "No call was looked for there" not in text


def test_a_long_list_of_excluded_files_is_cut_and_says_so(tmp_path: Path) -> None:
    excluded = [excluded_row("orchard", f"f{n:04d}.wav") for n in range(250)]
    page = Survey(tmp_path, [night_row("orchard", "2024-06-01", 1.0)], (), excluded).site_page()
    assert page.count(".wav</code>") == 200
    assert "The first 200; 50 more are in ledger.csv" in Page(page).text


def test_a_site_page_names_the_pass_to_check(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    noctule = "Nyctalus noctula"
    passes = [
        pass_row("orchard", "2024-06-01", "2024-06-01T21:00:00Z", noctule, "short.wav", calls=2, mean_score=0.99),
        pass_row("orchard", "2024-06-01", "2024-06-01T22:00:00Z", noctule, "long.wav", mean_score=0.9),
        pass_row("orchard", "2024-06-01", "2024-06-01T23:00:00Z", noctule, "poor.wav", mean_score=0.5),
    ]
    text = Page(Survey(tmp_path, nights, passes).site_page()).text
    assert "1 June 2024 23:00:00 6 46.0 0.90 1:01.2 long.wav" in text
    assert "short.wav" not in text
    assert "poor.wav" not in text


def test_a_pass_is_to_be_found_where_its_file_plays_it(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    slow = pass_row("orchard", "2024-06-01", "2024-06-01T22:00:00Z", "Nyctalus noctula", "x10.wav", best_file_s=612.5)
    survey = Survey(tmp_path, nights, [slow])
    text = Page(survey.site_page()).text
    assert "0.80 10:12.5 x10.wav" in text
    assert "T.WAV" not in text
    health = read_table(survey.health).assign(untriggered_h=3.0)
    write_table(health, RECORDER_NIGHTS, survey.health, provenance("health"))
    assert "the place is that in the expanded recording" in Page(survey.site_page()).text


def test_sun_and_position_of_a_site(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    passes = [pass_row("orchard", "2024-06-01", "2024-06-01T21:00:00Z", "Nyctalus noctula")]
    page = Survey(tmp_path, nights, passes).site_page()
    assert "1 June 2024 21:15 00:59 4 8.00 8.00 0 7.50 of 7.50 1" in Page(page).text
    clock = figure(page, "clock")
    assert clock["sunset"]["x"] == [9.25, 9.25]
    assert clock["sunrise"]["x"] == [12.983, 12.983]


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    site = Deployment(evil, 51.5, -2.6, "Europe/London", "data")
    nights = [night_row(evil, "2024-06-01", 8.0), night_row(evil, None, 1.0)]
    passes = [pass_row(evil, "2024-06-01", "2024-06-01T21:00:00Z", evil, path=evil)]
    survey = Survey(tmp_path, nights, passes, [excluded_row(evil, evil, evil, evil)])
    card = replace(CARD, name=evil, taxa=(Taxon("X", evil, evil, evil, evil),), training={"data": evil})
    harmless = Survey(
        tmp_path / "harmless",
        [night_row("s", "2024-06-01", 8.0), night_row("s", None, 1.0)],
        [pass_row("s", "2024-06-01", "2024-06-01T21:00:00Z", "Chiroptera")],
        [excluded_row("s", "p")],
    )
    tame = Deployment("s", 51.5, -2.6, "Europe/London", "data")
    for page, other in (
        (survey.survey_page(site, title=evil, card=card), harmless.survey_page(tame)),
        (survey.site_page(site, title=evil), harmless.site_page(tame)),
    ):
        rest = page.replace(PLOTLYJS, "")
        assert "<script>alert" not in rest
        assert "<img" not in rest
        assert Page(page).tags.count("script") == Page(other).tags.count("script")
        assert evil in Page(page).text
        # plotly reads tags in labels, too
        assert "\\u003cscript" not in rest


def test_pages_are_the_same_bytes_every_time(valley: Survey) -> None:
    assert valley.survey_page(ORCHARD, POND) == valley.survey_page(ORCHARD, POND)
    assert valley.site_page() == valley.site_page()


def test_pages_need_nothing_from_outside(valley: Survey) -> None:
    for page in (valley.survey_page(ORCHARD, POND), valley.site_page()):
        assert page.count(PLOTLYJS) == 1
        rest = page.replace(PLOTLYJS, "")
        assert "http://" not in rest
        assert "https://" not in rest
        assert "@import" not in rest
        assert "url(" not in rest
        assert "default-src 'none'" in rest


def test_pages_link_to_each_other_and_to_the_tables(valley: Survey) -> None:
    links = Page(valley.survey_page(ORCHARD, POND)).resources
    assert {"sites/orchard.html", "sites/pond.html"} <= set(links)
    assert {f"../activity/{name}.csv" for name in ("passes", "activity", "nights")} <= set(links)
    assert {"../coverage/ledger.csv", "../coverage/total.csv"} <= set(links)
    links = Page(valley.site_page()).resources
    assert "../index.html" in links
    assert {f"../../activity/orchard/{name}.csv" for name in ("passes", "activity", "nights")} <= set(links)


NOWHERE = Deployment("orchard", None, None, "UTC", "data")
SURVEYS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "nothing": ([], [], [], "No recording was found"),
    "no calls": ([night_row("orchard", "2024-06-01", 8.0)], [], [], "No bat call was found in 8.0 h"),
    "all excluded": (
        [night_row("orchard", "2024-06-01", 0.0, 8.0)],
        [],
        [excluded_row("orchard", "x.wav", seconds=28_800.0)],
        "Nothing could be analysed, so nothing can be said about bats",
    ),
    "all undated": (
        [night_row("orchard", None, 8.0)],
        [pass_row("orchard", None, None, "Chiroptera")],
        [],
        "No recording tells its date",
    ),
}


@pytest.mark.parametrize("deployment", [ORCHARD, NOWHERE], ids=["placed", "no position"])
@pytest.mark.parametrize("kind", SURVEYS)
def test_empty_sections_say_so(kind: str, deployment: Deployment, tmp_path: Path) -> None:
    nights, passes, excluded, words = SURVEYS[kind]
    nights = [row | ({"sunset_utc": None, "sunrise_utc": None} if deployment is NOWHERE else {}) for row in nights]
    survey = Survey(tmp_path, nights, passes, excluded)
    for page in (survey.survey_page(deployment), survey.site_page(deployment)):
        text = Page(page).text
        assert words in text
        assert "nan" not in text.lower().split()
        assert "None" not in text
        assert "There is no bat pass with a known time" in text
        for name in ("nightly", "clock", "taxa-clock"):
            assert f'"plot-{name}"' not in page
    assert ('"plot-map"' in survey.survey_page(deployment)) == (deployment is ORCHARD)


def test_calls_without_a_pass_are_no_species_found(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 8.0)]
    survey = Survey(tmp_path, nights)
    rows = activity_rows(nights, [pass_row("orchard", "2024-06-01", "2024-06-01T21:00:00Z", "Nyctalus noctula")])
    write_table(
        [row | {"calls": 1, "passes": 0} for row in rows],
        ACTIVITY,
        survey.activity / "activity.parquet",
        provenance("activity", **SETTINGS),
    )
    text = Page(survey.survey_page(ORCHARD)).text
    assert "No bat pass was found" in text
    assert "Common noctule Nyctalus noctula 0 1" in text
    assert "nowhere enough for a pass" in text


def test_no_number_of_bats_where_nothing_was_analysed(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 0.0, 2.0), night_row("orchard", None, 0.0, 1.0)]
    survey = Survey(tmp_path, nights, (), [excluded_row("orchard", "x.wav")])
    for page in (survey.survey_page(ORCHARD), survey.site_page()):
        text = Page(page).text
        assert "Species – nothing analysed Bat passes – nothing analysed" in text
        assert "orchard 4 4 1.00 0 –" in text


def test_a_clock_that_was_wrong_by_years_does_not_swell_the_page(tmp_path: Path) -> None:
    nights = [night_row("orchard", night, 1.0) for night in ("2004-01-01", "2024-06-01")]
    page = Survey(tmp_path, nights).survey_page(ORCHARD)
    assert figure(page, "effort")["hours"]["z"] == [[1.0, 1.0]]
    assert "a clock may have been wrong" in Page(page).text


def test_a_taxon_has_one_colour_whatever_else_was_found(valley: Survey) -> None:
    survey = figure(valley.survey_page(ORCHARD, POND), "nightly")
    site = figure(valley.site_page(), "nightly")
    for name in ("Common pipistrelle", "Myotis (group)"):
        assert survey[name]["marker"]["color"] == site[name]["marker"]["color"]
    assert "pattern" in site["Myotis (group)"]["marker"]
    assert "pattern" not in site["Common pipistrelle"]["marker"]


def test_twenty_eight_species_have_twenty_eight_colours() -> None:
    sizes = (2, 3, 6, 9, 2, 1, 3, 1, 1)
    taxa = [
        Taxon(f"{g}{n}", f"Genus{g} species{n}", "", f"G{g}", "F") for g, size in enumerate(sizes) for n in range(size)
    ]
    styles = taxon_styles(taxa, pd.DataFrame(columns=["taxon", "group", "rank"]))
    species = styles[styles["rank"] == "species"]
    assert len(species) == species["colour"].nunique() == 28
    assert (species["label"] == species.index).all()


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ledger\.parquet: no such table"):
        report_survey(
            tmp_path,
            tmp_path / "ledger.parquet",
            tmp_path / "h.parquet",
            [ORCHARD],
            CARD,
            tmp_path / "x.html",
            title="",
        )


def test_a_night_on_which_the_recorder_had_failed_is_neither_a_zero_nor_effort(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 5.0), night_row("orchard", "2024-06-02", 5.0)]
    nights[1] |= {"state": "failed", "reasons": "flat"}
    found = pass_row("orchard", "2024-06-01", "2024-06-01T21:31:00Z", "Myotis")
    survey = Survey(tmp_path, nights, [found])
    page = survey.survey_page(ORCHARD)
    assert figure(page, "effort")["recorded, not usable"]["x"] == [1]
    assert "0.20" in Page(page).text  # one pass in the five hours of the night that counts
    site = survey.site_page()
    assert "not usable (stuck samples)" in Page(site).text
    assert "1 of 1" in Page(site).text  # nights with passes, of nights that say anything
    clock = figure(site, "clock")
    assert clock["recorded, not usable"]["y"] == [1] * len(clock["recorded, not usable"]["y"])


def test_a_site_page_says_how_the_recorders_did(valley: Survey) -> None:
    page = valley.site_page()
    text = Page(page).text
    assert "Nights that are not valid" in text
    assert "4 June 2024 1 failed all of its files were excluded" in text
    assert figure(page, "noise")["15–30 kHz"]["y"][:2] == [-110.0, -109.0]


def test_a_site_whose_recorder_had_failed_is_no_site_without_bats(tmp_path: Path) -> None:
    night = night_row("orchard", "2024-06-01", 5.0) | {"state": "failed", "reasons": "flat"}
    survey = Survey(tmp_path, [night])
    for page in (survey.site_page(), survey.survey_page(ORCHARD)):
        text = Page(page).text
        assert "The recorders had failed, so nothing can be said about bats." in text
        assert "No bat pass was found" not in text and "No bat call was found" not in text
        assert "Bat passes – the recorders had failed" in text


def test_the_rate_of_a_site_is_of_the_nights_that_count(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 5.0), night_row("orchard", "2024-06-02", 5.0)]
    nights[1] |= {"state": "failed", "reasons": "coverage"}
    found = [pass_row("orchard", night, f"{night}T21:31:00Z", "Myotis") for night in ("2024-06-01", "2024-06-02")]
    text = Page(Survey(tmp_path, nights, found).survey_page(ORCHARD)).text
    assert "10.00 0 2 0.20" in text  # hours analysed, excluded, passes, and one pass in the five hours that count


def test_counts_are_whole_numbers_though_those_of_a_failed_night_are_missing(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 5.0), night_row("orchard", "2024-06-02", 5.0)]
    nights[1] |= {"state": "failed", "reasons": "flat"}
    found = [pass_row("orchard", "2024-06-01", f"2024-06-01T21:3{n}:00Z", "Nyctalus noctula") for n in range(3)]
    survey = Survey(tmp_path, nights, found)
    whole, site = survey.survey_page(ORCHARD), survey.site_page()
    for page in (whole, site):
        assert "3 bat passes were found, 3 of them named to 1 species automatically" in Page(page).text
    assert "Common noctule Nyctalus noctula 3 18 0 0 0.60 1 of 1 1 of 1 3.0 3" in Page(whole).text
    assert "Common noctule Nyctalus noctula 18 3 0 0 3 1 of 1 3.0 3 0.60" in Page(site).text
    assert "3 passes in 5.0" in whole  # at the site on the map


def test_sites_whose_recorders_had_failed_lower_no_rate_of_the_survey(tmp_path: Path) -> None:
    nights = [night_row(site, "2024-06-01", 5.0) for site in ("orchard", "pond", "hill")]
    nights[1] |= {"state": "failed", "reasons": "flat"}
    nights.append(night_row("pond", "2024-06-02", 5.0) | {"state": "failed", "reasons": "flat"})
    found = [
        pass_row(site, night, f"{night}T21:31:00Z", "Nyctalus noctula")
        for site, night in (("orchard", "2024-06-01"), ("pond", "2024-06-01"), ("pond", "2024-06-02"))
    ]
    page = Survey(tmp_path, nights, found).survey_page(ORCHARD, POND)
    nightly = figure(page, "nightly")
    assert nightly["Common noctule"]["y"] == [0.1, 0.0]  # one pass in the ten hours of two sites
    assert nightly["hours analysed"]["y"] == [10.0, 0.0]
    assert nightly["recorded, not usable"]["x"] == [1]
    # passes, calls, buzzes, social calls, rate, sites and site-nights
    assert "Common noctule Nyctalus noctula 3 18 0 0 0.10 1 of 2 1 of 2" in Page(page).text


def test_a_night_on_which_nothing_triggered_the_recorder_is_a_zero_and_no_gap(tmp_path: Path) -> None:
    nights = [night_row("orchard", "2024-06-01", 5.0), night_row("orchard", "2024-06-02", 0.0, files=0)]
    nights[1] |= {"state": "valid", "reasons": ""}
    nights.append(night_row("orchard", "2024-06-04", 5.0))
    found = [pass_row("orchard", "2024-06-01", "2024-06-01T21:31:00Z", "Nyctalus noctula")]
    survey = Survey(tmp_path, nights, found)
    page, site = survey.survey_page(ORCHARD), survey.site_page()
    assert figure(page, "effort")["hours"]["z"] == [[5.0, 0.0, None, 5.0]]
    assert figure(page, "effort")["analysed, no bat pass"]["x"] == [1, 3]
    for whole in (page, site):
        assert figure(whole, "nightly")["analysed, no bat pass"]["x"] == [1, 3]
        assert "the recorder listened and nothing triggered it" in whole
        assert "1 of 3 0.0 1" in Page(whole).text  # nights with passes, median and most
    assert "0 (nothing triggered the recorder)" in Page(site).text


def test_a_site_of_several_recorders_says_what_one_that_failed_does_to_its_rates(tmp_path: Path) -> None:
    night = night_row("orchard", "2024-06-01", 5.0)
    both = [stretch("orchard", "2024-06-01", "2024-06-01T21:00:00Z", 2.5, recorder=name) for name in ("1", "2")]
    words = "On a night on which only some failed, what they recorded still counts"
    assert words in Page(Survey(tmp_path / "two", [night], recorded=both).site_page()).text
    assert words not in Page(Survey(tmp_path / "one", [night], recorded=both[:1]).site_page()).text
