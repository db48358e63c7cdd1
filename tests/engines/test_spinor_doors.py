"""Molecules with spin-orbit coupling through every public door, up to a model from the shell."""

import json
from functools import cache

import numpy as np
import pytest
from pyscf import scf

import workbench as wb
from tests.support.command_line import numbers_of, run
from tests.support.spinor import selenide
from workbench.engines import pyscf_spinors
from workbench.engines.pyscf_molecules import electrons, mole
from workbench.engines.warm_start import DEFAULT
from workbench.hamiltonians.conventions import HARTREE

WAY = {"xc": "hf", "spin_orbit": True}
SMALL = ["guess=none", "lmax=4", "pseudo_lmax=5", "channels=4", "layers=1", "radial=8", "readout=8"]
SMALL += ["pair_readout=8", "refiner_layers=1", "refiner_width=16", "refiner_heads=2"]
SETTINGS = [word for setting in [*SMALL, "batch_size=2"] for word in ("--set", setting)]


@cache
def solved():
    return wb.reference(selenide(), **WAY)


def test_pyscf_as_a_subject_is_the_reference():
    H = wb.pyscf(**WAY)(selenide())
    assert H.basis == solved().H.basis
    assert (H - solved().H).max_abs() < 1e-9
    with pytest.raises(ValueError, match="choose ecp or x2c"):
        wb.pyscf(**WAY, relativity="zora")(selenide())


def test_a_warm_start_is_the_density_of_its_spinors():
    """The spinors of a converged Fock matrix are those that made it."""
    field = pyscf_spinors.solver(selenide(), xc="hf")
    field.conv_tol, field.conv_tol_grad = 1e-12, 1e-8
    field.kernel(dm0=pyscf_spinors.start(field.mol))
    density = wb.warm_start(selenide(), solved().H)
    np.testing.assert_allclose(density, field.make_rdm1(), atol=1e-6)
    assert np.sum(density * field.get_ovlp().T) == pytest.approx(18, abs=1e-9)
    assert np.abs(density.imag).max() > 1e-4  # coupling is really in it


def test_the_true_hamiltonian_leaves_a_cycle_or_two():
    wrong = solved().H.rotate(wb.rotation((1, 1, 0), 90))
    found = wb.scf_cycles(selenide(), {"true": solved().H, "turned": wrong}, **WAY)
    assert found["true"].cycles <= 2 < found[DEFAULT].cycles < found["turned"].cycles
    energies = [one.energy for one in found.values()]
    assert max(energies) - min(energies) < 1e-6 * HARTREE
    assert energies[0] == pytest.approx(solved().energy, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "how", "says"),
    [
        ("own", {**WAY, "basis": "dzp-dkh", "relativity": "x2c"}, "is in crenbl"),
        ("own", {"xc": "hf", "basis": "crenbl"}, "with spin, and the SCF without"),
        ("scalar", WAY, "without spin, and the SCF with"),
    ],
)
def test_a_start_of_another_kind_is_refused(start, how, says):
    H = solved().H if start == "own" else solved().H.without_spin()
    with pytest.raises(ValueError, match=says):
        wb.scf_cycles(selenide(), {start: H}, **how)


def test_electrons_in_effective_cores_are_not_counted():
    assert electrons(selenide(), "crenbl") == solved().n_electrons == 18
    assert electrons(selenide(), "dzp-dkh") == 36
    charged = selenide()
    charged.info["charge"] = 2
    assert electrons(charged, "crenbl") == 16
    assert electrons(selenide()[:2], "crenbl") == 17  # an odd number is counted, too


# ---- from the shell ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selenide")
    selenide().write(folder / "selenide.xyz")
    return folder


@pytest.fixture(scope="module")
def labels(folder):
    return numbers_of(
        *("label", folder / "selenide.xyz", "--out", folder / "set.h5", "--spin-orbit"),
        *("--xc", "hf", "--sigma", 0.05, "--processes", 1, "--train", 2, "--valid", 1),
        *("--test", 1),
    )


@pytest.fixture(scope="module")
def trained(folder, labels):
    brief = ("--stage1", 2, "--stage2", 2)
    made = numbers_of("train", labels["path"], "--out", folder / "run", *brief, *SETTINGS)
    return made["checkpoint"]


def test_the_flag_labels_spinors(labels):
    with wb.Dataset(labels["path"]) as data:
        assert data.basis.spinor
        assert data.provenance["recipe"]["method"]["relativity"] == "ecp"
        assert data[0].n_electrons == 18


def test_a_model_of_spinors_starts_from_no_guess(labels, folder):
    refused = run("train", labels["path"], "--out", folder / "no", "--stage1", 2, "--stage2", 2)
    assert refused.exit_code == 2
    assert "train spinors with guess='none'" in " ".join(refused.output.split())


def test_a_model_of_spinors_is_trained_and_measured(trained, labels):
    assert wb.load_model(trained).basis.spinor
    found = numbers_of("evaluate", "--model", trained, "--dataset", labels["path"])
    with wb.Dataset(labels["path"]) as data:
        computed = wb.evaluate(wb.load_model(trained), data, progress=False)
    assert found == json.loads(json.dumps(computed))
    assert found["structures"] == 1


def test_it_predicts_with_the_gap_of_its_own_electrons(trained, folder):
    start = folder / "start.npy"
    words = ("predict", folder / "selenide.xyz", "--model", trained, "--warm-start", start)
    found = numbers_of(*words)
    levels = found["levels_ev"]
    np.testing.assert_allclose(levels[::2], levels[1::2], atol=1e-6)
    assert found["gap_ev"] == pytest.approx(levels[18] - levels[17], abs=1e-9)
    field = scf.GHF(mole(selenide(), "crenbl"))
    assert np.sum(np.load(start) * field.get_ovlp().T) == pytest.approx(18, abs=1e-6)


def test_the_equivariance_of_a_spinor_model_is_compared_with_pyscf(trained, folder):
    words = ("rotate", folder / "selenide.xyz", "--model", trained, "--xc", "hf")
    predictors = numbers_of(*words)["predictors"]
    assert predictors["PySCF"]["max_mev"] < 1e-3
    assert predictors["stage 1"]["max_mev"] < predictors["stage 1"]["largest_element_mev"] * 1e-5
    refused = run(*words, "--relativity", "x2c")
    assert refused.exit_code == 2
    assert "X2C needs all electrons" in " ".join(refused.output.split())
