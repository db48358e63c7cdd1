"""A tensor filled in memory and one filled in a file have the same rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workbench.storage import stored_tensor
from workbench.storage.stored_tensor import FileTensor, StoredTensor

PARTS = [torch.arange(12.0).view(4, 3), torch.arange(6.0).view(2, 3) - 7]


@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64])
def test_parts_come_back_as_one(monkeypatch, tmp_path, limit, kind):
    monkeypatch.setattr(stored_tensor, "IN_MEMORY", limit)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = StoredTensor(6)
    for part in PARTS:
        rows.add(part.to(kind))
    assert len(rows.tensor) == 6
    assert rows.tensor.dtype == kind
    assert isinstance(rows.tensor, FileTensor) == (limit == 0)
    assert torch.equal(rows.tensor[torch.arange(6)], torch.cat(PARTS).to(kind))
    assert rows.tensor[torch.tensor([5, 0])].tolist() == torch.cat(PARTS)[[5, 0]].tolist()


def test_rows_in_a_file_come_in_any_order_and_more_than_once(monkeypatch):
    """The number of rows is not known before; parts from before the limit are in the file, too."""
    whole = torch.randn(40, 3, 2)
    monkeypatch.setattr(stored_tensor, "IN_MEMORY", whole[:11].nbytes)
    rows = StoredTensor()
    for part in whole.split(5):
        rows.add(part)
    assert isinstance(rows.tensor, FileTensor)
    for index in ([*range(40)], [7, 8, 9, 2, 3, 39], [5, 5, 4, 4], [0], []):
        index = torch.tensor(index, dtype=torch.int64)
        assert torch.equal(rows.tensor[index], whole[index])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc/self/fd (Linux)")
def test_a_large_tensor_is_in_an_unlinked_file(monkeypatch, tmp_path):
    monkeypatch.setattr(stored_tensor, "IN_MEMORY", 0)
    monkeypatch.setattr(stored_tensor.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = StoredTensor(4)
    rows.add(PARTS[0])
    links = Path("/proc/self/fd").iterdir()
    opened = [os.readlink(link) for link in links if link.is_symlink()]
    assert any(str(tmp_path) in name and "(deleted)" in name for name in opened)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("n_parts", [0, 1])
def test_missing_rows_are_an_error(n_parts):
    rows = StoredTensor(6)
    for part in PARTS[:n_parts]:
        rows.add(part)
    with pytest.raises(ValueError, match="of 6 rows were added"):
        _ = rows.tensor


def test_a_full_disk_is_an_error_message_and_no_crash():
    code = (
        "import resource, torch\n"
        "from workbench.storage import stored_tensor\n"
        "stored_tensor.IN_MEMORY = 0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "stored_tensor.StoredTensor(1000).add(torch.zeros(10, 50))\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 1
    assert "do not fit into" in process.stderr
    assert "TMPDIR" in process.stderr
