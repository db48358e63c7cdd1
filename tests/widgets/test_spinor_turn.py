"""The widgets' state for Hamiltonians with spin, without a browser."""

from types import SimpleNamespace

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.support.gpaw import QUICK, bismuth, needs_gpaw
from tests.support.spinor import coupled, reference_of
from workbench.views.level_picture import level_picture
from workbench.views.spin_panels import COMPLEX, PARTS, shown
from workbench.widgets import Heat, RotationLab, SpinorTurn

TURN = wb.rotation((1, 1, 0), 40)
pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def ref(water):
    return reference_of(water)


@pytest.fixture(scope="module")
def model(ref):
    """Stage 1 is exactly equivariant, and a constant is not."""

    def predict(atoms):
        exact = 0.99 * coupled(atoms)[0]
        return SimpleNamespace(baseline=exact, refined=exact + 0.01 * ref.H)

    return SimpleNamespace(predict=predict)


@pytest.fixture
def lab(water, model, ref):
    made = RotationLab(water, model=model, reference=ref)
    yield made
    made.close()


# ---- Heat -----------------------------------------------------------------------------------


def test_heat_sends_complex_numbers_and_names_both_spins(ref):
    heat = Heat(ref.H, ["H"])
    np.testing.assert_allclose(heat.painted()[0], ref.H.dense(), rtol=1e-6, atol=1e-6)
    assert heat.phases
    assert heat.rows["atoms"] == ["O1", "H2", "H3"]
    assert heat.rows["borders"] == [0, 5, 6, 7, 12, 13, 14]
    assert [heat.rows["orbitals"][k] for k in (0, 7)] == ["1s ↑", "1s ↓"]
    heat.show([shown(ref.H, "z")])
    assert not heat.phases
    assert heat.rows["borders"] == [0, 5, 6, 7]


def test_an_empty_panel_beside_a_complex_one_is_missing(ref):
    heat = Heat([ref.H, None], ["a", "b"])
    assert np.isnan(heat.painted()[1]).all()


# ---- RotationLab ----------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["scalar", "x", "y", "z", COMPLEX])
def test_every_part_follows_the_turn(lab, ref, part):
    lab.spin.buttons.value = part
    lab.turn_to(TURN)
    expected = shown(ref.H.rotate(TURN), part).dense()
    np.testing.assert_allclose(lab.matrices.painted()[0], expected, atol=1e-5)
    error = 1000 * shown(lab.snapshot.difference("refined"), part).dense()
    np.testing.assert_allclose(lab.differences.painted()[1], error, atol=1e-3)
    assert lab.matrices.notes[0] == "rotated: D H D†"
    label = "modulus and phase" if part == COMPLEX else PARTS[part].title
    assert label in lab.spin.text.value


def test_the_three_spin_orbit_parts_turn_as_an_axial_vector(lab, ref):
    """About z by 90 degrees what stood with sigma_x comes to stand with sigma_y."""
    R = wb.rotation((0, 0, 1), 90)
    lab.spin.buttons.value = "y"
    lab.turn_to(R)
    D = ref.H.without_spin().basis.rotation(R)
    before = shown(ref.H, "x")
    expected = D @ before.values @ D.T
    found = shown(lab.snapshot.reference, "y").values
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(
        lab.matrices.painted()[0], shown(ref.H.rotate(R), "y").dense(), atol=1e-6
    )


def test_symmetry_errors_are_those_of_spinors(lab):
    lab.turn_to(TURN)
    assert lab.snapshot.symmetry["baseline"].max_mev < 1e-7
    assert lab.snapshot.symmetry["refined"].max_mev > 1
    assert lab.experiment.drift_mev(lab.snapshot)["reference"] < 1e-7


def test_a_block_shows_its_four_parts_or_all_of_it(lab, ref):
    lab.pick(0, 1)
    (uu, ud), (du, dd) = (np.split(half, 2, axis=1) for half in np.split(ref.H.block(0, 1), 2))
    parts = [(uu + dd).real, (ud + du).imag, (ud - du).real, (uu - dd).imag]
    np.testing.assert_allclose(lab.block.heat.painted(), np.array(parts) / 2, atol=1e-6)
    assert lab.block.heat.notes == ["1", "iσx", "iσy", "iσz"]
    assert lab.block.heat.titles[0] == "O1 | H2: reference"
    lab.spin.buttons.value = COMPLEX
    np.testing.assert_allclose(lab.block.heat.painted()[0], ref.H.block(0, 1), atol=1e-6)
    assert lab.block.heat.rows["orbitals"][5] == "1s ↓"
    assert "10 × 2 eV" in lab.block.caption.value


def test_parts_of_one_size_share_their_colours_and_keep_what_the_user_chose(lab):
    scalar = lab.limit.value
    lab.spin.buttons.value = "x"
    small = lab.limit.value
    assert small < scalar / 5
    lab.limit.value = 3 * small
    lab.spin.buttons.value = "scalar"
    assert lab.limit.value == lab.matrices.limit == scalar
    lab.spin.buttons.value = "z"
    assert lab.limit.value == pytest.approx(3 * small)
    lab.limit.value *= 1.02  # what a browser sends back, rounded to the slider's step
    assert lab.matrices.limit == pytest.approx(3 * small)
    lab.reset()
    assert (lab.spin.part, lab.limit.value) == ("scalar", scalar)


