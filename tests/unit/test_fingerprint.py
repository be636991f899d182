"""The fingerprint of the recording folders, by which the workflow knows that there is something new to index."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from batpam.survey import SYSTEM_FOLDERS


@pytest.fixture
def fingerprint(repository: Path, tmp_path: Path) -> Callable[[], str]:
    """The function as it stands in the workflow, for recordings in ``tmp_path``."""
    text = (repository / "workflow/rules/common.smk").read_text()
    function = re.search(r"^def get_fingerprint\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    compiled = re.search(r"^SYSTEM_FOLDERS = .*\n", text, re.MULTILINE)
    assert function and compiled
    names = {
        "hashlib": hashlib, "os": os, "re": re, "FOLDERS": [str(tmp_path)],
        "CHECKED": {"system_folders": SYSTEM_FOLDERS}, "SETTINGS": {"index": {"follow_links": False}},
    }  # fmt: skip
    exec(compiled[0] + function[0], names)
    return lambda: names["get_fingerprint"](None)  # type: ignore[operator]


def test_recording_that_comes_changes_or_goes_changes_it(fingerprint: Callable[[], str], tmp_path: Path) -> None:
    seen = [fingerprint()]
    (tmp_path / "card").mkdir()
    for content in (b"1", b"22"):
        (tmp_path / "card/a.wav").write_bytes(content)
        seen.append(fingerprint())
        assert fingerprint() == seen[-1]
    (tmp_path / "card/a.wav").unlink()
    assert len(set(seen)) == 3
    assert fingerprint() == seen[0]


def test_what_is_thrown_away_does_not_change_it(fingerprint: Callable[[], str], tmp_path: Path) -> None:
    before = fingerprint()
    for name in ("$Recycle.bin", "System Volume Information", "card/lost+found", ".Trash-1000"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.wav").touch()
    assert fingerprint() == before


def test_file_that_goes_while_it_is_looked_at_ends_nothing(
    fingerprint: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", ".a.wav.Xy12"):
        (tmp_path / name).touch()
    before, stat = fingerprint(), os.stat

    def gone(path: str, **how: bool) -> os.stat_result:
        if str(path).endswith("Xy12"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", gone)
    assert fingerprint() != before
