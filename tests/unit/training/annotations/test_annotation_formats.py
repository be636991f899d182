"""Annotations in the forms that other programs write."""

import json
from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batpam.errors import UserError
from batpam.models.files import read_taxa
from batpam.training.annotations.read import FORMATS, Annotations, read_annotations

TAXA = read_taxa(Path(__file__).parents[4] / "config" / "taxa" / "europe.tsv")

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    "1\tWaveform 1\t1\t0.100000\t0.105000\t0.0\t192000.0\tPpip\n"
    "1\tSpectrogram 1\t1\t0.100000\t0.105000\t44000.0\t61000.0\tPpip\n"
    "2\tWaveform 1\t1\t0.500000\t0.700000\t0.0\t192000.0\tPpip buzz\n"
    "2\tSpectrogram 1\t1\t0.500000\t0.700000\t40000.0\t50000.0\tPpip buzz\n"
    '3\tSpectrogram 1\t1\t0.900000\t0.905000\t40000.0\t50000.0\ta "bat"\n'
)
AUDACITY = "0.100000\t0.105000\tPpip\n\\\t44000.000000\t61000.000000\n0.500000\t0.500000\tsoprano\n\\\t-1.000000\t55000.000000\n1.0\t1.5\t\n"
BATDETECT2: dict[str, Any] = {
    "annotated": True,
    "annotation": [
        {
            "class": "Myotis mystacinus",
            "end_time": 0.151696,
            "event": "Echolocation",
            "high_freq": 105957.03125,
            "individual": "0",
            "low_freq": 28564.453125,
            "start_time": 0.146366,
        },
        {"class": "Bat", "end_time": 0.3, "event": "Social", "high_freq": 30000, "individual": "-1", "low_freq": 15000, "start_time": 0.25},
        {"class": "Not Bat", "end_time": 0.4, "event": "Unknown", "high_freq": 30000, "individual": "-1", "low_freq": 0, "start_time": 0.35},
    ],
    "class_name": "Myotis mystacinus",
    "duration": 0.5,
    "id": "a.wav",
    "issues": False,
    "notes": "",
    "time_exp": 10,
}  # fmt: skip
REC, SE, CLIP, ANN = (f"{number}0000000-0000-4000-8000-00000000000" for number in "1234")
AOEF: dict[str, Any] = {
    "version": "1.1.0",
    "created_on": "2024-05-01T12:00:00.600813",
    "data": {
        "uuid": "dd7a7e31-b002-43f3-9461-e0e68b5506ef",
        "name": "P",
        "collection_type": "annotation_project",
        "users": [{"uuid": "031ec69b-8cfd-4ced-9b8a-eb976ea7da88", "username": "x", "email": "admin@bats.local"}],
        "tags": [
            {"id": 0, "key": "dwc:scientificName", "value": "Myotis daubentonii"},
            {"id": 1, "key": "event", "value": "Echolocation"},
            {"id": 2, "key": "species", "value": "Pipistrellus pipistrellus"},
            {"id": 3, "key": "event", "value": "Social"},
            {"id": 4, "key": "quality", "value": "good"},
        ],
        "recordings": [
            {"uuid": REC + "0", "path": "night/a.wav", "duration": 1.5, "channels": 1, "samplerate": 384000, "time_expansion": 10.0, "owners": []},
            {"uuid": REC + "1", "path": "night/b.wav", "duration": 2.0, "channels": 1, "samplerate": 384000, "tags": [2]},
        ],
        "sound_events": [
            {"uuid": SE + "0", "recording": REC + "0", "geometry": {"type": "BoundingBox", "coordinates": [0.1, 20000.0, 0.2, 40000.0]}},
            {"uuid": SE + "1", "recording": REC + "0", "geometry": {"type": "TimeStamp", "coordinates": 0.5}},
            {"uuid": SE + "2", "recording": REC + "0", "geometry": {"type": "LineString", "coordinates": [[0.6, 90000.0], [0.605, 45000.0]]}},
            {"uuid": SE + "3", "recording": REC + "1", "geometry": {"type": "Polygon", "coordinates": [[[0.1, 3e4], [0.2, 5e4], [0.3, 4e4]]]}},
            {"uuid": SE + "4", "recording": REC + "1", "geometry": {"type": "TimeInterval", "coordinates": [1.0, 1.25]}},
            {"uuid": SE + "5", "recording": REC + "1", "geometry": {"type": "Point", "coordinates": [1.5, 4e4]}},
        ],
        "clips": [
            {"uuid": CLIP + "0", "recording": REC + "0", "start_time": 0.0, "end_time": 1.5},
            {"uuid": CLIP + "1", "recording": REC + "1", "start_time": 0.0, "end_time": 1.0},
        ],
        "sound_event_annotations": [
            {"uuid": ANN + "0", "sound_event": SE + "0", "tags": [1, 0, 4]},
            {"uuid": ANN + "1", "sound_event": SE + "1", "tags": [0, 3]},
            {"uuid": ANN + "2", "sound_event": SE + "2", "tags": [2]},
            {"uuid": ANN + "3", "sound_event": SE + "3", "tags": [2]},
            {"uuid": ANN + "4", "sound_event": SE + "4", "tags": [4]},
            {"uuid": ANN + "5", "sound_event": SE + "5"},
        ],
        "clip_annotations": [
            {"uuid": ANN + "6", "clip": CLIP + "0", "tags": [0], "sound_events": [ANN + "0"]},
            {"uuid": ANN + "7", "clip": CLIP + "1", "tags": [2]},
        ],
        "tasks": [
            {"uuid": ANN + "8", "clip": CLIP + "0", "status_badges": [{"state": "completed"}]},
            {"uuid": ANN + "9", "clip": CLIP + "1", "status_badges": [{"state": "completed"}]},
        ],
    },
}  # fmt: skip
KALEIDOSCOPE = (
    "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,OUT FILE FS,DATE,AUTO ID*,PULSES,ALTERNATE 1,MANUAL ID\r\n"
    "D:\\bats,night1,a.wav,0,0,5.0,,2024-07-01,PIPPIP,12,PIPPYG,\r\n"
    'D:\\bats,night1,b.wav,0,5.0,2.5,,2024-07-01,NoID,3,,"PIPPYG, NYCNOC"\r\n'
    "D:\\bats,night1,c.wav,0,0,5.0,,2024-07-01,Noise,0,,\r\n"
    "D:\\bats,night1,d.wav,0,0,5.0,,2024-07-01,PIPPIP,9,,NoID\r\n"
)
VIGIE_CHIRO = (
    '"nom du fichier";"temps_debut";"temps_fin";"frequence_mediane";"tadarida_taxon";"tadarida_probabilite";'
    '"tadarida_taxon_autre";"observateur_taxon";"observateur_probabilite";"validateur_taxon";"validateur_probabilite"\r\n'
    '"a_000";0.3;3.9;18;"noise";0.93;"";"";"";"";""\r\n'
    '"a_000";0.4;4.1;45;"Pippip";0.80;"Pipkuh";"Pippyg";"SUR";"";""\r\n'
    '"b_000";"1,0";"2,0";42;"Pippip";0.62;"";"Pipkuh";"POSSIBLE";"Pipnat";"SUR"\r\n'
    '"b_000";"0.0";"0.0";42;"Tetvir";0.62;"";"";"";"";""\r\n'
)
TA = (
    "Filename\tCallNum\tVersion\tFileDur\tSampleRate\tStTime\tDur\tPrevSt\tFmin\tBW\n"
    "a.wav\t0\t2\t2.63\t384000.00\t0.00\t15.00\t9999.00\t44.25\t14.25\n"
    "a.wav\t1\t2\t2.63\t384000.00\t60.33\t16.00\t60.33\t44.25\t15.75\n"
    "a.wav\t2\t2\t2.63\t384000.00\t86.17\t2.50\t25.83\t14.25\t6.00\n"
)
ETI = (
    "Cri\tEspece\tType\tIndice\tZone\tSite\tCommentaire\tMateriel\tConfidentiel\tDate\tAuteur\tEtiqueteur\n"
    "0\tPippip\techolo\t3\tHerault\tArboras\t\tSM2BAT+\t\t\tYves Bas\tYves Bas\t\n"
    "2\tPlaint\tsocial\t3\tHerault\tArboras\t\tSM2BAT+\t\t\tYves Bas\tYves Bas\t\n"
)
TC = (
    '"Group.1","Barbar","noise","Pippip","Plaint","FreqM","Tstart","Tend","Order","VersionD","VersionC"\n'
    '"a.wav",0.116,0.342,0.786,0.188,43,0,5,"N1",1,3\n'
    '"a.wav",0.038,0.456,0.018,0.64,19,0.3,3.9,"N2",1,3\n'
)

