"""A `.scfout` of OpenMX 3.9 for tests, array by array."""

import numpy as np
from ase.data import chemical_symbols

from workbench.hamiltonians.conventions import BOHR, HARTREE, SHELL_LETTERS
from workbench.hamiltonians.wigner import harmonics

NAMES = {
    0: [lambda x, y, z: 1 + 0 * x],
    1: [lambda x, y, z: x, lambda x, y, z: y, lambda x, y, z: z],
    2: [
        lambda x, y, z: (3 * z * z - 1) / np.sqrt(12),
        lambda x, y, z: (x * x - y * y) / 2,
        lambda x, y, z: x * y,
        lambda x, y, z: x * z,
        lambda x, y, z: y * z,
    ],
    3: [
        lambda x, y, z: z * (5 * z * z - 3) / np.sqrt(60),
        lambda x, y, z: x * (5 * z * z - 1) / np.sqrt(40),
        lambda x, y, z: y * (5 * z * z - 1) / np.sqrt(40),
        lambda x, y, z: z * (x * x - y * y) / 2,
        lambda x, y, z: x * y * z,
        lambda x, y, z: x * (x * x - 3 * y * y) / np.sqrt(24),
        lambda x, y, z: y * (3 * x * x - y * y) / np.sqrt(24),
    ],
}
"""OpenMX's real harmonics by name, without the factor that all of a shell have."""


def fitted(l):
    """(2l+1, 2l+1) U with ``OpenMX's harmonics = U ours``, fitted to their values at 40 points."""
    points = np.random.default_rng(l).normal(size=(40, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    theirs = np.stack([name(*points.T) for name in NAMES[l]], axis=1)
    U = np.linalg.lstsq(harmonics(l, points)[:, l * l :], theirs, rcond=None)[0].T
    return U / np.linalg.norm(U, axis=1, keepdims=True)


def _turned(matrix):
    """Key (i, j, T) -> block in OpenMX's orbitals, (spin, orbital, spin, orbital)."""
    spins, blocks = 2 if matrix.basis.spinor else 1, {}
    for (i, j), T in zip(matrix.edges.T.tolist(), matrix.shifts.tolist(), strict=True):
        turn = []
        for a in (i, j):
            shells = matrix.basis.shells[int(matrix.numbers[a])]
            sizes = np.cumsum([0, *(2 * l + 1 for l in shells)])
            full = np.zeros((sizes[-1], sizes[-1]))
            for l, start in zip(shells, sizes[:-1], strict=True):
                full[start : start + 2 * l + 1, start : start + 2 * l + 1] = fitted(l)
            turn.append(full)
        block = matrix.block(i, j, T)
        a, b = (size // spins for size in block.shape)
        parts = block.reshape(spins, a, spins, b)
        blocks[i, j, tuple(T)] = np.einsum("xa,sate,ye->sxty", turn[0], parts, turn[1])
    return blocks


def write(path, atoms, H, S, level=-4.5, version=3, moments=1, text=None):
    """One run; H in eV, S without spin, and the level in eV."""
    spin = 3 if H.basis.spinor else 0
    of_H, of_S = _turned(H), _turned(S)
    cells = sorted({T for *_, T in of_H}, key=lambda T: (T != (0, 0, 0), T))
    n = len(atoms)
    sizes = [H.basis.n_orbitals(int(z)) for z in atoms.numbers]
    pairs = [
        sorted((k for k in of_H if k[0] == i), key=lambda k: (k != (i, i, (0, 0, 0)), k))
        for i in range(n)
    ]
    order = [key for of_atom in pairs for key in of_atom]

    def four(rows):
        return np.insert(np.asarray(rows, dtype=float), 0, 0.0, axis=1)

    def matrices(part):
        return np.concatenate([np.ascontiguousarray(part(key)).ravel() for key in order])

    def quarter(s, t, kind=np.real):
        return matrices(lambda key: kind(of_H[key][s, :, t]) / HARTREE)

    data = [
        np.array([n, spin + 4 * version, n, 0, 0, len(cells) - 1, moments], "<i4"),
        four(np.array(cells) @ atoms.cell.array / BOHR),
        np.insert(np.array(cells, "<i4"), 0, 0, axis=1).astype("<i4"),
        np.array(sizes, "<i4"),
        np.array([len(of_atom) - 1 for of_atom in pairs], "<i4"),
        np.array([j + 1 for _, j, _ in order], "<i4"),
        np.array([cells.index(T) for *_, T in order], "<i4"),
        four(atoms.cell.array / BOHR),
        four(2 * np.pi * np.linalg.inv(atoms.cell.array).T * BOHR),
        four(atoms.positions / BOHR),
        quarter(0, 0),
    ]
    if spin:
        coupling = 0.3 * quarter(0, 1, np.imag)  # OpenMX stores it in two parts
        data += [quarter(1, 1), quarter(0, 1), quarter(0, 1, np.imag) - coupling]
        data += [quarter(0, 0, np.imag), quarter(1, 1, np.imag), coupling]
    overlap = matrices(lambda key: of_S[key][0, :, 0])
    data += [overlap, *[np.zeros_like(overlap)] * (3 * moments + 3 + spin + 1 + 2)]
    lines = (input_file(atoms, H.basis) if text is None else text).split("\n")
    data += [
        np.array([3], "<i4"),
        np.array([level / HARTREE, *[0.0] * 9]),
        np.array([len(lines)], "<i4"),
    ]
    padded = b"".join(f"{line}\n".encode().ljust(256, b"\0")[:256] for line in lines)
    path.write_bytes(b"".join(np.ascontiguousarray(part).tobytes() for part in data) + padded)
    return path


def input_file(atoms, basis):
    """The lines that OpenMX reads, with what the reader needs."""
    species = []
    for z in dict.fromkeys(atoms.numbers.tolist()):
        shells = basis.shells[z]
        name = "".join(f"{SHELL_LETTERS[l]}{shells.count(l)}" for l in sorted(set(shells)))
        symbol = chemical_symbols[z]
        species.append(f" {symbol}  {symbol}6.0-{name}  {symbol}_PBE19")
    rows = [
        f"  {k}  {symbol}  {x:.6f} {y:.6f} {z:.6f}  2.0 2.0"
        for k, (symbol, (x, y, z)) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1)
    ]
    return "\n".join(
        [
            "System.Name   test",
            "<Definition.of.Atomic.Species",
            *species,
            "Definition.of.Atomic.Species>",
            "Atoms.SpeciesAndCoordinates.Unit   Ang # Ang|AU",
            "<Atoms.SpeciesAndCoordinates",
            *rows,
            "Atoms.SpeciesAndCoordinates>",
        ]
    )
