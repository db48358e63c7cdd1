"""Properties from a Hamiltonian, true or predicted: of a molecule its levels, charges and moments.

Everything follows from ``H c = eps S c``, the number of electrons and a few integrals. No
self-consistent field is run, so a property of a predicted Hamiltonian has the error of the
prediction. Properties of a self-consistent Hamiltonian are those that its program prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.engines import Grid, Mesh, Overlap, Reference, Width
from workbench.engines.dipole import core_charges, dipole_moment, dipole_origin
from workbench.engines.dispatch import overlap_of
from workbench.engines.fock import total_energy as energy_of
from workbench.engines.level_of_theory import level_of_theory
from workbench.engines.pyscf_molecules import has_functions, xc_of
from workbench.engines.warm_start import WithMethod, hamiltonian_of
from workbench.evaluation.crystal_properties import CrystalProperties, crystal_properties
from workbench.hamiltonians.bands import LEAST
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import occupied_count, solve
from workbench.hamiltonians.populations import bond_orders, density_matrix, loewdin, mulliken
from workbench.models.prediction import Prediction
from workbench.storage.value_checks import Range, check_arguments
from workbench.structures.loading import require_closed_shell, require_same_atoms

__all__ = ["MoleculeProperties", "properties"]

_BOND = 0.1  # smallest bond order that is listed
_MOVED = 1e-4  # A; positions in files are rounded by less


@dataclass(frozen=True, eq=False)
class MoleculeProperties:
    """Properties of a closed-shell molecule, from its Hamiltonian.

    Attributes:
        level_of_theory: of the Hamiltonian, in a few words; empty if it is not known.
        n_electrons: number of electrons, without those of effective core potentials.
        orbital_energies: (n_ao,) eV, ascending. Of spinors, which hold one electron each, they are
            the spin-orbit levels and come in Kramers pairs.
        n_occupied: number of occupied orbitals.
        density_matrix: (n_ao, n_ao) in the order of ``H.dense()``; complex for spinors.
        mulliken_charges: (N,) e; None if the charges of the cores are not known.
        loewdin_charges: (N,) e; None as before.
        dipole: (3,) dipole moment, Debye; None if the integrals are not known.
        dipole_origin: (3,) A: the centre of mass of an ion. Zero for a neutral molecule, whose
            dipole moment does not depend on it.
        bond_orders: (N, N) Mayer's bond orders; the diagonal is zero.
        total_energy: eV, of the density, by one Fock step; None if it was not asked for.
        missing: name of a property that is None -> why.
    """

    level_of_theory: str
    n_electrons: int
    orbital_energies: NDArray[np.float64]
    n_occupied: int
    density_matrix: NDArray[Any]
    mulliken_charges: NDArray[np.float64] | None
    loewdin_charges: NDArray[np.float64] | None
    dipole: NDArray[np.float64] | None
    dipole_origin: NDArray[np.float64]
    bond_orders: NDArray[np.float64]
    total_energy: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def homo(self) -> float:
        """Energy of the highest occupied orbital, eV."""
        return float(self.orbital_energies[self.n_occupied - 1])

    @property
    def lumo(self) -> float | None:
        """Energy of the lowest unoccupied orbital, eV; None if all orbitals are occupied."""
        if self.n_occupied == len(self.orbital_energies):
            return None
        return float(self.orbital_energies[self.n_occupied])

    @property
    def gap(self) -> float | None:
        """LUMO minus HOMO, eV; None without a LUMO."""
        return None if self.lumo is None else self.lumo - self.homo

    def bonds(self, least: float = _BOND) -> list[tuple[int, int, float]]:
        """Pairs of atoms i < j, counted from 0, with a bond order of at least `least`."""
        i, j = np.nonzero(np.triu(self.bond_orders >= least, 1))
        return [(int(a), int(b), float(self.bond_orders[a, b])) for a, b in zip(i, j, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """JSON-able; keys carry units. Bond orders below 0.1 and the density matrix are left out.

        >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
        >>> wb.properties(ref.atoms, ref).to_json()["bond_orders"]
        [[0, 1, 0.95...], [0, 2, 0.95...]]
        """
        result: dict[str, Any] = {
            "level_of_theory": self.level_of_theory,
            "electrons": self.n_electrons,
            "orbital_energies_ev": self.orbital_energies.tolist(),
            "occupied_orbitals": self.n_occupied,
            "homo_ev": self.homo,
            "lumo_ev": self.lumo,
            "gap_ev": self.gap,
            "mulliken_charges_e": _listed(self.mulliken_charges),
            "loewdin_charges_e": _listed(self.loewdin_charges),
            "dipole_debye": _listed(self.dipole),
            "dipole_origin_angstrom": self.dipole_origin.tolist(),
            "bond_orders": [list(bond) for bond in self.bonds()],
            "total_energy_ev": self.total_energy,
        }
        return result | ({"missing": dict(self.missing)} if self.missing else {})


def properties(
    atoms: Atoms,
    H: BlockMatrix | WithMethod,
    S: BlockMatrix | None = None,
    n_electrons: Annotated[int, Range(1, 10**7)] | None = None,
    *,
    total_energy: bool = False,
    xc: str | None = None,
    grid: Grid | None = None,
    mesh: Mesh | None = None,
    energies: ArrayLike | None = None,
    width: Width = 0.1,
) -> MoleculeProperties | CrystalProperties:
    """Properties from a Hamiltonian: levels, charges, dipole moment, bond orders; or bands' edges.

    Args:
        atoms: a closed-shell molecule (`info["charge"]` in e), or a crystal.
        H: eV. A `Prediction` or a `Reference` also says its level of theory, a `Reference` its
            overlap and its number of electrons too.
        S: overlap; by default that of the reference, or computed in the basis of H.
        n_electrons: that H describes, of a crystal per cell; by default what is known of them.
        total_energy: molecules: also the total energy, by one Fock step, which takes seconds.
        xc: functional of the total energy, by default that of H; "hf" for Hartree-Fock.
        grid: level of PySCF's integration grid for the total energy, by default that of H, or 4;
            level 1 is several times faster.
        mesh: crystals: numbers of k-points; by default at most 0.25/A apart.
        energies: crystals: (n,) eV, where the density of states is wanted; by default everywhere.
        width: crystals: standard deviation of the Gaussians of the density of states, eV.

    Returns:
        `MoleculeProperties`, or `CrystalProperties` for a crystal.

    Raises:
        ValueError: for a Hamiltonian of other atoms, no known overlap or number of electrons, a
            total energy of a crystal or without a functional, and as `solve`.
        StructureError: for a molecule with unpaired electrons.

    >>> water = wb.load("water")
    >>> found = wb.properties(water, wb.load_model("water").predict(water))
    >>> round(found.gap, 1), round(float(np.linalg.norm(found.dipole)), 1)  # eV, Debye
    (6.9, 2.0)
    >>> np.round(found.mulliken_charges, 1)  # O, H, H
    array([-0.3,  0.1,  0.1])
    """
    given = {"n_electrons": n_electrons, "grid": grid, "mesh": mesh, "width": width}
    check_arguments(properties, given)
    matrix = hamiltonian_of(H)
    method: Mapping[str, Any] = {} if isinstance(H, BlockMatrix) else H.method
    _require_same_structure(atoms, H, matrix)
    if atoms.pbc.any():
        if total_energy:
            raise ValueError(
                "The total energy is computed for molecules only, since a Fock step of a crystal "
                "is as costly as its calculation: omit total_energy."
            )
        S, electrons = _overlap_and_electrons(atoms, H, S, n_electrons)
        # In nearly dependent combinations of orbitals an error of a prediction is magnified.
        least = LEAST if isinstance(H, Prediction) else 0.0
        return crystal_properties(
            matrix,
            S,
            atoms,
            electrons,
            level_of_theory(method),
            mesh=mesh,
            energies=energies,
            width=width,
            least=least,
        )
    require_closed_shell(atoms)
    functional = _functional(xc, method) if total_energy else None
    S, electrons = _overlap_and_electrons(atoms, H, S, n_electrons)
    if grid is not None:
        method = {**method, "grid_level": grid}
    return _of_molecule(atoms, matrix, S, electrons, method, functional)


def _require_same_structure(atoms: Atoms, H: BlockMatrix | WithMethod, matrix: BlockMatrix) -> None:
    require_same_atoms(atoms, matrix)
    made_for = H.atoms if isinstance(H, Reference) else None
    if made_for is not None and not np.allclose(made_for.positions, atoms.positions, atol=_MOVED):
        raise ValueError(
            "The reference belongs to other positions of these atoms: pass the structure for which "
            "it was computed, e.g. reference.atoms."
        )


def _functional(xc: str | None, method: Mapping[str, Any]) -> str:
    """The functional of a total energy."""
    if xc is not None:
        return xc
    try:
        return xc_of(method)
    except ValueError as error:
        raise ValueError(
            "The functional of the Hamiltonian is not known, and the total energy needs it: give "
            "it with xc='pbe' or another name."
        ) from error


def _overlap_and_electrons(
    atoms: Atoms, H: BlockMatrix | WithMethod, S: BlockMatrix | None, n_electrons: int | None
) -> tuple[BlockMatrix, int]:
    """What was given, else what a reference says, else what the program of the basis says."""
    if isinstance(H, Reference):
        S = H.S if S is None else S
        n_electrons = (H.n_electrons or None) if n_electrons is None else n_electrons
    if S is None or n_electrons is None:
        found = _computed(atoms, H, S)
        S, n_electrons = found.S, found.n_electrons if n_electrons is None else n_electrons
    if n_electrons is None:
        raise ValueError(
            "The number of electrons that H describes is not known: give it as n_electrons."
        )
    return S, n_electrons


def _computed(atoms: Atoms, H: BlockMatrix | WithMethod, S: BlockMatrix | None) -> Overlap:
    """The overlap in the basis of H; a given one stays."""
    method: Mapping[str, Any] = {} if isinstance(H, BlockMatrix) else H.method
    try:
        found = overlap_of(atoms, hamiltonian_of(H), method)
    except (ValueError, RuntimeError) as error:
        if S is not None:
            return Overlap(S)
        reason = str(error).partition(":")[0].rstrip(".")
        raise ValueError(
            f"Properties need the overlap, and there is none ({reason}): give it as S."
        ) from error
    return found if S is None else Overlap(S, found.n_electrons)


def _of_molecule(
    atoms: Atoms,
    H: BlockMatrix,
    S: BlockMatrix,
    n_electrons: int,
    method: Mapping[str, Any],
    functional: str | None,
) -> MoleculeProperties:
    n_occupied = occupied_count(H, n_electrons)
    orbital_energies, C = solve(H, S)
    P = density_matrix(C[:, :n_occupied], H.basis.spinor)
    known = has_functions(atoms, S)
    cores = _cores(atoms, S, n_electrons, known)
    if functional is not None and not known:
        raise ValueError(
            f"PySCF does not have the functions of the basis {H.basis.name}, so the total energy "
            "cannot be computed: omit total_energy."
        )
    return MoleculeProperties(
        level_of_theory=level_of_theory(method),
        n_electrons=n_electrons,
        orbital_energies=orbital_energies,
        n_occupied=n_occupied,
        density_matrix=P,
        mulliken_charges=None if cores is None else cores - mulliken(P, S),
        loewdin_charges=None if cores is None else cores - loewdin(P, S),
        dipole=_dipole(atoms, H, P, method) if known and cores is not None else None,
        dipole_origin=dipole_origin(atoms),
        bond_orders=bond_orders(P, S),
        total_energy=None if functional is None else _energy(atoms, H, functional, method),
        missing=_missing(H, known, cores is not None),
    )


def _cores(
    atoms: Atoms, S: BlockMatrix, n_electrons: int, known: bool
) -> NDArray[np.float64] | None:
    """The charges (N,) of the nuclei with their core electrons, e; None if they are not known."""
    total = n_electrons + int(atoms.info.get("charge", 0))
    candidates = [atoms.numbers.astype(float)]
    if known:
        candidates.append(core_charges(atoms, S.basis.name))
    return next((cores for cores in candidates if round(cores.sum()) == total), None)


def _dipole(
    atoms: Atoms, H: BlockMatrix, P: NDArray[Any], method: Mapping[str, Any]
) -> NDArray[np.float64]:
    return dipole_moment(atoms, H.basis, P, str(method.get("relativity", "ecp")))


def _energy(atoms: Atoms, H: BlockMatrix, xc: str, method: Mapping[str, Any]) -> float:
    """The total energy with the settings that a method records."""
    return energy_of(
        atoms,
        H,
        xc,
        int(method.get("grid_level", 4)),
        density_fitting=bool(method.get("density_fitting", False)),
        relativity=str(method.get("relativity", "ecp")),
    )


def _missing(H: BlockMatrix, known: bool, has_cores: bool) -> dict[str, str]:
    """Why properties are missing."""
    no_cores = (
        "the number of electrons fits neither all electrons nor PySCF's core potentials at the "
        "charge of the structure"
    )
    result = dict[str, str]()
    if not has_cores:
        result |= dict.fromkeys(("mulliken_charges", "loewdin_charges", "dipole"), no_cores)
    if not known:
        result["dipole"] = f"PySCF does not have the functions of the basis {H.basis.name}"
    return result


def _listed(values: NDArray[np.float64] | None) -> list[float] | None:
    return None if values is None else values.tolist()
