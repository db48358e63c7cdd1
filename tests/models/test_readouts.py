"""Readouts: every item is read by the matrix of its own class, in the order of the items."""

import pytest
import torch

from workbench.models.readouts import Readout, Section

SECTIONS = [Section(1, 3, 2, True), Section(2, 4, 5, False), Section(2, 0, 1, False)]


@pytest.mark.parametrize("classes", [[2, 0, 2, 0, 0], [1], []])
def test_a_solved_readout_applies_the_matrix_of_each_items_class(classes):
    torch.manual_seed(0)
    readout = Readout(SECTIONS, n_classes=3)
    solution = [torch.randn(3, s.inner + s.invariant, s.outer) for s in SECTIONS]
    readout.adopt(solution)
    features = [torch.randn(len(classes), s.components, s.inner) for s in SECTIONS]
    out = readout(features, torch.tensor(classes, dtype=torch.long))
    assert out.shape == (len(classes), 2 + 10 + 2)
    for item, c in enumerate(classes):
        first = features[0][item] @ solution[0][c, :3] + solution[0][c, 3]
        second, nothing = features[1][item] @ solution[1][c], torch.zeros(2)
        expected = torch.cat([first.flatten(), second.flatten(), nothing])
        torch.testing.assert_close(out[item], expected)
