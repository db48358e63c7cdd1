"""Datasets of references that scripts of one's own have made."""

from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from workbench.datasets.dataset import DatasetError

SPLITS = {"train": range(8), "valid": [8, 9], "test": [10, 11]}


@pytest.fixture(scope="module")
def references():
    """Twelve shaken waters, Hartree-Fock in STO-3G."""

    def one(seed):
        atoms = wb.load("water")
        atoms.rattle(0.05, seed=seed)
        return wb.reference(atoms, basis="sto-3g", xc="hf")

    return [one(seed) for seed in range(12)]


def test_what_is_written_is_read_again_and_can_be_trained(references, tmp_path):
    path = tmp_path / "water.h5"
    sha256 = wb.write_dataset(path, iter(references), SPLITS, provenance={"by": "a test"})
    how = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None, batch_size=4)
    small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    with wb.Dataset(path) as data:
        assert data.hash == sha256
        assert data.provenance["by"] == "a test"
        assert [len(data.split(name)) for name in SPLITS] == [8, 2, 2]
        assert data[3].stored_overlap is None  # PySCF has this basis
        assert (data[3].H - references[3].H).max_abs() < 1e-8
        assert data.reference(3).method == references[3].method
        *_, last = wb.train(small, data, how)
        assert wb.evaluate(last.model, data, progress=False)["structures"] == 2


def test_matrices_in_pyscf_s_own_order_are_refused(references, tmp_path):
    """They would train to an error of some eV without a word."""
    one = references[0]
    x_first = np.array([0, 1, 4, 2, 3, 5, 6])  # oxygen's p as x, y, z
    H, S = (m.dense()[np.ix_(x_first, x_first)] for m in (one.H, one.S))
    shells = {"O": (0, 0, 1), "H": (0,)}
    wrong = wb.from_arrays(one.atoms, H, S, shells, "m")
    right = wb.from_arrays(one.atoms, H, S, shells, "pyscf")
    with pytest.raises(DatasetError, match=r"^Reference 1: .* does not rotate with its pairs"):
        wb.write_dataset(tmp_path / "wrong.h5", [right, wrong], {})
    assert not list(tmp_path.iterdir())


def test_an_overlap_that_pyscf_cannot_compute_is_stored(references, tmp_path):
    one = references[0]
    shells = {"O": (0, 0, 1), "H": (0,)}
    mine = wb.from_arrays(one.atoms, one.H.dense(), one.S.dense(), shells, "m", n_electrons=10)
    wb.write_dataset(tmp_path / "own.h5", [mine], {"test": [0]}, groups=[7])
    with wb.Dataset(tmp_path / "own.h5") as data:
        assert data.basis.name == "own"
        np.testing.assert_allclose(data[0].S.dense(), one.S.dense(), atol=1e-12)
        assert data[0].group == 7


def test_groups_stay_in_one_split(references, tmp_path):
    """Said before a reference is computed; a group for each of them."""
    path = tmp_path / "a.h5"
    never = (pytest.fail("computed") for _ in range(4))
    splits = {"train": [0, 1], "test": [2, 3]}
    with pytest.raises(DatasetError, match=r"Group 7 has samples in train and in test"):
        wb.write_dataset(path, never, splits, groups=[7, 8, 9, 7])
    with pytest.raises(DatasetError, match=r"more references than the 2 groups"):
        wb.write_dataset(path, references[:3], {"train": [0, 1, 2]}, groups=[0, 1])


def test_what_does_not_belong_together_is_refused(references, tmp_path):
    one = references[0]
    pbe = replace(one, method=one.method | {"functional": "pbe"})
    for wrong, sentence in (
        (replace(one, atoms=None), "Reference 1 has no structure"),
        (pbe, r"Reference 1 is of another level of theory than the first, HF .* and PBE"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            wb.write_dataset(tmp_path / "mixed.h5", [one, wrong], {})
