"""Seeded mutants of files with matrices: refused in one sentence, or read with sound content.

Each parser runs in a process of its own: a crash, endless reading or gigabytes are failures.
"""

import random
import shutil
import traceback
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.datasets.formats.test_deeph import ATOMS
from tests.datasets.test_integrity import crystals, everything, molecules, small_set
from tests.support.crystal import integrals
from tests.support.limited import limited
from tests.support.mutants import count, mutants
from tests.support.siesta import hamiltonian, wannier
from workbench.datasets.dataset import Dataset, DatasetError
from workbench.datasets.formats import FormatError, deeph, sisl
from workbench.datasets.hdf5_layout import content_hash
from workbench.datasets.validation import check
from workbench.hamiltonians.conventions import HARTREE

KINDS = {kind.__name__: kind for kind in (molecules, crystals)}


def outcomes(cases, read, refusals):
    """What became of mutants: read or refused, and the tracebacks of all other errors.

    Args:
        cases: an iterator that writes one mutant per step.
        read: reads it, and asserts that its content is sound.
        refusals: the errors that a reader may raise; each is one sentence.
    """
    found = {"read": 0, "refused": 0, "wrong": []}
    for case in cases:
        try:
            read()
            found["read"] += 1
        except refusals as error:
            sentence = str(error)
            found["refused"] += 1
            if "\n" in sentence or not sentence.endswith(".") or len(sentence) > 600:
                found["wrong"].append(f"{case}: {sentence}")
        except Exception:
            found["wrong"].append(f"{case}: {traceback.format_exc()}")
    return found


def changed_folders(folder, number, seed):
    """Make copies of the folder "sound", each with one mutant of one file; name each."""
    sources = sorted(Path(folder, "sound").iterdir())
    changed = {path: mutants(path.read_bytes(), seed=seed) for path in sources}
    for k in range(int(number)):
        source = sources[k % len(sources)]
        shutil.rmtree(Path(folder, "mutant"), ignore_errors=True)
        shutil.copytree(Path(folder, "sound"), Path(folder, "mutant"))
        Path(folder, "mutant", source.name).write_bytes(next(changed[source]))
        yield f"{k} {source.name}"


def sound(outcome, number):
    assert outcome["wrong"] == []
    assert outcome["read"] + outcome["refused"] == number
    assert outcome["refused"] > 0


# ---- datasets ---------------------------------------------------------------------------------


def read_dataset(path):
    everything(path)
    with Dataset(path) as ds:
        for i in range(len(ds)):
            assert np.isfinite(ds.positions(i)).all()
            assert np.isfinite(ds[i].H.values).all()
        return ds.method


def bytes_changed(folder, number):
    """Mutants of the bytes of datasets, one kind after the other."""
    mutant = Path(folder, "mutant.h5")
    made = [mutants(Path(folder, f"{kind}.h5").read_bytes(), seed=3) for kind in KINDS]

    def cases():
        for k in range(int(number)):
            mutant.write_bytes(next(made[k % len(made)]))
            yield k

    return outcomes(cases(), lambda: read_dataset(mutant), (DatasetError,))


WRONG = (np.nan, np.inf, -1, 0, 1, 5, 200, 10**9, -(2**31), 1e308)


def _number(file, name, rng):
    array = file[name][()]
    if array.size:
        value = rng.choice(WRONG)
        with np.errstate(all="ignore"):
            array.ravel()[rng.randrange(array.size)] = np.asarray(value).astype(array.dtype)
    _replace(file, name, array)


def _row(file, name, rng):
    array = file[name][()]
    _replace(file, name, rng.choice((array[:-1], array[::-1], np.concatenate([array, array]))))


def _kind(file, name, rng):
    array = file[name][()]
    with np.errstate(all="ignore"):
        _replace(file, name, array.astype(rng.choice(("<f4", "<i2", "<u8", "S3", "<c16", "?"))))


def _shape(file, name, rng):
    array = file[name][()]
    _replace(file, name, rng.choice((array[None], array.reshape(-1), array.reshape(-1, 1), 1.0)))


def _gone(file, name, rng):
    del file[name]


def _moved(file, name, rng):
    file.move(name, rng.choice(("other", "splits/other", "overlap/offset", "pairs/more")))


def _replace(file, name, array):
    del file[name]
    file[name] = array


