"""The page about stage 1: tasks that say what is wrong, and toys that are what they should be."""

import numpy as np
import pytest
import torch
from e3nn import o3

import workbench as wb
from workbench import views
from workbench.course import edge_maps, networks, nonlinearity
from workbench.course import stage_one as task
from workbench.evaluation.equivariance import equivariance
from workbench.hamiltonians.rotations import along_z, random_rotation
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.models.config import ModelConfig

SMALL = ModelConfig(guess="none", channels=4, layers=1, radial=6, readout=12, pair_readout=6)


# ---- tasks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda s, v, r: s * r + v,
        lambda s, v, r: s * v + (v @ r) * r,
        lambda s, v, r: np.tanh(s) * v / (1 + r @ r),
        lambda s, v, r: s * np.cross(np.cross(v, r), r),
    ],
)
def test_any_message_that_turns_flips_and_depends_on_all_is_right(answer):
    assert task.message(answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda s, v, r: s + v * r, "single components"),
        (lambda s, v, r: v * r, "component by component"),
        (lambda s, v, r: s * v * r, "v @ r"),
        (lambda s, v, r: s + v, "l = 0 and l = 1 cannot be added"),
        (lambda s, v, r: s + v + r, "l = 0 and l = 1 cannot be added"),
        (lambda s, v, r: s * np.cross(v, r), "axial"),
        (lambda s, v, r: s * r + v + np.cross(v, r), "1o with 1e"),
        (lambda s, v, r: v + r, "neighbour's scalar s"),
        (lambda s, v, r: s * r, "neighbour's vector v"),
        (lambda s, v, r: s * v, "depend on the edge r"),
        (lambda s, v, r: v @ r, "a number"),
        (lambda s, v, r: np.outer(v, r), "shape (3, 3)"),
        (lambda s, v, r: 0 * v, "zero"),
        (lambda s, v, r: v / 0 * s, "not finite"),
        (lambda s, v, r: v @ np.ones(4), "ValueError"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_verdict_explains_a_wrong_message(answer, says):
    verdict = task.message(answer)
    assert not verdict
    assert says in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda s, v: np.tanh(s) * v, ""),
        (lambda s, v: v / (1 + v @ v), ""),
        (lambda s, v: s * v, ""),
        (lambda s, v: np.tanh(v), "component of v is not an invariant"),
        (lambda s, v: np.maximum(v, 0), "component of v is not an invariant"),
        (lambda s, v: 2 * v, "linear"),
        (lambda s, v: np.linalg.norm(v), "three components"),
    ],
)
def test_a_non_linearity_multiplies_by_invariants(answer, says):
    verdict = task.nonlinearity(answer)
    assert bool(verdict) == (not says)
    assert says in verdict.why


def test_free_numbers_are_counted_and_other_counts_named():
    assert task.free_numbers(len(edge_maps.so2_maps(2)), 2)
    assert task.free_numbers(len(edge_maps.so2_maps(4)), 4)
    for answer, says in [
        (81, "without any symmetry"),
        (3, "every* axis"),
        (9, "only m = 0"),
        (19, "separately"),
        (6, "number of components"),
        (7, "continue with smaller"),
    ]:
        verdict = task.free_numbers(answer, 2)
        assert not verdict
        assert says in verdict.why


# ---- maps along an edge ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def product():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    try:
        spd = o3.Irreps("0e + 1o + 2e")
        return o3.FullyConnectedTensorProduct(
            spd, o3.Irreps.spherical_harmonics(4), spd, compile_right=True
        )
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_tensor_product_is_an_so2_map(product):
    edges = np.random.default_rng(0).normal(size=(20, 3))
    exact = np.array([edge_maps.map_of_product(product, r) for r in edges])
    weights = edge_maps.so2_weights(exact[0], edges[0])
    assert len(weights) == product.weight_numel == 14
    np.testing.assert_allclose(edge_maps.so2_map(weights, edges, 2), exact, atol=1e-12)


def test_edge_frames_sort_the_components_of_the_rotated_edge():
    """Rows are those of a turn of the edge onto z, up to a turn about z, which keeps |m|."""
    vector = np.array([0.3, -1.2, 0.7])
    frame = edge_maps.edge_frames([vector], 2)[0]
    sort = edge_maps.edge_frames([(0, 0, 1.0)], 2)[0]
    other = sort @ wigner_blocks([0, 1, 2], along_z(vector))
    between = frame @ other.T
    borders = edge_maps.frame_axis(2)["borders"]
    m = np.repeat([0, 1, 1, 2, 2], np.diff(borders))
    assert np.abs(between[m[:, None] != m]).max() < 1e-12
    np.testing.assert_allclose(frame @ frame.T, np.eye(9), atol=1e-12)
    names = edge_maps.shell_axis(2)["orbitals"]
    placed = [names[k] for k in np.abs(sort).argmax(axis=1)]
    assert placed == ["s", "z", "z2", "x", "xz", "y", "yz", "x2-y2", "xy"]


