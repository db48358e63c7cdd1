"""Importing the package changes nothing outside of it."""

import json
import os
import pkgutil
import subprocess
import sys

import workbench

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(workbench.__path__, "workbench.")
    if not module.name.endswith("__main__")
)

IMPORT = """
import importlib, json, sys

def bring_in(names):
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:  # of an optional package that is not here
            if (error.name or "").startswith("workbench"):
                raise
"""

# Packages of others may do what they like when they are imported: they are imported before, but
# for PySCF, whose import is the one that we prepare.
OTHERS = (
    IMPORT
    + """
bring_in(*json.load(sys.stdin))
kept = [name for name in sys.modules if name.partition(".")[0] not in ("workbench", "pyscf")]
print(json.dumps([name for name in kept if not name.startswith("__")]))
"""
)

COMPARE = (
    IMPORT
    + """
import locale, os, random, signal, warnings

ours, others = json.load(sys.stdin)
for name in others:
    try:
        importlib.import_module(name)
    except Exception:  # a module that only its own package can import
        pass
import numpy, torch

def surroundings():
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "signals": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
        "warnings": [str(one) for one in warnings.filters],
        "hooks": [str(sys.excepthook), str(sys.displayhook), *map(str, sys.meta_path)],
        "recursion": sys.getrecursionlimit(),
        "torch threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "torch types": [str(torch.get_default_dtype()), str(torch.get_default_device())],
        "torch seed": [torch.initial_seed(), torch.get_rng_state().sum().item()],
        "gradients": torch.is_grad_enabled(),
        "numpy": [str(numpy.random.get_state()), numpy.geterr(), numpy.get_printoptions()],
        "random": str(random.getstate()),
    }

before = surroundings()
bring_in(ours)
after = surroundings()
changed = {k: [before[k], after[k]] for k in before if before[k] != after[k]}
print(json.dumps({"changed": changed, "pyscf": "pyscf" in sys.modules}, default=str))
"""
)


def said(code, *lists):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    command, given = [sys.executable, "-c", code], json.dumps(lists)
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_every_module_changes_nothing_outside():
    others = said(OTHERS, MODULES)
    assert "torch" in others
    assert said(COMPARE, MODULES, others) == {"changed": {}, "pyscf": True}
