"""Answers to tasks: converted to what a check expects, or refused in one sentence.

Every check of a task is a function with `checks_answer`: a converter that raises `UnfitAnswerError`
ends in a verdict, so that no answer ends in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.course.verdict import Verdict
from workbench.hamiltonians.block_matrix import BlockMatrix, aligned

__all__ = [
    "UnfitAnswerError",
    "block_matrix",
    "called",
    "checks_answer",
    "described",
    "mask",
    "number",
    "numbers",
    "whole_numbers",
]

P = ParamSpec("P")

_LARGEST = 1e100  # larger numbers overflow in a matrix product
_WORDS = (
    ((str, bytes), "a text"),
    ((bool, np.bool_), "True or False"),
    ((int, float, np.integer, np.floating), "a number"),
    ((complex, np.complexfloating), "a complex number"),
    (Atoms, "a geometry"),
    (BlockMatrix, "a BlockMatrix, with the blocks of all atoms"),
    (Mapping, "a dictionary"),
    (list, "a list"),
    (tuple, "a tuple"),
    (set, "a set"),
)


class UnfitAnswerError(ValueError):
    """An answer that cannot be compared; the message says what to give instead."""


def checks_answer(check: Callable[P, Verdict]) -> Callable[P, Verdict]:
    """Turn a check that raises `UnfitAnswerError` into one that returns a verdict for any answer.

    >>> from workbench.course.answers import checks_answer, number
    >>> @checks_answer
    ... def is_two(answer):
    ...     return wb.course.Verdict(number(answer) == 2, "1 + 1 = 2.")
    >>> is_two("2")
    Not yet: give one number; this is a text.
    """

    @wraps(check)
    def verdict(*arguments: P.args, **settings: P.kwargs) -> Verdict:
        try:
            return check(*arguments, **settings)
        except UnfitAnswerError as unfit:
            return Verdict(False, str(unfit))

    return verdict


def number(answer: Any) -> float:
    """One real number.

    Raises:
        UnfitAnswerError: for anything else.

    >>> from workbench.course.answers import number
    >>> number(np.array(6.885))
    6.885
    """
    values = _real(answer, "one number")
    if values.ndim:
        raise UnfitAnswerError(f"give one number; this is {described(answer)}.")
    return float(values)


def numbers(answer: Any, what: str = "an array of numbers", *, real: bool = True) -> NDArray[Any]:
    """An array of finite numbers, of any shape.

    Args:
        answer: array, list or number.
        what: the answer that the task asks for.
        real: whether complex numbers are refused.

    Raises:
        UnfitAnswerError: for anything else.

    >>> from workbench.course.answers import numbers
    >>> numbers([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    return _real(answer, what) if real else _numeric(answer, what)


def whole_numbers(answer: Any, what: str) -> list[int]:
    """Whole numbers in a set, list, tuple, range or array, in its order.

    Raises:
        UnfitAnswerError: for anything else; a text of numbers is one thing, not several.

    >>> from workbench.course.answers import whole_numbers
    >>> whole_numbers({0, 2}, "a set of l, e.g. {0, 1}")
    [0, 2]
    """
    kinds = (set, frozenset, list, tuple, range, np.ndarray)
    if not isinstance(answer, kinds) or (isinstance(answer, np.ndarray) and answer.ndim != 1):
        raise UnfitAnswerError(f"give {what}; this is {described(answer)}.")
    values: list[Any] = list(answer)
    singles = [_real(value, what) for value in values]
    if any(single.ndim or single != np.round(single) for single in singles):
        raise UnfitAnswerError(f"give {what}; one of these is not a whole number.")
    return [int(single) for single in singles]


def mask(answer: Any, count: int, what: str) -> NDArray[np.bool_]:
    """One True or False for each of `count` things.

    Raises:
        UnfitAnswerError: for anything else.

    >>> from workbench.course.answers import mask
    >>> mask([True, False], 2, "frames")
    array([ True, False])
    """
    values = _array(answer)
    if values is None or values.dtype != bool or values.shape != (count,):
        raise UnfitAnswerError(
            f"give one True or False for each of the {count} {what}, as an array; this is "
            f"{described(answer)}."
        )
    return values


def block_matrix(answer: Any, like: BlockMatrix) -> BlockMatrix:
    """A matrix over the atoms and orbitals of another one, also from its dense array.

    Args:
        answer: BlockMatrix, or (n_ao, n_ao) array of a molecule.
        like: matrix of the same structure.

    Raises:
        UnfitAnswerError: for anything else.

    >>> from workbench.course.answers import block_matrix
    >>> H = wb.Dataset("water")[0].H
    >>> (block_matrix(H.dense(), H) - H).max_abs()
    0.0
    """
    if isinstance(answer, BlockMatrix):
        try:
            matrix, _ = aligned(answer, like)
        except ValueError as error:
            raise UnfitAnswerError(f"this matrix does not fit: {error}") from None
        numbers(matrix.values, "a matrix", real=False)
        return matrix
    n, what = like.n_ao, "a BlockMatrix"
    values = numbers(answer, what, real=not like.basis.spinor)
    if values.shape != (n, n) or like.shifts.any():
        size = "" if like.shifts.any() else f", or its {n} x {n} elements"
        raise UnfitAnswerError(f"give {what}{size}; this is {described(answer)}.")
    return BlockMatrix.from_dense(like.basis, like.numbers, values)


def called(answer: Any, *arguments: Any) -> NDArray[np.float64]:
    """The vector (3,) that a function returns.

    Raises:
        UnfitAnswerError: if the answer is no function, or stops with an error, or returns
            something else.

    >>> from workbench.course.answers import called
    >>> called(lambda v: 2 * v, np.ones(3))
    array([2., 2., 2.])
    """
    if not callable(answer):
        raise UnfitAnswerError(
            f"give a function, e.g. lambda v: 2 * v; this is {described(answer)}, which cannot be "
            "called."
        )
    try:
        result = answer(*arguments)
    except Exception as error:
        raise UnfitAnswerError(f"it stops with {type(error).__name__}: {error}.") from None
    values = _array(result)
    if values is None or values.dtype.kind not in "iuf" or values.shape != (3,):
        raise UnfitAnswerError(f"it returns {described(result)}; a vector has three components.")
    if not np.abs(values).max() < _LARGEST:
        raise UnfitAnswerError("it returns numbers that are not finite.")
    return values.astype(float)


def described(answer: Any) -> str:
    """What an answer is, in words.

    >>> from workbench.course.answers import described
    >>> described("6.885"), described(np.eye(3)), described(None)
    ('a text', 'an array of shape (3, 3)', 'None')
    """
    if answer is None:
        return "None"
    if isinstance(answer, np.ndarray):
        return f"an array of shape {answer.shape}" if answer.ndim else "a number"
    for kinds, words in _WORDS:
        if isinstance(answer, kinds):
            return words
    return "a function" if callable(answer) else f"an object of the type {type(answer).__name__}"


def _real(answer: Any, what: str) -> NDArray[np.float64]:
    values = _numeric(answer, what)
    if np.abs(np.imag(values)).max(initial=0.0) > 0:
        raise UnfitAnswerError(f"give {what}; these numbers are complex, and must be real.")
    return np.real(values).astype(float)


def _numeric(answer: Any, what: str) -> NDArray[Any]:
    values = _array(answer)
    if values is None or values.dtype.kind not in "iufc":
        raise UnfitAnswerError(f"give {what}; this is {described(answer)}.")
    if not np.abs(values).max(initial=0.0) < _LARGEST:
        raise UnfitAnswerError(
            f"give {what}; some number is not finite (nan or inf), or is too large."
        )
    return values


def _array(answer: Any) -> NDArray[Any] | None:
    """The answer as an array; None if it is none, e.g. rows of different lengths."""
    if isinstance(answer, Atoms | BlockMatrix):
        return None
    try:
        return np.asarray(answer)
    except Exception:
        return None
