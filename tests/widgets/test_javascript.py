"""The browser's side: its pure parts agree with Python, and its bundles with their sources."""

import json
import shutil
from pathlib import Path

import pytest

import workbench as wb
from tests.support.javascript_cases import cases
from tests.support.node import JS, node_commands, run_beside_node, run_node

WORKBENCH = Path(wb.__file__).parent
TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))

pytestmark = pytest.mark.skipif(
    node_commands() is None, reason="needs Node: apt-get install nodejs npm"
)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """Python's numbers, in a file."""
    path = tmp_path_factory.mktemp("cases") / "cases.json"
    path.write_text(json.dumps(cases()))
    return path


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_node_finds_the_same_numbers(file, numbers):
    done = run_node("node", "--test", file, WORKBENCH_CASES=str(numbers))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_bundles_are_built_from_their_sources(tmp_path):
    """A change of a source that is not built, or of a bundle by hand, is seen here."""
    shutil.copytree(JS, tmp_path / "widgets" / "js", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "views" / "static").mkdir(parents=True)
    folder = tmp_path / "widgets" / "js"
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline")
    installed = run_node("npm", "install", *quiet, "--prefix", folder)
    if installed.returncode:
        pytest.skip(f"npm cannot install esbuild: {installed.stderr[-200:]}")
    scripts = json.loads((folder / "package.json").read_text())["scripts"]
    for name in (name for name in scripts if name.startswith("build:")):
        assert name in scripts["build"]
        done = run_beside_node(scripts[name], folder)
        assert done.returncode == 0, done.stdout + done.stderr
    built = [p for p in tmp_path.glob("*/static/*") if p.suffix in (".js", ".css")]
    assert len(built) == 13
    for path in built:
        committed = WORKBENCH / path.relative_to(tmp_path)
        assert path.read_bytes() == committed.read_bytes(), f"build {committed.name} again"
