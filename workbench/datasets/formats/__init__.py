"""Matrices of other programs: one adapter per file format, each in and out.

An adapter converts units, orbital orders and signs to the workbench's own. Every structure that it
reads is validated afterwards (`datasets.validation`): a wrong order survives a round trip.
"""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["FormatError", "Foreign"]


class FormatError(ValueError):
    """Files that are not what their format asks for; the message is one sentence."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """One structure as another program left it.

    Attributes:
        atoms: positions and cell in A, periodic in all directions.
        H: eV.
        S: dimensionless, in the basis of H; None where it was not stored.
        fermi_level: eV, on the scale of H.
    """

    atoms: Atoms
    H: BlockMatrix
    S: BlockMatrix | None
    fermi_level: float
