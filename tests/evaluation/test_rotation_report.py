"""A rotation report comes back from its file as it was, and its page shows its numbers."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from workbench.evaluation.rotation_errors import RotationErrors, about
from workbench.evaluation.rotation_report import RotationReport, Series
from workbench.evaluation.rotation_search import axes
from workbench.hamiltonians.rotations import random_rotations
from workbench.views.rotation_report import drawings, report_html
from workbench.views.style import number

BASIS = "sto-3g"


@pytest.fixture
def report(errors):
    turns, sphere = random_rotations(4), axes(30)
    degrees = np.arange(30, 181, 30)
    scan = [about([(0, 0, 1)], d)[0] for d in degrees]
    series = {
        "random": Series.of("4 random turns", {"seed": 0}, turns, errors.under(turns)),
        "sphere": Series.of("90°", {"degrees": 90}, sphere, errors.under(about(sphere, 90))),
        "scan": Series.of("about z", {"degrees": degrees.tolist()}, scan, errors.under(scan)),
    }
    return RotationReport.of(errors, "mean", series, "water")


def test_a_report_comes_back_as_it_was(report, tmp_path):
    path = report.write(tmp_path / "new" / "report.json")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
    content = json.loads(path.read_text())
    assert RotationReport.from_json(content) == report
    assert content["structure"]["formula"] == "H2O"
    assert content["programs"]["numpy"] == np.__version__
    assert content["inversion"]["toy"]["mae_mev"] < 1e-9  # u u^T is even
    older = {key: value for key, value in content.items() if key != "inversion"}
    assert not RotationReport.from_json(older).inversion
    assert "inversion, mean" not in report_html(RotationReport.from_json(older))
    with pytest.raises(ValueError, match="no rotation report"):
        RotationReport.from_json({"format": "something else"})


def test_the_page_of_a_report_needs_nothing_and_shows_its_numbers(report, errors):
    page = report_html(report)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    for name, drawing in drawings(report).items():
        assert drawing.svg in page, name
        assert drawing.alt
    means = [own["toy"].mae_mev for own in errors.under(random_rotations(4))]
    assert f"<td>{number(float(np.median(means)))}</td>" in page


def test_tables_and_pictures_show_the_inversion_beside_the_rotations(water, one_handed):
    errors = RotationErrors(water, one_handed)
    turns, degrees = random_rotations(3), [0, 90, 180]
    scan = [about([(0, 0, 1)], d)[0] for d in degrees]
    series = {
        "random": Series.of("3 random turns", {"seed": 0}, turns, errors.under(turns)),
        "scan": Series.of("about z", {"degrees": degrees}, scan, errors.under(scan)),
        "sphere": Series.of("90°", {}, axes(6), errors.under(about(axes(6), 90))),
    }
    report = RotationReport.of(errors, "largest", series)
    inverted = errors.inversion["refined"]
    page, pictures = report_html(report), drawings(report)
    for error in (inverted.mae_mev, inverted.max_mev):
        assert page.count(f"<td>{number(error)}</td>") == len(series)
    for drawing in pictures.values():
        assert f"inversion {number(inverted.max_mev)} meV" in drawing.alt
        assert f"inversion {number(inverted.max_mev)} meV" in drawing.svg
    # A diamond for each stage; on the logarithmic axis the second lies many decades to the right.
    places = [
        [float(x) for x in re.findall(r'<polygon points="([\d.]+),', pictures[key].svg)]
        for key in ("random", "scan")
    ]
    assert [len(x) for x in places] == [2, 2]
    assert places[0][1] > places[0][0] + 100
