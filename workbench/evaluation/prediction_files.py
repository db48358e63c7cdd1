"""Predictions in files: arrays (`.npz`), or a dataset (`.h5`) as `Dataset` reads it.

Arrays of a `.npz` file, N atoms and E blocks of M x M elements:

| array | content |
|---|---|
| `baseline`, `refined` | H of stage 1 and of both stages, eV |
| `overlap` | S; only where it is known |
| `labels` | name of each orbital |
| `numbers` (N,), `positions` (N, 3), `cell` (3, 3), `pbc` (3,) | the structure, A |
| `edges` (2, E), `shifts` (E, 3) | crystals: atoms of each block, and the cell of the second one |
| `about` | JSON: units, model and its sha256, level of theory, charge, spin, electrons, basis |

Matrices of molecules are dense, those of crystals are blocks (E, M, M), padded with zeros to the
orbitals of all elements as `BlockMatrix.values` is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from ase import Atoms

from workbench.datasets.dataset import Sample
from workbench.datasets.formats import FormatError
from workbench.engines import Overlap
from workbench.evaluation.predicted import Predicted
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.atomic_write import write_arrays

__all__ = ["kept", "provenance", "read_overlap_arrays", "sample", "write_npz"]

_UNITS = {"hamiltonian": "eV", "overlap": "1", "positions": "Angstrom"}
_NEEDED = ("about", "cell", "numbers", "overlap", "pbc", "positions")


def write_npz(path: Path, found: Predicted, origin: Mapping[str, Any]) -> None:
    """Write a prediction; the file appears complete or not at all.

    Args:
        path: of the file, exactly as given.
        found: the prediction.
        origin: what the file shall say of the model, JSON-able.

    Raises:
        WritingError: if the file cannot be written, e.g. for a full disk.
    """
    H = found.prediction.refined
    matrices = {"baseline": found.prediction.baseline, "refined": H}
    if found.S is not None:
        matrices["overlap"] = found.S
    if found.periodic:
        arrays = {name: m.over(H.edges, H.shifts) for name, m in matrices.items()}
        arrays |= {"edges": H.edges, "shifts": H.shifts}
    else:
        arrays = {name: m.dense() for name, m in matrices.items()}
    arrays |= _geometry(found.atoms)
    about = json.dumps(_about(found, origin))
    write_arrays(path, labels=H.orbital_labels(), about=np.array(about), **arrays)


def sample(found: Predicted, number: int = 0) -> Sample:
    """A prediction as a sample of a dataset: H of both stages, and S if it is known."""
    return Sample(
        found.atoms,
        found.prediction.refined,
        energy=float("nan"),
        n_electrons=found.n_electrons or 0,
        group=number,
        stored_overlap=found.S,
        fermi_level=found.fermi_level,
    )


def provenance(origin: Mapping[str, Any], method: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance of a dataset of predictions: the model, and its level of theory."""
    return {"predicted_by": dict(origin), "recipe": {"method": dict(method)}}


def kept(path: Path, atoms: Atoms, origin: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a file of `write_npz` says, if it is the prediction of this structure by this model."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            same = [np.array_equal(file[k], value) for k, value in _geometry(atoms).items()]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    electrons = {key: int(atoms.info.get(key, 0)) for key in ("charge", "spin")}
    wanted = {**origin, **electrons}
    if not all(same) or any(about.get(key) != value for key, value in wanted.items()):
        return None
    return about


def read_overlap_arrays(path: Path) -> tuple[Atoms, Overlap]:
    """The structure and the overlap of a file of `write_npz`.

    Raises:
        FormatError: for a file of another kind, or without an overlap.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise FormatError(
            f"{path} holds no overlap that is read here: give .npz of `predict --out`, a dataset "
            ".h5, a folder of DeepH, or .HSX of SIESTA."
        ) from error
    if lacking := [name for name in _NEEDED if name not in arrays]:
        raise FormatError(
            f"{path} has no array '{lacking[0]}': write it with `predict --out`, for a structure "
            "whose overlap is known."
        )
    try:
        return _structure(arrays), _overlap(arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError(
            f"{path} has arrays that do not fit each other: write it again."
        ) from error


def _geometry(atoms: Atoms) -> dict[str, Any]:
    return {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "pbc": atoms.pbc,
    }


def _about(found: Predicted, origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **origin,
        "units": _UNITS,
        **found.numbers,
        "charge": int(found.atoms.info.get("charge", 0)),
        "spin": int(found.atoms.info.get("spin", 0)),
        "electrons": found.n_electrons,
        "basis": found.prediction.refined.basis.to_json(),
    }


def _structure(arrays: Mapping[str, Any]) -> Atoms:
    names = ("numbers", "positions", "cell", "pbc")
    return Atoms(**{name: arrays[name] for name in names})


def _overlap(arrays: Mapping[str, Any]) -> Overlap:
    about = json.loads(str(arrays["about"]))
    basis, numbers = Basis.from_json(about["basis"]), arrays["numbers"].astype(np.int64)
    if "edges" in arrays:
        parts = (arrays["edges"], arrays["shifts"], arrays["overlap"])
        S = BlockMatrix(basis, numbers, *parts)
    else:
        S = BlockMatrix.from_dense(basis, numbers, arrays["overlap"])
    return Overlap(S, about["electrons"])
