"""Which structures does a model warn of, and are its errors large there?

    python benchmarks/domain.py

For `organic`: its bundled test structures, distorted and unusual molecules against PySCF, and the
collection `familiar`. For all bundled models: the share of test structures that are outside. At the
end the cost.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

import workbench as wb
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.environments import Environments
from workbench.models.neighbours import Neighbours
from workbench.models.twostage import TwoStageModel
from workbench.storage.bundled import data_path


def environments(model: TwoStageModel) -> Environments:
    """The environments that a model has recorded."""
    return Environments(**ApplicabilityDomain(**model.info["domain"]).environments)


def unusual() -> dict[str, Atoms]:
    """Distorted and unusual molecules, by name."""
    acetone, water = wb.load("smiles:CC(=O)C"), wb.load("water")
    found = {f"acetone x {f}": acetone.copy() for f in (1, 0.95, 1.03, 1.05, 1.1, 1.2)}
    for name, atoms in found.items():
        atoms.positions *= float(name.split()[-1])
    for length in (1.1, 1.25, 1.46):
        found[f"N2, {length} A"] = Atoms("N2", [[0, 0, 0], [0, 0, length]])
    hydrazine = wb.load("N2H4")
    for by in (-0.25, -0.15, 0.15, 0.25):
        found[f"N2H4, N-N {by:+} A"] = moved = hydrazine.copy()
        length = hydrazine.get_distance(0, 1) + by
        moved.set_distance(0, 1, length, fix=0, indices=[1, 4, 5])
    for by in (-0.1, 0.1, 0.2):
        found[f"water, O-H {by:+} A"] = moved = water.copy()
        moved.set_distance(0, 1, water.get_distance(0, 1) + by, fix=0)
    for name in ("FC#N", "O=C=O"):
        found[name] = wb.load(f"smiles:{name}")
    found["CO"] = wb.load("CO")
    found["benzene x 1.1"] = wb.load("benzene")
    found["benzene x 1.1"].positions *= 1.1
    return found


def test_set(model: TwoStageModel) -> None:
    """Errors of the bundled test structures of `organic`, inside and outside the domain."""
    known, distance, error, outside = environments(model), [], [], []
    with wb.Dataset("organic") as dataset:
        for i in dataset.split("test"):
            sample = dataset[int(i)]
            distance.append(known.distances(Neighbours(sample.atoms)).max())
            error.append((model.predict(sample.atoms).refined - sample.H).mae() / HARTREE * 1e6)
            outside.append(model.outside_domain(sample.atoms) is not None)
    d, e, out = np.array(distance), np.array(error), np.array(outside)
    print(f"organic: {out.sum()} of {len(out)} test structures are outside ({out.mean():.1%})")
    for where, of in (("outside", e[out]), ("inside", e[~out])):
        print(f"{where}: median {np.median(of):.0f}, {of.min():.0f} to {of.max():.0f}e-6 Hartree")
    print(f"rank correlation of distance and error {spearmanr(d, e)[0]:.2f}\n")
    print("| distance | structures | median error, 1e-6 Hartree |\n|---|---|---|")
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1), (1, np.inf)):
        members = (d >= low) & (d < high)
        print(f"| {low} to {high} | {members.sum()} | {np.median(e[members]):.0f} |")


def against_pyscf(model: TwoStageModel) -> None:
    """Distance and error of unusual molecules."""
    print("\n| structure | distance | warning | error, 1e-6 Hartree | largest, eV |")
    print("|---|---|---|---|---|")
    known = environments(model)
    for name, atoms in unusual().items():
        error = model.predict(atoms).refined - wb.reference(atoms).H
        far, warns = known.distances(Neighbours(atoms)).max(), model.outside_domain(atoms)
        print(
            f"| {name} | {far:.1f} | {'yes' if warns else 'no'} | "
            f"{error.mae() / HARTREE * 1e6:.0f} | {error.max_abs():.2f} |"
        )


def shares() -> None:
    """The share of test structures outside the domain, of every bundled model."""
    print("\n| model | test structures | outside |\n|---|---|---|")
    for path in sorted(data_path("checkpoints").glob("*.safetensors")):
        model = wb.load_model(path.stem)
        with wb.Dataset(path.stem) as dataset:
            structures = [dataset.atoms(int(i)) for i in dataset.split("test")]
        outside = sum(model.outside_domain(atoms) is not None for atoms in structures)
        print(f"| {path.stem} | {len(structures)} | {outside} |")


def large_molecules(model: TwoStageModel) -> None:
    """How many of the collection `familiar` are outside, and what the test costs."""
    molecules = [atoms for split in wb.collection("familiar").values() for atoms in split]
    known = environments(model)
    far = [known.distances(Neighbours(atoms)).max() for atoms in molecules]
    outside = sum(model.outside_domain(atoms) is not None for atoms in molecules)
    print(f"\nfamiliar: {outside} of {len(molecules)} outside, largest distance {max(far):.2f}")
    ten = next(atoms for atoms in molecules if (atoms.numbers > 1).sum() == 10)
    began = time.process_time()
    for _ in range(1000):
        known.distances(Neighbours(ten))
    alone = time.process_time() - began
    for _ in range(1000):
        model.outside_domain(ten)
    whole = time.process_time() - began - alone
    print(f"{len(ten)} atoms: environments {alone:.2f} ms, all tests {whole:.2f} ms of one core")


def main() -> None:
    """Print everything."""
    warnings.simplefilter("ignore", wb.DomainWarning)  # leaving the domain is the point
    model = wb.load_model("organic")
    test_set(model)
    against_pyscf(model)
    shares()
    large_molecules(model)


if __name__ == "__main__":
    main()
