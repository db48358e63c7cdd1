"""How to remove the zero of energy from errors: rules for bands, and norms for the matrix.

    python benchmarks/energy_zero.py [--only MG MM]

For all bundled test cells of the six sets and both stages the first table has the mean error of the
bands near the Fermi level: raw; without the shift mu of the matrix; relative to each Hamiltonian's
own Fermi level, from distributions of several widths; and with the best shift of each cell, the
median, which is the least that a rule can leave. The second table compares the shifts of the matrix
with this best shift, and the matrix errors that they leave.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

import workbench as wb
from workbench.datasets.dataset import Sample
from workbench.datasets.published_sets import SYSTEMS
from workbench.evaluation.band_errors import BandWindow
from workbench.evaluation.energy_zero import energy_shift
from workbench.evaluation.errors import aligned_rows
from workbench.evaluation.reproduction import TESTED
from workbench.hamiltonians.bands import LEAST, band_gap, mesh_energies
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import fill_to
from workbench.models.applicability import DomainWarning

WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Widths of the Fermi distribution, eV."""

INSULATING = 0.5
"""Cells with at least this gap on the mesh are counted as insulators, eV."""

NORMS = ("sum of squares", "sum of moduli")


def least_moduli(H: BlockMatrix, sample: Sample) -> float:
    """The shift in eV with the least mean modulus of the rest."""
    difference = H - sample.H
    overlap = sample.S.over(difference.edges, difference.shifts)

    def rest(mu: float) -> float:
        return float(np.abs(difference.values - mu * overlap).mean()) * MEV

    middle = energy_shift(H, sample.H, sample.S)
    least: Any = minimize_scalar(rest, bracket=(middle - 0.01, middle + 0.01))
    return float(least.x)


def measured(H: BlockMatrix, sample: Sample, window: BandWindow) -> dict[str, float]:
    """Errors in meV of one prediction by each rule and norm, and whether the cell is insulating."""
    S, n, each = sample.S, sample.n_electrons, 1 if H.basis.spinor else 2
    predicted, true = mesh_energies(H, S, window.mesh, LEAST), window.energies
    difference = (predicted - true)[window.near]
    mus = dict(zip(NORMS, (energy_shift(H, sample.H, S), least_moduli(H, sample)), strict=True))
    best = float(np.median(difference))
    shifts = {"raw": 0.0, "mu of the matrix": mus[NORMS[0]]}
    shifts |= {
        f"Fermi levels, {w} eV": fill_to(predicted, n, each, w) - fill_to(true, n, each, w)
        for w in WIDTHS
    }
    bands = {
        rule: float(np.abs(difference - shift).mean()) * MEV
        for rule, shift in (shifts | {"best shift": best}).items()
    }
    matrix = {"none": (H - sample.H).mae() * MEV}
    matrix |= {norm: (H - mu * S - sample.H).mae() * MEV for norm, mu in mus.items()}
    distances = {f"{norm}, distance": abs(mu - best) * MEV for norm, mu in mus.items()}
    gap = band_gap(sample.H, S, n, window.mesh).energy
    return bands | matrix | distances | {"insulating": float(gap > INSULATING)}


def results(codes: list[str]) -> Iterator[dict[str, float]]:
    """`measured` of every bundled test cell and both stages."""
    for name in (SYSTEMS[code].mini for code in codes):
        model = wb.load_model(name)
        with wb.Dataset(name) as data:
            for split in (split for split in TESTED if split in data.splits):
                for sample in (data[int(i)] for i in data.split(split)):
                    level = sample.fermi_level
                    assert level is not None, "crystals have a Fermi level"
                    window = BandWindow.of(
                        sample.H, sample.S, sample.atoms, level, sample.n_electrons
                    )
                    prediction = model.predict(sample.atoms)
                    for H in (prediction.baseline, prediction.refined):
                        yield measured(H, sample, window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(SYSTEMS), help="codes of sets")
    warnings.simplefilter("ignore", DomainWarning)
    rows = list(results(parser.parse_args().only))
    insulating = [row for row in rows if row["insulating"]]
    kinds = {
        "all": rows,
        "insulators": insulating,
        "others": [row for row in rows if not row["insulating"]],
    }

    def means(key: str) -> list[str]:
        columns = ([row[key] for row in of_kind] for of_kind in kinds.values())
        return [f"{np.mean(values):.1f}" if values else "-" for values in columns]

    counts = [f"{kind} ({len(of_kind)})" for kind, of_kind in kinds.items()]
    rules = ["raw", "mu of the matrix", *(f"Fermi levels, {w} eV" for w in WIDTHS), "best shift"]
    table = [["bands, meV", *counts], *([rule, *means(rule)] for rule in rules)]
    print("\n".join(aligned_rows(table)), end="\n\n")
    table = [["shift of the matrix by the least", "matrix MAE, meV", "from the bands' best shift"]]
    table.append(["(none)", f"{np.mean([row['none'] for row in rows]):.4f}", "-"])
    for norm in NORMS:
        error, distance = np.mean([(row[norm], row[f"{norm}, distance"]) for row in rows], axis=0)
        table.append([norm, f"{error:.4f}", f"{distance:.1f}"])
    print("\n".join(aligned_rows(table)))


if __name__ == "__main__":
    main()
