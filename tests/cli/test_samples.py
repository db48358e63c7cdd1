"""The whole chain on files of other programs: import, train, predict, and export again.

Untrained features with solved readouts reproduce the one structure that they are solved for, so
that levels and bands of the prediction are those of the file.
"""

import os
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of
from workbench.datasets.formats import deeph, sisl
from workbench.hamiltonians.bands import LEAST, energies_at

SAMPLES = Path(os.environ.get("WORKBENCH_SAMPLES", "none"))
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="WORKBENCH_SAMPLES names no folder of foreign samples"
)
SMALL = ("channels=8", "layers=1", "readout=16", "pair_readout=16", "radial=8", "guess=none")
HALVES = ("--train", 0.5, "--valid", 0.5, "--test", 0)

FOLDERS = {
    # folder: (kind, electrons of H, gap in eV as the program has it, settings of the model)
    "deeph/MoTe2": ("crystals", 46, 1.040, ("lmax=4", "pseudo_lmax=3")),
    "deeph_no_fermi/Si": ("crystals", None, None, ()),
    "deeph_single_atom/Bi": ("crystals", 15, None, ("lmax=4", "pseudo_lmax=3")),
    "deeph_fermi_null/1000": ("molecules", 30, 4.62, ()),
    "deeph_molecules/legacy_4990": ("molecules", 8, 4.75, ()),
    "deeph_molecules/new_format_4990": ("molecules", 8, 4.75, ()),
    "deeph_molecules/turned_water_pyscf/0": ("molecules", 10, 7.11, ()),
}


def trained(data, folder, more=()):
    """A model that is solved for the structures of a dataset."""
    settings = [word for setting in (*SMALL, *more) for word in ("--set", setting)]
    numbers_of("train", data, "--out", folder, "--stage1", 0, "--stage2", "none", *settings)
    return folder / "model.safetensors"


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_deeph_go_through_the_whole_chain(name, tmp_path):
    kind, electrons, gap, more = FOLDERS[name]
    for copy in "ab":
        shutil.copytree(SAMPLES / name, tmp_path / "in" / copy)
    data = tmp_path / "a.h5"
    made = numbers_of("import", "deeph", tmp_path / "in", "--out", data, *HALVES)
    assert made["kind"] == kind
    model = trained(data, tmp_path / "run", more)
    words = ("predict", tmp_path / "in" / "a", "--model", model, "--layout", "present")
    known = () if electrons is None else ("--electrons", electrons)
    found = numbers_of(*words, "--deeph", tmp_path / "out", *known)
    assert ("note" in found) == (electrons is None or electrons % 2 == 1)
    source = deeph.read(SAMPLES / name)
    if kind == "molecules":
        occupied = wb.levels(source.H, source.S)[: electrons // 2]
        np.testing.assert_allclose(found["levels_ev"][: electrons // 2], occupied, atol=0.05)
    else:
        assert ("fermi_level_ev" in found) == (electrons is not None)
    if gap is not None:
        assert found["gap_ev"] == pytest.approx(gap, abs=0.02)
    back = deeph.read(tmp_path / "out")
    assert (back.S - source.S).max_abs() < 1e-9
    assert (back.H - wb.load_model(model)(source.atoms)).max_abs() < 1e-4
    numbers_of("export", "deeph", data, "--out", tmp_path / "exported", "--split", "train")
    (again,) = deeph.folders(tmp_path / "exported")
    assert (deeph.read(again).H - source.H).max_abs() < 1e-7


@pytest.mark.skipif(not sisl.available(), reason="sisl is not installed")
def test_a_run_of_siesta_gives_the_overlap_of_a_prediction(tmp_path):
    (file,) = (SAMPLES / "siesta_intel_hsx").rglob("*.HSX")
    for copy in "ab":
        (tmp_path / "in" / copy).mkdir(parents=True)
        for beside in file.parent.iterdir():
            shutil.copy(beside, tmp_path / "in" / copy)
    data = tmp_path / "a.h5"
    numbers_of("import", "sisl", tmp_path / "in", "--out", data, *HALVES)
    model = trained(data, tmp_path / "run")
    source = sisl.read(file)
    ase.io.write(tmp_path / "si.extxyz", source.atoms)
    bands = ("--bands", tmp_path / "bands.csv", "--points", 4)
    words = ("predict", tmp_path / "si.extxyz", "--model", model, "--overlap", file)
    found = numbers_of(*words, *bands)
    assert "the Fermi level also needs the number of electrons" in found["note"]
    for row in np.genfromtxt(tmp_path / "bands.csv", delimiter=",", skip_header=1):
        expected = energies_at(source.H, source.S, row[:3], least=LEAST)
        np.testing.assert_allclose(row[5:13], expected[:8], atol=1e-3)
