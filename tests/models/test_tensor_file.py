"""Files of tensors: a wrong bit and numbers that are not finite are refused."""

import hashlib
import json
import random
import runpy
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.data.make_golden import golden_atoms, make
from tests.support.limited import limited
from tests.support.mutants import count
from workbench.models.checkpoint import load_model, save_model
from workbench.models.tensor_file import CheckpointError, is_sealed, read_tensors, write_tensors

DATA = Path(__file__).parents[2] / "data"
GOLDEN = Path(__file__).parents[1] / "data" / "golden.safetensors"
HEADER = {"settings": {"seed": 1}, "history": [{"phase": "stage 1", "valid_mae_ev": 0.5}]}
TENSORS = {
    "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "brain": torch.tensor([[1.5], [3.0]], dtype=torch.bfloat16),
    "step": torch.tensor(7.0),
    "none": torch.zeros(0, 3, dtype=torch.float64),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def everything(path):
    """A hash of a model's prediction, settings and weights."""
    model = load_model(path)
    prediction = model.predict(golden_atoms())
    digest = hashlib.sha256(prediction.refined.values.tobytes())
    digest.update(prediction.baseline.values.tobytes())
    digest.update(repr((model.basis, model.config, model.info)).encode())
    for name, tensor in [*model.state_dict().items(), *model.scaling.tensors().items()]:
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def flips(folder, number):
    """The outcomes of single flips: how many were refused, and those that changed what is read."""
    rng, changed, refused = random.Random(1), [], 0
    content = (Path(folder) / "m.safetensors").read_bytes()
    expected = everything(Path(folder) / "m.safetensors")
    mutant = Path(folder) / "mutant.safetensors"
    # Half of the flips hit the header, which is a part of the file.
    header = int.from_bytes(content[:8], "little") + 8
    for k in range(int(number)):
        at, bit = rng.randrange(header if k % 2 else len(content)), rng.randrange(8)
        mutant.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        try:
            if everything(mutant) != expected:
                changed.append((at, bit))
        except CheckpointError as error:
            sentence = str(error)
            assert sentence.startswith(str(mutant)), sentence
            assert sentence.endswith(("retrain the model.", "save_model wrote.")), sentence
            refused += 1
    return {"changed": changed, "refused": refused}


def test_every_single_flip_of_a_model_is_refused(tmp_path):
    save_model(make(), tmp_path / "m.safetensors", {"note": "a test"})
    number = count(300)
    outcome = limited(flips, tmp_path, number)
    assert outcome == {"changed": [], "refused": number}


def test_what_is_written_is_read_and_twice_the_same(path, tmp_path):
    write_tensors(path, TENSORS, HEADER)
    tensors, header = read_tensors(path)
    assert header == HEADER
    assert {n: (t.dtype, t.tolist()) for n, t in tensors.items()} == {
        n: (t.dtype, t.tolist()) for n, t in TENSORS.items()
    }
    write_tensors(tmp_path / "again.safetensors", tensors, header)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["half", "brain", "step"])
def test_numbers_that_are_not_finite_are_refused(path, name, wrong):
    tensors = {**TENSORS, name: torch.full_like(TENSORS[name], wrong)}
    write_tensors(path, tensors, HEADER)
    with pytest.raises(CheckpointError, match=f"has numbers in {name} that are not finite"):
        read_tensors(path)


def test_finite_numbers_of_any_size_are_read(path):
    large = torch.full((9,), 65504.0, dtype=torch.float16)  # the sum exceeds float16
    write_tensors(path, {"large": large}, HEADER)
    assert torch.equal(read_tensors(path)[0]["large"], large)


def test_tensors_of_integers_are_refused(path):
    write_tensors(path, {"n": torch.arange(3)}, HEADER)
    with pytest.raises(CheckpointError, match="has numbers in n that are not finite"):
        read_tensors(path)


