"""Kohn-Sham self-consistency on a fine grid for the price of one or two evaluations on it.

Most of a calculation's time goes into the exchange-correlation potential on the grid of a label.
Here all cycles run on a coarse grid, in a Hamiltonian to which the difference of the two grids'
Fock matrices is added as a constant. That difference hardly depends on the density: each renewal
lowers what the constant is wrong by some hundredfold, and the solution with the last one is the
fine grid's own. How fast it falls is measured, and says when to stop. The first difference, which
only brings the density near, is taken from a grid between the two.

One sequence of cycles passes through all of this. Its extrapolation (DIIS: Pulay, J. Comput. Chem.
3, 556 (1982)) keeps densities and the coarse grid's Fock matrices, to which it adds the constant of
the moment, so that a renewal leaves all that it has learnt valid.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engines.pyscf_library import gen_grid

_BETWEEN = 2  # PySCF's level of the grid between
_LOOSE = 5e-3  # Hartree; enough for the first difference, whose grid leaves more than that
_NEARER = 2e-3  # how far the gradient must fall after a difference before the next one is taken
_MARGIN = 3.0  # of what is expected to be left, which is an upper bound of what was found
_KEPT = 8  # cycles that are extrapolated from


def converge(
    field: Any, gradient: float, start: NDArray[Any] | None = None
) -> tuple[NDArray[Any], float] | None:
    """Solve ``field``, an ``RKS`` or ``GKS`` not yet run.

    Args:
        field: the problem on the fine grid.
        gradient: largest norm of the orbital gradient on the fine grid, Hartree.
        start: density matrix of the first cycle, PySCF's own guess if None.

    Returns:
        The Fock matrix (n_ao, n_ao) in PySCF's order and the total energy, both in Hartree and of
        the fine grid; None if this did not converge in the cycles that ``field`` allows.
    """
    if getattr(field, "with_df", None):
        field.with_df.build()  # else each cycle computes the fitting integrals again
    coarse = _on_level(field, 0)
    between = _on_level(field, _BETWEEN) if field.grids.level > _BETWEEN else field
    for solver in {id(s): s for s in (coarse, between, field)}.values():
        solver.grids.build(sort_grids=False)  # sorting takes as long as a cycle
    core, overlap = field.get_hcore(), field.get_ovlp()
    change, shift, left, renewed = 0.0, 0.0, np.inf, 0
    history: deque[tuple[NDArray[Any], NDArray[Any]]] = deque(maxlen=_KEPT)
    orbitals, density = None, coarse.get_init_guess() if start is None else start
    target, last = _LOOSE, False
    for _ in range(field.max_cycle):
        potential = coarse.get_veff(dm=density)
        own = core + np.asarray(potential)
        if orbitals is not None and _gradient(coarse, orbitals, own + change) < target:
            if last:  # the energy moves with the density as the coarse grid's, to third order
                energy = coarse.energy_tot(density, core + change, potential) + shift
                return own + change, float(energy)
            now = field if renewed else between
            now._eri = coarse._eri  # the same integrals
            finer = now.get_veff(dm=density)
            fine = core + np.asarray(finer)
            before, left = left, _gradient(coarse, orbitals, fine)
            energy = now.energy_tot(density, core, finer)
            if left < gradient and now is field:
                return fine, float(energy)
            change = fine - own
            shift = energy - coarse.energy_tot(density, core + change, potential)
            renewed += 1
            last = renewed > 1 and _MARGIN * left * min(1.0, left / before) < gradient
            target = 0.5 * gradient if last else max(_NEARER * left, 0.5 * gradient)
        history.append((np.asarray(density), own))
        levels, vectors = coarse.eig(_extrapolated(history, change, overlap), overlap)
        orbitals = vectors, coarse.get_occ(levels, vectors)
        density = coarse.make_rdm1(*orbitals)
    return None


def _on_level(field: Any, level: int) -> Any:
    """The same problem on another of PySCF's grids, as these are by default."""
    other = field.copy()
    other.grids = gen_grid.Grids(field.mol)
    other.grids.level = level
    return other


def _gradient(
    field: Any, orbitals: tuple[NDArray[Any], NDArray[np.float64]], fock: NDArray[Any]
) -> float:
    """Norm of the orbital gradient in Hartree, for orbitals and their occupations."""
    return float(np.linalg.norm(field.get_grad(*orbitals, fock)))


def _extrapolated(
    history: deque[tuple[NDArray[Any], NDArray[Any]]],
    change: NDArray[Any] | float,
    overlap: NDArray[Any],
) -> NDArray[Any]:
    """The combination of Fock matrices that commutes best with that of their densities."""
    focks = np.stack([fock + change for _, fock in history])
    products = np.stack([f @ d @ overlap for f, (d, _) in zip(focks, history, strict=True)])
    residuals = (products - products.conj().swapaxes(1, 2)).reshape(len(focks), -1)
    if np.iscomplexobj(residuals):  # the shares are real, so that the sum stays hermitian
        residuals = np.concatenate([np.real(residuals), np.imag(residuals)], axis=1)
    steps = (residuals[:-1] - residuals[-1]).T
    shares = np.linalg.lstsq(steps, -residuals[-1], rcond=None)[0]
    return focks[-1] + np.tensordot(shares, focks[:-1] - focks[-1], 1)
