"""The table of engines: what each record promises, and that a recorded method can be repeated."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from ase import Atoms

import workbench as wb
from tests.support.gpaw import QUICK, bismuth, needs_gpaw
from tests.support.spinor import selenide
from workbench.engines import dispatch
from workbench.structures.loading import StructureError


def water() -> Atoms:
    """Water of no symmetry."""
    return Atoms("OHH", [[0.3, 0.1, 0.0], [0.5, 0.9, 0.5], [0.4, -0.6, 0.6]])


def chain() -> Atoms:
    """A bent chain of carbon along x."""
    places = [[0.3, 3.2, 3.3], [1.6, 3.4, 3.2]]
    return Atoms("C2", places, cell=[2.6, 6.5, 6.5], pbc=(True, False, False))


CHAIN = {"mesh": (3, 1, 1), "ke_cutoff": 20.0, "conv_tol": 1e-7}
KINDS = {"molecule": (False, False), "spinors": (False, True), "crystal": (True, False)}
JOBS = {
    "Hartree-Fock": (water, {"basis": "sto-3g", "xc": "hf"}),
    "Kohn-Sham": (water, {"basis": "sto-3g", "grid": 1, "density_fitting": True}),
    "spinors": (selenide, {"xc": "hf", "spin_orbit": True}),
    "x2c": (selenide, {"basis": "dzp-dkh", "grid": 0, "spin_orbit": True, "relativity": "x2c"}),
    "crystal": (chain, CHAIN),
}
GPAW_JOBS = {
    "GPAW": (bismuth, {**QUICK, "mesh": (2, 2, 1), "engine": "gpaw", "spin_orbit": True}),
    "GPAW, short": (bismuth, {**QUICK, "mesh": (2, 2, 1), "engine": "gpaw", "longest": 4.0}),
}


# ---- the records ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", dispatch.ENGINES)
def test_each_engine_answers_for_each_kind_of_structure(name, kind):
    engine = dispatch._engine(name, *KINDS[kind])
    assert engine.name == name
    for function in (engine.reference, engine.check):
        parameters = list(inspect.signature(function).parameters)
        assert [parameter.lstrip("_") for parameter in parameters[:3]] == ["atoms", "basis", "xc"]
    assert list(inspect.signature(engine.again).parameters) == ["atoms", "method"]
    documented = inspect.getdoc(engine.reference)
    assert engine.settings
    assert all(f"{setting}:" in documented for setting in engine.settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", dispatch.ENGINES)
def test_the_public_function_names_every_setting(name, kind):
    engine = dispatch._engine(name, *KINDS[kind])
    assert all(setting in inspect.getdoc(wb.reference) for setting in engine.settings)


def test_no_program_is_loaded_before_it_is_needed():
    """A widget asks for the name of the program long before it computes."""
    script = "import sys; from workbench.engines.dispatch import program; print(program({}));"
    script += "print([m for m in ('pyscf', 'gpaw') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["PySCF", "[]"]


# ---- once more -----------------------------------------------------------------------------------


def repeated(job):
    """A reference, and the one that its record gives after a way through a file."""
    structure, settings = job
    made = wb.reference(structure(), **settings)
    return made, dispatch.again(structure(), replace(made, method=through_json(made.method)))


def through_json(method):
    return json.loads(json.dumps(method))


@pytest.mark.parametrize("job", JOBS)
def test_a_recorded_method_repeats_the_calculation(job):
    made, repetition = repeated(JOBS[job])
    assert repetition.method == made.method
    assert (repetition.H - made.H).max_abs() < 1e-6  # eV
    assert dispatch.program(made.method) == "PySCF"


@needs_gpaw
@pytest.mark.parametrize("job", GPAW_JOBS)
def test_a_recorded_method_of_gpaw_repeats_the_calculation(job):
    made, repetition = repeated(GPAW_JOBS[job])
    assert repetition.method == made.method
    assert (repetition.H - made.H).max_abs() < 1e-3  # eV
    assert dispatch.program(made.method) == "GPAW"


@pytest.mark.parametrize("job", ["Hartree-Fock", "Kohn-Sham", "spinors", "x2c"])
def test_a_label_job_of_molecules_records_the_method_of_its_references(job):
    structure, settings = JOBS[job]
    rest = {name: value for name, value in settings.items() if name not in ("basis", "xc")}
    basis, xc = settings.get("basis"), settings.get("xc", "pbe")
    record = dispatch.recorded("pyscf", False, basis, xc, rest)
    assert record == wb.reference(structure(), **settings).method


def test_a_label_job_of_crystals_records_its_arguments():
    record = through_json(dispatch.recorded("pyscf", True, None, "pbe", CHAIN))
    assert {"engine": "pyscf", "basis": None, "functional": "pbe", "ke_cutoff": 20.0}.items() <= (
        record.items()
    )
    made = wb.reference(chain(), **CHAIN)
    repetition = dispatch.again(chain(), replace(made, method=record))
    assert repetition.method == made.method
    assert dispatch.program(record) == "PySCF"


def test_a_reference_without_a_usable_record_is_not_repeated():
    made = wb.reference(water(), "sto-3g", "hf")
    with pytest.raises(ValueError, match="not on record"):
        dispatch.again(water(), replace(made, method={}))
    with pytest.raises(ValueError, match="no engine 'ORCA'"):
        dispatch.again(water(), replace(made, method={**made.method, "program": "ORCA"}))


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "settings", "says"),
    [
        (water, {"engine": "orca"}, "no engine 'orca': choose pyscf or gpaw"),
        (water, {"mesh": (1, 1, 1)}, "pyscf has no setting 'mesh' for these structures: it has "),
        (water, {"relativity": "x2c"}, "has no setting 'relativity'"),
        (selenide, {"spin_orbit": True, "density_fitting": True}, "with spin-orbit coupling: it"),
        (selenide, {"spin_orbit": "yes"}, "must be true or false"),
        (chain, {"grid": 3}, "pyscf has no setting 'grid'"),
        (chain, {"spin_orbit": True}, "pyscf has no setting 'spin_orbit'"),
    ],
)
def test_an_unknown_engine_or_setting_is_one_sentence(structure, settings, says):
    with pytest.raises(ValueError, match=says) as caught:
        wb.reference(structure(), **settings)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("structure", "basis", "xc", "settings", "says"),
    [
        (water, "no-such-basis", "pbe", {}, "no basis 'no-such-basis'"),
        (water, None, "pbee", {}, "no functional 'pbee'"),
        (water, None, "pbe", {"grid": 11}, "0 to 9"),
        (lambda: water()[:2], None, "pbe", {}, "odd"),
        (selenide, None, "hf", {"spin_orbit": True, "relativity": "zora"}, "choose ecp or x2c"),
        (selenide, "def2-svp", "hf", {"spin_orbit": True}, "no effective core potential"),
        (chain, "no-such-basis", "pbe", {}, "PySCF lacks 'no-such-basis'"),
        (chain, None, "b3lyp", {}, "no local or gradient functional"),
        (lambda: chain()[:1] + Atoms("N", [[1.6, 3.4, 3.2]]), None, "pbe", {}, "double the cell"),
    ],
)
def test_the_check_raises_what_the_calculation_would(structure, basis, xc, settings, says):
    """So that a label job refuses its structures before it computes anything."""
    atoms = structure()
    engine = dispatch.engine_for("pyscf", bool(atoms.pbc.any()), settings)
    with pytest.raises(ValueError, match=says) as checked:
        engine.check(atoms, basis, xc, **engine.accepted(settings))
    with pytest.raises(ValueError, match=says) as computed:
        wb.reference(atoms, basis, xc, **settings)
    assert repr(checked.value) == repr(computed.value)


@needs_gpaw
def test_gpaw_refuses_molecules():
    with pytest.raises(StructureError, match="A crystal needs a periodic direction"):
        wb.reference(water(), engine="gpaw")


@pytest.mark.parametrize("program", ["ORCA", "Psi4", "PySCF", None])
def test_a_basis_of_pyscf_has_its_overlap_whatever_program_computed_the_data(program):
    made = wb.reference(water(), basis="sto-3g", xc="hf")
    method = {} if program is None else {"program": program}
    found = dispatch.overlap(water(), made.H.basis, method, 10.0)
    assert (found.S - made.S).max_abs() < 1e-12
    foreign = replace(made.H.basis, name="of-orca")
    with pytest.raises(ValueError, match="PySCF has no basis 'of-orca'"):
        dispatch.overlap(water(), foreign, method, 10.0)


def test_settings_that_are_left_at_their_defaults_are_known():
    """What the record of a label job of crystals does not say; molecules record everything."""
    gpaw = dispatch.defaults("gpaw", True, {"spacing": 0.25, "spin_orbit": True})
    assert (gpaw["basis"], gpaw["smearing"]) == ("dzp", 0.02)
    assert "spacing" not in gpaw
    pyscf = dispatch.defaults("pyscf", True, {})
    assert (pyscf["pseudo"], pyscf["ke_cutoff"], pyscf["smearing"]) == ("gth-pbe", 100.0, 0.1)
    assert dispatch.defaults("pyscf", False, {"grid": 3}) == {}
