"""WAMD chunks, put together entry by entry, and those of real recordings."""

import struct
import time
from datetime import datetime, timedelta, timezone
from math import isfinite
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.wamd import read_wamd, wamd_fields

Entry = tuple[int, bytes]


def wamd(*entries: Entry, version: int = 1) -> bytes:
    body = struct.pack("<HIH", 0, 2, version)
    return body + b"".join(struct.pack("<HI", kind, len(value)) + value for kind, value in entries)


SM4 = (
    (0x01, b"SM4BAT-FS"), (0x02, b"S4U01234"), (0x03, b"2.3.1"), (0x04, b"WALDEN"),
    (0x05, b"2019-06-01 22:15:07-05:00"),
    (0x06, b"WGS84,42.43068,N,71.45617,W"), (0x08, b"Kaleidoscope 5.1.9g"), (0x0F, b"\x01\0"),
    (0x10, bytes(range(256))), (0x12, b"U2"), (0x13, b"-11.5"), (0x14, b"WGS84,42.5,N,71.5,W"), (0x15, b"12.3C"),
    (0x16, b"9.8C"), (0x17, b"80.2%RH"), (0x18, b"200lm"), (0xFFFF, b"\0\0"),
)  # fmt: skip
WHOLE = wamd(*SM4)


def read(*entries: Entry) -> Facts:
    facts = read_wamd(wamd(*entries))
    assert facts is not None
    return facts


def test_song_meter() -> None:
    assert read_wamd(WHOLE) == Facts(
        "wamd",
        start=datetime(2019, 6, 1, 22, 15, 7, tzinfo=timezone(timedelta(hours=-5))),
        time_expansion=1,
        latitude=42.43068,
        longitude=-71.45617,
        make="Wildlife Acoustics",
        model="SM4BAT-FS",
        serial="S4U01234",
        firmware="2.3.1",
        temperature_c=12.3,
    )


def test_fields_for_a_person() -> None:
    fields = wamd_fields(WHOLE)
    assert fields["version"] == "1"
    assert fields["microphone type"] == "U2"
    assert fields["microphone sensitivity"] == "-11.5"
    assert fields["humidity"] == "80.2%RH"
    assert fields["device parameters"] == "256 bytes"
    assert list(fields)[:3] == ["version", "model", "serial"]
    assert len(fields) == len(SM4)  # the version is there, the padding is not


def test_fields_nobody_knows() -> None:
    fields = wamd_fields(wamd((0x22, bytes(128)), (0x30, b"text\x1b[0m"), (0x31, b"\xff\0"), (0x0F, b"\x0a")))
    assert fields == {
        "version": "1", "configuration": "128 bytes", "0x0030": "text [0m", "0x0031": "2 bytes",
        "time expansion": "1 bytes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2014-04-02 22:59:14-05:00", datetime(2014, 4, 2, 22, 59, 14, tzinfo=timezone(timedelta(hours=-5)))),
        (b"2014-04-02 22:59:14.761", datetime(2014, 4, 2, 22, 59, 14, 761_000)),
        (b"2014-04-02 22:59:14\0\0", datetime(2014, 4, 2, 22, 59, 14)),
        (b"2014-04-02 22:59:14.5+10:30", datetime(2014, 4, 2, 22, 59, 14, 500_000, timezone(timedelta(hours=10.5)))),
        (b"2014-04-31 22:59:14", None),
        (b"\xff\xfe", None),
    ],
)
def test_start(text: bytes, expected: datetime | None) -> None:
    facts = read((0x05, text))
    assert facts.start == expected
    assert len(facts.problems) == (expected is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"WGS84, 41.713889, N, 121.508333, W", (41.713889, -121.508333)),
        (b"WGS84, 41.713889, S, 121.508333, E , 4200", (-41.713889, 121.508333)),
        (b"WGS84, 41.713889, -21.508333", (41.713889, -21.508333)),
        (b"WGS84, 41.713889, -21.508333, 4200", (41.713889, -21.508333)),
        (b",41.7,N,121.5,W\0", (41.7, -121.5)),
        (b"41.7,-21.5", (41.7, -21.5)),
        (b"WGS84,0.0,N,0.0,E", (None, None)),
    ],
)
def test_position(text: bytes, expected: tuple[float | None, float | None]) -> None:
    facts = read((0x06, text))
    assert (facts.latitude, facts.longitude, facts.problems) == (*expected, ())


@pytest.mark.parametrize(
    "text",
    [b"WGS84", b"WGS84,x,N,1,W", b"WGS84,91,N,1,W", b"NAD27,41.7,N,121.5,W", b"WGS84,nan,inf", b"-1,N,2,E", b",,,,"],
)
def test_what_is_no_position(text: bytes) -> None:
    facts = read((0x06, text))
    assert (facts.latitude, facts.longitude, len(facts.problems)) == (None, None, 1)


