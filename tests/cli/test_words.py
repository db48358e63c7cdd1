"""Results on stdout, words on stderr: warnings, progress, `--quiet` and `--version`."""

import json
import os
import pty
import subprocess
import sys
import termios

import pytest

import workbench
from tests.support.command_line import run

SAID = "unpaired electrons, but the model was trained on closed shells"
RADICAL = ("predict", "OH", "--model", "organic")


def test_a_warning_is_a_word_and_an_entry_of_the_object():
    result = run(*RADICAL, "--json")
    assert result.exit_code == 0
    (warned,) = json.loads(result.stdout)["warnings"]
    assert SAID in warned
    assert result.stderr == f"Warning: {warned}\n"
    assert "Warning" not in run(*RADICAL).stdout


def test_an_object_without_warnings_has_no_list_of_them():
    assert "warnings" not in json.loads(run("predict", "water", "--json").stdout)


def test_the_warnings_of_one_command_are_not_those_of_the_next():
    run(*RADICAL)
    assert "warnings" not in json.loads(run("predict", "water", "--json").stdout)


def test_a_quiet_command_has_results_only():
    loud, quiet = run(*RADICAL), run("--quiet", *RADICAL)
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout
    (warned,) = json.loads(run("-q", *RADICAL, "--json").stdout)["warnings"]
    assert SAID in warned


def test_a_quiet_command_still_says_what_is_wrong():
    assert run("--quiet", "predict", "watr").stderr.startswith("Error: There is no structure")


def test_warnings_of_every_command_are_sentences(tmp_path):
    path = tmp_path / "two.xyz"
    path.write_text("1\n\nHe 0 0 0\n1\n\nHe 0 0 1\n")
    label = ("label", path, "--out", tmp_path / "a.h5", "--basis", "sto-3g", "--xc", "hf")
    sizes = ("--sigma", 0.1, "--train", 1, "--valid", 0, "--test", 0, "--processes", 1)
    result = run(*label, *sizes)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "Warning: two.xyz holds 2 structures, and the last one is used: choose another by its "
        "number (index, or --index in a command), or take all (load_all, --index :)."
    ]


def test_the_version_is_printed():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"workbench {workbench.__version__}\n")


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_a_bar_is_for_a_terminal(terminal, quiet):
    """A bar where stderr is a terminal; in a pipe, and with --quiet, none."""
    words = ["--quiet"] if quiet else []
    words += ["evaluate", "--model", "water", "--dataset", "water", "--limit", "2"]
    reading, writing = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(writing, (24, 80))
    command = [sys.executable, "-m", "workbench", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, check=True)
    os.write(writing, b"end\n")
    said = ""
    while "end" not in said:
        said += os.read(reading, 100_000).decode()
    assert ("evaluate test" in said) == (terminal and not quiet), said
    assert b"refined" in done.stdout or b"stage" in done.stdout


def test_a_shell_completes_commands_and_options():
    def proposed(*words: str) -> str:
        of_shell = {
            "_WORKBENCH_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        command = [sys.executable, "-m", "workbench"]
        done = subprocess.run(
            command, env=os.environ | of_shell, capture_output=True, text=True, check=False
        )
        return done.stdout

    assert proposed("workbench", "pre").split() == ["predict"]
    assert "--electrons" in proposed("workbench", "predict", "--el").split()


def test_the_script_of_a_shell_is_printed():
    command = f"{sys.executable} -m workbench --show-completion; true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "complete -o default -F _workbench_completion workbench" in done.stdout, done.stderr
