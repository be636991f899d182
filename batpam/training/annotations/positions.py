"""Call positions and classes in an ``.npz``, as the programs for multi-label training of bat classifiers take them.

Sources: macaodha/batdetect (``run_comparison.py``: "train and test_pos are in units of seconds"; ``data_set_params.py``:
windows of 230 ms "in time expanded, so 23 ms for not"; ``helper_fns.py``: windows begin at the position) and
luciledierckx/batML (``readme.md``, ``run_training.py``). Fields: ``train_files`` (names without ending), ``train_durations``,
``train_pos`` (per file, the positions of its calls), ``train_class`` (per file, their classes), and the same with
``test_``. A position is the start of a call, in s of the file as it plays: the files of Bat Detective are expanded ten
times. Both programs take whatever lies far enough from all positions as no call, but nothing in a file says that all are
there. Two calls at one position stand there twice. batdetect knows no classes; each of its positions is a bat.

The arrays hold arrays of different lengths, which NumPy can only write as pickle, and a pickle can run any program when
it is read. It is not given to NumPy, then. What may be called when it is read is a list of five names, and not even they
are NumPy's own: each is replaced by a stand-in that keeps what it is given, and the numbers are made from the bytes
afterwards, with lengths checked. Anything else is refused.
"""

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from math import isnan, nan, prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import SPLITS, Event, Recording, make_event, shown

FIELDS = ("files", "durations", "pos", "class")

BATML_CLASSES = ("not call", "Barbarg", "Envsp", "Myosp", "Pip35", "Pip50", "Plesp", "Rhisp")
"""What the numbers of classes mean in batML (``run_classifier.py``), 0 to 7; the files do not say so."""

ANY_BAT = "Bat"
"""Label of a position without a class."""

MAX_BYTES = 1 << 30
"""Of one array."""

_KINDS = "bifuUS"
_ERRORS = (
    pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError, MemoryError,
    RecursionError, ImportError, struct.error,
)  # fmt: skip
_BROKEN = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What zipfile raises of a file that is cut off, damaged, encrypted or packed in a way it does not know."""


class _Refused(Exception):
    """What is in the file is not what belongs there."""


def is_positions(path: Path) -> bool:
    """Whether a file is an ``.npz`` with positions.

    Raises
    ------
    UserError
        It is broken, so that nobody can tell.
    """
    with _open(path) as file:
        return any(f"{split}_pos.npy" in file.namelist() for split in SPLITS)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _BROKEN as error:
        raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> UserError:
    return UserError(f"{printable(path)}: is no whole .npz ({printable(str(error))}); copy it again")


def read_positions(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read positions and classes.

    Raises
    ------
    UserError
        A field is missing, fields do not fit each other, or something is in the file that could do harm.
    """
    events: list[Event] = []
    recordings: list[Recording] = []
    with _open(path) as file:
        there = [split for split in SPLITS if f"{split}_pos.npy" in file.namelist()]
        if not there:
            wanted = ", ".join(f"train_{field}" for field in FIELDS)
            raise UserError(f"{printable(path)}: no positions in it; fields are {wanted}, and the same with test_")
        for split in there:
            more = _read_split(file, split, path, finder)
            events += more[0]
            recordings += more[1]
    return events, recordings


