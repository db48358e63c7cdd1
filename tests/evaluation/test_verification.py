"""Verified datasets, models and runs: a wrong bit, a wrong label and a wrong model are found."""

import shutil
from dataclasses import replace

import pytest

import workbench as wb
from workbench.datasets.writing import write
from workbench.engines.pyscf_molecules import reference
from workbench.evaluation.verification import verified


def found(source, **settings):
    """Whether each test passed, by its name."""
    return {finding.test: finding.ok for finding in verified(str(source), **settings)}


@pytest.fixture(scope="module")
def labelled(tiny_path, tmp_path_factory):
    """Two samples with the record of their method; the second label is wrong by 0.1 per cent."""
    path = tmp_path_factory.mktemp("verified") / "labelled.h5"
    with wb.Dataset(tiny_path) as tiny:
        first, second = tiny[0], tiny[1]
        method = reference(first.atoms, basis="sto-3g", xc="hf").method
        wrong = replace(second, H=1.001 * second.H)
        write(path, [first, wrong], {"train": [0], "valid": [1]}, {"recipe": {"method": method}})
    return path


def flipped(path, target):
    """A copy with one wrong bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    target.write_bytes(content)
    return target


def test_a_label_that_its_method_does_not_give_is_found(labelled):
    findings = found(labelled, labels=2)
    assert findings == {
        "conventions": True,
        "checksums": True,
        "matrices": True,
        "label 0": True,
        "label 1": False,
    }


def test_labels_without_a_record_of_their_method_are_not_tested(tiny_path):
    assert found(tiny_path, labels=1)["label 0"] is None
    assert set(found(tiny_path, labels=0)) == {"conventions", "checksums", "matrices"}


def test_a_wrong_order_of_orbitals_is_found(tiny_path, tmp_path):
    """The blocks of x and y are swapped, as another program may order them."""
    with wb.Dataset(tiny_path) as tiny:
        sample = tiny[0]
        order = [0, 1, 3, 2, 4, 5, 6]
        swapped = [
            wb.BlockMatrix.from_dense(M.basis, M.numbers, M.dense()[order][:, order])
            for M in (sample.H, sample.S)
        ]
        H, S = swapped
        write(tmp_path / "a.h5", [replace(sample, H=H, stored_overlap=S)], {"train": [0]}, {})
    assert found(tmp_path / "a.h5", labels=0)["matrices"] is False


@pytest.mark.parametrize("kind", ["dataset", "model", "snapshot"])
def test_one_wrong_bit_is_found(kind, tiny_path, uninterrupted, tmp_path):
    if kind == "dataset":
        damaged, test = flipped(tiny_path, tmp_path / "tiny.h5"), "checksums"
    else:
        flipped(uninterrupted[0] / f"{kind}.safetensors", tmp_path / f"{kind}.safetensors")
        damaged, test = tmp_path, "checksum"
    assert found(damaged, labels=0)[test] is False


def test_a_run_is_verified_with_the_dataset_that_lies_beside_it(uninterrupted, tiny_path, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted[0], run)
    assert found(run, labels=0) == {"checksum": True, "stage 1": None}
    shutil.copy(tiny_path, tmp_path / "tiny.h5")
    assert found(run, labels=0) == {"checksum": True, "stage 1": True, "errors": True}
    assert set(found(run, labels=1)) > {"conventions", "checksums", "matrices", "label 0"}


def test_a_name_of_a_dataset_and_a_model_means_both():
    files = {finding.file.split(".")[-1] for finding in verified("water", labels=0)}
    assert files == {"h5", "safetensors"}


@pytest.mark.parametrize(
    ("source", "labels", "part"),
    [
        ("nothing", 0, "There is no dataset, model or run called 'nothing'"),
        ("water", -1, "labels must be a whole number from 0"),
        (".", 0, "holds no training run"),
    ],
)
def test_what_cannot_be_verified_is_one_sentence(source, labels, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=part):
        found(source, labels=labels)
