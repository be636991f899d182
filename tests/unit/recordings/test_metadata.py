"""What is known of a recording: the best source of each fact, times turned into UTC, and no disagreement kept quiet."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.metadata import WARNINGS, Known, correction_of, merge, metres_between, read_sources
from batpam.survey import Deployment, zone

LONDON = "Europe/London"
BY = "by AudioMoth 24A04F08604F5C9A at medium gain while battery was 4.2V and temperature was 11.3C."


def _wamd(**entries: str | int) -> bytes:
    kinds = {"model": 1, "serial": 2, "start": 5, "position": 6, "expansion": 0x0F, "temperature": 0x15}
    chunk = struct.pack("<HIH", 0, 2, 1)
    for name, value in entries.items():
        content = struct.pack("<H", value) if isinstance(value, int) else value.encode()
        chunk += struct.pack("<HI", kinds[name], len(content)) + content
    return chunk


def _batlogger(**fields: str) -> bytes:
    return f"<BatRecord>{''.join(f'<{key}>{value}</{key}>' for key, value in fields.items())}</BatRecord>".encode()


def _known(
    name: str = "x.wav",
    *,
    guano: str | None = None,
    wamd: bytes | None = None,
    xml: bytes | None = None,
    comment: str | None = None,
    rate: int = 250_000,
    duration_s: float = 5.0,
    **sheet: Any,
) -> Known:
    chunks = {}
    if guano is not None:
        chunks["guan"] = f"GUANO|Version:1.0\n{guano}\n".encode()
    if wamd is not None:
        chunks["wamd"] = wamd
    if comment is not None:
        chunks["ICMT"] = comment.encode("latin-1") + bytes(20)
    site = {"site": "oak", "latitude": None, "longitude": None, "timezone": LONDON, "recordings": "/rec", **sheet}
    return merge(read_sources(PurePath("/rec") / name, chunks, xml), Deployment(**site), rate, duration_s)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


# when it began


STARTS = [
    # by the clock of the site, summer and winter
    (dict(name="A_20240601_220000.wav"), _utc(2024, 6, 1, 21), "name"),
    (dict(name="A_20241201_220000.wav"), _utc(2024, 12, 1, 22), "name"),
    (dict(name="A_20240601_220000_123.wav"), _utc(2024, 6, 1, 21, 0, 0, 123_000), "name"),
    (dict(name="A_20240601_220000.wav", timezone="Asia/Kathmandu"), _utc(2024, 6, 1, 16, 15), "name"),
    (dict(guano="Timestamp:2024-06-01T22:00:00.25"), _utc(2024, 6, 1, 21, 0, 0, 250_000), "guano"),
    (dict(wamd=_wamd(start="2024-06-01 22:00:00")), _utc(2024, 6, 1, 21), "wamd"),
    (dict(xml=_batlogger(DateTime="01.06.2024 22:00:00")), _utc(2024, 6, 1, 21), "batlogger"),
    # a time with an offset is taken at its word, wherever the site is
    (dict(name="20240601T220000+1000_REC.flac", timezone="Asia/Tokyo"), _utc(2024, 6, 1, 12), "name"),
    (dict(name="665B93B0.WAV", timezone="Asia/Tokyo"), _utc(2024, 6, 1, 21, 33, 36), "name"),
    (dict(guano="Timestamp:2024-06-01T22:00:00-03:30"), _utc(2024, 6, 2, 1, 30), "guano"),
    (dict(guano="Timestamp:2024-06-01T22:00:00Z", timezone="Asia/Tokyo"), _utc(2024, 6, 1, 22), "guano"),
    (dict(comment=f"Recorded at 22:00:00 01/06/2024 (UTC) {BY}", timezone="Asia/Tokyo"), _utc(2024, 6, 1, 22), "audiomoth"),
    (dict(comment=f"Recorded at 22:00:00 01/06/2024 (UTC-5) {BY}"), _utc(2024, 6, 2, 3), "audiomoth"),
    # the recorder was left in UTC, or in summer time all year; the site sheet says so
    (dict(name="20240601_220000.wav", clock="UTC"), _utc(2024, 6, 1, 22), "name"),
    (dict(name="20241201_220000.wav", clock="+02:00", timezone="Europe/Berlin"), _utc(2024, 12, 1, 20), "name"),
    (dict(name="20240601_220000.wav", clock="+02:00", timezone="Europe/Berlin"), _utc(2024, 6, 1, 20), "name"),
    (dict(name="20240601_220000.wav", clock="UTC-5"), _utc(2024, 6, 2, 3), "name"),
    (dict(name="20240601_220000.wav", clock="America/New_York"), _utc(2024, 6, 2, 2), "name"),
    (dict(guano="Timestamp:2024-06-01T22:00:00", clock="UTC"), _utc(2024, 6, 1, 22), "guano"),
    (dict(guano="Timestamp:2024-06-01T22:00:00+01:00", clock="UTC"), _utc(2024, 6, 1, 21), "guano"),
    # it was slow, fast, or drifted from noon of the first night on
    (dict(name="20240601_220000.wav", clock_offset=90.0), _utc(2024, 6, 1, 21, 1, 30), "name"),
    (dict(guano="Timestamp:2024-06-01T22:00:00Z", clock_offset=-3600.0), _utc(2024, 6, 1, 21), "guano"),
    (dict(name="20240601_120000.wav", clock_drift=4.0, first_night="2024-06-01"), _utc(2024, 6, 1, 11), "name"),
    (dict(name="20240611_120000.wav", clock_drift=4.0, first_night="2024-06-01"), _utc(2024, 6, 11, 10, 59, 20), "name"),
    (dict(name="20240611_120000.wav", clock_drift=-4.0, first_night="2024-06-01"), _utc(2024, 6, 11, 11, 0, 40), "name"),
    (
        dict(name="20240611_120000.wav", clock_drift=4.0, clock_offset=40.0, first_night="2024-06-01"),
        _utc(2024, 6, 11, 11), "name",
    ),
    # it was never set, and the site sheet says how far it was off
    (
        dict(name="20000101_100000.wav", clock="UTC", clock_offset=(_utc(2024, 6, 1) - _utc(2000, 1, 1)).total_seconds()),
        _utc(2024, 6, 1, 10), "name",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("what", "start", "source"), STARTS)
def test_start(what: dict[str, Any], start: datetime, source: str) -> None:
    known = _known(**what)
    assert known.start == start
    assert known.start.utcoffset() == timedelta(0)
    assert known.sources["start"] == source
    assert known.warnings == {}


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        ({}, None),
        ({"clock": "UTC"}, None),
        ({"clock_offset": 1.0}, "sheet"),
        ({"clock_drift": 1.0, "first_night": "2024-05-01"}, "sheet"),
    ],
)
def test_correction_by_the_site_sheet_is_told(sheet: dict[str, Any], told: str | None) -> None:
    assert _known("20240601_220000.wav", **sheet).sources.get("clock") == told


def test_sources_in_their_order() -> None:
    told: dict[str, Any] = {
        "guano": "Timestamp:2024-06-01T22:00:00Z\nSerial:G\nTemperature Int:1",
        "wamd": _wamd(start="2024-06-02 22:00:00+00:00", serial="W", temperature="2"),
        "xml": _batlogger(DateTime="03.06.2024 22:00:00", SN="B", Temperature="3"),
        "comment": f"Recorded at 22:00:00 04/06/2024 (UTC) {BY}",
        "name": "24A04F0864BF5C9A_20240605_220000.WAV",
    }
    found = []
    while told:
        known = _known(**told)
        assert known.start is not None
        found.append((known.sources["start"], known.start.day, known.values["serial"], known.sources["serial"]))
        told.pop(next(iter(told)))
    assert found == [
        ("guano", 1, "G", "guano"), ("wamd", 2, "W", "wamd"), ("batlogger", 3, "B", "batlogger"),
        ("audiomoth", 4, "24A04F08604F5C9A", "audiomoth"), ("name", 5, "24A04F0864BF5C9A", "name"),
    ]  # fmt: skip


def test_each_fact_is_from_the_first_source_that_has_it() -> None:
    known = _known(
        "24A04F0864BF5C9A_20240601_220000.WAV",
        guano="Make:Open Acoustic Devices\nTemperature Int:9.5\nLoc Position:51.5 -2.4",
        comment=f"Recorded at 22:00:00 01/06/2024 (UTC+1) {BY} Recording stopped due to low voltage.",
    )
    assert known.values == {
        "make": "Open Acoustic Devices", "temperature_c": 9.5, "model": "AudioMoth", "serial": "24A04F08604F5C9A",
        "gain": "medium", "battery_v": 4.2, "stop_reason": "low voltage", "trigger": "",
    }  # fmt: skip
    assert (known.latitude, known.longitude) == (51.5, -2.4)
    of_guano, of_comment = ("make", "temperature_c", "position"), ("model", "serial", "gain", "battery_v")
    assert known.sources == {
        **dict.fromkeys(of_guano, "guano"),
        **dict.fromkeys((*of_comment, "stop_reason", "trigger", "start"), "audiomoth"),
    }


# clocks that cannot be right, or be understood in two ways


UNSET = [
    dict(name="19700101_000000.wav"), dict(name="19700101_013000.wav", timezone="Pacific/Auckland"),
    dict(name="19800106_000012.wav"), dict(name="19991230_235959.wav"), dict(name="20000101_000000.wav"),
    dict(name="20000103_221500.wav"), dict(name="20000815_221500.wav"), dict(name="00010101_000000.wav"),
    dict(name="99991231_235959.wav"), dict(guano="Timestamp:1970-01-01T00:00:00Z"),
    dict(guano="Timestamp:2000-01-01T05:00:00"), dict(comment=f"Recorded at 00:00:00 01/01/1970 (UTC) {BY}"),
    dict(guano="Timestamp:1970-01-01T00:00:00Z", name="19700101_000000.wav"),
]  # fmt: skip


@pytest.mark.parametrize("what", UNSET)
def test_clock_that_was_never_set_tells_no_time(what: dict[str, Any]) -> None:
    known = _known(**what)
    assert known.start is None
    assert set(known.warnings) == {"clock_unset"}
    assert "start" not in known.sources


def test_clock_that_was_never_set_leaves_the_next_source_and_that_is_told() -> None:
    known = _known("20240601_220000.wav", guano="Timestamp:1970-01-01T00:00:00Z")
    assert (known.start, known.sources["start"]) == (_utc(2024, 6, 1, 21), "name")
    assert set(known.warnings) == {"clock_disagrees"}
    assert "1970" in known.warnings["clock_disagrees"]


@pytest.mark.parametrize(
    ("name", "sheet", "start", "warning"),
    [
        # the hour that autumn has twice: the first one
        ("20241027_013000.wav", {}, _utc(2024, 10, 27, 0, 30), "clock_ambiguous"),
        ("20241027_005959.wav", {}, _utc(2024, 10, 26, 23, 59, 59), None),
        ("20241027_020000.wav", {}, _utc(2024, 10, 27, 2), None),
        ("20241103_013000.wav", {"timezone": "America/New_York"}, _utc(2024, 11, 3, 5, 30), "clock_ambiguous"),
        ("20240407_014500.wav", {"timezone": "Australia/Lord_Howe"}, _utc(2024, 4, 6, 14, 45), "clock_ambiguous"),
        ("20241027_013000.wav", {"clock": "UTC"}, _utc(2024, 10, 27, 1, 30), None),
        ("20241027_013000.wav", {"clock": "+01:00"}, _utc(2024, 10, 27, 0, 30), None),
        # the hour that spring has not: a clock that was not put forward
        ("20240331_013000.wav", {}, _utc(2024, 3, 31, 1, 30), "clock_skipped"),
        ("20240331_020000.wav", {}, _utc(2024, 3, 31, 1), None),
        ("20241006_021500.wav", {"timezone": "Australia/Lord_Howe"}, _utc(2024, 10, 5, 15, 45), "clock_skipped"),
        ("20240331_013000.wav", {"clock": "UTC"}, _utc(2024, 3, 31, 1, 30), None),
        ("20240331_013000.wav", {"clock": "+01:00"}, _utc(2024, 3, 31, 0, 30), None),
    ],
)
def test_hour_that_comes_twice_or_never(name: str, sheet: dict[str, Any], start: datetime, warning: str | None) -> None:
    known = _known(name, **sheet)
    assert known.start == start
    assert set(known.warnings) == ({warning} if warning else set())


@pytest.mark.parametrize(("offset", "hour"), [("+01:00", 0), ("+00:00", 1)])
def test_offset_tells_the_two_hours_apart(offset: str, hour: int) -> None:
    known = _known("20241027_013000.wav", guano=f"Timestamp:2024-10-27T01:30:00{offset}")
    assert (known.start, known.warnings) == (_utc(2024, 10, 27, hour, 30), {})


# sources that do not agree


@pytest.mark.parametrize(
    ("what", "start", "named"),
    [
        (dict(name="20240601_220002.wav", guano="Timestamp:2024-06-01T22:00:00"), _utc(2024, 6, 1, 21), None),
        (dict(name="20240601_220003.wav", guano="Timestamp:2024-06-01T22:00:00"), _utc(2024, 6, 1, 21), "name"),
        (dict(name="20240601_220000.wav", guano="Timestamp:2023-06-01T22:00:00Z"), _utc(2023, 6, 1, 22), "name"),
        # a name without an offset may be on that of the other source, or on that of the site
        (dict(name="20240601_220000.wav", guano="Timestamp:2024-06-01T22:00:00Z"), _utc(2024, 6, 1, 22), None),
        (dict(name="20240601_230000.wav", guano="Timestamp:2024-06-01T22:00:00Z"), _utc(2024, 6, 1, 22), None),
        (dict(name="20240601_210000.wav", guano="Timestamp:2024-06-01T22:00:00Z"), _utc(2024, 6, 1, 22), "name"),
        (dict(name="20240601T220000Z.wav", guano="Timestamp:2024-06-01T22:00:00+01:00"), _utc(2024, 6, 1, 21), "name"),
        # the third may be the one
        (
            dict(
                name="20240601_230500.WAV", guano="Timestamp:2024-06-01T22:00:00Z",
                comment=f"Recorded at 22:00:00 01/06/2024 (UTC) {BY}",
            ),
            _utc(2024, 6, 1, 22), "name",
        ),
        # by an hour, some AudioMoths are wrong in the comment and right in the name
        (
            dict(name="20240601_223000.WAV", comment=f"Recorded at 21:30:00 01/06/2024 (UTC+5:30) {BY}"),
            _utc(2024, 6, 1, 17), "name",
        ),
        (
            dict(name="20240601_203000.WAV", comment=f"Recorded at 21:30:00 01/06/2024 (UTC-3:30) {BY}"),
            _utc(2024, 6, 2, 0), "name",
        ),
        # by anything else, nobody knows that
        (
            dict(name="20240602_223000.WAV", comment=f"Recorded at 21:30:00 01/06/2024 (UTC+5:30) {BY}"),
            _utc(2024, 6, 1, 16), "name",
        ),
    ],
)  # fmt: skip
def test_disagreement_on_the_time_is_told(what: dict[str, Any], start: datetime, named: str | None) -> None:
    known = _known(**what)
    assert known.start == start
    assert len(known.warnings) == (1 if named else 0)
    assert set(known.warnings) <= {"clock_disagrees", "times_apart"}
    assert (named or "") in "".join(known.warnings.values())


@pytest.mark.parametrize(("seconds", "code"), [("02", None), ("03", "times_apart"), ("59", "times_apart")])
def test_a_name_some_seconds_off_is_no_wrong_clock(seconds: str, code: str | None) -> None:
    known = _known(name=f"20240601_2200{seconds}.wav", guano="Timestamp:2024-06-01T22:00:00")
    assert list(known.warnings) == ([code] if code else [])
    assert list(_known(name="20240601_220101.wav", guano="Timestamp:2024-06-01T22:00:00").warnings) == [
        "clock_disagrees"
    ]


@pytest.mark.parametrize(("hour", "source"), [(22, "name"), (21, "audiomoth")])
def test_known_error_of_an_audiomoth_is_mended_by_the_name(hour: int, source: str) -> None:
    comment = f"Recorded at 21:30:00 01/06/2024 (UTC+5:30) {BY}"
    known = _known(f"20240601_{hour}3000.WAV", comment=comment, timezone="Asia/Kolkata")
    assert known.sources["start"] == source


@pytest.mark.parametrize(
    ("sheet", "guano", "name", "told"),
    [
        ((51.5, -2.4), "51.5 -2.4", "x", None),
        ((51.5, -2.4), "51.5007 -2.4", "x", None),  # 78 m
        ((51.5, -2.4), "51.5 -2.4020", "x", "138 m from the site sheet"),
        ((51.5, -2.4), "-51.5 -2.4", "x", "from the site sheet"),
        ((51.5, -2.4), None, "51~6+-2~4_20240601_220000", "name"),
        ((None, None), "51.5 -2.4", "51~6+-2~4_20240601_220000", "name is 11119 m from guano"),
        ((None, None), "51.5 -2.4", "x", None),
        ((51.5, -2.4), None, "x", None),
        ((0.0, 180.0), "0 -180", "x", None),
    ],
)
def test_disagreement_on_the_position_is_told(
    sheet: tuple[float | None, float | None], guano: str | None, name: str, told: str | None
) -> None:
    known = _known(
        f"{name}.wav", guano=f"Loc Position:{guano}" if guano else None, latitude=sheet[0], longitude=sheet[1]
    )
    assert set(known.warnings) == ({"position_disagrees"} if told else set())
    assert (told or "") in known.warnings.get("position_disagrees", "")
    if guano:
        assert known.sources["position"] == "guano"


def test_distance_over_the_ends_of_the_map() -> None:
    assert metres_between(0, 179.9995, 0, -179.9995) == pytest.approx(111, abs=1)
    assert metres_between(90, 0, 90, 120) == pytest.approx(0, abs=1e-6)
    assert metres_between(0, 0, 0, 180) == pytest.approx(20_015_087, abs=10)


# slowed down or not


EXPANSIONS = [
    # nobody says anything
    (dict(rate=250_000), 1, None, set()),
    (dict(rate=38_400), 1, None, {"looks_expanded"}),
    (dict(rate=44_100), 1, None, {"looks_expanded"}),
    (dict(rate=38_400, name="20240601_220000.wav"), 1, None, {"looks_expanded"}),
    (dict(rate=16_000), 1, None, set()),
    # who would have said so
    (dict(rate=48_000, comment=f"Recorded at 22:00:00 01/06/2024 (UTC) {BY}"), 1, None, set()),
    (dict(rate=48_000, guano="Samplerate:48000"), 1, None, set()),
    (dict(rate=48_000, wamd=_wamd(expansion=1)), 1, "wamd", set()),
    # the file says so
    (dict(rate=38_400, guano="TE:10"), 10, "guano", set()),
    (dict(rate=38_400, guano="TE: 10.0\nSamplerate:384000"), 10, "guano", set()),
    (dict(rate=38_400, wamd=_wamd(expansion=10)), 10, "wamd", set()),
    (dict(rate=38_400, guano="Samplerate:384000"), 10, "guano", set()),
    (dict(rate=38_400, guano="Samplerate:384000\nLength:0.5"), 10, "guano", set()),
    (dict(rate=31_250, xml=_batlogger(Samplerate="312500")), 10, "batlogger", set()),
    (dict(rate=24_000, guano="Samplerate:384000"), 16, "guano", set()),
    # the file is one of fewer samples, or nobody can say what it is
    (dict(rate=38_400, guano="Samplerate:384000\nLength:5"), 1, None, {"rate_disagrees"}),
    (dict(rate=192_000, guano="Samplerate:384000"), 1, None, {"rate_disagrees"}),
    (dict(rate=250_000, guano="Samplerate:384000"), 1, None, {"rate_disagrees"}),
    (dict(rate=384_000, guano="Samplerate:38400"), 1, None, {"rate_disagrees"}),
    (dict(rate=384_000, guano="TE:10\nSamplerate:384000"), 10, "guano", {"rate_disagrees"}),
    # the site sheet goes before it
    (dict(rate=38_400, time_expansion=10.0), 10, "sheet", set()),
    (dict(rate=38_400, time_expansion=10.0, guano="TE:10"), 10, "sheet", set()),
    (dict(rate=38_400, time_expansion=10.0, guano="TE:8"), 10, "sheet", {"expansion_disagrees"}),
    (dict(rate=96_000, time_expansion=10.0, wamd=_wamd(expansion=1)), 10, "sheet", {"expansion_disagrees"}),
    (dict(rate=38_400, time_expansion=10.0, guano="Samplerate:38400"), 10, "sheet", {"rate_disagrees"}),
    # one source before the other
    (dict(rate=38_400, guano="TE:10", wamd=_wamd(expansion=8)), 10, "guano", {"expansion_disagrees"}),
    (dict(rate=38_400, guano="TE:1", wamd=_wamd(expansion=10)), 1, "guano", {"expansion_disagrees"}),
    # what cannot be is no factor
    (dict(rate=250_000, guano="TE:"), 1, None, set()),
    *((dict(rate=250_000, guano=f"TE:{wrong}"), 1, None, {"metadata"}) for wrong in ("0", "-10", "x", "inf", "9" * 400)),
    (dict(rate=250_000, guano="TE:100000"), 1, None, {"metadata"}),
    # nothing is known of the audio
    (dict(rate=0, guano="TE:10", time_expansion=8.0), 1, None, set()),
]  # fmt: skip


@pytest.mark.parametrize(("what", "factor", "source", "warnings"), EXPANSIONS)
def test_time_expansion(what: dict[str, Any], factor: float, source: str | None, warnings: set[str]) -> None:
    known = _known(**what)
    assert (known.time_expansion, known.sources.get("time_expansion")) == (factor, source)
    assert set(known.warnings) == warnings


@pytest.mark.parametrize(
    ("length", "duration_s", "factor", "told"),
    [
        (5, 5, 1, False),
        (5, 5.9, 1, False),
        (5, 6.1, 1, True),
        (5, 50, 10, False),
        (600, 611, 1, False),
        (5, 0, 1, True),
    ],
)
def test_disagreement_on_the_length_is_told(length: float, duration_s: float, factor: float, told: bool) -> None:
    known = _known(guano=f"Length:{length}\nTE:{factor}", duration_s=duration_s)
    assert set(known.warnings) == ({"length_disagrees"} if told else set())


def test_what_cannot_be_understood_is_told_with_its_source() -> None:
    known = _known(guano="Timestamp:yesterday\nTE:ten", comment=f"Recorded at 22:00:00 31/06/2024 (UTC) {BY}")
    assert set(known.warnings) == {"metadata"}
    assert all(word in known.warnings["metadata"] for word in ("guano", "yesterday", "ten", "audiomoth", "31/06/2024"))


@pytest.mark.parametrize(
    "rest",
    [
        "TE:ten", "TE:" + "9" * 400, "Loc Position:", "Loc Position:here", "Length: 5,0", "Samplerate: 384 furlongs",
        "a line without a colon", "Note:two\\nlines", "BATLOGGER|Trigger|x:1:2", ":", "\0\0\0",
    ],
)  # fmt: skip
def test_time_is_read_whatever_else_is_wrong(rest: str) -> None:
    known = _known(guano=f"{rest}\nTimestamp:2024-06-01T22:00:00+01:00")
    assert (known.start, known.sources["start"]) == (_utc(2024, 6, 1, 21), "guano")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "Recorded in the garden",
        "Recorded at (UTC)",
        f"Recorded at 25:00:00 01/06/2024 (UTC) {BY}",
        f"Recorded at 22:00:00 31/06/2024 (UTC) {BY}",
        f"Recorded at 22:00:00 01/06/2024 (UTC+99) {BY}",
    ],
)
@pytest.mark.parametrize("stamp", ["", "yesterday", "2024-13-01T22:00:00", "2024-06-01T22:00:00+25:00"])
def test_sources_that_tell_no_time_leave_the_name(comment: str, stamp: str) -> None:
    known = _known("20240601_220000.wav", guano=f"Timestamp:{stamp}", comment=comment)
    assert (known.start, known.sources["start"]) == (_utc(2024, 6, 1, 21), "name")


def test_nothing_known_is_nothing_told() -> None:
    assert _known("NoctuleFeedingBuzz.wav") == Known()


@given(
    st.datetimes(datetime(2001, 1, 2), datetime(2099, 12, 31)),
    st.sampled_from([LONDON, "UTC", "America/St_Johns", "Pacific/Auckland"]),
    st.sampled_from(["", "UTC", "+02:00", "-03:30"]),
)
def test_any_time_in_a_name_is_that_of_the_clock(moment: datetime, timezone: str, clock: str) -> None:
    moment = moment.replace(microsecond=0)
    known = _known(f"A_{moment:%Y%m%d_%H%M%S}.wav", timezone=timezone, clock=clock)
    assert known.start is not None
    shown = known.start.astimezone(zone(clock or timezone)).replace(tzinfo=None)
    assert shown == moment or "clock_skipped" in known.warnings


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.floats(-1e10, 1e10), st.floats(-3600, 3600))
def test_correction_is_the_same_for_every_source(moment: datetime, offset: float, drift: float) -> None:
    site = Deployment(
        "oak", None, None, LONDON, "/rec", clock_offset=offset, clock_drift=drift, first_night="2024-06-01"
    )
    known = _known(
        guano=f"Timestamp:{moment.isoformat()}Z", clock_offset=offset, clock_drift=drift, first_night="2024-06-01"
    )
    clock = moment.replace(tzinfo=UTC)
    if known.start:
        assert known.start == clock + correction_of(clock, site)
    else:
        assert set(known.warnings) == {"clock_unset"}


FACTS = st.builds(
    Facts,
    st.sampled_from(["guano", "wamd", "batlogger", "d500x", "audiomoth", "name"]),
    start=st.none() | st.datetimes(timezones=st.none() | st.timezones()),
    time_expansion=st.none() | st.floats(1, 1000),
    sample_rate_hz=st.none() | st.floats(1000, 1e7),
    duration_s=st.none() | st.floats(0, 1e7),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    serial=st.none() | st.text(max_size=5),
    problems=st.lists(st.text(max_size=5), max_size=2).map(tuple),
)
SHEETS = st.builds(
    Deployment, st.just("oak"), st.floats(-90, 90), st.floats(-180, 180), st.sampled_from([LONDON, "Pacific/Auckland"]),
    st.just("/rec"), time_expansion=st.floats(1, 1000), clock=st.sampled_from(["", "UTC", "+14:00", LONDON]),
    clock_offset=st.floats(-1e10, 1e10), clock_drift=st.floats(-3600, 3600), first_night=st.just("2024-06-01"),
)  # fmt: skip


@given(st.lists(FACTS, max_size=4), SHEETS, st.integers(0, 10**8), st.floats(0, 1e9))
@example(
    [Facts("name", start=datetime(9999, 12, 31, 23))], Deployment("oak", None, None, "Pacific/Auckland", "/"), 1, 0
)
@example([Facts("name", start=datetime(1, 1, 1))], Deployment("oak", None, None, "Pacific/Auckland", "/"), 1, 0)
def test_whatever_sources_say_breaks_nothing(
    sources: list[Facts], deployment: Deployment, rate: int, duration_s: float
) -> None:
    known = merge(sources, deployment, rate, duration_s)
    assert set(known.warnings) <= set(WARNINGS)
    assert known.start is None or (known.start.year > 2000 and known.start.astimezone(zone(deployment.timezone)))
    assert (known.start is None) == ("start" not in known.sources)
    assert 1 <= known.time_expansion <= 1000
    assert known.start is not None or "clock_unset" in known.warnings or not any(facts.start for facts in sources)


@given(st.text(max_size=40), st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=100))
@example("99991231_235959-0100", b"", b"", b"")
@example("20240601_220000+9959", b"\xff\xfeTimestamp", b"", b"")
@example("２０２４0601_220000", b"Timestamp:0001-01-01T00:00:00+14:00", b"", b"")
def test_no_bytes_break_anything(name: str, guano: bytes, wamd: bytes, rest: bytes) -> None:
    chunks = {"guan": guano, "wamd": wamd, "ICMT": rest, "IART": rest, "d500x": rest}
    sources = read_sources(PurePath("/rec") / name.replace("/", ""), chunks, rest)
    known = merge(sources, Deployment("oak", None, None, "Pacific/Auckland", "/rec"), 250_000, 5)
    assert known.start is None or known.start.year > 2000
