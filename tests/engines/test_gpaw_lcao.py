"""GPAW's matrices: its own eigenvalues come back from our blocks; its conventions become ours.

What needs GPAW itself runs where it is installed (`make crystals`).
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.crystal import integrals, sheet, spin_orbit
from tests.support.gpaw import QUICK, bismuth, needs_gpaw
from tests.support.processes import children_of, wait_for, wait_for_end
from workbench.datasets.validation import check
from workbench.engines import SCFError, dispatch, gpaw_lcao
from workbench.engines.dispatch import again
from workbench.hamiltonians import spin_parts
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.bloch import k_mesh, to_real_space
from workbench.structures.loading import StructureError, pair_vectors

MESH = (5, 5, 1)


# ---- without GPAW --------------------------------------------------------------------------------


@pytest.mark.parametrize("spinor", [False, True], ids=["scalar", "spinor"])
def test_matrices_of_half_the_zone_and_of_wrapped_atoms_become_those_of_the_crystal(spinor):
    """As GPAW leaves them: atoms moved into the cell, one of each k and -k, other fractions."""
    atoms = sheet()
    atoms.positions += [0.4, -0.3, 0.2]
    atoms.positions[1] += atoms.cell.array[0] - 2 * atoms.cell.array[1]

    def matrix(of):
        plain = integrals(of, "int1e_kin", "sto-3g", 7.0)
        if not spinor:
            return plain
        both = plain.with_spin()
        values = both.values.copy()
        values[: len(of)] += spin_orbit(both.basis)
        return replace(both, values=values)

    inside = atoms.copy()
    inside.wrap()
    moved, whole = matrix(inside), matrix(atoms)
    points = k_mesh(MESH)
    kept = np.array([k for k in points - np.rint(points) if tuple(k) >= tuple(-k)])
    assert len(kept) == 13
    made = gpaw_lcao._on_mesh(
        atoms, whole.basis, MESH, kept, np.array([moved.at_k(k) for k in kept])
    )
    assert (to_real_space(whole.basis, atoms, MESH, made) - whole).max_abs() < 1e-12


def test_without_gpaw_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(gpaw_lcao, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="make crystals"):
        wb.reference(carbon(), engine="gpaw")
    with pytest.raises(ValueError, match="choose pyscf or gpaw"):
        wb.reference(carbon(), engine="vasp")


# ---- with GPAW -----------------------------------------------------------------------------------


def carbon():
    """Graphene out of the axes' order, one atom two cells away."""
    a = 2.46
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, 8.0]]
    places = [[0.1, 0.2, 0.5], [0.1 + 1 / 3, 0.2 + 2 / 3, 0.5]]
    atoms = Atoms("C2", scaled_positions=places, cell=cell, pbc=(True, True, False))
    atoms.positions[1] -= 2 * atoms.cell.array[0]
    return atoms


@pytest.fixture(scope="module")
def graphene():
    """Blocks, and GPAW's own eigenvalues of the same run."""
    settings = {**QUICK, "mesh": [9, 9, 1], "spin_orbit": False}  # holds K, and H's whole range
    return solved(carbon(), settings, also_at=[[0.13, 0.29, 0.0]])


def solved(atoms, settings, **also):
    found, about = gpaw_lcao.solve(atoms, settings, check=True, **also)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpaw_lcao, "solve", lambda *_: (found, about))
        return gpaw_lcao.reference(atoms, **settings), found


@needs_gpaw
def test_bands_are_gpaws_own_on_the_mesh_and_between(graphene):
    made, found = graphene
    reached = np.abs([made.H.values, made.S.values]).max(axis=(0, 2, 3))
    assert reached.min() > 1e-6  # pairs of nothing but zeros are not among the blocks
    for k, expected in zip(found["points"], found["energies"], strict=True):
        np.testing.assert_allclose(energies_at(made.H, made.S, k), expected, atol=1e-5)
    between = energies_at(made.H, made.S, [0.13, 0.29, 0.0])
    np.testing.assert_allclose(between[:8], found["energies_elsewhere"][0][:8], atol=1e-3)
    assert made.n_electrons == 8
    dirac = energies_at(made.H, made.S, [1 / 3, 1 / 3, 0])[3:5]
    np.testing.assert_allclose(dirac, made.fermi_level, atol=0.01)


@needs_gpaw
def test_the_overlap_alone_is_that_of_the_reference(graphene):
    made, _ = graphene
    reach = np.linalg.norm(pair_vectors(made.S, carbon()), axis=1).max()
    for basis in (made.S.basis, replace(made.S.basis, spinor=True)):
        overlap = dispatch.overlap(carbon(), basis, made.method, float(reach))
        S = overlap.S.without_spin() if basis.spinor else overlap.S
        assert (S - made.S).max_abs() < 2e-6  # smaller blocks are left out
        assert overlap.n_electrons == made.n_electrons
    with pytest.raises(ValueError, match="GPAW has no basis 'deeph'"):
        dispatch.overlap(carbon(), wb.Basis("deeph", made.S.basis.shells), made.method, 6.0)


