"""Times, frequencies and levels of calls, measured in the scalogram that they were found in."""

import numba
import numpy as np

from batpam.models.decode import DecodedCalls
from batpam.models.settings import TIME_STRIDE, VOICE_STRIDE
from batpam.scalograms.settings import ScalogramSettings

BACKGROUND_S = 0.05
"""Time before and after a call that it is held against; what follows a call without a gap is followed no longer."""

AROUND_PEAK = 2 ** (1 / 6)
"""What follows a call is looked for up to this ratio above and below its loudest frequency."""

SMOOTH_S = 2e-3
"""Over this time the level of what follows a call is averaged."""

OVER_NOISE_DB = 3.0
"""Above this it is not in the noise."""

RISES_DB = 6.0
"""What comes back of a call fades; what rises by this is another call."""


def measure_calls(
    calls: DecodedCalls, power: np.ndarray, first_hop: int, rate: float, settings: ScalogramSettings
) -> dict[str, np.ndarray]:
    """Times, frequencies and signal-to-noise ratio of decoded calls, columns of the schema DETECTIONS.

    Parameters
    ----------
    power
        Shape (hops, voices), dB re full scale; its first hop is ``first_hop`` of the recording.
    rate
        Real sample rate, Hz.
    """
    log_voices = np.log(settings.frequencies())
    per_row = VOICE_STRIDE

    def hertz(rows: np.ndarray) -> np.ndarray:
        return np.exp(np.interp(rows * per_row, np.arange(len(log_voices)), log_voices))

    low, high = np.minimum(calls.low, calls.row), np.maximum(calls.high, calls.row)
    start, end = calls.start * TIME_STRIDE, np.maximum(calls.end, calls.start + 0.5) * TIME_STRIDE
    first = np.clip(np.floor(start), 0, len(power) - 1).astype(np.int64)
    last = np.maximum(np.clip(np.ceil(end), 1, len(power)).astype(np.int64), first + 1)
    lowest = np.clip(np.floor(low * per_row), 0, settings.voices - 1).astype(np.int64)
    highest = np.clip(np.ceil(high * per_row) + 1, lowest + 1, settings.voices).astype(np.int64)
    boxes = np.stack([first, last, lowest, highest], axis=1)
    background = round(BACKGROUND_S / settings.hop)
    peak, snr = _peak_and_snr(power, boxes, background)
    bands = np.searchsorted(log_voices, log_voices[peak] + np.log(AROUND_PEAK) * np.array([[-1], [1]]))
    until = _faded(power, first, last, bands, background, max(round(SMOOTH_S / settings.hop), 1))
    limit = rate / 2
    start_s = np.maximum((first_hop + start) * settings.hop, 0.0)
    call_end_s = (first_hop + end) * settings.hop
    return {
        "start_s": start_s,
        "end_s": np.where(until > last, (first_hop + until) * settings.hop, call_end_s),
        "duration_ms": (call_end_s - start_s) * 1e3,
        "peak_hz": np.exp(log_voices[peak]),
        "low_hz": hertz(np.maximum(low, 0)),
        "high_hz": np.minimum(hertz(high), limit),
        "snr_db": snr,
    }


@numba.njit(cache=True, nogil=True)
def _peak_and_snr(power, boxes, background):  # type: ignore[no-untyped-def]
    """Loudest voice of each box (first hop, last hop, lowest voice, highest voice) and its rise over its surroundings.

    Loudest by mean power; the rise is that of its loudest hop over the median of the box and ``background`` hops on
    either side, dB.
    """
    peak, snr = np.zeros(len(boxes), np.int64), np.zeros(len(boxes))
    for i in range(len(boxes)):
        a, b, low, high = boxes[i]
        most = -1.0
        for voice in range(low, high):
            mean = 0.0
            for hop in range(a, b):
                mean += 10 ** (power[hop, voice] / 10)
            if mean > most:
                most, peak[i] = mean, voice
        around = power[max(a - background, 0) : b + background, peak[i]]
        snr[i] = power[a:b, peak[i]].max() - np.median(around)
    return peak, snr


@numba.njit(cache=True, nogil=True)
def _faded(power, first, last, bands, background, smooth):  # type: ignore[no-untyped-def]
    """Hop, ``last`` or later, at which what follows each call without a gap has sunk into the noise, or rises again.

    By the mean, in dB, of the voices of ``bands`` (the first and the one behind the last, shape (2, n)), over ``smooth`` hops.
    """
    until = last.copy()
    for i in range(len(last)):
        begin, end = max(first[i] - background, 0), min(last[i] + background, len(power))
        level = np.empty(end - begin)
        for hop in range(begin, end):
            level[hop - begin] = power[hop, bands[0, i] : bands[1, i]].mean()
        noise, lowest = np.median(level), np.inf
        for hop in range(last[i], end - smooth + 1):
            now = level[hop - begin : hop - begin + smooth].mean()
            if now < noise + OVER_NOISE_DB or now > lowest + RISES_DB:
                break
            lowest = min(lowest, now)
            until[i] = hop + smooth // 2
    return until
