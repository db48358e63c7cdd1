"""nablaDFT: conformers of one molecule, the overlap, and rows with other contents."""

import numpy as np
import pytest

import workbench as wb
from tests.support import published_sets as sets
from workbench.datasets.conversion import import_files
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, nabladft


@pytest.fixture
def database(tmp_path):
    """Four molecules: the first has two conformers."""
    water, methanol, cyanide = sets.calculations()
    found = [(7, water), (7, water), (9, methanol), (11, cyanide), (13, water)]
    return sets.nabladft(tmp_path / "train_2k.db", found)


def test_conformers_of_one_molecule_stand_in_one_split(database, tmp_path):
    shares = {"train": 0.5, "test": 0.5}
    path = import_files("nabladft", database, tmp_path / "a.h5", shares=shares, progress=False)
    with Dataset(path) as data:
        assert data.groups.tolist() == [0, 0, 1, 2, 3]
        assert (0 in data.split("train")) == (1 in data.split("train"))


def test_without_the_names_of_molecules_the_same_atoms_count_as_one(tmp_path):
    water, methanol, _ = sets.calculations()
    path = sets.nabladft(tmp_path / "a.db", [(7, water), (9, methanol), (11, water)], False)
    made = import_files("nabladft", path, tmp_path / "a.h5", progress=False)
    with Dataset(made) as data:
        assert data.groups.tolist() == [0, 1, 0]


def test_a_row_without_a_molecule_is_refused(database):
    sets.changed(database, "dataset_ids", "id", 50, row=2)
    with pytest.raises(FormatError, match="names no molecule for its row 2"):
        import_files("nabladft", database, database.with_name("a.h5"), progress=False)


def test_another_name_of_the_basis_stores_the_overlap(database, tmp_path):
    path = import_files(
        "nabladft", database, tmp_path / "a.h5", basis_name="of-psi4", progress=False
    )
    with Dataset(path) as data:
        mine = wb.reference(sets.structures()[1], xc="hf")
        assert data.basis.name == "of-psi4"
        assert np.abs(data[2].S.dense() - mine.S.dense()).max() < 1e-6


WRONG = {
    "S differs by": ("S", lambda c: c.S * 1.01),
    "the order of orbitals or the unit of positions": ("R", lambda c: c.positions * 0.529),
    "a core Hamiltonian": ("H", lambda c: c.in_order_of_orca(c.core)),
    "where 36 are needed": ("R", lambda c: c.positions[:2]),
    "where 2304 are needed": ("H", lambda c: c.H[:3]),
    "has 0 bytes where 4 are needed": ("Z", lambda c: c.numbers[:0]),
    "atomic number 0": ("Z", lambda c: 0 * c.numbers),
    "beyond 1e.06 eV": ("H", lambda c: c.H + np.eye(24) * 1e8),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_other_contents_are_refused(sentence, database):
    column, make = WRONG[sentence]
    value = make(sets.calculations()[0])
    kind = "<i4" if column == "Z" else "<f4"
    sets.changed(database, "data", column, value.astype(kind).tobytes(), row=0)
    with pytest.raises(FormatError, match=sentence) as refused:
        nabladft.read(database / "0")
    assert "\n" not in str(refused.value)
