"""Predictions: features rotate as their irreps say."""

import numpy as np
import torch
from e3nn import o3

from tests.support.networks import distorted_ethanol, random_model
from workbench.hamiltonians.rotations import random_rotation


def test_features_rotate_as_their_irreps():
    model = random_model().to(torch.float64)
    atoms, R = distorted_ethanol(), random_rotation(np.random.default_rng(6))
    rotated = atoms.copy()
    rotated.positions = atoms.positions @ R.T
    here, there = (model.predict(a).features for a in (atoms, rotated))
    axes = [1, 2, 0]
    D = o3.Irreps(here.irreps).D_from_matrix(torch.tensor(R[np.ix_(axes, axes)]))
    for name in ("node", "edge"):
        after, before = getattr(there, name), getattr(here, name)
        size = float(before.abs().max())
        torch.testing.assert_close(after, before @ D.T.double(), atol=1e-6 * size, rtol=0)
