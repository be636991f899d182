"""What every format gives: labelled stretches, and the recordings that were looked at."""

from dataclasses import dataclass
from math import inf, isnan, nan

from batpam.errors import UserError, printable
from batpam.recordings.formats.fields import EXPANSIONS

EXTENTS = ("event", "position", "file")
"""How far a label reaches: a sound with start and end, a sound of which only the start is known, anywhere in it."""

CALL_TYPES = ("echolocation", "buzz", "social", "echo")
SPLITS = ("train", "test")
CLOCKS = ("real", "header")
"""Time as it passed in the field, or as the file plays at the rate of its header; one where nothing is expanded."""

MAX_CHANNELS = 256

MAX_SHOWN = 60
"""Characters of a value that a message shows."""


@dataclass(frozen=True)
class Event:
    """A labelled stretch.

    Attributes
    ----------
    recording
        Path.
    label
        Text as written.
    where
        File and line, or item, for messages.
    start_s, end_s
        s; NaN where not told.
    low_hz, high_hz
        Hz; NaN where not told.
    call_type
        One of :data:`CALL_TYPES`, or "".
    extent
        One of :data:`EXTENTS`.
    split
        One of :data:`SPLITS`, or "".
    taxon
        Stands in place of the label where the file itself says for what that stands.
    """

    recording: str
    label: str
    where: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    call_type: str
    extent: str
    split: str
    taxon: str


@dataclass(frozen=True)
class Recording:
    """A recording that was annotated, with or without a label; None and NaN where the format does not tell.

    Attributes
    ----------
    recording
        Path.
    exists
        Whether it was found.
    where
        File and line, or item, for messages.
    duration_s
        s, by the clock of the annotations.
    time_expansion
        Factor by which the file plays too slowly.
    channel
        Counted from 0.
    exhaustive
        Whether every event of it is annotated.
    split
        One of :data:`SPLITS`, or "".
    clock
        One of :data:`CLOCKS`.

    Raises
    ------
    UserError
        A value that no recording can have; names the place.
    """

    recording: str
    exists: bool
    where: str
    duration_s: float = nan
    time_expansion: float = nan
    channel: int | None = None
    exhaustive: bool | None = None
    split: str = ""
    clock: str = "real"

    def __post_init__(self) -> None:
        said = f"{self.where}: {{}} of {printable(self.recording)} cannot be; correct it"
        if not (isnan(self.duration_s) or 0 <= self.duration_s < inf):
            raise UserError(said.format(f"a duration of {self.duration_s:g} s"))
        if not (isnan(self.time_expansion) or EXPANSIONS[0] <= self.time_expansion <= EXPANSIONS[1]):
            raise UserError(said.format(f"a time expansion of {self.time_expansion:g}"))
        if not 0 <= (self.channel or 0) < MAX_CHANNELS:
            raise UserError(said.format("the channel"))


def make_event(
    recording: str,
    label: str,
    where: str,
    *,
    start_s: float = nan,
    end_s: float = nan,
    low_hz: float = nan,
    high_hz: float = nan,
    call_type: str = "",
    extent: str = "",
    split: str = "",
    taxon: str = "",
) -> Event:
    """Check a labelled stretch, and tell its extent where the format leaves it open.

    Raises
    ------
    UserError
        Times or frequencies that no sound can have; names the place.

    Examples
    --------
    >>> make_event("a.wav", "Ppip", "a.txt:1", start_s=0.5, end_s=0.5).extent
    'position'
    """
    for name, low, high in (("times", start_s, end_s), ("frequencies", low_hz, high_hz)):
        if low < 0 or high < 0 or inf in (low, high):
            raise UserError(f"{where}: {name} {low:g} and {high:g} cannot be; correct them")
        if high < low:
            raise UserError(f"{where}: {name} {low:g} and {high:g} are reversed; correct them")
    if isnan(start_s) and not isnan(end_s):
        raise UserError(f"{where}: there is an end, {end_s:g} s, without a start; correct it")
    if extent not in ("", *EXTENTS) or (extent in ("event", "position") and isnan(start_s)):
        raise UserError(f"{where}: extent {shown(extent)} does not fit the times; leave it empty")
    if extent != "file":
        if start_s == end_s:
            end_s = nan
        extent = "file" if isnan(start_s) else "position" if isnan(end_s) else "event"
    return Event(
        recording, label.strip(), where, start_s, end_s, low_hz, high_hz, call_type, extent, split, taxon.strip()
    )


def shown(text: str) -> str:
    """A value from a file as a message can show it."""
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…")
