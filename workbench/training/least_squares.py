"""The linear readouts of a stage, refitted by ridge regression.

Gradient descent finds good features, but it converges slowly to the last digits of a linear map;
least squares gives them directly. For a small, smooth system the features of an untrained network
suffice, so stage 1 can be ready in seconds. This step is not part of the paper; decision 22
(docs/explanation) has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.models.readouts import Readout

RIDGES = tuple(10.0**-k for k in range(3, 15))
"""Ridge strengths, in units of the features' mean square; the validation set chooses one.

They apply to the most frequent class. For each class the strength is scaled by 1 / (number of its
rows), so rare classes are regularised more strongly."""


class NormalEquations:
    """The normal equations of a readout, summed over a training set: per class and section.

    All sums are float64: with a small ridge the solution depends on the features' last digits.

    Args:
        readout: the linear map to be refitted.
    """

    def __init__(self, readout: Readout) -> None:
        self.readout = readout
        n, sizes = readout.n_classes, [(s.inner + s.invariant, s.outer) for s in readout.sections]
        like = readout.bias.new_zeros(0, dtype=torch.float64)
        self.square = [like.new_zeros(n, inner, inner) for inner, _ in sizes]
        self.cross = [like.new_zeros(n, inner, outer) for inner, outer in sizes]
        self.count = like.new_zeros(n)

    @torch.no_grad()
    def add(self, parts: Sequence[Tensor], targets: Tensor, classes: Tensor) -> None:
        """Add rows.

        Args:
            parts: features of each section, (items, components, inner).
            targets: (items, outputs), the sections' outputs side by side.
            classes: (items,) species, or pairs of species.
        """
        self.count += torch.bincount(classes, minlength=len(self.count))
        start = 0
        for k, s in enumerate(self.readout.sections):
            outputs = targets[:, start : start + s.components * s.outer].double()
            outputs = outputs.unflatten(1, (s.components, s.outer))
            start += s.components * s.outer
            features = parts[k].double()
            if s.invariant:
                features = functional.pad(features, (0, 1), value=1.0)  # for the bias
            for c in classes.unique().tolist():
                of_class = classes == c
                x = features[of_class].flatten(0, 1)
                self.square[k][c] += x.T @ x
                self.cross[k][c] += x.T @ outputs[of_class].flatten(0, 1)

    def solution(self, ridge: float) -> list[Tensor]:
        """The ridge solution: a matrix (classes, inner (+ 1), outer) per section.

        It is zero for a class without rows.
        """
        result, count = [], self.count.clamp(min=1)[:, None, None]
        ridges = ridge * count.max() / count
        for s, square, cross in zip(self.readout.sections, self.square, self.cross, strict=True):
            rows = count * s.components
            scale = (square / rows).diagonal(dim1=1, dim2=2).sqrt()
            scale = torch.where(scale > 0, scale, 1.0)[:, :, None]
            matrix = square / rows / scale / scale.transpose(1, 2)
            matrix = matrix + ridges * torch.eye(matrix.shape[1]).to(matrix)
            result.append(torch.linalg.solve(matrix, cross / rows / scale) / scale)
        return result


def solve(equations: Sequence[NormalEquations], validate: Callable[[], float]) -> float:
    """Give readouts the ridge solution with the lowest validation error.

    If no solution improves on the readouts as trained by gradients, they are left as they were.

    Args:
        equations: of all readouts to be refitted together.
        validate: returns the validation error with the present readouts.

    Returns:
        The lowest validation error.
    """

    def adopt(ridge: float) -> None:
        for e in equations:
            e.readout.adopt(e.solution(ridge))

    def attempt(ridge: float) -> float:
        adopt(ridge)
        return validate()

    before = validate()
    error, ridge = min((attempt(ridge), ridge) for ridge in RIDGES)
    if error < before:
        adopt(ridge)
        return error
    for e in equations:
        e.readout.forget()
    return before
