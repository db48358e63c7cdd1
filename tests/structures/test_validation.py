"""Bounds of structures: what would search for ever, or fill the memory, gets one sentence first."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene

import workbench as wb
from workbench.structures.bilayers import bilayer, sheet, twisted_bilayer
from workbench.structures.sampling import AsGiven, Displaced, Langevin, RelaxedAndThermal
from workbench.structures.validation import StructureError, shortest_distance, validate

FLAT = "A high along one of its periodic vectors, less than 0.4 A"


def crystal(*rows: tuple[float, float, float]) -> Atoms:
    return Atoms("He", cell=rows, pbc=True)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (((0.01, 0, 0), (0, 3, 0), (0, 0, 3)), f"only 0.01 {FLAT}"),
        (((3, 0, 0), (3e6, 2e-3, 0), (0, 0, 3)), "longer than 1e\\+06 A"),
        (((3, 0, 0), (3e4, 0.1, 0), (0, 0, 3)), f"only 1e-05 {FLAT}"),
        (((3, 0, 0), (0, 3, 0), (0, 0, 1e300)), "longer than 1e\\+06 A"),
        (((3, 0, 0), (0, 3, 0), (0, 0, np.nan)), "not finite"),
        (((3, 0, 0), (0, 3, 0), (0, 0, np.inf)), "not finite"),
        (((3, 0, 0), (6, 0, 0), (0, 0, 3)), "does not span them"),
    ],
)
def test_a_cell_in_which_a_search_would_not_end_is_refused(cell, sentence):
    for search in (validate, shortest_distance, wb.load):
        with pytest.raises(StructureError, match=sentence):
            search(crystal(*cell))


def test_a_thin_cell_is_fine_along_a_direction_without_period():
    atoms = crystal((3, 0, 0), (0, 3, 0), (0, 0, 0.01))
    atoms.pbc = True, True, False
    assert validate(atoms) is atoms


@pytest.mark.parametrize(
    ("position", "sentence"),
    [(1e300, "more than 1e\\+06 A from the origin"), (np.nan, "not a finite"), (2e6, "H2 is more")],
)
def test_an_atom_without_a_place_is_refused(position, sentence):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, position]])
    for search in (validate, shortest_distance, wb.load_model("water").predict):
        with pytest.raises(StructureError, match=sentence):
            search(atoms)


def test_the_nearest_of_distant_atoms_is_found():
    found = shortest_distance(Atoms("H2", [[0, 0, 0], [0, 0, 9e5]]))
    assert found is not None
    assert found[0] == 9e5


@pytest.mark.parametrize("place", [0.0, 0.05, 0.5, 0.97])
def test_images_across_every_face_and_corner_are_found(place):
    """An atom, and a second one 0.2 A from an image of it; skewed cell, atoms outside it."""
    cell = np.array([[3.0, 0, 0], [1.2, 2.5, 0], [0.4, 0.8, 2.0]])
    for shift in np.ndindex(3, 3, 3):
        first = np.full(3, place) @ cell
        second = first + (np.array(shift) - 1) @ cell * 2 + [0.12, -0.16, 0]
        with pytest.raises(StructureError, match=r"He1 and He2 are 0\.200 A apart"):
            validate(Atoms("He2", [first, second], cell=cell, pbc=True))


def test_atoms_on_top_of_each_other_are_named():
    crowd = Atoms("He700", np.zeros((700, 3)))
    with pytest.raises(StructureError, match=r"are 0\.000 A apart"):
        validate(crowd)
    crowd.cell, crowd.pbc = np.eye(3) * 5, True
    with pytest.raises(StructureError, match=r"are 0\.000 A apart"):
        validate(crowd)


def test_a_cell_as_high_as_the_shortest_distance_is_searched_well():
    narrow = crystal((0.41, 0, 0), (0, 3, 0), (0, 0, 3))
    assert validate(narrow) is narrow
    two = narrow * (2, 1, 1)
    two.positions[1, 0] -= 0.02
    with pytest.raises(StructureError, match=r"He1 and He2 are 0\.390 A apart"):
        validate(two)


@pytest.mark.parametrize(
    "charge", [True, np.inf, np.nan, 1e300, "1", [1], np.zeros((3, 3)), 0.5, 10**9]
)
def test_a_charge_is_a_whole_number_of_a_sane_size(charge):
    atoms = wb.load("water")
    atoms.info["charge"] = charge
    with pytest.raises(StructureError, match=r"The charge is .*, not a whole number") as caught:
        wb.load(atoms)
    assert "\n" not in str(caught.value)


def test_initial_charges_that_are_no_numbers_are_refused():
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])
    atoms.set_initial_charges([np.nan, 0])
    with pytest.raises(StructureError, match="The charge is nan, not a whole number"):
        wb.load(atoms)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**40}, {"index": 1.5}, {"seed": True}])
def test_numbers_of_load_are_checked(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number"):
        wb.load("smiles:CCO", **wrong)


@pytest.mark.parametrize(("m", "n"), [(10**6, 3), (2**70, 1), (1.5, 2), (True, 2), (-1, 2)])
def test_twist_indices_are_whole_numbers_of_a_sane_size(m, n):
    with pytest.raises(ValueError, match="m must be a whole number from 1 to 10000"):
        twisted_bilayer(graphene(), m, n, 3.35)


def test_a_twist_with_too_many_atoms_is_not_built():
    with pytest.raises(StructureError, match="would have 1199880004 atoms, more than 500000"):
        twisted_bilayer(graphene(), 9999, 10000, 3.35)


@pytest.mark.parametrize("name", ["distance", "vacuum"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1, "3"])
def test_lengths_of_a_bilayer_are_finite(name, value):
    lengths = {"distance": 3.35, "vacuum": 10.0, name: value}
    with pytest.raises(ValueError, match=f"{name} must be a number from 0 to 10000"):
        bilayer(sheet("graphene"), **lengths)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Displaced, {"sigma": np.nan}),
        (Displaced, {"sigma": -0.1}),
        (Displaced, {"strain": 2.0}),
        (Displaced, {"slide": 1}),
        (Displaced, {"batch": 0}),
        (Langevin, {"temperature_K": -1}),
        (Langevin, {"temperature_K": np.inf}),
        (Langevin, {"timestep_fs": 0}),
        (Langevin, {"interval_fs": np.nan}),
        (Langevin, {"friction_per_fs": "high"}),
        (RelaxedAndThermal, {"motion": None}),
        (AsGiven, {"batch": 1.5}),
    ],
)
def test_settings_of_sampling_are_checked(kind, wrong):
    [name] = wrong
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} must be .*\.$"):
        kind(**wrong)


@pytest.mark.parametrize("degrees", [np.nan, np.inf, -np.inf, 1e20])
def test_a_rotation_has_a_finite_angle(degrees):
    with pytest.raises(ValueError, match="number of degrees up to"):
        wb.rotation((0, 0, 1), degrees)


@pytest.mark.parametrize("length", [1e-310, 1e308])
def test_the_length_of_an_axis_does_not_matter(length):
    R = wb.rotation((length, length, 0), 40)
    np.testing.assert_allclose(R, wb.rotation((1, 1, 0), 40), atol=1e-12)


def test_bulk_crystals_stay_valid():
    for name in ("Al", "Si", "Fe"):
        validate(bulk(name))
