"""Predictions, reference, errors and levels at one orientation, for the widgets that show them.

The structure x is rotated to R x, and each predictor f is evaluated there. The reference is either
the matrix computed once at R = 1 and rotated, D H D^T, or computed again at R x.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.energy_zero import energy_shift, gauge_free_errors
from workbench.evaluation.equivariance import Predictor
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.evaluation.rotation_errors import BASELINE, REFINED, Predictors
from workbench.hamiltonians.bands import LEAST, energies_at
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import levels, occupied_count
from workbench.hamiltonians.rotations import INVERSION
from workbench.structures.loading import rotate

if TYPE_CHECKING:
    from workbench.engines import Reference

__all__ = ["BASELINE", "REFERENCE", "REFINED", "Experiment", "Floor", "Snapshot", "Predictor"]

REFERENCE = "reference"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All results at one orientation R.

    Attributes:
        R: (3, 3).
        predictions: predictor -> f(R x), eV.
        turned: predictor -> D f(x) D^T, eV, the prediction of an exactly equivariant predictor.
        reference: the true Hamiltonian at R x, eV, or None.
        recomputed: whether the reference was computed at R x; otherwise it is D H D^T.
        errors: predictor -> f(R x) against the reference.
        gauge_free: predictor -> the same without the shift of the zero of energy.
        shifts: predictor -> this shift mu of f(R x) against the reference, eV.
        symmetry: predictor -> f(R x) against D f(x) D^T.
        levels: predictor or "reference" -> eigenvalues (n_ao,), eV; empty without an overlap.
    """

    R: NDArray[np.float64]
    predictions: dict[str, BlockMatrix]
    turned: dict[str, BlockMatrix]
    reference: BlockMatrix | None
    recomputed: bool
    errors: dict[str, Errors]
    gauge_free: dict[str, Errors]
    shifts: dict[str, float]
    symmetry: dict[str, Errors]
    levels: dict[str, NDArray[np.float64]]

    @property
    def matrices(self) -> list[BlockMatrix]:
        """The reference, if known, and all predictions."""
        reference = [] if self.reference is None else [self.reference]
        return [*reference, *self.predictions.values()]

    def matrix(self, name: str) -> BlockMatrix | None:
        """The reference or one predictor's prediction."""
        return self.reference if name == REFERENCE else self.predictions[name]

    def difference(self, name: str, against: str = REFERENCE) -> BlockMatrix | None:
        """f(R x) minus the reference, or minus D f(x) D^T (against="turned"); None if unknown."""
        other = self.reference if against == REFERENCE else self.turned[name]
        return None if other is None else self.predictions[name] - other


@dataclass(frozen=True)
class Floor:
    """The equivariance error of the reference program itself: H(R x) against D H(x) D^T.

    Attributes:
        R: (3, 3).
        errors: of H(R x).
        seconds: wall time of the calculation at R x.
        inversion: errors of H(-x).
    """

    R: NDArray[np.float64]
    errors: Errors
    seconds: float
    inversion: Errors


