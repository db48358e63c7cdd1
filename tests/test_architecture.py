"""What holds for the project as a whole: layers, sizes, names, the absence of certain things."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import workbench as wb

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "workbench").rglob("*.py"))
CODE = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *(ROOT / "benchmarks").rglob("*.py")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

MOST_LINES = 400
MOST_FUNCTION_LINES = 50
MOST_TRACKED = 59 * 2**20


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    # A signature and a docstring are documentation: a contract may be longer than its work.
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_downwards():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_workbench_imports_nothing_heavy():
    heavy = ("torch", "pyscf", "plotly", "ipywidgets", "anywidget", "e3nn", "ase", "h5py", "numpy")
    code = f"import sys, workbench; dir(workbench); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", wb.__all__)
def test_public_name_is_found_and_documented(name):
    value = getattr(wb, name)
    assert value.__doc__
    assert name in dir(wb)


def test_no_module_hides_behind_a_public_name():
    modules = {path.stem for path in (ROOT / "workbench").iterdir()}
    assert not modules & set(wb.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        wb.nonsense  # noqa: B018


def test_a_missing_extra_is_one_clear_sentence():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "import workbench\n"
        "try: workbench.Heat\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hamiltonian-workbench[notebooks]" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    long = {f.name: body_lines(f) for f in functions if body_lines(f) > MOST_FUNCTION_LINES}
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_pickled(path):
    tree = ast.parse(path.read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert not imported & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert not called & {"torch.load", "torch.save", "joblib.load", "joblib.dump", "eval", "exec"}
    assert "allow_pickle=True" not in path.read_text()


def test_no_room_without_a_subject():
    vague = {"utils.py", "helpers.py", "constants.py", "misc.py", "common.py", "util.py"}
    assert not [name_of(path) for path in CODE if path.name in vague]


def test_tracked_files_stay_small():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    sizes = {name_of(path): path.stat().st_size for path in paths if path.is_file()}
    assert sizes
    assert sum(sizes.values()) < MOST_TRACKED, sorted(sizes.items(), key=lambda i: -i[1])[:10]


def test_conda_environment_agrees_with_pyproject():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    entries = [match[1].strip() for line in lines if (match := re.match(r"\s*- (.+)$", line))]
    assert f"python{PROJECT['requires-python']}" in entries
    [install] = [entry for entry in entries if entry.startswith("-e ")]
    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", install)
    assert extras is not None
    assert set(extras[1].split(",")) == {"all", "dev"} <= set(PROJECT["optional-dependencies"])
    # All else comes from pyproject.toml: a package named twice would be pinned twice.
    assert set(entries) == {"conda-forge", f"python{PROJECT['requires-python']}", "pip", "pip:"} | {
        install
    }


def test_continuous_integration_can_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_extra_all_means_all_but_dev():
    extras = PROJECT["optional-dependencies"]
    [everything] = extras["all"]
    named = set(everything.partition("[")[2].rstrip("]").split(","))
    assert named == set(extras) - {"all", "dev"}


def test_the_version_is_written_in_one_place():
    citation = (ROOT / "CITATION.cff").read_text()
    assert PROJECT["version"] == wb.__version__
    assert f"\nversion: {wb.__version__}\n" in citation
