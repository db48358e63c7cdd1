"""What all tests share, and what every example in a docstring can use: ``wb`` and ``np``."""

import signal
from typing import Any

import numpy as np
import pytest

import workbench

# A shell starts background jobs with Ctrl-C ignored; tests that press it need Python's handler.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, Any]) -> None:
    """Names for examples."""
    doctest_namespace.update(wb=workbench, np=np)
