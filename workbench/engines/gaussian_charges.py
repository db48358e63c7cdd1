"""The Hamiltonian of an electron among nuclei and spherical Gaussian charges.

The integrals over all pairs of orbitals and all charges grow with the cube of the number of atoms,
but in a large molecule most of them vanish or are those of a point charge. Orbitals a and b on two
atoms and a charge c, with the exponents alpha, beta and gamma of their widest Gaussians, obey

    |S_ab|                          <~  exp(-d^2 / (1/alpha + 1/beta))     d: atoms of a and b
    |(ab|c) - (ab|point charge)|    <~  exp(-d^2 / (1/alpha + 1/gamma))    d: atoms of a and c

for any beta: the inverses of the exponents add up along the way from a over the product to c
(Gaussian product theorem; Helgaker, Jorgensen and Olsen, Molecular Electronic-Structure Theory,
2000, section 9.2). Integrals below 1e-17 are omitted, and a charge whose difference to a point
charge is below 1e-17 is added to the charge of its nucleus.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import KDTree

from workbench.engines.pyscf_library import df, gto, lib, scf
from workbench.hamiltonians.conventions import BOHR

__all__ = ["Charges", "hamiltonian", "repulsion"]

Charges = list[list[tuple[tuple[float, ...], tuple[float, ...]]]]
"""Of each atom its spherical charges: exponents of their Gaussians (1/Bohr^2), and the charge in
each Gaussian (e)."""

_NEGLIGIBLE = 1e-17

_BYTES_AT_ONCE = 1 << 27
"""Memory for integrals: those of a larger molecule are computed atom by atom, which is slower in a
small one."""


def hamiltonian(molecule: gto.Mole, atoms: Atoms, charges: Charges) -> NDArray[np.float64]:
    """Matrix (n_ao, n_ao) of T + V_nuc + V_ecp + charges, Hartree, in PySCF's order.

    Args:
        molecule: the orbitals and the nuclei.
        atoms: the same atoms, A.
        charges: of each atom.
    """
    if 4 * molecule.nao**2 * len(atoms) <= _BYTES_AT_ONCE:
        repelling = lib.unpack_tril(repulsion(molecule, atoms, charges).sum(axis=-1))
        return scf.hf.get_hcore(molecule) + repelling
    result = molecule.intor_symmetric("int1e_kin")
    if molecule.has_ecp():
        result += molecule.intor_symmetric("ECPscalar")
    for rows, columns, block in _rows(molecule, atoms, charges):
        result[rows[:, None], columns] += block
        later = columns[len(rows) :]  # the first columns are the rows
        result[later[:, None], rows] += block.T[len(rows) :]
    return result


def repulsion(molecule: gto.Mole, atoms: Atoms, charges: Charges) -> NDArray[np.float64]:
    """Repulsion integrals (pairs of orbitals, charges), Hartree, lower triangle, PySCF's order.

    Args:
        molecule: the orbitals.
        atoms: those that bear the charges, A.
        charges: of each of these atoms.
    """
    return df.incore.aux_e2(molecule, _bearers(atoms, charges), "int3c2e", aosym="s2ij")


def _rows(
    molecule: gto.Mole, atoms: Atoms, charges: Charges
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Of each atom: its orbitals, those of all near atoms from it on, and their block, Hartree."""
    places = KDTree(atoms.positions / BOHR)
    widest = min(molecule.bas_exp(shell).min() for shell in range(molecule.nbas))
    softest = min(e for of_atom in charges for exponents, _ in of_atom for e in exponents)
    orbitals_reach, charges_reach = _reach(widest, widest), _reach(widest, softest)
    integrals = _Integrals.of(molecule, atoms, charges)
    first_shells, last_shells, first, last = molecule.aoslice_by_atom().T
    of_nucleus = molecule.atom_charges().astype(float)
    as_points = of_nucleus - [sum(sum(q) for _, q in of_atom) for of_atom in charges]
    for atom, place in enumerate(places.data):
        near = np.sort(places.query_ball_point(place, orbitals_reach))
        soft = np.sort(places.query_ball_point(place, charges_reach))
        nuclei = as_points.copy()
        nuclei[soft] = of_nucleus[soft]
        near = near[near >= atom]
        shells = _ranges(first_shells[near], last_shells[near])
        block = integrals.block(shells, last_shells[atom] - first_shells[atom], soft, nuclei)
        yield np.arange(first[atom], last[atom]), _ranges(first[near], last[near]), block