Read = Callable[..., Annotations]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file, and read it or the folder."""

    def reading(name: str, content: str | bytes | object, **options: Any) -> Annotations:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_annotations(path, TAXA, **options)

    return reading


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of some columns, None for NaN."""
    return [
        tuple(None if isinstance(value, float) and isnan(value) else value for value in row)
        for row in table[list(columns)].itertuples(index=False)
    ]


def names(table: pd.DataFrame) -> list[str]:
    return [Path(recording).name for recording in table["recording"]]


class TestRaven:
    def test_selections_count_once(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "a.wav")
        found = read("a.Table.1.selections.txt", RAVEN)
        assert rows(found.events, "start_s", "end_s", "low_hz", "high_hz", "taxon", "call_type", "extent") == [
            (0.1, 0.105, 44000, 61000, "Pipistrellus pipistrellus", "", "event"),
            (0.5, 0.7, 40000, 50000, "Pipistrellus pipistrellus", "buzz", "event"),
            (0.9, 0.905, 40000, 50000, "", "", "event"),
        ]
        assert rows(found.recordings, "recording", "exists", "exhaustive", "channel", "clock") == [
            (str(tmp_path / "a.wav"), True, False, 0, "header")
        ]
        assert rows(found.unknown, "label", "count") == [('a "bat"', 1)]
        assert found.events["where"].tolist()[1] == f"{tmp_path}/a.Table.1.selections.txt:5"

    def test_a_waveform_has_no_frequencies(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "a.wav")
        alone = "".join(line for line in RAVEN.splitlines(keepends=True) if "Spectrogram" not in line)
        found = read("a.selections.txt", alone)
        assert rows(found.events, "start_s", "low_hz", "high_hz", "taxon") == [
            (0.1, None, None, "Pipistrellus pipistrellus"),
            (0.5, None, None, "Pipistrellus pipistrellus"),
        ]

    def test_several_files(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "a.wav", tmp_path / "b.WAV")
        table = (
            "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin File\tFile Offset (s)\tSpecies\n"
            "1\tSpectrogram 1\t2\t5.0\t6.0\t1000\t3000\ta.wav\t5.0\tBLE\n"
            "2\tSpectrogram 1\t2\t65.0\t66.5\t1000\t3000\tb.wav\t5.0\tBLE\n"
        )
        found = read("all.txt", table)
        assert rows(found.events, "start_s", "end_s", "taxon") == [
            (5, 6, "Plecotus auritus"),
            (5, 6.5, "Plecotus auritus"),
        ]
        assert names(found.events) == ["a.wav", "b.WAV"]
        assert found.recordings["channel"].tolist() == [1, 1]
        without = table.replace("File Offset (s)", "Delta Time (s)")
        with pytest.raises(UserError, match="several recordings, without a column 'File Offset"):
            read("all.txt", without)

    def test_what_is_wrong_is_named(self, read: Read) -> None:
        with pytest.raises(UserError, match=r"a.selections.txt: no column for the label; name one 'Annotation'"):
            read("a.selections.txt", RAVEN.replace("Annotation", "Notes"))
        with pytest.raises(UserError, match=r"a.selections.txt: no column for the end"):
            read("a.selections.txt", RAVEN.replace("End Time (s)", "Stop"))
        with pytest.raises(UserError, match=r"a.selections.txt:3: times 0.2 and 0.105 are reversed"):
            read("a.selections.txt", RAVEN.replace("0.100000", "0.2"))
        with pytest.raises(UserError, match=r":6: 'soon' and|:6: Begin Time \(s\) 'soon' is no number"):
            read("a.selections.txt", RAVEN.replace("0.900000", "soon"))
        with pytest.raises(UserError, match="several channels"):
            read("a.selections.txt", RAVEN.replace("3\tSpectrogram 1\t1", "3\tSpectrogram 1\t2"))
        with pytest.raises(UserError, match="is empty"):
            read("a.selections.txt", "")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_encodings(self, read: Read, encoding: str, newline: str) -> None:
        text = RAVEN.replace('a "bat"', "Fledermäuse").replace("\n", newline)
        found = read("a.selections.txt", text.encode(encoding))
        assert found.events["label"].tolist() == ["Ppip", "Ppip buzz", "Fledermäuse"]


