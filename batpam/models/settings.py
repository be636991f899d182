"""Size of the network and of its output grid; apart from the network, so that reading a card does not load torch."""

from dataclasses import dataclass

TIME_STRIDE = 4
"""Hops per output frame."""

VOICE_STRIDE = 8
"""Voices per output row."""

CONTEXT_STRIDE = 4
"""Output frames per frame of the context."""

GRID_HOPS = TIME_STRIDE * CONTEXT_STRIDE
"""Windows begin on, and last, a multiple of these hops."""

BACKGROUND_FRAMES = 65
"""Output frames over which the background of a voice is averaged."""

EXTENTS = 4
"""Regressed per cell: frames back to the start and on to the end, rows down to the lowest voice and up to the highest."""

ECHO = "echo"
"""Type of a sound of a bat that is no call."""

CALL_TYPES = ("echolocation", "buzz", "social", ECHO)
"""What is heard of bats: calls of three kinds, and echoes of calls. An echo is shaped as a call is: apart from its call
nobody can tell it from one. So echoes are found as calls are, and told apart as a type; no call is counted for them."""


@dataclass(frozen=True)
class NetworkSettings:
    """Size of the network.

    Attributes
    ----------
    classes
        Number of species, and two for insect and noise.
    voices
        Voices of the scalogram, a multiple of :data:`VOICE_STRIDE`.
    width
        Channels of the layers are multiples of it.
    context_width
        Channels of the context.
    context_layers
        Dilated layers over time; the last one reaches ``2**(context_layers - 1)`` frames of the context to either side.
    """

    classes: int
    voices: int = 96
    width: int = 8
    context_width: int = 96
    context_layers: int = 6

    @property
    def outputs(self) -> list[int]:
        """Outputs of a cell: call or not, classes, types, extents."""
        return [1, self.classes, len(CALL_TYPES), EXTENTS]

    @property
    def reach(self) -> int:
        """Hops to either side of a hop that can change what is said about it."""
        context = 2**self.context_layers - 1
        convolutions = 4  # frames: one for each layer over time, the first one a little more
        return GRID_HOPS * (context + 1) + TIME_STRIDE * (BACKGROUND_FRAMES // 2 + convolutions + 1)
