"""DeepH folders that pass for sound at first sight: what a proof on import must not let through."""

import json
import os

import h5py
import numpy as np
import pytest

from tests.datasets.formats.test_deeph import ATOMS
from tests.support.crystal import integrals
from workbench.datasets.formats import FormatError, deeph, deeph_blocks
from workbench.datasets.validation import DataCheck, check
from workbench.hamiltonians.conventions import HARTREE

BLOCK = np.eye(5)
ON_SITE, PAIR = "[0, 0, 0, 1, 1]", "[0, 0, 0, 1, 2]"


@pytest.fixture(scope="module")
def matrices():
    return tuple(
        integrals(ATOMS, kind, "sto-3g", 5.0) * unit
        for kind, unit in (("int1e_kin", HARTREE), ("int1e_ovlp", 1.0))
    )


@pytest.fixture
def folder(tmp_path, matrices):
    deeph.write(tmp_path / "graphene", ATOMS, *matrices, fermi_level=-4.5)
    return tmp_path / "graphene"


def _hdf5(change, name="hamiltonians.h5"):
    def apply(folder):
        with h5py.File(folder / name, "a") as file:
            change(file)

    return apply


def _replaced(key, value):
    def change(file):
        del file[key]
        file[key] = value

    return _hdf5(change)


def _external(file):
    shape = file[PAIR].shape
    del file[PAIR]
    size = 8 * int(np.prod(shape))
    file.create_dataset(PAIR, shape, "<f8", external=[("/etc/passwd", 0, size)])


def _declared(file):
    del file[PAIR]
    file.create_dataset(PAIR, (200_000, 200_000), "<f8", chunks=True, compression="gzip")


def _overlaps_as_folder(folder):
    (folder / "overlaps.h5").unlink()
    (folder / "overlaps.h5").mkdir()


def _overlaps_as_broken_link(folder):
    (folder / "overlaps.h5").unlink()
    os.symlink("absent.h5", folder / "overlaps.h5")


def _text(name, old, new):
    def apply(folder):
        file = folder / name
        file.write_text(file.read_text().replace(old, new, 1))

    return apply


def _info(**changes):
    def apply(folder):
        info = json.loads((folder / "info.json").read_text())
        (folder / "info.json").write_text(json.dumps({**info, **changes}))

    return apply


def _position(value):
    def apply(folder):
        rows = (folder / "site_positions.dat").read_text().split("\n")
        numbers = rows[0].split()
        (folder / "site_positions.dat").write_text("\n".join([f"{value} {numbers[1]}", *rows[1:]]))

    return apply


