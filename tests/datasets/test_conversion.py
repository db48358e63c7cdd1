"""Import and export: resumed, killed, repeated, and two at once."""

import os
import random
from pathlib import Path

import pytest

from tests.support.command_line import numbers_of, run
from tests.support.faults import killed_after
from workbench.datasets.conversion import export_files, import_files
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import deeph
from workbench.datasets.writing import write_part
from workbench.storage.lock import LockError, locked_file, locked_folder
from workbench.storage.writing_errors import TargetError


@pytest.fixture(scope="module")
def exported(tiny_path, tmp_path_factory):
    """The twenty structures of the tiny set as folders."""
    with Dataset(tiny_path) as tiny:
        return export_files(
            "deeph", tiny, tmp_path_factory.mktemp("tiny") / "deeph", progress=False
        )


@pytest.fixture(scope="module")
def imported(exported, tmp_path_factory):
    """The hash of a dataset that was imported without any disturbance."""
    return imported_hash(exported, tmp_path_factory.mktemp("imported") / "a.h5")


def imported_hash(source: Path, out: Path) -> str:
    with Dataset(import_files("deeph", [source], out, progress=False)) as dataset:
        dataset.verify()
        return dataset.hash


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_kills_of_an_import_change_nothing(exported, imported, tmp_path):
    rng, out, kills = random.Random(0), tmp_path / "a.h5", 0
    while not out.exists() and kills < 5:
        kills += killed_after(0.05 + 0.3 * rng.random(), lambda: imported_hash(exported, out))
    assert kills
    assert out.exists() or imported_hash(exported, out) == imported
    with Dataset(out) as dataset:
        dataset.verify()
        assert dataset.hash == imported
    assert not list(tmp_path.glob(".*.part"))


def test_kills_of_an_export_leave_only_complete_folders(tiny, exported, imported, tmp_path):
    rng, root = random.Random(1), tmp_path / "deeph"
    for _ in range(4):
        killed_after(
            0.02 + 0.2 * rng.random(), lambda: export_files("deeph", tiny, root, progress=False)
        )
        for folder in root.glob("[0-9]*"):
            assert sorted(os.listdir(folder)) == sorted(deeph.FILES)
    export_files("deeph", tiny, root, progress=False)
    assert contents(root) == contents(exported)
    assert imported_hash(root, tmp_path / "a.h5") == imported


def test_kills_of_a_part_leave_it_absent_or_complete(tiny, tmp_path):
    out = tmp_path / "a.h5"
    for seconds in (0.001, 0.01, 0.02, 0.04, 0.08):
        killed_after(seconds, lambda: write_part(tiny, out, {"train": 12}))
        if out.exists():
            with Dataset(out) as dataset:
                dataset.verify()
                assert len(dataset) == 12
    with locked_file(out):
        assert sorted(os.listdir(tmp_path)) == [".a.h5.lock", "a.h5"][: 1 + out.exists()]


def test_a_resumed_import_sees_an_exchanged_file_that_is_older(exported, tmp_path):
    """The other file has the same size and an older date, as one copied with its date has."""
    root, out = tmp_path / "deeph", tmp_path / "a.h5"
    for name in ("00", "01"):
        (root / name).mkdir(parents=True)
        for file in (exported / name).iterdir():
            (root / name / file.name).write_bytes(file.read_bytes())
    (root / "01" / "info.json").rename(tmp_path / "kept")
    with pytest.raises(ValueError, match=r"has no info\.json"):
        import_files("deeph", [root], out, progress=False)
    (tmp_path / "kept").rename(root / "01" / "info.json")
    level = root / "00" / "info.json"
    text = level.read_text().replace('"fermi_level": null', '"fermi_level": 0.10')
    (tmp_path / "new").write_text(text)
    os.utime(tmp_path / "new", (1, 1))
    assert (tmp_path / "new").stat().st_size == level.stat().st_size
    (tmp_path / "new").replace(level)
    import_files("deeph", [root], out, progress=False)
    with Dataset(out) as dataset:
        assert [dataset[i].n_electrons for i in range(2)] == [
            10,
            0,
        ]  # levels below it, known or not


