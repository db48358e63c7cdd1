"""Arrays of a script of one's own in any program's orbital order."""

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from workbench.datasets.validation import across_the_pair, check
from workbench.hamiltonians.conventions import AO_TO_M, order_index, order_signs


@pytest.fixture(scope="module")
def methane():
    """Hartree-Fock of a shaken methane with an f shell on carbon."""
    atoms = wb.load("methane")
    atoms.rattle(0.1, seed=1)
    return wb.reference(atoms, basis="cc-pvtz", xc="hf")


def shells_of(reference):
    return dict(reference.H.basis.shells)


def in_order(matrix, program):
    """A dense matrix as another program would store it."""
    indices, signs, start = [], [], 0
    for z in matrix.numbers.tolist():
        shells = matrix.basis.shells[z]
        indices.append(start + np.argsort(order_index(program, shells)))
        signs.append(order_signs(program, shells))
        start += matrix.basis.n_orbitals(z)
    index, sign = np.concatenate(indices), np.concatenate(signs)
    return (matrix.dense() * sign[:, None] * sign)[np.ix_(index, index)]


@pytest.mark.parametrize("program", sorted(AO_TO_M))
def test_every_program_s_order_and_signs_are_undone(program, methane):
    H, S = (in_order(m, program) for m in (methane.H, methane.S))
    read = wb.from_arrays(methane.atoms, H, S, shells_of(methane), program)
    np.testing.assert_array_equal(read.H.dense(), methane.H.dense())
    np.testing.assert_array_equal(read.S.dense(), methane.S.dense())
    assert check(read.atoms, read.H, read.S).complaint is None


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("pyscf", "m"),
        ("m", "pyscf"),
        ("orca", "psi4"),
        ("siesta", "m"),
        ("openmx", "pyscf"),
        ("fhi-aims", "m"),
        ("abacus", "psi4"),
    ],
)
def test_a_wrong_order_is_detected_by_the_overlap(stored, said, methane):
    """The only direction in an overlap integral is that between its two atoms."""
    H, S = (in_order(m, stored) for m in (methane.H, methane.S))
    read = wb.from_arrays(methane.atoms, H, S, shells_of(methane), said)
    assert "does not rotate with its pairs of atoms" in check(read.atoms, read.H, read.S).complaint


def test_orca_s_order_and_signs_by_name():
    """p: z, x, y; f: m = 0, 1, -1, 2, -2, 3, -3, the last two with the other sign (ORCA)."""
    m = np.array([0, 1, -1, 2, -2, 3, -3])
    for l in (1, 2, 3):
        theirs = m[: 2 * l + 1] * np.where(np.abs(m[: 2 * l + 1]) == 3, -10, 10)
        ours = order_signs("orca", (l,)) * theirs[order_index("orca", (l,))]
        np.testing.assert_array_equal(ours, 10 * np.arange(-l, l + 1))


def test_a_published_overlap_of_fhi_aims():
    """Hydrogen's s s p (rows) and oxygen's s s s p p d (columns) of one water.

    Source: the example `examples/water/water_fhi` of Quoll.jl, whose `rs_overlap.out` FHI-aims
    wrote. Without the signs of m > 0 or with those of SIESTA it is no overlap of these two atoms.
    """
    text = """
    .0638106187 .571174590 -.396663261 .316490977 -.247271706 0 .311280987 -.243222854 0
    0 -.179647871 .0146575639 0 -.114968471
    -.0227627349 -.271399519 .0746250226 .192293142 -.150232322 0 -.102713980 .0802991646 0
    0 -.300357625 .0245063596 0 -.192219883
    -.0919637614 -.0517777752 .405805496 .0255572791 .283548881 0 .313079358 -.0159084205 0
    0 .0716094566 -.216787887 0 -.118692464
    .0718502514 .0404533130 -.317050830 .283549828 .166950687 0 -.0159068239 .305143967 0
    0 .0722428220 -.275890855 0 -.164340760
    0 0 0 0 0 .388484386 0 0 .292719154 -.329038427 0 0 -.257073707 0"""
    S = np.eye(19)
    S[14:, :14] = np.array(text.split(), dtype=float).reshape(5, 14)
    S[:14, 14:] = S[14:, :14].T
    pair = Atoms("OH", [[0, 0, 0.119262], [0, 0.763239, -0.477047]], info={"charge": -1})
    shells = {"O": (0, 0, 0, 1, 1, 2), "H": (0, 0, 1)}
    read = wb.from_arrays(pair, S, S, shells, "fhi-aims")
    assert across_the_pair(read.S, pair) < 1e-4
    for wrong in ("m", "siesta"):
        read = wb.from_arrays(pair, S, S, shells, wrong)
        assert across_the_pair(read.S, pair) > 0.1


