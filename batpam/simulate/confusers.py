"""What is not a bat: insects, rain, keys, electronics, birds, rodents and gusts of wind.

All levels are those of the highest peak of a sound, dB re full scale. Functions add to a recording in place and
return what they added, sound by sound: where a detector that calls it a bat is wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import scipy.fft
import scipy.ndimage
import scipy.signal

from batpam.simulate.parameters import draw, draw_many, parameters, rows_of
from batpam.simulate.propagation import absorption
from batpam.simulate.soundscapes import VISIBLE_DB, Heard, Recorder, sensitivity

BAND_DB = 20.0
"""The band of a sound is where its spectrum is within this of its maximum."""

SHORTEST = 16
"""Samples that a sound must have inside the recording to be told of."""

TABLE = 4096
"""Points of one period of a waveform with harmonics, a power of two; rounding to them stays 60 dB below the wave."""

SENSORS_HZ = (20e3, 25e3, 32e3, 32.768e3, 38.4e3, 40e3, 48e3, 58e3)
"""Frequencies of sensors of movement and of distance, and of the clocks of recorders."""


_draw, _draw_many = partial(draw, table="machines"), partial(draw_many, table="machines")


def _given(quantity: str) -> float:
    """A share or a mean of ``machines.tsv``."""
    return float(rows_of("machines")[quantity]["low"])


@dataclass(frozen=True)
class _Sound:
    """A sound to mix in: its wave (highest peak 1), which samples of it can be seen, and its band, Hz."""

    wave: np.ndarray
    first: int
    last: int
    low: float
    high: float
    peak: float


def _sound(wave: np.ndarray, rate: int) -> _Sound:
    wave = wave / max(float(np.abs(wave).max()), 1e-12)
    visible = np.flatnonzero(np.abs(wave) > 10 ** (-VISIBLE_DB / 20))
    size = scipy.fft.next_fast_len(max(len(wave), 1024), real=True)
    power = np.abs(scipy.fft.rfft(wave, size)) ** 2
    width = max(round(1_500.0 * size / rate), 1)  # the spectrum of a short burst of noise is ragged
    power = scipy.ndimage.uniform_filter1d(power, width, mode="constant")
    band = np.flatnonzero(power > power.max() * 10 ** (-BAND_DB / 10)) * rate / size
    return _Sound(
        wave, int(visible[0]), int(visible[-1]) + 1, float(band[0]), float(band[-1]), float(power.argmax() * rate / size)
    )  # fmt: skip


def _mix(samples: np.ndarray, sound: _Sound, begin: int, level: float, rate: int) -> list[Heard]:
    """Add a sound at a sample; what of it is heard, if that is not too short."""
    first, last = max(begin, 0), min(begin + len(sound.wave), len(samples))
    if first < last:
        samples[first:last] += (sound.wave[first - begin : last - begin] * 10 ** (level / 20)).astype(samples.dtype)
    first, last = max(begin + sound.first, 0), min(begin + sound.last, len(samples))
    if last - first < SHORTEST:
        return []
    return [Heard(first / rate, last / rate, sound.low, sound.high, sound.peak, level, float("nan"))]


def _mix_all(
    samples: np.ndarray, sounds: list[_Sound], begins: np.ndarray, levels: np.ndarray, rate: int, rng: np.random.Generator
) -> list[Heard]:  # fmt: skip
    """Add a sound, drawn from a few, at each of many times (s)."""
    which = rng.integers(len(sounds), size=len(begins))
    return [
        heard
        for i, begin, level in zip(which, (begins * rate).astype(int), levels, strict=True)
        for heard in _mix(samples, sounds[i], int(begin), float(level), rate)
    ]


def _periodic(phase: np.ndarray, amplitudes: Iterable[float]) -> np.ndarray:
    """A sum of harmonics of a phase (in periods); amplitudes from the fundamental up."""
    table = np.zeros(TABLE)
    place = 2 * np.pi * np.arange(TABLE) / TABLE
    for n, amplitude in enumerate(amplitudes, 1):
        table += amplitude * np.sin(n * place)
    return table[(phase * TABLE).astype(np.intp) & (TABLE - 1)]


def _chirp(frequency: np.ndarray, harmonics_db: Iterable[float], rate: int, rng: np.random.Generator) -> np.ndarray:
    """A wave of a frequency (Hz, sample by sample) and its harmonics, as far as none passes the Nyquist frequency."""
    most = int(0.49 * rate / frequency.max())
    amplitudes = [1.0, *(10 ** (db / 20) for db in harmonics_db)][:most]
    return _periodic(rng.random() + np.cumsum(frequency) / rate, amplitudes)


def insect_songs() -> pd.DataFrame:
    """The table of insect songs; frequencies in kHz, times in ms, levels in dB."""
    return parameters("insects")


def add_insect(
    samples: np.ndarray, species: str, level: float, recorder: Recorder, rng: np.random.Generator
) -> list[Heard]:
    """Add the song of one insect, warm or cold, near or far.

    Parameters
    ----------
    samples
        Shape (n,), full scale 1; changed in place.
    species
        A species of ``insects.tsv``.
    level
        Peak level of a pulse, dB re full scale.

    Returns
    -------
    list of Heard
        The pulses (hemisyllables).
    """
    song = insect_songs().set_index("species").loc[species]
    rate, duration = recorder.sample_rate, len(samples) / recorder.sample_rate
    warm = rng.uniform(0.75, 1.35)
    pulse, period, echeme = (float(song[name]) * 1e-3 / warm for name in ("pulse", "period", "echeme_period"))
    pitch = rng.uniform(0.93, 1.07)
    far = float(np.exp(rng.uniform(np.log(0.5), np.log(20.0))))
    colour = _song_colour(song, pitch, far, recorder)
    closing = [_sound(_pulse(song, pulse, pitch, colour, rate, rng), rate) for _ in range(3)]
    count = int(song["pulses"])
    count = max(count + int(rng.integers(-1, 2)), 1) if count > 2 else count
    echeme = max(echeme, count * period)
    steps = echeme * rng.normal(1, 0.04 if song["echeme_period"] else 0.01, int(duration / echeme) + 3)
    # something of a song that pauses for seconds is to be heard in a short recording too
    first = rng.uniform((1 - count) * period, min(duration, echeme - count * period))
    starts = first + np.cumsum([0.0, *np.maximum(steps, count * period)])
    begins = starts[:, None] + period * (np.arange(count) + 0.01 * rng.standard_normal((len(starts), count)))
    quiet = float(song["quiet"])
    rise = 14.0 * np.maximum(1 - np.arange(count) / quiet, 0) if quiet else np.zeros(count)
    levels = level - rise - np.abs(rng.normal(0, 0.6, begins.shape))
    begins, levels = begins.ravel(), levels.ravel()
    inside = (begins > -2 * pulse) & (begins < duration)
    begins, levels = begins[inside], levels[inside]
    heard = _mix_all(samples, closing, begins, levels, rate, rng)
    if song["opening_db"] > -60:
        share = rng.uniform(0.4, 0.8)
        opening = [_sound(_pulse(song, share * pulse, pitch, colour, rate, rng), rate)]
        before = begins - min(share * pulse + rng.uniform(0.2e-3, 2e-3), 0.9 * period)
        heard += _mix_all(samples, opening, before, levels + float(song["opening_db"]), rate, rng)
    return heard


def _song_colour(song: pd.Series, pitch: float, far: float, recorder: Recorder) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and amplitudes of a broadband song as it arrives: its band, the air, the microphone."""
    peak, low, high = (float(song[name]) * 1e3 * pitch for name in ("peak", "low", "high"))
    f = np.geomspace(1e3, recorder.sample_rate / 2, 240)
    width = np.where(f < peak, np.log(peak / low), np.log(high / peak))
    band = np.maximum(-BAND_DB * (np.log(f / peak) / width) ** 2, -50.0)
    air = -(absorption(f) - absorption(peak)) * far
    return f, 10 ** ((band + air + sensitivity(f, recorder)) / 20)


