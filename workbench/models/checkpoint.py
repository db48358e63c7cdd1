"""How is a trained model stored in a file and loaded again?

Tensors as safetensors, everything else in a JSON header; no pickle, so that a file cannot run code.
A header's settings are compared with the number of weights in the file before a model is built, so
that a few wrong bytes do not ask for terabytes.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.config import ModelConfig
from workbench.models.readouts import is_solution
from workbench.models.scaling import Scaling
from workbench.models.tensor_file import CheckpointError, read_tensors, write_tensors
from workbench.models.twostage import TwoStageModel
from workbench.storage.bundled import data_path
from workbench.storage.value_checks import brief, check_fields, from_json

FORMAT = "hamiltonian-workbench model"

_MOST_SOLUTION = 1 << 30
"""Most numbers in the solutions of readouts, which a file need not contain: 8 GiB at most."""


@dataclass(frozen=True)
class Header:
    """The header of a model's file.

    Attributes:
        format: `FORMAT`.
        convention_version: of the library that wrote the file.
        basis: as `Basis.to_json` describes it.
        config: as `ModelConfig.to_json` describes it.
        info: training set, history and errors.
        float64: names of the stages that run in float64.
    """

    format: str
    convention_version: int
    basis: dict[str, Any]
    config: dict[str, Any]
    info: dict[str, Any]
    float64: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the kinds."""
        check_fields(self)
        check_info(self.info)


def check_info(info: Mapping[str, Any]) -> None:
    """Check the entries of a model's ``info`` that are read later, where they exist.

    Raises:
        ValueError: for the first wrong one.
    """
    for name in ("dataset", "method", "domain", "calibration"):
        if not isinstance(info.get(name, {}), dict):
            raise ValueError(f"info.{name} must be an object")
    if "domain" in info:
        ApplicabilityDomain.from_json(info["domain"])
    rows: Any = info.get("history", [])
    for row in rows if isinstance(rows, list) else [rows]:
        error = row.get("valid_mae_ev") if isinstance(row, dict) else None
        if type(error) not in (int, float) or not isinstance(row.get("phase"), str):
            raise ValueError("info.history must be a list of rows with phase and valid_mae_ev")


def save_model(model: TwoStageModel, path: str | os.PathLike[str], info: Mapping[str, Any]) -> None:
    """Write a model to one file.

    Args:
        model: both stages.
        path: the file; its name usually ends in ``.safetensors``.
        info: JSON-able: training set, history and errors.
    """
    header = Header(
        FORMAT,
        CONVENTION_VERSION,
        model.basis.to_json(),
        model.config.to_json(),
        dict(info),
        [name for name, stage in model.named_children() if _needs_float64(stage)],
    )
    scaling = {f"scaling.{name}": t for name, t in model.scaling.tensors().items()}
    weights = {n: compact(t) for n, t in model.state_dict().items() if not _unused(n, t)}
    write_tensors(Path(path), {**weights, **scaling}, vars(header))


def compact(tensor: Tensor) -> Tensor:
    """A tensor in the shortest floating-point type that represents it exactly."""
    for kind in (torch.float16, torch.float32):
        short = tensor.to(kind)
        if torch.equal(short.double(), tensor.double()):
            return short
    return tensor


def _needs_float64(stage: nn.Module) -> bool:
    """Whether a stage must run in float64: a solution in float64 that is not exact in float16.

    Such a solution has large weights, which amplify the features' last digits: in float32 its
    equivariance error would be visible.
    """
    solutions = [t for name, t in stage.named_buffers() if is_solution(name) and t.any()]
    return any(t.dtype == torch.float64 and compact(t).dtype != torch.float16 for t in solutions)


def restore(
    model: TwoStageModel, weights: Mapping[str, Tensor], wide: Collection[str] = ()
) -> None:
    """Load stored weights into a new model; a stage with a float64 weight runs in float64.

    Args:
        model: receives the weights.
        weights: tensors by name.
        wide: names of stages that run in float64 whatever type their weights are stored in.

    Raises:
        RuntimeError: if names or shapes of the weights do not fit the model.
    """
    for name, stage in model.named_children():
        dtypes = [t.dtype for k, t in weights.items() if k.startswith(f"{name}.")]
        if name in wide or torch.float64 in dtypes:
            stage.double()
    left_out = {n: torch.zeros_like(t) for n, t in model.state_dict().items() if is_solution(n)}
    model.load_state_dict({**left_out, **weights})


