"""A structure turned by mouse, touch or arrow keys, which tells Python each orientation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from workbench.conventions import rotation_from_quaternion
from workbench.views.structure import SCRIPT

_STATIC = Path(__file__).parent / "static"

TurnCallback = Callable[[NDArray[np.float64], bool], None]


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


class StructureView(anywidget.AnyWidget):
    """A turnable ball-and-stick picture of `ase.Atoms`.

    The orientation is kept here, in the kernel, as an active rotation matrix: a point x of the
    structure is seen at R x, with x to the right, y up and z towards the viewer. While it is
    dragged the browser sends one orientation at a time and waits until all `on_turn` callbacks
    are done (they repaint what follows), so nothing ever queues up.

    Args:
        atoms: the structure, in its orientation at R = 1.
        height: of the picture, in pixels.
        label: what screen readers call it.

    >>> view = StructureView(atoms); view.on_turn(lambda R, moving: print(R))  # doctest: +SKIP
    """

    # One module: the script's `var $3Dmol` stays inside it, for structure.js and nobody else.
    _esm = f"{SCRIPT.read_text()}\n{(_STATIC / 'structure.js').read_text()}"
    _css = _STATIC / "structure.css"

    structure = traitlets.Dict().tag(sync=True)
    pair = traitlets.List(traitlets.Int(), default_value=[]).tag(sync=True)
    announcement = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("structure").tag(sync=True)
    hint = traitlets.Unicode("drag or arrow keys").tag(sync=True)
    height = traitlets.Int(280).tag(sync=True)

    def __init__(self, atoms: Atoms, *, height: int = 280, label: str = "", **settings: Any):
        self.tick = 0  # number of the browser's newest turn, for whoever repaints
        self._rotation: NDArray[np.float64] = np.eye(3)
        self._callbacks: list[TurnCallback] = []
        described = label or atoms.get_chemical_formula()
        super().__init__(height=height, label=described, **settings)
        self.show(atoms)
        self.on_msg(self._receive)

    def show(self, atoms: Atoms) -> None:
        """Draw another structure, in the present orientation."""
        self.structure = {
            "symbols": atoms.get_chemical_symbols(),
            "positions": atoms.positions.tolist(),
            "bonds": bonds(atoms),
            "cell": [*cell_lines(atoms), *bonds_across(atoms)],
        }

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3)."""
        return self._rotation

    def turn_to(self, R: ArrayLike) -> None:
        """Turn the picture to a rotation matrix (3, 3); does not call the `on_turn` callbacks."""
        self._rotation = np.asarray(R, dtype=float)
        self.send({"kind": "set", "quaternion": self._quaternion()})

    def on_turn(self, callback: TurnCallback) -> None:
        """Call `callback(R, moving)` whenever the user turns it; moving is False at the last one.

        The browser sends the next orientation only after all callbacks have returned.
        """
        self._callbacks.append(callback)

    def close(self) -> None:
        """Take the widget off the page and forget the callbacks."""
        self._callbacks.clear()
        self.on_msg(self._receive, remove=True)
        super().close()

    def _quaternion(self) -> list[float]:
        return Rotation.from_matrix(self._rotation).as_quat().tolist()

    def _receive(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Handle a message of the browser; a turn is acknowledged whatever happens."""
        if content.get("kind") == "hello":
            self.send({"kind": "set", "quaternion": self._quaternion()})
        elif content.get("kind") == "turn":
            try:
                self.tick = int(content["tick"])
                self._rotation = rotation_from_quaternion(content["quaternion"])
                for callback in list(self._callbacks):
                    callback(self._rotation, bool(content.get("moving")))
            finally:
                answer = {"kind": "ack", "view": content.get("view"), "tick": content.get("tick")}
                self.send(answer)
