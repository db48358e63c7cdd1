"""Merging datasets: which samples are kept, in which splits, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run
from workbench.datasets.dataset import Dataset, DatasetError, Sample
from workbench.datasets.merging import merge_datasets
from workbench.datasets.repeats import Place, repeats
from workbench.datasets.splits import fingerprint
from workbench.datasets.writing import write
from workbench.storage.writing_errors import TargetError


@pytest.fixture(scope="module")
def samples():
    """Ten shaken waters, Hartree-Fock in STO-3G, and what their method records."""

    def one(seed):
        atoms = wb.load("water")
        atoms.rattle(0.05, seed=seed)
        return wb.reference(atoms, basis="sto-3g", xc="hf")

    return [one(seed) for seed in range(10)]


@pytest.fixture
def files(samples, tmp_path):
    """Writes a dataset of some of the samples: name, their numbers, splits, groups."""

    def make(name, numbers, splits, groups=None, change=lambda r: r):
        path = tmp_path / name
        chosen = (change(samples[i]) for i in numbers)
        wb.write_dataset(path, chosen, splits, groups=groups)
        return path

    return make


def turned(sample):
    """The reference of the rotated, shifted and renumbered geometry."""
    atoms = wb.rotate(sample.atoms, wb.rotation((1, 2, 3), 50))[[0, 2, 1]]
    atoms.translate([1, 2, 3])
    return wb.reference(atoms, basis="sto-3g", xc="hf")


def test_all_samples_stay_in_their_splits_and_the_merged_set_trains(files, samples, tmp_path):
    a = files("a.h5", [0, 1, 2, 3], {"train": [0, 1, 2], "valid": [3]}, groups=[0, 0, 1, 2])
    b = files("b.h5", [4, 5, 6], {"train": [1], "test": [0, 2]}, groups=[0, 1, 0])
    found = numbers_of("merge", a, b, "--out", tmp_path / "c.h5")
    assert found["splits"] == {"train": 4, "valid": 1, "test": 2}
    assert found["repeats_left_out"] == 0
    with Dataset(tmp_path / "c.h5") as merged, Dataset(a) as first, Dataset(b) as second:
        merged.verify()
        assert merged.split("train").tolist() == [0, 1, 2, 5]
        assert merged.split("test").tolist() == [4, 6]
        for i, sample in enumerate(samples[:7]):
            assert (merged[i].H - sample.H).max_abs() < 1e-8
            assert np.array_equal(merged.positions(i), sample.atoms.positions)
        assert merged.groups.tolist() == [0, 0, 1, 2, 3, 4, 3]
        assert merged.method == samples[0].method
        named = [{k: of[k] for k in ("name", "sha256")} for of in merged.provenance["merged_from"]]
        assert named == [{"name": of.path.name, "sha256": of.hash} for of in (first, second)]
        how = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None, batch_size=2)
        small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
        *_, last = wb.train(small, merged, how)
        assert wb.evaluate(last.model, merged, progress=False)["structures"] == 2


def test_a_geometry_in_two_splits_is_refused_or_its_group_dropped(files, tmp_path):
    """The first training trajectory of a holds the geometry of b's test sample, rotated."""
    a = files("a.h5", [0, 1, 2], {"train": [0, 1, 2]}, groups=[0, 0, 1])
    b = files("b.h5", [1, 5], {"test": [0], "train": [1]}, change=turned)
    with pytest.raises(DatasetError, match=r"Sample 1 of .*a.h5 \(train\) and sample 0 of .*b.h5"):
        merge_datasets(tmp_path / "c.h5", [a, b])
    assert not (tmp_path / "c.h5").exists()
    for sources in ([a, b], [b, a]):
        merge_datasets(tmp_path / "c.h5", sources, drop_repeats=True)
        with Dataset(tmp_path / "c.h5") as merged:
            assert {name: len(merged.split(name)) for name in merged.splits} == {
                "train": 2,
                "test": 1,
            }
            left_out = {
                of["name"]: of["repeats_left_out"] for of in merged.provenance["merged_from"]
            }
            assert left_out == {"a.h5": 2, "b.h5": 0}


def test_a_geometry_in_one_split_of_both_is_kept_once(files, tmp_path):
    a = files("a.h5", [0, 1], {"train": [0, 1]})
    b = files("b.h5", [1, 2], {"train": [0, 1]})
    result = run("merge", a, b, "--out", tmp_path / "c.h5")
    assert "3 samples" in result.stdout
    assert "1 samples with repeated geometries left out" in result.stdout


