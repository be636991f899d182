"""Sunset and sunrise: against published times, and against the height of the sun worked out another way."""

from datetime import UTC, date, datetime, timedelta
from math import asin, cos, degrees, radians, sin
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.sun import sun_times


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _height(moment: datetime, latitude: float, longitude: float) -> float:
    """Height of the sun, degrees, by the low-precision formulas of the Astronomical Almanac (0.01 degrees)."""
    days = (moment - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86_400
    anomaly = radians(357.529 + 0.98560028 * days)
    ecliptic = radians(280.459 + 0.98564736 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 3.6e-7 * days)
    declination = asin(sin(obliquity) * sin(ecliptic))
    sidereal = radians(280.46062 + 360.98564737 * days + longitude)
    # the hour angle by its cosine and sine, so that no quadrant is lost
    x, y = cos(ecliptic), cos(obliquity) * sin(ecliptic)
    toward = (x * cos(sidereal) + y * sin(sidereal)) * cos(radians(latitude))
    return degrees(asin(toward + sin(radians(latitude)) * sin(declination)))


@pytest.mark.parametrize(
    ("latitude", "longitude", "night", "sunset", "sunrise"),
    [
        pytest.param(51.507, -0.128, "2024-06-21", "2024-06-21T20:21", "2024-06-22T03:43", id="London"),
        pytest.param(52.520, 13.405, "2024-10-27", "2024-10-27T15:45", "2024-10-28T05:56", id="Berlin"),
        pytest.param(40.713, -74.006, "2024-03-20", "2024-03-20T23:08", "2024-03-21T10:57", id="New York"),
        pytest.param(21.307, -157.858, "2024-06-21", "2024-06-22T05:16", "2024-06-22T15:50", id="Honolulu"),
        pytest.param(-33.869, 151.209, "2024-12-21", "2024-12-21T09:05", "2024-12-21T18:41", id="Sydney"),
        pytest.param(-36.849, 174.763, "2024-06-21", "2024-06-21T05:11", "2024-06-21T19:34", id="Auckland"),
        # the sun sets after midnight, and still in the night of that evening
        pytest.param(64.147, -21.943, "2024-06-21", "2024-06-22T00:03", "2024-06-22T02:56", id="Reykjavik"),
    ],
)
def test_known_times(latitude: float, longitude: float, night: str, sunset: str, sunrise: str) -> None:
    found = sun_times(date.fromisoformat(night), latitude, longitude, "UTC")
    assert found[0] is not None
    assert found[1] is not None
    assert abs(found[0] - _utc(sunset)) < timedelta(minutes=3)
    assert abs(found[1] - _utc(sunrise)) < timedelta(minutes=3)


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone", "sunset", "sunrise"),
    [
        pytest.param(-21.14, -175.20, "Pacific/Tongatapu", "18:07", "07:17", id="Tonga"),
        pytest.param(-13.83, -171.76, "Pacific/Apia", "18:07", "06:49", id="Samoa"),
        pytest.param(1.87, -157.43, "Pacific/Kiritimati", "18:38", "06:24", id="Kiritimati"),
        pytest.param(-43.95, -176.56, "Pacific/Chatham", "16:59", "08:06", id="Chatham"),
        pytest.param(52.90, 173.0, "America/Adak", "23:56", "07:03", id="Attu"),
        pytest.param(-17.0, -179.9, "Pacific/Fiji", "17:34", "06:28", id="Fiji"),
        pytest.param(51.507, -0.128, "Europe/London", "21:21", "04:43", id="London"),
        pytest.param(21.307, -157.858, "Pacific/Honolulu", "19:16", "05:50", id="Honolulu"),
        pytest.param(-36.849, 174.763, "Pacific/Auckland", "17:11", "07:34", id="Auckland"),
        pytest.param(39.5, 76.0, "Asia/Shanghai", "22:26", "07:28", id="Kashgar"),
    ],
)
def test_dates_are_those_of_the_zone_on_either_side_of_the_date_line(
    latitude: float, longitude: float, zone: str, sunset: str, sunrise: str
) -> None:
    found = sun_times(date(2024, 6, 21), latitude, longitude, zone)
    for moment, wanted in zip(found, (f"2024-06-21T{sunset}", f"2024-06-22T{sunrise}"), strict=True):
        assert moment is not None
        assert _height(moment, latitude, longitude) == pytest.approx(-0.833, abs=0.2)
        local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert abs(local - datetime.fromisoformat(wanted)) < timedelta(minutes=3)


@given(
    st.dates(date(2000, 1, 1), date(2060, 1, 1)),
    st.floats(-60, 60),
    st.floats(-180, 180),
)
def test_sun_goes_down_in_the_evening_and_comes_up_after_it(night: date, latitude: float, longitude: float) -> None:
    sunset, sunrise = sun_times(night, latitude, longitude, "UTC")
    assert sunset is not None
    assert sunrise is not None
    for moment, change in ((sunset, -1), (sunrise, 1)):
        # the upper edge of the sun with refraction: 0.833 degrees below the horizon
        assert _height(moment, latitude, longitude) == pytest.approx(-0.833, abs=0.2)
        later = _height(moment + timedelta(minutes=5), latitude, longitude)
        assert (later - _height(moment, latitude, longitude)) * change > 0
    middle = datetime.combine(night, datetime.min.time(), UTC) + timedelta(hours=24 - longitude / 15)
    assert sunset < middle + timedelta(hours=1)
    assert sunrise > middle - timedelta(hours=1)
    assert timedelta(hours=4) < sunrise - sunset < timedelta(hours=20)


@pytest.mark.parametrize(("latitude", "longitude"), [(None, None), (51.5, None), (None, 0.0)])
def test_unknown_position_has_no_sun(latitude: float | None, longitude: float | None) -> None:
    assert sun_times(date(2024, 6, 1), latitude, longitude, "UTC") == (None, None)


@pytest.mark.parametrize(
    ("latitude", "night"),
    [
        (69.65, "2024-06-21"),
        (69.65, "2024-12-21"),
        (90.0, "2024-06-21"),
        (-77.85, "2024-12-21"),
        (-77.85, "2024-06-21"),
    ],
)
def test_sun_that_does_not_set_or_rise_is_none(latitude: float, night: str) -> None:
    assert sun_times(date.fromisoformat(night), latitude, 18.95, "UTC") == (None, None)


@pytest.mark.parametrize(
    ("latitude", "night", "sunset", "sunrise"),
    [
        (66.5, "2024-06-04", "2024-06-04T22:21", "2024-06-04T23:05"),
        (66.5, "2024-07-06", "2024-07-06T22:26", "2024-07-06T23:14"),
        (69.65, "2024-11-25", "2024-11-25T11:13", "2024-11-26T10:06"),
    ],
)
def test_last_night_before_the_sun_stays_is_a_night(latitude: float, night: str, sunset: str, sunrise: str) -> None:
    found = sun_times(date.fromisoformat(night), latitude, 18.95, "UTC")
    assert found[0] is not None
    assert found[1] is not None
    assert abs(found[0] - _utc(sunset)) < timedelta(minutes=15)
    assert abs(found[1] - _utc(sunrise)) < timedelta(minutes=15)
