"""Models of Hamiltonians with spin: the laws they obey, and training on them from end to end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench as wb
from tests.support.crystal import integrals, quickly_trained, sheet, spin_orbit
from tests.support.networks import SPINOR_BASIS, SPINOR_CONFIG
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.evaluation.equivariance import equivariance
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians import spin_parts
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.irreps import BlockIrreps, irrep_norms
from workbench.hamiltonians.rotations import random_rotation
from workbench.hamiltonians.wigner import wigner_d
from workbench.models.checkpoint import save_model
from workbench.training.loop import TrainingError


def shaken(seed):
    atoms = sheet()
    atoms.rattle(0.06, seed=seed)
    return atoms


def hamiltonian(atoms, magnetic=0.0):
    """Kinetic energy and a spin-orbit coupling ``V' sigma.L + h.c.`` that reaches neighbours."""
    T, S = (integrals(atoms, kind, "sto-3g", 6.0) for kind in ("int1e_kin", "int1e_ovlp"))
    H, overlap = (T * HARTREE).with_spin(), S.with_spin()
    L = spin_orbit(H.basis, 0.3)
    values = H.values + overlap.values @ L + L @ overlap.values
    if magnetic:  # a field along z turns spins over: no Hamiltonian of a system at rest
        values = values + magnetic * np.kron(np.diag([1.0, -1.0]), S.values)
    return replace(H, values=values), overlap


def write_sheets(path, count, magnetic=0.0):
    """Shaken sheets, most of them to train on."""

    def sample(seed):
        atoms = shaken(seed)
        H, S = hamiltonian(atoms, magnetic)
        return Sample(atoms, H, float("nan"), 0, seed, S, fermi_level=0.0)

    numbers = list(range(count))
    splits = {"train": numbers[:-4], "valid": numbers[-4:-2], "test": numbers[-2:]}
    write(path, (sample(k) for k in numbers), splits, {})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("spin") / "sheets.h5"
    write_sheets(path, 16)
    return path


@pytest.fixture(scope="module")
def trained(path):
    return quickly_trained(SPINOR_CONFIG, path)


def random_blocks(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, count, SPINOR_BASIS.dim, SPINOR_BASIS.dim))


# ---- parts and irreps ----------------------------------------------------------------------------


def test_parts_are_the_whole_matrix_and_the_first_four_obey_time_reversal():
    rng = np.random.default_rng(1)
    m = 2 * SPINOR_BASIS.dim
    H = rng.normal(size=(3, m, m)) + 1j * rng.normal(size=(3, m, m))
    np.testing.assert_allclose(spin_parts.from_parts(spin_parts.to_parts(H)), H, atol=1e-14)
    even = spin_parts.from_parts(spin_parts.to_parts(H, spin_parts.EVEN))
    flip = np.kron(
        [[0, 1], [-1, 0]], np.eye(SPINOR_BASIS.dim)
    )  # i sigma_y, then complex conjugation
    np.testing.assert_allclose(flip @ even.conj() @ flip.T, even, atol=1e-14)
    np.testing.assert_allclose(flip @ (H - even).conj() @ flip.T, even - H, atol=1e-14)
    assert spin_parts.odd_part(even) < 1e-15 < 0.1 < spin_parts.odd_part(H)


def test_signs_say_what_hermiticity_means_for_parts():
    rng = np.random.default_rng(2)
    m = 2 * SPINOR_BASIS.dim
    H = rng.normal(size=(m, m)) + 1j * rng.normal(size=(m, m))
    partner = spin_parts.to_parts(H.conj().T)
    for part, sign, own in zip(partner, spin_parts.SIGNS, spin_parts.to_parts(H), strict=True):
        np.testing.assert_allclose(part, sign * own.T, atol=1e-14)


@pytest.mark.parametrize("time_reversal", [True, False])
@pytest.mark.parametrize("improper", [1.0, -1.0])
def test_irreps_of_a_spinor_block_turn_as_such(time_reversal, improper):
    """The change of basis is orthogonal, and kron(U, D) becomes one Wigner matrix per irrep."""
    irreps = BlockIrreps(SPINOR_BASIS, time_reversal)
    np.testing.assert_allclose(irreps.change @ irreps.change.T, np.eye(irreps.size), atol=1e-13)
    R = improper * random_rotation(np.random.default_rng(3))
    parts = random_blocks(irreps.shape[0])
    D = SPINOR_BASIS.rotation(R)
    turned = D @ spin_parts.from_parts(parts) @ D.conj().T
    before, after = irreps.encode(parts), irreps.encode(spin_parts.to_parts(turned, len(parts[0])))
    at = 0
    for p in irreps.paths:
        own = slice(at, at + 2 * p.l + 1)
        D_l = wigner_d(p.l, R) * (np.linalg.det(R) if p.pseudo else 1.0)
        np.testing.assert_allclose(after[:, own], before[:, own] @ D_l.T, atol=1e-12)
        at = own.stop
    np.testing.assert_allclose(irreps.decode(before), parts, atol=1e-13)


