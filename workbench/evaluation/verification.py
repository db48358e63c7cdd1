"""Is a file still what was written, and right? Checksums, conventions, and labels computed again.

Each test gives a finding, in the order of the tests, as soon as it is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from workbench.datasets.dataset import Dataset, DatasetError
from workbench.datasets.validation import check
from workbench.engines.convention_check import TOLERANCE, convention_residuals
from workbench.engines.dispatch import again
from workbench.evaluation.equivariance import equivariance
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.conventions import MEV
from workbench.models.checkpoint import load_model
from workbench.models.tensor_file import CheckpointError, is_sealed, read_tensors
from workbench.models.twostage import TwoStageModel
from workbench.storage.bundled import data_path, dataset_path
from workbench.storage.value_checks import Range, check_arguments

__all__ = ["Finding", "verified"]

LABEL = 1e-3
"""Largest difference of a label computed again, eV; SCFs that converged leave some 1e-5 eV."""

STAGE_ONE = 1e-5
"""Largest equivariance error of stage 1, relative to the largest element: rounding of float32."""

_UNLIKE = 30.0
"""A model's error on a few samples is at most so many times that on its validation set."""

_SAMPLES = 3

MODEL, SNAPSHOT = "model.safetensors", "snapshot.safetensors"


@dataclass(frozen=True)
class Finding:
    """The result of one test.

    Attributes:
        file: the file that was tested.
        test: what was tested, e.g. "checksums".
        ok: False for a fault; None where it could not be tested.
        sentence: what was found.
    """

    file: str
    test: str
    ok: bool | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """All entries by name."""
        return asdict(self)


def verified(source: str, labels: Annotated[int, Range(0, 10**6)] = 3) -> Iterator[Finding]:
    """Test a dataset, a model, or the folder of a training run.

    Args:
        source: name of a bundled dataset or model (of both, if both have it), a file, or a folder.
        labels: so many samples, spread over the dataset, are computed again by their recorded
            method and compared; 0 for none. Each takes as long as it took at first.

    Yields:
        A finding for each test.

    Raises:
        FileNotFoundError: if there is nothing of this name.
        ValueError: for a folder without a run, or a number of labels that is none.

    >>> from workbench.evaluation.verification import verified
    >>> [(found.test, found.ok) for found in verified("graphene", labels=0)]
    [('conventions', True), ('checksums', True), ('matrices', True)]
    """
    check_arguments(verified, {"labels": labels})
    path, data = Path(source), dataset_path(source)
    if path.is_dir():
        return _of_run(path, labels)
    if path.suffix == ".safetensors":
        return _of_model(path, labels, None)
    model = data_path("checkpoints", f"{source}.safetensors")
    if not model.is_file() and not data.is_file():
        raise FileNotFoundError(
            f"There is no dataset, model or run called '{source}': give a bundled name, an .h5 or "
            ".safetensors file, or the folder of a run."
        )
    return _of_name(*(p if p.is_file() else None for p in (data, model)), labels=labels)


def _of_name(data: Path | None, model: Path | None, labels: int) -> Iterator[Finding]:
    """The findings of what has this name; labels once, if both a dataset and a model have it."""
    if data is not None:
        yield _conventions(str(data))
        yield from _of_dataset(data, labels)
    if model is not None:
        yield from _of_model(model, 0 if data is not None else labels, data)


def _conventions(file: str) -> Finding:
    """Each convention of this library, as `doctor` tests it."""
    name, residual = max(convention_residuals().items(), key=lambda item: item[1])
    sentence = f"rotate and recompute: largest residual {residual:.1e} ({name})"
    return Finding(file, "conventions", bool(residual <= TOLERANCE), sentence)


def _of_dataset(path: Path, labels: int) -> Iterator[Finding]:
    """Checksums, the matrices' own laws, and labels computed again."""
    file = str(path)
    try:
        data = Dataset(path)
    except DatasetError as error:
        yield Finding(file, "checksums", False, str(error))
        return
    with closing(data):
        try:
            data.verify()
        except DatasetError as error:
            yield Finding(file, "checksums", False, str(error))
            return
        yield Finding(file, "checksums", True, f"{len(data)} samples, sha256 {data.hash}")
        yield _matrices(file, data, _spread(len(data), max(labels, 1)))
        for i in _spread(len(data), labels):
            yield _label(file, data, i)


