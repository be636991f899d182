"""What is known of a recording, and from where: the sources in their order, the best of each, and where they disagree.

The order is: GUANO, WAMD, a Batlogger's sidecar, the header of a D500X, the comment of an AudioMoth, the name of the file.
The site sheet goes before all of them where it says something. Disagreement is a warning of the recording, never an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import asin, cos, hypot, radians, sin, sqrt
from pathlib import PurePath

from batpam.recordings.facts import Facts
from batpam.recordings.formats.audiomoth import read_comment
from batpam.recordings.formats.batlogger import read_batlogger
from batpam.recordings.formats.guano import read_guano
from batpam.recordings.formats.names import read_name
from batpam.recordings.formats.pettersson import read_d500x
from batpam.recordings.formats.wamd import read_wamd
from batpam.survey import Deployment, local_to_utc, zone

EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
"""A clock before this was never set: recorders count from 1970, 1980 or 2000, and go on counting for a season."""

CLOCKS_AGREE_S = 2.0
"""Names are cut to the second, and some recorders name a file a moment after they began it."""

CLOCK_WRONG_S = 60.0
"""What no haste of a recorder explains; from here on one of two clocks is wrong."""

POSITIONS_AGREE_M = 100.0
RATES_AGREE = 0.001

ASSUMED = "assumed"
"""Source of the zone of a clock that nobody names: that of the site is taken."""

EXPANDED_RATES = frozenset(
    (19_200, 20_000, 25_000, 25_600, 30_000, 30_720, 31_250, 38_400, 44_100, 48_000, 50_000)
)  # fmt: skip
"""A tenth of the rates that bat recorders sample at, Hz: such a file may be one that was slowed down ten times."""

NEVER_EXPANDED = ("guano", "audiomoth")
"""Sources that would say so: GUANO has a factor of 1 where it gives none, an AudioMoth does not slow down."""

WARNINGS = {
    "clock_unset": "the recorder's clock was never set",
    "clock_disagrees": "two sources give times more than a minute apart",
    "times_apart": "two sources give times some seconds apart",
    "clock_ambiguous": "the hour of its local time came twice that night; the first is taken",
    "clock_skipped": "its local time was skipped when summer time began; the clock was not on local time",
    "clock_future": "it began after the file was last written",
    "clock_jump": "it is more than a year from the recorder's other recordings",
    "overlap": "it began before the recording before it had ended",
    "same_time": "another recording of the same recorder began at the same time",
    "position_disagrees": "two sources give different positions",
    "rate_disagrees": "two sources give different sample rates",
    "expansion_disagrees": "two sources give different time expansions",
    "looks_expanded": "it may have been slowed down, and nobody says so",
    "length_disagrees": "the recorder says it is of another length",
    "header_incomplete": "its header was never completed; it was read to the end",
    "size_wrong": "its header says a wrong size; it was read to the end",
    "channels_unused": "it has more channels than the one that is analysed",
    "metadata": "some of its metadata cannot be understood",
}
"""What can be said of a recording beside its state, in the words of a report."""

FIELDS = ("make", "model", "serial", "firmware", "gain", "trigger", "temperature_c", "battery_v", "stop_reason")
"""Fields of :class:`batpam.recordings.facts.Facts` that are taken as they are from the first source that has them."""


@dataclass
class Known:
    """What is known of a recording.

    Attributes
    ----------
    start
        UTC; None where no source tells, or none that could be true.
    time_expansion
        1 where nobody says otherwise.
    latitude, longitude
        Of the recording itself, degrees; None where the file does not say.
    values
        Of :data:`FIELDS`.
    sources
        Which source each was taken from, by name of the field.
    warnings
        Codes of :data:`WARNINGS`, with what is wrong in words.
    """

    start: datetime | None = None
    time_expansion: float = 1.0
    latitude: float | None = None
    longitude: float | None = None
    values: dict[str, object] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


def read_sources(path: PurePath, chunks: Mapping[str, bytes], sidecar: bytes | None = None) -> list[Facts]:
    """What every source says, in their order.

    Parameters
    ----------
    chunks
        Text chunks of the file, see :class:`batpam.recordings.audio.AudioInfo`.
    sidecar
        Content of the XML file of the same name, where there is one.
    """
    found = (
        read_guano(chunks["guan"]) if "guan" in chunks else None,
        read_wamd(chunks["wamd"]) if "wamd" in chunks else None,
        read_batlogger(sidecar) if sidecar is not None else None,
        read_d500x(chunks["d500x"]) if "d500x" in chunks else None,
        read_comment(chunks.get("ICMT", b""), chunks.get("IART", b"")),
        read_name(path.name, path.parent.name),
    )
    return [facts for facts in found if facts]


def merge(sources: Sequence[Facts], deployment: Deployment, rate: float, duration_s: float) -> Known:
    """Take the best of every source and say where they disagree.

    Parameters
    ----------
    sources
        In their order.
    deployment
        Row of the site sheet.
    rate, duration_s
        On paper, of the header of the file: Hz, s; rate 0 where the header was not read.
    """
    known = Known()
    for facts in sources:
        for name in FIELDS:
            value = getattr(facts, name)
            if value is not None and name not in known.values:
                known.values[name], known.sources[name] = value, facts.source
        if facts.latitude is not None and facts.longitude is not None and known.latitude is None:
            known.latitude, known.longitude, known.sources["position"] = facts.latitude, facts.longitude, facts.source
        if facts.problems:
            said = known.warnings.get("metadata")
            known.warnings["metadata"] = "; ".join(
                [*([said] if said else []), f"{facts.source}: {', '.join(facts.problems)}"]
            )
    if rate:
        _expand(known, sources, deployment, rate, duration_s)
    _locate(known, sources, deployment)
    _set_clock(known, sources, deployment)
    return known


def _expand(known: Known, sources: Sequence[Facts], deployment: Deployment, rate: float, duration_s: float) -> None:
    """Time expansion, of the site sheet or else of the file; real rate and length held against what recorders say."""
    told = [(facts.time_expansion, facts.source) for facts in sources if facts.time_expansion]
    # a recorder that gives no factor gives the real rate, and the header that on paper
    told += [
        (round(facts.sample_rate_hz / rate), facts.source)
        for facts in sources
        if facts.sample_rate_hz and not facts.time_expansion and _is_slowed(facts, rate, duration_s)
    ]
    if deployment.time_expansion != 1:
        told.insert(0, (deployment.time_expansion, "sheet"))
    if told:
        known.time_expansion, known.sources["time_expansion"] = told[0]
        other = next(((factor, source) for factor, source in told if factor != known.time_expansion), None)
        if other:
            known.warnings["expansion_disagrees"] = f"{told[0][0]:g} in {told[0][1]}, {other[0]:g} in {other[1]}"
    elif rate in EXPANDED_RATES and not any(facts.source in NEVER_EXPANDED for facts in sources):
        known.warnings["looks_expanded"] = (
            f"{rate:g} Hz is a tenth of a rate of bat recorders; give time_expansion in the site sheet if it was slowed down"
        )
    real = rate * known.time_expansion
    for facts in sources:
        if facts.sample_rate_hz and abs(facts.sample_rate_hz / real - 1) > RATES_AGREE:
            known.warnings["rate_disagrees"] = (
                f"{facts.sample_rate_hz:g} Hz in {facts.source}, {real:g} Hz by the header"
            )
        if facts.duration_s and abs(facts.duration_s - duration_s / known.time_expansion) > max(
            1, 0.02 * facts.duration_s
        ):
            known.warnings["length_disagrees"] = (
                f"{facts.duration_s:.1f} s in {facts.source}, {duration_s / known.time_expansion:.1f} s in the file"
            )


def _is_slowed(facts: Facts, rate: float, duration_s: float) -> bool:
    """Whether a file whose header has a lower rate than the recorder was slowed down, and not made of fewer samples."""
    factor = (facts.sample_rate_hz or 0) / rate
    if not (5 <= round(factor) <= 1000 and abs(factor / round(factor) - 1) < RATES_AGREE):
        return False
    return not facts.duration_s or duration_s > facts.duration_s * factor / 2


def _locate(known: Known, sources: Sequence[Facts], deployment: Deployment) -> None:
    places = [(deployment.latitude, deployment.longitude, "the site sheet")]
    places += [(facts.latitude, facts.longitude, facts.source) for facts in sources]
    told = [(lat, lon, source) for lat, lon, source in places if lat is not None and lon is not None]
    for lat, lon, source in told[1:]:
        distance = metres_between(told[0][0], told[0][1], lat, lon)
        if distance > POSITIONS_AGREE_M:
            known.warnings["position_disagrees"] = f"{source} is {distance:.0f} m from {told[0][2]}"


def metres_between(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Distance of two places on a sphere (haversine formula), m.

    Examples
    --------
    >>> round(metres_between(51.0, 0.0, 52.0, 0.0))
    111195
    """
    a, b = radians(latitude), radians(other_latitude)
    half = hypot(sin((b - a) / 2), sqrt(cos(a) * cos(b)) * sin(radians(other_longitude - longitude) / 2))
    return 2 * 6_371_000 * asin(min(half, 1))