def test_a_file_of_an_older_version_is_read_without_a_checksum(path):
    tensors, header = read_tensors(GOLDEN)
    assert header["format"] == "hamiltonian-workbench model"
    write_tensors(path, tensors, header)
    assert everything(path) == everything(GOLDEN)


def test_the_script_seals_an_older_file_and_corrects_its_card(path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["add_checksums.py", str(path)])
    path.write_bytes(GOLDEN.read_bytes())
    card = path.with_suffix(".md")
    card.write_text("| file | `m.safetensors`, 1 bytes |\n| sha256 of the file | `00` |\n")
    assert not is_sealed(path)
    for _ in range(2):
        runpy.run_path(str(DATA / "add_checksums.py"), run_name="__main__")
        assert is_sealed(path)
        assert everything(path) == everything(GOLDEN)
        assert f"{path.stat().st_size:,} bytes" in card.read_text()
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card.read_text()


def resealed(path, header):
    """The golden model with another text as its header."""
    save_file(read_tensors(GOLDEN)[0], path, {"header": header})
    return path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"crc33": 123, "format": "x"}',
        '{"crc32": 123, "format": "x"}',
        '{"format": "x"',
        '{"format": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_damaged_headers_are_refused(path, text):
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(resealed(path, text))


def hostile(changes):
    """The golden model's header with changes; a value of None removes the entry."""
    header = {**read_tensors(GOLDEN)[1], **changes}
    return json.dumps({k: v for k, v in header.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "other"}, "has the format 'other'"),
        ({"convention_version": True}, "must be a whole number"),
        ({"info": None}, "is incomplete"),
        ({"info": []}, "Header.info must be"),
        ({"info": {"history": [1]}}, "info.history must be a list of rows"),
        ({"info": {"domain": []}}, "info.domain must be an object"),
        ({"info": {"domain": {"closest": {"H-O": "near"}}}}, "something else than numbers"),
        ({"info": {"domain": {"environments": {"bonds": {}}}}}, "bonds and a tolerance"),
        ({"more": 1}, "has no field 'more'"),
        ({"float64": "baseline"}, "Header.float64 must be"),
    ],
)
def test_wrong_headers_are_refused_with_their_entry(path, changes, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        load_model(resealed(path, hostile(changes)))


@pytest.mark.parametrize(
    "setting",
    [
        {"layers": 10**9},
        {"layers": 64},
        {"channels": 10**6},
        {"channels": 4096},
        {"radial": 4096},
        {"readout": 4096},
        {"pair_readout": 4096},
        {"refiner_width": 16384},
        {"refiner_layers": 64},
        {"lmax": 10**5},
        {"lmax": 12, "pseudo_lmax": 12},
        {"layers": "two"},
        {"unknown": 1},
        {"guess": "orbitals"},
        {"cutoff": "data"},
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(path, setting):
    config = {**read_tensors(GOLDEN)[1]["config"], **setting}
    with pytest.raises(CheckpointError, match="do not fit its header"):
        load_model(resealed(path, hostile({"config": config})))


@pytest.mark.parametrize(
    "shells",
    [{"1": [0], "8": [0, 0, 100_000]}, {"1": [0], "8": [6] * 64}, {"1": []}, {}, {"x": [0]}, [1]],
)
def test_a_basis_that_does_not_fit_the_weights_is_refused(path, shells):
    basis = {"name": "sto-3g", "shells": shells, "spinor": False}
    with pytest.raises(CheckpointError, match="do not fit its header"):
        load_model(resealed(path, hostile({"basis": basis})))


def test_scales_of_another_shape_are_refused(path):
    tensors, header = read_tensors(GOLDEN)
    for changed in (
        {"scaling.node_mean": torch.zeros(2, 7)},
        {"scaling.kappa": torch.zeros(3)},
        {"scaling.unknown": torch.zeros(3)},
    ):
        write_tensors(path, {**tensors, **changed}, header)
        with pytest.raises(CheckpointError, match="do not fit its header"):
            load_model(path)
