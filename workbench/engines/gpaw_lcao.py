"""Kohn-Sham references of crystals from GPAW's LCAO mode, in a process of its own.

Numerical atomic orbitals of strictly finite range, so H(T) and S(T) vanish beyond it; projector
augmented waves. For layers this is an order of magnitude cheaper than Gaussians with a plane-wave
density. GPAW is optional: ``make crystals`` installs it. Spin-orbit coupling is added once to the
self-consistent Hamiltonian without it, atom by atom inside the augmentation spheres. The sum is the
matrix that GPAW's own ``soc_eigenstates`` diagonalises (Olsen 2016, doi
10.1103/PhysRevB.94.235106).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from ase.io import write
from numpy.typing import NDArray

from workbench.engines import Cycles, Engine, Mesh, Overlap, Reference, SCFError, Threshold, Width
from workbench.engines.openblas import kernel_environment
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.bloch import default_mesh, k_mesh, mesh_for_range, to_real_space
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.value_checks import Range
from workbench.structures.validation import require_crystal

__all__ = ["BASIS", "ENGINE", "available", "overlap", "reference", "require", "solve"]

BASIS = "dzp"
"""The basis unless another is asked for."""

PREFIX = "gpaw"
"""The names of the bases are this, a hyphen, and GPAW's name of the set."""

_DEFAULTS = {
    "spacing": 0.25,
    "smearing": 0.02,
    "spin_orbit": False,
    "longest": None,
    "by_states": False,
    "density": 1e-6,
    "energy": 1e-6,
    "max_cycle": 200,
}  # settings on which an overlap does not depend, but the worker needs them
_ENDING = 400  # characters of GPAW's last output that an error quotes
_SAME_POINT = 1e-6  # tolerance for k-points, fractions
_NEGLIGIBLE = 1e-6  # eV (H) and 1 (S); a pair whose elements are all smaller is out of range


def available() -> bool:
    """Whether GPAW is installed."""
    return find_spec("gpaw") is not None


def require() -> None:
    """Raise a RuntimeError that says how to get GPAW, unless it is installed."""
    if not available():
        raise RuntimeError("GPAW is not installed: run `make crystals`.")


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "PBE",
    *,
    mesh: Mesh | None = None,
    spacing: Annotated[float, Range(0.01, 2)] = 0.2,
    smearing: Width = 0.02,
    spin_orbit: bool = False,
    longest: Width | None = None,
    by_states: bool = False,
    density: Threshold = 1e-6,
    energy: Threshold = 1e-6,
    max_cycle: Cycles = 200,
) -> Reference:
    """H(T) and S(T) of a crystal.

    Args:
        atoms: periodic in one to three directions, with a cell of three vectors; about 5 A of
            vacuum along the others.
        basis: a set of GPAW's, "szp" or "dzp"; by default `BASIS`.
        xc: any local (LDA) or gradient-corrected (GGA) functional of libxc.
        mesh: number of k-points along each cell vector; by default at most 0.25/A apart, and one
            along directions without periodicity. Blocks reach half as far as the mesh's supercell.
        spacing: of the real-space grid, A. The grid breaks symmetry by some meV ("egg-box").
        smearing: width of the Fermi distribution, eV.
        spin_orbit: add spin-orbit coupling; the result is then a spinor matrix.
        longest: leave out orbitals with a larger radius, A. An orbital that is empty in the atom,
            such as 5p of molybdenum, may reach twice as far as all others.
        by_states: sum the density over occupied states instead of pairs of orbitals. The result is
            the same to rounding, two to three times faster (this sum is half of a label's time).
        density: largest change of the density in the last cycle, electrons per valence electron.
        energy: largest change of the energy, eV per valence electron.
        max_cycle: largest number of cycles.

    Returns:
        H in eV, S, the energy per cell and the Fermi level in eV (both without spin-orbit
        coupling), and the method. Energy and `n_electrons` are of the valence electrons.

    Raises:
        StructureError: for a molecule, a cell that is not three vectors, or overlapping atoms.
        RuntimeError: if GPAW is not installed, or fails.
        SCFError: no convergence.
    """
    basis = (basis or BASIS).lower()
    points = tuple(mesh) if mesh is not None else default_mesh(atoms)
    settings = {
        "basis": basis,
        "xc": xc.upper(),
        "mesh": list(points),
        "spacing": spacing,
        "smearing": smearing,
        "spin_orbit": spin_orbit,
        "longest": longest,
        "by_states": by_states,
        "density": density,
        "energy": energy,
        "max_cycle": max_cycle,
    }
    arrays, about = solve(atoms, settings)
    scalar = Basis(f"{PREFIX}-{basis}", about["shells"])

    def blocks(name: str, orbitals: Basis) -> BlockMatrix:
        at_points = _on_mesh(atoms, orbitals, points, arrays["points"], arrays[name])
        return to_real_space(orbitals, atoms, points, at_points)

    H, S = _within_range(
        blocks("hamiltonians", replace(scalar, spinor=spin_orbit)), blocks("overlaps", scalar)
    )
    return Reference(
        atoms=atoms.copy(),
        H=H,
        S=S.with_spin() if spin_orbit else S,
        energy=float(arrays["energy"]),
        n_electrons=int(arrays["n_electrons"]),
        method={
            "method": "LCAO",
            "functional": xc.lower(),
            "basis": scalar.name,
            "pseudopotential": "PAW",
            "k_mesh": list(points),
            "grid_spacing_angstrom": spacing,
            "smearing_ev": smearing,
            "spin_orbit": spin_orbit,
            **({} if longest is None else {"longest_orbital_angstrom": longest}),
            "density_tolerance": density,
            "energy_tolerance_ev": energy,
            "program": "GPAW",
            "version": about["version"],
        },
        fermi_level=float(arrays["fermi_level"]),
    )


