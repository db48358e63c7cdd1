"""The catalogue of bundled structures: by group, with formula and number of atoms."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO
from itertools import islice

from ase import Atoms
from ase.collections import g2
from ase.formula import Formula
from ase.io import read
from ase.io.extxyz import key_val_str_to_dict

from workbench.storage.bundled import data_path
from workbench.structures.loading import StructureError, bundled_names, collection_names, load

__all__ = ["Entry", "entries", "groups", "matching"]

MOLECULES, CRYSTALS, G2 = "molecules", "crystals", "G2 set (ASE)"


@dataclass(frozen=True)
class Entry:
    """One structure of the catalogue.

    Attributes:
        group: one of `groups`.
        name: the name that `workbench.load` takes; in a collection the SMILES.
        formula: in Hill order.
        n_atoms: number of atoms.
        place: in a collection the first line of the structure in its file; otherwise -1.
    """

    group: str
    name: str
    formula: str
    n_atoms: int
    place: int = -1

    def __str__(self) -> str:
        atoms = "atom" if self.n_atoms == 1 else "atoms"
        return f"{self.name} · {self.formula} · {self.n_atoms} {atoms}"

    def atoms(self, charge: int | None = None, spin: int | None = None) -> Atoms:
        """The structure, as `workbench.load` returns it."""
        if self.place < 0:
            return load(self.name, charge=charge, spin=spin)
        with gzip.open(_file(self.group), "rt") as file:  # ASE needs seconds to find a frame
            lines = islice(file, self.place, self.place + self.n_atoms + 2)
            frame = read(StringIO("".join(lines)), index=0, format="extxyz")
        assert isinstance(frame, Atoms)  # one index, one structure
        return load(frame, charge=charge, spin=spin)


def groups() -> list[str]:
    """Names of the groups: our molecules, our crystals, ASE's G2 set, and the collections."""
    return [MOLECULES, CRYSTALS, G2, *collection_names()]


@cache
def entries(group: str) -> tuple[Entry, ...]:
    """All structures of a group.

    Raises:
        StructureError: for an unknown group.

    >>> from workbench.structures.catalogue import entries
    >>> print(entries("molecules")[0])
    water · H2O · 3 atoms
    """
    if group in (MOLECULES, CRYSTALS):
        loaded = {name: load(name) for name in bundled_names()}
        chosen = {k: a for k, a in loaded.items() if a.pbc.any() == (group == CRYSTALS)}
        return _described(group, chosen)
    if group == G2:
        return _described(group, {name: g2[name] for name in g2.names})
    if group in collection_names():
        return _headers(group)
    raise StructureError(f"There is no group '{group}': choose {', '.join(groups())}.")


def matching(candidates: Sequence[Entry], text: str) -> list[Entry]:
    """Entries whose name or formula contains a text: exact matches, then the shortest names."""
    wanted = text.strip().lower()
    if not wanted:
        return list(candidates)
    hits = [e for e in candidates if wanted in e.name.lower() or wanted in e.formula.lower()]
    return sorted(hits, key=lambda e: (wanted not in _name_and_formula(e), len(e.name)))


def _name_and_formula(entry: Entry) -> tuple[str, str]:
    return entry.name.lower(), entry.formula.lower()


def _described(group: str, atoms: Mapping[str, Atoms]) -> tuple[Entry, ...]:
    listed = [
        Entry(group, name, a.get_chemical_formula("hill"), len(a)) for name, a in atoms.items()
    ]
    return tuple(sorted(listed, key=lambda e: (e.n_atoms, e.name)))


def _file(group: str) -> str:
    return str(data_path("structures", f"{group}.extxyz.gz"))


def _headers(group: str) -> tuple[Entry, ...]:
    """The entries of a collection, from its header lines: reading all frames would take seconds."""
    listed: list[Entry] = []
    line = 0
    with gzip.open(_file(group), "rt") as file:
        while count := file.readline().strip():
            n, info = int(count), key_val_str_to_dict(file.readline())
            symbols = "".join(file.readline().split(maxsplit=1)[0] for _ in range(n))
            formula = Formula(symbols).format("hill")
            listed.append(Entry(group, str(info["smiles"]), formula, n, line))
            line += n + 2
    return tuple(listed)