class TestAudacity:
    @pytest.mark.parametrize("name", ["a.txt", "a_labels.txt", "a Label Track.txt", "a.wav.txt", "a-label.txt"])
    def test_labels(self, read: Read, tmp_path: Path, name: str) -> None:
        touch(tmp_path / "a.wav")
        found = read(name, AUDACITY)
        assert rows(found.events, "start_s", "end_s", "low_hz", "high_hz", "taxon", "extent") == [
            (0.1, 0.105, 44000, 61000, "Pipistrellus pipistrellus", "event"),
            (0.5, None, None, 55000, "Pipistrellus pygmaeus", "position"),
            (1.0, 1.5, None, None, "", "event"),
        ]
        assert rows(found.recordings, "recording", "exists", "clock") == [(str(tmp_path / "a.wav"), True, "header")]
        assert rows(found.unknown, "label", "count") == [("", 1)]

    def test_folder_of_labels_among_recordings_and_logs(self, tmp_path: Path) -> None:
        touch(tmp_path / "n1" / "a.wav", tmp_path / "n2" / "b.wav")
        (tmp_path / "n1" / "a.txt").write_text(AUDACITY)
        (tmp_path / "n2" / "b_labels.txt").write_text("")
        (tmp_path / "n1" / "CONFIG.TXT").write_text("Device ID : 24F31901603710B2\n")
        found = read_annotations(tmp_path, TAXA)
        assert names(found.events) == ["a.wav"] * 3
        assert rows(found.recordings, "exists") == [(True,), (True,)]

    def test_what_is_wrong_is_named(self, read: Read) -> None:
        with pytest.raises(UserError, match=r"a.txt:2: times 2 and 1 are reversed"):
            read("a.txt", "0\t1\tx\n2.0\t1.0\tPpip\n")
        with pytest.raises(UserError, match=r"a.txt:1: times -0.5 and 1 cannot be"):
            read("a.txt", "-0.5\t1\tx\n")
        with pytest.raises(UserError, match=r"a.txt:2: 'Ppip' is no label"):
            read("a.txt", "0\t1\tx\nPpip\n")
        with pytest.raises(UserError, match=r"a.txt:1: frequencies without a label"):
            read("a.txt", "\\\t1\t2\n", format="audacity")
        with pytest.raises(UserError, match=r"a.txt:1: 'nan' and '1' are no times"):
            read("a.txt", "nan\t1\tx\n", format="audacity")


