"""The measure of errors, on callables whose symmetry is known: exact, floored and broken."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.networks import distorted_ethanol
from workbench.engines import dispatch, pyscf_molecules
from workbench.evaluation.equivariance import EquivarianceReport, PredictorError, equivariance
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import load, rotate

KINDS = ("rotation", "inversion", "translation", "permutation")
BASIS = pyscf_molecules.basis_of("def2-svp", [1, 6, 8])
seeds = st.integers(0, 2**32 - 1)


def overlap(atoms: Atoms) -> BlockMatrix:
    """Exactly equivariant: an integral, no grid."""
    return pyscf_molecules.overlap(atoms, BASIS)


def frozen(atoms: Atoms) -> BlockMatrix:
    """Broken: the overlap of the upright molecule, wherever the atoms are."""
    upright = load("water")
    by_element = np.argsort(np.argsort(-atoms.numbers, kind="stable"), kind="stable")
    return overlap(upright).permute(by_element.tolist())


def absolute(atoms: Atoms) -> BlockMatrix:
    """Broken: grows with the distance of the molecule from the origin."""
    return overlap(atoms) * (1 + float(np.linalg.norm(atoms.get_center_of_mass())))


def by_index(atoms: Atoms) -> BlockMatrix:
    """Broken: knows which atom came first."""
    matrix = overlap(atoms)
    values = matrix.values.copy()
    values[0] *= 2
    return replace(matrix, values=values)


def random_matrix(seed: int, basis: Basis = BASIS, numbers=(8, 1, 1)) -> BlockMatrix:
    rng = np.random.default_rng(seed)
    n = sum(basis.n_orbitals(z) for z in numbers) * (2 if basis.spinor else 1)
    dense = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if basis.spinor else 0)
    return BlockMatrix.from_dense(basis, numbers, dense)


# ---- matrix_errors -------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_errors_are_those_of_the_dense_matrices(seed):
    a, b = random_matrix(seed), random_matrix(seed + 1)
    difference = np.abs(a.dense() - b.dense())
    errors = matrix_errors(a, b)
    assert errors.mae_mev == pytest.approx(1000 * difference.mean())
    assert errors.max_mev == pytest.approx(1000 * difference.max())
    shells = np.concatenate([BASIS.shells[z] for z in a.numbers])
    l = np.repeat(shells, 2 * shells + 1)
    assert set(errors.shell_pairs) == {(x, y) for x in range(3) for y in range(3)}
    for (la, lb), (mean, largest) in errors.shell_pairs.items():
        part = difference[np.ix_(l == la, l == lb)]
        assert mean == pytest.approx(1000 * part.mean())
        assert largest == pytest.approx(1000 * part.max())


def test_errors_of_spinors_take_the_complex_modulus():
    basis = Basis("toy", {1: (0, 1)}, spinor=True)
    a = random_matrix(0, basis, (1,))
    errors = matrix_errors(a, a * 0.0)
    assert errors.mae_mev == pytest.approx(1000 * np.abs(a.dense()).mean())
    uu = np.abs(a.dense()).reshape(2, 4, 2, 4)[:, :1, :, :1]
    assert errors.shell_pairs[0, 0] == pytest.approx((1000 * uu.mean(), 1000 * uu.max()))


def test_elements_without_a_shell_are_not_counted():
    basis = Basis("toy", {1: (0,), 8: (0, 1)})
    a = BlockMatrix.from_dense(basis, [1, 1], np.ones((2, 2)))
    errors = matrix_errors(a, a * 0.0)
    assert (errors.mae_mev, errors.max_mev) == (1000, 1000)
    assert errors.shell_pairs == {(0, 0): (1000, 1000)}


def test_matrices_of_other_atoms_are_refused():
    with pytest.raises(ValueError, match="different atoms"):
        matrix_errors(random_matrix(0), random_matrix(0, numbers=(1, 8, 1)))


def test_merging_takes_the_mean_of_means_and_the_largest():
    one, two = Errors(1, 5, {(0, 0): (1, 5)}), Errors(3, 4, {(0, 0): (3, 4)})
    assert Errors.merged([one, two]) == Errors(2, 5, {(0, 0): (2, 5)})


# ---- equivariance --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["water", "ethanol"])
def test_an_exact_subject_shows_rounding_only(kind, name):
    report = equivariance({"overlap": overlap}, load(name), samples=3, seed=1, kind=kind)
    assert report["overlap"].max_mev < 1e-9
    assert report.largest["overlap"] == pytest.approx(1000)


@pytest.mark.parametrize(
    ("kind", "predictor"),
    [
        ("rotation", frozen),
        ("inversion", frozen),
        ("translation", absolute),
        ("permutation", by_index),
    ],
)
def test_a_broken_subject_shows_a_large_error(kind, predictor):
    report = equivariance({"exact": overlap, "broken": predictor}, load("water"), kind=kind)
    assert report["broken"].max_mev > 10
    assert report["exact"].max_mev < 1e-9


def test_blindness_to_orientation_is_no_breach_of_translation():
    report = equivariance({"frozen": frozen}, load("water"), samples=4, kind="translation")
    assert report["frozen"].max_mev < 1e-9


def test_the_error_is_where_the_definition_says():
    atoms, R = load("water"), random_rotation(np.random.default_rng(5))
    report = equivariance({"frozen": frozen}, atoms, R)
    assert report["frozen"] == matrix_errors(frozen(rotate(atoms, R)), frozen(atoms).rotate(R))
    # s-s elements are scalars: a frozen matrix has them right.
    assert report["frozen"].shell_pairs[0, 0][1] < 1e-9
    assert report["frozen"].shell_pairs[0, 1][1] > 10


def test_hartree_fock_is_exact_and_a_coarse_grid_has_a_floor():
    predictors = {
        "HF": dispatch.pyscf("sto-3g", "hf"),
        "PBE, grid 0": dispatch.pyscf("sto-3g", "pbe", grid=0),
    }
    report = equivariance(predictors, load("water"), seed=2)
    assert report["HF"].max_mev < 1e-3
    assert 0.01 < report["PBE, grid 0"].mae_mev < 100


def test_given_rotations_one_or_several():
    atoms, rng = load("water"), np.random.default_rng(0)
    several = np.stack([random_rotation(rng) for _ in range(3)])
    each = [equivariance({"f": frozen}, atoms, R)["f"] for R in several]
    report = equivariance({"f": frozen}, atoms, several)
    assert report["f"] == Errors.merged(each)
    assert (report.samples, report.seed) == (3, None)


def test_the_seed_decides_the_draw_and_all_subjects_meet_the_same():
    def measure(seed):
        return equivariance({"a": frozen, "b": frozen}, load("water"), samples=2, seed=seed)

    first, again, other = measure(0), measure(0), measure(1)
    assert first["a"] == first["b"] == again["a"]
    assert first["a"] != other["a"]


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_random_matrices_obey_the_group_law(seed):
    rng = np.random.default_rng(seed)
    first, second = random_rotation(rng), -random_rotation(rng)
    matrix = random_matrix(seed)
    error = matrix_errors(matrix.rotate(first).rotate(second), matrix.rotate(second @ first))
    assert error.max_mev < 1e-9


def test_a_single_atom_has_every_symmetry():
    for kind in KINDS:
        assert equivariance({"S": overlap}, Atoms("O"), kind=kind)["S"].max_mev < 1e-9


def test_subjects_cannot_disturb_one_another():
    def vandal(atoms: Atoms) -> BlockMatrix:
        matrix = overlap(atoms)
        atoms.positions += 1
        return matrix

    report = equivariance({"vandal": vandal, "overlap": overlap}, load("water"), samples=2)
    assert report["overlap"].max_mev < 1e-9


# ---- report --------------------------------------------------------------------------------------


def test_the_report_reads_as_text_and_as_json():
    report = equivariance({"exact": overlap, "frozen": frozen}, load("water"), samples=2, seed=7)
    assert isinstance(report, EquivarianceReport)
    caption, header, *rows = str(report).splitlines()
    assert "2 rotations, seed 7" in caption
    assert header.split() == ["meV", "MAE", "max", *(a + b for a in "spd" for b in "spd")]
    assert "under inversion" in caption
    names = [
        f"{name}, {kind}" for name in ("exact", "frozen") for kind in ("rotations", "inversion")
    ]
    assert [" ".join(row.split()[:2]) for row in rows] == names
    assert len({len(line) for line in (header, *rows)}) == 1
    shown = [float(row.split()[2]) for row in rows[2:]]
    assert shown == pytest.approx(
        [report["frozen"].mae_mev, report.inversion["frozen"].mae_mev], rel=0.01
    )
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    inverted = found["predictors"]["frozen"]["inversion"]
    assert inverted["mae_mev"] == report.inversion["frozen"].mae_mev
    assert found["predictors"]["frozen"]["mae_mev"] == report["frozen"].mae_mev
    assert set(found["predictors"]["frozen"]["shell_pairs"]["sp"]) == {"mae_mev", "max_mev"}
    assert (found["kind"], found["samples"], found["seed"]) == ("rotation", 2, 7)


def test_other_kinds_have_no_inversion_beside_them():
    report = equivariance({"frozen": frozen}, load("water"), kind="translation")
    assert not report.inversion
    assert "inversion" not in report.table()
    assert "inversion" not in report.to_json()["predictors"]["frozen"]


def test_the_inversion_beside_rotations_is_that_of_its_own_kind(one_handed):
    atoms = distorted_ethanol()
    predictors = {"stage 1": one_handed.stage1, "both": one_handed}
    beside = equivariance(predictors, atoms).inversion
    assert beside == equivariance(predictors, atoms, kind="inversion").errors


def test_a_model_of_one_hand_passes_rotations_and_fails_under_inversion(one_handed):
    predictors = {"stage 1": one_handed.stage1, "both": one_handed}
    report = equivariance(predictors, distorted_ethanol(), samples=3)
    assert report["stage 1"].max_mev < 1e-6
    assert report.inversion["stage 1"].max_mev < 1e-6
    assert report["both"].max_mev < 1e-3
    assert report.inversion["both"].mae_mev > 100


def test_subjects_in_different_bases_share_a_table():
    small = pyscf_molecules.basis_of("sto-3g", [1, 8])
    predictors = {"big": overlap, "small": lambda atoms: pyscf_molecules.overlap(atoms, small)}
    table = equivariance(predictors, load("water")).table()
    assert "dd" in table
    assert "nan" in table.splitlines()[-1]


# ---- what makes no sense -------------------------------------------------------------------------


def raises(atoms: Atoms) -> BlockMatrix:
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("predictor", "sentence"),
    [
        (raises, "Predictor 'bad' failed: KeyError: 'weights'"),
        (lambda atoms: overlap(atoms).dense(), "'bad' returned a ndarray: it must return a Block"),
        (lambda atoms: None, "'bad' returned a NoneType"),
        (lambda atoms: overlap(load("methane")), "'bad' returned a matrix of other atoms"),
        (lambda atoms: overlap(atoms) * np.nan, "'bad' returned elements that are not finite"),
    ],
)
def test_the_failing_subject_is_named(predictor, sentence):
    with pytest.raises(PredictorError, match=sentence):
        equivariance({"good": overlap, "bad": predictor}, load("water"))


def test_arguments_that_make_no_sense():
    atoms, R = load("water"), np.eye(3)
    good = {"good": overlap}
    with pytest.raises(ValueError, match="no predictor"):
        equivariance({}, atoms)
    with pytest.raises(ValueError, match="cannot be given with kind='inversion'"):
        equivariance(good, atoms, R, kind="inversion")
    with pytest.raises(ValueError, match=r"kind must be 'rotation', .*'permutation', not 'spin'"):
        equivariance(good, atoms, kind="spin")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="samples must be a whole number from 1 to 100000, not 0"):
        equivariance(good, atoms, samples=0)
    with pytest.raises(ValueError, match=r"R has shape \(2, 2\)"):
        equivariance(good, atoms, np.eye(2))
    with pytest.raises(ValueError, match="orthogonal"):
        equivariance(good, atoms, 2 * R)
