"""What a model has seen, in words, and a warning where a structure lies beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list

_SLACK = 0.05
"""A pair may be closer than any in training by this much, A, before a word is said."""

_NEIGHBOURS = 6.0  # A; of a crystal no pair beyond is looked at
_BONDING = 2.0  # sums of covalent radii: beyond, distances come in all sizes in any training set
_GAP = 0.1
"""A bond may miss all those in training by this much, A, before a word is said.

Of 219 structures of molecules that `organic` has never seen three fail this (``python -m workbench
evaluate --model organic --dataset organic --split test``); a hydrogen pulled 0.2 A off its oxygen
does.
"""


class DomainWarning(UserWarning):
    """The model was never shown anything like this structure."""


@dataclass(frozen=True)
class ApplicabilityDomain:
    """The extent of a training set.

    Attributes:
        formulas: formula in Hill's order, of crystals the empirical one -> number of structures.
        closest: "H-O" (symbols in alphabetical order) -> shortest distance seen, A; of crystals
            among neighbours within 6 A.
        charges: of the structures, in e.
        bonds: like `closest`, the stretches of distances that were seen, A, within two sums of
            covalent radii: ``[[0.93, 1.12], [1.8, 2.4]]``, as of molecules, where bonds end and
            second neighbours begin. Empty for models made before they were kept.
        loneliest: symbol -> longest distance seen from such an atom to its nearest, A.
    """

    formulas: Mapping[str, int]
    closest: Mapping[str, float]
    charges: Sequence[int] = (0,)  # as of all models made before charges were kept
    bonds: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    loneliest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, structures: list[Atoms]) -> ApplicabilityDomain:
        """The extent of some structures."""
        formulas: dict[str, int] = {}
        seen: dict[str, list[np.ndarray]] = {}
        loneliest: dict[str, float] = {}
        for atoms in structures:
            formula = _formula(atoms)
            formulas[formula] = formulas.get(formula, 0) + 1
            around = _Neighbours(atoms)
            for name, distances in around.by_pair().items():
                seen.setdefault(name, []).append(distances)
            for symbol, distance in around.loneliest().items():
                loneliest[symbol] = max(distance, loneliest.get(symbol, 0.0))
        distances = {name: np.sort(np.concatenate(seen[name])) for name in sorted(seen)}
        return cls(
            formulas,
            {name: round(float(found[0]), 4) for name, found in distances.items()},
            sorted({_charge(atoms) for atoms in structures}),
            {name: _stretches(_bonded(name, found, _GAP)) for name, found in distances.items()},
            {symbol: round(loneliest[symbol], 4) for symbol in sorted(loneliest)},
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``ApplicabilityDomain(**data)`` reads it back."""
        return asdict(self)

    def outside_domain(self, atoms: Atoms) -> str | None:
        """One sentence if a structure lies beyond the training set, else None."""
        around, formula = _Neighbours(atoms), _formula(atoms)
        found = around.by_pair()
        if _charge(atoms) not in self.charges:
            shown = ", ".join(f"{charge:+d}" if charge else "0" for charge in self.charges)
            return (
                f"{formula} has the charge {_charge(atoms):+d} e, and the model was shown {shown}: "
                "its prediction means nothing there; train on structures of that charge."
            )
        strange = sorted(set(found) - set(self.closest))
        if strange:
            return (
                f"{formula} has pairs {', '.join(strange)} that the model was never shown, so its "
                "prediction means nothing there: train on structures that have them."
            )
        near = [
            f"{name} at {distances.min():.2f} A (training: {self.closest[name]:.2f} A or more)"
            for name, distances in sorted(found.items())
            if distances.min() < self.closest[name] - _SLACK
        ]
        if near:
            return (
                f"{formula} has atoms closer than any the model was shown, {'; '.join(near)}: "
                "expect large errors, or train on such structures."
            )
        if len(self.formulas) == 1 and formula not in self.formulas:
            return (
                f"The model was shown {next(iter(self.formulas))} alone, not {formula}: its "
                "prediction means nothing there."
            )
        stretched = self._stretched(found, around.loneliest())
        if stretched:
            return (
                f"{formula} has bonds unlike any the model was shown, {'; '.join(stretched)}: "
                "expect large errors, or train on such structures."
            )
        return None

    def _stretched(
        self, found: Mapping[str, np.ndarray], loneliest: Mapping[str, float]
    ) -> list[str]:
        """Bonds of lengths that training did not have, or else atoms too far from all others."""
        unlike = []
        for name, seen in self.bonds.items():
            lengths = _bonded(name, found.get(name, np.empty(0)))
            limits = np.reshape(np.asarray(seen, dtype=float), (-1, 2))
            outside_domain = np.maximum(
                limits[:, 0] - lengths[:, None], lengths[:, None] - limits[:, 1]
            )
            far = outside_domain.min(1, initial=np.inf) > _GAP
            if far.any():
                shown = " and ".join(f"{low:.2f} to {high:.2f}" for low, high in limits) or "none"
                unlike.append(f"{name} at {lengths[far][0]:.2f} A (training: {shown})")
        lonely = [
            f"{symbol} at {distance:.2f} A from its nearest atom (training: at most "
            f"{self.loneliest[symbol]:.2f})"
            for symbol, distance in loneliest.items()
            if distance > self.loneliest.get(symbol, np.inf) + _GAP
        ]
        return unlike or lonely