def _spread(total: int, count: int) -> list[int]:
    """So many numbers from the first to the last sample."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()


def _matrices(file: str, data: Dataset, samples: list[int]) -> Finding:
    """Whether H and S rotate with their atoms, as an import tests it."""
    for i in samples:
        sample = data[i]
        has_overlap = data.stores_overlap or not data.periodic
        found = check(sample.atoms, sample.H, sample.S if has_overlap else None)
        if found.complaint is not None:
            return Finding(file, "matrices", False, f"sample {i}: {found.complaint}")
    sentence = f"H and S rotate with their atoms (tested: {len(samples)} of {len(data)} samples)"
    return Finding(file, "matrices", True, sentence)


def _label(file: str, data: Dataset, i: int) -> Finding:
    """One label, computed again by the recorded method."""
    test = f"label {i}"
    try:
        made = again(data.atoms(i), data.reference(i))
    except (ValueError, RuntimeError) as error:  # no record, another program, no engine here
        return Finding(file, test, None, str(error))
    difference = matrix_errors(made.H, data[i].H).max_mev / MEV
    ok = bool(difference <= LABEL + 2 * data.step)
    return Finding(file, test, ok, f"computed again, H differs by at most {difference:.1e} eV")


def _of_model(path: Path, labels: int, data: Path | None) -> Iterator[Finding]:
    """Checksum, the symmetry of stage 1, and the errors on a few samples of its dataset."""
    file = str(path)
    try:
        model = load_model(path)
    except (CheckpointError, OSError) as error:
        yield Finding(file, "checksum", False, str(error))
        return
    yield _sealed(path, "all numbers are finite and fit the header")
    data, sentence = (data, "") if data is not None else _dataset_of(model.info, path.parent)
    if data is None:
        yield Finding(file, "stage 1", None, sentence)
        return
    with Dataset(data) as samples:
        yield _symmetry(file, model, samples, int(samples.split("valid")[0]))
        yield _errors(file, model, samples)
    if labels:
        yield _conventions(str(data))
        yield from _of_dataset(data, labels)


def _sealed(path: Path, sentence: str) -> Finding:
    """A file of tensors that could be read."""
    if is_sealed(path):
        return Finding(str(path), "checksum", True, sentence)
    older = "written by an older version, without a checksum; "
    return Finding(str(path), "checksum", None, older + sentence)


def _dataset_of(info: Mapping[str, Any], folder: Path) -> tuple[Path | None, str]:
    """The file with the dataset that a model or run was trained on, or why there is none."""
    recorded = info.get("dataset", {})
    name = str(recorded.get("name", ""))
    if not name:
        return None, "the dataset is not recorded"
    for path in (Path(name), folder / name, folder.parent / name, dataset_path(Path(name).stem)):
        try:
            with Dataset(path) as data:
                if data.hash == recorded.get("sha256"):
                    return path, ""
        except DatasetError:  # none there, or another one
            continue
    return None, f"the dataset {name} is not here: put it beside the file, or into this folder"


def _symmetry(file: str, model: TwoStageModel, data: Dataset, i: int) -> Finding:
    """The equivariance error of stage 1 under a rotation and the inversion."""
    report = equivariance({"stage 1": model.stage1}, data.atoms(i))
    largest = report.to_json()["predictors"]["stage 1"]["largest_element_mev"]
    worst = max(report["stage 1"].max_mev, report.inversion["stage 1"].max_mev)
    sentence = f"under a rotation and the inversion H is off by at most {worst:.1e} meV"
    return Finding(file, "stage 1", bool(worst <= STAGE_ONE * largest), sentence)


def _errors(file: str, model: TwoStageModel, data: Dataset) -> Finding:
    """The errors on some samples of the validation set, beside the recorded one."""
    split = data.split("valid")
    samples = [int(split[k]) for k in _spread(len(split), _SAMPLES)]
    pairs = [(model(data.atoms(i)), data[i].H.in_basis(model.basis)) for i in samples]
    mae = float(np.mean([matrix_errors(*pair).mae_mev for pair in pairs]))
    sentence = f"MAE of {len(samples)} of {len(split)} validation samples: {mae:.3g} meV"
    history = model.info.get("history", [])
    if not history:
        return Finding(file, "errors", None, f"{sentence}; none is recorded")
    recorded = history[-1]["valid_mae_ev"] * MEV
    ok = bool(mae <= _UNLIKE * recorded)
    return Finding(file, "errors", ok, f"{sentence}; recorded for all of them: {recorded:.3g} meV")


def _of_run(folder: Path, labels: int) -> Iterator[Finding]:
    """The snapshot and the model of a run."""
    snapshot, model = folder / SNAPSHOT, folder / MODEL
    if not snapshot.is_file() and not model.is_file():
        raise ValueError(
            f"{folder} holds no training run ({SNAPSHOT} or {MODEL}): name the folder of a run."
        )
    if snapshot.is_file():
        try:
            _, header = read_tensors(snapshot)
            yield _sealed(snapshot, f"{len(header.get('history', []))} validations so far")
        except CheckpointError as error:
            yield Finding(str(snapshot), "checksum", False, str(error))
    if model.is_file():
        yield from _of_model(model, labels, None)
    else:
        yield Finding(str(model), "model", None, "the run has not finished: train resumes it")