def _set_clock(known: Known, sources: Sequence[Facts], deployment: Deployment) -> None:
    recorder_zone = deployment.clock or deployment.timezone
    times = [(facts.start, facts.source) for facts in sources if facts.start]
    when, source = next((told for told in times if _corrected(told[0], deployment)), (None, ""))
    if when is None:
        if times:
            known.warnings["clock_unset"] = f"{times[0][1]} says {times[0][0]:%Y-%m-%d %H:%M}"
        return
    for other, other_source in times:
        apart = _seconds_apart(when, other, recorder_zone)
        if apart > CLOCKS_AGREE_S:
            known.warnings["clock_disagrees" if apart > CLOCK_WRONG_S else "times_apart"] = (
                f"{source} {when:%Y-%m-%d %H:%M:%S%z}, {other_source} {other:%Y-%m-%d %H:%M:%S%z}"
            )
            if (source, other_source) == ("audiomoth", "name") and abs(apart - 3600) <= CLOCKS_AGREE_S:
                # some firmware is an hour off in its comment and right in the name (known problem OAD004)
                when, source = (other if other.tzinfo else other.replace(tzinfo=when.tzinfo)), "name"
            break
    if when.tzinfo is None:
        known.sources["zone"] = "sheet" if deployment.clock else ASSUMED
        _doubt(known, when, recorder_zone)
    known.start = _corrected(when, deployment)
    known.sources["start"] = source
    if known.start and known.start != _instant(when, recorder_zone):
        known.sources["clock"] = "sheet"


