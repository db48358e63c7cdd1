"""Functions of tests that run in a process of their own, with bounds on memory and time.

A reader that is killed by a broken file, takes gigabytes or never ends would otherwise end the
whole test session.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.mutants import count

ROOT = Path(__file__).parents[2]


def limited(function, *arguments, gigabytes=8):
    """The JSON-able result of a function of a test module, called with texts in another process.

    The first text is a folder for the result.
    """
    limit = gigabytes << 30
    code = (
        "import json, resource, sys; from pathlib import Path\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\n"
        f"from {function.__module__} import {function.__name__} as function\n"
        "result = function(*sys.argv[2:])\n"
        "Path(sys.argv[1]).write_text(json.dumps(result))"
    )
    out = Path(arguments[0]) / "result.json"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100 + count(0),
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-3000:]}"
    return json.loads(out.read_text())
