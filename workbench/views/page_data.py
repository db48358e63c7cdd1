"""The numbers of a page that turns a molecule without Python: matrices at R = 1, stage 2's weights.

The browser computes everything else (`widgets/js/page/experiment.js`). An array travels as the
bytes of its elements, little-endian, in base64, in its own type: weights of float32 stay float32.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.orientation_comparison import REFERENCE, Experiment
from workbench.evaluation.rotation_errors import REFINED, STAGE_NAMES
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import INVERSION, rotation
from workbench.structures.loading import rotate
from workbench.views.drawn_structure import drawn_structure
from workbench.views.level_picture import level_picture
from workbench.views.matrix_axes import atom_axis
from workbench.views.style import round_limit

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel

__all__ = ["PageError", "check_molecule", "packed", "page_data"]


class PageError(ValueError):
    """A page cannot show this structure or these matrices."""


def page_data(experiment: Experiment) -> dict[str, Any]:
    """The JSON-able numbers of the page of an experiment.

    A stage that is equivariant by construction is sent as its matrix at R = 1, which the page
    rotates. Stage 2 in the global frame is sent with its weights and its input. Other predictors
    are Python functions, which a page cannot run: their names are listed as ``left_out``.

    Raises:
        PageError: for a crystal, matrices with spin, nothing that a page can show, or a model that
            works in the global frame and takes nearly dependent orbitals from its guess.
    """
    template = experiment.template
    check_molecule(experiment.atoms, template.basis)
    names = _shown(experiment)
    reference = experiment.reference
    if not names and reference is None:
        raise PageError(
            "A page shows a model of this package or a reference: the predictors given here are "
            "Python functions, which a page cannot run."
        )
    offsets = template.offsets
    return {
        "n": int(offsets[-1]),
        "shells": [l for z in template.numbers for l in template.basis.shells[int(z)]],
        "formula": experiment.atoms.get_chemical_formula("hill"),
        "structure": drawn_structure(experiment.atoms),
        "axis": atom_axis(template),
        "reference": None if reference is None else packed(reference.H.dense()),
        "overlap": None if experiment.overlap is None else packed(experiment.overlap.dense()),
        "predictors": [_predictor(experiment, name) for name in names],
        "stage2": _stage2(experiment.model, experiment) if _runs_stage2(experiment) else None,
        "levels": _levels(experiment, names),
        "occupied": experiment.n_occupied,
        "limits": _limits(experiment, names),
        "left_out": [name for name in experiment.names if name not in names],
    }


def check_molecule(atoms: Atoms, basis: Basis) -> None:
    """Raise a PageError for a crystal, or a basis with spin."""
    if atoms.pbc.any():
        raise PageError("A page shows a molecule, and this is a crystal: use RotationLab.")
    if basis.spinor:
        raise PageError("A page shows matrices without spin, and these have it: use RotationLab.")


def packed(array: ArrayLike) -> dict[str, Any]:
    """An array for the page: its type, its shape, and its bytes in base64.

    >>> from workbench.views.page_data import packed
    >>> packed(np.array([1.0, 2.0], dtype=np.float32))
    {'type': 'float32', 'shape': [2], 'data': 'AACAPwAAAEA='}
    """
    values = np.ascontiguousarray(array)
    if values.dtype.kind in "iu":
        values = values.astype(np.int32)
    little = values.astype(values.dtype.newbyteorder("<"))
    return {
        "type": values.dtype.name,
        "shape": list(values.shape),
        "data": b64encode(little.tobytes()).decode(),
    }


def _shown(experiment: Experiment) -> list[str]:
    """The predictors whose answer at R x a page can compute: the stages of a model of ours."""
    model = experiment.model
    if model is None or not hasattr(model, "stage2_input"):
        return []
    return [name for name in experiment.model_names if name in STAGE_NAMES]


def _runs_stage2(experiment: Experiment) -> bool:
    return bool(_shown(experiment)) and not experiment.model.is_local


def _predictor(experiment: Experiment, name: str) -> dict[str, Any]:
    """Name, matrix at R = 1 in eV, and how many elements its errors are means over."""
    corrected = name == REFINED and _runs_stage2(experiment)
    predicted = experiment.upright.predictions[name]
    matrix = experiment.model.stage2_input(experiment.atoms).base if corrected else predicted
    compared = experiment.upright.difference(name, REFERENCE)
    return {
        "name": STAGE_NAMES[name],
        "matrix": packed(matrix.dense()),
        "corrected": corrected,
        "inverted": packed(_inverted(experiment)) if _lacks_inversion(experiment, name) else None,
        "stored": int(predicted.mask.sum()),
        "compared": None if compared is None else int(compared.mask.sum()),
    }


def _lacks_inversion(experiment: Experiment, name: str) -> bool:
    """Whether a stage is equivariant under rotations, but not under inversion."""
    model = experiment.model
    return name == REFINED and model.is_local and not model.averages_inversion


def _inverted(experiment: Experiment) -> NDArray[np.float64]:
    """Both stages' Hamiltonian of the inverted structure, eV."""
    return experiment.model.predict(rotate(experiment.atoms, INVERSION)).refined.dense()


