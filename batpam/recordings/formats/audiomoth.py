"""What an AudioMoth writes down: the comment in its WAV files and ``CONFIG.TXT``.

The sentences and keys are those of AudioMoth-Firmware-Basic 1.0 to 1.11 (``setHeaderComment``,
``writeConfigurationToFile``); AudioMoth-GPS-Sync uses the same sentences.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from batpam.recordings.facts import Facts
from batpam.recordings.formats.fields import words

MAKE, MODEL = "Open Acoustic Devices", "AudioMoth"

DAY_MIN = 24 * 60
"""Minutes in a day."""

MAX_OFFSET_MIN = 14 * 60
"""No clock on Earth is further from UTC."""

_HEAD = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d)(?P<fraction>\.\d{3})? (?P<date>\d\d/\d\d/\d{4})"
    r"(?: \(UTC(?P<zone>[^()]{0,8})\))?(?P<by> by AudioMoth| during deployment)?(?: (?P<id>[0-9A-F]{16})(?![0-9A-F]))?",
    re.ASCII,
)
_ARTIST = re.compile(r"AudioMoth ([0-9A-F]{16})")
_GAIN = re.compile(r"\bat (?:gain setting ([0-9])|((?:low|medium|high)(?:-medium|-high)?) gain)\b")
_BATTERY = re.compile(r"battery (?:state )?was (?:less than |greater than |[<>] ?)?([0-9]\.[0-9]{1,2}) ?V")
_TEMPERATURE = re.compile(r"temperature was (-?[0-9]{1,3}\.[0-9])C")
_STOP = re.compile(r"Recording (?:stopped|cancelled before completion) (?:due to|by) (\S.*)")
_TRIGGER = re.compile(
    r"Amplitude threshold was [1-9][0-9]*|"  # up to 1.5.0
    r"(?:Amplitude threshold|Frequency trigger \([0-9.]+kHz and window length of [0-9]+ samples\) threshold) was "
    r"(?:-?[0-9]+ dB|[0-9.]+%?) with [0-9]+s minimum trigger duration"
)
_FILTERS = ("Low-pass filter ", "Band-pass filter ", "High-pass filter ")
_CUT_UP = re.compile(r"(?:Split|Expanded) from \S")
_CLIP_START = re.compile(r'"recording_start_time": "([^"]{1,40})"')
_ZONE = re.compile(r"([+-])([0-9]{1,2})?(?::([0-9]{1,2}| [0-9]))?")
_ZONE_WITHOUT_SIGN = re.compile(r":[0-9 ][0-9]")


def read_comment(comment: bytes, artist: bytes = b"") -> Facts | None:
    """Read the comment of an AudioMoth.

    Firmware 1.2.2 set to an offset of a broken number of hours can write a time that is 3600 s wrong, while the name of
    the file is right; the sentence does not tell.

    Parameters
    ----------
    comment
        The ``ICMT`` chunk.
    artist
        The ``IART`` chunk, which firmware 1.2.1 and later write.

    Returns
    -------
    Facts or None
        None if neither is an AudioMoth's. ``start`` is without an offset where the comment lacks its sign.
    """
    text = comment.partition(b"\0")[0].decode("latin-1")
    found = _HEAD.search(text)
    by_artist = _ARTIST.fullmatch(artist.partition(b"\0")[0].decode("latin-1").strip())
    problems: list[str] = []
    if not found or not (found["by"] or found["zone"] is not None):
        if not by_artist:
            return None
        # AudioMoth-Utils puts a sentence of its own in place of the recorder's when it cuts a file into several
        if text.strip() and not _CUT_UP.match(text):
            problems.append(f"not understood: {_quoted(text)}")
        return Facts("audiomoth", make=MAKE, model=MODEL, serial=by_artist[1], problems=tuple(problems))

    start = _clip_start(text) or _start(found, problems)
    # OpenSoundscape keeps the sentence in a JSON object
    sentence, *others = re.split(r"\.(?: |$)", text[found.end() :].partition('"')[0].rstrip())
    unclear: list[str] = []
    gain, battery_v, temperature_c = _state(sentence, unclear)
    if temperature_c is not None and not others:
        unclear.append(f"cut off: {_quoted(sentence[-40:])}")
    trigger, stop_reason = _remarks(others, unclear)
    problems += unclear
    serial = found["id"] if found["by"] == " by AudioMoth" else None
    if serial and _is_address(serial):
        problems.append("firmware before 1.2.0 gives every recorder the same serial number")
        serial = None
    return Facts(
        "audiomoth",
        start=start,
        make=MAKE,
        model=MODEL,
        serial=serial or (by_artist[1] if by_artist else None),
        gain=gain,
        trigger=trigger,
        temperature_c=temperature_c,
        battery_v=battery_v,
        stop_reason=stop_reason,
        problems=tuple(problems),
    )


def _start(found: re.Match[str], problems: list[str]) -> datetime | None:
    try:
        when = datetime.strptime(f"{found['time']} {found['date']}", "%H:%M:%S %d/%m/%Y")
    except ValueError:
        problems.append(f"no such time: {found['time']} {found['date']}")
        return None
    when += timedelta(seconds=float(found["fraction"] or 0))
    zone = found["zone"] or ""  # firmware 1.0 says nothing, and its clock runs on UTC
    offset = _offset_min(zone)
    if offset is not None:
        return when.replace(tzinfo=timezone(timedelta(minutes=offset)))
    problems.append(f"time zone not understood: {_quoted('UTC' + zone)}")
    # firmware 1.2.2 and 1.3.0 leave out a zero hour with its sign
    return when if _ZONE_WITHOUT_SIGN.fullmatch(zone) else None


def _clip_start(text: str) -> datetime | None:
    """When a clip began that OpenSoundscape cut out of a recording."""
    found = _CLIP_START.search(text) if text.startswith("opso_metadata") else None
    try:
        return datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _offset_min(zone: str) -> int | None:
    """Minutes in what follows ``UTC``; a minus goes for the minutes too."""
    if not zone:
        return 0
    found = _ZONE.fullmatch(zone)
    if not found or not (found[2] or found[3]):
        return None
    hours, minutes = int(found[2] or 0), int(found[3] or 0)
    offset = hours * 60 + minutes
    if offset > MAX_OFFSET_MIN or minutes > 59:
        return None
    return -offset if found[1] == "-" else offset


def _is_address(serial: str) -> bool:
    """Whether a serial number is the two addresses of its halves, which firmware up to 1.1.0 printed in its place."""
    return int(serial[:8], 16) - int(serial[8:], 16) == 8


def _state(sentence: str, problems: list[str]) -> tuple[str | None, float | None, float | None]:
    """Gain, battery (V) and temperature (degrees Celsius)."""
    gain = _GAIN.search(sentence)
    if not gain:
        problems.append(f"gain not understood: {_quoted(sentence)}")
    battery = _BATTERY.search(sentence)
    if not battery:
        problems.append(f"battery not understood: {_quoted(sentence)}")
    temperature = _TEMPERATURE.search(sentence)
    if not temperature and ((gain and gain[2]) or "temperature" in sentence):  # since it names gains, it has one
        problems.append(f"temperature not understood: {_quoted(sentence)}")
    return (
        (gain[1] or gain[2]) if gain else None,
        # firmware 1.0 prints tenths with two digits: 4.02V is 4.2 V
        float(re.sub(r"\.0(\d)", r".\1", battery[1])) if battery else None,
        float(temperature[1]) if temperature else None,
    )


def _remarks(sentences: list[str], problems: list[str]) -> tuple[str | None, str | None]:
    """Trigger and stop reason, from what follows the first sentence.

    Each sentence ends in a full stop, so the last of those given is empty, unless it was cut off.
    """
    triggers, stop_reason = [], None
    if sentences and sentences[-1]:
        problems.append(f"cut off: {_quoted(sentences[-1])}")
    for sentence in sentences[:-1]:
        stop = _STOP.fullmatch(sentence)
        if stop:
            stop_reason = words(stop[1])
        elif _TRIGGER.fullmatch(sentence):
            triggers.append(sentence)
        elif not sentence.startswith(_FILTERS):
            problems.append(f"not understood: {_quoted(sentence)}")
    return "; ".join(triggers) if triggers or not problems else None, stop_reason


def _quoted(text: str) -> str:
    return repr(text.strip()[:40])


@dataclass(frozen=True)
class AudioMothConfig:
    """What ``CONFIG.TXT`` says; an AudioMoth writes it when its switch is set. None where it says nothing.

    The file does not say to which position the switch was set. At CUSTOM the recorder keeps to the schedule; at DEFAULT
    it records all the time.

    Attributes
    ----------
    serial
        16 hexadecimal digits.
    firmware
        With its version.
    sample_rate_hz
        Hz.
    gain
        In the recorder's words.
    periods
        When it records, minutes after midnight by the recorder's clock: start and end. An end that is not after the
        start is on the next day. Empty where it has no periods, or a sun mode.
    offset_min
        Of the recorder's clock from UTC.
    first, last
        When it is to begin and end: a date, of which all is meant, or a time with its offset.
    sleep_s, record_s
        Of each cycle; None where it records without a break.
    trigger
        In the recorder's words; "" where it records without one.
    sun
        Whether it records by sunrise and sunset, which the recorder calculates.
    daily_folder
        Whether it makes a folder for each day.
    problems
        What of it could not be understood, each a short text for a person.
    """

    serial: str | None = None
    firmware: str | None = None
    sample_rate_hz: float | None = None
    gain: str | None = None
    periods: tuple[tuple[int, int], ...] | None = None
    offset_min: int | None = None
    first: date | None = None
    last: date | None = None
    sleep_s: float | None = None
    record_s: float | None = None
    trigger: str | None = None
    sun: bool = False
    daily_folder: bool = False
    problems: tuple[str, ...] = ()


_ID = re.compile(r"[0-9A-F]{16}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_IN_BRACKETS = re.compile(r"\(UTC([^()]{0,8})\)")
_PERIOD_KEY = re.compile(r"Recording period [0-9]{1,2}")
_PERIOD = re.compile(r"([0-9]{1,2}):([0-5][0-9]) - ([0-9]{1,2}):([0-5][0-9]) \(UTC([^()]{0,8})\)")
_LIMIT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?: ([0-9]{2}:[0-9]{2}:[0-9]{2}))? \(UTC([^()]{0,8})\)")
_NO_LIMIT = re.compile(r"[-: ]*")
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)
"""An AudioMoth has no schedule outside."""


def read_config(text: bytes) -> AudioMothConfig | None:
    """Read ``CONFIG.TXT``, which firmware 1.4.0 and later write.

    Up to 1.8 the periods and the first and last time are in UTC, later in the time zone of the recorder.

    Returns
    -------
    AudioMothConfig or None
        None if it is not an AudioMoth's.
    """
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").replace("\0", "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip("\ufeff \t"), value.strip())
    serial, firmware = fields.get("Device ID", ""), fields.get("Firmware") or None
    if not _ID.fullmatch(serial) and not (firmware and MODEL in firmware):
        return None
    problems: list[str] = []
    if not _ID.fullmatch(serial):
        problems.append(f"device ID not understood: {_quoted(serial)}")
    offset_min = _config_offset(fields, problems)
    sun = "Sun recording mode" in fields
    return AudioMothConfig(
        serial=serial if _ID.fullmatch(serial) else None,
        firmware=firmware,
        sample_rate_hz=_number(fields, "Sample rate (Hz)", problems),
        gain=fields.get("Gain") or None,
        periods=() if sun else _periods(fields, offset_min, problems),
        offset_min=offset_min,
        first=_limit(fields, ("First recording date", "First recording time", "Earliest recording time"), problems),
        last=_limit(fields, ("Last recording date", "Last recording time", "Latest recording time"), problems),
        sleep_s=_number(fields, "Sleep duration (s)", problems),
        record_s=_number(fields, "Recording duration (s)", problems),
        trigger=_config_trigger(fields),
        sun=sun,
        daily_folder=fields.get("Use daily folder for WAV files") == "Yes",
        problems=tuple(problems),
    )


def _config_offset(fields: Mapping[str, str], problems: list[str]) -> int | None:
    zone = fields.get("Time zone", "")
    in_brackets = _IN_BRACKETS.search(fields.get("Device time", ""))  # since 1.10.0
    offset = None
    if zone.startswith("UTC"):
        offset = _offset_min(zone.removeprefix("UTC"))
    elif in_brackets:
        offset = _offset_min(in_brackets[1])
    if offset is None:
        problems.append(f"time zone not understood: {_quoted(zone or fields.get('Device time', ''))}")
    return offset


def _number(fields: Mapping[str, str], key: str, problems: list[str]) -> float | None:
    value = fields.get(key, "-")
    if value == "-":
        return None
    if not _NUMBER.fullmatch(value):
        problems.append(f"{key} not understood: {_quoted(value)}")
        return None
    return float(value)


def _periods(
    fields: Mapping[str, str], offset_min: int | None, problems: list[str]
) -> tuple[tuple[int, int], ...] | None:
    """Recording periods by the recorder's clock; None if not all are known."""
    number = _number(fields, "Active recording periods", problems)
    periods = []
    for key, value in fields.items():
        found = _PERIOD.fullmatch(value) if _PERIOD_KEY.fullmatch(key) else None
        zone = _offset_min(found[5]) if found else None
        if not found or zone is None:
            continue
        start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        shift = (offset_min or 0) - zone
        if start < DAY_MIN and end <= DAY_MIN:
            # up to 1.8 a period may end at 24:00
            periods.append((start, end) if shift == 0 else ((start + shift) % DAY_MIN, (end + shift) % DAY_MIN))
    if number != len(periods):
        problems.append(f"recording periods not understood: {len(periods)} of {fields.get('Active recording periods')}")
        return None
    return tuple(sorted(periods))


