"""Molecules with PySCF: closed-shell Kohn-Sham or Hartree-Fock in any basis that PySCF knows.

By default no density fitting, an unpruned integration grid and a tight threshold on the orbital
gradient: a label must obey `H' = D H D^T` far below the error of any model. Hartree-Fock does so to
1e-10, Kohn-Sham to the noise of the grid (water, PBE/def2-SVP, grid 4: 0.005 uEh on average).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.engines import Cycles, Engine, Grid, Reference, SCFError, Threshold
from workbench.engines.pyscf_library import PYSCF_VERSION, BasisNotFoundError, dft, gto, scf
from workbench.engines.two_grid_scf import converge
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import AO_TO_M, BOHR, HARTREE
from workbench.structures.loading import electron_count, require_closed_shell, validate

__all__ = [
    "BASIS",
    "ENGINE",
    "SCFError",
    "ao_order",
    "basis_of",
    "check_known",
    "electrons",
    "has_functions",
    "mean_field",
    "method",
    "mole",
    "not_converged",
    "overlap",
    "reference",
    "solver",
]

BASIS = "def2-svp"
"""The basis unless another is asked for."""

_SAME = 1e-9  # largest difference of two overlaps in the same functions


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    grid: Grid = 4,
    *,
    conv_tol: Threshold = 1e-10,
    conv_tol_grad: Threshold = 1e-8,
    max_cycle: Cycles = 100,
    density_fitting: bool = False,
) -> Reference:
    """Solve a closed-shell molecule self-consistently and return its matrices.

    Args:
        atoms: a molecule, positions in A; `info["charge"]` in e (absent: 0).
        basis: any basis name of PySCF, by default `BASIS`; elements beyond Kr get its effective
            core potential if the basis comes with one.
        xc: functional by its name in PySCF (libxc), or "hf" for Hartree-Fock.
        grid: PySCF's level 0 to 9 of the integration grid, which is not pruned; unused by "hf".
        conv_tol: largest change of the energy in the last cycle, Hartree.
        conv_tol_grad: norm of the orbital gradient, Hartree. The error of the Fock matrix is of
            this order (that of the energy is of its square): 1e-8 leaves about 0.002 uEh.
        max_cycle: largest number of cycles.
        density_fitting: take the Coulomb integrals from a fitted density, in PySCF's auxiliary
            basis. With 20 atoms this takes less than half the time; the error of H is 0.4 to 1 uEh
            on average and 20 to 40 uEh in the largest element (molecules of H, C, N, O;
            PBE/def2-SVP).

    Returns:
        H in eV, S, the energy in eV and the method.

    Raises:
        StructureError: a structure that makes no sense or has unpaired electrons.
        ValueError: a crystal, an unknown basis, functional or grid.
        SCFError: no convergence.
    """
    basis = basis or BASIS
    field = solver(atoms, basis, xc, grid, density_fitting=density_fitting)
    field.conv_tol, field.conv_tol_grad, field.max_cycle = conv_tol, conv_tol_grad, max_cycle
    solved = None if _is_hf(xc) else converge(field, conv_tol_grad)
    if solved is None:
        energy = field.kernel()
        solved = (field.get_fock(), float(energy)) if field.converged else None
    if solved is None:
        raise not_converged(atoms, basis, xc, max_cycle)
    shells = basis_of(basis, atoms.numbers)
    order, numbers = ao_order(field.mol), atoms.numbers
    fock = solved[0][np.ix_(order, order)] * HARTREE
    return Reference(
        atoms=atoms.copy(),
        H=BlockMatrix.from_dense(shells, numbers, (fock + fock.T) / 2),
        S=BlockMatrix.from_dense(shells, numbers, field.get_ovlp()[np.ix_(order, order)]),
        energy=solved[1] * HARTREE,
        n_electrons=int(field.mol.nelectron),
        method=method(basis, xc, grid, conv_tol, conv_tol_grad, density_fitting=density_fitting),
    )


def solver(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 4,
    *,
    density_fitting: bool = False,
) -> Any:
    """PySCF's own solver object, RHF or RKS with the unpruned grid, checked but not yet run.

    Arguments and errors as of `reference`. Nothing is computed, so this also checks a job in
    advance.
    """
    molecule = mole(require_closed_shell(validate(atoms)), basis or BASIS)
    field = mean_field(molecule, xc, grid, scf.RHF, dft.RKS)
    return field.density_fit() if density_fitting else field


def mean_field(
    molecule: gto.Mole,
    xc: str,
    grid: int,
    hartree_fock: Callable[..., Any],
    kohn_sham: Callable[..., Any],
) -> Any:
    """A Hartree-Fock solver of PySCF, or a Kohn-Sham solver with an unpruned grid.

    Args:
        molecule: from `mole`.
        xc: functional, or "hf" for the Hartree-Fock solver.
        grid: level 0 to 9; unused by "hf".
        hartree_fock, kohn_sham: PySCF's classes, e.g. `scf.RHF` and `dft.RKS`.

    Raises:
        ValueError: for an unknown functional or grid.
    """
    if _is_hf(xc):
        return hartree_fock(molecule)
    try:
        if not any(dft.libxc.parse_xc(xc)[1]):  # an empty name parses to no functional at all
            raise KeyError(xc)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"libxc knows no functional {xc!r}: use e.g. 'pbe', 'b3lyp', or 'hf' for Hartree-Fock."
        ) from error
    if grid not in range(10):
        raise ValueError(f"The grid level is {grid}; it must be a whole number from 0 to 9.")
    field = kohn_sham(molecule, xc=xc)
    field.grids.level, field.grids.prune = grid, None
    return field


def not_converged(atoms: Atoms, basis: str, xc: str, max_cycle: int) -> SCFError:
    """The error of a self-consistent field that did not converge in `max_cycle` cycles."""
    return SCFError(
        f"The self-consistent field of {atoms.get_chemical_formula()} ({xc}/{basis}) did not "
        f"converge in {max_cycle} cycles: check the geometry and the charge, raise max_cycle, "
        "or try xc='hf'."
    )


def method(
    basis: str | None,
    xc: str,
    grid: int = 4,
    conv_tol: float = 1e-10,
    conv_tol_grad: float = 1e-8,
    *,
    density_fitting: bool = False,
) -> dict[str, Any]:
    """The JSON-able record of the method that `reference` uses with these arguments."""
    restricted = {"method": "RHF"} if _is_hf(xc) else {"method": "RKS", "functional": xc.lower()}
    integration = {} if _is_hf(xc) else {"grid_level": grid, "grid_pruning": "none"}
    return {
        **restricted,
        "basis": (basis or BASIS).lower(),
        **integration,
        "density_fitting": density_fitting,
        "conv_tol_hartree": conv_tol,
        "conv_tol_grad_hartree": conv_tol_grad,
        "program": "PySCF",
        "version": PYSCF_VERSION,
    }


def xc_of(method: Mapping[str, Any]) -> str:
    """The argument `xc` of a recorded method, "hf" or its functional; a ValueError without."""
    functional = "hf" if method.get("method") in ("RHF", "GHF") else method.get("functional")
    if functional is None:
        raise ValueError("The functional of these data is not on record: use data of `label`.")
    return functional


def _again(atoms: Atoms, method: Mapping[str, Any]) -> Reference:
    return reference(
        atoms,
        method["basis"],
        xc_of(method),
        method.get("grid_level", 4),
        density_fitting=method.get("density_fitting", False),
    )


def _check(
    atoms: Atoms,
    basis: str | None,
    xc: str,
    grid: int = 4,
    density_fitting: bool = False,
    **_thresholds: object,
) -> None:
    solver(atoms, basis, xc, grid, density_fitting=density_fitting)


def overlap(atoms: Atoms, basis: Basis) -> BlockMatrix:
    """The exact overlap matrix of a molecule; for spinors `kron(1_2, S)`. Takes milliseconds.

    Args:
        atoms: a molecule, positions in A. Charge and spin do not matter.
        basis: one of PySCF's: its name, and the shells that PySCF has for it.

    Raises:
        ValueError: if PySCF's basis of that name has other shells, or lacks an element.

    The overlap is equivariant, ``S(R x) = D S(x) D^T``, and each orbital is normalised:

    >>> water, R = wb.load("water"), wb.rotation((1, 1, 0), 30)
    >>> basis = wb.reference(water, basis="sto-3g", xc="hf").S.basis
    >>> S = wb.overlap(water, basis)
    >>> (wb.overlap(wb.rotate(water, R), basis) - S.rotate(R)).max_abs() < 1e-12
    True
    >>> np.allclose(np.diag(S.dense()), 1)
    True
    """
    check_known(basis, atoms.numbers)
    molecule = mole(atoms, basis.name, electrons=False)
    order = ao_order(molecule)
    dense = molecule.intor_symmetric("int1e_ovlp")[np.ix_(order, order)]
    spin = np.eye(2) if basis.spinor else np.eye(1)
    return BlockMatrix.from_dense(basis, atoms.numbers, np.kron(spin, dense))


def has_functions(atoms: Atoms, S: BlockMatrix) -> bool:
    """Whether PySCF has the functions with this overlap, under the name of its basis.

    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> has_functions(water.atoms, water.S), has_functions(water.atoms, 1.01 * water.S)
    (True, False)
    """
    try:
        return bool((overlap(atoms, S.basis) - S).max_abs() <= _SAME)
    except ValueError:  # no basis of this name, other shells, or a crystal
        return False


def check_known(basis: Basis, numbers: Iterable[int]) -> None:
    """Raise a ValueError unless PySCF has this basis for these elements, shell for shell."""
    basis.check(numbers)
    known = basis_of(basis.name, numbers)
    if any(known.shells[z] != basis.shells[z] for z in known.elements):
        raise ValueError(
            f"PySCF's {basis.name} has other shells than this basis, so its integrals cannot be "
            "computed here: store the overlap with the data, and train with guess='none'."
        )


def electrons(atoms: Atoms, basis: str) -> int:
    """Number of electrons of a molecule outside the effective core potentials of a basis.

    Raises:
        ValueError: for an unknown basis, or an element that it lacks.

    >>> electrons(wb.load("water"), "sto-3g")
    10
    """
    uncharged = mole(atoms, basis, electrons=False)
    return electron_count(atoms) - int(atoms.numbers.sum() - uncharged.atom_charges().sum())


def basis_of(name: str, elements: Iterable[int]) -> Basis:
    """The shells (l of each) of some elements (atomic numbers) in a basis of PySCF.

    Raises:
        ValueError: for a name unknown to PySCF or an element that the basis lacks.

    >>> basis_of("def2-svp", [8]).shells
    {8: (0, 0, 0, 1, 1, 2)}
    """
    return _basis_of(name.lower(), tuple(sorted({int(z) for z in elements})))


@lru_cache(maxsize=256)
def _basis_of(name: str, elements: tuple[int, ...]) -> Basis:
    return Basis(name, {z: _shells(mole(Atoms([z]), name, electrons=False)) for z in elements})


def mole(atoms: Atoms, basis: str, *, electrons: bool = True) -> gto.Mole:
    """PySCF's molecule of these atoms.

    Args:
        atoms: no periodic direction; positions in A.
        basis: name.
        electrons: False for one-electron integrals only, which do not depend on the charge.

    Raises:
        ValueError: for a crystal, an unknown basis, or an element that the basis lacks.
    """
    if atoms.pbc.any():
        raise ValueError("This is a crystal (pbc is set): for a molecule set atoms.pbc = False.")
    # Converted to Bohr with ASE's constant: PySCF's own differs in the tenth digit.
    numbers, positions = tuple(atoms.numbers.tolist()), atoms.positions / BOHR
    if not electrons:
        cached: Any = _uncharged(basis.lower(), numbers)
        return cached.set_geom_(positions, unit="Bohr", inplace=False)
    charge, spin = (int(atoms.info.get(name, 0)) for name in ("charge", "spin"))
    return _molecule(basis.lower(), numbers, positions, charge, spin)


@lru_cache(maxsize=64)
def _uncharged(basis: str, numbers: tuple[int, ...]) -> gto.Mole:
    """Cached molecule whose coordinates are then replaced: building one is 30x slower than that."""
    line = np.arange(len(numbers))[:, None] * np.ones(3)
    return _molecule(basis, numbers, line, charge=0, spin=None)


def _molecule(
    basis: str, numbers: tuple[int, ...], positions: NDArray[Any], charge: int, spin: int | None
) -> gto.Mole:
    """PySCF's molecule of atoms at positions (N, 3) in Bohr."""
    symbols = [chemical_symbols[z] for z in numbers]
    table = {s: _element(basis, s) for s in set(symbols)}
    molecule = gto.Mole(
        atom=list(zip(symbols, positions.tolist(), strict=True)),
        unit="Bohr",
        basis={s: shells for s, (shells, _) in table.items()},
        ecp={s: core for s, (_, core) in table.items() if core},
        charge=charge,
        spin=spin,
        verbose=0,
    )
    return molecule.build(dump_input=False, parse_arg=False)