def _again(atoms: Atoms, method: Mapping[str, Any]) -> Reference:
    return reference(
        atoms,
        method["basis"].removeprefix(f"{PREFIX}-"),
        method["functional"],
        mesh=method["k_mesh"],
        spacing=method["grid_spacing_angstrom"],
        smearing=method["smearing_ev"],
        spin_orbit=method["spin_orbit"],
        longest=method.get("longest_orbital_angstrom"),
        density=method["density_tolerance"],
        energy=method["energy_tolerance_ev"],
    )


def overlap(atoms: Atoms, basis: Basis, method: Mapping[str, Any], reach: float) -> Overlap:
    """The overlap of a crystal and its number of valence electrons, in a second.

    Args:
        atoms: as of `reference`.
        basis: of the references, e.g. "gpaw-dzp".
        method: of a reference in this basis, or the record of a label job; for its functional and
            its longest orbital.
        reach: largest distance of two atoms whose overlap is kept, A.

    Raises:
        StructureError, RuntimeError: as of `reference`.
        ValueError: for a basis that is not GPAW's, or has other shells.
    """
    family, _, name = basis.name.partition("-")
    if family != PREFIX:
        raise ValueError(f"GPAW has no basis {basis.name!r}.")
    mesh = mesh_for_range(atoms, reach)
    settings = {
        **_DEFAULTS,
        "basis": name,
        "xc": str(method.get("functional", "pbe")).upper(),
        "mesh": list(mesh),
        "longest": method.get("longest_orbital_angstrom", method.get("longest")),
        "only_overlap": True,
    }
    arrays, about = solve(atoms, settings)
    if any(tuple(about["shells"][z]) != basis.shells[z] for z in set(atoms.numbers.tolist())):
        raise ValueError(f"GPAW's basis {name!r} has other shells than {basis.name}.")
    scalar = replace(basis, spinor=False)
    at_points = _on_mesh(atoms, scalar, mesh, arrays["points"], arrays["overlaps"])
    S = to_real_space(scalar, atoms, mesh, at_points)
    S = _within_range(S, S)[0]
    return Overlap(S.with_spin() if basis.spinor else S, int(arrays["n_electrons"]))


def _check(atoms: Atoms, _basis: str | None, _xc: str, **_settings: object) -> None:
    require()
    require_crystal(atoms)


