"""SIESTA through sisl: order and signs, bands, proofs, faults; without it a sentence.

What needs sisl itself runs where it is installed (`pip install 'hamiltonian-workbench[sisl]'`).
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run
from tests.support.crystal import integrals, sheet, spin_orbit
from tests.support.siesta import fitted, hamiltonian
from workbench.datasets.formats import FormatError, sisl
from workbench.datasets.formats.sisl import read
from workbench.datasets.validation import check
from workbench.hamiltonians import conventions, rotations
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.conventions import HARTREE, order_index, order_signs

SAMPLES = os.environ.get("WORKBENCH_SAMPLES", "")
needs_sisl = pytest.mark.skipif(not sisl.available(), reason="sisl is not installed")
ATOMS = sheet()
ATOMS.positions += [0.4, -0.3, 0.2]
POINTS = [[0, 0, 0], [0.13, 0.29, 0.41], [0.5, -0.21, 0.0]]
FIELD = np.array([0.3, 0.5, -0.4])  # eV, of non-collinear spins


@pytest.fixture(scope="module")
def matrices():
    """Kinetic energy (eV) and overlap of graphene, s to d orbitals."""
    return integrals(ATOMS, "int1e_kin") * HARTREE, integrals(ATOMS, "int1e_ovlp")


def with_spin(matrices, kind):
    """H with a spin-orbit coupling on each atom or, non-collinear, in a field along FIELD."""
    both, S = matrices[0].with_spin(), matrices[1].with_spin()
    values = both.values.copy()
    if kind == "spin-orbit":
        values[: len(ATOMS)] += spin_orbit(both.basis)
    else:
        field = np.einsum("a,aij->ij", FIELD, rotations.PAULI)
        values = values + np.kron(field, np.eye(both.basis.dim)) @ S.values
    return replace(both, values=values)


@pytest.fixture
def written(tmp_path, matrices):
    """A run of SIESTA that sisl wrote, and sisl's Hamiltonian."""

    def write(name="run.HSX", spin="unpolarized", H=None, label=None, S=matrices[1], **how):
        given = H or (matrices[0] if "polarized" in spin else with_spin(matrices, spin))
        made = hamiltonian(ATOMS, given, S, spin, label)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        made.write(str(tmp_path / name), **how)
        return tmp_path / name, made

    return write


# ---- order, signs, bands -------------------------------------------------------------------------


@needs_sisl
@pytest.mark.parametrize("l", range(5))
def test_shells_agree_with_sisls_harmonics(l):
    """``ours = signs * theirs[index]``, so that the fit of theirs undoes the two."""
    index, signs = order_index("siesta", [l]), order_signs("siesta", [l])
    np.testing.assert_allclose(signs[:, None] * fitted(l)[index], np.eye(2 * l + 1), atol=1e-12)


@needs_sisl
def test_what_sisl_writes_is_read_as_it_was(written, matrices):
    path, theirs = written()
    found = read(path, "def2-svp")
    assert (found.H - matrices[0]).max_abs() < 1e-11
    assert (found.S - matrices[1]).max_abs() < 1e-13
    assert found.H.basis == matrices[0].basis
    assert found.fermi_level == 0.0
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-9)
    np.testing.assert_allclose(found.atoms.cell.array, ATOMS.cell.array, atol=1e-9)
    assert found.atoms.pbc.all()
    for k in POINTS:
        np.testing.assert_allclose(energies_at(found.H, found.S, k), theirs.eigh(k=k), atol=1e-9)


@needs_sisl
def test_netcdf_files_hold_the_same(written, matrices):
    netCDF4 = pytest.importorskip("netCDF4")
    path, _ = written("run.nc")
    with netCDF4.Dataset(path, "a") as file:  # sisl writes no shells, SIESTA does
        shells = np.array(matrices[0].basis.shells[6])
        for species in file.groups["BASIS"].groups.values():
            species.createDimension("norbs", len(shells))
            species.createDimension("ntb", 20)
            for name in ("orbnl_l", "orbnl_n", "orbnl_z", "orbnl_ispol", "orbnl_pop", "delta"):
                kind = "f8" if name in ("orbnl_pop", "delta") else "i4"
                values = {"orbnl_l": shells, "orbnl_n": shells + 1, "orbnl_ispol": 0 * shells}
                variable = species.createVariable(name, kind, ("norbs",))
                variable[:] = values.get(name, 1 + np.arange(len(shells)))
            orbital = species.createVariable("orb", "f8", ("norbs", "ntb"))
            orbital[:] = np.exp(-np.arange(20))
    found = read(path, "def2-svp")
    assert (found.H - matrices[0]).max_abs() < 1e-9
    assert (found.S - matrices[1]).max_abs() < 1e-13
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-9)


