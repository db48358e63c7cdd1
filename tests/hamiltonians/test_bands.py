"""Bands of chains, compared with their closed forms."""

import numpy as np
import pytest

from workbench.hamiltonians.bands import (
    band_edges,
    band_gap,
    density_of_states,
    energies_at,
    energies_near,
    fermi_level,
    mesh_energies,
)
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix

BASIS = Basis("toy", {1: (0,)})
T, SHORT, LONG = 1.5, 2.0, 1.2  # eV


def matrix(n, on_site, hops):
    """A chain of n atoms per cell; ``hops`` are (row, column, cell of the column, value)."""
    blocks = [(i, i, 0, on_site) for i in range(n)]
    blocks += [b for i, j, c, v in hops for b in ((i, j, c, v), (j, i, -c, v))]
    rows, columns, cells, values = zip(*blocks, strict=True)
    shifts = np.stack([cells, np.zeros_like(cells), np.zeros_like(cells)], axis=1)
    return BlockMatrix(
        BASIS,
        np.ones(n, dtype=np.int64),
        np.array([rows, columns], dtype=np.int64),
        shifts.astype(np.int64),
        np.array(values, dtype=float)[:, None, None],
    )


CHAIN = matrix(1, 0.3, [(0, 0, 1, -T)]), matrix(1, 1.0, [])
PAIRED = matrix(2, 0.3, [(0, 1, 0, -SHORT), (1, 0, 1, -LONG)]), matrix(2, 1.0, [])


def test_the_band_of_a_chain_is_a_cosine():
    for k in (0.0, 0.13, 0.5):
        expected = 0.3 - 2 * T * np.cos(2 * np.pi * k)
        np.testing.assert_allclose(energies_at(*CHAIN, [k, 0, 0]), expected)


def test_half_a_band_is_filled_to_its_middle():
    assert fermi_level(*CHAIN, 1, (400, 1, 1)) == pytest.approx(0.3, abs=1e-6)
    with_spin = [m.with_spin() for m in CHAIN]
    assert fermi_level(*with_spin, 1, (400, 1, 1)) == pytest.approx(0.3, abs=1e-6)
    with pytest.raises(ValueError, match="1 to 2"):
        fermi_level(*CHAIN, 3, (4, 1, 1))


def test_the_gap_of_a_paired_chain_is_the_difference_of_its_bonds():
    gap = band_gap(*PAIRED, 2, (6, 1, 1))
    assert gap.energy == pytest.approx(2 * (SHORT - LONG))
    assert gap.direct
    assert gap.valence_k == (0.5, 0.0, 0.0)
    other = band_edges(np.array([[-1, 1], [0, 2], [-1e-7, 1 - 1e-7]]), np.eye(3), 2, 2)
    assert other is not None
    assert other.direct  # both edges lie within rounding at the third k
    assert (other.valence, other.conduction_k) == (0.0, (0.0, 0.0, 1.0))
    assert band_gap(*(m.with_spin() for m in PAIRED), 2, (6, 1, 1)).energy == pytest.approx(
        gap.energy
    )
    with pytest.raises(ValueError, match="whole bands"):
        band_gap(*PAIRED, 3, (6, 1, 1))
    with pytest.raises(ValueError, match="whole bands"):
        band_gap(*CHAIN, 2, (6, 1, 1))


def test_the_density_of_states_holds_all_states_and_peaks_at_the_edges():
    energies = np.linspace(-6, 6, 1201)
    states = density_of_states(*CHAIN, (400, 1, 1), energies, width=0.1)
    assert np.trapezoid(states, energies) == pytest.approx(2.0, abs=1e-6)
    with_spin = density_of_states(*(m.with_spin() for m in CHAIN), (400, 1, 1), energies, 0.1)
    np.testing.assert_allclose(states, with_spin)
    middle = np.argmin(np.abs(energies - 0.3))
    assert states[middle] == pytest.approx(1 / (np.pi * T), rel=1e-2)  # 2 / (pi |dE/dk|)
    edges = energies[np.argsort(states)[-2:]]
    assert np.abs(np.abs(edges - 0.3) - 2 * T).max() < 0.15
    assert mesh_energies(*CHAIN, (7, 1, 1)).shape == (7, 1)


def test_energies_of_sparse_matrices_are_those_of_dense_ones():
    ring = matrix(40, 0.3, [(i, (i + 1) % 40, int(i == 39), -SHORT - 0.01 * i) for i in range(40)])
    overlap = matrix(40, 1.0, [(i, (i + 1) % 40, int(i == 39), 0.1) for i in range(40)])
    for k in ([0.0, 0, 0], [0.21, 0, 0]):
        dense = energies_at(ring, overlap, k)
        near = np.sort(dense[np.argsort(np.abs(dense - 0.5))[:6]])
        np.testing.assert_allclose(energies_near(ring, overlap, k, 0.5, 6), near, atol=1e-9)
        at_k = ring.sparse_at_k(k)
        assert at_k.nnz == 120
        np.testing.assert_allclose(at_k.toarray(), ring.at_k(k))


def test_leaving_out_tiny_overlaps_removes_spurious_bands():
    """Two nearly identical orbitals: an error of 1 meV in H puts a band 100 eV too low."""
    S = np.array([[1.0, 1 - 1e-5], [1 - 1e-5, 1.0]])
    H = np.array([[-5.0, -5.0 + 5e-5], [-5.0 + 5e-5, -5.0]])
    shaken = H - 5e-4 * np.array([[1, -1], [-1, 1]])
    true, wrong, overlap = (two(m) for m in (H, shaken, S))
    gamma = [0, 0, 0]
    np.testing.assert_allclose(energies_at(true, overlap, gamma), -5, atol=1e-3)
    assert energies_at(wrong, overlap, gamma)[0] == pytest.approx(-105, abs=1)
    kept = energies_at(wrong, overlap, gamma, least=1e-3)
    assert kept[0] == pytest.approx(-5, abs=1e-3)
    assert np.isinf(kept[1])
    assert fermi_level(wrong, overlap, 1, (1, 1, 1), least=1e-3) == pytest.approx(-5, abs=1e-3)


def two(dense):
    """A molecule of two atoms with one orbital each, used as a crystal of one cell."""
    return BlockMatrix.from_dense(BASIS, np.ones(2, dtype=np.int64), dense)
