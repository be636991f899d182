"""Progress in a log file."""

import pytest

from batpam import progress
from batpam.progress import Progress


def test_time_to_go_is_that_of_this_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Work that goes on begins with what an earlier run has done, which took this one no time."""
    times = iter([0.0, 10.0, 20.0, 30.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    with Progress("simulating", 1000, "windows") as shown:
        for done in (900, 910, 920):
            shown.at(done)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(", ")[2] for line in lines] == ["1 s to go", "90 s to go", "80 s to go", ""]
