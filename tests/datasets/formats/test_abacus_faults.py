"""ABACUS files that are broken or belong to different runs: each ends in one sentence."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.datasets.formats.test_abacus import ATOMS
from tests.support import abacus as support
from tests.support.crystal import integrals
from tests.support.fuzzing import fault_of, faults
from tests.support.mutants import count, mutants
from workbench.datasets.formats import Foreign, FormatError, abacus, deeph_blocks
from workbench.hamiltonians.conventions import HARTREE


def small():
    """Kinetic energy (eV) and overlap in s and p orbitals, of near pairs."""
    kinetic, overlap = (integrals(ATOMS, k, "sto-3g", 4.0) for k in ("int1e_kin", "int1e_ovlp"))
    return kinetic * HARTREE, overlap


@pytest.fixture(scope="module")
def matrices():
    return small()


def _text(name, old, new, number=1):
    def apply(folder):
        file = folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, number))

    return apply


def _line(number, change):
    """Change a line of H, counted from 0; the first cell begins in line 3."""

    def apply(folder):
        lines = (folder / H).read_text().split("\n")
        lines[number] = change(lines[number])
        (folder / H).write_text("\n".join(lines))

    return apply


def _cut(name, share):
    def apply(folder):
        file = folder / name
        os.truncate(file, int(share * file.stat().st_size))

    return apply


def _without_last_cell(folder):
    lines = (folder / H).read_text().rstrip("\n").split("\n")
    (folder / H).write_text("\n".join(lines[:-4]) + "\n")


def _twice(folder):
    (folder / H).write_text((folder / H).read_text() * 2)


def _remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


H, S = "OUT.ABACUS/data-HR-sparse_SPIN0.csr", "OUT.ABACUS/data-SR-sparse_SPIN0.csr"
LOG = "OUT.ABACUS/running_scf.log"
FAULTS = {
    "truncated": (_cut(H, 0.5), "truncated or no matrix of ABACUS"),
    "empty": (_cut(H, 0), "truncated or no matrix of ABACUS"),
    "a cell is missing": (_without_last_cell, "truncated: it announces"),
    "two steps": (_twice, "several ionic steps"),
    "a huge number of rows": (_text(H, "H(R): 10", "H(R): 99999999999999"), "no number of rows"),
    "no rows": (_text(H, "H(R): 10", "H(R): 0"), "no number of rows"),
    "rows of another run": (_text(H, "H(R): 10", "H(R): 12"), "truncated or no matrix"),
    "a huge cell": (_line(3, lambda line: "9999999 0 0 4"), "a cell '9999999 0 0 4'"),
    "a huge count": (_line(3, lambda line: "0 0 0 999999999999"), "a cell"),
    "a negative count": (_line(3, lambda line: "0 0 0 -4"), "a cell"),
    "words": (_line(4, lambda line: line.replace("e-", "x", 1)), "a word that is no number"),
    "one value less": (_line(4, lambda line: line.rpartition(" ")[0]), "numbers instead of"),
    "one value more": (_line(4, lambda line: line + " 1.0"), "numbers instead of"),
    "half columns": (_line(5, lambda line: line.rpartition(" ")[0] + " 1.5"), "no number"),
    "a column far away": (_line(5, lambda line: line.rpartition(" ")[0] + " 99"), "do not fit"),
    "an element twice": (
        _line(5, lambda line: " ".join([line.split()[0], *line.split()[:1], *line.split()[2:]])),
        "an element that is there twice",
    ),
    "descending rows": (
        _line(6, lambda line: " 0 9" + line[line.index(" ", 4) :]),
        "do not fit each other",
    ),
    "nan": (_line(4, lambda line: " nan" + line[line.index(" ", 1) :]), "not finite"),
    "1e300": (_line(4, lambda line: " 1e300" + line[line.index(" ", 1) :]), "not finite"),
    "complex without spin": (
        _line(4, lambda line: " ".join(f"({word},1.0)" for word in line.split())),
        "numbers instead of|is complex without spin",
    ),
    "no overlap": (_remove(S), "lies no data-SR-sparse_SPIN0.csr"),
    "overlap of another run": (_text(S, "S(R): 10", "S(R): 12"), "truncated or no matrix"),
    "no structure": (_remove(LOG, "STRU"), "put running_scf.log beside it"),
    "a step of several": (
        lambda folder: (_remove(LOG)(folder), _text(H, "STEP: 0", "STEP: 3")(folder)),
        "is of one step of several",
    ),
    "no shells": (
        lambda folder: (
            _text(LOG, "number of zeta", "zeta", 9)(folder),
            _text("STRU", ".orb", ".x.y")(folder),
        ),
        "does not say which shells C has",
    ),
    "other shells": (_text(LOG, "L=1, number of zeta = 1", "L=1, number of zeta = 2"), "10 rows"),
    "shells without end": (
        _text(LOG, "L=1, number of zeta = 1", "L=1, number of zeta = 99999999"),
        "announces 99999999 shells",
    ),
    "a shell of l = 99": (_text(LOG, "L=1,", "L=99,"), "l from 0 to 6"),
    "a shell of l = 5": (
        _text(LOG, "L=1, number of zeta = 1", "L=5, number of zeta = 1"),
        "rows, but the atoms",
    ),
    "two sets of shells": (
        _text(LOG, " TOTAL", " atom label = C2\n L=0, number of zeta = 1\n TOTAL"),
        "two sets of shells for C",
    ),
    "a ghost atom": (_text(LOG, "taud_C1", "taud_C_empty1"), "element is uncertain"),
    "an unknown element": (_text(LOG, "taud_C1", "taud_Carbon1"), "element is uncertain"),
    "atoms on one another": (
        lambda folder: (
            _remove("STRU")(folder),
            (folder / LOG).write_text(_on_one_another((folder / LOG).read_text())),
        ),
        "closer than",
    ),
    "no lattice": (
        lambda folder: (
            _remove(LOG)(folder),
            _text("STRU", "LATTICE_VECTORS", "LATTICE_PARAMETERS")(folder),
        ),
        "does not contain its structure",
    ),
    "a lattice of words": (
        lambda folder: (
            _remove(LOG)(folder),
            _text("STRU", "2.0 // Bohr", "two // Bohr")(folder),
        ),
        "damaged structure",
    ),
    "positions of a kind": (
        lambda folder: (_remove(LOG)(folder), _text("STRU", "Direct", "Polar")(folder)),
        "write Direct or Cartesian",
    ),
    "more atoms than lines": (
        lambda folder: (_remove(LOG)(folder), _text("STRU", "\n2\n", "\n999999999\n")(folder)),
        "damaged structure",
    ),
}


def _on_one_another(text):
    lines = text.split("\n")
    rows = [k for k, line in enumerate(lines) if line.startswith("taud_")]
    lines[rows[1]] = lines[rows[0]].replace("C1", "C2")
    return "\n".join(lines)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_sentence(fault, tmp_path, matrices):
    path = support.write(tmp_path, ATOMS, *matrices)
    assert abacus.read(path).fermi_level == -4.5
    apply, says = FAULTS[fault]
    apply(tmp_path)
    with pytest.raises(FormatError, match=says) as caught:
        abacus.read(path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_none_of_these_is_refused(tmp_path):
    for name in ("absent.csr", "hrs2_nao.csr", "data-SR-sparse_SPIN0.csr"):
        with pytest.raises(FormatError, match="is no Hamiltonian of ABACUS"):
            abacus.read(tmp_path / name)


def test_few_elements_in_many_blocks_are_refused(tmp_path, matrices, monkeypatch):
    path = support.write(tmp_path, ATOMS, *matrices)
    monkeypatch.setattr(deeph_blocks, "_ALWAYS", 0)
    monkeypatch.setattr(deeph_blocks, "_RATIO", 0.1)
    with pytest.raises(FormatError, match="blocks that are much smaller than the 5 orbitals"):
        abacus.read(path)


def mutant_faults() -> Iterator[str | None]:
    given = small()
    with TemporaryDirectory() as folder:
        for seed, layout in enumerate(("older", "newer")):
            path = support.write(Path(folder), ATOMS, *given, layout)
            names = [path.name, path.name.replace("H", "S").replace("hr", "sr")]
            for name in [*names, "running_scf.log", "../STRU"]:
                file = path.parent / name
                content = file.read_bytes()
                for mutant in islice(mutants(content, seed), count(400) // 8):
                    file.write_bytes(mutant)
                    yield fault_of(partial(_check, path), FormatError, mutant, longest=500)
                file.write_bytes(content)


def _check(path: Path) -> None:
    assert isinstance(abacus.read(path), Foreign)


def test_every_mutant_is_a_structure_or_one_sentence():
    assert not faults(mutant_faults)