def ao_order(molecule: gto.Mole) -> NDArray[np.intp]:
    """Index (n_ao,) from PySCF's orbital order to ours (m = -l..l): `ours = theirs[index]`."""
    return _order(_shells(molecule)).copy()


@lru_cache(maxsize=256)
def _order(shells: tuple[int, ...]) -> NDArray[np.intp]:
    starts = np.cumsum([0, *(2 * l + 1 for l in shells)])
    return np.concatenate(
        [
            start + np.asarray(AO_TO_M["pyscf"].get(l, range(2 * l + 1)))
            for l, start in zip(shells, starts[:-1], strict=True)
        ]
    ).astype(np.intp)


def _shells(molecule: gto.Mole) -> tuple[int, ...]:
    """The l of each shell in PySCF's order; a contracted set counts once per contraction."""
    angular, counts = molecule._bas[:, gto.ANG_OF], molecule._bas[:, gto.NCTR_OF]
    return tuple(np.repeat(angular, counts).tolist())


@lru_cache(maxsize=1024)
def _element(basis: str, symbol: str) -> tuple[list[Any], list[Any]]:
    """PySCF's tables for one element: the shells, and the effective core potential or []."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySCF advertises another package for each missing entry
        try:
            shells = gto.basis.load(basis, symbol)
        except (BasisNotFoundError, KeyError, OSError) as error:
            raise ValueError(
                f"PySCF has no basis {basis!r} for {symbol}: use a name of its list, e.g. "
                "'def2-svp' or 'sto-3g'."
            ) from error
        try:
            core = gto.basis.load_ecp(basis, symbol)
        except (RuntimeError, KeyError, OSError):
            core = []
    return shells, core


def _is_hf(xc: str) -> bool:
    return xc.strip().lower() in ("hf", "rhf")


ENGINE = Engine("pyscf", reference, _again, _check, method)
