"""The XML beside the recordings of a Batlogger."""

import time
from datetime import datetime, timedelta, timezone
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.batlogger import read_batlogger

MANUAL = """<BatRecord>
<Firmware>2.0</Firmware>
<SN>1016</SN>
<Filename>10160435.wav</Filename>
<DateTime>28.04.2010 21:31:29</DateTime>
<Duration>2 Sec</Duration>
<Samplerate>312500 Hz</Samplerate>
<Temperature>26 C</Temperature>
<BattVoltage>3.92 V</BattVoltage>
<GPS>
<Valid>yes</Valid>
<Position>47.056358 8.251432</Position>
<Altitude>475.299988 m</Altitude>
<CH1903>661752/212022</CH1903>
<HDOP>1.140000</HDOP>
<GPSTimestamp>19:31:20+2h</GPSTimestamp>
<GPSAge>9 Sec</GPSAge>
</GPS>
<Trigger>
<TRIG_MODE>Crest</TRIG_MODE>
<Version>V1.0</Version>
<Event>AutoTriggerd</Event>
<PRETRIG_TIME_MS>500</PRETRIG_TIME_MS>
</Trigger>
</BatRecord>
"""
BATLOGGER_M = """\ufeff<?xml version="1.0" encoding="UTF-8"?>\r
<BatRecord Model="M">\r
\t<Firmware>2.3.3</Firmware>\r
\t<SN>1831</SN>\r
\t<Filename>18310643.wav</Filename>\r
\t<DateTime>30.04.2018 20:07:37</DateTime>\r
\t<Duration>1 Sec</Duration>\r
\t<Samplerate>312500 Hz</Samplerate>\r
\t<Temperature>18 C</Temperature>\r
\t<BattVoltage>4.0 V</BattVoltage>\r
\t<GPS>\r
\t\t<Valid>yes</Valid>\r
\t\t<Position>45.611915 16.408245</Position>\r
\t\t<CH1903>1298348/ 91150</CH1903>\r
\t\t<GPSTimestamp>20:07:34+2h</GPSTimestamp>\r
\t</GPS>\r
\t<Trigger>\r
\t\t<TRIG_MODE>Crest Adv</TRIG_MODE>\r
\t\t<Event>AutoTriggered</Event>\r
\t\t<TRIG_PAR6>7</TRIG_PAR6>\r
\t\t<TrigValue0>5</TrigValue0>\r
\t</Trigger>\r
</BatRecord>\r
"""
BATSPY = """<BatRecord>
<FileName>a.wav</FileName>
<DateTime>01.08.2024 22:00:01</DateTime>
<SN>7</SN>
<Samplerate>384000 Hz</Samplerate>
<Gain>48dB</Gain>
<InputFilter>None</InputFilter>
<Trigger>
<TriggerType>Freq</TriggerType>
<Level>-10.000000 dB</Level>
</Trigger>
<Duration>2.500000 Sec</Duration>
<PeakValue>80.000000 %</PeakValue>
<GPS>
<Position>0.000000 0.000000</Position>
</GPS>
<Temparature>21.500000 °C</Temparature>
</BatRecord>
"""
ALL = (MANUAL, BATLOGGER_M, BATSPY)


def read(text: str) -> Facts:
    facts = read_batlogger(text.encode())
    assert facts is not None
    return facts


def with_element(path: str, value: str) -> Facts:
    name, _, below = path.partition("/")
    inner = f"<{below}>{value}</{below}>" if below else value
    return read(f"<BatRecord><SN>1</SN><{name}>{inner}</{name}></BatRecord>")


def test_file_of_the_manual() -> None:
    assert read(MANUAL) == Facts(
        "batlogger",
        start=datetime(2010, 4, 28, 21, 31, 29, tzinfo=timezone(timedelta(hours=2))),
        sample_rate_hz=312_500,
        duration_s=2,
        latitude=47.056358,
        longitude=8.251432,
        make="Elekon",
        model="Batlogger",
        serial="1016",
        firmware="2.0",
        trigger="Crest, version V1.0, event AutoTriggerd, pretrig_time_ms 500",
        temperature_c=26,
        battery_v=3.92,
    )