def _unused(name: str, tensor: Tensor) -> bool:
    """Whether a buffer is a solution that was not adopted; it is zero and need not be stored."""
    return is_solution(name) and not tensor.any()


def load_model(source: str | os.PathLike[str], device: str = "cpu") -> TwoStageModel:
    """Load a trained two-stage model.

    Args:
        source: name of a bundled model, such as "water", or the path of a file.
        device: where the model runs, e.g. "cuda".

    Raises:
        FileNotFoundError: if there is no such model; the message lists the bundled ones.
        CheckpointError: if the file is damaged, is no model or follows another convention.

    >>> model = wb.load_model("water")
    >>> model.elements
    ('H', 'O')
    >>> water = wb.load("water")
    >>> R = wb.rotation((1, 1, 0), 40)  # stage 1 is equivariant: H(R r) = D H(r) D^T
    >>> (model.stage1(wb.rotate(water, R)) - model.stage1(water).rotate(R)).max_abs() < 1e-5  # eV
    True
    """
    path = checkpoint_path(source)
    tensors, data = read_tensors(path)
    header = _header(path, data)
    weights = {k: t for k, t in tensors.items() if not k.startswith("scaling.")}
    scales = {k.removeprefix("scaling."): t for k, t in tensors.items() if k not in weights}
    try:
        model = _untrained(header, scales, sum(t.numel() for t in weights.values()))
        restore(model, weights, header.float64)
    except (RuntimeError, ValueError) as error:  # torch raises the former
        raise CheckpointError(
            f"The weights in {path} do not fit its header: download it again or retrain the model."
        ) from error
    model.info = header.info
    return model.to(device).eval()


def _header(path: Path, data: Mapping[str, Any]) -> Header:
    """The header of a model of this convention."""
    if data.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has the format {brief(data.get('format'))}, not {FORMAT!r}: choose a file "
            "that save_model wrote."
        )
    if data.get("convention_version") != CONVENTION_VERSION:
        raise CheckpointError(
            f"{path} follows convention {brief(data.get('convention_version'))}, this library "
            f"{CONVENTION_VERSION}: retrain the model, or use the library version that wrote it."
        )
    try:
        return from_json(Header, data)
    except ValueError as error:
        raise CheckpointError(
            f"The header of {path} is not valid ({str(error).rstrip('.')}): download it again or "
            "retrain the model."
        ) from error


def _untrained(header: Header, scales: Mapping[str, Tensor], stored: int) -> TwoStageModel:
    """The model that a header describes.

    Args:
        header: of its file.
        scales: the tensors of its scaling, by name.
        stored: number of weights in the file.

    Raises:
        ValueError: for settings or scales that no model has, or a model too large for its file.
    """
    basis, config = Basis.from_json(header.basis), ModelConfig.from_json(header.config)
    scaling = Scaling.from_tensors(scales, basis, config)
    readouts = (config.pair_readout + config.refiner_width) * scaling.pair_mean.numel()
    if not (_fewest_weights(config) <= stored and readouts <= _MOST_SOLUTION):
        raise ValueError(f"The model has more than the {stored} weights of the file.")
    with torch.random.fork_rng(
        devices=[]
    ):  # keep torch's random state: all weights are overwritten
        return TwoStageModel(basis, config, scaling)


def _fewest_weights(config: ModelConfig) -> int:
    """A part of the number of weights; the whole is at most some hundred times as large.

    The largest matrix of each kind is counted, without copies for degrees and species.
    """
    channels, width = config.channels, config.refiner_width
    return (
        config.layers * 2 * channels**2
        + channels * (config.radial + config.readout + 3 * config.pair_readout)
        + config.readout**2
        + config.refiner_layers * width**2
    )


def checkpoint_path(source: str | os.PathLike[str]) -> Path:
    """The path of a model's file.

    Raises:
        FileNotFoundError: if there is none; the message suggests existing names.
    """
    path = Path(source)
    bundled = data_path("checkpoints", f"{source}.safetensors")
    if path.suffix != ".safetensors" and bundled.is_file():
        return bundled
    if path.is_file():
        return path
    names = sorted(p.stem for p in data_path("checkpoints").glob("*.safetensors"))
    close = difflib.get_close_matches(str(source), names, n=1)
    known = f"choose from {', '.join(names)}." if names else "no model is bundled here."
    hint = f"did you mean {close[0]!r}?" if close else known
    raise FileNotFoundError(f"There is no bundled model and no file called '{source!s}': {hint}")
