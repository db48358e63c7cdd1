"""The functions on a grid and the numbers that OrbitalView shows, computed without a widget."""

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
from workbench.views.numbers import milli_signed
from workbench.views.style import listed, number

LEAST, FIRST, MOST = 0.02, 0.1, 0.5  # A^(-3/2): smallest, initial and largest isovalue

_NEARLY = 0.999  # below this overlap the text names a more similar orbital, if there is one


@dataclass(frozen=True, eq=False)
class Pictures:
    """Functions to draw side by side.

    Attributes:
        titles: one per function.
        grid: where the values are, A.
        values: (K, P), A^(-3/2). A product of two orbitals is stored as its signed square root, so
            that the isovalue of the product is the square of the chosen one.
    """

    titles: list[str]
    grid: Grid
    values: NDArray[np.float64]


class Levels:
    """The orbitals of one or several Hamiltonians of a molecule; the first is the reference.

    Args:
        experiment: contains the matrices.

    Raises:
        ValueError: for spinors, crystals, open shells, or a basis with unknown overlap.
    """

    def __init__(self, experiment: Experiment):
        self.atoms: Atoms = experiment.atoms
        self.matrices = dict(zip(_names(experiment), experiment.upright.matrices, strict=True))
        template = experiment.template
        if template.basis.spinor or self.atoms.pbc.any():
            raise ValueError(
                "OrbitalView shows only molecules without spin: use RotationLab for this structure."
            )
        if experiment.overlap is None:
            raise ValueError("PySCF does not know this basis, so its orbitals cannot be drawn.")
        if experiment.n_occupied is None:
            raise ValueError(
                "The electrons do not fill closed shells, so there is no HOMO to show."
            )
        self.S, self.n_occupied = experiment.overlap, experiment.n_occupied
        self.basis = template.basis
        first, *others = self.matrices
        truth = orbitals(self.matrices[first], self.S)
        self.solutions: dict[str, Orbitals] = {first: truth}
        self.solutions |= {name: aligned(truth, self.matrices[name], self.S) for name in others}
        self._dense = {name: H.dense() for name, H in self.matrices.items()}
        self._overlap = self.S.dense()

    @property
    def truth(self) -> Orbitals:
        """The reference orbitals."""
        return next(iter(self.solutions.values()))

    def name(self, index: int) -> str:
        """Name of a level: HOMO, LUMO+1, ..."""
        return level_name(index, self.n_occupied)

    def options(self) -> list[tuple[str, int]]:
        """All levels with their energies, lowest first, as options of a control."""
        energies = enumerate(self.truth.energies)
        return [(f"{self.name(k)}: {_ev(energy)} eV", k) for k, energy in energies]

    def orbital_labels(self, atom: int) -> list[tuple[str, int]]:
        """Names of an atom's orbitals with their row indices in the matrix."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.atoms.numbers]
        labels = self.basis.labels(int(self.atoms.numbers[atom]))
        return [(label, sum(sizes[:atom]) + k) for k, label in enumerate(labels)]

    def atom_of(self, orbital: int) -> int:
        """The atom of an atomic orbital."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.atoms.numbers]
        return int(np.searchsorted(np.cumsum(sizes), orbital, side="right"))

    def orbital_name(self, orbital: int) -> str:
        """Name of an atomic orbital, e.g. "O1 2pz"."""
        atom = self.atom_of(orbital)
        labels = {row: label for label, row in self.orbital_labels(atom)}
        return f"{self.atoms.symbols[atom]}{atom + 1} {labels[orbital]}"

    # ---- molecular orbitals ------------------------------------------------------------------

    def molecular(self, index: int) -> Pictures:
        """The orbital of one level, for each Hamiltonian."""
        solutions = self.solutions
        coefficients = np.stack([s.coefficients[:, index] for s in solutions.values()], axis=1)
        grid = grid_for(self.atoms, self.basis, coefficients, LEAST)
        titles = [f"{name}: {_ev(s.energies[index])} eV" for name, s in solutions.items()]
        return Pictures(titles, grid, on_grid(self.atoms, self.basis, coefficients, grid))

    def molecular_table(self, index: int, pictures: Pictures, isovalue: float) -> str:
        """HTML: energies, overlaps with the reference, and probability inside the surfaces."""
        head = (
            f"<th>{escape(self.name(index))}</th><th>energy, eV</th>"
            "<th title='energy minus the energy in the first picture'>difference, meV</th>"
            "<th title='with S; 1 means the same orbital'>|⟨reference|orbital⟩|</th>"
            "<th title='probability of finding the electron inside the surfaces'>inside, %</th>"
        )
        rows = []
        for (name, solution), values in zip(self.solutions.items(), pictures.values, strict=True):
            first = solution is self.truth
            cells = [
                _ev(solution.energies[index]),
                "–" if first else milli_signed(MEV * self._difference_ev(solution, index)),
                "–" if first else _cosine(abs(solution.overlap[index])),
                f"{100 * inside(values, isovalue, pictures.grid):.1f}",
            ]
            numbers = "".join(f"<td>{cell}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{escape(name)}</th>{numbers}</tr>')
        notes = "".join(f'<p class="wb-note">{escape(note)}</p>' for note in self.notes(index))
        return _table(head, rows) + notes

    def notes(self, index: int) -> list[str]:
        """Remarks on the overlaps: degenerate levels, and levels in another order."""
        notes = []
        for name, solution in list(self.solutions.items())[1:]:
            if solution.size[index] > 1:
                notes.append(
                    f"{name}: {solution.size[index]} degenerate levels here. Any orthogonal "
                    "mixture of their orbitals is valid; the picture shows the one nearest to the "
                    "reference. "
                    "Smallest cosine between the two sets of orbitals: "
                    f"{_cosine(solution.least[index])}."
                )
            other = int(solution.alike[index])
            if other != index and solution.least[index] < _NEARLY:
                notes.append(
                    f"{name}: the orbital most similar to the reference {self.name(index)} is "
                    f"{self.name(other)}, overlap {_cosine(solution.alike_overlap[index])}."
                )
        return notes

    def molecular_sentence(self, index: int, isovalue: float) -> str:
        """Text equivalent of the pictures, for `aria-live`."""
        first, *others = self.solutions
        clauses = [f"{self.name(index)}, {first}: {_ev(self.truth.energies[index])} eV"]
        for name in others:
            solution = self.solutions[name]
            clauses.append(
                f"{name}: {_ev(solution.energies[index])} eV, overlap with the first "
                f"{_cosine(abs(solution.overlap[index]))}"
            )
        return f"{'; '.join(clauses)}. Surfaces at {isovalue_text(isovalue)}."

    def _difference_ev(self, solution: Orbitals, index: int) -> float:
        return float(solution.energies[index] - self.truth.energies[index])

    # ---- atomic orbitals ---------------------------------------------------------------------

    def atomic(self, row: int, column: int) -> Pictures:
        """Two atomic orbitals and their product, whose integral is their overlap."""
        coefficients = np.zeros((len(self._overlap), 2))
        coefficients[row, 0] = coefficients[column, 1] = 1.0
        grid = grid_for(self.atoms, self.basis, coefficients, LEAST)
        a, b = on_grid(self.atoms, self.basis, coefficients, grid)
        names = [self.orbital_name(k) for k in (row, column)]
        titles = [f"row: {names[0]}", f"column: {names[1]}", "their product"]
        # The square root decays like an orbital, so linear interpolation fits it better.
        product = np.sign(a * b) * np.sqrt(np.abs(a * b))
        return Pictures(titles, grid, np.stack([a, b, product]))

    def atomic_table(self, row: int, column: int) -> str:
        """HTML: the elements of S and of each Hamiltonian between two atomic orbitals."""
        names = [escape(self.orbital_name(k)) for k in (row, column)]
        head = f"<th>⟨{names[0]} | … | {names[1]}⟩</th><th>element</th>"
        cells = [("overlap S", f"{signed(self._overlap[row, column])}")]
        cells += [(f"H, {name}", f"{signed(H[row, column])} eV") for name, H in self._dense.items()]
        rows = [f'<tr><th scope="row">{escape(a)}</th><td>{b}</td></tr>' for a, b in cells]
        return _table(head, rows)

    def atomic_sentence(self, row: int, column: int) -> str:
        """Text equivalent of the pictures, for `aria-live`."""
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
    """Four decimals with a true minus sign; a value that rounds to zero has no sign."""
    return f"{value:.4f}".replace("-0.0000", "0.0000").replace("-", "−")


def _names(experiment: Experiment) -> list[str]:
    known = ["reference"] if experiment.reference is not None else []
    return [*known, *experiment.names]


def _ev(energy: float) -> str:
    return f"{energy:.3f}".replace("-", "−")


def _cosine(value: float) -> str:
    """A number from 0 to 1; one close to 1 is written as 1 minus the difference."""
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