class TestBatDetect2:
    def test_annotation(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "audio" / "a.wav")
        found = read("anns/a.wav.json", BATDETECT2, recordings=tmp_path / "audio")
        assert rows(found.events, "start_s", "end_s", "low_hz", "high_hz", "taxon", "call_type") == [
            (0.146366, 0.151696, 28564.453125, 105957.03125, "Myotis mystacinus", "echolocation"),
            (0.25, 0.3, 15000, 30000, "Chiroptera", "social"),
            (0.35, 0.4, 0, 30000, "noise", ""),
        ]
        assert rows(found.recordings, "recording", "duration_s", "time_expansion", "exhaustive", "exists", "clock") == [
            (str(tmp_path / "audio" / "a.wav"), 0.5, 10, True, True, "real")
        ]

    @pytest.mark.parametrize(
        ("change", "exhaustive"),
        [
            ({}, True),
            ({"annotated": False}, False),
            ({"issues": True}, False),
            ({"duration": -1, "time_exp": None}, True),
        ],
    )
    def test_what_is_complete(self, read: Read, change: dict[str, Any], exhaustive: bool) -> None:
        found = read("a.json", {**BATDETECT2, **change})
        assert found.recordings["exhaustive"].tolist() == [exhaustive]
        assert found.recordings["exists"].tolist() == [False]

    def test_merged_file_and_recordings_without_calls(self, read: Read) -> None:
        found = read("all.json", [BATDETECT2, {**BATDETECT2, "id": "b.wav", "annotation": [], "time_exp": 1}])
        assert names(found.recordings) == ["a.wav", "b.wav"]
        assert found.recordings["time_expansion"].tolist() == [10, 1]
        assert len(found.events) == 3

    @pytest.mark.parametrize("expansion", [0, -10, 1e-9, 1e9])
    def test_a_time_expansion_that_cannot_be(self, read: Read, expansion: float) -> None:
        with pytest.raises(UserError, match=r"a time expansion of .* of .*a\.wav cannot be"):
            read("a.json", {**BATDETECT2, "time_exp": expansion})

    def test_folder(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.wav.json").write_text(json.dumps({**BATDETECT2, "id": f"{name}.wav"}))
        assert names(read_annotations(tmp_path, TAXA).recordings) == ["a.wav", "b.wav"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"annotation": [{"class": "Bat", "start_time": 2, "end_time": 1}]},
                "annotation 1: times 2 and 1 are reversed",
            ),
            ({"annotation": [{"class": "Bat"}]}, "annotation 1: 'start_time' is missing"),
            ({"annotation": [{"class": "Bat", "start_time": "x"}]}, "annotation 1: start_time 'x' is no number"),
            ({"annotation": [{"class": "Bat", "start_time": True}]}, "annotation 1: start_time 'True' is no number"),
            ({"annotation": [3]}, "annotation 1: is no annotation"),
            ({"time_exp": [1]}, "time_exp .* is no number"),
        ],
    )
    def test_what_is_wrong_is_named(self, read: Read, change: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError, match=message):
            read("a.json", {**BATDETECT2, **change})


