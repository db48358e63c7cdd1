"""Edge frames: every pair lies on the z axis; cached constants serve training as well."""

import numpy as np
import pytest
import torch

from tests.support.networks import BASIS, SMALL
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.models.edge_frames import Constant, EdgeFrames
from workbench.models.geometry import GeometryBuilder

SMALL_BASIS = Basis("toy", {1: (0,), 8: (0, 1)})


def test_frames_rotate_pairs_onto_the_z_axis():
    builder = GeometryBuilder(BlockIrreps(BASIS), SMALL)
    vectors = torch.tensor([[0, 0, 1.0], [0, 0, -2.0], [1e-9, 0, 1.0], [0.3, -0.2, 0.9]])
    D = builder.frames(vectors.double())[:, 1:4, 1:4]
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)[:, [1, 2, 0]]
    on_z = (D @ unit[:, :, None])[:, :, 0]
    torch.testing.assert_close(on_z, torch.tensor([[0, 1.0, 0]]).double().expand(4, 3))


def test_frames_are_the_wigner_matrices_of_one_rotation_in_every_l():
    vectors = torch.tensor([[0, 0, 1.0], [0, 0, -2.0], [1.0, 0, 0], [0.3, -0.2, 0.9]])
    D = EdgeFrames(4)(vectors.double())
    axes = [2, 0, 1]  # of y, z, x
    rotations = D[:, 1:4, 1:4][:, axes][:, :, axes].numpy()
    expected = torch.from_numpy(wigner_blocks(range(5), rotations))
    torch.testing.assert_close(D, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cached", ["constant", "change"])
def test_constants_cached_by_a_prediction_work_in_training(cached):
    """A tensor that is created in inference mode cannot take part in a gradient."""
    x = torch.ones(2, BlockIrreps(SMALL_BASIS).size, requires_grad=True)
    if cached == "constant":
        constant = Constant(np.ones(x.shape[1]))
        with torch.inference_mode():
            constant(x)
        (x * constant(x)).sum().backward()
    else:
        irreps = BlockIrreps(SMALL_BASIS)
        with torch.inference_mode():
            irreps.decode(x)
        irreps.decode(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