def test_magnetic_parts_are_offered_where_there_are_some(water):
    made = RotationLab(water, reference=reference_of(water, magnetic=0.5))
    assert made.spin.names == list(PARTS)
    made.spin.buttons.value = "magnetic z"
    assert np.abs(made.matrices.painted()[0]).max() == pytest.approx(0.5, rel=1e-5)
    assert made.block.heat.notes == ["i", "σx", "σy", "σz"]
    made.close()


def test_matrices_with_and_without_spin_do_not_stand_side_by_side(water, ref):
    scalar = {"scalar": lambda atoms: coupled(atoms)[0].without_spin()}
    with pytest.raises(ValueError, match="'scalar' is without spin"):
        RotationLab(water, reference=ref, predictors=scalar)


def test_a_lab_with_spin_leaves_no_widget_behind(water, model, ref):
    before = set(_instances)
    for made in (RotationLab(water, model=model, reference=ref), SpinorTurn(ref.H, ref.S, 10)):
        made.close()
    assert set(_instances) == before


@needs_gpaw
def test_a_crystal_with_spin_is_rotated_and_recomputed():
    atoms = bismuth()
    made = wb.reference(atoms, engine="gpaw", **QUICK, mesh=(2, 2, 1), spin_orbit=True)
    crystal = RotationLab(atoms, reference=made)
    crystal.turn_to(TURN)
    crystal.recompute()
    assert crystal.snapshot.recomputed
    assert crystal.experiment.floor.errors.mae_mev < 1
    assert "DFT floor measured" in crystal.errors.value
    crystal.close()


# ---- levels ---------------------------------------------------------------------------------


def test_each_level_of_a_pair_has_half_a_line_and_one_electron():
    energies = np.array([-3.0, -3.0, -1.0, -1.0, 2.0, 2.0])

    def bars(n_occupied, levels=energies):
        picture = level_picture({"H": levels}, {"H": levels}, n_occupied, {"H": 0.0}, spinor=True)
        lines = [part for part in picture.split("<line ") if 'width="2.5"' in part]
        return [part.split('"')[7:10:2] for part in lines], picture

    (heights, picture) = bars(4)
    assert len(heights) == 6
    assert heights[0][0] == heights[1][0]
    assert [colour for _, colour in heights] == 4 * ["#0b5394"] + 2 * ["#c2410c"]
    assert ">3.0000<" in picture  # the gap, between level 4 and level 5
    assert "Kramers" in picture
    assert [colour for _, colour in bars(3)[0]] == 3 * ["#0b5394"] + 3 * ["#c2410c"]
    split, picture = bars(4, energies + [0, 0.25] * 3)
    assert split[0][0] != split[1][0]
    assert ">250<" in picture  # meV


# ---- SpinorTurn -----------------------------------------------------------------------------


@pytest.fixture
def turned(ref):
    made = SpinorTurn(ref.H, ref.S, ref.n_electrons)
    yield made
    made.close()


@pytest.mark.parametrize("axis", ["x", "z", "(1,1,1)"])
def test_the_state_needs_two_rounds_and_the_matrix_one(turned, axis):
    turned.axis.value = axis
    for degrees, sign, words in ((360, -1, "opposite sign"), (720, 1, "state is unchanged")):
        turned.stops[degrees].click()
        assert turned.degrees == degrees
        assert turned.overlap == pytest.approx(sign, abs=1e-12)
        assert turned.change_ev < 1e-12
        assert words in turned.text.value
        assert turned.text.value.count("no change") == 4
    turned.turn_to(100)
    assert turned.change_ev > 1e-3
    assert "the state has changed; the Hamiltonian has changed" in turned.text.value


def test_the_turn_starts_at_the_highest_occupied_level_and_comes_back_to_it(turned):
    assert "10 of 14" in {level: text for text, level in turned.level.options}[9]
    assert turned.level.value == 9
    pictures = turned.arrows.value, turned.plot.value
    turned.level.value, turned.axis.value = 3, "y"
    turned.turn_to(45)
    assert turned.arrows.value != pictures[0]
    turned.reset_button.click()
    assert (turned.arrows.value, turned.plot.value) == pictures


def test_an_unmoved_part_is_named_and_each_moved_part_has_its_position(turned):
    """Oxygen alone is a sphere, so that a turn of it moves nothing at all."""
    turned.turn_to(90)
    assert turned.text.value.count(" | ") == 4
    oxygen = SpinorTurn(*coupled(wb.load("water")[:1]), 8)
    oxygen.turn_to(90)
    assert oxygen.text.value.count("no change") == 4
    assert "the state has changed; the Hamiltonian is unchanged" in oxygen.text.value
    oxygen.close()


def test_a_matrix_without_spin_is_refused(ref):
    with pytest.raises(ValueError, match="without spin"):
        SpinorTurn(ref.H.without_spin(), ref.S.without_spin())
