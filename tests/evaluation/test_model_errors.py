"""`evaluate`: the numbers are those of the matrices, structure by structure, and repeat exactly."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.networks import one_handed_model
from workbench.evaluation.equivariance import equivariance
from workbench.evaluation.model_errors import evaluate
from workbench.models.checkpoint import load_model
from workbench.models.twostage import TwoStageModel


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
        for key in set(structures[0]) - {"shell_pairs", "gauge_share", "shift_mev"}:
            values = [structure[key] for structure in structures]
            is_largest = key in ("max_mev", "equivariance_max_mev", "inversion_max_mev")
            expected = max(values) if is_largest else np.mean(values)
            assert report[stage][key] == pytest.approx(expected, rel=1e-12), key
        shifts = [abs(structure["shift_mev"]) for structure in structures]
        assert report[stage]["shift_mev"] == pytest.approx(np.mean(shifts), rel=1e-12)
        free, raw = (report[stage][key] for key in ("gauge_free_mae_mev", "mae_mev"))
        assert report[stage]["gauge_share"] == pytest.approx(1 - free / raw, rel=1e-12)
        over_structures = set(report[stage]) - set(structures[0])
        assert over_structures == {
            *("median_structure_mae_hartree", "worst_structure_mae_hartree"),
            *("median_structure_gap_mae_mev", "worst_structure_gap_mae_mev"),
            *("worst_structure_occupied_level_mae_mev", "ghost_share"),
        }
        gaps = [structure["gap_mae_mev"] for structure in structures]
        assert report[stage]["worst_structure_gap_mae_mev"] == max(gaps)
        assert report[stage]["ghost_share"] == np.mean(np.array(gaps) > 1000)


GAUGE_KEYS = ["gauge_free_mae_hartree", "gauge_free_mae_mev"]
GAUGE_FREE = {
    "ethanol": [*GAUGE_KEYS, "aligned_occupied_level_mae_mev", "gap_mae_mev"],
    "bt-mini": [*GAUGE_KEYS, "aligned_band_mae_mev"],  # spinors: complex blocks
    "mm-mini": [*GAUGE_KEYS, "aligned_band_mae_mev"],  # an insulator
}


@dataclass
class Shifted:
    """A model whose predictions have another zero of energy: those of `model` plus mu S."""

    model: TwoStageModel
    overlap: Callable[[Atoms], wb.BlockMatrix]
    mu: float

    def __getattr__(self, name):
        return getattr(self.model, name)

    def predict(self, atoms, **settings):
        prediction, S = self.model.predict(atoms, **settings), self.overlap(atoms)
        changed = {k: getattr(prediction, k) + self.mu * S for k in ("baseline", "refined")}
        return replace(prediction, **changed)


@pytest.mark.parametrize("name", GAUGE_FREE)
def test_a_shifted_model_has_the_same_errors_free_of_gauge(name):
    """mu S, added to every prediction, changes the shift by mu, and the raw errors by a lot."""
    mu, model = 0.05, wb.load_model(name)
    with wb.Dataset(name) as data:
        number = int(data.split("test")[0])
        sample = data[number]

        def overlap(atoms):
            turned = sample.atoms.get_all_distances()  # the rotated structure's S, from its R
            assert np.allclose(turned, atoms.get_all_distances())
            R = np.linalg.lstsq(moved(sample.atoms), moved(atoms), rcond=None)[0].T
            return sample.S.rotate(R)

        plain, shifted = (
            evaluate(m, data, progress=False, samples=[number], each=True)
            for m in (model, Shifted(model, overlap, mu))
        )
    for stage in ("baseline", "refined"):
        before, after = plain[stage], shifted[stage]
        for key in GAUGE_FREE[name]:
            assert after[key] == pytest.approx(before[key], rel=1e-6), key
        signed = [report["each"][0][stage]["shift_mev"] for report in (plain, shifted)]
        assert signed[1] - signed[0] == pytest.approx(1000 * mu, rel=1e-9)
        assert after["shift_mev"] == pytest.approx(abs(signed[1]))
        raw = next(key.removeprefix("aligned_") for key in before if key.startswith("aligned_"))
        assert after["mae_mev"] != pytest.approx(before["mae_mev"], rel=1e-3)
        assert after[raw] != pytest.approx(before[raw], rel=1e-3)
        assert after["gauge_share"] == pytest.approx(
            1 - before["gauge_free_mae_mev"] / after["mae_mev"], rel=1e-6
        )


def moved(atoms):
    """(n + 3, 3) the positions, and the cell's vectors, which a rotation turns alike."""
    return np.concatenate([atoms.positions, atoms.cell.array])


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
