"""Databases in the layouts of QH9, nablaDFT and SchNOrb's MD17, written from PySCF calculations.

Orbitals are put into each program's order here by their names, independently of the workbench.
"""

import pickle
import sqlite3
from base64 import b64encode
from functools import lru_cache
from typing import Any

import numpy as np
from ase.build import molecule
from ase.db import connect
from pyscf import gto, scf

from workbench.hamiltonians.conventions import BOHR

_OUTWARDS = {
    "s": [""],
    "p": ["z", "x", "y"],
    "d": ["z^2", "xz", "yz", "x2-y2", "xy"],
}
"""Names of the orbitals of a shell with m = 0, 1, -1, 2, -2: ORCA's and Psi4's order."""


class Calculation:
    """A Hartree-Fock calculation: numbers, positions in Bohr, and matrices in Hartree.

    Attributes:
        numbers, positions: (N,) and (N, 3).
        H, S, core: (n_ao, n_ao) Fock matrix, overlap and core Hamiltonian in PySCF's order.
        outwards: index of PySCF's orbitals in the order of ORCA and Psi4.
    """

    def __init__(self, atoms, basis="def2svp"):
        self.atoms = atoms
        self.numbers, self.positions = atoms.numbers, atoms.positions / BOHR
        mol = gto.M(
            atom=list(zip(atoms.symbols, self.positions, strict=True)),
            basis=basis,
            unit="Bohr",
            verbose=0,
        )
        field = scf.RHF(mol).run(conv_tol=1e-12)
        self.H, self.S, self.core = field.get_fock(), field.get_ovlp(), field.get_hcore()
        self.energy = field.e_tot
        labels = mol.ao_labels(fmt=False)  # atom, symbol, "2p", "x"
        self.outwards = [labels.index(label) for label in _sorted_outwards(labels)]

    def in_order_of_orca(self, matrix):
        """The matrix in the order of ORCA and Psi4."""
        return matrix[np.ix_(self.outwards, self.outwards)]


def _sorted_outwards(labels):
    """The labels, each shell in the order m = 0, 1, -1, 2, -2; shells stay where they are."""
    shells = list(dict.fromkeys(label[:3] for label in labels))
    return [(*shell, name) for shell in shells for name in _OUTWARDS[shell[2][-1]]]


SHELLS = {1: (0, 0, 1), 6: (0, 0, 0, 1, 1, 2), 7: (0, 0, 0, 1, 1, 2), 8: (0, 0, 0, 1, 1, 2)}
"""The shells of def2-SVP."""

NAMES = ("H2O", "CH3OH", "HCN")


@lru_cache
def calculations():
    """One for each of `NAMES`, in an orientation without symmetry."""
    return [Calculation(atoms) for atoms in structures()]


def structures():
    """The molecules of `NAMES`, displaced and rotated."""
    found = [molecule(name) for name in NAMES]
    for k, atoms in enumerate(found):
        atoms.rattle(0.02, seed=k)
        atoms.rotate(50 + 30 * k, (1, 2, 3))
    return found


def changed(path, table, column, value, row=1):
    """Write a value into one row of a database."""
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
    connection.commit()
    connection.close()