@needs_gpaw
def test_blocks_are_hermitian_and_those_of_their_atoms(graphene):
    made, _ = graphene
    proof = check(carbon(), made.H, made.S)
    assert proof.complaint is None
    assert proof.hermiticity_ev < 1e-10
    assert proof.operations == 23
    assert made.H.basis.shells[6] == (0, 1, 2)
    order = np.r_[0, 2, 3, 1, 4:9]  # p in another order is another matrix
    swapped = replace(made.S, values=made.S.values[:, order][:, :, order])
    assert check(carbon(), made.H, swapped).complaint is not None


@needs_gpaw
def test_a_turn_by_sixty_degrees_turns_the_blocks(graphene):
    made, _ = graphene
    R = wb.rotation((0, 0, 1), 60)
    atoms = carbon()
    turned = wb.rotate(atoms, R)
    turned.positions += atoms.positions[0] - turned.positions[0]
    there = again(turned, made)
    assert there.method == made.method
    assert (there.S - made.S.rotate(R)).max_abs() < 1e-4
    assert (there.H - made.H.rotate(R)).mae() < 2e-3  # the grid's own noise, eV


@needs_gpaw
def test_spin_orbit_levels_are_gpaws_own_and_come_in_kramers_pairs():
    settings = {**QUICK, "mesh": [3, 3, 1], "spin_orbit": True}
    made, found = solved(bismuth(), settings)
    for k, expected in zip(found["spin_orbit_points"], found["spin_orbit_energies"], strict=True):
        np.testing.assert_allclose(energies_at(made.H, made.S, k), expected, atol=1e-9)
    assert spin_parts.odd_part(made.H.values) < 1e-10
    coupling = made.H - made.H.without_spin().with_spin()
    assert coupling.max_abs() > 0.5
    levels = energies_at(made.H, made.S, [0, 0, 0])
    np.testing.assert_allclose(levels[::2], levels[1::2], atol=1e-9)


@needs_gpaw
@pytest.mark.parametrize(
    ("change", "settings", "error", "says"),
    [
        ({"pbc": False}, {}, StructureError, "periodic direction"),
        ({}, {"max_cycle": 1}, SCFError, "did not converge in 1 cycles"),
        ({}, {"basis": "no-such-set"}, RuntimeError, "GPAW failed on C2"),
    ],
)
def test_refusals_are_sentences(change, settings, error, says):
    atoms = carbon()
    for name, value in change.items():
        setattr(atoms, name, value)
    how = {**QUICK, "mesh": (2, 2, 1), **settings}
    with pytest.raises(error, match=says):
        gpaw_lcao.reference(atoms, **how)


@needs_gpaw
def test_the_density_of_states_is_that_of_pairs_of_orbitals():
    made = [
        wb.reference(carbon(), engine="gpaw", mesh=(3, 2, 1), **QUICK, by_states=way)
        for way in (False, True)
    ]
    assert (made[0].H - made[1].H).max_abs() < 1e-9  # eV
    assert made[0].energy == pytest.approx(made[1].energy, abs=1e-9)


@needs_gpaw
def test_orbitals_that_reach_too_far_are_left_out():
    """Carbon's 2p and polarisation end at 3.5 A; its 2s and the second zetas come no farther."""
    settings = {**QUICK, "basis": "dzp", "longest": 3.2}
    made = wb.reference(carbon(), engine="gpaw", mesh=(2, 2, 1), **settings)
    assert made.H.basis.shells == {6: (0, 0, 1)}
    assert made.method["longest_orbital_angstrom"] == 3.2


@needs_gpaw
def test_gpaw_ends_with_a_killed_job():
    """Left alone it would go on for minutes."""
    script = "import workbench as wb; from ase.build import graphene;"
    script += "wb.reference(graphene(vacuum=5), engine='gpaw', mesh=(25, 25, 1), spacing=0.12)"
    job = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_for(lambda: any(working(pid) for pid in children_of(job.pid)), job)
        gpaw = [pid for pid in children_of(job.pid) if working(pid)]
    finally:
        job.kill()
        job.wait()
    assert len(gpaw) == 1
    wait_for_end(gpaw)


def working(pid):
    """Whether a process is GPAW's and has begun its cycles."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it may have ended just now
        return False
    folder = Path(command[-2].decode()) if b"workbench.engines.gpaw_worker" in command else None
    return folder is not None and (folder / "gpaw.txt").is_file()
