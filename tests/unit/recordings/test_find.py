"""Finding recordings: none lost, none twice, none from outside of what the site sheet gives."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batpam.errors import UserError
from batpam.recordings.find import LATEST_NS, Found, Search, check_any, folders_of
from batpam.survey import Deployment

MakeWav = Callable[..., Path]


def _site(place: Path | str, site: str = "orchard", recorder: str = "1") -> Deployment:
    return Deployment(site, None, None, "Europe/London", str(place), recorder)


def _found(*sites: Deployment, follow_links: bool = False) -> list[Found]:
    search = Search(sites, follow_links=follow_links)
    return [found for site in sites for found in search.recordings(site)]


def _names(root: Path, *sites: Deployment, follow_links: bool = False) -> list[str]:
    """What is found and opened, below a folder."""
    return [str(Path(f.path).relative_to(root)) for f in _found(*sites, follow_links=follow_links) if not f.reason]


def _reasons(root: Path, *sites: Deployment, follow_links: bool = False) -> dict[str, str]:
    """What is found and not opened, below a folder, and why."""
    found = _found(*sites, follow_links=follow_links)
    return {str(Path(f.path).relative_to(root)): f.reason for f in found if f.reason}


def _make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def _link(place: Path, target: Path | str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


# folders and patterns


def test_every_file_that_is_named_as_audio(tmp_path: Path) -> None:
    wanted = [
        "-rf.wav",
        ".hidden.wav",
        ".hidden/c.wav",
        "a.wav",
        "b.WAV",
        "d.flac",
        "deep/er/c.Wav",
        "f.w4v",
        "x.wav/g.wav",
    ]
    _make(
        tmp_path, *wanted, "notes.txt", "SUMMARY.CSV", "wav", "raw", "h.wav.tmp", "._a.wav", "deep/._c.wav", "deep/wav"
    )
    assert sorted(_names(tmp_path, _site(tmp_path))) == wanted


def test_one_order_whatever_the_disk_says(tmp_path: Path) -> None:
    _make(tmp_path, "b/z.wav", "b/a.wav", "a.wav", "a/b.wav", "c/c/c.wav")
    assert _names(tmp_path, _site(tmp_path)) == ["a.wav", "a/b.wav", "b/a.wav", "b/z.wav", "c/c/c.wav"]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav")
    os.utime(tmp_path / "a.wav", ns=(5, 1_700_000_000_123_456_789))
    assert _found(_site(tmp_path)) == [Found(str(tmp_path / "a.wav"), 1, 1_700_000_000_123_456_789)]


def test_time_that_no_table_can_hold_is_cut(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav")
    try:
        os.utime(tmp_path / "a.wav", (1.4e10, 1.4e10))
    except (OSError, OverflowError):
        pytest.skip("this disk keeps no such time")
    (found,) = _found(_site(tmp_path))
    assert found.modified_ns <= LATEST_NS == 2**63 - 1


TRASH = ("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "lost+found", ".Trashes", ".Trash-1000", ".trash")


@pytest.mark.parametrize("place", ["", "*", "**", "**/*.wav", ".*"])
def test_what_was_thrown_away_is_not_found(tmp_path: Path, place: str) -> None:
    wanted = ["$RECYCLE.BIN.wav", ".trash.wav", ".kept/a.wav", "Trash/a.wav", "deep/a.wav", "lost/a.wav"]
    _make(tmp_path, *wanted, *(f"{folder}{name}/S-1-5/a.wav" for folder in ("", "deep/") for name in TRASH))
    found = _names(tmp_path, _site(f"{tmp_path}/{place}"))
    assert found and set(found) <= set(wanted)
    assert place or sorted(found) == sorted(wanted)


@pytest.mark.parametrize("place", ["lost+found", "lost+found/*.wav", "*/lost+found"])
def test_folder_of_the_system_that_is_asked_for_by_name_is_searched(tmp_path: Path, place: str) -> None:
    _make(tmp_path, "lost+found/a.wav", "deep/lost+found/a.wav")
    assert len(_found(_site(f"{tmp_path}/{place}"))) == 1


PATTERNS = [
    ("a/*.WAV", ["a/1.WAV", "a/2T.WAV"]),
    ("*/*T.WAV", ["a/2T.WAV", "b/3T.WAV"]),
    ("?/[12]*.WAV", ["a/1.WAV", "a/2T.WAV"]),
    ("b*", ["b/3T.WAV", "b/deep/4T.WAV"]),
    ("b*/", ["b/3T.WAV", "b/deep/4T.WAV"]),
    ("**/*T.WAV", ["a/2T.WAV", "b/3T.WAV", "b/deep/4T.WAV"]),
    ("**", ["a/1.WAV", "a/2T.WAV", "b/3T.WAV", "b/deep/4T.WAV", "top.WAV"]),
    ("*", ["a/1.WAV", "a/2T.WAV", "b/3T.WAV", "b/deep/4T.WAV", "top.WAV"]),
    ("*/deep", ["b/deep/4T.WAV"]),
    ("./a/../*.WAV", ["top.WAV"]),
    ("top.WAV", ["top.WAV"]),
    ("*.txt", []),
]


@pytest.mark.parametrize(("pattern", "wanted"), PATTERNS)
def test_pattern_in_place_of_a_folder(tmp_path: Path, pattern: str, wanted: list[str]) -> None:
    _make(tmp_path, "a/1.WAV", "a/2T.WAV", "b/3T.WAV", "b/deep/4T.WAV", "top.WAV", "a/notes.txt", "x.txt")
    found = _found(_site(f"{tmp_path}/{pattern}"))
    assert sorted(os.path.relpath(f.path, tmp_path) for f in found) == wanted


def test_pattern_relative_to_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, "a/1.wav", "2.wav")
    monkeypatch.chdir(tmp_path)
    assert [[Path(f.path) for f in _found(_site(place))] for place in (".", "*", "a", "*.wav", "a/*")] == [
        [Path("2.wav"), Path("a/1.wav")], [Path("a/1.wav"), Path("2.wav")], [Path("a/1.wav")], [Path("2.wav")],
        [Path("a/1.wav")],
    ]  # fmt: skip


def test_folder_that_looks_like_a_pattern_is_a_folder(tmp_path: Path) -> None:
    _make(tmp_path, "REC [-27.3866 152.8761]*?/a.wav")
    assert _names(tmp_path, _site(tmp_path / "REC [-27.3866 152.8761]*?")) == ["REC [-27.3866 152.8761]*?/a.wav"]


def test_pattern_that_fits_many_files_lists_their_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, *(f"{number}.wav" for number in range(50)))
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": (listed.append(str(path)), scandir(path))[1])
    assert len(_found(_site(tmp_path / "*.wav"))) == 50
    assert len(listed) < 10


@pytest.mark.parametrize("place", ["nowhere", "no*where", "nowhere/*", "file.txt/x", "file.txt/*", "a/*.flac"])
def test_place_that_is_not_there_is_named(tmp_path: Path, place: str) -> None:
    _make(tmp_path, "a/b.wav", "file.txt")
    for ask in (folders_of, _found):
        with pytest.raises(UserError, match="orchard") as error:
            ask(_site(tmp_path / place))
        assert str(tmp_path / place) in str(error.value)


@pytest.mark.parametrize("place", ["", "*/*.wav", "**"])
def test_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    _make(tmp_path, "good/a.wav", "locked/b.wav")
    scandir = os.scandir

    def refuse(path: str = ".") -> object:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="locked: Permission denied"):
        _found(_site(tmp_path / place))


def test_survey_without_a_recording_is_a_mistake(tmp_path: Path) -> None:
    _make(tmp_path, "empty/notes.txt", "full/a.wav")
    with pytest.raises(UserError, match="empty"):
        check_any([_site(tmp_path / "empty")])
    check_any([_site(tmp_path / "empty"), _site(tmp_path / "full", "other")])


@pytest.mark.parametrize(
    ("place", "wanted"), [("a", ["a"]), ("a/*.wav", ["a"]), ("*", ["a", "b", ""]), ("*/x.wav", ["a", "b"])]
)
def test_folders_to_watch(tmp_path: Path, place: str, wanted: list[str]) -> None:
    _make(tmp_path, "a/x.wav", "b/x.wav", "c.wav")
    assert folders_of(_site(tmp_path / place)) == sorted(str(tmp_path / name) for name in wanted)


def test_folder_to_watch_may_be_missing_below_one_that_will_be_made(tmp_path: Path) -> None:
    site = _site(tmp_path / "made/later")
    assert folders_of(site, may_miss=str(tmp_path / "made")) == [str(tmp_path / "made/later")]


# one file, one owner


@pytest.mark.parametrize("second", ["rec", "rec/a", "rec/a/*.wav", "rec/a/1.wav", "re*", "again", "rec/../rec"])
def test_file_of_two_rows_is_a_mistake_and_named(tmp_path: Path, second: str) -> None:
    _make(tmp_path, "rec/a/1.wav", "rec/2.wav")
    _link(tmp_path / "again", tmp_path / "rec")
    with pytest.raises(UserError, match=r"orchard \(recorder 1\) and to site barn \(recorder 1\)"):
        _found(_site(tmp_path / "rec"), _site(tmp_path / second, "barn"))


def test_two_rows_may_share_a_folder_by_patterns_that_share_no_file(tmp_path: Path) -> None:
    _make(tmp_path, "A_1.wav", "B_1.wav", "B_2.wav")
    sites = _site(tmp_path / "A_*.wav"), _site(tmp_path / "B_*.wav", "barn")
    assert _names(tmp_path, *sites) == ["A_1.wav", "B_1.wav", "B_2.wav"]


# links


def _linked(root: Path) -> Path:
    """A folder of recordings with links of every kind, beside a folder and a file that nobody gave."""
    _make(root, "rec/a.wav", "rec/deep/b.wav", "other/c.wav", "other/deep/d.wav", "e.wav", "rec/notes.bin")
    rec = root / "rec"
    for name, target in {
        "file.wav": root / "e.wav", "folder": root / "other", "deep/up": root, "deep/file.wav": "../../e.wav",
        "inside.wav": rec / "a.wav", "in": rec / "deep", "round": rec, "deep/round": "..", "named.wav": rec / "notes.bin",
        "self": "self", "self.wav": "self.wav", "gone": root / "gone", "gone.wav": rec / "nothing.wav",
        "gone.txt": root / "gone", "lost.wav": root / "gone.wav",
    }.items():  # fmt: skip
        _link(rec / name, target)
    return rec


def test_link_out_of_the_folder_is_a_row_and_not_followed(tmp_path: Path) -> None:
    site = _site(_linked(tmp_path))
    assert _names(tmp_path, site) == ["rec/a.wav", "rec/named.wav", "rec/deep/b.wav"]
    assert _reasons(tmp_path, site) == {
        "rec/file.wav": "link", "rec/folder": "link", "rec/deep/up": "link", "rec/deep/file.wav": "link",
        "rec/self": "link", "rec/gone": "link", "rec/lost.wav": "link",
        "rec/self.wav": "unreadable", "rec/gone.wav": "unreadable",
    }  # fmt: skip
    details = {Path(f.path).name: f.detail for f in _found(site)}
    assert str(tmp_path / "other") in details["folder"]
    assert "index.follow_links" in details["folder"]


def test_link_out_of_the_folder_is_followed_when_told_to(tmp_path: Path) -> None:
    site = _site(_linked(tmp_path))
    names = _names(tmp_path, site, follow_links=True)
    real = [os.path.realpath(tmp_path / name) for name in names]
    assert sorted(os.path.relpath(path, tmp_path) for path in real) == [
        "e.wav", "other/c.wav", "other/deep/d.wav", "rec/a.wav", "rec/deep/b.wav", "rec/notes.bin",
    ]  # fmt: skip
    assert _reasons(tmp_path, site, follow_links=True) == {
        "rec/self": "link", "rec/gone": "link", "rec/self.wav": "unreadable", "rec/gone.wav": "unreadable",
        "rec/lost.wav": "unreadable",
    }  # fmt: skip


@pytest.mark.parametrize("place", ["rec", "rec/**", "re*"])
def test_links_round_in_circles_come_to_an_end(tmp_path: Path, place: str) -> None:
    _make(tmp_path, "rec/a/b/x.wav")
    for number in range(8):
        _link(tmp_path / f"rec/round{number}", tmp_path / "rec")
        _link(tmp_path / f"rec/a/b/up{number}", "../..")
    for follow_links in (False, True):
        assert _names(tmp_path, _site(tmp_path / place), follow_links=follow_links) == ["rec/a/b/x.wav"]


@pytest.mark.parametrize("place", ["linked", "linked/a.wav", "linked/*.wav", "file.wav", "linked/deep"])
def test_what_the_site_sheet_names_may_itself_be_a_link(tmp_path: Path, place: str) -> None:
    _make(tmp_path, "disk/a.wav", "disk/deep/b.wav")
    _link(tmp_path / "linked", tmp_path / "disk")
    _link(tmp_path / "file.wav", tmp_path / "disk/a.wav")
    assert _names(tmp_path, _site(tmp_path / place))
    assert _reasons(tmp_path, _site(tmp_path / place)) == {}


@pytest.mark.parametrize(
    ("place", "links", "followed"),
    [
        ("cards/*", ["cards/out"], ["cards/in/a.wav", "cards/out/b.wav"]),
        ("cards/*/*.wav", ["cards/out/b.wav"], ["cards/in/a.wav", "cards/out/b.wav"]),
        ("cards/*/b.wav", ["cards/out/b.wav"], ["cards/out/b.wav"]),
        ("car*", ["cards/out"], ["cards/in/a.wav", "cards/out/b.wav"]),
    ],
)
def test_pattern_leads_out_of_its_folder_no_more_than_a_folder(
    tmp_path: Path, place: str, links: list[str], followed: list[str]
) -> None:
    _make(tmp_path, "survey/cards/in/a.wav", "elsewhere/b.wav")
    root = tmp_path / "survey"
    _link(root / "cards/out", tmp_path / "elsewhere")
    site = _site(root / place)
    assert _reasons(root, site) == dict.fromkeys(links, "link")
    assert _names(root, site) == [name for name in followed if "out" not in name]
    assert _names(root, site, follow_links=True) == followed


def test_link_into_the_folder_of_another_row_is_found_there(tmp_path: Path) -> None:
    _make(tmp_path, "A/a.wav", "B/b.wav")
    _link(tmp_path / "A/b.wav", tmp_path / "B/b.wav")
    _link(tmp_path / "A/all", tmp_path / "B")
    for follow_links in (False, True):
        sites = _site(tmp_path / "A"), _site(tmp_path / "B", "barn")
        assert _names(tmp_path, *sites, follow_links=follow_links) == ["A/a.wav", "B/b.wav"]
        assert _reasons(tmp_path, *sites, follow_links=follow_links) == {}


def test_link_into_a_given_folder_that_a_pattern_passes_over_is_followed(tmp_path: Path) -> None:
    _make(tmp_path, "cards/1_T.wav", "cards/deep/2.wav", "rec/3.wav")
    _link(tmp_path / "rec/more", tmp_path / "cards/deep")
    sites = _site(tmp_path / "rec"), _site(tmp_path / "cards/*_T.wav", "barn")
    assert _names(tmp_path, *sites) == ["rec/3.wav", "rec/more/2.wav", "cards/1_T.wav"]


# what lies beside a recording


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["1.wav", "1.xml"], {"1.wav": "1.xml"}),
        (["1.WAV", "1.XML"], {"1.WAV": "1.XML"}),
        (["A1.wav", "a1.Xml"], {"A1.wav": "a1.Xml"}),
        (["A1.wav", "a1.wav", "A1.xml", "a1.xml"], {"A1.wav": "A1.xml", "a1.wav": "a1.xml"}),
        (["A1.wav", "a1.wav", "a1.xml"], {"A1.wav": "", "a1.wav": "a1.xml"}),
        (["ab.wav", "AB.xml", "Ab.xml"], {"ab.wav": ""}),
        (["1.wav", "11.xml", "1.wav.xml", "x/1.xml"], {"1.wav": ""}),
        (["a.b [1.2].wav", "a.b [1.2].xml"], {"a.b [1.2].wav": "a.b [1.2].xml"}),
    ],
)
@pytest.mark.parametrize("pattern", ["", "*.[wW]*"])
def test_sidecar_is_the_xml_of_the_same_name(
    tmp_path: Path, files: list[str], wanted: dict[str, str], pattern: str
) -> None:
    _make(tmp_path, *files)
    found = _found(_site(tmp_path / pattern))
    assert {Path(f.path).name: Path(f.sidecar).name for f in found} == wanted
    assert all(f.sidecar_ns == (os.stat(f.sidecar).st_mtime_ns if f.sidecar else 0) for f in found)  # noqa: PTH116


@pytest.mark.parametrize("kind", ["gone", "outside", "folder", "pipe"])
def test_sidecar_that_is_none_is_no_harm_to_the_recording(tmp_path: Path, kind: str) -> None:
    _make(tmp_path, "rec/1.wav", "outside.xml")
    sidecar = tmp_path / "rec/1.xml"
    if kind == "folder":
        sidecar.mkdir()
    elif kind == "pipe":
        os.mkfifo(sidecar)
    else:
        _link(sidecar, tmp_path / f"{kind}.xml")
    (found,) = _found(_site(tmp_path / "rec"))
    assert (found.reason, found.sidecar, found.size) == ("", "", 1)


def test_logs_are_found_by_the_row_in_whose_folder_they_lie(tmp_path: Path) -> None:
    _make(tmp_path, "A/1.wav", "A/CONFIG.TXT", "A/deep/Config.txt", "B/2.wav", "B/SM4_Summary.txt", "B/x_SUMMARY.TXT")
    _make(tmp_path, "B/summary.txt", "A/MYCONFIG.TXT", "outside/CONFIG.TXT")
    (tmp_path / "B/CONFIG.TXT").mkdir()
    _link(tmp_path / "B/out_summary.txt", tmp_path / "outside/CONFIG.TXT")
    sites = _site(tmp_path / "A"), _site(tmp_path / "B", "barn")
    search = Search(sites)
    for site in sites:
        assert list(search.recordings(site))
    assert [[str(Path(path).relative_to(tmp_path)) for path in search.logs[site]] for site in sites] == [
        ["A/CONFIG.TXT", "A/deep/Config.txt"],
        ["B/SM4_Summary.txt", "B/x_SUMMARY.TXT"],
    ]


# names


ODD = [
    "with blank.wav", "br[ack]ets* ?.wav", "quotes ' \" `.wav", "new\nline.wav", "tab\t.wav", "\x1b[2J.wav", "\x7f.wav",
    "Zürich コウモリ.wav", "e\u0301 decomposed.wav", "é composed.wav", "-rf.wav", "#%20;&|$(x).wav", "back\\slash.wav",
    " .wav", "a" * 251 + ".wav", "ü" * 125 + ".wav", "Case.wav", "case.wav", "CASE.wav", "case.WAV",
    os.fsdecode(b"Z\xfcrich.wav"), os.fsdecode(b"\xff\xfe.wav"), "\\xff\\xfe.wav", "\u202egnp.wav",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ["", "*", "*.[wW][aA][vV]", "**"])
def test_no_name_is_trusted(tmp_path: Path, pattern: str) -> None:
    _make(tmp_path, *ODD)
    found = _found(_site(tmp_path / pattern))
    assert sorted(Path(f.path).name for f in found) == sorted(ODD)
    assert {(f.size, f.reason) for f in found} == {(1, "")}


@pytest.mark.parametrize("name", ["\x1b[2J\n.wav", "\x1b[2J\n"])
def test_no_message_acts_upon_a_terminal(tmp_path: Path, name: str) -> None:
    _make(tmp_path, f"outside/{name}/a.wav", "rec/a.wav")
    _link(tmp_path / f"rec/{name}", tmp_path / "outside" / name)
    (detail,) = (f.detail for f in _found(_site(tmp_path / "rec")) if f.reason)
    assert detail.isprintable()
    for place in (tmp_path / "no" / name, tmp_path / name / "*"):
        with pytest.raises(UserError) as error:
            _found(_site(place))
        assert str(error.value).isprintable()
    with pytest.raises(UserError) as error:
        _found(_site(tmp_path / "outside"), _site(tmp_path / "outside" / name, "barn"))
    assert str(error.value).isprintable()
