"""OpenBLAS kernels: the ones this process uses, and the ones worker processes are told to use.

OpenBLAS has kernels for each kind of processor, and the kernels of two kinds round differently. A
library chooses its kernels when it is loaded; the environment variable ``OPENBLAS_CORETYPE``
overrides its choice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_info

__all__ = ["core_type", "hint", "kernel_environment", "kernels"]

_VARIABLE = "OPENBLAS_CORETYPE"


def core_type() -> str | None:
    """The kernels that an OpenBLAS of 2018 already has and this processor can run, or None.

    >>> core_type() in ("Haswell", None)
    True
    """
    listed = Path("/proc/cpuinfo")
    flags = set(listed.read_text().split()) if listed.exists() else set[str]()
    return "Haswell" if {"avx2", "fma"} <= flags else None


def kernel_environment() -> dict[str, str]:
    """Variables for the environment of a worker process, so that all workers round alike.

    Reference calculations must not depend on the environment of the process that starts them: a
    killed job may be resumed from another shell.
    """
    kind = core_type()
    return {} if kind is None else {_VARIABLE: kind}


@contextmanager
def hint() -> Iterator[None]:
    """Libraries loaded in this context use `core_type`; the environment is restored afterwards."""
    before = os.environ.get(_VARIABLE)
    os.environ.update(kernel_environment())
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before


def kernels(package: str) -> str:
    """Names of the OpenBLAS kernels that a Python package uses, e.g. "SkylakeX"; "" for none.

    Args:
        package: its name, e.g. "numpy"; it must have been imported.

    >>> import numpy
    >>> isinstance(kernels("numpy"), str)
    True
    """
    loaded = (lib for lib in threadpool_info() if lib["internal_api"] == "openblas")
    folders = {package, f"{package}.libs"}
    of_package = (lib for lib in loaded if folders & set(Path(lib["filepath"]).parts))
    return ", ".join(sorted({lib["architecture"] for lib in of_package}))
