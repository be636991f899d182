"""What a person is told of a file: all of it, from where, and nothing that acts upon the terminal."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from batpam.cli import app
from batpam.recordings.inspect import inspect, show

MakeWav = Callable[..., Path]
NOISE = np.random.default_rng(1).integers(-1000, 1000, 50_000).astype(np.int16)
COMMENT = (
    "Recorded at 21:59:00 01/06/2024 (UTC+1) by AudioMoth 24A04F08604F5C9A at medium gain while battery was 4.2V and "
    "temperature was 11.3C. Recording stopped due to low voltage."
)
GUANO = "GUANO|Version:1.0\nTimestamp:2024-06-01T22:00:00+01:00\nLoc Position:51.5 -2.4\nNote:a bat\n"


def _inspect(path: Path, timezone: str = "Europe/London") -> dict[str, Any]:
    return inspect(path, timezone, min_sample_rate=90_000, min_duration=0.05)


def _json(*paths: Path) -> list[dict[str, Any]]:
    """What the command prints, which holds nothing but printable ASCII and the ends of lines."""
    result = CliRunner().invoke(app, ["inspect", "--json", *map(str, paths)])
    assert result.exit_code == 0, result.output
    assert all(letter == "\n" or " " <= letter <= "~" for letter in result.stdout)
    return json.loads(result.stdout, parse_constant=pytest.fail)


def _text(path: Path) -> str:
    """What the command prints for a person, which acts upon no terminal."""
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 0, result.output
    assert all(letter == "\n" or letter.isprintable() for letter in result.stdout)
    return " ".join(result.stdout.split())


@pytest.fixture
def good(tmp_path: Path, make_wav: MakeWav) -> Path:
    return make_wav(tmp_path / "20240601_220000.WAV", NOISE, guano=GUANO, comment=COMMENT)


def test_all_that_is_known_of_a_recording(good: Path) -> None:
    told = _inspect(good)
    row = told["recording"]
    assert {name: row[name] for name in ("state", "night", "start_utc", "start_local", "sample_rate_hz", "samples")} == {
        "state": "indexed", "night": "2024-06-01", "start_utc": "2024-06-01T21:00:00+00:00",
        "start_local": "2024-06-01T22:00:00.000+01:00", "sample_rate_hz": 250_000.0, "samples": 50_000,
    }  # fmt: skip
    assert (row["serial"], row["battery_v"], row["stop_reason"]) == ("24A04F08604F5C9A", 4.2, "low voltage")
    assert (row["sources"]["start"], row["sources"]["serial"]) == ("guano", "audiomoth")
    assert list(row["warnings"]) == ["times_apart"]
    assert [source["source"] for source in told["sources"]] == ["guano", "audiomoth", "name"]
    assert told["chunks"]["guan"]["Note"] == "a bat"
    assert told["chunks"]["ICMT"] == COMMENT
    assert json.loads(json.dumps(told)) == told


def test_person_is_told_what_and_from_where(good: Path) -> None:
    text = _text(good)
    for words in (
        "would be analysed", "WAV PCM_16, 1 channel, 50000 samples", "250000 Hz", "0.200 s", "night 2024-06-01",
        "51.50000 -2.40000 guano", "24A04F08604F5C9A audiomoth", "11.3 °C audiomoth", "4.2 V", "low voltage",
        "times_apart two sources give times some seconds apart", "name says start 2024-06-01T22:00:00",
    ):  # fmt: skip
        assert words in text


def test_sidecar_and_name_are_read_too(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "12340001.wav", NOISE)
    (tmp_path / "12340001.XML").write_text("<BatRecord><DateTime>01.06.2024 22:00:00</DateTime></BatRecord>")
    told = _inspect(path, "Asia/Tokyo")
    assert told["recording"]["start_utc"] == "2024-06-01T13:00:00+00:00"
    assert [source["source"] for source in told["sources"]] == ["batlogger", "name"]


def test_entries_of_wamd_are_told(tmp_path: Path, make_wav: MakeWav) -> None:
    wamd = struct.pack("<HIH HI4s HIH", 0, 2, 1, 1, 4, b"SM4\x1b", 0x0F, 2, 10)
    path = make_wav(tmp_path / "a.wav", NOISE, 38_400, after=[(b"wamd", wamd)])
    told = _inspect(path)
    assert told["chunks"]["wamd"] == {"version": "1", "model": "SM4", "time expansion": "10"}
    assert "384000 Hz, slowed down 10 times wamd" in _text(path)


BAD: dict[str, tuple[bytes, str]] = {
    "empty.wav": (b"", "excluded, holds no audio: no byte in it"),
    "text.wav": (b"version https://git-lfs\x1b[2J", "excluded, cannot be decoded"),
    "pointer.wav": (b"version https://git-lfs.github.com/spec/v1\n", "text, not audio"),
    "zeros.wav": (bytes(1000), "1000 zero bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_file_that_is_no_audio_is_told_so(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    assert words in _text(tmp_path / name)
    assert _json(tmp_path / name)[0]["recording"]["state"] == "excluded"


@pytest.mark.parametrize("place", ["/", ".", "nowhere.wav", "no/where", "folder.wav"])
def test_what_is_no_file_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "folder.wav").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _json(Path(place))[0]["recording"]["reason"] == "unreadable"
    assert "excluded, cannot be decoded" in _text(Path(place))


@pytest.mark.parametrize(
    ("seconds", "cut", "words"),
    [
        (0.2, None, "would be analysed audio"),
        (0.2, 20_000, "would be analysed as far as it goes, 0.080 of 0.200 s"),
        (0.2, 0, "excluded, ends before its header says"),
        (0.01, None, "excluded, too short to tell a call from noise: 10 ms is below 50 ms"),
    ],
)
def test_state_is_that_of_the_index(
    tmp_path: Path, make_wav: MakeWav, seconds: float, cut: int | None, words: str
) -> None:
    path = make_wav(tmp_path / "a.wav", NOISE[: round(seconds * 250_000)])
    if cut is not None:
        path.write_bytes(path.read_bytes()[: 44 + 2 * cut])
    assert words in _text(path)


def test_file_that_looks_slowed_down_is_told_so(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "a.wav", NOISE, 38_400)
    assert "looks_expanded it may have been slowed down, and nobody says so" in _text(path)
    assert "48000 Hz is below" in _text(make_wav(path, NOISE, 48_000))


HOSTILE = [
    "new\nline.wav", "\x1b[2J\x1b]0;x\x07.wav", "\x9b2J.wav", "\x7f\x08.wav", "\u202egnp.wav", "[bold]x[/bold][red.wav",
    ":bat: :smile:.wav", "Zürich コウモリ.wav", "back\\[slash].wav", os.fsdecode(b"Z\xfcrich.wav"), "a" * 251 + ".wav",
    "[link=x]y.wav", "%s {x} $(y).wav", "-rf.wav",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_acts_upon_a_terminal(
    tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = make_wav(tmp_path / name, NOISE)
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    assert [one["recording"]["path"] for one in _json(path)] == [shown]
    text = _text(path).replace(" ", "")
    if name.isprintable():  # all of it is there, as it is
        assert name.replace(" ", "") in text
    assert "wav" in text


def test_no_metadata_act_upon_a_terminal(tmp_path: Path, make_wav: MakeWav) -> None:
    bad = "\x1b[2J\x9b\x07\u202e"
    guano = f"GUANO|Version:1.0\nMake:{bad}[bold]M\nTimestamp:{bad}\nNote:{bad}\n{bad}:{bad}\n"
    path = make_wav(tmp_path / "a.wav", NOISE, guano=guano, comment="\x1b[2J\x07")
    (told,) = _json(path)
    assert told["chunks"]["ICMT"] == "\x1b[2J\x07"
    assert "[bold]M" in _text(path)


def test_many_files_are_told_one_after_the_other(tmp_path: Path, make_wav: MakeWav) -> None:
    paths = [make_wav(tmp_path / f"{folder}/a.wav", NOISE) for folder in "xyz"]
    assert [one["recording"]["path"] for one in _json(*paths)] == [str(path) for path in paths]


def test_output_need_not_know_every_letter(tmp_path: Path, make_wav: MakeWav) -> None:
    path = make_wav(tmp_path / "コウモリ.wav", NOISE, comment=COMMENT)
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for option in ([], ["--json"]):
        command = [sys.executable, "-m", "batpam", "inspect", *option, str(path)]
        result = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr


def test_nothing_is_written_to_the_file(good: Path) -> None:
    before = good.read_bytes(), good.stat().st_mtime_ns, sorted(good.parent.iterdir())
    good.chmod(0o444)
    _inspect(good)
    assert (good.read_bytes(), good.stat().st_mtime_ns, sorted(good.parent.iterdir())) == before


def test_recording_of_real_life(real_recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _inspect(real_recordings / "formats/audiomoth_gps.wav")
    assert told["recording"]["serial"] == "243B1F026488F56E"
    assert told["recording"]["night"] == "2024-05-27"
    show([told], as_json=False)
    assert "243B1F026488F56E" in capsys.readouterr().out
