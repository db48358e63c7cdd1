"""Where a structure comes from: one panel each for the library, files, SMILES and bilayers."""

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
"""Charge in e and unpaired electrons (None: the structure's own) -> a structure."""

Wrap = Callable[[Callable[..., None]], Callable[..., None]]
Choose = Callable[[Source], None]

NEEDS_RDKIT = "Reading SMILES needs RDKit: pip install 'hamiltonian-workbench[smiles]'."
MOST_SHOWN = 200  # rows of a list; beyond that a search is quicker than scrolling


class LibraryPanel:
    """A group, a search field and the list of what is found."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose, self._listing = choose, False
        self.group = widgets.Dropdown(
            options=groups(),
            description="group",
            tooltip="Our relaxed molecules, sheets, ASE's G2 set, or a collection",
            style={"description_width": "48px"},
            layout=widgets.Layout(width="auto"),
        )
        self.search = widgets.Text(
            description="search",
            placeholder="name, formula or SMILES",
            tooltip="Shows what contains this",
            style={"description_width": "48px"},
            layout=widgets.Layout(width="auto"),
        )
        self.list = widgets.Select(
            options=[("", None)],
            rows=7,
            tooltip="The structures found: arrow keys or click",
            layout=widgets.Layout(width="auto"),
        )
        self.count = widgets.HTML()
        self.box = widgets.VBox([self.group, self.search, self.list, self.count])
        self.group.observe(guard(lambda _: self._other_group()), "value")
        self.search.observe(guard(lambda _: self.fill()), "value")
        self.list.observe(guard(self._picked), "value")
        self.fill()

    def fill(self) -> None:
        """Show the structures that the search finds."""
        found = matching(entries(str(self.group.value)), str(self.search.value))
        chosen, self._listing = self.list.value, True  # new options choose the first of them
        try:
            self.list.options = [(str(entry), entry) for entry in found[:MOST_SHOWN]]
            self.list.value = chosen if chosen in found[:MOST_SHOWN] else None
        finally:
            self._listing = False
        more = f"; the first {MOST_SHOWN} are shown" if len(found) > MOST_SHOWN else ""
        self.count.value = f'<p class="wb-note" role="status">{len(found)} found{more}.</p>'

    def mark(self, name: str) -> None:
        """Show which structure is chosen, without choosing it."""
        self._listing = True
        try:
            found = [e for _, e in self.list.options if e is not None and e.name == name.lower()]
            self.list.value = found[0] if found else None
        finally:
            self._listing = False

    def _other_group(self) -> None:
        if self.search.value:
            self.search.value = ""  # fills the list as well
        else:
            self.fill()

    def _picked(self, change: dict[str, Any]) -> None:
        entry = change["new"]
        if isinstance(entry, Entry) and not self._listing:
            self._choose(entry.atoms)


class FilePanel:
    """An upload from the user's own computer."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose = choose
        self.upload = widgets.FileUpload(
            description="choose a file",
            multiple=False,
            tooltip="xyz, extxyz, cif, pdb, mol, POSCAR and others; stays on this machine",
            layout=widgets.Layout(width="auto"),
        )
        note = (
            "xyz, extxyz, cif, pdb, mol, sdf, POSCAR, gen, xsf or traj, "
            f"of at most {MOST_BYTES / 1e6:.0f} MB; of several structures the last. "
            "The file stays on this machine."
        )
        self.box = widgets.VBox([self.upload, widgets.HTML(f'<p class="wb-note">{note}</p>')])
        self.upload.observe(guard(self._arrived), "value")

    def _arrived(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        name, content = str(file["name"]), bytes(file["content"])
        self.upload.value = ()  # the same file, corrected, can be chosen again
        self._choose(lambda charge, spin: read_upload(name, content, charge, spin))


class SmilesPanel:
    """A line of SMILES, embedded by RDKit where it is installed."""

    def __init__(self, guard: Wrap, choose: Choose):
        self._choose = choose
        self.installed = find_spec("rdkit") is not None
        self.text = widgets.Text(
            description="SMILES",
            placeholder="CCO",
            continuous_update=False,
            disabled=not self.installed,
            tooltip="Press Enter to build it",
            style={"description_width": "60px"},
            layout=widgets.Layout(width="auto"),
        )
        self.button = widgets.Button(
            description="build",
            disabled=not self.installed,
            tooltip="Embeds it in space (ETKDG, MMFF94; the seed is fixed)",
            layout=widgets.Layout(width="auto"),
        )
        note = (
            "Enter builds it: RDKit's ETKDG with a fixed seed, then MMFF94. No minimum of DFT."
            if self.installed
            else escape(NEEDS_RDKIT)
        )
        note = widgets.HTML(f'<p class="wb-note">{note}</p>')
        self.box = widgets.VBox([self.text, self.button, note])
        self.text.observe(guard(lambda _: self._build()), "value")
        self.button.on_click(guard(lambda _: self._build()))

    def _build(self) -> None:
        written = str(self.text.value).strip()
        if not self.installed:
            raise StructureError(NEEDS_RDKIT)
        if written:
            self._choose(lambda charge, spin: load(f"smiles:{written}", charge=charge, spin=spin))


class BilayerPanel:
    """Two sheets of one material: apart, shifted, or twisted by an angle at which both repeat.

    Args:
        guard: wraps callbacks.
        choose: called with the source of a structure.
        before: the structure that was chosen elsewhere, offered as a sheet too.
        most_atoms: of a bilayer.
    """

    OWN = "the structure chosen before"

    def __init__(self, guard: Wrap, choose: Choose, before: Callable[[], Atoms], most_atoms: int):
        self._choose, self._before, self._most = choose, before, most_atoms
        self._setting = False
        self.material = widgets.Dropdown(
            options=[*SHEETS, self.OWN],
            description="sheet",
            tooltip="What both layers are made of",
            style={"description_width": "60px"},
            layout=widgets.Layout(width="auto"),
        )
        self.kind = widgets.ToggleButtons(
            options=["shifted", "twisted"],
            tooltips=["The upper sheet moved along", "The upper sheet turned"],
            style={"button_width": "80px"},
        )
        self.distance = _slider("distance Å", 2.5, 12.0, 0.05, "Between the mean heights, A")
        self.distance.value = SHEETS["graphene"]
        self.shift = [
            _slider(f"shift {x}", 0.0, 1.0, 0.01, f"In fractions of the cell vector {x}")
            for x in "ab"
        ]
        self.pair = widgets.SelectionSlider(
            options=[""],
            description="twist",
            continuous_update=False,
            tooltip="Angle and index pair (m, n); arrow keys step",
            style={"description_width": "72px"},
            layout=widgets.Layout(width="auto"),
        )
        self.box = widgets.VBox(
            [self.material, self.kind, self.distance, *self.shift, self.pair],
        )
        self._offer()
        self.material.observe(guard(lambda _: self._other_material()), "value")
        for control in (self.kind, self.distance, *self.shift, self.pair):
            control.observe(guard(lambda _: self._changed()), "value")

    def build(self) -> None:
        """Choose the bilayer that the controls describe."""
        layer, distance = self._layer(), float(self.distance.value)
        shift, pair = [float(s.value) for s in self.shift], self.pair.value
        if self.kind.value == "twisted":
            if not isinstance(pair, tuple):
                raise StructureError(
                    f"No twist of this sheet has at most {self._most} atoms: take a smaller cell."
                )
            made = twisted_bilayer(layer, pair[0], pair[1], distance)
        else:
            made = bilayer(layer, distance, shift)
        self._choose(lambda charge, spin: load(made, charge=charge, spin=spin))

    def _layer(self) -> Atoms:
        name = str(self.material.value)
        return self._before() if name == self.OWN else sheet(name)

    def _other_material(self) -> None:
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
        """The twists that fit, by their angles; the index pair chosen before stays if it can."""
        pairs = twist_pairs(self._layer(), self._most)
        wanted = self.pair.value if isinstance(self.pair.value, tuple) else (1, 2)
        options = [(_twist_name(pair), pair) for pair in pairs] or ["none fits"]
        self.pair.options = options
        if pairs:
            self.pair.value = wanted if wanted in pairs else pairs[-1]
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
        continuous_update=False,  # whatever follows the picker may take seconds
        readout_format=".2f",
        style={"description_width": "72px"},
        layout=widgets.Layout(width="auto"),
    )
