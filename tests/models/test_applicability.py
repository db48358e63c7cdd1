"""Applicability domain: which structures are outside it, and the message for each reason."""

import json

import pytest
from ase import Atoms
from ase.build import molecule

from tests.support.networks import random_model
from workbench.models.applicability import ApplicabilityDomain, DomainWarning


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
