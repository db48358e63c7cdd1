"""How often intervals hold the true error: the rows, and the figures that sum them up."""

import numpy as np
import pytest

import workbench as wb
from workbench.evaluation.coverage import Checked, agreement, coverage
from workbench.evaluation.errors import matrix_errors
from workbench.evaluation.self_consistency import Estimate, can_check, check


def row(group: int, estimate: float, true: float) -> Checked:
    """Made up: an interval of a factor 2 about the estimate."""
    estimates = {"matrix": Estimate(estimate, estimate / 2, estimate * 2)}
    return Checked(group, group, "H2O", 3, estimates, {"matrix": true}, usable=True)


def test_a_row_has_what_check_says_and_the_true_errors():
    model = wb.load_model("water")
    with wb.Dataset("water") as data:
        i = int(data.split("test")[0])
        (found,) = coverage(model, data, [i], progress=False)
        sample = data[i]
    alone = check(model, sample.atoms)
    predicted = model.predict(sample.atoms).refined
    n = sample.n_electrons
    gaps = [wb.gap(H, sample.S, n) for H in (predicted, sample.H)]
    assert (found.sample, found.group, found.formula, found.n_atoms) == (i, sample.group, "H2O", 3)
    assert found.estimates["matrix"].value == pytest.approx(alone.estimates["matrix"].value)
    assert found.true["matrix"] == pytest.approx(matrix_errors(predicted, sample.H).mae_mev)
    assert found.true["gap"] == pytest.approx(1000 * abs(gaps[0] - gaps[1]))
    for name, estimate in found.estimates.items():
        assert found.inside[name] == (estimate.low <= found.true[name] <= estimate.high)


def test_an_agreement_counts_intervals_and_measures_scatter():
    rows = [row(0, 1.0, 1.0), row(1, 2.0, 3.0), row(2, 4.0, 9.0), row(3, 8.0, 8.0)]
    found = agreement(rows)["matrix"]
    assert found.inside == 0.75
    assert found.uncertainty == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert found.scatter == pytest.approx(np.std([0, np.log(1.5), np.log(2.25), 0]))
    logs = np.log([[1, 2, 4, 8], [1, 3, 9, 8]])
    assert found.correlation == pytest.approx(np.corrcoef(logs)[0, 1])


def test_geometries_of_one_molecule_do_not_make_the_share_more_certain():
    single = [row(k, k + 1.0, true) for k, true in enumerate((1.0, 9.0, 3.0, 4.0))]
    thrice = [row(r.group, r.group + 1.0, r.true["matrix"]) for r in single for _ in range(3)]
    assert agreement(thrice)["matrix"].uncertainty == agreement(single)["matrix"].uncertainty


def test_only_molecules_and_calibrated_models_can_be_checked():
    water = wb.load("water")
    assert can_check(wb.load_model("water"), water)
    assert not can_check(wb.load_model("bb-mini"), water)
    assert not can_check(wb.load_model("water"), wb.load("graphene"))
    assert not can_check(lambda atoms: None, water)
