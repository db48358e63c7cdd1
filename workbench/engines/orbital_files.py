"""Orbitals and densities for other programs: Molden files and cube files, written by PySCF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import numpy as np
from ase import Atoms

from workbench.engines.molecular_orbitals import (
    MolecularOrbitals,
    molecular_orbitals,
    to_pyscf_order,
)
from workbench.engines.pyscf_library import cubegen, molden
from workbench.engines.warm_start import WithMethod, hamiltonian_of
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.populations import density_matrix
from workbench.storage.atomic_write import atomic_path
from workbench.storage.value_checks import Range, check_arguments

__all__ = ["write_cube", "write_molden"]


def write_molden(path: str | os.PathLike[str], atoms: Atoms, H: BlockMatrix | WithMethod) -> Path:
    """Write the orbitals of a Hamiltonian as a Molden file, which most viewers read.

    The file holds the geometry, the basis, all orbitals, their energies in Hartree and their
    occupations. It appears complete or not at all; an existing file is replaced.

    Args:
        path: of the file, by custom `.molden`.
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, without spin, in one of PySCF's bases; or a `Prediction` or a `Reference`.

    Returns:
        The path.

    Raises:
        ValueError: for a crystal, other atoms, spinors, a basis that is not PySCF's, or functions
            with l above 4, which the format lacks.
        WritingError: if the file cannot be written.

    >>> water = wb.load("water")
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = wb.write_molden(f"{folder}/water.molden", water, H)
    ...     print(path.read_text().splitlines()[0])
    [Molden Format]
    """
    matrix = hamiltonian_of(H)
    found = _orbitals(atoms, matrix)
    if (highest := max(max(matrix.basis.shells[z]) for z in atoms.numbers.tolist())) > _MOST_L:
        raise ValueError(
            f"The basis {matrix.basis.name} has functions with l = {highest}, and Molden files "
            f"have none above {_MOST_L}: use a smaller basis, or a cube file."
        )
    back = to_pyscf_order(found.molecule)
    occupations = np.where(np.arange(matrix.n_ao) < found.n_occupied, 2.0, 0.0)
    with atomic_path(Path(path)) as temporary:
        molden.from_mo(
            found.molecule,
            str(temporary),
            found.coefficients[back],
            ene=found.energies / HARTREE,
            occ=occupations,
        )
    return Path(path)


_MOST_L = 4  # of the format: [5D], [7F], [9G]


def write_cube(
    path: str | os.PathLike[str],
    atoms: Atoms,
    H: BlockMatrix | WithMethod,
    show: int | str = "density",
    points: Annotated[int, Range(2, 1000)] = 80,
) -> Path:
    """Write an orbital or the electron density of a Hamiltonian on a grid, as a Gaussian cube file.

    The box reaches 3 Bohr beyond the atoms. The file appears complete or not at all; an existing
    file is replaced.

    Args:
        path: of the file, by custom `.cube`.
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, without spin, in one of PySCF's bases; or a `Prediction` or a `Reference`.
        show: "density" (electrons per Bohr^3), "homo", "lumo", or the number of an orbital, from 0
            (Bohr^(-3/2)).
        points: of the grid, along each axis.

    Returns:
        The path.

    Raises:
        ValueError: for a crystal, other atoms, spinors, a basis that is not PySCF's, or an orbital
            that does not exist.
        WritingError: if the file cannot be written.

    >>> water = wb.load("water")
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> import tempfile
    >>> from ase.io.cube import read_cube_data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = wb.write_cube(f"{folder}/homo.cube", water, H, "homo", points=20)
    ...     read_cube_data(path)[0].shape
    (20, 20, 20)
    """
    check_arguments(write_cube, {"points": points})
    found = _orbitals(atoms, hamiltonian_of(H))
    back, size = to_pyscf_order(found.molecule), {"nx": points, "ny": points, "nz": points}
    if show == "density":
        density = density_matrix(found.occupied)[np.ix_(back, back)]
        with atomic_path(Path(path)) as temporary:
            cubegen.density(found.molecule, str(temporary), density, **size)
        return Path(path)
    orbital = found.coefficients[back, _number(show, found)]
    with atomic_path(Path(path)) as temporary:
        cubegen.orbital(found.molecule, str(temporary), orbital, **size)
    return Path(path)


def _orbitals(atoms: Atoms, H: BlockMatrix) -> MolecularOrbitals:
    """The orbitals of a Hamiltonian without spin."""
    if H.basis.spinor:
        raise ValueError("A spinor is no function of these files: give a Hamiltonian without spin.")
    return molecular_orbitals(atoms, H)


def _number(show: int | str, found: MolecularOrbitals) -> int:
    """The orbital that a word or a number names."""
    count, words = len(found.energies), {"homo": found.n_occupied - 1, "lumo": found.n_occupied}
    number = words.get(show, -1) if isinstance(show, str) else show
    if type(number) is not int or not 0 <= number < count:
        raise ValueError(
            f"There is no orbital {show!r} to write: choose 'density', 'homo', 'lumo' (if one is "
            f"empty) or a number from 0 to {count - 1}."
        )
    return number
