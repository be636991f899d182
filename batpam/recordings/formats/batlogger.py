"""The file ``xxxxxxxx.xml`` that an Elekon Batlogger writes beside each recording.

Sources: Batlogger manual, section 8.2; a file of a Batlogger M in the README of BatLoggerXMLToCSV; guano-py,
``bin/batlogger2guano.py``. BatSpy and BatInspector write files of the same form.
"""

import re
from datetime import datetime, timedelta, timezone
from xml.parsers import expat

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import (
    CELSIUS,
    DURATIONS_S,
    HERTZ,
    NOWHERE,
    RATES_HZ,
    SECONDS,
    TEMPERATURES_C,
    VOLTAGES,
    VOLTS,
    note,
    number,
    position,
    time_stamp,
    words,
)

MAX_BYTES = 1 << 20
"""A longer file is none of these; real ones have 1 kB."""

MAX_FIELDS = 500
"""Fields that are read; real ones have 30."""

CLOCK_TOLERANCE_S = 600.0
"""How far the recorder's clock may be from that of GPS for its offset to be believed."""

_ROOT = "batrecord"
_TIME = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4}) +([0-9]{1,2}:[0-9]{2}:[0-9]{2}.{0,10})")
_GPS_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2}) ?([+-]) ?([0-9]{1,2})h")
_OTHERS = ("peakvalue", "inputfilter")
"""Fields of BatSpy and BatInspector, which no Batlogger writes."""


class _Refused(Exception):
    pass


def read_batlogger(xml: bytes) -> Facts | None:
    """Read the file that lies beside a recording, as far as it goes; None where it is not a Batlogger's.

    The trigger is left out where the file does not say it, never "": a Batlogger waits for one unless told otherwise.
    """
    fields, problems = _fields(xml)
    if fields is None:
        return None
    others = any(name in fields for name in _OTHERS)
    model = fields.get("model")
    valid = fields.get("gps/valid", "yes").lower() == "yes"
    latitude, longitude = position(fields.get("gps/position"), "GPS/Position", problems) if valid else NOWHERE
    if latitude is None and valid and any(letter.isdigit() for letter in fields.get("gps/ch1903", "")):
        note(problems, "the position is there only in the Swiss grid", fields["gps/ch1903"])
    temperature = fields.get("temperature") or fields.get("temparature")  # BatSpy spells it so
    return Facts(
        "batlogger",
        start=_start(fields, problems),
        sample_rate_hz=number(fields.get("samplerate"), "Samplerate", RATES_HZ, problems, HERTZ),
        duration_s=number(fields.get("duration"), "Duration", DURATIONS_S, problems, SECONDS),
        latitude=latitude,
        longitude=longitude,
        make=None if others else "Elekon",
        model=None if others else words(f"Batlogger {model}" if model else "Batlogger"),
        serial=words(fields.get("sn")),
        firmware=words(fields.get("firmware")),
        gain=words(fields.get("gain")),
        trigger=_trigger(fields),
        temperature_c=number(temperature, "Temperature", TEMPERATURES_C, problems, CELSIUS),
        battery_v=number(fields.get("battvoltage"), "BattVoltage", VOLTAGES, problems, VOLTS),
        problems=tuple(problems),
    )


def _fields(xml: bytes) -> tuple[dict[str, str] | None, list[str]]:
    """Text of the elements by their path, in lower case, and attributes of the first; None where it is no BatRecord."""
    problems: list[str] = []
    if len(xml) > MAX_BYTES:
        return None, problems
    if xml[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = xml.decode("utf-16", "replace")
    else:
        text = xml.decode("utf-8-sig", "replace")
    fields: dict[str, str] = {}
    path: list[str] = []
    pieces: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if not path:
            if name.lower() != _ROOT:
                raise _Refused
            fields.update((key.lower(), value.strip()) for key, value in list(attributes.items())[:MAX_FIELDS])
        path.append(name.lower())
        pieces.clear()
        if len(path) > 10 or len(fields) > MAX_FIELDS:
            raise _Refused

    def end(_: str) -> None:
        value = "".join(pieces).strip()
        if value:
            fields.setdefault("/".join(path[1:]), value)
        path.pop()
        pieces.clear()

    def refuse(*_: object) -> None:
        raise _Refused

    # what the file says of its encoding is not believed: a degree sign is often in another
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = pieces.append
    parser.StartDoctypeDeclHandler = refuse  # no entities: they can be made to fill the memory
    try:
        parser.Parse(text.strip(" \t\r\n\0").encode("utf-8", "replace"), True)
    except _Refused:
        return None, problems
    except expat.ExpatError:
        if not (path or fields):
            return None, problems
        note(problems, "the XML breaks off or is wrong")
    return fields, problems


def _start(fields: dict[str, str], problems: list[str]) -> datetime | None:
    """When the recording began, by the recorder's clock; with an offset where the time of GPS proves it."""
    text = fields.get("datetime")
    found = _TIME.fullmatch(text) if text else None
    when = time_stamp("{2}-{1}-{0}T{3}".format(*found.groups()) if found else text, "DateTime", problems)
    gps = _GPS_TIME.fullmatch(fields.get("gps/gpstimestamp", ""))
    if when is None or when.tzinfo or gps is None:
        return when
    hours, minutes, seconds, sign, ahead = gps.groups()
    offset = timedelta(hours=int(ahead)) * (-1 if sign == "-" else 1)
    # the manual's file has UTC there, 19:31:20+2h beside 21:31:29; later ones have local time, which proves nothing
    at_gps = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds)) + offset
    at_clock = timedelta(hours=when.hour, minutes=when.minute, seconds=when.second)
    apart = abs((at_clock - at_gps + timedelta(hours=12)) % timedelta(hours=24) - timedelta(hours=12))
    if offset and abs(offset) <= timedelta(hours=14) and apart <= timedelta(seconds=CLOCK_TOLERANCE_S):
        return when.replace(tzinfo=timezone(offset))
    return when


def _trigger(fields: dict[str, str]) -> str | None:
    """Settings of the trigger; not what it measured (``TrigValue0``), which differs between recordings."""
    settings = {
        name.removeprefix("trigger/"): value
        for name, value in fields.items()
        if name.startswith("trigger/") and not name.startswith("trigger/trigvalue")
    }
    mode = settings.pop("trig_mode", "")
    return words(", ".join([*filter(None, [mode]), *(f"{name} {value}" for name, value in settings.items())]), 200)
