"""The picker: sources, refusals that leave the former structure, words, and what follows it."""

from datetime import UTC, datetime

import ipywidgets as widgets
import pytest
from ase import Atoms

import workbench as wb
from workbench.structures.loading import ElectronsError, StructureError
from workbench.widgets.parts import structure_sources
from workbench.widgets.structure_picker import sentence_of

HYDROXYL = b"2\n\nO 0 0 0\nH 0 0 0.97\n"


@pytest.fixture
def picker():
    with_water = wb.StructurePicker("water")
    yield with_water
    with_water.close()


def upload(picker, name: str, content: bytes) -> None:
    """What the browser sends after a file has been chosen."""
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    file["last_modified"] = datetime(2026, 1, 1, tzinfo=UTC)
    picker.file.upload.value = (file,)


def test_the_library_is_searched_and_chosen_from(picker):
    seen = []
    picker.observe(lambda change: seen.append(change["new"].get_chemical_formula()), "atoms")
    assert picker.library.list.value.name == "water"
    picker.library.group.value = "organic"
    picker.library.search.value = "CCO"
    assert seen == [], "looking is not choosing"
    picker.library.list.index = 0
    assert seen == ["C2H6O"]
    assert picker.view.structure["symbols"] == picker.atoms.get_chemical_symbols()
    picker.library.search.value = "C#N"
    assert seen == ["C2H6O"]
    assert "found" in picker.library.count.value


def test_a_file_is_uploaded(picker):
    upload(picker, "mine.xyz", b"2\n\nN 0 0 0\nN 0 0 1.1\n")
    assert picker.atoms.get_chemical_formula() == "N2"
    assert picker.file.upload.value == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xyz", b"2\n\nN 0 0", "a.xyz cannot be read"),
        ("a.xyz", b"1\n\nQq 0 0 0\n", "no element"),
        ("a.xyz", b"2\n\nN 0 0 0\nN 0 0 0.1\n", "0.100 A apart"),
        ("a.xyz", HYDROXYL, "9 electrons, an odd number"),
        ("a.txt", HYDROXYL, "no kind"),
    ],
)
def test_a_refused_file_leaves_the_former_structure(picker, monkeypatch, name, content, says):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    before, words, seen = picker.atoms, picker.said.value, []
    picker.observe(seen.append, "atoms")
    upload(picker, name, content)
    assert says in picker.guard.panel.value
    assert 'role="alert"' in picker.guard.panel.value
    assert picker.atoms is before
    assert picker.said.value == words
    assert seen == []
    picker.choose("ammonia")
    assert picker.atoms.get_chemical_formula() == "H3N"


