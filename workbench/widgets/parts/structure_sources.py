"""Sources of structures: one panel each for the library, files, SMILES and bilayers."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from typing import Any

import ipywidgets as widgets
from ase import Atoms

from workbench.structures.bilayers import (
    SHEETS,
    bilayer,
    sheet,
    twist_angle,
    twist_pairs,
    twisted_bilayer,
)
from workbench.structures.catalogue import Entry, entries, groups, matching
from workbench.structures.loading import StructureError, load
from workbench.structures.uploads import MOST_BYTES, read_upload

__all__ = ["BilayerPanel", "FilePanel", "LibraryPanel", "SmilesPanel", "Source"]

Source = Callable[[int | None, int | None], Atoms]
"""Charge in e and number of unpaired electrons (None: those of the structure) -> a structure."""

Wrap = Callable[[Callable[..., None]], Callable[..., None]]
Choose = Callable[[Source], None]

NEEDS_RDKIT = "Reading SMILES needs RDKit: pip install 'hamiltonian-workbench[smiles]'."
MOST_SHOWN = 200  # rows of a list; for more a search is quicker than scrolling


class LibraryPanel:
    """A group, a search field and the list of matching structures."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose, self._listing = choose, False
        self.group = widgets.Dropdown(
            options=groups(),
            description="group",
            tooltip="Relaxed molecules, layers, the G2 set of ASE, or a collection",
            style={"description_width": "48px"},
            layout=widgets.Layout(width="auto"),
        )
        self.search = widgets.Text(
            description="search",
            placeholder="name, formula or SMILES",
            tooltip="Lists the structures that contain this text",
            style={"description_width": "48px"},
            layout=widgets.Layout(width="auto"),
        )
        self.list = widgets.Select(
            options=[("", None)],
            rows=7,
            tooltip="Select a structure with a click or the arrow keys",
            layout=widgets.Layout(width="auto"),
        )
        self.count = widgets.HTML()
        self.box = widgets.VBox([self.group, self.search, self.list, self.count])
        self.group.observe(guard(lambda _: self._group_changed()), "value")
        self.search.observe(guard(lambda _: self.fill()), "value")
        self.list.observe(guard(self._picked), "value")
        self.fill()

    def fill(self) -> None:
        """List the structures that match the search."""
        matches = matching(entries(str(self.group.value)), str(self.search.value))
        # New options would select their first entry.
        selected, self._listing = self.list.value, True
        try:
            self.list.options = [(str(entry), entry) for entry in matches[:MOST_SHOWN]]
            self.list.value = selected if selected in matches[:MOST_SHOWN] else None
        finally:
            self._listing = False
        more = f"; the first {MOST_SHOWN} are shown" if len(matches) > MOST_SHOWN else ""
        self.count.value = f'<p class="wb-note" role="status">{len(matches)} found{more}.</p>'

    def mark(self, name: str) -> None:
        """Highlight a structure in the list without a callback."""
        self._listing = True
        try:
            listed = [entry for _, entry in self.list.options if entry is not None]
            named = [entry for entry in listed if entry.name == name.lower()]
            self.list.value = named[0] if named else None
        finally:
            self._listing = False

    def _group_changed(self) -> None:
        if self.search.value:
            self.search.value = ""  # also fills the list
        else:
            self.fill()

    def _picked(self, change: dict[str, Any]) -> None:
        entry = change["new"]
        if isinstance(entry, Entry) and not self._listing:
            self._choose(entry.atoms)


class FilePanel:
    """An upload from the user's computer."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose = choose
        self.upload = widgets.FileUpload(
            description="choose a file",
            multiple=False,
            tooltip="xyz, extxyz, cif, pdb, mol, POSCAR and others; stays on this computer",
            layout=widgets.Layout(width="auto"),
        )
        note = (
            "xyz, extxyz, cif, pdb, mol, sdf, POSCAR, gen, xsf or traj, "
            f"at most {MOST_BYTES / 1e6:.0f} MB. Of several structures the last one is used. "
            "The file stays on this computer."
        )
        self.box = widgets.VBox([self.upload, widgets.HTML(f'<p class="wb-note">{note}</p>')])
        self.upload.observe(guard(self._arrived), "value")

    def _arrived(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        name, content = str(file["name"]), bytes(file["content"])
        self.upload.value = ()  # so that the same file can be chosen again after a correction
        self._choose(lambda charge, spin: read_upload(name, content, charge, spin))


class SmilesPanel:
    """A SMILES string, converted to a structure by RDKit if it is installed."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose = choose
        self.installed = find_spec("rdkit") is not None
        self.text = widgets.Text(
            description="SMILES",
            placeholder="CCO",
            continuous_update=False,
            disabled=not self.installed,
            tooltip="Press Enter to build the structure",
            style={"description_width": "60px"},
            layout=widgets.Layout(width="auto"),
        )
        self.button = widgets.Button(
            description="build",
            disabled=not self.installed,
            tooltip="Builds the structure (ETKDG with a fixed seed, then MMFF94)",
            layout=widgets.Layout(width="auto"),
        )
        note = (
            "Enter builds the structure: RDKit's ETKDG with a fixed seed, then MMFF94. It is not a "
            "DFT minimum."
            if self.installed
            else escape(NEEDS_RDKIT)
        )
        note = widgets.HTML(f'<p class="wb-note">{note}</p>')
        self.box = widgets.VBox([self.text, self.button, note])
        self.text.observe(guard(lambda _: self._build()), "value")
        self.button.on_click(guard(lambda _: self._build()))

    def _build(self) -> None:
        smiles = str(self.text.value).strip()
        if not self.installed:
            raise StructureError(NEEDS_RDKIT)
        if smiles:
            self._choose(lambda charge, spin: load(f"smiles:{smiles}", charge=charge, spin=spin))


