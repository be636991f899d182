"""Finding what lies in the folders of the site sheet: recordings, logs of recorders, and links that lead elsewhere."""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import has_magic
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.survey import SUFFIXES, Deployment, is_system_folder

LATEST_NS = (1 << 63) - 1
"""Latest time of a file that a table can hold; disks can hold later ones."""


@dataclass(frozen=True)
class Found:
    """A file named as audio, or a link that was not followed.

    Attributes
    ----------
    path
        As found, starting with what the site sheet gives.
    size, modified_ns
        Of the file, bytes and ns since 1970; 0 where it cannot be looked at.
    sidecar, sidecar_ns
        XML file of the same name and when it was last changed; "" and 0 where there is none.
    reason, detail
        Why it is not to be opened; "" where it is.
    """

    path: str
    size: int = 0
    modified_ns: int = 0
    sidecar: str = ""
    sidecar_ns: int = 0
    reason: str = ""
    detail: str = ""


class Search:
    """A walk through the folders of a site sheet that finds no file twice.

    Parameters
    ----------
    deployments
        All rows of the site sheet.
    follow_links
        Whether links that lead out of their folders are followed.

    Attributes
    ----------
    logs
        Files that recorders wrote of themselves, by deployment; filled as the walk goes.

    Raises
    ------
    UserError
        A folder does not exist, or nothing fits its pattern.
    """

    def __init__(self, deployments: Iterable[Deployment], *, follow_links: bool = False) -> None:
        self.follow_links = follow_links
        self._tops = {deployment: tops_of(deployment) for deployment in deployments}
        self.logs: dict[Deployment, list[str]] = {deployment: [] for deployment in self._tops}
        self._given = {os.path.realpath(given) for deployment in self._tops for given in _given(deployment.recordings)}
        self._folders = {top: os.path.realpath(top) for tops in self._tops.values() for top in tops if top.is_dir()}
        self._walked = {real for real in self._folders.values() if self._may_follow(real)}
        self._visited: dict[Deployment, set[str]] = {deployment: set() for deployment in self._tops}
        self._owners: dict[str, dict[str, Deployment]] = {}

    def folders(self, deployment: Deployment) -> list[str]:
        """Folders of a deployment that are walked, as the paths of what is found in them begin."""
        return [str(top) for top in self._tops[deployment] if top in self._folders]

    def recordings(self, deployment: Deployment) -> Iterator[Found]:
        """Recordings of a deployment, folder by folder, each in the order of names.

        Raises
        ------
        UserError
            A folder cannot be read, or a file belongs to another deployment too.
        """
        files: dict[str, set[str]] = {}
        for top in self._tops[deployment]:
            if top not in self._folders:
                files.setdefault(str(top.parent), set()).add(top.name)
            elif self._may_follow(self._folders[top]):
                yield from self._walk(deployment, str(top))
            else:
                yield _not_followed(str(top), "folder")
        for folder, names in files.items():
            entries = [entry for entry in _list(folder) if entry.name in names or _is_xml(entry.name)]
            if self._may_follow(os.path.realpath(folder)):
                yield from (_dangling(entry.path) for entry in entries if _leads_nowhere(entry))
                yield from self._files(deployment, folder, entries, names)
            else:
                yield from (_not_followed(e.path, "file") for e in entries if e.name in names and is_recording(e.name))

    def _may_follow(self, real: str) -> bool:
        return self.follow_links or _lies_in(real, self._given)

    def _walk(self, deployment: Deployment, top: str) -> Iterator[Found]:
        waiting, visited = [top], self._visited[deployment]
        while waiting:
            folder = waiting.pop()
            real = os.path.realpath(folder)
            if real in visited:  # a link may lead round to where it lies
                continue
            visited.add(real)
            entries = _list(folder)
            self.logs[deployment] += [
                entry.path for entry in entries if is_log(entry.name) and self._is_readable(entry)
            ]
            subfolders = []
            for entry in entries:
                if _is_folder(entry):
                    if is_system_folder(entry.name):
                        continue
                    target = os.path.realpath(entry.path) if entry.is_symlink() else ""
                    if target and _lies_in(target, self._walked):
                        continue  # it is found where it lies
                    if not target or self._may_follow(target):
                        subfolders.append(entry.path)
                    else:
                        yield _not_followed(entry.path, "folder")
                elif _leads_nowhere(entry):
                    yield _dangling(entry.path)
            yield from self._files(deployment, folder, entries)
            waiting += reversed(subfolders)

    def _files(
        self,
        deployment: Deployment,
        folder: str,
        entries: Sequence[os.DirEntry[str]],
        names: Container[str] | None = None,
    ) -> Iterator[Found]:
        """Recordings among the entries of a folder, of these names only where they are given."""
        real_folder = os.path.realpath(folder)
        files = [
            e for e in entries if is_recording(e.name) and (names is None or e.name in names) and not _is_folder(e)
        ]
        sidecars = self._sidecars(files, entries)
        for entry in files:
            real, name = real_folder, entry.name
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                real, name = os.path.split(target)
                if is_recording(name) and _lies_in(real, self._walked) and Path(target).exists():
                    continue  # it is found where it lies
                if not self._may_follow(target):
                    yield _not_followed(entry.path, "file")
                    continue
            owners = self._owners.setdefault(real, {})
            if name in owners:
                _refuse_two_owners(entry.path, owners[name], deployment)
                continue  # found before, by another way
            owners[name] = deployment
            try:
                status = entry.stat()
            except OSError as error:
                yield Found(entry.path, reason="unreadable", detail=(error.strerror or "").lower())
                continue
            yield Found(entry.path, status.st_size, _time_ns(status), *sidecars.get(_stem(entry.name), ("", 0)))

    def _sidecars(
        self, files: Sequence[os.DirEntry[str]], entries: Sequence[os.DirEntry[str]]
    ) -> dict[str, tuple[str, int]]:
        """XML files and their times, by the stems of the recordings; in another case only where one alone fits."""
        xml = {_stem(entry.name): entry for entry in entries if _is_xml(entry.name) and self._is_readable(entry)}
        if not xml:
            return {}
        stems = {_stem(entry.name) for entry in files}
        others: dict[str, list[str]] = {}
        for stem in xml.keys() - stems:
            others.setdefault(stem.lower(), []).append(stem)
        found = {}
        for stem in stems:
            alike = others.get(stem.lower(), [])
            entry = xml.get(stem) or (xml[alike[0]] if len(alike) == 1 else None)
            if entry:
                with suppress(OSError):
                    found[stem] = entry.path, _time_ns(entry.stat())
        return found

    def _is_readable(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a file, and not one that a link outside leads to."""
        try:
            return entry.is_file() and (not entry.is_symlink() or self._may_follow(os.path.realpath(entry.path)))
        except OSError:
            return False


def _lies_in(real: str, folders: Container[str]) -> bool:
    """Whether a path without links is one of these or lies in one of them."""
    while real not in folders:
        above = os.path.dirname(real)  # noqa: PTH120 (fast)
        if above == real:
            return False
        real = above
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to what may have been a folder, on a disk that is not there."""
    return entry.is_symlink() and "." not in entry.name and not Path(entry.path).exists()


def _dangling(path: str) -> Found:
    return Found(path, reason="link", detail=f"a link that leads nowhere, {printable(os.path.realpath(path))}")


def _time_ns(status: os.stat_result) -> int:
    return min(status.st_mtime_ns, LATEST_NS)


def _list(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise UserError(
            f"{printable(folder)}: {error.strerror}; a folder that cannot be read would be lost in silence"
        ) from error


def _not_followed(path: str, kind: str) -> Found:
    target = printable(os.path.realpath(path))
    detail = f"a link to a {kind} outside of the given folders, {target}; index.follow_links follows it"
    return Found(path, reason="link", detail=detail)


def _refuse_two_owners(path: str, first: Deployment, second: Deployment) -> None:
    if first is not second:
        one, other = (f"site {row.site} (recorder {printable(row.recorder)})" for row in (first, second))
        raise UserError(f"{printable(path)} belongs to {one} and to {other}; let no two rows share a folder")


def is_recording(name: str) -> bool:
    """Whether a file is named as audio; what macOS leaves beside it (``._name``) is not."""
    return name[name.rfind(".") :].lower() in SUFFIXES and not name.startswith("._")


def is_log(name: str) -> bool:
    """Whether a file is named as the log or the settings of a recorder: ``CONFIG.TXT``, ``NAME_Summary.txt``."""
    return name.lower() == "config.txt" or name.lower().endswith("_summary.txt")


def _is_xml(name: str) -> bool:
    return name[-4:].lower() == ".xml"


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def tops_of(deployment: Deployment) -> list[Path]:
    """Folder of a deployment, or what fits its pattern: files and folders.

    Raises
    ------
    UserError
        There is none.
    """
    place = deployment.recordings
    if Path(place).exists():
        return [Path(place)]
    tops: dict[str, Path] = {}
    real_folder = lru_cache(1000)(os.path.realpath)
    if has_magic(place):
        base, parts = _base_and_pattern(place)
        for match in _matches(base, parts) if Path(base).is_dir() else ():
            if place.endswith("/") and not Path(match).is_dir():
                continue
            folder, name = os.path.split(match)
            real = os.path.realpath(match) if Path(match).is_symlink() else f"{real_folder(folder)}/{name}"
            if not _lies_in(os.path.dirname(real), tops):  # noqa: PTH120 (else it is found in that folder)
                tops.setdefault(real, Path(match))
    if not tops:
        raise UserError(
            f"site {deployment.site}: {printable(place)} does not exist; mend the column 'recordings' of the site sheet"
        )
    return list(tops.values())


def _given(place: str) -> list[str]:
    """What the site sheet names without a doubt: a folder, a file, or the beginning of a pattern."""
    if Path(place).is_dir():
        return [place]
    return [place, str(Path(place).parent)] if Path(place).exists() else [_base_and_pattern(place)[0]]


def _base_and_pattern(place: str) -> tuple[str, list[str]]:
    parts = Path(place).parts
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    return str(Path(*parts[:first])), list(parts[first:])


def _matches(folder: str, pattern: Sequence[str]) -> Iterator[str]:
    """What fits a pattern, a folder before what is in it.

    Unlike :func:`glob.glob` it goes through no link for ``**``, where links may lead round in circles, and does not pass
    over folders that cannot be read.
    """
    part, *rest = pattern
    if part == "**" and rest:
        yield from _matches(folder, rest)
    elif part == "**":
        yield folder
    for entry in _list(folder):
        if part == "**":
            fits = not entry.name.startswith(".") and not (entry.is_symlink() and _is_folder(entry))
        else:
            fits = fnmatchcase(entry.name, part) and (part.startswith(".") or not entry.name.startswith("."))
        if not fits or (has_magic(part) and is_system_folder(entry.name) and _is_folder(entry)):
            continue
        if part == "**" and _is_folder(entry):
            yield from _matches(entry.path, pattern)
        elif not rest:
            yield entry.path
        elif part != "**" and _is_folder(entry):
            yield from _matches(entry.path, rest)


def folders_of(deployment: Deployment, *, may_miss: str = "") -> list[str]:
    """Folders that a deployment's recordings lie in, for a workflow to watch.

    Parameters
    ----------
    may_miss
        A folder below which one may be missing as yet.

    Raises
    ------
    UserError
        The folder does not exist, or nothing fits the pattern.
    """
    place = deployment.recordings
    if may_miss and Path(place).is_relative_to(may_miss):
        return [place]
    return sorted({str(top if top.is_dir() else top.parent) for top in tops_of(deployment)})


def check_any(deployments: Sequence[Deployment]) -> None:
    """Look whether there is any recording.

    Raises
    ------
    UserError
        There is none.
    """
    search = Search(deployments)
    if not any(True for deployment in deployments for _ in search.recordings(deployment)):
        places = ", ".join(sorted({printable(d.recordings) for d in deployments})[:3])
        raise UserError(f"no recordings found in {places}; name the folder that holds WAV or FLAC files")
