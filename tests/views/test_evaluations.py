"""Evaluations in tables and pictures hold the numbers of their reports, in words too."""

import numpy as np
import pytest

from workbench import views
from workbench.hamiltonians.conventions import HARTREE


def stage(mae: float, level: float, periodic: bool = False) -> dict:
    key = "band_mae_mev" if periodic else "occupied_level_mae_mev"
    of_levels = {key: level, f"aligned_{key}": level / 4}
    pairs = {"ss": {"mae_mev": 2 * mae, "max_mev": 1.0}, "sp": {"mae_mev": mae, "max_mev": 1.0}}
    return {"mae_mev": mae, "shell_pairs": pairs, **of_levels}


def report(errors: list[float], level: float, periodic: bool = False) -> dict:
    """What `evaluate` returns, of made-up errors in meV."""
    each = [
        {"sample": k, "formula": "H2O", "group": k}
        | {s: stage(e * f, level, periodic) for s, f in (("baseline", 2), ("refined", 1))}
        for k, e in enumerate(errors)
    ]
    found = {"structures": len(errors), "each": each}
    for name, factor in (("baseline", 2), ("refined", 1)):
        hartree = factor * np.array(errors) / 1000 / HARTREE
        found[name] = {
            "mae_hartree": hartree.mean(),
            "median_structure_mae_hartree": np.median(hartree),
            "worst_structure_mae_hartree": hartree.max(),
            "equivariance_mae_mev": 0.5,
            "gauge_free_mae_hartree": hartree.mean() / 2,
            "shift_mev": 12.5,
            "inversion_mae_mev": 0.25,
        } | stage(0, level, periodic)
        if not periodic:
            found[name] |= {"gap_mae_mev": 7.0, "occupied_similarity": 0.75}
    return found


@pytest.fixture(scope="module")
def reports() -> dict:
    return {"water": report([1.0, 2.0, 9.0], 3.0), "sheet": report([4.0], 20.0, periodic=True)}


def test_the_table_has_a_line_for_every_stage(reports):
    lines = views.evaluation_table(reports).splitlines()
    assert len(lines) == 5
    water = lines[2].split()
    assert water[:3] == ["water,", "stages", "1+2"]
    assert water[3] == "3"
    median = 2.0 / HARTREE * 1000
    assert float(water[5]) == pytest.approx(median, rel=0.01)
    assert float(water[7]) == pytest.approx(float(water[4]) / 2, rel=0.01), "without gauge"
    assert water[8:] == ["12.5", "3.00", "0.750", "7.00", "0.250", "0.500", "0.250"]
    sheet = lines[4].split()
    assert sheet[8:] == ["12.5", "20.0", "5.00", "-", "-", "0.500", "0.250"], "bands and no gap"


def test_a_report_without_the_gauge_has_dashes(reports):
    """As written by an older version, and of crystals without an overlap."""
    keys = ("gauge_free_mae_hartree", "shift_mev", "aligned_occupied_level_mae_mev")
    older = dict(reports["water"])
    for stage in ("baseline", "refined"):
        older[stage] = {key: v for key, v in older[stage].items() if key not in keys}
    line = views.evaluation_table({"older": older}).splitlines()[2].split()
    assert [line[7], line[8], line[10]] == ["-", "-", "-"]


def test_shell_pairs_are_averaged_over_structures(reports):
    head, water, sheet = views.shell_pair_table(reports).splitlines()
    assert head.split()[-2:] == ["ss", "sp"]
    assert water.split() == ["water", "8.00", "4.00"]
    assert sheet.split() == ["sheet", "8.00", "4.00"]
    assert views.shell_pair_table(reports, "baseline").splitlines()[1].split()[-1] == "8.00"


def test_every_structure_is_a_point_and_the_median_a_bar(reports):
    figure = views.error_spread(reports)
    micro = np.array([1.0, 2.0, 9.0]) * 1000 / HARTREE
    np.testing.assert_allclose(figure.data[0].y, micro)
    assert figure.layout.shapes[0].y0 == pytest.approx(micro[1])
    assert "worst 331" in views.alt_text(figure)
    assert "1e-6 Hartree" in figure.layout.yaxis.title.text


def test_the_same_matrix_error_with_other_levels_stands_on_one_line(reports):
    figure = views.errors_against_levels(reports, {"core": (1.0, 400.0), "LUMO": (1.0, 0.0)})
    water, sheet, lumo, core = figure.data
    assert list(water.x) == [1.0, 2.0, 9.0]
    assert list(water.y) == [3.0] * 3
    assert list(sheet.y) == [20.0]
    assert core.x[0] == lumo.x[0] == 1.0
    assert core.y[0] == 400.0
    assert lumo.y[0] > 0, "zero has no place on a logarithm"
    assert lumo.text[0].strip() == "LUMO: 0"
    assert {core.textposition, lumo.textposition} == {"middle right", "middle left"}
    assert "LUMO at 1.00 meV: levels 0 meV" in views.alt_text(figure)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
