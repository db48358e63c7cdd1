"""Readouts solved for: the last linear map of each head as a ridge regression.

Gradients find good features but are slow at the last digits of a linear map; least squares finds
them at once. For a small, smooth system even the features of an untrained network are enough,
which is why stage 1 can be ready in seconds. Ours; decision 22 (docs/explanation) has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.models.readouts import Readout

RIDGES = tuple(10.0**-k for k in range(3, 15))
"""Strengths tried, in units of the features' mean square: the validation set chooses.

They are those of the most frequent class. To a rarer one the same belief in small weights is worth
as much more as it has fewer rows to say otherwise."""


class NormalEquations:
    """Sums over a training set that decide a readout, one set of equations per class and section.

    float64 throughout: with small ridges the solution lives on the features' last digits.
    """

    def __init__(self, readout: Readout) -> None:
        """Nothing summed yet."""
        self.readout = readout
        n, sizes = readout.n_classes, [(s.inner + s.invariant, s.outer) for s in readout.sections]
        none = readout.bias.new_zeros(0, dtype=torch.float64)
        self.square = [none.new_zeros(n, inner, inner) for inner, _ in sizes]
        self.cross = [none.new_zeros(n, inner, outer) for inner, outer in sizes]
        self.count = none.new_zeros(n)

    @torch.no_grad()
    def add(self, parts: Sequence[Tensor], targets: Tensor, classes: Tensor) -> None:
        """Take in features (items, components, inner) per section and targets (items, outputs)."""
        self.count += torch.bincount(classes, minlength=len(self.count))
        at = 0
        for k, s in enumerate(self.readout.sections):
            wanted = targets[:, at : at + s.components * s.outer].double()
            wanted = wanted.unflatten(1, (s.components, s.outer))
            at += s.components * s.outer
            x = parts[k].double()
            if s.invariant:
                x = functional.pad(x, (0, 1), value=1.0)
            for c in classes.unique().tolist():
                mine = classes == c
                own = x[mine].flatten(0, 1)
                self.square[k][c] += own.T @ own
                self.cross[k][c] += own.T @ wanted[mine].flatten(0, 1)

    def solution(self, ridge: float) -> list[Tensor]:
        """Matrices (classes, inner (+ 1), outer) per section; zero for a class never seen."""
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
    """Give readouts the ridge solution that validates best, or leave them if none does better.

    Args:
        equations: of all readouts concerned.
        validate: the error with the readouts as they stand.

    Returns:
        The smallest error.
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