def test_an_odd_number_of_electrons_is_put_right_in_the_fields(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    upload(picker, "oh.xyz", HYDROXYL)
    assert picker.atoms.get_chemical_formula() == "H2O"
    picker.spin.value = 1
    assert picker.guard.panel.value == ""
    assert picker.atoms.get_chemical_formula() == "HO"
    assert "9 electrons · 1 unpaired" in picker.said.value


def test_a_file_that_is_rubbish_is_not_tried_again(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    upload(picker, "a.xyz", b"2\n\nN 0 0")
    picker.charge.value = 2
    assert picker.atoms.get_chemical_formula() == "H2O"
    assert picker.atoms.info["charge"] == 2


def test_a_new_charge_alone_is_reported_to_observers(picker):
    seen = []
    picker.observe(lambda change: seen.append(change["new"].info["charge"]), "atoms")
    picker.charge.value = 2
    assert seen == [2]
    assert "charge +2 e" in picker.said.value
    picker.choose("methane")
    assert seen == [2, 0]
    assert picker.charge.value == 0


def test_smiles_are_built(picker):
    pytest.importorskip("rdkit")
    picker.smiles.text.value = "C1CC1"
    assert picker.atoms.get_chemical_formula() == "C3H6"
    with pytest.raises(StructureError, match="not a valid SMILES"):
        picker.choose("smiles:C1CC")


def test_without_rdkit_the_field_says_what_to_install(monkeypatch):
    monkeypatch.setattr(structure_sources, "find_spec", lambda name: None)
    picker = wb.StructurePicker("water")
    assert picker.smiles.text.disabled
    assert picker.smiles.button.disabled
    assert "hamiltonian-workbench[smiles]" in picker.smiles.box.children[-1].value


def test_two_sheets_are_shifted_and_twisted(picker):
    picker.panel.value = "bilayer"
    flat = picker.atoms
    assert flat.get_chemical_formula() == "C4"
    picker.bilayer.shift[0].value = 0.5
    assert picker.atoms != flat
    picker.bilayer.distance.value = 4.0
    heights = sorted(picker.atoms.positions[:, 2])
    assert heights[-1] - heights[0] == pytest.approx(4.0)
    picker.bilayer.kind.value = "twisted"
    assert picker.bilayer.pair.label == "21.79°  (1, 2)"
    assert len(picker.atoms) == 28
    picker.bilayer.pair.value = (2, 3)
    assert len(picker.atoms) == 76
    assert picker.bilayer.shift[0].layout.display == "none"


def test_the_structure_chosen_before_can_be_a_sheet(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    picker.panel.value = "bilayer"
    picker.bilayer.material.value = picker.bilayer.OWN
    assert "A layer must be periodic" in picker.guard.panel.value
    assert picker.atoms.get_chemical_formula() == "C4", "graphene twice, as before"
    picker.library.group.value = "crystals"
    names = [label.split(" · ")[0] for label, _ in picker.library.list.options]
    picker.library.list.index = names.index("graphene")
    picker.bilayer.build()
    assert picker.guard.panel.value == ""
    assert picker.atoms.get_chemical_formula() == "C4"


def test_a_supercell_is_repeated_where_it_can_be(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    assert all(field.disabled for field in picker.repeats)
    picker.choose("graphene")
    assert [field.disabled for field in picker.repeats] == [False, False, True]
    picker.repeats[0].value = 3
    picker.repeats[1].value = 2
    assert len(picker.atoms) == 12
    assert "cell a 7.392, b 4.928 Å" in picker.said.value
    picker.most_atoms = 20
    picker.repeats[0].value = 12
    assert "48 atoms, more than 20" in picker.guard.panel.value
    assert picker.repeats[0].value == 3, "the fields say what is shown"
    picker.choose("water")
    assert [field.value for field in picker.repeats] == [1, 1, 1]


def test_charges_of_a_supercell_add_up():
    picker = wb.StructurePicker("graphene")
    picker.charge.value = 1
    picker.repeats[0].value = 3
    assert picker.atoms.info["charge"] == 3
    assert "33 electrons" in picker.said.value


def test_what_is_too_large_is_refused(picker):
    with pytest.raises(StructureError, match="3 atoms, more than 2"):
        wb.StructurePicker("water", most_atoms=2)
    with pytest.raises(ElectronsError):
        picker.choose(Atoms("OH", [[0, 0, 0], [0, 0, 1]]))


def test_the_words_say_it_all():
    said = sentence_of(wb.load("water", charge=-2))
    assert said.startswith("<b>H2O</b> · 3 atoms · 12 electrons · charge −2 e · no cell")
    assert "shortest distance 0.975 Å (O1–H2)" in said
    assert "1 atom ·" in sentence_of(wb.load(Atoms("He")))


def test_a_driven_box_builds_anew_and_forgets(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    built = []

    def build(atoms):
        if atoms.get_chemical_formula() == "CH4":
            raise ValueError("This model knows no carbon.")
        built.append(widgets.HTML(atoms.get_chemical_formula()))
        return built[-1]

    box = picker.drive(build)
    assert box.children[-1] is built[0]
    picker.choose("ammonia")
    assert built[0].comm is None, "the former lab is closed"
    assert box.children[-1].value == "H3N"
    picker.choose("methane")
    assert "knows no carbon" in box.guard.panel.value
    assert box.inside is None
    assert picker.atoms.get_chemical_formula() == "CH4"
    picker.choose("water")
    assert box.guard.panel.value == ""
    box.close()
    picker.choose("ammonia")
    assert [w.value for w in built] == ["H2O", "H3N", "H2O"]


def test_a_driven_box_takes_widgets_alone(picker, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE", raising=False)
    assert "return a widget" in picker.drive(lambda atoms: 1).guard.panel.value


def test_a_lab_follows_the_picker(picker):
    basis = wb.Basis("sto-3g", {1: (0,), 6: (0, 0, 1), 7: (0, 0, 1), 8: (0, 0, 1)})
    box = picker.drive(
        lambda atoms: wb.BlockInspector(atoms, predictors={"S": lambda a: wb.overlap(a, basis)})
    )
    picker.choose("ammonia")
    assert box.inside.experiment.atoms.get_chemical_formula() == "H3N"
