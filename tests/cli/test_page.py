"""The command `page` writes one HTML file."""

import pytest

from tests.support.command_line import numbers_of, run


def test_a_page_is_written_and_not_replaced(tmp_path):
    path = tmp_path / "water.html"
    found = numbers_of("page", "water", "--out", path)
    assert found == {"written": str(path), "size_bytes": path.stat().st_size}
    assert "reference PBE (PySCF)" in path.read_text()
    again = run("page", "water", "--out", path)
    assert again.exit_code == 2
    assert "with --overwrite" in again.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ethanol",), "def2-svp has orbitals for H, O, not C"),
        (("graphene", "--model", "mg-mini"), "A page shows a molecule, and this is a crystal"),
    ],
)
def test_what_has_no_page_is_refused_before_a_reference_is_computed(words, sentence, tmp_path):
    refused = run("page", *words, "--out", tmp_path / "x.html")
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert not (tmp_path / "x.html").exists()


def test_without_a_reference(tmp_path):
    path = tmp_path / "water.html"
    shown = run("page", "water", "--no-reference", "--out", path)
    assert "open it in a browser" in shown.stdout
    assert "reference PBE" not in path.read_text()
