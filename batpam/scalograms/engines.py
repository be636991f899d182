"""What carries out a plan of the transform: FFTW and compiled loops on the CPU, torch on other devices.

Both do the same: FFT of a block, each voice's bins times its filter, folded to its rate, inverse FFT, squared
magnitude, mean over hops. The CPU gets loops of its own because everything but the FFTs is bound by the memory that
array libraries pass over once per operation; compiled, it stays in the cache of a core.
"""

import numba
import numpy as np
import pyfftw

from batpam.scalograms.plan import Plan

FLAGS = ("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT")

MAX_ROWS = 16
"""Voices in one batch of inverse FFTs: as many as stay in the cache."""

END = (-0.07728, 0.02844, -0.00708)
"""Correction of the trapezoidal rule at the end of a hop: weights of the differences 1, 2 and 3 samples to either side.

Least squares fit of ``sum_k 2 END[k] sin(k v)`` to what would be exact, ``cot(v / 2) / 2 - 1 / v``, for beats of ``v``
radians per coarse sample up to 0.7 pi, and exact for slow ones. (Gregory's first correction is -1/24.)
"""

LEAST = 1 / 16
"""Share of its sum that the correction leaves to a hop: it overshoots where a hop is far quieter than the next."""


class CpuEngine:
    """Power of blocks on one core; an instance belongs to one thread.

    Plans of FFTW are estimated, not measured: a measured plan differs from run to run and its rounding with it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._block = pyfftw.empty_aligned(plan.samples, np.float32)
        # room for the mirror images on either side; the middle stays aligned
        half = plan.samples // 2 + 1
        before = -8 * (min([0, *(int(group.low.min()) for group in plan.groups)]) // 8)
        after = max([half, *(int((group.low + group.width).max()) for group in plan.groups)]) - half
        self._extended = pyfftw.empty_aligned(before + half + after, np.complex64)
        self._before, self._spectrum = before, self._extended[before : before + half]
        self._mirrored = np.r_[before:0:-1, plan.samples - half : plan.samples - half - after : -1]
        self._outside = np.r_[:before, before + half : before + half + after]
        self._batches = []
        most = max((group.rate for group in plan.groups), default=1) * plan.hops + 8
        self._scratch = [np.empty(most, np.float32) for _ in range(3)]
        self._forward = pyfftw.FFTW(self._block, self._spectrum, flags=("FFTW_ESTIMATE",))
        for group in plan.groups:
            for first in range(0, len(group.voices), MAX_ROWS):
                part = slice(first, first + MAX_ROWS)
                shape = len(group.voices[part]), plan.hops * group.rate
                bins, coarse = (pyfftw.empty_aligned(shape, np.complex64) for _ in range(2))
                inverse = pyfftw.FFTW(bins, coarse, axes=(1,), direction="FFTW_BACKWARD", flags=FLAGS)
                self._batches.append((group, part, bins, coarse, inverse))

    def __call__(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Pooled power ``|W|**2``, shape (blocks, useful hops, voices), of blocks of shape (samples,), float32."""
        plan = self._plan
        out = np.zeros((len(blocks), plan.useful_hops, plan.voices), np.float32)
        for block, power in zip(blocks, out, strict=True):
            self._block[:] = block
            self._forward.execute()
            self._extended[self._outside] = self._spectrum[self._mirrored].conj()
            for group, part, bins, coarse, inverse in self._batches:
                _fold(self._extended, group.low[part] + self._before, group.width[part], group.filters[part], bins)
                inverse.execute()
                _pool(
                    coarse, group.rate, plan.guard * group.rate, plan.lag(group.rate), *self._scratch,
                    power[:, group.voices[part][0] : group.voices[part][-1] + 1],
                )  # fmt: skip
        return out


@numba.njit(cache=True, nogil=True)
def _fold(spectrum, low, width, filters, coarse):  # type: ignore[no-untyped-def]
    """Filtered bins of each voice, folded into its row of ``coarse``."""
    size = coarse.shape[1]
    for row in range(len(low)):
        bins = spectrum[low[row] : low[row] + width[row]]
        gain = filters[row, : width[row]]
        out = coarse[row]
        for i in range(min(size, len(bins))):
            out[i] = bins[i] * gain[i]
        out[len(bins) :] = 0
        for begin in range(size, len(bins), size):
            more, weight = bins[begin : begin + size], gain[begin : begin + size]
            for i in range(len(more)):
                out[i] += more[i] * weight[i]


