"""GPAW in tests: a skip mark if it is missing, and settings that take seconds."""

import pytest
from ase import Atoms

from workbench.engines import gpaw_lcao

needs_gpaw = pytest.mark.skipif(not gpaw_lcao.available(), reason="GPAW is not installed")


QUICK = {"xc": "PBE", "spacing": 0.25, "smearing": 0.05, "density": 1e-5, "energy": 1e-6}
QUICK |= {"max_cycle": 100, "basis": "szp"}


def bismuth():
    """A buckled sheet of bismuth."""
    a = 4.33
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, 11.7]]
    atoms = Atoms("Bi2", [[0, 0, 0], [0, a / 3**0.5, 1.73]], cell=cell, pbc=(True, True, False))
    atoms.positions[:, 2] += 5.0
    return atoms
