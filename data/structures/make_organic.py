"""Makes the collection `organic`: `python data/structures/make_organic.py`.

Neutral closed-shell molecules of H, C, N, O and F with at most nine heavy atoms, as diverse as a
few hundred can be. Molecular graphs grow atom by atom (RDKit) from molecules that everyone knows:
all of up to four heavy atoms, a random pool of each larger size, from which molecules are taken
in turn from acyclic, ring, aromatic and polycyclic ones and, within these, from every combination
of functional groups. Each is embedded (ETKDG, MMFF94), relaxed with GFN2-xTB, and dropped if its
bonds are then others. Everything follows from SEED.

No two molecules have the same canonical tautomer without stereo (the key), nor the same
tautomer hash, a second and coarser opinion; so a split by molecule never parts tautomers or
stereoisomers. Relaxed molecules are kept in `organic.partial/`: a stopped run goes on there.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from organic_graphs import GROUPS, KNOWN, heavy, pools
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolHash
from rdkit.Chem.MolStandardize import rdMolStandardize
from tblite.ase import TBLite

from workbench.structures.sampling import bonded

HERE = Path(__file__).parent
SEED = 20240
FMAX, MOST_STEPS = 0.05, 250  # eV/A, BFGS steps
WANTED = {5: 110, 6: 130, 7: 150, 8: 190, 9: 210}  # sampled molecules of each size, before losses
SHARES = {"acyclic": 0.4, "ring": 0.2, "aromatic": 0.25, "polycyclic": 0.15}
SPLIT_OF_45 = ["train"] * 35 + ["valid"] * 4 + ["test"] * 6
TAUTOMERS = rdMolStandardize.TautomerEnumerator()


def chosen(rng: np.random.Generator) -> list[tuple[str, str]]:
    """(SMILES, key) of the molecules, the known ones first, no two of one key or tautomer hash."""
    known = [Chem.CanonSmiles(smiles) for smiles in KNOWN]  # not asked whether they please us
    taken: dict[str, str] = {}
    hashes: set[str] = set()

    def take(smiles: str) -> bool:
        mol = Chem.MolFromSmiles(smiles)
        key = key_of(smiles)
        hashed = rdMolHash.MolHash(mol, rdMolHash.HashFunction.HetAtomTautomerv2)
        if key in taken or hashed in hashes:
            return False
        taken[key] = smiles
        hashes.add(hashed)
        return True

    for smiles in known:
        take(smiles)
    for size, members in pools(known, rng).items():
        if size < 5:
            for smiles in members:
                take(smiles)
            continue
        missing = WANTED[size] - sum(heavy(s) == size for s in taken.values())
        left = missing
        for kind, share in SHARES.items():
            turn = in_turn([s for s in members if _kind(s) == kind], rng)
            quota = min(left, round(share * missing))
            left -= quota
            while quota > 0 and (smiles := next(turn, None)) is not None:
                quota -= take(smiles)
            left += quota  # what was not to be had
        turn = in_turn(members, rng)  # what one kind could not give, all give together
        while left > 0 and (smiles := next(turn, None)) is not None:
            left -= take(smiles)
    return sorted(((s, k) for k, s in taken.items()), key=lambda p: (heavy(p[0]), p[0]))


def in_turn(members: list[str], rng: np.random.Generator) -> Iterator[str]:
    """One molecule of each combination of functional groups, plain ones first; again and again."""
    by_groups = defaultdict(list)
    for smiles in rng.permutation(members)[:1500].tolist():
        mol = Chem.MolFromSmiles(smiles)
        groups = [name for name, pattern in GROUPS.items() if mol.HasSubstructMatch(pattern)]
        by_groups[tuple(groups)].append(smiles)
    order = sorted(by_groups.values(), key=len, reverse=True)  # common combinations first
    for depth in range(max(map(len, order), default=0)):
        for alike in order:
            if depth < len(alike):
                yield alike[depth]


def key_of(smiles: str) -> str:
    """SMILES of the canonical tautomer, without stereo."""
    tautomer = TAUTOMERS.Canonicalize(Chem.MolFromSmiles(smiles))
    return Chem.MolToSmiles(tautomer, isomericSmiles=False)


def relaxed(smiles: str) -> dict:
    """Symbols and positions (A) of a GFN2 minimum, or why there is none."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if rdDistGeom.EmbedMolecule(mol, randomSeed=1) != 0:
        return {"smiles": smiles, "dropped": "no embedding"}
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    else:
        rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=2000)
    atoms = Atoms([a.GetSymbol() for a in mol.GetAtoms()], mol.GetConformer().GetPositions())
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    try:
        if not BFGS(atoms, logfile=None).run(FMAX, MOST_STEPS):
            return {"smiles": smiles, "dropped": "not relaxed"}
    except Exception as error:  # tblite raises its own kinds when it does not converge
        return {"smiles": smiles, "dropped": str(error).splitlines()[0]}
    if not np.array_equal(bonded(atoms), Chem.GetAdjacencyMatrix(mol).astype(bool)):
        return {"smiles": smiles, "dropped": "other bonds"}
    centred = np.round(atoms.positions - atoms.get_center_of_mass(), 4) + 0.0  # no "-0.0"
    return {"smiles": smiles, "symbols": str(atoms.symbols), "positions": centred.tolist()}


