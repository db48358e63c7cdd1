"""The cutoff reaches as far as the data, or its cost is announced; validation counts all blocks."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

import workbench as wb
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.structures.loading import pair_vectors
from workbench.training.background import LiveTraining
from workbench.training.cutoff import with_cutoff

BASIS = wb.Basis("toy", {1: (0,), 6: (0, 1)})
HYDROGEN = wb.Basis("sto-3g", {1: (0,)})
REACH = 4.0
"""Longest pair of the crystals, A; also their smallest lattice constant, so it is stored."""

CONFIG = wb.ModelConfig(
    guess="none",
    lmax=2,
    channels=4,
    layers=1,
    radial=6,
    readout=8,
    pair_readout=8,
    refiner_width=16,
    refiner_heads=2,
    refiner_layers=1,
    refiner_frame="local",
)
HOW = wb.TrainConfig(stage1=wb.Budget(steps=2), stage2=wb.Budget(steps=2), batch_size=2)


def crystal(seed) -> Sample:
    """Two to four atoms, and random blocks of two thirds of the pairs within REACH, hermitian."""
    random = np.random.default_rng(seed)
    n = 2 + seed % 3
    positions = 1.5 * np.arange(n)[:, None] * [1.0, 0.6, 0.3] + random.normal(0, 0.1, (n, 3))
    numbers = [1, 6, 1, 6][:n]
    atoms = Atoms(numbers, positions, cell=[REACH, 6.0, 7.0], pbc=True)
    i, j, T = neighbor_list("ijS", atoms, REACH + 1e-6)
    first = (i < j) | ((i == j) & (T @ [100, 10, 1] > 0))
    first &= (random.random(len(i)) < 2 / 3) | (i == j)
    on_site = np.arange(n)
    edges = np.stack([np.r_[on_site, i[first]], np.r_[on_site, j[first]]])
    shifts = np.concatenate([np.zeros((n, 3), dtype=np.int64), T[first]])
    values = random.normal(size=(len(shifts), BASIS.dim, BASIS.dim))
    values[:n] += values[:n].swapaxes(1, 2)
    H = BlockMatrix(BASIS, atoms.numbers.astype(np.int64), edges, shifts, values)
    H = replace(H, values=H.values * H.mask)
    H = BlockMatrix.from_half(BASIS, H.numbers, H.edges, H.shifts, H.values)
    return Sample(atoms, H, float("nan"), 0, seed, fermi_level=0.0)


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    path = tmp_path_factory.mktemp("crystals") / "random.h5"
    splits = {"train": [0, 1, 2, 3], "valid": [4, 5, 6]}
    write(path, (crystal(k) for k in range(7)), splits, {})
    with wb.Dataset(path) as dataset:
        yield dataset


@pytest.fixture
def rod(tmp_path):
    """Hydrogen chains of 18 A whose only blocks that are not zero are those within 12 A."""
    atoms = Atoms("H10", [(2.0 * k, 0, 0) for k in range(10)])
    random = np.random.default_rng(0)
    samples = []
    for k in range(4):
        dense = random.normal(size=(10, 10))
        dense[np.abs(np.subtract.outer(np.arange(10), np.arange(10))) > 6] = 0
        H = BlockMatrix.from_dense(HYDROGEN, atoms.numbers, dense + dense.T)
        samples.append(Sample(atoms, H, float("nan"), 10, k))
    write(tmp_path / "rods.h5", samples, {"train": [0, 1], "valid": [2, 3]}, {})
    with wb.Dataset(tmp_path / "rods.h5") as dataset:
        yield dataset


def errors_of_both(config, dataset, how=HOW):
    """Validation errors after both stages as `train` and as `evaluate` give them, meV."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solved = [record for record in wb.train(config, dataset, how) if record.solved]
    found = wb.evaluate(solved[-1].model, dataset, "valid", progress=False)
    rows = [row for row in solved[-1].model.info["history"] if row["phase"].endswith("solved")]
    assert [row["valid_mae_ev"] for row in rows] == [r.valid_mae_ev for r in solved[:2]]
    trained = [1000 * row["valid_mae_ev"] for row in rows]
    return trained, [found[stage]["mae_mev"] for stage in ("baseline", "refined")]


