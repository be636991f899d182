"""Progress on a terminal and in a log file."""

import sys
import time
from types import TracebackType

LINE_EVERY = 10.0
"""Seconds between lines when the output is no terminal."""


class Progress:
    """A bar on a terminal; a line now and then in a log file: how far, how fast, how long to go.

    Examples
    --------
    >>> with Progress("segmenting", 3, "files") as progress:  # doctest: +SKIP
    ...     progress.at(1)
    """

    def __init__(self, what: str, total: float, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit

    def __enter__(self) -> "Progress":
        self.began = self.said = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} " + self.unit),
                TimeRemainingColumn(),
            )  # fmt: skip
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=self.total)
        return self

    def at(self, done: float) -> None:
        """Say how much is done."""
        if self.bar:
            self.bar.update(self.task, completed=done)
            return
        now = time.monotonic()
        if now - self.said >= LINE_EVERY and 0 < done < self.total:
            self.said = now
            to_go = (now - self.began) / done * (self.total - done)
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
            print(f"{self.what}: {self.total:.0f} {self.unit} in {took:.1f} s", file=sys.stderr, flush=True)
