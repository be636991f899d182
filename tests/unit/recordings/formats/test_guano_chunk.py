"""GUANO chunks as recorders write them, and as nobody should."""

import struct
import time
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import MAX_PROBLEMS, PROBLEM_LENGTH, number, position, time_stamp
from batpam.recordings.formats.guano import guano_fields, read_guano

AUDIOMOTH = (
    "GUANO|Version:1.0\nMake:Open Acoustic Devices\nModel:AudioMoth\nSerial:249C600363FA5E80\n"
    "OAD|Deployment ID:0123456789ABCDEF\nFirmware Version:AudioMoth-Firmware-Basic (1.11.1)\n"
    "Timestamp:2025-06-16T21:46:32-03:30\nLoc Position:51.70 -1.26\nOAD|Loc Source:Configuration app\n"
    "Original Filename:20250616_214632T.WAV\n"
    "OAD|Recording Settings:384000 GAIN 2 HPF 8000 AMP 0.5% 5\nOAD|Battery Voltage:4.2\nTemperature Int:-0.5"
)
MINI_BAT = (
    "GUANO|Version:1.0\nFirmware Version:4.6\nMake:Wildlife Acoustics, Inc.\nModel:Song Meter Mini Bat\n"
    "Serial:SMU06612\nWA|Song Meter|Prefix:1\n"
    'WA|Song Meter|Audio settings:[{"rate":256000,"gain":12,"trig window":3.0,"trig max len":15.0,'
    '"trig min freq":30000,"trig max freq":128000,"trig min dur":0.0015,"trig max dur":0.0000}]\n'
    "Length:4.208\nOriginal Filename:1_20250302_205016.wav\nTimestamp:2025-03-02 20:50:16+13:00\n"
    "Loc Position:-37.00403 174.57577\nTemperature Int:20.75\nSamplerate:256000\n\0"
)
MINI = (
    "GUANO|Version:1.0\nFirmware Version:1.1\nMake:Wildlife Acoustics, Inc.\nModel:Song Meter Mini\nSerial:SMA00646\n"
    'WA|Song Meter|Prefix:SMA00646\nWA|Song Meter|Audio settings:[{"rate":24000,"gain":18}]\nLength:300.000\n'
    "Original Filename:SMA00646_20201017_130500.wav\nTimestamp:2020-10-17 13:05:00+1:00\n"
    "Loc Position:54.75656 -1.59106\nTemperature Int:21.25\nSamplerate:24000\n"
)
BATLOGGER = (
    "GUANO|Version: 1.0\nMake: BATLOGGER\nModel: C2\nSerial: 23240008\nFirmware Version: 0.0.19\n"
    "Timestamp: 2023-07-05T21:44:52\nLength: 1.50\nTemperature Ext: 19.7\nLoc Position: 47.046829 8.301089\n"
    "BATLOGGER|Trigger|Frequency: 23.6\n"
)
SPECIFICATION = (
    "GUANO|Version:  1.0\n\nTimestamp:  2012-03-29T03:58:01+04:00\nSpecies Auto ID:  MYLU\nSpecies Manual ID:  Myosod\n"
    "Tags:  hand-release, voucher, workshop\nNote:  Hand release of male Indiana Bat\\nReleased in low clutter: 100m.\n"
    "TE:  1\nSamplerate:  500000\nLength:  6.5\nFilter HP:  20.0\nMake:  Pettersson\nModel:  D1000X\n"
    "Loc Position:  37.1878016 -86.1057312\nLoc Accuracy:  20\nLoc Elevation:  228.6\n\nSB|Version:  3.4\n"
    "SB|Filter:  20kHz Anti-Katydid\n\nPET|Gain:  80\nPET|Firmware:  1.0.4 (2009-11-25)\n"
)
TITLEY = (
    "GUANO|Version: 1.0\nTimestamp: 2023-05-20T03:07:37.5+10:00\nMake: Titley Scientific\nModel: Chorus\nSerial: 1234\n"
    "Anabat|Battery voltage: 4.99\nAnabat|Gain (A): 3\nAnabat|Microphone: Acoustic\nTemperature Ext: 11.5\n"
)
ALL = (AUDIOMOTH, MINI_BAT, MINI, BATLOGGER, SPECIFICATION, TITLEY)


def read(text: str) -> Facts:
    facts = read_guano(text.encode())
    assert facts is not None
    return facts