class TestAoef:
    def test_project(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "audio" / "night" / "a.wav")
        found = read("p.json", AOEF, recordings=tmp_path / "audio")
        daub, pip = "Myotis daubentonii", "Pipistrellus pipistrellus"
        assert rows(found.events, "start_s", "end_s", "low_hz", "high_hz", "taxon", "call_type", "extent") == [
            (None, None, None, None, pip, "", "file"),  # tag of a recording
            (None, None, None, None, daub, "", "file"),  # tag of a clip that is the whole recording
            (0.0, 1.0, None, None, pip, "", "file"),
            (0.1, 0.2, 20000, 40000, daub, "echolocation", "event"),
            (0.5, None, None, None, daub, "social", "position"),
            (0.6, 0.605, 45000, 90000, pip, "", "event"),
            (0.1, 0.3, 3e4, 5e4, pip, "", "event"),
            (1.0, 1.25, None, None, "", "", "event"),
            (1.5, None, 4e4, 4e4, "", "", "position"),
        ]
        assert rows(found.unknown, "label", "count") == [("quality: good", 1), ("", 1)]
        assert rows(found.recordings, "duration_s", "time_expansion", "exhaustive", "exists", "clock") == [
            (1.5, 10, True, True, "real"),
            (2.0, 1, False, False, "real"),
        ]

    def test_badges_of_any_form(self, read: Read) -> None:
        content = json.loads(json.dumps(AOEF))
        content["data"]["tasks"][0]["status_badges"] = [{"state": ["completed"]}, 3, {}]
        assert read("p.json", content).recordings["exhaustive"].tolist() == [False, False]

    def test_rejected_tasks_are_not_complete(self, read: Read) -> None:
        content = json.loads(json.dumps(AOEF))
        content["data"]["tasks"][0]["status_badges"].append({"state": "rejected"})
        assert read("p.json", content).recordings["exhaustive"].tolist() == [False, False]

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (["version"], "1.2.0", "AOEF of version '1.2.0', known is 1.1.0"),
            (["data", "collection_type"], "prediction_set", "which is what a program found"),
            (
                ["data", "sound_events", 0, "geometry", "coordinates"],
                [0.3, 1, 0.2, 2],
                "times 0.3 and 0.2 are reversed",
            ),
            (["data", "sound_events", 0, "geometry", "type"], "Blob", "geometry of type 'Blob'"),
            (["data", "sound_events", 0, "geometry"], 3, "geometry of type 'None'"),
            (["data", "sound_events", 0, "geometry", "coordinates"], [[[[[[1]]]]]], "coordinate"),
            (["data", "sound_events", 0, "recording"], "nowhere", "there is no recording 'nowhere'"),
            (["data", "sound_events", 0, "recording"], [], "there is no recording"),
            (["data", "sound_event_annotations", 0, "tags"], [99], "there is no tag '99'"),
            (["data", "recordings"], {"a": 1}, "'recordings' is no list of objects"),
            (["data", "tags", 0], {"key": "species"}, "of 'tags' one has no 'id'"),
            (["data", "clips", 0, "end_time"], -1, "clip from 0 to -1 s"),
            (["data", "recordings", 0, "path"], 7, "has no path"),
            (["data", "recordings", 0, "time_expansion"], 0, "a time expansion of 0 of"),
            (["data", "recordings", 0, "duration"], -1, "a duration of -1 s of"),
            (["data", "clips", 0, "recording"], [], "there is no recording"),
        ],
    )
    def test_what_is_wrong_is_named(self, read: Read, path: list[Any], value: object, message: str) -> None:
        content = json.loads(json.dumps(AOEF))
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        with pytest.raises(UserError, match=message):
            read("p.json", content)


