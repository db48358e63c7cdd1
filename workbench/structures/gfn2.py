"""Forces of GFN2-xTB by tblite, an optional extra, and structures relaxed with them."""

from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.optimize import BFGS

__all__ = ["calculator", "relaxed"]

_FORCE = 0.02  # eV/A
_STEPS = 200


def calculator(charge: int, spin: int = 0) -> Any:
    """ASE's calculator of GFN2-xTB.

    Args:
        charge: in e.
        spin: unpaired electrons.

    Raises:
        ImportError: if tblite is missing; the message has the command that installs it.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(
            "GFN2-xTB forces need tblite: pip install tblite, or use geometries that are displaced "
            "at random (Displaced)."
        ) from error
    settings: dict[str, Any] = {"multiplicity": spin + 1} if spin else {}
    return TBLite(method="GFN2-xTB", charge=charge, verbosity=0, **settings)


def relaxed(atoms: Atoms) -> Atoms:
    """A copy of a small molecule at the nearest minimum of GFN2-xTB.

    Args:
        atoms: `info["charge"]` in e and `info["spin"]` unpaired electrons, absent: 0.

    Raises:
        ImportError: if tblite is missing.

    >>> from ase import Atoms
    >>> from workbench.structures.gfn2 import relaxed
    >>> nitrogen = relaxed(Atoms("N2", [(0, 0, 0), (0, 0, 1.2)]))
    >>> float(nitrogen.get_distance(0, 1))  # A; 1.10 in experiment
    1.1
    """
    copy = atoms.copy()
    copy.calc = calculator(*(int(atoms.info.get(key, 0)) for key in ("charge", "spin")))
    BFGS(copy, logfile=None).run(fmax=_FORCE, steps=_STEPS)
    copy.calc = None
    return copy
