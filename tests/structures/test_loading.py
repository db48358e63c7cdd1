"""Structures: every source, every error message, and the law of rotation."""

import importlib.util

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import (
    StructureError,
    bundled_names,
    electron_count,
    g2_names,
    load,
    require_closed_shell,
    rotate,
    shortest_distance,
    validate,
)

spglib.error.OLD_ERROR_HANDLING = False

FORMULAS = {
    "water": "H2O",
    "ammonia": "H3N",
    "methane": "CH4",
    "ethanol": "C2H6O",
    "malondialdehyde": "C3H4O2",
    "uracil": "C4H4N2O2",
    "benzene": "C6H6",
}
CUT = {  # formula, space group, shortest distance in A: Mo-S, Bi-Bi, Bi-Te, Bi-Se
    "mos2": ("MoS2", "P-6m2", 2.417),
    "bismuthene": ("Bi2", "P-3m1", 3.071),
    "bilayer-bismuthene": ("Bi4", "P-3m1", 3.071),
    "bi2te3": ("Bi2Te3", "P-3m1", 3.071),
    "bilayer-bi2te3": ("Bi4Te6", "P-3m1", 3.071),
    "bi2se3": ("Bi2Se3", "P-3m1", 2.851),
    "bilayer-bi2se3": ("Bi4Se6", "P-3m1", 2.851),
}
WATER_XYZ = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
needs_rdkit = pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs RDKit")
seeds = st.integers(0, 2**32 - 1)


# ---- sources -------------------------------------------------------------------------------------


def test_the_library_holds_what_it_promises():
    assert set(bundled_names()) == {*FORMULAS, "graphene", "bilayer-graphene", *CUT}


def test_bundled_sheets_have_the_lattice_of_graphite():
    for name, n_atoms in (("graphene", 2), ("bilayer-graphene", 4)):
        sheet = load(name)
        assert (len(sheet), sheet.pbc.tolist()) == (n_atoms, [True, True, False])
        np.testing.assert_allclose(sheet.cell.lengths()[:2], 2.464)
        assert "Trucano" in sheet.info["provenance"]
        assert sheet.get_all_distances(mic=True)[0, 1] == pytest.approx(2.464 / 3**0.5, abs=1e-5)
    between = load("bilayer-graphene").get_all_distances(mic=True)[:2, 2:]
    assert np.isclose(between, 6.711 / 2, atol=1e-4).sum() == 1  # AB: one atom above an atom


@pytest.mark.parametrize(("name", "expected"), CUT.items())
def test_bundled_crystals_are_cut_from_their_bulk(name, expected):
    """The space group, the atoms and the shortest distance of the bulk."""
    formula, group, shortest = expected
    crystal = load(name)
    assert crystal.get_chemical_formula() == formula
    assert crystal.pbc.tolist() == [True, True, False]
    cell = crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers
    assert spglib.get_spacegroup(cell, symprec=1e-3).startswith(group)
    nearest = shortest_distance(crystal)
    assert nearest is not None
    assert nearest[0] == pytest.approx(shortest, abs=2e-3)
    assert len(crystal.info["provenance"]) > 50


@pytest.mark.parametrize("name", [name for name in CUT if name.startswith("bilayer")])
def test_no_shift_of_a_bundled_bilayer_brings_sheets_nearer_than_in_the_bulk(name):
    pair, between = load(name), {"bismuthene": 3.53, "bi2te3": 3.65, "bi2se3": 3.52}
    half = len(pair) // 2
    facing = pair.positions[half:, 2].min() - pair.positions[:half, 2].max()
    assert facing == pytest.approx(between[name.removeprefix("bilayer-")], abs=0.01)
    pair.positions[half:, :2] += pair.positions[half - 1, :2] - pair.positions[half, :2]
    nearest = pair.get_all_distances(mic=True)[:half, half:].min()
    assert nearest == pytest.approx(facing)  # one atom right above another: the closest shift


@pytest.mark.parametrize("name", FORMULAS)
def test_bundled_molecules_are_centred_neutral_closed_shells(name):
    atoms = load(name)
    assert atoms.get_chemical_formula() == FORMULAS[name]
    assert (atoms.info["charge"], atoms.info["spin"]) == (0, 0)
    assert "PBE/def2-SVP minimum" in atoms.info["provenance"]
    np.testing.assert_allclose(atoms.get_center_of_mass(), 0, atol=1e-5)
    require_closed_shell(atoms)


def test_bundled_water_has_the_known_shape():
    # PBE/def2-SVP; experiment: 0.957 A and 104.5 degrees
    atoms = load("Water")
    assert atoms.get_distance(0, 1) == pytest.approx(0.97, abs=0.01)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(103, abs=2)


def test_malondialdehyde_is_the_hydrogen_bonded_enol():
    atoms = load("malondialdehyde")
    distances = atoms.get_all_distances()
    oxygens = np.flatnonzero(atoms.numbers == 8)
    hydrogens = np.flatnonzero(atoms.numbers == 1)
    assert distances[np.ix_(oxygens, hydrogens)].max(axis=0).min() < 1.8


