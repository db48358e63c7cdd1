"""Reference engines: programs that compute the true Hamiltonian, each behind one adapter.

Every adapter returns a `Reference`, in eV and in the workbench's orbital order. Importing this
package imports no engine; each module imports its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.matrices import BlockMatrix

__all__ = ["Reference", "SCFError"]


def _know_processor() -> None:
    """Tell PySCF's OpenBLAS, of 2018, what to take a newer processor for.

    It treats one that it does not know as the oldest there is, and multiplies matrices at two
    fifths of the speed (AMD Zen 3). Read once, when PySCF is first imported; a setting stays.
    """
    listed = Path("/proc/cpuinfo")
    flags = set(listed.read_text().split()) if listed.exists() else set[str]()
    if {"avx2", "fma"} <= flags:
        os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")


_know_processor()


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
