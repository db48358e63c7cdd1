"""Writes the environments of its training set into a bundled model, and the new hash on its card.

    python data/checkpoints/make_environments.py [name ...] [--geometries FOLDER]

New models need no such step: a training ends with it. Weights and predictions stay the same. The
geometries are those of the model's dataset, without labels:

- of `organic` all 1,668 and of `uracil` the first 200 and 10 are drawn again (GFN2 dynamics,
  tblite; some twenty and four minutes of one core). They are kept in FOLDER; the command continues
  when it is repeated;
- of crystals with random displacements all are drawn again, at once;
- of the other molecules those in the bundled part of the dataset are taken.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

import numpy as np
from ase import Atoms

import workbench as wb
from workbench.datasets.label_plan import InitialStructures, collect, draw_batch, plan
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.tensor_file import read_tensors, write_tensors
from workbench.storage.atomic_write import write_arrays
from workbench.storage.bundled import data_path
from workbench.structures.sampling import Displaced, Langevin, RelaxedAndThermal, Sampling

Geometries = dict[str, list[Atoms]]
"""Name of the split -> its geometries."""


def drawn(
    starts: InitialStructures,
    splits: dict[str, int],
    sampling: Sampling,
    seed: int,
    oriented: bool,
    folder: Path,
) -> Geometries:
    """The training and validation geometries of a label job, which are kept in a folder.

    The other arguments are those of `workbench.label`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: Geometries = {"train": [], "valid": []}
    for number, batch in enumerate(plan(starts, splits, sampling.batch)):
        atoms, path = starts.atoms[batch.structure], folder / f"{number:05d}.npz"
        if not path.is_file():
            arrays = draw_batch(batch, atoms, sampling, seed, oriented)
            write_arrays(path, **arrays)
        arrays = dict(np.load(path))
        for k, positions in enumerate(arrays["positions"]):
            cell = arrays["cells"][k] if "cells" in arrays else None
            found[batch.split].append(Atoms(atoms.numbers, positions, cell=cell, pbc=atoms.pbc))
    return found


def geometries(name: str, folder: Path) -> Geometries:
    """Training and validation geometries of a bundled model, as far as they are known."""
    if name == "organic":
        splits = {"train": 2, "valid": 2}
        molecules = wb.collection("organic")
        starts = collect({split: molecules[split] for split in splits}, splits)
        return drawn(starts, splits, RelaxedAndThermal(), 0, True, folder / name)
    with wb.Dataset(name) as dataset:
        bundled = {
            split: [dataset.atoms(int(i)) for i in dataset.split(split)]
            for split in ("train", "valid")
            if split in dataset.splits
        }
        recipe = dataset.provenance.get("the_whole", dataset.provenance)["recipe"]
    if not dataset.periodic and name != "uracil":
        return bundled
    atoms = [
        Atoms(s["numbers"], s["positions"], cell=s.get("cell"), pbc=s.get("pbc"))
        for s in recipe["structures"]
    ]
    sizes = recipe["samples_per_structure"]  # JSON has sorted its keys
    splits = {split: sizes[split] for split in ("train", "valid")}
    if name == "uracil":
        splits = {"train": 200, "valid": 10}
    starts = InitialStructures(atoms, dict.fromkeys(splits, range(len(atoms))), False)
    settings = {key: value for key, value in recipe["sampling"].items() if key != "kind"}
    sampling = Displaced(**settings) if dataset.periodic else Langevin(**settings)
    found = drawn(starts, splits, sampling, recipe["seed"], not dataset.periodic, folder / name)
    if not np.allclose(found["train"][0].positions, bundled["train"][0].positions, atol=1e-9):
        raise SystemExit(f"{name}: the geometries are not those of the dataset.")
    return found


def main() -> None:
    """Rewrite the named models, or all."""
    parser = argparse.ArgumentParser(description="Record the training environments of models.")
    parser.add_argument("names", nargs="*", help="bundled models; all unless given")
    parser.add_argument("--geometries", type=Path, default=Path("geometries"))
    chosen = parser.parse_args()
    models = data_path("checkpoints").glob("*.safetensors")
    for name in chosen.names or sorted(path.stem for path in models):
        found = geometries(name, chosen.geometries)
        path = data_path("checkpoints", f"{name}.safetensors")
        tensors, header = read_tensors(path)
        domain = ApplicabilityDomain.of(found["train"], found["valid"])
        header["info"]["domain"]["environments"] = domain.to_json()["environments"]
        write_tensors(path, tensors, header)
        card = path.with_suffix(".md")
        text = card.read_text()
        text = re.sub(
            r"(`\S+\.safetensors`, )[\d,]+ bytes", rf"\g<1>{path.stat().st_size:,} bytes", text
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        text = re.sub(r"(sha256 of the file \| `)\w+`", rf"\g<1>{digest}`", text)
        card.write_text(text)
        stored = sum(len(rows) for rows in domain.environments["bonds"].values())
        sys.stdout.write(
            f"{name}: {len(found['train'])} training and {len(found['valid'])} validation "
            f"geometries, {stored} bonds, tolerance {domain.environments['tolerance']}\n"
        )


if __name__ == "__main__":
    main()