def _levels(experiment: Experiment, names: Iterable[str]) -> str:
    """The picture of the levels at R = 1, whose bars the page moves; empty without an overlap."""
    energies = experiment.upright.levels
    if not energies:
        return ""
    known = [] if experiment.reference is None else [REFERENCE]
    shown = {STAGE_NAMES.get(name, name): energies[name] for name in [*known, *names]}
    return level_picture(shown, shown, experiment.n_occupied, dict.fromkeys(shown, 0.0))


def _limits(experiment: Experiment, names: Iterable[str]) -> dict[str, float]:
    """Colour limits of the matrices, eV, and of the differences, meV, after a rotation.

    As in `RotationLab`: a third of the largest error, so that the many small ones are visible.
    """
    rotated = experiment.at(rotation((1, 1, 0), 40))
    matrices = [rotated.predictions[name] for name in names]
    if rotated.reference is not None:
        matrices.append(rotated.reference)
    differences = [
        d for n in names for k in (REFERENCE, "turned") if (d := rotated.difference(n, k))
    ]
    return {
        "matrix": round_limit(_largest(matrices)),
        "error": round_limit(MEV / 3 * _largest(differences)),
    }


def _largest(matrices: Iterable[BlockMatrix]) -> float:
    return max((matrix.max_abs() for matrix in matrices), default=0.0)


def _stage2(model: TwoStageModel, experiment: Experiment) -> dict[str, Any]:
    """Sizes, weights and input of stage 2 in the global frame, as `page/stage2.js` reads them."""
    if float(model.scaling.kappa):
        raise PageError(
            "This model takes nearly dependent orbitals from its guess, which a page cannot: "
            "show a model without them, or one in local frames."
        )
    tokens, reverse, _ = model.stage2_input(experiment.atoms)
    config, basis = model.config, model.basis
    rows, columns = np.nonzero(np.abs(model.irreps.change) > 1e-15)
    names = ("nodes", "edges", "node_blocks", "pair_blocks", "direction", "radial", "envelope")
    indices = ("row", "column", "node_class", "pair_class")
    arrays = {name: getattr(tokens, name).cpu().numpy() for name in (*names, *indices)}
    return {
        "width": config.refiner_width,
        "heads": config.refiner_heads,
        "layers": config.refiner_layers,
        "channels": config.channels,
        "degrees": [{"l": d.l, "pseudo": d.pseudo} for d in model.baseline.layout.degrees],
        "layout": list(basis.layout),
        "slots": [basis.slots(int(z)).tolist() for z in experiment.atoms.numbers],
        "reads_features": config.refiner_features,
        "tokens": {n: packed(a) for n, a in arrays.items()}
        | {"reverse": packed(reverse.cpu().numpy())},
        "weights": {name: packed(array) for name, array in _weights(model).items()},
        "residuals": {
            "node": packed(model.scaling.node_residual.cpu().numpy()),
            "pair": packed(model.scaling.pair_residual.cpu().numpy()),
        },
        "change": {
            "rows": packed(rows),
            "columns": packed(columns),
            "values": packed(model.irreps.change[rows, columns]),
        },
    }


def _weights(model: TwoStageModel) -> dict[str, NDArray[np.floating]]:
    """Stage 2's weights by name; of each readout either its solution or the trained matrix."""
    heads = {
        f"{name}.readout.": getattr(model.refiner, name).readout
        for name in ("node_head", "pair_head")
    }
    unused = {
        prefix + part
        for prefix, readout in heads.items()
        for part in (("shared.0", "bias") if readout.solved else ("solution_0",))
    }
    state = model.refiner.state_dict()
    return {name: t.cpu().numpy() for name, t in state.items() if name not in unused}
