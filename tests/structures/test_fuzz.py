"""Mutants of structure files and SMILES: each is a valid structure or one sentence, in time.

200 mutants of each kind; the environment variable WORKBENCH_MUTANTS sets another number.
"""

import importlib.util
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from tests.support.fuzzing import fault_of, faults
from tests.support.mutants import count, mutants
from workbench.structures.loading import StructureError, load, validate
from workbench.structures.uploads import read_upload

MOL = b"""
  water

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0021   -0.0041    0.0020 O   0  0  0  0  0  0  0  0  0  0  0  0
    0.7824   -0.5590    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.7845   -0.5549    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
M  END
"""
SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C[N+](C)(C)CC(=O)[O-].O", "C/C=C/[C@H](N)C#N", "[2H]c1ccncc1")


def text(atoms: Atoms, form: str) -> bytes:
    buffer = BytesIO() if form == "cif" else StringIO()
    write(buffer, atoms, format=form)
    content = buffer.getvalue()
    return content if isinstance(content, bytes) else content.encode()


def files() -> dict[str, bytes]:
    """Name of a file -> its content, small and right."""
    methanol, salt = molecule("CH3OH"), bulk("NaCl", "rocksalt", 5.64)
    return {
        "a.xyz": text(methanol, "xyz"),
        "two.xyz": text(methanol, "xyz") * 2,
        "a.extxyz": text(salt, "extxyz"),
        "a.cif": text(salt, "cif"),
        "POSCAR": text(salt, "vasp"),
        "a.pdb": text(methanol, "proteindatabank"),
        "a.gen": text(salt, "gen"),
        "a.xsf": text(salt, "xsf"),
        "a.mol": MOL,
        "a.sdf": MOL + b"$$$$\n",
    }


def outcome(source, content: bytes | str) -> str | None:
    """None for a valid structure or a good sentence; otherwise what is wrong."""
    return fault_of(lambda: validate(source()), StructureError, content)


def file_faults() -> Iterator[str | None]:
    with TemporaryDirectory() as folder:
        for number, (name, data) in enumerate(files().items()):
            path = Path(folder) / name
            for mutant in islice(mutants(data, seed=number), count(200)):
                path.write_bytes(mutant)
                yield outcome(lambda path=path: load(path), mutant)


def upload_faults() -> Iterator[str | None]:
    names = ("a.xyz", "POSCAR", "a.cif", "../../a.xyz", "a.xyz\n", "a.py", "", "x" * 300 + ".xyz")
    for name in names:
        for mutant in islice(mutants(files()["a.xyz"], seed=len(name)), count(200) // len(names)):
            yield outcome(lambda name=name, mutant=mutant: read_upload(name, mutant), mutant)


def smiles_faults() -> Iterator[str | None]:
    for number, smiles in enumerate(SMILES):
        for mutant in islice(mutants(smiles.encode(), seed=number), count(200) // len(SMILES)):
            given = mutant.decode("latin-1")
            yield outcome(lambda given=given: load(f"smiles:{given}"), given)


@pytest.mark.parametrize("check", [file_faults, upload_faults])
def test_every_mutant_of_a_file_is_a_structure_or_one_sentence(check):
    assert not faults(check)


@pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs RDKit")
def test_every_mutant_of_a_smiles_is_a_structure_or_one_sentence():
    assert not faults(smiles_faults)
