"""Plain tables of annotations, and what is shown of them."""

from math import nan
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpam.errors import UserError
from batpam.models.files import read_taxa
from batpam.training.annotations.read import (
    EVENT_COLUMNS,
    RECORDING_COLUMNS,
    UNKNOWN_COLUMNS,
    Annotations,
    exhaustive_as_far,
    in_real_time,
    read_annotations,
)
from batpam.training.annotations.show import summarise, write_plain

TAXA = read_taxa(Path(__file__).parents[4] / "config" / "taxa" / "europe.tsv")


def read(folder: Path, text: str, **options: object) -> Annotations:
    (folder / "x.csv").write_text(text, encoding="utf-8")
    return read_annotations(folder / "x.csv", TAXA, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("time_expansion", "0", r"x\.csv:2: a time expansion of 0 of .*a\.wav cannot be; correct it"),
        ("time_expansion", "-10", "a time expansion of -10 of"),
        ("time_expansion", "0.000000001", "a time expansion of 1e-09 of"),
        ("duration_s", "-5", "a duration of -5 s of"),
        ("channel", "1e300", "the channel of"),
    ],
)
def test_values_that_no_recording_has(tmp_path: Path, column: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, f"file,label,{column}\na.wav,Ppip,{value}\n")


def test_a_time_expansion_that_is_told_counts_and_else_the_one_that_is_given(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label,start_s,time_expansion,clock\na.wav,Ppip,3,1,header\nb.wav,Ppip,3,,header\n")
    real = in_real_time(found, 10.0)
    assert real.recordings["time_expansion"].tolist() == [1, 10]
    assert real.events["start_s"].tolist() == [3, 0.3]
    assert in_real_time(found).recordings["time_expansion"].tolist() == [1, 1]


def test_of_a_recording_that_is_longer_than_its_annotations_nobody_knows_the_rest(tmp_path: Path, capsys) -> None:
    found = in_real_time(
        read(tmp_path, "file,label,exhaustive,duration_s\na.wav,,yes,1\nb.wav,,yes,1\nc.wav,,yes,\nd.wav,,no,1\n")
    )
    known = exhaustive_as_far(found, pd.Series([1.05, 2.0, 2.0, 2.0]))
    assert known.recordings["exhaustive"].tolist() == [True, False, True, False]
    said = capsys.readouterr().err
    assert "b.wav: is 2.00 s long, 1.00 s by its annotations" in said and said.count("\n") == 1


def test_columns_and_types(tmp_path: Path) -> None:
    for text in ("file,label\n", "file,label\na.wav,Ppip\n"):
        found = read(tmp_path, text)
        for table, columns in (
            (found.events, EVENT_COLUMNS),
            (found.recordings, RECORDING_COLUMNS),
            (found.unknown, UNKNOWN_COLUMNS),
        ):
            assert list(table.columns) == list(columns)
            assert [dtype.kind for dtype in table.dtypes] == [
                {str: "O", float: "f", int: "i", bool: "b"}[kind] for kind in columns.values()
            ]


@pytest.mark.parametrize(
    "text",
    [
        "file,label,start_s,end_s,low_hz,high_hz,call_type\na.wav,Ppip,0.1,0.2,40000,60000,buzz\n",
        "filename;species;start;end;low_freq;high_freq;event\na.wav;Ppip;0,1;0,2;40000;60000;Feeding\n",
        "Path\tClass\tBegin Time (s)\tEnd Time (s)\tLow kHz\tHigh kHz\tType\na.wav\tPpip\t0.1\t0.2\t40\t60\tbuzz\n",
        '\ufeff"FILE" , "Species Code","START TIME","End Time",low_khz,high_khz\n"a.wav","Ppip buzz",0.1,0.2,40,60\n',
        "recording,name,onset,offset,fmin_hz,fmax_hz,junk\r\n\r\na.wav,Ppip feeding,0.1,0.2,4e4,6e4,\r\n\r\n",
    ],
)  # fmt: skip
def test_usual_names_of_columns(tmp_path: Path, text: str) -> None:
    (row,) = read(tmp_path, text, format="csv").events.itertuples()
    assert (row.start_s, row.end_s, row.low_hz, row.high_hz) == pytest.approx((0.1, 0.2, 40000, 60000))
    assert (row.taxon, row.call_type, row.extent) == ("Pipistrellus pipistrellus", "buzz", "event")


def test_every_kind_of_line(tmp_path: Path) -> None:
    (tmp_path / "a b, c.wav").touch()
    found = read(
        tmp_path,
        "file,label,start_s,end_s,split,exhaustive,duration_s,time_expansion,channel\n"
        '"a b, c.wav","Ppip; Nnoc",,,train,yes,5,10,2\n'
        '"a b, c.wav",Ppip,0.5,,train,yes,5,10,2\n'
        '"a b, c.wav",,1.5,2,train,yes,5,10,2\n'
        "b.wav,,,,test,no,,,\n",
    )
    nothing = found.events.drop(columns=["recording", "where"]).fillna(-1).to_numpy().tolist()
    assert nothing == [
        [-1, -1, -1, -1, "Ppip", "Pipistrellus pipistrellus", "", "file", "train"],
        [-1, -1, -1, -1, "Nnoc", "Nyctalus noctula", "", "file", "train"],
        [0.5, -1, -1, -1, "Ppip", "Pipistrellus pipistrellus", "", "position", "train"],
        [1.5, 2, -1, -1, "", "", "", "event", "train"],
    ]
    assert found.recordings.drop(columns="recording").fillna(-1).to_numpy().tolist() == [
        [5, 10, 1, True, "train", True, "real"],
        [-1, -1, 0, False, "test", False, "real"],
    ]


def test_durations_of_stretches_and_recordings(tmp_path: Path) -> None:
    for text, end_s, duration_s in (
        ("file,label,start_s,duration_s\na.wav,Ppip,1,0.5\n", 1.5, -1),
        ("file,label,start,end,duration\na.wav,Ppip,1,1.5,0.5\n", 1.5, -1),
        ("file,label,start,end,duration\na.wav,Ppip,1,1.5,5\n", 1.5, 5),
        ("file,label,duration\na.wav,Ppip,5\n", -1, 5),
    ):
        found = read(tmp_path, text)
        assert found.events["end_s"].fillna(-1).tolist() == [end_s]
        assert found.recordings["duration_s"].fillna(-1).tolist() == [duration_s]


def test_labels_that_the_user_leaves_out(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label\na.wav,Mist\nb.wav,Dunst\n", names={"Mist": ""})
    assert found.events["taxon"].tolist() == ["", ""]
    assert found.unknown["label"].tolist() == ["Dunst"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\nPpip\n", "x.csv: no column for the recording; name one 'file' or 'filename'"),
        ("file,comment\na,b\n", "x.csv: no column for the label; name one 'label' or 'species'"),
        ("file,label,label\na,b,c\n", "x.csv: column 'label' stands twice"),
        (
            "file,label\na.wav,Ppip,Ppyg\n",
            "x.csv:2: 3 values for 2 columns; put text that holds a separator into quotes",
        ),
        ("file,label,start,end\na.wav,Ppip,2,1\n", "x.csv:2: times 2 and 1 are reversed"),
        ("file,label,start,end\n\n\na.wav,Ppip,-2,1\n", "x.csv:4: times -2 and 1 cannot be"),
        ("file,label,start,end\na.wav,Ppip,,1\n", "x.csv:2: there is an end, 1 s, without a start"),
        ("file,label,start,end\na.wav,Ppip,1,inf\n", "x.csv:2: end 'inf' cannot be"),
        ("file,label,start,end\na.wav,Ppip,1,two\n", "x.csv:2: end 'two' is no number"),
        ("file,label,low_hz,high_hz\na.wav,Ppip,2,1\n", "x.csv:2: frequencies 2 and 1 are reversed"),
        ("file,label,exhaustive\na.wav,Ppip,perhaps\n", "x.csv:2: exhaustive 'perhaps' is neither yes nor no"),
        ("file,label,split\na.wav,Ppip,validation\n", "x.csv:2: split 'validation' is neither train nor test"),
        ("file,label,channel\na.wav,Ppip,0\n", "x.csv:2: channel '0' is not a whole number from 1"),
        (
            "file,label,time_expansion\na.wav,a,1\na.wav,b,10\n",
            "x.csv:3: time expansion of .*a.wav is 10.0, but 1.0 at .*:2",
        ),
        ("file,label\n,Ppip\n", "x.csv:2: the name of the recording is empty"),
        ('file,label\na.wav,"' + "x" * 200_000, "a quote may be left open"),
        ("file,label,extent\na.wav,Ppip,event\n", "x.csv:2: extent 'event' does not fit"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text, format="csv")


LABELS = st.one_of(
    st.sampled_from(
        ["Ppip", "Ppip buzz", "Ppip; Nnoc", "Leppun social", "Mist", "", "4", 'a "b", c;\td', "=1+1", "é\nñ"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
)
TIMES = st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)).map(sorted)
STRETCHES = st.one_of(
    st.just((nan, nan)), st.floats(0, 1e5).map(lambda start: (start, nan)), TIMES.map(lambda pair: tuple(pair))
)


@st.composite
def lines(draw: st.DrawFn) -> pd.DataFrame:
    count = draw(st.integers(0, 6))
    files = draw(st.lists(st.sampled_from(["a.wav", "n1/b.wav", "c, d.wav"]), min_size=count, max_size=count))
    facts = {file: draw(st.tuples(st.sampled_from(["", "train", "test"]), st.booleans(), st.sampled_from([1.0, 10.0]), st.integers(1, 3), st.sampled_from(["real", "header"]))) for file in sorted(set(files))}  # fmt: skip
    rows = []
    for file in files:
        start_s, end_s = draw(STRETCHES)
        low_hz, high_hz = draw(STRETCHES)
        told = start_s == start_s
        rows.append(
            {"file": file, "label": draw(LABELS), "start_s": start_s, "end_s": end_s, "low_hz": low_hz, "high_hz": high_hz,
             "call_type": draw(st.sampled_from(["", "buzz", "social"])), "extent": "file" if told and draw(st.booleans()) else "",
             **dict(zip(["split", "exhaustive", "time_expansion", "channel", "clock"], facts[file], strict=True))}
        )  # fmt: skip
    columns = ["file", "label", "start_s", "end_s", "low_hz", "high_hz", "call_type", "extent", "split", "exhaustive", "time_expansion", "channel", "clock"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@given(lines())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_and_read_back(tmp_path: Path, table: pd.DataFrame) -> None:
    table.to_csv(tmp_path / "in.csv", index=False)
    names = {"4": "Pip35"}
    first = read_annotations(tmp_path / "in.csv", TAXA, names=names, format="csv")
    write_plain(first, tmp_path / "elsewhere" / "out.csv")
    # without the user's names: the table says itself for what each label stands
    second = read_annotations(tmp_path / "elsewhere" / "out.csv", TAXA, format="csv")
    pd.testing.assert_frame_equal(
        first.events.drop(columns="where"), second.events.drop(columns="where"), check_exact=False, rtol=1e-12
    )
    key = ["recording"]
    pd.testing.assert_frame_equal(
        first.recordings.sort_values(key, ignore_index=True), second.recordings.sort_values(key, ignore_index=True)
    )
    assert set(first.unknown["label"]) == set(second.unknown["label"])


def test_summary(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    text = "file,label,start_s,end_s,call_type,exhaustive,split\n"
    text += "a.wav,Ppip,0.1,0.2,,yes,train\na.wav,Ppip,0.3,,buzz,yes,train\na.wav,Plaint,0.4,0.5,,yes,train\n"
    text += "b\x1b[31m.wav,Pipistrelus pipistrelus,,,,,\nc.wav,,,,,,\n"
    shown = summarise(read(tmp_path, text))
    assert shown.splitlines() == [
        "recordings: 3, found 1, missing 2, exhaustively annotated 1",
        "labels: 4 (event 2, position 1, file 1)",
        "split: train 1 recordings",
        "",
        "taxon                      labels  type not told  buzz",
        "Pipistrellus pipistrellus       2              1     1",
        "(nothing)                       1              1     0",
        "insect                          1              1     0",
        "",
        "labels that fit nothing:",
        f"  label                    count  first{' ' * (len(str(tmp_path)) + 4)}".rstrip(),
        f"  Pipistrelus pipistrelus      1  {tmp_path}/x.csv:5  perhaps Pipistrellus pipistrellus",
        "",
        "recordings that are missing:",
        f"  {tmp_path}/b\\x1b[31m.wav",
        f"  {tmp_path}/c.wav",
    ]


def test_summary_of_nothing_and_of_much(tmp_path: Path) -> None:
    assert summarise(read(tmp_path, "file,label\n")).startswith("recordings: 0, found 0")
    text = "file,label\n" + "".join(f"{number}.wav,mist{number}\n" for number in range(50))
    assert summarise(read(tmp_path, text)).count("and 30 more") == 2