def test_last_position_stands_in() -> None:
    assert read((0x14, b"WGS84,42.5,N,71.5,W")).latitude == 42.5
    assert read((0x06, b"WGS84,0,N,0,E"), (0x14, b"WGS84,42.5,N,71.5,W")).longitude == -71.5


def test_temperature_outside_stands_in() -> None:
    assert read((0x16, b"-9.8C")).temperature_c == -9.8
    facts = read((0x15, b"54.1F"), (0x16, b"9.8 C"))
    assert (facts.temperature_c, len(facts.problems)) == (9.8, 1)


@pytest.mark.parametrize(
    ("value", "expected"), [(b"\x0a\0", 10), (b"\xe8\x03", 1000), (b"\0\0", None), (b"\xff\xff", None), (b"\x0a", None)]
)
def test_time_expansion(value: bytes, expected: float | None) -> None:
    facts = read((0x0F, value))
    assert facts.time_expansion == expected
    assert len(facts.problems) == (expected is None)


def test_maker_only_where_a_recorder_is_named() -> None:
    assert read((0x08, b"Kaleidoscope 2.0.4")).make is None
    assert read((0x01, b"SM2BAT+")).make == "Wildlife Acoustics"


def test_another_version_is_not_read() -> None:
    assert read_wamd(wamd((0x01, b"SM9"), version=2)) == Facts("wamd", problems=("WAMD version 2 is not known",))


@pytest.mark.parametrize("chunk", [b"", b"\0" * 7, b"\0" * 100, b"wamd", WHOLE[6:], b"\x01\0" + WHOLE])
def test_what_is_no_wamd(chunk: bytes) -> None:
    assert read_wamd(chunk) is None
    assert wamd_fields(chunk) == {}


def test_an_entry_that_is_cut_off_is_not_read() -> None:
    chunk = wamd((0x01, b"SM3"), (0x05, b"2015-07-18 03:16:33.453"))[:-1]
    facts = read_wamd(chunk)
    assert facts is not None
    assert (facts.model, facts.start, facts.problems) == ("SM3", None, ("WAMD is cut off",))
    assert wamd_fields(chunk)["start"] == "2015-07-18 03:16:33.45 (cut off)"


def check(chunk: bytes) -> None:
    facts = read_wamd(chunk)
    fields = wamd_fields(chunk)
    assert all(text.isprintable() for text in [*fields, *fields.values()])
    if facts is None:
        return
    for name, limit in (("latitude", 90), ("longitude", 180), ("temperature_c", 150), ("time_expansion", 1000)):
        value = getattr(facts, name)
        assert value is None or (isfinite(value) and abs(value) <= limit)
    for text in (facts.model, facts.serial, facts.firmware, *facts.problems):
        assert text is None or (text.isprintable() and len(text) <= 100)
    assert len(facts.problems) <= 5


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(content)
    check(wamd() + content)


@given(st.lists(st.tuples(st.sampled_from([*range(0x19), 0x22, 0xFFFF]), st.binary(max_size=60)), max_size=20))
def test_any_entries(entries: list[Entry]) -> None:
    check(wamd(*entries))


@given(st.data())
def test_damaged_chunks(data: st.DataObject) -> None:
    chunk = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        chunk[data.draw(st.integers(0, len(chunk) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(chunk))


def test_chunks_cut_off_anywhere() -> None:
    for end in range(len(WHOLE)):
        check(WHOLE[:end])


@pytest.mark.parametrize(
    "chunk",
    [
        wamd() + bytes(1 << 20),
        wamd((0x06, b"," * (1 << 20))),
        wamd((0x05, b"2" * (1 << 20))),
        wamd((0x01, b"\x1b" * (1 << 20))),
    ],
)
def test_huge_chunks_take_no_time(chunk: bytes) -> None:
    began = time.perf_counter()
    check(chunk)
    assert time.perf_counter() - began < 5


def chunks_of(path: Path, name: bytes) -> list[bytes]:
    content = path.read_bytes()
    at, found = 12, []
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == name:
            found.append(content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def test_real_recordings(real_recordings: Path) -> None:
    """Kaleidoscope wrote these: no recorder, but the time expansion of 10 that the header rate does not tell."""
    found = {
        path.stem: chunk
        for folder in ("labelled/tadarida", "field/tadarida")
        for path in (real_recordings / folder).glob("*.wav")
        for chunk in chunks_of(path, b"wamd")
    }
    assert len(found) == 13
    for name, chunk in found.items():
        facts = read_wamd(chunk)
        assert facts is not None
        assert (facts.make, facts.model, facts.problems) == (None, None, ())
        if name.startswith("Cir123"):
            assert (facts.start, facts.time_expansion) == (None, 1)
            continue
        assert facts.time_expansion == 10
        assert facts.start == datetime.strptime(name[-19:] + "000", "%Y%m%d_%H%M%S_%f")
        assert wamd_fields(chunk)["software"] == "Kaleidoscope 2.0.4"
