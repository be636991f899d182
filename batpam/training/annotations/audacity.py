r"""Labels of Audacity: start, end and text with tabs, and frequencies in a line of their own.

Source: Audacity manual, "Importing and Exporting Labels". The second line of a label, ``\<TAB>low<TAB>high``, is there if
it was made from a spectral selection; -1 stands for a frequency that is not told. The end is the start for a point.
Audacity is taken to know no time expansion: its times are those of the file as it plays.
"""

import re
from math import nan
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import Event, Recording, make_event, shown
from batpam.training.annotations.text import head, number, read_text

_ENDING = re.compile(
    r"(?:[ ._-]*(?:labels?|label[ _-]track|annotations?|audacity))?\.(?:txt|tsv|labels)$", re.IGNORECASE
)
_NAMED = re.compile(r"[ ._-](?:labels?|label[ _-]track|audacity)\.txt$|\.labels$", re.IGNORECASE)
_LINE = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?\t-?[0-9]+(?:[.,][0-9]+)?(?:\t|$)")


def is_audacity(path: Path) -> bool:
    """Whether a file is a label track, by its name or its first line."""
    lines = [line for line in head(path).lstrip("\ufeff").splitlines() if line.strip()]
    return bool(_LINE.match(lines[0])) if lines else bool(_NAMED.search(path.name))


def read_audacity(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read a label track; the recording has its name, with an ending like ``_labels`` or not.

    Raises
    ------
    UserError
        A line is no label.
    """
    found, exists = _recording(path, finder)
    labels: list[tuple[int, list[str], list[str]]] = []
    for line, text in enumerate(re.split(r"\r\n|\r|\n", read_text(path)), 1):
        where, values = f"{printable(path)}:{line}", text.split("\t")
        if not text.strip():
            continue
        if values[0].strip() == "\\":
            if not labels or labels[-1][2] or len(values) < 3:
                raise UserError(f"{where}: frequencies without a label before them; export the labels again")
            labels[-1][2].extend(values[1:3])
        elif len(values) < 2:
            raise UserError(f"{where}: {shown(text)} is no label; start, end and text are parted by tabs")
        else:
            labels.append((line, values, []))
    events = []
    for line, (start, end, *label), frequencies in labels:
        where = f"{printable(path)}:{line}"
        low, high = (_frequency(text, where) for text in frequencies or ("", ""))
        start_s, end_s = number(start, "start", where), number(end, "end", where)
        if start_s != start_s or end_s != end_s:
            raise UserError(f"{where}: {shown(start)} and {shown(end)} are no times; correct them")
        text = " ".join(label).strip()
        events.append(make_event(found, text, where, start_s=start_s, end_s=end_s, low_hz=low, high_hz=high))
    return events, [Recording(found, exists, printable(path), clock="header")]


def _frequency(text: str, where: str) -> float:
    value = number(text, "frequency", where)
    return nan if value == -1 else value


def _recording(path: Path, finder: Finder) -> tuple[str, bool]:
    """The recording of a label track: of the same name, else of the name without what stands for "labels"."""
    where = printable(path)
    names = dict.fromkeys([path.name[: -len(path.suffix)] if path.suffix else path.name, _ENDING.sub("", path.name)])
    for name in filter(None, names):
        found, exists = finder.find(name, path, where)
        if exists:
            return found, True
    return found, False
