"""Bilayers: the right atoms at the right angle, with all bonds intact."""

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import graphene, mx2
from ase.neighborlist import neighbor_list

from workbench.structures.bilayers import bilayer, twist_angle, twisted, twisted_bilayer
from workbench.structures.loading import StructureError, load, rotate

SHEET = graphene(a=2.46)
spglib.error.OLD_ERROR_HANDLING = False


def directions(atoms, above):
    """Directions of the bonds in one sheet, degrees modulo 60."""
    i, _, vectors = neighbor_list("ijD", atoms, 1.6)
    z = atoms.positions[:, 2]
    of_sheet = vectors[(z[i] > z.mean()) == above]
    return np.rad2deg(np.arctan2(of_sheet[:, 1], of_sheet[:, 0])) % 60


@pytest.mark.parametrize(("m", "n"), [(1, 2), (2, 1), (2, 3), (1, 3), (3, 8)])
def test_a_twist_has_its_angle_and_keeps_all_bonds(m, n):
    atoms = twisted_bilayer(SHEET, m, n, 3.35)
    assert len(atoms) == 4 * (m * m + m * n + n * n)
    i, d = neighbor_list("id", atoms, 1.6)
    assert (np.bincount(i) == 3).all()
    np.testing.assert_allclose(d, 2.46 / np.sqrt(3), atol=1e-9)
    low, high = (directions(atoms, above) for above in (False, True))
    assert np.ptp(low) < 1e-6
    assert np.ptp(high) < 1e-6
    between = abs(low[0] - high[0])
    assert min(between, 60 - between) == pytest.approx(
        min(twist_angle(m, n), 60 - twist_angle(m, n))
    )
    heights = [atoms.positions[s, 2].mean() for s in np.split(np.arange(len(atoms)), 2)]
    assert heights[1] - heights[0] == pytest.approx(3.35)
    cell = atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers
    group = spglib.get_spacegroup(cell, symprec=1e-3)
    assert group.startswith("P321")  # D3: twofold axes in the plane


def test_the_magic_angle_has_eleven_thousand_atoms():
    assert twist_angle(30, 31) == pytest.approx(1.0845, abs=1e-4)
    assert len(twisted_bilayer(SHEET, 30, 31, 3.35)) == 11164


def test_a_lattice_given_at_60_degrees_is_the_same():
    narrow = SHEET.copy()
    narrow.set_cell([SHEET.cell[0], SHEET.cell[0] + SHEET.cell[1], SHEET.cell[2]])
    one, two = (twisted_bilayer(s, 1, 2, 3.35) for s in (SHEET, narrow))
    np.testing.assert_allclose(one.cell.array, two.cell.array, atol=1e-12)
    distances = [np.sort(a.get_all_distances(mic=True).ravel()) for a in (one, two)]
    np.testing.assert_allclose(*distances, atol=1e-9)


def test_sheets_of_several_atoms_keep_their_thickness():
    layer = mx2("MoS2", a=3.16, thickness=3.17)
    atoms = twisted_bilayer(layer, 1, 2, 6.15)
    assert len(atoms) == 42
    z = atoms.positions[:, 2]
    assert np.ptp(z[:21]) == pytest.approx(3.17)
    assert z[21:].mean() - z[:21].mean() == pytest.approx(6.15)


def test_a_shift_is_in_fractions_of_the_cell():
    atoms = bilayer(SHEET, 3.35, shift=(1 / 3, 2 / 3))
    assert len(atoms) == 4
    moved = atoms.get_scaled_positions()[2] - atoms.get_scaled_positions()[0]
    np.testing.assert_allclose(moved[:2] % 1, [1 / 3, 2 / 3], atol=1e-9)
    assert atoms.pbc.tolist() == [True, True, False]


@pytest.mark.parametrize("indices", [(1, 1), (0, 2), (2, 4), (-1, 2)])
def test_indices_that_make_no_twist_are_refused(indices):
    with pytest.raises(ValueError, match=r"without common factor|must be a whole number from 1"):
        twisted_bilayer(SHEET, *indices, 3.35)


def test_structures_that_are_no_layer_are_refused():
    square = Atoms("C", cell=[3, 3, 10], pbc=(True, True, False))
    with pytest.raises(StructureError, match="not hexagonal"):
        twisted_bilayer(square, 1, 2, 3.35)
    with pytest.raises(StructureError, match="xy plane"):
        bilayer(load("water"), 3.0)
    upright = graphene(a=2.46, vacuum=5.0)
    with pytest.raises(StructureError, match="xy plane"):
        bilayer(rotate(upright, [[1, 0, 0], [0, 0, -1], [0, 1, 0]]), 3.35)
    with pytest.raises(StructureError):
        bilayer(SHEET, 0.1)


@pytest.mark.parametrize(("name", "atoms"), [("graphene", 28), ("bismuthene", 28), ("bi2te3", 70)])
def test_twisting_a_bilayer_keeps_its_distance_and_vacuum(name, atoms):
    pair = load(f"bilayer-{name}")
    result = twisted(pair, 1, 2)
    assert len(result) == atoms
    distances = [
        a.positions[len(a) // 2 :, 2].mean() - a.positions[: len(a) // 2, 2].mean()
        for a in (pair, result)
    ]
    assert distances[1] == pytest.approx(distances[0])
    assert result.cell.lengths()[2] == pytest.approx(pair.cell.lengths()[2])
    assert result.cell.lengths()[0] == pytest.approx(np.sqrt(7) * pair.cell.lengths()[0])
    cell = result.cell.array, result.get_scaled_positions(), result.numbers
    assert spglib.get_spacegroup(cell, symprec=1e-3).startswith("P3")
    for wrong in (pair[::-1], pair[1:]):  # upside down, torn
        with pytest.raises(StructureError, match="no bilayer"):
            twisted(wrong, 1, 2)
