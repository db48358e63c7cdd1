"""Tasks tell right answers from wrong ones, and what is wrong with those; quizzes too."""

import numpy as np
import pytest

import workbench as wb
from tests.support.crystal import integrals, sheet
from workbench.course import Verdict, crystals, spinors
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.rotations import spin_half_axis

K = np.array([0.21, -0.37, 0.0])


@pytest.fixture(scope="module")
def overlaps():
    return integrals(sheet(), "int1e_ovlp", basis="sto-3g")


def added(H, phase):
    mine = np.flatnonzero((H.edges[0] == 0) & (H.edges[1] == 1))
    return sum(phase(H.shifts[e]) * H.block(0, 1, H.shifts[e]) for e in mine)


def test_a_bloch_sum_is_right_if_it_is_the_block_at_k(overlaps):
    whole = overlaps.at_k(K)[:5, 5:]
    assert crystals.bloch_sum(whole, (0, 1), K, overlaps)
    assert np.allclose(whole, added(overlaps, lambda T: np.exp(2j * np.pi * K @ T)))


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        (lambda T: 1, "without phases"),
        (lambda T: np.exp(-2j * np.pi * K @ T), "wrong sign"),
        (lambda T: np.exp(1j * K @ T), "2 pi"),
        (lambda T: float(not T.any()), "other cells are missing"),
        (lambda T: 2 * np.exp(2j * np.pi * K @ T), "off by"),
    ],
)
def test_the_verdict_explains_a_wrong_bloch_sum(overlaps, phase, says):
    verdict = crystals.bloch_sum(added(overlaps, phase), (0, 1), K, overlaps)
    assert not verdict
    assert says in verdict.why
    assert "5 x 5" in crystals.bloch_sum(1.0, (0, 1), K, overlaps).why


def test_the_dirac_point_is_where_bands_touch():
    """Graphene of one orbital per atom: the bands are -|f|, |f| and touch at K alone."""
    H, S = honeycomb(-2.7), honeycomb(0.0, 1.0)
    assert crystals.dirac_point((1 / 3, 1 / 3, 0), H, S, 2)
    assert crystals.dirac_point((-1 / 3, -1 / 3, 0), H, S, 2)
    centre = crystals.dirac_point((0, 0, 0), H, S, 2)
    assert "Γ" in centre.why
    assert "16.20 eV" in centre.why
    assert "M, the middle" in crystals.dirac_point((0.5, 0, 0), H, S, 2).why
    assert "three components" in crystals.dirac_point((0.5, 0), H, S, 2).why
    assert not crystals.dirac_point((0.2, 0.1, 0), H, S, 2)


def test_opposite_cells_change_bands_but_not_at_the_centre(overlaps):
    wrong = crystals.opposite_cells(overlaps)
    np.testing.assert_allclose(wrong.at_k([0, 0, 0]), overlaps.at_k([0, 0, 0]), atol=1e-12)
    assert np.abs(energies_at(wrong, overlaps, K) - 1).max() > 0.1
    np.testing.assert_allclose(energies_at(overlaps, overlaps, K), 1, atol=1e-9)


def honeycomb(hop: float, on_site: float = 0.0) -> wb.BlockMatrix:
    """One orbital on each of two atoms; the cells of ASE's graphene (vectors at 120 degrees)."""
    cells = np.array([[0, 0, 0], [-1, 0, 0], [-1, -1, 0]])
    edges = [[0, 0], [1, 1], *[[0, 1]] * 3, *[[1, 0]] * 3]
    shifts = [[0, 0, 0], [0, 0, 0], *cells, *-cells]
    values = np.array([on_site, on_site, *[hop] * 6], dtype=float)
    return wb.BlockMatrix(
        wb.Basis("toy", {6: (0,)}),
        np.array([6, 6]),
        np.array(edges).T,
        np.array(shifts),
        values[:, None, None],
    )


HALF = np.exp(0.5j * np.deg2rad(70))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.diag([1 / HALF, HALF]), "Right: half the angle"),
        (np.diag([1 / HALF**2, HALF**2]), "a vector rotates by it"),
        (np.diag([HALF, 1 / HALF]), "the opposite rotation"),
        (np.diag([1 / HALF, 1 / HALF]), "opposite sign"),
        (spin_half_axis((0, 1, 0), 70), "mixes up and down"),
        (np.diag([2.0, 1.0]), "changes the norm"),
        (np.eye(2), "phase -35°, down 35°"),
        (HALF, "2 x 2"),
    ],
)
def test_the_turn_of_a_spinor_takes_half_the_angle(answer, says):
    assert says in str(spinors.spin_turn(answer, 70))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (1.4, "Right: j = 1/2"),
        (-1.4, "positive"),
        (0.0, "one multiplet"),
        (14.0, "other levels"),
        (0.7, "not a difference"),
    ],
)
def test_the_verdict_distinguishes_a_splitting_from_other_differences(answer, says):
    levels = [-27.4, -27.4, -13.4, -13.4, *[-12.0] * 4]
    assert says in str(spinors.p_splitting(answer, levels))
    assert spinors.multiplets(levels) == [(-27.4, 2), (-13.4, 2), (-12.0, 4)]
    with pytest.raises(ValueError, match="two and four"):
        spinors.p_splitting(1.0, levels[:-2])


def test_a_field_on_spins_parts_kramers_pairs_by_twice_its_energy(overlaps):
    S = overlaps.with_spin()
    split = spinors.in_a_field(0.0 * S, S, 0.2)
    found = spinors.multiplets(energies_at(split, S, [0, 0, 0]))
    assert [n for _, n in found] == [10, 10]
    np.testing.assert_allclose([e for e, _ in found], [-0.2, 0.2], atol=1e-9)


def test_a_verdict_says_the_same_with_and_without_a_screen():
    shown = Verdict(False, "4 < 5.")
    assert str(shown) == "Not yet: 4 < 5."
    assert "Not yet:" in shown._repr_html_()
    assert "4 &lt; 5" in shown._repr_html_()
    assert 'role="status"' in shown._repr_html_()


def test_a_quiz_answers_each_choice():
    quiz = wb.Quiz("1 + 1?", {"2": "One more.", "11": "Side by side."}, right="2")
    assert quiz.verdict is None
    quiz.choice.value = "11"
    assert quiz.verdict == Verdict(False, "Side by side.")
    assert "Side by side" in quiz.children[-1].value
    quiz.choice.value = "2"
    assert quiz.verdict
    with pytest.raises(ValueError, match="must be one of them"):
        wb.Quiz("1 + 1?", {"2": "", "3": ""}, right="4")