@needs_sisl
@pytest.mark.parametrize("spin", ["spin-orbit", "non-collinear"])
def test_spinors_are_read_with_their_bands(spin, written, matrices):
    path, theirs = written(spin=spin)
    found = read(path, "def2-svp")
    assert found.H.basis.spinor
    assert (found.H - with_spin(matrices, spin)).max_abs() < 1e-11
    assert (found.S - matrices[1].with_spin()).max_abs() < 1e-13
    for k in POINTS:
        np.testing.assert_allclose(energies_at(found.H, found.S, k), theirs.eigh(k=k), atol=1e-9)


@needs_sisl
def test_orthogonal_orbitals_have_the_identity_for_overlap(written):
    path, theirs = written(S=None)
    found = read(path)
    np.testing.assert_array_equal(found.S.at_k(POINTS[1]), np.eye(found.S.n_ao))
    energies = energies_at(found.H, found.S, POINTS[1])
    np.testing.assert_allclose(energies, theirs.eigh(k=POINTS[1]), atol=1e-9)


@needs_sisl
@pytest.mark.parametrize("spin", ["unpolarized", "spin-orbit"])
def test_the_crystals_own_symmetry_maps_its_matrix_onto_itself(spin, written):
    found = read(written(spin=spin)[0])
    proof = check(found.atoms, found.H, found.S)
    assert proof.complaint is None
    assert proof.operations == 23  # of the 24 of D6h
    assert proof.overlap_across < 1e-12
    assert proof.symmetry_share < 1e-4


@needs_sisl
@pytest.mark.parametrize("wrong", ["signs", "order"])
def test_wrong_signs_or_order_fail_that_proof(wrong, written, monkeypatch):
    if wrong == "signs":
        monkeypatch.setattr(conventions, "CONDON_SHORTLEY", frozenset())
    else:
        monkeypatch.setitem(conventions.AO_TO_M["siesta"], 1, (1, 2, 0))
    found = read(written()[0])
    assert "of S does not rotate" in check(found.atoms, found.H, found.S).complaint
    assert "own symmetry" in check(found.atoms, found.H).complaint


# ---- a run's files -------------------------------------------------------------------------------

FDF = """SystemLabel run
NumberOfSpecies 1
%block ChemicalSpeciesLabel
 1 6 C
%endblock ChemicalSpeciesLabel
"""


def fdf(folder):
    places = "\n".join(" ".join(f"{x:.12f}" for x in p) + " 1" for p in ATOMS.positions)
    block = f"AtomicCoordinatesAndAtomicSpecies\n{places}\n"
    text = f"{FDF}%block {block}%endblock AtomicCoordinatesAndAtomicSpecies\n"
    (folder / "run.fdf").write_text(text)
    return folder / "run.fdf"


@needs_sisl
def test_a_tshs_takes_its_shells_from_the_files_of_its_run(written, tmp_path, matrices):
    path, _ = written("run.TSHS")
    with pytest.raises(FormatError, match="which shells its orbitals belong to"):
        read(path)
    with pytest.raises(FormatError, match="which shells its orbitals belong to"):
        read(fdf(tmp_path))
    written("run.HSX")
    found = read(tmp_path / "run.fdf", "def2-svp")
    assert (found.H - matrices[0]).max_abs() < 1e-11
    assert (found.S - matrices[1]).max_abs() < 1e-13


@needs_sisl
def test_an_fdf_finds_its_hsx(written, tmp_path, matrices):
    with pytest.raises(FormatError, match=r"lies no run.nc, run.TSHS or run.HSX"):
        read(fdf(tmp_path))
    written("run.HSX")
    assert (read(fdf(tmp_path), "def2-svp").H - matrices[0]).max_abs() < 1e-11


@needs_sisl
def test_files_of_two_runs_are_refused(written, tmp_path):
    _, theirs = written("run.HSX")
    written("run.TSHS")
    theirs.geometry.move([0, 0, 0.1]).write(str(tmp_path / "run.XV"))
    with pytest.raises(FormatError, match="belong to different runs"):
        read(fdf(tmp_path))


