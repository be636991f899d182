"""Files that are broken in every way: no crash, no hang, no second that is not accounted for.

Small valid files of every kind are cut at every byte, given wrong bytes and wrong sizes, and mixed at random.
"""

import io
import itertools
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpam.errors import AudioError
from batpam.recordings.audio import LONGEST_S, LOUDEST, AudioInfo, open_recording, probe
from batpam.recordings.describe import describe
from batpam.recordings.find import Found
from batpam.recordings.index import index
from batpam.recordings.ledger import REASONS, ledger
from batpam.segments.gate import segment
from batpam.survey import Deployment
from batpam.tables import DETECTIONS, RECORDINGS, provenance, read_table, write_table

SLOWEST_S = 2.0
LIMITS = {"min_sample_rate": 25_000.0, "min_duration": 0.0}
RATE = 250_000
NOISE = np.random.default_rng(5).integers(-20_000, 20_000, (60, 2)).astype(np.int16)
GUANO = b"GUANO|Version: 1.0\nTimestamp: 2024-06-01T22:00:00+01:00\nTE: 10\n"
WAMD = struct.pack("<HIHHI12s", 0, 2, 1, 1, 12, b"Song Meter 4")
INFO = b"INFO" + struct.pack("<4sI", b"ICMT", 40) + b"Recorded at 22:00:00 01/06/2024 (UTC)".ljust(40)
CHUNKS = [(b"guan", GUANO), (b"LIST", INFO), (b"wamd", WAMD)]
NAMES = (
    b"RIFF", b"RF64", b"riff", b"wave", b"WAVE", b"ds64", b"fmt ", b"fact", b"junk", b"data", b"LIST", b"ICMT", b"guan",
    b"wamd", b"FORM", b"COMM", b"SSND", b"FVER", b"fLaC", b"caff", b"desc", b".snd", b"D500X",
)  # fmt: skip
SIZES = (
    0, 1, 2, 3, 7, 8, 23, 24, 25, 120, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF, 1 << 40,
    (1 << 44) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
BYTES = (0x00, 0xFF, 0x7F)

tried: dict[str, int] = {}


def _encoded(samples: np.ndarray, container: str, subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype=subtype, format=container)
    return buffer.getvalue()


def _kinds(wav: Callable[..., bytes], d500x: Callable[..., bytes], triggered: Callable[..., Any]) -> dict[str, bytes]:
    """Small files by the end of their names."""
    guid = struct.pack("<H", 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 4 * RATE, 4, 32, 22, 24, 4) + guid
    extensible = b"WAVEfmt " + struct.pack("<I", 40) + form + struct.pack("<4sI", b"data", 120) + NOISE[:30].tobytes()
    guan = struct.pack("<4sI", b"guan", len(GUANO)) + GUANO
    flac = _encoded(NOISE, "FLAC")
    adpcm = _encoded(NOISE[:, :1], "WAV", "IMA_ADPCM", 8000)  # its blocks are short
    foreign = b"riff" + guan
    w64 = _encoded(NOISE, "W64")
    w64 += b"guan" + w64[28:40] + struct.pack("<Q", 24 + len(GUANO)) + GUANO
    return {
        ".wav": wav(NOISE, RATE, before=[(b"junk", b"abc")], after=CHUNKS),
        " 8.wav": wav(NOISE[:, 0] / 32768, RATE, subtype="PCM_U8", before=CHUNKS),
        " 24.wav": wav(NOISE[:33] / 32768, RATE, subtype="PCM_24", after=CHUNKS[:1]),
        " float.wav": wav(NOISE / 32768, RATE, subtype="FLOAT", after=CHUNKS[:1]),
        " double.wav": wav(NOISE / 32768, RATE, subtype="DOUBLE"),
        " ext.wav": b"RIFF" + struct.pack("<I", len(extensible)) + extensible + guan,
        " ulaw.wav": _encoded(NOISE, "WAV", "ULAW") + guan,
        " adpcm.wav": adpcm[:24] + struct.pack("<I", RATE) + adpcm[28:] + guan,
        " rf64.wav": _encoded(NOISE, "RF64") + guan,
        ".w64": w64,
        ".aiff": _encoded(NOISE, "AIFF"),
        " float.aiff": _encoded(NOISE, "AIFF", "FLOAT"),
        ".flac": flac[:42] + bytes([2]) + len(foreign).to_bytes(3, "big") + foreign + flac[42:],
        ".caf": _encoded(NOISE, "CAF"),
        ".au": _encoded(NOISE, "AU"),
        " D500X.wav": d500x(NOISE[:, 0]),
        "T.wav": triggered([NOISE.ravel()[:12], 3, np.resize(NOISE, 256), 40, NOISE[:, 1]])[0],
    }


KINDS = (
    ".wav", " 8.wav", " 24.wav", " float.wav", " double.wav", " ext.wav", " ulaw.wav", " adpcm.wav", " rf64.wav", ".w64",
    ".aiff", " float.aiff", ".flac", ".caf", ".au", " D500X.wav", "T.wav",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(
    wav_bytes: Callable[..., bytes], d500x_bytes: Callable[..., bytes], triggered_bytes: Callable[..., Any]
) -> dict[str, bytes]:
    made = _kinds(wav_bytes, d500x_bytes, triggered_bytes)
    assert tuple(made) == KINDS
    return made


# ways to break a file


def cuts(content: bytes) -> Iterator[bytes]:
    """A file cut at every byte, but for the middle of long zeros."""
    for length in range(len(content)):
        if length < 40 or content[length - 40 : length + 40].strip(b"\0"):
            yield content[:length]


def _places(content: bytes, behind: int) -> list[int]:
    """Where a chunk begins, by its name."""
    found = [match.start() for match in re.finditer(b"|".join(map(re.escape, NAMES)), content)]
    return [at for at in found if at + behind <= len(content)]


def wrong_bytes(content: bytes) -> Iterator[bytes]:
    """Each byte of the first 200 and of every chunk's beginning, set to other values."""
    places = {*range(min(200, len(content))), *(at + byte for at in _places(content, 32) for byte in range(32))}
    for at in sorted(places):
        for byte in {*BYTES, content[at] ^ 1, content[at] ^ 0x80} - {content[at]}:
            yield content[:at] + bytes([byte]) + content[at + 1 :]


def wrong_sizes(content: bytes) -> Iterator[bytes]:
    """Sizes of 32 and 64 bits, behind every name and in its chunk."""
    order = "<" if content[:4] in (b"RIFF", b"RF64", b"riff") else ">"
    for at, size, form in itertools.product(_places(content, 4), SIZES, (f"{order}I", f"{order}Q")):
        if form[1] == "I" and size >> 32:
            continue
        put = struct.pack(form, size)
        for place in {at + 4, at + 8, at + 16} if form[1] == "Q" else {at + 4}:
            yield content[:place] + put + content[place + len(put) :]


@st.composite
def mixed(draw: st.DrawFn, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A file with slices inserted, left out, overwritten, doubled, or taken from another one."""
    name = draw(st.sampled_from(KINDS))
    content = files[name]
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(content)))
        end = min(at + draw(st.sampled_from((1, 2, 4, 8, 17, 64, 500))), len(content))
        some = draw(
            st.binary(max_size=12) | st.sampled_from(NAMES) | st.sampled_from(SIZES).map(lambda n: struct.pack("<Q", n))
        )
        how = draw(st.sampled_from(("insert", "delete", "overwrite", "double", "splice")))
        if how == "insert":
            content = content[:at] + some + content[at:]
        elif how == "delete":
            content = content[:at] + content[end:]
        elif how == "overwrite":
            content = content[:at] + some + content[at + len(some) :]
        elif how == "double":
            content = content[:end] + content[at:]
        else:
            content = content[:at] + files[draw(st.sampled_from(KINDS))][at:]
    return name, content[:20_000]


# what must hold


class Trial:
    """A folder in which files are tried, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number, self.slowest = folder, itertools.count(), 0.0
        self.rows: list[dict[str, Any]] = []
        self.deployment = Deployment("wood", 51.0, 0.0, "Europe/London", str(folder))

    def __call__(self, name: str, content: bytes, what: str) -> dict[str, Any]:
        path = self.folder / f"{next(self.number)}{name}"
        path.write_bytes(content)
        tried[what] = tried.get(what, 0) + 1
        begun = perf_counter()
        info = _probe(path)
        (row,) = describe(self.deployment, Found(str(path), len(content), 10**18), **LIMITS)
        if info:
            _check(info)
            for channel in {1, info.channels}:
                _read(path, channel, info.readable)
        _check_row(row, info)
        took = perf_counter() - begun
        assert took < SLOWEST_S
        self.slowest = max(took, self.slowest)
        path.unlink()
        self.rows.append(row)
        if len(self.rows) == 1000:
            self.tabulate()
        return row

    def tabulate(self) -> None:
        """Put the rows into a table as the index does."""
        pa.RecordBatch.from_pylist(self.rows, RECORDINGS)
        self.rows = []


def _probe(path: Path) -> AudioInfo | None:
    try:
        return probe(path)
    except AudioError as error:
        assert str(error).strip()
        return None


def _check(info: AudioInfo) -> None:
    assert 0 <= info.readable <= info.samples
    assert 0 <= info.untriggered <= info.samples
    assert info.rate >= 1 and info.channels >= 1
    assert info.samples - info.readable <= LONGEST_S * info.rate


def _read(path: Path, channel: int, readable: int) -> None:
    """Read a file to the end, or to where it breaks off; of hours of silence a part will do."""
    block = 1 << 20
    starts = range(0, readable, block)
    if len(starts) > 16:
        starts = [*starts[:8], *starts[-8:]]  # type: ignore[assignment]
    with open_recording(path, channel, readable) as recording:
        for start in starts:
            stop = min(start + block, readable)
            try:
                samples = recording.read(start, stop)
            except AudioError as error:
                assert str(error).strip()
                return
            assert samples.dtype == np.float32 and samples.shape == (stop - start,)
            assert np.abs(samples).max() <= LOUDEST  # not where one is NaN


def _check_row(row: dict[str, Any], info: AudioInfo | None) -> None:
    assert row["state"] in ("indexed", "excluded")
    assert (row["reason"] in REASONS) if row["state"] == "excluded" else not row["reason"]
    assert (row["samples"], row["readable_samples"]) == ((info.samples, info.readable) if info else (0, 0))
    if info is None:
        assert row["reason"] in ("unreadable", "empty") and row["detail"]
    if row["state"] == "indexed":
        assert row["readable_samples"] > 0 and row["sample_rate_hz"] >= LIMITS["min_sample_rate"]
    assert 0 <= row["duration_s"] < 200 * 365.25 * 86_400  # or no table of times could hold its end


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("fuzz"))


# the tests


@pytest.mark.parametrize("name", KINDS)
def test_valid_files_are_read_whole(files: dict[str, bytes], trial: Trial, name: str) -> None:
    row = trial(name, files[name], "valid")
    assert row["state"] == "indexed"
    assert row["samples"] == row["readable_samples"] >= 15


@pytest.mark.parametrize("name", KINDS)
def test_cut_at_every_byte(files: dict[str, bytes], trial: Trial, name: str) -> None:
    whole = trial(name, files[name], "cut")["samples"]
    before = 0
    for content in cuts(files[name]):
        row = trial(name, content, "cut")
        if "D500X" in name and len(content) < 0xF5:
            continue  # cut before its name, that is any recording
        assert row["readable_samples"] <= whole
        if ".wav" in name:
            assert row["readable_samples"] >= before, len(content)  # a longer piece holds no less
            before = row["readable_samples"]
            assert row["samples"] in (0, whole) or name in (" adpcm.wav", "T.wav")


@pytest.mark.parametrize("name", KINDS)
def test_wrong_bytes_in_headers(files: dict[str, bytes], trial: Trial, name: str) -> None:
    for content in wrong_bytes(files[name]):
        trial(name, content, "wrong bytes")


@pytest.mark.parametrize("name", KINDS)
def test_wrong_sizes(files: dict[str, bytes], trial: Trial, name: str) -> None:
    for content in wrong_sizes(files[name]):
        trial(name, content, "wrong sizes")


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_files_mixed_at_random(files: dict[str, bytes], trial: Trial, data: st.DataObject) -> None:
    name, content = data.draw(mixed(files))
    trial(name, content, "mixed")


@settings(max_examples=300)
@given(start=st.sampled_from(NAMES[:5]), content=st.binary(max_size=300))
def test_any_bytes(trial: Trial, start: bytes, content: bytes) -> None:
    trial(".wav", start + content, "any bytes")


def test_every_sample_of_broken_files_is_in_the_ledger(files: dict[str, bytes], tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    count = 0
    for name in KINDS:
        for way in (cuts, wrong_bytes, wrong_sizes):
            broken = list(way(files[name]))
            for choice in rng.choice(len(broken), 15):
                (recordings / f"{count}{name}").write_bytes(broken[choice])
                count += 1
    tried["ledger"] = count
    deployment = Deployment("wood", 51.0, 0.0, "Europe/London", str(recordings))
    table = index([deployment], tmp_path / "index", shard_hours=24.0, **LIMITS).to_pandas()
    assert len(table) == count
    for shard in sorted(table["shard"].dropna().unique()):
        parts = [tmp_path / f"segments/{shard}{end}.parquet" for end in ("", ".coverage", ".sound")]
        segment(
            tmp_path / f"index/manifests/{shard}.parquet",
            *parts,
            hop=0.001,
            f_min=10_000.0,
            threshold_db=6.0,
            padding=0.01,
        )
        kept = read_table(parts[0])
        hops = int((kept["last_hop"] - kept["first_hop"]).sum())
        write_table([], DETECTIONS, tmp_path / f"detections/{shard}.parquet", provenance("detect", hops_scored=hops))
    rows = ledger(
        "wood",
        tmp_path / "index/sites/wood.parquet",
        tmp_path / "segments",
        tmp_path / "detections",
        tmp_path / "l.parquet",
    )
    by_file = rows.groupby("recording")
    assert by_file["samples"].sum().to_dict() == table.set_index("recording")["samples"].to_dict()
    assert set(rows.loc[rows["state"] == "excluded", "reason"]) <= set(REASONS)
    assert (rows["state"] == "analysed").sum() > count // 10


def test_number_of_inputs(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    if {"cut", "wrong bytes", "wrong sizes", "mixed", "any bytes", "ledger"} - set(tried):
        pytest.skip("not all tests of this file were run")
    trial.tabulate()
    with capsys.disabled():
        print(f"\nfuzzing: {sum(tried.values())} files tried, {tried}; slowest {trial.slowest:.3f} s")
    assert sum(tried.values()) >= 30_000
