"""Structures whose orbitals are all occupied have no gap, which costs nobody else's numbers."""

import json

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from benchmarks import card
from tests.support.command_line import numbers_of
from workbench import views
from workbench.evaluation.coverage import agreement, coverage
from workbench.evaluation.self_consistency import calibrate
from workbench.models.checkpoint import save_model

HELIUM, HYDROGEN = "He2", "H2"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Pairs of H and of He in turn, Hartree-Fock in STO-3G: He2 fills both of its orbitals."""
    rng = np.random.default_rng(0)

    def references():
        for k in range(30):
            name, length = (HELIUM, 1.3) if k % 2 else (HYDROGEN, 0.8)
            atoms = Atoms(name, [[0, 0, 0], [0, 0, length + rng.uniform(-0.1, 0.3)]])
            yield wb.reference(atoms, basis="sto-3g", xc="hf")

    path = tmp_path_factory.mktemp("filled") / "pairs.h5"
    splits = {"train": range(6), "valid": range(6, 26), "test": range(26, 30)}
    wb.write_dataset(path, references(), splits)
    return path


@pytest.fixture(scope="module")
def model(path):
    """With a guess, so that its ghost levels are looked for, and calibrated."""
    config = wb.ModelConfig(channels=4, layers=1, readout=8, pair_readout=8)
    how = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None, batch_size=2)
    with wb.Dataset(path) as data:
        *_, last = wb.train(config, data, how)
        last.model.info["calibration"] = calibrate(
            last.model, data, data.split("valid"), progress=False
        )
    return last.model


def test_its_gap_is_null_and_the_others_are_as_without_it(path, model):
    with wb.Dataset(path) as data:
        report = wb.evaluate(model, data, each=True, progress=False)
        alone = wb.evaluate(model, data, samples=[26, 28], progress=False)
        helium = wb.evaluate(model, data, samples=[27, 29], progress=False)
    json.dumps([report, helium], allow_nan=False)
    for stage in ("baseline", "refined"):
        gaps = [structure[stage]["gap_mae_mev"] for structure in report["each"]]
        assert [gap is None for gap in gaps] == [False, True, False, True]
        for key in ("gap_mae_mev", "median_structure_gap_mae_mev", "ghost_share"):
            assert report[stage][key] == alone[stage][key]
            assert helium[stage][key] is None
        levels = [structure[stage]["occupied_level_mae_mev"] for structure in report["each"]]
        assert report[stage]["occupied_level_mae_mev"] == pytest.approx(np.mean(levels))
        assert report[stage]["worst_structure_occupied_level_mae_mev"] == max(levels)
    table = views.evaluation_table({"all": report, "helium": helium})
    assert len(table.splitlines()) == 5


def test_its_card_has_a_table_without_a_gap(path, model):
    with wb.Dataset(path) as data:
        reports = [wb.evaluate(model, data, samples=s, progress=False) for s in ([26], [27])]
    hydrogen, helium = ("\n".join(card._table("pairs", report)) for report in reports)
    assert "| gap, MAE, meV |" in hydrogen
    assert "gap" not in helium
    assert "| occupied levels, MAE, meV |" in helium


def test_estimates_without_a_label_leave_out_its_gap(path, model):
    ratios = model.info["calibration"]["ratios"]
    assert list(ratios) == ["matrix", "occupied levels", "gap"]
    with wb.Dataset(path) as data:
        (hydrogen, helium) = (wb.check(model, data.atoms(i)) for i in (26, 27))
        rows = coverage(model, data, data.split("test"), progress=False)
    assert hydrogen.gap > 10
    assert "of the gap (predicted" in hydrogen.verdict
    assert helium.gap is None
    assert "gap" not in helium.verdict
    assert sorted(helium.estimates) == ["matrix", "occupied levels"]
    assert json.loads(json.dumps(helium.to_json(), allow_nan=False))["gap_ev"] is None
    assert set(agreement(rows)) == {"matrix", "occupied levels", "gap"}
    assert "2 predictions" in views.alt_text(views.calibration(rows, "gap"))
    assert "4 predictions" in views.alt_text(views.calibration(rows))


def test_a_calibration_on_such_structures_alone_has_no_gap(path, model):
    with wb.Dataset(path) as data:
        helium = [i for i in data.split("valid").tolist() if data.numbers(i)[0] == 2]
        found = calibrate(model, data, 2 * helium, progress=False)
    assert list(found["ratios"]) == ["matrix", "occupied levels"]


def test_prediction_and_labs_show_it(path, model, tmp_path):
    with wb.Dataset(path) as data:
        helium = data.atoms(27)
    helium.write(tmp_path / "helium.xyz")
    save_model(model, tmp_path / "pairs.safetensors", model.info)
    found = numbers_of(
        "predict", tmp_path / "helium.xyz", "--model", tmp_path / "pairs.safetensors"
    )
    assert found["gap_ev"] is None
    assert len(found["levels_ev"]) == 2
    lab = wb.RotationLab(helium, model)
    assert lab.check().gap is None
    bench = wb.TestBench(helium, model)
    bench.turn_to(wb.rotation((1, 1, 0), 40))
    assert bench.errors.under([bench.rotation])[0]["refined"].mae_mev < 10