def test_batlogger_m() -> None:
    facts = read(BATLOGGER_M)
    assert facts.start == datetime(2018, 4, 30, 20, 7, 37)
    assert facts.start.tzinfo is None  # the time of GPS is local here, so it proves no offset
    assert (facts.model, facts.serial, facts.battery_v) == ("Batlogger M", "1831", 4.0)
    assert facts.trigger == "Crest Adv, event AutoTriggered, trig_par6 7"
    assert (facts.latitude, facts.longitude, facts.problems) == (45.611915, 16.408245, ())


def test_other_makers_are_not_taken_for_elekon() -> None:
    facts = read(BATSPY)
    assert (facts.make, facts.model, facts.gain, facts.temperature_c) == (None, None, "48dB", 21.5)
    assert (facts.trigger, facts.duration_s) == ("triggertype Freq, level -10.000000 dB", 2.5)
    assert (facts.latitude, facts.problems) == (None, ())
    latin = read_batlogger(BATSPY.encode("latin-1"))
    assert latin is not None
    assert (latin.temperature_c, latin.problems) == (21.5, ())


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        ("<Valid>never</Valid>", (None, 0)),
        ("<Valid>no</Valid><Position>47.1 8.1</Position>", (None, 0)),
        ("<Position>47.1 8.1</Position>", (47.1, 0)),
        ("<Valid>yes</Valid><Position>47.1 N 8.1 E</Position>", (47.1, 0)),
        ("<Valid>yes</Valid><Position>N 47.1, E 8.1</Position>", (47.1, 0)),
        ("<Valid>yes</Valid><Position>661752/212022</Position>", (None, 1)),
        ("<Valid>yes</Valid><Position>2661752 1212022</Position>", (None, 1)),
        ("<Valid>yes</Valid><CH1903>661752/212022</CH1903>", (None, 1)),
        ("", (None, 0)),
    ],
)
def test_position(gps: str, expected: tuple[float | None, int]) -> None:
    facts = with_element("GPS", gps)
    assert (facts.latitude, len(facts.problems)) == expected
    assert (facts.longitude is None) == (facts.latitude is None)


@pytest.mark.parametrize(
    ("clock", "gps", "offset"),
    [
        ("28.04.2010 21:31:29", "19:31:20+2h", 2),
        ("29.04.2010 00:00:10", "22:00:15+2h", 2),
        ("28.04.2010 17:31:29", "22:31:20-5h", -5),
        ("28.04.2010 23:59:59", "05:00:20-5h", -5),
        ("28.04.2010 21:31:29", "21:31:20+2h", None),
        ("28.04.2010 21:31:29", "21:31:20+0h", None),
        ("28.04.2010 21:31:29", "03:31:20+18h", None),
        ("28.04.2010 21:31:29", "99:99:99+2h", None),
        ("28.04.2010 21:31:29", "nonsense", None),
    ],
)
def test_offset_only_where_the_time_of_gps_proves_it(clock: str, gps: str, offset: float | None) -> None:
    facts = read(
        f"<BatRecord><DateTime>{clock}</DateTime><GPS><Valid>yes</Valid><GPSTimestamp>{gps}</GPSTimestamp></GPS>"
        "</BatRecord>"
    )
    assert facts.start is not None
    assert facts.start.utcoffset() == (None if offset is None else timedelta(hours=offset))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.8.2024 2:00:01", datetime(2024, 8, 1, 2, 0, 1)),
        ("01.08.2024 22:00:01.250", datetime(2024, 8, 1, 22, 0, 1, 250_000)),
        ("2024-08-01T22:00:01", datetime(2024, 8, 1, 22, 0, 1)),
        ("31.02.2024 22:00:01", None),
        ("08/01/2024 22:00:01", None),
    ],
)
def test_start(text: str, expected: datetime | None) -> None:
    facts = with_element("DateTime", text)
    assert (facts.start, len(facts.problems)) == (expected, expected is None)


