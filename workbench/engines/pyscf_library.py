"""PySCF, imported so that its own OpenBLAS knows the processor. All other modules import it here.

PySCF's wheel carries an OpenBLAS of 2018. That library takes a processor that is newer than itself
for the oldest one there is, and multiplies matrices at two fifths of the speed (AMD Zen 3). It gets
a hint while it is loaded, the same one whatever the environment says, so that integrals do not
depend on the environment. NumPy and SciPy have OpenBLAS libraries of their own, which need no hint:
these are loaded before.
"""

from __future__ import annotations

import numpy as np  # noqa: F401  loads NumPy's OpenBLAS
import scipy.linalg  # noqa: F401  loads SciPy's OpenBLAS

from workbench.engines.openblas import hint

__all__ = ["PYSCF_VERSION", "BasisNotFoundError", "df", "dft", "gen_grid", "gto", "lib", "scf"]

with hint():
    from pyscf import __version__ as PYSCF_VERSION
    from pyscf import df, dft, gto, lib, scf
    from pyscf.dft import gen_grid
    from pyscf.lib.exceptions import BasisNotFoundError
