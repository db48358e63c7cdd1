"""Extending a labelled dataset: kept samples, new ones, and what is refused."""

from itertools import pairwise

import numpy as np
import pytest

from workbench.datasets.dataset import Dataset
from workbench.datasets.labelling import LabellingError, label
from workbench.datasets.writing import write
from workbench.structures.sampling import AsGiven, Displaced

TINY = {"sampling": Displaced(batch=5), "basis": "sto-3g", "xc": "hf", "progress": False}
STRUCTURES = ["HF", "H2"]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The content of one dataset after it was made, and after each of two extensions."""
    out = tmp_path_factory.mktemp("extended") / "tiny.h5"
    found = []
    for splits in (
        {"train": 7, "valid": 2},
        {"train": 12, "valid": 2},
        {"valid": 4, "train": 12, "test": 3},
    ):
        label(STRUCTURES, out, splits, **TINY)
        with Dataset(out) as data:
            data.verify()
            found.append((data.provenance, _content(data)))
    return out, found


def _content(data):
    """Split -> for each structure, its samples: positions, H and group."""
    content = {}
    for name in data.splits:
        rows = [(data.positions(i), data[i].H.dense(), data.groups[i]) for i in data.split(name)]
        half = len(rows) // 2
        content[name] = [rows[:half], rows[half:]]
    return content


def test_an_extended_dataset_keeps_its_samples(stages):
    _, found = stages
    for (_, before), (_, after) in pairwise(found):
        for name, structures in before.items():
            for few, many in zip(structures, after[name], strict=True):
                for (x, H, _), (kept_x, kept_H, _) in zip(few, many, strict=False):
                    assert np.array_equal(x, kept_x)
                    assert np.array_equal(H, kept_H)
    sizes = {name: [len(rows) for rows in some] for name, some in found[-1][1].items()}
    assert sizes == {"train": [12, 12], "valid": [4, 4], "test": [3, 3]}


def test_added_samples_are_new_and_no_two_splits_share_a_trajectory(stages):
    content = stages[1][-1][1]
    rows = [(name, *row) for name, some in content.items() for of in some for row in of]
    assert len({x.tobytes() for _, x, _, _ in rows}) == len(rows) == 38
    splits_of = {}
    for name, _, _, group in rows:
        splits_of.setdefault(group, set()).add(name)
    assert all(len(names) == 1 for names in splits_of.values())


def test_the_recipe_says_what_the_dataset_was_extended_from(stages):
    recipe = stages[1][-1][0]["recipe"]
    assert recipe["samples_per_structure"] == {"train": 12, "valid": 4, "test": 3}
    assert recipe["extended_from"] == [{"train": 7, "valid": 2}, {"train": 12, "valid": 2}]


def test_an_extended_dataset_is_found_made_and_a_smaller_one_refused(stages):
    out, _ = stages
    before = out.stat().st_mtime_ns
    label(STRUCTURES, out, {"train": 12, "valid": 4, "test": 3}, **TINY)
    assert out.stat().st_mtime_ns == before
    with pytest.raises(LabellingError, match=r"exists and has more samples: .* `part`"):
        label(STRUCTURES, out, {"train": 6, "valid": 4, "test": 3}, **TINY)
    with pytest.raises(LabellingError, match="made with other arguments"):
        label(STRUCTURES, out, {"train": 20, "valid": 4, "test": 3}, **TINY, seed=1)


def test_samples_that_were_left_out_stay_left_out(tmp_path):
    """As after `allow_failures`: the second training sample of the first structure is missing."""
    out = tmp_path / "tiny.h5"
    label("HF", out, {"train": 4, "valid": 2}, **TINY)
    with Dataset(out) as data:
        kept = [data[i] for i in (0, 2, 3, 4, 5)]
        provenance = {**data.provenance, "left_out": [1]}
    write(out, kept, {"train": [0, 1, 2], "valid": [3, 4]}, provenance)
    label("HF", out, {"train": 6, "valid": 2}, **TINY)
    with Dataset(out) as data:
        assert data.provenance["left_out"] == [1]
        assert [len(data.split(name)) for name in ("train", "valid")] == [5, 2]
        for old, new in zip(kept, [data[i] for i in (0, 1, 2, 5, 6)], strict=True):
            assert np.array_equal(old.atoms.positions, new.atoms.positions)


def test_geometries_as_given_are_not_repeated(tmp_path):
    out, given = tmp_path / "given.h5", {**TINY, "sampling": AsGiven()}
    label("H2", out, {"train": 1}, **given)
    with pytest.raises(ValueError, match=r"AsGiven cannot be extended.*: label other structures"):
        label("H2", out, {"train": 2}, **given)


def test_a_dataset_whose_splits_were_changed_is_not_extended(tmp_path):
    out = tmp_path / "tiny.h5"
    label("HF", out, {"train": 4, "valid": 2}, **TINY)
    with Dataset(out) as data:
        samples, provenance = [data[i] for i in range(6)], data.provenance
    write(out, samples, {"train": [0, 1, 2, 4], "valid": [3, 5]}, provenance)
    with pytest.raises(ValueError, match=r"split 'train' of .* is not that of its recipe"):
        label("HF", out, {"train": 6, "valid": 2}, **TINY)
