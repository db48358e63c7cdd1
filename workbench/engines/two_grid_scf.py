"""Kohn-Sham self-consistency on a fine grid with only one or two evaluations on that grid.

Most of the time of a calculation goes into the exchange-correlation potential on the label's fine
grid. Here all cycles run on a coarse grid. The difference of the two grids' Fock matrices is added
as a constant correction. The difference hardly depends on the density: each update lowers the error
of the correction about a hundredfold, and the converged solution is that of the fine grid. The rate
of this convergence is measured and decides when to stop. The first correction only brings the
density close, so it is computed on an intermediate grid.

All of this is one sequence of cycles. Its extrapolation (DIIS: Pulay, J. Comput. Chem. 3, 556
(1982)) keeps densities and Fock matrices of the coarse grid, and adds the current correction to
them, so the history stays valid when the correction is updated.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engines.pyscf_library import gen_grid

_INTERMEDIATE = 2  # PySCF's level of the intermediate grid
_LOOSE = 5e-3  # Hartree; enough for the first correction: the intermediate grid's error is larger
_REDUCTION = 2e-3  # the gradient falls by this factor before the correction is updated
_MARGIN = 3.0  # safety factor on the expected remaining gradient
_HISTORY = 8  # cycles used for the extrapolation


def converge(
    field: Any, gradient: float, start: NDArray[Any] | None = None
) -> tuple[NDArray[Any], float] | None:
    """Solve ``field``, an ``RKS`` or ``GKS`` not yet run.

    Args:
        field: the problem on the fine grid.
        gradient: largest norm of the orbital gradient on the fine grid, Hartree.
        start: density matrix of the first cycle; PySCF's own guess if None.

    Returns:
        The Fock matrix (n_ao, n_ao) in PySCF's order and the total energy, both in Hartree and on
        the fine grid; None without convergence in ``field.max_cycle`` cycles.
    """
    if getattr(field, "with_df", None):
        field.with_df.build()  # otherwise each cycle computes the fitting integrals again
    coarse, between = _on_level(field, 0), field
    if field.grids.level > _INTERMEDIATE:
        between = _on_level(field, _INTERMEDIATE)
    for solver in {id(s): s for s in (coarse, between, field)}.values():
        solver.grids.build(sort_grids=False)  # sorting takes as long as a cycle
    core, overlap = field.get_hcore(), field.get_ovlp()
    correction, shift, remaining, updates = 0.0, 0.0, np.inf, 0
    history: deque[tuple[NDArray[Any], NDArray[Any]]] = deque(maxlen=_HISTORY)
    orbitals, density = None, coarse.get_init_guess() if start is None else start
    target, last = _LOOSE, False
    for _ in range(field.max_cycle):
        potential = coarse.get_veff(dm=density)
        fock = core + np.asarray(potential)  # of the coarse grid
        if orbitals is not None and _gradient(coarse, orbitals, fock + correction) < target:
            if last:  # the energy follows the density as on the coarse grid, to third order
                energy = coarse.energy_tot(density, core + correction, potential) + shift
                return fock + correction, float(energy)
            finer = field if updates else between
            finer._eri = coarse._eri  # the same integrals
            fine_potential = finer.get_veff(dm=density)
            fine_fock = core + np.asarray(fine_potential)
            before, remaining = remaining, _gradient(coarse, orbitals, fine_fock)
            energy = finer.energy_tot(density, core, fine_potential)
            if remaining < gradient and finer is field:
                return fine_fock, float(energy)
            correction = fine_fock - fock
            shift = energy - coarse.energy_tot(density, core + correction, potential)
            updates += 1
            expected = _MARGIN * remaining * min(1.0, remaining / before)
            last = updates > 1 and expected < gradient
            target = 0.5 * gradient if last else max(_REDUCTION * remaining, 0.5 * gradient)
        history.append((np.asarray(density), fock))
        levels, vectors = coarse.eig(_extrapolated(history, correction, overlap), overlap)
        orbitals = vectors, coarse.get_occ(levels, vectors)
        density = coarse.make_rdm1(*orbitals)
    return None


def _on_level(field: Any, level: int) -> Any:
    """The same problem on the grid that PySCF makes by default at another level."""
    other = field.copy()
    other.grids = gen_grid.Grids(field.mol)
    other.grids.level = level
    return other


def _gradient(
    field: Any, orbitals: tuple[NDArray[Any], NDArray[np.float64]], fock: NDArray[Any]
) -> float:
    """Norm of the orbital gradient in Hartree; `orbitals` are coefficients and occupations."""
    return float(np.linalg.norm(field.get_grad(*orbitals, fock)))


def _extrapolated(
    history: deque[tuple[NDArray[Any], NDArray[Any]]],
    correction: NDArray[Any] | float,
    overlap: NDArray[Any],
) -> NDArray[Any]:
    """The combination of Fock matrices with the smallest commutator ``F P S - S P F`` (DIIS)."""
    focks = np.stack([fock + correction for _, fock in history])
    products = np.stack([f @ d @ overlap for f, (d, _) in zip(focks, history, strict=True)])
    residuals = (products - products.conj().swapaxes(1, 2)).reshape(len(focks), -1)
    if np.iscomplexobj(residuals):  # real coefficients, so that the sum stays hermitian
        residuals = np.concatenate([np.real(residuals), np.imag(residuals)], axis=1)
    steps = (residuals[:-1] - residuals[-1]).T
    coefficients = np.linalg.lstsq(steps, -residuals[-1], rcond=None)[0]
    return focks[-1] + np.tensordot(coefficients, focks[:-1] - focks[-1], 1)
