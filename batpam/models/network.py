"""The network: scalogram in, calls out, dense in time and frequency.

Each cell of the output grid, 2 ms by 8 voices with the shipped settings, says how likely the centre of a call is there
(time: its middle, and at most some milliseconds behind its start; frequency: where it is loudest), what it would be, and
how far it reaches from there. Two bats that call at the same time at different frequencies are two cells. What surrounds
a call by half a second on either side takes part: a bat calls in sequences, and the calls of a feeding buzz say little by
themselves.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from batpam.models.settings import (
    BACKGROUND_FRAMES,
    CONTEXT_STRIDE,
    TIME_STRIDE,
    VOICE_STRIDE,
    NetworkSettings,
)


@dataclass(frozen=True)
class Prediction:
    """What the network says of a batch, as raw outputs.

    Attributes
    ----------
    call
        Logit of a bat call in each cell, shape (batch, rows, frames).
    classes
        Logits of the species and, behind them, of insect and noise, shape (batch, classes, rows, frames).
    call_type
        Logits of :data:`CALL_TYPES`, shape (batch, types, rows, frames).
    extent
        See :data:`EXTENTS`, shape (batch, 4, rows, frames); :func:`extents` turns it into frames and rows.
    """

    call: Tensor
    classes: Tensor
    call_type: Tensor
    extent: Tensor


class CallNetwork(nn.Module):
    """Convolutions over time and frequency, a dilated context over time, and the heads."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        w, rows = settings.width, settings.voices // VOICE_STRIDE
        # within, maps are (batch, channels, frames, rows), channels last in memory: as shards store power, and so that
        # the layers over all rows of a frame are products of matrices without a copy
        #
        # power, and the background of each voice, meet in the first layer: as if the background were subtracted, for
        # a fraction of what subtracting it from every hop costs
        self.see = nn.Conv2d(1, 2 * w, 8, (TIME_STRIDE, 4), padding=2, bias=False)
        self.see_background = nn.Conv2d(1, 2 * w, (1, 8), (1, 4), padding=(0, 2), bias=False)
        self.seen = nn.BatchNorm2d(2 * w)
        self.gather = _conv(2 * w, 6 * w, stride=(1, 2))
        self.place = nn.Parameter(torch.zeros(6 * w, 1, rows))  # which frequency a row stands for
        self.shape = _conv(6 * w, 6 * w)
        context = settings.context_width
        self.squeeze = nn.Linear(CONTEXT_STRIDE * rows * 6 * w, context)
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(context, context, 3, padding=2**i, dilation=2**i, bias=False),
                nn.BatchNorm1d(context),
                nn.ReLU(inplace=True),
            )
            for i in range(settings.context_layers)
        )
        self.spread = nn.Linear(context, rows * 6 * w)
        self.merge = _conv(6 * w, 6 * w)
        self.sizes = settings.outputs
        self.heads = nn.Linear(6 * w, sum(self.sizes))
        nn.init.constant_(self.heads.bias[:1], -4.6)  # a call is rare: start from 1 in 100

    def forward(self, power: Tensor) -> Prediction:
        """Predict from power in dB re full scale, shape (batch, hops, voices).

        The hops are a multiple of :data:`~batpam.models.settings.GRID_HOPS`.
        """
        batch, hops, voices = power.shape
        x = (power + 80.0) / 20.0
        by_frame = x.reshape(batch, hops // TIME_STRIDE, TIME_STRIDE, voices).mean(2)
        background = self.see_background(moving_mean(by_frame, BACKGROUND_FRAMES).unsqueeze(1))
        x = functional.relu_(self.seen(self.see(x.unsqueeze(1)).add_(background)))
        x = self.gather(x) + self.place
        x = (x + self.shape(x)).permute(0, 2, 3, 1)
        _, _, rows, channels = x.shape
        context = self.squeeze(x.reshape(batch, -1, CONTEXT_STRIDE * rows * channels)).transpose(1, 2)
        for layer in self.context:
            context = context + layer(context)
        spread = self.spread(context.transpose(1, 2)).reshape(batch, -1, 1, rows, channels)
        x = (x.reshape(batch, -1, CONTEXT_STRIDE, rows, channels) + spread).reshape(x.shape)
        merged = self.merge(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        call, classes, call_type, extent = torch.split(self.heads(merged).permute(0, 3, 2, 1), self.sizes, dim=1)
        return Prediction(call.squeeze(1), classes, call_type, extent)


def extents(raw: Tensor) -> Tensor:
    """Extents of cells in frames and rows, not negative; apart, since few of all cells are asked for theirs."""
    return functional.softplus(raw.float())


def moving_mean(x: Tensor, length: int) -> Tensor:
    """Mean of the ``length`` (odd) values around each along axis 1 of (batch, frames, voices), of fewer at its ends.

    By a running sum in float64, which does not depend on where the sum began beyond the rounding of the result.
    """
    before, size = length // 2, x.shape[1]
    sums = functional.pad(x.double().cumsum(1), (0, 0, 1, 0))
    place = torch.arange(size, device=x.device)
    first, last = (place - before).clamp_min(0), (place + before + 1).clamp_max(size)
    return ((sums.index_select(1, last) - sums.index_select(1, first)) / (last - first).unsqueeze(1)).to(x.dtype)


def ready_to_predict(network: CallNetwork) -> CallNetwork:
    """Return a network that predicts the same and faster: batch norm folded into the convolutions, channels last."""
    network = copy.deepcopy(network).eval()
    seen = network.seen
    network.see_background = fuse_conv_bn_eval(network.see_background, _without_shift(seen))
    network.see, network.seen = fuse_conv_bn_eval(network.see, seen), nn.Identity()  # type: ignore[assignment]
    for module in list(network.modules()):
        match list(module.children()):
            case [nn.Conv1d() | nn.Conv2d() as convolution, nn.BatchNorm1d() | nn.BatchNorm2d() as norm, nn.ReLU()]:
                module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()  # type: ignore[operator]
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _without_shift(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """The scale of a batch norm alone: of two summands, one takes the shift."""
    scale = copy.deepcopy(norm)
    nn.init.zeros_(scale.bias)
    nn.init.zeros_(scale.running_mean)  # type: ignore[arg-type]
    return scale


def _conv(inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