def _pulse(
    song: pd.Series,
    duration: float,
    pitch: float,
    colour: tuple[np.ndarray, np.ndarray],
    rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """A hemisyllable: a falling tone, or tooth impacts that ring in the wing."""
    peak, high = (float(song[name]) * 1e3 * pitch for name in ("peak", "high"))
    count = max(int(duration * rate), 24)
    u = np.linspace(0, 1, count)
    shape = np.sin(np.pi * u ** rng.uniform(0.6, 1.6)) ** rng.uniform(0.4, 1.0)
    if song["teeth"] == 0:
        fall = peak * (1 + rng.uniform(0.01, 0.12) * (0.5 - u))
        over = range(2, int(1.1 * high / peak) + 1)
        return _chirp(fall, [-14.0 * (n - 1) + rng.normal(0, 4) for n in over], rate, rng) * shape
    ring = float(song["ring"]) * 1e-3
    lead, tail = int(0.3e-3 * rate), int(8 * ring * rate) + 8  # the colour spreads an impact to both sides
    size = scipy.fft.next_fast_len(count + 2 * lead + tail, real=True)
    t = np.arange(tail) / rate
    impact = np.sin(2 * np.pi * peak * t + rng.uniform(0, 6)) + 0.6 * rng.standard_normal(tail)
    impact = np.concatenate([np.zeros(lead), impact * np.exp(-t / ring)])
    teeth = max(round(float(song["teeth"]) * duration / (float(song["pulse"]) * 1e-3)), 1)
    train = np.zeros(count)
    if teeth == 1:
        train[0] = 1.0
    else:
        place = ((np.arange(teeth) + rng.uniform(-0.15, 0.15, teeth) + 0.5) / teeth) ** rng.uniform(0.85, 1.2)
        place = (np.clip(place, 0, 1) * (count - 1)).astype(int)
        train[place] = np.maximum(shape[place], 0) * rng.uniform(0.7, 1, teeth)
    spectrum = scipy.fft.rfft(train, size) * scipy.fft.rfft(impact, size)
    spectrum *= np.interp(scipy.fft.rfftfreq(size, 1 / rate), *colour)
    return scipy.fft.irfft(spectrum, size)[: count + 2 * lead + tail]


def add_clicks(
    samples: np.ndarray, per_second: float, level: float, rate: int, rng: np.random.Generator
) -> list[Heard]:
    """Add short broadband clicks at random times, as of rain, of steps and of branches.

    Parameters
    ----------
    per_second
        How many come in a second on average; a crackle counts as one.
    level
        Of the middle one, dB re full scale; they spread by 5 dB.

    Returns
    -------
    list of Heard
        The clicks.
    """
    count = rng.poisson(per_second * len(samples) / rate)
    sounds = [_sound(_click(rate, rng), rate) for _ in range(min(count, 10))]
    begins, levels = rng.uniform(0, len(samples) / rate, count), rng.normal(level, 5.0, count)
    return _mix_all(samples, sounds, begins, levels, rate, rng) if count else []


def add_rain(samples: np.ndarray, per_second: float, level: float, rate: int, rng: np.random.Generator) -> None:
    """Add steady rain: drops near and far, more of them than can be told apart.

    Parameters
    ----------
    per_second
        Drops in a second on average.
    level
        Of the middle one, dB re full scale; they spread by 8 dB, for most are far and a few hit the recorder.
    """
    for _ in range(6):
        count = rng.poisson(per_second / 6 * len(samples) / rate)
        drops = np.zeros(len(samples))
        strength = 10 ** (rng.normal(level, 8.0, count) / 20) * rng.choice([-1.0, 1.0], count)
        np.add.at(drops, rng.integers(len(samples), size=count), strength)
        samples += scipy.signal.oaconvolve(drops, _sound(_click(rate, rng), rate).wave)[: len(samples)]


def _click(rate: int, rng: np.random.Generator) -> np.ndarray:
    """A drop that rings, a dry knock, or a crackle of a few of them."""
    kind = rng.random()
    if kind < _given("crackle"):
        wave = np.zeros(int(_draw("crackle_length", rng) * rate))
        for _ in range(int(_draw("crackle_parts", rng))):
            part = _knock(rate, rng) * 10 ** (_draw("crackle_level", rng) / 20)
            begin = int(rng.beta(1, 2) * max(len(wave) - len(part), 1))
            wave[begin : begin + len(part)] += part[: len(wave) - begin]
        return wave
    wave = _knock(rate, rng)
    if kind < _given("crackle") + _given("ringing"):  # the case, a leaf or the drop itself rings on
        t = np.arange(int(_draw("ring_length", rng) * rate)) / rate
        f = _draw("ring_pitch", rng, most=0.45 * rate)
        ringing = np.sin(2 * np.pi * f * t) * np.exp(-t / (t[-1] / _draw("ring_decay", rng)))
        ringing[: len(wave)] += _draw("ring_knock", rng) * wave[: len(ringing)]
        return ringing
    return wave


def _knock(rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise that dies away, the larger the drop the longer and the duller."""
    length = _draw("knock_length", rng)
    wave = rng.standard_normal(max(int(length * rate), SHORTEST))
    dull = _draw("knock_dull", rng) * min(length / 1e-3, 1.0)
    wave[1:] += dull * wave[:-1]
    return wave * np.exp(-np.linspace(0, _draw("knock_decay", rng), len(wave)))


def add_keys(samples: np.ndarray, level: float, rate: int, rng: np.random.Generator) -> list[Heard]:
    """Add jangling keys or other metal: strikes of many partials of 10 to 100 kHz that are no harmonics.

    Returns
    -------
    list of Heard
        The strikes.
    """
    duration = len(samples) / rate
    partials = _draw_many("key_partial", rng, 24, most=0.48 * rate)
    sounds = []
    for _ in range(4):
        used = rng.choice(partials, int(_draw("key_partials", rng)), replace=False)
        decay = _draw_many("key_decay", rng, len(used)) * np.sqrt(20e3 / used)
        t = np.arange(int(min(5 * decay.max(), 15e-3) * rate)) / rate
        strength = 10 ** (_draw_many("key_level", rng, len(used)) / 20)
        exponent = (2j * np.pi * used - 1 / decay)[:, None]
        # powers of a few steps, for an exponential of each sample of each partial would take too long
        coarse, fine = np.exp(exponent * t[::64]), np.exp(exponent * t[:64])
        wave = np.einsum("p,pc,pf->cf", strength * np.exp(2j * np.pi * rng.random(len(used))), coarse, fine)
        sounds.append(_sound(wave.imag.ravel()[: len(t)], rate))
    begins, levels = [], []
    for _ in range(1 + rng.poisson(_given("jangles") * duration)):
        strikes = int(_draw("key_strikes", rng))
        begins.append(rng.uniform(-0.1, duration) + np.sort(rng.uniform(0, _draw("key_span", rng), strikes)))
        levels.append(level - rng.exponential(_given("key_fall"), strikes))
    return _mix_all(samples, sounds, np.concatenate(begins), np.concatenate(levels), rate, rng)


def add_tone(samples: np.ndarray, frequency: float, level: float, rate: int, rng: np.random.Generator) -> list[Heard]:
    """Add an electrical line: steady, switched on and off, or drifting, some with harmonics.

    Parameters
    ----------
    frequency
        Hz.

    Returns
    -------
    list of Heard
        Each line as often as it is switched on; of harmonics those within :data:`BAND_DB` of the line.
    """
    count = len(samples)
    cycles = np.arange(count) * (frequency / rate)
    kind, spread = rng.random(), 0.0
    if kind < _given("tone_drifting"):
        spread = 10 ** _draw("tone_drift", rng)
        turns = _draw("tone_turns", rng) * count / rate
        place = np.linspace(0, 2 * np.pi * turns, count) + rng.uniform(0, 6)
        # the frequency swings by `spread` of itself: this is its integral
        cycles += spread * frequency * count / rate / (2 * np.pi * turns) * np.sin(place)
    over = -_draw_many("tone_harmonic", rng, 4) if rng.random() < _given("tone_rich") else np.zeros(0)
    over = over[: max(int(0.49 * rate / frequency / (1 + spread)) - 1, 0)]
    wave = _periodic(rng.random() + cycles, [1.0, *10 ** (over / 20)]) * 10 ** (level / 20)
    edges = np.array([[0, count]])
    if kind > 1 - _given("tone_switched"):
        on = _draw("tone_on", rng)
        every = on * _draw("tone_every", rng)
        begins = np.arange(-rng.uniform(0, 1) * every, count / rate, every)
        edges = np.clip((np.stack([begins, begins + on], axis=1) * rate).astype(int), 0, count)
        switch = np.zeros(count + 1)
        np.add.at(switch, edges[:, 0], 1.0)
        np.add.at(switch, edges[:, 1], -1.0)
        wave *= np.cumsum(switch[:-1]) > 0
    samples += wave.astype(samples.dtype)
    lines = [(1, level), *((n, level + db) for n, db in enumerate(over, 2) if db > -BAND_DB)]
    half = 500.0 + spread * frequency
    return [
        Heard(
            first / rate, last / rate, n * frequency - half, n * frequency + half, n * frequency, float(db), float("nan")
        )
        for first, last in edges.tolist()
        if last - first >= SHORTEST
        for n, db in lines
    ]  # fmt: skip


SWITCHING = ("supply", "bursts", "sensor", "trigger")
"""What :func:`add_switching` knows."""


def add_switching(
    samples: np.ndarray, level: float, rate: int, rng: np.random.Generator, *, kind: str | None = None
) -> list[Heard]:
    """Add the noise of electronics that switch.

    Parameters
    ----------
    kind
        ``supply``: a switching supply, a comb of harmonics of 15 to 60 kHz that is not quite steady. ``bursts``:
        broadband bursts of 5 to 40 ms, one like the other, at equal times, as of writes to a memory card. ``sensor``:
        pulses of constant frequency at equal times, as of sensors of movement and of distance. ``trigger``: a few tones
        one after the other, as other recorders give. Drawn when None.

    Returns
    -------
    list of Heard
        The pulses; of a supply its harmonics, from the begin to the end of the recording.
    """
    kind = str(rng.choice(SWITCHING)) if kind is None else kind
    count, duration = len(samples), len(samples) / rate
    if kind == "supply":
        base = _draw("supply_pitch", rng, most=0.4 * rate)
        wander = rng.standard_normal(int(duration * 400) + 3) * base * 10 ** _draw("supply_wander", rng)
        wobble = np.interp(np.arange(count) / rate * 400, np.arange(len(wander)), wander)
        harmonics = np.arange(int(0.49 * rate / (base + np.abs(wander).max())))
        lines = -_draw("supply_fall", rng) * harmonics - _draw("supply_fall", rng)
        wave = _periodic(np.cumsum(base + wobble) / rate, 10 ** (lines / 20))
        scale = 10 ** (level / 20) / np.abs(wave).max()
        samples += (wave * scale).astype(samples.dtype)
        lines += 20 * np.log10(scale)
        half = 500.0 + float(np.abs(wander).max())
        return [
            Heard(0.0, duration, n * base - half, n * base + half, n * base, float(db), float("nan"))
            for n, db in enumerate(lines, 1)
            if db > lines.max() - BAND_DB
        ]
    if kind == "bursts":
        length = int(_draw("burst_length", rng) * rate)
        wave = rng.standard_normal(length)
        if rng.random() < _given("burst_busy"):
            period = int(_draw("burst_period", rng) * rate)
            wave *= (np.arange(length) % period < period * _draw("burst_duty", rng)) + 0.05
        wave[1:] += _draw("burst_colour", rng) * wave[:-1]
        sounds, every, jitter = [_sound(wave, rate)], _draw("burst_every", rng), 1e-3
    elif kind == "sensor":
        f = min(float(rng.choice(SENSORS_HZ)) * _draw("sensor_off", rng), 0.45 * rate)
        length = int(_draw("sensor_length", rng) * rate)
        u = np.linspace(0, 1, length)
        rise, fall = _draw("sensor_rise", rng), _draw("sensor_fall", rng)  # a transducer swings up and dies away
        shape = np.minimum(1 - np.exp(-u / rise), 1 - np.exp((u - 1) / fall))
        glide = f * (1 + _draw("sensor_glide", rng) * u)
        sounds = [_sound(_chirp(glide, -_draw_many("sensor_harmonic", rng, 2), rate, rng) * shape, rate)]
        every, jitter = max(_draw("sensor_every", rng), 1.5 * length / rate), 1e-4
    elif kind == "trigger":
        f = _draw("trigger_pitch", rng, most=0.45 * rate)
        steps = f * rng.choice([0.8, 1.0, 1.0, 1.25], int(_draw("trigger_tones", rng)))
        length = int(_draw("trigger_length", rng) * rate)
        edge = np.minimum(np.minimum(np.arange(length), np.arange(length)[::-1]) / (1e-3 * rate), 1.0)
        sounds = [
            _sound(_chirp(np.full(length, min(step, 0.45 * rate)), -_draw_many("trigger_harmonic", rng, 2), rate, rng) * edge, rate)
            for step in steps
        ]  # fmt: skip
        begin = rng.uniform(-0.05, duration)
        return [
            heard
            for n, sound in enumerate(sounds)
            for heard in _mix(samples, sound, int((begin + n * 1.2 * length / rate) * rate), level, rate)
        ]
    else:
        raise ValueError(f"kind is {kind!r}; it is one of {', '.join(SWITCHING)}")
    begins = np.arange(-rng.uniform(0, 1) * every, duration, every)
    begins = begins + jitter * rng.standard_normal(len(begins))
    return _mix_all(samples, sounds, begins, level + rng.normal(0, 0.3, len(begins)), rate, rng)


def add_bird(samples: np.ndarray, level: float, rate: int, rng: np.random.Generator) -> list[Heard]:
    """Add birds: whistles short and long, trills, broadband chips and rasping notes (``birds.tsv``).

    Returns
    -------
    list of Heard
        The notes.
    """
    duration, kinds = len(samples) / rate, parameters("birds")
    heard: list[Heard] = []
    for _ in range(1 + rng.poisson(2.0 * min(duration, 2.0))):
        bird = kinds.iloc[int(rng.choice(len(kinds), p=kinds["share"]))]
        length, f, every, steep = (
            float(rng.uniform(bird[f"{name}_min"], bird[f"{name}_max"]))
            for name in ("length", "pitch", "every", "harmonic_db")
        )
        notes = int(rng.integers(bird["notes_min"], bird["notes_max"] + 1))
        u = np.linspace(0, 1, int(length * 1e-3 * rate))
        curve = f * 1e3 * (1 + rng.uniform(-1, 1) * bird["fall"] * (u - 0.5))
        curve *= 1 + rng.uniform(0, 0.06) * np.sin(2 * np.pi * rng.uniform(1, 8) * u)
        over = [-steep * n + rng.normal(0, 3) for n in range(1, 6)]
        shape = np.sin(np.pi * u ** rng.uniform(0.6, 1.6)) ** rng.uniform(0.4, 1.2)
        if bird["rough"]:
            wide = max(round(rate / rng.uniform(500.0, 4000.0)), 1)
            noise = scipy.ndimage.uniform_filter1d(rng.standard_normal(len(u)), wide) * np.sqrt(wide)
            shape *= 1 + bird["rough"] * (noise - 1)
        sound = _sound(_chirp(curve, over, rate, rng) * shape, rate)
        begins = rng.uniform(-0.05, duration) + 1e-3 * max(every, 1.2 * length) * np.arange(notes)
        heard += _mix_all(samples, [sound], begins, level - rng.uniform(0, 6) + rng.normal(0, 1, notes), rate, rng)
    return heard


def add_rodent(samples: np.ndarray, level: float, rate: int, rng: np.random.Generator) -> list[Heard]:
    """Add a mouse, a rat, a dormouse or a shrew: sequences of slowly modulated calls, some with jumps (``rodents.tsv``).

    Returns
    -------
    list of Heard
        The calls, each as a whole where the frequency jumps.
    """
    duration = len(samples) / rate
    kinds = parameters("rodents")
    animal = kinds.iloc[int(rng.integers(len(kinds)))]
    voice = 1e3 * rng.uniform(animal["low"], animal["high"])
    heard: list[Heard] = []
    time, last = rng.uniform(-0.1, max(duration - 0.1, 0.0)), rng.uniform(0.3, 3.0)
    until = min(duration, time + last)
    while time < until:
        length = 1e-3 * float(np.exp(rng.uniform(np.log(animal["short"]), np.log(animal["long"]))))
        u = np.linspace(0, 1, int(length * rate))
        curve = voice * rng.uniform(0.9, 1.1) * (1 + rng.uniform(-0.15, 0.15) * (u - 0.5))
        curve *= 1 + rng.uniform(0, 0.06) * np.sin(2 * np.pi * (rng.uniform(0.3, 2.5) * u + rng.random()))
        if rng.random() < animal["jumps"]:
            curve = np.where(u > rng.uniform(0.2, 0.8), curve * rng.choice([0.7, 0.82, 1.2, 1.35]), curve)
        curve = np.clip(curve, 15e3, min(110e3, 0.48 * rate))
        shape = np.sin(np.pi * u) ** rng.uniform(0.25, 0.9) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(1, 6) * u))
        sound = _sound(_chirp(curve, [animal["harmonic_db"] + rng.normal(0, 4)], rate, rng) * shape, rate)
        heard += _mix(samples, sound, int(time * rate), level - rng.exponential(3.0), rate)
        time += max(1e-3 * animal["every"] * rng.lognormal(0, 0.25), 1.1 * length)
    return heard


def add_wind(samples: np.ndarray, level: float, rate: int, rng: np.random.Generator) -> None:
    """Add gusts: a rumble below 2 kHz that swells and sinks within a second.

    A level above 0 dB overdrives the recorder: the clipping spreads the rumble over all frequencies.
    """
    slow = 16_000.0
    count = int(len(samples) / rate * slow) + 3
    rumble = scipy.ndimage.uniform_filter1d(np.cumsum(rng.standard_normal(count)), 33)
    rumble -= scipy.ndimage.uniform_filter1d(rumble, 257)
    gusts = np.interp(np.arange(count) / slow * 3, np.arange(count // 4000 + 4), rng.gamma(1.0, 1.0, count // 4000 + 4))
    rumble *= gusts
    rumble *= 10 ** (level / 20) / max(float(np.abs(rumble).max()), 1e-12)
    samples += np.interp(np.arange(len(samples)) * (slow / rate), np.arange(count), rumble).astype(samples.dtype)
