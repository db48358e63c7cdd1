"""Reference engines: programs that compute the self-consistent Hamiltonian, one adapter each.

Every adapter returns a `Reference`, in eV and in the workbench's orbital order, and offers one
record `ENGINE` to the table in `workbench.engines.dispatch`. Importing this package imports no
program; each adapter imports its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Annotated, Any

from ase import Atoms

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.value_checks import Range, check_arguments

__all__ = [
    "OWN_SCRIPT",
    "PUBLISHED_SET",
    "Cycles",
    "Engine",
    "Grid",
    "Mesh",
    "Overlap",
    "Reference",
    "SCFError",
    "Threshold",
    "Width",
]

OWN_SCRIPT = "own_script"
"""Key in the method of a reference that only a script of the user can compute again."""

PUBLISHED_SET = "published_set"
"""Key in the method of a reference from a published set, whose name it gives."""

Cycles = Annotated[int, Range(1, 100_000)]
Grid = Annotated[int, Range(0, 9)]
Threshold = Annotated[float, Range(0, 1, above=True)]
Width = Annotated[float, Range(0, 100, above=True)]
_Points = Annotated[int, Range(1, 1000)]
Mesh = tuple[_Points, _Points, _Points]
"""What the settings of several engines may be."""


class SCFError(RuntimeError):
    """The self-consistent field did not converge; such a matrix is never returned as a label."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The result of a reference calculation for one structure.

    Attributes:
        H: Kohn-Sham or Fock matrix, eV.
        S: overlap, dimensionless.
        energy: total energy, eV.
        n_electrons: electrons treated; electrons in effective core potentials are not counted.
        method: how the result was computed: functional, basis, grid, thresholds, program and its
            version.
        fermi_level: of a crystal, eV.
        atoms: the structure; None where it was not recorded.

    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> water.H.dense().shape, water.n_electrons
    ((7, 7), 10)
    >>> water.method["method"], water.method["basis"]
    ('RHF', 'sto-3g')
    """

    H: BlockMatrix
    S: BlockMatrix
    energy: float
    n_electrons: int
    method: dict[str, Any] = field(default_factory=dict)
    fermi_level: float | None = None
    atoms: Atoms | None = None


@dataclass(frozen=True, eq=False)
class Overlap:
    """The overlap of a structure, which needs no self-consistent field.

    Attributes:
        S: dimensionless, in the orbitals of a given basis; for spinors ``kron(1_2, S)``.
        n_electrons: electrons that H describes beside it, of a crystal per cell; None if unknown.
    """

    S: BlockMatrix
    n_electrons: int | None = None


def _nothing_to_install() -> None:
    """The program is a dependency of the workbench."""


@dataclass(frozen=True)
class Engine:
    """The functions of one program for one kind of structure.

    Attributes:
        name: the engine's name in `workbench.reference`, e.g. "pyscf".
        reference: ``(atoms, basis, xc, **settings) -> Reference``; basis None means the engine's
            default.
        again: ``(atoms, method) -> Reference``: the reference of another geometry, with the
            settings that the `method` of one of this engine's references records.
        check: takes the arguments of `reference`, raises its errors about the input, and computes
            nothing.
        method: ``(basis, xc, **settings) -> method`` of a reference, without computing it. None
            where parts of the method follow from the structure, such as a default k-mesh; label
            jobs then record the arguments themselves.
        require: raises a RuntimeError that says how to install the program if it is missing.
        basis: the basis unless another is asked for.
        overlap: of crystals, ``(atoms, basis, method, reach) -> Overlap`` in the orbitals of the
            references that were made with a `method`, between atoms up to a distance `reach`, A.
            Raises a ValueError if the program has no such orbitals. None for molecules, whose
            overlap `pyscf_molecules.overlap` computes.
    """

    name: str
    reference: Callable[..., Reference]
    again: Callable[[Atoms, Mapping[str, Any]], Reference]
    check: Callable[..., object]
    method: Callable[..., dict[str, Any]] | None = None
    require: Callable[[], None] = _nothing_to_install
    basis: str | None = None
    overlap: Callable[[Atoms, Basis, Mapping[str, Any], float], Overlap] | None = None

    @property
    def settings(self) -> frozenset[str]:
        """Names of the keyword settings of `reference`, beside the structure, basis and xc."""
        return frozenset(signature(self.reference).parameters) - {"atoms", "basis", "xc"}

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of each setting unless another is given, without None; and the basis."""
        parameters = signature(self.reference).parameters
        values = {name: parameters[name].default for name in sorted(self.settings)}
        values |= {"basis": self.basis}
        return {name: value for name, value in values.items() if value is not None}

    def accepted(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that `reference` accepts; "spin_orbit" may only have chosen the engine.

        Raises:
            ValueError: for a value of another kind, or outside the range that `reference` declares.
        """
        known = {name: value for name, value in settings.items() if name in self.settings}
        check_arguments(self.reference, known)
        return known