def test_json_that_is_none(read: Read) -> None:
    with pytest.raises(UserError, match="nested too deeply"):
        read("deep.json", "[" * 200_000, format="batdetect2")
    with pytest.raises(UserError, match="is no whole JSON"):
        read("cut.json", json.dumps(BATDETECT2)[:-20])
    with pytest.raises(UserError, match=r"is no whole JSON|cannot be"):
        read("big.json", '{"annotation": [{"start_time": ' + "9" * 10_000 + "}]}")
    with pytest.raises(UserError, match="cannot be"):
        read("big.json", '{"id": "a.wav", "annotation": [{"start_time": 1e999}]}')
    with pytest.raises(UserError, match="no known annotations"):
        read("other.json", {"features": []})
    with pytest.raises(UserError, match="is no annotation of BatDetect2"):
        read("other.json", ["x"], format="batdetect2")


class TestKaleidoscope:
    def test_manual_before_automatic(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "night1" / "a.wav", tmp_path / "b.wav")
        found = read("id.csv", KALEIDOSCOPE)
        assert rows(found.events, "label", "taxon", "start_s", "end_s", "extent") == [
            ("PIPPIP", "Pipistrellus pipistrellus", 0, 5, "file"),
            ("PIPPYG", "Pipistrellus pygmaeus", 5, 7.5, "file"),
            ("NYCNOC", "Nyctalus noctula", 5, 7.5, "file"),
            ("Noise", "noise", 0, 5, "file"),
            ("NoID", "", 0, 5, "file"),
        ]
        assert found.recordings["recording"].tolist()[:2] == [
            str(tmp_path / "night1" / "a.wav"),
            str(tmp_path / "b.wav"),
        ]
        assert found.recordings["exists"].tolist() == [True, True, False, False]
        assert rows(found.unknown, "label", "count", "nearest") == [("NoID", 1, "")]

    def test_columns_that_are_missing(self, read: Read) -> None:
        with pytest.raises(UserError, match="no column for the species; name one 'MANUAL ID'"):
            read("id.csv", "IN FILE,PULSES\na.wav,3\n", format="kaleidoscope")
        found = read("id.csv", "IN FILE,MANUAL ID\na.wav,MYODAU;PIPPIP/PIPPYG\nb.wav,\n")
        assert found.events["label"].tolist() == ["MYODAU", "PIPPIP", "PIPPYG"]
        assert rows(found.events, "start_s", "end_s") == [(None, None)] * 3
        assert len(found.recordings) == 2