def _limit(fields: Mapping[str, str], keys: tuple[str, ...], problems: list[str]) -> date | None:
    """First or last date or time of recording."""
    key, value = next(((key, fields[key]) for key in keys if key in fields), ("", "-"))
    if _NO_LIMIT.fullmatch(value):
        return None
    found = _LIMIT.fullmatch(value)
    offset = _offset_min(found[3]) if found else None
    try:
        when = datetime.fromisoformat(f"{found[1]} {found[2] or '00:00:00'}") if found else None
    except ValueError:
        when = None
    if found is None or when is None or offset is None or not FIRST_DAY <= when.date() <= LAST_DAY:
        problems.append(f"{key} not understood: {_quoted(value)}")
        return None
    return when.replace(tzinfo=timezone(timedelta(minutes=offset))) if found[2] else when.date()


def _config_trigger(fields: Mapping[str, str]) -> str | None:
    """Trigger in words: before firmware 1.8.0 there was only that by amplitude."""
    kind = fields.get("Trigger type")
    threshold = fields.get("Amplitude threshold") if kind is None else fields.get("Threshold setting", "")
    if kind == "-" or (kind is None and threshold == "-"):
        return ""
    if threshold is None:
        return None
    duration = fields.get("Minimum trigger duration (s)", "-")
    return f"{kind or 'Amplitude'} threshold {threshold}" + (f", at least {duration} s" if duration != "-" else "")


