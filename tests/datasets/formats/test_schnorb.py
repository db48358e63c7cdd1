"""MD17 of SchNOrb: both ways of storing arrays, the definition of the basis, and wrong rows."""

import numpy as np
import pytest
from ase.db import connect

from tests.support import published_sets as sets
from workbench.datasets.formats import FormatError, schnorb


@pytest.fixture
def database(tmp_path):
    return sets.schnorb(tmp_path / "schnorb_hamiltonian_water.db", sets.calculations()[:1])


def test_arrays_as_text_are_read_as_well(database, tmp_path):
    path = sets.schnorb(tmp_path / "text.db", sets.calculations()[:1], as_text=True)
    a, b = schnorb.read(database / "1"), schnorb.read(path / "1")
    assert (a.H - b.H).max_abs() == 0


def test_reading_does_not_change_the_database(database):
    before = database.read_bytes()
    schnorb.read(database / "1")
    assert database.read_bytes() == before


def swapped(definition):
    """The same with m in the order -1, 0, 1, as other programs have it."""
    for orbitals in definition:
        for orbital in orbitals:
            orbital[4] = {0: -1, 1: 0, -1: 1}.get(orbital[4], orbital[4])
    return definition


DEFINITIONS = {
    "complete shells in ORCA's order": swapped(sets.basis_definition(sets.SHELLS)),
    "needs 5 numbers for each orbital": [[1, 2], [3, 4]],
    "no basisdef": {"H": "1s"},
    "and these atoms have 29 orbitals": sets.basis_definition(
        {1: (0, 0, 1), 8: (0, 0, 0, 1, 1, 2, 2)}
    ),
    "complete shells": sets.basis_definition({1: (0, 0, 1), 8: (0, 0, 0, 1, 1, 9)}),
    "gives element 1 no orbitals": sets.basis_definition({1: (), 8: (0, 0, 0, 1, 1, 2)}),
}


@pytest.mark.parametrize("sentence", DEFINITIONS)
def test_a_wrong_definition_of_the_basis_is_refused(sentence, tmp_path):
    definition = DEFINITIONS[sentence]
    path = sets.schnorb(tmp_path / "a.db", sets.calculations()[:1], definition=definition)
    with pytest.raises(FormatError, match=sentence):
        schnorb.read(path / "1")


DATA = {
    "has no hamiltonian as an array": {"hamiltonian": [1, 2]},
    "hamiltonian has the shape": {"hamiltonian": np.zeros((3, 3), "f4")},
    "hamiltonian as an array of float32 or float64": {"hamiltonian": np.zeros((24, 24), int)},
    "is missing or damaged": {
        "hamiltonian": "AAAA",
        "_dtype_hamiltonian": "float32",
        "_shape_hamiltonian": [24, 24],
    },
}


@pytest.mark.parametrize("sentence", DATA)
def test_other_arrays_are_refused(sentence, database):
    connect(str(database), type="db").update(1, data=DATA[sentence])
    with pytest.raises(FormatError, match=sentence) as refused:
        schnorb.read(database / "1")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_row_that_is_not_there_is_refused(database):
    for name in ("2", "x"):
        with pytest.raises(FormatError, match="is missing or damaged"):
            schnorb.read(database / name)


def test_another_file_is_not_touched(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="no database of ASE"):
        schnorb.read(path / "1")
    assert path.read_bytes() == b""
