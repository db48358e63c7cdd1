"""Orbitals in space: PySCF's values in our order, norms, turns, and two Hamiltonians compared."""

import numpy as np
import pytest
from pyscf import gto
from pyscf.tools import cubegen

import workbench as wb
from workbench.engines.orbital_grid import Grid, grid_for, inside, on_grid
from workbench.engines.pyscf_molecules import ao_order, mole
from workbench.engines.pyscf_orbitals import atomic_orbitals
from workbench.evaluation.orbital_overlap import aligned, level_name, orbitals
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import BOHR
from workbench.hamiltonians.rotations import random_rotation, rotation
from workbench.structures.loading import rotate

RNG = np.random.default_rng(4)
POINTS = RNG.uniform(-2.5, 2.5, size=(200, 3))


@pytest.fixture(scope="module")
def solved(water):
    return wb.reference(water, basis="def2-svp", xc="hf")


def test_values_are_those_of_pyscf_in_the_order_of_m(water, solved):
    """A p orbital of oxygen, by its formula in PySCF's own words: x times its radial part."""
    values = atomic_orbitals(water, solved.H.basis, POINTS)
    labels = solved.H.basis.labels(8)
    y, z, x = (values[:, labels.index(f"2p{name}")] for name in "yzx")
    away = POINTS - water.positions[0]
    np.testing.assert_allclose(x * away[:, 1], y * away[:, 0], atol=1e-12)
    np.testing.assert_allclose(x * away[:, 2], z * away[:, 0], atol=1e-12)
    assert (x * away[:, 0] >= 0).all()


def test_a_molecular_orbital_agrees_with_cubegen(water, solved, tmp_path):
    """PySCF writes a cube file of its own orbital, on its own grid, in its own units and order."""
    H, S = solved.H, solved.S
    found = orbitals(H, S)
    molecule = mole(water, "def2-svp")
    theirs = np.empty_like(found.coefficients[:, 4])
    theirs[ao_order(molecule)] = found.coefficients[:, 4]
    cube = cubegen.Cube(molecule, nx=9, ny=10, nz=11)
    wanted = cubegen.orbital(molecule, str(tmp_path / "homo.cube"), theirs, nx=9, ny=10, nz=11)
    ours = atomic_orbitals(water, H.basis, cube.get_coords() * BOHR, found.coefficients[:, 4:5])
    np.testing.assert_allclose(ours.ravel() * BOHR**1.5, np.ravel(wanted), atol=1e-12)


def test_orbitals_of_a_rotated_molecule_are_rotated_orbitals(water, solved):
    R = random_rotation(RNG)
    there = rotate(water, R)
    H, S = solved.H.rotate(R), solved.S.rotate(R)
    before, after = orbitals(solved.H, solved.S), orbitals(H, S)
    np.testing.assert_allclose(after.energies, before.energies, atol=1e-9)
    a = atomic_orbitals(water, H.basis, POINTS, before.coefficients)
    b = atomic_orbitals(there, H.basis, POINTS @ R.T, after.coefficients)
    np.testing.assert_allclose(np.abs(b), np.abs(a), atol=1e-9)
    wrong = atomic_orbitals(there, H.basis, POINTS @ R.T, before.coefficients)
    assert np.abs(np.abs(wrong) - np.abs(a)).max() > 0.1  # coefficients turn as well


@pytest.mark.parametrize("level", [0, 4, 5, 12])
def test_the_square_integrates_to_one(water, solved, level):
    C = orbitals(solved.H, solved.S).coefficients[:, [level]]
    grid = grid_for(water, solved.H.basis, C, 3e-3, n_points=250_000)
    [values] = on_grid(water, solved.H.basis, C, grid)
    assert inside(values, 0.0, grid) == pytest.approx(1, abs=0.01)
    assert inside(values, 0.1, grid) < inside(values, 0.02, grid) < 1


def test_the_box_holds_all_that_exceeds_the_value(water, solved):
    C = orbitals(solved.H, solved.S).coefficients[:, [0, 5]]
    for k in (0, 1):
        grid = grid_for(water, solved.H.basis, C[:, [k]], 0.02)
        values = np.abs(on_grid(water, solved.H.basis, C[:, [k]], grid)).reshape(grid.shape)
        rim = [np.take(values, end, axis).max() for axis in range(3) for end in (0, -1)]
        assert max(rim) < 0.02 < values.max()
        assert np.prod(grid.shape) < 60_000
    core, lumo = (grid_for(water, solved.H.basis, C[:, [k]], 0.02) for k in (0, 1))
    assert core.step < lumo.step / 2


