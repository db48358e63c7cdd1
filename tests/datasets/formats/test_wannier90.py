"""Wannier90: bands of tight-binding models, images of `use_ws_distance`, files as they are."""

import os
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import run
from tests.support.siesta import wannier
from workbench.datasets.formats import FormatError
from workbench.datasets.formats.wannier90 import read
from workbench.hamiltonians.bands import band_structure, energies_at
from workbench.hamiltonians.bloch import k_mesh
from workbench.hamiltonians.conventions import BOHR

SAMPLES = os.environ.get("WORKBENCH_SAMPLES", "")

CELL = 2.46 * np.array([[1, 0, 0], [-0.5, 3**0.5 / 2, 0], [0, 0, 4.0]])
BOHR_CELL = CELL / BOHR
HOP, FAR = -2.7, 4e-6  # eV; the second is below what some readers leave out


def pi_bands(k):
    """Graphene's pi bands: ``FAR 2 cos(2 pi k1) -+ HOP |1 + exp(2 pi i k1) + ...|``."""
    f = 1 + np.exp(-2j * np.pi * k[0]) + np.exp(-2j * np.pi * (k[0] + k[1]))
    return 2 * FAR * np.cos(2 * np.pi * k[0]) + np.array([-1, 1]) * abs(HOP * f)


def graphene(folder, imaginary=0.0, **how):
    """That model as Wannier90 would leave it, two of its cells counted twice and thrice."""
    cells = [[-1, -1, 0], [-1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]]
    matrices = np.zeros((5, 2, 2), complex)
    matrices[2] = [[0, HOP], [HOP, 0]]
    for number, (row, column) in {0: (0, 1), 1: (0, 1), 3: (1, 0), 4: (1, 0)}.items():
        matrices[number, row, column] = HOP
    matrices[[1, 3]] += FAR * np.eye(2)
    matrices[2] += imaginary * np.array([[0, 1j], [-1j, 0]])
    return wannier(folder, "gr", CELL, cells, [3, 2, 1, 2, 3], matrices, **how)


@pytest.mark.parametrize(
    "how", [{"kind": "hr"}, {"kind": "tb"}, {"kind": "tb", "win": False}], ids=str
)
def test_a_wannier_hamiltonian_has_the_bands_of_its_model(how, tmp_path):
    found = read(graphene(tmp_path, **how))
    for k in np.array([0.03, 0.01, 0.2]) + k_mesh((4, 3, 1)):
        np.testing.assert_allclose(energies_at(found.H, found.S, k), pi_bands(k), atol=1e-12)
    bands = band_structure(found.H, found.S, found.atoms, "GMKG", 20)
    assert bands.energies.shape == (1, 20, 2)
    assert np.isnan(found.fermi_level)
    np.testing.assert_allclose(found.atoms.cell.array, CELL, atol=1e-9)


def test_a_win_file_leads_to_its_matrix_and_centres(tmp_path):
    graphene(tmp_path)
    centres = [[0.0, 0.0, 0.0], [0.0, 1.42, 0.0]]
    lines = "\n".join("X " + " ".join(map(str, c)) for c in centres)
    (tmp_path / "gr_centres.xyz").write_text(f"2\ncentres\n{lines}\n")
    found = read(tmp_path / "gr.win")
    np.testing.assert_allclose(found.atoms.positions, centres)
    (tmp_path / "gr_hr.dat").unlink()
    with pytest.raises(FormatError, match=r"lies no gr_tb\.dat or gr_hr\.dat"):
        read(tmp_path / "gr.win")


def test_wannier_functions_can_be_neither_rotated_nor_stored(tmp_path):
    path = graphene(tmp_path)
    found = read(path)
    with pytest.raises(ValueError, match=r"no known shell, .* cannot be rotated"):
        found.H.rotate(wb.rotation((0, 0, 1), 60))
    with pytest.raises(ValueError, match="cannot be stored"):
        found.H.basis.to_json()
    refused = run("import", "sisl", path, "--out", tmp_path / "set.h5")
    assert refused.exit_code == 2
    assert "compute bands only" in " ".join(refused.output.split())
    assert not (tmp_path / "set.h5").exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [({"win": False}, "put gr.win beside it"), ({"imaginary": 0.1j}, "is not hermitian")],
)
def test_a_wannier_file_that_is_no_use_says_so(how, says, tmp_path):
    with pytest.raises(FormatError, match=says):
        read(graphene(tmp_path, **how))