def scheduled_windows(config: AudioMothConfig, first_night: date, last_night: date) -> list[tuple[datetime, datetime]]:
    """Tell when a recorder was to record, breaks of the sleep and record cycle left aside.

    Parameters
    ----------
    first_night, last_night
        A night is from noon to noon by the recorder's clock and has the date of its evening.

    Returns
    -------
    list of (datetime, datetime)
        Windows, UTC, in order, none touching another. All the time where there are no periods: an AudioMoth without
        any does not record and writes no ``CONFIG.TXT``, unless its switch is at DEFAULT. Empty too where the schedule
        is not known: with a sun mode, or without ``periods`` or ``offset_min``.
    """
    first_night, last_night = max(first_night, FIRST_DAY), min(last_night, LAST_DAY)
    if config.sun or config.periods is None or config.offset_min is None or last_night < first_night:
        return []
    zone = timezone(timedelta(minutes=config.offset_min))
    begin = datetime.combine(first_night, time(12), zone)
    end = datetime.combine(last_night + timedelta(days=1), time(12), zone)
    if not config.periods:
        return [(begin.astimezone(UTC), end.astimezone(UTC))]
    if config.first:
        begin = max(begin, _moment(config.first, zone))
    if config.last:
        after = timedelta() if isinstance(config.last, datetime) else timedelta(days=1)
        end = min(end, _moment(config.last, zone) + after)

    windows: list[tuple[datetime, datetime]] = []
    for number in range(-1, (last_night - first_night).days + 2):
        midnight = datetime.combine(first_night + timedelta(days=number), time(), zone)
        for start_min, end_min in config.periods:
            stop_min = end_min if end_min > start_min else end_min + DAY_MIN
            start = max(midnight + timedelta(minutes=start_min), begin)
            stop = min(midnight + timedelta(minutes=stop_min), end)
            if start < stop:
                windows.append((start.astimezone(UTC), stop.astimezone(UTC)))
    return _merged(windows)


def _moment(limit: date, zone: timezone) -> datetime:
    return limit if isinstance(limit, datetime) else datetime.combine(limit, time(), zone)


def _merged(windows: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, stop in sorted(windows):
        if merged and start <= merged[-1][1]:
            start, stop = merged[-1][0], max(stop, merged.pop()[1])
        merged.append((start, stop))
    return merged


def duty_share(config: AudioMothConfig) -> float:
    """Share of the scheduled time that is recorded; 1 where there is no cycle or it is not known."""
    if config.sleep_s is None or config.record_s is None or config.sleep_s + config.record_s == 0:
        return 1.0
    if config.periods == () and not config.sun:  # the switch is at DEFAULT, see scheduled_windows
        return 1.0
    return config.record_s / (config.record_s + config.sleep_s)