def hours(value: float) -> timezone:
    return timezone(timedelta(hours=value))


def test_audiomoth() -> None:
    assert read(AUDIOMOTH) == Facts(
        "guano",
        start=datetime(2025, 6, 16, 21, 46, 32, tzinfo=hours(-3.5)),
        sample_rate_hz=384_000,
        latitude=51.70,
        longitude=-1.26,
        make="Open Acoustic Devices",
        model="AudioMoth",
        serial="249C600363FA5E80",
        firmware="AudioMoth-Firmware-Basic (1.11.1)",
        gain="medium",
        trigger="AMP 0.5% 5",
        temperature_c=-0.5,
        battery_v=4.2,
    )


@pytest.mark.parametrize(
    ("settings", "gain", "trigger", "rate"),
    [
        ("250000 GAIN 0", "low", "", 250_000),
        ("384000 GAIN 4 LPF 20000 LGR D48 ESM", "high, low gain range", "", 384_000),
        ("384000 GAIN 3 FREQ 40000 128 0.01% 1 BPF 20000 100000", "medium-high", "FREQ 40000 128 0.01% 1", 384_000),
        ("192000 GAIN 1 AMP 0dB 10 D48", "low-medium", "AMP 0dB 10", 192_000),
        ("192000 GAIN 1 AMP 1024 0", "low-medium", "AMP 1024 0", 192_000),
        ("192000 GAIN 7", "7", "", 192_000),
        ("GAIN 2", "medium", "", None),
        ("192000", None, None, None),
        ("192000 GAIN", None, None, None),
    ],
)
def test_settings_of_an_audiomoth(settings: str, gain: str | None, trigger: str | None, rate: float | None) -> None:
    facts = read(f"GUANO|Version:1.0\nOAD|Recording Settings:{settings}\nOAD|Battery Voltage:2.4")
    assert (facts.gain, facts.trigger, facts.sample_rate_hz, facts.battery_v) == (gain, trigger, rate, 2.4)
    assert bool(facts.problems) == (gain is None)


def test_song_meter_mini_bat() -> None:
    facts = read(MINI_BAT)
    assert facts.start == datetime(2025, 3, 2, 20, 50, 16, tzinfo=hours(13))
    assert (facts.latitude, facts.longitude, facts.temperature_c) == (-37.00403, 174.57577, 20.75)
    assert (facts.make, facts.model, facts.serial) == ("Wildlife Acoustics, Inc.", "Song Meter Mini Bat", "SMU06612")
    assert (facts.firmware, facts.sample_rate_hz, facts.duration_s) == ("4.6", 256_000, 4.208)
    assert facts.gain == "12 dB"
    assert facts.trigger is not None
    assert facts.trigger.startswith("trig window 3.0, trig max len 15.0, trig min freq 30000")
    assert facts.problems == ()


def test_song_meter_mini_writes_an_offset_of_one_digit() -> None:
    facts = read(MINI)
    assert facts.start == datetime(2020, 10, 17, 13, 5, tzinfo=hours(1))
    assert (facts.gain, facts.trigger) == ("18 dB", "")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('[{"rate":48000,"gain":6},{"rate":48000,"gain":18}]', ("6/18 dB", "")),
        ('[{"mic":"Internal","gain":42.2},{"mic":"Internal","gain":42.2}]', ("42.2 dB", "")),
        ("[{“rate”:256000,“gain”:12,“trig window”:3.0}]", ("12 dB", "trig window 3.0")),
        ('{"gain":12}', ("12 dB", "")),
        ("[{}]", (None, "")),
        ('[{"gain":null,"trig window":[1]}]', (None, "")),
        ("[]", (None, None)),
        ("[1]", (None, None)),
        ("[" * 9000, (None, None)),
        ('[{"gain":12', (None, None)),
        ('[{"gain":' + "9" * 5000 + "}]", ("9" * 100 + " dB", "")),
        ('[{"gain":"\\ud800\\u001b[31m"}]', ("[31m dB", "")),
    ],
)
def test_settings_of_a_song_meter(settings: str, expected: tuple[str | None, str | None]) -> None:
    facts = read(f"GUANO|Version:1.0\nWA|Song Meter|Audio settings:{settings}")
    assert (facts.gain, facts.trigger) == expected
    assert bool(facts.problems) == (expected[1] is None)


