"""The commands that make datasets, on faulty disks and in each other's way."""

import os
import time

import pytest

from tests.support.command_line import numbers_of, run
from tests.support.faults import command_by_itself, command_in_a_copy, limit_files, small_disk
from workbench.cli.exit_codes import ExitCode
from workbench.datasets.dataset import Dataset
from workbench.storage.lock import locked_file

PART = ("--train", 12)


@pytest.fixture(scope="module")
def folders(tiny_path, tmp_path_factory):
    root = tmp_path_factory.mktemp("cli") / "deeph"
    numbers_of("export", "deeph", tiny_path, "--out", root, "--split", "test")
    return root


@pytest.fixture
def commands(tiny_path, folders):
    """The commands that write a file, without its name."""
    return {
        "part": ("part", tiny_path, *PART),
        "import": ("import", "deeph", folders),
        "label": (
            *("label", "H2", "--sigma", 0.05, "--processes", 1, "--basis", "sto-3g", "--xc", "hf"),
            *("--train", 2, "--valid", 1, "--test", 1),
        ),
    }


def refusal(*words, code=ExitCode.WRONG_INPUT):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("name", ["part", "import"])
def test_an_existing_file_is_replaced_only_when_asked(name, commands, tmp_path):
    out = tmp_path / "a.h5"
    out.write_text("kept")
    assert "a.h5 exists: choose another name, or replace the file with --overwrite." in refusal(
        *commands[name], "--out", out
    )
    assert out.read_text() == "kept"
    numbers_of(*commands[name], "--out", out, "--overwrite")
    with Dataset(out) as dataset:
        dataset.verify()