class _Integrals(NamedTuple):
    """The tables of orbitals, nuclei and charges as libcint reads them.

    Attributes:
        atm: of nuclei, and of the atoms as bearers of charges.
        orbitals: of each shell of orbitals.
        charges: of each atom, which bears one contracted shell.
        env: the numbers that the tables point to; the nuclei's charges are its last.
    """

    atm: NDArray[np.int32]
    orbitals: NDArray[np.int32]
    charges: NDArray[np.int32]
    env: NDArray[np.float64]

    @classmethod
    def of(cls, molecule: gto.Mole, atoms: Atoms, charges: Charges) -> _Integrals:
        bearers = _bearers(atoms, charges)
        atm, bas, env = gto.conc_env(
            *(molecule._atm, molecule._bas, molecule._env),
            *(bearers._atm, bearers._bas, bearers._env),
        )
        n = len(atoms)
        atm[:n, gto.NUC_MOD_OF] = gto.NUC_FRAC_CHARGE
        atm[:n, gto.PTR_FRAC_CHARGE] = len(env) + np.arange(n)
        env = np.concatenate([env, np.zeros(n)])
        return cls(atm, bas[: molecule.nbas], bas[molecule.nbas :], env)

    def block(
        self,
        shells: NDArray[np.intp],
        rows: int,
        soft: NDArray[np.intp],
        nuclei: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Potential between the first shells and all of them, Hartree.

        Args:
            shells: indices of shells.
            rows: number of the first ones.
            soft: atoms whose Gaussian charges count.
            nuclei: (atoms,) charges of the nuclei, with those charges that act as points.
        """
        self.env[-len(nuclei) :] = nuclei
        bas = np.concatenate([self.orbitals[shells], self.charges[soft]])
        bra_ket = (0, rows, 0, len(shells))
        atm = self.atm[: len(nuclei)]
        attraction = gto.moleintor.getints(
            "int1e_nuc_sph", atm, bas[: len(shells)], self.env, bra_ket
        )
        all_three = (*bra_ket, len(shells), len(bas))
        repelling = gto.moleintor.getints("int3c2e_sph", self.atm, bas, self.env, all_three)
        return attraction + repelling.sum(axis=-1)


def _reach(one: float, other: float) -> float:
    """Distance in Bohr from which on two Gaussians count as apart; exponents in 1/Bohr^2."""
    return float(np.sqrt(-np.log(_NEGLIGIBLE) * (1 / one + 1 / other)))


def _ranges(first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.intp]:
    """All numbers of several ranges, one range after the other."""
    return np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])


def _bearers(atoms: Atoms, charges: Charges) -> gto.Mole:
    """A molecule whose s functions are the charges."""
    exponents = np.array([e for of_atom in charges for es, _ in of_atom for e in es])
    amounts = np.array([q for of_atom in charges for _, qs in of_atom for q in qs])
    # libcint multiplies an s function by 1 / sqrt(4 pi); these heights make its integral `amounts`.
    heights = amounts / (2 * np.sqrt(np.pi) * gto.gaussian_int(2, exponents))
    start = gto.PTR_ENV_START + 3 * len(atoms)
    places = atoms.positions.ravel() / BOHR
    table, rows, offset = [], [], 0
    for atom, of_atom in enumerate(charges):
        rows.append([0, gto.PTR_ENV_START + 3 * atom, 0, 0, 0, 0])
        for es, _ in of_atom:
            first = start + offset
            table.append([atom, 0, len(es), 1, 0, first, first + len(exponents), 0])
            offset += len(es)
    bearers = gto.Mole(verbose=0)
    bearers._atm = np.array(rows, dtype=np.int32)
    bearers._bas = np.array(table, dtype=np.int32)
    bearers._env = np.concatenate([np.zeros(gto.PTR_ENV_START), places, exponents, heights])
    bearers._built = True
    return bearers
