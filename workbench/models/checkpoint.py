"""How is a trained model stored in a file and loaded again?

Tensors as safetensors, everything else in a JSON header; no pickle, so that a file cannot run code.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.models.config import ModelConfig
from workbench.models.readouts import is_solution
from workbench.models.scaling import Scaling
from workbench.models.twostage import TwoStageModel
from workbench.storage.atomic_write import atomic_write
from workbench.storage.bundled import data_path

FORMAT = "hamiltonian-workbench model"


class CheckpointError(ValueError):
    """A file cannot be loaded as a model; the message says why and what to do."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header atomically: the file appears complete or not at all."""
    flat = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    # Not safetensors' save_file: its files are readable by their owner only.
    atomic_write(path, save(flat, metadata={"header": json.dumps(header)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file written by ``write_tensors``.

    Raises:
        CheckpointError: if the file is truncated, is no safetensors file or has no header.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("header")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or is not a safetensors file: download it again or retrain the "
            "model."
        ) from error
    if header is None:
        raise CheckpointError(
            f"{path} has no header of this library, so it is not one of its models: choose a file "
            "that save_model wrote."
        )
    return tensors, json.loads(header)


def save_model(model: TwoStageModel, path: str | os.PathLike[str], info: Mapping[str, Any]) -> None:
    """Write a model to one file.

    Args:
        model: both stages.
        path: the file; its name usually ends in ``.safetensors``.
        info: JSON-able: training set, history and errors.
    """
    header = {
        "format": FORMAT,
        "convention_version": CONVENTION_VERSION,
        "basis": model.basis.to_json(),
        "config": model.config.to_json(),
        "info": dict(info),
        "float64": [name for name, stage in model.named_children() if _needs_float64(stage)],
    }
    scaling = {f"scaling.{name}": t for name, t in model.scaling.tensors().items()}
    weights = {n: compact(t) for n, t in model.state_dict().items() if not _unused(n, t)}
    write_tensors(Path(path), {**weights, **scaling}, header)


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
    tensors, header = read_tensors(path)
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has the format {header.get('format')!r}, not {FORMAT!r}: choose a file that "
            "save_model wrote."
        )
    if header["convention_version"] != CONVENTION_VERSION:
        raise CheckpointError(
            f"{path} follows convention {header['convention_version']}, this library "
            f"{CONVENTION_VERSION}: retrain the model, or use the library version that wrote it."
        )
    scaling = Scaling(
        **{k.removeprefix("scaling."): t for k, t in tensors.items() if k.startswith("scaling.")}
    )
    basis, config = Basis.from_json(header["basis"]), ModelConfig.from_json(header["config"])
    with torch.random.fork_rng(
        devices=[]
    ):  # keep torch's random state: all weights are overwritten
        model = TwoStageModel(basis, config, scaling)
    weights = {k: t for k, t in tensors.items() if not k.startswith("scaling.")}
    try:
        restore(model, weights, header.get("float64", ()))
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights in {path} do not fit its header: download it again or retrain the model."
        ) from error
    model.info = header["info"]
    return model.to(device).eval()


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
