"""WAMD, the chunk ``wamd`` of Wildlife Acoustics recorders and of Kaleidoscope.

Source: ``wa_meta.h`` of Wildlife Acoustics, in QutEcoacoustics/emu. Entries follow each other without padding, each
of a 16-bit number, a 32-bit length and its bytes, little-endian.
"""

import struct
from collections.abc import Iterator

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import (
    CELSIUS,
    EXPANSIONS,
    NOWHERE,
    TEMPERATURES_C,
    Position,
    clean,
    note,
    number,
    place,
    signed,
    time_stamp,
    words,
)

VERSION = 1
"""The only version that there is; nobody knows how another is to be read."""

MAX_ENTRIES = 1000
"""Entries that are read; there are 27 kinds."""

_VERSION, _MODEL, _SERIAL, _FIRMWARE, _START, _FIRST_POSITION = 0, 1, 2, 3, 5, 6
_EXPANSION, _LAST_POSITION, _TEMPERATURE, _TEMPERATURE_OUTSIDE = 0x0F, 0x14, 0x15, 0x16
_PADDING = 0xFFFF
_NUMBERS = frozenset((_VERSION, _EXPANSION))

_NAMES = {
    _VERSION: "version",
    _MODEL: "model",
    _SERIAL: "serial",
    _FIRMWARE: "firmware",
    4: "prefix",
    _START: "start",
    _FIRST_POSITION: "first position",
    7: "track",
    8: "software",
    9: "licence",
    0x0A: "notes",
    0x0B: "auto id",
    0x0C: "manual id",
    0x0D: "voice note",
    0x0E: "auto id statistics",
    _EXPANSION: "time expansion",
    0x10: "device parameters",
    0x11: "run state",
    0x12: "microphone type",
    0x13: "microphone sensitivity",
    _LAST_POSITION: "last position",
    _TEMPERATURE: "temperature inside",
    _TEMPERATURE_OUTSIDE: "temperature outside",
    0x17: "humidity",
    0x18: "light",
    0x22: "configuration",
    0x23: "schedule",
}
_BINARY = frozenset((0x0D, 0x10, 0x11, 0x22, 0x23))


def read_wamd(chunk: bytes) -> Facts | None:
    """Read a WAMD chunk, as far as it goes; None where it is none.

    Gain and trigger stand in the device parameters, in a form that Wildlife Acoustics does not publish. Kaleidoscope
    writes the chunk into files of any recorder, so the maker is named only where the recorder is.
    """
    if not _is_wamd(chunk):
        return None
    problems: list[str] = []
    version = struct.unpack_from("<H", chunk, 6)[0]
    if version != VERSION:
        note(problems, f"WAMD version {version} is not known")
        return Facts("wamd", problems=tuple(problems))
    entries: dict[int, bytes] = {}
    whole = True
    for kind, value, is_whole in _entries(chunk):
        whole = is_whole
        if is_whole and value:
            entries.setdefault(kind, value)
    if not whole:
        note(problems, "WAMD is cut off")
    model, serial, firmware = (words(_text(entries.get(kind))) for kind in (_MODEL, _SERIAL, _FIRMWARE))
    first = _position(_text(entries.get(_FIRST_POSITION)), "GPS position", problems)
    latitude, longitude = (
        first if first != NOWHERE else _position(_text(entries.get(_LAST_POSITION)), "last position", problems)
    )
    temperature = None
    for kind in (_TEMPERATURE, _TEMPERATURE_OUTSIDE):
        if temperature is None:
            temperature = number(_text(entries.get(kind)), _NAMES[kind], TEMPERATURES_C, problems, CELSIUS)
    expansion = entries.get(_EXPANSION)
    return Facts(
        "wamd",
        start=time_stamp(_text(entries.get(_START)), "start", problems),
        time_expansion=number(_number_text(expansion), "time expansion", EXPANSIONS, problems) if expansion else None,
        latitude=latitude,
        longitude=longitude,
        make="Wildlife Acoustics" if model or serial or firmware else None,
        model=model,
        serial=serial,
        firmware=firmware,
        temperature_c=temperature,
        problems=tuple(problems),
    )


def wamd_fields(chunk: bytes) -> dict[str, str]:
    """All entries of a WAMD chunk as text, by name; of what is no text only the size."""
    fields: dict[str, str] = {}
    if not _is_wamd(chunk):
        return fields
    for kind, value, whole in _entries(chunk):
        if kind == _PADDING:
            continue
        if kind in _NUMBERS and whole:
            text = _number_text(value)
        elif kind in _BINARY or (kind not in _NAMES and not value.isascii()):
            text = f"{len(value)} bytes"
        else:
            text = _text(value) or ""
        fields.setdefault(_NAMES.get(kind, f"0x{kind:04X}"), text if whole else f"{text} (cut off)")
    return fields


def _is_wamd(chunk: bytes) -> bool:
    """Whether the first entry is a version."""
    return len(chunk) >= 8 and chunk[:6] == struct.pack("<HI", _VERSION, 2)


def _entries(chunk: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Kind and content of each entry, and whether all of the content is there."""
    at = 0
    for _ in range(MAX_ENTRIES):
        if at + 6 > len(chunk):
            return
        kind, length = struct.unpack_from("<HI", chunk, at)
        yield kind, chunk[at + 6 : at + 6 + length], at + 6 + length <= len(chunk)
        at += 6 + length


def _text(value: bytes | None) -> str | None:
    """Text, which may or may not end in zero bytes."""
    return clean(value.partition(b"\0")[0].decode("utf-8", "replace")) if value else None


def _number_text(value: bytes) -> str:
    return str(int.from_bytes(value, "little")) if len(value) == 2 else f"{len(value)} bytes"


def _position(text: str | None, what: str, problems: list[str]) -> Position:
    """Read ``WGS84,nn.nnnnn,N,mmm.mmmmm,W[,alt]``, or what an Echo Meter Touch writes: ``WGS84,nn.nnnnn,-mmm.mmmmm``.

    Older recorders leave the first field empty.

    Examples
    --------
    >>> _position("WGS84, 41.713889, N, 121.508333, W , 4200", "GPS position", [])
    (41.713889, -121.508333)
    >>> _position("WGS84,41.713889,-21.508333", "GPS position", [])
    (41.713889, -21.508333)
    """
    if not text:
        return NOWHERE
    parts = [part.strip().upper() for part in text[:200].split(",")]
    if not parts[0] or parts[0].startswith("WGS"):
        del parts[0]
    try:
        if len(parts) >= 4 and parts[1] in ("N", "S") and parts[3] in ("E", "W"):
            latitude, longitude = signed(float(parts[0]), parts[1]), signed(float(parts[2]), parts[3])
        else:
            latitude, longitude = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        note(problems, f"{what} is not understood", text)
        return NOWHERE
    return place(latitude, longitude, text, what, problems)
