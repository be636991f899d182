"""Simulated windows to train on: what a recorder would have written, and what is in it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.signal

from batpam.models.settings import CALL_TYPES, ECHO
from batpam.recordings.audio import open_recording, probe
from batpam.scalograms.settings import ScalogramSettings
from batpam.scalograms.transform import FLOOR_DB, wavelet_power
from batpam.simulate import confusers
from batpam.simulate.calls import call_sequence, compensated, loudest_frequency, species_names
from batpam.simulate.parameters import draw, rows_of
from batpam.simulate.propagation import hearing_range, piston_radius
from batpam.simulate.soundscapes import (
    BAND,
    COLOUR_HZ,
    FOLDED_SNR,
    Flight,
    Heard,
    Recorder,
    hear_call,
    noise_level,
    reverberation,
    self_noise,
    sensitivity,
    through_microphone,
    to_pcm16,
    trim,
)

SAMPLE_RATES = (192_000, 250_000, 256_000, 288_000, 300_000, 384_000, 441_000, 500_000)

EVENT = np.dtype(
    [
        ("node", np.int16), ("call_type", np.int8), ("start", np.float32), ("end", np.float32), ("low", np.float32),
        ("high", np.float32), ("peak", np.float32), ("snr", np.float32),
    ]
)  # fmt: skip
"""One event: place of its taxon among the nodes (:func:`batpam.models.taxonomy.nodes`), place in CALL_TYPES (-1: not
told), times from the start of the window in s, frequencies in Hz, signal-to-noise ratio in dB."""

FILE_ENDS = 0.25
"""Share of windows with which a recording begins or ends."""

SPARE = 0.15
"""What is simulated more where a recording begins or ends, so that it can do so within a call, s."""

TRIGGERS = 10.0
"""Signal-to-noise ratio of calls that set off a recorder, at least, dB."""

TRIGGERED = 0.3
"""Share of recordings that begin or end near a call in which they do so within it: most run by the clock, or keep what was before."""

TAIL_BAND_DB = 5.0
"""By how much the tail of a call lies lower in a band of :data:`~batpam.simulate.soundscapes.BAND` than as a whole, dB: a sweep
has its tail in all of its band. The sweep itself loses some of that in such a band, which is taken off."""

HEARD_SPL = 40.0
"""Level of a call that just arrives, dB SPL (recordings of 20 dB and less); what is louder comes from nearer by as much."""

MARGIN = 0.08
"""What is simulated before and after a window, so that calls at its ends are whole, the long ones of horseshoe bats too, s."""

BEFORE = 0.3
"""So long before a scene a bat begins to call, s: its calls need time to arrive."""


_Event = tuple[int, int, Heard]
"""Node, call type, and what is heard of it."""


@dataclass(frozen=True)
class Scenes:
    """What simulated scenes are made of.

    Attributes
    ----------
    codes
        Species, codes of ``calls.tsv``; events are numbered by their place here. What the simulator does not know is not
        drawn.
    encounters
        How often each species is drawn, re the others; all alike if empty.
    echoes, insects
        Whether calls echo, and whether insects sing.
    noises
        Recordings without bats that are mixed in.
    """

    codes: tuple[str, ...]
    echoes: bool = True
    insects: bool = True
    noises: tuple[Path, ...] = ()
    encounters: tuple[float, ...] = ()


def simulate_example(
    scenes: Scenes, settings: ScalogramSettings, duration: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One window of a made-up night.

    Parameters
    ----------
    settings
        The transform.
    duration
        Length of the window, s.

    Returns
    -------
    power : ndarray of shape (hops, voices), float32
        dB re a full-scale sine.
    events : ndarray of :data:`EVENT`
        Calls, their echoes, insects, birds, rodents, clicks and electronics in it, however faint; rain and wind are none.
    """
    samples, rate, events = simulate_scene(scenes, duration, rng)
    hops, lead = round(duration / settings.hop), round(MARGIN / settings.hop)
    power = wavelet_power(samples, rate, settings)[lead : lead + hops]
    return np.maximum(power, FLOOR_DB), events