def _header(file, name, rng):
    text = file["header"].asstr()[()].encode()
    mutant = next(mutants(text, rng.randrange(10**9)))
    _replace(file, "header", mutant.replace(b"\0", b"").decode(errors="replace"))


def schema_changed(folder, number):
    """Datasets with wrong content, whose hash is right, one kind after the other."""
    paths, mutant = [Path(folder, f"{kind}.h5") for kind in KINDS], Path(folder, "mutant.h5")
    rng = random.Random(4)
    changes = (_number, _number, _number, _row, _kind, _shape, _gone, _moved, _header, _header)

    def cases():
        for k in range(int(number)):
            path, change = paths[k % len(paths)], rng.choice(changes)
            shutil.copy(path, mutant)
            try:
                with h5py.File(mutant, "r+") as file:
                    del file["checksums"]
                    name = rng.choice([name for name in _names(file) if name != "header"])
                    change(file, name, rng)
                    file.attrs["sha256"] = content_hash(file)
            except (ValueError, OSError, TypeError):  # no such change of this array
                shutil.copy(path, mutant)
            yield f"{k} {change.__name__}"

    return outcomes(cases(), lambda: read_dataset(mutant), (DatasetError,))


def _names(file):
    """Paths of all arrays."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


@pytest.mark.parametrize("how", [bytes_changed, schema_changed])
def test_mutants_of_a_dataset(tmp_path, how):
    for kind in KINDS:
        small_set(tmp_path / f"{kind}.h5", KINDS[kind])
    number = count(200)
    sound(limited(how, tmp_path, number), number)


# ---- DeepH ------------------------------------------------------------------------------------


def proved(found):
    """The content of an imported structure is one that a program may have written."""
    proof = check(found.atoms, found.H, found.S)
    for matrix in (found.H, found.S):
        assert matrix is None or np.abs(matrix.values).max() <= 1e6
    assert (np.abs(found.atoms.positions) <= 1e6).all()
    assert np.isfinite(proof.hermiticity_ev) or proof.complaint


def deeph_changed(folder, number):
    """Mutants of each file of a DeepH folder in turn."""
    mutant, cases = Path(folder, "mutant"), changed_folders(folder, number, seed=5)
    return outcomes(cases, lambda: proved(deeph.read(mutant)), (FormatError,))


def test_mutants_of_a_deeph_folder(tmp_path):
    H, S = (integrals(ATOMS, kind, "sto-3g", 4.0) for kind in ("int1e_kin", "int1e_ovlp"))
    deeph.write(tmp_path / "sound", ATOMS, H * HARTREE, S, fermi_level=-4.5)
    number = count(200)
    sound(limited(deeph_changed, tmp_path, number), number)


# ---- SIESTA and Wannier90 ---------------------------------------------------------------------


def sisl_changed(folder, name, number):
    """Mutants of a run of SIESTA, or of each file of a Wannier90 Hamiltonian in turn."""
    mutant, cases = Path(folder, "mutant"), changed_folders(folder, number, seed=6)
    sisl.READ_SECONDS = 0.3  # what takes longer never ends

    def read():
        found = sisl.read(mutant / name)
        if found.H.basis.is_harmonic:
            proved(found)
        assert np.abs(found.H.values).max() <= 1e6
        assert (np.abs(found.atoms.positions) <= 1e6).all()

    return outcomes(cases, read, (FormatError,))


@pytest.mark.parametrize("name", ["run.HSX", "run_hr.dat", "run_tb.dat"])
def test_mutants_of_siesta_and_wannier90(tmp_path, name):
    (tmp_path / "sound").mkdir()
    if name == "run.HSX":
        pytest.importorskip("sisl")
        H, S = (integrals(ATOMS, kind, "sto-3g", 4.0) for kind in ("int1e_kin", "int1e_ovlp"))
        hamiltonian(ATOMS, H * HARTREE, S).write(str(tmp_path / "sound" / name))
    else:
        cells = [(0, 0, 0), (1, 0, 0), (-1, 0, 0)]
        blocks = [np.eye(2) * 3.0, np.eye(2) * 0.5, np.eye(2) * 0.5]
        kind = name[4:6]
        wannier(tmp_path / "sound", "run", np.eye(3) * 4, cells, [1, 1, 1], blocks, kind)
    number = count(60)
    sound(limited(sisl_changed, tmp_path, name, number), number)
