"""Pages without Python: what is on them, and what cannot be. The browser tests open them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from ase.build import bulk

import workbench as wb
from tests.support.networks import SMALL, distorted_ethanol, one_handed_model, random_model
from workbench.evaluation.orientation_comparison import Experiment
from workbench.views import page as page_module
from workbench.views.page import PageError, check_molecule, page


@pytest.fixture(scope="module")
def trained():
    return wb.load_model("water")


def data_of(html: str) -> dict:
    """The numbers in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found[1])


def test_a_page_of_water_has_both_stages_and_says_how_they_are_computed(water, trained):
    html = page(Experiment(water, trained))
    data = data_of(html)
    assert [p["name"] for p in data["predictors"]] == ["stage 1", "stages 1+2"]
    assert [p["corrected"] for p in data["predictors"]] == [False, True]
    assert data["reference"] is None
    assert data["left_out"] == []
    assert data["stage2"]["weights"]["node_in.weight"]["type"] == "float32"
    assert "which is what it would answer. Stage 2 is computed anew" in html
    assert "Stage 2 works in the global frame." in html
    assert "H<sub>2</sub>O" in html
    assert 'value="reference"' not in html  # nothing to compare with
    assert "{{" not in html


def test_only_the_weights_that_a_readout_uses_travel():
    model = random_model(replace(SMALL, guess="none"))
    model.refiner.node_head.readout.solved = True
    names = data_of(page(Experiment(distorted_ethanol(), model)))["stage2"]["weights"]
    assert "node_head.readout.solution_0" in names
    assert "node_head.readout.shared.0" not in names
    assert "pair_head.readout.shared.0" in names
    assert "pair_head.readout.solution_0" not in names


def test_in_local_frames_both_stages_are_their_matrices(water):
    model = random_model(replace(SMALL, guess="none", refiner_frame="local"))
    html = page(Experiment(water, model))
    data = data_of(html)
    assert data["stage2"] is None
    assert [p["inverted"] for p in data["predictors"]] == [None, None]
    assert "Both stages are shown as their matrices rotated, which is what they would" in html
    assert "It is averaged over inversion" in html


def test_a_stage_of_one_hand_brings_its_matrix_of_the_inverted_molecule():
    html = page(Experiment(distorted_ethanol(), one_handed_model()))
    first, second = data_of(html)["predictors"]
    assert first["inverted"] is None
    assert second["inverted"]["shape"] == [72, 72]
    assert "Under inversion it is not exact: its matrix of −x was computed with Python." in html


def test_a_reference_alone_is_a_page_and_functions_are_left_out(water, ref):
    html = page(Experiment(water, None, ref, {"mine<b>": lambda atoms: ref.H}))
    data = data_of(html)
    assert data["predictors"] == []
    assert data["reference"]["shape"] == [7, 7]
    assert data["limits"]["error"] == 1.0
    assert "Not on this page: mine&lt;b&gt;, which only Python can compute." in html


def test_what_no_page_can_show_is_refused_in_one_sentence(water, ref, model):
    with pytest.raises(PageError, match="Python functions, which a page cannot run"):
        page(Experiment(water, model))  # a stand-in, not a model of this package
    with pytest.raises(PageError, match="this is a crystal: use RotationLab"):
        check_molecule(bulk("Si"), ref.H.basis)
    with pytest.raises(PageError, match="matrices without spin"):
        check_molecule(water, replace(ref.H.basis, spinor=True))


def test_nearly_dependent_orbitals_in_the_global_frame_are_refused(water):
    model = random_model(replace(SMALL, guess="none"))
    experiment = Experiment(water, model)
    model.scaling = replace(model.scaling, kappa=model.scaling.kappa + 0.01)
    with pytest.raises(PageError, match="nearly dependent orbitals from its guess"):
        page(experiment)


def test_a_page_above_the_largest_size_is_refused(water, ref, monkeypatch):
    monkeypatch.setattr(page_module, "LARGEST", 500_000)
    with pytest.raises(PageError, match=r"0\.\d MB, above 0\.5 MB: show a smaller molecule"):
        page(Experiment(water, None, ref))


def test_the_lab_writes_the_page_that_the_function_returns(water, ref, tmp_path):
    lab = wb.RotationLab(water, reference=ref)
    path = lab.save_html(tmp_path / "new" / "water.html")
    assert path.read_text() == page(lab.experiment)
    lab.close()
