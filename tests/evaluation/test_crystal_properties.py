"""Gap, Fermi level and density of states of crystals: those of `bands`, and refusals."""

import json

import numpy as np
import pytest

import workbench as wb
from workbench.engines import Overlap
from workbench.evaluation.predicted import predicted
from workbench.hamiltonians import bands

MESH = (6, 6, 1)


@pytest.fixture(scope="module")
def graphene():
    with wb.Dataset("graphene") as data:
        return data.atoms(0), data.reference(0)


@pytest.fixture(scope="module")
def found(graphene):
    return wb.properties(*graphene, mesh=MESH, width=0.4)


def test_gap_and_fermi_level_are_those_of_the_bands(graphene, found):
    _, ref = graphene
    level = bands.fermi_level(ref.H, ref.S, ref.n_electrons, MESH)
    assert found.fermi_level == pytest.approx(level, abs=1e-9)
    edges = bands.band_gap(ref.H, ref.S, ref.n_electrons, MESH)  # 6 x 6 points have K
    assert found.gap == pytest.approx(edges.energy, abs=1e-6)
    assert found.edges.valence == pytest.approx(edges.valence, abs=1e-6)
    assert abs(found.gap) < 0.01
    assert 3 * np.array(found.edges.valence_k) % 3 % 1 == pytest.approx(0, abs=1e-6)  # K or K'
    assert found.edges.direct


def test_the_density_of_states_holds_orbitals_and_electrons(graphene, found):
    _, ref = graphene
    total = np.trapezoid(found.dos.total, found.dos.energies)
    assert total == pytest.approx(2 * ref.H.n_ao, abs=1e-6)
    below = found.dos.energies < found.fermi_level
    filled = np.trapezoid(found.dos.total[below], found.dos.energies[below])
    assert filled == pytest.approx(ref.n_electrons, abs=0.2)  # the broadened Dirac point
    np.testing.assert_allclose(sum(found.dos.projected.values()), found.dos.total, atol=1e-9)


def test_chosen_energies_are_kept(graphene):
    energies = np.linspace(-10, 0, 11)
    found = wb.properties(*graphene, mesh=(1, 1, 1), energies=energies)
    np.testing.assert_array_equal(found.dos.energies, energies)


def test_a_special_point_off_the_mesh_counts(graphene):
    found = wb.properties(*graphene, mesh=(4, 4, 1))  # no K on this mesh
    assert found.k_mesh == (4, 4, 1)
    assert abs(found.gap) < 0.01


def test_a_prediction_has_the_numbers_of_the_command_predict():
    with wb.Dataset("mm-mini") as data:
        atoms, ref = data.atoms(0), data.reference(0)
    S, electrons = ref.S, ref.n_electrons
    seen = predicted(wb.load_model("mm-mini"), atoms, Overlap(S, electrons))
    found = wb.properties(atoms, seen.prediction, S, electrons)
    result = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for name in ("k_mesh", "fermi_level_ev", "gap_ev", "valence_top_k", "conduction_bottom_k"):
        assert result[name] == pytest.approx(seen.numbers[name], abs=1e-9)


def test_what_a_crystal_lacks_is_said_in_a_sentence(graphene, found):
    atoms, ref = graphene
    with pytest.raises(AttributeError, match="no dipole moment of its own"):
        found.dipole  # noqa: B018
    with pytest.raises(ValueError, match="computed for molecules only"):
        wb.properties(atoms, ref, total_energy=True)
    for wrong in ({"width": 0}, {"mesh": (0, 1, 1)}, {"mesh": (2, 2)}, {"n_electrons": 0}):
        with pytest.raises(ValueError, match=min(wrong)):
            wb.properties(atoms, ref, **wrong)
    odd = wb.properties(atoms, ref, n_electrons=7, mesh=(1, 1, 1))
    assert (odd.edges, odd.gap, odd.to_json()["gap_ev"]) == (None, None, None)
    with pytest.raises(ValueError, match="electrons do not fit these orbitals"):
        wb.properties(atoms, ref, n_electrons=1000, mesh=(1, 1, 1))