class TestTadarida:
    def test_labels_join_sounds(self, tmp_path: Path) -> None:
        touch(tmp_path / "a.wav")
        for folder, name, content in (("txt", "a.ta", TA), ("eti", "a.eti", ETI)):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / name).write_text(content)
        for path in (tmp_path, tmp_path / "eti" / "a.eti", tmp_path / "txt" / "a.ta"):
            found = read_annotations(path, TAXA)
            assert rows(found.events, "start_s", "end_s", "low_hz", "high_hz", "taxon", "call_type", "extent") == [
                (0, 0.015, 44250, 58500, "Pipistrellus pipistrellus", "echolocation", "event"),
                (pytest.approx(0.08617), pytest.approx(0.08867), 14250, 20250, "insect", "", "event"),
            ]
            assert rows(found.recordings, "duration_s", "exists", "clock") == [(2.63, True, "real")]

    def test_classes(self, read: Read) -> None:
        found = read("a.tc", TC)
        assert rows(found.events, "label", "taxon", "start_s", "end_s", "extent") == [
            ("Pippip", "Pipistrellus pipistrellus", 0, 5, "file"),
            ("Plaint", "insect", 0.3, 3.9, "file"),
        ]

    def test_partners_belong_together(self, read: Read, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"its 'a.ta' is not there"):
            read("x/eti/a.eti", ETI)
        (tmp_path / "x" / "eti" / "a.ta").write_text(TA.replace("\t2\t2\t", "\t9\t2\t"))
        with pytest.raises(UserError, match=r"a.eti:3: sound '2' is not in"):
            read("x/eti/a.eti", ETI)

    def test_vigie_chiro(self, read: Read, tmp_path: Path) -> None:
        touch(tmp_path / "a_000.wav")
        found = read("participation-observations.csv", VIGIE_CHIRO)
        assert rows(found.events, "label", "taxon", "start_s", "end_s", "extent") == [
            ("noise", "noise", 0.3, 3.9, "file"),
            ("Pippyg", "Pipistrellus pygmaeus", 0.4, 4.1, "file"),
            ("Pipnat", "Pipistrellus nathusii", 1, 2, "file"),
            ("Tetvir", "insect", 0, None, "file"),
        ]
        assert rows(found.recordings, "exists") == [(True,), (False,)]


class TestFolders:
    def test_folder_for_each_species(self, tmp_path: Path) -> None:
        touch(
            tmp_path / "Ppip" / "a.wav",
            tmp_path / "Ppip" / "2024" / "b.flac",
            tmp_path / "Brown long-eared bat" / "c.WAV",
        )
        touch(tmp_path / "Mist" / "d.wav", tmp_path / "e.wav", tmp_path / "Ppip" / "notes.txt")
        found = read_annotations(tmp_path, TAXA)
        assert sorted(zip(names(found.events), found.events["taxon"], strict=True)) == [
            ("a.wav", "Pipistrellus pipistrellus"),
            ("b.flac", "Pipistrellus pipistrellus"),
            ("c.WAV", "Plecotus auritus"),
            ("d.wav", ""),
        ]
        assert set(found.events["extent"]) == {"file"}
        assert len(found.recordings) == 5
        assert rows(found.unknown, "label", "count") == [("Mist", 1)]

    def test_training_and_test(self, tmp_path: Path) -> None:
        touch(tmp_path / "train" / "Ppip" / "a.wav", tmp_path / "test" / "Nnoc" / "b.wav")
        found = read_annotations(tmp_path, TAXA, format="folders")
        assert sorted(rows(found.events, "taxon", "split")) == [
            ("Nyctalus noctula", "test"),
            ("Pipistrellus pipistrellus", "train"),
        ]

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no known annotations in it"):
            read_annotations(tmp_path, TAXA)
        with pytest.raises(UserError, match="put those of each into one"):
            read_annotations(tmp_path, TAXA, format="folders")


