"""QH9: units, molecules in one split, and rows that are not what the set contains."""

import numpy as np
import pytest

from tests.support import published_sets as sets
from tests.support.command_line import numbers_of
from workbench.datasets.conversion import import_files
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, qh9
from workbench.hamiltonians.conventions import BOHR


@pytest.fixture
def stable(tmp_path):
    return sets.qh9_stable(tmp_path / "QH9Stable.db", sets.calculations()[:1])


@pytest.fixture
def dynamic(tmp_path):
    """Four molecules with two geometries each."""
    water, methanol, cyanide = sets.calculations()
    trajectories = [[water, water], [methanol, methanol], [cyanide, cyanide], [water, water]]
    return sets.qh9_dynamic(tmp_path / "QH9Dynamic_100k.db", trajectories)


def test_positions_of_the_dynamic_sets_are_in_bohr(stable, dynamic):
    still, moving = qh9.read(stable / "0"), qh9.read(dynamic / "1")
    assert np.abs(still.atoms.positions - moving.atoms.positions).max() < 1e-12
    assert (still.H - moving.H).max_abs() == 0


def test_geometries_of_one_molecule_stand_in_one_split(dynamic, tmp_path):
    shares = {"train": 0.5, "valid": 0.25, "test": 0.25}
    path = import_files("qh9", dynamic, tmp_path / "a.h5", shares=shares, progress=False)
    with Dataset(path) as data:
        assert data.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        of_split = {name: set(data.groups[data.split(name)].tolist()) for name in data.splits}
        assert [len(data.split(name)) for name in ("train", "valid", "test")] == [4, 2, 2]
    assert sum(map(len, of_split.values())) == 4


def test_a_geometry_without_convergence_is_left_out(dynamic, tmp_path):
    sets.changed(dynamic, "data", "converged", 0, row=3)
    with pytest.raises(FormatError, match="has not converged"):
        qh9.read(dynamic / "3")
    made = numbers_of("import", "qh9", dynamic, "--out", tmp_path / "a.h5", "--skip-bad")
    assert made["samples"] == 7
    assert list(made["skipped"]) == ["QH9Dynamic_100k.db/3"]


WRONG = {
    "positions are in another unit": ("pos", lambda c: c.positions.astype("<f8")),
    "its unit is not Hartree": ("Ham", lambda c: c.H * 27.2),
    "a core Hamiltonian": ("Ham", lambda c: c.core),
    "H has an element that is not finite": ("Ham", lambda c: np.where(c.H[0, 0] == c.H, 0, c.H)),
    "H is not hermitian": ("Ham", lambda c: np.triu(c.H)),
    "where 4608 are needed": ("Ham", lambda c: c.H.astype("<f4")),
    "where 12 are needed": ("Z", lambda c: c.numbers.astype("<i8")),
    "atomic number 200": ("Z", lambda c: np.array([200, 1, 1], "<i4")),
    "closer than 0.4 A": ("pos", lambda c: 0 * c.positions),
    "Ham is no array of bytes": ("Ham", lambda c: None),
    "N is not a number of atoms": ("N", lambda c: "three"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_other_contents_are_refused(sentence, stable, tmp_path):
    column, make = WRONG[sentence]
    value = make(sets.calculations()[0])
    if sentence.endswith("not finite"):
        value[0, 0] = np.nan
    value = np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else value
    sets.changed(stable, "data", column, value, row=0)
    with pytest.raises(FormatError, match=sentence) as refused:
        import_files("qh9", stable, tmp_path / "a.h5", progress=False)
    assert str(refused.value).startswith(f"{stable / '0'}")
    assert "\n" not in str(refused.value)


def test_an_unknown_row_and_another_basis_are_refused(stable):
    for name in ("7", "-1", "x", "9" * 30):
        with pytest.raises(FormatError, match="has no row"):
            qh9.read(stable / name)
    with pytest.raises(FormatError, match="leave the name"):
        qh9.read(stable / "0", "sto-3g")


def test_angstrom_in_a_dynamic_set_is_refused(dynamic):
    c = sets.calculations()[0]
    sets.changed(dynamic, "data", "pos", (c.positions * BOHR).tobytes())
    with pytest.raises(FormatError, match="in another unit"):
        qh9.read(dynamic / "1")