def test_every_g2_name_loads_with_the_right_spin():
    for name in g2_names():
        atoms = load(name)
        assert (electron_count(atoms) - atoms.info["spin"]) % 2 == 0
    assert load("CH3").info["spin"] == 1
    assert load("O2").info["spin"] == 2


@pytest.mark.parametrize("suffix", ["xyz", "extxyz", "cif", "vasp"])
def test_files_through_ase(tmp_path, suffix):
    atoms = bulk("NaCl", "rocksalt", 5.64) if suffix in ("cif", "vasp") else molecule("CH3OH")
    path = tmp_path / f"some.{suffix}"
    write(path, atoms)
    for source in (path, str(path)):
        loaded = load(source)
        distances = [a.get_all_distances(mic=atoms.pbc.any()) for a in (loaded, atoms)]
        np.testing.assert_allclose(*distances, atol=1e-4)
        assert sorted(loaded.numbers) == sorted(atoms.numbers)


def test_poscar_without_a_suffix(tmp_path):
    write(tmp_path / "POSCAR", bulk("Si"), format="vasp")
    assert load(tmp_path / "POSCAR").pbc.all()


def test_frames_of_a_trajectory(tmp_path):
    write(tmp_path / "a@b.xyz", [molecule("H2O"), molecule("NH3")])
    assert load(tmp_path / "a@b.xyz").get_chemical_formula() == "H3N"
    assert load(tmp_path / "a@b.xyz", index=0).get_chemical_formula() == "H2O"
    with pytest.raises(StructureError, match="no complete frame number 7"):
        load(tmp_path / "a@b.xyz", index=7)


def test_atoms_are_copied_without_their_calculator():
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    copy = load(atoms, charge=1, spin=1)
    copy.positions += 1
    assert copy.calc is None
    assert atoms.info == {}
    assert atoms.positions[0, 0] == 0


def test_charge_and_spin_come_from_info_or_the_atoms_or_the_call():
    atoms = molecule("OH")
    assert load(atoms).info["spin"] == 1
    assert load(atoms, charge=-1, spin=0).info == {"charge": -1, "spin": 0}
    atoms.info.update(charge=1, spin=0)
    assert electron_count(load(atoms)) == 8
    atoms = molecule("NH3")
    atoms.set_initial_charges([0.999, 0, 0, 0])
    assert load(atoms, spin=1).info["charge"] == 1
    with pytest.raises(StructureError, match=r"The charge is 0.5, not a whole number"):
        load(atoms, charge=0.5)


@needs_rdkit
def test_smiles_is_seeded_and_knows_charge_and_radicals():
    first, again, other = (load("smiles:CCO", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert np.abs(first.positions - other.positions).max() > 1e-3
    assert first.get_chemical_formula() == "C2H6O"
    assert load("smiles:[NH4+]").info["charge"] == 1
    assert load("smiles:[CH3]").info["spin"] == 1
    assert len(load("smiles:O.O.O")) == 9


def test_smiles_without_rdkit(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    with pytest.raises(StructureError, match="needs RDKit: pip install"):
        load("smiles:CCO")


# ---- error messages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.xyz", "", "is empty"),
        ("blank.xyz", " \n\n", "is empty"),
        ("none.xyz", "0\n\n", "has no atoms|cannot be read"),
        ("odd.foo", "nothing known", "in no format that ASE knows"),
        ("element.xyz", WATER_XYZ.replace("O ", "Qq "), "names 'Qq', which is no element"),
        ("ghost.xyz", WATER_XYZ.replace("O ", "X "), "Atom 1 has atomic number 0"),
        ("short.xyz", WATER_XYZ[:20], "cannot be read|no complete frame"),
        ("words.xyz", WATER_XYZ.replace("0.96", "abc"), "cannot be read"),
        ("nan.xyz", WATER_XYZ.replace("0.96", "nan"), "Position of H2 is not a finite number"),
        ("inf.xyz", WATER_XYZ.replace("0.96", "inf"), "Position of H2 is not a finite number"),
        ("close.xyz", WATER_XYZ.replace("0.96", "0.2"), "O1 and H2 are 0.200 A apart"),
        ("radical.xyz", "2\n\nO 0 0 0\nH 0.96 0 0\n", "9 electrons, an odd number"),
        ("binary.cif", "\x00\x01data", "cannot be read|no complete frame|no structure"),
    ],
)
def test_bad_files_give_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(StructureError, match=sentence) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("watr", "did you mean 'water'"),
        ("CH3OHH", "did you mean .*'CH3OH'"),
        ("absent/ethanl.xyz", "did you mean 'ethanol'"),
        ("zzzzzz", "bundled names are bismuthene, graphene"),
        ("/", "is a folder"),
        (5, "Cannot load a int"),
        pytest.param("smiles:C(", "not a valid SMILES", marks=needs_rdkit),
        pytest.param("smiles:", "not a valid SMILES", marks=needs_rdkit),
    ],
)
def test_bad_sources_give_one_sentence(source, sentence):
    with pytest.raises(StructureError, match=sentence):
        load(source)


