"""The shells of each element, and the padded frame of orbitals that all elements share.

Blocks of different elements have different sizes. To keep every operation vectorised, all blocks
are stored in one common frame of M orbitals: for each l, as many shells as the element with the
most shells of that l. ``slots(Z)`` gives the positions of an element's orbitals in the padded
frame; all other entries are exactly zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.conventions import SHELL_LETTERS, orbital_name
from workbench.hamiltonians.rotations import spin_half
from workbench.hamiltonians.wigner import wigner_blocks

_MOST_SHELLS = 64
"""Shells of one element: aug-cc-pV6Z has 35."""


@dataclass(frozen=True, eq=True)
class Basis:
    """An atom-centred basis set: a name and, per element, the l of each shell.

    Attributes:
        name: name of the basis set in the reference engine.
        shells: atomic number -> l of each shell, in the atom's own order.
        spinor: whether each orbital comes with spin up and spin down.
        is_harmonic: whether the orbitals are radial functions times spherical harmonics; False for
            Wannier functions. Matrices of a basis that is not harmonic have bands, but they can be
            neither rotated nor stored in a dataset.

    >>> basis = wb.Basis("sto-3g", {1: (0,), 8: (0, 0, 1)})  # H: 1s; O: 1s 2s 2p
    >>> basis.dim, basis.labels(8)
    (5, ['1s', '2s', '2py', '2pz', '2px'])
    >>> D = basis.rotation(wb.rotation((1, 1, 0), 40))
    >>> bool(np.allclose(D @ D.T, np.eye(5)))
    True
    """

    name: str
    shells: Mapping[int, tuple[int, ...]]
    spinor: bool = False
    is_harmonic: bool = True

    def __post_init__(self) -> None:
        """Sort and freeze the table of shells, so that equal bases compare equal."""
        table = {int(z): tuple(int(l) for l in self.shells[z]) for z in sorted(self.shells)}
        object.__setattr__(self, "shells", table)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.shells.items()), self.spinor, self.is_harmonic))

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(self.shells)

    @cached_property
    def layout(self) -> tuple[int, ...]:
        """The l of each shell of the padded frame, ascending."""
        n_shells: Counter[int] = Counter()  # l -> the largest number of shells of any element
        for shells in self.shells.values():
            n_shells |= Counter(shells)
        return tuple(l for l in sorted(n_shells) for _ in range(n_shells[l]))

    @cached_property
    def dim(self) -> int:
        """M, the number of orbitals in the padded frame, spin not counted."""
        return sum(2 * l + 1 for l in self.layout)

    @cached_property
    def shell_starts(self) -> tuple[int, ...]:
        """First orbital of each shell of the padded frame."""
        return tuple(int(s) for s in np.cumsum([0, *(2 * l + 1 for l in self.layout)])[:-1])

    def n_orbitals(self, number: int) -> int:
        """Number of orbitals of an element, spin not counted."""
        return sum(2 * l + 1 for l in self.shells[number])

    def slots(self, number: int) -> NDArray[np.intp]:
        """Positions (n_orbitals,) of an element's orbitals, in AO order, in the padded frame."""
        seen: Counter[int] = Counter()
        positions = []
        for l in self.shells[number]:
            start = self.shell_starts[self.layout.index(l) + seen[l]]
            positions.append(np.arange(start, start + 2 * l + 1))
            seen[l] += 1
        return np.concatenate(positions).astype(np.intp)

    @cached_property
    def slot_table(self) -> NDArray[np.intp]:
        """(Zmax + 1, M): index of the element's orbital in each slot of the frame, -1 if empty."""
        table = np.full((max(self.elements) + 1, self.dim), -1, dtype=np.intp)
        for z in self.elements:
            table[z, self.slots(z)] = np.arange(self.n_orbitals(z))
        return table

    def labels(self, number: int) -> list[str]:
        """Names of an element's orbitals in AO order: 1s, 2s, 2py, 2pz, 2px, 3dxy, ..."""
        seen: Counter[int] = Counter()
        names = []
        for l in self.shells[number]:
            n = l + 1 + seen[l]
            names += [f"{n}{SHELL_LETTERS[l]}{orbital_name(l, m)}" for m in range(-l, l + 1)]
            seen[l] += 1
        return names

    def rotation(self, matrix: ArrayLike) -> NDArray[Any]:
        """D(R) of the padded frame: (M, M) real, or (2M, 2M) complex ``kron(U, D)`` for spinors.

        The last 16 results are cached, as many matrices are rotated by one R. The array is
        read-only.

        Args:
            matrix: R (3, 3) orthogonal, proper or improper.

        Raises:
            ValueError: if the orbitals are not spherical harmonics.
        """
        self._require_harmonics("rotated")
        return _rotation(self, np.asarray(matrix, dtype=float).tobytes())

    def check(self, numbers: Iterable[int]) -> None:
        """Raise a ValueError that names the first element without orbitals in this basis."""
        for z in sorted({int(n) for n in numbers}):
            if z not in self.shells:
                known = ", ".join(chemical_symbols[e] for e in self.elements)
                raise ValueError(
                    f"The basis {self.name} has orbitals for {known}, not {chemical_symbols[z]}: "
                    "use a model or a basis that includes this element."
                )

    def merged(self, other: Basis) -> Basis:
        """The basis with the elements of both.

        Raises:
            ValueError: if the bases differ in name, spin or the shells of a common element.
        """
        if self == other:
            return self
        common = set(self.shells) & set(other.shells)
        same = (self.name, self.spinor, self.is_harmonic) == (
            other.name,
            other.spinor,
            other.is_harmonic,
        )
        if not same or any(self.shells[z] != other.shells[z] for z in common):
            raise ValueError(
                f"The bases {self.name} and {other.name} differ: compute both matrices in one."
            )
        return Basis(self.name, {**self.shells, **other.shells}, self.spinor, self.is_harmonic)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able description; ``from_json`` reads it back.

        Raises:
            ValueError: if the orbitals are not spherical harmonics: models cannot learn them.
        """
        self._require_harmonics("stored as training data")
        shells = {str(z): list(shells) for z, shells in self.shells.items()}
        return {"name": self.name, "shells": shells, "spinor": self.spinor}

    def _require_harmonics(self, action: str) -> None:
        if not self.is_harmonic:
            raise ValueError(
                f"Orbitals of the basis {self.name} belong to no known shell, so their matrices "
                f"cannot be {action}: compute bands only (workbench.hamiltonians.bands)."
            )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Basis:
        """The basis that ``to_json`` described.

        Raises:
            ValueError: for anything else, e.g. a shell of l = 100.
        """
        shells = data.get("shells")
        named = isinstance(data.get("name"), str) and isinstance(data.get("spinor"), bool)
        if not named or not isinstance(shells, dict) or not shells:
            raise ValueError("A basis needs a name, shells of each element, and spinor.")
        for z, of_atom in shells.items():
            check_shells(z, of_atom)
        return cls(data["name"], {int(z): of_atom for z, of_atom in shells.items()}, data["spinor"])


def check_shells(number: Any, shells: Any) -> None:
    """Check the shells of an element that a file describes, before memory is allocated for them.

    Args:
        number: atomic number, an integer or its decimal digits.
        shells: l of each shell.

    Raises:
        ValueError: for no element, no shell, more than 64 shells, or an l above 6.

    >>> from workbench.hamiltonians.basis import check_shells
    >>> check_shells("8", [0, 100])
    Traceback (most recent call last):
    ValueError: The shells [0, 100] of atomic number 8 must be 1 to 64 numbers l from 0 to 6.
    """
    highest = len(SHELL_LETTERS) - 1
    if str(number) not in map(str, range(1, len(chemical_symbols))):
        raise ValueError(f"{number!r} is no atomic number from 1 to {len(chemical_symbols) - 1}.")
    listed = isinstance(shells, list | tuple) and 0 < len(shells) <= _MOST_SHELLS
    if not listed or not all(type(l) is int and 0 <= l <= highest for l in shells):
        shown = str(shells) if len(str(shells)) < 80 else str(shells)[:80] + "..."
        raise ValueError(
            f"The shells {shown} of atomic number {number} must be 1 to {_MOST_SHELLS} numbers l "
            f"from 0 to {highest}."
        )


@lru_cache(maxsize=16)
def _rotation(basis: Basis, matrix: bytes) -> NDArray[Any]:
    R = np.frombuffer(matrix).reshape(3, 3)
    result: NDArray[Any] = wigner_blocks(basis.layout, R)
    if basis.spinor:
        result = np.kron(spin_half(R), result)
    result.flags.writeable = False
    return result