@pytest.mark.parametrize("cutoff", [2.5, 8.0, "data"])
def test_the_validation_error_is_what_evaluate_finds(crystals, cutoff):
    """Blocks beyond the cutoff, and predicted blocks that are not stored, are in both."""
    trained, evaluated = errors_of_both(replace(CONFIG, cutoff=cutoff), crystals)
    assert trained == pytest.approx(evaluated, rel=1e-5)


def test_the_validation_error_of_molecules_is_what_evaluate_finds(rod, tiny):
    """With a guess, and in chains that are longer than the cutoff."""
    no_guess = replace(CONFIG, cutoff=7.0)
    guess = replace(CONFIG, guess="orbitals")
    for config, dataset in ((no_guess, rod), (guess, tiny)):
        trained, evaluated = errors_of_both(config, dataset)
        assert trained == pytest.approx(evaluated, rel=1e-5)


def test_no_block_of_the_data_is_beyond_the_default_cutoff(crystals, rod):
    for dataset, reach in ((crystals, REACH), (rod, 12.0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            first = next(wb.train(CONFIG, dataset, HOW))
        assert reach < first.model.config.longest_pair <= 1.05 * reach + 0.1


def test_small_molecules_have_the_cutoff_of_larger_ones(tiny):
    assert with_cutoff(CONFIG, tiny).cutoff == 10.0
    assert with_cutoff(replace(CONFIG, cutoff=3.0), tiny).cutoff == 3.0
    assert with_cutoff(replace(CONFIG, cutoff=None), tiny).cutoff is None


def test_a_stage_one_that_is_taken_over_keeps_its_cutoff(crystals):
    *_, last = wb.train(replace(CONFIG, cutoff=5.0), crystals, HOW)
    again = next(wb.train(CONFIG, crystals, HOW, stage1=last.model))
    assert again.model.config.cutoff == 5.0


def test_a_shorter_cutoff_is_announced_with_the_error_that_it_costs(crystals):
    """The error is that of a prediction which is exact for all pairs within the cutoff."""
    cutoff, said, far, stored, costs = 2.5, [], 0, 0, []
    records = wb.train(replace(CONFIG, cutoff=cutoff), crystals, HOW, announce=said.append)
    model = next(records).model
    records.close()
    for split in ("train", "valid"):
        for i in crystals.split(split):
            atoms, H = crystals.atoms(int(i)), crystals[int(i)].H
            beyond = np.linalg.norm(pair_vectors(H, atoms), axis=1) >= cutoff
            far, stored = far + beyond.sum(), stored + len(beyond)
            exact = replace(H, values=np.where(beyond[:, None, None], 0.0, H.values))
            if split == "valid":
                with_all_blocks = exact + 0.0 * model(atoms)
                costs.append(matrix_errors(with_all_blocks, H).mae_mev)
    assert 0 < far < stored
    (sentence,) = said
    assert f"cutoff of 2.5 A leaves out {far} of {stored} stored blocks" in sentence
    assert f"make {np.mean(costs):.3g} meV of the validation error" in sentence


def test_validation_errors_over_other_elements_are_marked(crystals):
    """Models of crystals from older versions have a history per stored element."""
    *_, last = wb.train(CONFIG, crystals, HOW)
    assert "per stored element" not in last.model.summary()
    assert "per stored element" in wb.load_model("mm-mini").summary()


def test_a_run_in_the_background_keeps_the_announcement(crystals):
    run = LiveTraining(replace(CONFIG, cutoff=2.5), crystals, HOW)
    run.go()
    assert run.wait()
    assert "leaves out" in run.notice
    assert LiveTraining(CONFIG, crystals, HOW).settings["model"]["cutoff"] == 4.2
