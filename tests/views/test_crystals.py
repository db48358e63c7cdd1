"""Pictures of crystals: bands from each one's own Fermi level, blocks that fade with distance."""

import numpy as np
import pytest
from ase.build import graphene
from ase.spectrum.band_structure import BandStructure

from tests.support.crystal import integrals, sheet
from workbench import views
from workbench.views.style import alt_text


def made(shift: float = 0.0, reference: float = 0.0, path: str = "GMKG") -> BandStructure:
    """Three flat-footed bands of a hexagonal sheet: any numbers will do."""
    way = graphene(vacuum=5).cell.bandpath(path, npoints=20, pbc=[1, 1, 0])
    lowest = -2.0 + shift + np.cos(2 * np.pi * way.kpts[:, 0])
    energies = np.stack([lowest, lowest + 3, lowest + 9], axis=1) + reference
    return BandStructure(path=way, energies=energies[None], reference=reference)


def test_all_bands_are_plotted_from_the_fermi_level_with_gaps_between():
    figure = views.bands({"DFT": made(reference=-4.1)})
    (trace,) = figure.data
    drawn = np.reshape(trace.y, (3, 21))
    np.testing.assert_allclose(drawn[:, :-1], made().energies[0].T, atol=1e-12)
    assert np.isnan(drawn[:, -1]).all()
    assert list(figure.layout.xaxis.ticktext) == ["Γ", "M", "K", "Γ"]
    np.testing.assert_allclose(figure.layout.xaxis.tickvals, made().get_labels()[1])


def test_the_text_twin_tells_how_far_the_bands_lie_apart_where_they_are_shown():
    near, far = made(0.02), made(0.5)
    figure = views.bands({"DFT": made(), "baseline": far, "refined": near}, (-4.0, 3.0))
    assert "baseline 500.0 meV and refined 20.0 meV" in alt_text(figure)
    widths = [trace.line.width for trace in figure.data]
    assert widths[0] > max(widths[1:])
    assert len({trace.line.dash for trace in figure.data}) == 3  # told apart without colour


def test_the_picture_says_whose_fermi_level_is_the_zero():
    """Bands that only have another zero of energy coincide if each has its own Fermi level."""
    own = views.bands({"DFT": made(), "shifted": made(reference=0.3)}, (-4.0, 3.0))
    assert "each relative to its own Fermi level" in alt_text(own)
    assert "shifted 0.0 meV" in alt_text(own)
    assert "own Fermi level" in own.layout.yaxis.title.text
    one = views.bands({"DFT": made(), "shifted": made(0.3)}, (-4.0, 3.0))
    assert "all relative to the same Fermi level" in alt_text(one)
    assert "shifted 300.0 meV" in alt_text(one)
    assert "the Fermi level" in one.layout.yaxis.title.text


def test_a_density_stands_beside_its_bands_on_the_same_axis():
    at = np.linspace(-5, 5, 11)
    figure = views.bands({"DFT": made()}, densities={"DFT": (at, at**2)})
    curve, density = figure.data
    assert curve.line.color == density.line.color
    np.testing.assert_array_equal(density.x, at**2)
    assert figure.layout.yaxis2.matches == "y"


@pytest.mark.parametrize(
    ("given", "densities", "says"),
    [
        ({}, None, "at least one"),
        ({"a": made(), "b": made(path="GKG")}, None, "not along the same path"),
        ({"a": made()}, {"b": ([0.0], [1.0])}, "'b' has a density of states but no bands"),
    ],
)
def test_a_plot_that_is_not_possible_raises_an_error_that_says_why(given, densities, says):
    with pytest.raises(ValueError, match=says):
        views.bands(given, densities=densities)


def test_blocks_fade_with_the_distance_that_the_cell_gives():
    atoms = sheet()
    S = integrals(atoms, "int1e_ovlp", basis="sto-3g")
    (points,) = views.decay(S, atoms, unit="1").data
    nearest = 3.3 / 3**0.5
    assert min(x for x in points.x if x > 0) == pytest.approx(nearest)
    assert [t for x, t in zip(points.x, points.text, strict=True) if x == 0] == [
        "1–1 in cell (0, 0, 0)",
        "2–2 in cell (0, 0, 0)",
    ]
    at = [y for x, y in zip(points.x, points.y, strict=True) if abs(x - nearest) < 1e-6]
    assert len(at) == 6  # three neighbours, seen from both
    np.testing.assert_allclose(at, np.linalg.norm(S.block(0, 1)))
    on_one_atom = f"from {np.linalg.norm(S.block(0, 0)):.2f} on one atom"
    assert on_one_atom in alt_text(views.decay(S, atoms, unit="1"))
    with pytest.raises(ValueError, match="do not belong to each other"):
        views.decay(S, atoms[:1])
