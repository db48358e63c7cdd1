"""`predict --properties`: the numbers of `workbench.properties`, as JSON and as text."""

import ase.io
import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run
from workbench.cli.exit_codes import ExitCode
from workbench.storage.bundled import data_path


def test_a_molecule_gets_charges_dipole_and_bonds(water):
    printed = numbers_of("predict", "water", "--properties")
    found = wb.properties(water, wb.load_model("water").predict(water))
    assert printed["mulliken_charges_e"] == pytest.approx(found.mulliken_charges, abs=1e-9)
    assert printed["loewdin_charges_e"] == pytest.approx(found.loewdin_charges, abs=1e-9)
    assert printed["dipole_debye"] == pytest.approx(found.dipole, abs=1e-9)
    assert [bond[:2] for bond in printed["bond_orders"]] == [[0, 1], [0, 2]]
    assert "orbital_energies_ev" not in printed  # they are its levels_ev
    assert "dipole_debye" not in numbers_of("predict", "water")


def test_the_text_names_the_bonds():
    text = run("predict", "water", "--properties").stdout
    assert "bond_orders\n  0-1  1.0" in text
    assert "dipole_debye" in text


def test_a_radical_is_refused_in_a_sentence():
    words = ("predict", "water", "--charge", 1, "--spin", 1, "--properties")
    result = run(*words)
    assert result.exit_code == ExitCode.WRONG_INPUT
    warning, error = result.stderr.splitlines()
    assert warning.startswith("Warning: H2O has charge +1 e")
    assert error.startswith("Error: H2O has 1 unpaired electrons, but the method is closed-shell")


def test_a_crystal_gets_its_density_of_states(tmp_path):
    with wb.Dataset("graphene") as data:
        ase.io.write(tmp_path / "sheet.extxyz", data.atoms(0))
    words = ("predict", tmp_path / "sheet.extxyz", "--model", "mg-mini", "--properties")
    words += ("--overlap", data_path("datasets", "graphene.h5"))
    dos = numbers_of(*words)["density_of_states"]
    total = np.trapezoid(dos["total_per_ev"], dos["energies_ev"])
    assert 40 < total < 52  # 26 orbitals, without their nearly dependent combinations
    assert np.sum(list(dos["projected_per_ev"].values()), axis=0) == pytest.approx(
        dos["total_per_ev"], abs=1e-9
    )
    assert list(dos["projected_per_ev"]) == ["C s", "C p", "C d"]
    assert "density_of_states     a table, with --json" in run(*words).stdout


def test_without_an_overlap_the_note_says_what_is_missing():
    printed = numbers_of("predict", "graphene", "--model", "mg-mini", "--properties")
    if "note" not in printed:
        pytest.skip("GPAW is installed and gives the overlap")
    assert "need the overlap" in printed["note"]
    assert "density_of_states" not in printed
