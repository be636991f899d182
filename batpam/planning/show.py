"""A plan for people to read, or as JSON."""

import json
import sys
from dataclasses import asdict

from batpam.planning.plan import ONCE, PER_SHARD, PER_SITE, Plan
from batpam.recordings.ledger import REASONS


def show(found: Plan, *, as_json: bool = False) -> None:
    """Print a plan: a table on a terminal, aligned text elsewhere, or JSON; a disk that will not do on standard error."""
    if as_json:
        print(json.dumps(asdict(found)))
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for rows in (_facts(found), _stages(found)):
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            for row in rows:
                print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
            print()
        print(_remarks(found))
    if found.bytes_missing:
        print(
            f"warning: the disk of {found.results!r} is too small by about {_bytes(found.bytes_missing)}; free so much, "
            f"or let {found.results!r} be a link to a folder on a larger disk",
            file=sys.stderr,
        )


def _print_table(found: Plan) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    facts = Table(show_header=False, box=None, pad_edge=False)
    for row in _facts(found):
        facts.add_row(*map(Text, row))
    head, *stages = _stages(found) or [()]
    table = Table(*head, box=None, pad_edge=False)
    for stage in stages:
        table.add_row(*map(Text, stage))
    console.print(facts, "", *([table, ""] if stages else []), Text(_remarks(found)), sep="\n")


def _facts(found: Plan) -> list[tuple[str, str]]:
    rows = [
        ("audio", f"{_hours(found.hours)} in {_count(found.files, 'file')}"),
        (
            "recorded by",
            f"{_count(found.sites, 'site')}, {_count(found.recorders, 'recorder')}, {_count(found.nights, 'night')}"
            + (f"; {_count(found.undated, 'file')} without a time" if found.undated else ""),
        ),
        *(
            ("excluded", f"{_count(of.files, 'file')}, {_hours(of.hours)}: {REASONS[reason]}")
            for reason, of in found.excluded.items()
        ),
        ("to analyse", _hours(found.hours_to_analyse)),
        ("shards", f"{found.shards}" + (f", the longest {_hours(found.longest_shard_hours)}" if found.shards else "")),
        (
            "jobs",
            f"{found.jobs} ({len(PER_SHARD)} a shard, {len(PER_SITE)} a site, {len(ONCE)} for the survey) if nothing is done yet",
        ),
    ]
    there = f", where {_bytes(found.bytes_there)} of that lie already" if found.bytes_there else ""
    free = ("disk free", f"{_bytes(found.bytes_free)} on the disk of {found.results!r}{there}")
    if found.estimate is None:
        return [*rows, free]
    estimate = found.estimate
    return [
        *rows,
        (
            "kept by the gate",
            f"about {estimate.share_kept:.0%} (of {estimate.sampled_s:.0f} s that were sampled in "
            f"{_count(estimate.stretches, 'stretch', 'stretches')})",
        ),
        (
            "disk needed",
            f"about {_bytes(estimate.scalogram_bytes)} for scalograms, {_bytes(estimate.detection_bytes)} for detections; "
            f"{_bytes(estimate.most_bytes)} at most, if all were kept",
        ),
        free,
        ("time", f"about {_time(estimate.wall_s)} with {_count(found.cores, 'core')}"),
    ]


def _stages(found: Plan) -> list[tuple[str, ...]]:
    if found.estimate is None:
        return []
    head = ("stage", "jobs", "at once", "start-up", "speed of a job", "time")
    return [
        head,
        *(
            (
                name,
                str(stage.jobs),
                str(stage.at_once),
                f"{stage.start_up_s:.1f} s",
                "" if stage.speed is None else f"{stage.speed:.3g} x real time",
                _time(stage.wall_s),
            )
            for name, stage in found.estimate.stages.items()
        ),
    ]


def _remarks(found: Plan) -> str:
    if found.estimate is None:
        return "No audio could be sampled, so there is no telling how long a run takes or how much disk it needs."
    on_gpu = "Detection was timed on the GPU, where one job runs at a time. "
    return (
        "Times and sizes are estimates, from running the stages on the sample on this machine. They hold one stage after "
        "the other and jobs that do not slow each other down; a slow disk takes longer. "
        f"{on_gpu if found.estimate.detected_on == 'cuda' else ''}"
        "The speed of scalogram and detect is by the audio that was kept; tables and pages count as their start-up."
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _bytes(number: float) -> str:
    """Bytes for people.

    Examples
    --------
    >>> _bytes(999), _bytes(19_234_567), _bytes(2.5e12)
    ('999 B', '19.2 MB', '2.5 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.{0 if unit == 'B' else 1}f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _time(seconds: float) -> str:
    """A time for people.

    Examples
    --------
    >>> _time(42), _time(600), _time(9000), _time(400_000)
    ('42 s', '10.0 min', '2.5 h', '4.6 days')
    """
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
