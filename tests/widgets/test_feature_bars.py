"""FeatureBars: norms of a network's features stand still while its components turn."""

import re

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from workbench.course import networks
from workbench.hamiltonians.wigner import wigner_d
from workbench.models.config import ModelConfig
from workbench.views.irrep_bars import Group, bar_groups
from workbench.widgets import FeatureBars

pytestmark = pytest.mark.usefixtures("raise_errors")

SMALL = ModelConfig(guess="none", channels=4, layers=1, radial=6, readout=12, pair_readout=6)
TURN = wb.rotation((1, 1, 0), 40)


@pytest.fixture(scope="module")
def models(tiny_path):
    with wb.Dataset(tiny_path) as dataset:
        return {
            "right": networks.make(dataset, SMALL).double(),
            "LayerNorm": networks.make(dataset, SMALL, "LayerNorm").double(),
        }


@pytest.fixture
def bars(water, models):
    made = FeatureBars(water, models)
    yield made
    made.close()


def turned_by_hand(bars, R, moving=False):
    from scipy.spatial.transform import Rotation

    quaternion = Rotation.from_matrix(R).as_quat().tolist()
    message = {"kind": "turn", "view": "v", "tick": 1, "quaternion": quaternion, "moving": moving}
    bars.view._receive(None, message, [])


def test_norms_stand_still_and_components_turn(bars):
    before = {name: x.copy() for name, x in bars.features.items()}
    drawn = bars.bars.value
    turned_by_hand(bars, TURN)
    np.testing.assert_allclose(bars.rotation, TURN, atol=1e-9)
    norms, components = bars.moved
    assert norms < 1e-9
    assert components > 0.1
    for l, name in enumerate(("0e", "1o", "2e", "3o", "4e")):
        D = wigner_d(l, TURN)
        np.testing.assert_allclose(bars.features[name], before[name] @ D.T, atol=1e-9)
    assert bars.bars.value != drawn
    assert "40.0° about" in bars.view.announcement
    assert bars.controls.angle.value == pytest.approx(40, abs=0.6)


def test_a_broken_network_moves_norms_and_the_sentence_says_so(bars):
    bars.turn_to(TURN)
    assert "norms changed by at most <b>0</b>" in bars.said.value or bars.moved[0] > 1e-10
    bars.model.value = "LayerNorm"
    assert bars.moved[0] > 1e-3
    said = re.search(r"norms changed by at most <b>([\d.]+)</b>", bars.said.value)
    assert said
    assert float(said[1]) == pytest.approx(bars.moved[0], rel=0.01)
    bars.turn_to(np.eye(3))
    assert bars.moved == (0.0, 0.0)


def test_an_atom_is_clicked_and_a_copy_chosen(bars):
    drawn = bars.bars.value
    bars.view.pair = [1, 1]
    assert bars.atom.value == 1
    assert bars.bars.value != drawn
    drawn = bars.bars.value
    bars.copy.value = 2
    assert bars.bars.value != drawn
    assert "H2, copy 3" in bars.view.announcement


def test_norms_above_the_bars_are_those_of_the_features(bars):
    from workbench.views.irrep_bars import plain

    for x in bars.features.values():
        assert f">{plain(float(np.linalg.norm(x[0, 0])))}</text>" in bars.bars.value


def test_reset_undoes_everything(bars):
    bars.model.value, bars.atom.value, bars.copy.value = "LayerNorm", 2, 1
    bars.controls.preset("90° x")
    assert bars.moved[1] > 0
    bars.reset()
    assert (bars.model.value, bars.atom.value, bars.copy.value) == ("right", 0, 0)
    np.testing.assert_array_equal(bars.rotation, np.eye(3))
    assert bars.moved == (0.0, 0.0)


def test_what_cannot_be_shown_is_refused(water, models):
    with pytest.raises(ValueError, match="at least one model"):
        FeatureBars(water, {})
    with pytest.raises(ValueError, match="no atom 3"):
        FeatureBars(water, models, atom=3)


def test_closing_leaves_no_widget_behind(water, models):
    before = set(_instances)
    made = FeatureBars(water, models)
    assert set(_instances) - before
    made.close()
    assert set(_instances) == before


def test_bars_are_scaled_group_by_group():
    one = Group("1o", np.array([0.0, 2.0, 0.0]), np.array([2.0, 0.0, 0.0]), 2.0)
    other = Group("0e", np.array([-0.5]), np.array([1.0]), 1.0)
    drawn = bar_groups([one, other], 1.0, "two")
    assert drawn.count('height="58.00"') == 3  # 2 of 2, its outline, and the outline of 1 of 1
    assert drawn.count('height="29.00"') == 1
    assert 'aria-label="two"' in drawn
