"""The state of every recorder in every night: valid, partial or failed, why, and what its effort was.

Effort is told from the audio that is there, held against what was to be recorded: by the recorder's own log, by the site
sheet, or by its own other nights. No bats, a dead recorder and a lost file must never look alike.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from batpam.config import HealthConfig
from batpam.sun import sun_times
from batpam.survey import EACH_CHANNEL, Deployment, night_of, schedule_of, zone
from batpam.tables import (
    BANDS_HZ,
    NOISE_COLUMNS,
    RECORDER_NIGHTS,
    SOUND,
    concat_tables,
    provenance,
    read_table,
    write_table,
)

STATES = ("valid", "partial", "failed")

REASONS = {
    "no_recording": "no recording",
    "excluded": "all of its files were excluded",
    "flat": "stuck samples",
    "coverage": "too few usable hours",
    "sensitivity": "less sensitive than in its first nights",
    "clipping": "clipped",
    "offset": "offset of the samples",
    "clicks": "rain or other clicks",
    "stopped": "stopped before its time",
    "clock": "its clock cannot be trusted",
    "effort_unknown": "triggered, and how long it listened is not known",
}
"""Why a night is not valid, in the words of a report."""

LONGEST_GAP = 30
"""Nights without a recording that still belong to one deployment, where the site sheet does not give its first and last."""

NEVER_RECORDED = ("duplicate", "truncated")
"""Excluded stretches of the ledger that are no audio of their own: a copy, or what a header only promised."""

HARMLESS_STOPS = ("file size limit",)
"""After these a recorder goes on in the next file."""

WRONG_CLOCK = ("clock_unset", "clock_future", "clock_jump")
"""Warnings of recordings whose night says nothing of when the recorder was in the field."""

TEMPERATURES_C = (-20.0, 50.0)
"""Temperatures outside are those of a broken sensor."""

CONSTANT_NIGHTS = 3
"""Nights from which a temperature that never changes is that of a broken sensor."""

FEW_FILES, SHORT_S, SAME_LENGTH = 20, 60.0, 0.8
"""A recorder that does not say so is taken for triggered from so many files on, when their median is shorter than that (s)
and less than that share of them has the commonest length."""

QUIET_SHARE = 0.5
"""Nights with song or clicks in more of the audio are no reference of the noise: it would fall when these end."""

INFERRED_QUANTILE = 0.75
"""Of the share of the dark that a recorder recorded in its nights: what it is taken to be scheduled for."""

UNDATED = ""
"""Stands for the night of recordings that tell no time."""

_EPOCH = pd.Timestamp(0, tz="UTC")
_FILE_COLUMNS = (
    "recording", "recorder", "path", "night", "start_utc", "sample_rate_hz", "duration_s", "untriggered_s", "serial",
    "gain", "trigger", "temperature_c", "battery_v", "stop_reason", "warnings", "state", "shard",
)  # fmt: skip


def health(
    site: str,
    recordings: Path,
    logs: Path,
    segments: Path,
    ledger: Path,
    deployments: Sequence[Deployment],
    output: Path,
    **settings: float,
) -> pd.DataFrame:
    """State, reasons and effort of the recorders of a site, night by night.

    Parameters
    ----------
    site
        Its name.
    recordings, logs, ledger
        Tables of the site, of the schemas RECORDINGS, LOGS and LEDGER.
    segments
        Folder of ``SHARD.sound.parquet``.
    deployments
        Rows of the site in the site sheet.
    output
        Table to write, of the schema RECORDER_NIGHTS.
    settings
        See :class:`batpam.config.HealthConfig`.
    """
    limits = HealthConfig.model_validate(settings)
    files = read_table(recordings, _FILE_COLUMNS)
    shards = sorted(files["shard"].dropna().unique())
    sound = concat_tables([segments / f"{shard}.sound.parquet" for shard in shards], SOUND)
    table = assess(site, files, read_table(logs), sound, read_table(ledger), deployments, limits)
    write_table(table, RECORDER_NIGHTS, output, provenance("health", site=site, **limits.model_dump()))
    counts = ", ".join(f"{(table['state'] == state).sum()} {state}" for state in STATES)
    recorders = table["recorder"].nunique()
    print(f"{site}: {len(table)} nights of {recorders} recorder{'s' * (recorders != 1)}: {counts}", file=sys.stderr)
    return table


def assess(
    site: str,
    files: pd.DataFrame,
    logs: pd.DataFrame,
    sound: pd.DataFrame,
    ledger: pd.DataFrame,
    deployments: Sequence[Deployment],
    settings: HealthConfig,
) -> pd.DataFrame:
    """Rows of the schema RECORDER_NIGHTS: one per recorder and night, and one per recorder for what has no date.

    The hours that count are those from sunset to sunrise. Where these are not known (no position, a sun that does not set
    or rise) shares are of the whole night, from noon to noon, and the dark hours are missing.

    A recorder that is triggered records no silence, so its recordings do not tell how long it listened. It counts as
    listening when its log says that it was on, and through the silence of files that were expanded; if there is neither,
    its effort is not known.

    Parameters
    ----------
    files, logs, sound, ledger
        Of the schemas RECORDINGS, LOGS, SOUND and LEDGER, of one site.
    deployments
        Rows of the site in the site sheet.
    """
    files = files.merge(sound, on="recording", how="left")
    recorders = {*files["recorder"], *logs["recorder"]}
    dated = [d for d in deployments if d.first_night or d.last_night]
    recorders |= {d.recorder for d in dated if not any(_is_of(d, name) for name in recorders)}
    latest = max(_known_nights(files, logs[logs["kind"] == "running"], deployments[0]), default=None)
    parts = []
    for recorder in sorted(recorders):
        own_files, own_logs, own_ledger = (table[table["recorder"] == recorder] for table in (files, logs, ledger))
        rows = [d for d in deployments if _is_of(d, recorder)] or list(deployments)
        nights = _assess_recorder(own_files, own_logs, own_ledger, rows, latest, settings)
        nights = nights.assign(site=site, recorder=recorder)[RECORDER_NIGHTS.names]
        parts.append(pa.Table.from_pandas(nights, RECORDER_NIGHTS, preserve_index=False))
    table = pa.concat_tables([RECORDER_NIGHTS.empty_table(), *parts]).to_pandas()
    return table.sort_values(["recorder", "night"], ignore_index=True, na_position="last")


def _is_of(deployment: Deployment, recorder: str) -> bool:
    if deployment.channel == EACH_CHANNEL and recorder.startswith(f"{deployment.recorder}-ch"):
        return True
    return deployment.recorder == recorder


def _assess_recorder(
    files: pd.DataFrame,
    logs: pd.DataFrame,
    ledger: pd.DataFrame,
    deployments: Sequence[Deployment],
    latest: date | None,
    settings: HealthConfig,
) -> pd.DataFrame:
    """Nights of one recorder, one row each, with what is without a date in the last.

    ``latest`` is the latest night of any recorder of the site.
    """
    files, ledger = (table.assign(night=table["night"].fillna(UNDATED)) for table in (files, ledger))
    running, scheduled = (logs[logs["kind"] == kind] for kind in ("running", "scheduled"))
    nights = _windows(_span(files, running, deployments, latest), deployments[0])
    if (files["night"] == UNDATED).any():
        nights = nights.reindex([*nights.index, UNDATED])
    nights["dark"] = nights["sunset_utc"].notna()
    none = dict.fromkeys(("files", "files_excluded", "recorded_h", "analysed_h", "excluded_h", "untriggered_h"), 0)
    nights = nights.join(_sums(files, ledger)).fillna(none)
    _add_effort(nights, files, running, ledger)
    _add_schedule(nights, files, scheduled, deployments)
    _add_noise_change(nights, settings)
    _add_states(nights, settings)
    _add_warnings(nights, settings)
    for name in ("scheduled_dark_h", "recorded_dark_h", "usable_dark_h"):
        nights[name] = nights.pop(name.replace("_dark", "_counted")).where(nights["dark"])
    return nights.rename_axis("night").reset_index().replace({"night": {UNDATED: None}})


# which nights


def _known_nights(files: pd.DataFrame, running: pd.DataFrame, deployment: Deployment) -> set[date]:
    """Nights with a recording, unless its clock is in doubt, or a log."""
    doubtful = files["warnings"].fillna("").str.contains("|".join(WRONG_CLOCK))
    known = {date.fromisoformat(night) for night in files.loc[~doubtful, "night"].dropna().unique() if night != UNDATED}
    local = zone(deployment.timezone)
    for start, end in zip(running["start_utc"], running["end_utc"], strict=True):
        known.update(_days(night_of(start.astimezone(local)), night_of(end.astimezone(local))))
    return known


def _span(
    files: pd.DataFrame, running: pd.DataFrame, deployments: Sequence[Deployment], latest: date | None
) -> list[date]:
    """Nights with a recording or a log, those that the site sheet names, and short gaps between these.

    Where the sheet gives the first night alone, the recorder stood there until the latest night of any at the site.
    """
    dated = files[files["night"] != UNDATED]
    known = _known_nights(dated, running, deployments[0])
    firsts, lasts = (
        {date.fromisoformat(text) for text in texts if text}
        for texts in zip(*((d.first_night, d.last_night) for d in deployments), strict=True)
    )
    known |= firsts | lasts
    for deployment in deployments:
        last = date.fromisoformat(deployment.last_night) if deployment.last_night else latest
        if deployment.first_night and last:
            known.update(_days(date.fromisoformat(deployment.first_night), last))
    if not all(d.first_night and d.last_night for d in deployments):
        for one, other in pairwise(sorted(known)):
            if (other - one).days <= LONGEST_GAP or other in lasts:
                known.update(_days(one, other))
    return sorted(known | {date.fromisoformat(night) for night in dated["night"].unique()})


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _windows(nights: Sequence[date], deployment: Deployment) -> pd.DataFrame:
    """When every night begins and ends, and what of it counts; times in s since 1970, rows by the date as text."""
    local = zone(deployment.timezone)
    rows = []
    for night in nights:
        noons = [datetime.combine(night + timedelta(days=days), time(12), local).timestamp() for days in (0, 1)]
        sunset, sunrise = sun_times(night, deployment.latitude, deployment.longitude, deployment.timezone)
        counted = [sunset.timestamp(), sunrise.timestamp()] if sunset and sunrise else noons
        rows.append([*noons, *counted, sunset, sunrise])
    columns = ["noon", "next_noon", "begins", "ends", "sunset_utc", "sunrise_utc"]
    index = pd.Index([night.isoformat() for night in nights], dtype=object)
    table = pd.DataFrame(rows, columns=columns, index=index)
    return table.astype({"sunset_utc": "datetime64[us, UTC]", "sunrise_utc": "datetime64[us, UTC]"})


# what the tables say of a night


def _sums(files: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Hours, files, noise and health of every night that has a file."""
    by_night = files.groupby("night")
    indexed = files[files["state"] == "indexed"]
    same = [indexed[name].astype(str) for name in ("serial", "gain", "sample_rate_hz")]
    own = ledger[ledger["reason"] != "duplicate"]
    hours = own.pivot_table("duration_s", "night", "state", aggfunc="sum") / 3600
    kept = ledger.loc[ledger["state"] == "analysed", "recording"].unique()
    read = files.assign(samples=files["read_s"] * files["sample_rate_hz"], weighted=files["offset"] * files["read_s"])
    total = read.groupby("night")[["samples", "weighted", "read_s", "clipped_samples", "flat_s", "click_s", "insect_s"]]
    sound = total.sum(min_count=1)
    table = pd.DataFrame(
        {
            "files": by_night.size(),
            "files_excluded": (~files["recording"].isin(kept)).groupby(files["night"]).sum(),
            "untriggered_h": indexed.groupby("night")["untriggered_s"].sum() / 3600,
            "temperature_min_c": by_night["temperature_c"].min(),
            "temperature_max_c": by_night["temperature_c"].max(),
            "battery_min_v": by_night["battery_v"].min(),
            "clipped_share": sound["clipped_samples"] / sound["samples"],
            "offset": sound["weighted"] / sound["read_s"],
            "read_h": sound["read_s"] / 3600,
            **{f"{name}_h": sound[f"{name}_s"] / 3600 for name in ("flat", "click", "insect")},
            "stop_reasons": _each_once(files, "stop_reason", "; "),
            "warnings": _each_once(files, "warnings", ","),
            "unit": same[0].str.cat(same[1:], sep="|").groupby(indexed["night"]).first(),
            "path": by_night["path"].first(),
        }
    )
    table[list(NOISE_COLUMNS)] = by_night[list(NOISE_COLUMNS)].median()
    for state in ("analysed", "excluded"):
        table[f"{state}_h"] = hours.get(state, 0.0)
    table[["analysed_h", "excluded_h"]] = table[["analysed_h", "excluded_h"]].fillna(0.0)
    table["recorded_h"] = table["analysed_h"] + table["excluded_h"]
    return table


