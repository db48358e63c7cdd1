"""What ``predict`` says beside its numbers: the model, what is missing, and warnings."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evaluation.predicted import Predicted
    from workbench.models.twostage import TwoStageModel

__all__ = ["load_with_origin", "notes", "recorded_warnings"]

_NO_OVERLAP = (
    "levels and bands also need the overlap ({}): give it with --overlap, or predict a folder of "
    "DeepH that has one"
)
_NO_ELECTRONS = "{} also needs the number of electrons that H describes: give it with --electrons"


def load_with_origin(model: str) -> tuple[TwoStageModel, dict[str, Any]]:
    """A model, and what results say of it: its name and the sha256 of its file."""
    from workbench.models.checkpoint import checkpoint_path, load_model

    digest = hashlib.sha256(checkpoint_path(model).read_bytes()).hexdigest()
    return load_model(model), {"model": model, "model_sha256": digest}


def notes(found: Predicted) -> dict[str, Any]:
    """What else the levels and bands of a structure need; empty if nothing."""
    if found.S is None:
        return {"note": _NO_OVERLAP.format(found.missing)}
    if found.n_electrons is None:
        return {"note": _NO_ELECTRONS.format("the Fermi level" if found.periodic else "the gap")}
    if found.numbers.get("gap_ev", 0.0) is not None:
        return {}
    odd = found.n_electrons % 2 and not found.prediction.refined.basis.spinor
    why = "do not fill closed shells" if odd else "leave no level or band empty"
    return {"note": f"{found.n_electrons} electrons {why}, so there is no gap"}


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """A list that has the sentences of all warnings when the block ends."""
    sentences: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield sentences
    sentences += dict.fromkeys(str(warning.message) for warning in caught)
