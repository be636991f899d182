"""Tables of Tadarida: ``.ta`` (sounds) with ``.eti`` (labels), ``.tc`` (classes), and observations of Vigie-Chiro.

Sources: YvesBas/Tadarida-C and Tadarida-L (``RSDB_sample``, ``tests``), the back end of Vigie-Chiro
(``generate_observations_csv``). Times are real, also where the recordings are expanded ten times, as they usually are:
``StTime`` and ``Dur`` in ms, ``Tstart``, ``Tend``, ``temps_debut`` and ``temps_fin`` in s; ``Fmin`` and ``BW`` in kHz. The factor of
expansion is in none of them.

``.eti`` are labels of a person, joined to ``.ta`` by the number of the sound. ``.tc`` and the observations name what is
somewhere in a stretch, so their labels are those of a file. A ``.tc`` has scores only: the highest one is taken. Of an
observation the validator goes before the observer, and the observer before the program.
"""

from math import isnan, nan
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder, files_in
from batpam.training.annotations.rows import Event, Recording, make_event, shown
from batpam.training.annotations.text import Table, column, need, number, plain_name, read_table

ENDINGS = (".eti", ".ta", ".tc")

START_MS = ("StTime", "St(ms)", "StTime(ms)")
DURATION_MS = ("Dur", "Dur(ms)")
LOW_KHZ, HIGH_KHZ, BAND_KHZ = ("Fmin", "Fmin(kHz)"), ("Fmax", "Fmax(kHz)"), ("BW", "BW(kHz)")
TAXA = ("validateur_taxon", "observateur_taxon", "tadarida_taxon")


def is_vigie_chiro(columns: list[str]) -> bool:
    """Whether a table has the columns of observations."""
    names = {plain_name(name) for name in columns}
    return "nom du fichier" in names and bool(names & {plain_name(name) for name in TAXA})


