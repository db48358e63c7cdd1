"""Both stages: exact symmetry of stage 1, what stage 2 starts as, and honest refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from tests.support.networks import BASIS, SMALL, random_model, refining_model
from workbench.evaluation.equivariance import equivariance
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.rotations import random_rotation, random_rotations
from workbench.models import twostage
from workbench.models.applicability import ApplicabilityDomain, DomainWarning
from workbench.models.config import ModelConfig
from workbench.models.equivariant_layers import SO2Convolution
from workbench.models.geometry import GeometryBuilder
from workbench.models.stage1 import Stage1
from workbench.models.tensor_product import TensorProductConvolution
from workbench.models.twostage import TwoStageModel
from workbench.structures.loading import load

PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 2e-6)]  # of the largest element


@pytest.fixture(scope="module", params=[SO2Convolution, TensorProductConvolution])
def predictors(request):
    """Stage 1 per precision, built in it: e3nn's tensor product keeps the type it was built in."""
    models = {}
    for dtype, _ in PRECISIONS:
        model = random_model()
        torch.set_default_dtype(dtype)
        try:
            model.baseline = Stage1(model.irreps, SMALL, convolution=request.param)
        finally:
            torch.set_default_dtype(torch.float32)
        models[dtype] = model.to(dtype).stage1
    return models


@pytest.mark.parametrize("kind", ["rotation", "inversion", "translation", "permutation"])
@pytest.mark.parametrize(("dtype", "bound"), PRECISIONS)
def test_stage1_is_equivariant_before_any_training(predictors, kind, dtype, bound):
    report = equivariance(
        {"stage 1": predictors[dtype]}, molecule("CH3CH2OH"), samples=2, kind=kind
    )
    assert report["stage 1"].max_mev <= bound * report.largest["stage 1"]


def test_improper_rotations_too(predictors):
    """Pseudo-tensors: a mirror that is no inversion, on a chiral geometry."""
    stage1, atoms = predictors[torch.float64], _chiral()
    reflection = -random_rotation(np.random.default_rng(5))
    turned = atoms.copy()
    turned.positions = atoms.positions @ reflection.T
    H, H_turned = stage1(atoms), stage1(turned)
    assert (H_turned - H.rotate(reflection)).max_abs() < 1e-9 * H.max_abs()


def test_every_existing_element_is_predicted():
    """No shell pair is out of reach of the features: each path of each class gets a value."""
    H = random_model().to(torch.float64).stage1(_chiral())
    for i, j in ((0, 0), (2, 2), (0, 2), (0, 5), (5, 6)):
        block = H.block(i, j)
        zeros = np.abs(block) < 1e-12
        assert not zeros.any(), (i, j, np.argwhere(zeros))


def _chiral():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=1)
    return atoms


def test_both_stages_are_hermitian():
    model = random_model()
    with torch.no_grad():
        model.refiner.pair_head.readout.shared[0].normal_()
        model.refiner.node_head.readout.shared[0].normal_()
    prediction = model.predict(_chiral())
    for H in (prediction.baseline, prediction.refined):
        assert (H - H.hermitian()).max_abs() < 1e-5


def test_stage2_starts_exactly_at_the_baseline_and_is_not_equivariant_by_construction():
    model = random_model()
    prediction = model.predict(_chiral())
    assert (prediction.refined - prediction.baseline).max_abs() == 0
    with torch.no_grad():
        model.refiner.pair_head.readout.shared[0].normal_()
    predictors = {"stage 1": model.stage1, "stages 1+2": model}
    report = equivariance(predictors, _chiral(), samples=2)
    assert report["stages 1+2"].max_mev > 1e3 * report["stage 1"].max_mev


def test_features_turn_as_their_irreps():
    from e3nn import o3

    model = random_model().to(torch.float64)
    atoms, R = _chiral(), random_rotation(np.random.default_rng(6))
    turned = atoms.copy()
    turned.positions = atoms.positions @ R.T
    here, there = (model.predict(a).features for a in (atoms, turned))
    axes = [1, 2, 0]
    D = o3.Irreps(here.irreps).D_from_matrix(torch.tensor(R[np.ix_(axes, axes)]))
    for name in ("node", "edge"):
        after, before = getattr(there, name), getattr(here, name)
        size = float(before.abs().max())
        torch.testing.assert_close(after, before @ D.T.double(), atol=1e-6 * size, rtol=0)


def test_single_atoms_and_far_atoms():
    model = random_model()
    assert model.stage1(Atoms("O")).values.shape == (1, BASIS.dim, BASIS.dim)
    pair = Atoms("OH", [[0, 0, 0], [0, 0, 30.0]])
    assert model.predict(pair).refined.edges.shape == (2, 2)


def test_the_cutoff_is_smooth():
    """An atom that crosses the cutoff takes nothing with it; a guess has none."""
    model = random_model(replace(SMALL, guess="none", cutoff=4.0)).to(torch.float64)

    def on_site(distance):
        return model.stage1(Atoms("OHH", [[0, 0, 0], [0, 0, 1.0], [distance, 0, 0]])).block(0, 0)

    assert np.abs(on_site(4.0 - 1e-4) - on_site(4.0 + 1e-4)).max() < 1e-9


