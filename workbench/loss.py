"""What training minimises."""

from __future__ import annotations

from torch import Tensor

from workbench.models.blocks import Blocks


def matrix_mae(error: Blocks, elements: Tensor) -> Tensor:
    """Mean modulus of the error over the existing elements of a batch, eV.

    It is the metric itself. Padding needs no mask: it is zero in prediction and target alike.

    Args:
        error: prediction less target.
        elements: (B,) how many elements each structure's matrix has.
    """
    total = error.nodes.abs().sum() + error.pairs.abs().sum()
    return total / elements.sum().to(total)
