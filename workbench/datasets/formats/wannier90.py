"""Hamiltonians of Wannier90: tight-binding models with exact bands, but of no known shell.

| file | content |
|---|---|
| `<seed>_tb.dat` | cell in A, and ``H_mn(R)`` in eV, m in cell 0, n in R; a weight N_R for each R |
| `<seed>_hr.dat` | the same without the cell, which `<seed>.win` beside it contains |
| `<seed>_wsvec.dat` | with `use_ws_distance`: images T of each (R, m, n), which share the element |
| `<seed>_centres.xyz` | centres of the functions, A |

With the third file, ``H_mn(k) = sum_R 1/N_R sum_T 1/N_T exp(2 pi i k (R + T)) H_mn(R)``
(Pizzi et al. 2020, doi 10.1088/1361-648X/ab51ff). Without it, bands between the points of the mesh
are wrong by tenths of an eV, so it is always used where it is.

A Wannier function results from a minimisation: it belongs to no shell, and its transformation under
rotation is not known in advance. The matrix gives bands, but cannot be rotated, validated against
the crystal's symmetry, stored as training data or learned. With spin each function has its own
spin, matrices are complex, and each band holds one electron.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, FormatError, check_elements
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import BOHR
from workbench.hamiltonians.pairs import canonical_order

__all__ = ["ENDINGS", "read"]

ENDINGS = ("_tb.dat", "_hr.dat", ".win")
"""How the names of the files end that `read` takes."""

_HERMITIAN = 1e-4  # eV; largest difference of an element and its partner
_MOST_FUNCTIONS = 10_000
_FARTHEST_CELL = 1_000_000


def read(file: str | os.PathLike[str]) -> Foreign:
    """Read the Hamiltonian of a Wannier90 run.

    Args:
        file: a `_tb.dat`, a `_hr.dat`, or a `.win` beside one of them.

    Returns:
        One site without an element for each function, at its centre if `<seed>_centres.xyz` is in
        the folder; H in eV as it was written, in one block for each pair of functions, complex
        where the file has imaginary elements; S is the identity; the Fermi level is nan.

    Raises:
        FormatError: for a file that is missing, incomplete or not hermitian.
    """
    path = Path(file)
    seed = re.sub(r"(_tb\.dat|_hr\.dat|\.win)$", "", path.name, flags=re.IGNORECASE)
    matrix = _matrix_file(path, seed)
    with matrix.open(encoding="utf-8", errors="replace") as lines:
        cell = _table(matrix, lines, 3, 3, skip=1) if _is_tb(matrix) else None
        if cell is None:
            next(lines, "")
            cell = _cell(matrix.with_name(f"{seed}.win"), matrix)
        cells, elements = _elements(matrix, lines)
    check_elements(matrix, elements)
    keys, values = _shared(matrix.with_name(f"{seed}_wsvec.dat"), cells, elements)
    n = elements.shape[1]
    sites = Atoms(np.zeros(n, int), _centres(matrix.with_name(f"{seed}_centres.xyz"), n), pbc=True)
    sites.cell = cell
    H = _blocks(matrix, keys, values, n)
    on_site = np.tile(np.arange(n), (2, 1))
    S = BlockMatrix(H.basis, H.numbers, on_site, np.zeros((n, 3), np.int64), np.ones((n, 1, 1)))
    return Foreign(sites, H, S, fermi_level=float("nan"))


def _is_tb(path: Path) -> bool:
    return path.name.lower().endswith("_tb.dat")


def _matrix_file(path: Path, seed: str) -> Path:
    """The file that contains the matrix elements."""
    if not path.is_file():
        raise FormatError(f"There is no file {path}.")
    if path.suffix.lower() != ".win":
        return path
    for ending in ("_tb.dat", "_hr.dat"):
        if (beside := path.with_name(f"{seed}{ending}")).is_file():
            return beside
    raise FormatError(f"Beside {path} lies no {seed}_tb.dat or {seed}_hr.dat: write_hr = true.")


def _cell(win: Path, matrix: Path) -> NDArray[np.float64]:
    """The cell vectors (3, 3) of a `.win` file, A; its keywords in any case."""
    if not win.is_file():
        raise FormatError(f"{matrix} does not contain its cell: put {win.name} beside it.")
    text = win.read_text(encoding="utf-8", errors="replace")
    block = re.search(
        r"^\s*begin\s+unit_cell_cart\b(.*?)^\s*end\s+unit_cell_cart\b", text, re.I | re.M | re.S
    )
    rows = re.split(r"[\r\n]+", re.sub(r"[!#].*", "", block[1])) if block else []
    words = [row.split() for row in rows if row.strip()]
    unit = BOHR if words and words[0][0].lower().startswith("bohr") else 1.0
    try:
        cell = np.array([[_number(word) for word in row] for row in words if len(row) == 3])
    except ValueError:
        cell = np.empty(0)
    if cell.shape != (3, 3) or not abs(np.linalg.det(cell)) > 0:
        raise FormatError(f"{win} has no block unit_cell_cart of three vectors: correct it.")
    return cell * unit


def _number(word: str) -> float:
    """A number of Fortran, whose exponent may be a d."""
    value = float(word.lower().replace("d", "e"))
    if not np.isfinite(value):
        raise ValueError(word)
    return value


def _table(
    path: Path, lines: Iterator[str], rows: int, columns: int, skip: int = 0
) -> NDArray[np.float64]:
    """The next rows of numbers, after some lines."""
    for _ in range(skip):
        next(lines, "")
    chosen = list(islice(lines, rows))
    try:
        table = np.loadtxt(chosen, ndmin=2) if len(chosen) == rows else np.empty(0)
    except ValueError:
        table = np.empty(0)
    if table.shape != (rows, columns) or not np.isfinite(table).all():
        raise FormatError(f"{path} is truncated or damaged: copy it again.")
    return table


def _elements(path: Path, lines: Iterator[str]) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """Cells (R, 3) and ``H_mn(R) / N_R`` (R, n, n), eV."""
    n, count = (int(_table(path, lines, 1, 1)[0, 0]) for _ in range(2))
    # A row of text needs at least ten characters: declared sizes are bounded by the file's.
    if not (0 < n <= _MOST_FUNCTIONS and count > 0 and 10 * count * n * n <= path.stat().st_size):
        raise FormatError(f"{path} is truncated or damaged: copy it again.")
    weights: list[float] = []
    for line in islice(lines, -(-count // 15)):
        weights += [float(word) for word in line.split() if word.isdigit()]
    if len(weights) != count or not all(0 < weight < 1e6 for weight in weights):
        raise FormatError(f"{path} is truncated or damaged: copy it again.")
    if _is_tb(path):
        cells = np.empty((count, 3))
        table = np.empty((count, n * n, 4))
        for k in range(count):
            cells[k] = _table(path, lines, 1, 3, skip=1)
            table[k] = _table(path, lines, n * n, 4)
    else:
        rows = _table(path, lines, count * n * n, 7).reshape(count, n * n, 7)
        cells, table = rows[:, 0, :3], rows[:, :, 3:]
        if (rows[:, :, :3] != cells[:, None]).any():
            raise FormatError(f"{path} mixes the elements of several cells: copy it again.")
    m_and_n = table[:, :, :2]
    expected = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1) + 1
    if (m_and_n != expected.reshape(-1, 2)[:, ::-1]).any():
        raise FormatError(f"{path} lists its elements in another order than Wannier90.")
    if not ((cells == np.rint(cells)) & (np.abs(cells) <= _FARTHEST_CELL)).all():
        raise FormatError(f"{path} has elements in cells that no lattice has: copy it again.")
    values = (table[:, :, 2] + 1j * table[:, :, 3]).reshape(count, n, n).swapaxes(1, 2)
    return cells.astype(np.int64), values / np.array(weights)[:, None, None]


def _shared(
    wsvec: Path, cells: NDArray[np.int64], elements: NDArray[np.complex128]
) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """Keys (K, 5) ``m, n, cell`` and elements (K,); images of `_wsvec.dat` share an element."""
    count, n = elements.shape[:2]
    r, m, k = np.indices(elements.shape).reshape(3, -1)
    keys = np.concatenate([np.stack([m, k], axis=1), cells[r]], axis=1)
    values = elements.ravel()
    if not wsvec.is_file():
        return keys, values
    with wsvec.open(encoding="utf-8", errors="replace") as lines:
        if "use_ws_distance=.false." in next(lines, "").replace(" ", "").lower():
            return keys, values
        images = list(_images(wsvec, lines, count * n * n))
    index = {tuple(key): i for i, key in enumerate(keys.tolist())}
    rows, shifts, shares = [], [], []
    for (R1, R2, R3, m_, n_), cells_of_images in images:
        i = index.get((m_ - 1, n_ - 1, R1, R2, R3))
        if i is None:
            raise FormatError(f"{wsvec} belongs to another run than the matrix beside it.")
        rows += [i] * len(cells_of_images)
        shifts += cells_of_images
        shares += [1 / len(cells_of_images)] * len(cells_of_images)
    if len(set(rows)) != len(keys):
        raise FormatError(f"{wsvec} belongs to another run than the matrix beside it.")
    moved = keys[rows].copy()
    moved[:, 2:] += np.array(shifts)
    return moved, values[rows] * np.array(shares)


def _images(
    path: Path, lines: Iterator[str], count: int
) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Each (R, m, n) and the cells of its images."""
    try:
        for _ in range(count):
            key = [int(word) for word in next(lines).split()]
            images = [[int(word) for word in next(lines).split()] for _ in range(int(next(lines)))]
            if len(key) != 5 or not images or any(len(image) != 3 for image in images):
                raise ValueError(key)
            yield key, images
    except (StopIteration, RuntimeError, ValueError) as error:
        raise FormatError(f"{path} is truncated or damaged: copy it again.") from error


