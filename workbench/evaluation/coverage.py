"""How often do the intervals of `workbench.check` hold the true error? Measured with labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset
from workbench.evaluation.self_consistency import Estimate, check, errors_by_quantity
from workbench.models.applicability import DomainWarning
from workbench.models.twostage import TwoStageModel

__all__ = ["Agreement", "Checked", "agreement", "coverage"]


@dataclass(frozen=True, eq=False)
class Checked:
    """A labelled molecule: the errors that `check` estimated without the label, and the true ones.

    Attributes:
        sample: its number in the dataset.
        group: of the dataset; samples of one group are correlated, e.g. geometries of one molecule.
        formula: in Hill's order.
        n_atoms: number of atoms.
        estimates: "matrix", "occupied levels" and "gap" -> the estimated error.
        true: the same names -> the true error, meV.
        usable: as of `Check`.
    """

    sample: int
    group: int
    formula: str
    n_atoms: int
    estimates: Mapping[str, Estimate]
    true: Mapping[str, float]
    usable: bool

    @property
    def inside(self) -> dict[str, bool]:
        """The same names -> whether the interval holds the true error."""
        return {name: self.estimates[name].holds(true) for name, true in self.true.items()}


@dataclass(frozen=True)
class Agreement:
    """How well the estimates of one quantity agree with its true errors, over many molecules.

    Attributes:
        inside: share of the intervals that hold the true error; 0.68 is expected.
        uncertainty: of this share, one binomial standard deviation. Samples of one group count as
            one, since their errors are alike.
        scatter: standard deviation of ln(true / estimate); 0.3 means 30 %.
        correlation: of the logarithms of estimate and true error.
    """

    inside: float
    uncertainty: float
    scatter: float
    correlation: float


def coverage(
    model: TwoStageModel, dataset: Dataset, samples: Iterable[int], *, progress: bool = True
) -> list[Checked]:
    """Check labelled molecules as if they had no labels, and put the true errors beside it.

    Args:
        model: with a calibration.
        dataset: molecules with labels of the model's functional and basis.
        samples: numbers of samples that were used neither in training nor in the calibration.
        progress: show a progress bar.

    Raises:
        ValueError: as of `check`.

    >>> from workbench.evaluation.coverage import coverage
    >>> with wb.Dataset("water") as data:
    ...     (row,) = coverage(wb.load_model("water"), data, data.split("test")[:1], progress=False)
    >>> row.formula, sorted(row.true)
    ('H2O', ['gap', 'matrix', 'occupied levels'])
    """
    rows = []
    for i in tqdm([int(i) for i in samples], desc="check", disable=not progress):
        sample = dataset[i]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)  # `usable` says what the check found
            prediction = model.predict(sample.atoms)
            found = check(model, sample.atoms, prediction)
        errors = errors_by_quantity(prediction.refined, sample.H, sample.S, sample.n_electrons)
        true = {name: error for name, error in errors.items() if name in found.estimates}
        formula = sample.atoms.get_chemical_formula("hill")
        rows.append(
            Checked(
                *(i, int(sample.group), formula, len(sample.atoms)),
                *(found.estimates, true, found.usable),
            )
        )
    return rows


def agreement(rows: Sequence[Checked]) -> dict[str, Agreement]:
    """How often the intervals hold the true errors, and how the estimates scatter about them.

    Args:
        rows: of `coverage`, at least two.

    Returns:
        "matrix", "occupied levels" and "gap" -> the agreement. Molecules without a LUMO, of whose
        gap nothing is estimated, are left out there.
    """
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row.true):
        known = [row for row in rows if name in row.true]
        molecules = len({row.group for row in known})
        inside = float(np.mean([row.inside[name] for row in known]))
        pairs = [(row.estimates[name].value, row.true[name]) for row in known]
        estimated, true = np.log(np.array(pairs)).T
        found[name] = Agreement(
            inside,
            float(np.sqrt(inside * (1 - inside) / molecules)),
            float(np.std(true - estimated)),
            float(np.corrcoef(estimated, true)[0, 1]),
        )
    return found
