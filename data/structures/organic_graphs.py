"""Molecular graphs for the collection `organic`: what is made, and what is not (RDKit).

Graphs grow atom by atom from molecules that everyone knows; rings close, bonds rise, elements are
exchanged. What would fall apart, or what nobody would ask for, is refused on the way. Nitro groups
are the only ones written with charges that are let through.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

FROM_POOL = 4000  # graphs of each size above four from which others grow
SINGLE, DOUBLE, TRIPLE = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE

# Molecules a user would try first: ASE's G2 set as far as it is neutral, closed-shell and of these
# elements (without H2, the charge-separated CO, N2O and O3, and F2, OF2 and NF3); then parents,
# solvents, amino acids and nucleobases.
KNOWN = (Path(__file__).parent / "organic_known.smi").read_text().split()

FRAGMENTS = ["C#N", "C(=O)O", "C(=O)N", "C(F)(F)F", "[N+](=O)[O-]", "C=O", "OC", "NC", "C=C", "C#C"]

GROUPS = {
    name: Chem.MolFromSmarts(smarts)
    for name, smarts in {
        "alkene": "[CX3]=[CX3]",
        "alkyne": "C#C",
        "nitrile": "C#N",
        "alcohol": "[OX2H][CX4]",
        "enol or phenol": "[OX2H][#6X3;!$(C=O)]",
        "ether": "[OX2;!$(O*=O)]([#6])[#6]",
        "aldehyde": "[CX3H1](=O)[#6,#1]",
        "ketone": "[#6][CX3](=O)[#6]",
        "acid": "C(=O)[OX2H]",
        "ester": "C(=O)[OX2][#6]",
        "amide": "C(=O)[NX3]",
        "amine 1": "[NX3H2][#6;!$(C=O)]",
        "amine 2": "[NX3H1;!$(NC=O)]([#6])[#6]",
        "amine 3": "[NX3H0;+0;!$(NC=O)]([#6])([#6])[#6]",
        "imine": "[CX3]=[NX2][#6,#1]",
        "oxime": "C=[NX2]O",
        "N-N or N-O": "[#7;+0;!a]~[#7,#8;+0]",
        "nitro": "[N+](=O)[O-]",
        "cumulene": "*=*=*",
        "fluoride": "F[CX4]",
        "sp2 fluoride": "F[#6X3]",
        "aromatic n": "n",
        "aromatic o": "o",
    }.items()
}

# What is not made: it would fall apart, or nobody would ask for it.
REFUSED = [
    Chem.MolFromSmarts(smarts)
    for smarts in (
        "F[!#6;!#1]",  # fluorine on nitrogen, oxygen or fluorine
        "[#7,#8;+0;!a]~[#7,#8;+0]~[#7,#8;+0]",  # chains of three hetero atoms; aromatic ones may
        "[n,o]~[n,o]~[n,o]~[n,o]",
        "[!#6][N+](=O)[O-]",  # nitro groups on carbon only
        "[R]=[R;D2]=[R]",  # allenes in rings
        "[R]=[R]=*",
        "*=*=*=*",
        "[R]#[R]",
        "[r3]=[r3]=*",
        "*1=**=*1",  # cyclobutadiene and its kin
        "[C]1=[C][N,O]1",
        "[a;r3,r4]",
        "[CX4]([OX2H])[OX2,NX3;!$(NC=O)]",  # lose water, an alcohol or ammonia
        "[CX4;!$(C(F)(F)F)](F)[OX2H,NX3]",  # lose HF
        "[OX2H][CX3]=[NX2;!a]",  # imidic acids, whose tautomers are amides
        "[OX2,NX3,F][CX2]#[CX2]",
        "O=O",  # its ground state is a triplet
        "oo",
        "[OX2H][CX3]([OX2H])=C",
        "[OX2]1[OX2]*1",
        "[r3]@[NX2]=[NX2]@[r3]",
        "N=C=[!#6;!#7;!#8]",
        "[r3]1=[r3]*1~[OX2H]",
    )
]
# What only the smallest molecules may have, of which all are made.
UNUSUAL = [
    Chem.MolFromSmarts(smarts)
    for smarts in (
        "[#6]=[NX2H;!$(N=C[NX3])]",
        "[OX2H][CX3;!a]=[CX3]",  # enols and enamines, whose tautomers are made
        "[NX3H2,NX3H1][CX3;!a;!$(C=CC=O)]=[CX3]",
        "OO",
        "N=N",
        "[NX2]=O",
        "[*;!$(C(=O)=N)]=[C;D2;!$(C(=O)=N)]=*",  # cumulenes other than isocyanates
        "[NX3;+0;!$(NC=[O,N])][CX4;!R][OX2,NX3;!$(NC=[O,N])]",
        "[CX4;!$(C(F)(F)F)](F)[OX2,NX3,n]",
        "[r3;!#6]~[r3;!#6]",
        "[r3]=*",
        "[r4;!#6]@[r4]=[r4]",
        "[!#6;!a]=[r4;!$(C=O)]",
        "[OX2,NX2]C#N",
        "[NX2]=C-[NX2]=C",
        "FC=[NX2]",
        "[OX2H]C(=O)[OX2,NX3]",
    )
]


def acceptable(mol: Chem.Mol) -> bool:
    """Whether a sanitised molecule is one that we would keep."""
    if mol.GetNumHeavyAtoms() > 9 or any(mol.HasSubstructMatch(p) for p in REFUSED):
        return False
    charged = sum(a.GetFormalCharge() != 0 for a in mol.GetAtoms())
    if charged != 2 * len(mol.GetSubstructMatches(GROUPS["nitro"])):
        return False
    if any(a.GetNumRadicalElectrons() or a.GetIsotope() for a in mol.GetAtoms()):
        return False
    count = Counter(a.GetAtomicNum() for a in mol.GetAtoms())
    if mol.GetNumHeavyAtoms() > 3:
        if count[7] + count[8] > count[6] or count[9] > 4:
            return False
        if len(mol.GetSubstructMatches(GROUPS["N-N or N-O"])) > 1:
            return False
        if any(mol.HasSubstructMatch(p) for p in UNUSUAL):
            return False
    return _rings_hold(mol)


def _rings_hold(mol: Chem.Mol) -> bool:
    """No anti-Bredt double bond, no propellane, at most one ring of three or four."""
    rings = mol.GetRingInfo()
    small = sum(len(ring) < 5 for ring in rings.AtomRings())
    if rings.NumRings() > 3 or small > 1:
        return False
    bridgeheads: list[int] = []
    rdMolDescriptors.CalcNumBridgeheadAtoms(mol, bridgeheads)
    for i in bridgeheads:
        if mol.GetAtomWithIdx(i).GetHybridization() != Chem.HybridizationType.SP3:
            return False
    for bond in mol.GetBonds():
        fused = rings.NumBondRings(bond.GetIdx()) > 1 and rings.MinBondRingSize(bond.GetIdx()) < 5
        if fused and bond.GetBondType() != SINGLE:
            return False
    return all(rings.NumAtomRings(a.GetIdx()) < 3 for a in mol.GetAtoms())


def smiles_of(mol: Chem.Mol | Chem.RWMol) -> str | None:
    """Canonical SMILES of an acceptable molecule without stereo, else None."""
    try:
        smiles = Chem.MolToSmiles(Chem.Mol(mol), isomericSmiles=False)
    except (RuntimeError, ValueError):
        return None
    parsed = Chem.MolFromSmiles(smiles)
    if parsed is None or not acceptable(parsed):
        return None
    return Chem.MolToSmiles(parsed, isomericSmiles=False)


def grown(smiles: str) -> list[str]:
    """All acceptable molecules with one atom, or one of FRAGMENTS, in place of a hydrogen."""
    parent = Chem.MolFromSmiles(smiles)
    result = set()
    for atom in parent.GetAtoms():
        free = atom.GetTotalNumHs()
        for number, bonds in ((6, 3), (7, 3), (8, 2), (9, 1)):
            for order in (SINGLE, DOUBLE, TRIPLE)[: min(free, bonds)]:
                child = _kekule(parent)
                child.AddBond(atom.GetIdx(), child.AddAtom(Chem.Atom(number)), order)
                result.add(_finished(child))
        for fragment in FRAGMENTS if free else []:
            joined = Chem.RWMol(Chem.CombineMols(_kekule(parent), Chem.MolFromSmiles(fragment)))
            joined.AddBond(atom.GetIdx(), parent.GetNumAtoms(), SINGLE)
            result.add(_finished(joined))
    return sorted(result - {None})


def rearranged(smiles: str) -> list[str]:
    """All acceptable molecules with a ring closed, a bond raised or an element exchanged."""
    parent = Chem.MolFromSmiles(smiles)
    distance = Chem.GetDistanceMatrix(parent)
    free = [a.GetTotalNumHs() for a in parent.GetAtoms()]
    result = set()
    for i, j in np.argwhere(np.triu((distance >= 1) & (distance <= 5), 1)).tolist():
        if not (free[i] and free[j]):
            continue
        child = _kekule(parent)
        bond = child.GetBondBetweenAtoms(i, j)
        if bond is None:
            child.AddBond(i, j, SINGLE)
        elif bond.GetBondType() == SINGLE:
            bond.SetBondType(DOUBLE)
        elif bond.GetBondType() == DOUBLE:
            bond.SetBondType(TRIPLE)
        result.add(_finished(child))
    for atom in parent.GetAtoms():
        for number in (6, 7, 8, 9):
            child = _kekule(parent)
            child.GetAtomWithIdx(atom.GetIdx()).SetAtomicNum(number)
            result.add(_finished(child))
    return sorted(result - {None, smiles})


def _kekule(mol: Chem.Mol) -> Chem.RWMol:
    editable = Chem.RWMol(mol)
    Chem.Kekulize(editable, clearAromaticFlags=True)
    for atom in editable.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    return editable


def _finished(mol: Chem.RWMol) -> str | None:
    try:
        Chem.SanitizeMol(mol)
    except (Chem.MolSanitizeException, ValueError):
        return None
    return smiles_of(mol)


def pools(known: list[str], rng: np.random.Generator) -> dict[int, list[str]]:
    """SMILES of each number of heavy atoms: all up to four, FROM_POOL of each larger."""
    pool: dict[int, set[str]] = defaultdict(set)
    for smiles in known:
        pool[heavy(smiles)].add(smiles)
    for size in range(1, 10):
        members = sorted(pool[size])
        for smiles in members:  # grows while it is walked through, until nothing new comes up
            if len(members) >= FROM_POOL:
                break
            new = [s for s in rearranged(smiles) if s not in pool[size]]
            if size > 4:  # a taste of each, lest the pool be the relatives of a few
                new = rng.permutation(new)[:3].tolist() if new else []
            pool[size].update(new)
            members += new
        parents = members if size < 5 else rng.permutation(members)[:700].tolist()
        for smiles in parents:
            children = [s for s in grown(smiles) if heavy(s) > size]
            if size > 3:
                children = rng.permutation(children)[:8].tolist() if children else []
            for child in children:
                pool[heavy(child)].add(child)
    return {size: sorted(members) for size, members in pool.items() if size}


def heavy(smiles: str) -> int:
    """Number of atoms that are not hydrogen."""
    return Chem.MolFromSmiles(smiles).GetNumHeavyAtoms()
