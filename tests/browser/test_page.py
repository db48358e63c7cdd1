"""A page without Python in Chromium: its numbers are Python's, on a screen and on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.accessibility import described, violations
from tests.support.javascript_cases import (
    exact_stages,
    experiment_of,
    rounding_mev,
    snapshot_numbers,
)
from tests.support.own_page import PHONE, SCREEN, OwnPage, own_page
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import random_rotations
from workbench.views.page import write_page

ROTATIONS = 50
NAMES = {"stage 1": "baseline", "stages 1+2": "refined"}
KEYS = {
    "error": "errors",
    "gaugeFree": "gauge_free",
    "symmetry": "symmetry",
    "inversion": "inversion",
}


@pytest.fixture(scope="module", params=["water", "ethanol"])
def case(request, tmp_path_factory):
    """A molecule as Python sees it, and its page."""
    experiment = experiment_of(request.param)
    path = write_page(tmp_path_factory.mktemp("page") / f"{request.param}.html", experiment)
    expected = [snapshot_numbers(experiment, R) for R in random_rotations(ROTATIONS, 17)]
    return experiment, path, expected


@pytest.fixture(scope="module")
def water(tmp_path_factory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "water.html", experiment_of("water"))


def assert_same_numbers(page: OwnPage, exact: list[str], expected: dict) -> None:
    """The page's numbers are Python's, to 1e-5 of the largest error that is shown.

    Args:
        page: is turned to the orientation of the expected numbers.
        exact: predictors that obey the rotation law by construction.
        expected: of `snapshot_numbers`.
    """
    found = page.turn_to(Rotation.from_matrix(expected["R"]).as_quat().tolist())
    largest = max(p[key]["max"] for p in found["predictions"] for key in KEYS)  # eV
    assert largest > 1e-5

    def assert_close(values, python, atol=1e-5 * largest):
        np.testing.assert_allclose(np.ravel(values), np.ravel(python), atol=atol, rtol=0)

    assert_close(found["reference"], expected["reference"], 1e-10)
    for prediction in found["predictions"]:
        name = NAMES[prediction["name"]]
        python = expected[name]
        # Python's stage 1, below stage 2, obeys the rotation law to this, eV.
        assert_close(prediction["H"], python["matrix"], 1e-10 if name in exact else 1e-8)
        assert_close(prediction["shift"], python["shift"])
        for key, of_python in KEYS.items():
            values = [MEV * prediction[key][kind] for kind in ("mean", "max")]
            assert_close(values, python[of_python], MEV * 1e-5 * largest)
    for name, energies in found["levels"]:
        assert_close(energies, expected["levels"][NAMES.get(name, name)])


@pytest.mark.parametrize("settings", [SCREEN, PHONE], ids=["screen", "phone"])
def test_fifty_rotations_have_pythons_numbers(case, settings):
    experiment, path, rotations = case
    with own_page(path, **settings) as page:
        for expected in rotations:
            assert_same_numbers(page, exact_stages(experiment), expected)
        assert page.errors == []
        assert page.requests == [path.as_uri()]


def test_what_the_page_rotates_is_what_the_networks_answer(case):
    experiment, path, _ = case
    # Rounding of stage 1 in float64 (water), and of both stages in float32.
    precision = 1e-5 if path.stem == "water" else 1e-3  # meV
    assert rounding_mev(experiment, random_rotations(1, 23)[0]) < precision


def test_the_file_is_small_and_needs_nothing(case):
    _, path, _ = case
    text = path.read_text()
    assert path.stat().st_size < 5_000_000
    assert "default-src 'none'" in text
    assert "Copyright (c) 2014, University of Pittsburgh" in text  # 3Dmol's licence
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text)


@pytest.mark.parametrize("settings", [SCREEN, PHONE], ids=["screen", "phone"])
def test_a_drag_keys_and_buttons_turn_everything(water, settings):
    with own_page(water, **settings) as page:
        before = page.page.evaluate("() => [...workbenchPage.snapshot.reference]")
        page.drag(-80, 40)
        turned = page.page.evaluate(
            """() => ({
                shown: workbenchPage.quaternion,
                matrix: [...workbenchPage.snapshot.reference],
                picture: JSON.parse(document.querySelector('.wb-structure').dataset.quaternion),
            })"""
        )
        assert np.abs(np.subtract(turned["matrix"], before)).max() > 0.1
        np.testing.assert_allclose(turned["shown"], turned["picture"], atol=1e-12)
        page.page.locator(".wb-structure").focus()
        page.page.keyboard.press("Home")
        page.page.keyboard.press("ArrowRight")
        page.settled()
        about_y = Rotation.from_euler("y", 5, degrees=True).as_quat()
        np.testing.assert_allclose(
            page.page.evaluate("workbenchPage.quaternion"), about_y, atol=1e-9
        )
        page.page.get_by_role("button", name="90° z").click()
        words = page.page.locator(".wb-structure-turn").inner_text()
        assert words == "90.0° about (0.00, 0.00, 1.00)"
        page.page.wait_for_function(
            "() => /Structure 90.0.*stage 1: error/.test("
            "document.querySelector('.wb-structure-live').textContent)"
        )
        width, wide = page.page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert wide == width  # nothing to scroll sideways
        assert page.errors == []
        assert len(page.requests) == 1


def test_levels_stand_still_and_the_table_says_what_the_snapshot_has(water):
    with own_page(water) as page:
        heights = """() => [...document.querySelectorAll('.wb-level')].map(
            (bar) => bar.getAttribute('y1'))"""
        before = page.page.evaluate(heights)
        found = page.turn_to([0.5, 0.5, 0.5, 0.5])
        assert page.page.evaluate(heights) == before
        assert len(before) > 20
        numbers = page.page.locator("#errors tbody td").all_inner_texts()
        assert len(numbers) == 16
        assert numbers[12] == f"{MEV * found['predictions'][1]['error']['max']:.2g}"
        drifts = page.page.locator(".wb-drift").all_text_contents()
        assert float(drifts[0].replace("−", "-")) < 1e-8  # meV
        assert drifts[2].startswith("0.0")  # stage 2 moves them by its symmetry error


def test_differences_colours_and_the_chosen_block(water):
    with own_page(water) as page:
        titles = "#differences figcaption b"
        assert page.page.locator(titles).first.inner_text() == "stage 1 − reference"
        page.page.get_by_role("button", name="to the rotated prediction").click()
        assert page.page.locator(titles).last.inner_text() == "stages 1+2 − rotated stages 1+2"
        pressed = page.page.get_by_role("button", name="to the rotated prediction")
        assert pressed.get_attribute("aria-pressed") == "true"
        page.page.get_by_role("button", name="linear").click()
        assert page.page.evaluate("workbenchPage.matrices.get('scale')") == "linear"
        page.page.locator("#error-limit").press("ArrowLeft")
        assert page.page.locator("output[for=error-limit]").inner_text() == "± 0.0446 meV"
        page.page.locator("#matrices canvas").first.click(position={"x": 60, "y": 60})
        assert page.page.evaluate("workbenchPage.structure.get('pair')") == [0, 0]
        title = page.page.locator("#block figcaption b")
        assert title.inner_text() == "O1 | O1: reference"
        page.page.locator("#block-of").select_option("stages 1+2 − reference")
        assert title.inner_text() == "O1 | O1: stages 1+2 − reference"
        assert page.page.evaluate("workbenchPage.block.model.get('unit')") == "meV"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("settings", [SCREEN, PHONE], ids=["screen", "phone"])
def test_axe_finds_nothing_serious_in_both_themes(water, settings, scheme):
    with own_page(water, **settings, color_scheme=scheme) as page:
        for sheet in page.page.locator("summary").all():
            if sheet.is_visible():
                sheet.click()
        assert page.page.evaluate("document.documentElement.dataset.theme") == scheme
        found = violations(page.page, "main")
        assert found == [], described(found)
