"""A folder for each species, with its recordings; they may lie in folders ``train`` and ``test``."""

import os
from pathlib import Path

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import recordings_in
from batpam.training.annotations.rows import Event, Recording, make_event

SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}


def is_folders(path: Path) -> bool:
    """Whether there is a recording in a folder of the folder."""
    return any(_folder_of(path, recording) for recording in recordings_in(path))


def read_folders(path: Path) -> tuple[list[Event], list[Recording]]:
    """Read labels of files: the name of the folder, of the first one where there are several.

    Raises
    ------
    UserError
        There is no recording in a folder.
    """
    events = []
    recordings = []
    for recording in recordings_in(path):
        where = printable(recording)
        folders = _folder_of(path, recording)
        split = SPLITS.get(folders[0].casefold(), "") if folders else ""
        label = folders[1 if split else 0] if len(folders) > bool(split) else ""
        recordings.append(Recording(str(recording), True, where, split=split))
        if label:
            events.append(make_event(str(recording), label, where, split=split))
    if not events:
        raise UserError(f"{printable(path)}: no recordings in folders named like species; put those of each into one")
    return events, recordings


def _folder_of(top: Path, recording: Path) -> tuple[str, ...]:
    return Path(os.path.relpath(recording, top)).parent.parts
