"""Integrity of dataset files: a wrong bit is refused, or nothing that is read depends on it."""

import hashlib
import json
import random

import h5py
import numpy as np
import pytest

from tests.support.crystal import sheet
from tests.support.limited import limited
from tests.support.mutants import count
from workbench.datasets import checksums, hdf5_layout
from workbench.datasets.dataset import Dataset, DatasetError, Sample
from workbench.datasets.hdf5_layout import add_checksums
from workbench.datasets.writing import write
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix

BASIS = Basis("sto-3g", {1: (0,), 8: (0, 0, 1)})


def everything(path):
    """A hash of all that can be read from a dataset."""
    digest = hashlib.sha256()
    with Dataset(path) as ds:
        texts = ds.hash, json.dumps(ds.provenance), ds.step, ds.basis, ds.periodic, ds.splits
        digest.update(repr(texts).encode())
        for name in ds.splits:
            digest.update(ds.split(name).tobytes())
        for sample in ds:
            atoms, H, S = sample.atoms, sample.H, sample.stored_overlap
            numbers = sample.energy, sample.n_electrons, sample.group, sample.fermi_level
            digest.update(repr((numbers, atoms.info, atoms.pbc.tolist())).encode())
            for array in (atoms.numbers, atoms.positions, atoms.cell.array, H.values, S.values):
                digest.update(np.ascontiguousarray(array).tobytes())
            digest.update(H.edges.tobytes() + H.shifts.tobytes())
    return digest.hexdigest()


def molecules(rng):
    """Samples of random matrices with overlaps."""
    from ase import Atoms

    for k in range(6):
        atoms = Atoms("OH2", rng.normal(size=(3, 3)), info={"charge": k % 2, "spin": 0})
        m = rng.normal(scale=20, size=(2, 7, 7))
        H, S = (BlockMatrix.from_dense(BASIS, atoms.numbers, x + x.T) for x in m)
        yield Sample(atoms, H, -2000.0 - k, 10, k, S)


def crystals(rng):
    """Samples of a crystal with random blocks."""
    atoms = sheet()
    basis = Basis("sto-3g", {6: (0, 0, 1)})
    edges, shifts = np.array([[0, 1, 0, 0], [0, 1, 1, 1]]), np.zeros((4, 3), dtype=np.int64)
    shifts[3, 0] = 1
    for k in range(2):
        values = rng.normal(size=(2, 4, 5, 5))
        values[:, :2] += values[:, :2].swapaxes(2, 3)
        H, S = (BlockMatrix.from_half(basis, atoms.numbers, edges, shifts, v) for v in values)
        yield Sample(atoms, H, float("nan"), 0, k, S, fermi_level=-3.5)


def small_set(path, kind=molecules):
    write(path, kind(np.random.default_rng(0)), {"train": [0], "test": [1]}, {"why": "a test"})
    return path


@pytest.fixture
def rows(monkeypatch):
    """Few rows for each checksum and each chunk, so that a small set has several of them."""
    for module in (checksums, hdf5_layout):
        monkeypatch.setattr(module, "ROWS", 16)


def flips(folder, kind, number):
    """The outcomes of single flips: how many were refused, and those that changed what is read."""
    rng, changed, refused = random.Random(1), [], 0
    checksums.ROWS = 16  # as the fixture `rows`, in a process of its own
    path = f"{folder}/{kind}.h5"
    with open(path, "rb") as file:
        content = file.read()
    expected = everything(path)
    mutant = f"{folder}/{kind}-mutant.h5"
    for _ in range(int(number)):
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        with open(mutant, "wb") as file:
            file.write(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        try:
            if everything(mutant) != expected:
                changed.append((at, bit))
        except DatasetError as error:
            sentence = str(error)
            assert sentence.startswith(mutant), sentence
            assert sentence.endswith(("again.", "import it.")), sentence
            refused += 1
    return {"changed": changed, "refused": refused}


@pytest.mark.parametrize("kind", [molecules, crystals])
def test_every_single_flip_is_refused_or_changes_nothing(tmp_path, rows, kind):
    small_set(tmp_path / f"{kind.__name__}.h5", kind)
    number = count(300)
    outcome = limited(flips, tmp_path, kind.__name__, number)
    assert outcome["changed"] == []
    assert outcome["refused"] > number / 5  # the rest hits bytes that mean nothing


@pytest.mark.parametrize(
    "name", ["atoms/positions", "hamiltonian/values", "energy", "overlap/values", "group"]
)
def test_a_changed_array_is_refused_when_it_is_read(tmp_path, rows, name):
    path = small_set(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file[name][1] += 1
    if name.endswith("/values"):
        with Dataset(path) as ds:
            ds.positions(0)
            with pytest.raises(DatasetError, match=r"a\.h5 is damaged: download or make it again"):
                ds[0]
            with pytest.raises(DatasetError, match="not what was written"):
                ds.verify()
    else:
        with pytest.raises(DatasetError, match=r"a\.h5 is damaged: download or make it again"):
            Dataset(path)


def test_a_changed_header_or_hash_is_refused(tmp_path):
    path = small_set(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["sha256"] = "0" * 64
    with pytest.raises(DatasetError, match="is damaged"):
        Dataset(path)
    small_set(path)
    with h5py.File(path, "r+") as file:
        text = file["header"].asstr()[()].replace("a test", "a jest")
        del file["header"]
        file["header"] = text
    with pytest.raises(DatasetError, match="is damaged"):
        Dataset(path)


def without_checksums(path):
    """The file as an older version wrote it."""
    with h5py.File(path, "r+") as file:
        del file["checksums"]
    return path


def test_a_file_of_an_older_version_is_compared_with_its_hash(tmp_path, monkeypatch):
    path = without_checksums(small_set(tmp_path / "a.h5"))
    expected = everything(path)
    with h5py.File(path, "r+") as file:
        file["atoms/positions"][0, 0] += 1
    with pytest.raises(DatasetError, match="is damaged"):
        Dataset(path)
    monkeypatch.setattr(hdf5_layout, "_HASHED_AT_OPENING", 100)  # as if the file were large
    with Dataset(path) as ds, pytest.raises(DatasetError, match="not what was written"):
        ds.verify()
    with pytest.raises(DatasetError, match="is damaged"):
        add_checksums(path)
    without_checksums(small_set(path))
    add_checksums(path)
    add_checksums(path)
    monkeypatch.setattr(hdf5_layout, "_HASHED_AT_OPENING", 0)
    assert everything(path) == expected
    with h5py.File(path, "r+") as file:
        file["atoms/positions"][0, 0] += 1
    with pytest.raises(DatasetError, match="is damaged"):
        Dataset(path)