# ---- faults --------------------------------------------------------------------------------------


@needs_sisl
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_one_sentence(share, written):
    path, _ = written()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FormatError, match="truncated or not what its name says") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@needs_sisl
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"spin": "polarized"}, "spin-polarised"),
        ({"label": "Carbon"}, "species 'Carbon' whose element is uncertain"),
        ({"label": "surface"}, "species 'surface'"),
    ],
)
def test_a_run_that_has_no_place_here_is_one_sentence(how, says, written):
    with pytest.raises(FormatError, match=says):
        read(written(**how)[0])


@needs_sisl
def test_a_label_may_say_more_than_its_element(written):
    assert read(written(label="C_surface")[0]).atoms.get_chemical_formula() == "C2"


@needs_sisl
def test_values_that_are_no_numbers_are_refused(written, matrices):
    values = matrices[0].values.copy()
    values[0, 0, 0] = np.nan
    path, _ = written(H=replace(matrices[0], values=values))
    with pytest.raises(FormatError, match="not finite"):
        read(path)


@needs_sisl
def test_an_old_hsx_says_what_to_write_instead(written, monkeypatch):
    from sisl.io.siesta import hsxSileSiesta

    path, _ = written()
    monkeypatch.setattr(hsxSileSiesta, "version", 0)
    with pytest.raises(FormatError, match=r"SIESTA 4 or older .*TS.HS.Save"):
        read(path)


@needs_sisl
def test_what_is_no_such_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="There is no file"):
        read(tmp_path / "absent.HSX")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FormatError, match="not a file that sisl reads here"):
        read(tmp_path / "notes.txt")


# ---- files of other compilers, and of runs at Gamma ----------------------------------------------


@needs_sisl
def test_a_true_of_intel_s_compiler_is_true(written):
    """It is -1 in the file; sisl's own reader takes only 1."""
    path, _ = written()
    usual = read(path)
    data = np.fromfile(path, np.uint8)
    second = 12 + int(data[:4].view("<i4")[0])  # after the lengths of two records
    assert data[second : second + 4].view("<i4")[0] == 1
    data[second : second + 4] = np.array([-1], "<i4").view(np.uint8)
    data.tofile(path)
    found = read(path)
    assert (found.H - usual.H).max_abs() == (found.S - usual.S).max_abs() == 0


@needs_sisl
def test_matrices_that_hold_all_images_are_refused(written, matrices):
    """A run at Gamma alone adds the images of every pair to one block."""

    def folded(matrix):
        dense = matrix.at_k((0, 0, 0)).real
        blocks = wb.BlockMatrix.from_dense(matrix.basis, matrix.numbers, dense)
        return replace(blocks, shifts=np.zeros_like(blocks.shifts))

    path, _ = written(H=folded(matrices[0]), S=folded(matrices[1]))
    with pytest.raises(FormatError, match=r"at Gamma alone, .* `ForceAuxCell true`"):
        read(path)


needs_samples = pytest.mark.skipif(not SAMPLES, reason="WORKBENCH_SAMPLES names no folder")


@needs_sisl
@needs_samples
@pytest.mark.parametrize("name", ["Si.HSX", "Si.fdf"])
def test_bands_are_those_of_siesta_built_by_intel(name):
    """Bands below 20 eV: the file of k-points has six digits."""
    root = Path(SAMPLES) / "siesta_intel_hsx"
    found = read(root / name)
    first, *numbers = (root / "Si.EIG").read_text().split()
    bands, spins, points = (int(number) for number in numbers[:3])
    rows = np.array(numbers[3:], float).reshape(points, spins * bands + 1)[:, 1:] - float(first)
    k = np.loadtxt(root / "Si.KP", skiprows=1)[:, 1:4] / conventions.BOHR
    fractions = k @ found.atoms.cell.array.T / (2 * np.pi)
    for point, expected in list(zip(fractions, rows, strict=True))[::20]:
        low = expected < 20
        energies = energies_at(found.H, found.S, point)
        np.testing.assert_allclose(energies[low], expected[low], atol=4e-5)


@needs_sisl
@needs_samples
@pytest.mark.parametrize("name", ["h2o_dipole", "md_nose", "siesta"])
def test_runs_at_gamma_say_so(name):
    with pytest.raises(FormatError, match="is of a run at Gamma alone"):
        read(Path(SAMPLES) / "siesta_gamma_folded" / f"{name}.HSX")


