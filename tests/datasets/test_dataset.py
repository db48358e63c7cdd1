"""Datasets: what is written is read back, and nothing else is ever taken for one."""

import json
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
from ase import Atoms

from workbench.datasets.dataset import Dataset, DatasetError, Sample
from workbench.datasets.writing import write, write_part
from workbench.engines.dispatch import again
from workbench.engines.pyscf_molecules import basis_of, overlap
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE

BASIS = basis_of("sto-3g", [1, 8, 9])


def symmetric(rng, n, spinor=False):
    m = rng.normal(scale=20, size=(n, n))
    return m + 1j * rng.normal(scale=20, size=(n, n)) if spinor else m


def some_samples(rng, with_overlap=False):
    """Samples of three compositions, each in a basis of its own elements only."""
    result = []
    for k, symbols in enumerate(["HF", "H2", "OH2", "HF", "H2"]):
        atoms = Atoms(symbols, rng.normal(scale=2, size=(len(Atoms(symbols)), 3)))
        atoms.info = {"charge": k % 2, "spin": 0}
        own = Basis("sto-3g", {z: BASIS.shells[z] for z in set(atoms.numbers)})
        S = overlap(atoms, own)
        m = symmetric(rng, S.n_ao)
        H = BlockMatrix.from_dense(own, atoms.numbers, m + m.T)
        result.append(Sample(atoms, H, -100.0 - k, 10, k // 2, S if with_overlap else None))
    return result


SPLITS = {"train": [0, 2, 4], "valid": [1], "test": [3]}


@pytest.fixture
def samples():
    return some_samples(np.random.default_rng(0))


@pytest.fixture
def path(tmp_path, samples):
    file = tmp_path / "small.h5"
    write(file, samples, SPLITS, {"why": "a test"})
    return file


def test_hamiltonians_come_in_the_order_of_their_numbers(tiny):
    chosen = [7, 3, 4, 5, 0, 5]
    for i, H in zip(chosen, tiny.hamiltonians(chosen), strict=True):
        assert (H - tiny[i].H).max_abs() == 0
    assert tiny.hamiltonians([]) == []


def test_round_trip_of_several_compositions(path, samples):
    with Dataset(path) as ds:
        assert len(ds) == 5
        assert ds.basis == BASIS
        assert ds.provenance == {"why": "a test"}
        for i, sample in enumerate(samples):
            got = ds[i]
            assert np.array_equal(got.atoms.positions, sample.atoms.positions)
            assert np.array_equal(got.atoms.numbers, sample.atoms.numbers)
            assert got.atoms.info == sample.atoms.info
            assert (got.energy, got.n_electrons, got.group) == (
                sample.energy,
                sample.n_electrons,
                sample.group,
            )
            assert (got.H - sample.H).max_abs() < 1e-8 * HARTREE
            assert (got.S - overlap(sample.atoms, sample.H.basis)).max_abs() < 1e-14
            assert np.array_equal(got.H.dense(), got.H.dense().T)


def test_splits(path):
    with Dataset(path) as ds:
        assert {name: ds.split(name).tolist() for name in ds.splits} == SPLITS
        with pytest.raises(DatasetError, match="no split 'dev'; it has test, train, valid"):
            ds.split("dev")


def test_a_part_holds_the_same_samples_and_says_what_it_is_a_part_of(path, tmp_path):
    with Dataset(path) as whole:
        write_part(whole, tmp_path / "part.h5", {"train": 2, "test": 1})
        with Dataset(tmp_path / "part.h5") as part:
            part.verify()
            assert part.splits == ("test", "train")
            assert part.provenance["part_of"] == {"name": path.name, "sha256": whole.hash}
            for name in part.splits:
                for i, k in zip(whole.split(name), part.split(name), strict=False):
                    assert (whole[int(i)].H - part[int(k)].H).max_abs() == 0
                    assert whole[int(i)].atoms == part[int(k)].atoms
        with pytest.raises(ValueError, match="has 1 samples"):
            write_part(whole, tmp_path / "more.h5", {"valid": 2})


def test_a_part_takes_a_split_from_elsewhere(path, tmp_path):
    """As bilayers take their twisted cells; no group of one set is taken for the other's."""
    other = tmp_path / "other.h5"
    write(other, some_samples(np.random.default_rng(9)), {"test": [3, 1], "train": [0]}, {"a": 1})
    with Dataset(path) as whole, Dataset(other) as more:
        write_part(whole, tmp_path / "part.h5", {"train": 2}, more={"twisted": (more, 2)})
        with Dataset(tmp_path / "part.h5") as part:
            part.verify()
            assert part.splits == ("train", "twisted")
            assert part.provenance["twisted"]["part_of"]["sha256"] == more.hash
            assert part.provenance["twisted"]["the_whole"] == {"a": 1}
            for i, k in zip([3, 1], part.split("twisted"), strict=True):
                assert (more[i].H - part[int(k)].H).max_abs() == 0
                assert more[i].atoms == part[int(k)].atoms
            groups = [set(part.groups[part.split(s)].tolist()) for s in part.splits]
            assert not groups[0] & groups[1]
        with pytest.raises(ValueError, match="has 2 samples"):
            write_part(whole, tmp_path / "more.h5", {"train": 2}, more={"twisted": (more, 3)})


def test_many_at_once_equal_one_by_one(path):
    with Dataset(path) as ds:
        together = ds.hamiltonians([4, 0, 0, 3])
        for i, H in zip([4, 0, 0, 3], together, strict=True):
            assert np.array_equal(H.values, ds[i].H.values)
        assert ds.hamiltonians([]) == []
        assert np.array_equal(ds[-1].H.values, ds[4].H.values)
        with pytest.raises(IndexError):
            ds[5]
        assert len(list(ds)) == 5


def test_stored_overlap_is_exact(tmp_path):
    samples = some_samples(np.random.default_rng(1), with_overlap=True)
    write(tmp_path / "a.h5", samples, {}, {})
    with Dataset(tmp_path / "a.h5") as ds:
        for got, sample in zip(ds, samples, strict=True):
            assert (got.S - sample.S).max_abs() == 0


def test_spinor_matrices(tmp_path):
    rng = np.random.default_rng(2)
    basis = Basis("sto-3g", BASIS.shells, spinor=True)
    m = symmetric(rng, 12, spinor=True)
    H = BlockMatrix.from_dense(basis, [9, 1], m + m.conj().T)
    atoms = Atoms("FH", [[0, 0, 0], [0, 0, 1]])
    write(tmp_path / "a.h5", [Sample(atoms, H, 0.0, 10)], {"train": [0]}, {})
    with Dataset(tmp_path / "a.h5") as ds:
        assert (ds[0].H - H).max_abs() < 1e-8
        assert np.allclose(ds[0].S.dense(), np.kron(np.eye(2), overlap(atoms, BASIS).dense()))


def test_the_hash_is_of_the_content(path, samples, tmp_path):
    again = tmp_path / "again.h5"
    digest = write(again, iter(samples), SPLITS, {"why": "a test"})
    with Dataset(path) as ds:
        assert ds.hash == digest
        ds.verify()
    assert write(again, samples, SPLITS, {"why": "another"}) != digest
    samples[0].atoms.positions[0, 0] = np.nextafter(samples[0].atoms.positions[0, 0], 9)
    assert write(again, samples, SPLITS, {"why": "a test"}) != digest


def test_a_large_header_fits(path, samples, tmp_path):
    long = {"recipe": list(range(50_000))}
    write(tmp_path / "a.h5", samples, {}, long)
    with Dataset(tmp_path / "a.h5") as ds:
        assert ds.provenance == long


def test_a_coarser_part_rounds_stored_overlaps_too(tmp_path):
    samples = some_samples(np.random.default_rng(0), with_overlap=True)
    write(tmp_path / "whole.h5", samples, SPLITS, {})
    with Dataset(tmp_path / "whole.h5") as whole:
        write_part(whole, tmp_path / "same.h5", {"train": 3})
        write_part(whole, tmp_path / "part.h5", {"train": 3}, step=1e-4)
    with Dataset(tmp_path / "same.h5") as same, Dataset(tmp_path / "part.h5") as part:
        for one, other in zip(same, part, strict=True):
            assert (one.H - other.H).max_abs() <= 0.5e-4 + 1e-12
            assert 0 < (one.S - other.S).max_abs() <= 0.5e-6


def test_a_bundled_set_has_a_name_and_its_labels_can_be_computed_again():
    for name, electrons in (("water", 10), ("malondialdehyde", 38)):  # a whole and a part
        with Dataset(name) as bundled:
            label = bundled.reference(0)
            made = again(bundled.atoms(0), label)
            assert (made.H - label.H).max_abs() < 2 * bundled.step + 1e-5
            assert made.energy == pytest.approx(label.energy, abs=1e-5)
            assert label.n_electrons == electrons
    with pytest.raises(ValueError, match="not on record"):
        again(Atoms("He"), replace(label, method={}))


def test_it_travels_to_another_process(path):
    with Dataset(path) as ds, pickle.loads(pickle.dumps(ds)) as copy:
        assert copy.hash == ds.hash


def test_positions_cannot_be_changed_by_accident(path):
    with Dataset(path) as ds:
        ds.positions(0)[:] = 0
        assert ds.positions(0).any()


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DatasetError, match="truncated"):
        Dataset(path)


def test_a_foreign_file_is_refused(path, tmp_path):
    with pytest.raises(DatasetError, match="no dataset"):
        Dataset(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(DatasetError, match="no HDF5 file"):
        Dataset(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DatasetError, match="no dataset of the workbench"):
        Dataset(tmp_path / "other.h5")


def test_another_convention_is_refused(path):
    with h5py.File(path, "r+") as file:
        header = json.loads(file["header"].asstr()[()])
        header["convention_version"] = 999
        del file["header"], file["checksums"]
        file["header"] = json.dumps(header)
    with pytest.raises(DatasetError, match="convention 999"):
        Dataset(path)


@pytest.mark.parametrize("splits", [{"a": [0, 1], "b": [1]}, {"a": [5]}, {"a": [-1]}])
def test_bad_splits_are_refused_and_nothing_is_written(samples, tmp_path, splits):
    with pytest.raises(ValueError, match="disjoint"):
        write(tmp_path / "a.h5", samples, splits, {})
    assert not list(tmp_path.iterdir())


def test_mixed_samples_are_refused(samples, tmp_path):
    mixed = [samples[0], some_samples(np.random.default_rng(3), with_overlap=True)[1]]
    with pytest.raises(ValueError, match="store all or none"):
        write(tmp_path / "a.h5", mixed, {}, {})
    with pytest.raises(ValueError, match="at least one"):
        write(tmp_path / "a.h5", [], {}, {})


def test_molecules_and_crystals_do_not_mix(tmp_path, tiny):
    sample = tiny[0]
    boxed = sample.atoms.copy()
    boxed.cell, boxed.pbc = [9.0, 9.0, 9.0], True
    crystal = Sample(boxed, sample.H, sample.energy, sample.n_electrons)
    with pytest.raises(ValueError, match="molecules or crystals, not both"):
        write(tmp_path / "mixed.h5", [sample, crystal], {"train": [0]}, {})
    write(tmp_path / "crystal.h5", [crystal], {"train": [0]}, {})
    with Dataset(tmp_path / "crystal.h5") as found:
        assert found.periodic
        assert (found[0].H - sample.H).max_abs() <= found.step / 2


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300, 1e12])
@pytest.mark.parametrize("what", ["H", "stored_overlap", "positions"])
def test_a_number_that_no_file_can_hold_is_refused_before_it_is_cast(tmp_path, what, wrong):
    """Cast to an integer, such an element of H would become -9.2e10 eV."""
    samples = some_samples(np.random.default_rng(1), with_overlap=True)
    if what == "positions":
        samples[2].atoms.positions[0, 1] = wrong
    else:
        matrix = getattr(samples[2], what)
        matrix.values[0, 0, 0] = wrong
    with pytest.raises(ValueError, match=r"Sample 2, H2O, cannot be stored: .* leave it out"):
        write(tmp_path / "a.h5", samples, {}, {})
    assert not list(tmp_path.iterdir())


def test_infinite_energies_are_refused(samples, tmp_path):
    samples[1] = replace(samples[1], energy=-np.inf)
    with pytest.raises(ValueError, match="Sample 1, H2, has an infinite energy"):
        write(tmp_path / "a.h5", samples, {}, {})


@pytest.mark.parametrize("step", [np.nan, np.inf, 1e20, 0.0, -1.0])
def test_a_step_that_resolves_nothing_is_refused(path, samples, tmp_path, step):
    with pytest.raises(ValueError, match="step must be a number above 0 and at most 1"):
        write(tmp_path / "a.h5", samples, SPLITS, {}, step=step)
    with Dataset(path) as whole, pytest.raises(ValueError, match="step must be a number above 0"):
        write_part(whole, tmp_path / "part.h5", {"train": 2}, step)
    assert [p.name for p in tmp_path.iterdir()] == ["small.h5"]
