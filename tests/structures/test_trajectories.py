"""All structures of a file: numbers and slices, one at a time, the good ones beside a bad one."""

import tracemalloc

import ase.io
import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from workbench.structures.validation import StructureError

HYDROGEN = "2\n{}\nH 0 0 0\nH 0 0 {:.2f}\n"
MOL = """
  program           3D

  1  0  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 {:<2}  0  0  0  0  0  0  0  0  0  0  0  0
M  CHG  1   1  {:>2}
M  END
$$$$
"""


def lengths(path, index=":"):
    return [round(atoms.get_distance(0, 1), 6) for atoms in wb.load_all(path, index)]


@pytest.fixture
def trajectory(tmp_path):
    path = tmp_path / "run.xyz"
    path.write_text("".join(HYDROGEN.format(f"step {k}", 0.7 + k / 100) for k in range(10)))
    return path


@pytest.mark.parametrize(
    ("index", "numbers"),
    [
        (":", range(10)),
        ("2:5", [2, 3, 4]),
        ("::4", [0, 4, 8]),
        ("-3:", [7, 8, 9]),
        ("-1", [9]),
        ("0", [0]),
        (3, [3]),
        ("8:100", [8, 9]),
    ],
)
def test_a_slice_chooses_structures_as_in_ase(trajectory, index, numbers):
    assert lengths(trajectory, index) == [round(0.7 + k / 100, 6) for k in numbers]
    chosen = wb.load_all(trajectory, index)
    assert len(chosen) == len(numbers) == len(list(chosen))
    assert [number for number, _ in chosen.outcomes()] == list(numbers)


@pytest.mark.parametrize("index", ["", "a", "1:2:3:4", "::0", "::-1", "1.5", "0:1e3", "True"])
def test_an_index_that_is_none_is_refused_in_one_sentence(trajectory, index):
    with pytest.raises(ValueError, match=r"^The index is .*: give a number from 0, or a slice"):
        wb.load_all(trajectory, index)


@pytest.mark.parametrize("index", ["10", "-11", "5:5", "12:"])
def test_numbers_that_a_file_does_not_have_are_said_at_once(trajectory, index):
    with pytest.raises(StructureError, match=f"has 10 structures, .*none is in the index {index}"):
        wb.load_all(trajectory, index)


def test_the_good_structures_are_read_beside_the_bad_ones(tmp_path):
    """Atoms on top of each other, an unknown element, and a last frame that is cut short."""
    path = tmp_path / "run.xyz"
    frames = [HYDROGEN.format("", d) for d in (0.7, 0.01, 0.8, 0.9)]
    frames[2] = frames[2].replace("H 0 0 0\n", "Qq 0 0 0\n")
    path.write_text("".join(frames) + "\n3\n\nH 0 0 0\n")
    outcomes = dict(wb.load_all(path).outcomes())
    bad = {number: str(o) for number, o in outcomes.items() if isinstance(o, StructureError)}
    assert list(outcomes) == [0, 1, 2, 3, 4]
    assert list(bad) == [1, 2, 4]
    assert bad[1].startswith("Structure 1 of run.xyz: H1 and H2 are 0.010 A apart")
    assert "names 'Qq', which is no element" in bad[2]
    assert "no complete structure" in bad[4] or "cannot be read" in bad[4]
    with pytest.raises(StructureError, match=r"^Structure 1 of run\.xyz: "):
        list(wb.load_all(path))


def test_a_frame_without_its_number_of_atoms_ends_the_file_with_a_sentence(tmp_path):
    path = tmp_path / "run.xyz"
    path.write_text(HYDROGEN.format("", 0.7) + "H 0 0 5\n" + HYDROGEN.format("", 0.8))
    (_, first), (number, error) = wb.load_all(path).outcomes()
    assert isinstance(first, Atoms)
    assert number == 1
    assert str(error).startswith("Structure 1 of run.xyz: ")


