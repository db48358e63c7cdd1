"""StructurePicker: choose a structure; other widgets can follow the choice."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from ase import Atoms
from ase.data import chemical_symbols

from workbench.structures.loading import (
    ElectronsError,
    StructureError,
    electron_count,
    load,
    shortest_distance,
)
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.driven import Driven
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.structure_sources import (
    BilayerPanel,
    FilePanel,
    LibraryPanel,
    SmilesPanel,
    Source,
)
from workbench.widgets.structure_view import StructureView

MOST_ATOMS = 400
"""Default limit: larger structures rotate slowly in a browser without a GPU."""

_PANELS = ("library", "file", "SMILES", "bilayer")
_TOOLTIPS = (
    "Structures that are included in the workbench",
    "A file from your computer",
    "A molecule as a SMILES string",
    "Two layers, shifted or twisted",
)


class StructurePicker(Lab):
    """Selects a structure: from the library, a file, a SMILES string, or as two layers.

    Charge, unpaired electrons and a supercell can be set. An invalid structure is refused with a
    message, and the previous structure stays. The selected structure is the traitlet `atoms`.

    Args:
        source: initial structure, any argument of `workbench.load`.
        most_atoms: largest number of atoms; larger structures are refused.

    Attributes:
        atoms: the present structure, `ase.Atoms`; follow it with ``observe(callback, "atoms")``.

    Raises:
        StructureError: if the initial structure cannot be loaded.

    >>> picker = wb.StructurePicker("ethanol")
    >>> lab = picker.drive(lambda atoms: wb.RotationLab(atoms, wb.load_model("organic")))
    >>> picker.choose("methane")
    >>> picker.atoms.get_chemical_formula(), len(lab.inside.experiment.atoms)
    ('CH4', 5)
    """

    atoms = traitlets.Instance(Atoms)

    def __init__(
        self, source: str | os.PathLike[str] | Atoms = "water", most_atoms: int = MOST_ATOMS
    ):
        self.most_atoms = most_atoms
        self.guard = Guard()
        self._style = lab_style("structure_picker")  # first, see `lab_style`
        self._setting = False
        self._shown_cells: tuple[int, ...] = (1, 1, 1)
        self._source: Source = lambda charge, spin: load(source, charge=charge, spin=spin)
        self._own_charge = True
        self._unit = self._within_limits(self._source(None, None))
        self._sheet = self._whole = self._unit
        self._build()
        super().__init__(self._layout(), "wb-picker")
        self.atoms = self._unit
        self._connect()
        self._follow(self._shown_cells)
        if isinstance(source, str):
            self.library.mark(source)

    # ---- also available from code ---------------------------------------------

    def choose(self, source: str | os.PathLike[str] | Atoms) -> None:
        """Select a structure: a name, a path, "smiles:CCO" or Atoms, as for `workbench.load`.

        Raises:
            StructureError: if it cannot be loaded; the previous structure then stays.
        """
        self._take(lambda charge, spin: load(source, charge=charge, spin=spin))

    def drive(self, build: Callable[[Atoms], widgets.Widget]) -> Driven:
        """A box with the widget that `build` makes, rebuilt for every newly selected structure.

        For labs of one structure, e.g. ``picker.drive(lambda atoms: wb.RotationLab(...))``.
        """
        return Driven(self, build)

    def close(self) -> None:
        """Remove the picker from the page: close every widget inside and remove all callbacks."""
        self.unobserve_all()
        super().close()

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        guard, take = self.guard, self._take_noted
        self.view = StructureView(self._unit, height=300, hint="drag, or arrow keys")
        self.panel = widgets.ToggleButtons(
            options=list(_PANELS), tooltips=list(_TOOLTIPS), style={"button_width": "80px"}
        )
        self.library = LibraryPanel(guard, take)
        self.file = FilePanel(guard, take)
        self.smiles = SmilesPanel(guard, take)
        self.bilayer = BilayerPanel(guard, self._take, lambda: self._sheet, self.most_atoms)
        self._boxes = dict(
            zip(_PANELS, (self.library, self.file, self.smiles, self.bilayer), strict=True)
        )
        self.charge = _whole("charge e", -20, 20, "Total charge in units of e")
        self.spin = _whole("unpaired", 0, 40, "Number of unpaired electrons, 2S")
        self.repeats = [
            _whole(x, 1, 12, f"Number of cells along vector {x}", width="76px", label="18px")
            for x in "abc"
        ]
        self.said = widgets.HTML()

    def _connect(self) -> None:
        guard = self.guard
        self.panel.observe(guard(lambda _: self._show_panel()), "value")
        for control in (self.charge, self.spin):
            control.observe(guard(lambda _: self._electrons_changed()), "value")
        for control in self.repeats:
            control.observe(guard(lambda _: self._repeat()), "value")

    def _layout(self) -> list[widgets.Widget]:
        head = group(widgets.Box, "wb-head", [widgets.HTML("<b>Structure</b>"), self.panel])
        boxes = [panel.box for panel in self._boxes.values()]
        electrons = group(widgets.Box, "wb-numbers", [self.charge, self.spin])
        cells = group(widgets.Box, "wb-numbers", [widgets.Label("supercell"), *self.repeats])
        left = group(widgets.VBox, "wb-left", [self.view])
        right = group(widgets.VBox, "wb-right", [*boxes, electrons, cells])
        body = group(widgets.Box, "wb-body", [left, right])
        return [self._style, head, self.guard.panel, body, self.said]

    # ---- reacting ---------------------------------------------------------------------------

    def _take(self, source: Source) -> None:
        """Show another structure with its own charge, as one cell; on failure nothing changes."""
        former, self._source, self._own_charge = self._source, source, True
        try:
            self._apply()
        except ElectronsError:
            raise  # keep the source: another charge or spin may make it valid
        except Exception:
            self._source, self._own_charge = former, False
            raise

    def _take_noted(self, source: Source) -> None:
        """As `_take`, and offer the structure as a layer for bilayers."""
        self._take(source)
        self._sheet = self._unit

    def _electrons_changed(self) -> None:
        if not self._setting:
            self._own_charge = False
            self._apply(keep_cells=True)

    def _repeat(self) -> None:
        if self._setting:
            return
        cells = self._cells()
        try:
            self._show(self._repeated(self._unit, cells), cells)
        except StructureError:
            self._follow(self._shown_cells)
            raise

    def _apply(self, keep_cells: bool = False) -> None:
        """Make the structure; errors are raised before the previous structure is changed."""
        text, self.said.value = self.said.value, '<p class="wb-said" role="status">Loading …</p>'
        try:
            requested = (None, None) if self._own_charge else (self.charge.value, self.spin.value)
            unit = self._within_limits(self._source(*requested))
            cells = self._cells() if keep_cells else (1, 1, 1)
            whole = self._repeated(unit, cells)
        except Exception:
            self.said.value = text
            raise
        self._unit = unit
        self._show(whole, cells)

    def _show(self, atoms: Atoms, cells: tuple[int, ...]) -> None:
        """Draw the structure before notifying observers, so that their errors do not stop it."""
        before, self._shown_cells = self.atoms, cells
        self.view.show(atoms)
        self.view.label = atoms.get_chemical_formula()
        self._whole = atoms
        self._follow(cells)
        self.atoms = atoms
        same = before == atoms  # ASE ignores charge and spin, so traitlets would not notify
        if same and any(before.info[k] != atoms.info[k] for k in ("charge", "spin")):
            change = {"name": "atoms", "old": before, "new": atoms, "owner": self, "type": "change"}
            self.notify_change(traitlets.Bunch(change))

    def _follow(self, cells: tuple[int, ...]) -> None:
        """Update the number fields and the text to the structure that is shown."""
        self._setting = True
        try:
            self.charge.value = self._unit.info["charge"]
            self.spin.value = self._unit.info["spin"]
            for k, control in enumerate(self.repeats):
                control.disabled = not self._unit.pbc[k]
                control.value = cells[k]
        finally:
            self._setting = False
        words = sentence_of(self._whole)
        self.said.value = f'<p class="wb-said" role="status">{words}</p>'
        self._show_panel(build=False)

    def _show_panel(self, build: bool = True) -> None:
        for name, panel in self._boxes.items():
            panel.box.layout.display = None if name == self.panel.value else "none"
        if build and self.panel.value == "bilayer":
            self.bilayer.build()

    # ---- limits -----------------------------------------------------------------------------

    def _cells(self) -> tuple[int, ...]:
        return tuple(
            int(control.value) if periodic else 1
            for control, periodic in zip(self.repeats, self._unit.pbc, strict=True)
        )

    def _repeated(self, unit: Atoms, cells: tuple[int, ...]) -> Atoms:
        count = int(np.prod(cells))
        if count == 1:
            return unit.copy()
        if count * len(unit) > self.most_atoms:
            raise StructureError(
                f"{' × '.join(map(str, cells))} cells contain {count * len(unit)} atoms, more than "
                f"{self.most_atoms}: use fewer cells, or StructurePicker(most_atoms=...)."
            )
        whole = unit.repeat(cells)
        whole.info |= {key: count * unit.info[key] for key in ("charge", "spin")}
        return whole

    def _within_limits(self, atoms: Atoms) -> Atoms:
        if len(atoms) > self.most_atoms:
            raise StructureError(
                f"{atoms.get_chemical_formula()} has {len(atoms)} atoms, more than "
                f"{self.most_atoms}: use a smaller one, or StructurePicker(most_atoms=...)."
            )
        return atoms


def sentence_of(atoms: Atoms) -> str:
    """HTML: formula, atoms, electrons, charge, cell lengths in A and the shortest distance."""
    plural = "" if len(atoms) == 1 else "s"
    facts = [f"{len(atoms)} atom{plural}", f"{electron_count(atoms)} electrons"]
    if atoms.info.get("charge"):
        facts.append(f"charge {atoms.info['charge']:+d} e".replace("-", "−"))
    if atoms.info.get("spin"):
        facts.append(f"{atoms.info['spin']} unpaired")
    lengths = [
        f"{x} {length:.3f}"
        for x, length, periodic in zip("abc", atoms.cell.lengths(), atoms.pbc, strict=True)
        if periodic
    ]
    facts.append(f"cell {', '.join(lengths)} Å" if lengths else "no cell")
    nearest = shortest_distance(atoms)
    if nearest is not None:
        distance, i, j = nearest
        names = "–".join(f"{chemical_symbols[atoms.numbers[k]]}{k + 1}" for k in (i, j))
        facts.append(f"shortest distance {distance:.3f} Å ({names})")
    return f"<b>{escape(atoms.get_chemical_formula('hill'))}</b> · {' · '.join(facts)}"


def _whole(
    name: str, low: int, high: int, tooltip: str, width: str = "132px", label: str = "62px"
) -> widgets.BoundedIntText:
    settings: dict[str, Any] = {"style": {"description_width": label}}
    return widgets.BoundedIntText(
        value=max(low, 0),
        min=low,
        max=high,
        description=name,
        tooltip=tooltip,
        layout=widgets.Layout(width=width),
        **settings,
    )
