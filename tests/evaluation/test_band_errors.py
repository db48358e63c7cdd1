"""Errors of bands: as they are, and relative to each Hamiltonian's own Fermi level."""

from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests.support.crystal import integrals, sheet, with_spin_orbit
from workbench.evaluation.band_errors import BandWindow
from workbench.hamiltonians.bands import LEAST, band_gap, energies_at, mesh_energies
from workbench.hamiltonians.conventions import HARTREE


def matrices(atoms):
    return (
        integrals(atoms, "int1e_kin", "sto-3g", 6.0) * HARTREE,
        integrals(atoms, "int1e_ovlp", "sto-3g", 6.0),
    )


@pytest.mark.parametrize("spinor", [False, True])
@pytest.mark.parametrize("n_electrons", [0, 8])
def test_a_shift_of_the_zero_of_energy_is_no_aligned_error(spinor, n_electrons):
    """``H + mu S`` has all bands mu higher; those far from the Fermi level do not count."""
    atoms = sheet()
    H, S = with_spin_orbit(atoms) if spinor else matrices(atoms)
    level = float(np.median(energies_at(H, S, [0, 0, 0])))
    window = BandWindow.of(H, S, atoms, level, n_electrons)
    assert 0 < window.near.sum() < window.energies.size
    errors = window.errors(H + S * 0.01)
    assert errors.raw == pytest.approx(0.01, rel=1e-6)
    assert errors.aligned < 1e-8
    assert BandWindow.of(H, S, atoms, -1e3).errors(H) is None


def test_an_error_of_the_bands_shape_stays():
    """Scaled bands are no shifted bands; a shift on top changes the raw error only."""
    atoms = sheet()
    H, S = matrices(atoms)
    level = float(np.median(energies_at(H, S, [0, 0, 0])))
    window = BandWindow.of(H, S, atoms, level, 8)
    scaled, shifted = (window.errors(1.001 * H + mu * S) for mu in (0.0, 0.3))
    assert scaled.aligned > 1e-4
    assert shifted.aligned == pytest.approx(scaled.aligned, rel=1e-6)
    assert shifted.raw > 5 * scaled.raw


@pytest.mark.parametrize("seed", range(2))
def test_insulators_are_aligned_as_well_as_by_the_best_shift(seed):
    """The level in a gap of 1.7 eV follows noise of H smoothly, though no band is near it."""
    with wb.Dataset("mm-mini") as data:
        sample = data[int(data.split("test")[0])]
    H, S, n = sample.H, sample.stored_overlap, sample.n_electrons
    assert band_gap(H, S, n, (3, 3, 1)).energy > 1.5
    noise = 0.002 * np.random.default_rng(seed).normal(size=H.values.shape) * H.mask
    noisy = H + replace(H, values=noise).hermitian()
    window = BandWindow.of(H, S, sample.atoms, sample.fermi_level, n)
    difference = (mesh_energies(noisy, S, window.mesh, LEAST) - window.energies)[window.near]
    best = float(np.abs(difference - np.median(difference)).mean())
    assert best < window.errors(noisy).aligned < 1.1 * best
    assert BandWindow.of(H, S, sample.atoms, sample.fermi_level).n_electrons == n  # from the level