def test_a_crystal_is_given_cell_by_cell():
    with wb.Dataset("graphene") as data:
        sample = data[0]
    H, S = sample.H, sample.S
    cells = {tuple(T) for T in H.shifts.tolist()}

    def matrices(matrix):
        result = {}
        for T in cells:
            here = (matrix.shifts == T).all(axis=1)
            dense = np.zeros((matrix.n_ao, matrix.n_ao))
            for (i, j), _ in zip(matrix.edges.T[here], matrix.shifts[here], strict=True):
                rows, columns = (slice(*matrix.offsets[a : a + 2]) for a in (i, j))
                dense[rows, columns] = matrix.block(int(i), int(j), T)
            result[T] = dense
        return result

    read = wb.from_arrays(
        sample.atoms, matrices(H), matrices(S), {6: H.basis.shells[6]}, "m", fermi_level=-2.0
    )
    for k in ((0.0, 0.0, 0.0), (0.1, 0.2, 0.0)):
        np.testing.assert_allclose(read.H.at_k(k), H.at_k(k), atol=1e-12)
        np.testing.assert_allclose(read.S.at_k(k), S.at_k(k), atol=1e-12)
    assert read.fermi_level == -2.0
    assert len(read.H.values) <= len(H.values)  # blocks that are zero everywhere are not kept


def test_spinors_take_the_overlap_with_or_without_spin():
    atoms = wb.load("smiles:[H][H]")
    made = wb.reference(atoms, basis="sto-3g", xc="hf", grid=0)
    H, S = made.H.with_spin(), made.S
    shells = {"H": (0,)}
    for overlap in (S.dense(), S.with_spin().dense()):
        read = wb.from_arrays(atoms, H.dense(), overlap, shells, "m", spinor=True)
        np.testing.assert_array_equal(read.S.dense(), S.with_spin().dense())
        np.testing.assert_array_equal(read.H.dense(), H.dense())


def test_what_does_not_fit_is_refused_in_a_sentence():
    atoms = wb.load("smiles:[H][H]")
    one, shells = np.eye(2), {"H": (0,)}
    cases = [
        ((one, one, shells, "gaussian03"), "order 'gaussian03' is not known: choose pyscf"),
        ((np.eye(3), one, shells, "m"), r"H has the shape \(3, 3\), and .* have 2 orbitals"),
        ((one, np.eye(3), shells, "m"), "S has the shape"),
        ((one * np.nan, one, shells, "m"), "H has an element that is not finite"),
        ((one * 1j, one, shells, "m"), "H is complex: set spinor=True"),
        ((one, one, {"Hx": (0,)}, "m"), "'Hx' is no element"),
        ((one, one, {"O": (0,)}, "m"), "orbitals for O, not H"),
        ((one, one, {"H": (9,)}, "m"), "order of l = 9 shells in m is not known"),
        (({(0, 0, 0): one}, one, shells, "m"), "of a molecule one matrix"),
    ]
    for arguments, sentence in cases:
        with pytest.raises(ValueError, match=sentence):
            wb.from_arrays(atoms, *arguments)
