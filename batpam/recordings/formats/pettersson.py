"""The header of a Pettersson D500X, which lies in front of the samples and is counted as samples.

Source: guano-py, ``bin/d500x2guano.py``; Pettersson publishes no description. What it names the settings of gain and
trigger is not known from there, so they are found by their names' beginnings and given with the names.
"""

import re
import struct

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import (
    NOWHERE,
    RATES_HZ,
    Position,
    clean,
    note,
    number,
    place,
    position,
    signed,
    time_stamp,
    words,
)

HEADER_BYTES = 0x400
"""Where the samples begin, from the start of the file."""

METADATA_BYTES = 0x3D4
"""Bytes of the ``data`` chunk that are no samples: its content begins at 0x2C, the samples at 0x400."""

_MARKER = b"D500X"
_RATE_AT, _TIME_AT, _MARKER_AT = 0x18, 0xE0, 0xF0
_FIRMWARE_END = 0x110
_PROFILE = (slice(0x120, 0x134), slice(0x138, 0x148))
_SETTINGS = slice(0x200, HEADER_BYTES)
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})")
_TRIGGER = re.compile(r"TRIG|T\.?S")


def read_d500x(head: bytes) -> Facts | None:
    """Read the header of a D500X from the first :data:`HEADER_BYTES` of a file; None where it has none."""
    if head[_MARKER_AT : _MARKER_AT + len(_MARKER)] != _MARKER:
        return None
    problems: list[str] = []
    rate = number(str(struct.unpack_from("<i", head, _RATE_AT)[0]), "sample rate", RATES_HZ, problems)
    settings = _settings(head)
    gain = next((value for name, value in settings.items() if "GAIN" in name), None)
    triggers = ", ".join(f"{name} {value}" for name, value in settings.items() if _TRIGGER.match(name))
    latitude, longitude = _position(settings, problems)
    written = _text(head[_TIME_AT : _TIME_AT + 15])
    time = _TIME.fullmatch(written)
    if written and not time:
        note(problems, "time is not understood", written)
    return Facts(
        "d500x",
        start=time_stamp("20{}-{}-{}T{}".format(*time.groups()), "time", problems) if time else None,
        sample_rate_hz=rate,
        latitude=latitude,
        longitude=longitude,
        make="Pettersson",
        model="D500X",
        firmware=words(_text(head[_MARKER_AT + len(_MARKER) : _FIRMWARE_END])),
        gain=words(gain),
        trigger=words(triggers, 200),
        problems=tuple(problems),
    )


def _text(content: bytes) -> str:
    return clean(content.strip(b"\0\xff ").decode("latin-1"))


def _settings(head: bytes) -> dict[str, str]:
    """Settings by name, in capitals: ``HP=Y`` of the profile, ``LAT: 51 12 33.0 N`` of the text (firmware 2.0 on)."""
    settings: dict[str, str] = {}
    for token in " ".join(_text(head[where]) for where in _PROFILE).split():
        name, _, value = token.partition("=")
        if name and value:
            settings.setdefault(name.upper(), value)
    for line in head[_SETTINGS].replace(b"\0", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = _text(line).partition(":")
        if name.strip() and value.strip():
            settings.setdefault(name.strip().upper(), value.strip())
    return settings


def _position(settings: dict[str, str], problems: list[str]) -> Position:
    if "LAT" not in settings or "LON" not in settings:
        return NOWHERE
    text = f"{settings['LAT']} {settings['LON']}"
    parts = text.split()
    if len(parts) != 8:
        return position(text, "LAT, LON", problems)
    # degrees, minutes, seconds and a letter, twice
    degrees = [number(part, "LAT, LON", (0.0, 180.0), problems) for part in parts[:3] + parts[4:7]]
    letters = (parts[3] + parts[7]).upper()
    if None in degrees or letters not in ("NE", "NW", "SE", "SW"):
        note(problems, "LAT, LON is not understood", text)
        return NOWHERE
    d1, m1, s1, d2, m2, s2 = (value or 0.0 for value in degrees)
    latitude, longitude = d1 + m1 / 60 + s1 / 3600, d2 + m2 / 60 + s2 / 3600
    return place(signed(latitude, letters[0]), signed(longitude, letters[1]), text, "LAT, LON", problems)
