"""`-` where a structure is expected: xyz from standard input, within bounds, and read once."""

import json
from io import BytesIO

import pytest
from ase.io import write
from typer.testing import CliRunner

import workbench as wb
from tests.support.command_line import run
from workbench.cli.app import app
from workbench.cli.standard_input import as_file


def fed(content, *words):
    return CliRunner().invoke(app, [str(word) for word in words], input=content)


@pytest.fixture(scope="module")
def ethanol(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "ethanol.xyz"
    write(path, wb.load("ethanol"), format="extxyz")
    return path


def test_a_piped_structure_is_predicted_as_the_file_is(ethanol):
    words = ("--model", "organic", "--json")
    piped = fed(ethanol.read_text(), "predict", "-", *words)
    assert piped.exit_code == 0, piped.output
    assert json.loads(piped.stdout) == json.loads(run("predict", ethanol, *words).stdout)


def test_a_slice_of_piped_structures_is_predicted():
    two = "1\n\nHe 0 0 0\n2\n\nH 0 0 0\nH 0 0 0.75\n"
    found = fed(two, "predict", "-", "--model", "organic", "--index", "1:", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["formula"] == "H2"


def test_a_piped_structure_is_labelled(tmp_path):
    sizes = ("--sigma", 0.1, "--train", 1, "--valid", 0, "--test", 0, "--processes", 1)
    words = ("label", "-", "--out", tmp_path / "a.h5", "--basis", "sto-3g", "--xc", "hf", *sizes)
    assert fed("2\n\nH 0 0 0\nH 0 0 0.75\n", *words).exit_code == 0
    with wb.Dataset(tmp_path / "a.h5") as made:
        assert made.atoms(0).get_chemical_formula() == "H2"


@pytest.mark.parametrize(
    ("content", "words", "part"),
    [
        ("", "predict -", "Standard input is empty"),
        ("  \n", "rotate -", "Standard input is empty"),
        ("no structure", "predict -", "standard-input.xyz"),
        ("1\n\nHe 0 0 0\n", "label - - --out a.h5", "give - once"),
    ],
)
def test_a_wrong_input_is_one_sentence(content, words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fed(content, *words.split())
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_endless_input_is_bounded(tmp_path):
    with pytest.raises(ValueError, match="has more than 1 MB: give the name of the file"):
        as_file(BytesIO(b"x" * 1_000_001), tmp_path / "a.xyz", most=1_000_000)
    assert not list(tmp_path.iterdir())
