"""Summaries of Song Meters of all kinds."""

import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import isfinite
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.formats.songmeter import SummaryLog, read_summary

SM5 = """DATE,TIME,LAT,NS,LON,EW,POWER(V),TEMP(C),#ACFILES \r
2026-Jan-20,13:47:00,42.43068,N,71.45617,W,4.107,25.1,0 \r
2026-Jan-20,13:48:00,42.43068,N,71.45617,W,4.105,25.3,0 \r
2026-Jan-20,13:48:13,42.43068,N,71.45617,W,4.078,-5.1,1\r
"""
SM5_BAT = """DATE,TIME,LAT,NS,LON,EW,POWER(V),TEMP(C),#ACFILES,#FS1FILES,#FS2FILES,#ZC1FILES,#ZC2FILES,#SCRUB1,#SCRUB2
2026-May-28,19:45:00,42.04415,N,72.26048,W,6.431,19.2,0,0,0,0,0,0,0
2026-May-28,19:46:00,42.04415,N,72.26048,W,6.431,19.0,1,4,2,50,50,9,9
"""
SM4 = """DATE,TIME,LAT,NS,LON,EW,POWER(V),TEMP(C),#FILES,#SCRUBBED,MIC0 TYPE
2024-May-16,20:55:59,44.5,n,70.6,w,12.1,10.0,3,7,U2
2024-May-16,20:56:59,44.5,n,70.6,w,12.0,10.5,2,7,U2\x20
"""
SM4_WITHOUT_NAMES = """DATE,TIME,LAT,,LON,,POWER(V),TEMP(C),#FILES,MIC0 TYPE,MIC1 TYPE
2019-Sep-30,23:59:00,22.5,s,43.5,w,5.1,18.25,1,INT,INT
2019-Oct-01,00:00:00,22.5,s,43.5,w,5.0,18.00,1,INT,INT
"""
MINI = """DATE,TIME,LAT,NS,LON,EW,POWER(V),#FILES
2023-Jul-01,21:00:00,51.70000,N,1.20000,E,5.4,0
2023-Jul-01,21:01:00,51.70000,N,1.20000,E,5.3,1
"""
SM2 = """2014-May-04 05:30:00 10.25
2014-May-04 05:31:00 10.00 x
"""
ALL = (SM5, SM5_BAT, SM4, SM4_WITHOUT_NAMES, MINI, SM2)
EAST = timezone(timedelta(hours=-5))


def read(text: str, zone: tzinfo = UTC) -> SummaryLog:
    log = read_summary(text.encode(), zone)
    assert log is not None
    return log


def night(start: datetime, lines: int, step_s: float = 60) -> str:
    times = (start + timedelta(seconds=step_s * i) for i in range(lines))
    return "".join(f"{when:%Y-%b-%d,%H:%M:%S},42.43068,N,71.45617,W,4.1,25.1,0\n" for when in times)


HEADER = SM5.splitlines()[0] + "\n"


def test_sm5() -> None:
    assert read(SM5, EAST) == SummaryLog(
        running=((datetime(2026, 1, 20, 18, 47, tzinfo=UTC), datetime(2026, 1, 20, 18, 48, 26, tzinfo=UTC)),),
        reboots=0,
        battery_min_v=4.078,
        temperature_min_c=-5.1,
        temperature_max_c=25.3,
        latitude=42.43068,
        longitude=-71.45617,
        files=1,
        problems=(),
    )


@pytest.mark.parametrize(
    ("text", "start", "minutes", "volts", "degrees", "place", "files"),
    [
        (SM5_BAT, datetime(2026, 5, 28, 19, 45), 2, 6.431, (19.0, 19.2), (42.04415, -72.26048), 7),
        (SM4, datetime(2024, 5, 16, 20, 55, 59), 2, 12.0, (10.0, 10.5), (44.5, -70.6), 5),
        (SM4_WITHOUT_NAMES, datetime(2019, 9, 30, 23, 59), 2, 5.0, (18.0, 18.25), (-22.5, -43.5), 2),
        (MINI, datetime(2023, 7, 1, 21, 0), 2, 5.3, (None, None), (51.7, 1.2), 1),
        (SM2, datetime(2014, 5, 4, 5, 30), 2, None, (10.0, 10.25), (None, None), 0),
    ],
)
def test_other_song_meters(
    text: str,
    start: datetime,
    minutes: int,
    volts: float | None,
    degrees: tuple[float | None, float | None],
    place: tuple[float | None, float | None],
    files: int,
) -> None:
    log = read(text)
    began = start.replace(tzinfo=UTC)
    assert log.running == ((began, began + timedelta(minutes=minutes)),)
    assert (log.battery_min_v, log.temperature_min_c, log.temperature_max_c) == (volts, *degrees)
    assert (log.latitude, log.longitude, log.files) == (*place, files)
    assert (log.reboots, log.problems) == (0, ())


