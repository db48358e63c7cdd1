"""Layers of stage 1: the fast form of a map in edge frames equals the plain one."""

import torch

from workbench.models.equivariant_layers import O2Linear, by_order, joined


def test_a_map_in_edge_frames_is_one_matrix_product_per_m():
    orders = (3, 2, 0, 4)
    torch.manual_seed(0)
    linear = O2Linear(orders, (2, 3, 1, 1)).double()
    parts = by_order(torch.randn(5, 3 + 2 * 2 + 4, dtype=torch.float64), orders)
    first, *rest = (part @ weight for part, weight in zip(parts, linear.weights, strict=True))
    expected = [first + linear.bias, *rest]
    for output, product in zip(linear(parts), expected, strict=True):
        torch.testing.assert_close(output, product, rtol=1e-12, atol=1e-12)
    flat = torch.cat([part.flatten(1) for part in expected], dim=1)
    torch.testing.assert_close(joined(linear(parts)), flat, rtol=1e-12, atol=1e-12)
