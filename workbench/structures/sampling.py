"""Sampling the geometries of a dataset: thermal motion, random displacement, or a given list.

Each sampling draws *batches*: geometries that must not be split between training and test, e.g. the
frames of one trajectory. A batch depends only on its structure, its number of geometries and its
own random generator, so any batch can be reproduced alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Protocol

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.md.langevin import Langevin as LangevinDynamics
from numpy.typing import NDArray

from workbench.hamiltonians.rotations import random_rotation
from workbench.storage.value_checks import Range, check_fields
from workbench.structures.gfn2 import calculator
from workbench.structures.loading import StructureError, rotate, validate

__all__ = ["AsGiven", "Displaced", "Langevin", "RelaxedAndThermal", "Sampling", "bonded", "orient"]

_Batch = Annotated[int, Range(1, 10**6)]
_Time = Annotated[float, Range(0, 1e7)]  # fs
_Step = Annotated[float, Range(1e-3, 100)]  # fs


class Sampling(Protocol):
    """Draws geometries of a structure. A frozen dataclass, so that it can be stored as a recipe."""

    @property
    def batch(self) -> int:
        """Largest number of geometries in a batch."""
        ...

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` geometries of one batch."""
        ...


@dataclass(frozen=True)
class Langevin:
    """Frames of Langevin molecular dynamics on the GFN2-xTB surface (tblite, an optional extra).

    Every batch is a separate trajectory: random velocities, equilibration, then the frames. With a
    friction of 0.05/fs the energy decorrelates in about 20 fs, much less than the interval.

    Attributes:
        temperature_K: temperature of the thermostat, K.
        batch: frames per trajectory.
        interval_fs: time between two frames, fs.
        equilibration_fs: time before the first frame, fs.
        timestep_fs: time step of the integrator, fs.
        friction_per_fs: friction of the thermostat, 1/fs.

    >>> from workbench.structures.sampling import Langevin
    >>> Langevin(temperature_K=300, interval_fs=50)
    Langevin(temperature_K=300, batch=50, interval_fs=50, equilibration_fs=1000.0, ...)
    """

    temperature_K: Annotated[float, Range(0, 1e6)] = 500.0
    batch: _Batch = 50
    interval_fs: _Time = 100.0
    equilibration_fs: _Time = 1000.0
    timestep_fs: _Step = 0.5
    friction_per_fs: Annotated[float, Range(0, 100)] = 0.05

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` frames of one trajectory that starts at `atoms`.

        Raises:
            ImportError: if tblite is missing; the message has the command that installs it.
        """
        moving = atoms.copy()
        moving.calc = calculator(int(atoms.info.get("charge", 0)))
        spread = np.sqrt(moving.get_masses() * (units.kB * self.temperature_K))  # (N,)
        moving.set_momenta(rng.standard_normal((len(moving), 3)) * spread[:, None])
        dynamics = LangevinDynamics(
            moving,
            self.timestep_fs * units.fs,
            temperature_K=self.temperature_K,
            friction=self.friction_per_fs / units.fs,
            fixcm=False,  # ASE: True would not sample the canonical ensemble
            rng=rng,
        )
        dynamics.run(round(self.equilibration_fs / self.timestep_fs))
        frames = []
        for _ in range(count):
            dynamics.run(round(self.interval_fs / self.timestep_fs))
            frames.append(_still(moving))
        return frames


@dataclass(frozen=True)
class RelaxedAndThermal:
    """The given geometry first, then frames of one short trajectory that starts from it.

    For many molecules with few geometries each. A trajectory in which a bond breaks or forms is
    drawn again: its frames are another molecule, which may belong to another split.

    Attributes:
        motion: the dynamics. The time step of 1 fs is a tenth of the fastest vibration's period; it
            costs half as much as 0.5 fs, and the geometries only have to be plausible.
    """

    motion: Langevin = field(
        default_factory=lambda: Langevin(interval_fs=200.0, equilibration_fs=300.0, timestep_fs=1.0)
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)

    @property
    def batch(self) -> int:
        """Largest number of geometries in a batch; every batch begins with the given one."""
        return 1 + self.motion.batch

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """The geometry itself and `count - 1` frames.

        Raises:
            ImportError: if tblite is missing; the message has the command that installs it.
            StructureError: if bonds changed in each of ten trajectories.
        """
        if count == 1:
            return [_still(atoms)]
        for _ in range(10):
            frames = self.motion.draw(atoms, count - 1, rng)
            if all(_keeps_bonds(atoms, frame) for frame in frames):
                return [_still(atoms), *frames]
        raise StructureError(
            f"{atoms.get_chemical_formula()} does not keep its bonds at "
            f"{self.motion.temperature_K:g} K: lower temperature_K, or leave it out."
        )


@dataclass(frozen=True)
class Displaced:
    """Normally distributed displacements; geometries with atoms too close are drawn again.

    Attributes:
        sigma: standard deviation of each Cartesian coordinate, A.
        batch: largest number of geometries drawn by one generator.
        strain: for crystals, the largest component of a random symmetric strain along the periodic
            directions; the atoms follow the cell.
        slide: for layers, whether the upper half is shifted by a random vector in the cell plane.

    >>> from workbench.structures.sampling import Displaced
    >>> frames = Displaced(sigma=0.05).draw(wb.load("water"), 2, np.random.default_rng(0))
    >>> [frame.get_chemical_formula() for frame in frames]
    ['H2O', 'H2O']
    """

    sigma: Annotated[float, Range(0, 100)] = 0.05
    batch: _Batch = 100
    strain: Annotated[float, Range(0, 1)] = 0.0
    slide: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` independent geometries.

        Raises:
            StructureError: if 100 draws in a row had atoms closer than 0.4 A.
        """
        return [self._one(atoms, rng) for _ in range(count)]

    def _one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        for _ in range(100):
            moved = _still(atoms)
            if self.strain:
                moved.set_cell(_strained(moved, self.strain, rng), scale_atoms=True)
            if self.slide:
                upper = moved.positions[:, 2] > moved.positions[:, 2].mean()
                moved.positions[upper] += rng.uniform(size=2) @ moved.cell.array[:2]
            moved.positions += rng.normal(scale=self.sigma, size=moved.positions.shape)
            try:
                return validate(moved)
            except StructureError:
                continue
        raise StructureError(f"A displacement of {self.sigma} A makes atoms clash: lower sigma.")


@dataclass(frozen=True)
class AsGiven:
    """The structure itself: for geometries that come from another source."""

    batch: _Batch = 1

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` copies."""
        return [_still(atoms) for _ in range(count)]


