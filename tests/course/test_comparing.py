"""The tasks of the page that compares models: what is right, and what is said of each mistake."""

import numpy as np
import pytest
from ase.build import molecule

import workbench as wb
from workbench.course import comparing as task
from workbench.datasets.dataset import Sample
from workbench.engines.pyscf_molecules import reference
from workbench.evaluation.bootstrap import paired_difference
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import rotate


@pytest.fixture(scope="module")
def sample():
    """Methanol's parent, formaldehyde, RHF/STO-3G, lying askew."""
    atoms = rotate(molecule("H2CO"), random_rotation(np.random.default_rng(3)))
    ref = reference(atoms, basis="sto-3g", xc="hf")
    return Sample(atoms, ref.H, ref.energy, ref.n_electrons)


@pytest.mark.parametrize("place", task.PLACES)
def test_an_error_is_as_large_as_asked_wherever_it_sits(sample, place):
    H = task.misplaced(sample, place, 2.0)
    assert 1000 * (H - sample.H).mae() == pytest.approx(2.0)
    np.testing.assert_allclose(H.dense(), H.dense().T)


def test_an_error_moves_the_levels_that_its_place_says(sample):
    before, n = wb.levels(sample.H, sample.S), sample.n_electrons // 2
    moved = {
        place: wb.levels(task.misplaced(sample, place, 1.0), sample.S) - before
        for place in task.PLACES
    }
    homo, lumo = moved["HOMO"], moved["LUMO"]
    assert homo[n - 1] > 0.01
    assert np.abs(np.delete(homo, n - 1)).max() < 1e-9
    assert lumo[n] > 0.01
    assert np.abs(np.delete(lumo, n)).max() < 1e-9
    shift = moved["zero of energy"]
    assert np.ptp(shift) < 1e-9
    assert shift[0] == pytest.approx(1e-3 / sample.S.mae(), rel=1e-9)
    core = np.abs(moved["core orbitals"][:2]).mean()
    assert core > 10 * np.abs(moved["everywhere"][:2]).mean()
    assert np.abs(moved["combination of least overlap"]).argmax() >= n, "an empty level"


def test_the_verdict_distinguishes_the_mean_over_existing_elements():
    ref = reference(molecule("H2O"), basis="sto-3g", xc="hf")
    wrong = ref.H + 0.001 * ref.S
    difference = wrong - ref.H
    padded, right = 1000 * np.abs(difference.values).mean(), 1000 * difference.mae()
    assert padded < right
    share = difference.mask.mean()
    orbitals = (5 + 1 + 1) / 15
    for answer, says in {
        right: "Right: 22% of the padded",
        padded: "padding included",
        padded * share: "factor is inverted",
        padded / orbitals: "rows and columns",
        1000 * np.abs(difference.values).sum(): "that is a sum",
        right / 1000: "in eV",
        1.7 * right: "the padded mean is",
    }.items():
        assert says in str(task.undiluted(answer, difference))


def test_a_longer_reach_dilutes_the_mean_by_the_number_of_pairs():
    sheet = wb.Dataset("graphene")[0]
    wrong = sheet.H + 0.01 * sheet.S
    on_site = 10 * np.abs(sheet.S.values[~sheet.S.off_site]).mean()
    assert task.mae_within(wrong, sheet.H, sheet.atoms, 1.0) == pytest.approx(on_site)
    near, far = (task.mae_within(wrong, sheet.H, sheet.atoms, r) for r in (9.0, 18.0))
    # Beyond 7 A both are zero: the sums agree, and the mean falls with the area.
    assert near / far == pytest.approx(4, rel=0.06)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda shifted, S: shifted - 0.2 * S, "had no physical meaning"),
        (lambda shifted, S: shifted, "the shifted matrix itself"),
        (lambda shifted, S: shifted + 0.2 * S, "a shift of +0.400 eV is left"),
        (lambda shifted, S: shifted - 0.1 * S, "a shift of +0.100 eV is left"),
        (lambda shifted, S: shifted - 0.2 * unit(S), "c S also has elements"),
        (lambda shifted, S: shifted - 0.3 * ones(S), "not a multiple of S"),
    ],
)
def test_a_zero_is_put_right_by_c_times_S(sample, answer, says):
    shifted = sample.H + 0.2 * sample.S
    verdict = task.aligned_zero(answer(shifted, sample.S), shifted, sample.H, sample.S)
    assert says in verdict.why
    assert bool(verdict) == ("no physical meaning" in says)


