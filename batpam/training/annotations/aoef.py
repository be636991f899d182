"""Acoustic Objects Exchange Format 1.1.0, as Whombat exports and soundevent writes it.

Source: mbsantiago/soundevent, ``soundevent/io/aoef``. Times are real: soundevent divides the duration by the time
expansion before anything is annotated. The key of a species is ``species`` up to soundevent 2.9 and in Whombat,
``dwc:scientificName`` in what later versions write.

Read without soundevent: it refuses a whole project for one thing that is not needed here, such as an address of an
annotator that it takes for none (``admin@bats.local``), and takes boxes with an end before their start.
"""

from collections.abc import Iterator, Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any

from batpam.errors import UserError, printable
from batpam.training.annotations.locate import Finder
from batpam.training.annotations.rows import Event, Recording, make_event, shown
from batpam.training.annotations.text import json_number, read_json

VERSION = "1.1.0"
COLLECTIONS = ("annotation_project", "annotation_set", "evaluation_set", "dataset", "recording_set")
"""Those that hold what people said; the others hold what programs did."""

SPECIES_KEYS = (
    "species", "dwc:scientificname", "scientific_name", "scientificname", "class", "label", "dwc:genus", "genus",
    "dwc:family", "family", "dwc:order", "order", "common_name", "dwc:vernacularname", "sound_type", "soundtype",
)  # fmt: skip
"""Keys of the tag that says what it is, the first one counts; "class" is that of BatDetect2."""

CALL_TYPE_KEYS = ("event", "call_type", "calltype", "call type", "behaviour", "behavior", "dwc:behavior")

TOLERANCE_S = 0.01
"""So much of a recording its finished tasks may leave out, s."""

DEEPEST = 4
"""Lists in lists that the coordinates of a geometry have at most."""

Objects = dict[Any, Mapping[str, Any]]


def is_aoef(content: Any) -> bool:
    """Whether JSON has this form."""
    return isinstance(content, dict) and isinstance(content.get("data"), dict) and "collection_type" in content["data"]


def read_aoef(path: Path, finder: Finder) -> tuple[list[Event], list[Recording]]:
    """Read annotations of sounds, clips and recordings.

    A recording is exhaustively annotated where tasks that are completed or verified, and not rejected, cover it. Tags of a
    recording or of a clip say that a taxon is somewhere in it.

    Raises
    ------
    UserError
        Another version or collection, or something in it is broken; names the place.
    """
    content = read_json(path)
    file = printable(path)
    if not is_aoef(content):
        raise UserError(f"{file}: is no AOEF, which has 'data' with a 'collection_type'")
    if content.get("version", VERSION) != VERSION:
        raise UserError(
            f"{file}: AOEF of version {shown(str(content['version']))}, known is {VERSION}; export it with a newer Whombat or "
            "soundevent"
        )
    data = content["data"]
    if data["collection_type"] not in COLLECTIONS:
        raise UserError(
            f"{file}: holds a {shown(str(data['collection_type']))}, which is what a program found; export the annotations"
        )
    tags = _objects(data, "tags", "id", file)
    finished = _finished(data, file)
    recordings: dict[Any, Recording] = {}
    events: list[Event] = []
    for key, item in _objects(data, "recordings", "uuid", file).items():
        where = f"{file}: recording {shown(str(item.get('path', key)))}"
        if not isinstance(item.get("path"), str):
            raise UserError(f"{where}: has no path; fill it in")
        found, exists = finder.find(item["path"], path, where)
        duration_s = json_number(item.get("duration"), "duration", where)
        expansion = json_number(item.get("time_expansion"), "time_expansion", where)
        recordings[key] = Recording(
            found,
            exists,
            where,
            duration_s=duration_s,
            time_expansion=1.0 if isnan(expansion) else expansion,
            exhaustive=_covered(finished.get(key, []), duration_s),
        )
        events += [
            make_event(found, label, where, call_type=call_type)
            for label, call_type in _labels(item, tags, where)
            if label
        ]
    clips = _objects(data, "clips", "uuid", file)
    for item in _items(data, "clip_annotations", file):
        where = f"{file}: clip annotation {shown(str(item.get('uuid')))}"
        clip = _referred(clips, item.get("clip"), "clip", where)
        recording = _referred(recordings, clip.get("recording"), "recording", where)
        start_s, end_s = _span(clip, where)
        whole = start_s <= TOLERANCE_S and end_s >= recording.duration_s - TOLERANCE_S
        events += [
            make_event(
                recording.recording,
                label,
                where,
                start_s=nan if whole else start_s,
                end_s=nan if whole else end_s,
                call_type=call_type,
                extent="file",
            )
            for label, call_type in _labels(item, tags, where)
            if label
        ]
    sounds = _objects(data, "sound_events", "uuid", file)
    for item in _items(data, "sound_event_annotations", file):
        where = f"{file}: sound event annotation {shown(str(item.get('uuid')))}"
        sound = _referred(sounds, item.get("sound_event"), "sound event", where)
        recording = _referred(recordings, sound.get("recording"), "recording", where)
        start_s, end_s, low_hz, high_hz = _box(sound.get("geometry"), where)
        events += [
            make_event(
                recording.recording,
                label,
                where,
                start_s=start_s,
                end_s=end_s,
                low_hz=low_hz,
                high_hz=high_hz,
                call_type=call_type,
            )
            for label, call_type in _labels(item, tags, where, other=True)
        ]
    return events, list(recordings.values())


