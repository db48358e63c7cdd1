"""OrbitalView: isosurfaces of the orbitals of reference and predicted Hamiltonians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.orientation_comparison import Experiment
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import rotation
from workbench.views.structure import widest
from workbench.widgets.orbital_pictures import OrbitalPictures
from workbench.widgets.orbital_state import FIRST, LEAST, MOST, Levels, Pictures, isovalue_text
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.choices import button, dropdown
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.readout import heading

if TYPE_CHECKING:
    from workbench.engines import Reference

MOLECULAR, ATOMIC = "molecular orbitals", "atomic orbitals"

_FROM_ABOVE = rotation((1, 0.35, 0), -55)  # shows a flat molecule and both of its sides


class OrbitalView(Lab):
    """Isosurfaces of the orbital of one energy level, for each Hamiltonian.

    All pictures rotate together by mouse, touch or arrow keys. This rotates the camera, not the
    molecule, so the coefficients do not change. The first view is from above the plane of the
    molecule. The first Hamiltonian is the reference: orbitals of the others are aligned with it in
    sign and, within a degenerate set, by a unitary rotation. A second mode shows two atomic
    orbitals, their product, and the elements of S and H between them.

    Args:
        atoms: a molecule.
        reference: `wb.reference(atoms)` or a dataset's reference, or None.
        model: as for `RotationLab` (both stages are shown), or None.
        matrices: further Hamiltonians by name, eV.
        mode: "molecular orbitals" or "atomic orbitals".
        level: initial level, counted from the HOMO: 0 is the HOMO, 1 the LUMO.
        pair: initial two atomic orbitals, row indices of the whole matrix, counted from 0.

    Raises:
        ValueError: if there is nothing to show; for crystals, spinors and open shells; or if PySCF
            does not know the basis.

    >>> atoms = wb.load("water")
    >>> orbitals = wb.OrbitalView(atoms, wb.reference(atoms, basis="sto-3g", xc="hf"))
    >>> print(orbitals.level.label)  # 1b1 of water
    HOMO: −10.667 eV
    """

    def __init__(
        self,
        atoms: Atoms,
        reference: Reference | None = None,
        model: Any = None,
        matrices: Mapping[str, BlockMatrix] | None = None,
        *,
        mode: str = MOLECULAR,
        level: int = 0,
        pair: tuple[int, int] = (0, 0),
    ):
        predictors = {name: _constant(H) for name, H in (matrices or {}).items()}
        experiment = Experiment(atoms, model, reference, predictors)
        self.state = Levels(experiment)
        self.guard = Guard()
        self._style = lab_style("orbital_view")  # first, see `lab_style`
        self._first = (mode, self.state.n_occupied - 1 + level, pair)
        self._setting = False
        self._camera = _FROM_ABOVE @ widest(atoms)
        self._build(heading(experiment))
        self._connect()
        super().__init__(self._layout(), "wb-orbital-view")
        self._changed()

    # ---- also available from code ---------------------------------------------

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3) of the pictures."""
        return self.view.rotation

    @property
    def index(self) -> int:
        """Index of the level that is shown, counted from 0."""
        return int(self.level.value or 0)

    @property
    def pair(self) -> tuple[int, int]:
        """The two atomic orbitals, row indices of the whole matrix, counted from 0."""
        row, column = (int(choice.value or 0) for choice in self.orbital)
        return row, column

    @property
    def isovalue(self) -> float:
        """Isovalue of the surfaces, A^(-3/2)."""
        return float(self.iso.value)

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the pictures to a rotation matrix R (3, 3)."""
        self.view.turn_to(R)

    def show_level(self, index: int) -> None:
        """Show the molecular orbitals of a level, counted from 0."""
        self._set(MOLECULAR, index, self.pair)

    def show_pair(self, row: int, column: int) -> None:
        """Show two atomic orbitals, row indices of the whole matrix, counted from 0."""
        self._set(ATOMIC, self.index, (row, column))

    def reset(self) -> None:
        """Restore the initial choice, isovalue and orientation."""
        self.iso.value = FIRST
        self._set(*self._first)
        self.turn_to(self._camera)

    # ---- building ---------------------------------------------------------------------------

    def _build(self, title: str) -> None:
        state, (mode, index, pair) = self.state, self._first
        self.title = widgets.HTML(title)
        self.mode = widgets.ToggleButtons(
            options=[MOLECULAR, ATOMIC],
            value=mode,
            tooltips=["Solutions of H C = S C E", "Basis functions of the matrices"],
            style={"button_width": "auto"},
        )
        self.level = widgets.SelectionSlider(
            options=state.options(),
            value=index,
            description="level",
            tooltip="Energy level; the energies are those of the first picture",
            style={"description_width": "40px"},
            layout=widgets.Layout(width="480px"),
        )
        self.jumps = {"HOMO": button("HOMO", "The highest occupied level")}
        self.jumps["LUMO"] = button("LUMO", "The lowest unoccupied level")
        atoms = [(f"{s}{k + 1}", k) for k, s in enumerate(state.atoms.symbols)]
        self.atom, self.orbital = [], []
        for what, place in zip(("row", "column"), pair, strict=True):
            atom = state.atom_of(place)
            self.atom.append(dropdown(atoms, what, f"Atom of the {what}", "130px", atom))
            shells = state.orbital_labels(atom)
            tooltip = f"Orbital of the {what}: shell and m"
            self.orbital.append(dropdown(shells, "orbital", tooltip, "160px", place))
        self.iso = widgets.FloatLogSlider(
            value=FIRST,
            min=float(np.log10(LEAST)),
            max=float(np.log10(MOST)),
            step=0.02,
            description="isovalue",
            tooltip="The orbital's value on its surfaces, in Angstrom to the power of -3/2",
            readout=False,
            style={"description_width": "56px"},
            layout=widgets.Layout(width="260px"),
        )
        self.units, self.table = widgets.HTML(), widgets.HTML()
        self.reset_button = widgets.Button(description="Reset", tooltip="Restore the initial state")
        self.view = OrbitalPictures(
            state.atoms, height=340, label="orbitals", hint="drag, or arrow keys; red +, blue −"
        )
        self.view.turn_to(self._camera)

    def _connect(self) -> None:
        """Connect the callbacks; the guard shows their errors."""
        guard = self.guard
        for control in (self.mode, self.level, *self.orbital):
            control.observe(guard(lambda _: self._chosen()), "value")
        for k, atom in enumerate(self.atom):
            atom.observe(guard(lambda _, k=k: self._atom_chosen(k)), "value")
        self.iso.observe(guard(lambda _: self._cut()), "value")
        homo = self.state.n_occupied - 1
        for k, pressed in enumerate(self.jumps.values()):
            pressed.on_click(guard(lambda _, k=k: self.show_level(homo + k)))
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        head = group(widgets.Box, "wb-head", [self.title, self.mode, self.reset_button])
        self._molecular = group(widgets.Box, "wb-choice", [self.level, *self.jumps.values()])
        places = [self.atom[0], self.orbital[0], self.atom[1], self.orbital[1]]
        self._atomic = group(widgets.Box, "wb-choice", places)
        cut = group(widgets.Box, "wb-choice", [self.iso, self.units])
        choices = group(widgets.Box, "wb-choices", [self._molecular, self._atomic, cut])
        return [self._style, head, self.guard.panel, choices, self.view, self.table]

    # ---- reacting ---------------------------------------------------------------------------

    def _set(self, mode: str, index: int, pair: tuple[int, int]) -> None:
        """Set all controls and repaint once."""
        self._setting = True
        try:
            self.mode.value, self.level.value = mode, index
            for k, place in enumerate(pair):
                self.atom[k].value = self.state.atom_of(place)
                self.orbital[k].options = self.state.orbital_labels(self.state.atom_of(place))
                self.orbital[k].value = place
        finally:
            self._setting = False
        self._changed()

    def _atom_chosen(self, k: int) -> None:
        """List the orbitals of another atom; keep the orbital of the same name if possible."""
        if self._setting:
            return
        before, options = self.orbital[k].label, self.state.orbital_labels(int(self.atom[k].value))
        self._setting = True  # new options select their first entry for a moment
        try:
            self.orbital[k].options = options
            self.orbital[k].value = dict(options).get(before, options[0][1])
        finally:
            self._setting = False
        self._changed()

    def _chosen(self) -> None:
        if not self._setting:
            self._changed()

    def _changed(self) -> None:
        """Evaluate the chosen orbitals on a suitable grid and send them to the browser."""
        molecular = self.mode.value == MOLECULAR
        self._molecular.layout.display = None if molecular else "none"
        self._atomic.layout.display = "none" if molecular else None
        state = self.state
        pictures = state.molecular(self.index) if molecular else state.atomic(*self.pair)
        self.pictures: Pictures = pictures
        self.view.show(pictures.titles, pictures.grid, pictures.values, self.isovalue)
        self._describe()

    def _cut(self) -> None:
        self.view.cut_at(self.isovalue)
        self._describe()

    def _describe(self) -> None:
        """Show the numbers below the pictures and the sentence for screen readers."""
        state = self.state
        self.units.value = isovalue_text(self.isovalue)
        if self.mode.value == MOLECULAR:
            self.table.value = state.molecular_table(self.index, self.pictures, self.isovalue)
            self.view.announcement = state.molecular_sentence(self.index, self.isovalue)
        else:
            self.units.value += "; isovalue of the product: its square"
            self.table.value = state.atomic_table(*self.pair)
            self.view.announcement = state.atomic_sentence(*self.pair)


def _constant(H: BlockMatrix) -> Any:
    def predictor(_: Atoms) -> BlockMatrix:
        return H

    return predictor
