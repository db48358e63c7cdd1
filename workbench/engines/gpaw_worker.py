"""The process that runs GPAW: ``python -m workbench.engines.gpaw_worker FOLDER``.

GPAW is licensed under the GPL and may be absent; only this process imports it. The process reads
``job.json`` and ``atoms.json`` in the folder and writes ``result.npz`` and ``result.json``, or
``failed.txt`` with one sentence. Matrices are written as ``<phi_i|H|phi_j>``; GPAW itself stores
the complex conjugate.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import read
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from workbench.engines.worker_lifetime import end_with
from workbench.hamiltonians.rotations import PAULI

_EMPTY = 1e-14  # electrons
_AT_ONCE = 32  # states evaluated on the grid together, chosen for the processor's cache


def main(folder: Path) -> None:
    """Run the job of a folder."""
    from gpaw import GPAW, FermiDirac, KohnShamConvergenceError

    job = json.loads((folder / "job.json").read_text())
    end_with(job["parent"])
    atoms: Any = read(folder / "atoms.json")
    calculator = GPAW(
        legacy_gpaw=True,
        mode="lcao",
        basis=_basis(job["basis"], set(atoms.symbols), job["longest"]),
        xc=job["xc"],
        h=job["spacing"],
        nbands="nao",
        kpts={"size": job["mesh"], "gamma": True},
        occupations=FermiDirac(job["smearing"]),
        convergence={"density": job["density"], "energy": job["energy"]},
        maxiter=job["max_cycle"],
        # Point-group symmetry would leave out k-points whose matrices are needed.
        symmetry={"point_group": False, "time_reversal": True},
        txt=str(folder / "gpaw.txt"),
    )
    if job["only_overlap"]:
        calculator.initialize(atoms)
        calculator.set_positions(atoms)
        arrays = _overlaps(calculator)
    else:
        atoms.calc = calculator
        if job["by_states"]:
            _sum_over_states()
        try:
            energy = atoms.get_potential_energy()
        except KohnShamConvergenceError:
            (folder / "failed.txt").write_text(f"did not converge in {job['max_cycle']} cycles")
            return
        arrays = _matrices(calculator, job["spin_orbit"])
        arrays |= {"energy": energy, "fermi_level": calculator.get_fermi_level()}
    if job["check"]:
        arrays |= _own_energies(calculator, job)
    n_electrons = round(calculator.setups.nvalence)
    np.savez(folder / "result.npz", allow_pickle=False, n_electrons=n_electrons, **arrays)
    shells = {int(s.Z): [int(orbital.l) for orbital in s.basis.bf_j] for s in calculator.setups}
    from gpaw import __version__

    (folder / "result.json").write_text(json.dumps({"shells": shells, "version": __version__}))


def _basis(name: str, elements: set[str], longest: float | None) -> Any:
    """The named basis set, without orbitals whose radius exceeds `longest` (A) if given."""
    # GPAW's data contain double-zeta sets; "szp(dzp)" takes the single-zeta part of one.
    if longest is None:
        return "szp(dzp)" if name == "szp" else name
    from gpaw.basis_data import Basis

    sets = {}
    for symbol in elements:
        complete: Any = Basis.find(symbol, "dzp" if name == "szp" else name)
        complete = complete.reduce("szp") if name == "szp" else complete
        kept = [orbital for orbital in complete.bf_j if orbital.rc * Bohr <= longest]
        sets[symbol] = replace(complete, bf_j=kept)
    return sets


def _sum_over_states() -> None:
    """Compute the density as ``sum_n |psi_n|^2``: one pass over the orbitals per state.

    GPAW sums over pairs of orbitals. The eigenvectors of the density matrix at a k-point are the
    states and its eigenvalues are the occupations, so the density is the same to rounding.
    """
    from gpaw import lfc

    def construct(functions: Any, rho: NDArray[Any], density: NDArray[Any], q: int) -> None:
        weights, vectors = np.linalg.eigh(rho)
        filled = weights > _EMPTY
        states = np.ascontiguousarray((vectors[:, filled] * np.sqrt(weights[filled])).conj().T)
        on_grid = np.zeros((len(states), *density.shape), states.dtype)
        functions.lcao_to_grid(states, on_grid, q, _AT_ONCE)
        density += (np.real(on_grid) ** 2 + np.imag(on_grid) ** 2).sum(axis=0)

    basis_functions: Any = lfc.BasisFunctions
    basis_functions.construct_density = construct


def _matrices(calculator: Any, spin_orbit: bool) -> dict[str, NDArray[Any]]:
    """H (eV) and S at each k-point that GPAW keeps, and these k-points in fractions."""
    functions = calculator.wfs
    coupling = _coupling(calculator) if spin_orbit else {}
    hamiltonians = []
    for kpt in functions.kpt_u:
        h = functions.eigensolver.calculate_hamiltonian_matrix(
            calculator.hamiltonian, functions, kpt
        )
        H = _hermitian(h * Hartree).conj()
        if spin_orbit:
            H = np.kron(np.eye(2), H)
            for a, dV in coupling.items():
                P = functions.P_aqMi[a][kpt.q]
                for sigma, matrix in zip(PAULI, dV, strict=True):
                    H = H + np.kron(sigma, P.conj() @ matrix @ P.T)
        hamiltonians.append(H)
    return {"hamiltonians": np.array(hamiltonians), **_overlaps(calculator)}


def _overlaps(calculator: Any) -> dict[str, NDArray[Any]]:
    """S at each k-point that GPAW keeps, and these k-points in fractions."""
    functions = calculator.wfs
    return {
        "overlaps": np.array([_hermitian(functions.S_qMM[k.q]).conj() for k in functions.kpt_u]),
        "points": np.array([functions.kd.ibzk_kc[k.k] for k in functions.kpt_u]),
    }


def _coupling(calculator: Any) -> dict[int, NDArray[Any]]:
    """For each atom the spin-orbit operator between partial waves, (3, n, n) for x, y, z, in eV."""
    from gpaw.spinorbit import soc

    density, xc = calculator.density, calculator.hamiltonian.xc
    return {
        a: np.array(soc(calculator.setups[a], xc, D_sp)) * Hartree
        for a, D_sp in density.D_asp.items()
    }


def _hermitian(lower: NDArray[Any]) -> NDArray[Any]:
    """The hermitian matrix with this lower triangle; GPAW does not fill the upper one."""
    strict = np.tril(lower, -1)
    return strict + strict.conj().T + np.diag(np.real(np.diagonal(lower)))


def _own_energies(calculator: Any, job: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """GPAW's own eigenvalues, eV, at its k-points and at further ones in the same potential."""
    n = len(calculator.wfs.kd.ibzk_kc)
    energies = {"energies": np.array([calculator.get_eigenvalues(kpt=k) for k in range(n)])}
    if job["spin_orbit"]:
        from gpaw.spinorbit import soc_eigenstates

        states = soc_eigenstates(calculator)
        energies["spin_orbit_energies"] = states.eigenvalues()
        energies["spin_orbit_points"] = calculator.get_bz_k_points()
    if job["also_at"]:
        fixed = calculator.fixed_density(kpts=job["also_at"], symmetry="off")
        further = [fixed.get_eigenvalues(kpt=k) for k in range(len(job["also_at"]))]
        energies["energies_elsewhere"] = np.array(further)
    return energies


if __name__ == "__main__":
    main(Path(sys.argv[1]))
