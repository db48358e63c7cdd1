"""OpenMX's `.scfout`: order, spinors, bands, proofs, faults, and into a dataset.

`tests/support/openmx.py` writes the files array by array, with harmonics by their names.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import workbench as wb
from tests.datasets.formats.test_abacus import ATOMS, POINTS
from tests.support import openmx as support
from tests.support.command_line import numbers_of, run
from tests.support.crystal import integrals, spin_orbit
from tests.support.fuzzing import fault_of, faults
from tests.support.mutants import count, mutants
from workbench.datasets.formats import Foreign, FormatError, openmx
from workbench.datasets.validation import check
from workbench.hamiltonians import conventions, rotations
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.conventions import HARTREE, order_index, order_signs


@pytest.fixture(scope="module")
def matrices():
    """Kinetic energy (eV) and overlap of graphene, s to d orbitals."""
    return integrals(ATOMS, "int1e_kin") * HARTREE, integrals(ATOMS, "int1e_ovlp")


@pytest.fixture(scope="module")
def spinors(matrices):
    """The same with spin, a spin-orbit coupling on each atom, and a field along x, y and z."""
    H, S = matrices[0].with_spin(), matrices[1]
    H.values[: len(ATOMS)] += spin_orbit(H.basis)
    field = np.einsum("a,aij->ij", [0.3, 0.5, -0.4], rotations.PAULI)
    return replace(H, values=H.values + np.kron(field, np.eye(H.basis.dim)) @ S.with_spin().values)


@pytest.mark.parametrize("l", range(4))
def test_shells_agree_with_openmx_s_harmonics(l):
    """``ours = signs * theirs[index]``, so that the fit of theirs undoes the two."""
    index, signs = order_index("openmx", [l]), order_signs("openmx", [l])
    fit = support.fitted(l)
    np.testing.assert_allclose(signs[:, None] * fit[index], np.eye(2 * l + 1), atol=1e-12)


@pytest.mark.parametrize("moments", [1, 3])
def test_what_openmx_writes_is_read_as_it_was(moments, tmp_path, matrices):
    H, S = matrices
    found = openmx.read(
        support.write(tmp_path / "a.scfout", ATOMS, H, S, moments=moments), H.basis.name
    )
    assert (found.H - H).max_abs() < 1e-11
    assert (found.S - S).max_abs() < 1e-13
    assert found.H.basis == H.basis
    assert found.fermi_level == pytest.approx(-4.5)
    assert found.atoms.pbc.all()
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-12)
    np.testing.assert_allclose(found.atoms.cell.array, ATOMS.cell.array, atol=1e-12)
    proof = check(found.atoms, found.H, found.S)
    assert proof.complaint is None
    assert proof.operations == 23  # of the 24 of D6h
    assert proof.overlap_across < 1e-12


def test_spinors_are_read_with_their_bands(tmp_path, spinors, matrices):
    found = openmx.read(
        support.write(tmp_path / "a.scfout", ATOMS, spinors, matrices[1]), "def2-svp"
    )
    assert (found.H - spinors).max_abs() < 1e-11
    assert (found.S - matrices[1].with_spin()).max_abs() < 1e-13
    for k in POINTS:
        expected = energies_at(spinors, matrices[1].with_spin(), k)
        np.testing.assert_allclose(energies_at(found.H, found.S, k), expected, atol=1e-8)


def test_a_rotated_structure_has_the_rotated_matrix(tmp_path):
    """Computed again for the rotated atoms, written and read: no symmetry and no round trip."""
    atoms, R = ATOMS.copy(), wb.rotation((3, -1, 2), 70)
    atoms.rattle(0.05, seed=1)
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.array @ R.T, scale_atoms=True)
    read = []
    for name, structure in (("first", atoms), ("rotated", rotated)):
        T, S = (integrals(structure, kind) for kind in ("int1e_kin", "int1e_ovlp"))
        path = support.write(tmp_path / f"{name}.scfout", structure, T * HARTREE, S)
        read.append(openmx.read(path))
    for before, after in ((read[0].H, read[1].H), (read[0].S, read[1].S)):
        assert (before.rotate(R) - after).max_abs() < 1e-9


@pytest.mark.parametrize("with_overlap", [True, False])
def test_a_wrong_order_fails_the_proof(with_overlap, tmp_path, matrices, monkeypatch):
    path = support.write(tmp_path / "a.scfout", ATOMS, *matrices)
    monkeypatch.setitem(conventions.AO_TO_M["openmx"], 2, (0, 1, 2, 3, 4))
    found = openmx.read(path)
    complaint = check(found.atoms, found.H, found.S if with_overlap else None).complaint
    assert complaint is not None
    assert ("of S does not rotate" if with_overlap else "own symmetry") in complaint


# ---- faults --------------------------------------------------------------------------------------


def small():
    kinetic, overlap = (integrals(ATOMS, k, "sto-3g", 4.0) for k in ("int1e_kin", "int1e_ovlp"))
    return kinetic * HARTREE, overlap


def _integer(at, value):
    """Change one of the first seven integers."""

    def apply(path):
        data = bytearray(path.read_bytes())
        data[4 * at : 4 * at + 4] = np.array([value], "<i4").tobytes()
        path.write_bytes(data)

    return apply


def _cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def _text(old, new):
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new))


FAULTS = {
    "empty": (_cut(0), "truncated or no .scfout"),
    "half": (_cut(0.5), "truncated or no .scfout"),
    "without its last line": (_cut(0.999), "truncated or no .scfout"),
    "no atoms": (_integer(0, 0), "its first numbers"),
    "more atoms": (_integer(0, 9_999_999), "its end is missing|its numbers|its neighbours"),
    "OpenMX 3.8": (_integer(1, 0), "is not of OpenMX 3.9"),
    "spin-polarised": (_integer(1, 13), "is spin-polarised"),
    "an unknown spin": (_integer(1, -1), "its first numbers"),
    "more cells": (_integer(5, 9_999_999), "its end is missing"),
    "more moments": (_integer(6, 99), "its number of moments"),
    "other moments": (_integer(6, 2), "truncated or no .scfout|input file of another structure"),
    "contracted": (_text(b"s2p1", b"s9p1"), "contracted orbitals are not read"),
    "a ghost": (_text(b" C6.0", b" E6.0"), "element is uncertain"),
    "another notation": (_text(b"-s2p1", b"-s>>1"), "of no element or contracted"),
    "no species": (_text(b"Definition", b"Definitely"), "input file without Definition"),
    "other atoms": (_text(b"  2  C", b"# 2  C"), "input file of another structure"),
}


@pytest.fixture(scope="module")
def run_of_openmx(tmp_path_factory):
    """The content of a sound file."""
    path = support.write(tmp_path_factory.mktemp("openmx") / "a.scfout", ATOMS, *small())
    return path.read_bytes()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_sentence(fault, tmp_path, run_of_openmx):
    path = tmp_path / "a.scfout"
    path.write_bytes(run_of_openmx)
    assert openmx.read(path).fermi_level == pytest.approx(-4.5)
    apply, says = FAULTS[fault]
    apply(path)
    with pytest.raises(FormatError, match=says) as caught:
        openmx.read(path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def mutant_faults() -> Iterator[str | None]:
    H, S = small()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.scfout"
        for seed, matrix in enumerate((H, H.with_spin())):
            content = support.write(path, ATOMS, matrix, S).read_bytes()
            head = len(content) // 10  # counts and cells, which decide what is read
            for number, mutant in enumerate(islice(mutants(content[:head], seed), count(200) // 2)):
                path.write_bytes(mutant + content[head:])
                yield fault_of(partial(_check, path), FormatError, number, longest=500)
            for number, mutant in enumerate(islice(mutants(content, seed), count(200) // 2)):
                path.write_bytes(mutant)
                yield fault_of(partial(_check, path), FormatError, number, longest=500)


def _check(path: Path) -> None:
    assert isinstance(openmx.read(path), Foreign)


def test_every_mutant_is_a_structure_or_one_sentence():
    assert not faults(mutant_faults)


# ---- into a dataset ------------------------------------------------------------------------------


def test_runs_become_one_dataset(tmp_path, matrices):
    for k in range(5):
        (tmp_path / f"{k}").mkdir()
        path = tmp_path / f"{k}" / "openmx.scfout"
        support.write(path, ATOMS, matrices[0] * (1 + 0.1 * k), matrices[1], level=k)
    made = numbers_of("import", "openmx", tmp_path, "--out", tmp_path / "set.h5", "--basis", "dzp")
    assert made["splits"] == {"train": 3, "valid": 1, "test": 1}
    assert made["largest_residuals"]["overlap_across"] < 1e-12
    with wb.Dataset(tmp_path / "set.h5") as dataset:
        sample = dataset[3]
        expected = replace(matrices[0], basis=replace(matrices[0].basis, name="dzp"))
        assert (sample.H - expected * 1.3).max_abs() < dataset.step
        assert sample.fermi_level == pytest.approx(3.0)
        assert dataset.provenance["files"][3] == "3/openmx.scfout"
    (tmp_path / "empty").mkdir()
    refused = run("import", "openmx", tmp_path / "empty", "--out", tmp_path / "none.h5")
    assert refused.exit_code == 2
    assert "run OpenMX with `HS.fileout on`" in " ".join(refused.output.split())
