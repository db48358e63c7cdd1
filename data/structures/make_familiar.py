"""Makes the collection `familiar`: `python data/structures/make_familiar.py`.

Forty molecules of 8 to 35 atoms that people think of first: medicines, flavours, bases of DNA,
amino acids, solvents, textbook rings. All are in the split `test`: no dataset contains them, so
that models are measured on what a reader will try. Relaxed as the collection `organic`.
"""

from __future__ import annotations

import csv
from pathlib import Path

from make_organic import key_of, relax_all, write
from rdkit import rdBase

HERE = Path(__file__).parent
MOLECULES = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "nicotine": "CN1CCCC1c1cccnc1",
    "salicylic acid": "O=C(O)c1ccccc1O",
    "benzocaine": "CCOC(=O)c1ccc(N)cc1",
    "dopamine": "NCCc1ccc(O)c(O)c1",
    "serotonin": "NCCc1c[nH]c2ccc(O)cc12",
    "melatonin": "COc1ccc2[nH]cc(CCNC(C)=O)c2c1",
    "fluorouracil": "O=c1[nH]cc(F)c(=O)[nH]1",
    "vanillin": "COc1cc(C=O)ccc1O",
    "coumarin": "O=c1ccc2ccccc2o1",
    "menthol": "CC(C)C1CCC(C)CC1O",
    "camphor": "CC1(C)C2CCC1(C)C(=O)C2",
    "limonene": "C=C(C)C1CC=C(C)CC1",
    "cinnamaldehyde": "O=CC=Cc1ccccc1",
    "ascorbic acid": "OCC(O)C1OC(=O)C(O)=C1O",
    "citric acid": "O=C(O)CC(O)(CC(=O)O)C(=O)O",
    "glucose": "OCC1OC(O)C(O)C(O)C1O",
    "adenine": "Nc1ncnc2[nH]cnc12",
    "guanine": "Nc1nc2[nH]cnc2c(=O)[nH]1",
    "tryptophan": "NC(Cc1c[nH]c2ccccc12)C(=O)O",
    "phenylalanine": "NC(Cc1ccccc1)C(=O)O",
    "tyrosine": "NC(Cc1ccc(O)cc1)C(=O)O",
    "naphthalene": "c1ccc2ccccc2c1",
    "anthracene": "c1ccc2cc3ccccc3cc2c1",
    "azulene": "c1ccc2cccc-2cc1",
    "biphenyl": "c1ccc(-c2ccccc2)cc1",
    "stilbene": "C(=Cc1ccccc1)c1ccccc1",
    "azobenzene": "c1ccc(N=Nc2ccccc2)cc1",
    "fluorene": "c1ccc2c(c1)Cc1ccccc1-2",
    "quinoline": "c1ccc2ncccc2c1",
    "thymol": "Cc1ccc(C(C)C)c(O)c1",
    "phthalonitrile": "N#Cc1ccccc1C#N",
    "4-nitrophenol": "O=[N+]([O-])c1ccc(O)cc1",
    "acetophenone": "CC(=O)c1ccccc1",
    "hexafluorobenzene": "Fc1c(F)c(F)c(F)c(F)c1F",
    "adamantane": "C1C2CC3CC1CC(C2)C3",
    "decane": "CCCCCCCCCC",
}


def main() -> None:
    """Check that `organic` has none of them, relax and write."""
    rdBase.DisableLog("rdApp.*")
    molecules = {name: (smiles, key_of(smiles)) for name, smiles in MOLECULES.items()}
    with (HERE / "organic.csv").open() as file:
        elsewhere = {row["key"] for row in csv.DictReader(file)}
    if known := [name for name, (_, key) in molecules.items() if key in elsewhere]:
        raise SystemExit(f"The collection organic contains {', '.join(known)}: choose others.")
    pairs = list(molecules.values())
    found = relax_all(pairs, "familiar")
    if lost := [name for name, (smiles, _) in molecules.items() if "dropped" in found[smiles]]:
        raise SystemExit(f"Not relaxed: {', '.join(lost)}.")
    write(pairs, dict.fromkeys((key for _, key in pairs), "test"), found, "familiar")


if __name__ == "__main__":
    main()
