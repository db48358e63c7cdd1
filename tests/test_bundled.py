"""The bundled data are found in a checkout and through WORKBENCH_DATA."""

import pytest

from workbench.bundled import data_path, data_root


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
