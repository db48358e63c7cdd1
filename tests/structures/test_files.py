"""Files that announce what they do not hold, SMILES without end, and the limit in time."""

import threading

import pytest

import workbench as wb
from workbench.structures.time_limit import time_limit
from workbench.structures.uploads import read_upload
from workbench.structures.validation import StructureError

needs_rdkit = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("rdkit") is None, reason="needs RDKit"
)
ROWS = "\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
CELL = "salt\n1\n4 0 0\n0 4 0\n0 0 4\n"
HUGE = "99999999999999999999"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xyz", f"{HUGE}{ROWS}"),
        ("a.xyz", f"3{ROWS}{HUGE}{ROWS}"),
        ("a.extxyz", "1\nProperties=species:S:1:pos:R:2147483648\nH 0 0 0\n"),
        ("POSCAR", f"{CELL}H\n{HUGE}\nDirect\n0 0 0\n"),
        ("a.vasp", f"{CELL}1 {HUGE}\nDirect\n0 0 0\n"),
        ("a.vasp", f"{CELL}H\r\n{HUGE} ! atoms\r\nDirect\n0 0 0\n"),
        ("a.gen", f"{HUGE} C\nH\n1 1 0 0 0\n"),
        ("a.xsf", f"CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n{HUGE} 1\n1 0 0 0\n"),
    ],
)
def test_a_count_that_a_file_cannot_hold_is_refused_before_it_is_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    for read in (lambda: wb.load(tmp_path / name), lambda: read_upload(name, content.encode())):
        with pytest.raises(StructureError, match=r"announces .* than its \d+ bytes can hold"):
            read()


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.vasp", "POSCAR", "a.gen", "a.xsf"])
@pytest.mark.parametrize("piece", ["1", "1 ", "a", " ", "Properties ", "1\n", "9" * 30 + " "])
def test_a_long_line_takes_no_long_time(tmp_path, name, piece):
    """A pattern that goes back and forth would need years; five lines come before the long one."""
    (tmp_path / name).write_text("1\n" * 5 + piece * 200_000 + "!")
    with pytest.raises(StructureError):
        wb.load(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("a\nb.xyz", "a b.xyz"),
        ("../../etc/a.xyz", "a.xyz"),
        ("x" * 300 + ".xyz", "x" * 80),
        ("a\0.xyz", "a .xyz"),
    ],
)
def test_the_name_of_an_upload_is_only_shown(name, display):
    assert len(read_upload(name, f"3{ROWS}".encode())) == 3
    with pytest.raises(StructureError, match=f"^{display} (is empty|has no complete)") as caught:
        read_upload(name, b"\n")
    assert "\n" not in str(caught.value)


@needs_rdkit
@pytest.mark.parametrize(
    ("smiles", "sentence"),
    [
        ("C" * 3000, "3000 characters, more than 2000"),
        ("C" * 1000, "3002 atoms, more than 300"),
        ("C*", "has a placeholder for an atom"),
        ("[*:1]C", "has a placeholder for an atom"),
        ("\ud800", "is not a valid SMILES"),
        ("C(" * 900, "is not a valid SMILES"),
    ],
)
def test_a_smiles_that_gives_no_small_molecule_is_refused(smiles, sentence):
    with pytest.raises(StructureError, match=sentence) as caught:
        wb.load(f"smiles:{smiles}")
    assert len(str(caught.value)) < 200


def test_the_time_limit_stops_a_thread_whatever_it_catches():
    """The main thread goes on; the reader's `except Exception` does not keep it alive."""
    outcome = []

    def read():
        try:
            with time_limit(0.2):
                while True:
                    try:
                        sum(range(1000))
                    except Exception:
                        continue
        except TimeoutError as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=60)
    assert [type(error) for error in outcome] == [TimeoutError]


def test_what_ends_in_time_is_left_alone():
    for _ in range(200):
        with time_limit(60):
            pass
    with pytest.raises(KeyError), time_limit(60):
        raise KeyError("x")
    assert sum(range(10**5)) == 4999950000  # no exception arrives late
