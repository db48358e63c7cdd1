"""Every error of the command line is a sentence with its exit code, never a traceback."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command_line import run, started
from workbench.cli.exit_codes import ExitCode, explain

INPUT, SYSTEM, OURS = ExitCode.WRONG_INPUT, ExitCode.SYSTEM, ExitCode.PROGRAM_FAULT
FAULT = "This is a fault of the program, not of your input: please report it with the traceback"


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (ValueError("Wrong: do this."), INPUT, "Wrong: do this."),
        (RuntimeError("Wrong: do this."), INPUT, "Wrong: do this."),
        (ImportError("No tblite: install it."), INPUT, "No tblite: install it."),
        (FileNotFoundError("There is no model."), INPUT, "There is no model."),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "out"), INPUT, "'out': is"),
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), SYSTEM, "'a.h5': no sp"),
        (PermissionError(errno.EACCES, "Permission denied"), SYSTEM, "permission denied"),
        (OSError(), SYSTEM, "The system refused a file."),
        (MemoryError("Unable to allocate 5 GiB"), SYSTEM, "(Unable to allocate 5 GiB)"),
        (MemoryError(), SYSTEM, "The memory does not suffice"),
        (KeyError("Xx"), OURS, f"KeyError: 'Xx'. {FAULT}"),
        (OverflowError("too large\nmore"), OURS, f": too large. {FAULT}"),
        (AssertionError(), OURS, f"AssertionError: no message. {FAULT}"),
        (RecursionError("deep"), OURS, FAULT),
        (ValueError(), OURS, FAULT),
    ],
)
def test_every_error_has_a_sentence_and_a_code(error, code, part):
    given, sentence = explain(error)
    assert given == code
    assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_file_that_the_system_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    written = run("predict", "water", "--out", tmp_path / "file" / "H.npz")
    assert written.exit_code == ExitCode.SYSTEM
    assert written.stderr.startswith("Error: ")
    assert "a part of its path is a file" in written.stderr
    assert written.stderr.count("\n") == 1


def test_the_codes_of_the_help_page_and_the_reference_are_these():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text()
    rows = page.split("## Exit codes")[1].split("##")[0]
    cells = [row.split("|")[1].strip() for row in rows.splitlines() if row.startswith("| ")]
    assert {int(cell) for cell in cells if cell.isdigit()} == set(ExitCode)
    told = " ".join(run("--help").stdout.split())
    for code in set(ExitCode) - {ExitCode.CLOSED_PIPE}:
        assert f"{int(code)} " in told.split("Exit codes:")[1]


def test_a_reader_that_leaves_gets_no_traceback():
    """As `workbench evaluate | true`: the pipe is closed before the command writes."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "workbench", "doctor", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == ExitCode.CLOSED_PIPE
    assert done.stderr == ""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_so(told, tmp_path):
    words = ["label", "water", "--out", str(tmp_path / "a.h5"), "--sigma", "0.1", "--processes=1"]
    running = started(*words)
    while not list(tmp_path.glob("a.h5.partial/*")):  # until work is under way
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(told)
    _, said = running.communicate(timeout=120)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "Stopped." in said.splitlines()
    assert "Traceback" not in said
