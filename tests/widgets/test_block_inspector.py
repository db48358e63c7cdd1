"""BlockInspector without a browser: norms stand still, components move, pairs and shells follow."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from scipy.spatial.transform import Rotation

import workbench as wb
from tests.support.crystal import integrals, sheet
from workbench.course.blocks import misread
from workbench.hamiltonians.irreps import irrep_norms, is_pseudo, xrays
from workbench.views.distance_plot import distance_plot
from workbench.views.irrep_bars import component_bars, norm_bars
from workbench.views.numbers import milli
from workbench.widgets import BlockInspector

TURN = wb.rotation((1, 1, 0), 40)
PAIR = ("2p", "2p")
pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def ref(water):
    return wb.reference(water, basis="def2-svp", xc="hf")


@pytest.fixture
def inspector(water, ref):
    made = BlockInspector(water, ref, pair=(0, 1))
    yield made
    made.close()


def norms_of(irreps):
    return {key: float(np.linalg.norm(values)) for key, values in irreps.items()}


def receive(view, R):
    quaternion = Rotation.from_matrix(R).as_quat().tolist()
    view._receive(view, {"kind": "turn", "view": "v", "tick": 3, "quaternion": quaternion}, [])


def test_norms_stand_still_while_components_move(inspector, ref):
    receive(inspector.view, TURN)
    np.testing.assert_allclose(inspector.rotation, TURN, atol=1e-12)
    before, after = (norms_of(x) for x in (inspector.upright_irreps, inspector.irreps))
    assert after == pytest.approx(before, abs=1e-10)
    assert before == pytest.approx(irrep_norms(ref.H, 0, 1))
    key = (*PAIR, 2)
    assert np.abs(inspector.irreps[key] - inspector.upright_irreps[key]).max() > 0.1
    assert re.search(r"norms changed by at most <b>\S+e−1\d eV</b>", inspector.said.value)
    assert inspector.map.tick == 3
    np.testing.assert_allclose(inspector.map.painted()[0], ref.H.rotate(TURN).dense(), atol=1e-4)


def test_the_picture_of_the_norms_does_not_change_and_that_of_the_components_does(inspector):
    norms, components = inspector.norms.value, inspector.components.value
    inspector.controls.preset("40° (1,1,0)")
    assert inspector.norms.value == norms
    assert inspector.components.value != components
    inspector.reset_button.click()
    assert inspector.components.value == components


def test_along_the_bond_a_diatomic_block_has_m_zero_only():
    atoms = wb.rotate(wb.load("CO"), TURN)
    made = BlockInspector(atoms, wb.reference(atoms, basis="sto-3g", xc="hf"), pair=(0, 1))
    assert max(abs(v[0]) for key, v in made.irreps.items() if key[2]) > 0.1
    made.align_button.click()
    assert (made.rotation @ (atoms.positions[1] - atoms.positions[0]))[:2] == pytest.approx([0, 0])
    for (_, _, l), values in made.irreps.items():
        assert np.delete(values, l) == pytest.approx(np.zeros(2 * l), abs=1e-7)
    assert max(np.abs(v).max() for key, v in made.irreps.items() if is_pseudo(key)) < 1e-7
    made.close()


def test_an_on_site_block_has_no_bond(inspector):
    inspector.pick(0, 0)
    with pytest.raises(ValueError, match="no bond"):
        inspector.align()
    inspector.align_button.click()
    assert "no bond" in inspector.guard.panel.value


def test_a_pair_is_picked_in_the_structure_in_the_map_or_from_the_lists(inspector, ref):
    inspector.view.pair = [1, 0]
    assert inspector.map.pair == [1, 0]
    assert inspector.block.pair == (1, 0)
    np.testing.assert_allclose(inspector.block.heat.painted()[0], ref.H.block(1, 0), atol=1e-5)
    inspector.map.pair = [2, 2]
    assert inspector.view.pair == [2, 2]
    inspector.block.column.value = 0
    assert inspector.view.pair == [2, 0]
    assert norms_of(inspector.irreps) == pytest.approx(irrep_norms(ref.H, 2, 0))


def test_shells_on_offer_are_those_of_the_pair_and_the_choice_stays_where_it_can(inspector):
    assert inspector.shells.value == PAIR
    inspector.shells.value = ("3d", "2p")
    inspector.pick(0, 2)
    assert inspector.shells.value == ("3d", "2p")
    assert "3d with 2p in all O–H blocks" in inspector.distances.value
    inspector.pick(1, 2)
    assert inspector.shells.value == PAIR
    assert all(d not in a + b for a, b in dict(inspector.shells.options).values() for d in "3d")


def test_distances_show_all_pairs_of_these_elements_with_this_one_ringed(inspector, ref):
    blocks, _ = xrays(ref.H, 8, 1)
    drawn = inspector.distances.value
    assert drawn.count('r="5.5"') == len(blocks) + 1  # l = 0 is round, in the legend too
    assert drawn.count('r="9.5"') == 3


def test_a_wrong_order_moves_norms_and_breaks_the_law(water, ref):
    def wrong(atoms):
        return misread(wb.overlap(atoms, ref.H.basis), "d")

    made = BlockInspector(water, predictors={"wrong": wrong}, pair=(0, 1))
    made.turn_to(TURN)
    norms = [norms_of(x)["3d", "2p", 1] for x in (made.upright_irreps, made.irreps)]
    assert abs(norms[1] - norms[0]) > 1e-3
    assert re.search(r"norms changed by at most <b>[\d.]+ eV</b>", made.said.value)
    assert "rotation law is violated by" in made.said.value
    assert made.experiment.inversion["wrong"].max_mev < 1e-9  # a wrong order keeps the parity
    made.close()


def test_a_stage_2_of_one_hand_is_said(water, one_handed):
    made = BlockInspector(water, model=one_handed)
    made.block.quantity.value = "refined"
    error = made.experiment.inversion["refined"].mae_mev
    assert error > 100
    assert f"inversion by <b>{milli(error)} meV</b> on average" in made.said.value
    made.close()


def test_the_text_twin_follows(inspector):
    inspector.turn_to(TURN)
    said = inspector.view.announcement
    for words in ("40.0° about", "Block O1 with H2, 2p with 2p", "for l = 2", "norms changed by"):
        assert words in said


def test_a_difference_can_be_inspected(water, ref):
    made = BlockInspector(water, ref, predictors={"half": lambda _: 0.5 * ref.H}, pair=(0, 1))
    made.block.quantity.value = "half − reference"
    assert norms_of(made.irreps) == pytest.approx(
        {key: norm / 2 for key, norm in irrep_norms(ref.H, 0, 1).items()}
    )
    made.close()


def test_a_crystal_s_block_is_chosen_with_its_cell():
    atoms = sheet()
    matrix = integrals(atoms, "int1e_ovlp", basis="sto-3g")
    made = BlockInspector(atoms, predictors={"S": lambda _: matrix}, pair=(0, 0))
    made.pick(0, 1)
    cells = [T for _, T in made.block.cell.options]
    made.block.cell.value = cells[1]
    assert norms_of(made.irreps) == pytest.approx(irrep_norms(matrix, 0, 1, cells[1]))
    assert made.distances.value.count('r="9.5"') == 3
    made.close()


def test_matrices_with_spin_are_refused(water, ref):
    spinors = ref.H.with_spin()
    with pytest.raises(ValueError, match="without spin"):
        BlockInspector(water, predictors={"spin": lambda _: spinors})


def test_closing_leaves_no_widget_behind(water, ref):
    before = set(_instances)
    made = BlockInspector(water, ref, pair=(0, 1))
    assert set(_instances) - before
    made.close()
    assert set(_instances) == before


def test_bars_are_as_tall_as_the_logarithm_of_their_norm():
    irreps = {("1s", "2p", 1): np.array([0.0, 10.0, 0.0]), ("2p", "2p", 1): np.array([1e-5, 0, 0])}
    drawn = norm_bars(irreps, irreps, ("1s", "2p"), {("2p", "2p", 1)})
    assert 'height="100.00"' in drawn  # 10 eV is four of six decades, of 150 px
    assert drawn.count('stroke-width="1.5"/>') == 2  # the legend's box and one bar
    bars = component_bars(irreps, irreps, ("1s", "2p"), 20.0)
    assert bars.count('height="29.00"') == 2  # half of 58 px, filled and outlined
    assert "aria-label" in bars


def test_points_below_the_scale_lie_on_its_edge():
    drawn = distance_plot(np.array([0.0, 2.0]), {0: np.array([5.0, 0.0])}, 0, "a & b")
    assert 'cy="256.0"' in drawn
    assert "a &amp; b" in drawn
