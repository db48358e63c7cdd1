"""A structure turned by mouse, touch or arrow keys, which tells Python each orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list

from workbench.widgets.molecule_script import MoleculeScript, molecule_script
from workbench.widgets.turnable import Turnable

_STATIC = Path(__file__).parent / "static"

_BONDED = 1.15  # times the sum of two covalent radii


def bonds(atoms: Atoms) -> list[tuple[int, int]]:
    """Pairs i < j of atoms within 1.15 times the sum of their covalent radii, same cell only."""
    radii = natural_cutoffs(atoms, mult=_BONDED)  # pyright: ignore[reportArgumentType]
    i, j, shift = neighbor_list("ijS", atoms, radii)
    keep = (i < j) & ~np.asarray(shift).any(axis=1)
    return [(int(a), int(b)) for a, b in zip(i[keep], j[keep], strict=True)]


def bonds_across(atoms: Atoms) -> list[list[list[float]]]:
    """Bonds to atoms of other cells, as lines [start, end] in A from each atom to halfway."""
    radii = natural_cutoffs(atoms, mult=_BONDED)  # pyright: ignore[reportArgumentType]
    i, shift, away = neighbor_list("iSD", atoms, radii)
    out = np.asarray(shift).any(axis=1)
    starts = atoms.positions[i[out]]
    return [list(line) for line in np.stack([starts, starts + away[out] / 2], axis=1).tolist()]


def cell_lines(atoms: Atoms) -> list[list[list[float]]]:
    """The 12 edges of the unit cell as [start, end] points in Angstrom; none for a molecule."""
    if not atoms.pbc.any():
        return []
    corners = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    edges = [
        (p, q) for p in corners for q in corners if p < q and np.abs(np.subtract(q, p)).sum() == 1
    ]
    cell = np.asarray(atoms.cell.array)
    return [[(np.array(p) @ cell).tolist(), (np.array(q) @ cell).tolist()] for p, q in edges]


def drawn_structure(atoms: Atoms) -> dict[str, Any]:
    """What the browser draws of a structure: symbols, positions in A, bonds and lines."""
    return {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "bonds": bonds(atoms),
        "cell": [*cell_lines(atoms), *bonds_across(atoms)],
    }


class StructureView(Turnable):
    """A turnable ball-and-stick picture of `ase.Atoms`.

    A point x of the structure is seen at R x; how it turns says `Turnable`.

    Args:
        atoms: the structure, in its orientation at R = 1.
        height: of the picture, in pixels.
        label: what screen readers call it.

    >>> view = StructureView(atoms); view.on_turn(lambda R, moving: print(R))  # doctest: +SKIP
    """

    _esm = _STATIC / "structure.js"
    _css = _STATIC / "structure.css"

    script = traitlets.Instance(MoleculeScript).tag(sync=True, **widgets.widget_serialization)
    structure = traitlets.Dict().tag(sync=True)
    pair = traitlets.List(traitlets.Int(), default_value=[]).tag(sync=True)
    label = traitlets.Unicode("structure").tag(sync=True)

    def __init__(self, atoms: Atoms, *, height: int = 280, label: str = "", **settings: Any):
        described = label or atoms.get_chemical_formula()
        super().__init__(script=molecule_script(), height=height, label=described, **settings)
        self.show(atoms)

    def show(self, atoms: Atoms) -> None:
        """Draw another structure, in the present orientation."""
        self.structure = drawn_structure(atoms)
