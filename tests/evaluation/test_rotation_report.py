"""A rotation report comes back from its file as it was, and its page shows its numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.evaluation.rotation_errors import about
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
