"""Environments of atoms: invariant, continuous, and far from training when bonds are wrong."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from workbench.datasets.dataset import Dataset
from workbench.hamiltonians.rotations import random_rotation
from workbench.models.environments import Environments
from workbench.models.neighbours import Neighbours
from workbench.storage.bundled import data_path
from workbench.structures.loading import load, rotate


def _distances(known: Environments, atoms: Atoms) -> np.ndarray:
    return known.distances(Neighbours(atoms))


@pytest.fixture(scope="module")
def known() -> Environments:
    """The environments of three molecules."""
    return Environments.of([molecule(name) for name in ("N2", "N2H4", "CH3CH2OH")])


def test_a_rotated_inverted_or_reordered_molecule_has_the_same_distances(known):
    methanol = molecule("CH3OH")
    methanol.rattle(0.05, seed=0)
    expected = _distances(known, methanol)
    assert expected.max() > 0.2
    R = random_rotation(np.random.default_rng(0))
    for moved in (rotate(methanol, R), rotate(methanol, -R)):
        np.testing.assert_allclose(_distances(known, moved), expected, atol=1e-9)
    order = np.random.default_rng(1).permutation(len(methanol))
    np.testing.assert_allclose(_distances(known, methanol[order]), expected[order], atol=1e-9)


def test_a_supercell_has_the_distances_of_its_cell():
    mos2 = load("mos2")
    known = Environments.of([mos2])
    assert _distances(known, mos2).max() < 0.1
    mos2.positions[0] += [0.1, 0.0, 0.05]
    cell = _distances(known, mos2)
    assert cell.max() > 0.5
    np.testing.assert_allclose(_distances(known, mos2.repeat((2, 2, 1))), np.tile(cell, 4))


def test_a_usual_length_between_the_wrong_atoms_is_unlike_the_training_set(known):
    """N2 as long as hydrazine's bond, and the reverse: each length alone is in the training set."""
    hydrazine, nitrogen = molecule("N2H4"), molecule("N2")
    single, triple = (atoms.get_distance(0, 1) for atoms in (hydrazine, nitrogen))
    assert hydrazine.numbers[:2].tolist() == [7, 7]
    for atoms, length in ((nitrogen, single), (hydrazine, triple)):
        assert _distances(known, atoms).max() < 0.2
        atoms.set_distance(0, 1, length)
        assert _distances(known, atoms)[:2].min() > 1


def test_distances_change_continuously_when_a_bond_is_stretched(known):
    """Also where the pair ceases to count as a bond of another atom: no jump, 0.001 A at a time."""
    scan = []
    for length in np.arange(0.8, 1.9, 0.001):
        ethanol = molecule("CH3CH2OH")
        ethanol.set_distance(0, 1, length, fix=1)
        scan.append(_distances(known, ethanol)[2:].max())
    assert np.ptp(scan) > 1
    assert np.abs(np.diff(scan)).max() < 0.1


def test_a_stretched_molecule_is_unlike_the_training_set_in_every_atom():
    benzene = load("benzene")
    known = Environments.of([benzene])
    benzene.positions *= 1.1
    assert _distances(known, benzene).min() > 1


def test_every_training_structure_is_near_the_stored_bonds():
    with Dataset(data_path("datasets", "ethanol.h5")) as dataset:
        training = [dataset.atoms(int(i)) for i in dataset.split("train")]
    known = Environments.of(training)
    assert sum(map(len, known.bonds.values())) < len(training)  # which have eight bonds each
    assert max(_distances(known, atoms).max() for atoms in training) < 0.5


def test_the_tolerance_is_what_most_validation_structures_do_not_exceed():
    training = [load("water")]
    validation = []
    for by in np.linspace(0, 0.2, 101):
        stretched = load("water")
        stretched.set_distance(0, 1, stretched.get_distance(0, 1) + by, fix=0)
        validation.append(stretched)
    wide = Environments.of(training, validation)
    assert wide.tolerance > Environments.of(training).tolerance == 1.5
    assert sum(_distances(wide, atoms).max() > 1 for atoms in validation) in (2, 3)


def test_environments_are_json(known):
    again = Environments(**json.loads(json.dumps(known.to_json())))
    methanol = molecule("CH3OH")
    np.testing.assert_array_equal(_distances(again, methanol), _distances(known, methanol))


def test_a_bond_of_elements_that_are_bonded_nowhere_is_far(known):
    assert _distances(known, molecule("HF")).min() > 10


def test_an_atom_without_neighbours_has_no_bond_to_compare(known):
    assert _distances(known, Atoms("N")).tolist() == [0.0]
