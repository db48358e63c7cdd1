"""Applicability domain: which structures are outside it, and the message for each reason."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from tests.support.networks import random_model
from workbench.datasets.dataset import Dataset
from workbench.models.applicability import ApplicabilityDomain, DomainWarning
from workbench.models.checkpoint import load_model
from workbench.storage.bundled import data_path
from workbench.structures.loading import load


def _stretched(water: Atoms, by: float) -> Atoms:
    """Water with one O-H bond longer by so many A."""
    stretched = water.copy()
    stretched.set_distance(0, 1, stretched.get_distance(0, 1) + by, fix=0)
    return stretched


def test_a_bond_length_between_two_training_intervals_is_outside():
    """C-H distances in ethanol: bonds of 1.1 A, second neighbours of 2 A, none between."""
    ethanol = molecule("CH3CH2OH")
    domain = ApplicabilityDomain(
        **json.loads(json.dumps(ApplicabilityDomain.of([ethanol]).to_json()))
    )
    assert domain.outside_domain(ethanol) is None
    hydrogen = int(ethanol.get_distances(0, range(len(ethanol))).argsort()[1])
    ethanol.set_distance(0, hydrogen, 1.5, fix=0)
    sentence = domain.outside_domain(ethanol) or ""
    assert "C-H at 1.50 A (training: 1.09 to 1.10 and 1.95 to 2.16)" in sentence


def test_a_domain_without_bond_lengths_from_an_older_file_is_accepted():
    old = ApplicabilityDomain({"H2O": 1}, {"H-H": 1.5, "H-O": 0.96})
    assert old.outside_domain(_stretched(molecule("H2O"), 0.3)) is None


def test_each_reason_to_be_outside_has_its_message():
    water = molecule("H2O")
    domain = ApplicabilityDomain.of([water])
    assert ApplicabilityDomain(**domain.to_json()).outside_domain(water) is None
    charged = water.copy()
    charged.info["charge"] = 1
    assert "has charge +1 e, but the model was trained on charge 0" in (
        domain.outside_domain(charged) or ""
    )
    assert ApplicabilityDomain.of([water, charged]).outside_domain(charged) is None
    assert "do not occur in the training set" in (domain.outside_domain(molecule("CH3OH")) or "")
    squeezed = water.copy()
    squeezed.positions *= 0.8
    assert "closer than any" in (domain.outside_domain(squeezed) or "")
    assert domain.outside_domain(_stretched(water, 0.05)) is None
    assert "distances unlike any" in (domain.outside_domain(_stretched(water, 0.3)) or "")
    assert "from its nearest atom" in (domain.outside_domain(_stretched(water, 3.0)) or "")
    far = Atoms("OHHH", [[0, 0, 0], [0.97, 0, 0], [-0.24, 0.94, 0], [5, 5, 5]])
    assert "trained on H2O only" in (domain.outside_domain(far) or "")
    model = random_model()
    model.info = {"domain": domain.to_json(), "dataset": {"name": "water.h5"}, "history": []}
    with pytest.warns(DomainWarning, match="do not occur in the training set"):
        model.predict(molecule("CH3OH"))
    assert "1 x H2O" in model.summary()


def test_unpaired_electrons_are_outside():
    oxygen = molecule("H2O")
    domain = ApplicabilityDomain.of([oxygen])
    oxygen.info["spin"] = 2
    assert "has 2 unpaired electrons" in (domain.outside_domain(oxygen) or "")


def test_the_sentence_names_the_atoms_whose_environments_are_unlike_the_training_set():
    """N2 as long as hydrazine's bond; domains of older files record no environments."""
    recorded = ApplicabilityDomain.of([molecule("N2"), molecule("N2H4")]).to_json()
    recorded["loneliest"] = {}  # one atom of nitrogen is farther from the other than any trained on
    wrong = Atoms("N2", [[0, 0, 0], [0, 0, 1.44]])
    sentence = ApplicabilityDomain(**recorded).outside_domain(wrong) or ""
    assert sentence.startswith("Atoms N0, N1 of N2 have environments unlike any in the training")
    del recorded["environments"]
    assert ApplicabilityDomain(**recorded).outside_domain(wrong) is None


def _wrong_structures() -> dict[str, Atoms]:
    """Structures on which `organic` has large errors, by what is wrong."""
    acetone, hydrazine = load("smiles:CC(=O)C"), load("smiles:NN")
    wrong = {"cyanogen fluoride": load("smiles:FC#N"), "N2": Atoms("N2", [[0, 0, 0], [0, 0, 1.46]])}
    for factor in (1.1, 1.2):
        wrong[f"acetone times {factor}"] = acetone.copy()
        wrong[f"acetone times {factor}"].positions *= factor
    ends = [i for i, symbol in enumerate(hydrazine.symbols) if symbol == "N"]
    bond = hydrazine.positions[ends[1]] - hydrazine.positions[ends[0]]
    near = hydrazine.get_distances(ends[1], range(len(hydrazine))) < 1.2  # this half of it
    for by in (-0.25, 0.25):
        wrong[f"hydrazine, N-N {by:+} A"] = hydrazine.copy()
        wrong[f"hydrazine, N-N {by:+} A"].positions[near] += by * bond / np.linalg.norm(bond)
    wrong["triplet"] = load("water")
    wrong["triplet"].info["spin"] = 2
    wrong["water, O-H +0.2 A"] = _stretched(load("water"), 0.2)
    return wrong


@pytest.mark.parametrize("wrong", _wrong_structures())
def test_organic_warns_where_its_errors_are_large(wrong):
    assert load_model("organic").outside_domain(_wrong_structures()[wrong]) is not None


@pytest.mark.parametrize(
    "name", ["smiles:CC(=O)C", "smiles:NN", "N2", "water", "ethanol", "uracil"]
)
def test_organic_does_not_warn_of_usual_molecules(name):
    assert load_model("organic").outside_domain(load(name)) is None


@pytest.mark.parametrize(
    ("names", "share"),
    [
        (["organic"], 0.05),
        (["water", "ethanol", "malondialdehyde", "uracil"], 0.01),
        (["mg-mini", "bg-mini", "mm-mini", "bb-mini", "bt-mini", "bs-mini"], 0.0),
    ],
    ids=["unseen molecules", "single molecules", "crystals"],
)
def test_few_test_structures_are_outside(names, share):
    outside = []
    for name in names:
        model = load_model(name)
        with Dataset(data_path("datasets", f"{name}.h5")) as dataset:
            structures = [dataset.atoms(int(i)) for i in dataset.split("test")]
        outside += [model.outside_domain(atoms) is not None for atoms in structures]
    assert np.mean(outside) <= share