def _charge(atoms: Atoms) -> int:
    return int(atoms.info.get("charge", 0))


def _formula(atoms: Atoms) -> str:
    """Hill's formula; of a crystal the empirical one, as a supercell is no other crystal."""
    formula = atoms.symbols.formula
    return str((formula.reduce()[0] if atoms.pbc.any() else formula).convert("hill"))


class _Neighbours:
    """Distances between the atoms of a structure; images count, as far as they are neighbours."""

    def __init__(self, atoms: Atoms) -> None:
        if atoms.pbc.any():
            i, j, self.distance = neighbor_list("ijd", atoms, _NEIGHBOURS)
        else:
            i, j = np.triu_indices(len(atoms), 1)
            self.distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        self.numbers, self.ends = atoms.numbers, (i, j)

    def by_pair(self) -> dict[str, np.ndarray]:
        """Distances of each pair of species, A, "H-O" in alphabetical order."""
        first, second = (self.numbers[end] for end in self.ends)
        codes = np.minimum(first, second) * len(chemical_symbols) + np.maximum(first, second)
        found = {}
        for code in np.unique(codes).tolist():
            symbols = [chemical_symbols[z] for z in divmod(code, len(chemical_symbols))]
            found["-".join(sorted(symbols))] = self.distance[codes == code]
        return found

    def loneliest(self) -> dict[str, float]:
        """Longest distance from an atom to its nearest by symbol, A; of single atoms none."""
        nearest = np.full(len(self.numbers), np.inf)
        for end in self.ends:
            np.minimum.at(nearest, end, self.distance)
        far = {chemical_symbols[z]: nearest[self.numbers == z].max() for z in set(self.numbers)}
        return {symbol: float(d) for symbol, d in sorted(far.items()) if np.isfinite(d)}


def _bonded(name: str, distances: np.ndarray, more: float = 0.0) -> np.ndarray:
    """Of the distances of a pair of species, those within reach of a bond, and so much more."""
    radii = [covalent_radii[atomic_numbers[symbol]] for symbol in name.split("-")]
    return distances[distances < _BONDING * sum(radii) + more]


def _stretches(distances: np.ndarray) -> list[list[float]]:
    """Sorted distances as intervals: those nearer than two gaps belong together."""
    if len(distances) == 0:
        return []
    parts = np.split(distances, np.nonzero(np.diff(distances) > 2 * _GAP)[0] + 1)
    return [[round(float(part[0]), 4), round(float(part[-1]), 4)] for part in parts]
