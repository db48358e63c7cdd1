"""Atomic writes: a file or folder appears complete or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.faults import become_nobody, in_a_copy, limit_files, small_disk
from workbench.storage.atomic_write import (
    atomic_folder,
    atomic_path,
    atomic_write,
    remove_leftovers,
    write_arrays,
)
from workbench.storage.writing_errors import TargetError, WritingError


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = atomic_write(tmp_path / "new" / "a.txt", "first\n")

    def fails():
        with atomic_path(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fails()
    assert path.read_text() == "first\n"
    assert os.listdir(path.parent) == ["a.txt"]
    atomic_write(path, b"second\n")
    assert path.read_bytes() == b"second\n"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    path = atomic_write(tmp_path / "a.txt", "first\n")
    code = (
        "import os, pathlib, signal, sys; from workbench.storage.atomic_write import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)])
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "first\n"
    atomic_write(tmp_path / "a", "x")  # a name with which the other one begins
    remove_leftovers(tmp_path, "a")
    assert len(os.listdir(tmp_path)) == 3
    remove_leftovers(tmp_path, "a.txt")
    assert sorted(os.listdir(tmp_path)) == ["a", "a.txt"]


def test_two_writers_at_once_do_not_touch_each_other(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as first:
        first.write_text("first")
        with atomic_path(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_has_the_permissions_that_any_new_file_has(tmp_path):
    before = os.umask(0o027)
    try:
        assert atomic_write(tmp_path / "a.txt", "").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["symbolic link", "folder", "pipe", "device"])
def test_only_a_plain_file_is_replaced(kind, tmp_path):
    path = atomic_write(tmp_path / "a.txt", "kept")
    other = Path("/dev/null") if kind == "device" else tmp_path / "other"
    if kind == "symbolic link":
        other.symlink_to(path)
    elif kind == "folder":
        other.mkdir()
    elif kind == "pipe":
        os.mkfifo(other)
    before = other.lstat()
    with pytest.raises(TargetError, match=f"other|null is a {kind}, and .*: choose another name"):
        atomic_write(other, "new")
    assert other.lstat().st_ino == before.st_ino
    assert path.read_text() == "kept"


def test_the_longest_names_can_be_written_and_longer_ones_are_refused(tmp_path):
    for name in ("n" * 255, "ä" * 127):
        assert atomic_write(tmp_path / name, "x").read_text() == "x"
    with pytest.raises(WritingError, match="its name is too long: choose a shorter one"):
        atomic_write(tmp_path / ("n" * 256), "x")
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_file_in_place_of_a_folder_is_one_sentence(place, tmp_path):
    atomic_write(tmp_path / "a", "x")
    path = tmp_path / "a" / "b" / "c" if place == "below a file" else tmp_path / "a" / "b"
    with pytest.raises(WritingError, match="a part of its path is a file, not a folder"):
        atomic_write(path, "x")


def test_a_full_disk_leaves_the_old_file(tmp_path):
    with small_disk(tmp_path / "small", "size=64k") as disk:
        path = atomic_write(disk / "a.txt", "old")
        for write in (
            lambda: atomic_write(path, b"1" * 100_000),
            lambda: write_arrays(path, numbers=np.ones(20_000)),
        ):
            with pytest.raises(WritingError, match="the disk is full: free space, or choose"):
                write()
            assert path.read_text() == "old"
            assert os.listdir(disk) == ["a.txt"]


def test_a_limit_of_the_file_size_is_one_sentence(tmp_path):
    def task():
        limit_files(10_000)
        atomic_write(tmp_path / "a.txt", b"1" * 20_000)

    code, said = in_a_copy(task)
    assert code == 1
    assert "it exceeds the allowed file size" in said
    assert not os.listdir(tmp_path)


def test_a_read_only_disk_is_one_sentence(tmp_path):
    with (
        small_disk(tmp_path / "small", "ro") as disk,
        pytest.raises(WritingError, match="the file system is read-only"),
    ):
        atomic_write(disk / "a.txt", "new")


def test_a_missing_permission_is_one_sentence(tmp_path):
    tmp_path.chmod(0o555)

    def task():
        os.chdir(tmp_path)  # whose parents nobody may read
        become_nobody()
        atomic_write(Path("a.txt"), "new")

    code, said = in_a_copy(task)
    assert code == 1
    assert "you have no permission to write there" in said


# ---- folders ---------------------------------------------------------------------------------

NAMES = ("a", "b", "last")


def written(folder: Path, **files: str) -> None:
    with atomic_folder(folder, NAMES) as part:
        for name, text in files.items():
            (part / name).write_text(text)


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    folder = tmp_path / "new" / "folder"
    with pytest.raises(ZeroDivisionError), atomic_folder(folder, NAMES) as part:
        (part / "a").write_text(str(1 / 0))
    assert os.listdir(tmp_path / "new") == []
    with atomic_folder(folder, NAMES) as part:
        (part / "last").write_text("x")
        assert not folder.exists()
    assert os.listdir(folder) == ["last"]


def test_files_of_an_existing_folder_are_replaced_and_others_stay(tmp_path):
    (tmp_path / "notes").write_text("mine")
    written(tmp_path, a="1", b="1", last="1")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path, NAMES) as part:
        (part / "a").write_text(str(1 / 0))
    assert (tmp_path / "a").read_text() == "1"
    written(tmp_path, a="2", last="2")
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert files == {"notes": "mine", "a": "2", "last": "2"}


def test_a_folder_that_is_replaced_lacks_its_last_file_meanwhile(tmp_path):
    """A copy of this process is killed at each call of the system that changes the folder."""
    calls = ("unlink", "replace", "replace", "replace")
    for survived in range(len(calls)):
        written(tmp_path, a="old", b="old", last="old")

        def task(survived=survived):
            left = survived

            def kill(event, arguments):
                nonlocal left
                if event in ("os.remove", "os.rename"):
                    if not left:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1

            sys.addaudithook(kill)
            written(tmp_path, a="new", b="new", last="new")

        assert in_a_copy(task)[0] == -signal.SIGKILL
        files = {name: (tmp_path / name) for name in NAMES}
        texts = {path.read_text() for path in files.values() if path.exists()}
        assert len(texts) == 1 or not files["last"].exists()
        remove_leftovers(tmp_path)
        assert set(os.listdir(tmp_path)) <= set(NAMES)