FAULTS = {
    "two blocks under one name": (
        _hdf5(lambda f: f.create_dataset("[0,0,0,1,2]", data=5 * BLOCK)),
        r"has two blocks named \[0, 0, 0, 1, 2\], with different spaces",
    ),
    "a name of half numbers": (
        _hdf5(lambda f: f.create_dataset("[0, 0, 0, 1.5, 2]", data=BLOCK)),
        "blocks are named",
    ),
    "a name of words": (
        _hdf5(lambda f: f.create_dataset("[0, 0, 0, true, 2]", data=BLOCK)),
        "blocks are named",
    ),
    "a name that never ends": (
        _hdf5(lambda f: f.create_dataset("[" * 5000, data=BLOCK)),
        "blocks are named",
    ),
    "a huge cell index": (
        _hdf5(lambda f: f.create_dataset(f"[{10**30}, 0, 0, 1, 2]", data=BLOCK)),
        "blocks are named",
    ),
    "atom 0": (
        _hdf5(lambda f: f.create_dataset("[0, 0, 0, 0, 1]", data=BLOCK)),
        "has a block of the atoms 0 and 1, of 2 atoms",
    ),
    "H of 1e300 eV": (_replaced(PAIR, 1e300 * BLOCK), "not finite or beyond 1e.06 eV"),
    "H of words": (_replaced(PAIR, np.full((5, 5), b"1.0")), "has blocks that are no numbers"),
    "H that is infinite": (
        _replaced(ON_SITE, np.full((5, 5), np.inf)),
        "not finite or beyond 1e.06 eV",
    ),
    "blocks in another file": (_hdf5(_external), "lies in another file"),
    "blocks as links": (
        _hdf5(lambda f: f.__setitem__("x", h5py.ExternalLink("overlaps.h5", PAIR))),
        "its entry 'x' is a link",
    ),
    "a declared block": (_hdf5(_declared), "it does not contain all of its array"),
    "overlaps as a folder": (_overlaps_as_folder, "overlaps.h5 is not a file"),
    "overlaps as a broken link": (_overlaps_as_broken_link, "overlaps.h5 is not a file"),
    "a coordinate of 1e308": (_position("1e308"), "must hold numbers of at most 1e.06"),
    "a coordinate that is no number": (_position("nan"), "must hold numbers of at most 1e.06"),
    "element 8.4": (_text("element.dat", "6", "6.4"), "must hold atomic numbers from 1 to 118"),
    "element 0": (_text("element.dat", "6", "0"), "must hold atomic numbers from 1 to 118"),
    "element 1e20": (_text("element.dat", "6", "1e20"), "must hold numbers of at most"),
    "no elements": (_text("element.dat", "6\n6\n", "\n"), "it is empty"),
    "a shell of l = 1e5": (_text("orbital_types.dat", "0 0", "0 100000"), "numbers l from 0 to 6"),
    "a shell of l = 5": (_text("orbital_types.dat", "0 0", "0 5"), "order of l = 5 shells"),
    "a shell of words": (_text("orbital_types.dat", "0 0", "s p"), "must hold the l of each"),
    "shells of other blocks": (
        lambda f: (f / "orbital_types.dat").write_text("0 0 1 1\n0 0 1 1\n"),
        "has the shape",
    ),
    "a Fermi level of nan": (_info(fermi_level=float("nan")), "a finite number, eV"),
    "a Fermi level of words": (_info(fermi_level="-4.5"), "a finite number, eV"),
    "spin as a word": (_info(isspinful="false"), "isspinful .true or false"),
    "spin as a number": (_info(isspinful=0), "isspinful .true or false"),
    "spin twice": (
        _text("info.json", "{", '{"isspinful": true, '),
        "each once",
    ),
    "info that never ends": (
        lambda f: (f / "info.json").write_text("[" * 100_000),
        "must be a JSON object",
    ),
    "info in another code": (
        lambda f: (f / "info.json").write_bytes(b"\xff\xfe{}"),
        "must be a JSON object",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_program_writes_is_refused(fault, folder):
    assert deeph.read(folder).fermi_level == -4.5
    apply, says = FAULTS[fault]
    apply(folder)
    with pytest.raises(FormatError, match=says) as caught:
        deeph.read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_blocks_much_smaller_than_the_declared_orbitals_are_refused(tmp_path, monkeypatch):
    """A small file of many hydrogen pairs, beside one atom with many orbitals."""
    from ase import Atoms

    from workbench.hamiltonians.basis import Basis
    from workbench.hamiltonians.block_matrix import BlockMatrix

    atoms = Atoms("H20Pb", np.random.default_rng(0).uniform(0, 9, (21, 3)), cell=np.eye(3) * 9)
    basis = Basis("deeph", {1: (0,), 82: (3,) * 40})
    H = BlockMatrix.from_dense(basis, atoms.numbers, np.eye(300))
    pairs = (H.edges < 20).all(axis=0) | (H.edges[0] == H.edges[1])
    few = BlockMatrix(basis, H.numbers, H.edges[:, pairs], H.shifts[pairs], H.values[pairs])
    deeph.write(tmp_path, atoms, few)
    monkeypatch.setattr(deeph_blocks, "_ALWAYS", 1 << 20)
    with pytest.raises(FormatError, match="blocks that are much smaller than the 281 orbitals"):
        deeph.read(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "hermiticity_ev",
        "overlap_hermiticity",
        "overlap_floor",
        "overlap_across",
        "hamiltonian_across",
        "symmetry_share",
    ],
)
def test_a_residual_that_is_no_number_is_a_complaint(matrices, name):
    sound = check(ATOMS, *matrices)
    assert sound.complaint is None
    assert DataCheck(**{**sound.to_json(), name: float("nan")}).complaint is not None
