"""What every example in a docstring can use: the package as ``wb``, and NumPy as ``np``."""

from typing import Any

import numpy as np
import pytest

import workbench


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, Any]) -> None:
    """Names for examples."""
    doctest_namespace.update(wb=workbench, np=np)
