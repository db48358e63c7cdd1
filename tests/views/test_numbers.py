"""Numbers and orientations as text."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.views.numbers import milli, orientation


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2e-10, "2e−10"),
        (2.1e-4, "2e−4"),
        (0.187, "0.187"),
        (0.0421, "0.042"),
        (12.34, "12.3"),
        (150, "150"),
        (999.6, "1\u202f000"),
    ],
)
def test_milli_electron_volts_are_short(value, text):
    assert milli(value) == text


def test_orientations_in_words():
    assert orientation(np.eye(3)) == "not rotated"
    assert orientation(wb.rotation((1, 1, 0), 40)) == "40.0° about (0.71, 0.71, 0.00)"