def correction_of(clock: datetime, deployment: Deployment) -> timedelta:
    """What the site sheet adds to a time that the recorder's clock showed, an aware one."""
    correction = timedelta(seconds=deployment.clock_offset)
    if deployment.clock_drift:
        noon = datetime.fromisoformat(deployment.first_night).replace(hour=12, tzinfo=zone(deployment.timezone))
        correction -= timedelta(seconds=deployment.clock_drift) * ((clock - noon) / timedelta(days=1))
    return correction


def _corrected(when: datetime, deployment: Deployment) -> datetime | None:
    """UTC of a time as a source gives it; None where no clock that was set can have shown it."""
    instant = _instant(when, deployment.clock or deployment.timezone)
    try:
        start = instant + correction_of(instant, deployment) if instant else None
        return start if start and EARLIEST <= start <= start + timedelta(days=366) else None
    except OverflowError:
        return None


def _instant(when: datetime, recorder_zone: str) -> datetime | None:
    """UTC of a time, by the recorder's zone where it has none; None where there is no such year."""
    try:
        return when.astimezone(UTC) if when.tzinfo else local_to_utc(when, recorder_zone)
    except (OverflowError, ValueError):
        return None


def _seconds_apart(one: datetime, other: datetime, recorder_zone: str) -> float:
    """Between two times of one recording; one that has no offset may be on the other's."""
    apart = []
    if one.tzinfo is None or other.tzinfo is None:
        apart.append(abs((one.replace(tzinfo=None) - other.replace(tzinfo=None)).total_seconds()))
    instants = _instant(one, recorder_zone), _instant(other, recorder_zone)
    if instants[0] and instants[1]:
        apart.append(abs((instants[0] - instants[1]).total_seconds()))
    return min(apart, default=float("inf"))


def _doubt(known: Known, local: datetime, recorder_zone: str) -> None:
    """Warn of a local time that comes twice or never."""
    place = zone(recorder_zone)
    first, second = local.replace(tzinfo=place, fold=0), local.replace(tzinfo=place, fold=1)
    if first.utcoffset() == second.utcoffset():
        return
    skipped = first.astimezone(UTC).astimezone(place).replace(tzinfo=None) != local
    code = "clock_skipped" if skipped else "clock_ambiguous"
    known.warnings[code] = f"{local:%Y-%m-%d %H:%M:%S} in {recorder_zone}; name the recorder's clock in the site sheet"