def _items(data: Mapping[str, Any], name: str, file: str) -> Iterator[Mapping[str, Any]]:
    items = data.get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UserError(f"{file}: {name!r} is no list of objects; export it again")
    return iter(items)


def _objects(data: Mapping[str, Any], name: str, key: str, file: str) -> Objects:
    try:
        return {item[key]: item for item in _items(data, name, file)}
    except (KeyError, TypeError):
        raise UserError(f"{file}: of {name!r} one has no {key!r}; export it again") from None


def _referred(objects: Mapping[Any, Any], key: object, what: str, where: str) -> Any:
    try:
        return objects[key]
    except (KeyError, TypeError):
        raise UserError(f"{where}: there is no {what} {shown(str(key))}; export it again") from None


def _span(clip: Mapping[str, Any], where: str) -> tuple[float, float]:
    start_s, end_s = (json_number(clip.get(key), key, where) for key in ("start_time", "end_time"))
    if not start_s <= end_s:
        raise UserError(f"{where}: clip from {start_s:g} to {end_s:g} s; correct it")
    return start_s, end_s


def _labels(item: Mapping[str, Any], tags: Objects, where: str, *, other: bool = False) -> list[tuple[str, str]]:
    """What the tags say: label and type of call; one for each species, else "", or any ``other`` tag with its key."""
    numbers = item.get("tags") or []
    if not isinstance(numbers, list):
        raise UserError(f"{where}: 'tags' is no list; export it again")
    by_key: dict[str, list[str]] = {}
    for number in numbers:
        tag = _referred(tags, number, "tag", where)
        by_key.setdefault(str(tag.get("key", "")).casefold(), []).append(str(tag.get("value", "")).strip())
    call_type = next((by_key[key][0] for key in CALL_TYPE_KEYS if key in by_key), "")
    others = [f"{key}: {values[0]}" for key, values in by_key.items() if other and key not in CALL_TYPE_KEYS]
    labels = next((by_key[key] for key in SPECIES_KEYS if by_key.get(key, [""])[0]), others[:1] or [""])
    return [(label, call_type) for label in labels]


def _box(geometry: Any, where: str) -> tuple[float, float, float, float]:
    """Start, end (s), lowest and highest frequency (Hz) of a geometry; NaN where it has none."""
    if geometry is None:
        return nan, nan, nan, nan
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    flat = list(_flat(geometry.get("coordinates"), where)) if isinstance(geometry, dict) else []
    if kind == "TimeStamp" and len(flat) == 1:
        return flat[0], nan, nan, nan
    if kind == "TimeInterval" and len(flat) == 2:
        return flat[0], flat[1], nan, nan
    if kind == "BoundingBox" and len(flat) == 4:
        return flat[0], flat[2], flat[1], flat[3]
    points = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
    if kind in points and flat and len(flat) % 2 == 0:
        return min(flat[::2]), max(flat[::2]), min(flat[1::2]), max(flat[1::2])
    raise UserError(f"{where}: geometry of type {shown(str(kind))} is not understood; export it again")


def _flat(value: object, where: str, depth: int = 0) -> Iterator[float]:
    if isinstance(value, list) and depth < DEEPEST:
        for part in value:
            yield from _flat(part, where, depth + 1)
        return
    number = json_number(value, "coordinate", where)
    if isnan(number):
        raise UserError(f"{where}: a coordinate is missing; export it again")
    yield number


def _finished(data: Mapping[str, Any], file: str) -> dict[Any, list[tuple[float, float]]]:
    """Stretches of each recording that were annotated to the end."""
    clips, recordings = _objects(data, "clips", "uuid", file), _objects(data, "recordings", "uuid", file)
    stretches: dict[Any, list[tuple[float, float]]] = {}
    for task in _items(data, "tasks", file):
        where = f"{file}: task {shown(str(task.get('uuid')))}"
        badges = task.get("status_badges") or []
        if not isinstance(badges, list):
            raise UserError(f"{where}: 'status_badges' is no list; export it again")
        states = {str(badge.get("state")) for badge in badges if isinstance(badge, dict)}
        if states & {"completed", "verified"} and "rejected" not in states:
            clip = _referred(clips, task.get("clip"), "clip", where)
            recording = _referred(recordings, clip.get("recording"), "recording", where)
            stretches.setdefault(recording["uuid"], []).append(_span(clip, where))
    return stretches


def _covered(stretches: list[tuple[float, float]], duration_s: float) -> bool:
    reached = 0.0
    for start_s, end_s in sorted(stretches):
        if start_s > reached + TOLERANCE_S:
            return False
        reached = max(reached, end_s)
    return bool(stretches) and reached >= duration_s - TOLERANCE_S
