"""Still pictures show the numbers they are given, in words too, and ask nothing of a network."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from ase import Atoms

import workbench as wb
from workbench import views
from workbench.evaluation.equivariance import EquivarianceReport
from workbench.evaluation.errors import Errors
from workbench.hamiltonians.irreps import irrep_norms
from workbench.views.distance_decay import norms_by_degree
from workbench.views.style import DIVERGING, WIDEST, log_strength, log_ticks, number, round_limit

STATIC = Path(views.__file__).parent / "static"
WHITE = "#ffffff"

HISTORY = [
    {"phase": "stage 1", "step": 10, "cpu_seconds": 60.0, "valid_mae_ev": 0.05},
    {"phase": "stage 1", "step": 20, "cpu_seconds": 120.0, "valid_mae_ev": 0.004},
    {"phase": "stage 2", "step": 10, "cpu_seconds": 180.0, "valid_mae_ev": 0.002},
    {"phase": "stage 2", "step": 20, "cpu_seconds": 240.0, "valid_mae_ev": 0.001},
]
REPORT = EquivarianceReport(
    kind="rotation",
    samples=2,
    seed=0,
    errors={"PySCF": Errors(0.05, 0.4, {}), "stage 1": Errors(0.0, 0.0, {})},
    largest={"PySCF": 5e5, "stage 1": 5e5},
    inversion={"PySCF": Errors(0.01, 0.1, {}), "stage 1": Errors(2.0, 30.0, {})},
)


@pytest.fixture(scope="module")
def water() -> Atoms:
    return wb.load("water")


@pytest.fixture(scope="module")
def matrix(water: Atoms) -> wb.BlockMatrix:
    """Any symmetric matrix with all kinds of elements will do; the overlap costs nothing."""
    S = wb.overlap(water, wb.Basis("def2-svp", {1: (0, 0, 1), 8: (0, 0, 0, 1, 1, 2)}))
    return S + -0.3 * S.rotate(wb.rotation((1, 2, 3), 50))


@pytest.fixture(scope="module")
def figures(matrix: wb.BlockMatrix) -> dict[str, go.Figure]:
    return {
        "heat": views.heat(matrix),
        "log heat": views.heat(matrix, scale="log"),
        "compare": views.compare({"a": 1.01 * matrix, "b": 0.999 * matrix}, matrix),
        "levels": views.level_diagram({"PySCF": [-20.0, -3.0, 1.5, 4.0]}, 2),
        "training": views.training_curves(HISTORY),
        "xray": views.irrep_norm_bars(matrix, 0, 1),
        "errors": views.equivariance_bars(REPORT),
    }


def test_heat_shows_the_numbers_of_the_matrix(matrix, figures):
    trace = figures["heat"].data[0]
    np.testing.assert_array_equal(trace.z, matrix.dense())
    assert list(trace.y) == list(trace.x) == matrix.orbital_labels()
    assert figures["heat"].layout.yaxis.autorange == "reversed"  # the first orbital is on top
    np.testing.assert_array_equal(figures["log heat"].data[0].customdata, matrix.dense())


@pytest.mark.parametrize("name", ["heat", "log heat"])
def test_zero_is_white_and_limits_are_symmetric(figures, name):
    trace = figures[name].data[0]
    assert trace.zmin == -trace.zmax
    assert trace.zmid == 0
    assert [0.5, WHITE] in DIVERGING
    assert [colour for _, colour in DIVERGING].count(WHITE) == 1
    np.testing.assert_allclose([at for at, _ in DIVERGING], np.linspace(0, 1, len(DIVERGING)))


def test_a_given_limit_is_kept(matrix):
    assert views.heat(matrix, limit=0.25).data[0].zmax == 0.25
    labels = views.heat(matrix, limit=0.25, scale="log").data[0].colorbar.ticktext
    assert labels[0] == "−0.25"
    assert labels[-1] == "0.25"


def test_the_logarithmic_scale_is_odd_and_ends_at_its_limit():
    values = np.array([-7.0, -0.1, 0.0, 0.1, 7.0])
    shown = log_strength(values, 7.0)
    np.testing.assert_allclose(shown, -shown[::-1])
    np.testing.assert_allclose(shown[[0, 2, 4]], [-1, 0, 1])
    assert (np.diff(shown) > 0).all()


def test_borders_stand_between_atoms(matrix, figures):
    lines = figures["heat"].layout.shapes
    vertical = {s.x0 for s in lines if s.x0 == s.x1}
    assert vertical == {k - 0.5 for k in matrix.offsets}


def test_hovering_tells_orbitals_value_and_unit(matrix, figures):
    template = figures["heat"].data[0].hovertemplate
    assert all(part in template for part in ("%{x}", "%{y}", "%{z", "eV"))
    assert "%{customdata" in figures["log heat"].data[0].hovertemplate
    assert "eV" not in views.heat(matrix, unit="1").data[0].hovertemplate


@pytest.mark.parametrize(("value", "limit"), [(0.0, 1), (3.1, 5), (510, 1000), (0.02, 0.02)])
def test_colour_limits_are_round(value, limit):
    assert round_limit(value) == pytest.approx(limit)


def test_compare_shows_differences_in_mev(matrix, figures):
    reference, a, b, less, more = (t.z for t in figures["compare"].data)
    dense = matrix.dense()
    limit = round_limit(1.01 * np.abs(dense).max())
    for shown, factor in ((reference, 1.0), (a, 1.01), (b, 0.999)):
        np.testing.assert_allclose(shown, log_strength(factor * dense, limit))
    np.testing.assert_allclose(less, 10.0 * dense, atol=1e-9)
    np.testing.assert_allclose(more, -1.0 * dense, atol=1e-9)
    layout = figures["compare"].layout
    assert layout.coloraxis2.cmin == -layout.coloraxis2.cmax
    assert layout.coloraxis2.colorbar.title.text == "meV"
    titles = [a.text for a in layout.annotations]
    assert titles == ["reference", "a", "b", "a − reference", "b − reference"]


def test_compare_needs_something_to_compare(matrix):
    with pytest.raises(ValueError, match="at least one"):
        views.compare({}, matrix)


def test_levels_are_split_at_the_gap():
    energies = {"one": np.array([4.0, -20.0, -3.0, 1.5]), "two": [-20.0, -3.5, 1.5, 4.0]}
    figure = views.level_diagram(energies, 2)
    occupied, virtual = figure.data
    assert list(occupied.y) == [-20, -3, -20, -3.5]
    assert list(virtual.y) == [1.5, 4, 1.5, 4]
    assert list(virtual.x) == [0, 0, 1, 1]
    assert list(virtual.customdata) == [3, 4, 3, 4]
    gaps = [a.text for a in figure.layout.annotations if a.text]
    assert gaps == ["<b>4.500 eV</b>", "<b>5.000 eV</b>"]
    assert "4.500 eV (one) and 5.000 eV (two)" in views.alt_text(figure)


@pytest.mark.parametrize(("levels", "n_occupied"), [({}, 1), ({"a": [1.0]}, 1), ({"a": [1, 2]}, 0)])
def test_levels_without_a_gap_are_refused(levels, n_occupied):
    with pytest.raises(ValueError, match=r"no gap|no levels"):
        views.level_diagram(levels, n_occupied)


def test_training_curves_are_in_mev_and_minutes(figures):
    first, second = figures["training"].data
    assert (first.name, second.name) == ("stage 1", "stage 2")
    np.testing.assert_allclose(first.y, [50, 4])
    np.testing.assert_allclose(second.x, [3, 4])
    assert figures["training"].layout.yaxis.type == "log"
    with pytest.raises(ValueError, match="no validation error"):
        views.training_curves([])


def test_xray_bars_show_every_norm(matrix, figures):
    bars = figures["xray"].data
    shown = {
        (*name.split(", l = ")[0].split(" – "), int(bar.name[4:])): y
        for bar in bars
        for name, y in zip(bar.customdata, bar.y, strict=True)
    }
    assert shown == irrep_norms(matrix, 0, 1)
    places = np.concatenate([bar.x for bar in bars])
    assert sorted(places) == list(range(len(shown)))


def test_xray_bars_do_not_move_with_the_structure(matrix):
    turned = matrix.rotate(wb.rotation((1, 1, 0), 40))
    for before, after in zip(
        views.irrep_norm_bars(matrix, 1, 0).data,
        views.irrep_norm_bars(turned, 1, 0).data,
        strict=True,
    ):
        np.testing.assert_allclose(after.y, before.y, atol=1e-6)


def test_irreps_by_distance_add_up_to_the_blocks_and_do_not_turn(matrix, water):
    norms = norms_by_degree(matrix)
    whole = np.sqrt(sum(values**2 for values in norms.values()))
    np.testing.assert_allclose(whole, np.linalg.norm(matrix.values, axis=(1, 2)), rtol=1e-12)
    turned = norms_by_degree(matrix.rotate(wb.rotation((1, 1, 0), 40)))
    for kind, values in norms.items():
        np.testing.assert_allclose(turned[kind], values, atol=1e-12)
    figure = views.irrep_decay(matrix, water, unit="1")
    assert {trace.name for trace in figure.data} >= {"l = 0", "l = 2", "l = 1, pseudo"}
    assert f"{len(norms)} kinds of irreps in 9 blocks" in views.alt_text(figure)


def test_equivariance_bars_show_the_report_and_its_floor(figures):
    figure = figures["errors"]
    mean, largest, inverted_mean, inverted_largest = figure.data
    assert list(mean.x) == ["PySCF", "stage 1"]
    assert list(mean.y) == [0.05, 0.0]
    assert list(mean.text) == ["0.0500", "0"]
    assert list(largest.y) == [0.4, 0.0]
    assert [bar.name for bar in figure.data[::2]] == ["rotations, mean", "inversion, mean"]
    assert list(inverted_mean.y) == [0.01, 2.0]
    assert list(inverted_largest.y) == [0.1, 30.0]
    assert "Under inversion: 0.0100 meV for PySCF and 2.00 meV for stage 1" in views.alt_text(
        figure
    )
    assert [line.y0 for line in figure.layout.shapes] == [0.05]
    assert not views.equivariance_bars(REPORT, floor=None).layout.shapes


def test_every_figure_has_titles_words_and_readable_letters(figures):
    for name, figure in figures.items():
        axes = [*figure.select_xaxes(), *figure.select_yaxes()]
        titled = [axis for axis in axes if axis.title.text]
        assert len(titled) >= 2, name
        assert views.alt_text(figure).endswith("."), name
        assert len(views.alt_text(figure)) > 40, name
        assert figure.layout.width <= WIDEST < 1280, name
        assert all(size >= 13 for size in font_sizes(figure.layout.to_plotly_json())), name


def font_sizes(layout) -> list[float]:
    """All sizes of letters that a layout sets, the template apart."""
    sizes = []
    for key, value in layout.items() if isinstance(layout, dict) else enumerate(layout):
        if key == "template" or isinstance(value, str):
            continue
        if isinstance(key, str) and key.endswith("font"):
            sizes.append(value.get("size", 14))
        elif isinstance(value, dict | list | tuple):
            sizes += font_sizes(value)
    return sizes


def test_pictures_leave_their_input_alone(water, matrix):
    values, positions = matrix.values.copy(), water.positions.copy()
    energies, history = np.array([2.0, -1.0]), [dict(h) for h in HISTORY]
    figure = views.heat(matrix)
    figure.data[0].z[0, 0] = 99.0  # nor does changing the figure
    views.compare({"a": matrix}, matrix)
    views.level_diagram({"a": energies}, 1)
    views.training_curves(history)
    views.view(water)
    np.testing.assert_array_equal(matrix.values, values)
    np.testing.assert_array_equal(water.positions, positions)
    np.testing.assert_array_equal(energies, [2.0, -1.0])
    assert history == HISTORY


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12.345, "12.3"), (-559.2, "−559"), (3.2e-13, "3.2e−13"), (41234, "41234")],
)
def test_numbers_are_short_and_have_a_true_minus(value, text):
    assert number(value) == text


def test_a_narrow_logarithmic_axis_still_has_ticks():
    ticks = log_ticks(1.5, 8.0)
    assert [t for t in ticks["tickvals"] if 1.5 < t < 8] == [2, 5]
    assert len(log_ticks(1e-13, 1e3)["tickvals"]) <= 10


# ---- the structure --------------------------------------------------------------------------


def test_the_3d_view_loads_no_script_from_elsewhere(water):
    html = views.view(water).write_html()
    assert not re.search(r"https?://", html)
    assert "src=" not in html
    assert "$3Dmolpromise ??=" in html
    assert len(html) < 250_000


def test_the_3d_view_names_the_structure_and_its_atoms(water):
    html = views.view(water).write_html()
    assert 'role="img" aria-label="H2O, 3 atoms' in html
    assert all(f'"{name}"' in html for name in ("O1", "H2", "H3"))
    assert html.count("<div") == html.count("</div>")
    assert '"O1"' not in views.view(water, labels=False).write_html()


def test_the_3d_view_keeps_a_given_style_and_draws_a_cell():
    salt = Atoms("NaCl", [(0, 0, 0), (2.8, 0, 0)], cell=[5.6] * 3, pbc=True)
    html = views.view(salt, style={"line": {}}).write_html()
    assert 'setStyle({"line": {}}' in html
    assert "addUnitCell" in html
    assert "Lattice" in html
    assert "addUnitCell" not in views.view(Atoms("He")).write_html()


def test_the_script_is_3dmol_with_its_licence():
    assert "3Dmol.js 2.5.5" in (STATIC / "3Dmol.js").read_text()[:100]
    assert "University of Pittsburgh" in (STATIC / "3Dmol.LICENSE.txt").read_text()


@pytest.mark.parametrize("name", ["water", "benzene", "ethanol", "H2"])
def test_a_still_picture_looks_from_where_a_structure_spreads_widest(name):
    from workbench.views.structure import widest

    atoms = wb.load(name)
    R = widest(atoms)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    spread = (atoms.positions @ R.T).std(axis=0)
    assert spread[0] >= spread[1] - 1e-9
    assert spread[1] >= spread[2] - 1e-9
