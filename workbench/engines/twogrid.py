"""Kohn-Sham self-consistency on a fine grid for the price of a few evaluations on it.

Most of a calculation's time goes into the exchange-correlation potential on the grid of a label.
Here nearly all cycles run on a coarse grid, in a Hamiltonian to which the difference of the two
grids' Fock matrices is added as a constant; that difference hardly depends on the density, so
renewing it a few times brings the fine grid's own solution. What is accepted is judged by the
gradient on the fine grid alone: the coarse one leaves no trace in the result.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pyscf import dft
from pyscf.dft import rks

_ROUNDS = 8  # each lowers the gradient some hundredfold: 4 are usual
_LOOSE = 3e-5  # Hartree; enough for the first density, whose error the coarse grid decides


def converge(field: rks.RKS, gradient: float) -> tuple[NDArray[np.float64], float] | None:
    """Solve ``field``, an ``RKS`` not yet run.

    Args:
        field: the problem on the fine grid.
        gradient: largest norm of the orbital gradient on the fine grid, Hartree.

    Returns:
        The Fock matrix (n_ao, n_ao) in PySCF's order and the total energy, both in Hartree and of
        the fine grid; None if this did not converge.
    """
    coarse = dft.RKS(field.mol, xc=field.xc)
    coarse.grids.level, coarse.max_cycle = 0, field.max_cycle
    core, change, density = field.get_hcore(), 0.0, None
    coarse.conv_tol, coarse.conv_tol_grad = field.conv_tol, _LOOSE
    for _ in range(_ROUNDS):
        coarse.get_hcore = _constant(core + change)
        coarse.kernel(dm0=density)
        if not coarse.converged:
            return None
        density = coarse.make_rdm1()
        field._eri = coarse._eri  # the same integrals
        potential = field.get_veff(dm=density)
        fock = core + np.asarray(potential)
        left = float(np.linalg.norm(field.get_grad(coarse.mo_coeff, coarse.mo_occ, fock)))
        if left < gradient:
            return fock, float(field.energy_tot(density, core, potential))
        change = fock - core - np.asarray(coarse.get_veff(dm=density))
        coarse.conv_tol_grad = min(_LOOSE, max(1e-3 * left, 0.5 * gradient))
    return None


def _constant(matrix: NDArray[np.float64]) -> Callable[..., NDArray[np.float64]]:
    return lambda *_: matrix
