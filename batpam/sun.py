"""Sunset and sunrise of survey nights."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from astral import Observer, sun

from batpam.survey import zone


def sun_times(
    night: date, latitude: float | None, longitude: float | None, timezone: str
) -> tuple[datetime | None, datetime | None]:
    """Sunset of a night and the sunrise after it, UTC; None where the position is not known or the sun does not set.

    Parameters
    ----------
    night
        Date of its evening in the time zone.
    latitude, longitude
        Degrees, WGS84; None where not known.
    timezone
        By which nights are cut: an IANA name.

    Examples
    --------
    >>> sunset, sunrise = sun_times(date(2024, 6, 1), 51.5, -0.1, "Europe/London")
    >>> sunset.strftime("%H:%M"), sunrise.strftime("%H:%M")
    ('20:08', '03:48')
    """
    if latitude is None or longitude is None:
        return None, None
    place = Observer(latitude, longitude)
    # astral dates an event by its UTC day; the sunset after local noon and the sunrise after that are wanted
    noon = datetime.combine(night, time(12), UTC) - timedelta(hours=longitude / 15)
    # zone and longitude may lie on different sides of the date line, as in Tonga: there the date is another
    civil_noon = datetime.combine(night, time(12), zone(timezone)).astimezone(UTC)
    noon += timedelta(days=round((civil_noon - noon) / timedelta(days=1)))
    sunset = _first_after(noon, lambda day: sun.sunset(place, day))
    sunrise = _first_after(sunset, lambda day: sun.sunrise(place, day)) if sunset else None
    return (sunset, sunrise) if sunrise else (None, None)


def _first_after(moment: datetime, event: Callable[[date], datetime]) -> datetime | None:
    """First time of an event within the 24 hours after a moment; None where there is none, as in a polar summer."""
    found = []
    for offset in (-1, 0, 1, 2):
        try:
            found.append(event(moment.date() + timedelta(days=offset)))
        except ValueError:
            continue
    return min((when for when in found if moment < when <= moment + timedelta(hours=24)), default=None)