@pytest.mark.parametrize("spelling", ["a.h5", "sub/../a.h5", "link.h5"])
def test_a_part_does_not_replace_its_source(spelling, tiny_path, tmp_path):
    source = tmp_path / "a.h5"
    source.write_bytes(tiny_path.read_bytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.h5").symlink_to(source)
    words = ("part", source, *PART, "--out", tmp_path / spelling, "--overwrite")
    assert "is read to make the result and cannot be replaced by it" in refusal(*words)
    assert source.read_bytes() == tiny_path.read_bytes()
    more = ("--twisted", 1, "--twisted-from", source)
    words = ("part", tiny_path, *PART, *more, "--out", source, "--overwrite")
    assert "is read to make the result and cannot be replaced by it" in refusal(*words)
    assert source.read_bytes() == tiny_path.read_bytes()


@pytest.mark.parametrize("name", ["part", "import", "label"])
def test_a_place_that_cannot_be_written_is_known_before(name, commands, tmp_path):
    (tmp_path / "link.h5").symlink_to(tmp_path / "other.h5")
    (tmp_path / "folder.h5").mkdir()
    for out, says in (
        (tmp_path / "link.h5", "is a symbolic link"),
        (tmp_path / "folder.h5", "folder"),
        ("/dev/full", "device"),
    ):
        assert says in refusal(*commands[name], "--out", out)
    for length in (256, 250) if name != "part" else (256,):  # also NAME.partial
        said = refusal(*commands[name], "--out", tmp_path / ("n" * length), code=ExitCode.SYSTEM)
        assert "its name is too long" in said
    assert sorted(os.listdir(tmp_path)) == ["folder.h5", "link.h5"]
    with small_disk(tmp_path / "small", "ro") as disk:
        said = refusal(*commands[name], "--out", disk / "a.h5", code=ExitCode.SYSTEM)
        assert "the file system is read-only: choose another folder." in said


@pytest.mark.parametrize("name", ["part", "import", "label"])
def test_a_second_command_is_refused_while_the_first_one_writes(name, commands, tmp_path):
    with locked_file(tmp_path / "a.h5"):
        said = command_in_a_copy(*commands[name], "--out", tmp_path / "a.h5")
    assert f"2 Error: Process {os.getpid()} is already writing {tmp_path / 'a.h5'}" in said
    assert not [p for p in tmp_path.iterdir() if p.name != "a.h5.partial"]


@pytest.mark.parametrize("name", ["part", "import"])
def test_of_commands_at_once_each_succeeds_or_says_why(name, commands, tmp_path):
    """The dataset is complete at the end, and one command at least has made it."""
    out, start, children = tmp_path / "a.h5", time.time() + 0.3, []
    for _ in range(3):
        if not (child := os.fork()):
            try:
                time.sleep(max(0.0, start - time.time()))
                result = run(*commands[name], "--out", out, "--overwrite", "--json")
                one_line = result.stderr.count("\n") == 1 and "already writing" in result.stderr
                os._exit(0 if result.exit_code == 0 else 2 if one_line else 1)
            finally:
                os._exit(1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert set(codes) <= {0, 2}
    assert 0 in codes
    with Dataset(out) as dataset:
        dataset.verify()
    assert os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("name", ["part", "import"])
def test_a_file_that_was_made_meanwhile_is_not_replaced(name, commands, tmp_path):
    """Of several commands at once without --overwrite exactly one makes the file."""
    words, children = (*commands[name], "--out", tmp_path / "a.h5", "--json"), []
    for _ in range(3):
        if not (child := os.fork()):
            try:
                result = run(*words)
                os._exit(result.exit_code)
            finally:
                os._exit(1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes.count(0) == 1, codes


@pytest.mark.parametrize("name", ["part", "import"])
@pytest.mark.parametrize("size", [100, 3_000, 12_000])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(name, size, commands, tmp_path):
    out = tmp_path / "a.h5"
    out.write_text("kept")
    words = (*commands[name], "--out", out, "--overwrite", "--json")
    said = command_in_a_copy(*words, before=lambda: limit_files(size))
    assert said.startswith("3 Error: "), said
    assert "is not written, since it exceeds the allowed file size" in said
    assert said.count("\n") == 1
    assert out.read_text() == "kept"
    assert set(os.listdir(tmp_path)) <= {"a.h5", "a.h5.partial"}
    numbers_of(*words)
    assert os.listdir(tmp_path) == ["a.h5"]


def test_a_label_job_goes_on_when_the_disk_has_room_again(commands, tmp_path):
    with small_disk(tmp_path / "small", "size=16k") as disk:
        out = disk / "a.h5"
        words = (*commands["label"], "--out", out, "--json")
        said = command_by_itself(*words)
        assert "is not written, since the disk is full: free space, or choose" in said
        assert said.startswith("3 ")
        assert not out.exists()
        os.system(f"mount -o remount,size=10m {disk}")
        assert command_by_itself(*words).startswith("0 ")
        with Dataset(out) as dataset:
            dataset.verify()
            assert len(dataset) == 4
        assert os.listdir(disk) == ["a.h5"]


@pytest.mark.parametrize("size", [0, 1_000, 3_000])
def test_a_full_disk_ends_an_export_with_one_sentence(size, tiny_path, tmp_path):
    words = ("export", "deeph", tiny_path, "--out", tmp_path / "deeph", "--json")
    said = command_in_a_copy(*words, before=lambda: limit_files(size))
    assert said.startswith("3 Error: "), said
    assert "is not written, since it exceeds the allowed file size" in said
    assert said.count("\n") == 1
    assert not list((tmp_path / "deeph").glob("[0-9]*"))
    numbers_of(*words)
    assert len(list((tmp_path / "deeph").glob("[0-9]*"))) == 20


def test_a_file_in_place_of_the_folder_of_an_export_is_refused(tiny_path, tmp_path):
    said = refusal("export", "deeph", tiny_path, "--out", tiny_path)
    assert "is read" in said or "is a file, and what is written here is a folder" in said
    words = ("export", "deeph", tiny_path, "--out", "/proc/none/a")
    assert "is not written" in refusal(*words, code=ExitCode.SYSTEM)