def test_charge_spin_and_isotopes_are_those_of_each_structure(tmp_path):
    xyz = tmp_path / "ions.xyz"
    xyz.write_text(
        "2\ncharge -1 multiplicity 1\nO 0 0 0\nD 0 0 1\n"
        "2\ncharge=1 multiplicity=3\nO 0 0 0\nT 0 0 1\n2\n\nH 0 0 0\nF 0 0 0.92\n"
    )
    sdf = tmp_path / "ions.sdf"
    sdf.write_text(MOL.format("F", -1) + MOL.format("Na", 1))
    read = [(str(a.symbols), a.info["charge"], a.info["spin"]) for a in wb.load_all(xyz)]
    assert read == [("OH", -1, 0), ("OH", 1, 2), ("HF", 0, 0)]
    assert [(str(a.symbols), a.info["charge"]) for a in wb.load_all(sdf)] == [("F", -1), ("Na", 1)]
    assert [a.info["charge"] for a in wb.load_all(xyz, 2, charge=2)] == [2]


@pytest.mark.parametrize("name", ["run.pdb", "run.traj", "run.xyz.gz", "run.extxyz", "run.xsf"])
def test_each_kind_of_file_gives_its_structures_in_order(tmp_path, name):
    frames = [Atoms("N2", [[0, 0, 0], [0, 0, d]], cell=[8, 8, 8]) for d in (1.0, 1.1, 1.2)]
    for atoms in frames:
        atoms.pbc = name.endswith(("pdb", "xsf"))
    ase.io.write(tmp_path / name, frames)
    assert lengths(tmp_path / name) == [1.0, 1.1, 1.2]
    assert lengths(tmp_path / name, "::2") == [1.0, 1.2]
    (last,) = wb.load_all(tmp_path / name, -1)
    alone = wb.load(tmp_path / name, index=2)
    np.testing.assert_allclose(last.positions, alone.positions)
    np.testing.assert_allclose(last.cell.array, alone.cell.array)


def test_encodings_are_read_structure_by_structure(tmp_path):
    text = HYDROGEN.format("température", 0.7) + HYDROGEN.format("K", 0.8)
    for name, content in {
        "mark.xyz": text.encode("utf-8-sig"),
        "utf16.xyz": text.encode("utf-16"),
        "latin1.xyz": text.encode("latin-1"),
        "crlf.xyz": text.replace("\n", "\r\n").encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert lengths(tmp_path / name) == [0.7, 0.8], name


def test_what_is_no_file_counts_as_one_structure():
    assert [str(a.symbols) for a in wb.load_all("water")] == ["OH2"]
    assert [a.info["charge"] for a in wb.load_all(wb.load("OH"), charge=-1, spin=0)] == [-1]
    with pytest.raises(StructureError, match="no structure and no file called 'wator'"):
        wb.load_all("wator")
    with pytest.raises(StructureError, match="Cannot load a int"):
        wb.load_all(3)  # pyright: ignore[reportArgumentType]


def test_a_count_that_the_file_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "run.extxyz"
    good = HYDROGEN.format("", 0.7)
    path.write_text(good + "1\nProperties=species:S:1:pos:R:2147483648\nH 0 0 0\n" + good)
    sound = [isinstance(o, Atoms) for _, o in wb.load_all(path).outcomes()]
    assert sound == [True, False, True]
    path.write_text(good + "9" * 25 + "\n\nH 0 0 0\n")
    assert [isinstance(o, Atoms) for _, o in wb.load_all(path).outcomes()] == [True, False]


def test_memory_does_not_grow_with_the_number_of_structures(tmp_path):
    path = tmp_path / "long.xyz"
    path.write_text(HYDROGEN.format("x" * 20_000, 0.74) * 500)  # 10 MB
    tracemalloc.start()
    assert sum(len(atoms) for atoms in wb.load_all(path, "::100")) == 10
    assert tracemalloc.get_traced_memory()[1] < 9e6  # bytes; the check of the head takes 5e6
    tracemalloc.stop()
