"""The catalogue of structures, uploads, sheets and twists, and the shortest distance."""

import gzip

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from workbench.storage.bundled import data_path
from workbench.structures import bilayers
from workbench.structures.catalogue import entries, groups, matching
from workbench.structures.loading import (
    ElectronsError,
    StructureError,
    load,
    shortest_distance,
)
from workbench.structures.uploads import MOST_BYTES, read_upload

WATER = b"3\n\nO 0 0 0\nH 0.757 0.586 0\nH -0.757 0.586 0\n"


def test_every_group_lists_its_structures_with_formula_and_atoms():
    listed = {group: entries(group) for group in groups()}
    assert [str(e) for e in listed["crystals"]] == [
        "bismuthene · Bi2 · 2 atoms",
        "graphene · C2 · 2 atoms",
        "mos2 · MoS2 · 3 atoms",
        "bilayer-bismuthene · Bi4 · 4 atoms",
        "bilayer-graphene · C4 · 4 atoms",
        "bi2se3 · Bi2Se3 · 5 atoms",
        "bi2te3 · Bi2Te3 · 5 atoms",
        "bilayer-bi2se3 · Bi4Se6 · 10 atoms",
        "bilayer-bi2te3 · Bi4Te6 · 10 atoms",
    ]
    assert str(listed["molecules"][0]) == "water · H2O · 3 atoms"
    assert len(listed["G2 set (ASE)"]) == 162
    assert len(listed["organic"]) == 960
    assert len(listed["familiar"]) == 40
    with pytest.raises(StructureError, match="no group 'metals'"):
        entries("metals")


@pytest.mark.parametrize("group", groups())
def test_an_entry_gives_the_structure_that_it_promises(group):
    for entry in entries(group)[:: len(entries(group)) // 2]:
        atoms = entry.atoms()
        assert len(atoms) == entry.n_atoms
        assert atoms.get_chemical_formula("hill") == entry.formula


def test_an_entry_of_a_collection_is_found_by_its_line():
    entry = entries("organic")[717]
    with gzip.open(data_path("structures", "organic.extxyz.gz"), "rt") as file:
        comments = [line for line in file if line.startswith("Properties")]
    assert entry.atoms().info["smiles"] == entry.name
    assert f'smiles="{entry.name}"' in comments[717]


def test_a_search_finds_names_and_formulas_exact_ones_first():
    organic = entries("organic")
    assert matching(organic, "CCO")[0].name == "CCO"
    assert all("C2H6O" in e.formula for e in matching(organic, "c2h6o"))
    assert matching(organic, "no such") == []
    assert len(matching(organic, " ")) == len(organic)


@pytest.mark.parametrize("ending", ["xyz", "extxyz", "cif", "pdb", "vasp", "gen", "xsf", "traj"])
def test_files_of_many_kinds_are_read(ending, tmp_path):
    sheet = load("graphene")
    sheet.pbc = True
    write(tmp_path / f"sheet.{ending}", sheet)
    atoms = read_upload(f"sheet.{ending}", (tmp_path / f"sheet.{ending}").read_bytes())
    assert atoms.get_chemical_formula() == "C2"
    assert np.linalg.norm(atoms.positions[1] - atoms.positions[0]) == pytest.approx(
        1.4226, abs=2e-3
    )


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.exe", WATER, "a.exe is of no kind"),
        ("C:\\mine\\a.exe", WATER, "^a.exe is of no kind"),
        ("a.xyz", b"", "a.xyz is empty"),
        ("a.xyz", WATER[:20], "a.xyz"),
        ("a.xyz", WATER.replace(b"O", b"Qq"), "names 'Qq', which is no element"),
        ("a.xyz", WATER.replace(b"0.757 0.586", b"0.1 0.1"), "O1 and H2 are 0.141 A apart"),
        ("POSCAR", b"rubbish", "POSCAR cannot be read"),
        ("a.cif", b"rubbish", "a.cif cannot be read"),
        ("a.xyz", b" " * (MOST_BYTES + 1), "5.0 MB"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(name, content, says):
    with pytest.raises(StructureError, match=says) as caught:
        read_upload(name, content)
    assert str(caught.value).count("\n") == 0
    assert "/tmp" not in str(caught.value)


def test_an_odd_electron_count_can_be_put_right():
    hydroxyl = b"2\n\nO 0 0 0\nH 0 0 0.97\n"
    with pytest.raises(ElectronsError, match="9 electrons, an odd number"):
        read_upload("oh.xyz", hydroxyl)
    assert read_upload("oh.xyz", hydroxyl, spin=1).info["spin"] == 1
    assert read_upload("oh.xyz", hydroxyl, charge=-1).info["charge"] == -1


def test_the_shortest_distance_counts_images():
    assert shortest_distance(Atoms("He")) is None
    distance, i, j = shortest_distance(Atoms("H2", [[0, 0, 0], [0, 0, 9]]))
    assert (distance, {i, j}) == (9, {0, 1})
    chain = Atoms("He", cell=[3, 9, 9], pbc=(True, False, False))
    assert shortest_distance(chain) == (3, 0, 0)


@pytest.mark.parametrize("name", bilayers.SHEETS)
def test_sheets_are_hexagonal_and_twist(name):
    sheet = bilayers.sheet(name)
    twisted = bilayers.twisted_bilayer(sheet, 1, 2, bilayers.SHEETS[name])
    assert len(twisted) == 14 * len(sheet)
    distance = (
        twisted.positions[len(twisted) // 2 :, 2].mean()
        - twisted.positions[: len(twisted) // 2, 2].mean()
    )
    assert distance == pytest.approx(bilayers.SHEETS[name])
    with pytest.raises(StructureError, match="no sheet called"):
        bilayers.sheet("phosphorene")


def test_twists_are_all_that_fit_by_their_angles():
    sheet = bilayers.sheet("graphene")
    pairs = bilayers.twist_pairs(sheet, 100)
    angles = [bilayers.twist_angle(*pair) for pair in pairs]
    assert angles == sorted(angles)
    assert set(pairs) == {(1, 2), (2, 3), (1, 3), (1, 4)}
    assert all(len(bilayers.twisted_bilayer(sheet, *p, 3.35)) <= 100 for p in pairs)
    assert bilayers.twist_pairs(sheet, 20) == []
