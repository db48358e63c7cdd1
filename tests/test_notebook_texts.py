"""What the notebooks' texts say agrees with what is computed: figures, and comparisons."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from workbench.course import rotations
from workbench.course.verdict import HIDDEN

ROOT = Path(__file__).parents[1]
PAGES = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}


def cells(page: str, kind: str = "markdown") -> list[str]:
    content = json.loads(PAGES[page].read_text())["cells"]
    return ["".join(cell["source"]) for cell in content if cell["cell_type"] == kind]


def says(page: str, words: str) -> bool:
    return words in " ".join(" ".join(cells(page)).split())


# ---- figures in the texts -----------------------------------------------------------------------


def test_the_two_hydrogens_of_water_interact():
    ref = wb.reference(wb.load("water"), basis="def2-svp", xc="pbe")
    assert says("00", "about -6 eV between their 1s")
    assert ref.H.block(1, 2)[0, 0] == pytest.approx(-6.0, abs=0.1)
    without_core = ref.H.block(0, 1)[1:]
    assert np.linalg.norm(ref.H.block(1, 2)) < np.linalg.norm(without_core)


def test_the_last_blocks_of_graphene_are_small():
    H, atoms = wb.Dataset("graphene").reference(0).H, wb.load("graphene")
    there = atoms.positions[H.edges[1]] + H.shifts @ np.asarray(atoms.cell)
    distance = np.linalg.norm(there - atoms.positions[H.edges[0]], axis=1)
    largest = np.abs(H.values).max(axis=(1, 2))
    assert says("08", "at a distance of 6.5 Å, are more than ten thousand times smaller")
    assert distance.max() == pytest.approx(6.5, abs=0.05)
    assert largest[distance > distance.max() - 0.05].max() < 1e-4 * largest.max()
    assert says("08", "Fifty-eight blocks in each row")
    assert H.edges.shape[1] == 2 * 58


def test_stage_two_corrects_displaced_sheets_only():
    """Page 08 compares the stages where they differ."""
    model, sheet, data = wb.load_model("mg-mini"), wb.Dataset("graphene")[0], wb.Dataset("mg-mini")
    perfect = model.predict(sheet.atoms)
    assert says("08", "so both stages predict the same matrix")
    assert (perfect.refined - perfect.baseline).max_abs() < 1e-6
    assert says("08", "The mean error is less than half a meV")
    assert 0.0004 < (perfect.refined - sheet.H).mae() < 0.0005
    assert np.linalg.eigvalsh(sheet.S.at_gamma())[0] == pytest.approx(1e-4, rel=0.2)
    assert says("08", "an eigenvalue of $S$, is 1e-4")
    cell = data[int(data.split("test")[4])]
    stages = model.predict(cell.atoms)
    errors = [(H - cell.H).mae() for H in (stages.baseline, stages.refined)]
    assert errors[1] < 0.95 * errors[0]
    assert says("08", "Stage 2 lowers the error of the matrix.")
    code = "\n".join(cells("08", "code"))
    assert code.count("prediction.baseline") == 1, "in the size of the correction"


def test_the_results_of_page_05_are_those_of_the_measurements():
    table = next(text for text in cells("05") if "| stage 1 alone |" in text)
    measured = (ROOT / "docs" / "results" / "measurements.md").read_text().replace("**", "")
    for row in re.findall(r"^\| (?:ethanol|unseen).*$", table, re.MULTILINE):
        kind = row.strip("| ").split(",")[0]
        line = next(
            r for r in measured.splitlines() if r.startswith(f"| {kind}, from the guess, 160")
        )
        for value in row.strip("|").split("|")[1:]:
            assert value.strip().replace("±", "+-") in line, row


def test_the_training_molecules_are_those_of_the_card():
    card = (ROOT / "data" / "checkpoints" / "organic.md").read_text()
    [count] = re.findall(r"the training set of this model had (\d+) molecules", cells("07")[1])
    assert f"({count} molecules " in card


# ---- tasks and quizzes --------------------------------------------------------------------------


def test_a_quiz_hides_the_code_that_contains_its_answers():
    count = 0
    for path in PAGES.values():
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code" and "Quiz(" in "".join(cell["source"]):
                count += 1
                assert cell["metadata"] == {"jupyter": {"source_hidden": True}}, path.name
    assert count > 10


def test_the_numbers_of_page_01_tell_mistakes_from_the_answer():
    [imports] = [c for c in cells("01", "code") if "import workbench as wb" in c]
    tasks = [c for c in cells("01", "code") if "answer = " in c]
    namespace: dict = {}
    exec(imports.replace("views.harmonics_surfaces(2)", ""), namespace)
    solved = {
        "answer = c ": "answer = D @ c ",
        "answer = tensor ": "answer = (tensor + tensor.T) / 2 - a @ b / 3 * np.eye(3) ",
    }
    for source in tasks:
        for start, solution in solved.items():
            if start in source:
                lines = source.replace(start, solution).replace("task.", "verdict = task.", 1)
                exec(lines, namespace)
                assert namespace["verdict"]
                assert HIDDEN not in namespace["verdict"].why
    R, c = namespace["R"], namespace["c"]
    assert "order y, z, x" in rotations.turned_components(R @ c, c, 1, R).why


def test_no_network_has_two_names():
    """`wb.train` returns the untrained features of page 04, so they are shown once."""
    [bars, *_] = [c for c in cells("04", "code") if "wb.FeatureBars(" in c]
    assert bars.count("model") == 1
    assert "random_features" not in bars


def test_a_tenth_of_a_bond_is_due_to_third_atoms():
    from workbench.datasets.validation import across_the_pair

    ethanol = wb.Dataset("ethanol")
    number = int(ethanol.split("test")[0])
    atoms, reference = ethanol.atoms(number), ethanol.reference(number)
    assert says("03", "here a correction of about a tenth")
    assert across_the_pair(reference.H, atoms) == pytest.approx(0.1, abs=0.03)
    assert across_the_pair(reference.S, atoms) < 1e-3, "of two atoms only"
