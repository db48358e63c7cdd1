"""Models of crystals: the laws their predictions obey, and training on them from end to end."""

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.crystal import integrals, quickly_trained, sheet
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.config import ModelConfig
from workbench.widgets.parts.readout import heading

ATOMS = sheet()
SMALL = {"channels": 6, "layers": 1, "radial": 6, "readout": 12, "pair_readout": 12}
SMALL |= {"refiner_width": 16, "refiner_heads": 2, "refiner_layers": 1, "guess": "none"}
CONFIG = ModelConfig(**SMALL, cutoff=6.0, refiner_frame="local")


def shaken(seed):
    atoms = ATOMS.copy()
    atoms.rattle(0.06, seed=seed)
    return atoms


def sample(seed):
    atoms = shaken(seed)
    H = integrals(atoms, "int1e_kin", basis="sto-3g", cutoff=6.0) * HARTREE
    return Sample(atoms, H, float("nan"), 0, seed, fermi_level=0.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Kinetic energies of shaken sheets: a Hamiltonian that depends on two centres only."""
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
        found = wb.evaluate(trained, dataset, progress=False, each=True)
        size = np.mean([dataset[int(i)].H.mae() for i in dataset.split("test")]) * 1000
    assert found["refined"]["mae_mev"] < 0.02 * size
    assert found["refined"]["equivariance_max_mev"] < 1.0
    assert "gap_mae_mev" not in found["refined"]
    assert all("band_mae_mev" in e["refined"] for e in found["each"])


def test_predictions_are_hermitian_and_turn(trained):
    R = wb.random_rotation(np.random.default_rng(3))
    atoms = shaken(50)
    for here, there in zip(
        *(stages(trained.predict(a)) for a in (atoms, wb.rotate(atoms, R))), strict=True
    ):
        assert largest(here, here.hermitian()) < 1e-10
        assert largest(there, here.rotate(R)) < 1e-3


def test_a_supercell_holds_the_blocks_of_its_cell(trained):
    """Atom a of copy c is atom a of the cell: blocks between copies are those between cells."""
    atoms = shaken(51)
    double = atoms.repeat((2, 1, 1))
    n = len(atoms)
    for one, two in zip(*(stages(trained.predict(a)) for a in (atoms, double)), strict=True):
        i, j = two.edges
        shifts = two.shifts * [2, 1, 1] + np.stack([j // n - i // n, 0 * i, 0 * i], axis=1)
        expected = one.over(np.stack([i % n, j % n]), shifts)
        np.testing.assert_allclose(two.values, expected, atol=1e-4)
        assert len(two.values) == 2 * len(one.values)


def test_moving_an_atom_by_a_cell_renames_its_blocks(trained):
    atoms = shaken(52)
    moved = atoms.copy()
    moved.positions[1] += atoms.cell[0]
    for one, two in zip(*(stages(trained.predict(a)) for a in (atoms, moved)), strict=True):
        i, j = two.edges
        shifts = two.shifts.copy()
        shifts[:, 0] += (j == 1).astype(int) - (i == 1).astype(int)
        np.testing.assert_allclose(two.values, one.over(two.edges, shifts), atol=1e-4)


def test_a_prediction_is_continuous_when_a_pair_crosses_the_cutoff(trained):
    """Steps a hundred times smaller change it that much less: there is a slope, but no jump."""
    atoms = Atoms("C3", np.zeros((3, 3)), cell=[20.0, 20.0, 20.0], pbc=True)
    atoms.positions[1, 0] = 1.9

    def changes(step):
        found = []
        for distance in (6.0 - step, 6.0 + step):
            atoms.positions[2, 0] = distance
            found.append(trained.predict(atoms))
        for one, two in zip(*(stages(p) for p in found), strict=True):
            assert one.edges.shape[1] == two.edges.shape[1] + 2
            yield largest(one, two)

    for coarse, fine in zip(changes(1e-2), changes(1e-4), strict=True):
        assert fine < 0.03 * coarse


def test_what_cannot_be_trained_says_so(path):
    with wb.Dataset(path) as dataset, pytest.raises(ValueError, match="guess='none'"):
        next(wb.train(ModelConfig(cutoff=5.0), dataset))


def test_the_lab_turns_a_crystal():
    """Its matrices are those at k = 0; a block is chosen with the cell of its column atom."""
    H, S = (integrals(ATOMS, k, "sto-3g", 6.0) for k in ("int1e_kin", "int1e_ovlp"))
    reference = wb.Reference(H, S, energy=0.0, n_electrons=8)
    lab = wb.RotationLab(
        ATOMS,
        reference=reference,
        predictors={"near": lambda atoms: integrals(atoms, "int1e_kin", "sto-3g", 4.0)},
    )
    R = wb.rotation((1, 1, 0), 40)
    lab.turn_to(R)
    np.testing.assert_allclose(lab.matrices.painted()[0], H.rotate(R).at_gamma(), atol=1e-4)
    assert lab.snapshot.symmetry["near"].max_mev < 1e-6
    np.testing.assert_allclose(lab.snapshot.levels["reference"], wb.levels(H, S), atol=1e-9)
    assert "at k = 0" in heading(lab.experiment)
    lab.pick(0, 1)
    cells = [value for _, value in lab.block.cell.options]
    assert cells[0] == (0, 0, 0)
    lab.block.cell.value = cells[3]
    shown = H.rotate(R).block(0, 1, cells[3])
    np.testing.assert_allclose(lab.block.heat.painted()[0], shown, atol=1e-4)
    far = cells[-1]
    assert np.abs(H.block(0, 1, far)).max() > 0
    lab.block.quantity.value, lab.block.cell.value = "near", far
    np.testing.assert_array_equal(lab.block.heat.painted()[0], 0)  # beyond the reach of "near"
    lab.pick(0, 0)
    assert lab.block.cell.value == (0, 0, 0)
    lab.close()


def test_at_gamma_is_the_sum_over_cells():
    H = integrals(ATOMS, "int1e_kin", "sto-3g", 4.0)
    np.testing.assert_allclose(H.at_gamma(), H.at_k([0, 0, 0]).real)
    with pytest.raises(ValueError, match="at_k"):
        H.dense()
