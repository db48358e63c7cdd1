"""Sites that are no atoms, and drawings that are no geometries: what is refused, and why."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from ase import Atoms

from workbench.structures.plain_text import Text
from workbench.structures.validation import StructureError, StructureWarning

__all__ = ["check_drawing", "check_sites", "read_v3000"]


def check_sites(path: Path, atoms: Atoms, text: Text | None) -> None:
    """Refuse sites that hold an atom only in the mean over the crystal, or in two places.

    Raises:
        StructureError: one sentence that names the first of them.
    """
    for site in (atoms.info.get("occupancy") or {}).values():
        if len(site) > 1 or not sum(site.values()) > 0.999:
            shares = ", ".join(f"{share:g} {symbol}" for symbol, share in site.items())
            raise StructureError(
                f"{path} has a disordered site ({shares}): a Hamiltonian needs whole atoms, so "
                "give an ordered cell or supercell."
            )
    if path.suffix.lower() != ".pdb" or text is None:
        return
    rows = [line for line in text.content.split("\n") if line.startswith(("ATOM  ", "HETATM"))]
    for row in rows:
        share = row[54:60].strip()
        try:
            partial = bool(share) and not float(share) > 0.999
        except ValueError:
            partial = False
        if row[16:17].strip() or partial:
            raise StructureError(
                f"{path} gives the atom {row[12:16].strip()} of residue {row[17:26].strip()} in "
                "alternate locations: keep one of them, with occupancy 1."
            )


def check_drawing(path: Path, content: str) -> None:
    """Refuse a drawing in a mol or sdf file, and warn of one without hydrogen atoms.

    Raises:
        StructureError: for a file that says that its coordinates are two-dimensional.
    """
    lines = content.split("\n")
    if path.suffix.lower() not in (".mol", ".sdf") or len(lines) < 4 or "V2000" not in lines[3]:
        return
    if "2D" in lines[1].split()[-1:] or lines[1][20:22] == "2D":
        raise StructureError(
            f"{path} is a drawing in two dimensions: give a file with a three-dimensional "
            "geometry, or the SMILES."
        )
    atoms, bonds = lines[3][:3].strip(), lines[3][3:6].strip()
    if not (atoms.isdecimal() and bonds.isdecimal()):
        return
    rows = lines[4 : 4 + int(atoms)]
    symbols = [row[31:34].strip() for row in rows]
    valence = np.zeros(len(symbols) + 1)
    for row in lines[4 + int(atoms) : 4 + int(atoms) + int(bonds)]:
        ends = [row[:3].strip(), row[3:6].strip(), row[6:9].strip()]
        if all(end.isdecimal() for end in ends) and max(map(int, ends[:2])) <= len(symbols):
            valence[[int(end) for end in ends[:2]]] += {"4": 1.5}.get(ends[2], float(ends[2]))
    bare = [k for k, symbol in enumerate(symbols, 1) if symbol == "C" and valence[k] < 3]
    if bare and "H" not in symbols:
        warnings.warn(
            f"{path.name} has no hydrogen atoms, and atom {bare[0]} is a carbon with "
            f"{valence[bare[0]]:g} bonds: add the hydrogen atoms if they are missing.",
            StructureWarning,
            stacklevel=2,
        )


def read_v3000(path: Path, content: str) -> Atoms:
    """The structure of a mol record in the V3000 layout, by RDKit: ASE reads V2000 only.

    Raises:
        StructureError: without RDKit, or for a record that it cannot read.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise StructureError(
            f"{path} is a V3000 file, which RDKit reads: pip install "
            "'hamiltonian-workbench[smiles]', or save it as V2000 or xyz."
        ) from None
    with rdBase.BlockLogs():
        mol = Chem.MolFromMolBlock(content, sanitize=False, removeHs=False)
    if mol is None or not mol.GetNumConformers():
        raise StructureError(f"{path} cannot be read by RDKit: correct the file.")
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    return Atoms(symbols, mol.GetConformer().GetPositions())
