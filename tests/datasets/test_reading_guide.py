"""A stranger unpacks matrices with h5py and numpy alone, by the words of the header."""

import json

import h5py
import numpy as np
import pytest

import workbench as wb
from tests.support.crystal import integrals, sheet
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.hamiltonians.block_matrix import BlockMatrix

WORDS = {"samples", "hamiltonian", "overlap", "elements", "orbitals", "harmonics"}


def opened(path):
    """All arrays, and the header."""
    arrays: dict[str, np.ndarray] = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset) and item.shape:
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
        text = np.asarray(file["header"]).item().decode()
    return arrays, json.loads(text)


def rows(arrays, name, k):
    low, high = arrays[f"{name}/offset"][k : k + 2]
    return arrays[f"{name}/values"][low:high]


def orbitals(header, number):
    """(l, m) of each orbital of an atom."""
    shells = header["basis"]["shells"][str(number)]
    return [(l, m) for l in shells for m in range(-l, l + 1)]


def triangle(numbers):
    n = int((np.sqrt(8 * len(numbers) + 1) - 1) / 2)
    matrix = np.zeros((n, n), numbers.dtype)
    matrix[np.triu_indices(n)] = numbers
    return matrix + np.triu(matrix, 1).conj().T


def harmonic(l, m, r):
    """Sign and zeros of the real harmonics as the header lists them."""
    x, y, z = r
    p, d = (y, z, x), (x * y, y * z, 3 * z * z - r @ r, x * z, x * x - y * y)
    return {0: (1.0,), 1: p, 2: d}[l][m + l]


def test_a_molecule(tmp_path):
    """S between oxygen's orbitals and hydrogen's s has the sign of the harmonics at hydrogen."""
    water = wb.rotate(wb.load("water"), wb.rotation((1, 2, 3), 50))
    made = wb.reference(water, basis="6-31g*", xc="hf")
    write(tmp_path / "a.h5", [Sample(water, made.H, 0.0, 10, 0, made.S)] * 2, {}, {})
    arrays, header = opened(tmp_path / "a.h5")
    assert header["how_to_read"].keys() == WORDS
    assert "integer in hamiltonian/values * step" in header["how_to_read"]["hamiltonian"]
    H = triangle(rows(arrays, "hamiltonian", 1) * header["step"])
    S = triangle(rows(arrays, "overlap", 1))
    assert np.abs(H - made.H.dense()).max() <= header["step"]
    assert np.abs(S - made.S.dense()).max() < 1e-12
    numbers, positions = (rows_of(arrays, name, 1) for name in ("numbers", "positions"))
    assert numbers.tolist() == [8, 1, 1]
    oxygen = orbitals(header, 8)
    for l, m in ((1, -1), (1, 0), (1, 1), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2)):
        row = oxygen.index((l, m))
        expected = harmonic(l, m, positions[1] - positions[0])
        assert abs(expected) > 0.01
        assert np.sign(S[row, len(oxygen)]) == np.sign(expected)


def rows_of(arrays, name, k):
    low, high = arrays["atoms/offset"][k : k + 2]
    return arrays[f"atoms/{name}"][low:high]


def test_spinors(tmp_path):
    atoms = wb.load("HF")
    made = wb.reference(atoms, basis="crenbl", xc="hf", spin_orbit=True)
    write(tmp_path / "a.h5", [Sample(atoms, made.H, 0.0, 10, 0, made.S)], {}, {})
    arrays, header = opened(tmp_path / "a.h5")
    assert header["how_to_read"].keys() == WORDS | {"spin", "complex"}
    real, imaginary = np.split(rows(arrays, "hamiltonian", 0) * header["step"], 2)
    H, S = triangle(real + 1j * imaginary), triangle(rows(arrays, "overlap", 0))
    assert np.abs(H - made.H.dense()).max() <= 2 * header["step"]
    assert np.abs(np.kron(np.eye(2), S) - made.S.dense()).max() < 1e-12


@pytest.mark.parametrize("spinor", [False, True])
def test_a_crystal_whose_shells_are_not_sorted(spinor, tmp_path):
    """By the header the orbitals of a block come by ascending l, whatever the atom's own order."""
    atoms = sheet()
    scalar = wb.Basis("own", {6: (1, 0)})
    T = integrals(atoms, "int1e_kin", "sto-3g", 5.0)  # shells 0, 0, 1: take the last two
    values = T.values[:, 1:, 1:]
    H = BlockMatrix(scalar, T.numbers, T.edges, T.shifts, values)
    H = H.with_spin() if spinor else H
    write(tmp_path / "a.h5", [Sample(atoms, H, 0.0, 8, 0)], {}, {})
    arrays, header = opened(tmp_path / "a.h5")
    assert header["basis"]["shells"] == {"6": [1, 0]}
    ascending = sorted(orbitals(header, 6), key=lambda orbital: orbital[0])
    n = len(ascending) * (2 if spinor else 1)
    numbers = rows(arrays, "hamiltonian", 0) * header["step"]
    if spinor:
        real, imaginary = np.split(numbers, 2)
        numbers = real + 1j * imaginary
    pairs = rows(arrays, "pairs", 0)
    blocks = numbers.reshape(len(pairs), n, n)
    k = np.array([0.1, 0.2, 0.0])
    at_k = np.zeros((2 * n, 2 * n), complex)
    for (i, j, *cell), block in zip(pairs.tolist(), blocks, strict=True):
        at = slice(i * n, (i + 1) * n), slice(j * n, (j + 1) * n)
        at_k[at] += np.exp(2j * np.pi * (k @ cell)) * block
        if i != j or any(cell):  # the partner (j, i, -T)
            at_k[at[1], at[0]] += np.exp(-2j * np.pi * (k @ cell)) * block.conj().T
    expected = np.linalg.eigvalsh(H.at_k(k))
    np.testing.assert_allclose(np.linalg.eigvalsh(at_k), expected, atol=1e-6)
    first = ascending.index((1, -1)), ascending.index((0, 0))
    row = next(p for p, (i, j, *_) in enumerate(pairs.tolist()) if i != j)
    i, j, *cell = pairs[row].tolist()
    block = H.block(i, j, cell)  # in the atom's own order: p before s
    assert blocks[row][first] == pytest.approx(block[0, 3], abs=2e-8)


def test_files_without_the_words_are_read():
    with wb.Dataset("water") as water:
        assert len(water) == 1600
