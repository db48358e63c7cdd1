"""Check many mutants in a child process, which ends if one of them takes too long or crashes it.

A check is a function without arguments that yields, for each mutant, a fault in words or None.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
"""Time limit for one mutant, s; far more than is needed, even on a busy machine."""

MOST_BYTES = 2_000_000_000
"""Memory limit of a check, bytes."""

Check = Callable[[], Iterator[str | None]]


def fault_of(
    read: Callable[[], object], refusal: type[Exception], mutant: object, longest: int = 400
) -> str | None:
    """What is wrong with how a mutant is read; None where it is right, or refused in one sentence.

    Args:
        read: reads it, and asserts that its content is sound.
        refusal: the error that the reader may raise.
        mutant: what to show of the mutant.
        longest: number of characters below which a sentence stays.
    """
    try:
        read()
    except refusal as error:
        sentence = str(error)
        good = "\n" not in sentence and sentence.endswith(".") and len(sentence) < longest
        return None if good else f"{sentence!r} for {mutant!r}"
    except BaseException as error:
        return f"{error!r} for {mutant!r}"
    return None


def faults(check: Check) -> list[str]:
    """The faults of a check, found in a child process; the end of the child is a fault as well."""
    command = [sys.executable, "-m", __name__, check.__module__, check.__name__]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with TemporaryDirectory(prefix="workbench-mutants-") as folder:  # for what a mutant writes
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        return [f"The child ended with {done.returncode}:\n{done.stderr[-3000:]}"]
    return json.loads(done.stdout.splitlines()[-1])


def _main(module: str, function: str) -> None:
    """Run a check; a mutant that takes too long ends the process with a traceback."""
    warnings.simplefilter("ignore")
    check: Check = getattr(import_module(module), function)
    found, checked = [], 0
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    for fault in check():
        checked += 1
        if fault is not None:
            found.append(fault)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
    faulthandler.cancel_dump_traceback_later()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    if checked == 0 or used > MOST_BYTES:
        found.append(f"{checked} mutants took {used / 1e9:.1f} GB.")
    sys.stdout.write(f"{json.dumps(found[:20])}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
