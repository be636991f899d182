"""GUANO, the text chunk ``guan`` of most bat recorders.

Sources: D. A. Riggs et al., GUANO specification 1.0 (github.com/riggsd/guano-spec); keys of makers: AudioMoth firmware
1.10 and 1.11 (``src/main.c``), wildlifeacoustics.com/SCHEMA/GUANO.html, elekon.ch/manuals, QutEcoacoustics/emu
(Titley).

The library ``guano`` gives up on a chunk with one line that has no colon, leaves fractions of a second of other than 3
or 6 digits as text, and makes offsets of time that raise when they are used; so chunks are read here.
"""

import json
from collections.abc import Mapping

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import (
    CELSIUS,
    DURATIONS_S,
    EXPANSIONS,
    HERTZ,
    RATES_HZ,
    SECONDS,
    TEMPERATURES_C,
    VOLTAGES,
    VOLTS,
    clean,
    note,
    number,
    position,
    time_stamp,
    words,
)

_AUDIOMOTH_GAINS = {"0": "low", "1": "low-medium", "2": "medium", "3": "medium-high", "4": "high"}
"""What the comment of the same firmware calls the numbers of ``OAD|Recording Settings``."""

_NOT_A_RECORDER = frozenset(("guano", "user", "nabat", "sb"))
"""Namespaces of people and of software."""


def guano_fields(chunk: bytes) -> dict[str, str]:
    """All fields of a GUANO chunk, keys as written, the first of two alike; control characters are left out."""
    fields: dict[str, str] = {}
    for line in chunk.decode("utf-8-sig", "replace").replace("\0", "\n").replace("\r", "\n").split("\n"):
        key, colon, value = line.partition(":")
        key = clean(key)
        if colon and key:
            fields.setdefault(key, clean(value))
    return fields


def read_guano(chunk: bytes) -> Facts | None:
    """Read a GUANO chunk, whatever is wrong with it; None where it has no field at all.

    Keys are compared without their case: manuals and software do not keep it.
    """
    written = guano_fields(chunk)
    if not written:
        return None
    fields: dict[str, str] = {}
    for key, value in written.items():
        if value:
            fields.setdefault(key.lower(), value)
    problems: list[str] = []
    if "guano|version" not in fields:
        note(problems, "GUANO|Version is missing")
    rate = number(fields.get("samplerate"), "Samplerate", RATES_HZ, problems, HERTZ)
    if (settings := fields.get("oad|recording settings")) is not None:
        gain, trigger, rate_in_settings = _audiomoth_settings(settings, problems)
        rate = rate or rate_in_settings
    elif (settings := fields.get("wa|song meter|audio settings")) is not None:
        gain, trigger = _song_meter_settings(settings, problems)
    else:
        gain, trigger = _named_settings(written)
    temperature = number(fields.get("temperature int"), "Temperature Int", TEMPERATURES_C, problems, CELSIUS)
    if temperature is None:
        temperature = number(fields.get("temperature ext"), "Temperature Ext", TEMPERATURES_C, problems, CELSIUS)
    battery = next((text for key, text in fields.items() if key.endswith(("|battery voltage", "|battvoltage"))), None)
    latitude, longitude = position(fields.get("loc position"), "Loc Position", problems)
    return Facts(
        "guano",
        start=time_stamp(fields.get("timestamp"), "Timestamp", problems),
        time_expansion=number(fields.get("te"), "TE", EXPANSIONS, problems),
        sample_rate_hz=rate,
        duration_s=number(fields.get("length"), "Length", DURATIONS_S, problems, SECONDS),
        latitude=latitude,
        longitude=longitude,
        make=words(fields.get("make")),
        model=words(fields.get("model")),
        serial=words(fields.get("serial")),
        firmware=words(fields.get("firmware version")),
        gain=gain,
        trigger=trigger,
        temperature_c=temperature,
        battery_v=number(battery, "battery voltage", VOLTAGES, problems, VOLTS),
        problems=tuple(problems),
    )


