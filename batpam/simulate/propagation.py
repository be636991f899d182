"""What air and the geometry of a flight do to a call on its way to the microphone."""

import numpy as np

SPEED_OF_SOUND = 343.0
"""m/s, at 20 °C."""


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


def beam_loss(frequency: np.ndarray, angle: float) -> np.ndarray:
    """Loss off the axis of the sonar beam, dB: 6 dB at 50° for 30 kHz, a narrower beam above, 25 dB at most.

    Parameters
    ----------
    frequency
        Hz.
    angle
        Between the direction of flight and the microphone, rad.
    """
    half_width = np.deg2rad(50.0) * (30_000.0 / np.asarray(frequency, float)) ** 0.4
    return np.minimum(6.0 * (angle / half_width) ** 2, 25.0)


def microphone_gain(frequency: np.ndarray, resonance: float = 24_000.0, roll_off: float = 70_000.0) -> np.ndarray:
    """Response of a MEMS microphone, dB: a resonance and a first-order fall (6 dB an octave) above ``roll_off`` (Hz)."""
    f = np.asarray(frequency, float)
    return 4.0 * np.exp(-(np.log(f / resonance) ** 2) / 0.15) - 10 * np.log10(1 + (f / roll_off) ** 2)


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
