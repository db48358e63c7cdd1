"""Our small counterparts of the six published sets: sound labels, and models as their cards say."""

import re

import numpy as np
import pytest
from ase.data import atomic_numbers

import workbench as wb
from workbench.datasets.published_sets import SYSTEMS
from workbench.datasets.validation import check
from workbench.evaluation.reproduction import TESTED, default_config
from workbench.hamiltonians.spin_parts import EVEN, odd_part, to_parts
from workbench.storage.bundled import data_path
from workbench.structures.loading import pair_vectors
from workbench.training.cutoff import with_cutoff

SHIPPED = [s for s in SYSTEMS.values() if data_path("datasets", f"{s.mini}.h5").is_file()]
TRAINED = [s for s in SHIPPED if data_path("checkpoints", f"{s.mini}.safetensors").is_file()]
ROUNDING = 2e-4  # eV; matrices are stored in steps of 1e-4 or less
MAE_ALL = re.compile(r"^\| the same \(MAE_all\), meV \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def reported(data):
    return [split for split in TESTED if split in data.splits]


@pytest.mark.parametrize("system", SHIPPED, ids=lambda s: s.code)
def test_labels_are_hermitian_and_turn_with_their_atoms(system):
    """What a wrong order, sign or conjugate of the engine's matrices would break."""
    with wb.Dataset(system.mini) as data:
        assert data.periodic
        assert data.basis.spinor == system.spin_orbit
        assert set(data.basis.elements) == {atomic_numbers[e] for e in system.elements}
        assert ("twisted" in data.splits) <= ("twisted" in system.literature)
        for split in reported(data):
            sample = data[int(data.split(split)[0])]
            assert check(sample.atoms, sample.H, sample.S).complaint is None
            if system.spin_orbit:
                assert odd_part(sample.H.values) < ROUNDING
                on_site = to_parts(sample.H.values[(sample.H.shifts == 0).all(axis=1)], EVEN)
                assert np.abs(on_site[:, 1:]).max() > 0.1  # eV: the coupling is there


@pytest.mark.parametrize("system", SHIPPED, ids=lambda s: s.code)
def test_the_default_sizes_of_a_reproduction_suit_its_orbitals(system):
    """With spin, two d shells of an atom couple to axial l = 5."""
    with wb.Dataset(system.mini) as data:
        config = with_cutoff(default_config(system), data)
        config.check(data.basis)  # raises if an on-site irrep is out of the features' reach
        sample = data[int(data.split("train")[0])]
        distances = np.linalg.norm(pair_vectors(sample.H, sample.atoms), axis=1)
        assert config.cutoff > distances.max()


@pytest.mark.parametrize("system", TRAINED, ids=lambda s: s.code)
def test_a_model_is_as_good_as_its_card_says(system):
    said = MAE_ALL.findall(data_path("checkpoints", f"{system.mini}.md").read_text())
    model = wb.load_model(system.mini)
    with wb.Dataset(system.mini) as data:
        splits = reported(data)
        assert len(said) == len(splits)
        for split, numbers in zip(splits, said, strict=True):
            found = wb.evaluate(model, data, split, progress=False)
            for stage, number in zip(("baseline", "refined"), numbers, strict=True):
                assert found[stage]["mae_all_mev"] == pytest.approx(float(number), rel=0.01)