def simulate_scene(scenes: Scenes, duration: float, rng: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray]:
    """Samples (float32, full scale 1) with :data:`MARGIN` before and after, their rate in Hz, and the events."""
    recorder = _draw_recorder(rng)
    own, is_cut = None, rng.random() < FILE_ENDS
    whole = duration + 2 * MARGIN + SPARE * is_cut
    if scenes.noises and rng.random() < 0.5:
        own, rate = _own_noise(scenes.noises[int(rng.integers(len(scenes.noises)))], whole, rng)
        recorder = replace(recorder, sample_rate=rate)
    rate, wind = recorder.sample_rate, draw("wind", rng) if rng.random() < 0.3 else 0.0
    samples = np.zeros(int((duration + 2 * MARGIN) * rate) + round(SPARE * rate) * is_cut)
    samples += self_noise(len(samples), recorder, rng, wind=wind)
    if own is not None:
        samples[: len(own)] += own * 10 ** ((noise_level(4e4, recorder, wind) - _level_at(own, rate, 4e4)) / 20)
    rain = _level_of("rain", rng)
    if rain is not None:
        level = float(noise_level(4e4, recorder, wind)) + rain
        drops = np.zeros(len(samples))
        confusers.add_rain(drops, draw("drops", rng), level, rate, rng)
        samples += through_microphone(drops, recorder)
    if own is not None or rain is not None:
        # calls are held against the noise that is really there
        some = np.minimum(COLOUR_HZ, 0.45 * rate)
        colour = np.array(recorder.noise_colour) + _level_at(samples, rate, some) - noise_level(some, recorder, wind)
        recorder = replace(recorder, noise_colour=tuple(colour))
    events = _add_confusers(samples, recorder, wind, rng, insects=scenes.insects, species=len(scenes.codes))
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.25, 0.46, 0.21, 0.08]))):
        events += _add_bat(samples, scenes, recorder, wind, rng)
    if is_cut:
        if rng.random() < 0.5:
            samples += rng.choice([-1.0, 1.0]) * 10 ** (draw("offset", rng) / 20)
        samples, events = _cut(samples, events, rate, rng)
    found = np.array([_event(*event) for event in events], EVENT)
    found["start"] -= MARGIN
    found["end"] -= MARGIN
    found = found[(found["end"] > 0) & (found["start"] < duration)]
    return to_pcm16(samples).astype(np.float32) / 32768, rate, found


def _cut(
    samples: np.ndarray, events: list[_Event], rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[_Event]]:
    """Let a recording begin or end with the window, of some within a call if one is near: recorders are triggered by calls.

    Parameters
    ----------
    samples
        A window with :data:`MARGIN` before and after and :data:`SPARE` behind that.

    Returns
    -------
    samples : ndarray
        The window with its margins, of which one is silent.
    events : list
        What is left of them, moved with the window.
    """
    at_start, count, margin = rng.random() < 0.7, len(samples) - round(SPARE * rate), round(MARGIN * rate)
    edge = margin / rate if at_start else (count - margin) / rate
    near = [
        heard
        for _, call_type, heard in events
        if 0 <= call_type < CALL_TYPES.index(ECHO)
        and heard.snr > TRIGGERS
        and heard.end > edge
        and heard.start < edge + SPARE
    ]
    shift = 0
    if near and rng.random() < TRIGGERED:
        heard = near[int(rng.integers(len(near)))]
        lost = rng.uniform(0, 0.5)
        within = heard.start + (lost if at_start else 1 - lost) * (heard.end - heard.start)
        shift = round(float(np.clip(within - edge, 0.0, SPARE)) * rate)
    samples = samples[shift : shift + count]
    if at_start:
        samples[:margin] = 0.0
    else:
        samples[count - margin :] = 0.0
    first, last = (edge, np.inf) if at_start else (-np.inf, edge)
    moved = [(node, call_type, _later(heard, -shift / rate)) for node, call_type, heard in events]
    # with its call before the start of the file nobody can tell an echo from one
    moved = [
        (node, -1 if call_type == CALL_TYPES.index(ECHO) and heard.start < first + MARGIN else call_type, heard)
        for node, call_type, heard in moved
    ]
    return samples, [
        (node, call_type, trim(heard, first, last))
        for node, call_type, heard in moved
        if heard.end > first and heard.start < last
    ]