@numba.njit(cache=True, nogil=True)
def _pool(coarse, rate, first, lag, squared, sums, spare, power):  # type: ignore[no-untyped-def]
    """Mean of the squared magnitude per hop: of each row of ``coarse`` into its column of ``power``."""
    hops = len(power)
    head, least = np.float32(0.5 - lag), np.float32(LEAST)
    scale = np.float32(1 / rate)
    for row in range(len(coarse)):
        w = coarse[row, first - 3 : first + hops * rate + 4]
        square = squared[: len(w)]
        for i in range(len(w)):
            square[i] = w[i].real * w[i].real + w[i].imag * w[i].imag
        total = _sum_runs(square[3 : 3 + hops * rate], rate, sums, spare)
        end = _hop_end(square, 3, head)
        for hop in range(hops):
            begin, end = end, _hop_end(square, 3 + (hop + 1) * rate, head)
            power[hop, row] = max(total[hop] + end - begin, total[hop] * least) * scale


@numba.njit(inline="always")
def _hop_end(square, at, head):  # type: ignore[no-untyped-def]
    """What the sum over the hop that ends before ``at`` lacks, and the next one has too much."""
    return (
        head * square[at]
        + np.float32(END[0]) * (square[at + 1] - square[at - 1])
        + np.float32(END[1]) * (square[at + 2] - square[at - 2])
        + np.float32(END[2]) * (square[at + 3] - square[at - 3])
    )


@numba.njit(cache=True, nogil=True)
def _sum_runs(values, length, out, spare):  # type: ignore[no-untyped-def]
    """Sums of consecutive runs of ``length`` values, 2**k or 5 * 2**k, factor by factor so that each step is SIMD."""
    while length > 1:
        factor = 5 if length % 5 == 0 else 4 if length % 4 == 0 else 2
        length //= factor
        result = out[: len(values) // factor]
        if factor == 5:
            for i in range(len(result)):
                j = 5 * i
                result[i] = (values[j] + values[j + 1]) + (values[j + 2] + values[j + 3]) + values[j + 4]
        elif factor == 4:
            for i in range(len(result)):
                j = 4 * i
                result[i] = (values[j] + values[j + 1]) + (values[j + 2] + values[j + 3])
        else:
            for i in range(len(result)):
                result[i] = values[2 * i] + values[2 * i + 1]
        values, out, spare = result, spare, out
    return values


class TorchEngine:
    """Power of blocks on a device of torch; the same plan, all blocks of a call at once."""

    def __init__(self, plan: Plan, device: str) -> None:
        import torch

        self._plan, self._device = plan, torch.device(device)
        self._groups = []
        for group in plan.groups:
            size = plan.hops * group.rate
            folds = -(-group.filters.shape[1] // size)
            filters = np.zeros((len(group.voices), folds * size), np.float32)
            filters[:, : group.filters.shape[1]] = group.filters
            bins = (group.low[:, None] + np.arange(folds * size)) % plan.samples
            self._groups.append((group, folds, torch.from_numpy(bins).to(device), torch.from_numpy(filters).to(device)))

    def __call__(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Pooled power ``|W|**2``, shape (blocks, useful hops, voices), of blocks of shape (samples,), float32."""
        import torch

        plan = self._plan
        out = torch.zeros((len(blocks), plan.useful_hops, plan.voices), device=self._device)
        spectrum = torch.fft.fft(torch.from_numpy(np.stack(blocks)).to(self._device))
        for group, folds, bins, filters in self._groups:
            coarse = (spectrum[:, bins] * filters).unflatten(2, (folds, -1)).sum(2)
            w = torch.fft.ifft(coarse, norm="forward")
            square = w.real.square() + w.imag.square()
            first, rate = plan.guard * group.rate, group.rate
            total = square[:, :, first : first + plan.useful_hops * rate].unflatten(2, (-1, rate)).sum(3)
            ends = first + rate * torch.arange(plan.useful_hops + 1, device=self._device)
            end = (0.5 - plan.lag(rate)) * square[:, :, ends]
            for k, weight in enumerate(END, start=1):
                end += weight * (square[:, :, ends + k] - square[:, :, ends - k])
            pooled = torch.maximum(total + end[:, :, 1:] - end[:, :, :-1], total * LEAST) / rate
            out[:, :, group.voices[0] : group.voices[-1] + 1] = pooled.transpose(1, 2)
        return out.cpu().numpy()
