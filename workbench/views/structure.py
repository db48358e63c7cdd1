"""A static 3D picture of a structure that needs no network and no kernel."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from html import escape
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import py3Dmol
from ase import Atoms
from ase.io import write
from numpy.typing import NDArray

from workbench.hamiltonians.rotations import axis_angle

SCRIPT = Path(__file__).parent / "static" / "3Dmol.js"
"""Defines `$3Dmol`, used by static pictures and by `workbench.widgets.StructureView`."""

# White hydrogen would be invisible on a white page.
_HYDROGEN = "#d3dae3"
_LABELLED_ATOMS = 40  # with more atoms the names would hide the structure

# py3Dmol draws when the page's promise of $3Dmol resolves. By default it loads the script from a
# CDN, and without a network it shows an empty box. Therefore every picture contains the script
# (compressed, about 210 kB) and resolves the promise itself; the first picture on a page unpacks
# the script, the others share it.
_LOADER = """<script>
globalThis.$3Dmolpromise ??= (async () => {
  const packed = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
})();
globalThis.$3Dmolpromise.catch((error) => {
  document.getElementById("3dmolviewer_UNIQUEID").textContent =
    "This browser cannot unpack the 3D viewer (" + error + "): use a newer browser.";
});
</script>
"""

# 3Dmol's zoom makes small molecules tiny: measure the pixels per Angstrom and correct the zoom.
_FIT = """
for (let round = 0; round < 3; round++) {
  const points = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]].map(([x, y, z]) => ({ x, y, z }));
  const [origin, ...tips] = viewer_UNIQUEID.modelToScreen(points);
  const lengths = tips.map((tip) => Math.hypot(tip.x - origin.x, tip.y - origin.y));
  const scale = Math.hypot(...lengths) / Math.SQRT2;
  if (scale > 0) viewer_UNIQUEID.zoom(%.4f / scale);
}
"""


def view(
    atoms: Atoms,
    width: int = 480,
    height: int = 360,
    style: Mapping[str, Any] | None = None,
    labels: bool = True,
) -> py3Dmol.view:
    """A picture of a structure in its widest projection; drag it to rotate.

    Args:
        atoms: molecule, or crystal (drawn with its cell). Positions in Angstrom.
        width: width in pixels.
        height: height in pixels.
        style: 3Dmol style of all atoms, e.g. {"sphere": {}}; by default balls and sticks in the
            usual colours of the elements.
        labels: whether to write O1, H2, ... as on the axes of matrices (up to 40 atoms).

    Returns:
        A py3Dmol view, which accepts further 3Dmol commands before it is shown.

    >>> picture = wb.view(wb.load("water"))  # the last line of a cell shows it
    >>> 'aria-label="H2O, 3 atoms, three-dimensional picture"' in picture.startjs
    True
    """
    result = py3Dmol.view(width=width, height=height, js="")  # instead: our loader below
    result.addModel(_xyz(atoms), "xyz")
    result.setStyle(dict(style) if style is not None else _balls_and_sticks("default"))
    if style is None:
        result.setStyle({"elem": "H"}, _balls_and_sticks(_HYDROGEN))
    if atoms.pbc.any():
        result.addUnitCell()
    if labels and len(atoms) <= _LABELLED_ATOMS:
        _label_atoms(result, atoms)
    result.setProjection("orthographic")
    result.zoomTo()
    axis, degrees = axis_angle(widest(atoms))
    result.rotate(degrees, dict(zip("xyz", axis.tolist(), strict=True)))
    result.startjs += _FIT % (0.46 * min(width, height) / _radius(atoms))
    label = f"{atoms.get_chemical_formula()}, {len(atoms)} atoms, three-dimensional picture"
    picture = f'<div role="img" aria-label="{escape(label)}">{result.startjs}'
    result.startjs = _loader() + picture
    result.endjs = f"{result.endjs}</div>"
    return result


def widest(atoms: Atoms) -> NDArray[np.float64]:
    """The rotation (3, 3) of the principal axes: largest spread of the atoms to x, next to y.

    A planar molecule in any plane is then seen from above.
    """
    away = atoms.positions - atoms.positions.mean(axis=0)
    rotation = np.linalg.svd(away, full_matrices=True)[2]  # (3, 3), rows are directions
    rotation = rotation * np.where(rotation.sum(axis=1) < 0, -1.0, 1.0)[:, None]
    return rotation * np.array([1.0, 1.0, np.linalg.det(rotation)])[:, None]


@cache
def _loader() -> str:
    """The script element that defines `$3Dmol` on a page, once."""
    packed = gzip.compress(SCRIPT.read_bytes(), mtime=0)
    return _LOADER % b64encode(packed).decode()


def _xyz(atoms: Atoms) -> str:
    """Extended XYZ, with the cell of a crystal; 3Dmol finds the bonds."""
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    text = StringIO()
    write(text, plain, format="extxyz")
    return text.getvalue()


def _radius(atoms: Atoms) -> float:
    """Largest distance in the picture from the mean of the atoms, A."""
    points = atoms.positions
    if atoms.pbc.any():
        corners = np.array(list(product((0, 1), repeat=3))) @ atoms.cell.array
        points = np.concatenate([points, corners])
    away = np.linalg.norm(points - atoms.positions.mean(axis=0), axis=1)
    return float(away.max()) + 0.45


def _balls_and_sticks(colour: str) -> dict[str, Any]:
    paint = {"colorscheme": "Jmol"} if colour == "default" else {"color": colour}
    return {"sphere": {"scale": 0.27, **paint}, "stick": {"radius": 0.13, **paint}}


def _label_atoms(picture: py3Dmol.view, atoms: Atoms) -> None:
    for k, (symbol, position) in enumerate(zip(atoms.symbols, atoms.positions, strict=True)):
        x, y, z = (float(c) for c in position)
        settings = {
            "position": {"x": x, "y": y, "z": z},
            "fontSize": 13,
            "fontColor": "#14181f",
            "backgroundColor": "#ffffff",
            "backgroundOpacity": 0.6,
            "inFront": True,
            "alignment": "center",
        }
        picture.addLabel(f"{symbol}{k + 1}", settings)
