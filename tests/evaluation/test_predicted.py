"""Levels, gaps and bands of one prediction, from matrices whose answer is known."""

from typing import Any

import numpy as np
import pytest

import workbench as wb
from workbench.engines import Overlap
from workbench.evaluation.predicted import Predicted, predicted
from workbench.hamiltonians.bands import LEAST, energies_at
from workbench.models.prediction import Prediction


def exact(atoms, H, S, n_electrons):
    """The matrices of a reference as if a model had predicted them."""
    nothing: Any = None  # features, which no number needs
    return Predicted(atoms, Prediction(H, H, nothing), S, n_electrons)


@pytest.fixture(scope="module")
def graphene():
    with wb.Dataset("graphene") as data:
        sample = data[0]
    return exact(sample.atoms, sample.H, sample.S, sample.n_electrons), sample


def test_a_crystal_has_its_fermi_level_and_its_edges_at_the_special_points(graphene):
    found, sample = graphene
    numbers = found.numbers
    assert numbers["electrons"] == 8
    assert numbers["fermi_level_ev"] == pytest.approx(sample.fermi_level, abs=0.01)
    assert numbers["gap_ev"] == pytest.approx(0.0, abs=5e-3)  # the Dirac point
    for key in ("valence_top_k", "conduction_bottom_k"):
        assert sorted(np.abs(np.array(numbers[key]) * 3 % 3).round(6)[:2]) in ([1, 1], [2, 2])
    assert "levels_ev" not in numbers


def test_bands_are_relative_to_the_fermi_level_and_finite(graphene):
    found, sample = graphene
    bands = found.bands("GK", 5)
    assert bands.reference == found.fermi_level
    assert np.isfinite(bands.energies).all()
    expected = energies_at(sample.H, sample.S, (1 / 3, 1 / 3, 0), LEAST)
    kept = bands.energies.shape[2]
    np.testing.assert_allclose(bands.energies[0, -1], expected[:kept], atol=1e-8)


def test_what_is_not_known_is_left_out(graphene):
    _, sample = graphene
    unknown = exact(sample.atoms, sample.H, sample.S, None)
    assert unknown.fermi_level is None
    assert "gap_ev" not in unknown.numbers
    assert unknown.bands("GM", 2).reference == 0
    alone = exact(sample.atoms, sample.H, None, 8)
    assert "fermi_level_ev" not in alone.numbers
    with pytest.raises(ValueError, match="Bands need the overlap"):
        alone.bands()


@pytest.mark.parametrize(
    ("electrons", "gap"), [(10, 26.796), (None, None), (9, None), (14, None), (15, None)]
)
def test_a_molecule_without_a_homo_and_a_lumo_has_no_gap(electrons, gap):
    """Seven levels hold fourteen electrons."""
    water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    numbers = exact(water.atoms, water.H, water.S, electrons).numbers
    assert numbers["gap_ev"] == (None if gap is None else pytest.approx(gap, abs=0.01))
    np.testing.assert_allclose(numbers["levels_ev"], wb.levels(water.H, water.S))


def test_a_spinor_band_holds_one_electron():
    water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    spinors = exact(water.atoms, water.H.with_spin(), water.S.with_spin(), 10)
    assert spinors.numbers["gap_ev"] == pytest.approx(26.796, abs=0.01)


def test_a_known_overlap_is_used_as_it_is():
    model, water = wb.load_model("water"), wb.load("water")
    S = wb.overlap(water, model.basis) * 1.5
    found = predicted(model, water, Overlap(S, 8))
    assert found.S is S
    assert found.n_electrons == 8
    assert predicted(model, water, Overlap(S, 8), 6).n_electrons == 6
    with pytest.raises(ValueError, match="it must be at least 1"):
        predicted(model, water, None, 0)
