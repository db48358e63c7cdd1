#!/usr/bin/env bash
# Build the wheel, install it without extras into a fresh virtual environment outside the checkout,
# and use it there: what a user has who never saw the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-.venv/bin}
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT

"$BIN/python" -m pip wheel --quiet --no-deps --wheel-dir "$away" .
"$BIN/python" -m venv "$away/venv"
cd "$away"
export PATH="$away/venv/bin:$PATH"
pip install --quiet ./hamiltonian_workbench-*.whl

python - <<'PYTHON'
import importlib.util
import sys

import workbench as wb

assert wb.__file__.startswith(sys.prefix), wb.__file__
assert importlib.util.find_spec("ipywidgets") is None
print("imported without the notebook extras from", wb.__file__)
try:
    wb.RotationLab
except ModuleNotFoundError as error:
    assert "hamiltonian-workbench[notebooks]" in str(error), error
else:
    raise AssertionError("a widget without ipywidgets")
PYTHON
workbench doctor
workbench predict water
workbench predict graphene --model mg-mini --out graphene.npz
python -c "import numpy; print(numpy.load('graphene.npz')['refined'].shape)"
