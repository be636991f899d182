"""A file is whole or not there, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batpam.files import write_if_changed, write_text, written_whole


def _child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_file_holds_what_was_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "table.parquet"
    with written_whole(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert _names(path.parent) == ["table.parquet"]


def test_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="in the middle"), written_whole(path) as temporary:
        temporary.write_bytes(b"ha")
        raise RuntimeError("in the middle")
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["table.parquet"]


def test_error_while_writing_a_new_file_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "new") as temporary:
        temporary.write_bytes(b"ha")
        raise KeyboardInterrupt
    assert _names(tmp_path) == []


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_text(path, "something new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"something new"


def test_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"old")
    child = _child(
        "import sys, time; from pathlib import Path; from batpam.files import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); print('half', flush=True); time.sleep(60)",
        path,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    child.send_signal(signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    # what the killed process left cannot be taken for a table by anyone who looks for tables
    assert list(tmp_path.glob("*.parquet")) == [path]
    with written_whole(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_killed_at_any_moment_the_file_is_one_of_the_two(tmp_path: Path) -> None:
    path = tmp_path / "table"
    size = 1 << 20
    path.write_bytes(b"a" * size)
    for number in range(6):
        child = _child(
            "import sys; from pathlib import Path; from batpam.files import write_if_changed\n"
            "contents = [bytes([letter]) * int(sys.argv[2]) for letter in b'ab']\n"
            "print('go', flush=True)\n"
            "while True:\n"
            "    for content in contents: write_if_changed(Path(sys.argv[1]), content)",
            path,
            size,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        time.sleep(0.01 + 0.007 * number)
        child.kill()
        child.wait(10)
        assert path.read_bytes() in (b"a" * size, b"b" * size)


def test_full_disk_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"old")
    # a limit on the size of files stands for the disk: the system refuses in the middle of the write
    child = _child(
        "import resource, signal, sys; from pathlib import Path; from batpam.files import write_if_changed\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_if_changed(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except OSError: print('refused')",
        path,
    )
    output, _ = child.communicate(timeout=30)
    assert output == "refused\n"
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["table"]


def test_unchanged_content_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    assert write_if_changed(path, b"same") is True
    os.utime(path, ns=(10**18, 10**18))
    before = path.stat()
    assert write_if_changed(path, b"same") is False
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("content", [b"other", b"", b"same and more"])
def test_changed_content_is_written(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest"
    path.write_bytes(b"same")
    os.utime(path, ns=(10**18, 10**18))
    assert write_if_changed(path, content) is True
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns > 10**18


def test_text_of_any_language_comes_back(tmp_path: Path) -> None:
    text = "Große Hufeisennase\nコウモリ\tпередача\n"
    write_text(tmp_path / "names.txt", text)
    assert (tmp_path / "names.txt").read_bytes() == text.encode()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.99999.part").write_text("half")
    (tmp_path / ".b.txt.99999.part").write_text("another's")
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.txt.99999.part", "a.txt"]