def relax_all(molecules: list[tuple[str, str]], name: str) -> dict[str, dict]:
    """Results of `relaxed` by SMILES; those of an earlier run are read, not made again."""
    path = HERE / f"{name}.partial" / "relaxed.jsonl"
    path.parent.mkdir(exist_ok=True)
    done: dict[str, dict] = {}
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n"):
            result = json.loads(line)
            done[result["smiles"]] = result
    with path.open("w") as file:  # again, without a line that a kill has cut short
        file.writelines(json.dumps(result) + "\n" for result in done.values())
        for smiles, _ in molecules:
            if smiles not in done:
                done[smiles] = relaxed(smiles)
                file.write(json.dumps(done[smiles]) + "\n")
                file.flush()
    return done


def split_of(molecules: list[tuple[str, str]], rng: np.random.Generator) -> dict[str, str]:
    """Split by key: drawn among each 45 molecules that follow each other in size."""
    ordered = [key for _, key in sorted((heavy(s) + rng.uniform(0, 0.9), k) for s, k in molecules)]
    drawn = [rng.permutation(SPLIT_OF_45) for _ in range(0, len(ordered), 45)]
    return dict(zip(ordered, np.concatenate(drawn).tolist(), strict=False))


def write(
    molecules: list[tuple[str, str]], splits: dict[str, str], found: dict[str, dict], name: str
) -> None:
    """Writes the table and the structures of a collection, the same bytes each time."""
    rows = ["smiles,split,heavy_atoms,key"]
    frames = []
    for smiles, key in molecules:
        atoms = Atoms(found[smiles]["symbols"], found[smiles]["positions"])
        split = splits[key]
        # Where a text may also be a truth value, ASE reads a lone F, which is HF, as False.
        smiles, key = ("[H]F" if text == "F" else text for text in (smiles, key))
        rows.append(f"{smiles},{split},{heavy(smiles)},{key}")
        frames.append(f"{len(atoms)}\n")
        frames.append(
            "Properties=species:S:1:pos:R:3 "
            f'smiles="{smiles}" split={split} key="{key}" charge=0 spin=0 pbc="F F F"\n'
        )
        for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True):
            frames.append(f"{symbol} {x:.4f} {y:.4f} {z:.4f}\n")
    (HERE / f"{name}.csv").write_text("\n".join(rows) + "\n")
    packed = gzip.compress("".join(frames).encode(), 9, mtime=0)
    (HERE / f"{name}.extxyz.gz").write_bytes(packed)


def _kind(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    if mol.GetRingInfo().NumRings() > 1:
        return "polycyclic"
    if any(a.GetIsAromatic() for a in mol.GetAtoms()):
        return "aromatic"
    return "ring" if mol.GetRingInfo().NumRings() else "acyclic"


def main() -> None:
    """Choose, relax, split and write."""
    rdBase.DisableLog("rdApp.*")
    molecules = chosen(np.random.default_rng(SEED))
    sys.stderr.write(f"{Counter(heavy(s) for s, _ in molecules)} molecules chosen\n")
    found = relax_all(molecules, "organic")
    kept = [(s, k) for s, k in molecules if "positions" in found[s]]
    splits = split_of(kept, np.random.default_rng(SEED + 1))
    kept.sort(key=lambda pair: ("train", "valid", "test").index(splits[pair[1]]))
    write(kept, splits, found, "organic")
    sys.stderr.write(f"{Counter(splits.values())}; {len(molecules) - len(kept)} dropped\n")


if __name__ == "__main__":
    main()