def test_batlogger() -> None:
    facts = read(BATLOGGER)
    assert facts.start == datetime(2023, 7, 5, 21, 44, 52)
    assert (facts.make, facts.model, facts.serial, facts.firmware) == ("BATLOGGER", "C2", "23240008", "0.0.19")
    assert (facts.trigger, facts.temperature_c, facts.duration_s) == ("Trigger Frequency 23.6", 19.7, 1.5)
    assert facts.gain is None


def test_example_of_the_specification() -> None:
    facts = read(SPECIFICATION)
    assert facts.start == datetime(2012, 3, 29, 3, 58, 1, tzinfo=hours(4))
    assert (facts.time_expansion, facts.sample_rate_hz, facts.duration_s) == (1, 500_000, 6.5)
    assert (facts.gain, facts.trigger, facts.problems) == ("80", None, ())


def test_titley() -> None:
    facts = read(TITLEY)
    assert facts.start == datetime(2023, 5, 20, 3, 7, 37, 500_000, tzinfo=hours(10))
    assert (facts.battery_v, facts.gain, facts.temperature_c) == (4.99, "3", 11.5)


def test_keys_of_people_and_programs_do_not_disturb() -> None:
    facts = read(
        "GUANO|Version:1.0\nNABat|Activation start time: 20190813T193000\nNABat|Site Name: Trigger Creek\n"
        "NABat|Latitude: 91\nUser|Gain: much\nUser|Trigger: happy\nSB|Gain: 3\nNote: Timestamp: none\\nTE: 10\n"
        "Original Filename: a:b|c.wav\nGain: 5\n"
    )
    assert facts == Facts("guano")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-12-10T01:02:03", datetime(2016, 12, 10, 1, 2, 3)),
        ("2016-12-10 01:02:03", datetime(2016, 12, 10, 1, 2, 3)),
        ("2016-12-10T01:02:03.1", datetime(2016, 12, 10, 1, 2, 3, 100_000)),
        ("2016-12-10T01:02:03.123", datetime(2016, 12, 10, 1, 2, 3, 123_000)),
        ("2016-12-10T01:02:03.123456789", datetime(2016, 12, 10, 1, 2, 3, 123_456)),
        ("2016-12-10T01:02:03Z", datetime(2016, 12, 10, 1, 2, 3, tzinfo=UTC)),
        ("2016-12-10T01:02:03.123Z", datetime(2016, 12, 10, 1, 2, 3, 123_000, tzinfo=UTC)),
        ("2016-12-10T01:02:03-07:00", datetime(2016, 12, 10, 1, 2, 3, tzinfo=hours(-7))),
        ("2016-12-10T01:02:03.123456-07:00", datetime(2016, 12, 10, 1, 2, 3, 123_456, tzinfo=hours(-7))),
        ("2016-12-10T01:02:03+0545", datetime(2016, 12, 10, 1, 2, 3, tzinfo=hours(5.75))),
        ("2016-12-10T01:02:03-0:30", datetime(2016, 12, 10, 1, 2, 3, tzinfo=hours(-0.5))),
        ("2016-12-10 01:02:03+0:00", datetime(2016, 12, 10, 1, 2, 3, tzinfo=UTC)),
        ("2016-12-10T01:02:03 +14", datetime(2016, 12, 10, 1, 2, 3, tzinfo=hours(14))),
    ],
)
def test_time_stamps(text: str, expected: datetime) -> None:
    problems: list[str] = []
    when = time_stamp(text, "Timestamp", problems)
    assert (when, problems) == (expected, [])
    assert when is not None
    assert when.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-10", "2016-13-10T01:02:03", "2016-02-30T01:02:03", "2016-12-10T24:00:00", "2016-12-10T01:02:60",
        "2016-12-10T01:02:03+15:00", "2016-12-10T01:02:03+99:99", "0001-01-01T00:00:00", "9999-12-31T23:59:59",
        "10/12/2016 01:02", "never", "2016-12-10T01:02:03+0", "2016-12-10T01:02:03+1:", "2016-12-10T01:02:03+1:3",
        "2016-12-10T01:02:03" + " " * 100, "２０１６-12-10T01:02:03",
    ],
)  # fmt: skip
def test_what_is_no_time_stamp(text: str) -> None:
    problems: list[str] = []
    assert time_stamp(text, "Timestamp", problems) is None
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("51.7115900 -1.2660017", (51.71159, -1.2660017)),
        ("51.7, -1.2", (51.7, -1.2)),
        ("51.7,-1.2", (51.7, -1.2)),
        ("+51.7 +1.2", (51.7, 1.2)),
        ("51 1", (51.0, 1.0)),
        ("51.7N 1.2W", (51.7, -1.2)),
        ("N 51.7 W 1.2", (51.7, -1.2)),
        ("51.7° S, 1.2° E", (-51.7, 1.2)),
        ("-51.7 S 1.2 E", (-51.7, 1.2)),
        ("0.00000 0.00000", (None, None)),
    ],
)
def test_positions(text: str, expected: tuple[float | None, float | None]) -> None:
    problems: list[str] = []
    assert (position(text, "Loc Position", problems), problems) == (expected, [])


