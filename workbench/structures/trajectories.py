"""All structures of a file: a trajectory, a set of molecules, the models of a PDB file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from ase import Atoms

from workbench.storage.value_checks import Seed, check_arguments
from workbench.structures.files import frames
from workbench.structures.loading import file_named, load
from workbench.structures.validation import StructureError

__all__ = ["Structures", "load_all"]

_WRONG = "The index is {!r}: give a number from 0, or a slice with steps forwards such as 0:10."


class Structures:
    """Structures that are read one at a time, each time they are iterated; see `load_all`.

    Attributes:
        name: of the source, for messages.
        numbers: of the structures in the source, from 0.
    """

    def __init__(
        self, name: str, numbers: range, readers: Callable[[], Iterator[Callable[[], Atoms]]]
    ) -> None:
        self.name = name
        self.numbers = numbers
        self._readers = readers

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Atoms]:
        for _, atoms in self.outcomes():
            if isinstance(atoms, StructureError):
                raise atoms
            yield atoms

    def outcomes(self) -> Iterator[tuple[int, Atoms | StructureError]]:
        r"""The number of each structure, and the structure or the sentence that says what is wrong.

        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".xyz") as file:
        ...     _ = file.write("1\n\nHe 0 0 0\n" "1\n\nHe 0 0 nan\n" "1\n\nNe 0 0 0\n")
        ...     file.flush()
        ...     for number, outcome in wb.load_all(file.name).outcomes():
        ...         print(number, type(outcome).__name__)
        0 Atoms
        1 StructureError
        2 Atoms
        """
        numbers = self.numbers
        readers = islice(self._readers(), numbers.start, numbers.stop, numbers.step)
        for number, read in zip(self.numbers, readers, strict=True):
            try:
                outcome = read()
            except StructureError as error:
                outcome = type(error)(f"Structure {number} of {self.name}: {error}")
            yield number, outcome


def load_all(
    source: str | os.PathLike[str] | Atoms,
    index: str | int = ":",
    *,
    charge: int | None = None,
    spin: int | None = None,
    seed: Seed = 0,
) -> Structures:
    r"""The structures of a file with several, validated, one at a time in memory.

    Args:
        source: as of `load`; a name, a SMILES or Atoms count as one structure.
        index: their numbers from 0, as a slice or one number: ":" for all, "0:10", "::5", "-1".
        charge, spin, seed: as of `load`, for each structure.

    Returns:
        A sized iterable of Atoms. Its method `outcomes` goes on after a bad structure.

    Raises:
        StructureError: for a source that is not there, or without structures of these numbers;
            while iterating, for a bad structure, by its number.
        ValueError: for an index that is no number and no slice.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".xyz") as file:
    ...     _ = file.write("".join(f"2\n\nH 0 0 0\nH 0 0 {d}\n" for d in (0.7, 0.8, 0.9)))
    ...     file.flush()
    ...     [float(atoms.positions[1, 2]) for atoms in wb.load_all(file.name, "1:")]
    [0.8, 0.9]
    """
    check_arguments(load_all, {"seed": seed})
    wanted, path = _slice(index), file_named(source)

    def readers() -> Iterator[Callable[[], Atoms]]:
        if path is None:
            yield partial(load, source, charge=charge, spin=spin, seed=seed)
        else:
            yield from (partial(_loaded, read, charge, spin) for read in frames(path))

    name = source.get_chemical_formula() if isinstance(source, Atoms) else Path(source).name
    total = sum(1 for _ in readers())
    numbers = range(*wanted.indices(total))
    if not numbers:
        raise StructureError(
            f"{name} has {total} structures, counted from 0, and none is in the index {index}: "
            "choose another index."
        )
    return Structures(name, numbers, readers)


def _loaded(read: Callable[[], Atoms], charge: int | None, spin: int | None) -> Atoms:
    return load(read(), charge=charge, spin=spin)


def _slice(index: str | int) -> slice:
    """A slice of ASE's notation; a number stands for one structure.

    Raises:
        ValueError: for anything else, and for steps backwards.
    """
    words = str(index).strip().split(":")
    if not (1 <= len(words) <= 3 and all(re.fullmatch(r"[+-]?\d{1,15}|", w) for w in words)):
        raise ValueError(_WRONG.format(index))
    bounds = [int(word) if word else None for word in words]
    if len(bounds) == 1:
        (first,) = bounds
        if first is None:
            raise ValueError(_WRONG.format(index))
        return slice(first, first + 1 or None)
    if len(bounds) == 3 and bounds[2] is not None and bounds[2] < 1:
        raise ValueError(_WRONG.format(index))
    return slice(*bounds)