def _database(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    return connection


def qh9_stable(path, found):
    """`QH9Stable.db`: positions in A."""
    connection = _database(
        path,
        "CREATE TABLE IF NOT EXISTS data (id INTEGER NOT NULL PRIMARY KEY,  N INTEGER, Z BLOB, "
        "pos BLOB, Ham BLOB)",
    )
    rows = [(k, *_qh9(c, c.positions * BOHR)) for k, c in enumerate(found)]
    connection.executemany("INSERT INTO data (id, N, Z, pos, Ham) VALUES (?,?,?,?,?)", rows)
    connection.commit()
    connection.close()
    return path


def qh9_dynamic(path, trajectories, converged=1):
    """`QH9Dynamic_300k.db`: positions in Bohr, and the molecule's number as eight bytes."""
    connection = _database(
        path,
        "CREATE TABLE IF NOT EXISTS data (id INTEGER NOT NULL, geo_id INTEGER NOT NULL, "
        "N INTEGER, Z BLOB, pos BLOB, ekin FLOAT, epot FLOAT, etot FLOAT, time FLOAT, Ham BLOB, "
        "converged INT)",
    )
    for number, geometries in enumerate(trajectories):
        for k, c in enumerate(geometries):
            count, numbers, positions, H = _qh9(c, c.positions)
            identity, energies = np.int64(number).tobytes(), (0.1, c.energy, c.energy + 0.1)
            connection.execute(
                "INSERT INTO data VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (identity, k, count, numbers, positions, *energies, 50.0 * k, H, converged),
            )
    connection.commit()
    connection.close()
    return path


def qh9_lmdb(folder, database, protocol=4):
    """What QH9's own scripts make of its database: one pickled dictionary a row."""
    import lmdb

    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT * FROM data").fetchall()
    connection.close()
    with lmdb.open(str(folder), map_size=1 << 30) as environment:
        for k, row in enumerate(rows):
            columns = {0: "id", 1: "num_nodes", 2: "atoms", 3: "pos", 4: "Ham"}
            if len(row) > len(columns):
                columns = {0: "id", 1: "geo_id", 2: "num_nodes", 3: "atoms", 4: "pos", 9: "Ham"}
            record = {name: row[column] for column, name in columns.items()}
            if isinstance(record["id"], bytes):
                record["id"] = int(np.frombuffer(record["id"], np.int64)[0])
            key = (k if "geo_id" in record else record["id"]).to_bytes(4, "big")
            with environment.begin(write=True) as transaction:
                transaction.put(key, pickle.dumps(record, protocol))
    return folder / "data.mdb"


def _qh9(c, positions):
    numbers = c.numbers.astype("<i4").tobytes()
    return len(c.numbers), numbers, positions.astype("<f8").tobytes(), c.H.astype("<f8").tobytes()


def nabladft(path, conformers, with_ids=True):
    """A Hamiltonian database of nablaDFT: (molecule's number, calculation) for each row."""
    connection = _database(
        path,
        "CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, Z BLOB, R BLOB, E FLOAT, F BLOB, "
        "H BLOB, S BLOB, C BLOB)",
        "CREATE TABLE dataset_ids (id INTEGER NOT NULL PRIMARY KEY, MOSES_ID INT, "
        "CONFORMER_ID INT)",
        "CREATE TABLE basisset (Z INTEGER NOT NULL PRIMARY KEY, orbitals BLOB)",
        "CREATE TABLE metadata (id INTEGER PRIMARY KEY, N INTEGER)",
    )
    for k, (number, c) in enumerate(conformers):
        matrices = [c.in_order_of_orca(m).astype("<f4").tobytes() for m in (c.H, c.S, c.core)]
        forces = np.zeros((len(c.numbers), 3), "<f4").tobytes()
        numbers, positions = c.numbers.astype("<i4"), c.positions.astype("<f4")
        connection.execute(
            "INSERT INTO data VALUES (?,?,?,?,?,?,?,?)",
            (k, numbers.tobytes(), positions.tobytes(), c.energy, forces, *matrices),
        )
        connection.execute("INSERT INTO dataset_ids VALUES (?,?,?)", (k, number, k))
    if not with_ids:
        connection.execute("DROP TABLE dataset_ids")
    connection.commit()
    connection.close()
    return path


def basis_definition(shells):
    """`basisdef` of SchNOrb: for each atomic number and orbital (index, kind, n, l, m)."""
    most = max(sum(2 * l + 1 for l in of_element) for of_element in shells.values())
    table = np.zeros((max(shells) + 1, most, 5), dtype=int)
    for z, of_element in shells.items():
        orbitals, seen = [], {}
        for l in of_element:
            seen[l] = seen.get(l, 0) + 1
            ms = [0, *(sign * m for m in range(1, l + 1) for sign in (1, -1))]
            orbitals += [(0, seen[l] + l, l, m) for m in ms]
        table[z, : len(orbitals), 0] = np.arange(len(orbitals))
        table[z, : len(orbitals), 1:] = np.reshape(orbitals, (-1, 4))
    return table.tolist()


def schnorb(path, found, as_text=False, definition=None):
    """A database of SchNOrb's MD17, matrices with six digits as ORCA prints them."""
    database: Any = connect(str(path), type="db")
    with database:
        for c in found:
            data = {"energy": np.array([c.energy]), "forces": np.zeros_like(c.positions)}
            for name, matrix in {"hamiltonian": c.H, "overlap": c.S}.items():
                array = np.round(c.in_order_of_orca(matrix), 6).astype("<f4")
                data[name] = array
                if as_text:
                    data[name] = b64encode(array.tobytes()).decode()
                    data |= {f"_shape_{name}": array.shape, f"_dtype_{name}": "float32"}
            database.write(c.atoms, data=data)
        database.metadata = {"basisdef": definition or basis_definition(SHELLS)}
    return path
