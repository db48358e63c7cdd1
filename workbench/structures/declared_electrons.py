"""Charge and spin that a file of a structure declares, in any of the usual spellings.

| kind | charge | spin |
|---|---|---|
| xyz, extxyz | `charge=-1`, `total_charge=-1`, or words: `charge -1` | `spin`, `multiplicity` |
| mol, sdf | `M  CHG`, or the column of the atom block; V3000 `CHG=` | `M  RAD` |
| pdb | columns 79 and 80 of each atom, as `1+` | |

Programs use `spin` for the number of unpaired electrons (2S) or for the multiplicity (2S + 1). Only
one of them is possible for a given number of electrons, since 2S is even or odd with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ase import Atoms

from workbench.structures.plain_text import xyz_frames

__all__ = ["declared", "without_flags"]

_NUMBER = r"\s*[=:]?\s*\"?([+-]?\d{1,9})(?:\.0*)?(?![\d.\w])"
_CHARGE = re.compile(rf"\b(?:total_|net_|tot_)?charge{_NUMBER}", re.IGNORECASE)
_MULTIPLICITY = re.compile(rf"\b(?:spin_?)?mult(?:iplicity)?{_NUMBER}", re.IGNORECASE)
_SPIN = re.compile(rf"\b(?:total_)?spin{_NUMBER}", re.IGNORECASE)
_CODES = {"1": 3, "2": 2, "3": 1, "5": -1, "6": -2, "7": -3}  # of the atom block of a mol file
_UNPAIRED = {1: 0, 2: 1, 3: 2}  # of an `M  RAD` entry: singlet, doublet, triplet


def declared(kind: str, content: str, atoms: Atoms, index: int) -> dict[str, int]:
    """What a text file says of the charge (e) and the spin (unpaired electrons) of a structure.

    Args:
        kind: ending of the file's name, such as ".xyz".
        content: of the file, or of the record.
        atoms: the structure as ASE has read it; for its number of electrons.
        index: number of the structure in the file, counted as ASE does.

    Returns:
        "charge" and "spin", each only if the file says it.
    """
    if kind in (".mol", ".sdf"):
        return _of_mol(content)
    if kind == ".pdb":
        return _of_pdb(content, index)
    if kind in (".xyz", ".extxyz"):
        return _of_comment(_comment(content, index), atoms)
    return {}


def _of_comment(comment: str, atoms: Atoms) -> dict[str, int]:
    """From the second line of an xyz frame."""
    charge, multiplicity, spin = (
        None if match is None else int(match[1])
        for match in (pattern.search(comment) for pattern in (_CHARGE, _MULTIPLICITY, _SPIN))
    )
    found: dict[str, int] = {} if charge is None else {"charge": charge}
    if multiplicity is not None:
        found["spin"] = multiplicity - 1
    elif spin is not None:
        electrons = int(atoms.numbers.sum()) - (charge or 0)
        found["spin"] = spin if (electrons - spin) % 2 == 0 else spin - 1
    return found


def _comment(content: str, index: int) -> str:
    """The comment of one frame of an xyz file."""
    lines = content.split("\n")
    comments = [lines[at + 1] for at, _ in xyz_frames(lines) if at + 1 < len(lines)]
    return comments[index] if -len(comments) <= index < len(comments) else ""


def _of_mol(content: str) -> dict[str, int]:
    """From a record of a mol or sdf file, V2000 or V3000."""
    lines = content.split("\n")
    entries = [line.split() for line in lines if line.startswith(("M  CHG", "M  RAD"))]
    pairs: dict[str, list[int]] = {"CHG": [], "RAD": []}
    for _, kind, _, *numbers in (entry for entry in entries if len(entry) > 2):
        pairs[kind] += [int(n) for n in numbers[1::2] if re.fullmatch(r"[+-]?\d+", n)]
    v3000 = [line for line in lines if line.startswith("M  V30")]
    pairs["CHG"] += [int(n) for line in v3000 for n in re.findall(r"\bCHG=([+-]?\d+)", line)]
    pairs["RAD"] += [int(n) for line in v3000 for n in re.findall(r"\bRAD=(\d+)", line)]
    if not entries and not v3000 and len(lines) > 3:  # the property lines replace the atom block's
        count = lines[3][:3].strip()
        rows = lines[4 : 4 + int(count)] if count.isdecimal() else []
        pairs["CHG"] = [_CODES.get(row[36:39].strip(), 0) for row in rows]
        pairs["RAD"] = [2 for row in rows if row[36:39].strip() == "4"]
    return {
        "charge": sum(pairs["CHG"]),
        "spin": sum(_UNPAIRED.get(kind, 0) for kind in pairs["RAD"]),
    }


def _of_pdb(content: str, index: int) -> dict[str, int]:
    """From one model of a PDB file."""
    models = re.split(r"^ENDMDL.*\n?", content, flags=re.MULTILINE)
    models = [m for m in models if re.search(r"^(ATOM  |HETATM)", m, re.MULTILINE)]
    if not -len(models) <= index < len(models):
        return {}
    fields = [
        line[78:80] for line in models[index].split("\n") if line.startswith(("ATOM  ", "HETATM"))
    ]
    charges = [re.fullmatch(r"(\d)([+-])", field) for field in fields]
    if not any(charges):
        return {}
    return {"charge": sum(int(c[2] + c[1]) for c in charges if c)}


def without_flags(info: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a frame that are no bare words: ASE reads `charge -1` as two flags."""
    return {key: value for key, value in info.items() if value is not True}