def test_a_grid_runs_fastest_along_z():
    grid = Grid.around((0, 1, 2), (1, 1.5, 3), 0.5)
    assert grid.shape == (3, 2, 3)
    np.testing.assert_allclose(grid.points()[:4], [[0, 1, 2], [0, 1, 2.5], [0, 1, 3], [0, 1.5, 2]])
    assert grid.cell == 0.125


def test_signs_and_mixtures_follow_the_true_orbitals():
    """Ammonia has degenerate pairs; the matrix computed in another orientation mixes them."""
    atoms = wb.load("ammonia")
    ref = wb.reference(atoms, basis="sto-3g", xc="hf")
    truth = orbitals(ref.H, ref.S)
    assert truth.size.max() == 2
    noise = np.random.default_rng(0).normal(scale=1e-5, size=(ref.H.n_ao, ref.H.n_ao))
    other = BlockMatrix.from_dense(
        ref.H.basis, ref.H.numbers, ref.H.dense() + (noise + noise.T) / 2
    )
    found = aligned(truth, other, ref.S)
    np.testing.assert_allclose(found.coefficients, truth.coefficients, atol=1e-3)
    np.testing.assert_allclose(found.overlap, 1, atol=1e-6)
    np.testing.assert_allclose(found.least, 1, atol=1e-6)
    kept = found.coefficients.T @ ref.S.dense() @ found.coefficients
    np.testing.assert_allclose(kept, np.eye(len(kept)), atol=1e-9)


def test_levels_that_swap_are_found_again(water, solved):
    """HOMO and HOMO-1 exchange their energies: each is most like the other's number."""
    found = orbitals(solved.H, solved.S)
    SC = solved.S.dense() @ found.coefficients
    energies = found.energies.copy()
    energies[[3, 4]] = energies[[4, 3]]
    swapped = BlockMatrix.from_dense(
        solved.H.basis, solved.H.numbers, SC @ np.diag(energies) @ SC.T
    )
    other = aligned(found, swapped, solved.S)
    assert other.overlap[[3, 4]] == pytest.approx(0, abs=1e-6)
    assert other.alike[[3, 4]].tolist() == [4, 3]
    assert other.alike_overlap == pytest.approx(1, abs=1e-6)


def test_levels_have_the_names_of_chemistry():
    assert [level_name(k, 2) for k in range(4)] == ["HOMO−1", "HOMO", "LUMO", "LUMO+1"]


def test_orbitals_that_cannot_be_evaluated_are_refused(water, solved):
    with pytest.raises(ValueError, match="two values at each point"):
        atomic_orbitals(water, Basis("def2-svp", solved.H.basis.shells, True), POINTS)
    with pytest.raises(ValueError, match="other shells"):
        atomic_orbitals(water, Basis("def2-svp", {1: (0,), 8: (0, 1)}), POINTS)
    with pytest.raises(ValueError, match="complex"):
        orbitals(solved.H.with_spin(), solved.S.with_spin())


def test_normalised_atomic_orbitals_and_the_overlap_by_the_grid(water, solved):
    """The integral of a product of two orbitals, summed over the grid, is PySCF's analytic S."""
    S = solved.S.dense()
    row, column = 5, 14  # oxygen 2pz; 1s of the first hydrogen
    mix = np.eye(len(S))[:, [row, column]]
    grid = grid_for(water, solved.H.basis, mix, 1e-3, n_points=120_000)
    a, b = on_grid(water, solved.H.basis, mix, grid)
    for pair, wanted in (((a, a), 1.0), ((a, b), S[row, column])):
        assert (pair[0] * pair[1]).sum() * grid.cell == pytest.approx(wanted, abs=2e-3)


def test_pyscf_alone_gives_the_same_values(water):
    """Without our molecule: PySCF's own input, in Angstrom, and its own order of orbitals."""
    atoms = rotate(water, rotation((1, 2, 3), 40))
    places = [(a.symbol, a.position) for a in atoms]
    molecule = gto.M(atom=places, basis="sto-3g", verbose=0)
    theirs = molecule.eval_gto("GTOval_sph", POINTS / BOHR)[:, ao_order(molecule)]
    ref = wb.reference(atoms, basis="sto-3g", xc="hf")
    ours = atomic_orbitals(atoms, ref.H.basis, POINTS) * BOHR**1.5
    np.testing.assert_allclose(ours, theirs, atol=1e-8)