def test_stretches_break_where_lines_are_missing() -> None:
    text = HEADER + night(datetime(2024, 6, 1, 20), 60) + night(datetime(2024, 6, 1, 21, 2), 60)
    assert read(text).running == (
        (datetime(2024, 6, 1, 20, tzinfo=UTC), datetime(2024, 6, 1, 21, tzinfo=UTC)),
        (datetime(2024, 6, 1, 21, 2, tzinfo=UTC), datetime(2024, 6, 1, 22, 2, tzinfo=UTC)),
    )


def test_a_late_line_breaks_nothing() -> None:
    text = HEADER + night(datetime(2024, 6, 1, 20), 60) + night(datetime(2024, 6, 1, 21, 0, 29), 60)
    assert len(read(text).running) == 1


def test_lines_every_ten_seconds() -> None:
    log = read(HEADER + night(datetime(2024, 6, 1, 20), 6, 10))
    assert log.running == ((datetime(2024, 6, 1, 20, tzinfo=UTC), datetime(2024, 6, 1, 20, 1, tzinfo=UTC)),)


def test_a_duty_cycle_is_not_taken_for_running_all_the_time() -> None:
    log = read(HEADER + night(datetime(2024, 6, 1, 20), 12, 300))
    assert len(log.running) == 12
    assert sum((end - start for start, end in log.running), timedelta()) == timedelta(minutes=12)


def test_one_line() -> None:
    log = read(HEADER + night(datetime(2024, 6, 1, 20), 1))
    assert log.running == ((datetime(2024, 6, 1, 20, tzinfo=UTC), datetime(2024, 6, 1, 20, 1, tzinfo=UTC)),)


def test_each_further_header_is_a_reboot() -> None:
    text = HEADER + night(datetime(2024, 6, 1, 20), 3) + HEADER + night(datetime(2024, 6, 1, 20, 3), 3) + HEADER
    log = read(text)
    assert (log.reboots, len(log.running)) == (2, 1)


def test_header_alone() -> None:
    assert read(HEADER) == SummaryLog((), 0, None, None, None, None, None, 0, ())


def test_columns_may_change_at_a_header() -> None:
    log = read(SM4 + MINI)
    assert (log.files, log.reboots, log.battery_min_v) == (6, 1, 5.3)


def test_order_and_repetition_of_lines_do_not_matter() -> None:
    lines = night(datetime(2024, 6, 1, 20), 10).splitlines(keepends=True)
    assert read(HEADER + "".join(lines[5:] + lines[:7])).running == read(HEADER + "".join(lines)).running


def test_broken_lines_are_counted_and_skipped() -> None:
    broken = [
        "2024-Jun-01",
        "2024-Jun-31,20:00:00",
        "2024-Jun-01,25:00:00",
        "2024-Jun-01,x",
        "\x1b[31m,2",
        "2024-Jun-01,",
    ]
    log = read(HEADER + night(datetime(2024, 6, 1, 20), 2) + "\n".join(broken) + "\n\n  \n\0\0\n")
    assert log.problems == ("6 lines are not understood",)
    assert len(log.running) == 1


def test_a_clock_that_was_not_set() -> None:
    log = read(HEADER + night(datetime(2000, 1, 1), 2) + night(datetime(2024, 6, 1, 20), 2))
    assert log.problems == ("2 lines are of a clock that was not set",)
    assert log.running[0][0] == datetime(2024, 6, 1, 20, tzinfo=UTC)


def test_what_cannot_be_true_is_left_out() -> None:
    line = "2024-Jun-01,20:00:00,{},N,{},W,{},{},{}\n"
    text = HEADER + "".join(
        line.format(*cells)
        for cells in (
            ("91", "1", "0.0", "999", "-1"), ("x", "1", "1e9", "nan", "x"), ("51.5", "1.5", "4.0", "19.2°", "2"),
            ("51.5", "1.5", "inf", "-", "9" * 50), ("", "", "", "", ""),
        )
    )  # fmt: skip
    log = read(text)
    assert (log.battery_min_v, log.temperature_min_c, log.temperature_max_c, log.files) == (4.0, 19.2, 19.2, 2)
    assert (log.latitude, log.longitude) == (51.5, -1.5)
    latin = read_summary(text.encode("latin-1"), UTC)
    assert latin is not None
    assert latin.temperature_max_c == 19.2