@pytest.mark.parametrize(
    ("path", "text", "field", "expected"),
    [
        ("Samplerate", "384 kHz", "sample_rate_hz", 384_000),
        ("Samplerate", "312500", "sample_rate_hz", 312_500),
        ("Samplerate", "1 Hz", "sample_rate_hz", None),
        ("Duration", "1.5 s", "duration_s", 1.5),
        ("Duration", "nan Sec", "duration_s", None),
        ("Temperature", "-3.5 °C", "temperature_c", -3.5),
        ("Temperature", "60 F", "temperature_c", None),
        ("BattVoltage", "3920 mV", "battery_v", 3.92),
        ("BattVoltage", "full", "battery_v", None),
    ],
)
def test_numbers_with_units(path: str, text: str, field: str, expected: float | None) -> None:
    facts = with_element(path, text)
    assert getattr(facts, field) == expected
    assert len(facts.problems) == (expected is None)


def test_no_trigger_is_not_the_same_as_none() -> None:
    assert read("<BatRecord><SN>1</SN><Trigger/></BatRecord>").trigger is None


def test_utf_16() -> None:
    facts = read_batlogger(MANUAL.encode("utf-16"))
    assert facts is not None
    assert (facts.serial, facts.problems) == ("1016", ())


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    facts = read(MANUAL[: MANUAL.index("2500 Hz")])
    assert (facts.serial, facts.sample_rate_hz, len(facts.problems)) == ("1016", None, 1)
    facts = read(MANUAL + "\0" * 100)
    assert facts.problems == ()


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(97 + i)} "{f"&{chr(96 + i)};" * 10}">' for i in range(1, 10))
    + "]><BatRecord><SN>&j;</SN></BatRecord>"
)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\0\0", "BatRecord", "<x/>", "<Bat", "<NotBatRecord><BatRecord/></NotBatRecord>", BOMB,
        '<!DOCTYPE BatRecord SYSTEM "file:///etc/passwd"><BatRecord><SN>1</SN></BatRecord>',
        '<!DOCTYPE BatRecord [<!ENTITY x SYSTEM "file:///etc/passwd">]><BatRecord><SN>&x;</SN></BatRecord>',
        "<BatRecord>" + "<a>" * 100_000,
        "<BatRecord>" + "".join(f"<a{i}>1</a{i}>" for i in range(20_000)) + "</BatRecord>",
        "<BatRecord><SN>" + "1" * (1 << 20) + "</SN></BatRecord>",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    began = time.perf_counter()
    assert read_batlogger(text.encode()) is None
    assert read_batlogger(text.encode("utf-16")) is None
    assert time.perf_counter() - began < 5


def test_an_encoding_that_does_not_exist() -> None:
    facts = read('<?xml version="1.0" encoding="klingon"?><BatRecord><SN>1</SN></BatRecord>')
    assert (facts.serial, facts.problems) == ("1", ())


def check(facts: Facts | None) -> None:
    if facts is None:
        return
    for name, limit in (
        ("latitude", 90),
        ("longitude", 180),
        ("temperature_c", 150),
        ("battery_v", 100),
        ("duration_s", 1e7),
    ):
        value = getattr(facts, name)
        assert value is None or (isfinite(value) and abs(value) <= limit)
    assert facts.trigger != ""
    for text in (facts.make, facts.model, facts.serial, facts.firmware, facts.gain, facts.trigger):
        assert text is None or (text.isprintable() and len(text) <= 200)
    assert len(facts.problems) <= 5
    assert all(problem.isprintable() and len(problem) < 100 for problem in facts.problems)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(read_batlogger(content))
    check(read_batlogger(b"<BatRecord>" + content))
    check(read_batlogger(b"\xff\xfe" + content))


NAMES = ("SN", "DateTime", "Duration", "Samplerate", "Temperature", "BattVoltage", "Firmware", "Gain", "PeakValue")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=120)), st.text(max_size=60), st.text(max_size=60))
def test_any_values(elements: dict[str, str], gps: str, trigger: str) -> None:
    body = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in elements.items())
    body += (
        f"<GPS><Position>{gps}</Position><GPSTimestamp>{gps}</GPSTimestamp></GPS><Trigger><X>{trigger}</X></Trigger>"
    )
    check(read_batlogger(f"<BatRecord>{body}</BatRecord>".encode("utf-8", "surrogatepass")))


@given(st.sampled_from(ALL), st.data())
def test_damaged_files(text: str, data: st.DataObject) -> None:
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(read_batlogger(bytes(content)))


@pytest.mark.parametrize("text", ALL)
def test_files_cut_off_anywhere(text: str) -> None:
    content = text.encode()
    for end in range(len(content)):
        check(read_batlogger(content[:end]))
