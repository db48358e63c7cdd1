"""Elements and their shells, as other programs name and list them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ase.data import atomic_numbers, chemical_symbols

from workbench.datasets.formats import FormatError
from workbench.hamiltonians.basis import check_shells
from workbench.hamiltonians.conventions import SHELL_LETTERS

__all__ = ["element_of", "shells_of_elements", "shells_of_name"]

_MOST = 1000  # shells of one element, before they are counted by `check_shells`


def element_of(path: Path, label: str) -> int:
    """The atomic number of a label such as Fe, Fe1 or Fe_up.

    Raises:
        FormatError: for a label that begins with no chemical symbol, and for ghost atoms.
    """
    letters = re.match("[A-Za-z]*", label)
    symbol = letters[0] if letters else ""
    if symbol not in atomic_numbers or symbol == "X" or "empty" in label.lower():
        raise FormatError(
            f"{path} has atoms '{label[:40]}' whose element is uncertain: labels must be a "
            "chemical symbol, with any suffix set apart, such as Fe, Fe1 or Fe_up; ghost atoms "
            "are not read."
        )
    return atomic_numbers[symbol]


def shells_of_name(name: str) -> tuple[int, ...]:
    """The l of the shells that a name such as `s3p2d2` or `2s2p1d` lists; none for another name.

    >>> from workbench.datasets.formats.elements import shells_of_name
    >>> shells_of_name("2s2p1d"), shells_of_name("s2p1"), shells_of_name("TZP")
    ((0, 0, 1, 1, 2), (0, 0, 1), ())
    """
    letters = SHELL_LETTERS
    if re.fullmatch(rf"(?:\d+[{letters}])+", name):
        parts = [(letter, count) for count, letter in re.findall(rf"(\d+)([{letters}])", name)]
    elif re.fullmatch(rf"(?:[{letters}]\d+)+", name):
        parts = re.findall(rf"([{letters}])(\d+)", name)
    else:
        parts = []
    counts = [(letters.index(letter), min(int(count[:9]), _MOST)) for letter, count in parts]
    return tuple(l for l, count in counts for _ in range(count))


def shells_of_elements(
    path: Path, listed: Iterable[tuple[int, Sequence[int]]]
) -> dict[int, tuple[int, ...]]:
    """The shells of each element.

    Args:
        path: of the file, for the error.
        listed: atomic number and the l of each shell; an element may be there several times.

    Raises:
        FormatError: for an element with different shells, and shells that no element has.
    """
    shells: dict[int, tuple[int, ...]] = {}
    for number, of_atom in listed:
        if shells.setdefault(number, tuple(of_atom)) != tuple(of_atom):
            raise FormatError(
                f"{path} gives two sets of shells for {chemical_symbols[number]}: all atoms of "
                "one element must have the same."
            )
    for number, of_element in shells.items():
        try:
            check_shells(number, of_element)
        except ValueError as error:
            raise FormatError(f"{path}: {error}") from error
    return shells
