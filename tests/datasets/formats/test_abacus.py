"""ABACUS: order and signs, both layouts, structures of three sources, proofs, and into a dataset.

`tests/support/abacus.py` writes the files; a line of a matrix that ABACUS itself published is here.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import eigvalsh

import workbench as wb
from tests.support import abacus as support
from tests.support.command_line import numbers_of, run
from tests.support.crystal import integrals, sheet, spin_orbit
from workbench.datasets.formats import FormatError, abacus
from workbench.datasets.validation import check
from workbench.hamiltonians import conventions
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.conventions import BOHR, HARTREE, order_index, order_signs
from workbench.hamiltonians.wigner import harmonics

POINTS = [[0, 0, 0], [0.13, 0.29, 0.41], [0.5, -0.21, 0.0]]
LAYOUTS = ("older", "newer")


def shaken_sheet():
    atoms = sheet()
    atoms.positions += [0.4, -0.3, 0.2]
    atoms.wrap()
    return atoms


ATOMS = shaken_sheet()


@pytest.fixture(scope="module")
def matrices():
    """Kinetic energy (eV) and overlap of graphene, s to d orbitals."""
    return integrals(ATOMS, "int1e_kin") * HARTREE, integrals(ATOMS, "int1e_ovlp")


@pytest.fixture(scope="module")
def spinors(matrices):
    """The same with spin, and a spin-orbit coupling on each atom."""
    H, S = (matrix.with_spin() for matrix in matrices)
    H.values[: len(ATOMS)] += spin_orbit(H.basis)
    return H, S


def rounding(matrix):
    """Twice the largest error of nine digits, eV."""
    return matrix.max_abs() * 1e-8


# ---- order, signs, bands -------------------------------------------------------------------------


@pytest.mark.parametrize("l", range(5))
def test_shells_agree_with_abacus_s_harmonics(l):
    """``ours = signs * theirs[index]``, so that the fit of theirs undoes the two."""
    index, signs = order_index("abacus", [l]), order_signs("abacus", [l])
    fit = support.fitted(l)
    np.testing.assert_allclose(signs[:, None] * fit[index], np.eye(2 * l + 1), atol=1e-12)


def test_p_and_d_of_abacus_s_source():
    """`Ylm::sph_harm`: z, -x, -y, and 3z2-r2, -xz, -yz, x2-y2, xy without their factors."""
    x, y, z = point = np.array([0.48, 0.6, 0.64])
    p, d = (support.theirs(l, point[None])[0] for l in (1, 2))
    np.testing.assert_allclose(p / p[0], np.array([z, -x, -y]) / z)
    d_of_source = [(3 * z * z - 1) / np.sqrt(12), -x * z, -y * z, (x * x - y * y) / 2, x * y]
    np.testing.assert_allclose(d / d[4], np.array(d_of_source) / (x * y))


def test_a_matrix_that_abacus_published():
    """Overlap of silicon's first s orbital with the s s p p d of the other atom in R = (-2, 1, -1).

    Source: `tests/integrate/207_NO_KP_OH2` of ABACUS, first row of the block of the two atoms. An
    overlap of s with a shell is proportional to the shell's harmonics of the direction, and only if
    R is the cell of the column's atom that direction is this one.
    """
    text = """6.09103871e-05 6.14453477e-04 -5.91853803e-05 -5.91853803e-05 -2.95926902e-04
    2.01724529e-04 2.01724529e-04 1.00862265e-03
    -4.78869050e-05 6.91187938e-06 3.45593969e-05 -8.29425526e-05 3.45593969e-05"""
    row = np.array(text.split(), dtype=float)
    cell = np.array([[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    direction = np.array([[-2, 1, -1]]) @ cell + 0.25
    shells = (0, 0, 1, 1, 2)
    ours = order_signs("abacus", shells) * row[order_index("abacus", shells)]
    expected = harmonics(2, direction / np.linalg.norm(direction))[0]
    for found, l in ((ours[2:5], 1), (ours[5:8], 1), (ours[8:], 2)):
        of_shell = expected[l * l : (l + 1) ** 2]
        factor = found @ of_shell / (of_shell @ of_shell)
        np.testing.assert_allclose(found, factor * of_shell, rtol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["matrices", "spinors"])
def test_what_abacus_writes_is_read_as_it_was(layout, kind, tmp_path, request):
    H, S = request.getfixturevalue(kind)
    found = abacus.read(support.write(tmp_path, ATOMS, H, S, layout), "def2-svp")
    assert (found.H - H).max_abs() < rounding(H)
    assert (found.S - S).max_abs() < 1e-8
    assert found.H.basis == H.basis
    assert found.fermi_level == -4.5
    assert found.atoms.pbc.all()
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-12)
    np.testing.assert_allclose(found.atoms.cell.array, ATOMS.cell.array, atol=1e-12)
    proof = check(found.atoms, found.H, found.S)
    assert proof.complaint is None
    assert proof.operations == 23  # of the 24 of D6h
    assert proof.overlap_across < 1e-7


@pytest.mark.parametrize("kind", ["matrices", "spinors"])
def test_bands_are_those_of_the_file_s_matrices(kind, tmp_path, request):
    H, S = request.getfixturevalue(kind)
    found = abacus.read(support.write(tmp_path, ATOMS, H, S))

    def bloch(matrix, k):
        cells = support.dense(matrix).items()
        return sum(np.exp(2j * np.pi * np.dot(k, T)) * block for T, block in cells)

    for k in POINTS:
        expected = eigvalsh(bloch(H, k), bloch(S, k))
        np.testing.assert_allclose(energies_at(found.H, found.S, k), expected, atol=1e-4)


def test_a_rotated_structure_has_the_rotated_matrix(tmp_path):
    """Computed again for the rotated atoms, written and read: no symmetry and no round trip."""
    atoms, R = ATOMS.copy(), wb.rotation((3, -1, 2), 70)
    atoms.rattle(0.05, seed=1)
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.array @ R.T, scale_atoms=True)
    read = []
    for name, structure in (("first", atoms), ("rotated", rotated)):
        T, S = (integrals(structure, kind) for kind in ("int1e_kin", "int1e_ovlp"))
        read.append(abacus.read(support.write(tmp_path / name, structure, T * HARTREE, S)))
    for before, after in ((read[0].H, read[1].H), (read[0].S, read[1].S)):
        assert (before.rotate(R) - after).max_abs() < rounding(before)


@pytest.mark.parametrize("wrong", ["order", "signs"])
@pytest.mark.parametrize("with_overlap", [True, False])
def test_a_wrong_order_fails_the_proof(wrong, with_overlap, tmp_path, matrices, monkeypatch):
    path = support.write(tmp_path, ATOMS, *matrices)
    if wrong == "signs":
        monkeypatch.setattr(conventions, "CONDON_SHORTLEY", frozenset())
    else:
        monkeypatch.setitem(conventions.AO_TO_M["abacus"], 2, (0, 1, 2, 3, 4))
    found = abacus.read(path)
    complaint = check(found.atoms, found.H, found.S if with_overlap else None).complaint
    assert ("of S does not rotate" if with_overlap else "own symmetry") in complaint


# ---- where the structure comes from --------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("given", "tolerance"),
    [
        ({"log": False}, 1e-12),
        ({"stru": False}, 1e-6),
        ({"stru": False, "direct": False}, 1e-6),
        ({"zeros": True}, 1e-12),
    ],
)
def test_one_source_is_enough(layout, given, tolerance, tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices, layout, **given)
    found = abacus.read(path, "def2-svp")
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=tolerance)
    np.testing.assert_allclose(found.atoms.cell.array, ATOMS.cell.array, atol=tolerance)
    assert (found.H - matrices[0]).max_abs() < rounding(matrices[0])
    assert np.isnan(found.fermi_level) == ("log" in given)


def _stru(folder, change):
    text = (folder / "STRU").read_text()
    (folder / "STRU").write_text(change(text))


def _in_unit(name, unit):
    """The positions of `STRU` in another unit, A."""

    def change(text):
        head = text.partition("Direct")[0]
        rows = "\n".join(" ".join(f"{x:.14f}" for x in p / unit) for p in ATOMS.positions)
        return f"{head}{name}\nC // label\n0\n2\n{rows}\n"

    return change


@pytest.mark.parametrize(
    ("name", "unit"),
    [("Cartesian", 2 * BOHR), ("Cartesian_au", BOHR), ("Cartesian_angstrom", 1.0)],
)
def test_units_of_stru(name, unit, tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices, log=False)
    _stru(tmp_path, _in_unit(name, unit))
    np.testing.assert_allclose(abacus.read(path).atoms.positions, ATOMS.positions, atol=1e-11)


def test_abacus_moves_atoms_into_the_cell(tmp_path, matrices):
    """The matrices belong to the moved atoms: the log says so, and without it they are moved."""
    outside = ATOMS.copy()
    outside.positions[1] += [2, -1, 1] @ ATOMS.cell.array
    for log in (True, False):
        path = support.write(tmp_path, ATOMS, *matrices, log=log)
        (tmp_path / "STRU").write_text(support._stru(outside, matrices[0].basis))
        np.testing.assert_allclose(abacus.read(path).atoms.positions, ATOMS.positions, atol=1e-11)


def test_a_relaxed_structure_is_that_of_the_log(tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices)
    before = ATOMS.copy()
    before.positions[1] += 0.05
    (tmp_path / "STRU").write_text(support._stru(before, matrices[0].basis))
    log = path.with_name("running_scf.log")
    log.write_text(support._log(before, matrices[0].basis, 1.0, True) + log.read_text())
    log.rename(path.with_name("running_relax.log"))
    found = abacus.read(path)
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-6)
    assert found.fermi_level == -4.5


def test_fermi_levels_of_newer_logs(tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices)
    log = path.with_name("running_scf.log")
    table = "   E_Fermi             0.1           1.36\n   E_Fermi      0.2    2.72\n"
    log.write_text(log.read_text().replace(" EFERMI = -4.5 eV", table))
    assert abacus.read(path).fermi_level == 2.72


# ---- runs that have no place here ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "how"),
    [
        ("older", "other spin"),
        ("older", "log"),
        ("newer", "other spin"),
        ("newer", "log"),
        ("newer", "header"),
    ],
)
def test_spin_polarised_runs_are_refused(layout, how, tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices, layout)
    if how == "other spin":
        name = path.name.replace("SPIN0", "SPIN1").replace("hrs1", "hrs2")
        path.with_name(name).write_text("")
    elif how == "log":
        log = path.with_name("running_scf.log")
        log.write_text(log.read_text().replace("nspin = 1", "nspin = 2"))
    else:
        text = path.read_text()
        path.write_text(text.replace(" 1 # number of spin dir", " 2 # number of spin dir"))
    with pytest.raises(FormatError, match=r"is spin-polarised: .* \(nspin 4\)"):
        abacus.read(path)


@pytest.mark.parametrize("said", [True, False])
def test_matrices_that_hold_all_images_are_refused(said, tmp_path, matrices):
    def folded(matrix):
        dense = matrix.at_k((0, 0, 0)).real
        return wb.BlockMatrix.from_dense(matrix.basis, matrix.numbers, dense)

    path = support.write(tmp_path, ATOMS, *map(folded, matrices), "newer")
    if said:
        text = "# representation: gamma-only folded matrix; stored contributions are summed\n"
        path.write_text(path.read_text().replace(support.SECTION, text + support.SECTION, 1))
    with pytest.raises(FormatError, match=r"at Gamma alone, .* `gamma_only 0`"):
        abacus.read(path)


def test_a_molecule_in_a_box_is_not_folded(tmp_path):
    atoms = wb.load("water")
    atoms.set_cell(np.diag([9.0, 10, 11]))
    atoms.pbc = True
    atoms.center()
    reference = wb.reference(wb.load("water"), basis="6-31g", xc="hf")
    found = abacus.read(support.write(tmp_path, atoms, reference.H, reference.S), "6-31g")
    assert (found.H - reference.H).max_abs() < rounding(reference.H)


# ---- into a dataset ------------------------------------------------------------------------------


def test_runs_become_one_dataset(tmp_path, matrices):
    for k in range(5):
        support.write(tmp_path / f"{k}", ATOMS, matrices[0] * (1 + 0.1 * k), matrices[1], level=k)
    made = numbers_of("import", "abacus", tmp_path, "--out", tmp_path / "set.h5", "--basis", "dzp")
    assert made["splits"] == {"train": 3, "valid": 1, "test": 1}
    assert made["largest_residuals"]["overlap_across"] < 1e-7
    with wb.Dataset(tmp_path / "set.h5") as dataset:
        dataset.verify()
        sample = dataset[3]
        expected = replace(matrices[0], basis=replace(matrices[0].basis, name="dzp"))
        assert (sample.H - expected * 1.3).max_abs() < rounding(expected * 1.3)
        assert sample.fermi_level == 3.0
        assert dataset.provenance["format"] == "ABACUS"
        assert dataset.provenance["files"][3] == "3/OUT.ABACUS/data-HR-sparse_SPIN0.csr"


def test_the_command_names_the_run_that_fails(tmp_path, matrices):
    support.write(tmp_path / "good", ATOMS, *matrices)
    values = matrices[0].values.copy()
    values[-1] += 0.1
    path = support.write(tmp_path / "odd", ATOMS, replace(matrices[0], values=values), matrices[1])
    refused = run("import", "abacus", tmp_path, "--out", tmp_path / "set.h5")
    assert refused.exit_code == 2
    assert f"{path}: H is not hermitian" in " ".join(refused.output.split())
    (tmp_path / "empty").mkdir()
    refused = run("import", "abacus", tmp_path / "empty", "--out", tmp_path / "set.h5")
    assert "run ABACUS with `out_mat_hs2 1`" in " ".join(refused.output.split())
