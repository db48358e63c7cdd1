"""Models of crystals, from training to prediction: the laws that they obey."""

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.crystal import integrals, quickly_trained, sheet
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.config import ModelConfig

ATOMS = sheet()
SMALL = {"channels": 6, "layers": 1, "radial": 6, "readout": 12, "pair_readout": 12}
SMALL |= {"refiner_width": 16, "refiner_heads": 2, "refiner_layers": 1, "guess": "none"}
CONFIG = ModelConfig(**SMALL, cutoff=6.0, refiner_frame="local")


def distorted(seed):
    atoms = ATOMS.copy()
    atoms.rattle(0.06, seed=seed)
    return atoms


def sample(seed):
    atoms = distorted(seed)
    H = integrals(atoms, "int1e_kin", basis="sto-3g", cutoff=6.0) * HARTREE
    return Sample(atoms, H, float("nan"), 0, seed, fermi_level=0.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Kinetic energies of distorted sheets: a Hamiltonian of two-centre integrals only."""
    path = tmp_path_factory.mktemp("crystals") / "sheets.h5"
    splits = {"train": range(10), "valid": range(10, 13), "test": range(13, 16)}
    write(path, (sample(k) for k in range(16)), {k: list(v) for k, v in splits.items()}, {})
    return path


@pytest.fixture(scope="module")
def trained(path):
    return quickly_trained(CONFIG, path)


def largest(a, b):
    return (a - b).max_abs()


def stages(prediction):
    return prediction.baseline, prediction.refined


def test_a_model_learns_crystals_and_is_evaluated_on_them(trained, path):
    with wb.Dataset(path) as dataset:
        report = wb.evaluate(trained, dataset, progress=False, each=True)
        size = np.mean([dataset[int(i)].H.mae() for i in dataset.split("test")]) * 1000
    assert report["refined"]["mae_mev"] < 0.02 * size
    assert report["refined"]["equivariance_max_mev"] < 1.0
    assert "gap_mae_mev" not in report["refined"]
    assert all("band_mae_mev" in e["refined"] for e in report["each"])
    without_overlap = ("gauge_free_mae_mev", "shift_mev", "gauge_share", "aligned_band_mae_mev")
    for errors in (report["refined"], *(e["baseline"] for e in report["each"])):
        assert [errors[key] for key in without_overlap] == [None] * 4


def test_predictions_are_hermitian_and_equivariant(trained):
    R = wb.random_rotation(np.random.default_rng(3))
    atoms = distorted(50)
    for original, rotated in zip(
        *(stages(trained.predict(a)) for a in (atoms, wb.rotate(atoms, R))), strict=True
    ):
        assert largest(original, original.hermitian()) < 1e-10
        assert largest(rotated, original.rotate(R)) < 1e-3


def test_a_supercell_has_the_blocks_of_its_cell(trained):
    """Atom a of copy c is atom a of the cell: blocks between copies are those between cells."""
    atoms = distorted(51)
    double = atoms.repeat((2, 1, 1))
    n = len(atoms)
    for one, two in zip(*(stages(trained.predict(a)) for a in (atoms, double)), strict=True):
        i, j = two.edges
        shifts = two.shifts * [2, 1, 1] + np.stack([j // n - i // n, 0 * i, 0 * i], axis=1)
        expected = one.over(np.stack([i % n, j % n]), shifts)
        np.testing.assert_allclose(two.values, expected, atol=1e-4)
        assert len(two.values) == 2 * len(one.values)


def test_moving_an_atom_by_a_cell_only_changes_shifts(trained):
    atoms = distorted(52)
    moved = atoms.copy()
    moved.positions[1] += atoms.cell[0]
    for one, two in zip(*(stages(trained.predict(a)) for a in (atoms, moved)), strict=True):
        i, j = two.edges
        shifts = two.shifts.copy()
        shifts[:, 0] += (j == 1).astype(int) - (i == 1).astype(int)
        np.testing.assert_allclose(two.values, one.over(two.edges, shifts), atol=1e-4)


def test_a_prediction_is_continuous_when_a_pair_crosses_the_cutoff(trained):
    """The change over a step 100 times smaller is smaller in proportion: a slope, no jump."""
    atoms = Atoms("C3", np.zeros((3, 3)), cell=[20.0, 20.0, 20.0], pbc=True)
    atoms.positions[1, 0] = 1.9

    def changes(step):
        predictions = []
        for distance in (6.0 - step, 6.0 + step):
            atoms.positions[2, 0] = distance
            predictions.append(trained.predict(atoms))
        for one, two in zip(*(stages(p) for p in predictions), strict=True):
            assert one.edges.shape[1] == two.edges.shape[1] + 2
            yield largest(one, two)

    for coarse, fine in zip(changes(1e-2), changes(1e-4), strict=True):
        assert fine < 0.03 * coarse


def test_a_crystal_with_a_guess_is_refused(path):
    with wb.Dataset(path) as dataset, pytest.raises(ValueError, match="guess='none'"):
        next(wb.train(ModelConfig(cutoff=5.0), dataset))
