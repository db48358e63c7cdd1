"""HarmonicsLab, TurnedHeat and the surfaces, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from scipy.spatial.transform import Rotation

import workbench as wb
from workbench import views
from workbench.course.rotations import MISTAKES
from workbench.hamiltonians.wigner import harmonics, wigner_blocks, wigner_d
from workbench.views.sphere import COLUMNS, ROWS, directions
from workbench.widgets.harmonics_state import MIX, Shells
from workbench.widgets.parts.guard import RAISE
from workbench.widgets.surface_view import SurfaceView

TURN = wb.rotation((1, 1, 0), 40)


@pytest.fixture(autouse=True)
def _raise_errors(monkeypatch):
    monkeypatch.setenv(RAISE, "1")


@pytest.fixture
def lab():
    made = wb.HarmonicsLab("spd", rules=MISTAKES)
    yield made
    made.close()


def drawn(view: SurfaceView) -> np.ndarray:
    return np.frombuffer(view.values, dtype=np.float32)


def drag(lab: wb.HarmonicsLab, R: np.ndarray) -> None:
    quaternion = Rotation.from_matrix(R).as_quat().tolist()
    content = {"kind": "turn", "view": "v", "tick": 7, "quaternion": quaternion, "moving": False}
    lab.turned._receive(lab.turned, content, [])


def assert_pictures_agree(lab: wb.HarmonicsLab) -> None:
    """What is built from D c is the function of the left picture, at directions rotated back."""
    lmax = max(lab.shells.ls)
    back = harmonics(lmax, directions() @ lab.rotation)
    columns = [k for l in lab.shells.ls for k in range(l * l, (l + 1) ** 2)]
    np.testing.assert_allclose(drawn(lab.built), back[:, columns] @ lab.components, atol=1e-6)


def test_directions_are_unit_vectors_from_pole_to_pole():
    points = directions()
    assert points.shape == (ROWS * COLUMNS, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    np.testing.assert_allclose(points[[0, -1]], [[0, 0, 1], [0, 0, -1]], atol=1e-12)


def test_a_surface_refuses_another_grid_and_keeps_its_scale():
    view = SurfaceView(2 * directions()[:, 2])
    view.show(directions()[:, 2])
    assert view.reach == 2
    with pytest.raises(ValueError, match="2220 values"):
        view.show(np.zeros(7))
    view.close()


@pytest.mark.parametrize("shells", ["s", "p", "d", "f", "spd"])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_picture_of_the_rotated_components_is_the_rotated_picture(lab, shells, inverted):
    lab.choice.value, lab.inversion.value = shells, inverted
    drag(lab, TURN)
    np.testing.assert_allclose(lab.rotation, -TURN if inverted else TURN, atol=1e-12)
    np.testing.assert_allclose(lab.matrix, wigner_blocks(lab.shells.ls, lab.rotation))
    np.testing.assert_allclose(lab.heat.painted()[0], lab.matrix, atol=1e-6)
    assert lab.heat.tick == 7
    assert_pictures_agree(lab)
    upright = harmonics(3, directions() * (-1 if inverted else 1))
    columns = [k for l in lab.shells.ls for k in range(l * l, (l + 1) ** 2)]
    np.testing.assert_allclose(drawn(lab.turned), upright[:, columns] @ lab.components, atol=1e-6)


def test_controls_function_and_reset(lab):
    lab.controls.buttons["40° (1,1,0)"].click()
    np.testing.assert_allclose(lab.turned.rotation, TURN, atol=1e-12)
    lab.function.value = 3  # p x of s, p y, p z, p x, ...
    np.testing.assert_array_equal(lab.components, np.eye(9)[3])
    assert_pictures_agree(lab)
    assert "p x" in lab.table.value
    lab.choice.value = "p"
    assert lab.function.value == MIX
    assert "norm of p" in lab.table.value
    lab.reset_button.click()
    np.testing.assert_array_equal(lab.rotation, np.eye(3))
    assert lab.shells == Shells("spd")


def test_laws_are_kept_by_the_right_rule_and_broken_by_the_others(lab):
    lab.turn_to(TURN)
    assert "✗" not in lab.laws.value
    assert "obeys every law" in lab.turned.announcement
    for name in list(MISTAKES)[1:4]:
        lab.rule.value = name
        assert "✗" in lab.laws.value
        assert "has error" in lab.turned.announcement
    lab.rule.value = "no parity"
    assert "✗" not in lab.laws.value
    lab.inversion.value = True
    assert "✗" in lab.laws.value


@pytest.mark.parametrize("wrong", ["", "x", "pz"])
def test_unknown_shells_are_refused(wrong):
    with pytest.raises(ValueError, match="letters"):
        wb.HarmonicsLab(wrong)


def test_rotated_matrices_follow_the_controls():
    shown = wb.TurnedHeat(lambda R: [R, wigner_d(1, R)], ["R", "D"])
    shown.controls.buttons["90° z"].click()
    quarter = wb.rotation((0, 0, 1), 90)
    np.testing.assert_allclose(shown.heat.painted(), [quarter, wigner_d(1, quarter)], atol=1e-6)
    shown.inversion.value = True
    np.testing.assert_allclose(shown.heat.painted()[0], -quarter, atol=1e-6)
    assert "then inverted" in shown.words.value
    shown.turn_to(TURN)
    np.testing.assert_allclose(shown.rotation, -TURN, atol=1e-12)
    shown.close()


def test_closing_leaves_nothing_behind():
    before = len(_instances)
    labs = [wb.HarmonicsLab("d"), wb.TurnedHeat(lambda R: [R], ["R"])]
    for lab in labs:
        lab.close()
    assert len(_instances) == before


def test_surfaces_of_all_harmonics_have_a_text_twin():
    figure = views.harmonics_surfaces(2)
    assert len(figure.data) == 10
    assert "9 real spherical harmonics" in views.alt_text(figure)
    with pytest.raises(ValueError, match="from 0 to 3"):
        views.harmonics_surfaces(4)
