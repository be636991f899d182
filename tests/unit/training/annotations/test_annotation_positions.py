"""Call positions in .npz files, which hold pickles."""

import io
import os
import pickle
import struct
import zipfile
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.models.files import read_taxa
from batpam.training.annotations.positions import _unpickled
from batpam.training.annotations.read import Annotations, read_annotations

TAXA = read_taxa(Path(__file__).parents[4] / "config" / "taxa" / "europe.tsv")


def ragged(*parts: Any) -> np.ndarray:
    array = np.empty(len(parts), object)
    for number, part in enumerate(parts):
        array[number] = part
    return array


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "train_files": np.array(["a", "b"]),
        "train_durations": np.array([3.84, 2.5]),
        "train_pos": ragged(np.array([0.5, 0.5, 1.25]), np.array([], float)),
        "train_class": ragged(np.array(["Pip50", "Myosp", "Ppip"]), np.array([], "U5")),
        **changes,
    }


def read(folder: Path, **arrays: Any) -> Annotations:
    np.savez(folder / "set.npz", **arrays)
    return read_annotations(folder / "set.npz", TAXA)


def test_positions_and_classes(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    found = read(tmp_path, **fields(test_files=np.array(["c"]), test_durations=np.array([1]), test_pos=ragged(np.array([0.25])), test_class=ragged(np.array(["noise"]))))  # fmt: skip
    events = found.events
    assert events["start_s"].tolist() == [0.5, 0.5, 1.25, 0.25]
    assert all(isnan(end) for end in events["end_s"])
    assert events["taxon"].tolist() == ["Pipistrellus high", "Myotis", "Pipistrellus pipistrellus", "noise"]
    assert events["split"].tolist() == ["train"] * 3 + ["test"]
    assert set(events["extent"]) == {"position"}
    recordings = found.recordings
    assert recordings["duration_s"].tolist() == [3.84, 2.5, 1]
    assert recordings["split"].tolist() == ["train", "train", "test"]
    assert recordings["exists"].tolist() == [True, False, False]
    assert recordings["recording"][0] == str(tmp_path / "a.wav")
    assert set(recordings["clock"]) == {"header"}


@pytest.mark.parametrize(
    "changes",
    [
        {"train_pos": ragged(np.array([[0.5], [0.5], [1.25]]), np.zeros((0, 1)))},  # Bat Detective has one more axis
        {"train_pos": ragged([0.5, 0.5, 1.25], [])},
        {"train_pos": ragged([np.float64(0.5), np.float32(0.5), 1.25], [])},
        {"train_class": ragged(["Pip50", "Myosp", "Ppip"], [])},
        {"train_class": ragged(np.array([[b"Pip50"], [b"Myosp"], [b"Ppip"]]), [])},
        {"train_files": np.array([b"a", b"b"])},
        {"train_files": ragged("a", "b")},
        {"train_durations": ragged(3.84, np.float64(2.5))},
        {"train_durations": np.array([[3.84], [2.5]], ">f4")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_ways_to_write_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = read(tmp_path, **fields(**changes))
    assert found.events["start_s"].tolist() == [0.5, 0.5, 1.25]
    assert found.events["label"].tolist() == ["Pip50", "Myosp", "Ppip"]
    assert found.recordings["duration_s"].tolist() == pytest.approx([3.84, 2.5])


def test_as_many_calls_in_each_file_make_a_table(tmp_path: Path) -> None:
    found = read(
        tmp_path, **fields(train_pos=np.array([[0.1, 0.2], [0.3, 0.4]]), train_class=np.array([[1, 2], [3, 4]]))
    )
    assert found.events["start_s"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert found.events["label"].tolist() == ["1", "2", "3", "4"]


def test_without_classes_each_is_a_bat(tmp_path: Path) -> None:
    arrays = fields()
    del arrays["train_class"]
    assert read(tmp_path, **arrays).events["taxon"].tolist() == ["Chiroptera"] * 3


def test_numbers_of_classes_are_not_guessed(tmp_path: Path) -> None:
    arrays = fields(train_class=ragged(np.array([4, 4, 12]), np.array([], int)))
    found = read(tmp_path, **arrays)
    assert set(found.events["taxon"]) == {""}
    assert found.unknown[["label", "count", "nearest"]].values.tolist() == [["4", 2, "Pip35"], ["12", 1, ""]]
    named = read_annotations(tmp_path / "set.npz", TAXA, names={"4": "Pip35", "12": "Nnoc"})
    assert named.events["taxon"].tolist() == ["Pipistrellus low", "Pipistrellus low", "Nyctalus noctula"]


def test_python_2_pickle(tmp_path: Path) -> None:
    """Protocol 2 with the old name of NumPy's module, and bytes where Python 3 has text, as in Bat Detective's files."""
    inner = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
        b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nU" + bytes([16]) + struct.pack("<2d", 0.5, 223.25) + b"tb"
    )
    whole = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntR"
        b"(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\n(l" + inner + b"atb."
    )
    assert _unpickled(whole, np.dtype(object)) == [[0.5, 223.25]]


class Harm:
    def __init__(self, function: Any, *given: Any) -> None:
        self.call = (function, given)

    def __reduce__(self) -> Any:
        return self.call


def harmful(target: Path) -> dict[str, Any]:
    return {
        "a command": Harm(os.system, f"touch {target}"),
        "code": Harm(eval, f"open({str(target)!r}, 'w')"),
        "a file": Harm(open, str(target), "w"),
        "NumPy itself": Harm(np.save, str(target), 1),
        "a wrapped array": np.ma.array([1.0]),
        "a set": {1, 2},
        "a dictionary": {"a": 1},
        "records": np.zeros(1, [("a", "f8")]),
    }


@pytest.mark.parametrize("what", harmful(Path()))
def test_what_could_do_harm_is_refused(tmp_path: Path, what: str) -> None:
    target = tmp_path / "harm"
    for place in (ragged(harmful(target)[what], np.array([1.0])), ragged([harmful(target)[what]], np.array([1.0]))):
        with pytest.raises(UserError, match=r"set.npz: field 'train_pos' (is refused|cannot be read)"):
            read(tmp_path, **fields(train_pos=place))
    assert not target.exists()


def raw(folder: Path, content: bytes, header: str = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") -> Path:
    """A file whose field of positions has any content."""
    np.savez(folder / "other.npz", **{**fields(), "train_pos": np.zeros(2)})
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content
    with zipfile.ZipFile(folder / "other.npz") as old, zipfile.ZipFile(folder / "set.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, member if name == "train_pos.npy" else old.read(name))
    return folder / "set.npz"


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"N.",
        b"cos\nsystem\n(S'touch harm'\ntR.",
        b"cbuiltins\ngetattr\n.",
        b"cnumpy\nndarray.\n",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cnumpy.core.multiarray\nfrombuffer\n.",
        b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.",
        b"c_codecs\nencode\n(I3\ntR.",
        RECONSTRUCT + b"}b.",  # changes the stand-in
        RECONSTRUCT + b"(N}S'name'\nS'encode'\nstb.",
        RECONSTRUCT + b"(tR.",
        RECONSTRUCT + b"(tR(I1\n(I99999999999\ntN I00\n(ltb.",
        RECONSTRUCT + b"(tR(I1\n(I1\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\nU\x08AAAAAAAAtb.",
        RECONSTRUCT + b"(tR(I1\n(I1\ntcnumpy\ndtype\n(S'V8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\nU\x08AAAAAAAAtb.",
        RECONSTRUCT + b"(tR(I1\n(I-1\nI-1\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntRI00\nU\x08AAAAAAAAtb.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRU\x08AAAAAAAAtR.",
        b"cnumpy\ndtype\n(S'f8'\ntR.",
        b"P0\n.",
        b"](" * 1000 + b".",
        b"r\xff\xff\xff\xff.",
        b"N" + b"r\xff\xff\xff\xf0" + b".",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"I" + b"9" * 10_000 + b"\n.",
    ],
)  # fmt: skip
def test_broken_and_hostile_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="field 'train_pos'"):
        read_annotations(raw(tmp_path, content), TAXA)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': __import__('os').system('touch harm'), 'fortran_order': False, 'shape': (1,), }",
        "nonsense",
    ],
)
def test_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="field 'train_pos'"):
        read_annotations(raw(tmp_path, b"\0" * 8, header), TAXA)
    assert not (tmp_path / "harm").exists()


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_no_harm(content: bytes) -> None:
    try:
        found = _unpickled(content, np.dtype(object))
    except Exception as error:
        assert not isinstance(error, (SystemExit, OSError))
    else:
        assert found is None or isinstance(found, (str, bytes, int, float, list))


