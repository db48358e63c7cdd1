"""Atomic writes: a file appears complete or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from workbench.storage.atomic_write import atomic_path, atomic_write


def test_an_error_leaves_the_old_file(tmp_path):
    path = atomic_write(tmp_path / "new" / "a.txt", "first\n")

    def fails():
        with atomic_path(path) as part:
            part.write_text(str(1 / 0))

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_text() == "first\n"
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