def read_tadarida(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read an ``.eti`` or a ``.ta`` with its partner, a ``.tc``, or a folder of them; ``.ta`` without labels are left out.

    Where a folder has labels of persons (``.eti``), what Tadarida found (``.tc``) is not read.

    Raises
    ------
    UserError
        There are no labels, a partner is missing, or a value cannot be.
    """
    if not path.is_dir():
        return _read_one(path, path.parent.parent, finder)
    labels = files_in(path, (".eti",)) or files_in(path, (".tc",))
    if not labels:
        raise UserError(f"{printable(path)}: there are no labels (.eti, .tc) of Tadarida")
    events: list[Event] = []
    recordings: list[Recording] = []
    for one in labels:
        more = _read_one(one, path, finder)
        events += more[0]
        recordings += more[1]
    return events, recordings


def read_vigie_chiro(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read observations of Vigie-Chiro.

    Raises
    ------
    UserError
        A column is missing, or a value cannot be.
    """
    table = read_table(path)
    name = need(table, ("nom du fichier",), "the recording")
    start, end = column(table.columns, ("temps_debut",)), column(table.columns, ("temps_fin",))
    taxa = [found for found in (column(table.columns, (taxon,)) for taxon in TAXA) if found]
    if not taxa:
        need(table, TAXA, "the taxon")
    events: list[Event] = []
    recordings: dict[str, Recording] = {}
    for line, row in table.rows:
        where = table.where(line)
        found, exists = finder.find(row[name].strip('"'), path, where)
        recordings.setdefault(found, Recording(found, exists, where))
        label = next((text for text in (row[taxon].strip('" ') for taxon in taxa) if text), "")
        start_s = number(row[start], start, where) if start else nan
        end_s = number(row[end], end, where) if end else nan
        # the site writes 0.0 where it has no time
        events.append(
            make_event(found, label, where, start_s=start_s, end_s=end_s if end_s > 0 else nan, extent="file")
        )
    return events, list(recordings.values())


def _read_one(path: Path, top: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    if path.suffix.lower() == ".tc":
        return _read_classes(path, finder)
    sounds, labels = _partner(path, ".ta", top), _partner(path, ".eti", top)
    # recordings lie beside, or in the folder above "txt" and "eti"
    beside = path if path.parent.name.lower() not in ("txt", "eti") else path.parent
    return _join(read_table(sounds, "\t"), read_table(labels, "\t"), beside, finder)


def _partner(path: Path, ending: str, top: Path) -> Path:
    """The file of the same name with another ending: beside, or in the neighbouring folders "txt" and "eti"."""
    if path.suffix.lower() == ending:
        return path
    name = path.stem + ending
    for folder in (path.parent, path.parent.parent / ending[1:], path.parent.parent / "txt", path.parent.parent):
        if (folder / name).is_file():
            return folder / name
    found = [other for other in files_in(top, (ending,)) if other.stem == path.stem]
    if len(found) != 1:
        how = "is not there" if not found else "is there several times"
        raise UserError(f"{printable(path)}: its {name!r} {how}; sounds (.ta) and labels (.eti) belong together")
    return found[0]


def _join(sounds: Table, labels: Table, beside: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    call, species = need(labels, ("Cri",), "the number of the sound"), need(labels, ("Espece",), "the species")
    kind = column(labels.columns, ("Type",))
    name, number_of = (
        need(sounds, ("Filename",), "the recording"),
        need(sounds, ("CallNum",), "the number of the sound"),
    )
    start, length = need(sounds, START_MS, "the start"), need(sounds, DURATION_MS, "the duration")
    low = column(sounds.columns, LOW_KHZ)
    high, band = column(sounds.columns, HIGH_KHZ), column(sounds.columns, BAND_KHZ)
    duration = column(sounds.columns, ("FileDur",))
    by_number = {row[number_of]: (line, row) for line, row in sounds.rows}
    events: list[Event] = []
    recordings: dict[str, Recording] = {}
    for line, row in labels.rows:
        where = labels.where(line)
        if row[call] not in by_number:
            raise UserError(
                f"{where}: sound {shown(row[call])} is not in {printable(sounds.path)}; take both from one run"
            )
        sound_line, sound = by_number[row[call]]
        there = sounds.where(sound_line)
        found, exists = finder.find(sound[name], beside, there)
        recordings.setdefault(
            found,
            Recording(found, exists, where, duration_s=number(sound[duration], "FileDur", there) if duration else nan),
        )
        start_ms, length_ms = number(sound[start], start, there), number(sound[length], length, there)
        low_khz = number(sound[low], low, there) if low else nan
        high_khz = number(sound[high], high, there) if high else nan
        if isnan(high_khz) and band:
            high_khz = low_khz + number(sound[band], band, there)
        events.append(
            make_event(
                found,
                row[species],
                where,
                start_s=start_ms / 1000,
                end_s=(start_ms + length_ms) / 1000,
                low_hz=low_khz * 1000,
                high_hz=high_khz * 1000,
                call_type=row[kind] if kind else "",
            )
        )
    return events, list(recordings.values())


def _read_classes(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    table = read_table(path, ",")
    name = need(table, ("Group.1", "Filename"), "the recording")
    start, end = column(table.columns, ("Tstart",)), column(table.columns, ("Tend",))
    stop = need(table, ("FreqM", "Tstart"), "the end of the scores")
    classes = table.columns[table.columns.index(name) + 1 : table.columns.index(stop)]
    if not classes:
        raise UserError(f"{printable(path)}: no column of a species between {name!r} and {stop!r}")
    beside = path if path.parent.name.lower() != "txt" else path.parent
    events: list[Event] = []
    recordings: dict[str, Recording] = {}
    for line, row in table.rows:
        where = table.where(line)
        found, exists = finder.find(row[name], beside, where)
        recordings.setdefault(found, Recording(found, exists, where))
        scores = {label: number(row[label], label, where) for label in classes}
        best = max(classes, key=lambda label: -1.0 if isnan(scores[label]) else scores[label])
        start_s = number(row[start], start, where) if start else nan
        end_s = number(row[end], end, where) if end else nan
        events.append(make_event(found, best, where, start_s=start_s, end_s=end_s, extent="file"))
    return events, list(recordings.values())
