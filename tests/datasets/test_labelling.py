"""Label jobs: what they sample, what they refuse, and that a kill changes nothing."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import graphene

from tests.support.processes import children_of, wait_for, wait_for_end
from workbench.datasets.dataset import Dataset
from workbench.datasets.labelling import LabellingError, label
from workbench.engines.dispatch import again as computed_again
from workbench.engines.dispatch import reference as wb_reference
from workbench.engines.openblas import core_type
from workbench.engines.pyscf_molecules import reference
from workbench.storage.lock import LockError
from workbench.structures.bilayers import bilayer
from workbench.structures.loading import StructureError, load
from workbench.structures.sampling import AsGiven, Displaced, Langevin, orient

TINY = {"sampling": Displaced(batch=5), "basis": "sto-3g", "xc": "hf", "progress": False}
SPLITS = {"train": 14, "valid": 3, "test": 8}
JOB = """
import sys
from workbench.structures.sampling import Displaced
from workbench.datasets.labelling import label
label(["HF", "H2"], sys.argv[1], {"train": 14, "valid": 3, "test": 8}, sampling=Displaced(batch=5),
      basis="sto-3g", xc="hf", progress=False, processes=int(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("labels") / "undisturbed.h5"
    label(["HF", "H2"], out, SPLITS, **TINY)
    return out


def test_labels_are_references_of_their_geometries(undisturbed):
    with Dataset(undisturbed) as ds:
        assert [len(ds.split(s)) for s in ("train", "valid", "test")] == [28, 6, 16]
        for i in (0, 20, 33, -1):
            sample = ds[i]
            made = reference(sample.atoms, "sto-3g", "hf")
            assert (made.H - sample.H).max_abs() < 1e-8
            assert made.energy == pytest.approx(sample.energy, abs=1e-9)  # rounding may differ
            assert made.n_electrons == sample.n_electrons
        method = ds.provenance["recipe"]["method"]
        assert method["method"] == "RHF"
        assert method["version"]
    assert [p.name for p in undisturbed.parent.iterdir()] == [undisturbed.name]


def test_splits_share_no_batch(undisturbed):
    with Dataset(undisturbed) as ds:
        groups = [set(ds.groups[ds.split(name)]) for name in ds.splits]
        assert sum(len(g) for g in groups) == len(set().union(*groups)) == 2 * (3 + 1 + 2)


def test_no_two_geometries_are_equal(undisturbed):
    with Dataset(undisturbed) as ds:
        seen = {ds.positions(i).tobytes() for i in range(len(ds))}
        assert len(seen) == len(ds) == 50


def test_a_second_run_finds_the_dataset_made(undisturbed):
    before = undisturbed.stat().st_mtime_ns
    assert label(["HF", "H2"], undisturbed, SPLITS, **TINY) == undisturbed
    assert undisturbed.stat().st_mtime_ns == before


def test_another_job_of_the_same_name_is_refused(undisturbed):
    with pytest.raises(LabellingError, match="made with other arguments"):
        label(["HF", "H2"], undisturbed, SPLITS, **TINY, seed=1)


def test_more_test_samples_leave_the_others_as_they_are(undisturbed, tmp_path):
    label(["HF", "H2"], tmp_path / "a.h5", {**SPLITS, "test": 9}, **TINY)
    with Dataset(tmp_path / "a.h5") as more, Dataset(undisturbed) as ds:
        for name in ("train", "valid"):
            for i, j in zip(more.split(name), ds.split(name), strict=True):
                assert np.array_equal(more.positions(i), ds.positions(j))
                assert np.array_equal(more[i].H.values, ds[j].H.values)


@pytest.mark.slow
def test_killing_it_ten_times_changes_nothing(undisturbed, tmp_path):
    """SIGKILL at ten random moments over the whole job, its first and last ones included.

    One and two processes take turns, which must not matter either.
    """
    out = tmp_path / "killed.h5"
    work = tmp_path / "killed.h5.partial"
    rng = np.random.default_rng(1)
    total = 50 + 12  # labels and batches of geometries
    moments = sorted(rng.integers(0, total, size=8).tolist())
    kills, made = 0, {}
    for turn, moment in enumerate([0, *moments, total]):
        process = start(out, processes=1 + turn % 2)
        wait_for(lambda n=moment: out.exists() or len(pieces(work)) >= n, process)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        now = pieces(work)
        if work.exists() and not out.exists():
            assert made.items() <= now.items()  # nothing lost, nothing done twice
            made = now
    assert kills >= 9  # the last one may have come after the end
    assert start(out, processes=1).wait(timeout=120) == 0
    with Dataset(out) as resumed, Dataset(undisturbed) as ds:
        resumed.verify()
        assert resumed.hash == ds.hash
    assert not work.exists()


@pytest.mark.skipif(core_type() is None, reason="a processor whose kernels are not chosen")
def test_a_job_continues_under_any_kernels(undisturbed, tmp_path):
    out = tmp_path / "killed.h5"
    work = tmp_path / "killed.h5.partial"
    for kernels, done in ((None, 12), ("Haswell", 30)):
        process = start(out, 1, kernels)
        wait_for(lambda n=done: len(pieces(work)) >= n, process)
        process.kill()
        process.wait()
    assert start(out, 1, "Prescott").wait(timeout=120) == 0
    with Dataset(out) as resumed, Dataset(undisturbed) as ds:
        assert resumed.hash == ds.hash


def test_workers_end_with_a_killed_job(tmp_path):
    process = start(tmp_path / "killed.h5", processes=2)
    wait_for(lambda: len(pieces(tmp_path / "killed.h5.partial")) >= 14, process)  # a label each
    workers = children_of(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    wait_for_end(workers)


def test_one_process_is_one_worker(tmp_path):
    """A second one, though idle, takes memory and looks like a job that ignores its limit."""
    process = start(tmp_path / "one.h5", processes=1)
    seen = set()
    while process.poll() is None:
        for pid in children_of(process.pid):
            with suppress(OSError):
                if b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    seen.add(pid)
        time.sleep(0.05)
    assert process.returncode == 0
    assert len(seen) == 1


def start(out: Path, processes: int, kernels: str | None = None) -> subprocess.Popen:
    """The job in a process of its own, which OPENBLAS_CORETYPE tells what kernels to use."""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    environment |= {} if kernels is None else {"OPENBLAS_CORETYPE": kernels}
    return subprocess.Popen([sys.executable, "-c", JOB, out, str(processes)], env=environment)


def pieces(work: Path) -> dict[str, int]:
    """Finished files of a job and when each was made."""
    result = {}
    for path in [*work.glob("geometries-*.npz"), *work.glob("label-*.npz")]:
        try:
            result[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # the job is clearing up
            continue
    return result


def test_two_jobs_at_once_are_refused(tmp_path):
    out = tmp_path / "a.h5"
    first = start(out, 1)
    try:
        wait_for(lambda: len(pieces(tmp_path / "a.h5.partial")) > 0, first)
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(LockError, match="already writing"):
            label(["HF", "H2"], out, SPLITS, **TINY)
    finally:
        first.kill()
        first.wait()
    with pytest.raises(LabellingError, match="other arguments"):
        label("HF", out, SPLITS, **TINY)


def test_geometries_without_a_label_are_named_and_can_be_left_out(tmp_path):
    """HF does not converge in four cycles, H2 does."""
    out, structures = tmp_path / "a.h5", ["H2", "HF", "H2"]
    job = {"basis": "sto-3g", "xc": "hf", "sampling": AsGiven(), "progress": False}
    with pytest.raises(LabellingError, match=r"1 geometries .*\n.*sample 1 \(HF, train") as error:
        label(structures, out, {"train": 1}, max_cycle=4, **job)
    assert "did not converge" in str(error.value)
    assert not out.exists()
    label(structures, out, {"train": 1}, max_cycle=4, allow_failures=1, **job)
    with Dataset(out) as ds:
        assert ds.split("train").tolist() == [0, 1]
        assert ds.provenance["left_out"] == [1]


def test_a_failed_job_goes_on_with_more_cycles(tmp_path):
    job = {"basis": "sto-3g", "xc": "hf", "sampling": AsGiven(), "progress": False}
    with pytest.raises(LabellingError):
        label(["H2", "HF"], tmp_path / "a.h5", {"train": 1}, max_cycle=4, **job)
    made = pieces(tmp_path / "a.h5.partial")
    label(["H2", "HF"], tmp_path / "a.h5", {"train": 1}, max_cycle=50, **job)
    assert len(made) == 3
    with Dataset(tmp_path / "a.h5") as ds:
        assert len(ds) == 2


def test_a_senseless_job_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(StructureError):
        label(["HF", "CH3"], tmp_path / "a.h5", SPLITS, **TINY)
    with pytest.raises(ValueError, match="functional"):
        label("HF", tmp_path / "a.h5", SPLITS, **{**TINY, "xc": "pbee"})
    assert not list(tmp_path.iterdir())


def test_displacements_have_their_width():
    frames = Displaced(sigma=0.03).draw(load("methane"), 400, np.random.default_rng(0))
    moved = np.stack([f.positions for f in frames]) - load("methane").positions
    assert moved.std() == pytest.approx(0.03, rel=0.05)
    assert abs(moved.mean()) < 0.002


def test_displacements_that_make_atoms_clash_are_redrawn_or_refused():
    for frame in Displaced(sigma=0.3).draw(load("water"), 100, np.random.default_rng(0)):
        assert frame.get_all_distances()[np.triu_indices(3, 1)].min() > 0.4
    crowd = Atoms("He200", np.random.default_rng(0).uniform(0, 3, size=(200, 3)))
    with pytest.raises(StructureError, match="lower sigma"):
        Displaced(sigma=1.0).draw(crowd, 1, np.random.default_rng(0))


def test_orientations_are_uniform_and_about_the_centre_of_mass():
    rng, water = np.random.default_rng(0), load("water")
    turned = [orient(water, rng) for _ in range(2000)]
    assert max(np.abs(a.get_center_of_mass()).max() for a in turned) < 1e-12
    axes = np.stack([a.positions[1] - a.positions[2] for a in turned])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    assert np.abs(axes.mean(axis=0)).max() < 0.06  # standard error 0.013
    assert np.abs(axes.T @ axes / len(axes) - np.eye(3) / 3).max() < 0.03


def test_langevin_samples_the_temperature_and_repeats_itself():
    pytest.importorskip("tblite")
    recipe = Langevin(temperature_K=500, equilibration_fs=200, interval_fs=10, timestep_fs=0.5)
    water = load("water")
    first, again = (recipe.draw(water, 60, np.random.default_rng(4)) for _ in range(2))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(first, again, strict=True))
    # The HOH bend of 4.4 eV/rad^2 (0.70 mdyn A) spreads by sqrt(kT / k).
    angles = np.deg2rad([a.get_angle(1, 0, 2) for a in first])
    spread = np.sqrt(units.kB * 500 / 4.4)
    assert 0.5 * spread < angles.std() < 2 * spread


def test_langevin_batches_do_not_depend_on_the_number_of_processes(tmp_path):
    pytest.importorskip("tblite")
    short = Langevin(equilibration_fs=50, interval_fs=20, batch=2)
    job = {"sampling": short, "basis": "sto-3g", "xc": "hf", "progress": False}
    hashes = set()
    for processes in (1, 2):
        out = label("water", tmp_path / f"{processes}.h5", {"a": 4}, processes=processes, **job)
        with Dataset(out) as ds:
            hashes.add(ds.hash)
    assert len(hashes) == 1


# ---- crystals ------------------------------------------------------------------------------------

CHEAP = {"mesh": (3, 1, 1), "ke_cutoff": 20.0, "conv_tol": 1e-7}


def chain():
    """A bent chain of carbon along x."""
    places = [[0.3, 3.2, 3.3], [1.6, 3.4, 3.2]]
    return Atoms("C2", places, cell=[2.6, 6.5, 6.5], pbc=(True, False, False))


def test_crystals_are_labelled_with_their_cells_and_overlaps(tmp_path):
    """Strained and shaken; an interrupted job is taken up again; labels are references."""
    out, sampling = tmp_path / "chains.h5", Displaced(0.02, strain=0.03)
    job = {"sampling": sampling, "progress": False, **CHEAP}
    with pytest.raises(LabellingError, match="1 geometries have no label"):
        label(chain(), out, {"train": 1}, **job, max_cycle=1)
    label(chain(), out, {"train": 1}, **job)
    assert label(chain(), out, {"train": 1}, **job) == out
    with Dataset(out) as made:
        sample, sample_reference = made[0], made.reference(0)
        recipe, method = made.provenance["recipe"], made.method
    assert recipe["method"]["mesh"] == [3, 1, 1]
    assert "smearing" not in recipe["method"]  # as in recipes of older versions
    defaults = {"basis": "gth-szv-molopt-sr", "pseudo": "gth-pbe", "smearing": 0.1}
    assert {name: method[name] for name in defaults} == defaults
    assert (method["ke_cutoff"], method["functional"]) == (20.0, "pbe")
    assert (computed_again(sample.atoms, sample_reference).H - sample.H).max_abs() < 1e-6
    assert recipe["oriented"] == "as sampled"
    again = wb_reference(sample.atoms, **CHEAP)
    assert (again.H - sample.H).max_abs() < 1e-6
    assert (again.S - sample.S).max_abs() < 1e-12
    assert again.fermi_level == pytest.approx(sample.fermi_level, abs=1e-6)
    stretch = sample.atoms.cell.array / chain().cell.array.diagonal() - np.eye(3)
    assert 0 < abs(stretch[0, 0]) < 0.03
    np.testing.assert_allclose(np.delete(stretch, 0, 0), 0, atol=1e-12)  # vacuum is left alone


def test_strain_is_symmetric_in_the_plane_and_layers_slide():
    atoms = graphene(a=2.46, vacuum=5.0)
    atoms.pbc = (True, True, False)
    for frame in Displaced(0.0, strain=0.05).draw(atoms, 20, np.random.default_rng(0)):
        F = np.linalg.solve(atoms.cell.array, frame.cell.array)
        np.testing.assert_allclose(F, F.T, atol=1e-12)
        assert 0 < np.abs(F - np.eye(3)).max() < 0.05
        np.testing.assert_allclose(F[2], [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(frame.get_scaled_positions(), atoms.get_scaled_positions())
    two = bilayer(atoms, 3.35)
    shifts = [
        frame.positions - two.positions
        for frame in Displaced(0.0, slide=True).draw(two, 20, np.random.default_rng(0))
    ]
    assert all(np.allclose(s[:2], 0) and np.allclose(s[2], s[3]) for s in shifts)
    assert np.std([s[2, 0] for s in shifts]) > 0.3


def test_jobs_of_crystals_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(StructureError, match="not both"):
        label([chain(), load("water")], tmp_path / "a.h5", {"train": 1}, progress=False)
    with pytest.raises(ValueError, match="no setting 'grid'"):
        label(chain(), tmp_path / "a.h5", {"train": 1}, progress=False, grid=3)
    with pytest.raises(ValueError, match="no setting 'mesh'"):
        label(load("water"), tmp_path / "a.h5", {"train": 1}, progress=False, mesh=(1, 1, 1))