def test_the_finite_groups_stand_for_all_turns():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(9, 9))
    everything, about = (edge_maps.commuting(W, g) for g in edge_maps.GROUPS.values())
    for _ in range(5):
        R = random_rotation(rng)
        D = wigner_blocks([0, 1, 2], R)
        np.testing.assert_allclose(D @ everything, everything @ D, atol=1e-12)
        D = wigner_blocks([0, 1, 2], wb.rotation((0, 0, 1), rng.uniform(0, 360)))
        np.testing.assert_allclose(D @ about, about @ D, atol=1e-12)
    assert len(np.unique(everything[np.abs(everything) > 1e-9].round(9))) == 3
    units = edge_maps.so2_maps(2).reshape(14, -1)
    sort = edge_maps.edge_frames([(0, 0, 1.0)], 2)[0]
    flat = (sort @ about @ sort.T).ravel()
    np.testing.assert_allclose(flat @ np.linalg.pinv(units) @ units, flat, atol=1e-12)


def test_costs_are_measured_and_threads_left_alone():
    before = torch.get_num_threads()
    assert all(spent > 0 for spent in edge_maps.costs(1, 2, 10))
    assert torch.get_num_threads() == before


# ---- non-linearities ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "learns"),
    [
        ("none", {"2 v"}),
        ("norm |v|", {"2 v", "v/(1+v²)"}),
        ("gate s", {"2 v", "sin(3s) v"}),
        ("gate s, v·r", {"2 v", "sin(3s) v", "(v·r)² v"}),
    ],
)
def test_a_kind_learns_what_it_reads_and_keeps_the_law(kind, learns):
    for target in nonlinearity.TARGETS:
        error, *violations = nonlinearity.learned(kind, target)
        assert max(violations) < 1e-9  # under a rotation and under inversion
        assert error < 1e-3 if target in learns else error > 0.1


def test_an_ordinary_layer_breaks_the_law():
    for target in ("sin(3s) v", "(v·r)² v"):
        error, rotation, inversion = nonlinearity.learned("SiLU on all", target)
        assert error < 0.7
        assert rotation > 0.1
        assert inversion > 0.1


def test_targets_turn():
    rng = np.random.default_rng(0)
    sample, R = nonlinearity.draw(20, rng), random_rotation(rng)
    for target in nonlinearity.TARGETS.values():
        np.testing.assert_allclose(target(sample.turned(R)), target(sample) @ R.T, atol=1e-12)


# ---- networks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(tiny_path):
    with wb.Dataset(tiny_path) as opened:
        yield opened


def test_make_gives_the_weights_that_training_starts_from(dataset):
    how = wb.TrainConfig(wb.Budget(steps=1), None, 4, learning_rate=0.0)
    trained = next(iter(wb.train(SMALL, dataset, how))).model.baseline.state_dict()
    made = networks.make(dataset, SMALL).baseline.state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in made.items())


def test_solved_does_what_training_does_in_no_step(dataset):
    *_, last = wb.train(SMALL, dataset, wb.TrainConfig(wb.Budget(steps=0), None))
    solved = networks.solved(dataset, SMALL)
    error = networks.error_mev(solved.stage1, dataset)
    assert error == pytest.approx(1000 * last.valid_mae_ev, rel=1e-3)
    assert error < networks.error_mev(networks.make(dataset, SMALL).stage1, dataset)


@pytest.mark.parametrize("change", [None, *networks.CHANGES])
def test_mistakes_break_the_law_and_nothing_else_does(dataset, change):
    atoms = dataset.atoms(0)
    stage1 = networks.make(dataset, SMALL, change).stage1
    report = equivariance({"it": stage1}, atoms, samples=2)
    if change in networks.MISTAKES:
        assert report["it"].mae_mev > 10
    else:
        assert report["it"].max_mev < 2e-6 * report.largest["it"]


def test_with_permuted_axes_norms_stand_still_all_the_same(dataset):
    """So the page says: inside, all turns, but by another frame than the orbitals'."""
    atoms, R = dataset.atoms(0), wb.rotation((1, 2, 3), 70)
    model = networks.make(dataset, SMALL, "axes permuted")
    before, after = (model.predict(a).features.by_irrep() for a in (atoms, wb.rotate(atoms, R)))
    for name, x in before.items():
        torch.testing.assert_close(after[name].norm(dim=2), x.norm(dim=2), rtol=1e-4, atol=1e-5)


# ---- what else the page uses ----------------------------------------------------------------


def test_features_by_irrep_turn_as_e3nn_says(dataset):
    atoms, R = dataset.atoms(0), wb.rotation((1, 2, 3), 70)
    model = networks.make(dataset, SMALL)
    before, after = (model.predict(a).features.by_irrep() for a in (atoms, wb.rotate(atoms, R)))
    permuted = torch.tensor(R[[1, 2, 0]][:, [1, 2, 0]])
    for name, x in before.items():
        D = o3.Irrep(name).D_from_matrix(permuted).to(x)
        torch.testing.assert_close(after[name], x @ D.T, rtol=1e-4, atol=1e-4)
    assert sum(x[0].numel() for x in before.values()) == model.predict(atoms).features.node.shape[1]


def test_curves_leave_out_what_a_logarithm_cannot_show():
    series = {"a": ([1, 2, 3], [10.0, 0.0, 0.1]), "b": ([1, 2, 3], [5.0, np.nan, 7.0])}
    figure = views.curves(series, "Two", "step", "error in meV", "meV", ticks=[1, 2, 3])
    assert [list(trace.y) for trace in figure.data] == [[10.0, 0.1], [5.0, 7.0]]
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 3]
    assert "a goes from 10.0 meV at 1 to 0.100 meV at 3" in views.alt_text(figure)
    with pytest.raises(ValueError, match="no positive value"):
        views.curves({"a": ([1], [0.0])}, "None", "step", "error")
