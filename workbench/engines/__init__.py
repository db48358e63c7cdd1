"""Reference engines: programs that compute the true Hamiltonian, each behind one adapter.

Every adapter returns a `Reference`, in eV and in the workbench's orbital order. Importing this
package imports no engine; each module imports its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["Reference", "SCFError"]


class SCFError(RuntimeError):
    """A self-consistent field that did not converge; such a matrix is never returned as a label."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What an engine computed for one structure.

    Attributes:
        H: Kohn-Sham or Fock matrix, eV.
        S: overlap, dimensionless.
        energy: total energy, eV.
        n_electrons: electrons treated, so without the core that an effective core potential hides.
        method: how it was made: functional, basis, grid, thresholds, program and its version.
        fermi_level: of a crystal, eV.
    """

    H: BlockMatrix
    S: BlockMatrix
    energy: float
    n_electrons: int
    method: dict[str, Any] = field(default_factory=dict)
    fermi_level: float | None = None
