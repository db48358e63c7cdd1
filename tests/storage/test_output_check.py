"""Whether a result can be written is known before the work, and asking leaves nothing behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.faults import become_nobody, in_a_copy, small_disk
from workbench.storage.lock import locked_file
from workbench.storage.output_check import check_writable
from workbench.storage.writing_errors import TargetError, WritingError


def test_what_can_be_written_passes_and_nothing_is_left(tmp_path):
    (tmp_path / "old").write_text("x")
    check_writable(tmp_path / "old")
    check_writable(tmp_path / "new", overwrite=False)
    check_writable(tmp_path / "a" / "b" / "new", overwrite=False)
    check_writable(tmp_path, folder=True, overwrite=False)
    check_writable(tmp_path / "c" / "d", folder=True)
    assert os.listdir(tmp_path) == ["old"]
    (tmp_path / "link").symlink_to(tmp_path)  # e.g. to a larger disk
    check_writable(tmp_path / "link", folder=True)
    check_writable(tmp_path / "link" / "new")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("old", {"overwrite": False}, "old exists: choose another name, or replace the file with"),
        ("old", {"folder": True}, "old is a file, and what is written here is a folder"),
        ("link", {}, "link is a symbolic link, and what is written here is a file"),
        ("loop", {}, "loop is a symbolic link"),
        ("folder", {}, "folder is a folder, and what is written here is a file"),
        ("n" * 256, {}, "its name is too long"),
        ("n" * 256 + "/a", {}, "its name is too long"),
        ("old/a", {}, "a part of its path is a file"),
        ("old/a", {"folder": True}, "a part of its path is a file"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(name, options, says, tmp_path):
    (tmp_path / "old").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "old")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((TargetError, WritingError), match=says) as error:
        check_writable(tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert len(os.listdir(tmp_path)) == 4


@pytest.mark.parametrize("spelling", ["itself", "detour", "link", "hard link", "linked folder"])
def test_a_source_is_never_replaced_however_it_is_named(spelling, tmp_path):
    source, folder = tmp_path / "data" / "a.h5", tmp_path / "data"
    folder.mkdir()
    source.write_text("x")
    (folder / "link").symlink_to(source)
    (folder / "hard").hardlink_to(source)
    (tmp_path / "other").symlink_to(folder)
    out = {
        "itself": source,
        "detour": folder / ".." / "data" / "a.h5",
        "link": folder / "link",
        "hard link": folder / "hard",
        "linked folder": tmp_path / "other" / "a.h5",
    }[spelling]
    with pytest.raises(TargetError, match="is read to make the result and cannot be replaced"):
        check_writable(out, sources=[tmp_path / "none", source])
    check_writable(folder / "b.h5", sources=[source])


def test_a_kill_while_asking_leaves_a_file_that_the_next_command_removes(tmp_path):
    def task():
        def kill(event, arguments):
            if event == "os.remove":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        check_writable(tmp_path / "a.h5")

    assert in_a_copy(task)[0] == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    with locked_file(tmp_path / "a.h5"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_read_only_disk_is_known_before(tmp_path):
    with small_disk(tmp_path / "small", "ro") as disk:
        for name in ("a", "b/c"):
            with pytest.raises(WritingError, match="the file system is read-only"):
                check_writable(disk / name)


def test_a_missing_permission_is_known_before(tmp_path):
    tmp_path.chmod(0o555)

    def task():
        os.chdir(tmp_path)
        become_nobody()
        check_writable(Path("a.txt"))

    code, said = in_a_copy(task)
    assert code == 1
    assert "you have no permission to write there: choose another folder" in said