def _later(heard: Heard, seconds: float) -> Heard:
    return replace(
        heard,
        start=heard.start + seconds,
        end=heard.end + seconds,
        track=heard.track + np.array([seconds, 0.0, 0.0, 0.0]),
    )


def _event(node: int, call_type: int, heard: Heard) -> tuple[float, ...]:
    return node, call_type, heard.start, heard.end, heard.low, heard.high, heard.peak, heard.snr


def _draw_recorder(rng: np.random.Generator) -> Recorder:
    smooth = np.array([0.25, 0.5, 0.25])
    colours = [np.convolve(rng.normal(0, spread, 8), smooth, "valid") for spread in (6.0, 8.0)]
    return Recorder(
        sample_rate=int(rng.choice(SAMPLE_RATES)),
        full_scale=draw("full_scale", rng),
        noise=draw("noise", rng),
        roll_off=draw("roll_off", rng),
        roll_off_order=draw("roll_off_order", rng),
        high_pass=draw("high_pass", rng) if rng.random() < 0.2 else 0.0,
        resonance=draw("resonance", rng),
        response=tuple(colours[0]),
        noise_colour=tuple(colours[1]),
        alias_rejection=draw("alias_rejection", rng),
    )


def _add_bat(
    samples: np.ndarray, scenes: Scenes, recorder: Recorder, wind: float, rng: np.random.Generator
) -> list[_Event]:
    """Add a bat; the signal-to-noise ratio is drawn and sets its level, distance and beam set the colour."""
    known = species_names()
    often = np.array([code in known for code in scenes.codes]) * np.array(scenes.encounters or 1.0)
    species = int(rng.choice(len(scenes.codes), p=often / often.sum()))
    duration = len(samples) / recorder.sample_rate
    calls = [
        replace(call, start=call.start - BEFORE)
        for call in call_sequence(scenes.codes[species], duration + BEFORE, rng)
    ]
    wanted = draw("snr" if rng.random() < 0.85 else "snr_near", rng)
    level, loudest = float(np.median([call.level for call in calls])), loudest_frequency(calls)
    reach = hearing_range(level, loudest, HEARD_SPL + max(wanted - 20, 0))
    speed = draw("speed", rng)
    calls = compensated(scenes.codes[species], calls, speed)
    flight = Flight(
        closest=reach * draw("closest", rng),
        at=reach * draw("ahead", rng) / speed,
        speed=speed,
        beam=piston_radius(np.deg2rad(draw("beam", rng)), loudest),
        **{name: draw(name, rng) for name in ("detour", "temperature", "humidity")},
    )
    if rng.random() < 0.3:  # it comes or goes
        cut = rng.uniform(0, duration)
        calls = (
            [call for call in calls if call.start < cut] if rng.random() < 0.5 else [c for c in calls if c.start > cut]
        )
    near = draw("overdriven", rng) if rng.random() < 0.06 else None  # so near that it fills or overdrives the recorder
    places = int(rng.integers(2**32))  # where a bat is, the same surfaces return all of its calls
    echoes, tail = draw("echoes", rng), draw("reverberation", rng) if rng.random() < 0.75 else None
    alone, shift = np.zeros(len(samples)), None
    found: list[_Event] = []
    returned: list[Heard] = []
    for call in calls:
        if shift is None and call.call_type == "echolocation":
            trial = hear_call(np.zeros(len(samples)), call, flight, recorder, rng, echoes=0, wind=wind)
            if trial is not None and trial.snr > FOLDED_SNR:
                shift = wanted - trial.snr if near is None else near - trial.level
        if shift is None:
            continue
        louder = replace(call, level=call.level + shift)
        surfaces = np.random.default_rng(places)
        heard = hear_call(alone, louder, flight, recorder, surfaces, echoes=echoes * scenes.echoes, wind=wind)
        if heard is not None:
            found.append((species, CALL_TYPES.index(call.call_type), replace(heard, echoes=())))
            returned += heard.echoes
    samples += alone
    if tail is not None and scenes.echoes and alone.any():
        weather = {"temperature": flight.temperature, "humidity": flight.humidity}
        tails = reverberation(alone, recorder.sample_rate, tail, rng, **weather)
        returned = [_drowned(echo, tails, recorder.sample_rate) for echo in returned]
        samples += tails
    return found + [(species, CALL_TYPES.index(ECHO), echo) for echo in returned]