class Experiment:
    """A structure with several predictors and, if known, its true Hamiltonian.

    Args:
        atoms: the structure x.
        model: an object with `predict(atoms) -> Prediction`, which gives both stages in one call;
            a callable atoms -> BlockMatrix; or None.
        reference: the `Reference` of these atoms at R = 1, or None.
        predictors: further callables atoms -> BlockMatrix by name, e.g. a broken example.

    Raises:
        ValueError: if there is neither a predictor nor a reference, a name is taken, the reference
            belongs to other atoms, or only some matrices have spin.
    """

    def __init__(
        self,
        atoms: Atoms,
        model: Any = None,
        reference: Reference | None = None,
        predictors: Mapping[str, Predictor] | None = None,
    ):
        self.atoms, self.model, self.reference = atoms, model, reference
        self.predictors = Predictors(model, predictors)
        if REFERENCE in self.names:
            raise ValueError(f"The name {REFERENCE!r} is taken: give this predictor another name.")
        if not self.names and reference is None:
            raise ValueError("There is nothing to show: give a model, a reference or predictors.")
        if reference is not None and not np.array_equal(reference.H.numbers, atoms.numbers):
            raise ValueError("The reference belongs to other atoms than those shown.")
        self._upright = self.predict(atoms)
        self._refuse_mixed_spin()
        self.overlap = self._overlap()
        self._fresh: tuple[NDArray[np.float64], BlockMatrix] | None = None
        self.floor: Floor | None = None
        self.upright = self.at(np.eye(3))

    @property
    def names(self) -> list[str]:
        """The names of the predictors, in the order in which they are shown."""
        return self.predictors.names

    @property
    def n_occupied(self) -> int | None:
        """Number of occupied orbitals; None if the number of electrons does not allow it."""
        matrix = self.template
        from workbench.engines.pyscf_molecules import electrons

        try:
            if self.reference:
                return occupied_count(matrix, self.reference.n_electrons)
            return occupied_count(matrix, electrons(self.atoms, matrix.basis.name))
        except ValueError:
            return None

    @property
    def template(self) -> BlockMatrix:
        """One of the matrices of these atoms, for labels and block borders."""
        return self.reference.H if self.reference else next(iter(self._upright.values()))

    def predict(self, atoms: Atoms) -> dict[str, BlockMatrix]:
        """Each predictor's matrix of a structure, eV; both stages of the model in one call."""
        return self.predictors.predict([atoms])[0]

    @cached_property
    def inversion(self) -> dict[str, Errors]:
        """Predictor -> errors of f(-x) against D f(x) D^T; computed when first asked for."""
        inverted = self.predict(rotate(self.atoms, INVERSION))
        return {
            n: matrix_errors(H, self._upright[n].rotate(INVERSION)) for n, H in inverted.items()
        }

    def at(self, R: ArrayLike) -> Snapshot:
        """Predict, compare and diagonalise at an orientation."""
        matrix = np.asarray(R, dtype=float)
        predictions = self.predict(rotate(self.atoms, matrix))
        rotated = {name: H.rotate(matrix) for name, H in self._upright.items()}
        reference, recomputed = self._reference_at(matrix)
        pairs = {} if reference is None else {n: (H, reference) for n, H in predictions.items()}
        S = None if self.overlap is None else self.overlap.rotate(matrix)
        return Snapshot(
            matrix,
            predictions,
            rotated,
            reference,
            recomputed,
            {name: matrix_errors(*pair) for name, pair in pairs.items()},
            {n: gauge_free_errors(*pair, S) for n, pair in pairs.items() if S is not None},
            {n: energy_shift(*pair, S) for n, pair in pairs.items() if S is not None},
            {name: matrix_errors(H, rotated[name]) for name, H in predictions.items()},
            self._levels(S, reference, predictions),
        )

    @property
    def program(self) -> str:
        """The program that computed the reference, and that `recompute` runs."""
        from workbench.engines import dispatch

        return dispatch.program(self.reference.method if self.reference is not None else {})

    def recompute(self, R: ArrayLike) -> Floor:
        """Run the reference program at R x, which takes seconds; `at(R)` then uses the result.

        The first time it also runs at -x, for the floor under inversion.

        Raises:
            ValueError: without a reference.
            Exception: errors of the reference program are passed on.
        """
        if self.reference is None:
            raise ValueError(
                "There is no reference to recompute: pass reference=wb.reference(atoms)."
            )
        from workbench.engines.dispatch import again

        matrix, H = np.asarray(R, dtype=float), self.reference.H
        start = time.perf_counter()
        here = again(rotate(self.atoms, matrix), self.reference).H
        seconds = time.perf_counter() - start
        self._fresh = (matrix, here)
        if self.floor is None:
            inverted = again(rotate(self.atoms, INVERSION), self.reference).H
            inversion = matrix_errors(inverted, H.rotate(INVERSION))
        else:
            inversion = self.floor.inversion
        self.floor = Floor(matrix, matrix_errors(here, H.rotate(matrix)), seconds, inversion)
        return self.floor

    def drift_mev(self, snapshot: Snapshot) -> dict[str, float]:
        """Largest shift of a level from its value at R = 1, meV; zero for an exact predictor."""
        before = self.upright.levels
        return {
            name: MEV * float(max(abs(a - b) for a, b in zip(now, before[name], strict=False)))
            for name, now in snapshot.levels.items()
        }

    @property
    def model_names(self) -> list[str]:
        """The names of the model's predictors: its two stages, or "model"."""
        return self.predictors.model_names

    def _refuse_mixed_spin(self) -> None:
        """Matrices with and without spin have different sizes and cannot be compared."""
        expected = self.template.basis.spinor
        other = [n for n, H in self._upright.items() if H.basis.spinor != expected]
        if other:
            kinds = ("without", "with") if expected else ("with", "without")
            raise ValueError(
                f"The matrix of '{other[0]}' is {kinds[0]} spin and the others are {kinds[1]} it: "
                "show one kind at a time, or convert those without spin by H.with_spin()."
            )

    def _reference_at(self, R: NDArray[np.float64]) -> tuple[BlockMatrix | None, bool]:
        if self.reference is None:
            return None, False
        if self._fresh is not None and np.allclose(self._fresh[0], R, atol=1e-9):
            return self._fresh[1], True
        return self.reference.H.rotate(R), False

    def _overlap(self) -> BlockMatrix | None:
        """S at R = 1, from the reference or from PySCF; None if PySCF does not know the basis."""
        if self.reference is not None:
            return self.reference.S
        from workbench.engines.pyscf_molecules import overlap

        try:
            return overlap(self.atoms, self.template.basis)
        except ValueError:
            return None

    def _levels(
        self,
        S: BlockMatrix | None,
        reference: BlockMatrix | None,
        predictions: Mapping[str, BlockMatrix],
    ) -> dict[str, NDArray[np.float64]]:
        if S is None:
            return {}
        references = {} if reference is None else {REFERENCE: reference}
        return {name: self._energies(H, S) for name, H in {**references, **predictions}.items()}

    def _energies(self, H: BlockMatrix, S: BlockMatrix) -> NDArray[np.float64]:
        """Levels in eV; of a crystal at k = 0, without eigenvalues of S below `bands.LEAST`."""
        if not self.atoms.pbc.any():
            return levels(H, S)
        energies = energies_at(H, S, (0, 0, 0), LEAST)
        return energies[np.isfinite(energies)]