class TestRecognition:
    def test_unknown_files(self, read: Read, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"x.txt: no known annotations \(tried raven, audacity.*--format"):
            read("x.txt", "hello\n")
        with pytest.raises(UserError, match="no known annotations"):
            read("x.csv", b"\x00\x01\x02" * 100)
        with pytest.raises(UserError, match="is no text"):
            read("x.csv", b"\x00\x01\x02" * 100, format="csv")
        with pytest.raises(UserError, match="no known annotations"):
            read("empty.csv", "")
        with pytest.raises(UserError, match="is empty"):
            read("empty.csv", "\n\n", format="csv")
        with pytest.raises(UserError, match="does not exist"):
            read_annotations(tmp_path / "nowhere", TAXA)
        with pytest.raises(UserError, match="--format: 'mist' is none of raven"):
            read("x.csv", "", format="mist")
        with pytest.raises(UserError, match="is no folder"):
            read("x.csv", "file,label\n", recordings=tmp_path / "nowhere")

    def test_folder_of_several_formats(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text(AUDACITY)
        (tmp_path / "b.json").write_text(json.dumps(BATDETECT2))
        with pytest.raises(UserError, match=r"several formats \(audacity, batdetect2\)"):
            read_annotations(tmp_path, TAXA)
        assert len(read_annotations(tmp_path, TAXA, format="audacity").events) == 3
        with pytest.raises(UserError, match=r"no files .npz"):
            read_annotations(tmp_path, TAXA, format="positions")

    @pytest.mark.parametrize("format", [name for name in FORMATS if name != "folders"])
    def test_never_anything_but_a_message(self, read: Read, format: str) -> None:
        for content in JUNK:
            for name in ("a.csv", "a.json", "a.npz", "a.eti", "a.tc"):
                try:
                    read(name, content, format=format)
                except UserError as error:
                    assert str(error)


JUNK = [
    "", "\n", "a", '"', "\t\t\t", "1\t2", "{}", "[]", "[[]]", "{", "null", "file,label", 'file,label\n"a', "\x00", "\ufeff", "PK\x03\x04",
    "file,label,start_s,end_s\na,b,c,d", "Selection\tView\nx", "IN FILE,AUTO ID\n,,", "nom du fichier;tadarida_taxon\n;",
    "Cri\tEspece\n0\t1", '{"data": {"collection_type": "dataset", "recordings": [{"uuid": 1, "path": "\\u0000"}]}}',
    '{"annotation": [], "id": "' + "x" * 5000 + '"}',
]  # fmt: skip


class TestRecordings:
    def test_names_of_other_machines(self, read: Read, tmp_path: Path) -> None:
        touch(
            tmp_path / "rec" / "s1" / "n1" / "a.wav",
            tmp_path / "rec" / "s2" / "n1" / "a.wav",
            tmp_path / "rec" / "b.WAV",
        )
        lines = "file,label\nD:\\bats\\s2\\n1\\a.wav,Ppip\n/home/x/b.wav,Ppip\nb,Ppip\nc.wav,Ppip\n"
        found = read("x.csv", lines, recordings=tmp_path / "rec")
        assert found.events["recording"].tolist() == [
            str(tmp_path / "rec" / "s2" / "n1" / "a.wav"),
            *[str(tmp_path / "rec" / "b.WAV")] * 2,
            str(tmp_path / "rec" / "c.wav"),
        ]
        assert found.recordings["exists"].tolist() == [True, True, False]
        with pytest.raises(UserError, match=r"x.csv:2: recording 'a.wav' may be .*s1.*a.wav or .*s2.*a.wav"):
            read("x.csv", "file,label\na.wav,Ppip\n", recordings=tmp_path / "rec")

    def test_a_recording_is_in_one_part_only(self, read: Read) -> None:
        with pytest.raises(UserError, match=r"x.csv:3: split of .*a.wav is test, but train at .*x.csv:2"):
            read("x.csv", "file,label,split\na.wav,Ppip,train\na.wav,Nnoc,test\n")


def test_examples_of_the_documentation(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs" / "annotations.md").read_text(encoding="utf-8")
    examples = [block.partition("\n")[2] for block in text.split("```")[1::2] if not block.startswith(("python", "sh"))]
    formats = ["raven", "audacity", "batdetect2", "kaleidoscope", "vigie-chiro", "csv"]
    for name, example in zip(formats, examples, strict=True):
        for form in (name, "auto"):
            path = tmp_path / ("a.json" if name == "batdetect2" else "a.txt")
            path.write_text(example)
            found = read_annotations(path, TAXA, format=form)
            assert len(found.events)
            assert set(found.unknown["label"]) <= {"NoID"}


def test_real_recordings(real_recordings: Path) -> None:
    found = read_annotations(real_recordings / "events.csv", TAXA)
    assert len(found.events) == 301
    assert found.recordings["exists"].all()
    assert found.events["taxon"].value_counts()["insect"] == 168
    assert rows(found.unknown, "label", "count") == [("", 14)]
    assert set(found.events.loc[found.events["taxon"] == "Eptesicus serotinus", "call_type"]) == {"echolocation"}
    files = read_annotations(real_recordings / "labels.csv", TAXA)
    assert files.recordings["exists"].all()
    assert files.unknown.empty
    assert set(files.events["extent"]) == {"file"}
    assert files.recordings["time_expansion"].max() == 10