def test_the_same_mean_error_is_a_shift_or_a_wrong_gap(sample):
    """Of three matrices with an error of 5 meV only the shifted one is right without its shift."""
    rows = [line.split() for line in task.same_error(sample, 5.0).splitlines()[1:]]
    numbers = {name: [float(v) for v in row[-6:]] for name, row in zip("zeh", rows, strict=True)}
    assert all(row[0] == 5.0 for row in numbers.values())
    _, free, shift, levels, free_levels, gap = numbers["z"]
    assert free == free_levels == gap == 0
    assert levels == shift > 5
    for name in "eh":
        assert numbers[name][1] > 4
        assert numbers[name][-1] > 5


def unit(S):
    return wb.BlockMatrix.from_dense(S.basis, S.numbers, np.eye(S.n_ao))


def ones(S):
    return wb.BlockMatrix.from_dense(S.basis, S.numbers, np.ones((S.n_ao, S.n_ao)))


def test_a_split_must_not_part_a_group():
    groups = np.repeat(np.arange(10), 3)
    assert task.split_by_group(groups < 3, groups)
    frames = np.arange(30) % 3 == 0
    assert "10 of 10 molecules are on both sides" in task.split_by_group(frames, groups).why
    assert "between 10 and 50 %" in task.split_by_group(groups < 9, groups).why
    assert "for each of the 30 structures" in task.split_by_group([0, 1, 2], groups).why


def test_a_leak_makes_a_learner_look_better():
    organic = wb.Dataset("organic")
    samples = organic.split("test")[:90]
    groups = organic.groups[samples]
    by_frames = np.arange(90) % 3 == 0
    by_molecules = np.isin(groups, np.unique(groups)[::3])
    leaky, honest = (task.unseen(organic, samples, t) for t in (by_frames, by_molecules))
    assert 0 < leaky < 0.6 * honest


def test_a_paired_interval_knows_a_difference_from_noise():
    rng = np.random.default_rng(1)
    hard = rng.lognormal(size=200)
    found = paired_difference(hard + 0.1 + 0.02 * rng.normal(size=200), hard)
    assert found.decided
    assert found.low < 0.1 < found.high
    assert found.high - found.low < 0.01
    # The interval of a mean of normal numbers is 2 x 1.96 of its standard error wide.
    noise = rng.normal(size=400)
    wide = paired_difference(noise, np.zeros(400))
    assert not wide.decided
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * noise.std() / 20, rel=0.06)


def test_groups_that_resemble_themselves_widen_an_interval():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), 10)
    errors = rng.normal(size=12)[groups] + 0.1 * rng.normal(size=120)
    single, whole = (paired_difference(errors, np.zeros(120), g) for g in (None, groups))
    assert whole.high - whole.low > 2 * (single.high - single.low)
    assert single.mean == whole.mean
    assert paired_difference(errors, np.zeros(120), groups) == whole, "seeded"


def test_an_interval_needs_pairs():
    with pytest.raises(ValueError, match="do not pair"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="needs two structures or groups"):
        paired_difference([1, 2], [1, 2], [7, 7])


def test_the_verdict_distinguishes_an_interval_from_others():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(8), 6)
    b = rng.lognormal(size=48)
    a = b + 0.5 + 0.3 * rng.normal(size=8)[groups] + 0.1 * rng.normal(size=48)
    right = paired_difference(a, b, groups)
    assert task.interval((right.low, right.high), a, b, groups)
    single = paired_difference(a, b)
    for answer, says in {
        tuple(np.percentile(a - b, [2.5, 97.5])): "interval of single structures",
        (-right.high, -right.low): "sign is reversed",
        (single.low, single.high): "resample whole groups",
        (right.low - 1, right.high + 1): "Resample the differences",
        (right.low + 5, right.high + 5): "its middle",
        (1.0,): "two numbers",
    }.items():
        assert says in str(task.interval(answer, a, b, groups))


def test_a_metric_can_smile_while_the_gap_weeps(sample):
    predicted = task.misplaced(sample, "everywhere", 5.0)
    assert "not better" in task.flattered(sample, predicted, 0.0, 0.0).why
    assert "not better" in task.flattered(sample, predicted, 0.5, 50.0).why
    assert "add more" in task.flattered(sample, predicted, 0.9, 0.0).why
    assert task.flattered(sample, predicted, 0.9, 4.0)