def test_a_resumed_import_does_not_read_again_what_it_has_read(exported, tmp_path):
    root, out = tmp_path / "deeph", tmp_path / "deeph" / "a.h5"
    root.mkdir()
    for name in ("00", "01"):
        (root / name).symlink_to(exported / name)
    (root / "02").mkdir()
    (root / "02" / "orbital_types.dat").touch()
    parts = []
    for _ in range(2):
        with pytest.raises(ValueError, match="02 has no"):
            import_files("deeph", [exported / "00", exported / "01", root], out, progress=False)
        parts.append(sorted(p.stat().st_mtime_ns for p in (root / "a.h5.partial").iterdir()))
    assert parts[0] == parts[1]
    assert len(parts[0]) == 2


def test_an_import_does_not_replace_what_it_reads(exported, tmp_path):
    source = tmp_path / "00"
    source.mkdir()
    for file in (exported / "00").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    before = (source / "hamiltonians.h5").read_bytes()
    with pytest.raises(TargetError, match="is read to make the result"):
        import_files("deeph", [source], source / "hamiltonians.h5", progress=False)
    assert (source / "hamiltonians.h5").read_bytes() == before


def test_one_import_and_one_export_at_a_time(tiny, exported, tmp_path):
    out, root = tmp_path / "a.h5", tmp_path / "deeph"
    with locked_file(out), pytest.raises(LockError, match=r"already writing .*a\.h5"):
        import_files("deeph", [exported], out, progress=False)
    with locked_folder(root), pytest.raises(LockError, match=r"already writing .*deeph"):
        export_files("deeph", tiny, root, progress=False)
    assert os.listdir(tmp_path) == ["deeph"]
    assert os.listdir(root) == []


def test_two_datasets_do_not_mix_in_one_folder(tiny, tmp_path):
    write_part(tiny, tmp_path / "part.h5", {"train": 2})
    root = export_files("deeph", tiny, tmp_path / "deeph", split="test", progress=False)
    export_files("deeph", tiny, root, split="valid", progress=False)  # two splits of one dataset
    before = contents(root)
    with Dataset(tmp_path / "part.h5") as part:
        with pytest.raises(TargetError, match="holds the export of another dataset"):
            export_files("deeph", part, root, progress=False)
        assert contents(root) == before
        (root / "16" / "notes.txt").write_text("mine")
        export_files("deeph", part, root, progress=False, overwrite=True)
        fresh = export_files("deeph", part, tmp_path / "fresh", progress=False)
    assert contents(root) == contents(fresh) | {"16/notes.txt": b"mine"}


def test_an_overlap_of_an_earlier_structure_does_not_stay(tiny, tmp_path):
    sample = tiny[0]
    deeph.write(tmp_path, sample.atoms, sample.H, sample.S)
    deeph.write(tmp_path, sample.atoms, sample.H)
    assert deeph.read(tmp_path).S is None
    assert not (tmp_path / "overlaps.h5").exists()


def test_bad_structures_are_left_out_only_on_request_and_listed(exported, tmp_path):
    root, out = tmp_path / "deeph", tmp_path / "a.h5"
    for name in ("00", "01", "02", "03"):
        (root / name).mkdir(parents=True)
        for file in (exported / name).iterdir():
            (root / name / file.name).write_bytes(file.read_bytes())
    (root / "01" / "element.dat").write_text("8 1 0.5")
    (root / "03" / "hamiltonians.h5").write_bytes(b"nothing")
    words = ("import", "deeph", root, "--out", out, "--train", 0.5, "--valid", 0.25, "--test", 0.25)
    refused = run(*words)
    assert refused.exit_code == 2
    assert "element.dat" in refused.stderr
    found = numbers_of(*words, "--skip-bad")
    assert found["samples"] == 2
    assert sum(found["splits"].values()) == 2
    assert set(found["skipped"]) == {"01", "03"}
    assert "atomic numbers" in found["skipped"]["01"]
    with Dataset(out) as dataset:
        dataset.verify()
        assert dataset.provenance["skipped"] == found["skipped"]
        assert sorted(k for s in dataset.splits for k in dataset.split(s).tolist()) == [0, 1]
    for name in ("00", "02"):
        (root / name / "element.dat").write_text("8 1 0.5")
    assert run(*words, "--skip-bad", "--overwrite").exit_code == 2  # none is sound