@pytest.mark.parametrize("kind", ["hr", "tb"])
def test_half_a_wannier_file_is_one_sentence(kind, tmp_path):
    path = graphene(tmp_path, kind=kind)
    text = path.read_text()
    path.write_text(text[: len(text) * 2 // 3])
    with pytest.raises(FormatError, match="truncated"):
        read(path)


def test_complex_matrices_have_bands(tmp_path):
    """A flux through the hexagon: hermitian, and not real in any gauge."""
    found = read(graphene(tmp_path, imaginary=0.5))
    assert np.iscomplexobj(found.H.values)
    for k in ([0.1, 0.2, 0.0], [0.0, 0.0, 0.0]):
        f = 1 + np.exp(-2j * np.pi * k[0]) + np.exp(-2j * np.pi * (k[0] + k[1]))
        far = 2 * FAR * np.cos(2 * np.pi * k[0])
        expected = far + np.array([-1, 1]) * abs(HOP * f + 0.5j)
        np.testing.assert_allclose(energies_at(found.H, found.S, k), expected, atol=1e-9)


def test_images_share_an_element(tmp_path):
    """One element for two cells of a chain becomes half an element for each."""
    cells = [[0, 0, 0], [1, 0, 0], [-1, 0, 0]]
    matrices = np.array([[[0.0]], [[-1.0]], [[-1.0]]], complex)
    path = wannier(tmp_path, "ch", CELL, cells, [1, 1, 1], matrices)
    rows = ["## with use_ws_distance=.true.", "0 0 0 1 1", "1", "0 0 0"]
    rows += ["1 0 0 1 1", "2", "0 0 0", "0 1 0", "-1 0 0 1 1", "2", "0 0 0", "0 -1 0"]
    wsvec = tmp_path / "ch_wsvec.dat"
    k = np.array([0.1, 0.23, 0.0])
    far, near = np.cos(2 * np.pi * (k[0] + k[1])), np.cos(2 * np.pi * k[0])
    for header, expected in ((rows[0], -far - near), (rows[0].replace("true", "false"), -2 * near)):
        wsvec.write_text("\n".join([header, *rows[1:]]))
        found = read(path)
        assert energies_at(found.H, found.S, k)[0] == pytest.approx(expected, abs=1e-12)
    for wrong in (rows[:-2], [*rows[:9], "2 0 0 1 1", *rows[10:]], [*rows[:2], "x", *rows[3:]]):
        wsvec.write_text("\n".join(wrong))
        with pytest.raises(FormatError, match=r"truncated or damaged|belongs to another run"):
            read(path)


@pytest.mark.parametrize(
    "block",
    [
        "Begin Unit_Cell_Cart\n{rows}\nEnd Unit_Cell_Cart",
        "BEGIN UNIT_CELL_CART\nBohr\n{bohr}\nEND UNIT_CELL_CART  ! a comment",
        "! begin unit_cell_cart\nbegin  unit_cell_cart\nang # unit\n{rows}\nend unit_cell_cart",
    ],
)
def test_the_cell_of_a_win_file_in_any_spelling(block, tmp_path):
    path = graphene(tmp_path)
    rows, bohr = (
        "\n".join(" ".join(f"{x:.9f}d0" for x in v) for v in c) for c in (CELL, BOHR_CELL)
    )
    (tmp_path / "gr.win").write_text(f"num_wann = 2\n{block.format(rows=rows, bohr=bohr)}\n")
    np.testing.assert_allclose(read(path).atoms.cell.array, CELL, atol=1e-6)


@pytest.mark.skipif(not SAMPLES, reason="WORKBENCH_SAMPLES names no folder of foreign samples")
@pytest.mark.parametrize(
    ("folder", "name", "within"),
    [
        ("wannier_wsvec", "silicon_tb.dat", 1e-4),
        ("wannier_wsvec", "silicon_hr.dat", 1e-4),
        ("wannier_capital_end", "silicon.win", 1.5e-5),
    ],
)
def test_bands_are_those_of_wannier90(folder, name, within):
    root = Path(SAMPLES) / folder
    found = read(root / name)
    k = np.loadtxt(root / "silicon_band.kpt", skiprows=1)[:, :3]
    expected = np.loadtxt(root / "silicon_band.dat")[:, 1].reshape(-1, len(k)).T
    bands = [energies_at(found.H, found.S, point) for point in k]
    np.testing.assert_allclose(bands, expected, atol=within)
