"""Molecules from SMILES: RDKit's ETKDG conformer, relaxed with MMFF94 or GFN2-xTB.

RDKit is optional, and so is tblite, which relaxes what MMFF94 has no parameters for.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from workbench.storage.value_checks import brief
from workbench.structures.gfn2 import relaxed
from workbench.structures.validation import StructureError

__all__ = ["from_smiles"]

_LONGER = 0.1
"""Largest growth of a bond of a linear or cumulated atom by the force field, A. MMFF94 has wrong
parameters for some of them (N2 at 1.46 A, CO2 at 1.41, SO2 at 1.66); RDKit's embedding is right."""
FRAGMENT_GAP = 3.0  # A, between the separate molecules of one SMILES
MOST_CHARACTERS = 2000
MOST_ATOMS = 300  # with hydrogen; ETKDG rarely succeeds beyond, and its time grows as N^3
EMBEDDING_SECONDS = 20


def from_smiles(smiles: str, seed: int) -> Atoms:
    """A molecule with hydrogen, its charge and its radical electrons.

    Args:
        smiles: without the prefix "smiles:".
        seed: of the conformer.

    Raises:
        StructureError: if RDKit is missing, for an invalid or too long SMILES, a dummy atom, or a
            molecule without a conformer.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise StructureError(
            "Reading SMILES needs RDKit: pip install 'hamiltonian-workbench[smiles]'."
        ) from None
    with rdBase.BlockLogs():  # our message replaces RDKit's lines on stderr
        mol = Chem.AddHs(_parsed(smiles))
        has_force_field = _embed(mol, seed, smiles)
    positions = mol.GetConformer().GetPositions()
    fragments = [list(f) for f in Chem.GetMolFrags(mol)]
    for left, right in pairwise(fragments):  # RDKit places separate molecules on top of each other
        overlap = positions[left, 0].max() - positions[right, 0].min()
        positions[right, 0] += overlap + FRAGMENT_GAP
    atoms = Atoms([a.GetSymbol() for a in mol.GetAtoms()], positions)
    spin = sum(a.GetNumRadicalElectrons() for a in mol.GetAtoms())
    atoms.info = {"name": f"smiles:{smiles}", "charge": Chem.GetFormalCharge(mol), "spin": spin}
    if not has_force_field:
        with suppress(ImportError):  # without tblite the embedding is right to some hundredths of A
            return relaxed(atoms)
    return atoms


def _parsed(smiles: str) -> Any:
    """RDKit's molecule, checked: of known elements, and small enough for a conformer."""
    from rdkit import Chem

    if len(smiles) > MOST_CHARACTERS:
        raise StructureError(
            f"This SMILES has {len(smiles)} characters, more than {MOST_CHARACTERS}: give a file "
            "with the geometry instead."
        )
    try:
        mol = Chem.MolFromSmiles(smiles)
    except (ValueError, RuntimeError):  # e.g. text that is no UTF-8
        mol = None
    if mol is None or mol.GetNumAtoms() == 0:
        raise StructureError(f"{brief(smiles)} is not a valid SMILES: check it, e.g. 'smiles:CCO'.")
    unknown = [a.GetSymbol() for a in mol.GetAtoms() if a.GetSymbol() not in atomic_numbers]
    if unknown or any(a.GetAtomicNum() == 0 for a in mol.GetAtoms()):
        raise StructureError(
            f"{brief(smiles)} has a placeholder for an atom: name an element instead of "
            f"{(unknown or ['it'])[0]}."
        )
    total = mol.GetNumAtoms(onlyExplicit=False)
    if total > MOST_ATOMS:
        raise StructureError(
            f"This SMILES has {total} atoms, more than {MOST_ATOMS}: give a file with the geometry "
            "instead."
        )
    return mol


def _embed(mol: Any, seed: int, smiles: str) -> bool:
    """Add a conformer to RDKit's molecule; whether MMFF94 knows its bonds and has relaxed it."""
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed
    parameters.timeout = EMBEDDING_SECONDS
    try:
        embedded = rdDistGeom.EmbedMolecule(mol, parameters) == 0
    except (ValueError, RuntimeError):
        embedded = False
    if not embedded:
        raise StructureError(f"RDKit finds no geometry for {brief(smiles)}: give a file instead.")
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return False
    conformer, before = mol.GetConformer(), _bond_lengths(mol)
    positions = conformer.GetPositions()
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    if (_bond_lengths(mol) - before).max(initial=0.0) <= _LONGER:
        return True
    for atom, position in enumerate(positions):
        conformer.SetAtomPosition(atom, position.tolist())
    return False


def _bond_lengths(mol: Any) -> NDArray[np.float64]:
    """Lengths of the bonds of atoms with a triple or two double bonds, A."""
    orders = {a.GetIdx(): [b.GetBondTypeAsDouble() for b in a.GetBonds()] for a in mol.GetAtoms()}
    positions = mol.GetConformer().GetPositions()
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    linear = {atom for atom, of in orders.items() if 3.0 in of or of == [2.0, 2.0]}
    chosen = [positions[i] - positions[j] for i, j in ends if {i, j} & linear]
    return np.array([float(np.linalg.norm(vector)) for vector in chosen])
