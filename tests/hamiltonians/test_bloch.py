"""From k-points to real space: exact on the mesh, smooth between its points, hermitian."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.crystal import integrals, sheet, spin_orbit
from workbench.datasets.validation import check
from workbench.hamiltonians.bands import band_structure, energies_at
from workbench.hamiltonians.bloch import k_mesh, to_real_space
from workbench.hamiltonians.block_matrix import BlockMatrix

ATOMS = sheet()
MESH = (5, 5, 1)


@pytest.fixture(scope="module")
def matrices():
    """Kinetic energy (Hartree) and overlap; the supercell of the mesh contains their range."""
    return [integrals(ATOMS, k, basis="sto-3g", cutoff=7.0) for k in ("int1e_kin", "int1e_ovlp")]


def on_mesh(matrix):
    return np.array([matrix.at_k(k) for k in k_mesh(MESH)])


def test_blocks_come_back_from_the_mesh(matrices):
    for matrix in matrices:
        recovered = to_real_space(matrix.basis, ATOMS, MESH, on_mesh(matrix))
        assert (recovered - matrix).max_abs() < 1e-12
        assert (recovered - recovered.hermitian()).max_abs() < 1e-12
    assert check(ATOMS, *matrices).complaint is None


def test_spinors_come_back_from_the_mesh(matrices):
    H = matrices[0]
    basis = replace(H.basis, spinor=True)
    values = np.kron(np.eye(2), H.values).astype(complex)
    values[:2] += spin_orbit(basis)
    matrix = BlockMatrix(basis, H.numbers, H.edges, H.shifts, values)
    assert (to_real_space(basis, ATOMS, MESH, on_mesh(matrix)) - matrix).max_abs() < 1e-12


def test_a_mesh_too_small_is_still_exact_at_its_points_and_symmetric(matrices):
    """The range exceeds the supercell: images at equal distance share a block."""
    mesh, H = (2, 2, 1), matrices[0]
    at_k = np.array([H.at_k(k) for k in k_mesh(mesh)])
    recovered = to_real_space(H.basis, ATOMS, mesh, at_k)
    for k, expected in zip(k_mesh(mesh), at_k, strict=True):
        np.testing.assert_allclose(recovered.at_k(k), expected, atol=1e-12)
    assert (recovered - recovered.hermitian()).max_abs() < 1e-12
    proof = check(ATOMS, recovered)
    assert proof.operations == 23
    assert proof.symmetry_ev < 1e-10


def test_the_nearest_image_is_what_makes_bands_smooth(matrices):
    """With the cells 0 to n - 1 of the transform, bands between the points are wrong."""
    H, S = matrices
    k = np.array([0.13, 0.29, 0.0])
    cells = (k_mesh(MESH) * MESH).round().astype(int)
    naive = np.zeros((H.n_ao, H.n_ao), dtype=complex)
    for T in cells:
        weights = np.exp(-2j * np.pi * k_mesh(MESH) @ T) / len(cells)
        naive += np.tensordot(weights, on_mesh(H), axes=1) * np.exp(2j * np.pi * k @ T)
    right = energies_at(to_real_space(H.basis, ATOMS, MESH, on_mesh(H)), S, k)
    np.testing.assert_allclose(right, energies_at(H, S, k), atol=1e-11)
    assert np.abs(naive - H.at_k(k)).max() > 0.05


def test_bands_follow_the_path_of_the_lattice(matrices):
    bands = band_structure(*matrices, ATOMS, path="GMKG", points=12)
    assert bands.energies.shape == (1, 12, 10)
    assert {"G", "K", "M"} <= set(bands.path.special_points)
    np.testing.assert_allclose(bands.energies[0, 0], bands.energies[0, -1], atol=1e-12)
    at_k = bands.path.kpts[5]
    np.testing.assert_allclose(bands.energies[0, 5], energies_at(*matrices, at_k))


def test_matrices_that_do_not_fit_are_refused(matrices):
    H = matrices[0]
    with pytest.raises(ValueError, match=r"need \(25, 10, 10\)"):
        to_real_space(H.basis, ATOMS, MESH, np.zeros((9, 10, 10)))
    with pytest.raises(ValueError, match="conjugate"):
        to_real_space(H.basis, ATOMS, MESH, on_mesh(H) * np.exp(1j * np.arange(25))[:, None, None])