def test_no_position() -> None:
    for cells, problems in (("0.00000,N,0.00000,E", 0), (",,,", 0), ("1,Q,2,W", 1), ("95,N,2,W", 1)):
        log = read(f"{HEADER}2024-Jun-01,20:00:00,{cells},4.0,10,0\n")
        assert (log.latitude, log.longitude, len(log.problems)) == (None, None, problems)


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        (timezone(timedelta(hours=13)), datetime(2024, 3, 30, 10, 30, tzinfo=UTC)),
        (ZoneInfo("Europe/Berlin"), datetime(2024, 3, 30, 22, 30, tzinfo=UTC)),
    ],
)
def test_a_stretch_keeps_its_length_when_summer_time_begins(zone: tzinfo, start: datetime) -> None:
    log = read(HEADER + night(datetime(2024, 3, 30, 23, 30), 360), zone)
    assert log.running == ((start, start + timedelta(hours=6)),)


@pytest.mark.parametrize("text", ["", "\n\n", "\0", "hello", "a,b,c\n1,2,3\n", "DATE,VALUE\n1,2\n", "DATE\n"])
def test_what_is_no_summary(text: str) -> None:
    assert read_summary(text.encode(), UTC) is None


def test_a_hundred_thousand_lines() -> None:
    text = (HEADER + night(datetime(2024, 6, 1, 20), 100_000)).encode()
    began = time.perf_counter()
    log = read_summary(text, UTC)
    assert time.perf_counter() - began < 3  # 0.4 s where nothing else runs
    assert log is not None
    assert log.running[0][1] - log.running[0][0] == timedelta(minutes=100_000)


def check(log: SummaryLog | None) -> None:
    if log is None:
        return
    for name, limit in (
        ("latitude", 90), ("longitude", 180), ("battery_min_v", 100), ("temperature_min_c", 150),
        ("temperature_max_c", 150),
    ):  # fmt: skip
        value = getattr(log, name)
        assert value is None or (isfinite(value) and abs(value) <= limit)
    moments = [moment for stretch in log.running for moment in stretch]
    assert moments == sorted(moments)
    assert log.files >= 0
    assert log.reboots >= 0
    assert len(log.problems) <= 5
    assert all(problem.isprintable() and len(problem) < 100 for problem in log.problems)


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    check(read_summary(content, UTC))
    check(read_summary(HEADER.encode() + content, EAST))


CELLS = (
    st.text(max_size=12)
    | st.floats().map(str)
    | st.integers().map(str)
    | st.sampled_from(["2024-Jun-01", "20:00:00", "N"])
)


@given(st.lists(CELLS, max_size=12), st.lists(st.lists(CELLS, max_size=12), max_size=8))
def test_any_cells(header: list[str], rows: list[list[str]]) -> None:
    lines = [["DATE", "TIME", *header], *(["2024-Jun-01", f"20:{i:02d}:00", *row] for i, row in enumerate(rows)), *rows]
    check(read_summary("\n".join(map(",".join, lines)).encode("utf-8", "surrogatepass"), UTC))


@given(st.sampled_from(ALL), st.data())
def test_damaged_summaries(text: str, data: st.DataObject) -> None:
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(read_summary(bytes(content), EAST))


@pytest.mark.parametrize("text", ALL)
def test_summaries_cut_off_anywhere(text: str) -> None:
    content = text.encode()
    for end in range(len(content)):
        check(read_summary(content[:end], UTC))


@pytest.mark.parametrize(
    "content",
    [b"," * 1_000_000, b"DATE,TIME" + b",#FILES" * 100_000 + b"\n" + b"2024-Jun-01,20:00:00" + b",1" * 100_000,
     b"\n" * 1_000_000,
     b"2024-Jun-01," + b"9" * 1_000_000 + b":00:00", b"9" * 1_000_000 + b"-1-1,20:00:00", b"DATE,TIME\n" * 50_000],
)  # fmt: skip
def test_huge_lines_take_no_time(content: bytes) -> None:
    began = time.perf_counter()
    check(read_summary(content, UTC))
    assert time.perf_counter() - began < 5