def _each_once(files: pd.DataFrame, column: str, separator: str) -> pd.Series:
    """What the files of a night say, every text once, in order."""
    said = files.loc[files[column].fillna("") != "", ["night", column]].drop_duplicates()
    split = said[column].str.split(separator.strip()).map(lambda texts: [text.strip() for text in texts])
    each = said.assign(**{column: split}).explode(column).drop_duplicates()
    return each.sort_values(column).groupby("night")[column].agg(separator.join)


# effort


def _add_effort(nights: pd.DataFrame, files: pd.DataFrame, running: pd.DataFrame, ledger: pd.DataFrame) -> None:
    """Add counted hours recorded and usable, the hours listened in all of the night, and whether the effort is known."""
    dated = ledger[ledger["start_utc"].notna()]
    recorded = dated[~dated["reason"].isin(NEVER_RECORDED)]
    analysed = dated[dated["state"] == "analysed"]
    bad_s = files.set_index("recording")[["flat_s", "click_s"]].sum(axis=1)
    bad = (analysed["recording"].map(bad_s) / analysed["duration_s"]).fillna(0.0).clip(upper=1.0).to_numpy()
    begins, ends = nights["begins"].to_numpy(float), nights["ends"].to_numpy(float)

    triggered = _triggered(nights, files)
    expanded = (files["untriggered_s"] > 0).any()
    on, off = _seconds(running["start_utc"]), _seconds(running["end_utc"])
    logged = (nights["next_noon"] > min(on, default=np.inf)) & (nights["noon"] < max(off, default=-np.inf))
    nights["effort_known"] = (~triggered | expanded | logged) & (nights.index != UNDATED)
    # what a triggered recorder without a log did between two nights in which it worked, nobody knows
    worked = (nights["files"] > 0) & (nights.index != UNDATED)
    nights["maybe_quiet"] = ~nights["effort_known"] & worked.cummax() & worked[::-1].cummax()

    starts, stops = _stretch(recorded)
    was_recorded = _hours(_covered(starts, stops), begins, ends)
    not_analysed = was_recorded - _hours(_covered(*_stretch(analysed)), begins, ends)
    spoilt = _hours(_covered(*_stretch(analysed), bad), begins, ends)
    listened = _covered(np.concatenate([starts, on]), np.concatenate([stops, off]))
    by_log = (triggered & logged).to_numpy()
    nights["recorded_counted_h"] = np.where(by_log, _hours(listened, begins, ends), was_recorded)
    nights["usable_counted_h"] = (nights["recorded_counted_h"] - not_analysed - spoilt).clip(lower=0.0)
    noons = nights["noon"].to_numpy(float), nights["next_noon"].to_numpy(float)
    nights["listened_h"] = np.where(by_log, _hours(listened, *noons), _hours(_covered(starts, stops), *noons))
    nights["logged_h"] = nights["listened_h"].where(by_log)