@pytest.mark.parametrize(
    "text",
    [
        "51.7", "51.7 -1.2 3", "91 0", "0 181", "nan nan", "inf 0", "-51.7 N 1.2 E", "1.2E 51.7N", "51.7 -1.2 WGS84",
        "47°07'24.4\"N 8°18'03.9\"E", "661752/212022", "47,1234 8,1234", "1" * 500 + " 1", "lat=1 lon=2",
    ],
)  # fmt: skip
def test_what_is_no_position(text: str) -> None:
    problems: list[str] = []
    assert position(text, "Loc Position", problems) == (None, None)
    assert len(problems) == 1


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-1e999", "1,5", "12 apples", "1e5 Hz!", "", "-", ".", "0x10", "9" * 99]
)
def test_what_is_no_number(text: str) -> None:
    problems: list[str] = []
    assert number(text, "Length", (0.0, 1e6), problems) is None
    assert len(problems) == (text != "")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("TE: 0", "time_expansion"),
        ("TE: 1001", "time_expansion"),
        ("Samplerate: 999", "sample_rate_hz"),
        ("Samplerate: 10000001", "sample_rate_hz"),
        ("Length: -1", "duration_s"),
        ("Temperature Int: 151", "temperature_c"),
        ("Temperature Int: 68 F", "temperature_c"),
        ("OAD|Battery Voltage: 101", "battery_v"),
        ("Loc Position: 51.7 200", "longitude"),
        ("Timestamp: 2024-06-31T00:00:00", "start"),
    ],
)
def test_a_field_that_cannot_be_true_is_dropped_and_told(line: str, field: str) -> None:
    facts = read(f"GUANO|Version: 1.0\nMake: x\n{line}\n")
    assert getattr(facts, field) is None
    assert facts.make == "x"
    assert len(facts.problems) == 1
    assert line.partition(": ")[2] in facts.problems[0]


def test_temperature_outside_stands_in() -> None:
    facts = read("GUANO|Version:1.0\nTemperature Int:broken\nTemperature Ext:12.5C\n")
    assert (facts.temperature_c, len(facts.problems)) == (12.5, 1)


def test_blank_fields_say_nothing() -> None:
    assert read("GUANO|Version: 1.0\nTE:\nTimestamp:\nLoc Position: \nMake:\n:\n") == Facts("guano")


def test_without_a_version() -> None:
    facts = read("Make: x\nTE: 10\n")
    assert (facts.make, facts.time_expansion, facts.problems) == ("x", 10, ("GUANO|Version is missing",))


def test_encodings_padding_and_line_ends() -> None:
    chunk = b"\xef\xbb\xbfGUANO|Version: 1.0:\r\nno colon\r\nNote: mic 4\xd5\r\nMake : M\xc3\xbcller \r\n\0\0\0  "
    assert guano_fields(chunk) == {"GUANO|Version": "1.0:", "Note": "mic 4\ufffd", "Make": "Müller"}
    facts = read_guano(chunk)
    assert facts is not None
    assert (facts.make, facts.problems) == ("Müller", ())


def test_first_of_two_alike_counts() -> None:
    assert guano_fields(b"A: 1\nA: 2\nB|C: 1:2|3\n") == {"A": "1", "B|C": "1:2|3"}
    assert read("GUANO|Version:1.0\nFirmware version: 5\nSerial: 1\nSerial: 2\n").serial == "1"
    assert read("GUANO|Version:1.0\nFirmware version: 5\n").firmware == "5"  # as the guide of the SM5 spells it


