"""`evaluate`: the numbers are those of the matrices, structure by structure, and repeat exactly."""

import numpy as np
import pytest

from tests.support.networks import one_handed_model
from workbench.evaluation.equivariance import equivariance
from workbench.evaluation.model_errors import evaluate
from workbench.models.checkpoint import load_model


def test_evaluate_measures_both_stages_the_same_way_twice(uninterrupted, tiny):
    model = load_model(uninterrupted[0] / "model.safetensors")
    numbers = evaluate(model, tiny, progress=False)
    assert numbers == evaluate(model, tiny, progress=False)
    assert numbers["structures"] == 4
    for stage in ("baseline", "refined"):
        assert 0 < numbers[stage]["mae_hartree"] <= numbers[stage]["worst_structure_mae_hartree"]
        assert 0 < numbers[stage]["occupied_similarity"] <= 1
    H = model.predict(tiny[int(tiny.split("test")[0])].atoms).refined
    by_hand = [
        (model(tiny[int(i)].atoms) - tiny[int(i)].H).mae() / 27.211386 for i in tiny.split("test")
    ]
    assert numbers["refined"]["mae_hartree"] == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert H.max_abs() > 100  # the deepest level of F or O


def test_evaluate_reports_every_structure_of_a_choice(uninterrupted, tiny):
    model = load_model(uninterrupted[0] / "model.safetensors")
    whole = evaluate(model, tiny, progress=False, each=True)
    assert [e["sample"] for e in whole["each"]] == tiny.split("test").tolist()
    for stage in ("baseline", "refined"):
        rows = [e[stage] for e in whole["each"]]
        keys = ("mae_mev", "level_mae_mev", "gap_mae_mev")
        for key in (*keys, "equivariance_mae_mev", "inversion_mae_mev"):
            assert np.mean([r[key] for r in rows]) == pytest.approx(whole[stage][key], rel=1e-12)
        worst = max(rows, key=lambda r: r["mae_mev"])
        pairs = {k: v["mae_mev"] for k, v in worst["shell_pairs"].items()}
        assert min(pairs.values()) < worst["mae_mev"] < max(pairs.values())
    picked = evaluate(model, tiny, progress=False, each=True, samples=[18, 17])
    assert picked["each"] == [whole["each"][2], whole["each"][1]]
    assert picked["each"][1]["group"] == 17
    with pytest.raises(ValueError, match="Sample 3 is not in the split"):
        evaluate(model, tiny, progress=False, samples=[3, 17])
    with pytest.raises(ValueError, match="at least one"):
        evaluate(model, tiny, progress=False, samples=[])


def test_a_metric_is_reduced_as_it_declares(uninterrupted, tiny):
    """Means over structures, but the largest of the largest errors; no key is left out."""
    model = load_model(uninterrupted[0] / "model.safetensors")
    report = evaluate(model, tiny, progress=False, each=True)
    for stage in ("baseline", "refined"):
        structures = [entry[stage] for entry in report["each"]]
        for key in set(structures[0]) - {"shell_pairs"}:
            values = [structure[key] for structure in structures]
            is_largest = key in ("max_mev", "equivariance_max_mev", "inversion_max_mev")
            expected = max(values) if is_largest else np.mean(values)
            assert report[stage][key] == pytest.approx(expected, rel=1e-12), key
        over_structures = set(report[stage]) - set(structures[0])
        assert over_structures == {
            *("median_structure_mae_hartree", "worst_structure_mae_hartree"),
            *("median_structure_gap_mae_mev", "worst_structure_gap_mae_mev"),
            *("worst_structure_occupied_level_mae_mev", "ghost_share"),
        }
        gaps = [structure["gap_mae_mev"] for structure in structures]
        assert report[stage]["worst_structure_gap_mae_mev"] == max(gaps)
        assert report[stage]["ghost_share"] == np.mean(np.array(gaps) > 1000)


def test_a_model_of_one_hand_is_found_by_its_inversion_error(tiny):
    model = one_handed_model(tiny.basis)
    report = evaluate(model, tiny, progress=False, each=True)
    first, both = report["baseline"], report["refined"]
    assert first["equivariance_max_mev"] < 1e-6
    assert first["inversion_max_mev"] < 1e-6
    assert both["equivariance_max_mev"] < 1e-3
    assert both["inversion_mae_mev"] > 10
    row = report["each"][0]
    atoms = tiny.atoms(row["sample"])
    alone = equivariance({"it": model}, atoms, kind="inversion")["it"]
    assert row["refined"]["inversion_mae_mev"] == pytest.approx(alone.mae_mev, rel=1e-9)
    assert row["refined"]["inversion_max_mev"] == pytest.approx(alone.max_mev, rel=1e-9)