def _triggered(nights: pd.DataFrame, files: pd.DataFrame) -> pd.Series:
    """Whether a recorder waited for sound, night by night; in nights without a file as in most others."""
    indexed = files[files["state"] == "indexed"]
    lengths = indexed.loc[indexed["trigger"].isna(), "duration_s"]
    varied = bool(
        len(lengths) >= FEW_FILES
        and lengths.median() < SHORT_S
        and lengths.round(1).value_counts(normalize=True).iloc[0] < SAME_LENGTH
    )
    waits = (indexed["trigger"] != "").where(indexed["trigger"].notna(), varied).astype(float)
    share = waits.groupby(indexed["night"]).mean().reindex(nights.index)
    return share.fillna(waits.mean() if len(waits) else 0.0) > 0.5


def _seconds(times: pd.Series) -> np.ndarray:
    """Seconds since 1970."""
    return (times - _EPOCH).dt.total_seconds().to_numpy(float)


def _stretch(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of stretches of the ledger, s since 1970."""
    starts = _seconds(rows["start_utc"])
    return starts, starts + rows["duration_s"].to_numpy(float)


def _covered(starts: np.ndarray, ends: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Seconds that stretches cover up to any time, as the corners of a line: times and seconds.

    Parameters
    ----------
    starts, ends
        Shape (n,), s.
    weight
        Of each; without it overlaps count once.
    """
    change = np.ones(len(starts)) if weight is None else weight
    times, change = np.concatenate([starts, ends]), np.concatenate([change, -change])
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(change[order])
    if weight is None:
        level = (level > 0.5).astype(float)
    return times, np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(times))])