def _drowned(echo: Heard, tails: np.ndarray, rate: int) -> Heard:
    """An echo in what else comes back of calls: noise is the power of that, less :data:`TAIL_BAND_DB`."""
    around = tails[int(echo.start * rate) : int(echo.end * rate) + 1]
    power = float(np.mean(around**2))
    return replace(echo, snr=min(echo.snr, echo.level - 10 * np.log10(max(2 * power, 1e-20)) + TAIL_BAND_DB))


def _add_confusers(
    samples: np.ndarray, recorder: Recorder, wind: float, rng: np.random.Generator, *, insects: bool, species: int
) -> list[_Event]:
    """Add everything that is not a bat but rain (``confusers.tsv``)."""
    rate, floor = recorder.sample_rate, float(noise_level(4e4, recorder, wind))
    songs: list[Heard] = []
    level = _level_of("insects", rng)
    if insects and level is not None:
        kinds = confusers.insect_songs()["species"].tolist()
        for kind in rng.choice(kinds, int(rng.integers(1, 3)), replace=False):
            songs += confusers.add_insect(samples, str(kind), floor + level - rng.uniform(0, 10), recorder, rng)
    noises: list[Heard] = []
    heard_there: list[Heard] = []
    sound = np.zeros(len(samples))
    if (level := _level_of("clicks", rng)) is not None:
        heard_there += confusers.add_clicks(sound, draw("clicks", rng), floor + level, rate, rng)
    for kind, add in (("keys", confusers.add_keys), ("rodents", confusers.add_rodent)):
        if (level := _level_of(kind, rng)) is not None:
            heard_there += add(sound, floor + level, rate, rng)
    if (level := _level_of("tones", rng)) is not None:
        for _ in range(int(rng.integers(1, 4))):
            frequency = rng.uniform(10e3, 0.45 * rate)
            noises += confusers.add_tone(samples, frequency, floor + level - rng.uniform(0, 10), rate, rng)
    if (level := _level_of("switching", rng)) is not None:
        noises += confusers.add_switching(samples, floor + level, rate, rng)
    if (level := _level_of("birds", rng)) is not None:
        birds = np.zeros(len(samples))
        heard_there += confusers.add_bird(birds, floor + level, rate, rng)
        sound += birds
        if rng.random() < 0.5:  # they sing from within the leaves
            sound += reverberation(birds, rate, draw("reverberation", rng), rng)
    if sound.any():
        samples += through_microphone(sound, recorder)
        noises += [replace(h, level=h.level + float(sensitivity(max(h.peak, 1e3), recorder))) for h in heard_there]
    if (level := _level_of("gusts", rng)) is not None:
        confusers.add_wind(samples, level, rate, rng)
    found = []
    for node, heards in ((species, songs), (species + 1, noises)):
        for heard in heards:
            snr = heard.level - float(noise_level(max(heard.peak, 1e3), recorder, wind))
            found.append((node, -1, replace(heard, snr=snr)))
    return found


def _level_of(sound: str, rng: np.random.Generator) -> float | None:
    """Level of a sound of ``confusers.tsv``, dB; None in scenes without it."""
    row = rows_of("confusers")[sound]
    level = float(rng.uniform(row["level_min"], row["level_max"]))
    return level if rng.random() < row["share"] else None


def _own_noise(path: Path, duration: float, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A stretch of a recording, shape (n,), and its rate in Hz."""
    info = probe(path)
    wanted = int(duration * info.rate)
    first = int(rng.integers(max(info.readable - wanted, 0) + 1))
    with open_recording(path, 1, info.readable) as recording:
        return recording.read(first, min(first + wanted, info.readable)).astype(float), info.rate


def _level_at(samples: np.ndarray, rate: float, frequency: np.ndarray | float) -> np.ndarray:
    """Level of noise around frequencies (Hz) as :func:`noise_level` gives it, by the median over time."""
    f, density = scipy.signal.welch(samples, rate, nperseg=min(1024, len(samples)), average="median")
    power = np.interp(frequency, f, density)
    return 10 * np.log10(np.maximum(power, 1e-20) * BAND * frequency) + 3.0