def test_several_compositions_share_one_batch():
    """A batch of different molecules gives what each gives alone."""
    from workbench.models.graph import build
    from workbench.training.batching import Store

    model = random_model().to(torch.float64)
    molecules = [molecule(name) for name in ("H2O", "CH4", "CO2")]
    graphs = [build(a, model.config.cutoff) for a in molecules]
    store = Store(graphs, torch.tensor([1, 1, 1]))
    part = store.select(torch.tensor([2, 0]))
    geometry = model.geometry(part.graph)
    blocks = model.codec.stage1_blocks(
        model.baseline(part.graph, geometry), part.graph.reverse, geometry
    )
    water = graphs[0]
    geometry = model.geometry(water)
    alone = model.codec.stage1_blocks(model.baseline(water, geometry), water.reverse, geometry)
    torch.testing.assert_close(blocks.nodes[3:], alone.nodes)
    torch.testing.assert_close(blocks.pairs[-6:], alone.pairs)


def test_refusals_are_sentences():
    model = random_model()
    with pytest.raises(ValueError, match="not F"):
        model.predict(molecule("HF"))
    with pytest.raises(ValueError, match="lmax=4"):
        ModelConfig(lmax=3).check(BASIS)
    with pytest.raises(ValueError, match="multiple"):
        ModelConfig(refiner_width=30)
    with pytest.raises(ValueError, match="guess has no spin"):
        TwoStageModel(Basis("x", BASIS.shells, True), SMALL, model.scaling)


def test_config_round_trip():
    assert ModelConfig.from_json(SMALL.to_json()) == SMALL


def test_frames_put_pairs_on_the_axis():
    builder = GeometryBuilder(BlockIrreps(BASIS), SMALL)
    vectors = torch.tensor([[0, 0, 1.0], [0, 0, -2.0], [1e-9, 0, 1.0], [0.3, -0.2, 0.9]])
    D = builder.frames(vectors.double())[:, 1:4, 1:4]
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)[:, [1, 2, 0]]
    on_z = (D @ unit[:, :, None])[:, :, 0]
    torch.testing.assert_close(on_z, torch.tensor([[0, 1.0, 0]]).double().expand(4, 3))


@pytest.mark.parametrize("seed", [0, 1])
def test_cached_tokens_turn_into_those_of_the_turned_structure(seed):
    """What stage 2 trains on is what it will meet: no stage-1 run is needed in its loop."""
    model = random_model().to(torch.float64)
    atoms = _chiral()
    hand = (-1) ** seed
    turns = model.rotations(hand * random_rotations(1, [seed]), torch.zeros(1, dtype=torch.float64))
    turned = atoms.copy()
    turned.positions = atoms.positions @ turns.matrix[0].numpy().T
    graph, geometry, out = model._stage1([model.graph(atoms)])
    cached = model.tokens(out, graph, geometry).rotated(turns, graph.batch)
    graph, geometry, out = model._stage1([model.graph(turned)])
    fresh = model.tokens(out, graph, geometry)
    for name, value in vars(fresh).items():
        torch.testing.assert_close(getattr(cached, name), value, atol=1e-9, rtol=1e-9)


def test_many_structures_at_once_are_predicted_as_one_by_one(monkeypatch):
    model = refining_model().to(torch.float64)
    monkeypatch.setattr(twostage, "BATCH", 200)  # pairs at once: several batches
    structures = [_chiral(), molecule("H2O"), Atoms("O"), molecule("CH4")] * 9
    together = model.predict(structures)
    assert len(together) == len(structures)
    for atoms, found in zip(structures[:4], together[-4:], strict=True):
        alone = model.predict(atoms)
        for stage in ("baseline", "refined"):
            a, b = getattr(alone, stage), getattr(found, stage)
            assert (a - b).max_abs() < 1e-9 * a.max_abs()
        torch.testing.assert_close(alone.features.edge, found.features.edge)


def test_symmetrising_lowers_the_symmetry_error_of_stage_2():
    model, atoms = refining_model(), _chiral()
    errors = []
    for count in (1, 4, 16):
        predictor = {"both": lambda a, count=count: model.predict(a, symmetrise=count).refined}
        errors.append(equivariance(predictor, atoms, samples=4)["both"].mae_mev)
    assert errors[2] < 0.6 * errors[1] < 0.4 * errors[0]
    with pytest.raises(ValueError, match="1 orientation or more"):
        model.predict(atoms, symmetrise=0)


def _pulled(water: Atoms, by: float) -> Atoms:
    """Water with a hydrogen farther from its oxygen, A."""
    pulled = water.copy()
    pulled.set_distance(0, 1, pulled.get_distance(0, 1) + by, fix=0)
    return pulled


