"""QH9's lmdb folders: the same structures as in the databases, without running a pickle."""

import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.support import published_sets as sets
from tests.support.command_line import numbers_of
from tests.support.fuzzing import fault_of, faults
from tests.support.mutants import count, mutants
from workbench.datasets.formats import FormatError, qh9

lmdb = pytest.importorskip("lmdb")  # writes the files; reading needs no package


@pytest.fixture
def stable(tmp_path):
    database = sets.qh9_stable(tmp_path / "raw" / "QH9Stable.db", sets.calculations())
    return database, sets.qh9_lmdb(tmp_path / "processed" / "QH9Stable.lmdb", database)


@pytest.fixture(autouse=True)
def folders(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "processed").mkdir()


@pytest.mark.parametrize("protocol", [2 + 1, 4, 5])
def test_records_are_those_of_the_database(protocol, stable, tmp_path):
    database, _ = stable
    file = sets.qh9_lmdb(tmp_path / f"{protocol}.lmdb", database, protocol)
    for k in range(3):
        a, b = qh9.read(database / str(k)), qh9.read(file / str(k))
        assert (a.H - b.H).max_abs() == 0
        assert np.array_equal(a.atoms.positions, b.atoms.positions)


def test_dynamic_records_are_in_bohr_and_named_by_molecule(tmp_path):
    water, methanol, _ = sets.calculations()
    database = sets.qh9_dynamic(tmp_path / "raw" / "d.db", [[methanol], [water, water]])
    folder = tmp_path / "processed" / "QH9Dynamic.lmdb"
    sets.qh9_lmdb(folder, database)
    made = numbers_of("import", "qh9", folder, "--out", tmp_path / "a.h5")
    again = numbers_of("import", "qh9", database, "--out", tmp_path / "b.h5")
    assert made["splits"] == again["splits"]
    assert made["largest_residuals"] == again["largest_residuals"]


def test_a_database_beside_goes_before(stable, tmp_path):
    database, _ = stable
    assert [path.parent for path, _ in qh9.FORMAT.find([tmp_path])] == [database] * 3
    database.unlink()
    names = [name for _, name in qh9.FORMAT.find([tmp_path])]
    assert names == [f"QH9Stable.lmdb/{k}" for k in range(3)]


class Trap:
    def __reduce__(self):
        return exec, ("open('trap', 'w')",)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with lmdb.open(str(tmp_path / "a.lmdb")) as environment:
        for k, value in enumerate((Trap(), {"id": Trap()}, [1], 7)):
            with environment.begin(write=True) as transaction:
                transaction.put(k.to_bytes(4, "big"), pickle.dumps(value))
    for k, sentence in enumerate(("STACK_GLOBAL", "STACK_GLOBAL", "EMPTY_LIST", "no dictionary")):
        with pytest.raises(
            FormatError, match=f"{sentence}.*import the .db file instead"
        ) as refused:
            qh9.read(tmp_path / "a.lmdb" / "data.mdb" / str(k))
        assert str(refused.value).endswith(".")
    assert not (tmp_path / "trap").exists()


def test_a_missing_record_and_other_keys_are_refused(stable, tmp_path):
    _, file = stable
    for name in ("3", "x", "9" * 40, str(1 << 32)):
        with pytest.raises(FormatError, match="has no record"):
            qh9.read(file / name)
    lmdb.open(str(tmp_path / "a.lmdb")).close()
    with pytest.raises(FormatError, match="has no records"):
        qh9.FORMAT.find([tmp_path / "a.lmdb"])
    with (
        lmdb.open(str(tmp_path / "a.lmdb")) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"length", b"3")
    with pytest.raises(FormatError, match="whose keys are four bytes"):
        qh9.FORMAT.find([tmp_path / "a.lmdb"])


def outcomes():
    """For each mutant of an lmdb file a fault in words, or None where it is read or refused."""
    database = sets.qh9_stable("a.db", sets.calculations()[:2])
    file = sets.qh9_lmdb(Path("a.lmdb"), database)
    for mutant in islice(mutants(file.read_bytes(), seed=2), count(100)):
        Path("data.mdb").write_bytes(mutant)
        yield fault_of(_check, FormatError, mutant[:100])


def _check():
    for source, _ in qh9.FORMAT.find([Path("data.mdb")]):
        assert np.isfinite(qh9.read(source).H.values).all()


def test_mutants_are_read_or_refused_in_one_sentence():
    assert faults(outcomes) == []
