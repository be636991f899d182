"""Sites, nights and time zones: every mistake in a site sheet is named, and every moment belongs to one night."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.survey import (
    EACH_CHANNEL,
    Deployment,
    NightlySchedule,
    local_to_utc,
    night_of,
    read_sites,
    schedule_of,
    sites_of_folder,
    zone,
)

HEAD = "site\tlatitude\tlongitude\ttimezone\trecordings"
ROW = "orchard\t51.42\t-2.41\tEurope/London\t/data/orchard"
ORCHARD = Deployment("orchard", 51.42, -2.41, "Europe/London", "/data/orchard")


def _sheet(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "sites.tsv"
    path.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in lines) + b"\n")
    return path


def _fields(**changes: str) -> str:
    values = dict(zip(HEAD.split("\t"), ROW.split("\t"), strict=True))
    return "\t".join((values | changes).values())


def test_sheet_is_read(tmp_path: Path) -> None:
    assert read_sites(_sheet(tmp_path, HEAD, ROW)) == [ORCHARD]


def test_optional_columns_in_any_order(tmp_path: Path) -> None:
    sheet = _sheet(
        tmp_path,
        f"channel\trecorder\t{HEAD}\ttime_expansion",
        f"2\tSM4-17\t{_fields(site='barn')}\t10",
        f"\t\t{ROW}\t",
    )
    assert read_sites(sheet) == [
        Deployment("barn", 51.42, -2.41, "Europe/London", "/data/orchard", "SM4-17", 10.0, 2),
        ORCHARD,
    ]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["# our sites", HEAD, "# the old one", ROW, "# end"], id="comments"),
        pytest.param(["", HEAD, "", ROW, ""], id="blank lines"),
        pytest.param([HEAD + "\r", ROW + "\r"], id="Windows ends of lines"),
        pytest.param([b"\xef\xbb\xbf" + HEAD.encode(), ROW], id="byte order mark"),
        pytest.param([HEAD.replace("\t", " \t "), ROW.replace("\t", "  \t ")], id="blanks round the values"),
    ],
)
def test_what_editors_leave_in_a_sheet_does_no_harm(tmp_path: Path, lines: list[str | bytes]) -> None:
    assert read_sites(_sheet(tmp_path, *lines)) == [ORCHARD]


@pytest.mark.parametrize(("head", "row"), [("\t", "\t"), ("\t\t", "\t\t"), ("", "\t")])
def test_tabs_at_the_ends_of_lines_are_left_out_or_named(tmp_path: Path, head: str, row: str) -> None:
    try:
        assert read_sites(_sheet(tmp_path, HEAD + head, ROW + row)) == [ORCHARD]
    except UserError as error:
        # to refuse the sheet is right too, to blame a good value is not
        assert "Europe/London" not in str(error)


@pytest.mark.parametrize(
    "folder",
    [
        "/data/card #2",
        "/data/#1/x",
        "/data/Große Wiese",
        "/data/o'hara",
        'D:\\bats\\"x"',
        "/data/a, b",
        "cards/*_T.WAV",
    ],
)
def test_folder_is_taken_as_it_is_written(tmp_path: Path, folder: str) -> None:
    assert [d.recordings for d in read_sites(_sheet(tmp_path, HEAD, _fields(recordings=folder)))] == [folder]


def test_position_may_be_unknown(tmp_path: Path) -> None:
    (found,) = read_sites(_sheet(tmp_path, HEAD, _fields(latitude="", longitude="")))
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize("half", ["latitude", "longitude"])
def test_half_a_position_is_a_mistake(tmp_path: Path, half: str) -> None:
    with pytest.raises(UserError, match=half):
        read_sites(_sheet(tmp_path, HEAD, _fields(**{half: ""})))


@pytest.mark.parametrize(("latitude", "longitude"), [("-90", "180"), ("90", "-180"), ("0", "0")])
def test_ends_of_the_earth_are_positions(tmp_path: Path, latitude: str, longitude: str) -> None:
    (found,) = read_sites(_sheet(tmp_path, HEAD, _fields(latitude=latitude, longitude=longitude)))
    assert (found.latitude, found.longitude) == (float(latitude), float(longitude))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"site": ""}, "site ''"),
        ({"site": "old barn"}, "'old barn'"),
        ({"site": "barn_2"}, "'barn_2'"),
        ({"site": "../barn"}, r"'\.\./barn'"),
        ({"site": "Wäldchen"}, "'Wäldchen'"),
        ({"site": "-x"}, "'-x'"),
        ({"latitude": "51,42"}, "latitude '51,42'"),
        ({"latitude": "north"}, "latitude 'north'"),
        ({"latitude": "90.1"}, r"latitude 90\.1"),
        ({"latitude": "nan"}, "latitude nan"),
        ({"latitude": "inf"}, "latitude inf"),
        ({"longitude": "-180.5"}, r"longitude -180\.5"),
        ({"longitude": "2 W"}, "longitude '2 W'"),
        ({"timezone": ""}, "time zone ''"),
        ({"timezone": "Mars/Phobos"}, "time zone 'Mars/Phobos'"),
        ({"timezone": "Europe"}, "time zone 'Europe'"),
        ({"timezone": "../../etc/passwd"}, r"time zone '\.\./\.\./etc/passwd'"),
        ({"timezone": "/etc/localtime"}, "time zone '/etc/localtime'"),
        ({"recordings": ""}, "recordings is empty"),
        ({"recordings": "  "}, "recordings is empty"),
    ],
)
def test_wrong_value_is_named_with_its_row(tmp_path: Path, changes: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        read_sites(_sheet(tmp_path, HEAD, ROW, _fields(**changes)))
    assert "sites.tsv, line 3" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("columns", "values", "read"),
    [
        ("clock", "", ""),
        ("clock", "UTC", "UTC"),
        ("clock", "America/New_York", "America/New_York"),
        ("clock", "+02:00", "+02:00"),
        ("clock_offset", "", 0.0),
        ("clock_offset", "-3600", -3600.0),
        ("clock_offset", "1.7e9", 1.7e9),  # a clock that was never set
        ("clock_drift\tfirst_night", "-1.5\t2024-06-01", -1.5),
        ("schedule", "21:00-05:30", "21:00-05:30"),
        ("schedule", "sunset-30-sunrise+30", "sunset-30-sunrise+30"),
        ("first_night", "2024-06-01", "2024-06-01"),
        ("first_night", "20240601", "2024-06-01"),
        ("last_night\tfirst_night", "2024-06-01\t2024-06-01", "2024-06-01"),
        ("channel", "each", EACH_CHANNEL),
        ("channel", "EACH", EACH_CHANNEL),
        ("channel", "2", 2),
    ],
)
def test_what_a_sheet_says_of_a_recorder(tmp_path: Path, columns: str, values: str, read: object) -> None:
    (found,) = read_sites(_sheet(tmp_path, f"{HEAD}\t{columns}", f"{ROW}\t{values}"))
    assert getattr(found, columns.partition("\t")[0]) == read


@pytest.mark.parametrize(
    ("columns", "values", "named"),
    [
        *(
            ("clock", wrong, f"'{re.escape(wrong)}'")
            for wrong in ("Mars", "utc", "+15", "+25:00", "-99", "+02:60", "+2:5", "2")
        ),
        *(("clock_offset", wrong, "clock_offset") for wrong in ("a minute", "nan", "inf", "1e11", "1,5")),
        *(("clock_drift\tfirst_night", f"{wrong}\t2024-06-01", "clock_drift") for wrong in ("x", "nan", "4000")),
        ("clock_drift", "2", "first_night"),
        *(
            ("schedule", wrong, "schedule")
            for wrong in (
                "all night",
                "21:00",
                "25:00-05:00",
                "21:60-05:00",
                "21:00-24:60",
                "sunrise-sunset",
                "21.00-05.00",
            )
        ),
        *(("first_night", wrong, f"first_night '{wrong}'") for wrong in ("1 June", "2024-6-1", "2024-06-31", "45000")),
        ("last_night", "2024-13-01", "last_night '2024-13-01'"),
        ("first_night\tlast_night", "2024-06-02\t2024-06-01", "last_night 2024-06-01 is before first_night 2024-06-02"),
        *(("channel", wrong, "channel") for wrong in ("all", "each one", "1001")),
    ],
)
def test_what_a_sheet_cannot_say_of_a_recorder_is_named(tmp_path: Path, columns: str, values: str, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        read_sites(_sheet(tmp_path, f"{HEAD}\t{columns}", f"{ROW}\t{values}"))
    assert "sites.tsv, line 2" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "left", "inf", "nan"])
def test_channel_must_be_a_whole_number_from_one(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=f"line 2: channel '?{value}"):
        read_sites(_sheet(tmp_path, HEAD + "\tchannel", f"{ROW}\t{value}"))


@pytest.mark.parametrize("value", ["0", "0.5", "-10", "1001", "ten", "inf", "nan"])
def test_time_expansion_must_be_a_factor(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=f"line 2: time_expansion '?{value}"):
        read_sites(_sheet(tmp_path, HEAD + "\ttime_expansion", f"{ROW}\t{value}"))


@pytest.mark.parametrize("column", HEAD.split("\t"))
def test_missing_column_is_named(tmp_path: Path, column: str) -> None:
    head = [name for name in HEAD.split("\t") if name != column]
    with pytest.raises(UserError, match=f"column '{column}' is missing"):
        read_sites(_sheet(tmp_path, "\t".join(head), "\t".join("1" for _ in head)))


def test_unknown_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'expansion'"):
        read_sites(_sheet(tmp_path, HEAD + "\texpansion", ROW + "\t10"))


def test_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="timezone"):
        read_sites(_sheet(tmp_path, HEAD + "\ttimezone", ROW + "\tEurope/Paris"))


def test_commas_in_place_of_tabs_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'site' is missing.*needs site, latitude"):
        read_sites(_sheet(tmp_path, HEAD.replace("\t", ","), ROW.replace("\t", ",")))


@pytest.mark.parametrize(
    "lines",
    [[b""], [HEAD], [HEAD, "# " + ROW], [HEAD, ROW + "\t1", ROW], [HEAD, ROW.encode() + b"\xfc"], [b"\x00\xff\xfe"]],
)
def test_sheet_that_holds_no_site_or_is_broken_is_named(tmp_path: Path, lines: list[str | bytes]) -> None:
    with pytest.raises(UserError, match=r"sites\.tsv"):
        read_sites(_sheet(tmp_path, *lines))


def test_sheet_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.tsv"):
        read_sites(tmp_path / "nowhere.tsv")
    with pytest.raises(UserError, match=tmp_path.name):
        read_sites(tmp_path)


@pytest.mark.parametrize("change", [{"latitude": "51.43"}, {"longitude": ""}, {"timezone": "Europe/Paris"}])
def test_one_site_has_one_position_and_time_zone(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"orchard|line 3"):
        read_sites(_sheet(tmp_path, HEAD, ROW, _fields(recordings="/data/2", **change)))


def test_sites_must_differ_by_more_than_case(tmp_path: Path) -> None:
    # both would be one file on the disks of many people
    with pytest.raises(UserError, match="orchard and Orchard"):
        read_sites(_sheet(tmp_path, HEAD, ROW, _fields(site="Orchard", recordings="/data/2")))


def test_two_recorders_at_one_site(tmp_path: Path) -> None:
    found = read_sites(_sheet(tmp_path, HEAD + "\trecorder", f"{ROW}\tA", f"{_fields(recordings='/data/2')}\tB"))
    assert [(d.site, d.recorder) for d in found] == [("orchard", "A"), ("orchard", "B")]


def test_recorders_of_a_site_must_differ_by_more_than_case(tmp_path: Path) -> None:
    rows = [
        f"{_fields(site=site, recordings=f'/data/{i}')}\t{name}"
        for i, (site, name) in enumerate([("barn", "a"), ("orchard", "A"), ("orchard", "a")])
    ]
    assert len(read_sites(_sheet(tmp_path, HEAD + "\trecorder", *rows[:2]))) == 2
    with pytest.raises(UserError, match="recorders A and a of orchard"):
        read_sites(_sheet(tmp_path, HEAD + "\trecorder", *rows))


@pytest.mark.parametrize("named", [("", ""), ("A", ""), ("", "A"), ("2", ""), ("", "1")])
def test_recorders_without_a_name_are_not_taken_for_one(tmp_path: Path, named: tuple[str, str]) -> None:
    rows = [f"{_fields(recordings=f'/data/{number}')}\t{name}" for number, name in enumerate(named)]
    found = [d.recorder for d in read_sites(_sheet(tmp_path, HEAD + "\trecorder", *rows))]
    assert found[0] != found[1]
    assert all(found)
    assert all(got == name for got, name in zip(found, named, strict=True) if name)


# folders


def test_every_folder_is_a_site(tmp_path: Path) -> None:
    for name in ("riverside", "Old barn (east)", "a.b-c", "_x_", "Wäldchen", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "20240601_220000.wav").touch()
    found = {Path(d.recordings).name: d for d in sites_of_folder(tmp_path, "Europe/Paris")}
    assert {folder: d.site for folder, d in found.items()} == {
        "riverside": "riverside",
        "Old barn (east)": "Old-barn-east",
        "a.b-c": "a.b-c",
        "_x_": "x",
        "Wäldchen": "W-ldchen",
    }
    assert {d.timezone for d in found.values()} == {"Europe/Paris"}
    assert {(d.latitude, d.longitude) for d in found.values()} == {(None, None)}


@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20))
@example("0.parquet")
def test_site_of_any_folder_has_a_name_that_a_sheet_may_have(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    folder = tmp_path_factory.mktemp("sites")
    if name.startswith(".") or len(name.encode()) > 200:
        name = "x"
    (folder / name).mkdir()
    (folder / name / "a.wav").touch()
    (site,) = (d.site for d in sites_of_folder(folder, "UTC"))
    assert read_sites(_sheet(folder, HEAD, _fields(site=site)))[0].site == site


def test_trash_is_no_site(tmp_path: Path) -> None:
    for name in ("pond", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".Trash-1000"):
        (tmp_path / name).mkdir()
    assert [d.site for d in sites_of_folder(tmp_path, "UTC")] == ["pond"]


def test_folder_without_folders_is_a_site(tmp_path: Path) -> None:
    folder = tmp_path / "my garden"
    folder.mkdir()
    (folder / "20240601_220000.wav").touch()
    assert [(d.site, Path(d.recordings)) for d in sites_of_folder(folder, "UTC")] == [("my-garden", folder)]


def test_folder_that_holds_nothing_is_a_site_of_a_dead_recorder(tmp_path: Path) -> None:
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "20240601_220000.wav").touch()
    (tmp_path / "empty").mkdir()
    assert [d.site for d in sites_of_folder(tmp_path, "UTC")] == ["empty", "recorded"]


def test_recordings_beside_the_folders_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "orchard").mkdir()
    (tmp_path / "orchard" / "20240601_220000.wav").touch()
    (tmp_path / "20240601_230000.wav").touch()
    try:
        places = [Path(d.recordings) for d in sites_of_folder(tmp_path, "UTC")]
    except UserError as error:
        assert str(tmp_path) in str(error)
    else:
        assert tmp_path in places


def test_no_name_of_a_file_acts_upon_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "orchard").mkdir()
    (tmp_path / "\x1b[2J\n.wav").touch()
    for folder in (tmp_path, tmp_path / "\x1b[2J"):
        with pytest.raises(UserError) as error:
            sites_of_folder(folder, "UTC")
        assert str(error.value).isprintable()


def test_folders_that_would_be_one_site_are_named(tmp_path: Path) -> None:
    for name in ("old barn", "Old-Barn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
    with pytest.raises(UserError, match="old-barn"):
        sites_of_folder(tmp_path, "UTC")


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "nowhere"):
        with pytest.raises(UserError, match=f"{name} is not a folder"):
            sites_of_folder(tmp_path / name, "UTC")


# nights and clocks


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("+02:00", 120), ("+2", 120), ("+0200", 120), ("UTC+2", 120), ("UTC+02:00", 120), ("-03:30", -210), ("-0330", -210),
        ("+14:00", 840), ("-11", -660), ("+00:00", 0), ("UTC", 0), ("Etc/GMT-2", 120), ("Asia/Kolkata", 330),
    ],
)  # fmt: skip
def test_zone_is_a_name_or_an_offset(name: str, minutes: int) -> None:
    for month in (1, 7):
        assert datetime(2024, month, 1, tzinfo=zone(name)).utcoffset() == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("21:00-05:30", NightlySchedule(1260, 330, False, False)),
        ("21:00 - 05:30", NightlySchedule(1260, 330, False, False)),
        ("00:00-24:00", NightlySchedule(0, 1440, False, False)),
        ("sunset-sunrise", NightlySchedule(0, 0, True, True)),
        ("sunset-30-sunrise+45", NightlySchedule(-30, 45, True, True)),
        ("sunset+15-04:00", NightlySchedule(15, 240, True, False)),
        ("20:30-sunrise", NightlySchedule(1230, 0, False, True)),
        ("", None),
        ("sunset", None),
        ("sunrise-sunset", None),
        ("24:00-05:00", None),
    ],
)
def test_schedule(text: str, schedule: NightlySchedule | None) -> None:
    assert schedule_of(text) == schedule


@pytest.mark.parametrize(
    ("local", "night"),
    [
        (datetime(2023, 5, 20, 3, 7, 37), date(2023, 5, 19)),
        (datetime(2024, 6, 1, 12, 0), date(2024, 6, 1)),
        (datetime(2024, 6, 1, 11, 59, 59, 999_999), date(2024, 5, 31)),
        (datetime(2024, 3, 1, 0, 0), date(2024, 2, 29)),
        (datetime(2024, 1, 1, 5, 0), date(2023, 12, 31)),
    ],
)
def test_night_has_the_date_of_its_evening(local: datetime, night: date) -> None:
    assert night_of(local) == night


@given(st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)))
def test_night_goes_from_noon_to_noon(local: datetime) -> None:
    noon = datetime.combine(night_of(local), datetime.min.time()) + timedelta(hours=12)
    assert noon <= local < noon + timedelta(days=1)
    # the clock on the wall counts, not the offset
    assert night_of(local.replace(tzinfo=ZoneInfo("America/New_York"))) == night_of(local)


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        (datetime(2024, 6, 1, 22, 0), "Europe/London", datetime(2024, 6, 1, 21, 0)),
        (datetime(2024, 12, 1, 22, 0), "Europe/London", datetime(2024, 12, 1, 22, 0)),
        (datetime(2024, 6, 1, 22, 0), "Asia/Kathmandu", datetime(2024, 6, 1, 16, 15)),
        (datetime(2024, 1, 1, 5, 0), "Pacific/Auckland", datetime(2023, 12, 31, 16, 0)),
        (datetime(2024, 6, 1, 22, 0, 0, 5), "UTC", datetime(2024, 6, 1, 22, 0, 0, 5)),
        # the hour that autumn has twice: the first one
        (datetime(2024, 10, 27, 1, 30), "Europe/London", datetime(2024, 10, 27, 0, 30)),
        (datetime(2024, 10, 27, 2, 0), "Europe/London", datetime(2024, 10, 27, 2, 0)),
        (datetime(2024, 11, 3, 1, 30), "America/New_York", datetime(2024, 11, 3, 5, 30)),
        # the hour that spring has not: a clock that was not put forward
        (datetime(2024, 3, 31, 1, 30), "Europe/London", datetime(2024, 3, 31, 1, 30)),
    ],
)
def test_local_time_is_that_of_the_zone_on_that_day(local: datetime, zone: str, utc: datetime) -> None:
    assert local_to_utc(local, zone) == utc.replace(tzinfo=UTC)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_time_comes_back_from_utc(moment: datetime, zone: str) -> None:
    utc = moment.replace(tzinfo=UTC)
    local = utc.astimezone(ZoneInfo(zone))
    # of a doubled hour the earlier is taken, so at most one change of the clock lies between
    assert local_to_utc(local.replace(tzinfo=None, fold=0), zone) in (
        utc,
        utc - timedelta(hours=1),
        utc - timedelta(minutes=30),
    )


def test_cell_in_quotes_is_what_the_quotes_hold(tmp_path: Path) -> None:
    sheet = tmp_path / "sites.tsv"
    sheet.write_text('site\tlatitude\tlongitude\ttimezone\trecordings\noak\t1\t2\tUTC\t"/data/oak, card 1"\n')
    assert read_sites(sheet)[0].recordings == "/data/oak, card 1"


@pytest.mark.parametrize("site", ["passes.csv", "nights.parquet"])
def test_site_may_not_be_named_as_a_table(tmp_path: Path, site: str) -> None:
    sheet = tmp_path / "sites.tsv"
    sheet.write_text(f"site\tlatitude\tlongitude\ttimezone\trecordings\n{site}\t1\t2\tUTC\t/data\n")
    with pytest.raises(UserError, match=site):
        read_sites(sheet)
