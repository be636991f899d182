"""The header of a D500X, put together byte by byte as ``d500x2guano.py`` takes it apart."""

import struct
from datetime import datetime
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.pettersson import HEADER_BYTES, METADATA_BYTES, read_d500x

DATA_AT = 0x2C


def head(
    rate: int = 500_000,
    when: bytes = b"140523 22:31:05",
    version: bytes = b"D500X V2.1.3",
    profile: tuple[bytes, bytes] = (b"F=500 PRE=OFF LEN=3.0", b"HP=Y A=Y TS=M"),
    text: bytes = b"LAT: 51 12 33.0 N\r\nLON: 1 30 0.0 W\r\nINPUT GAIN: 45\r\nTRIG LEV: 80\r\n",
) -> bytes:
    samples = 1000
    content = bytearray(HEADER_BYTES)
    content[:DATA_AT] = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", HEADER_BYTES + 2 * samples - 8, b"WAVE", b"fmt ", 16, 1, 1, rate % (1 << 32),
        2 * rate % (1 << 32), 2, 16, b"data", METADATA_BYTES + 2 * samples,
    )  # fmt: skip
    for at, value in (
        (0xD0, b"M00001.WAV"), (0xE0, when), (0xF0, version), (0x120, profile[0][:20]), (0x138, profile[1]),
        (0x200, text),
    ):  # fmt: skip
        content[at : at + len(value)] = value
    assert len(content) == HEADER_BYTES
    return bytes(content)


def read(content: bytes) -> Facts:
    facts = read_d500x(content)
    assert facts is not None
    return facts


def test_samples_begin_behind_the_header() -> None:
    assert DATA_AT + METADATA_BYTES == HEADER_BYTES


def test_whole_header() -> None:
    assert read(head()) == Facts(
        "d500x",
        start=datetime(2014, 5, 23, 22, 31, 5),
        sample_rate_hz=500_000,
        latitude=51 + 12 / 60 + 33 / 3600,
        longitude=-1.5,
        make="Pettersson",
        model="D500X",
        firmware="V2.1.3",
        gain="45",
        trigger="TS M, TRIG LEV 80",
    )


def test_firmware_before_2_has_no_text() -> None:
    facts = read(head(version=b"D500X V1.8", text=b"", profile=(b"F=500", b"\xff" * 16)))
    assert (facts.firmware, facts.gain, facts.trigger, facts.latitude, facts.problems) == ("V1.8", None, None, None, ())


def test_nothing_but_the_marker() -> None:
    facts = read(head(when=bytes(15), version=b"D500X", profile=(b"", b""), text=b""))
    assert facts == Facts("d500x", sample_rate_hz=500_000, make="Pettersson", model="D500X")


@pytest.mark.parametrize(
    "text",
    [
        b"LAT: 51 12 33.0 X\r\nLON: 1 30 0.0 W", b"LAT: a b c N\r\nLON: 1 30 0.0 W", b"LAT: 91 0 0 N\r\nLON: 1 30 0 W",
        b"LAT: nan 0 0 N\r\nLON: 1 30 0 W", b"LAT: 1\r\nLON: 2 3",
    ],
)  # fmt: skip
def test_what_is_no_position(text: bytes) -> None:
    facts = read(head(text=text))
    assert (facts.latitude, facts.longitude) == (None, None)
    assert facts.problems


def test_decimal_degrees() -> None:
    assert read(head(text=b"LAT: 51.5 N\r\nLON: 1.5 W")).longitude == -1.5


@pytest.mark.parametrize("when", [b"140523 25:31:05", b"149923 22:31:05", b"14/05/23 22:31", b"\x01" * 15])
def test_a_wrong_time_is_told(when: bytes) -> None:
    facts = read(head(when=when))
    assert facts.start is None
    assert facts.make == "Pettersson"


@pytest.mark.parametrize("rate", [0, -1, 999, 2_000_000_000])
def test_a_wrong_rate_is_told(rate: int) -> None:
    facts = read(head(rate=rate))
    assert (facts.sample_rate_hz, len(facts.problems)) == (None, 1)


@pytest.mark.parametrize("content", [b"", b"RIFF", head()[:0xF4], head(version=b"D1000X"), bytes(HEADER_BYTES)])
def test_what_is_no_d500x(content: bytes) -> None:
    assert read_d500x(content) is None


def check(facts: Facts | None) -> None:
    if facts is None:
        return
    for name, limit in (("latitude", 90), ("longitude", 180), ("sample_rate_hz", 1e7)):
        value = getattr(facts, name)
        assert value is None or (isfinite(value) and abs(value) <= limit)
    for text in (facts.firmware, facts.gain, facts.trigger):
        assert text is None or (text.isprintable() and 0 < len(text) <= 200)
    assert len(facts.problems) <= 5
    assert all(problem.isprintable() and len(problem) < 100 for problem in facts.problems)


def test_headers_cut_off_anywhere() -> None:
    for end in range(HEADER_BYTES):
        check(read_d500x(head()[:end]))


@given(st.binary(max_size=0x200), st.binary(min_size=4, max_size=4), st.binary(max_size=0x30))
def test_any_bytes(text: bytes, rate: bytes, rest: bytes) -> None:
    content = bytearray(head(text=text))
    content[0x18:0x1C] = rate
    content[0xD0 : 0xD0 + min(len(rest), 0x20)] = rest[:0x20]
    content[0x120 : 0x120 + len(rest)] = rest
    check(read_d500x(bytes(content)))


@given(st.data())
def test_damaged_headers(data: st.DataObject) -> None:
    content = bytearray(head())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0xC0, 0x280))] = data.draw(st.integers(0, 255))
    check(read_d500x(bytes(content)))
