"""Bundled data are located in a checkout and through WORKBENCH_DATA."""

import hashlib

import pytest

from workbench.datasets.dataset import Dataset
from workbench.models.checkpoint import load_model
from workbench.storage.bundled import data_path, data_root


def test_the_data_folder_is_found_and_holds_the_structures():
    assert data_path("structures").is_dir()
    assert data_path("datasets", "water.h5") == data_root() / "datasets" / "water.h5"


def test_the_environment_overrides(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert data_path("x") == tmp_path.resolve() / "x"


def test_a_wrong_override_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=r"WORKBENCH_DATA names .*absent"):
        data_root()


@pytest.mark.parametrize("name", [p.stem for p in sorted(data_path("datasets").glob("*.h5"))])
def test_a_dataset_is_complete_and_matches_its_card(name):
    with Dataset(data_path("datasets", f"{name}.h5")) as dataset:
        dataset.verify()
        card = data_path("datasets", f"{name}.md").read_text()
        assert dataset.hash in card
        assert f"{dataset.path.stat().st_size:,} bytes" in card
        groups = [set(dataset.groups[dataset.split(s)].tolist()) for s in dataset.splits]
        assert len(set().union(*groups)) == sum(len(g) for g in groups)  # no trajectory in two


@pytest.mark.parametrize(
    "name", [p.stem for p in sorted(data_path("checkpoints").glob("*.safetensors"))]
)
def test_a_model_loads_and_matches_its_card(name):
    path = data_path("checkpoints", f"{name}.safetensors")
    card = data_path("checkpoints", f"{name}.md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    model = load_model(name)
    assert model.info["dataset"]["sha256"] in card
    assert "validation error" in model.summary()
