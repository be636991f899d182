"""Calls and noise mixed into what a recorder would have written.

Levels are sound pressure levels until the microphone: a recorder is described by the level that drives it to
full scale and by its own noise, and turns pressure into samples.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.signal

from batpam.simulate.calls import Call
from batpam.simulate.parameters import draw
from batpam.simulate.propagation import (
    SPEED_OF_SOUND,
    absorption,
    beam_loss,
    fly_past,
    microphone_gain,
    transmission_loss,
)

AUDIBLE_SNR = 3.0
"""Sound above this is not in the noise, dB."""

APART = 4e-3
"""Of an echo that begins sooner behind its call, or behind another echo, nobody can say whether it is one more, s."""

VISIBLE_DB = 26.0
"""The part of a call that is within this of its loudest instant, and above the noise, counts as the call."""

BANDS_HZ = (6e3, 18e3, 30e3, 45e3, 65e3, 95e3, 250e3)
"""Edges of the bands in which air absorbs differently, Hz."""

BAND = 0.05
"""Width of the band that noise is taken in for a signal-to-noise ratio, re its frequency: about that of a voice."""

DULL_HZ = 40_000.0
"""What is not quite smooth returns frequencies above this more weakly, by 6 dB an octave, Hz (general knowledge)."""

FOLDED_SNR = -99.0
"""Of calls of which no more than a mirror image is recorded: nobody can say of what they are, dB."""

COLOUR_HZ = np.array([6e3, 12e3, 24e3, 48e3, 96e3, 192e3])
"""Frequencies at which the colour of a recorder is given, Hz."""


@dataclass(frozen=True)
class Recorder:
    """A recorder.

    Attributes
    ----------
    sample_rate
        Hz.
    full_scale
        Level of a sine that just clips, dB SPL.
    noise
        Self-noise in a band of 1 Hz, dB SPL.
    roll_off
        Frequency at which the microphone begins to fall, Hz.
    roll_off_order
        How steeply it does, times 6 dB an octave.
    resonance
        Resonance of the microphone, Hz.
    high_pass
        Frequency of a second-order filter below which sound and noise are taken out, Hz; 0: none.
    response, noise_colour
        What case and electronics add to the response to sound, and to the self-noise, dB at :data:`COLOUR_HZ`.
    alias_rejection
        Attenuation of sound above the Nyquist frequency, which folds back, dB.
    """

    sample_rate: int = 384_000
    full_scale: float = 95.0
    noise: float = -20.0
    roll_off: float = 70_000.0
    roll_off_order: float = 1.0
    resonance: float = 24_000.0
    high_pass: float = 0.0
    response: tuple[float, ...] = (0.0,) * 6
    noise_colour: tuple[float, ...] = (0.0,) * 6
    alias_rejection: float = 80.0


@dataclass(frozen=True)
class Flight:
    """A straight flight past the microphone.

    Attributes
    ----------
    closest
        Distance, m.
    at
        When it is reached, s.
    speed
        m/s.
    detour
        How much longer the way over the nearest smooth surface is (ground, water, a wall), m.
    beam
        Radius of the piston that sends as the bat does (:func:`~batpam.simulate.propagation.beam_loss`), m.
    temperature, humidity
        °C, %.
    """

    closest: float = 8.0
    at: float = 0.0
    speed: float = 6.0
    detour: float = 1.0
    beam: float = 5e-3
    temperature: float = 15.0
    humidity: float = 80.0


@dataclass(frozen=True)
class Heard:
    """A call as it arrived: the truth that a detector is held against.

    Attributes
    ----------
    start, end
        Of the part within :data:`VISIBLE_DB` of the loudest instant, and of echoes of smooth surfaces that run on from it, s.
    low, high, peak
        Lowest and highest frequency of that part and the frequency of its loudest instant, as recorded, Hz.
    level
        Peak amplitude of a sine at the loudest instant, dB re full scale.
    snr
        Highest level over the noise within :data:`BAND` of the frequency, less what a sweep loses in such a band, dB;
        :data:`FOLDED_SNR` of a call whose loudest part lies above the Nyquist frequency.
    track
        Of a call, up to 33 instants of that part: time (s), frequency (Hz), level (dB re full scale) and snr (dB), shape
        (k, 4).
    echoes
        Of a call, what smooth surfaces return of it behind a gap; :data:`FOLDED_SNR` where that is within :data:`APART` of
        its start.
    """

    start: float
    end: float
    low: float
    high: float
    peak: float
    level: float
    snr: float
    track: np.ndarray = field(default_factory=lambda: np.empty((0, 4)), compare=False, repr=False)
    echoes: "tuple[Heard, ...]" = ()


def hear_call(
    samples: np.ndarray,
    call: Call,
    flight: Flight,
    recorder: Recorder,
    rng: np.random.Generator,
    *,
    echoes: float = 0.5,
    wind: float = 0.0,
) -> Heard | None:
    """Add a call to a recording as the recorder hears it.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1; changed in place.
    echoes
        0 (none) to 1: how likely each kind of echo is.
    wind
        See :func:`self_noise`; here it only takes part in the signal-to-noise ratio.

    Returns
    -------
    Heard or None
        None where it does not lie inside the recording as a whole.
    """
    rate = recorder.sample_rate
    distance, angle, doppler = (
        float(v[0]) for v in fly_past(np.array([call.start]), flight.closest, flight.speed, flight.at)
    )
    duration = call.duration / doppler
    count = max(int(duration * rate), 8)
    begin = int((call.start + distance / SPEED_OF_SOUND) * rate)
    if begin + count < 0 or begin > len(samples):
        return None
    u = np.linspace(0, 1, count)
    steps = np.linspace(0, 1, len(call.frequency))
    curve = np.interp(u, steps, call.frequency) * doppler
    envelope = np.interp(u, steps, call.envelope)
    phase = 2 * np.pi * np.cumsum(curve) / rate

    weather = {"temperature": flight.temperature, "humidity": flight.humidity}

    def received(multiple: float, level: float) -> np.ndarray:
        frequency = call.frequency * doppler * multiple  # what happens to it is smooth
        loss = transmission_loss(frequency, distance, **weather) + beam_loss(frequency, angle - call.turn, flight.beam)
        gain = call.level - 20 + level - loss - recorder.full_scale
        gain += sensitivity(frequency, recorder)
        gain[frequency > 0.48 * rate] -= recorder.alias_rejection
        return envelope * 10 ** (np.interp(u, steps, gain) / 20)

    amplitude = received(1.0, 0.0)
    wave = amplitude * np.sin(phase)
    for multiple, level in call.harmonics:
        wave += received(multiple, level) * np.sin(multiple * phase)
    _add(samples, wave, begin)
    farther = [
        transmission_loss(call.frequency * doppler, far, **weather) for far in (distance, distance + flight.detour)
    ]
    farther = np.interp(u, steps, farther[1] - farther[0])
    copies = _add_echoes(samples, wave, curve, begin, rate, flight.detour, farther, echoes, rng) if echoes > 0 else []
    loudest = int(amplitude.argmax())
    if amplitude[loudest] < 1e-12:
        return None
    heard = _Received(
        begin, rate, curve, 20 * np.log10(np.maximum(amplitude, 1e-12)), _snr(amplitude, curve, rate, recorder, wind)
    )
    if heard.first < 0 or heard.last > len(samples):
        return None
    echoes_heard = [
        replace(heard, begin=begin + delay, level=heard.level + gain, snr=heard.snr + gain) for delay, gain in copies
    ]
    last, apart = _part(heard, [echo for echo in echoes_heard if echo.snr.max() > AUDIBLE_SNR])
    told = []
    for some in apart:
        loudest_one, until = max(some, key=lambda echo: float(echo.snr.max())).seen(), max(echo.last for echo in some)
        if until <= len(samples):
            close = some[0].first < heard.first + APART * rate
            snr = FOLDED_SNR if close else loudest_one.snr
            told.append(replace(loudest_one, start=some[0].first / rate, end=until / rate, snr=snr))
    return replace(heard.seen(), end=min(last, len(samples)) / rate, echoes=tuple(told))


def _part(call: "_Received", echoes: list["_Received"]) -> tuple[int, list[list["_Received"]]]:
    """Where a call ends with the echoes that run on from it, and the others, those together that nobody can part."""
    until, since = call.last, call.first
    last, apart = call.last, list[list[_Received]]()
    for echo in sorted(echoes, key=lambda echo: echo.first):
        if echo.first > until and (echo.first >= since + APART * echo.rate or not apart):
            apart.append([])
            until, since = echo.last, echo.first
        until = max(until, echo.last)
        if apart:
            apart[-1].append(echo)
        else:
            last = until
    return last, apart


@dataclass(frozen=True)
class _Received:
    """A call, or an echo of it, as it arrives.

    From its first sample ``begin`` on: frequency (Hz), level (dB re full scale) and signal-to-noise ratio (dB) of each sample.
    """

    begin: int
    rate: int
    curve: np.ndarray
    level: np.ndarray
    snr: np.ndarray

    @cached_property
    def visible(self) -> np.ndarray:
        """Its samples within :data:`VISIBLE_DB` of the loudest and above the noise; in noise, the former alone."""
        loud = self.level > self.level.max() - VISIBLE_DB
        visible = np.flatnonzero(loud & (self.snr > AUDIBLE_SNR))
        return visible if len(visible) else np.flatnonzero(loud)

    @property
    def first(self) -> int:
        """Sample of the recording at which it begins to be seen."""
        return int(self.begin + self.visible[0])

    @property
    def last(self) -> int:
        """The one behind the last that is seen."""
        return int(self.begin + self.visible[-1]) + 1

    def seen(self) -> Heard:
        """What is seen of it."""
        folded, loudest = np.abs(self.curve - self.rate * np.round(self.curve / self.rate)), int(self.level.argmax())
        shown = folded[self.visible]
        some = self.visible[np.linspace(0, len(self.visible) - 1, min(len(self.visible), 33)).astype(int)]
        return Heard(
            self.first / self.rate, self.last / self.rate, float(shown.min()), float(shown.max()),
            float(folded[loudest]), float(self.level[loudest]),
            float(self.snr.max()) if self.curve[loudest] < self.rate / 2 else FOLDED_SNR,
            np.stack([(self.begin + some) / self.rate, folded[some], self.level[some], self.snr[some]], axis=1),
        )  # fmt: skip


def trim(heard: Heard, first: float, last: float) -> Heard:
    """What is left of a call in a recording from ``first`` to ``last`` (s).

    Of less than half of it nobody can say of what it is: :data:`FOLDED_SNR`.
    """
    inside = heard.track[(heard.track[:, 0] >= first) & (heard.track[:, 0] <= last)]
    heard = replace(heard, start=max(heard.start, first), end=min(heard.end, last))
    if len(inside) == len(heard.track):
        return heard
    if len(inside) < len(heard.track) / 2:
        return replace(heard, snr=FOLDED_SNR)
    frequency, level, snr = inside[:, 1], inside[:, 2], inside[:, 3]
    loudest = int(level.argmax())
    return replace(
        heard, low=float(frequency.min()), high=float(frequency.max()), peak=float(frequency[loudest]),
        level=float(level[loudest]), snr=min(heard.snr, float(snr.max())),
    )  # fmt: skip


def _snr(
    amplitude: np.ndarray, curve: np.ndarray, rate: float, recorder: Recorder, wind: float, stride: int = 16
) -> np.ndarray:
    """Level of a sweep over the noise around its frequency, dB, shape of ``amplitude``.

    A sweep of rate m through a Gaussian band of noise bandwidth b keeps 1 / sqrt(1 + (m / 2 b^2)^2) of its power.
    """
    some = slice(None, None, stride)  # all of this is smooth
    f = curve[some]
    sweep = np.gradient(f) * rate / stride if len(f) > 1 else np.zeros_like(f)
    over = noise_level(f, recorder, wind) + 5 * np.log10(1 + (sweep / (2 * (BAND * f) ** 2)) ** 2)
    place = np.arange(len(curve))
    return 20 * np.log10(np.maximum(amplitude, 1e-12)) - np.interp(place, place[some], over)


def _add(samples: np.ndarray, wave: np.ndarray, begin: int) -> None:
    first, last = max(begin, 0), min(begin + len(wave), len(samples))
    if first < last:
        samples[first:last] += wave[first - begin : last - begin]


def _add_echoes(
    samples: np.ndarray,
    wave: np.ndarray,
    curve: np.ndarray,
    begin: int,
    rate: int,
    detour: float,
    farther: np.ndarray,
    strength: float,
    rng: np.random.Generator,
) -> list[tuple[int, np.ndarray]]:
    """Echoes of smooth surfaces (ground, water, walls), and a cloud of weaker ones, duller than the call.

    Parameters
    ----------
    farther
        What the detour takes away beyond what a call loses on the straight way, dB, sample by sample.

    Returns
    -------
    list of (int, ndarray)
        Delay (samples) of each echo of a smooth surface, and its level re the call, dB, one for each sample of the call.
    """
    copies = []
    pole = np.exp(-2 * np.pi * DULL_HZ / rate)
    dull = scipy.signal.lfilter([1 - pole], [1.0, -pole], wave)
    if rng.random() < strength:
        level, delay = draw("echo_level", rng), int(detour * rng.normal(1, 0.03) / SPEED_OF_SOUND * rate)
        _add(samples, dull * 10 ** ((level - farther) / 20), begin + delay)
        lost = (1 - pole) / np.abs(1 - pole * np.exp(-2j * np.pi * curve / rate))
        copies.append((delay, level - farther + 20 * np.log10(lost)))
    if rng.random() < 0.3 * strength:  # near a hard surface the direct call is followed by copies hardly weaker
        for _ in range(int(rng.integers(1, 4))):
            level, delay = draw("copy_level", rng), int(draw("copy_delay", rng) * rate)
            _add(samples, wave * 10 ** (level / 20), begin + delay)
            copies.append((delay, np.full(len(curve), level)))
    if rng.random() < 0.5 * strength:
        decay = draw("cloud_decay", rng)
        for after in rng.exponential(decay, int(rng.integers(4, 12))):
            gain = rng.normal() * 10 ** (draw("cloud_level", rng) / 20) * np.exp(-after / (2 * decay))
            _add(samples, dull * gain, begin + int((0.3e-3 + after) * rate))
    return copies


def reverberation(
    samples: np.ndarray,
    rate: int,
    energy: float,
    rng: np.random.Generator,
    *,
    temperature: float = 15.0,
    humidity: float = 80.0,
) -> np.ndarray:
    """What leaves, twigs and ground scatter back of a bat's calls: a tail without a gap behind each call.

    The echoes of many scatterers add up to noise whose power falls with time, the faster the higher the frequency:
    the air absorbs on the longer way.

    Parameters
    ----------
    samples
        The calls as they arrive directly, shape (n,).
    energy
        Of the tail re the call, dB.

    Returns
    -------
    ndarray of shape (n,)
        The tails alone.
    """
    count = int(draw("tail_length", rng) * rate)
    t = np.arange(count) / rate
    fade = (1 - np.exp(-t / draw("tail_rise", rng))) * np.exp(-t / draw("tail_decay", rng)) / (1 + t / 0.01)
    size = scipy.fft.next_fast_len(2 * count, real=True)  # so that nothing runs round from the end to the beginning
    spectrum = scipy.fft.rfft(rng.standard_normal(count, np.float32) * fade.astype(np.float32), size)
    f = scipy.fft.rfftfreq(size, 1 / rate)
    response = np.zeros(count)
    for low, high in pairwise(BANDS_HZ):
        lost = absorption(np.sqrt(low * high), temperature=temperature, humidity=humidity) * SPEED_OF_SOUND * t
        response += scipy.fft.irfft(spectrum * ((f >= low) & (f < high)), size)[:count] * 10 ** (-lost / 20)
    response *= np.minimum(1.0, 5 * (1 - t * rate / count))
    response *= 10 ** (energy / 20) / np.sqrt((response**2).sum())
    return scipy.signal.oaconvolve(samples.astype(np.float32), response.astype(np.float32))[: len(samples)]


def self_noise(length: int, recorder: Recorder, rng: np.random.Generator, *, wind: float = 0.0) -> np.ndarray:
    """Noise of the microphone and of the wind, shape (length,), full scale 1.

    Parameters
    ----------
    wind
        dB by which wind rises above the self-noise at 8 kHz; it falls with the square of the frequency, above 1 kHz.
    """
    size = scipy.fft.next_fast_len(length, real=True)
    spectrum = rng.standard_normal(2 * (size // 2 + 1), np.float32).view(np.complex64)  # of white noise
    f = scipy.fft.rfftfreq(size, 1 / recorder.sample_rate)[1:]
    some = np.geomspace(f[0], f[-1], 600)
    spectrum[1:] *= np.interp(f, some, _noise_density(some, recorder, wind)).astype(np.float32)
    spectrum[0] = 0
    return scipy.fft.irfft(spectrum, size)[:length] * np.float32(np.sqrt(recorder.sample_rate * size) / 2)


def noise_level(f: np.ndarray | float, recorder: Recorder, wind: float = 0.0) -> np.ndarray:
    """Level of the noise within :data:`BAND` of frequencies (Hz), dB re a full-scale sine."""
    f = np.asarray(f, float)
    return 20 * np.log10(_noise_density(f, recorder, wind)) + 10 * np.log10(BAND * f) + 3.0


def _noise_density(f: np.ndarray, recorder: Recorder, wind: float) -> np.ndarray:
    """Amplitude of the noise in a band of 1 Hz, full scale 1, at frequencies (Hz)."""
    gain = microphone_gain(f, recorder.resonance, recorder.roll_off, recorder.roll_off_order)
    shape = 10 ** (gain / 20) * 0.7 + 0.5
    shape = shape * np.sqrt(1 + 3_000.0 / f) * 10 ** (_colour(f, recorder.noise_colour) / 20)
    if wind > 0:
        shape = shape + 10 ** (wind / 20) * (8_000.0 / np.maximum(f, 1_000.0)) ** 2
    return shape * 10 ** ((recorder.noise - recorder.full_scale + _passed(f, recorder)) / 20)


def sensitivity(f: np.ndarray | float, recorder: Recorder) -> np.ndarray:
    """Response of a recorder to sound of frequencies (Hz), dB."""
    gain = microphone_gain(f, recorder.resonance, recorder.roll_off, recorder.roll_off_order)
    return gain + _colour(f, recorder.response) + _passed(f, recorder)


def through_microphone(samples: np.ndarray, recorder: Recorder) -> np.ndarray:
    """Sound as a recorder writes it, shape (n,)."""
    size = scipy.fft.next_fast_len(len(samples), real=True)
    spectrum = scipy.fft.rfft(samples.astype(np.float32), size)
    f = scipy.fft.rfftfreq(size, 1 / recorder.sample_rate)[1:]
    some = np.geomspace(f[0], f[-1], 600)
    spectrum[1:] *= np.interp(f, some, 10 ** (sensitivity(some, recorder) / 20)).astype(np.float32)
    return scipy.fft.irfft(spectrum, size)[: len(samples)]


def _passed(f: np.ndarray | float, recorder: Recorder) -> np.ndarray:
    """What the high-pass of a recorder leaves of frequencies (Hz), dB."""
    return -10 * np.log10(1 + (recorder.high_pass / np.asarray(f, float)) ** 4)


def _colour(frequency: np.ndarray | float, colour: tuple[float, ...]) -> np.ndarray:
    return np.interp(np.log(frequency), np.log(COLOUR_HZ), colour)


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Samples as a 16-bit recorder writes them, clipped at full scale."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
