"""What a source says of a recording."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Facts:
    """What one source (a chunk of the file, a file beside it, its name) says; None where it says nothing.

    Attributes
    ----------
    source
        ``guano``, ``wamd``, ``audiomoth``, ``batlogger``, ``d500x`` or ``name``.
    start
        When the recording began. With an offset where the source gives one; else by the recorder's own clock.
    time_expansion
        Factor by which the recording was slowed down.
    sample_rate_hz, duration_s
        Real ones, time expansion undone.
    latitude, longitude
        Degrees, WGS84.
    make, model, serial, firmware
        Of the recorder. The serial number is what tells two recorders of one make apart.
    gain
        In the recorder's words.
    trigger
        In the recorder's words; "" where it says that it recorded without one.
    temperature_c
        Inside the recorder, degrees Celsius.
    battery_v
        V; the bound where the recorder gives only one ("less than 2.5V").
    stop_reason
        Why it stopped before its time, in the recorder's words.
    problems
        What of it could not be understood, each a short text for a person.
    """

    source: str
    start: datetime | None = None
    time_expansion: float | None = None
    sample_rate_hz: float | None = None
    duration_s: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    gain: str | None = None
    trigger: str | None = None
    temperature_c: float | None = None
    battery_v: float | None = None
    stop_reason: str | None = None
    problems: tuple[str, ...] = ()
