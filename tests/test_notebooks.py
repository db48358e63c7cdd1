"""Limits on the notebooks: code length, text, opening, last check; `make notebooks` runs them."""

import ast
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def code_lines(cell: dict) -> list[str]:
    lines = "".join(cell["source"]).splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def test_code_has_at_most_120_lines_and_15_a_cell(path):
    lengths = [len(code_lines(cell)) for cell in cells(path, "code")]
    assert sum(lengths) <= 120
    assert max(lengths) <= 15


def test_no_class_and_at_most_one_short_function(path):
    source = "\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    nodes = list(ast.walk(ast.parse(source)))
    assert not [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert len(functions) <= 1
    assert all(f.end_lineno - f.lineno < 5 for f in functions)


def test_markdown_cells_are_at_least_as_many_as_code_cells(path):
    assert len(cells(path, "markdown")) >= len(cells(path, "code"))


def test_opening_states_goals_prerequisites_and_minutes(path):
    opening = "".join("".join(cell["source"]) for cell in cells(path, "markdown")[:2])
    assert all(word in opening for word in ("Goals", "Prerequisites", "minutes"))


def test_course_map_has_the_same_minutes_and_prerequisites(path):
    opening = "".join(cells(path, "markdown")[0]["source"])
    row = next(r for r in (FOLDER / "README.md").read_text().splitlines() if f"({path.name})" in r)
    _, _, required, minutes = (cell.strip() for cell in row.strip("|").split("|"))
    assert re.search(r"Expected time\.\*\* (\d+) minutes", opening)[1] == minutes
    prerequisites = re.search(r"Prerequisites\.(.*?)\n\n", opening, re.DOTALL)[1]
    assert re.findall(r"\b\d\d\b", required) == re.findall(r"\((\d\d)_", prerequisites)


def test_last_code_cell_contains_a_check(path):
    assert "assert" in "".join(cells(path, "code")[-1]["source"])


def test_outputs_are_stripped(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
