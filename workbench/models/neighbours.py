"""How far are the atoms of a structure from each other? Pairs, sorted by their elements."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

LONGEST = 6.0
"""Longest pair of a crystal that is examined, A."""


class Neighbours:
    """Distances between the atoms of a structure; crystals: all pairs with images within 6 A.

    Attributes:
        numbers: (N,) atomic numbers.
        ends: first and second atom of each pair, (P,) each. Molecules: each pair once, crystals:
            in both directions.
        distance: (P,) A.

    >>> from workbench.models.neighbours import Neighbours
    >>> neighbours = Neighbours(wb.load("water"))
    >>> {name: len(lengths) for name, lengths in neighbours.by_pair().items()}
    {'H-H': 1, 'H-O': 2}
    """

    def __init__(self, atoms: Atoms) -> None:
        """``atoms``: any structure."""
        if atoms.pbc.any():
            i, j, self.distance = neighbor_list("ijd", atoms, LONGEST)
        else:
            i, j = np.triu_indices(len(atoms), 1)
            self.distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        self.numbers, self.ends = atoms.numbers, (i, j)
        self._both_ways = bool(atoms.pbc.any())

    def by_pair(self) -> dict[str, NDArray[np.float64]]:
        """Pair of species, "H-O" in alphabetical order -> all its distances, A."""
        first, second = (self.numbers[end] for end in self.ends)
        codes = np.minimum(first, second) * len(chemical_symbols) + np.maximum(first, second)
        distances = {}
        for code in np.unique(codes).tolist():
            symbols = [chemical_symbols[z] for z in divmod(code, len(chemical_symbols))]
            distances["-".join(sorted(symbols))] = self.distance[codes == code]
        return distances

    def loneliest(self) -> dict[str, float]:
        """Symbol -> longest distance from such an atom to its nearest neighbour, A.

        A single atom has no neighbour and no entry.
        """
        nearest = np.full(len(self.numbers), np.inf)
        for end in self.ends:
            np.minimum.at(nearest, end, self.distance)
        far = {chemical_symbols[z]: nearest[self.numbers == z].max() for z in set(self.numbers)}
        return {symbol: float(d) for symbol, d in sorted(far.items()) if np.isfinite(d)}

    def directed(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """First atom, second atom and distance (A) of every pair in both directions, (2P,) each."""
        i, j = self.ends
        if self._both_ways:
            return i, j, self.distance
        return np.concatenate([i, j]), np.concatenate([j, i]), np.tile(self.distance, 2)
