"""Where ghost levels come from, and what kappa does: ``python benchmarks/ghost_levels.py``.

Twenty-two molecules of 13 to 29 atoms that are in no test set are labelled (some minutes; a stopped
run goes on in ``--out``). The first table compares network and guess of `organic` between
eigenvectors of the overlap, the second one the levels for several kappa. With ``--dataset`` the
tables are those of a split of labelled molecules.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

import workbench as wb
from workbench.datasets.dataset import Sample
from workbench.engines.initial_guess import superposition
from workbench.evaluation.errors import aligned_rows
from workbench.evaluation.ghost_levels import KAPPAS
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import levels, occupied_count
from workbench.hamiltonians.near_dependence import restored
from workbench.models.twostage import TwoStageModel
from workbench.structures.sampling import AsGiven

MOLECULES = (
    *("N#Cc1ccccc1", "C=Cc1ccccc1", "c1ccc2[nH]ccc2c1", "O=[N+]([O-])c1ccccc1", "O=Cc1ccccc1"),
    *("Nc1ccccc1", "Oc1ccccc1O", "c1ccc2cnccc2c1", "Cc1ccc(N)cc1", "CCCCCCCC"),
    *("Cn1cnc2c1c(=O)[nH]c(=O)n2C", "O=C(O)C(O)c1ccccc1", "c1ccc2c(c1)ccc1ccccc12"),
    *("NCCc1c[nH]c2ccccc12", "O=C(O)Cc1c[nH]c2ccccc12", "Cc1c2ccccc2cc2ccccc12"),
    *("COc1ccc2[nH]ccc2c1", "CC(=O)NCCc1c[nH]c2ccccc12", "O=C(c1ccccc1)c1ccccc1"),
    *("c1cc2ccc3cccc4ccc(c1)c2c34", "c1ccc2nc3ccccc3cc2c1", "c1ccc2c(c1)[nH]c1ccccc12"),
)


def labelled(path: Path) -> Path:
    """The molecules with their labels, as those of `organic` were computed."""
    structures = {"test": [f"smiles:{smiles}" for smiles in MOLECULES]}
    how = {"grid": 3, "conv_tol_grad": 1e-5, "density_fitting": True}
    return wb.label(structures, path, {"test": 1}, sampling=AsGiven(), processes=1, **how)


def measure(
    model: TwoStageModel, samples: Iterable[Sample]
) -> tuple[NDArray[np.float64], dict[int, NDArray[np.float64]]]:
    """Errors for every kappa, and mean squares by decade of the product of two eigenvalues.

    Returns:
        (samples, kappas, 2) meV, occupied levels and gap; decade -> (2,) eV^2, network and guess.
    """
    model.scaling = replace(model.scaling, kappa=torch.zeros_like(model.scaling.kappa))
    charges = model.scaling.charges.cpu().numpy()
    errors, squares = [], {}
    for sample in samples:
        H, S = model(sample.atoms), sample.S
        guess = superposition(sample.atoms, model.basis, charges)
        s, v = np.linalg.eigh(S.dense())
        decades = np.floor(np.log10(np.outer(s, s))).astype(int)
        for k, matrix in enumerate((H, guess)):
            error = v.T @ (matrix - sample.H).dense() @ v
            for decade in np.unique(decades).tolist():
                mean = np.mean(error[decades == decade] ** 2)
                squares.setdefault(decade, ([], []))[k].append(mean)
        n_occ, true = occupied_count(H, sample.n_electrons), levels(sample.H, S)
        rows = []
        for kappa in KAPPAS:
            (cured,) = restored([H], guess, S, kappa)
            error = MEV * (levels(cured, S) - true)
            rows.append((np.abs(error[:n_occ]).mean(), abs(error[n_occ] - error[n_occ - 1])))
        errors.append(rows)
    means = {d: np.array([np.mean(of) for of in both]) for d, both in sorted(squares.items())}
    return np.array(errors), means


def table(errors: NDArray[np.float64], squares: dict[int, NDArray[np.float64]]) -> str:
    """Both tables."""
    rows = [["s_i s_j from", "network, eV", "guess, eV"]]
    for decade, means in squares.items():
        rows.append([f"1e{decade}", *(f"{x:.2g}" for x in np.sqrt(means))])
    lines = ["Root mean square errors between eigenvectors of S", *aligned_rows(rows), ""]
    rows = [["kappa", "gap, median", "gap, worst", "occupied levels", "sum of both means"]]
    for kappa, of in zip(KAPPAS, errors.transpose(1, 0, 2), strict=True):
        occupied, gap = of.T
        values = np.median(gap), gap.max(), occupied.mean(), (occupied + gap).mean()
        rows.append([f"{kappa:.2g}", *(f"{x:.3g}" if x < 1e3 else f"{x:.0f}" for x in values)])
    return "\n".join([*lines, f"{len(errors)} molecules, meV", *aligned_rows(rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organic")
    parser.add_argument("--out", type=Path, default=Path("ghost-levels.h5"))
    parser.add_argument("--dataset", help="labelled molecules, instead of making some")
    parser.add_argument("--split", default="valid", help="of --dataset")
    chosen = parser.parse_args()
    source = chosen.dataset or labelled(chosen.out)
    warnings.simplefilter("ignore", wb.DomainWarning)
    with wb.Dataset(source) as data:
        numbers = data.split(chosen.split if chosen.dataset else "test").tolist()
        samples = (data[i] for i in tqdm(numbers, desc="ghost levels"))
        sys.stdout.write(table(*measure(wb.load_model(chosen.model), samples)) + "\n")


if __name__ == "__main__":
    main()