def _within_range(H: BlockMatrix, S: BlockMatrix) -> tuple[BlockMatrix, BlockMatrix]:
    """H and S without the pairs of atoms whose orbitals do not overlap.

    The zeros of such pairs would dilute every mean over elements, the more the finer the mesh.
    """
    largest = [np.abs(matrix.values).max(axis=(1, 2)) for matrix in (H, S)]
    kept = np.maximum(*largest) > _NEGLIGIBLE
    pairs = {"edges": H.edges[:, kept], "shifts": H.shifts[kept]}
    return replace(H, **pairs, values=H.values[kept]), replace(S, **pairs, values=S.values[kept])


def solve(
    atoms: Atoms,
    settings: dict[str, Any],
    check: bool = False,
    also_at: Sequence[Sequence[float]] = (),
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Run GPAW in its own process and return the results.

    Args:
        atoms: the crystal.
        settings: those of `reference`.
        check: also return GPAW's own eigenvalues, for comparison.
        also_at: further k-points, fractions, for eigenvalues in the same potential.

    Returns:
        Arrays: ``hamiltonians`` (eV) and ``overlaps`` at ``points``, one of each k and -k, and
        scalars; and a dict with the ``shells`` of each element and the ``version``.
    """
    _check(atoms, settings["basis"], settings["xc"])
    with tempfile.TemporaryDirectory(prefix="gpaw-") as name:
        folder = Path(name)
        job = {
            "parent": os.getpid(),
            "longest": None,
            "by_states": False,
            "only_overlap": False,
            **settings,
            "check": check,
            "also_at": [list(k) for k in also_at],
        }
        (folder / "job.json").write_text(json.dumps(job))
        without_info = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        write(folder / "atoms.json", without_info)
        command = [sys.executable, "-m", "workbench.engines.gpaw_worker", str(folder)]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment = {**os.environ, **one_thread, **kernel_environment()}
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        formula = atoms.get_chemical_formula()
        if (folder / "failed.txt").exists():
            raise SCFError(
                f"The self-consistent field of {formula} (GPAW, {settings['basis']}) "
                f"{(folder / 'failed.txt').read_text()}: check the geometry, raise smearing or "
                "max_cycle."
            )
        if done.returncode or not (folder / "result.json").exists():
            raise RuntimeError(f"GPAW failed on {formula}: {done.stderr.strip()[-_ENDING:]}")
        about = json.loads((folder / "result.json").read_text())
        with np.load(folder / "result.npz") as file:
            return dict(file), {**about, "shells": {int(z): s for z, s in about["shells"].items()}}


def _on_mesh(
    atoms: Atoms,
    basis: Basis,
    mesh: Sequence[int],
    points: NDArray[np.float64],
    matrices: NDArray[np.complex128],
) -> NDArray[np.complex128]:
    """GPAW's matrices at all points of `k_mesh`, for the atoms at their original positions.

    GPAW moves atoms into the cell, and keeps one of each k and -k, which time reversal connects.
    """
    wrapped = atoms.get_scaled_positions(wrap=True)
    shifts = np.rint(atoms.get_scaled_positions(wrap=False) - wrapped)
    shifts = np.repeat(shifts, [basis.n_orbitals(int(z)) for z in atoms.numbers], axis=0)
    shifts = np.tile(shifts, (2 if basis.spinor else 1, 1))  # (n_ao, 3)
    n = len(shifts)
    flip = np.kron([[0, 1], [-1, 0]], np.eye(n // 2)) if basis.spinor else np.eye(n)
    result = []
    for k in k_mesh(mesh):
        difference = np.stack([points - k, points + k])  # (2, kept, 3), 0 modulo 1 if equal
        distance = np.abs(difference - np.rint(difference)).max(axis=2)
        opposite, number = np.argwhere(distance < _SAME_POINT)[0]
        matrix = flip @ matrices[number].conj() @ flip.T if opposite else matrices[number]
        phase = np.exp(-2j * np.pi * (shifts @ k))
        result.append(phase[:, None].conj() * matrix * phase)
    return np.array(result)


ENGINE = Engine("gpaw", reference, _again, _check, require=require, overlap=overlap, basis=BASIS)
