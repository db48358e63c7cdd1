"""Bands in files: a still picture, a table, or ASE's JSON."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase.io.jsonio import encode
from ase.spectrum.band_structure import BandStructure

from workbench.storage.atomic_write import atomic_write

__all__ = ["ENDINGS", "check_ending", "write_bands"]

_PICTURES = (".png", ".svg", ".pdf")
ENDINGS = (*_PICTURES, ".csv", ".json")
"""What the name of a file may end with; the ending chooses the format."""

_WINDOW = (-8.0, 6.0)  # eV relative to the zero of the picture
_COLOUR = "#1f4e79"
_DPI = 200


def check_ending(path: Path) -> None:
    """Raise a ValueError unless the ending of a name is one of `ENDINGS`."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path} names no format for bands: let it end with {', '.join(ENDINGS)}.")


def write_bands(path: Path, bands: BandStructure, relative: bool) -> None:
    r"""Write bands as a picture, as a table, or as JSON for `ase band-structure`.

    A table has a row for each k-point: its fractions, its place along the path in 1/A (with the
    factor 2 pi), its name if it is a special point, and the energy of each band in eV.

    Args:
        path: the file; its ending chooses the format.
        bands: energies (1, points, n), eV.
        relative: whether `bands.reference` is the Fermi level, which is then the zero of pictures.

    Raises:
        ValueError: for an ending that is not in `ENDINGS`.
        WritingError: if the file cannot be written, e.g. for a full disk.

    >>> import tempfile
    >>> from workbench.hamiltonians.bands import band_structure
    >>> from workbench.views.band_files import write_bands
    >>> data = wb.Dataset("graphene")
    >>> bands = band_structure(data[0].H, data[0].S, data.atoms(0), "GMKG", 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bands(Path(folder, "bands.csv"), bands, relative=False)
    ...     Path(folder, "bands.csv").read_text().split("\n")[0][:32]
    'k1,k2,k3,path_per_angstrom,point'
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending == ".csv":
        atomic_write(path, _table(bands))
    elif ending == ".json":
        atomic_write(path, encode(bands))
    else:
        atomic_write(path, _picture(bands, relative, ending.removeprefix(".")))


def _table(bands: BandStructure) -> str:
    """Comma-separated values, a line for each k-point."""
    x, places, labels = bands.get_labels()
    x, energies = 2 * np.pi * np.asarray(x), bands.energies[0]
    names = dict(zip(np.round(2 * np.pi * np.asarray(places), 6).tolist(), labels, strict=True))
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    numbered = [f"band_{k}_ev" for k in range(1, energies.shape[1] + 1)]
    table.writerow(["k1", "k2", "k3", "path_per_angstrom", "point", *numbered])
    for k, at, row in zip(bands.path.kpts, x, energies, strict=True):
        point = names.get(round(float(at), 6), "")
        table.writerow([f"{v:.9g}" for v in (*k, at)] + [point] + [f"{e:.6f}" for e in row])
    return text.getvalue()


def _picture(bands: BandStructure, relative: bool, kind: str) -> bytes:
    """A still picture by ASE, which draws with matplotlib."""
    from matplotlib.figure import Figure  # comes with ASE; takes half a second to import

    zero = bands.subtract_reference()
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes: Any = figure.add_subplot()
    words = "energy relative to the Fermi level in eV" if relative else "energy in eV"
    low, high = _window(zero, relative)
    zero.plot(ax=axes, emin=low, emax=high, ylabel=words, colors=[_COLOUR], linewidth=1.2)
    content = BytesIO()
    figure.savefig(content, format=kind, dpi=_DPI)
    return content.getvalue()


def _window(bands: BandStructure, relative: bool) -> tuple[float, float]:
    """The energies that are drawn: near the Fermi level, or of all bands where it is unknown."""
    if relative:
        return _WINDOW
    return float(bands.energies.min()) - 1, float(bands.energies.max()) + 1
