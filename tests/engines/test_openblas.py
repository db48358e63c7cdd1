"""Which OpenBLAS kernels are used: PySCF's own are hinted, all others are left alone."""

import json
import os
import subprocess
import sys

import pytest

from workbench.engines.openblas import core_type, kernel_environment

ENGINES = ("pyscf_molecules", "pyscf_crystals", "initial_guess", "convention_check")
KERNELS = """
import importlib, json, os, sys
importlib.import_module(sys.argv[1])
from workbench.engines.openblas import kernels
found = {name: kernels(name) for name in ("numpy", "scipy", "pyscf")}
print(json.dumps([found, os.environ.get("OPENBLAS_CORETYPE")]))
"""
NUMPY = "import numpy; from workbench.engines.openblas import kernels; print(kernels('numpy'))"

pytestmark = pytest.mark.skipif(core_type() is None, reason="a processor that needs no hint")


def run(setting, *words):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    environment |= {} if setting is None else {"OPENBLAS_CORETYPE": setting}
    command = [sys.executable, "-c", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("setting", [None, "Haswell", "Prescott"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_hint_reaches_pyscf_and_nothing_else(engine, setting):
    alone = run(setting, NUMPY)
    found, left = json.loads(run(setting, KERNELS, f"workbench.engines.{engine}"))
    assert found == {"numpy": alone, "scipy": alone, "pyscf": core_type()}
    assert left == setting


def test_worker_processes_get_the_names_of_the_kernels():
    assert kernel_environment() == {"OPENBLAS_CORETYPE": core_type()}