def _strained(atoms: Atoms, largest: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The cell (3, 3) after a random strain in the span of its periodic vectors."""
    periodic = np.linalg.qr(atoms.cell.array[atoms.pbc].T)[0]  # (3, n), columns
    strain = rng.uniform(-largest, largest, size=(periodic.shape[1],) * 2)
    strain = periodic @ ((strain + strain.T) / 2) @ periodic.T
    return atoms.cell.array @ (np.eye(3) + strain)


def orient(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The molecule with its centre of mass at the origin, rotated at random (Haar measure)."""
    centred = atoms.copy()
    centred.positions -= centred.get_center_of_mass()
    return rotate(centred, random_rotation(rng))


def bonded(atoms: Atoms, reach: float = 1.2) -> NDArray[np.bool_]:
    """(N, N) True for bonded atoms: closer than `reach` times the sum of their covalent radii."""
    radii = covalent_radii[atoms.numbers]  # (N,) A
    close = atoms.get_all_distances() < reach * (radii[:, None] + radii)
    return close & ~np.eye(len(atoms), dtype=bool)


def _keeps_bonds(start: Atoms, frame: Atoms) -> bool:
    """Whether no bond broke or formed; wide margins, as heat changes bond lengths by a tenth."""
    before = bonded(start)
    all_kept = bool(bonded(frame, 1.4)[before].all())
    return all_kept and not bool(bonded(frame, 1.05)[~before].any())


def _still(atoms: Atoms) -> Atoms:
    """A copy with only elements, positions, cell, charge and spin."""
    info = {key: int(atoms.info.get(key, 0)) for key in ("charge", "spin")}
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)
