"""A Hamiltonian that a script of one's own has computed: arrays become a `Reference`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

from workbench.engines import OWN_SCRIPT, Reference
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import AO_TO_M, order_index, order_signs
from workbench.hamiltonians.pairs import all_pairs, canonical_order
from workbench.structures.loading import validate

__all__ = ["from_arrays", "in_our_order"]

IMAGINARY = 1e-6
"""Largest imaginary part of a matrix without spin, relative to its largest element."""

Cells = Mapping[tuple[int, int, int], ArrayLike]
"""Cell T of the column orbitals -> matrix (n_ao, n_ao) between them and the cell 0."""


def from_arrays(
    atoms: Atoms,
    H: ArrayLike | Cells,
    S: ArrayLike | Cells,
    shells: Mapping[str | int, Sequence[int]],
    order: str,
    *,
    basis: str = "own",
    spinor: bool = False,
    energy: float = float("nan"),
    n_electrons: int = 0,
    fermi_level: float | None = None,
    method: Mapping[str, Any] | None = None,
) -> Reference:
    """A `Reference` from the arrays of any program, in the workbench's orbital order.

    The order is not tested here: `wb.write_dataset` tests it on every structure, and
    `workbench.datasets.validation.check` tests it on one.

    Args:
        atoms: positions and, for a crystal, cell in A; charge and spin in `info`.
        H: eV. Of a molecule (n_ao, n_ao), atom after atom; of a crystal a mapping of cells
            ``(T1, T2, T3)`` to such matrices, rows in the cell 0 and columns in the cell T. With
            spin all up orbitals come first, then all down orbitals.
        S: overlap in the same form; for spinors with or without spin.
        shells: symbol or atomic number -> the l of each shell, in the program's order of shells,
            e.g. ``{"H": (0,), "O": (0, 0, 1)}``.
        order: the program whose order and signs the orbitals of a shell have: a key of
            `workbench.hamiltonians.conventions.AO_TO_M`.
        basis: a name. The name of a basis of PySCF promises that the functions are those of PySCF.
        spinor: whether the orbitals come with spin up and spin down.
        energy: total energy, eV; nan if unknown.
        n_electrons: electrons that the calculation treated; 0 if unknown.
        fermi_level: of a crystal, eV; None if unknown.
        method: level of theory, JSON-able, e.g. ``{"program": "ORCA", "functional": "pbe"}``.

    Raises:
        StructureError: for a structure that makes no sense.
        ValueError: for an unknown order, missing shells, or arrays whose size does not fit.

    PySCF's order of p is x, y, z; the workbench's is y, z, x:

    >>> from pyscf import gto, scf
    >>> water = wb.load("water")
    >>> mol = gto.M(atom=list(zip(water.symbols, water.positions)), basis="sto-3g", verbose=0)
    >>> field = scf.RHF(mol).run()
    >>> shells = {"H": (0,), "O": (0, 0, 1)}
    >>> H = field.get_fock() * 27.2114  # eV
    >>> mine = wb.from_arrays(water, H, field.get_ovlp(), shells, "pyscf", basis="sto-3g")
    >>> (mine.H - wb.reference(water, basis="sto-3g", xc="hf").H).max_abs() < 1e-3  # eV
    True
    """
    if order not in AO_TO_M:
        raise ValueError(f"The orbital order {order!r} is not known: choose {', '.join(AO_TO_M)}.")
    validate(atoms)
    table = {_number(element): tuple(int(l) for l in ls) for element, ls in shells.items()}
    own = Basis(basis, table, spinor)
    own.check(atoms.numbers)
    without_spin = Basis(basis, table)
    overlap = in_our_order("S", S, atoms, own if _size(S) == _size(H) else without_spin, order)
    return Reference(
        H=in_our_order("H", H, atoms, own, order),
        S=overlap.with_spin() if spinor and not overlap.basis.spinor else overlap,
        energy=float(energy),
        n_electrons=int(n_electrons),
        method={**(method or {}), OWN_SCRIPT: True},
        fermi_level=fermi_level,
        atoms=atoms.copy(),
    )


def _number(element: str | int) -> int:
    """The atomic number of a symbol or number."""
    if isinstance(element, str):
        if element not in atomic_numbers:
            raise ValueError(f"{element!r} is no element: use symbols such as 'O' in `shells`.")
        return atomic_numbers[element]
    if not 0 < element < len(chemical_symbols):
        raise ValueError(f"{element} is no atomic number: use symbols such as 'O' in `shells`.")
    return int(element)


def _size(matrix: ArrayLike | Cells) -> int:
    """Rows of a matrix, or of the first matrix of a mapping."""
    first = next(iter(matrix.values()), ()) if isinstance(matrix, Mapping) else matrix
    return len(np.atleast_1d(np.asarray(first)))


def in_our_order(
    name: str, matrix: ArrayLike | Cells, atoms: Atoms, basis: Basis, order: str
) -> BlockMatrix:
    """Blocks of one matrix of `from_arrays` in the workbench's orbital order.

    Args:
        name: of the matrix, for errors.
        matrix, order: as of `from_arrays`.
        atoms: the structure.
        basis: its shells are in the program's order of shells.

    Raises:
        ValueError: for a matrix whose size does not fit, or elements that are not finite.
    """
    if isinstance(matrix, Mapping) != bool(atoms.pbc.any()):
        raise ValueError(
            f"{name} of a crystal is a mapping {{(T1, T2, T3): matrix}}, and of a molecule one "
            "matrix: change it, or set atoms.pbc."
        )
    cells = dict(matrix) if isinstance(matrix, Mapping) else {(0, 0, 0): matrix}
    if (0, 0, 0) not in cells:
        raise ValueError(f"{name} has no matrix of the cell (0, 0, 0): add it.")
    index, signs = _dense_order(atoms, basis, order)
    parts, shifts = [], []
    for cell, values in cells.items():
        dense = _checked(name, values, len(index), basis.spinor)
        ours = dense[np.ix_(index, index)] * signs[:, None] * signs
        part = BlockMatrix.from_dense(basis, atoms.numbers, ours)
        parts.append(part.values)
        shifts.append(np.tile(np.asarray(cell, dtype=np.int64), (len(part.values), 1)))
    edges = np.tile(all_pairs(len(atoms)), (1, len(parts)))
    all_values, all_shifts = np.concatenate(parts), np.concatenate(shifts)
    rank = canonical_order(edges, all_shifts)
    edges, all_shifts, all_values = edges[:, rank], all_shifts[rank], all_values[rank]
    on_site = (edges[0] == edges[1]) & ~all_shifts.any(axis=1)
    kept = on_site | all_values.any(axis=(1, 2)) if atoms.pbc.any() else np.ones(len(rank), bool)
    numbers = atoms.numbers.astype(np.int64)
    return BlockMatrix(basis, numbers, edges[:, kept], all_shifts[kept], all_values[kept])


def _checked(name: str, values: ArrayLike, size: int, spinor: bool) -> NDArray[Any]:
    """A finite square matrix, real without spin."""
    dense: Any = np.asarray(values)
    if dense.shape != (size, size):
        raise ValueError(
            f"{name} has the shape {dense.shape}, and the shells of these atoms have {size} "
            "orbitals: correct `shells`, or give H without spin."
        )
    if not np.isfinite(dense).all():
        raise ValueError(f"{name} has an element that is not finite: compute it again.")
    if np.iscomplexobj(dense) and not spinor:
        if not np.abs(dense.imag).max() <= IMAGINARY * np.abs(dense).max():
            raise ValueError(f"{name} is complex: set spinor=True, or give H(T), which is real.")
        return dense.real
    return dense


def _dense_order(
    atoms: Atoms, basis: Basis, order: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index and signs (n_ao,) with ``ours = signs * theirs[index]``, atom after atom."""
    indices, signs, start = [], [], 0
    for z in atoms.numbers.tolist():
        of_atom = order_index(order, basis.shells[z])
        indices.append(start + of_atom)
        signs.append(order_signs(order, basis.shells[z]))
        start += len(of_atom)
    index, sign = np.concatenate(indices), np.concatenate(signs)
    if basis.spinor:
        return np.concatenate([index, index + start]), np.tile(sign, 2)
    return index, sign
