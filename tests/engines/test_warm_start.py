"""A Hamiltonian as the start of an SCF: fewer cycles to the same energy."""

import warnings

import numpy as np
import pytest
from pyscf import scf

import workbench as wb
from workbench.engines.pyscf_molecules import mole, reference
from workbench.engines.warm_start import DEFAULT, scf_cycles, warm_start
from workbench.structures.sampling import Displaced


@pytest.fixture(scope="module")
def atoms():
    return Displaced(0.05).draw(wb.load("ammonia"), 1, np.random.default_rng(3))[0]


@pytest.fixture(scope="module")
def ref(atoms):
    return reference(atoms, "def2-svp", "hf")


def test_the_density_is_pyscf_s_own_and_counts_the_electrons(atoms, ref):
    """The orbitals of a converged Fock matrix are those that made it."""
    field = scf.RHF(mole(atoms, "def2-svp"))
    field.conv_tol, field.conv_tol_grad = 1e-12, 1e-8
    field.kernel()
    density = warm_start(atoms, ref.H)
    np.testing.assert_allclose(density, field.make_rdm1(), atol=1e-6)
    assert np.sum(density * field.get_ovlp()) == pytest.approx(10, abs=1e-9)


def test_the_true_hamiltonian_leaves_a_cycle_or_two_and_a_wrong_one_does_not(atoms, ref):
    wrong = ref.H.rotate(wb.rotation((1, 1, 0), 90))
    found = scf_cycles(atoms, {"true": ref.H, "turned": wrong}, xc="hf")
    assert found["true"].cycles <= 2
    assert found[DEFAULT].cycles > 5
    assert found["turned"].cycles > found[DEFAULT].cycles
    energies = [one.energy for one in found.values()]
    assert max(energies) - min(energies) < 1e-6
    assert energies[0] == pytest.approx(ref.energy, abs=1e-6)
    assert len(found[DEFAULT].changes) == found[DEFAULT].cycles
    assert abs(found[DEFAULT].changes[-1]) < 1e-7


def test_charge_and_a_core_potential_are_counted():
    for source, electrons, basis in (
        ("smiles:[NH4+]", 10, "def2-svp"),
        ("smiles:I", 26, "def2-svp"),
    ):
        atoms = wb.load(source)
        made = reference(atoms, basis, "hf")
        assert made.n_electrons == electrons
        assert np.trace(warm_start(atoms, made.H) @ scf.hf.get_ovlp(mole(atoms, basis))) == (
            pytest.approx(electrons, abs=1e-8)
        )


def test_what_cannot_be_a_start_is_refused(atoms, ref):
    with pytest.raises(ValueError, match="other atoms"):
        warm_start(wb.load("water"), ref.H)
    with pytest.raises(ValueError, match=r"'twice' is with spin, and the SCF without"):
        scf_cycles(atoms, {"twice": ref.H.with_spin()}, xc="hf")
    with pytest.raises(ValueError, match="is in def2-svp"):
        scf_cycles(atoms, {"other": ref.H}, basis="sto-3g")


def test_a_start_of_another_functional_is_announced(atoms, ref):
    """The model `water` was trained on PBE; a Fock matrix of Hartree-Fock starts Hartree-Fock."""
    water, model = wb.load("water"), wb.load_model("water")
    prediction = model.predict(water)
    with pytest.warns(UserWarning, match=r"levels of theory, PBE \(PySCF\) and PBE0 \(PySCF\)"):
        density = warm_start(water, prediction, xc="pbe0")
    np.testing.assert_array_equal(density, warm_start(water, prediction.refined))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warm_start(water, prediction, xc="PBE")
        warm_start(water, prediction)
        warm_start(atoms, ref, xc="hf")
    with pytest.warns(UserWarning, match=r"HF \(PySCF\) and PBE \(PySCF\)"):
        scf_cycles(atoms, {"Hartree-Fock": ref}, grid=0)
