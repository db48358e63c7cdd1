"""Seeded mutants of models and snapshots: refused in one sentence, or read with sound content."""

import json
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from tests.data.make_golden import golden_atoms, make
from tests.support.limited import limited
from tests.support.mutants import count, mutants
from workbench.models.checkpoint import load_model, save_model
from workbench.models.tensor_file import CheckpointError, read_tensors

GOLDEN = Path(__file__).parents[1] / "data" / "golden.safetensors"


def sealed(folder):
    """A model with a checksum."""
    save_model(make(), folder / "sound.safetensors", {"note": "a test"})
    made = mutants((folder / "sound.safetensors").read_bytes(), seed=7)
    while True:
        yield next(made)


def unsealed(folder):
    """A model of an older version, without a checksum: wrong numbers are read, if finite."""
    del folder
    yield from mutants(GOLDEN.read_bytes(), seed=8)


def headers(folder):
    """The same, with changes in its header only."""
    tensors, header = read_tensors(GOLDEN)
    del folder
    for text in mutants(json.dumps(header).encode(), seed=9):
        yield save(tensors, {"header": text.replace(b"\0", b"").decode(errors="replace")})


KINDS = (sealed, unsealed, headers)


def read_models(folder, number):
    """What became of mutants of each kind in turn; see `tests/datasets/test_fuzz.py`."""
    found = {"read": 0, "refused": 0, "wrong": []}
    made = [kind(Path(folder)) for kind in KINDS]
    path = Path(folder, "mutant.safetensors")
    for k in range(int(number)):
        path.write_bytes(next(made[k % len(made)]))
        try:
            model = load_model(path)
            prediction = model.predict(golden_atoms())
            assert np.isfinite(prediction.refined.values).all()
            assert all(torch.isfinite(t).all() for t in model.state_dict().values())
            model.summary()
            found["read"] += 1
        except (CheckpointError, ValueError) as error:
            sentence = str(error)
            found["refused"] += 1
            if "\n" in sentence or not sentence.endswith(".") or len(sentence) > 600:
                found["wrong"].append(f"{k} {KINDS[k % len(made)].__name__}: {sentence}")
        except Exception:
            found["wrong"].append(f"{k} {KINDS[k % len(made)].__name__}: {traceback.format_exc()}")
    return found


@pytest.mark.filterwarnings("ignore")
def test_mutants_of_a_model(tmp_path):
    number = count(200)
    found = limited(read_models, tmp_path, number)
    assert found["wrong"] == []
    assert found["read"] + found["refused"] == number
    assert min(found["read"], found["refused"]) > 0