def _centres(path: Path, n: int) -> NDArray[np.float64]:
    """Centres (n, 3) of the functions, A; zero where they are not known."""
    if not path.is_file():
        return np.zeros((n, 3))
    with path.open(encoding="utf-8", errors="replace") as lines:
        rows = [line.split()[1:4] for line in islice(lines, 2, None) if line.split()[:1] == ["X"]]
    try:
        centres = np.array([[_number(word) for word in row] for row in rows])
    except ValueError:
        centres = np.empty(0)
    if centres.shape != (n, 3):
        raise FormatError(f"{path} belongs to another run than the matrix beside it.")
    return centres


def _blocks(
    path: Path, keys: NDArray[np.int64], values: NDArray[np.complex128], n: int
) -> BlockMatrix:
    """One block for each pair of functions and cell, hermitian."""
    partners = np.concatenate([keys[:, 1::-1], -keys[:, 2:]], axis=1)
    on_site = np.stack([*[np.arange(n)] * 2, *[np.zeros(n, np.int64)] * 3], axis=1)
    every, index = np.unique(np.concatenate([keys, partners, on_site]), axis=0, return_inverse=True)
    total: Any = np.zeros(len(every), np.complex128)
    index = index.ravel()
    np.add.at(total, index[: len(keys)], values)
    adjoint = np.zeros_like(total)
    np.add.at(adjoint, index[len(keys) : 2 * len(keys)], values.conj())
    if not np.abs(total - adjoint).max() <= _HERMITIAN:
        raise FormatError(
            f"{path} is not hermitian: partners differ by {np.abs(total - adjoint).max():.2g} eV."
        )
    total = (total + adjoint) / 2
    if not np.abs(total.imag).max() > 0:
        total = total.real
    rank = canonical_order(every[:, :2].T, every[:, 2:])
    basis = Basis("wannier", {0: (0,)}, is_harmonic=False)
    edges, shifts = every[rank, :2].T, every[rank, 2:]
    return BlockMatrix(basis, np.zeros(n, np.int64), edges, shifts, total[rank, None, None])
