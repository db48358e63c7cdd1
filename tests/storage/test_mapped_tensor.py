"""A tensor filled in memory and one filled in a file have the same rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workbench.storage import mapped_tensor
from workbench.storage.mapped_tensor import MappedTensor

PARTS = [torch.arange(12.0).view(4, 3), torch.arange(6.0).view(2, 3) - 7]


@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64])
def test_parts_come_back_as_one(monkeypatch, tmp_path, limit, kind):
    monkeypatch.setattr(mapped_tensor, "IN_MEMORY", limit)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = MappedTensor(6)
    for part in PARTS:
        rows.add(part.to(kind))
    assert torch.equal(rows.tensor, torch.cat(PARTS).to(kind))
    assert rows.tensor[torch.tensor([5, 0])].tolist() == torch.cat(PARTS)[[5, 0]].tolist()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc/self/maps (Linux)")
def test_a_large_tensor_is_in_an_unlinked_file(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped_tensor, "IN_MEMORY", 0)
    monkeypatch.setattr(mapped_tensor.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = MappedTensor(4)
    rows.add(PARTS[0])
    mapped = [
        line for line in Path("/proc/self/maps").read_text().splitlines() if "(deleted)" in line
    ]
    assert any(str(tmp_path) in line for line in mapped)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("n_parts", [0, 1])
def test_missing_rows_are_an_error(n_parts):
    rows = MappedTensor(6)
    for part in PARTS[:n_parts]:
        rows.add(part)
    with pytest.raises(ValueError, match="of 6 rows were added"):
        _ = rows.tensor


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is reserved on Linux only")
def test_a_full_disk_is_an_error_message_and_no_crash():
    code = (
        "import resource, torch\n"
        "from workbench.storage import mapped_tensor\n"
        "mapped_tensor.IN_MEMORY = 0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "mapped_tensor.MappedTensor(1000).add(torch.zeros(10, 50))\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 1
    assert "do not fit into" in process.stderr
    assert "TMPDIR" in process.stderr
