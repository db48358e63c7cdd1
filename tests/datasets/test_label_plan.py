"""The plan of a label job: batches, no structure in two splits, and the recipe as its identity."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.datasets.label_plan import collect, draw_batch, plan, recipe
from workbench.datasets.label_settings import LabelSettings
from workbench.engines.pyscf_molecules import method
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import StructureError, load, rotate
from workbench.structures.sampling import AsGiven, Displaced

SPLITS = {"train": 7, "valid": 2, "test": 4}
BY_SPLIT = {"train": ["HF", "H2"], "valid": ["water"], "test": ["ammonia"]}
ALL = ["HF", "H2", "water"]


def the_recipe(structures=ALL, splits=SPLITS, sampling=None, seed=0, oriented=True, **job):
    """A recipe as a file gives it back."""
    starts = collect(structures, splits)
    engine, basis, xc = job.pop("engine", "pyscf"), job.pop("basis", "sto-3g"), job.pop("xc", "hf")
    label_settings = LabelSettings.of(starts.atoms, engine, basis, xc, job)
    made = recipe(starts, splits, sampling or Displaced(), seed, oriented, label_settings)
    return json.loads(json.dumps(made))


# ---- batches -------------------------------------------------------------------------------------


@given(
    st.sampled_from([ALL, BY_SPLIT, "HF"]),
    st.fixed_dictionaries({split: st.integers(0, 12) for split in SPLITS}).filter(
        lambda splits: any(splits.values())
    ),
    st.integers(1, 6),
)
@settings(max_examples=30, deadline=None)
def test_the_batches_divide_the_samples_among_splits_and_structures(structures, splits, most):
    starts = collect(structures, splits)
    batches = plan(starts, splits, most)
    samples = [i for b in batches for i in range(b.start, b.start + b.count)]
    assert samples == list(range(len(samples)))  # each once, in the order of the dataset
    assert all(1 <= b.count <= most for b in batches)
    assert len({b.key for b in batches}) == len(batches)  # no two batches share a random sequence
    for split, count in splits.items():
        for structure in starts.of_split[split]:
            of_pair = [b for b in batches if (b.split, b.structure) == (split, structure)]
            assert sum(b.count for b in of_pair) == count


def test_a_structure_that_belongs_to_a_split_is_sampled_in_no_other():
    starts = collect(BY_SPLIT, SPLITS)
    splits_of = {b.structure: set() for b in plan(starts, SPLITS, 2)}
    for b in plan(starts, SPLITS, 2):
        splits_of[b.structure].add(b.split)
    assert splits_of == {0: {"train"}, 1: {"train"}, 2: {"valid"}, 3: {"test"}}


def test_more_samples_or_structures_of_one_split_do_not_change_another():
    def keys(structures, splits, split):
        batches = plan(collect(structures, splits), splits, 2)
        return [(b.key, b.count) for b in batches if b.split == split]

    more_structures = {**BY_SPLIT, "train": ["HF", "H2", "methane"]}
    assert keys(BY_SPLIT, SPLITS, "test") == keys(more_structures, SPLITS, "test")
    assert keys(ALL, SPLITS, "valid") == keys(ALL, {**SPLITS, "train": 30}, "valid")


def test_a_batch_depends_on_its_key_and_the_seed_only():
    first, second = plan(collect("water", SPLITS), SPLITS, 3)[:2]
    water, sampling = load("water"), Displaced()
    drawn = draw_batch(first, water, sampling, 0, True)["positions"]
    assert drawn.shape == (3, 3, 3)
    np.testing.assert_array_equal(drawn, draw_batch(first, water, sampling, 0, True)["positions"])
    for other in (
        draw_batch(second, water, sampling, 0, True),
        draw_batch(first, water, sampling, 1, True),
    ):
        assert np.abs(drawn - other["positions"]).min(axis=(1, 2)).max() > 1e-6


# ---- no structure in two splits ------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, -1]))
@settings(max_examples=10, deadline=None)
def test_a_copy_in_another_split_is_refused_however_it_is_rotated_or_renumbered(seed, sign):
    rng, ammonia = np.random.default_rng(seed), load("ammonia")
    copy = rotate(ammonia, sign * random_rotation(rng))[rng.permutation(len(ammonia))]
    copy.positions += rng.normal(size=3)
    with pytest.raises(
        StructureError, match=r"H3N is there twice \(train and test, .*\): remove one"
    ):
        collect({"train": ["HF", ammonia], "test": [copy]}, {"train": 1, "test": 1})


def test_another_conformation_or_isomer_is_another_structure():
    ethanol = load("ethanol")
    stretched = ethanol.copy()
    stretched.set_distance(0, 1, ethanol.get_distance(0, 1) + 0.05)
    splits = {"train": 1, "test": 1}
    collect({"train": [ethanol], "test": [stretched]}, splits)
    collect({"train": [ethanol], "test": ["CH3OCH3"]}, splits)


def test_a_structure_twice_in_one_split_is_refused():
    with pytest.raises(StructureError, match=r"H2O is there twice \(train, structures 0 and 1"):
        collect({"train": ["water", "water"], "test": ["HF"]}, {"train": 1, "test": 1})


def test_tautomers_in_two_splits_are_refused_if_their_keys_say_so():
    keto, enol = load("CH3CHO"), load("CH2OCH2")
    for atoms in (keto, enol):
        atoms.info["key"] = "CC=O"
    with pytest.raises(StructureError, match="C2H4O is in test, but its key 'CC=O' is in train"):
        collect({"train": [keto], "test": [enol]}, {"train": 1, "test": 1})
    collect({"train": [keto, enol], "test": ["HF"]}, {"train": 1, "test": 1})


# ---- the recipe ----------------------------------------------------------------------------------


def test_structures_without_splits_keep_the_recipe_they_had():
    made = the_recipe("H2", {"a": 1}, AsGiven(), grid=4, conv_tol_grad=1e-8)
    assert made["method"] == method("sto-3g", "hf", 4, conv_tol_grad=1e-8)
    assert list(made) == [
        *("structures", "sampling", "samples_per_structure", "seed", "oriented", "method"),
        *("convention_version", "versions"),
    ]
    assert list(made["structures"][0]) == ["numbers", "positions", "charge", "spin"]


def test_the_same_arguments_are_the_same_job():
    assert the_recipe() == the_recipe()
    assert the_recipe(grid=4, conv_tol_grad=1e-8) == the_recipe()  # the defaults, spelt out
    assert the_recipe(max_cycle=300) == the_recipe()  # affects no label
    assert the_recipe(spin_orbit=False) == the_recipe()


@pytest.mark.parametrize(
    "change",
    [
        {"structures": ["HF", "H2"]},
        {"structures": BY_SPLIT},
        {"splits": {**SPLITS, "test": 5}},
        {"sampling": Displaced(sigma=0.1)},
        {"seed": 1},
        {"oriented": False},
        {"basis": "def2-svp"},
        {"basis": None},
        {"xc": "pbe"},
        {"conv_tol_grad": 1e-6},
        {"density_fitting": True},
    ],
    ids=str,
)
def test_whatever_decides_the_content_makes_another_job(change):
    assert the_recipe(**change) != the_recipe()


def test_the_grid_is_part_of_the_job_where_there_is_one():
    assert the_recipe(xc="pbe", grid=3) != the_recipe(xc="pbe")
    assert the_recipe(xc="hf", grid=3) == the_recipe(xc="hf")


def test_a_moved_atom_makes_another_job():
    water = load("water")
    water.positions[0, 0] = np.nextafter(water.positions[0, 0], 9)
    assert the_recipe([water]) != the_recipe(["water"])
    assert the_recipe([load("water")]) == the_recipe(["water"])
