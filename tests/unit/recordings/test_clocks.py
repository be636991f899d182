"""When a recording began: every way in which recorders say it, and none of their ways to be wrong taken for the truth."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.recordings.clocks import Clock, Guano, read_guano, start_of

LONDON = "Europe/London"
BY_AUDIOMOTH = "by AudioMoth 24A04F08604F5C9A at medium gain while battery was 4.2V and temperature was 11.3C."


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def _by_name(name: str, zone: str = LONDON) -> Clock | None:
    return start_of(PurePath("/data/20190101") / name, {}, None, zone)


def _by_guano(text: str, zone: str = LONDON, name: str = "x.wav") -> Clock | None:
    return start_of(PurePath(name), {}, read_guano(text.encode()), zone)


def _by_comment(comment: str, zone: str = LONDON, name: str = "x.wav") -> Clock | None:
    return start_of(PurePath(name), {"ICMT": comment.encode("latin-1") + bytes(20)}, None, zone)


# file names


@pytest.mark.parametrize(
    ("name", "start"),
    [
        # Song Meter SM2, SM4, Mini
        ("SM4BAT_20240601_220000.wav", (2024, 6, 1, 21, 0)),
        ("S4U01234_20240601_220000_123.wav", (2024, 6, 1, 21, 0, 0, 123_000)),
        ("2MA01_20241201_220000.wav", (2024, 12, 1, 22, 0)),
        # SM3; $ stands for _ when GPS has set the clock
        ("SM3_0_20150718_031633.wav", (2015, 7, 18, 2, 16, 33)),
        ("SM3BAT_0+1_20150718$031633.wav", (2015, 7, 18, 2, 16, 33)),
        # Echo Meter Touch
        ("NYCLEI_20230816_212245.wav", (2023, 8, 16, 20, 22, 45)),
        ("NoID_20230816_212245.wav", (2023, 8, 16, 20, 22, 45)),
        # Anabat Swift
        ("2023-05-20 03-07-37.wav", (2023, 5, 20, 2, 7, 37)),
        # AudioMoth
        ("20240601_220000.WAV", (2024, 6, 1, 21, 0)),
        ("20240601_220000T.WAV", (2024, 6, 1, 21, 0)),
        ("20240601_220000_SYNC.WAV", (2024, 6, 1, 21, 0)),
        ("24A04F08604F5C9A_20240601_220000.WAV", (2024, 6, 1, 21, 0)),
        ("24A04F0820240502_20240601_220000T.WAV", (2024, 6, 1, 21, 0)),
        # Pettersson M500 with the iBats app, BTO pipeline, Vigie-Chiro, a recorder on an Android phone
        ("M500-20190704_030003.wav", (2019, 7, 4, 2, 0, 3)),
        ("50~8364+-3~7386_20230520_030737.wav", (2023, 5, 20, 2, 7, 37)),
        ("Car340319-2015-Pass1-G2-16701_0_20150718_031633_453.wav", (2015, 7, 18, 2, 16, 33, 453_000)),
        ("Cir106-2008-Pass1-Tron3_20080718_031633_000.wav", (2008, 7, 18, 2, 16, 33)),
        ("Ruisseau_de_Peyroules014903-D2_20140813_040521_598.wav", (2014, 8, 13, 3, 5, 21, 598_000)),
        # names with an offset
        ("20190309T020000+1000_REC [19.2052 152.8719].flac", (2019, 3, 8, 16, 0)),
        ("20190309T020000-0330.flac", (2019, 3, 9, 5, 30)),
        ("20190309T020000Z.flac", (2019, 3, 9, 2, 0)),
        ("2024-06-01T22-00-00.wav", (2024, 6, 1, 21, 0)),
    ],
)
def test_time_in_a_name(name: str, start: tuple[int, ...]) -> None:
    clock = _by_name(name)
    assert clock is not None
    assert (clock.start, clock.source) == (_utc(*start), "name")
    assert clock.start.utcoffset() == timedelta(0)


def test_smart_system_tells_millionths_of_a_second() -> None:
    clock = _by_name("Barn_20240601_220000_250000.wav")
    assert clock is not None
    assert abs(clock.start - _utc(2024, 6, 1, 21, 0)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("name", "start"),
    [("5A3C2F80.WAV", (2017, 12, 21, 22, 2, 40)), ("665B93B0.WAV", (2024, 6, 1, 21, 33, 36))],
)
def test_old_audiomoth_name_is_the_time_in_hexadecimal(name: str, start: tuple[int, ...]) -> None:
    # it is UTC, wherever the site is
    for zone in (LONDON, "Asia/Tokyo"):
        clock = _by_name(name, zone)
        assert clock is not None
        assert clock.start == _utc(*start)


@pytest.mark.parametrize(
    "name",
    [
        "REC00042.wav",
        "00120034.wav",  # Batlogger: four digits of the device, four of a counter
        "20240601.wav",
        "220000.wav",
        "20241301_220000.wav",  # no such month
        "20240230_220000.wav",
        "20230229_220000.wav",
        "20240601_250000.wav",
        "20240601_226000.wav",
        "20240601_2200.wav",
        "20240601_22000000.wav",
        "120240601_220000.wav",
        "00000000_000000.wav",
        "19700101_000000.wav",  # the clock was never set
        "19991230_235959.wav",
        "00000ABC.WAV",
        "00010101_000000.wav",
        "",
        ".wav",
    ],
)
@pytest.mark.parametrize("zone", [LONDON, "Pacific/Auckland", "America/Los_Angeles"])
def test_name_that_tells_no_time_or_one_that_cannot_be(name: str, zone: str) -> None:
    assert _by_name(name, zone) is None


@pytest.mark.parametrize("before", ["12345678_123456", "20241301_220000"])
def test_digits_that_are_no_time_do_not_hide_one(before: str) -> None:
    clock = _by_name(f"{before}_20240601_220000.wav")
    assert clock is not None
    assert clock.start == _utc(2024, 6, 1, 21, 0)


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 31)), st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%d %H-%M-%S"])
)
def test_any_time_in_a_name_is_the_time(moment: datetime, pattern: str) -> None:
    clock = _by_name(f"A_{moment:{pattern}}.wav", "UTC")
    assert clock == Clock(moment.replace(microsecond=0, tzinfo=UTC), 0.0, "name")


@given(st.text(max_size=40))
@example("99991231_235959")
@example("99991231_235959-0100")
@example("20240601_220000+9959")
@example("FFFFFFFF")
@example("２０２４0601_220000")
def test_no_name_breaks_anything(name: str) -> None:
    clock = start_of(PurePath("/x") / name.replace("/", ""), {}, None, "Pacific/Auckland")
    assert clock is None or clock.start >= _utc(2000, 1, 1)


# GUANO


@pytest.mark.parametrize(
    ("stamp", "start"),
    [
        ("2024-06-01T22:00:00", (2024, 6, 1, 21, 0)),
        ("2024-06-01 22:00:00", (2024, 6, 1, 21, 0)),
        ("2024-12-01T22:00:00", (2024, 12, 1, 22, 0)),
        ("2024-06-01T22:00:00Z", (2024, 6, 1, 22, 0)),
        ("2024-06-01T22:00:00+02:00", (2024, 6, 1, 20, 0)),
        ("2024-06-01T22:00:00-03:30", (2024, 6, 2, 1, 30)),
        ("2024-06-01T22:00:00+05:45", (2024, 6, 1, 16, 15)),
        ("2024-06-01T22:00:00.250", (2024, 6, 1, 21, 0, 0, 250_000)),
        ("2024-06-01T22:00:00.5+01:00", (2024, 6, 1, 21, 0, 0, 500_000)),
        ("2024-06-01T22:00:00.123456Z", (2024, 6, 1, 22, 0, 0, 123_456)),
    ],
)
def test_guano_time(stamp: str, start: tuple[int, ...]) -> None:
    text = f"GUANO|Version:1.0\nMake: Titley: Scientific\nTimestamp: {stamp}\nLoc Position:51.4 -2.4\n"
    clock = _by_guano(text, name="20240701_000000.wav")
    assert clock is not None
    assert (clock.start, clock.source) == (_utc(*start), "guano")


@pytest.mark.parametrize(
    "rest",
    [
        "TE:ten",
        "TE:",
        "TE:" + "9" * 400,
        "Loc Position:",
        "Loc Position:here",
        "Length: 5,0",
        "Samplerate: 384 kHz",
        "a line without a colon",
        "Note:two\\nlines",
        "BATLOGGER|Trigger|x:1:2",
        ":",
        "\0\0\0",
    ],
)
def test_time_is_read_whatever_else_is_wrong_with_the_metadata(rest: str) -> None:
    clock = _by_guano(f"GUANO|Version:1.0\n{rest}\nTimestamp:2024-06-01T22:00:00+01:00\n")
    assert clock == Clock(_utc(2024, 6, 1, 21, 0), 60.0, "guano")


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "yesterday",
        "2024-13-01T22:00:00",
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2024-06-01T22:00:00+25:00",
        "2024-06-01T22:00:00+99999999999999",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_guano_time_that_cannot_be_leaves_the_name(stamp: str) -> None:
    clock = _by_guano(f"GUANO|Version:1.0\nTimestamp:{stamp}\n", name="20240601_220000.wav")
    assert clock == Clock(_utc(2024, 6, 1, 21, 0), 60.0, "name")


@pytest.mark.parametrize(
    ("field", "factor"),
    [
        ("TE:10", 10.0),
        ("TE: 10.0", 10.0),
        ("TE:1", 1.0),
        ("TE:0", 1.0),
        ("TE:", 1.0),
        ("TE:-10", 1.0),
        ("", 1.0),
        ("TE:x", 1.0),
    ],
)
def test_guano_time_expansion(field: str, factor: float) -> None:
    guano = read_guano(f"GUANO|Version:1.0\nMake:Pettersson\n{field}\n".encode())
    assert guano is not None
    assert guano.time_expansion == factor


@pytest.mark.parametrize("factor", ["inf", "1e300", "9" * 400, "100000"])
def test_guano_time_expansion_that_cannot_be_is_none(factor: str) -> None:
    # a site sheet may say up to 1000
    guano = read_guano(f"GUANO|Version:1.0\nTE:{factor}\n".encode())
    assert guano is None or 1 <= guano.time_expansion <= 1000


@given(
    st.binary(max_size=200)
    | st.builds(lambda key, value: f"{key}:{value}".encode(), st.sampled_from(["TE", "Timestamp"]), st.text())
)
@example(b"\xff\xfeTimestamp")
def test_no_metadata_break_anything(chunk: bytes) -> None:
    logging.getLogger("guano").setLevel(logging.ERROR)
    guano = read_guano(chunk)
    clock = start_of(PurePath("x.wav"), {"guan": chunk, "ICMT": chunk}, guano, LONDON)
    assert clock is None or clock.start >= _utc(2000, 1, 1)


# the comment of an AudioMoth


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("UTC", (2024, 6, 1, 22, 0)),
        ("UTC+1", (2024, 6, 1, 21, 0)),
        ("UTC-5", (2024, 6, 2, 3, 0)),
        ("UTC+10", (2024, 6, 1, 12, 0)),
        ("UTC+5:30", (2024, 6, 1, 16, 30)),
        ("UTC-3:30", (2024, 6, 2, 1, 30)),
    ],
)
@pytest.mark.parametrize(
    "rest",
    [
        "by AudioMoth 24A04F08604F5C9A at gain setting 2 while battery state was 4.2V.",
        BY_AUDIOMOTH,
        "during deployment 24A04F08604F5C9A using external microphone at low gain while battery was greater than 4.9V.",
    ],
)
def test_audiomoth_comment(zone: str, start: tuple[int, ...], rest: str) -> None:
    clock = _by_comment(f"Recorded at 22:00:00 01/06/2024 ({zone}) {rest}", "Asia/Tokyo")
    assert clock is not None
    assert (clock.start, clock.source) == (_utc(*start), "audiomoth")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "Recorded in the garden",
        "Recorded at 22:00:00 31/06/2024 (UTC) " + BY_AUDIOMOTH,
        "Recorded at 25:00:00 01/06/2024 (UTC) " + BY_AUDIOMOTH,
        "Recorded at 00:00:00 01/01/1970 (UTC) " + BY_AUDIOMOTH,
        "Recorded at 22:00:00 01/06/2024 (UTC+99) " + BY_AUDIOMOTH,
    ],
)
def test_comment_that_tells_no_time_leaves_the_name(comment: str) -> None:
    clock = _by_comment(comment, name="20240601_220000.WAV")
    assert clock == Clock(_utc(2024, 6, 1, 21, 0), 60.0, "name")


# which source, and the offset of the site


def test_guano_goes_before_the_comment_and_the_comment_before_the_name() -> None:
    path = PurePath("20240603_000000.wav")
    chunks = {"ICMT": b"Recorded at 00:00:00 02/06/2024 (UTC)"}
    guano = Guano(datetime(2024, 6, 1), 1.0)
    found = [
        start_of(path, chunks, guano, "UTC"),
        start_of(path, chunks, None, "UTC"),
        start_of(path, {}, None, "UTC"),
    ]
    assert [(clock.source, clock.start.day) for clock in found if clock] == [
        ("guano", 1),
        ("audiomoth", 2),
        ("name", 3),
    ]


def test_clock_that_was_never_set_leaves_the_next_source() -> None:
    chunks = {"ICMT": b"Recorded at 22:00:00 01/06/2024 (UTC)"}
    clock = start_of(PurePath("19700101_000000.wav"), chunks, Guano(datetime(1970, 1, 1), 1.0), "UTC")
    assert clock == Clock(_utc(2024, 6, 1, 22), 0.0, "audiomoth")


@pytest.mark.parametrize(
    ("stamp", "zone", "offset"),
    [
        ("2024-06-01T22:00:00Z", LONDON, 60),
        ("2024-12-01T22:00:00+01:00", LONDON, 0),
        ("2024-06-01T22:00:00+02:00", "America/St_Johns", -150),
        ("2024-06-01T22:00:00", "Asia/Kathmandu", 345),
    ],
)
def test_offset_is_that_of_the_site_whatever_the_recorder_was_set_to(stamp: str, zone: str, offset: float) -> None:
    clock = _by_guano(f"GUANO|Version:1.0\nTimestamp:{stamp}\n", zone)
    assert clock is not None
    assert clock.offset_min == offset


def test_hour_that_autumn_has_twice_is_the_first_one_where_no_offset_tells() -> None:
    clock = _by_name("20241027_013000.wav")
    assert clock == Clock(_utc(2024, 10, 27, 0, 30), 60.0, "name")
    second = _by_guano("GUANO|Version:1.0\nTimestamp:2024-10-27T01:30:00+00:00\n")
    assert second == Clock(_utc(2024, 10, 27, 1, 30), 0.0, "guano")


def test_hour_that_spring_has_not_is_still_a_time() -> None:
    clock = _by_name("20240331_013000.wav")
    assert clock == Clock(_utc(2024, 3, 31, 1, 30), 60.0, "name")
