"""What Heat sends to the browser."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.widgets import Heat


def test_heat_sends_the_matrix_row_by_row_with_names(ref):
    heat = Heat([ref.H, ref.S], ["H", "S"])
    np.testing.assert_allclose(heat.painted()[0], ref.H.dense(), rtol=1e-6)
    assert heat.rows["atoms"] == ["O1", "H2", "H3"]
    assert heat.rows["borders"] == [0, 5, 6, 7]
    assert heat.rows["orbitals"][:3] == ["1s", "2s", "2py"]
    assert heat.limit >= ref.H.max_abs()


def test_heat_scales_leaves_gaps_and_counts(ref):
    heat = Heat([np.eye(2), None], ["a", "b"], factor=1000.0, limit=5)
    first = heat.sequence
    heat.show([2 * np.eye(2), None], tick=7)
    assert (heat.sequence, heat.tick, heat.limit) == (first + 1, 7, 5)
    assert heat.painted()[0, 0, 0] == 2000
    assert np.isnan(heat.painted()[1]).all()


@pytest.mark.parametrize("wrong", [[np.eye(2), np.eye(3)], [np.eye(2)], [np.zeros((2, 2, 2))] * 2])
def test_heat_refuses_what_it_cannot_show(wrong):
    with pytest.raises(ValueError, match=r"Heat shows"):
        Heat([np.eye(2), np.eye(2)], ["a", "b"]).show(wrong)
