"""OrbitalView without a browser: what it sends, what it says, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from workbench.engines.orbital_grid import Grid
from workbench.engines.pyscf_orbitals import atomic_orbitals
from workbench.evaluation.orbital_overlap import orbitals
from workbench.widgets.orbital_pictures import OrbitalPictures
from workbench.widgets.orbital_state import FIRST, isovalue_text, signed

pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def solved(water):
    return wb.reference(water, basis="def2-svp", xc="hf")


@pytest.fixture
def view(water, solved):
    """The reference beside a Hamiltonian that is a little off."""
    made = wb.OrbitalView(water, solved, matrices={"off": off(solved.H)})
    yield made
    made.close()


def off(H: wb.BlockMatrix, scale: float = 0.05) -> wb.BlockMatrix:
    noise = np.random.default_rng(1).normal(scale=scale, size=(H.n_ao, H.n_ao))
    return wb.BlockMatrix.from_dense(H.basis, H.numbers, H.dense() + noise + noise.T)


def drawn(pictures: OrbitalPictures) -> tuple[Grid, np.ndarray]:
    """Grid and values as the browser gets them."""
    sent = pictures.grid
    grid = Grid(tuple(sent["origin"]), sent["step"], tuple(sent["shape"]))
    return grid, np.frombuffer(pictures.values, np.float32).reshape(len(pictures.titles), -1)


def test_the_homo_of_both_is_sent_with_one_sign(view, water, solved):
    grid, values = drawn(view.view)
    C = orbitals(solved.H, solved.S).coefficients[:, [4]]
    wanted = atomic_orbitals(water, solved.H.basis, grid.points(), C)[:, 0]
    np.testing.assert_allclose(values[0], wanted, atol=1e-5)
    assert 0.99 < np.corrcoef(values)[0, 1] < 1
    assert view.view.titles[0].startswith("reference: −")
    assert view.view.level == FIRST
    assert "HOMO" in view.table.value


def test_a_level_is_chosen_by_slider_and_buttons(view, solved):
    energies = wb.levels(solved.H, solved.S)
    for choose, index in (
        (lambda: view.jumps["LUMO"].click(), 5),
        (lambda: setattr(view.level, "value", 3), 3),
        (lambda: view.show_level(0), 0),
    ):
        before = view.view.sequence
        choose()
        assert view.index == index
        assert view.view.sequence == before + 1
        assert f"{abs(energies[index]):.3f} eV" in view.view.titles[0]
        assert view.level.label.split(":")[0] in view.table.value
        assert view.level.label.split(":")[0] in view.view.announcement


def test_the_isovalue_cuts_the_same_functions_elsewhere(view):
    sent, inside = view.view.values, view.table.value
    view.iso.value = 0.2
    assert view.view.values == sent
    assert view.view.level == 0.2
    assert view.table.value != inside
    assert "0.200 Å^(−3/2) = 0.0770" in view.units.value
    assert isovalue_text(0.1) == "0.100 Å^(−3/2) = 0.0385 Bohr^(−3/2)"


def test_two_atomic_orbitals_and_their_product(view, solved, water):
    view.mode.value = "atomic orbitals"
    view.show_pair(4, 14)
    grid, values = drawn(view.view)
    alone = atomic_orbitals(water, solved.H.basis, grid.points())
    np.testing.assert_allclose(values[:2], alone[:, [4, 14]].T, atol=1e-5)
    product = values[0] * values[1]
    np.testing.assert_allclose(values[2] * np.abs(values[2]), product, atol=1e-5)
    assert view.view.titles == ["row: O1 2pz", "column: H2 1s", "their product"]
    assert signed(solved.S.dense()[4, 14]) in view.table.value
    assert f"{signed(solved.H.dense()[4, 14])} eV" in view.table.value
    view.orbital[0].value = 3  # 2py, across the plane or in it: another element
    assert signed(solved.S.dense()[3, 14]) in view.table.value


def test_another_atom_offers_its_own_orbitals(view):
    view.show_pair(4, 14)
    view.atom[0].value = 2
    assert [name for name, _ in view.orbital[0].options] == ["1s", "2s", "2py", "2pz", "2px"]
    assert view.orbital[0].label == "2pz"
    assert view.state.orbital_name(view.pair[0]) == "H3 2pz"
    view.atom[0].value = 0
    assert view.state.orbital_name(view.pair[0]) == "O1 2pz"


def test_degenerate_levels_are_said_to_be_degenerate():
    atoms = wb.load("ammonia")
    ref = wb.reference(atoms, basis="sto-3g", xc="hf")
    view = wb.OrbitalView(atoms, ref, matrices={"off": off(ref.H, 1e-4)})
    view.show_level(int(orbitals(ref.H, ref.S).size.argmax()))
    assert "2 degenerate levels" in view.table.value
    view.show_level(4)
    assert "degenerate" not in view.table.value
    view.close()


def test_a_swapped_level_is_named(water, solved):
    found = orbitals(solved.H, solved.S)
    SC = solved.S.dense() @ found.coefficients
    energies = found.energies.copy()
    energies[[3, 4]] = energies[[4, 3]]
    H = wb.BlockMatrix.from_dense(solved.H.basis, water.numbers, SC @ np.diag(energies) @ SC.T)
    view = wb.OrbitalView(water, solved, matrices={"swapped": H})
    assert "most similar to the reference HOMO is HOMO−1, overlap 1" in view.table.value
    view.close()


def test_reset_and_closing_leave_nothing_behind(water, solved):
    before = len(_instances)
    view = wb.OrbitalView(water, solved, level=1)
    view.show_pair(3, 3)
    view.iso.value = 0.3
    first = view.rotation
    view.turn_to(wb.rotation((0, 0, 1), 30))
    view.reset_button.click()
    assert (view.mode.value, view.index, view.isovalue) == ("molecular orbitals", 5, FIRST)
    np.testing.assert_array_equal(view.rotation, first)
    view.close()
    assert len(_instances) == before


def test_both_stages_of_a_model_stand_beside_the_reference(water):
    view = wb.OrbitalView(water, wb.reference(water), model=wb.load_model("water"))
    assert [t.split(":")[0] for t in view.view.titles] == ["reference", "baseline", "refined"]
    assert all(abs(found.overlap[4]) > 0.999 for found in view.state.solutions.values())
    view.close()


def test_what_cannot_be_shown_is_refused(water, solved):
    with pytest.raises(ValueError, match="nothing to show"):
        wb.OrbitalView(water)
    with pytest.raises(ValueError, match="without spin"):
        wb.OrbitalView(water, matrices={"spin": solved.H.with_spin()})
    pictures = OrbitalPictures(water)
    with pytest.raises(ValueError, match=r"\(1, 8\)"):
        pictures.show(["a"], Grid((0, 0, 0), 1.0, (2, 2, 2)), np.zeros((1, 7)), 0.1)
    pictures.close()
