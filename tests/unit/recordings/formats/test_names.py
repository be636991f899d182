"""What file names say: the forms of every recorder, and none of what merely looks like one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.names import read_name

ID = "24A04F0864BF5C9A"


def _start(name: str, folder: str = "") -> datetime | None:
    facts = read_name(name, folder)
    return facts.start if facts else None


def _at(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        # Song Meter SM2, SM4, Mini; with milliseconds when triggered
        ("SM4BAT_20240601_220000.wav", (2024, 6, 1, 22)),
        ("S4U01234_20240601_220000_123.wav", (2024, 6, 1, 22, 0, 0, 123_000)),
        ("2MA01_20241201_220000.wav", (2024, 12, 1, 22)),
        ("20221002_080000_Rec.wav", (2022, 10, 2, 8)),
        # SM3; $ stands for _ when GPS has set the clock
        ("SM3_0_20150718_031633.wav", (2015, 7, 18, 3, 16, 33)),
        ("SM3_1_20150718_031633.wav", (2015, 7, 18, 3, 16, 33)),
        ("SM3BAT_0+1_20150718_031633.wav", (2015, 7, 18, 3, 16, 33)),
        ("SM3BAT_0+1_20150718$031633.wav", (2015, 7, 18, 3, 16, 33)),
        ("SM3BAT_0_20150718$031633.w4v", (2015, 7, 18, 3, 16, 33)),
        # SMART
        ("Barn_20240601_220000_250000.wav", (2024, 6, 1, 22, 0, 0, 250_000)),
        ("Barn_20240601_220000_000001.zc", (2024, 6, 1, 22, 0, 0, 1)),
        # Echo Meter Touch
        ("NYCLEI_20230816_212245.wav", (2023, 8, 16, 21, 22, 45)),
        ("NoID_20230816_212245.wav", (2023, 8, 16, 21, 22, 45)),
        # Anabat Swift
        ("2023-05-20 03-07-37.wav", (2023, 5, 20, 3, 7, 37)),
        # AudioMoth, and what AudioMoth-Utils makes of its files
        ("20240601_213000.WAV", (2024, 6, 1, 21, 30)),
        ("20240601_213000_SYNC.WAV", (2024, 6, 1, 21, 30)),
        ("20240601_213000_250.WAV", (2024, 6, 1, 21, 30, 0, 250_000)),
        ("Wood_20240601_213000.WAV", (2024, 6, 1, 21, 30)),
        # Pettersson M500 with the iBats app, BTO Acoustic Pipeline, Vigie-Chiro, Android
        ("M500-20190704_030003.wav", (2019, 7, 4, 3, 0, 3)),
        ("50~8364+-3~7386_20230520_030737.wav", (2023, 5, 20, 3, 7, 37)),
        ("Car340319-2015-Pass1-G2-16701_0_20150718_031633_453.wav", (2015, 7, 18, 3, 16, 33, 453_000)),
        ("Cir106-2008-Pass1-Tron3_20080718_031633_000.wav", (2008, 7, 18, 3, 16, 33)),
        ("Car40663-2014-Pass2-D2-RC-04_0_0_20140922_033604_000.wav", (2014, 9, 22, 3, 36, 4)),
        ("Ruisseau_de_Peyroules014903-D2_20140813_040521_598.wav", (2014, 8, 13, 4, 5, 21, 598_000)),
        ("o_o_Col_de_Roncevaux_ferme_abandonnee10250_20140725_081655_173.wav", (2014, 7, 25, 8, 16, 55, 173_000)),
        ("20160809_063108_Dawn _1.4647 116.9136_.wav", (2016, 8, 9, 6, 31, 8)),
        # plain times
        ("20240601213000.wav", (2024, 6, 1, 21, 30)),
        ("bat20240601213000x.wav", (2024, 6, 1, 21, 30)),
        ("2024-06-01T21-30-00.wav", (2024, 6, 1, 21, 30)),
        ("20240601T213000.wav", (2024, 6, 1, 21, 30)),
        ("20240601-213000.wav", (2024, 6, 1, 21, 30)),
        ("20240601_213000", (2024, 6, 1, 21, 30)),
        # a counter is no offset from UTC
        ("20240601_213000-0001.wav", (2024, 6, 1, 21, 30)),
        ("20240601_213000-4711.wav", (2024, 6, 1, 21, 30)),
        # what is no time does not hide one
        ("12345678_123456_20240601_213000.wav", (2024, 6, 1, 21, 30)),
        ("20241301_220000_20240601_213000.wav", (2024, 6, 1, 21, 30)),
    ],
)
def test_time_by_the_clock_of_the_recorder(name: str, start: tuple[int, ...]) -> None:
    when = _start(name)
    assert when == _at(*start)
    assert when.tzinfo is None


@pytest.mark.parametrize(
    ("name", "start", "offset_h"),
    [
        ("20190309T020000+1000_REC [19.2052 152.8719].flac", (2019, 3, 9, 2), 10),
        ("20190309T020000-0330.flac", (2019, 3, 9, 2), -3.5),
        ("20190309T020000Z.flac", (2019, 3, 9, 2), 0),
        ("2024-06-01T21-30-00Z.wav", (2024, 6, 1, 21, 30), 0),
        ("20190309T020000+1345.flac", (2019, 3, 9, 2), 13.75),
    ],
)
def test_time_with_an_offset(name: str, start: tuple[int, ...], offset_h: float) -> None:
    when = _start(name)
    assert when == _at(*start).replace(tzinfo=timezone(timedelta(hours=offset_h)))
    assert when.utcoffset() == timedelta(hours=offset_h)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("5A3C2F80.WAV", (2017, 12, 21, 22, 2, 40)),
        ("665B93B0.WAV", (2024, 6, 1, 21, 33, 36)),
        ("5A3C2F80.wav", (2017, 12, 21, 22, 2, 40)),
        ("5A3C2F80.flac", (2017, 12, 21, 22, 2, 40)),
        ("58392017.WAV", (2016, 11, 26, 5, 39, 35)),
        ("59999999.WAV", (2017, 8, 20, 14, 15, 53)),
    ],
)
def test_hexadecimal_name_is_utc(name: str, start: tuple[int, ...]) -> None:
    assert _start(name) == _at(*start).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "REC00042.wav",
        "20240601.wav",
        "20240601.WAV",
        "20240601.flac",
        "58392017.wav",  # a Batlogger's
        "58392017.flac",
        "10000000.WAV",  # in hexadecimal 1978
        "220000.wav",
        "20241301_220000.wav",  # no such month
        "20240230_220000.wav",
        "20230229_220000.wav",
        "20240601_250000.wav",
        "20240601_226000.wav",
        "20240601_2200.wav",
        "20240601_22000000.wav",
        "120240601_220000.wav",
        "myonat-20220708_22135.wav",
        "00000000_000000.wav",
        "00000ABC.WAV",  # the clock was never set
        "4F000000.WAV",  # before the first AudioMoth
        "FFFFFFFF.WAV",
        "5a3c2f80.WAV",
        "5A3C2F8.WAV",
        "5A3C2F80A.WAV",
        "Cir123-2015-Pass2-Tron4-Chiro_1_00270_000.wav",
        "NoctuleFeedingBuzz.wav",
        "rhino_hippo_nov_9_2019_02.wav",
        "",
        ".wav",
    ],
)
def test_name_that_tells_no_time(name: str) -> None:
    assert _start(name) is None


@pytest.mark.parametrize(
    ("name", "folder", "start"),
    [
        ("213000.WAV", "20240601", _at(2024, 6, 1, 21, 30)),
        ("213000T.WAV", "/cards/A1/20240601", _at(2024, 6, 1, 21, 30)),
        ("213000.WAV", "C:\\cards\\20240601\\", _at(2024, 6, 1, 21, 30)),
        ("20240602_013000.WAV", "20240601", _at(2024, 6, 2, 1, 30)),
        (f"{ID}_20240602_013000.WAV", "20240601", _at(2024, 6, 2, 1, 30)),
        ("213000.WAV", "20241301", None),
        ("253000.WAV", "20240601", None),
        ("213000.wav", "20240601", None),  # an AudioMoth's ending is in capitals
        ("213000.WAV", "20240601/other", None),
        ("213000.WAV", "", None),
    ],
)
def test_daily_folder(name: str, folder: str, start: datetime | None) -> None:
    assert _start(name, folder) == start


@pytest.mark.parametrize(
    ("name", "folder", "triggered"),
    [
        ("20240601_213000T.WAV", "", True),
        (f"{ID}_20240601_213000T.WAV", "", True),
        ("Wood_20240601_213000T.WAV", "", True),
        ("213000T.WAV", "20240601", True),
        ("20240601_213000.WAV", "", False),
        ("20240601_213000_SYNC.WAV", "", False),
        ("20240601T213000.WAV", "", False),
        ("20240601_213000_T.WAV", "", False),
        ("123456T.WAV", "", False),
    ],
)
def test_trigger(name: str, folder: str, triggered: bool) -> None:
    facts = read_name(name, folder)
    assert (facts.trigger if facts else None) == ("T.WAV" if triggered else None)


@pytest.mark.parametrize(
    ("name", "serial"),
    [
        (f"{ID}_20240601_213000.WAV", ID),
        (f"{ID}_20240601_213000T.WAV", ID),
        (f"Wood_{ID}_20240601_213000_SYNC.WAV", ID),
        ("24A04F0820240502_20240601_220000T.WAV", "24A04F0820240502"),
        ("12340001.wav", "1234"),
        ("00120034.wav", "0012"),
        ("58392017.wav", "5839"),
        ("58392017.WAV", None),
        ("12340001.WAV", None),
        ("20240601.wav", None),
        ("1234001.wav", None),
        ("S4U01234_20240601_220000.wav", None),  # the prefix of a Song Meter is the user's
        (f"x{ID}_20240601_213000.WAV", None),
        (f"{ID}.WAV", None),
    ],
)
def test_serial_number(name: str, serial: str | None) -> None:
    facts = read_name(name)
    assert (facts.serial if facts else None) == serial


def test_date_in_a_serial_number_is_none() -> None:
    assert _start("24A04F0820240502_20240601_220000T.WAV") == _at(2024, 6, 1, 22)


@pytest.mark.parametrize(
    ("name", "position"),
    [
        ("50~8364+-3~7386_20230520_030737.wav", (50.8364, -3.7386)),
        ("-36~1+174~75_20230520_030737.wav", (-36.1, 174.75)),
        ("20190309T020000+1000_REC [19.2052 152.8719].flac", (19.2052, 152.8719)),
        ("20181101_050000_REC [-27.3866 152.8761].flac", (-27.3866, 152.8761)),
        ("20160809_063108_Dawn _1.4647 116.9136_.wav", (1.4647, 116.9136)),
        ("20160809_063108_Dawn _1.4647 116.9136_", (1.4647, 116.9136)),
        ("20160809_063108.wav", (None, None)),
        ("20160809_063108_v1.2.wav", (None, None)),
    ],
)
def test_position(name: str, position: tuple[float | None, float | None]) -> None:
    facts = read_name(name)
    assert facts is not None
    assert (facts.latitude, facts.longitude) == position
    assert facts.problems == ()


def test_position_that_is_none_on_earth_is_a_problem() -> None:
    facts = read_name("20190309T020000_REC [91.5 152.8719].flac")
    assert facts == Facts("name", start=_at(2019, 3, 9, 2), problems=("no such position: 91.5 152.8719",))


@pytest.mark.parametrize("name", ["", ".wav", "NoctuleFeedingBuzz.wav", "220000.wav", "20240601.wav", "a.b.c"])
def test_name_that_tells_nothing(name: str) -> None:
    assert read_name(name) is None


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
    st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%d %H-%M-%S", "%Y%m%dT%H%M%S", "%Y%m%d$%H%M%S", "%Y%m%d%H%M%S"]),
    st.sampled_from(["", "A_", "SM3_0+1_", "Car1-2015-Pass1_"]),
)
def test_any_time_in_a_name_is_the_time(moment: datetime, pattern: str, prefix: str) -> None:
    assert _start(f"{prefix}{moment:{pattern}}.wav") == moment.replace(microsecond=0)


@given(st.datetimes(datetime(2014, 1, 1), datetime(2099, 12, 31)))
def test_any_old_audiomoth_name_is_the_time(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert _start(f"{int(moment.timestamp()):08X}.WAV") == moment


@given(st.text(max_size=60), st.text(max_size=20))
@example("99991231_235959", "")
@example("99991231_235959_999", "")
@example("99991231_235959-0100", "")
@example("00010101_000000+1400", "")
@example("20240601_220000+9959", "")
@example("FFFFFFFF.WAV", "")
@example("２０２４0601_220000", "２０２４0601")
@example("[" * 5000 + "1.1 2.2]", "/" * 5000)
@example("1" * 5000 + ".WAV", "")
@example("1~" * 5000, "")
@example("20240601_" * 2000 + "T.WAV", "")
def test_no_name_breaks_anything(name: str, folder: str) -> None:
    facts = read_name(name, folder)
    assert facts is None or facts.source == "name"


@given(st.from_regex(r"[0-9A-FT_+~ .\[\]$Z-]{0,50}(\.wav|\.WAV)?", fullmatch=True))
def test_no_name_of_the_signs_of_names_breaks_anything(name: str) -> None:
    facts = read_name(name, "20240601")
    if facts and facts.latitude is not None and facts.longitude is not None:
        assert abs(facts.latitude) <= 90
        assert abs(facts.longitude) <= 180
