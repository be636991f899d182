"""Recordings with the silence left out: written here as the firmware does it, read back by batpam."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpam.recordings.formats import triggered
from batpam.recordings.formats.triggered import BITS, BLOCK, MAX_SAMPLES, Expansion, expand, find_skips, scan

HEADER = 488
"""Bytes before the samples of an AudioMoth since firmware 1.4.0."""


def _encoded(count: int) -> np.ndarray:
    block = np.zeros(BLOCK, np.int16)
    block[:BITS] = [1 if count >> bit & 1 else -1 for bit in range(BITS)]
    return block


def _first(header: int) -> int:
    """Samples before the first multiple of 512 bytes."""
    return -header % (2 * BLOCK) // 2


def _compress(samples: np.ndarray, silent: set[int], header: int = HEADER) -> np.ndarray:
    """Leave out the blocks of given numbers, counted from the first multiple of 512 bytes."""
    first = _first(header)
    parts, left_out = [samples[:first]], 0
    for number, start in enumerate(range(first, len(samples), BLOCK)):
        block = samples[start : start + BLOCK]
        if number in silent and len(block) == BLOCK:
            left_out += 1
            continue
        if left_out:
            parts.append(_encoded(left_out))
            left_out = 0
        parts.append(block)
    return np.concatenate([*parts, *([_encoded(left_out)] if left_out else [])])


def _silenced(samples: np.ndarray, silent: set[int], header: int = HEADER) -> np.ndarray:
    out = samples.copy()
    for number in silent:
        start = _first(header) + number * BLOCK
        if start + BLOCK <= len(out):
            out[start : start + BLOCK] = 0
    return out


def _reader(samples: np.ndarray) -> Callable[[int, int], np.ndarray]:
    return lambda start, stop: samples[start:stop]


def _scan(samples: np.ndarray, header: int = HEADER) -> Expansion | None:
    return scan(_reader(samples), len(samples), _first(header))


def _noise(samples: int, loudness: int = 300) -> np.ndarray:
    return np.random.default_rng(samples).integers(-loudness, loudness + 1, samples).astype(np.int16)


# blocks


@pytest.mark.parametrize("count", [1, 2, 64, 255, 12_345 * 64, MAX_SAMPLES // BLOCK])
def test_encoded_block_says_for_how_many_it_stands(count: int) -> None:
    blocks = np.stack([_noise(BLOCK), _encoded(count), np.zeros(BLOCK, np.int16)])
    skips = find_skips(blocks)
    assert skips.tolist() == [0, count, 0]
    assert skips.dtype == np.int64


def test_first_sample_is_the_lowest_bit() -> None:
    block = -np.ones(BLOCK, np.int16)
    block[BITS:] = 0
    block[0] = block[6] = 1
    assert find_skips(block[np.newaxis]).tolist() == [65]


@pytest.mark.parametrize("count", [0, MAX_SAMPLES // BLOCK + 1, 2**31, 2**32 - 1])
def test_count_that_cannot_be_is_audio(count: int) -> None:
    assert find_skips(_encoded(count)[np.newaxis]).tolist() == [0]


@pytest.mark.parametrize("place", [0, 5, 31, 32, 100, 255])
@pytest.mark.parametrize("value", [2, -32768, 32767])
def test_block_with_one_sample_different_is_audio(place: int, value: int) -> None:
    block = _encoded(64)
    block[place] = value
    assert find_skips(block[np.newaxis]).tolist() == [0]


def test_noise_of_one_bit_is_audio() -> None:
    rng = np.random.default_rng(1)
    assert not find_skips(rng.integers(-1, 2, (4096, BLOCK)).astype(np.int16)).any()
    assert not find_skips((rng.integers(0, 2, (4096, BLOCK)) * 2 - 1).astype(np.int16)).any()


def test_no_blocks() -> None:
    assert find_skips(np.zeros((0, BLOCK), np.int16)).shape == (0,)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_block_is_found_and_no_other(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(-2, 3, (7, BLOCK)).astype(np.int16)
    blocks[rng.integers(7), BITS:] = 0
    blocks[3] = _encoded(count)
    expected = [0] * 7
    expected[3] = count if count * BLOCK <= MAX_SAMPLES else 0
    assert find_skips(blocks).tolist() == expected


# whole recordings


@pytest.mark.parametrize("samples", [0, 1, 11, 12, 13, 267, 268, 269, 100_000])
def test_nothing_left_out(samples: int) -> None:
    assert _scan(_noise(samples)) is None


def test_stretches_lie_where_they_were_recorded() -> None:
    samples = _noise(12 + 64 * BLOCK * 4 + 100)
    silent = set(range(64, 192))
    file = _compress(samples, silent)
    assert len(file) == len(samples) - 127 * BLOCK
    expansion = _scan(file)
    assert expansion is not None
    assert expansion.samples == len(samples)
    assert expansion.file_start.tolist() == [0, 12 + 65 * BLOCK]
    assert expansion.start.tolist() == [0, 12 + 192 * BLOCK]
    assert expansion.length.tolist() == [12 + 64 * BLOCK, 64 * BLOCK + 100]


def test_recording_of_which_nothing_but_the_end_of_the_header_was_written() -> None:
    file = np.concatenate([np.zeros(12, np.int16), _encoded(640)])
    expansion = _scan(file)
    assert expansion is not None
    assert (expansion.samples, expansion.length.tolist()) == (12 + 640 * BLOCK, [12])
    aligned = scan(_reader(_encoded(640)), BLOCK, 0)
    assert aligned is not None
    assert (aligned.samples, len(aligned.start)) == (640 * BLOCK, 0)
    assert not expand(aligned, _reader(_encoded(640)), 0, 640 * BLOCK).any()


def test_blocks_are_counted_from_the_beginning_of_the_file() -> None:
    file = _compress(_noise(20_000), {3, 4, 5})
    assert scan(_reader(file), len(file), _first(HEADER)) is not None
    assert scan(_reader(file), len(file), _first(44)) is None


def test_more_than_a_recorder_can_leave_out_is_audio() -> None:
    file = np.concatenate([_encoded(MAX_SAMPLES // BLOCK), _noise(BLOCK), _encoded(MAX_SAMPLES // BLOCK)])
    assert scan(_reader(file), len(file), 0) is None


def test_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    file = _compress(_noise(50_000), {3, 4, 5, 100, 101})
    whole, cut = _scan(file), scan(_reader(file[:5_000]), len(file), 12)
    assert whole is not None
    assert cut is not None
    assert cut.samples == len(file) + 2 * BLOCK
    read = expand(cut, _reader(file[:5_000]), 0, cut.samples)
    assert np.array_equal(read[:4_000], expand(whole, _reader(file), 0, 4_000))
    assert not read[6_000:].any()


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_expanded_samples_are_of_the_type_of_the_file(dtype: type) -> None:
    samples = _noise(10_000)
    silent = {0, 1, 2, 10, 20, 21}
    file = _compress(samples, silent)
    expansion = _scan(file)
    assert expansion is not None
    read = expand(expansion, _reader(file.astype(dtype)), 0, expansion.samples)
    assert read.dtype == dtype
    assert np.array_equal(read, _silenced(samples, silent).astype(dtype))
    assert expand(expansion, _reader(file.astype(dtype)), 100, 110).dtype == dtype
    assert expand(expansion, _reader(file), 5, 5).shape == (0,)
    beyond = expand(expansion, _reader(file), expansion.samples - 5, expansion.samples + 5)
    assert beyond.shape == (10,)
    assert not beyond[5:].any()


@st.composite
def _recordings(draw: st.DrawFn) -> tuple[np.ndarray, set[int], int]:
    """Samples, blocks to leave out, and bytes of the header."""
    header = draw(st.sampled_from([44, 488, 512, 1000]))
    blocks = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    samples = rng.integers(-400, 400, _first(header) + blocks * BLOCK + draw(st.integers(0, BLOCK - 1)))
    for number in range(blocks):  # kept blocks that look like encoded ones but for a sample
        start = _first(header) + number * BLOCK
        kind = draw(st.sampled_from(["audio", "noise of one bit", "nearly encoded", "zeros"]))
        if kind == "noise of one bit":
            samples[start : start + BLOCK] = rng.integers(0, 2, BLOCK) * 2 - 1
        elif kind == "nearly encoded":
            samples[start : start + BLOCK] = _encoded(int(rng.integers(1, 1000)))
            samples[start + rng.integers(BLOCK)] = 7
        elif kind == "zeros":
            samples[start : start + BLOCK] = 0
    silent = draw(st.sets(st.integers(0, blocks - 1)))
    return samples.astype(np.int16), silent, header


@given(_recordings(), st.data())
def test_round_trip(recording: tuple[np.ndarray, set[int], int], data: st.DataObject) -> None:
    samples, silent, header = recording
    file = _compress(samples, silent, header)
    piece = data.draw(st.sampled_from([BLOCK, 3 * BLOCK, 1 << 21]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triggered, "PIECE", piece)
        expansion = scan(_reader(file), len(file), _first(header))
    if not silent:
        assert expansion is None
        return
    assert expansion is not None
    assert expansion.samples == len(samples)
    start = data.draw(st.integers(0, len(samples)))
    stop = data.draw(st.integers(start, len(samples)))
    expected = _silenced(samples, silent, header)
    assert np.array_equal(expand(expansion, _reader(file), start, stop), expected[start:stop])
    assert (expansion.length > 0).all()
    assert int(expansion.length.sum()) == len(samples) - len(silent) * BLOCK


@given(st.binary(max_size=4096), st.integers(0, 300))
def test_no_file_breaks_anything(content: bytes, first: int) -> None:
    file = np.frombuffer(content[: len(content) // 2 * 2], "<i2")
    expansion = scan(_reader(file), len(file), first)
    if expansion is not None:
        expand(expansion, _reader(file), 0, min(expansion.samples, 10_000))


def test_reads_no_more_than_4_mb_at_a_time() -> None:
    longest = 0

    def read(start: int, stop: int) -> np.ndarray:
        nonlocal longest
        longest = max(longest, stop - start)
        return np.zeros(stop - start, np.int16)

    assert scan(read, 10_000_000, 12) is None
    assert longest * 2 <= 4 << 20