def _audiomoth_settings(text: str, problems: list[str]) -> tuple[str | None, str | None, float | None]:
    """Gain, trigger and sample rate of ``OAD|Recording Settings``.

    Examples
    --------
    >>> _audiomoth_settings("384000 GAIN 2 FREQ 40000 64 0.5% 1 HPF 8000 LGR", [])
    ('medium, low gain range', 'FREQ 40000 64 0.5% 1', 384000.0)
    >>> _audiomoth_settings("250000 GAIN 4 AMP -40dB 10 D48", [])
    ('high', 'AMP -40dB 10', 250000.0)
    >>> _audiomoth_settings("192000 GAIN 1 BPF 20000 100000 ESM", [])
    ('low-medium', '', 192000.0)
    """
    settings: dict[str, list[str]] = {}
    name = ""
    for word in text[:400].split():
        if word[0].isalpha():
            name = word
            settings.setdefault(name, [])
        else:
            settings.setdefault(name, []).append(word)
    if not settings.get("GAIN"):
        note(problems, "OAD|Recording Settings is not understood", text)
        return None, None, None
    gain = _AUDIOMOTH_GAINS.get(settings["GAIN"][0], settings["GAIN"][0])
    trigger = ", ".join(" ".join([name, *settings[name]]) for name in ("FREQ", "AMP") if name in settings)
    rate = number(next(iter(settings.get("", ())), None), "rate in OAD|Recording Settings", RATES_HZ, problems)
    return words(f"{gain}, low gain range" if "LGR" in settings else gain), words(trigger) or "", rate


def _song_meter_settings(text: str, problems: list[str]) -> tuple[str | None, str | None]:
    """Gain and trigger of ``WA|Song Meter|Audio settings``: JSON, an object for each channel.

    Settings of a trigger are there only where the recorder waited for one (Song Meter Mini Bat 2 user guide).

    Examples
    --------
    >>> _song_meter_settings('[{"rate":256000,"gain":12,"trig window":3.0,"trig min freq":30000}]', [])
    ('12 dB', 'trig window 3.0, trig min freq 30000')
    >>> _song_meter_settings('[{"rate":48000,"gain":6},{"rate":48000,"gain":18}]', [])
    ('6/18 dB', '')
    """
    try:
        # Kaleidoscope turns the quotation marks into typographic ones; numbers are kept as they are written
        plain = text[:10_000].replace("“", '"').replace("”", '"')
        channels = json.loads(plain, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        channels = None
    if isinstance(channels, dict):
        channels = [channels]
    if not isinstance(channels, list) or not channels or not all(isinstance(channel, dict) for channel in channels):
        note(problems, "WA|Song Meter|Audio settings is not understood", text)
        return None, None
    told = [{key: value for key, value in channel.items() if isinstance(value, str)} for channel in channels]
    gains = dict.fromkeys(channel["gain"] for channel in told if "gain" in channel)
    triggers = dict.fromkeys(
        ", ".join(f"{key} {value}" for key, value in channel.items() if key.startswith("trig")) for channel in told
    )
    gain = words("/".join(gains))
    return f"{gain} dB" if gain else None, words(" / ".join(filter(None, triggers)), 200) or ""


def _named_settings(written: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Gain and trigger of other makers: ``PET|Gain``, ``Anabat|Gain (A)``, ``BATLOGGER|Trigger|Frequency``."""
    gain = None
    triggers = []
    for key, value in written.items():
        namespace, bar, name = key.partition("|")
        if not bar or not value or namespace.lower() in _NOT_A_RECORDER:
            continue
        parts = name.lower().split("|")
        if gain is None and (parts[-1].startswith("gain") or parts[-1].endswith(" gain")):
            gain = words(value)
        if any(part.startswith(("trig", "tsens")) for part in parts):
            triggers.append(f"{name.replace('|', ' ')} {value}")
    return gain, words(", ".join(triggers), 200)