class BilayerPanel:
    """Two layers of one material: shifted, or twisted by a commensurate angle.

    Args:
        guard: wraps callbacks.
        choose: called with the source of a structure.
        before: returns the structure that was chosen elsewhere, which can serve as a layer.
        most_atoms: largest number of atoms of a bilayer.
    """

    OWN = "the previous structure"

    def __init__(self, guard: Wrap, choose: Choose, before: Callable[[], Atoms], most_atoms: int):
        self._choose, self._before, self._most = choose, before, most_atoms
        self._setting = False
        self.material = widgets.Dropdown(
            options=[*SHEETS, self.OWN],
            description="layer",
            tooltip="Material of both layers",
            style={"description_width": "60px"},
            layout=widgets.Layout(width="auto"),
        )
        self.kind = widgets.ToggleButtons(
            options=["shifted", "twisted"],
            tooltips=["Shift the upper layer", "Rotate the upper layer"],
            style={"button_width": "80px"},
        )
        self.distance = _slider("distance Å", 2.5, 12.0, 0.05, "Distance of the mean heights, A")
        self.distance.value = SHEETS["graphene"]
        self.shift = [
            _slider(f"shift {x}", 0.0, 1.0, 0.01, f"Fraction of the cell vector {x}") for x in "ab"
        ]
        self.pair = widgets.SelectionSlider(
            options=[""],
            description="twist",
            continuous_update=False,
            tooltip="Angle and index pair (m, n); use the arrow keys",
            style={"description_width": "72px"},
            layout=widgets.Layout(width="auto"),
        )
        self.box = widgets.VBox(
            [self.material, self.kind, self.distance, *self.shift, self.pair],
        )
        self._offer()
        self.material.observe(guard(lambda _: self._material_changed()), "value")
        for control in (self.kind, self.distance, *self.shift, self.pair):
            control.observe(guard(lambda _: self._changed()), "value")

    def build(self) -> None:
        """Build and select the bilayer that the controls describe."""
        layer, distance = self._layer(), float(self.distance.value)
        shift, pair = [float(s.value) for s in self.shift], self.pair.value
        if self.kind.value == "twisted":
            if not isinstance(pair, tuple):
                raise StructureError(
                    f"No twist of this layer has at most {self._most} atoms: use a smaller cell."
                )
            atoms = twisted_bilayer(layer, pair[0], pair[1], distance)
        else:
            atoms = bilayer(layer, distance, shift)
        self._choose(lambda charge, spin: load(atoms, charge=charge, spin=spin))

    def _layer(self) -> Atoms:
        name = str(self.material.value)
        return self._before() if name == self.OWN else sheet(name)

    def _material_changed(self) -> None:
        self._setting = True
        try:
            self._offer()
            self.distance.value = SHEETS.get(str(self.material.value), self.distance.value)
        finally:
            self._setting = False
        self.build()

    def _changed(self) -> None:
        if not self._setting:
            self._show_kind()
            self.build()

    def _offer(self) -> None:
        """List the possible twists by angle; keep the chosen index pair if possible."""
        pairs = twist_pairs(self._layer(), self._most)
        preferred = self.pair.value if isinstance(self.pair.value, tuple) else (1, 2)
        options = [(_twist_name(pair), pair) for pair in pairs] or ["none possible"]
        self.pair.options = options
        if pairs:
            self.pair.value = preferred if preferred in pairs else pairs[-1]
        self._show_kind()

    def _show_kind(self) -> None:
        twisted = self.kind.value == "twisted"
        self.pair.layout.display = None if twisted else "none"
        for slider in self.shift:
            slider.layout.display = "none" if twisted else None


def _twist_name(pair: tuple[int, int]) -> str:
    m, n = pair
    return f"{twist_angle(m, n):.2f}°  ({m}, {n})"


def _slider(name: str, low: float, high: float, step: float, tooltip: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=low,
        min=low,
        max=high,
        step=step,
        description=name,
        tooltip=tooltip,
        continuous_update=False,  # labs that follow the picker may take seconds
        readout_format=".2f",
        style={"description_width": "72px"},
        layout=widgets.Layout(width="auto"),
    )
