"""What OrbitalView shows, computed without any widget: functions on a grid, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines.orbital_grid import Grid, grid_for, inside, on_grid
from workbench.evaluation.orbital_overlap import Orbitals, aligned, level_name, orbitals
from workbench.evaluation.orientation_comparison import Experiment
from workbench.hamiltonians.conventions import BOHR, MEV
from workbench.views.numbers import milli
from workbench.views.style import listed, number

LEAST, FIRST, MOST = 0.02, 0.1, 0.5  # A^(-3/2): isovalues that can be chosen

_NEARLY = 0.999  # below it another orbital may be more alike, and is named


@dataclass(frozen=True, eq=False)
class Pictures:
    """Functions to draw side by side.

    Attributes:
        titles: of each.
        grid: A.
        values: (K, P), A^(-3/2); of a product of two orbitals its root with the sign, so that it
            is cut at an isovalue where the product has the square of it.
    """

    titles: list[str]
    grid: Grid
    values: NDArray[np.float64]


class Levels:
    """The orbitals of one or several Hamiltonians of a molecule, the first of which is the truth.

    Args:
        experiment: holds the matrices.

    Raises:
        ValueError: for spinors, crystals, open shells, or a basis without known overlap.
    """

    def __init__(self, experiment: Experiment):
        self.atoms: Atoms = experiment.atoms
        self.matrices = dict(zip(_names(experiment), experiment.upright.matrices, strict=True))
        template = experiment.template
        if template.basis.spinor or self.atoms.pbc.any():
            raise ValueError("OrbitalView shows molecules without spin: give such matrices.")
        if experiment.overlap is None:
            raise ValueError("This basis is not PySCF's, so its orbitals cannot be drawn.")
        if experiment.n_occupied is None:
            raise ValueError("The electrons do not fill closed shells, so there is no HOMO.")
        self.S, self.n_occupied = experiment.overlap, experiment.n_occupied
        self.basis = template.basis
        first, *others = self.matrices
        truth = orbitals(self.matrices[first], self.S)
        self.found: dict[str, Orbitals] = {first: truth}
        self.found |= {name: aligned(truth, self.matrices[name], self.S) for name in others}
        self._dense = {name: H.dense() for name, H in self.matrices.items()}
        self._overlap = self.S.dense()

    @property
    def truth(self) -> Orbitals:
        """The orbitals that the others are compared with."""
        return next(iter(self.found.values()))

    def name(self, index: int) -> str:
        """HOMO, LUMO+1, ..."""
        return level_name(index, self.n_occupied)

    def options(self) -> list[tuple[str, int]]:
        """All levels with their energies, lowest first, as a control offers them."""
        energies = enumerate(self.truth.energies)
        return [(f"{self.name(k)}: {_ev(energy)} eV", k) for k, energy in energies]

    def orbital_labels(self, atom: int) -> list[tuple[str, int]]:
        """Names of an atom's orbitals with their places in the matrix."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.atoms.numbers]
        labels = self.basis.labels(int(self.atoms.numbers[atom]))
        return [(label, sum(sizes[:atom]) + k) for k, label in enumerate(labels)]

    def atom_of(self, orbital: int) -> int:
        """The atom that an atomic orbital belongs to."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.atoms.numbers]
        return int(np.searchsorted(np.cumsum(sizes), orbital, side="right"))

    def orbital_name(self, orbital: int) -> str:
        """E.g. "O1 2pz"."""
        atom = self.atom_of(orbital)
        own = {place: label for label, place in self.orbital_labels(atom)}
        return f"{self.atoms.symbols[atom]}{atom + 1} {own[orbital]}"

    # ---- molecular orbitals ------------------------------------------------------------------

    def molecular(self, index: int) -> Pictures:
        """One level's orbital in every Hamiltonian."""
        mix = np.stack([found.coefficients[:, index] for found in self.found.values()], axis=1)
        grid = grid_for(self.atoms, self.basis, mix, LEAST)
        titles = [f"{name}: {_ev(found.energies[index])} eV" for name, found in self.found.items()]
        return Pictures(titles, grid, on_grid(self.atoms, self.basis, mix, grid))

    def molecular_table(self, index: int, pictures: Pictures, isovalue: float) -> str:
        """HTML: energies, how like the true orbital each is, and what lies inside its surfaces."""
        head = (
            f"<th>{escape(self.name(index))}</th><th>energy, eV</th>"
            "<th title='energy minus the true one'>off by, meV</th>"
            "<th title='with S; 1 means the same orbital'>|⟨true|orbital⟩|</th>"
            "<th title='probability of finding its electron inside the surfaces'>inside, %</th>"
        )
        rows = []
        for (name, found), values in zip(self.found.items(), pictures.values, strict=True):
            first = found is self.truth
            cells = [
                _ev(found.energies[index]),
                "–" if first else milli_signed(MEV * self._off(found, index)),
                "–" if first else _cosine(abs(found.overlap[index])),
                f"{100 * inside(values, isovalue, pictures.grid):.1f}",
            ]
            numbers = "".join(f"<td>{cell}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{escape(name)}</th>{numbers}</tr>')
        notes = "".join(f'<p class="wb-note">{escape(note)}</p>' for note in self.notes(index))
        return _table(head, rows) + notes

    def notes(self, index: int) -> list[str]:
        """What must be known to read the overlaps: degenerate levels, and levels that swapped."""
        notes = []
        for name, found in list(self.found.items())[1:]:
            if found.size[index] > 1:
                notes.append(
                    f"{name}: {found.size[index]} degenerate levels here; any mix of them is an "
                    "orbital as good, so they were turned among themselves to come nearest. "
                    f"Smallest cosine between both sets: {_cosine(found.least[index])}."
                )
            other = int(found.alike[index])
            if other != index and found.least[index] < _NEARLY:
                notes.append(
                    f"{name}: most like the true {self.name(index)} is {self.name(other)}, "
                    f"with {_cosine(found.alike_overlap[index])}."
                )
        return notes

    def molecular_sentence(self, index: int, isovalue: float) -> str:
        """The pictures in words, for `aria-live`."""
        first, *others = self.found
        said = [f"{self.name(index)}, {first}: {_ev(self.truth.energies[index])} eV"]
        for name in others:
            found = self.found[name]
            said.append(
                f"{name}: {_ev(found.energies[index])} eV, overlap with the true one "
                f"{_cosine(abs(found.overlap[index]))}"
            )
        return f"{'; '.join(said)}. Surfaces at {isovalue_text(isovalue)}."

    def _off(self, found: Orbitals, index: int) -> float:
        return float(found.energies[index] - self.truth.energies[index])

    # ---- atomic orbitals ---------------------------------------------------------------------

    def atomic(self, row: int, column: int) -> Pictures:
        """Two atomic orbitals and their product, whose integral is their overlap."""
        mix = np.zeros((len(self._overlap), 2))
        mix[row, 0] = mix[column, 1] = 1.0
        grid = grid_for(self.atoms, self.basis, mix, LEAST)
        a, b = on_grid(self.atoms, self.basis, mix, grid)
        names = [self.orbital_name(k) for k in (row, column)]
        titles = [f"row: {names[0]}", f"column: {names[1]}", "their product"]
        # The root falls off like an orbital: a straight line between points is nearer to it.
        product = np.sign(a * b) * np.sqrt(np.abs(a * b))
        return Pictures(titles, grid, np.stack([a, b, product]))

    def atomic_table(self, row: int, column: int) -> str:
        """HTML: the elements of S and of every Hamiltonian between two atomic orbitals."""
        names = [escape(self.orbital_name(k)) for k in (row, column)]
        head = f"<th>⟨{names[0]} | … | {names[1]}⟩</th><th>element</th>"
        cells = [("overlap S", f"{signed(self._overlap[row, column])}")]
        cells += [(f"H, {name}", f"{signed(H[row, column])} eV") for name, H in self._dense.items()]
        rows = [f'<tr><th scope="row">{escape(a)}</th><td>{b}</td></tr>' for a, b in cells]
        return _table(head, rows)

    def atomic_sentence(self, row: int, column: int) -> str:
        """The pictures in words, for `aria-live`."""
        names = listed([self.orbital_name(k) for k in (row, column)])
        first = next(iter(self.matrices))
        return (
            f"Atomic orbitals {names}: overlap {signed(self._overlap[row, column])}, "
            f"H of {first} {signed(self._dense[first][row, column])} eV."
        )


def isovalue_text(isovalue: float) -> str:
    """An isovalue in both units, e.g. "0.100 Å^(−3/2) = 0.0385 Bohr^(−3/2)"."""
    return f"{number(isovalue)} Å^(−3/2) = {number(isovalue * BOHR**1.5)} Bohr^(−3/2)"


def signed(value: float) -> str:
    """Four decimals and a true minus sign; what rounds to nothing has no sign."""
    return f"{value:.4f}".replace("-0.0000", "0.0000").replace("-", "−")


def milli_signed(value: float) -> str:
    """A difference in meV with its sign."""
    sign = "" if value == 0 else "+" if value > 0 else "−"
    return sign + milli(abs(value))


def _names(experiment: Experiment) -> list[str]:
    known = ["reference"] if experiment.reference is not None else []
    return [*known, *experiment.names]


def _ev(energy: float) -> str:
    return f"{energy:.3f}".replace("-", "−")


def _cosine(value: float) -> str:
    """Between 0 and 1, with as many nines as there are."""
    missing = 1 - value
    if missing < 5e-8:
        return "1"
    if missing < 1e-3:
        return f"1 − {number(missing)}"
    return f"{value:.4f}"


def _table(head: str, rows: list[str]) -> str:
    return (
        f'<table class="wb-errors"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table>"
    )
