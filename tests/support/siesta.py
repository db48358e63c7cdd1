"""SIESTA and Wannier90 files for tests, written with sisl or directly in their format."""

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_matrix

from workbench.hamiltonians.wigner import harmonics


def fitted(l):
    """(2l+1, 2l+1) U with ``sisl's harmonics = U ours``, fitted to their values at 40 points."""
    import sisl

    points = np.random.default_rng(l).normal(size=(40, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    radial = np.linspace(0, 2, 9), np.ones(9)
    theirs = [
        sisl.AtomicOrbital(n=l + 1, l=l, m=m, spherical=radial, R=2.0).psi(points)
        for m in range(-l, l + 1)
    ]
    U = np.linalg.lstsq(harmonics(l, points)[:, l * l :], np.transpose(theirs), rcond=None)[0].T
    return U / np.linalg.norm(U, axis=1, keepdims=True)


def geometry(atoms, basis, reach, label=None):
    """Sisl's geometry, with the quantum numbers of every orbital."""
    import sisl

    species = {}
    for z, shells in basis.shells.items():
        orbitals, zeta = [], {}
        for l in shells:
            zeta[l] = zeta.get(l, 0) + 1
            orbitals += [
                sisl.AtomicOrbital(n=l + 1, l=l, m=m, zeta=zeta[l], R=4.0) for m in range(-l, l + 1)
            ]
        species[z] = sisl.Atom(z, orbitals, tag=label)
    lattice = sisl.Lattice(atoms.cell.array, nsc=2 * np.asarray(reach) + 1)
    return sisl.Geometry(atoms.positions, [species[z] for z in atoms.numbers], lattice=lattice)


def sparse(matrix, place, part=lambda block: block):
    """One component of our matrix in SIESTA's orbitals: (orbitals, cells x orbitals)."""
    turn = {z: block_diag(*map(fitted, shells)) for z, shells in matrix.basis.shells.items()}
    starts, full = matrix.offsets, np.zeros((place.no, place.no * place.n_s))
    for (i, j), T in zip(matrix.edges.T, matrix.shifts, strict=True):
        left, right = (turn[int(matrix.numbers[a])] for a in (i, j))
        block = left @ part(matrix.block(i, j, T)) @ right.T
        at = place.no * place.sc_index(T) + starts[j]
        full[starts[i] : starts[i + 1], at : at + block.shape[1]] = block
    return csr_matrix(np.where(np.abs(full) < 1e-14, 0, full))


def hamiltonian(atoms, H, S, spin="unpolarized", label=None):
    """Our matrices as sisl's Hamiltonian; S without spin, None for orthogonal orbitals."""
    import sisl

    place = geometry(atoms, H.basis, np.abs(H.shifts).max(axis=0), label)
    # The imaginary part of the down-up block has the sign that sisl's Hamiltonian stores.
    parts = {
        "unpolarized": [lambda b: b],
        "polarized": [lambda b: b, lambda b: 1.1 * b],
        "non-collinear": [_real(0, 0), _real(1, 1), _real(0, 1), _imaginary(0, 1)],
        "spin-orbit": [
            *(_real(0, 0), _real(1, 1), _real(0, 1), _imaginary(0, 1)),
            *(_imaginary(0, 0), _imaginary(1, 1), _real(1, 0), _imaginary(1, 0)),
        ],
    }[spin]
    components = [sparse(H, place, part) for part in parts]
    overlap = None if S is None else sparse(S, place)
    return sisl.Hamiltonian.fromsp(place, components, overlap, spin=spin)


def _quarter(row, column):
    def cut(block):
        a, b = (n // 2 for n in block.shape)
        return block[row * a : (row + 1) * a, column * b : (column + 1) * b]

    return cut


def _real(row, column):
    return lambda block: _quarter(row, column)(block).real


def _imaginary(row, column):
    return lambda block: _quarter(row, column)(block).imag


def wannier(folder, seed, cell, cells, weights, matrices, kind="hr", win=True):
    """A Wannier90 Hamiltonian.

    Args:
        folder, seed: of the files.
        cell: (3, 3) A.
        cells: (n, 3) cell of each matrix; weights: (n,) degeneracies, by which readers divide.
        matrices: (n, orbitals, orbitals) eV, complex.
        kind: "hr" or "tb"; win: whether to write the .win file as well.
    """
    n = len(matrices[0])
    lines = (
        ["written by a test", *(_row(v) for v in cell)] if kind == "tb" else ["written by a test"]
    )
    lines += [str(n), str(len(cells))]
    lines += ["".join(f"{w:5d}" for w in weights[k : k + 15]) for k in range(0, len(weights), 15)]
    for T, weight, matrix in zip(cells, weights, matrices, strict=True):
        lines += ["", "".join(f"{t:5d}" for t in T)] if kind == "tb" else []
        before = "" if kind == "tb" else "".join(f"{t:5d}" for t in T)
        for column in range(n):
            for row in range(n):
                h = weight * matrix[row, column]
                lines.append(f"{before}{row + 1:5d}{column + 1:5d} {h.real:.15e} {h.imag:.15e}")
    path = folder / f"{seed}_{kind}.dat"
    path.write_text("\n".join(lines) + "\n")
    if win:
        rows = "\n".join(_row(v) for v in cell)
        (folder / f"{seed}.win").write_text(
            f"num_wann = {n}\nbegin unit_cell_cart\nAng\n{rows}\nend unit_cell_cart\n"
        )
    return path


def _row(vector):
    return " ".join(f"{x:.12f}" for x in vector)