# ---- into a dataset ------------------------------------------------------------------------------


@needs_sisl
def test_runs_become_one_dataset(tmp_path, written, matrices):
    for k in range(5):
        written(f"{k}/run.HSX", H=matrices[0] * (1 + 0.1 * k))
    made = numbers_of("import", "sisl", tmp_path, "--out", tmp_path / "set.h5", "--basis", "szp")
    assert made["splits"] == {"train": 3, "valid": 1, "test": 1}
    assert made["largest_residuals"]["overlap_across"] < 1e-12
    with wb.Dataset(tmp_path / "set.h5") as dataset:
        dataset.verify()
        sample = dataset[3]
        expected = replace(matrices[0], basis=replace(matrices[0].basis, name="szp"))
        assert (sample.H - expected * 1.3).max_abs() < dataset.step
        assert sample.fermi_level == 0.0
        assert dataset.provenance["format"] == "SIESTA"


@needs_sisl
def test_the_settings_of_an_fdf_are_recorded(tmp_path, written):
    """What all runs share is one value, what differs a list; an .HSX says nothing."""
    for name, cutoff in (("a", 300), ("b", 200)):
        written(f"{name}/run.HSX")
        path = fdf(tmp_path / name)
        settings = f"MeshCutoff {cutoff} Ry\nXC.Authors PBE\nElectronicTemperature 25 meV\n"
        path.write_text(path.read_text() + settings)
        (tmp_path / name / "C.psml").touch()
    runs = [tmp_path / name / "run.fdf" for name in "ab"]
    numbers_of("import", "sisl", *runs, "--out", tmp_path / "set.h5")
    found = wb.Dataset(tmp_path / "set.h5").provenance["calculation"]
    assert found.pop("mesh_cutoff_ev") == pytest.approx([4081.708, 2721.139], abs=1e-3)
    assert found.pop("electronic_temperature_ev") == pytest.approx(0.025)
    assert found == {"functional_authors": "PBE", "pseudopotentials": ["C.psml"]}
    assert sisl.calculation(runs[0].with_suffix(".HSX")) == {}


@needs_sisl
def test_magnetic_runs_are_imported_and_say_so(tmp_path, written):
    """In a field along no axis of the crystal; the field is odd under time reversal."""
    path, _ = written(spin="non-collinear")
    shares = "--train", 1, "--valid", 0, "--test", 0
    made = numbers_of("import", "sisl", path, "--out", tmp_path / "set.h5", *shares)
    assert made["time_reversal"] is False
    assert made["largest_residuals"]["operations"] == 23
    assert made["largest_residuals"]["odd_ev"] > 0.3
    result = run("import", "sisl", path, "--out", tmp_path / "set.h5", "--overwrite", *shares)
    assert "time_reversal=false: train with `--set time_reversal=false`" in result.stdout


@needs_sisl
def test_the_command_names_the_run_that_fails(tmp_path, written, matrices):
    written("good/run.HSX")
    values = matrices[0].values.copy()
    values[-1] += 0.1
    path, _ = written("odd/run.HSX", H=replace(matrices[0], values=values))
    refused = run("import", "sisl", tmp_path, "--out", tmp_path / "set.h5")
    assert refused.exit_code == 2
    assert f"{path}: H is not hermitian" in " ".join(refused.output.split())
    for source, says in [("absent", "no file or folder"), ("good/..", "H is not hermitian")]:
        refused = run("import", "sisl", tmp_path / source, "--out", tmp_path / "set.h5")
        assert says in " ".join(refused.output.split())
    (tmp_path / "empty").mkdir()
    refused = run("import", "sisl", tmp_path / "empty", "--out", tmp_path / "set.h5")
    assert "No .HSX file of SIESTA is below" in " ".join(refused.output.split())


def test_without_sisl_one_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sisl", None)
    assert not sisl.available()
    (tmp_path / "run.HSX").write_bytes(b"")
    refused = run("import", "sisl", tmp_path / "run.HSX", "--out", tmp_path / "set.h5")
    assert refused.exit_code == 2
    assert "pip install 'hamiltonian-workbench[sisl]'" in " ".join(refused.output.split())
    assert not (tmp_path / "set.h5").exists()
