"""Matrices of a crystal for tests: two-centre integrals, block by block, not summed over images."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene
from ase.neighborlist import neighbor_list
from pyscf import gto

import workbench as wb
from workbench.engines import pyscf_crystals
from workbench.engines.pyscf_molecules import ao_order, basis_of
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import BOHR, HARTREE
from workbench.hamiltonians.pairs import canonical_order
from workbench.hamiltonians.rotations import rotation
from workbench.hamiltonians.wigner import wigner_d

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def quickly_trained(config, path):
    """A model with untrained features and solved readouts, after three steps of stage 2."""
    how = wb.TrainConfig(
        stage1=wb.Budget(steps=0), stage2=wb.Budget(steps=3), batch_size=2, learning_rate=2e-3
    )
    with wb.Dataset(path) as dataset:
        *_, last = wb.train(config, dataset, how)
    return last.model


def sheet() -> Atoms:
    """Stretched graphene, rotated out of the coordinate planes so that no element vanishes.

    Stretched, because at the real distances the diffuse orbitals are nearly linearly dependent.
    """
    atoms = graphene(a=3.3, vacuum=7.0)
    atoms.pbc = True
    R = rotation((1, 2, 3), 50)
    atoms.set_cell(atoms.cell.array @ R.T, scale_atoms=True)
    return atoms


def integrals(atoms, kind, basis="def2-svp", cutoff=8.0) -> BlockMatrix:
    """PySCF's two-centre integrals ("int1e_ovlp", "int1e_kin") between a cell and its images."""
    shells = basis_of(basis, atoms.numbers)
    i, j, T = neighbor_list("ijS", atoms, cutoff)
    n = len(atoms)
    edges = np.concatenate([np.tile(np.arange(n), (2, 1)), np.stack([i, j])], axis=1)
    shifts = np.concatenate([np.zeros((n, 3), dtype=np.int64), T.astype(np.int64)])
    values = []
    for (a, b), shift in zip(edges.T, shifts, strict=True):
        positions = [atoms.positions[a], atoms.positions[b] + shift @ atoms.cell.array]
        symbols = [atoms.symbols[a], "ghost-" + atoms.symbols[b]]
        pair = gto.M(
            atom=list(zip(symbols, np.array(positions) / BOHR, strict=True)),
            basis=basis,
            unit="Bohr",
            spin=None,
            verbose=0,
        )
        order = ao_order(pair)
        dense = pair.intor(kind)[np.ix_(order, order)]
        n_rows = shells.n_orbitals(int(atoms.numbers[a]))
        block = np.zeros((shells.dim, shells.dim))
        rows, columns = (shells.slots(int(atoms.numbers[k])) for k in (a, b))
        block[np.ix_(rows, columns)] = dense[:n_rows, n_rows:]
        values.append(block)
    numbers = atoms.numbers.astype(np.int64)
    rank = canonical_order(edges, shifts)
    return BlockMatrix(shells, numbers, edges[:, rank], shifts[rank], np.array(values)[rank])


def spin_orbit(basis, strength=0.5):
    """(2M, 2M) ``strength sigma.L`` of the padded frame, complex, spin outermost."""
    total = np.zeros((2 * basis.dim, 2 * basis.dim), dtype=complex)
    for axis, sigma in zip(np.eye(3), PAULI, strict=True):
        L = np.zeros((basis.dim, basis.dim), dtype=complex)
        for l, start in zip(basis.layout, basis.shell_starts, strict=True):
            small = wigner_d(l, rotation(axis, 0.01)) - wigner_d(l, rotation(axis, -0.01))
            shell = slice(start, start + 2 * l + 1)
            L[shell, shell] = 1j * small / (2 * np.deg2rad(0.01))
        total += strength * np.kron(sigma, L)
    return total


def with_solver(atoms, **settings):
    """PySCF's reference of a crystal, and the PySCF solver that computed it."""
    solvers = []
    with pytest.MonkeyPatch.context() as patch:
        make = pyscf_crystals.pbc_dft.KRKS
        patch.setattr(
            pyscf_crystals.pbc_dft,
            "KRKS",
            lambda *a, **k: solvers.append(make(*a, **k)) or solvers[0],
        )
        return wb.reference(atoms, **settings), solvers[0]


def with_spin_orbit(atoms, magnetic=0.0):
    """H, eV, and S: kinetic energy plus ``V' sigma.L + h.c.``, which couples neighbours."""
    T, S = (integrals(atoms, kind, "sto-3g", 6.0) for kind in ("int1e_kin", "int1e_ovlp"))
    H, overlap = (T * HARTREE).with_spin(), S.with_spin()
    L = spin_orbit(H.basis, 0.3)
    values = H.values + overlap.values @ L + L @ overlap.values
    if magnetic:  # a field along z breaks time reversal
        values = values + magnetic * np.kron(np.diag([1.0, -1.0]), S.values)
    return replace(H, values=values), overlap
