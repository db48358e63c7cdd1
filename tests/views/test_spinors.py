"""Still pictures of matrices with spin."""

import numpy as np
import pytest

import workbench as wb
from tests.support.spinor import coupled
from workbench import views
from workbench.views.spin_panels import COMPLEX, PARTS, phase_colours, shown
from workbench.views.style import WIDEST


@pytest.fixture(scope="module")
def H():
    return coupled(wb.load("water"))[0]


@pytest.fixture(scope="module")
def magnetic():
    return coupled(wb.load("water"), magnetic=0.5)[0]


def test_the_plot_shows_all_parts_and_they_add_up_to_the_matrix(H):
    figure = views.heat(H)
    one, x, y, z = (np.asarray(trace.z) for trace in figure.data)
    n = len(one)
    dense = H.dense()
    np.testing.assert_allclose(dense[:n, :n], one + 1j * z, atol=1e-10)
    np.testing.assert_allclose(dense[:n, n:], y + 1j * x, atol=1e-10)
    assert [a.text for a in figure.layout.annotations] == [PARTS[p].title for p in list(PARTS)[:4]]
    assert figure.layout.coloraxis.cmax > 10 * figure.layout.coloraxis2.cmax
    assert figure.data[1].coloraxis == figure.data[3].coloraxis == "coloraxis2"
    bars = (figure.layout.coloraxis.colorbar, figure.layout.coloraxis2.colorbar)
    assert [bar.title.text for bar in bars] == ["scalar<br>eV", "spin-orbit<br>eV"]


def test_magnetic_matrices_have_four_parts_more(magnetic):
    figure = views.heat(magnetic)
    assert len(figure.data) == 8
    assert np.abs(figure.data[7].z).max() == pytest.approx(0.5)
    assert list(views.spin_parts(magnetic)) == [part.title for part in PARTS.values()]


@pytest.mark.parametrize("part", list(PARTS))
def test_one_part_can_be_plotted_alone(magnetic, part):
    figure = views.heat(magnetic, part=part)
    np.testing.assert_allclose(figure.data[0].z, shown(magnetic, part).dense())
    assert PARTS[part].title in figure.layout.title.text


def test_modulus_and_phase_are_plotted_with_a_legend(H):
    figure = views.heat(H, part=COMPLEX)
    image, key = figure.data
    assert np.shape(image.z) == (14, 14, 3)
    row, column, modulus, degrees = image.customdata[0][1]
    assert (row, column) == ("O1 1s ↑", "O1 2s ↑")
    assert modulus * np.exp(1j * np.deg2rad(degrees)) == pytest.approx(H.dense()[0, 1])
    assert list(key.marker.colorbar.ticktext) == ["−180°", "−90°", "0°", "90°", "180°"]
    assert "phase" in views.alt_text(figure)
    colours = [colour for _, colour in key.marker.colorscale]
    assert [colours[0], colours[4], colours[-1]] == ["#2166ac", "#b2182b", "#2166ac"]


def test_zeros_are_white_whatever_their_phase_and_small_numbers_pale():
    unit = np.exp(1j * np.linspace(0, 6, 50))
    assert (phase_colours(1e-9 * unit, 1.0, "linear") == 255).all()
    assert (phase_colours(0.01 * unit, 1.0, "linear") > 250).all()
    full = phase_colours(unit, 1.0, "linear")
    assert full.min(axis=1).max() < 120
    np.testing.assert_array_equal(phase_colours(5 * unit, 1.0, "log"), full)


def test_predictions_with_spin_are_compared_part_by_part(H):
    figure = views.compare({"model": 1.01 * H}, H, part="x")
    np.testing.assert_allclose(figure.data[2].z, 10 * shown(H, "x").dense(), atol=1e-9)
    with pytest.raises(ValueError, match="by parts: give part=, one of scalar, x, y, z"):
        views.compare({"model": H}, H)


def test_levels_of_spinors_stand_two_by_two():
    energies = np.array([-3.0, -3.0, -1.0, -1.0, 2.0, 2.5])
    filled, empty = views.level_diagram({"H": energies}, 4, spinor=True).data
    assert list(np.sign(filled.x)) == [-1, 1, -1, 1]
    assert list(np.sign(empty.x)) == [-1, 1]
    alt = views.alt_text(views.level_diagram({"H": energies}, 4, spinor=True))
    assert "one electron; Kramers pairs are split by 0.500 eV." in alt


def test_figures_fit_the_page_and_have_words(H, magnetic):
    for figure in (views.heat(H), views.heat(magnetic), views.heat(H, part=COMPLEX)):
        assert figure.layout.width <= WIDEST
        assert len(views.alt_text(figure)) > 40


def test_what_has_no_spin_or_is_no_part_is_refused_in_a_sentence(H):
    with pytest.raises(ValueError, match="no spin"):
        views.spin_parts(H.without_spin())
    with pytest.raises(ValueError, match="no part 'w': choose scalar"):
        views.heat(H, part="w")
