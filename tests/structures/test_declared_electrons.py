"""Charge, spin, isotopes and sites of files as people have them."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import numbers_of, run
from workbench.structures.loading import StructureError, load
from workbench.structures.validation import StructureWarning

SAMPLES = os.environ.get("WORKBENCH_SAMPLES", "")
WATER = "O 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
OXYGEN = "O 0 0 0\nO 0 0 1.21\n"


def xyz(comment, atoms=WATER):
    return f"{atoms.count(chr(10))}\n{comment}\n{atoms}"


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("comment", "atoms", "charge", "spin"),
    [
        ("", WATER, 0, 0),
        ("charge -2 multiplicity 1", WATER, -2, 0),
        ("charge 0 spin 0", WATER, 0, 0),
        ("Charge: +2, Mult: 1", WATER, 2, 0),
        ("charge=1 multiplicity=2", WATER, 1, 1),
        ("total_charge=-2 total_spin=1", WATER, -2, 0),
        ("Properties=species:S:1:pos:R:3 charge=0 spin=1", WATER, 0, 0),  # a multiplicity
        ("Properties=species:S:1:pos:R:3 charge=-1 spin=1", WATER, -1, 1),  # 2S
        ("Properties=species:S:1:pos:R:3 charge=-1 spin=2", WATER, -1, 1),  # 2S + 1
        ("spin 2", OXYGEN, 0, 2),
        ("multiplicity 3", OXYGEN, 0, 2),
        ("charge -1.0 spin 1", OXYGEN, -1, 1),
        ("charge transfer complex of step 7", WATER, 0, 0),
        ("recharged 5 times", WATER, 0, 0),
    ],
)
def test_a_comment_says_charge_and_spin_in_any_spelling(comment, atoms, charge, spin, write):
    found = load(write("a.xyz", xyz(comment, atoms)))
    assert (found.info["charge"], found.info["spin"]) == (charge, spin)


def test_an_argument_goes_before_the_file_and_each_frame_has_its_own(write):
    path = write("a.xyz", xyz("charge 2") + xyz("charge -2"))
    assert load(path, index=0).info["charge"] == 2
    assert load(path, index=1).info["charge"] == -2
    assert load(path, index=0, charge=0).info["charge"] == 0
    with pytest.warns(StructureWarning, match="holds 2 structures, and the last one is used"):
        assert load(path).info["charge"] == -2


def test_a_charge_that_is_not_whole_is_refused(write):
    with pytest.raises(StructureError, match=r"charge is 0\.5, not a whole number"):
        load(write("a.extxyz", xyz("Properties=species:S:1:pos:R:3 charge=0.5")))


MOL = """oxalate
  made up 3D

  6  5  0  0  0  0  0  0  0  0999 V2000
    0.7700    0.0000    0.0000 C   0  0
   -0.7700    0.0000    0.0000 C   0  0
    1.3300    1.1200    0.0000 O   0  0
    1.3300   -1.1200    0.0000 O   0  5
   -1.3300    1.1200    0.0000 O   0  5
   -1.3300   -1.1200    0.0000 O   0  0
  1  2  1  0
  1  3  2  0
  1  4  1  0
  2  5  1  0
  2  6  2  0
{properties}M  END
"""


def test_a_mol_file_says_its_charge_in_properties_or_columns(write):
    assert load(write("a.mol", MOL.format(properties=""))).info["charge"] == -2
    listed = "M  CHG  2   4  -1   5  -1\n"
    assert load(write("b.mol", MOL.format(properties=listed))).info["charge"] == -2
    # Property lines replace the column: here one atom has a charge and one an unpaired electron.
    radical = "M  CHG  1   4  -1\nM  RAD  1   5   2\n"
    found = load(write("c.mol", MOL.format(properties=radical)))
    assert (found.info["charge"], found.info["spin"]) == (-1, 1)


def test_each_record_of_an_sdf_file_can_be_had(write):
    two = (
        MOL.format(properties="") + "$$$$\n" + MOL.replace("1.3300", "1.4300").format(properties="")
    )
    path = write("a.sdf", two + "$$$$\n")
    assert load(path, index=0).positions[2, 0] == pytest.approx(1.33)
    assert load(path, index=1).positions[2, 0] == pytest.approx(1.43)
    with pytest.raises(StructureError, match="has 2 structures: choose one of them"):
        load(path, index=2)


def test_v3000_is_read_with_its_charge(write):
    Chem = pytest.importorskip("rdkit.Chem")
    mol = Chem.MolFromMolBlock(MOL.format(properties=""), removeHs=False)
    found = load(write("a.mol", Chem.MolToMolBlock(mol, forceV3000=True)))
    assert found.get_chemical_formula() == "C2O4"
    assert found.info["charge"] == -2
    assert found.positions[2, 0] == pytest.approx(1.33)


def test_a_drawing_is_refused_and_missing_hydrogen_is_noticed(write):
    flat = "ethanol\n  sketch  2D\n\n  3  2  0  0  0  0  0  0  0  0999 V2000\n" + "".join(
        f"{x:10.4f}{y:10.4f}    0.0000 {s}   0  0\n"
        for x, y, s in ((0, 0, "C"), (1.3, 0.75, "C"), (2.6, 0, "O"))
    )
    flat += "  1  2  1  0\n  2  3  1  0\nM  END\n"
    with pytest.raises(StructureError, match="is a drawing in two dimensions"):
        load(write("flat.mol", flat))
    with pytest.warns(StructureWarning, match="no hydrogen atoms, and atom 1 is a carbon with 1 b"):
        load(write("bare.mol", flat.replace("2D", "3D")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(write("oxalate.mol", MOL.format(properties="")))


PDB = "HETATM    1  N   NH4 A   1       0.000   0.000   0.000{occupancy}  0.00           N1+\n"
PDB += "".join(
    f"HETATM    {k}  H{k} {{letter}}NH4 A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           H\n"
    for k, (x, y, z) in enumerate(
        ((0.59, 0.59, 0.59), (-0.59, -0.59, 0.59), (0.59, -0.59, -0.59), (-0.59, 0.59, -0.59)), 2
    )
)


def test_a_pdb_file_says_its_charge_and_has_one_place_for_each_atom(write):
    whole = PDB.format(occupancy="  1.00", letter=" ").replace("H2  NH4", "H2  NH4")
    assert load(write("a.pdb", whole)).info["charge"] == 1
    with pytest.raises(StructureError, match=r"the atom N of residue .* alternate locations"):
        load(write("b.pdb", PDB.format(occupancy="  0.50", letter=" ")))
    dummy = "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n"
    with pytest.warns(StructureWarning, match="a cell of 1 A, which stands for no cell"):
        found = load(write("c.pdb", dummy + whole))
    assert not found.pbc.any()


CIF = """data_a
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 1
{site}
"""


@pytest.mark.parametrize(
    ("site", "says"),
    [
        ("O1 O 0.5 0.5 0.5 0.5", r"a disordered site \(0.5 O\)"),
        ("Zn1 Zn 0 0 0 0.25", "a disordered site"),
    ],
)
def test_a_disordered_crystal_is_refused(site, says, write):
    with pytest.raises(StructureError, match=says):
        load(write("a.cif", CIF.format(site=site)))
    deuteride = load(write("b.cif", CIF.format(site="D1 D 0.5 0.5 0.5 1")))
    assert deuteride.get_chemical_formula() == "HMg"


def test_isotopes_and_encodings_do_not_matter(write):
    plain = load(write("a.xyz", xyz("water")))
    heavy = xyz("heavy").replace("\nH", "\nD", 1).replace("\nH", "\nT", 1)
    contents = [
        heavy.encode(),
        xyz("Wasser, gemessen in München, Å").encode("latin-1"),
        xyz("water").encode("utf-16"),
        xyz("water").replace("\n", "\r\n").encode("utf-8-sig"),
    ]
    for k, content in enumerate(contents):
        found = load(write(f"{k}.xyz", content))
        np.testing.assert_array_equal(found.numbers, plain.numbers)
        np.testing.assert_array_equal(found.positions, plain.positions)


def test_qm9_s_own_layout_is_read(write):
    rows = (
        "O\t 0.0\t 0.0\t 0.119\t-0.589\nH\t 0\t 0.763\t-4.77*^-1\t 0.29\nH 0 -0.763 -0.477 0.29\n"
    )
    path = write("q.xyz", f"3\ngdb 21\t157.7\t157\t0.06\n{rows}1341\t1341\nC\tC\t\nInChI=1S/x\n")
    np.testing.assert_allclose(load(path).positions[1], [0, 0.763, -0.477])


def test_commands_take_charge_spin_and_index(write):
    path = write("a.xyz", xyz("one") + xyz("two").replace("0.763", "0.800"))
    first, second = (numbers_of("predict", path, "--index", k)["levels_ev"] for k in (0, 1))
    assert first != second
    refused = run("predict", path, "--index", 0, "--charge", 1)
    assert "an odd number" in refused.stderr
    neutral, dication = (numbers_of("predict", path, "--charge", c)["gap_ev"] for c in (0, 2))
    assert neutral != dication
    radical = numbers_of("predict", path, "--index", 0, "--charge", 1, "--spin", 1)
    assert radical["note"] == "9 electrons do not fill closed shells, so there is no gap"
    assert radical["gap_ev"] is None
    collection = run("label", "organic", "--out", path.with_name("a.h5"), "--charge", 1)
    assert "are for structures, not collections" in collection.stderr


@pytest.mark.skipif(not SAMPLES, reason="WORKBENCH_SAMPLES names no folder of foreign samples")
@pytest.mark.parametrize(
    ("name", "formula", "charge"),
    [
        ("cyanide.xyz", "CN", -1),
        ("acetate.xyz", "C2H3O2", -1),
        ("water_words.xyz", "H2O", 0),
        ("oxalate.mol", "C2O4", -2),
        ("oxalate.sdf", "C2O4", -2),
        ("ammonium.mol", "H4N", 1),
        ("charged.pdb", "H4N", 1),
        ("mace_dianion.extxyz", "H2O", -2),
        ("omol_water.extxyz", "H2O", 0),
        ("heavy_water.xyz", "H2O", 0),
        ("deuteride.cif", "HMg", 0),
        ("bom_crlf.xyz", "H2O", 0),
        ("utf16.xyz", "H2O", 0),
        ("latin1.xyz", "H2O", 0),
        ("qm9_style.xyz", "H2O", 0),
    ],
)
def test_files_as_people_have_them(name, formula, charge):
    found = load(Path(SAMPLES) / "structures" / name)
    assert found.get_chemical_formula() == formula
    assert (found.info["charge"], found.info["spin"]) == (charge, 0)
