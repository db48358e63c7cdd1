"""What a model has seen, in words, and a warning where a structure lies beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

_SLACK = 0.05
"""A pair may be closer than any in training by this much, A, before a word is said."""

_NEIGHBOURS = 6.0  # A; of a crystal no pair beyond is looked at


class DomainWarning(UserWarning):
    """The model was never shown anything like this structure."""


@dataclass(frozen=True)
class Domain:
    """The extent of a training set.

    Attributes:
        formulas: formula in Hill's order, of crystals the empirical one -> number of structures.
        closest: "H-O" (symbols in alphabetical order) -> shortest distance seen, A; of crystals
            among neighbours within 6 A.
        charges: of the structures, in e.
    """

    formulas: Mapping[str, int]
    closest: Mapping[str, float]
    charges: Sequence[int] = (0,)  # as of all models made before charges were kept

    @classmethod
    def of(cls, structures: list[Atoms]) -> Domain:
        """The extent of some structures."""
        formulas: dict[str, int] = {}
        closest: dict[str, float] = {}
        for atoms in structures:
            formula = _formula(atoms)
            formulas[formula] = formulas.get(formula, 0) + 1
            for name, distance in _closest(atoms).items():
                closest[name] = min(distance, closest.get(name, np.inf))
        shortest = {name: round(d, 4) for name, d in sorted(closest.items())}
        return cls(formulas, shortest, sorted({_charge(atoms) for atoms in structures}))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``Domain(**data)`` reads it back."""
        extents = {"formulas": dict(self.formulas), "closest": dict(self.closest)}
        return {**extents, "charges": list(self.charges)}

    def outside(self, atoms: Atoms) -> str | None:
        """One sentence if a structure lies beyond the training set, else None."""
        found, formula = _closest(atoms), _formula(atoms)
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
            f"{name} at {d:.2f} A (training: {self.closest[name]:.2f} A or more)"
            for name, d in sorted(found.items())
            if d < self.closest[name] - _SLACK
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
        return None


def _charge(atoms: Atoms) -> int:
    return int(atoms.info.get("charge", 0))


def _formula(atoms: Atoms) -> str:
    """Hill's formula; of a crystal the empirical one, as a supercell is no other crystal."""
    formula = atoms.symbols.formula
    return str((formula.reduce()[0] if atoms.pbc.any() else formula).convert("hill"))


def _closest(atoms: Atoms) -> dict[str, float]:
    """Shortest distance of each pair of species, A; images count, as far as they are neighbours."""
    symbols = sorted({chemical_symbols[z] for z in atoms.numbers})
    species = np.array([symbols.index(chemical_symbols[z]) for z in atoms.numbers], dtype=int)
    if atoms.pbc.any():
        i, j, distance = neighbor_list("ijd", atoms, _NEIGHBOURS)
    else:
        i, j = np.triu_indices(len(atoms), 1)
        distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
    first, second = np.minimum(species[i], species[j]), np.maximum(species[i], species[j])
    shortest = np.full((len(symbols), len(symbols)), np.inf)
    np.minimum.at(shortest, (first, second), distance)
    return {
        f"{symbols[a]}-{symbols[b]}": float(shortest[a, b])
        for a, b in np.argwhere(np.isfinite(shortest)).tolist()
    }
