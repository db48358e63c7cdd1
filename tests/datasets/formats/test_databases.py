"""SQLite databases of unknown origin: recognised, opened without a change, bounded, refused."""

import sqlite3

import pytest

from tests.support import published_sets as sets
from workbench.datasets.formats import FormatError, databases, qh9


@pytest.fixture
def database(tmp_path):
    return sets.qh9_stable(tmp_path / "a.db", sets.calculations()[:2])


def test_sets_are_recognised_by_their_columns(database, tmp_path):
    other = tmp_path / "b.db"
    sqlite3.connect(other).execute("CREATE TABLE data (x)").connection.close()
    (tmp_path / "c.db").write_text("SQLite format 4")
    (tmp_path / "d.db").mkdir()
    known = {p.name: databases.published_set(p) for p in tmp_path.iterdir()}
    assert known == {"a.db": "qh9", "b.db": None, "c.db": None, "d.db": None}
    assert [name for _, name in databases.find("qh9", [tmp_path])] == ["a.db/0", "a.db/1"]


REFUSED = {
    "There is no file or folder": "absent.db",
    "No database of QH9": "empty",
    "is no database of QH9, which has a table data": "text.db",
    "truncated, damaged or no SQLite database": "broken.db",
    "has no rows in its table data": "rowless.db",
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_other_files_are_refused(sentence, database, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db").write_text("no database")
    (tmp_path / "broken.db").write_bytes(database.read_bytes()[:1000])
    sets.qh9_stable(tmp_path / "rowless.db", [])
    with pytest.raises(FormatError, match=sentence) as refused:
        databases.find("qh9", [tmp_path / REFUSED[sentence]])
    assert str(refused.value).endswith(".")


def test_unsaved_changes_are_refused(database):
    database.with_name("a.db-journal").write_bytes(b"x")
    with pytest.raises(FormatError, match="has unsaved changes in a"):
        databases.find("qh9", [database])


def test_a_view_in_place_of_the_table_is_not_run(tmp_path):
    path = tmp_path / "a.db"
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE VIEW data AS SELECT x id, x N, x Z, x pos, x Ham FROM ({endless})")
    connection.close()
    with pytest.raises(FormatError, match="no database of QH9"):
        databases.find("qh9", [path])


def test_a_step_without_end_is_stopped(database, monkeypatch):
    monkeypatch.setattr(databases, "SECONDS", 0.05)
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r"
    with (
        pytest.raises(FormatError, match=r"was not read in 0 s"),
        databases.opened(database) as connection,
    ):
        connection.execute(endless).fetchone()


def test_reading_changes_nothing(database):
    before = database.read_bytes(), sorted(p.name for p in database.parent.iterdir())
    qh9.read(database / "0")
    assert (database.read_bytes(), sorted(p.name for p in database.parent.iterdir())) == before
