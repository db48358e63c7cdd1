"""The splits of QH9's authors: their numbers, and which of them share molecules."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import published_sets as sets
from tests.support.command_line import run
from workbench.datasets.conversion import Collection
from workbench.datasets.formats import FormatError, qh9, qh9_splits

ROWS = {"stable": 130_831, "dynamic": 99_900}


def rows(kind):
    return [Path("a.db", str(k)) for k in range(ROWS[kind])]


def sizes(splits):
    return [len(splits[name]) for name in ("train", "valid", "test")]


def test_the_random_split_has_the_numbers_of_the_readme():
    splits = qh9.FORMAT.splits["stable-id"](rows("stable"))
    assert sizes(splits) == [104_664, 13_083, 13_084]
    whole = np.random.RandomState(43).permutation(130_831)
    assert set(splits["valid"]) == set(whole[104_664:117_747])


def test_the_split_by_size_has_no_size_in_two():
    atoms = np.array([3, 20, 21, 22, 23, 29])
    splits = qh9_splits.by_size(atoms)
    assert [atoms[k].tolist() for k in splits.values()] == [[3, 20], [21, 22], [23, 29]]


def test_the_split_by_molecule_shares_none_and_the_one_by_geometry_all():
    apart = qh9.FORMAT.splits["dynamic-mol"](rows("dynamic"))
    assert sizes(apart) == [79_900, 9_900, 10_100]
    molecules = [set((numbers // 100).tolist()) for numbers in apart.values()]
    assert sum(map(len, molecules)) == len(set.union(*molecules)) == 999
    within = qh9.FORMAT.splits["dynamic-geo"](rows("dynamic"))
    assert sizes(within) == [79_920, 9_990, 9_990]
    assert all(set((numbers // 100).tolist()) == set(range(999)) for numbers in within.values())
    assert len(np.unique(np.concatenate(list(within.values())))) == 99_900


def test_the_split_by_molecule_is_that_of_the_authors():
    """As their script draws it, with the generator of the module random."""
    import random

    random.seed(43)
    order = list(range(999))
    random.shuffle(order)
    found = qh9_splits.by_molecule(99_900)["train"]
    assert set((found // 100).tolist()) == set(order[:799])


@pytest.mark.parametrize("name", qh9.FORMAT.splits)
def test_a_part_of_a_file_has_no_published_split(name, tmp_path):
    path = sets.qh9_stable(tmp_path / "a.db", sets.calculations())
    with pytest.raises(FormatError, match="and there are 3: leave out --published"):
        Collection.found(path, form=qh9.FORMAT, published=name)


def test_a_published_split_replaces_the_draw(tmp_path, monkeypatch):
    monkeypatch.setattr(qh9_splits, "_STABLE", (3,))
    path = sets.qh9_stable(tmp_path / "a.db", sets.calculations())
    found = Collection.found(path, form=qh9.FORMAT, published="stable-ood")
    assert sizes(found.splits) == [3, 0, 0]
    assert found.recipe["published_split"] == "stable-ood"
    words = "import", "qh9", path, "--out", tmp_path / "a.h5", "--published", "stable-id"
    assert run(*words, "--limit", 2).exit_code == 2
    assert run(*words).exit_code == 0
