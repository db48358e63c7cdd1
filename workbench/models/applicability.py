"""Is a structure like those a model was trained on? The applicability domain, and its warning.

The domain is recorded when a model is trained: formulas, charges, pairs of species, their
distances, and the environments of atoms. A structure outside it is predicted all the same, with a
``DomainWarning``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from workbench.models.environments import Environments, is_pair, is_table
from workbench.models.neighbours import Neighbours

_SLACK = 0.05
"""Tolerance in A: warn only if a pair is closer than the training minimum by more than this."""

_BONDING = 2.0
"""Longest pair that counts as a bond or a second neighbour, in sums of both covalent radii. Farther
pairs have all distances in any training set."""

_GAP = 0.1
"""Tolerance in A: warn only if a bond length misses all training intervals by more than this.

Of 219 test structures, of molecules that are not in the training set of `organic`, the three of
hydrogen fluoride fail this. A hydrogen that is pulled 0.2 A away from its oxygen fails it as well.
"""

_NAMED = 4
"""Largest number of atoms that a sentence names."""


class DomainWarning(UserWarning):
    """A structure is outside the model's applicability domain; the message says why.

    >>> import warnings
    >>> water = wb.load("water")
    >>> water.set_distance(0, 1, 1.3, fix=0)  # one O-H bond stretched to 1.3 A
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     prediction = wb.load_model("water").predict(water)
    >>> caught[0].category is wb.DomainWarning
    True
    """


@dataclass(frozen=True)
class ApplicabilityDomain:
    """Which structures a training set covers.

    Attributes:
        formulas: formula in Hill order (crystals: empirical formula) -> number of structures.
        closest: "H-O" (symbols in alphabetical order) -> shortest distance in the training set,
            A; crystals: among neighbours within 6 A.
        charges: charges of the structures, e.
        bonds: "H-O" -> intervals of the distances in the training set, A, up to two sums of
            covalent radii. ``[[0.93, 1.12], [1.8, 2.4]]``: bonds, then second neighbours, and
            no distance between them. Empty for models older than this field.
        loneliest: symbol -> longest distance from such an atom to its nearest neighbour, A.
        environments: of the atoms, as `Environments.to_json` gives them. Empty for models older
            than this field.
    """

    formulas: Mapping[str, int]
    closest: Mapping[str, float]
    charges: Sequence[int] = (0,)  # models older than this field: neutral
    bonds: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    loneliest: Mapping[str, float] = field(default_factory=dict)
    environments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, structures: Sequence[Atoms], validation: Sequence[Atoms] = ()
    ) -> ApplicabilityDomain:
        """The domain that a training set covers.

        Args:
            structures: the training set.
            validation: structures like those, on which the tolerance for environments is measured.
        """
        formulas: dict[str, int] = {}
        by_pair: dict[str, list[np.ndarray]] = {}
        loneliest: dict[str, float] = {}
        for atoms in structures:
            formula = _formula(atoms)
            formulas[formula] = formulas.get(formula, 0) + 1
            neighbours = Neighbours(atoms)
            for name, lengths in neighbours.by_pair().items():
                by_pair.setdefault(name, []).append(lengths)
            for symbol, distance in neighbours.loneliest().items():
                loneliest[symbol] = max(distance, loneliest.get(symbol, 0.0))
        distances = {name: np.sort(np.concatenate(by_pair[name])) for name in sorted(by_pair)}
        return cls(
            formulas,
            {name: round(float(lengths[0]), 4) for name, lengths in distances.items()},
            sorted({_charge(atoms) for atoms in structures}),
            {name: _intervals(_bonded(name, lengths, _GAP)) for name, lengths in distances.items()},
            {symbol: round(loneliest[symbol], 4) for symbol in sorted(loneliest)},
            Environments.of(structures, validation).to_json(),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> ApplicabilityDomain:
        """The domain that ``to_json`` described, possibly in a version with fewer fields.

        Raises:
            ValueError: for an unknown field, or a number that is not of its kind.
        """
        if not isinstance(data, Mapping) or not set(data) <= {f.name for f in fields(cls)}:
            raise ValueError("The domain has fields that no version knows.")
        domain = cls(**{"formulas": {}, "closest": {}, **data})
        tables = [domain.formulas, domain.closest, domain.loneliest, domain.bonds]
        if not all(isinstance(table, Mapping) for table in (*tables, domain.environments)):
            raise ValueError("The domain's tables are not objects.")
        rows = [domain.charges, *(list(table.values()) for table in tables[:3])]
        intervals = list(domain.bonds.values())
        numbers = all(is_table(row) for row in rows) and all(is_table(i, 2) for i in intervals)
        if not numbers or not all(map(is_pair, domain.bonds)):
            raise ValueError("The domain holds something else than numbers of elements.")
        if domain.environments:
            Environments.from_json(domain.environments)
        return domain

    def outside_domain(self, atoms: Atoms) -> str | None:
        """One sentence if a structure is outside the domain, else None.

        >>> from workbench.models.applicability import ApplicabilityDomain
        >>> domain = ApplicabilityDomain.of([wb.load("water")])
        >>> print(domain.outside_domain(wb.load("ethanol")))
        C2H6O contains the pairs C-C, C-H, C-O, which do not occur in the training set: ...
        """
        neighbours, formula = Neighbours(atoms), _formula(atoms)
        distances = neighbours.by_pair()
        if _charge(atoms) not in self.charges:
            trained = ", ".join(f"{charge:+d}" if charge else "0" for charge in self.charges)
            return (
                f"{formula} has charge {_charge(atoms):+d} e, but the model was trained on charge "
                f"{trained}: discard this prediction, or train on structures of this charge."
            )
        if spin := int(atoms.info.get("spin", 0)):
            return (
                f"{formula} has {spin} unpaired electrons, but the model was trained on closed "
                "shells: discard this prediction, or set info['spin'] to 0 for the singlet."
            )
        new_pairs = sorted(set(distances) - set(self.closest))
        if new_pairs:
            return (
                f"{formula} contains the pairs {', '.join(new_pairs)}, which do not occur in the "
                "training set: discard this prediction, or train on structures that contain them."
            )
        too_close = [
            f"{name} at {lengths.min():.2f} A (training: {self.closest[name]:.2f} A or more)"
            for name, lengths in sorted(distances.items())
            if lengths.min() < self.closest[name] - _SLACK
        ]
        if too_close:
            return (
                f"{formula} has atoms closer than any in the training set, "
                f"{'; '.join(too_close)}: expect large errors, or train on such structures."
            )
        if len(self.formulas) == 1 and formula not in self.formulas:
            return (
                f"The model was trained on {next(iter(self.formulas))} only, not on {formula}: "
                "discard this prediction, or train on such structures."
            )
        stretched = self._stretched(distances, neighbours.loneliest())
        if stretched:
            return (
                f"{formula} has interatomic distances unlike any in the training set, "
                f"{'; '.join(stretched)}: expect large errors, or train on such structures."
            )
        return self._unlike(atoms, formula, neighbours)

    def _unlike(self, atoms: Atoms, formula: str, neighbours: Neighbours) -> str | None:
        """The sentence that names the atoms whose environments are unlike the training set's."""
        if self._environments is None:
            return None
        far = self._environments.distances(neighbours)
        atypical = [int(i) for i in np.argsort(-far, kind="stable") if far[i] > 1]
        if not atypical:
            return None
        named = ", ".join(f"{atoms.symbols[i]}{i}" for i in sorted(atypical[:_NAMED]))
        others = f" and {len(atypical) - _NAMED} more" if len(atypical) > _NAMED else ""
        return (
            f"Atoms {named}{others} of {formula} have environments unlike any in the training set "
            f"(distance {far.max():.1f}, training 1.0): expect large errors, or train on such "
            "structures."
        )

    @cached_property
    def _environments(self) -> Environments | None:
        return Environments.from_json(self.environments) if self.environments else None

    def _stretched(
        self, distances: Mapping[str, np.ndarray], loneliest: Mapping[str, float]
    ) -> list[str]:
        """Bond lengths outside all training intervals; if there are none, isolated atoms."""
        new_bonds = []
        for name, intervals in self.bonds.items():
            lengths = _bonded(name, distances.get(name, np.empty(0)))
            limits = np.reshape(np.asarray(intervals, dtype=float), (-1, 2))
            excess = np.maximum(limits[:, 0] - lengths[:, None], lengths[:, None] - limits[:, 1])
            far = excess.min(1, initial=np.inf) > _GAP
            if far.any():
                known = " and ".join(f"{low:.2f} to {high:.2f}" for low, high in limits) or "none"
                new_bonds.append(f"{name} at {lengths[far][0]:.2f} A (training: {known})")
        isolated = [
            f"{symbol} at {distance:.2f} A from its nearest atom (training: at most "
            f"{self.loneliest[symbol]:.2f})"
            for symbol, distance in loneliest.items()
            if distance > self.loneliest.get(symbol, np.inf) + _GAP
        ]
        return new_bonds or isolated


def _charge(atoms: Atoms) -> int:
    return int(atoms.info.get("charge", 0))


def _formula(atoms: Atoms) -> str:
    """Formula in Hill order; crystals: empirical, so that cell and supercell share it."""
    formula = atoms.symbols.formula
    return str((formula.reduce()[0] if atoms.pbc.any() else formula).convert("hill"))


def _bonded(name: str, distances: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """The distances of a pair of species up to `_BONDING` sums of radii plus a margin in A."""
    radii = [covalent_radii[atomic_numbers[symbol]] for symbol in name.split("-")]
    return distances[distances < _BONDING * sum(radii) + margin]


def _intervals(distances: np.ndarray) -> list[list[float]]:
    """Sorted distances as intervals; distances less than two tolerances apart share one."""
    if len(distances) == 0:
        return []
    runs = np.split(distances, np.nonzero(np.diff(distances) > 2 * _GAP)[0] + 1)
    return [[round(float(run[0]), 4), round(float(run[-1]), 4)] for run in runs]
