"""The one place that imports PySCF, with a hint to its OpenBLAS about the processor.

PySCF's wheel contains an OpenBLAS of 2018. On a processor newer than itself that library chooses
its oldest kernels, and multiplies matrices at two fifths of the speed (AMD Zen 3). It gets a hint
while it is loaded. The hint does not depend on the environment, so neither do the integrals. NumPy
and SciPy have OpenBLAS libraries of their own, which need no hint and are loaded first.
"""

from __future__ import annotations

import numpy as np  # noqa: F401  loads NumPy's OpenBLAS
import scipy.linalg  # noqa: F401  loads SciPy's OpenBLAS

from workbench.engines.openblas import hint

__all__ = [
    "PYSCF_VERSION",
    "BasisNotFoundError",
    "cubegen",
    "df",
    "dft",
    "gen_grid",
    "gto",
    "lib",
    "molden",
    "scf",
]

with hint():
    from pyscf import __version__ as PYSCF_VERSION
    from pyscf import df, dft, gto, lib, scf
    from pyscf.dft import gen_grid
    from pyscf.lib.exceptions import BasisNotFoundError
    from pyscf.tools import cubegen, molden
