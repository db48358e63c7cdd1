"""Is the environment of an atom like one in the training set? Its bonds are compared.

Five numbers describe a bond between the atoms i and j: its length ``d``, and of both atoms the
coordination number ``N`` and the bond valence ``V``,

    N_i = sum_j c_ij,    V_i = sum_j c_ij exp((R_ij - d_ij) / 0.37 A),
    c_ij = 1 / (1 + exp(-16 (4/3 R_ij / d_ij - 1))),

with the sum ``R_ij`` of the covalent radii. ``c`` counts neighbours as DFT-D3 does (Grimme et al.,
J. Chem. Phys. 132, 154104, 2010), ``V`` is that of Brown and Altermatt (Acta Cryst. B 41, 244,
1985). A length that is usual for the pair of elements may be wrong between these two atoms: 1.46 A
is usual between atoms of nitrogen, but not if each is the only neighbour of the other. The valence
of an atom is nearly the same in all molecules near equilibrium, and changes when bonds are
stretched.

All five are invariant under rotations, and continuous functions of the positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray
from scipy.spatial import KDTree

from workbench.models.neighbours import Neighbours

__all__ = ["Environments"]

_UNITS = np.array([0.05, 0.3, 0.3, 0.3, 0.3])
"""Differences that count as one: of the length, A, of coordination numbers and of valences."""

_LONGEST = 1.4
"""Longest bond, in sums of covalent radii."""

_FADING = 0.1
"""The distance of a bond fades to zero over so many sums of radii below the longest bond."""

_COVERED = 0.5
"""Every training bond is at most this far from a stored one, unless `_MOST` are stored."""

_MOST = 1000
"""Largest number of stored bonds of a pair of elements; 1000 take some 26 kB of a checkpoint."""

_KNOWN = 0.98
"""Share of the validation structures that the tolerance includes."""

_LEAST = 1.5
"""Smallest tolerance: where both sets are alike, a bond may be longer by some 0.05 A."""

_UNSEEN = 99.0
"""Distance of a bond between elements that are bonded nowhere in the training set."""

_ORDER = np.argsort(np.argsort(chemical_symbols))
"""Place of each element in the alphabet."""


@dataclass(frozen=True)
class Environments:
    """The bonds of a training set, and how far from them a bond may be.

    The distance of two bonds between the same elements is Euclidean; 0.05 A of the length, 0.3 of a
    coordination number and 0.3 of a valence count as one.

    Attributes:
        bonds: "H-O" (symbols in alphabetical order) -> representatives of its bonds, each
            ``[d, N, V, N, V]``: length in A, then N and V of the atom of the first symbol and of
            that of the second. Each bond of the training set is near one of them.
        tolerance: distance that 98 % of the validation structures do not exceed; at least 1.5.
    """

    bonds: Mapping[str, Sequence[Sequence[float]]]
    tolerance: float = _LEAST

    @classmethod
    def of(cls, training: Iterable[Atoms], validation: Iterable[Atoms] = ()) -> Environments:
        """The environments in a training set; the tolerance is that of the validation set."""
        found: dict[str, list[NDArray[np.float64]]] = {}
        for atoms in training:
            for name, (rows, *_) in _bonds(Neighbours(atoms)).items():
                found.setdefault(name, []).append(rows)
        bonds = {name: _representatives(np.concatenate(found[name])) for name in sorted(found)}
        known = cls(bonds, 1.0)
        largest = [known.distances(Neighbours(atoms)).max(initial=0.0) for atoms in validation]
        tolerance = float(np.quantile(largest, _KNOWN)) if largest else _LEAST
        return cls(bonds, round(max(tolerance, _LEAST), 3))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Environments:
        """The environments that ``to_json`` described.

        Raises:
            ValueError: for bonds of unknown elements, and for numbers that are not finite.
        """
        bonds, tolerance = data.get("bonds"), data.get("tolerance")
        if not isinstance(bonds, Mapping) or not is_table([tolerance]) or len(data) != 2:
            raise ValueError("Environments are bonds and a tolerance.")
        for name, rows in bonds.items():
            if not rows or not is_pair(name) or not is_table(rows, len(_UNITS)):
                raise ValueError("Environments hold something else than numbers of bonds.")
        return cls(bonds, float(tolerance or _LEAST))

    def distances(self, neighbours: Neighbours) -> NDArray[np.float64]:
        """(N,) distance of each atom's environment from the training set, in tolerances.

        It is that of its least known bond, and above 1 for an atom unlike those trained on.

        >>> from workbench.models.environments import Environments
        >>> from workbench.models.neighbours import Neighbours
        >>> water = wb.load("water")
        >>> known = Environments.of([water])
        >>> water.positions *= 1.1
        >>> known.distances(Neighbours(water)).round(1).tolist()
        [1.8, 1.8, 1.8]
        """
        distances = np.zeros(len(neighbours.numbers))
        for name, (rows, i, j) in _bonds(neighbours).items():
            far = np.full(len(rows), _UNSEEN)
            if name in self._trees:
                far, _ = self._trees[name].query(rows / _UNITS)
            length = rows[:, 0] / covalent_radii[neighbours.numbers[[i, j]]].sum(0)
            far *= np.minimum((_LONGEST - length) / _FADING, 1) / self.tolerance
            for ends in (i, j):
                np.maximum.at(distances, ends, far)
        return distances

    @cached_property
    def _trees(self) -> dict[str, KDTree]:
        """The representatives, in `_UNITS`, for a search of the nearest."""
        return {name: KDTree(np.asarray(rows) / _UNITS) for name, rows in self.bonds.items()}


def is_pair(name: str) -> bool:
    """Whether a text names a pair of elements, such as "H-O"."""
    symbols = name.split("-")
    return len(symbols) == 2 and set(symbols) <= set(chemical_symbols)


def is_table(rows: Any, columns: int | None = None) -> bool:
    """Whether rows are finite numbers, or lists of so many finite numbers each."""
    try:
        table = np.array(rows)
    except ValueError:  # rows of different lengths
        return False
    wanted = (len(rows),) if columns is None else (len(rows), columns)
    if not table.size:
        return isinstance(rows, list | tuple)
    return table.dtype.kind in "if" and table.shape == wanted and bool(np.isfinite(table).all())


Bonds = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]
"""Bonds between two elements: descriptions (B, 5), first and second atom (B,) each."""


def _bonds(neighbours: Neighbours) -> dict[str, Bonds]:
    """The bonds of a structure by pair of elements; those of equal elements in both directions."""
    i, j, d = neighbours.directed()
    radii, place = covalent_radii[neighbours.numbers], _ORDER[neighbours.numbers]
    R = radii[i] + radii[j]
    c = 1 / (1 + np.exp(np.minimum(-16 * (4 / 3 * R / d - 1), 100.0)))
    n = len(radii)
    N = np.bincount(i, c, n)
    V = np.bincount(i, c * np.exp((R - d) / 0.37), n)
    bonded = (d < _LONGEST * R) & (place[i] <= place[j])
    i, j, d = i[bonded], j[bonded], d[bonded]
    rows = np.stack([d, N[i], V[i], N[j], V[j]], axis=1)
    codes = place[i] * len(_ORDER) + place[j]
    bonds = {}
    for code in np.unique(codes).tolist():
        of_code = codes == code
        first = np.flatnonzero(of_code)[0]
        name = "-".join(chemical_symbols[neighbours.numbers[end[first]]] for end in (i, j))
        bonds[name] = rows[of_code], i[of_code], j[of_code]
    return bonds


def _representatives(rows: NDArray[np.float64]) -> list[list[float]]:
    """Bonds (B, 5) of which every other one is at most `_COVERED` away, by farthest points."""
    points = np.unique(np.round(rows / _UNITS, 1), axis=0)
    chosen, nearest = [0], np.full(len(points), np.inf)
    while len(chosen) < _MOST:
        apart = points - points[chosen[-1]]
        nearest = np.minimum(nearest, np.einsum("bk,bk->b", apart, apart))
        farthest = int(nearest.argmax())
        if nearest[farthest] <= _COVERED**2:
            break
        chosen.append(farthest)
    rows = points[sorted(chosen)] * _UNITS
    return [[round(d, 3), *(round(x, 2) for x in others)] for d, *others in rows.tolist()]
