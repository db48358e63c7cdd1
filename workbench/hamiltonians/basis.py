"""Which shells an element carries, and the padded layout all elements share.

Blocks of different elements have different sizes. To keep every operation vectorised they are
stored in one common frame of M orbitals: for each l as many shells as the richest element has.
``slots(Z)`` says where an element's orbitals sit in it; the rest stays exactly zero.
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


@dataclass(frozen=True, eq=True)
class Basis:
    """An atom-centred basis set: a name and, per element, the l of each shell.

    Attributes:
        name: the basis's name, as the reference engine knows it.
        shells: atomic number -> l of each shell, in the atom's own order.
        spinor: whether each orbital comes with spin up and down.
        turns: whether orbitals are harmonics, as all are but Wannier functions. Without it a
            matrix has bands, but can be neither turned nor stored.
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
        most: Counter[int] = Counter()
        for shells in self.shells.values():
            most |= Counter(shells)
        return tuple(l for l in sorted(most) for _ in range(most[l]))

    @cached_property
    def dim(self) -> int:
        """M, the number of orbitals of the padded frame, without spin."""
        return sum(2 * l + 1 for l in self.layout)

    @cached_property
    def shell_starts(self) -> tuple[int, ...]:
        """First orbital of each shell of the padded frame."""
        return tuple(int(s) for s in np.cumsum([0, *(2 * l + 1 for l in self.layout)])[:-1])

    def n_orbitals(self, number: int) -> int:
        """How many orbitals (without spin) an element carries."""
        return sum(2 * l + 1 for l in self.shells[number])

    def slots(self, number: int) -> NDArray[np.intp]:
        """Positions (n_orbitals,) of an element's orbitals in the padded frame, in its AO order."""
        seen: Counter[int] = Counter()
        positions = []
        for l in self.shells[number]:
            start = self.shell_starts[self.layout.index(l) + seen[l]]
            positions.append(np.arange(start, start + 2 * l + 1))
            seen[l] += 1
        return np.concatenate(positions).astype(np.intp)

    @cached_property
    def slot_table(self) -> NDArray[np.intp]:
        """(Zmax + 1, M): which of the element's own orbitals sits in a slot, -1 where none does."""
        table = np.full((max(self.elements) + 1, self.dim), -1, dtype=np.intp)
        for z in self.elements:
            table[z, self.slots(z)] = np.arange(self.n_orbitals(z))
        return table

    def labels(self, number: int) -> list[str]:
        """Names of an element's orbitals in its AO order: 1s, 2s, 2py, 2pz, 2px, 3dxy, ..."""
        seen: Counter[int] = Counter()
        names = []
        for l in self.shells[number]:
            n = l + 1 + seen[l]
            names += [f"{n}{SHELL_LETTERS[l]}{orbital_name(l, m)}" for m in range(-l, l + 1)]
            seen[l] += 1
        return names

    def rotation(self, matrix: ArrayLike) -> NDArray[Any]:
        """D(R) of the padded frame: (M, M) real, or (2M, 2M) complex ``kron(U, D)`` for spinors.

        The last few are kept, as many matrices are turned by one R; the result is read-only.

        Raises:
            ValueError: for orbitals that are no harmonics.
        """
        self._require_turns("turned")
        return _rotation(self, np.asarray(matrix, dtype=float).tobytes())

    def check(self, numbers: Iterable[int]) -> None:
        """Raise a ValueError that names the first element this basis does not have."""
        for z in sorted({int(n) for n in numbers}):
            if z not in self.shells:
                known = ", ".join(chemical_symbols[e] for e in self.elements)
                raise ValueError(
                    f"The basis {self.name} here holds {known} but not {chemical_symbols[z]}; "
                    "use a model or basis made with that element."
                )

    def merged(self, other: Basis) -> Basis:
        """The basis that holds the elements of both.

        Raises:
            ValueError: if the two differ in name, spin or the shells of a common element.
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
                f"The bases {self.name} and {other.name} differ; recompute one side in the other."
            )
        return Basis(self.name, {**self.shells, **other.shells}, self.spinor, self.is_harmonic)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able description; ``from_json`` reads it back.

        Raises:
            ValueError: for orbitals that are no harmonics, of which nothing can be learnt.
        """
        self._require_turns("stored as data to learn from")
        shells = {str(z): list(shells) for z, shells in self.shells.items()}
        return {"name": self.name, "shells": shells, "spinor": self.spinor}

    def _require_turns(self, wanted: str) -> None:
        if not self.is_harmonic:
            raise ValueError(
                f"Orbitals of the basis {self.name} belong to no known shell, so their matrices "
                f"cannot be {wanted}; what they have is bands (workbench.hamiltonians.bands)."
            )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Basis:
        """The basis that ``to_json`` described."""
        shells = {int(z): tuple(shells) for z, shells in data["shells"].items()}
        return cls(data["name"], shells, bool(data["spinor"]))


@lru_cache(maxsize=16)
def _rotation(basis: Basis, matrix: bytes) -> NDArray[Any]:
    R = np.frombuffer(matrix).reshape(3, 3)
    result: NDArray[Any] = wigner_blocks(basis.layout, R)
    if basis.spinor:
        result = np.kron(spin_half(R), result)
    result.flags.writeable = False
    return result