def _hours(covered: tuple[np.ndarray, np.ndarray], begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Covered hours between times; none where a time is missing."""
    if len(covered[0]) == 0:
        return np.zeros(len(begins))
    return np.nan_to_num(np.interp(ends, *covered) - np.interp(begins, *covered)) / 3600


# what was to be recorded


def _add_schedule(
    nights: pd.DataFrame, files: pd.DataFrame, scheduled: pd.DataFrame, deployments: Sequence[Deployment]
) -> None:
    """Add counted hours that were to be recorded and where that is from: the recorder's log, the site sheet, its nights.

    Inferred is the share of the night that it recorded in three quarters of its nights at most; of triggered recorders
    whose effort is not known it would mean nothing.
    """
    length = (nights["ends"] - nights["begins"]) / 3600
    by_log = _scheduled_by_log(nights, scheduled)
    by_sheet = pd.Series([_scheduled_by_sheet(row, deployments) for row in nights.itertuples()], nights.index, float)
    worked = nights["effort_known"] & (nights["recorded_counted_h"] > 0)
    shares = (nights["recorded_counted_h"] / length)[worked]
    usual = shares.quantile(INFERRED_QUANTILE, interpolation="higher") if len(shares) else np.nan
    inferred = (usual * length).where(nights["effort_known"])
    nights["schedule_source"] = pd.Series(None, nights.index, object)
    nights["scheduled_counted_h"] = np.nan
    # a log that knows of no night in which there are recordings is not of that night
    told = by_log.where((by_log > 0) | (nights["recorded_counted_h"] == 0))
    for source, hours in (("log", told), ("sheet", by_sheet), ("inferred", inferred)):
        first = nights["scheduled_counted_h"].isna() & hours.notna()
        nights["scheduled_counted_h"] = nights["scheduled_counted_h"].mask(first, hours.clip(upper=length))
        nights["schedule_source"] = nights["schedule_source"].mask(first, source)


def _scheduled_by_log(nights: pd.DataFrame, scheduled: pd.DataFrame) -> pd.Series:
    """Hours by the settings on the card of a night, NaN where there are none; the most of those of several."""
    if scheduled.empty:
        return pd.Series(np.nan, nights.index)
    begins, ends = nights["begins"].to_numpy(float), nights["ends"].to_numpy(float)
    hours, beside = {}, {}
    for path, windows in scheduled.groupby("path"):
        shares = {
            share: _hours(_covered(_seconds(part["start_utc"]), _seconds(part["end_utc"])), begins, ends)
            for share, part in windows.groupby("share")
        }
        hours[path] = sum(share * covered for share, covered in shares.items())
        folder = f"{PurePath(path).parent}/"
        beside[path] = nights["path"].fillna("").str.startswith(folder).to_numpy()
    table, near = pd.DataFrame(hours, nights.index), pd.DataFrame(beside, nights.index)
    return table.where(near | ~near.any(axis=1).to_numpy()[:, None]).max(axis=1)


def _scheduled_by_sheet(row: Any, deployments: Sequence[Deployment]) -> float:
    """Hours of a night by the schedule in the site sheet, NaN where there is none."""
    own = [d for d in deployments if d.schedule and (d.first_night or "") <= row.Index <= (d.last_night or "9")]
    plan = schedule_of(own[0].schedule) if own and row.Index != UNDATED else None
    if plan is None or ((plan.from_sunset or plan.to_sunrise) and not row.dark):
        return np.nan
    night, local = date.fromisoformat(row.Index), zone(own[0].timezone)

    def clock(days: int, minutes: int) -> float:
        return (datetime.combine(night + timedelta(days=days), time()) + timedelta(minutes=minutes)).replace(
            tzinfo=local
        ).timestamp()  # fmt: skip

    total = 0.0
    for days in (-1, 0, 1):  # a window of the day before may reach into the night, and one of the next begin in it
        if plan.from_sunset and days:
            continue
        start = row.begins + 60 * plan.start_min if plan.from_sunset else clock(days, plan.start_min)
        if plan.to_sunrise:
            end = row.ends + 60 * plan.end_min
            if not row.noon <= start < end:
                continue
        else:
            end = min(when for when in (clock(days + d, plan.end_min) for d in (-1, 0, 1, 2)) if when > start)
        total += max(min(end, row.ends) - max(start, row.begins), 0.0)
    return total / 3600


# state


def _add_noise_change(nights: pd.DataFrame, settings: HealthConfig) -> None:
    """Add the change of the noise since the first good nights of the same recorder, gain and rate, and how long it lasts.

    The band that fell most counts. The first nights themselves have no change, for there is nothing to hold them to.
    """
    nights["noise_change_db"], nights["worst_band"], nights["nights_fallen"] = np.nan, -1, 0
    flat = nights["flat_h"] / nights["read_h"] >= settings.max_flat_share
    noisy = nights[["insect_h", "click_h"]].max(axis=1) / nights["read_h"] > QUIET_SHARE
    coverage = nights["usable_counted_h"] / nights["scheduled_counted_h"] < settings.min_partial_share
    heard = nights[list(NOISE_COLUMNS)].notna().any(axis=1) & (nights.index != UNDATED)
    for _, part in nights[heard].groupby("unit"):
        good = part.index[~(flat | noisy | coverage)[part.index]][: settings.reference_nights]
        later = part.index.difference(good, sort=False)
        if len(good) == 0 or len(later) == 0:
            continue
        change = part.loc[later, list(NOISE_COLUMNS)] - part.loc[good, list(NOISE_COLUMNS)].median()
        change = change.dropna(how="all")
        nights.loc[change.index, "noise_change_db"] = change.min(axis=1)
        nights.loc[change.index, "worst_band"] = change.fillna(np.inf).to_numpy().argmin(axis=1)
        fallen = nights.loc[part.index, "noise_change_db"] <= -settings.max_sensitivity_change
        nights.loc[part.index, "nights_fallen"] = fallen.groupby((~fallen).cumsum()).cumsum()


def _add_states(nights: pd.DataFrame, settings: HealthConfig) -> None:
    """Add state, reasons and detail."""
    judged = [_judge(row, settings) for row in nights.itertuples()]
    nights["state"], nights["reasons"], nights["detail"] = zip(*judged, strict=True) if judged else ([], [], [])


def _judge(night: Any, settings: HealthConfig) -> tuple[str, str, str]:
    """State, reasons and detail of a night."""
    failed: dict[str, str] = {}
    partial: dict[str, str] = {}
    usable, scheduled = night.usable_counted_h, night.scheduled_counted_h
    lost = False
    said = []
    known = night.effort_known and not np.isnan(scheduled)
    if known:
        of_night = "" if night.dark else ", dark or not"
        digits = 1 if scheduled >= 1 else 3
        hours = f"usable {usable:.{digits}f} of {scheduled:.{digits}f} h{of_night}"
        share = usable / scheduled if scheduled > 0 else 0.0
        lost = share < settings.min_valid_share
    if night.files == 0 and night.maybe_quiet:
        partial["effort_unknown"] = "no recording, and nobody knows whether it listened"
    elif night.files == 0 and not (night.effort_known and night.recorded_counted_h > 0):
        failed["no_recording"] = f"no recording, {scheduled:.1f} h were scheduled" if known else "no recording"
    elif night.files and night.files == night.files_excluded:
        failed["excluded"] = f"all {night.files:.0f} files were excluded"
    elif night.effort_known and not night.recorded_counted_h > 0:
        failed["coverage"] = "nothing recorded between sunset and sunrise"
    elif known and share < settings.min_partial_share:
        failed["coverage"] = hours
    elif lost:
        partial["coverage"] = hours
    elif known:
        said.append(hours)
    read_h = night.read_h if night.read_h > 0 else np.nan
    if night.flat_h / read_h > settings.max_flat_share:
        failed["flat"] = f"stuck samples in {_percent(night.flat_h / read_h)} of the audio"
    if night.noise_change_db <= -settings.max_sensitivity_change:
        low, high = BANDS_HZ[night.worst_band]
        row = f", night {night.nights_fallen} in a row" if night.nights_fallen > 1 else ""
        text = f"noise at {low // 1000}-{high // 1000} kHz {-night.noise_change_db:.1f} dB below its first nights{row}"
        (failed if night.nights_fallen >= settings.failed_after else partial)["sensitivity"] = text
    if night.clipped_share > settings.max_clipped_share:
        partial["clipping"] = f"clipped {_percent(night.clipped_share)}"
    if abs(night.offset) > settings.max_offset:
        partial["offset"] = f"offset of {_percent(night.offset)} of full scale"
    clicks = night.click_h / max(read_h, night.listened_h)
    if clicks > settings.max_click_share:
        partial["clicks"] = f"rain or other clicks in {_percent(clicks)} of the time"
    stops = [stop for stop in _codes(night.stop_reasons, ";") if stop.lower() not in HARMLESS_STOPS]
    if stops and (lost or not known):
        partial["stopped"] = f"stopped: {'; '.join(stops)}"
    clocks = [code for code in _codes(night.warnings, ",") if code.startswith("clock_")]
    if clocks or night.Index == UNDATED:
        partial["clock"] = ", ".join(clocks) or "recordings without a time"
    elif night.files and not night.effort_known:
        partial["effort_unknown"] = f"recorded {night.recorded_counted_h:.1f} h when triggered"
    state = "failed" if failed else "partial" if partial else "valid"
    reasons = [code for code in REASONS if code in failed or code in partial]
    said += [{**partial, **failed}[code] for code in reasons]
    return state, ",".join(reasons), "; ".join(said)


def _codes(text: Any, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator)] if isinstance(text, str) and text else []


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.095 else f"{100 * share:.2g} %"


def _add_warnings(nights: pd.DataFrame, settings: HealthConfig) -> None:
    """Add low batteries and temperatures that cannot be to what the recordings warn of."""
    coldest, warmest = nights["temperature_min_c"], nights["temperature_max_c"]
    constant = coldest.notna().sum() >= CONSTANT_NIGHTS and coldest.min() == warmest.max()
    unlikely = (coldest < TEMPERATURES_C[0]) | (warmest > TEMPERATURES_C[1]) | (coldest.notna() & constant)
    low = nights["battery_min_v"] < settings.min_battery_v
    codes = nights["warnings"].fillna("").str.split(",")
    nights["warnings"] = [
        ",".join([code for code in told if code] + ["battery"] * flat + ["temperature"] * strange)
        for told, flat, strange in zip(codes, low, unlikely, strict=True)
    ]
    nights["stop_reasons"] = nights["stop_reasons"].fillna("")
