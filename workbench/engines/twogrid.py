"""Kohn-Sham self-consistency on a fine grid for the price of a few evaluations on it.

Most of a calculation's time goes into the exchange-correlation potential on the grid of a label.
Here all cycles run on a coarse grid, in a Hamiltonian to which the difference of the two grids'
Fock matrices is added as a constant. That difference hardly depends on the density: each renewal
lowers what the constant is wrong by some hundredfold, and the solution with the last one is the
fine grid's own. How fast it falls is measured, and says when to stop. The first difference, which
only brings the density near, is taken from a grid between the two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pyscf.dft import rks

_ROUNDS = 8  # differences taken; 2 or 3 are usual, all but the first on the fine grid
_BETWEEN = 2  # PySCF's level of the grid between
_LOOSE = 3e-5  # Hartree; enough for the first density, whose error the coarse grid decides
_MARGIN = 3.0  # of what is expected to be left, which is an upper bound of what was found


def converge(field: rks.RKS, gradient: float) -> tuple[NDArray[np.float64], float] | None:
    """Solve ``field``, an ``RKS`` not yet run.

    Args:
        field: the problem on the fine grid.
        gradient: largest norm of the orbital gradient on the fine grid, Hartree.

    Returns:
        The Fock matrix (n_ao, n_ao) in PySCF's order and the total energy, both in Hartree and of
        the fine grid; None if this did not converge.
    """
    coarse = rks.RKS(field.mol, xc=field.xc)
    coarse.grids.level, coarse.max_cycle = 0, field.max_cycle
    between = field
    if field.grids.level > _BETWEEN:
        between = rks.RKS(field.mol, xc=field.xc)
        between.grids.level = _BETWEEN
    for grids in {id(f): f.grids for f in (coarse, between, field)}.values():
        grids.build(sort_grids=False)  # sorting helps large molecules, and takes as long as a cycle
    core, change, density, before = field.get_hcore(), 0.0, None, np.inf
    coarse.conv_tol, coarse.conv_tol_grad, coarse.conv_check = _LOOSE, _LOOSE, False
    for number in range(_ROUNDS):
        coarse.get_hcore = _constant(core + change)
        coarse.kernel(dm0=density)
        if not coarse.converged:
            return None
        density = coarse.make_rdm1()
        now = field if number else between
        now._eri = coarse._eri  # the same integrals
        potential = now.get_veff(dm=density)
        fine, own = core + np.asarray(potential), core + np.asarray(coarse.get_veff(dm=density))
        left = float(np.linalg.norm(now.get_grad(coarse.mo_coeff, coarse.mo_occ, fine)))
        energy = float(now.energy_tot(density, core, potential))
        if left < gradient and now is field:
            return fine, energy
        change, expected, before = fine - own, left * min(1.0, left / before), left
        if number and expected * _MARGIN < gradient:
            return _last(coarse, core, change, density, gradient, energy)
        coarse.conv_tol_grad = min(_LOOSE, max(1e-3 * left, 0.5 * gradient))
    return None


def _last(
    coarse: rks.RKS,
    core: NDArray[np.float64],
    change: NDArray[np.float64],
    density: NDArray[np.float64],
    gradient: float,
    energy: float,
) -> tuple[NDArray[np.float64], float] | None:
    """The solution with the last change, whose Fock matrix is the fine grid's own by now.

    The energy moves with the density as that of the coarse grid does, to third order in the move.
    """
    coarse.get_hcore, coarse.conv_tol_grad = _constant(core + change), 0.5 * gradient
    moved = float(coarse.energy_tot(density, core + change, coarse.get_veff(dm=density)))
    coarse.kernel(dm0=density)
    if not coarse.converged:
        return None
    return coarse.get_fock(), energy + float(coarse.e_tot) - moved


def _constant(matrix: NDArray[np.float64]) -> Callable[..., NDArray[np.float64]]:
    return lambda *_: matrix
