"""The command `bands` writes what `predict --bands` writes."""

import ase.io

import workbench as wb
from tests.support.command_line import numbers_of, run
from workbench.storage.bundled import data_path


def test_bands_are_those_of_predict(tmp_path):
    with wb.Dataset("graphene") as data:
        ase.io.write(tmp_path / "sheet.extxyz", data.atoms(0))
    words = (tmp_path / "sheet.extxyz", "--model", "mg-mini", "--path", "GM", "--points", 4)
    words += ("--overlap", data_path("datasets", "graphene.h5"))
    numbers_of("predict", *words, "--bands", tmp_path / "a.csv")
    found = numbers_of("bands", *words, "--out", tmp_path / "b.csv", "--out", tmp_path / "b.svg")
    assert found["bands"] == [str(tmp_path / "b.csv"), str(tmp_path / "b.svg")]
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")


def test_bands_need_a_crystal_and_a_model(tmp_path):
    out = ("--out", tmp_path / "b.png")
    assert "Bands are of crystals" in run("bands", "water", "--model", "water", *out).stderr
    assert run("bands", "graphene", *out).exit_code == 2
