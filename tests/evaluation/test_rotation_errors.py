"""Errors under many rotations are those of single predictions, with or without a model."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import workbench as wb
from workbench.evaluation.equivariance import PredictorError
from workbench.evaluation.errors import matrix_errors
from workbench.evaluation.rotation_errors import (
    Predictors,
    PredictsMany,
    RotationErrors,
    about,
)
from workbench.hamiltonians.rotations import random_rotations

BASIS = "sto-3g"


def test_random_operations_are_those_of_equivariance(water, errors):
    report = wb.equivariance(errors.predictors.callables, water, samples=5, seed=3)
    found = errors.under(random_rotations(5, seed=3))
    for name in errors.names:
        means = [own[name].mae_mev for own in found]
        assert np.mean(means) == pytest.approx(report[name].mae_mev, rel=1e-12)
    assert found[0]["exact"].max_mev < 1e-9
    assert min(own["toy"].mae_mev for own in found) > 1


def test_the_inversion_is_measured_beside_any_number_of_rotations(water, one_handed):
    errors = RotationErrors(water, one_handed)
    report = wb.equivariance({"it": one_handed}, water, kind="inversion")
    assert errors.inversion["refined"].mae_mev == pytest.approx(report["it"].mae_mev, rel=1e-6)
    assert errors.inversion["refined"].mae_mev > 100
    assert max(e["refined"].max_mev for e in errors.under(random_rotations(3))) < 1e-3
    assert errors.inversion["baseline"].max_mev < 1e-6
    assert errors.inversion is errors.inversion  # computed once


def test_improper_operations_are_rotations_and_an_inversion():
    proper, improper = (about([(0, 0, 2), (1, 1, 0)], 50, flag) for flag in (False, True))
    np.testing.assert_array_equal(improper, -proper)
    np.testing.assert_allclose(proper[0], wb.rotation((0, 0, 1), 50), atol=1e-15)
    np.testing.assert_array_equal(random_rotations(3, 1, "all"), -random_rotations(3, 1))


def test_a_model_predicts_many_structures_at_once_and_says_the_same(water):
    model = wb.load_model("water")
    tested = RotationErrors(water, model, {"stage 1 alone": model.stage1})
    assert tested.names == ["baseline", "refined", "stage 1 alone"]
    operations = random_rotations(3)
    together = tested.under(operations)
    for R, own in zip(operations, together, strict=True):
        alone = matrix_errors(model(wb.rotate(water, R)), model(water).rotate(R))
        assert own["refined"].mae_mev == pytest.approx(alone.mae_mev, rel=1e-3)
    assert tested.evaluations == 3
    assert tested.under(operations[:1], ["stage 1 alone"])[0].keys() == {"stage 1 alone"}


def test_subjects_are_named_once_and_return_matrices(water, exact):
    with pytest.raises(ValueError, match="taken"):
        Predictors(wb.load_model("water"), {"refined": exact})
    with pytest.raises(ValueError, match="no predictor"):
        RotationErrors(water)
    with pytest.raises(PredictorError, match="'half' returned a list"):
        RotationErrors(water, predictors={"half": lambda atoms: [1.0]})


def test_a_coarse_grid_has_the_symmetry_of_a_cube(water):
    """Where a turn brings PySCF's points onto themselves, nothing is left but rounding."""
    coarse = RotationErrors(water, predictors={"coarse": wb.pyscf(BASIS, "lda", grid=0)})
    cube = [about([n], d)[0] for n, d in (((0, 0, 1), 90), ((1, 1, 1), 120), ((1, 1, 0), 180))]
    for own in coarse.under(cube):
        assert own["coarse"].mae_mev < 1e-6
    beside = about([(0.1, 0, 1)], 90)
    assert coarse.under(beside)[0]["coarse"].mae_mev > 0.1


def test_a_model_that_predicts_one_structure_is_called_for_each(water, exact):
    calls = []

    def predict(atoms):
        calls.append(atoms)
        return SimpleNamespace(baseline=exact(atoms), refined=exact(atoms))

    single = SimpleNamespace(predict=predict)
    assert not isinstance(single, PredictsMany)
    assert isinstance(wb.load_model("water"), PredictsMany)
    predictions = Predictors(single).predict([water, wb.rotate(water, wb.rotation((1, 0, 0), 30))])
    assert [list(by_name) for by_name in predictions] == [["baseline", "refined"]] * 2
    assert [atoms.get_chemical_formula() for atoms in calls] == ["H2O", "H2O"]


def test_without_a_model_torch_is_not_imported():
    """PySCF and toys alone are tested at once: torch takes seconds to import."""
    code = (
        "import sys, workbench as wb\n"
        "from workbench.evaluation.rotation_errors import RotationErrors, about\n"
        "program = {'PySCF': wb.pyscf('sto-3g', 'hf')}\n"
        "errors = RotationErrors(wb.load('water'), predictors=program)\n"
        "errors.under(about([(0, 0, 1)], 90))\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