def test_what_does_not_belong_together_is_refused(files, samples, tmp_path):
    a = files("a.h5", [0], {"train": [0]})
    finer = {"functional": "pbe", "grid_level": 4}
    ks = files("ks.h5", [1], {}, change=lambda r: replace(r, method=r.method | finer))
    coarse = {"functional": "pbe", "grid_level": 3}
    ks3 = files("ks3.h5", [2], {}, change=lambda r: replace(r, method=r.method | coarse))
    other = files("other.h5", [3], {}, change=_in_another_basis)
    for sources, sentence in (
        ([a], "two or more datasets"),
        ([a, a], "content of another source: name it once"),
        ([a, ks], r"two levels of theory, HF \(PySCF\) and PBE \(PySCF\): do not mix"),
        ([ks, ks3], "differ in grid_level 4 and 3: label them with the same settings"),
        ([a, other], "The bases sto-3g and own differ"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            merge_datasets(tmp_path / "c.h5", sources)
    with pytest.raises(TargetError, match="is read to make the result"):
        merge_datasets(a, [a, ks])


def _in_another_basis(r):
    return replace(
        r,
        H=replace(r.H, basis=replace(r.H.basis, name="own")),
        S=replace(r.S, basis=replace(r.S.basis, name="own")),
    )


def test_overlaps_are_stored_for_all_or_none(samples, tmp_path):
    """One file stores them, and PySCF computes those of the other."""
    made = [
        Sample(r.atoms, r.H, r.energy, r.n_electrons, 0, S)
        for r, S in ((samples[0], None), (samples[1], samples[1].S))
    ]
    for name, sample in zip("ab", made, strict=True):
        write(tmp_path / f"{name}.h5", [sample], {"train": [0]}, {})
    merge_datasets(tmp_path / "c.h5", [tmp_path / "a.h5", tmp_path / "b.h5"])
    with Dataset(tmp_path / "c.h5") as merged:
        assert merged.stores_overlap
        assert (merged[0].S - samples[0].S).max_abs() < 1e-12


def test_crystals_are_the_same_when_rotated_shifted_or_wrapped(tmp_path):
    with Dataset("mg-mini") as data:
        kept = [data[i] for i in range(3)]
    atoms = kept[1].atoms.copy()
    atoms.wrap()
    atoms.translate([0.1, 0.2, 0.3])
    atoms = wb.rotate(atoms, wb.rotation((0, 0, 1), 30))
    strained = kept[2].atoms.copy()
    strained.set_cell(strained.cell.array * 1.01)
    for name, chosen in (
        ("a", kept),
        ("b", [replace(kept[1], atoms=atoms), replace(kept[2], atoms=strained)]),
    ):
        write(tmp_path / f"{name}.h5", chosen, {}, {})
    with Dataset(tmp_path / "a.h5") as a, Dataset(tmp_path / "b.h5") as b:
        assert repeats([a, b]) == [(Place(0, 1), Place(1, 0))]
        assert np.allclose(fingerprint(a.atoms(1)), fingerprint(b.atoms(0)), atol=1e-6)


def test_a_part_of_a_part_knows_its_method(files, samples, tmp_path):
    a = files("a.h5", range(4), {"train": range(4)})
    for source, out, number in ((a, "b.h5", 3), (tmp_path / "b.h5", "c.h5", 2)):
        numbers_of("part", source, "--out", tmp_path / out, "--train", number)
    with Dataset(tmp_path / "c.h5") as part:
        assert part.method == samples[0].method


def test_a_part_of_chosen_samples_keeps_their_splits(files, tmp_path):
    a = files("a.h5", range(8), {"train": range(5), "valid": [5], "test": [6, 7]})
    for words, splits, kept in (
        (("--samples", "1:3,6"), {"train": [0, 1], "test": [2]}, [1, 2, 6]),
        (("--split", "test", "--train", 1), {"train": [0], "test": [1, 2]}, [0, 6, 7]),
        (("--samples", "7,4:"), {"train": [0], "valid": [1], "test": [2, 3]}, [4, 5, 6, 7]),
    ):
        numbers_of("part", a, "--out", tmp_path / "p.h5", "--overwrite", *words)
        with Dataset(tmp_path / "p.h5") as part, Dataset(a) as whole:
            assert {name: part.split(name).tolist() for name in part.splits} == splits
            for i, k in enumerate(kept):
                assert np.array_equal(part.positions(i), whole.positions(k))
    for words, sentence in (
        (("--samples", "8"), "have the numbers 0 to 7"),
        (("--samples", "a"), "'a' is no number of a sample and no range"),
        (("--split", "unseen"), "has no split 'unseen'"),
        ((), "give a number for at least one split"),
    ):
        result = run("part", a, "--out", tmp_path / "q.h5", *words)
        assert result.exit_code == 2
        assert sentence in result.stderr
