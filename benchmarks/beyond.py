"""How far beyond its training data the shipped water model holds, against PySCF.

    python benchmarks/beyond.py

Both bonds stretched at the equilibrium angle, then the angle alone closed. Nothing here was trained
on or chosen by; the training geometries' own range is printed with it.
"""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms

import workbench as wb
from workbench.storage.bundled import data_path

BOND, ANGLE = 0.96, 104.5  # A and degrees, near the equilibrium of PBE/def2-SVP


def water(bond: float, angle: float) -> Atoms:
    """A water molecule with two equal bonds (A) and this angle (degrees)."""
    half = np.radians(angle) / 2
    hydrogens = bond * np.array([[np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    return Atoms("OH2", positions=[[0, 0, 0], *hydrogens.tolist()])


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore", wb.DomainWarning)  # leaving the domain is the point
    model = wb.load_model("water")
    with wb.Dataset(data_path("datasets", "water.h5")) as dataset:
        seen = [dataset.atoms(int(i)) for i in dataset.split("train")]
    bonds = np.array([[a.get_distance(0, 1), a.get_distance(0, 2)] for a in seen])
    angles = np.array([a.get_angle(1, 0, 2) for a in seen])
    print(f"trained on bonds of {bonds.min():.2f} to {bonds.max():.2f} A, angles of", end=" ")
    print(f"{angles.min():.0f} to {angles.max():.0f} degrees\n")
    print("| O-H, A | H-O-H, degrees | stage 1, meV | both stages, meV |\n|---|---|---|---|")
    for bond, angle in [(b, ANGLE) for b in (BOND, 1.05, 1.12, 1.2, 1.4)] + [(BOND, 80.0)]:
        atoms = water(bond, angle)
        true, found = wb.reference(atoms).H, model.predict(atoms)
        errors = [np.abs(h.dense() - true.dense()).mean() for h in (found.baseline, found.refined)]
        print(
            f"| {bond:.2f} | {angle:.1f} | " + " | ".join(f"{1e3 * e:.2g}" for e in errors) + " |"
        )


if __name__ == "__main__":
    main()