@pytest.mark.parametrize("chunk", [b"", b"\0\0", b"   \n", b"no fields", b":\n: x\n", b"\xff" * 100])
def test_what_is_no_guano(chunk: bytes) -> None:
    assert read_guano(chunk) is None
    assert guano_fields(chunk) == {}


def check(facts: Facts | None) -> None:
    """Whatever was read, nothing of it can do harm."""
    if facts is None:
        return
    limits = {
        "time_expansion": (1, 1000), "sample_rate_hz": (1000, 1e7), "duration_s": (0, 1e7), "latitude": (-90, 90),
        "longitude": (-180, 180), "temperature_c": (-100, 150), "battery_v": (0, 100),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        value = getattr(facts, name)
        assert value is None or (isfinite(value) and low <= value <= high)
    for name in ("make", "model", "serial", "firmware", "gain", "trigger"):
        text = getattr(facts, name)
        assert text is None or (text.isprintable() and len(text) <= 200)
    assert len(facts.problems) <= MAX_PROBLEMS
    assert all(problem.isprintable() and 0 < len(problem) <= PROBLEM_LENGTH for problem in facts.problems)
    assert facts.start is None or facts.start.timestamp() > -1e6


@given(st.binary(max_size=300))
def test_any_bytes(chunk: bytes) -> None:
    check(read_guano(chunk))


KEYS = (
    "GUANO|Version", "Timestamp", "TE", "Samplerate", "Length", "Loc Position", "Make", "Serial", "Temperature Int",
    "OAD|Recording Settings", "WA|Song Meter|Audio settings", "OAD|Battery Voltage", "X|Gain", "X|Trigger|Y",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=120) | st.floats().map(str) | st.datetimes().map(str)))
def test_any_values(fields: dict[str, str]) -> None:
    check(read_guano("\n".join(f"{key}: {value}" for key, value in fields.items()).encode("utf-8", "surrogatepass")))


@given(st.sampled_from(ALL), st.data())
def test_damaged_chunks(text: str, data: st.DataObject) -> None:
    chunk = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        chunk[data.draw(st.integers(0, len(chunk) - 1))] = data.draw(st.integers(0, 255))
    check(read_guano(bytes(chunk)))


@pytest.mark.parametrize("text", ALL)
def test_chunks_cut_off_anywhere(text: str) -> None:
    for end in range(len(text)):
        check(read_guano(text[:end].encode()))


@pytest.mark.parametrize(
    "chunk",
    [
        b"a:" * 500_000, b":" * 1_000_000, b"a:\n" * 300_000, b"|" * 1_000_000 + b":x", b"A|Gain|" * 100_000 + b":1",
        b"Timestamp:" + b" " * 1_000_000, b"Loc Position:" + b"1" * 1_000_000, b"Loc Position:" + b"1 " * 500_000,
        b"Length:" + b"1" * 1_000_000, b"OAD|Recording Settings:" + b"GAIN " * 200_000,
        b"WA|Song Meter|Audio settings:" + b'[{"a":' * 160_000, b"Make:" + b"\x1b" * 1_000_000,
    ],
)  # fmt: skip
def test_huge_chunks_take_no_time(chunk: bytes) -> None:
    began = time.perf_counter()
    check(read_guano(chunk))
    assert time.perf_counter() - began < 5


def chunks_of(path: Path, name: bytes) -> list[bytes]:
    content = path.read_bytes()
    at, found = 12, []
    while content[:4] == b"RIFF" and at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == name:
            found.append(content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def test_real_recordings(real_recordings: Path) -> None:
    found = {
        path.name: chunk
        for path in (real_recordings / "labelled/batogram").glob("*.wav")
        for chunk in chunks_of(path, b"guan")
    }
    assert len(found) == 3
    assert read_guano(found["barbar-20220528_215208.wav"]) == Facts(
        "guano",
        start=datetime(2022, 5, 28, 21, 52, 11, tzinfo=hours(1)),
        time_expansion=1,
        sample_rate_hz=288_000,
        duration_s=2.92,
        latitude=51.71159,
        longitude=-1.2660017,
        make="Gimell",
        model="Ultrasonic Microphone",
    )
    assert all(not facts.problems for facts in map(read_guano, found.values()) if facts)
    assert guano_fields(found["barbar-20220528_215208.wav"])["BATREC|Version"] == "BatRecorder 1.0R172"
