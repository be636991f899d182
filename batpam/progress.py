"""Progress on a terminal and in a log file."""

import sys
import time
from types import TracebackType

LINE_EVERY = 10.0
"""Seconds between lines when the output is no terminal."""


class Progress:
    """A bar on a terminal; a line now and then in a log file: how far, how fast, how long to go.

    A total of 0 is one that is not known before the end.

    Examples
    --------
    >>> with Progress("segmenting", 3, "files") as progress:  # doctest: +SKIP
    ...     progress.at(1)
    """

    def __init__(self, what: str, total: float, unit: str) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, 0.0

    def __enter__(self) -> "Progress":
        self.began = self.said = time.monotonic()
        # time and what was done at the first line: work that goes on from an earlier run begins with what is there already
        self.from_line = (self.began, 0.0)
        self.bar = None
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            done = TextColumn("{task.completed:.0f}" + ("/{task.total:.0f} " if self.total else " ") + self.unit)
            self.bar = Progress(TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn())
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=self.total or None)
        return self

    def at(self, done: float) -> None:
        """Say how much is done."""
        self.done = done
        if self.bar:
            self.bar.update(self.task, completed=done)
            return
        now = time.monotonic()
        if now - self.said < LINE_EVERY:
            return
        if not self.total:
            self.said = now
            print(f"{self.what}: {done:.0f} {self.unit} so far", file=sys.stderr, flush=True)
        elif self.from_line[1] < done < self.total:
            began, before = self.from_line
            to_go = (now - began) / (done - before) * (self.total - done)
            if self.said == self.began:
                self.from_line = now, done
            self.said = now
            print(
                f"{self.what}: {done:.0f} of {self.total:.0f} {self.unit} ({done / self.total:.0%}), {to_go:.0f} s to go",
                file=sys.stderr,
                flush=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()
        elif kind is None:
            took = time.monotonic() - self.began
            print(
                f"{self.what}: {self.total or self.done:.0f} {self.unit} in {took:.1f} s", file=sys.stderr, flush=True
            )
