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
from workbench.hamiltonians.near_dependence import restored
from workbench.models.twostage import TwoStageModel

__all__ = ["KAPPAS", "fit_kappa"]

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
    """The kappa whose predictions have the smallest error of occupied levels and gap.

    The error is the mean over the occupied levels plus that of the gap. A model that makes no ghost
    levels gets 0.

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
    errors = np.zeros(len(KAPPAS))
    try:
        for i in tqdm(chosen, desc="ghost levels", disable=not progress):
            sample = dataset[int(i)]
            predicted = model.predict(sample.atoms).refined
            guess = superposition(sample.atoms, model.basis, charges)
            n_occ = occupied_count(sample.H, sample.n_electrons)
            true = levels(sample.H, sample.S)
            for k, kappa in enumerate(KAPPAS):
                (H,) = restored([predicted], guess, sample.S, kappa)
                error = levels(H, sample.S) - true
                errors[k] += np.abs(error[:n_occ]).mean() + abs(error[n_occ] - error[n_occ - 1])
    finally:
        model.scaling = kept
    best = int(errors.argmin())
    return float(KAPPAS[best]) if errors[best] < _WORTH * errors[0] else 0.0
