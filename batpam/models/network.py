"""The network: scalogram in, calls out, dense in time and frequency.

Each cell of the output grid, 1 ms by 8 voices with the shipped settings, says how likely a call is centred there (time:
the middle of the call, frequency: where it is loudest), which species it would be, and how far the call reaches from
there. Two bats that call at the same time at different frequencies are two cells.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from batpam.models.settings import BACKGROUND_HOPS, EXTENTS, TIME_STRIDE, VOICE_STRIDE, NetworkSettings


@dataclass(frozen=True)
class Prediction:
    """What the network says of a batch, as raw outputs.

    Attributes
    ----------
    call
        Logit of a call in each cell, shape (batch, rows, frames).
    species
        Logits of the species, shape (batch, classes, rows, frames).
    extent
        See :data:`EXTENTS`, shape (batch, 4, rows, frames), in frames and rows, not negative.
    """

    call: Tensor
    species: Tensor
    extent: Tensor


class CallNetwork(nn.Module):
    """Convolutions over time and frequency, a dilated context over time, and three heads."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        w, rows = settings.width, settings.voices // VOICE_STRIDE
        self.stem = nn.Sequential(
            _conv(2, w, stride=(2, TIME_STRIDE)),
            _conv(w, 2 * w, stride=(2, 1)),
            _conv(2 * w, 3 * w, stride=(2, 1)),
            _conv(3 * w, 4 * w),
        )
        context = 6 * w
        self.squeeze = nn.Conv1d(4 * w * rows, context, 1)
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(context, context, 5, padding=2 * 2**i, dilation=2**i, bias=False),
                nn.BatchNorm1d(context),
                nn.ReLU(inplace=True),
            )
            for i in range(settings.context_layers)
        )
        self.spread = nn.Conv1d(context, 4 * w * rows, 1)
        self.merge = _conv(4 * w, 4 * w)
        self.heads = nn.Conv2d(4 * w, 1 + settings.classes + EXTENTS, 1)
        nn.init.constant_(self.heads.bias[:1], -4.6)  # type: ignore[index]  # a call is rare: start from 1 in 100

    def forward(self, power: Tensor) -> Prediction:
        """Predict from power in dB re full scale, shape (batch, hops, voices); hops a multiple of the stride."""
        x = power.transpose(1, 2).unsqueeze(1)
        x = torch.cat([(x + 80.0) / 20.0, (x - moving_mean(x, BACKGROUND_HOPS)) / 10.0], dim=1)
        x = self.stem(x)
        batch, channels, rows, frames = x.shape
        context = self.squeeze(x.reshape(batch, channels * rows, frames))
        for layer in self.context:
            context = context + layer(context)
        x = self.merge(x + self.spread(context).reshape(batch, channels, rows, frames))
        call, species, extent = torch.split(self.heads(x), [1, self.settings.classes, EXTENTS], dim=1)
        return Prediction(call.squeeze(1), species, functional.softplus(extent))


def moving_mean(x: Tensor, length: int) -> Tensor:
    """Mean of the ``length`` (odd) values around each along the last axis, of fewer at its ends.

    By a running sum: averaging anew at each place takes as long as a third of the network. Sums of power in halves of a
    decibel are exact in float32 for windows of up to 60 000 hops.
    """
    before, size = length // 2, x.shape[-1]
    sums = functional.pad(x.cumsum(-1), (1, 0))
    place = torch.arange(size, device=x.device)
    first, last = (place - before).clamp_min(0), (place + before + 1).clamp_max(size)
    return (sums[..., last] - sums[..., first]) / (last - first)


def ready_to_predict(network: CallNetwork) -> CallNetwork:
    """Return a network that predicts the same and faster: batch norm folded into the convolutions, channels last."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        match list(module.children()):
            case [nn.Conv1d() | nn.Conv2d() as convolution, nn.BatchNorm1d() | nn.BatchNorm2d() as norm, nn.ReLU()]:
                module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()  # type: ignore[operator]
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _conv(inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
