"""What a model has seen, in words, and a warning where a structure lies beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

_SLACK = 0.05
"""A pair may be closer than any in training by this much, A, before a word is said."""


class DomainWarning(UserWarning):
    """The model was never shown anything like this structure."""


@dataclass(frozen=True)
class Domain:
    """The extent of a training set.

    Attributes:
        formulas: formula in Hill's order -> number of structures.
        closest: "H-O" (symbols in alphabetical order) -> shortest distance seen, A.
    """

    formulas: Mapping[str, int]
    closest: Mapping[str, float]

    @classmethod
    def of(cls, structures: list[Atoms]) -> Domain:
        """The extent of some structures."""
        formulas: dict[str, int] = {}
        closest: dict[str, float] = {}
        for atoms in structures:
            formula = atoms.get_chemical_formula()
            formulas[formula] = formulas.get(formula, 0) + 1
            for name, distance in _closest(atoms).items():
                closest[name] = min(distance, closest.get(name, np.inf))
        return cls(formulas, {name: round(d, 4) for name, d in sorted(closest.items())})

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``Domain(**data)`` reads it back."""
        return {"formulas": dict(self.formulas), "closest": dict(self.closest)}

    def outside(self, atoms: Atoms) -> str | None:
        """One sentence if a structure lies beyond the training set, else None."""
        found = _closest(atoms)
        strange = sorted(set(found) - set(self.closest))
        if strange:
            return (
                f"{atoms.get_chemical_formula()} has pairs {', '.join(strange)} that the model was "
                "never shown, so its prediction means nothing there: train on structures that "
                "have them."
            )
        near = [
            f"{name} at {d:.2f} A (training: {self.closest[name]:.2f} A or more)"
            for name, d in sorted(found.items())
            if d < self.closest[name] - _SLACK
        ]
        if near:
            return (
                f"{atoms.get_chemical_formula()} has atoms closer than any the model was shown, "
                f"{'; '.join(near)}: expect large errors, or train on such structures."
            )
        if len(self.formulas) == 1 and atoms.get_chemical_formula() not in self.formulas:
            return (
                f"The model was shown {next(iter(self.formulas))} alone, not "
                f"{atoms.get_chemical_formula()}: its prediction means nothing there."
            )
        return None


def _closest(atoms: Atoms) -> dict[str, float]:
    """Shortest distance of each pair of species in a molecule or between a cell's atoms, A."""
    symbols = np.array([chemical_symbols[z] for z in atoms.numbers])
    i, j = np.triu_indices(len(atoms), 1)
    distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
    names = np.where(symbols[i] < symbols[j], symbols[i], symbols[j])
    others = np.where(symbols[i] < symbols[j], symbols[j], symbols[i])
    keys = np.char.add(np.char.add(names, "-"), others) if len(i) else names
    return {str(k): float(distance[keys == k].min()) for k in np.unique(keys)}
