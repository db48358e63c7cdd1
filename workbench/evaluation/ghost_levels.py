"""Which weight removes a model's ghost levels? It is fitted to labelled molecules.

See `workbench.hamiltonians.near_dependence` for what ghost levels are, and for the weight's kappa.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset
from workbench.engines.initial_guess import superposition
from workbench.hamiltonians.eigenproblem import levels, occupied_count
from workbench.hamiltonians.near_dependence import Combinations, restored
from workbench.models.twostage import TwoStageModel

__all__ = ["KAPPAS", "fit_kappa", "with_fitted_kappa"]

KAPPAS = (0.0, *np.geomspace(1e-3, 3.2e-2, 7).round(5).tolist())
"""The values that are tried, ascending."""

_WORTH = 0.95
"""Kappa stays 0 unless the error falls below this fraction: there are no ghosts to be removed."""

FITTED = 200
"""Largest number of structures to which kappa is fitted."""


@torch.inference_mode()
def fit_kappa(
    model: TwoStageModel, dataset: Dataset, samples: Iterable[int], progress: bool = True
) -> float:
    """The kappa that removes ghost levels at no cost in occupied levels and gap.

    The error of a molecule is the mean over its occupied levels plus that of the gap. Chosen is the
    largest kappa whose mean error is within one standard error of the smallest (the rule of Breiman
    et al., Classification and Regression Trees, 1984): larger molecules than those of validation
    have more nearly dependent orbitals, and need a larger kappa. A model that makes no ghost levels
    gets 0.

    Args:
        model: starts from a guess; its own kappa does not matter.
        dataset: molecules with labels in the model's basis.
        samples: numbers of validation samples; at most `FITTED` of them are used.
        progress: show a progress bar.

    Returns:
        One of `KAPPAS`; 0 for a model without a guess.

    A model of one molecule is trained on geometries that are alike, and makes no ghost levels:

    >>> from workbench.evaluation.ghost_levels import fit_kappa
    >>> with wb.Dataset("ethanol") as ethanol:
    ...     fit_kappa(wb.load_model("ethanol"), ethanol, ethanol.split("valid")[:4], progress=False)
    0.0
    """
    if model.config.guess == "none":
        return 0.0
    chosen = list(samples)
    chosen = chosen[:: -(-len(chosen) // FITTED)] if chosen else []
    kept, charges = model.scaling, model.scaling.charges.cpu().numpy()
    model.scaling = replace(kept, kappa=torch.zeros_like(kept.kappa))
    rows: list[list[float]] = []
    try:
        for i in tqdm(chosen, desc="ghost levels", disable=not progress):
            sample = dataset[int(i)]
            predicted = model.predict(sample.atoms).refined
            guess = superposition(sample.atoms, model.basis, charges)
            n_occ = occupied_count(sample.H, sample.n_electrons)
            true, combinations = levels(sample.H, sample.S), Combinations.of(sample.S)
            rows.append([])
            for kappa in KAPPAS:
                (H,) = restored([predicted], guess, combinations, kappa)
                error = levels(H, sample.S) - true
                # Without an empty orbital there is no gap, and a training must end all the same.
                gap_error = np.abs(np.diff(error[n_occ - 1 : n_occ + 1])).sum()
                rows[-1].append(np.abs(error[:n_occ]).mean() + gap_error)
    finally:
        model.scaling = kept
    if not rows:
        return 0.0
    errors, spread = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(len(rows))
    best = int(errors.argmin())
    if errors[best] > _WORTH * errors[0]:
        return 0.0
    return float(KAPPAS[int(np.flatnonzero(errors <= errors[best] + spread[best])[-1])])


def with_fitted_kappa(
    model: TwoStageModel, dataset: Dataset, samples: Iterable[int], progress: bool = True
) -> float:
    """Give a model the kappa that `fit_kappa` finds, and return it."""
    kappa = fit_kappa(model, dataset, samples, progress)
    model.scaling = replace(model.scaling, kappa=torch.full_like(model.scaling.kappa, kappa))
    return kappa
