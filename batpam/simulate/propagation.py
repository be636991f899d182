"""What air and the geometry of a flight do to a call on its way to the microphone."""

import numpy as np

SPEED_OF_SOUND = 343.0
"""m/s, at 20 °C."""

HALF_AMPLITUDE = 2.215
"""Where ``2 J1(x) / x`` is 0.5."""


def absorption(frequency: np.ndarray | float, temperature: float = 15.0, humidity: float = 80.0) -> np.ndarray:
    """Atmospheric absorption after ISO 9613-1, at 101.325 kPa.

    The standard covers 50 Hz to 10 kHz; its extrapolation to 200 kHz agrees with the measurements of Griffin (1971).

    Parameters
    ----------
    frequency
        Hz.
    temperature
        °C.
    humidity
        Relative humidity, %.

    Returns
    -------
    ndarray
        dB/m.

    Examples
    --------
    >>> absorption(45_000, temperature=15, humidity=80).round(2)
    np.float64(1.42)
    """
    f = np.asarray(frequency, float)
    kelvin, reference = temperature + 273.15, 293.15
    saturation = 10 ** (-6.8346 * (273.16 / kelvin) ** 1.261 + 4.6151)
    h = humidity * saturation
    oxygen = 24 + 4.04e4 * h * (0.02 + h) / (0.391 + h)
    nitrogen = (kelvin / reference) ** -0.5 * (9 + 280 * h * np.exp(-4.170 * ((kelvin / reference) ** (-1 / 3) - 1)))
    return (
        8.686
        * f**2
        * (
            1.84e-11 * (kelvin / reference) ** 0.5
            + (kelvin / reference) ** -2.5
            * (
                0.01275 * np.exp(-2239.1 / kelvin) / (oxygen + f**2 / oxygen)
                + 0.1068 * np.exp(-3352 / kelvin) / (nitrogen + f**2 / nitrogen)
            )
        )
    )


def transmission_loss(
    frequency: np.ndarray, distance: float, *, temperature: float = 15.0, humidity: float = 80.0
) -> np.ndarray:
    """Loss from 1 m to ``distance`` (m) by spherical spreading and absorption, dB."""
    far = max(distance, 0.3)
    loss = absorption(frequency, temperature=temperature, humidity=humidity) * (far - 1.0)
    return 20 * np.log10(far) + np.maximum(loss, 0.0)


def beam_loss(frequency: np.ndarray, angle: float, radius: float) -> np.ndarray:
    """Loss off the axis of the sonar beam, dB, as of a piston, whose beam narrows as the frequency rises.

    Beams of bats that fly in the open follow the piston (Surlykke et al. 2009, doi 10.1098/rspb.2008.1505): half the
    amplitude is left where ``2 J1(x) / x`` is 0.5. The gaps between its side lobes are left out, ``10 log10(1 + 3 (x / 2.215)**3)``
    is nearly what lies over them; with ``2 sin(angle / 2)`` for ``sin(angle)`` it falls on behind the bat.

    Parameters
    ----------
    frequency
        Hz.
    angle
        Between the axis of the beam and the microphone, rad, of either sign.
    radius
        Of the piston, m (:func:`piston_radius`).

    Examples
    --------
    >>> radius = piston_radius(np.deg2rad(30), 40e3)
    >>> beam_loss(np.array([40e3, 80e3]), np.deg2rad(30), radius).round(1)
    array([ 6., 14.])
    """
    x = 4 * np.pi * np.asarray(frequency, float) * radius / SPEED_OF_SOUND * np.abs(np.sin(angle / 2))
    return 10 * np.log10(1 + 3 * (x / HALF_AMPLITUDE) ** 3)


def piston_radius(half_width: float, frequency: float) -> float:
    """Radius (m) of a piston that has half its amplitude ``half_width`` (rad) off its axis, at a frequency (Hz)."""
    return HALF_AMPLITUDE * SPEED_OF_SOUND / (4 * np.pi * frequency * np.sin(half_width / 2))


def hearing_range(level: float, frequency: float, threshold: float) -> float:
    """How far (m) a bat of a source level (dB peSPL at 10 cm) is heard on its axis with a level (dB SPL) at a frequency (Hz)."""
    distance = np.geomspace(0.3, 200, 200)
    arrives = level - 20 - 20 * np.log10(distance) - absorption(frequency) * np.maximum(distance - 1, 0)
    return float(np.interp(-threshold, -arrives, distance))


def microphone_gain(
    frequency: np.ndarray | float, resonance: float = 24_000.0, roll_off: float = 70_000.0, order: float = 1.0
) -> np.ndarray:
    """Response of a MEMS microphone, dB: a resonance and a fall of 6 dB an octave, times ``order``, above ``roll_off`` (Hz)."""
    f = np.asarray(frequency, float)
    return 4.0 * np.exp(-(np.log(f / resonance) ** 2) / 0.15) - 10 * order * np.log10(1 + (f / roll_off) ** 2)


def fly_past(times: np.ndarray, closest: float, speed: float, at: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance (m), angle off the direction of flight (rad) and Doppler factor of a bat that flies straight past.

    Parameters
    ----------
    times
        s.
    closest
        Smallest distance, m.
    speed
        m/s.
    at
        Time of the smallest distance, s.
    """
    along = speed * (at - np.asarray(times, float))
    distance = np.hypot(closest, along)
    angle = np.arccos(np.clip(along / distance, -1, 1))
    doppler = 1.0 / (1.0 - speed / SPEED_OF_SOUND * along / distance)
    return distance, angle, doppler