def test_the_x_ray_of_a_spinor_block_does_not_move():
    H, _ = hamiltonian(sheet())
    here, there = (
        irrep_norms(h, 0, 1) for h in (H, H.rotate(random_rotation(np.random.default_rng(4))))
    )
    assert here == pytest.approx(there, abs=1e-10)
    total = sum(norm**2 for norm in here.values())
    assert total == pytest.approx(np.linalg.norm(H.block(0, 1)) ** 2)


# ---- models --------------------------------------------------------------------------------------


def test_overlaps_are_kept_without_spin(path):
    with wb.Dataset(path) as dataset:
        sample = dataset[3]
    H, S = hamiltonian(shaken(3))
    assert (sample.S - S).max_abs() < 1e-14
    assert (sample.H - H).max_abs() < 1e-8


def test_a_model_learns_spin_orbit_coupling(trained, path):
    """Far below what a model without spin could reach: the coupling itself."""
    with wb.Dataset(path) as dataset:
        report = wb.evaluate(trained, dataset, progress=False)
        sample = dataset[int(dataset.split("test")[0])]
    prediction = trained.predict(sample.atoms)
    coupling = sample.H - sample.H.without_spin().with_spin()
    for name, H in (("baseline", prediction.baseline), ("refined", prediction.refined)):
        assert matrix_errors(H, sample.H).mae_mev < 50 * coupling.mae()  # 5 % of it
        assert report[name]["equivariance_mae_mev"] < 1e-3 * report[name]["mae_mev"]
    with wb.Dataset(path) as dataset:
        history = [row["valid_mae_ev"] for row in trained.info["history"]]
        valid = wb.evaluate(trained, dataset, "valid", progress=False)
    assert valid["refined"]["mae_mev"] == pytest.approx(1000 * history[-1], rel=1e-3)


def test_predictions_are_hermitian_and_obey_time_reversal(trained):
    prediction = trained.predict(shaken(20))
    for H in (prediction.baseline, prediction.refined):
        assert (H - H.hermitian()).max_abs() < 1e-6
        assert spin_parts.odd_part(H.values) < 1e-12
        energies = np.linalg.eigvalsh(H.at_gamma())
        np.testing.assert_allclose(energies[::2], energies[1::2], atol=1e-5)  # Kramers pairs


@pytest.mark.parametrize("kind", ["rotation", "inversion", "translation", "permutation"])
def test_stage_1_obeys_space_with_spin(trained, kind):
    report = equivariance({"stage 1": trained.stage1}, shaken(21), samples=2, kind=kind)
    assert report["stage 1"].max_mev < 1e-8 * report.largest["stage 1"]


def test_a_global_frame_averages_over_orientations(path):
    model = quickly_trained(replace(SPINOR_CONFIG, refiner_frame="global"), path)
    with torch.no_grad():
        model.refiner.pair_head.readout.forget()
        model.refiner.pair_head.readout.shared[0].normal_()
    found = [
        equivariance({"both": lambda a, k=k: model.predict(a, symmetrise=k).refined}, shaken(22))[
            "both"
        ].mae_mev
        for k in (1, 16)
    ]
    assert found[1] < 0.6 * found[0]


def test_magnetic_data_need_the_option_and_are_then_learnt(tmp_path):
    write_sheets(tmp_path / "magnet.h5", 12, magnetic=0.5)
    how = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None, batch_size=2)
    magnetic = replace(SPINOR_CONFIG, time_reversal=False, pseudo_lmax=3)
    with wb.Dataset(tmp_path / "magnet.h5") as dataset:
        with pytest.raises(TrainingError, match="time_reversal=False"):
            next(wb.train(SPINOR_CONFIG, dataset, how))
        *_, last = wb.train(magnetic, dataset, how)
    H = last.model.stage1(shaken(23))
    assert H.values.shape[1] == 2 * H.basis.dim
    assert (H - H.hermitian()).max_abs() < 1e-6


def test_a_saved_model_with_spin_comes_back(trained, tmp_path):
    save_model(trained, tmp_path / "spin.safetensors", {})
    again = wb.load_model(tmp_path / "spin.safetensors")
    atoms = shaken(24)
    assert (again.predict(atoms).refined - trained.predict(atoms).refined).max_abs() < 1e-12
    assert "spin" in again.summary()


def test_refusals_are_sentences():
    with pytest.raises(ValueError, match="guess='none'"):
        replace(SPINOR_CONFIG, guess="orbitals").check(SPINOR_BASIS)
    with pytest.raises(ValueError, match="lmax=4, pseudo_lmax=4"):
        SPINOR_CONFIG.check(SPINOR_BASIS)