@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_gives_a_message_or_positions(tmp_path: Path, place: int, value: int) -> None:
    stream = io.BytesIO()
    np.savez(stream, **fields())
    content = bytearray(stream.getvalue())
    content[place % len(content)] = value
    (tmp_path / "set.npz").write_bytes(content)
    try:
        read_annotations(tmp_path / "set.npz", TAXA, format="positions")
    except UserError as error:
        assert "set.npz" in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_pos": ragged(np.array([0.5]), np.array([]))}, r"train file 0 \('a'\): 1 positions and 3 classes"),
        ({"train_pos": ragged(np.array([0.5, -1, 1]), np.array([]))}, "times -1 and nan cannot be"),
        ({"train_pos": ragged(np.array([0.5, np.nan, 1]), np.array([]))}, "position 'nan' is no number"),
        ({"train_pos": ragged(["x", "y", "z"], [])}, "position 'x' is no number"),
        ({"train_durations": np.array([1.0])}, "fields of different lengths"),
        ({"train_durations": np.array([-1.0, 1.0])}, r"'a'\): a duration of -1 s of .*a cannot be; correct it"),
        ({"train_durations": ragged(10**400, 1)}, "duration of too many digits is none"),
        ({"train_pos": ragged([10**400, 1, 1], [])}, "position of too many digits is no number"),
        ({"train_files": np.array(["", "b"])}, "the name of the recording is empty"),
    ],
)
def test_fields_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, **fields(**changes))


def test_fields_that_are_missing(tmp_path: Path) -> None:
    arrays = fields()
    del arrays["train_files"]
    with pytest.raises(UserError, match="field 'train_files' is missing"):
        read(tmp_path, **arrays)
    np.savez(tmp_path / "set.npz", x=np.zeros(1))
    with pytest.raises(UserError, match="no positions in it"):
        read_annotations(tmp_path / "set.npz", TAXA, format="positions")


def test_pickle_is_never_given_to_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "set.npz", **fields())

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pickle, "load", never)
    monkeypatch.setattr(np, "load", never)
    assert len(read_annotations(tmp_path / "set.npz", TAXA).events) == 3


def test_a_broken_file_is_named_and_not_passed_over(tmp_path):
    whole = tmp_path / "folder" / "set.npz"
    whole.parent.mkdir()
    np.savez(whole, **fields())
    assert len(read_annotations(whole.parent, TAXA).events) == 3
    (whole.parent / "cut.npz").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"cut\.npz: is no whole \.npz"):
        read_annotations(whole.parent, TAXA)
    np.savez(whole.parent / "cut.npz", x=np.zeros(1))  # whole, and of something else
    assert len(read_annotations(whole.parent, TAXA).events) == 3
