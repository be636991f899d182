"""Recordings in which an AudioMoth has left out the silence, ``...T.WAV``.

With a trigger on, an AudioMoth (firmware 1.4.0 and later) writes only stretches that exceed the threshold. In place of
a silent stretch stands one block that tells its length: 512 bytes that begin at a multiple of 512 bytes *from the
beginning of the file* and hold 32 samples of 1 or -1, a bit each (1 is a set bit), the lowest first, and then 224
zeros. The 32 bits are the number of 512-byte blocks for which it stands, itself included. Source: AudioMoth firmware,
``encodeCompressionBuffer`` and ``makeRecording``, and AudioMoth-Utils, ``expander.js``. The firmware always writes the
first 32 KiB, and since 1.6.0 fills them with zeros if nothing exceeded the threshold: such zeros count as audio here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BLOCK = 256
"""Samples in a block of 512 bytes."""

BITS = 32
"""Samples of an encoded block that are bits."""

MAX_SAMPLES = 1 << 31
"""An AudioMoth ends a recording before its expanded form would be longer than a WAV file can be, 4 GiB."""

PIECE = 1 << 21
"""Samples that are read at a time: 4 MB."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """Where the samples of a file belong in the expanded recording.

    Attributes
    ----------
    file_start
        First sample of each stretch of audio in the file, shape (n,).
    start
        Where it belongs in the expanded recording, shape (n,); between the stretches there is silence.
    length
        Samples in the stretch, shape (n,).
    samples
        Samples of the expanded recording.
    """

    file_start: np.ndarray
    start: np.ndarray
    length: np.ndarray
    samples: int


def find_skips(blocks: np.ndarray) -> np.ndarray:
    """Find the encoded blocks.

    Parameters
    ----------
    blocks
        Samples, int16, shape (n, 256).

    Returns
    -------
    np.ndarray
        Number of blocks for which each stands, itself included, int64, shape (n,); 0 where it is audio. A block that
        claims more than a recording can hold is audio.
    """
    skips = np.zeros(len(blocks), np.int64)
    # one column after the other leaves nearly nothing of audio to look at as a whole
    rows = np.arange(len(blocks))
    for column in (0, BLOCK - 1, BITS - 1, BITS):
        values = blocks[rows, column]
        rows = rows[abs(values) == 1] if column < BITS else rows[values == 0]
    bits, rest = blocks[rows, :BITS], blocks[rows, BITS:]
    whole = (abs(bits) == 1).all(axis=1) & ~rest.any(axis=1)
    counts = (bits[whole] == 1) @ (1 << np.arange(BITS, dtype=np.int64))
    skips[rows[whole]] = np.where(counts * BLOCK <= MAX_SAMPLES, counts, 0)
    return skips


def scan(read_block: Callable[[int, int], np.ndarray], samples: int, first_block_samples: int) -> Expansion | None:
    """Find the stretches of audio in a file.

    Parameters
    ----------
    read_block
        Gives samples ``start`` to ``stop - 1`` of the file as int16; fewer where it breaks off.
    samples
        Samples in the file.
    first_block_samples
        Samples before the first multiple of 512 bytes: 12 after the 488 bytes of an AudioMoth's header.

    Returns
    -------
    Expansion or None
        None if nothing was left out, or more than an AudioMoth can leave out.
    """
    found, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(first_block_samples, samples - BLOCK + 1, PIECE):
        piece = read_block(start, min(start + PIECE, samples))
        skips = find_skips(piece[: len(piece) // BLOCK * BLOCK].reshape(-1, BLOCK))
        encoded = np.flatnonzero(skips)
        found.append(start + encoded * BLOCK)
        counts.append(skips[encoded])
    at, left_out = np.concatenate(found), (np.concatenate(counts) - 1) * BLOCK
    total = samples + int(left_out.sum())
    if not len(at) or total > MAX_SAMPLES:
        return None
    file_start = np.concatenate(([0], at + BLOCK))
    length = np.concatenate((at, [samples])) - file_start
    start_expanded = file_start + np.concatenate(([0], np.cumsum(left_out)))
    audio = length > 0
    return Expansion(file_start[audio], start_expanded[audio], length[audio], total)


def expand(expansion: Expansion, read: Callable[[int, int], np.ndarray], start: int, stop: int) -> np.ndarray:
    """Samples ``start`` to ``stop - 1`` of the expanded recording, shape (n,); zeros where silence was left out.

    Parameters
    ----------
    read
        Gives samples ``start`` to ``stop - 1`` of the file, in any type of number.
    """
    ends = expansion.start + expansion.length
    first, last = np.searchsorted(ends, start, side="right"), np.searchsorted(expansion.start, stop)
    out = np.zeros(max(stop - start, 0), read(0, 0).dtype)
    for index in range(first, last):
        begin, end = max(start, int(expansion.start[index])), min(stop, int(ends[index]))
        shift = int(expansion.file_start[index] - expansion.start[index])
        samples = read(begin + shift, end + shift)
        out[begin - start : begin - start + len(samples)] = samples
    return out
