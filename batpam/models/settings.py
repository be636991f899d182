"""Size of the network and of its output grid; apart from the network, so that reading a card does not load torch."""

from dataclasses import dataclass

TIME_STRIDE = 2
"""Hops per output frame."""

VOICE_STRIDE = 8
"""Voices per output row."""

BACKGROUND_HOPS = 129
"""Hops over which the background of a voice is averaged."""

EXTENTS = 4
"""Regressed per cell: frames back to the start and on to the end, rows down to the lowest voice and up to the highest."""


@dataclass(frozen=True)
class NetworkSettings:
    """Size of the network.

    Attributes
    ----------
    classes
        Number of species.
    voices
        Voices of the scalogram, a multiple of :data:`VOICE_STRIDE`.
    width
        Channels of the first layer; the others grow with it.
    context_layers
        Dilated layers over time; the last one reaches ``2 * 2**(context_layers - 1)`` frames to either side.
    """

    classes: int
    voices: int = 96
    width: int = 16
    context_layers: int = 6

    @property
    def reach(self) -> int:
        """Hops to either side of a hop that can change what is said about it."""
        context = sum(2 * 2**i for i in range(self.context_layers))
        return BACKGROUND_HOPS // 2 + TIME_STRIDE * (context + 8)
