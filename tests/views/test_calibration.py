"""The calibration plot shows each row: estimate, interval, true error, and its verdict."""

import numpy as np
import pytest

from workbench import views
from workbench.evaluation.coverage import Checked
from workbench.evaluation.self_consistency import Estimate

TRUE = (1.0, 0.5, 40.0)
ESTIMATES = (Estimate(1.1, 0.9, 1.5), Estimate(1.0, 0.8, 1.4), Estimate(30.0, 20.0, 45.0))


@pytest.fixture
def rows() -> list[Checked]:
    return [
        Checked(k, k, "CH4", 5, {"gap": estimate}, {"gap": true}, usable=k < 2)
        for k, (true, estimate) in enumerate(zip(TRUE, ESTIMATES, strict=True))
    ]


def test_points_bars_and_colours_are_those_of_the_rows(rows):
    figure = views.calibration(rows, "gap")
    usable, other = figure.data
    assert list(usable.x) == list(TRUE[:2])
    assert list(other.x) == [40.0]
    assert usable.marker.color != other.marker.color
    tops = np.array(usable.y) + np.array(usable.error_y.array)
    bottoms = np.array(usable.y) - np.array(usable.error_y.arrayminus)
    np.testing.assert_allclose(tops, [1.5, 1.4])
    np.testing.assert_allclose(bottoms, [0.9, 0.8])
    assert usable.text[0].startswith("CH4, 5 atoms, sample 0")


def test_title_and_text_count_the_intervals(rows):
    figure = views.calibration(rows, "gap")
    assert figure.layout.title.text == "2 of 3 intervals hold the true error"
    assert "true error of the gap, 3 predictions" in views.alt_text(figure)
    assert "from 0.500 to 40.0 meV" in views.alt_text(figure)


def test_both_axes_have_one_range_and_hold_every_bar(rows):
    figure = views.calibration(rows, "gap")
    low, high = figure.layout.xaxis.range
    assert tuple(figure.layout.yaxis.range) == (low, high)
    assert 10**low < 0.5
    assert 10**high > 45