def _read_split(file: zipfile.ZipFile, split: str, path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    fields = {field: _field(file, f"{split}_{field}", path) for field in FIELDS}
    for field in ("files", "durations"):
        if fields[field] is None:
            raise UserError(f"{printable(path)}: field '{split}_{field}' is missing; add it")
    lengths = {f"{split}_{field}": len(values) for field, values in fields.items() if values is not None}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise UserError(f"{printable(path)}: fields of different lengths ({said}); there is one entry per file in each")
    events = []
    recordings = []
    classes = fields["class"] or [[ANY_BAT] * len(_flat(positions)) for positions in fields["pos"] or []]
    for number, (name, duration, positions, labels) in enumerate(
        zip(fields["files"] or [], fields["durations"] or [], fields["pos"] or [], classes, strict=True)
    ):
        where = f"{printable(path)}: {split} file {number} ({shown(_text(name))})"
        found, exists = finder.find(_text(name), path, where)
        length = _flat(duration)
        duration_s = _number(length[0]) if len(length) == 1 else nan
        if isnan(duration_s):
            raise UserError(f"{where}: duration {_said(duration)} is none; correct it")
        recordings.append(Recording(found, exists, where, duration_s=duration_s, split=split, clock="header"))
        starts, names = _flat(positions), _flat(labels)
        if len(starts) != len(names):
            raise UserError(f"{where}: {len(starts)} positions and {len(names)} classes; each position has one class")
        for start, label in zip(starts, names, strict=True):
            start_s = _number(start)
            if isnan(start_s):
                raise UserError(f"{where}: position {_said(start)} is no number; correct it")
            events.append(make_event(found, _text(label), where, start_s=start_s, split=split))
    return events, recordings


def _number(value: object) -> float:
    """A value as a number; NaN where it is none, or larger than any."""
    try:
        return float(value) if isinstance(value, (int, float)) else nan
    except OverflowError:
        return nan


def _said(value: object) -> str:
    return "of too many digits" if isinstance(value, int) else shown(str(value))


def _text(value: object) -> str:
    """A name or a class as text; a whole number without a point."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _flat(value: object) -> list[Any]:
    """The values of an entry, which some programs put into lists of one."""
    if not isinstance(value, list):
        return [value]
    return [part for item in value for part in (_flat(item) if isinstance(item, list) else [item])]


def _field(file: zipfile.ZipFile, name: str, path: Path) -> list[Any] | None:
    """A field as lists; None where there is none."""
    member = f"{name}.npy"
    if member not in file.namelist():
        return None
    if file.getinfo(member).file_size > MAX_BYTES:
        raise UserError(f"{printable(path)}: field {name!r} has more than {MAX_BYTES >> 20} MiB; cut the file up")
    try:
        content = file.read(member)
    except _BROKEN as error:
        raise _not_whole(path, error) from error
    try:
        return _array(content)
    except _Refused as error:
        raise UserError(
            f"{printable(path)}: field {name!r} is refused, {error}; write it anew with numpy.savez from lists of numbers and text"
        ) from error
    except _ERRORS as error:
        raise UserError(
            f"{printable(path)}: field {name!r} cannot be read ({printable(str(error))[:100]}); write it anew with numpy.savez"
        ) from error


def _array(content: bytes) -> list[Any]:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    rest = content[stream.tell() :]
    if dtype.hasobject:
        values = _unpickled(rest, dtype)
        if not isinstance(values, list):
            raise _Refused("it holds no list")
        return values
    return _numbers(rest, dtype.str, shape, fortran)


def _numbers(content: bytes, dtype: str, shape: Sequence[int], fortran: bool) -> list[Any]:
    """Numbers or text from bytes, as lists of the shape."""
    kind = np.dtype(dtype)
    if kind.kind not in _KINDS or kind.itemsize == 0:
        raise _Refused(f"it holds {dtype!r}, neither numbers nor text")
    if any(size < 0 for size in shape) or prod(shape) * kind.itemsize != len(content):
        raise _Refused("its size is not what it says")
    array = np.frombuffer(content, kind).reshape(tuple(shape), order="F" if fortran else "C")
    return list(array.tolist()) if array.ndim else [array.item()]


class _Callable:
    """Stand-in for a name in a pickle; it can be called, and nothing else be done with it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *given: Any) -> Any:
        if self.name == "_reconstruct":
            return _Kept("array", given)
        if self.name == "dtype":
            return _Kept("dtype", given)
        if self.name == "scalar":
            return _Kept("scalar", given)
        if (
            self.name == "encode"
            and len(given) == 2
            and isinstance(given[0], str)
            and given[1] in ("latin1", "latin-1")
        ):
            return given[0].encode("latin-1")
        raise _Refused(f"it calls {self.name!r}")

    def __setstate__(self, state: object) -> NoReturn:
        raise _Refused(f"it changes {self.name!r}")


class _Kept:
    """What a pickle says of an array, a type of numbers or a number."""

    def __init__(self, what: str, given: tuple[Any, ...]) -> None:
        self.what = what
        self.given = given
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple):
            raise _Refused("an array has no state")
        self.state = state


_ALLOWED = {
    (module, name): name
    for modules, names in (
        (("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct", "scalar")),
        (("numpy",), ("ndarray", "dtype")),
        (("_codecs",), ("encode",)),
    )
    for module in modules
    for name in names
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Callable:
        """Give a stand-in for what an array needs; refuse everything else."""
        if (module, name) not in _ALLOWED:
            raise _Refused(f"it asks for {shown(f'{module}.{name}')}, which no array needs")
        return _Callable(name)

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse what lies outside of the file."""
        raise _Refused("it points out of the file")


def _unpickled(content: bytes, dtype: np.dtype[Any]) -> Any:
    if dtype != np.dtype(object):
        raise _Refused(f"it holds {dtype.str!r}, neither numbers nor text")
    # Python 2 wrote these files first
    return _values(_Unpickler(io.BytesIO(content), encoding="latin1").load())


def _values(value: Any, depth: int = 0) -> Any:
    """Lists, numbers and text from what a pickle says."""
    if depth > 4:
        raise _Refused("it is nested too deeply")
    if isinstance(value, (list, tuple)):
        return [_values(part, depth + 1) for part in value]
    if not isinstance(value, _Kept):
        if value is None or not isinstance(value, (str, bytes, int, float)):
            raise _Refused(f"it holds a {type(value).__name__}")
        return value
    if value.what == "scalar":
        dtype, content = value.given
        return _numbers(_bytes(content), _dtype(dtype), (1,), False)[0]
    if value.what != "array" or len(value.state) != 5:
        raise _Refused("an array is not whole")
    _, shape, dtype, fortran, content = value.state
    if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape):
        raise _Refused("an array has no shape")
    if isinstance(content, list):
        if prod(shape) != len(content):
            raise _Refused("its size is not what it says")
        return [_values(part, depth + 1) for part in content]
    return _numbers(_bytes(content), _dtype(dtype), shape, bool(fortran))


def _bytes(content: object) -> bytes:
    if isinstance(content, str):  # of Python 2
        return content.encode("latin-1")
    if isinstance(content, bytes):
        return content
    raise _Refused("an array holds no bytes")


def _dtype(kept: object) -> str:
    """Type of numbers, like ``<f8``."""
    if not isinstance(kept, _Kept) or kept.what != "dtype" or not kept.given or not isinstance(kept.given[0], str):
        raise _Refused("a type of numbers is none")
    code, order = kept.given[0].lstrip("<>=|"), kept.state[1] if len(kept.state) > 1 else "|"
    if code[:1] not in _KINDS or not code[1:].isdigit() or len(code) > 9 or order not in ("<", ">", "|", "="):
        raise _Refused(f"it holds {shown(kept.given[0])}, neither numbers nor text")
    return order + code