def test_bonds_that_training_did_not_have_are_told_from_gaps_between_its_lengths():
    """In ethanol C-H are bonds of 1.1 A or second neighbours of 2 A: nothing lies between."""
    ethanol = molecule("CH3CH2OH")
    domain = ApplicabilityDomain(
        **json.loads(json.dumps(ApplicabilityDomain.of([ethanol]).to_json()))
    )
    assert domain.outside_domain(ethanol) is None
    hydrogen = int(ethanol.get_distances(0, range(len(ethanol))).argsort()[1])
    ethanol.set_distance(0, hydrogen, 1.5, fix=0)
    said = domain.outside_domain(ethanol) or ""
    assert "C-H at 1.50 A (training: 1.09 to 1.10 and 1.95 to 2.16)" in said


def test_a_domain_of_before_bonds_were_kept_is_read():
    old = ApplicabilityDomain({"H2O": 1}, {"H-H": 1.5, "H-O": 0.96})
    assert old.outside_domain(_pulled(molecule("H2O"), 0.3)) is None


def test_a_structure_beyond_the_training_set_is_called_so():
    water = molecule("H2O")
    domain = ApplicabilityDomain.of([water])
    assert ApplicabilityDomain(**domain.to_json()).outside_domain(water) is None
    charged = water.copy()
    charged.info["charge"] = 1
    assert "has the charge +1 e, and the model was shown 0" in (
        domain.outside_domain(charged) or ""
    )
    assert ApplicabilityDomain.of([water, charged]).outside_domain(charged) is None
    assert "never shown" in (domain.outside_domain(molecule("CH3OH")) or "")
    squeezed = water.copy()
    squeezed.positions *= 0.8
    assert "closer than any" in (domain.outside_domain(squeezed) or "")
    assert domain.outside_domain(_pulled(water, 0.05)) is None
    assert "bonds unlike any" in (domain.outside_domain(_pulled(water, 0.3)) or "")
    assert "from its nearest atom" in (domain.outside_domain(_pulled(water, 3.0)) or "")
    far = Atoms("OHHH", [[0, 0, 0], [0.97, 0, 0], [-0.24, 0.94, 0], [5, 5, 5]])
    assert "shown H2O alone" in (domain.outside_domain(far) or "")
    model = random_model()
    model.info = {"domain": domain.to_json(), "dataset": {"name": "water.h5"}, "history": []}
    with pytest.warns(DomainWarning, match="never shown"):
        model.predict(molecule("CH3OH"))
    assert "1 x H2O" in model.summary()


def test_a_model_says_what_it_is():
    text = random_model().summary()
    assert "H, C, O" in text
    assert "not trained" in text


def test_stage_2_in_local_axes_is_equivariant_by_construction():
    model = refining_model(replace(SMALL, refiner_frame="local")).to(torch.float64)
    found = equivariance({"both": model}, _chiral(), samples=3)["both"]
    changed = (model.predict(_chiral()).refined - model.stage1(_chiral())).max_abs()
    assert found.max_mev < 1e-6 * 1000 * changed  # eV to meV
    assert changed > 0.1


@pytest.mark.parametrize("averages_inversion", [True, False])
def test_in_local_axes_inversion_is_kept_by_the_mean_over_both_images(averages_inversion):
    config = replace(SMALL, refiner_frame="local", refiner_mirrors=averages_inversion)
    model = refining_model(config).to(torch.float64)
    found = equivariance({"both": model}, _chiral(), samples=1, kind="inversion")["both"]
    assert (found.max_mev < 1e-3) is averages_inversion


@pytest.mark.parametrize("name", ["water", "methane", "benzene"])
@pytest.mark.parametrize("shift", [0.0, 1e-9, 1e-6])
def test_local_axes_are_none_where_symmetry_leaves_none(name, shift):
    """Exactly symmetric molecules, and such as a relaxation or a file of six digits leaves."""
    model = refining_model(replace(SMALL, refiner_frame="local")).to(torch.float64)
    atoms = load(name)
    atoms.positions += shift * np.random.default_rng(0).normal(size=atoms.positions.shape)
    found = equivariance({"both": model}, atoms, samples=3)["both"]
    assert found.max_mev < 1e-3
    pred = model.predict(atoms)
    correction = pred.refined - pred.baseline
    assert correction.max_abs() > 0.1  # pairs that have axes are still corrected
    assert abs(correction.block(0, 0)).max() < 1e-3  # the first atom of each has none


@pytest.mark.parametrize("left_out", ["refiner_features", "refiner_baseline"])
def test_stage_2_without_one_of_its_inputs(left_out):
    model = refining_model(replace(SMALL, **{left_out: False}))
    before = model.predict(_chiral())
    with torch.no_grad():
        for readout in (model.baseline.node_head.readout, model.baseline.pair_head.readout):
            for weight in readout.shared:
                weight.mul_(1.1)
    after = model.predict(_chiral())
    correction = after.refined - after.baseline - (before.refined - before.baseline)
    if left_out == "refiner_baseline":  # whatever stage 1 says, both stages say the same
        assert (after.refined - before.refined).max_abs() < 1e-6
    else:
        assert correction.max_abs() > 1e-3
