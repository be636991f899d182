"""Finding recordings by the names that annotations give them: other folders, other machines, other spelling."""

import os
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path, PureWindowsPath

from batpam.errors import UserError, printable
from batpam.survey import SUFFIXES

ENDINGS = (".wav", ".flac", *sorted(SUFFIXES - {".wav", ".flac"}))
"""Tried in this order where a name has none."""


class Finder:
    """Finds recordings, each name once.

    Parameters
    ----------
    folder
        Where the recordings lie, at any depth; beside the annotations when None.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise UserError(f"{printable(folder)}: is no folder; name the one with the recordings")
        self._folder = folder
        self._known: dict[tuple[str, Path | None], tuple[str, bool]] = {}
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str, annotations: Path, where: str) -> tuple[str, bool]:
        r"""Find a recording.

        Parameters
        ----------
        name
            As the annotations write it: with or without folders, of this or another machine (``D:\bats\a.wav``), with
            or without the ending. Of the folders as many count as fit, from the last.
        annotations
            File with the annotations.
        where
            For messages.

        Returns
        -------
        str, bool
            Path, and whether it is there; where it should be, if it is not.

        Raises
        ------
        UserError
            Recordings of this name lie in several folders.
        """
        key = (name, None if self._folder else annotations.parent)
        if key not in self._known:
            self._known[key] = self._find(name, self._folder or annotations.parent, where)
        return self._known[key]

    def _find(self, name: str, base: Path, where: str) -> tuple[str, bool]:
        whole = PureWindowsPath(name.strip())  # takes both kinds of slashes
        parts = [part for part in whole.parts if part not in (whole.anchor, ".")]
        if not parts:
            raise UserError(f"{where}: the name of the recording is empty; fill it in")
        as_told = str(base / name.strip())
        if _is_file(as_told):
            return as_told, True
        for depth in range(len(parts)):
            for last in _spellings(parts[-1]):
                path = str(base.joinpath(*parts[depth:-1], last))
                if _is_file(path):
                    return path, True
        found = self._anywhere(parts) if self._folder else []
        if len(found) > 1:
            raise UserError(
                f"{where}: recording {printable(name)!r} may be {printable(found[0])} or {printable(found[1])}; "
                "name a folder that holds only one of them"
            )
        if found:
            return str(found[0]), True
        return (as_told if Path(name.strip()).is_absolute() else str(base.joinpath(*parts))), False

    def _anywhere(self, parts: Sequence[str]) -> list[Path]:
        """Recordings of a name at any depth: those whose folders fit best."""
        if self._by_name is None:
            self._by_name = {}
            for path in recordings_in(self._folder or Path()):
                self._by_name.setdefault(path.name.casefold(), []).append(path)
        found = [
            path
            for name in dict.fromkeys(spelling.casefold() for spelling in _spellings(parts[-1]))
            for path in self._by_name.get(name, [])
        ]
        fits = [_shared_folders(path.parts, parts) for path in found]
        return [path for path, fit in zip(found, fits, strict=True) if fit == max(fits)]


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises for names that are too long)


def _shared_folders(path: Sequence[str], parts: Sequence[str]) -> int:
    """How many folders, from the last, are the same."""
    pairs = zip(reversed(path[:-1]), reversed(parts[:-1]), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs))


def _spellings(name: str) -> Iterator[str]:
    """The name of a file with the endings that it may have."""
    yield name
    stem, dot, end = name.rpartition(".")
    known = bool(stem) and dot + end.lower() in SUFFIXES
    for ending in [dot + end.lower()] if known else ENDINGS:
        for written in (ending, ending.upper()):
            yield (stem if known else name) + written


def recordings_in(folder: Path) -> Iterator[Path]:
    """All files named as audio in a folder, at any depth, in the order of their names."""
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name[name.rfind(".") :].lower() in SUFFIXES:
                yield Path(top, name)


def files_in(folder: Path, endings: Sequence[str]) -> list[Path]:
    """All files of a folder, at any depth, with one of these endings, in the order of their names."""
    found = []
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        fitting = (name for name in sorted(names) if name.lower().endswith(tuple(endings)))
        found += [Path(top, name) for name in fitting if not name.startswith(".")]
    return found
