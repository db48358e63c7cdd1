"""Pickles are read by their instructions: the same values as Python's, or a refusal."""

import collections
import pickle
from itertools import islice

import numpy as np
import pytest

from tests.support.mutants import count, mutants
from workbench.datasets.formats.plain_pickle import UnsafePickleError, plain

VALUE = {
    "id": 130_830,
    "large": 2**70,
    "negative": -3,
    "share": 0.25,
    "none": None,
    "yes": True,
    "text": "Å" * 300,
    "Ham": bytes(range(256)) * 40,
    "within": {"again": "text", "same": b"x"},
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_values_are_those_of_python(protocol):
    assert plain(pickle.dumps(VALUE, protocol)) == VALUE
    assert plain(pickle.dumps({}, protocol)) == {}


OTHERS = (
    *(print, np.zeros(3), np.float64(1), np.dtype("f8"), pickle.Unpickler, ValueError("x")),
    *([1], (1, 2), {1, 2}, collections.OrderedDict(a=1), bytearray(b"x"), 1j, object()),
)


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_everything_else_is_refused(value):
    for content in (value, {"a": value}):
        with pytest.raises(UnsafePickleError, match="it has the instruction"):
            plain(pickle.dumps(content, 4))


@pytest.mark.parametrize("data", [b"", b".", b"N", b"}(", b"}s.", b"(u.", b"}K\x01s.", b"h\x07."])
def test_damaged_pickles_are_refused(data):
    with pytest.raises(UnsafePickleError):
        plain(data)


def test_a_pickle_of_very_many_values_is_refused():
    with pytest.raises(UnsafePickleError, match="too many values"):
        plain(pickle.dumps({k: k for k in range(5000)}))


def test_mutants_are_read_or_refused():
    """Nothing but plain values comes out, whatever goes in."""
    for mutant in islice(mutants(pickle.dumps(VALUE), seed=3), 10 * count(200)):
        try:
            found = plain(mutant)
        except UnsafePickleError:
            continue
        assert type(found) in (dict, int, float, str, bytes, bool, type(None))
