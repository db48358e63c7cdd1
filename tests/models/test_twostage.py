"""Both stages as a model: hermitian predictions, several structures at once, summary, errors."""

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from tests.data.make_golden import golden_atoms, make
from tests.support.networks import BASIS, SMALL, distorted_ethanol, random_model, refining_model
from workbench.hamiltonians.basis import Basis
from workbench.models import twostage
from workbench.models.twostage import TwoStageModel


def test_both_stages_are_hermitian():
    model = random_model()
    with torch.no_grad():
        model.refiner.pair_head.readout.shared[0].normal_()
        model.refiner.node_head.readout.shared[0].normal_()
    prediction = model.predict(distorted_ethanol())
    for H in (prediction.baseline, prediction.refined):
        assert (H - H.hermitian()).max_abs() < 1e-5


def test_several_structures_at_once_are_predicted_as_one_by_one(monkeypatch):
    model = refining_model().to(torch.float64)
    monkeypatch.setattr(twostage, "BATCH", 200)  # pairs at once: several batches
    structures = [distorted_ethanol(), molecule("H2O"), Atoms("O"), molecule("CH4")] * 9
    together = model.predict(structures)
    assert len(together) == len(structures)
    for atoms, prediction in zip(structures[:4], together[-4:], strict=True):
        alone = model.predict(atoms)
        for stage in ("baseline", "refined"):
            a, b = getattr(alone, stage), getattr(prediction, stage)
            assert (a - b).max_abs() < 1e-9 * a.max_abs()
        torch.testing.assert_close(alone.features.edge, prediction.features.edge)


def test_the_summary_names_elements_and_training():
    text = random_model().summary()
    assert "H, C, O" in text
    assert "not trained" in text


def test_unknown_elements_and_a_guess_with_spin_are_refused():
    model = random_model()
    with pytest.raises(ValueError, match="not F"):
        model.predict(molecule("HF"))
    with pytest.raises(ValueError, match="guess has no spin"):
        TwoStageModel(Basis("x", BASIS.shells, True), SMALL, model.scaling)


@pytest.mark.parametrize("weight", [float("nan"), 3e38])
def test_a_prediction_that_is_not_finite_is_not_given_out(weight):
    model = make()
    with torch.no_grad():
        for parameter in model.baseline.node_head.parameters():
            parameter.fill_(weight)
    with pytest.raises(ValueError, match="not finite, since the weights are damaged"):
        model.predict(golden_atoms())
    with pytest.raises(ValueError, match="not finite, since the weights are damaged"):
        model.stage1(golden_atoms())
