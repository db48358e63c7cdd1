"""Trained models on disk: safetensors for the numbers, a JSON header for the rest, no pickle."""

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
    """A file that is no model of ours; the message says what to do."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header so that the file appears complete or not at all."""
    flat = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    # Not save_file: it leaves files that only the owner can read.
    atomic_write(path, save(flat, metadata={"header": json.dumps(header)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that ``write_tensors`` made.

    Raises:
        CheckpointError: if the file is truncated, foreign or has no header.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("header")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file: fetch or train it anew."
        ) from error
    if header is None:
        raise CheckpointError(f"{path} holds tensors but no model of the workbench.")
    return tensors, json.loads(header)


def save_model(model: TwoStageModel, path: str | os.PathLike[str], info: Mapping[str, Any]) -> None:
    """Write a model to one file.

    Args:
        model: both stages.
        path: ends in ``.safetensors`` by custom.
        info: JSON-able: what it was trained on and how well it did.
    """
    header = {
        "format": FORMAT,
        "convention_version": CONVENTION_VERSION,
        "basis": model.basis.to_json(),
        "config": model.config.to_json(),
        "info": dict(info),
        "float64": [name for name, stage in model.named_children() if _lives_on_digits(stage)],
    }
    scaling = {f"scaling.{name}": t for name, t in model.scaling.tensors().items()}
    weights = {n: compact(t) for n, t in model.state_dict().items() if not _unused(n, t)}
    write_tensors(Path(path), {**weights, **scaling}, header)


def compact(tensor: Tensor) -> Tensor:
    """A tensor in the shortest floating type that holds it exactly."""
    for kind in (torch.float16, torch.float32):
        short = tensor.to(kind)
        if torch.equal(short.double(), tensor.double()):
            return short
    return tensor


def _lives_on_digits(stage: nn.Module) -> bool:
    """Whether a stage solved for in float64 must run in it: its solution is no float16."""
    solutions = [t for name, t in stage.named_buffers() if is_solution(name) and t.any()]
    return any(t.dtype == torch.float64 and compact(t).dtype != torch.float16 for t in solutions)


def restore(
    model: TwoStageModel, weights: Mapping[str, Tensor], wide: Collection[str] = ()
) -> None:
    """Give a fresh model stored weights, each stage in the widest type among its own.

    Args:
        model: to be given them.
        weights: by name.
        wide: stages that run in float64 whatever their weights are stored as.

    Raises:
        RuntimeError: if they are another model's.
    """
    for name, stage in model.named_children():
        own = [t.dtype for k, t in weights.items() if k.startswith(f"{name}.")]
        if name in wide or torch.float64 in own:
            stage.double()
    left_out = {n: torch.zeros_like(t) for n, t in model.state_dict().items() if is_solution(n)}
    model.load_state_dict({**left_out, **weights})


def _unused(name: str, tensor: Tensor) -> bool:
    """Whether it is a solution that was not adopted: zeros, which a file can do without."""
    return is_solution(name) and not tensor.any()


def load_model(source: str | os.PathLike[str], device: str = "cpu") -> TwoStageModel:
    """A trained two-stage model.

    Args:
        source: a name in data/checkpoints, such as "water", or the path of a file.
        device: where it shall run, e.g. "cuda".

    Raises:
        FileNotFoundError: if there is no such model.
        CheckpointError: if the file is damaged, foreign or follows another convention.
    """
    path = checkpoint_path(source)
    tensors, header = read_tensors(path)
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a model of the workbench but {header.get('format')}.")
    if header["convention_version"] != CONVENTION_VERSION:
        raise CheckpointError(
            f"{path} follows convention {header['convention_version']}, this workbench "
            f"{CONVENTION_VERSION}: train it anew, or use the version that made it."
        )
    scaling = Scaling(
        **{k.removeprefix("scaling."): t for k, t in tensors.items() if k.startswith("scaling.")}
    )
    basis, config = Basis.from_json(header["basis"]), ModelConfig.from_json(header["config"])
    with torch.random.fork_rng(devices=[]):  # weights are overwritten: spend no random numbers
        model = TwoStageModel(basis, config, scaling)
    weights = {k: t for k, t in tensors.items() if not k.startswith("scaling.")}
    try:
        restore(model, weights, header.get("float64", ()))
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights in {path} do not fit its own header: fetch or train it anew."
        ) from error
    model.info = header["info"]
    return model.to(device).eval()


def checkpoint_path(source: str | os.PathLike[str]) -> Path:
    """Where a model's file is.

    Raises:
        FileNotFoundError: with the names that exist.
    """
    path = Path(source)
    bundled = data_path("checkpoints", f"{source}.safetensors")
    if path.suffix != ".safetensors" and bundled.is_file():
        return bundled
    if path.is_file():
        return path
    names = sorted(p.stem for p in data_path("checkpoints").glob("*.safetensors"))
    close = difflib.get_close_matches(str(source), names, n=1)
    known = f"bundled ones are {', '.join(names)}." if names else "none is bundled here."
    hint = f"did you mean {close[0]}?" if close else known
    raise FileNotFoundError(f"There is no model {source!s}, neither bundled nor a file: {hint}")
