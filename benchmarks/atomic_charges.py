"""How much of what a model leaves is the potential of charges on atoms, and can they be predicted?

    python benchmarks/atomic_charges.py [--model organic] [--dataset organic]

Both stages leave a remainder on molecules that the model has never seen. It is approximated by one
Gaussian charge an atom, neutral in total, with exact integrals. The charges are fitted to the
remainder itself, which no prediction can do; taken from another geometry of the same molecule; or
predicted from stage 1's invariant features by ridge regression on other molecules.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

import workbench as wb
from workbench.datasets.dataset import Sample
from workbench.engines.gaussian_charges import repulsion
from workbench.engines.pyscf_library import lib
from workbench.engines.pyscf_molecules import ao_order, mole
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.twostage import TwoStageModel

EXPONENT = 0.8
"""Of the Gaussian charges, 1/Bohr^2."""

FOLDS = 6
RIDGES = (0.1, 1.0, 10.0, 100.0)
"""Ridge strengths, in units of the features' mean square."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Remainder:
    """What both stages leave of one structure.

    Attributes:
        numbers: (N,) atomic numbers.
        features: (N, C) stage 1's invariant features.
        potentials: (N, n_ao^2) of a unit charge on each atom, Hartree.
        left: (n_ao^2,) true less predicted Hamiltonian, Hartree.
    """

    numbers: NDArray[np.int64]
    features: Array
    potentials: Array
    left: Array

    def error(self, charges: Array | float = 0.0) -> float:
        """MAE after these charges (N,), e, are taken into account, 1e-6 Hartree."""
        q = np.broadcast_to(charges, len(self.numbers))
        return 1e6 * float(np.abs(self.left - q @ self.potentials).mean())

    @property
    def fitted(self) -> Array:
        """(N,) the neutral charges of least squares."""
        n = len(self.numbers)
        matrix = np.ones((n + 1, n + 1))
        matrix[:n, :n], matrix[n, n] = self.potentials @ self.potentials.T, 0.0
        return np.linalg.solve(matrix, np.append(self.potentials @ self.left, 0.0))[:n]


def remainder(model: TwoStageModel, sample: Sample) -> Remainder:
    """What a model leaves of a sample."""
    atoms, prediction = sample.atoms, model.predict(sample.atoms)
    molecule = mole(atoms, model.basis.name, electrons=False)
    unit = [[((EXPONENT,), (1.0,))] for _ in atoms]
    integrals = np.ascontiguousarray(repulsion(molecule, atoms, unit).T)
    order = np.ix_(*[ao_order(molecule)] * 2)
    potentials = np.stack([lib.unpack_tril(row)[order].ravel() for row in integrals])
    left = (sample.H.in_basis(model.basis) - prediction.refined).dense().ravel() / HARTREE
    scalars = prediction.features.by_irrep()["0e"][..., 0].double().numpy()
    return Remainder(atoms.numbers, scalars, potentials, left)


class Regression:
    """Charges of atoms as a linear function of their features, one function per element."""

    def __init__(self, known: Sequence[Remainder], ridge: float) -> None:
        self.elements = np.unique(np.concatenate([r.numbers for r in known]))
        features = np.concatenate([r.features for r in known])
        self.mean, self.scale = features.mean(0), features.std(0)
        square, cross = 0.0, 0.0
        for r in known:  # every structure counts alike, whatever the size of its matrix
            rows, share = self.rows(r), 1 / len(r.left)
            gram = r.potentials @ r.potentials.T
            square = square + share * rows.T @ gram @ rows
            cross = cross + share * rows.T @ (r.potentials @ r.left)
        strength = ridge * np.trace(square) / self.width
        self.weights = np.linalg.solve(square + strength * np.eye(self.width), cross)

    @property
    def width(self) -> int:
        """Number of weights."""
        return len(self.elements) * (len(self.mean) + 1)

    def rows(self, r: Remainder) -> Array:
        """(N, weights); less their mean, so that the charges of a molecule add up to zero."""
        x = np.column_stack([np.ones(len(r.numbers)), (r.features - self.mean) / self.scale])
        of_element = r.numbers[:, None] == self.elements
        rows = (of_element[:, :, None] * x[:, None]).reshape(len(x), -1)
        return rows - rows.mean(0)

    def __call__(self, r: Remainder) -> Array:
        """(N,) charges, e."""
        return self.rows(r) @ self.weights


def cross_validated(molecules: Sequence[list[Remainder]], ridge: float) -> Array:
    """Errors of all structures with charges predicted from the molecules of other folds."""
    fold = np.random.default_rng(0).permutation(len(molecules)) % FOLDS
    errors = [np.zeros(0)] * len(molecules)
    for k in range(FOLDS):
        known = [r for f, rs in zip(fold, molecules, strict=True) if f != k for r in rs]
        charges = Regression(known, ridge)
        for i in np.flatnonzero(fold == k).tolist():
            errors[i] = np.array([r.error(charges(r)) for r in molecules[i]])
    return np.concatenate(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organic")
    parser.add_argument("--dataset", default="organic")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", wb.DomainWarning)
    model = wb.load_model(chosen.model)
    with wb.Dataset(chosen.dataset) as data:
        samples = [data[int(i)] for i in data.split("test")]
    inside = [s for s in samples if model.outside_domain(s.atoms) is None]
    grouped = groupby(inside, key=lambda s: tuple(s.atoms.numbers))
    molecules = [[remainder(model, s) for s in group] for _, group in grouped]
    rows = [r for rs in molecules for r in rs]
    print(f"{len(rows)} structures of {len(molecules)} molecules inside the domain, 1e-6 Hartree")

    def show(title: str, errors: Array | list[float]) -> None:
        print(f"{title:58}{np.mean(errors):8.1f} (median {np.median(errors):.1f})")

    show("both stages", [r.error() for r in rows])
    show("with charges fitted to the remainder", [r.error(r.fitted) for r in rows])
    pairs = [(rs[0], other) for rs in molecules for other in rs[1:]]
    show("all but the first geometry of a molecule", [r.error() for _, r in pairs])
    show("with the charges of the first", [r.error(first.fitted) for first, r in pairs])
    for ridge in RIDGES:
        show(f"charges predicted from features, ridge {ridge:g}", cross_validated(molecules, ridge))


if __name__ == "__main__":
    main()
