"""ABACUS runs for tests, in the layouts that ABACUS writes."""

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_matrix
from scipy.special import sph_harm_y

from workbench.hamiltonians.conventions import BOHR, HARTREE, SHELL_LETTERS
from workbench.hamiltonians.wigner import harmonics

SECTION = "#" + "-" * 70 + "#"


def theirs(l, points):
    """(n, 2l+1) ABACUS's real harmonics of unit vectors (n, 3): m = 0, 1, -1, 2, -2, ...

    They are sqrt(2) times the real and the imaginary part of the complex ones with the
    Condon-Shortley phase.
    """
    x, y, z = points.T
    theta, phi = np.arccos(z), np.arctan2(y, x)
    columns = [sph_harm_y(l, 0, theta, phi).real]
    for m in range(1, l + 1):
        complex_one = np.sqrt(2) * sph_harm_y(l, m, theta, phi)
        columns += [complex_one.real, complex_one.imag]
    return np.stack(columns, axis=1)


def fitted(l):
    """(2l+1, 2l+1) U with ``ABACUS's harmonics = U ours``, fitted to their values at 40 points."""
    points = np.random.default_rng(l).normal(size=(40, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ours = harmonics(l, points)[:, l * l :]
    U = np.linalg.lstsq(ours, theirs(l, points), rcond=None)[0].T
    return U / np.linalg.norm(U, axis=1, keepdims=True)


def dense(matrix):
    """Cell -> matrix in ABACUS's orbitals, with spin 2a up and 2a + 1 down."""
    turn = {z: block_diag(*map(fitted, shells)) for z, shells in matrix.basis.shells.items()}
    spins = 2 if matrix.basis.spinor else 1
    n, starts = spins * matrix.offsets[-1], spins * matrix.offsets
    cells = {}
    for (i, j), T in zip(matrix.edges.T, matrix.shifts.tolist(), strict=True):
        left, right = (np.kron(np.eye(spins), turn[int(matrix.numbers[a])]) for a in (i, j))
        block = left @ matrix.block(i, j, T) @ right.T
        a, b = (size // spins for size in block.shape)
        mixed = block.reshape(spins, a, spins, b).transpose(1, 0, 3, 2).reshape(block.shape)
        full = cells.setdefault(tuple(T), np.zeros((n, n), matrix.values.dtype))
        full[starts[i] : starts[i + 1], starts[j] : starts[j + 1]] = mixed
    return cells


def write(
    folder, atoms, H, S, layout="older", level=-4.5, log=True, stru=True, direct=True, zeros=False
):
    """A run: `STRU` in the folder, the matrices and the log in `OUT.ABACUS`.

    Args:
        folder: made if need be.
        atoms: with their positions in the cell; H: eV; S: with spin for spinors.
        layout: "older" or "newer" names and headers of the matrices.
        level: Fermi level, eV.
        log, stru: whether to write these.
        direct: whether the log has fractions of the lattice vectors.
        zeros: whether to write a cell without elements.

    Returns:
        The path of the Hamiltonian.
    """
    out = folder / "OUT.ABACUS"
    out.mkdir(parents=True, exist_ok=True)
    names = {
        "older": ("data-HR-sparse_SPIN0.csr", "data-SR-sparse_SPIN0.csr"),
        "newer": ("hrs1_nao.csr", "srs1_nao.csr"),
    }[layout]
    scaled = H * (2 / HARTREE)
    for name, matrix, letter in zip(names, (scaled, S), "HS", strict=True):
        (out / name).write_text(csr(dense(matrix), atoms, letter, layout, zeros))
    if log:
        (out / "running_scf.log").write_text(_log(atoms, H.basis, level, direct))
    if stru:
        (folder / "STRU").write_text(_stru(atoms, H.basis))
    return out / names[0]


def csr(cells, atoms, letter="H", layout="older", zeros=False):
    """The text of one matrix."""
    n, found = len(next(iter(cells.values()))), []
    newer = layout == "newer"
    labels = ("# CSR values", "# CSR column indices", "# CSR row pointers")
    for T, full in sorted(cells.items()):
        kept = csr_matrix(np.where(np.abs(full) > 1e-10, full, 0))
        rows = [_values(kept.data), _integers(kept.indices), _integers(kept.indptr)]
        text = [f" {T[0]} {T[1]} {T[2]} {kept.nnz}"]
        for label, row in zip(labels, rows, strict=True):
            text += [f" {label}", row] if newer else [row]
        found.append("\n".join(text))
    if zeros:
        empty = ["", _integers([0] * (n + 1))]
        found.append(f" 9 9 9 0\n {labels[0]}\n{empty[0]}\n {labels[2]}\n{empty[1]}")
    head = [
        "STEP: 0",
        f"Matrix Dimension of {letter}(R): {n}",
        f"Matrix number of {letter}(R): {len(found)}",
    ]
    if newer:
        head = [
            " --- Ionic Step 1 ---",
            f" # print {letter} matrix in real space {letter}(R)",
            " 1 # number of spin directions",
            " 1 # spin index",
            f" {n} # number of localized basis",
            f" {len(found)} # number of Bravais lattice vector R",
            "",
            *_cell(atoms),
            f" {SECTION}",
            " #                             CSR Format                               #",
            " # (Rx, Ry, Rz), followed by the number of non-zero elements.           #",
            f" {SECTION}",
            "",
        ]
    return "\n".join([*head, *found]) + "\n"


def _values(data):
    if np.iscomplexobj(data):
        return "".join(f" ({v.real:.8e},{v.imag:.8e})" for v in data)
    return "".join(f" {v:.8e}" for v in data)


def _integers(numbers):
    return "".join(f" {k}" for k in numbers)


def _species(atoms):
    """Symbol and positions of the atoms of each species, which stand one after the other."""
    symbols = list(dict.fromkeys(atoms.symbols))
    return {s: [k for k, other in enumerate(atoms.symbols) if other == s] for s in symbols}


def _cell(atoms):
    """The structure in the header of newer versions."""
    rows = [" ".join(f"{x:.8g}" for x in row) for row in atoms.cell.array / (2 * BOHR)]
    species = _species(atoms)
    scaled = atoms.get_scaled_positions(wrap=False)
    places = [" ".join(f"{x:.12g}" for x in scaled[k]) for ks in species.values() for k in ks]
    counts = " ".join(str(len(ks)) for ks in species.values())
    return [
        " user_defined_lattice",
        f" {2 * BOHR:.8g}",
        *(f" {row}" for row in rows),
        f" {' '.join(species)}",
        f" {counts}",
        " Direct",
        *(f" {place}" for place in places),
        "",
    ]


def _log(atoms, basis, level, direct):
    constant = 2.0  # Bohr
    lines = [
        " READING UNITCELL INFORMATION",
        f"                                    ntype = {len(_species(atoms))}",
        f"                  lattice constant (Bohr) = {constant}",
        f"              lattice constant (Angstrom) = {constant * BOHR:.6g}",
    ]
    for number, (symbol, atoms_of) in enumerate(_species(atoms).items(), 1):
        shells = basis.shells[atoms.numbers[atoms_of[0]]]
        lines += [
            "",
            f" READING ATOM TYPE {number}",
            f"                               atom label = {symbol}",
            *(
                f"                      L={l}, number of zeta = {shells.count(l)}"
                for l in sorted(set(shells))
            ),
            f"             number of atom for this type = {len(atoms_of)}",
        ]
    unit = constant * BOHR
    table = atoms.get_scaled_positions(wrap=False) if direct else atoms.positions / unit
    title = "DIRECT COORDINATES"
    if not direct:
        title = f"CARTESIAN COORDINATES ( UNIT = {constant:20.12f} Bohr )."
    lines += [f"\n TOTAL ATOM NUMBER = {len(atoms)}", title, "    atom   x   y   z     mag"]
    kind = "taud" if direct else "tauc"
    for symbol, atoms_of in _species(atoms).items():
        for number, k in enumerate(atoms_of, 1):
            place = "".join(f"{x:20.10f}" for x in table[k])
            lines.append(f"{kind}_{symbol}{number}{place}  0.0000  0.0000  0.0000  0.0000")
    lines += ["", " Lattice vectors: (Cartesian coordinate: in unit of a_0)"]
    lines += ["".join(f"{x:+20.8g}" for x in row) for row in atoms.cell.array / unit]
    lines += [
        " LATTICE VECTORS: (CARTESIAN COORDINATE: IN UNIT OF A0)",
        *["            +1            +0            +0"] * 3,
        " SETUP K-POINTS",
        "                                    nspin = 1",
        "K-POINTS DIRECT COORDINATES",
        " KPOINTS    DIRECT_X    DIRECT_Y    DIRECT_Z  WEIGHT",
        "       1  0.00000000  0.00000000  0.00000000  0.0010",
        "",
        f" EFERMI = {level} eV",
        "",
    ]
    return "\n".join(lines)


def _stru(atoms, basis):
    species = _species(atoms)
    names = []
    for symbol, atoms_of in species.items():
        shells = basis.shells[atoms.numbers[atoms_of[0]]]
        name = "".join(f"{shells.count(l)}{SHELL_LETTERS[l]}" for l in sorted(set(shells)))
        names.append(f"{symbol}_gga_7au_100Ry_{name}.orb")
    lines = ["ATOMIC_SPECIES", *(f"{s} 1.0 {s}_ONCV_PBE-1.0.upf" for s in species)]
    lines += ["", "NUMERICAL_ORBITAL", *names, "", "LATTICE_CONSTANT", "2.0 // Bohr", ""]
    lines += ["LATTICE_VECTORS"]
    lines += ["  ".join(f"{x:.15f}" for x in row) for row in atoms.cell.array / (2 * BOHR)]
    lines += ["", "ATOMIC_POSITIONS", "Direct # fractions"]
    for symbol, atoms_of in species.items():
        lines += ["", symbol, "0.0", str(len(atoms_of))]
        scaled = atoms.get_scaled_positions(wrap=False)
        lines += [" ".join(f"{x:.15f}" for x in scaled[k]) + " 1 1 1" for k in atoms_of]
    return "\n".join(lines) + "\n"
