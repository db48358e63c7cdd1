"""What counts as a number, a word or a record, and the sentence for what does not."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest

from workbench.storage.value_checks import Range, check_arguments, check_fields, from_json

Count = Annotated[int, Range(1, 9)]


@dataclass(frozen=True)
class Inner:
    count: Count = 1

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class Outer:
    name: str
    size: Annotated[float, Range(0, 2, above=True)] | Literal["data"] | None = None
    mesh: tuple[Count, Count] | None = None
    inner: Inner | None = None
    on: bool = False

    def __post_init__(self):
        check_fields(self)


@pytest.mark.parametrize(
    "right",
    [
        {"size": 2},
        {"size": 0.5},
        {"size": "data"},
        {"mesh": [1, 9]},
        {"mesh": np.array([1, 9])},
        {"inner": Inner(3)},
        {"on": True},
    ],
)
def test_right_values_stay_as_they_are(right):
    [(name, value)] = right.items()
    assert getattr(Outer("a", **right), name) is value


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": 0}, "Outer.size must be a number above 0 and at most 2, 'data' or None, not 0."),
        ({"size": float("nan")}, "not nan"),
        ({"size": float("inf")}, "not inf"),
        ({"size": True}, "not True"),
        ({"size": "two"}, "not 'two'"),
        ({"size": 10**5000}, "not a number of more than 30 digits"),
        ({"mesh": [1, 10]}, "a list of 2 entries, each a whole number from 1 to 9 or None, not"),
        ({"mesh": [1]}, "not [1]"),
        ({"mesh": "12"}, "not '12'"),
        ({"mesh": {1: 1, 2: 2}}, "not {1: 1, 2: 2}"),
        ({"inner": {"count": 1}}, "must be of type Inner or None"),
        ({"on": 1}, "Outer.on must be true or false, not 1."),
        ({"name": None}, "Outer.name must be a word, not None."),
        ({"name": ["x" * 99]}, "..."),
    ],
)
def test_wrong_values_get_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=r"^Outer\.\w+ must be .*\.$") as caught:
        Outer(**{"name": "a", **wrong})
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("wrong", [0, 10, 2.0, True, "1", None, float("nan"), np.float64(2)])
def test_an_integer_is_an_integer(wrong):
    with pytest.raises(ValueError, match=r"Inner\.count must be a whole number from 1 to 9, not"):
        Inner(wrong)


def test_numbers_of_numpy_become_those_of_python():
    assert type(Inner(np.int64(3)).count) is int
    assert type(Outer("a", np.float32(1.5)).size) is float


def test_arguments_of_a_function_are_checked_by_its_annotations():
    def draw(count: Count, seed: int = 0): ...

    check_arguments(draw, {"count": 3})
    with pytest.raises(ValueError, match=r"^seed must be a whole number, not 'a'"):
        check_arguments(draw, {"count": 3, "seed": "a"})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([1], r"Outer must be an object with fields, not \[1\]"),
        ({"name": "a", "colour": 1}, "no field 'colour': it has name, size, mesh, inner, on"),
        ({"size": 1}, r"Outer is incomplete: .*'name'"),
        ({"name": "a", "inner": {"count": 0}}, "Inner.count must be"),
        ({"name": "a", "inner": 3}, "Outer.inner must be"),
    ],
)
def test_json_that_is_no_record_gets_one_sentence(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_json(Outer, data)


def test_records_in_records_come_back_from_json():
    assert from_json(Outer, {"name": "a", "inner": {"count": 2}}) == Outer("a", inner=Inner(2))