def test_a_crystal_needs_its_cell():
    atoms = Atoms("Si", pbc=True)
    with pytest.raises(StructureError, match="periodic along 3 directions"):
        validate(atoms)
    atoms.cell = [[1, 0, 0], [2, 0, 0], [0, 0, 3]]
    with pytest.raises(StructureError, match="does not span"):
        validate(atoms)
    atoms.pbc = False
    validate(atoms)


def test_images_of_a_crystal_may_not_overlap():
    atoms = bulk("Al", cubic=True)
    validate(atoms)
    atoms += Atoms("Al", [atoms.positions[0] + atoms.cell[0] + [0.1, 0, 0]])
    with pytest.raises(StructureError, match=r"Al1 and Al5 are 0\.100 A apart"):
        validate(atoms)


def test_a_crystal_may_hold_an_odd_number_of_electrons():
    assert electron_count(validate(bulk("Al"))) == 13


def test_many_atoms_take_the_neighbour_list():
    grid = np.stack(np.meshgrid(*[np.arange(9.0)] * 3), axis=-1).reshape(-1, 3)
    atoms = Atoms(f"He{len(grid)}", grid)
    validate(atoms)
    atoms.positions[-1] = atoms.positions[0] + [0, 0, 0.3]
    with pytest.raises(StructureError, match=r"He1 and He729 are 0\.300 A apart"):
        validate(atoms)


def test_closed_shell_methods_refuse_radicals():
    with pytest.raises(StructureError, match="2 unpaired electrons"):
        require_closed_shell(load("O2"))
    with pytest.raises(StructureError, match="an odd number"):
        require_closed_shell(Atoms("H"))
    with pytest.raises(StructureError, match="no electrons left"):
        require_closed_shell(load(Atoms("H"), charge=1))


# ---- rotation ------------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_rotations_compose_and_keep_distances(seed):
    rng = np.random.default_rng(seed)
    first, second = random_rotation(rng), random_rotation(rng)
    atoms = bulk("NaCl", "wurtzite", a=4.5)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)))
    twice, once = rotate(rotate(atoms, first), second), rotate(atoms, second @ first)
    for quantity in ("positions", "cell", "momenta"):
        a, b = (
            np.asarray(t.get_momenta() if quantity == "momenta" else getattr(t, quantity))
            for t in (twice, once)
        )
        np.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(
        once.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-10
    )
    np.testing.assert_allclose(
        *(a.get_scaled_positions(wrap=False) for a in (once, atoms)), atol=1e-9
    )


def test_rotation_is_active_and_leaves_the_input_alone():
    atoms = Atoms("He", [[1, 0, 0]])
    quarter = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # x to y
    np.testing.assert_allclose(rotate(atoms, quarter).positions, [[0, 1, 0]])
    np.testing.assert_allclose(rotate(atoms, -np.eye(3)).positions, [[-1, 0, 0]])
    np.testing.assert_allclose(atoms.positions, [[1, 0, 0]])


@pytest.mark.parametrize("bad", [np.eye(2), 2 * np.eye(3), np.full((3, 3), np.nan)])
def test_rotation_needs_an_orthogonal_matrix(bad):
    with pytest.raises(ValueError, match="orthogonal"):
        rotate(Atoms("He"), bad)


# ---- any file at all -----------------------------------------------------------------------------


@given(st.binary(max_size=200), st.sampled_from(["xyz", "extxyz", "cif", "vasp", "json", ""]))
@settings(max_examples=60, deadline=None)
def test_garbage_never_escapes_as_anything_but_a_structure_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"file.{suffix}"
    path.write_bytes(content)
    try:
        outcome = load(path)
    except StructureError as error:
        outcome = str(error)
    assert len(outcome) > 0  # a structure with atoms, or a sentence


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_extxyz_round_trip(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    atoms = load("ethanol")
    atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
    path = tmp_path_factory.mktemp("trip") / "x.extxyz"
    write(path, atoms)
    again = load(path)
    np.testing.assert_allclose(again.positions, atoms.positions, atol=1e-7)
    assert again.info == atoms.info


@pytest.mark.parametrize(
    ("smiles", "lengths"),  # A, experiment
    [
        ("N#N", [1.098]),
        ("O=C=O", [1.160]),
        ("O=S=O", [1.431]),
        ("C#CC#C", [1.206, 1.375]),
        ("N#CC#N", [1.157, 1.381]),
    ],
)
def test_bonds_that_the_force_field_does_not_know_are_right(smiles, lengths):
    """MMFF94 makes them up to 0.36 A too long."""
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    atoms = load(f"smiles:{smiles}")
    heavy = atoms[atoms.numbers > 1]
    found = heavy.get_all_distances()[np.triu_indices(len(heavy), 1)]
    bonds = sorted(found[found < 1.7])
    assert {round(min(abs(np.array(lengths) - bond)), 2) for bond in bonds} <= {0.0, 0.01, 0.02}
