"""Makes the bundled structures: `python data/structures/make.py [name ...]`.

Each molecule starts from ASE's G2 set, or from a SMILES (RDKit ETKDG + MMFF), is relaxed with
GFN2-xTB (tblite) and then with PBE/def2-SVP (PySCF, grid level 4 unpruned, no density fitting)
until no force exceeds 0.005 eV/A; malondialdehyde and uracil take most of the way on a coarse
grid. The centre of mass is put at the origin; molecules that came from a SMILES are also turned to
their principal axes of inertia, the heaviest axis along z.

Sheets have the lattice constant of an experiment and are not relaxed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase
import numpy as np
import pyscf
from ase.build import graphene, molecule, mx2
from ase.calculators.calculator import Calculator, all_changes
from ase.io import write
from ase.optimize import BFGS
from ase.units import Bohr, Hartree
from pyscf import dft
from tblite.ase import TBLite

from workbench.structures.bilayers import bilayer
from workbench.structures.loading import load

START = {
    "water": "H2O",
    "ammonia": "NH3",
    "methane": "CH4",
    "ethanol": "CH3CH2OH",
    "malondialdehyde": "smiles:O=C/C=C\\O",
    "uracil": "smiles:O=C1C=CNC(=O)N1",
    "benzene": "C6H6",
}
GRAPHITE = 2.464, 6.711  # A, a and c at room temperature: Trucano and Chen, Nature 258, 136 (1975)
MOS2 = 3.160, 3.172  # A, a and from S to S: c = 12.294 A, z(S) = 0.621; see `_cut_from_bulk`
NAKAJIMA = "Nakajima, J. Phys. Chem. Solids 24, 479 (1963)"
TRIGONAL = {  # species of the planes, lowest first; their heights in fractions of c; a and c in A
    "bismuthene": (
        *("Bi2", (1 / 6 - 0.23389, 0.23389 - 1 / 6), 4.546, 11.862),
        "as bulk bismuth: Cucka and Barrett, Acta Cryst. 15, 865 (1962)",
    ),
    "bi2te3": (
        *("TeBiTeBiTe", (0.2097 - 1 / 3, 1 / 3 - 0.4, 0, 0.4 - 1 / 3, 1 / 3 - 0.2097)),
        *(4.386, 30.497, f"as in the bulk: {NAKAJIMA}"),
    ),
    "bi2se3": (
        *("SeBiSeBiSe", (0.2117 - 1 / 3, 1 / 3 - 0.4008, 0, 0.4008 - 1 / 3, 1 / 3 - 0.2117)),
        *(4.143, 28.636, f"as in the bulk: {NAKAJIMA}"),
    ),
}
VACUUM = 6.0  # A above and below a sheet
FMAX = 0.005  # eV/A
COARSE_FIRST = {"malondialdehyde", "uracil"}
SEED = {"malondialdehyde": 7}  # of the embedding: one that closes the hydrogen bond


class PBE(Calculator):
    """PBE/def2-SVP energy and forces of a closed-shell molecule.

    The fine grid is level 4 unpruned with its response in the forces; the coarse one is level 1.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (ASE's interface)

    def __init__(self, coarse: bool = False):
        super().__init__()
        self.coarse = coarse

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Fill `self.results`, as ASE asks of a calculator."""
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        geometry = list(zip(atoms.symbols, atoms.positions, strict=True))
        mol = pyscf.M(atom=geometry, basis="def2-svp", verbose=0)
        mf = dft.RKS(mol, xc="pbe")
        mf.conv_tol = 1e-8 if self.coarse else 1e-10
        mf.grids.level = 1 if self.coarse else 4
        if not self.coarse:
            mf.grids.prune = None
        mf.kernel(dm0=getattr(self, "density", None))
        if not mf.converged:
            raise RuntimeError(f"SCF of {atoms.symbols} did not converge")
        self.density = mf.make_rdm1()  # the next geometry is close: start from here
        gradient = mf.nuc_grad_method()
        gradient.grid_response = not self.coarse
        forces = -gradient.kernel() * Hartree / Bohr
        self.results = {"energy": mf.e_tot * Hartree, "forces": forces}


def start(source: str, seed: int) -> ase.Atoms:
    """The unrelaxed geometry, centred."""
    if not source.startswith("smiles:"):
        return molecule(source)
    atoms = load(source, seed=seed)
    atoms.positions -= atoms.get_center_of_mass()
    _, axes = atoms.get_moments_of_inertia(vectors=True)
    if np.linalg.det(axes) < 0:
        axes = axes * [[1], [1], [-1]]  # a proper rotation: no mirror image
    atoms.positions = atoms.positions @ axes.T
    return atoms


def make(name: str, folder: Path) -> None:
    """Relaxes one molecule and writes `<folder>/<name>.extxyz`."""
    atoms = start(START[name], SEED.get(name, 0))
    stages = [(TBLite(method="GFN2-xTB", verbosity=0), 0.01), (PBE(), FMAX)]
    if name in COARSE_FIRST:
        stages.insert(1, (PBE(coarse=True), 0.03))  # its forces are rough below that
    for calculator, fmax in stages:
        atoms.calc = calculator
        if not BFGS(atoms, logfile="-").run(fmax, 200):
            raise RuntimeError(f"{name} did not relax")
    energy, force = atoms.get_potential_energy(), np.linalg.norm(atoms.get_forces(), axis=1).max()
    centred = np.round(atoms.positions - atoms.get_center_of_mass(), 6) + 0.0  # no "-0.000000"
    result = ase.Atoms(atoms.symbols, centred)
    result.info = {
        "name": name,
        "charge": 0,
        "spin": 0,
        "provenance": f"PBE/def2-SVP minimum, PySCF {pyscf.__version__} grid 4 unpruned, from "
        f"{START[name]} by GFN2-xTB; energy {energy:.6f} eV, largest force {force:.4f} eV/A",
    }
    write(folder / f"{name}.extxyz", result, format="extxyz")


def sheets() -> dict[str, tuple[ase.Atoms, str]]:
    """Sheets and bilayers, and where their lattice constants come from."""
    found = {}
    for name, (sheet, apart, stacked, origin) in _cut_from_bulk().items():
        found[name] = sheet, f"{origin}; not relaxed"
        if apart:
            both = bilayer(sheet, apart, stacked, VACUUM)
            found[f"bilayer-{name}"] = both, found[name][1]
    return found


def _cut_from_bulk() -> dict[str, tuple[ase.Atoms, float, tuple[float, float], str]]:
    """Each sheet, how far apart two of it lie, A (0: no bilayer), the shift, the source."""
    a, c = GRAPHITE
    found = {
        "graphene": (
            *(graphene(a=a, vacuum=VACUUM), c / 2, (1 / 3, 2 / 3)),
            f"a {a} A, layers {c / 2:.4f} A apart, as in graphite: Trucano and Chen, Nature 258, "
            "136 (1975)",
        ),
        "mos2": (
            *(mx2("MoS2", a=MOS2[0], thickness=MOS2[1], vacuum=VACUUM), 0.0, (0.0, 0.0)),
            f"a {MOS2[0]} A, S-S {MOS2[1]} A: Bronsema, de Boer and Jellinek, Z. anorg. allg. "
            "Chem. 540, 15 (1986)",
        ),
    }
    for name, (species, heights, a, c, origin) in TRIGONAL.items():
        sheet = _trigonal(species, np.array(heights) * c, a)
        # In the bulk the atoms that face each other lie c/3 less the thickness apart in height and
        # a / sqrt(3) aside; so far apart in height alone, they come no nearer at any shift.
        thickness = np.ptp(sheet.positions[:, 2])
        facing = np.hypot(c / 3 - thickness, a / np.sqrt(3))
        apart = round(thickness + facing, 3)
        origin = f"a {a} A, layers {apart} A apart, otherwise {origin}"
        found[name] = sheet, apart, (2 / 3, 1 / 3), origin
    return found


def _trigonal(species: str, heights: np.ndarray, a: float) -> ase.Atoms:
    """Planes of one atom a cell upon the sites A B C A B of a triangular lattice, lowest first."""
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 1]]
    at = [(k % 3 / 3, 2 * k % 3 / 3, 0) for k in range(len(heights))]
    made = ase.Atoms(species, scaled_positions=at, cell=cell, pbc=(True, True, False))
    made.positions[:, 2] = heights
    made.center(vacuum=VACUUM, axis=2)
    return made


def make_sheet(name: str, folder: Path) -> None:
    """Writes `<folder>/<name>.extxyz`."""
    sheet, provenance = sheets()[name]
    sheet.positions = np.round(sheet.positions, 6) + 0.0
    sheet.info = {"name": name, "charge": 0, "spin": 0, "provenance": provenance}
    write(folder / f"{name}.extxyz", sheet, format="extxyz")


if __name__ == "__main__":
    for requested in sys.argv[1:] or [*START, *sheets()]:
        (make_sheet if requested in sheets() else make)(requested, Path(__file__).parent)
